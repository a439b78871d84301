//! mma.sync on cooperative matrices whose elements go through workgroup memory (SPV_KHR_cooperative_matrix).
//!
//! Which elements of a cooperative matrix a lane holds is the driver's own affair, but not where they lie in memory. So the
//! lanes of a warp store their words into a slot of workgroup memory, from which A, B and C are loaded as matrices, and D is
//! stored there, from which the lanes load theirs. A product may take the elements of k in any order, and rows and columns,
//! too, as long as D's are taken back in the same: so a lane's words lie side by side, but where others of the same product come
//! as rows (`emit/row_fragments.rs`). With g = lane / 4, t = lane % 4, and the words as `emit/matrix.rs` numbers them:
//!
//! ```text
//! A  row 8h + g:                                   words h + 2q of the lanes 4g + t, by t and then q
//! B  column g (of 16: 4 (g/2) + g%2):              words q of the lanes 4g + t, likewise
//! D  row 8h + g:                                   elements 2h, 2h + 1 of the lanes 4g + t
//!    where transposed, of column 2t + c:           elements c + 2h of the lanes 4g + t, by 8h + g
//! ```
//!
//! Shapes of 8x16 do the transposed product, which has 8 rows and 16 columns. Of shapes with 16 columns otherwise
//! half is not used.
//!
//! The same words are stored once in a block. D stays a matrix until an instruction reads one of its registers, or the
//! block ends: in between it is C of other products.
//!
//! Between the stores into a slot and the loads, and between loads and the next stores, there is a barrier of the
//! subgroup; all lanes have to be there, as `mma.sync` has it anyway. There is one slot for each warp, because other
//! addresses are other registers to compilers, which compute each once for a whole block.

use super::cooperative::Form;
use super::matrix::Way;
use super::matrix_sums::{continuing, exposed};
use super::product::Element;
use super::row_fragments::{self, Order, Word};
use super::*;
use crate::assembler::{Component, Matrix, Role};
use crate::graph::Block;
use crate::{KernelInfo, MatrixShape, SharedMemory};
use std::rc::Rc;

/// Bytes of a place in a slot: of B. A and D take two, D of 16x16 four.
const PLACE: u32 = 256;

/// Places of a slot.
const PLACES: u32 = 4;

/// Bytes of workgroup memory of a warp.
const SLOT_BYTES: u32 = PLACE * PLACES;

/// Sums that are read back together, where their words go to the thread's memory.
const FINISHED: usize = 2;

/// For how many products a matrix is kept for another one that uses the same words; where there are few registers.
const KEPT_FOR: u32 = 16;
const KEPT_FOR_WITH_FEW: u32 = 2;

/// Scope Subgroup; and AcquireRelease of workgroup memory, made available and visible.
const SUBGROUP: u32 = 3;
const SEMANTICS: u32 = 0x6108;
/// Memory operand NonPrivatePointer.
pub(super) const NON_PRIVATE: u32 = 0x20;
/// Layouts of matrices in memory.
pub(super) const ROW_MAJOR: u32 = 0;
pub(super) const COLUMN_MAJOR: u32 = 1;

/// A product as the device does it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    /// Elements of A and B.
    component: Component,
    /// Elements of the device's C and D.
    pub(super) sum: Component,
    /// Sums are half precision in PTX and single precision in the device.
    pub(super) narrow: bool,
    shape: MatrixShape,
    /// Words of B that PTX has.
    groups: usize,
    /// Words of B of one product of the device, and how many of them make one of PTX's.
    depth: usize,
    steps: usize,
}

/// What is loaded as matrices: the words of a lane.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Fragment {
    A(Vec<Id>, Order),
    B(Vec<Id>, Order),
    C(Vec<Id>),
    /// Of A or B: what ldmatrix loads.
    Rows(Role, Vec<Word>),
}

/// How a lane's place in a slot comes of its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Of none: the start of the slot.
    Start,
    /// lane
    Linear,
    /// 8g + t
    Rows,
    /// lane + 8 (lane / 8)
    Columns,
    /// 2 lane
    Wide,
    /// 32t + g
    Across,
    /// Of rows of 16 bytes, two in a line: 2 (lane % 16) + lane / 16
    RowsBelow,
    /// Likewise: 2 (lane % 8) + lane / 8 % 2 + 16 (lane / 16)
    RowsBeside,
}

