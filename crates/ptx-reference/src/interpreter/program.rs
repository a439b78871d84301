//! A kernel with everything it can reach, decoded: operands are slots, constants and known addresses.

use super::decode::Decoder;
use crate::error::Error;
use crate::memory::Memory;
use crate::semantics::Form;
use ptx::{
    Body, Function, Initial, Modifier as M, Module, Opcode as O, ScalarType, SpecialRegister,
    StateSpace, SymbolKind, Variable,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Where generic addresses of the spaces that are not global lie; far from every buffer.
pub const SHARED_WINDOW: u64 = 0xF100_0000_0000_0000;
/// The window of local memory, of the thread that uses the address.
pub const LOCAL_WINDOW: u64 = 0xF200_0000_0000_0000;
/// The window of kernel and function parameters.
pub const PARAM_WINDOW: u64 = 0xF300_0000_0000_0000;
/// The module's function `i` has the address `FUNCTIONS + 16 * i`.
pub const FUNCTIONS: u64 = 0xF400_0000_0000_0000;
/// Bytes of each window.
pub const WINDOW: u64 = 1 << 32;

/// A state space of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Param,
}

impl Space {
    pub fn name(self) -> &'static str {
        match self {
            Space::Generic => "generic",
            Space::Global => "global",
            Space::Shared => "shared",
            Space::Local => "local",
            Space::Param => "param",
        }
    }

    /// The start of the window in generic addresses; 0 for the spaces whose addresses are generic ones.
    pub fn window(self) -> u64 {
        match self {
            Space::Generic | Space::Global => 0,
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            Space::Param => PARAM_WINDOW,
        }
    }
}

/// A value to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    Register(u32),
    /// The negation of a predicate.
    Not(u32),
    Constant(u64),
    Special(SpecialRegister),
    /// The local address of this offset in the frame.
    Local(u64),
    /// The parameter address of this offset in the frame.
    Param(u64),
}

/// A register to write; `None` is `_`.
pub type Target = Option<TargetRegister>;

/// A register and its width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetRegister {
    pub slot: u32,
    pub bits: u32,
}

/// Where an access goes: the space, a base and an offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub space: Space,
    pub base: Source,
    pub offset: i64,
}

pub type Sources = SmallVec<[Source; 4]>;
pub type Targets = SmallVec<[Target; 2]>;

/// An argument of a call, or the place of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Bytes in the caller's parameter area.
    Memory {
        offset: u64,
        size: u64,
    },
    Value(Source),
    Result(Target),
}

/// The form of a texture read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Coordinates, 1 to 3; a cube has 3.
    pub axes: usize,
    pub layered: bool,
    pub cube: bool,
    /// Coordinates are integers.
    pub integer: bool,
    pub gradient: bool,
    /// The channel that tld4 gathers.
    pub gather: Option<usize>,
    /// Results are half precision, in two words or four registers.
    pub half: Option<Half>,
}

/// Half-precision results of a texture read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// One in each register.
    Single,
    /// Two in each register.
    Packed,
}

/// The direction of a copy by a tensor map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tensor {
    /// To shared memory, with the mbarrier that it completes at and the blocks of the cluster that it is for.
    Load {
        barrier: Place,
        blocks: Option<Source>,
    },
    /// From shared memory.
    Store,
    /// From shared memory, by an operation.
    Reduce(M),
}

