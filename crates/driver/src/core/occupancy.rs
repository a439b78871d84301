//! Occupancy: how many blocks of a kernel a multiprocessor holds, by the limits that the device attributes tell.
//!
//! A multiprocessor is a notion of CUDA's; the numbers steer how programs shape their grids and nothing else. A kernel that
//! can be launched never has an occupancy of 0.

use crate::boundary::Result;
use crate::core::device_attributes::{REGISTERS_PER_MULTIPROCESSOR, RESERVED_SHARED_MEMORY};
use crate::core::function::Function;
use cuda_abi::{CUfunction_attribute, CUresult};

/// The limits of a multiprocessor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiprocessor {
    /// Resident threads.
    pub threads: u32,
    /// Resident blocks.
    pub blocks: u32,
    /// Shared memory, bytes.
    pub shared: u32,
    /// Registers of 32 bits.
    pub registers: u32,
}

/// What a block takes of a multiprocessor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    /// Threads.
    pub threads: u32,
    /// Shared memory, static and dynamic, bytes.
    pub shared: u32,
    /// Registers of a thread.
    pub registers: u32,
}

/// Registers that a warp is given at a time (CUDA's occupancy calculator, compute capability 7.0 and on).
const REGISTER_UNIT: u32 = 256;

impl Multiprocessor {
    /// Resident blocks.
    pub fn resident(&self, block: Block) -> u32 {
        if block.threads == 0 {
            return 0;
        }
        let warps = block.threads.div_ceil(32);
        let of_a_warp = (block.registers * 32).next_multiple_of(REGISTER_UNIT);
        let by_threads = self.threads / (warps * 32);
        // What exceeds the device's shared memory is in scratch memory and runs block by block, and how many registers there are
        // is an estimate.
        let by_shared = (self.shared / (block.shared + RESERVED_SHARED_MEMORY)).max(1);
        let by_registers = (self.registers / (warps * of_a_warp).max(1)).max(1);
        self.blocks.min(by_threads).min(by_shared).min(by_registers)
    }

    /// Dynamic shared memory that lets `blocks` blocks be resident, bytes.
    pub fn available_shared(&self, blocks: u32, static_shared: u32, limit: u32) -> u32 {
        let share = self.shared / blocks.max(1);
        share
            .saturating_sub(RESERVED_SHARED_MEMORY + static_shared)
            .min(limit)
    }
}

/// A multiprocessor of a function's device.
pub fn multiprocessor(function: &Function) -> Multiprocessor {
    let device = function.code.device;
    Multiprocessor {
        threads: device.max_threads_per_multiprocessor(),
        blocks: device.max_blocks_per_multiprocessor(),
        shared: device.shared_memory_per_multiprocessor(),
        registers: REGISTERS_PER_MULTIPROCESSOR,
    }
}

/// `cuOccupancyMaxActiveBlocksPerMultiprocessor`. Of kernels that use the grid's handle (cooperative groups) these are no more than
/// a cooperative launch may have.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for a block size that is not positive; those of the translator.
pub fn max_active_blocks(
    function: &Function,
    block_size: i32,
    dynamic_shared: usize,
) -> Result<u32> {
    let threads = u32::try_from(block_size)
        .ok()
        .filter(|&n| n > 0)
        .ok_or(CUresult::INVALID_VALUE)?;
    let info = function.info()?;
    // A block that cannot be launched has no place anywhere.
    let allowed = function.max_dynamic_shared(info).max(0) as usize;
    if dynamic_shared > allowed || threads > function.code.device.max_threads_per_block() {
        return Ok(0);
    }
    let dynamic = dynamic_shared as u32;
    let blocks = multiprocessor(function).resident(Block {
        threads,
        shared: info.total_shared(dynamic) + threads.div_ceil(32) * info.matrix_slot_bytes,
        registers: function.attribute(CUfunction_attribute::NUM_REGS)? as u32,
    });
    // Programs launch a kernel that waits for its grid with as many blocks as they are told fit.
    Ok(match info.grid_workspace_offset {
        Some(_) => blocks.min(function.code.device.cooperative_blocks().max(1)),
        None => blocks,
    })
}

/// `cuOccupancyMaxPotentialBlockSize`: the smallest grid that fills the device and the block size that does so best, where
/// `dynamic_shared` tells the dynamic shared memory of a block size and `limit` bounds it unless 0.
///
/// # Errors
/// Those of [`max_active_blocks`].
pub fn max_potential_block_size(
    function: &Function,
    dynamic_shared: impl Fn(i32) -> usize,
    limit: i32,
) -> Result<(u32, u32)> {
    if limit < 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let most = function.attribute(CUfunction_attribute::MAX_THREADS_PER_BLOCK)?;
    let most = if limit > 0 { limit.min(most) } else { most };
    let (mut best, mut best_threads) = ((0, 0), 0);
    // From the largest block down in whole warps, as larger blocks win among equals.
    let sizes = std::iter::successors(Some(most), |&size| Some((size - 1) / 32 * 32))
        .take_while(|&size| size > 0);
    for size in sizes {
        let blocks = max_active_blocks(function, size, dynamic_shared(size))?;
        if blocks * size as u32 > best_threads {
            best_threads = blocks * size as u32;
            best = (blocks, size as u32);
        }
    }
    let (blocks, size) = best;
    Ok((blocks * function.code.device.multiprocessors(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_binds() {
        let sm = Multiprocessor {
            threads: 2048,
            blocks: 32,
            shared: 65 << 10,
            registers: 65536,
        };
        let resident = |threads, shared, registers| {
            sm.resident(Block {
                threads,
                shared,
                registers,
            })
        };
        assert_eq!(resident(256, 0, 32), 8, "threads");
        assert_eq!(resident(32, 0, 32), 32, "blocks");
        assert_eq!(resident(33, 0, 32), 32, "whole warps");
        assert_eq!(resident(128, 31 << 10, 32), 2, "shared memory");
        assert_eq!(
            resident(128, 97_024, 32),
            1,
            "more shared memory than there is"
        );
        assert_eq!(resident(128, 0, 255), 2, "registers");
        assert_eq!(resident(128, 0, 100), 4, "registers in units of 8 a thread");
        assert_eq!(resident(1024, 0, 255), 1, "more registers than there are");
        assert_eq!(
            sm.available_shared(2, 1024, 48 << 10),
            (65 << 10) / 2 - 2048
        );
    }
}
