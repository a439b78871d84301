//! From the layout to the tree.
//!
//! A flag belongs to a guarded item: it is false where the sequence begins that holds the item and becomes true on the
//! edges to the item. In a loop with several entries the entries' flags outlive an iteration: they are false when the
//! program starts and become false again when the entry is entered. Two more flags belong to a loop whose exits lead to
//! several levels: one for those that leave the loop around it too, one for those that continue the loop around it.

use crate::cfg::{Cfg, NONE};
use crate::loops::Forest;
use crate::place::{Arms, Placement};
use crate::regions::{Kind, Regions};
use crate::{BlockId, Condition, FlagId, FlagValue, Node, Structured};

pub(crate) fn emit(
    cfg: &Cfg,
    forest: &Forest,
    regions: &Regions,
    placement: &Placement,
) -> Structured {
    let mut emitter = Emitter {
        cfg,
        forest,
        regions,
        placement,
        flag: vec![NONE; regions.len()],
        leave: vec![NONE; forest.regions() as usize],
        again: vec![NONE; forest.regions() as usize],
        flags: 0,
        open: vec![Vec::new()],
        tasks: Vec::new(),
    };
    emitter.start();
    while let Some(task) = emitter.tasks.pop() {
        emitter.run(task);
    }
    let body = emitter.open.pop().expect("the program's list is open");
    debug_assert!(emitter.open.is_empty());
    Structured {
        body,
        flags: emitter.flags,
    }
}

/// What is left to do, last first.
enum Task {
    /// Emit a node's sequence.
    Sequence(u32),
    /// Emit a node's items.
    Items(u32),
    /// Append to the list.
    Append(Vec<Node>),
    /// Begin a list.
    Open,
    /// End the lists of the two arms and make them an `If`.
    If(Condition),
    /// End the list of a loop's body.
    Loop,
}

struct Emitter<'a> {
    cfg: &'a Cfg<'a>,
    forest: &'a Forest,
    regions: &'a Regions,
    placement: &'a Placement,
    /// The flag of a guarded node.
    flag: Vec<u32>,
    /// By loop: the flag that says, after the loop, to leave the loop around it; or to continue it.
    leave: Vec<u32>,
    again: Vec<u32>,
    flags: u32,
    open: Vec<Vec<Node>>,
    tasks: Vec<Task>,
}

/// What becomes of an edge: flags become true, and then the end of the list, `Break` or `Continue`.
struct Route {
    set: Vec<u32>,
    end: Option<Node>,
}

impl Route {
    fn nodes(self) -> Vec<Node> {
        let set = |flag| Node::Set(FlagId(flag), FlagValue::Constant(true));
        self.set.into_iter().map(set).chain(self.end).collect()
    }
}

