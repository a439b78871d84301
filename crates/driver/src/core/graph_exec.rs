//! Instantiated graphs.
//!
//! A graph becomes a list of steps in an order that respects its edges. Steps that the device can do are gathered into
//! recordings, which are replayed at the cost of a submission each; calls of host functions, events and pageable host
//! memory come between them. At a conditional node the launch waits for what comes before it, and looks at the value.

use crate::boundary::Result;
use crate::core::conditional::{Conditional, Kind};
use crate::core::context::State;
use crate::core::copy::{device_rows, Copy, Place, Side, Staging};
use crate::core::event::Event;
use crate::core::graph::{self, Graph};
use crate::core::graph_memory;
use crate::core::launch::check_resident;
use crate::core::memory_operation::Batch;
use crate::core::operation::{HostCall, Operation};
use crate::core::registry::Registry;
use crate::core::status::IntoCuda;
use crate::core::stream::{Stream, StreamGroup};
use crate::core::user_object::Reference;
use cuda_abi::*;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use vulkan::{EventPoint, Node as DeviceNode, Recording};

/// Every instantiated graph by handle.
pub static GRAPH_EXECS: Registry<GraphExec> = Registry::new();

/// An instantiated graph.
pub struct GraphExec {
    /// `Context::id`.
    pub context_id: u64,
    /// `CUDA_GRAPH_INSTANTIATE_FLAG_`s.
    pub flags: u64,
    /// `cuGraphExecGetId`.
    pub id: u32,
    group: Arc<StreamGroup>,
    plan: Mutex<Plan>,
    /// What the graph itself keeps alive; its child graphs' are the nodes'.
    user_objects: Mutex<Objects>,
}

/// References to user objects, which several owners hold together: an instantiated graph and its launches.
type Objects = Arc<Vec<Reference>>;

/// A node as it was when the graph was instantiated or updated.
#[derive(Clone)]
struct Flat {
    source: CUgraphNode,
    operation: Operation,
    /// Whether it does anything (`cuGraphNodeSetEnabled`).
    enabled: bool,
    /// How many nodes of its child graph stand before it.
    children: usize,
    /// What its child graph keeps alive, or the graphs of a conditional node.
    user_objects: Objects,
    /// Indices of what it waits for.
    dependencies: Vec<usize>,
}

struct Plan {
    nodes: Vec<Flat>,
    segments: Vec<Segment>,
    /// Where each node's steps are: segment, and index in its recording.
    places: Vec<Vec<(usize, usize)>>,
    /// The end of the last launch, where launches have to be kept from overlapping by hand.
    last: Option<EventPoint>,
}

enum Segment {
    Recording(Arc<Recording>),
    Conditional(Arc<Bodies>),
    Memory(Arc<Batch>),
    Call(Call),
    EventRecord(Arc<Event>),
    EventWait(Arc<Event>),
}

type Call = Arc<dyn Fn() + Send + Sync>;

/// A conditional node with its graphs as plans.
struct Bodies {
    node: Arc<Conditional>,
    plans: Vec<Plan>,
}

enum Step {
    Device(DeviceNode),
    Conditional(Arc<Bodies>),
    Memory(Arc<Batch>),
    Call(Call),
    EventRecord(Arc<Event>),
    EventWait(Arc<Event>),
}

/// Why an update was refused.
pub struct UpdateError {
    /// The reason.
    pub result: CUgraphExecUpdateResult,
    /// The node of the graph given that does not fit.
    pub node: CUgraphNode,
}

