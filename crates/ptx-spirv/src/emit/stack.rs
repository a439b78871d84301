//! alloca, stacksave, stackrestore (PTX ISA, "Stack Manipulation Instructions"), in a part of local memory that kernels
//! with alloca get in addition.

use super::*;

/// Bytes of local memory for alloca in each thread. A thread that asks for more ends with a trap.
pub(crate) const STACK_BYTES: u32 = 8192;

impl Emitter<'_> {
    pub(super) fn stack(&mut self, i: &Instruction) -> Result<()> {
        let top = self.stack_top();
        if i.opcode == Opcode::Stackrestore {
            let saved = self.value(self.operand(i, 0)?, Type::U32)?;
            self.asm.void(Op::Store, &[top, saved]);
            return Ok(());
        }
        let now = self.asm.op(Op::Load, Type::U32, &[top]);
        if i.opcode == Opcode::Stacksave {
            return self.set(self.operand(i, 0)?, Type::U32, now);
        }
        let size = self.value(self.operand(i, 1)?, Type::U32)?;
        let align = match i.operands.get(2).map(Self::literal) {
            Some(Some(align)) if (align as u32).is_power_of_two() => (align as u32).max(8),
            None => 8,
            _ => return Err(EmitError::Invalid("alloca with a strange alignment".into())),
        };
        let (up, mask) = (self.asm.u32(align - 1), self.asm.u32(!(align - 1)));
        let start = self.asm.op(Op::IAdd, Type::U32, &[now, up]);
        let start = self.asm.op(Op::BitwiseAnd, Type::U32, &[start, mask]);
        let limit = self.asm.u32(self.info.local_bytes);
        let room = self.asm.op(Op::ISub, Type::U32, &[limit, start]);
        let too_much = self.asm.op(Op::UGreaterThan, Type::Bool, &[size, room]);
        self.when(too_much, |e| e.overflow());
        let zero = self.asm.u32(0);
        // What does not fit is given the bottom: the fault ends the context, not the thread.
        let bottom = self.asm.u32(self.info.local_bytes - STACK_BYTES);
        let start = self
            .asm
            .op(Op::Select, Type::U32, &[too_much, bottom, start]);
        let size = self.asm.op(Op::Select, Type::U32, &[too_much, zero, size]);
        let end = self.asm.op(Op::IAdd, Type::U32, &[start, size]);
        self.asm.void(Op::Store, &[top, end]);
        self.set(self.operand(i, 0)?, Type::U32, start)
    }

    /// The variable with the stack's end, made at the kernel's start.
    fn stack_top(&mut self) -> Id {
        self.entry.stack
    }
}
