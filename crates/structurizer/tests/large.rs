//! Large graphs: no stack overflow, no quadratic time, and nesting within what drivers bear.

mod common;

use std::time::{Duration, Instant};

use structurizer::{structurize, Block, BlockId, Graph, Structured, Terminator};

fn exit() -> Block {
    Block {
        terminator: Terminator::Exit,
        convergent: false,
    }
}

fn jump(to: usize) -> Block {
    Block {
        terminator: Terminator::Jump(BlockId(to as u32)),
        convergent: false,
    }
}

fn branch(then: usize, otherwise: usize) -> Block {
    Block {
        terminator: Terminator::Branch {
            then: BlockId(then as u32),
            otherwise: BlockId(otherwise as u32),
        },
        convergent: false,
    }
}

/// Structures and checks; twelve loops in one another may add two levels each to those of ifs.
fn run(name: &str, blocks: Vec<Block>) -> Structured {
    let graph = Graph {
        blocks,
        entry: BlockId(0),
    };
    let start = Instant::now();
    let tree = structurize(&graph);
    let time = start.elapsed();
    println!(
        "{name}: {} blocks, {time:?}, depth {}, {} flags",
        graph.blocks.len(),
        tree.depth(),
        tree.flags
    );
    // Far more than it takes, for slow and busy machines and builds without optimisation.
    assert!(time < Duration::from_secs(20), "{time:?}");
    assert!(tree.depth() <= 70, "depth {}", tree.depth());
    common::check(&graph, &tree, 3000);
    tree
}

/// A pseudo-random sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
}

#[test]
fn chain() {
    let n = 100_000;
    let mut blocks: Vec<Block> = (1..n).map(jump).collect();
    blocks.push(exit());
    assert_eq!(run("chain", blocks).depth(), 0);
}

#[test]
fn diamonds() {
    let n = 25_000;
    let mut blocks = Vec::new();
    for i in 0..n {
        let at = 4 * i;
        blocks.extend([
            branch(at + 1, at + 2),
            jump(at + 3),
            jump(at + 3),
            jump(at + 4),
        ]);
    }
    blocks.push(exit());
    let tree = run("diamonds", blocks);
    assert_eq!((tree.depth(), tree.flags), (1, 0));
}

/// `if (x == 0) { A; goto join; } if (x == 1) { B; goto join; } ...`
#[test]
fn switch_ladder() {
    for cases in [20, 200, 20_000] {
        let join = 2 * cases;
        let mut blocks = Vec::new();
        for i in 0..cases {
            blocks.extend([branch(2 * i + 1, 2 * i + 2), jump(join)]);
        }
        blocks.push(exit());
        let tree = run("switch ladder", blocks);
        assert!(tree.flags as usize <= cases / 20, "{} flags", tree.flags);
    }
}

/// `if (c1) goto end; A; if (c2) goto end; B; ...`
#[test]
fn early_outs() {
    for steps in [10, 100, 20_000] {
        let end = 2 * steps;
        let mut blocks = Vec::new();
        for i in 0..steps {
            blocks.extend([branch(end, 2 * i + 1), jump(2 * i + 2)]);
        }
        blocks.push(exit());
        let tree = run("early outs", blocks);
        assert!(tree.flags as usize <= steps / 20, "{} flags", tree.flags);
    }
}

/// The same with an exit block for each.
#[test]
fn early_returns() {
    let steps = 20_000;
    let mut blocks = Vec::new();
    for i in 0..steps {
        blocks.extend([branch(3 * i + 1, 3 * i + 2), exit(), jump(3 * i + 3)]);
    }
    blocks.push(exit());
    let tree = run("early returns", blocks);
    assert!(tree.depth() <= 12, "depth {}", tree.depth());
    assert_eq!(tree.flags, 0);
}