/// Sums that are matrices.
pub(super) struct Sum {
    pub(super) tiling: Tiling,
    pub(super) matrices: Vec<Id>,
    /// A later product of the block takes them as C.
    pub(super) continues: bool,
}

/// What is known about products through memory in the block that is being emitted.
#[derive(Default)]
pub(super) struct State {
    /// The matrices of words, and the product that used them last.
    pub(super) loaded: FxHashMap<(Tiling, Fragment), (Vec<Id>, u32)>,
    /// Products of the block so far.
    pub(super) products: u32,
    /// The first bytes of the lanes' places, in units of some bytes.
    bases: FxHashMap<(Lane, u32), Id>,
    /// The 0 in them, where there are few registers.
    zero: Id,
    /// Whether the slot has been loaded from since the last barrier.
    pub(super) busy: bool,
    pub(super) sums: Vec<Sum>,
    /// Those of them that no product takes any more and whose words go to memory.
    pub(super) finished: Vec<usize>,
    /// Registers whose value is a word of a sum.
    pub(super) pending: FxHashMap<Register, (usize, usize)>,
    /// Steps whose D is C of a later product of the block.
    pub(super) continues: FxHashSet<usize>,
    /// Registers that some block reads before it writes them. Once asked for.
    pub(super) exposed: Option<Rc<Vec<bool>>>,
    /// Where the slots start, in units of some bytes: constants of the module.
    starts: FxHashMap<u32, Id>,
    pub(super) rows: row_fragments::State,
}

impl State {
    /// Forgets what was of the block before, and finds out which sums go on in this one.
    pub(super) fn start(&mut self, graph: &Graph, block: &Block) {
        let exposed = self
            .exposed
            .take()
            .unwrap_or_else(|| Rc::new(exposed(graph)));
        *self = State {
            // What other blocks loaded.
            busy: true,
            continues: continuing(graph, block),
            exposed: Some(exposed),
            starts: std::mem::take(&mut self.starts),
            ..State::default()
        };
    }
}

/// Bytes of workgroup memory that each warp of a kernel needs for its products; 0 where none goes through memory.
pub(crate) fn slot_bytes(target: &Target, info: &KernelInfo, graph: &Graph) -> u32 {
    let memory = &target.matrix_units.memory;
    let shared = if info.shared_in_scratch {
        0
    } else {
        info.static_shared
    };
    // How many warps there will be, and how much dynamic memory, is not known here.
    let fits = shared + SLOT_BYTES <= target.workgroup_memory;
    let possible = target.warps == Warps::Subgroup32
        && target.shared_memory == SharedMemory::ExplicitLayout
        && *memory != crate::MatrixMemory::NONE
        && fits
        && graph.any(|i| {
            let form = match i.opcode {
                Opcode::Mma => matrix::form_of(i),
                Opcode::Wmma => wmma::form_of(i),
                _ => None,
            };
            form.is_some_and(|form| Tiling::of(form, memory).is_some())
        });
    if possible {
        SLOT_BYTES
    } else {
        0
    }
}

/// Whether a kernel multiplies halves through workgroup memory. Flash attention does, and takes Mesa's compiler for Intel twice to
/// four times as long with blocks that are split and zeros that wait for nothing (docs/benchmarks.md).
pub(super) fn multiplies_halves(graph: &Graph, info: &KernelInfo) -> bool {
    let halves =
        |i: &Instruction| matrix::form_of(i).is_some_and(|form| form.component == Component::F16);
    info.matrix_slot_bytes > 0 && graph.any(halves)
}