impl Emitter<'_> {
    fn new_flag(&mut self) -> u32 {
        self.flags += 1;
        self.flags - 1
    }

    fn append(&mut self, node: Node) {
        self.open.last_mut().expect("a list is open").push(node);
    }

    fn set(&mut self, flag: u32, value: bool) {
        self.append(Node::Set(FlagId(flag), FlagValue::Constant(value)));
    }

    /// Whether a guarded node's flag lives from iteration to iteration.
    fn is_entry(&self, node: u32, region: u32) -> bool {
        self.regions.entered[node as usize] && self.regions.entries[region as usize] > 1
    }

    fn start(&mut self) {
        for region in 1..self.forest.regions() {
            for &node in &self.regions.order[region as usize] {
                if self.placement.guarded[node as usize] && self.is_entry(node, region) {
                    self.flag[node as usize] = self.new_flag();
                }
            }
        }
        let entry = self.cfg.entry();
        let mut set = Vec::new();
        self.enter(0, entry, &mut set);
        for flag in 0..self.flags {
            self.set(flag, set.contains(&flag));
        }
        self.tasks.push(Task::Sequence(self.regions.root(0)));
    }

    /// The flags that lead from somewhere in a region to a block in it or in its inner loops.
    fn enter(&self, region: u32, block: u32, set: &mut Vec<u32>) {
        let mut node = block;
        let mut inner = self.forest.region[block as usize];
        loop {
            if self.placement.guarded[node as usize] {
                debug_assert_ne!(self.flag[node as usize], NONE);
                set.push(self.flag[node as usize]);
            }
            if inner == region {
                break;
            }
            node = self.regions.loop_node(inner);
            inner = self.forest.parent[inner as usize];
        }
    }

    /// `last`: nothing follows in the region.
    fn route(&self, from: u32, edge: usize, to: u32, last: bool) -> Route {
        let mut set = Vec::new();
        let mut region = self.forest.region[from as usize];
        let common = self.forest.common(region, self.forest.region[to as usize]);
        let leaves = region != common;
        while region != common {
            let parent = self.forest.parent[region as usize];
            let flag = if parent != common {
                self.leave[region as usize]
            } else if self.forest.back[edge] {
                self.again[region as usize]
            } else {
                NONE
            };
            if flag != NONE {
                set.push(flag);
            }
            region = parent;
        }
        self.enter(common, to, &mut set);
        let end = match (leaves, self.forest.back[edge]) {
            (true, _) => Some(Node::Break),
            (false, true) if !last => Some(Node::Continue),
            _ => None,
        };
        Route { set, end }
    }

    fn run(&mut self, task: Task) {
        match task {
            Task::Append(nodes) => self.open.last_mut().expect("a list is open").extend(nodes),
            Task::Open => self.open.push(Vec::new()),
            Task::If(condition) => {
                let otherwise = self.open.pop().expect("the other arm is open");
                let then = self.open.pop().expect("the taken arm is open");
                if !(then.is_empty() && otherwise.is_empty()) {
                    self.append(Node::If {
                        condition,
                        then,
                        otherwise,
                    });
                }
            }
            Task::Loop => {
                let body = self.open.pop().expect("the body is open");
                self.append(Node::Loop(body));
            }
            Task::Sequence(node) => match self.regions.kind(node) {
                Kind::Block(block) => self.block(block),
                Kind::Loop(region) => self.enclosed(node, region),
                Kind::Root(_) => {
                    for flag in self.item_flags(node) {
                        self.set(flag, false);
                    }
                    self.tasks.push(Task::Items(node));
                }
            },
            Task::Items(node) => self.items(node),
        }
    }

    /// New flags for a node's guarded items, but those that are entries.
    fn item_flags(&mut self, node: u32) -> Vec<u32> {
        let mut flags = Vec::new();
        for &item in &self.placement.items[node as usize] {
            if self.placement.guarded[item as usize] && self.flag[item as usize] == NONE {
                self.flag[item as usize] = self.new_flag();
                flags.push(self.flag[item as usize]);
            }
        }
        flags
    }

    fn block(&mut self, block: u32) {
        self.append(Node::Block(BlockId(block)));
        let own = self.item_flags(block);
        let last = self.placement.last[block as usize];
        let no_items = self.placement.items[block as usize].is_empty();
        match self.cfg.edges(block) {
            [None, _] => {
                if !(last && self.forest.region[block as usize] == 0) {
                    self.append(Node::Return);
                }
            }
            [Some((edge, to)), None] => {
                for flag in own {
                    self.set(flag, false);
                }
                let route = self.route(block, edge, to, last && no_items);
                self.tasks.push(Task::Items(block));
                self.tasks.push(Task::Append(route.nodes()));
            }
            [Some(then), Some(otherwise)] => self.branch(block, [then, otherwise], own),
        }
    }

    fn branch(&mut self, block: u32, edges: [(usize, u32); 2], own: Vec<u32>) {
        let arms = self.placement.arms[block as usize];
        let no_items = self.placement.items[block as usize].is_empty();
        let last = self.placement.last[block as usize] && no_items && arms == Arms::Both;
        let mut inline = [NONE; 2];
        let mut routes = [None, None];
        for (slot, &(edge, to)) in edges.iter().enumerate() {
            let target = self.regions.target[edge];
            if target != NONE
                && self.regions.predecessors.get(target) == [block]
                && self.placement.parent[target as usize] == block
            {
                inline[slot] = target;
                // An inner loop with several entries wants to know which.
                let mut set = Vec::new();
                self.enter(self.forest.region[block as usize], to, &mut set);
                routes[slot] = Some(Route { set, end: None });
            } else {
                routes[slot] = Some(self.route(block, edge, to, last));
            }
        }
        let [Some(mut then), Some(mut otherwise)] = routes else {
            unreachable!("both sides have a route")
        };
        let condition = BlockId(block);
        // A flag that both sides set, or that begins false here, is assigned at once.
        let value = |in_then: bool, in_otherwise: bool| match (in_then, in_otherwise) {
            (true, true) => FlagValue::Constant(true),
            (true, false) => FlagValue::Block(condition),
            (false, true) => FlagValue::NotBlock(condition),
            (false, false) => FlagValue::Constant(false),
        };
        let simple = inline == [NONE; 2] && then.end.is_none() && otherwise.end.is_none();
        let mut direct = own;
        let shared =
            then.set.iter().chain(&otherwise.set).filter(|&flag| {
                simple || (then.set.contains(flag) && otherwise.set.contains(flag))
            });
        for &flag in shared {
            if !direct.contains(&flag) {
                direct.push(flag);
            }
        }
        for flag in direct {
            let value = value(then.set.contains(&flag), otherwise.set.contains(&flag));
            then.set.retain(|&f| f != flag);
            otherwise.set.retain(|&f| f != flag);
            self.append(Node::Set(FlagId(flag), value));
        }

        // Last first.
        let condition = Condition::Block(condition);
        self.tasks.push(Task::Items(block));
        let arm = |tasks: &mut Vec<Task>, slot: usize, route: Route| {
            if inline[slot] != NONE {
                tasks.push(Task::Sequence(inline[slot]));
            }
            tasks.push(Task::Append(route.nodes()));
        };
        let tasks = &mut self.tasks;
        match arms {
            Arms::Both => {
                tasks.push(Task::If(condition));
                arm(tasks, 1, otherwise);
                tasks.push(Task::Open);
                arm(tasks, 0, then);
                tasks.push(Task::Open);
            }
            Arms::ThenAfter => {
                arm(tasks, 0, then);
                tasks.push(Task::If(condition));
                arm(tasks, 1, otherwise);
                tasks.push(Task::Open);
                tasks.push(Task::Open);
            }
            Arms::OtherwiseAfter => {
                arm(tasks, 1, otherwise);
                tasks.push(Task::If(condition));
                tasks.push(Task::Open);
                arm(tasks, 0, then);
                tasks.push(Task::Open);
            }
        }
    }

    /// A loop and what its exits lead to.
    fn enclosed(&mut self, node: u32, region: u32) {
        for flag in self.item_flags(node) {
            self.set(flag, false);
        }
        let exits = self.regions.exits[region as usize];
        if exits.outside && (exits.inside || exits.again) {
            let flag = self.new_flag();
            self.leave[region as usize] = flag;
            self.set(flag, false);
        }
        if exits.again && exits.inside {
            let flag = self.new_flag();
            self.again[region as usize] = flag;
            self.set(flag, false);
        }
        let jump = |flag: u32, node: Node| match flag {
            NONE => node,
            flag => Node::If {
                condition: Condition::Flag(FlagId(flag)),
                then: vec![node],
                otherwise: Vec::new(),
            },
        };
        let last =
            self.placement.last[node as usize] && self.placement.items[node as usize].is_empty();
        let mut after = Vec::new();
        if exits.outside {
            after.push(jump(self.leave[region as usize], Node::Break));
        }
        if exits.again && !last {
            after.push(jump(self.again[region as usize], Node::Continue));
        }
        self.tasks.push(Task::Items(node));
        self.tasks.push(Task::Append(after));
        self.tasks.push(Task::Loop);
        self.tasks.push(Task::Sequence(self.regions.root(region)));
        self.tasks.push(Task::Open);
    }

    fn items(&mut self, node: u32) {
        let items = &self.placement.items[node as usize];
        let region = match self.regions.kind(node) {
            Kind::Block(block) => self.forest.region[block as usize],
            Kind::Loop(inner) => self.forest.parent[inner as usize],
            Kind::Root(region) => region,
        };
        let mut end = items.len();
        while end > 0 {
            end -= 1;
            let mut item = items[end];
            let mut otherwise = None;
            if self.placement.otherwise[item as usize] {
                otherwise = Some(item);
                end -= 1;
                item = items[end];
            }
            if !self.placement.guarded[item as usize] {
                self.tasks.push(Task::Sequence(item));
                continue;
            }
            let flag = FlagId(self.flag[item as usize]);
            self.tasks.push(Task::If(Condition::Flag(flag)));
            self.tasks.extend(otherwise.map(Task::Sequence));
            self.tasks.push(Task::Open);
            self.tasks.push(Task::Sequence(item));
            if self.is_entry(item, region) {
                let clear = Node::Set(flag, FlagValue::Constant(false));
                self.tasks.push(Task::Append(vec![clear]));
            }
            self.tasks.push(Task::Open);
        }
    }
}
