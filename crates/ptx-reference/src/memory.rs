//! Global memory: buffers at 64-bit addresses.
//!
//! ```
//! use ptx_reference::Memory;
//! let mut memory = Memory::new();
//! let a = memory.allocate(16);
//! memory.write(a + 4, &7u32.to_le_bytes()).unwrap();
//! assert_eq!(memory.read(a, 8).unwrap(), [0, 0, 0, 0, 7, 0, 0, 0]);
//! assert!(memory.read(a + 8, 16).is_none());
//! ```

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Buffers by address, and where the module's variables lie.
#[derive(Clone, Debug)]
pub struct Memory {
    buffers: BTreeMap<u64, Vec<u8>>,
    next: u64,
    symbols: FxHashMap<Box<str>, u64>,
}

/// Unmapped bytes after each buffer, so that running over its end is noticed.
const GAP: u64 = 1 << 16;

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// Memory without buffers.
    pub fn new() -> Memory {
        Memory {
            buffers: BTreeMap::new(),
            next: 0x7000_0000_0000,
            symbols: FxHashMap::default(),
        }
    }

    /// A new buffer of zeros; its address is a multiple of 256.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        // Around what the caller has placed.
        let size = bytes as u64;
        while let Some((start, buffer)) = self.buffers.range(..self.next + size + GAP).next_back() {
            let end = start + buffer.len() as u64 + GAP;
            if end <= self.next {
                break;
            }
            self.next = end.next_multiple_of(256);
        }
        let address = self.next;
        self.buffers.insert(address, vec![0; bytes]);
        self.next = (address + bytes as u64 + GAP).next_multiple_of(256);
        address
    }

    /// A new buffer with the given contents.
    pub fn allocate_with(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len());
        self.buffers.insert(address, bytes.to_vec());
        address
    }

    /// Places a buffer at an address of the caller's, such as the one it has on a device under test. A buffer that
    /// started there is replaced; the caller sees to it that buffers do not overlap.
    pub fn insert(&mut self, address: u64, bytes: Vec<u8>) {
        self.buffers.insert(address, bytes);
    }

    /// Removes the buffer that starts at the address; false if there is none.
    pub fn free(&mut self, address: u64) -> bool {
        self.buffers.remove(&address).is_some()
    }

    /// The buffer that starts at the address.
    pub fn buffer(&self, address: u64) -> Option<&[u8]> {
        self.buffers.get(&address).map(Vec::as_slice)
    }

    /// All buffers, by address.
    pub fn buffers(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.buffers
            .iter()
            .map(|(address, bytes)| (*address, bytes.as_slice()))
    }

    /// Bytes within one buffer; `None` if they are not all in one.
    pub fn read(&self, address: u64, bytes: usize) -> Option<&[u8]> {
        let (start, buffer) = self.buffers.range(..=address).next_back()?;
        let offset = (address - start) as usize;
        buffer.get(offset..offset.checked_add(bytes)?)
    }

    /// Bytes within one buffer, to change; `None` if they are not all in one.
    pub fn slice_mut(&mut self, address: u64, bytes: usize) -> Option<&mut [u8]> {
        let (start, buffer) = self.buffers.range_mut(..=address).next_back()?;
        let offset = (address - start) as usize;
        buffer.get_mut(offset..offset.checked_add(bytes)?)
    }

    /// Writes bytes within one buffer; `None` if they do not fit.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        self.slice_mut(address, bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// The address of a variable of the module, once a kernel of it ran or it was [placed](Memory::place_symbol).
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// Says where a variable of the module lies.
    pub fn place_symbol(&mut self, name: &str, address: u64) {
        self.symbols.insert(name.into(), address);
    }

    /// The bytes from the address up to (without) the first zero, at most `limit`.
    pub fn string(&self, address: u64, limit: usize) -> Option<Vec<u8>> {
        let (start, buffer) = self.buffers.range(..=address).next_back()?;
        let rest = buffer.get((address - start) as usize..)?;
        Some(
            rest.iter()
                .copied()
                .take(limit)
                .take_while(|&b| b != 0)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_keep_apart() {
        let mut memory = Memory::new();
        let first = memory.allocate(10);
        memory.insert(first + 0x20000, vec![0; 100]);
        memory.insert(first + 0x30000, vec![0; 100]);
        let second = memory.allocate(1 << 20);
        assert!(second >= first + 0x30000 + 100 + GAP);
        assert!(memory.read(first + 8, 4).is_none());
        assert!(memory.read(first + 10, 1).is_none());
        assert!(memory.read(first - 1, 1).is_none());
        assert_eq!(memory.read(second + (1 << 20) - 1, 1), Some(&[0][..]));
        assert!(memory.free(second) && !memory.free(second));
    }
}
