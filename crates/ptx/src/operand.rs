//! Operands of instructions.

use crate::ast::*;
use crate::body::{unit, Parser, MAX_REGISTERS};
use crate::cursor::{is_name_byte, text, Number, Result};
use crate::keywords;
use crate::names::Binding;

/// What a name in an operand stands for.
enum Named {
    /// The first register and how many follow.
    Register(RegisterId, u32),
    /// A symbol, and the size of its elements.
    Symbol(SymbolId, u32),
    Other(Operand),
}

impl<'m> Parser<'m, '_> {
    /// The register named next: a scalar.
    pub(crate) fn register_operand(&mut self) -> Result<RegisterId> {
        self.cursor.skip_space();
        let at = self.cursor.pos;
        match self.named()? {
            Named::Register(register, 1) => Ok(register),
            _ => Err(self.cursor.fault_at(at, "expected a register, found")),
        }
    }

    /// One operand, a pair included.
    #[inline]
    pub(crate) fn operand(&mut self, opcode: Opcode) -> Result<Operand> {
        let first = self.single_operand(opcode)?;
        if self.cursor.peek() != b'|' && self.cursor.next_byte() != b'|' {
            return Ok(first);
        }
        self.cursor.pos += 1;
        let second = self.single_operand(opcode)?;
        Ok(Operand::Pair(Box::new((first, second))))
    }

    #[inline]
    fn single_operand(&mut self, opcode: Opcode) -> Result<Operand> {
        match self.cursor.next_byte() {
            b'{' => self.vector(),
            b'[' => self.address(),
            b'!' if self.cursor.peek_at(1) == b'%' || !self.cursor.peek_at(1).is_ascii_digit() => {
                self.cursor.pos += 1;
                self.register_operand().map(Operand::NotRegister)
            }
            _ => self.simple_operand(opcode),
        }
    }

    /// A register, constant, special register, symbol or `_`.
    #[inline]
    fn simple_operand(&mut self, opcode: Opcode) -> Result<Operand> {
        self.cursor.skip_space();
        if opcode == Opcode::Vmad
            && self.cursor.peek() == b'-'
            && !self.cursor.peek_at(1).is_ascii_digit()
        {
            self.cursor.pos += 1;
            self.part.negated = true;
        }
        if self.cursor.peek() != b'%' && (self.cursor.at_constant() || self.cursor.peek() == b'!') {
            return Ok(match self.cursor.constant()? {
                Number::Integer { value, .. } => Operand::Integer(value),
                Number::Single(bits) => Operand::Single(bits),
                Number::Double(bits) => Operand::Double(bits),
            });
        }
        match self.named()? {
            Named::Register(register, 1) => {
                // `%r1.b0`, `%r1.h10`: the video instructions' parts of registers.
                let at = self.cursor.pos;
                if self.cursor.peek() == b'.'
                    && matches!(self.cursor.peek_at(1), b'b' | b'h')
                    && self.cursor.peek_at(2).is_ascii_digit()
                {
                    let text = self.cursor.dotted()?;
                    match Selector::of(text, opcode, self.is_destination) {
                        Some(selector) => self.part.selector = Some(selector),
                        None => {
                            return Err(self.cursor.fault_at(
                                at,
                                "a part of a register that the instruction does not take:",
                            ))
                        }
                    }
                }
                if matches!(self.cursor.next_byte(), b'+' | b'-') && !self.is_destination {
                    let offset = self.cursor.offset()?;
                    return self.sum(register, offset, at).map(Operand::Register);
                }
                Ok(Operand::Register(register))
            }
            Named::Register(first, width) => Ok(Operand::Vector(
                (first.0..first.0 + width)
                    .map(|r| Operand::Register(RegisterId(r)))
                    .collect(),
            )),
            Named::Other(operand) => Ok(operand),
            Named::Symbol(symbol, unit) => {
                let at = self.cursor.pos;
                if !self.cursor.eat(b'[') {
                    return Ok(Operand::Symbol {
                        symbol,
                        offset: self.cursor.offset()?,
                    });
                }
                self.cursor.skip_space();
                if self.cursor.at_name() && !self.cursor.at_constant() {
                    let index = self.register_operand()?;
                    let offset = self.cursor.offset()?.wrapping_mul(unit as i64);
                    self.cursor.expect(b']')?;
                    let address = self.element(symbol, index, unit, at)?;
                    return Ok(match (opcode, offset) {
                        (Opcode::Mov | Opcode::Cvta, 0) => Operand::Register(address),
                        (Opcode::Mov | Opcode::Cvta, _) => {
                            Operand::Register(self.sum(address, offset, at)?)
                        }
                        _ => Operand::Address {
                            base: AddressBase::Register(address),
                            offset,
                        },
                    });
                }
                let offset = (self.cursor.integer()? as i64).wrapping_mul(unit as i64);
                self.cursor.expect(b']')?;
                Ok(match opcode {
                    Opcode::Mov | Opcode::Cvta => Operand::Symbol { symbol, offset },
                    _ => Operand::Address {
                        base: AddressBase::Symbol(symbol),
                        offset,
                    },
                })
            }
        }
    }

    /// A register that does not stand in the text.
    fn new_register(&mut self, element: ScalarType, at: usize) -> Result<RegisterId> {
        let register = RegisterId(self.body.registers.len() as u32);
        if self.body.registers.len() >= MAX_REGISTERS {
            return Err(self.cursor.fault_at(at, "too many registers:"));
        }
        self.body.registers.push(element);
        let name = (register, None, "%sum".into());
        self.body.register_names.push(name);
        Ok(register)
    }

    /// An instruction that does not stand in the text, before the one that is read.
    fn before(&mut self, at: usize, opcode: Opcode, modifiers: &[Modifier], operands: &[Operand]) {
        let instruction = Instruction {
            predicate: None,
            opcode,
            modifiers: modifiers.into(),
            operands: operands.into(),
            parts: None,
            span: Span(at as u32),
        };
        self.body
            .statements
            .push(Statement::Instruction(instruction));
    }

    /// `%r1+4` for an operand that is no address: the sum in a register of its own. The ISA has operands of this form
    /// ("Operands", register and constant offset) and does not say where they may stand.
    fn sum(&mut self, register: RegisterId, offset: i64, at: usize) -> Result<RegisterId> {
        let element = self.body.registers[register.0 as usize];
        let modifier = match (element.is_float(), element.size()) {
            (false, Some(2)) => Modifier::U16,
            (false, Some(4)) => Modifier::U32,
            (false, Some(8)) => Modifier::U64,
            _ => {
                return Err(self
                    .cursor
                    .fault_at(at, "a register of this type and an offset:"))
            }
        };
        let sum = self.new_register(element, at)?;
        let operands = [
            Operand::Register(sum),
            Operand::Register(register),
            Operand::Integer(offset as u64),
        ];
        self.before(at, Opcode::Add, &[modifier], &operands);
        Ok(sum)
    }

    /// `table[%r1]`: the address of the element in a register of its own (PTX ISA, "Arrays as Operands").
    fn element(
        &mut self,
        symbol: SymbolId,
        index: RegisterId,
        unit: u32,
        at: usize,
    ) -> Result<RegisterId> {
        use Modifier::{Lo, S16, S32, S64, U16, U32, U64};
        let element = self.body.registers[index.0 as usize];
        let from = match (element.size(), element == S16 || element == S32) {
            (Some(2), true) => S16,
            (Some(2), false) => U16,
            (Some(4), true) => S32,
            (Some(4), false) => U32,
            (Some(8), _) => S64,
            _ => return Err(self.cursor.fault_at(at, "an index that is no integer:")),
        };
        let (base, wide) = (self.new_register(U64, at)?, self.new_register(U64, at)?);
        let address = self.new_register(U64, at)?;
        let [to_base, to_wide, to] = [base, wide, address].map(Operand::Register);
        let symbol = Operand::Symbol { symbol, offset: 0 };
        self.before(at, Opcode::Mov, &[U64], &[to_base.clone(), symbol]);
        let convert = [to_wide.clone(), Operand::Register(index)];
        self.before(at, Opcode::Cvt, &[S64, from], &convert);
        let scaled = [to, to_wide, Operand::Integer(unit.into()), to_base];
        self.before(at, Opcode::Mad, &[Lo, U64], &scaled);
        Ok(address)
    }

    /// `{a, b, c, d}`
    fn vector(&mut self) -> Result<Operand> {
        self.cursor.expect(b'{')?;
        self.elements(b'}').map(Operand::Vector)
    }

    /// `(a, b)`, maybe empty.
    pub(crate) fn list(&mut self) -> Result<Operand> {
        self.cursor.expect(b'(')?;
        if self.cursor.eat(b')') {
            return Ok(Operand::List(Box::default()));
        }
        self.elements(b')').map(Operand::List)
    }

    fn elements(&mut self, end: u8) -> Result<Box<[Operand]>> {
        let mut elements = smallvec::SmallVec::<[Operand; 8]>::new();
        loop {
            self.cursor.skip_space();
            let at = self.cursor.pos;
            // Arguments may be vectors; vectors hold scalars only.
            let element = match self.cursor.peek() {
                b'{' if end == b')' => self.vector()?,
                _ => self.simple_operand(Opcode::Mov)?,
            };
            if end == b'}' && matches!(element, Operand::Vector(_)) {
                return Err(self.cursor.fault_at(at, "a vector within a vector:"));
            }
            elements.push(element);
            if !self.cursor.eat(b',') {
                self.cursor.expect(end)?;
                return Ok(elements.into_vec().into_boxed_slice());
            }
        }
    }

    /// `[base+offset]`, or `[texture, sampler, {x, y}]`.
    #[inline]
    fn address(&mut self) -> Result<Operand> {
        self.cursor.pos += 1;
        self.cursor.skip_space();
        let at = self.cursor.pos;
        let (base, offset) = if self.cursor.peek() != b'%' && self.cursor.at_constant() {
            (AddressBase::Absolute, self.cursor.integer()? as i64)
        } else {
            let base = match self.named()? {
                Named::Register(register, 1) => AddressBase::Register(register),
                Named::Symbol(symbol, _) => AddressBase::Symbol(symbol),
                _ => return Err(self.cursor.fault_at(at, "expected an address, found")),
            };
            (
                base,
                if self.cursor.peek() == b']' {
                    0
                } else {
                    self.cursor.offset()?
                },
            )
        };
        if self.cursor.eat(b']') {
            return Ok(Operand::Address { base, offset });
        }
        if !self.cursor.eat(b',') {
            return Err(self.cursor.expected("`]`"));
        }
        let mut elements = vec![match (base, offset) {
            (AddressBase::Register(register), 0) => Operand::Register(register),
            (AddressBase::Symbol(symbol), offset) => Operand::Symbol { symbol, offset },
            _ => Operand::Address { base, offset },
        }];
        loop {
            elements.push(match self.cursor.next_byte() {
                b'{' => self.vector()?,
                _ => self.simple_operand(Opcode::Mov)?,
            });
            if !self.cursor.eat(b',') {
                self.cursor.expect(b']')?;
                return Ok(Operand::TextureAddress(elements.into_boxed_slice()));
            }
        }
    }

    /// The name that starts here, with `.x` behind it.
    #[inline]
    fn named(&mut self) -> Result<Named> {
        let at = self.cursor.pos;
        let name = self.cursor.name()?;
        match self.names.find(name) {
            Some(Binding::Register { first, width: 1 }) => {
                return Ok(Named::Register(RegisterId(first), 1))
            }
            Some(Binding::Register { first, width }) => {
                return Ok(match self.component() {
                    Some(index) if index < width => Named::Register(RegisterId(first + index), 1),
                    Some(_) => {
                        return Err(self
                            .cursor
                            .fault_at(at, "a component that the vector lacks:"))
                    }
                    None => Named::Register(RegisterId(first), width),
                });
            }
            Some(Binding::Variable(index)) => {
                let slot = index as usize;
                let symbol = match self.variable_symbols[slot] {
                    Some(symbol) => symbol,
                    None => {
                        let name = self.body.variables[slot].name.clone();
                        let symbol = self.new_symbol(Symbol {
                            name,
                            kind: SymbolKind::Local(index),
                        });
                        self.variable_symbols[slot] = Some(symbol);
                        symbol
                    }
                };
                return Ok(Named::Symbol(symbol, unit(&self.body.variables[slot])));
            }
            Some(Binding::Parameter(index)) => {
                let symbol = match self.parameter_symbols[index as usize] {
                    Some(symbol) => symbol,
                    None => {
                        let symbol = self.parameter_symbol(index);
                        let symbol = self.new_symbol(symbol);
                        self.parameter_symbols[index as usize] = Some(symbol);
                        symbol
                    }
                };
                return Ok(Named::Symbol(symbol, self.parameter_unit(index)));
            }
            None => {}
        }
        if let Some(word) = name.strip_prefix(b"%") {
            // Almost never a variable of the module.
            match self.special(at, word) {
                Err(_) if self.module_item(name).is_some() => {}
                special => return special,
            }
        }
        if name == b"_" {
            return Ok(Named::Other(Operand::Sink));
        }
        let Some(unit) = self.module_item(name) else {
            return Err(self.cursor.fault_at(at, "an undeclared name:"));
        };
        let symbol = match self.module_symbols.get(name) {
            Some(&symbol) => symbol,
            None => {
                let symbol = self.new_symbol(Symbol {
                    name: text(name).into(),
                    kind: SymbolKind::Module,
                });
                self.module_symbols.insert(name, symbol);
                symbol
            }
        };
        Ok(Named::Symbol(symbol, unit))
    }

    fn new_symbol(&mut self, symbol: Symbol) -> SymbolId {
        self.body.symbols.push(symbol);
        SymbolId(self.body.symbols.len() as u32 - 1)
    }

    /// Takes `.x` to `.w` or `.r` to `.a` if it comes next.
    fn component(&mut self) -> Option<u32> {
        if self.cursor.peek() != b'.' || is_name_byte(self.cursor.peek_at(2)) {
            return None;
        }
        let index = match self.cursor.peek_at(1) {
            b'x' | b'r' => 0,
            b'y' | b'g' => 1,
            b'z' | b'b' => 2,
            b'w' | b'a' => 3,
            _ => return None,
        };
        self.cursor.pos += 2;
        Some(index)
    }

    /// A special register; `word` is its name without the percent sign.
    fn special(&mut self, at: usize, word: &[u8]) -> Result<Named> {
        if let Some(register) = keywords::special(word) {
            return Ok(Named::Other(Operand::Special(register)));
        }
        let Some(x) = keywords::special_vector(word) else {
            return Err(
                if word.iter().any(u8::is_ascii_digit) && !word.starts_with(b"envreg") {
                    self.cursor.fault_at(
                        at,
                        "an undeclared register, or an unknown special register:",
                    )
                } else {
                    self.cursor.unsupported(at, "special register", word)
                },
            );
        };
        // The fourth component is 0 (PTX ISA, "%tid").
        let part = |index: u32| match x.get(index as usize) {
            Some(&register) => Operand::Special(register),
            None => Operand::Integer(0),
        };
        Ok(Named::Other(match self.component() {
            Some(index) => part(index),
            None => Operand::Vector((0..4).map(part).collect()),
        }))
    }
}