impl Tiling {
    /// The device's way for a form, if it has one.
    pub(super) fn of(form: Form, memory: &crate::MatrixMemory) -> Option<Self> {
        use Modifier as M;
        let narrow =
            (form.component, form.sum) == (Component::F16, Component::F16) && memory.half.is_none();
        let (shape, sum) = match (form.component, form.sum) {
            (Component::F16, _) if narrow => (memory.half_single?, Component::F32),
            (Component::F16, Component::F16) => (memory.half?, Component::F16),
            (Component::F16, Component::F32) => (memory.half_single?, Component::F32),
            (Component::S8, _) => (memory.signed?, Component::S32),
            (Component::U8, _) => (memory.unsigned?, Component::U32),
            _ => return None,
        };
        let groups = match (form.component, form.shape) {
            (Component::F16, M::M16n8k8) => 1,
            (Component::F16, M::M16n8k16) => 2,
            (Component::S8 | Component::U8, M::M16n8k16) => 1,
            (Component::S8 | Component::U8, M::M16n8k32) => 2,
            _ => return None,
        };
        let per_group = 16 / form.component.ty().size();
        let depth = u32::from(shape.k) / per_group;
        let possible = matches!((shape.m, shape.n), (8 | 16, 8 | 16))
            && matches!(depth, 1 | 2)
            && u32::from(shape.k) % per_group == 0
            && !((shape.m, shape.n) == (8, 16) && sum == Component::F16);
        possible.then_some(Self {
            component: form.component,
            sum,
            narrow,
            shape,
            groups,
            depth: depth as usize,
            steps: groups.div_ceil(depth as usize),
        })
    }

    /// Whether the product is the transposed one.
    pub(super) fn transposed(&self) -> bool {
        (self.shape.m, self.shape.n) == (8, 16)
    }

    /// Whether the rows of A and the columns of B are matrices of the device as they are.
    pub(super) fn takes_rows_in_order(&self) -> bool {
        self.shape.n == 8 || self.transposed()
    }

    /// The device's operand for one of PTX's.
    pub(super) fn role(&self, role: Role) -> Role {
        match (role, self.transposed()) {
            (Role::A, true) => Role::B,
            (Role::B, true) => Role::A,
            _ => role,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn matrix(&self, role: Role) -> Matrix {
        let MatrixShape { m, n, k } = self.shape;
        let (component, rows, columns) = match role {
            Role::A => (self.component, m, k),
            Role::B => (self.component, k, n),
            Role::Accumulator => (self.sum, m, n),
        };
        Matrix {
            component,
            rows: rows.into(),
            columns: columns.into(),
            role,
        }
    }

    /// Matrices of PTX's 16 rows.
    pub(super) fn tiles(&self) -> u32 {
        let rows = if self.transposed() {
            self.shape.n
        } else {
            self.shape.m
        };
        16 / u32::from(rows)
    }

    /// Bytes of a row of A, and of a column of B, of one product.
    fn line(&self) -> u32 {
        16 * self.depth as u32
    }

    /// Bytes of a row of the device's D.
    pub(super) fn sum_line(&self) -> u32 {
        u32::from(self.shape.n) * self.sum.ty().size()
    }

    /// Places of a slot that a fragment takes.
    fn places(&self, of: &Fragment) -> u32 {
        match of {
            Fragment::A(..) => 2,
            Fragment::B(..) if self.shape.n == 16 && !self.transposed() => 2,
            Fragment::B(..) => 1,
            Fragment::Rows(..) => 2,
            Fragment::C(_) => self.sum_places(),
        }
    }

    pub(super) fn sum_places(&self) -> u32 {
        let rows = if self.transposed() { 8 } else { 16 };
        (rows * self.sum_line()).div_ceil(PLACE)
    }

    /// Where a lane's words of a sum lie: by words or vectors of two (or words, of half precision), the elements of PTX's D.
    pub(super) fn sum_parts(&self) -> (Lane, &'static [(u32, &'static [usize])]) {
        match (self.transposed(), self.shape.n) {
            (true, _) => (
                Lane::Across,
                &[(0, &[0]), (16, &[1]), (8, &[2]), (24, &[3])],
            ),
            (_, 8) => (Lane::Linear, &[(0, &[0, 1]), (32, &[2, 3])]),
            _ => (Lane::Wide, &[(0, &[0, 1]), (64, &[2, 3])]),
        }
    }
}

