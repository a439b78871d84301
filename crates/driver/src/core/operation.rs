//! What can be done in a stream or be a node of a graph.

use crate::boundary::Result;
use crate::core::capture;
use crate::core::conditional::Conditional;
use crate::core::copy::{Copy, Fill};
use crate::core::event::{Event, Mark};
use crate::core::function::Function;
use crate::core::graph::Graph;
use crate::core::graph_memory::GraphMemory;
use crate::core::launch::{self, Packed};
use crate::core::memory_operation::Batch;
use crate::core::module::References;
use crate::core::platform;
use crate::core::status::IntoCuda;
use crate::core::stream::Stream;
use cuda_abi::*;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::Arc;

/// One operation, with everything it needs to run at any later time.
#[derive(Clone)]
pub enum Operation {
    /// A kernel launch.
    Launch(Launch),
    /// A copy.
    Copy(Copy),
    /// A fill.
    Fill(Fill),
    /// A call of a function on the host.
    Host(HostCall),
    /// Nothing: a point where dependencies meet.
    Empty,
    /// The nodes of another graph.
    Child(Arc<Graph>),
    /// The nodes of graphs, by a value that kernels set.
    Conditional(Arc<Conditional>),
    /// Operations on memory, waits among them.
    Memory(Arc<Batch>),
    /// Recording an event.
    EventRecord(Arc<Event>),
    /// Waiting for an event.
    EventWait(Arc<Event>),
    /// Memory that is the application's from here on.
    Allocate(Arc<GraphMemory>),
    /// The end of memory that a graph has allocated.
    Free(u64),
}

/// A kernel launch.
#[derive(Clone)]
pub struct Launch {
    /// The kernel.
    pub function: Arc<Function>,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub dynamic_shared: u32,
    /// The parameter block.
    pub parameters: Vec<u8>,
    /// How it was given as a whole, by `extra`: so a node's parameters are read back.
    pub packed: Option<Packed>,
    /// What the texture and surface references of the kernel were bound to when the launch was described.
    pub references: References,
    /// Whether its blocks wait for each other.
    pub blocks: Blocks,
}

/// Whether the blocks of a launch wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Each runs when there is room for it.
    Apart,
    /// All run at the same time (a cooperative launch).
    Together,
}

/// A call of a function on the host.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    /// The function.
    pub function: unsafe extern "C" fn(*mut c_void),
    /// Its argument.
    pub user_data: usize,
}

impl HostCall {
    /// Calls it.
    pub fn call(self) {
        // SAFETY: the application gave the function together with its argument to be called in stream order.
        platform::callback(|| unsafe { (self.function)(self.user_data as *mut c_void) });
    }
}

impl Operation {
    /// The type that `cuGraphNodeGetType` gives.
    pub fn node_type(&self) -> CUgraphNodeType {
        match self {
            Operation::Launch(_) => CUgraphNodeType::KERNEL,
            Operation::Copy(_) => CUgraphNodeType::MEMCPY,
            Operation::Fill(_) => CUgraphNodeType::MEMSET,
            Operation::Host(_) => CUgraphNodeType::HOST,
            Operation::Empty => CUgraphNodeType::EMPTY,
            Operation::Child(_) => CUgraphNodeType::GRAPH,
            Operation::Conditional(_) => CUgraphNodeType::CONDITIONAL,
            Operation::Memory(_) => CUgraphNodeType::BATCH_MEM_OP,
            Operation::EventRecord(_) => CUgraphNodeType::EVENT_RECORD,
            Operation::EventWait(_) => CUgraphNodeType::WAIT_EVENT,
            Operation::Allocate(_) => CUgraphNodeType::MEM_ALLOC,
            Operation::Free(_) => CUgraphNodeType::MEM_FREE,
        }
    }

    /// Whether its blocks wait for each other: a cooperative launch of more than one.
    pub fn cooperates(&self) -> bool {
        match self {
            Operation::Launch(launch) => {
                launch.blocks == Blocks::Together && launch.grid != [1, 1, 1]
            }
            _ => false,
        }
    }

    /// Makes a launch that takes another's place cooperative if that was: it is the node's attribute, not its parameter.
    pub fn keep_blocks(&mut self, old: &Operation) {
        if let (Operation::Launch(new), Operation::Launch(old)) = (self, old) {
            new.blocks = old.blocks;
        }
    }

