//! Stream-ordered memory.

use crate::boundary::{In, Out, Result};
use crate::core::context;
use crate::core::platform::device;
use crate::core::pool::{Pool, POOLS};
use crate::core::stream::Stream;
use cuda_abi::*;
use std::ffi::c_void;
use std::sync::Arc;
use vulkan::MemoryKind;

fn allocate(
    dptr: Out<CUdeviceptr>,
    size: usize,
    pool: Option<Arc<Pool>>,
    stream: CUstream,
) -> Result {
    dptr.required()?;
    let stream = Stream::from_handle(stream)?;
    // A graph's memory nodes are not implemented.
    stream.refuse_while_capturing()?;
    let pool = pool.unwrap_or_else(|| stream.group.device.pool());
    let context = context::Context::from_handle(stream.group.context)?;
    let bytes = pool.count(size as u64);
    dptr.set(
        context
            .state()?
            .memory
            .allocate(size, MemoryKind::Device, Some(bytes))?,
    )
}

pub fn cuMemAllocAsync(dptr: Out<CUdeviceptr>, size: usize, stream: CUstream) -> Result {
    allocate(dptr, size, None, stream)
}

pub fn cuMemAllocFromPoolAsync(
    dptr: Out<CUdeviceptr>,
    size: usize,
    pool: CUmemoryPool,
    stream: CUstream,
) -> Result {
    allocate(dptr, size, Some(POOLS.get(pool.0)?), stream)
}

pub fn cuMemFreeAsync(dptr: CUdeviceptr, stream: CUstream) -> Result {
    if dptr == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    let block = context::open_states()
        .iter()
        .find_map(|state| state.memory.take(dptr));
    let block = block.ok_or(CUresult::INVALID_VALUE)?;
    stream.run(|vulkan| vulkan.keep_alive(Box::new(block)))
}

pub fn cuMemPoolCreate(pool: Out<CUmemoryPool>, pool_props: In<CUmemPoolProps>) -> Result {
    pool.required()?;
    let props = pool_props.get()?;
    if props.location.kind != CUmemLocationType::DEVICE || props.handleTypes != 0 {
        tracing::warn!(
            "cuMemPoolCreate: only pools on a device that are not exported are supported"
        );
        return Err(CUresult::NOT_SUPPORTED);
    }
    pool.set(Pool::new(device(props.location.id)?).handle())
}

pub fn cuMemPoolDestroy(pool: CUmemoryPool) -> Result {
    let pool = POOLS.get(pool.0)?;
    if Arc::ptr_eq(&pool, pool.device.default_pool()) {
        return Err(CUresult::INVALID_VALUE);
    }
    if Arc::ptr_eq(&pool, &pool.device.pool()) {
        pool.device.set_pool(None);
    }
    POOLS.remove(pool.handle().0).map(|_| ())
}

/// A pool keeps no memory in reserve, so there is nothing to trim.
pub fn cuMemPoolTrimTo(pool: CUmemoryPool, _min_bytes_to_keep: usize) -> Result {
    POOLS.get(pool.0).map(|_| ())
}

pub fn cuMemPoolSetAttribute(
    pool: CUmemoryPool,
    attribute: CUmemPool_attribute,
    value: *mut c_void,
) -> Result {
    let pool = POOLS.get(pool.0)?;
    let (_, long) = pool.attribute(attribute)?;
    if value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the value has the attribute's type.
    let value = unsafe {
        match long {
            true => (value as *const u64).read_unaligned(),
            false => (value as *const i32).read_unaligned() as u64,
        }
    };
    pool.set_attribute(attribute, value)
}

pub fn cuMemPoolGetAttribute(
    pool: CUmemoryPool,
    attribute: CUmemPool_attribute,
    value: *mut c_void,
) -> Result {
    let (found, long) = POOLS.get(pool.0)?.attribute(attribute)?;
    if value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the place has the attribute's type.
    unsafe {
        match long {
            true => (value as *mut u64).write_unaligned(found),
            false => (value as *mut i32).write_unaligned(found as i32),
        }
    }
    Ok(())
}

pub fn cuMemPoolSetAccess(pool: CUmemoryPool, map: In<CUmemAccessDesc>, count: usize) -> Result {
    let pool = POOLS.get(pool.0)?;
    for wanted in map.all(count)? {
        let own = wanted.location.kind == CUmemLocationType::DEVICE
            && wanted.location.id == pool.device.ordinal;
        if !own && wanted.flags != CUmemAccess_flags::NONE {
            return Err(CUresult::PEER_ACCESS_UNSUPPORTED);
        }
    }
    Ok(())
}

pub fn cuMemPoolGetAccess(
    flags: Out<CUmemAccess_flags>,
    mem_pool: CUmemoryPool,
    location: In<CUmemLocation>,
) -> Result {
    let pool = POOLS.get(mem_pool.0)?;
    let location = location.get()?;
    let own = location.kind == CUmemLocationType::DEVICE && location.id == pool.device.ordinal;
    flags.set(if own {
        CUmemAccess_flags::READWRITE
    } else {
        CUmemAccess_flags::NONE
    })
}

/// The device that a location names; pools are of devices only.
fn located(
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
) -> Result<&'static crate::core::device::Device> {
    let location = location.get()?;
    if kind.name().is_none() || kind == CUmemAllocationType::INVALID {
        return Err(CUresult::INVALID_VALUE);
    }
    if kind != CUmemAllocationType::PINNED || location.kind != CUmemLocationType::DEVICE {
        tracing::warn!("pools of {kind:?} memory at {location:?} are not supported");
        return Err(CUresult::NOT_SUPPORTED);
    }
    device(location.id)
}

pub fn cuMemGetDefaultMemPool(
    pool_out: Out<CUmemoryPool>,
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
) -> Result {
    pool_out.set(located(location, kind)?.default_pool().handle())
}

pub fn cuMemGetMemPool(
    pool: Out<CUmemoryPool>,
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
) -> Result {
    pool.set(located(location, kind)?.pool().handle())
}

pub fn cuMemSetMemPool(
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
    pool: CUmemoryPool,
) -> Result {
    super::device::cuDeviceSetMemPool(located(location, kind)?.ordinal, pool)
}
