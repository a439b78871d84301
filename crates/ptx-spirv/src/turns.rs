//! Lanes of one warp that wait for each other.
//!
//! ```text
//! again:  atom.cas.b32 %r1, [lock], 0, 1;   // one lane takes the lock,
//!         setp.ne.u32 %p1, %r1, 0;
//!         @%p1 bra again;                   // the others ask for it again and again
//!         ...
//!         atom.exch.b32 %r2, [lock], 0;     // and here it is given back.
//! ```
//!
//! PTX promises that the lane with the lock gets on. In a Vulkan shader all lanes that leave a loop go on together, once the last one has
//! left it: nobody would ever give the lock back. So the way on to where the lock is given back becomes part of the loop, which
//! lanes go round until all of them are through:
//!
//! ```text
//! do {
//!     if (stays) {
//!         if (atomicCompareExchange(lock, 0, 1) == 0) { ... atomicExchange(lock, 0); stays = false; }
//!     }
//! } while (any lane of the subgroup stays);
//! ```
//!
//! A [`Turn`] is such a part of the graph: one block where lanes come in, loops that wait, and *releases*, stores and atomic operations
//! that may be what is waited for. No barrier or warp operation is in it: where lanes meet, they need not have waited for each
//! other before. It reaches
//!
//! - from a loop to the stores to the very place that it asks, if there are any behind it, and else to all that may be of the same
//!   state space (the flag of the next one in a queue);
//! - from the branch before a loop, if its other way has releases and does not lead to the loop: one lane stores, the others wait.
//!
//! Turns that touch are one. In it a lane that would ask again goes to the end of the outer loop instead, with the number of the place where
//! it goes on in a register; so does a lane that is through, with the number of the way out.

use crate::graph::{self, Block, Condition, Graph, Register, Step};
use crate::polling::{self, Waiting};
use ptx::{AddressBase, Instruction, Modifier, Opcode, Operand, ScalarType};
use rustc_hash::FxHashSet;
use smallvec::smallvec;

/// Makes a loop of each part of a kernel in which lanes may wait for each other. `yields`: whether other subgroups run only when lanes let
/// them ([`crate::Warps::Yield`]).
pub fn take(graph: &mut Graph, yields: bool) {
    if polling::waiting(graph, true).is_empty() {
        return;
    }
    make_room(graph);
    let waiting = polling::waiting(graph, true);
    let turns = Finder::new(graph, &waiting).turns();
    for turn in turns {
        turn.write(graph, &waiting, yields);
    }
}

/// Gives the kernel a first block to which nothing leads, and blocks of their own to the steps before the first meeting of a block and
/// to the branch behind the last.
fn make_room(graph: &mut Graph) {
    let moved = graph.blocks.len() as u32;
    for block in &mut graph.blocks {
        for t in block.targets.iter_mut().filter(|t| **t == 0) {
            *t = moved;
        }
    }
    let first = std::mem::take(&mut graph.blocks[0]);
    graph.blocks.push(first);
    graph.blocks[0].targets = smallvec![moved];
    for b in 0..graph.blocks.len() {
        let meets = |step: &Step| match *step {
            Step::Instruction {
                frame, statement, ..
            } => polling::gathers(graph.instruction(frame, statement)),
            Step::Copy { .. } | Step::Constant { .. } => false,
        };
        let steps = &graph.blocks[b].steps;
        let first = steps.iter().position(meets);
        let last = steps.iter().rposition(meets);
        if let (Some(first), Some(last)) = (first, last) {
            if graph.blocks[b].condition.is_some() {
                split(graph, b, last + 1);
            }
            if first > 0 {
                split(graph, b, first);
            }
        }
    }
}

/// Makes the steps of a block from `at` on, and its branch, a block that follows.
fn split(graph: &mut Graph, block: usize, at: usize) {
    let behind = graph.blocks.len();
    let old = &mut graph.blocks[block];
    let rest = Block {
        steps: old.steps.split_off(at),
        condition: old.condition.take(),
        targets: std::mem::replace(&mut old.targets, smallvec![behind as u32]),
        ..Block::default()
    };
    graph.blocks.push(rest);
    for b in [block, behind] {
        graph.blocks[b].convergent = graph.any_in(b, graph::is_convergent);
    }
}

/// Where an instruction accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The state space; none for generic addresses.
    space: Option<Modifier>,
    /// What the offset counts from, where it has the same value all the time.
    base: Option<Base>,
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Register(Register),
    /// A name of a frame's body.
    Symbol(u32, ptx::SymbolId),
    Absolute,
}

