//! Loops in which a thread waits for another one by asking memory.
//!
//! ```text
//! again: ld.volatile.global.u32 %r1, [%rd1];      // another warp of the block stores there
//!        setp.eq.u32 %p1, %r1, 0;
//!        @%p1 bra again;
//! ```
//!
//! PTX promises that the other one gets on ("Forward Progress": threads are scheduled independently). Lanes of a subgroup do not, where one
//! waits for what another one does elsewhere: `turns.rs` sees to those. And where a warp is made of several
//! subgroups that run one after another until they meet ([`crate::Warps::Yield`]), nobody else does while one asks: each round of such a
//! loop lets the others run ([`mark`]).
//!
//! A loop waits if a branch out of it depends on what it reads from memory (`ld.volatile`, `ld.acquire` and the like, or an atomic
//! operation that leaves memory as it is, or tries to take a lock), and on nothing else that changes from round to round:
//! loops of `atom.cas` that try again with what they have read end by themselves. Such a loop costs the kernel its lockstep, so those are
//! left alone that ask for the other blocks of a grid, by the grid's handle.

use crate::graph::{self, Graph, Register, Step};
use ptx::{AddressBase, Instruction, Modifier, Opcode, Operand, SpecialRegister};
use rustc_hash::{FxHashMap, FxHashSet};

/// Marks the blocks that ask ([`crate::graph::Block::polls`]).
pub fn mark(graph: &mut Graph) {
    for block in waiting(graph, false).into_iter().flat_map(|w| w.asks) {
        let block = &mut graph.blocks[block as usize];
        block.polls = true;
        block.convergent = true;
    }
}

/// A loop that waits, with one way in; or the part of a loop through which threads go that have to wait.
pub(crate) struct Waiting {
    /// Where threads come in.
    pub header: u32,
    /// Its blocks.
    pub blocks: FxHashSet<u32>,
    /// Those of them that ask.
    pub asks: Vec<u32>,
}

/// The loops that wait, the smallest first. `barriers`: whether those that ask an mbarrier are among them, which let others run by
/// themselves.
pub(crate) fn waiting(graph: &Graph, barriers: bool) -> Vec<Waiting> {
    // Most kernels ask nothing.
    let may_ask =
        |i: &Instruction| matches!(i.opcode, Opcode::Atom | Opcode::Mbarrier) || is_strong(i);
    if !graph.any(may_ask) {
        return Vec::new();
    }
    let writers = graph.only_writers();
    let constants = graph.constants_of(&writers);
    let finder = Finder {
        graph,
        writers,
        constants,
        barriers,
    };
    let asking: Vec<u32> = (0..graph.blocks.len() as u32)
        .filter(|&b| finder.asks_in(b))
        .collect();
    if asking.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (header, blocks) in finder.loops() {
        if !asking.iter().any(|b| blocks.contains(b)) {
            continue;
        }
        let mut add = |blocks: FxHashSet<u32>, whole| {
            let asks = finder.waits(&blocks, whole);
            if !asks.is_empty() {
                found.push(Waiting {
                    header,
                    blocks,
                    asks,
                });
            }
        };
        finder
            .parts(header, &blocks)
            .into_iter()
            .for_each(|part| add(part, false));
        add(blocks, true);
    }
    found
}

/// Whether threads meet in a block; an mbarrier is no such place.
pub(crate) fn is_meeting(graph: &Graph, block: u32) -> bool {
    graph.any_in(block as usize, gathers)
}

/// Whether threads meet at an instruction that is no mbarrier's.
pub(crate) fn gathers(i: &Instruction) -> bool {
    graph::is_convergent(i) && i.opcode != Opcode::Mbarrier
}

/// Whether the instruction is a load that says that other threads write there.
fn is_strong(i: &Instruction) -> bool {
    use Modifier as M;
    let strong = [M::Volatile, M::Relaxed, M::Acquire, M::Mmio];
    i.opcode == Opcode::Ld && strong.iter().any(|&m| i.has(m)) && !i.has(M::Local)
}

struct Finder<'a, 'm> {
    graph: &'a Graph<'m>,
    writers: Vec<Option<Step>>,
    constants: Vec<Option<u64>>,
    barriers: bool,
}

/// What is known of a register that decides whether a loop ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Being looked at.
    Open,
    Done,
}

impl Finder<'_, '_> {
    /// The instruction of a step.
    fn instruction(&self, step: &Step) -> Option<(u32, &Instruction)> {
        match *step {
            Step::Instruction {
                frame, statement, ..
            } => Some((frame, self.graph.instruction(frame, statement))),
            _ => None,
        }
    }

