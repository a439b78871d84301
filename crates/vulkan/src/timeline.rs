//! Timelines: one counter per stream that only grows.
//!
//! A batch of work reserves the next value when its recording begins, the queue signals it when the batch has run. Three
//! numbers describe a timeline: `reserved` (given to work, recorded or not), `submitted` (a queue or the host will signal
//! it without further action of this runtime) and `completed` (signalled).

use crate::error::Error;
use crate::raw::Raw;
use crate::DeviceKind;
use ash::vk;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to poll before sleeping, on GPUs: a sleeping wait costs tens of microseconds more.
const SPIN: Duration = Duration::from_micros(30);

/// Longest sleep before the lost flag is looked at again.
const SLICE: Duration = Duration::from_millis(100);

/// A timeline semaphore with what the host knows of it.
pub(crate) struct Timeline {
    pub(crate) raw: Arc<Raw>,
    pub(crate) semaphore: vk::Semaphore,
    reserved: AtomicU64,
    submitted: AtomicU64,
    completed: AtomicU64,
}

impl Timeline {
    pub(crate) fn new(raw: &Arc<Raw>) -> Result<Arc<Self>, Error> {
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: the device is alive and has timeline semaphores.
        let semaphore = unsafe { raw.vk.create_semaphore(&info, None) }
            .map_err(|result| raw.error("vkCreateSemaphore", result))?;
        Ok(Arc::new(Self {
            raw: Arc::clone(raw),
            semaphore,
            reserved: AtomicU64::new(0),
            submitted: AtomicU64::new(0),
            completed: AtomicU64::new(0),
        }))
    }

    /// Gives out the next value. Only the owner calls this, under its lock.
    pub(crate) fn reserve(&self) -> u64 {
        self.reserved.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    /// Notes that `value` will be signalled.
    pub(crate) fn set_submitted(&self, value: u64) {
        self.submitted.fetch_max(value, Ordering::AcqRel);
    }

    /// The value reached, asked from the driver.
    pub(crate) fn completed(&self) -> u64 {
        // SAFETY: the semaphore is alive.
        match unsafe { self.raw.vk.get_semaphore_counter_value(self.semaphore) } {
            Ok(value) => self.completed.fetch_max(value, Ordering::AcqRel).max(value),
            Err(result) => {
                let _ = self.raw.error("vkGetSemaphoreCounterValue", result);
                self.completed.load(Ordering::Acquire)
            }
        }
    }

    /// The value last seen, without a call.
    pub(crate) fn completed_seen(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Whether `value` is reached.
    pub(crate) fn is_complete(&self, value: u64) -> bool {
        self.completed_seen() >= value || self.completed() >= value
    }

    /// Whether all reserved work is done.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_complete(self.reserved())
    }

    /// Signals `value` from the host.
    pub(crate) fn signal(&self, value: u64) -> Result<(), Error> {
        let info = vk::SemaphoreSignalInfo::default()
            .semaphore(self.semaphore)
            .value(value);
        // SAFETY: the value is above the current one and below every pending one: values are reserved in order, and the
        // work after this value is held back until it is signalled.
        unsafe { self.raw.vk.signal_semaphore(&info) }
            .map_err(|result| self.raw.error("vkSignalSemaphore", result))?;
        self.set_submitted(value);
        Ok(())
    }

    /// Waits until `value` is reached; the work may not even be submitted yet.
    pub(crate) fn wait(&self, value: u64) -> Result<(), Error> {
        self.wait_until(value, None).map(|_| ())
    }

    /// As [`Timeline::wait`], at most for a time. Whether the value was reached.
    pub(crate) fn wait_until(&self, value: u64, deadline: Option<Instant>) -> Result<bool, Error> {
        if self.completed_seen() >= value {
            return Ok(true);
        }
        // A CPU device needs the processor more than the waiter does.
        if self.raw.physical.kind() != DeviceKind::Cpu {
            let start = Instant::now();
            while start.elapsed() < SPIN {
                if self.completed() >= value {
                    return Ok(true);
                }
                std::hint::spin_loop();
            }
        }
        loop {
            self.raw.check_lost()?;
            let mut slice = SLICE;
            if let Some(deadline) = deadline {
                slice = slice.min(deadline.saturating_duration_since(Instant::now()));
            }
            let semaphores = [self.semaphore];
            let values = [value];
            let info = vk::SemaphoreWaitInfo::default()
                .semaphores(&semaphores)
                .values(&values);
            // SAFETY: the semaphore is alive.
            match unsafe { self.raw.vk.wait_semaphores(&info, slice.as_nanos() as u64) } {
                Ok(()) => {
                    self.completed.fetch_max(value, Ordering::AcqRel);
                    return Ok(true);
                }
                Err(vk::Result::TIMEOUT)
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) =>
                {
                    return Ok(false);
                }
                Err(vk::Result::TIMEOUT) => {}
                Err(result) => return Err(self.raw.error("vkWaitSemaphores", result)),
            }
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        // SAFETY: streams wait for their work before they let go of the timeline, and points do not submit.
        unsafe { self.raw.vk.destroy_semaphore(self.semaphore, None) };
    }
}
