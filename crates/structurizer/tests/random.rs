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

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_edges_small(graph in any_graph(8)) {
        common::check(&graph, &structurize(&graph), 200);
    }

    #[test]
    fn any_edges(graph in any_graph(40)) {
        common::check(&graph, &structurize(&graph), 400);
    }
}
