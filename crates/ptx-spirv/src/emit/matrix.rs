//! mma.sync and movmatrix by plain arithmetic on the fragments that PTX publishes (PTX ISA, "Warp
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
use super::cooperative_memory::{self, Tiling};
use super::entry::Push;
use super::ldmatrix::Rows;
use super::product::Element;
use super::sparse::is_sparse;
use super::*;
use crate::assembler::{Component, Matrix};
use crate::graph::Block;
use crate::rolls::Roll;
use std::rc::Rc;

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
    pub(super) gathered: FxHashMap<(Id, Id), Id>,
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
    /// Steps whose B is of registers that ldmatrix loaded in the same block.
    from_rows: FxHashSet<usize>,
    /// How often such products use a register, by the step that loaded it.
    row_uses: FxHashMap<(usize, Register), u32>,
    /// What was loaded into registers.
    rows: FxHashMap<Register, Rows>,
    /// Of each register of the kernel: how often it is written and read. Once asked for.
    counts: Option<Rc<Vec<(u32, u32)>>>,
    /// Cooperative matrices, by the words they are made of.
    pub(super) matrices: FxHashMap<(Matrix, Vec<Option<Id>>), Id>,
    /// What lies beside the words of A of products that share a matrix.
    pub(super) shared: FxHashMap<[Id; 2], cooperative::Shared>,
    /// Products through workgroup memory.
    pub(super) memory: cooperative_memory::State,
}

/// How the device's matrix units do a product.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// On matrices made of registers.
    Registers(Product),
    /// On matrices that go through workgroup memory.
    Memory(Tiling),
}

/// What is wanted of a register that ldmatrix loads.
pub(super) struct Plan {
    /// Its matrix, for products.
    pub(super) rows: bool,
    /// The register itself.
    pub(super) words: bool,
}

/// For how many products a GPU keeps words of other lanes and what was made of them. Each takes a register in the meantime,
/// of 32 (Intel) to 256 that a lane has, and to fetch one again is one instruction; but a fragment of B is wanted again at
/// once where two products have it in common.
const KEPT_FOR: u32 = 1;

/// Steps whose B words are published together: the first of them, all, and how many words that are.
type Group = (usize, Vec<StepPlace>, u32);

impl Batch {
    /// Whether something that product `last` used is kept for the present one.
    fn is_kept(&self, last: u32, yields: bool) -> bool {
        yields || self.products - last <= KEPT_FOR
    }

