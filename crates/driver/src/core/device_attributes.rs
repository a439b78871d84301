//! `cuDeviceGetAttribute`.
//!
//! Values are the device's where Vulkan tells them, those of the reported compute capability where programs take them for
//! granted (CUDA C++ Programming Guide, "Compute Capabilities"), and 0 where the thing is not supported or not known:
//! clusters, clock rates, bus widths.

use crate::core::array::{self, limits};
use crate::core::device::Device;
use crate::settings::settings;
use cuda_abi::CUdevice_attribute as A;
use vulkan::DeviceKind;

/// Dynamic shared memory that `cuFuncSetAttribute` accepts, bytes: compute capability 9.0's. What exceeds the device's
/// workgroup memory lives in scratch memory.
pub const MAX_SHARED_MEMORY: u32 = 227 << 10;
/// Shared memory of a block that needs no opting in, bytes.
pub const DEFAULT_SHARED_MEMORY: u32 = 48 << 10;
/// Threads of a block at most.
pub const MAX_THREADS_PER_BLOCK: u32 = 1024;
/// Registers of a multiprocessor.
pub const REGISTERS_PER_MULTIPROCESSOR: u32 = 65536;
/// How long a reservation of addresses programs expect to get, bytes: ggml takes one of 32 GiB for each of its pools, and gives
/// up where it does not get it.
pub const USUAL_RESERVATION: u64 = 32 << 30;
/// Workgroup memory that is left to products of matrices on devices where they go through it, bytes. (Programs choose
/// the largest tiles that fit; those that leave no room would be multiplied by plain arithmetic.)
const ROOM_FOR_MATRICES: u32 = 8 << 10;

/// Shared memory of a multiprocessor that each block takes for the system, bytes.
pub const RESERVED_SHARED_MEMORY: u32 = 1024;

impl Device {
    /// Shared memory of a block with opting in, bytes: the device's real limit, less what eight warps need for products of
    /// matrices where those go through workgroup memory; 64 KiB on CPU devices, where shared memory is ordinary memory.
    pub fn shared_memory_optin(&self) -> u32 {
        let limit = match self.physical.kind() {
            DeviceKind::Cpu => 64 << 10,
            _ if self.physical.target().registers > 0 => {
                self.physical.limits().shared_memory - ROOM_FOR_MATRICES
            }
            _ => self.physical.limits().shared_memory,
        };
        settings()
            .shared_memory
            .unwrap_or(limit)
            .min(MAX_SHARED_MEMORY)
    }

    /// Shared memory of a block without opting in, bytes.
    pub fn shared_memory(&self) -> u32 {
        DEFAULT_SHARED_MEMORY.min(self.shared_memory_optin())
    }

    /// Shared memory of a multiprocessor, bytes: that of NVIDIA's, which Vulkan does not tell, by the warps that one holds (CUDA C++
    /// Programming Guide, "Technical Specifications per Compute Capability": the least of the generations since Turing), else
    /// room for one block.
    pub fn shared_memory_per_multiprocessor(&self) -> u32 {
        let of_a_block = self.shared_memory_optin() + RESERVED_SHARED_MEMORY;
        let kibibytes = match self.physical.limits().warps_per_multiprocessor {
            Some(64..) => 164,
            Some(48..) => 100,
            Some(32..) => 64,
            _ => 0,
        };
        of_a_block.max(kibibytes << 10)
    }

    /// Threads of a block at most.
    pub fn max_threads_per_block(&self) -> u32 {
        MAX_THREADS_PER_BLOCK.min(self.physical.limits().workgroup_invocations)
    }

    /// Threads that are resident on a multiprocessor at most, by compute capability.
    pub fn max_threads_per_multiprocessor(&self) -> u32 {
        match settings().compute_capability {
            (7, 5) => 1024,
            (8, 6) | (8, 7) | (8, 9) | (12, _) => 1536,
            _ => 2048,
        }
    }

    /// Blocks that are resident on a multiprocessor at most, by compute capability.
    pub fn max_blocks_per_multiprocessor(&self) -> u32 {
        match settings().compute_capability {
            (7, 5) | (8, 6) | (8, 7) => 16,
            (8, 9) | (12, _) => 24,
            _ => 32,
        }
    }

