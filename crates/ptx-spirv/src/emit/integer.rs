//! Integer arithmetic and bit fields (PTX ISA, "Integer Arithmetic Instructions", "Extended-Precision Integer Arithmetic
//! Instructions").

use super::*;
use rspirv::spirv::{Capability, GLOp};

impl Emitter<'_> {
    /// The SPIR-V type of an integer instruction type.
    pub(super) fn integer_type(&self, i: &Instruction) -> Result<(ScalarType, Type)> {
        use Modifier::*;
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("an instruction without a type".into()))?;
        match ty {
            U16 | S16 | B16 | U32 | S32 | B32 | U64 | S64 | B64 => Ok((ty, register_type(ty))),
            Pred => Ok((ty, Type::Bool)),
            _ => Err(EmitError::Unsupported(i.mnemonic())),
        }
    }

    pub(super) fn integer(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        if i.types()
            .next_back()
            .is_some_and(|t| matches!(t, M::U16x2 | M::S16x2))
        {
            return self.packed16(i);
        }
        let (pty, ty) = self.integer_type(i)?;
        let signed = pty.is_signed();
        match i.opcode {
            Opcode::Add | Opcode::Sub | Opcode::Addc | Opcode::Subc => self.add(i, ty, signed),
            Opcode::Mul if i.has(M::Wide) => {
                let wide = Type::unsigned(ty.size() * 2);
                let (a, b) = self.two(i, ty)?;
                let op = if signed { Op::SConvert } else { Op::UConvert };
                let a = self.asm.op(op, wide, &[a]);
                let b = self.asm.op(op, wide, &[b]);
                let id = self.asm.op(Op::IMul, wide, &[a, b]);
                self.set(d, wide, id)
            }
            Opcode::Mul | Opcode::Mad | Opcode::Madc => self.multiply(i, ty, signed),
            Opcode::Mul24 | Opcode::Mad24 => self.multiply24(i, signed),
            Opcode::Sad => {
                let (a, b) = self.two(i, ty)?;
                let c = self.value(self.operand(i, 3)?, ty)?;
                let (less, min, max) = if signed {
                    (Op::SLessThan, GLOp::SMin, GLOp::SMax)
                } else {
                    (Op::ULessThan, GLOp::UMin, GLOp::UMax)
                };
                let (low, high) = self.min_max(ty, a, b, less, min, max);
                let difference = self.asm.op(Op::ISub, ty, &[high, low]);
                let id = self.asm.op(Op::IAdd, ty, &[c, difference]);
                self.set(d, ty, id)
            }
            Opcode::Div | Opcode::Rem => self.divide(i, ty, signed),
            Opcode::Abs => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let zero = self.asm.constant(ty, 0);
                let minus = self.asm.op(Op::ISub, ty, &[zero, a]);
                let negative = self.asm.op(Op::SLessThan, Type::Bool, &[a, zero]);
                let id = self.asm.op(Op::Select, ty, &[negative, minus, a]);
                self.set(d, ty, id)
            }
            Opcode::Neg => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let zero = self.asm.constant(ty, 0);
                let id = self.asm.op(Op::ISub, ty, &[zero, a]);
                self.set(d, ty, id)
            }
            Opcode::Min | Opcode::Max => {
                let (a, b) = self.two(i, ty)?;
                let less = if signed { Op::SLessThan } else { Op::ULessThan };
                let (min, max) = if signed {
                    (GLOp::SMin, GLOp::SMax)
                } else {
                    (GLOp::UMin, GLOp::UMax)
                };
                let (low, high) = self.min_max(ty, a, b, less, min, max);
                let id = if i.opcode == Opcode::Min { low } else { high };
                let id = if i.has(M::Relu) {
                    let zero = self.asm.constant(ty, 0);
                    self.min_max(ty, id, zero, less, min, max).1
                } else {
                    id
                };
                self.set(d, ty, id)
            }
            Opcode::Popc => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let id = self.count_bits(a, ty);
                self.set(d, Type::U32, id)
            }
            Opcode::Clz => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let id = self.leading_zeros(a, ty);
                self.set(d, Type::U32, id)
            }
            Opcode::Bfind => {
                let mut a = self.value(self.operand(i, 1)?, ty)?;
                if signed {
                    // The most significant bit that differs from the sign.
                    let bits = self.asm.u32(ty.size() * 8 - 1);
                    let sign = self.asm.op(Op::ShiftRightArithmetic, ty, &[a, bits]);
                    a = self.asm.op(Op::BitwiseXor, ty, &[a, sign]);
                }
                let zeros = self.leading_zeros(a, ty);
                let id = if i.has(M::Shiftamt) {
                    // clz, and all ones where there is no bit.
                    let width = self.asm.u32(ty.size() * 8);
                    let none = self.asm.op(Op::IEqual, Type::Bool, &[zeros, width]);
                    let ones = self.asm.u32(u32::MAX);
                    self.asm.op(Op::Select, Type::U32, &[none, ones, zeros])
                } else {
                    let top = self.asm.u32(ty.size() * 8 - 1);
                    self.asm.op(Op::ISub, Type::U32, &[top, zeros])
                };
                self.set(d, Type::U32, id)
            }
            Opcode::Brev => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let id = if ty == Type::U64 {
                    let (low, high) = self.split(a);
                    let low = self.asm.op(Op::BitReverse, Type::U32, &[low]);
                    let high = self.asm.op(Op::BitReverse, Type::U32, &[high]);
                    self.join(high, low)
                } else {
                    self.asm.op(Op::BitReverse, ty, &[a])
                };
                self.set(d, ty, id)
            }
            Opcode::Bfe => self.bfe(i, ty, signed),
            Opcode::Bfi => self.bfi(i, ty),
            Opcode::Bmsk => {
                let a = self.value(self.operand(i, 1)?, Type::U32)?;
                let b = self.value(self.operand(i, 2)?, Type::U32)?;
                let (start, width) = if i.has(M::Clamp) {
                    let max = self.asm.u32(32);
                    (
                        self.asm.glsl(GLOp::UMin, Type::U32, &[a, max]),
                        self.asm.glsl(GLOp::UMin, Type::U32, &[b, max]),
                    )
                } else {
                    let mask = self.asm.u32(31);
                    (
                        self.asm.op(Op::BitwiseAnd, Type::U32, &[a, mask]),
                        self.asm.op(Op::BitwiseAnd, Type::U32, &[b, mask]),
                    )
                };
                // ((1 << width) - 1) << start in 64 bits, where neither shift is out of range.
                let one = self.asm.constant(Type::U64, 1);
                let ones = self.asm.op(Op::ShiftLeftLogical, Type::U64, &[one, width]);
                let ones = self.asm.op(Op::ISub, Type::U64, &[ones, one]);
                let mask = self.asm.op(Op::ShiftLeftLogical, Type::U64, &[ones, start]);
                let id = self.asm.op(Op::UConvert, Type::U32, &[mask]);
                self.set(d, Type::U32, id)
            }
            Opcode::Dp4a | Opcode::Dp2a => self.dot(i),
            Opcode::Fns => self.fns(i),
            _ => unsupported(i),
        }
    }

    /// Operands 1 and 2.
    pub(super) fn two(&mut self, i: &Instruction, ty: Type) -> Result<(Id, Id)> {
        let a = self.value(self.operand(i, 1)?, ty)?;
        let b = self.value(self.operand(i, 2)?, ty)?;
        Ok((a, b))
    }

    /// Minimum and maximum. GLSL.std.450 has them for 32 bits on every device; other widths compare and select.
    fn min_max(&mut self, ty: Type, a: Id, b: Id, less: Op, min: GLOp, max: GLOp) -> (Id, Id) {
        if ty == Type::U32 {
            return (
                self.asm.glsl(min, ty, &[a, b]),
                self.asm.glsl(max, ty, &[a, b]),
            );
        }
        let is = self.asm.op(less, Type::Bool, &[a, b]);
        (
            self.asm.op(Op::Select, ty, &[is, a, b]),
            self.asm.op(Op::Select, ty, &[is, b, a]),
        )
    }

    fn add(&mut self, i: &Instruction, ty: Type, signed: bool) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let (a, b) = self.two(i, ty)?;
        let subtract = matches!(i.opcode, Opcode::Sub | Opcode::Subc);
        let carried = matches!(i.opcode, Opcode::Addc | Opcode::Subc);
        if i.has(M::Cc) || carried {
            return self.add_with_carry(i, ty, a, b, subtract, carried);
        }
        let id = self
            .asm
            .op(if subtract { Op::ISub } else { Op::IAdd }, ty, &[a, b]);
        if !(i.has(M::Sat) && signed) {
            let id = if ty == Type::U32 && self.is_opaque_counter(i) {
                self.opaque(id)
            } else {
                id
            };
            return self.set(d, ty, id);
        }
        // Overflow: the operands' signs say so, and the saturated value has the sign of a.
        let (x, y) = if subtract {
            (
                self.asm.op(Op::BitwiseXor, ty, &[a, b]),
                self.asm.op(Op::BitwiseXor, ty, &[a, id]),
            )
        } else {
            (
                self.asm.op(Op::BitwiseXor, ty, &[a, id]),
                self.asm.op(Op::BitwiseXor, ty, &[b, id]),
            )
        };
        let both = self.asm.op(Op::BitwiseAnd, ty, &[x, y]);
        let zero = self.asm.constant(ty, 0);
        let overflow = self.asm.op(Op::SLessThan, Type::Bool, &[both, zero]);
        let bits = self.asm.u32(ty.size() * 8 - 1);
        let sign = self.asm.op(Op::ShiftRightArithmetic, ty, &[a, bits]);
        let most = self.asm.constant(ty, (1u64 << (ty.size() * 8 - 1)) - 1);
        let limit = self.asm.op(Op::BitwiseXor, ty, &[sign, most]);
        let id = self.asm.op(Op::Select, ty, &[overflow, limit, id]);
        self.set(d, ty, id)
    }

    /// Whether this is `add r, r, number` where the target wants such sums hidden ([`crate::Target::opaque_counters`]).
    fn is_opaque_counter(&self, i: &Instruction) -> bool {
        let hidden = self.target.opaque_counters
            && self.target.warps == Warps::Subgroup32
            && self.target.shared_memory == SharedMemory::Scratch;
        hidden
            && matches!(
                i.operands.as_slice(),
                [Operand::Register(d), Operand::Register(a), Operand::Integer(_)] if d == a
            )
    }

    /// The condition-code register CC.CF as a variable of the kernel.
    fn carry_variable(&mut self) -> Id {
        if self.entry.carry == 0 {
            self.entry.carry = self.asm.variable(Type::U32);
        }
        self.entry.carry
    }

    /// Sums and differences that write CC.CF or add it. A difference is `a + !b + 1`, with CC.CF in the place of the one if it is
    /// carried, and CC.CF the carry out of that: set where nothing is borrowed.
    fn add_with_carry(
        &mut self,
        i: &Instruction,
        ty: Type,
        a: Id,
        b: Id,
        subtract: bool,
        carried: bool,
    ) -> Result<()> {
        let carry = self.carry_variable();
        let (one, zero) = (self.asm.constant(ty, 1), self.asm.constant(ty, 0));
        let op = if subtract { Op::ISub } else { Op::IAdd };
        let first = self.asm.op(op, ty, &[a, b]);
        // Carry of a + b: the sum is below a. No borrow of a - b: a is not below b.
        let out = match subtract {
            true => self.asm.op(Op::UGreaterThanEqual, Type::Bool, &[a, b]),
            false => self.asm.op(Op::ULessThan, Type::Bool, &[first, a]),
        };
        let (id, out) = if carried {
            let id = self.asm.op(Op::Load, Type::U32, &[carry]);
            let c = self.cast(Value { id, ty: Type::U32 }, Type::Bool);
            let (set, unset) = if subtract { (zero, one) } else { (one, zero) };
            let c = self.asm.op(Op::Select, ty, &[c, set, unset]);
            let second = self.asm.op(op, ty, &[first, c]);
            let out = if subtract {
                let again = self.asm.op(Op::UGreaterThanEqual, Type::Bool, &[first, c]);
                self.asm.op(Op::LogicalAnd, Type::Bool, &[out, again])
            } else {
                let again = self.asm.op(Op::ULessThan, Type::Bool, &[second, first]);
                self.asm.op(Op::LogicalOr, Type::Bool, &[out, again])
            };
            (second, out)
        } else {
            (first, out)
        };
        if i.has(Modifier::Cc) {
            self.store_carry(out);
        }
        self.set(self.operand(i, 0)?, ty, id)
    }

    fn store_carry(&mut self, out: Id) {
        let carry = self.carry_variable();
        let out = self.cast(
            Value {
                id: out,
                ty: Type::Bool,
            },
            Type::U32,
        );
        self.asm.void(Op::Store, &[carry, out]);
    }

    /// The high half of a product.
    pub(super) fn multiply_high(&mut self, ty: Type, signed: bool, a: Id, b: Id) -> Id {
        if ty.size() < 8 {
            let wide = Type::unsigned(ty.size() * 2);
            let op = if signed { Op::SConvert } else { Op::UConvert };
            if ty == Type::U32 {
                let scalar = Scalar::U32;
                let op = if signed {
                    Op::SMulExtended
                } else {
                    Op::UMulExtended
                };
                let pair = self.asm.op(op, Type::Pair(scalar), &[a, b]);
                return self.asm.op(Op::CompositeExtract, ty, &[pair, 1]);
            }
            let a = self.asm.op(op, wide, &[a]);
            let b = self.asm.op(op, wide, &[b]);
            let product = self.asm.op(Op::IMul, wide, &[a, b]);
            let bits = self.asm.u32(ty.size() * 8);
            let high = self.asm.op(Op::ShiftRightLogical, wide, &[product, bits]);
            return self.asm.op(Op::UConvert, ty, &[high]);
        }
        // Four 32-bit products.
        let mask = self.asm.constant(ty, u32::MAX as u64);
        let bits = self.asm.u32(32);
        let al = self.asm.op(Op::BitwiseAnd, ty, &[a, mask]);
        let ah = self.asm.op(Op::ShiftRightLogical, ty, &[a, bits]);
        let bl = self.asm.op(Op::BitwiseAnd, ty, &[b, mask]);
        let bh = self.asm.op(Op::ShiftRightLogical, ty, &[b, bits]);
        let ll = self.asm.op(Op::IMul, ty, &[al, bl]);
        let lh = self.asm.op(Op::IMul, ty, &[al, bh]);
        let hl = self.asm.op(Op::IMul, ty, &[ah, bl]);
        let hh = self.asm.op(Op::IMul, ty, &[ah, bh]);
        let carry = self.asm.op(Op::ShiftRightLogical, ty, &[ll, bits]);
        let middle = self.asm.op(Op::IAdd, ty, &[hl, carry]);
        let middle_low = self.asm.op(Op::BitwiseAnd, ty, &[middle, mask]);
        let middle_high = self.asm.op(Op::ShiftRightLogical, ty, &[middle, bits]);
        let second = self.asm.op(Op::IAdd, ty, &[lh, middle_low]);
        let second_high = self.asm.op(Op::ShiftRightLogical, ty, &[second, bits]);
        let high = self.asm.op(Op::IAdd, ty, &[hh, middle_high]);
        let mut high = self.asm.op(Op::IAdd, ty, &[high, second_high]);
        if signed {
            let top = self.asm.u32(63);
            for (x, y) in [(a, b), (b, a)] {
                let sign = self.asm.op(Op::ShiftRightArithmetic, ty, &[x, top]);
                let correction = self.asm.op(Op::BitwiseAnd, ty, &[sign, y]);
                high = self.asm.op(Op::ISub, ty, &[high, correction]);
            }
        }
        high
    }

    fn multiply(&mut self, i: &Instruction, ty: Type, signed: bool) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let (a, b) = self.two(i, ty)?;
        if i.has(M::Wide) {
            // mad.wide: the product and the addend have twice the width.
            let wide = Type::unsigned(ty.size() * 2);
            let op = if signed { Op::SConvert } else { Op::UConvert };
            let a = self.asm.op(op, wide, &[a]);
            let b = self.asm.op(op, wide, &[b]);
            let product = self.asm.op(Op::IMul, wide, &[a, b]);
            let c = self.value(self.operand(i, 3)?, wide)?;
            let id = self.asm.op(Op::IAdd, wide, &[product, c]);
            return self.set(d, wide, id);
        }
        let product = if i.has(M::Hi) {
            self.multiply_high(ty, signed, a, b)
        } else {
            self.asm.op(Op::IMul, ty, &[a, b])
        };
        if i.opcode == Opcode::Mul {
            return self.set(d, ty, product);
        }
        let c = self.value(self.operand(i, 3)?, ty)?;
        if i.has(M::Cc) || i.opcode == Opcode::Madc {
            return self.add_with_carry(i, ty, product, c, false, i.opcode == Opcode::Madc);
        }
        let id = self.asm.op(Op::IAdd, ty, &[product, c]);
        if i.has(M::Sat) && signed {
            // mad.hi.sat.s32
            let x = self.asm.op(Op::BitwiseXor, ty, &[product, id]);
            let y = self.asm.op(Op::BitwiseXor, ty, &[c, id]);
            let both = self.asm.op(Op::BitwiseAnd, ty, &[x, y]);
            let zero = self.asm.constant(ty, 0);
            let overflow = self.asm.op(Op::SLessThan, Type::Bool, &[both, zero]);
            let bits = self.asm.u32(ty.size() * 8 - 1);
            let sign = self.asm.op(Op::ShiftRightArithmetic, ty, &[product, bits]);
            let most = self.asm.constant(ty, (1u64 << (ty.size() * 8 - 1)) - 1);
            let limit = self.asm.op(Op::BitwiseXor, ty, &[sign, most]);
            let id = self.asm.op(Op::Select, ty, &[overflow, limit, id]);
            return self.set(d, ty, id);
        }
        self.set(d, ty, id)
    }

    /// mul24, mad24: the low (or high) 32 bits of the 48-bit product of the low 24 bits.
    fn multiply24(&mut self, i: &Instruction, signed: bool) -> Result<()> {
        let ty = Type::U32;
        let (a, b) = self.two(i, ty)?;
        let (zero, bits) = (self.asm.u32(0), self.asm.u32(24));
        let field = if signed {
            Op::BitFieldSExtract
        } else {
            Op::BitFieldUExtract
        };
        let a = self.asm.op(field, ty, &[a, zero, bits]);
        let b = self.asm.op(field, ty, &[b, zero, bits]);
        let product = if i.has(Modifier::Hi) {
            let op = if signed { Op::SConvert } else { Op::UConvert };
            let a = self.asm.op(op, Type::U64, &[a]);
            let b = self.asm.op(op, Type::U64, &[b]);
            let p = self.asm.op(Op::IMul, Type::U64, &[a, b]);
            let sixteen = self.asm.u32(16);
            let p = self.asm.op(Op::ShiftRightLogical, Type::U64, &[p, sixteen]);
            self.asm.op(Op::UConvert, ty, &[p])
        } else {
            self.asm.op(Op::IMul, ty, &[a, b])
        };
        if i.opcode == Opcode::Mul24 {
            return self.set(self.operand(i, 0)?, ty, product);
        }
        let c = self.value(self.operand(i, 3)?, ty)?;
        let id = if i.has(Modifier::Sat) {
            self.add_saturated(product, c)
        } else {
            self.asm.op(Op::IAdd, ty, &[product, c])
        };
        self.set(self.operand(i, 0)?, ty, id)
    }

    /// Division by zero gives all ones (the remainder: the dividend); the most negative number by -1 is itself. SPIR-V
    /// leaves both undefined, so the divisor is made harmless first.
    fn divide(&mut self, i: &Instruction, ty: Type, signed: bool) -> Result<()> {
        let (a, b) = self.two(i, ty)?;
        let remainder = i.opcode == Opcode::Rem;
        let literal = Self::literal(self.operand(i, 2)?);
        let mask = if ty.size() == 8 {
            u64::MAX
        } else {
            (1u64 << (ty.size() * 8)) - 1
        };
        if literal.is_some_and(|l| l & mask != 0 && (!signed || l & mask != mask)) {
            let id = self.quotient(ty, a, b, signed, remainder);
            return self.set(self.operand(i, 0)?, ty, id);
        }
        let zero = self.asm.constant(ty, 0);
        let one = self.asm.constant(ty, 1);
        let ones = self.asm.constant(ty, u64::MAX);
        let by_zero = self.asm.op(Op::IEqual, Type::Bool, &[b, zero]);
        let bad = if signed {
            let by_minus = self.asm.op(Op::IEqual, Type::Bool, &[b, ones]);
            self.asm.op(Op::LogicalOr, Type::Bool, &[by_zero, by_minus])
        } else {
            by_zero
        };
        let divisor = self.asm.op(Op::Select, ty, &[bad, one, b]);
        let id = self.quotient(ty, a, divisor, signed, remainder);
        let id = if signed && !remainder {
            // By -1: the negation, which wraps.
            let minus = self.asm.op(Op::ISub, ty, &[zero, a]);
            self.asm.op(Op::Select, ty, &[bad, minus, id])
        } else {
            id
        };
        let otherwise = if remainder { a } else { ones };
        let id = self.asm.op(Op::Select, ty, &[by_zero, otherwise, id]);
        self.set(self.operand(i, 0)?, ty, id)
    }

    /// The quotient or remainder by a divisor that is neither 0 nor, with a sign, -1.
    fn quotient(&mut self, ty: Type, a: Id, b: Id, signed: bool, remainder: bool) -> Id {
        match (signed, remainder) {
            (false, false) => self.asm.op(Op::UDiv, ty, &[a, b]),
            (false, true) => self.asm.op(Op::UMod, ty, &[a, b]),
            (true, false) => self.asm.op(Op::SDiv, ty, &[a, b]),
            (true, true) => {
                // Vulkan leaves OpSRem undefined for negative operands (VkPhysicalDeviceMaintenance8FeaturesKHR says
                // otherwise where it is), and NVIDIA's driver makes use of that.
                let quotient = self.asm.op(Op::SDiv, ty, &[a, b]);
                let product = self.asm.op(Op::IMul, ty, &[quotient, b]);
                self.asm.op(Op::ISub, ty, &[a, product])
            }
        }
    }

    fn count_bits(&mut self, a: Id, ty: Type) -> Id {
        if ty == Type::U64 {
            let (low, high) = self.split(a);
            let low = self.asm.op(Op::BitCount, Type::U32, &[low]);
            let high = self.asm.op(Op::BitCount, Type::U32, &[high]);
            return self.asm.op(Op::IAdd, Type::U32, &[low, high]);
        }
        let a = self.cast(Value { id: a, ty }, Type::U32);
        self.asm.op(Op::BitCount, Type::U32, &[a])
    }

    /// Leading zeros of a 32- or 64-bit value.
    pub(crate) fn leading_zeros(&mut self, a: Id, ty: Type) -> Id {
        if ty == Type::U64 {
            let (low, high) = self.split(a);
            let zl = self.leading_zeros(low, Type::U32);
            let zh = self.leading_zeros(high, Type::U32);
            let zero = self.asm.u32(0);
            let none = self.asm.op(Op::IEqual, Type::Bool, &[high, zero]);
            let bits = self.asm.u32(32);
            let zl = self.asm.op(Op::IAdd, Type::U32, &[zl, bits]);
            return self.asm.op(Op::Select, Type::U32, &[none, zl, zh]);
        }
        // FindUMsb is -1 for zero: 31 - (-1) = 32.
        let msb = self.asm.glsl(GLOp::FindUMsb, Type::U32, &[a]);
        let top = self.asm.u32(31);
        self.asm.op(Op::ISub, Type::U32, &[top, msb])
    }

    fn bfe(&mut self, i: &Instruction, ty: Type, signed: bool) -> Result<()> {
        let d = self.operand(i, 0)?;
        let a = self.value(self.operand(i, 1)?, ty)?;
        let width = ty.size() * 8;
        let literals = (
            Self::literal(self.operand(i, 2)?),
            Self::literal(self.operand(i, 3)?),
        );
        if let (Some(p), Some(l)) = literals {
            let (p, l) = (p as u32 & 0xff, l as u32 & 0xff);
            if ty == Type::U32 && l > 0 && p + l <= width {
                let (p, l) = (self.asm.u32(p), self.asm.u32(l));
                let op = if signed {
                    Op::BitFieldSExtract
                } else {
                    Op::BitFieldUExtract
                };
                let id = self.asm.op(op, ty, &[a, p, l]);
                return self.set(d, ty, id);
            }
        }
        let ff = self.asm.u32(0xff);
        let p = self.value(self.operand(i, 2)?, Type::U32)?;
        let p = self.asm.op(Op::BitwiseAnd, Type::U32, &[p, ff]);
        let l = self.value(self.operand(i, 3)?, Type::U32)?;
        let l = self.asm.op(Op::BitwiseAnd, Type::U32, &[l, ff]);
        let bits = self.asm.u32(width);
        let top = self.asm.u32(width - 1);
        let zero = self.asm.u32(0);
        let zeros = self.asm.constant(ty, 0);
        // Bits at and after p: the sign (or zero) beyond the register's end.
        let p_in = self.asm.glsl(GLOp::UMin, Type::U32, &[p, top]);
        let shift = if signed {
            Op::ShiftRightArithmetic
        } else {
            Op::ShiftRightLogical
        };
        let field = self.asm.op(shift, ty, &[a, p_in]);
        let past = self.asm.op(Op::UGreaterThanEqual, Type::Bool, &[p, bits]);
        let beyond = if signed {
            self.asm.op(shift, ty, &[a, top])
        } else {
            zeros
        };
        let field = self.asm.op(Op::Select, ty, &[past, beyond, field]);
        // Keep l of them.
        let keep = self.asm.glsl(GLOp::UMin, Type::U32, &[l, bits]);
        let drop = self.asm.op(Op::ISub, Type::U32, &[bits, keep]);
        let drop = self.asm.glsl(GLOp::UMin, Type::U32, &[drop, top]);
        let up = self.asm.op(Op::ShiftLeftLogical, ty, &[field, drop]);
        let id = self.asm.op(shift, ty, &[up, drop]);
        let empty = self.asm.op(Op::IEqual, Type::Bool, &[l, zero]);
        let id = self.asm.op(Op::Select, ty, &[empty, zeros, id]);
        self.set(d, ty, id)
    }

    fn bfi(&mut self, i: &Instruction, ty: Type) -> Result<()> {
        let d = self.operand(i, 0)?;
        let a = self.value(self.operand(i, 1)?, ty)?;
        let b = self.value(self.operand(i, 2)?, ty)?;
        let width = ty.size() * 8;
        if let (Some(p), Some(l)) = (
            Self::literal(self.operand(i, 3)?),
            Self::literal(self.operand(i, 4)?),
        ) {
            let (p, l) = (p as u32 & 0xff, l as u32 & 0xff);
            let l = l.min(width.saturating_sub(p));
            if p >= width || l == 0 {
                return self.set(d, ty, b);
            }
            if ty == Type::U32 {
                let (p, l) = (self.asm.u32(p), self.asm.u32(l));
                let id = self.asm.op(Op::BitFieldInsert, ty, &[b, a, p, l]);
                return self.set(d, ty, id);
            }
        }
        let ff = self.asm.u32(0xff);
        let p = self.value(self.operand(i, 3)?, Type::U32)?;
        let p = self.asm.op(Op::BitwiseAnd, Type::U32, &[p, ff]);
        let l = self.value(self.operand(i, 4)?, Type::U32)?;
        let l = self.asm.op(Op::BitwiseAnd, Type::U32, &[l, ff]);
        let (bits, top) = (self.asm.u32(width), self.asm.u32(width - 1));
        let zero = self.asm.u32(0);
        let zeros = self.asm.constant(ty, 0);
        // A mask of l ones at p, nothing beyond the register's end.
        let keep = self.asm.glsl(GLOp::UMin, Type::U32, &[l, bits]);
        let drop = self.asm.op(Op::ISub, Type::U32, &[bits, keep]);
        let drop = self.asm.glsl(GLOp::UMin, Type::U32, &[drop, top]);
        let ones = self.asm.constant(ty, u64::MAX);
        let mask = self.asm.op(Op::ShiftRightLogical, ty, &[ones, drop]);
        let empty = self.asm.op(Op::IEqual, Type::Bool, &[l, zero]);
        let past = self.asm.op(Op::UGreaterThanEqual, Type::Bool, &[p, bits]);
        let none = self.asm.op(Op::LogicalOr, Type::Bool, &[empty, past]);
        let mask = self.asm.op(Op::Select, ty, &[none, zeros, mask]);
        let p = self.asm.glsl(GLOp::UMin, Type::U32, &[p, top]);
        let mask = self.asm.op(Op::ShiftLeftLogical, ty, &[mask, p]);
        let field = self.asm.op(Op::ShiftLeftLogical, ty, &[a, p]);
        let field = self.asm.op(Op::BitwiseAnd, ty, &[field, mask]);
        let inverse = self.asm.op(Op::Not, ty, &[mask]);
        let rest = self.asm.op(Op::BitwiseAnd, ty, &[b, inverse]);
        let id = self.asm.op(Op::BitwiseOr, ty, &[field, rest]);
        self.set(d, ty, id)
    }

    /// dp4a, dp2a.
    fn dot(&mut self, i: &Instruction) -> Result<()> {
        let mut types = i.types();
        let (Some(at), Some(bt)) = (types.next(), types.next()) else {
            return Err(EmitError::Invalid(format!(
                "{} needs two types",
                i.mnemonic()
            )));
        };
        let (a, b) = self.two(i, Type::U32)?;
        let c = self.value(self.operand(i, 3)?, Type::U32)?;
        let d = self.operand(i, 0)?;
        if i.opcode == Opcode::Dp4a {
            let dot = self.dot4(a, b, at.is_signed(), bt.is_signed());
            let id = self.asm.op(Op::IAdd, Type::U32, &[c, dot]);
            return self.set(d, Type::U32, id);
        }
        // dp2a: two halves of a by two bytes of b, the low or the high pair.
        let mut sum = c;
        let first = if i.has(Modifier::Hi) { 2 } else { 0 };
        for n in 0..2u32 {
            let fa = if at.is_signed() {
                Op::BitFieldSExtract
            } else {
                Op::BitFieldUExtract
            };
            let fb = if bt.is_signed() {
                Op::BitFieldSExtract
            } else {
                Op::BitFieldUExtract
            };
            let (pa, la) = (self.asm.u32(16 * n), self.asm.u32(16));
            let (pb, lb) = (self.asm.u32(8 * (first + n)), self.asm.u32(8));
            let x = self.asm.op(fa, Type::U32, &[a, pa, la]);
            let y = self.asm.op(fb, Type::U32, &[b, pb, lb]);
            let p = self.asm.op(Op::IMul, Type::U32, &[x, y]);
            sum = self.asm.op(Op::IAdd, Type::U32, &[sum, p]);
        }
        self.set(d, Type::U32, sum)
    }

    /// The dot product of four bytes by four bytes.
    pub(crate) fn dot4(&mut self, a: Id, b: Id, a_signed: bool, b_signed: bool) -> Id {
        self.asm.capability(Capability::DotProduct);
        self.asm.capability(Capability::DotProductInput4x8BitPacked);
        self.asm.extension("SPV_KHR_integer_dot_product");
        match (a_signed, b_signed) {
            (true, true) => self.asm.op(Op::SDotKHR, Type::U32, &[a, b, 0]),
            (false, false) => self.asm.op(Op::UDotKHR, Type::U32, &[a, b, 0]),
            (true, false) => self.asm.op(Op::SUDotKHR, Type::U32, &[a, b, 0]),
            (false, true) => self.asm.op(Op::SUDotKHR, Type::U32, &[b, a, 0]),
        }
    }

    /// fns: the n-th set bit from a base, upward or downward.
    fn fns(&mut self, i: &Instruction) -> Result<()> {
        let mask = self.value(self.operand(i, 1)?, Type::U32)?;
        let base = self.value(self.operand(i, 2)?, Type::U32)?;
        let offset = self.value(self.operand(i, 3)?, Type::U32)?;
        let zero = self.asm.u32(0);
        let one = self.asm.u32(1);
        let top = self.asm.u32(31);
        let base = self.asm.op(Op::BitwiseAnd, Type::U32, &[base, top]);
        let positive = self.asm.op(Op::SGreaterThan, Type::Bool, &[offset, zero]);
        let is_zero = self.asm.op(Op::IEqual, Type::Bool, &[offset, zero]);
        // Downward is upward in the reversed mask.
        let reversed = self.asm.op(Op::BitReverse, Type::U32, &[mask]);
        let down = self.asm.op(Op::SLessThan, Type::Bool, &[offset, zero]);
        let m = self.asm.op(Op::Select, Type::U32, &[down, reversed, mask]);
        let mirrored = self.asm.op(Op::ISub, Type::U32, &[top, base]);
        let start = self.asm.op(Op::Select, Type::U32, &[down, mirrored, base]);
        let ones = self.asm.u32(u32::MAX);
        let from = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[ones, start]);
        let mut m = self.asm.op(Op::BitwiseAnd, Type::U32, &[m, from]);
        let minus = self.asm.op(Op::ISub, Type::U32, &[zero, offset]);
        let n = self
            .asm
            .op(Op::Select, Type::U32, &[positive, offset, minus]);
        for k in 1..32u32 {
            // Drop the lowest bit while more than k are wanted.
            let k = self.asm.u32(k);
            let more = self.asm.op(Op::UGreaterThan, Type::Bool, &[n, k]);
            let less = self.asm.op(Op::ISub, Type::U32, &[m, one]);
            let dropped = self.asm.op(Op::BitwiseAnd, Type::U32, &[m, less]);
            m = self.asm.op(Op::Select, Type::U32, &[more, dropped, m]);
        }
        let lsb = self.asm.glsl(GLOp::FindILsb, Type::U32, &[m]);
        let mirrored = self.asm.op(Op::ISub, Type::U32, &[top, lsb]);
        let found = self.asm.op(Op::Select, Type::U32, &[down, mirrored, lsb]);
        let none = self.asm.op(Op::IEqual, Type::Bool, &[m, zero]);
        let found = self.asm.op(Op::Select, Type::U32, &[none, ones, found]);
        // Offset 0 asks for the bit at base itself.
        let at = self.asm.op(Op::ShiftRightLogical, Type::U32, &[mask, base]);
        let at = self.asm.op(Op::BitwiseAnd, Type::U32, &[at, one]);
        let set = self.asm.op(Op::IEqual, Type::Bool, &[at, one]);
        let itself = self.asm.op(Op::Select, Type::U32, &[set, base, ones]);
        let id = self
            .asm
            .op(Op::Select, Type::U32, &[is_zero, itself, found]);
        self.set(self.operand(i, 0)?, Type::U32, id)
    }

    /// add, min and max of two 16-bit halves.
    fn packed16(&mut self, i: &Instruction) -> Result<()> {
        let signed = i.has(Modifier::S16x2);
        let (a, b) = self.two(i, Type::U32)?;
        let mut out = self.asm.u32(0);
        for n in 0..2u32 {
            let field = if signed {
                Op::BitFieldSExtract
            } else {
                Op::BitFieldUExtract
            };
            let (at, bits) = (self.asm.u32(16 * n), self.asm.u32(16));
            let x = self.asm.op(field, Type::U32, &[a, at, bits]);
            let y = self.asm.op(field, Type::U32, &[b, at, bits]);
            let id = match (i.opcode, signed) {
                (Opcode::Add, _) => self.asm.op(Op::IAdd, Type::U32, &[x, y]),
                (Opcode::Min, true) => self.asm.glsl(GLOp::SMin, Type::U32, &[x, y]),
                (Opcode::Max, true) => self.asm.glsl(GLOp::SMax, Type::U32, &[x, y]),
                (Opcode::Min, false) => self.asm.glsl(GLOp::UMin, Type::U32, &[x, y]),
                (Opcode::Max, false) => self.asm.glsl(GLOp::UMax, Type::U32, &[x, y]),
                _ => return unsupported(i),
            };
            let id = if i.has(Modifier::Relu) {
                let zero = self.asm.u32(0);
                self.asm.glsl(GLOp::SMax, Type::U32, &[id, zero])
            } else {
                id
            };
            out = self
                .asm
                .op(Op::BitFieldInsert, Type::U32, &[out, id, at, bits]);
        }
        self.set(self.operand(i, 0)?, Type::U32, out)
    }
}
