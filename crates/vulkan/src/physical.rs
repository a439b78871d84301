//! What a physical device is and can do.
//!
//! Everything is read once, when the instance is loaded; only the memory budget is asked for again at each call.

use crate::features::{Extensions, Features};
use crate::host_memory;
use crate::instance::{RawInstance, Refused};
use crate::memory::{MemoryInfo, MemoryTypes};
use crate::operations;
use crate::target;
use ash::{amd, ext, nv, vk};
use std::fmt;
use std::sync::Arc;

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

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{:x}",
            self.domain, self.bus, self.device, self.function
        )
    }
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
    /// Anything else.
    Other,
    /// Runs on the CPU (lavapipe).
    Cpu,
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
    /// Streaming multiprocessors or compute units (VK_NV_shader_sm_builtins, VK_AMD_shader_core_properties); `None` where
    /// the driver does not say.
    pub multiprocessors: Option<u32>,
    /// Warps that a streaming multiprocessor holds (VK_NV_shader_sm_builtins); `None` elsewhere.
    pub warps_per_multiprocessor: Option<u32>,
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

impl Subgroup {
    pub(crate) fn new(
        v11: &vk::PhysicalDeviceVulkan11Properties<'_>,
        v13: &vk::PhysicalDeviceVulkan13Properties<'_>,
    ) -> Self {
        Self {
            size: v11.subgroup_size,
            min: v13.min_subgroup_size,
            max: v13.max_subgroup_size,
            required: v13
                .required_subgroup_size_stages
                .contains(vk::ShaderStageFlags::COMPUTE),
        }
    }
}

/// Where queues come from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The family of the compute queues.
    pub(crate) compute_family: u32,
    /// How many queues of it.
    pub(crate) compute_queues: u32,
    /// timestampValidBits of that family.
    pub(crate) timestamp_bits: u32,
    /// A family for vkQueueBindSparse, where there is one; preferably not the compute family.
    pub(crate) sparse_family: Option<u32>,
}

/// Most queues a device is opened with.
const MAX_QUEUES: u32 = 8;

/// A usable Vulkan device, not opened.
pub struct PhysicalDevice {
    pub(crate) instance: Arc<RawInstance>,
    pub(crate) handle: vk::PhysicalDevice,
    pub(crate) extensions: Extensions,
    pub(crate) features: Features,
    pub(crate) memory: vk::PhysicalDeviceMemoryProperties,
    /// As far as properties tell; an open device knows which types take buffers.
    pub(crate) memory_types: MemoryTypes,
    pub(crate) plan: Plan,
    pub(crate) pipeline_cache_uuid: [u8; 16],
    pub(crate) fma: operations::FusedFma,
    name: String,
    uuid: [u8; 16],
    pci: Option<PciAddress>,
    vendor_id: u32,
    device_id: u32,
    kind: DeviceKind,
    driver: Driver,
    limits: Limits,
    subgroup: Subgroup,
    target: ptx_spirv::Target,
}

impl PhysicalDevice {
    /// `deviceName`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `VkPhysicalDeviceIDProperties::deviceUUID`.
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// Makes the UUID one that none of the others has. Devices of one CPU driver, loaded twice, say the same one.
    pub(crate) fn tell_apart(&mut self, others: &[Arc<PhysicalDevice>]) {
        let first = self.uuid;
        let mut number = 0u64;
        while others.iter().any(|other| other.uuid == self.uuid) {
            number += 1;
            let low = u64::from_be_bytes(first[8..].try_into().expect("8 bytes"));
            self.uuid[8..].copy_from_slice(&low.wrapping_add(number).to_be_bytes());
        }
    }

    /// The PCI address; `None` where the driver has no VK_EXT_pci_bus_info (lavapipe).
    pub fn pci(&self) -> Option<PciAddress> {
        self.pci
    }

    /// PCI vendor id.
    pub fn vendor_id(&self) -> u32 {
        self.vendor_id
    }

    /// PCI device id.
    pub fn device_id(&self) -> u32 {
        self.device_id
    }

    /// Discrete, integrated or CPU.
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    /// The driver.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Subgroup properties.
    pub fn subgroup(&self) -> Subgroup {
        self.subgroup
    }

    /// What the translator has to know, as far as properties and a table of drivers tell. An open device may know more:
    /// prefer [`crate::Device::target`] where there is one.
    pub fn target(&self) -> &ptx_spirv::Target {
        &self.target
    }