/// The form of a surface access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surface {
    pub axes: usize,
    pub layered: bool,
    /// Bytes of an element.
    pub bytes: u32,
    /// `.p`: the surface's format says what elements are, and the first coordinate counts texels.
    pub formatted: bool,
    /// `.trap`, `.clamp` or `.zero`.
    pub outside: M,
    /// Of sured.
    pub reduce: Option<(M, ScalarType)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Callee {
    Function(usize),
    Builtin(Box<str>),
    Pointer(Source),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierKind {
    Sync,
    Arrive,
    Popc,
    And,
    Or,
}

/// What an instruction does, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing that can be seen here: fences, prefetches, hints.
    Nothing,
    /// Lets other threads run.
    Yield,
    Pure {
        targets: Targets,
        sources: Sources,
        bits: u32,
        signed: bool,
    },
    /// Pieces of (low bits first) to pieces; each with its width.
    Move {
        targets: SmallVec<[(Target, u32); 4]>,
        sources: SmallVec<[(Source, u32); 4]>,
    },
    Load {
        place: Place,
        bytes: u32,
        signed: bool,
        targets: Targets,
    },
    Store {
        place: Place,
        bytes: u32,
        sources: Sources,
    },
    /// tex and tld4: the handle, then the operands.
    Sample {
        sample: Sample,
        handle: Source,
        /// A sampler of its own.
        sampler: Option<Source>,
        /// What is added to the indices of texels.
        offset: Sources,
        targets: Targets,
        /// Layer (where there are layers), then the coordinates.
        coordinates: Sources,
        /// Level of detail, or two derivatives.
        detail: Sources,
    },
    /// istypep: the texture's, sampler's or surface's handle.
    IsType {
        class: M,
        handle: Source,
        target: Target,
    },
    /// txq and suq.
    TextureQuery {
        what: M,
        handle: Source,
        level: Option<Source>,
        target: Target,
    },
    /// suld.b, sust and sured.
    Surface {
        surface: Surface,
        handle: Source,
        coordinates: Sources,
        /// Of suld.
        targets: Targets,
        /// Of sust.
        sources: Sources,
    },
    Atomic {
        place: Place,
        ty: ScalarType,
        operation: M,
        targets: Targets,
        sources: Sources,
        count: u32,
    },
    ToGeneric {
        space: Space,
        target: Target,
        source: Source,
    },
    FromGeneric {
        space: Space,
        target: Target,
        source: Source,
    },
    IsSpace {
        space: Space,
        target: Target,
        source: Source,
    },
    Branch(u32),
    BranchIndexed {
        index: Source,
        targets: Box<[u32]>,
    },
    Call {
        callee: Callee,
        results: Vec<Argument>,
        arguments: Vec<Argument>,
    },
    Return,
    Exit,
    Trap,
    Barrier {
        kind: BarrierKind,
        id: Source,
        count: Option<Source>,
        predicate: Option<Source>,
        target: Target,
    },
    /// A rendezvous within the warp; the mask is `None` for instructions of the whole warp and for those of
    /// whatever threads are converged.
    Warp {
        kind: WarpKind,
        targets: Targets,
        sources: Sources,
        mask: Option<Source>,
        place: Option<Place>,
    },
    CopyAsync {
        to: Place,
        from: Place,
        bytes: u32,
        valid: Option<Source>,
        ignore: Option<Source>,
    },
    /// `cp.async.bulk`: whole at once, with the bytes announced to an mbarrier.
    CopyBulk {
        to: Place,
        from: Place,
        bytes: Source,
        barrier: Option<Place>,
        /// With `.multicast::cluster`: the blocks meant, of which there is the first.
        blocks: Option<Source>,
        /// With `cp.reduce`: the operation and the type of the elements.
        reduce: Option<(ptx::Modifier, ScalarType)>,
    },
    /// cp.async.bulk.tensor and cp.reduce.async.bulk.tensor, by a tensor map.
    CopyTensor {
        map: Source,
        coordinates: Sources,
        shared: Place,
        how: Tensor,
    },
    /// `st.async` and `red.async`: done at once, with the bytes announced to an mbarrier.
    Completing {
        access: Box<Decoded>,
        bytes: u32,
        barrier: Place,
    },
    /// `barrier.cluster.arrive`
    ClusterArrive,
    /// `barrier.cluster.wait`
    ClusterWait,
    Alloca {
        target: Target,
        size: Source,
        align: u32,
    },
    StackSave {
        target: Target,
    },
    StackRestore {
        source: Source,
    },
    MemoryBarrierObject {
        operation: super::mbarrier::Operation,
        place: Option<Place>,
        targets: Targets,
        sources: Sources,
    },
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarpKind {
    /// `bar.warp.sync`
    Barrier,
    Shuffle,
    Vote,
    Match,
    Redux,
    Elect,
    /// `activemask` and instructions without `.sync`: the threads that are at the same place.
    ActiveMask,
    LoadMatrix,
    StoreMatrix,
    MoveMatrix,
    Mma,
    WmmaLoad,
    WmmaStore,
    WmmaMma,
}

/// A decoded instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    pub predicate: Option<(u32, bool)>,
    pub action: Action,
    /// Index into [`Program::forms`].
    pub form: u32,
    pub span: ptx::Span,
}

/// A formal parameter or result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Formal {
    /// Bytes in the callee's parameter area.
    Memory {
        offset: u64,
        size: u64,
    },
    Register(TargetRegister),
}

/// A decoded function.
#[derive(Clone, Debug)]
pub struct Code {
    pub name: Box<str>,
    pub instructions: Vec<Decoded>,
    pub slots: usize,
    /// The slots of the module's registers, which calls share.
    pub shared_slots: std::ops::Range<usize>,
    pub parameters: Vec<Formal>,
    pub results: Vec<Formal>,
    /// Bytes of the frame's parameter area: formals, and arguments of calls.
    pub param_bytes: u64,
    /// Bytes of the frame's local memory.
    pub local_bytes: u64,
}

