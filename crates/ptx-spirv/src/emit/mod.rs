//! SPIR-V for a structured kernel: the emitter's state, registers and operands, and the walk over the structured tree.
//!
//! One file for each family of instructions; [`Emitter::instruction`] is the table that binds them. A family's functions
//! take the instruction, read operands as ids of the type they want ([`Emitter::value`]) and write results with
//! [`Emitter::set`]:
//!
//! ```ignore
//! let a = self.value(&i.operands[1], Type::U32)?;
//! let b = self.value(&i.operands[2], Type::U32)?;
//! let sum = self.asm.op(Op::IAdd, Type::U32, &[a, b]);
//! self.set(&i.operands[0], Type::U32, sum)
//! ```

mod absent;
mod async_copy;
mod atomic;
mod barrier;
mod call;
mod clock;
mod compare;
mod convert;
mod cooperative;
mod cooperative_memory;
mod double;
mod double_run;
mod entry;
mod exponential;
mod float;
mod half;
mod home;
mod integer;
mod lane_addresses;
mod ldmatrix;
mod local;
mod logic;
mod lookup;
mod matrix;
mod matrix_rows;
mod matrix_sums;
mod mbarrier;
mod memory;
mod moves;
mod permute;
mod product;
mod quad_pair;
mod registers;
mod rolled;
mod row_fragments;
mod sample;
mod shuffle;
mod soft_double;
mod sparse;
mod special;
mod split;
mod stack;
mod subnormal;
mod surface;
mod tensor;
mod texture;
mod video;
pub mod warp_state;
mod wide_atomic;
mod window;
mod wmma;

use crate::assembler::{Assembler, Id, Scalar, Type, Value};
use crate::graph::{self, Condition, Graph, Place, Register, Step};
use crate::known_bits::KnownBits;
use crate::local_offsets::LocalOffsets;
use crate::pressure;
use crate::provenance::Provenance;
use crate::target::{SharedMemory, Target, Warps};
use crate::{KernelInfo, ModuleLayout, TranslateError};
use ptx::{Instruction, Modifier, Module, Opcode, Operand, ScalarType, SymbolId};
use rspirv::spirv::Op;
use rustc_hash::{FxHashMap, FxHashSet};
use structurizer::{BlockId, Node};

/// Why an instruction was not emitted.
pub(crate) enum EmitError {
    /// Right PTX that the translator does not do; what is missing.
    Unsupported(String),
    /// PTX that breaks a rule.
    Invalid(String),
}

pub(crate) use barrier::{partial_barrier_bytes, COUNTER_BYTES as BARRIER_COUNTER_BYTES};
pub(crate) use cooperative_memory::slot_bytes as matrix_slot_bytes;
pub(crate) use matrix::SLOT_WORDS as MATRIX_SLOT_WORDS;
pub(crate) use registers::{memory_type, register_type};
pub(crate) use stack::STACK_BYTES;

use registers::{place_registers, Storage};
pub(crate) use rolled::rolls;
use std::rc::Rc;

pub(crate) type Result<T> = std::result::Result<T, EmitError>;

/// Whether the kernel has barriers of a part of the block that are words in shared memory on the device: where a warp is a
/// subgroup.
pub(crate) fn has_partial_barriers(target: &Target, graph: &Graph) -> bool {
    target.warps == Warps::Subgroup32 && graph.uses_partial_barriers()
}

/// Loop control: the CUDA compiler has unrolled what is worth it, and a driver that does so again makes loops larger than
/// instruction caches.
const DONT_UNROLL: u32 = rspirv::spirv::LoopControl::DONT_UNROLL.bits();

/// An unsupported instruction, named by its mnemonic.
pub(crate) fn unsupported<T>(i: &Instruction) -> Result<T> {
    Err(EmitError::Unsupported(i.mnemonic()))
}

