//! Pools of stream-ordered memory (`cuMemAllocAsync`).
//!
//! An allocation is usable at once and is given back when the stream that freed it gets there. The memory itself comes
//! from and returns to the device's allocator, so that a pool keeps nothing in reserve; it counts what is in use.

use crate::boundary::Result;
use crate::core::device::Device;
use crate::core::registry::Registry;
use cuda_abi::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use vulkan::MemoryKind;

/// Every pool by handle.
pub static POOLS: Registry<Pool> = Registry::new();

/// A pool.
pub struct Pool {
    /// Where its memory lives, or for memory of the host, which device reaches it.
    pub device: &'static Device,
    /// Device memory, or managed memory, which also pools of host memory give out: both sides have it at one address.
    pub kind: MemoryKind,
    /// Whether it is one of pinned host memory, which pointers are told to be, whatever it is made of.
    pub is_pinned_host: bool,
    used: AtomicU64,
    used_high: AtomicU64,
    release_threshold: AtomicU64,
    reuse: [AtomicU64; 3],
}

impl Pool {
    /// A new pool of a device.
    pub fn new(device: &'static Device) -> Arc<Self> {
        Self::of(device, MemoryKind::Device, false)
    }

    /// A new pool of a kind of memory.
    pub fn of(device: &'static Device, kind: MemoryKind, is_pinned_host: bool) -> Arc<Self> {
        let pool = Arc::new(Self {
            device,
            kind,
            is_pinned_host,
            used: AtomicU64::new(0),
            used_high: AtomicU64::new(0),
            release_threshold: AtomicU64::new(0),
            reuse: [const { AtomicU64::new(1) }; 3],
        });
        POOLS.insert(pool.clone());
        pool
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUmemoryPool {
        CUmemoryPool(Registry::handle(self))
    }

    /// The value of an attribute, and whether it is 64 bits wide (else an `int`).
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown one.
    pub fn attribute(&self, attribute: CUmemPool_attribute) -> Result<(u64, bool)> {
        use CUmemPool_attribute as A;
        Ok(match attribute {
            A::REUSE_FOLLOW_EVENT_DEPENDENCIES
            | A::REUSE_ALLOW_OPPORTUNISTIC
            | A::REUSE_ALLOW_INTERNAL_DEPENDENCIES => (
                self.reuse[attribute.0 as usize - 1].load(Ordering::Relaxed),
                false,
            ),
            A::RELEASE_THRESHOLD => (self.release_threshold.load(Ordering::Relaxed), true),
            A::RESERVED_MEM_CURRENT | A::USED_MEM_CURRENT => {
                (self.used.load(Ordering::Relaxed), true)
            }
            A::RESERVED_MEM_HIGH | A::USED_MEM_HIGH => {
                (self.used_high.load(Ordering::Relaxed), true)
            }
            _ => return Err(CUresult::INVALID_VALUE),
        })
    }

    /// Sets an attribute. The high-water marks can only be set to 0, which starts them anew.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn set_attribute(&self, attribute: CUmemPool_attribute, value: u64) -> Result {
        use CUmemPool_attribute as A;
        match attribute {
            A::REUSE_FOLLOW_EVENT_DEPENDENCIES
            | A::REUSE_ALLOW_OPPORTUNISTIC
            | A::REUSE_ALLOW_INTERNAL_DEPENDENCIES => {
                self.reuse[attribute.0 as usize - 1]
                    .store(u64::from(value != 0), Ordering::Relaxed);
            }
            A::RELEASE_THRESHOLD => self.release_threshold.store(value, Ordering::Relaxed),
            A::RESERVED_MEM_HIGH | A::USED_MEM_HIGH if value == 0 => {
                self.used_high
                    .store(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            _ => return Err(CUresult::INVALID_VALUE),
        }
        Ok(())
    }

    /// Counts bytes as used until the returned value is dropped.
    pub fn count(self: &Arc<Self>, bytes: u64) -> PoolBytes {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.used_high.fetch_max(used, Ordering::Relaxed);
        PoolBytes(Arc::new(Counted {
            pool: self.clone(),
            bytes,
        }))
    }
}

struct Counted {
    pool: Arc<Pool>,
    bytes: u64,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes that count as used in a pool.
#[derive(Clone)]
pub struct PoolBytes(Arc<Counted>);

impl PoolBytes {
    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.0.pool
    }
}