    /// Free and total device memory, bytes, now (`cuMemGetInfo`). Costs one Vulkan query; on devices that share memory
    /// with the host it takes the host's available memory into account.
    pub fn memory_info(&self) -> MemoryInfo {
        let heap = self.memory.memory_types[self.memory_types.device as usize].heap_index as usize;
        let total = self.memory.memory_heaps[heap].size;
        let mut free = total;
        if self.extensions.has(ext::memory_budget::NAME) {
            let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
            let mut properties =
                vk::PhysicalDeviceMemoryProperties2::default().push_next(&mut budget);
            // SAFETY: the handle comes from the instance, the chained structure from an extension the device has.
            unsafe {
                self.instance
                    .vk
                    .get_physical_device_memory_properties2(self.handle, &mut properties)
            };
            free = budget.heap_budget[heap].saturating_sub(budget.heap_usage[heap]);
        }
        if self.unified_memory() {
            if let Some(available) = host_memory::available() {
                // lavapipe counts the whole machine's memory use against its budget: the host's own figure is the truth.
                free = if self.kind == DeviceKind::Cpu {
                    available.min(total)
                } else {
                    free.min(available)
                };
            }
        }
        MemoryInfo {
            free: free.min(total),
            total,
        }
    }

    /// Whether memory can be mapped at its device address, as managed memory is: everything is on CPU devices, and drivers
    /// with VK_EXT_map_memory_placed do it.
    pub fn maps_at_device_addresses(&self) -> bool {
        self.kind == DeviceKind::Cpu || self.places_mappings()
    }

    /// Whether vkMapMemory2 takes an address. A validation layer older than that passes its own handles on to the driver.
    pub(crate) fn places_mappings(&self) -> bool {
        self.extensions.has(ext::map_memory_placed::NAME)
            && self.features.map_placed.memory_map_placed == vk::TRUE
            && !self.instance.is_validating()
    }

    /// Whether device memory is the host's (integrated and CPU devices).
    pub fn unified_memory(&self) -> bool {
        matches!(self.kind, DeviceKind::Integrated | DeviceKind::Cpu)
    }

    /// The longest reservation that [`crate::Device::reserve`] can make, bytes; 0 where it can make none. The driver may have
    /// room for only one of that size.
    pub fn longest_reservation(&self) -> u64 {
        if self.is_llvmpipe() {
            // Half of the 47 bits of a process's address space.
            return match self.limits.host_pointer_alignment {
                0 => 0,
                _ => 1 << 46,
            };
        }
        match self.features.core.sparse_residency_buffer {
            vk::TRUE => self
                .limits
                .sparse_address_space
                .min(self.limits.buffer_size),
            _ => 0,
        }
    }

    /// Bytes of the heap of a memory type.
    pub(crate) fn heap_size(&self, memory_type: u32) -> u64 {
        let heap = self.memory.memory_types[memory_type as usize].heap_index;
        self.memory.memory_heaps[heap as usize].size
    }

    /// Property flags of a memory type.
    pub(crate) fn memory_flags(&self, memory_type: u32) -> vk::MemoryPropertyFlags {
        self.memory.memory_types[memory_type as usize].property_flags
    }

    /// Workgroups of one dispatch that surely run at the same time, with none that waits for another to end: one for each
    /// multiprocessor, where the driver tells their number, and one for each two compute units of AMD, which share what one
    /// workgroup may need; on llvmpipe one for each of its threads. 1 where nothing is known. Vulkan itself promises nothing of
    /// the kind.
    pub fn resident_workgroups(&self) -> u32 {
        const AMD: u32 = 0x1002;
        if !self.is_llvmpipe() {
            let units = self.limits.multiprocessors.unwrap_or(1);
            return match self.vendor_id() {
                AMD => (units / 2).max(1),
                _ => units,
            };
        }
        // llvmpipe hands the workgroups of a dispatch to its threads one by one when there are no more than threads. It has
        // one for each CPU of the process, or as many as this variable says, and none at all for a single one.
        const MOST: usize = 16;
        let threads = std::env::var("LP_NUM_THREADS").ok();
        let threads = threads.and_then(|text| text.parse().ok()).unwrap_or(MOST);
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
        cpus.min(threads).clamp(1, MOST) as u32
    }

    /// Whether this is Mesa's llvmpipe.
    pub(crate) fn is_llvmpipe(&self) -> bool {
        self.driver.id == vk::DriverId::MESA_LLVMPIPE.as_raw()
    }
}

