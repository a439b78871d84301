//! Double precision by integers: fma where the device's is not fused, and every operation with directed rounding (PTX ISA,
//! "Rounding Modifiers"). Devices without double precision have their quotients and roots here, too, and all else in
//! `soft_double.rs`.
//!
//! Functions of the shader. Significands are brought to 53 bits, exact results are kept in 128 bits with a last bit
//! that stands for all that was lost, and rounded once. Quotients and roots are found bit by bit.

use super::float::Directed;
use super::*;
use crate::assembler::{DoubleFunction, INFINITY, SIGN};
use rspirv::spirv::GLOp;

/// Exponent field of infinities and NaNs.
const SPECIAL: u32 = 0x7ff;
const FRACTION: u64 = (1 << 52) - 1;
const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;

/// 128 bits.
#[derive(Clone, Copy)]
struct Wide {
    high: Id,
    low: Id,
}

/// A finite number: `significand * 2^(exponent - 1075)`, the significand of 53 bits unless it is zero.
pub(super) struct Unpacked {
    pub(super) bits: Id,
    /// Whether the sign bit is set.
    pub(super) negative: Id,
    /// The exponent field, as it stands.
    field: Id,
    pub(super) exponent: Id,
    pub(super) significand: Id,
}

/// A format that numbers are packed in.
pub(super) struct Format {
    /// Bits behind the point.
    fraction: u32,
    /// What is added to exponents.
    bias: i64,
}

pub(super) const DOUBLE: Format = Format {
    fraction: 52,
    bias: 1023,
};
pub(super) const SINGLE: Format = Format {
    fraction: 23,
    bias: 127,
};

/// How a number is rounded.
#[derive(Clone, Copy)]
pub(super) enum Rounding {
    Nearest,
    /// In the mode with this number, for which the sign is needed.
    By {
        mode: Id,
        negative: Id,
    },
}

/// How helpers are told the rounding mode: 0 is to nearest.
fn mode_number(mode: Option<Directed>) -> u32 {
    match mode {
        None => 0,
        Some(Directed::Zero) => 1,
        Some(Directed::Down) => 2,
        Some(Directed::Up) => 3,
    }
}

