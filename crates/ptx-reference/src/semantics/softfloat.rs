//! Binary floating point of any small format in exact integer arithmetic, in every rounding mode of PTX.
//!
//! A number is taken apart into sign, exponent and integer significand ([`Format::unpack`]), the operation is done on
//! integers wide enough that nothing is lost but a sticky bit, and the result is put together again ([`Format::round`]).
//!
//! ```
//! use ptx_reference::semantics::softfloat::{Rounding, F32};
//! let third = F32.divide(1f32.to_bits().into(), 3f32.to_bits().into(), Rounding::Up);
//! assert_eq!(f32::from_bits(third as u32), f32::from_bits((1f32 / 3f32).to_bits()));
//! let below = F32.divide(1f32.to_bits().into(), 3f32.to_bits().into(), Rounding::Down);
//! assert_eq!(below + 1, third);
//! ```

/// A rounding mode (PTX ISA, "Rounding Modifiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// `.rn`: to nearest, ties to even.
    NearestEven,
    /// `.rz`: towards zero.
    Zero,
    /// `.rm`: towards negative infinity.
    Down,
    /// `.rp`: towards positive infinity.
    Up,
    /// `.rna`: to nearest, ties away from zero.
    NearestAway,
}

/// What the encodings with the largest exponent mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// Infinity and NaN, as in IEEE 754.
    Ieee,
    /// No infinity; all ones is NaN (`.e4m3`).
    NanOnly,
    /// Neither infinity nor NaN (`.e2m1`, `.e2m3`, `.e3m2`).
    None,
}

/// A binary floating-point format: sign bit, biased exponent, fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the fraction, without the implicit one.
    pub fraction: u32,
    /// Bits below the fraction that are always zero (13 for `.tf32` in its 32-bit register).
    pub padding: u32,
    /// What the largest exponent means.
    pub specials: Specials,
}

const fn ieee(exponent: u32, fraction: u32) -> Format {
    Format {
        exponent,
        fraction,
        padding: 0,
        specials: Specials::Ieee,
    }
}

/// `.f64`
pub const F64: Format = ieee(11, 52);
/// `.f32`
pub const F32: Format = ieee(8, 23);
/// `.f16`
pub const F16: Format = ieee(5, 10);
/// `.bf16`
pub const BF16: Format = ieee(8, 7);
/// `.tf32`, in the upper 19 bits of a 32-bit register.
pub const TF32: Format = Format {
    exponent: 8,
    fraction: 10,
    padding: 13,
    specials: Specials::Ieee,
};
/// `.e5m2`
pub const E5M2: Format = ieee(5, 2);
/// `.e4m3`
pub const E4M3: Format = Format {
    exponent: 4,
    fraction: 3,
    padding: 0,
    specials: Specials::NanOnly,
};
/// `.e3m2`
pub const E3M2: Format = Format {
    exponent: 3,
    fraction: 2,
    padding: 0,
    specials: Specials::None,
};
/// `.e2m3`
pub const E2M3: Format = Format {
    exponent: 2,
    fraction: 3,
    padding: 0,
    specials: Specials::None,
};
/// `.e2m1`
pub const E2M1: Format = Format {
    exponent: 2,
    fraction: 1,
    padding: 0,
    specials: Specials::None,
};

/// A number taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Not a number.
    Nan,
    /// An infinity; `true` is negative.
    Infinity(bool),
    /// `significand * 2^exponent`, negative if `negative`; a zero has significand 0.
    Finite {
        /// The sign.
        negative: bool,
        /// The weight of the significand's lowest bit.
        exponent: i32,
        /// The digits.
        significand: u128,
    },
}

impl Number {
    /// A zero of the given sign.
    pub const fn zero(negative: bool) -> Number {
        Number::Finite {
            negative,
            exponent: 0,
            significand: 0,
        }
    }

    /// An integer.
    pub fn integer(value: i128) -> Number {
        Number::Finite {
            negative: value < 0,
            exponent: 0,
            significand: value.unsigned_abs(),
        }
    }

    /// The same number with its sign flipped.
    pub fn negate(self) -> Number {
        match self {
            Number::Nan => Number::Nan,
            Number::Infinity(negative) => Number::Infinity(!negative),
            Number::Finite {
                negative,
                exponent,
                significand,
            } => Number::Finite {
                negative: !negative,
                exponent,
                significand,
            },
        }
    }

    /// Whether the sign is negative; false for NaN.
    pub fn is_negative(self) -> bool {
        match self {
            Number::Nan => false,
            Number::Infinity(negative) | Number::Finite { negative, .. } => negative,
        }
    }

    /// Whether this is a zero.
    pub fn is_zero(self) -> bool {
        matches!(self, Number::Finite { significand: 0, .. })
    }