    fn asks_in(&self, block: u32) -> bool {
        let steps = self.graph.blocks[block as usize].steps.iter();
        let mut instructions = steps.filter_map(|step| self.instruction(step));
        instructions.any(|(frame, i)| self.asks(frame, i))
    }

    /// Whether an instruction may give another result the next time, though nothing about it has changed.
    fn asks(&self, frame: u32, i: &Instruction) -> bool {
        use Modifier as M;
        match i.opcode {
            Opcode::Mbarrier => self.barriers && (i.has(M::TestWait) || i.has(M::Trywait)),
            Opcode::Ld => is_strong(i),
            Opcode::Atom if i.has(M::CasMod) || i.has(M::ExchMod) => true,
            Opcode::Atom => {
                let neutral = if i.has(M::AddMod) || i.has(M::Or) || i.has(M::Xor) {
                    0
                } else if i.has(M::And) {
                    u64::MAX
                } else {
                    return false;
                };
                let operand = match i.operands.get(2) {
                    Some(Operand::Integer(v)) => Some(*v),
                    Some(Operand::Register(r)) => {
                        self.constants[self.graph.register(frame, *r) as usize]
                    }
                    _ => None,
                };
                operand == Some(neutral)
            }
            _ => false,
        }
    }

    /// The start and the blocks of each loop that has one way in, the smallest loops first: of each way back, and of all those to one start.
    fn loops(&self) -> Vec<(u32, FxHashSet<u32>)> {
        let (order, dominators) = self.graph.dominators();
        let mut number = vec![0; self.graph.blocks.len()];
        for (n, &b) in order.iter().enumerate() {
            number[b as usize] = n;
        }
        let dominates = |header: u32, mut b: u32| {
            while number[b as usize] > number[header as usize] {
                b = dominators[b as usize];
            }
            b == header
        };
        let before = self.graph.predecessors();
        let mut by_header: FxHashMap<u32, Vec<FxHashSet<u32>>> = FxHashMap::default();
        for &b in &order {
            for &header in &self.graph.blocks[b as usize].targets {
                if !dominates(header, b) {
                    continue;
                }
                let mut region = FxHashSet::from_iter([header]);
                let mut open = vec![b];
                while let Some(b) = open.pop() {
                    if region.insert(b) {
                        let before = before[b as usize].iter();
                        open.extend(before.filter(|&&p| dominates(header, p)));
                    }
                }
                by_header.entry(header).or_default().push(region);
            }
        }
        let mut loops = Vec::new();
        for (header, regions) in by_header {
            if regions.len() > 1 {
                let all = regions.iter().flatten().copied().collect();
                loops.push((header, all));
            }
            loops.extend(regions.into_iter().map(|region| (header, region)));
        }
        loops.sort_by_key(|(header, blocks)| (blocks.len(), *header));
        loops
    }

    /// For each branch in a loop that does not leave it, and each of its ways: the blocks that a thread passes which goes there, where it
    /// comes to the branch once in a round.
    ///
    /// ```text
    /// while (j < n) { if (ready[j]) { ...; j += 1; } }       // goes round without a change where it is not ready
    /// ```
    fn parts(&self, header: u32, blocks: &FxHashSet<u32>) -> Vec<FxHashSet<u32>> {
        let reached = |from: u32, next: &dyn Fn(u32) -> Vec<u32>| {
            let mut seen = FxHashSet::from_iter([from]);
            let mut open = vec![from];
            while let Some(b) = open.pop() {
                if b == header {
                    continue;
                }
                open.extend(
                    next(b)
                        .iter()
                        .filter(|&&n| blocks.contains(&n) && seen.insert(n)),
                );
            }
            seen
        };
        let after = |b: u32| self.graph.blocks[b as usize].targets.to_vec();
        let before = self.graph.predecessors();
        let mut parts = Vec::new();
        let mut inner: Vec<u32> = blocks.iter().copied().collect();
        inner.sort_unstable();
        for b in inner {
            let targets = &self.graph.blocks[b as usize].targets;
            if targets.len() < 2 || targets.iter().any(|t| !blocks.contains(t)) {
                continue;
            }
            let to = reached(b, &|b| before[b as usize].clone());
            for &t in targets {
                let on = reached(t, &after);
                let once = b == header || !on.contains(&b);
                if once && t != header && on.contains(&header) {
                    parts.push(to.union(&on).copied().collect());
                }
            }
        }
        parts
    }

