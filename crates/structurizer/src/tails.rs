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
const MAX_BLOCKS: usize = 8;

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
    let mut only_exit = vec![None; regions];
    for b in cfg.blocks() {
        members[forest.region[b as usize] as usize].push(b);
    }
    for region in (1..regions).rev() {
        let mut blocks = std::mem::take(&mut members[region]);
        let mut ways = exits(cfg, forest, region as u32, &blocks);
        if ways.len() > 1 {
            let moved = absorb_into(cfg, forest, region as u32, &ways, &only_exit);
            for &b in &moved {
                forest.region[b as usize] = region as u32;
            }
            blocks.extend(moved);
            ways = exits(cfg, forest, region as u32, &blocks);
        }
        if let [exit] = ways[..] {
            only_exit[region] = Some(exit);
        }
        members[forest.parent[region] as usize].extend(blocks);
    }
}

/// The blocks to which edges lead out of a loop, given its blocks, those of inner loops too.
fn exits(cfg: &Cfg, forest: &Forest, region: u32, blocks: &[u32]) -> Vec<u32> {
    let outside = |b: u32| !forest.contains(region, forest.region[b as usize]);
    let mut exits: Vec<u32> = blocks
        .iter()
        .filter(|&&b| !outside(b))
        .flat_map(|&b| cfg.successors(b).map(|(_, to)| to))
        .filter(|&to| outside(to))
        .collect();
    exits.sort_unstable();
    exits.dedup();
    exits
}

/// The blocks to move into one loop; `only_exit`: where inner loops lead that have one exit.
fn absorb_into(
    cfg: &Cfg,
    forest: &Forest,
    region: u32,
    exits: &[u32],
    only_exit: &[Option<u32>],
) -> Vec<u32> {
    let mut remaining = exits.len();
    let mut tails: Vec<Tail> = exits
        .iter()
        .filter_map(|&exit| Tail::new(cfg, forest, region, exit, only_exit))
        .collect();
    // The last one stays outside where any will do.
    tails.sort_by_key(|tail| (tail.blocks.len(), tail.natural, tail.blocks[0]));

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
    fn new(
        cfg: &Cfg,
        forest: &Forest,
        region: u32,
        exit: u32,
        only_exit: &[Option<u32>],
    ) -> Option<Tail> {
        let only_predecessor = |b: u32| match cfg.predecessors(b) {
            &[p] if b != cfg.entry() => Some(p),
            _ => None,
        };
        // One edge from the loop itself, or all that leaves an inner loop.
        let from = *cfg.predecessors(exit).first()?;
        let mut inner = forest.region[from as usize];
        if inner == region {
            only_predecessor(exit)?;
        } else {
            if !forest.contains(region, inner) || exit == cfg.entry() {
                return None;
            }
            while inner != region {
                if only_exit[inner as usize] != Some(exit) {
                    return None;
                }
                if forest.parent[inner as usize] == region {
                    break;
                }
                inner = forest.parent[inner as usize];
            }
            let others = cfg.predecessors(exit).iter();
            if !others
                .clone()
                .all(|&p| forest.contains(inner, forest.region[p as usize]))
            {
                return None;
            }
        }
        // The blocks that are reached through the exit alone.
        let mut blocks = vec![exit];
        let mut fringe: BTreeMap<u32, usize> = BTreeMap::new();
        let mut next = 0;
        while next < blocks.len() {
            let block = blocks[next];
            next += 1;
            if cfg.convergent(block) {
                return None;
            }
            for (_, target) in cfg.successors(block) {
                let edges = fringe.entry(target).or_default();
                *edges += 1;
                if *edges == cfg.predecessors(target).len() && target != cfg.entry() {
                    fringe.remove(&target);
                    if blocks.len() == MAX_BLOCKS {
                        return None;
                    }
                    blocks.push(target);
                }
            }
        }
        if fringe.len() > 1 {
            return None;
        }
        let to = fringe.into_keys().next();
        let header = |b: u32| {
            let mut sources = cfg.predecessors(b).iter();
            b == cfg.entry()
                || sources.any(|&p| !forest.contains(region, forest.region[p as usize]))
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
