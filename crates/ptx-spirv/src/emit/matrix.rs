//! mma.sync, ldmatrix, stmatrix and movmatrix by plain arithmetic on the fragments that PTX publishes (PTX ISA, "Warp
//! Level Matrix Multiply-Accumulate Instructions").
//!
//! All shapes that are done here share one layout. With g = lane / 4 and t = lane % 4, and E elements of k in a word:
//!
//! ```text
//! A word h + 2q:  row g + 8h,  k from E(t + 4q)        (m8 shapes have h = 0 only)
//! B word q:       column g,    k from E(t + 4q)
//! C element 2h+c: row g + 8h,  column 2t + c
//! ```
//!
//! so a lane's result needs A's words from the four lanes of its own quad and B's from the eight lanes of two others.

use super::memory::{Access, Address};
use super::*;
use crate::graph::Block;

/// Words a lane can publish at once, in kernels with matrix instructions.
pub(crate) const SLOT_WORDS: u32 = 32;

/// A step of the block: its index, and the frame and statement of its instruction.
type StepPlace = (usize, u32, u32);

/// What is known about the matrix instructions of the block being emitted.
#[derive(Default)]
pub(crate) struct Batch {
    /// Index of the current step in its block.
    pub(crate) at: usize,
    /// Values of lanes, by (value, lane).
    gathered: FxHashMap<(Id, Id), Id>,
    /// B words published ahead, by step: slot address and first word.
    published: FxHashMap<usize, (Id, u32)>,
    /// What [`Emitter::shares`] gave for B words.
    shares: FxHashMap<Vec<Id>, Vec<Vec<Id>>>,
    /// Words of other lanes, by the word and the place of the lane: many products have a fragment in common.
    moved: FxHashMap<(Id, From), Id>,
    /// What [`Emitter::elements_of`] gave, by the word.
    elements: FxHashMap<(Element, Id), Vec<Id>>,
    /// Steps whose B words are published together, by the first of them.
    groups: FxHashMap<usize, Vec<StepPlace>>,
}

impl Batch {
    /// Looks through a block for products whose B words can be published together: no other meeting of the warp lies
    /// between, and no register of a later one's B is written.
    pub(super) fn start(&mut self, graph: &Graph, block: &Block, target: &Target) {
        *self = Batch::default();
        if !matches!(target.warps, Warps::Yield { .. }) {
            return;
        }
        let mut open: Option<(usize, Vec<StepPlace>, u32)> = None;
        let mut written: rustc_hash::FxHashSet<Register> = Default::default();
        for (at, step) in block.steps.iter().enumerate() {
            let Step::Instruction {
                frame, statement, ..
            } = *step
            else {
                continue;
            };
            let i = graph.instruction(frame, statement);
            if i.opcode == Opcode::Mma {
                let mut registers = Vec::new();
                if let Some(b) = i.operands.get(2) {
                    graph::operand_registers(b, &mut |r| registers.push(graph.register(frame, r)));
                }
                let words = registers.len() as u32;
                let fits = open.as_ref().is_some_and(|o| o.2 + words <= SLOT_WORDS);
                if !fits || registers.iter().any(|r| written.contains(r)) {
                    if let Some((first, group, _)) = open.take() {
                        self.groups.insert(first, group);
                    }
                    open = Some((at, Vec::new(), 0));
                    written.clear();
                }
                if let Some((_, group, count)) = &mut open {
                    group.push((at, frame, statement));
                    *count += words;
                }
            } else if graph::is_convergent(i) {
                if let Some((first, group, _)) = open.take() {
                    self.groups.insert(first, group);
                }
            }
            for o in i.operands.iter().take(graph::destinations(i)) {
                graph::operand_registers(o, &mut |r| {
                    written.insert(graph.register(frame, r));
                });
            }
        }
        if let Some((first, group, _)) = open.take() {
            self.groups.insert(first, group);
        }
    }
}

/// Whose word a lane wants for a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum From {
    /// The lane of its quad with this number.
    Quad(u32),
    /// Lane 8t + n of the warp.
    Column(u32),
}

/// Where the words of B are read.
enum BSource {
    /// Where warps yield: in registers of the subgroup, whose invocations share the lanes of the warp evenly. Of each of
    /// this invocation's lanes, the words.
    Shares(Vec<Vec<Id>>),
    /// In the lanes' registers.
    Registers(Vec<Id>),
}