    /// Looks through a block for products whose B was loaded as matrices, and for others whose B words can be published
    /// together: no other meeting of the warp lies between, and no register of a later one's B is written. Both within a round of
    /// the block's loops, of which the first one alone is written, or outside of them.
    pub(super) fn start(
        &mut self,
        graph: &Graph,
        block: &Block,
        rolls: &[Rc<Roll>],
        target: &Target,
        through_memory: bool,
    ) {
        *self = Batch {
            counts: self.counts.take(),
            memory: std::mem::take(&mut self.memory),
            ..Batch::default()
        };
        if through_memory {
            self.memory.start(graph, block);
        }
        if !matches!(target.warps, Warps::Yield { .. }) {
            return;
        }
        // Registers that hold what ldmatrix loaded: the step, and whether transposed.
        let mut loaded: FxHashMap<Register, (usize, bool)> = FxHashMap::default();
        let mut open: Option<Group> = None;
        let mut written: rustc_hash::FxHashSet<Register> = Default::default();
        for (at, step) in block.steps.iter().enumerate() {
            if rolls.iter().any(|roll| roll.skips(at)) {
                continue;
            }
            if rolls
                .iter()
                .any(|roll| roll.start == at || roll.end() == at)
            {
                loaded.clear();
                written.clear();
                self.close(&mut open);
            }
            let (frame, statement) = match *step {
                Step::Instruction {
                    frame, statement, ..
                } => (frame, statement),
                Step::Copy { to, .. } | Step::Constant { to, .. } => {
                    written.insert(to);
                    loaded.remove(&to);
                    continue;
                }
            };
            let i = graph.instruction(frame, statement);
            if i.opcode == Opcode::Mma && !i.has(Modifier::M8n8k4) && !is_sparse(i) {
                let mut registers = Vec::new();
                if let Some(b) = i.operands.get(2) {
                    graph::operand_registers(b, &mut |r| registers.push(graph.register(frame, r)));
                }
                let halves = matches!(i.types().nth(1), Some(Modifier::F16 | Modifier::Bf16));
                let sources: Option<Vec<(usize, Register)>> = registers
                    .iter()
                    .map(|&r| {
                        let &(step, transposed) = loaded.get(&r)?;
                        (halves || !transposed).then_some((step, r))
                    })
                    .collect();
                match sources {
                    Some(sources) if i.predicate.is_none() => {
                        for source in sources {
                            *self.row_uses.entry(source).or_default() += 1;
                        }
                        self.from_rows.insert(at);
                        registers.clear();
                    }
                    _ => {}
                }
                let words = registers.len() as u32 * if i.has(Modifier::F64) { 2 } else { 1 };
                let fits = open.as_ref().is_some_and(|o| o.2 + words <= SLOT_WORDS);
                if self.from_rows.contains(&at) {
                    // Does not meet.
                } else if !fits || registers.iter().any(|r| written.contains(r)) {
                    self.close(&mut open);
                    open = Some((at, Vec::new(), 0));
                    written.clear();
                }
                if let Some((_, group, count)) = &mut open {
                    if !self.from_rows.contains(&at) {
                        group.push((at, frame, statement));
                        *count += words;
                    }
                }
            } else if graph::is_convergent(i) {
                self.close(&mut open);
            }
            for o in i.operands.iter().take(graph::destinations(i)) {
                graph::operand_registers(o, &mut |r| {
                    let r = graph.register(frame, r);
                    written.insert(r);
                    loaded.remove(&r);
                    if i.opcode == Opcode::Ldmatrix && i.predicate.is_none() {
                        loaded.insert(r, (at, i.has(Modifier::Trans)));
                    }
                });
            }
        }
        self.close(&mut open);
    }

    /// Nothing more joins a group.
    fn close(&mut self, open: &mut Option<Group>) {
        if let Some((first, steps, _)) = open.take() {
            self.groups.insert(first, steps);
        }
    }

    /// What is wanted of a register that the current step, ldmatrix, loads. `others` are those that other rounds of a loop have in its
    /// place.
    pub(super) fn plan(&mut self, graph: &Graph, r: Register, others: &[Register]) -> Plan {
        let Some(&products) = self.row_uses.get(&(self.at, r)) else {
            return Plan {
                rows: false,
                words: true,
            };
        };
        let counts = self.counts.get_or_insert_with(|| Rc::new(graph.counts()));
        Plan {
            rows: true,
            words: std::iter::once(&r)
                .chain(others)
                .any(|&r| counts[r as usize] != (1, products)),
        }
    }

