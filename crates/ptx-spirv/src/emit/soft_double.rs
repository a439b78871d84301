//! What devices without double precision do not have (`assembler/doubles.rs`): sums, products, comparisons and conversions of doubles
//! as functions on 64-bit integers. Fused and directed operations, quotients and roots are in `double.rs`, for all devices.
//!
//! A result is a significand whose first bit may be anywhere in 64 bits, with a last bit that stands for what was lost, and is
//! rounded once (to nearest even, IEEE 754 section 4.3.1) when it is packed.

use super::double::{Rounding, DOUBLE, SINGLE};
use super::*;
use crate::assembler::{DoubleFunction, Integral, INFINITY, SIGN};
use rspirv::spirv::GLOp;

impl Emitter<'_> {
    pub(super) fn write_soft_double(&mut self, function: DoubleFunction, id: Id) {
        match function {
            DoubleFunction::Add => self.write_soft_sum(id),
            DoubleFunction::Multiply => self.write_soft_product(id),
            DoubleFunction::Order => self.write_order(id),
            DoubleFunction::Extreme { larger } => self.write_extreme(id, larger),
            DoubleFunction::Integral(which) => self.write_integral(id, which),
            DoubleFunction::FromSingle => self.write_from_single(id),
            DoubleFunction::ToSingle => self.write_to_single(id),
            DoubleFunction::FromInteger { signed } => self.write_from_integer(id, signed),
            DoubleFunction::ToInteger => self.write_to_integer(id),
            DoubleFunction::Fma | DoubleFunction::Divide | DoubleFunction::Root => {
                unreachable!("written by write_double_function")
            }
        }
    }

    fn write_soft_sum(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f]);
        let (a, b) = (self.unpack(p[0]), self.unpack(p[1]));
        let (sa, sb) = (self.is_special(&a), self.is_special(&b));
        let special = self.test(Op::LogicalOr, sa, sb);
        let result = self.choose(
            special,
            Type::U64,
            |e| {
                let (na, nb) = (e.asm.is_nan(a.bits), e.asm.is_nan(b.bits));
                let differ = e.test(Op::INotEqual, a.bits, b.bits);
                let both = e.test(Op::LogicalAnd, sa, sb);
                let clash = e.test(Op::LogicalAnd, both, differ);
                let nan = e.either(&[na, nb, clash]);
                let bits = e.pick(Type::U64, sa, a.bits, b.bits);
                e.nan_if(nan, bits)
            },
            |e| {
                let (zero, none) = (e.asm.u32(0), e.c64(0));
                // The one with the larger exponent first. A zero's is the smallest of all.
                let (za, zb) = (e.is_zero(&a), e.is_zero(&b));
                let least = e.asm.u32(-2000i32 as u32);
                let ea = e.pick(Type::U32, za, least, a.exponent);
                let eb = e.pick(Type::U32, zb, least, b.exponent);
                let turned = e.test(Op::SLessThan, ea, eb);
                let mut order = |ty, x, y| (e.pick(ty, turned, y, x), e.pick(ty, turned, x, y));
                let (large, small) = order(Type::U64, a.significand, b.significand);
                let (exponent, lower) = order(Type::U32, ea, eb);
                let (negative, other) = order(Type::Bool, a.negative, b.negative);
                let ten = e.asm.u32(10);
                let large = e.w(Op::ShiftLeftLogical, large, ten);
                let small = e.w(Op::ShiftLeftLogical, small, ten);
                let places = e.n(Op::ISub, exponent, lower);
                let places = e.asm.glsl(GLOp::SMax, Type::U32, &[places, zero]);
                let small = e.jam64(small, places);
                let sum = e.w(Op::IAdd, large, small);
                let difference = e.w(Op::ISub, large, small);
                let below = e.test(Op::SLessThan, difference, none);
                let opposite = e.w(Op::ISub, none, difference);
                let difference = e.pick(Type::U64, below, opposite, difference);
                let same = e.test(Op::LogicalEqual, negative, other);
                let s = e.pick(Type::U64, same, sum, difference);
                let sign = e.pick(Type::Bool, below, other, negative);
                let sign = e.pick(Type::Bool, same, negative, sign);
                let exponent = e.offset(exponent, Type::U32, -1075 - 10);
                let bits = e.pack(s, exponent, &DOUBLE, Rounding::Nearest);
                let bits = e.with_sign(sign, bits);
                // Nothing left: positive, unless both were negative.
                let nothing = e.test(Op::IEqual, s, none);
                let both = e.w(Op::BitwiseAnd, a.bits, b.bits);
                let sign = e.c64(SIGN);
                let both = e.w(Op::BitwiseAnd, both, sign);
                e.pick(Type::U64, nothing, both, bits)
            },
        );
        self.return_double(result);
    }

    fn write_soft_product(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f]);
        let (a, b) = (self.unpack(p[0]), self.unpack(p[1]));
        let (sa, sb) = (self.is_special(&a), self.is_special(&b));
        let (za, zb) = (self.is_zero(&a), self.is_zero(&b));
        let infinite = self.test(Op::LogicalOr, sa, sb);
        let nothing = self.test(Op::LogicalOr, za, zb);
        let simple = self.test(Op::LogicalOr, infinite, nothing);
        let m = self.choose(
            simple,
            Type::U64,
            |e| {
                let (na, nb) = (e.asm.is_nan(a.bits), e.asm.is_nan(b.bits));
                let clash = e.test(Op::LogicalAnd, infinite, nothing);
                let nan = e.either(&[na, nb, clash]);
                let (infinity, zero) = (e.c64(INFINITY), e.c64(0));
                let bits = e.pick(Type::U64, infinite, infinity, zero);
                e.nan_if(nan, bits)
            },
            |e| {
                // Two numbers of 64 bits: the upper half of their product has 63 or 64.
                let eleven = e.asm.u32(11);
                let [x, y] =
                    [a.significand, b.significand].map(|s| e.w(Op::ShiftLeftLogical, s, eleven));
                let high = e.multiply_high(Type::U64, false, x, y);
                let low = e.w(Op::IMul, x, y);
                let s = e.sticky(high, low);
                let exponent = e.n(Op::IAdd, a.exponent, b.exponent);
                let exponent = e.offset(exponent, Type::U32, -2150 - 22 + 64);
                e.pack(s, exponent, &DOUBLE, Rounding::Nearest)
            },
        );
        let sign = self.sign_of_product(a.bits, b.bits);
        let bits = self.w(Op::BitwiseOr, m, sign);
        self.return_double(bits);
    }

    /// A number that is ordered as an integer with a sign, -0 just below 0.
    fn ordered(&mut self, bits: Id) -> Id {
        let (top, rest) = (self.asm.u32(63), self.c64(!SIGN));
        let all = self.w(Op::ShiftRightArithmetic, bits, top);
        let flips = self.w(Op::BitwiseAnd, all, rest);
        self.w(Op::BitwiseXor, bits, flips)
    }

    fn write_order(&mut self, id: Id) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, Type::U32, &[f, f]);
        let (a, b) = (self.bits_of(p[0]), self.bits_of(p[1]));
        let (x, y) = (self.ordered(a), self.ordered(b));
        let [zero, one, two, three] = [0, 1, 2, 3].map(|n| self.asm.u32(n));
        let less = self.test(Op::SLessThan, x, y);
        let order = self.pick(Type::U32, less, zero, two);
        let same = self.test(Op::IEqual, a, b);
        // Both zeros, whatever their signs.
        let (all, rest, none) = (self.w(Op::BitwiseOr, a, b), self.c64(!SIGN), self.c64(0));
        let all = self.w(Op::BitwiseAnd, all, rest);
        let zeros = self.test(Op::IEqual, all, none);
        let equal = self.test(Op::LogicalOr, same, zeros);
        let order = self.pick(Type::U32, equal, one, order);
        let (na, nb) = (self.asm.is_nan(a), self.asm.is_nan(b));
        let nan = self.test(Op::LogicalOr, na, nb);
        let order = self.pick(Type::U32, nan, three, order);
        self.asm.void(Op::ReturnValue, &[order]);
    }

    fn write_extreme(&mut self, id: Id, larger: bool) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f, f]);
        let (a, b) = (self.bits_of(p[0]), self.bits_of(p[1]));
        let (x, y) = (self.ordered(a), self.ordered(b));
        let op = match larger {
            true => Op::SGreaterThan,
            false => Op::SLessThan,
        };
        let first = self.test(op, x, y);
        let bits = self.pick(Type::U64, first, a, b);
        let (na, nb) = (self.asm.is_nan(a), self.asm.is_nan(b));
        let bits = self.pick(Type::U64, nb, a, bits);
        let bits = self.pick(Type::U64, na, b, bits);
        self.return_double(bits);
    }

    fn write_integral(&mut self, id: Id, which: Integral) {
        let f = Type::F64;
        let p = self.asm.begin_function(id, f, &[f]);
        let bits = self.bits_of(p[0]);
        let (sign, rest, none) = (self.c64(SIGN), self.c64(!SIGN), self.c64(0));
        let sign = self.w(Op::BitwiseAnd, bits, sign);
        let m = self.w(Op::BitwiseAnd, bits, rest);
        let negative = self.test(Op::INotEqual, sign, none);
        let some = self.test(Op::INotEqual, m, none);
        let places = self.asm.u32(52);
        let field = self.w(Op::ShiftRightLogical, m, places);
        let field = self.asm.op(Op::UConvert, Type::U32, &[field]);
        let (lowest, highest) = (self.asm.u32(1023), self.asm.u32(1023 + 52));
        let small = self.test(Op::ULessThan, field, lowest);
        let whole = self.test(Op::UGreaterThanEqual, field, highest);
        // Bits behind the point, of a number between 1 and 2^52.
        let point = self.n(Op::ISub, highest, field);
        let (zero, most) = (self.asm.u32(0), self.asm.u32(52));
        let point = self.asm.glsl(GLOp::SClamp, Type::U32, &[point, zero, most]);
        let unit = self.c64(1);
        let unit = self.w(Op::ShiftLeftLogical, unit, point);
        let one = self.c64(1);
        let mask = self.w(Op::ISub, unit, one);
        let lost = self.w(Op::BitwiseAnd, m, mask);
        let kept = self.w(Op::ISub, m, lost);
        let up = match which {
            Integral::NearestEven => {
                let one = self.asm.u32(1);
                let half = self.w(Op::ShiftRightLogical, unit, one);
                let above = self.test(Op::UGreaterThan, lost, half);
                let tie = self.test(Op::IEqual, lost, half);
                // The hidden bit of a number between 1 and 2 is its last one.
                let odd = self.w(Op::BitwiseAnd, kept, unit);
                let odd = self.test(Op::INotEqual, odd, none);
                let tie = self.test(Op::LogicalAnd, tie, odd);
                self.test(Op::LogicalOr, above, tie)
            }
            _ => {
                let inexact = self.test(Op::INotEqual, lost, none);
                let away = self.away(which, negative);
                self.test(Op::LogicalAnd, inexact, away)
            }
        };
        let more = self.pick(Type::U64, up, unit, none);
        let large = self.w(Op::IAdd, kept, more);
        // Below 1: one or nothing.
        let to_one = match which {
            Integral::NearestEven => {
                let half = self.c64(0.5f64.to_bits());
                self.test(Op::UGreaterThan, m, half)
            }
            _ => {
                let away = self.away(which, negative);
                self.test(Op::LogicalAnd, some, away)
            }
        };
        let unity = self.c64(1f64.to_bits());
        let little = self.pick(Type::U64, to_one, unity, none);
        let result = self.pick(Type::U64, small, little, large);
        let result = self.pick(Type::U64, whole, m, result);
        let result = self.w(Op::BitwiseOr, result, sign);
        self.return_double(result);
    }

    /// Whether a directed rounding goes away from zero.
    fn away(&mut self, which: Integral, negative: Id) -> Id {
        match which {
            Integral::Down => negative,
            Integral::Up => self.asm.op(Op::LogicalNot, Type::Bool, &[negative]),
            Integral::TowardsZero | Integral::NearestEven => self.asm.constant(Type::Bool, 0),
        }
    }

    fn write_from_single(&mut self, id: Id) {
        let p = self.asm.begin_function(id, Type::F64, &[Type::F32]);
        let u = Type::U32;
        let bits = self.asm.op(Op::Bitcast, u, &[p[0]]);
        let [rest, behind, special, places, zero, one] =
            [0x7fff_ffff, 0x7f_ffff, 0xff, 23, 0, 1].map(|n| self.asm.u32(n));
        let m = self.n(Op::BitwiseAnd, bits, rest);
        let field = self.n(Op::ShiftRightLogical, m, places);
        let fraction = self.n(Op::BitwiseAnd, m, behind);
        // Subnormal numbers: the first bit becomes the hidden one, and is taken out.
        let subnormal = self.test(Op::IEqual, field, zero);
        let zeros = self.leading_zeros(fraction, u);
        let up = self.offset(zeros, u, -8);
        let last_place = self.asm.u32(31);
        let up = self.n(Op::BitwiseAnd, up, last_place);
        let shifted = self.n(Op::ShiftLeftLogical, fraction, up);
        let low = self.n(Op::ISub, one, up);
        let exponent = self.pick(u, subnormal, low, field);
        let significand = self.pick(u, subnormal, shifted, fraction);
        let significand = self.n(Op::BitwiseAnd, significand, behind);
        let exponent = self.offset(exponent, u, 1023 - 127);
        let (all, infinite) = (self.asm.u32(0x7ff), self.test(Op::IEqual, field, special));
        let exponent = self.pick(u, infinite, all, exponent);
        let (k29, k52) = (self.asm.u32(29), self.asm.u32(52));
        let [exponent, significand] =
            [exponent, significand].map(|n| self.asm.op(Op::UConvert, Type::U64, &[n]));
        let exponent = self.w(Op::ShiftLeftLogical, exponent, k52);
        let significand = self.w(Op::ShiftLeftLogical, significand, k29);
        let number = self.w(Op::BitwiseOr, exponent, significand);
        let none = self.c64(0);
        let nothing = self.test(Op::IEqual, m, zero);
        let number = self.pick(Type::U64, nothing, none, number);
        let negative = self.test(Op::SLessThan, bits, zero);
        let number = self.with_sign(negative, number);
        let nan = self.asm.is_nan(number);
        let number = self.nan_if(nan, number);
        self.return_double(number);
    }

    fn write_to_single(&mut self, id: Id) {
        let p = self.asm.begin_function(id, Type::F32, &[Type::F64]);
        let u = Type::U32;
        let a = self.unpack(p[0]);
        let exponent = self.offset(a.exponent, u, -1075);
        let bits = self.pack(a.significand, exponent, &SINGLE, Rounding::Nearest);
        let bits = self.asm.op(Op::UConvert, u, &[bits]);
        let (zero, infinity) = (self.asm.u32(0), self.asm.u32(f32::INFINITY.to_bits()));
        let nothing = self.is_zero(&a);
        let bits = self.pick(u, nothing, zero, bits);
        let special = self.is_special(&a);
        let bits = self.pick(u, special, infinity, bits);
        let (nan, quiet) = (self.asm.is_nan(a.bits), self.asm.u32(0x7fff_ffff));
        let bits = self.pick(u, nan, quiet, bits);
        let sign = self.asm.u32(1 << 31);
        let sign = self.pick(u, a.negative, sign, zero);
        let bits = self.n(Op::BitwiseOr, bits, sign);
        let number = self.asm.op(Op::Bitcast, Type::F32, &[bits]);
        self.asm.void(Op::ReturnValue, &[number]);
    }

    fn write_from_integer(&mut self, id: Id, signed: bool) {
        let u = Type::U64;
        let p = self.asm.begin_function(id, Type::F64, &[u]);
        let (zero, none) = (self.asm.u32(0), self.c64(0));
        let mut m = p[0];
        let negative = match signed {
            true => self.test(Op::SLessThan, m, none),
            false => self.asm.constant(Type::Bool, 0),
        };
        let minus = self.w(Op::ISub, none, m);
        m = self.pick(u, negative, minus, m);
        let bits = self.pack(m, zero, &DOUBLE, Rounding::Nearest);
        let nothing = self.test(Op::IEqual, m, none);
        let bits = self.pick(u, nothing, none, bits);
        let bits = self.with_sign(negative, bits);
        self.return_double(bits);
    }

    fn write_to_integer(&mut self, id: Id) {
        let u = Type::U64;
        let p = self.asm.begin_function(id, u, &[Type::F64]);
        let a = self.unpack(p[0]);
        let exponent = self.offset(a.exponent, Type::U32, -1075);
        let (zero, none, most) = (self.asm.u32(0), self.c64(0), self.asm.u32(63));
        let up = self
            .asm
            .glsl(GLOp::SClamp, Type::U32, &[exponent, zero, most]);
        let down = self.n(Op::ISub, zero, exponent);
        let down = self.asm.glsl(GLOp::SClamp, Type::U32, &[down, zero, most]);
        let m = self.w(Op::ShiftLeftLogical, a.significand, up);
        let m = self.w(Op::ShiftRightLogical, m, down);
        let minus = self.w(Op::ISub, none, m);
        let n = self.pick(u, a.negative, minus, m);
        self.asm.void(Op::ReturnValue, &[n]);
    }
}
