//! Buffer objects, synchronisation objects, and other things with numbers.

use std::collections::HashMap;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of the file in which buffer objects lie: address space, not memory.
const FILE_BYTES: u64 = 1 << 40;
/// Bytes between which buffer objects start.
const ALIGNMENT: u64 = 65536;

#[derive(Clone, Copy)]
struct Buffer {
    offset: u64,
    size: u64,
}

#[derive(Default)]
struct State {
    buffers: HashMap<u32, Buffer>,
    end: u64,
    /// What each synchronisation object has reached; a binary one 0 or 1.
    points: HashMap<u32, u64>,
    last: u32,
}

/// All objects of the device.
pub(crate) struct Objects {
    file: RawFd,
    state: Mutex<State>,
    signalled: Condvar,
}

impl Objects {
    pub(crate) fn new() -> Self {
        // SAFETY: a name and flags.
        let file = unsafe { libc::memfd_create(c"no-op-intel".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: a file of our own; a failure of the call before it makes this one fail.
        if unsafe { libc::ftruncate(file, FILE_BYTES as i64) } != 0 {
            eprintln!("no-op-intel: {}", std::io::Error::last_os_error());
            std::process::exit(2);
        }
        Self {
            file,
            state: Mutex::default(),
            signalled: Condvar::new(),
        }
    }

    /// The file that stands for the render node.
    pub(crate) fn file(&self) -> RawFd {
        self.file
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for something that needs no more than one.
    pub(crate) fn number(&self) -> u32 {
        let mut state = self.lock();
        state.last += 1;
        state.last
    }

    /// A new buffer object.
    pub(crate) fn create_buffer(&self, size: u64) -> Result<u32, c_int> {
        let mut state = self.lock();
        let offset = state.end;
        let end = size
            .checked_next_multiple_of(ALIGNMENT)
            .and_then(|size| offset.checked_add(size))
            .filter(|&end| size > 0 && end <= FILE_BYTES)
            .ok_or(libc::ENOMEM)?;
        state.end = end;
        state.last += 1;
        let handle = state.last;
        state.buffers.insert(handle, Buffer { offset, size });
        Ok(handle)
    }

    /// Where a buffer object is in the file.
    pub(crate) fn buffer_offset(&self, handle: u32) -> Result<u64, c_int> {
        let state = self.lock();
        state
            .buffers
            .get(&handle)
            .map(|buffer| buffer.offset)
            .ok_or(libc::ENOENT)
    }

    /// Gives a buffer object's memory back. Its place is not used again.
    pub(crate) fn close_buffer(&self, handle: u32) -> Result<(), c_int> {
        let buffer = self.lock().buffers.remove(&handle).ok_or(libc::EINVAL)?;
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: a range of our own file. Where it fails the memory stays, which does no harm.
        unsafe { libc::fallocate(self.file, mode, buffer.offset as i64, buffer.size as i64) };
        Ok(())
    }

    /// A new synchronisation object.
    pub(crate) fn create_sync(&self, signalled: bool) -> u32 {
        let mut state = self.lock();
        state.last += 1;
        let handle = state.last;
        state.points.insert(handle, signalled.into());
        handle
    }

    pub(crate) fn destroy_sync(&self, handle: u32) -> Result<(), c_int> {
        let removed = self.lock().points.remove(&handle);
        removed.map(|_| ()).ok_or(libc::EINVAL)
    }

    /// Sets what a synchronisation object has reached: 0 not signalled, 1 signalled, or the point of a timeline.
    pub(crate) fn set(&self, handle: u32, point: u64) -> Result<(), c_int> {
        let mut state = self.lock();
        *state.points.get_mut(&handle).ok_or(libc::ENOENT)? = point;
        drop(state);
        self.signalled.notify_all();
        Ok(())
    }

    /// What a synchronisation object has reached.
    pub(crate) fn point(&self, handle: u32) -> Result<u64, c_int> {
        self.lock().points.get(&handle).copied().ok_or(libc::ENOENT)
    }

    /// Waits until one or all of them have reached their points, or until `deadline` (ns of CLOCK_MONOTONIC): then ETIME.
    /// Gives the number of the first one that has.
    pub(crate) fn wait(
        &self,
        waits: &[(u32, u64)],
        all: bool,
        deadline: i64,
    ) -> Result<usize, c_int> {
        let mut state = self.lock();
        loop {
            let mut reached = Vec::with_capacity(waits.len());
            for &(handle, point) in waits {
                let now = *state.points.get(&handle).ok_or(libc::ENOENT)?;
                reached.push(now >= point.max(1));
            }
            if let Some(first) = reached.iter().position(|&r| r) {
                if !all || reached.iter().all(|&r| r) {
                    return Ok(first);
                }
            }
            let left = deadline.saturating_sub(crate::drm::monotonic() as i64);
            if left <= 0 {
                return Err(libc::ETIME);
            }
            let left = Duration::from_nanos(left as u64);
            state = self
                .signalled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
