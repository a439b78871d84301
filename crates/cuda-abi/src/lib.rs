//! The CUDA driver API as data: status codes, handles, enumerations, structures, and the one table of driver functions.
//!
//! Names are cuda.h's; nothing in here calls anything. The driver implements the table, clients of the driver (the cuBLAS
//! and NVML libraries, tests) share the types.
//!
//! ```
//! use cuda_abi::{CUdevice_attribute, CUresult};
//! assert_eq!(CUdevice_attribute::WARP_SIZE.0, 10);
//! assert_eq!(CUresult(101), CUresult::INVALID_DEVICE);
//! ```

// The names of C.
#![allow(non_camel_case_types, non_upper_case_globals)]

pub mod attributes;
pub mod coverage;
pub mod enums;
pub mod functions;
pub mod handles;
pub mod result;
pub mod structs;

pub use attributes::CUdevice_attribute;
pub use enums::*;
pub use handles::*;
pub use result::CUresult;
pub use structs::*;
