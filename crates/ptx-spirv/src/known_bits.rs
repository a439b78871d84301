//! Bits of an integer that are the same whatever the program's data.
//!
//! Logic that a compiler made of intrinsics for bytes and halves leaves instructions that do nothing for the numbers at hand:
//! `__vsubss4(q & 0x0f0f0f0f, 0x08080808)` saturates bytes that are too small to overflow. Knowing that their highest bits are
//! zero, `emit/logic.rs` and `emit/permute.rs` leave the saturation out.
//!
//! ```text
//! and.b32  %r1, %q, 0x0f0f0f0f     zeros: 0xf0f0f0f0
//! and.b32  %r2, %r1, 0x80808080    all zeros: the constant 0
//! ```

/// What is known of a number of up to 64 bits; those above its width have no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownBits {
    /// Bits that are 0.
    pub(crate) zeros: u64,
    /// Bits that are 1.
    pub(crate) ones: u64,
}

impl KnownBits {
    /// All bits of a constant.
    pub(crate) const fn constant(bits: u64) -> Self {
        KnownBits {
            zeros: !bits,
            ones: bits,
        }
    }

    /// The bits of `mask`, if all of them are known.
    pub(crate) const fn value(self, mask: u64) -> Option<u64> {
        if (self.zeros | self.ones) & mask == mask {
            Some(self.ones & mask)
        } else {
            None
        }
    }

    /// The complement.
    pub(crate) const fn not(self) -> Self {
        KnownBits {
            zeros: self.ones,
            ones: self.zeros,
        }
    }

    /// Bitwise and.
    pub(crate) const fn and(self, other: Self) -> Self {
        KnownBits {
            zeros: self.zeros | other.zeros,
            ones: self.ones & other.ones,
        }
    }

    /// Bitwise or.
    pub(crate) const fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    /// Bitwise exclusive or.
    pub(crate) const fn xor(self, other: Self) -> Self {
        KnownBits {
            zeros: self.zeros & other.zeros | self.ones & other.ones,
            ones: self.zeros & other.ones | self.ones & other.zeros,
        }
    }

    /// Shifted to the left by less than 64; zeros come in.
    pub(crate) const fn shifted_left(self, n: u32) -> Self {
        KnownBits {
            zeros: self.zeros << n | ((1 << n) - 1),
            ones: self.ones << n,
        }
    }

    /// A number of `width` bits shifted to the right by less than that; zeros come in, or copies of its sign.
    pub(crate) const fn shifted_right(self, n: u32, width: u32, signed: bool) -> Self {
        let up = 64 - width;
        let (zeros, ones) = (self.zeros << up, self.ones << up);
        if signed {
            KnownBits {
                zeros: ((zeros as i64 >> n) as u64) >> up,
                ones: ((ones as i64 >> n) as u64) >> up,
            }
        } else {
            KnownBits {
                zeros: !(!zeros >> n) >> up,
                ones: ones >> n >> up,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers of four bits of which something is known, with all that they can be.
    fn numbers() -> impl Iterator<Item = (KnownBits, Vec<u64>)> {
        (0..16u64).flat_map(|zeros| {
            (0..16u64)
                .filter(move |ones| zeros & ones == 0)
                .map(move |ones| {
                    let all = (0..16).filter(|n| n & zeros == 0 && n & ones == ones);
                    (KnownBits { zeros, ones }, all.collect())
                })
        })
    }

    /// The operation on what is known must say all that holds for each of the numbers, and nothing else.
    fn check(results: impl Iterator<Item = u64>, known: KnownBits) {
        let (mut zeros, mut ones) = (15, 15);
        for r in results {
            zeros &= !r;
            ones &= r;
        }
        assert_eq!((known.zeros & 15, known.ones & 15), (zeros, ones));
    }

    #[test]
    fn of_two_numbers() {
        for (a, a_all) in numbers() {
            for (b, b_all) in numbers() {
                let each = |f: fn(u64, u64) -> u64| {
                    let b_all = &b_all;
                    a_all
                        .iter()
                        .flat_map(move |&x| b_all.iter().map(move |&y| f(x, y)))
                        .collect::<Vec<_>>()
                        .into_iter()
                };
                check(each(|x, y| x & y), a.and(b));
                check(each(|x, y| x | y), a.or(b));
                check(each(|x, y| x ^ y), a.xor(b));
            }
        }
    }

    #[test]
    fn of_one_number() {
        for (a, all) in numbers() {
            check(all.iter().map(|x| !x), a.not());
            for n in 0..4 {
                check(all.iter().map(|x| x << n), a.shifted_left(n));
                check(all.iter().map(|x| x >> n), a.shifted_right(n, 4, false));
                let signed = |x: &u64| ((x ^ 8).wrapping_sub(8) as i64 >> n) as u64;
                check(all.iter().map(signed), a.shifted_right(n, 4, true));
            }
            let value = (all.len() == 1).then(|| all[0]);
            assert_eq!(a.value(15), value);
        }
    }

    #[test]
    fn of_a_constant() {
        assert_eq!(KnownBits::constant(0x1234).value(0xffff_ffff), Some(0x1234));
        assert_eq!(KnownBits::default().value(1), None);
        assert_eq!(KnownBits::default().value(0), Some(0));
    }
}
