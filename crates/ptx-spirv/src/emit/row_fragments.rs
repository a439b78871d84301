//! Fragments of products through workgroup memory whose rows `ldmatrix` loads.
//!
//! Where lanes hold other elements of cooperative matrices than of PTX's fragments, products go through a slot of workgroup
//! memory (`emit/cooperative_memory.rs`). Most of A and B comes from `ldmatrix`, for which each lane has the address of a row:
//!
//! ```text
//! ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r1, %r2, %r3, %r4}, [%r0];      lane 8m + r: row r of %r(m + 1)
//! mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 ..., {%r1, %r2, %r3, %r4}, {%r5, %r6}, ...;
//! ```
//!
//! If nobody else reads these registers, and nothing is written to shared memory in between, the lanes need no words of them: each
//! copies its row of 16 bytes into the slot, from which the matrices are loaded. If rows are known to lie at equal distances
//! (`emit/matrix_rows.rs`), the matrices are loaded from there, without a copy.
//!
//! In a slot a lane's words of a fragment lie side by side, so that k has an order of its own there; what goes through a slot into the
//! same product as rows lies in k's own order ([`Order::Natural`]).

use super::cooperative_memory::{Lane, Tiling, COLUMN_MAJOR, ROW_MAJOR};
use super::matrix_rows::RowPlaces;
use super::memory::{Access, Address, Space};
use super::*;
use crate::assembler::Role;
use crate::graph::Block;
use std::rc::Rc;

/// Bytes of a row of 8x8 elements of 16 bits.
const ROW: u32 = 16;

/// Bytes from one line to the next in a slot: two rows.
const LINE: u32 = 2 * ROW;

/// For how many products rows are taken as they are, where there are few registers: lanes' words are less work for more of them
/// (docs/benchmarks.md).
const MOST_PRODUCTS: usize = 5;

/// In which order the elements of k lie in a line of a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Order {
    /// Those of a lane side by side.
    Lanes,
    /// PTX's.
    Natural,
}

/// Where the matrices of an `ldmatrix` are put in a slot, of lines of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Layout {
    /// The second below the first, and the others to the right of these.
    Below,
    /// The second to the right of the first, and the others below these.
    Beside,
}

/// The matrix of a register: which `ldmatrix` of the block, and which of its matrices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Word {
    load: usize,
    matrix: usize,
}

/// A matrix of 8x8 in shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// Where its first row is: an offset in shared memory as an id (none: in the slot), and what is to be added to it.
    start: (Option<Id>, u32),
    /// Bytes from one row to the next.
    stride: u32,
}

/// A fragment that products need of what an `ldmatrix` loads.
#[derive(Clone, PartialEq, Eq)]
struct Wanted {
    tiling: Tiling,
    role: Role,
    matrices: Vec<usize>,
}

/// An `ldmatrix` whose registers only products read.
struct Load {
    /// The lane's row: an offset in shared memory.
    row: Id,
    /// Where its matrices lie, if that is known.
    places: Vec<Option<Place>>,
    wanted: Rc<Vec<Wanted>>,
}

/// What is known about such loads in the block that is being emitted.
#[derive(Default)]
pub(super) struct State {
    /// By step: what products need of it.
    plans: FxHashMap<usize, Rc<Vec<Wanted>>>,
    loads: Vec<Load>,
    registers: FxHashMap<Register, Word>,
}

impl Place {
    /// The one that is as many matrices of 8x8 further in lines of a fragment and in k.
    fn further(&self, (lines, groups): (usize, usize)) -> Self {
        let distance = 8 * self.stride * lines as u32 + ROW * groups as u32;
        Self {
            start: (self.start.0, self.start.1.wrapping_add(distance)),
            ..*self
        }
    }
}

impl Layout {
    fn place(self, matrix: usize) -> Place {
        let (low, high) = (matrix as u32 % 2, matrix as u32 / 2);
        let (down, right) = match self {
            Self::Below => (low, high),
            Self::Beside => (high, low),
        };
        Place {
            start: (None, 8 * LINE * down + ROW * right),
            stride: LINE,
        }
    }

    /// Where a lane puts its row, in units of rows.
    fn lane(self) -> Lane {
        match self {
            Self::Below => Lane::RowsBelow,
            Self::Beside => Lane::RowsBeside,
        }
    }
}

