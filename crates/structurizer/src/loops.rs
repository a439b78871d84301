//! The loop forest: minimal loops by recursive strongly connected components, with any number of entries.
//!
//! Every region but region 0 is a loop's body; region 0 is the whole program. A loop is a strongly connected component of
//! its parent's blocks once the parent's own back edges are taken away. Edges from outside lead to its *entries*; a
//! reducible loop has one, its header. Back edges are those edges to an entry that go backwards in the loop's reverse
//! post-order. The entry that comes first in that order has only back edges, so that inner loops are strictly smaller
//! and the recursion ends.
//!
//! Two loops may share a header: `do { do { A } while (p); B } while (q)` has two edges back to A, as has
//! `do { A; if (p) continue; B } while (q)`, and both are one strongly connected component. They are taken for one loop,
//! but where B holds a convergent block, A does not, and A leads nowhere else: then the edge from A belongs to an inner
//! loop, so that threads that leave it at different times are together again before B.
//!
//! Loops nested deeper than [`MAX_NESTING`] are not looked for: at that level every edge that goes backwards is a back
//! edge, and the loop becomes one dispatch loop over all their headers.

use crate::cfg::{Cfg, NONE};

/// How deep loops are nested at most.
pub(crate) const MAX_NESTING: u32 = 12;

/// The regions and which block is where.
pub(crate) struct Forest {
    /// The innermost region of a block.
    pub region: Vec<u32>,
    /// The region around a region. A parent has a smaller number than its children. That of region 0 is 0.
    pub parent: Vec<u32>,
    /// The number of loops around a region's blocks.
    pub level: Vec<u32>,
    /// For each edge between two blocks: whether it is a back edge of the innermost region that holds both.
    pub back: Vec<bool>,
}

impl Forest {
    pub fn new(cfg: &Cfg) -> Self {
        let n = cfg.len();
        let mut forest = Forest {
            region: vec![0; n],
            parent: vec![0],
            level: vec![0],
            back: vec![false; 2 * n],
        };
        let mut search = Search::new(n);
        let mut work: Vec<(u32, Vec<u32>)> = vec![(0, cfg.blocks().collect())];
        while let Some((region, blocks)) = work.pop() {
            for component in search.components(cfg, &forest, region, &blocks) {
                let new = forest.parent.len() as u32;
                let level = forest.level[region as usize] + 1;
                forest.parent.push(region);
                forest.level.push(level);
                for &b in &component {
                    forest.region[b as usize] = new;
                }
                let flat = level >= MAX_NESTING;
                search.mark_back_edges(cfg, &mut forest, new, &component, flat);
                if !flat {
                    work.push((new, component));
                }
            }
        }
        forest
    }

    /// The number of regions.
    pub fn regions(&self) -> u32 {
        self.parent.len() as u32
    }

    /// Whether `outer` is `inner` or around it.
    pub fn contains(&self, outer: u32, mut inner: u32) -> bool {
        while self.level[inner as usize] > self.level[outer as usize] {
            inner = self.parent[inner as usize];
        }
        inner == outer
    }

    /// The innermost region around both.
    pub fn common(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            if self.level[a as usize] >= self.level[b as usize] {
                a = self.parent[a as usize];
            } else {
                b = self.parent[b as usize];
            }
        }
        a
    }
}

/// Depth-first searches with an explicit stack, and the arrays they need.
struct Search {
    /// Order of discovery, then of reverse post-order; [`NONE`] before.
    order: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    is_entry: Vec<bool>,
    after: Vec<bool>,
    frames: Vec<(u32, usize)>,
}

impl Search {
    fn new(n: usize) -> Self {
        Search {
            order: vec![NONE; n],
            low: vec![0; n],
            on_stack: vec![false; n],
            is_entry: vec![false; n],
            after: vec![false; n],
            frames: Vec::new(),
        }
    }

    /// The strongly connected components with a cycle among the blocks of a region, by Tarjan's algorithm. Blocks within
    /// a component are in the order of their indices.
    fn components(
        &mut self,
        cfg: &Cfg,
        forest: &Forest,
        region: u32,
        blocks: &[u32],
    ) -> Vec<Vec<u32>> {
        let mut found = Vec::new();
        let mut stack = Vec::new();
        let mut count = 0;
        for &b in blocks {
            self.order[b as usize] = NONE;
        }
        let inner =
            |edge: usize, to: u32| !forest.back[edge] && forest.region[to as usize] == region;
        for &root in blocks {
            if self.order[root as usize] != NONE {
                continue;
            }
            self.frames.push((root, 0));
            while let Some(frame) = self.frames.last_mut() {
                let (block, slot) = *frame;
                let b = block as usize;
                frame.1 += 1;
                if slot == 0 {
                    self.order[b] = count;
                    self.low[b] = count;
                    count += 1;
                    stack.push(block);
                    self.on_stack[b] = true;
                }
                if slot < 2 {
                    if let Some((edge, to)) = cfg.edges(block)[slot] {
                        if inner(edge, to) {
                            if self.order[to as usize] == NONE {
                                self.frames.push((to, 0));
                            } else if self.on_stack[to as usize] {
                                self.low[b] = self.low[b].min(self.order[to as usize]);
                            }
                        }
                    }
                    continue;
                }
                self.frames.pop();
                if let Some(&(parent, _)) = self.frames.last() {
                    let p = parent as usize;
                    self.low[p] = self.low[p].min(self.low[b]);
                }
                if self.low[b] == self.order[b] {
                    let at = stack
                        .iter()
                        .rposition(|&s| s == block)
                        .expect("the block is on the stack");
                    let mut component = stack.split_off(at);
                    for &c in &component {
                        self.on_stack[c as usize] = false;
                    }
                    let cycle = component.len() > 1
                        || cfg
                            .successors(block)
                            .any(|(edge, to)| to == block && inner(edge, to));
                    if cycle {
                        component.sort_unstable();
                        found.push(component);
                    }
                }
            }
        }
        found
    }

