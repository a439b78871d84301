//! Programs to structure, and two ways to run them.
#![allow(dead_code)]

pub mod lockstep;

use structurizer::{Block, BlockId, Condition, FlagValue, Graph, Node, Structured, Terminator};

/// Decides branches: a fixed, random-looking function of the block and of how often it ran.
#[derive(Clone, Copy)]
pub struct Oracle {
    pub seed: u64,
    /// Of 256 decisions, how many are "taken".
    pub bias: u8,
}

impl Oracle {
    pub fn decide(&self, block: u32, visit: u32) -> bool {
        let mut x = self.seed ^ (u64::from(block) << 32) ^ u64::from(visit);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        ((x >> 16) as u8) < self.bias
    }
}

/// The blocks that a thread visits, at most `fuel` of them, and whether it ended.
pub fn run_graph(graph: &Graph, oracle: Oracle, fuel: usize) -> (Vec<u32>, bool) {
    let mut visits = vec![0; graph.blocks.len()];
    let mut trace = Vec::new();
    let mut at = graph.entry;
    while trace.len() < fuel {
        trace.push(at.0);
        let visit = visits[at.0 as usize];
        visits[at.0 as usize] += 1;
        at = match graph.blocks[at.0 as usize].terminator {
            Terminator::Jump(to) => to,
            Terminator::Branch { then, otherwise } => {
                if oracle.decide(at.0, visit) {
                    then
                } else {
                    otherwise
                }
            }
            Terminator::Exit => return (trace, true),
        };
    }
    (trace, false)
}

/// The same of a tree.
pub fn run_tree(graph: &Graph, tree: &Structured, oracle: Oracle, fuel: usize) -> (Vec<u32>, bool) {
    let mut thread = Thread {
        oracle,
        fuel,
        trace: Vec::new(),
        visits: vec![0; graph.blocks.len()],
        conditions: vec![None; graph.blocks.len()],
        flags: vec![None; tree.flags as usize],
        idle: 0,
    };
    let end = thread.list(&tree.body);
    (thread.trace, end != End::Fuel)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Through,
    Break,
    Continue,
    Return,
    Fuel,
}

struct Thread {
    oracle: Oracle,
    fuel: usize,
    trace: Vec<u32>,
    visits: Vec<u32>,
    conditions: Vec<Option<bool>>,
    flags: Vec<Option<bool>>,
    idle: usize,
}

impl Thread {
    fn list(&mut self, nodes: &[Node]) -> End {
        for node in nodes {
            let end = match node {
                Node::Block(block) => {
                    if self.trace.len() == self.fuel {
                        return End::Fuel;
                    }
                    self.idle = 0;
                    let b = block.0 as usize;
                    self.trace.push(block.0);
                    self.conditions[b] = Some(self.oracle.decide(block.0, self.visits[b]));
                    self.visits[b] += 1;
                    End::Through
                }
                Node::Set(flag, value) => {
                    let value = match value {
                        FlagValue::Constant(value) => *value,
                        FlagValue::Block(b) => {
                            self.conditions[b.0 as usize].expect("the block ran")
                        }
                        FlagValue::NotBlock(b) => {
                            !self.conditions[b.0 as usize].expect("the block ran")
                        }
                    };
                    self.flags[flag.0 as usize] = Some(value);
                    End::Through
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let value = match condition {
                        Condition::Block(b) => {
                            self.conditions[b.0 as usize].expect("the block ran")
                        }
                        Condition::Flag(f) => self.flags[f.0 as usize].expect("the flag was set"),
                    };
                    self.list(if value { then } else { otherwise })
                }
                Node::Loop(body) => loop {
                    self.idle += 1;
                    assert!(self.idle < 100, "a loop runs without any block");
                    match self.list(body) {
                        End::Break => break End::Through,
                        End::Through | End::Continue => {}
                        end => break end,
                    }
                },
                Node::Break => End::Break,
                Node::Continue => End::Continue,
                Node::Return => End::Return,
            };
            if end != End::Through {
                return end;
            }
        }
        End::Through
    }
}

/// Checks a tree against its graph: the static rules, and equal traces under several oracles.
pub fn check(graph: &Graph, tree: &Structured, fuel: usize) {
    structurizer::verify(graph, tree).unwrap_or_else(|error| panic!("{error}\n{tree}"));
    for seed in 0..6 {
        for bias in [64, 128, 192] {
            let oracle = Oracle { seed, bias };
            let expected = run_graph(graph, oracle, fuel);
            let actual = run_tree(graph, tree, oracle, fuel);
            assert!(
                expected == actual,
                "seed {seed}, bias {bias}: {expected:?} became {actual:?}\n{graph:?}\n{tree}"
            );
        }
    }
}

/// A graph from a list of terminators: `""` ends the thread, `"3"` jumps, `"3 4"` branches; `!` in front: convergent.
pub fn graph(blocks: &[&str]) -> Graph {
    let blocks = blocks.iter().map(|text| {
        let convergent = text.starts_with('!');
        let targets: Vec<BlockId> = text
            .trim_start_matches('!')
            .split_whitespace()
            .map(|n| BlockId(n.parse().expect("a block number")))
            .collect();
        let terminator = match targets[..] {
            [] => Terminator::Exit,
            [to] => Terminator::Jump(to),
            [then, otherwise] => Terminator::Branch { then, otherwise },
            _ => panic!("at most two targets"),
        };
        Block {
            terminator,
            convergent,
        }
    });
    Graph {
        blocks: blocks.collect(),
        entry: BlockId(0),
    }
}

/// How many cases a property is tested with; `PROPTEST_CASES` overrides.
pub fn cases(default: u32) -> proptest::test_runner::Config {
    let cases = std::env::var("PROPTEST_CASES").ok();
    proptest::test_runner::Config {
        cases: cases.map_or(default, |n| n.parse().expect("a number")),
        failure_persistence: None,
        ..Default::default()
    }
}