impl GraphExec {
    /// `cuGraphInstantiateWithFlags` in a context.
    ///
    /// # Errors
    /// Those of the nodes' kernels and addresses; `CUDA_ERROR_INVALID_VALUE` for unknown flags; `CUDA_ERROR_NOT_SUPPORTED` for
    /// launches from the device.
    pub fn instantiate(state: &State, graph: &Graph, flags: u64) -> Result<Arc<Self>> {
        if flags & !CUDA_GRAPH_INSTANTIATE_FLAGS_MASK != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH != 0 {
            tracing::warn!("graphs cannot be launched from the device");
            return Err(CUresult::NOT_SUPPORTED);
        }
        if graph.values.lock().iter().any(|value| !value.is_used()) {
            tracing::warn!("a conditional handle of the graph is used by none of its nodes");
            return Err(CUresult::INVALID_VALUE);
        }
        let has_memory = graph.has_memory();
        if has_memory && graph.instance.lock().strong_count() > 0 {
            tracing::warn!("a graph with memory nodes can have one instance at a time");
            return Err(CUresult::NOT_SUPPORTED);
        }
        let plan = Plan::new(&state.streams, flatten(graph))?;
        let exec = Arc::new(Self {
            context_id: state.context_id,
            flags,
            id: graph::new_id(),
            user_objects: Mutex::new(Arc::new(graph.user_objects.lock().clone())),
            group: state.streams.clone(),
            plan: Mutex::new(plan),
        });
        GRAPH_EXECS.insert(exec.clone());
        if has_memory {
            *graph.instance.lock() = Arc::downgrade(&exec);
        }
        Ok(exec)
    }

    /// The instantiated graph of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: CUgraphExec) -> Result<Arc<Self>> {
        GRAPH_EXECS
            .get(handle.0)
            .map_err(|_| CUresult::INVALID_VALUE)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUgraphExec {
        CUgraphExec(Registry::handle(self))
    }

    /// `cuGraphLaunch` on a stream that does not capture.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a stream of another device; sticky errors.
    pub fn launch(&self, stream: &Arc<Stream>) -> Result {
        if !Arc::ptr_eq(&self.group.vulkan, &stream.group.vulkan) {
            return Err(CUresult::INVALID_VALUE);
        }
        let mut plan = self.plan.lock();
        // Replays of one recording do not overlap by themselves. With steps in between, whole launches must not.
        let several = plan.segments.len() > 1;
        if several {
            if let Some(last) = &plan.last {
                stream.vulkan.wait(last).cuda()?;
            }
        }
        self.check_memory(&plan)?;
        plan.start_values(stream)?;
        // One cooperative launch at a time on a device, whether in a graph or not.
        let mut last_cooperative = match plan.cooperates() {
            true => Some(self.group.open.last_cooperative.lock()),
            false => None,
        };
        if let Some(Some(point)) = last_cooperative.as_deref() {
            stream.run(|vulkan| vulkan.wait(point))?;
        }
        plan.run(&self.group, stream)?;
        if let Some(last) = &mut last_cooperative {
            **last = Some(stream.vulkan.record_event(false).cuda()?);
        }
        drop(last_cooperative);
        for node in &plan.nodes {
            match &node.operation {
                Operation::Allocate(memory) => {
                    memory.begin();
                }
                Operation::Free(address) => {
                    let ended = graph_memory::end(*address);
                    stream.run(|vulkan| vulkan.keep_alive(Box::new(ended)))?;
                }
                _ => {}
            }
        }
        let objects = plan.user_objects(&self.user_objects.lock());
        if !objects.is_empty() {
            stream.run(|vulkan| vulkan.keep_alive(Box::new(objects)))?;
        }
        if several {
            plan.last = Some(stream.vulkan.record_event(false).cuda()?);
        }
        Ok(())
    }

