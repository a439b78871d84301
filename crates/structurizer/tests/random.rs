//! Random graphs: the tree visits the same blocks in the same order.

mod common;

use proptest::prelude::*;
use structurizer::{structurize, Block, BlockId, Graph, Terminator};

fn any_terminator(blocks: u32) -> impl Strategy<Value = Terminator> {
    let block = move || (0..blocks).prop_map(BlockId);
    prop_oneof![
        1 => Just(Terminator::Exit),
        4 => block().prop_map(Terminator::Jump),
        8 => (block(), block()).prop_map(|(then, otherwise)| Terminator::Branch { then, otherwise }),
    ]
}

/// Any edges at all: mostly irreducible.
fn any_graph(max: u32) -> impl Strategy<Value = Graph> {
    (1..=max).prop_flat_map(|n| {
        let block = (any_terminator(n), proptest::bool::weighted(0.1)).prop_map(
            |(terminator, convergent)| Block {
                terminator,
                convergent,
            },
        );
        (proptest::collection::vec(block, n as usize), 0..n).prop_map(|(blocks, entry)| Graph {
            blocks,
            entry: BlockId(entry),
        })
    })
}

/// No cycles: every edge leads to a later block.
fn forward_graph(max: u32) -> impl Strategy<Value = Graph> {
    (2..=max).prop_flat_map(|n| {
        let blocks: Vec<_> = (0..n - 1)
            .map(|b| {
                let later = move || (b + 1..n).prop_map(BlockId);
                let terminator = prop_oneof![
                    1 => Just(Terminator::Exit),
                    10 => later().prop_map(Terminator::Jump),
                    20 => (later(), later())
                        .prop_map(|(then, otherwise)| Terminator::Branch { then, otherwise }),
                ];
                (terminator, any::<bool>()).prop_map(|(terminator, convergent)| Block {
                    terminator,
                    convergent,
                })
            })
            .collect();
        blocks.prop_map(|mut blocks| {
            blocks.push(Block {
                terminator: Terminator::Exit,
                convergent: true,
            });
            Graph {
                blocks,
                entry: BlockId(0),
            }
        })
    })
}

/// Edges to blocks nearby, as in programs with gotos: loops of all kinds, one in another.
fn near_graph(max: u32) -> impl Strategy<Value = Graph> {
    (2..=max).prop_flat_map(|n| {
        let blocks: Vec<_> = (0..n)
            .map(|b| {
                let near = move || {
                    (-4i64..=6).prop_map(move |d| {
                        let to = i64::from(b) + d;
                        BlockId(to.clamp(0, i64::from(n) - 1) as u32)
                    })
                };
                let next = BlockId((b + 1).min(n - 1));
                let terminator = if b == n - 1 {
                    Just(Terminator::Exit).boxed()
                } else {
                    prop_oneof![
                        1 => Just(Terminator::Exit),
                        10 => Just(Terminator::Jump(next)),
                        5 => near().prop_map(Terminator::Jump),
                        20 => near()
                            .prop_map(move |then| Terminator::Branch { then, otherwise: next }),
                    ]
                    .boxed()
                };
                (terminator, any::<bool>()).prop_map(|(terminator, convergent)| Block {
                    terminator,
                    convergent,
                })
            })
            .collect();
        blocks.prop_map(|blocks| Graph {
            blocks,
            entry: BlockId(0),
        })
    })
}

proptest! {
    #![proptest_config(common::cases(2000))]

    #[test]
    fn any_edges_small(graph in any_graph(8)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 200);
        common::lockstep::check_together(&graph, &tree);
    }

    #[test]
    fn any_edges(graph in any_graph(40)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 400);
        common::lockstep::check_together(&graph, &tree);
        prop_assert!(tree.depth() <= 70);
    }

    #[test]
    fn forward_edges(graph in forward_graph(30)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 400);
        common::lockstep::check_together(&graph, &tree);
        prop_assert!(tree.depth() <= 70);
    }

    #[test]
    fn mostly_near_edges(graph in near_graph(60)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 400);
        common::lockstep::check_together(&graph, &tree);
        prop_assert!(tree.depth() <= 70);
    }
}
