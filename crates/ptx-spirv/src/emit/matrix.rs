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

use super::cooperative::{Form, Product};
use super::entry::Push;
use super::memory::{Access, Address};
use super::product::Element;
use super::*;
use crate::assembler::{Component, Matrix};
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
    /// Words of other lanes, by the word and the place of the lane, with the product that used them last: many products
    /// have a fragment in common.
    moved: FxHashMap<(Id, From), (Id, u32)>,
    /// What [`Emitter::elements_of`] gave, by the word, likewise.
    elements: FxHashMap<(Element, Id), (Vec<Id>, u32)>,
    /// Products of the block so far.
    products: u32,
    /// A word of each of the last two sums, the older one first.
    recent: [Option<Id>; 2],
    /// 0 for the present product, as [`Emitter::product`] says.
    zero: Option<Id>,
    /// Steps whose B words are published together, by the first of them.
    groups: FxHashMap<usize, Vec<StepPlace>>,
    /// Cooperative matrices, by the words they are made of.
    pub(super) matrices: FxHashMap<(Matrix, Vec<Option<Id>>), Id>,
}

/// For how many products a GPU keeps words of other lanes and what was made of them. Each takes a register in the meantime,
/// of 32 (Intel) to 256 that a lane has, and to fetch one again is one instruction; but a fragment of B is wanted again at
/// once where two products have it in common.
const KEPT_FOR: u32 = 1;

impl Batch {
    /// Whether something that product `last` used is kept for the present one.
    fn is_kept(&self, last: u32, yields: bool) -> bool {
        yields || self.products - last <= KEPT_FOR
    }

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
            if i.opcode == Opcode::Mma && !i.has(Modifier::M8n8k4) {
                let mut registers = Vec::new();
                if let Some(b) = i.operands.get(2) {
                    graph::operand_registers(b, &mut |r| registers.push(graph.register(frame, r)));
                }
                let words = registers.len() as u32 * if i.has(Modifier::F64) { 2 } else { 1 };
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
pub(super) enum BSource {
    /// Where warps yield: in registers of the subgroup, whose invocations share the lanes of the warp evenly. Of each of
    /// this invocation's lanes, the registers.
    Shares(Vec<Vec<Id>>),
    /// In the lanes' registers.
    Registers(Vec<Id>),
}

/// The operands of a product, as a lane sees them.
pub(super) struct Fragments {
    pub(super) element: Element,
    /// Halves of eight rows.
    pub(super) halves: usize,
    /// Groups of k.
    pub(super) groups: usize,
    /// The lane's registers of A.
    pub(super) a: Vec<Id>,
    pub(super) b: BSource,
    /// The first invocation of the lane's quad.
    pub(super) quad: Id,
    /// 8 * (lane % 4).
    pub(super) eight_t: Id,
}

impl Emitter<'_> {
    pub(super) fn matrix(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Mma if i.has(Modifier::M8n8k4) && i.types().nth(1) == Some(Modifier::F16) => {
                self.quad_pair_product(i)
            }
            Opcode::Mma => self.mma(i),
            Opcode::Ldmatrix | Opcode::Stmatrix => self.move_matrix(i),
            Opcode::Movmatrix => self.transpose(i),
            Opcode::Wmma => self.wmma(i),
            _ => unsupported(i),
        }
    }

