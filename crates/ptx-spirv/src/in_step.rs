//! Where the lanes of a warp count on running in step.
//!
//! PTX promises no order between accesses of two lanes to memory with nothing between them that brings the lanes together.
//! But the lanes of a warp run in step on the hardware as long as their ways do not part, and kernels count on it:
//!
//! ```text
//! st.shared.u32 [tid * 4], x;          all lanes
//! @first_of_eight st.shared.f32 [64 + tid / 8 * 4], y;    over what lanes 16 to 19 have stored
//! ```
//!
//! Where a warp is made of several subgroups that run one after another ([`crate::Warps::Yield`]), the second store of the first
//! subgroup comes before the first store of the third. This pass finds such pairs and makes the warp meet between them.
//!
//! A pair is two accesses, one of them at least writes, and there is a way from the first to the second without a
//! meeting. In shared memory the warp meets if lanes of two subgroups are known to touch the same bytes: both addresses are
//! the same for the warp up to a number that each lane has of its own ([`Form`]); where the accesses are volatile, by which old kernels
//! say that they count on it, also if that is not known. `ldmatrix` reads for the whole warp: before it the warp meets after any
//! store of its own. In global memory it meets where two accesses go by the same pointer ([`Roots`]), unless they are known to
//! be of different bytes, by the same register, which is each lane's own place, or of the same shape, which is another row. (That
//! two lanes store to one place, whose addresses are not known, is not expected.) Meetings are possible where a warp is together, which
//! [`uniform::levels`] knows: before the second access, or where the branch is by which some lanes come to it.

mod form;

use crate::graph::{self, Graph, Place, Register, Step};
use crate::roots::{is_of_module, Root, Roots};
use crate::uniform::{self, Level, Levels};
use crate::ModuleLayout;
use form::{product, Form, Term};
use ptx::{AddressBase, Instruction, Modifier, Module, Opcode, Operand, SpecialRegister};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// Where an access goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    Shared,
    /// The pointer that the address comes from, and the register that holds it if one does.
    Global(Option<(Root, Option<Register>)>),
}

/// An access to memory that lanes share.
struct Access {
    space: Space,
    /// Frame and statement.
    instruction: (u32, u32),
    /// None: not known for every lane.
    address: Option<Form>,
    /// The same for addresses with the same terms, but for the warp's.
    class: u32,
    /// Where the lanes' numbers begin and end.
    bounds: (u32, u32),
    bytes: u32,
    writes: bool,
    atomic: bool,
    volatile: bool,
    /// Reads for other lanes: `ldmatrix`.
    gathers: bool,
}

/// What a step is for this pass.
enum Kind {
    Access(u32),
    /// The warp comes together.
    Meeting,
}

/// Makes the warps of a kernel meet where lanes count on running in step. `width`: lanes of a subgroup.
pub fn order(graph: &mut Graph, module: &Module, layout: &ModuleLayout, width: u32) {
    let spaces = [Space::Shared, Space::Global(None)];
    let writes = |i: &Instruction| spaces.map(|s| access(i, s).is_some_and(|a| a.writes));
    if !graph.any(|i| writes(i).contains(&true)) {
        return;
    }
    let Some(loads) = place_meetings(graph, module, layout, width) else {
        return;
    };
    // What such loads decide the warp decides as one, so that it is together in more places.
    graph.same_for_warp = loads;
    place_meetings(graph, module, layout, width);
}

