//! Graph nodes that record an event or wait for one.

use super::graph_node::{add, set};
use crate::boundary::{In, Out, Result};
use crate::core::event::EVENTS;
use crate::core::graph::Node;
use crate::core::graph_exec::GraphExec;
use crate::core::operation::Operation;
use cuda_abi::*;

/// Recording an event, as an operation.
pub(super) fn record(event: CUevent) -> Result<Operation> {
    EVENTS.get(event.0).map(Operation::EventRecord)
}

/// Waiting for an event, as an operation.
pub(super) fn wait(event: CUevent) -> Result<Operation> {
    EVENTS.get(event.0).map(Operation::EventWait)
}

pub fn cuGraphAddEventRecordNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    event: CUevent,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        record(event)
    })
}

pub fn cuGraphEventRecordNodeGetEvent(node: CUgraphNode, event_out: Out<CUevent>) -> Result {
    match Node::from_handle(node)?.operation() {
        Operation::EventRecord(event) => event_out.set(event.handle()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuGraphEventRecordNodeSetEvent(node: CUgraphNode, event: CUevent) -> Result {
    set(node, record(event)?)
}

pub fn cuGraphExecEventRecordNodeSetEvent(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    event: CUevent,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, record(event)?)
}

pub fn cuGraphAddEventWaitNode(
    graph_node: Out<CUgraphNode>,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    event: CUevent,
) -> Result {
    add(graph_node, graph, dependencies, num_dependencies, || {
        wait(event)
    })
}

pub fn cuGraphEventWaitNodeGetEvent(node: CUgraphNode, event_out: Out<CUevent>) -> Result {
    match Node::from_handle(node)?.operation() {
        Operation::EventWait(event) => event_out.set(event.handle()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuGraphEventWaitNodeSetEvent(node: CUgraphNode, event: CUevent) -> Result {
    set(node, wait(event)?)
}

pub fn cuGraphExecEventWaitNodeSetEvent(
    graph_exec: CUgraphExec,
    node: CUgraphNode,
    event: CUevent,
) -> Result {
    GraphExec::from_handle(graph_exec)?.set(node, wait(event)?)
}
