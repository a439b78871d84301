//! cvt (PTX ISA, "cvt").

use super::*;
use rspirv::spirv::GLOp;

impl Emitter<'_> {
    pub(super) fn convert(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        if i.has(M::Pack) {
            return self.convert_pack(i);
        }
        if i.has(M::Rs) || i.has(M::Scaled) {
            return unsupported(i);
        }
        let types: Vec<ScalarType> = i.types().collect();
        let [to, from] = types[..] else {
            return Err(EmitError::Invalid("cvt needs two types".into()));
        };
        // Formats of later architectures.
        let known = |t: ScalarType| {
            t.size().is_some_and(|s| s <= 8)
                && (!t.is_float() && !t.text().starts_with('e') && !t.text().starts_with("ue")
                    || t.is_float())
                && !matches!(
                    t,
                    M::S2f6x2 | M::F32x2 | M::U16x2 | M::S16x2 | M::U8x4 | M::S8x4
                )
        };
        if !known(to) || !known(from) {
            return unsupported(i);
        }
        let d = self.operand(i, 0)?;
        match (to, from) {
            (M::F16x2 | M::Bf16x2, M::F32) => {
                // The first source is the high half.
                let element = if to == M::F16x2 { M::F16 } else { M::Bf16 };
                let mut halves = Vec::new();
                for n in [2, 1] {
                    let a = self.value(self.operand(i, n)?, Type::F32)?;
                    halves.push(self.narrow_single(i, a, element)?);
                }
                let id = self.pack_for(d, halves[0], halves[1]);
                return self.set(d, Type::U32, id);
            }
            (M::F16x2, M::E4m3x2 | M::E5m2x2) => {
                let a = self.value(self.operand(i, 1)?, Type::U16)?;
                let w = self.asm.op(Op::UConvert, Type::U32, &[a]);
                let mut halves = Vec::new();
                for n in 0..2u32 {
                    let (at, bits) = (self.asm.u32(8 * n), self.asm.u32(8));
                    let byte = self.asm.op(Op::BitFieldUExtract, Type::U32, &[w, at, bits]);
                    let h = self.decode8(byte, from == M::E4m3x2);
                    let h = if i.has(M::Relu) {
                        let v = self.asm.op(Op::Bitcast, Type::F16, &[h]);
                        let zero = self.asm.constant(Type::F16, 0);
                        let below = self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[v, zero]);
                        let zero = self.asm.constant(Type::U16, 0);
                        self.asm.op(Op::Select, Type::U16, &[below, zero, h])
                    } else {
                        h
                    };
                    halves.push(h);
                }
                let id = self.pack16(halves[0], halves[1]);
                return self.set(d, Type::U32, id);
            }
            (M::E4m3x2 | M::E5m2x2, M::F32 | M::F16x2) => {
                let mut bytes = Vec::new();
                for n in 0..2u32 {
                    // The first source (or the high half) becomes the high byte.
                    let a = if from == M::F32 {
                        self.value(self.operand(i, 2 - n as usize)?, Type::F32)?
                    } else {
                        let w = self.value(self.operand(i, 1)?, Type::U32)?;
                        let shift = self.asm.u32(16 * n);
                        let h = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, shift]);
                        let h = self.asm.op(Op::UConvert, Type::U16, &[h]);
                        let h = self.asm.op(Op::Bitcast, Type::F16, &[h]);
                        self.asm.op(Op::FConvert, Type::F32, &[h])
                    };
                    let a = if i.has(M::Relu) { self.rectify(a) } else { a };
                    bytes.push(self.encode8(a, to == M::E4m3x2));
                }
                let eight = self.asm.u32(8);
                let high = self
                    .asm
                    .op(Op::ShiftLeftLogical, Type::U32, &[bytes[1], eight]);
                let id = self.asm.op(Op::BitwiseOr, Type::U32, &[bytes[0], high]);
                let id = self.asm.op(Op::UConvert, Type::U16, &[id]);
                return self.set(d, Type::U16, id);
            }
            (M::Tf32, M::F32) => {
                let a = self.value(self.operand(i, 1)?, Type::F32)?;
                let a = if i.has(M::Relu) { self.rectify(a) } else { a };
                let id = self.round_tf32(i, a)?;
                return self.set(d, Type::U32, id);
            }
            _ => {}
        }
        match (to.is_float(), from.is_float()) {
            (false, false) => self.integer_to_integer(i, to, from),
            (true, false) => self.integer_to_float(i, to, from),
            (false, true) => self.float_to_integer(i, to, from),
            (true, true) => self.float_to_float(i, to, from),
        }
    }

    /// The value of an integer source of `from`, in at least 32 bits, extended by its sign.
    fn integer_source(&mut self, o: &Operand, from: ScalarType) -> Result<(Id, Type)> {
        let size = from.size().unwrap_or(4);
        let narrow = Type::unsigned(size);
        let v = self.value(o, narrow)?;
        if size >= 4 {
            return Ok((v, narrow));
        }
        let op = if from.is_signed() {
            Op::SConvert
        } else {
            Op::UConvert
        };
        let id = self.asm.op(op, Type::U32, &[v]);
        if !from.is_signed() {
            self.note_extended(id, v, narrow);
        }
        Ok((id, Type::U32))
    }

    fn integer_to_integer(
        &mut self,
        i: &Instruction,
        to: ScalarType,
        from: ScalarType,
    ) -> Result<()> {
        let d = self.operand(i, 0)?;
        let (mut v, mut ty) = self.integer_source(self.operand(i, 1)?, from)?;
        let size = to.size().unwrap_or(4);
        if i.has(Modifier::Sat) {
            (v, ty) = self.saturate_integer(v, ty, from.is_signed(), to);
        }
        let target = Type::unsigned(size);
        let id = if target.size() > ty.size() {
            let op = if from.is_signed() {
                Op::SConvert
            } else {
                Op::UConvert
            };
            self.asm.op(op, target, &[v])
        } else {
            self.cast(Value { id: v, ty }, target)
        };
        self.set_widened(d, target, id, to.is_signed())
    }

    /// Clamps an integer to the range of `to`.
    fn saturate_integer(&mut self, v: Id, ty: Type, signed: bool, to: ScalarType) -> (Id, Type) {
        let bits = match to {
            Modifier::S2 | Modifier::U2 => 2,
            Modifier::S4 | Modifier::U4 => 4,
            to => to.size().unwrap_or(4) * 8,
        };
        let (least, most): (i128, i128) = if to.is_signed() {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };
        let width = ty.size() * 8;
        let (own_least, own_most): (i128, i128) = if signed {
            (-(1i128 << (width - 1)), (1i128 << (width - 1)) - 1)
        } else {
            (0, (1i128 << width) - 1)
        };
        let mut v = v;
        if least > own_least {
            let bound = self.asm.constant(ty, least as u64);
            let below = self.asm.op(Op::SLessThan, Type::Bool, &[v, bound]);
            v = self.asm.op(Op::Select, ty, &[below, bound, v]);
        }
        if most < own_most {
            let bound = self.asm.constant(ty, most as u64);
            let op = if signed {
                Op::SGreaterThan
            } else {
                Op::UGreaterThan
            };
            let above = self.asm.op(op, Type::Bool, &[v, bound]);
            v = self.asm.op(Op::Select, ty, &[above, bound, v]);
        }
        (v, ty)
    }

    /// An integer of which the compiler knows nothing, where it had better not ([`crate::Target::opaque_counters`]).
    fn hidden_integer(&mut self, v: Id, ty: Type) -> Id {
        if !self.target.opaque_counters || self.graph.kept.is_none() {
            return v;
        }
        let zero = self.hidden_zero(ty);
        self.asm.op(Op::BitwiseXor, ty, &[v, zero])
    }

    fn integer_to_float(
        &mut self,
        i: &Instruction,
        to: ScalarType,
        from: ScalarType,
    ) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let (v, ty) = self.integer_source(self.operand(i, 1)?, from)?;
        let v = self.hidden_integer(v, ty);
        let op = if from.is_signed() {
            Op::ConvertSToF
        } else {
            Op::ConvertUToF
        };
        let directed = float::directed(i);
        let id = match to {
            M::F64 => match directed {
                Some(mode) if ty.size() == 8 => {
                    self.directed_integer(v, from.is_signed(), Type::F64, mode)
                }
                _ => {
                    let v = match self.asm.doubles_are_integers() {
                        true => self.widen_integer(v, ty, from.is_signed()),
                        false => v,
                    };
                    self.asm.op(op, Type::F64, &[v])
                }
            },
            M::F32 => match directed {
                Some(mode) if from.size().is_some_and(|s| s >= 4) => {
                    let wide = self.widen_integer(v, ty, from.is_signed());
                    self.directed_integer(wide, from.is_signed(), Type::F32, mode)
                }
                _ => self.asm.op(op, Type::F32, &[v]),
            },
            M::F16 | M::Bf16 => {
                // Rounded to odd in single precision first: one rounding in effect.
                let single = if ty.size() == 4 && from.size().is_some_and(|s| s < 4) {
                    self.asm.op(op, Type::F32, &[v])
                } else {
                    self.integer_to_odd(v, ty, from.is_signed())
                };
                let id = self.narrow_single(i, single, to)?;
                return self.set(d, Type::U16, id);
            }
            _ => return unsupported(i),
        };
        let ty = if to == M::F64 { Type::F64 } else { Type::F32 };
        let id = if i.has(M::Sat) {
            self.saturate(ty, id)
        } else {
            id
        };
        self.set(d, ty, id)
    }

    /// An integer of 64 bits with the same value.
    fn widen_integer(&mut self, v: Id, ty: Type, signed: bool) -> Id {
        if ty == Type::U64 {
            return v;
        }
        let op = if signed { Op::SConvert } else { Op::UConvert };
        self.asm.op(op, Type::U64, &[v])
    }

    /// A 64-bit integer as a floating-point number, rounded in a directed mode: its magnitude is rounded to as many
    /// significant bits as the format holds, so that the conversion is exact.
    fn directed_integer(&mut self, v: Id, signed: bool, float: Type, mode: float::Directed) -> Id {
        let significant = if float == Type::F64 { 53 } else { 24 };
        let ty = Type::U64;
        let zero = self.asm.constant(ty, 0);
        let negative = if signed {
            self.asm.op(Op::SLessThan, Type::Bool, &[v, zero])
        } else {
            self.asm.constant(Type::Bool, 0)
        };
        let minus = self.asm.op(Op::ISub, ty, &[zero, v]);
        let magnitude = self.asm.op(Op::Select, ty, &[negative, minus, v]);
        let zeros = self.leading_zeros(magnitude, ty);
        let spare = self.asm.u32(64 - significant);
        let none = self.asm.u32(0);
        let drop = self.asm.op(Op::ISub, Type::U32, &[spare, zeros]);
        let drop = self.asm.glsl(GLOp::SMax, Type::U32, &[drop, none]);
        let one = self.asm.constant(ty, 1);
        let unit = self.asm.op(Op::ShiftLeftLogical, ty, &[one, drop]);
        let below = self.asm.op(Op::ISub, ty, &[unit, one]);
        let above = self.asm.op(Op::Not, ty, &[below]);
        let kept = self.asm.op(Op::BitwiseAnd, ty, &[magnitude, above]);
        let rest = self.asm.op(Op::BitwiseAnd, ty, &[magnitude, below]);
        let inexact = self.asm.op(Op::INotEqual, Type::Bool, &[rest, zero]);
        // Away from zero: up for positive numbers, down for negative ones.
        let away = match mode {
            float::Directed::Zero => self.asm.constant(Type::Bool, 0),
            float::Directed::Down => negative,
            float::Directed::Up => self.asm.op(Op::LogicalNot, Type::Bool, &[negative]),
        };
        let more = self.asm.op(Op::LogicalAnd, Type::Bool, &[inexact, away]);
        let next = self.asm.op(Op::IAdd, ty, &[kept, unit]);
        // 2^64 does not fit; the largest number is converted to it.
        let overflow = self.asm.op(Op::IEqual, Type::Bool, &[next, zero]);
        let all = self.asm.constant(ty, u64::MAX);
        let next = self.asm.op(Op::Select, ty, &[overflow, all, next]);
        let rounded = self.asm.op(Op::Select, ty, &[more, next, kept]);
        let id = self.asm.op(Op::ConvertUToF, float, &[rounded]);
        let minus = self.asm.op(Op::FNegate, float, &[id]);
        self.asm.op(Op::Select, float, &[negative, minus, id])
    }

    /// A 32- or 64-bit integer in single precision, rounded to odd: bits below the 24th are gathered in the last.
    fn integer_to_odd(&mut self, v: Id, ty: Type, signed: bool) -> Id {
        let zero = self.asm.constant(ty, 0);
        let (magnitude, negative) = if signed {
            let negative = self.asm.op(Op::SLessThan, Type::Bool, &[v, zero]);
            let minus = self.asm.op(Op::ISub, ty, &[zero, v]);
            (
                self.asm.op(Op::Select, ty, &[negative, minus, v]),
                Some(negative),
            )
        } else {
            (v, None)
        };
        let zeros = self.leading_zeros(magnitude, ty);
        // Keep 24 significant bits: clear those below and put their disjunction in the last one kept.
        let spare = self.asm.u32(ty.size() * 8 - 24);
        let none = self.asm.u32(0);
        let drop = self.asm.op(Op::ISub, Type::U32, &[spare, zeros]);
        let drop = self.asm.glsl(GLOp::SMax, Type::U32, &[drop, none]);
        let one = self.asm.constant(ty, 1);
        let unit = self.asm.op(Op::ShiftLeftLogical, ty, &[one, drop]);
        let below = self.asm.op(Op::ISub, ty, &[unit, one]);
        let rest = self.asm.op(Op::BitwiseAnd, ty, &[magnitude, below]);
        let inexact = self.asm.op(Op::INotEqual, Type::Bool, &[rest, zero]);
        let above = self.asm.op(Op::Not, ty, &[below]);
        let kept = self.asm.op(Op::BitwiseAnd, ty, &[magnitude, above]);
        let odd = self.asm.op(Op::Select, ty, &[inexact, unit, zero]);
        let kept = self.asm.op(Op::BitwiseOr, ty, &[kept, odd]);
        let id = self.asm.op(Op::ConvertUToF, Type::F32, &[kept]);
        match negative {
            None => id,
            Some(n) => {
                let minus = self.asm.op(Op::FNegate, Type::F32, &[id]);
                self.asm.op(Op::Select, Type::F32, &[n, minus, id])
            }
        }
    }

    /// A floating-point source in its own type; bf16 and f16 in single precision.
    fn float_source(&mut self, i: &Instruction, from: ScalarType) -> Result<(Id, Type)> {
        use Modifier as M;
        let o = self.operand(i, 1)?;
        Ok(match from {
            M::F64 => (self.value(o, Type::F64)?, Type::F64),
            M::F32 => {
                let v = self.value(o, Type::F32)?;
                let v = if self.flushes(i, true) {
                    self.flush(v)
                } else {
                    v
                };
                (v, Type::F32)
            }
            M::F16 => {
                let v = self.value(o, Type::F16)?;
                (self.asm.op(Op::FConvert, Type::F32, &[v]), Type::F32)
            }
            M::Bf16 => {
                let v = self.value(o, Type::U16)?;
                (self.brain_to_single(v), Type::F32)
            }
            _ => return unsupported(i),
        })
    }

    /// Rounds to an integer as the instruction says (.rni, .rzi, .rmi, .rpi), if it does.
    fn round_to_integer(&mut self, i: &Instruction, v: Id, ty: Type) -> Option<Id> {
        use Modifier as M;
        let op = i.modifiers.iter().find_map(|m| {
            Some(match m {
                M::Rni => GLOp::RoundEven,
                M::Rzi => GLOp::Trunc,
                M::Rmi => GLOp::Floor,
                M::Rpi => GLOp::Ceil,
                _ => return None,
            })
        })?;
        if ty == Type::F64 && self.yields() && !self.asm.doubles_are_integers() {
            return Some(self.round_double(op, v));
        }
        Some(self.asm.glsl(op, ty, &[v]))
    }

    /// A double rounded to an integer by arithmetic: llvmpipe's own operations are wrong on processors without AVX-512
    /// (Mesa 25.0: 1.5 to 1.0, -0 to +0, numbers above 2^31 stay as they are).
    fn round_double(&mut self, op: GLOp, v: Id) -> Id {
        let ty = Type::F64;
        let number = |e: &mut Self, x: f64| e.asm.constant(ty, x.to_bits());
        let (big, one) = (number(self, 4_503_599_627_370_496.0), number(self, 1.0));
        let magnitude = self.sign_operation(ty, v, Op::BitwiseAnd);
        // Numbers of 53 bits from 2^52 on are integers: adding 2^52 rounds to nearest even.
        let sum = self.exact(Op::FAdd, ty, &[magnitude, big]);
        let nearest = self.exact(Op::FSub, ty, &[sum, big]);
        let zero = self.asm.constant(Type::U64, 0);
        let bits = self.cast(Value { id: v, ty }, Type::U64);
        let negative = self.asm.op(Op::SLessThan, Type::Bool, &[bits, zero]);
        let below = self
            .asm
            .op(Op::FOrdLessThan, Type::Bool, &[nearest, magnitude]);
        let above = self
            .asm
            .op(Op::FOrdGreaterThan, Type::Bool, &[nearest, magnitude]);
        let less = self.exact(Op::FSub, ty, &[nearest, one]);
        let more = self.exact(Op::FAdd, ty, &[nearest, one]);
        let down = self.asm.op(Op::Select, ty, &[above, less, nearest]);
        let up = self.asm.op(Op::Select, ty, &[below, more, nearest]);
        let rounded = match op {
            GLOp::RoundEven => nearest,
            GLOp::Trunc => down,
            GLOp::Floor => self.asm.op(Op::Select, ty, &[negative, up, down]),
            _ => self.asm.op(Op::Select, ty, &[negative, down, up]),
        };
        let small = self.asm.op(Op::FOrdLessThan, Type::Bool, &[magnitude, big]);
        // The sign also of a zero is the number's own.
        let sign = self.asm.constant(Type::U64, 1 << 63);
        let sign = self.asm.op(Op::BitwiseAnd, Type::U64, &[bits, sign]);
        let rounded = self.cast(Value { id: rounded, ty }, Type::U64);
        let rounded = self.asm.op(Op::BitwiseOr, Type::U64, &[rounded, sign]);
        let id = self.asm.op(Op::Select, Type::U64, &[small, rounded, bits]);
        self.asm.op(Op::Bitcast, ty, &[id])
    }

    fn float_to_integer(
        &mut self,
        i: &Instruction,
        to: ScalarType,
        from: ScalarType,
    ) -> Result<()> {
        let d = self.operand(i, 0)?;
        let (v, ty) = self.float_source(i, from)?;
        let v = self.round_to_integer(i, v, ty).unwrap_or(v);
        let size = to.size().unwrap_or(4);
        let bits = size * 8;
        let signed = to.is_signed();
        // Out of range is undefined in SPIR-V: clamp by comparing with the limits, which are powers of two.
        let wide = Type::unsigned(size.max(4));
        let power = |e: &mut Self, exponent: u32, negative: bool| {
            let x = 2f64.powi(exponent as i32) * if negative { -1.0 } else { 1.0 };
            e.asm.constant(
                ty,
                if ty == Type::F64 {
                    x.to_bits()
                } else {
                    (x as f32).to_bits() as u64
                },
            )
        };
        let limit = power(self, if signed { bits - 1 } else { bits }, false);
        let (most, least) = if signed {
            ((1u128 << (bits - 1)) as u64 - 1, 1u64 << (bits - 1))
        } else {
            (
                if bits == 64 {
                    u64::MAX
                } else {
                    (1u64 << bits) - 1
                },
                0,
            )
        };
        let least_extended = if signed && size < 4 {
            (-(1i64 << (bits - 1))) as u64
        } else {
            least
        };
        let high = self
            .asm
            .op(Op::FOrdGreaterThanEqual, Type::Bool, &[v, limit]);
        let zero_f = self.asm.constant(ty, 0);
        let low = if signed {
            let lowest = power(self, bits - 1, true);
            self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[v, lowest])
        } else {
            self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[v, zero_f])
        };
        let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[v, v]);
        let out = self.asm.op(Op::LogicalOr, Type::Bool, &[high, low]);
        let out = self.asm.op(Op::LogicalOr, Type::Bool, &[out, nan]);
        let safe = self.asm.op(Op::Select, ty, &[out, zero_f, v]);
        let op = if signed {
            Op::ConvertFToS
        } else {
            Op::ConvertFToU
        };
        let id = self.asm.op(op, wide, &[safe]);
        let (most, least) = (
            self.asm.constant(wide, most),
            self.asm.constant(wide, least_extended),
        );
        let id = self.asm.op(Op::Select, wide, &[high, most, id]);
        let mut id = self.asm.op(Op::Select, wide, &[low, least, id]);
        // NaN is zero, except between 64 bits of one side or the other: the highest bit alone.
        if from == ScalarType::F64 || size == 8 {
            let top = if signed {
                least
            } else {
                self.asm.constant(wide, 1 << (bits - 1))
            };
            id = self.asm.op(Op::Select, wide, &[nan, top, id]);
        }
        let narrow = Type::unsigned(size);
        let id = self.cast(Value { id, ty: wide }, narrow);
        self.set_widened(d, narrow, id, signed)
    }

    fn float_to_float(&mut self, i: &Instruction, to: ScalarType, from: ScalarType) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let (v, ty) = self.float_source(i, from)?;
        let v = self.round_to_integer(i, v, ty).unwrap_or(v);
        let directed = float::directed(i);
        let id = match (to, ty) {
            (M::F64, Type::F64) | (M::F32, Type::F32) => v,
            (M::F64, _) => self.asm.op(Op::FConvert, Type::F64, &[v]),
            (M::F32, _) => match directed {
                None => self.narrow(Type::F32, v),
                Some(mode) => {
                    let zero = self.asm.constant(Type::F64, 0);
                    self.round_directed(v, zero, mode)
                }
            },
            (M::F16 | M::Bf16, _) => {
                let single = if ty == Type::F64 {
                    self.double_to_odd(v)
                } else {
                    v
                };
                let id = self.narrow_single(i, single, to)?;
                return self.set(d, Type::U16, id);
            }
            _ => return unsupported(i),
        };
        let ty = if to == M::F64 { Type::F64 } else { Type::F32 };
        let flush = ty == Type::F32 && self.flushes(i, true);
        let id = if flush { self.flush(id) } else { id };
        let id = if i.has(M::Sat) {
            self.saturate(ty, id)
        } else {
            id
        };
        self.set(d, ty, id)
    }

    /// A double in single precision, rounded to odd.
    pub(super) fn double_to_odd(&mut self, v: Id) -> Id {
        let r = self.narrow(Type::F32, v);
        let back = self.exact(Op::FConvert, Type::F64, &[r]);
        let error = self.exact(Op::FSub, Type::F64, &[v, back]);
        // Only the sign of the error matters: bring it to single precision without losing it.
        let zero = self.asm.constant(Type::F64, 0);
        let (one, minus, none) = (
            self.asm.constant(Type::F32, 1f32.to_bits() as u64),
            self.asm.constant(Type::F32, (-1f32).to_bits() as u64),
            self.asm.constant(Type::F32, 0),
        );
        let more = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[error, zero]);
        let less = self.asm.op(Op::FOrdLessThan, Type::Bool, &[error, zero]);
        let e = self.asm.op(Op::Select, Type::F32, &[less, minus, none]);
        let e = self.asm.op(Op::Select, Type::F32, &[more, one, e]);
        let id = self.round_to_odd(Type::F32, r, e);
        // What became zero and is not: the smallest number.
        let gone = self.asm.op(Op::FOrdEqual, Type::Bool, &[r, none]);
        let some = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[e, none]);
        let gone = self.asm.op(Op::LogicalAnd, Type::Bool, &[gone, some]);
        let (least, minus_least) = (
            self.asm.constant(Type::F32, 1),
            self.asm.constant(Type::F32, 0x8000_0001),
        );
        let tiny = self
            .asm
            .op(Op::Select, Type::F32, &[less, minus_least, least]);
        self.asm.op(Op::Select, Type::F32, &[gone, tiny, id])
    }

    /// Negative numbers become zero; NaN stays.
    fn rectify(&mut self, a: Id) -> Id {
        let zero = self.asm.constant(Type::F32, 0);
        let below = self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[a, zero]);
        self.asm.op(Op::Select, Type::F32, &[below, zero, a])
    }

    /// A single-precision number as f16 or bf16 (as u16), with the instruction's rounding and clamping.
    fn narrow_single(&mut self, i: &Instruction, a: Id, to: ScalarType) -> Result<Id> {
        use Modifier as M;
        let a = if i.has(M::Relu) { self.rectify(a) } else { a };
        let a = if i.has(M::Sat) {
            self.saturate(Type::F32, a)
        } else {
            a
        };
        let directed = float::directed(i);
        if to == M::Bf16 {
            let id = match directed {
                None => self.single_to_brain(a),
                Some(float::Directed::Zero) => {
                    let w = self.cast(
                        Value {
                            id: a,
                            ty: Type::F32,
                        },
                        Type::U32,
                    );
                    let bits = self.asm.u32(16);
                    let w = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, bits]);
                    let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
                    let canonical = self.asm.u32(0x7fff);
                    let w = self.asm.op(Op::Select, Type::U32, &[nan, canonical, w]);
                    self.asm.op(Op::UConvert, Type::U16, &[w])
                }
                Some(mode) => {
                    // Cut off, and one unit further from zero where something was cut and the mode leads there.
                    let w = self.cast(
                        Value {
                            id: a,
                            ty: Type::F32,
                        },
                        Type::U32,
                    );
                    let (bits, low, zero, one) = (
                        self.asm.u32(16),
                        self.asm.u32(0xffff),
                        self.asm.u32(0),
                        self.asm.u32(1),
                    );
                    let kept = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, bits]);
                    let cut = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, low]);
                    let cut = self.asm.op(Op::INotEqual, Type::Bool, &[cut, zero]);
                    let op = if mode == float::Directed::Down {
                        Op::SLessThan
                    } else {
                        Op::SGreaterThanEqual
                    };
                    let leads = self.asm.op(op, Type::Bool, &[w, zero]);
                    let more = self.asm.op(Op::LogicalAnd, Type::Bool, &[cut, leads]);
                    let next = self.asm.op(Op::IAdd, Type::U32, &[kept, one]);
                    let w = self.asm.op(Op::Select, Type::U32, &[more, next, kept]);
                    let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
                    let canonical = self.asm.u32(0x7fff);
                    let w = self.asm.op(Op::Select, Type::U32, &[nan, canonical, w]);
                    self.asm.op(Op::UConvert, Type::U16, &[w])
                }
            };
            return Ok(if i.has(M::Satfinite) {
                self.finite16(id, 0x7f80, 0x7f7f)
            } else {
                id
            });
        }
        // A value that the conversion does not round.
        let exact = directed.map_or(a, |mode| self.direct_to_half(a, mode));
        let bits = self.half_bits(exact, a);
        if self.target.canonical_half_nan && directed.is_none() && !i.has(M::Satfinite) {
            self.halves_of.insert(bits, a);
        }
        Ok(if i.has(M::Satfinite) {
            self.finite16(bits, 0x7c00, 0x7bff)
        } else {
            bits
        })
    }

    /// A single-precision number as f16, in the bits.
    pub(super) fn single_to_half(&mut self, a: Id) -> Id {
        self.half_bits(a, a)
    }

    /// Half precision in the low bits of a word, towards zero, and what is not a number with as many of its bits as there is
    /// place for (PTX ISA, "sust", sust.p, as NVIDIA's hardware does it).
    pub(super) fn half_cut_off(&mut self, a: Id) -> Id {
        let u = Type::U32;
        let rounded = self.direct_to_half(a, float::Directed::Zero);
        let id = self.narrow(Type::F16, rounded);
        let number = self.asm.op(Op::Bitcast, Type::U16, &[id]);
        let number = self.asm.op(Op::UConvert, u, &[number]);
        let bits = self.asm.op(Op::Bitcast, u, &[a]);
        let [sixteen, thirteen, sign, quiet, payload] =
            [16, 13, 0x8000, 0x7e00, 0x3ff].map(|n| self.asm.u32(n));
        let shift = |e: &mut Self, by, mask| {
            let moved = e.asm.op(Op::ShiftRightLogical, u, &[bits, by]);
            e.asm.op(Op::BitwiseAnd, u, &[moved, mask])
        };
        let (sign, payload) = (shift(self, sixteen, sign), shift(self, thirteen, payload));
        let other = self.asm.op(Op::BitwiseOr, u, &[sign, payload]);
        let other = self.asm.op(Op::BitwiseOr, u, &[other, quiet]);
        let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        self.asm.op(Op::Select, u, &[nan, other, number])
    }

    /// The same of a number that was rounded before.
    fn half_bits(&mut self, rounded: Id, a: Id) -> Id {
        let id = self.narrow(Type::F16, rounded);
        let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        let bits = self.asm.op(Op::Bitcast, Type::U16, &[id]);
        let canonical = self.asm.constant(Type::U16, 0x7fff);
        self.asm.op(Op::Select, Type::U16, &[nan, canonical, bits])
    }

    /// A single-precision number rounded to what half precision holds, in the bits: compilers see through conversions
    /// there and back.
    fn direct_to_half(&mut self, a: Id, mode: float::Directed) -> Id {
        let op = |e: &mut Self, op, x: Id, y: Id| e.asm.op(op, Type::U32, &[x, y]);
        let test = |e: &mut Self, op, x: Id, y: Id| e.asm.op(op, Type::Bool, &[x, y]);
        let [none, one, sign_bit, rest] = [0, 1, 1 << 31, (1 << 31) - 1].map(|n| self.asm.u32(n));
        let bits = self.cast(
            Value {
                id: a,
                ty: Type::F32,
            },
            Type::U32,
        );
        let sign = op(self, Op::BitwiseAnd, bits, sign_bit);
        let magnitude = op(self, Op::BitwiseAnd, bits, rest);
        // Below 2^-14 a half has fewer bits: as many as the exponent is less, down to its least number, 2^-24.
        let [mantissa, lowest, spare] = [23, 113, 13].map(|n| self.asm.u32(n));
        let exponent = op(self, Op::ShiftRightLogical, magnitude, mantissa);
        let less = op(self, Op::ISub, lowest, exponent);
        let less = self.asm.glsl(GLOp::SMax, Type::U32, &[less, none]);
        let drop = op(self, Op::IAdd, spare, less);
        let drop = self.asm.glsl(GLOp::UMin, Type::U32, &[drop, mantissa]);
        let unit = op(self, Op::ShiftLeftLogical, one, drop);
        let below = op(self, Op::ISub, unit, one);
        let above = self.asm.op(Op::Not, Type::U32, &[below]);
        let kept = op(self, Op::BitwiseAnd, magnitude, above);
        let next = op(self, Op::IAdd, kept, unit);
        // Numbers below the least, and beyond the largest.
        let [least, largest, infinity] =
            [0x3380_0000, 0x477f_e000, 0x7f80_0000].map(|n| self.asm.u32(n));
        let tiny = test(self, Op::ULessThan, magnitude, least);
        let huge = test(self, Op::UGreaterThan, magnitude, largest);
        let finite = test(self, Op::ULessThan, magnitude, infinity);
        let huge = self.asm.op(Op::LogicalAnd, Type::Bool, &[huge, finite]);
        let mut choose = |when: Id, x: Id, y: Id| self.asm.op(Op::Select, Type::U32, &[when, x, y]);
        let kept = choose(tiny, none, kept);
        let kept = choose(huge, largest, kept);
        let next = choose(tiny, least, next);
        let next = choose(huge, infinity, next);
        let inexact = test(self, Op::INotEqual, kept, magnitude);
        let inexact = self.asm.op(Op::LogicalAnd, Type::Bool, &[inexact, finite]);
        let outward = match mode {
            float::Directed::Zero => self.asm.constant(Type::Bool, 0),
            float::Directed::Down => test(self, Op::INotEqual, sign, none),
            float::Directed::Up => test(self, Op::IEqual, sign, none),
        };
        let outward = self.asm.op(Op::LogicalAnd, Type::Bool, &[inexact, outward]);
        let result = self.asm.op(Op::Select, Type::U32, &[outward, next, kept]);
        let result = op(self, Op::BitwiseOr, sign, result);
        self.asm.op(Op::Bitcast, Type::F32, &[result])
    }

    /// Infinity becomes the largest finite number.
    fn finite16(&mut self, bits: Id, infinity: u64, largest: u64) -> Id {
        let m = self.asm.constant(Type::U16, 0x7fff);
        let magnitude = self.asm.op(Op::BitwiseAnd, Type::U16, &[bits, m]);
        let infinity = self.asm.constant(Type::U16, infinity);
        let is = self.asm.op(Op::IEqual, Type::Bool, &[magnitude, infinity]);
        let sign = self.asm.constant(Type::U16, 0x8000);
        let s = self.asm.op(Op::BitwiseAnd, Type::U16, &[bits, sign]);
        let largest = self.asm.constant(Type::U16, largest);
        let l = self.asm.op(Op::BitwiseOr, Type::U16, &[s, largest]);
        self.asm.op(Op::Select, Type::U16, &[is, l, bits])
    }

    /// An e4m3 or e5m2 byte (in a u32) as f16 bits.
    pub(super) fn decode8(&mut self, byte: Id, e4m3: bool) -> Id {
        let eight = self.asm.u32(8);
        if !e4m3 {
            // e5m2 is the upper byte of an f16; its NaNs become the canonical one.
            let w = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[byte, eight]);
            let m = self.asm.u32(0x7fff);
            let magnitude = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, m]);
            let infinity = self.asm.u32(0x7c00);
            let nan = self
                .asm
                .op(Op::UGreaterThan, Type::Bool, &[magnitude, infinity]);
            let w = self.asm.op(Op::Select, Type::U32, &[nan, m, w]);
            return self.asm.op(Op::UConvert, Type::U16, &[w]);
        }
        // The fields in an f16's places are 2^-8 of the value, subnormal numbers too.
        let seven = self.asm.u32(7);
        let m = self.asm.u32(0x7f);
        let magnitude = self.asm.op(Op::BitwiseAnd, Type::U32, &[byte, m]);
        let fields = self
            .asm
            .op(Op::ShiftLeftLogical, Type::U32, &[magnitude, seven]);
        let fields = self.asm.op(Op::UConvert, Type::U16, &[fields]);
        let h = self.asm.op(Op::Bitcast, Type::F16, &[fields]);
        let f = self.asm.op(Op::FConvert, Type::F32, &[h]);
        let scale = self.asm.constant(Type::F32, 256f32.to_bits() as u64);
        let f = self.exact(Op::FMul, Type::F32, &[f, scale]);
        let h = self.asm.op(Op::FConvert, Type::F16, &[f]);
        let bits = self.asm.op(Op::Bitcast, Type::U16, &[h]);
        let w = self.asm.op(Op::UConvert, Type::U32, &[bits]);
        let s = self.asm.u32(0x80);
        let sign = self.asm.op(Op::BitwiseAnd, Type::U32, &[byte, s]);
        let sign = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[sign, eight]);
        let w = self.asm.op(Op::BitwiseOr, Type::U32, &[w, sign]);
        let nan = self.asm.op(Op::IEqual, Type::Bool, &[magnitude, m]);
        let canonical = self.asm.u32(0x7fff);
        let w = self.asm.op(Op::Select, Type::U32, &[nan, canonical, w]);
        self.asm.op(Op::UConvert, Type::U16, &[w])
    }

    /// A single-precision number as an e4m3 or e5m2 byte (in a u32), to nearest even, saturating.
    fn encode8(&mut self, a: Id, e4m3: bool) -> Id {
        let (mantissa, bias, largest, nan_bits) = if e4m3 {
            (3u32, 7i32, 0x7eu32, 0x7fu32)
        } else {
            (2, 15, 0x7b, 0x7f)
        };
        let w = self.cast(
            Value {
                id: a,
                ty: Type::F32,
            },
            Type::U32,
        );
        let m = self.asm.u32(0x7fff_ffff);
        let magnitude = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, m]);
        let one = self.asm.u32(1);
        // Normal results: rebias and round the 23-bit significand.
        let drop = 23 - mantissa;
        let rebias = self.asm.u32(((127 - bias) as u32) << 23);
        let shift = self.asm.u32(drop);
        let half = self.asm.u32((1 << (drop - 1)) - 1);
        let r = self.asm.op(Op::ISub, Type::U32, &[magnitude, rebias]);
        let odd = self.asm.op(Op::ShiftRightLogical, Type::U32, &[r, shift]);
        let odd = self.asm.op(Op::BitwiseAnd, Type::U32, &[odd, one]);
        let r = self.asm.op(Op::IAdd, Type::U32, &[r, half]);
        let r = self.asm.op(Op::IAdd, Type::U32, &[r, odd]);
        let normal = self.asm.op(Op::ShiftRightLogical, Type::U32, &[r, shift]);
        // Subnormal results: a multiple of the smallest one, rounded by the floating-point unit.
        let f = self.asm.op(Op::Bitcast, Type::F32, &[magnitude]);
        let scale = 2f32.powi(bias - 1 + mantissa as i32);
        let scale = self.asm.constant(Type::F32, scale.to_bits() as u64);
        let least_normal = 2f32.powi(1 - bias);
        let least_normal = self.asm.constant(Type::F32, least_normal.to_bits() as u64);
        let small = self
            .asm
            .op(Op::FOrdLessThan, Type::Bool, &[f, least_normal]);
        let zero = self.asm.constant(Type::F32, 0);
        let bounded = self.asm.op(Op::Select, Type::F32, &[small, f, zero]);
        let scaled = self.exact(Op::FMul, Type::F32, &[bounded, scale]);
        let scaled = self.asm.glsl(GLOp::RoundEven, Type::F32, &[scaled]);
        let subnormal = self.asm.op(Op::ConvertFToU, Type::U32, &[scaled]);
        let v = self
            .asm
            .op(Op::Select, Type::U32, &[small, subnormal, normal]);
        let top = self.asm.u32(largest);
        let v = self.asm.glsl(GLOp::UMin, Type::U32, &[v, top]);
        let infinity = self.asm.u32(f32::INFINITY.to_bits());
        let nan = self
            .asm
            .op(Op::UGreaterThan, Type::Bool, &[magnitude, infinity]);
        let canonical = self.asm.u32(nan_bits);
        let (twenty_four, s) = (self.asm.u32(24), self.asm.u32(0x80));
        let sign = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[w, twenty_four]);
        let sign = self.asm.op(Op::BitwiseAnd, Type::U32, &[sign, s]);
        let v = self.asm.op(Op::BitwiseOr, Type::U32, &[v, sign]);
        self.asm.op(Op::Select, Type::U32, &[nan, canonical, v])
    }

    /// tf32: 10 explicit bits of significand in a single-precision number's place.
    fn round_tf32(&mut self, i: &Instruction, a: Id) -> Result<Id> {
        use Modifier as M;
        let w = self.cast(
            Value {
                id: a,
                ty: Type::F32,
            },
            Type::U32,
        );
        let cut = if i.has(M::Rz) {
            let keep = self.asm.u32(!0x1fff);
            self.asm.op(Op::BitwiseAnd, Type::U32, &[w, keep])
        } else {
            self.nearest_tf32(w, i.has(M::Rna))
        };
        let nan = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        let canonical = self.asm.u32(0x7fff_ffff);
        Ok(self.asm.op(Op::Select, Type::U32, &[nan, canonical, cut]))
    }

    /// A number in single precision rounded to tf32, to even ones or away from zero where two are as near. Infinity and NaN
    /// lose the bits that there is no place for.
    pub(super) fn nearest_tf32(&mut self, w: Id, away: bool) -> Id {
        let keep = self.asm.u32(!0x1fff);
        let add = if away {
            self.asm.u32(0x1000)
        } else {
            let (thirteen, one, half) = (self.asm.u32(13), self.asm.u32(1), self.asm.u32(0xfff));
            let odd = self
                .asm
                .op(Op::ShiftRightLogical, Type::U32, &[w, thirteen]);
            let odd = self.asm.op(Op::BitwiseAnd, Type::U32, &[odd, one]);
            self.asm.op(Op::IAdd, Type::U32, &[half, odd])
        };
        let r = self.asm.op(Op::IAdd, Type::U32, &[w, add]);
        let (exponent, all) = (self.asm.u32(0x7f80_0000), self.asm.u32(0x7f80_0000));
        let e = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, exponent]);
        let special = self.asm.op(Op::IEqual, Type::Bool, &[e, all]);
        let id = self.asm.op(Op::Select, Type::U32, &[special, w, r]);
        self.asm.op(Op::BitwiseAnd, Type::U32, &[id, keep])
    }

    /// cvt.pack.sat: two 32-bit integers clamped and packed, above what the third operand has.
    fn convert_pack(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let to = types.first().copied().unwrap_or(M::S16);
        let bits = match to {
            M::S16 | M::U16 => 16,
            M::S8 | M::U8 => 8,
            M::S4 | M::U4 => 4,
            M::S2 | M::U2 => 2,
            _ => return unsupported(i),
        };
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let b = self.value(self.operand(i, 2)?, Type::U32)?;
        let (a, _) = self.saturate_integer(a, Type::U32, true, to);
        let (b, _) = self.saturate_integer(b, Type::U32, true, to);
        let (at, width, zero) = (self.asm.u32(bits), self.asm.u32(bits), self.asm.u32(0));
        let base = match i.operands.get(3) {
            // The bits of c below take the place above the two new ones.
            Some(c) if bits <= 8 => {
                let c = self.value(c, Type::U32)?;
                let up = self.asm.u32(2 * bits);
                self.asm.op(Op::ShiftLeftLogical, Type::U32, &[c, up])
            }
            _ => zero,
        };
        let id = self
            .asm
            .op(Op::BitFieldInsert, Type::U32, &[base, b, zero, width]);
        let id = self
            .asm
            .op(Op::BitFieldInsert, Type::U32, &[id, a, at, width]);
        self.set(self.operand(i, 0)?, Type::U32, id)
    }
}