/// Makes the warps meet. Gives the volatile loads that turn out to be the same for all lanes, if `graph` does not know them.
fn place_meetings(
    graph: &mut Graph,
    module: &Module,
    layout: &ModuleLayout,
    width: u32,
) -> Option<FxHashSet<(u32, u32)>> {
    let writers = graph.only_writers();
    let mut pass = Pass {
        graph,
        module,
        layout,
        width: width as usize,
        constants: graph.constants_of(&writers),
        writers,
        levels: None,
        forms: FxHashMap::default(),
        accesses: Vec::new(),
        writing: Vec::new(),
        kinds: Vec::new(),
    };
    pass.collect();
    pass.find_addresses();
    // Most kernels have no such pair, wherever warps are together.
    let is_volatile = |a: &Access| a.volatile && a.space == Space::Shared;
    if !pass.accesses.iter().any(is_volatile) && pass.place().is_empty() {
        return None;
    }
    if !pass.find_levels() {
        return None;
    }
    pass.find_addresses();
    let same: FxHashSet<(u32, u32)> = pass.same_for_warp().collect();
    if graph.same_for_warp.is_empty() && !same.is_empty() {
        return Some(same);
    }
    let meetings = pass.place();
    for (block, at, level) in meetings {
        let block = &mut graph.blocks[block];
        block.convergent = true;
        let meeting = graph::Meeting { at, level };
        let after = block.meetings.partition_point(|m| m.at < at);
        block.meetings.insert(after, meeting);
    }
    None
}

struct Pass<'a, 'm> {
    graph: &'a Graph<'m>,
    module: &'a Module<'a>,
    layout: &'a ModuleLayout,
    width: usize,
    constants: Vec<Option<u64>>,
    writers: Vec<Option<Step>>,
    levels: Option<Levels>,
    /// None: not known, or being worked out.
    forms: FxHashMap<Register, Option<Form>>,
    accesses: Vec<Access>,
    /// The accesses that write, as bits.
    writing: Vec<u64>,
    /// By block: steps that matter.
    kinds: Vec<Vec<(u32, Kind)>>,
}

impl Pass<'_, '_> {
    /// Finds the accesses.
    fn collect(&mut self) {
        let graph = self.graph;
        let in_global = self.written_in_global();
        let mut found = Vec::new();
        for block in &graph.blocks {
            let mut kinds = Vec::new();
            for (at, step) in block.steps.iter().enumerate() {
                let Step::Instruction {
                    frame, statement, ..
                } = *step
                else {
                    continue;
                };
                let i = graph.instruction(frame, statement);
                let in_global = in_global.get(&(frame, statement));
                let space = in_global.copied().unwrap_or(Space::Shared);
                if let Some(mut access) = access(i, space) {
                    access.instruction = (frame, statement);
                    kinds.push((at as u32, Kind::Access(found.len() as u32)));
                    found.push(access);
                }
                if self.comes_together(frame, i) {
                    kinds.push((at as u32, Kind::Meeting));
                }
            }
            self.kinds.push(kinds);
        }
        self.accesses = found;
        self.writing = vec![0; self.accesses.len().div_ceil(64)];
        for (n, access) in self.accesses.iter().enumerate() {
            if access.writes {
                self.writing[n / 64] |= 1 << (n % 64);
            }
        }
    }

    /// The accesses of global memory by pointers by which something is written, and read or written in another place, too.
    fn written_in_global(&self) -> FxHashMap<(u32, u32), Space> {
        let graph = self.graph;
        let mut found = FxHashMap::default();
        // By pointer: whether it is written by, and how many accesses there are.
        let mut pointers: FxHashMap<Root, (bool, u32)> = FxHashMap::default();
        let mut roots = None;
        let blocks = 0..graph.blocks.len();
        for (at, i) in blocks.flat_map(|b| graph.instructions(b)) {
            let Some(access) = access(i, Space::Global(None)) else {
                continue;
            };
            let frame = at.0;
            let (root, register) = match address(i) {
                Some(Operand::Address {
                    base: AddressBase::Register(r),
                    ..
                }) => {
                    let r = graph.register(frame, *r);
                    let roots =
                        roots.get_or_insert_with(|| Roots::of(graph, self.module, self.layout));
                    (roots.register(r), Some(r))
                }
                Some(o) if is_of_module(graph, self.module, self.layout, frame, o) => {
                    (Some(Root::Module), None)
                }
                _ => continue,
            };
            let Some(root) = root else { continue };
            let (written, count) = pointers.entry(root).or_default();
            *written |= access.writes;
            *count += 1;
            found.insert(at, Space::Global(Some((root, register))));
        }
        found.retain(|_, space| match space {
            Space::Global(Some((root, _))) => matches!(pointers[root], (true, 2..)),
            _ => false,
        });
        found
    }

