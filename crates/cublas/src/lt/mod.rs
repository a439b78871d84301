//! cublasLt: matrix products that a descriptor describes (`cublasLt.h`).
//!
//! `cublasLtMatmul` computes `D = alpha * op(A) * op(B) + beta * C` for matrices in column and row order, in batches at a
//! constant distance, with the number formats of `cublasGemmEx`. There is one algorithm; the heuristic offers it for what
//! the library can compute and nothing for the rest, as cuBLAS does where it has no kernel. A bias, ReLU and GELU may follow
//! (`epilogue.rs`); auxiliary outputs, gradients, scale pointers and plane offsets are not supported. `cublasLtMatrixTransform` scales, adds, transposes and changes the order of memory
//! of matrices of one type of floating-point numbers.

#![allow(clippy::missing_safety_doc)]

mod algorithm;
mod attributes;
mod epilogue;
mod matmul;
mod transform;

pub use algorithm::*;
pub use attributes::*;
pub use transform::*;

use crate::api;
use crate::handle::{Handle, Scalar};
use crate::log;
use crate::types::{PointerMode, Status};
use cuda_abi::CUstream;
use std::ffi::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

fn enter(name: &str, body: impl FnOnce() -> Result<(), Status>) -> i32 {
    catch_unwind(AssertUnwindSafe(|| {
        log::start();
        let status = body().err().unwrap_or(Status::Success);
        tracing::trace!("{name} -> {}", status.name().to_string_lossy());
        status as i32
    }))
    .unwrap_or(Status::InternalError as i32)
}

/// Makes a handle.
pub unsafe extern "C" fn cublasLtCreate(handle: *mut *mut Handle) -> i32 {
    // SAFETY: the C caller's pointer. A handle of cublasLt is one of cuBLAS, which may be used in its place.
    unsafe { api::cublasCreate_v2(handle) }
}

/// Ends a handle.
pub unsafe extern "C" fn cublasLtDestroy(handle: *mut Handle) -> i32 {
    // SAFETY: the C caller's handle.
    unsafe { api::cublasDestroy_v2(handle) }
}

/// The version, as `cublasGetVersion` gives it.
pub extern "C" fn cublasLtGetVersion<const MAJOR: i32>() -> usize {
    let mut version = 0;
    // SAFETY: the place is a live local.
    unsafe { api::cublasGetVersion_v2::<MAJOR>(std::ptr::null(), &mut version) };
    version as usize
}

/// The name of a status constant.
pub extern "C" fn cublasLtGetStatusName(status: i32) -> *const c_char {
    api::cublasGetStatusName(status)
}

/// A sentence about a status.
pub extern "C" fn cublasLtGetStatusString(status: i32) -> *const c_char {
    api::cublasGetStatusString(status)
}

/// `cublasLtMatmulHeuristicResult_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeuristicResult {
    algo: Algorithm,
    workspace_bytes: usize,
    state: i32,
    waves: f32,
    reserved: [i32; 4],
}

impl HeuristicResult {
    fn of(algo: Algorithm) -> Self {
        Self {
            algo,
            workspace_bytes: 0,
            state: Status::Success as i32,
            waves: 1.0,
            reserved: [0; 4],
        }
    }
}

/// An attribute that the library has no kernel for.
fn unsupported(what: std::fmt::Arguments) -> Status {
    tracing::warn!("cublasLtMatmul: {what} is not supported");
    Status::NotSupported
}

/// Offers the one algorithm where [`cublasLtMatmul`] can compute the product. `NOT_SUPPORTED` where it cannot.
pub unsafe extern "C" fn cublasLtMatmulAlgoGetHeuristic(
    handle: *const Handle,
    desc: *const MatmulDesc,
    a: *const Layout,
    b: *const Layout,
    c: *const Layout,
    d: *const Layout,
    _preference: *const c_void,
    requested: i32,
    results: *mut HeuristicResult,
    returned: *mut i32,
) -> i32 {
    enter("cublasLtMatmulAlgoGetHeuristic", || {
        if requested < 1 || results.is_null() || returned.is_null() {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's places and descriptors.
        unsafe {
            *returned = 0;
            Handle::from_raw(handle)?;
            matmul::plan(get(desc)?, [get(a)?, get(b)?, get(c)?, get(d)?])?;
            *results = HeuristicResult::of(algorithm::ALGORITHM);
            *returned = 1;
        }
        Ok(())
    })
}

/// A copy of what a pointer leads to; `INVALID_VALUE` for null.
unsafe fn get<T: Copy>(pointer: *const T) -> Result<T, Status> {
    if pointer.is_null() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: not null, so a descriptor of the type that the function documents.
    Ok(unsafe { pointer.read_unaligned() })
}

/// `D = alpha * op(A) * op(B) + beta * C` in a stream. The algorithm and the workspace are not looked at.
pub unsafe extern "C" fn cublasLtMatmul(
    handle: *const Handle,
    desc: *const MatmulDesc,
    alpha: *const c_void,
    a: u64,
    a_layout: *const Layout,
    b: u64,
    b_layout: *const Layout,
    beta: *const c_void,
    c: u64,
    c_layout: *const Layout,
    d: u64,
    d_layout: *const Layout,
    _algo: *const c_void,
    _workspace: *mut c_void,
    _workspace_bytes: usize,
    stream: CUstream,
) -> i32 {
    enter("cublasLtMatmul", || {
        // SAFETY: the C caller's handle, descriptors and scalars.
        unsafe {
            let handle = Handle::from_raw(handle)?;
            let desc = get(desc)?;
            let layouts = [
                get(a_layout)?,
                get(b_layout)?,
                get(c_layout)?,
                get(d_layout)?,
            ];
            let plan = matmul::plan(desc, layouts)?;
            let mode = PointerMode::try_from(desc.pointer_mode)?;
            let scale = plan.formats.scale;
            let alpha = Scalar::from_raw(mode, scale, alpha)?;
            let beta = match (beta.is_null(), mode) {
                (true, PointerMode::Host) => Scalar::value(0.0),
                _ => Scalar::from_raw(mode, scale, beta)?,
            };
            plan.run(handle, stream, (alpha, beta), [a, b, c, d])
        }
    })
}
