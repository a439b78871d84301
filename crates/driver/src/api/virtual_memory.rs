//! Virtual memory management: addresses and memory apart.

use crate::boundary::{In, Out, Result};
use crate::core::platform::platform;
use crate::core::virtual_memory::{self, Memory};
use cuda_abi::*;
use std::ffi::c_void;

pub fn cuMemAddressReserve(
    ptr: Out<CUdeviceptr>,
    size: usize,
    alignment: usize,
    addr: CUdeviceptr,
    flags: u64,
) -> Result {
    platform()?;
    ptr.required()?;
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    ptr.set(virtual_memory::reserve(
        size as u64,
        alignment as u64,
        addr,
    )?)
}

pub fn cuMemAddressFree(ptr: CUdeviceptr, size: usize) -> Result {
    platform()?;
    virtual_memory::free(ptr, size as u64)
}

/// Compression is a wish that is not granted, as `cuMemGetAllocationPropertiesFromHandle` tells.
pub fn cuMemCreate(
    handle: Out<CUmemGenericAllocationHandle>,
    size: usize,
    prop: In<CUmemAllocationProp>,
    flags: u64,
) -> Result {
    platform()?;
    handle.required()?;
    let device = virtual_memory::device_of(&prop.get()?)?;
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    handle.set(Memory::create(device, size as u64)?)
}

pub fn cuMemRelease(handle: CUmemGenericAllocationHandle) -> Result {
    platform()?;
    Memory::release(handle)
}

pub fn cuMemMap(
    ptr: CUdeviceptr,
    size: usize,
    offset: usize,
    handle: CUmemGenericAllocationHandle,
    flags: u64,
) -> Result {
    platform()?;
    let memory = Memory::from_handle(handle)?;
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    virtual_memory::map(ptr, size as u64, offset as u64, memory)
}

pub fn cuMemUnmap(ptr: CUdeviceptr, size: usize) -> Result {
    platform()?;
    virtual_memory::unmap(ptr, size as u64)
}

/// Memory that may only be read can be written all the same: Vulkan's memory has no protection.
pub fn cuMemSetAccess(
    ptr: CUdeviceptr,
    size: usize,
    desc: In<CUmemAccessDesc>,
    count: usize,
) -> Result {
    platform()?;
    virtual_memory::set_access(ptr, size as u64, &desc.all(count)?)
}

pub fn cuMemGetAccess(flags: Out<u64>, location: In<CUmemLocation>, ptr: CUdeviceptr) -> Result {
    platform()?;
    flags.required()?;
    let location = location.get()?;
    let place = virtual_memory::find(ptr).ok_or(CUresult::INVALID_VALUE)?;
    let mapped = place.mapped.ok_or(CUresult::INVALID_VALUE)?;
    use CUmemLocationType as L;
    match location.kind {
        L::DEVICE => {}
        // The host does not reach memory of a device.
        L::HOST | L::HOST_NUMA => return flags.set(CUmemAccess_flags::NONE.0.into()),
        _ => return Err(CUresult::INVALID_DEVICE),
    }
    let own = crate::core::platform::device(location.id)?.ordinal == place.device.ordinal;
    flags.set(match own {
        true => mapped.access.0.into(),
        false => CUmemAccess_flags::NONE.0.into(),
    })
}

/// It is the same for all memory, whatever the properties are: `cuMemCreate` looks at them.
pub fn cuMemGetAllocationGranularity(
    granularity: Out<usize>,
    prop: In<CUmemAllocationProp>,
    option: CUmemAllocationGranularity_flags,
) -> Result {
    platform()?;
    granularity.required()?;
    prop.get()?;
    option.name().ok_or(CUresult::INVALID_VALUE)?;
    granularity.set(vulkan::GRANULARITY as usize)
}

pub fn cuMemGetAllocationPropertiesFromHandle(
    prop: Out<CUmemAllocationProp>,
    handle: CUmemGenericAllocationHandle,
) -> Result {
    platform()?;
    let memory = Memory::from_handle(handle)?;
    prop.set(CUmemAllocationProp {
        kind: CUmemAllocationType::PINNED,
        requestedHandleTypes: 0,
        location: CUmemLocation {
            kind: CUmemLocationType::DEVICE,
            id: memory.device.ordinal,
        },
        win32HandleMetaData: std::ptr::null_mut(),
        compressionType: 0,
        gpuDirectRDMACapable: 0,
        usage: 0,
        reserved: [0; 4],
    })
}

/// Memory is never made to be shared, so that there is no type of handle that it can have.
pub fn cuMemExportToShareableHandle(
    _shareable_handle: *mut c_void,
    handle: CUmemGenericAllocationHandle,
    handle_type: CUmemAllocationHandleType,
    _flags: u64,
) -> Result {
    platform()?;
    Memory::from_handle(handle)?;
    tracing::warn!(
        "cuMemExportToShareableHandle: {handle_type:?}: memory is not shared between processes"
    );
    Err(CUresult::INVALID_VALUE)
}

pub fn cuMemRetainAllocationHandle(
    handle: Out<CUmemGenericAllocationHandle>,
    addr: *mut c_void,
) -> Result {
    platform()?;
    handle.required()?;
    handle.set(virtual_memory::retain(addr as u64)?)
}
