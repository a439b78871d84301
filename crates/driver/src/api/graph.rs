//! Graphs as a whole, and their edges.

use crate::boundary::{In, Out, Result};
use crate::core::graph::{Graph, Node};
use crate::core::platform::platform;
use cuda_abi::*;

/// Refuses edges that are more than dependencies, in full or programmatic.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
pub(super) fn plain_edges(data: In<CUgraphEdgeData>, count: usize) -> Result {
    // A programmatic edge (type 1) may start its node early; starting it after the other's end is right, too.
    let programmatic = 1;
    // A programmatic port belongs to such an edge, and the other way round.
    let programmatic_port = 1;
    let wrong = |edge: &CUgraphEdgeData| {
        let port = edge.from_port == programmatic_port;
        edge.kind > programmatic
            || (edge.kind == programmatic) != port
            || edge.to_port != 0
            || edge.reserved != [0; 5]
    };
    if !data.is_null() && data.all(count)?.iter().any(wrong) {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(())
}

/// Writes handles to a caller's array of `count` elements, or only their number where there is no array. Elements beyond
/// the last are null.
pub(super) fn list<T: Copy>(items: &[T], none: T, array: Out<T>, count: Out<usize>) -> Result {
    if array.is_null() {
        return count.set(items.len());
    }
    let room = count.get()?;
    let padded = items.iter().copied().chain(std::iter::repeat(none));
    array.set_all(padded.take(room))?;
    count.set(items.len().min(room))
}

pub fn cuGraphCreate(graph: Out<CUgraph>, flags: u32) -> Result {
    platform()?;
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    graph.required()?;
    graph.set(Graph::create().handle())
}

/// A node's graph ends with the node alone.
pub fn cuGraphDestroy(graph: CUgraph) -> Result {
    let graph = Graph::from_handle(graph)?;
    if graph.is_owned() {
        return Err(CUresult::INVALID_VALUE);
    }
    graph.destroy();
    Ok(())
}

pub fn cuGraphClone(graph_clone: Out<CUgraph>, original_graph: CUgraph) -> Result {
    graph_clone.required()?;
    let original = Graph::from_handle(original_graph)?;
    if original.has_memory() || original.has_conditions() {
        return Err(CUresult::NOT_SUPPORTED);
    }
    graph_clone.set(original.duplicate()?.handle())
}

pub fn cuGraphGetNodes(graph: CUgraph, nodes: Out<CUgraphNode>, num_nodes: Out<usize>) -> Result {
    let handles: Vec<_> = Graph::from_handle(graph)?
        .nodes()
        .iter()
        .map(|node| node.handle())
        .collect();
    list(&handles, CUgraphNode::NULL, nodes, num_nodes)
}

pub fn cuGraphGetRootNodes(
    graph: CUgraph,
    root_nodes: Out<CUgraphNode>,
    num_root_nodes: Out<usize>,
) -> Result {
    let roots = Graph::from_handle(graph)?.roots();
    list(&roots, CUgraphNode::NULL, root_nodes, num_root_nodes)
}

pub fn cuGraphGetEdges(
    graph: CUgraph,
    from: Out<CUgraphNode>,
    to: Out<CUgraphNode>,
    num_edges: Out<usize>,
) -> Result {
    if from.is_null() != to.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let edges = Graph::from_handle(graph)?.edges();
    let (sources, targets): (Vec<_>, Vec<_>) = edges.into_iter().unzip();
    if !from.is_null() {
        let room = num_edges.get()?;
        list(&targets, CUgraphNode::NULL, to, num_edges)?;
        num_edges.set(room)?;
    }
    list(&sources, CUgraphNode::NULL, from, num_edges)
}

pub fn cuGraphGetEdges_v2(
    graph: CUgraph,
    from: Out<CUgraphNode>,
    to: Out<CUgraphNode>,
    edge_data: Out<CUgraphEdgeData>,
    num_edges: Out<usize>,
) -> Result {
    cuGraphGetEdges(graph, from, to, num_edges)?;
    plain_data(from.is_null(), edge_data, num_edges)
}

/// Writes the data of plain edges, where the caller wants it.
fn plain_data(counting: bool, edge_data: Out<CUgraphEdgeData>, count: Out<usize>) -> Result {
    if counting || edge_data.is_null() {
        return Ok(());
    }
    edge_data.set_all(std::iter::repeat_n(
        CUgraphEdgeData::default(),
        count.get()?,
    ))
}

pub fn cuGraphNodeGetDependencies(
    node: CUgraphNode,
    dependencies: Out<CUgraphNode>,
    num_dependencies: Out<usize>,
) -> Result {
    list(
        &Node::from_handle(node)?.dependencies(),
        CUgraphNode::NULL,
        dependencies,
        num_dependencies,
    )
}

pub fn cuGraphNodeGetDependencies_v2(
    node: CUgraphNode,
    dependencies: Out<CUgraphNode>,
    edge_data: Out<CUgraphEdgeData>,
    num_dependencies: Out<usize>,
) -> Result {
    cuGraphNodeGetDependencies(node, dependencies, num_dependencies)?;
    plain_data(dependencies.is_null(), edge_data, num_dependencies)
}

pub fn cuGraphNodeGetDependentNodes(
    node: CUgraphNode,
    dependent_nodes: Out<CUgraphNode>,
    num_nodes: Out<usize>,
) -> Result {
    let edges = Node::from_handle(node)?.graph()?.edges();
    let dependents: Vec<_> = edges
        .into_iter()
        .filter(|&(from, _)| from == node)
        .map(|(_, to)| to)
        .collect();
    list(&dependents, CUgraphNode::NULL, dependent_nodes, num_nodes)
}

pub fn cuGraphNodeGetDependentNodes_v2(
    node: CUgraphNode,
    dependent_nodes: Out<CUgraphNode>,
    edge_data: Out<CUgraphEdgeData>,
    num_nodes: Out<usize>,
) -> Result {
    cuGraphNodeGetDependentNodes(node, dependent_nodes, num_nodes)?;
    plain_data(dependent_nodes.is_null(), edge_data, num_nodes)
}

pub fn cuGraphAddDependencies(
    graph: CUgraph,
    from: In<CUgraphNode>,
    to: In<CUgraphNode>,
    count: usize,
) -> Result {
    let graph = Graph::from_handle(graph)?;
    (0..count).try_for_each(|index| graph.add_edge(from.at(index)?, to.at(index)?))
}

pub fn cuGraphAddDependencies_v2(
    graph: CUgraph,
    from: In<CUgraphNode>,
    to: In<CUgraphNode>,
    edge_data: In<CUgraphEdgeData>,
    count: usize,
) -> Result {
    plain_edges(edge_data, count)?;
    // Only kernels have other ways out than their end.
    for index in 0..count {
        if edge_data.is_null() || edge_data.at(index)?.from_port == 0 {
            continue;
        }
        let node = Node::from_handle(from.at(index)?)?;
        if node.operation().node_type() != CUgraphNodeType::KERNEL {
            return Err(CUresult::INVALID_VALUE);
        }
    }
    cuGraphAddDependencies(graph, from, to, count)
}

pub fn cuGraphRemoveDependencies(
    graph: CUgraph,
    from: In<CUgraphNode>,
    to: In<CUgraphNode>,
    count: usize,
) -> Result {
    let graph = Graph::from_handle(graph)?;
    if graph.has_memory() && count > 0 {
        return Err(CUresult::NOT_SUPPORTED);
    }
    (0..count).try_for_each(|index| graph.remove_edge(from.at(index)?, to.at(index)?))
}

pub fn cuGraphRemoveDependencies_v2(
    graph: CUgraph,
    from: In<CUgraphNode>,
    to: In<CUgraphNode>,
    edge_data: In<CUgraphEdgeData>,
    count: usize,
) -> Result {
    plain_edges(edge_data, count)?;
    cuGraphRemoveDependencies(graph, from, to, count)
}

pub fn cuGraphDestroyNode(node: CUgraphNode) -> Result {
    let graph = Node::from_handle(node)?.graph()?;
    if graph.has_memory() {
        return Err(CUresult::NOT_SUPPORTED);
    }
    graph.remove(node);
    Ok(())
}

pub fn cuGraphNodeGetType(node: CUgraphNode, kind: Out<CUgraphNodeType>) -> Result {
    kind.set(Node::from_handle(node)?.operation().node_type())
}
