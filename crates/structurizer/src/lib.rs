//! Control-flow graphs to structured control flow: nested ifs and loops, for every graph, reducible or not, with no
//! block duplicated.
//!
//! Input: blocks that end in a jump, a two-way branch or an exit. Output: a tree of [`Node`]s, each region a list.
//! Where the graph does not nest, boolean flags remember which way was taken.
//!
//! ```
//! use structurizer::{structurize, Block, BlockId, Graph, Terminator};
//!
//! // while (0) { 1 } 2
//! let block = |terminator| Block { terminator, convergent: false };
//! let graph = Graph {
//!     entry: BlockId(0),
//!     blocks: vec![
//!         block(Terminator::Branch { then: BlockId(1), otherwise: BlockId(2) }),
//!         block(Terminator::Jump(BlockId(0))),
//!         block(Terminator::Exit),
//!     ],
//! };
//! let tree = structurize(&graph);
//! assert_eq!(tree.to_string(), "\
//! loop {
//!   block 0
//!   if b0 {
//!   } else {
//!     break
//!   }
//!   block 1
//! }
//! block 2
//! ");
//! ```
//!
//! # How
//!
//! 1. `loops`: the loop forest. Every loop's body, and the program around them, is a *region*.
//! 2. `tails`: short ways out of loops (`if (c) { A; break; }`) move into them where that saves a flag.
//! 3. `regions`: each region as an acyclic graph, in which an inner loop is one node. Edges back to a loop's start are
//!    `Continue`, edges out of it `Break`. Several entries hang on one dispatch node at the loop's start.
//! 4. `place`: each node goes where all threads that run it meet, and is guarded by a flag where some do not want it.
//! 5. `emit`: the tree.
//!
//! # Where threads meet
//!
//! With maximal reconvergence (`SPV_KHR_maximal_reconvergence`), threads that part at an `If` are together again behind
//! it, those that left a loop behind that, and those that continue it at its next iteration. So, for each block:
//!
//! - it lies outside of every `If` whose both ways lead to it, within the same iteration of the innermost loop;
//! - it lies outside of every loop that it is not part of, unless it is one of a few blocks on the way out of one, none
//!   of them [convergent](Block::convergent);
//! - no flag guards it unless there is a path around it, in the same region, from where the guard's ways part to the
//!   region's end.
//!
//! A barrier that all threads reach, except those that went to an exit block of their own (or to several blocks that
//! nothing else leads to), is therefore in no `If` at all, and in no loop but its own: the exit is a [`Node::Return`]
//! within an `If` before it. An edge to an exit block that others reach too is a path around all that lies between.
//!
//! Two rules give way where a program nests deeper than some drivers bear (Mesa's llvmpipe: 80): beyond 40 ifs, what is
//! inside moves outward, guarded by flags that say the same; and beyond 12 loops, the rest becomes one loop that
//! dispatches by flags. [`Structured::depth`] is at most 70.

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
/// Time grows as E log V; the stack does not grow with the graph.
///
/// # Panics
/// When a block id is out of range.
#[must_use]
pub fn structurize(graph: &Graph) -> Structured {
    let cfg = cfg::Cfg::new(graph);
    let mut forest = loops::Forest::new(&cfg);
    tails::absorb(&cfg, &mut forest);
    let regions = regions::Regions::new(&cfg, &forest);
    let placement = place::Placement::new(&cfg, &forest, &regions);
    emit::emit(&cfg, &forest, &regions, &placement)
}
