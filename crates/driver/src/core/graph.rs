//! Graphs: operations and what each has to wait for.

use crate::boundary::Result;
use crate::core::attributes::{Attributes, Owner};
use crate::core::capture::NodeSet;
use crate::core::conditional::Value;
use crate::core::graph_exec::GraphExec;
use crate::core::graph_memory;
use crate::core::launch::check_resident;
use crate::core::operation::{Launch, Operation};
use crate::core::registry::Registry;
use crate::core::user_object::Reference;
use cuda_abi::*;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// Every graph by handle.
pub static GRAPHS: Registry<Graph> = Registry::new();
/// Every node by handle.
pub static NODES: Registry<Node> = Registry::new();

/// A graph.
pub struct Graph {
    /// `cuGraphGetId`.
    pub id: u32,
    /// In the order they were added.
    nodes: Mutex<Vec<Arc<Node>>>,
    /// What waits for nothing, the latest to do so first.
    roots: Mutex<Vec<CUgraphNode>>,
    /// What it keeps alive.
    pub user_objects: Mutex<Vec<Reference>>,
    /// The values of its conditional nodes.
    pub values: Mutex<Vec<Arc<Value>>>,
    /// Whether it is what a conditional node may run.
    is_body: bool,
    /// Whether a node has it, and ends it.
    is_owned: AtomicBool,
    /// The instance of a graph with memory nodes, of which there may be only one.
    pub instance: Mutex<Weak<GraphExec>>,
    next_node: AtomicU32,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// A number that no graph had before, instantiated ones included.
pub fn new_id() -> u32 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// A node.
pub struct Node {
    /// `cuGraphNodeGetLocalId`: its number in its graph, from 0.
    pub id: u32,
    graph: Weak<Graph>,
    /// The node of the graph that this one's graph was cloned from.
    pub cloned_from: CUgraphNode,
    operation: Mutex<Operation>,
    /// What `cuGraphKernelNodeGetParams` has pointed to.
    arguments: Mutex<Option<Arguments>>,
    /// Of a kernel node.
    pub attributes: Mutex<Attributes>,
    dependencies: Mutex<Vec<CUgraphNode>>,
}

impl Node {
    /// The node of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: CUgraphNode) -> Result<Arc<Self>> {
        NODES.get(handle.0).map_err(|_| CUresult::INVALID_VALUE)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUgraphNode {
        CUgraphNode(Registry::handle(self))
    }

    /// What it does.
    pub fn operation(&self) -> Operation {
        self.operation.lock().clone()
    }

    /// Makes it do something else of the same type. A cooperative launch stays one.
    ///
    /// # Errors
    /// `CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE`.
    pub fn set_operation(&self, mut operation: Operation) -> Result {
        let mut own = self.operation.lock();
        operation.keep_blocks(&own);
        match &operation {
            Operation::Launch(launch) if operation.cooperates() => {
                check_resident(&launch.function, launch.grid)?
            }
            _ => {}
        }
        // Who reads a node's parameters, changes some and sets them has the list that was read, and may set it elsewhere, too.
        let mut arguments = self.arguments.lock();
        let kept = match (&operation, &mut *arguments) {
            (Operation::Launch(launch), Some(arguments)) => arguments.renew(launch),
            _ => false,
        };
        if !kept {
            *arguments = None;
        }
        drop(arguments);
        *own = operation;
        Ok(())
    }

    /// Sets an attribute of a kernel node.
    ///
    /// # Errors
    /// As [`Attributes::set`]; `CUDA_ERROR_INVALID_VALUE` for a node of another type.
    pub fn set_attribute(&self, id: CUlaunchAttributeID, value: CUlaunchAttributeValue) -> Result {
        let mut own = self.operation.lock();
        let Operation::Launch(launch) = &mut *own else {
            return Err(CUresult::INVALID_VALUE);
        };
        let mut attributes = self.attributes.lock();
        attributes.set(id, value)?;
        launch.blocks = attributes.blocks();
        Ok(())
    }

    /// Takes the attributes of another kernel node.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where it is none.
    pub fn copy_attributes(&self, other: &Node) -> Result {
        let attributes = other.attributes.lock().clone();
        let mut own = self.operation.lock();
        let Operation::Launch(launch) = &mut *own else {
            return Err(CUresult::INVALID_VALUE);
        };
        launch.blocks = attributes.blocks();
        *self.attributes.lock() = attributes;
        Ok(())
    }