    /// The sum, exact but for a sticky lowest bit far below the 64 leading ones. The sign of an exact zero of unlike
    /// signs is negative only when rounding down.
    pub fn add(self, other: Number, rounding: Rounding) -> Number {
        use Number::*;
        let (a, b) = match (self, other) {
            (Nan, _) | (_, Nan) => return Nan,
            (Infinity(x), Infinity(y)) => return if x == y { self } else { Nan },
            (Infinity(_), _) => return self,
            (_, Infinity(_)) => return other,
            (
                Finite {
                    negative: x,
                    significand: 0,
                    ..
                },
                Finite {
                    negative: y,
                    significand: 0,
                    ..
                },
            ) => {
                return Number::zero(if x == y {
                    x
                } else {
                    rounding == Rounding::Down
                });
            }
            (Finite { significand: 0, .. }, _) => return other,
            (_, Finite { significand: 0, .. }) => return self,
            _ => (self.normalised(), other.normalised()),
        };
        let (Finite { exponent: ea, .. }, Finite { exponent: eb, .. }) = (a, b) else {
            unreachable!()
        };
        let (large, small) = if ea >= eb { (a, b) } else { (b, a) };
        let (
            Finite {
                negative: nl,
                exponent: el,
                significand: sl,
            },
            Finite {
                negative: ns,
                exponent: es,
                significand: ss,
            },
        ) = (large, small)
        else {
            unreachable!()
        };
        let ss = shift_right_sticky(ss, (el - es) as u32);
        if nl == ns {
            return Finite {
                negative: nl,
                exponent: el,
                significand: sl + ss,
            };
        }
        match sl.cmp(&ss) {
            std::cmp::Ordering::Equal => Number::zero(rounding == Rounding::Down),
            std::cmp::Ordering::Greater => Finite {
                negative: nl,
                exponent: el,
                significand: sl - ss,
            },
            std::cmp::Ordering::Less => Finite {
                negative: ns,
                exponent: el,
                significand: ss - sl,
            },
        }
    }

    /// The product; exact for significands of up to 64 bits.
    pub fn multiply(self, other: Number) -> Number {
        use Number::*;
        match (self, other) {
            (Nan, _) | (_, Nan) => Nan,
            (Infinity(x), Infinity(y)) => Infinity(x != y),
            (Infinity(x), n @ Finite { negative: y, .. })
            | (n @ Finite { negative: y, .. }, Infinity(x)) => {
                if n.is_zero() {
                    Nan
                } else {
                    Infinity(x != y)
                }
            }
            (
                Finite {
                    negative: x,
                    exponent: ex,
                    significand: sx,
                },
                Finite {
                    negative: y,
                    exponent: ey,
                    significand: sy,
                },
            ) => Finite {
                negative: x != y,
                exponent: ex + ey,
                significand: sx * sy,
            },
        }
    }

    /// The quotient, exact but for a sticky lowest bit; for significands of up to 64 bits.
    pub fn divide(self, other: Number) -> Number {
        use Number::*;
        match (self, other) {
            (Nan, _) | (_, Nan) | (Infinity(_), Infinity(_)) => Nan,
            (Infinity(x), Finite { negative: y, .. }) => Infinity(x != y),
            (Finite { negative: x, .. }, Infinity(y)) => Number::zero(x != y),
            (
                Finite {
                    negative: x,
                    significand: sx,
                    ..
                },
                Finite {
                    negative: y,
                    significand: 0,
                    ..
                },
            ) => {
                if sx == 0 {
                    Nan
                } else {
                    Infinity(x != y)
                }
            }
            (
                Finite {
                    negative: x,
                    significand: 0,
                    ..
                },
                Finite { negative: y, .. },
            ) => Number::zero(x != y),
            (
                Finite {
                    negative: x,
                    exponent: ex,
                    significand: sx,
                },
                Finite {
                    negative: y,
                    exponent: ey,
                    significand: sy,
                },
            ) => {
                let shift = sx.leading_zeros();
                let dividend = sx << shift;
                let sticky = u128::from(dividend % sy != 0);
                Finite {
                    negative: x != y,
                    exponent: ex - shift as i32 - ey,
                    significand: (dividend / sy) | sticky,
                }
            }
        }
    }

