//! f16, f16x2, bf16 and bf16x2 arithmetic (PTX ISA, "Half Precision Floating Point Instructions").
//!
//! f16 is the device's own type. bf16 is computed in single precision and rounded once: sums and products of bf16 numbers
//! are exact or rounded to odd in 24 bits first.

use super::*;
use rspirv::spirv::GLOp;

impl Emitter<'_> {
    pub(super) fn half(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("an instruction without a type".into()))?;
        let packed = matches!(ty, M::F16x2 | M::Bf16x2);
        let brain = matches!(ty, M::Bf16 | M::Bf16x2);
        let d = self.operand(i, 0)?;
        let sources = i.operands.len() - 1;
        let needed = match i.opcode {
            Opcode::Fma => 3,
            Opcode::Neg | Opcode::Abs | Opcode::Ex2 | Opcode::Tanh => 1,
            _ => 2,
        };
        if sources < needed {
            return Err(EmitError::Invalid(format!(
                "{} needs more operands",
                i.mnemonic()
            )));
        }
        let computes = matches!(
            i.opcode,
            Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Fma
        );
        let computable = |e: &mut Self, ty, value| match computes {
            true => e.computable(ty, value),
            false => value,
        };
        if brain {
            if !packed {
                let mut a = Vec::new();
                for n in 0..sources {
                    let bits = self.value(self.operand(i, n + 1)?, Type::U16)?;
                    a.push(computable(self, Type::U16, bits));
                }
                let id = self.brain_operation(i, &a)?;
                return self.set(d, Type::U16, id);
            }
            let mut halves = Vec::new();
            let mut words = Vec::new();
            for n in 0..sources {
                let word = self.value(self.operand(i, n + 1)?, Type::U32)?;
                words.push(computable(self, Type::U32, word));
            }
            for k in 0..2u32 {
                let shift = self.asm.u32(16 * k);
                let a: Vec<Id> = words
                    .iter()
                    .map(|&w| {
                        let h = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, shift]);
                        self.asm.op(Op::UConvert, Type::U16, &[h])
                    })
                    .collect();
                halves.push(self.brain_operation(i, &a)?);
            }
            let id = self.pack16(halves[0], halves[1]);
            return self.set(d, Type::U32, id);
        }
        let vector = Type::Vector(Scalar::F16, 2);
        let whole = if packed { vector } else { Type::F16 };
        let mut a = Vec::new();
        for n in 0..sources {
            let o = self.operand(i, n + 1)?;
            a.push(if packed {
                let w = self.value(o, Type::U32)?;
                let w = computable(self, Type::U32, w);
                self.asm.op(Op::Bitcast, vector, &[w])
            } else {
                // Constants of half precision come by registers of bits.
                let h = self.value(o, Type::F16)?;
                let bits = self.value(o, Type::U16)?;
                match computable(self, Type::U16, bits) {
                    same if same == bits => h,
                    zero => self.asm.op(Op::Bitcast, Type::F16, &[zero]),
                }
            });
        }
        let flushed = i.has(M::Ftz) && self.target.flush_explicitly;
        if flushed {
            for x in &mut a {
                *x = self.each(packed, &[*x], |e, x| e.flush16(x[0]));
            }
        }
        let splat = |e: &mut Self, bits: u64| {
            let c = e.asm.constant(Type::F16, bits);
            if packed {
                e.asm.composite(vector, &[c, c])
            } else {
                c
            }
        };
        let id = match i.opcode {
            Opcode::Add => self.exact(Op::FAdd, whole, &a[..2]),
            Opcode::Sub => self.exact(Op::FSub, whole, &a[..2]),
            Opcode::Mul => self.exact(Op::FMul, whole, &a[..2]),
            Opcode::Fma => {
                if self.target.fused_fma {
                    self.asm.glsl(GLOp::Fma, whole, &a[..3])
                } else {
                    self.each(packed, &a, |e, x| e.fma16(x[0], x[1], x[2]))
                }
            }
            Opcode::Neg => self.asm.op(Op::FNegate, whole, &a[..1]),
            Opcode::Abs => self.each(packed, &a, |e, x| {
                e.sign_operation(Type::F16, x[0], Op::BitwiseAnd)
            }),
            Opcode::Min | Opcode::Max if i.has(M::Xorsign) => {
                let (min, nan) = (i.opcode == Opcode::Min, i.has(M::Nan));
                self.each(packed, &a, |e, x| {
                    e.min_max_magnitude(Type::F16, x[0], x[1], min, nan)
                })
            }
            Opcode::Min | Opcode::Max => {
                let (min, nan) = (i.opcode == Opcode::Min, i.has(M::Nan));
                self.each(packed, &a, |e, x| {
                    e.min_max_float(Type::F16, x[0], x[1], min, nan)
                })
            }
            Opcode::Ex2 => self.single(packed, &a, GLOp::Exp2),
            Opcode::Tanh => self.single(packed, &a, GLOp::Tanh),
            _ => return unsupported(i),
        };
        let id = if i.has(M::Sat) {
            let (zero, one) = (splat(self, 0), splat(self, 0x3c00));
            let id = self.asm.glsl(GLOp::NMax, whole, &[id, zero]);
            self.asm.glsl(GLOp::NMin, whole, &[id, one])
        } else if i.has(M::Relu) {
            // NaN stays a NaN.
            self.each(packed, &[id], |e, x| {
                let zero = e.asm.constant(Type::F16, 0);
                let negative = e.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[x[0], zero]);
                e.asm.op(Op::Select, Type::F16, &[negative, zero, x[0]])
            })
        } else {
            id
        };
        let id = if flushed {
            self.each(packed, &[id], |e, x| e.flush16(x[0]))
        } else {
            id
        };
        if packed {
            let id = self.asm.op(Op::Bitcast, Type::U32, &[id]);
            self.set(d, Type::U32, id)
        } else {
            self.set(d, Type::F16, id)
        }
    }

    /// Applies a scalar operation to a scalar, or to both halves of a packed value.
    fn each(&mut self, packed: bool, a: &[Id], mut f: impl FnMut(&mut Self, &[Id]) -> Id) -> Id {
        if !packed {
            return f(self, a);
        }
        let mut out = Vec::new();
        for k in 0..2 {
            let x: Vec<Id> = a
                .iter()
                .map(|&v| self.asm.op(Op::CompositeExtract, Type::F16, &[v, k]))
                .collect();
            out.push(f(self, &x));
        }
        self.asm
            .op(Op::CompositeConstruct, Type::Vector(Scalar::F16, 2), &out)
    }

    /// A subnormal f16 becomes a zero of its sign.
    pub(super) fn flush16(&mut self, a: Id) -> Id {
        let bits = self.cast(
            Value {
                id: a,
                ty: Type::F16,
            },
            Type::U16,
        );
        let (exponent, sign, zero) = (
            self.asm.constant(Type::U16, 0x7c00),
            self.asm.constant(Type::U16, 0x8000),
            self.asm.constant(Type::U16, 0),
        );
        let e = self.asm.op(Op::BitwiseAnd, Type::U16, &[bits, exponent]);
        let small = self.asm.op(Op::IEqual, Type::Bool, &[e, zero]);
        let s = self.asm.op(Op::BitwiseAnd, Type::U16, &[bits, sign]);
        let id = self.asm.op(Op::Select, Type::U16, &[small, s, bits]);
        self.asm.op(Op::Bitcast, Type::F16, &[id])
    }

    /// min and max with `.xorsign.abs`: of the magnitudes, with the product's sign. A NaN has no sign to give.
    fn min_max_magnitude(&mut self, ty: Type, a: Id, b: Id, min: bool, nan: bool) -> Id {
        let bits = Type::unsigned(ty.size());
        let top = self.asm.constant(bits, 1 << (8 * ty.size() - 1));
        let (ia, ib) = (
            self.cast(Value { id: a, ty }, bits),
            self.cast(Value { id: b, ty }, bits),
        );
        let sign = self.asm.op(Op::BitwiseXor, bits, &[ia, ib]);
        let sign = self.asm.op(Op::BitwiseAnd, bits, &[sign, top]);
        let x = self.sign_operation(ty, a, Op::BitwiseAnd);
        let y = self.sign_operation(ty, b, Op::BitwiseAnd);
        let m = self.min_max_float(ty, x, y, min, nan);
        let w = self.cast(Value { id: m, ty }, bits);
        let w = self.asm.op(Op::BitwiseOr, bits, &[w, sign]);
        self.asm.op(Op::Bitcast, ty, &[w])
    }

    /// A function computed in single precision.
    fn single(&mut self, packed: bool, a: &[Id], op: GLOp) -> Id {
        self.each(packed, a, |e, x| {
            let v = e.asm.op(Op::FConvert, Type::F32, &[x[0]]);
            let v = e.asm.glsl(op, Type::F32, &[v]);
            e.narrow(Type::F16, v)
        })
    }

    /// f16 fma through single precision: the product is exact there, and the sum rounded to odd.
    fn fma16(&mut self, a: Id, b: Id, c: Id) -> Id {
        let [a, b, c] = [a, b, c].map(|x| self.asm.op(Op::FConvert, Type::F32, &[x]));
        let p = self.exact(Op::FMul, Type::F32, &[a, b]);
        let (sum, error) = self.two_sum(Type::F32, p, c);
        let id = self.round_to_odd(Type::F32, sum, error);
        self.narrow(Type::F16, id)
    }

    /// [`Emitter::pack16`] for the register `d`. Two numbers that were converted one by one are converted at once, if nothing
    /// is computed with them: NVIDIA's compiler takes a conversion there and back for nothing, unless there is a selection
    /// between the two.
    pub(crate) fn pack_for(&mut self, d: &Operand, low: Id, high: Id) -> Id {
        let singles = [low, high].map(|half| self.halves_of.get(&half).copied());
        let leaves = match d {
            Operand::Register(r) if self.target.canonical_half_nan => {
                self.leaves_registers[self.virtual_register(*r) as usize]
            }
            _ => false,
        };
        let (true, [Some(first), Some(second)]) = (leaves, singles) else {
            return self.pack16(low, high);
        };
        let pair = Type::Vector(Scalar::F32, 2);
        let v = self.asm.op(Op::CompositeConstruct, pair, &[first, second]);
        let v = self.narrow(Type::Vector(Scalar::F16, 2), v);
        self.asm.op(Op::Bitcast, Type::U32, &[v])
    }

    /// Two 16-bit values as one word, the first in the low half.
    pub(crate) fn pack16(&mut self, low: Id, high: Id) -> Id {
        if !self.yields() {
            let pair = Type::Vector(Scalar::U16, 2);
            let v = self.asm.op(Op::CompositeConstruct, pair, &[low, high]);
            return self.asm.op(Op::Bitcast, Type::U32, &[v]);
        }
        let low = self.asm.op(Op::UConvert, Type::U32, &[low]);
        let high = self.asm.op(Op::UConvert, Type::U32, &[high]);
        let bits = self.asm.u32(16);
        let high = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[high, bits]);
        self.asm.op(Op::BitwiseOr, Type::U32, &[low, high])
    }

    /// A bf16 number (as u16) in single precision.
    pub(crate) fn brain_to_single(&mut self, a: Id) -> Id {
        let w = self.asm.op(Op::UConvert, Type::U32, &[a]);
        let bits = self.asm.u32(16);
        let w = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[w, bits]);
        self.asm.op(Op::Bitcast, Type::F32, &[w])
    }

    /// A single-precision number as bf16 (as u16), to nearest even.
    pub(crate) fn single_to_brain(&mut self, a: Id) -> Id {
        let w = self.cast(
            Value {
                id: a,
                ty: Type::F32,
            },
            Type::U32,
        );
        let (one, bits, half) = (self.asm.u32(1), self.asm.u32(16), self.asm.u32(0x7fff));
        let odd = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, bits]);
        let odd = self.asm.op(Op::BitwiseAnd, Type::U32, &[odd, one]);
        let r = self.asm.op(Op::IAdd, Type::U32, &[w, half]);
        let r = self.asm.op(Op::IAdd, Type::U32, &[r, odd]);
        let r = self.asm.op(Op::ShiftRightLogical, Type::U32, &[r, bits]);
        let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        let canonical = self.asm.u32(0x7fff);
        let r = self.asm.op(Op::Select, Type::U32, &[nan, canonical, r]);
        self.asm.op(Op::UConvert, Type::U16, &[r])
    }

    /// a * b + c of bf16 numbers, rounded to odd, where `p` is the product in single precision: by way of double precision
    /// where that product is not exact because it is beyond the range.
    fn brain_fma(&mut self, a: Id, b: Id, c: Id, p: Id) -> Id {
        let ty = Type::F32;
        let magnitude = self.sign_operation(ty, p, Op::BitwiseAnd);
        let number = |e: &mut Self, x: f32| e.asm.constant(ty, x.to_bits().into());
        let (zero, least, infinity) = (
            number(self, 0.0),
            number(self, 2f32.powi(-100)),
            number(self, f32::INFINITY),
        );
        let small = self
            .asm
            .op(Op::FOrdLessThan, Type::Bool, &[magnitude, least]);
        let some_a = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[a, zero]);
        let some_b = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[b, zero]);
        let some = self.asm.op(Op::LogicalAnd, Type::Bool, &[some_a, some_b]);
        let small = self.asm.op(Op::LogicalAnd, Type::Bool, &[small, some]);
        let large = self
            .asm
            .op(Op::FOrdEqual, Type::Bool, &[magnitude, infinity]);
        let rare = self.asm.op(Op::LogicalOr, Type::Bool, &[small, large]);
        self.choose(
            rare,
            ty,
            |e| {
                let [a, b, c] = [a, b, c].map(|x| e.asm.op(Op::FConvert, Type::F64, &[x]));
                let p = e.exact(Op::FMul, Type::F64, &[a, b]);
                let (sum, error) = e.two_sum(Type::F64, p, c);
                let odd = e.round_to_odd(Type::F64, sum, error);
                e.double_to_odd(odd)
            },
            |e| {
                let (sum, error) = e.two_sum(ty, p, c);
                e.round_to_odd(ty, sum, error)
            },
        )
    }

    fn brain_operation(&mut self, i: &Instruction, a: &[Id]) -> Result<Id> {
        use Modifier as M;
        let sign = self.asm.constant(Type::U16, 0x8000);
        let rest = self.asm.constant(Type::U16, 0x7fff);
        match i.opcode {
            Opcode::Neg => return Ok(self.asm.op(Op::BitwiseXor, Type::U16, &[a[0], sign])),
            Opcode::Abs => return Ok(self.asm.op(Op::BitwiseAnd, Type::U16, &[a[0], rest])),
            _ => {}
        }
        let x: Vec<Id> = a.iter().map(|&v| self.brain_to_single(v)).collect();
        let id = match i.opcode {
            // bf16 sums and products in 24 bits: the product is exact, the sum rounded to odd.
            Opcode::Mul => self.exact(Op::FMul, Type::F32, &x[..2]),
            Opcode::Add | Opcode::Sub | Opcode::Fma => {
                let (p, c) = match i.opcode {
                    Opcode::Add => (x[0], x[1]),
                    Opcode::Sub => (x[0], self.asm.op(Op::FNegate, Type::F32, &[x[1]])),
                    _ => (self.exact(Op::FMul, Type::F32, &x[..2]), x[2]),
                };
                if i.opcode == Opcode::Fma {
                    self.brain_fma(x[0], x[1], x[2], p)
                } else {
                    let (sum, error) = self.two_sum(Type::F32, p, c);
                    self.round_to_odd(Type::F32, sum, error)
                }
            }
            Opcode::Min | Opcode::Max if i.has(M::Xorsign) => self.min_max_magnitude(
                Type::F32,
                x[0],
                x[1],
                i.opcode == Opcode::Min,
                i.has(M::Nan),
            ),
            Opcode::Min | Opcode::Max => self.min_max_float(
                Type::F32,
                x[0],
                x[1],
                i.opcode == Opcode::Min,
                i.has(M::Nan),
            ),
            Opcode::Ex2 => self.asm.glsl(GLOp::Exp2, Type::F32, &x[..1]),
            Opcode::Tanh => self.asm.glsl(GLOp::Tanh, Type::F32, &x[..1]),
            _ => return unsupported(i),
        };
        let id = if i.has(M::Relu) {
            let zero = self.asm.constant(Type::F32, 0);
            let negative = self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[id, zero]);
            self.asm.op(Op::Select, Type::F32, &[negative, zero, id])
        } else {
            id
        };
        Ok(self.single_to_brain(id))
    }
}