    /// Finds out who is together where. False if that is not known.
    fn find_levels(&mut self) -> bool {
        let touches = |b: usize| self.graph.blocks[b].convergent || !self.kinds[b].is_empty();
        self.levels = uniform::levels_by_contract(self.graph, self.module, self.layout, &touches);
        self.levels.is_some()
    }

    /// Works out the addresses. Before levels are known, each register that nothing is known of counts as the same for the warp.
    fn find_addresses(&mut self) {
        self.forms.clear();
        let mut classes: FxHashMap<Vec<(Term, u32)>, u32> = FxHashMap::default();
        for n in 0..self.accesses.len() {
            let (frame, statement) = self.accesses[n].instruction;
            let i = self.graph.instruction(frame, statement);
            let address = address(i).and_then(|o| self.operand(frame, o));
            let access = &mut self.accesses[n];
            if let Some(form) = &address {
                let terms = form.terms.iter().filter(|t| t.0 != Term::Warp);
                let count = classes.len() as u32;
                access.class = *classes.entry(terms.copied().collect()).or_insert(count);
                let (least, most) = (form.lanes.iter().min(), form.lanes.iter().max());
                access.bounds = (
                    least.copied().unwrap_or(0),
                    most.copied().unwrap_or(0).saturating_add(access.bytes),
                );
            }
            access.address = address;
        }
    }

    /// Volatile loads of one place of the warp's own: the address is one for all lanes, and another for each warp. The warp meets before
    /// them and before what is stored there next, so that all lanes get the same. (What all warps load others may store in between.)
    fn same_for_warp(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let same = |a: &&Access| {
            let one = a.address.as_ref().is_some_and(|form| {
                form.terms.iter().any(|t| t.0 == Term::Warp)
                    && form.lanes.iter().all(|l| *l == form.lanes[0])
            });
            one && a.volatile && !a.writes && a.space == Space::Shared
        };
        self.accesses.iter().filter(same).map(|a| a.instruction)
    }

    /// Whether the lanes of the warp have come together when the instruction is done.
    fn comes_together(&self, frame: u32, i: &Instruction) -> bool {
        match i.opcode {
            Opcode::Bar | Opcode::Barrier => !i.has(Modifier::Arrive),
            Opcode::Shfl => {
                // Butterflies within a subgroup are none of the warp's.
                let distance = match i.operands.get(2) {
                    Some(Operand::Integer(v)) => Some(*v),
                    Some(Operand::Register(r)) => {
                        self.constants[self.graph.register(frame, *r) as usize]
                    }
                    _ => None,
                };
                !(i.has(Modifier::Bfly) && distance.is_some_and(|d| d < self.width as u64))
            }
            Opcode::Vote | Opcode::Match | Opcode::Redux | Opcode::Elect | Opcode::Ldmatrix => true,
            _ => false,
        }
    }

    /// Who comes to a block; all of a block of threads before levels are known.
    fn level(&self, block: usize) -> Level {
        let levels = self.levels.as_ref();
        levels.map_or(Level::Block, |l| l.blocks[block])
    }

