//! The tree as text, and its measures.

use std::fmt;

use crate::{Condition, FlagValue, Node, Structured};

impl Structured {
    /// How deep ifs and loops are nested. Drivers have limits: Mesa's llvmpipe goes wrong beyond 80.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut work = vec![(0, self.body.as_slice())];
        while let Some((depth, list)) = work.pop() {
            deepest = deepest.max(depth);
            for node in list {
                match node {
                    Node::If {
                        then, otherwise, ..
                    } => {
                        work.push((depth + 1, then));
                        work.push((depth + 1, otherwise));
                    }
                    Node::Loop(body) => work.push((depth + 1, body)),
                    _ => {}
                }
            }
        }
        deepest
    }
}

/// One node a line, regions indented by two spaces: `block 3`, `f0 = false`, `f0 = b3`, `f0 = !b3`, `if b3 {`, `if f0 {`,
/// `loop {`, `break`, `continue`, `return`.
impl fmt::Display for Structured {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        enum Line<'a> {
            Node(&'a Node),
            Text(&'static str),
        }
        let mut work: Vec<(usize, Line)> = self
            .body
            .iter()
            .rev()
            .map(|node| (0, Line::Node(node)))
            .collect();
        while let Some((indent, line)) = work.pop() {
            let node = match line {
                Line::Text(text) => {
                    writeln!(f, "{:indent$}{text}", "")?;
                    continue;
                }
                Line::Node(node) => node,
            };
            write!(f, "{:indent$}", "")?;
            let inner = indent + 2;
            match node {
                Node::Block(block) => writeln!(f, "block {}", block.0)?,
                Node::Set(flag, FlagValue::Constant(value)) => {
                    writeln!(f, "f{} = {value}", flag.0)?
                }
                Node::Set(flag, FlagValue::Block(block)) => {
                    writeln!(f, "f{} = b{}", flag.0, block.0)?
                }
                Node::Set(flag, FlagValue::NotBlock(block)) => {
                    writeln!(f, "f{} = !b{}", flag.0, block.0)?
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    match condition {
                        Condition::Block(block) => writeln!(f, "if b{} {{", block.0)?,
                        Condition::Flag(flag) => writeln!(f, "if f{} {{", flag.0)?,
                    }
                    work.push((indent, Line::Text("}")));
                    if !otherwise.is_empty() {
                        work.extend(otherwise.iter().rev().map(|node| (inner, Line::Node(node))));
                        work.push((indent, Line::Text("} else {")));
                    }
                    work.extend(then.iter().rev().map(|node| (inner, Line::Node(node))));
                }
                Node::Loop(body) => {
                    writeln!(f, "loop {{")?;
                    work.push((indent, Line::Text("}")));
                    work.extend(body.iter().rev().map(|node| (inner, Line::Node(node))));
                }
                Node::Break => writeln!(f, "break")?,
                Node::Continue => writeln!(f, "continue")?,
                Node::Return => writeln!(f, "return")?,
            }
        }
        Ok(())
    }
}
