//! Conditional nodes of graphs, and the values that they go by.
//!
//! A value is a word that device and host both reach; its handle is the device address, where `cudaGraphSetConditional` of a
//! kernel writes it. Vulkan has no launches by condition, so the host looks at the value between the parts of a graph
//! (`core/graph_exec.rs`).

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::graph::Graph;
use crate::core::status::IntoCuda;
use cuda_abi::*;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use vulkan::{Allocation, MemoryKind};

/// The values by handle; graphs keep them.
static VALUES: RwLock<Option<FxHashMap<u64, Weak<Value>>>> = RwLock::new(None);

/// `CU_GRAPH_COND_ASSIGN_DEFAULT`: the value is set anew at each launch.
const ASSIGN_DEFAULT: u32 = 1;

/// A value of a graph (`cuGraphConditionalHandleCreate`).
pub struct Value {
    memory: Allocation,
    /// What it is at the start of each launch, if it is set then.
    pub initial: Option<u32>,
    /// `Graph::id` of the graph whose nodes may use it.
    graph: u32,
    /// Whether a node goes by it.
    used: AtomicBool,
}

impl Value {
    /// Makes one for a graph, which keeps it.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for unknown flags, `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn create(state: &State, graph: &Graph, default: u32, flags: u32) -> Result<u64> {
        if flags & !ASSIGN_DEFAULT != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let memory = state.vulkan.allocate(4, MemoryKind::Host).cuda()?;
        let value = Arc::new(Self {
            memory,
            initial: (flags & ASSIGN_DEFAULT != 0).then_some(default),
            graph: graph.id,
            used: AtomicBool::new(false),
        });
        let pointer = value.pointer()?;
        // SAFETY: nobody else knows of the word yet.
        unsafe { pointer.write_volatile(default) };
        let handle = value.address();
        let mut values = VALUES.write();
        let values = values.get_or_insert_default();
        values.retain(|_, value| value.strong_count() > 0);
        values.insert(handle, Arc::downgrade(&value));
        graph.values.lock().push(value);
        Ok(handle)
    }

    /// The value of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    fn from_handle(handle: u64) -> Result<Arc<Self>> {
        let values = VALUES.read();
        let value = values.as_ref().and_then(|values| values.get(&handle));
        value.and_then(Weak::upgrade).ok_or(CUresult::INVALID_VALUE)
    }

    /// Whether a node goes by it.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Its device address, which is the handle.
    pub fn address(&self) -> u64 {
        self.memory.address()
    }

    fn pointer(&self) -> Result<*mut u32> {
        self.memory
            .host()
            .map(|host| host.cast())
            .ok_or(CUresult::OUT_OF_MEMORY)
    }

    /// What it is now. The caller has waited for what writes it.
    ///
    /// # Errors
    /// None for a value that was made.
    pub fn get(&self) -> Result<u32> {
        // SAFETY: mapped memory of four bytes that this object owns.
        Ok(unsafe { self.pointer()?.read_volatile() })
    }
}

/// What a conditional node does with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first graph if it is not 0, else the second if there is one.
    If = 0,
    /// The graph as long as it is not 0.
    While = 1,
    /// The graph with this number, if there is one.
    Switch = 2,
}

/// A conditional node.
pub struct Conditional {
    /// Decides.
    pub value: Arc<Value>,
    /// How.
    pub kind: Kind,
    /// What may run; the node owns them.
    pub graphs: Vec<Arc<Graph>>,
    handles: Box<[CUgraph]>,
}

impl Conditional {
    /// The node for a handle, with new, empty graphs.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown handle, another graph's handle, an unknown type, or a number of graphs that the
    /// type does not have.
    pub fn create(handle: u64, graph: &Graph, kind: u32, count: u32) -> Result<Self> {
        let value = Value::from_handle(handle)?;
        let kind = match (kind, count) {
            (0, 1 | 2) => Kind::If,
            (1, 1) => Kind::While,
            (2, 1..) => Kind::Switch,
            _ => return Err(CUresult::INVALID_VALUE),
        };
        // Nodes of bodies use the values of the graph around them.
        if value.graph != graph.id && !graph.is_body() {
            return Err(CUresult::INVALID_VALUE);
        }
        // One node goes by a value.
        if value.used.swap(true, Ordering::Relaxed) {
            return Err(CUresult::INVALID_VALUE);
        }
        let graphs = (0..count).map(|_| Graph::create_body()).collect();
        Ok(Self::with(value, kind, graphs))
    }

    /// The same with copies of the graphs.
    ///
    /// # Errors
    /// Those of copying them.
    pub fn duplicate(&self) -> Result<Self> {
        let graphs = self.graphs.iter().map(|graph| graph.duplicate());
        let graphs = graphs.collect::<Result<_>>()?;
        Ok(Self::with(self.value.clone(), self.kind, graphs))
    }

    fn with(value: Arc<Value>, kind: Kind, graphs: Vec<Arc<Graph>>) -> Self {
        let handles = graphs.iter().map(|graph| graph.handle()).collect();
        Self {
            value,
            kind,
            graphs,
            handles,
        }
    }

    /// The handles of the graphs, one after the other, for the application to read as long as the node lives.
    pub fn handles(&self) -> *mut CUgraph {
        self.handles.as_ptr().cast_mut()
    }

    /// Which of the graphs runs for a value.
    pub fn choice(&self, value: u32) -> Option<usize> {
        let index = match self.kind {
            Kind::If => usize::from(value == 0),
            Kind::While if value == 0 => return None,
            Kind::While => 0,
            Kind::Switch => value as usize,
        };
        (index < self.graphs.len()).then_some(index)
    }
}
