//! A kernel's body as a control-flow graph over virtual registers, with every call to a function of the module inlined,
//! in large kernels each function once (`sharing`).
//!
//! Each inlined body is a [`Frame`]: its registers start at an offset of their own, and its names resolve to places of
//! their own. What a call passes by `.param` variables lives in virtual registers of 32 bits, one for each word, so that a
//! `st.param` and the matching `ld.param` become plain moves.
//!
//! A predicated instruction without side effects stays where it is (the emitter selects between old and new value); one
//! with side effects gets a block of its own behind a branch.

mod addressed;
mod build;
mod cycles;
mod kept;
mod provided;
mod queries;
mod recursion;
mod sharing;

use crate::layout::static_name;
pub use build::{build, build_inlining};

use crate::TranslateError;
use ptx::{
    AddressBase, Body, Instruction, LabelId, Modifier, Module, Opcode, Operand, RegisterId,
    ScalarType, Span, StateSpace, Statement, SymbolId, SymbolKind,
};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::rc::Rc;

/// A virtual register of the whole kernel.
pub type Register = u32;

/// Where a named thing lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the kernel's parameter block, at this byte offset.
    KernelParameter(u32),
    /// In virtual registers, one for each 32-bit word, starting here.
    Words {
        /// The first register.
        first: Register,
        /// Size in bytes.
        size: u32,
    },
    /// A parameter or result of a function that is a register.
    Register(Register),
    /// In shared memory at this byte offset.
    Shared(u32),
    /// The dynamic shared array, after all static shared memory.
    DynamicShared,
    /// In local memory at this byte offset.
    Local(u32),
    /// In the module buffer at this byte offset.
    Module(u64),
    /// A function's address.
    Function(u64),
    /// A constant passed for a parameter that is a register: its bits.
    Constant(u64),
    /// A texture, sampler or surface reference, whose handle is in the kernel's parameter block, at this byte offset.
    Reference(u32),
}

impl Place {
    /// Whether an operand of a call can be copied to variables of a function: words, or what stands for a register.
    fn can_be_copied(&self) -> bool {
        matches!(self, Place::Words { .. } | Place::Constant(_))
    }
}

/// What a call gives a function and takes from it.
#[derive(Default)]
struct Passed {
    /// By parameter; of those that are registers what is of no use.
    parameters: Vec<Place>,
    /// By result, likewise.
    results: Vec<Place>,
    /// What is copied into the parameters that are registers, component by component.
    into_registers: Vec<Place>,
    /// The caller's registers that are the module's.
    module_registers: std::ops::Range<Register>,
    /// Where the results that are registers go; none for `_`.
    from_registers: Vec<Option<Register>>,
}

/// One inlined body.
pub struct Frame<'m> {
    /// The body.
    pub body: Rc<Body>,
    /// Its head.
    pub function: &'m ptx::Function,
    /// Virtual register of the body's register 0.
    pub register_base: Register,
    /// Places of the body's variables.
    variables: Vec<Place>,
    parameters: Vec<Place>,
    results: Vec<Place>,
}

/// One step of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An instruction of a frame's body: index into its statements.
    Instruction {
        /// Index into [`Graph::frames`].
        frame: u32,
        /// Index into the body's statements.
        statement: u32,
        /// Whether its predicate has become a branch and is to be ignored.
        unpredicated: bool,
    },
    /// A register copied to another (arguments passed in registers).
    Copy {
        /// Written.
        to: Register,
        /// Read.
        from: Register,
    },
    /// A register given a constant (arguments passed in registers).
    Constant {
        /// Written.
        to: Register,
        /// Its bits.
        bits: u64,
    },
}

/// What decides a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A predicate register.
    Predicate {
        /// The register.
        register: Register,
        /// Whether the branch is taken when it is false.
        negated: bool,
    },
    /// A 32-bit register equal to a constant (`brx.idx`).
    Equal {
        /// The register.
        register: Register,
        /// The constant.
        value: u32,
    },
    /// A predicate register that is true in some lane of those that are here together ([`crate::turns`]).
    Any {
        /// The register.
        register: Register,
    },
}

impl Condition {
    /// The register that is read.
    pub fn register(&self) -> Register {
        match *self {
            Self::Predicate { register, .. }
            | Self::Equal { register, .. }
            | Self::Any { register } => register,
        }
    }
}

/// A basic block.
#[derive(Debug, Default)]
pub struct Block {
    /// What it does.
    pub steps: Vec<Step>,
    /// The condition of its branch, if it ends in one.
    pub condition: Option<Condition>,
    /// Where it goes: none (exit), one, or two (condition true, condition false).
    pub targets: SmallVec<[u32; 2]>,
    /// Whether it holds a barrier or warp operation.
    pub convergent: bool,
    /// Whether it asks memory in a loop that waits for another thread: in the end it lets others run ([`crate::polling`]).
    pub polls: bool,
    /// Where the warp meets beside what the instructions say ([`crate::in_step`]), in order.
    pub meetings: SmallVec<[Meeting; 1]>,
}

