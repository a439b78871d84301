//! The memory of graphs' allocation nodes.
//!
//! A node's memory is allocated when the node is made, since its address is known from then on, and stays as long as a
//! graph has the node. Launching the graph makes it an allocation of the application's, which a free node of the same
//! graph ends again, or one of another graph, or `cuMemFree` (CUDA C++ Programming Guide, "Graph Memory Nodes").
//!
//! What launches have used is kept when its last graph goes, for nodes of the same size, until `cuDeviceGraphMemTrim`.

use crate::boundary::Result;
use crate::core::device::Device;
use crate::core::status::IntoCuda;
use cuda_abi::{CUgraphMem_attribute, CUmemAllocationType, CUresult};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use vulkan::{Allocation, MemoryKind};

/// The memory of one allocation node.
pub struct GraphMemory {
    /// There until it is dropped.
    allocation: Option<Allocation>,
    /// Whose it is: a device that was lost is opened anew.
    vulkan: Weak<vulkan::Device>,
    /// The ordinal of its device.
    device: i32,
    kind: CUmemAllocationType,
    /// Whether a launch has used it since the last trim.
    is_used: AtomicBool,
}

/// What launched graphs have allocated and nobody has freed yet, by address.
static LIVE: Mutex<BTreeMap<u64, Arc<GraphMemory>>> = Mutex::new(BTreeMap::new());

/// A node's memory, and whether the graph that allocates it frees it as well.
struct Known {
    memory: Weak<GraphMemory>,
    is_freed: bool,
}

/// All nodes' memory by address.
static KNOWN: Mutex<BTreeMap<u64, Known>> = Mutex::new(BTreeMap::new());

/// What no node has any more and was not trimmed.
struct Kept {
    device: i32,
    vulkan: Weak<vulkan::Device>,
    allocation: Allocation,
}

static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// Bytes that launches have used and that were not trimmed since, with the most there has been, over all devices. Physical memory is
/// mapped so long in CUDA (Programming Guide, "Physical Memory Footprint"): who frees it lets others have it and unmaps nothing. So
/// what is reserved is what is used, but for the high-water marks, which are reset one by one.
static USED: AtomicU64 = AtomicU64::new(0);
static USED_HIGH: AtomicU64 = AtomicU64::new(0);
static RESERVED_HIGH: AtomicU64 = AtomicU64::new(0);

impl GraphMemory {
    /// Memory for a node, of a device of which no context needs to be open.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for 0 bytes, `CUDA_ERROR_OUT_OF_MEMORY`, those of opening the device.
    pub fn allocate(device: &Device, size: usize, kind: CUmemAllocationType) -> Result<Arc<Self>> {
        if size == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let vulkan = device.open()?.vulkan.clone();
        let kept = {
            let mut kept = KEPT.lock();
            let fits = |kept: &Kept| {
                std::ptr::eq(kept.vulkan.as_ptr(), Arc::as_ptr(&vulkan))
                    && kept.allocation.size() == size as u64
            };
            let place = kept.iter().position(fits);
            place.map(|place| kept.swap_remove(place).allocation)
        };
        let is_used = kept.is_some();
        let allocation = match kept {
            Some(allocation) => allocation,
            None => {
                let allocate = || vulkan.allocate(size as u64, MemoryKind::Device).cuda();
                allocate().or_else(|_| {
                    trim(device.ordinal);
                    allocate()
                })?
            }
        };
        let address = allocation.address();
        let memory = Arc::new(Self {
            allocation: Some(allocation),
            vulkan: Arc::downgrade(&vulkan),
            device: device.ordinal,
            kind,
            is_used: AtomicBool::new(is_used),
        });
        let known = Known {
            memory: Arc::downgrade(&memory),
            is_freed: false,
        };
        KNOWN.lock().insert(address, known);
        Ok(memory)
    }

    fn allocation(&self) -> &Allocation {
        self.allocation.as_ref().expect("there until it is dropped")
    }

    /// Its address.
    pub fn address(&self) -> u64 {
        self.allocation().address()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.allocation().size()
    }

    /// The ordinal of its device.
    pub fn device(&self) -> i32 {
        self.device
    }

    /// The type of allocation that was asked for.
    pub fn kind(&self) -> CUmemAllocationType {
        self.kind
    }

    /// Makes it an allocation of the application's; says whether it was none.
    pub fn begin(self: &Arc<Self>) -> bool {
        if !self.is_used.swap(true, Ordering::Relaxed) {
            let now = USED.fetch_add(self.size(), Ordering::Relaxed) + self.size();
            USED_HIGH.fetch_max(now, Ordering::Relaxed);
            RESERVED_HIGH.fetch_max(now, Ordering::Relaxed);
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
        if let (true, Some(allocation)) = (*self.is_used.get_mut(), self.allocation.take()) {
            KEPT.lock().push(Kept {
                device: self.device,
                vulkan: self.vulkan.clone(),
                allocation,
            });
        }
    }
}

/// `cuDeviceGraphMemTrim`: frees what no node has any more. What nodes have and is not allocated just now stays, since its address
/// does, and counts as used again from the next launch on.
pub fn trim(device: i32) {
    let mut freed = Vec::new();
    {
        let mut kept = KEPT.lock();
        let all = std::mem::take(&mut *kept);
        let (gone, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|kept| kept.device == device);
        *kept = rest;
        freed.extend(gone);
    }
    // Whatever is dropped here takes the lock itself, so what is known is collected first.
    let known: Vec<_> = KNOWN
        .lock()
        .values()
        .map(|known| known.memory.clone())
        .collect();
    let known: Vec<_> = known.iter().filter_map(Weak::upgrade).collect();
    let unused = known
        .iter()
        .filter(|memory| memory.device == device && !memory.is_live())
        .filter(|memory| memory.is_used.swap(false, Ordering::Relaxed))
        .map(|memory| memory.size());
    let freed_bytes = freed.iter().map(|kept| kept.allocation.size());
    USED.fetch_sub(unused.chain(freed_bytes).sum(), Ordering::Relaxed);
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
        Some(known) if !known.is_freed => {
            known.is_freed = own;
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
        A::USED_MEM_CURRENT | A::RESERVED_MEM_CURRENT => &USED,
        A::USED_MEM_HIGH => &USED_HIGH,
        A::RESERVED_MEM_HIGH => &RESERVED_HIGH,
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
    let high = match attribute {
        A::USED_MEM_HIGH => &USED_HIGH,
        A::RESERVED_MEM_HIGH => &RESERVED_HIGH,
        _ => return Err(CUresult::INVALID_VALUE),
    };
    high.store(USED.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(())
}