/// A kernel with everything it can reach.
#[derive(Debug, Default)]
pub struct Program {
    pub functions: Vec<Code>,
    pub names: FxHashMap<Box<str>, usize>,
    /// Index into `functions` by address.
    pub addresses: FxHashMap<u64, usize>,
    /// Opcodes with their modifiers, each kept once.
    pub forms: Vec<Form>,
    form_index: FxHashMap<(O, SmallVec<[M; 6]>), u32>,
    /// Bytes of statically declared shared memory.
    pub shared_bytes: u64,
    pub(super) shared: FxHashMap<Box<str>, u64>,
    /// Extern shared arrays start here: all at the same address.
    pub dynamic_shared_start: u64,
}

impl Program {
    /// Decodes a kernel and every function it refers to. The module's variables have their places in `memory`;
    /// those that bodies declare get theirs now.
    pub fn build(
        module: &Module<'_>,
        kernel: &Function,
        memory: &mut Memory,
    ) -> Result<Program, Error> {
        let mut program = Program::default();
        // Numbered as they are met, so that addresses exist before bodies are decoded.
        let mut bodies: Vec<(&Function, Body)> = vec![(kernel, module.parse_body(kernel)?)];
        program.names.insert(kernel.name.clone(), 0);
        // Functions whose address is in a variable may be called from anywhere.
        let mut names: Vec<Box<str>> = module
            .variables
            .iter()
            .flat_map(|v| &v.initializer)
            .filter_map(|piece| match piece {
                Initial::Address { symbol, .. } => Some(symbol.clone()),
                Initial::Bytes { .. } => None,
            })
            .collect();
        let mut next = 0;
        while next < bodies.len() {
            let symbols = bodies[next].1.symbols.iter();
            names.extend(
                symbols
                    .filter(|s| s.kind == SymbolKind::Module)
                    .map(|s| s.name.clone()),
            );
            for name in names.drain(..) {
                match module.function(&name).filter(|f| f.body.is_some()) {
                    Some(function) if !program.names.contains_key(&name) => {
                        program.names.insert(name, bodies.len());
                        bodies.push((function, module.parse_body(function)?));
                    }
                    _ => {}
                }
            }
            next += 1;
        }
        for (index, (function, _)) in bodies.iter().enumerate() {
            if let Some(address) = super::function_address(module, &function.name) {
                program.addresses.insert(address, index);
            }
        }
        program.place_shared(module, &bodies);
        for (function, body) in &bodies {
            super::place_variables(module, Some(function), &body.variables, memory)?;
        }
        for (function, body) in &bodies {
            let code = Decoder::new(&mut program, module, function, body, memory).decode()?;
            program.functions.push(code);
        }
        Ok(program)
    }

    /// Lays out the shared variables that the bodies use; those of unknown size come after all others.
    fn place_shared(&mut self, module: &Module<'_>, bodies: &[(&Function, Body)]) {
        let mut end = 0u64;
        let mut dynamic_align = 16u64;
        let mut dynamic: Vec<Box<str>> = Vec::new();
        let mut place = |shared: &mut FxHashMap<Box<str>, u64>, key: Box<str>, v: &Variable| {
            if v.size == 0 || v.linkage == ptx::Linkage::Extern {
                dynamic_align = dynamic_align.max(v.align.into());
                dynamic.push(key);
            } else {
                end = end.next_multiple_of(u64::from(v.align.max(1)));
                shared.insert(key, end);
                end += v.size;
            }
        };
        let mut shared = FxHashMap::default();
        for v in &module.variables {
            let used = bodies
                .iter()
                .any(|(_, b)| b.symbols.iter().any(|s| s.name == v.name));
            if v.space == StateSpace::Shared && used && !shared.contains_key(&v.name) {
                place(&mut shared, v.name.clone(), v);
            }
        }
        for (function, body) in bodies {
            for (i, v) in body.variables.iter().enumerate() {
                if v.space == StateSpace::Shared {
                    place(&mut shared, format!("{}\0{i}", function.name).into(), v);
                }
            }
        }
        self.shared_bytes = end;
        self.dynamic_shared_start = end.next_multiple_of(dynamic_align);
        for key in dynamic {
            shared.insert(key, self.dynamic_shared_start);
        }
        self.shared = shared;
    }

    /// The index of an opcode with its modifiers.
    pub(super) fn form(&mut self, i: &ptx::Instruction) -> u32 {
        let (opcode, modifiers) = (i.opcode, &i.modifiers);
        if let Some(parts) = i.parts.as_deref() {
            self.forms.push(Form {
                parts: *parts,
                ..Form::new(opcode, modifiers)
            });
            return self.forms.len() as u32 - 1;
        }
        if let Some(&index) = self.form_index.get(&(opcode, modifiers.clone())) {
            return index;
        }
        let index = self.forms.len() as u32;
        self.forms.push(Form::new(opcode, modifiers));
        self.form_index.insert((opcode, modifiers.clone()), index);
        index
    }
}