impl Emitter<'_> {
    /// a * b + c.
    pub(super) fn double_fma(&mut self, a: Id, b: Id, c: Id, mode: Option<Directed>) -> Id {
        let mode = self.asm.u32(mode_number(mode));
        self.asm
            .call_double(DoubleFunction::Fma, Type::F64, &[a, b, c, mode])
    }

    /// a + b, or a * b, as fma.
    pub(super) fn double_directed(&mut self, op: Op, a: Id, b: Id, mode: Directed) -> Id {
        let one = self.asm.constant(Type::F64, 1f64.to_bits());
        match op {
            Op::FAdd => self.double_fma(a, one, b, Some(mode)),
            Op::FSub => {
                let b = self.asm.op(Op::FNegate, Type::F64, &[b]);
                self.double_fma(a, one, b, Some(mode))
            }
            _ => {
                // A zero with the product's sign changes nothing.
                let (x, y) = (self.bits_of(a), self.bits_of(b));
                let s = self.sign_of_product(x, y);
                let zero = self.asm.op(Op::Bitcast, Type::F64, &[s]);
                self.double_fma(a, b, zero, Some(mode))
            }
        }
    }

    pub(super) fn double_quotient(&mut self, a: Id, b: Id, mode: Directed) -> Id {
        let mode = self.asm.u32(mode_number(Some(mode)));
        self.asm
            .call_double(DoubleFunction::Divide, Type::F64, &[a, b, mode])
    }

    pub(super) fn double_root(&mut self, a: Id, mode: Directed) -> Id {
        let mode = self.asm.u32(mode_number(Some(mode)));
        self.asm
            .call_double(DoubleFunction::Root, Type::F64, &[a, mode])
    }

    pub(super) fn w(&mut self, op: Op, a: Id, b: Id) -> Id {
        self.asm.op(op, Type::U64, &[a, b])
    }

    pub(super) fn n(&mut self, op: Op, a: Id, b: Id) -> Id {
        self.asm.op(op, Type::U32, &[a, b])
    }

    pub(super) fn test(&mut self, op: Op, a: Id, b: Id) -> Id {
        self.asm.op(op, Type::Bool, &[a, b])
    }

    pub(super) fn pick(&mut self, ty: Type, condition: Id, yes: Id, no: Id) -> Id {
        self.asm.op(Op::Select, ty, &[condition, yes, no])
    }

    /// A constant of 64 bits.
    pub(super) fn c64(&mut self, bits: u64) -> Id {
        self.asm.constant(Type::U64, bits)
    }

    pub(super) fn either(&mut self, tests: &[Id]) -> Id {
        let all = |a, &b| self.test(Op::LogicalOr, a, b);
        tests[1..].iter().fold(tests[0], all)
    }

    pub(super) fn bits_of(&mut self, id: Id) -> Id {
        self.asm.op(Op::Bitcast, Type::U64, &[id])
    }

    /// Returns the double that has these bits from the function that is written.
    pub(super) fn return_double(&mut self, bits: Id) {
        let id = self.asm.op(Op::Bitcast, Type::F64, &[bits]);
        self.asm.void(Op::ReturnValue, &[id]);
    }

    /// 1 or 0 of 64 bits.
    pub(super) fn one_if(&mut self, condition: Id) -> Id {
        let (one, zero) = (self.c64(1), self.c64(0));
        self.pick(Type::U64, condition, one, zero)
    }

    /// A number of 64 bits with 1 in the last bit where another one is not zero.
    pub(super) fn sticky(&mut self, word: Id, rest: Id) -> Id {
        let zero = self.c64(0);
        let some = self.test(Op::INotEqual, rest, zero);
        let last = self.one_if(some);
        self.w(Op::BitwiseOr, word, last)
    }

    /// Writes `for _ in 0..count { state = body(state) }` for words of 64 bits and gives what they are at the end.
    fn iterate<const N: usize>(
        &mut self,
        count: u32,
        first: [Id; N],
        body: impl FnOnce(&mut Self, [Id; N]) -> [Id; N],
    ) -> [Id; N] {
        let state = first.map(|_| self.asm.variable(Type::U64));
        let store = |e: &mut Self, values: [Id; N]| {
            for (variable, value) in state.into_iter().zip(values) {
                e.asm.void(Op::Store, &[variable, value]);
            }
        };
        let load = |e: &mut Self| state.map(|v| e.asm.op(Op::Load, Type::U64, &[v]));
        store(self, first);
        self.repeat(count, |e, _| {
            let values = load(e);
            let values = body(e, values);
            store(e, values);
        });
        load(self)
    }

    pub(super) fn unpack(&mut self, number: Id) -> Unpacked {
        let bits = self.bits_of(number);
        let (k52, k11, zero, zero64) = (
            self.asm.u32(52),
            self.asm.u32(11),
            self.asm.u32(0),
            self.c64(0),
        );
        let negative = self.test(Op::SLessThan, bits, zero64);
        let field = self.w(Op::ShiftRightLogical, bits, k52);
        let field = self.asm.op(Op::UConvert, Type::U32, &[field]);
        let special = self.asm.u32(SPECIAL);
        let field = self.n(Op::BitwiseAnd, field, special);
        let fraction = self.c64(FRACTION);
        let m = self.w(Op::BitwiseAnd, bits, fraction);
        let subnormal = self.test(Op::IEqual, field, zero);
        let zeros = self.leading_zeros(m, Type::U64);
        let up = self.n(Op::ISub, zeros, k11);
        let shifted = self.w(Op::ShiftLeftLogical, m, up);
        let one = self.asm.u32(1);
        let low = self.n(Op::ISub, one, up);
        let hidden = self.c64(FRACTION + 1);
        let whole = self.w(Op::BitwiseOr, m, hidden);
        Unpacked {
            bits,
            negative,
            field,
            exponent: self.pick(Type::U32, subnormal, low, field),
            significand: self.pick(Type::U64, subnormal, shifted, whole),
        }
    }

    /// Whether the number is not finite.
    pub(super) fn is_special(&mut self, x: &Unpacked) -> Id {
        let special = self.asm.u32(SPECIAL);
        self.test(Op::IEqual, x.field, special)
    }

    pub(super) fn is_zero(&mut self, x: &Unpacked) -> Id {
        let zero = self.c64(0);
        self.test(Op::IEqual, x.significand, zero)
    }

    /// The sign bit of a product.
    pub(super) fn sign_of_product(&mut self, a: Id, b: Id) -> Id {
        let sign = self.c64(SIGN);
        let s = self.w(Op::BitwiseXor, a, b);
        self.w(Op::BitwiseAnd, s, sign)
    }

    /// NaN where the condition holds.
    pub(super) fn nan_if(&mut self, condition: Id, bits: Id) -> Id {
        let nan = self.c64(QUIET_NAN);
        self.pick(Type::U64, condition, nan, bits)
    }

    /// `v << (64 - m)`; zero for m = 0.
    fn spill(&mut self, v: Id, m: Id) -> Id {
        let (one, k63) = (self.asm.u32(1), self.asm.u32(63));
        let rest = self.n(Op::ISub, k63, m);
        let v = self.w(Op::ShiftLeftLogical, v, one);
        self.w(Op::ShiftLeftLogical, v, rest)
    }

    /// Shifted right by any amount, with what is lost in the last bit.
    fn jam(&mut self, x: Wide, n: Id) -> Wide {
        let (k127, k63, k64) = (self.asm.u32(127), self.asm.u32(63), self.asm.u32(64));
        let zero = self.c64(0);
        let n = self.asm.glsl(GLOp::UMin, Type::U32, &[n, k127]);
        let small = self.test(Op::ULessThan, n, k64);
        let m = self.n(Op::BitwiseAnd, n, k63);
        let high = self.w(Op::ShiftRightLogical, x.high, m);
        let low = self.w(Op::ShiftRightLogical, x.low, m);
        let from_high = self.spill(x.high, m);
        let low = self.w(Op::BitwiseOr, low, from_high);
        let lost_small = self.spill(x.low, m);
        let lost_big = self.w(Op::BitwiseOr, x.low, from_high);
        let lost = self.pick(Type::U64, small, lost_small, lost_big);
        let low = self.pick(Type::U64, small, low, high);
        Wide {
            high: self.pick(Type::U64, small, high, zero),
            low: self.sticky(low, lost),
        }
    }

    /// Shifted right by any amount below 2^31, with what is lost in the last bit.
    pub(super) fn jam64(&mut self, x: Id, places: Id) -> Id {
        let (most, one) = (self.asm.u32(63), self.asm.u32(1));
        let places = self.asm.glsl(GLOp::UMin, Type::U32, &[places, most]);
        let high = self.w(Op::ShiftRightLogical, x, places);
        // What is lost, at the top. 63 places leave one bit, which only numbers that are lost anyway have.
        let back = self.n(Op::ISub, most, places);
        let lost = self.w(Op::ShiftLeftLogical, x, back);
        let lost = self.w(Op::ShiftLeftLogical, lost, one);
        self.sticky(high, lost)
    }

    /// The upper half of 128 bits (not all zero) that are shifted left as far as there are zeros, with what is below it in the last
    /// bit; and the number of places.
    fn normalised(&mut self, x: Wide) -> (Id, Id) {
        let (k63, one, k64) = (self.asm.u32(63), self.asm.u32(1), self.asm.u32(64));
        let zero = self.c64(0);
        let small = self.test(Op::INotEqual, x.high, zero);
        // A whole word first.
        let high = self.pick(Type::U64, small, x.high, x.low);
        let low = self.pick(Type::U64, small, x.low, zero);
        let m = self.leading_zeros(high, Type::U64);
        let rest = self.n(Op::ISub, k63, m);
        let more = self.w(Op::ShiftRightLogical, low, one);
        let more = self.w(Op::ShiftRightLogical, more, rest);
        let high = self.w(Op::ShiftLeftLogical, high, m);
        let high = self.w(Op::BitwiseOr, high, more);
        let low = self.w(Op::ShiftLeftLogical, low, m);
        let further = self.n(Op::IAdd, m, k64);
        let places = self.pick(Type::U32, small, m, further);
        (self.sticky(high, low), places)
    }

    /// `significand * 2^exponent` (significand not zero), rounded to a format, without its sign.
    pub(super) fn pack(
        &mut self,
        significand: Id,
        exponent: Id,
        format: &Format,
        rounding: Rounding,
    ) -> Id {
        let zeros = self.leading_zeros(significand, Type::U64);
        let s = self.w(Op::ShiftLeftLogical, significand, zeros);
        let exponent = self.n(Op::ISub, exponent, zeros);
        self.pack_normalised(s, exponent, format, rounding)
    }

    /// The same for a significand whose first bit is set.
    fn pack_normalised(&mut self, s: Id, exponent: Id, format: &Format, by: Rounding) -> Id {
        let Format { fraction, bias } = *format;
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let field = self.offset(exponent, Type::U32, 63 + bias);
        // Subnormal numbers have fewer bits.
        let missing = self.n(Op::ISub, one, field);
        let missing = self.asm.glsl(GLOp::SMax, Type::U32, &[missing, zero]);
        let s = self.jam64(s, missing);
        let field = self.asm.glsl(GLOp::SMax, Type::U32, &[field, one]);
        let dropped = 63 - fraction;
        let (places, mask) = (self.asm.u32(dropped), self.c64((1 << dropped) - 1));
        let kept = self.w(Op::ShiftRightLogical, s, places);
        let rest = self.w(Op::BitwiseAnd, s, mask);
        // What is added so that the bits that are dropped give one to those that are kept.
        let (unit, below_half) = (self.c64(1), self.c64((1 << (dropped - 1)) - 1));
        let odd = self.w(Op::BitwiseAnd, kept, unit);
        let mut bias_of_rest = self.w(Op::IAdd, odd, below_half);
        let mut to_infinity = None;
        if let Rounding::By { mode, negative } = by {
            let positive = self.asm.op(Op::LogicalNot, Type::Bool, &[negative]);
            let modes = [None, Some(Directed::Down), Some(Directed::Up)];
            let [is_nearest, is_down, is_up] = modes.map(|m| {
                let m = self.asm.u32(mode_number(m));
                self.test(Op::IEqual, mode, m)
            });
            let down = self.test(Op::LogicalAnd, is_down, negative);
            let up = self.test(Op::LogicalAnd, is_up, positive);
            let outward = self.test(Op::LogicalOr, down, up);
            let none = self.c64(0);
            let directed = self.pick(Type::U64, outward, mask, none);
            bias_of_rest = self.pick(Type::U64, is_nearest, bias_of_rest, directed);
            to_infinity = Some(self.test(Op::LogicalOr, is_nearest, outward));
        }
        let more = self.w(Op::IAdd, rest, bias_of_rest);
        let more = self.w(Op::ShiftRightLogical, more, places);
        let below = self.n(Op::ISub, field, one);
        let below = self.asm.op(Op::UConvert, Type::U64, &[below]);
        let places = self.asm.u32(fraction);
        let base = self.w(Op::ShiftLeftLogical, below, places);
        let bits = self.w(Op::IAdd, base, kept);
        // Rounding up the largest number gives the bits of infinity.
        let bits = self.w(Op::IAdd, bits, more);
        let special = 2 * bias as u32 + 1;
        let infinity = u64::from(special) << fraction;
        let (special, largest) = (self.asm.u32(special), self.c64(infinity - 1));
        let infinity = self.c64(infinity);
        let far = self.test(Op::UGreaterThanEqual, field, special);
        let limit = match to_infinity {
            None => infinity,
            Some(condition) => self.pick(Type::U64, condition, infinity, largest),
        };
        self.pick(Type::U64, far, limit, bits)
    }

    /// Puts the sign bit before a number.
    pub(super) fn with_sign(&mut self, negative: Id, bits: Id) -> Id {
        let (sign, zero) = (self.c64(SIGN), self.c64(0));
        let sign = self.pick(Type::U64, negative, sign, zero);
        self.w(Op::BitwiseOr, sign, bits)
    }

    pub(super) fn write_double_function(&mut self, function: DoubleFunction, id: Id) {
        match function {
            DoubleFunction::Fma => self.write_fma64(id),
            DoubleFunction::Divide => self.write_div64(id),
            DoubleFunction::Root => self.write_sqrt64(id),
            _ => self.write_soft_double(function, id),
        }
    }

    fn pick_wide(&mut self, condition: Id, yes: Wide, no: Wide) -> Wide {
        Wide {
            high: self.pick(Type::U64, condition, yes.high, no.high),
            low: self.pick(Type::U64, condition, yes.low, no.low),
        }
    }

    /// `x + y` or, where the condition holds, `x - y`.
    fn add_wide(&mut self, x: Wide, y: Wide, minus: Id) -> Wide {
        let (zero, one) = (self.c64(0), self.c64(1));
        let all = self.c64(u64::MAX);
        let mask = self.pick(Type::U64, minus, all, zero);
        let unit = self.pick(Type::U64, minus, one, zero);
        let y = Wide {
            high: self.w(Op::BitwiseXor, y.high, mask),
            low: self.w(Op::BitwiseXor, y.low, mask),
        };
        let low = self.w(Op::IAdd, x.low, y.low);
        let carry = self.test(Op::ULessThan, low, y.low);
        let carry = self.one_if(carry);
        let low = self.w(Op::IAdd, low, unit);
        let second = self.test(Op::ULessThan, low, unit);
        let second = self.one_if(second);
        let high = self.w(Op::IAdd, x.high, y.high);
        let high = self.w(Op::IAdd, high, carry);
        let high = self.w(Op::IAdd, high, second);
        Wide { high, low }
    }

    fn write_fma64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f, f, Type::U32]);
        let mode = p[3];
        let (a, b, c) = (self.unpack(p[0]), self.unpack(p[1]), self.unpack(p[2]));
        let (sa, sb, sc) = (
            self.is_special(&a),
            self.is_special(&b),
            self.is_special(&c),
        );
        let (za, zb, zc) = (self.is_zero(&a), self.is_zero(&b), self.is_zero(&c));
        let special_factor = self.test(Op::LogicalOr, sa, sb);
        let zero_product = self.test(Op::LogicalOr, za, zb);
        let simple = self.test(Op::LogicalOr, special_factor, sc);
        let simple = self.test(Op::LogicalOr, simple, zero_product);
        let is_down = {
            let down = self.asm.u32(mode_number(Some(Directed::Down)));
            self.test(Op::IEqual, mode, down)
        };
        let (sign, zero64) = (self.c64(SIGN), self.c64(0));
        let result = self.choose(
            simple,
            Type::U64,
            |e| {
                // Zeros, infinities and NaNs: nothing is rounded. A finite product does not reach an infinite addend.
                let sign_p = e.sign_of_product(a.bits, b.bits);
                let infinity = e.c64(INFINITY);
                let infinite = e.w(Op::BitwiseOr, sign_p, infinity);
                // Downwards, a zero is negative unless both addends are positive zeros.
                let both = e.w(Op::BitwiseAnd, sign_p, c.bits);
                let any = e.w(Op::BitwiseOr, sign_p, c.bits);
                let none = e.pick(Type::U64, is_down, any, both);
                let bits = e.pick(Type::U64, zc, none, c.bits);
                let bits = e.pick(Type::U64, special_factor, infinite, bits);
                let clash = e.test(Op::INotEqual, infinite, c.bits);
                let clash = e.test(Op::LogicalAnd, clash, sc);
                let invalid = e.test(Op::LogicalOr, zero_product, clash);
                let invalid = e.test(Op::LogicalAnd, special_factor, invalid);
                let nans = [a.bits, b.bits, c.bits].map(|x| e.asm.is_nan(x));
                let nan = e.either(&nans);
                let nan = e.test(Op::LogicalOr, nan, invalid);
                e.nan_if(nan, bits)
            },
            |e| {
                // The product, shifted left by 20, and the addend, by 73: both below 2^126.
                let (k20, k44) = (e.asm.u32(20), e.asm.u32(44));
                let low = e.w(Op::IMul, a.significand, b.significand);
                let high = e.multiply_high(Type::U64, false, a.significand, b.significand);
                let carried = e.w(Op::ShiftRightLogical, low, k44);
                let high = e.w(Op::ShiftLeftLogical, high, k20);
                let product = Wide {
                    high: e.w(Op::BitwiseOr, high, carried),
                    low: e.w(Op::ShiftLeftLogical, low, k20),
                };
                let pe = e.n(Op::IAdd, a.exponent, b.exponent);
                let pe = e.offset(pe, Type::U32, -2150 - 20);
                let k9 = e.asm.u32(9);
                let addend = Wide {
                    high: e.w(Op::ShiftLeftLogical, c.significand, k9),
                    low: zero64,
                };
                let ce = e.offset(c.exponent, Type::U32, -1075 - 73);
                // The one with the larger exponent stays. Nothing is added to a product by a zero.
                let difference = e.n(Op::ISub, pe, ce);
                let zero = e.asm.u32(0);
                let back = e.n(Op::ISub, zero, difference);
                let ahead = e.test(Op::SGreaterThanEqual, difference, zero);
                let ahead = e.test(Op::LogicalOr, ahead, zc);
                let places = e.asm.glsl(GLOp::SMax, Type::U32, &[difference, back]);
                let large = e.pick_wide(ahead, product, addend);
                let small = e.pick_wide(ahead, addend, product);
                let exponent = e.pick(Type::U32, ahead, pe, ce);
                let small = e.jam(small, places);
                let negative_p = e.test(Op::LogicalNotEqual, a.negative, b.negative);
                let differ = e.test(Op::LogicalNotEqual, negative_p, c.negative);
                let first = e.pick(Type::Bool, ahead, negative_p, c.negative);
                // Subtracted where the signs differ: both are below 2^127, so the first bit tells which was larger.
                let sum = e.add_wide(large, small, differ);
                let below = e.test(Op::SLessThan, sum.high, zero64);
                let turned = e.test(Op::LogicalAnd, below, differ);
                let nothing = Wide {
                    high: zero64,
                    low: zero64,
                };
                let s = e.add_wide(nothing, sum, turned);
                let negative = e.test(Op::LogicalNotEqual, first, turned);
                let any = e.w(Op::BitwiseOr, s.high, s.low);
                let none = e.test(Op::IEqual, any, zero64);
                let (s, places) = e.normalised(s);
                let exponent = e.offset(exponent, Type::U32, 64);
                let exponent = e.n(Op::ISub, exponent, places);
                let by = Rounding::By { mode, negative };
                let bits = e.pack_normalised(s, exponent, &DOUBLE, by);
                let bits = e.with_sign(negative, bits);
                let cancelled = e.pick(Type::U64, is_down, sign, zero64);
                e.pick(Type::U64, none, cancelled, bits)
            },
        );
        self.return_double(result);
    }

    fn write_div64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f, Type::U32]);
        let (a, b, mode) = (self.unpack(p[0]), self.unpack(p[1]), p[2]);
        let (sa, sb) = (self.is_special(&a), self.is_special(&b));
        let (za, zb) = (self.is_zero(&a), self.is_zero(&b));
        let simple = self.either(&[sa, sb, za, zb]);
        let result = self.choose(
            simple,
            Type::U64,
            |e| {
                let sign = e.sign_of_product(a.bits, b.bits);
                let (infinity, zero) = (e.c64(INFINITY), e.c64(0));
                let infinite = e.test(Op::LogicalOr, sa, zb);
                let m = e.pick(Type::U64, infinite, infinity, zero);
                let bits = e.w(Op::BitwiseOr, sign, m);
                let (na, nb) = (e.asm.is_nan(a.bits), e.asm.is_nan(b.bits));
                let infinities = e.test(Op::LogicalAnd, sa, sb);
                let zeros = e.test(Op::LogicalAnd, za, zb);
                let nan = e.either(&[na, nb, infinities, zeros]);
                e.nan_if(nan, bits)
            },
            |e| {
                let (zero, one) = (e.c64(0), e.asm.u32(1));
                // 57 bits of the quotient, the first of which is 2^0.
                let [q, rest] = e.iterate(57, [zero, a.significand], |e, [q, rest]| {
                    let fits = e.test(Op::UGreaterThanEqual, rest, b.significand);
                    let bit = e.one_if(fits);
                    let q = e.w(Op::ShiftLeftLogical, q, one);
                    let less = e.w(Op::ISub, rest, b.significand);
                    let rest = e.pick(Type::U64, fits, less, rest);
                    [
                        e.w(Op::BitwiseOr, q, bit),
                        e.w(Op::ShiftLeftLogical, rest, one),
                    ]
                });
                let exponent = e.n(Op::ISub, a.exponent, b.exponent);
                let exponent = e.offset(exponent, Type::U32, -57);
                let negative = e.test(Op::LogicalNotEqual, a.negative, b.negative);
                e.pack_with_rest(negative, q, rest, exponent, mode)
            },
        );
        self.return_double(result);
    }

    /// `2 * (bits + less than 1) * 2^exponent`, of which `rest` tells whether there is anything beyond the bits.
    fn pack_with_rest(&mut self, negative: Id, bits: Id, rest: Id, exponent: Id, mode: Id) -> Id {
        let one = self.asm.u32(1);
        let s = self.w(Op::ShiftLeftLogical, bits, one);
        let s = self.sticky(s, rest);
        let bits = self.pack(s, exponent, &DOUBLE, Rounding::By { mode, negative });
        self.with_sign(negative, bits)
    }

    fn write_sqrt64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, Type::U32]);
        let (a, mode) = (self.unpack(p[0]), p[1]);
        let (special, zero) = (self.is_special(&a), self.is_zero(&a));
        let simple = self.either(&[special, zero, a.negative]);
        let result = self.choose(
            simple,
            Type::U64,
            |e| {
                // A zero and an infinity are their own roots.
                let positive = e.asm.op(Op::LogicalNot, Type::Bool, &[zero]);
                let below = e.test(Op::LogicalAnd, a.negative, positive);
                let nan = e.asm.is_nan(a.bits);
                let nan = e.test(Op::LogicalOr, nan, below);
                e.nan_if(nan, a.bits)
            },
            |e| {
                let [one, two, top] = [1, 2, 62].map(|n| e.asm.u32(n));
                let zero = e.c64(0);
                // An even power of two: the significand then has 53 or 54 bits, which go to the top.
                let exponent = e.offset(a.exponent, Type::U32, -1075);
                let odd = e.n(Op::BitwiseAnd, exponent, one);
                let places = e.offset(odd, Type::U32, 10);
                let x = e.w(Op::ShiftLeftLogical, a.significand, places);
                // 56 bits of the root, two of the number for each; 29 of them behind the point.
                let [root, rest, _] = e.iterate(56, [zero, zero, x], |e, [root, rest, x]| {
                    let pair = e.w(Op::ShiftRightLogical, x, top);
                    let rest = e.w(Op::ShiftLeftLogical, rest, two);
                    let rest = e.w(Op::BitwiseOr, rest, pair);
                    let trial = e.w(Op::ShiftLeftLogical, root, two);
                    let unit = e.c64(1);
                    let trial = e.w(Op::BitwiseOr, trial, unit);
                    let fits = e.test(Op::UGreaterThanEqual, rest, trial);
                    let bit = e.one_if(fits);
                    let root = e.w(Op::ShiftLeftLogical, root, one);
                    let less = e.w(Op::ISub, rest, trial);
                    [
                        e.w(Op::BitwiseOr, root, bit),
                        e.pick(Type::U64, fits, less, rest),
                        e.w(Op::ShiftLeftLogical, x, two),
                    ]
                });
                let even = e.n(Op::ISub, exponent, odd);
                let half = e.n(Op::ShiftRightArithmetic, even, one);
                let exponent = e.offset(half, Type::U32, -30);
                let no = e.asm.constant(Type::Bool, 0);
                e.pack_with_rest(no, root, rest, exponent, mode)
            },
        );
        self.return_double(result);
    }
}
