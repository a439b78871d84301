//! Where each node goes in the tree, and which nodes need a flag.
//!
//! A node's *sequence* is the node itself, the arms of its branch, and its *items*, in order. A node reached by one edge
//! only, from a branch, is *inline*: it opens that arm. Every other node is an item of the innermost sequence that
//! holds all its predecessors, so that all threads that go there meet there: without inline nodes this is the dominator
//! tree, and an item that every thread passes is a merge block.
//!
//! An arm that ends falls through to the next item. Where a thread may fall through to an item without wanting to go
//! there, because an edge *jumps* over it to a later one or out of the sequence, the item is *guarded* by a flag.
//! An item that every thread of the sequence passes is never guarded. A node is *closed* when no edge leads out of its
//! sequence: its threads end in `Return`, `Break` or `Continue`.
//!
//! Nesting: where the tree gets deeper than [`MAX_DEPTH`], nodes become items of the region's root instead.

use crate::cfg::{Cfg, NONE};
use crate::loops::Forest;
use crate::regions::{Kind, Regions};

/// How many ifs and loops are nested before nodes are moved up; loops within add to it two levels each.
pub(crate) const MAX_DEPTH: u32 = 40;

/// How the arms of a block's branch are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arms {
    /// Both within the `If`.
    Both,
    /// The other side is closed: the taken side follows after the `If`.
    ThenAfter,
    /// The taken side is closed: the other follows after the `If`.
    OtherwiseAfter,
}

/// The layout of all regions, by node.
pub(crate) struct Placement {
    /// In whose sequence a node is.
    pub parent: Vec<u32>,
    /// The items of a node's sequence.
    pub items: Vec<Vec<u32>>,
    /// Whether an item is guarded.
    pub guarded: Vec<bool>,
    /// Whether an item is run exactly when the guard of the item before it fails.
    pub otherwise: Vec<bool>,
    /// By block.
    pub arms: Vec<Arms>,
    /// Whether nothing follows a node's sequence in its region.
    pub last: Vec<bool>,
    /// The ifs and loops around a node.
    pub depth: Vec<u32>,
    /// Depth and a longer ancestor of a node among the parents, for the search of common ancestors.
    rank: Vec<u32>,
    jump: Vec<u32>,
}

/// How nodes are moved up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// Not at all.
    None,
    /// When the depth, taken from the layout without limit, gets too large.
    Estimated,
    /// When the depth would get too large if everything were guarded.
    Certain,
}

impl Placement {
    pub fn new(cfg: &Cfg, forest: &Forest, regions: &Regions) -> Self {
        let n = regions.len();
        let mut placement = Placement {
            parent: vec![NONE; n],
            items: vec![Vec::new(); n],
            guarded: vec![false; n],
            otherwise: vec![false; n],
            arms: vec![Arms::Both; cfg.len()],
            last: vec![false; n],
            depth: vec![0; n],
            rank: vec![0; n],
            jump: vec![NONE; n],
        };
        let mut work = Work {
            low: vec![NONE; n],
            own: vec![NONE; n],
            size: vec![0; n],
            convergent: vec![false; n],
            ends: vec![false; n],
            index: vec![-1; n],
            inline: vec![false; n],
            natural: vec![(NONE, 0); n],
            estimate: vec![0; n],
            children: vec![Vec::new(); n],
            position: vec![0; n],
        };
        for region in 0..forest.regions() {
            let base = match region {
                0 => 0,
                _ => placement.depth[regions.loop_node(region) as usize] + 1,
            };
            let cap = MAX_DEPTH.max(base + 1);
            for limit in [Limit::None, Limit::Estimated, Limit::Certain] {
                let nodes = &regions.order[region as usize];
                placement.place(regions, nodes, base, cap, limit, &mut work);
                placement.arrange(cfg, forest, regions, nodes, base, &mut work);
                if nodes.iter().all(|&x| placement.depth[x as usize] <= cap) {
                    break;
                }
                if limit == Limit::None {
                    for &x in &nodes[1..] {
                        let parent = placement.parent[x as usize];
                        let step = placement.depth[x as usize] - placement.depth[parent as usize];
                        work.natural[x as usize] = (parent, step);
                    }
                }
            }
        }
        placement
    }