/// A meeting of the warp that no instruction asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Before which step; behind them all if there is no such step.
    pub at: u32,
    /// Who comes there together: the warp does where what is alike for those of this level is so for whole warps.
    pub level: crate::uniform::Level,
}

/// A kernel as a graph.
pub struct Graph<'m> {
    /// The inlined bodies; 0 is the kernel's own.
    pub frames: Vec<Frame<'m>>,
    /// The blocks; 0 is the entry.
    pub blocks: Vec<Block>,
    /// The type of each virtual register.
    pub registers: Vec<ScalarType>,
    /// The frame of the accesses that keep registers in memory across calls (`kept.rs`).
    pub kept: Option<u32>,
    /// Static shared memory, bytes.
    pub static_shared: u32,
    /// Alignment of the dynamic shared array; 0 where there is none.
    pub dynamic_align: u32,
    /// Local memory of a thread, bytes.
    pub local_bytes: u32,
    /// Whether local memory ends with a stack for alloca.
    pub stack: bool,
    /// Which lanes are where `activemask` asks.
    pub active: crate::active::ActiveLanes,
    /// Volatile loads that give all lanes of a warp the same, by frame and statement (`in_step.rs`).
    pub same_for_warp: FxHashSet<(u32, u32)>,
    /// Names of the module's texture, sampler and surface references that the kernel uses.
    pub references: Vec<String>,
    /// Where their handles are in the kernel's parameter block, eight bytes each.
    pub references_offset: u32,
    /// Offsets of the module's shared variables.
    shared: FxHashMap<String, u32>,
    /// Offsets of its local ones.
    local: FxHashMap<String, u32>,
}

impl Graph<'_> {
    /// The instruction of a step and the frame it belongs to.
    pub fn instruction(&self, frame: u32, statement: u32) -> &Instruction {
        match &self.frames[frame as usize].body.statements[statement as usize] {
            Statement::Instruction(i) => i,
            Statement::Label(_) => unreachable!("a step is an instruction"),
        }
    }

    /// The virtual register of a frame's register.
    pub fn register(&self, frame: u32, register: RegisterId) -> Register {
        self.frames[frame as usize].register_base + register.0
    }

    /// Whether an instruction passes the test.
    pub(crate) fn any(&self, mut test: impl FnMut(&Instruction) -> bool) -> bool {
        (0..self.blocks.len()).any(|b| self.any_in(b, &mut test))
    }

    /// Whether an instruction of a block passes the test.
    pub(crate) fn any_in(&self, block: usize, mut test: impl FnMut(&Instruction) -> bool) -> bool {
        self.instructions(block).any(|(_, i)| test(i))
    }

    /// The instructions of a block, each with its frame and statement.
    pub(crate) fn instructions(
        &self,
        block: usize,
    ) -> impl Iterator<Item = ((u32, u32), &Instruction)> + '_ {
        self.blocks[block].steps.iter().filter_map(|s| match *s {
            Step::Instruction {
                frame, statement, ..
            } => Some(((frame, statement), self.instruction(frame, statement))),
            Step::Copy { .. } | Step::Constant { .. } => None,
        })
    }

    /// The structuriser's view.
    pub fn shape(&self) -> structurizer::Graph {
        use structurizer::{Block, BlockId, Terminator};
        structurizer::Graph {
            entry: BlockId(0),
            blocks: self
                .blocks
                .iter()
                .map(|b| Block {
                    terminator: match b.targets.as_slice() {
                        [] => Terminator::Exit,
                        [to] => Terminator::Jump(BlockId(*to)),
                        [then, otherwise, ..] => Terminator::Branch {
                            then: BlockId(*then),
                            otherwise: BlockId(*otherwise),
                        },
                    },
                    convergent: b.convergent,
                })
                .collect(),
        }
    }
}

/// Whether the instruction needs the threads of its warp or block together.
pub fn is_convergent(i: &Instruction) -> bool {
    use Opcode::*;
    matches!(
        i.opcode,
        Bar | Barrier
            | Shfl
            | Vote
            | Match
            | Redux
            | Activemask
            | Elect
            | Mma
            | Wmma
            | Ldmatrix
            | Stmatrix
            | Movmatrix
            | Mbarrier
            | Tensormap
    )
}

/// How many leading operands the instruction writes.
pub fn destinations(i: &Instruction) -> usize {
    use Opcode::*;
    match i.opcode {
        St | Red | Bra | Brx | Call | Membar | Fence | Cp | Prefetch | Prefetchu | Trap | Ret
        | Exit | Brkpt | Pmevent | Nanosleep | Griddepcontrol | Stmatrix | Discard
        | Applypriority | Setmaxnreg | Sust | Sured | Stackrestore | Tensormap => 0,
        Bar | Barrier => usize::from(i.has(Modifier::RedMod)),
        Wmma => usize::from(!i.has(Modifier::Store)),
        Mbarrier => usize::from(
            [
                Modifier::Arrive,
                Modifier::ArriveDrop,
                Modifier::TestWait,
                Modifier::Trywait,
                Modifier::PendingCount,
            ]
            .into_iter()
            .any(|m| i.has(m)),
        ),
        _ => 1,
    }
}