/// `loop { if (c1) break; A; if (c2) continue; B; ... }`
#[test]
fn breaks_and_continues() {
    let steps = 10_000;
    let end = 2 * steps;
    let mut blocks = Vec::new();
    for i in 0..steps {
        let to = if i % 2 == 0 { end } else { 0 };
        let next = if 2 * i + 2 == end { 0 } else { 2 * i + 2 };
        blocks.extend([branch(to, 2 * i + 1), jump(next)]);
    }
    blocks.push(exit());
    let tree = run("breaks and continues", blocks);
    assert!(tree.depth() <= 12, "depth {}", tree.depth());
    assert_eq!(tree.flags, 0);
}

/// Every step of a body may go to the latch.
#[test]
fn continues_to_a_latch() {
    let steps = 5_000;
    let latch = 4 * steps + 1;
    let mut blocks = vec![jump(1)];
    for i in 0..steps {
        let at = 4 * i + 1;
        // `if (a) { if (b) continue; X }`
        blocks.extend([
            branch(at + 1, at + 3),
            branch(latch, at + 2),
            jump(at + 3),
            jump(at + 4),
        ]);
    }
    blocks.extend([branch(1, latch + 1), exit()]);
    run("continues to a latch", blocks);
}

/// Fall-through: `case 0: A; case 1: B; ...` with a ladder in front.
#[test]
fn fall_through() {
    let cases = 5_000;
    let mut blocks: Vec<Block> = (0..cases).map(|i| branch(cases + i, i + 1)).collect();
    blocks[cases - 1] = branch(2 * cases - 1, 2 * cases);
    blocks.extend((0..cases).map(|i| jump(cases + i + 1)));
    blocks.push(exit());
    run("fall through", blocks);
}

#[test]
fn nested_ifs() {
    for n in [30, 300, 20_000] {
        // Block i opens, block 2n - i closes.
        let mut blocks: Vec<Block> = (0..n).map(|i| branch(i + 1, 2 * n - i)).collect();
        blocks.extend((n..2 * n).map(|i| jump(i + 1)));
        blocks.push(exit());
        let tree = run("nested ifs", blocks);
        if n <= 30 {
            assert_eq!(tree.flags, 0);
        }
    }
}

#[test]
fn nested_loops() {
    for n in [6, 60, 10_000] {
        // Block i is a header, block 2n - 1 - i its latch.
        let mut blocks: Vec<Block> = (0..n).map(|i| jump(i + 1)).collect();
        blocks.extend((0..n).rev().map(|i| branch(i, 2 * n - i)));
        blocks.push(exit());
        let tree = run("nested loops", blocks);
        if n <= 6 {
            assert_eq!(tree.flags, 0);
        }
    }
}

#[test]
fn loops_in_sequence() {
    let n = 20_000;
    let mut blocks: Vec<Block> = (0..n).map(|i| branch(i, i + 1)).collect();
    blocks.push(exit());
    assert_eq!(run("loops in sequence", blocks).flags, 0);
}

#[test]
fn random_edges() {
    for n in [1_000, 20_000] {
        let mut random = Random(n as u64);
        let mut blocks: Vec<Block> = (0..n)
            .map(|_| branch(random.below(n), random.below(n)))
            .collect();
        blocks[n / 2] = exit();
        run("random edges", blocks);
    }
}

#[test]
fn random_near_edges() {
    let n = 20_000;
    let mut random = Random(7);
    let mut blocks: Vec<Block> = (0..n)
        .map(|i| match random.below(3) {
            0 => jump((i + 1).min(n - 1)),
            _ => {
                let to = (i + random.below(12)).saturating_sub(4).min(n - 1);
                branch(to, (i + 1).min(n - 1))
            }
        })
        .collect();
    blocks[n - 1] = exit();
    run("random near edges", blocks);
}

#[test]
fn random_forward_edges() {
    let n = 20_000;
    let mut random = Random(3);
    let mut blocks: Vec<Block> = (0..n)
        .map(|i| branch((i + 1 + random.below(50)).min(n), i + 1))
        .collect();
    blocks.push(exit());
    run("random forward edges", blocks);
}
