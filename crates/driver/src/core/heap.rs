//! The heap of kernels' `malloc` and `free` (CUDA C++ Programming Guide, "Dynamic Global Memory Allocation and Operations").
//!
//! Allocated, with `CU_LIMIT_MALLOC_HEAP_SIZE` bytes, when the first kernel that uses it is launched; what it holds then is
//! its device's until the last context on that device closes. Its layout is told in `ptx-spirv`, `graph/heap.ptx`.

use crate::boundary::Result;
use crate::core::context::CONTEXTS;
use crate::core::status::IntoCuda;
use crate::core::stream::StreamGroup;
use cuda_abi::{CUlimit, CUresult};
use parking_lot::Mutex;
use vulkan::{Allocation, MemoryKind};

/// Bytes of a unit of allocation.
const UNIT_BYTES: usize = 64;
/// Bytes before the bits of the units.
const HEADER_BYTES: usize = 64;
/// Most bytes of a heap: unit numbers times their size stay within 32 bits.
const MOST_BYTES: usize = 1 << 31;

/// The heap of a device.
#[derive(Default)]
pub struct Heap {
    memory: Mutex<Option<Allocation>>,
}

impl Heap {
    /// Sees that there is a heap, for a launch.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn provide(&self, group: &StreamGroup) -> Result {
        let mut memory = self.memory.lock();
        if memory.is_some() {
            return Ok(());
        }
        let size = CONTEXTS
            .all()
            .iter()
            .find(|context| context.id == group.context_id)
            .ok_or(CUresult::CONTEXT_IS_DESTROYED)?
            .limit(CUlimit::MALLOC_HEAP_SIZE)?;
        let header = header(size);
        let first = header.len() as u64;
        let units = u64::from(u32::from_le_bytes([
            header[0], header[1], header[2], header[3],
        ]));
        let bytes = first + units * UNIT_BYTES as u64;
        let new = group.vulkan.allocate(bytes, MemoryKind::Device).cuda()?;
        let stream = group.open.take_stream()?;
        let written = stream
            .write(new.address(), &header)
            .and_then(|()| stream.synchronize());
        group.open.give_back(stream);
        written.cuda()?;
        group.vulkan.set_heap(new.address());
        *memory = Some(new);
        Ok(())
    }

    /// Whether a kernel has used it, so that its size is settled.
    pub fn is_there(&self) -> bool {
        self.memory.lock().is_some()
    }

    /// Frees it with all that is allocated of it. Nothing runs on the device.
    pub fn forget(&self, vulkan: &vulkan::Device) {
        vulkan.set_heap(0);
        *self.memory.lock() = None;
    }
}

/// What a heap of some bytes begins with: the number of units, a multiple of 32, where the first one is, and no bit set.
fn header(size: usize) -> Vec<u8> {
    let units = size
        .min(MOST_BYTES)
        .div_ceil(UNIT_BYTES)
        .next_multiple_of(32)
        .max(32);
    let mut header = vec![0; (HEADER_BYTES + units / 8).next_multiple_of(256)];
    let first = header.len() as u32;
    header[..4].copy_from_slice(&(units as u32).to_le_bytes());
    header[4..8].copy_from_slice(&first.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_hold_a_bit_for_each_unit() {
        for size in [0, 1, 2048, 2049, 8 << 20, usize::MAX] {
            let header = header(size);
            let word = |n: usize| u32::from_le_bytes(header[4 * n..4 * n + 4].try_into().unwrap());
            assert_eq!(word(0) % 32, 0);
            assert_eq!(word(1) as usize, header.len());
            assert!(header.len() >= HEADER_BYTES + word(0) as usize / 8);
            assert!(word(0) as usize * UNIT_BYTES >= size.min(MOST_BYTES));
        }
    }
}
