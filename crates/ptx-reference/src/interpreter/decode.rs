//! Bodies to instructions whose operands are slots, constants and known addresses.

use crate::error::Error;
use crate::memory::Memory;
use crate::semantics::{self, softfloat, Form};
use ptx::{
    AddressBase, Body, Function, Initial, Instruction, Modifier as M, Module, Opcode as O, Operand,
    ScalarType, SpecialRegister, StateSpace, Statement, SymbolKind, Variable,
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
#[derive(Clone, Debug)]
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
    shared: FxHashMap<Box<str>, u64>,
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

    fn form(&mut self, opcode: O, modifiers: &SmallVec<[M; 6]>) -> u32 {
        if let Some(&index) = self.form_index.get(&(opcode, modifiers.clone())) {
            return index;
        }
        let index = self.forms.len() as u32;
        self.forms.push(Form::new(opcode, modifiers));
        self.form_index.insert((opcode, modifiers.clone()), index);
        index
    }
}

/// What a symbol stands for, once addresses are known.
#[derive(Clone, Copy)]
struct Resolved {
    space: Space,
    value: Source,
}

struct Decoder<'p, 'm> {
    program: &'p mut Program,
    module: &'m Module<'m>,
    function: &'m Function,
    body: &'m Body,
    memory: &'p Memory,
    /// First slot and type of each register; `.b128` has two slots.
    registers: Vec<(u32, ScalarType)>,
    slots: u32,
    labels: Vec<u32>,
    formals: Vec<Formal>,
    results: Vec<Formal>,
    variables: Vec<u64>,
    param_bytes: u64,
    local_bytes: u64,
}

impl<'p, 'm> Decoder<'p, 'm> {
    fn new(
        program: &'p mut Program,
        module: &'m Module<'m>,
        function: &'m Function,
        body: &'m Body,
        memory: &'p Memory,
    ) -> Self {
        let mut slots = 0;
        let registers = body
            .registers
            .iter()
            .map(|&ty| {
                let first = slots;
                slots += if ty == M::B128 { 2 } else { 1 };
                (first, ty)
            })
            .collect();
        let mut decoder = Decoder {
            program,
            module,
            function,
            body,
            memory,
            registers,
            slots,
            labels: Vec::new(),
            formals: Vec::new(),
            results: Vec::new(),
            variables: Vec::new(),
            param_bytes: 0,
            local_bytes: 0,
        };
        decoder.lay_out();
        decoder
    }

    fn lay_out(&mut self) {
        let reserve = |end: &mut u64, v: &Variable| {
            let start = end.next_multiple_of(u64::from(v.align.max(1)));
            *end = start + v.size;
            start
        };
        // Formals in registers are the first registers, results before parameters.
        let mut register = 0;
        let mut formal = |v: &Variable| match v.space {
            StateSpace::Reg => {
                let (slot, ty) = self.registers[register];
                let size = v.element.and_then(M::size).unwrap_or(1);
                register += (v.size as u32 / size).max(1) as usize;
                Formal::Register(TargetRegister {
                    slot,
                    bits: semantics::width(ty).min(64),
                })
            }
            _ => Formal::Memory {
                offset: reserve(&mut self.param_bytes, v),
                size: v.size,
            },
        };
        // A kernel's parameters come first, so that they lie at their offsets in the parameter block.
        let (results, parameters) = (&self.function.results, &self.function.parameters);
        self.results = results.iter().map(&mut formal).collect();
        self.formals = parameters.iter().map(&mut formal).collect();
        self.variables = self
            .body
            .variables
            .iter()
            .map(|v| match v.space {
                StateSpace::Param => reserve(&mut self.param_bytes, v),
                StateSpace::Local => reserve(&mut self.local_bytes, v),
                _ => 0,
            })
            .collect();
        self.param_bytes = self.param_bytes.next_multiple_of(16);
        self.local_bytes = self.local_bytes.next_multiple_of(16);
        // A label stands for the instruction after it.
        self.labels = vec![0; self.body.labels.len()];
        let mut count = 0;
        for statement in &self.body.statements {
            match statement {
                Statement::Label(label) => self.labels[label.0 as usize] = count,
                Statement::Instruction(_) => count += 1,
            }
        }
    }