    /// A launch's arguments as they were given: an array of pointers to them, or the list that `extra` takes
    /// ([`Launch::packed`]). It lives until the node is destroyed or launches another kernel; null for a kernel without parameters.
    pub fn arguments(&self, launch: &Launch) -> *mut *mut c_void {
        let mut arguments = self.arguments.lock();
        arguments
            .get_or_insert_with(|| Arguments::new(launch))
            .pointers()
    }

    /// What it waits for.
    pub fn dependencies(&self) -> Vec<CUgraphNode> {
        self.dependencies.lock().clone()
    }

    /// Its graph.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` once that is destroyed.
    pub fn graph(&self) -> Result<Arc<Graph>> {
        self.graph.upgrade().ok_or(CUresult::INVALID_VALUE)
    }
}

/// The arguments of a kernel node, and pointers to each or to all of them.
struct Arguments {
    /// Packed; in words, since arguments are aligned to up to 16 bytes.
    packed: Vec<u128>,
    /// Bytes of them.
    size: Box<usize>,
    pointers: Vec<usize>,
}

impl Arguments {
    fn new(launch: &Launch) -> Self {
        let words = launch.parameters.chunks(16).map(|chunk| {
            let mut bytes = [0; 16];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(bytes)
        });
        let packed: Vec<u128> = words.collect();
        let base = packed.as_ptr() as usize;
        let given = launch.packed.map(|packed| packed.bytes);
        let size = Box::new(given.unwrap_or(launch.parameters.len()));
        let buffer = [CU_LAUNCH_PARAM_BUFFER_POINTER, base];
        let bytes = [
            CU_LAUNCH_PARAM_BUFFER_SIZE,
            std::ptr::from_ref(&*size) as usize,
        ];
        let offsets = launch.function.parameters.iter();
        Self {
            pointers: match launch.packed {
                Some(packed) => {
                    let pairs = match packed.size_first {
                        true => [bytes, buffer],
                        false => [buffer, bytes],
                    };
                    let mut list = pairs.concat();
                    list.push(CU_LAUNCH_PARAM_END);
                    list
                }
                None => offsets.map(|&(offset, _)| base + offset as usize).collect(),
            },
            packed,
            size,
        }
    }

    /// Takes the arguments of another launch to where those are that it has; `false` where they do not fit.
    fn renew(&mut self, launch: &Launch) -> bool {
        let new = Self::new(launch);
        let fits = (new.packed.len(), new.pointers.len(), *new.size)
            == (self.packed.len(), self.pointers.len(), *self.size);
        if fits {
            // The pointers may have been replaced by the application's.
            let (old, base) = (new.packed.as_ptr() as usize, self.packed.as_ptr() as usize);
            let there = old..=old + *new.size;
            self.packed.copy_from_slice(&new.packed);
            for (own, pointer) in self.pointers.iter_mut().zip(new.pointers) {
                *own = match pointer {
                    at if there.contains(&at) => base + (at - old),
                    at if at == std::ptr::from_ref(&*new.size) as usize => {
                        std::ptr::from_ref(&*self.size) as usize
                    }
                    key => key,
                };
            }
        }
        fits
    }

    fn pointers(&mut self) -> *mut *mut c_void {
        match self.pointers.is_empty() {
            true => std::ptr::null_mut(),
            false => self.pointers.as_mut_ptr().cast(),
        }
    }
}

impl Graph {
    /// An empty graph.
    pub fn create() -> Arc<Self> {
        Self::new(false)
    }

    /// An empty graph for a conditional node.
    pub fn create_body() -> Arc<Self> {
        Self::new(true)
    }

    /// Whether it is what a conditional node may run.
    pub fn is_body(&self) -> bool {
        self.is_body
    }

    /// Whether it is a node's, and is destroyed with that.
    pub fn is_owned(&self) -> bool {
        self.is_owned.load(Ordering::Relaxed)
    }

    fn new(is_body: bool) -> Arc<Self> {
        let graph = Arc::new(Self {
            id: new_id(),
            nodes: Mutex::default(),
            roots: Mutex::default(),
            user_objects: Mutex::default(),
            values: Mutex::default(),
            is_body,
            is_owned: AtomicBool::new(false),
            instance: Mutex::default(),
            next_node: AtomicU32::new(0),
        });
        GRAPHS.insert(graph.clone());
        graph
    }