    /// lane / 4 and lane % 4.
    pub(super) fn quad(&mut self) -> (Id, Id) {
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

    /// The offset in shared memory of an address that cannot be elsewhere, also where it is written as a generic one.
    fn shared_offset(&mut self, i: &Instruction, address: &Operand) -> Result<Id> {
        use memory::Space;
        if memory::space_of(i) != Space::Generic {
            return Ok(self.address(address, Space::Shared)?.id);
        }
        let address = self.address(address, Space::Generic)?;
        if address.space == Space::Shared {
            return Ok(address.id);
        }
        let window = self.window(Space::Shared);
        let offset = self.asm.op(Op::ISub, Type::U64, &[address.id, window]);
        Ok(self.asm.op(Op::UConvert, Type::U32, &[offset]))
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
                (self.shared_offset(i, &without)?, *offset)
            }
            _ => {
                return Err(EmitError::Invalid(format!(
                    "{} without an address",
                    i.mnemonic()
                )))
            }
        };
        let transposed = i.has(M::Trans);
        if load && self.yields() {
            let at = Address {
                space: memory::Space::Shared,
                id: self.offset(base, Type::U32, offset),
            };
            // Shared memory lies in scratch there.
            if let Some(row) = self.device_address(at) {
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
        let rows = self.row_bases(base, &keys, &lanes);
        let within = if transposed {
            let one = self.asm.u32(1);
            self.asm.op(Op::ShiftLeftLogical, Type::U32, &[g, one])
        } else {
            let two = self.asm.u32(2);
            self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, two])
        };
        let at: Vec<Address> = rows
            .into_iter()
            .map(|r| {
                let id = self.asm.op(Op::IAdd, Type::U32, &[r, within]);
                Address {
                    space: memory::Space::Shared,
                    id: self.offset(id, Type::U32, offset),
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
        let Some(element) = Element::of(i, at, bt) else {
            return unsupported(i);
        };
        let shape = i
            .modifiers
            .iter()
            .copied()
            .find(|m| m.text().starts_with('m') && m.text().contains('k'));
        // Rows and elements of k; half precision in m8n8k4 is four products at once, and laid out in its own way.
        let (m, k) = match (element, shape) {
            (Element::Double, Some(M::M8n8k4)) => (8, 4),
            (Element::Tf32 | Element::Double, Some(M::M16n8k4)) => (16, 4),
            (
                Element::Half | Element::Brain | Element::Tf32 | Element::Double,
                Some(M::M16n8k8),
            ) => (16, 8),
            (Element::Tf32, _) => return unsupported(i),
            (_, Some(M::M16n8k16)) => (16, 16),
            (Element::Double | Element::Half | Element::Brain, _) => return unsupported(i),
            (_, Some(M::M8n8k16)) => (8, 16),
            (_, Some(M::M16n8k32)) => (16, 32),
            (_, Some(M::M8n8k32)) => (8, 32),
            (_, Some(M::M16n8k64)) => (16, 64),
            (_, Some(M::M8n8k128)) => (8, 128),
            (_, Some(M::M16n8k128)) => (16, 128),
            (_, Some(M::M16n8k256)) => (16, 256),
            _ => return unsupported(i),
        };
        // Halves of rows and groups of k.
        let halves = m / 8;
        let groups = (k / (4 * element.per_register())) as usize;
        if groups == 0 || groups > 2 && element != Element::Double {
            return unsupported(i);
        }
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
        let cooperative = self.cooperative(element, shape, dt, ct);
        if let Some(product) = cooperative.filter(|_| !i.has(M::Satfinite)) {
            let words = |e: &mut Self, of: &[Operand], ty| {
                of.iter()
                    .map(|o| e.value(o, ty))
                    .collect::<Result<Vec<_>>>()
            };
            let sum = if dt == M::F32 { Type::F32 } else { Type::U32 };
            let a = words(self, a, Type::U32)?;
            let b = words(self, b, Type::U32)?;
            let c = words(self, c, sum)?;
            let words = self.cooperative_product(product, &a, &b, &c);
            for (d, w) in d.iter().zip(words) {
                self.set(d, sum, w)?;
            }
            return Ok(());
        }
        let word = element.register_type();
        let (quad, eight_t) = self.sources();
        let b_ids = b
            .iter()
            .map(|o| self.value(o, word))
            .collect::<Result<Vec<_>>>()?;
        let b_source = if !self.yields() {
            BSource::Registers(b_ids)
        } else if let Some(shares) = self.matrix.shares.get(&b_ids) {
            BSource::Shares(shares.clone())
        } else {
            let (base, first) = self.publish_b(i, b)?;
            let shares = self.shares(element, base, first, groups);
            self.matrix.shares.insert(b_ids, shares.clone());
            BSource::Shares(shares)
        };
        let a_ids = a
            .iter()
            .map(|o| self.value(o, word))
            .collect::<Result<Vec<_>>>()?;
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
        let ty = element.sum_type();
        let mut sums = Vec::new();
        for o in c {
            if ct == M::F16 {
                let w = self.value(o, Type::U32)?;
                sums.extend(self.elements_of(Element::Half, w));
            } else {
                sums.push(self.value(o, ty)?);
            }
        }
        if sums.len() != 2 * halves {
            return Err(EmitError::Invalid(format!(
                "{} with the wrong number of registers",
                i.mnemonic()
            )));
        }
        let saturated = i.has(M::Satfinite) && element.is_integer();
        let addends = sums.clone();
        if saturated {
            let zero = self.asm.u32(0);
            sums.fill(zero);
        }
        self.product(&fragments, &mut sums);
        if saturated {
            for (s, &c) in sums.iter_mut().zip(&addends) {
                *s = self.add_saturated(*s, c);
            }
        }
        if half_sums {
            for (pair, d) in sums.chunks(2).zip(d) {
                let w = self.pack_singles(pair[0], pair[1]);
                self.set(d, Type::U32, w)?;
            }
            return Ok(());
        }
        for (&s, d) in sums.iter().zip(d) {
            self.set(d, ty, s)?;
        }
        Ok(())
    }

    /// How the device's own matrix units do a product, where they do.
    fn cooperative(
        &self,
        element: Element,
        shape: Option<Modifier>,
        d: ScalarType,
        c: ScalarType,
    ) -> Option<Product> {
        use Modifier as M;
        let (component, sum) = match (element, d) {
            (Element::Half, M::F16) => (Component::F16, Component::F16),
            (Element::Half, M::F32) => (Component::F16, Component::F32),
            (
                Element::Byte {
                    a_signed: true,
                    b_signed: true,
                },
                M::S32,
            ) => (Component::S8, Component::S32),
            _ => return None,
        };
        let form = Form {
            component,
            sum,
            shape: shape?,
        };
        Product::of(form, &self.target.matrix_units).filter(|_| c == d)
    }

    /// Where a lane's products come from: the first invocation of its quad for A, and 8 * (lane % 4) for B.
    pub(super) fn sources(&mut self) -> (Id, Id) {
        let (g, t) = self.quad();
        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let eight_t = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, three]);
        let quad = match self.target.warps {
            Warps::Yield { width } => {
                let mask = self.asm.u32((width - 1) & !3);
                let own = self.entry.invocation;
                self.asm.op(Op::BitwiseAnd, Type::U32, &[own, mask])
            }
            _ => self.asm.op(Op::ShiftLeftLogical, Type::U32, &[g, two]),
        };
        (quad, eight_t)
    }