    fn decode(mut self) -> Result<Code, Error> {
        let body = self.body;
        let mut instructions = Vec::new();
        for statement in &body.statements {
            let Statement::Instruction(instruction) = statement else {
                continue;
            };
            let form = self
                .program
                .form(instruction.opcode, &instruction.modifiers);
            // What cannot be decoded is only an error when it is reached.
            let action = match self.action(instruction, form) {
                Err(Failure::Unsupported) => Action::Unsupported,
                Err(Failure::Error(error)) => return Err(error),
                Ok(action) => action,
            };
            instructions.push(Decoded {
                predicate: instruction
                    .predicate
                    .map(|p| (self.registers[p.register.0 as usize].0, p.negated)),
                action,
                form,
                span: instruction.span,
            });
        }
        Ok(Code {
            name: self.function.name.clone(),
            instructions,
            slots: self.slots as usize,
            parameters: self.formals,
            results: self.results,
            param_bytes: self.param_bytes,
            local_bytes: self.local_bytes,
        })
    }

    fn resolve(&self, symbol: ptx::SymbolId, span: ptx::Span) -> Result<Resolved, Failure> {
        let symbol = &self.body.symbols[symbol.0 as usize];
        let formal = |formal: Formal| match formal {
            Formal::Memory { offset, .. } => Resolved {
                space: Space::Param,
                value: Source::Param(offset),
            },
            Formal::Register(r) => Resolved {
                space: Space::Generic,
                value: Source::Register(r.slot),
            },
        };
        Ok(match symbol.kind {
            SymbolKind::Parameter(i) => formal(self.formals[i as usize]),
            SymbolKind::Result(i) => formal(self.results[i as usize]),
            SymbolKind::Local(i) => {
                let v = &self.body.variables[i as usize];
                let offset = self.variables[i as usize];
                match v.space {
                    StateSpace::Param => Resolved {
                        space: Space::Param,
                        value: Source::Param(offset),
                    },
                    StateSpace::Local => Resolved {
                        space: Space::Local,
                        value: Source::Local(offset),
                    },
                    StateSpace::Shared => {
                        let key = format!("{}\0{i}", self.function.name);
                        let address = self.program.shared[key.as_str()];
                        Resolved {
                            space: Space::Shared,
                            value: Source::Constant(address),
                        }
                    }
                    _ => self.module_symbol(
                        &super::local_symbol(&self.function.name, i as usize),
                        span,
                    )?,
                }
            }
            SymbolKind::Module => self.module_symbol(&symbol.name, span)?,
        })
    }

    fn module_symbol(&self, name: &str, span: ptx::Span) -> Result<Resolved, Failure> {
        if let Some(&address) = self.program.shared.get(name) {
            return Ok(Resolved {
                space: Space::Shared,
                value: Source::Constant(address),
            });
        }
        if let Some(address) = self.memory.symbol(name) {
            return Ok(Resolved {
                space: Space::Global,
                value: Source::Constant(address),
            });
        }
        if let Some(address) = super::function_address(self.module, name) {
            return Ok(Resolved {
                space: Space::Generic,
                value: Source::Constant(address),
            });
        }
        let line = self.module.line(span);
        Err(Failure::Error(Error::NoSymbol {
            name: name.to_owned(),
            line,
        }))
    }

    fn target(&self, operand: &Operand) -> Result<Target, Failure> {
        match operand {
            Operand::Register(r) => {
                let (slot, ty) = self.registers[r.0 as usize];
                Ok(Some(TargetRegister {
                    slot,
                    bits: semantics::width(ty).min(64),
                }))
            }
            Operand::Sink => Ok(None),
            _ => Err(Failure::Unsupported),
        }
    }

    /// The destinations of an operand: one register, two joined by `|`, or a vector.
    fn targets(&self, operand: &Operand) -> Result<Targets, Failure> {
        match operand {
            Operand::Pair(pair) => Ok([self.target(&pair.0)?, self.target(&pair.1)?]
                .into_iter()
                .collect()),
            Operand::Vector(elements) => {
                let mut targets = Targets::new();
                for element in elements {
                    targets.extend(self.wide_targets(element)?);
                }
                Ok(targets)
            }
            _ => self.wide_targets(operand),
        }
    }

    /// The slots of a destination, two for `.b128`.
    fn wide_targets(&self, operand: &Operand) -> Result<Targets, Failure> {
        if let Operand::Register(r) = operand {
            let (slot, ty) = self.registers[r.0 as usize];
            if ty == M::B128 {
                return Ok([slot, slot + 1]
                    .map(|slot| Some(TargetRegister { slot, bits: 64 }))
                    .into_iter()
                    .collect());
            }
        }
        Ok([self.target(operand)?].into_iter().collect())
    }

