//! Memory management.

use crate::boundary::{In, Out, Result};
use crate::core::{capture, context, graph_memory, pointer, stack};
use cuda_abi::*;
use std::ffi::c_void;
use vulkan::MemoryKind;

/// What `cuMemAllocPitch` rounds rows to, bytes.
const PITCH_ALIGNMENT: usize = 512;

pub fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) -> Result {
    let info = stack::healthy()?.vulkan.memory_info();
    free.set_if(info.free as usize);
    total.set_if(info.total as usize);
    Ok(())
}

pub fn cuMemAlloc_v2(dptr: Out<CUdeviceptr>, size: usize) -> Result {
    dptr.required()?;
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    dptr.set(state.memory.allocate(size, MemoryKind::Device, None)?)
}

pub fn cuMemAllocPitch_v2(
    dptr: Out<CUdeviceptr>,
    pitch: Out<usize>,
    width_in_bytes: usize,
    height: usize,
    element_size_bytes: u32,
) -> Result {
    if !matches!(element_size_bytes, 4 | 8 | 16) {
        return Err(CUresult::INVALID_VALUE);
    }
    pitch.required()?;
    let row = width_in_bytes
        .checked_next_multiple_of(PITCH_ALIGNMENT)
        .ok_or(CUresult::INVALID_VALUE)?;
    let size = row.checked_mul(height).ok_or(CUresult::INVALID_VALUE)?;
    cuMemAlloc_v2(dptr, size)?;
    pitch.set(row)
}

pub fn cuMemAllocManaged(dptr: Out<CUdeviceptr>, size: usize, flags: u32) -> Result {
    if !matches!(flags, CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST) {
        return Err(CUresult::INVALID_VALUE);
    }
    dptr.required()?;
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    dptr.set(state.memory.allocate(size, MemoryKind::Managed, None)?)
}

pub fn cuMemFree_v2(dptr: CUdeviceptr) -> Result {
    let current = stack::healthy()?;
    if dptr == 0 {
        return Ok(());
    }
    capture::refuse_unsafe_call()?;
    if let Some(memory) = graph_memory::end(dptr) {
        // The graph may still run, and has the memory as long as it exists.
        crate::core::module::synchronize(&current.vulkan)?;
        drop(memory);
        return Ok(());
    }
    // Addresses are the process's, so another context's memory may be freed, too.
    let block = current.memory.take(dptr).or_else(|| {
        context::open_states()
            .iter()
            .find_map(|state| state.memory.take(dptr))
    });
    block.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
}

pub fn cuMemGetAddressRange_v2(
    base: Out<CUdeviceptr>,
    size: Out<usize>,
    dptr: CUdeviceptr,
) -> Result {
    stack::current()?;
    let known = pointer::find(dptr).ok_or(CUresult::NOT_FOUND)?;
    base.set_if(known.found.base);
    size.set_if(known.found.size as usize);
    Ok(())
}

pub fn cuMemAllocHost_v2(pointer: Out<*mut c_void>, size: usize) -> Result {
    cuMemHostAlloc(pointer, size, 0)
}

pub fn cuMemHostAlloc(pointer: Out<*mut c_void>, size: usize, flags: u32) -> Result {
    let known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
    if flags & !known != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    pointer.required()?;
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    pointer.set(state.memory.allocate_host(size, flags)? as *mut c_void)
}

pub fn cuMemFreeHost(pointer: *mut c_void) -> Result {
    let current = stack::healthy()?;
    if pointer.is_null() {
        return Ok(());
    }
    capture::refuse_unsafe_call()?;
    let pointer = pointer as usize;
    let block = current.memory.take_host(pointer).or_else(|| {
        context::open_states()
            .iter()
            .find_map(|state| state.memory.take_host(pointer))
    });
    block.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
}