    /// A register of another invocation.
    fn shuffle_register(
        &mut self,
        element: Element,
        register: Id,
        invocation: Id,
        from: From,
    ) -> Id {
        let native = !self.yields();
        let zero = self.matrix.zero;
        let mut words = self.words_of(&[register], element);
        for word in &mut words {
            if let Some(zero) = zero {
                *word = self.asm.op(Op::BitwiseXor, Type::U32, &[*word, zero]);
            }
            *word = match from {
                // A constant place in the quad costs GPUs no more than a move.
                From::Quad(n) if native => self.quad_broadcast(*word, n),
                _ => self.native_shuffle(*word, invocation),
            };
        }
        match words[..] {
            [low, high] => self.join_double(low, high),
            _ => words[0],
        }
    }

    /// Adds a product to sums.
    ///
    /// Compilers of GPUs find out that two products fetch the same words, and keep all that a block fetches in registers:
    /// hundreds more than there are. So the words are combined with a 0 of which a compiler does not know that it is one: that
    /// of the push constants, of which it does not know the value, and a bit of a sum before, without which it cannot begin.
    /// It is that of the product before the last, so that two of them overlap.
    pub(super) fn product(&mut self, fragments: &Fragments, sums: &mut [Id]) {
        let native = !self.yields();
        self.matrix.products += 1;
        self.matrix.zero = match self.matrix.recent[0] {
            Some(sum) if native => {
                let zero = self.push(Push::Zero);
                Some(self.asm.op(Op::BitwiseAnd, Type::U32, &[zero, sum]))
            }
            _ => None,
        };
        for n in 0..4 {
            self.add_products(fragments, n, sums);
        }
        let ty = fragments.element.sum_type();
        if native && ty != Type::F64 {
            let sum = self.cast(Value { id: sums[0], ty }, Type::U32);
            self.matrix.recent = [self.matrix.recent[1], Some(sum)];
        }
    }

