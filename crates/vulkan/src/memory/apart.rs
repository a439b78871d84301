//! Keeps the addresses of several devices apart.
//!
//! CUDA's addresses are the process's: a copy between two pointers finds out by itself on which devices they lie. Each Vulkan
//! device has an address space of its own, in which drivers may well begin at the same number. So every block is entered here, and
//! a block whose addresses another device already has is made again, at others, while what the driver gave first is occupied: by
//! sparse buffers, which cost no memory and stay, else by memory until a place is found. Vulkan has no way to ask for addresses; where
//! all fails, addresses are ambiguous, which is logged, and an address means memory of the current context's device.

use super::block::Block;
use crate::error::Error;
use crate::raw::Raw;
use ash::vk;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// How often a block is made again.
const TRIES: usize = 32;

/// The addresses of all blocks of the process: the end and the device of each by its first address. They do not overlap: a block
/// that does, since it could not be helped, is not entered.
static RANGES: Mutex<BTreeMap<u64, (u64, usize)>> = Mutex::new(BTreeMap::new());

/// A range of addresses that is a device's.
#[derive(Debug)]
pub(super) struct Entered {
    start: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        RANGES.lock().remove(&self.start);
    }
}

fn device(raw: &Arc<Raw>) -> usize {
    Arc::as_ptr(raw) as usize
}

/// Enters a range unless it overlaps one of another device, whose end is the error then.
fn enter(start: u64, size: u64, device: usize) -> Result<Entered, u64> {
    let end = start.saturating_add(size);
    let mut ranges = RANGES.lock();
    let other = ranges
        .range(..end)
        .rev()
        .take_while(|(_, &(other_end, _))| other_end > start)
        .find(|(_, &(_, owner))| owner != device);
    if let Some((_, &(other_end, _))) = other {
        return Err(other_end);
    }
    ranges.insert(start, (end, device));
    Ok(Entered { start })
}

/// A sparse buffer without memory, which occupies addresses.
pub(super) struct Filler {
    raw: Arc<Raw>,
    buffer: vk::Buffer,
}

impl Filler {
    /// Occupies `size` bytes, and says where; `None` where the device has no such buffers, or none of that size.
    fn new(raw: &Arc<Raw>, size: u64) -> Option<(Self, u64)> {
        let limits = raw.physical.limits();
        let longest = limits.sparse_address_space.min(limits.buffer_size);
        let has = raw.physical.features.core.sparse_residency_buffer == vk::TRUE;
        if !has || size == 0 || size > longest {
            return None;
        }
        let buffer = raw
            .create_buffer(size, raw.reservation_flags(), false)
            .ok()?;
        let filler = Self {
            raw: Arc::clone(raw),
            buffer,
        };
        let address = raw.buffer_address(buffer);
        Some((filler, address))
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // SAFETY: nothing ever uses the buffer.
        unsafe { self.raw.vk.destroy_buffer(self.buffer, None) };
    }
}

/// Makes a block whose addresses no other device has.
///
/// # Errors
/// Those of `make` at its first call.
pub(super) fn make<T>(
    raw: &Arc<Raw>,
    fillers: &Mutex<Vec<Filler>>,
    make: impl Fn() -> Result<(Block, T), Error>,
) -> Result<(Block, T), Error> {
    let (mut block, mut more) = make()?;
    let mut occupied = Vec::new();
    loop {
        let end = match enter(block.address, block.size, device(raw)) {
            Ok(entered) => {
                block.entered = Some(entered);
                return Ok((block, more));
            }
            Err(end) => end,
        };
        // Behind the block that was just made, up to the end of what the other device has there.
        let after = block.address.saturating_add(block.size);
        if let Some((filler, address)) = Filler::new(raw, end.saturating_sub(after)) {
            if address < end {
                fillers.lock().push(filler);
            }
        }
        match make() {
            Ok(again) if occupied.len() < TRIES => {
                occupied.push(std::mem::replace(&mut block, again.0));
                more = again.1;
            }
            _ => break,
        }
    }
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            device = raw.physical.name(),
            address = format_args!("{:#x}", block.address),
            "two devices have the same addresses: where a call names no context, the current one's memory is meant"
        );
    }
    Ok((block, more))
}

/// Claims a range for a device that does not exist, for tests of what happens then; `None` where another has it.
#[cfg(test)]
pub(crate) fn claim(start: u64, size: u64) -> Option<impl Drop> {
    enter(start, size, usize::MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_other_devices_are_found() {
        // Far from every address that a device of the tests gets.
        let base = 0x00ff_0000_0000_0000;
        let one = enter(base + 100, 100, 1).unwrap();
        let two = enter(base + 300, 100, 1).unwrap();
        assert_eq!(enter(base, 101, 2).unwrap_err(), base + 200);
        assert_eq!(enter(base + 150, 10, 2).unwrap_err(), base + 200);
        assert_eq!(enter(base + 399, 10, 2).unwrap_err(), base + 400);
        assert_eq!(enter(base, 1000, 2).unwrap_err(), base + 400);
        let between = enter(base + 200, 100, 2).unwrap();
        let before = enter(base, 100, 2).unwrap();
        assert_eq!(enter(base + 250, 10, 1).unwrap_err(), base + 300);
        // A device's own range does not hide another's behind it.
        assert_eq!(enter(base + 180, 300, 2).unwrap_err(), base + 400);
        drop((one, two, between));
        let all = enter(base + 100, 900, 2).unwrap();
        drop((all, before));
        drop(enter(base, 1000, 3).unwrap());
    }
}
