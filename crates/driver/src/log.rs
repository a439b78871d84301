//! The log: lines on standard error, chosen by `VKCUDA_LOG`.
//!
//! `VKCUDA_LOG` is a filter of the `tracing-subscriber` crate: a level (`error`, `warn`, `info`, `debug`, `trace`) or levels
//! by target, as in `warn,cuda::api=trace`. Without it, warnings and errors are shown. At `trace` every call is shown with
//! its arguments and result, under the target `cuda::api`.

use std::io::IsTerminal;
use std::sync::Once;
use tracing_subscriber::EnvFilter;

/// Starts the log; does nothing after the first call, or where the process has a subscriber already (tests).
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let text = std::env::var("VKCUDA_LOG").unwrap_or_default();
        let text = if text.trim().is_empty() {
            "warn"
        } else {
            text.trim()
        };
        let (filter, problem) = match EnvFilter::builder().parse(text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new("warn"), Some(error)),
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .finish();
        // An error means that a subscriber is there already: it gets the lines then.
        let _ = tracing::subscriber::set_global_default(subscriber);
        if let Some(error) = problem {
            tracing::warn!("VKCUDA_LOG={text}: {error}");
        }
    });
}
