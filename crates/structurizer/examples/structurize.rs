//! Structures graphs from the standard input and prints their trees, or with `--summary` one line for each and totals.
//!
//! A graph is a line `# name` and a line for each block: `:` and its successors by number, `:!` for a convergent block.
//!
//! ```text
//! # while
//! : 1
//! : 2 3
//! :! 1
//! :
//! ```

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use structurizer::{structurize, verify, Block, BlockId, Condition, Graph, Node, Terminator};

/// What is known of all graphs so far.
#[derive(Default)]
struct Totals {
    graphs: usize,
    blocks: usize,
    with_flags: usize,
    flags: usize,
    deepest: usize,
    guarded: usize,
    time: Duration,
}

fn main() -> ExitCode {
    let summary = std::env::args().any(|argument| argument == "--summary");
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut totals = Totals::default();
    match run(summary, &mut out, &mut totals) {
        Ok(()) if summary => {
            let t = totals;
            let written = writeln!(
                out,
                "{} graphs, {} blocks, {} with flags, {} flags, depth up to {}, {} convergent blocks in guards, {:?}",
                t.graphs, t.blocks, t.with_flags, t.flags, t.deepest, t.guarded, t.time
            );
            written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn run(summary: bool, out: &mut impl Write, totals: &mut Totals) -> Result<()> {
    let mut name = String::new();
    let mut blocks = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some(next) = line.strip_prefix('#') {
            finish(&name, &mut blocks, summary, out, totals)?;
            name = next.trim().to_owned();
        } else if let Some(block) = line.strip_prefix(':') {
            blocks.push(parse(block)?);
        }
    }
    finish(&name, &mut blocks, summary, out, totals)
}

fn parse(line: &str) -> Result<Block> {
    let convergent = line.trim_start().starts_with('!');
    let targets = line.trim_start().trim_start_matches('!').split_whitespace();
    let targets: Vec<BlockId> = targets
        .map(|n| n.parse().map(BlockId))
        .collect::<std::result::Result<_, _>>()?;
    let terminator = match targets[..] {
        [] => Terminator::Exit,
        [to] => Terminator::Jump(to),
        [then, otherwise] => Terminator::Branch { then, otherwise },
        _ => return Err("a block has at most two successors".into()),
    };
    Ok(Block {
        terminator,
        convergent,
    })
}

fn finish(
    name: &str,
    blocks: &mut Vec<Block>,
    summary: bool,
    out: &mut impl Write,
    totals: &mut Totals,
) -> Result<()> {
    if blocks.is_empty() {
        return Ok(());
    }
    let graph = Graph {
        blocks: std::mem::take(blocks),
        entry: BlockId(0),
    };
    let start = Instant::now();
    let tree = structurize(&graph);
    totals.time += start.elapsed();
    verify(&graph, &tree).map_err(|error| format!("{name}: {error}"))?;
    let guarded = guarded(&graph, &tree.body, false);
    totals.graphs += 1;
    totals.blocks += graph.blocks.len();
    totals.with_flags += usize::from(tree.flags > 0);
    totals.flags += tree.flags as usize;
    totals.deepest = totals.deepest.max(tree.depth());
    totals.guarded += guarded;
    if summary {
        let (blocks, depth, flags) = (graph.blocks.len(), tree.depth(), tree.flags);
        writeln!(
            out,
            "{blocks} blocks, depth {depth}, {flags} flags, {guarded} guarded: {name}"
        )?;
    } else {
        write!(out, "# {name}\n{tree}")?;
    }
    Ok(())
}

/// How many convergent blocks lie in an `If` that tests a flag.
fn guarded(graph: &Graph, nodes: &[Node], within: bool) -> usize {
    let count = |node: &Node| match node {
        Node::Block(block) => usize::from(within && graph.blocks[block.0 as usize].convergent),
        Node::If {
            condition,
            then,
            otherwise,
        } => {
            let within = within || matches!(condition, Condition::Flag(_));
            guarded(graph, then, within) + guarded(graph, otherwise, within)
        }
        Node::Loop(body) => guarded(graph, body, within),
        _ => 0,
    };
    nodes.iter().map(count).sum()
}