    /// The square root, exact but for a sticky lowest bit; 62 bits are right, enough for every format here.
    pub fn square_root(self) -> Number {
        match self {
            Number::Nan | Number::Infinity(true) => Number::Nan,
            Number::Infinity(false) => self,
            Number::Finite { significand: 0, .. } => self,
            Number::Finite { negative: true, .. } => Number::Nan,
            Number::Finite {
                exponent,
                significand,
                ..
            } => {
                let mut shift = significand.leading_zeros();
                if (exponent - shift as i32) % 2 != 0 {
                    shift -= 1;
                }
                let radicand = significand << shift;
                let root = radicand.isqrt();
                // Two more bits below the root hold what is left, so that it cannot be taken for a tie.
                let sticky = u128::from(root * root != radicand);
                Number::Finite {
                    negative: false,
                    exponent: (exponent - shift as i32) / 2 - 2,
                    significand: root << 2 | sticky,
                }
            }
        }
    }

    /// The number rounded to an integer, the sign of a zero kept.
    pub fn round_to_integer(self, rounding: Rounding) -> Number {
        match self {
            Number::Finite {
                negative,
                exponent,
                significand,
            } if exponent < 0 => Number::Finite {
                negative,
                exponent: 0,
                significand: round_shift(significand, (-exponent) as u32, negative, rounding),
            },
            _ => self,
        }
    }

    /// With the leading one at bit 125, so that sums cannot overflow.
    fn normalised(self) -> Number {
        let Number::Finite {
            negative,
            exponent,
            significand,
        } = self
        else {
            return self;
        };
        let zeros = significand.leading_zeros() as i32 - 2;
        if zeros >= 0 {
            Number::Finite {
                negative,
                exponent: exponent - zeros,
                significand: significand << zeros,
            }
        } else {
            let significand = shift_right_sticky(significand, (-zeros) as u32);
            Number::Finite {
                negative,
                exponent: exponent - zeros,
                significand,
            }
        }
    }
}

/// `value >> shift`, the lowest bit set if any bit set was shifted out.
fn shift_right_sticky(value: u128, shift: u32) -> u128 {
    match shift {
        0 => value,
        1..=127 => value >> shift | u128::from(value << (128 - shift) != 0),
        _ => u128::from(value != 0),
    }
}

/// `value / 2^shift` rounded to an integer.
fn round_shift(value: u128, shift: u32, negative: bool, rounding: Rounding) -> u128 {
    if shift == 0 {
        return value;
    }
    let (kept, rest) = if shift >= 128 {
        (
            0,
            if shift > 128 {
                shift_right_sticky(value, 1) >> 1 | u128::from(value != 0)
            } else {
                value
            },
        )
    } else {
        (value >> shift, value << (128 - shift))
    };
    // `rest` is the fraction in units of 2^-128; with a shift over 128 only that it is below a half matters.
    let half = 1u128 << 127;
    let up = match rounding {
        Rounding::Zero => false,
        Rounding::Down => negative && rest != 0,
        Rounding::Up => !negative && rest != 0,
        Rounding::NearestEven => rest > half || rest == half && kept & 1 == 1,
        Rounding::NearestAway => rest >= half,
    };
    kept + u128::from(up)
}

impl Format {
    /// Bits of an encoding, padding included.
    pub const fn width(self) -> u32 {
        1 + self.exponent + self.fraction + self.padding
    }

    const fn bias(self) -> i32 {
        (1 << (self.exponent - 1)) - 1
    }

    /// The exponent of the lowest bit of a subnormal.
    const fn lowest(self) -> i32 {
        1 - self.bias() - self.fraction as i32
    }

    /// The encoding of the sign bit alone: negative zero.
    pub const fn sign_bit(self) -> u64 {
        1 << (self.width() - 1)
    }

