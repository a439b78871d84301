//! How long each kernel runs on the device: `VKCUDA_PROFILE=FILE`.
//!
//! Every launch is put between two timestamps, and a graph is launched kernel by kernel. The file is a table of kernels, the
//! longest in total first, with their number of launches; it is rewritten as the program goes on, and holds everything once
//! the device has been closed. Timestamps keep kernels from overlapping: the sum is that of the kernels, not the program's
//! time.

use crate::event::EventPoint;
use crate::pipeline::Pipeline;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Launches between two readings of timestamps.
const READ_EVERY: usize = 1000;

/// Where the profile goes, and what has been measured.
pub(crate) struct Profile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Launches whose timestamps have not been read, with the points before and after each.
    pending: Vec<(Arc<Pipeline>, EventPoint, EventPoint)>,
    totals: FxHashMap<String, Total>,
}

#[derive(Clone, Copy, Default)]
struct Total {
    launches: u64,
    nanoseconds: f64,
}

impl Profile {
    /// The profile that `VKCUDA_PROFILE` asks for.
    pub(crate) fn from_environment() -> Option<Self> {
        let path = PathBuf::from(std::env::var_os("VKCUDA_PROFILE")?);
        Some(Self {
            path,
            state: Mutex::default(),
        })
    }

    /// Adds a launch between two timed points. Gives whether it is time to wait for the stream and [`Profile::collect`].
    pub(crate) fn add(&self, pipeline: &Arc<Pipeline>, start: EventPoint, end: EventPoint) -> bool {
        let mut state = self.state.lock();
        state.pending.push((Arc::clone(pipeline), start, end));
        state.pending.len() % READ_EVERY == 0
    }

    /// Reads the timestamps of launches that have run, and writes the table.
    pub(crate) fn collect(&self) {
        let mut state = self.state.lock();
        let State { pending, totals } = &mut *state;
        pending.retain(|(pipeline, start, end)| {
            match (end.is_complete(), end.nanoseconds_since(start)) {
                (Ok(true), Ok(nanoseconds)) => {
                    let info = pipeline.info();
                    let total = totals
                        .entry(format!("{} {:?}", info.name, pipeline.block()))
                        .or_default();
                    total.launches += 1;
                    total.nanoseconds += nanoseconds;
                    false
                }
                (Ok(_), _) => true,
                (Err(_), _) => false,
            }
        });
        let mut rows: Vec<_> = totals.iter().collect();
        rows.sort_by(|a, b| {
            b.1.nanoseconds
                .total_cmp(&a.1.nanoseconds)
                .then(a.0.cmp(b.0))
        });
        let sum: f64 = rows.iter().map(|row| row.1.nanoseconds).sum();
        let mut text = String::from("  total ms      %  launches    us each  kernel and block\n");
        for (name, total) in rows {
            let _ = writeln!(
                text,
                "{:>10.3} {:>6.2} {:>9} {:>10.2}  {name}",
                total.nanoseconds / 1e6,
                100.0 * total.nanoseconds / sum.max(1.0),
                total.launches,
                total.nanoseconds / 1e3 / total.launches as f64
            );
        }
        if let Err(error) = std::fs::write(&self.path, text) {
            tracing::warn!(path = %self.path.display(), %error, "the profile could not be written");
        }
    }
}
