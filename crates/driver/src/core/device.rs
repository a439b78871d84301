//! A device: a Vulkan physical device with its primary context.

use crate::boundary::Result;
use crate::core::context::Context;
use crate::core::pool::Pool;
use crate::core::status::IntoCuda;
use crate::core::stream_pool::OpenDevice;
use cuda_abi::{CUdevice, CUuuid};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use vulkan::{MemoryKind, PciAddress, PhysicalDevice};

/// A visible device.
pub struct Device {
    /// Its number in this process.
    pub ordinal: CUdevice,
    /// The Vulkan device.
    pub physical: Arc<PhysicalDevice>,
    index: usize,
    primary: OnceLock<Arc<Context>>,
    open: Mutex<Option<Arc<OpenDevice>>>,
    default_pool: OnceLock<Arc<Pool>>,
    managed_pool: OnceLock<Arc<Pool>>,
    pinned_pool: OnceLock<Arc<Pool>>,
    pool: Mutex<Option<Arc<Pool>>>,
}

impl Device {
    /// A device not yet opened. `index` is its place among all usable devices, hidden ones included.
    pub fn new(ordinal: CUdevice, index: usize, physical: Arc<PhysicalDevice>) -> Self {
        Self {
            ordinal,
            physical,
            index,
            primary: OnceLock::new(),
            open: Mutex::new(None),
            default_pool: OnceLock::new(),
            managed_pool: OnceLock::new(),
            pinned_pool: OnceLock::new(),
            pool: Mutex::new(None),
        }
    }

    /// The primary context, open or not. The same for the life of the process.
    pub fn primary(&'static self) -> &'static Arc<Context> {
        self.primary.get_or_init(|| Context::primary(self))
    }

    /// The open Vulkan device, which all contexts of the device share.
    ///
    /// It stays open until the process ends, also when no context is left: the runtime releases its context from a
    /// destructor that may run inside `dlclose`, where nothing may wait for a thread to end.
    ///
    /// # Errors
    /// What opening it gives.
    pub fn open(&self) -> Result<Arc<OpenDevice>> {
        let mut open = self.open.lock();
        // A lost device stays lost: who opens it again gets a new one.
        if let Some(device) = open
            .as_ref()
            .filter(|device| device.vulkan.check() != Err(vulkan::Error::DeviceLost))
        {
            return Ok(device.clone());
        }
        let device = OpenDevice::new(vulkan::Device::open(&self.physical).cuda()?);
        *open = Some(device.clone());
        Ok(device)
    }

    /// Lets go of the Vulkan device.
    pub fn close(&self) {
        let device = self.open.lock().take();
        if let Some(Err(error)) = device.map(|device| device.end()) {
            tracing::debug!("closing {}: {error}", self.physical.name());
        }
    }

    /// Ends the threads of the Vulkan device, if it is open.
    pub fn stop_threads(&self) {
        if let Some(device) = self.open.lock().as_ref() {
            device.vulkan.stop_threads();
        }
    }

    /// The UUID, the Vulkan device's.
    pub fn uuid(&self) -> CUuuid {
        CUuuid {
            bytes: self.physical.uuid(),
        }
    }

    /// The PCI address. Where the Vulkan driver tells none (CPU devices), one in domain ffff, which no PCI bus has, whose
    /// device number is the device's place in the list of all devices: the same in every process.
    pub fn pci(&self) -> PciAddress {
        self.physical.pci().unwrap_or(PciAddress {
            domain: 0xffff,
            bus: 0,
            device: self.index as u32,
            function: 0,
        })
    }

    /// The pool that the device starts out with.
    pub fn default_pool(&'static self) -> &'static Arc<Pool> {
        self.default_pool.get_or_init(|| Pool::new(self))
    }

    /// The pool of managed memory that the device starts out with.
    pub fn managed_pool(&'static self) -> &'static Arc<Pool> {
        self.managed_pool
            .get_or_init(|| Pool::of(self, MemoryKind::Managed, false))
    }

    /// The pool of pinned memory of the host that the device starts out with.
    pub fn pinned_pool(&'static self) -> &'static Arc<Pool> {
        self.pinned_pool
            .get_or_init(|| Pool::of(self, MemoryKind::Managed, true))
    }

    /// The pool that `cuMemAllocAsync` allocates from.
    pub fn pool(&'static self) -> Arc<Pool> {
        self.pool
            .lock()
            .clone()
            .unwrap_or_else(|| self.default_pool().clone())
    }

    /// Replaces it; `None` is the default pool.
    pub fn set_pool(&self, pool: Option<Arc<Pool>>) {
        *self.pool.lock() = pool;
    }
}