/// The device's matrices of a fragment, where its matrices of 8x8 lie so that they are ones: of A by step and tile, of B by
/// step. The words of A are numbered h + 2q by half of the rows and group of k.
fn joined(
    tiling: &Tiling,
    role: Role,
    words: &[usize],
    place: impl Fn(usize) -> Option<Place>,
) -> Option<Vec<Place>> {
    // Matrices with 16 columns have more than PTX's eight.
    if !tiling.takes_rows_in_order() {
        return None;
    }
    let (halves, tiles) = match role {
        Role::A => (2, tiling.tiles() as usize),
        _ => (1, 1),
    };
    let (lines, depth) = (halves / tiles, tiling.depth());
    let mut all = Vec::new();
    for step in 0..tiling.steps() {
        for tile in 0..tiles {
            let at = |h: usize, q: usize| {
                let word = words.get(tile * lines + h + halves * (step * depth + q))?;
                place(*word)
            };
            let first = at(0, 0)?;
            for h in 0..lines {
                for q in 0..depth {
                    if at(h, q)? != first.further((h, q)) {
                        return None;
                    }
                }
            }
            all.push(first);
        }
    }
    Some(all)
}

/// The layout in a slot in which matrices of an `ldmatrix` are a fragment.
fn layout(tiling: &Tiling, role: Role, words: &[usize]) -> Option<Layout> {
    let is_one = |l: &Layout| joined(tiling, role, words, |word| Some(l.place(word))).is_some();
    [Layout::Below, Layout::Beside].into_iter().find(is_one)
}

/// Whether an instruction leaves shared memory as it is, and does not wait for others to write there.
fn leaves_shared_memory(i: &Instruction) -> bool {
    use Modifier as M;
    use Opcode::*;
    match i.opcode {
        Ld | Ldu => ![M::Acquire, M::Relaxed, M::Volatile]
            .iter()
            .any(|&m| i.has(m)),
        St => [M::Global, M::Local, M::Param].iter().any(|&m| i.has(m)),
        Mov | Cvta | Isspacep | Szext | Prmt | And | Or | Xor | Not | Cnot | Lop3 | Shf | Shl
        | Shr | Add | Sub | Mul | Mad | Fma | Div | Rem | Abs | Neg | Min | Max | Addc | Subc
        | Madc | Mul24 | Mad24 | Sad | Popc | Clz | Bfind | Brev | Bfe | Bfi | Bmsk | Dp4a
        | Dp2a | Rcp | Sqrt | Rsqrt | Sin | Cos | Lg2 | Ex2 | Tanh | Copysign | Testp | Set
        | Setp | Selp | Slct | Cvt | Mma | Ldmatrix | Movmatrix => true,
        _ => false,
    }
}

/// The registers of an operand, in order; none if one of its parts is no register.
fn registers(graph: &Graph, frame: u32, operand: Option<&Operand>) -> Option<Vec<Register>> {
    let parts = Emitter::elements(operand?);
    let register = |o: &Operand| match o {
        Operand::Register(r) => Some(graph.register(frame, *r)),
        _ => None,
    };
    parts.iter().map(register).collect()
}

/// Loads of a block, while it is looked through.
#[derive(Default)]
struct Survey {
    /// What registers hold; and whether shared memory may have changed since.
    loaded: FxHashMap<Register, (usize, usize, bool)>,
    /// By step: what products need.
    loads: FxHashMap<usize, Vec<Wanted>>,
    /// Likewise: how many.
    products: FxHashMap<usize, usize>,
}

impl Survey {
    /// A register is read as a word.
    fn read(&mut self, r: Register) {
        if let Some(&(step, ..)) = self.loaded.get(&r) {
            self.loads.remove(&step);
        }
    }

    /// A product reads a fragment.
    fn product(&mut self, tiling: Tiling, role: Role, registers: &[Register]) {
        if self.takes_rows(tiling, role, registers).is_none() {
            registers.iter().for_each(|&r| self.read(r));
        }
    }

    /// Notes a fragment whose registers hold what one `ldmatrix` loaded; none if they do not.
    fn takes_rows(&mut self, tiling: Tiling, role: Role, registers: &[Register]) -> Option<()> {
        let loaded = registers.iter().map(|r| self.loaded.get(r).copied());
        let loaded: Vec<(usize, usize, bool)> = loaded.collect::<Option<_>>()?;
        let step = loaded.first()?.0;
        let together = loaded.iter().all(|&(s, _, stale)| s == step && !stale);
        let matrices: Vec<usize> = loaded.iter().map(|l| l.1).collect();
        if !together || layout(&tiling, role, &matrices).is_none() {
            return None;
        }
        let wanted = self.loads.get_mut(&step)?;
        *self.products.entry(step).or_default() += 1;
        let one = Wanted {
            tiling,
            role,
            matrices,
        };
        if !wanted.contains(&one) {
            wanted.push(one);
        }
        Some(())
    }
}

