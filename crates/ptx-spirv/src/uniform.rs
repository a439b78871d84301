//! Which threads go the same way to the points where threads meet.
//!
//! Threads run in *lockstep* where all that are left take the same branches between two meetings. Then the n-th meeting of one is
//! the n-th meeting of all, and a meeting needs no bookkeeping (`emit/warp_state.rs`).
//!
//! A branch counts only if both its ways lead to another meeting. Threads that take a way without one, an early `ret` in most
//! kernels, are out of the game: the others stay together without them. So the analysis looks at the graph of the blocks
//! from which a meeting can still be reached (those that *matter*), with one end for all ways out of it.
//!
//! Where a branch that whole warps take sends some of them to meetings that the others do not have, those can make up for it:
//! the branch is *padded* if the number of meetings on each of its ways is fixed.
//!
//! The level of a value is the worst of what it is made of and of the branches that decide whether its instruction runs; a block's
//! level is the worst of the branches that it depends on. Both rise together until nothing changes.

use crate::graph::{self, Graph, Place, Register, Step};
use crate::ModuleLayout;
use ptx::{AddressBase, Instruction, Modifier, Module, Opcode, Operand, SpecialRegister};
use rustc_hash::{FxHashMap, FxHashSet};
use structurizer::{Node, Structured};

/// Who has the same value, or goes the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All threads of a block.
    Block,
    /// All threads of a warp, where rows of threads are whole warps: `%ntid.x` a multiple of 32, or `%ntid.y` and `.z` 1.
    Warp,
    /// All threads of a warp, where `%ntid.x` is a multiple of 32: a number that counts threads of the grid is divided by 32.
    AlignedWarp,
    /// Each thread for itself.
    Lane,
}

/// How the threads of a kernel come to its meetings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockstep {
    /// Who does so together: the threads of a block only if `padded` branches are padded.
    pub level: Level,
    /// Blocks that end in a branch by warps, of which one way has more meetings than the other. Without them, the level
    /// is that of all blocks of threads; with them, only where `rows` are as they have to be.
    pub padded: FxHashSet<u32>,
    /// For whom the padded branches are alike.
    pub rows: Level,
    /// Who leaves together while others still have meetings before them: [`Level::Block`] where nobody does.
    pub early_exits: Level,
}

/// A register's level; `%tid.x` itself is known as such.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Unset,
    At(Level),
    /// The same for the block, and a multiple of `%ntid.x`.
    Rows,
    /// 32 u + lane, u the same for the warp.
    LaneAbove,
    /// The sum of the last two.
    LaneAboveRows,
    Lane,
}

impl Known {
    fn level(self) -> Level {
        match self {
            Known::Unset | Known::Rows => Level::Block,
            Known::At(level) => level,
            Known::LaneAbove | Known::LaneAboveRows | Known::Lane => Level::Lane,
        }
    }

    /// What is the same for a warp once bits of the lane are gone.
    fn without_lanes(self) -> Option<Level> {
        match self {
            Known::LaneAbove => Some(Level::Warp),
            Known::LaneAboveRows => Some(Level::AlignedWarp),
            _ => None,
        }
    }

    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Known::Rows, Known::Rows) => Known::Rows,
            (Known::Rows, Known::LaneAbove | Known::LaneAboveRows)
            | (Known::LaneAbove | Known::LaneAboveRows, Known::Rows) => Known::LaneAboveRows,
            (a, b) => known(a.level().max(b.level())),
        }
    }

    fn times(self, other: Self) -> Self {
        let level = self.level().max(other.level());
        match self == Known::Rows || other == Known::Rows {
            true if level == Level::Block => Known::Rows,
            _ => known(level),
        }
    }
}

fn known(level: Level) -> Known {
    match level {
        Level::Lane => Known::Lane,
        level => Known::At(level),
    }
}

/// One or the other. Two different values of %tid.x and its like are just any value.
fn join(a: Known, b: Known) -> Known {
    match (a, b) {
        (Known::Unset, v) | (v, Known::Unset) => v,
        (a, b) if a == b => a,
        (a, b) => known(a.level().max(b.level())),
    }
}

