//! Operations on memory in streams and graphs.

use super::graph_node::{add, set};
use crate::boundary::{Accept, In, Out, Result};
use crate::core::context::Context;
use crate::core::graph::Node;
use crate::core::graph_exec::GraphExec;
use crate::core::memory_operation::Batch;
use crate::core::operation::Operation;
use crate::core::stream::Stream;
use cuda_abi::*;
use std::sync::Arc;

fn one(
    stream: CUstream,
    kind: CUstreamBatchMemOpType,
    address: u64,
    value: u64,
    flags: u32,
) -> Result {
    let params = CUstreamBatchMemOpParams {
        operation: kind,
        address,
        value,
        flags,
        alias: 0,
        pad: 0,
    };
    let stream = Stream::from_handle(stream)?;
    let batch = Batch::new(&stream, vec![params])?;
    Operation::Memory(Arc::new(batch))
        .enqueue(&stream)
        .map(drop)
}

pub fn cuStreamWaitValue32_v2(
    stream: CUstream,
    address: CUdeviceptr,
    value: u32,
    flags: u32,
) -> Result {
    one(
        stream,
        CUstreamBatchMemOpType::WAIT_VALUE_32,
        address,
        value.into(),
        flags,
    )
}

pub fn cuStreamWaitValue64_v2(
    stream: CUstream,
    address: CUdeviceptr,
    value: u64,
    flags: u32,
) -> Result {
    one(
        stream,
        CUstreamBatchMemOpType::WAIT_VALUE_64,
        address,
        value,
        flags,
    )
}

pub fn cuStreamWriteValue32_v2(
    stream: CUstream,
    address: CUdeviceptr,
    value: u32,
    flags: u32,
) -> Result {
    one(
        stream,
        CUstreamBatchMemOpType::WRITE_VALUE_32,
        address,
        value.into(),
        flags,
    )
}

pub fn cuStreamWriteValue64_v2(
    stream: CUstream,
    address: CUdeviceptr,
    value: u64,
    flags: u32,
) -> Result {
    one(
        stream,
        CUstreamBatchMemOpType::WRITE_VALUE_64,
        address,
        value,
        flags,
    )
}

pub use cuStreamWaitValue32_v2 as cuStreamWaitValue32;
pub use cuStreamWaitValue64_v2 as cuStreamWaitValue64;
pub use cuStreamWriteValue32_v2 as cuStreamWriteValue32;
pub use cuStreamWriteValue64_v2 as cuStreamWriteValue64;

pub fn cuStreamBatchMemOp_v2(
    stream: CUstream,
    count: u32,
    params: In<CUstreamBatchMemOpParams>,
    flags: u32,
) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let stream = Stream::from_handle(stream)?;
    let batch = Batch::new(&stream, params.all(count as usize)?)?;
    Operation::Memory(Arc::new(batch))
        .enqueue(&stream)
        .map(drop)
}

pub use cuStreamBatchMemOp_v2 as cuStreamBatchMemOp;

/// The operations that a node's parameters describe, in a context (the current one for null).
pub(super) fn batch(params: In<CUDA_BATCH_MEM_OP_NODE_PARAMS>) -> Result<Operation> {
    let params = params.get()?;
    if params.flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    if params.ctx.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let state = Context::from_handle(params.ctx)?.state()?;
    // SAFETY: by the API's contract the array has as many elements as the count says.
    let given: In<CUstreamBatchMemOpParams> = unsafe { In::accept(params.paramArray) };
    let batch = Batch::new(&state.legacy, given.all(params.count as usize)?)?;
    Ok(Operation::Memory(Arc::new(batch)))
}

/// A node's parameters, whose array lives as long as the node has them.
pub(super) fn described(batch: &Batch) -> CUDA_BATCH_MEM_OP_NODE_PARAMS {
    CUDA_BATCH_MEM_OP_NODE_PARAMS {
        ctx: batch.context,
        count: batch.given.len() as u32,
        paramArray: batch.given.as_ptr().cast_mut(),
        flags: 0,
    }
}

pub fn cuGraphAddBatchMemOpNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: In<CUDA_BATCH_MEM_OP_NODE_PARAMS>,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        batch(node_params)
    })
}

pub fn cuGraphBatchMemOpNodeGetParams(
    node: CUgraphNode,
    node_params: Out<CUDA_BATCH_MEM_OP_NODE_PARAMS>,
) -> Result {
    match Node::from_handle(node)?.operation() {
        Operation::Memory(batch) => node_params.set(described(&batch)),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuGraphBatchMemOpNodeSetParams(
    node: CUgraphNode,
    node_params: In<CUDA_BATCH_MEM_OP_NODE_PARAMS>,
) -> Result {
    set(node, batch(node_params)?)
}

pub fn cuGraphExecBatchMemOpNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    node_params: In<CUDA_BATCH_MEM_OP_NODE_PARAMS>,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, batch(node_params)?)
}