    /// The last common ancestor in the tree of parents.
    fn common(&self, mut a: u32, mut b: u32) -> u32 {
        if self.rank[a as usize] < self.rank[b as usize] {
            std::mem::swap(&mut a, &mut b);
        }
        let rank = self.rank[b as usize];
        while self.rank[a as usize] > rank {
            let jump = self.jump[a as usize];
            a = if self.rank[jump as usize] >= rank {
                jump
            } else {
                self.parent[a as usize]
            };
        }
        while a != b {
            if self.jump[a as usize] != self.jump[b as usize] {
                (a, b) = (self.jump[a as usize], self.jump[b as usize]);
            } else {
                (a, b) = (self.parent[a as usize], self.parent[b as usize]);
            }
        }
        a
    }

    /// Finds the parents.
    fn place(
        &mut self,
        regions: &Regions,
        nodes: &[u32],
        base: u32,
        cap: u32,
        limit: Limit,
        work: &mut Work,
    ) {
        let root = nodes[0];
        self.parent[root as usize] = root;
        self.jump[root as usize] = root;
        self.rank[root as usize] = 0;
        work.estimate[root as usize] = base;
        for &x in &nodes[1..] {
            let predecessors = regions.predecessors.get(x);
            let mut parent = predecessors[0];
            for &p in &predecessors[1..] {
                parent = self.common(parent, p);
            }
            if limit != Limit::None {
                let (natural, step) = work.natural[x as usize];
                let alone = predecessors.len() == 1 && regions.successors.get(parent).len() == 1;
                let step = match limit {
                    _ if alone => 0,
                    Limit::Estimated if natural == parent => step,
                    _ => 1,
                };
                let mut estimate = work.estimate[parent as usize] + step;
                if estimate > cap {
                    parent = root;
                    estimate = base + 1;
                }
                work.estimate[x as usize] = estimate;
            }
            self.parent[x as usize] = parent;
            let rank = self.rank[parent as usize];
            let jump = self.jump[parent as usize];
            let long = rank - self.rank[jump as usize]
                == self.rank[jump as usize] - self.rank[self.jump[jump as usize] as usize];
            self.jump[x as usize] = if long {
                self.jump[jump as usize]
            } else {
                parent
            };
            self.rank[x as usize] = rank + 1;
        }
    }

    /// From the parents: what is inline, the order of items, guards, arms and depths.
    fn arrange(
        &mut self,
        cfg: &Cfg,
        forest: &Forest,
        regions: &Regions,
        nodes: &[u32],
        base: u32,
        work: &mut Work,
    ) {
        let root = nodes[0];
        for &x in nodes {
            let i = x as usize;
            work.children[i].clear();
            work.inline[i] = false;
            work.index[i] = -1;
            self.items[i].clear();
            self.guarded[i] = false;
            self.otherwise[i] = false;
            if x != root {
                let parent = self.parent[i];
                let only = regions.predecessors.get(x) == [parent];
                work.inline[i] = only
                    && matches!(regions.kind(parent), Kind::Block(b) if cfg.edges(b)[1].is_some());
                work.children[parent as usize].push(x);
                if !work.inline[i] {
                    work.index[i] = self.items[parent as usize].len() as i32;
                    self.items[parent as usize].push(x);
                }
            }
        }
        self.summarise(regions, nodes, work);
        let jumps = self.jumps(regions, root, work);
        self.order_items(nodes, &jumps, work);
        self.find_guards(nodes, &jumps, work);

        self.depth[root as usize] = base;
        self.last[root as usize] = true;
        for &x in nodes {
            let last = self.last[x as usize];
            let depth = self.depth[x as usize];
            let items = std::mem::take(&mut self.items[x as usize]);
            for (at, &item) in items.iter().enumerate() {
                let rest = &items[at + 1..];
                let i = item as usize;
                self.depth[i] = depth + u32::from(self.guarded[i] || self.otherwise[i]);
                self.last[i] = last
                    && (rest.is_empty() || (rest.len() == 1 && self.otherwise[rest[0] as usize]));
            }
            if let Kind::Block(b) = regions.kind(x) {
                self.arrange_arms(cfg, forest, regions, b, last && items.is_empty(), work);
            }
            self.items[x as usize] = items;
        }
    }

    /// Sums over subtrees.
    fn summarise(&self, regions: &Regions, nodes: &[u32], work: &mut Work) {
        for &x in nodes {
            let i = x as usize;
            let highest = regions.successors.get(x).iter();
            let highest = highest
                .map(|&to| self.rank[self.parent[to as usize] as usize])
                .min();
            work.own[i] = highest.unwrap_or(NONE);
            work.low[i] = work.own[i];
            work.size[i] = regions.size[i];
            work.convergent[i] = regions.convergent[i];
            work.ends[i] = regions.ends[i];
        }
        for &x in nodes[1..].iter().rev() {
            let (i, p) = (x as usize, self.parent[x as usize] as usize);
            work.low[p] = work.low[p].min(work.low[i]);
            work.size[p] += work.size[i];
            work.convergent[p] |= work.convergent[i];
            work.ends[p] |= work.ends[i];
        }
    }