    /// The encoding of positive infinity. Only for formats that have one.
    pub const fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << (self.fraction + self.padding)
    }

    /// The encoding of the largest finite number.
    pub const fn max_finite(self) -> u64 {
        let all = (1 << (self.exponent + self.fraction)) - 1;
        (match self.specials {
            Specials::Ieee => all & !(1 << self.fraction),
            Specials::NanOnly => all - 1,
            Specials::None => all,
        }) << self.padding
    }

    /// The canonical NaN that PTX instructions return: all ones but the sign (`0x7fffffff` for `.f32`). Formats
    /// without a NaN give their largest number.
    pub const fn nan(self) -> u64 {
        self.sign_bit() - 1
    }

    /// Takes an encoding apart; higher bits and padding are ignored.
    pub fn unpack(self, bits: u64) -> Number {
        let bits = bits >> self.padding;
        let negative = bits >> (self.exponent + self.fraction) & 1 == 1;
        let fraction = bits & ((1 << self.fraction) - 1);
        let ones = (1 << self.exponent) - 1;
        let biased = bits >> self.fraction & ones;
        match self.specials {
            Specials::Ieee if biased == ones => {
                return if fraction == 0 {
                    Number::Infinity(negative)
                } else {
                    Number::Nan
                };
            }
            Specials::NanOnly if biased == ones && fraction == (1 << self.fraction) - 1 => {
                return Number::Nan
            }
            _ => {}
        }
        if fraction == 0 && biased == 0 {
            Number::zero(negative)
        } else if biased == 0 {
            Number::Finite {
                negative,
                exponent: self.lowest(),
                significand: fraction.into(),
            }
        } else {
            Number::Finite {
                negative,
                exponent: self.lowest() + biased as i32 - 1,
                significand: u128::from(fraction | 1 << self.fraction),
            }
        }
    }

    /// The encoding of the number, rounded. NaN is canonical; a number too large becomes infinity or the largest
    /// finite number as the rounding mode says (the latter always in formats without infinity, except that formats
    /// with a NaN only give NaN for an infinity).
    pub fn round(self, number: Number, rounding: Rounding) -> u64 {
        let (negative, exponent, significand) = match number {
            Number::Nan => return self.nan(),
            Number::Infinity(negative) => {
                let sign = if negative { self.sign_bit() } else { 0 };
                return sign
                    | match self.specials {
                        Specials::Ieee => self.infinity(),
                        Specials::NanOnly => self.nan(),
                        Specials::None => self.max_finite(),
                    };
            }
            Number::Finite {
                negative,
                exponent,
                significand,
            } => (negative, exponent, significand),
        };
        let sign = if negative { self.sign_bit() } else { 0 };
        if significand == 0 {
            return sign;
        }
        let top = 127 - significand.leading_zeros() as i32 + exponent;
        let quantum = (top - self.fraction as i32).max(self.lowest());
        let kept = if quantum <= exponent {
            significand << (exponent - quantum)
        } else {
            round_shift(significand, (quantum - exponent) as u32, negative, rounding)
        };
        // The implicit one adds itself to the exponent field; so does a carry out of the fraction.
        let magnitude = (((quantum - self.lowest()) as u128) << self.fraction) + kept;
        if magnitude > u128::from(self.max_finite() >> self.padding) {
            let to_infinity = match rounding {
                Rounding::NearestEven | Rounding::NearestAway => true,
                Rounding::Zero => false,
                Rounding::Down => negative,
                Rounding::Up => !negative,
            };
            return sign
                | match self.specials {
                    Specials::Ieee if to_infinity => self.infinity(),
                    Specials::NanOnly if to_infinity => self.nan(),
                    _ => self.max_finite(),
                };
        }
        sign | (magnitude as u64) << self.padding
    }

    /// Whether the encoding is a NaN.
    pub fn is_nan(self, bits: u64) -> bool {
        self.unpack(bits) == Number::Nan
    }

    /// Whether the encoding is subnormal (and not zero).
    pub fn is_subnormal(self, bits: u64) -> bool {
        let magnitude = (bits & (self.sign_bit() - 1)) >> self.padding;
        magnitude != 0 && magnitude < 1 << self.fraction
    }

    /// The encoding with a subnormal replaced by a zero of the same sign (`.ftz`).
    pub fn flush(self, bits: u64) -> u64 {
        if self.is_subnormal(bits) {
            bits & self.sign_bit()
        } else {
            bits
        }
    }

    /// `a + b`
    pub fn add(self, a: u64, b: u64, rounding: Rounding) -> u64 {
        self.round(self.unpack(a).add(self.unpack(b), rounding), rounding)
    }

    /// `a * b`
    pub fn multiply(self, a: u64, b: u64, rounding: Rounding) -> u64 {
        self.round(self.unpack(a).multiply(self.unpack(b)), rounding)
    }

    /// `a * b + c`, rounded once.
    pub fn multiply_add(self, a: u64, b: u64, c: u64, rounding: Rounding) -> u64 {
        let product = self.unpack(a).multiply(self.unpack(b));
        self.round(product.add(self.unpack(c), rounding), rounding)
    }

    /// `a / b`
    pub fn divide(self, a: u64, b: u64, rounding: Rounding) -> u64 {
        self.round(self.unpack(a).divide(self.unpack(b)), rounding)
    }

    /// The square root of `a`.
    pub fn square_root(self, a: u64, rounding: Rounding) -> u64 {
        self.round(self.unpack(a).square_root(), rounding)
    }

    /// The value as a double; exact, since every format here is a subset of `.f64`.
    pub fn to_f64(self, bits: u64) -> f64 {
        match self.unpack(bits) {
            Number::Nan => f64::NAN,
            number => f64::from_bits(F64.round(number, Rounding::NearestEven)),
        }
    }

    /// The nearest value to a double.
    pub fn from_f64(self, value: f64) -> u64 {
        self.round(F64.unpack(value.to_bits()), Rounding::NearestEven)
    }
}
