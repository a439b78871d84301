//! mbarrier objects and what completes on them: mbarrier.*, cp.async.mbarrier.arrive, cp.async.bulk, cp.reduce.async.bulk (PTX ISA, "Parallel
//! Synchronization and Communication Instructions: mbarrier").
//!
//! The object is opaque to programs. Here its 64 bits are, as in the interpreter: pending arrivals in bits 0 to 19, expected
//! arrivals in 20 to 39, pending bytes in 40 to 62, and the phase's parity in 63; changed by compare-and-swap. A phase's
//! state is the object's value. Copies are made at once, so that what waits for them waits for nothing.

use super::memory::{Access, Address, Space};
use super::*;

const COUNT_BITS: u32 = 20;
const BYTES_AT: u32 = 40;
const BYTES_BITS: u32 = 23;
const PHASE_AT: u32 = 63;

impl Emitter<'_> {
    pub(super) fn mbarrier(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        if i.has(M::PendingCount) {
            let state = self.value(self.operand(i, 1)?, Type::U64)?;
            let count = self.bits64(state, 0, COUNT_BITS);
            let count = self.asm.op(Op::UConvert, Type::U32, &[count]);
            return self.set(self.operand(i, 0)?, Type::U32, count);
        }
        let waits = i.has(M::TestWait) || i.has(M::Trywait);
        let arrives = !waits && (i.has(M::Arrive) || i.has(M::ArriveDrop));
        let copies = i.opcode == Opcode::Cp;
        let results = (waits || arrives) && !copies;
        let at = usize::from(results);
        let address = self.barrier_object(self.operand(i, at)?, memory::space_of(i))?;
        if i.has(M::Inval) {
            return Ok(());
        }
        if i.has(M::Init) {
            let count = self.value(self.operand(i, at + 1)?, Type::U32)?;
            let count = self.asm.op(Op::UConvert, Type::U64, &[count]);
            let shift = self.asm.u32(COUNT_BITS);
            let expected = self
                .asm
                .op(Op::ShiftLeftLogical, Type::U64, &[count, shift]);
            let object = self.asm.op(Op::BitwiseOr, Type::U64, &[count, expected]);
            let access = Access {
                volatile: true,
                ..Access::default()
            };
            self.store(address, Type::U64, object, access);
            return Ok(());
        }
        if waits {
            if self.yields() {
                self.yield_now();
            }
            let access = Access {
                volatile: true,
                ..Access::default()
            };
            let now = self.load(address, Type::U64, access);
            let now = self.bits64(now, PHASE_AT, 1);
            let of = self.operand(i, at + 1)?;
            let then = if i.has(M::Parity) {
                let parity = self.value(of, Type::U32)?;
                let one = self.asm.u32(1);
                let parity = self.asm.op(Op::BitwiseAnd, Type::U32, &[parity, one]);
                self.asm.op(Op::UConvert, Type::U64, &[parity])
            } else {
                let state = self.value(of, Type::U64)?;
                self.bits64(state, PHASE_AT, 1)
            };
            let done = self.asm.op(Op::INotEqual, Type::Bool, &[now, then]);
            self.order_memory();
            return self.set(self.operand(i, 0)?, Type::Bool, done);
        }
        if copies && !i.has(M::Noinc) {
            // One arrival more is expected, and made at once.
            return Ok(());
        }
        self.order_memory();
        if i.has(M::ExpectTx) && !arrives || i.has(M::CompleteTx) {
            let bytes = self.value(self.operand(i, at + 1)?, Type::U32)?;
            self.transfer(address, bytes, i.has(M::CompleteTx))?;
            return Ok(());
        }
        let expects = i.has(M::ExpectTx);
        let count = match i.operands.get(at + 1) {
            Some(o) if !expects => self.value(o, Type::U32)?,
            _ => self.asm.u32(1),
        };
        let bytes = match i.operands.get(at + 1) {
            Some(o) if expects => Some(self.value(o, Type::U32)?),
            _ => None,
        };
        let count = self.asm.op(Op::UConvert, Type::U64, &[count]);
        let drops = i.has(M::ArriveDrop);
        let old = self.change_object(address, |e, old| {
            let mut new = old;
            if let Some(bytes) = bytes {
                new = e.add_bytes(new, bytes, false);
            }
            new = e.asm.op(Op::ISub, Type::U64, &[new, count]);
            if drops {
                let shift = e.asm.u32(COUNT_BITS);
                let expected = e.asm.op(Op::ShiftLeftLogical, Type::U64, &[count, shift]);
                new = e.asm.op(Op::ISub, Type::U64, &[new, expected]);
            }
            e.settle(new)
        })?;
        if results {
            self.set(self.operand(i, 0)?, Type::U64, old)?;
        }
        Ok(())
    }

    /// Memory accesses before and after, in order for the block.
    fn order_memory(&mut self) {
        let scope = self.asm.u32(2);
        let semantics = self.asm.u32(barrier::FENCE_SEMANTICS);
        self.asm.void(Op::MemoryBarrier, &[scope, semantics]);
    }

    /// The address of an object, in shared memory also where it is generic.
    fn barrier_object(&mut self, o: &Operand, space: Space) -> Result<Address> {
        if space != Space::Generic {
            return self.address(o, Space::Shared);
        }
        let generic = self.address(o, Space::Generic)?;
        if generic.space == Space::Shared {
            return Ok(generic);
        }
        let window = self.window(Space::Shared);
        let offset = self.asm.op(Op::ISub, Type::U64, &[generic.id, window]);
        Ok(Address {
            space: Space::Shared,
            id: self.asm.op(Op::UConvert, Type::U32, &[offset]),
        })
    }

    /// A field of a 64-bit value, from its lowest bit.
    fn bits64(&mut self, v: Id, at: u32, bits: u32) -> Id {
        let shift = self.asm.u32(at);
        let mask = self.asm.constant(Type::U64, (1u64 << bits) - 1);
        let v = self.asm.op(Op::ShiftRightLogical, Type::U64, &[v, shift]);
        self.asm.op(Op::BitwiseAnd, Type::U64, &[v, mask])
    }

    fn change_object(
        &mut self,
        address: Address,
        f: impl FnOnce(&mut Self, Id) -> Id,
    ) -> Result<Id> {
        let in_scratch = self.info.shared_in_scratch;
        if !if in_scratch {
            self.target.atomic_i64
        } else {
            self.target.shared_atomic_i64
        } {
            return Err(EmitError::Unsupported(
                "mbarrier: the device has no 64-bit atomics".into(),
            ));
        }
        self.asm.capability(rspirv::spirv::Capability::Int64Atomics);
        let pointer = self.atomic_pointer(address, Type::U64);
        let scope = self.asm.u32(2);
        Ok(self.swap_loop(pointer, Type::U64, scope, f))
    }

    /// The object with more (or fewer) bytes to come.
    fn add_bytes(&mut self, object: Id, bytes: Id, fewer: bool) -> Id {
        let shift = self.asm.u32(BYTES_AT);
        let wide = self.asm.op(Op::SConvert, Type::U64, &[bytes]);
        let now = self.bits64(object, BYTES_AT, BYTES_BITS);
        let op = if fewer { Op::ISub } else { Op::IAdd };
        let sum = self.asm.op(op, Type::U64, &[now, wide]);
        let sum = self.bits64(sum, 0, BYTES_BITS);
        let field = ((1u64 << BYTES_BITS) - 1) << BYTES_AT;
        let rest = self.asm.constant(Type::U64, !field);
        let rest = self.asm.op(Op::BitwiseAnd, Type::U64, &[object, rest]);
        let sum = self.asm.op(Op::ShiftLeftLogical, Type::U64, &[sum, shift]);
        self.asm.op(Op::BitwiseOr, Type::U64, &[rest, sum])
    }

    /// The object in its next phase, if nothing is pending in this one.
    fn settle(&mut self, object: Id) -> Id {
        let pending = ((1u64 << BYTES_BITS) - 1) << BYTES_AT | ((1 << COUNT_BITS) - 1);
        let pending = self.asm.constant(Type::U64, pending);
        let (zero, flip) = (
            self.asm.constant(Type::U64, 0),
            self.asm.constant(Type::U64, 1 << PHASE_AT),
        );
        let left = self.asm.op(Op::BitwiseAnd, Type::U64, &[object, pending]);
        let done = self.asm.op(Op::IEqual, Type::Bool, &[left, zero]);
        let expected = self.bits64(object, COUNT_BITS, COUNT_BITS);
        let next = self.asm.op(Op::BitwiseXor, Type::U64, &[object, flip]);
        let next = self.asm.op(Op::BitwiseOr, Type::U64, &[next, expected]);
        self.asm.op(Op::Select, Type::U64, &[done, next, object])
    }

    /// mbarrier.expect_tx, or (`complete`) mbarrier.complete_tx.
    fn transfer(&mut self, address: Address, bytes: Id, complete: bool) -> Result<()> {
        self.change_object(address, |e, old| {
            let new = e.add_bytes(old, bytes, complete);
            if complete {
                e.settle(new)
            } else {
                new
            }
        })?;
        Ok(())
    }

    /// What `.mbarrier::complete_tx::bytes` does when the accesses are made: so many bytes fewer are to come.
    pub(super) fn complete_bytes(&mut self, object: &Operand, bytes: Id) -> Result<()> {
        let object = self.barrier_object(object, Space::Shared)?;
        self.order_memory();
        self.transfer(object, bytes, true)
    }

    /// cp.async.bulk between global and shared memory: 16 bytes at a time, at once, and the bytes announced to the mbarrier.
    /// cp.reduce.async.bulk: the elements one by one, each a reduction.
    pub(super) fn bulk_copy(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        if i.has(M::Tensor) {
            return self.tensor_copy(i);
        }
        if i.has(M::MulticastClusterAll) || i.has(M::CpMask) {
            return unsupported(i);
        }
        if i.has(M::Prefetch) {
            return Ok(());
        }
        if !i.has(M::MulticastCluster) {
            return self.copy_bytes(i);
        }
        // A cluster is one block, the first.
        let blocks = self.value(self.operand(i, 4)?, Type::U32)?;
        let meant = self.has_flag(blocks, 1);
        let mut result = Ok(());
        self.when(meant, |e| result = e.copy_bytes(i));
        result
    }

    fn copy_bytes(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        // The destination's space comes first.
        let mut spaces = i.modifiers.iter().filter_map(|m| {
            Some(match m {
                M::Global => Space::Global,
                M::SharedCta | M::SharedCluster | M::Shared => Space::Shared,
                _ => return None,
            })
        });
        let (Some(to), Some(from)) = (spaces.next(), spaces.next()) else {
            return unsupported(i);
        };
        let to = self.address(self.operand(i, 0)?, to)?;
        let from = self.address(self.operand(i, 1)?, from)?;
        let size = self.value(self.operand(i, 2)?, Type::U32)?;
        if i.has(M::Reduce) {
            let Some(ty) = i.types().next_back() else {
                return unsupported(i);
            };
            let word = match ty.size() {
                Some(8) => Type::U64,
                Some(4) => Type::U32,
                _ => Type::U16,
            };
            self.for_each_part(size, word.size(), |e, at| {
                let (target, source) = (e.part_of(to, at), e.part_of(from, at));
                let v = e.load(source, word, Access::default());
                e.atomic_in(i, target, ty, word, v, None).map(|_| ())
            })?;
        } else {
            let whole = Type::Vector(Scalar::U32, 4);
            self.for_each_part(size, 16, |e, at| {
                let (target, source) = (e.part_of(to, at), e.part_of(from, at));
                let v = e.load(source, whole, Access::default());
                e.store(target, whole, v, Access::default());
                Ok(())
            })?;
        }
        if i.has(M::MbarrierCompleteTxBytes) {
            self.complete_bytes(self.operand(i, 3)?, size)?;
        }
        Ok(())
    }

    /// The address so many bytes behind another.
    fn part_of(&mut self, a: Address, at: Id) -> Address {
        let wide = if a.space == Space::Shared {
            Type::U32
        } else {
            Type::U64
        };
        let offset = self.cast(
            Value {
                id: at,
                ty: Type::U32,
            },
            wide,
        );
        Address {
            space: a.space,
            id: self.asm.op(Op::IAdd, wide, &[a.id, offset]),
        }
    }

    /// Does `f` for each offset from 0 to `size` in steps.
    pub(super) fn for_each_part(
        &mut self,
        size: Id,
        step: u32,
        f: impl FnOnce(&mut Self, Id) -> Result<()>,
    ) -> Result<()> {
        let counter = self.asm.variable(Type::U32);
        let (zero, step) = (self.asm.u32(0), self.asm.u32(step));
        self.asm.void(Op::Store, &[counter, zero]);
        let (header, test, body, next, merge) = (
            self.asm.id(),
            self.asm.id(),
            self.asm.id(),
            self.asm.id(),
            self.asm.id(),
        );
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::Branch, &[test]);
        self.label(test);
        let at = self.asm.op(Op::Load, Type::U32, &[counter]);
        let more = self.asm.op(Op::ULessThan, Type::Bool, &[at, size]);
        self.asm.void(Op::BranchConditional, &[more, body, merge]);
        self.label(body);
        f(self, at)?;
        self.asm.void(Op::Branch, &[next]);
        self.label(next);
        let at = self.asm.op(Op::Load, Type::U32, &[counter]);
        let at = self.asm.op(Op::IAdd, Type::U32, &[at, step]);
        self.asm.void(Op::Store, &[counter, at]);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
        Ok(())
    }
}
