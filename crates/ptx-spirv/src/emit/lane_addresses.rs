//! Addresses that other lanes have, computed instead of fetched.
//!
//! ldmatrix and stmatrix take the addresses of rows from lanes, eight for each matrix. A device without these instructions has to know
//! the addresses of other lanes, by a shuffle for each. But most of them depend on the thread's place in its block alone:
//!
//! ```text
//! row = tile + ((%tid.x % 16) * 256 + constant) ^ (%tid.x % 8 * 16)
//! ```
//!
//! and a lane can compute them as another lane would. The steps that lead to the register are evaluated again, with the other
//! lane's number below `%tid` and `%laneid`, as a [`Linear`]: what is constant is kept apart, so that it ends in the
//! offset of the access, and the rest is the same for most matrices of a tile. Offsets in shared memory have 32 bits, and the
//! low 32 bits of sums, products and logical operations depend on no higher ones; the windows of generic addresses lie above.

use super::*;
use crate::target::Rows;
use ptx::{AddressBase, SpecialRegister};

/// The steps that write registers.
#[derive(Default)]
pub(crate) struct Definitions {
    /// By register: its step, if there is just one.
    only: Vec<Option<Step>>,
    /// Registers that are known to depend on more than the thread's place.
    others: FxHashSet<Register>,
}

impl Definitions {
    pub(super) fn of(graph: &Graph) -> Self {
        Self {
            only: graph.only_writers(),
            others: FxHashSet::default(),
        }
    }
}

/// `id + offset`, 32 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    /// The part that is not constant, if there is one.
    id: Option<Id>,
    offset: u32,
    /// Bits of `id` that are zero.
    zeros: u32,
}

impl Linear {
    pub(super) fn constant(offset: u32) -> Self {
        Self {
            id: None,
            offset,
            zeros: !0,
        }
    }

    fn of(id: Id, zeros: u32) -> Self {
        Self {
            id: Some(id),
            offset: 0,
            zeros,
        }
    }

    /// Bits of the sum that are zero.
    fn all_zeros(&self) -> u32 {
        sum_zeros(self.zeros, !self.offset)
    }

    /// The lowest bits that only the constant has: how many.
    fn constant_bits(&self) -> u32 {
        self.zeros.trailing_ones()
    }

    /// A multiple of `2^bits` and what is less: the sum without its lowest bits, which are those of the constant, and these.
    fn split(self, bits: u32) -> (Self, u32) {
        let low = low_mask(bits);
        let high = Self {
            offset: self.offset & !low,
            ..self
        };
        (high, self.offset & low)
    }
}

/// Zero bits of a sum, by those of its terms.
fn sum_zeros(a: u32, b: u32) -> u32 {
    if !a & !b == 0 {
        return a & b;
    }
    let low = (a & b).trailing_ones();
    let most = u64::from(!a) + u64::from(!b);
    low_mask(low) | above(most)
}

/// Zero bits of a product, by those of its factors.
fn product_zeros(a: u32, b: u32) -> u32 {
    let low = a.trailing_ones() + b.trailing_ones();
    low_mask(low) | above(u64::from(!a) * u64::from(!b))
}

/// The lowest `count` bits.
fn low_mask(count: u32) -> u32 {
    1u32.checked_shl(count).map_or(!0, |bit| bit - 1)
}

/// Bits above all those of numbers up to `most`.
fn above(most: u64) -> u32 {
    !low_mask(64 - most.leading_zeros())
}

/// A lane of the same warp.
pub(crate) struct Lane {
    /// The epoch in which all this is valid.
    epoch: u32,
    /// Its thread's number in the block, and its own in the warp.
    place: (Id, Id),
    /// Its number where that is a constant, in kernels whose rows of threads are whole warps; the place is that of lane 0 then.
    number: Option<u32>,
    values: FxHashMap<Register, Linear>,
    specials: FxHashMap<SpecialRegister, Id>,
}

/// What is known of other lanes.
#[derive(Default)]
pub(crate) struct Lanes {
    /// By the key of the lane.
    lanes: FxHashMap<u32, Lane>,
    /// What operations gave, with the epoch that knows it.
    operations: FxHashMap<(Op, Id, Id), (u32, Id)>,
}

/// Of lanes with constant numbers: keys above all others.
const NUMBERED: u32 = 1 << 16;

