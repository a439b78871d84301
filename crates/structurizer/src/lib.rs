//! Control-flow graphs to structured control flow: nested ifs and loops, for every graph, reducible or not, with no
//! block duplicated.
//!
//! Input: blocks that end in a jump, a two-way branch or an exit. Output: a tree of [`Node`]s, each region a list.
//! Where the graph does not nest, boolean flags remember which way was taken.

mod cfg;
mod emit;
mod loops;
mod place;
mod regions;
mod tails;
mod text;
mod verify;

pub use verify::verify;

/// A block: index into [`Graph::blocks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

/// A boolean variable that the structured program sets and tests: `0..Structured::flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlagId(pub u32);

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Terminator {
    /// Always to one block.
    Jump(BlockId),
    /// By the block's own condition.
    Branch {
        /// Where to go when the condition is true.
        then: BlockId,
        /// Where to go when it is false.
        otherwise: BlockId,
    },
    /// The thread ends (`ret`, `exit`).
    Exit,
}

/// A basic block, as far as control flow is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// How it ends.
    pub terminator: Terminator,
    /// Whether it holds a barrier or warp operation, so that the threads that reach it have to be together again.
    pub convergent: bool,
}

/// A control-flow graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// By [`BlockId`]. Unreachable blocks are allowed and do not appear in the result.
    pub blocks: Vec<Block>,
    /// Where threads start.
    pub entry: BlockId,
}

/// What an `If` tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The branch condition of a block that precedes this node in the same region list or an enclosing one, with
    /// nothing in between that could run the block again. The value at the end of that block.
    Block(BlockId),
    /// The current value of a flag.
    Flag(FlagId),
}

/// A flag's new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlagValue {
    /// A constant.
    Constant(bool),
    /// The condition of a block, under the same rule as [`Condition::Block`].
    Block(BlockId),
    /// The negation of the above.
    NotBlock(BlockId),
}

/// A step of the structured program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Run the instructions of a block (each reachable block appears exactly once in the tree).
    Block(BlockId),
    /// Assign a flag.
    Set(FlagId, FlagValue),
    /// Run one of two regions.
    If {
        /// What to test.
        condition: Condition,
        /// Run when true.
        then: Vec<Node>,
        /// Run when false.
        otherwise: Vec<Node>,
    },
    /// Run the body again and again until a `Break` (or `Return`) leaves it. The end of the body continues the loop.
    Loop(Vec<Node>),
    /// Leave the innermost loop. Last in its region.
    Break,
    /// Start the innermost loop's next iteration. Last in its region.
    Continue,
    /// The thread ends. Last in its region.
    Return,
}

/// The structured program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structured {
    /// Run from first to last; a thread that reaches the end has returned.
    pub body: Vec<Node>,
    /// How many flags there are. None has an initial value: each is set before it is tested on every path.
    pub flags: u32,
}

/// Makes a control-flow graph structured.
///
/// Total: every graph works, reducible or not, with unreachable blocks (dropped) and loops without exit. Deterministic.
/// Time grows as E log V.
///
/// # Panics
/// When a block id is out of range.
pub fn structurize(graph: &Graph) -> Structured {
    let cfg = cfg::Cfg::new(graph);
    let mut forest = loops::Forest::new(&cfg);
    tails::absorb(&cfg, &mut forest);
    let regions = regions::Regions::new(&cfg, &forest);
    let placement = place::Placement::new(&cfg, &forest, &regions);
    emit::emit(&cfg, &forest, &regions, &placement)
}
