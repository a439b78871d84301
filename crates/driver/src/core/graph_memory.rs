//! The memory of graphs' allocation nodes.
//!
//! A node's memory is allocated when the node is made, since its address is known from then on, and stays as long as a
//! graph has the node. Launching the graph makes it an allocation of the application's, which a free node of the same
//! graph ends again, or one of another graph, or `cuMemFree` (CUDA C++ Programming Guide, "Graph Memory Nodes").

use crate::boundary::Result;
use crate::core::device::Device;
use crate::core::status::IntoCuda;
use cuda_abi::{CUgraphMem_attribute, CUresult};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use vulkan::{Allocation, MemoryKind};

/// The memory of one allocation node.
pub struct GraphMemory {
    allocation: Allocation,
    /// The ordinal of its device.
    device: i32,
    /// Whether a launch has used it.
    is_used: AtomicBool,
}

/// What launched graphs have allocated and nobody has freed yet, by address.
static LIVE: Mutex<BTreeMap<u64, Arc<GraphMemory>>> = Mutex::new(BTreeMap::new());

/// The addresses of all nodes' memory, and whether the graph that allocates it frees it as well.
static KNOWN: Mutex<BTreeMap<u64, bool>> = Mutex::new(BTreeMap::new());

/// Bytes of all nodes' memory and of what launches have used of it, with the most there has been, over all devices. It is used
/// until its last graph is destroyed, as it is mapped in CUDA (Programming Guide, "Physical Memory Footprint"); who frees it lets others
/// have it and unmaps nothing.
static RESERVED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static USED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

fn add([current, high]: &[AtomicU64; 2], bytes: u64) {
    let now = current.fetch_add(bytes, Ordering::Relaxed) + bytes;
    high.fetch_max(now, Ordering::Relaxed);
}

impl GraphMemory {
    /// Memory for a node, of a device of which no context needs to be open.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for 0 bytes, `CUDA_ERROR_OUT_OF_MEMORY`, those of opening the device.
    pub fn allocate(device: &Device, size: usize) -> Result<Arc<Self>> {
        if size == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let allocation = device
            .open()?
            .vulkan
            .allocate(size as u64, MemoryKind::Device)
            .cuda()?;
        add(&RESERVED, allocation.size());
        KNOWN.lock().insert(allocation.address(), false);
        Ok(Arc::new(Self {
            allocation,
            device: device.ordinal,
            is_used: AtomicBool::new(false),
        }))
    }

    /// Its address.
    pub fn address(&self) -> u64 {
        self.allocation.address()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.allocation.size()
    }

    /// The ordinal of its device.
    pub fn device(&self) -> i32 {
        self.device
    }

    /// Makes it an allocation of the application's; says whether it was none.
    pub fn begin(self: &Arc<Self>) -> bool {
        if !self.is_used.swap(true, Ordering::Relaxed) {
            add(&USED, self.size());
        }
        LIVE.lock().insert(self.address(), self.clone()).is_none()
    }

    /// Whether it is an allocation of the application's.
    pub fn is_live(&self) -> bool {
        LIVE.lock().contains_key(&self.address())
    }
}

impl Drop for GraphMemory {
    fn drop(&mut self) {
        KNOWN.lock().remove(&self.address());
        RESERVED[0].fetch_sub(self.size(), Ordering::Relaxed);
        if *self.is_used.get_mut() {
            USED[0].fetch_sub(self.size(), Ordering::Relaxed);
        }
    }
}

/// Whether an address is that of a node's memory.
pub fn is_known(address: u64) -> bool {
    KNOWN.lock().contains_key(&address)
}

/// Notes a node that frees memory; `own` says that it is in the graph that allocates it.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for memory that is no node's, or that its own graph frees.
pub fn free_node(address: u64, own: bool) -> Result {
    match KNOWN.lock().get_mut(&address) {
        Some(freed) if !*freed => {
            *freed = own;
            Ok(())
        }
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Ends the live allocation at an address, which goes on existing as long as the result does.
pub fn end(address: u64) -> Option<Arc<GraphMemory>> {
    LIVE.lock().remove(&address)
}

/// `cuDeviceGetGraphMemAttribute`, over all devices.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for an unknown one.
pub fn attribute(attribute: CUgraphMem_attribute) -> Result<u64> {
    use CUgraphMem_attribute as A;
    let counter = match attribute {
        A::USED_MEM_CURRENT => &USED[0],
        A::USED_MEM_HIGH => &USED[1],
        A::RESERVED_MEM_CURRENT => &RESERVED[0],
        A::RESERVED_MEM_HIGH => &RESERVED[1],
        _ => return Err(CUresult::INVALID_VALUE),
    };
    Ok(counter.load(Ordering::Relaxed))
}

/// Starts a high-water mark anew.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for what is none.
pub fn reset_high(attribute: CUgraphMem_attribute) -> Result {
    use CUgraphMem_attribute as A;
    let [current, high] = match attribute {
        A::USED_MEM_HIGH => &USED,
        A::RESERVED_MEM_HIGH => &RESERVED,
        _ => return Err(CUresult::INVALID_VALUE),
    };
    high.store(current.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(())
}