    /// The blocks of a loop in which it asks what it waits for, if threads can go round in it without a meeting. `whole`: whether there is
    /// no other way round, so that it may end by other branches, too.
    fn waits(&self, region: &FxHashSet<u32>, whole: bool) -> Vec<u32> {
        let mut written: FxHashMap<Register, Vec<(u32, Step)>> = FxHashMap::default();
        for &b in region {
            for step in &self.graph.blocks[b as usize].steps {
                for register in self.graph.accesses(step).1 {
                    written.entry(register).or_default().push((b, *step));
                }
            }
        }
        let mut found = Vec::new();
        for &b in region {
            let block = &self.graph.blocks[b as usize];
            let leaves = block.targets.iter().any(|t| !region.contains(t));
            let (true, Some(condition)) = (leaves, block.condition) else {
                continue;
            };
            let mut asked = Vec::new();
            let mut seen = FxHashMap::default();
            if self.depends(condition.register(), &written, &mut seen, &mut asked) {
                found.extend(asked);
            } else if !whole {
                return Vec::new();
            }
        }
        found.retain(|&b| self.goes_round(b, region));
        found
    }

    /// Whether a register has the same value in each round but for what is asked from memory, in the blocks that are added.
    fn depends(
        &self,
        register: Register,
        written: &FxHashMap<Register, Vec<(u32, Step)>>,
        seen: &mut FxHashMap<Register, Seen>,
        asked: &mut Vec<u32>,
    ) -> bool {
        match seen.get(&register) {
            Some(Seen::Open) => return false,
            Some(Seen::Done) => return true,
            None => {}
        }
        let Some(writers) = written.get(&register) else {
            return true;
        };
        seen.insert(register, Seen::Open);
        for &(block, step) in writers {
            // What a predicated instruction leaves as it is, is what it was in the round before.
            let step = match step {
                Step::Instruction {
                    frame, statement, ..
                } => Step::Instruction {
                    frame,
                    statement,
                    unpredicated: true,
                },
                other => other,
            };
            let reads = self.graph.accesses(&step).0;
            if let Some((frame, i)) = self.instruction(&step) {
                let asks = self.asks(frame, i);
                let is_fixed = |&r: &Register| self.is_fixed(r, written, &mut Vec::new());
                if i.opcode == Opcode::Atom && !(asks && reads.iter().all(is_fixed)) {
                    return false;
                }
                if asks && !self.is_of_grid(frame, i) {
                    asked.push(block);
                }
            }
            for read in reads {
                if !self.depends(read, written, seen, asked) {
                    return false;
                }
            }
        }
        seen.insert(register, Seen::Done);
        true
    }

    /// Whether a register has the same value in each round, whatever is in memory.
    fn is_fixed(
        &self,
        register: Register,
        written: &FxHashMap<Register, Vec<(u32, Step)>>,
        open: &mut Vec<Register>,
    ) -> bool {
        let Some(writers) = written.get(&register) else {
            return true;
        };
        if open.contains(&register) || open.len() > 16 {
            return false;
        }
        open.push(register);
        let fixed = writers.iter().all(|(_, step)| {
            let reads_memory = self.instruction(step).is_some_and(|(_, i)| {
                let address = |o: &Operand| matches!(o, Operand::Address { .. });
                i.operands.iter().any(address)
            });
            let (reads, _) = self.graph.accesses(step);
            !reads_memory && reads.iter().all(|&r| self.is_fixed(r, written, open))
        });
        open.pop();
        fixed
    }

    /// Whether an access is to the grid's workspace, where blocks wait for other blocks.
    fn is_of_grid(&self, frame: u32, i: &Instruction) -> bool {
        let mut open: Vec<Register> = i
            .operands
            .iter()
            .filter_map(|o| match o {
                Operand::Address {
                    base: AddressBase::Register(r),
                    ..
                } => Some(self.graph.register(frame, *r)),
                _ => None,
            })
            .collect();
        let mut seen = FxHashSet::default();
        while let Some(register) = open.pop() {
            let Some(step) = &self.writers[register as usize] else {
                continue;
            };
            if !seen.insert(register) {
                continue;
            }
            if let Some((_, i)) = self.instruction(step) {
                let of_grid = |o: &Operand| {
                    use SpecialRegister::{Envreg1, Envreg2};
                    matches!(o, Operand::Special(Envreg1 | Envreg2))
                };
                if i.operands.iter().any(of_grid) {
                    return true;
                }
                if matches!(i.opcode, Opcode::Ld | Opcode::Atom) {
                    continue;
                }
            }
            open.extend(self.graph.accesses(step).0);
        }
        false
    }

