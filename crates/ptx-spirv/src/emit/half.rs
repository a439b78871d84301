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
            Operand::Register(r) if self.target.canonical_half_nan && !self.rolling => {
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

    /// a * b + c of bf16 numbers, rounded to odd, where `p` is the product in single precision: of scaled numbers where that
    /// product is not exact because it is beyond the range.
    fn brain_fma(&mut self, a: Id, b: Id, c: Id, p: Id) -> Id {
        let ty = Type::F32;
        let magnitude = self.sign_operation(ty, p, Op::BitwiseAnd);
        let (zero, least, infinity) = (
            self.single_constant(0.0),
            self.single_constant(2f32.powi(-100)),
            self.single_constant(f32::INFINITY),
        );
        let small = self
            .asm
            .op(Op::FOrdLessThan, Type::Bool, &[magnitude, least]);
        let some_a = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[a, zero]);
        let some_b = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[b, zero]);
        let some = self.asm.op(Op::LogicalAnd, Type::Bool, &[some_a, some_b]);
        let small = self.asm.op(Op::LogicalAnd, Type::Bool, &[small, some]);
        let mut large = self
            .asm
            .op(Op::FOrdEqual, Type::Bool, &[magnitude, infinity]);
        for factor in [a, b] {
            let size = self.sign_operation(ty, factor, Op::BitwiseAnd);
            let finite = self.asm.op(Op::FOrdLessThan, Type::Bool, &[size, infinity]);
            large = self.asm.op(Op::LogicalAnd, Type::Bool, &[large, finite]);
        }
        let rare = self.asm.op(Op::LogicalOr, Type::Bool, &[small, large]);
        self.choose(
            rare,
            ty,
            |e| e.scaled_brain_fma(a, b, c, small),
            |e| {
                let (sum, error) = e.two_sum(ty, p, c);
                e.round_to_odd(ty, sum, error)
            },
        )
    }

    /// A constant of single precision.
    pub(super) fn single_constant(&mut self, x: f32) -> Id {
        self.asm.constant(Type::F32, x.to_bits().into())
    }

    /// a * b + c where the product is `small`, below 2^-100, or that of finite factors and infinite. What comes out is a number of single precision
    /// that rounds to bf16 as the exact sum does.
    ///
    /// ```text
    /// small   (2^64 a)(2^64 b) + 2^128 c, which is c itself from 2^-80 on: the product is less than a quarter of its last place.
    ///         Below 2^-126 the steps of bf16 are 2^-133 = 2^-128 / 32: 32 times the sum is rounded to an integer.
    /// large   (2^-64 a) b + 2^-64 c, with a c of at least 2^-30, of which no more than its sign counts.
    /// ```
    fn scaled_brain_fma(&mut self, a: Id, b: Id, c: Id, small: Id) -> Id {
        let ty = Type::F32;
        let select = |e: &mut Self, x: f32, y: f32| {
            let (x, y) = (e.single_constant(x), e.single_constant(y));
            e.asm.op(Op::Select, ty, &[small, x, y])
        };
        let (up, down) = (2f32.powi(64), 2f32.powi(-64));
        let (first, second) = (select(self, up, down), select(self, up, 1.0));
        let (back, back_again) = (select(self, down, up), select(self, down, 1.0));
        let size = self.sign_operation(ty, c, Op::BitwiseAnd);
        // A small number beside a large product.
        let floor = self.single_constant(2f32.powi(-30));
        let zero = self.single_constant(0.0);
        let below = self.asm.op(Op::FOrdLessThan, Type::Bool, &[size, floor]);
        let some = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[c, zero]);
        let below = self.asm.op(Op::LogicalAnd, Type::Bool, &[below, some]);
        let large = self.asm.op(Op::LogicalNot, Type::Bool, &[small]);
        let below = self.asm.op(Op::LogicalAnd, Type::Bool, &[below, large]);
        let signed = self.with_sign_of(floor, c);
        let addend = self.asm.op(Op::Select, ty, &[below, signed, c]);
        // The sum of the scaled numbers.
        let a = self.exact(Op::FMul, ty, &[a, first]);
        let b = self.exact(Op::FMul, ty, &[b, second]);
        let product = self.exact(Op::FMul, ty, &[a, b]);
        let addend = self.exact(Op::FMul, ty, &[addend, first]);
        let addend = self.exact(Op::FMul, ty, &[addend, second]);
        let (sum, error) = self.two_sum(ty, product, addend);
        let sum = self.round_to_odd(ty, sum, error);
        let result = self.exact(Op::FMul, ty, &[sum, back]);
        let result = self.exact(Op::FMul, ty, &[result, back_again]);
        // A subnormal result: adding 2^23 rounds to an integer, which is the number's low bits.
        let places = self.single_constant(32.0);
        let integers = self.single_constant(2f32.powi(23));
        let total = self.sign_operation(ty, sum, Op::BitwiseAnd);
        let scaled = self.exact(Op::FMul, ty, &[total, places]);
        let rounded = self.exact(Op::FAdd, ty, &[scaled, integers]);
        let bits = self.asm.op(Op::Bitcast, Type::U32, &[rounded]);
        let sixteen = self.asm.u32(16);
        // What 2^23 itself has in its high bits is shifted out.
        let bits = self
            .asm
            .op(Op::ShiftLeftLogical, Type::U32, &[bits, sixteen]);
        let tiny = self.asm.op(Op::Bitcast, ty, &[bits]);
        let tiny = self.with_sign_of(tiny, sum);
        let four = self.single_constant(4.0);
        let subnormal = self.asm.op(Op::FOrdLessThan, Type::Bool, &[total, four]);
        let subnormal = self.asm.op(Op::LogicalAnd, Type::Bool, &[subnormal, small]);
        let result = self.asm.op(Op::Select, ty, &[subnormal, tiny, result]);
        // A number beside a small product.
        let enough = self.single_constant(2f32.powi(-80));
        let alone = self
            .asm
            .op(Op::FOrdGreaterThanEqual, Type::Bool, &[size, enough]);
        let alone = self.asm.op(Op::LogicalAnd, Type::Bool, &[alone, small]);
        self.asm.op(Op::Select, ty, &[alone, c, result])
    }

    /// A number of single precision that is not negative, with the sign of another.
    pub(super) fn with_sign_of(&mut self, x: Id, sign: Id) -> Id {
        let top = self.asm.u32(1 << 31);
        let [x, sign] = [x, sign].map(|id| self.asm.op(Op::Bitcast, Type::U32, &[id]));
        let sign = self.asm.op(Op::BitwiseAnd, Type::U32, &[sign, top]);
        let word = self.asm.op(Op::BitwiseOr, Type::U32, &[x, sign]);
        self.asm.op(Op::Bitcast, Type::F32, &[word])
    }

    /// The product of two bf16 numbers (`x` in single precision) of which one is known to be 1 or -1: nvcc writes sums as `fma`
    /// with a factor of 1.
    fn brain_unit_product(&mut self, a: &[Id], x: &[Id]) -> Option<Id> {
        (0..2).find_map(|n| match self.known_bits(a[n]).value(0xffff) {
            Some(0x3f80) => Some(x[1 - n]),
            Some(0xbf80) => Some(self.asm.op(Op::FNegate, Type::F32, &[x[1 - n]])),
            _ => None,
        })
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
                let (p, c, in_range) = match i.opcode {
                    Opcode::Add => (x[0], x[1], true),
                    Opcode::Sub => {
                        let c = self.asm.op(Op::FNegate, Type::F32, &[x[1]]);
                        (x[0], c, true)
                    }
                    _ => match self.brain_unit_product(a, &x) {
                        Some(p) => (p, x[2], true),
                        None => (self.exact(Op::FMul, Type::F32, &x[..2]), x[2], false),
                    },
                };
                if in_range {
                    let (sum, error) = self.two_sum(Type::F32, p, c);
                    self.round_to_odd(Type::F32, sum, error)
                } else {
                    self.brain_fma(x[0], x[1], x[2], p)
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