    fn source(
        &self,
        operand: &Operand,
        ty: Option<ScalarType>,
        span: ptx::Span,
    ) -> Result<Source, Failure> {
        Ok(match operand {
            Operand::Register(r) => Source::Register(self.registers[r.0 as usize].0),
            Operand::NotRegister(r) => Source::Not(self.registers[r.0 as usize].0),
            Operand::Integer(value) => Source::Constant(match ty {
                Some(M::Pred) => u64::from(*value != 0),
                _ => *value,
            }),
            Operand::Single(bits) => Source::Constant(match ty {
                Some(M::F64) => f64::from(f32::from_bits(*bits)).to_bits(),
                _ => u64::from(*bits),
            }),
            Operand::Double(bits) => Source::Constant(match ty.and_then(semantics::format_of) {
                Some(format) => format.round(
                    softfloat::F64.unpack(*bits),
                    softfloat::Rounding::NearestEven,
                ),
                None => *bits,
            }),
            Operand::Special(register) => Source::Special(*register),
            Operand::Symbol { symbol, offset } => {
                let offset = *offset as u64;
                match self.resolve(*symbol, span)?.value {
                    Source::Constant(v) => Source::Constant(v.wrapping_add(offset)),
                    Source::Local(v) => Source::Local(v.wrapping_add(offset)),
                    Source::Param(v) => Source::Param(v.wrapping_add(offset)),
                    other if offset == 0 => other,
                    _ => return Err(Failure::Unsupported),
                }
            }
            _ => return Err(Failure::Unsupported),
        })
    }

    /// The sources of an operand: one, or the elements of a vector.
    fn sources(
        &self,
        operand: &Operand,
        ty: Option<ScalarType>,
        span: ptx::Span,
    ) -> Result<Sources, Failure> {
        let wide = |operand: &Operand| -> Result<Sources, Failure> {
            if let Operand::Register(r) = operand {
                let (slot, ty) = self.registers[r.0 as usize];
                if ty == M::B128 {
                    return Ok([Source::Register(slot), Source::Register(slot + 1)]
                        .into_iter()
                        .collect());
                }
            }
            Ok([self.source(operand, ty, span)?].into_iter().collect())
        };
        match operand {
            Operand::Vector(elements) => {
                let mut sources = Sources::new();
                for element in elements {
                    sources.extend(wide(element)?);
                }
                Ok(sources)
            }
            _ => wide(operand),
        }
    }

    fn place(&self, operand: &Operand, space: Space, span: ptx::Span) -> Result<Place, Failure> {
        let Operand::Address { base, offset } = operand else {
            return Err(Failure::Unsupported);
        };
        let base = match base {
            AddressBase::Register(r) => Source::Register(self.registers[r.0 as usize].0),
            AddressBase::Absolute => Source::Constant(0),
            AddressBase::Symbol(symbol) => {
                let resolved = self.resolve(*symbol, span)?;
                // A name says its space itself; a generic access through it goes to that space.
                let space = if space == Space::Generic {
                    resolved.space
                } else {
                    space
                };
                return Ok(Place {
                    space,
                    base: resolved.value,
                    offset: *offset,
                });
            }
        };
        Ok(Place {
            space,
            base,
            offset: *offset,
        })
    }