    fn meets(&self, block: u32) -> bool {
        if self.barriers {
            is_meeting(self.graph, block)
        } else {
            self.graph.blocks[block as usize].convergent
        }
    }

    /// Whether there is a way from a block back to it in the loop on which threads do not meet.
    fn goes_round(&self, from: u32, region: &FxHashSet<u32>) -> bool {
        let blocks = &self.graph.blocks;
        let mut seen = FxHashSet::default();
        let mut open = vec![from];
        while let Some(b) = open.pop() {
            if self.meets(b) {
                continue;
            }
            for &t in &blocks[b as usize].targets {
                if t == from {
                    return true;
                }
                if region.contains(&t) && seen.insert(t) {
                    open.push(t);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::{graph, ModuleLayout};
    use ptx::Module;

    /// How many blocks of a kernel ask and wait.
    fn polls(body: &str) -> usize {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 8 .b8 table[4096];\n.global .u32 flag;\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<9>; .reg .b32 %r<16>; .reg .pred %p<4>;\n\
             mov.u64 %d1, flag; mov.u32 %r1, %tid.x; mov.u32 %r9, 0; ld.param.u64 %d2, [p];\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let mut graph = graph::build(&module, &layout, kernel).expect("a graph");
        super::mark(&mut graph);
        graph.blocks.iter().filter(|b| b.polls).count()
    }

    #[test]
    fn loops_that_ask_memory_wait() {
        for body in [
            "again: ld.volatile.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;",
            "again: ld.acquire.gpu.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;",
            "again: ld.volatile.shared.u32 %r2, [table]; setp.ne.u32 %p1, %r2, %r1; @!%p1 bra out; nanosleep.u32 20; bra again; out:",
            "again: atom.global.cas.b32 %r2, [%d1], 0, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra again;",
            "again: mov.u64 %d3, flag; mov.u32 %r4, 1; mov.u32 %r5, 0; atom.global.cas.b32 %r2, [%d3], %r5, %r4; setp.ne.u32 %p1, %r2, 0; @%p1 bra again;",
            "again: atom.shared.exch.b32 %r2, [table], 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra again;",
            "again: atom.global.add.u32 %r2, [%d1], %r9; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;",
            // Sleeps longer each time; a loop in a loop.
            "outer: mov.u32 %r3, 8; again: ld.volatile.global.u32 %r2, [%d2]; setp.eq.u32 %p1, %r2, 0; shl.b32 %r3, %r3, 1; nanosleep.u32 %r3;\n\
             @%p1 bra again; add.u64 %d2, %d2, 4; add.u32 %r1, %r1, 1; setp.lt.u32 %p2, %r1, 99; @%p2 bra outer;",
        ] {
            assert_eq!(polls(body), 1, "{body}");
        }
    }

    #[test]
    fn loops_that_end_by_themselves_do_not() {
        for body in [
            "ld.volatile.global.u32 %r2, [%d1];",
            "again: atom.global.cas.b32 %r4, [%d1], %r2, %r3; setp.ne.u32 %p1, %r4, %r2; mov.u32 %r2, %r4; add.u32 %r3, %r2, 1; @%p1 bra again;",
            "again: ld.volatile.global.u32 %r2, [%d1]; add.u32 %r3, %r2, 1; atom.global.cas.b32 %r4, [%d1], %r2, %r3; setp.ne.u32 %p1, %r4, %r2; @%p1 bra again;",
            "again: atom.global.add.u32 %r2, [%d1], 1; setp.lt.u32 %p1, %r2, 100; @%p1 bra again;",
            "again: ld.volatile.global.u32 %r2, [%d1]; add.u32 %r1, %r1, %r2; setp.lt.u32 %p1, %r1, 100; @%p1 bra again;",
            "again: ld.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;",
            // They meet in each round; it is the other blocks that they wait for.
            "again: ld.volatile.global.u32 %r2, [%d1]; setp.eq.u32 %p1, %r2, 0; vote.sync.any.pred %p1, %p1, -1; @%p1 bra again;",
            "mov.u32 %r4, %envreg2; mov.u32 %r5, %envreg1; mov.b64 %d4, {%r4, %r5}; add.u64 %d5, %d4, 4;\n\
             again: ld.volatile.global.u32 %r2, [%d5]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;",
        ] {
            assert_eq!(polls(body), 0, "{body}");
        }
    }
}
