//! 32-lane warps on a device whose subgroups are narrower: threads meet through memory, and a workgroup barrier is used
//! as a yield. Sound on Mesa's llvmpipe only, which runs the subgroups of a workgroup in turn on one CPU thread and
//! switches at barriers (see `docs/design.md`, "Warps on llvmpipe").
//!
//! Each workgroup's state lies at the start of its scratch slice:
//!
//! ```text
//!    0  32 warps of 64 bytes: a generation for each subgroup (8 words), live lanes, lanes waiting with a partial mask
//! 2048  16 barriers: generations, arrivals, two sets of bar.red sums (16 words each)
//! 2304  live threads, in whole subgroups; finished threads
//! 2560  16 bytes for each thread: the mask it waits with, its bit in a ballot of some lanes
//!       three slots for each thread, in which it publishes words to its warp
//! ```
//!
//! Where the analysis of `uniform.rs` finds that all threads of a block come to each meeting together, a meeting is one
//! yield, whether of a warp or of the block, and of all this only slots are used, and the count of the finished where
//! some can be done before others.
//!
//! Else a whole warp meets by generations: each subgroup writes its own and waits until no live subgroup of the warp is
//! behind. Slots 0 and 1 alternate, so that one meeting is enough for an exchange: a subgroup that is one exchange ahead
//! writes the other slot. Slot 2 serves partial masks, with a meeting before and after reading.

mod helpers;

use super::*;
use crate::uniform::{Level, Lockstep};
use rspirv::spirv::{BuiltIn, Capability};
use rustc_hash::FxHashSet;

const WARP_BYTES: u32 = 64;
const LIVE: u32 = 32;
const PARTIAL: u32 = 36;
const BARRIERS: u32 = 2048;
const BARRIER_COUNT: u32 = 64;
const BARRIER_SUM: u32 = 128;
const LIVE_THREADS: u32 = 2304;
const DONE: u32 = 2308;
const THREADS: u32 = 2560;
/// Within a thread's bytes: its bit in a ballot of some lanes.
const BALLOT: u32 = 4;
/// Bytes of state for each thread before its slots.
pub const THREAD_BYTES: u32 = 16;
/// Bytes before the threads' part.
pub const SLOTS: u32 = THREADS;

/// Scope Workgroup.
const WORKGROUP: u32 = 2;
/// None: the subgroups of a workgroup run on one thread, and llvmpipe makes a fence of anything else, which took a fifth of the time
/// of short kernels. What keeps the driver's compiler from remembering memory across a yield is that all accesses of such
/// a kernel are volatile ([`Emitter::load_device`]).
const YIELD_SEMANTICS: u32 = 0;

/// Module-scope variables of the warp state.
pub(crate) struct State {
    /// Invocations of a subgroup.
    width: u32,
    /// Address of the workgroup's state.
    base: Id,
    /// The same as an offset in scratch.
    base_in_window: Id,
    /// How often the thread's warp has met.
    generation: Id,
    /// Which slot is next: 0 or 1.
    parity: Id,
    /// Whether the threads of the block come to all meetings together: a meeting is one yield then, and nothing is
    /// counted.
    together: Together,
    /// Branches whose ways are padded to the same number of meetings.
    padded: FxHashSet<u32>,
    /// Meetings of the kernel's function so far, in the order of the text.
    meetings: u32,
    /// Who leaves together while others still have meetings before them.
    pub(super) early_exits: Level,
}

impl State {
    pub(super) fn new(target: &Target, lockstep: Lockstep, asm: &mut Assembler) -> Self {
        let Warps::Yield { width } = target.warps else {
            unreachable!("only where warps yield")
        };
        State {
            width,
            base: asm.private_variable(Type::U64),
            base_in_window: asm.private_variable(Type::U32),
            generation: asm.private_variable(Type::U32),
            parity: asm.private_variable(Type::U32),
            together: match lockstep.level {
                Level::Block if lockstep.padded.is_empty() => Together::Always,
                Level::Block => Together::WholeRows(whole_rows(asm, lockstep.rows)),
                _ => Together::Never,
            },
            padded: if lockstep.level == Level::Block {
                lockstep.padded
            } else {
                FxHashSet::default()
            },
            meetings: 0,
            early_exits: lockstep.early_exits,
        }
    }
}

