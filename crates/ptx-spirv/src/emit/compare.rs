//! setp, set, selp, slct (PTX ISA, "Comparison and Selection Instructions").

use super::*;

impl Emitter<'_> {
    pub(super) fn compare(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Setp => self.setp(i),
            Opcode::Set => self.set_instruction(i),
            Opcode::Selp => {
                let ty = i.types().next_back().map_or(Type::U32, register_type);
                let a = self.value(self.operand(i, 1)?, ty)?;
                let b = self.value(self.operand(i, 2)?, ty)?;
                let c = self.boolean(self.operand(i, 3)?)?;
                let id = self.asm.op(Op::Select, ty, &[c, a, b]);
                self.set(self.operand(i, 0)?, ty, id)
            }
            _ => {
                // slct.dtype.{s32,f32}: by the sign of the third operand.
                let mut types = i.types();
                let ty = types.next().map_or(Type::U32, register_type);
                let by = types.next().unwrap_or(Modifier::S32);
                let a = self.value(self.operand(i, 1)?, ty)?;
                let b = self.value(self.operand(i, 2)?, ty)?;
                let c = if by == Modifier::F32 {
                    let c = self.value(self.operand(i, 3)?, Type::F32)?;
                    let c = if self.flushes(i, false) {
                        self.flush(c)
                    } else {
                        c
                    };
                    let zero = self.asm.constant(Type::F32, 0);
                    self.asm
                        .op(Op::FOrdGreaterThanEqual, Type::Bool, &[c, zero])
                } else {
                    let c = self.value(self.operand(i, 3)?, Type::U32)?;
                    let zero = self.asm.u32(0);
                    self.asm.op(Op::SGreaterThanEqual, Type::Bool, &[c, zero])
                };
                let id = self.asm.op(Op::Select, ty, &[c, a, b]);
                self.set(self.operand(i, 0)?, ty, id)
            }
        }
    }

    /// The comparison operator, and the boolean one where there is one. GCC writes the type of the result before them
    /// (`set.u32.le.s32`), the ISA behind.
    fn operators(i: &Instruction) -> Result<(Modifier, Option<Modifier>)> {
        let combines = |m: &Modifier| matches!(m, Modifier::And | Modifier::Or | Modifier::Xor);
        let is_other = |m: &Modifier| m.is_type() || *m == Modifier::Ftz || combines(m);
        let mut modifiers = i.modifiers.iter().copied();
        let combine = modifiers.clone().find(combines);
        modifiers
            .find(|m| !is_other(m))
            .map(|c| (c, combine))
            .ok_or_else(|| EmitError::Invalid(format!("{} without a comparison", i.mnemonic())))
    }

    /// One comparison of two values of a PTX type.
    fn comparison(
        &mut self,
        i: &Instruction,
        ty: ScalarType,
        operator: Modifier,
        a: Id,
        b: Id,
    ) -> Result<Id> {
        use Modifier as M;
        if ty.is_float() {
            let op = match operator {
                M::Eq => Op::FOrdEqual,
                M::Ne => Op::FOrdNotEqual,
                M::Lt => Op::FOrdLessThan,
                M::Le => Op::FOrdLessThanEqual,
                M::Gt => Op::FOrdGreaterThan,
                M::Ge => Op::FOrdGreaterThanEqual,
                M::Equ => Op::FUnordEqual,
                M::Neu => Op::FUnordNotEqual,
                M::Ltu => Op::FUnordLessThan,
                M::Leu => Op::FUnordLessThanEqual,
                M::Gtu => Op::FUnordGreaterThan,
                M::Geu => Op::FUnordGreaterThanEqual,
                M::Num => {
                    let x = self.unordered(a, b);
                    return Ok(self.asm.op(Op::LogicalNot, Type::Bool, &[x]));
                }
                M::NanCmp | M::Nan => return Ok(self.unordered(a, b)),
                _ => return unsupported(i),
            };
            return Ok(self.asm.op(op, Type::Bool, &[a, b]));
        }
        let signed = ty.is_signed();
        let op = match (operator, signed) {
            (M::Eq, _) if ty == M::Pred => Op::LogicalEqual,
            (M::Ne, _) if ty == M::Pred => Op::LogicalNotEqual,
            (M::Eq, _) => Op::IEqual,
            (M::Ne, _) => Op::INotEqual,
            (M::Lt, true) => Op::SLessThan,
            (M::Le, true) => Op::SLessThanEqual,
            (M::Gt, true) => Op::SGreaterThan,
            (M::Ge, true) => Op::SGreaterThanEqual,
            (M::Lt | M::Lo, _) => Op::ULessThan,
            (M::Le | M::Ls, _) => Op::ULessThanEqual,
            (M::Gt | M::Hi, _) => Op::UGreaterThan,
            (M::Ge | M::Hs, _) => Op::UGreaterThanEqual,
            _ => return unsupported(i),
        };
        Ok(self.asm.op(op, Type::Bool, &[a, b]))
    }

    /// An operand as the value that a comparison of a PTX type wants.
    fn comparand(&mut self, i: &Instruction, n: usize, ty: ScalarType) -> Result<Id> {
        use Modifier as M;
        let o = self.operand(i, n)?;
        Ok(match ty {
            M::F16 => {
                let v = self.value(o, Type::F16)?;
                self.flush_half_comparand(i, v)
            }
            M::Bf16 => {
                let v = self.value(o, Type::U16)?;
                self.brain_to_single(v)
            }
            M::F32 => {
                let v = self.value(o, Type::F32)?;
                if self.flushes(i, false) {
                    self.flush(v)
                } else {
                    v
                }
            }
            ty => self.value(o, register_type(ty))?,
        })
    }

    /// Both halves of a packed operand.
    fn packed_comparands(&mut self, i: &Instruction, n: usize, ty: ScalarType) -> Result<[Id; 2]> {
        let w = self.value(self.operand(i, n)?, Type::U32)?;
        let bits = self.asm.u32(16);
        let high = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, bits]);
        let halves = [w, high].map(|h| self.asm.op(Op::UConvert, Type::U16, &[h]));
        Ok(if ty == Modifier::F16x2 {
            halves.map(|h| {
                let v = self.asm.op(Op::Bitcast, Type::F16, &[h]);
                self.flush_half_comparand(i, v)
            })
        } else {
            halves.map(|h| self.brain_to_single(h))
        })
    }

    fn flush_half_comparand(&mut self, i: &Instruction, v: Id) -> Id {
        if i.has(Modifier::Ftz) && self.target.flush_explicitly {
            return self.flush16(v);
        }
        v
    }

    fn combine(&mut self, operator: Option<Modifier>, value: Id, i: &Instruction) -> Result<Id> {
        let Some(operator) = operator else {
            return Ok(value);
        };
        let c = self.boolean(self.operand(i, 3)?)?;
        let op = match operator {
            Modifier::And => Op::LogicalAnd,
            Modifier::Or => Op::LogicalOr,
            _ => Op::LogicalNotEqual,
        };
        Ok(self.asm.op(op, Type::Bool, &[value, c]))
    }

    fn setp(&mut self, i: &Instruction) -> Result<()> {
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("setp without a type".into()))?;
        let (operator, boolean) = Self::operators(i)?;
        let (p, q) = match self.operand(i, 0)? {
            Operand::Pair(pair) => (pair.0.clone(), Some(pair.1.clone())),
            p => (p.clone(), None),
        };
        if matches!(ty, Modifier::F16x2 | Modifier::Bf16x2) {
            let a = self.packed_comparands(i, 1, ty)?;
            let b = self.packed_comparands(i, 2, ty)?;
            for (n, d) in [Some(p), q].into_iter().enumerate() {
                let Some(d) = d else { continue };
                let c = self.comparison(i, Modifier::F16, operator, a[n], b[n])?;
                let c = self.combine(boolean, c, i)?;
                self.set(&d, Type::Bool, c)?;
            }
            return Ok(());
        }
        let a = self.comparand(i, 1, ty)?;
        let b = self.comparand(i, 2, ty)?;
        let c = self.comparison(i, ty, operator, a, b)?;
        let first = self.combine(boolean, c, i)?;
        let second = match &q {
            None => None,
            Some(_) => {
                let not = self.asm.op(Op::LogicalNot, Type::Bool, &[c]);
                Some(self.combine(boolean, not, i)?)
            }
        };
        self.set(&p, Type::Bool, first)?;
        match (q, second) {
            (Some(q), Some(v)) => self.set(&q, Type::Bool, v),
            _ => Ok(()),
        }
    }

    /// set: all ones or 1.0 for true, 0 for false.
    fn set_instruction(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let [to, from] = types[..] else {
            return Err(EmitError::Invalid("set needs two types".into()));
        };
        let (operator, boolean) = Self::operators(i)?;
        let d = self.operand(i, 0)?;
        let (yes, ty) = match to {
            M::F32 => (1f32.to_bits() as u64, Type::F32),
            M::U32 | M::S32 => (u32::MAX as u64, Type::U32),
            M::F16 => (0x3c00, Type::U16),
            M::Bf16 => (0x3f80, Type::U16),
            M::U16 | M::S16 => (0xffff, Type::U16),
            M::F16x2 => (0x3c00, Type::U16),
            M::Bf16x2 => (0x3f80, Type::U16),
            _ => return unsupported(i),
        };
        if matches!(from, M::F16x2 | M::Bf16x2) {
            let half_yes = match to {
                M::F16x2 => 0x3c00,
                M::Bf16x2 => 0x3f80,
                _ => 0xffff,
            };
            let (yes, no) = (
                self.asm.constant(Type::U16, half_yes),
                self.asm.constant(Type::U16, 0),
            );
            let a = self.packed_comparands(i, 1, from)?;
            let b = self.packed_comparands(i, 2, from)?;
            let mut halves = [0; 2];
            for n in 0..2 {
                let c = self.comparison(i, M::F16, operator, a[n], b[n])?;
                let c = self.combine(boolean, c, i)?;
                halves[n] = self.asm.op(Op::Select, Type::U16, &[c, yes, no]);
            }
            let id = self.pack16(halves[0], halves[1]);
            return self.set(d, Type::U32, id);
        }
        let a = self.comparand(i, 1, from)?;
        let b = self.comparand(i, 2, from)?;
        let c = self.comparison(i, from, operator, a, b)?;
        let c = self.combine(boolean, c, i)?;
        let (yes, no) = (self.asm.constant(ty, yes), self.asm.constant(ty, 0));
        let id = self.asm.op(Op::Select, ty, &[c, yes, no]);
        self.set(d, ty, id)
    }
}