/// The operands of a product, as a lane sees them.
struct Fragments {
    element: Element,
    /// Halves of eight rows.
    halves: usize,
    /// Groups of k.
    groups: usize,
    /// The lane's words of A.
    a: Vec<Id>,
    b: BSource,
    /// The first invocation of the lane's quad.
    quad: Id,
    /// 8 * (lane % 4).
    eight_t: Id,
}

/// The element types of a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Element {
    Half,
    Brain,
    Tf32,
    Byte { a_signed: bool, b_signed: bool },
    Double,
}

impl Emitter<'_> {
    pub(super) fn matrix(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Mma => self.mma(i),
            Opcode::Ldmatrix | Opcode::Stmatrix => self.move_matrix(i),
            Opcode::Movmatrix => self.transpose(i),
            _ => unsupported(i),
        }
    }

    /// lane / 4 and lane % 4.
    fn quad(&mut self) -> (Id, Id) {
        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let lane = self.entry.lane;
        // The same in a subgroup, and known there to the driver's compiler.
        let near = if self.yields() {
            self.entry.invocation
        } else {
            lane
        };
        (
            self.asm.op(Op::ShiftRightLogical, Type::U32, &[lane, two]),
            self.asm.op(Op::BitwiseAnd, Type::U32, &[near, three]),
        )
    }

    /// A word of several lanes at once.
    fn gather(&mut self, value: Id, lanes: &[Id]) -> Vec<Id> {
        if !self.yields() {
            return lanes
                .iter()
                .map(|&l| self.native_shuffle(value, l))
                .collect();
        }
        let base = self.publish_to_slot(&[value]);
        lanes
            .iter()
            .map(|&l| self.read_slot(base, l, 0, Type::U32))
            .collect()
    }

    /// Row addresses of 8x8 matrices, which the lanes hold eight to a matrix: the base registers of the lanes `lanes`.
    /// The same base is fetched once in a block.
    fn row_bases(&mut self, base: Id, key: &[u32], lanes: &[Id]) -> Vec<Id> {
        let keys: Vec<(Id, Id)> = key.iter().map(|&k| (base, k)).collect();
        if let Some(found) = keys
            .iter()
            .map(|k| self.matrix.gathered.get(k).copied())
            .collect::<Option<Vec<Id>>>()
        {
            return found;
        }
        let found = self.gather(base, lanes);
        for (k, &v) in keys.iter().zip(&found) {
            self.matrix.gathered.insert(*k, v);
        }
        found
    }

    fn move_matrix(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        if !i.has(M::M8n8) || !i.has(M::B16) {
            return unsupported(i);
        }
        let count = if i.has(M::X4) {
            4
        } else if i.has(M::X2) {
            2
        } else {
            1
        };
        let load = i.opcode == Opcode::Ldmatrix;
        let (registers, address) = if load { (0, 1) } else { (1, 0) };
        let space = match memory::space_of(i) {
            memory::Space::Generic => memory::Space::Generic,
            _ => memory::Space::Shared,
        };
        let registers = self.operand(i, registers)?;
        let parts = Self::elements(registers);
        if parts.len() != count {
            return Err(EmitError::Invalid(format!(
                "{} with {} registers",
                i.mnemonic(),
                parts.len()
            )));
        }
        // The base register is exchanged, the constant offset added afterwards.
        let (base, offset) = match self.operand(i, address)? {
            Operand::Address { base, offset } => {
                let without = Operand::Address {
                    base: *base,
                    offset: 0,
                };
                (self.address(&without, space)?, *offset)
            }
            _ => {
                return Err(EmitError::Invalid(format!(
                    "{} without an address",
                    i.mnemonic()
                )))
            }
        };
        let wide = space == memory::Space::Generic;
        let ty = if wide { Type::U64 } else { Type::U32 };
        let transposed = i.has(M::Trans);
        if load && self.yields() {
            let at = Address {
                space,
                id: self.offset(base.id, ty, offset),
            };
            // Shared memory lies in scratch there, and its generic addresses are the device's.
            let row = if wide {
                Some(at.id)
            } else {
                self.device_address(at)
            };
            if let Some(row) = row {
                return self.load_rows(parts, row, transposed);
            }
        }
        let (g, t) = self.quad();
        // The rows this lane needs: one of each matrix, or two where transposed.
        let mut lanes = Vec::new();
        let mut keys = Vec::new();
        for m in 0..count as u32 {
            let first = self.asm.u32(8 * m);
            if transposed {
                let one = self.asm.u32(1);
                let row = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, one]);
                let row = self.asm.op(Op::IAdd, Type::U32, &[row, first]);
                lanes.push(row);
                lanes.push(self.asm.op(Op::IAdd, Type::U32, &[row, one]));
                keys.extend([100 + 2 * m, 101 + 2 * m]);
            } else {
                lanes.push(self.asm.op(Op::IAdd, Type::U32, &[g, first]));
                keys.push(m);
            }
        }
        let rows = if wide {
            let (low, high) = self.split(base.id);
            let low = self.row_bases(low, &keys, &lanes);
            let high = self.row_bases(high, &keys, &lanes);
            low.into_iter()
                .zip(high)
                .map(|(l, h)| self.join(l, h))
                .collect()
        } else {
            self.row_bases(base.id, &keys, &lanes)
        };
        let within = if transposed {
            let one = self.asm.u32(1);
            self.asm.op(Op::ShiftLeftLogical, Type::U32, &[g, one])
        } else {
            let two = self.asm.u32(2);
            self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, two])
        };
        let within = self.cast(
            Value {
                id: within,
                ty: Type::U32,
            },
            ty,
        );
        let at: Vec<Address> = rows
            .into_iter()
            .map(|r| {
                let id = self.asm.op(Op::IAdd, ty, &[r, within]);
                Address {
                    space,
                    id: self.offset(id, ty, offset),
                }
            })
            .collect();
        for (m, part) in parts.iter().enumerate() {
            match (load, transposed) {
                (true, false) => {
                    let v = self.load(at[m], Type::U32, Access::default());
                    self.set(part, Type::U32, v)?;
                }
                (true, true) => {
                    let low = self.load(at[2 * m], Type::U16, Access::default());
                    let high = self.load(at[2 * m + 1], Type::U16, Access::default());
                    let v = self.pack16(low, high);
                    self.set(part, Type::U32, v)?;
                }
                (false, false) => {
                    let v = self.value(part, Type::U32)?;
                    self.store(at[m], Type::U32, v, Access::default());
                }
                (false, true) => {
                    let v = self.value(part, Type::U32)?;
                    let sixteen = self.asm.u32(16);
                    let low = self.asm.op(Op::UConvert, Type::U16, &[v]);
                    let high = self.asm.op(Op::ShiftRightLogical, Type::U32, &[v, sixteen]);
                    let high = self.asm.op(Op::UConvert, Type::U16, &[high]);
                    self.store(at[2 * m], Type::U16, low, Access::default());
                    self.store(at[2 * m + 1], Type::U16, high, Access::default());
                }
            }
        }
        Ok(())
    }

    /// ldmatrix where warps yield: each lane reads the row whose address it has and publishes it. Takes fewer accesses than
    /// reading elements by the addresses of other lanes, and llvmpipe's compiler takes time by the square of their number.
    fn load_rows(&mut self, parts: &[Operand], row: Id, transposed: bool) -> Result<()> {
        let count = parts.len() as u32;
        let (slot, linear) = (self.next_slot(), self.entry.linear);
        let mine = self.slot(slot, linear);
        let quad = Type::Vector(Scalar::U32, 4);
        let row = if count == 4 {
            row
        } else {
            // The other lanes' addresses mean nothing.
            let rows = self.asm.u32(8 * count);
            let lane = self.entry.lane;
            let has = self.asm.op(Op::ULessThan, Type::Bool, &[lane, rows]);
            self.asm.op(Op::Select, Type::U64, &[has, row, mine])
        };
        let v = self.load_device(row, quad, Access::default());
        self.store_device(mine, quad, v, Access::default());
        self.meet();
        let start = {
            let lane = self.entry.lane;
            self.asm.op(Op::ISub, Type::U32, &[linear, lane])
        };
        let base = self.slot(slot, start);
        let (g, t) = self.quad();
        let (one, two) = (self.asm.u32(1), self.asm.u32(2));
        if !transposed {
            for (m, part) in parts.iter().enumerate() {
                let lane = self.offset(g, Type::U32, 8 * m as i64);
                let v = self.read_slot_word(base, lane, t);
                self.set(part, Type::U32, v)?;
            }
            return Ok(());
        }
        // The lane wants column g of rows 2t and 2t + 1. The columns of its subgroup are in one or two words of each row,
        // which its invocations read row by row.
        let width = self.subgroup_width();
        let own = self.entry.invocation;
        let seven = self.asm.u32(7);
        let first = {
            let mask = self.asm.u32(31 & !(width - 1));
            let lane = self.entry.lane;
            let lane = self.asm.op(Op::BitwiseAnd, Type::U32, &[lane, mask]);
            let three = self.asm.u32(3);
            self.asm
                .op(Op::ShiftRightLogical, Type::U32, &[lane, three])
        };
        let word = if width == 16 {
            let three = self.asm.u32(3);
            let upper = self.asm.op(Op::ShiftRightLogical, Type::U32, &[own, three]);
            self.asm.op(Op::IAdd, Type::U32, &[first, upper])
        } else {
            first
        };
        let low_rows = self.asm.op(Op::BitwiseAnd, Type::U32, &[own, seven]);
        let half = self.asm.op(Op::BitwiseAnd, Type::U32, &[g, one]);
        let zero = self.asm.u32(0);
        let odd = self.asm.op(Op::INotEqual, Type::Bool, &[half, zero]);
        // Of the invocation with row 2t, or of the one with row 2t + 1.
        let sources: [Id; 2] = [0, 1].map(|n| {
            let even = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, one]);
            let row = self.offset(even, Type::U32, n);
            match width {
                4 => {
                    let three = self.asm.u32(3);
                    self.asm.op(Op::BitwiseAnd, Type::U32, &[row, three])
                }
                8 => row,
                _ => {
                    let three = self.asm.u32(3);
                    let upper = self.asm.op(Op::ShiftRightLogical, Type::U32, &[own, three]);
                    let upper = self
                        .asm
                        .op(Op::ShiftLeftLogical, Type::U32, &[upper, three]);
                    self.asm.op(Op::IAdd, Type::U32, &[row, upper])
                }
            }
        });
        for (m, part) in parts.iter().enumerate() {
            let lane = self.offset(low_rows, Type::U32, 8 * m as i64);
            let low = self.read_slot_word(base, lane, word);
            // With four invocations each reads two rows.
            let high = (width == 4).then(|| {
                let lane = self.offset(lane, Type::U32, 4);
                self.read_slot_word(base, lane, word)
            });
            let halves = sources.map(|source| {
                let v = self.native_shuffle(low, source);
                let v = match high {
                    None => v,
                    Some(high) => {
                        let other = self.native_shuffle(high, source);
                        let upper = self.asm.op(Op::UGreaterThanEqual, Type::Bool, &[t, two]);
                        self.asm.op(Op::Select, Type::U32, &[upper, other, v])
                    }
                };
                let sixteen = self.asm.u32(16);
                let top = self.asm.op(Op::ShiftRightLogical, Type::U32, &[v, sixteen]);
                self.asm.op(Op::Select, Type::U32, &[odd, top, v])
            });
            let low = self.asm.op(Op::UConvert, Type::U16, &[halves[0]]);
            let high = self.asm.op(Op::UConvert, Type::U16, &[halves[1]]);
            let v = self.pack16(low, high);
            self.set(part, Type::U32, v)?;
        }
        Ok(())
    }

    /// movmatrix.trans: element (2t + n, g) for n = 0, 1, which lane 4(2t + n) + g/2 holds in its half g % 2.
    fn transpose(&mut self, i: &Instruction) -> Result<()> {
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let (g, t) = self.quad();
        let (one, two, three, four) = (
            self.asm.u32(1),
            self.asm.u32(2),
            self.asm.u32(3),
            self.asm.u32(4),
        );
        let column = self.asm.op(Op::ShiftRightLogical, Type::U32, &[g, one]);
        let eight_t = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, three]);
        let first = self.asm.op(Op::IAdd, Type::U32, &[eight_t, column]);
        let second = self.asm.op(Op::IAdd, Type::U32, &[first, four]);
        let words = self.gather(a, &[first, second]);
        let half = self.asm.op(Op::BitwiseAnd, Type::U32, &[g, one]);
        let shift = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[half, four]);
        let _ = two;
        let halves: Vec<Id> = words
            .iter()
            .map(|&w| {
                let h = self.asm.op(Op::ShiftRightLogical, Type::U32, &[w, shift]);
                self.asm.op(Op::UConvert, Type::U16, &[h])
            })
            .collect();
        let v = self.pack16(halves[0], halves[1]);
        self.set(self.operand(i, 0)?, Type::U32, v)
    }

    fn mma(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let [dt, at, bt, ct] = types[..] else {
            return unsupported(i);
        };
        if i.has(M::Sp) || i.has(M::SpOrdered) || i.has(M::Kind) || !i.has(M::Row) || !i.has(M::Col)
        {
            return unsupported(i);
        }
        let element = match (at, bt) {
            (M::F16, M::F16) => Element::Half,
            (M::Bf16, M::Bf16) => Element::Brain,
            (M::Tf32, M::Tf32) => Element::Tf32,
            (M::F64, M::F64) => Element::Double,
            (M::S8 | M::U8, M::S8 | M::U8) => Element::Byte {
                a_signed: at.is_signed(),
                b_signed: bt.is_signed(),
            },
            _ => return unsupported(i),
        };
        let shape = i
            .modifiers
            .iter()
            .copied()
            .find(|m| m.text().starts_with('m') && m.text().contains('k'));
        // Halves of rows and groups of k.
        let (halves, groups) = match (element, shape) {
            (Element::Half | Element::Brain, Some(M::M16n8k16)) => (2, 2),
            (Element::Half | Element::Brain, Some(M::M16n8k8)) => (2, 1),
            (Element::Tf32, Some(M::M16n8k8)) => (2, 2),
            (Element::Tf32, Some(M::M16n8k4)) => (2, 1),
            (Element::Byte { .. }, Some(M::M16n8k32)) => (2, 2),
            (Element::Byte { .. }, Some(M::M16n8k16)) => (2, 1),
            (Element::Byte { .. }, Some(M::M8n8k16)) => (1, 1),
            _ => return unsupported(i),
        };
        let (a_words, b_words): (usize, usize) = (halves * groups, groups);
        let d = Self::elements(self.operand(i, 0)?);
        let a = Self::elements(self.operand(i, 1)?);
        let b = Self::elements(self.operand(i, 2)?);
        let c = Self::elements(self.operand(i, 3)?);
        let half_sums = dt == M::F16;
        let results = if half_sums { halves } else { 2 * halves };
        if a.len() != a_words || b.len() != b_words || d.len() != results {
            return Err(EmitError::Invalid(format!(
                "{} with the wrong number of registers",
                i.mnemonic()
            )));
        }
        let (g, t) = self.quad();

        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let eight_t = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, three]);
        let b_ids = b
            .iter()
            .map(|o| self.value(o, Type::U32))
            .collect::<Result<Vec<_>>>()?;
        let b_source = if !self.yields() {
            BSource::Registers(b_ids)
        } else if let Some(shares) = self.matrix.shares.get(&b_ids) {
            BSource::Shares(shares.clone())
        } else {
            let (base, first) = self.publish_b(b)?;
            let shares = self.shares(base, first, groups);
            self.matrix.shares.insert(b_ids, shares.clone());
            BSource::Shares(shares)
        };
        let a_ids = a
            .iter()
            .map(|o| self.value(o, Type::U32))
            .collect::<Result<Vec<_>>>()?;
        let quad = match self.target.warps {
            Warps::Yield { width } => {
                let mask = self.asm.u32((width - 1) & !3);
                let own = self.entry.invocation;
                self.asm.op(Op::BitwiseAnd, Type::U32, &[own, mask])
            }
            _ => self.asm.op(Op::ShiftLeftLogical, Type::U32, &[g, two]),
        };
        let fragments = Fragments {
            element,
            halves,
            groups,
            a: a_ids,
            b: b_source,
            quad,
            eight_t,
        };

        // Sums.
        let integer = matches!(element, Element::Byte { .. });
        let mut sums = Vec::new();
        if half_sums {
            if ct != M::F16 {
                return unsupported(i);
            }
            for o in c {
                let w = self.value(o, Type::U32)?;
                let v = self.asm.op(Op::Bitcast, Type::Vector(Scalar::F16, 2), &[w]);
                let v = self
                    .asm
                    .op(Op::FConvert, Type::Vector(Scalar::F32, 2), &[v]);
                for n in 0..2 {
                    sums.push(self.asm.op(Op::CompositeExtract, Type::F32, &[v, n]));
                }
            }
        } else {
            let ty = if integer { Type::U32 } else { Type::F32 };
            for o in c {
                sums.push(self.value(o, ty)?);
            }
        }
        let ty = if integer { Type::U32 } else { Type::F32 };
        for n in 0..4 {
            self.add_products(&fragments, n, &mut sums);
        }
        if half_sums {
            for (n, d) in d.iter().enumerate() {
                let v = self.asm.op(
                    Op::CompositeConstruct,
                    Type::Vector(Scalar::F32, 2),
                    &[sums[2 * n], sums[2 * n + 1]],
                );
                let v = self
                    .asm
                    .op(Op::FConvert, Type::Vector(Scalar::F16, 2), &[v]);
                let w = self.asm.op(Op::Bitcast, Type::U32, &[v]);
                self.set(d, Type::U32, w)?;
            }
            return Ok(());
        }
        for (n, d) in d.iter().enumerate() {
            let v = if integer && i.has(M::Satfinite) {
                return unsupported(i);
            } else {
                sums[n]
            };
            self.set(d, ty, v)?;
        }
        Ok(())
    }

    /// Adds the products of what lane `n` of the quad holds of A and the lanes 8t + n, 8t + 4 + n of B.
    fn add_products(&mut self, f: &Fragments, n: u32, sums: &mut [Id]) {
        let lane = self.offset(f.quad, Type::U32, n.into());
        let a: Vec<Id> =
            f.a.iter()
                .map(|&w| self.move_word(w, lane, From::Quad(n)))
                .collect();
        // By column, then group of k.
        let b = [n, n + 4].map(|n| match &f.b {
            BSource::Shares(lanes) => {
                // Lane 8t + n is one of those that the subgroup's invocation (8t + n) / share has read.
                let share = lanes.len() as u32;
                let (start, own) = (n / share, n % share);
                let bits = self.asm.u32(share.trailing_zeros());
                let from = self
                    .asm
                    .op(Op::ShiftRightLogical, Type::U32, &[f.eight_t, bits]);
                let from = self.offset(from, Type::U32, start.into());
                lanes[own as usize]
                    .iter()
                    .map(|&w| self.move_word(w, from, From::Column(n)))
                    .collect()
            }
            BSource::Registers(ids) => {
                let lane = self.offset(f.eight_t, Type::U32, n.into());
                ids.iter()
                    .map(|&w| self.move_word(w, lane, From::Column(n)))
                    .collect::<Vec<Id>>()
            }
        });
        for q in 0..f.groups {
            if let Element::Byte { a_signed, b_signed } = f.element {
                for h in 0..f.halves {
                    for k in 0..2 {
                        let dot = self.dot4(a[h + f.halves * q], b[k][q], a_signed, b_signed);
                        let s = &mut sums[2 * h + k];
                        *s = self.asm.op(Op::IAdd, Type::U32, &[*s, dot]);
                    }
                }
                continue;
            }
            let x: Vec<Vec<Id>> = (0..f.halves)
                .map(|h| self.elements_of(f.element, a[h + f.halves * q]))
                .collect();
            let y = [0, 1].map(|k| self.elements_of(f.element, b[k][q]));
            for h in 0..f.halves {
                for k in 0..2 {
                    for e in 0..x[h].len() {
                        let p = self.asm.op(Op::FMul, Type::F32, &[x[h][e], y[k][e]]);
                        let s = &mut sums[2 * h + k];
                        *s = self.asm.op(Op::FAdd, Type::F32, &[*s, p]);
                    }
                }
            }
        }
    }

    /// A word of another invocation of the subgroup; the same one is fetched once in a block.
    fn move_word(&mut self, word: Id, invocation: Id, from: From) -> Id {
        if let Some(&found) = self.matrix.moved.get(&(word, from)) {
            return found;
        }
        let found = self.native_shuffle(word, invocation);
        self.matrix.moved.insert((word, from), found);
        found
    }

    /// The elements of a word as single-precision numbers; made once in a block.
    fn elements_of(&mut self, element: Element, w: Id) -> Vec<Id> {
        if let Some(found) = self.matrix.elements.get(&(element, w)) {
            return found.clone();
        }
        let elements = self.new_elements(element, w);
        self.matrix.elements.insert((element, w), elements.clone());
        elements
    }

    fn new_elements(&mut self, element: Element, w: Id) -> Vec<Id> {
        match element {
            Element::Half => {
                let v = self.asm.op(Op::Bitcast, Type::Vector(Scalar::F16, 2), &[w]);
                let v = self
                    .asm
                    .op(Op::FConvert, Type::Vector(Scalar::F32, 2), &[v]);
                (0..2)
                    .map(|n| self.asm.op(Op::CompositeExtract, Type::F32, &[v, n]))
                    .collect()
            }
            Element::Brain => {
                let sixteen = self.asm.u32(16);
                let mask = self.asm.u32(0xffff_0000);
                let low = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[w, sixteen]);
                let high = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, mask]);
                [low, high]
                    .map(|x| self.asm.op(Op::Bitcast, Type::F32, &[x]))
                    .to_vec()
            }
            // tf32 has its numbers in the upper bits; the lower 13 do not count.
            _ => {
                let mask = self.asm.u32(!0x1fff);
                let v = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, mask]);
                vec![self.asm.op(Op::Bitcast, Type::F32, &[v])]
            }
        }
    }

    /// Reads the published words of this invocation's share of the warp's lanes.
    fn shares(&mut self, base: Id, first: u32, groups: usize) -> Vec<Vec<Id>> {
        let share = 32 / self.subgroup_width();
        let start = self.asm.u32(share);
        let own = self.entry.invocation;
        let start = self.asm.op(Op::IMul, Type::U32, &[own, start]);
        (0..share)
            .map(|n| {
                let lane = self.offset(start, Type::U32, n.into());
                if groups == 1 {
                    return vec![self.read_slot(base, lane, first, Type::U32)];
                }
                let v = self.read_slot(base, lane, first, Type::Vector(Scalar::U32, 2));
                (0..2)
                    .map(|q| self.asm.op(Op::CompositeExtract, Type::U32, &[v, q]))
                    .collect()
            })
            .collect()
    }

    /// Makes the B words of a product readable, together with those of the products that follow it.
    fn publish_b(&mut self, b: &[Operand]) -> Result<(Id, u32)> {
        let at = self.matrix.at;
        if let Some(&found) = self.matrix.published.get(&at) {
            return Ok(found);
        }
        let group = self.matrix.groups.get(&at).cloned().unwrap_or_default();
        if group.len() < 2 {
            let words = b
                .iter()
                .map(|o| self.value(o, Type::U32))
                .collect::<Result<Vec<_>>>()?;
            let base = self.publish_to_slot(&words);
            return Ok((base, 0));
        }
        let frame = self.frame;
        let mut words: Vec<Id> = Vec::new();
        let mut places: Vec<(usize, u32)> = Vec::new();
        let mut first_of: FxHashMap<Vec<Id>, u32> = FxHashMap::default();
        for &(step, of, statement) in &group {
            let graph = self.graph;
            let other = graph.instruction(of, statement);
            self.frame = of;
            let own = Self::elements(&other.operands[2])
                .iter()
                .map(|o| self.value(o, Type::U32))
                .collect::<Result<Vec<_>>>()?;
            if self.matrix.shares.contains_key(&own) {
                continue;
            }
            let first = *first_of.entry(own.clone()).or_insert_with(|| {
                let first = words.len() as u32;
                words.extend(own);
                first
            });
            places.push((step, first));
        }
        self.frame = frame;
        let base = self.publish_to_slot(&words);
        for (step, first) in places {
            self.matrix.published.insert(step, (base, first));
        }
        Ok((base, self.matrix.published[&at].1))
    }
}
