//! Stream-ordered memory.

use crate::boundary::{In, Out, Result};
use crate::core::capture;
use crate::core::context;
use crate::core::device::Device;
use crate::core::graph_memory::{self, GraphMemory};
use crate::core::operation::Operation;
use crate::core::platform::device;
use crate::core::pointer;
use crate::core::pool::{Pool, POOLS};
use crate::core::stream::Stream;
use cuda_abi::*;
use std::ffi::c_void;
use std::sync::Arc;
use vulkan::MemoryKind;

/// The pool of a handle.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for null, `CUDA_ERROR_INVALID_HANDLE` for what is no pool.
fn from_handle(pool: CUmemoryPool) -> Result<Arc<Pool>> {
    match pool.is_null() {
        true => Err(CUresult::INVALID_VALUE),
        false => POOLS.get(pool.0),
    }
}

fn allocate(
    dptr: Out<CUdeviceptr>,
    size: usize,
    pool: Option<Arc<Pool>>,
    stream: CUstream,
) -> Result {
    dptr.required()?;
    dptr.set(0)?;
    let stream = Stream::from_handle(stream)?;
    if !stream.capture.is_active() {
        capture::refuse_unsafe_call()?;
    }
    // Nothing is at no address.
    if size == 0 {
        return Ok(());
    }
    if stream.capture.is_active() {
        if pool.is_some_and(|pool| pool.kind != MemoryKind::Device) {
            return stream.refuse_while_capturing();
        }
        let state = context::Context::from_handle(stream.group.context)?.state()?;
        let memory = GraphMemory::allocate(state.device, size, CUmemAllocationType::PINNED)?;
        capture::add(&stream, Operation::Allocate(memory.clone()))?;
        return dptr.set(memory.address());
    }
    let pool = pool.unwrap_or_else(|| stream.group.device.pool());
    let context = context::Context::from_handle(stream.group.context)?;
    let bytes = pool.count(size as u64);
    dptr.set(
        context
            .state()?
            .memory
            .allocate(size, pool.kind, Some(bytes))?,
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
    allocate(dptr, size, Some(from_handle(pool)?), stream)
}

pub fn cuMemFreeAsync(dptr: CUdeviceptr, stream: CUstream) -> Result {
    let stream = Stream::from_handle(stream)?;
    if dptr == 0 {
        return Ok(());
    }
    if stream.capture.is_active() {
        return capture::add(&stream, super::graph_memory::free(dptr)?).map(|_| ());
    }
    if let Some(memory) = graph_memory::end(dptr) {
        return stream.run(|vulkan| vulkan.keep_alive(Box::new(memory)));
    }
    // Managed memory is freed by `cuMemFree`, unless it came from a pool.
    let managed = |known: &pointer::Known| {
        known.found.base == dptr
            && known.found.kind == MemoryKind::Managed
            && (known.state.as_ref()).is_some_and(|state| state.memory.pool_of(dptr).is_none())
    };
    if pointer::find(dptr).as_ref().is_some_and(managed) {
        return Err(CUresult::NOT_SUPPORTED);
    }
    let block = context::open_states()
        .iter()
        .find_map(|state| state.memory.take(dptr));
    let block = block.ok_or(CUresult::INVALID_VALUE)?;
    stream.run(|vulkan| vulkan.keep_alive(Box::new(block)))
}

pub fn cuMemPoolCreate(pool: Out<CUmemoryPool>, pool_props: In<CUmemPoolProps>) -> Result {
    pool.required()?;
    let props = pool_props.get()?;
    capture::refuse_unsafe_call()?;
    // A descriptor of a file and a fabric's handle are what there is elsewhere.
    let known = 1 | 8;
    if props.handleTypes & !known != 0 || props.reserved.iter().any(|&byte| byte != 0) {
        return Err(CUresult::INVALID_VALUE);
    }
    if props.handleTypes != 0 {
        tracing::warn!("cuMemPoolCreate: pools to share with other processes are not supported");
        return Err(CUresult::NOT_SUPPORTED);
    }
    let located = located(props.location, CUmemAllocationType(props.allocType));
    let (device, kind) = located.map_err(|_| CUresult::INVALID_VALUE)?;
    if props.maxSize as u64 > device.physical.memory_info().total {
        return Err(CUresult::OUT_OF_MEMORY);
    }
    let is_pinned_host =
        props.allocType == CUmemAllocationType::PINNED.0 && kind != MemoryKind::Device;
    pool.set(Pool::of(device, kind, is_pinned_host).handle())
}

pub fn cuMemPoolDestroy(pool: CUmemoryPool) -> Result {
    let pool = from_handle(pool)?;
    capture::refuse_unsafe_call()?;
    if [
        pool.device.default_pool(),
        pool.device.managed_pool(),
        pool.device.pinned_pool(),
    ]
    .iter()
    .any(|default| Arc::ptr_eq(&pool, default))
    {
        return Err(CUresult::INVALID_VALUE);
    }
    if Arc::ptr_eq(&pool, &pool.device.pool()) {
        pool.device.set_pool(None);
    }
    POOLS.remove(pool.handle().0).map(|_| ())
}

/// A pool keeps no memory in reserve, so there is nothing to trim.
pub fn cuMemPoolTrimTo(pool: CUmemoryPool, _min_bytes_to_keep: usize) -> Result {
    from_handle(pool)?;
    capture::refuse_unsafe_call()
}

pub fn cuMemPoolSetAttribute(
    pool: CUmemoryPool,
    attribute: CUmemPool_attribute,
    value: *mut c_void,
) -> Result {
    let pool = from_handle(pool)?;
    capture::refuse_unsafe_call()?;
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
    let pool = from_handle(pool)?;
    capture::refuse_unsafe_call()?;
    let (found, long) = pool.attribute(attribute)?;
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
    let pool = from_handle(pool)?;
    if count == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    capture::refuse_unsafe_call()?;
    for wanted in map.all(count)? {
        let is_device = wanted.location.kind == CUmemLocationType::DEVICE;
        if is_device {
            device(wanted.location.id)?;
        }
        match (
            is_device && wanted.location.id == pool.device.ordinal,
            wanted.flags,
        ) {
            // A device cannot be kept from its own pool.
            (true, CUmemAccess_flags::NONE) => return Err(CUresult::INVALID_DEVICE),
            (_, CUmemAccess_flags::READ) => return Err(CUresult::NOT_SUPPORTED),
            (true, _) | (false, CUmemAccess_flags::NONE) => {}
            (false, _) => return Err(CUresult::PEER_ACCESS_UNSUPPORTED),
        }
    }
    Ok(())
}

pub fn cuMemPoolGetAccess(
    flags: Out<CUmemAccess_flags>,
    mem_pool: CUmemoryPool,
    location: In<CUmemLocation>,
) -> Result {
    let pool = from_handle(mem_pool)?;
    let location = location.get()?;
    if location.kind == CUmemLocationType::DEVICE {
        device(location.id).map_err(|_| CUresult::INVALID_VALUE)?;
    }
    let own = location.kind == CUmemLocationType::DEVICE && location.id == pool.device.ordinal;
    flags.set(if own {
        CUmemAccess_flags::READWRITE
    } else {
        CUmemAccess_flags::NONE
    })
}

/// The device and the kind of memory that a location and a type of allocation mean. The host's memory is managed memory, as
/// the first device reaches it.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for unknown ones, `CUDA_ERROR_INVALID_DEVICE`.
fn located(
    location: CUmemLocation,
    kind: CUmemAllocationType,
) -> Result<(&'static Device, MemoryKind)> {
    use CUmemLocationType as L;
    match (kind, location.kind) {
        (CUmemAllocationType::PINNED, L::DEVICE) => Ok((device(location.id)?, MemoryKind::Device)),
        (CUmemAllocationType::MANAGED, L::DEVICE) => {
            Ok((device(location.id)?, MemoryKind::Managed))
        }
        (CUmemAllocationType::MANAGED, L::INVALID | L::HOST_NUMA_CURRENT)
        | (CUmemAllocationType::PINNED | CUmemAllocationType::MANAGED, L::HOST) => {
            Ok((device(0)?, MemoryKind::Managed))
        }
        (CUmemAllocationType::PINNED | CUmemAllocationType::MANAGED, L::HOST_NUMA)
            if has_numa_node(location.id) =>
        {
            Ok((device(0)?, MemoryKind::Managed))
        }
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// [`located`] for the calls that find or set a place's pool.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`; `CUDA_ERROR_NOT_SUPPORTED` for an unknown kind of place.
fn place_of_pool(
    location: CUmemLocation,
    kind: CUmemAllocationType,
) -> Result<(&'static Device, MemoryKind)> {
    match location.kind.name() {
        None => Err(CUresult::NOT_SUPPORTED),
        Some(_) => located(location, kind).map_err(|_| CUresult::INVALID_VALUE),
    }
}

/// Whether the host has a NUMA node, as Linux tells; node 0 it always has.
pub(super) fn has_numa_node(node: i32) -> bool {
    let known = || std::path::Path::new(&format!("/sys/devices/system/node/node{node}")).exists();
    node == 0 || node > 0 && known()
}

/// The pool that a device starts out with, for a kind of memory and a type of allocation.
fn default_pool(
    device: &'static Device,
    memory: MemoryKind,
    kind: CUmemAllocationType,
) -> &'static Arc<Pool> {
    match (memory, kind) {
        (MemoryKind::Device, _) => device.default_pool(),
        (_, CUmemAllocationType::PINNED) => device.pinned_pool(),
        _ => device.managed_pool(),
    }
}

pub fn cuMemGetDefaultMemPool(
    pool_out: Out<CUmemoryPool>,
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
) -> Result {
    let (device, memory) = place_of_pool(location.get()?, kind)?;
    pool_out.set(default_pool(device, memory, kind).handle())
}

/// Only the pool of device memory can be another than the default.
pub fn cuMemGetMemPool(
    pool: Out<CUmemoryPool>,
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
) -> Result {
    let (device, memory) = place_of_pool(location.get()?, kind)?;
    pool.set(match memory {
        MemoryKind::Device => device.pool().handle(),
        _ => default_pool(device, memory, kind).handle(),
    })
}

pub fn cuMemSetMemPool(
    location: In<CUmemLocation>,
    kind: CUmemAllocationType,
    pool: CUmemoryPool,
) -> Result {
    let (device, memory) = place_of_pool(location.get()?, kind)?;
    if from_handle(pool)?.kind != memory {
        return Err(CUresult::INVALID_VALUE);
    }
    let replaceable = memory == MemoryKind::Device;
    if !replaceable && pool != default_pool(device, memory, kind).handle() {
        tracing::warn!("cuMemSetMemPool: only the pool of device memory can be replaced");
        return Err(CUresult::NOT_SUPPORTED);
    }
    match replaceable {
        true => super::device::cuDeviceSetMemPool(device.ordinal, pool),
        false => Ok(()),
    }
}