    /// Where the warps have to meet: block, step before which, level of the block.
    fn place(&self) -> Vec<(usize, u32, Level)> {
        let count = self.graph.blocks.len();
        let (order, dominators) = self.graph.dominators();
        let words = self.accesses.len().div_ceil(64);
        // Accesses since the last meeting, at each block's end.
        let mut open: Vec<Vec<u64>> = vec![vec![0; words]; count];
        let before = self.graph.predecessors();
        let mut meetings: Vec<Vec<u32>> = vec![Vec::new(); count];
        loop {
            let mut changed = false;
            let mut placed = false;
            for &b in &order {
                let b = b as usize;
                let mut here = vec![0u64; words];
                for &p in &before[b] {
                    for (h, o) in here.iter_mut().zip(&open[p as usize]) {
                        *h |= o;
                    }
                }
                for (at, kind) in &self.kinds[b] {
                    if meetings[b].contains(at) {
                        here.fill(0);
                    }
                    let n = match kind {
                        Kind::Meeting => {
                            here.fill(0);
                            continue;
                        }
                        Kind::Access(n) => *n as usize,
                    };
                    let access = &self.accesses[n];
                    let matters = access.address.is_some()
                        || access.volatile
                        || access.gathers
                        || access.space != Space::Shared;
                    if matters && self.meets_any(&here, n) {
                        if self.level(b) < Level::Lane {
                            meetings[b].push(*at);
                            here.fill(0);
                            placed = true;
                        } else if let Some(d) = self.together_before(&dominators, b) {
                            // What came since has no meeting possible in between.
                            let common = here.iter().zip(&open[d]).map(|(h, o)| h & o);
                            if self.meets_any(&common.collect::<Vec<_>>(), n) {
                                meetings[d].push(self.graph.blocks[d].steps.len() as u32);
                                open[d].fill(0);
                                placed = true;
                            }
                        }
                    }
                    here[n / 64] |= 1 << (n % 64);
                }
                if meetings[b].contains(&(self.graph.blocks[b].steps.len() as u32)) {
                    here.fill(0);
                }
                changed |= open[b] != here;
                open[b] = here;
            }
            if placed {
                // Fewer are open than were.
                open.iter_mut().for_each(|o| o.fill(0));
            } else if !changed {
                break;
            }
        }
        let each = meetings.into_iter().enumerate();
        each.flat_map(|(b, at)| at.into_iter().map(move |at| (b, at)))
            .map(|(b, at)| (b, at, self.level(b)))
            .collect()
    }

    /// The nearest block that all ways to a block pass, and where a warp is together.
    fn together_before(&self, dominators: &[u32], block: usize) -> Option<usize> {
        let mut at = block;
        while at != 0 {
            at = dominators[at] as usize;
            if self.level(at) < Level::Lane {
                return Some(at);
            }
        }
        None
    }

    /// Whether the warp has to meet before an access, of those that are open.
    fn meets_any(&self, open: &[u64], access: usize) -> bool {
        let access = &self.accesses[access];
        open.iter()
            .zip(&self.writing)
            .enumerate()
            .any(|(w, (open, writing))| {
                let mut bits = if access.writes { *open } else { open & writing };
                while bits != 0 {
                    let other = &self.accesses[w * 64 + bits.trailing_zeros() as usize];
                    bits &= bits - 1;
                    if self.meet(other, access) {
                        return true;
                    }
                }
                false
            })
    }

    /// Whether lanes of different subgroups touch the same bytes in two accesses. Warps other than the first of a row
    /// are taken for it where the two differ in that.
    fn meet(&self, a: &Access, b: &Access) -> bool {
        // One atomic operation beside another needs no order.
        if a.atomic && b.atomic {
            return false;
        }
        if let (Space::Global(Some(p)), Space::Global(Some(q))) = (a.space, b.space) {
            if p.0 != q.0 {
                return false;
            }
            let alike = match (&a.address, &b.address) {
                (Some(_), Some(_)) if a.class == b.class => None,
                // Places of the same shape, elsewhere: rows of an array.
                (Some(x), Some(y)) => Some(x.shape().eq(y.shape())),
                _ => Some(p.1.is_some() && p.1 == q.1),
            };
            if let Some(alike) = alike {
                let reads = |access: &Access| access.atomic || !access.writes;
                return !alike && (reads(a) || reads(b));
            }
        } else if a.space != b.space {
            return false;
        }
        if b.gathers {
            return a.writes;
        }
        let (Some(x), Some(y)) = (&a.address, &b.address) else {
            return a.volatile && b.volatile;
        };
        if a.class != b.class || a.bounds.1 <= b.bounds.0 || b.bounds.1 <= a.bounds.0 {
            return false;
        }
        let width = self.width;
        x.lanes.iter().enumerate().any(|(i, p)| {
            y.lanes.iter().enumerate().any(|(j, q)| {
                i / width != j / width
                    && (q.wrapping_sub(*p) < a.bytes || p.wrapping_sub(*q) < b.bytes)
            })
        })
    }