impl Place {
    /// Whether two instructions that access these surely access one place.
    fn is(&self, other: &Self) -> bool {
        self.base.is_some() && self == other
    }

    /// Whether they may.
    fn may_be(&self, other: &Self) -> bool {
        self.space.is_none() || other.space.is_none() || self.space == other.space
    }
}

/// A part of a kernel in which lanes take turns.
struct Turn {
    /// Where they come in.
    entry: u32,
    /// Its blocks.
    blocks: FxHashSet<u32>,
    /// The loops that wait: indices.
    waits: Vec<usize>,
    /// Blocks with what may be waited for.
    releases: FxHashSet<u32>,
}

struct Finder<'a, 'm> {
    graph: &'a Graph<'m>,
    waiting: &'a [Waiting],
    /// By block: the nearest one that all ways to it pass, and its number in an order in which that one comes first.
    dominators: Vec<u32>,
    number: Vec<u32>,
    before: Vec<Vec<u32>>,
    writers: Vec<Option<Step>>,
}

impl<'a, 'm> Finder<'a, 'm> {
    fn new(graph: &'a Graph<'m>, waiting: &'a [Waiting]) -> Self {
        let (order, dominators) = graph.dominators();
        let mut number = vec![u32::MAX; graph.blocks.len()];
        for (n, &b) in order.iter().enumerate() {
            number[b as usize] = n as u32;
        }
        Self {
            graph,
            waiting,
            dominators,
            number,
            before: graph.predecessors(),
            writers: graph.only_writers(),
        }
    }