struct Analysis<'a> {
    graph: &'a Graph<'a>,
    module: &'a Module<'a>,
    layout: &'a ModuleLayout,
    registers: Vec<Known>,
    constants: Vec<Option<u64>>,
    blocks: Vec<Level>,
    /// Of the condition at each block's end.
    conditions: Vec<Level>,
    /// What the block that is being looked at has written so far: compilers use a register again for something else.
    local: FxHashMap<Register, Known>,
    changed: bool,
}

/// Who goes which way between the blocks that matter.
struct Flow<'a> {
    matters: Vec<bool>,
    /// Blocks that matter and are reached.
    used: Vec<bool>,
    /// Each branch, and the blocks that run or do not run by it.
    depend: Vec<(usize, Vec<u32>)>,
    analysis: Analysis<'a>,
}

impl<'a> Flow<'a> {
    /// Of the blocks from which one of the `seeds` can be reached. None where one of them has no way to the end. `by_contract`: see
    /// [`levels_by_contract`].
    fn of(
        graph: &'a Graph<'a>,
        module: &'a Module<'a>,
        layout: &'a ModuleLayout,
        seeds: &dyn Fn(usize) -> bool,
        by_contract: bool,
    ) -> Option<Self> {
        let matters = matters(graph, seeds);
        let ways: Vec<Vec<u32>> = graph
            .blocks
            .iter()
            .map(|b| {
                let ways = b.targets.iter().copied();
                ways.filter(|&t| matters[t as usize]).collect()
            })
            .collect();
        let reached = reached(&ways);
        let used: Vec<bool> = matters
            .iter()
            .zip(&reached)
            .map(|(m, r)| *m && *r)
            .collect();
        // A loop that is left by leaving the kernel alone has no way to the end but those.
        let leaves = |b: usize| ways[b].len() < graph.blocks[b].targets.len();
        let after = post_dominators(&ways, &|b| used[b], &|_| false)
            .or_else(|| post_dominators(&ways, &|b| used[b], &leaves))?;
        let mut analysis = Analysis {
            graph,
            module,
            layout,
            registers: vec![Known::Unset; graph.registers.len()],
            constants: graph.constants(),
            blocks: vec![Level::Block; graph.blocks.len()],
            conditions: vec![Level::Block; graph.blocks.len()],
            local: FxHashMap::default(),
            changed: true,
        };
        // The blocks that run or do not run by a branch.
        let depend: Vec<(usize, Vec<u32>)> = (0..graph.blocks.len())
            .filter(|&b| used[b] && ways[b].len() > 1)
            .map(|b| (b, between(&ways, b, after[b])))
            .collect();
        let gathers: Vec<bool> = (0..graph.blocks.len())
            .map(|b| by_contract && analysis.gathers(b))
            .collect();
        let together: Vec<bool> = depend
            .iter()
            .map(|&(b, _)| {
                let ways = &ways[b];
                gathers.contains(&true)
                    && ways
                        .iter()
                        .any(|&t| surely(&graph.blocks, t, after[b], &gathers))
            })
            .collect();
        while analysis.changed {
            analysis.changed = false;
            for b in (0..graph.blocks.len()).filter(|&b| used[b]) {
                analysis.block(b);
            }
            for ((branch, blocks), together) in depend.iter().zip(&together) {
                let level = match analysis.conditions[*branch] {
                    Level::Lane if *together => Level::Warp,
                    level => level,
                };
                for &b in blocks {
                    let block = &mut analysis.blocks[b as usize];
                    if *block < level {
                        *block = level;
                        analysis.changed = true;
                    }
                }
            }
        }
        Some(Self {
            matters,
            used,
            depend,
            analysis,
        })
    }

    /// Who leaves for the end together while others still have seeds before them: [`Level::Block`] where nobody does.
    fn early_exits(&self) -> Level {
        let blocks = &self.analysis.graph.blocks;
        (0..blocks.len())
            .filter(|&b| self.used[b] && parts(&blocks[b], &self.matters))
            .map(|b| self.analysis.conditions[b].max(self.analysis.blocks[b]))
            .max()
            .unwrap_or(Level::Block)
    }
}

/// Who comes to each block, and who has the same in each register.
pub struct Levels {
    /// By block.
    pub blocks: Vec<Level>,
    /// By register: in everything that is written to it.
    pub registers: Vec<Level>,
}

/// The levels of the blocks from which one of the `seeds` can be reached; those of all others are [`Level::Lane`]. None where a
/// seed has no way to the end.
pub fn levels(
    graph: &Graph,
    module: &Module,
    layout: &ModuleLayout,
    seeds: &dyn Fn(usize) -> bool,
) -> Option<Levels> {
    Some(levels_of(Flow::of(graph, module, layout, seeds, false)?))
}