pub fn cuMemHostGetDevicePointer_v2(
    dptr: Out<CUdeviceptr>,
    pointer: *mut c_void,
    flags: u32,
) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let (address, _) = stack::healthy()?
        .memory
        .find_host(pointer as usize)
        .ok_or(CUresult::INVALID_VALUE)?;
    dptr.set(address)
}

pub fn cuMemHostGetFlags(flags: Out<u32>, pointer: *mut c_void) -> Result {
    let (_, found) = stack::healthy()?
        .memory
        .find_host(pointer as usize)
        .ok_or(CUresult::INVALID_VALUE)?;
    // Host memory is always mapped.
    flags.set(found | CU_MEMHOSTALLOC_DEVICEMAP)
}

pub fn cuMemHostRegister_v2(pointer: *mut c_void, size: usize, flags: u32) -> Result {
    if flags & !0xf != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    if flags & CU_MEMHOSTREGISTER_IOMEMORY != 0 {
        return Err(CUresult::NOT_SUPPORTED);
    }
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    // SAFETY: by the API's contract the memory stays mapped until it is unregistered.
    unsafe { state.memory.register(pointer as usize, size, flags) }
}

pub use cuMemHostRegister_v2 as cuMemHostRegister;

pub fn cuMemHostUnregister(pointer: *mut c_void) -> Result {
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    let block = state.memory.unregister(pointer as usize)?;
    // The application may unmap the memory as soon as this returns.
    crate::core::module::synchronize(&state.vulkan)?;
    drop(block);
    Ok(())
}

/// Checks the range of managed memory that the advice and prefetch functions are about.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
pub(super) fn managed_range(dptr: CUdeviceptr, count: usize) -> Result {
    stack::current()?;
    let known = pointer::find(dptr).ok_or(CUresult::INVALID_VALUE)?;
    let end = known
        .address
        .checked_add(count as u64)
        .ok_or(CUresult::INVALID_VALUE)?;
    if known.found.kind != MemoryKind::Managed
        || count == 0
        || end > known.found.base + known.found.size
    {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(())
}

/// Managed memory is where host and device both reach it; there is nothing to move.
pub fn cuMemPrefetchAsync(
    dptr: CUdeviceptr,
    count: usize,
    _device: CUdevice,
    _stream: CUstream,
) -> Result {
    managed_range(dptr, count)
}

pub fn cuMemPrefetchAsync_v2(
    dptr: CUdeviceptr,
    count: usize,
    _location: CUmemLocation,
    _flags: u32,
    _stream: CUstream,
) -> Result {
    managed_range(dptr, count)
}

/// Advice is a hint; managed memory does not move.
pub fn cuMemAdvise(
    dptr: CUdeviceptr,
    count: usize,
    advice: CUmem_advise,
    _device: CUdevice,
) -> Result {
    advice.name().ok_or(CUresult::INVALID_VALUE)?;
    managed_range(dptr, count)
}

pub fn cuMemAdvise_v2(
    dptr: CUdeviceptr,
    count: usize,
    advice: CUmem_advise,
    _location: CUmemLocation,
) -> Result {
    advice.name().ok_or(CUresult::INVALID_VALUE)?;
    managed_range(dptr, count)
}

pub fn cuMemRangeGetAttribute(
    data: *mut c_void,
    data_size: usize,
    attribute: CUmem_range_attribute,
    dptr: CUdeviceptr,
    count: usize,
) -> Result {
    use CUmem_range_attribute as A;
    managed_range(dptr, count)?;
    // No advice is kept: no range is mostly read, preferred anywhere or prefetched.
    let value = match attribute {
        A::READ_MOSTLY => 0,
        A::PREFERRED_LOCATION | A::LAST_PREFETCH_LOCATION | A::ACCESSED_BY => CU_DEVICE_INVALID,
        _ => return Err(CUresult::INVALID_VALUE),
    };
    if data.is_null() || data_size == 0 || data_size % 4 != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    for index in 0..data_size / 4 {
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