/// Whether a predicate on the instruction can become a select of its results.
fn is_pure(i: &Instruction) -> bool {
    use Opcode::*;
    match i.opcode {
        Ld => i.modifiers.iter().any(|m| {
            matches!(
                m,
                Modifier::Param | Modifier::ParamEntry | Modifier::ParamFunc
            )
        }),
        Ldu | Atom | Tex | Tld4 | Txq | Suld | Suq | Alloca | Stacksave => false,
        _ => destinations(i) > 0 && !is_convergent(i),
    }
}

/// Whether an instruction has no effect but its result, so that it can be done before those in front of it.
pub(crate) fn can_be_moved(i: &Instruction) -> bool {
    use Opcode::*;
    let plain = match i.opcode {
        Ld => !i.has(Modifier::Volatile),
        Mov | Cvt | Cvta | Neg | Abs | Setp | Selp | And | Or | Xor | Not | Shl | Shr => true,
        Add | Sub | Mul | Mad => !i.has(Modifier::Cc),
        _ => false,
    };
    plain && i.predicate.is_none()
}

/// Calls `f` with each register of the operand.
pub fn operand_registers(operand: &Operand, f: &mut dyn FnMut(RegisterId)) {
    match operand {
        Operand::Register(r) | Operand::NotRegister(r) => f(*r),
        Operand::Address {
            base: AddressBase::Register(r),
            ..
        } => f(*r),
        Operand::Vector(parts) | Operand::List(parts) | Operand::TextureAddress(parts) => {
            parts.iter().for_each(|p| operand_registers(p, f));
        }
        Operand::Pair(pair) => {
            operand_registers(&pair.0, f);
            operand_registers(&pair.1, f);
        }
        _ => {}
    }
}

/// The components of an operand for a parameter or result that is a register, maybe a vector; none if they are not as many.
fn components<'o>(operand: &'o Operand, formal: &ptx::Variable) -> Option<&'o [Operand]> {
    let operands = match operand {
        Operand::Vector(parts) => parts,
        one => std::slice::from_ref(one),
    };
    (operands.len() as u32 == formal.components()).then_some(operands)
}

/// Most functions that one indirect call may lead to.
const MOST_CANDIDATES: usize = 128;

/// The names of functions that the host side of the runtime provides to kernels.
pub const SYSTEM_CALLS: &[&str] = &[
    "vprintf",
    "__assertfail",
    // graph/provided.rs
    "malloc",
    "free",
    "cudaCGGetIntrinsicHandle",
    "cudaCGSynchronize",
    "cudaGraphSetConditional",
];

/// Beginnings of the names of functions that NVIDIA's linker provides to the device runtime (`libcudadevrt.a`), by which
/// kernels launch kernels. A module links with them, and a kernel that calls one is refused.
const DEVICE_RUNTIME: &[&str] = &["cnp", "__cuda_syscall_"];

/// Whether a linked module may leave a function of this name without a definition.
pub fn is_system_call(name: &str) -> bool {
    SYSTEM_CALLS.contains(&name) || DEVICE_RUNTIME.iter().any(|p| name.starts_with(p))
}

impl Graph<'_> {
    /// Where the thing that a frame's symbol names lives.
    pub fn place(
        &self,
        module: &Module,
        layout: &crate::ModuleLayout,
        frame: u32,
        symbol: SymbolId,
    ) -> Option<Place> {
        let f = &self.frames[frame as usize];
        let s = &f.body.symbols[symbol.0 as usize];
        Some(match s.kind {
            SymbolKind::Parameter(i) => *f.parameters.get(i as usize)?,
            SymbolKind::Result(i) => *f.results.get(i as usize)?,
            SymbolKind::Local(i) => *f.variables.get(i as usize)?,
            SymbolKind::Module => {
                if let Some(n) = self.references.iter().position(|r| **r == *s.name) {
                    Place::Reference(self.references_offset + 8 * n as u32)
                } else if let Some(v) = layout.variables.get(&*s.name) {
                    Place::Module(v.offset)
                } else if let Some(&offset) = self.local.get(&*s.name) {
                    Place::Local(offset)
                } else if let Some(v) = module
                    .variable(&s.name)
                    .filter(|v| v.space == StateSpace::Shared)
                {
                    match self.shared.get(&*s.name).copied() {
                        Some(offset) => Place::Shared(offset),
                        None if v.size == 0 || v.linkage == ptx::Linkage::Extern => {
                            Place::DynamicShared
                        }
                        None => return None,
                    }
                } else {
                    let index = layout.functions.iter().position(|n| **n == *s.name)?;
                    Place::Function(index as u64 + 1)
                }
            }
        })
    }
}
