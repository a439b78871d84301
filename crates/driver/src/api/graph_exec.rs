//! Instantiated graphs.

use super::graph_node;
use crate::boundary::{In, Out, Result};
use crate::core::graph::Graph;
use crate::core::graph_exec::{GraphExec, GRAPH_EXECS};
use crate::core::stream::Stream;
use crate::core::{capture, stack};
use cuda_abi::*;
use std::ffi::c_char;

fn instantiate(graph_exec: Out<CUgraphExec>, graph: CUgraph, flags: u64) -> Result {
    graph_exec.required()?;
    let state = stack::healthy()?;
    capture::refuse_unsafe_call()?;
    let graph = Graph::from_handle(graph)?;
    // A node's graph runs as a part of the node's alone.
    if graph.is_owned() {
        return Err(CUresult::NOT_SUPPORTED);
    }
    graph_exec.set(GraphExec::instantiate(&state, &graph, flags)?.handle())
}

/// An upload needs a stream, which only `cuGraphInstantiateWithParams` takes.
pub fn cuGraphInstantiateWithFlags(
    graph_exec: Out<CUgraphExec>,
    graph: CUgraph,
    flags: u64,
) -> Result {
    if flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    instantiate(graph_exec, graph, flags)
}

pub fn cuGraphInstantiate_v2(
    graph_exec: Out<CUgraphExec>,
    graph: CUgraph,
    error_node: Out<CUgraphNode>,
    log_buffer: Out<c_char>,
    buffer_size: usize,
) -> Result {
    let result = cuGraphInstantiateWithFlags(graph_exec, graph, 0);
    error_node.set_if(CUgraphNode::NULL);
    if buffer_size > 0 && !log_buffer.is_null() {
        let text = result.err().map(|status| status.to_string());
        log_buffer.set_text(&text.unwrap_or_default(), buffer_size)?;
    }
    result
}

pub use cuGraphInstantiate_v2 as cuGraphInstantiate;

pub fn cuGraphInstantiateWithParams(
    graph_exec: Out<CUgraphExec>,
    graph: CUgraph,
    instantiate_params: Out<CUDA_GRAPH_INSTANTIATE_PARAMS>,
) -> Result {
    let mut params = instantiate_params.get()?;
    let result = instantiate(graph_exec, graph, params.flags);
    params.hErrNode_out = CUgraphNode::NULL;
    let unused = |graph: &Graph| graph.values.lock().iter().any(|value| !value.is_used());
    params.result_out = match result {
        Ok(()) => CUgraphInstantiateResult::SUCCESS,
        Err(_) if Graph::from_handle(graph).is_ok_and(|graph| unused(&graph)) => {
            CUgraphInstantiateResult::CONDITIONAL_HANDLE_UNUSED
        }
        Err(_) => CUgraphInstantiateResult::ERROR,
    };
    instantiate_params.set(params)?;
    result
}

pub fn cuGraphExecGetFlags(graph_exec: CUgraphExec, flags: Out<u64>) -> Result {
    // Which priorities count is not told.
    let kept = GraphExec::from_handle(graph_exec)?.flags;
    flags.set(kept & !CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)
}

pub fn cuGraphExecDestroy(graph_exec: CUgraphExec) -> Result {
    GRAPH_EXECS
        .remove(graph_exec.0)
        .map(|_| ())
        .map_err(|_| CUresult::INVALID_VALUE)
}

/// Recordings are on the device as soon as they are made.
pub fn cuGraphUpload(graph: CUgraphExec, stream: CUstream) -> Result {
    Stream::from_handle(stream)?.refuse_while_capturing()?;
    GraphExec::from_handle(graph).map(|_| ())
}

pub fn cuGraphLaunch(graph: CUgraphExec, stream: CUstream) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    GraphExec::from_handle(graph)?.launch(&stream)
}

fn update(graph_exec: CUgraphExec, graph: CUgraph) -> Result<CUgraphExecUpdateResultInfo> {
    let (exec, graph) = (
        GraphExec::from_handle(graph_exec)?,
        Graph::from_handle(graph)?,
    );
    let (result, node) = match exec.update(&graph) {
        Ok(()) => (CUgraphExecUpdateResult::SUCCESS, CUgraphNode::NULL),
        Err(error) => (error.result, error.node),
    };
    Ok(CUgraphExecUpdateResultInfo {
        result,
        errorNode: node,
        errorFromNode: CUgraphNode::NULL,
    })
}

fn update_status(info: &CUgraphExecUpdateResultInfo) -> Result {
    match info.result {
        CUgraphExecUpdateResult::SUCCESS => Ok(()),
        _ => Err(CUresult::GRAPH_EXEC_UPDATE_FAILURE),
    }
}

pub fn cuGraphExecUpdate(
    graph_exec: CUgraphExec,
    graph: CUgraph,
    error_node_out: Out<CUgraphNode>,
    update_result_out: Out<CUgraphExecUpdateResult>,
) -> Result {
    let info = update(graph_exec, graph)?;
    error_node_out.set_if(info.errorNode);
    update_result_out.set_if(info.result);
    update_status(&info)
}

pub fn cuGraphExecUpdate_v2(
    graph_exec: CUgraphExec,
    graph: CUgraph,
    result_info: Out<CUgraphExecUpdateResultInfo>,
) -> Result {
    let info = update(graph_exec, graph)?;
    result_info.set_if(info);
    update_status(&info)
}

pub fn cuGraphExecKernelNodeSetParams_v2(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    node_params: In<CUDA_KERNEL_NODE_PARAMS>,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, graph_node::kernel(node_params)?)
}

pub fn cuGraphExecKernelNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    node_params: In<CUDA_KERNEL_NODE_PARAMS_v1>,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, graph_node::kernel_v1(node_params)?)
}

pub fn cuGraphExecChildGraphNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    child_graph: CUgraph,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set_child(node, &*Graph::from_handle(child_graph)?)
}

pub fn cuGraphNodeSetEnabled(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    is_enabled: u32,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set_enabled(node, is_enabled != 0)
}

pub fn cuGraphNodeGetEnabled(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    is_enabled: Out<u32>,
) -> Result {
    is_enabled.set(GraphExec::from_handle(graph_exec)?.is_enabled(node)?.into())
}

pub fn cuGraphExecMemcpyNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    copy_params: In<CUDA_MEMCPY3D>,
    ctx: CUcontext,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, graph_node::copy(copy_params, ctx)?)
}

pub fn cuGraphExecMemsetNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    memset_params: In<CUDA_MEMSET_NODE_PARAMS>,
    ctx: CUcontext,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, graph_node::fill(memset_params, ctx)?)
}

pub fn cuGraphExecHostNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    node_params: In<CUDA_HOST_NODE_PARAMS>,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, graph_node::host(node_params)?)
}
