//! Addresses and memory apart: `cuMemAddressReserve`, `cuMemCreate`, `cuMemMap`.
//!
//! Both are the process's, not a context's. A reservation takes addresses of one device, that of the current context (else the
//! first), and only that device's memory can be mapped there: Vulkan devices do not share addresses. What is mapped becomes
//! reachable when its access is set; only then Vulkan is told.

use crate::boundary::Result;
use crate::core::device::Device;
use crate::core::platform;
use crate::core::registry::Registry;
use crate::core::stack;
use crate::core::status::IntoCuda;
use cuda_abi::*;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use vulkan::{Backing, Mapping, Reservation, GRANULARITY};

/// Memory without an address.
pub struct Memory {
    /// Where it is.
    pub device: &'static Device,
    /// A number that no other memory of the process has had.
    pub id: u64,
    backing: Arc<Backing>,
    /// How often `cuMemRelease` is still to be called.
    handles: Mutex<u64>,
}

/// All memory that has a handle.
static MEMORY: Registry<Memory> = Registry::new();

/// All reservations by their first address.
static RANGES: RwLock<BTreeMap<u64, Range>> = RwLock::new(BTreeMap::new());

/// A reservation.
struct Range {
    device: &'static Device,
    reservation: Arc<Reservation>,
    /// Bytes, as asked for.
    size: u64,
    /// By the first address.
    parts: BTreeMap<u64, Part>,
}

/// What one call of `cuMemMap` made.
struct Part {
    size: u64,
    memory: Arc<Memory>,
    access: CUmemAccess_flags,
    /// Where access is not none.
    mapping: Option<Mapping>,
}

/// What lies at an address of a reservation.
#[derive(Clone, Copy)]
pub struct Place {
    /// The device whose address it is.
    pub device: &'static Device,
    /// First address and bytes of the reservation.
    pub reserved: (u64, u64),
    /// What is mapped there.
    pub mapped: Option<Mapped>,
}

/// A mapping.
#[derive(Clone, Copy)]
pub struct Mapped {
    /// Its first address.
    pub base: u64,
    /// Its bytes.
    pub size: u64,
    /// The memory's number ([`Memory::id`]).
    pub memory: u64,
    /// What its device may do.
    pub access: CUmemAccess_flags,
}

/// What lies at an address, if it is one of a reservation.
pub fn find(address: u64) -> Option<Place> {
    let ranges = RANGES.read();
    let (&base, range) = ranges.range(..=address).next_back()?;
    if address - base >= range.size {
        return None;
    }
    let mapped = range.part(address).map(|(base, part)| Mapped {
        base,
        size: part.size,
        memory: part.memory.id,
        access: part.access,
    });
    Some(Place {
        device: range.device,
        reserved: (base, range.size),
        mapped,
    })
}

/// Checks what memory is to be, and finds its device.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`, `CUDA_ERROR_INVALID_DEVICE`; `CUDA_ERROR_NOT_PERMITTED` for memory to share over a fabric, as on
/// NVIDIA where none is set up; `CUDA_ERROR_NOT_SUPPORTED` for memory of the host, memory to share with other processes, and uses
/// that the device attributes deny.
pub fn device_of(properties: &CUmemAllocationProp) -> Result<&'static Device> {
    use CUmemLocationType as L;
    let not_supported = |what: &str| {
        tracing::warn!("memory without an address: {what} is not supported");
        Err(CUresult::NOT_SUPPORTED)
    };
    let device = match properties.location.kind {
        L::DEVICE => platform::device(properties.location.id)?,
        L::HOST | L::HOST_NUMA => return not_supported("the host's"),
        _ => return Err(CUresult::INVALID_VALUE),
    };
    if properties.kind != CUmemAllocationType::PINNED || !properties.win32HandleMetaData.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    match CUmemAllocationHandleType(properties.requestedHandleTypes) {
        CUmemAllocationHandleType::NONE => {}
        CUmemAllocationHandleType::POSIX_FILE_DESCRIPTOR => {
            return not_supported("to share with other processes")
        }
        CUmemAllocationHandleType::FABRIC => {
            tracing::warn!("memory without an address: there is no fabric to share it over");
            return Err(CUresult::NOT_PERMITTED);
        }
        _ => return Err(CUresult::INVALID_VALUE),
    }
    if properties.gpuDirectRDMACapable != 0 {
        return not_supported("for RDMA");
    }
    if properties.usage != 0 {
        return not_supported("for sparse arrays or decompression");
    }
    if device.physical.longest_reservation() == 0 {
        return not_supported("of this device");
    }
    Ok(device)
}

