//! The shapes of kernels as nvcc makes them. The environment variable `VKCUDA_TEST_GRAPHS` names a file with more, in the
//! format of the example `structurize`.

mod common;

use std::io::Write;

use structurizer::{structurize, Graph};

/// Graphs with their names.
fn read(text: &str) -> Vec<(String, Graph)> {
    let mut graphs = Vec::new();
    for part in text.split("# ").filter(|part| !part.trim().is_empty()) {
        let (name, blocks) = part.split_once('\n').expect("a line for the name");
        let blocks: Vec<&str> = blocks
            .lines()
            .filter_map(|line| line.strip_prefix(':'))
            .map(str::trim)
            .collect();
        graphs.push((name.to_owned(), common::graph(&blocks)));
    }
    graphs
}

fn check(text: &str) -> String {
    let (_, graph) = read(text).swap_remove(0);
    let tree = structurize(&graph);
    common::check(&graph, &tree, 2000);
    common::lockstep::check_together(&graph, &tree);
    tree.to_string()
}

#[test]
fn mul_mat_q() {
    insta::assert_snapshot!(
        "kernel_mul_mat_q",
        check(include_str!("kernels/mul_mat_q.txt"))
    );
}

#[test]
fn stream_k_fixup() {
    let text = include_str!("kernels/stream_k_fixup.txt");
    insta::assert_snapshot!("kernel_stream_k_fixup", check(text));
}

#[test]
fn argsort() {
    insta::assert_snapshot!("kernel_argsort", check(include_str!("kernels/argsort.txt")));
}

#[test]
fn reduce() {
    insta::assert_snapshot!("kernel_reduce", check(include_str!("kernels/reduce.txt")));
}

#[test]
fn named_file() {
    let Some(path) = std::env::var_os("VKCUDA_TEST_GRAPHS") else {
        // Not by `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: VKCUDA_TEST_GRAPHS names no file of graphs"
        );
        return;
    };
    let text = std::fs::read_to_string(path).expect("VKCUDA_TEST_GRAPHS can be read");
    let graphs = read(&text);
    for (name, graph) in &graphs {
        let tree = structurize(graph);
        assert!(tree.depth() <= 70, "{name}: depth {}", tree.depth());
        common::check(graph, &tree, 2000);
        common::lockstep::check_together(graph, &tree);
    }
    println!("{} graphs", graphs.len());
}
