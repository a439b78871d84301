//! cuBLAS as a client of the CUDA driver API: the implementation behind `libcublas.so.12` and `libcublas.so.13`.
//!
//! NVIDIA's cuBLAS holds machine code of NVIDIA's GPUs, so a program that links it needs another one on other devices.
//! This one loads `libcuda.so.1`, generates its kernels as PTX text, loads them with `cuModuleLoadData` into the
//! caller's context and launches them on the handle's stream. Order within streams, capture into graphs and errors are
//! therefore the driver's own. It runs on any implementation of the driver API.
//!
//! ```no_run
//! use cublas::api::{cublasCreate_v2, cublasSgemm_v2};
//! # let (a, b, c) = (std::ptr::null(), std::ptr::null(), std::ptr::null_mut());
//! let mut handle = std::ptr::null_mut();
//! let (one, zero) = (1f32, 0f32);
//! // SAFETY: `a`, `b` and `c` are addresses in device memory of 64 x 64 floats.
//! unsafe {
//!     assert_eq!(cublasCreate_v2(&mut handle), 0);
//!     let (alpha, beta) = (std::ptr::from_ref(&one).cast(), std::ptr::from_ref(&zero).cast());
//!     cublasSgemm_v2(handle, 0, 0, 64, 64, 64, alpha, a, 64, b, 64, beta, c, 64);
//! }
//! ```
//!
//! # The shared libraries
//!
//! Programs import cuBLAS's functions with the ELF symbol version `libcublas.so.13` (or `.12`). The packages
//! `cublas-so12` and `cublas-so13` make the libraries: each exports one jump per function to this crate, under the
//! versioned name, see [`export_library!`]. `cargo build --release -p cublas-so12 -p cublas-so13` leaves them as
//! `libcublas12.so` and `libcublas13.so`, whose SONAMEs are the real names; installing is copying under these:
//!
//! ```text
//! install -D target/release/libcublas12.so $dir/libcublas.so.12
//! install -D target/release/libcublas13.so $dir/libcublas.so.13
//! ```
//!
//! cublasLt is a library of its own, which cuBLAS's clients load with it: [`lt`], made by `cublas-lt12` and `cublas-lt13` as
//! `libcublas_lt12.so` and `libcublas_lt13.so`.
//!
//! # Functions
//!
//! Every name that NVIDIA's libraries export is exported, with the interface of `cublas.h` beside that of `cublas_v2.h`.
//! What is not implemented ([`refused`]) logs its name and answers `CUBLAS_STATUS_NOT_SUPPORTED`.
//!
//! # Numbers
//!
//! `CUBLAS_COMPUTE_16F` adds up in single precision and rounds once, at the end. The modes that allow reduced precision
//! (`CUBLAS_TF32_TENSOR_OP_MATH`, `CUBLAS_COMPUTE_32F_FAST_...`) are accepted and compute in single precision.
//!
//! # Environment
//!
//! `VKCUDA_LOG` selects what is logged to standard error, as in `libcuda.so.1`: unsupported combinations of arguments are
//! warnings, calls are traces. `VKCUDA_CUBLAS_DEVICE=cpu` or `gpu` overrides the choice
//! of kernels for the device.

// The names of C.
#![allow(non_snake_case)]

pub mod api;
pub mod banded;
pub mod driver;
pub mod exports;
pub mod gemm;
pub mod handle;
pub mod kernels;
mod log;
pub mod lt;
pub mod lu;
pub mod ptx;
pub mod refused;
pub mod rotations;
pub mod structured;
pub mod triangular;
pub mod types;
pub mod vectors;