    /// The turns of the kernel: no two have a block in common.
    fn turns(&self) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        for mut turn in (0..self.waiting.len()).filter_map(|w| self.turn(w)) {
            while let Some(n) = turns
                .iter()
                .position(|t| !t.blocks.is_disjoint(&turn.blocks))
            {
                let other = turns.swap_remove(n);
                turn = self.united(turn, other);
            }
            turns.push(turn);
        }
        for turn in &mut turns {
            let inside = |w: &usize| self.waiting[*w].blocks.is_subset(&turn.blocks);
            turn.waits = (0..self.waiting.len()).filter(inside).collect();
        }
        turns
    }

    /// The turn that a loop needs, if it needs one.
    fn turn(&self, w: usize) -> Option<Turn> {
        let waiting = &self.waiting[w];
        let header = waiting.header;
        let behind = self.without_meetings(header);
        if !waiting.blocks.is_subset(&behind) {
            return None;
        }
        let asked: Vec<Place> = waiting
            .asks
            .iter()
            .flat_map(|&b| self.graph.instructions(b as usize))
            .filter(|(_, i)| matches!(i.opcode, Opcode::Ld | Opcode::Atom | Opcode::Mbarrier))
            .filter_map(|((frame, _), i)| self.place(frame, i))
            .collect();
        let surely = |b: &u32| self.releases(*b, &|p, _| asked.iter().any(|a| a.is(p)));
        let maybe =
            |b: &u32| self.releases(*b, &|p, strong| strong && asked.iter().any(|a| a.may_be(p)));
        let out = || behind.difference(&waiting.blocks).copied();
        let mut releases: FxHashSet<u32> = out().filter(|b| surely(b)).collect();
        if releases.is_empty() {
            releases = out().filter(|b| maybe(b)).collect();
        }
        // Who waits for a phase of an mbarrier has arrived, and arrives for the next one behind it.
        let asks = |b: &u32| {
            let barrier = |i: &Instruction| i.opcode == Opcode::Mbarrier;
            self.graph.any_in(*b as usize, barrier)
        };
        let phase = waiting.asks.iter().any(asks);
        // Ways that do not lead to the loop.
        let mut entry = header;
        let mut above = header;
        while above != 0 {
            above = self.dominators[above as usize];
            let around = self.without_meetings(above);
            if !around.contains(&header) {
                break;
            }
            let leading = self.leading(&around, [header]);
            let beside = |b: &u32| !leading.contains(b) && !self.dominates(header, *b);
            let other: Vec<u32> = around.iter().copied().filter(beside).collect();
            let other = other.into_iter().filter(|b| surely(b) || maybe(b));
            let before = releases.len();
            releases.extend(other);
            if releases.len() > before {
                entry = above;
                break;
            }
        }
        if phase && entry == header {
            return None;
        }
        (!releases.is_empty()).then(|| self.made(entry, vec![w], releases))
    }

    fn made(&self, entry: u32, waits: Vec<usize>, releases: FxHashSet<u32>) -> Turn {
        let all = self.without_meetings(entry);
        let headers = waits.iter().map(|&w| self.waiting[w].header);
        let mut blocks = self.leading(&all, releases.iter().copied().chain(headers));
        blocks.insert(entry);
        Turn {
            entry,
            blocks,
            waits,
            releases,
        }
    }

    /// Two turns with blocks in common as one; the first alone, where lanes meet between the two.
    fn united(&self, mut a: Turn, b: Turn) -> Turn {
        let (mut x, mut y) = (a.entry, b.entry);
        while x != y {
            if self.number[x as usize] < self.number[y as usize] {
                std::mem::swap(&mut x, &mut y);
            }
            x = self.dominators[x as usize];
        }
        let waits: Vec<usize> = a.waits.iter().chain(&b.waits).copied().collect();
        let releases = a.releases.union(&b.releases).copied().collect();
        let both = self.made(x, waits, releases);
        if a.blocks.is_subset(&both.blocks) && b.blocks.is_subset(&both.blocks) {
            a = both;
        }
        a
    }

    fn dominates(&self, a: u32, mut b: u32) -> bool {
        while self.number[b as usize] > self.number[a as usize] {
            b = self.dominators[b as usize];
        }
        a == b
    }

    /// The blocks that threads reach from `entry` and from nowhere else, without a meeting.
    fn without_meetings(&self, entry: u32) -> FxHashSet<u32> {
        let blocks = &self.graph.blocks;
        let mut found = FxHashSet::default();
        let meets = |b: u32| polling::is_meeting(self.graph, b);
        if meets(entry) {
            return found;
        }
        found.insert(entry);
        let mut open = vec![entry];
        while let Some(b) = open.pop() {
            for &t in &blocks[b as usize].targets {
                let inside = !meets(t) && self.dominates(entry, t);
                if inside && found.insert(t) {
                    open.push(t);
                }
            }
        }
        // What threads come to behind a meeting, too.
        loop {
            let reached = |p: &u32| self.number[*p as usize] != u32::MAX;
            let elsewhere = |b: &u32| {
                let mut before = self.before[*b as usize].iter().filter(|p| reached(p));
                *b != entry && before.any(|p| !found.contains(p))
            };
            let out: Vec<u32> = found.iter().copied().filter(elsewhere).collect();
            if out.is_empty() {
                return found;
            }
            for b in out {
                found.remove(&b);
            }
        }
    }

    /// Those of the blocks that lead to one of `to` within them, and those themselves.
    fn leading(
        &self,
        blocks: &FxHashSet<u32>,
        to: impl IntoIterator<Item = u32>,
    ) -> FxHashSet<u32> {
        let mut found: FxHashSet<u32> = to.into_iter().filter(|b| blocks.contains(b)).collect();
        let mut open: Vec<u32> = found.iter().copied().collect();
        while let Some(b) = open.pop() {
            for &p in &self.before[b as usize] {
                if blocks.contains(&p) && found.insert(p) {
                    open.push(p);
                }
            }
        }
        found
    }

    /// Whether a block writes what passes the test: a place, and whether the access says that other threads look there.
    fn releases(&self, b: u32, test: &dyn Fn(&Place, bool) -> bool) -> bool {
        use Modifier as M;
        let told = [M::Volatile, M::Relaxed, M::Release, M::Mmio];
        self.graph.instructions(b as usize).any(|((frame, _), i)| {
            let strong = match i.opcode {
                Opcode::St if i.has(M::Local) || i.has(M::Param) || i.has(M::ParamFunc) => {
                    return false;
                }
                Opcode::St => told.iter().any(|&m| i.has(m)),
                Opcode::Atom | Opcode::Red => true,
                Opcode::Mbarrier | Opcode::Cp => {
                    let arrives = [
                        M::Arrive,
                        M::ArriveDrop,
                        M::CompleteTx,
                        M::MbarrierCompleteTxBytes,
                    ];
                    arrives.iter().any(|&m| i.has(m))
                }
                _ => return false,
            };
            self.place(frame, i).is_some_and(|p| test(&p, strong))
        })
    }

    /// Where a load, store or atomic operation goes.
    fn place(&self, frame: u32, i: &Instruction) -> Option<Place> {
        let spaces = [Modifier::Global, Modifier::Shared, Modifier::SharedCta];
        let space = spaces.into_iter().find(|&m| i.has(m));
        i.operands.iter().find_map(|o| match o {
            Operand::Address { base, offset } => Some(Place {
                space: space.map(|m| match m {
                    Modifier::SharedCta => Modifier::Shared,
                    other => other,
                }),
                base: match *base {
                    AddressBase::Register(r) => {
                        let r = self.graph.register(frame, r);
                        let known = self.writers[r as usize].is_some();
                        known.then_some(Base::Register(r))
                    }
                    AddressBase::Symbol(s) => Some(Base::Symbol(frame, s)),
                    AddressBase::Absolute => Some(Base::Absolute),
                },
                offset: *offset,
            }),
            _ => None,
        })
    }
}

