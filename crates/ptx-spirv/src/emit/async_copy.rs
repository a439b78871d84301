//! cp.async (PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy"): a load and a store, made at once, so that
//! waiting for it is nothing. (Stores at the wait, with the bytes in registers until then, were tried: flash attention on an
//! H100 takes as long.)

use super::memory::{Access, Address, Space};
use super::*;

impl Emitter<'_> {
    pub(super) fn async_copy(&mut self, i: &Instruction) -> Result<()> {
        use Modifier::*;
        if i.has(CommitGroup) || i.has(WaitGroup) || i.has(WaitAll) {
            return Ok(());
        }
        if i.has(Mbarrier) {
            return self.mbarrier(i);
        }
        if i.has(Bulk) {
            return self.bulk_copy(i);
        }
        if !i.has(Async) || i.has(Prefetch) {
            return unsupported(i);
        }
        let to = self.address(self.operand(i, 0)?, Space::Shared)?;
        let from = self.address(self.operand(i, 1)?, Space::Global)?;
        let Some(bytes) = Self::literal(self.operand(i, 2)?) else {
            return Err(EmitError::Invalid(
                "cp.async of a size that is not a constant".into(),
            ));
        };
        if !matches!(bytes, 4 | 8 | 16) {
            return Err(EmitError::Invalid(format!("cp.async of {bytes} bytes")));
        }
        let words = (bytes / 4) as u32;
        let ty = vector(words);
        let access = Access::default();
        // The operand after the size: how many bytes to read (the rest is zero), or a predicate that means none. With a
        // cache hint the policy is last.
        let extra = i
            .operands
            .get(3)
            .filter(|_| i.operands.len() > 4 || !i.has(L2CacheHint))
            .filter(|extra| Self::literal(extra) != Some(bytes));
        let Some(extra) = extra else {
            let v = self.load(from, ty, access);
            self.store(to, ty, v, access);
            return Ok(());
        };
        let is_predicate =
            matches!(extra, Operand::NotRegister(_)) || self.declared(extra) == Some(Pred);
        if is_predicate {
            let ignore = self.boolean(extra)?;
            let zero = self.asm.u32(0);
            let zeros = if words == 1 {
                zero
            } else {
                self.asm.composite(ty, &vec![zero; words as usize])
            };
            let v = self.choose(ignore, ty, |_| zeros, |e| e.load(from, ty, access));
            self.store(to, ty, v, access);
            return Ok(());
        }
        let available = self.value(extra, Type::U32)?;
        for n in 0..words {
            let end = self.asm.u32(n * 4 + 4);
            let whole = self
                .asm
                .op(Op::UGreaterThanEqual, Type::Bool, &[available, end]);
            let at = self.offset(from.id, Type::U64, n as i64 * 4);
            let v = self.choose(
                whole,
                Type::U32,
                |e| e.load_device(at, Type::U32, access),
                |e| e.load_partial(at, available, n * 4),
            );
            let to = Address {
                space: Space::Shared,
                id: self.offset(to.id, Type::U32, n as i64 * 4),
            };
            self.store(to, Type::U32, v, access);
        }
        Ok(())
    }

    /// The bytes of a word that lie before `available`, counted from `start`; zeros for the rest.
    fn load_partial(&mut self, address: Id, available: Id, start: u32) -> Id {
        let mut word = self.asm.u32(0);
        for b in 0..3u32 {
            let index = self.asm.u32(start + b);
            let there = self
                .asm
                .op(Op::UGreaterThan, Type::Bool, &[available, index]);
            let old = word;
            word = self.choose(
                there,
                Type::U32,
                |e| {
                    let at = e.offset(address, Type::U64, b as i64);
                    let byte = e.load_device(at, Type::U8, Access::default());
                    let byte = e.asm.op(Op::UConvert, Type::U32, &[byte]);
                    let (shift, bits) = (e.asm.u32(8 * b), e.asm.u32(8));
                    e.asm
                        .op(Op::BitFieldInsert, Type::U32, &[old, byte, shift, bits])
                },
                |_| old,
            );
        }
        word
    }
}

/// The type of some 32-bit words.
fn vector(words: u32) -> Type {
    match words {
        1 => Type::U32,
        n => Type::Vector(Scalar::U32, n as u8),
    }
}