    fn register(&mut self, r: Register) -> Option<Form> {
        if let Some(known) = self.forms.get(&r) {
            return known.clone();
        }
        self.forms.insert(r, None);
        let form = match self.writers[r as usize] {
            Some(Step::Constant { bits, .. }) => Some(Form::constant(bits as u32)),
            Some(Step::Copy { from, .. }) => self.register(from),
            Some(Step::Instruction {
                frame, statement, ..
            }) => self.instruction(frame, statement, r),
            None => None,
        };
        let levels = self.levels.as_ref();
        let alike = levels.is_none_or(|l| l.registers[r as usize] < Level::Lane);
        let form = form.or_else(|| alike.then(|| Form::term(Term::Register(r))));
        self.forms.insert(r, form.clone());
        form
    }

    fn operand(&mut self, frame: u32, o: &Operand) -> Option<Form> {
        use SpecialRegister::*;
        let (symbol, offset) = match o {
            Operand::Integer(v) => return Some(Form::constant(*v as u32)),
            Operand::Register(r) => return self.register(self.graph.register(frame, *r)),
            Operand::Special(TidX) => {
                let mut form = Form::term(Term::Warp).times(32);
                form.lanes = std::array::from_fn(|n| n as u32);
                return Some(form);
            }
            Operand::Special(Laneid) => {
                let mut form = Form::constant(0);
                form.lanes = std::array::from_fn(|n| n as u32);
                return Some(form);
            }
            Operand::Special(
                s @ (TidY | TidZ | NtidX | NtidY | NtidZ | CtaidX | CtaidY | CtaidZ | NctaidX
                | NctaidY | NctaidZ | Warpid),
            ) => return Some(Form::term(Term::Special(*s))),
            Operand::Symbol { symbol, offset } => (*symbol, *offset),
            Operand::Address { base, offset } => match base {
                AddressBase::Symbol(symbol) => (*symbol, *offset),
                AddressBase::Absolute => return Some(Form::constant(*offset as u32)),
                AddressBase::Register(r) => {
                    let base = self.register(self.graph.register(frame, *r))?;
                    return Some(base.plus(&Form::constant(*offset as u32), 1));
                }
            },
            _ => return None,
        };
        let at = match self.graph.place(self.module, self.layout, frame, symbol)? {
            Place::Shared(at) => at,
            Place::DynamicShared => self
                .graph
                .static_shared
                .next_multiple_of(self.graph.dynamic_align.max(1)),
            _ => return None,
        };
        Some(Form::constant(at.wrapping_add(offset as u32)))
    }