/// Whether the modifiers are arithmetic of chips after compute capability 9.0, with the opcodes and types of older
/// instructions: two types (`fma.rn.f32.bf16`), and saturation of other integers than s32.
fn is_of_later_chips(i: &Instruction) -> bool {
    use Modifier::*;
    let saturates_s32 = i.types().next_back() == Some(S32);
    let saturated_integer = i.has(Sat) && !saturates_s32 && !i.types().any(Modifier::is_float);
    i.types().count() > 1 || saturated_integer
}

/// Translation of one kernel.
pub(crate) struct Emitter<'a> {
    pub(crate) asm: Assembler,
    pub(crate) target: &'a Target,
    pub(crate) module: &'a Module<'a>,
    pub(crate) layout: &'a ModuleLayout,
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) info: KernelInfo,
    /// The frame whose instruction is being emitted.
    frame: u32,
    /// The block that is being emitted, and its step.
    block: u32,
    step: usize,
    /// The array of the registers that are kept in memory.
    homes: home::Array,
    zeros: home::Zeros,
    /// Whether the kernel multiplies halves through workgroup memory, one product after the other.
    halves_in_memory: bool,
    /// The loops that were unrolled, their registers that are kept in memory, and whether one is being written.
    rolls: Vec<Rc<crate::rolls::Roll>>,
    rolled: FxHashSet<Register>,
    rolling: bool,
    /// What the constant offset of the load that is being emitted is in this round.
    varying_offset: Option<Id>,
    storage: Vec<Storage>,
    /// The registers that are constants.
    constants: Vec<Option<u64>>,
    /// Raised at every label: what is known within a block is forgotten after it.
    pub(crate) epoch: u32,
    casts: FxHashMap<(Id, Type), (u32, Id)>,
    /// The factors of products that may be one operation with a sum.
    products: FxHashMap<Id, (u32, Id, Id)>,
    /// The predicate of the instruction being emitted.
    predicate: Option<Id>,
    conditions: Vec<Option<Id>>,
    flags: Vec<Id>,
    /// Values computed at the kernel's start.
    pub(crate) entry: entry::Entry,
    /// Helper functions, written after the kernel.
    pub(crate) helpers: FxHashMap<Helper, Id>,
    pub(crate) helper_order: Vec<Helper>,
    pub(crate) state: Option<warp_state::State>,
    /// The variables with the lanes that leave a branch each way.
    active: FxHashMap<crate::active::Arm, Id>,
    pub(crate) matrix: matrix::Batch,
    definitions: lane_addresses::Definitions,
    /// What is known of other lanes.
    lanes: lane_addresses::Lanes,
    /// Halves, as bits, and the single-precision numbers that were rounded to them.
    halves_of: FxHashMap<Id, Id>,
    /// [`Graph::leaves_registers`], for targets that make use of it ([`Target::canonical_half_nan`]).
    leaves_registers: Vec<bool>,
    /// What is known of the bits of integers.
    known_bits: FxHashMap<Id, KnownBits>,
    /// Bits of words that are those of other words.
    copied_bits: FxHashMap<Id, logic::Copied>,
    /// Of words and halves, bits that are those of a larger word, with the epoch that knows it.
    parts: FxHashMap<Id, (u32, logic::Copied)>,
    /// Nibbles of words as bytes, and what is made of them, with the epoch that has it.
    nibbles: FxHashMap<(Id, lookup::Of), (u32, Id)>,
    /// Words whose bytes are looked up by nibbles.
    lookups: FxHashMap<Id, lookup::Lookup>,
    /// Sums of a value and a constant, of 32 bits.
    sums: FxHashMap<Id, (Id, i32)>,
    /// Where generic addresses can point to, in kernels with windows.
    provenance: Option<Provenance>,
    /// And at which byte of local memory, in kernels that have some.
    local_offsets: Option<LocalOffsets>,
    /// Generic addresses that are this byte of local memory or none of it.
    in_local: FxHashMap<Id, u32>,
    pub(crate) subnormals: subnormal::Subnormals,
    /// Whether subnormal numbers that are not flushed have to be kept.
    preserve_subnormals: bool,
    /// How often steps read each register, once that was asked for.
    register_reads: Vec<u32>,
    /// Whether runs of operations on doubles become loops though the device has doubles (`double_run.rs`), once somebody has asked.
    many_fused: std::cell::OnceCell<bool>,
    /// Single-precision numbers that are known not to be subnormal.
    flushed: FxHashSet<Id>,
    /// What flushing a number gave, with the epoch that knows it.
    flushed_as: FxHashMap<Id, (u32, Id)>,
}

