//! Memory management.

use crate::boundary::{Out, Result};
use crate::core::platform::platform;
use crate::core::{capture, context, graph_memory, mappings, pointer, stack};
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
    dptr.set(0)?;
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
    dptr.required()?;
    pitch.required()?;
    dptr.set(0)?;
    pitch.set(0)?;
    if !matches!(element_size_bytes, 4 | 8 | 16) || width_in_bytes == 0 || height == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
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
    dptr.set(0)?;
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    dptr.set(state.memory.allocate(size, MemoryKind::Managed, None)?)
}

pub fn cuMemFree_v2(dptr: CUdeviceptr) -> Result {
    platform()?;
    capture::refuse_unsafe_call()?;
    if dptr == 0 {
        return Ok(());
    }
    let current = stack::healthy()?;
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
    // Nothing is at no address.
    if size == 0 {
        return pointer.set(std::ptr::null_mut());
    }
    // It is every context's in any case, which is not told.
    let kept = flags & !CU_MEMHOSTALLOC_PORTABLE;
    pointer.set(state.memory.allocate_host(size, kept)? as *mut c_void)
}

pub fn cuMemFreeHost(pointer: *mut c_void) -> Result {
    platform()?;
    capture::refuse_unsafe_call()?;
    if pointer.is_null() {
        return Ok(());
    }
    let current = stack::healthy()?;
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
        tracing::warn!("cuMemHostRegister: memory of other devices cannot be mapped");
        return Err(CUresult::INVALID_VALUE);
    }
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    let written = flags & CU_MEMHOSTREGISTER_READ_ONLY == 0;
    if !mappings::cover(pointer as usize, size, written) {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the memory stays mapped until it is unregistered.
    let registered = unsafe { state.memory.register(pointer as usize, size, flags) };
    registered.map_err(|status| match status {
        // What drivers say of pages that nobody may write to: the device attribute is 0 there.
        CUresult::OUT_OF_MEMORY if !written => {
            tracing::warn!("cuMemHostRegister: the Vulkan driver does not import read-only memory");
            CUresult::NOT_SUPPORTED
        }
        status => status,
    })
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
