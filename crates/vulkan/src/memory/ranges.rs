//! Best-fit allocation of ranges of a block.
//!
//! Free ranges are kept twice, by offset to merge neighbours and by size to find the smallest that fits. Both operations
//! cost O(log n), and a block whose ranges have all come back is one free range again.

use std::collections::{BTreeMap, BTreeSet};

/// Alignment of every range: what cuMemAlloc guarantees, bytes.
pub(crate) const ALIGNMENT: u64 = 256;

/// The free ranges of a block.
#[derive(Debug)]
pub(crate) struct Ranges {
    size: u64,
    by_offset: BTreeMap<u64, u64>,
    by_size: BTreeSet<(u64, u64)>,
}

impl Ranges {
    /// A block of `size` bytes, all free.
    pub(crate) fn new(size: u64) -> Self {
        let mut ranges = Self {
            size,
            by_offset: BTreeMap::new(),
            by_size: BTreeSet::new(),
        };
        ranges.insert(0, size);
        ranges
    }

    fn insert(&mut self, offset: u64, size: u64) {
        self.by_offset.insert(offset, size);
        self.by_size.insert((size, offset));
    }

    fn remove(&mut self, offset: u64, size: u64) {
        self.by_offset.remove(&offset);
        self.by_size.remove(&(size, offset));
    }

    /// The offset of a range of `size` bytes (a multiple of [`ALIGNMENT`]), if one is free.
    pub(crate) fn allocate(&mut self, size: u64) -> Option<u64> {
        debug_assert!(size > 0 && size % ALIGNMENT == 0);
        let &(free, offset) = self.by_size.range((size, 0)..).next()?;
        self.remove(offset, free);
        if free > size {
            self.insert(offset + size, free - size);
        }
        Some(offset)
    }

    /// Gives a range back.
    pub(crate) fn free(&mut self, mut offset: u64, mut size: u64) {
        if let Some((&before, &length)) = self.by_offset.range(..offset).next_back() {
            debug_assert!(before + length <= offset, "range freed twice");
            if before + length == offset {
                self.remove(before, length);
                offset = before;
                size += length;
            }
        }
        if let Some(&length) = self.by_offset.get(&(offset + size)) {
            self.remove(offset + size, length);
            size += length;
        }
        self.insert(offset, size);
    }

    /// Whether nothing is allocated.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_offset.get(&0) == Some(&self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_fit_and_merge() {
        let mut ranges = Ranges::new(4096);
        let a = ranges.allocate(1024).unwrap();
        let b = ranges.allocate(512).unwrap();
        let c = ranges.allocate(2048).unwrap();
        assert_eq!((a, b, c), (0, 1024, 1536));
        assert_eq!(ranges.allocate(1024), None);
        ranges.free(a, 1024);
        // The hole of 1024 at 0 and the tail of 512: the smaller one fits best.
        assert_eq!(ranges.allocate(512), Some(3584));
        ranges.free(b, 512);
        assert_eq!(ranges.allocate(1536), Some(0));
        ranges.free(0, 1536);
        ranges.free(c, 2048);
        assert!(!ranges.is_empty());
        ranges.free(3584, 512);
        assert!(ranges.is_empty());
    }

    #[test]
    fn random_traffic_never_overlaps() {
        let mut ranges = Ranges::new(1 << 20);
        let mut live: Vec<(u64, u64)> = Vec::new();
        let mut seed = 12345u64;
        let mut random = move || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed >> 33
        };
        for _ in 0..20_000 {
            if random() % 3 != 0 {
                let size = (random() % 64 + 1) * ALIGNMENT;
                if let Some(offset) = ranges.allocate(size) {
                    assert!(offset + size <= 1 << 20);
                    assert!(live
                        .iter()
                        .all(|&(o, s)| offset + size <= o || o + s <= offset));
                    live.push((offset, size));
                }
            } else if !live.is_empty() {
                let index = random() as usize % live.len();
                let (offset, size) = live.swap_remove(index);
                ranges.free(offset, size);
            }
        }
        for (offset, size) in live {
            ranges.free(offset, size);
        }
        assert!(ranges.is_empty());
    }
}