/// The same, where an operation with all lanes in its mask says that the warp is together: which ways lead to it is then the same for all
/// lanes, whatever it depends on (PTX ISA, "vote.sync": what else happens is undefined).
pub fn levels_by_contract(
    graph: &Graph,
    module: &Module,
    layout: &ModuleLayout,
    seeds: &dyn Fn(usize) -> bool,
) -> Option<Levels> {
    Some(levels_of(Flow::of(graph, module, layout, seeds, true)?))
}

fn levels_of(flow: Flow) -> Levels {
    let blocks = flow.analysis.blocks.iter().zip(&flow.used);
    Levels {
        blocks: blocks
            .map(|(level, used)| if *used { *level } else { Level::Lane })
            .collect(),
        registers: flow.analysis.registers.iter().map(|r| r.level()).collect(),
    }
}

/// Whether one way out of a block leads on to what matters, and another does not.
fn parts(block: &graph::Block, matters: &[bool]) -> bool {
    let on = block.targets.iter().filter(|&&t| matters[t as usize]);
    on.count() == 1 && block.targets.len() > 1
}

/// Who leaves a kernel together while others still have blocks with one of the `seeds` before them: [`Level::Block`] where nobody
/// does.
pub fn early_exits(
    graph: &Graph,
    module: &Module,
    layout: &ModuleLayout,
    seeds: &dyn Fn(usize) -> bool,
) -> Level {
    let matters = matters(graph, seeds);
    if !graph.blocks.iter().any(|b| parts(b, &matters)) {
        return Level::Block;
    }
    Flow::of(graph, module, layout, seeds, false).map_or(Level::Lane, |flow| flow.early_exits())
}

/// How the threads of a kernel come to its meetings: what `convergent` blocks hold.
pub fn lockstep(
    graph: &Graph,
    structured: &Structured,
    module: &Module,
    layout: &ModuleLayout,
) -> Lockstep {
    let worst = Lockstep {
        level: Level::Lane,
        padded: FxHashSet::default(),
        rows: Level::Block,
        early_exits: Level::Lane,
    };
    // Counting and arriving without waiting are done with counters.
    let counts = graph.any(|i| {
        i.opcode == Opcode::Mbarrier
            || matches!(i.opcode, Opcode::Bar | Opcode::Barrier)
                && (i.has(Modifier::Arrive) || i.has(Modifier::RedMod))
    });
    let convergent = |b: usize| graph.blocks[b].convergent;
    let Some(flow) = Flow::of(graph, module, layout, &convergent, false).filter(|_| !counts) else {
        return worst;
    };
    let used = |b: usize| flow.used[b];
    let Flow {
        depend, analysis, ..
    } = &flow;
    let meets = |b: usize| used(b) && graph.blocks[b].convergent;
    // Meetings below each branch that is not for the whole block.
    let partial: Vec<(usize, Level, usize)> = depend
        .iter()
        .map(|(branch, blocks)| {
            let meetings = blocks.iter().filter(|&&b| meets(b as usize)).count();
            (*branch, analysis.conditions[*branch], meetings)
        })
        .filter(|&(_, level, meetings)| level > Level::Block && meetings > 0)
        .collect();
    let mut padding = Padding {
        graph,
        partial: partial
            .iter()
            .map(|&(b, l, n)| (b as u32, (l, n)))
            .collect(),
        padded: FxHashSet::default(),
    };
    padding.walk(&structured.body);
    let padded = padding.padded;
    let level = partial
        .iter()
        .filter(|(branch, ..)| !padded.contains(&(*branch as u32)))
        .map(|&(_, level, _)| level)
        .max()
        .unwrap_or(Level::Block);
    let rows = partial
        .iter()
        .filter(|(branch, ..)| padded.contains(&(*branch as u32)))
        .map(|&(_, level, _)| level)
        .max()
        .unwrap_or(Level::Block);
    let early_exits = flow.early_exits();
    Lockstep {
        level,
        padded,
        rows,
        early_exits,
    }
}

