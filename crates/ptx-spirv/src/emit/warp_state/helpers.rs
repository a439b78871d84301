//! The functions of the shader by which warps and blocks meet, exchange and end: one function for each [`Helper`] that a
//! kernel calls.

use super::*;

impl Emitter<'_> {
    pub(crate) fn write_warp_helper(&mut self, helper: Helper, id: Id) {
        match helper {
            Helper::WarpSync => self.write_warp_sync(id),
            Helper::WarpSyncMask => self.write_warp_sync_mask(id),
            Helper::ShuffleFull | Helper::ShuffleMask => self.write_shuffle(helper, id),
            Helper::BallotFull | Helper::BallotMask => self.write_ballot(helper, id),
            Helper::Barrier | Helper::BarrierArrive | Helper::BarrierCount => {
                self.write_barrier(helper, id)
            }
            Helper::LaneExit => self.write_lane_exit(id),
            _ => self.write_epilogue(id),
        }
    }

    fn write_warp_sync(&mut self, id: Id) {
        self.asm.begin_function(id, Type::Void, &[]);
        let (_, lane, warp) = self.position();
        let generation = self.warps().generation;
        let g = self.asm.op(Op::Load, Type::U32, &[generation]);
        let one = self.asm.u32(1);
        let g = self.asm.op(Op::IAdd, Type::U32, &[g, one]);
        self.asm.void(Op::Store, &[generation, g]);
        let subgroup = self.subgroup_of(lane);
        let flags = self.state_address(0, Some((warp, WARP_BYTES)));
        let four = self.asm.u32(4);
        let offset = self.asm.op(Op::IMul, Type::U32, &[subgroup, four]);
        let offset = self.asm.op(Op::UConvert, Type::U64, &[offset]);
        let mine = self.asm.op(Op::IAdd, Type::U64, &[flags, offset]);
        self.poke(mine, g);
        let count = 32 / self.warps().width;
        self.wait_while(|e| {
            // The lowest generation of the warp's subgroups, four at a time.
            let mut lowest: Option<Id> = None;
            for n in (0..count).step_by(4) {
                let lanes = (count - n).min(4) as u8;
                let at = e.offset(flags, Type::U64, 4 * n as i64);
                let ty = if lanes == 1 {
                    Type::U32
                } else {
                    Type::Vector(Scalar::U32, lanes)
                };
                let v = e.peek(at, ty);
                for k in 0..lanes {
                    let f = if lanes == 1 {
                        v
                    } else {
                        e.asm.op(Op::CompositeExtract, Type::U32, &[v, k as u32])
                    };
                    lowest = Some(match lowest {
                        None => f,
                        Some(l) => e.asm.glsl(rspirv::spirv::GLOp::UMin, Type::U32, &[l, f]),
                    });
                }
            }
            let lowest = lowest.expect("a warp has subgroups");
            e.asm.op(Op::ULessThan, Type::Bool, &[lowest, g])
        });
        self.asm.void(Op::Return, &[]);
    }

    fn write_warp_sync_mask(&mut self, id: Id) {
        let mask = self.asm.begin_function(id, Type::Void, &[Type::U32])[0];
        let (linear, lane, warp) = self.position();
        let (zero, one, ones) = (self.asm.u32(0), self.asm.u32(1), self.asm.u32(u32::MAX));
        let full = self.asm.op(Op::IEqual, Type::Bool, &[mask, ones]);
        let (whole, part, merge) = (self.asm.id(), self.asm.id(), self.asm.id());
        self.asm.void(Op::SelectionMerge, &[merge, 0]);
        self.asm.void(Op::BranchConditional, &[full, whole, part]);
        self.label(whole);
        self.call_helper(Helper::WarpSync, Type::Void, &[]);
        self.asm.void(Op::Branch, &[merge]);
        self.label(part);
        let tag = self.state_address(THREADS, Some((linear, THREAD_BYTES)));
        self.poke(tag, mask);
        let bit = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[one, lane]);
        let waiting = self.state_address(PARTIAL, Some((warp, WARP_BYTES)));
        let live_at = self.state_address(LIVE, Some((warp, WARP_BYTES)));
        self.atomic_u32(Op::AtomicOr, waiting, bit);
        let thirty_two = self.asm.u32(32);
        let first = self.asm.op(Op::IMul, Type::U32, &[warp, thirty_two]);
        let different = self.asm.variable(Type::U32);
        self.wait_while(|e| {
            let arrived = e.peek(waiting, Type::U32);
            let mine = e.asm.op(Op::BitwiseAnd, Type::U32, &[arrived, bit]);
            let still = e.asm.op(Op::INotEqual, Type::Bool, &[mine, zero]);
            let live = e.peek(live_at, Type::U32);
            let need = e.asm.op(Op::BitwiseAnd, Type::U32, &[mask, live]);
            let here = e.asm.op(Op::BitwiseAnd, Type::U32, &[arrived, need]);
            let all = e.asm.op(Op::IEqual, Type::Bool, &[here, need]);
            let complete = e.asm.op(Op::LogicalAnd, Type::Bool, &[still, all]);
            e.asm.void(Op::Store, &[different, zero]);
            e.when(complete, |e| {
                e.repeat(32, |e, k| {
                    let kb = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[one, k]);
                    let named = e.asm.op(Op::BitwiseAnd, Type::U32, &[need, kb]);
                    let named = e.asm.op(Op::INotEqual, Type::Bool, &[named, zero]);
                    let thread = e.asm.op(Op::IAdd, Type::U32, &[first, k]);
                    let at = e.state_address(THREADS, Some((thread, THREAD_BYTES)));
                    let tag = e.peek(at, Type::U32);
                    let other = e.asm.op(Op::INotEqual, Type::Bool, &[tag, mask]);
                    let bad = e.asm.op(Op::LogicalAnd, Type::Bool, &[named, other]);
                    let old = e.asm.op(Op::Load, Type::U32, &[different]);
                    let bad = e.asm.op(Op::Select, Type::U32, &[bad, one, old]);
                    e.asm.void(Op::Store, &[different, bad]);
                });
                let bad = e.asm.op(Op::Load, Type::U32, &[different]);
                let met = e.asm.op(Op::IEqual, Type::Bool, &[bad, zero]);
                e.when(met, |e| {
                    let rest = e.asm.op(Op::Not, Type::U32, &[mask]);
                    e.atomic_u32(Op::AtomicAnd, waiting, rest);
                });
            });
            let arrived = e.peek(waiting, Type::U32);
            let mine = e.asm.op(Op::BitwiseAnd, Type::U32, &[arrived, bit]);
            e.asm.op(Op::INotEqual, Type::Bool, &[mine, zero])
        });
        self.asm.void(Op::Branch, &[merge]);
        self.label(merge);
        self.asm.void(Op::Return, &[]);
    }

    fn write_shuffle(&mut self, helper: Helper, id: Id) {
        let full = helper == Helper::ShuffleFull;
        let parameters: &[Type] = if full {
            &[Type::U32, Type::U32]
        } else {
            &[Type::U32, Type::U32, Type::U32]
        };
        let p = self.asm.begin_function(id, Type::U32, parameters);
        let (value, source) = (p[0], p[1]);
        let (linear, lane, _) = self.position();
        let start = self.asm.op(Op::ISub, Type::U32, &[linear, lane]);
        let from = self.asm.op(Op::IAdd, Type::U32, &[start, source]);
        if full {
            let slot = self.next_slot();
            let mine = self.slot(slot, linear);
            let plain = |e: &mut Self| {
                e.poke(mine, value);
                e.meet();
                let at = e.slot_in_window(slot, from);
                e.load_slot(at, Type::U32)
            };
            let id = self.where_absent(
                |e| {
                    // Tagged with the meeting, as ballots are.
                    let meeting = e.next_meeting();
                    let pair = Type::Vector(Scalar::U32, 2);
                    let words = e.asm.op(Op::CompositeConstruct, pair, &[value, meeting]);
                    e.poke_as(mine, pair, words);
                    e.meet();
                    let at = e.slot_in_window(slot, from);
                    let words = e.load_slot(at, pair);
                    let [value, tag] =
                        [0, 1].map(|n| e.asm.op(Op::CompositeExtract, Type::U32, &[words, n]));
                    let here = e.asm.op(Op::IEqual, Type::Bool, &[tag, meeting]);
                    let zero = e.asm.u32(0);
                    e.asm.op(Op::Select, Type::U32, &[here, value, zero])
                },
                plain,
            );
            self.asm.void(Op::ReturnValue, &[id]);
            return;
        }
        let mask = p[2];
        let ones = self.asm.u32(u32::MAX);
        let whole = self.asm.op(Op::IEqual, Type::Bool, &[mask, ones]);
        let id = self.choose(
            whole,
            Type::U32,
            |e| e.call_helper(Helper::ShuffleFull, Type::U32, &[value, source]),
            |e| {
                let two = e.asm.u32(2);
                let mine = e.slot(two, linear);
                e.poke(mine, value);
                e.call_helper(Helper::WarpSyncMask, Type::Void, &[mask]);
                let at = e.slot_in_window(two, from);
                let id = e.load_slot(at, Type::U32);
                e.call_helper(Helper::WarpSyncMask, Type::Void, &[mask]);
                if let Some(absent) = e.entry.absent {
                    // All have read it: nobody is to find it there once the lane has left.
                    let zero = e.asm.u32(0);
                    e.when(absent, |e| e.poke(mine, zero));
                }
                id
            },
        );
        self.asm.void(Op::ReturnValue, &[id]);
    }

    /// The number of the warp's meeting that comes next: it is counted in lockstep, too.
    fn next_meeting(&mut self) -> Id {
        let generation = self.warps().generation;
        let before = self.asm.op(Op::Load, Type::U32, &[generation]);
        let one = self.asm.u32(1);
        let meeting = self.asm.op(Op::IAdd, Type::U32, &[before, one]);
        self.together(|e| e.asm.void(Op::Store, &[generation, meeting]), |_| {});
        meeting
    }

    fn write_ballot(&mut self, helper: Helper, id: Id) {
        let full = helper == Helper::BallotFull;
        let parameters: &[Type] = if full {
            &[Type::Bool]
        } else {
            &[Type::Bool, Type::U32]
        };
        let p = self.asm.begin_function(id, Type::U32, parameters);
        let predicate = p[0];
        let (linear, lane, _) = self.position();
        let start = self.asm.op(Op::ISub, Type::U32, &[linear, lane]);
        if full {
            let bits = self.subgroup_ballot(predicate);
            let first = self.subgroup_start(lane);
            let bits = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[bits, first]);
            let slot = self.next_slot();
            let thread = self.asm.op(Op::IAdd, Type::U32, &[start, first]);
            let mine = self.slot(slot, thread);
            // Tagged with the meeting, because a subgroup that has left by then has older bits in its slot. (Live lanes
            // would not tell: one that took part may have left when a slower one reads.)
            let meeting = self.next_meeting();
            self.poke(mine, bits);
            let tag = self.offset(mine, Type::U64, 4);
            self.poke(tag, meeting);
            self.meet();
            let zero = self.asm.u32(0);
            let mut all = zero;
            for n in 0..32 / self.warps().width {
                let k = self.asm.u32(n * self.warps().width);
                let thread = self.asm.op(Op::IAdd, Type::U32, &[start, k]);
                let at = self.slot_in_window(slot, thread);
                let bits = self.load_slot(at, Type::U32);
                let tag = self.offset(at, Type::U32, 4);
                let tag = self.load_slot(tag, Type::U32);
                let current = self.asm.op(Op::IEqual, Type::Bool, &[tag, meeting]);
                let bits = self.asm.op(Op::Select, Type::U32, &[current, bits, zero]);
                all = self.asm.op(Op::BitwiseOr, Type::U32, &[all, bits]);
            }
            self.asm.void(Op::ReturnValue, &[all]);
            return;
        }
        let mask = p[1];
        let ones = self.asm.u32(u32::MAX);
        let whole = self.asm.op(Op::IEqual, Type::Bool, &[mask, ones]);
        let result = self.asm.variable(Type::U32);
        let id = self.choose(
            whole,
            Type::U32,
            |e| e.call_helper(Helper::BallotFull, Type::U32, &[predicate]),
            |e| {
                // Each lane's bit lies in the thread's own word, which is zero but during a ballot: lanes that are named
                // and have left count as false.
                let (zero, one) = (e.asm.u32(0), e.asm.u32(1));
                let mine = e.state_address(THREADS + BALLOT, Some((linear, THREAD_BYTES)));
                let bit = e.asm.op(Op::Select, Type::U32, &[predicate, one, zero]);
                e.poke(mine, bit);
                e.call_helper(Helper::WarpSyncMask, Type::Void, &[mask]);
                e.asm.void(Op::Store, &[result, zero]);
                e.repeat(32, |e, k| {
                    let thread = e.asm.op(Op::IAdd, Type::U32, &[start, k]);
                    let at = e.state_address(THREADS + BALLOT, Some((thread, THREAD_BYTES)));
                    let bit = e.peek(at, Type::U32);
                    let bit = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[bit, k]);
                    let old = e.asm.op(Op::Load, Type::U32, &[result]);
                    let new = e.asm.op(Op::BitwiseOr, Type::U32, &[old, bit]);
                    e.asm.void(Op::Store, &[result, new]);
                });
                e.call_helper(Helper::WarpSyncMask, Type::Void, &[mask]);
                e.poke(mine, zero);
                let all = e.asm.op(Op::Load, Type::U32, &[result]);
                e.asm.op(Op::BitwiseAnd, Type::U32, &[all, mask])
            },
        );
        self.asm.void(Op::ReturnValue, &[id]);
    }

    /// Opens a barrier: its arrivals are none again, the other set of sums is cleared, its generation is the next.
    fn release(&mut self, barrier: Id, generation: Id) {
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let at = self.state_address(BARRIERS + BARRIER_COUNT, Some((barrier, 4)));
        self.poke(at, zero);
        let other = self.asm.op(Op::BitwiseXor, Type::U32, &[generation, one]);
        let at = self.sum_address(barrier, other);
        self.poke(at, zero);
        let at = self.state_address(BARRIERS, Some((barrier, 4)));
        self.atomic_u32(Op::AtomicIAdd, at, one);
    }

    /// Where the sum of a barrier's generation is.
    fn sum_address(&mut self, barrier: Id, generation: Id) -> Id {
        let (one, sixteen) = (self.asm.u32(1), self.asm.u32(16));
        let set = self.asm.op(Op::BitwiseAnd, Type::U32, &[generation, one]);
        let set = self.asm.op(Op::IMul, Type::U32, &[set, sixteen]);
        let index = self.asm.op(Op::IAdd, Type::U32, &[set, barrier]);
        self.state_address(BARRIERS + BARRIER_SUM, Some((index, 4)))
    }

    fn write_barrier(&mut self, helper: Helper, id: Id) {
        let (result, parameters): (Type, &[Type]) = match helper {
            Helper::BarrierCount => (Type::U32, &[Type::U32, Type::U32, Type::Bool]),
            _ => (Type::Void, &[Type::U32, Type::U32]),
        };
        let p = self.asm.begin_function(id, result, parameters);
        let (barrier, count) = (p[0], p[1]);
        let generation_at = self.state_address(BARRIERS, Some((barrier, 4)));
        let generation = self.peek(generation_at, Type::U32);
        // A subgroup arrives as a whole: its lanes that have left run again, and say so, only after those that wait here.
        let arrivals = self.asm.u32(self.warps().width);
        let sum = (helper == Helper::BarrierCount).then(|| {
            let bits = self.subgroup_ballot(p[2]);
            let sum = self.asm.op(Op::BitCount, Type::U32, &[bits]);
            (sum, self.sum_address(barrier, generation))
        });
        let elected = self.elect();
        self.when(elected, |e| {
            if let Some((sum, at)) = sum {
                e.atomic_u32(Op::AtomicIAdd, at, sum);
            }
            let at = e.state_address(BARRIERS + BARRIER_COUNT, Some((barrier, 4)));
            let before = e.atomic_u32(Op::AtomicIAdd, at, arrivals);
            let now = e.asm.op(Op::IAdd, Type::U32, &[before, arrivals]);
            let at = e.state_address(LIVE_THREADS, None);
            let live = e.peek(at, Type::U32);
            let zero = e.asm.u32(0);
            // No more than all that are left can come.
            let all = e.asm.op(Op::IEqual, Type::Bool, &[count, zero]);
            let some = e
                .asm
                .glsl(rspirv::spirv::GLOp::UMin, Type::U32, &[count, live]);
            let need = e.asm.op(Op::Select, Type::U32, &[all, live, some]);
            let complete = e.asm.op(Op::UGreaterThanEqual, Type::Bool, &[now, need]);
            e.when(complete, |e| e.release(barrier, generation));
        });
        if helper == Helper::BarrierArrive {
            self.asm.void(Op::Return, &[]);
            return;
        }
        self.wait_while(|e| {
            let now = e.peek(generation_at, Type::U32);
            e.asm.op(Op::IEqual, Type::Bool, &[now, generation])
        });
        match sum {
            Some((_, at)) => {
                let id = self.peek(at, Type::U32);
                self.asm.void(Op::ReturnValue, &[id]);
            }
            None => self.asm.void(Op::Return, &[]),
        }
    }

    fn write_lane_exit(&mut self, id: Id) {
        self.asm.begin_function(id, Type::Void, &[]);
        let (_, lane, warp) = self.position();
        let active = self.active();
        let elected = self.elect();
        let width = self.warps().width;
        self.when(elected, |e| {
            let (zero, ones) = (e.asm.u32(0), e.asm.u32(u32::MAX));
            let first = e.subgroup_start(lane);
            let lanes = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[active, first]);
            let rest = e.asm.op(Op::Not, Type::U32, &[lanes]);
            let at = e.state_address(LIVE, Some((warp, WARP_BYTES)));
            let before = e.atomic_u32(Op::AtomicAnd, at, rest);
            let live = e.asm.op(Op::BitwiseAnd, Type::U32, &[before, rest]);
            let mine = e.asm.u32(if width == 32 {
                u32::MAX
            } else {
                (1u32 << width) - 1
            });
            let mine = e.asm.op(Op::ShiftLeftLogical, Type::U32, &[mine, first]);
            let mine = e.asm.op(Op::BitwiseAnd, Type::U32, &[live, mine]);
            let dead = e.asm.op(Op::IEqual, Type::Bool, &[mine, zero]);
            let subgroup = e.subgroup_of(lane);
            e.when(dead, |e| {
                let flags = e.state_address(0, Some((warp, WARP_BYTES)));
                let four = e.asm.u32(4);
                let offset = e.asm.op(Op::IMul, Type::U32, &[subgroup, four]);
                let offset = e.asm.op(Op::UConvert, Type::U64, &[offset]);
                let at = e.asm.op(Op::IAdd, Type::U64, &[flags, offset]);
                e.poke(at, ones);
                let at = e.state_address(LIVE_THREADS, None);
                let leaving = e.asm.u32(width);
                let before = e.atomic_u32(Op::AtomicISub, at, leaving);
                let live = e.asm.op(Op::ISub, Type::U32, &[before, leaving]);
                // Those who wait at a barrier may have waited for this subgroup alone.
                e.repeat(16, |e, k| {
                    let at = e.state_address(BARRIERS + BARRIER_COUNT, Some((k, 4)));
                    let count = e.peek(at, Type::U32);
                    let some = e.asm.op(Op::INotEqual, Type::Bool, &[count, zero]);
                    let enough = e.asm.op(Op::UGreaterThanEqual, Type::Bool, &[count, live]);
                    let complete = e.asm.op(Op::LogicalAnd, Type::Bool, &[some, enough]);
                    e.when(complete, |e| {
                        let at = e.state_address(BARRIERS, Some((k, 4)));
                        let generation = e.peek(at, Type::U32);
                        e.release(k, generation);
                    });
                });
            });
        });
        self.asm.void(Op::Return, &[]);
    }

    /// llvmpipe drops the other subgroups of a workgroup once it finds one finished: all wait for the last.
    fn write_epilogue(&mut self, id: Id) {
        self.asm.begin_function(id, Type::Void, &[]);
        self.together(Self::wait_for_subgroups, Self::wait_for_threads);
        self.asm.void(Op::Return, &[]);
    }

    fn wait_for_subgroups(&mut self) {
        let one = self.asm.u32(1);
        let waits = self.waits_for_the_last();
        self.when(waits, |e| {
            // Subgroups count, not threads, and without an atomic: nobody else runs between two yields.
            let at = e.state_address(DONE, None);
            let done = e.peek(at, Type::U32);
            let done = e.asm.op(Op::IAdd, Type::U32, &[done, one]);
            e.poke(at, done);
            let size = e.asm.spec_constant(0, 32);
            let bits = e.asm.u32(e.warps().width.trailing_zeros());
            let all = e.asm.op(Op::ShiftRightLogical, Type::U32, &[size, bits]);
            e.wait_while(|e| {
                let done = e.peek(at, Type::U32);
                e.asm.op(Op::ULessThan, Type::Bool, &[done, all])
            });
        });
    }

    fn wait_for_threads(&mut self) {
        let one = self.asm.u32(1);
        let at = self.state_address(DONE, None);
        self.atomic_u32(Op::AtomicIAdd, at, one);
        let size = self.asm.spec_constant(0, 32);
        self.wait_while(|e| {
            let done = e.peek(at, Type::U32);
            e.asm.op(Op::ULessThan, Type::Bool, &[done, size])
        });
    }
}