    /// The graphs that the node owns.
    pub fn graphs(&self) -> &[Arc<Graph>] {
        match self {
            Operation::Child(child) => std::slice::from_ref(child),
            Operation::Conditional(node) => &node.graphs,
            _ => &[],
        }
    }

    /// Appends the operation to a stream, or to the graph that the stream captures. Returns whether it is complete when
    /// the call returns.
    ///
    /// # Errors
    /// The operation's error.
    pub fn enqueue(self, stream: &Arc<Stream>) -> Result<bool> {
        if stream.capture.is_active() {
            capture::add(stream, self)?;
            return Ok(true);
        }
        self.run(stream)
    }

    fn run(self, stream: &Arc<Stream>) -> Result<bool> {
        match self {
            Operation::Launch(launch) => launch.run(stream)?,
            Operation::Copy(copy) => return copy.run(stream),
            Operation::Fill(fill) => fill.run(stream)?,
            Operation::Host(host) => {
                // After a fault functions are not called any more.
                let device = stream.group.vulkan.clone();
                let call = move || {
                    if device.check().is_ok() {
                        host.call();
                    }
                };
                stream.run(|vulkan| vulkan.host_function(Box::new(call)))?
            }
            Operation::Empty => {}
            Operation::Memory(batch) => batch.run(stream)?,
            // Nodes of graphs only.
            Operation::Child(_)
            | Operation::Conditional(_)
            | Operation::Allocate(_)
            | Operation::Free(_) => return Err(CUresult::NOT_SUPPORTED),
            Operation::EventRecord(event) => event.record(stream)?,
            Operation::EventWait(event) => {
                if let Mark::Point(point) = event.mark() {
                    stream.run(|vulkan| vulkan.wait(&point))?;
                }
            }
        }
        Ok(false)
    }
}

impl Launch {
    /// Appends the launch to a stream.
    ///
    /// # Errors
    /// Those of [`Function::pipeline`]; sticky errors.
    pub fn run(&self, stream: &Stream) -> Result {
        launch(
            stream,
            &self.function,
            self.grid,
            self.block,
            self.dynamic_shared,
            (&self.parameters, &self.references),
            self.blocks,
        )
    }
}

/// Appends a kernel launch to a stream that does not capture.
///
/// # Errors
/// As [`Launch::run`].
#[allow(clippy::too_many_arguments)]
pub fn launch(
    stream: &Stream,
    function: &Function,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_shared: u32,
    (parameters, references): (&[u8], &References),
    blocks: Blocks,
) -> Result {
    if !Arc::ptr_eq(&function.code.vulkan, &stream.group.vulkan) {
        return Err(CUresult::INVALID_HANDLE);
    }
    let pipeline = function.pipeline(block, dynamic_shared)?;
    if pipeline.info().uses_heap {
        stream.group.open.heap.provide(&stream.group)?;
    }
    let module = function.code.variables_address()?;
    let info = pipeline.info();
    let launching = match info.writes_records() {
        true => Some(
            stream
                .group
                .printf
                .launching(&stream.group.vulkan, info.uses_printf)?,
        ),
        false => None,
    };
    let printf = launching.as_ref().map_or(0, |launching| launching.address);
    let handles: SmallVec<[u64; 4]> = references.iter().map(|bound| bound.handle()).collect();
    // A kernel that asks for the grid's handle has one in an ordinary launch, too, unlike one in a graph (so it is under NVIDIA's
    // driver, measured): CuPy's kernels synchronise grids so.
    let together = blocks == Blocks::Together
        || pipeline.info().grid_workspace_offset.is_some() && launch::is_resident(function, grid);
    let parameters = pipeline
        .info()
        .parameter_block(parameters, &handles, grid, together);
    let launch = vulkan::Launch {
        grid,
        parameters: &parameters,
        module,
        printf,
    };
    if !together || grid == [1, 1, 1] {
        return stream.run(|vulkan| vulkan.launch(&pipeline, &launch));
    }
    // One at a time on a device: two that are half there would wait for ever.
    let mut last = stream.group.open.last_cooperative.lock();
    if let Some(point) = &*last {
        stream.run(|vulkan| vulkan.wait(point))?;
    }
    stream.run(|vulkan| vulkan.launch_resident(&pipeline, &launch))?;
    *last = Some(stream.vulkan.record_event(false).cuda()?);
    Ok(())
}
