//! Registers and operands: where the value of a virtual register is kept, and how instructions read and write it.
//!
//! A register that is defined once before all its uses is that SSA value; others are Function variables, which are made at
//! first use. A value has the type it was last written with, and [`Emitter::cast`] makes others of it.

use super::home::Home;
use super::*;

/// Where a virtual register is kept.
#[derive(Clone, Copy)]
pub(super) enum Storage {
    /// Defined once, before all its uses: the value itself, once defined.
    Ssa(Option<Value>),
    /// A Function variable, made at first use; and its value where it is known, with the epoch that knows it.
    Variable {
        pointer: Option<Id>,
        known: Option<(u32, Value)>,
    },
    /// Words of the thread's memory; and its value where it is at hand: the epoch, the step of the block, and the value.
    Memory {
        home: Home,
        known: Option<(u32, usize, Value)>,
    },
}

/// Decides for each register between one value and a variable.
pub(super) fn place_registers(
    graph: &Graph,
    structured: &structurizer::Structured,
) -> Vec<Storage> {
    // Times of the walk over the tree: when each block runs, and when the region that holds it ends.
    let mut when = vec![(0u32, 0u32); graph.blocks.len()];
    fn walk(nodes: &[Node], clock: &mut u32, when: &mut [(u32, u32)]) {
        let mut here = Vec::new();
        for n in nodes {
            *clock += 1;
            match n {
                Node::Block(b) => {
                    when[b.0 as usize].0 = *clock;
                    here.push(b.0 as usize);
                }
                Node::If {
                    then, otherwise, ..
                } => {
                    walk(then, clock, when);
                    walk(otherwise, clock, when);
                }
                Node::Loop(body) => walk(body, clock, when),
                _ => {}
            }
        }
        *clock += 1;
        for b in here {
            when[b].1 = *clock;
        }
    }
    walk(&structured.body, &mut 0, &mut when);

    let count = graph.registers.len();
    // (definitions, block, step) of each register.
    let mut defined = vec![(0u32, 0u32, 0u32); count];
    let visit = |define: &mut dyn FnMut(Register, u32, u32, u32),
                 uses: &mut dyn FnMut(Register, u32, u32)| {
        for (b, block) in graph.blocks.iter().enumerate() {
            let b = b as u32;
            for (s, step) in block.steps.iter().enumerate() {
                let s = s as u32;
                match *step {
                    Step::Copy { to, from } => {
                        uses(from, b, s);
                        define(to, b, s, 1);
                    }
                    Step::Constant { to, .. } => define(to, b, s, 1),
                    Step::Instruction {
                        frame,
                        statement,
                        unpredicated,
                    } => {
                        let i = graph.instruction(frame, statement);
                        let n = graph::destinations(i);
                        let weight = match i.predicate {
                            Some(p) if !unpredicated => {
                                uses(graph.register(frame, p.register), b, s);
                                2
                            }
                            _ => 1,
                        };
                        for (k, o) in i.operands.iter().enumerate() {
                            let writes = k < n || (i.opcode == Opcode::Call && k == 0);
                            graph::operand_registers(o, &mut |r| {
                                let r = graph.register(frame, r);
                                if writes {
                                    define(r, b, s, weight);
                                } else {
                                    uses(r, b, s);
                                }
                            });
                        }
                    }
                }
            }
            if let Some(condition) = block.condition {
                uses(condition.register(), b, u32::MAX);
            }
        }
    };
    visit(
        &mut |r, b, s, weight| {
            let d = &mut defined[r as usize];
            *d = (d.0 + weight, b, s);
        },
        &mut |_, _, _| {},
    );
    let mut variable: Vec<bool> = defined.iter().map(|d| d.0 != 1).collect();
    // What is copied to a function's parameter is read through its name.
    for word in graph.words_of_parameters() {
        variable[word as usize] = true;
    }
    visit(&mut |_, _, _, _| {}, &mut |r, b, s| {
        let (_, db, ds) = defined[r as usize];
        let seen = if db == b {
            ds < s
        } else {
            let (def, end) = when[db as usize];
            let at = when[b as usize].0;
            def < at && at < end
        };
        if !seen {
            variable[r as usize] = true;
        }
    });
    variable
        .into_iter()
        .map(|v| {
            if v {
                Storage::Variable {
                    pointer: None,
                    known: None,
                }
            } else {
                Storage::Ssa(None)
            }
        })
        .collect()
}

