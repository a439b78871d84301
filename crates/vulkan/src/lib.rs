//! Vulkan as the CUDA driver needs it: devices, memory with addresses, ordered streams, pipelines, recordings, caches.
//!
//! Nothing here knows CUDA's API; everything here has the shape of its objects. A device address is a plain `u64` and is
//! what a `CUdeviceptr` holds. There are no descriptors: a kernel gets a 96-byte block of push constants, which holds the
//! address of its parameters (`docs/design.md`, "The launch contract").
//!
//! ```no_run
//! use vulkan::{Device, Instance, Launch, MemoryKind};
//! # fn example(translated: &ptx_spirv::Translated) -> Result<(), vulkan::Error> {
//! let instance = Instance::load()?;
//! let device = Device::open(&instance.physical_devices()[0])?;
//! let memory = device.allocate(1 << 20, MemoryKind::Device)?;
//! let stream = device.create_stream()?;
//! let shader = device.create_shader(translated)?;
//! let pipeline = shader.pipeline([256, 1, 1], 0)?;
//! stream.fill(memory.address(), 0, 4, 1 << 18)?;
//! let parameters = memory.address().to_le_bytes();
//! stream.launch(&pipeline, &Launch { grid: [1024, 1, 1], parameters: &parameters, ..Launch::default() })?;
//! let mut result = vec![0u8; 1 << 20];
//! stream.read(memory.address(), &mut result)?;
//! # Ok(())
//! # }
//! ```
//!
//! Two environment variables: `VKCUDA_ALLOW_CPU=1` lists CPU devices beside GPUs, `VKCUDA_VALIDATION=1` loads the
//! Khronos validation layer and logs its messages (`VKCUDA_VALIDATION=abort` ends the process at the first error).

mod ahead;
mod attempts;
pub mod cache;
mod clock;
mod device;
mod encoder;
mod error;
mod event;
mod features;
mod host_memory;
mod instance;
mod kernels;
mod launch;
mod matrices;
mod memory;
mod operations;
mod physical;
mod pipeline;
mod pipeline_cache;
mod probe;
mod profile;
mod raw;
mod recording;
mod shared;
mod slow;
mod stream;
mod target;
mod timeline;
mod wake;

#[cfg(test)]
mod tests;

pub use ahead::dispatch_nothing;
pub use attempts::{with_reductions, MOST_REDUCTIONS};
pub use device::{Device, Fault, FaultCode};
pub use error::Error;
pub use event::EventPoint;
pub use instance::{Instance, Refused};
pub use launch::Launch;
pub use memory::{
    Allocation, Backing, Found, Mapping, MemoryInfo, MemoryKind, Reservation, GRANULARITY,
};
pub use physical::{DeviceKind, Driver, Limits, PciAddress, PhysicalDevice, Subgroup};
pub use pipeline::{pipelines_made, Pipeline, Shader};
pub use recording::{Node, Recording};
pub use stream::{Copy2d, Stream};
pub use target::of_compiler as target_of_compiler;
