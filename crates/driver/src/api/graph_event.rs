//! Graph nodes that record an event or wait for one.

use super::graph_node::{add, set};
use crate::boundary::{In, Out, Result};
use crate::core::event::{Event, EVENTS};
use crate::core::graph::Node;
use crate::core::graph_exec::GraphExec;
use crate::core::operation::Operation;
use cuda_abi::*;
use std::sync::Arc;

fn find(event: CUevent) -> Result<Arc<Event>> {
    match event.is_null() {
        true => Err(CUresult::INVALID_VALUE),
        false => EVENTS.get(event.0),
    }
}

/// Recording an event, as an operation.
pub(super) fn record(event: CUevent) -> Result<Operation> {
    find(event).map(Operation::EventRecord)
}

/// Waiting for an event, as an operation.
pub(super) fn wait(event: CUevent) -> Result<Operation> {
    find(event).map(Operation::EventWait)
}

fn recorded(operation: &Operation) -> Option<&Arc<Event>> {
    match operation {
        Operation::EventRecord(event) => Some(event),
        _ => None,
    }
}

fn waited_for(operation: &Operation) -> Option<&Arc<Event>> {
    match operation {
        Operation::EventWait(event) => Some(event),
        _ => None,
    }
}

/// The functions of one of the two: how its operation is made of an event, and the event of its operation.
macro_rules! event_nodes {
    ($make:ident, $event_of:ident: $add:ident, $get:ident, $set:ident, $set_in_exec:ident) => {
        pub fn $add(
            graph_node: Out<CUgraphNode>,
            graph: CUgraph,
            dependencies: In<CUgraphNode>,
            num_dependencies: usize,
            event: CUevent,
        ) -> Result {
            add(graph_node, graph, dependencies, num_dependencies, || {
                $make(event)
            })
        }

        pub fn $get(node: CUgraphNode, event_out: Out<CUevent>) -> Result {
            let operation = Node::from_handle(node)?.operation();
            let event = $event_of(&operation).ok_or(CUresult::INVALID_VALUE)?;
            event_out.set(event.handle())
        }

        pub fn $set(node: CUgraphNode, event: CUevent) -> Result {
            set(node, $make(event)?)
        }

        pub fn $set_in_exec(graph_exec: CUgraphExec, node: CUgraphNode, event: CUevent) -> Result {
            GraphExec::from_handle(graph_exec)?.set(node, $make(event)?)
        }
    };
}

event_nodes!(
    record, recorded: cuGraphAddEventRecordNode, cuGraphEventRecordNodeGetEvent,
    cuGraphEventRecordNodeSetEvent, cuGraphExecEventRecordNodeSetEvent
);
event_nodes!(
    wait, waited_for: cuGraphAddEventWaitNode, cuGraphEventWaitNodeGetEvent,
    cuGraphEventWaitNodeSetEvent, cuGraphExecEventWaitNodeSetEvent
);
