//! Double precision by integers: fma where the device's is not fused, and every operation with directed rounding (PTX ISA,
//! "Rounding Modifiers").
//!
//! Helper functions of the shader. Significands are brought to 53 bits, exact results are kept in 128 bits with a last bit
//! that stands for all that was lost, and rounded once.

use super::float::Directed;
use super::*;
use rspirv::spirv::GLOp;

/// Exponent field of infinities and NaNs.
const SPECIAL: u32 = 0x7ff;
const INFINITY: u64 = 0x7ff0_0000_0000_0000;
const SIGN: u64 = 1 << 63;
const FRACTION: u64 = (1 << 52) - 1;

/// 128 bits.
#[derive(Clone, Copy)]
struct Wide {
    high: Id,
    low: Id,
}

/// A finite number: `significand * 2^(exponent - 1075)`, the significand of 53 bits unless it is zero.
struct Unpacked {
    bits: Id,
    /// Whether the sign bit is set.
    negative: Id,
    /// The exponent field, as it stands.
    field: Id,
    exponent: Id,
    significand: Id,
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
        self.call_helper(Helper::Fma64, Type::F64, &[a, b, c, mode])
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
                let sign = self.asm.constant(Type::U64, SIGN);
                let s = self.w(Op::BitwiseXor, x, y);
                let s = self.w(Op::BitwiseAnd, s, sign);
                let zero = self.asm.op(Op::Bitcast, Type::F64, &[s]);
                self.double_fma(a, b, zero, Some(mode))
            }
        }
    }

    pub(super) fn double_quotient(&mut self, a: Id, b: Id, mode: Directed) -> Id {
        let mode = self.asm.u32(mode_number(Some(mode)));
        self.call_helper(Helper::Div64, Type::F64, &[a, b, mode])
    }

    pub(super) fn double_root(&mut self, a: Id, mode: Directed) -> Id {
        let mode = self.asm.u32(mode_number(Some(mode)));
        self.call_helper(Helper::Sqrt64, Type::F64, &[a, mode])
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

    fn bits_of(&mut self, id: Id) -> Id {
        self.asm.op(Op::Bitcast, Type::U64, &[id])
    }

    fn unpack(&mut self, number: Id) -> Unpacked {
        let bits = self.bits_of(number);
        let (k52, k11, zero, zero64) = (
            self.asm.u32(52),
            self.asm.u32(11),
            self.asm.u32(0),
            self.asm.constant(Type::U64, 0),
        );
        let negative = self.test(Op::SLessThan, bits, zero64);
        let field = self.w(Op::ShiftRightLogical, bits, k52);
        let field = self.asm.op(Op::UConvert, Type::U32, &[field]);
        let special = self.asm.u32(SPECIAL);
        let field = self.n(Op::BitwiseAnd, field, special);
        let fraction = self.asm.constant(Type::U64, FRACTION);
        let m = self.w(Op::BitwiseAnd, bits, fraction);
        let subnormal = self.test(Op::IEqual, field, zero);
        let zeros = self.leading_zeros(m, Type::U64);
        let up = self.n(Op::ISub, zeros, k11);
        let shifted = self.w(Op::ShiftLeftLogical, m, up);
        let one = self.asm.u32(1);
        let low = self.n(Op::ISub, one, up);
        let hidden = self.asm.constant(Type::U64, FRACTION + 1);
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
    fn is_special(&mut self, x: &Unpacked) -> Id {
        let special = self.asm.u32(SPECIAL);
        self.test(Op::IEqual, x.field, special)
    }

    fn is_zero(&mut self, x: &Unpacked) -> Id {
        let zero = self.asm.constant(Type::U64, 0);
        self.test(Op::IEqual, x.significand, zero)
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
        let (zero, one) = (
            self.asm.constant(Type::U64, 0),
            self.asm.constant(Type::U64, 1),
        );
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
        let high = self.pick(Type::U64, small, high, zero);
        let some = self.test(Op::INotEqual, lost, zero);
        let last = self.pick(Type::U64, some, one, zero);
        Wide {
            high,
            low: self.w(Op::BitwiseOr, low, last),
        }
    }

    /// Shifted left by less than 128.
    fn shift_left(&mut self, x: Wide, n: Id) -> Wide {
        let (k63, k64, one) = (self.asm.u32(63), self.asm.u32(64), self.asm.u32(1));
        let zero = self.asm.constant(Type::U64, 0);
        let small = self.test(Op::ULessThan, n, k64);
        let m = self.n(Op::BitwiseAnd, n, k63);
        let rest = self.n(Op::ISub, k63, m);
        let high = self.w(Op::ShiftLeftLogical, x.high, m);
        let carried = self.w(Op::ShiftRightLogical, x.low, one);
        let carried = self.w(Op::ShiftRightLogical, carried, rest);
        let high = self.w(Op::BitwiseOr, high, carried);
        let low = self.w(Op::ShiftLeftLogical, x.low, m);
        Wide {
            high: self.pick(Type::U64, small, high, low),
            low: self.pick(Type::U64, small, low, zero),
        }
    }

    /// `s * 2^exponent` (s not zero), rounded, as bits.
    fn round_pack(&mut self, negative: Id, s: Wide, exponent: Id, mode: Id) -> Id {
        let zero64 = self.asm.constant(Type::U64, 0);
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        // The first set bit to the top.
        let some = self.test(Op::INotEqual, s.high, zero64);
        let zh = self.leading_zeros(s.high, Type::U64);
        let zl = self.leading_zeros(s.low, Type::U64);
        let k64 = self.asm.u32(64);
        let zl = self.n(Op::IAdd, zl, k64);
        let zeros = self.pick(Type::U32, some, zh, zl);
        let s = self.shift_left(s, zeros);
        let field = self.n(Op::ISub, exponent, zeros);
        let field = self.offset(field, Type::U32, 127 + 1023);
        // Subnormal numbers have fewer bits.
        let missing = self.n(Op::ISub, one, field);
        let missing = self.asm.glsl(GLOp::SMax, Type::U32, &[missing, zero]);
        let s = self.jam(s, missing);
        let field = self.asm.glsl(GLOp::SMax, Type::U32, &[field, one]);
        let (k11, k10) = (self.asm.u32(11), self.asm.u32(10));
        let keep = self.w(Op::ShiftRightLogical, s.high, k11);
        let one64 = self.asm.constant(Type::U64, 1);
        let half = self.w(Op::ShiftRightLogical, s.high, k10);
        let half = self.w(Op::BitwiseAnd, half, one64);
        let half = self.test(Op::INotEqual, half, zero64);
        let mask = self.asm.constant(Type::U64, 0x3ff);
        let below = self.w(Op::BitwiseAnd, s.high, mask);
        let below = self.w(Op::BitwiseOr, below, s.low);
        let below = self.test(Op::INotEqual, below, zero64);
        let odd = self.w(Op::BitwiseAnd, keep, one64);
        let odd = self.test(Op::INotEqual, odd, zero64);
        let inexact = self.test(Op::LogicalOr, half, below);
        let tie_up = self.test(Op::LogicalOr, below, odd);
        let nearest = self.test(Op::LogicalAnd, half, tie_up);
        let positive = self.asm.op(Op::LogicalNot, Type::Bool, &[negative]);
        let [is_nearest, is_down, is_up] = [0, 2, 3].map(|m| {
            let m = self.asm.u32(m);
            self.test(Op::IEqual, mode, m)
        });
        let outward_down = self.test(Op::LogicalAnd, is_down, negative);
        let outward_up = self.test(Op::LogicalAnd, is_up, positive);
        let outward = self.test(Op::LogicalOr, outward_down, outward_up);
        let directed = self.test(Op::LogicalAnd, outward, inexact);
        let more = self.pick(Type::Bool, is_nearest, nearest, directed);
        let more = self.pick(Type::U64, more, one64, zero64);
        let k52 = self.asm.u32(52);
        let base = self.n(Op::ISub, field, one);
        let base = self.asm.op(Op::UConvert, Type::U64, &[base]);
        let base = self.w(Op::ShiftLeftLogical, base, k52);
        let bits = self.w(Op::IAdd, base, keep);
        let bits = self.w(Op::IAdd, bits, more);
        let (special, infinity, largest) = (
            self.asm.u32(SPECIAL),
            self.asm.constant(Type::U64, INFINITY),
            self.asm.constant(Type::U64, INFINITY - 1),
        );
        let far = self.test(Op::UGreaterThanEqual, field, special);
        let beyond = self.test(Op::UGreaterThanEqual, bits, infinity);
        let overflow = self.test(Op::LogicalOr, far, beyond);
        let to_infinity = self.test(Op::LogicalOr, is_nearest, outward);
        let limit = self.pick(Type::U64, to_infinity, infinity, largest);
        let bits = self.pick(Type::U64, overflow, limit, bits);
        let sign = self.asm.constant(Type::U64, SIGN);
        let sign = self.pick(Type::U64, negative, sign, zero64);
        self.w(Op::BitwiseOr, bits, sign)
    }

    pub(super) fn write_double_helper(&mut self, helper: Helper, id: Id) {
        match helper {
            Helper::Fma64 => self.write_fma64(id),
            Helper::Div64 => self.write_div64(id),
            _ => self.write_sqrt64(id),
        }
    }

    fn write_fma64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f, f, Type::U32]);
        let (fa, fb, fc, mode) = (p[0], p[1], p[2], p[3]);
        let (a, b, c) = (self.unpack(fa), self.unpack(fb), self.unpack(fc));
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
            let two = self.asm.u32(2);
            self.test(Op::IEqual, mode, two)
        };
        let sign = self.asm.constant(Type::U64, SIGN);
        let zero64 = self.asm.constant(Type::U64, 0);
        let result = self.choose(
            simple,
            f,
            |e| {
                // Zeros, infinities and NaNs: nothing is rounded. A finite product does not reach an infinite addend.
                let product = e.exact(Op::FMul, f, &[fa, fb]);
                let sum = e.exact(Op::FAdd, f, &[product, fc]);
                let twice = e.exact(Op::FAdd, f, &[fc, fc]);
                let finite = e.asm.op(Op::LogicalNot, Type::Bool, &[special_factor]);
                let alone = e.test(Op::LogicalAnd, finite, sc);
                let sum = e.pick(f, alone, twice, sum);
                // Downwards, a zero is negative unless both addends are positive zeros.
                let bits = e.bits_of(sum);
                let rest = e.asm.constant(Type::U64, !SIGN);
                let m = e.w(Op::BitwiseAnd, bits, rest);
                let none = e.test(Op::IEqual, m, zero64);
                let none = e.test(Op::LogicalAnd, none, is_down);
                let pb = e.bits_of(product);
                let either = e.w(Op::BitwiseOr, pb, c.bits);
                let either = e.w(Op::BitwiseAnd, either, sign);
                let bits = e.pick(Type::U64, none, either, bits);
                e.asm.op(Op::Bitcast, f, &[bits])
            },
            |e| {
                // The product, shifted left by 20, and the addend, by 73: both below 2^126.
                let low = e.w(Op::IMul, a.significand, b.significand);
                let high = e.multiply_high(Type::U64, false, a.significand, b.significand);
                let k20 = e.asm.u32(20);
                let product = e.shift_left(Wide { high, low }, k20);
                let pe = e.n(Op::IAdd, a.exponent, b.exponent);
                let pe = e.offset(pe, Type::U32, -2150 - 20);
                let k9 = e.asm.u32(9);
                let addend = Wide {
                    high: e.w(Op::ShiftLeftLogical, c.significand, k9),
                    low: zero64,
                };
                let ce = e.offset(c.exponent, Type::U32, -1075 - 73);
                let difference = e.n(Op::ISub, pe, ce);
                let zero = e.asm.u32(0);
                let back = e.n(Op::ISub, zero, difference);
                let ahead = e.test(Op::SGreaterThanEqual, difference, zero);
                let ahead = e.test(Op::LogicalOr, ahead, zc);
                let down_c = e.pick(Type::U32, ahead, difference, zero);
                let down_c = e.pick(Type::U32, zc, zero, down_c);
                let down_p = e.pick(Type::U32, ahead, zero, back);
                let addend = e.jam(addend, down_c);
                let product = e.jam(product, down_p);
                let exponent = e.pick(Type::U32, ahead, pe, ce);
                let negative_p = e.test(Op::LogicalNotEqual, a.negative, b.negative);
                let same = e.test(Op::LogicalEqual, negative_p, c.negative);
                let one64 = e.asm.constant(Type::U64, 1);
                let sum_low = e.w(Op::IAdd, product.low, addend.low);
                let carry = e.test(Op::ULessThan, sum_low, product.low);
                let carry = e.pick(Type::U64, carry, one64, zero64);
                let sum_high = e.w(Op::IAdd, product.high, addend.high);
                let sum_high = e.w(Op::IAdd, sum_high, carry);
                let difference = |e: &mut Self, x: Wide, y: Wide| {
                    let low = e.w(Op::ISub, x.low, y.low);
                    let borrow = e.test(Op::ULessThan, x.low, y.low);
                    let borrow = e.pick(Type::U64, borrow, one64, zero64);
                    let high = e.w(Op::ISub, x.high, y.high);
                    Wide {
                        high: e.w(Op::ISub, high, borrow),
                        low,
                    }
                };
                let forth = difference(e, product, addend);
                let back = difference(e, addend, product);
                // Both are below 2^127: the sign of the difference tells which is larger.
                let less = e.test(Op::SLessThan, forth.high, zero64);
                let high = e.pick(Type::U64, less, back.high, forth.high);
                let low = e.pick(Type::U64, less, back.low, forth.low);
                let s = Wide {
                    high: e.pick(Type::U64, same, sum_high, high),
                    low: e.pick(Type::U64, same, sum_low, low),
                };
                let other = e.pick(Type::Bool, less, c.negative, negative_p);
                let negative = e.pick(Type::Bool, same, negative_p, other);
                let any = e.w(Op::BitwiseOr, s.high, s.low);
                let none = e.test(Op::IEqual, any, zero64);
                let bits = e.round_pack(negative, s, exponent, mode);
                let cancelled = e.pick(Type::U64, is_down, sign, zero64);
                let bits = e.pick(Type::U64, none, cancelled, bits);
                e.asm.op(Op::Bitcast, f, &[bits])
            },
        );
        self.asm.void(Op::ReturnValue, &[result]);
    }

    /// A number with this significand between 1 and 2 (or, with an exponent of 1024, 4).
    fn near_one(&mut self, significand: Id, field: Id) -> Id {
        let (fraction, k52) = (self.asm.constant(Type::U64, FRACTION), self.asm.u32(52));
        let m = self.w(Op::BitwiseAnd, significand, fraction);
        let e = self.asm.op(Op::UConvert, Type::U64, &[field]);
        let e = self.w(Op::ShiftLeftLogical, e, k52);
        let bits = self.w(Op::BitwiseOr, m, e);
        self.asm.op(Op::Bitcast, Type::F64, &[bits])
    }

    /// From an approximation that is off by less than a unit, and what it leaves (exact - approximation has its sign):
    /// the significand below the exact value with a last bit for the rest, and its exponent.
    fn truncated(&mut self, approximation: Id, rest: Id) -> (Wide, Id) {
        let bits = self.bits_of(approximation);
        let (zero, one, zero64) = (
            self.asm.constant(Type::F64, 0),
            self.asm.constant(Type::U64, 1),
            self.asm.constant(Type::U64, 0),
        );
        let over = self.test(Op::FOrdLessThan, rest, zero);
        let lower = self.w(Op::ISub, bits, one);
        let bits = self.pick(Type::U64, over, lower, bits);
        let inexact = self.test(Op::FOrdNotEqual, rest, zero);
        let number = self.asm.op(Op::Bitcast, Type::F64, &[bits]);
        let q = self.unpack(number);
        let k11 = self.asm.u32(11);
        let s = Wide {
            high: self.w(Op::ShiftLeftLogical, q.significand, k11),
            low: self.pick(Type::U64, inexact, one, zero64),
        };
        (s, self.offset(q.exponent, Type::U32, -1075 - 75))
    }

    fn write_div64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f, Type::U32]);
        let (fa, fb, mode) = (p[0], p[1], p[2]);
        let (a, b) = (self.unpack(fa), self.unpack(fb));
        let mut simple = self.is_special(&a);
        for test in [self.is_special(&b), self.is_zero(&a), self.is_zero(&b)] {
            simple = self.test(Op::LogicalOr, simple, test);
        }
        let result = self.choose(
            simple,
            f,
            |e| e.exact(Op::FDiv, f, &[fa, fb]),
            |e| {
                let one = e.asm.u32(1023);
                let x = e.near_one(a.significand, one);
                let y = e.near_one(b.significand, one);
                let q = e.exact(Op::FDiv, f, &[x, y]);
                let minus = e.asm.op(Op::FNegate, f, &[q]);
                let rest = e.double_fma(minus, y, x, None);
                let (s, exponent) = e.truncated(q, rest);
                let exponent = e.n(Op::IAdd, exponent, a.exponent);
                let exponent = e.n(Op::ISub, exponent, b.exponent);
                let negative = e.test(Op::LogicalNotEqual, a.negative, b.negative);
                let bits = e.round_pack(negative, s, exponent, mode);
                e.asm.op(Op::Bitcast, f, &[bits])
            },
        );
        self.asm.void(Op::ReturnValue, &[result]);
    }

    fn write_sqrt64(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, Type::U32]);
        let (fa, mode) = (p[0], p[1]);
        let a = self.unpack(fa);
        let mut simple = self.is_special(&a);
        for test in [self.is_zero(&a), a.negative] {
            simple = self.test(Op::LogicalOr, simple, test);
        }
        let result = self.choose(
            simple,
            f,
            |e| e.asm.glsl(GLOp::Sqrt, f, &[fa]),
            |e| {
                // An even power of two taken out.
                let t = e.offset(a.exponent, Type::U32, -1023);
                let one = e.asm.u32(1);
                let odd = e.n(Op::BitwiseAnd, t, one);
                let field = e.offset(odd, Type::U32, 1023);
                let x = e.near_one(a.significand, field);
                let root = e.asm.glsl(GLOp::Sqrt, f, &[x]);
                let minus = e.asm.op(Op::FNegate, f, &[root]);
                let rest = e.double_fma(minus, root, x, None);
                let (s, exponent) = e.truncated(root, rest);
                let even = e.n(Op::ISub, t, odd);
                let half = e.n(Op::ShiftRightArithmetic, even, one);
                let exponent = e.n(Op::IAdd, exponent, half);
                let no = e.asm.constant(Type::Bool, 0);
                let bits = e.round_pack(no, s, exponent, mode);
                e.asm.op(Op::Bitcast, f, &[bits])
            },
        );
        self.asm.void(Op::ReturnValue, &[result]);
    }
}
