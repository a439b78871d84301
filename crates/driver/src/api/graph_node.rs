//! Graph nodes by type.
//!
//! Copies and fills are kept as what they do, not as the structure they came in: reading a copy node back gives a structure
//! that means the same.

use super::copy::node_copy;
use crate::boundary::{Accept, In, Out, Result};
use crate::core::context::{Context, State};
use crate::core::copy::{Copy, Fill, Place, Side};
use crate::core::function::Function;
use crate::core::graph::{Graph, Node};
use crate::core::launch::{self, Shape};
use crate::core::operation::{Blocks, HostCall, Launch, Operation};
use crate::core::stack;
use cuda_abi::*;
use std::ffi::c_void;
use std::sync::Arc;

/// Adds a node with an operation to a graph.
pub(super) fn add(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    count: usize,
    operation: impl FnOnce() -> Result<Operation>,
) -> Result {
    graph_node.required()?;
    let graph = Graph::from_handle(graph)?;
    graph_node.set(graph.add(operation()?, &dependencies.all(count)?)?)
}

/// Replaces a node's operation by one of the same type.
pub(super) fn set(node: CUgraphNode, operation: Operation) -> Result {
    let node = Node::from_handle(node)?;
    if node.operation().node_type() != operation.node_type() {
        return Err(CUresult::INVALID_VALUE);
    }
    node.set_operation(operation)
}

