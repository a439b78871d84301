//! An open device.

use crate::error::Error;
use crate::kernels;
use crate::matrices;
#[allow(unused_imports)] // named by the documentation
use crate::memory::GRANULARITY;
use crate::memory::{Allocation, Backing, Found, MemoryInfo, MemoryKind, Reservation};
use crate::operations::FusedFma;
use crate::pipeline::{Pipeline, Shader};
use crate::probe;
use crate::raw::Raw;
use crate::recording::{Node, Recording};
use crate::shared::Shared;
use crate::stream::Stream;
use crate::{DeviceKind, PhysicalDevice};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// `code` of the fault record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultCode {
    /// 1: `trap`.
    Trap,
    /// 2: a failed device-side assertion.
    Assert,
    /// 3: a wait of warp emulation that never ended.
    Timeout,
    /// 4: misaligned or illegal address.
    Address,
    /// Any other code.
    Other(u32),
}

/// What a kernel wrote into the fault record.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub code: FaultCode,
    /// The words after code and lock.
    pub data: [u32; 62],
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.code {
            FaultCode::Trap => "trap",
            FaultCode::Assert => "failed assertion",
            FaultCode::Timeout => "a wait that never ended",
            FaultCode::Address => "misaligned or illegal address",
            FaultCode::Other(code) => return write!(f, "code {code}"),
        };
        f.write_str(name)
    }
}

/// An open Vulkan device: what a CUDA context owns. All methods may be called from any thread.
pub struct Device {
    shared: Arc<Shared>,
    target: ptx_spirv::Target,
    copy: OnceLock<Option<Arc<Pipeline>>>,
}

impl Device {
    /// Opens the device with every feature the translator can use. Takes milliseconds; starts one background thread.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`], or [`Error::Vulkan`] naming the call.
    pub fn open(physical: &Arc<PhysicalDevice>) -> Result<Arc<Self>, Error> {
        let shared = Shared::new(Raw::open(physical)?)?;
        let mut device = Arc::new(Self {
            shared,
            target: physical.target().clone(),
            copy: OnceLock::new(),
        });
        if physical.fma == FusedFma::Unknown {
            let fused = kernels::cached_probe(&device, "fused fma", kernels::probe_fused_fma)?;
            // The probe's objects are gone, so this is the only handle.
            if let Some(device) = Arc::get_mut(&mut device) {
                device.target.fused_fma = fused;
            }
        }
        if matches!(device.target.warps, ptx_spirv::Warps::Yield { .. })
            && !kernels::cached_probe(&device, "yields", kernels::probe_yields)?
        {
            return Err(Error::Unsupported(format!(
                "warps on {}: this version schedules workgroups in another way ({})",
                physical.name(),
                physical.driver().info
            )));
        }
        if device.target.warps == ptx_spirv::Warps::Subgroup32 {
            let units = matrices::measure(&device)?;
            let orders = kernels::cached_probe(&device, "zeros", probe::min_max_orders_zeros)?;
            let nan = kernels::cached_probe(&device, "half NaN", probe::canonical_half_nan)?;
            if let Some(device) = Arc::get_mut(&mut device) {
                device.target.matrix_units = units;
                device.target.min_max_orders_zeros = orders;
                device.target.canonical_half_nan = nan;
            }
        }
        tracing::info!(
            device = physical.name(),
            queues = physical.limits().queues,
            "device opened"
        );
        Ok(device)
    }

    /// The physical device.
    pub fn physical(&self) -> &Arc<PhysicalDevice> {
        &self.shared.raw.physical
    }

