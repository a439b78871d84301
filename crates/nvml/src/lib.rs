//! `libnvidia-ml.so.1`: NVIDIA's management library over Vulkan devices and Linux sysfs.
//!
//! Programs ask it which devices there are, how much memory is free, and how warm they run; ollama asks it for the
//! driver's version. Names, UUIDs and PCI addresses are those that `libcuda.so.1` gives, in the order of all devices:
//! `CUDA_VISIBLE_DEVICES` does not apply here, as with NVIDIA's library. What neither Vulkan nor sysfs knows is answered
//! with `NVML_ERROR_NOT_SUPPORTED`, never with a made-up number.
//!
//! ```no_run
//! use nvidia_ml::api::{nvmlDeviceGetCount_v2, nvmlInit_v2, nvmlShutdown};
//! let mut count = 0;
//! // SAFETY: the pointer is to a live variable.
//! unsafe {
//!     assert_eq!(nvmlInit_v2(), 0);
//!     assert_eq!(nvmlDeviceGetCount_v2(&mut count), 0);
//!     nvmlShutdown();
//! }
//! println!("{count} devices");
//! ```
//!
//! # Environment
//!
//! `VKCUDA_LOG` as in `libcuda.so.1`. `VKCUDA_DRIVER_VERSION` and `VKCUDA_COMPUTE_CAPABILITY` change here what they change
//! there, and `VKCUDA_ALLOW_CPU=1` lists CPU devices beside GPUs.

// The names of C.
#![allow(non_snake_case, non_camel_case_types)]

pub mod api;
mod boundary;
pub mod devices;
mod log;
pub mod refused;
pub mod sensors;
pub mod topology;
pub mod types;
pub mod versioned;

pub use boundary::Handle;

/// The version of the driver that programs are told.
///
/// They compare its first number with the least version of NVIDIA's driver for their CUDA runtime: ollama refuses CUDA
/// 12.4 and later below 550, and 570 for old devices. 580 is the first driver series with CUDA 13.0, which is what
/// `cuDriverGetVersion` answers; the rest is that of a released driver of the series.
pub const DRIVER_VERSION: &str = "580.95.05";

/// The version of this library, by NVIDIA's pattern: the CUDA version's first number and the driver's version.
pub const NVML_VERSION: &str = "13.580.95.05";
