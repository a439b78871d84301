//! The log: lines on standard error, chosen by `VKCUDA_LOG`, in the format of `libcuda.so.1`.
//!
//! Nothing is kept in thread-local storage, since programs destroy handles in exit handlers.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Starts the log; does nothing after the first call, or where the process has a subscriber already.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let text = std::env::var("VKCUDA_LOG").unwrap_or_default();
        let targets = match text.trim() {
            "" => Targets::new().with_default(LevelFilter::WARN),
            text => text
                .parse()
                .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::WARN)),
        };
        let subscriber = tracing_subscriber::registry().with(targets).with(Lines);
        // An error means that a subscriber is there already: it gets the lines then.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Writes each event as a line: level, target, message.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{:>5} {}:", metadata.level(), metadata.target()));
        event.record(&mut line);
        line.0.push('\n');
        // One write, so that lines of several threads do not mix. Where standard error is closed there is nobody to tell.
        let _ = std::io::stderr().write_all(line.0.as_bytes());
    }
}

/// A line in the making.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
