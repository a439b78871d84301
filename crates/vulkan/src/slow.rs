//! Tells which kernel a driver's compiler is at work on, when that takes long: large kernels take some for minutes, in which the
//! program seems to hang.
//!
//! ```text
//! let _watch = slow::watch("mul_mat_q");
//! vkCreateComputePipelines(...)       // after 10 s: a warning with the kernel's name, and again after 30 s, 90 s, ...
//! ```
//!
//! One thread for the process looks every few seconds, from the first compilation on.

use parking_lot::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// When a compilation is told of first.
const FIRST: Duration = Duration::from_secs(10);

/// How much later it is told of again each time.
const FACTOR: u32 = 3;

/// How often the thread looks.
const TICK: Duration = Duration::from_secs(2);

/// A compilation under way.
struct Running {
    number: u64,
    kernel: String,
    start: Instant,
    /// How long it will have taken when it is told of next.
    next: Duration,
}

struct Watcher {
    started: bool,
    /// The thread waits for a compilation to begin.
    idle: bool,
    count: u64,
    running: Vec<Running>,
}

static WATCHER: Mutex<Watcher> = Mutex::new(Watcher {
    started: false,
    idle: false,
    count: 0,
    running: Vec::new(),
});
static WAKE: Condvar = Condvar::new();

/// The compilation that began with it ends when this is dropped.
pub(crate) struct Watch(u64);

/// Begins a compilation.
pub(crate) fn watch(kernel: &str) -> Watch {
    let mut watcher = WATCHER.lock();
    if !watcher.started {
        watcher.started = true;
        let thread = thread::Builder::new().name("vkcuda-slow".to_owned());
        if let Err(error) = thread.spawn(look) {
            tracing::warn!(%error, "slow compilations are not told of");
        }
    }
    if watcher.idle {
        WAKE.notify_one();
    }
    Watch(watcher.begin(kernel, Instant::now()))
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ended = WATCHER.lock().end(self.0);
        if let Some(running) = ended.filter(Running::was_told_of) {
            let seconds = running.start.elapsed().as_secs();
            tracing::warn!(
                kernel = running.kernel,
                seconds,
                "the compilation has ended"
            );
        }
    }
}

fn look() {
    let mut watcher = WATCHER.lock();
    loop {
        if watcher.running.is_empty() {
            watcher.idle = true;
            WAKE.wait(&mut watcher);
            watcher.idle = false;
        }
        WAKE.wait_for(&mut watcher, TICK);
        let due = watcher.due(Instant::now());
        // The log may go wherever the program sends it.
        parking_lot::MutexGuard::unlocked(&mut watcher, || {
            for (kernel, seconds) in due {
                tracing::warn!(
                    kernel,
                    seconds,
                    "the Vulkan driver is compiling a kernel, once: what it makes is kept on disk"
                );
            }
        });
    }
}

impl Watcher {
    fn begin(&mut self, kernel: &str, start: Instant) -> u64 {
        self.count += 1;
        self.running.push(Running {
            number: self.count,
            kernel: kernel.to_owned(),
            start,
            next: FIRST,
        });
        self.count
    }

    fn end(&mut self, number: u64) -> Option<Running> {
        let index = self.running.iter().position(|r| r.number == number)?;
        Some(self.running.swap_remove(index))
    }

    /// The kernels that are to be told of now, and for how many seconds they have been compiled.
    fn due(&mut self, now: Instant) -> Vec<(String, u64)> {
        let mut due = Vec::new();
        for running in &mut self.running {
            let elapsed = now.saturating_duration_since(running.start);
            if elapsed >= running.next {
                running.next = elapsed * FACTOR;
                due.push((running.kernel.clone(), elapsed.as_secs()));
            }
        }
        due
    }
}

impl Running {
    fn was_told_of(&self) -> bool {
        self.next > FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_ones_are_told_of_ever_more_seldom() {
        let mut watcher = Watcher {
            started: true,
            idle: false,
            count: 0,
            running: Vec::new(),
        };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let slow = watcher.begin("slow", start);
        let later = watcher.begin("later", at(25));
        assert!(watcher.due(at(9)).is_empty());
        let name = |kernel: &str, seconds| vec![(kernel.to_owned(), seconds)];
        assert_eq!(watcher.due(at(11)), name("slow", 11));
        assert!(watcher.due(at(32)).is_empty());
        assert_eq!(watcher.due(at(33)), name("slow", 33));
        assert!(!watcher.end(later).expect("a compilation").was_told_of());
        assert!(watcher.due(at(98)).is_empty());
        assert_eq!(watcher.due(at(99)), name("slow", 99));
        assert!(watcher.end(slow).expect("a compilation").was_told_of());
        assert!(watcher.due(at(1000)).is_empty());
    }
}