impl Turn {
    /// Makes a loop of it.
    fn write(&self, graph: &mut Graph, waiting: &[Waiting], yields: bool) {
        let mut register = |ty: ScalarType| {
            graph.registers.push(ty);
            graph.registers.len() as Register - 1
        };
        // Where a lane goes on, and whether it is not through.
        let (place, stays) = (register(Modifier::U32), register(Modifier::Pred));
        let set = |to: Register, bits: usize| Step::Constant {
            to,
            bits: bits as u64,
        };
        let waits: Vec<&Waiting> = self.waits.iter().map(|&w| &waiting[w]).collect();
        let old = graph.blocks.len() as u32;
        let end = add(graph, vec![], None, &[]);
        let again: Vec<u32> = (0..waits.len())
            .map(|n| add(graph, vec![set(place, n)], None, &[end]))
            .collect();
        // The inner edges that change, and the ways out: where each leads, and the block that notes it.
        let mut ways: Vec<(u32, u32)> = Vec::new();
        for b in (0..old).filter(|b| self.blocks.contains(b)) {
            for n in 0..graph.blocks[b as usize].targets.len() {
                let t = graph.blocks[b as usize].targets[n];
                let round = |w: &&Waiting| w.header == t && w.blocks.contains(&b);
                let to = if let Some(n) = waits.iter().position(round) {
                    again[n]
                } else if self.blocks.contains(&t) {
                    continue;
                } else if let Some(way) = ways.iter().find(|way| way.0 == t) {
                    way.1
                } else {
                    let number = set(place, waits.len() + 1 + ways.len());
                    let way = add(graph, vec![number, set(stays, 0)], None, &[end]);
                    ways.push((t, way));
                    way
                };
                graph.blocks[b as usize].targets[n] = to;
            }
        }
        // By the number of a place: where lanes go on.
        let mut dispatch = self.entry;
        for (n, w) in waits.iter().enumerate() {
            if w.header != self.entry {
                dispatch = choice(graph, place, n, [w.header, dispatch]);
            }
        }
        let goes_on = Condition::Predicate {
            register: stays,
            negated: false,
        };
        let dispatch = add(graph, vec![], Some(goes_on), &[dispatch, end]);
        let none = waits.len();
        let first = waits.iter().position(|w| w.header == self.entry);
        let begin = vec![set(place, first.unwrap_or(none)), set(stays, 1)];
        let start = add(graph, begin, None, &[dispatch]);
        let mut out = None;
        for (n, &(t, _)) in ways.iter().enumerate() {
            out = Some(match out {
                None => t,
                Some(other) => choice(graph, place, waits.len() + 1 + n, [t, other]),
            });
        }
        let out = out.unwrap_or_else(|| add(graph, vec![], None, &[]));
        let last = &mut graph.blocks[end as usize];
        last.condition = Some(Condition::Any { register: stays });
        last.targets = smallvec![dispatch, out];
        last.convergent = true;
        last.polls = yields;
        for b in (0..old).filter(|b| !self.blocks.contains(b)) {
            let targets = graph.blocks[b as usize].targets.iter_mut();
            targets
                .filter(|t| **t == self.entry)
                .for_each(|t| *t = start);
        }
    }
}

/// Adds a block.
fn add(graph: &mut Graph, steps: Vec<Step>, condition: Option<Condition>, to: &[u32]) -> u32 {
    graph.blocks.push(Block {
        steps,
        condition,
        targets: to.into(),
        ..Block::default()
    });
    graph.blocks.len() as u32 - 1
}

/// Adds a block that goes to the first of two where a register has this value.
fn choice(graph: &mut Graph, register: Register, value: usize, to: [u32; 2]) -> u32 {
    let value = value as u32;
    add(
        graph,
        vec![],
        Some(Condition::Equal { register, value }),
        &to,
    )
}

