//! Best-fit allocation of ranges of a block.
//!
//! Free ranges are kept twice, by offset to merge neighbours and by size to find the smallest that fits. Both operations
//! cost O(log n), and a block whose ranges have all come back is one free range again.

use std::collections::{BTreeMap, BTreeSet};

/// Sizes and offsets of ranges are multiples of this, bytes: the least alignment that NVIDIA's driver gives.
pub(crate) const ALIGNMENT: u64 = 512;

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

    /// The offset of a range of `size` bytes (a multiple of [`ALIGNMENT`]) at a multiple of `alignment` (a power of two), if one is
    /// free.
    pub(crate) fn allocate(&mut self, size: u64, alignment: u64) -> Option<u64> {
        debug_assert!(size > 0 && size % ALIGNMENT == 0);
        let fits = |&&(free, offset): &&(u64, u64)| {
            offset.next_multiple_of(alignment) + size <= offset + free
        };
        let &(free, start) = self.by_size.range((size, 0)..).find(fits)?;
        self.remove(start, free);
        let offset = start.next_multiple_of(alignment);
        for (from, to) in [(start, offset), (offset + size, start + free)] {
            if from < to {
                self.insert(from, to - from);
            }
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
        let mut ranges = Ranges::new(8192);
        let a = ranges.allocate(2048, 512).unwrap();
        let b = ranges.allocate(1024, 512).unwrap();
        let c = ranges.allocate(4096, 512).unwrap();
        assert_eq!((a, b, c), (0, 2048, 3072));
        assert_eq!(ranges.allocate(2048, 512), None);
        ranges.free(a, 2048);
        // The hole of 2048 at 0 and the tail of 1024: the smaller one fits best.
        assert_eq!(ranges.allocate(1024, 512), Some(7168));
        ranges.free(b, 1024);
        assert_eq!(ranges.allocate(3072, 512), Some(0));
        ranges.free(0, 3072);
        ranges.free(c, 4096);
        assert!(!ranges.is_empty());
        ranges.free(7168, 1024);
        assert!(ranges.is_empty());
    }

    #[test]
    fn what_alignment_skips_stays_free() {
        let mut ranges = Ranges::new(16384);
        assert_eq!(ranges.allocate(512, 512), Some(0));
        assert_eq!(ranges.allocate(4096, 4096), Some(4096));
        assert_eq!(ranges.allocate(8192, 4096), Some(8192));
        assert_eq!(ranges.allocate(3584, 512), Some(512));
        for (offset, size) in [(4096, 4096), (0, 512), (8192, 8192), (512, 3584)] {
            ranges.free(offset, size);
        }
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
                let alignment = ALIGNMENT << (random() % 4);
                if let Some(offset) = ranges.allocate(size, alignment) {
                    assert_eq!(offset % alignment, 0);
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
