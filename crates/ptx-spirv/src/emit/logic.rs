//! Logic and shifts: and, or, xor, not, cnot, lop3, shf, shl, shr (PTX ISA, "Logic and Shift Instructions").
//!
//! Bits that are known are kept beside each result ([`KnownBits`]), and instructions that change nothing are left out:
//!
//! ```text
//! and.b32  %r1, %q, 0x0f0f0f0f
//! and.b32  %r2, %r1, 0x3f3f3f3f    %r1 itself
//! and.b32  %r3, %r1, 0x80808080    the constant 0
//! ```

use super::*;
use rspirv::spirv::GLOp;

/// Bits of a word that are bits of another: those of `mask` are the other's, shifted to the right.
#[derive(Clone, Copy)]
pub(super) struct Copied {
    pub(super) root: Id,
    /// To the left where negative.
    pub(super) shift: i32,
    pub(super) mask: u32,
    /// Whether the other has 16 bits.
    half: bool,
}

/// How often a word is looked for that another is part of.
const LARGER: usize = 4;

impl Copied {
    /// All bits of an integer.
    fn own(root: Id, ty: Type) -> Self {
        Copied {
            root,
            shift: 0,
            mask: ones(ty) as u32,
            half: ty.size() == 2,
        }
    }
}

impl Emitter<'_> {
    pub(super) fn logic(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Lop3 => return self.lop3(i),
            Opcode::Shf => return self.funnel_shift(i),
            _ => {}
        }
        let d = self.operand(i, 0)?;
        let (pty, ty) = self.integer_type(i)?;
        let id = match i.opcode {
            Opcode::And | Opcode::Or | Opcode::Xor => {
                let (a, b) = self.two(i, ty)?;
                match (i.opcode, ty == Type::Bool) {
                    (Opcode::And, false) => self.bitwise(Op::BitwiseAnd, ty, a, b),
                    (Opcode::Or, false) => self.bitwise(Op::BitwiseOr, ty, a, b),
                    (Opcode::Xor, false) => self.bitwise(Op::BitwiseXor, ty, a, b),
                    (Opcode::And, true) => self.asm.op(Op::LogicalAnd, ty, &[a, b]),
                    (Opcode::Or, true) => self.asm.op(Op::LogicalOr, ty, &[a, b]),
                    _ => self.asm.op(Op::LogicalNotEqual, ty, &[a, b]),
                }
            }
            Opcode::Not => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                match ty {
                    Type::Bool => self.asm.op(Op::LogicalNot, ty, &[a]),
                    _ => self.complement(ty, a),
                }
            }
            Opcode::Cnot => {
                let a = self.value(self.operand(i, 1)?, ty)?;
                let (zero, one) = (self.asm.constant(ty, 0), self.asm.constant(ty, 1));
                let is_zero = self.asm.op(Op::IEqual, Type::Bool, &[a, zero]);
                self.asm.op(Op::Select, ty, &[is_zero, one, zero])
            }
            Opcode::Shl | Opcode::Shr => return self.shift(i, ty, pty.is_signed()),
            _ => return unsupported(i),
        };
        self.set(d, ty, id)
    }

    /// What is known of the bits of an integer.
    pub(super) fn known_bits(&self, id: Id) -> KnownBits {
        match self.asm.constant_bits(id) {
            Some(bits) => KnownBits::constant(bits),
            None => self.known_bits.get(&id).copied().unwrap_or_default(),
        }
    }

    /// Which bits of a word are those of another: all are its own, if it is no other's. Of the larger words that bits are part of it is
    /// the largest that has all of those that are wanted.
    pub(super) fn copied_bits(&self, id: Id, wanted: u32) -> Copied {
        let own = Copied::own(id, Type::U32);
        let copied = self.copied_bits.get(&id).copied().unwrap_or(own);
        let mut found = copied;
        for _ in 0..LARGER {
            let Some(&(epoch, part)) = self.parts.get(&found.root) else {
                break;
            };
            let wanted = shifted_left(found.mask & wanted, found.shift);
            if epoch != self.epoch || wanted & !part.mask != 0 {
                break;
            }
            found.root = part.root;
            found.shift += part.shift;
            found.half = false;
        }
        if found.half {
            own
        } else {
            found
        }
    }

    /// Remembers that bits of an integer are those of another, shifted to the right. Chains of copies are short cuts to where they
    /// begin.
    fn note_copy(&mut self, id: Id, (of, ty): (Id, Type), shift: i32, mask: u64) {
        if ty.size() > 4 || self.asm.is_constant(id) || self.asm.is_constant(of) {
            return;
        }
        let own = Copied::own(of, ty);
        let mut copied = self.copied_bits.get(&of).copied().unwrap_or(own);
        copied.shift += shift;
        copied.mask = mask as u32 & shifted_left(copied.mask, -shift);
        self.copied_bits.insert(id, copied);
    }

    /// Remembers what an integer of 8 or 16 bits that was extended with zeros is.
    pub(super) fn note_extended(&mut self, id: Id, narrow: Id, ty: Type) {
        let all = ones(ty);
        let known = self.known_bits(narrow).and(KnownBits::constant(all));
        self.known_bits.insert(id, known);
        if ty == Type::U16 {
            self.note_copy(id, (narrow, ty), 0, all);
        }
    }

    /// Remembers that bits of an integer are part of a word: those of `mask`, so far up.
    pub(super) fn note_part(&mut self, of: Id, word: Id, up: i32, mask: u32) {
        if of == word || self.asm.is_constant(of) || self.asm.is_constant(word) {
            return;
        }
        let part = Copied {
            root: word,
            shift: up,
            mask,
            half: false,
        };
        self.parts.insert(of, (self.epoch, part));
    }

    /// Remembers which halves a word is made of.
    pub(super) fn note_packed(&mut self, word: Id, low: Id, high: Id) {
        self.note_part(low, word, 0, 0xffff);
        self.note_part(high, word, 16, 0xffff);
    }

    /// The instruction, unless all bits of what it gives are known.
    fn unless_known(&mut self, known: KnownBits, op: Op, ty: Type, operands: &[Id]) -> Id {
        if let Some(bits) = known.value(ones(ty)) {
            return self.asm.constant(ty, bits);
        }
        let id = self.asm.op(op, ty, operands);
        if known != KnownBits::default() {
            self.known_bits.insert(id, known);
        }
        id
    }

    /// OpBitwiseAnd, OpBitwiseOr or OpBitwiseXor of two integers.
    pub(super) fn bitwise(&mut self, op: Op, ty: Type, a: Id, b: Id) -> Id {
        if a == b {
            return match op {
                Op::BitwiseXor => self.asm.constant(ty, 0),
                _ => a,
            };
        }
        let (x, y) = (self.known_bits(a), self.known_bits(b));
        // The bits of one that the other leaves as they are.
        let (known, kept_a, kept_b) = match op {
            Op::BitwiseAnd => (x.and(y), x.zeros | y.ones, y.zeros | x.ones),
            Op::BitwiseOr => (x.or(y), x.ones | y.zeros, y.ones | x.zeros),
            _ => (x.xor(y), y.zeros, x.zeros),
        };
        let all = ones(ty);
        if kept_a & all == all {
            return a;
        }
        if kept_b & all == all {
            return b;
        }
        let id = self.unless_known(known, op, ty, &[a, b]);
        if y.value(all).is_some() {
            self.note_copy(id, (a, ty), 0, kept_a & all);
        } else if x.value(all).is_some() {
            self.note_copy(id, (b, ty), 0, kept_b & all);
        }
        id
    }

    /// OpNot of an integer.
    pub(super) fn complement(&mut self, ty: Type, a: Id) -> Id {
        let known = self.known_bits(a).not();
        self.unless_known(known, Op::Not, ty, &[a])
    }

    /// OpShiftLeftLogical, OpShiftRightLogical or OpShiftRightArithmetic by less than the width.
    pub(super) fn shifted(&mut self, op: Op, ty: Type, a: Id, n: u32) -> Id {
        if n == 0 {
            return a;
        }
        let known = self.known_bits(a);
        let known = match op {
            Op::ShiftLeftLogical => known.shifted_left(n),
            _ => known.shifted_right(n, ty.size() * 8, op == Op::ShiftRightArithmetic),
        };
        let by = self.asm.u32(n);
        let id = self.unless_known(known, op, ty, &[a, by]);
        let distance = match op {
            Op::ShiftLeftLogical => -(n as i32),
            _ => n as i32,
        };
        self.note_copy(id, (a, ty), distance, ones(ty));
        id
    }

    fn lop3(&mut self, i: &Instruction) -> Result<()> {
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let b = self.value(self.operand(i, 2)?, Type::U32)?;
        let c = self.value(self.operand(i, 3)?, Type::U32)?;
        let Some(table) = Self::literal(self.operand(i, 4)?) else {
            return Err(EmitError::Invalid(
                "lop3 with a table that is not a constant".into(),
            ));
        };
        let id = self.logic3(a, b, c, table as u8);
        let d = self.operand(i, 0)?;
        let or = i.has(Modifier::BoolOr) || i.has(Modifier::Or);
        if !or && !i.has(Modifier::BoolAnd) && !i.has(Modifier::And) {
            return self.set(d, Type::U32, id);
        }
        // Whether the result is not zero, or'ed or and'ed with a predicate.
        let zero = self.asm.u32(0);
        let some = self.asm.op(Op::INotEqual, Type::Bool, &[id, zero]);
        let q = self.boolean(self.operand(i, 5)?)?;
        let op = if or { Op::LogicalOr } else { Op::LogicalAnd };
        let p = self.asm.op(op, Type::Bool, &[some, q]);
        match d {
            Operand::Pair(pair) => {
                self.set(&pair.0, Type::U32, id)?;
                self.set(&pair.1, Type::Bool, p)
            }
            d => self.set(d, Type::Bool, p),
        }
    }

    /// Any function of three bits, by Shannon's expansion on `a`.
    fn logic3(&mut self, a: Id, b: Id, c: Id, table: u8) -> Id {
        let (when_0, when_1) = (table & 15, table >> 4);
        let x0 = self.logic2(b, c, when_0);
        let x1 = self.logic2(b, c, when_1);
        let ty = Type::U32;
        if when_0 == when_1 {
            return x0;
        }
        if when_0 == !when_1 & 15 {
            return self.bitwise(Op::BitwiseXor, ty, a, x0);
        }
        if when_0 == 0 {
            return self.bitwise(Op::BitwiseAnd, ty, a, x1);
        }
        if when_1 == 15 {
            return self.bitwise(Op::BitwiseOr, ty, a, x0);
        }
        self.choice(a, x0, x1)
    }

    /// The bits of `when_1` where the mask has ones, and those of `when_0` where it has zeros.
    pub(super) fn choice(&mut self, mask: Id, when_0: Id, when_1: Id) -> Id {
        let ty = Type::U32;
        let difference = self.bitwise(Op::BitwiseXor, ty, when_0, when_1);
        let picked = self.bitwise(Op::BitwiseAnd, ty, mask, difference);
        self.bitwise(Op::BitwiseXor, ty, when_0, picked)
    }

    /// Any function of two bits: bit `2 * b + c` of the table.
    fn logic2(&mut self, b: Id, c: Id, table: u8) -> Id {
        let ty = Type::U32;
        let not = |e: &mut Self, x| e.complement(ty, x);
        match table {
            0b0000 => self.asm.u32(0),
            0b1111 => self.asm.u32(u32::MAX),
            0b1100 => b,
            0b1010 => c,
            0b0011 => not(self, b),
            0b0101 => not(self, c),
            0b1000 => self.bitwise(Op::BitwiseAnd, ty, b, c),
            0b1110 => self.bitwise(Op::BitwiseOr, ty, b, c),
            0b0110 => self.bitwise(Op::BitwiseXor, ty, b, c),
            0b0111 | 0b0001 | 0b1001 => {
                let x = self.logic2(b, c, !table & 15);
                not(self, x)
            }
            0b0100 => {
                let n = not(self, c);
                self.bitwise(Op::BitwiseAnd, ty, b, n)
            }
            0b0010 => {
                let n = not(self, b);
                self.bitwise(Op::BitwiseAnd, ty, n, c)
            }
            0b1101 => {
                let n = not(self, c);
                self.bitwise(Op::BitwiseOr, ty, b, n)
            }
            _ => {
                let n = not(self, b);
                self.bitwise(Op::BitwiseOr, ty, n, c)
            }
        }
    }

    fn funnel_shift(&mut self, i: &Instruction) -> Result<()> {
        let low = self.value(self.operand(i, 1)?, Type::U32)?;
        let high = self.value(self.operand(i, 2)?, Type::U32)?;
        let c = self.value(self.operand(i, 3)?, Type::U32)?;
        let n = if i.has(Modifier::Clamp) {
            let max = self.asm.u32(32);
            self.asm.glsl(GLOp::UMin, Type::U32, &[c, max])
        } else {
            let mask = self.asm.u32(31);
            self.asm.op(Op::BitwiseAnd, Type::U32, &[c, mask])
        };
        let whole = self.join(low, high);
        let id = if i.has(Modifier::L) {
            let shifted = self.asm.op(Op::ShiftLeftLogical, Type::U64, &[whole, n]);
            self.split(shifted).1
        } else {
            let shifted = self.asm.op(Op::ShiftRightLogical, Type::U64, &[whole, n]);
            self.split(shifted).0
        };
        self.set(self.operand(i, 0)?, Type::U32, id)
    }

    /// Shifts by the width or more give zero (or the sign).
    fn shift(&mut self, i: &Instruction, ty: Type, signed: bool) -> Result<()> {
        let d = self.operand(i, 0)?;
        let a = self.value(self.operand(i, 1)?, ty)?;
        let width = ty.size() * 8;
        let op = match (i.opcode, signed) {
            (Opcode::Shl, _) => Op::ShiftLeftLogical,
            (_, true) => Op::ShiftRightArithmetic,
            _ => Op::ShiftRightLogical,
        };
        if let Some(n) = Self::literal(self.operand(i, 2)?) {
            let n = n as u32;
            let id = if n < width {
                self.shifted(op, ty, a, n)
            } else if op == Op::ShiftRightArithmetic {
                self.shifted(op, ty, a, width - 1)
            } else {
                self.asm.constant(ty, 0)
            };
            return self.set(d, ty, id);
        }
        let n = self.value(self.operand(i, 2)?, Type::U32)?;
        if self.target.byte_shuffles && ty == Type::U32 && op != Op::ShiftRightArithmetic {
            // One instruction of NVIDIA's for the lower word, with which 32 is far enough.
            let far = self.asm.u32(width);
            let n = self.asm.glsl(GLOp::UMin, Type::U32, &[n, far]);
            let wide = self.asm.op(Op::UConvert, Type::U64, &[a]);
            let id = self.asm.op(op, Type::U64, &[wide, n]);
            let id = self.asm.op(Op::UConvert, Type::U32, &[id]);
            return self.set(d, ty, id);
        }
        let top = self.asm.u32(width - 1);
        let clamped = self.asm.glsl(GLOp::UMin, Type::U32, &[n, top]);
        let id = self.asm.op(op, ty, &[a, clamped]);
        let id = if op == Op::ShiftRightArithmetic {
            id
        } else {
            let out = self.asm.op(Op::UGreaterThan, Type::Bool, &[n, top]);
            let zero = self.asm.constant(ty, 0);
            self.asm.op(Op::Select, ty, &[out, zero, id])
        };
        self.set(d, ty, id)
    }
}

/// Shifted to the right where negative; nothing is left of what is shifted by the width or more.
pub(super) fn shifted_left(mask: u32, by: i32) -> u32 {
    let shifted = match by {
        0.. => mask.checked_shl(by.unsigned_abs()),
        _ => mask.checked_shr(by.unsigned_abs()),
    };
    shifted.unwrap_or(0)
}

/// A one for each bit of an integer type.
fn ones(ty: Type) -> u64 {
    u64::MAX >> (64 - 8 * ty.size())
}

#[cfg(test)]
mod tests {
    use super::shifted_left;

    #[test]
    fn masks_are_shifted_out() {
        let all = u32::MAX;
        assert_eq!(
            [4, 0, -4].map(|by| shifted_left(all, by)),
            [all << 4, all, all >> 4]
        );
        // As after two arithmetic shifts by 31.
        assert_eq!([32, 62, -32, -62].map(|by| shifted_left(all, by)), [0; 4]);
    }
}
