//! Bodies to decoded instructions: registers, names and operands here, instructions in [`instructions`].

mod instructions;

use super::program::*;
use crate::error::Error;
use crate::memory::Memory;
use crate::semantics::{self, softfloat};
use ptx::{
    AddressBase, Body, Function, Modifier as M, Module, Operand, ScalarType, StateSpace, Statement,
    SymbolKind, Variable,
};

/// What a symbol stands for, once addresses are known.
#[derive(Clone, Copy)]
struct Resolved {
    space: Space,
    value: Source,
}

/// Decodes one body.
pub(super) struct Decoder<'p, 'm> {
    program: &'p mut Program,
    module: &'m Module<'m>,
    function: &'m Function,
    body: &'m Body,
    memory: &'p Memory,
    /// First slot and type of each register; `.b128` has two slots.
    registers: Vec<(u32, ScalarType)>,
    slots: u32,
    labels: Vec<u32>,
    /// By parameter and by result; of a vector register its first component.
    formals: Vec<Formal>,
    results: Vec<Formal>,
    /// The same as calls pass them: each component of a vector.
    taken: Vec<Formal>,
    given: Vec<Formal>,
    variables: Vec<u64>,
    param_bytes: u64,
    local_bytes: u64,
}

impl<'p, 'm> Decoder<'p, 'm> {
    pub(super) fn new(
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
            taken: Vec::new(),
            given: Vec::new(),
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
        let mut formal = |v: &Variable, all: &mut Vec<Formal>| match v.space {
            StateSpace::Reg => {
                let first = all.len();
                for &(slot, ty) in &self.registers[register..][..v.components() as usize] {
                    all.push(Formal::Register(TargetRegister {
                        slot,
                        bits: semantics::width(ty).min(64),
                    }));
                }
                register += v.components() as usize;
                all[first]
            }
            _ => {
                all.push(Formal::Memory {
                    offset: reserve(&mut self.param_bytes, v),
                    size: v.size,
                });
                all[all.len() - 1]
            }
        };
        // A kernel's parameters come first, so that they lie at their offsets in the parameter block.
        let (results, parameters) = (&self.function.results, &self.function.parameters);
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        self.results = results.iter().map(|v| formal(v, &mut given)).collect();
        self.formals = parameters.iter().map(|v| formal(v, &mut taken)).collect();
        (self.given, self.taken) = (given, taken);
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

    pub(super) fn decode(mut self) -> Result<Code, Error> {
        let body = self.body;
        let slot = |register: u32| {
            let slot = self.registers.get(register as usize).map(|r| r.0);
            slot.unwrap_or(self.slots) as usize
        };
        let shared_slots = slot(body.module_registers.start)..slot(body.module_registers.end);
        let mut instructions = Vec::new();
        for statement in &body.statements {
            let Statement::Instruction(instruction) = statement else {
                continue;
            };
            let form = self.program.form(instruction);
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
            shared_slots,
            parameters: self.taken,
            results: self.given,
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
                // As it is: a NaN keeps its bits.
                Some(format) if format != softfloat::F64 => format.round(
                    softfloat::F64.unpack(*bits),
                    softfloat::Rounding::NearestEven,
                ),
                _ => *bits,
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
            _ => {
                let mut sources = wide(operand)?;
                // Of a literal for 128 bits these are the lower half.
                if let (Some(M::B128), Some(Source::Constant(_))) = (ty, sources.first()) {
                    sources.push(Source::Constant(0));
                }
                Ok(sources)
            }
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
}

enum Failure {
    Unsupported,
    Error(Error),
}