    fn action(&mut self, i: &Instruction, form: u32) -> Result<Action, Failure> {
        let span = i.span;
        let operand = |index: usize| i.operands.get(index).ok_or(Failure::Unsupported);
        if semantics::is_pure(i.opcode) {
            return self.pure(i, form);
        }
        let has = |m| i.has(m);
        let space = space_of(&i.modifiers);
        let ty = i.types().next();
        Ok(match i.opcode {
            O::Mov if has(M::Pred) || i.operands.len() == 2 => self.mov(i)?,
            O::Ld | O::Ldu => {
                let bytes = ty.and_then(M::size).ok_or(Failure::Unsupported)?;
                let ty = ty.ok_or(Failure::Unsupported)?;
                Action::Load {
                    place: self.place(operand(1)?, space, span)?,
                    bytes: bytes.min(8),
                    signed: ty.is_signed(),
                    targets: self.targets(operand(0)?)?,
                }
            }
            O::St => Action::Store {
                place: self.place(operand(0)?, space, span)?,
                bytes: ty.and_then(M::size).ok_or(Failure::Unsupported)?.min(8),
                sources: self.sources(operand(1)?, ty, span)?,
            },
            O::Atom | O::Red => self.atomic(i, space)?,
            O::Cvta => {
                let source = match operand(1)? {
                    // `cvta.local.u64 %rd1, variable;`
                    o @ (Operand::Register(_) | Operand::Symbol { .. } | Operand::Integer(_)) => {
                        self.source(o, ty, span)?
                    }
                    _ => return Err(Failure::Unsupported),
                };
                let target = self.target(operand(0)?)?;
                if has(M::To) {
                    Action::FromGeneric {
                        space,
                        target,
                        source,
                    }
                } else {
                    Action::ToGeneric {
                        space,
                        target,
                        source,
                    }
                }
            }
            O::Isspacep => Action::IsSpace {
                space,
                target: self.target(operand(0)?)?,
                source: self.source(operand(1)?, Some(M::U64), span)?,
            },
            O::Bra => {
                let Operand::Label(label) = operand(0)? else {
                    return Err(Failure::Unsupported);
                };
                Action::Branch(self.labels[label.0 as usize])
            }
            O::Brx => {
                let Operand::BranchTargets(list) = operand(1)? else {
                    return Err(Failure::Unsupported);
                };
                Action::BranchIndexed {
                    index: self.source(operand(0)?, Some(M::U32), span)?,
                    targets: self.body.branch_targets[*list as usize]
                        .iter()
                        .map(|l| self.labels[l.0 as usize])
                        .collect(),
                }
            }
            O::Call => self.call(i)?,
            O::Ret => Action::Return,
            O::Exit => Action::Exit,
            O::Trap | O::Brkpt => Action::Trap,
            O::Bar | O::Barrier if has(M::Warp) => Action::Warp {
                kind: WarpKind::Barrier,
                targets: Targets::new(),
                sources: Sources::new(),
                mask: Some(self.source(operand(0)?, Some(M::B32), span)?),
                place: None,
            },
            O::Barrier if has(M::Cluster) && has(M::Arrive) => Action::ClusterArrive,
            O::Barrier if has(M::Cluster) && has(M::Wait) => Action::ClusterWait,
            O::Bar | O::Barrier if !has(M::Cluster) => self.barrier(i)?,
            O::Shfl | O::Vote | O::Match | O::Redux | O::Elect | O::Activemask => self.warp(i)?,
            O::Ldmatrix | O::Stmatrix | O::Movmatrix | O::Mma | O::Wmma => self.matrix(i, space)?,
            O::Cp if has(M::Bulk) => self.copy_bulk(i)?,
            O::Cp if has(M::Async) && !has(M::Mbarrier) => self.copy_async(i)?,
            O::Mbarrier | O::Cp if has(M::Mbarrier) || i.opcode == O::Mbarrier => {
                self.mbarrier(i, space)?
            }
            O::Nanosleep => Action::Yield,
            O::Membar
            | O::Fence
            | O::Prefetch
            | O::Prefetchu
            | O::Applypriority
            | O::Griddepcontrol
            | O::Pmevent
            | O::Setmaxnreg
            | O::Discard => Action::Nothing,
            // A policy only hints at caching; its value is opaque.
            O::Createpolicy => Action::Move {
                targets: [(self.target(operand(0)?)?, 64)].into_iter().collect(),
                sources: [(Source::Constant(0), 64)].into_iter().collect(),
            },
            // A grid without clusters has clusters of one block, whose rank is 0.
            O::Mapa => Action::Move {
                targets: [(self.target(operand(0)?)?, 64)].into_iter().collect(),
                sources: [(self.source(operand(1)?, ty, span)?, 64)]
                    .into_iter()
                    .collect(),
            },
            O::Getctarank => Action::Move {
                targets: [(self.target(operand(0)?)?, 32)].into_iter().collect(),
                sources: [(Source::Constant(0), 32)].into_iter().collect(),
            },
            O::Alloca => Action::Alloca {
                target: self.target(operand(0)?)?,
                size: self.source(operand(1)?, ty, span)?,
                align: match i.operands.get(2) {
                    Some(Operand::Integer(align)) => *align as u32,
                    _ => 8,
                },
            },
            O::Stacksave => Action::StackSave {
                target: self.target(operand(0)?)?,
            },
            O::Stackrestore => Action::StackRestore {
                source: self.source(operand(0)?, ty, span)?,
            },
            _ => return Err(Failure::Unsupported),
        })
    }