impl Emitter<'_> {
    /// The low 32 bits of a register as the lane `id` has it, as an id and a constant to add; none if the register depends
    /// on more than the thread's place. `key` names the lane: the same key is the same lane within a kernel.
    pub(super) fn in_lane(&mut self, (key, id): (u32, Id), r: Register) -> Option<(Id, u32)> {
        if self.rolling {
            return None;
        }
        let mut lane = self.take_lane(key, None, |e| {
            let start = e.first_thread();
            (e.asm.op(Op::BitwiseOr, Type::U32, &[start, id]), id)
        });
        let value = self.evaluate_in(&mut lane, r);
        self.lanes.lanes.insert(key, lane);
        value.map(|v| match v.id {
            Some(id) => (id, v.offset),
            None => (self.asm.u32(0), v.offset),
        })
    }

    /// The same for lanes with the numbers 0 to `count`, if what is not constant is the same in all of them; gives it and the
    /// constants. Needs rows of threads that are whole warps ([`Target::rows`]).
    pub(super) fn in_lanes(&mut self, count: u32, r: Register) -> Option<(Id, Vec<u32>)> {
        if self.rolling {
            return None;
        }
        let mut first = self.take_lane(NUMBERED, Some(0), |e| (e.first_thread(), e.asm.u32(0)));
        let start = self.evaluate_in(&mut first, r);
        let mut constants = Vec::new();
        if let Some(start) = start {
            constants.push(start.offset);
            for n in 1..count {
                let key = NUMBERED + n;
                let mut lane = self.take_lane(key, Some(n), |_| first.place);
                std::mem::swap(&mut lane.specials, &mut first.specials);
                let value = self.evaluate_in(&mut lane, r);
                std::mem::swap(&mut lane.specials, &mut first.specials);
                self.lanes.lanes.insert(key, lane);
                match value {
                    Some(v) if v.id == start.id => constants.push(v.offset),
                    _ => break,
                }
            }
        }
        self.lanes.lanes.insert(NUMBERED, first);
        let id = start?.id.unwrap_or_else(|| self.asm.u32(0));
        (constants.len() == count as usize).then_some((id, constants))
    }

    /// What is known of the lane with a key, or nothing yet of one at a place.
    fn take_lane(
        &mut self,
        key: u32,
        number: Option<u32>,
        place: impl FnOnce(&mut Self) -> (Id, Id),
    ) -> Lane {
        match self.lanes.lanes.remove(&key) {
            Some(lane) if lane.epoch == self.epoch => lane,
            _ => Lane {
                epoch: self.epoch,
                place: place(self),
                number,
                values: FxHashMap::default(),
                specials: FxHashMap::default(),
            },
        }
    }

    /// The number of the warp's first thread in its block.
    fn first_thread(&mut self) -> Id {
        let warp = self.asm.u32(!31);
        let linear = self.entry.linear;
        self.asm.op(Op::BitwiseAnd, Type::U32, &[linear, warp])
    }

    fn evaluate_in(&mut self, lane: &mut Lane, r: Register) -> Option<Linear> {
        let here = (self.entry.linear, self.entry.lane, self.frame);
        (self.entry.linear, self.entry.lane) = lane.place;
        let value = self.evaluate(lane, r);
        (self.entry.linear, self.entry.lane, self.frame) = here;
        value
    }

    fn evaluate(&mut self, lane: &mut Lane, r: Register) -> Option<Linear> {
        if let Some(&v) = lane.values.get(&r) {
            return Some(v);
        }
        if !self.definitions.others.insert(r) {
            return None;
        }
        let value = match self.definitions.only[r as usize]? {
            Step::Constant { bits, .. } => Linear::constant(bits as u32),
            Step::Copy { from, .. } => self.evaluate(lane, from)?,
            Step::Instruction {
                frame, statement, ..
            } => {
                self.frame = frame;
                self.evaluate_instruction(lane, frame, statement)?
            }
        };
        self.definitions.others.remove(&r);
        lane.values.insert(r, value);
        Some(value)
    }

    fn evaluate_instruction(
        &mut self,
        lane: &mut Lane,
        frame: u32,
        statement: u32,
    ) -> Option<Linear> {
        use Modifier as M;
        let i = self.graph.instruction(frame, statement);
        let integer = i
            .types()
            .all(|t| matches!(t, M::B32 | M::B64 | M::U32 | M::U64 | M::S32 | M::S64));
        let single = matches!(i.operands.first(), Some(Operand::Register(_)));
        if !integer
            || !single
            || i.predicate.is_some()
            || i.has(M::Sat)
            || i.has(M::Cc)
            || i.has(M::Hi)
        {
            return None;
        }
        let mut sources = Vec::new();
        for o in &i.operands[1..] {
            self.frame = frame;
            sources.push(self.evaluate_operand(lane, o)?);
        }
        let signed = i.types().any(|t| matches!(t, M::S32 | M::S64));
        let wide = i.types().any(|t| matches!(t, M::B64 | M::U64 | M::S64));
        match (i.opcode, sources.as_slice()) {
            (Opcode::Mov | Opcode::Cvt, &[a]) => Some(a),
            (Opcode::Cvta, &[a]) if i.has(M::Shared) => Some(a),
            (Opcode::Add, &[a, b]) => Some(self.linear_sum(a, b)),
            (Opcode::Sub, &[a, b]) => {
                let minus = self.linear_product(b, Linear::constant(!0));
                Some(self.linear_sum(a, minus))
            }
            (Opcode::Mul, &[a, b]) => Some(self.linear_product(a, b)),
            (Opcode::Mad, &[a, b, c]) => {
                let product = self.linear_product(a, b);
                Some(self.linear_sum(product, c))
            }
            (Opcode::Shl, &[a, by]) if by.id.is_none() && by.offset < 32 => {
                Some(self.linear_product(a, Linear::constant(1 << by.offset)))
            }
            (Opcode::Shr, &[a, by])
                if by.id.is_none()
                    && by.offset < 32
                    && !wide
                    && (!signed || a.all_zeros() >> 31 == 1) =>
            {
                let (high, low) = if a.constant_bits() >= by.offset {
                    a.split(a.constant_bits())
                } else {
                    (a, 0)
                };
                let zeros = (high.all_zeros() >> by.offset) | !(!0 >> by.offset);
                let mut shifted = match zeros {
                    u32::MAX => Linear::constant(0),
                    _ => {
                        let high = self.whole(high);
                        let by = self.asm.u32(by.offset);
                        Linear::of(self.fold(Op::ShiftRightLogical, high, by), zeros)
                    }
                };
                shifted.offset = low >> by.offset;
                Some(shifted)
            }
            (Opcode::And, &[a, b]) => Some(self.logical(Op::BitwiseAnd, a, b)),
            (Opcode::Or, &[a, b]) => Some(if !a.all_zeros() & !b.all_zeros() == 0 {
                self.linear_sum(a, b)
            } else {
                self.logical(Op::BitwiseOr, a, b)
            }),
            (Opcode::Xor, &[a, b]) => Some(self.exclusive(a, b)),
            _ => None,
        }
    }

    fn evaluate_operand(&mut self, lane: &mut Lane, o: &Operand) -> Option<Linear> {
        use SpecialRegister::*;
        match o {
            Operand::Integer(v) => Some(Linear::constant(*v as u32)),
            Operand::Register(r) => {
                let r = self.virtual_register(*r);
                self.evaluate(lane, r)
            }
            Operand::Special(
                s @ (TidX | TidY | TidZ | Laneid | Warpid | NtidX | NtidY | NtidZ | CtaidX | CtaidY
                | CtaidZ),
            ) => {
                if let (Laneid, Some(number)) = (s, lane.number) {
                    return Some(Linear::constant(number));
                }
                let id = match lane.specials.get(s) {
                    Some(&id) => id,
                    None => {
                        let id = self.special(*s).ok()?.id;
                        lane.specials.insert(*s, id);
                        id
                    }
                };
                // A block has up to 1024 threads.
                let zeros = match s {
                    TidX | TidY | TidZ => !1023,
                    NtidX | NtidY | NtidZ => !2047,
                    Laneid | Warpid => !31,
                    _ => 0,
                };
                Some(match (s, lane.number) {
                    (TidX, Some(number)) if self.target.rows == Rows::OneWarp => {
                        Linear::constant(number)
                    }
                    (TidX, Some(number)) => Linear {
                        id: Some(id),
                        offset: number,
                        zeros: zeros | 31,
                    },
                    _ => Linear::of(id, zeros),
                })
            }
            Operand::Symbol { symbol, offset } => self.evaluate_symbol(*symbol, *offset),
            Operand::Address {
                base: AddressBase::Symbol(s),
                offset,
            } => self.evaluate_symbol(*s, *offset),
            _ => None,
        }
    }

    /// The offset of a variable in shared memory.
    fn evaluate_symbol(&mut self, symbol: SymbolId, offset: i64) -> Option<Linear> {
        let at = match self.place(symbol).ok()? {
            Place::Shared(at) => at,
            Place::DynamicShared => self
                .info
                .static_shared
                .next_multiple_of(self.info.dynamic_shared_align.max(1)),
            _ => return None,
        };
        Some(Linear::constant(at.wrapping_add(offset as u32)))
    }

    /// One operation on two ids; the same is emitted once.
    pub(super) fn fold(&mut self, op: Op, a: Id, b: Id) -> Id {
        match self.lanes.operations.get(&(op, a, b)) {
            Some(&(epoch, id)) if epoch == self.epoch => id,
            _ => {
                let id = self.asm.op(op, Type::U32, &[a, b]);
                self.lanes.operations.insert((op, a, b), (self.epoch, id));
                id
            }
        }
    }

    /// All of a value as one id.
    fn whole(&mut self, a: Linear) -> Id {
        let offset = self.asm.u32(a.offset);
        match a.id {
            None => offset,
            Some(id) if a.offset == 0 => id,
            Some(id) => self.fold(Op::IAdd, id, offset),
        }
    }

    fn linear_sum(&mut self, a: Linear, b: Linear) -> Linear {
        let id = match (a.id, b.id) {
            (Some(x), Some(y)) => Some(self.fold(Op::IAdd, x, y)),
            (x, y) => x.or(y),
        };
        Linear {
            id,
            offset: a.offset.wrapping_add(b.offset),
            zeros: sum_zeros(a.zeros, b.zeros),
        }
    }

    fn linear_product(&mut self, a: Linear, b: Linear) -> Linear {
        let (a, b) = if a.id.is_none() { (b, a) } else { (a, b) };
        match (a.id, b.id) {
            (None, _) => Linear::constant(a.offset.wrapping_mul(b.offset)),
            (Some(_), None) if b.offset == 0 => Linear::constant(0),
            (Some(x), None) => Linear {
                id: Some(if b.offset == 1 {
                    x
                } else if b.offset.is_power_of_two() {
                    let by = self.asm.u32(b.offset.trailing_zeros());
                    self.fold(Op::ShiftLeftLogical, x, by)
                } else {
                    let by = self.asm.u32(b.offset);
                    self.fold(Op::IMul, x, by)
                }),
                offset: a.offset.wrapping_mul(b.offset),
                zeros: product_zeros(a.zeros, !b.offset),
            },
            (Some(_), Some(_)) => {
                let zeros = product_zeros(a.all_zeros(), b.all_zeros());
                let (x, y) = (self.whole(a), self.whole(b));
                Linear::of(self.fold(Op::IMul, x, y), zeros)
            }
        }
    }

    /// An operation on each bit. What only constants have in both stays constant.
    fn logical(&mut self, op: Op, a: Linear, b: Linear) -> Linear {
        let bits = |x: u32, y: u32| match op {
            Op::BitwiseAnd => x & y,
            Op::BitwiseOr => x | y,
            _ => x ^ y,
        };
        let apart = a.constant_bits().min(b.constant_bits());
        let ((a, x), (b, y)) = (a.split(apart), b.split(apart));
        let (p, q) = (a.all_zeros(), b.all_zeros());
        let zeros = if op == Op::BitwiseAnd { p | q } else { p & q };
        let mut result = if zeros == !0 {
            Linear::constant(0)
        } else {
            let (x, y) = (self.whole(a), self.whole(b));
            Linear::of(self.fold(op, x, y), zeros)
        };
        result.offset = bits(x, y);
        result
    }

    /// `a ^ b`. Where b has k bits, what is a multiple of 2^k in a constant term of a has no part in it.
    fn exclusive(&mut self, a: Linear, b: Linear) -> Linear {
        let bits = |v: &Linear| 32 - (!v.all_zeros()).leading_zeros();
        let (a, b) = if bits(&a) < bits(&b) { (b, a) } else { (a, b) };
        let low = low_mask(bits(&b));
        let apart = a.offset & !low;
        let rest = Linear {
            offset: a.offset & low,
            ..a
        };
        let mut result = self.logical(Op::BitwiseXor, rest, b);
        result.offset = result.offset.wrapping_add(apart);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number whose bits are zero where they must be keeps the promise of the sum and product.
    #[test]
    fn zeros_of_sums_and_products() {
        let masks = [
            0u32,
            !0,
            !31,
            !0x70,
            !0x3c0,
            !0xff00,
            0xffff_fff0,
            0x0000_ffff,
        ];
        for a in masks {
            for b in masks {
                for seed in 0u32..200 {
                    let x = seed.wrapping_mul(0x9E37_79B9) & !a;
                    let y = seed.wrapping_mul(0x85EB_CA6B).rotate_left(7) & !b;
                    assert_eq!(x.wrapping_add(y) & sum_zeros(a, b), 0, "{x:x} + {y:x}");
                    assert_eq!(x.wrapping_mul(y) & product_zeros(a, b), 0, "{x:x} * {y:x}");
                }
            }
        }
    }
}
