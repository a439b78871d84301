//! `ex2` in single precision, where the driver's Exp2 is less precise than PTX's (PTX ISA, 9.7.3.22): within two units of the last place.

use super::*;
use rspirv::spirv::GLOp;

/// `q` in 2^f = 1 + f * q(f) for f in [0, 1], the lowest coefficient first: within 2^-28.8 of it, relatively, each coefficient rounded
/// and the rest fitted to it. With every operation rounded the sum is within 1.5 units of the last place, and exact for 0.
const COEFFICIENTS: [u32; 6] = [
    0x3f31_7216,
    0x3e75_fe9d,
    0x3d63_457b,
    0x3c1e_7ec1,
    0x3aa3_9b9d,
    0x3962_22b7,
];

impl Emitter<'_> {
    /// 2 to the power `a`. `flushes`: whether results below 2^-126 are zero.
    pub(crate) fn exponential(&mut self, a: Id, flushes: bool) -> Id {
        if self.target.precise_exp2 {
            return self.asm.glsl(GLOp::Exp2, Type::F32, &[a]);
        }
        // From 2^128 on it is infinity; below 2^-150 it rounds to zero.
        let least = if flushes { -127.0f32 } else { -151.0 };
        let [least, most] =
            [least, 128.0].map(|n| self.asm.constant(Type::F32, u64::from(n.to_bits())));
        let clamped = self.asm.glsl(GLOp::NMax, Type::F32, &[a, least]);
        let clamped = self.asm.glsl(GLOp::NMin, Type::F32, &[clamped, most]);
        let floor = self.asm.glsl(GLOp::Floor, Type::F32, &[clamped]);
        let fraction = self.exact(Op::FSub, Type::F32, &[clamped, floor]);
        let one = self.asm.constant(Type::F32, u64::from(1f32.to_bits()));
        let [first, rest @ ..] = COEFFICIENTS.map(|c| self.asm.constant(Type::F32, u64::from(c)));
        let mut sum = rest[rest.len() - 1];
        for &next in rest[..rest.len() - 1].iter().rev().chain([&first, &one]) {
            let product = self.exact(Op::FMul, Type::F32, &[sum, fraction]);
            sum = self.exact(Op::FAdd, Type::F32, &[product, next]);
        }
        let exponent = self.asm.op(Op::ConvertFToS, Type::U32, &[floor]);
        let result = if flushes {
            let power = self.power_of_two(exponent);
            self.exact(Op::FMul, Type::F32, &[sum, power])
        } else {
            // In two steps: the first is a normal number, and the second rounds once.
            let shift = self.asm.u32(1);
            let half = self
                .asm
                .op(Op::ShiftRightArithmetic, Type::U32, &[exponent, shift]);
            let other = self.asm.op(Op::ISub, Type::U32, &[exponent, half]);
            [half, other].into_iter().fold(sum, |sum, part| {
                let power = self.power_of_two(part);
                self.exact(Op::FMul, Type::F32, &[sum, power])
            })
        };
        let is_nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        self.asm.op(Op::Select, Type::F32, &[is_nan, a, result])
    }

    /// 2 to the power of an integer from -127, which gives zero, to 128, which gives infinity.
    fn power_of_two(&mut self, exponent: Id) -> Id {
        let [bias, shift] = [127, 23].map(|n| self.asm.u32(n));
        let biased = self.asm.op(Op::IAdd, Type::U32, &[exponent, bias]);
        let bits = self
            .asm
            .op(Op::ShiftLeftLogical, Type::U32, &[biased, shift]);
        self.asm.op(Op::Bitcast, Type::F32, &[bits])
    }
}
