//! The allocations of a context.

use crate::boundary::Result;
use crate::core::advice::Advice;
use crate::core::pool::PoolBytes;
use crate::core::status::IntoCuda;
use cuda_abi::*;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use vulkan::{Allocation, Found, MemoryKind};

/// One allocation as the application made it.
pub struct Block {
    /// The memory.
    pub allocation: Allocation,
    /// The flags it was made with (`CU_MEMHOSTALLOC_`, `CU_MEMHOSTREGISTER_`).
    pub flags: u32,
    /// Where it counts, if it came from a pool.
    pub pool: Option<PoolBytes>,
}

/// The allocations of a context: device and managed memory by device address, host memory by host address.
pub struct Memory {
    vulkan: Arc<vulkan::Device>,
    device: Mutex<BTreeMap<u64, Block>>,
    host: Mutex<BTreeMap<usize, Block>>,
    /// By base address; managed memory that nothing was said about is not here.
    advice: Mutex<BTreeMap<u64, Advice>>,
    /// `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS` of allocations of which it was set, by the device's base address.
    synchronous: Mutex<BTreeMap<u64, bool>>,
}

impl Memory {
    /// No allocations yet.
    pub fn new(vulkan: Arc<vulkan::Device>) -> Self {
        Self {
            vulkan,
            device: Mutex::default(),
            host: Mutex::default(),
            advice: Mutex::default(),
            synchronous: Mutex::default(),
        }
    }

    /// Device or managed memory.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for 0 bytes, `CUDA_ERROR_OUT_OF_MEMORY`, `CUDA_ERROR_NOT_SUPPORTED` for managed memory where
    /// the driver cannot have it.
    pub fn allocate(&self, size: usize, kind: MemoryKind, pool: Option<PoolBytes>) -> Result<u64> {
        if size == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let allocation = self.vulkan.allocate(size as u64, kind).cuda()?;
        let address = allocation.address();
        self.device.lock().insert(
            address,
            Block {
                allocation,
                flags: 0,
                pool,
            },
        );
        Ok(address)
    }

    /// Takes device or managed memory out; dropping the block frees it once the device is done with it.
    pub fn take(&self, address: u64) -> Option<Block> {
        self.forget(address);
        self.device.lock().remove(&address)
    }

    /// Forgets what was said about memory at a base address, which goes away.
    pub fn forget(&self, address: u64) {
        self.advice.lock().remove(&address);
        self.synchronous.lock().remove(&address);
    }

    /// What has been advised about the managed memory that was found, to read or to add to.
    pub fn with_advice<T>(&self, found: &Found, act: impl FnOnce(&mut Advice) -> T) -> T {
        let mut advice = self.advice.lock();
        let range = found.base..found.base + found.size;
        act(advice
            .entry(found.base)
            .or_insert_with(|| Advice::new(range)))
    }

    /// What `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS` was set to for what was found.
    pub fn synchronous(&self, found: &Found) -> Option<bool> {
        self.synchronous.lock().get(&found.base).copied()
    }

    /// Sets it.
    pub fn set_synchronous(&self, found: &Found, value: bool) {
        self.synchronous.lock().insert(found.base, value);
    }

    /// `cuMemHostAlloc`: host memory that the device can reach.
    ///
    /// # Errors
    /// As [`Memory::allocate`].
    pub fn allocate_host(&self, size: usize, flags: u32) -> Result<usize> {
        if size == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let allocation = self.vulkan.allocate(size as u64, MemoryKind::Host).cuda()?;
        let Some(host) = allocation.host() else {
            return Err(CUresult::OUT_OF_MEMORY);
        };
        self.host.lock().insert(
            host as usize,
            Block {
                allocation,
                flags,
                pool: None,
            },
        );
        Ok(host as usize)
    }

    /// Takes host memory out that [`Memory::allocate_host`] made.
    pub fn take_host(&self, pointer: usize) -> Option<Block> {
        let mut host = self.host.lock();
        match host.get(&pointer).map(|block| block.allocation.kind()) {
            Some(MemoryKind::Host) => self.remove_host(&mut host, pointer),
            _ => None,
        }
    }

    /// Takes out of the host memory, with what was set of it.
    fn remove_host(&self, host: &mut BTreeMap<usize, Block>, pointer: usize) -> Option<Block> {
        let block = host.remove(&pointer)?;
        self.synchronous.lock().remove(&block.allocation.address());
        Some(block)
    }

    /// `cuMemHostRegister`.
    ///
    /// # Safety
    /// `pointer` must point to `size` bytes of mapped memory until it is unregistered.
    ///
    /// # Errors
    /// `CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED`, `CUDA_ERROR_NOT_SUPPORTED`.
    pub unsafe fn register(&self, pointer: usize, size: usize, flags: u32) -> Result {
        if size == 0 || pointer == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        if self.find_registered(pointer).is_some() {
            return Err(CUresult::HOST_MEMORY_ALREADY_REGISTERED);
        }
        // SAFETY: the caller promises the same.
        let allocation =
            unsafe { self.vulkan.import_host(pointer as *mut u8, size as u64) }.cuda()?;
        self.host.lock().insert(
            pointer,
            Block {
                allocation,
                flags,
                pool: None,
            },
        );
        Ok(())
    }

    /// `cuMemHostUnregister`.
    ///
    /// # Errors
    /// `CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED`; `CUDA_ERROR_INVALID_VALUE` for null and within memory that is known.
    pub fn unregister(&self, pointer: usize) -> Result<Block> {
        let mut host = self.host.lock();
        match host.get(&pointer).map(|block| block.allocation.kind()) {
            Some(MemoryKind::Imported) => self
                .remove_host(&mut host, pointer)
                .ok_or(CUresult::HOST_MEMORY_NOT_REGISTERED),
            Some(_) => Err(CUresult::INVALID_VALUE),
            None => {
                drop(host);
                // Known memory, but not where it was registered.
                match pointer == 0 || self.find_host(pointer).is_some() {
                    true => Err(CUresult::INVALID_VALUE),
                    false => Err(CUresult::HOST_MEMORY_NOT_REGISTERED),
                }
            }
        }
    }

    /// The host memory of the application's that holds a host address: its device address there, and its flags.
    pub fn find_host(&self, pointer: usize) -> Option<(u64, u32)> {
        let host = self.host.lock();
        let (&start, block) = host.range(..=pointer).next_back()?;
        let offset = (pointer - start) as u64;
        (offset < block.allocation.size())
            .then(|| (block.allocation.address() + offset, block.flags))
    }

    fn find_registered(&self, pointer: usize) -> Option<u64> {
        self.find_host(pointer).map(|(address, _)| address)
    }

    /// Whether a device address belongs to an allocation of the application's in this context, and which.
    pub fn find(&self, address: u64) -> Option<Found> {
        self.vulkan.find(address)
    }

    /// Whether an allocation of the application's, by its base address, was made in this context.
    pub fn owns(&self, found: &Found) -> bool {
        self.device.lock().contains_key(&found.base)
            || found
                .host
                .is_some_and(|host| self.host.lock().contains_key(&(host as usize)))
    }

    /// Whether memory at a base address came from a pool, and from which.
    pub fn pool_of(&self, base: u64) -> Option<PoolBytes> {
        self.device
            .lock()
            .get(&base)
            .and_then(|block| block.pool.clone())
    }
}