    fn instruction(&mut self, frame: u32, statement: u32, r: Register) -> Option<Form> {
        use Modifier as M;
        let graph = self.graph;
        let i = graph.instruction(frame, statement);
        let integer = i
            .types()
            .all(|t| matches!(t, M::B32 | M::B64 | M::U32 | M::U64 | M::S32 | M::S64));
        let single = matches!(i.operands.first(), Some(Operand::Register(_)));
        if !integer || !single || i.predicate.is_some() || i.has(M::Sat) || i.has(M::Hi) {
            return None;
        }
        if !matches!(
            i.opcode,
            Opcode::Mov
                | Opcode::Cvt
                | Opcode::Cvta
                | Opcode::Add
                | Opcode::Sub
                | Opcode::Mul
                | Opcode::Mad
                | Opcode::Shl
                | Opcode::Shr
                | Opcode::And
                | Opcode::Or
                | Opcode::Xor
        ) {
            return None;
        }
        let mut sources: SmallVec<[Form; 3]> = SmallVec::new();
        for o in &i.operands[1..] {
            sources.push(self.operand(frame, o)?);
        }
        // What the lanes have in common where an operation leaves no sum.
        let common = |lanes: [u32; 32]| Form {
            terms: SmallVec::from_slice(&[(Term::Register(r), 1)]),
            lanes,
        };
        match (i.opcode, sources.as_slice()) {
            (Opcode::Mov | Opcode::Cvt, [a]) => Some(a.clone()),
            (Opcode::Cvta, [a]) if i.has(M::Shared) => Some(a.clone()),
            (Opcode::Add, [a, b]) => Some(a.plus(b, 1)),
            (Opcode::Sub, [a, b]) => Some(a.plus(b, !0)),
            (Opcode::Mul, [a, b]) => product(a, b),
            (Opcode::Mad, [a, b, c]) => Some(product(a, b)?.plus(c, 1)),
            (Opcode::Shl, [a, by]) => {
                let by = by.as_constant()?;
                Some(a.times(1u32.checked_shl(by).unwrap_or(0)))
            }
            (Opcode::Shr, [a, by]) => {
                let by = by.as_constant().filter(|by| *by < 32)?;
                let lower = a.low(|l, _| l >> by)?;
                if a.low_bits() < by {
                    return Some(common(lower.lanes));
                }
                let terms = a.terms.iter().map(|&(t, f)| (t, f >> by)).collect();
                Some(Form {
                    terms,
                    lanes: lower.lanes,
                })
            }
            (Opcode::And, [a, b]) => {
                let (a, by) = match (a.as_constant(), b.as_constant()) {
                    (_, Some(by)) => (a, by),
                    (Some(by), _) => (b, by),
                    _ => return None,
                };
                let lower = a.low(|l, _| l & by)?;
                let low = u32::MAX.checked_shr(32 - a.low_bits()).unwrap_or(0);
                Some(if by & !low == 0 {
                    Form {
                        terms: SmallVec::new(),
                        ..lower
                    }
                } else if by | low == u32::MAX {
                    lower
                } else {
                    common(lower.lanes)
                })
            }
            (Opcode::Or | Opcode::Xor, [a, b]) => {
                let (a, b) = if b.terms.is_empty() { (a, b) } else { (b, a) };
                let bits = a.low_bits();
                let fits = bits == 32 || b.lanes.iter().all(|l| l >> bits == 0);
                if !b.terms.is_empty() || !fits {
                    return None;
                }
                a.low(|l, n| match i.opcode {
                    Opcode::Or => l | b.lanes[n],
                    _ => l ^ b.lanes[n],
                })
            }
            _ => None,
        }
    }
}

/// The operand by which an instruction accesses memory.
fn address(i: &Instruction) -> Option<&Operand> {
    let is_address = |o: &&Operand| matches!(o, Operand::Address { .. });
    i.operands.iter().find(is_address)
}

