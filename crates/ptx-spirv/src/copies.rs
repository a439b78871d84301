//! How long the second half of a `cp.async` can wait.
//!
//! Vulkan has no asynchronous copy from global to shared memory. A copy made at once makes its thread wait for global memory,
//! once for each copy; but PTX promises its result only after a wait (`cp.async.wait_all`, `cp.async.wait_group`). So the
//! copy is made in two halves: the load where the instruction stands, the store at the wait. In between, the bytes are in
//! registers on their way, as a hand-written kernel without asynchronous copies has them:
//!
//! ```text
//! cp.async [s], [g], 16;            v = load g
//! ...products...                    ...products...
//! cp.async.wait_all;                store s, v
//! ```
//!
//! A store can wait for the waits it must reach first on every way. This module finds them: by data flow it knows for each wait
//! which copies are on their way to it, on all paths or on some (the store is behind a flag then). A copy that can run again before
//! any wait, and what would take more registers than are good, is finished at the end of its block instead, so that the
//! loads of a block still overlap each other.

use crate::graph::{Graph, Step};
use ptx::{Instruction, Modifier, Opcode, Operand};
use rustc_hash::FxHashMap;

/// An instruction: its frame and statement.
pub type Place = (u32, u32);

/// Most 32-bit words of a thread that are on their way at a wait.
const MOST_WORDS: u32 = 40;

/// A copy whose store waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The copy's number.
    pub copy: usize,
    /// Whether it is on its way on every path that leads to the wait.
    pub always: bool,
}

/// Where the stores of a kernel's copies are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// The copies whose stores are at waits, by place: their numbers, from 0.
    pub deferred: FxHashMap<Place, usize>,
    /// For each wait, the stores to be made there, in the order of the kernel's blocks.
    pub waits: FxHashMap<Place, Vec<Pending>>,
}

/// A copy of a constant number of bytes without any condition on what is read.
pub fn is_plain(i: &Instruction) -> bool {
    use Modifier::*;
    i.opcode == Opcode::Cp
        && i.has(Async)
        && ![
            Bulk,
            Mbarrier,
            CommitGroup,
            WaitGroup,
            WaitAll,
            Reduce,
            Prefetch,
        ]
        .into_iter()
        .any(|m| i.has(m))
        && words(i).is_some()
        && i.operands.len() == 3 + usize::from(i.has(L2CacheHint))
}

/// 32-bit words of a copy.
pub fn words(i: &Instruction) -> Option<u32> {
    match i.operands.get(2) {
        Some(Operand::Integer(bytes @ (4 | 8 | 16))) => Some(*bytes as u32 / 4),
        _ => None,
    }
}

/// Whether copies are promised to have ended after the instruction, or to end with what it announces.
pub fn is_wait(i: &Instruction) -> bool {
    use Modifier::*;
    i.opcode == Opcode::Cp
        && i.has(Async)
        && (i.has(WaitAll) || i.has(WaitGroup) || i.has(Mbarrier))
}

/// A set of copies, a bit for each.
type Set = Vec<u64>;

fn has(set: &Set, copy: usize) -> bool {
    set[copy / 64] & (1 << (copy % 64)) != 0
}

/// What is known before a block: copies on their way on some path, and on every path; none until one is found.
type State = Option<(Set, Set)>;

