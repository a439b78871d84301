//! Copies between the host's pageable memory and device addresses.
//!
//! | | memory is mapped (unified, pinned) | memory of a card |
//! |---|---|---|
//! | write | memcpy when the stream is idle; small ones go through the ring while it is busy, large ones wait | small ones by memcpy when the stream is idle and the memory is mapped; else through the ring or, in pieces, the staging ring |
//! | read | wait, memcpy | in pieces through two halves of a cached buffer, the next copy running during the memcpy |

use super::ring::Ring;
use super::state::{State, Step};
use super::Stream;
use crate::error::Error;
use crate::memory::Entry;
use crate::MemoryKind;
use std::sync::Arc;

/// Writes of at most this many bytes go through the parameter ring.
const SMALL_WRITE: usize = 64 << 10;

/// Bytes of the staging ring.
const STAGING_RING: u64 = 32 << 20;

/// Bytes of one copy through the staging ring.
const STAGING_PIECE: usize = 4 << 20;

/// Bytes of one half of the buffer for reads.
const READ_PIECE: usize = 4 << 20;

impl Stream {
    /// Copies host memory to a device address. `data` may be reused when the call returns; the copy itself is ordered in
    /// the stream and may still be under way. Long copies wait for room in the staging ring.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        if data.is_empty() {
            return self.shared().raw.check();
        }
        let entry = self.shared().memory.entry(address, data.len() as u64)?;
        if let Some(host) = entry.host_at(address) {
            return self.write_mapped(&entry, address, host, data);
        }
        if data.len() <= SMALL_WRITE {
            return match entry.window_at(address) {
                Some(window) => self.write_mapped(&entry, address, window, data),
                None => self.write_small(&entry, address, data),
            };
        }
        for (index, piece) in data.chunks(STAGING_PIECE).enumerate() {
            self.write_staged(&entry, address + (index * STAGING_PIECE) as u64, piece)?;
        }
        Ok(())
    }

    fn write_mapped(
        &self,
        entry: &Arc<Entry>,
        address: u64,
        host: *mut u8,
        data: &[u8],
    ) -> Result<(), Error> {
        self.run(|state| {
            if state.is_idle() {
                state.retire();
                // SAFETY: the range lies within the mapping, and no work of this stream is outstanding; what other streams
                // do with it is the program's to order, as in CUDA.
                unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), host, data.len()) };
                return Ok(Step::Done(()));
            }
            if data.len() <= SMALL_WRITE {
                return self.append_small(state, entry, address, data);
            }
            if let Step::Blocked(value) = state.begin_waits()? {
                return Ok(Step::Blocked(value));
            }
            Ok(Step::Blocked(self.inner.timeline.reserved()))
        })
    }

    fn write_small(&self, entry: &Arc<Entry>, address: u64, data: &[u8]) -> Result<(), Error> {
        self.run(|state| self.append_small(state, entry, address, data))
    }

    fn append_small(
        &self,
        state: &mut State,
        entry: &Arc<Entry>,
        address: u64,
        data: &[u8],
    ) -> Result<Step<()>, Error> {
        if let Step::Blocked(value) = state.begin()? {
            return Ok(Step::Blocked(value));
        }
        let Some(place) = state.parameters.write(data, 16) else {
            return Ok(Step::Blocked(state.oldest()));
        };
        let (encoder, batch) = state.encoder();
        encoder.barrier();
        encoder.copy(&entry.spans(address, data.len() as u64), &[place.span]);
        batch.operations += 1;
        state.flush_if_due(self.shared(), &self.inner)?;
        Ok(Step::Done(()))
    }

    /// One piece of a large write. Submitted at once: the device copies while the host fills the next piece.
    fn write_staged(&self, entry: &Arc<Entry>, address: u64, data: &[u8]) -> Result<(), Error> {
        self.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            if state.staging.is_none() {
                let memory = self
                    .shared()
                    .memory
                    .allocate(STAGING_RING, MemoryKind::Host)?;
                state.staging = Some(Ring::new(memory)?);
            }
            let Some(place) = state
                .staging
                .as_mut()
                .and_then(|ring| ring.write(data, 256))
            else {
                return Ok(Step::Blocked(state.oldest()));
            };
            let (encoder, batch) = state.encoder();
            encoder.barrier();
            encoder.copy(&entry.spans(address, data.len() as u64), &[place.span]);
            batch.operations += 1;
            state.close(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Waits for the stream's work and copies device memory to the host.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Error> {
        if data.is_empty() {
            return self.synchronize();
        }
        let entry = self.shared().memory.entry(address, data.len() as u64)?;
        if let Some(host) = entry.host_at(address) {
            self.synchronize()?;
            // SAFETY: the range lies within the mapping, and the stream's work is done.
            unsafe { std::ptr::copy_nonoverlapping(host, data.as_mut_ptr(), data.len()) };
            return Ok(());
        }
        self.read_staged(&entry, address, data)?;
        self.inner.retire();
        self.shared().raw.check()
    }

    fn read_staged(&self, entry: &Arc<Entry>, address: u64, data: &mut [u8]) -> Result<(), Error> {
        let mut readback = self.inner.readback.lock();
        if readback.is_none() {
            *readback = Some(
                self.shared()
                    .memory
                    .allocate(2 * READ_PIECE as u64, MemoryKind::Host)?,
            );
        }
        let memory = readback.as_ref().expect("allocated above");
        let host = memory
            .host()
            .ok_or_else(|| Error::Unsupported("mapped memory for reads".to_owned()))?;
        let mut pending: Option<(u64, usize, &mut [u8])> = None;
        for (index, piece) in data.chunks_mut(READ_PIECE).enumerate() {
            let half = index % 2 * READ_PIECE;
            let start = address + (index * READ_PIECE) as u64;
            let size = piece.len() as u64;
            let value = self.run(|state| {
                if let Step::Blocked(value) = state.begin()? {
                    return Ok(Step::Blocked(value));
                }
                let (encoder, batch) = state.encoder();
                encoder.barrier();
                encoder.copy(&[memory.span(half as u64, size)], &entry.spans(start, size));
                batch.operations += 1;
                let value = batch.value;
                state.close(self.shared(), &self.inner)?;
                Ok(Step::Done(value))
            })?;
            if let Some(before) = pending.replace((value, half, piece)) {
                self.take_piece(host, before)?;
            }
        }
        match pending {
            Some(last) => self.take_piece(host, last),
            None => Ok(()),
        }
    }

    fn take_piece(
        &self,
        host: *mut u8,
        (value, half, piece): (u64, usize, &mut [u8]),
    ) -> Result<(), Error> {
        self.inner.timeline.wait(value)?;
        // SAFETY: the half is `READ_PIECE` bytes of mapped memory that no other read uses (the lock), and its copy is done.
        unsafe { std::ptr::copy_nonoverlapping(host.add(half), piece.as_mut_ptr(), piece.len()) };
        Ok(())
    }
}

/// The staging ring holds several pieces.
const _: () = assert!(STAGING_PIECE as u64 * 4 <= STAGING_RING);
