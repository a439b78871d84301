//! How the thread that calls host functions is woken.
//!
//! It waits for streams' timeline semaphores and for jobs, whichever comes first: one wait for any of several semaphores, of which the
//! first is signalled when a job arrives. A driver on the CPU does that by asking again and again, and takes a core from its own kernels:
//! there the thread waits for jobs alone, and looks at the streams in between. That needs no semaphore. (The validation layer
//! of Vulkan 1.3.239 blocks for ten seconds when one thread signals a semaphore whose value another asks for.)

use crate::raw::Raw;
use crate::timeline::Timeline;
use crate::{DeviceKind, Error};
use ash::vk;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

/// What ends the thread's wait.
pub(crate) enum Wake {
    /// A timeline semaphore.
    Semaphore {
        timeline: Arc<Timeline>,
        /// Values are signalled in order.
        turn: Mutex<()>,
    },
    /// How often it was woken.
    Count { count: Mutex<u64>, signal: Condvar },
}

impl Wake {
    pub(crate) fn new(raw: &Arc<Raw>) -> Result<Self, Error> {
        Ok(match raw.physical.kind() {
            DeviceKind::Cpu => Self::Count {
                count: Mutex::default(),
                signal: Condvar::new(),
            },
            _ => Self::Semaphore {
                timeline: Timeline::new(raw)?,
                turn: Mutex::default(),
            },
        })
    }

    /// How often it was woken so far.
    pub(crate) fn seen(&self) -> u64 {
        match self {
            Self::Semaphore { timeline, .. } => timeline.completed(),
            Self::Count { count, .. } => *count.lock(),
        }
    }

    /// Ends the wait of who has seen less.
    pub(crate) fn wake(&self) {
        match self {
            Self::Semaphore { timeline, turn } => {
                let _turn = turn.lock();
                let value = timeline.reserve();
                let _ = timeline.signal(value);
            }
            Self::Count { count, signal } => {
                *count.lock() += 1;
                signal.notify_all();
            }
        }
    }

    /// The semaphore that reaches more than was seen; none where [`Wake::wait`] waits.
    pub(crate) fn semaphore(&self) -> Option<vk::Semaphore> {
        match self {
            Self::Semaphore { timeline, .. } => Some(timeline.semaphore),
            Self::Count { .. } => None,
        }
    }

    /// Waits until it is woken more often than was seen, at most for a time. Returns at once where there is a semaphore.
    pub(crate) fn wait(&self, seen: u64, limit: Duration) {
        if let Self::Count { count, signal } = self {
            let mut count = count.lock();
            if *count == seen {
                signal.wait_for(&mut count, limit);
            }
        }
    }
}
