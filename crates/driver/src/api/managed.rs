//! Managed memory: prefetching, advice, and what is known of a range.

use crate::boundary::{In, Result};
use crate::core::advice::{ordinal, Said};
use crate::core::pointer::{self, Known};
use crate::core::stream::{Kind, Stream};
use crate::core::{capture, platform, stack};
use cuda_abi::*;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::Arc;
use vulkan::MemoryKind;

/// Finds the managed memory that a range lies in.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
fn managed(dptr: CUdeviceptr, count: usize) -> Result<(Known, Range<u64>)> {
    stack::current()?;
    let known = pointer::find(dptr).ok_or(CUresult::INVALID_VALUE)?;
    let start = known.address;
    let end = start
        .checked_add(count as u64)
        .ok_or(CUresult::INVALID_VALUE)?;
    if known.found.kind != MemoryKind::Managed
        || count == 0
        || end > known.found.base + known.found.size
    {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok((known, start..end))
}

/// Notes something about a range of managed memory.
fn note(dptr: CUdeviceptr, count: usize, said: Said) -> Result {
    let (known, range) = managed(dptr, count)?;
    let state = known.state.as_ref().ok_or(CUresult::INVALID_VALUE)?;
    state
        .memory
        .with_advice(&known.found, |advice| advice.say(range, said));
    Ok(())
}

/// The place that a device ordinal stands for where -1 is the host.
///
/// # Errors
/// `CUDA_ERROR_INVALID_DEVICE`.
fn place(device: CUdevice) -> Result<CUmemLocation> {
    let kind = match device {
        CU_DEVICE_CPU => CUmemLocationType::HOST,
        _ => CUmemLocationType::DEVICE,
    };
    let id = device.max(0);
    checked(CUmemLocation {
        kind,
        id: if device < CU_DEVICE_CPU { device } else { id },
    })
}

/// A place that memory can be at.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`; `CUDA_ERROR_INVALID_DEVICE` for a device that there is not.
fn checked(location: CUmemLocation) -> Result<CUmemLocation> {
    use CUmemLocationType as L;
    match location.kind {
        L::DEVICE => platform::device(location.id).map(|_| location),
        L::HOST | L::HOST_NUMA_CURRENT => Ok(location),
        L::HOST_NUMA if location.id >= 0 => Ok(location),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Managed memory is where host and device both reach it; there is nothing to move.
fn prefetch(
    dptr: CUdeviceptr,
    count: usize,
    to: Result<CUmemLocation>,
    stream: CUstream,
) -> Result {
    Stream::from_handle(stream)?.refuse_while_capturing()?;
    managed(dptr, count)?;
    note(dptr, count, Said::Prefetched(to?))
}

pub fn cuMemPrefetchAsync(
    dptr: CUdeviceptr,
    count: usize,
    device: CUdevice,
    stream: CUstream,
) -> Result {
    prefetch(dptr, count, place(device), stream)
}

pub fn cuMemPrefetchAsync_v2(
    dptr: CUdeviceptr,
    count: usize,
    location: CUmemLocation,
    flags: u32,
    stream: CUstream,
) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    prefetch(dptr, count, checked(location), stream)
}

/// Whether a piece of advice is about a place.
fn has_place(advice: CUmem_advise) -> bool {
    use CUmem_advise as A;
    matches!(
        advice,
        A::SET_PREFERRED_LOCATION | A::SET_ACCESSED_BY | A::UNSET_ACCESSED_BY
    )
}

/// Advice is kept to be asked for; managed memory does not move.
fn advise(
    dptr: CUdeviceptr,
    count: usize,
    advice: CUmem_advise,
    location: Result<CUmemLocation>,
) -> Result {
    advice.name().ok_or(CUresult::INVALID_VALUE)?;
    capture::refuse_unsafe_call()?;
    managed(dptr, count)?;
    let location = match has_place(advice) {
        true => location?,
        false => CUmemLocation::default(),
    };
    note(dptr, count, Said::Advised(advice, location))
}

pub fn cuMemAdvise(
    dptr: CUdeviceptr,
    count: usize,
    advice: CUmem_advise,
    device: CUdevice,
) -> Result {
    advise(dptr, count, advice, place(device))
}

pub fn cuMemAdvise_v2(
    dptr: CUdeviceptr,
    count: usize,
    advice: CUmem_advise,
    location: CUmemLocation,
) -> Result {
    // A place of no kind is wrong, whether or not the advice is about one.
    let location = checked(location).map_err(|_| CUresult::INVALID_VALUE)?;
    advise(dptr, count, advice, Ok(location))
}

pub fn cuMemRangeGetAttribute(
    data: *mut c_void,
    data_size: usize,
    attribute: CUmem_range_attribute,
    dptr: CUdeviceptr,
    count: usize,
) -> Result {
    use CUmem_range_attribute as A;
    let (known, range) = managed(dptr, count)?;
    attribute.name().ok_or(CUresult::INVALID_VALUE)?;
    let one = attribute != A::ACCESSED_BY;
    if data.is_null() || data_size == 0 || data_size % 4 != 0 || (one && data_size != 4) {
        return Err(CUresult::INVALID_VALUE);
    }
    let state = known.state.as_ref().ok_or(CUresult::INVALID_VALUE)?;
    let values = state.memory.with_advice(&known.found, |advice| {
        let place = |location: Option<CUmemLocation>, part: fn(CUmemLocation) -> i32| match location
        {
            Some(location) => part(location),
            None => CU_DEVICE_INVALID,
        };
        let device = |location| match location {
            Some(CUmemLocation {
                kind: CUmemLocationType::HOST_NUMA | CUmemLocationType::HOST_NUMA_CURRENT,
                ..
            }) => CU_DEVICE_INVALID,
            location => place(location, ordinal),
        };
        // The host has no number.
        let number: fn(CUmemLocation) -> i32 = |at| match at.kind {
            CUmemLocationType::HOST => CU_DEVICE_CPU,
            _ => at.id,
        };
        let kind = |location: Option<CUmemLocation>| location.map_or(0, |at| at.kind.0 as i32);
        match attribute {
            A::READ_MOSTLY => vec![i32::from(advice.read_mostly(range))],
            A::PREFERRED_LOCATION => vec![device(advice.preferred(range))],
            A::LAST_PREFETCH_LOCATION => vec![device(advice.prefetched(range))],
            A::PREFERRED_LOCATION_TYPE => vec![kind(advice.preferred(range))],
            A::LAST_PREFETCH_LOCATION_TYPE => vec![kind(advice.prefetched(range))],
            A::PREFERRED_LOCATION_ID => vec![place(advice.preferred(range), number)],
            A::LAST_PREFETCH_LOCATION_ID => vec![place(advice.prefetched(range), number)],
            _ => advice.accessed_by(range),
        }
    });
    // Where fewer devices are known than have room, the rest are none.
    let rest = std::iter::repeat(CU_DEVICE_INVALID);
    for (index, value) in values
        .into_iter()
        .chain(rest)
        .take(data_size / 4)
        .enumerate()
    {
        // SAFETY: by the API's contract `data` has room for `data_size` bytes.
        unsafe { (data as *mut i32).add(index).write_unaligned(value) };
    }
    Ok(())
}

pub fn cuMemRangeGetAttributes(
    data: In<*mut c_void>,
    data_sizes: In<usize>,
    attributes: In<CUmem_range_attribute>,
    num_attributes: usize,
    dptr: CUdeviceptr,
    count: usize,
) -> Result {
    if num_attributes == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    (0..num_attributes).try_for_each(|i| {
        cuMemRangeGetAttribute(
            data.at(i)?,
            data_sizes.at(i)?,
            attributes.at(i)?,
            dptr,
            count,
        )
    })
}

/// A stream for a batch: it is not the legacy stream.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
pub(super) fn batch_stream(stream: CUstream) -> Result<Arc<Stream>> {
    let stream = Stream::from_handle(stream)?;
    match stream.kind {
        Kind::Legacy => Err(CUresult::INVALID_VALUE),
        _ => Ok(stream),
    }
}

/// Checks that every range is of managed memory, which is where host and device both reach it.
fn all_managed(dptrs: In<CUdeviceptr>, sizes: In<usize>, count: usize, flags: u64) -> Result {
    if flags != 0 || count == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    (0..count).try_for_each(|index| managed(dptrs.at(index)?, sizes.at(index)?).map(|_| ()))
}

pub fn cuMemPrefetchBatchAsync(
    dptrs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    locations: In<CUmemLocation>,
    location_indices: In<usize>,
    num_locations: usize,
    flags: u64,
    stream: CUstream,
) -> Result {
    let locations = locations.all(num_locations)?;
    let firsts = location_indices.all(num_locations)?;
    batch_stream(stream)?.refuse_while_capturing()?;
    all_managed(dptrs, sizes, count, flags)?;
    // Of locations that begin at the same range the last one counts.
    let ascending = firsts.windows(2).all(|pair| pair[0] <= pair[1]);
    if firsts.first() != Some(&0) || !ascending || firsts.last() >= Some(&count) {
        return Err(CUresult::INVALID_VALUE);
    }
    let places: Result<Vec<CUmemLocation>> = locations.into_iter().map(checked).collect();
    let places = places.map_err(|_| CUresult::INVALID_VALUE)?;
    for index in 0..count {
        // The last location whose first range is not behind this one.
        let place = firsts.partition_point(|&first| first <= index) - 1;
        let said = Said::Prefetched(places[place]);
        note(dptrs.at(index)?, sizes.at(index)?, said)?;
    }
    Ok(())
}

pub use cuMemPrefetchBatchAsync as cuMemDiscardAndPrefetchBatchAsync;

/// What is discarded may keep its contents.
pub fn cuMemDiscardBatchAsync(
    dptrs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    flags: u64,
    stream: CUstream,
) -> Result {
    batch_stream(stream)?.refuse_while_capturing()?;
    all_managed(dptrs, sizes, count, flags)
}
