//! Device memory.

/// What the memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// `cuMemAlloc`: device-local; not mapped on discrete GPUs.
    Device,
    /// `cuMemHostAlloc`: host memory that kernels can reach; mapped, coherent, cached where the driver offers it.
    Host,
    /// `cuMemAllocManaged`: the host address equals the device address.
    Managed,
    /// `cuMemHostRegister`: host memory of the application. Only [`crate::Device::import_host`] makes it.
    Imported,
}

/// `cuMemGetInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes that can be allocated now, about.
    pub free: u64,
    /// Bytes of device memory.
    pub total: u64,
}

/// What a lookup by address gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// First device address of the allocation.
    pub base: u64,
    /// Its size, bytes, as asked for.
    pub size: u64,
    /// Its kind.
    pub kind: MemoryKind,
    /// The host pointer of `base`, where it is mapped.
    pub host: Option<*mut u8>,
}

/// Device memory with an address.
///
/// Dropping it removes the address from the device's table at once and never waits: the memory itself is reused once all
/// work that any stream held at that moment has completed.
pub struct Allocation {}

impl Allocation {
    /// Device address, a multiple of 256 (imported memory: as the pointer was aligned).
    pub fn address(&self) -> u64 {
        todo!()
    }

    /// Bytes, as asked for.
    pub fn size(&self) -> u64 {
        todo!()
    }

    /// Its kind.
    pub fn kind(&self) -> MemoryKind {
        todo!()
    }

    /// Where the host sees it; `None` for device memory of a discrete GPU. Coherent. Equal to the address for managed
    /// memory, and for all memory on lavapipe.
    pub fn host(&self) -> Option<*mut u8> {
        todo!()
    }
}
