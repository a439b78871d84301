//! Which devices are near which processors and each other, as far as sysfs tells.

// Pointers are documented by NVML; every function has the same contract (`api.rs`).
#![allow(clippy::missing_safety_doc)]

use crate::boundary::{find, functions, handle_of, put, Handle};
use crate::devices::{self, Device};
use crate::types::Status;

/// The numbers of processors in a list such as `0-3,8`.
fn numbers(list: &str) -> Vec<u32> {
    let ranges = list.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// The processors that are nearest to a device: all of them where sysfs does not know better.
fn nearest(device: &Device) -> Vec<u32> {
    let own = device
        .sensors()
        .ok()
        .and_then(|sensors| sensors.processors());
    let all = || std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    numbers(&own.unwrap_or_else(all))
}

/// Writes handles into an array of `count` places, or how many there are where there is no array.
fn put_all(count: *mut u32, array: *mut Handle, found: &[Handle]) -> Result<(), Status> {
    if count.is_null() {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: the C caller's pointer to the number of places, which is not null.
    let places = unsafe { count.read() } as usize;
    put(count, found.len() as u32)?;
    if array.is_null() {
        return Ok(());
    }
    if places < found.len() {
        return Err(Status::InsufficientSize);
    }
    for (index, &handle) in found.iter().enumerate() {
        // SAFETY: the array has so many places.
        unsafe { array.add(index).write(handle) };
    }
    Ok(())
}

functions! {
    /// The devices to which a processor is near.
    fn nvmlSystemGetTopologyGpuSet(processor: u32, count: *mut u32, array: *mut Handle) {
        let devices = devices::all()?;
        let near = devices.iter().filter(|device| nearest(device).contains(&processor));
        let near: Vec<Handle> = near.map(handle_of).collect();
        put_all(count, array, &near)
    }

    /// The devices that are as near to a device as wanted: how they are connected is not known, so none.
    fn nvmlDeviceGetTopologyNearestGpus(device: Handle, _level: u32, count: *mut u32, array: *mut Handle) {
        find(device)?;
        put_all(count, array, &[])
    }

    /// The processors that are near to a device, a bit each, in words of 64.
    fn nvmlDeviceGetCpuAffinity(device: Handle, words: u32, mask: *mut u64) {
        let near = nearest(&find(device)?);
        if mask.is_null() || words == 0 {
            return Err(Status::InvalidArgument);
        }
        for word in 0..words {
            let own = near.iter().filter(|&&processor| processor / 64 == word);
            let bits = own.fold(0, |bits, processor| bits | 1 << (processor % 64));
            // SAFETY: the C caller's array has so many words.
            unsafe { mask.add(word as usize).write(bits) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(numbers("0-2,8\n"), [0, 1, 2, 8]);
        assert_eq!(numbers(""), [0; 0]);
    }
}
