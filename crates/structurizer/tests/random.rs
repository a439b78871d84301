//! Random graphs: the tree visits the same blocks in the same order.

mod common;

use proptest::prelude::*;
use structurizer::{structurize, Block, BlockId, Graph, Node, Terminator};

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

/// The blocks that can be reached from a block without passing another.
fn reach(graph: &Graph, from: BlockId, without: Option<BlockId>) -> Vec<bool> {
    let mut seen = vec![false; graph.blocks.len()];
    let mut work = vec![from];
    while let Some(at) = work.pop() {
        if Some(at) == without || std::mem::replace(&mut seen[at.0 as usize], true) {
            continue;
        }
        match graph.blocks[at.0 as usize].terminator {
            Terminator::Jump(to) => work.push(to),
            Terminator::Branch { then, otherwise } => work.extend([then, otherwise]),
            Terminator::Exit => {}
        }
    }
    seen
}

/// Gives every edge to an exit block, but the last, an exit block of its own.
fn own_exits(mut graph: Graph) -> Graph {
    let last = BlockId(graph.blocks.len() as u32 - 1);
    for b in 0..last.0 as usize {
        let own = |to: &mut BlockId, blocks: &mut Vec<Block>| {
            if *to != last && blocks[to.0 as usize].terminator == Terminator::Exit {
                let block = Block {
                    terminator: Terminator::Exit,
                    convergent: false,
                };
                blocks.push(block);
                *to = BlockId(blocks.len() as u32 - 1);
            }
        };
        let mut terminator = graph.blocks[b].terminator;
        match &mut terminator {
            Terminator::Jump(to) => own(to, &mut graph.blocks),
            Terminator::Branch { then, otherwise } => {
                own(then, &mut graph.blocks);
                own(otherwise, &mut graph.blocks);
            }
            Terminator::Exit => {}
        }
        graph.blocks[b].terminator = terminator;
    }
    graph
}

/// Checks that convergent blocks that all threads reach, but for those that ended in exits of their own, are in no `If`.
/// Returns how many there are.
fn check_unguarded(graph: &Graph) -> usize {
    let tree = structurize(graph);
    let top = |block: u32| tree.body.contains(&Node::Block(BlockId(block)));
    let reachable = reach(graph, graph.entry, None);
    let mut predecessors = vec![0; graph.blocks.len()];
    for (block, _) in graph
        .blocks
        .iter()
        .zip(&reachable)
        .filter(|(_, &reachable)| reachable)
    {
        match block.terminator {
            Terminator::Jump(to) => predecessors[to.0 as usize] += 1,
            Terminator::Branch { then, otherwise } => {
                predecessors[then.0 as usize] += 1;
                predecessors[otherwise.0 as usize] += 1;
            }
            Terminator::Exit => {}
        }
    }
    let mut found = 0;
    for block in (0..graph.blocks.len() as u32).filter(|&b| reachable[b as usize]) {
        let around = reach(graph, graph.entry, Some(BlockId(block)));
        let on_the_way = (0..graph.blocks.len()).filter(|&b| around[b]).all(|b| {
            let leads_there = reach(graph, BlockId(b as u32), None)[block as usize];
            let alone = predecessors[b] == 1 && !graph.blocks[b].convergent;
            leads_there || alone
        });
        if graph.blocks[block as usize].convergent && on_the_way {
            assert!(top(block), "block {block}\n{graph:?}\n{tree}");
            found += 1;
        }
    }
    found
}

#[test]
fn unguarded_blocks_are_found() {
    let graph = common::graph(&["1 2", "", "4 3", "4", "!5 6", "", "!"]);
    assert_eq!(check_unguarded(&graph), 2);
}

proptest! {
    #![proptest_config(common::cases(800))]

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
        check_unguarded(&graph);
        check_unguarded(&own_exits(graph));
    }

    #[test]
    fn mostly_near_edges(graph in near_graph(60)) {
        let tree = structurize(&graph);
        common::check(&graph, &tree, 400);
        common::lockstep::check_together(&graph, &tree);
        prop_assert!(tree.depth() <= 70);
    }
}