/// When the threads of a block come to all meetings together.
#[derive(Clone, Copy)]
enum Together {
    Always,
    /// Where rows of threads are whole warps, which this boolean specialisation constant says.
    WholeRows(Id),
    Never,
}

/// Whether what is alike for those of a level is so for whole warps: the threads of one have the same `%tid.y`, `%tid.z` and `%tid.x / 32`.
fn whole_rows(asm: &mut Assembler, level: Level) -> Id {
    let [x, y, z] = [1, 2, 3].map(|n| asm.spec_constant(n, if n == 1 { 32 } else { 1 }));
    let (zero, one, mask) = (asm.u32(0), asm.u32(1), asm.u32(31));
    let rest = asm.spec_operation(Op::BitwiseAnd, Type::U32, &[x, mask]);
    let whole = asm.spec_operation(Op::IEqual, Type::Bool, &[rest, zero]);
    if level == Level::AlignedWarp {
        return whole;
    }
    let y = asm.spec_operation(Op::IEqual, Type::Bool, &[y, one]);
    let z = asm.spec_operation(Op::IEqual, Type::Bool, &[z, one]);
    let flat = asm.spec_operation(Op::LogicalAnd, Type::Bool, &[y, z]);
    asm.spec_operation(Op::LogicalOr, Type::Bool, &[whole, flat])
}

/// A thread's place in its block.
pub(super) struct Place32 {
    pub(super) linear: Id,
    pub(super) lane: Id,
    pub(super) warp: Id,
    /// Its number in its subgroup.
    pub(super) invocation: Id,
}