/// Reads everything there is to know about a device, and refuses it where something needed is missing.
pub(crate) fn inspect(
    instance: &Arc<RawInstance>,
    handle: vk::PhysicalDevice,
) -> Result<PhysicalDevice, Refused> {
    let vk = &instance.vk;
    // SAFETY: the handle comes from this instance.
    let basic = unsafe { vk.get_physical_device_properties(handle) };
    let name = basic.device_name_as_c_str().map_or_else(
        |_| String::new(),
        |name| name.to_string_lossy().into_owned(),
    );
    let refuse = |reasons: Vec<String>| Refused {
        name: name.clone(),
        reasons,
    };
    if basic.api_version < vk::API_VERSION_1_3 {
        let (major, minor) = (
            vk::api_version_major(basic.api_version),
            vk::api_version_minor(basic.api_version),
        );
        return Err(refuse(vec![format!(
            "Vulkan 1.3 (the device has {major}.{minor})"
        )]));
    }
    let mut extensions = Extensions::query(vk, handle);
    if let Some(version) = instance.layer_version() {
        extensions = extensions.known_to_layer(version);
    }
    let available = Features::query(vk, handle, &extensions);
    let mut reasons = available.missing();

    let mut v11 = vk::PhysicalDeviceVulkan11Properties::default();
    let mut v12 = vk::PhysicalDeviceVulkan12Properties::default();
    let mut v13 = vk::PhysicalDeviceVulkan13Properties::default();
    let mut pci = vk::PhysicalDevicePCIBusInfoPropertiesEXT::default();
    let mut host = vk::PhysicalDeviceExternalMemoryHostPropertiesEXT::default();
    let mut multiprocessors = vk::PhysicalDeviceShaderSMBuiltinsPropertiesNV::default();
    let mut cores = vk::PhysicalDeviceShaderCorePropertiesAMD::default();
    let mut properties = vk::PhysicalDeviceProperties2::default()
        .push_next(&mut v11)
        .push_next(&mut v12)
        .push_next(&mut v13);
    if extensions.has(ext::pci_bus_info::NAME) {
        properties = properties.push_next(&mut pci);
    }
    if extensions.has(ext::external_memory_host::NAME) {
        properties = properties.push_next(&mut host);
    }
    if extensions.has(nv::shader_sm_builtins::NAME) {
        properties = properties.push_next(&mut multiprocessors);
    }
    if extensions.has(amd::shader_core_properties::NAME) {
        properties = properties.push_next(&mut cores);
    }
    // SAFETY: the handle comes from this instance; the chain holds structures of Vulkan 1.3 and of extensions it has.
    unsafe { vk.get_physical_device_properties2(handle, &mut properties) };
    let units = multiprocessors.shader_sm_count
        + cores.shader_engine_count
            * cores.shader_arrays_per_engine_count
            * cores.compute_units_per_shader_array;

    let needed_operations = vk::SubgroupFeatureFlags::BASIC
        | vk::SubgroupFeatureFlags::VOTE
        | vk::SubgroupFeatureFlags::BALLOT
        | vk::SubgroupFeatureFlags::SHUFFLE
        | vk::SubgroupFeatureFlags::ARITHMETIC
        | vk::SubgroupFeatureFlags::QUAD;
    if !v11
        .subgroup_supported_stages
        .contains(vk::ShaderStageFlags::COMPUTE)
    {
        reasons.push("subgroup operations in compute shaders".to_owned());
    }
    let missing_operations = needed_operations & !v11.subgroup_supported_operations;
    if !missing_operations.is_empty() {
        reasons.push(format!("subgroup operations {missing_operations:?}"));
    }

    // SAFETY: the handle comes from this instance.
    let memory = unsafe { vk.get_physical_device_memory_properties(handle) };
    let kind = match basic.device_type {
        vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
        vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
        vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
        _ => DeviceKind::Other,
    };
    let sparse = available.core.sparse_binding == vk::TRUE;
    let plan = match plan(instance, handle, sparse) {
        Ok(plan) => Some(plan),
        Err(reason) => {
            reasons.push(reason);
            None
        }
    };

    let memory_types = match MemoryTypes::choose(kind, &memory, !0) {
        Ok(types) => Some(types),
        Err(reason) => {
            reasons.push(reason);
            None
        }
    };

    let subgroup = Subgroup::new(&v11, &v13);
    let driver = Driver {
        id: v12.driver_id.as_raw(),
        name: c_text(v12.driver_name_as_c_str()),
        info: c_text(v12.driver_info_as_c_str()),
        version: basic.driver_version,
        uuid: v11.driver_uuid,
    };
    let facts = target::Facts {
        driver_id: v12.driver_id,
        subgroup,
        workgroup_memory: basic.limits.max_compute_shared_memory_size,
        push_constants: basic.limits.max_push_constants_size,
        timestamp_period: basic.limits.timestamp_period,
        features: &available,
        v12: &v12,
    };
    let target = match target::derive(&facts) {
        Ok(target) => Some(target),
        Err(reason) => {
            reasons.push(reason);
            None
        }
    };
    let (true, Some(plan), Some(target), Some(memory_types)) =
        (reasons.is_empty(), plan, target, memory_types)
    else {
        return Err(refuse(reasons));
    };

    let limits = Limits {
        workgroup_invocations: basic.limits.max_compute_work_group_invocations,
        workgroup_size: basic.limits.max_compute_work_group_size,
        workgroup_count: basic.limits.max_compute_work_group_count,
        shared_memory: basic.limits.max_compute_shared_memory_size,
        workgroup_subgroups: v13.max_compute_workgroup_subgroups,
        memory_allocation: v11.max_memory_allocation_size,
        buffer_size: v13.max_buffer_size,
        sparse_address_space: if plan.sparse_family.is_some() {
            basic.limits.sparse_address_space_size
        } else {
            0
        },
        host_pointer_alignment: host.min_imported_host_pointer_alignment,
        timestamp_period: if plan.timestamp_bits == 0 {
            0.0
        } else {
            basic.limits.timestamp_period
        },
        queues: plan.compute_queues,
        multiprocessors: (units > 0).then_some(units),
        warps_per_multiprocessor: Some(multiprocessors.shader_warps_per_sm).filter(|&n| n > 0),
    };
    Ok(PhysicalDevice {
        instance: Arc::clone(instance),
        handle,
        fma: operations::of(v12.driver_id).fma,
        pci: extensions
            .has(ext::pci_bus_info::NAME)
            .then_some(PciAddress {
                domain: pci.pci_domain,
                bus: pci.pci_bus,
                device: pci.pci_device,
                function: pci.pci_function,
            }),
        features: available.wanted(),
        extensions,
        memory,
        memory_types,
        plan,
        pipeline_cache_uuid: basic.pipeline_cache_uuid,
        uuid: v11.device_uuid,
        vendor_id: basic.vendor_id,
        device_id: basic.device_id,
        kind,
        driver,
        limits,
        subgroup,
        target,
        name,
    })
}