/// What a read of a texture takes behind its other parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct More {
    /// A sampler's handle.
    pub(crate) sampler: bool,
    /// x, y and z in texels, to be added.
    pub(crate) offset: bool,
}

/// Functions of the shader that kernels call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Helper {
    /// One rounding a*b+c in single precision.
    Fma32,
    /// Wait for the whole warp.
    WarpSync,
    /// Wait for the lanes of a mask.
    WarpSyncMask,
    /// A value of another lane, all lanes taking part.
    ShuffleFull,
    /// A value of another lane, the lanes of a mask taking part.
    ShuffleMask,
    /// A predicate of all lanes as bits.
    BallotFull,
    /// A predicate of a mask's lanes as bits.
    BallotMask,
    /// bar.sync with a barrier's number and thread count (0: all).
    Barrier,
    /// bar.arrive.
    BarrierArrive,
    /// bar.red: number, count, predicate; gives popc in bits 0-15 (and all/any follow from it).
    BarrierCount,
    /// A lane leaves the kernel.
    LaneExit,
    /// Wait at the end until all threads of the block are done.
    Epilogue,
    /// The index of the texel that a signed index means: index, size, address mode; all ones for the border.
    TextureIndex,
    /// A texel's four words: handle, level, x, y, slice.
    Texel,
    /// The texel at integer coordinates: handle, x, y, z, layer, level.
    Fetch {
        /// Coordinates that are used.
        axes: u8,
        /// With a level.
        explicit: bool,
        /// What else it takes.
        more: More,
    },
    /// A sample: handle, x, y, z, layer, level of detail.
    Sample {
        /// Coordinates that are used.
        axes: u8,
        /// What else it takes.
        more: More,
    },
    /// A channel of four texels: handle, x, y, layer, channel.
    Gather {
        /// What else it takes.
        more: More,
    },
    /// The texel that four numbers are in a surface's format, from its first byte on: handle, numbers.
    PackTexel,
    /// Place on the face and face of a direction in a cube.
    CubeFace,
    /// The change of the place on the face, of a direction and its change.
    CubeSlope,
}