impl Emitter<'_> {
    fn warps(&self) -> &State {
        self.state.as_ref().expect("the kernel has warp state")
    }

    fn scope(&mut self) -> Id {
        self.asm.u32(WORKGROUP)
    }

    /// Lets the other subgroups of the workgroup run.
    pub(super) fn yield_now(&mut self) {
        let scope = self.scope();
        let semantics = self.asm.u32(YIELD_SEMANTICS);
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
    }

    fn state_base(&mut self) -> Id {
        let base = self.warps().base;
        self.asm.op(Op::Load, Type::U64, &[base])
    }

    /// `base + offset + index * scale`, as an address.
    fn state_address(&mut self, offset: u32, index: Option<(Id, u32)>) -> Id {
        let base = self.state_base();
        let base = self.offset(base, Type::U64, offset as i64);
        match index {
            None => base,
            Some((index, scale)) => {
                let scale = self.asm.u32(scale);
                let bytes = self.asm.op(Op::IMul, Type::U32, &[index, scale]);
                let bytes = self.asm.op(Op::UConvert, Type::U64, &[bytes]);
                self.asm.op(Op::IAdd, Type::U64, &[base, bytes])
            }
        }
    }

    fn peek(&mut self, address: Id, ty: Type) -> Id {
        self.load_device(
            address,
            ty,
            memory::Access {
                volatile: true,
                ..Default::default()
            },
        )
    }

    fn poke(&mut self, address: Id, value: Id) {
        self.poke_as(address, Type::U32, value);
    }

    fn poke_as(&mut self, address: Id, ty: Type, value: Id) {
        self.store_device(
            address,
            ty,
            value,
            memory::Access {
                volatile: true,
                ..Default::default()
            },
        );
    }

    fn atomic_u32(&mut self, op: Op, address: Id, value: Id) -> Id {
        let pointer = self.device_pointer(address, Type::U32);
        let scope = self.scope();
        let relaxed = self.asm.u32(0);
        self.asm
            .op(op, Type::U32, &[pointer, scope, relaxed, value])
    }

    /// Does one thing where all threads of the block come to each meeting together, another where they do not. Where both
    /// are possible, the driver's compiler knows which it is.
    pub(crate) fn together(
        &mut self,
        lockstep: impl FnOnce(&mut Self),
        counted: impl FnOnce(&mut Self),
    ) {
        match self.warps().together {
            Together::Always => lockstep(self),
            Together::Never => counted(self),
            Together::WholeRows(whole) => {
                let (then, otherwise, merge) = (self.asm.id(), self.asm.id(), self.asm.id());
                self.asm.void(Op::SelectionMerge, &[merge, 0]);
                self.asm
                    .void(Op::BranchConditional, &[whole, then, otherwise]);
                self.label(then);
                lockstep(self);
                self.asm.void(Op::Branch, &[merge]);
                self.label(otherwise);
                counted(self);
                self.asm.void(Op::Branch, &[merge]);
                self.label(merge);
            }
        }
    }

    /// [`Self::together`] for a value.
    pub(crate) fn together_value(
        &mut self,
        ty: Type,
        lockstep: impl FnOnce(&mut Self) -> Id,
        counted: impl FnOnce(&mut Self) -> Id,
    ) -> Id {
        match self.warps().together {
            Together::Always => lockstep(self),
            Together::Never => counted(self),
            Together::WholeRows(whole) => self.choose(whole, ty, lockstep, counted),
        }
    }

    /// Counts a meeting of the kernel's function, once for both of its kinds.
    pub(crate) fn count_meeting(&mut self) {
        if let Some(state) = &mut self.state {
            state.meetings += 1;
        }
    }

    /// Meetings so far.
    pub(super) fn meetings(&self) -> u32 {
        self.state.as_ref().map_or(0, |s| s.meetings)
    }

    /// Whether the ways of the block's branch are padded.
    pub(super) fn is_padded(&self, block: BlockId) -> bool {
        self.state
            .as_ref()
            .is_some_and(|s| s.padded.contains(&block.0))
    }

    /// At the start of a way that is padded: something that is never done. llvmpipe runs a way of few instructions
    /// without a branch around it, yields included, even for subgroups that do not take it.
    pub(super) fn keep_branch(&mut self) {
        // The driver's compiler does not know that a slice has bytes.
        let slice = self.push(entry::Push::Slice);
        let zero = self.asm.u32(0);
        let never = self.asm.op(Op::IEqual, Type::Bool, &[slice, zero]);
        self.when(never, |e| {
            let at = e.state_address(DONE, None);
            let zero = e.asm.u32(0);
            e.poke(at, zero);
        });
    }

    /// After a padded branch with different numbers of meetings on its ways: the rest of them.
    pub(super) fn pad(&mut self, condition: Id, then: u32, otherwise: u32) {
        if then == otherwise {
            return;
        }
        let less_in_then = then < otherwise;
        self.together(
            |e| {
                let lacks = if less_in_then {
                    condition
                } else {
                    e.asm.op(Op::LogicalNot, Type::Bool, &[condition])
                };
                e.when(lacks, |e| {
                    // So many instructions that llvmpipe puts a branch around them: see `keep_branch`. An inner
                    // condition would not do, because the two become one.
                    let (linear, zero) = (e.entry.linear, e.asm.u32(0));
                    let tag = e.state_address(THREADS, Some((linear, THREAD_BYTES)));
                    for _ in 0..12 {
                        e.poke(tag, zero);
                    }
                    for _ in 0..then.abs_diff(otherwise) {
                        e.yield_now();
                    }
                });
            },
            |_| {},
        );
    }

    /// (thread, lane, warp) within a helper function. Made of the numbers of subgroup and invocation, because the
    /// second is a constant to the driver and the first is the same for all: a shuffle by it becomes a permutation.
    fn position(&mut self) -> (Id, Id, Id) {
        let place = self.narrow_place();
        (place.linear, place.lane, place.warp)
    }

    /// The thread's place, from its subgroup's number and its own there.
    pub(super) fn narrow_place(&mut self) -> Place32 {
        self.asm.capability(Capability::GroupNonUniform);
        let Warps::Yield { width } = self.target.warps else {
            unreachable!("only where warps yield")
        };
        let id = self.asm.builtin(BuiltIn::SubgroupId, Type::U32);
        let invocation = self
            .asm
            .builtin(BuiltIn::SubgroupLocalInvocationId, Type::U32);
        let id = self.asm.op(Op::Load, Type::U32, &[id]);
        let invocation = self.asm.op(Op::Load, Type::U32, &[invocation]);
        let (bits, count) = (width.trailing_zeros(), 32 / width);
        let bits_id = self.asm.u32(bits);
        let within = self.asm.u32(count - 1);
        let rest = self.asm.u32(5 - bits);
        let start = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[id, bits_id]);
        let linear = self.asm.op(Op::BitwiseOr, Type::U32, &[start, invocation]);
        let within = self.asm.op(Op::BitwiseAnd, Type::U32, &[id, within]);
        let first = self
            .asm
            .op(Op::ShiftLeftLogical, Type::U32, &[within, bits_id]);
        let lane = self.asm.op(Op::BitwiseOr, Type::U32, &[first, invocation]);
        let warp = self.asm.op(Op::ShiftRightLogical, Type::U32, &[id, rest]);
        Place32 {
            linear,
            lane,
            warp,
            invocation,
        }
    }

    /// Waits for the whole warp.
    pub(crate) fn meet(&mut self) {
        self.count_meeting();
        self.together(Self::yield_now, |e| {
            e.call_helper(Helper::WarpSync, Type::Void, &[]);
        });
    }

    /// Waits for the whole warp where it counts on running in step.
    pub(crate) fn meet_in_step(&mut self, meeting: &graph::Meeting) {
        self.count_meeting();
        self.together(Self::yield_now, |e| {
            let meet = |e: &mut Self| {
                e.call_helper(Helper::WarpSync, Type::Void, &[]);
            };
            if meeting.level == Level::Block {
                return meet(e);
            }
            // Where they are not, a part of a warp may be here.
            let whole = e.whole_rows(meeting.level);
            e.when(whole, meet);
        });
    }

    /// Whether what is alike for those of a level is so for whole warps.
    pub(super) fn whole_rows(&mut self, level: Level) -> Id {
        if let Some(&(_, whole)) = self.entry.whole_rows.iter().find(|w| w.0 == level) {
            return whole;
        }
        let whole = whole_rows(&mut self.asm, level);
        self.entry.whole_rows.push((level, whole));
        whole
    }

    /// The lane's subgroup within its warp.
    fn subgroup_of(&mut self, lane: Id) -> Id {
        let bits = self.asm.u32(self.warps().width.trailing_zeros());
        self.asm.op(Op::ShiftRightLogical, Type::U32, &[lane, bits])
    }

    /// The first lane of the lane's subgroup.
    fn subgroup_start(&mut self, lane: Id) -> Id {
        let mask = self.asm.u32(!(self.warps().width - 1));
        self.asm.op(Op::BitwiseAnd, Type::U32, &[lane, mask])
    }

    /// The words of the threads' slots: address of word 0 of a thread's slot.
    pub(super) fn slot(&mut self, slot: Id, thread: Id) -> Id {
        let offset = self.slot_offset(slot, thread);
        let offset = self.asm.op(Op::UConvert, Type::U64, &[offset]);
        let base = self.state_base();
        self.asm.op(Op::IAdd, Type::U64, &[base, offset])
    }

    /// The same as an offset in scratch, for reading.
    pub(super) fn slot_in_window(&mut self, slot: Id, thread: Id) -> Id {
        let offset = self.slot_offset(slot, thread);
        let base = self.warps().base_in_window;
        let base = self.asm.op(Op::Load, Type::U32, &[base]);
        self.asm.op(Op::IAdd, Type::U32, &[base, offset])
    }

    /// Where a thread's slot starts in the state.
    fn slot_offset(&mut self, slot: Id, thread: Id) -> Id {
        let words = self.info.warp_slot_words * 4;
        let size = self.asm.spec_constant(0, 32);
        let per_thread = self.asm.u32(THREAD_BYTES);
        let start = self.asm.op(Op::IMul, Type::U32, &[size, per_thread]);
        let first = self.asm.op(Op::IMul, Type::U32, &[slot, size]);
        let index = self.asm.op(Op::IAdd, Type::U32, &[first, thread]);
        let words = self.asm.u32(words);
        let offset = self.asm.op(Op::IMul, Type::U32, &[index, words]);
        let offset = self.asm.op(Op::IAdd, Type::U32, &[start, offset]);
        self.offset(offset, Type::U32, THREADS.into())
    }

    /// The slot of the next exchange of the whole warp; the one after uses the other.
    pub(super) fn next_slot(&mut self) -> Id {
        let parity = self.warps().parity;
        let slot = self.asm.op(Op::Load, Type::U32, &[parity]);
        let one = self.asm.u32(1);
        let other = self.asm.op(Op::BitwiseXor, Type::U32, &[slot, one]);
        self.asm.void(Op::Store, &[parity, other]);
        slot
    }

    /// The active invocations of the subgroup as bits from bit 0.
    fn active(&mut self) -> Id {
        let yes = self.asm.constant(Type::Bool, 1);
        self.subgroup_ballot(yes)
    }

    fn subgroup_ballot(&mut self, predicate: Id) -> Id {
        self.asm.capability(Capability::GroupNonUniformBallot);
        let scope = self.asm.u32(3);
        let v = self.asm.op(
            Op::GroupNonUniformBallot,
            Type::Vector(Scalar::U32, 4),
            &[scope, predicate],
        );
        self.asm.op(Op::CompositeExtract, Type::U32, &[v, 0])
    }

    fn elect(&mut self) -> Id {
        self.asm.capability(Capability::GroupNonUniform);
        let scope = self.asm.u32(3);
        self.asm.op(Op::GroupNonUniformElect, Type::Bool, &[scope])
    }

    /// `while (waiting) yield;` where `waiting` is worked out anew each time.
    fn wait_while(&mut self, waiting: impl FnOnce(&mut Self) -> Id) {
        let (header, test, next, merge) =
            (self.asm.id(), self.asm.id(), self.asm.id(), self.asm.id());
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::Branch, &[test]);
        self.label(test);
        let waiting = waiting(self);
        self.asm
            .void(Op::BranchConditional, &[waiting, next, merge]);
        self.label(next);
        self.yield_now();
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
    }

    /// `for (k = 0; k < count; k++) body(k)`.
    pub(super) fn repeat(&mut self, count: u32, body: impl FnOnce(&mut Self, Id)) {
        let counter = self.asm.variable(Type::U32);
        let zero = self.asm.u32(0);
        self.asm.void(Op::Store, &[counter, zero]);
        let (header, test, inside, next, merge) = (
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
        let k = self.asm.op(Op::Load, Type::U32, &[counter]);
        let end = self.asm.u32(count);
        let more = self.asm.op(Op::ULessThan, Type::Bool, &[k, end]);
        self.asm.void(Op::BranchConditional, &[more, inside, merge]);
        self.label(inside);
        body(self, k);
        self.asm.void(Op::Branch, &[next]);
        self.label(next);
        let one = self.asm.u32(1);
        let k = self.asm.op(Op::Load, Type::U32, &[counter]);
        let k = self.asm.op(Op::IAdd, Type::U32, &[k, one]);
        self.asm.void(Op::Store, &[counter, k]);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
    }

    /// In `main`: writes the state of the thread's part, meets once, and says whether the thread is one of the block's.
    pub(super) fn initialise_warp_state(&mut self) -> Id {
        let linear = self.entry.linear;
        let slice = self.entry.slice;
        let (base, generation, parity) = (
            self.warps().base,
            self.warps().generation,
            self.warps().parity,
        );
        self.asm.void(Op::Store, &[base, slice]);
        let in_window = self.warps().base_in_window;
        let offset = self.entry.slice_in_window;
        self.asm.void(Op::Store, &[in_window, offset]);
        let zero = self.asm.u32(0);
        self.asm.void(Op::Store, &[generation, zero]);
        self.asm.void(Op::Store, &[parity, zero]);
        let total = self.block_threads();
        let size = self.asm.spec_constant(0, 32);
        // Known to the driver's compiler, so that nothing is conditional where no thread only fills up the last warp.
        let full = self.asm.op(Op::IEqual, Type::Bool, &[size, total]);
        let below = self.asm.op(Op::ULessThan, Type::Bool, &[linear, total]);
        let live = self.asm.op(Op::LogicalOr, Type::Bool, &[full, below]);
        // What lies there from before has a tag, too.
        let clear = |e: &mut Self, slot: u32, word: i64| {
            let slot = e.asm.u32(slot);
            let mine = e.slot(slot, linear);
            let word = e.offset(mine, Type::U64, word);
            e.poke(word, zero);
        };
        let has = |e: &Self, helpers: [Helper; 2]| {
            helpers.iter().any(|helper| e.helpers.contains_key(helper))
        };
        // With a mask that turns out to name all lanes, the functions for some call those for all.
        let ballots = has(self, [Helper::BallotFull, Helper::BallotMask]);
        if ballots {
            (0..2).for_each(|slot| clear(self, slot, 4));
        }
        if let Some(absent) = self.entry.absent {
            self.when(absent, |e| {
                if !ballots && has(e, [Helper::ShuffleFull, Helper::ShuffleMask]) {
                    (0..2).for_each(|slot| clear(e, slot, 4));
                }
                if e.helpers.contains_key(&Helper::ShuffleMask) {
                    clear(e, 2, 0);
                }
            });
        }
        let leader = self.asm.op(Op::IEqual, Type::Bool, &[linear, zero]);
        self.together(
            |e| {
                // The first subgroup runs first: nobody has asked yet.
                let waits = e.waits_for_the_last();
                e.when(waits, |e| {
                    e.when(leader, |e| {
                        let at = e.state_address(DONE, None);
                        e.poke(at, zero);
                    });
                });
            },
            |e| e.initialise_counters(total, leader),
        );
        live
    }

    fn initialise_counters(&mut self, total: Id, leader: Id) {
        let (lane, warp, linear) = (self.entry.lane, self.entry.warp, self.entry.linear);
        let zero = self.asm.u32(0);
        let first = self.asm.op(Op::IEqual, Type::Bool, &[lane, zero]);
        let width = self.warps().width;
        self.when(first, |e| {
            let thirty_two = e.asm.u32(32);
            let before = e.asm.op(Op::IMul, Type::U32, &[warp, thirty_two]);
            let remaining = e.asm.op(Op::ISub, Type::U32, &[total, before]);
            let full = e
                .asm
                .op(Op::UGreaterThanEqual, Type::Bool, &[remaining, thirty_two]);
            let (one, ones) = (e.asm.u32(1), e.asm.u32(u32::MAX));
            let cut = e.asm.op(Op::Select, Type::U32, &[full, zero, remaining]);
            let bit = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[one, cut]);
            let some = e.asm.op(Op::ISub, Type::U32, &[bit, one]);
            let live = e.asm.op(Op::Select, Type::U32, &[full, ones, some]);
            let at = e.state_address(LIVE, Some((warp, WARP_BYTES)));
            e.poke(at, live);
            let at = e.state_address(PARTIAL, Some((warp, WARP_BYTES)));
            e.poke(at, zero);
            for n in 0..32 / width {
                let lanes = if width == 32 {
                    u32::MAX
                } else {
                    ((1u32 << width) - 1) << (n * width)
                };
                let lanes = e.asm.u32(lanes);
                let some = e.asm.op(Op::BitwiseAnd, Type::U32, &[live, lanes]);
                let none = e.asm.op(Op::IEqual, Type::Bool, &[some, zero]);
                let flag = e.asm.op(Op::Select, Type::U32, &[none, ones, zero]);
                let at = e.state_address(4 * n, Some((warp, WARP_BYTES)));
                e.poke(at, flag);
            }
        });
        self.when(leader, |e| {
            e.repeat(64, |e, k| {
                let at = e.state_address(BARRIERS, Some((k, 4)));
                e.poke(at, zero);
            });
            let at = e.state_address(LIVE_THREADS, None);
            let up = e.asm.u32(width - 1);
            let live = e.asm.op(Op::IAdd, Type::U32, &[total, up]);
            let whole = e.asm.u32(!(width - 1));
            let live = e.asm.op(Op::BitwiseAnd, Type::U32, &[live, whole]);
            e.poke(at, live);
            let at = e.state_address(DONE, None);
            e.poke(at, zero);
        });
        let bit = self.state_address(THREADS + BALLOT, Some((linear, THREAD_BYTES)));
        self.poke(bit, zero);
        self.yield_now();
    }

    /// In lockstep: whether subgroups can be done before others, so that all have to wait for the last.
    fn waits_for_the_last(&mut self) -> Id {
        if self.warps().early_exits > Level::Block {
            return self.asm.constant(Type::Bool, 1);
        }
        let total = self.block_threads();
        let size = self.asm.spec_constant(0, 32);
        self.asm.op(Op::INotEqual, Type::Bool, &[size, total])
    }

    /// Publishes words of every lane to its warp and meets; gives where slot word 0 of the warp's lane 0 is in scratch.
    pub(crate) fn publish_to_slot(&mut self, words: &[Id]) -> Id {
        let slot = self.next_slot();
        let (linear, lane) = (self.entry.linear, self.entry.lane);
        let mine = self.slot(slot, linear);
        let mut n = 0;
        while n < words.len() {
            let run = match words.len() - n {
                4.. => 4,
                2 | 3 => 2,
                _ => 1,
            };
            let at = self.offset(mine, Type::U64, 4 * n as i64);
            let (ty, v) = if run == 1 {
                (Type::U32, words[n])
            } else {
                let ty = Type::Vector(Scalar::U32, run as u8);
                (
                    ty,
                    self.asm.op(Op::CompositeConstruct, ty, &words[n..n + run]),
                )
            };
            self.store_device(at, ty, v, memory::Access::default());
            n += run;
        }
        self.meet();
        let start = self.asm.op(Op::ISub, Type::U32, &[linear, lane]);
        self.slot_in_window(slot, start)
    }

    /// Reads words that a lane published, from word `word`; `base` is from [`Self::publish_to_slot`].
    pub(crate) fn read_slot_at(&mut self, base: Id, lane: Id, word: Id, ty: Type) -> Id {
        let words = self.asm.u32(self.info.warp_slot_words);
        let index = self.asm.op(Op::IMul, Type::U32, &[lane, words]);
        let index = self.asm.op(Op::IAdd, Type::U32, &[index, word]);
        let four = self.asm.u32(4);
        let offset = self.asm.op(Op::IMul, Type::U32, &[index, four]);
        let at = self.asm.op(Op::IAdd, Type::U32, &[base, offset]);
        self.load_slot(at, ty)
    }

    /// Reads words that a lane published; `base` is from [`Self::publish_to_slot`].
    pub(crate) fn read_slot(&mut self, base: Id, lane: Id, first: u32, ty: Type) -> Id {
        let bytes = self.asm.u32(self.info.warp_slot_words * 4);
        let offset = self.asm.op(Op::IMul, Type::U32, &[lane, bytes]);
        let at = self.asm.op(Op::IAdd, Type::U32, &[base, offset]);
        let at = self.offset(at, Type::U32, 4 * i64::from(first));
        self.load_slot(at, ty)
    }

    /// Reads from a slot, by the offset in scratch.
    pub(super) fn load_slot(&mut self, at: Id, ty: Type) -> Id {
        self.load_window(at, ty)
            .expect("slots are read in words, pairs and quadruples")
    }
}
