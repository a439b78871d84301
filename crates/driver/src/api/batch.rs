//! Copies in batches. The operations of a batch may run in any order; here they run in that of the arrays, and sources are read in
//! stream order, but for host memory that the device does not reach, which is read by the call. Where they are to be read before the
//! call returns, it waits.

use super::copy::{cuMemcpy3DWithAttributesAsync, cuMemcpyAsync};
use super::managed::batch_stream;
use crate::boundary::{Accept, In, Out, Result};
use crate::core::pointer;
use crate::core::stream::Stream;
use cuda_abi::*;

/// Checks a stream for a batch of copies, which cannot be captured. Unlike other calls of that kind, this one leaves the capture as
/// it is.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`, `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
fn copying_stream(stream: CUstream) -> Result {
    match batch_stream(stream)?.capture.is_active() {
        true => Err(CUresult::STREAM_CAPTURE_UNSUPPORTED),
        false => Ok(()),
    }
}

/// `failed` gets the index of the copy that is wrong.
fn copies(
    dsts: In<CUdeviceptr>,
    srcs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    stream: CUstream,
    waits: bool,
    failed: &mut usize,
) -> Result {
    if count == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    copying_stream(stream)?;
    for index in 0..count {
        *failed = index;
        if sizes.at(index)? == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        cuMemcpyAsync(dsts.at(index)?, srcs.at(index)?, sizes.at(index)?, stream)?;
    }
    let mut sources = srcs.all(count)?.into_iter();
    match waits && sources.any(is_read_later) {
        true => Stream::from_handle(stream)?.synchronize(),
        false => Ok(()),
    }
}

/// Whether a copy in a stream reads this memory when its turn comes.
fn is_read_later(address: CUdeviceptr) -> bool {
    pointer::find(address).is_some()
}

/// What a copy's attributes ask for beside hints: whether its source is to be read before the call returns.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for an unknown order or unknown flags.
pub(super) fn reads_during_call(order: i32, flags: u32) -> Result<bool> {
    const PREFER_OVERLAP_WITH_COMPUTE: u32 = 1;
    match (order, flags & !PREFER_OVERLAP_WITH_COMPUTE) {
        (1 | 3, 0) => Ok(false),
        (2, 0) => Ok(true),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// The attributes of a batch: whether a source is to be read before the call returns.
fn attributes(
    list: In<CUmemcpyAttributes>,
    indices: In<usize>,
    number: usize,
    count: usize,
) -> Result<bool> {
    let starts = indices.all(number)?;
    let ascending = starts.windows(2).all(|pair| pair[0] < pair[1]);
    if starts.first() != Some(&0) || number > count || !ascending {
        return Err(CUresult::INVALID_VALUE);
    }
    list.all(number)?
        .iter()
        .map(|attributes| reads_during_call(attributes.srcAccessOrder, attributes.flags))
        .try_fold(false, |any, waits| Ok(any | waits?))
}

pub fn cuMemcpyBatchAsync(
    dsts: In<CUdeviceptr>,
    srcs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    attribute_list: In<CUmemcpyAttributes>,
    attribute_indices: In<usize>,
    num_attributes: usize,
    fail_index: Out<usize>,
    stream: CUstream,
) -> Result {
    // SIZE_MAX stands for an error of no single copy.
    let mut failed = usize::MAX;
    let result = attributes(attribute_list, attribute_indices, num_attributes, count)
        .and_then(|waits| copies(dsts, srcs, sizes, count, stream, waits, &mut failed));
    if result.is_err() {
        fail_index.set_if(failed);
    }
    result
}

pub fn cuMemcpyBatchAsync_v2(
    dsts: In<CUdeviceptr>,
    srcs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    attribute_list: In<CUmemcpyAttributes>,
    attribute_indices: In<usize>,
    num_attributes: usize,
    stream: CUstream,
) -> Result {
    let waits = attributes(attribute_list, attribute_indices, num_attributes, count)?;
    copies(dsts, srcs, sizes, count, stream, waits, &mut 0)
}

pub fn cuMemcpyWithAttributesAsync(
    dst: CUdeviceptr,
    src: CUdeviceptr,
    size: usize,
    attributes: In<CUmemcpyAttributes>,
    stream: CUstream,
) -> Result {
    let attributes = attributes.get()?;
    let waits = reads_during_call(attributes.srcAccessOrder, attributes.flags)?;
    cuMemcpyAsync(dst, src, size, stream)?;
    match waits && is_read_later(src) {
        true => Stream::from_handle(stream)?.synchronize(),
        false => Ok(()),
    }
}

/// `failed` gets the index of the copy that is wrong.
fn copies_3d(
    num_ops: usize,
    ops: In<CUDA_MEMCPY3D_BATCH_OP>,
    flags: u64,
    stream: CUstream,
    failed: &mut usize,
) -> Result {
    if num_ops == 0 || flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    copying_stream(stream)?;
    for index in 0..num_ops {
        let op = ops.at(index)?;
        if [&op.src, &op.dst].into_iter().any(is_nowhere) {
            *failed = usize::MAX;
            return Err(CUresult::INVALID_VALUE);
        }
        *failed = index;
        let extent = op.extent;
        if extent.width == 0 || extent.height == 0 || extent.depth == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: the reference outlives the call.
        let op = unsafe { In::accept(&raw const op) };
        cuMemcpy3DWithAttributesAsync(op, 0, stream)?;
    }
    *failed = usize::MAX;
    Ok(())
}

/// Whether an operand is a null pointer, which NVIDIA's driver finds before it looks at the copies one by one.
fn is_nowhere(operand: &CUmemcpy3DOperand) -> bool {
    // SAFETY: the kind says which part of the union is there.
    operand.kind == CUmemcpy3DOperandType::POINTER && unsafe { operand.op.ptr.ptr } == 0
}

pub fn cuMemcpy3DBatchAsync(
    num_ops: usize,
    ops: In<CUDA_MEMCPY3D_BATCH_OP>,
    fail_index: Out<usize>,
    flags: u64,
    stream: CUstream,
) -> Result {
    let mut failed = usize::MAX;
    let result = copies_3d(num_ops, ops, flags, stream, &mut failed);
    fail_index.set_if(failed);
    result
}

pub fn cuMemcpy3DBatchAsync_v2(
    num_ops: usize,
    ops: In<CUDA_MEMCPY3D_BATCH_OP>,
    flags: u64,
    stream: CUstream,
) -> Result {
    copies_3d(num_ops, ops, flags, stream, &mut 0)
}
