//! Each region as an acyclic graph of nodes.
//!
//! A region's nodes are its own blocks, one node for each loop directly inside, and a root. Back edges and edges out of
//! the region do not appear among its edges: they become `Continue` and `Break`. The root leads to the header, or, in a
//! loop with several entries, to all of them: it is the dispatch.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::cfg::{Cfg, Lists, NONE};
use crate::loops::Forest;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Block(u32),
    /// The loop whose body is this region, seen from its parent.
    Loop(u32),
    /// Where a region begins.
    Root(u32),
}

/// Where edges lead that leave a loop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exits {
    /// To nodes of the parent region that come after it.
    pub inside: bool,
    /// To entries of the parent's loop: `Continue` after the loop.
    pub again: bool,
    /// Out of the parent's loop too: `Break` after the loop.
    pub outside: bool,
}

/// The nodes of all regions. Each belongs to one region.
pub(crate) struct Regions {
    blocks: u32,
    regions: u32,
    /// The nodes of each region, sources of edges before their targets; the root is first.
    pub order: Vec<Vec<u32>>,
    /// Edges within regions, by target and by source; from loops and roots possibly several times the same.
    pub predecessors: Lists,
    pub successors: Lists,
    /// For each edge of the graph: the node it leads to, when both ends are in the same region and it is no back edge.
    pub target: Vec<u32>,
    /// By node: whether the region's root leads there.
    pub entered: Vec<bool>,
    /// By region: how many nodes its root leads to.
    pub entries: Vec<u32>,
    /// By region: how its loop is left.
    pub exits: Vec<Exits>,
    /// By node: its number of blocks.
    pub size: Vec<u32>,
    /// By node: whether it holds a convergent block.
    pub convergent: Vec<bool>,
    /// By node: whether its threads may go where the end of the region leads too: in a loop, to its next iteration; in
    /// region 0, to the end of the program.
    pub ends: Vec<bool>,
}

impl Regions {
    pub fn new(cfg: &Cfg, forest: &Forest) -> Self {
        let n = cfg.len();
        let count = n + 2 * forest.regions() as usize;
        let mut regions = Regions {
            blocks: n as u32,
            regions: forest.regions(),
            order: Vec::new(),
            predecessors: Lists::new(0, &[]),
            successors: Lists::new(0, &[]),
            target: vec![NONE; 2 * n],
            entered: vec![false; count],
            entries: vec![0; forest.regions() as usize],
            exits: vec![Exits::default(); forest.regions() as usize],
            size: vec![0; count],
            convergent: vec![false; count],
            ends: vec![false; count],
        };
        regions.measure(cfg, forest);
        let edges = regions.connect(cfg, forest);
        regions.successors = Lists::new(count, &edges);
        let reversed: Vec<_> = edges.iter().map(|&(from, to)| (to, from)).collect();
        regions.predecessors = Lists::new(count, &reversed);
        regions.sort(cfg, forest);
        regions
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        (self.blocks + 2 * self.regions) as usize
    }

    /// What a node is.
    pub fn kind(&self, node: u32) -> Kind {
        if node < self.blocks {
            Kind::Block(node)
        } else if node < self.blocks + self.regions {
            Kind::Loop(node - self.blocks)
        } else {
            Kind::Root(node - self.blocks - self.regions)
        }
    }

    /// The node in the parent region for a loop.
    pub fn loop_node(&self, region: u32) -> u32 {
        self.blocks + region
    }

    /// The node where a region begins.
    pub fn root(&self, region: u32) -> u32 {
        self.blocks + self.regions + region
    }

    /// The node of `outer` that is or holds a block; `outer` contains the block's region.
    pub fn node_within(&self, forest: &Forest, outer: u32, block: u32) -> u32 {
        let mut node = block;
        let mut region = forest.region[block as usize];
        while region != outer {
            node = self.loop_node(region);
            region = forest.parent[region as usize];
        }
        node
    }