/// Writes the kernel and returns the module's words and what the runtime must know.
pub(crate) fn emit(
    module: &Module,
    layout: &ModuleLayout,
    graph: &Graph,
    structured: &structurizer::Structured,
    (info, rolls): (KernelInfo, Vec<Rc<crate::rolls::Roll>>),
    target: &Target,
) -> std::result::Result<(Vec<u32>, KernelInfo), TranslateError> {
    let halves_in_memory = cooperative_memory::multiplies_halves(graph, &info);
    // What is rolled up is like other kernels.
    let halves_in_memory = halves_in_memory && rolls.is_empty();
    let target = &home::target(target, halves_in_memory);
    let mut storage = place_registers(graph, structured);
    let homes = home::place(graph, target, (&info, &rolls), &mut storage);
    let provenance =
        (memory::windows(&info) != (false, false)).then(|| Provenance::of(graph, module, layout));
    let local_offsets = match &provenance {
        Some(p) if memory::windows(&info).1 => Some(LocalOffsets::of(graph, module, layout, p)),
        _ => None,
    };
    let (subnormals, preserve_subnormals) = subnormal::Subnormals::of(graph, target);
    let rows = !matches!(target.warps, Warps::Yield { .. }) && graph.uses_matrices();
    let mut asm = Assembler::new();
    if !target.float64 {
        asm.make_doubles_integers();
    }
    let mut emitter = Emitter {
        asm,
        target,
        module,
        layout,
        graph,
        info,
        frame: 0,
        block: 0,
        step: 0,
        homes,
        zeros: home::Zeros::default(),
        halves_in_memory,
        rolled: rolls
            .iter()
            .flat_map(|roll| roll.varying.iter().flat_map(|v| v.1.iter().copied()))
            .collect(),
        rolls,
        rolling: false,
        varying_offset: None,
        storage,
        constants: graph.constants(),
        epoch: 0,
        casts: FxHashMap::default(),
        products: FxHashMap::default(),
        predicate: None,
        conditions: vec![None; graph.blocks.len()],
        flags: Vec::new(),
        entry: entry::Entry::default(),
        helpers: FxHashMap::default(),
        helper_order: Vec::new(),
        state: None,
        active: FxHashMap::default(),
        matrix: matrix::Batch::default(),
        definitions: if rows {
            lane_addresses::Definitions::of(graph)
        } else {
            lane_addresses::Definitions::default()
        },
        lanes: lane_addresses::Lanes::default(),
        halves_of: FxHashMap::default(),
        leaves_registers: if target.canonical_half_nan {
            graph.leaves_registers()
        } else {
            Vec::new()
        },
        known_bits: FxHashMap::default(),
        copied_bits: FxHashMap::default(),
        parts: FxHashMap::default(),
        nibbles: FxHashMap::default(),
        lookups: FxHashMap::default(),
        sums: FxHashMap::default(),
        provenance,
        local_offsets,
        in_local: FxHashMap::default(),
        subnormals,
        preserve_subnormals,
        register_reads: Vec::new(),
        many_fused: std::cell::OnceCell::new(),
        flushed: FxHashSet::default(),
        flushed_as: FxHashMap::default(),
    };
    let entry = emitter.begin(structured);
    emitter.flags = (0..structured.flags)
        .map(|_| emitter.asm.variable(Type::Bool))
        .collect();
    let open = emitter.region(&structured.body, None)?;
    if open {
        emitter.thread_exit();
    }
    emitter.finish(entry)
}

impl<'a> Emitter<'a> {
    /// Starts a block.
    pub(crate) fn label(&mut self, label: Id) {
        self.asm.label(label);
        self.epoch += 1;
    }

    /// Writes `if condition { body }` into the current block's flow.
    pub(crate) fn when(&mut self, condition: Id, body: impl FnOnce(&mut Self)) {
        let (inside, merge) = (self.asm.id(), self.asm.id());
        self.asm.void(Op::SelectionMerge, &[merge, 0]);
        self.asm
            .void(Op::BranchConditional, &[condition, inside, merge]);
        self.label(inside);
        body(self);
        self.asm.void(Op::Branch, &[merge]);
        self.label(merge);
    }

    /// Writes `if condition { a } else { b }` and gives the value of the arm taken.
    pub(crate) fn choose(
        &mut self,
        condition: Id,
        ty: Type,
        a: impl FnOnce(&mut Self) -> Id,
        b: impl FnOnce(&mut Self) -> Id,
    ) -> Id {
        let (then, otherwise, merge) = (self.asm.id(), self.asm.id(), self.asm.id());
        self.asm.void(Op::SelectionMerge, &[merge, 0]);
        self.asm
            .void(Op::BranchConditional, &[condition, then, otherwise]);
        self.label(then);
        let x = a(self);
        let from_a = self.asm.current_block();
        self.asm.void(Op::Branch, &[merge]);
        self.label(otherwise);
        let y = b(self);
        let from_b = self.asm.current_block();
        self.asm.void(Op::Branch, &[merge]);
        self.label(merge);
        self.asm.op(Op::Phi, ty, &[x, from_a, y, from_b])
    }

    // ---- structure ----

