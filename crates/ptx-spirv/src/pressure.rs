//! Which registers of a kernel are kept in memory, for devices whose compiler has few.
//!
//! nvcc writes PTX for 255 registers a thread. Where a lane has 32 or 64 and a driver's allocator looks for the next register to
//! spill again and again, that takes minutes, or fails. So registers whose values are long alive and seldom used are
//! words of the thread's memory here, loaded before their uses and stored behind their definitions, until what is left
//! nearly fits. Chosen greedily: by the instructions at which too much is alive that a register would relieve, over its
//! accesses, weighted by the loops they are in.

use crate::graph::{Graph, Register};
use crate::liveness::{has, live_out};
use ptx::{Modifier, ScalarType};

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

/// Words of a register; none of predicates and of those that are not kept in memory.
fn words(ty: ScalarType) -> u32 {
    match ty {
        Modifier::Pred => 0,
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
    /// Where it is read or written.
    accesses: Vec<u32>,
    cost: u64,
}

/// The registers of a kernel that are kept in memory so that about `most` words are alive at a time.
pub(crate) fn homes(graph: &Graph, most: u32) -> Homes {
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
    let mut start = 0u32;
    for (b, block) in graph.blocks.iter().enumerate() {
        let weight = LOOP_WEIGHT.pow(depths[b].min(MOST_LOOPS));
        let last = start + block.steps.len() as u32;
        // Where each register that is alive is wanted last.
        let mut ends: Vec<u32> = vec![u32::MAX; graph.registers.len()];
        for r in 0..graph.registers.len() as Register {
            if has(&out[b], r) {
                ends[r as usize] = last;
            }
        }
        for (n, step) in block.steps.iter().enumerate().rev() {
            let at = start + n as u32;
            let (reads, writes) = graph.accesses(step);
            for &w in &writes {
                let life = &mut lives[w as usize];
                let end = std::mem::replace(&mut ends[w as usize], u32::MAX);
                let end = if end == u32::MAX { at } else { end };
                life.ranges.push((at, end));
            }
            for &r in reads.iter().chain(&writes) {
                let life = &mut lives[r as usize];
                life.accesses.push(at);
                life.cost += weight;
            }
            for &r in &reads {
                let end = &mut ends[r as usize];
                if *end == u32::MAX {
                    *end = at;
                }
            }
        }
        for (r, &end) in ends.iter().enumerate() {
            if end != u32::MAX {
                lives[r].ranges.push((start, end));
            }
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
    loop {
        // How many instructions before each one have too much alive.
        let mut too_many = vec![0u32; alive.len() + 1];
        for (at, &n) in alive.iter().enumerate() {
            too_many[at + 1] = too_many[at] + u32::from(n > most as i32);
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
            let size = size[r as usize];
            homes.word[r as usize] = Some(homes.words);
            homes.words += size;
            let life = &lives[r as usize];
            for &(from, to) in &life.ranges {
                (from..=to).for_each(|at| alive[at as usize] -= size as i32);
            }
            for &at in &life.accesses {
                let to = (at as usize + AT_HAND / 2).min(alive.len() - 1);
                (at as usize..to).for_each(|at| alive[at] += size as i32);
            }
        }
    }
    homes
}