impl Emitter<'_> {
    /// mma of operands whose sums are of this type; D's registers become words of a sum that is a matrix.
    pub(super) fn memory_mma(
        &mut self,
        tiling: Tiling,
        (a, b): (&[Operand], &[Operand]),
        c: &[Operand],
        d: &[Operand],
    ) -> Result<()> {
        let sums = match self.pending_sum(tiling, c) {
            Some(matrices) => Ok(matrices),
            None => {
                let mut pending: Vec<usize> = Vec::new();
                for o in c {
                    pending.extend(self.pending_of(o).map(|(sum, _)| sum));
                }
                self.read_back(&pending);
                let mut words = Vec::new();
                let mut zero = true;
                for o in c {
                    zero &= self.is_zero_operand(o);
                    words.push(self.value(o, Type::U32)?);
                }
                match zero {
                    true => Ok(self.zero_sum(tiling)),
                    false => Err(words),
                }
            }
        };
        let (rows, columns) = (self.rows_of(a), self.rows_of(b));
        let order = match (&rows, &columns) {
            (None, None) => Order::Lanes,
            _ => Order::Natural,
        };
        let a = match rows {
            Some(words) => Fragment::Rows(Role::A, words),
            None => Fragment::A(self.operand_words(a)?, order),
        };
        let b = match columns {
            Some(words) => Fragment::Rows(Role::B, words),
            None => Fragment::B(self.operand_words(b)?, order),
        };
        let matrices = self.memory_product(tiling, (a, b), sums);
        let at = self.matrix.at;
        let continues = self.matrix.memory.continues.contains(&at);
        let state = &mut self.matrix.memory;
        let sum = state.sums.len();
        state.sums.push(Sum {
            tiling,
            matrices,
            continues,
        });
        if self.predicate.is_none() {
            let mut home = false;
            for (word, o) in d.iter().enumerate() {
                if let Operand::Register(r) = o {
                    let r = self.virtual_register(*r);
                    self.matrix.memory.pending.insert(r, (sum, word));
                    home |= matches!(self.storage[r as usize], Storage::Memory { .. });
                }
            }
            if home && !continues {
                let finished = &mut self.matrix.memory.finished;
                finished.push(sum);
                if finished.len() >= FINISHED {
                    let finished = std::mem::take(finished);
                    self.read_back(&finished);
                }
            }
            return Ok(());
        }
        let words = self.words_of_sums(&[sum]).remove(0);
        for (o, &w) in d.iter().zip(&words) {
            self.set(o, Type::U32, w)?;
        }
        Ok(())
    }

    /// The product of PTX fragments, as words; gives D's, of 32 bits.
    pub(super) fn memory_words(&mut self, tiling: Tiling, a: &[Id], b: &[Id], c: &[Id]) -> Vec<Id> {
        let single = !tiling.narrow && tiling.sum == Component::F32;
        let words = |e: &mut Self, from: &[Id], to: Type| -> Vec<Id> {
            let ty = if single && to == Type::U32 {
                Type::F32
            } else {
                Type::U32
            };
            from.iter()
                .map(|&id| e.cast(Value { id, ty }, to))
                .collect()
        };
        let c = words(self, c, Type::U32);
        let a = Fragment::A(a.to_vec(), Order::Lanes);
        let b = Fragment::B(b.to_vec(), Order::Lanes);
        let matrices = self.memory_product(tiling, (a, b), Err(c));
        let sum = self.matrix.memory.sums.len();
        self.matrix.memory.sums.push(Sum {
            tiling,
            matrices,
            continues: false,
        });
        let d = self.words_of_sums(&[sum]).remove(0);
        if single {
            words(self, &d, Type::F32)
        } else {
            d
        }
    }

    /// How [`Emitter::memory_mma`] does an instruction, if it does.
    pub(super) fn memory_tiling(&self, i: &Instruction) -> Option<Tiling> {
        if i.opcode != Opcode::Mma || sparse::is_sparse(i) {
            return None;
        }
        match self.way(matrix::form_of(i)?)? {
            Way::Memory(tiling) => Some(tiling),
            Way::Registers(_) => None,
        }
    }

    fn operand_words(&mut self, operands: &[Operand]) -> Result<Vec<Id>> {
        let words = operands.iter().map(|o| self.value(o, Type::U32));
        words.collect()
    }

    /// The product of A and B added to sums, which are matrices or words.
    fn memory_product(
        &mut self,
        tiling: Tiling,
        (a, b): (Fragment, Fragment),
        c: std::result::Result<Vec<Id>, Vec<Id>>,
    ) -> Vec<Id> {
        let mut fragments = vec![a, b];
        let mut sums = match c {
            Ok(matrices) => matrices,
            Err(words) => {
                fragments.push(Fragment::C(words));
                Vec::new()
            }
        };
        let mut matrices = self.matrices_of(tiling, fragments);
        if sums.is_empty() {
            sums = matrices.pop().expect("C was asked for");
        }
        let (a, b) = (&matrices[0], &matrices[1]);
        let ty = Type::Matrix(tiling.matrix(Role::Accumulator));
        for step in 0..tiling.steps {
            for (tile, sum) in sums.iter_mut().enumerate() {
                let rows = a[step * tiling.tiles() as usize + tile];
                let (x, y) = match tiling.transposed() {
                    true => (b[step], rows),
                    false => (rows, b[step]),
                };
                let mut operands = vec![x, y, *sum];
                if tiling.component == Component::S8 {
                    // CooperativeMatrixOperands: A, B, C and the result are signed.
                    operands.push(0xf);
                }
                *sum = self.asm.op(Op::CooperativeMatrixMulAddKHR, ty, &operands);
            }
        }
        sums
    }

    /// Whether matrices are loaded, and not so long ago that they are better loaded again.
    fn is_at_hand(&self, key: &(Tiling, Fragment)) -> bool {
        let kept_for = match self.target.registers {
            0 => KEPT_FOR,
            _ => KEPT_FOR_WITH_FEW,
        };
        let state = &self.matrix.memory;
        let found = state.loaded.get(key);
        found.is_some_and(|f| state.products - f.1 <= kept_for)
    }

    /// The matrices of fragments: A and C by tile (A first by step), B by step.
    fn matrices_of(&mut self, tiling: Tiling, fragments: Vec<Fragment>) -> Vec<Vec<Id>> {
        self.matrix.memory.products += 1;
        let now = self.matrix.memory.products;
        let missing: Vec<Fragment> = fragments
            .iter()
            .filter(|f| !self.is_at_hand(&(tiling, (*f).clone())))
            .cloned()
            .collect();
        let mut through_slot = Vec::new();
        for fragment in missing {
            let in_place = match &fragment {
                Fragment::Rows(role, words) => self.load_rows_in_place(tiling, *role, words),
                _ => None,
            };
            match in_place {
                Some(ids) => {
                    let loaded = &mut self.matrix.memory.loaded;
                    loaded.insert((tiling, fragment), (ids, now));
                }
                None => through_slot.push(fragment),
            }
        }
        let mut rest = &through_slot[..];
        while !rest.is_empty() {
            let trip = self.trip(rest.iter().map(|f| tiling.places(f)));
            let (fragments, later) = rest.split_at(trip.len());
            rest = later;
            for (f, &at) in fragments.iter().zip(&trip) {
                self.store_fragment(tiling, f, at);
            }
            self.matrix_barrier();
            for (f, at) in fragments.iter().zip(trip) {
                if let Fragment::Rows(role, words) = f {
                    for (tiling, role, words, ids) in
                        self.load_rows_from_slot(tiling, *role, words, at)
                    {
                        let loaded = &mut self.matrix.memory.loaded;
                        loaded.insert((tiling, Fragment::Rows(role, words)), (ids, now));
                    }
                    continue;
                }
                let ids = self.load_fragment(tiling, f, at);
                let loaded = &mut self.matrix.memory.loaded;
                loaded.insert((tiling, f.clone()), (ids, now));
            }
            self.matrix.memory.busy = true;
        }
        fragments
            .into_iter()
            .map(|f| {
                let found = self.matrix.memory.loaded.get_mut(&(tiling, f));
                let found = found.expect("loaded by now");
                found.1 = now;
                found.0.clone()
            })
            .collect()
    }

    /// Where in the slot the next fragments lie, in bytes: of as many of them as fit. Nobody loads from it any more.
    pub(super) fn trip(&mut self, places: impl Iterator<Item = u32>) -> Vec<u32> {
        if self.matrix.memory.busy {
            self.matrix_barrier();
        }
        let mut next = 0;
        let mut all = Vec::new();
        for count in places {
            if next + count > PLACES {
                break;
            }
            all.push(next * PLACE);
            next += count;
        }
        assert!(!all.is_empty(), "every fragment fits into a slot");
        all
    }

    pub(super) fn matrix_barrier(&mut self) {
        let (scope, semantics) = (self.asm.u32(SUBGROUP), self.asm.u32(SEMANTICS));
        self.asm
            .void(Op::ControlBarrier, &[scope, scope, semantics]);
        self.matrix.memory.busy = false;
    }

    /// Stores a lane's words of a fragment from a byte of the slot on.
    fn store_fragment(&mut self, tiling: Tiling, fragment: &Fragment, at: u32) {
        let zero = self.asm.u32(0);
        let depth = tiling.depth;
        match fragment {
            Fragment::Rows(role, words) => self.store_rows(tiling, *role, words, at),
            Fragment::A(words, Order::Natural) => {
                for (n, &word) in words.iter().enumerate() {
                    let (h, q) = (n as u32 % 2, n as u32 / 2);
                    self.store_natural(tiling, word, at, (h, q), 16);
                }
            }
            Fragment::B(words, Order::Natural) => {
                for (q, &word) in words.iter().enumerate() {
                    self.store_natural(tiling, word, at, (0, q as u32), 8);
                }
            }
            Fragment::A(words, Order::Lanes) => {
                for step in 0..tiling.steps {
                    for h in 0..2 {
                        let words: Vec<Id> = (step * depth..(step + 1) * depth)
                            .map(|q| match q < tiling.groups {
                                true => words[h + 2 * q],
                                false => zero,
                            })
                            .collect();
                        let at = at + step as u32 * 16 * tiling.line();
                        self.store_words(&words, Lane::Linear, at, h as u32 * 32);
                    }
                }
            }
            Fragment::B(words, Order::Lanes) => {
                let wide = tiling.shape.n == 16 && !tiling.transposed();
                let (lane, columns) = match wide {
                    true => (Lane::Columns, 16),
                    false => (Lane::Linear, 8),
                };
                for step in 0..tiling.steps {
                    let words: Vec<Id> = (step * depth..(step + 1) * depth)
                        .map(|q| match q < tiling.groups {
                            true => words[q],
                            false => zero,
                        })
                        .collect();
                    let at = at + step as u32 * columns * tiling.line();
                    self.store_words(&words, lane, at, 0);
                }
            }
            Fragment::C(words) => {
                let (lane, parts) = tiling.sum_parts();
                let words: Vec<Id> = match tiling.narrow {
                    true => words
                        .iter()
                        .flat_map(|&w| self.new_elements(Element::Half, w))
                        .collect::<Vec<Id>>()
                        .into_iter()
                        .map(|id| self.cast(Value { id, ty: Type::F32 }, Type::U32))
                        .collect(),
                    false => words.clone(),
                };
                for (h, &(unit, elements)) in parts.iter().enumerate() {
                    let part: Vec<Id> = match tiling.sum {
                        Component::F16 => vec![words[h]],
                        _ => elements.iter().map(|&e| words[e]).collect(),
                    };
                    self.store_words(&part, lane, at, unit);
                }
            }
        }
    }

    /// Stores a lane's word of lines 8h to 8h + 7 and group q of a fragment with so many lines, in k's own order.
    fn store_natural(&mut self, tiling: Tiling, word: Id, at: u32, (h, q): (u32, u32), lines: u32) {
        let (depth, line) = (tiling.depth as u32, tiling.line());
        let at = at + q / depth * lines * line;
        // A line of two groups has eight words, one of one group four.
        let lane = match depth {
            1 => Lane::Linear,
            _ => Lane::Rows,
        };
        self.store_words(&[word], lane, at, h * 8 * line / 4 + q % depth * 4);
    }

    /// Loads the matrices of a fragment from a byte of the slot on.
    fn load_fragment(&mut self, tiling: Tiling, fragment: &Fragment, at: u32) -> Vec<Id> {
        let line = tiling.line();
        let (rows, columns) = (tiling.role(Role::A), tiling.role(Role::B));
        let tile = match tiling.transposed() {
            true => tiling.shape.n,
            false => tiling.shape.m,
        };
        // What is rows of PTX's A lies as such; they are columns of the device's B where transposed.
        let layout = |role| match role {
            Role::B => COLUMN_MAJOR,
            _ => ROW_MAJOR,
        };
        let steps = tiling.steps as u32;
        match fragment {
            Fragment::A(..) => (0..steps * tiling.tiles())
                .map(|n| {
                    let at = at + n * u32::from(tile) * line;
                    self.load_matrix(tiling.matrix(rows), at, layout(rows), line)
                })
                .collect(),
            Fragment::B(..) => {
                let count = if columns == Role::B {
                    u32::from(tiling.shape.n)
                } else {
                    8
                };
                (0..steps)
                    .map(|n| {
                        let at = at + n * count * line;
                        self.load_matrix(tiling.matrix(columns), at, layout(columns), line)
                    })
                    .collect()
            }
            Fragment::Rows(..) => unreachable!("loaded with others of the same rows"),
            Fragment::C(_) => {
                let matrix = tiling.matrix(Role::Accumulator);
                let line = tiling.sum_line();
                (0..tiling.tiles())
                    .map(|n| self.load_matrix(matrix, at + n * matrix.rows * line, ROW_MAJOR, line))
                    .collect()
            }
        }
    }

    fn load_matrix(&mut self, matrix: Matrix, at: u32, layout: u32, line: u32) -> Id {
        let pointer = self.matrix_pointer(at);
        self.load_matrix_at(pointer, matrix, layout, line)
    }

    /// Loads a matrix whose lines lie so many bytes apart, by a pointer to a word.
    pub(super) fn load_matrix_at(
        &mut self,
        pointer: Id,
        matrix: Matrix,
        layout: u32,
        line: u32,
    ) -> Id {
        let (layout, stride) = (self.asm.u32(layout), self.asm.u32(line / 4));
        self.asm.op(
            Op::CooperativeMatrixLoadKHR,
            Type::Matrix(matrix),
            &[pointer, layout, stride, NON_PRIVATE],
        )
    }

    /// A pointer to a word of the slot, by bytes.
    pub(super) fn matrix_pointer(&mut self, at: u32) -> Id {
        let base = self.place_of_lane(Lane::Start, 4);
        let index = self.offset(base, Type::U32, i64::from(at / 4));
        self.shared_element(Type::U32, index)
    }

    /// Stores one or two words at a lane's place, and some units of as many words behind it.
    fn store_words(&mut self, words: &[Id], lane: Lane, at: u32, unit: u32) {
        let (ty, value) = match words {
            [one] => (Type::U32, *one),
            _ => {
                let ty = Type::Vector(Scalar::U32, 2);
                (ty, self.asm.op(Op::CompositeConstruct, ty, words))
            }
        };
        let pointer = self.lane_pointer(ty, lane, at, unit);
        self.store_to_slot(pointer, value);
    }

    pub(super) fn store_to_slot(&mut self, pointer: Id, value: Id) {
        self.asm.void(Op::Store, &[pointer, value, NON_PRIVATE]);
    }

    /// Loads what [`Emitter::store_words`] stores.
    pub(super) fn load_words(&mut self, count: u32, lane: Lane, at: u32, unit: u32) -> Vec<Id> {
        let ty = match count {
            1 => Type::U32,
            _ => Type::Vector(Scalar::U32, 2),
        };
        let pointer = self.lane_pointer(ty, lane, at, unit);
        let v = self.asm.op(Op::Load, ty, &[pointer, NON_PRIVATE]);
        match count {
            1 => vec![v],
            _ => (0..2)
                .map(|n| self.asm.op(Op::CompositeExtract, Type::U32, &[v, n]))
                .collect(),
        }
    }

    pub(super) fn lane_pointer(&mut self, ty: Type, lane: Lane, at: u32, unit: u32) -> Id {
        let size = ty.size();
        let base = self.place_of_lane(lane, size);
        let index = self.offset(base, Type::U32, i64::from(at / size + unit));
        self.shared_element(ty, index)
    }

    /// The index of a lane's place in workgroup memory, in units of so many bytes.
    fn place_of_lane(&mut self, lane: Lane, size: u32) -> Id {
        // Few registers are not for addresses.
        if self.target.registers != 0 {
            let zero = self.unknown_zero();
            if self.matrix.memory.zero != zero {
                self.matrix.memory.zero = zero;
                self.matrix.memory.bases.clear();
            }
        }
        if let Some(&id) = self.matrix.memory.bases.get(&(lane, size)) {
            return id;
        }
        let id = match lane {
            Lane::Start => {
                let start = self.start_of_slots(size);
                let bytes = self.asm.u32(SLOT_BYTES / size);
                let warp = self.entry.warp;
                let own = self.asm.op(Op::IMul, Type::U32, &[warp, bytes]);
                let id = self.asm.op(Op::IAdd, Type::U32, &[own, start]);
                match self.target.registers {
                    0 => id,
                    _ => {
                        let zero = self.matrix.memory.zero;
                        self.asm.op(Op::IAdd, Type::U32, &[id, zero])
                    }
                }
            }
            _ => {
                let start = self.place_of_lane(Lane::Start, size);
                let own = self.lane_units(lane);
                self.asm.op(Op::IAdd, Type::U32, &[start, own])
            }
        };
        self.matrix.memory.bases.insert((lane, size), id);
        id
    }

    fn lane_units(&mut self, of: Lane) -> Id {
        // Few registers are not for what they are made of, either.
        let lane = self.anew(self.entry.lane);
        let constant = |e: &mut Self, op, n| {
            let n = e.asm.u32(n);
            e.asm.op(op, Type::U32, &[lane, n])
        };
        match of {
            Lane::Start | Lane::Linear => lane,
            Lane::Wide => constant(self, Op::ShiftLeftLogical, 1),
            Lane::Rows => {
                // 4g + t and 4g.
                let quad = constant(self, Op::BitwiseAnd, 28);
                self.asm.op(Op::IAdd, Type::U32, &[lane, quad])
            }
            Lane::Columns => {
                let eight = constant(self, Op::BitwiseAnd, 24);
                self.asm.op(Op::IAdd, Type::U32, &[lane, eight])
            }
            Lane::RowsBelow => {
                let line = constant(self, Op::BitwiseAnd, 15);
                let right = constant(self, Op::ShiftRightLogical, 4);
                let one = self.asm.u32(1);
                let line = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[line, one]);
                self.asm.op(Op::IAdd, Type::U32, &[line, right])
            }
            Lane::RowsBeside => {
                // 16 (lane / 16) + 2 (lane % 8) + bit 3.
                let high = constant(self, Op::BitwiseAnd, 16);
                let row = constant(self, Op::BitwiseAnd, 7);
                let right = constant(self, Op::ShiftRightLogical, 3);
                let one = self.asm.u32(1);
                let row = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[row, one]);
                let right = self.asm.op(Op::BitwiseAnd, Type::U32, &[right, one]);
                let sum = self.asm.op(Op::IAdd, Type::U32, &[row, right]);
                self.asm.op(Op::IAdd, Type::U32, &[sum, high])
            }
            Lane::Across => {
                let g = constant(self, Op::ShiftRightLogical, 2);
                let t = constant(self, Op::BitwiseAnd, 3);
                let five = self.asm.u32(5);
                let t = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, five]);
                self.asm.op(Op::IAdd, Type::U32, &[t, g])
            }
        }
    }

    /// Where the slots of all warps start, in units of so many bytes: they are the last of workgroup memory.
    fn start_of_slots(&mut self, size: u32) -> Id {
        if let Some(&id) = self.matrix.memory.starts.get(&size) {
            return id;
        }
        let (threads, all) = (
            self.asm.spec_constant(0, 32),
            self.asm.spec_constant(4, 16 + SLOT_BYTES),
        );
        let [per_thread, size_id] = [SLOT_BYTES / 32, size].map(|n| self.asm.u32(n));
        let slots = self
            .asm
            .spec_operation(Op::IMul, Type::U32, &[threads, per_thread]);
        let start = self.asm.spec_operation(Op::ISub, Type::U32, &[all, slots]);
        let start = self
            .asm
            .spec_operation(Op::UDiv, Type::U32, &[start, size_id]);
        self.matrix.memory.starts.insert(size, start);
        start
    }
}
