//! Eight threads in lock-step: those that part come together again where maximal reconvergence says, at the end of an
//! `If`, behind a loop, and at a loop's next iteration.

use structurizer::{Condition, FlagValue, Graph, Node, Structured, Terminator};

use super::Oracle;

/// The state of eight threads, and a record of who ran what.
pub struct Lanes {
    oracles: [Oracle; 8],
    counts: Vec<[u32; 8]>,
    conditions: Vec<u8>,
    visits: Vec<Vec<u8>>,
    flags: Vec<u8>,
    fuel: usize,
}

impl Lanes {
    pub fn new(blocks: usize, seed: u64, fuel: usize) -> Self {
        let oracle = |lane| Oracle {
            // Some threads decide alike.
            seed: seed * 8 + lane / 2,
            bias: 110,
        };
        Lanes {
            oracles: std::array::from_fn(|lane| oracle(lane as u64)),
            counts: vec![[0; 8]; blocks],
            conditions: vec![0; blocks],
            visits: vec![Vec::new(); blocks],
            flags: Vec::new(),
            fuel,
        }
    }

    /// Runs a block in the lanes of a mask.
    pub fn visit(&mut self, block: u32, mask: u8) {
        self.fuel = self.fuel.saturating_sub(1);
        let b = block as usize;
        self.visits[b].push(mask);
        for lane in (0..8).filter(|lane| mask >> lane & 1 != 0) {
            let taken = self.oracles[lane].decide(block, self.counts[b][lane]);
            self.counts[b][lane] += 1;
            self.conditions[b] = self.conditions[b] & !(1 << lane) | u8::from(taken) << lane;
        }
    }

    /// The lanes in which a block's condition was true the last time.
    pub fn condition(&self, block: u32) -> u8 {
        self.conditions[block as usize]
    }

    /// The masks with which a block ran, in order.
    pub fn visits(&self, block: u32) -> &[u8] {
        &self.visits[block as usize]
    }

    /// Whether the fuel is used up.
    pub fn stopped(&self) -> bool {
        self.fuel == 0
    }

    /// Returns the lanes that reach the end.
    fn list(&mut self, nodes: &[Node], mut mask: u8, loops: &mut Vec<(u8, u8)>) -> u8 {
        for node in nodes {
            if mask == 0 || self.stopped() {
                return 0;
            }
            match node {
                Node::Block(block) => self.visit(block.0, mask),
                Node::Set(flag, value) => {
                    let value = match value {
                        FlagValue::Constant(false) => 0,
                        FlagValue::Constant(true) => 0xff,
                        FlagValue::Block(block) => self.condition(block.0),
                        FlagValue::NotBlock(block) => !self.condition(block.0),
                    };
                    let flag = &mut self.flags[flag.0 as usize];
                    *flag = *flag & !mask | value & mask;
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let taken = match condition {
                        Condition::Block(block) => self.condition(block.0),
                        Condition::Flag(flag) => self.flags[flag.0 as usize],
                    };
                    let end = self.list(then, mask & taken, loops);
                    mask = end | self.list(otherwise, mask & !taken, loops);
                }
                Node::Loop(body) => {
                    let mut left = 0;
                    while mask != 0 && !self.stopped() {
                        loops.push((0, 0));
                        mask = self.list(body, mask, loops);
                        let (leave, again) = loops.pop().expect("a loop");
                        left |= leave;
                        mask |= again;
                    }
                    mask = left;
                }
                Node::Break => {
                    loops.last_mut().expect("a loop").0 |= mask;
                    mask = 0;
                }
                Node::Continue => {
                    loops.last_mut().expect("a loop").1 |= mask;
                    mask = 0;
                }
                Node::Return => mask = 0,
            }
        }
        mask
    }
}

/// Runs a tree with all eight threads.
pub fn run_tree(graph: &Graph, tree: &Structured, seed: u64, fuel: usize) -> Lanes {
    let mut lanes = Lanes::new(graph.blocks.len(), seed, fuel);
    lanes.flags = vec![0; tree.flags as usize];
    lanes.list(&tree.body, 0xff, &mut Vec::new());
    lanes
}

/// Checks that all threads that run a convergent block which is in no cycle do so together.
pub fn check_together(graph: &Graph, tree: &Structured) {
    let n = graph.blocks.len();
    for seed in 0..3 {
        let lanes = run_tree(graph, tree, seed, 3000);
        for block in (0..n as u32).filter(|&b| graph.blocks[b as usize].convergent) {
            if lanes.visits(block).len() > 1 {
                assert!(
                    in_cycle(graph, block),
                    "block {block} ran {:x?}\n{tree}",
                    lanes.visits(block)
                );
            }
        }
    }
}

fn in_cycle(graph: &Graph, block: u32) -> bool {
    let mut seen = vec![false; graph.blocks.len()];
    let mut work = vec![block];
    while let Some(at) = work.pop() {
        let (a, b) = match graph.blocks[at as usize].terminator {
            Terminator::Jump(to) => (Some(to), None),
            Terminator::Branch { then, otherwise } => (Some(then), Some(otherwise)),
            Terminator::Exit => (None, None),
        };
        for to in [a, b].into_iter().flatten() {
            if to.0 == block {
                return true;
            }
            if !std::mem::replace(&mut seen[to.0 as usize], true) {
                work.push(to.0);
            }
        }
    }
    false
}
