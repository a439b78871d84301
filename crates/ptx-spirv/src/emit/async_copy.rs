//! cp.async (PTX ISA, "Data Movement and Conversion Instructions: Asynchronous copy"): a load and a store, which can wait for its
//! wait (`copies.rs`).

use super::memory::{Access, Address, Space};
use super::*;
use crate::copies::{self, Copies};

/// Most 32-bit words of a thread that are on their way within a block.
const MOST_WORDS: u32 = 32;

/// Copies on their way.
#[derive(Default)]
pub(crate) struct AsyncCopies {
    plan: Copies,
    /// Of each copy that waits for its wait.
    slots: Vec<Option<Slot>>,
    /// Copies of the current block that are finished at its end.
    open: Vec<(Address, Type, Id)>,
}

/// Where a copy is while it waits.
#[derive(Clone, Copy)]
struct Slot {
    /// Variable of the address in shared memory.
    to: Id,
    /// Variable of the bytes.
    value: Id,
    /// Their type.
    ty: Type,
    /// Variable that says whether the copy is on its way, where that depends on the path.
    flag: Option<Id>,
}

impl AsyncCopies {
    /// The copies of a kernel. Where warps yield all are made at once: registers are memory there.
    pub(super) fn of(graph: &Graph, target: &Target) -> Self {
        if matches!(target.warps, Warps::Yield { .. }) {
            return Self::default();
        }
        let plan = Copies::of(graph);
        Self {
            slots: vec![None; plan.deferred.len()],
            plan,
            open: Vec::new(),
        }
    }
}

impl Emitter<'_> {
    /// At the kernel's start: no copy that depends on the path is on its way.
    pub(super) fn start_async_copies(&mut self) {
        let mut conditional: Vec<usize> = self
            .copies
            .plan
            .waits
            .values()
            .flatten()
            .filter(|p| !p.always)
            .map(|p| p.copy)
            .collect();
        conditional.sort_unstable();
        conditional.dedup();
        let plan = std::mem::take(&mut self.copies.plan);
        let mut words = vec![0; plan.deferred.len()];
        for (&(frame, statement), &copy) in &plan.deferred {
            let i = self.graph.instruction(frame, statement);
            words[copy] = copies::words(i).expect("a copy of a constant size");
        }
        for (copy, &words) in words.iter().enumerate() {
            let ty = vector(words);
            let flag = conditional.binary_search(&copy).is_ok().then(|| {
                let flag = self.asm.variable(Type::Bool);
                let no = self.asm.constant(Type::Bool, 0);
                self.asm.void(Op::Store, &[flag, no]);
                flag
            });
            self.copies.slots[copy] = Some(Slot {
                to: self.asm.variable(Type::U32),
                value: self.asm.variable(ty),
                ty,
                flag,
            });
        }
        self.copies.plan = plan;
    }

    pub(super) fn async_copy(&mut self, i: &Instruction) -> Result<()> {
        use Modifier::*;
        if copies::is_wait(i) {
            self.finish_async_copies();
            self.finish_deferred();
        }
        if i.has(CommitGroup) || i.has(WaitGroup) || i.has(WaitAll) {
            return Ok(());
        }
        if i.has(Mbarrier) {
            return self.mbarrier(i);
        }
        if i.has(Bulk) {
            return self.bulk_copy(i);
        }
        if !i.has(Async) || i.has(Reduce) || i.has(Prefetch) {
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
            self.copy_later(to, ty, v);
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
            self.copy_later(to, ty, v);
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

    /// The second half of a copy whose bytes are loaded: at its wait, at the end of the block, or at once.
    fn copy_later(&mut self, to: Address, ty: Type, value: Id) {
        if self.yields() {
            self.store(to, ty, value, Access::default());
            return;
        }
        let number = self.copies.plan.deferred.get(&(self.frame, self.statement));
        let Some(slot) = number.and_then(|&n| self.copies.slots[n]) else {
            self.copies.open.push((to, ty, value));
            let words: u32 = self.copies.open.iter().map(|o| o.1.size() / 4).sum();
            if words > MOST_WORDS {
                self.finish_async_copies();
            }
            return;
        };
        self.asm.void(Op::Store, &[slot.to, to.id]);
        self.asm.void(Op::Store, &[slot.value, value]);
        if let Some(flag) = slot.flag {
            let yes = self.asm.constant(Type::Bool, 1);
            self.asm.void(Op::Store, &[flag, yes]);
        }
    }

    /// Makes the stores of the block's copies that do not wait for a wait.
    pub(super) fn finish_async_copies(&mut self) {
        for (to, ty, value) in std::mem::take(&mut self.copies.open) {
            self.store(to, ty, value, Access::default());
        }
    }

    /// Makes the stores that belong to the wait being emitted.
    fn finish_deferred(&mut self) {
        let place = (self.frame, self.statement);
        let Some(pending) = self.copies.plan.waits.get(&place).cloned() else {
            return;
        };
        for p in pending {
            let Some(slot) = self.copies.slots[p.copy] else {
                continue;
            };
            let finish = |e: &mut Self| {
                let id = e.asm.op(Op::Load, Type::U32, &[slot.to]);
                let value = e.asm.op(Op::Load, slot.ty, &[slot.value]);
                let to = Address {
                    space: Space::Shared,
                    id,
                };
                e.store(to, slot.ty, value, Access::default());
            };
            match slot.flag {
                None => finish(self),
                Some(flag) => {
                    let on_its_way = self.asm.op(Op::Load, Type::Bool, &[flag]);
                    self.when(on_its_way, finish);
                    let no = self.asm.constant(Type::Bool, 0);
                    self.asm.void(Op::Store, &[flag, no]);
                }
            }
        }
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