    fn closed(&self, x: u32, work: &Work) -> bool {
        work.low[x as usize] >= self.rank[x as usize]
    }

    /// All edges of a region as (child of the target's parent that holds the source, or [`NONE`] where the source is
    /// that parent; target).
    fn jumps(&self, regions: &Regions, root: u32, work: &Work) -> Vec<(u32, u32)> {
        let mut jumps = Vec::new();
        let mut path = Vec::new();
        let mut stack = vec![root];
        while let Some(x) = stack.pop() {
            path.truncate(self.rank[x as usize] as usize);
            path.push(x);
            for &to in regions.successors.get(x) {
                let parent = self.parent[to as usize];
                let child = path.get(self.rank[parent as usize] as usize + 1);
                jumps.push((child.copied().unwrap_or(NONE), to));
            }
            stack.extend(&work.children[x as usize]);
        }
        jumps
    }

    /// Moves closed items, which are early ways out, to just behind their last source, so that what follows need not be
    /// guarded. Not those with a convergent block, and not the main item of a sequence: the largest, if none other holds
    /// a convergent block.
    fn order_items(&mut self, nodes: &[u32], jumps: &[(u32, u32)], work: &mut Work) {
        let mut source: Vec<(u32, i32)> = Vec::new();
        for &(child, to) in jumps {
            if work.index[to as usize] >= 0 && self.closed(to, work) {
                let index = if child == NONE {
                    -1
                } else {
                    work.index[child as usize]
                };
                source.push((to, index));
            }
        }
        source.sort_unstable();
        for &x in nodes {
            let mut items = std::mem::take(&mut self.items[x as usize]);
            if items.len() > 1 {
                let weight =
                    |&item: &u32| (work.convergent[item as usize], work.size[item as usize]);
                let main = items.iter().copied().max_by_key(weight);
                items.sort_by_cached_key(|&item| {
                    let (i, at) = (item as usize, work.index[item as usize]);
                    let moved =
                        self.closed(item, work) && !work.convergent[i] && main != Some(item);
                    if moved {
                        let end = source.partition_point(|&(to, _)| to <= item);
                        (source[end - 1].1, 1, work.size[i], at)
                    } else {
                        (at, 0, 0, 0)
                    }
                });
                for (at, &item) in items.iter().enumerate() {
                    work.index[item as usize] = at as i32;
                }
            }
            self.items[x as usize] = items;
        }
    }

    /// Guards every item that an edge jumps over.
    fn find_guards(&mut self, nodes: &[u32], jumps: &[(u32, u32)], work: &mut Work) {
        // Per sequence: by item, the number of jumps that start to cover it less those that end; the same without the
        // jumps that start in the item just before; and whether an edge comes from the item just before.
        #[derive(Clone, Copy, Default)]
        struct Cover {
            all: i32,
            others: i32,
            from_previous: bool,
        }
        let mut start = vec![0usize; nodes.len() + 1];
        for (at, &x) in nodes.iter().enumerate() {
            work.position[x as usize] = at as u32;
            start[at + 1] = start[at] + self.items[x as usize].len() + 1;
        }
        let mut cover = vec![Cover::default(); start[nodes.len()]];
        let mut jump = |sequence: u32, source: i32, end: usize| {
            let cover = &mut cover[start[work.position[sequence as usize] as usize]..];
            let first = (source + 1) as usize;
            if first < end {
                cover[first].all += 1;
                cover[end].all -= 1;
            }
            if first + 1 < end {
                cover[first + 1].others += 1;
                cover[end].others -= 1;
            }
            if source >= 0 && first == end {
                cover[end].from_previous = true;
            }
        };
        for &(child, to) in jumps {
            let index = work.index[to as usize];
            if index >= 0 {
                let source = if child == NONE {
                    -1
                } else {
                    work.index[child as usize]
                };
                jump(self.parent[to as usize], source, index as usize);
            }
        }
        for &x in nodes {
            let i = x as usize;
            let all = self.items[i].len();
            if work.own[i] < self.rank[i] {
                jump(x, -1, all);
            }
            let parent = self.parent[i];
            if x != parent && work.low[i] < self.rank[parent as usize] {
                jump(parent, work.index[i], self.items[parent as usize].len());
            }
        }
        for (at, &x) in nodes.iter().enumerate() {
            let (mut all, mut others, mut previous) = (0, 0, NONE);
            for (item, cover) in self.items[x as usize].iter().zip(&cover[start[at]..]) {
                let i = *item as usize;
                all += cover.all;
                others += cover.others;
                self.guarded[i] = all > 0;
                if previous != NONE
                    && all > 0
                    && others == 0
                    && !cover.from_previous
                    && self.guarded[previous as usize]
                {
                    self.otherwise[i] = true;
                    self.guarded[i] = false;
                }
                previous = *item;
            }
        }
    }

