//! Which registers of a kernel are kept in memory, for devices whose compiler has few.
//!
//! nvcc writes PTX for 255 registers a thread. Where a lane has 32 or 64 and a driver's allocator looks for the next register to
//! spill again and again, that takes minutes, or fails. So registers whose values are long alive and seldom used are
//! words of the thread's memory here, loaded before their uses and stored behind their definitions, until what is left
//! nearly fits. Chosen greedily: by the instructions at which too much is alive that a register would relieve, over its
//! accesses, weighted by the loops they are in.
//!
//! Registers that are never alive together share words, because memory is limited, too: Mesa's driver for Intel gives a
//! subgroup 256 KiB, 2,048 words a lane, of which what its allocator spills takes a word for each value.

use crate::graph::{Graph, Register, Step};
use crate::liveness::live_out;
use crate::rolls::Roll;
use ptx::{Modifier, Opcode, ScalarType};
use std::rc::Rc;

/// Weight of an access for each loop around it, and the depth beyond which it does not rise.
const LOOP_WEIGHT: u64 = 8;
const MOST_LOOPS: u32 = 3;

/// Registers that are taken before what is alive is counted again.
const AT_ONCE: usize = 4;

/// Instructions behind an access during which a value is still at hand.
pub(crate) const AT_HAND: usize = 4;

/// Words of memory, by register.
#[derive(Default)]
pub(crate) struct Homes {
    /// The first word of each register that is kept in memory.
    pub(crate) word: Vec<Option<u32>>,
    /// All words.
    pub(crate) words: u32,
}

/// Words of a register; none of those that are not kept in memory. A predicate is one, too, where lanes do not agree on it.
fn words(ty: ScalarType) -> u32 {
    match ty {
        Modifier::Pred => 1,
        t => match t.size() {
            Some(8) => 2,
            Some(16) => 0,
            _ => 1,
        },
    }
}

/// By block: the loops that it is in.
fn depths(graph: &Graph) -> Vec<u32> {
    let (order, _) = graph.dominators();
    let mut number = vec![usize::MAX; graph.blocks.len()];
    for (n, &b) in order.iter().enumerate() {
        number[b as usize] = n;
    }
    let before = graph.predecessors();
    let mut depths = vec![0; graph.blocks.len()];
    let mut starts: Vec<u32> = Vec::new();
    for &b in &order {
        for &t in &graph.blocks[b as usize].targets {
            if number[t as usize] <= number[b as usize] && !starts.contains(&t) {
                starts.push(t);
            }
        }
    }
    for &start in &starts {
        let mut inside = vec![false; graph.blocks.len()];
        inside[start as usize] = true;
        let mut stack: Vec<u32> = before[start as usize]
            .iter()
            .copied()
            .filter(|&b| number[b as usize] != usize::MAX)
            .filter(|&b| number[b as usize] >= number[start as usize])
            .collect();
        while let Some(b) = stack.pop() {
            if !std::mem::replace(&mut inside[b as usize], true) {
                stack.extend(
                    before[b as usize]
                        .iter()
                        .filter(|&&p| number[p as usize] != usize::MAX),
                );
            }
        }
        for (depth, _) in depths.iter_mut().zip(inside).filter(|d| d.1) {
            *depth += 1;
        }
    }
    depths
}

/// A register's life.
#[derive(Clone, Default)]
struct Life {
    /// From and to which instructions, all blocks one after the other.
    ranges: Vec<(u32, u32)>,
    /// Likewise, when a sum of products may be written: before it is read, or as late as the end of its block
    /// (`emit/cooperative_memory.rs`), also where nobody reads it.
    late: Vec<(u32, u32)>,
    /// Where it is read or written.
    accesses: Vec<u32>,
    cost: u64,
}