/// Finds the branches that can be padded.
struct Padding<'a> {
    graph: &'a Graph<'a>,
    /// Branches that not all threads of a block take alike: for whom they are alike, and how many blocks with meetings
    /// depend on them.
    partial: FxHashMap<u32, (Level, usize)>,
    padded: FxHashSet<u32>,
}

impl Padding<'_> {
    fn walk(&mut self, nodes: &[Node]) {
        for n in nodes {
            match n {
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    if let structurizer::Condition::Block(b) = condition {
                        let meetings = self.meetings(then) + self.meetings(otherwise);
                        let alike =
                            |&(level, n): &(Level, usize)| level < Level::Lane && n == meetings;
                        if self.partial.get(&b.0).is_some_and(alike) {
                            let mut inner = vec![b.0];
                            if self.fixed(then, &mut inner) && self.fixed(otherwise, &mut inner) {
                                self.padded.extend(inner);
                                continue;
                            }
                        }
                    }
                    self.walk(then);
                    self.walk(otherwise);
                }
                Node::Loop(body) => self.walk(body),
                _ => {}
            }
        }
    }

    /// How many blocks of a region have meetings.
    fn meetings(&self, nodes: &[Node]) -> usize {
        let each = nodes.iter().map(|n| match n {
            Node::Block(b) => usize::from(self.graph.blocks[b.0 as usize].convergent),
            Node::If {
                then, otherwise, ..
            } => self.meetings(then) + self.meetings(otherwise),
            Node::Loop(body) => self.meetings(body),
            _ => 0,
        });
        each.sum()
    }

    /// Whether a region has the same number of meetings on all ways through it, once `inner` branches are padded.
    fn fixed(&self, nodes: &[Node], inner: &mut Vec<u32>) -> bool {
        nodes.iter().all(|n| match n {
            Node::Block(_) | Node::Set(..) => true,
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                if self.meetings(then) + self.meetings(otherwise) > 0 {
                    let structurizer::Condition::Block(b) = condition else {
                        return false;
                    };
                    // Lanes of one subgroup that part would make it come twice.
                    if self.partial.get(&b.0).is_some_and(|p| p.0 == Level::Lane) {
                        return false;
                    }
                    inner.push(b.0);
                }
                self.fixed(then, inner) && self.fixed(otherwise, inner)
            }
            Node::Loop(body) => self.meetings(body) == 0 && !returns(body),
            Node::Break | Node::Continue | Node::Return => false,
        })
    }
}

fn returns(nodes: &[Node]) -> bool {
    nodes.iter().any(|n| match n {
        Node::Return => true,
        Node::If {
            then, otherwise, ..
        } => returns(then) || returns(otherwise),
        Node::Loop(body) => returns(body),
        _ => false,
    })
}

/// From which blocks one of the seeds can be reached, their own included.
fn matters(graph: &Graph, seeds: &dyn Fn(usize) -> bool) -> Vec<bool> {
    let mut before = vec![Vec::new(); graph.blocks.len()];
    for (b, block) in graph.blocks.iter().enumerate() {
        for &t in &block.targets {
            before[t as usize].push(b);
        }
    }
    let mut matters = vec![false; graph.blocks.len()];
    let mut open: Vec<usize> = (0..graph.blocks.len()).filter(|&b| seeds(b)).collect();
    while let Some(b) = open.pop() {
        if !std::mem::replace(&mut matters[b], true) {
            open.extend(&before[b]);
        }
    }
    matters
}

fn reached(ways: &[Vec<u32>]) -> Vec<bool> {
    let mut reached = vec![false; ways.len()];
    let mut open = vec![0u32];
    while let Some(b) = open.pop() {
        if !std::mem::replace(&mut reached[b as usize], true) {
            open.extend(&ways[b as usize]);
        }
    }
    reached
}

/// The nearest block that every way from a block to the end passes; the number of blocks stands for the end. None where a block has no
/// way to the end.
pub fn all_post_dominators(graph: &Graph) -> Option<Vec<u32>> {
    let ways: Vec<Vec<u32>> = graph.blocks.iter().map(|b| b.targets.to_vec()).collect();
    let reached = reached(&ways);
    post_dominators(&ways, &|b| reached[b], &|_| false)
}

