//! Which lanes of a warp are where `activemask` asks, on devices where a warp is several subgroups ([`crate::Warps::Yield`]).
//!
//! Lanes that have come to the same place know of those of their own subgroup only. So the warp takes a ballot where it is still together:
//! at the branch by which its lanes part, of the condition. Inside such a part the lanes that are there take one of the next branch:
//!
//! ```text
//! @p bra A;         all: ballot of p, or of its contrary
//! activemask d;     what that said
//! @q bra B;         those of !p: ballot of q
//! ```
//!
//! Where lanes leave a loop one after another, or come to the place by several ways, `activemask` gives those of the subgroup: any set
//! of lanes that run together is right by the PTX ISA, though not what hardware gives.

use crate::graph::{self, Graph, Step};
use crate::uniform::{self, Level};
use crate::ModuleLayout;
use ptx::{Module, Opcode};
use rustc_hash::FxHashMap;

/// A way out of a branch: its block, and whether it is that of the condition.
pub type Arm = (u32, bool);

/// What is known of active lanes.
#[derive(Debug, Default)]
pub struct ActiveLanes {
    /// Branches that take a ballot.
    pub branches: FxHashMap<u32, Branch>,
    /// By block with `activemask`: where its lanes were told apart last.
    pub asked: FxHashMap<u32, Lanes>,
}

/// A branch that takes a ballot.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// Who comes to it.
    pub lanes: Lanes,
    /// Whether anybody asks for the lanes that go on where the condition is false, and where it is true.
    pub wanted: [bool; 2],
}

/// Lanes that come to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// All of the warp, where what is alike for those of this level is so for whole warps.
    Warp(Level),
    /// Those that left a branch this way.
    Of(Arm),
}

/// Finds the branches by which lanes part before they ask who is there.
pub fn lanes(graph: &mut Graph, module: &Module, layout: &ModuleLayout) {
    let asks = |step: &Step, graph: &Graph| match *step {
        Step::Instruction {
            frame, statement, ..
        } => graph.instruction(frame, statement).opcode == Opcode::Activemask,
        _ => false,
    };
    let asking: Vec<u32> = (0..graph.blocks.len() as u32)
        .filter(|&b| {
            let steps = &graph.blocks[b as usize].steps;
            steps.iter().any(|s| asks(s, graph))
        })
        .collect();
    if asking.is_empty() {
        return;
    }
    let convergent = |b: usize| graph.blocks[b].convergent;
    let Some(levels) = uniform::levels(graph, module, layout, &convergent) else {
        return;
    };
    let pass = Pass {
        levels: &levels.blocks,
        after: uniform::all_post_dominators(graph),
        dominators: graph.dominators().1,
        before: graph.predecessors(),
        graph,
    };
    let mut found = ActiveLanes::default();
    for &b in &asking {
        let mut branches = FxHashMap::default();
        if let Some(lanes) = pass.lanes_of(b, &mut branches) {
            found.asked.insert(b, lanes);
            for (b, branch) in branches {
                let known: &mut Branch = found.branches.entry(b).or_insert(branch);
                for (k, w) in known.wanted.iter_mut().zip(branch.wanted) {
                    *k |= w;
                }
            }
        }
    }
    // Who asks needs no meeting, but where the warp is together.
    for b in asking {
        let together = matches!(found.asked.get(&b), Some(Lanes::Warp(_)));
        let others = graph.blocks[b as usize].steps.iter().any(|s| match *s {
            Step::Instruction {
                frame, statement, ..
            } => {
                let i = graph.instruction(frame, statement);
                i.opcode != Opcode::Activemask && graph::is_convergent(i)
            }
            _ => false,
        });
        graph.blocks[b as usize].convergent = together || others;
    }
    for &b in found.branches.keys() {
        graph.blocks[b as usize].convergent = true;
    }
    graph.active = found;
}

struct Pass<'a, 'm> {
    graph: &'a Graph<'m>,
    levels: &'a [Level],
    /// The nearest block that all ways from a block to the end pass.
    after: Option<Vec<u32>>,
    /// The nearest block that all ways to a block pass.
    dominators: Vec<u32>,
    before: Vec<Vec<u32>>,
}

impl Pass<'_, '_> {
    /// Who comes to a block, and the branches that have to be asked for it. None where that is not known.
    fn lanes_of(&self, block: u32, branches: &mut FxHashMap<u32, Branch>) -> Option<Lanes> {
        let level = self.levels[block as usize];
        if level < Level::Lane {
            return Some(Lanes::Warp(level));
        }
        if block == 0 || self.is_loop(block) {
            return None;
        }
        let above = self.dominators[block as usize];
        let lanes = self.lanes_of(above, branches)?;
        let targets = &self.graph.blocks[above as usize].targets;
        if self.before[block as usize] == [above] && targets.len() == 2 && targets[0] != targets[1]
        {
            let arm = targets[0] == block;
            let branch = branches.entry(above).or_insert(Branch {
                lanes,
                wanted: [false; 2],
            });
            branch.wanted[usize::from(arm)] = true;
            return Some(Lanes::Of((above, arm)));
        }
        // Where all come together again.
        let mut at = above;
        while at != block {
            at = *self.after.as_ref()?.get(at as usize)?;
            if at as usize >= self.graph.blocks.len() {
                return None;
            }
        }
        Some(lanes)
    }

    /// Whether a way leads from the block back to it without leaving what it dominates.
    fn is_loop(&self, block: u32) -> bool {
        self.before[block as usize].iter().any(|&p| {
            let mut at = p;
            while at != block && at != 0 {
                at = self.dominators[at as usize];
            }
            at == block
        })
    }
}