    /// Decides which edges within a new loop are its back edges; `flat`: all that go backwards.
    fn mark_back_edges(
        &mut self,
        cfg: &Cfg,
        forest: &mut Forest,
        region: u32,
        component: &[u32],
        flat: bool,
    ) {
        for &b in component {
            self.order[b as usize] = NONE;
            self.is_entry[b as usize] = b == cfg.entry()
                || cfg
                    .predecessors(b)
                    .iter()
                    .any(|&p| forest.region[p as usize] != region);
        }
        // Reverse post-order from the first entry: it reaches the whole component.
        let mut next = component.len() as u32;
        let root = component
            .iter()
            .copied()
            .find(|&b| self.is_entry[b as usize]);
        let root = root.expect("a reachable loop has an entry");
        self.order[root as usize] = 0;
        self.frames.push((root, 0));
        while let Some(frame) = self.frames.last_mut() {
            let (block, slot) = *frame;
            frame.1 += 1;
            if slot < 2 {
                // The last edge first, so that the taken side comes first in the order.
                if let Some((_, to)) = cfg.edges(block)[1 - slot] {
                    if forest.region[to as usize] == region && self.order[to as usize] == NONE {
                        self.order[to as usize] = 0;
                        self.frames.push((to, 0));
                    }
                }
            } else {
                next -= 1;
                self.order[block as usize] = next;
                self.frames.pop();
            }
        }
        let mut edges = Vec::new();
        for &b in component {
            for (edge, to) in cfg.successors(b) {
                if forest.region[to as usize] == region {
                    let backwards = self.order[b as usize] >= self.order[to as usize];
                    forest.back[edge] = backwards && (flat || self.is_entry[to as usize]);
                    if forest.back[edge] {
                        edges.push((b, edge));
                    }
                }
            }
        }
        let reducible = component
            .iter()
            .filter(|&&b| self.is_entry[b as usize])
            .count()
            == 1;
        if reducible && !flat && edges.len() > 1 {
            self.separate(cfg, forest, region, root, component, &edges);
        }
    }

    /// Leaves the back edges that no convergent block leads to, where others have one, to an inner loop.
    fn separate(
        &mut self,
        cfg: &Cfg,
        forest: &mut Forest,
        region: u32,
        header: u32,
        component: &[u32],
        edges: &[(u32, usize)],
    ) {
        if cfg.convergent(header) {
            return;
        }
        // The blocks that follow a convergent block within an iteration.
        let mut work: Vec<u32> = component
            .iter()
            .copied()
            .filter(|&b| cfg.convergent(b))
            .collect();
        for &b in component {
            self.after[b as usize] = cfg.convergent(b);
        }
        if work.is_empty() {
            return;
        }
        while let Some(b) = work.pop() {
            for (_, to) in cfg.successors(b) {
                let inside = forest.region[to as usize] == region && to != header;
                if inside && !std::mem::replace(&mut self.after[to as usize], true) {
                    work.push(to);
                }
            }
        }
        // The blocks of the inner loop would be those that lead to its back edges.
        let inner = &mut self.on_stack;
        let mut blocks = vec![header];
        inner[header as usize] = true;
        for &(from, _) in edges {
            if !self.after[from as usize] && !std::mem::replace(&mut inner[from as usize], true) {
                blocks.push(from);
            }
        }
        let mut next = 1;
        while next < blocks.len() {
            for &from in cfg.predecessors(blocks[next]) {
                if !std::mem::replace(&mut inner[from as usize], true) {
                    blocks.push(from);
                }
            }
            next += 1;
        }
        let mut exits: Vec<u32> = blocks
            .iter()
            .flat_map(|&b| cfg.successors(b).map(|(_, to)| to))
            .filter(|&to| !inner[to as usize])
            .collect();
        exits.sort_unstable();
        exits.dedup();
        for &b in &blocks {
            inner[b as usize] = false;
        }
        if let [exit] = exits[..] {
            if forest.region[exit as usize] == region {
                for &(from, edge) in edges {
                    forest.back[edge] = self.after[from as usize];
                }
            }
        }
    }
}
