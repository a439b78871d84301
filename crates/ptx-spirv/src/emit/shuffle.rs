//! shfl, vote, match, redux, activemask, elect (PTX ISA, "Parallel Synchronization and Communication Instructions").
//!
//! Where a warp is a subgroup these are subgroup operations; where it is half of one, likewise, with lane numbers and
//! ballots of the half. Where warps yield, exchanges within a subgroup still are, and the others go through the warp state.

use super::*;
use crate::active::Lanes;
use crate::uniform::Level;
use rspirv::spirv::{Capability, GLOp};

/// Scope Subgroup.
const SUBGROUP: u32 = 3;

impl Emitter<'_> {
    pub(super) fn shuffle(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Shfl => self.shfl(i),
            Opcode::Vote => self.vote(i),
            Opcode::Match => self.match_(i),
            Opcode::Redux => self.redux(i),
            Opcode::Elect => self.elect_(i),
            _ => {
                let bits = self.active_lanes();
                self.set(self.operand(i, 0)?, Type::U32, bits)
            }
        }
    }

    /// The lanes that have come to the current block together.
    fn active_lanes(&mut self) -> Id {
        let yes = self.asm.constant(Type::Bool, 1);
        if !self.yields() {
            return self.native_ballot(yes);
        }
        match self.graph.active.asked.get(&self.block) {
            Some(&Lanes::Warp(level)) => self.warp_ballot(yes, level),
            Some(Lanes::Of(arm)) => self.asm.op(Op::Load, Type::U32, &[self.active[arm]]),
            None => self.near_ballot(yes),
        }
    }

    /// A predicate of the lanes of the subgroup as bits of the warp.
    fn near_ballot(&mut self, predicate: Id) -> Id {
        let bits = self.native_ballot(predicate);
        let first = self.subgroup_first();
        self.asm.op(Op::ShiftLeftLogical, Type::U32, &[bits, first])
    }

    /// A predicate of the whole warp as bits, which comes here together where what is alike for those of a level is so for whole warps.
    fn warp_ballot(&mut self, predicate: Id, level: Level) -> Id {
        self.count_meeting();
        let full = |e: &mut Self| e.call_helper(Helper::BallotFull, Type::U32, &[predicate]);
        self.together_value(Type::U32, full, |e| {
            if level == Level::Block {
                return full(e);
            }
            let whole = e.whole_rows(level);
            e.choose(whole, Type::U32, full, |e| e.near_ballot(predicate))
        })
    }

    /// At the end of a block whose branch tells lanes apart that will ask who is there: keeps who goes which way.
    pub(super) fn tell_lanes_apart(&mut self, block: u32, condition: Id) {
        let Some(&branch) = self.graph.active.branches.get(&block) else {
            return;
        };
        for arm in [true, false] {
            if !branch.wanted[usize::from(arm)] {
                continue;
            }
            let goes = if arm {
                condition
            } else {
                self.asm.op(Op::LogicalNot, Type::Bool, &[condition])
            };
            let bits = match branch.lanes {
                Lanes::Warp(level) => self.warp_ballot(goes, level),
                Lanes::Of(outer) => {
                    let mask = self.asm.op(Op::Load, Type::U32, &[self.active[&outer]]);
                    self.count_meeting();
                    self.call_helper(Helper::BallotMask, Type::U32, &[goes, mask])
                }
            };
            let variable = self.asm.variable(Type::U32);
            self.asm.void(Op::Store, &[variable, bits]);
            self.active.insert((block, arm), variable);
        }
    }

    pub(super) fn subgroup_width(&self) -> u32 {
        match self.target.warps {
            Warps::Yield { width } => width,
            _ => 32,
        }
    }

    /// The warp's lane number of the subgroup's first invocation.
    fn subgroup_first(&mut self) -> Id {
        let mask = self.asm.u32(31 & !(self.subgroup_width() - 1));
        let lane = self.entry.lane;
        self.asm.op(Op::BitwiseAnd, Type::U32, &[lane, mask])
    }

    pub(super) fn native_ballot(&mut self, predicate: Id) -> Id {
        self.asm.capability(Capability::GroupNonUniformBallot);
        let scope = self.asm.u32(SUBGROUP);
        let v = self.asm.op(
            Op::GroupNonUniformBallot,
            Type::Vector(Scalar::U32, 4),
            &[scope, predicate],
        );
        let first = self.asm.op(Op::CompositeExtract, Type::U32, &[v, 0]);
        if self.target.warps != Warps::Subgroup64 {
            return first;
        }
        let second = self.asm.op(Op::CompositeExtract, Type::U32, &[v, 1]);
        let zero = self.asm.u32(0);
        let half = self.entry.half;
        let lower = self.asm.op(Op::IEqual, Type::Bool, &[half, zero]);
        self.asm.op(Op::Select, Type::U32, &[lower, first, second])
    }

    /// Whether the operand names all lanes for certain.
    fn is_full(&self, mask: &Operand) -> bool {
        self.known_integer(mask)
            .is_some_and(|m| m as u32 == u32::MAX)
    }

    /// A predicate of the warp's lanes as bits.
    fn ballot(&mut self, predicate: Id, mask: &Operand) -> Result<Id> {
        if !self.yields() {
            let bits = self.native_ballot(predicate);
            if self.is_full(mask) {
                return Ok(bits);
            }
            let mask = self.value(mask, Type::U32)?;
            return Ok(self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, mask]));
        }
        self.count_meeting();
        if self.is_full(mask) {
            return Ok(self.call_helper(Helper::BallotFull, Type::U32, &[predicate]));
        }
        let mask = self.value(mask, Type::U32)?;
        Ok(self.together_value(
            Type::U32,
            |e| {
                let bits = e.call_helper(Helper::BallotFull, Type::U32, &[predicate]);
                e.asm.op(Op::BitwiseAnd, Type::U32, &[bits, mask])
            },
            |e| e.call_helper(Helper::BallotMask, Type::U32, &[predicate, mask]),
        ))
    }

    /// A word of another lane.
    pub(crate) fn read_lane(&mut self, value: Id, lane: Id, mask: Option<Id>) -> Id {
        if !self.yields() {
            return self.native_shuffle(value, lane);
        }
        self.count_meeting();
        let Some(mask) = mask else {
            return self.call_helper(Helper::ShuffleFull, Type::U32, &[value, lane]);
        };
        self.together_value(
            Type::U32,
            |e| e.call_helper(Helper::ShuffleFull, Type::U32, &[value, lane]),
            |e| e.call_helper(Helper::ShuffleMask, Type::U32, &[value, lane, mask]),
        )
    }

    /// A word of the invocation with this number in its quad.
    pub(super) fn quad_broadcast(&mut self, value: Id, number: u32) -> Id {
        self.asm.capability(Capability::GroupNonUniformQuad);
        let (scope, number) = (self.asm.u32(SUBGROUP), self.asm.u32(number));
        self.asm.op(
            Op::GroupNonUniformQuadBroadcast,
            Type::U32,
            &[scope, value, number],
        )
    }

    /// A word as it is, of which a driver's compiler does not know where it comes from: each invocation's own, by a shuffle.
    pub(super) fn opaque(&mut self, value: Id) -> Id {
        self.asm.capability(Capability::GroupNonUniformShuffle);
        let (scope, zero) = (self.asm.u32(SUBGROUP), self.asm.u32(0));
        self.asm.op(
            Op::GroupNonUniformShuffleXor,
            Type::U32,
            &[scope, value, zero],
        )
    }

    /// A word of another invocation of the subgroup, by its number there; where subgroups hold two warps, by its lane.
    pub(crate) fn native_shuffle(&mut self, value: Id, invocation: Id) -> Id {
        self.asm.capability(Capability::GroupNonUniformShuffle);
        let invocation = if self.target.warps == Warps::Subgroup64 {
            let half = self.entry.half;
            self.asm.op(Op::BitwiseOr, Type::U32, &[invocation, half])
        } else {
            invocation
        };
        let scope = self.asm.u32(SUBGROUP);
        self.asm.op(
            Op::GroupNonUniformShuffle,
            Type::U32,
            &[scope, value, invocation],
        )
    }

    fn shfl(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let (d, p) = match self.operand(i, 0)? {
            Operand::Pair(pair) => (pair.0.clone(), Some(pair.1.clone())),
            d => (d.clone(), None),
        };
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let (bo, co) = (self.operand(i, 2)?, self.operand(i, 3)?);
        // The form before sm_70 has no member mask: all lanes.
        let full = Operand::Integer(u32::MAX as u64);
        let mo = i.operands.get(4).unwrap_or(&full);
        let lane = self.entry.lane;
        let b = self.value(bo, Type::U32)?;
        let (five_bits, eight) = (self.asm.u32(31), self.asm.u32(8));
        let b = match self.known_integer(bo) {
            Some(v) => self.asm.u32(v as u32 & 31),
            None => self.asm.op(Op::BitwiseAnd, Type::U32, &[b, five_bits]),
        };
        let constant = self
            .known_integer(co)
            .map(|c| (c as u32 & 31, (c as u32 >> 8) & 31));
        let (bound, segment) = match constant {
            Some((bound, segment)) => (self.asm.u32(bound), self.asm.u32(segment)),
            None => {
                let c = self.value(co, Type::U32)?;
                let bound = self.asm.op(Op::BitwiseAnd, Type::U32, &[c, five_bits]);
                let s = self.asm.op(Op::ShiftRightLogical, Type::U32, &[c, eight]);
                (
                    bound,
                    self.asm.op(Op::BitwiseAnd, Type::U32, &[s, five_bits]),
                )
            }
        };
        // maxLane = (lane & segmask) | (cval & ~segmask); minLane = lane & segmask.
        let (min_lane, max_lane) = if constant.is_some_and(|c| c.1 == 0) {
            (self.asm.u32(0), bound)
        } else {
            let not = self.asm.op(Op::Not, Type::U32, &[segment]);
            let low = self.asm.op(Op::BitwiseAnd, Type::U32, &[lane, segment]);
            let high = self.asm.op(Op::BitwiseAnd, Type::U32, &[bound, not]);
            (low, self.asm.op(Op::BitwiseOr, Type::U32, &[low, high]))
        };
        let whole = constant == Some((31, 0));
        let (source, inside) = if i.has(M::Up) {
            let j = self.asm.op(Op::ISub, Type::U32, &[lane, b]);
            (
                j,
                self.asm
                    .op(Op::SGreaterThanEqual, Type::Bool, &[j, max_lane]),
            )
        } else if i.has(M::Down) {
            let j = self.asm.op(Op::IAdd, Type::U32, &[lane, b]);
            (
                j,
                self.asm.op(Op::SLessThanEqual, Type::Bool, &[j, max_lane]),
            )
        } else if i.has(M::Bfly) {
            let j = self.asm.op(Op::BitwiseXor, Type::U32, &[lane, b]);
            let inside = if whole {
                self.asm.constant(Type::Bool, 1)
            } else {
                self.asm.op(Op::SLessThanEqual, Type::Bool, &[j, max_lane])
            };
            (j, inside)
        } else {
            let j = if constant.is_some_and(|c| c.1 == 0) {
                b
            } else {
                let not = self.asm.op(Op::Not, Type::U32, &[segment]);
                let j = self.asm.op(Op::BitwiseAnd, Type::U32, &[b, not]);
                self.asm.op(Op::BitwiseOr, Type::U32, &[min_lane, j])
            };
            let inside = if whole {
                self.asm.constant(Type::Bool, 1)
            } else {
                self.asm.op(Op::SLessThanEqual, Type::Bool, &[j, max_lane])
            };
            (j, inside)
        };
        let always = whole && (i.has(M::Bfly) || i.has(M::Idx));
        let source = if always {
            source
        } else {
            self.asm.op(Op::Select, Type::U32, &[inside, source, lane])
        };

        // A butterfly that stays within a subgroup needs no meeting.
        let width = self.subgroup_width();
        let near = i.has(M::Bfly)
            && self
                .known_integer(bo)
                .is_some_and(|b| (b as u32 & 31) < width);
        let id = if self.yields() && near && self.is_full(mo) {
            let own = self.entry.invocation;
            let invocation = if always {
                // Constant to the driver's compiler.
                self.asm.op(Op::BitwiseXor, Type::U32, &[own, b])
            } else {
                let mask = self.asm.u32(width - 1);
                self.asm.op(Op::BitwiseAnd, Type::U32, &[source, mask])
            };
            let word = self.native_shuffle(a, invocation);
            self.if_present(word, invocation)
        } else if self.yields() {
            let mask = if self.is_full(mo) {
                None
            } else {
                Some(self.value(mo, Type::U32)?)
            };
            self.read_lane(a, source, mask)
        } else {
            let word = self.native_shuffle(a, source);
            self.if_present(word, source)
        };
        self.set(&d, Type::U32, id)?;
        match p {
            Some(p) => self.set(&p, Type::Bool, inside),
            None => Ok(()),
        }
    }

    fn vote(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let a = self.boolean(self.operand(i, 1)?)?;
        let full = Operand::Integer(u32::MAX as u64);
        let mo = i.operands.get(2).unwrap_or(&full);
        let zero = self.asm.u32(0);
        if i.has(M::Ballot) {
            let bits = self.ballot(a, mo)?;
            return self.set(d, Type::U32, bits);
        }
        if i.has(M::Any) {
            let bits = self.ballot(a, mo)?;
            let id = self.asm.op(Op::INotEqual, Type::Bool, &[bits, zero]);
            return self.set(d, Type::Bool, id);
        }
        let not = self.asm.op(Op::LogicalNot, Type::Bool, &[a]);
        let negative = self.ballot(not, mo)?;
        let all = self.asm.op(Op::IEqual, Type::Bool, &[negative, zero]);
        if i.has(M::All) {
            return self.set(d, Type::Bool, all);
        }
        // uni: all or none.
        let positive = self.ballot(a, mo)?;
        let none = self.asm.op(Op::IEqual, Type::Bool, &[positive, zero]);
        let id = self.asm.op(Op::LogicalOr, Type::Bool, &[all, none]);
        self.set(d, Type::Bool, id)
    }

    fn match_(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let (d, p) = match self.operand(i, 0)? {
            Operand::Pair(pair) => (pair.0.clone(), Some(pair.1.clone())),
            d => (d.clone(), None),
        };
        let wide = i.has(M::B64);
        let mo = self.operand(i, 2)?;
        let mask = self.value(mo, Type::U32)?;
        let words = if wide {
            let a = self.value(self.operand(i, 1)?, Type::U64)?;
            let (low, high) = self.split(a);
            vec![low, high]
        } else {
            vec![self.value(self.operand(i, 1)?, Type::U32)?]
        };
        let live = {
            let yes = self.asm.constant(Type::Bool, 1);
            self.ballot(yes, mo)?
        };
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let mut bits = zero;
        let only = if self.is_full(mo) { None } else { Some(mask) };
        for lane in 0..32u32 {
            let k = self.asm.u32(lane);
            let mut same: Option<Id> = None;
            for &w in &words {
                let other = self.read_lane(w, k, only);
                let equal = self.asm.op(Op::IEqual, Type::Bool, &[w, other]);
                same = Some(match same {
                    None => equal,
                    Some(s) => self.asm.op(Op::LogicalAnd, Type::Bool, &[s, equal]),
                });
            }
            let bit = self.asm.op(
                Op::Select,
                Type::U32,
                &[same.expect("one word at least"), one, zero],
            );
            let bit = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[bit, k]);
            bits = self.asm.op(Op::BitwiseOr, Type::U32, &[bits, bit]);
        }
        let bits = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, live]);
        if i.has(M::Any) {
            return self.set(&d, Type::U32, bits);
        }
        let all = self.asm.op(Op::IEqual, Type::Bool, &[bits, live]);
        let id = self.asm.op(Op::Select, Type::U32, &[all, live, zero]);
        self.set(&d, Type::U32, id)?;
        match p {
            Some(p) => self.set(&p, Type::Bool, all),
            None => Ok(()),
        }
    }

    fn redux(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let ty = i.types().next_back();
        if ty == Some(M::F32) {
            return unsupported(i);
        }
        let signed = ty.is_some_and(|t| t.is_signed());
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let mo = self.operand(i, 2)?;
        let (op, identity) = if i.has(M::AddMod) {
            (Op::IAdd, 0)
        } else if i.has(M::And) {
            (Op::BitwiseAnd, u32::MAX)
        } else if i.has(M::Or) {
            (Op::BitwiseOr, 0)
        } else if i.has(M::Xor) {
            (Op::BitwiseXor, 0)
        } else if i.has(M::MinMod) {
            (
                Op::SLessThan,
                if signed { i32::MAX as u32 } else { u32::MAX },
            )
        } else {
            (Op::SGreaterThan, if signed { i32::MIN as u32 } else { 0 })
        };
        let combine = |e: &mut Self, x: Id, y: Id| match op {
            Op::SLessThan if signed => e.asm.glsl(GLOp::SMin, Type::U32, &[x, y]),
            Op::SLessThan => e.asm.glsl(GLOp::UMin, Type::U32, &[x, y]),
            Op::SGreaterThan if signed => e.asm.glsl(GLOp::SMax, Type::U32, &[x, y]),
            Op::SGreaterThan => e.asm.glsl(GLOp::UMax, Type::U32, &[x, y]),
            op => e.asm.op(op, Type::U32, &[x, y]),
        };
        let live = {
            let yes = self.asm.constant(Type::Bool, 1);
            self.ballot(yes, mo)?
        };
        let mask = if self.is_full(mo) {
            None
        } else {
            Some(self.value(mo, Type::U32)?)
        };
        let identity = self.asm.u32(identity);
        let zero = self.asm.u32(0);
        // A tree over lane distances would lose lanes that are not named; fold all that are.
        let mut total = identity;
        for lane in 0..32u32 {
            let k = self.asm.u32(lane);
            let other = self.read_lane(a, k, mask);
            let bit = self.asm.u32(1 << lane);
            let named = self.asm.op(Op::BitwiseAnd, Type::U32, &[live, bit]);
            let named = self.asm.op(Op::INotEqual, Type::Bool, &[named, zero]);
            let other = self
                .asm
                .op(Op::Select, Type::U32, &[named, other, identity]);
            total = combine(self, total, other);
        }
        self.set(self.operand(i, 0)?, Type::U32, total)
    }

    fn elect_(&mut self, i: &Instruction) -> Result<()> {
        let (d, p) = match self.operand(i, 0)? {
            Operand::Pair(pair) => (pair.0.clone(), pair.1.clone()),
            _ => return Err(EmitError::Invalid("elect.sync needs d|p".into())),
        };
        let mo = self.operand(i, 1)?;
        let live = {
            let yes = self.asm.constant(Type::Bool, 1);
            self.ballot(yes, mo)?
        };
        let leader = self.asm.glsl(GLOp::FindILsb, Type::U32, &[live]);
        let lane = self.entry.lane;
        let is = self.asm.op(Op::IEqual, Type::Bool, &[leader, lane]);
        self.set(&d, Type::U32, leader)?;
        self.set(&p, Type::Bool, is)
    }
}