/// The access to a space that an instruction is, without its address.
fn access(i: &Instruction, space: Space) -> Option<Access> {
    use Modifier as M;
    let atomic = matches!(i.opcode, Opcode::Atom | Opcode::Red);
    let gathers = i.opcode == Opcode::Ldmatrix;
    if !atomic && !gathers && !matches!(i.opcode, Opcode::Ld | Opcode::St) {
        return None;
    }
    let any = |wanted: &[M]| i.modifiers.iter().any(|m| wanted.contains(m));
    let goes_there = match space {
        // Without a space the address of a matrix is a generic one, of shared memory.
        Space::Shared => gathers || any(&[M::Shared, M::SharedCta]),
        // What orders itself needs no meeting; what is only read has none to wait for.
        Space::Global(_) => {
            let other = [
                M::Shared,
                M::SharedCta,
                M::SharedCluster,
                M::Local,
                M::Const,
            ];
            let ordered = [
                M::Relaxed,
                M::Acquire,
                M::Release,
                M::AcqRel,
                M::Mmio,
                M::Nc,
            ];
            let parameters = [M::Param, M::ParamEntry, M::ParamFunc];
            !gathers && !any(&other) && !any(&parameters) && !any(&ordered)
        }
    };
    if !goes_there {
        return None;
    }
    let size = i.types().next_back().and_then(|t| t.size()).unwrap_or(4);
    Some(Access {
        space,
        instruction: (0, 0),
        address: None,
        class: 0,
        bounds: (0, 0),
        bytes: size * u32::from(i.vector_width()),
        writes: !matches!(i.opcode, Opcode::Ld | Opcode::Ldmatrix),
        atomic,
        volatile: i.has(M::Volatile),
        gathers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many meetings a kernel gets, with subgroups of 8.
    fn meetings(body: &str) -> usize {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 8 .b8 table[4096];\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<8>; .reg .b32 %r<16>; .reg .pred %p<4>;\n\
             mov.u32 %r0, table; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; add.u32 %r3, %r0, %r2; xor.b32 %r4, %r3, 64;\n\
             and.b32 %r5, %r1, -9; setp.ne.u32 %p0, %r5, 0;\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let mut graph = graph::build(&module, &layout, kernel).expect("a graph");
        order(&mut graph, &module, &layout, 8);
        graph.blocks.iter().map(|b| b.meetings.len()).sum()
    }

    #[test]
    fn lanes_of_their_own_need_no_meeting() {
        for body in [
            // What the lane itself has stored, what lies elsewhere, what the same subgroup has stored.
            "st.shared.u32 [%r3], %r1; ld.shared.u32 %r6, [%r3];",
            "st.shared.u32 [%r3], %r1; ld.shared.u32 %r6, [%r3+2048];",
            "st.shared.u32 [%r3], %r1; xor.b32 %r7, %r2, 4; add.u32 %r8, %r7, %r0; ld.shared.u32 %r6, [%r8];",
            // Barriers.
            "st.shared.u32 [%r3], %r1; bar.sync 0; ld.shared.u32 %r6, [%r3+64];",
            "st.shared.u32 [%r3], %r1; bar.warp.sync -1; ld.shared.u32 %r6, [%r3+64];",
            // Loads only, atomic operations only.
            "ld.shared.u32 %r6, [%r3]; ld.shared.u32 %r7, [%r3+64];",
            "red.shared.add.u32 [%r0], 1; red.shared.add.u32 [%r0], 2;",
            // Matrices of what came before a barrier, which bring the warp together themselves.
            "st.shared.u32 [%r3], %r1; bar.warp.sync -1; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r6}, [%r3]; st.shared.u32 [%r3], %r6;",
            "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r6}, [%r3]; st.shared.u32 [%r3], %r6;",
            // Nothing is known of the second address.
            "st.shared.u32 [%r3], %r1; ld.shared.u32 %r6, [%r3]; shl.b32 %r7, %r6, 2; ld.shared.u32 %r8, [%r7];",
        ] {
            assert_eq!(meetings(body), 0, "{body}");
        }
    }

    /// Lane 31 says for the warp whether it goes on, in a loop within a loop (OpenMM's computeNonbonded).
    #[test]
    fn a_warp_decides_as_one_by_a_word_of_its_own() {
        let own = "and.b32 %r6, %r1, 31; sub.u32 %r7, %r1, %r6; shl.b32 %r8, %r7, 2; add.u32 %r9, %r0, %r8;";
        let all = "mov.u32 %r9, %r0;";
        for (address, expected) in [(own, 2), (all, 1)] {
            let body = format!(
                "{address}\nouter: inner: st.volatile.shared.u32 [%r3], %r1; ld.volatile.shared.u32 %r10, [%r9+124];\n\
                 setp.lt.s32 %p1, %r10, %r11; @%p1 bra inner; add.u32 %r11, %r11, 1; setp.lt.u32 %p2, %r11, 9; @%p2 bra outer;"
            );
            assert_eq!(meetings(&body), expected, "{body}");
        }
    }

    #[test]
    fn lanes_of_others_need_one() {
        for body in [
            "st.shared.u32 [%r3], %r1; ld.shared.u32 %r6, [%r3+64];",
            "ld.shared.u32 %r6, [%r3+64]; st.shared.u32 [%r3], %r6;",
            "st.shared.u32 [%r3], %r1; st.shared.u32 [%r3+4], %r1;",
            // One for several stores, and for several loads.
            "st.shared.u32 [%r3], %r1; st.shared.u32 [%r3+512], %r1; ld.shared.u32 %r6, [%r3+64]; ld.shared.u32 %r7, [%r3+600];",
            // Rows that other lanes have stored, wherever they are.
            "st.shared.u32 [%r3], %r1; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r6}, [%r3];",
            "ld.shared.u32 %r7, [%r3]; st.shared.u32 [%r7], %r1; ldmatrix.sync.aligned.m8n8.x1.b16 {%r6}, [%d0];",
            // At the branch.
            "st.shared.u32 [%r3], %r1; @%p0 bra end; st.shared.u32 [%r0+72], %r1;\nend:",
            "ld.volatile.shared.u32 %r6, [%r3]; ld.volatile.shared.u32 %r7, [%r6]; st.volatile.shared.u32 [%r7], %r1;",
        ] {
            assert_eq!(meetings(body), 1, "{body}");
        }
    }

    /// How many meetings a kernel gets whose %d1 and %d2 are a pointer and one with the lane's place added.
    fn meetings_in_global(body: &str) -> usize {
        meetings(&format!(
            "ld.param.u64 %d0, [p]; cvta.to.global.u64 %d1, %d0; mul.wide.u32 %d4, %r1, 4; add.s64 %d2, %d1, %d4; {body}"
        ))
    }

    #[test]
    fn lanes_meet_in_global_memory_where_they_may_touch_the_same() {
        for (body, expected) in [
            // Its own place, and another lane's.
            ("ld.global.u32 %r6, [%d2]; st.global.u32 [%d2], %r6;", 0),
            ("st.global.u32 [%d2], %r1; ld.global.u32 %r6, [%d2+32];", 1),
            ("st.global.u32 [%d2], %r1; bar.warp.sync -1; ld.global.u32 %r6, [%d2+32];", 0),
            // By what has been loaded, in the same array and in another one.
            (
                "st.global.u32 [%d2], %r1; ld.shared.u32 %r6, [%r3]; mad.wide.u32 %d3, %r6, 4, %d1; ld.global.u32 %r7, [%d3];",
                1,
            ),
            (
                "st.global.u32 [%d2], %r1; ld.shared.u64 %d3, [%r3]; ld.global.u32 %r7, [%d3];",
                0,
            ),
            // What is ordered by itself, and what is never written.
            (
                "st.relaxed.gpu.global.u32 [%d2], %r1; ld.relaxed.gpu.global.u32 %r6, [%d2+32];",
                0,
            ),
            ("ld.global.u32 %r7, [%d2]; ld.global.u32 %r6, [%d2+32];", 0),
            // In a loop, after the loads and before those of the next round.
            (
                "again: ld.shared.u32 %r6, [%r3]; mad.wide.u32 %d3, %r6, 4, %d1; ld.global.u32 %r7, [%d3]; st.global.u32 [%d2], %r7;\n                 add.u32 %r9, %r9, 1; setp.lt.u32 %p1, %r9, 9; @%p1 bra again;",
                2,
            ),
        ] {
            assert_eq!(meetings_in_global(body), expected, "{body}");
        }
    }

    /// A loop that each lane seems to leave for itself, and a vote in it for which all have to be there.
    #[test]
    fn an_operation_of_the_whole_warp_says_that_it_is_together() {
        for (vote, expected) in [("", 0), ("vote.sync.any.pred %p2, %p1, -1;", 1)] {
            let body = format!(
                "again: {vote} ld.shared.u32 %r6, [%r3]; mad.wide.u32 %d3, %r6, 4, %d1; ld.global.u32 %r7, [%d3];\n                 st.global.u32 [%d2], %r7; add.u32 %r9, %r9, %r1; setp.lt.u32 %p1, %r9, 900; @%p1 bra again; bar.sync 0;"
            );
            assert_eq!(meetings_in_global(&body), expected, "{body}");
        }
    }

    /// Both accesses where only some lanes are: nobody could meet.
    #[test]
    fn a_part_of_a_warp_does_not_meet() {
        let body = "@%p0 bra end; st.shared.u32 [%r3], %r1; ld.shared.u32 %r6, [%r3+32];\nend:";
        // Without a barrier behind it, the others have as good as left.
        assert_eq!(meetings(body), 1);
        assert_eq!(meetings(&format!("{body} bar.sync 0;")), 0);
    }
}
