//! Graph nodes of any type, by one structure.

use super::graph::plain_edges;
use super::{graph_event, graph_memory, graph_node, memory_operation};
use crate::boundary::{Accept, In, Out, Result};
use crate::core::conditional::{Conditional, Value};
use crate::core::context::Context;
use crate::core::graph::{Graph, Node};
use crate::core::graph_exec::GraphExec;
use crate::core::operation::Operation;
use cuda_abi::*;
use std::sync::Arc;

/// The operation that the structure describes.
///
/// # Errors
/// `CUDA_ERROR_NOT_SUPPORTED` for types of nodes that cannot be made, `CUDA_ERROR_INVALID_VALUE` for unknown ones.
fn operation(node_params: Out<CUgraphNodeParams>, graph: Option<CUgraph>) -> Result<Operation> {
    use CUgraphNodeType as T;
    let whole = node_params.get()?;
    if whole.reserved0 != [0; 3] || whole.reserved2 != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let CUgraphNodeParams { kind, params, .. } = whole;
    // SAFETY: by the API's contract the member is the one that the type says; all are plain data.
    unsafe {
        match kind {
            T::KERNEL => graph_node::kernel(In::accept(&raw const params.kernel)),
            T::MEMCPY => graph_node::copy(
                In::accept(&raw const params.memcpy.copyParams),
                params.memcpy.copyCtx,
            ),
            T::MEMSET => graph_node::fill(
                In::accept(&raw const params.memset.params),
                params.memset.ctx,
            ),
            T::HOST => graph_node::host(In::accept(&raw const params.host)),
            // A new node, or new parameters for one.
            T::GRAPH => match (Graph::from_handle(params.graph)?, graph) {
                (child, Some(_)) if child.is_owned() => Err(CUresult::NOT_SUPPORTED),
                (child, _) => graph_node::child(&child),
            },
            T::EMPTY => Ok(Operation::Empty),
            T::BATCH_MEM_OP => memory_operation::batch(In::accept(&raw const params.memOp)),
            T::WAIT_EVENT => graph_event::wait(params.event),
            T::EVENT_RECORD => graph_event::record(params.event),
            T::MEM_ALLOC => {
                let mut alloc = params.alloc;
                let operation = graph_memory::allocation(&mut alloc)?;
                node_params.set(CUgraphNodeParams {
                    params: CUgraphNodeParamsUnion { alloc },
                    ..whole
                })?;
                Ok(operation)
            }
            T::MEM_FREE => graph_memory::free(params.free),
            T::CONDITIONAL => {
                let graph = Graph::from_handle(graph.ok_or(CUresult::INVALID_VALUE)?)?;
                let mut conditional = params.conditional;
                let (kind, size) = (conditional.kind, conditional.size);
                let node = Conditional::create(conditional.handle, &graph, kind, size)?;
                conditional.phGraph_out = node.handles();
                node_params.set(CUgraphNodeParams {
                    params: CUgraphNodeParamsUnion { conditional },
                    ..whole
                })?;
                Ok(Operation::Conditional(Arc::new(node)))
            }
            kind if kind.name().is_some() => {
                tracing::warn!("graph nodes of type {kind:?} are not supported");
                Err(CUresult::NOT_SUPPORTED)
            }
            _ => Err(CUresult::INVALID_VALUE),
        }
    }
}

pub fn cuGraphAddNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    node_params: Out<CUgraphNodeParams>,
) -> Result {
    graph_node::add(graph_node, graph, dependencies, num_dependencies, || {
        operation(node_params, Some(graph))
    })
}

pub fn cuGraphAddNode_v2(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    dependency_data: In<CUgraphEdgeData>,
    num_dependencies: usize,
    node_params: Out<CUgraphNodeParams>,
) -> Result {
    plain_edges(dependency_data, num_dependencies)?;
    cuGraphAddNode(
        graph_node,
        graph,
        dependencies,
        num_dependencies,
        node_params,
    )
}

pub use cuGraphAddNode_v2 as cuGraphAddNode_v3;

/// Child graphs and memory cannot be replaced in a graph; an empty node stays one.
pub fn cuGraphNodeSetParams(node: CUgraphNode, node_params: Out<CUgraphNodeParams>) -> Result {
    let operation = operation(node_params, None)?;
    if matches!(
        operation,
        Operation::Child(_) | Operation::Allocate(_) | Operation::Free(_)
    ) {
        return Err(CUresult::INVALID_VALUE);
    }
    graph_node::set(node, operation)
}

pub use cuGraphNodeSetParams as cuGraphNodeSetParams_v2;

pub fn cuGraphExecNodeSetParams(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    node_params: Out<CUgraphNodeParams>,
) -> Result {
    let exec = GraphExec::from_handle(graph_exec)?;
    match operation(node_params, None)? {
        Operation::Child(child) => {
            let result = exec.set_child(node, &child);
            child.destroy();
            result
        }
        operation => exec.set(node, operation),
    }
}

pub fn cuGraphNodeGetParams(node: CUgraphNode, node_params: Out<CUgraphNodeParams>) -> Result {
    node_params.required()?;
    let node = Node::from_handle(node)?;
    let operation = node.operation();
    let mut params = CUgraphNodeParamsUnion { reserved1: [0; 29] };
    match &operation {
        Operation::Launch(launch) => params.kernel = graph_node::described_launch(&node, launch),
        Operation::Copy(copy) => {
            params.memcpy = CUDA_MEMCPY_NODE_PARAMS {
                flags: 0,
                reserved: 0,
                copyCtx: CUcontext::NULL,
                copyParams: graph_node::described(copy),
            }
        }
        Operation::Fill(fill) => {
            params.memset = CUDA_MEMSET_NODE_PARAMS_v2 {
                params: graph_node::described_fill(fill),
                ctx: CUcontext::NULL,
            }
        }
        Operation::Host(call) => params.host = graph_node::described_call(call),
        Operation::Child(child) => params.graph = Arc::clone(child).handle(),
        Operation::Memory(batch) => params.memOp = memory_operation::described(batch),
        Operation::EventRecord(event) | Operation::EventWait(event) => {
            params.event = event.handle()
        }
        Operation::Conditional(conditional) => {
            params.conditional = CUDA_CONDITIONAL_NODE_PARAMS {
                handle: conditional.value.address(),
                kind: conditional.kind as u32,
                size: conditional.graphs.len() as u32,
                phGraph_out: conditional.handles(),
                ctx: CUcontext::NULL,
            }
        }
        Operation::Allocate(memory) => params.alloc = graph_memory::described(memory),
        Operation::Free(address) => params.free = *address,
        Operation::Empty => {}
    }
    node_params.set(CUgraphNodeParams {
        kind: operation.node_type(),
        reserved0: [0; 3],
        params,
        reserved2: 0,
    })
}

pub fn cuGraphConditionalHandleCreate(
    handle: Out<u64>,
    graph: CUgraph,
    ctx: CUcontext,
    default_launch_value: u32,
    flags: u32,
) -> Result {
    handle.required()?;
    let graph = Graph::from_handle(graph)?;
    let state = Context::from_handle(ctx)?.state()?;
    handle.set(Value::create(&state, &graph, default_launch_value, flags)?)
}