/// The nearest block that every way from a block to the end passes; the number of blocks stands for the end. `None` where
/// a block has no way to the end.
/// `ends`: blocks that end beside what `ways` says.
fn post_dominators(
    ways: &[Vec<u32>],
    used: &dyn Fn(usize) -> bool,
    ends: &dyn Fn(usize) -> bool,
) -> Option<Vec<u32>> {
    let end = ways.len();
    let mut before = vec![Vec::new(); end + 1];
    for b in (0..end).filter(|&b| used(b)) {
        for &t in &ways[b] {
            before[t as usize].push(b);
        }
        // A branch with one way that matters is none, and its other way is forgotten; a block without any ends here.
        if ways[b].is_empty() || ends(b) {
            before[end].push(b);
        }
    }
    // A depth-first order of the reversed graph.
    let mut number = vec![u32::MAX; end + 1];
    let mut order = Vec::new();
    let mut stack = vec![(end, 0)];
    let mut seen = vec![false; end + 1];
    seen[end] = true;
    while let Some((b, next)) = stack.pop() {
        if let Some(&p) = before[b].get(next) {
            stack.push((b, next + 1));
            if !std::mem::replace(&mut seen[p], true) {
                stack.push((p, 0));
            }
        } else {
            order.push(b);
        }
    }
    order.reverse();
    for (n, &b) in order.iter().enumerate() {
        number[b] = n as u32;
    }
    if (0..end).any(|b| used(b) && !seen[b]) {
        return None;
    }
    let mut after = vec![u32::MAX; end + 1];
    after[end] = end as u32;
    let mut changed = true;
    while changed {
        changed = false;
        for &b in order.iter().skip(1) {
            let mut common = u32::MAX;
            let out = (ways[b].is_empty() || ends(b)).then_some(end as u32);
            for t in ways[b].iter().copied().chain(out) {
                if after[t as usize] == u32::MAX {
                    continue;
                }
                if common == u32::MAX {
                    common = t;
                    continue;
                }
                let mut other = t;
                while common != other {
                    while number[common as usize] > number[other as usize] {
                        common = after[common as usize];
                    }
                    while number[other as usize] > number[common as usize] {
                        other = after[other as usize];
                    }
                }
            }
            if after[b] != common {
                after[b] = common;
                changed = true;
            }
        }
    }
    Some(after)
}

/// Whether `32 u + lane`, not negative, combined with a constant is the same for all lanes.
fn ignores_lanes(i: &Instruction, by: u64) -> bool {
    let by = by as u32;
    match i.opcode {
        Opcode::Shr => (5..32).contains(&by),
        Opcode::And => by & 31 == 0,
        _ if i.has(Modifier::Lt) || i.has(Modifier::Ge) => by & 31 == 0,
        _ if i.has(Modifier::Gt) || i.has(Modifier::Le) => by & 31 == 31,
        _ => false,
    }
}

/// Whether every way from a block to another one, or to the end, passes a block that is marked.
fn surely(blocks: &[graph::Block], from: u32, to: u32, marked: &[bool]) -> bool {
    let mut seen = FxHashSet::default();
    let mut open = vec![from];
    while let Some(b) = open.pop() {
        if b == to {
            return false;
        }
        if marked[b as usize] || !seen.insert(b) {
            continue;
        }
        let targets = &blocks[b as usize].targets;
        if targets.is_empty() {
            return false;
        }
        open.extend(targets);
    }
    true
}

/// Whether an instruction computes with integers of 32 and 64 bits, and gives the low bits of its result or all of them.
fn is_whole(i: &Instruction) -> bool {
    let integers = i
        .types()
        .all(|t| matches!(t.size(), Some(4 | 8)) && !t.is_float());
    integers && !i.has(Modifier::Hi) && !i.has(Modifier::Sat)
}

/// The blocks on the ways from a branch to the block where they come together.
fn between(ways: &[Vec<u32>], branch: usize, end: u32) -> Vec<u32> {
    let mut seen = vec![false; ways.len()];
    let mut open: Vec<u32> = ways[branch].clone();
    let mut found = Vec::new();
    while let Some(b) = open.pop() {
        if b == end || std::mem::replace(&mut seen[b as usize], true) {
            continue;
        }
        found.push(b);
        open.extend(&ways[b as usize]);
    }
    found
}

