//! Tables of bytes that nibbles of a word choose from: what quantised weights of four bits are decoded with.
//!
//! CUDA programs do so with `prmt`: two tables of eight, and the highest bit of each nibble to choose between their results. Each
//! result is remembered as what it is, a table of sixteen and nibbles of a word ([`Lookup`]), so that a `prmt` that takes every other
//! byte of two of them begins with nibbles that lie right:
//!
//! ```text
//! and.b32  %s, %q, 0x7777
//! prmt.b32 %a, T0, T1, %s             T[0..8] by nibbles 0 to 3 of q, without their highest bits
//! prmt.b32 %b, T2, T3, %s             T[8..16] likewise
//! ...      %c, %d                     T by nibbles 0 to 3 and 4 to 7 of q
//! prmt.b32 %x, %c, %d, 0x6420         T by nibbles 0, 2, 4, 6: bytes of q & 0x0f0f0f0f
//! ```
//!
//! A table is a choice by each bit of the nibbles, for all four bytes at once. Where products are added beside logic
//! ([`Target::byte_shuffles`]), the two lowest bits make four entries a sum instead: `t0 + p (t1 - t0) + q (t2 - t0) + pq (t3 - t2 - t1 + t0)`.
//! Bytes do not disturb each other in it, as the sum of each is one of 0 to 255.

use super::*;

/// A word whose byte `n` is `table[nibble first + n of root]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Lookup {
    root: Id,
    first: u32,
    table: [u8; 16],
}

/// What is made of a word, for tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// Four nibbles from this one on, as bytes.
    Nibbles(u32),
    /// Every other nibble from this one on, as bytes.
    EveryOther(u32),
    /// This bit of each byte, as its lowest one.
    Bit(u32),
    /// Bytes of ones where this bit of the byte is one, else of zeros.
    Mask(u32),
    /// Where both of the lowest bits of a byte are ones.
    BothBits,
}

const TY: Type = Type::U32;
/// One bit in each byte.
pub(super) const EACH: u32 = 0x0101_0101;

/// How the nibbles of a selector come from those of a word.
struct Nibbles {
    root: Id,
    /// The word's nibble that the selector's lowest comes from.
    first: u32,
    /// For each bit of a nibble what it is: known for all nibbles, or a bit of the word's nibble.
    bits: [Option<Bit>; 4],
}

#[derive(Clone, Copy)]
enum Bit {
    Known(bool),
    Of(u32),
}

impl Nibbles {
    /// Bit `n` of the selector's nibble that comes from this one of the word.
    fn bit(&self, n: usize, nibble: usize) -> Option<bool> {
        Some(match self.bits[n]? {
            Bit::Known(one) => one,
            Bit::Of(bit) => nibble >> bit & 1 != 0,
        })
    }
}