/// The launch that a kernel node's parameters describe.
pub(super) fn kernel(params: In<CUDA_KERNEL_NODE_PARAMS>) -> Result<Operation> {
    let params = params.get()?;
    let handle = if params.func.is_null() {
        CUfunction(params.kern.0)
    } else {
        params.func
    };
    let function = Function::from_handle(handle)?;
    let shape = Shape {
        grid: [params.gridDimX, params.gridDimY, params.gridDimZ],
        block: [params.blockDimX, params.blockDimY, params.blockDimZ],
        dynamic_shared: params.sharedMemBytes,
    };
    shape.check()?;
    let dynamic = i64::from(shape.dynamic_shared);
    if dynamic > 0 && dynamic > i64::from(function.max_dynamic_shared(function.info()?)) {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract these are what `cuLaunchKernel` takes.
    let (arguments, extra) = unsafe { (In::accept(params.kernelParams), In::accept(params.extra)) };
    let parameters = launch::pack(&function, arguments, extra).map_err(|error| match error {
        CUresult::LAUNCH_OUT_OF_RESOURCES => CUresult::INVALID_VALUE,
        other => other,
    })?;
    Ok(Operation::Launch(Launch {
        packed: launch::packed(extra)?,
        ..launch::node(&function, shape, &parameters, Blocks::Apart)?
    }))
}

/// The copy that a copy node's parameters describe, in a context (the current one for null).
pub(super) fn copy(params: In<CUDA_MEMCPY3D>, ctx: CUcontext) -> Result<Operation> {
    let state = match ctx {
        CUcontext::NULL => stack::state()?,
        _ => Context::from_handle(ctx)?.state()?,
    };
    let copy = node_copy(&state.legacy, &params.get()?)?;
    for side in [&copy.source, &copy.destination] {
        let Place::Device(address) = side.place else {
            continue;
        };
        let slices = (copy.depth - 1).checked_mul(side.slice);
        let rows = (copy.height - 1).checked_mul(side.pitch);
        let end = slices
            .zip(rows)
            .and_then(|(slices, rows)| slices.checked_add(rows)?.checked_add(copy.width))
            .and_then(|bytes| bytes.checked_add(address));
        check_end(&state, address, end)?;
    }
    Ok(Operation::Copy(copy))
}

/// Checks that a range of device memory ends in the allocation that it begins in.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
fn check_end(state: &State, address: u64, end: Option<u64>) -> Result {
    let found = state.vulkan.find(address).ok_or(CUresult::INVALID_VALUE)?;
    match end {
        Some(end) if end <= found.base + found.size => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// The fill that a memset node's parameters describe.
pub(super) fn fill(params: In<CUDA_MEMSET_NODE_PARAMS>, ctx: CUcontext) -> Result<Operation> {
    let params = params.get()?;
    let state = match ctx {
        CUcontext::NULL => stack::state()?,
        _ => Context::from_handle(ctx)?.state()?,
    };
    if !matches!(params.elementSize, 1 | 2 | 4) || params.width == 0 || params.height == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let fill = Fill {
        address: params.dst,
        pitch: params.pitch as u64,
        value: params.value,
        element: params.elementSize,
        count: params.width as u64,
        rows: params.height as u64,
    };
    let fill = fill.resolved(&state.vulkan)?;
    let width = fill.count * u64::from(fill.element);
    let end = (fill.rows - 1)
        .checked_mul(fill.pitch)
        .and_then(|rows| rows.checked_add(width)?.checked_add(fill.address));
    check_end(&state, fill.address, end)?;
    Ok(Operation::Fill(fill))
}

/// The call that a host node's parameters describe.
pub(super) fn host(params: In<CUDA_HOST_NODE_PARAMS>) -> Result<Operation> {
    let params = params.get()?;
    let function = params.r#fn.ok_or(CUresult::INVALID_VALUE)?;
    Ok(Operation::Host(HostCall {
        function,
        user_data: params.userData as usize,
    }))
}

pub fn cuGraphAddKernelNode_v2(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: In<CUDA_KERNEL_NODE_PARAMS>,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        kernel(node_params)
    })
}

/// The array of arguments is the node's, and valid until that is destroyed or changed.
pub fn cuGraphKernelNodeGetParams_v2(
    node: CUgraphNode,
    node_params: Out<CUDA_KERNEL_NODE_PARAMS>,
) -> Result {
    let node = Node::from_handle(node)?;
    let Operation::Launch(launch) = node.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    node_params.set(described_launch(&node, &launch))
}

/// A launch as the structure that describes it.
pub(super) fn described_launch(node: &Node, launch: &Launch) -> CUDA_KERNEL_NODE_PARAMS {
    let (arguments, none) = (node.arguments(launch), std::ptr::null_mut());
    let packed = launch.packed.is_some();
    CUDA_KERNEL_NODE_PARAMS {
        func: launch.function.handle(),
        gridDimX: launch.grid[0],
        gridDimY: launch.grid[1],
        gridDimZ: launch.grid[2],
        blockDimX: launch.block[0],
        blockDimY: launch.block[1],
        blockDimZ: launch.block[2],
        sharedMemBytes: launch.dynamic_shared,
        kernelParams: if packed { none } else { arguments },
        extra: if packed { arguments } else { none },
        kern: CUkernel::NULL,
        ctx: launch.function.code.streams.context,
    }
}

pub fn cuGraphKernelNodeSetParams_v2(
    node: CUgraphNode,
    node_params: In<CUDA_KERNEL_NODE_PARAMS>,
) -> Result {
    set(node, kernel(node_params)?)
}

/// Parameters of before CUDA 12 as those of today.
fn newer(params: In<CUDA_KERNEL_NODE_PARAMS_v1>) -> Result<CUDA_KERNEL_NODE_PARAMS> {
    let old = params.get()?;
    Ok(CUDA_KERNEL_NODE_PARAMS {
        func: old.func,
        gridDimX: old.gridDimX,
        gridDimY: old.gridDimY,
        gridDimZ: old.gridDimZ,
        blockDimX: old.blockDimX,
        blockDimY: old.blockDimY,
        blockDimZ: old.blockDimZ,
        sharedMemBytes: old.sharedMemBytes,
        kernelParams: old.kernelParams,
        extra: old.extra,
        kern: CUkernel::NULL,
        ctx: CUcontext::NULL,
    })
}

/// [`kernel`] for parameters of before CUDA 12.
pub(super) fn kernel_v1(params: In<CUDA_KERNEL_NODE_PARAMS_v1>) -> Result<Operation> {
    let params = newer(params)?;
    // SAFETY: the structure outlives the call.
    kernel(unsafe { In::accept(&raw const params) })
}

pub fn cuGraphAddKernelNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: In<CUDA_KERNEL_NODE_PARAMS_v1>,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        kernel_v1(node_params)
    })
}

