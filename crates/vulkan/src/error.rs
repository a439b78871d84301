//! Why a call failed, in terms that map one to one to CUDA error codes.

use crate::Fault;
use ash::vk;

/// An error of this crate. Cheap to clone: sticky errors are given to every later caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `libvulkan.so.1` is missing or no driver is installed (CUDA_ERROR_NO_DEVICE).
    #[error("no Vulkan: {0}")]
    NoVulkan(String),
    /// The device or the driver lacks something; the text names it (CUDA_ERROR_NOT_SUPPORTED).
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Device or host memory is exhausted (CUDA_ERROR_OUT_OF_MEMORY).
    #[error("out of memory: {requested} bytes asked for")]
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
    },
    /// A range that lies in no allocation (CUDA_ERROR_INVALID_VALUE).
    #[error("{size} bytes at {address:#x} lie in no allocation")]
    InvalidAddress {
        /// First byte.
        address: u64,
        /// Length, bytes.
        size: u64,
    },
    /// An argument outside what the call takes (CUDA_ERROR_INVALID_VALUE).
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// A block needs more threads or shared memory than the device has (CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES).
    #[error("out of resources: {0}")]
    OutOfResources(String),
    /// A kernel reported a fault. Sticky until [`crate::Device::clear_fault`] (CUDA_ERROR_LAUNCH_FAILED, CUDA_ERROR_ASSERT,
    /// CUDA_ERROR_ILLEGAL_ADDRESS, ...).
    #[error("kernel fault: {0}")]
    Fault(Box<Fault>),
    /// VK_ERROR_DEVICE_LOST. Sticky for the life of the device (CUDA_ERROR_ILLEGAL_ADDRESS, as on NVIDIA: a wild access is
    /// the usual cause).
    #[error("the device is lost")]
    DeviceLost,
    /// The driver did not accept a shader (CUDA_ERROR_INVALID_SOURCE).
    #[error("pipeline for {kernel}: {what}")]
    Pipeline {
        /// The kernel's name.
        kernel: String,
        /// What the driver said.
        what: String,
    },
    /// Any other failure of a Vulkan call (CUDA_ERROR_UNKNOWN).
    #[error("{call}: {result}")]
    Vulkan {
        /// The Vulkan command.
        call: &'static str,
        /// Its VkResult.
        result: vk::Result,
    },
}

impl Error {
    /// Whether a driver's compiler may have failed because a kernel wants too much: [`crate::with_reductions`].
    pub fn may_want_reduction(&self) -> bool {
        matches!(self, Error::Pipeline { .. } | Error::OutOfMemory { .. })
    }
}