    /// Keeps the matrix of a register for the products that [`Batch::start`] found.
    pub(super) fn keep_rows(&mut self, r: Register, rows: Rows) {
        self.rows.insert(r, rows);
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
    /// Where warps yield: matrices that ldmatrix loaded, by register.
    Rows(Vec<Rows>),
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

/// What of a product decides how matrix units do it, if its elements and sums are of kinds that some have.
pub(super) fn form(
    element: Element,
    shape: Option<Modifier>,
    d: ScalarType,
    c: ScalarType,
) -> Option<Form> {
    use Modifier as M;
    let (component, sum) = match (element, d) {
        (Element::Half, M::F16) => (Component::F16, Component::F16),
        (Element::Half, M::F32) => (Component::F16, Component::F32),
        (Element::Brain, M::F32) => (Component::Bf16, Component::F32),
        (Element::Byte { a_signed, b_signed }, M::S32) if a_signed == b_signed => match a_signed {
            true => (Component::S8, Component::S32),
            false => (Component::U8, Component::S32),
        },
        _ => return None,
    };
    let form = Form {
        component,
        sum,
        shape: shape?,
    };
    (c == d).then_some(form)
}

/// The shape among an instruction's modifiers.
fn shape_of(i: &Instruction) -> Option<Modifier> {
    i.modifiers
        .iter()
        .copied()
        .find(|m| m.text().starts_with('m') && m.text().contains('k'))
}

/// The form of mma's products; that of the dense ones of mma.sp.
pub(super) fn form_of(i: &Instruction) -> Option<Form> {
    let types: Vec<ScalarType> = i.types().collect();
    let [d, a, b, c] = types[..] else { return None };
    let element = Element::of(i, a, b)?;
    let shape = match is_sparse(i) {
        true => super::sparse::dense_shape(i, element).map(|s| s.0),
        false => shape_of(i),
    };
    form(element, shape, d, c).filter(|_| !i.has(Modifier::Satfinite))
}

impl Emitter<'_> {
    pub(super) fn matrix(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Mma if i.has(Modifier::M8n8k4) && i.types().nth(1) == Some(Modifier::F16) => {
                self.quad_pair_product(i)
            }
            Opcode::Mma if is_sparse(i) => self.sparse_product(i),
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
        let lane = self.anew(self.entry.lane);
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
    pub(super) fn gather(&mut self, value: Id, lanes: &[Id]) -> Vec<Id> {
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

    /// movmatrix.trans: element (2t + n, g) for n = 0, 1, which lane 4(2t + n) + g/2 holds in its half g % 2.
    fn transpose(&mut self, i: &Instruction) -> Result<()> {
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        if self.target.matrix_units.transposes {
            let words = self.transposed(&[a]);
            return self.set(self.operand(i, 0)?, Type::U32, words[0]);
        }
        let (g, t) = self.quad();
        let (one, three, four) = (self.asm.u32(1), self.asm.u32(3), self.asm.u32(4));
        let column = self.asm.op(Op::ShiftRightLogical, Type::U32, &[g, one]);
        let eight_t = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, three]);
        let first = self.asm.op(Op::IAdd, Type::U32, &[eight_t, column]);
        let second = self.asm.op(Op::IAdd, Type::U32, &[first, four]);
        let words = self.gather(a, &[first, second]);
        let half = self.asm.op(Op::BitwiseAnd, Type::U32, &[g, one]);
        let shift = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[half, four]);
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
        if i.has(M::Kind) || !i.has(M::Row) || !i.has(M::Col) {
            return unsupported(i);
        }
        let Some(element) = Element::of(i, at, bt) else {
            return unsupported(i);
        };
        let shape = shape_of(i);
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
        if let Some(way) = form_of(i).and_then(|form| self.way(form)) {
            let words = |e: &mut Self, of: &[Operand], ty| {
                of.iter()
                    .map(|o| e.value(o, ty))
                    .collect::<Result<Vec<_>>>()
            };
            let sum = if dt == M::F32 { Type::F32 } else { Type::U32 };
            let product = match way {
                Way::Registers(product) => product,
                Way::Memory(tiling) => return self.memory_mma(tiling, (a, b), c, d),
            };
            let a = words(self, a, Type::U32)?;
            let b = words(self, b, Type::U32)?;
            let c = words(self, c, sum)?;
            let shared = self.shared_with(&product, i, &a);
            let words = self.cooperative_product(product, (&a, shared), &b, &c);
            for (d, w) in d.iter().zip(words) {
                self.set(d, sum, w)?;
            }
            return Ok(());
        }
        let word = element.register_type();
        let (quad, eight_t) = self.sources();
        let b_source = self.b_source(i, element, b)?;
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

        self.products_into_sums(i, &[fragments], d, c, (dt, ct))
    }