impl Memory {
    /// `cuMemCreate`: memory of a device, with one handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a size that is 0 or no multiple of the granularity; `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn create(device: &'static Device, size: u64) -> Result<CUmemGenericAllocationHandle> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if size == 0 || size % GRANULARITY != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        platform::close_at_exit();
        let backing = device.open()?.vulkan.create_backing(size).cuda()?;
        let memory = Arc::new(Self {
            device,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            backing,
            handles: Mutex::new(1),
        });
        Ok(MEMORY.insert(memory) as u64)
    }

    /// The memory of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: CUmemGenericAllocationHandle) -> Result<Arc<Self>> {
        MEMORY
            .get(handle as usize)
            .map_err(|_| CUresult::INVALID_VALUE)
    }

    /// `cuMemRelease`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn release(handle: CUmemGenericAllocationHandle) -> Result {
        let memory = Self::from_handle(handle)?;
        let mut handles = memory.handles.lock();
        *handles = handles.checked_sub(1).ok_or(CUresult::INVALID_VALUE)?;
        if *handles == 0 {
            let _ = MEMORY.remove(handle as usize);
        }
        Ok(())
    }

    /// One more handle, which is the same number.
    fn retain(self: &Arc<Self>) -> CUmemGenericAllocationHandle {
        let mut handles = self.handles.lock();
        *handles += 1;
        MEMORY.insert(self.clone()) as u64
    }
}

/// `cuMemRetainAllocationHandle`.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` where nothing is mapped.
pub fn retain(address: u64) -> Result<CUmemGenericAllocationHandle> {
    let ranges = RANGES.read();
    let part = holding(&ranges, address).and_then(|(_, range)| range.part(address));
    let (_, part) = part.ok_or(CUresult::INVALID_VALUE)?;
    Ok(part.memory.retain())
}

fn holding(ranges: &BTreeMap<u64, Range>, address: u64) -> Option<(u64, &Range)> {
    let (&base, range) = ranges.range(..=address).next_back()?;
    (address - base < range.size).then_some((base, range))
}

/// `cuMemAddressReserve`: the first address.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`, `CUDA_ERROR_OUT_OF_MEMORY`, `CUDA_ERROR_NOT_SUPPORTED`.
pub fn reserve(size: u64, alignment: u64, wanted: u64) -> Result<u64> {
    if size == 0
        || size % GRANULARITY != 0
        || wanted % GRANULARITY != 0
        || !(alignment == 0 || alignment.is_power_of_two())
    {
        return Err(CUresult::INVALID_VALUE);
    }
    let device = match stack::top()? {
        Some(context) => context.device,
        None => platform::device(0)?,
    };
    platform::close_at_exit();
    let reservation = device
        .open()?
        .vulkan
        .reserve(size, alignment.max(GRANULARITY), wanted)
        .cuda()?;
    let address = reservation.address();
    let range = Range {
        device,
        reservation,
        size,
        parts: BTreeMap::new(),
    };
    RANGES.write().insert(address, range);
    Ok(address)
}