#[cfg(test)]
mod tests {
    use crate::graph::Condition;
    use crate::{graph, ModuleLayout};
    use ptx::Module;

    /// How many parts of a kernel take turns.
    fn turns(body: &str) -> usize {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 8 .b64 barrier;\n.global .u32 flag;\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<9>; .reg .b32 %r<16>; .reg .pred %p<4>;\n\
             mov.u64 %d1, flag; mov.u32 %r1, %tid.x; ld.param.u64 %d2, [p]; bar.sync 0;\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let mut graph = graph::build(&module, &layout, kernel).expect("a graph");
        super::take(&mut graph, false);
        let any = |b: &&graph::Block| matches!(b.condition, Some(Condition::Any { .. }));
        graph.blocks.iter().filter(any).count()
    }

    const LOCK: &str =
        "again: atom.global.cas.b32 %r2, [%d1], 0, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra again;";
    const ASK: &str =
        "again: ld.volatile.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;";

    #[test]
    fn locks_and_flags_are_found() {
        assert_eq!(
            turns(&format!("{LOCK} atom.global.exch.b32 %r3, [%d1], 0;")),
            1
        );
        assert_eq!(
            turns(&format!("{LOCK} st.global.u32 [%d1], 0; bar.sync 0;")),
            1
        );
        assert_eq!(
            turns(&format!("{ASK} st.volatile.global.u32 [%d1+4], 1;")),
            1
        );
        let beside = "setp.eq.u32 %p2, %r1, 0; @%p2 bra tells;";
        assert_eq!(
            turns(&format!(
                "{beside} {ASK} bra end; tells: st.volatile.global.u32 [%d1], 1; end:"
            )),
            1
        );
        let phase = |label: &str| {
            format!(
                "mbarrier.arrive.shared.b64 %d3, [barrier];\n\
                 {label}: mbarrier.try_wait.shared.b64 %p1, [barrier], %d3; @!%p1 bra {label};"
            )
        };
        assert_eq!(
            turns(&format!(
                "{beside} {} bra end; tells: {} end:",
                phase("a"),
                phase("b")
            )),
            1
        );
        assert_eq!(
            turns(
                "more: add.u64 %d4, %d1, %d3; ld.volatile.global.u32 %r2, [%d4]; setp.eq.u32 %p1, %r2, 0; @%p1 bra next;\n\
                 add.u64 %d3, %d3, 4; next: setp.lt.u64 %p2, %d3, 32; @%p2 bra more; st.volatile.global.u32 [%d1+64], 1;"
            ),
            1
        );
    }

    #[test]
    fn nothing_else_takes_turns() {
        // What is waited for comes from elsewhere.
        assert_eq!(turns(&format!("{ASK} st.global.u32 [%d2], 1;")), 0);
        assert_eq!(
            turns(&format!(
                "{ASK} bar.sync 0; st.volatile.global.u32 [%d1], 0;"
            )),
            0
        );
        assert_eq!(
            turns(&format!("atom.global.add.u32 %r3, [%d1+4], 1; {ASK}")),
            0
        );
        assert_eq!(
            turns(&format!("{ASK} st.volatile.shared.u32 [barrier], 1;")),
            0
        );
        // Loops that end by themselves.
        assert_eq!(
            turns("again: ld.volatile.global.u32 %r2, [%d1]; add.u32 %r3, %r2, 1; atom.global.cas.b32 %r4, [%d1], %r2, %r3; setp.ne.u32 %p1, %r4, %r2; @%p1 bra again;"),
            0
        );
        assert_eq!(
            turns(
                "more: ld.volatile.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra next; add.u32 %r4, %r4, %r2;\n\
                 next: add.u32 %r3, %r3, 1; setp.lt.u32 %p2, %r3, 8; @%p2 bra more; st.volatile.global.u32 [%d1], %r4;"
            ),
            0
        );
        // Phases of an mbarrier one after the other.
        assert_eq!(
            turns(
                "mbarrier.arrive.shared.b64 %d3, [barrier]; a: mbarrier.try_wait.shared.b64 %p1, [barrier], %d3; @!%p1 bra a;\n\
                 mbarrier.arrive.shared.b64 %d3, [barrier]; b: mbarrier.try_wait.shared.b64 %p1, [barrier], %d3; @!%p1 bra b;"
            ),
            0
        );
    }
}