    fn pure(&mut self, i: &Instruction, form: u32) -> Result<Action, Failure> {
        let form = &self.program.forms[form as usize];
        let destination = i.operands.first().ok_or(Failure::Unsupported)?;
        let targets = match destination {
            Operand::Pair(pair) => [self.target(&pair.0)?, self.target(&pair.1)?]
                .into_iter()
                .collect(),
            other => [self.target(other)?].into_iter().collect(),
        };
        let mut sources = Sources::new();
        for (index, operand) in i.operands[1..].iter().enumerate() {
            sources.extend(self.sources(operand, form.operand_type(index), i.span)?);
        }
        let (bits, signed) = result_type(form);
        Ok(Action::Pure {
            targets,
            sources,
            bits,
            signed,
        })
    }

    fn mov(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let ty = i.types().next().ok_or(Failure::Unsupported)?;
        let bits = semantics::width(ty);
        let [to, from] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let pieces = |operand: &Operand| match operand {
            Operand::Vector(elements) => elements.len() as u32,
            _ => 1,
        };
        let targets = self.targets(to)?;
        let sources = self.sources(from, Some(ty), i.span)?;
        // `mov.v4.u32 %v, %tid` moves whole elements; without `.v4` a vector is the parts of one value.
        let whole = i.has(M::V2) || i.has(M::V4);
        let share = |count: u32| if whole { bits } else { bits / count };
        let target_bits = share(pieces(to).max(targets.len() as u32));
        let source_bits = share(pieces(from).max(sources.len() as u32));
        Ok(Action::Move {
            targets: targets.into_iter().map(|t| (t, target_bits)).collect(),
            sources: sources.into_iter().map(|s| (s, source_bits)).collect(),
        })
    }

    fn atomic(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let operations = [
            M::AddMod,
            M::IncMod,
            M::DecMod,
            M::MinMod,
            M::MaxMod,
            M::ExchMod,
            M::CasMod,
            M::And,
            M::Or,
            M::Xor,
        ];
        let operation = *i
            .modifiers
            .iter()
            .find(|m| operations.contains(m))
            .ok_or(Failure::Unsupported)?;
        let ty = i.types().next().ok_or(Failure::Unsupported)?;
        let mut operands = i.operands.iter();
        let mut next = || operands.next().ok_or(Failure::Unsupported);
        let targets = if i.opcode == O::Atom {
            self.targets(next()?)?
        } else {
            Targets::new()
        };
        let place = self.place(next()?, space, i.span)?;
        let mut sources = self.sources(next()?, Some(ty), i.span)?;
        let count = if ty == M::B128 {
            1
        } else {
            sources.len() as u32
        };
        if operation == M::CasMod {
            sources.extend(self.sources(next()?, Some(ty), i.span)?);
        }
        Ok(Action::Atomic {
            place,
            ty,
            operation,
            targets,
            sources,
            count,
        })
    }

    fn call(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let at = i
            .operands
            .iter()
            .position(|o| !matches!(o, Operand::List(_)))
            .ok_or(Failure::Unsupported)?;
        let list = |index: Option<usize>| match index.and_then(|index| i.operands.get(index)) {
            Some(Operand::List(items)) => &items[..],
            _ => &[],
        };
        let callee = match &i.operands[at] {
            Operand::Symbol { symbol, .. } => {
                let symbol = &self.body.symbols[symbol.0 as usize];
                match self.program.names.get(&symbol.name) {
                    Some(&index) => Callee::Function(index),
                    None => Callee::Builtin(symbol.name.clone()),
                }
            }
            register @ Operand::Register(_) => {
                Callee::Pointer(self.source(register, Some(M::U64), i.span)?)
            }
            _ => return Err(Failure::Unsupported),
        };
        let memory = |operand: &Operand| -> Option<Argument> {
            let Operand::Symbol { symbol, offset: 0 } = operand else {
                return None;
            };
            let symbol = &self.body.symbols[symbol.0 as usize];
            let formal = |f: &Formal| match f {
                Formal::Memory { offset, size } => Some(Argument::Memory {
                    offset: *offset,
                    size: *size,
                }),
                Formal::Register(_) => None,
            };
            match symbol.kind {
                SymbolKind::Local(v)
                    if self.body.variables[v as usize].space == StateSpace::Param =>
                {
                    Some(Argument::Memory {
                        offset: self.variables[v as usize],
                        size: self.body.variables[v as usize].size,
                    })
                }
                SymbolKind::Parameter(p) => formal(&self.formals[p as usize]),
                SymbolKind::Result(r) => formal(&self.results[r as usize]),
                _ => None,
            }
        };
        let mut results = Vec::new();
        for operand in list(at.checked_sub(1)) {
            results.push(match memory(operand) {
                Some(argument) => argument,
                None => Argument::Result(self.target(operand)?),
            });
        }
        let mut arguments = Vec::new();
        for operand in list(Some(at + 1)) {
            arguments.push(match memory(operand) {
                Some(argument) => argument,
                None => Argument::Value(self.source(operand, None, i.span)?),
            });
        }
        Ok(Action::Call {
            callee,
            results,
            arguments,
        })
    }