fn c_text(text: Result<&std::ffi::CStr, std::ffi::FromBytesUntilNulError>) -> String {
    text.map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    )
}

/// Chooses queue families.
fn plan(instance: &RawInstance, handle: vk::PhysicalDevice, sparse: bool) -> Result<Plan, String> {
    // SAFETY: the handle comes from this instance.
    let families = unsafe {
        instance
            .vk
            .get_physical_device_queue_family_properties(handle)
    };
    // A family without graphics takes submissions faster (docs: half the cost on NVIDIA); timestamps matter more.
    let compute_family = (0..families.len())
        .filter(|&index| {
            families[index]
                .queue_flags
                .contains(vk::QueueFlags::COMPUTE)
                && families[index].queue_count > 0
        })
        .min_by_key(|&index| {
            let family = &families[index];
            (
                family.timestamp_valid_bits == 0,
                family.queue_flags.contains(vk::QueueFlags::GRAPHICS),
                index,
            )
        })
        .ok_or("a compute queue")?;
    let binds = |index: &usize| {
        families[*index]
            .queue_flags
            .contains(vk::QueueFlags::SPARSE_BINDING)
    };
    // Better one whose queue no kernel occupies: CUDA maps memory while kernels run.
    let sparse_family = (0..families.len())
        .filter(|index| sparse && binds(index) && families[*index].queue_count > 0)
        .min_by_key(|&index| {
            let flags = families[index].queue_flags;
            (
                index == compute_family,
                flags.contains(vk::QueueFlags::GRAPHICS),
                flags.contains(vk::QueueFlags::COMPUTE),
                index,
            )
        });

    Ok(Plan {
        compute_family: compute_family as u32,
        compute_queues: families[compute_family].queue_count.min(MAX_QUEUES),
        timestamp_bits: families[compute_family].timestamp_valid_bits,
        sparse_family: sparse_family.map(|index| index as u32),
    })
}
