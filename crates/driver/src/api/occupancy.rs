//! Occupancy.

use crate::boundary::{Accept, In, Out, Result};
use crate::core::function::Function;
use crate::core::launch;
use crate::core::occupancy;
use cuda_abi::*;

pub fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    num_blocks: Out<i32>,
    function: CUfunction,
    block_size: i32,
    dynamic_smem_size: usize,
) -> Result {
    let function = Function::from_handle(function)?;
    num_blocks.set(occupancy::max_active_blocks(&function, block_size, dynamic_smem_size)? as i32)
}

/// The only flag is about caching, which nothing here depends on.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
fn check_flags(flags: u32) -> Result {
    match flags {
        0 | 1 => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    num_blocks: Out<i32>,
    function: CUfunction,
    block_size: i32,
    dynamic_smem_size: usize,
    flags: u32,
) -> Result {
    check_flags(flags)?;
    cuOccupancyMaxActiveBlocksPerMultiprocessor(num_blocks, function, block_size, dynamic_smem_size)
}

pub fn cuOccupancyMaxPotentialBlockSize(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    function: CUfunction,
    block_size_to_dynamic_smem_size: CUoccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
) -> Result {
    let function = Function::from_handle(function)?;
    let shared = |size| match block_size_to_dynamic_smem_size {
        // SAFETY: the application gave the function to be called with a block size.
        Some(of) => unsafe { of(size) },
        None => dynamic_smem_size,
    };
    let (grid, block) = occupancy::max_potential_block_size(&function, shared, block_size_limit)?;
    min_grid_size.set(grid as i32)?;
    block_size.set(block as i32)
}

pub fn cuOccupancyMaxPotentialBlockSizeWithFlags(
    min_grid_size: Out<i32>,
    block_size: Out<i32>,
    function: CUfunction,
    block_size_to_dynamic_smem_size: CUoccupancyB2DSize,
    dynamic_smem_size: usize,
    block_size_limit: i32,
    flags: u32,
) -> Result {
    check_flags(flags)?;
    cuOccupancyMaxPotentialBlockSize(
        min_grid_size,
        block_size,
        function,
        block_size_to_dynamic_smem_size,
        dynamic_smem_size,
        block_size_limit,
    )
}

pub fn cuOccupancyAvailableDynamicSMemPerBlock(
    dynamic_smem_size: Out<usize>,
    function: CUfunction,
    num_blocks: i32,
    block_size: i32,
) -> Result {
    let function = Function::from_handle(function)?;
    let blocks = u32::try_from(num_blocks)
        .ok()
        .filter(|&n| n > 0)
        .ok_or(CUresult::INVALID_VALUE)?;
    if occupancy::max_active_blocks(&function, block_size, 0)? < blocks {
        return Err(CUresult::INVALID_VALUE);
    }
    let info = function.info()?;
    let limit = function.max_dynamic_shared(info).max(0) as u32;
    let static_shared = info.static_shared;
    let available =
        occupancy::multiprocessor(&function).available_shared(blocks, static_shared, limit);
    dynamic_smem_size.set(available as usize)
}

/// The largest cluster is a single block.
pub fn cuOccupancyMaxPotentialClusterSize(
    cluster_size: Out<i32>,
    function: CUfunction,
    config: In<CUlaunchConfig>,
) -> Result {
    config.get()?;
    Function::from_handle(function)?;
    cluster_size.set(1)
}

/// How many clusters, of one block each, the device holds at once.
pub fn cuOccupancyMaxActiveClusters(
    num_clusters: Out<i32>,
    function: CUfunction,
    config: In<CUlaunchConfig>,
) -> Result {
    let config = config.get()?;
    let function = Function::from_handle(function)?;
    // SAFETY: by the API's contract the list has that many attributes.
    let list: In<CUlaunchAttribute> = unsafe { Accept::accept(config.attrs) };
    launch::attributes(list, config.numAttrs as usize)?;
    let block = [config.blockDimX, config.blockDimY, config.blockDimZ];
    let threads = block.iter().product::<u32>() as i32;
    let blocks = occupancy::max_active_blocks(&function, threads, config.sharedMemBytes as usize)?;
    let device = function.code.device;
    let multiprocessors = device.attribute(CUdevice_attribute::MULTIPROCESSOR_COUNT);
    num_clusters.set(blocks as i32 * multiprocessors)
}