/// `cuMemAddressFree`.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for anything but a whole reservation in which nothing is mapped.
pub fn free(address: u64, size: u64) -> Result {
    let mut ranges = RANGES.write();
    match ranges.get(&address) {
        Some(range) if range.size == size && range.parts.is_empty() => {
            ranges.remove(&address);
            Ok(())
        }
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// `cuMemMap`: the whole of memory.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`; `CUDA_ERROR_NOT_SUPPORTED` for a part of memory, as on NVIDIA, and for memory of another device.
pub fn map(address: u64, size: u64, offset: u64, memory: Arc<Memory>) -> Result {
    if size == 0 || (size | address) % GRANULARITY != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    if size != memory.backing.size() || offset != 0 {
        tracing::warn!("cuMemMap: a part of memory cannot be mapped");
        return Err(CUresult::NOT_SUPPORTED);
    }
    let end = address.checked_add(size).ok_or(CUresult::INVALID_VALUE)?;
    let mut ranges = RANGES.write();
    let (&base, range) = ranges
        .range_mut(..=address)
        .next_back()
        .ok_or(CUresult::INVALID_VALUE)?;
    let inside = end <= base + range.size && (address - base) % GRANULARITY == 0;
    if !inside || range.touched(address, end).next().is_some() {
        return Err(CUresult::INVALID_VALUE);
    }
    if memory.device.ordinal != range.device.ordinal {
        tracing::warn!(
            "cuMemMap: memory of device {} at addresses of device {} is not supported",
            memory.device.ordinal,
            range.device.ordinal
        );
        return Err(CUresult::NOT_SUPPORTED);
    }
    let part = Part {
        size,
        memory,
        access: CUmemAccess_flags::NONE,
        mapping: None,
    };
    range.parts.insert(address, part);
    Ok(())
}

/// `cuMemUnmap`: the whole mappings of a range; addresses without any stay as they are, and so does what lies behind the
/// reservation.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for a range of nothing, that begins in no reservation, or has a part of a mapping.
pub fn unmap(address: u64, size: u64) -> Result {
    wait_for(address)?;
    let mut ranges = RANGES.write();
    let (range, parts) = whole(&mut ranges, address, size)?;
    for part in parts {
        range.parts.remove(&part);
    }
    Ok(())
}

/// `cuMemSetAccess`.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` unless the range is whole mappings, the first at its begin and the last at its end, and for a
/// device that there is not;
/// `CUDA_ERROR_NOT_SUPPORTED` for the host or another device than the memory's, and where memory cannot have a second address.
pub fn set_access(address: u64, size: u64, wanted: &[CUmemAccessDesc]) -> Result {
    if wanted.is_empty() {
        return Err(CUresult::INVALID_VALUE);
    }
    let mut flags = None;
    let own = find(address).ok_or(CUresult::INVALID_VALUE)?.device;
    for wanted in wanted {
        wanted.flags.name().ok_or(CUresult::INVALID_VALUE)?;
        use CUmemLocationType as L;
        let device = match wanted.location.kind {
            L::DEVICE => platform::device(wanted.location.id),
            L::HOST | L::HOST_NUMA => {
                tracing::warn!("cuMemSetAccess: the host does not reach memory of a device");
                return Err(CUresult::NOT_SUPPORTED);
            }
            _ => Err(CUresult::INVALID_VALUE),
        };
        let device = device.map_err(|_| CUresult::INVALID_VALUE)?;
        if device.ordinal == own.ordinal {
            flags = Some(wanted.flags);
        } else if wanted.flags != CUmemAccess_flags::NONE {
            tracing::warn!(
                "cuMemSetAccess: device {} does not reach memory of device {}",
                wanted.location.id,
                own.ordinal
            );
            return Err(CUresult::NOT_SUPPORTED);
        }
    }
    if flags == Some(CUmemAccess_flags::NONE) {
        wait_for(address)?;
    }
    let mut ranges = RANGES.write();
    let (range, parts) = whole(&mut ranges, address, size)?;
    let last = parts.last().map(|last| last + range.parts[last].size);
    if parts.first() != Some(&address) || last != address.checked_add(size) {
        return Err(CUresult::INVALID_VALUE);
    }
    let Some(flags) = flags else {
        return Ok(());
    };
    let base = range.reservation.address();
    let mut made = Vec::new();
    for &start in &parts {
        let part = &range.parts[&start];
        let reachable = flags != CUmemAccess_flags::NONE;
        made.push(match reachable && part.mapping.is_none() {
            true => Some(
                range
                    .reservation
                    .map(start - base, &part.memory.backing, part.size)
                    .cuda()?,
            ),
            false => None,
        });
    }
    for (start, mapping) in parts.iter().zip(made) {
        if let Some(part) = range.parts.get_mut(start) {
            part.access = flags;
            match mapping {
                Some(mapping) => part.mapping = Some(mapping),
                None if flags == CUmemAccess_flags::NONE => part.mapping = None,
                None => {}
            }
        }
    }
    Ok(())
}

/// Waits for what may use an address that is about to be taken away. A device with a sticky error runs nothing any more.
fn wait_for(address: u64) -> Result {
    let device = find(address).ok_or(CUresult::INVALID_VALUE)?.device;
    if let Err(error) = device.open()?.vulkan.synchronize() {
        tracing::debug!(%error, "before addresses are taken away");
    }
    Ok(())
}

/// The reservation that a range begins in, and where each mapping in the range begins.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for a range of nothing, that begins in no reservation, or has a part of a mapping.
fn whole(
    ranges: &mut BTreeMap<u64, Range>,
    address: u64,
    size: u64,
) -> Result<(&mut Range, Vec<u64>)> {
    let end = address.checked_add(size).ok_or(CUresult::INVALID_VALUE)?;
    let (&base, range) = ranges
        .range_mut(..=address)
        .next_back()
        .ok_or(CUresult::INVALID_VALUE)?;
    let inside = |&(start, part): &(u64, &Part)| address <= start && start + part.size <= end;
    let mut touched = range.touched(address, end);
    if size == 0 || address - base >= range.size || !touched.all(|part| inside(&part)) {
        return Err(CUresult::INVALID_VALUE);
    }
    drop(touched);
    let parts = range.touched(address, end).map(|(start, _)| start);
    let parts = parts.collect();
    Ok((range, parts))
}

impl Range {
    /// The mapping that holds an address, with where it begins.
    fn part(&self, address: u64) -> Option<(u64, &Part)> {
        let (&base, part) = self.parts.range(..=address).next_back()?;
        (address - base < part.size).then_some((base, part))
    }

    /// What is mapped between two addresses, in part at least.
    fn touched(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &Part)> {
        let first = self.part(start).map_or(start, |(first, _)| first);
        let parts = self.parts.range(first..end.max(first));
        parts.map(|(&start, part)| (start, part))
    }
}

/// Lets go of everything: the process ends.
pub fn close() {
    RANGES.write().clear();
    MEMORY.remove_if(|_| true);
}