    fn barrier(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let kind = if i.has(M::Arrive) {
            BarrierKind::Arrive
        } else if !i.has(M::RedMod) {
            BarrierKind::Sync
        } else if i.has(M::Popc) {
            BarrierKind::Popc
        } else if i.has(M::And) {
            BarrierKind::And
        } else {
            BarrierKind::Or
        };
        let mut operands = &i.operands[..];
        let reduces = matches!(kind, BarrierKind::Popc | BarrierKind::And | BarrierKind::Or);
        let (mut target, mut predicate) = (None, None);
        if reduces {
            let [first, rest @ .., last] = operands else {
                return Err(Failure::Unsupported);
            };
            target = self.target(first)?;
            predicate = Some(self.source(last, Some(M::Pred), i.span)?);
            operands = rest;
        }
        let id = self.source(
            operands.first().ok_or(Failure::Unsupported)?,
            Some(M::U32),
            i.span,
        )?;
        let count = match operands.get(1) {
            Some(operand) => Some(self.source(operand, Some(M::U32), i.span)?),
            None => None,
        };
        Ok(Action::Barrier {
            kind,
            id,
            count,
            predicate,
            target,
        })
    }

    fn warp(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let kind = match i.opcode {
            O::Shfl => WarpKind::Shuffle,
            O::Vote => WarpKind::Vote,
            O::Match => WarpKind::Match,
            O::Redux => WarpKind::Redux,
            O::Elect => WarpKind::Elect,
            _ => WarpKind::ActiveMask,
        };
        let (first, rest) = i.operands.split_first().ok_or(Failure::Unsupported)?;
        let targets = self.targets(first)?;
        let mut sources = Sources::new();
        for operand in rest {
            let ty = if kind == WarpKind::Vote && sources.is_empty() {
                Some(M::Pred)
            } else {
                None
            };
            sources.push(self.source(operand, ty, i.span)?);
        }
        // With .sync, the last operand is the mask.
        let mask = if i.has(M::Sync) {
            Some(sources.pop().ok_or(Failure::Unsupported)?)
        } else {
            None
        };
        Ok(Action::Warp {
            kind,
            targets,
            sources,
            mask,
            place: None,
        })
    }

    fn matrix(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let kind = match i.opcode {
            O::Ldmatrix => WarpKind::LoadMatrix,
            O::Stmatrix => WarpKind::StoreMatrix,
            O::Movmatrix => WarpKind::MoveMatrix,
            O::Mma => WarpKind::Mma,
            _ if i.has(M::Load) => WarpKind::WmmaLoad,
            _ if i.has(M::Store) => WarpKind::WmmaStore,
            _ => WarpKind::WmmaMma,
        };
        let mut targets = Targets::new();
        let mut sources = Sources::new();
        let mut place = None;
        let stores = matches!(kind, WarpKind::StoreMatrix | WarpKind::WmmaStore);
        for (index, operand) in i.operands.iter().enumerate() {
            if matches!(operand, Operand::Address { .. }) {
                place = Some(self.place(operand, space, i.span)?);
            } else if index == 0 && !stores {
                targets = self.targets(operand)?;
            } else {
                sources.extend(self.sources(operand, None, i.span)?);
            }
        }
        Ok(Action::Warp {
            kind,
            targets,
            sources,
            mask: Some(Source::Constant(0xffff_ffff)),
            place,
        })
    }