impl Emitter<'_> {
    /// Finds the loads of a block whose registers only products read, `exposed` being those that other blocks may read.
    pub(super) fn plan_rows(&mut self, block: &Block, exposed: &[bool]) {
        if self.yields() || self.info.shared_in_scratch {
            return;
        }
        let graph = self.graph;
        let mut survey = Survey::default();
        for (at, step) in block.steps.iter().enumerate() {
            let (mut reads, writes) = graph.accesses(step);
            let mut load = None;
            if let Step::Instruction {
                frame, statement, ..
            } = *step
            {
                let i = graph.instruction(frame, statement);
                if let (None, Some(tiling)) = (i.predicate, self.memory_tiling(i)) {
                    reads.clear();
                    for (n, role) in [(1, Role::A), (2, Role::B)] {
                        match registers(graph, frame, i.operands.get(n)) {
                            Some(all) => survey.product(tiling, role, &all),
                            None => reads.extend(
                                i.operands
                                    .get(n)
                                    .into_iter()
                                    .flat_map(|o| graph.registers_of(frame, o)),
                            ),
                        }
                    }
                    let c = i.operands.get(3).map(|c| graph.registers_of(frame, c));
                    reads.extend(c.unwrap_or_default());
                }
                if !leaves_shared_memory(i) {
                    survey.loaded.values_mut().for_each(|l| l.2 = true);
                }
                // Drivers load what lies across their lanes' words by halves, in more instructions than the words take.
                let plain = i.opcode == Opcode::Ldmatrix
                    && i.predicate.is_none()
                    && !i.has(Modifier::Trans)
                    && i.has(Modifier::M8n8)
                    && i.has(Modifier::B16);
                if let (true, Some(all)) = (plain, registers(graph, frame, i.operands.first())) {
                    let mut sorted = all.clone();
                    sorted.sort_unstable();
                    sorted.dedup();
                    let varies = all.iter().any(|r| self.rolled.contains(r));
                    load = (sorted.len() == all.len() && !varies).then_some(all);
                }
            }
            reads.into_iter().for_each(|r| survey.read(r));
            for r in writes {
                survey.loaded.remove(&r);
            }
            if let Some(all) = load {
                survey.loads.insert(at, Vec::new());
                for (n, r) in all.into_iter().enumerate() {
                    survey.loaded.insert(r, (at, n, false));
                }
            }
        }
        let left: Vec<Register> = survey.loaded.keys().copied().collect();
        for r in left.into_iter().filter(|&r| exposed[r as usize]) {
            survey.read(r);
        }
        // Rows are copied for each product, where few registers do not keep matrices.
        if self.target.registers != 0 {
            let products = &survey.products;
            let few = |at: &usize| products.get(at).is_none_or(|&n| n <= MOST_PRODUCTS);
            survey.loads.retain(|at, _| few(at));
        }
        let plans = survey.loads.into_iter();
        self.matrix.memory.rows.plans = plans.map(|(at, wanted)| (at, Rc::new(wanted))).collect();
    }

    /// Whether nobody reads what the current step, `ldmatrix`, loads, but products that take its rows.
    pub(super) fn is_planned(&self) -> bool {
        let state = &self.matrix.memory.rows;
        state.plans.contains_key(&self.matrix.at)
    }

    /// Notes the rows of such an `ldmatrix`: where the lane's own is, and where all are if that is known.
    pub(super) fn keep_rows(&mut self, parts: &[Operand], row: Id, rows: Option<&RowPlaces>) {
        let places = (0..parts.len()).map(|m| {
            let ((id, constant), stride) = rows?.straight(m)?;
            Some(Place {
                start: (Some(id), constant),
                stride,
            })
        });
        let places = places.collect();
        // The addresses that the other lanes have are nobody's.
        let row = match parts.len() as u32 {
            4 => row,
            count => {
                let (most, zero) = (self.asm.u32(8 * count), self.asm.u32(0));
                let lane = self.anew(self.entry.lane);
                let has = self.asm.op(Op::ULessThan, Type::Bool, &[lane, most]);
                self.asm.op(Op::Select, Type::U32, &[has, row, zero])
            }
        };
        let registers: Vec<Option<Register>> = parts
            .iter()
            .map(|part| match part {
                Operand::Register(r) => Some(self.virtual_register(*r)),
                _ => None,
            })
            .collect();
        let at = self.matrix.at;
        let state = &mut self.matrix.memory.rows;
        let load = state.loads.len();
        for (matrix, r) in registers.into_iter().enumerate() {
            if let Some(r) = r {
                state.registers.insert(r, Word { load, matrix });
            }
        }
        state.loads.push(Load {
            row,
            places,
            wanted: state.plans[&at].clone(),
        });
    }

    /// A register has another value now.
    pub(super) fn forget_rows(&mut self, r: Register) {
        let registers = &mut self.matrix.memory.rows.registers;
        if !registers.is_empty() {
            registers.remove(&r);
        }
    }

    /// The matrices that operands of a product are, where they are rows.
    pub(super) fn rows_of(&self, operands: &[Operand]) -> Option<Vec<Word>> {
        let state = &self.matrix.memory.rows;
        if state.registers.is_empty() {
            return None;
        }
        let word = |o: &Operand| match o {
            Operand::Register(r) => state.registers.get(&self.virtual_register(*r)).copied(),
            _ => None,
        };
        operands.iter().map(word).collect()
    }

    /// Loads a fragment from where its rows lie, if they lie as matrices.
    pub(super) fn load_rows_in_place(
        &mut self,
        tiling: Tiling,
        role: Role,
        words: &[Word],
    ) -> Option<Vec<Id>> {
        let load = &self.matrix.memory.rows.loads[words[0].load];
        let matrices: Vec<usize> = words.iter().map(|w| w.matrix).collect();
        let places = joined(&tiling, role, &matrices, |m| load.places[m])?;
        let ids = places.into_iter().map(|place| {
            let (start, constant) = (place.start.0?, i64::from(place.start.1 as i32));
            let at = self.offset(start, Type::U32, constant);
            let pointer = self.shared_pointer(at, Type::U32);
            Some(self.load_place(tiling, role, pointer, &place))
        });
        ids.collect()
    }

    /// Copies the rows of a fragment's `ldmatrix` to a byte of the slot.
    pub(super) fn store_rows(&mut self, tiling: Tiling, role: Role, words: &[Word], at: u32) {
        let layout = self.layout_of(tiling, role, words);
        let row = self.matrix.memory.rows.loads[words[0].load].row;
        let ty = Type::Vector(Scalar::U32, 4);
        let address = Address {
            space: Space::Shared,
            id: row,
        };
        let value = self.load(address, ty, Access::default());
        let pointer = self.lane_pointer(ty, layout.lane(), at, 0);
        self.store_to_slot(pointer, value);
    }

    /// Loads the matrices of a fragment whose rows are at a byte of the slot; and those of all others that products need of
    /// these rows.
    pub(super) fn load_rows_from_slot(
        &mut self,
        tiling: Tiling,
        role: Role,
        words: &[Word],
        at: u32,
    ) -> Vec<(Tiling, Role, Vec<Word>, Vec<Id>)> {
        let layout = self.layout_of(tiling, role, words);
        let load = words[0].load;
        let wanted = self.matrix.memory.rows.loads[load].wanted.clone();
        let mut all = Vec::new();
        for w in wanted.iter() {
            let place = |m| Some(layout.place(m));
            let Some(places) = joined(&w.tiling, w.role, &w.matrices, place) else {
                continue;
            };
            let ids = places.into_iter().map(|place| {
                let pointer = self.matrix_pointer(at + place.start.1);
                self.load_place(w.tiling, w.role, pointer, &place)
            });
            let ids = ids.collect();
            let words = w.matrices.iter().map(|&matrix| Word { load, matrix });
            all.push((w.tiling, w.role, words.collect(), ids));
        }
        all
    }

    fn layout_of(&self, tiling: Tiling, role: Role, words: &[Word]) -> Layout {
        let matrices: Vec<usize> = words.iter().map(|w| w.matrix).collect();
        layout(&tiling, role, &matrices).expect("planned as a fragment")
    }

    fn load_place(&mut self, tiling: Tiling, role: Role, pointer: Id, place: &Place) -> Id {
        let role = tiling.role(role);
        let layout = match role {
            Role::B => COLUMN_MAJOR,
            _ => ROW_MAJOR,
        };
        self.load_matrix_at(pointer, tiling.matrix(role), layout, place.stride)
    }
}
