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
    fn constant(offset: u32) -> Self {
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
    values: FxHashMap<Register, Linear>,
    specials: FxHashMap<SpecialRegister, Id>,
    operations: FxHashMap<(Op, Id, Id), Id>,
}

impl Emitter<'_> {
    /// The low 32 bits of a register as the lane `id` has it, as an id and a constant to add; none if the register depends
    /// on more than the thread's place. `key` names the lane: the same key is the same lane within a kernel.
    pub(super) fn in_lane(&mut self, (key, id): (u32, Id), r: Register) -> Option<(Id, u32)> {
        let mut lane = match self.lanes.remove(&key) {
            Some(lane) if lane.epoch == self.epoch => lane,
            _ => {
                let warp = self.asm.u32(!31);
                let linear = self.entry.linear;
                let start = self.asm.op(Op::BitwiseAnd, Type::U32, &[linear, warp]);
                let thread = self.asm.op(Op::BitwiseOr, Type::U32, &[start, id]);
                Lane {
                    epoch: self.epoch,
                    place: (thread, id),
                    values: FxHashMap::default(),
                    specials: FxHashMap::default(),
                    operations: FxHashMap::default(),
                }
            }
        };
        let here = (self.entry.linear, self.entry.lane, self.frame);
        (self.entry.linear, self.entry.lane) = lane.place;
        let value = self.evaluate(&mut lane, r);
        (self.entry.linear, self.entry.lane, self.frame) = here;
        self.lanes.insert(key, lane);
        value.map(|v| match v.id {
            Some(id) => (id, v.offset),
            None => (self.asm.u32(0), v.offset),
        })
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
            (Opcode::Add, &[a, b]) => Some(self.linear_sum(lane, a, b)),
            (Opcode::Sub, &[a, b]) => {
                let minus = self.linear_product(lane, b, Linear::constant(!0));
                Some(self.linear_sum(lane, a, minus))
            }
            (Opcode::Mul, &[a, b]) => Some(self.linear_product(lane, a, b)),
            (Opcode::Mad, &[a, b, c]) => {
                let product = self.linear_product(lane, a, b);
                Some(self.linear_sum(lane, product, c))
            }
            (Opcode::Shl, &[a, by]) if by.id.is_none() && by.offset < 32 => {
                Some(self.linear_product(lane, a, Linear::constant(1 << by.offset)))
            }
            (Opcode::Shr, &[a, by])
                if by.id.is_none()
                    && by.offset < 32
                    && !wide
                    && (!signed || a.all_zeros() >> 31 == 1) =>
            {
                let zeros = a.all_zeros();
                let a = self.whole(lane, a);
                let by_id = self.asm.u32(by.offset);
                let id = self.fold(lane, Op::ShiftRightLogical, a, by_id);
                let zeros = (zeros >> by.offset) | !(!0 >> by.offset);
                Some(Linear::of(id, zeros))
            }
            (Opcode::And, &[a, b]) => {
                let zeros = a.all_zeros() | b.all_zeros();
                Some(self.logical(lane, Op::BitwiseAnd, a, b, zeros))
            }
            (Opcode::Or, &[a, b]) => {
                let (x, y) = (a.all_zeros(), b.all_zeros());
                Some(if !x & !y == 0 {
                    self.linear_sum(lane, a, b)
                } else {
                    self.logical(lane, Op::BitwiseOr, a, b, x & y)
                })
            }
            (Opcode::Xor, &[a, b]) => Some(self.exclusive(lane, a, b)),
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
                let id = match lane.specials.get(s) {
                    Some(&id) => id,
                    None => {
                        let id = self.special(*s).ok()?.id;
                        lane.specials.insert(*s, id);
                        id
                    }
                };
                Some(Linear::of(id, if *s == Laneid { !31 } else { 0 }))
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
    fn fold(&mut self, lane: &mut Lane, op: Op, a: Id, b: Id) -> Id {
        if let Some(&id) = lane.operations.get(&(op, a, b)) {
            return id;
        }
        let id = self.asm.op(op, Type::U32, &[a, b]);
        lane.operations.insert((op, a, b), id);
        id
    }

    /// All of a value as one id.
    fn whole(&mut self, lane: &mut Lane, a: Linear) -> Id {
        let offset = self.asm.u32(a.offset);
        match a.id {
            None => offset,
            Some(id) if a.offset == 0 => id,
            Some(id) => self.fold(lane, Op::IAdd, id, offset),
        }
    }

    fn linear_sum(&mut self, lane: &mut Lane, a: Linear, b: Linear) -> Linear {
        let id = match (a.id, b.id) {
            (Some(x), Some(y)) => Some(self.fold(lane, Op::IAdd, x, y)),
            (x, y) => x.or(y),
        };
        Linear {
            id,
            offset: a.offset.wrapping_add(b.offset),
            zeros: sum_zeros(a.zeros, b.zeros),
        }
    }

    fn linear_product(&mut self, lane: &mut Lane, a: Linear, b: Linear) -> Linear {
        let (a, b) = if a.id.is_none() { (b, a) } else { (a, b) };
        match (a.id, b.id) {
            (None, _) => Linear::constant(a.offset.wrapping_mul(b.offset)),
            (Some(_), None) if b.offset == 0 => Linear::constant(0),
            (Some(x), None) => Linear {
                id: Some(if b.offset == 1 {
                    x
                } else if b.offset.is_power_of_two() {
                    let by = self.asm.u32(b.offset.trailing_zeros());
                    self.fold(lane, Op::ShiftLeftLogical, x, by)
                } else {
                    let by = self.asm.u32(b.offset);
                    self.fold(lane, Op::IMul, x, by)
                }),
                offset: a.offset.wrapping_mul(b.offset),
                zeros: product_zeros(a.zeros, !b.offset),
            },
            (Some(_), Some(_)) => {
                let zeros = product_zeros(a.all_zeros(), b.all_zeros());
                let (x, y) = (self.whole(lane, a), self.whole(lane, b));
                Linear::of(self.fold(lane, Op::IMul, x, y), zeros)
            }
        }
    }

    fn logical(&mut self, lane: &mut Lane, op: Op, a: Linear, b: Linear, zeros: u32) -> Linear {
        if let (None, None) = (a.id, b.id) {
            let (x, y) = (a.offset, b.offset);
            return Linear::constant(match op {
                Op::BitwiseAnd => x & y,
                Op::BitwiseOr => x | y,
                _ => x ^ y,
            });
        }
        let (x, y) = (self.whole(lane, a), self.whole(lane, b));
        Linear::of(self.fold(lane, op, x, y), zeros)
    }

    /// `a ^ b`. Where b has k bits, what is a multiple of 2^k in a constant term of a has no part in it.
    fn exclusive(&mut self, lane: &mut Lane, a: Linear, b: Linear) -> Linear {
        let bits = |v: &Linear| 32 - (!v.all_zeros()).leading_zeros();
        let (a, b) = if bits(&a) < bits(&b) { (b, a) } else { (a, b) };
        let low = low_mask(bits(&b));
        let apart = a.offset & !low;
        let rest = Linear {
            offset: a.offset & low,
            ..a
        };
        let zeros = rest.all_zeros() & b.all_zeros();
        let mut result = self.logical(lane, Op::BitwiseXor, rest, b, zeros);
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
