//! Graphs as text for Graphviz (`cuGraphDebugDotPrint`).

use crate::core::graph::Graph;
use crate::core::operation::Operation;
use rustc_hash::FxHashMap;
use std::fmt::Write;

/// `CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE`: everything.
const VERBOSE: u32 = 1;
/// `CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES`.
const HANDLES: u32 = 1 << 10;
/// Those of the flags that ask for the parameters of nodes.
const PARAMETERS: u32 = 0x7c;

/// A graph with its child graphs as clusters. `flags` are `CU_GRAPH_DEBUG_DOT_FLAGS_`; those for single types of nodes count
/// for all.
pub fn print(graph: &Graph, flags: u32) -> String {
    let mut text = String::from("digraph dot {\n");
    subgraph(&mut text, graph, flags);
    text.push_str("}\n");
    text
}

fn subgraph(text: &mut String, graph: &Graph, flags: u32) {
    let id = graph.id;
    let _ = writeln!(
        text,
        "subgraph cluster_{id} {{\nlabel=\"graph_{id}\" graph[style=\"dashed\"];"
    );
    let nodes = graph.nodes();
    let names: FxHashMap<_, _> = nodes
        .iter()
        .map(|node| (node.handle(), format!("graph_{id}_node_{}", node.id)))
        .collect();
    for node in &nodes {
        let operation = node.operation();
        let mut label = format!("{}\\n{}", node.id, describe(&operation, flags));
        if flags & (VERBOSE | HANDLES) != 0 {
            let _ = write!(label, "\\nnode handle: {:?}", node.handle());
        }
        let name = &names[&node.handle()];
        let _ = writeln!(text, "\"{name}\"[shape=\"record\" label=\"{label}\"];");
        for child in operation.graphs() {
            subgraph(text, child, flags);
        }
    }
    for (from, to) in graph.edges() {
        if let (Some(from), Some(to)) = (names.get(&from), names.get(&to)) {
            let _ = writeln!(text, "\"{from}\" -> \"{to}\";");
        }
    }
    text.push_str("}\n");
}

/// A node's label: its type, and its parameters where they are asked for.
fn describe(operation: &Operation, flags: u32) -> String {
    let kind = operation.node_type();
    let mut label = kind.name().unwrap_or("?").to_owned();
    if let Operation::Launch(launch) = operation {
        let name = launch.function.name.to_string_lossy();
        let [x, y, z] = launch.grid;
        let [a, b, c] = launch.block;
        let shared = launch.dynamic_shared;
        let _ = write!(
            label,
            "\\n{name}\\n\\<\\<\\<({x},{y},{z}),({a},{b},{c}),{shared}\\>\\>\\>"
        );
    }
    if flags & (VERBOSE | PARAMETERS) == 0 {
        return label;
    }
    match operation {
        Operation::Copy(copy) => {
            let (width, height, depth) = (copy.width, copy.height, copy.depth);
            let _ = write!(label, "\\n{width} x {height} x {depth} bytes");
        }
        Operation::Fill(fill) => {
            let _ = write!(
                label,
                "\\ndst {:#x}, value {:#x}, {} x {} elements of {} bytes",
                fill.address, fill.value, fill.count, fill.rows, fill.element
            );
        }
        Operation::Host(call) => {
            let _ = write!(
                label,
                "\\nfn {:#x}, userData {:#x}",
                call.function as usize, call.user_data
            );
        }
        Operation::EventRecord(event) | Operation::EventWait(event) => {
            let _ = write!(label, "\\nevent {:?}", event.handle());
        }
        Operation::Allocate(memory) => {
            let (address, bytes) = (memory.address(), memory.size());
            let _ = write!(label, "\\n{bytes} bytes at {address:#x}");
        }
        Operation::Free(address) => {
            let _ = write!(label, "\\n{address:#x}");
        }
        Operation::Conditional(node) => {
            let _ = write!(
                label,
                "\\n{:?}, handle {:#x}",
                node.kind,
                node.value.address()
            );
        }
        Operation::Memory(batch) => {
            for operation in &batch.operations {
                let (address, value) = (operation.address, operation.value);
                let _ = write!(
                    label,
                    "\\n{:?} {value:#x} at {address:#x}",
                    operation.action
                );
            }
        }
        Operation::Launch(_) | Operation::Empty | Operation::Child(_) => {}
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_edges_are_there() {
        let (graph, child) = (Graph::create(), Graph::create());
        child.add(Operation::Empty, &[]).unwrap();
        let a = graph.add(Operation::Empty, &[]).unwrap();
        graph.add(Operation::Child(child.clone()), &[a]).unwrap();
        let text = print(&graph, VERBOSE);
        assert_eq!(text.matches("subgraph").count(), 2);
        assert_eq!(text.matches("EMPTY").count(), 2);
        assert_eq!(text.matches(" -> ").count(), 1);
        assert_eq!(text.matches('{').count(), text.matches('}').count());
        graph.destroy();
    }
}