    /// Multiprocessors. Vulkan has no word for them: a CPU device has as many as the process may use CPUs, others a number
    /// that suits their kind; `VKCUDA_MULTIPROCESSORS` overrides both.
    pub fn multiprocessors(&self) -> u32 {
        settings()
            .multiprocessors
            .or(self.physical.limits().multiprocessors)
            .unwrap_or_else(|| match self.physical.kind() {
                DeviceKind::Cpu => {
                    std::thread::available_parallelism().map_or(1, |n| n.get() as u32)
                }
                DeviceKind::Integrated => 8,
                _ => 32,
            })
    }

    /// Blocks of a cooperative launch that each multiprocessor holds at once: what programs take times the number of
    /// multiprocessors. 0 where that would be more than are known to run at the same time.
    pub fn cooperative_blocks(&self) -> u32 {
        self.physical.resident_workgroups() / self.multiprocessors().max(1)
    }

    /// Whether every address of the host is one of the device's, too (CPU devices).
    pub fn host_addresses(&self) -> bool {
        self.physical.kind() == DeviceKind::Cpu
    }

    /// The value of an attribute. Programs ask for about a hundred at start-up and give up when one fails, so an unknown
    /// one is 0.
    pub fn attribute(&self, attribute: A) -> i32 {
        let limits = self.physical.limits();
        let (major, minor) = settings().compute_capability;
        let cpu = i32::from(self.host_addresses());
        let managed = i32::from(self.physical.maps_at_device_addresses());
        let unified = i32::from(self.physical.unified_memory());
        match attribute {
            A::MAX_THREADS_PER_BLOCK => self.max_threads_per_block() as i32,
            A::MAX_BLOCK_DIM_X | A::MAX_BLOCK_DIM_Y => self.max_threads_per_block() as i32,
            A::MAX_BLOCK_DIM_Z => 64,
            A::MAX_GRID_DIM_X => i32::MAX,
            A::MAX_GRID_DIM_Y | A::MAX_GRID_DIM_Z => 65535,
            A::MAX_SHARED_MEMORY_PER_BLOCK => self.shared_memory() as i32,
            A::TOTAL_CONSTANT_MEMORY => 65536,
            A::WARP_SIZE => 32,
            A::MAX_PITCH => i32::MAX,
            A::MAX_REGISTERS_PER_BLOCK | A::MAX_REGISTERS_PER_MULTIPROCESSOR => {
                REGISTERS_PER_MULTIPROCESSOR as i32
            }
            // Not known; programs divide by it.
            A::CLOCK_RATE => 1_000_000,
            A::TEXTURE_ALIGNMENT | A::SURFACE_ALIGNMENT => array::ALIGNMENT as i32,
            A::TEXTURE_PITCH_ALIGNMENT => array::PITCH as i32,
            A::CAN_TEX2D_GATHER => 1,
            A::CAN_USE_STREAM_MEM_OPS_V1
            | A::CAN_USE_64_BIT_STREAM_MEM_OPS_V1
            | A::CAN_USE_STREAM_WAIT_VALUE_NOR_V1
            | A::CAN_USE_64_BIT_STREAM_MEM_OPS
            | A::CAN_USE_STREAM_WAIT_VALUE_NOR => 1,
            A::MAXIMUM_TEXTURE1D_WIDTH => limits::WIDTH_1D as i32,
            A::MAXIMUM_TEXTURE2D_WIDTH | A::MAXIMUM_SURFACE2D_WIDTH => limits::EXTENT_2D[0] as i32,
            A::MAXIMUM_TEXTURE2D_HEIGHT | A::MAXIMUM_SURFACE2D_HEIGHT => {
                limits::EXTENT_2D[1] as i32
            }
            A::MAXIMUM_TEXTURE3D_WIDTH
            | A::MAXIMUM_TEXTURE3D_HEIGHT
            | A::MAXIMUM_TEXTURE3D_DEPTH
            | A::MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE
            | A::MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE
            | A::MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE
            | A::MAXIMUM_SURFACE3D_WIDTH
            | A::MAXIMUM_SURFACE3D_HEIGHT
            | A::MAXIMUM_SURFACE3D_DEPTH => limits::EXTENT_3D as i32,
            A::MAXIMUM_TEXTURE1D_LAYERED_WIDTH
            | A::MAXIMUM_TEXTURE2D_LAYERED_WIDTH
            | A::MAXIMUM_TEXTURE2D_LAYERED_HEIGHT
            | A::MAXIMUM_TEXTURE2D_GATHER_WIDTH
            | A::MAXIMUM_TEXTURE2D_GATHER_HEIGHT
            | A::MAXIMUM_TEXTURECUBEMAP_WIDTH
            | A::MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH
            | A::MAXIMUM_SURFACE1D_WIDTH
            | A::MAXIMUM_SURFACE1D_LAYERED_WIDTH
            | A::MAXIMUM_SURFACE2D_LAYERED_WIDTH
            | A::MAXIMUM_SURFACE2D_LAYERED_HEIGHT
            | A::MAXIMUM_SURFACECUBEMAP_WIDTH
            | A::MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH
            | A::MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH
            | A::MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH
            | A::MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT => limits::LAYERED as i32,
            A::MAXIMUM_TEXTURE1D_LAYERED_LAYERS
            | A::MAXIMUM_TEXTURE2D_LAYERED_LAYERS
            | A::MAXIMUM_SURFACE1D_LAYERED_LAYERS
            | A::MAXIMUM_SURFACE2D_LAYERED_LAYERS => limits::LAYERS as i32,
            A::MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS | A::MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS => {
                limits::FACES as i32
            }
            A::MAXIMUM_TEXTURE1D_LINEAR_WIDTH => limits::WIDTH_LINEAR as i32,
            A::MAXIMUM_TEXTURE2D_LINEAR_WIDTH => limits::LINEAR_2D[0] as i32,
            A::MAXIMUM_TEXTURE2D_LINEAR_HEIGHT => limits::LINEAR_2D[1] as i32,
            A::MAXIMUM_TEXTURE2D_LINEAR_PITCH => limits::LINEAR_2D[2] as i32,
            A::TENSOR_MAP_ACCESS_SUPPORTED
            | A::GPU_OVERLAP
            | A::CONCURRENT_KERNELS
            | A::CAN_MAP_HOST_MEMORY
            | A::UNIFIED_ADDRESSING => 1,
            A::MULTIPROCESSOR_COUNT => self.multiprocessors() as i32,
            A::INTEGRATED => unified,
            A::PCI_BUS_ID => self.pci().bus as i32,
            A::PCI_DEVICE_ID => self.pci().device as i32,
            A::PCI_DOMAIN_ID => self.pci().domain as i32,
            A::MAX_THREADS_PER_MULTIPROCESSOR => self.max_threads_per_multiprocessor() as i32,
            A::MAX_BLOCKS_PER_MULTIPROCESSOR => self.max_blocks_per_multiprocessor() as i32,
            A::ASYNC_ENGINE_COUNT => 1,
            A::COMPUTE_CAPABILITY_MAJOR => major as i32,
            A::COMPUTE_CAPABILITY_MINOR => minor as i32,
            A::GLOBAL_L1_CACHE_SUPPORTED | A::LOCAL_L1_CACHE_SUPPORTED => 1,
            A::MAX_SHARED_MEMORY_PER_MULTIPROCESSOR => {
                self.shared_memory_per_multiprocessor() as i32
            }
            A::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN => self.shared_memory_optin() as i32,
            A::RESERVED_SHARED_MEMORY_PER_BLOCK => RESERVED_SHARED_MEMORY as i32,
            // Memory of the host's that both reach at any time.
            A::MANAGED_MEMORY | A::CONCURRENT_MANAGED_ACCESS => managed,
            A::PAGEABLE_MEMORY_ACCESS | A::PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES => cpu,
            A::CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM => cpu,
            A::DIRECT_MANAGED_MEM_ACCESS_FROM_HOST => cpu,
            A::SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO => 32,
            A::HOST_REGISTER_SUPPORTED => i32::from(limits.host_pointer_alignment > 0),
            A::MEMORY_POOLS_SUPPORTED => 1,
            A::COOPERATIVE_LAUNCH => i32::from(self.cooperative_blocks() > 0),
            A::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED => {
                i32::from(self.physical.longest_reservation() >= USUAL_RESERVATION)
            }
            // From managed memory.
            A::HOST_MEMORY_POOLS_SUPPORTED | A::HOST_NUMA_MEMORY_POOLS_SUPPORTED => managed,
            A::MEM_SYNC_DOMAIN_COUNT => 1,
            A::GPU_PCI_DEVICE_ID => {
                (self.physical.device_id() << 16 | self.physical.vendor_id() & 0xffff) as i32
            }
            A::NUMA_ID | A::HOST_NUMA_ID => -1,
            other => {
                if other.name().is_none() {
                    tracing::debug!("cuDeviceGetAttribute: {other:?} is not known, answered 0");
                }
                0
            }
        }
    }
}
