//! The choice of an algorithm by the caller: there is one, and what can be set of it is kept and changes nothing.
//!
//! ```text
//! cublasLtMatmulAlgoGetIds                 1
//! cublasLtMatmulAlgoInit(.., 1, &algo)     the algorithm, if there is a kernel for the types
//! cublasLtMatmulAlgoConfigSetAttribute     tiles, stages and the like: hints
//! cublasLtMatmulAlgoCheck                  whether `cublasLtMatmul` computes this product
//! ```

use super::attributes::{field, give, read, set, Attributes, Field, Layout, MatmulDesc};
use super::epilogue::Epilogue;
use super::{enter, get, matmul, HeuristicResult};
use crate::gemm::Formats;
use crate::handle::Handle;
use crate::types::{ComputeType, DataType, Status};
use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// The number of the one algorithm.
const ID: i32 = 1;

/// `cublasLtMatmulAlgo_t`: 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// `CUBLASLT_ALGO_CONFIG_ID`.
    id: i32,
    /// `CUBLASLT_ALGO_CONFIG_TILE_ID` to `_STAGES_ID`, hints.
    hints: [u32; 6],
    /// `CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID` and `_CLUSTER_SHAPE_ID`, hints.
    shapes: [u16; 2],
    reserved: [u64; 4],
}

const _: () = assert!(size_of::<Algorithm>() == 64);

/// The one algorithm, nothing set.
pub(super) const ALGORITHM: Algorithm = Algorithm {
    id: ID,
    hints: [0; 6],
    shapes: [0; 2],
    reserved: [0; 4],
};

impl Attributes for Algorithm {
    fn field(attribute: i32) -> Field {
        match attribute {
            0 => field!(Self, id, 4),
            1..=6 => Some((offset_of!(Self, hints) + (attribute as usize - 1) * 4, 4)),
            7 => field!(Self, shapes[0], 2),
            8 => field!(Self, shapes[1], 2),
            _ => None,
        }
    }
}

/// What the algorithm can do (`cublasLtMatmulAlgoCapAttributes_t`), as one number of 32 bits each. How it
/// computes (`_NUMERICAL_IMPL_FLAGS`) depends on the device and is not told.
fn capability(attribute: i32) -> Option<u32> {
    // No splitting of sums, no swizzling, no parts of a result, no stages, no atomic synchronisation.
    const NONE: u32 = 0;
    match attribute {
        0..=2 | 5 | 7 | 10 | 14 | 20..=22 => Some(NONE),
        // Lists of `cublasLtMatmulTile_t` and `cublasLtMatmulStages_t`: of both only "undefined".
        6 | 13 => Some(0),
        // Batches at a constant distance; a result that is not C.
        3 | 4 => Some(1),
        // Scalars on the host and on the device: bits by `cublasLtPointerMode_t`.
        11 => Some(0b11),
        // All that epilogues can be made of.
        12 => Some(Epilogue::MASK),
        // Alignment of the matrices.
        16..=19 => Some(1),
        _ => None,
    }
}

/// Whether there is a kernel for matrices of these types.
fn formats(compute: i32, types: [i32; 4]) -> Result<Formats, Status> {
    let [a, b, c, d] = types;
    let kind = |number: i32| DataType::try_from(number);
    if c != d {
        return Err(Status::NotSupported);
    }
    Formats::of(
        kind(a)?,
        kind(b)?,
        kind(d)?,
        ComputeType::try_from(compute)?,
    )
}

/// The numbers of the algorithms for products of these types: one, or none.
pub unsafe extern "C" fn cublasLtMatmulAlgoGetIds(
    handle: *const Handle,
    compute: i32,
    _scale: i32,
    a: i32,
    b: i32,
    c: i32,
    d: i32,
    requested: i32,
    ids: *mut i32,
    returned: *mut i32,
) -> i32 {
    enter("cublasLtMatmulAlgoGetIds", || {
        if requested < 1 || ids.is_null() || returned.is_null() {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's handle, and its places, which are not null.
        unsafe {
            Handle::from_raw(handle)?;
            *returned = 0;
            formats(compute, [a, b, c, d])?;
            *ids = ID;
            *returned = 1;
        }
        Ok(())
    })
}

/// Makes the algorithm of a number. `INVALID_VALUE` where there is none, `NOT_SUPPORTED` for types without a kernel.
pub unsafe extern "C" fn cublasLtMatmulAlgoInit(
    handle: *const Handle,
    compute: i32,
    _scale: i32,
    a: i32,
    b: i32,
    c: i32,
    d: i32,
    id: i32,
    algorithm: *mut Algorithm,
) -> i32 {
    enter("cublasLtMatmulAlgoInit", || {
        if algorithm.is_null() || id != ID {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's handle, and its place, which is not null.
        unsafe {
            Handle::from_raw(handle)?;
            formats(compute, [a, b, c, d])?;
            algorithm.write_unaligned(ALGORITHM);
        }
        Ok(())
    })
}

/// Whether [`super::cublasLtMatmul`] computes a product with this algorithm.
pub unsafe extern "C" fn cublasLtMatmulAlgoCheck(
    handle: *const Handle,
    desc: *const MatmulDesc,
    a: *const Layout,
    b: *const Layout,
    c: *const Layout,
    d: *const Layout,
    algorithm: *const Algorithm,
    result: *mut HeuristicResult,
) -> i32 {
    enter("cublasLtMatmulAlgoCheck", || {
        if result.is_null() {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's handle, descriptors and place.
        unsafe {
            Handle::from_raw(handle)?;
            let algorithm = get(algorithm)?;
            if algorithm.id != ID {
                return Err(Status::InvalidValue);
            }
            matmul::plan(get(desc)?, [get(a)?, get(b)?, get(c)?, get(d)?])?;
            result.write_unaligned(HeuristicResult::of(algorithm));
        }
        Ok(())
    })
}

/// What the algorithm can do; with 0 bytes only the size is told.
pub unsafe extern "C" fn cublasLtMatmulAlgoCapGetAttribute(
    algorithm: *const Algorithm,
    attribute: i32,
    value: *mut c_void,
    size: usize,
    written: *mut usize,
) -> i32 {
    enter("cublasLtMatmulAlgoCapGetAttribute", || {
        if algorithm.is_null() {
            return Err(Status::InvalidValue);
        }
        let number = capability(attribute).ok_or(Status::InvalidValue)?;
        // SAFETY: the C caller's places.
        unsafe { give(&number.to_ne_bytes(), value, size, written) }
    })
}

/// Sets a hint. The number of the algorithm cannot be set.
pub unsafe extern "C" fn cublasLtMatmulAlgoConfigSetAttribute(
    algorithm: *mut Algorithm,
    attribute: i32,
    value: *const c_void,
    size: usize,
) -> i32 {
    enter("cublasLtMatmulAlgoConfigSetAttribute", || {
        if attribute == 0 {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's algorithm and value.
        unsafe { set(algorithm, attribute, value, size) }
    })
}

/// Reads the number or a hint.
pub unsafe extern "C" fn cublasLtMatmulAlgoConfigGetAttribute(
    algorithm: *const Algorithm,
    attribute: i32,
    value: *mut c_void,
    size: usize,
    written: *mut usize,
) -> i32 {
    enter("cublasLtMatmulAlgoConfigGetAttribute", || {
        // SAFETY: the C caller's algorithm and places.
        unsafe { read(algorithm, attribute, value, size, written) }
    })
}
