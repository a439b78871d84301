//! The static rules of the tree.

use crate::{BlockId, Condition, FlagId, FlagValue, Graph, Node, Structured, Terminator};

/// How deep a tree may be nested here.
const MAX_DEPTH: usize = 1000;

/// Checks what can be seen without running the program:
///
/// - each reachable block appears exactly once, no other block at all;
/// - `Break` and `Continue` only within loops, and they and `Return` only last in their region;
/// - nothing follows what never ends;
/// - a block's condition is used only where the block precedes, in the same region or around it, and only if the block
///   ends in a branch;
/// - a flag is set before it is tested, on every path, and its number is in range.
///
/// # Errors
/// The first rule that is broken, in words.
pub fn verify(graph: &Graph, structured: &Structured) -> Result<(), String> {
    if structured.depth() > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH}"));
    }
    let mut checker = Checker {
        graph,
        flags: structured.flags,
        seen: vec![false; graph.blocks.len()],
        precedes: vec![false; graph.blocks.len()],
        assigned: vec![false; structured.flags as usize],
        log: Vec::new(),
        loops: Vec::new(),
    };
    checker.list(&structured.body)?;
    let reachable = crate::cfg::Cfg::new(graph).reachable;
    for (block, (&reachable, &seen)) in reachable.iter().zip(&checker.seen).enumerate() {
        if reachable != seen {
            let what = if seen {
                "unreachable but present"
            } else {
                "missing"
            };
            return Err(format!("block {block} is {what}"));
        }
    }
    Ok(())
}

struct Checker<'a> {
    graph: &'a Graph,
    flags: u32,
    seen: Vec<bool>,
    /// Whether a block precedes here.
    precedes: Vec<bool>,
    /// Whether a flag is certain to be set here, and the order in which they became so.
    assigned: Vec<bool>,
    log: Vec<u32>,
    /// By loop: the length of the log when it began, and the flags set in it where all breaks so far leave it.
    loops: Vec<(usize, Option<Vec<u32>>)>,
}

impl Checker<'_> {
    /// Checks a region; returns whether its end can be reached.
    fn list(&mut self, nodes: &[Node]) -> Result<bool, String> {
        let mut ends = true;
        let mut blocks = Vec::new();
        for node in nodes {
            if !ends {
                return Err(format!("after what never ends: {}", name(node)));
            }
            match node {
                Node::Block(block) => {
                    let seen = self.seen.get_mut(block.0 as usize);
                    let seen = seen.ok_or_else(|| format!("block {} does not exist", block.0))?;
                    if std::mem::replace(seen, true) {
                        return Err(format!("block {} appears twice", block.0));
                    }
                    self.precedes[block.0 as usize] = true;
                    blocks.push(*block);
                }
                Node::Set(flag, value) => {
                    self.flag(*flag)?;
                    if let FlagValue::Block(block) | FlagValue::NotBlock(block) = value {
                        self.condition(*block)?;
                    }
                    self.assign(flag.0);
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    match condition {
                        Condition::Block(block) => self.condition(*block)?,
                        Condition::Flag(flag) => {
                            self.flag(*flag)?;
                            if !self.assigned[flag.0 as usize] {
                                return Err(format!(
                                    "flag {} may be tested before it is set",
                                    flag.0
                                ));
                            }
                        }
                    }
                    let start = self.log.len();
                    let then_ends = self.list(then)?;
                    let then_sets = self.forget(start);
                    let otherwise_ends = self.list(otherwise)?;
                    let otherwise_sets = self.forget(start);
                    ends = then_ends || otherwise_ends;
                    let both = match (then_ends, otherwise_ends) {
                        (true, false) => then_sets,
                        (false, _) => otherwise_sets,
                        (true, true) => common(then_sets, &otherwise_sets),
                    };
                    both.into_iter().for_each(|flag| self.assign(flag));
                }
                Node::Loop(body) => {
                    let start = self.log.len();
                    self.loops.push((start, None));
                    self.list(body)?;
                    self.forget(start);
                    let (_, breaks) = self.loops.pop().expect("the loop was entered");
                    ends = breaks.is_some();
                    breaks
                        .into_iter()
                        .flatten()
                        .for_each(|flag| self.assign(flag));
                }
                Node::Break => {
                    ends = false;
                    let Some((start, breaks)) = self.loops.last_mut() else {
                        return Err("break outside of a loop".to_owned());
                    };
                    let sets = self.log[*start..].to_vec();
                    *breaks = Some(match breaks.take() {
                        Some(before) => common(before, &sets),
                        None => sets,
                    });
                }
                Node::Continue => {
                    ends = false;
                    if self.loops.is_empty() {
                        return Err("continue outside of a loop".to_owned());
                    }
                }
                Node::Return => ends = false,
            }
        }
        for block in blocks {
            self.precedes[block.0 as usize] = false;
        }
        Ok(ends)
    }

    fn flag(&self, flag: FlagId) -> Result<(), String> {
        if flag.0 < self.flags {
            Ok(())
        } else {
            Err(format!("flag {} does not exist", flag.0))
        }
    }

    fn condition(&self, block: BlockId) -> Result<(), String> {
        if !self
            .precedes
            .get(block.0 as usize)
            .is_some_and(|&precedes| precedes)
        {
            return Err(format!(
                "the condition of block {} is used where the block does not precede",
                block.0
            ));
        }
        match self.graph.blocks[block.0 as usize].terminator {
            Terminator::Branch { .. } => Ok(()),
            _ => Err(format!(
                "the condition of block {} is used, but it has none",
                block.0
            )),
        }
    }

    fn assign(&mut self, flag: u32) {
        if !std::mem::replace(&mut self.assigned[flag as usize], true) {
            self.log.push(flag);
        }
    }

    /// Takes back what was assigned since the log had a length, and returns it.
    fn forget(&mut self, start: usize) -> Vec<u32> {
        let sets = self.log.split_off(start);
        for &flag in &sets {
            self.assigned[flag as usize] = false;
        }
        sets
    }
}

fn common(mut a: Vec<u32>, b: &[u32]) -> Vec<u32> {
    let b: std::collections::HashSet<u32> = b.iter().copied().collect();
    a.retain(|flag| b.contains(flag));
    a
}

fn name(node: &Node) -> String {
    match node {
        Node::Block(block) => format!("block {}", block.0),
        Node::Set(flag, _) => format!("an assignment of flag {}", flag.0),
        Node::If { .. } => "an if".to_owned(),
        Node::Loop(_) => "a loop".to_owned(),
        Node::Break => "a break".to_owned(),
        Node::Continue => "a continue".to_owned(),
        Node::Return => "a return".to_owned(),
    }
}