    /// Writes a region; returns whether control can reach its end. `around` is the innermost loop's merge and continue.
    fn region(
        &mut self,
        nodes: &[Node],
        around: Option<(Id, Id)>,
    ) -> std::result::Result<bool, TranslateError> {
        for n in nodes {
            match n {
                Node::Block(b) => self.block(*b)?,
                Node::Set(flag, value) => {
                    let id = match *value {
                        structurizer::FlagValue::Constant(c) => {
                            self.asm.constant(Type::Bool, u64::from(c))
                        }
                        structurizer::FlagValue::Block(b) => self.condition_of(b),
                        structurizer::FlagValue::NotBlock(b) => {
                            let id = self.condition_of(b);
                            self.asm.op(Op::LogicalNot, Type::Bool, &[id])
                        }
                    };
                    let flag = self.flags[flag.0 as usize];
                    self.asm.void(Op::Store, &[flag, id]);
                }
                Node::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    let id = match *condition {
                        structurizer::Condition::Block(b) => self.condition_of(b),
                        structurizer::Condition::Flag(f) => {
                            let pointer = self.flags[f.0 as usize];
                            self.asm.op(Op::Load, Type::Bool, &[pointer])
                        }
                    };
                    let merge = self.asm.id();
                    let then_label = if then.is_empty() {
                        merge
                    } else {
                        self.asm.id()
                    };
                    let else_label = if otherwise.is_empty() {
                        merge
                    } else {
                        self.asm.id()
                    };
                    if then_label == else_label {
                        continue;
                    }
                    self.asm.void(Op::SelectionMerge, &[merge, 0]);
                    self.asm
                        .void(Op::BranchConditional, &[id, then_label, else_label]);
                    let mut reached = then.is_empty() || otherwise.is_empty();
                    let padded = match *condition {
                        structurizer::Condition::Block(b) => self.is_padded(b),
                        structurizer::Condition::Flag(_) => false,
                    };
                    let mut meetings = [0; 2];
                    for (n, (label, arm)) in [(then_label, then), (else_label, otherwise)]
                        .into_iter()
                        .enumerate()
                    {
                        if arm.is_empty() {
                            continue;
                        }
                        self.label(label);
                        if padded {
                            self.keep_branch();
                        }
                        let before = self.meetings();
                        if self.region(arm, around)? {
                            self.asm.void(Op::Branch, &[merge]);
                            reached = true;
                        }
                        meetings[n] = self.meetings() - before;
                    }
                    self.label(merge);
                    if padded && reached {
                        self.pad(id, meetings[0], meetings[1]);
                    }
                    if !reached {
                        self.asm.void(Op::Unreachable, &[]);
                        return Ok(false);
                    }
                }
                Node::Loop(body) => {
                    let header = self.asm.id();
                    let (start, next, merge) = (self.asm.id(), self.asm.id(), self.asm.id());
                    self.asm.void(Op::Branch, &[header]);
                    self.label(header);
                    self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
                    self.asm.void(Op::Branch, &[start]);
                    self.label(start);
                    if self.region(body, Some((merge, next)))? {
                        self.asm.void(Op::Branch, &[next]);
                    }
                    self.label(next);
                    self.asm.void(Op::Branch, &[header]);
                    self.label(merge);
                    if !has_break(body) {
                        self.asm.void(Op::Unreachable, &[]);
                        return Ok(false);
                    }
                }
                Node::Break | Node::Continue => {
                    let (merge, next) =
                        around.expect("the structuriser puts these inside loops only");
                    self.asm
                        .void(Op::Branch, &[if *n == Node::Break { merge } else { next }]);
                    return Ok(false);
                }
                Node::Return => {
                    self.thread_exit();
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn condition_of(&mut self, block: BlockId) -> Id {
        self.conditions[block.0 as usize].expect("a block's condition is tested after the block")
    }

    fn block(&mut self, b: BlockId) -> std::result::Result<(), TranslateError> {
        let graph: &'a Graph<'a> = self.graph;
        let block = &graph.blocks[b.0 as usize];
        self.block = b.0;
        self.start_products(block);
        let mut meetings = block.meetings.iter().peekable();
        let mut at = 0;
        while let Some(step) = block.steps.get(at) {
            while let Some(m) = meetings.next_if(|m| m.at as usize == at) {
                self.meet_in_step(m);
            }
            let limit = meetings.peek().map_or(usize::MAX, |m| m.at as usize);
            if let Some(roll) = self.roll_at(at) {
                self.write_roll(block, &roll)?;
                at = roll.end();
            } else if let Some(run) = self.double_run(&block.steps, at, limit) {
                self.write_double_run(&block.steps, &run)?;
                at = run.end;
            } else {
                self.step(at, step)?;
                at += 1;
            }
        }
        self.step = block.steps.len();
        meetings.for_each(|m| self.meet_in_step(m));
        if block.polls {
            self.yield_now();
        }
        self.settle_block_sums(block.condition.map(|c| c.register()));
        let id = match block.condition {
            None => return Ok(()),
            Some(Condition::Predicate { register, negated }) => {
                let v = self.register(register);
                let id = self.cast(v, Type::Bool);
                if negated {
                    self.asm.op(Op::LogicalNot, Type::Bool, &[id])
                } else {
                    id
                }
            }
            Some(Condition::Equal { register, value }) => {
                let v = self.register(register);
                let id = self.cast(v, Type::U32);
                let value = self.asm.u32(value);
                self.asm.op(Op::IEqual, Type::Bool, &[id, value])
            }
            Some(Condition::Any { register }) => {
                let v = self.register(register);
                let id = self.cast(v, Type::Bool);
                self.asm
                    .capability(rspirv::spirv::Capability::GroupNonUniformVote);
                let subgroup = self.asm.u32(rspirv::spirv::Scope::Subgroup as u32);
                self.asm
                    .op(Op::GroupNonUniformAny, Type::Bool, &[subgroup, id])
            }
        };
        self.conditions[b.0 as usize] = Some(id);
        self.tell_lanes_apart(b.0, id);
        Ok(())
    }

    /// Forgets what is known about the products of the block that was being emitted, and plans those of this one.
    fn start_products(&mut self, block: &graph::Block) {
        let through_memory = self.info.matrix_slot_bytes > 0;
        let graph = self.graph;
        let rolls: Vec<_> = self.rolls_of_block().cloned().collect();
        self.matrix
            .start(graph, block, &rolls, self.target, through_memory);
        if let Some(exposed) = self.matrix.memory.exposed.clone() {
            self.plan_rows(block, &exposed);
        }
    }

    /// Writes a step of the block.
    fn step(&mut self, at: usize, step: &Step) -> std::result::Result<(), TranslateError> {
        let graph = self.graph;
        self.step = at;
        self.split_block();
        self.settle_sums(step);
        match *step {
            Step::Copy { to, from } => {
                let v = self.register(from);
                self.set_register(to, v);
            }
            Step::Constant { to, bits } => {
                let ty = register_type(graph.registers[to as usize]);
                let id = self.asm.constant(ty, bits);
                self.set_register(to, Value { id, ty });
            }
            Step::Instruction {
                frame,
                statement,
                unpredicated,
            } => {
                self.frame = frame;
                let i = graph.instruction(frame, statement);
                self.matrix.at = at;
                if let Err(e) = self.predicated(i, unpredicated) {
                    return Err(self.refusal(i, e));
                }
            }
        }
        Ok(())
    }

    /// Why the kernel is not translated.
    fn refusal(&self, i: &Instruction, e: EmitError) -> TranslateError {
        let kernel = self.info.name.clone();
        let line = self.module.line(i.span);
        match e {
            EmitError::Unsupported(what) => TranslateError::Unsupported { kernel, line, what },
            EmitError::Invalid(what) => TranslateError::Invalid { kernel, line, what },
        }
    }

    fn predicated(&mut self, i: &Instruction, unpredicated: bool) -> Result<()> {
        if let (Some(p), false) = (i.predicate, unpredicated) {
            let v = self.register(self.virtual_register(p.register));
            let id = self.cast(v, Type::Bool);
            self.predicate = Some(if p.negated {
                self.asm.op(Op::LogicalNot, Type::Bool, &[id])
            } else {
                id
            });
        }
        let result = self.instruction(i);
        self.predicate = None;
        result
    }

    /// The table of instruction families.
    fn instruction(&mut self, i: &Instruction) -> Result<()> {
        use Opcode::*;
        match i.opcode {
            Mov | Cvta | Isspacep | Szext => self.moves(i),
            Prmt => self.prmt(i),
            And | Or | Xor | Not | Cnot | Lop3 | Shf | Shl | Shr => self.logic(i),
            Ld | Ldu | St | Prefetch | Prefetchu | Discard | Applypriority | Createpolicy => {
                self.memory(i)
            }
            Cp => self.async_copy(i),
            Tensormap => self.tensor_map(i),
            Atom | Red => self.atomic(i),
            Add | Sub | Mul | Mad | Fma | Div | Rem | Abs | Neg | Min | Max => {
                if is_of_later_chips(i) {
                    return unsupported(i);
                }
                match i.types().next_back() {
                    Some(Modifier::F32 | Modifier::F64) => self.float(i),
                    Some(Modifier::F16 | Modifier::F16x2 | Modifier::Bf16 | Modifier::Bf16x2) => {
                        self.half(i)
                    }
                    _ => self.integer(i),
                }
            }
            Addc | Subc | Madc | Mul24 | Mad24 | Sad | Popc | Clz | Bfind | Fns | Brev | Bfe
            | Bfi | Bmsk | Dp4a | Dp2a => self.integer(i),
            Rcp | Sqrt | Rsqrt | Sin | Cos | Lg2 | Ex2 | Tanh | Copysign | Testp => {
                match i.types().next_back() {
                    Some(Modifier::F16 | Modifier::F16x2 | Modifier::Bf16 | Modifier::Bf16x2) => {
                        self.half(i)
                    }
                    _ => self.float(i),
                }
            }
            Set | Setp | Selp | Slct => self.compare(i),
            Cvt => self.convert(i),
            Shfl | Vote | Match | Redux | Activemask | Elect => self.shuffle(i),
            Bar | Barrier | Membar | Fence => self.barrier(i),
            Vadd | Vsub | Vabsdiff | Vmin | Vmax | Vshl | Vshr | Vset | Vmad | Vadd2 | Vsub2
            | Vavrg2 | Vabsdiff2 | Vmin2 | Vmax2 | Vset2 | Vadd4 | Vsub4 | Vavrg4 | Vabsdiff4
            | Vmin4 | Vmax4 | Vset4 => self.video(i),
            Mma | Wmma | Ldmatrix | Stmatrix | Movmatrix => self.matrix(i),
            Call | Trap | Brkpt => self.call(i),
            Mbarrier => self.mbarrier(i),
            Tex | Tld4 | Txq | Suq | Istypep => self.texture(i),
            Suld | Sust | Sured => self.surface(i),
            Alloca | Stacksave | Stackrestore => self.stack(i),
            // A cluster is one block, whose rank is 0.
            Mapa => {
                let ty = if i.has(Modifier::U64) {
                    Type::U64
                } else {
                    Type::U32
                };
                let a = self.value(self.operand(i, 1)?, ty)?;
                self.set(self.operand(i, 0)?, ty, a)
            }
            Getctarank => {
                let zero = self.asm.u32(0);
                self.set(self.operand(i, 0)?, Type::U32, zero)
            }
            Nanosleep => self.nanosleep(i),
            Griddepcontrol | Pmevent => Ok(()),
            _ => unsupported(i),
        }
    }

    /// Whether warps are made with yields.
    pub(crate) fn yields(&self) -> bool {
        matches!(self.target.warps, Warps::Yield { .. })
    }
}

/// Whether a kernel's shared memory lives in scratch on the target: all of it where there is too much, or where the target has atomic
/// operations of 64 bits in the device's memory alone (Intel's GPUs) and the kernel makes some in shared memory.
pub(crate) fn shared_in_scratch(target: &Target, graph: &Graph) -> bool {
    target.shared_memory == SharedMemory::Scratch
        || graph.static_shared > target.workgroup_memory
        || !target.shared_atomic_i64 && target.atomic_i64 && graph.changes_shared_64()
}

fn has_break(nodes: &[Node]) -> bool {
    nodes.iter().any(|n| match n {
        Node::Break => true,
        Node::If {
            then, otherwise, ..
        } => has_break(then) || has_break(otherwise),
        _ => false,
    })
}
