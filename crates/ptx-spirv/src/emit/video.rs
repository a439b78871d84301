//! Video instructions: vadd, vsub, vabsdiff, vmin, vmax, vshl, vshr, vset, vmad, and the same on two halves or four bytes
//! (PTX ISA, "Scalar Video Instructions", "SIMD Video Instructions").
//!
//! All work in 64 bits, where nothing overflows before `.sat` clamps, and vmad in 128.

use super::*;

/// What is done with the third operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Second {
    None,
    Add,
    Min,
    Max,
}

impl Emitter<'_> {
    pub(super) fn video(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        use Opcode as O;
        if i.opcode == O::Vmad {
            return self.vmad(i);
        }
        let types: Vec<ScalarType> = i.types().collect();
        let sets = matches!(i.opcode, O::Vset | O::Vset2 | O::Vset4);
        let (d_type, a_type, b_type) = match types[..] {
            [a, b] if sets => (M::U32, a, b),
            [d, a, b] if !sets => (d, a, b),
            _ => {
                return Err(EmitError::Invalid(format!(
                    "{} with other types",
                    i.mnemonic()
                )))
            }
        };
        let ways = u32::from(i.opcode.video_ways().unwrap_or(1));
        let parts = i.parts.as_deref().copied().unwrap_or_default();
        let [d_part, a_part, b_part, _] = parts.map(|part| part.selector);
        let bits = 32 / ways;
        let second = i
            .modifiers
            .iter()
            .find_map(|m| {
                Some(match m {
                    M::AddMod => Second::Add,
                    M::MinMod => Second::Min,
                    M::MaxMod => Second::Max,
                    _ => return None,
                })
            })
            .unwrap_or(Second::None);
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let b = self.value(self.operand(i, 2)?, Type::U32)?;
        let c = match i.operands.get(3) {
            Some(o) => Some(self.value(o, Type::U32)?),
            None => None,
        };
        let mut word = self.asm.u32(0);
        let mut sum = match (second, c) {
            (Second::Add, Some(c)) => c,
            _ => word,
        };
        if ways == 1 {
            let [(at, wide), (a_at, a_bits), (b_at, b_bits)] = [d_part, a_part, b_part].map(place);
            let x = self.video_part(a, a_at, a_bits, a_type.is_signed());
            let y = self.video_part(b, b_at, b_bits, b_type.is_signed());
            let mut t = self.video_operation(i, x, y)?;
            if i.has(M::Sat) {
                t = self.video_clamp(t, d_type.is_signed(), wide);
            }
            word = self.asm.op(Op::UConvert, Type::U32, &[t]);
            if second == Second::Add {
                sum = self.asm.op(Op::IAdd, Type::U32, &[sum, word]);
            }
            if d_part.is_some() {
                // Into the part of the third source.
                let (Some(c), Second::None) = (c, second) else {
                    return Err(EmitError::Invalid(format!(
                        "{} into a part of nothing",
                        i.mnemonic()
                    )));
                };
                let (at, wide) = (self.asm.u32(at), self.asm.u32(wide));
                word = self
                    .asm
                    .op(Op::BitFieldInsert, Type::U32, &[c, word, at, wide]);
            }
        } else if let (Some(_), Some(c)) = (d_part, c) {
            // What the mask leaves out is the third source's.
            word = c;
        }
        for n in 0..if ways == 1 { 0 } else { ways } {
            if d_part.is_some_and(|mask| !mask.places().contains(&(n as u8))) {
                continue;
            }
            // Parts of both sources, those of the second after those of the first.
            let chosen = |selector: Option<ptx::Selector>, first: u32| {
                let place = selector.map_or(first + n, |s| s.places()[n as usize].into());
                let from = if place < ways { a } else { b };
                (from, place % ways * bits)
            };
            let ((x, x_at), (y, y_at)) = (chosen(a_part, 0), chosen(b_part, ways));
            let x = self.video_part(x, x_at, bits, a_type.is_signed());
            let y = self.video_part(y, y_at, bits, b_type.is_signed());
            let mut t = self.video_operation(i, x, y)?;
            if i.has(M::Sat) {
                t = self.video_clamp(t, d_type.is_signed(), bits);
            }
            let t = self.asm.op(Op::UConvert, Type::U32, &[t]);
            if second == Second::Add {
                sum = self.asm.op(Op::IAdd, Type::U32, &[sum, t]);
            }
            let (at, width) = (self.asm.u32(n * bits), self.asm.u32(bits));
            word = self
                .asm
                .op(Op::BitFieldInsert, Type::U32, &[word, t, at, width]);
        }
        let signed = d_type.is_signed();
        let id = match (second, c) {
            (Second::None, _) | (_, None) => word,
            (Second::Add, Some(_)) => sum,
            (Second::Min | Second::Max, Some(c)) if ways == 1 => {
                let op = match (second, signed) {
                    (Second::Min, true) => rspirv::spirv::GLOp::SMin,
                    (Second::Min, false) => rspirv::spirv::GLOp::UMin,
                    (_, true) => rspirv::spirv::GLOp::SMax,
                    (_, false) => rspirv::spirv::GLOp::UMax,
                };
                self.asm.glsl(op, Type::U32, &[word, c])
            }
            _ => return unsupported(i),
        };
        self.set(self.operand(i, 0)?, Type::U32, id)
    }

    /// Bits of a word as a 64-bit number.
    fn video_part(&mut self, word: Id, at: u32, bits: u32, signed: bool) -> Id {
        let part = if bits == 32 {
            word
        } else {
            let field = if signed {
                Op::BitFieldSExtract
            } else {
                Op::BitFieldUExtract
            };
            let (at, bits) = (self.asm.u32(at), self.asm.u32(bits));
            self.asm.op(field, Type::U32, &[word, at, bits])
        };
        let op = if signed { Op::SConvert } else { Op::UConvert };
        self.asm.op(op, Type::U64, &[part])
    }

    fn video_operation(&mut self, i: &Instruction, a: Id, b: Id) -> Result<Id> {
        use Modifier as M;
        use Opcode as O;
        let ty = Type::U64;
        let less = |e: &mut Self, a: Id, b: Id| e.asm.op(Op::SLessThan, Type::Bool, &[a, b]);
        Ok(match i.opcode {
            O::Vadd | O::Vadd2 | O::Vadd4 => self.asm.op(Op::IAdd, ty, &[a, b]),
            O::Vsub | O::Vsub2 | O::Vsub4 => self.asm.op(Op::ISub, ty, &[a, b]),
            O::Vabsdiff | O::Vabsdiff2 | O::Vabsdiff4 => {
                let (forth, back) = (
                    self.asm.op(Op::ISub, ty, &[a, b]),
                    self.asm.op(Op::ISub, ty, &[b, a]),
                );
                let is = less(self, a, b);
                self.asm.op(Op::Select, ty, &[is, back, forth])
            }
            O::Vmin | O::Vmin2 | O::Vmin4 => {
                let is = less(self, a, b);
                self.asm.op(Op::Select, ty, &[is, a, b])
            }
            O::Vmax | O::Vmax2 | O::Vmax4 => {
                let is = less(self, a, b);
                self.asm.op(Op::Select, ty, &[is, b, a])
            }
            // The mean, halves rounded away from zero.
            O::Vavrg2 | O::Vavrg4 => {
                let sum = self.asm.op(Op::IAdd, ty, &[a, b]);
                let (zero, one, shift) = (
                    self.asm.constant(ty, 0),
                    self.asm.constant(ty, 1),
                    self.asm.u32(1),
                );
                let negative = less(self, sum, zero);
                let round = self.asm.op(Op::Select, ty, &[negative, zero, one]);
                let sum = self.asm.op(Op::IAdd, ty, &[sum, round]);
                self.asm.op(Op::ShiftRightArithmetic, ty, &[sum, shift])
            }
            O::Vshl | O::Vshr => {
                let count = if i.has(M::Wrap) {
                    let mask = self.asm.constant(ty, 31);
                    self.asm.op(Op::BitwiseAnd, ty, &[b, mask])
                } else {
                    let (zero, most) = (self.asm.constant(ty, 0), self.asm.constant(ty, 32));
                    let below = less(self, b, zero);
                    let b = self.asm.op(Op::Select, ty, &[below, zero, b]);
                    let above = less(self, most, b);
                    self.asm.op(Op::Select, ty, &[above, most, b])
                };
                let op = if i.opcode == O::Vshl {
                    Op::ShiftLeftLogical
                } else {
                    Op::ShiftRightArithmetic
                };
                self.asm.op(op, ty, &[a, count])
            }
            _ => {
                let op = i.modifiers.iter().find_map(|m| {
                    Some(match m {
                        M::Eq => Op::IEqual,
                        M::Ne => Op::INotEqual,
                        M::Lt => Op::SLessThan,
                        M::Le => Op::SLessThanEqual,
                        M::Gt => Op::SGreaterThan,
                        M::Ge => Op::SGreaterThanEqual,
                        _ => return None,
                    })
                });
                let Some(op) = op else {
                    return unsupported(i);
                };
                let is = self.asm.op(op, Type::Bool, &[a, b]);
                let (one, zero) = (self.asm.constant(ty, 1), self.asm.constant(ty, 0));
                self.asm.op(Op::Select, ty, &[is, one, zero])
            }
        })
    }

    /// A signed 64-bit number clamped to so many bits.
    fn video_clamp(&mut self, v: Id, signed: bool, bits: u32) -> Id {
        let (least, most) = if signed {
            (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
        } else {
            (0, (1i64 << bits) - 1)
        };
        let (least, most) = (
            self.asm.constant(Type::U64, least as u64),
            self.asm.constant(Type::U64, most as u64),
        );
        let below = self.asm.op(Op::SLessThan, Type::Bool, &[v, least]);
        let v = self.asm.op(Op::Select, Type::U64, &[below, least, v]);
        let above = self.asm.op(Op::SGreaterThan, Type::Bool, &[v, most]);
        self.asm.op(Op::Select, Type::U64, &[above, most, v])
    }

    /// vmad: a * b + c, with `.po` one more, or with one of the two negated; shifted right by 7 or 15. Of words without sign and
    /// with a negated operand it takes more than 64 bits.
    fn vmad(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let [_, a_type, b_type] = types[..] else {
            return Err(EmitError::Invalid("vmad needs three types".into()));
        };
        let parts = i.parts.as_deref().copied().unwrap_or_default();
        let [_, a_part, b_part, c_part] = parts;
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let b = self.value(self.operand(i, 2)?, Type::U32)?;
        let c = self.value(self.operand(i, 3)?, Type::U32)?;
        let [(a_at, a_bits), (b_at, b_bits)] = [a_part, b_part].map(|part| place(part.selector));
        let a = self.video_part(a, a_at, a_bits, a_type.is_signed());
        let b = self.video_part(b, b_at, b_bits, b_type.is_signed());
        let minus = a_part.negated != b_part.negated;
        let has_sign = a_type.is_signed() || b_type.is_signed();
        let signed = has_sign || minus || c_part.negated;
        let mut c = self.video_part(c, 0, 32, signed);
        let ty = Type::U64;
        let (zero, one) = (self.asm.constant(ty, 0), self.asm.constant(ty, 1));
        let sixty_three = self.asm.u32(63);
        let sign = |e: &mut Self, v: Id| match signed {
            true => e.asm.op(Op::ShiftRightArithmetic, ty, &[v, sixty_three]),
            false => zero,
        };
        let mut low = self.asm.op(Op::IMul, ty, &[a, b]);
        let mut high = if has_sign { sign(self, low) } else { zero };
        let mut more = zero;
        if i.has(M::Po) {
            more = one;
        } else if minus {
            low = self.asm.op(Op::Not, ty, &[low]);
            high = self.asm.op(Op::Not, ty, &[high]);
            more = one;
        } else if c_part.negated {
            c = self.asm.op(Op::SNegate, ty, &[c]);
        }
        // What is added has 34 bits.
        let c = self.asm.op(Op::IAdd, ty, &[c, more]);
        let sum = self.asm.op(Op::IAdd, ty, &[low, c]);
        let carries = self.asm.op(Op::ULessThan, Type::Bool, &[sum, low]);
        let carry = self.asm.op(Op::Select, ty, &[carries, one, zero]);
        let c_sign = sign(self, c);
        let high = self.asm.op(Op::IAdd, ty, &[high, c_sign]);
        let high = self.asm.op(Op::IAdd, ty, &[high, carry]);
        let shift = if i.has(M::Shr7) {
            7
        } else if i.has(M::Shr15) {
            15
        } else {
            0
        };
        let (mut v, mut rest) = (sum, high);
        if shift > 0 {
            let (down, up) = (self.asm.u32(shift), self.asm.u32(64 - shift));
            let kept = self.asm.op(Op::ShiftRightLogical, ty, &[sum, down]);
            let from = self.asm.op(Op::ShiftLeftLogical, ty, &[high, up]);
            v = self.asm.op(Op::BitwiseOr, ty, &[kept, from]);
            rest = self.asm.op(Op::ShiftRightArithmetic, ty, &[high, down]);
        }
        if i.has(M::Sat) {
            // A number that 64 bits do not hold is limited as the farthest one that they do.
            v = if signed {
                let own = self.asm.op(Op::ShiftRightArithmetic, ty, &[v, sixty_three]);
                let holds = self.asm.op(Op::IEqual, Type::Bool, &[own, rest]);
                let most = self.asm.constant(ty, i64::MAX as u64);
                let negative = self
                    .asm
                    .op(Op::ShiftRightArithmetic, ty, &[rest, sixty_three]);
                let farthest = self.asm.op(Op::BitwiseXor, ty, &[negative, most]);
                let v = self.asm.op(Op::Select, ty, &[holds, v, farthest]);
                self.video_clamp(v, true, 32)
            } else {
                let most = self.asm.constant(ty, u32::MAX.into());
                let above = self.asm.op(Op::UGreaterThan, Type::Bool, &[v, most]);
                self.asm.op(Op::Select, ty, &[above, most, v])
            };
        }
        let id = self.asm.op(Op::UConvert, Type::U32, &[v]);
        self.set(self.operand(i, 0)?, Type::U32, id)
    }
}

/// The first bit of a part of a register, and how many bits it has.
fn place(selector: Option<ptx::Selector>) -> (u32, u32) {
    selector.map_or((0, 32), |s| {
        let bits = if s.halves { 16 } else { 8 };
        (u32::from(s.places()[0]) * bits, bits)
    })
}
