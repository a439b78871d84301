//! Tensor maps, which `cp.async.bulk.tensor` copies by (CUDA driver API, "Tensor Map Object Management"). What is in their 128 bytes
//! is said nowhere; here it is [`texture::tensor`].

use crate::boundary::{In, Out, Result};
use cuda_abi::*;
use std::ffi::c_void;
use texture::tensor::{ElementType, TensorMap};

/// Most dimensions.
const MOST_RANK: usize = texture::tensor::MOST_RANK;
/// Elements of a dimension at most.
const MOST_ELEMENTS: u64 = 1 << 32;
/// Strides are below this, bytes.
const STRIDE_END: u64 = 1 << 40;
/// Elements of a box in a dimension at most.
const MOST_IN_BOX: u32 = 256;
/// Elements from one of a box to the next at most.
const MOST_STEP: u32 = 8;
/// `CU_TENSOR_MAP_SWIZZLE_128B`. Those after it change other parts, and are of later architectures.
const SWIZZLE_128B: u32 = 3;
/// `CU_TENSOR_MAP_INTERLEAVE_32B`, the last.
const INTERLEAVE_32B: u32 = 2;
/// `CU_TENSOR_MAP_L2_PROMOTION_L2_256B`, the last.
const L2_PROMOTION_256B: u32 = 3;

fn refused<T>(why: &str) -> Result<T> {
    tracing::warn!("a tensor map is refused: {why}");
    Err(CUresult::NOT_SUPPORTED)
}

fn invalid<T>(why: &str) -> Result<T> {
    tracing::info!("a tensor map is not valid: {why}");
    Err(CUresult::INVALID_VALUE)
}

/// `CUDA_ERROR_INVALID_VALUE` for what the documentation rules out, `CUDA_ERROR_NOT_SUPPORTED` for interleaved layouts and for
/// swizzles of later architectures.
#[allow(clippy::too_many_arguments)]
pub fn cuTensorMapEncodeTiled(
    tensor_map: Out<CUtensorMap>,
    data_type: u32,
    rank: u32,
    global_address: *mut c_void,
    global_dim: In<u64>,
    global_strides: In<u64>,
    box_dim: In<u32>,
    element_strides: In<u32>,
    interleave: u32,
    swizzle: u32,
    l2_promotion: u32,
    oob_fill: u32,
) -> Result {
    tensor_map.required()?;
    let rank = rank as usize;
    if !(1..=MOST_RANK).contains(&rank) {
        return invalid("1 to 5 dimensions");
    }
    let Some(&element) = ElementType::ALL.get(data_type as usize) else {
        return match data_type {
            // Elements of 4 and 6 bits.
            13..=15 => refused("elements of less than a byte"),
            _ => invalid("an unknown type"),
        };
    };
    if interleave > INTERLEAVE_32B || l2_promotion > L2_PROMOTION_256B || oob_fill > 1 {
        return invalid("an unknown layout, promotion or fill");
    }
    if interleave != 0 {
        return refused("interleaved layouts");
    }
    if swizzle > SWIZZLE_128B {
        return refused("swizzles of other parts than 16 bytes");
    }
    let address = global_address as u64;
    if address == 0 || address % 16 != 0 {
        return invalid("an address that is not a multiple of 16");
    }
    let dimensions = global_dim.all(rank)?;
    if dimensions.iter().any(|n| !(1..=MOST_ELEMENTS).contains(n)) {
        return invalid("a dimension of no elements, or of too many");
    }
    let strides = global_strides.all(rank - 1)?;
    if strides.iter().any(|s| s % 16 != 0 || *s >= STRIDE_END) {
        return invalid("a stride that is no multiple of 16, or too large");
    }
    let in_box = box_dim.all(rank)?;
    let mut steps = element_strides.all(rank)?;
    if in_box.iter().any(|n| !(1..=MOST_IN_BOX).contains(n))
        || steps.iter().any(|n| !(1..=MOST_STEP).contains(n))
    {
        return invalid("a box or steps of no elements, or of too many");
    }
    // Without interleaving the innermost dimension has no steps.
    steps[0] = 1;
    let row = in_box[0] * element.bytes();
    if row % 16 != 0 || swizzle > 0 && row > 16 << swizzle {
        return invalid(
            "rows of a box that are no multiple of 16 bytes, or longer than the swizzle",
        );
    }
    let fills_nan = oob_fill == 1;
    if fills_nan && !element.is_float() {
        return invalid("integers that are filled with what is not a number");
    }
    let map = TensorMap {
        element,
        address,
        // A dimension of 2^32 elements lacks its last one.
        dimensions: dimensions
            .iter()
            .map(|&n| u32::try_from(n).unwrap_or(u32::MAX))
            .collect(),
        strides,
        counts: std::iter::zip(&in_box, &steps)
            .map(|(n, step)| n.div_ceil(*step))
            .collect(),
        steps,
        swizzle,
        fills_nan,
    };
    tensor_map.set(opaque(&map))
}

fn opaque(map: &TensorMap) -> CUtensorMap {
    let bytes = map.encode();
    let word = |n: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * n..8 * n + 8]);
        u64::from_le_bytes(word)
    };
    CUtensorMap {
        opaque: std::array::from_fn(word),
    }
}

/// `CUDA_ERROR_INVALID_VALUE` for what is no tensor map, and for an address that is not aligned.
pub fn cuTensorMapReplaceAddress(
    tensor_map: Out<CUtensorMap>,
    global_address: *mut c_void,
) -> Result {
    let bytes: Vec<u8> = tensor_map
        .get()?
        .opaque
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    let address = global_address as u64;
    if address == 0 || address % 16 != 0 {
        return invalid("an address that is not a multiple of 16");
    }
    match TensorMap::decode(&bytes) {
        Some(map) => tensor_map.set(opaque(&TensorMap { address, ..map })),
        None => invalid("no map"),
    }
}