impl Copies {
    /// Finds the copies of a kernel that can wait.
    pub fn of(graph: &Graph<'_>) -> Self {
        let mut candidates: Vec<(Place, u32)> = Vec::new();
        for step in graph.blocks.iter().flat_map(|b| &b.steps) {
            if let Step::Instruction {
                frame, statement, ..
            } = *step
            {
                let i = graph.instruction(frame, statement);
                if let Some(words) = words(i).filter(|_| is_plain(i)) {
                    candidates.push(((frame, statement), words));
                }
            }
        }
        // Each round takes out what cannot wait; what is left is settled when nothing was.
        loop {
            let numbers: FxHashMap<Place, usize> = candidates
                .iter()
                .enumerate()
                .map(|(number, (place, _))| (*place, number))
                .collect();
            let flow = Flow {
                graph,
                numbers: &numbers,
                size: candidates.len().div_ceil(64),
            };
            let (waits, repeated) = flow.run();
            let mut excluded = repeated;
            for pending in waits.values() {
                let mut words = 0;
                for p in pending {
                    words += candidates[p.copy].1;
                    if words > MOST_WORDS {
                        excluded.push(p.copy);
                    }
                }
            }
            // A copy that no wait follows would never be made.
            let followed: Vec<usize> = waits.values().flatten().map(|p| p.copy).collect();
            excluded.extend((0..candidates.len()).filter(|copy| !followed.contains(copy)));
            if excluded.is_empty() {
                return Self {
                    deferred: numbers,
                    waits,
                };
            }
            let mut number = 0;
            candidates.retain(|_| {
                number += 1;
                !excluded.contains(&(number - 1))
            });
        }
    }
}

/// The data flow over a graph.
struct Flow<'a> {
    graph: &'a Graph<'a>,
    numbers: &'a FxHashMap<Place, usize>,
    /// Words of a set.
    size: usize,
}

impl Flow<'_> {
    /// What is on its way at each wait, and the copies that can run again before a wait.
    fn run(&self) -> (FxHashMap<Place, Vec<Pending>>, Vec<usize>) {
        let mut before: Vec<State> = vec![None; self.graph.blocks.len()];
        before[0] = Some((vec![0; self.size], vec![0; self.size]));
        let mut work = vec![0u32];
        while let Some(block) = work.pop() {
            let Some(mut state) = before[block as usize].clone() else {
                continue;
            };
            self.block(block, &mut state, &mut |_, _| {}, &mut |_| {});
            for &to in &self.graph.blocks[block as usize].targets {
                let joined = match &before[to as usize] {
                    None => state.clone(),
                    Some((some, every)) => (
                        some.iter().zip(&state.0).map(|(a, b)| a | b).collect(),
                        every.iter().zip(&state.1).map(|(a, b)| a & b).collect(),
                    ),
                };
                if before[to as usize].as_ref() != Some(&joined) {
                    before[to as usize] = Some(joined);
                    work.push(to);
                }
            }
        }
        let (mut waits, mut repeated) = (FxHashMap::default(), Vec::new());
        for (block, state) in before.into_iter().enumerate() {
            let Some(mut state) = state else { continue };
            self.block(
                block as u32,
                &mut state,
                &mut |place, (some, every): &(Set, Set)| {
                    let pending: Vec<Pending> = (0..self.numbers.len())
                        .filter(|&copy| has(some, copy))
                        .map(|copy| Pending {
                            copy,
                            always: has(every, copy),
                        })
                        .collect();
                    waits.insert(place, pending);
                },
                &mut |copy| repeated.push(copy),
            );
        }
        (waits, repeated)
    }

    /// Goes through a block's steps; tells what is on its way at each wait, and which copies were on their way already.
    fn block(
        &self,
        block: u32,
        state: &mut (Set, Set),
        at_wait: &mut dyn FnMut(Place, &(Set, Set)),
        repeated: &mut dyn FnMut(usize),
    ) {
        for step in &self.graph.blocks[block as usize].steps {
            let Step::Instruction {
                frame, statement, ..
            } = *step
            else {
                continue;
            };
            let place = (frame, statement);
            if let Some(&copy) = self.numbers.get(&place) {
                if has(&state.0, copy) {
                    repeated(copy);
                }
                for set in [&mut state.0, &mut state.1] {
                    set[copy / 64] |= 1 << (copy % 64);
                }
            } else if is_wait(self.graph.instruction(frame, statement)) {
                at_wait(place, state);
                state.0.fill(0);
                state.1.fill(0);
            }
        }
    }
}