    /// Checks that no memory is allocated a second time, unless instantiation said that it is freed by then.
    fn check_memory(&self, plan: &Plan) -> Result {
        let frees_itself = self.flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH != 0;
        for node in &plan.nodes {
            match &node.operation {
                Operation::Allocate(memory) if frees_itself => {
                    graph_memory::end(memory.address());
                }
                Operation::Allocate(memory) if memory.is_live() => {
                    tracing::warn!(
                        "cuGraphLaunch: the memory at {:#x} is not freed since the last launch",
                        memory.address()
                    );
                    return Err(CUresult::INVALID_VALUE);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// `cuGraphExecUpdate`: takes the operations of a graph that has the same shape, and keeps alive what that one does instead
    /// of what it kept before, which launches do until they end.
    ///
    /// # Errors
    /// What does not fit, and where. Nothing is changed then, unless the device refuses an operation.
    pub fn update(&self, graph: &Graph) -> std::result::Result<(), UpdateError> {
        let new = flatten(graph);
        let mut plan = self.plan.lock();
        let error = |result, node| Err(UpdateError { result, node });
        if new.len() != plan.nodes.len() {
            return error(
                CUgraphExecUpdateResult::ERROR_TOPOLOGY_CHANGED,
                CUgraphNode::NULL,
            );
        }
        for (old, new) in plan.nodes.iter().zip(&new) {
            if old.dependencies != new.dependencies {
                return error(CUgraphExecUpdateResult::ERROR_TOPOLOGY_CHANGED, new.source);
            }
            if old.operation.node_type() != new.operation.node_type() {
                return error(CUgraphExecUpdateResult::ERROR_NODE_TYPE_CHANGED, new.source);
            }
        }
        let mut before = Vec::new();
        for (index, node) in new.into_iter().enumerate() {
            if let Err(status) = plan.set(&self.group, index, node.operation) {
                tracing::warn!("cuGraphExecUpdate: a node cannot be changed: {status}");
                return error(
                    CUgraphExecUpdateResult::ERROR_PARAMETERS_CHANGED,
                    node.source,
                );
            }
            let objects = &mut plan.nodes[index].user_objects;
            before.push(std::mem::replace(objects, node.user_objects));
        }
        let objects = Arc::new(graph.user_objects.lock().clone());
        before.push(std::mem::replace(&mut *self.user_objects.lock(), objects));
        // A destructor may call back, so without the lock.
        drop(plan);
        drop(before);
        Ok(())
    }

    /// Replaces the operation of one node, named by the node of the graph that was instantiated.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown node or another type of operation; those of the operation.
    pub fn set(&self, node: CUgraphNode, mut operation: Operation) -> Result {
        let mut plan = self.plan.lock();
        let index = plan.index(node)?;
        let old = &plan.nodes[index].operation;
        operation.keep_blocks(old);
        let fits = old.node_type() == operation.node_type()
            && match (old, &operation) {
                // A kernel stays in its context, a copy between the same kinds of memory.
                (Operation::Launch(old), Operation::Launch(new)) => {
                    old.function.code.context_id == new.function.code.context_id
                }
                (Operation::Copy(old), Operation::Copy(new)) => {
                    let kind = |side: &Side| std::mem::discriminant(&side.place);
                    kind(&old.source) == kind(&new.source)
                        && kind(&old.destination) == kind(&new.destination)
                }
                (Operation::Memory(old), Operation::Memory(new)) => {
                    old.given.len() == new.given.len()
                }
                _ => true,
            };
        if !fits {
            return Err(CUresult::INVALID_VALUE);
        }
        plan.set(&self.group, index, operation)
    }

    /// `cuGraphExecChildGraphNodeSetParams`: takes the operations of a graph that has the shape of the child node's.
    ///
    /// # Errors
    /// `CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE` where it has not; those of the operations.
    pub fn set_child(&self, node: CUgraphNode, child: &Graph) -> Result {
        let mut plan = self.plan.lock();
        let index = plan.index(node)?;
        let own = plan.nodes[index].children;
        let (start, end) = (index - own, index);
        let before: Vec<usize> = plan.nodes[index]
            .dependencies
            .iter()
            .copied()
            .filter(|dependency| !(start..end).contains(dependency))
            .collect();
        let mut nodes = plan.nodes[..start].to_vec();
        flatten_into(&mut nodes, child, &before);
        let fits = nodes.len() == end
            && nodes[start..]
                .iter()
                .zip(&plan.nodes[start..])
                .all(|(new, old)| {
                    new.dependencies == old.dependencies
                        && new.operation.node_type() == old.operation.node_type()
                });
        if own == 0 || !fits {
            return Err(CUresult::GRAPH_EXEC_UPDATE_FAILURE);
        }
        let mut before = Vec::new();
        for (index, new) in nodes.into_iter().enumerate().skip(start) {
            plan.set(&self.group, index, new.operation)?;
            let objects = &mut plan.nodes[index].user_objects;
            before.push(std::mem::replace(objects, new.user_objects));
        }
        let objects = Arc::new(child.user_objects.lock().clone());
        let own = &mut plan.nodes[end].user_objects;
        before.push(std::mem::replace(own, objects));
        // A destructor may call back, so without the lock.
        drop(plan);
        drop(before);
        Ok(())
    }

    /// Whether a node does anything.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown node, or one that is no kernel, copy or fill.
    pub fn is_enabled(&self, node: CUgraphNode) -> Result<bool> {
        let plan = self.plan.lock();
        let node = &plan.nodes[plan.index(node)?];
        match node.operation {
            Operation::Launch(_) | Operation::Copy(_) | Operation::Fill(_) => Ok(node.enabled),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }

    /// Makes a node do something or nothing.
    ///
    /// # Errors
    /// As [`GraphExec::is_enabled`].
    pub fn set_enabled(&self, node: CUgraphNode, enabled: bool) -> Result {
        if self.is_enabled(node)? == enabled {
            return Ok(());
        }
        let mut plan = self.plan.lock();
        let index = plan.index(node)?;
        let mut nodes = plan.nodes.clone();
        nodes[index].enabled = enabled;
        plan.renew(&self.group, nodes)
    }
}

/// Ends the handles of a closed context's instantiated graphs.
pub fn end_of_context(context_id: u64) {
    GRAPH_EXECS.remove_if(|exec| exec.context_id == context_id);
}

/// The nodes in order, those of child graphs in place of the node that has them, which stays as an empty one after them.
fn flatten(graph: &Graph) -> Vec<Flat> {
    let mut flat = Vec::new();
    flatten_into(&mut flat, graph, &[]);
    flat
}

fn flatten_into(flat: &mut Vec<Flat>, graph: &Graph, before: &[usize]) {
    let mut index = FxHashMap::default();
    for node in graph.ordered() {
        let mut dependencies: Vec<usize> = node
            .dependencies()
            .iter()
            .filter_map(|handle| index.get(handle).copied())
            .collect();
        if dependencies.is_empty() {
            dependencies = before.to_vec();
        }
        let mut operation = node.operation();
        let mut children = 0;
        let mut user_objects = Vec::new();
        for graph in operation.graphs() {
            match operation {
                // Those of its own child graphs are their nodes'.
                Operation::Child(_) => user_objects.extend(graph.user_objects.lock().clone()),
                _ => user_objects.extend(graph.all_user_objects()),
            }
        }
        if let Operation::Child(child) = &operation {
            let start = flat.len();
            flatten_into(flat, child, &dependencies);
            children = flat.len() - start;
            dependencies.extend(start..flat.len());
            operation = Operation::Empty;
        }
        index.insert(node.handle(), flat.len());
        flat.push(Flat {
            source: node.handle(),
            operation,
            enabled: true,
            children,
            user_objects: Arc::new(user_objects),
            dependencies,
        });
    }
}

impl Plan {
    /// What a launch keeps alive: its nodes' user objects, and those of the graph itself.
    fn user_objects(&self, own: &Objects) -> Vec<Objects> {
        let nodes = self.nodes.iter().map(|node| &node.user_objects);
        nodes
            .chain([own])
            .filter(|objects| !objects.is_empty())
            .cloned()
            .collect()
    }

    /// Where the node of the instantiated graph is.
    fn index(&self, node: CUgraphNode) -> Result<usize> {
        self.nodes
            .iter()
            .position(|flat| flat.source == node)
            .ok_or(CUresult::INVALID_VALUE)
    }

    fn new(group: &StreamGroup, nodes: Vec<Flat>) -> Result<Self> {
        let mut segments = Vec::new();
        let mut places = Vec::new();
        let mut run: Vec<DeviceNode> = Vec::new();
        let close = |run: &mut Vec<DeviceNode>, segments: &mut Vec<Segment>| -> Result {
            if !run.is_empty() {
                segments.push(Segment::Recording(
                    group.vulkan.record(std::mem::take(run)).cuda()?,
                ));
            }
            Ok(())
        };
        for node in &nodes {
            let mut own = Vec::new();
            let steps = match node.enabled {
                true => steps(group, &node.operation)?,
                false => Vec::new(),
            };
            for step in steps {
                let segment = match step {
                    Step::Device(device) => {
                        own.push((segments.len(), run.len()));
                        run.push(device);
                        continue;
                    }
                    Step::Conditional(bodies) => Segment::Conditional(bodies),
                    Step::Memory(batch) => Segment::Memory(batch),
                    Step::Call(call) => Segment::Call(call),
                    Step::EventRecord(event) => Segment::EventRecord(event),
                    Step::EventWait(event) => Segment::EventWait(event),
                };
                close(&mut run, &mut segments)?;
                own.push((segments.len(), 0));
                segments.push(segment);
            }
            places.push(own);
        }
        close(&mut run, &mut segments)?;
        Ok(Self {
            nodes,
            segments,
            places,
            last: None,
        })
    }

    /// Whether a kernel writes the printf buffer, apart from those under conditions, and if so, whether one prints.
    fn writes_records(&self) -> Option<bool> {
        let nodes = self.nodes.iter();
        nodes
            .filter_map(|node| writes_records(&node.operation))
            .max()
    }

    /// Whether blocks of a kernel wait for each other.
    fn cooperates(&self) -> bool {
        let own = |node: &Flat| node.enabled && node.operation.cooperates();
        self.nodes.iter().any(own)
            || self
                .bodies()
                .any(|bodies| bodies.plans.iter().any(Plan::cooperates))
    }

    fn bodies(&self) -> impl Iterator<Item = &Bodies> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Conditional(bodies) => Some(&**bodies),
            _ => None,
        })
    }

    /// Sets the values of conditional nodes that start anew with each launch.
    fn start_values(&self, stream: &Stream) -> Result {
        for bodies in self.bodies() {
            let value = &bodies.node.value;
            if let Some(initial) = value.initial {
                stream.run(|vulkan| vulkan.fill(value.address(), initial, 4, 1))?;
            }
            bodies
                .plans
                .iter()
                .try_for_each(|plan| plan.start_values(stream))?;
        }
        Ok(())
    }

    /// Appends all segments to a stream. Waits for those before a conditional node.
    fn run(&self, group: &StreamGroup, stream: &Arc<Stream>) -> Result {
        let writes = self.writes_records();
        for segment in &self.segments {
            match segment {
                Segment::Recording(recording) => {
                    // Not for longer: waiting for a condition prints.
                    let _launching = match writes {
                        Some(prints) => Some(group.printf.launching(&group.vulkan, prints)?),
                        None => None,
                    };
                    stream.run(|vulkan| vulkan.replay(recording))?
                }
                Segment::Conditional(bodies) => bodies.run(group, stream)?,
                Segment::Memory(batch) => batch.run(stream)?,
                Segment::Call(call) => {
                    let call = call.clone();
                    stream.run(|vulkan| vulkan.host_function(Box::new(move || call())))?;
                }
                Segment::EventRecord(event) => event.record(stream)?,
                Segment::EventWait(event) => {
                    Operation::EventWait(event.clone()).enqueue(stream)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the steps anew, for nodes in the same order.
    fn renew(&mut self, group: &StreamGroup, nodes: Vec<Flat>) -> Result {
        let new = Plan::new(group, nodes)?;
        let last = self.last.take();
        *self = Plan { last, ..new };
        Ok(())
    }

    /// Replaces a node's operation by one of the same type: in place where it has as many steps, else by a new plan.
    fn set(&mut self, group: &StreamGroup, index: usize, operation: Operation) -> Result {
        if same(&self.nodes[index].operation, &operation) {
            return Ok(());
        }
        if !self.nodes[index].enabled {
            self.nodes[index].operation = operation;
            return Ok(());
        }
        let steps = steps(group, &operation)?;
        let places = &self.places[index];
        let fits = steps.len() == places.len()
            && steps.iter().zip(places).all(|(step, &(segment, _))| {
                matches!(
                    (step, &self.segments[segment]),
                    (Step::Device(_), Segment::Recording(_))
                        | (Step::Call(_), Segment::Call(_))
                        | (Step::Memory(_), Segment::Memory(_))
                        | (Step::EventRecord(_), Segment::EventRecord(_))
                        | (Step::EventWait(_), Segment::EventWait(_))
                )
            });
        if !fits {
            let mut nodes = self.nodes.clone();
            nodes[index].operation = operation;
            return self.renew(group, nodes);
        }
        for (step, &(segment, place)) in steps.into_iter().zip(places) {
            let segment = &mut self.segments[segment];
            match (step, segment) {
                (Step::Device(node), Segment::Recording(recording)) => {
                    recording.set(place, node).cuda()?
                }
                (Step::Call(call), segment) => *segment = Segment::Call(call),
                (Step::Memory(batch), segment) => *segment = Segment::Memory(batch),
                (Step::EventRecord(event), segment) => *segment = Segment::EventRecord(event),
                (Step::EventWait(event), segment) => *segment = Segment::EventWait(event),
                (Step::Device(_) | Step::Conditional(_), _) => return Err(CUresult::INVALID_VALUE),
            }
        }
        self.nodes[index].operation = operation;
        Ok(())
    }
}

impl Bodies {
    /// # Errors
    /// Those of the graphs' nodes; `CUDA_ERROR_NOT_SUPPORTED` for memory that is allocated or freed in them.
    fn new(group: &StreamGroup, node: &Arc<Conditional>) -> Result<Self> {
        let plan = |graph: &Arc<Graph>| {
            let nodes = flatten(graph);
            let allocates =
                |node: &Flat| matches!(node.operation, Operation::Allocate(_) | Operation::Free(_));
            if nodes.iter().any(allocates) {
                tracing::warn!(
                    "nodes that allocate or free memory are not supported under a condition"
                );
                return Err(CUresult::NOT_SUPPORTED);
            }
            Plan::new(group, nodes)
        };
        Ok(Self {
            node: node.clone(),
            plans: node.graphs.iter().map(plan).collect::<Result<_>>()?,
        })
    }

    fn run(&self, group: &StreamGroup, stream: &Arc<Stream>) -> Result {
        loop {
            stream.synchronize()?;
            let Some(index) = self.node.choice(self.node.value.get()?) else {
                return Ok(());
            };
            self.plans[index].run(group, stream)?;
            if self.node.kind != Kind::While {
                return Ok(());
            }
        }
    }
}

/// Whether an operation is a kernel that writes the printf buffer, and if so, whether it prints.
fn writes_records(operation: &Operation) -> Option<bool> {
    match operation {
        Operation::Launch(launch) => {
            let info = launch.function.info().ok()?;
            info.writes_records().then_some(info.uses_printf)
        }
        _ => None,
    }
}

/// Whether two operations do the same.
fn same(a: &Operation, b: &Operation) -> bool {
    match (a, b) {
        (Operation::Launch(a), Operation::Launch(b)) => {
            Arc::ptr_eq(&a.function, &b.function)
                && (a.grid, a.block, a.dynamic_shared) == (b.grid, b.block, b.dynamic_shared)
                && a.parameters == b.parameters
                && a.references.len() == b.references.len()
                && std::iter::zip(&a.references, &b.references).all(|(a, b)| Arc::ptr_eq(a, b))
                && a.blocks == b.blocks
        }
        (Operation::Copy(a), Operation::Copy(b)) => a == b,
        (Operation::Fill(a), Operation::Fill(b)) => a == b,
        (Operation::Host(a), Operation::Host(b)) => {
            a.function as usize == b.function as usize && a.user_data == b.user_data
        }
        (Operation::Empty, Operation::Empty) => true,
        (Operation::Memory(a), Operation::Memory(b)) => a.is_same(b),
        (Operation::EventRecord(a), Operation::EventRecord(b)) => Arc::ptr_eq(a, b),
        (Operation::EventWait(a), Operation::EventWait(b)) => Arc::ptr_eq(a, b),
        (Operation::Allocate(a), Operation::Allocate(b)) => Arc::ptr_eq(a, b),
        (Operation::Free(a), Operation::Free(b)) => a == b,
        _ => false,
    }
}

fn steps(group: &StreamGroup, operation: &Operation) -> Result<Vec<Step>> {
    Ok(match operation {
        Operation::Launch(launch) => {
            if !Arc::ptr_eq(&launch.function.code.vulkan, &group.vulkan) {
                return Err(CUresult::INVALID_HANDLE);
            }
            let resident = operation.cooperates();
            if resident {
                check_resident(&launch.function, launch.grid)?;
            }
            let pipeline = launch
                .function
                .pipeline(launch.block, launch.dynamic_shared)?;
            if pipeline.info().uses_heap {
                group.open.heap.provide(group)?;
            }
            let info = pipeline.info();
            let printf = match info.writes_records() {
                true => {
                    let launching = group.printf.launching(&group.vulkan, info.uses_printf)?;
                    launching.address
                }
                false => 0,
            };
            let handles: Vec<u64> = launch
                .references
                .iter()
                .map(|bound| bound.handle())
                .collect();
            let parameters = pipeline
                .info()
                .parameter_block(&launch.parameters, &handles, launch.grid, resident)
                .into_owned();
            vec![Step::Device(DeviceNode::Launch {
                pipeline,
                grid: launch.grid,
                parameters,
                module: launch.function.code.variables_address()?,
                printf,
                resident,
            })]
        }
        Operation::Copy(copy) => copy_steps(&group.vulkan, copy)?,
        Operation::Fill(fill) => {
            if fill.count == 0 || fill.rows == 0 {
                return Ok(Vec::new());
            }
            vec![Step::Device(DeviceNode::Fill {
                destination: fill.address,
                pitch: if fill.rows == 1 { 0 } else { fill.pitch },
                pattern: fill.value,
                width: fill.element,
                count: fill.count,
                rows: fill.rows,
            })]
        }
        Operation::Host(host) => {
            let host: HostCall = *host;
            vec![Step::Call(Arc::new(move || host.call()))]
        }
        Operation::Empty | Operation::Allocate(_) | Operation::Free(_) => Vec::new(),
        Operation::Child(_) => return Err(CUresult::NOT_SUPPORTED),
        Operation::Conditional(node) => {
            vec![Step::Conditional(Arc::new(Bodies::new(group, node)?))]
        }
        Operation::Memory(batch) => vec![Step::Memory(batch.clone())],
        Operation::EventRecord(event) => vec![Step::EventRecord(event.clone())],
        Operation::EventWait(event) => vec![Step::EventWait(event.clone())],
    })
}

/// A copy's steps. Pageable host memory is read and written by host calls when the graph runs, by way of staging memory
/// that lives as long as the steps.
fn copy_steps(vulkan: &Arc<vulkan::Device>, copy: &Copy) -> Result<Vec<Step>> {
    let copy = copy.simplified();
    if copy.is_empty() {
        return Ok(Vec::new());
    }
    match (copy.destination.place, copy.source.place) {
        (Place::Device(_), Place::Device(_)) => Ok(device_steps(&copy)),
        (Place::Device(_), Place::Host(_)) => {
            let staging = Staging::on(vulkan, copy.bytes())?;
            let mut steps = device_steps(&Copy {
                source: staging.side(&copy),
                ..copy
            });
            // SAFETY: the staging memory is as long as the copy; by the API's contract the source is readable whenever the
            // graph runs.
            steps.insert(
                0,
                Step::Call(Arc::new(move || unsafe { staging.gather(&copy) })),
            );
            Ok(steps)
        }
        (Place::Host(_), Place::Device(_)) => {
            let staging = Staging::on(vulkan, copy.bytes())?;
            let mut steps = device_steps(&Copy {
                destination: staging.side(&copy),
                ..copy
            });
            // SAFETY: as above, for the destination.
            steps.push(Step::Call(Arc::new(move || unsafe {
                staging.scatter(&copy)
            })));
            Ok(steps)
        }
        (Place::Host(_), Place::Host(_)) => {
            // SAFETY: by the API's contract both sides are valid whenever the graph runs.
            Ok(vec![Step::Call(Arc::new(move || unsafe {
                crate::core::copy::copy_on_host(&copy)
            }))])
        }
    }
}

fn device_steps(copy: &Copy) -> Vec<Step> {
    let mut steps = Vec::new();
    for slice in copy.simplified().slices() {
        if let (Place::Device(destination), Place::Device(source)) =
            (slice.destination.place, slice.source.place)
        {
            steps.push(Step::Device(if slice.height == 1 {
                DeviceNode::Copy {
                    destination,
                    source,
                    size: slice.width,
                }
            } else {
                DeviceNode::Copy2d(device_rows(&slice, destination, source))
            }));
        }
    }
    steps
}