    fn measure(&mut self, cfg: &Cfg, forest: &Forest) {
        for b in cfg.blocks() {
            self.size[b as usize] = 1;
            self.convergent[b as usize] = cfg.convergent(b);
            let mut region = forest.region[b as usize];
            while region != 0 {
                let node = self.loop_node(region) as usize;
                self.size[node] += 1;
                self.convergent[node] |= cfg.convergent(b);
                region = forest.parent[region as usize];
            }
        }
    }

    /// All edges between nodes of the same region: (from, to).
    fn connect(&mut self, cfg: &Cfg, forest: &Forest) -> Vec<(u32, u32)> {
        let mut edges = Vec::new();
        self.enter(forest, None, cfg.entry(), &mut edges);
        for b in cfg.blocks() {
            let from = forest.region[b as usize];
            self.ends[b as usize] = from == 0 && cfg.edges(b)[0].is_none();
            for (edge, to) in cfg.successors(b) {
                let common = forest.common(from, forest.region[to as usize]);
                let mut node = b;
                let mut region = from;
                while region != common {
                    let parent = forest.parent[region as usize];
                    let exits = &mut self.exits[region as usize];
                    if parent != common {
                        exits.outside = true;
                    } else if forest.back[edge] {
                        exits.again = true;
                    } else {
                        exits.inside = true;
                    }
                    node = self.loop_node(region);
                    region = parent;
                }
                self.enter(forest, Some(common), to, &mut edges);
                let target = self.node_within(forest, common, to);
                if forest.back[edge] {
                    self.ends[node as usize] = true;
                    self.enter_node(common, target, &mut edges);
                } else {
                    edges.push((node, target));
                    if from == common {
                        self.target[edge] = target;
                    }
                }
            }
        }
        edges
    }

    /// Connects the roots of all regions around a block, up to but without `outer`.
    fn enter(
        &mut self,
        forest: &Forest,
        outer: Option<u32>,
        block: u32,
        edges: &mut Vec<(u32, u32)>,
    ) {
        let mut node = block;
        let mut region = forest.region[block as usize];
        while Some(region) != outer {
            self.enter_node(region, node, edges);
            if region == 0 {
                break;
            }
            node = self.loop_node(region);
            region = forest.parent[region as usize];
        }
    }

    fn enter_node(&mut self, region: u32, node: u32, edges: &mut Vec<(u32, u32)>) {
        if !self.entered[node as usize] {
            self.entered[node as usize] = true;
            self.entries[region as usize] += 1;
            edges.push((self.root(region), node));
        }
    }

    /// Topological order, by block index where that leaves a choice.
    fn sort(&mut self, cfg: &Cfg, forest: &Forest) {
        let mut key = vec![NONE; self.len()];
        let mut of = vec![0; self.len()];
        for b in cfg.blocks() {
            key[b as usize] = b;
            of[b as usize] = forest.region[b as usize];
            let mut region = forest.region[b as usize];
            while region != 0 {
                let node = self.loop_node(region) as usize;
                key[node] = key[node].min(b);
                region = forest.parent[region as usize];
            }
        }
        for region in 0..self.regions {
            of[self.loop_node(region) as usize] = forest.parent[region as usize];
            of[self.root(region) as usize] = region;
        }
        let mut waiting: Vec<u32> = (0..self.len() as u32)
            .map(|node| self.predecessors.get(node).len() as u32)
            .collect();
        let mut order = vec![Vec::new(); self.regions as usize];
        let mut ready = BinaryHeap::new();
        for region in 0..self.regions {
            ready.push(Reverse((0, self.root(region))));
        }
        while let Some(Reverse((_, node))) = ready.pop() {
            order[of[node as usize] as usize].push(node);
            for &to in self.successors.get(node) {
                waiting[to as usize] -= 1;
                if waiting[to as usize] == 0 {
                    ready.push(Reverse((key[to as usize], to)));
                }
            }
        }
        self.order = order;
    }
}
