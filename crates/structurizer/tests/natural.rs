//! Programs of nested ifs and loops with breaks, continues and returns: no flags, no deeper than they were, and threads
//! in lock-step run each block together as they would in the source.

mod common;

use common::lockstep::{self, Lanes};
use proptest::prelude::*;
use structurizer::{structurize, Block, BlockId, Graph, Terminator};

/// A statement of a small language. The numbers are blocks.
#[derive(Clone, Debug)]
enum Statement {
    Run {
        block: u32,
        convergent: bool,
    },
    If {
        block: u32,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    /// Tests at the start.
    While {
        block: u32,
        body: Vec<Statement>,
    },
    /// Tests at the end.
    DoWhile {
        block: u32,
        body: Vec<Statement>,
    },
    Forever {
        block: u32,
        body: Vec<Statement>,
    },
    /// Leaves the innermost loop, perhaps after a block.
    Break {
        block: Option<u32>,
    },
    Continue,
    Return {
        block: u32,
    },
}

use Statement::*;

fn statements(depth: u32) -> BoxedStrategy<Vec<Statement>> {
    let leaf = || {
        prop_oneof![
            6 => any::<bool>().prop_map(|convergent| Run { block: 0, convergent }),
            1 => proptest::option::of(Just(0)).prop_map(|block| Break { block }),
            1 => Just(Continue),
            1 => Just(Return { block: 0 }),
        ]
    };
    if depth == 0 {
        return proptest::collection::vec(leaf(), 0..3).boxed();
    }
    let inner = || statements(depth - 1);
    let statement = prop_oneof![
        3 => leaf(),
        4 => (inner(), inner()).prop_map(|(then, otherwise)| If { block: 0, then, otherwise }),
        1 => inner().prop_map(|body| While { block: 0, body }),
        1 => inner().prop_map(|body| DoWhile { block: 0, body }),
        1 => inner().prop_map(|body| Forever { block: 0, body }),
    ];
    proptest::collection::vec(statement, 0..4).boxed()
}

/// What loop is around a statement.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Nothing,
    /// One that continues at its header.
    Header,
    /// One that continues at a block at its end.
    Latch,
}

/// Numbers the blocks in the order of the text, removes what follows a jump, and replaces jumps that have no loop.
struct Numbering {
    next: u32,
    /// Whether to leave out longer ways out of loops: they run after the loop, by all threads together.
    plain: bool,
    /// Whether `Continue` may jump past the rest of a body to a latch.
    latches: bool,
}

