//! The input graph as the passes see it: reachable blocks and numbered edges.
//!
//! Edge `2 * b` is the jump or the taken side of block `b`'s branch, edge `2 * b + 1` the other side. A branch with both
//! sides the same is a jump.

use crate::{Graph, Terminator};

/// "No node": a value that is no index.
pub(crate) const NONE: u32 = u32::MAX;

/// A graph with what every pass asks of it.
pub(crate) struct Cfg<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// Whether a block can be reached from the entry.
    pub reachable: Vec<bool>,
    /// The sources of the edges into each block.
    predecessors: Lists,
}

impl<'g> Cfg<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        let n = graph.blocks.len();
        let mut reachable = vec![false; n];
        let mut edges = Vec::with_capacity(2 * n);
        let mut work = vec![graph.entry.0];
        reachable[graph.entry.0 as usize] = true;
        while let Some(block) = work.pop() {
            for (_, to) in successors(graph, block).into_iter().flatten() {
                edges.push((to, block));
                if !reachable[to as usize] {
                    reachable[to as usize] = true;
                    work.push(to);
                }
            }
        }
        Cfg {
            graph,
            reachable,
            predecessors: Lists::new(n, &edges),
        }
    }

    /// The number of blocks, reachable or not.
    pub fn len(&self) -> usize {
        self.graph.blocks.len()
    }

    /// The reachable blocks by index.
    pub fn blocks(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len() as u32).filter(|&b| self.reachable[b as usize])
    }

    /// The edges that leave a block: (edge, target).
    pub fn successors(&self, block: u32) -> impl Iterator<Item = (usize, u32)> {
        self.edges(block).into_iter().flatten()
    }

    /// The same as an array.
    pub fn edges(&self, block: u32) -> [Option<(usize, u32)>; 2] {
        successors(self.graph, block)
    }

    /// The reachable blocks from which edges lead to a block.
    pub fn predecessors(&self, block: u32) -> &[u32] {
        self.predecessors.get(block)
    }

    /// Where threads start.
    pub fn entry(&self) -> u32 {
        self.graph.entry.0
    }

    /// Whether a block has to be reached by its threads together.
    pub fn convergent(&self, block: u32) -> bool {
        self.graph.blocks[block as usize].convergent
    }
}

fn successors(graph: &Graph, block: u32) -> [Option<(usize, u32)>; 2] {
    let first = 2 * block as usize;
    match graph.blocks[block as usize].terminator {
        Terminator::Jump(to) => [Some((first, to.0)), None],
        Terminator::Branch { then, otherwise } if then == otherwise => {
            [Some((first, then.0)), None]
        }
        Terminator::Branch { then, otherwise } => {
            [Some((first, then.0)), Some((first + 1, otherwise.0))]
        }
        Terminator::Exit => [None, None],
    }
}

/// A list for each index, packed.
pub(crate) struct Lists {
    start: Vec<u32>,
    values: Vec<u32>,
}

impl Lists {
    /// From (index, value) pairs; the order of an index's values is that of the pairs.
    pub fn new(n: usize, pairs: &[(u32, u32)]) -> Self {
        let mut start = vec![0u32; n + 1];
        for &(index, _) in pairs {
            start[index as usize + 1] += 1;
        }
        for i in 0..n {
            start[i + 1] += start[i];
        }
        let mut next = start.clone();
        let mut values = vec![0; pairs.len()];
        for &(index, value) in pairs {
            values[next[index as usize] as usize] = value;
            next[index as usize] += 1;
        }
        Lists { start, values }
    }

    /// The values of an index.
    pub fn get(&self, index: u32) -> &[u32] {
        let i = index as usize;
        &self.values[self.start[i] as usize..self.start[i + 1] as usize]
    }
}
