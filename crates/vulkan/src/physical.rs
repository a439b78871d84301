//! What a physical device is and can do.

use crate::memory::MemoryInfo;

/// `domain:bus:device.function` of VK_EXT_pci_bus_info. `Display` writes it as `0000:03:00.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PciAddress {
    /// PCI domain.
    pub domain: u32,
    /// Bus.
    pub bus: u32,
    /// Device (slot).
    pub device: u32,
    /// Function.
    pub function: u32,
}

/// `VkPhysicalDeviceType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A card with its own memory.
    Discrete,
    /// Shares memory with the host.
    Integrated,
    /// A GPU seen through virtualisation.
    Virtual,
    /// Runs on the CPU (lavapipe).
    Cpu,
    /// Anything else.
    Other,
}

/// The Vulkan driver (VkPhysicalDeviceDriverProperties).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// VkDriverId.
    pub id: i32,
    /// `driverName`.
    pub name: String,
    /// `driverInfo`, usually the version in words.
    pub info: String,
    /// `VkPhysicalDeviceProperties::driverVersion`, in the vendor's packing.
    pub version: u32,
    /// `driverUUID`.
    pub uuid: [u8; 16],
}

/// Device limits that the CUDA attributes and the runtime need.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// maxComputeWorkGroupInvocations.
    pub workgroup_invocations: u32,
    /// maxComputeWorkGroupSize.
    pub workgroup_size: [u32; 3],
    /// maxComputeWorkGroupCount. Larger grids are split by [`crate::Stream::launch`].
    pub workgroup_count: [u32; 3],
    /// maxComputeSharedMemorySize, bytes.
    pub shared_memory: u32,
    /// maxComputeWorkgroupSubgroups.
    pub workgroup_subgroups: u32,
    /// maxMemoryAllocationSize, bytes.
    pub memory_allocation: u64,
    /// maxBufferSize, bytes.
    pub buffer_size: u64,
    /// sparseAddressSpaceSize, bytes; 0 where sparseBinding is missing.
    pub sparse_address_space: u64,
    /// minImportedHostPointerAlignment, bytes; 0 where VK_EXT_external_memory_host is missing.
    pub host_pointer_alignment: u64,
    /// Nanoseconds of a timestamp tick; 0 where the compute queues have no timestamps.
    pub timestamp_period: f32,
    /// Queues that are used for streams.
    pub queues: u32,
}

/// Subgroup properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subgroup {
    /// subgroupSize.
    pub size: u32,
    /// minSubgroupSize.
    pub min: u32,
    /// maxSubgroupSize.
    pub max: u32,
    /// Whether compute pipelines accept a required size.
    pub required: bool,
}

/// A usable Vulkan device, not opened.
pub struct PhysicalDevice {}

impl PhysicalDevice {
    /// `deviceName`.
    pub fn name(&self) -> &str {
        todo!()
    }

    /// `VkPhysicalDeviceIDProperties::deviceUUID`.
    pub fn uuid(&self) -> [u8; 16] {
        todo!()
    }

    /// The PCI address; `None` where the driver has no VK_EXT_pci_bus_info (lavapipe).
    pub fn pci(&self) -> Option<PciAddress> {
        todo!()
    }

    /// PCI vendor id.
    pub fn vendor_id(&self) -> u32 {
        todo!()
    }

    /// PCI device id.
    pub fn device_id(&self) -> u32 {
        todo!()
    }

    /// Discrete, integrated or CPU.
    pub fn kind(&self) -> DeviceKind {
        todo!()
    }

    /// The driver.
    pub fn driver(&self) -> &Driver {
        todo!()
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        todo!()
    }

    /// Subgroup properties.
    pub fn subgroup(&self) -> Subgroup {
        todo!()
    }

    /// What the translator has to know, as far as properties and a table of drivers tell. An open device may know more:
    /// prefer [`crate::Device::target`] where there is one.
    pub fn target(&self) -> &ptx_spirv::Target {
        todo!()
    }

    /// Free and total device memory, bytes, now (`cuMemGetInfo`). Costs one Vulkan query; on devices that share memory
    /// with the host it takes the host's available memory into account.
    pub fn memory_info(&self) -> MemoryInfo {
        todo!()
    }

    /// Whether device memory is the host's (integrated and CPU devices).
    pub fn unified_memory(&self) -> bool {
        todo!()
    }
}