/// The SPIR-V type that a register of a PTX type is kept in.
pub(crate) fn register_type(ty: ScalarType) -> Type {
    match ty {
        Modifier::Pred => Type::Bool,
        Modifier::F32 => Type::F32,
        Modifier::F64 => Type::F64,
        t => match t.size() {
            Some(1 | 2) => Type::U16,
            Some(8) => Type::U64,
            Some(16) => Type::Vector(Scalar::U64, 2),
            _ => Type::U32,
        },
    }
}

/// The SPIR-V type of a value of a PTX type in memory: integers and packed types as unsigned integers.
pub(crate) fn memory_type(ty: ScalarType) -> Type {
    match ty {
        Modifier::F32 => Type::F32,
        Modifier::F64 => Type::F64,
        t => match t.size() {
            Some(1) => Type::U8,
            Some(2) => Type::U16,
            Some(8) => Type::U64,
            Some(16) => Type::Vector(Scalar::U64, 2),
            _ => Type::U32,
        },
    }
}

impl<'a> Emitter<'a> {
    // ---- values ----

    /// The bits of a value as another type: reinterpreted where the sizes agree, cut or zero-extended where not.
    pub(crate) fn cast(&mut self, v: Value, ty: Type) -> Id {
        if v.ty == ty {
            return v.id;
        }
        if let Some(&(epoch, id)) = self.casts.get(&(v.id, ty)) {
            if epoch == self.epoch {
                return id;
            }
        }
        let id = match (v.ty, ty) {
            (Type::Bool, _) => {
                let (one, zero) = (
                    self.asm.constant(Type::U32, 1),
                    self.asm.constant(Type::U32, 0),
                );
                let id = self.asm.op(Op::Select, Type::U32, &[v.id, one, zero]);
                self.cast(Value { id, ty: Type::U32 }, ty)
            }
            (_, Type::Bool) => {
                let unsigned = Type::unsigned(v.ty.size());
                let id = self.cast(v, unsigned);
                let zero = self.asm.constant(unsigned, 0);
                self.asm.op(Op::INotEqual, Type::Bool, &[id, zero])
            }
            // The integers that stand for doubles.
            (from, to) if self.asm.held(from) != from || self.asm.held(to) != to => {
                let (from, whole) = (self.asm.held(from), self.asm.held(to));
                let id = self.cast(Value { id: v.id, ty: from }, whole);
                match whole == to {
                    true => id,
                    false => self.asm.op(Op::Bitcast, to, &[id]),
                }
            }
            (from, to) if from.size() == to.size() => self.asm.op(Op::Bitcast, to, &[v.id]),
            // 128 bits are two words.
            (Type::Vector(Scalar::U64, 2), _) => {
                let id = self.asm.op(Op::CompositeExtract, Type::U64, &[v.id, 0]);
                self.cast(Value { id, ty: Type::U64 }, ty)
            }
            (_, Type::Vector(Scalar::U64, 2)) => {
                let low = self.cast(v, Type::U64);
                let high = self.asm.constant(Type::U64, 0);
                self.asm.op(Op::CompositeConstruct, ty, &[low, high])
            }
            (from, to) => {
                let (from, to_int) = (Type::unsigned(from.size()), Type::unsigned(to.size()));
                let id = self.cast(v, from);
                let id = self.asm.op(Op::UConvert, to_int, &[id]);
                self.cast(Value { id, ty: to_int }, to)
            }
        };
        self.casts.insert((v.id, ty), (self.epoch, id));
        id
    }