impl Analysis<'_> {
    fn register(&self, r: Register) -> Known {
        let local = self.local.get(&r).copied();
        local.unwrap_or(self.registers[r as usize])
    }

    fn write(&mut self, register: Register, value: Known, always: bool) {
        self.raise(register, value);
        let value = if always {
            value
        } else {
            join(self.register(register), value)
        };
        self.local.insert(register, value);
    }

    fn raise(&mut self, register: Register, to: Known) {
        let r = &mut self.registers[register as usize];
        let new = join(*r, to);
        if *r != new {
            *r = new;
            self.changed = true;
        }
    }

    /// Whether a block has an operation for which all lanes of the warp have to come.
    fn gathers(&self, b: usize) -> bool {
        use Opcode::*;
        self.graph.instructions(b).any(|((frame, _), i)| {
            let operation = match i.opcode {
                Shfl | Vote | Match | Redux | Elect => i.has(Modifier::Sync),
                Bar | Barrier => i.has(Modifier::Warp),
                _ => false,
            };
            let mask = i.operands.last().and_then(|o| self.integer(frame, o));
            operation && i.predicate.is_none() && mask.map(|m| m as u32) == Some(u32::MAX)
        })
    }

    fn block(&mut self, b: usize) {
        let graph = self.graph;
        let here = self.blocks[b];
        self.local.clear();
        for step in &graph.blocks[b].steps {
            match *step {
                Step::Copy { to, from } => {
                    let v = self.register(from);
                    let v = if here == Level::Block {
                        v
                    } else {
                        known(v.level().max(here))
                    };
                    self.write(to, v, true);
                }
                Step::Constant { to, .. } => self.write(to, known(here), true),
                Step::Instruction {
                    frame,
                    statement,
                    unpredicated,
                } => {
                    let i = graph.instruction(frame, statement);
                    let mut run = here;
                    if let (Some(p), false) = (i.predicate, unpredicated) {
                        let p = self.register(graph.register(frame, p.register));
                        run = run.max(p.level());
                    }
                    let always = unpredicated || i.predicate.is_none();
                    self.instruction(frame, statement, run, always);
                }
            }
        }
        self.conditions[b] = match graph.blocks[b].condition {
            None => Level::Block,
            Some(condition) => self.register(condition.register()).level(),
        };
    }

    fn operand(&self, frame: u32, o: &Operand) -> Known {
        use SpecialRegister::*;
        match o {
            Operand::Special(s) => match s {
                TidX => Known::LaneAbove,
                NtidX => Known::Rows,
                TidY | TidZ | Warpid => Known::At(Level::Warp),
                Laneid | LanemaskEq | LanemaskLe | LanemaskLt | LanemaskGe | LanemaskGt | Clock
                | ClockHi | Clock64 | Globaltimer | GlobaltimerLo | GlobaltimerHi | Smid => {
                    Known::Lane
                }
                _ => Known::At(Level::Block),
            },
            Operand::Register(r) => self.register(self.graph.register(frame, *r)),
            _ => {
                let mut level = Level::Block;
                graph::operand_registers(o, &mut |r| {
                    let r = self.register(self.graph.register(frame, r));
                    level = level.max(r.level());
                });
                known(level)
            }
        }
    }

    fn integer(&self, frame: u32, o: &Operand) -> Option<u64> {
        match o {
            Operand::Integer(v) => Some(*v),
            Operand::Register(r) => self.constants[self.graph.register(frame, *r) as usize],
            _ => None,
        }
    }

    /// The registers that hold the words of a parameter variable of a frame.
    fn words(&self, frame: u32, o: &Operand) -> Option<std::ops::Range<Register>> {
        let symbol = match o {
            Operand::Symbol { symbol, .. } => *symbol,
            Operand::Address {
                base: AddressBase::Symbol(symbol),
                ..
            } => *symbol,
            _ => return None,
        };
        match self.graph.place(self.module, self.layout, frame, symbol)? {
            Place::Words { first, size } => Some(first..first + size.div_ceil(4).max(1)),
            Place::Register(r) => Some(r..r + 1),
            _ => None,
        }
    }

    fn instruction(&mut self, frame: u32, statement: u32, run: Level, always: bool) {
        let graph = self.graph;
        let i = graph.instruction(frame, statement);
        let n = graph::destinations(i);
        let sources = |analysis: &Self| {
            let used = i.operands.iter().skip(n);
            let level = used.map(|o| analysis.operand(frame, o).level());
            level.max().unwrap_or(Level::Block)
        };
        let parameter = i.modifiers.iter().any(|m| {
            matches!(
                m,
                Modifier::Param | Modifier::ParamEntry | Modifier::ParamFunc
            )
        });
        let value = match i.opcode {
            Opcode::St if parameter => {
                let v = known(sources(self).max(run));
                if let Some(words) = i.operands.first().and_then(|o| self.words(frame, o)) {
                    words.for_each(|r| self.write(r, v, false));
                }
                return;
            }
            Opcode::Call => {
                // What the host's side of the runtime gives back.
                for o in i.operands.iter().take(1) {
                    if let Operand::List(parts) = o {
                        for part in parts {
                            if let Some(words) = self.words(frame, part) {
                                words.for_each(|r| self.write(r, Known::Lane, false));
                            }
                        }
                    }
                    graph::operand_registers(o, &mut |r| {
                        self.write(graph.register(frame, r), Known::Lane, false);
                    });
                }
                return;
            }
            Opcode::Ld if parameter => match i.operands.get(1).and_then(|o| self.words(frame, o)) {
                Some(words) => {
                    let levels = words.map(|r| self.register(r).level());
                    known(levels.max().unwrap_or(Level::Block))
                }
                None => known(sources(self)),
            },
            Opcode::Ld | Opcode::Ldu => {
                let ordered = i.modifiers.iter().any(|m| {
                    matches!(
                        m,
                        Modifier::Volatile
                            | Modifier::Relaxed
                            | Modifier::Acquire
                            | Modifier::Mmio
                            | Modifier::Local
                    )
                });
                // A weak load of what another thread writes meanwhile is a race, and has no meaning.
                known(if graph.same_for_warp.contains(&(frame, statement)) {
                    Level::Warp
                } else if ordered {
                    Level::Lane
                } else {
                    sources(self)
                })
            }
            Opcode::Mov if i.operands.len() == 2 => self.operand(frame, &i.operands[1]),
            Opcode::Cvt if i.operands.len() == 2 => {
                let v = self.operand(frame, &i.operands[1]);
                let widens = i
                    .types()
                    .all(|t| matches!(t.size(), Some(4 | 8)) && !t.is_float());
                if widens {
                    v
                } else {
                    known(v.level())
                }
            }
            Opcode::Shr | Opcode::And | Opcode::Setp
                if i.operands.len() == 3
                    && self.operand(frame, &i.operands[1]).level() == Level::Lane =>
            {
                let without = self.operand(frame, &i.operands[1]).without_lanes();
                let by = self.integer(frame, &i.operands[2]);
                let ignores = by.is_some_and(|by| ignores_lanes(i, by));
                known(without.filter(|_| ignores).unwrap_or(Level::Lane))
            }
            Opcode::Add if i.operands.len() == 3 && is_whole(i) => {
                let [a, b] = [1, 2].map(|n| self.operand(frame, &i.operands[n]));
                a.plus(b)
            }
            Opcode::Mul if i.operands.len() == 3 && is_whole(i) => {
                let [a, b] = [1, 2].map(|n| self.operand(frame, &i.operands[n]));
                a.times(b)
            }
            Opcode::Mad if i.operands.len() == 4 && is_whole(i) => {
                let [a, b, c] = [1, 2, 3].map(|n| self.operand(frame, &i.operands[n]));
                a.times(b).plus(c)
            }
            Opcode::Shfl => {
                // From one lane, the same for all.
                let one = i.has(Modifier::Idx)
                    && i.operands.get(3).and_then(|c| self.integer(frame, c)) == Some(0x1f)
                    && self.operand(frame, &i.operands[2]).level() <= Level::Warp;
                known(if one { Level::Warp } else { Level::Lane })
            }
            Opcode::Vote | Opcode::Redux => Known::At(Level::Warp),
            Opcode::Bar | Opcode::Barrier => Known::At(Level::Block),
            Opcode::Atom
            | Opcode::Suld
            | Opcode::Activemask
            | Opcode::Match
            | Opcode::Elect
            | Opcode::Mma
            | Opcode::Wmma
            | Opcode::Ldmatrix
            | Opcode::Movmatrix
            | Opcode::Mbarrier => Known::Lane,
            _ => known(sources(self)),
        };
        let value = if run == Level::Block {
            value
        } else {
            known(value.level().max(run))
        };
        for o in i.operands.iter().take(n) {
            graph::operand_registers(o, &mut |r| {
                self.write(graph.register(frame, r), value, always);
            });
        }
    }
}
