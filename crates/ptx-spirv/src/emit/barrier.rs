//! bar, barrier, bar.warp, membar and fence (PTX ISA, "Parallel Synchronization and Communication Instructions").

use super::*;
use rspirv::spirv::GLOp;

/// Device, and what has to be ordered: AcquireRelease of buffers and workgroup memory, made available and visible.
pub(super) const FENCE_SEMANTICS: u32 = 0x6148;

impl Emitter<'_> {
    pub(super) fn barrier(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Membar | Opcode::Fence => self.fence(i),
            // A cluster is one block.
            _ if i.has(Modifier::Cluster) => {
                if i.has(Modifier::Arrive) {
                    return self.fence(i);
                }
                let number = Operand::Integer(0);
                if self.yields() {
                    let (number, all) = (self.asm.u32(15), self.asm.u32(0));
                    self.call_helper(Helper::Barrier, Type::Void, &[number, all]);
                    return Ok(());
                }
                self.native_block_barrier(i, &number, None)
            }
            _ if i.has(Modifier::Warp) => {
                let mask = self.operand(i, 0)?;
                self.warp_barrier(mask)
            }
            _ => self.block_barrier(i),
        }
    }

    /// A memory barrier of the instruction's scope.
    pub(super) fn fence(&mut self, i: &Instruction) -> Result<()> {
        // Copies are made at once and by ordinary accesses, those by tensor maps and of the maps as well, so that the proxies are one.
        let workgroup = i.has(Modifier::Cta);
        let scope = self.asm.u32(if workgroup { 2 } else { 1 });
        let semantics = self.asm.u32(FENCE_SEMANTICS);
        self.asm.void(Op::MemoryBarrier, &[scope, semantics]);
        Ok(())
    }

    /// A barrier of these lanes of the warp.
    pub(super) fn warp_barrier(&mut self, mask: &Operand) -> Result<()> {
        if self.yields() {
            if self
                .known_integer(mask)
                .is_some_and(|m| m as u32 == u32::MAX)
            {
                self.meet();
            } else {
                let mask = self.value(mask, Type::U32)?;
                self.count_meeting();
                self.together(Self::yield_now, |e| {
                    e.call_helper(Helper::WarpSyncMask, Type::Void, &[mask]);
                });
            }
            return Ok(());
        }
        let semantics = self.asm.u32(FENCE_SEMANTICS);
        if self.target.warps == Warps::Subgroup64 {
            // The other warp of the subgroup may be elsewhere; the lanes of one run in step, and memory has to be in order.
            let scope = self.asm.u32(2);
            self.asm.void(Op::MemoryBarrier, &[scope, semantics]);
            return Ok(());
        }
        let scope = self.asm.u32(3);
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
        Ok(())
    }

    fn block_barrier(&mut self, i: &Instruction) -> Result<()> {
        let reduce = i.has(Modifier::RedMod);
        let arrive = i.has(Modifier::Arrive);
        if reduce && i.operands.len() < 3 {
            return Err(EmitError::Invalid(format!(
                "{} without a result, a number and a predicate",
                i.mnemonic()
            )));
        }
        // bar.red has a destination first and a predicate last.
        let operands = if reduce {
            &i.operands[1..i.operands.len().saturating_sub(1)]
        } else {
            &i.operands[..]
        };
        let number = operands.first().cloned().unwrap_or(Operand::Integer(0));
        let count = operands.get(1).cloned();
        if !self.yields() {
            return self.native_block_barrier(i, &number, count.as_ref());
        }
        let number = self.value(&number, Type::U32)?;
        let fifteen = self.asm.u32(15);
        let number = self.asm.op(Op::BitwiseAnd, Type::U32, &[number, fifteen]);
        let count = match count {
            Some(c) => self.value(&c, Type::U32)?,
            None => self.asm.u32(0),
        };
        if !reduce {
            let helper = if arrive {
                Helper::BarrierArrive
            } else {
                Helper::Barrier
            };
            self.count_meeting();
            // In lockstep all threads that are left come here, whatever part of them the instruction is for.
            self.together(Self::yield_now, |e| {
                e.call_helper(helper, Type::Void, &[number, count]);
            });
            return Ok(());
        }
        let counted = self.counted(i)?;
        let sum = self.call_helper(Helper::BarrierCount, Type::U32, &[number, count, counted]);
        self.set_barrier_result(i, sum)
    }

    /// Whether a reduction counts this thread: its predicate, or the contrary for `and`, since all true is none false.
    fn counted(&mut self, i: &Instruction) -> Result<Id> {
        let predicate = self.boolean(&i.operands[i.operands.len() - 1])?;
        Ok(match i.has(Modifier::And) {
            true => self.asm.op(Op::LogicalNot, Type::Bool, &[predicate]),
            false => predicate,
        })
    }

    /// From the number of threads counted: popc itself, `or` some, `and` (of the negation) none.
    fn set_barrier_result(&mut self, i: &Instruction, sum: Id) -> Result<()> {
        let d = self.operand(i, 0)?;
        let zero = self.asm.u32(0);
        if i.has(Modifier::Popc) {
            return self.set(d, Type::U32, sum);
        }
        let op = if i.has(Modifier::And) {
            Op::IEqual
        } else {
            Op::INotEqual
        };
        let id = self.asm.op(op, Type::Bool, &[sum, zero]);
        self.set(d, Type::Bool, id)
    }

    fn native_block_barrier(
        &mut self,
        i: &Instruction,
        number: &Operand,
        count: Option<&Operand>,
    ) -> Result<()> {
        let arrive = i.has(Modifier::Arrive);
        // One barrier serves all numbers as long as each is for the whole block.
        if let Some(count) = count {
            let whole = match (
                self.known_integer(count),
                self.info.required_threads,
                self.info.max_threads,
            ) {
                (Some(n), Some([x, y, z]), _) => n == (x * y * z).next_multiple_of(32) as u64,
                // A count that equals the kernel's bound is taken to be the whole block.
                (Some(n), None, max) => n == max as u64,
                _ => false,
            };
            if !whole || arrive {
                // Two warps of a subgroup cannot wait for each other.
                if !has_partial_barriers(self.target, self.graph) {
                    return Err(EmitError::Unsupported(format!(
                        "{} for a part of the block",
                        i.mnemonic()
                    )));
                }
                let number = self.value(number, Type::U32)?;
                let count = self.value(count, Type::U32)?;
                let counted = match i.has(Modifier::RedMod) {
                    true => Some(self.counted(i)?),
                    false => None,
                };
                return match self.partial_barrier(number, count, !arrive, counted) {
                    Some(sum) => self.set_barrier_result(i, sum),
                    None => Ok(()),
                };
            }
        } else if arrive {
            return Err(EmitError::Invalid(format!(
                "{} without a count",
                i.mnemonic()
            )));
        }
        let scope = self.asm.u32(2);
        let semantics = self.asm.u32(FENCE_SEMANTICS);
        if !i.has(Modifier::RedMod) {
            self.asm
                .void(Op::ControlBarrier, &[scope, scope, semantics]);
            return Ok(());
        }
        let counted = self.counted(i)?;
        let sum = self.count_in_block(counted);
        self.set_barrier_result(i, sum)
    }

    /// A barrier of some warps of the block, by words of shared memory; all warps of a block are resident and get on
    /// independently of each other wherever a warp is a subgroup of a GPU.
    ///
    /// A warp arrives as a whole, as PTX says, but compilers may bring its lanes here in several parts. So lanes are
    /// counted first: each part adds its lanes to its warp's word, and whoever finds as many of them as the warp has
    /// left counts the warp as one of 32 threads at the barrier. A word of a warp and of a barrier has the count in its
    /// lower half and in its upper half how often it was complete; who waits asks until that has changed. Lanes that
    /// leave the kernel ([`Self::leave_partial_barriers`]) may be what the others waited for, so those look again. Who has asked
    /// [`PATIENCE`] times records a fault and leaves the kernel.
    ///
    /// For a reduction the threads that are `counted` add to the barrier's sum before they arrive. Whoever completes the barrier
    /// takes the sum, which is 0 again, to one of four places, by how often the barrier was complete before; that is where the
    /// others, who may come to read it late, find it. Gives the sum.
    fn partial_barrier(
        &mut self,
        number: Id,
        count: Id,
        wait: bool,
        counted: Option<Id>,
    ) -> Option<Id> {
        let (subgroup, workgroup) = (self.asm.u32(3), self.asm.u32(2));
        let (semantics, relaxed) = (self.asm.u32(FENCE_SEMANTICS), self.asm.u32(0));
        let (fifteen, sixteen) = (self.asm.u32(15), self.asm.u32(16));
        let number = self.asm.op(Op::BitwiseAnd, Type::U32, &[number, fifteen]);
        let barrier = self.partial_word(0, number);
        let warp = self.entry.warp;
        let (arrived, live) = (self.partial_word(64, warp), self.partial_word(192, warp));
        let load = |e: &mut Self, pointer| {
            e.asm
                .op(Op::AtomicLoad, Type::U32, &[pointer, workgroup, relaxed])
        };
        let sum = counted.map(|counted| {
            let sum = self.partial_word(PARTIAL_SUMS, number);
            let (leads, lanes) = self.leader(counted);
            self.when(leads, |e| {
                e.asm
                    .op(Op::AtomicIAdd, Type::U32, &[sum, workgroup, relaxed, lanes]);
            });
            sum
        });
        // What the lanes have written comes before their arrival.
        self.asm.void(Op::MemoryBarrier, &[workgroup, semantics]);
        self.asm
            .void(Op::ControlBarrier, &[subgroup, subgroup, semantics]);
        // None of the two can be complete before this lane is counted.
        let asked = if wait { barrier } else { arrived };
        let before = load(self, asked);
        let before = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[before, sixteen]);
        // The lanes that are here, and have asked: the compiler does not know that this is true.
        let (zero, never) = (self.push(entry::Push::Zero), self.asm.u32(0x1_0000));
        let difference = self.asm.op(Op::ISub, Type::U32, &[before, never]);
        let true_for_all = self.asm.op(Op::INotEqual, Type::Bool, &[difference, zero]);
        let (leads, lanes) = self.leader(true_for_all);
        self.when(leads, |e| {
            e.asm.op(
                Op::AtomicIAdd,
                Type::U32,
                &[arrived, workgroup, relaxed, lanes],
            );
        });
        let asks = self.asm.variable(Type::U32);
        self.asm.void(Op::Store, &[asks, relaxed]);
        let (header, body, next, merge) =
            (self.asm.id(), self.asm.id(), self.asm.id(), self.asm.id());
        let (gives_up, goes_on) = (self.asm.id(), self.asm.id());
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::Branch, &[body]);
        self.label(body);
        let (asked_so_far, one, patience) = (
            self.asm.op(Op::Load, Type::U32, &[asks]),
            self.asm.u32(1),
            self.asm.u32(PATIENCE),
        );
        let more = self.asm.op(Op::IAdd, Type::U32, &[asked_so_far, one]);
        self.asm.void(Op::Store, &[asks, more]);
        let too_often = self.asm.op(Op::UGreaterThan, Type::Bool, &[more, patience]);
        self.asm.void(Op::SelectionMerge, &[goes_on, 0]);
        self.asm
            .void(Op::BranchConditional, &[too_often, gives_up, goes_on]);
        self.label(gives_up);
        self.fault(super::call::TIMEOUT);
        self.thread_exit();
        self.label(goes_on);
        let (here, left) = (load(self, arrived), load(self, live));
        let low = self.asm.u32(0xffff);
        let lanes = self.asm.op(Op::BitwiseAnd, Type::U32, &[here, low]);
        let all = self.asm.op(Op::IEqual, Type::Bool, &[lanes, left]);
        self.when(all, |e| {
            // Of those who see it one clears the count, and counts the warp.
            let one = e.asm.u32(0x1_0000);
            let next = e.asm.op(Op::IAdd, Type::U32, &[here, one]);
            let next = e.asm.op(Op::ISub, Type::U32, &[next, lanes]);
            let found = e.asm.op(
                Op::AtomicCompareExchange,
                Type::U32,
                &[arrived, workgroup, relaxed, relaxed, next, here],
            );
            let first = e.asm.op(Op::IEqual, Type::Bool, &[found, here]);
            e.when(first, |e| {
                e.asm.void(Op::MemoryBarrier, &[workgroup, semantics]);
                let threads = e.asm.u32(32);
                let old = e.asm.op(
                    Op::AtomicIAdd,
                    Type::U32,
                    &[barrier, workgroup, relaxed, threads],
                );
                let before = e.asm.op(Op::ShiftRightLogical, Type::U32, &[old, sixteen]);
                let old = e.asm.op(Op::BitwiseAnd, Type::U32, &[old, low]);
                let arrivals = e.asm.op(Op::IAdd, Type::U32, &[old, threads]);
                let last = e.asm.op(Op::IEqual, Type::Bool, &[arrivals, count]);
                e.when(last, |e| {
                    if let Some(sum) = sum {
                        e.asm.void(Op::MemoryBarrier, &[workgroup, semantics]);
                        let taken = e.asm.op(
                            Op::AtomicExchange,
                            Type::U32,
                            &[sum, workgroup, relaxed, relaxed],
                        );
                        let result = e.partial_result(number, before);
                        e.asm
                            .void(Op::AtomicStore, &[result, workgroup, relaxed, taken]);
                        e.asm.void(Op::MemoryBarrier, &[workgroup, semantics]);
                    }
                    let change = e.asm.op(Op::ISub, Type::U32, &[one, count]);
                    e.asm.op(
                        Op::AtomicIAdd,
                        Type::U32,
                        &[barrier, workgroup, relaxed, change],
                    );
                });
            });
        });
        let now = load(self, asked);
        let now = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[now, sixteen]);
        let same = self.asm.op(Op::IEqual, Type::Bool, &[now, before]);
        self.asm.void(Op::BranchConditional, &[same, next, merge]);
        self.label(next);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
        self.asm
            .void(Op::ControlBarrier, &[subgroup, subgroup, semantics]);
        self.asm.void(Op::MemoryBarrier, &[workgroup, semantics]);
        sum.map(|_| {
            let result = self.partial_result(number, before);
            load(self, result)
        })
    }

    /// Where the result of a barrier's reduction is, that was complete so often before.
    fn partial_result(&mut self, number: Id, before: Id) -> Id {
        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let first = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[number, two]);
        let turn = self.asm.op(Op::BitwiseAnd, Type::U32, &[before, three]);
        let index = self.asm.op(Op::BitwiseOr, Type::U32, &[first, turn]);
        self.partial_word(PARTIAL_RESULTS, index)
    }

    /// Whether this lane is the first of those that are here and for which `predicate` holds; and how many those are. Both are
    /// of one ballot: two instructions could see different parts of a warp.
    fn leader(&mut self, predicate: Id) -> (Id, Id) {
        self.asm
            .capability(rspirv::spirv::Capability::GroupNonUniformBallot);
        let subgroup = self.asm.u32(3);
        let lanes = self.asm.op(
            Op::GroupNonUniformBallot,
            Type::Vector(Scalar::U32, 4),
            &[subgroup, predicate],
        );
        let lanes = self.asm.op(Op::CompositeExtract, Type::U32, &[lanes, 0]);
        let first = self.asm.glsl(GLOp::FindILsb, Type::U32, &[lanes]);
        let leads = self
            .asm
            .op(Op::IEqual, Type::Bool, &[first, self.entry.lane]);
        let count = self.asm.op(Op::BitCount, Type::U32, &[lanes]);
        (leads, count)
    }

    /// A pointer to a word of barriers of a part of the block: an array's offset there, and an index.
    fn partial_word(&mut self, array: u32, index: Id) -> Id {
        let two = self.asm.u32(2);
        let place = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[index, two]);
        let first = self.partial_barriers(array);
        let id = self.asm.op(Op::IAdd, Type::U32, &[place, first]);
        let at = memory::Address {
            space: memory::Space::Shared,
            id,
        };
        self.atomic_pointer(at, Type::U32)
    }

    /// Lanes leave the kernel: barriers of a part of the block do not wait for them any more.
    pub(super) fn leave_partial_barriers(&mut self) {
        let (workgroup, relaxed) = (self.asm.u32(2), self.asm.u32(0));
        let live = self.partial_word(192, self.entry.warp);
        let here = self.asm.constant(Type::Bool, 1);
        let (leads, lanes) = self.leader(here);
        self.when(leads, |e| {
            e.asm.op(
                Op::AtomicISub,
                Type::U32,
                &[live, workgroup, relaxed, lanes],
            );
        });
    }

    /// Where an array of the words of barriers of a part of the block begins.
    fn partial_barriers(&mut self, array: u32) -> Id {
        let counter = if self.graph.uses_barrier_reduction() {
            COUNTER_BYTES
        } else {
            0
        };
        let bytes = partial_barrier_bytes(self.graph);
        self.asm
            .u32(self.info.static_shared - counter - bytes + array)
    }

    /// Sets those words, before any thread does anything else.
    pub(super) fn clear_partial_barriers(&mut self) {
        let (zero, two, five) = (self.asm.u32(0), self.asm.u32(2), self.asm.u32(5));
        let (warp, lane, linear) = (self.entry.warp, self.entry.lane, self.entry.linear);
        let set = |e: &mut Self, array: u32, index: Id, value: Id| {
            let place = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[index, two]);
            let first = e.partial_barriers(array);
            let at = memory::Address {
                space: memory::Space::Shared,
                id: e.asm.op(Op::IAdd, Type::U32, &[place, first]),
            };
            e.store(at, Type::U32, value, memory::Access::default());
        };
        let leader = self.asm.op(Op::IEqual, Type::Bool, &[linear, zero]);
        let reduces = self.graph.uses_barrier_reduction();
        self.when(leader, |e| {
            for n in 0..16 {
                let n = e.asm.u32(n);
                set(e, 0, n, zero);
                if reduces {
                    set(e, PARTIAL_SUMS, n, zero);
                }
            }
        });
        let total = self.block_threads();
        let leader = self.asm.op(Op::IEqual, Type::Bool, &[lane, zero]);
        self.when(leader, |e| {
            let start = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[warp, five]);
            let rest = e.asm.op(Op::ISub, Type::U32, &[total, start]);
            let whole = e.asm.u32(32);
            let live = e.asm.glsl(GLOp::UMin, Type::U32, &[rest, whole]);
            set(e, 64, warp, zero);
            set(e, 192, warp, live);
        });
        let scope = self.asm.u32(2);
        let semantics = self.asm.u32(FENCE_SEMANTICS);
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
    }

    /// The number of threads of the block whose predicate holds, by a counter in the 16 bytes of shared memory that the
    /// kernel's own were extended by.
    fn count_in_block(&mut self, predicate: Id) -> Id {
        self.asm
            .capability(rspirv::spirv::Capability::GroupNonUniformBallot);
        let scope = self.asm.u32(2);
        let semantics = self.asm.u32(FENCE_SEMANTICS);
        let subgroup = self.asm.u32(3);
        let v = self.asm.op(
            Op::GroupNonUniformBallot,
            Type::Vector(Scalar::U32, 4),
            &[subgroup, predicate],
        );
        let sum = self.asm.op(
            Op::GroupNonUniformBallotBitCount,
            Type::U32,
            &[subgroup, 0, v],
        );
        let at = memory::Address {
            space: memory::Space::Shared,
            id: self
                .asm
                .u32(self.info.static_shared.saturating_sub(COUNTER_BYTES)),
        };
        let zero = self.asm.u32(0);
        // Clear, add, read, with a barrier between each two.
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
        let leader = self
            .asm
            .op(Op::IEqual, Type::Bool, &[self.entry.linear, zero]);
        self.when(leader, |e| {
            e.store(at, Type::U32, zero, memory::Access::default())
        });
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
        let elected = self
            .asm
            .op(Op::GroupNonUniformElect, Type::Bool, &[subgroup]);
        self.when(elected, |e| {
            let pointer = e.atomic_pointer(at, Type::U32);
            e.asm
                .op(Op::AtomicIAdd, Type::U32, &[pointer, scope, zero, sum]);
        });
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
        self.load(at, Type::U32, memory::Access::default())
    }
}

/// Bytes of shared memory that a kernel with bar.red gets in addition, on devices with native barriers.
pub(crate) const COUNTER_BYTES: u32 = 16;

/// How often a thread asks whether a barrier of a part of the block is complete: several seconds, after which drivers begin to take a
/// kernel for hung.
const PATIENCE: u32 = 1 << 24;

/// Where the sums of reductions of a part of the block begin, a word for each of 16 barriers; and the results, four for each.
const PARTIAL_SUMS: u32 = 64 + 128 + 128;
const PARTIAL_RESULTS: u32 = PARTIAL_SUMS + 64;

/// Bytes of shared memory that a kernel with barriers of a part of the block gets in addition there: a word for each of 16
/// barriers, then for each of 32 warps the lanes that have arrived, and the lanes that are left; and what reductions need.
pub(crate) fn partial_barrier_bytes(graph: &Graph) -> u32 {
    match graph.uses_barrier_reduction() {
        true => PARTIAL_RESULTS + 4 * 64,
        false => PARTIAL_SUMS,
    }
}