impl Numbering {
    fn new_block(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn list(&mut self, list: &mut Vec<Statement>, around: Around, in_arm: bool) {
        if let Some(at) = list.iter().position(|s| !falls(std::slice::from_ref(s))) {
            list.truncate(at + 1);
        }
        if self.plain && around != Around::Nothing {
            match list.last_mut() {
                Some(Break { .. } | Return { .. }) if in_arm => {
                    list.drain(..list.len() - 1);
                }
                Some(last @ (Break { .. } | Return { .. })) => {
                    *last = Run {
                        block: 0,
                        convergent: false,
                    };
                }
                Some(If {
                    then, otherwise, ..
                }) if !falls(then) && !falls(otherwise) => otherwise.clear(),
                _ => {}
            }
        }
        for statement in list {
            let replaced = match statement {
                Break { .. } => around == Around::Nothing,
                Continue => around == Around::Nothing || (around == Around::Latch && !self.latches),
                _ => false,
            };
            if replaced {
                *statement = Run {
                    block: 0,
                    convergent: false,
                };
            }
            match statement {
                Run { block, .. } | Return { block } => *block = self.new_block(),
                Break { block } => *block = block.map(|_| self.new_block()),
                Continue => {}
                If {
                    block,
                    then,
                    otherwise,
                } => {
                    *block = self.new_block();
                    self.list(then, around, true);
                    self.list(otherwise, around, true);
                }
                While { block, body } | Forever { block, body } => {
                    *block = self.new_block();
                    self.list(body, Around::Header, false);
                    let endless = matches!(statement, Forever { body, .. } if !breaks(body));
                    if let (true, Forever { block, body }) = (endless, &mut *statement) {
                        *statement = While {
                            block: *block,
                            body: std::mem::take(body),
                        };
                    }
                }
                DoWhile { block, body } => {
                    if self.plain {
                        // Two loops with one header are taken for one loop.
                        let first = Run {
                            block: 0,
                            convergent: false,
                        };
                        body.insert(0, first);
                    }
                    self.list(body, Around::Latch, false);
                    *block = self.new_block();
                }
            }
        }
    }
}

/// Whether the end of a list can be reached.
fn falls(list: &[Statement]) -> bool {
    !list.iter().any(|statement| match statement {
        Break { .. } | Continue | Return { .. } => true,
        If {
            then, otherwise, ..
        } => !falls(then) && !falls(otherwise),
        _ => false,
    })
}

/// Whether a list leaves the loop around it.
fn breaks(list: &[Statement]) -> bool {
    list.iter().any(|statement| match statement {
        Break { .. } => true,
        If {
            then, otherwise, ..
        } => breaks(then) || breaks(otherwise),
        _ => false,
    })
}

/// Where the jumps of a statement lead.
#[derive(Clone, Copy)]
struct Targets {
    next: u32,
    leave: u32,
    again: u32,
}

/// Connects the blocks of a list; returns where it begins.
fn connect(list: &[Statement], to: Targets, blocks: &mut [Block]) -> u32 {
    let mut next = to.next;
    for statement in list.iter().rev() {
        let at = Targets { next, ..to };
        let mut end = |block: u32, terminator| blocks[block as usize].terminator = terminator;
        let branch = |then, otherwise| Terminator::Branch {
            then: BlockId(then),
            otherwise: BlockId(otherwise),
        };
        next = match statement {
            Run { block, convergent } => {
                end(*block, Terminator::Jump(BlockId(next)));
                blocks[*block as usize].convergent = *convergent;
                *block
            }
            Return { block } => {
                end(*block, Terminator::Exit);
                *block
            }
            Break { block: None } => to.leave,
            Break { block: Some(block) } => {
                end(*block, Terminator::Jump(BlockId(to.leave)));
                *block
            }
            Continue => to.again,
            If {
                block,
                then,
                otherwise,
            } => {
                let then = connect(then, at, blocks);
                let otherwise = connect(otherwise, at, blocks);
                blocks[*block as usize].terminator = branch(then, otherwise);
                *block
            }
            While { block, body } | Forever { block, body } => {
                let targets = Targets {
                    next: *block,
                    leave: next,
                    again: *block,
                };
                let body = connect(body, targets, blocks);
                let terminator = match statement {
                    While { .. } => branch(body, next),
                    _ => Terminator::Jump(BlockId(body)),
                };
                blocks[*block as usize].terminator = terminator;
                *block
            }
            DoWhile { block, body } => {
                let targets = Targets {
                    next: *block,
                    leave: next,
                    again: *block,
                };
                let body = connect(body, targets, blocks);
                blocks[*block as usize].terminator = branch(body, next);
                body
            }
        };
    }
    next
}

fn lower(program: &[Statement], count: u32) -> Graph {
    let block = Block {
        terminator: Terminator::Exit,
        convergent: false,
    };
    let mut blocks = vec![block; count as usize + 1];
    let targets = Targets {
        next: count,
        leave: count,
        again: count,
    };
    let entry = BlockId(connect(program, targets, &mut blocks));
    Graph { blocks, entry }
}

fn program(
    depth: u32,
    plain: bool,
    latches: bool,
) -> impl Strategy<Value = (Vec<Statement>, Graph)> {
    statements(depth).prop_map(move |mut program| {
        let mut numbering = Numbering {
            next: 0,
            plain,
            latches,
        };
        numbering.list(&mut program, Around::Nothing, false);
        let graph = lower(&program, numbering.next);
        (program, graph)
    })
}

/// The blocks on ways out of loops: they may run later than in the source, but with more threads.
fn ways_out(list: &[Statement], found: &mut Vec<u32>) {
    for statement in list {
        match statement {
            Return { block } | Break { block: Some(block) } => found.push(*block),
            If {
                then, otherwise, ..
            } => {
                ways_out(then, found);
                ways_out(otherwise, found);
            }
            While { body, .. } | DoWhile { body, .. } | Forever { body, .. } => {
                ways_out(body, found)
            }
            _ => {}
        }
    }
}

fn has_loop(statement: &Statement) -> bool {
    match statement {
        While { .. } | DoWhile { .. } | Forever { .. } => true,
        If {
            then, otherwise, ..
        } => then.iter().chain(otherwise).any(has_loop),
        _ => false,
    }
}

/// The blocks that are in no loop.
fn outside_loops(list: &[Statement], found: &mut Vec<u32>) {
    for statement in list {
        match statement {
            Run { block, .. } => found.push(*block),
            If {
                block,
                then,
                otherwise,
            } => {
                found.push(*block);
                outside_loops(then, found);
                outside_loops(otherwise, found);
            }
            _ => {}
        }
    }
}

/// How deep a program is nested.
fn depth(list: &[Statement]) -> usize {
    let depths = list.iter().map(|statement| match statement {
        If {
            then, otherwise, ..
        } => 1 + depth(then).max(depth(otherwise)),
        // Its test is an `If` around the break.
        While { body, .. } | DoWhile { body, .. } => 1 + depth(body).max(1),
        Forever { body, .. } => 1 + depth(body),
        _ => 0,
    });
    depths.max().unwrap_or(0)
}

/// Runs a program in lock-step as the source says; returns the lanes that reach its end.
fn run(lanes: &mut Lanes, list: &[Statement], mut mask: u8, loops: &mut Vec<(u8, u8)>) -> u8 {
    for statement in list {
        if mask == 0 || lanes.stopped() {
            return 0;
        }
        match statement {
            Run { block, .. } => lanes.visit(*block, mask),
            Return { block } => {
                lanes.visit(*block, mask);
                mask = 0;
            }
            Break { block } => {
                if let Some(block) = block {
                    lanes.visit(*block, mask);
                }
                loops.last_mut().expect("a loop").0 |= mask;
                mask = 0;
            }
            Continue => {
                loops.last_mut().expect("a loop").1 |= mask;
                mask = 0;
            }
            If {
                block,
                then,
                otherwise,
            } => {
                lanes.visit(*block, mask);
                let taken = lanes.condition(*block) & mask;
                let then = run(lanes, then, taken, loops);
                mask = then | run(lanes, otherwise, mask & !taken, loops);
            }
            While { block, body } | Forever { block, body } => {
                let mut left = 0;
                while mask != 0 && !lanes.stopped() {
                    lanes.visit(*block, mask);
                    if matches!(statement, While { .. }) {
                        let taken = lanes.condition(*block);
                        left |= mask & !taken;
                        mask &= taken;
                    }
                    loops.push((0, 0));
                    mask = run(lanes, body, mask, loops);
                    let (leave, again) = loops.pop().expect("a loop");
                    left |= leave;
                    mask |= again;
                }
                mask = left;
            }
            DoWhile { block, body } => {
                let mut left = 0;
                while mask != 0 && !lanes.stopped() {
                    loops.push((0, 0));
                    mask = run(lanes, body, mask, loops);
                    let (leave, again) = loops.pop().expect("a loop");
                    left |= leave;
                    mask |= again;
                    if mask != 0 {
                        lanes.visit(*block, mask);
                        let taken = lanes.condition(*block);
                        left |= mask & !taken;
                        mask &= taken;
                    }
                }
                mask = left;
            }
        }
    }
    mask
}

/// Compares how often and by whom each block runs, in the source and in the tree.
fn check_lockstep(program: &[Statement], graph: &Graph) {
    // With convergent blocks, `continue` and its like may become an inner loop.
    let mut graph = graph.clone();
    for block in &mut graph.blocks {
        block.convergent = false;
    }
    let tree = structurize(&graph);
    let mut out = Vec::new();
    ways_out(program, &mut out);
    // What follows a loop may be a way out too, where another stays outside.
    if program.iter().any(has_loop) {
        outside_loops(program, &mut out);
        out.push(graph.blocks.len() as u32 - 1);
    }
    for seed in 0..4 {
        let mut source = Lanes::new(graph.blocks.len(), seed, 2000);
        let end = run(&mut source, program, 0xff, &mut Vec::new());
        if source.stopped() {
            continue;
        }
        if end != 0 {
            source.visit(graph.blocks.len() as u32 - 1, end);
        }
        let target = lockstep::run_tree(&graph, &tree, seed, 10_000);
        assert!(!target.stopped());
        for block in 0..graph.blocks.len() as u32 {
            let (source, target) = (source.visits(block), target.visits(block));
            if !out.contains(&block) {
                assert_eq!(source, target, "block {block}\n{program:?}\n{tree}");
            }
        }
    }
}

proptest! {
    #![proptest_config(common::cases(2000))]

    #[test]
    fn no_flags((program, graph) in program(4, true, false)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 300);
        prop_assert_eq!(tree.flags, 0, "{:?}\n{}", program, tree);
        prop_assert!(tree.depth() <= 2 * depth(&program), "{:?}\n{}", program, tree);
        check_lockstep(&program, &graph);
    }

    #[test]
    fn with_latches((program, graph) in program(4, true, true)) {
        common::check(&graph, &structurize(&graph), 300);
        check_lockstep(&program, &graph);
    }

    #[test]
    fn with_long_ways_out((_, graph) in program(4, false, true)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 300);
        lockstep::check_together(&graph, &tree);
    }
}