    fn copy_async(&mut self, i: &Instruction) -> Result<Action, Failure> {
        if i.has(M::WaitAll) || i.has(M::WaitGroup) || i.has(M::CommitGroup) {
            return Ok(Action::Nothing);
        }
        let [to, from, size, rest @ ..] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let Operand::Integer(bytes) = size else {
            return Err(Failure::Unsupported);
        };
        // What follows is the number of bytes to take or a predicate to take none, then a cache policy.
        let extra = rest.len() - usize::from(i.has(M::L2CacheHint));
        let (mut valid, mut ignore) = (None, None);
        if let (1, Some(operand)) = (extra, rest.first()) {
            let is_predicate = match operand {
                Operand::Register(r) => self.registers[r.0 as usize].1 == M::Pred,
                Operand::NotRegister(_) => true,
                _ => false,
            };
            let source = self.source(operand, Some(M::U32), i.span)?;
            if is_predicate {
                ignore = Some(source);
            } else {
                valid = Some(source);
            }
        }
        Ok(Action::CopyAsync {
            to: self.place(to, Space::Shared, i.span)?,
            from: self.place(from, Space::Global, i.span)?,
            bytes: *bytes as u32,
            valid,
            ignore,
        })
    }

    /// `cp.async.bulk` between two spaces, the destination's named first.
    fn copy_bulk(&mut self, i: &Instruction) -> Result<Action, Failure> {
        if i.has(M::WaitGroup) || i.has(M::CommitGroup) || i.has(M::Prefetch) {
            return Ok(Action::Nothing);
        }
        let others = [
            M::Tensor,
            M::Reduce,
            M::MulticastCluster,
            M::MulticastClusterAll,
            M::CpMask,
        ];
        if others.iter().any(|m| i.has(*m)) {
            return Err(Failure::Unsupported);
        }
        let mut spaces = i.modifiers.iter().filter_map(|m| match space_of(&[*m]) {
            Space::Generic => None,
            space => Some(space),
        });
        let (Some(to), Some(from)) = (spaces.next(), spaces.next()) else {
            return Err(Failure::Unsupported);
        };
        let [target, source, bytes, rest @ ..] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let barrier = match (i.has(M::MbarrierCompleteTxBytes), rest.first()) {
            (true, Some(operand)) => Some(self.place(operand, Space::Shared, i.span)?),
            (false, _) if i.has(M::BulkGroup) => None,
            _ => return Err(Failure::Unsupported),
        };
        Ok(Action::CopyBulk {
            to: self.place(target, to, i.span)?,
            from: self.place(source, from, i.span)?,
            bytes: self.source(bytes, Some(M::U32), i.span)?,
            barrier,
        })
    }

    fn mbarrier(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let operation = super::mbarrier::Operation::of(i).ok_or(Failure::Unsupported)?;
        let mut targets = Targets::new();
        let mut sources = Sources::new();
        let mut place = None;
        for (index, operand) in i.operands.iter().enumerate() {
            match operand {
                Operand::Address { .. } => place = Some(self.place(operand, space, i.span)?),
                _ if index == 0 && operation.has_result() => targets = self.targets(operand)?,
                Operand::Sink => {}
                _ => sources.push(self.source(operand, None, i.span)?),
            }
        }
        Ok(Action::MemoryBarrierObject {
            operation,
            place,
            targets,
            sources,
        })
    }
}

enum Failure {
    Unsupported,
    Error(Error),
}

/// The state space of an access or conversion.
fn space_of(modifiers: &[M]) -> Space {
    modifiers
        .iter()
        .find_map(|m| {
            Some(match m {
                M::Global | M::Const => Space::Global,
                M::Shared | M::SharedCta | M::SharedCluster => Space::Shared,
                M::Local => Space::Local,
                M::Param | M::ParamEntry | M::ParamFunc => Space::Param,
                _ => return None,
            })
        })
        .unwrap_or(Space::Generic)
}

/// The width of a pure instruction's result, and whether a wider register gets it sign-extended.
fn result_type(form: &Form) -> (u32, bool) {
    let ty = form.ty.unwrap_or(M::B64);
    let bits = semantics::width(ty);
    match form.opcode {
        O::Setp | O::Testp => (1, false),
        O::Popc | O::Clz | O::Bfind => (32, false),
        O::Mul | O::Mad if form.wide => (bits * 2, ty.is_signed()),
        O::Cvt if form.has(M::Pack) => (32, false),
        _ => (bits, ty.is_signed()),
    }
}