    /// C and products, rounded to D where that is of half precision.
    pub(super) fn products_into_sums(
        &mut self,
        i: &Instruction,
        products: &[Fragments],
        d: &[Operand],
        c: &[Operand],
        (dt, ct): (ScalarType, ScalarType),
    ) -> Result<()> {
        use Modifier as M;
        let (element, halves) = (products[0].element, products[0].halves);
        let ty = element.sum_type();
        let half_sums = dt == M::F16;
        let mut sums = Vec::new();
        for o in c {
            if ct == M::F16 {
                let w = self.value(o, Type::U32)?;
                sums.extend(self.elements_of(Element::Half, w));
            } else {
                sums.push(self.value(o, ty)?);
            }
        }
        let results = if half_sums { halves } else { 2 * halves };
        if sums.len() != 2 * halves || d.len() != results {
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
        for fragments in products {
            self.product(fragments, &mut sums);
        }
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

    /// Where the words of B of a product are read; publishes them where they have to be.
    fn b_source(&mut self, i: &Instruction, element: Element, b: &[Operand]) -> Result<BSource> {
        if self.matrix.from_rows.contains(&self.matrix.at) {
            let rows = b.iter().map(|o| {
                let Operand::Register(r) = o else {
                    unreachable!("ldmatrix loads registers")
                };
                self.matrix.rows[&self.virtual_register(*r)].clone()
            });
            return Ok(BSource::Rows(rows.collect()));
        }
        let ids = b
            .iter()
            .map(|o| self.value(o, element.register_type()))
            .collect::<Result<Vec<_>>>()?;
        if !self.yields() {
            return Ok(BSource::Registers(ids));
        }
        if let Some(shares) = self.matrix.shares.get(&ids) {
            return Ok(BSource::Shares(shares.clone()));
        }
        let (base, first) = self.publish_b(i, b)?;
        let shares = self.shares(element, base, first, b.len());
        self.matrix.shares.insert(ids, shares.clone());
        Ok(BSource::Shares(shares))
    }

    /// How the device's own matrix units do a product, where they do.
    pub(super) fn way(&self, form: Form) -> Option<Way> {
        let units = &self.target.matrix_units;
        if let Some(product) = Product::of(form, units) {
            return Some(Way::Registers(product));
        }
        if self.info.matrix_slot_bytes == 0 {
            return None;
        }
        Tiling::of(form, &units.memory).map(Way::Memory)
    }

    /// The product of PTX fragments on the device's matrix units, as words; gives D's.
    pub(super) fn unit_product(&mut self, way: Way, a: &[Id], b: &[Id], c: &[Id]) -> Vec<Id> {
        match way {
            Way::Registers(product) => self.cooperative_product(product, (a, None), b, c),
            Way::Memory(tiling) => self.memory_words(tiling, a, b, c),
        }
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

    /// Has the next product wait for the last one, not for that before it.
    pub(super) fn product_after_the_last(&mut self) {
        self.matrix.recent[0] = self.matrix.recent[1];
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
            BSource::Rows(rows) => {
                // Column 2t, or 2t + 1.
                let bits = self.asm.u32(2);
                let column = self
                    .asm
                    .op(Op::ShiftRightLogical, Type::U32, &[f.eight_t, bits]);
                let column = self.offset(column, Type::U32, i64::from(n / 4));
                rows.iter()
                    .map(|rows| match rows.transposed {
                        false => self.word_of_row(rows, column, n % 4),
                        // Row 2n, or 2n + 1, of k; of both columns.
                        true => self.own_word_of_row(rows, 2 * (n % 4) + n / 4),
                    })
                    .collect()
            }
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
                        } else if let (Element::Byte { a_signed, b_signed }, true) =
                            (f.element, self.yields())
                        {
                            self.add_byte_products(s, (x, a_signed), (y, b_signed))
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
            let mut y = [0, 1].map(|k| self.elements_of(other, b[k][q]));
            if matches!(&f.b, BSource::Rows(rows) if rows[q].transposed) {
                // By k, then column.
                y = [0, 1].map(|column| y.iter().map(|row| row[column]).collect());
            }
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

    /// `sum` and the products of the bytes of two words, each with whether it is signed. llvmpipe takes a word apart for each
    /// dot product; here the same word's bytes are made once in a block.
    fn add_byte_products(&mut self, mut sum: Id, a: (Id, bool), b: (Id, bool)) -> Id {
        let [a, b] = [a, b].map(|(word, signed)| {
            let element = Element::Byte {
                a_signed: signed,
                b_signed: signed,
            };
            self.elements_of(element, word)
        });
        for (x, y) in a.into_iter().zip(b) {
            let p = self.asm.op(Op::IMul, Type::U32, &[x, y]);
            sum = self.asm.op(Op::IAdd, Type::U32, &[sum, p]);
        }
        sum
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

    /// The elements of a word of A as single-precision numbers, bytes as integers; where warps yield they are made once in a
    /// block.
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

    pub(super) fn new_elements(&mut self, element: Element, w: Id) -> Vec<Id> {
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
            Element::Byte { a_signed, .. } => self.bytes_of(w, a_signed),
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
                    // A pair is read at its alignment.
                    2 if first % 2 == 0 => {
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
