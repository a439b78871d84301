//! What graphs and nodes are called, whom they belong to, and how they look.

use crate::boundary::{In, Out, Result};
use crate::core::graph::{Graph, Node};
use crate::core::graph_dot;
use crate::core::graph_exec::GraphExec;
use cuda_abi::*;
use std::ffi::c_char;

pub fn cuGraphNodeFindInClone(
    node_out: Out<CUgraphNode>,
    original_node: CUgraphNode,
    cloned_graph: CUgraph,
) -> Result {
    node_out.required()?;
    let nodes = Graph::from_handle(cloned_graph)?.nodes();
    let node = nodes
        .iter()
        .find(|node| !original_node.is_null() && node.cloned_from == original_node);
    node_out.set(node.ok_or(CUresult::INVALID_VALUE)?.handle())
}

pub fn cuGraphGetId(graph: CUgraph, graph_id: Out<u32>) -> Result {
    graph_id.set(Graph::from_handle(graph)?.id)
}

pub fn cuGraphExecGetId(graph_exec: CUgraphExec, graph_id: Out<u32>) -> Result {
    graph_id.set(GraphExec::from_handle(graph_exec)?.id)
}

pub fn cuGraphNodeGetLocalId(node: CUgraphNode, node_id: Out<u32>) -> Result {
    node_id.set(Node::from_handle(node)?.id)
}

/// The graph's number above the node's.
pub fn cuGraphNodeGetToolsId(node: CUgraphNode, tools_node_id: Out<u64>) -> Result {
    let node = Node::from_handle(node)?;
    tools_node_id.set(u64::from(node.graph()?.id) << 32 | u64::from(node.id))
}

pub fn cuGraphNodeGetContainingGraph(node: CUgraphNode, graph: Out<CUgraph>) -> Result {
    graph.set(Node::from_handle(node)?.graph()?.handle())
}

pub fn cuGraphDebugDotPrint(graph: CUgraph, path: In<c_char>, flags: u32) -> Result {
    let text = graph_dot::print(&*Graph::from_handle(graph)?, flags);
    let path = path.text()?;
    std::fs::write(&path, text).map_err(|error| {
        tracing::warn!("cuGraphDebugDotPrint: {path}: {error}");
        CUresult::OPERATING_SYSTEM
    })
}