pub fn cuGraphKernelNodeGetParams(
    node: CUgraphNode,
    node_params: Out<CUDA_KERNEL_NODE_PARAMS_v1>,
) -> Result {
    let node = Node::from_handle(node)?;
    let Operation::Launch(launch) = node.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    let new = described_launch(&node, &launch);
    node_params.set(CUDA_KERNEL_NODE_PARAMS_v1 {
        func: new.func,
        gridDimX: new.gridDimX,
        gridDimY: new.gridDimY,
        gridDimZ: new.gridDimZ,
        blockDimX: new.blockDimX,
        blockDimY: new.blockDimY,
        blockDimZ: new.blockDimZ,
        sharedMemBytes: new.sharedMemBytes,
        kernelParams: new.kernelParams,
        extra: new.extra,
    })
}

pub fn cuGraphKernelNodeSetParams(
    node: CUgraphNode,
    node_params: In<CUDA_KERNEL_NODE_PARAMS_v1>,
) -> Result {
    set(node, kernel_v1(node_params)?)
}

pub fn cuGraphAddMemcpyNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    copy_params: In<CUDA_MEMCPY3D>,
    ctx: CUcontext,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        copy(copy_params, ctx)
    })
}

pub fn cuGraphMemcpyNodeGetParams(node: CUgraphNode, node_params: Out<CUDA_MEMCPY3D>) -> Result {
    let Operation::Copy(copy) = Node::from_handle(node)?.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    node_params.set(described(&copy))
}

/// A copy as the structure that describes it.
pub(super) fn described(copy: &Copy) -> CUDA_MEMCPY3D {
    let side = |side: &Side| match side.place {
        Place::Device(address) => (CUmemorytype::DEVICE, 0, address),
        Place::Host(pointer) => (CUmemorytype::HOST, pointer, 0),
    };
    let rows = |side: &Side| (side.slice / side.pitch.max(1)) as usize;
    let (source, destination) = (side(&copy.source), side(&copy.destination));
    CUDA_MEMCPY3D {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        srcLOD: 0,
        srcMemoryType: source.0,
        srcHost: source.1 as *const c_void,
        srcDevice: source.2,
        srcArray: CUarray::NULL,
        reserved0: std::ptr::null_mut(),
        srcPitch: copy.source.pitch as usize,
        srcHeight: rows(&copy.source),
        dstXInBytes: 0,
        dstY: 0,
        dstZ: 0,
        dstLOD: 0,
        dstMemoryType: destination.0,
        dstHost: destination.1 as *mut c_void,
        dstDevice: destination.2,
        dstArray: CUarray::NULL,
        reserved1: std::ptr::null_mut(),
        dstPitch: copy.destination.pitch as usize,
        dstHeight: rows(&copy.destination),
        WidthInBytes: copy.width as usize,
        Height: copy.height as usize,
        Depth: copy.depth as usize,
    }
}

pub fn cuGraphMemcpyNodeSetParams(node: CUgraphNode, node_params: In<CUDA_MEMCPY3D>) -> Result {
    set(node, copy(node_params, CUcontext::NULL)?)
}

pub fn cuGraphAddMemsetNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    memset_params: In<CUDA_MEMSET_NODE_PARAMS>,
    ctx: CUcontext,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        fill(memset_params, ctx)
    })
}

pub fn cuGraphMemsetNodeGetParams(
    node: CUgraphNode,
    node_params: Out<CUDA_MEMSET_NODE_PARAMS>,
) -> Result {
    let Operation::Fill(fill) = Node::from_handle(node)?.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    node_params.set(described_fill(&fill))
}

/// A fill as the structure that describes it.
pub(super) fn described_fill(fill: &Fill) -> CUDA_MEMSET_NODE_PARAMS {
    CUDA_MEMSET_NODE_PARAMS {
        dst: fill.address,
        pitch: fill.pitch as usize,
        value: fill.value,
        elementSize: fill.element,
        width: fill.count as usize,
        height: fill.rows as usize,
    }
}