    /// The graph of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: CUgraph) -> Result<Arc<Self>> {
        GRAPHS.get(handle.0).map_err(|_| CUresult::INVALID_VALUE)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUgraph {
        CUgraph(Registry::handle(self))
    }

    /// Its nodes in the order they were added.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.lock().clone()
    }

    /// The nodes that wait for nothing, the latest to do so first.
    pub fn roots(&self) -> Vec<CUgraphNode> {
        self.roots.lock().clone()
    }

    /// Notes whether a node waits for anything.
    fn note_root(&self, node: CUgraphNode, is_root: bool) {
        let mut roots = self.roots.lock();
        match roots.iter().position(|&root| root == node) {
            Some(place) if !is_root => {
                roots.remove(place);
            }
            None if is_root => roots.insert(0, node),
            _ => {}
        }
    }

    /// Whether it allocates or frees memory. Such a graph cannot be copied, loses no node or edge, and has one instance at a
    /// time (CUDA driver API, `cuGraphAddMemAllocNode`).
    pub fn has_memory(&self) -> bool {
        self.nodes.lock().iter().any(|node| {
            let operation = node.operation.lock();
            matches!(*operation, Operation::Allocate(_) | Operation::Free(_))
        })
    }

    /// Whether it has conditional nodes.
    pub fn has_conditions(&self) -> bool {
        let nodes = self.nodes.lock();
        nodes
            .iter()
            .any(|node| matches!(*node.operation.lock(), Operation::Conditional(_)))
    }

    /// Checks a new node that frees memory: what the graph or that of the allocation frees already cannot be freed.
    fn check_free(&self, address: u64) -> Result {
        let mut own = false;
        for node in &*self.nodes.lock() {
            match &*node.operation.lock() {
                Operation::Free(freed) if *freed == address => return Err(CUresult::INVALID_VALUE),
                Operation::Allocate(memory) => own |= memory.address() == address,
                _ => {}
            }
        }
        graph_memory::free_node(address, own)
    }

