//! An open device.

use crate::{
    Allocation, Error, Found, MemoryKind, Node, PhysicalDevice, Recording, Shader, Stream,
};
use std::fmt;
use std::sync::Arc;

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
        write!(f, "{:?}", self.code)
    }
}

/// An open Vulkan device: what a CUDA context owns. All methods may be called from any thread.
pub struct Device {}

impl Device {
    /// Opens the device with every feature the translator can use. Takes milliseconds; starts one background thread.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`], or [`Error::Vulkan`] naming the call.
    pub fn open(physical: &Arc<PhysicalDevice>) -> Result<Arc<Self>, Error> {
        let _ = physical;
        todo!()
    }

    /// The physical device.
    pub fn physical(&self) -> &Arc<PhysicalDevice> {
        todo!()
    }

    /// What the translator has to know: [`PhysicalDevice::target`], corrected by what was measured when the device opened.
    pub fn target(&self) -> &ptx_spirv::Target {
        todo!()
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
        let _ = (size, kind);
        todo!()
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
        let _ = (pointer, size);
        todo!()
    }

    /// The allocation that holds a device address.
    pub fn find(&self, address: u64) -> Option<Found> {
        let _ = address;
        todo!()
    }

    /// The allocation whose host mapping holds this pointer (pinned, imported and, on unified memory, any allocation).
    pub fn find_host(&self, pointer: *const u8) -> Option<Found> {
        let _ = pointer;
        todo!()
    }

    /// A new stream, on the least used queue.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn create_stream(self: &Arc<Self>) -> Result<Arc<Stream>, Error> {
        todo!()
    }

    /// Takes a translated kernel. The SPIR-V is compiled at [`Shader::pipeline`].
    ///
    /// # Errors
    /// [`Error::Pipeline`] where the driver refuses the module.
    pub fn create_shader(
        self: &Arc<Self>,
        translated: &ptx_spirv::Translated,
    ) -> Result<Arc<Shader>, Error> {
        let _ = translated;
        todo!()
    }

    /// Records operations for replay (`cuGraphInstantiate`). They run in order, each after the one before it.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`], [`Error::OutOfMemory`].
    pub fn record(self: &Arc<Self>, nodes: Vec<Node>) -> Result<Arc<Recording>, Error> {
        let _ = nodes;
        todo!()
    }

    /// Waits for all work of all streams (`cuCtxSynchronize`).
    ///
    /// # Errors
    /// The sticky error, if there is one.
    pub fn synchronize(&self) -> Result<(), Error> {
        todo!()
    }

    /// The sticky error of the device: a lost device or a kernel's fault. `Ok` otherwise. Cheap: reads mapped memory.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn check(&self) -> Result<(), Error> {
        todo!()
    }

    /// Clears the fault record. The caller has synchronised.
    pub fn clear_fault(&self) {
        todo!()
    }

    /// Writes the pipeline cache to disk if it changed. Also done in the background and when the device is dropped.
    pub fn save_caches(&self) {
        todo!()
    }
}
