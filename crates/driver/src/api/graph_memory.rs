//! The memory of graphs' allocation nodes, and these nodes.

use super::graph_node::add;
use crate::boundary::{In, Out, Result};
use crate::core::graph::Node;
use crate::core::graph_memory::{self, GraphMemory};
use crate::core::operation::Operation;
use crate::core::platform::device;
use cuda_abi::*;
use std::ffi::c_void;

/// Memory on the device that the parameters name, and the operation that allocates it. The parameters get the address.
pub(super) fn allocation(params: &mut CUDA_MEM_ALLOC_NODE_PARAMS) -> Result<Operation> {
    use CUmemLocationType as L;
    let location = params.poolProps.location;
    let kind = CUmemAllocationType(params.poolProps.allocType);
    let is_known = match (kind, location.kind) {
        (CUmemAllocationType::PINNED | CUmemAllocationType::MANAGED, L::DEVICE | L::HOST) => true,
        (CUmemAllocationType::PINNED | CUmemAllocationType::MANAGED, L::HOST_NUMA) => {
            super::pool::has_numa_node(location.id)
        }
        (kind, _) => kind == CUmemAllocationType::MANAGED,
    };
    if !is_known {
        return Err(CUresult::INVALID_VALUE);
    }
    if location.kind != L::DEVICE || params.poolProps.handleTypes != 0 {
        tracing::warn!("allocation nodes: only device memory that is not shared is supported");
        return Err(CUresult::NOT_SUPPORTED);
    }
    let device = device(location.id).map_err(|_| CUresult::INVALID_VALUE)?;
    let memory = GraphMemory::allocate(device, params.bytesize, kind)?;
    params.dptr = memory.address();
    Ok(Operation::Allocate(memory))
}

/// The operation that frees what an allocation node of any graph has allocated.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for other memory.
pub(super) fn free(address: CUdeviceptr) -> Result<Operation> {
    match graph_memory::is_known(address) {
        true => Ok(Operation::Free(address)),
        false => Err(CUresult::INVALID_VALUE),
    }
}

/// An allocation as the structure that describes it.
pub(super) fn described(memory: &GraphMemory) -> CUDA_MEM_ALLOC_NODE_PARAMS {
    CUDA_MEM_ALLOC_NODE_PARAMS {
        poolProps: CUmemPoolProps {
            allocType: memory.kind().0,
            handleTypes: 0,
            location: CUmemLocation {
                kind: CUmemLocationType::DEVICE,
                id: memory.device(),
            },
            win32SecurityAttributes: std::ptr::null_mut(),
            maxSize: 0,
            usage: 0,
            gpuDirectRDMACapable: 0,
            reserved: [0; 53],
        },
        accessDescs: std::ptr::null(),
        accessDescCount: 0,
        bytesize: memory.size() as usize,
        dptr: memory.address(),
    }
}

pub fn cuGraphAddMemAllocNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: Out<CUDA_MEM_ALLOC_NODE_PARAMS>,
) -> Result {
    let mut params = node_params.get()?;
    add(graph_node, graph, dependencies, num_dependencies, || {
        allocation(&mut params)
    })?;
    node_params.set(params)
}

pub fn cuGraphMemAllocNodeGetParams(
    node: CUgraphNode,
    params_out: Out<CUDA_MEM_ALLOC_NODE_PARAMS>,
) -> Result {
    match Node::from_handle(node)?.operation() {
        Operation::Allocate(memory) => params_out.set(described(&memory)),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuGraphAddMemFreeNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    dptr: CUdeviceptr,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        free(dptr)
    })
}

pub fn cuGraphMemFreeNodeGetParams(node: CUgraphNode, dptr_out: Out<CUdeviceptr>) -> Result {
    match Node::from_handle(node)?.operation() {
        Operation::Free(address) => dptr_out.set(address),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuDeviceGetGraphMemAttribute(
    ordinal: CUdevice,
    attribute: CUgraphMem_attribute,
    value: *mut c_void,
) -> Result {
    device(ordinal)?;
    let found = graph_memory::attribute(attribute)?;
    if value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the place is a cuuint64_t.
    unsafe { value.cast::<u64>().write_unaligned(found) };
    Ok(())
}

/// Only the high-water marks can be set, and only to 0.
pub fn cuDeviceSetGraphMemAttribute(
    ordinal: CUdevice,
    attribute: CUgraphMem_attribute,
    value: *mut c_void,
) -> Result {
    device(ordinal)?;
    if value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the value is a cuuint64_t.
    match unsafe { value.cast::<u64>().read_unaligned() } {
        0 => graph_memory::reset_high(attribute),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuDeviceGraphMemTrim(ordinal: CUdevice) -> Result {
    graph_memory::trim(device(ordinal)?.ordinal);
    Ok(())
}
