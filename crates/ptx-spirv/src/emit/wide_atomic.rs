//! Atomic accesses of 128 bits: atom.exch and atom.cas (PTX ISA, "atom"), and loads and stores that say that they are ordered.
//!
//! No device offers these to Vulkan. They are ordinary accesses under one lock, the second word of the fault record, which all kernels of the
//! context share. A thread takes it and gives it back within one turn of a loop, so that no thread of a subgroup keeps it from the
//! others; accesses of the host's at the same time are not held back.

use super::barrier::FENCE_SEMANTICS;
use super::memory::{Access, Space};
use super::*;

/// Where the lock is in the fault record.
const LOCK: i64 = 4;
const WIDE: Type = Type::Vector(Scalar::U64, 2);
const SHARED_BY_ALL: Access = Access {
    volatile: true,
    coherent: true,
    constant: false,
    align: 0,
};

impl Emitter<'_> {
    pub(super) fn wide_atomic(&mut self, i: &Instruction) -> Result<()> {
        let swaps = i.has(Modifier::CasMod);
        if i.opcode != Opcode::Atom || !swaps && !i.has(Modifier::ExchMod) {
            return unsupported(i);
        }
        let address = self.address(self.operand(i, 1)?, memory::space_of(i))?;
        if address.space == Space::Local {
            return unsupported(i);
        }
        let b = self.value(self.operand(i, 2)?, WIDE)?;
        let c = if swaps {
            Some(self.value(self.operand(i, 3)?, WIDE)?)
        } else {
            None
        };
        let old = self.locked(|e| {
            let old = e.load(address, WIDE, SHARED_BY_ALL);
            match c {
                None => e.store(address, WIDE, b, SHARED_BY_ALL),
                Some(c) => {
                    let mut same = None;
                    for n in 0..2 {
                        let [x, y] =
                            [old, b].map(|v| e.asm.op(Op::CompositeExtract, Type::U64, &[v, n]));
                        let equal = e.asm.op(Op::IEqual, Type::Bool, &[x, y]);
                        same = Some(match same {
                            None => equal,
                            Some(s) => e.asm.op(Op::LogicalAnd, Type::Bool, &[s, equal]),
                        });
                    }
                    e.when(same.expect("two halves"), |e| {
                        e.store(address, WIDE, c, SHARED_BY_ALL);
                    });
                }
            }
            old
        });
        self.set(self.operand(i, 0)?, WIDE, old)
    }

    /// Does what gives a value of 128 bits while no other thread does such a thing.
    pub(super) fn locked(&mut self, body: impl FnOnce(&mut Self) -> Id) -> Id {
        let result = self.asm.variable(WIDE);
        let waits = self.asm.variable(Type::Bool);
        let (yes, no) = (
            self.asm.constant(Type::Bool, 1),
            self.asm.constant(Type::Bool, 0),
        );
        self.asm.void(Op::Store, &[waits, yes]);
        let lock = self.fault_record();
        let lock = self.offset(lock, Type::U64, LOCK);
        let (header, start, next, merge) =
            (self.asm.id(), self.asm.id(), self.asm.id(), self.asm.id());
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::Branch, &[start]);
        self.label(start);
        let (device, relaxed) = (self.asm.u32(1), self.asm.u32(0));
        let (free, taken) = (self.asm.u32(0), self.asm.u32(1));
        let pointer = self.device_pointer(lock, Type::U32);
        let before = self.asm.op(
            Op::AtomicCompareExchange,
            Type::U32,
            &[pointer, device, relaxed, relaxed, taken, free],
        );
        let mine = self.asm.op(Op::IEqual, Type::Bool, &[before, free]);
        self.when(mine, |e| {
            let semantics = e.asm.u32(FENCE_SEMANTICS);
            e.asm.void(Op::MemoryBarrier, &[device, semantics]);
            let id = body(e);
            e.asm.void(Op::Store, &[result, id]);
            e.asm.void(Op::MemoryBarrier, &[device, semantics]);
            let pointer = e.device_pointer(lock, Type::U32);
            e.asm
                .void(Op::AtomicStore, &[pointer, device, relaxed, free]);
            e.asm.void(Op::Store, &[waits, no]);
        });
        self.asm.void(Op::Branch, &[next]);
        self.label(next);
        let again = self.asm.op(Op::Load, Type::Bool, &[waits]);
        self.asm
            .void(Op::BranchConditional, &[again, header, merge]);
        self.label(merge);
        self.asm.op(Op::Load, WIDE, &[result])
    }
}
