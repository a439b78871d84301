//! Short ways out of a loop.
//!
//! `for (..) { if (c) { A; break; } .. }`: block A runs once, so that it lies outside the loop, and leaving the loop for
//! A or for what follows are two different exits that a flag would have to tell apart after the loop. Where that saves
//! an exit, such a *tail* of a few blocks is moved into the loop: `if (c) { A; Break }`, or `if (c) { A; Return }`. Not
//! where it holds a convergent block: after the loop, the threads that left it at different times are together again.

use std::collections::BTreeMap;

use crate::cfg::Cfg;
use crate::loops::Forest;

/// How many blocks a tail has at most.
const MAX_BLOCKS: usize = 4;

struct Tail {
    blocks: Vec<u32>,
    /// Where it leads; none: the thread ends.
    to: Option<u32>,
    /// Whether it starts at the loop's header or latch: the loop's natural exit.
    natural: bool,
}

/// Moves tails into their loops.
pub(crate) fn absorb(cfg: &Cfg, forest: &mut Forest) {
    let regions = forest.regions() as usize;
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); regions];
    for b in cfg.blocks() {
        members[forest.region[b as usize] as usize].push(b);
    }
    for region in (1..regions).rev() {
        let mut blocks = std::mem::take(&mut members[region]);
        let moved = absorb_into(cfg, forest, region as u32, &blocks);
        for &b in &moved {
            forest.region[b as usize] = region as u32;
        }
        blocks.extend(moved);
        members[forest.parent[region] as usize].extend(blocks);
    }
}

/// The blocks to move into one loop, whose blocks (those of inner loops too) are given.
fn absorb_into(cfg: &Cfg, forest: &Forest, region: u32, blocks: &[u32]) -> Vec<u32> {
    let outside = |b: u32| !forest.contains(region, forest.region[b as usize]);
    let mut exits: Vec<u32> = blocks
        .iter()
        .filter(|&&b| !outside(b))
        .flat_map(|&b| cfg.successors(b).map(|(_, to)| to))
        .filter(|&to| outside(to))
        .collect();
    exits.sort_unstable();
    exits.dedup();
    let mut remaining = exits.len();
    if remaining <= 1 {
        return Vec::new();
    }
    let mut tails: Vec<Tail> = exits
        .iter()
        .filter_map(|&exit| Tail::new(cfg, forest, region, exit))
        .collect();
    tails.sort_by_key(|tail| (tail.natural, tail.blocks[0]));

    let mut moved = Vec::new();
    let mut groups: BTreeMap<u32, Vec<Tail>> = BTreeMap::new();
    for tail in tails {
        match tail.to {
            None if remaining > 1 => {
                remaining -= 1;
                moved.extend(tail.blocks);
            }
            None => {}
            Some(to) => groups.entry(to).or_default().push(tail),
        }
    }
    for (to, group) in groups {
        if exits.binary_search(&to).is_ok() || group.len() > 1 {
            moved.extend(group.into_iter().flat_map(|tail| tail.blocks));
        }
    }
    moved
}

impl Tail {
    fn new(cfg: &Cfg, forest: &Forest, region: u32, exit: u32) -> Option<Tail> {
        let only_predecessor = |b: u32| match cfg.predecessors(b) {
            &[p] if b != cfg.entry() => Some(p),
            _ => None,
        };
        let from = only_predecessor(exit)?;
        if forest.region[from as usize] != region {
            return None;
        }
        let mut blocks = vec![exit];
        let mut to = None;
        let mut next = 0;
        while next < blocks.len() {
            let block = blocks[next];
            next += 1;
            if cfg.convergent(block) {
                return None;
            }
            for (_, target) in cfg.successors(block) {
                if only_predecessor(target).is_some() {
                    if blocks.len() == MAX_BLOCKS {
                        return None;
                    }
                    blocks.push(target);
                } else if *to.get_or_insert(target) != target {
                    return None;
                }
            }
        }
        let header = |b: u32| {
            cfg.predecessors(b)
                .iter()
                .any(|&p| !forest.contains(region, forest.region[p as usize]))
        };
        let latch = |b: u32| {
            cfg.successors(b)
                .any(|(edge, to)| forest.back[edge] && forest.region[to as usize] == region)
        };
        Some(Tail {
            blocks,
            to,
            natural: header(from) || latch(from),
        })
    }
}
