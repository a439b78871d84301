//! Occupancy.

use crate::boundary::{Out, Result};
use crate::core::function::Function;
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

pub fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    num_blocks: Out<i32>,
    function: CUfunction,
    block_size: i32,
    dynamic_smem_size: usize,
    _flags: u32,
) -> Result {
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
    _flags: u32,
) -> Result {
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
    let limit = function.code.device.shared_memory_optin();
    let static_shared = function.info()?.static_shared;
    let available =
        occupancy::multiprocessor(&function).available_shared(blocks, static_shared, limit);
    dynamic_smem_size.set(available as usize)
}
