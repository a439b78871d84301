//! Named shapes and their trees.

mod common;

use common::graph;
use structurizer::structurize;

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident: $blocks:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let graph = graph(&$blocks);
            let tree = structurize(&graph);
            common::check(&graph, &tree, 300);
            insta::assert_snapshot!(stringify!($name), tree.to_string());
        }
    )*};
}

shapes! {
    straight: ["1", "2", ""];
    if_then: ["1 2", "2", ""];
    if_else: ["1 2", "3", "3", ""];
    if_in_if: ["1 4", "2 3", "3", "4", ""];
    else_if_chain: ["1 2", "7", "3 4", "7", "5 6", "7", "7", ""];
    /// `if (a && b) A else B`.
    short_circuit: ["1 3", "2 3", "4", "4", ""];
    /// `if (tid >= n) return; ...`, with an exit of its own and with a common one.
    early_return: ["1 2", "", "!3", ""];
    early_return_shared: ["2 1", "!2", ""];
    /// `if (a) { if (b) return; X } Y`.
    early_return_in_if: ["1 4", "2 3", "", "4", "!"];
    early_return_in_if_mirrored: ["1 4", "3 2", "", "4", "!"];
    /// Two ways to an error exit, and the main path behind it.
    error_before_main: ["1 2", "7 3", "7 3", "!4 5", "", "6", "", ""];
    /// Two ways to the same error exit.
    shared_error: ["4 1", "4 2", "!3", "", ""];
    while_loop: ["1", "2 3", "1", ""];
    do_while: ["1", "1 2", ""];
    do_while_with_if: ["1", "2 3", "3", "1 4", ""];
    infinite: ["1", "2", "1"];
    /// `while (a) { if (b) break; if (c) continue; X }`.
    breaks_and_continues: ["1", "2 6", "6 3", "5 4", "5", "1", ""];
    /// `for (..) { if (found) { A; break; } }`.
    break_with_block: ["1", "2 4", "3 1", "4", ""];
    /// The same, but what follows the loop without a break is not what follows the break.
    for_else: ["1", "2 4", "3 1", "5", "!5", ""];
    /// The same with warp operations on both ways: both after the loop.
    for_else_convergent: ["1", "2 4", "3 1", "!5", "!5", ""];
    return_in_loop: ["1", "2 4", "3 1", "", ""];
    nested_loops: ["1", "2 5", "3 4", "2", "1", ""];
    /// The inner loop leaves both, or continues the outer one.
    break_outer: ["1", "2 6", "3 5", "6 4", "2", "1", ""];
    continue_outer: ["1", "2 6", "3 5", "1 4", "2", "1", ""];
    break_and_continue_outer: ["1", "2 7", "3 6", "1 4", "7 5", "2", "1", ""];
    two_exits_far: ["1", "2 3", "4 1", "5", "6", "!7 7", "!7", ""];
    /// A jump over a merge: 1 goes to 4 past 3.
    jump_over_merge: ["1 2", "3 4", "3", "4", ""];
    switch_fall_through: ["1 2", "3", "3 4", "5", "5 6", "6", ""];
    irreducible: ["1 2", "2 3", "1 3", ""];
    /// A jump into the middle of a loop.
    goto_middle: ["3 1", "2 4", "3", "1", ""];
    irreducible_in_loop: ["1", "2 3", "3 4", "2 4", "1 5", ""];
    three_entries: ["1 2", "3", "3 4", "4 5", "5 3", "3 6", ""];
    barrier_in_loop: ["1", "!2 3", "!1", ""];
    /// `do { do { A } while (p); bar; } while (q)`, and the same without the barrier.
    shared_header_barrier: ["1", "1 2", "!3", "1 4", ""];
    shared_header: ["1", "1 2", "3", "1 4", ""];
    continue_chain: ["1", "1 2", "1 3", "1 4", "1 5", ""];
}