    /// Checks that nodes belong to the graph.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn check_nodes(&self, nodes: &[CUgraphNode]) -> Result {
        let own = self.nodes.lock();
        let known = |handle: &CUgraphNode| own.iter().any(|node| node.handle() == *handle);
        // A node may be far back, so look from the end where captures add.
        if nodes
            .iter()
            .all(|handle| own.iter().rev().take(8).any(|n| n.handle() == *handle) || known(handle))
        {
            Ok(())
        } else {
            Err(CUresult::INVALID_VALUE)
        }
    }

    /// Adds a node that waits for others.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for dependencies that are not the graph's or appear twice.
    pub fn add(
        self: &Arc<Self>,
        operation: Operation,
        dependencies: &[CUgraphNode],
    ) -> Result<CUgraphNode> {
        self.add_clone(operation, dependencies, CUgraphNode::NULL)
    }

    fn add_clone(
        self: &Arc<Self>,
        operation: Operation,
        dependencies: &[CUgraphNode],
        cloned_from: CUgraphNode,
    ) -> Result<CUgraphNode> {
        self.check_nodes(dependencies)?;
        if dependencies
            .iter()
            .enumerate()
            .any(|(i, node)| dependencies[..i].contains(node))
        {
            return Err(CUresult::INVALID_VALUE);
        }
        if let Operation::Free(address) = operation {
            self.check_free(address)?;
        }
        for graph in operation.graphs() {
            graph.is_owned.store(true, Ordering::Relaxed);
        }
        let attributes = match &operation {
            Operation::Launch(launch) => Attributes::of_launch(launch.blocks),
            _ => Attributes::new(Owner::Node),
        };
        let node = Arc::new(Node {
            id: self.next_node.fetch_add(1, Ordering::Relaxed),
            graph: Arc::downgrade(self),
            cloned_from,
            operation: Mutex::new(operation),
            arguments: Mutex::new(None),
            attributes: Mutex::new(attributes),
            dependencies: Mutex::new(dependencies.to_vec()),
        });
        let handle = CUgraphNode(NODES.insert(node.clone()));
        self.nodes.lock().push(node);
        self.note_root(handle, dependencies.is_empty());
        Ok(handle)
    }

    /// The edges as pairs: the second waits for the first. They come by the first, in the order in which nodes were added.
    pub fn edges(&self) -> Vec<(CUgraphNode, CUgraphNode)> {
        let nodes = self.nodes();
        let mut targets: FxHashMap<CUgraphNode, Vec<CUgraphNode>> = FxHashMap::default();
        for node in &nodes {
            for from in node.dependencies() {
                targets.entry(from).or_default().push(node.handle());
            }
        }
        nodes
            .iter()
            .filter_map(|node| targets.remove_entry(&node.handle()))
            .flat_map(|(from, targets)| targets.into_iter().map(move |to| (from, to)))
            .collect()
    }

    /// `cuGraphAddDependencies`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for foreign nodes, an edge that exists, or one that closes a cycle.
    pub fn add_edge(&self, from: CUgraphNode, to: CUgraphNode) -> Result {
        self.check_nodes(&[from, to])?;
        if self.with_ancestors(&[from]).contains(&to) {
            return Err(CUresult::INVALID_VALUE);
        }
        let node = Node::from_handle(to)?;
        let mut dependencies = node.dependencies.lock();
        if dependencies.contains(&from) {
            return Err(CUresult::INVALID_VALUE);
        }
        dependencies.push(from);
        self.note_root(to, false);
        Ok(())
    }

    /// `cuGraphRemoveDependencies`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where there is no such edge.
    pub fn remove_edge(&self, from: CUgraphNode, to: CUgraphNode) -> Result {
        self.check_nodes(&[from, to])?;
        let node = Node::from_handle(to)?;
        let mut dependencies = node.dependencies.lock();
        let before = dependencies.len();
        dependencies.retain(|&node| node != from);
        if dependencies.len() < before {
            self.note_root(to, dependencies.is_empty());
            Ok(())
        } else {
            Err(CUresult::INVALID_VALUE)
        }
    }

    /// `cuGraphDestroyNode`: the node, its edges and the graphs that it owns.
    pub fn remove(&self, handle: CUgraphNode) {
        let mut nodes = self.nodes.lock();
        nodes.retain(|node| node.handle() != handle);
        self.note_root(handle, false);
        for node in &*nodes {
            let mut dependencies = node.dependencies.lock();
            let before = dependencies.len();
            dependencies.retain(|&from| from != handle);
            if dependencies.len() < before {
                self.note_root(node.handle(), dependencies.is_empty());
            }
        }
        drop(nodes);
        if let Ok(node) = NODES.remove(handle.0) {
            for child in node.operation().graphs() {
                child.destroy();
            }
        }
    }

    /// Nodes and everything they wait for, directly or not.
    pub fn with_ancestors(&self, nodes: &[CUgraphNode]) -> NodeSet {
        let mut seen = NodeSet::new();
        let mut open = nodes.to_vec();
        while let Some(handle) = open.pop() {
            if seen.insert(handle) {
                if let Ok(node) = Node::from_handle(handle) {
                    open.extend(node.dependencies());
                }
            }
        }
        seen
    }

    /// The nodes in an order in which each comes after what it waits for; otherwise as they were added.
    pub fn ordered(&self) -> Vec<Arc<Node>> {
        let nodes = self.nodes();
        let index: FxHashMap<_, _> = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (node.handle(), i))
            .collect();
        let mut done = vec![false; nodes.len()];
        let mut ordered = Vec::with_capacity(nodes.len());
        // Depth first without recursion: a captured graph is a chain of a thousand nodes.
        for start in 0..nodes.len() {
            let mut open = vec![start];
            while let Some(&current) = open.last() {
                let missing = nodes[current]
                    .dependencies()
                    .iter()
                    .filter_map(|handle| index.get(handle).copied())
                    .find(|&dependency| !done[dependency]);
                match missing {
                    _ if done[current] => {
                        open.pop();
                    }
                    Some(dependency) => open.push(dependency),
                    None => {
                        done[current] = true;
                        ordered.push(nodes[current].clone());
                        open.pop();
                    }
                }
            }
        }
        ordered
    }

    /// `cuGraphClone`.
    ///
    /// # Errors
    /// None that the graph itself can cause.
    pub fn duplicate(&self) -> Result<Arc<Self>> {
        let clone = Graph::new(self.is_body);
        *clone.values.lock() = self.values.lock().clone();
        *clone.user_objects.lock() = self.user_objects.lock().clone();
        let mut clones = FxHashMap::default();
        for node in self.ordered() {
            let dependencies: Vec<_> = node
                .dependencies()
                .iter()
                .filter_map(|d| clones.get(d).copied())
                .collect();
            let operation = match node.operation() {
                Operation::Child(child) => Operation::Child(child.duplicate()?),
                Operation::Conditional(node) => Operation::Conditional(Arc::new(node.duplicate()?)),
                other => other,
            };
            let copy = clone.add_clone(operation, &dependencies, node.handle())?;
            let attributes = node.attributes.lock().clone();
            *Node::from_handle(copy)?.attributes.lock() = attributes;
            clones.insert(node.handle(), copy);
        }
        *clone.roots.lock() = self.roots().iter().map(|root| clones[root]).collect();
        Ok(clone)
    }

    /// What it and its child graphs keep alive.
    pub fn all_user_objects(&self) -> Vec<Reference> {
        let mut objects = self.user_objects.lock().clone();
        for node in self.nodes() {
            for child in node.operation().graphs() {
                objects.extend(child.all_user_objects());
            }
        }
        objects
    }

    /// `cuGraphDestroy`: ends the handles of the graph and its nodes.
    pub fn destroy(self: &Arc<Self>) {
        let _ = GRAPHS.remove(Registry::handle(self));
        self.end_nodes();
    }

    /// Ends the handles of the nodes, and the graphs of its child nodes.
    pub fn end_nodes(&self) {
        let objects = std::mem::take(&mut *self.user_objects.lock());
        drop(objects);
        self.roots.lock().clear();
        for node in std::mem::take(&mut *self.nodes.lock()) {
            let _ = NODES.remove(Registry::handle(&node));
            for child in node.operation().graphs() {
                child.destroy();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_dependencies() {
        let graph = Graph::create();
        let a = graph.add(Operation::Empty, &[]).unwrap();
        let b = graph.add(Operation::Empty, &[]).unwrap();
        let c = graph.add(Operation::Empty, &[a, b]).unwrap();
        graph.add_edge(b, a).unwrap();
        let order: Vec<_> = graph.ordered().iter().map(|n| n.handle()).collect();
        assert_eq!(order, [b, a, c]);
        assert_eq!(
            graph.add_edge(c, b),
            Err(CUresult::INVALID_VALUE),
            "a cycle"
        );
        assert_eq!(graph.add_edge(b, a), Err(CUresult::INVALID_VALUE), "twice");
        assert_eq!(graph.edges().len(), 3);
        assert!(graph.with_ancestors(&[a]).contains(&b));
        let clone = graph.duplicate().unwrap();
        assert_eq!(clone.edges().len(), 3);
        assert_eq!(clone.nodes().len(), 3);
        assert_eq!(
            graph.add(Operation::Empty, &[clone.nodes()[0].handle()]),
            Err(CUresult::INVALID_VALUE)
        );
        graph.remove(a);
        assert_eq!(graph.edges(), [(b, c)]);
        graph.destroy();
        assert!(Node::from_handle(b).is_err());
        assert!(Graph::from_handle(graph.handle()).is_err());
        clone.destroy();
    }

    #[test]
    fn roots_are_kept_the_latest_first() {
        let graph = Graph::create();
        let a = graph.add(Operation::Empty, &[]).unwrap();
        let b = graph.add(Operation::Empty, &[]).unwrap();
        let c = graph.add(Operation::Empty, &[a]).unwrap();
        assert_eq!(graph.roots(), [b, a]);
        graph.add_edge(b, a).unwrap();
        assert_eq!(graph.roots(), [b]);
        assert_eq!(graph.edges(), [(a, c), (b, a)]);
        graph.remove_edge(b, a).unwrap();
        assert_eq!(graph.roots(), [a, b]);
        let clone = graph.duplicate().unwrap();
        let originals: Vec<_> = (clone.roots().into_iter())
            .map(|root| Node::from_handle(root).unwrap().cloned_from)
            .collect();
        assert_eq!(originals, [a, b]);
        graph.remove(a);
        assert_eq!(graph.roots(), [c, b]);
        graph.destroy();
        clone.destroy();
    }
}