    /// The value of a virtual register, in whatever type it is known.
    pub(super) fn register(&mut self, r: Register) -> Value {
        let ty = register_type(self.graph.registers[r as usize]);
        match self.storage[r as usize] {
            Storage::Ssa(Some(v)) => v,
            Storage::Variable {
                known: Some((epoch, v)),
                ..
            } if epoch == self.epoch => v,
            Storage::Memory { home, known } => {
                let v = match known {
                    Some((epoch, at, v))
                        if epoch == self.epoch && self.step <= at + pressure::AT_HAND =>
                    {
                        v
                    }
                    _ => self.load_home(home, ty),
                };
                self.storage[r as usize] = Storage::Memory {
                    home,
                    known: Some((self.epoch, self.step, v)),
                };
                v
            }
            Storage::Ssa(None) => {
                // Read but never written on any path that leads here.
                let id = self.undefined(ty);
                Value { id, ty }
            }
            Storage::Variable { pointer, .. } => {
                let pointer = pointer.unwrap_or_else(|| self.asm.variable(ty));
                let id = self.asm.op(Op::Load, ty, &[pointer]);
                let v = Value { id, ty };
                self.storage[r as usize] = Storage::Variable {
                    pointer: Some(pointer),
                    known: Some((self.epoch, v)),
                };
                v
            }
        }
    }

    pub(super) fn undefined(&mut self, ty: Type) -> Id {
        self.asm.op(Op::Undef, ty, &[])
    }

    /// Writes a virtual register, under the predicate of the current instruction.
    pub(super) fn set_register(&mut self, r: Register, v: Value) {
        let ty = register_type(self.graph.registers[r as usize]);
        let v = match self.predicate {
            None => v,
            Some(p) => {
                let old = self.register(r);
                let old = self.cast(old, ty);
                let new = self.cast(v, ty);
                Value {
                    id: self.asm.op(Op::Select, ty, &[p, new, old]),
                    ty,
                }
            }
        };
        self.computed(v);
        self.forget_rows(r);
        match self.storage[r as usize] {
            Storage::Ssa(_) => self.storage[r as usize] = Storage::Ssa(Some(v)),
            Storage::Memory { home, .. } => {
                self.store_home(home, v, ty);
                self.storage[r as usize] = Storage::Memory {
                    home,
                    known: Some((self.epoch, self.step, v)),
                };
            }
            Storage::Variable { pointer, .. } => {
                let pointer = pointer.unwrap_or_else(|| self.asm.variable(ty));
                let id = self.cast(v, ty);
                self.asm.void(Op::Store, &[pointer, id]);
                self.storage[r as usize] = Storage::Variable {
                    pointer: Some(pointer),
                    known: Some((self.epoch, v)),
                };
            }
        }
    }

    /// The virtual register of an operand of the current frame.
    pub(crate) fn virtual_register(&self, r: ptx::RegisterId) -> Register {
        self.graph.register(self.frame, r)
    }

    /// The declared type of a register operand.
    pub(crate) fn declared(&self, o: &Operand) -> Option<ScalarType> {
        match o {
            Operand::Register(r) => Some(self.graph.registers[self.virtual_register(*r) as usize]),
            _ => None,
        }
    }

    /// Where a symbol of the current frame lives.
    pub(crate) fn place(&self, symbol: SymbolId) -> Result<Place> {
        self.graph
            .place(self.module, self.layout, self.frame, symbol)
            .ok_or_else(|| {
                let name =
                    &self.graph.frames[self.frame as usize].body.symbols[symbol.0 as usize].name;
                EmitError::Invalid(format!(
                    "{name} is neither variable, parameter nor function"
                ))
            })
    }