    /// Adds the products of what lane `n` of the quad holds of A and the lanes 8t + n, 8t + 4 + n of B.
    fn add_products(&mut self, f: &Fragments, n: u32, sums: &mut [Id]) {
        let lane = self.offset(f.quad, Type::U32, n.into());
        let a: Vec<Id> =
            f.a.iter()
                .map(|&w| self.move_register(f.element, w, lane, From::Quad(n)))
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
                    .map(|&w| self.move_register(f.element, w, from, From::Column(n)))
                    .collect()
            }
            BSource::Registers(ids) => {
                let lane = self.offset(f.eight_t, Type::U32, n.into());
                ids.iter()
                    .map(|&w| self.move_register(f.element, w, lane, From::Column(n)))
                    .collect::<Vec<Id>>()
            }
        });
        for q in 0..f.groups {
            if f.element.is_integer() || f.element == Element::Double {
                for h in 0..f.halves {
                    for k in 0..2 {
                        let (x, y) = (a[h + f.halves * q], b[k][q]);
                        let s = sums[2 * h + k];
                        sums[2 * h + k] = if f.element == Element::Double {
                            self.add_double_product(s, x, y)
                        } else {
                            let dot = self.dot_word(f.element, x, y);
                            self.asm.op(Op::IAdd, Type::U32, &[s, dot])
                        };
                    }
                }
                continue;
            }
            let x: Vec<Vec<Id>> = (0..f.halves)
                .map(|h| self.elements_of(f.element, a[h + f.halves * q]))
                .collect();
            let other = f.element.exchanged();
            let y = [0, 1].map(|k| self.elements_of(other, b[k][q]));
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

    /// A register of another invocation of the subgroup; where warps yield the same one is fetched once in a block.
    fn move_register(&mut self, element: Element, register: Id, invocation: Id, from: From) -> Id {
        let (yields, now) = (self.yields(), self.matrix.products);
        let found = match self.matrix.moved.get(&(register, from)) {
            Some(&(found, last)) if self.matrix.is_kept(last, yields) => found,
            _ => self.shuffle_register(element, register, invocation, from),
        };
        self.matrix.moved.insert((register, from), (found, now));
        found
    }

    /// The elements of a word of A as single-precision numbers; where warps yield they are made once in a block.
    pub(super) fn elements_of(&mut self, element: Element, w: Id) -> Vec<Id> {
        let (yields, now) = (self.yields(), self.matrix.products);
        let elements = match self.matrix.elements.get(&(element, w)) {
            Some((found, last)) if self.matrix.is_kept(*last, yields) => found.clone(),
            _ => self.new_elements(element, w),
        };
        self.matrix
            .elements
            .insert((element, w), (elements.clone(), now));
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
            Element::Quarter { a_e4m3, .. } => self.quarters(w, a_e4m3),
            // tf32 has its numbers in the upper bits; the lower 13 do not count.
            _ => {
                let mask = self.asm.u32(!0x1fff);
                let v = self.asm.op(Op::BitwiseAnd, Type::U32, &[w, mask]);
                vec![self.asm.op(Op::Bitcast, Type::F32, &[v])]
            }
        }
    }

    /// Reads the published registers of this invocation's share of the warp's lanes.
    pub(super) fn shares(
        &mut self,
        element: Element,
        base: Id,
        first: u32,
        groups: usize,
    ) -> Vec<Vec<Id>> {
        let share = 32 / self.subgroup_width();
        let start = self.asm.u32(share);
        let own = self.entry.invocation;
        let start = self.asm.op(Op::IMul, Type::U32, &[own, start]);
        (0..share)
            .map(|n| {
                let lane = self.offset(start, Type::U32, n.into());
                match groups {
                    _ if element == Element::Double => (0..groups as u32)
                        .map(|q| {
                            let low = self.read_slot(base, lane, first + 2 * q, Type::U32);
                            let high = self.read_slot(base, lane, first + 2 * q + 1, Type::U32);
                            self.join_double(low, high)
                        })
                        .collect(),
                    2 => {
                        let v = self.read_slot(base, lane, first, Type::Vector(Scalar::U32, 2));
                        (0..2)
                            .map(|q| self.asm.op(Op::CompositeExtract, Type::U32, &[v, q]))
                            .collect()
                    }
                    _ => (0..groups as u32)
                        .map(|q| self.read_slot(base, lane, first + q, Type::U32))
                        .collect(),
                }
            })
            .collect()
    }

    /// Makes the B words of a product readable, together with those of the products that follow it.
    fn publish_b(&mut self, i: &Instruction, b: &[Operand]) -> Result<(Id, u32)> {
        let at = self.matrix.at;
        if let Some(&found) = self.matrix.published.get(&at) {
            return Ok(found);
        }
        let group = self.matrix.groups.get(&at).cloned().unwrap_or_default();
        if group.len() < 2 {
            let words = self.b_words(i, b)?;
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
            let element = Self::b_element(other);
            let own = Self::elements(self.operand(other, 2)?)
                .iter()
                .map(|o| self.value(o, element.register_type()))
                .collect::<Result<Vec<_>>>()?;
            if self.matrix.shares.contains_key(&own) {
                continue;
            }
            let first = match first_of.get(&own) {
                Some(&first) => first,
                None => {
                    let first = words.len() as u32;
                    words.extend(self.words_of(&own, element));
                    first_of.insert(own, first);
                    first
                }
            };
            places.push((step, first));
        }
        self.frame = frame;
        let base = self.publish_to_slot(&words);
        for (step, first) in places {
            self.matrix.published.insert(step, (base, first));
        }
        Ok((base, self.matrix.published[&at].1))
    }

    /// The words of B of a product.
    fn b_words(&mut self, i: &Instruction, b: &[Operand]) -> Result<Vec<Id>> {
        let element = Self::b_element(i);
        let registers = b
            .iter()
            .map(|o| self.value(o, element.register_type()))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.words_of(&registers, element))
    }

    /// An element with registers like those of a product's B.
    fn b_element(i: &Instruction) -> Element {
        if i.has(Modifier::F64) {
            Element::Double
        } else {
            Element::Half
        }
    }
}