    /// What the translator has to know: [`PhysicalDevice::target`], corrected by what was measured when the device opened.
    pub fn target(&self) -> &ptx_spirv::Target {
        &self.target
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Free and total memory, as [`PhysicalDevice::memory_info`], after memory that is no longer in use was given back.
    pub fn memory_info(&self) -> MemoryInfo {
        self.shared.memory.reclaim();
        self.physical().memory_info()
    }

    /// Allocates memory, 256-byte aligned, uninitialised.
    ///
    /// Any size that fits works, also above `maxMemoryAllocationSize`; the addresses are contiguous. The memory is
    /// released when the value is dropped (see [`Allocation`]).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::InvalidArgument`] for 0 bytes; [`Error::Unsupported`] for `Managed` memory where
    /// the driver cannot make host and device addresses equal.
    pub fn allocate(self: &Arc<Self>, size: u64, kind: MemoryKind) -> Result<Allocation, Error> {
        if kind == MemoryKind::Imported {
            return Err(Error::InvalidArgument(
                "imported memory is made by import_host".to_owned(),
            ));
        }
        self.shared.raw.check_lost()?;
        self.shared.memory.allocate(size, kind)
    }

    /// Makes existing host memory reachable by kernels and copies (`cuMemHostRegister`). Any pointer and length; the pages
    /// around it are imported. The memory must stay mapped until the allocation is dropped and the device is done with it.
    ///
    /// # Safety
    /// `pointer` must point to `size` bytes of mapped memory for as long as the allocation or work that uses it lives.
    ///
    /// # Errors
    /// [`Error::Unsupported`] without VK_EXT_external_memory_host or where the driver refuses that memory.
    pub unsafe fn import_host(
        self: &Arc<Self>,
        pointer: *mut u8,
        size: u64,
    ) -> Result<Allocation, Error> {
        self.shared.raw.check_lost()?;
        self.shared.memory.import_host(pointer, size)
    }

    /// Takes addresses without memory (`cuMemAddressReserve`): `size` bytes, a multiple of [`GRANULARITY`], from a multiple of
    /// `alignment` on, at `wanted` if the device can choose and that is free.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where [`PhysicalDevice::longest_reservation`] is 0; [`Error::OutOfMemory`];
    /// [`Error::InvalidArgument`] for another size, or an alignment that is no power of two or below the granularity.
    pub fn reserve(
        self: &Arc<Self>,
        size: u64,
        alignment: u64,
        wanted: u64,
    ) -> Result<Arc<Reservation>, Error> {
        self.shared.raw.check_lost()?;
        self.shared.memory.reserve(size, alignment, wanted)
    }

    /// Takes memory without an address (`cuMemCreate`): `size` bytes, a multiple of [`GRANULARITY`].
    /// [`Reservation::map`] gives it one.
    ///
    /// # Errors
    /// As [`Device::reserve`].
    pub fn create_backing(self: &Arc<Self>, size: u64) -> Result<Arc<Backing>, Error> {
        self.shared.raw.check_lost()?;
        self.shared.memory.create_backing(size)
    }

    /// The allocation that holds a device address.
    pub fn find(&self, address: u64) -> Option<Found> {
        self.shared.memory.find(address)
    }

    /// Checks that one allocation, or mappings that lie close together, hold all of a range.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`].
    pub fn check_range(&self, address: u64, size: u64) -> Result<(), Error> {
        self.shared.memory.entry(address, size).map(drop)
    }

    /// The allocation whose host mapping holds this pointer (pinned, imported and, on unified memory, any allocation).
    pub fn find_host(&self, pointer: *const u8) -> Option<Found> {
        self.shared.memory.find_host(pointer as u64)
    }

    /// A new stream, on the least used queue.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn create_stream(self: &Arc<Self>) -> Result<Arc<Stream>, Error> {
        self.shared.raw.check_lost()?;
        Stream::new(self)
    }

    /// Takes a translated kernel. The SPIR-V is compiled at [`Shader::pipeline`].
    ///
    /// # Errors
    /// [`Error::Pipeline`] where the driver refuses the module.
    pub fn create_shader(
        self: &Arc<Self>,
        translated: &ptx_spirv::Translated,
    ) -> Result<Arc<Shader>, Error> {
        Shader::new(
            &self.shared.raw,
            &self.shared.pipeline_cache,
            &translated.spirv,
            &translated.info,
        )
    }

    /// Records operations for replay (`cuGraphInstantiate`). They run in order, each after the one before it.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`], [`Error::OutOfMemory`].
    pub fn record(self: &Arc<Self>, nodes: Vec<Node>) -> Result<Arc<Recording>, Error> {
        Recording::new(self, nodes)
    }

    /// Waits for all work of all streams (`cuCtxSynchronize`).
    ///
    /// # Errors
    /// The sticky error, if there is one.
    pub fn synchronize(&self) -> Result<(), Error> {
        self.shared.synchronize()
    }

    /// The sticky error of the device: a lost device or a kernel's fault. `Ok` otherwise. Cheap: reads mapped memory.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn check(&self) -> Result<(), Error> {
        self.shared.raw.check()
    }

    /// Lets everything count as done that [`crate::Stream::host_poll`] still asks for: the process ends, and nobody is left
    /// to bring it about.
    pub fn end_polls(&self) {
        self.shared.end_polls();
    }

    /// Ends the device's threads, without a Vulkan call on the caller's thread: the process ends, and what the driver or a layer
    /// keeps for that thread may be gone.
    pub fn stop_threads(&self) {
        self.shared.stop_threads();
    }

    /// Waits for all work, ends the device's threads and gives up its streams, as the last handle does when it is dropped: for
    /// a process that ends while others still hold the device. No
    /// host function runs from then on.
    pub fn end(&self) {
        self.shared.shut_down();
    }

    /// Tells kernels the address of the heap that they allocate from, 0 for none.
    pub fn set_heap(&self, address: u64) {
        self.shared.raw.set_heap(address);
    }

    /// Clears the fault record. The caller has synchronised.
    pub fn clear_fault(&self) {
        self.shared.raw.clear_fault();
    }

    /// Writes the pipeline cache to disk if it changed. Also done in the background and when the device is dropped.
    pub fn save_caches(&self) {
        self.shared.pipeline_cache.save();
    }

    /// Whether vkCmdCopyBuffer is as fast as a kernel: it is a memcpy on CPU devices.
    pub(crate) fn prefers_copy_commands(&self) -> bool {
        self.physical().kind() == DeviceKind::Cpu
    }

    /// The built-in copy kernel, compiled at its first use; `None` if the driver refuses it.
    pub(crate) fn copy_pipeline(&self) -> Option<Arc<Pipeline>> {
        self.copy
            .get_or_init(|| {
                kernels::copy_pipeline(&self.shared)
                    .inspect_err(|error| tracing::warn!(%error, "copies use vkCmdCopyBuffer"))
                    .ok()
            })
            .clone()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.shared.shut_down();
    }
}