    /// Decides how a branch is laid out; `last`: nothing follows the arms.
    fn arrange_arms(
        &mut self,
        cfg: &Cfg,
        forest: &Forest,
        regions: &Regions,
        block: u32,
        last: bool,
        work: &Work,
    ) {
        let [Some(then), Some(otherwise)] = cfg.edges(block) else {
            return;
        };
        let side = |(edge, to): (usize, u32)| match regions.target[edge] {
            NONE if last
                && forest.back[edge]
                && forest.contains(forest.region[block as usize], forest.region[to as usize]) =>
            {
                Side::Repeat
            }
            NONE => Side::Leave,
            to if !work.inline[to as usize] => Side::Fall,
            to if self.closed(to, work) => Side::Closed(to),
            to => Side::Open(to),
        };
        let ends = |x: u32| work.ends[x as usize];
        let weight = |x: u32| (work.convergent[x as usize], ends(x), work.size[x as usize]);
        let depth = self.depth[block as usize];
        let small = |x: u32| work.size[x as usize] == 1;
        let (then, otherwise) = (side(then), side(otherwise));
        let arms = match (then, otherwise) {
            (Side::Closed(a), Side::Closed(b)) => {
                // Where one way ends the thread and the other meets a barrier, the barrier is outside of the `If`.
                let even = forest.region[block as usize] != 0
                    || work.convergent[a as usize] == work.convergent[b as usize];
                if last && even && depth < MAX_DEPTH / 4 && ends(a) && ends(b) {
                    Arms::Both
                } else if weight(a) > weight(b) {
                    Arms::ThenAfter
                } else {
                    Arms::OtherwiseAfter
                }
            }
            (Side::Closed(x), Side::Repeat) | (Side::Repeat, Side::Closed(x)) if small(x) => {
                Arms::Both
            }
            (Side::Open(_), Side::Closed(_) | Side::Leave | Side::Repeat) => Arms::ThenAfter,
            (Side::Closed(_) | Side::Leave | Side::Repeat, Side::Open(_)) => Arms::OtherwiseAfter,
            (Side::Closed(_), Side::Leave | Side::Repeat) => Arms::ThenAfter,
            (Side::Leave | Side::Repeat, Side::Closed(_)) => Arms::OtherwiseAfter,
            _ => Arms::Both,
        };
        self.arms[block as usize] = arms;
        for (slot, side) in [then, otherwise].into_iter().enumerate() {
            let (Side::Closed(child) | Side::Open(child)) = side else {
                continue;
            };
            let after = match arms {
                Arms::Both => None,
                Arms::ThenAfter => Some(slot == 0),
                Arms::OtherwiseAfter => Some(slot == 1),
            };
            self.depth[child as usize] = depth + u32::from(after != Some(true));
            self.last[child as usize] = last && after != Some(false);
        }
    }
}

/// What one side of a branch is.
#[derive(Clone, Copy)]
enum Side {
    /// An inline node, closed or not.
    Closed(u32),
    Open(u32),
    /// An edge to an item.
    Fall,
    /// An edge out of the region or back to its start.
    Leave,
    /// An edge back to the region's start where nothing else follows.
    Repeat,
}

/// What is needed while a region is laid out, by node.
struct Work {
    /// The smallest rank of a parent to whose sequence an edge leads: from a node's subtree, and from the node itself.
    low: Vec<u32>,
    own: Vec<u32>,
    /// The number of blocks in a subtree.
    size: Vec<u32>,
    /// Whether a subtree holds a convergent block.
    convergent: Vec<bool>,
    /// Whether threads of a subtree may go where the end of the region leads too.
    ends: Vec<bool>,
    /// An item's position in its sequence; -1: not an item.
    index: Vec<i32>,
    inline: Vec<bool>,
    /// Parent and added depth in the layout without limit.
    natural: Vec<(u32, u32)>,
    estimate: Vec<u32>,
    children: Vec<Vec<u32>>,
    /// A node's position in its region's order.
    position: Vec<u32>,
}