/// The registers of a kernel that are kept in memory so that about `most` words are alive at a time; and those that differ from round to
/// round of loops.
pub(crate) fn homes(graph: &Graph, most: u32, rolls: &[Rc<Roll>]) -> Homes {
    let out = live_out(graph);
    let depths = depths(graph);
    let constants = graph.constants();
    let size: Vec<u32> = graph
        .registers
        .iter()
        .zip(&constants)
        .map(|(&ty, constant)| if constant.is_some() { 0 } else { words(ty) })
        .collect();
    let mut lives = vec![Life::default(); graph.registers.len()];
    // Where each register that is alive is wanted last, and where it is written next.
    let mut ends: Vec<u32> = vec![u32::MAX; graph.registers.len()];
    let mut next_write = ends.clone();
    let mut touched: Vec<Register> = Vec::new();
    let mut start = 0u32;
    let mut starts = Vec::new();
    for (b, block) in graph.blocks.iter().enumerate() {
        starts.push(start);
        let weight = LOOP_WEIGHT.pow(depths[b].min(MOST_LOOPS));
        let last = start + block.steps.len() as u32;
        for &r in &out[b] {
            ends[r as usize] = last;
        }
        touched.extend_from_slice(&out[b]);
        if let Some(register) = block.condition.map(|c| c.register()) {
            ends[register as usize] = last;
            touched.push(register);
        }
        for (n, step) in block.steps.iter().enumerate().rev() {
            let at = start + n as u32;
            let (reads, writes) = graph.accesses(step);
            let is_product = is_product(graph, step);
            for &w in &writes {
                let life = &mut lives[w as usize];
                let end = std::mem::replace(&mut ends[w as usize], u32::MAX);
                let end = if end == u32::MAX { at } else { end };
                life.ranges.push((at, end));
                let until = std::mem::replace(&mut next_write[w as usize], at);
                if is_product {
                    life.late.push((at, until.min(last)));
                }
            }
            for &r in reads.iter().chain(&writes) {
                let life = &mut lives[r as usize];
                life.accesses.push(at);
                life.cost += weight;
                touched.push(r);
            }
            for &r in &reads {
                let end = &mut ends[r as usize];
                if *end == u32::MAX {
                    *end = at;
                }
            }
        }
        for r in touched.drain(..) {
            let end = std::mem::replace(&mut ends[r as usize], u32::MAX);
            if end != u32::MAX {
                lives[r as usize].ranges.push((start, end));
            }
            next_write[r as usize] = u32::MAX;
        }
        start = last + 1;
    }
    let mut alive = vec![0i32; start as usize + 1];
    for (r, life) in lives.iter().enumerate() {
        for &(from, to) in &life.ranges {
            (from..=to).for_each(|at| alive[at as usize] += size[r] as i32);
        }
    }
    let mut homes = Homes {
        word: vec![None; graph.registers.len()],
        words: 0,
    };
    for roll in rolls {
        // All that a loop does, it does at any time while it runs.
        let first = starts[roll.block];
        let range = (first + roll.start as u32, first + roll.end() as u32 - 1);
        for step in &graph.blocks[roll.block].steps[roll.start..roll.end()] {
            let (reads, writes) = graph.accesses(step);
            for r in reads.into_iter().chain(writes) {
                let late = &mut lives[r as usize].late;
                if late.last() != Some(&range) {
                    late.push(range);
                }
            }
        }
        for &r in roll.varying.iter().flat_map(|v| &v.1) {
            if homes.word[r as usize].replace(0).is_none() {
                relieve(&mut alive, &lives[r as usize], size[r as usize]);
            }
        }
    }
    loop {
        // How many instructions before each one have too much alive.
        let mut too_many = vec![0u32; alive.len() + 1];
        for (at, &n) in alive.iter().enumerate() {
            too_many[at + 1] = too_many[at] + u32::from(i64::from(n) > i64::from(most));
        }
        if too_many[alive.len()] == 0 {
            break;
        }
        let mut best: Vec<(u64, Register)> = Vec::new();
        for (r, life) in lives.iter().enumerate() {
            if size[r] == 0 || homes.word[r].is_some() {
                continue;
            }
            let relieved: u32 = life
                .ranges
                .iter()
                .map(|&(from, to)| too_many[to as usize + 1] - too_many[from as usize])
                .sum();
            // What it is at hand after each access is no gain.
            let least = life.accesses.len() as u32 * AT_HAND as u32 / 2;
            if relieved > least {
                let gain = u64::from(relieved - least) * 1024 / life.cost;
                best.push((gain.max(1), r as Register));
            }
        }
        if best.is_empty() {
            break;
        }
        best.sort_unstable_by(|a, b| b.cmp(a));
        for &(_, r) in best.iter().take(AT_ONCE) {
            homes.word[r as usize] = Some(0);
            relieve(&mut alive, &lives[r as usize], size[r as usize]);
        }
    }
    share(&mut homes, &size, &lives, start);
    homes
}

/// Takes a register out of what is alive but where it is at hand.
fn relieve(alive: &mut [i32], life: &Life, size: u32) {
    for &(from, to) in &life.ranges {
        (from..=to).for_each(|at| alive[at as usize] -= size as i32);
    }
    for &at in &life.accesses {
        let to = (at as usize + AT_HAND / 2).min(alive.len() - 1);
        (at as usize..to).for_each(|at| alive[at] += size as i32);
    }
}

fn is_product(graph: &Graph, step: &Step) -> bool {
    let Step::Instruction {
        frame, statement, ..
    } = *step
    else {
        return false;
    };
    let i = graph.instruction(frame, statement);
    matches!(i.opcode, Opcode::Mma | Opcode::Wmma)
}

/// Gives the registers that were chosen their words: the same to several that are never alive together.
fn share(homes: &mut Homes, size: &[u32], lives: &[Life], instructions: u32) {
    let first = |r: Register| {
        let ranges = &lives[r as usize].ranges;
        ranges.iter().map(|range| range.0).min().unwrap_or(0)
    };
    let mut chosen: Vec<Register> = (0..size.len() as Register)
        .filter(|&r| homes.word[r as usize].is_some())
        .collect();
    chosen.sort_by_key(|&r| (first(r), r));
    // By word: at which instructions it is taken.
    let mut taken: Vec<Vec<u64>> = Vec::new();
    let bits = instructions as usize / 64 + 1;
    for r in chosen {
        let (count, life) = (size[r as usize] as usize, &lives[r as usize]);
        let ranges = || life.ranges.iter().chain(&life.late);
        let is_free = |word: usize| {
            let words = taken.iter().skip(word).take(count);
            words
                .flat_map(|t| ranges().map(move |range| (t, range)))
                .all(|(t, &range)| masks(range).all(|(n, mask)| t[n] & mask == 0))
        };
        let word = (0..taken.len())
            .find(|&word| is_free(word))
            .unwrap_or(taken.len());
        if taken.len() < word + count {
            taken.resize(word + count, vec![0; bits]);
        }
        for t in &mut taken[word..word + count] {
            for &range in ranges() {
                masks(range).for_each(|(n, mask)| t[n] |= mask);
            }
        }
        homes.word[r as usize] = Some(word as u32);
    }
    homes.words = taken.len() as u32;
}

/// The bits of a range of instructions, both ends included, by index of 64.
fn masks((from, to): (u32, u32)) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..=to / 64).map(move |n| {
        let low = if n == from / 64 {
            u64::MAX << (from % 64)
        } else {
            u64::MAX
        };
        let high = if n == to / 64 {
            u64::MAX >> (63 - to % 64)
        } else {
            u64::MAX
        };
        (n as usize, low & high)
    })
}
