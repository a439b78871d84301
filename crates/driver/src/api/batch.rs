//! Copies in batches. The operations of a batch may run in any order; here they run in that of the arrays.

use super::copy::{cuMemcpy3DWithAttributesAsync, cuMemcpyAsync};
use super::managed::batch_stream;
use crate::boundary::{Accept, In, Out, Result};
use cuda_abi::*;

/// `failed` gets the index of the copy that is wrong.
fn copies(
    dsts: In<CUdeviceptr>,
    srcs: In<CUdeviceptr>,
    sizes: In<usize>,
    count: usize,
    stream: CUstream,
    failed: &mut usize,
) -> Result {
    if count == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    batch_stream(stream)?;
    for index in 0..count {
        *failed = index;
        if sizes.at(index)? == 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        cuMemcpyAsync(dsts.at(index)?, srcs.at(index)?, sizes.at(index)?, stream)?;
    }
    Ok(())
}

/// The attributes say when sources are read, at the latest in stream order, which is when they are, and where memory may
/// be.
fn attributes(
    list: In<CUmemcpyAttributes>,
    indices: In<usize>,
    number: usize,
    count: usize,
) -> Result {
    let starts = indices.all(number)?;
    let ascending = starts.windows(2).all(|pair| pair[0] < pair[1]);
    let known = list
        .all(number)?
        .iter()
        .all(|attributes| matches!(attributes.srcAccessOrder, 1..=3));
    match starts.first() == Some(&0) && number <= count && ascending && known {
        true => Ok(()),
        false => Err(CUresult::INVALID_VALUE),
    }
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
        .and_then(|()| copies(dsts, srcs, sizes, count, stream, &mut failed));
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
    attributes(attribute_list, attribute_indices, num_attributes, count)?;
    copies(dsts, srcs, sizes, count, stream, &mut 0)
}

pub fn cuMemcpyWithAttributesAsync(
    dst: CUdeviceptr,
    src: CUdeviceptr,
    size: usize,
    attributes: In<CUmemcpyAttributes>,
    stream: CUstream,
) -> Result {
    if !matches!(attributes.get()?.srcAccessOrder, 1..=3) {
        return Err(CUresult::INVALID_VALUE);
    }
    cuMemcpyAsync(dst, src, size, stream)
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
    batch_stream(stream)?;
    for index in 0..num_ops {
        *failed = index;
        let op = ops.at(index)?;
        // SAFETY: the reference outlives the call.
        let op = unsafe { In::accept(&raw const op) };
        cuMemcpy3DWithAttributesAsync(op, 0, stream)?;
    }
    Ok(())
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
    if result.is_err() {
        fail_index.set_if(failed);
    }
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
