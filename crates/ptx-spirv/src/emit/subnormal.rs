//! Subnormal single-precision numbers: kept, or flushed to zero of the same sign where PTX says `.ftz`.
//!
//! PTX decides by instruction, SPIR-V by entry point (SPV_KHR_float_controls). Kernels built with `-use_fast_math` say
//! `.ftz` everywhere: where nothing else in a kernel would notice, the whole shader flushes, at no cost. In a mixed kernel, and
//! where a driver cannot flush, the instructions with `.ftz` flush their operands and results by arithmetic on the bits. That makes
//! every operation several; without [`Target::flush_explicitly`] their subnormal numbers are kept.
//!
//! A driver whose Fma flushes whatever the modes say (NVIDIA's) needs no more operations than without: `add.ftz` is
//! `Fma(a, 1.0, b)`, and what has no sum in it (comparisons, conversions, functions) has its operands through
//! `Fma(a, 1.0, -0.0)`.

use super::*;
use rspirv::spirv::GLOp;

/// How a kernel's `.ftz` is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subnormals {
    /// Nothing flushes.
    Keep,
    /// Instructions with `.ftz` flush on their own.
    ByInstruction,
    /// The shader flushes (DenormFlushToZero).
    ByShader,
}

impl Subnormals {
    /// The choice for a kernel, and whether the shader must keep subnormal numbers where it does not flush them itself.
    pub(super) fn of(graph: &Graph, target: &Target) -> (Self, bool) {
        if !graph.any(|i| i.has(Modifier::Ftz)) {
            return (Subnormals::Keep, true);
        }
        let needed = graph.any(needs_subnormals);
        let choice = if target.denorm_flush_f32 && !needed {
            Subnormals::ByShader
        } else if target.flush_explicitly {
            Subnormals::ByInstruction
        } else {
            Subnormals::Keep
        };
        (choice, needed || choice == Subnormals::ByInstruction)
    }
}

/// Whether an instruction without `.ftz` would give another result if subnormal numbers were zeros.
fn needs_subnormals(i: &Instruction) -> bool {
    use Modifier as M;
    if i.has(M::Ftz) {
        return false;
    }
    let single = i.has(M::F32) || i.has(M::F32x2);
    let brain = i.has(M::Bf16) || i.has(M::Bf16x2);
    match i.opcode {
        // No subnormal number is rounded to an integer other than zero by these, and halves have none in their range.
        Opcode::Cvt => {
            let types: Vec<ScalarType> = i.types().collect();
            let floats = |ty: &ScalarType| matches!(ty, M::F32 | M::F64);
            let integral = i.has(M::Rni) || i.has(M::Rzi);
            let half = types.contains(&M::F16) || types.contains(&M::F16x2);
            single && types.iter().all(floats) && !integral
                || single && !half && !brain && (i.has(M::Rmi) || i.has(M::Rpi))
        }
        Opcode::Add
        | Opcode::Sub
        | Opcode::Mul
        | Opcode::Fma
        | Opcode::Mad
        | Opcode::Div
        | Opcode::Rcp
        | Opcode::Sqrt
        | Opcode::Rsqrt
        | Opcode::Sin
        | Opcode::Cos
        | Opcode::Lg2
        | Opcode::Ex2
        | Opcode::Min
        | Opcode::Max
        | Opcode::Neg
        | Opcode::Setp
        | Opcode::Set
        | Opcode::Slct => single || brain,
        _ => false,
    }
}

impl Emitter<'_> {
    /// Whether an instruction has to flush by itself, where what it is made of does not flush in every shader
    /// (`bitwise`) or does.
    pub(crate) fn flushes(&self, i: &Instruction, bitwise: bool) -> bool {
        i.has(Modifier::Ftz)
            && match self.subnormals {
                Subnormals::Keep => false,
                Subnormals::ByInstruction => true,
                Subnormals::ByShader => bitwise,
            }
    }

    /// A sum, difference or product in single precision as an Fma, for drivers whose Fma flushes.
    pub(super) fn as_fma(&mut self, op: Op, a: Id, b: Id) -> Id {
        let constant = |e: &mut Self, v: f32| e.asm.constant(Type::F32, v.to_bits().into());
        let operands = match op {
            Op::FAdd => [a, constant(self, 1.0), b],
            Op::FSub => [b, constant(self, -1.0), a],
            // -0 leaves a zero its sign.
            _ => [a, b, constant(self, -0.0)],
        };
        self.asm.glsl(GLOp::Fma, Type::F32, &operands)
    }

    /// Subnormal numbers as zeros of the same sign.
    pub(crate) fn flush(&mut self, id: Id) -> Id {
        if self.flushed.contains(&id) {
            return id;
        }
        if let Some(&(epoch, flushed)) = self.flushed_as.get(&id) {
            if epoch == self.epoch {
                return flushed;
            }
        }
        let operand = id;
        let id = if self.target.fma_flushes {
            let one = self.asm.constant(Type::F32, 1f32.to_bits().into());
            self.as_fma(Op::FMul, id, one)
        } else {
            let (bits, small) = self.subnormal(id);
            let sign = self.asm.u32(0x8000_0000);
            let s = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, sign]);
            let flushed = self.asm.op(Op::Select, Type::U32, &[small, s, bits]);
            self.asm.op(Op::Bitcast, Type::F32, &[flushed])
        };
        self.flushed.insert(id);
        self.flushed_as.insert(operand, (self.epoch, id));
        id
    }

    /// A function that is nearly its argument near zero, with subnormal arguments as they are, where the shader flushes.
    pub(super) fn keep_subnormal(&mut self, argument: Id, result: Id) -> Id {
        if self.subnormals != Subnormals::ByShader {
            return result;
        }
        let (bits, small) = self.subnormal(argument);
        let result = self.asm.op(Op::Bitcast, Type::U32, &[result]);
        let kept = self.asm.op(Op::Select, Type::U32, &[small, bits, result]);
        self.asm.op(Op::Bitcast, Type::F32, &[kept])
    }

    /// The bits of a single-precision number, and whether it is zero or subnormal.
    fn subnormal(&mut self, id: Id) -> (Id, Id) {
        let bits = self.cast(Value { id, ty: Type::F32 }, Type::U32);
        let exponent = self.asm.u32(0x7f80_0000);
        let zero = self.asm.u32(0);
        let e = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, exponent]);
        (bits, self.asm.op(Op::IEqual, Type::Bool, &[e, zero]))
    }
}