pub fn cuGraphMemsetNodeSetParams(
    node: CUgraphNode,
    node_params: In<CUDA_MEMSET_NODE_PARAMS>,
) -> Result {
    set(node, fill(node_params, CUcontext::NULL)?)
}

pub fn cuGraphAddHostNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: In<CUDA_HOST_NODE_PARAMS>,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        host(node_params)
    })
}

pub fn cuGraphHostNodeGetParams(
    node: CUgraphNode,
    node_params: Out<CUDA_HOST_NODE_PARAMS>,
) -> Result {
    let Operation::Host(call) = Node::from_handle(node)?.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    node_params.set(described_call(&call))
}

/// A call as the structure that describes it.
pub(super) fn described_call(call: &HostCall) -> CUDA_HOST_NODE_PARAMS {
    CUDA_HOST_NODE_PARAMS {
        r#fn: Some(call.function),
        userData: call.user_data as *mut c_void,
    }
}

pub fn cuGraphHostNodeSetParams(
    node: CUgraphNode,
    node_params: In<CUDA_HOST_NODE_PARAMS>,
) -> Result {
    set(node, host(node_params)?)
}

/// A copy of a graph as the operation of a child node.
///
/// # Errors
/// `CUDA_ERROR_NOT_SUPPORTED` for a graph with memory nodes.
pub(super) fn child(graph: &Graph) -> Result<Operation> {
    if graph.has_memory() {
        return Err(CUresult::NOT_SUPPORTED);
    }
    graph.duplicate().map(Operation::Child)
}

/// The node gets a copy of the graph as it is now.
pub fn cuGraphAddChildGraphNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    child_graph: CUgraph,
) -> Result {
    let child = Graph::from_handle(child_graph)?;
    if child_graph == graph {
        return Err(CUresult::INVALID_VALUE);
    }
    if child.is_owned() {
        return Err(CUresult::NOT_SUPPORTED);
    }
    add(graph_node, graph, dependencies, num_dependencies, || {
        self::child(&child)
    })
}

pub fn cuGraphChildGraphNodeGetGraph(node: CUgraphNode, graph: Out<CUgraph>) -> Result {
    let Operation::Child(child) = Node::from_handle(node)?.operation() else {
        return Err(CUresult::INVALID_VALUE);
    };
    graph.set(Arc::clone(&child).handle())
}

pub fn cuGraphAddEmptyNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        Ok(Operation::Empty)
    })
}

/// The launch of a kernel node.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for another node.
fn launch_of(node: &Node) -> Result<Launch> {
    match node.operation() {
        Operation::Launch(launch) => Ok(launch),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Hints are kept to be asked for; promises that cannot be kept are refused.
pub fn cuGraphKernelNodeSetAttribute(
    node: CUgraphNode,
    attribute: CUkernelNodeAttrID,
    value: In<CUkernelNodeAttrValue>,
) -> Result {
    let node = Node::from_handle(node)?;
    launch_of(&node)?;
    let value = value.get()?;
    let known = node.attributes.lock().get(attribute);
    known.ok_or(CUresult::INVALID_VALUE)?;
    let list = [CUlaunchAttribute {
        id: attribute,
        pad: [0; 4],
        value,
    }];
    // SAFETY: the list outlives the call.
    let list = unsafe { In::accept(list.as_ptr()) };
    launch::attributes(list, 1)?;
    node.set_attribute(attribute, value)
}

pub fn cuGraphKernelNodeGetAttribute(
    node: CUgraphNode,
    attribute: CUkernelNodeAttrID,
    value_out: Out<CUkernelNodeAttrValue>,
) -> Result {
    let node = Node::from_handle(node)?;
    launch_of(&node)?;
    let kept = node.attributes.lock().get(attribute);
    value_out.set(kept.ok_or(CUresult::INVALID_VALUE)?)
}

pub fn cuGraphKernelNodeCopyAttributes(dst: CUgraphNode, src: CUgraphNode) -> Result {
    let (to, from) = (Node::from_handle(dst)?, Node::from_handle(src)?);
    launch_of(&from)?;
    to.copy_attributes(&from)
}