    /// The name of a symbol of the current frame.
    pub(crate) fn symbol_name(&self, symbol: SymbolId) -> &'a str {
        let graph: &'a Graph<'a> = self.graph;
        &graph.frames[self.frame as usize].body.symbols[symbol.0 as usize].name
    }

    /// An operand's value as an id of the wanted type.
    pub(crate) fn value(&mut self, o: &Operand, ty: Type) -> Result<Id> {
        Ok(match o {
            Operand::Register(r) => {
                let v = self.register(self.virtual_register(*r));
                self.cast(v, ty)
            }
            Operand::NotRegister(r) => {
                let v = self.register(self.virtual_register(*r));
                let b = self.cast(v, Type::Bool);
                let id = self.asm.op(Op::LogicalNot, Type::Bool, &[b]);
                self.cast(Value { id, ty: Type::Bool }, ty)
            }
            // A literal has 64 bits, and 0 above them, negative ones as well: so does ptxas.
            Operand::Integer(bits) if ty.size() == 16 => {
                let parts = [*bits, 0].map(|half| self.asm.constant(Type::U64, half));
                self.asm.composite(ty, &parts)
            }
            Operand::Integer(bits) => match ty {
                Type::Bool => self.asm.constant(ty, u64::from(*bits != 0)),
                _ => self.asm.constant(ty, *bits),
            },
            Operand::Single(bits) => match ty.size() {
                8 => self
                    .asm
                    .constant(ty, (f32::from_bits(*bits) as f64).to_bits()),
                _ => self.asm.constant(ty, *bits as u64),
            },
            Operand::Double(bits) => match ty {
                Type::F32 | Type::U32 => self
                    .asm
                    .constant(ty, (f64::from_bits(*bits) as f32).to_bits() as u64),
                _ => self.asm.constant(ty, *bits),
            },
            Operand::Special(s) => {
                let v = self.special(*s)?;
                self.cast(v, ty)
            }
            Operand::Symbol { symbol, offset } => {
                let v = self.symbol_address(*symbol, *offset)?;
                self.cast(v, ty)
            }
            Operand::Vector(parts) if parts.len() == 1 => self.value(&parts[0], ty)?,
            _ => {
                return Err(EmitError::Invalid(
                    "an operand of a kind that has no value".into(),
                ))
            }
        })
    }

    /// An operand as a boolean.
    pub(crate) fn boolean(&mut self, o: &Operand) -> Result<Id> {
        self.value(o, Type::Bool)
    }

    /// The operand's value if it is an integer literal.
    pub(crate) fn literal(o: &Operand) -> Option<u64> {
        match o {
            Operand::Integer(v) => Some(*v),
            _ => None,
        }
    }

    /// The operand's value if it is an integer literal or a register that holds one all the time.
    pub(crate) fn known_integer(&self, o: &Operand) -> Option<u64> {
        match o {
            Operand::Register(r) => self.constants[self.virtual_register(*r) as usize],
            _ => Self::literal(o),
        }
    }

    /// Writes a destination operand.
    pub(crate) fn set(&mut self, o: &Operand, ty: Type, id: Id) -> Result<()> {
        match o {
            Operand::Register(r) => {
                let r = self.virtual_register(*r);
                self.set_register(r, Value { id, ty });
                Ok(())
            }
            Operand::Sink => Ok(()),
            Operand::Vector(parts) if parts.len() == 1 => self.set(&parts[0], ty, id),
            _ => Err(EmitError::Invalid(
                "a destination that is not a register".into(),
            )),
        }
    }

    /// Writes a destination with an integer of `ty` widened to the register's width: sign-extended if `signed`.
    pub(crate) fn set_widened(
        &mut self,
        o: &Operand,
        ty: Type,
        id: Id,
        signed: bool,
    ) -> Result<()> {
        let Some(declared) = self.declared(o) else {
            return self.set(o, ty, id);
        };
        let wide = Type::unsigned(register_type(declared).size().max(2));
        if signed && wide.size() > ty.size() {
            let id = self.asm.op(Op::SConvert, wide, &[id]);
            return self.set(o, wide, id);
        }
        self.set(o, ty, id)
    }

    /// A vector operand's elements; a scalar is a vector of one.
    pub(crate) fn elements(o: &Operand) -> &[Operand] {
        match o {
            Operand::Vector(parts) => parts,
            one => std::slice::from_ref(one),
        }
    }

    /// The operand with an index, or an error that names the instruction.
    pub(crate) fn operand<'i>(&self, i: &'i Instruction, index: usize) -> Result<&'i Operand> {
        i.operands
            .get(index)
            .ok_or_else(|| EmitError::Invalid(format!("{} needs more operands", i.mnemonic())))
    }
}