impl Emitter<'_> {
    /// The selector's nibbles as those of a word; of a bit that differs in kind between the nibbles nothing is said.
    fn nibbles_of(&self, selector: Id) -> Option<Nibbles> {
        let known = self.known_bits(selector);
        let unknown = !(known.zeros | known.ones) as u32;
        let copied = self.copied_bits(selector, unknown & 0xffff);
        let mut first = None;
        let mut bits = [None; 4];
        for (n, bit) in (0..).zip(&mut bits) {
            let places = 0x1111u64 << n;
            let place = n + copied.shift;
            *bit = match known.value(places) {
                Some(0) => Some(Bit::Known(false)),
                Some(all) if all == places => Some(Bit::Known(true)),
                Some(_) => None,
                None if u64::from(copied.mask) & places == places && place >= 0 => {
                    let nibble = place as u32 / 4;
                    if *first.get_or_insert(nibble) != nibble {
                        return None;
                    }
                    Some(Bit::Of(place as u32 % 4))
                }
                None => None,
            };
        }
        Some(Nibbles {
            root: copied.root,
            first: first.filter(|&n| n <= 4)?,
            bits,
        })
    }

    /// Bytes of a table of eight by a selector whose nibbles are a word's.
    pub(super) fn lookup(&mut self, table: u64, selector: Id) -> Option<Id> {
        let nibbles = self.nibbles_of(selector)?;
        let bytes = table.to_le_bytes();
        let mut table = [0; 16];
        for (nibble, entry) in table.iter_mut().enumerate() {
            let mut at = 0;
            for n in 0..3 {
                at |= usize::from(nibbles.bit(n, nibble)?) << n;
            }
            let sign = (bytes[at] as i8 >> 7) as u8;
            *entry = if nibbles.bit(3, nibble)? {
                sign
            } else {
                bytes[at]
            };
        }
        let (root, first) = (nibbles.root, nibbles.first);
        let nibbles = self.made_of(root, Of::Nibbles(first));
        let id = self.bytes_of_table(nibbles, table);
        self.lookups.insert(id, Lookup { root, first, table });
        Some(id)
    }

    /// Remembers that bytes that stay where they are were chosen of two words by a selector's third bits.
    pub(super) fn note_choice(&mut self, id: Id, selector: Id, a: Id, b: Id) {
        let [Some(&a), Some(&b)] = [a, b].map(|word| self.lookups.get(&word)) else {
            return;
        };
        let Some(nibbles) = self.nibbles_of(selector) else {
            return;
        };
        let of = (nibbles.root, nibbles.first);
        if (a.root, a.first) != of || (b.root, b.first) != of {
            return;
        }
        let mut table = a.table;
        for (nibble, entry) in table.iter_mut().enumerate() {
            match nibbles.bit(2, nibble) {
                Some(true) => *entry = b.table[nibble],
                Some(false) => {}
                None => return,
            }
        }
        self.lookups.insert(id, Lookup { table, ..a });
    }

    /// Bytes of two words (numbers 0 to 3, 4 to 7) that were looked up by nibbles of the same word, if those are every other one.
    pub(super) fn lookup_every_other(&mut self, a: Id, b: Id, bytes: [u32; 4]) -> Option<Id> {
        let [a, b] = [a, b].map(|word| self.lookups.get(&word).copied());
        let (a, b) = (a?, b?);
        let nibbles = bytes.map(|n| match n {
            0..4 => a.first + n,
            _ => b.first + n - 4,
        });
        let first = nibbles[0];
        let fits = nibbles == [0, 2, 4, 6].map(|n| first + n) && first < 2;
        if !fits || a.root != b.root || a.table != b.table {
            return None;
        }
        let nibbles = self.made_of(a.root, Of::EveryOther(first));
        Some(self.bytes_of_table(nibbles, a.table))
    }

    /// Something that is made of a word, once for neighbouring instructions.
    pub(super) fn made_of(&mut self, word: Id, of: Of) -> Id {
        if let Some(&(epoch, id)) = self.nibbles.get(&(word, of)) {
            if epoch == self.epoch {
                return id;
            }
        }
        let and = |e: &mut Self, a: Id, mask: u32| {
            let mask = e.asm.u32(mask);
            e.bitwise(Op::BitwiseAnd, TY, a, mask)
        };
        let id = match of {
            Of::Nibbles(first) => {
                let down = self.shifted(Op::ShiftRightLogical, TY, word, 4 * first);
                let mut id = and(self, down, 0xffff);
                for (by, mask) in [(8, 0x00ff_00ff), (4, 0x0f0f_0f0f)] {
                    let up = self.shifted(Op::ShiftLeftLogical, TY, id, by);
                    let both = self.bitwise(Op::BitwiseOr, TY, id, up);
                    id = and(self, both, mask);
                }
                id
            }
            Of::EveryOther(first) => {
                let down = self.shifted(Op::ShiftRightLogical, TY, word, 4 * first);
                and(self, down, 0x0f0f_0f0f)
            }
            Of::Bit(bit) => {
                let down = self.shifted(Op::ShiftRightLogical, TY, word, bit);
                and(self, down, EACH)
            }
            Of::Mask(bit) => {
                let bits = self.made_of(word, Of::Bit(bit));
                self.times(bits, 0xff)
            }
            Of::BothBits => {
                let (a, b) = (
                    self.made_of(word, Of::Bit(0)),
                    self.made_of(word, Of::Bit(1)),
                );
                self.bitwise(Op::BitwiseAnd, TY, a, b)
            }
        };
        self.nibbles.insert((word, of), (self.epoch, id));
        id
    }

    /// A word times a constant.
    fn times(&mut self, a: Id, factor: u32) -> Id {
        if let Some(a) = self.asm.constant_bits(a) {
            return self.asm.u32((a as u32).wrapping_mul(factor));
        }
        match factor {
            0 => self.asm.u32(0),
            1 => a,
            _ => {
                let factor = self.asm.u32(factor);
                self.asm.op(Op::IMul, TY, &[a, factor])
            }
        }
    }

    /// For each byte of a word, which is below 16, that entry of a table.
    fn bytes_of_table(&mut self, nibbles: Id, table: [u8; 16]) -> Id {
        let mut entries: Vec<Id> = if self.target.byte_shuffles {
            let bits = [Of::Bit(0), Of::Bit(1), Of::BothBits].map(|of| self.made_of(nibbles, of));
            let mut sums: FxHashMap<&[u8], Id> = FxHashMap::default();
            table
                .chunks(4)
                .map(|four| {
                    *sums
                        .entry(four)
                        .or_insert_with(|| self.sum_of_entries(bits, four))
                })
                .collect()
        } else {
            table
                .iter()
                .map(|&entry| self.asm.u32(u32::from(entry) * EACH))
                .collect()
        };
        while entries.len() > 1 {
            let bit = 4 - entries.len().ilog2();
            let mask = self.made_of(nibbles, Of::Mask(bit));
            entries = entries
                .chunks(2)
                .map(|pair| self.choice(mask, pair[0], pair[1]))
                .collect();
        }
        entries[0]
    }

    /// One of four entries, by the bits and their product.
    fn sum_of_entries(&mut self, bits: [Id; 3], entries: &[u8]) -> Id {
        let t = |n: usize| u32::from(entries[n]);
        let factors = [
            t(1).wrapping_sub(t(0)),
            t(2).wrapping_sub(t(0)),
            t(3).wrapping_sub(t(2))
                .wrapping_sub(t(1))
                .wrapping_add(t(0)),
        ];
        let mut sum = self.asm.u32(t(0) * EACH);
        for (bit, factor) in bits.into_iter().zip(factors) {
            let product = self.times(bit, factor);
            sum = match [sum, product].map(|word| self.asm.constant_bits(word)) {
                [_, Some(0)] => sum,
                [Some(0), _] => product,
                _ => self.asm.op(Op::IAdd, TY, &[sum, product]),
            };
        }
        sum
    }
}
