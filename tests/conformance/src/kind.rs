//! Kinds of operands, and the values that they are tried with.

use ptx_reference::semantics::softfloat::{Format, BF16, F16, F32, F64};

/// xorshift64*, seeded: the same inputs in every run.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() >> 33) % n as u64) as usize
    }
}

/// What an operand is: its width in registers, which values are worth trying, and how results are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Pred,
    /// 8 bits in a 32-bit register.
    B8,
    B16,
    B32,
    B64,
    /// A 16-, 32- or 64-bit integer that is not zero.
    NonZero(u32),
    /// A 32-bit shift count, bit position or length.
    Count,
    /// A bit position or length of an instruction that is defined for those of 8 bits.
    Place,
    F16,
    Bf16,
    F16x2,
    Bf16x2,
    F32,
    F64,
}

impl Kind {
    /// The kind with this name, as in `s32 count f16x2`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn named(name: &str) -> Kind {
        match name {
            "pred" => Kind::Pred,
            "b8" | "s8" | "u8" => Kind::B8,
            "b16" | "s16" | "u16" => Kind::B16,
            "b32" | "s32" | "u32" => Kind::B32,
            "b64" | "s64" | "u64" => Kind::B64,
            "nz16" => Kind::NonZero(16),
            "nz32" => Kind::NonZero(32),
            "nz64" => Kind::NonZero(64),
            "count" => Kind::Count,
            "place" => Kind::Place,
            "f16" => Kind::F16,
            "bf16" => Kind::Bf16,
            "f16x2" => Kind::F16x2,
            "bf16x2" => Kind::Bf16x2,
            "f32" => Kind::F32,
            "f64" => Kind::F64,
            other => panic!("no kind of operand is called {other}"),
        }
    }

    /// Bits of its register; 1 for a predicate.
    pub fn bits(self) -> u32 {
        match self {
            Kind::Pred => 1,
            Kind::B16 | Kind::F16 | Kind::Bf16 => 16,
            Kind::B8
            | Kind::B32
            | Kind::Count
            | Kind::Place
            | Kind::F32
            | Kind::F16x2
            | Kind::Bf16x2 => 32,
            Kind::B64 | Kind::F64 => 64,
            Kind::NonZero(bits) => bits,
        }
    }

    /// The floating-point format of its values, or of each of its halves.
    pub fn format(self) -> Option<Format> {
        Some(match self {
            Kind::F16 | Kind::F16x2 => F16,
            Kind::Bf16 | Kind::Bf16x2 => BF16,
            Kind::F32 => F32,
            Kind::F64 => F64,
            _ => return None,
        })
    }

    /// Values at edges.
    pub fn edges(self) -> Vec<u64> {
        match self {
            Kind::Pred => vec![0, 1],
            Kind::B8 => integers(8),
            Kind::B16 | Kind::B32 | Kind::B64 => integers(self.bits()),
            Kind::NonZero(bits) => integers(bits).into_iter().filter(|&v| v != 0).collect(),
            Kind::Count => vec![
                0,
                1,
                31,
                32,
                33,
                16,
                15,
                7,
                63,
                64,
                65,
                5,
                17,
                24,
                255,
                256,
                0xffff_ffff,
            ],
            Kind::Place => Kind::Count
                .edges()
                .into_iter()
                .filter(|&v| v < 256)
                .collect(),
            Kind::F16x2 | Kind::Bf16x2 => {
                let one = self.one_half().edges();
                let n = one.len();
                (0..n)
                    .map(|i| one[i] | one[(i * 7 + 3) % n] << 16)
                    .collect()
            }
            Kind::F16 => halves(0x7c00, 0x3c00),
            Kind::Bf16 => halves(0x7f80, 0x3f80),
            Kind::F32 => [
                0.0,
                1.0,
                f32::INFINITY,
                f32::MAX,
                f32::MIN_POSITIVE,
                0.5,
                1.5,
                2.5,
                2_147_483_648.0,
                0.999_999_94,
                255.5,
                65_535.5,
                4_294_967_296.0,
                9.223_372e18,
                1.844_674_4e19,
                16_777_217.0,
                8_388_609.0,
                65_520.0,
                65_519.996,
                6.1e-5,
                3e-8,
                1.000_976_6,
                3.0,
                126.0,
                1e-40,
            ]
            .iter()
            .map(|v| v.to_bits())
            .chain([
                1,
                0x007f_ffff,
                0x7fc0_0000,
                0x7f80_0001,
                0x3f80_0001,
                0x3f80_8000,
            ])
            .flat_map(|v| [u64::from(v), u64::from(v ^ 0x8000_0000)])
            .collect(),
            Kind::F64 => [
                0.0,
                1.0,
                f64::INFINITY,
                f64::MAX,
                f64::MIN_POSITIVE,
                0.5,
                1.5,
                2.5,
                2_147_483_647.5,
                4_294_967_295.5,
                9.223_372_036_854_776e18,
                1.844_674_407_370_955_2e19,
                1e300,
                3.0,
                f64::from(f32::MAX),
                3.402_823_567_797_336_6e38,
                1e-40,
                7e-46,
                1.000_000_059_604_644_8,
                65_520.0,
                1e-310,
                4_503_599_627_370_497.5,
                255.5,
                0.1,
            ]
            .iter()
            .map(|v: &f64| v.to_bits())
            .chain([
                1,
                0x7ff8_0000_0000_0000,
                0x7ff0_0000_0000_0001,
                0x3ff0_0000_0000_0001,
            ])
            .flat_map(|v| [v, v ^ 1 << 63])
            .collect(),
        }
    }

    fn one_half(self) -> Kind {
        match self {
            Kind::F16x2 => Kind::F16,
            Kind::Bf16x2 => Kind::Bf16,
            other => other,
        }
    }

    /// A random value: any bits, an edge, or a number of ordinary size.
    pub fn random(self, random: &mut Random) -> u64 {
        let bits = random.bits();
        let choice = random.below(4);
        if choice == 0 {
            let edges = self.edges();
            return edges[random.below(edges.len())];
        }
        match self {
            Kind::Pred => bits & 1,
            Kind::Count | Kind::Place => bits % 72,
            Kind::B8 => bits & 0xffff_ffff,
            Kind::B16 | Kind::B32 | Kind::B64 => {
                // Numbers of all lengths.
                let shift = if choice == 1 {
                    random.below(self.bits() as usize)
                } else {
                    0
                };
                (bits & mask(self.bits())) >> shift
            }
            Kind::NonZero(n) => ((bits & mask(n)) >> random.below(n as usize)).max(1),
            Kind::F16x2 | Kind::Bf16x2 => {
                self.one_half().random(random) | self.one_half().random(random) << 16
            }
            _ => {
                let format = self.format().expect("a floating-point kind");
                if choice == 1 {
                    return bits & mask(self.bits());
                }
                let exponent = random.below(if choice == 2 { 6 } else { 40 }) as i32;
                let fraction = bits as i64 as f64 / 2f64.powi(63);
                format.from_f64(fraction * 2f64.powi(exponent - if choice == 2 { 3 } else { 20 }))
            }
        }
    }

    /// Whether two results are the same, or one is the least normal number and the other zero: PTX does not say whether
    /// `.ftz` flushes what only rounding makes a normal number. NVIDIA's GPUs do.
    pub fn agree_after_flushing(self, a: u64, b: u64) -> bool {
        let one = |format: Format, a: u64, b: u64| {
            let least = 1 << (format.fraction + format.padding);
            let magnitudes = [a, b].map(|v| v & (format.sign_bit() - 1));
            let signs = [a, b].map(|v| v & format.sign_bit());
            a == b
                || format.to_f64(a).is_nan() && format.to_f64(b).is_nan()
                || signs[0] == signs[1] && (magnitudes == [0, least] || magnitudes == [least, 0])
        };
        match (self, self.format()) {
            (Kind::F16x2 | Kind::Bf16x2, Some(format)) => {
                one(format, a & 0xffff, b & 0xffff) && one(format, a >> 16, b >> 16)
            }
            (_, Some(format)) => one(format, a, b),
            _ => false,
        }
    }

    /// Whether two results are the same: equal bits, or NaN on both sides (of each half).
    pub fn same(self, a: u64, b: u64) -> bool {
        let one = |a: u64, b: u64| {
            a == b
                || self
                    .format()
                    .is_some_and(|f| f.to_f64(a).is_nan() && f.to_f64(b).is_nan())
        };
        match self {
            Kind::F16x2 | Kind::Bf16x2 => one(a & 0xffff, b & 0xffff) && one(a >> 16, b >> 16),
            _ => one(a, b),
        }
    }
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

fn integers(bits: u32) -> Vec<u64> {
    let (all, top) = (mask(bits), 1u64 << (bits - 1));
    vec![
        0,
        1,
        2,
        all,
        all - 1,
        top,
        top - 1,
        top + 1,
        all / 3,
        all / 3 * 2,
        top >> 1,
        7,
        all >> (bits / 2),
        1 << (bits / 2),
        0x80,
        100,
    ]
}

fn halves(infinity: u64, one: u64) -> Vec<u64> {
    let smallest = one & !(one << 1) & 0x0400;
    let normal = if infinity == 0x7c00 { 0x0400 } else { 0x0080 };
    [
        0,
        one,
        infinity,
        infinity - 1,
        normal,
        normal - 1,
        1,
        one + 1,
        one - 1,
        infinity + 1,
        infinity | infinity >> 1,
        one - normal,
        one + normal / 2,
        one + normal,
        one + normal * 5 / 4,
        one + normal * 9 / 4,
        one + normal * 11,
        one + normal * 14,
        smallest,
    ]
    .into_iter()
    .flat_map(|v| [v & 0xffff, (v ^ 0x8000) & 0xffff])
    .collect()
}
