//! `libcuda.so.1` on Vulkan: the CUDA driver API over the `vulkan` crate and the PTX translator.
//!
//! The shared library's exported symbols are made from `cuda-abi`'s table of functions ([`exports`]). Each calls its
//! function in [`api`], which reads the arguments and calls the safe objects of [`core`]: devices, contexts, modules,
//! streams, memory, graphs. [`export_tables`] are the private interfaces that NVIDIA's runtime asks for at start-up.
//!
//! ```
//! // As a Rust library, the same entry points as the shared library's:
//! let mut version = 0;
//! // SAFETY: `version` is a valid place for an int.
//! let status = unsafe { cuda::exports::cuDriverGetVersion(&mut version) };
//! assert_eq!(status, cuda_abi::CUresult::SUCCESS);
//! assert!(version >= 12000);
//! ```
//!
//! # Installing
//! Cargo makes `libcuda.so`, whose SONAME is `libcuda.so.1`. Copy it as `libcuda.so.1` to a directory that the dynamic
//! linker searches before that of any other CUDA driver, with `libcuda.so` a link to it.
//!
//! # Environment
//! See [`settings`] for what can be set, and [`log`] for `VKCUDA_LOG`.

pub mod api;
pub mod boundary;
pub mod core;
pub mod export_tables;
pub mod exports;
pub mod log;
pub mod settings;
