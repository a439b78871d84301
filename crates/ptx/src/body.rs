//! One function's body: declarations, labels and instructions, with names resolved as they are met.

use crate::ast::*;
use crate::check::{check, Scope};
use crate::cursor::{text, Cursor, Result};
use crate::declaration::{linkage, state_space};
use crate::module::Item;
use crate::names::{Binding, Names, Target};
use crate::{keywords, Module};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::ops::RangeInclusive;

/// In these versions and up to this target, the forms of [`crate::check`] are all that there are.
const ALL_FORMS: (RangeInclusive<(u16, u16)>, u32) = ((2, 0)..=(9, 1), 90);
/// How deep `{ }` may nest.
const MAX_SCOPES: usize = 256;
/// How many registers a body may declare.
pub(crate) const MAX_REGISTERS: usize = 1 << 20;
/// How many names of its own the registers of a body may have, numbered scalars not counted.
const MAX_REGISTER_NAMES: usize = 1 << 16;

/// Parses the body that the cursor's text ends with.
pub(crate) fn parse<'m>(
    module: &'m Module<'_>,
    function: &'m Function,
    cursor: Cursor<'m>,
) -> Result<Body> {
    let mut parser = Parser {
        module,
        function,
        cursor,
        names: Names::new(),
        body: Body::default(),
        fixups: Vec::new(),
        parameter_symbols: vec![None; function.results.len() + function.parameters.len()],
        variable_symbols: Vec::new(),
        module_symbols: FxHashMap::default(),
        copied_parameters: 0,
        part: Part::default(),
        is_destination: false,
        are_forms_known: ALL_FORMS.0.contains(&module.header.version)
            && module.header.target <= ALL_FORMS.1,
    };
    // An instruction takes some 30 bytes of text.
    parser
        .body
        .statements
        .reserve((parser.cursor.text.len() - parser.cursor.pos) / 40);
    parser.bind_parameters()?;
    parser.bind_module_registers();
    parser.statements()?;
    parser.resolve_labels()?;
    Ok(parser.body)
}

pub(crate) struct Parser<'m, 'a> {
    pub(crate) module: &'m Module<'a>,
    function: &'m Function,
    pub(crate) cursor: Cursor<'m>,
    pub(crate) names: Names<'m>,
    pub(crate) body: Body,
    /// Statements with operands that name labels. Their numbers are known at the end only.
    fixups: Vec<u32>,
    /// The symbols of results and parameters, of variables, and of the module's names, once used.
    pub(crate) parameter_symbols: Vec<Option<SymbolId>>,
    pub(crate) variable_symbols: Vec<Option<SymbolId>>,
    pub(crate) module_symbols: FxHashMap<&'m [u8], SymbolId>,
    /// Parameters and results copied for `.calltargets`.
    copied_parameters: usize,
    /// What is said of the operand that was read last.
    pub(crate) part: Part,
    /// Whether the operand that is read is the instruction's first.
    pub(crate) is_destination: bool,
    /// Whether instructions have no other forms than those of [`crate::check`].
    are_forms_known: bool,
}

impl<'m> Parser<'m, '_> {
    fn bind_parameters(&mut self) -> Result<()> {
        let function = self.function;
        for (index, parameter) in function
            .results
            .iter()
            .chain(&function.parameters)
            .enumerate()
        {
            let name = parameter.name.as_bytes();
            let at = parameter.span.0 as usize;
            if parameter.space == StateSpace::Reg {
                let Some(element) = parameter.element else {
                    return Err(self.cursor.fault_at(at, "a register without a type:"));
                };
                self.register(name, element, parameter.components(), None, at)?;
            // `_` is a parameter without a name.
            } else if !self.names.bind(name, Binding::Parameter(index as u32)) && name != b"_" {
                return Err(self.cursor.fault_at(at, "a second declaration of"));
            }
        }
        Ok(())
    }

    fn bind_module_registers(&mut self) {
        let start = self.body.registers.len() as u32;
        for registers in &self.module.registers {
            let first = self.body.registers.len();
            let end = first + registers.total() as usize;
            self.body.registers.resize(end, registers.element);
            let count = registers.count.map(|count| count as u32);
            let name = registers.name.as_bytes();
            self.name_registers(&registers.name, first as u32, count, registers.width);
            self.names
                .bind_outside(name, first as u32, count, registers.width);
        }
        self.body.module_registers = start..self.body.registers.len() as u32;
    }

    fn statements(&mut self) -> Result<()> {
        loop {
            match self.cursor.next_byte() {
                b'{' => {
                    if self.names.depth() >= MAX_SCOPES {
                        return Err(self.cursor.fault("scopes nested too deeply at"));
                    }
                    self.cursor.pos += 1;
                    self.names.open();
                }
                b'}' => {
                    if self.names.depth() == 1 {
                        return Err(self.cursor.expected("a statement"));
                    }
                    self.cursor.pos += 1;
                    self.names.close();
                }
                b';' => self.cursor.pos += 1,
                b'.' => self.directive()?,
                0 if self.cursor.at_end() => break,
                _ => self.label_or_instruction()?,
            }
        }
        if self.names.depth() > 1 {
            return Err(self.cursor.expected("`}`"));
        }
        Ok(())
    }

    fn directive(&mut self) -> Result<()> {
        let mut linked = Linkage::Internal;
        loop {
            let start = self.cursor.pos;
            let word = self.cursor.dotted()?;
            if let Some(linkage) = linkage(word) {
                linked = linkage;
                if self.cursor.next_byte() != b'.' {
                    return Err(self.cursor.expected("a directive"));
                }
                continue;
            }
            return match word {
                b"reg" => self.registers(),
                b"loc" => self.cursor.location(),
                b"pragma" => self.cursor.pragma(),
                word => match state_space(word) {
                    Some(space) => self.variables(space, linked),
                    None => Err(self.cursor.unsupported(start, "directive", word)),
                },
            };
        }
    }

    /// What follows `.reg`.
    fn registers(&mut self) -> Result<()> {
        let declared = self.cursor.declared_type()?;
        let Some(element) = declared.element else {
            return Err(self.cursor.fault("a register of an opaque type:"));
        };
        loop {
            self.cursor.skip_space();
            let at = self.cursor.pos;
            let (name, count) = self.cursor.registers()?;
            self.register(name, element, declared.width, count, at)?;
            if !self.cursor.eat(b',') {
                return self.cursor.expect(b';');
            }
        }
    }

    /// Declares one name, or `count` numbered ones.
    fn register(
        &mut self,
        name: &'m [u8],
        element: ScalarType,
        width: u32,
        count: Option<u64>,
        at: usize,
    ) -> Result<()> {
        let first = self.body.registers.len();
        let left = MAX_REGISTERS - first;
        let total = count.unwrap_or(1).saturating_mul(width as u64);
        if total > left as u64 {
            return Err(self
                .cursor
                .fault_at(at, &format!("more than {MAX_REGISTERS} registers:")));
        }
        let new_names = if width > 1 { total as usize } else { 1 };
        if new_names > MAX_REGISTER_NAMES - self.body.register_names.len() {
            return Err(self.cursor.fault_at(at, "too many names of registers:"));
        }
        self.body.registers.resize(first + total as usize, element);
        let first = first as u32;
        let is_new = match count {
            Some(count) => self.names.bind_range(name, first, count as u32, width),
            None => self.names.bind(name, Binding::Register { first, width }),
        };
        if !is_new {
            return Err(self.cursor.fault_at(at, "a second declaration of"));
        }
        self.name_registers(text(name), first, count.map(|count| count as u32), width);
        Ok(())
    }

    /// Notes the names of registers: of one, or of `count` numbered ones.
    fn name_registers(&mut self, prefix: &str, first: u32, count: Option<u32>, width: u32) {
        let total = count.unwrap_or(1) * width;
        if total == 0 {
            return;
        }
        if width == 1 {
            self.body
                .register_names
                .push((RegisterId(first), count, prefix.into()));
            return;
        }
        for index in 0..total {
            let component = COMPONENTS
                .get((index % width) as usize)
                .copied()
                .unwrap_or('?');
            let name = match count {
                Some(_) => format!("{prefix}{}.{component}", index / width),
                None => format!("{prefix}.{component}"),
            };
            self.body
                .register_names
                .push((RegisterId(first + index), None, name.into()));
        }
    }

    fn variables(&mut self, space: StateSpace, linkage: Linkage) -> Result<()> {
        let declared = self.cursor.declared_type()?;
        loop {
            self.cursor.skip_space();
            let at = self.cursor.pos;
            let name = self.cursor.clone().name()?;
            let variable = self.cursor.declarator(declared, space, linkage)?;
            if !self
                .names
                .bind(name, Binding::Variable(self.body.variables.len() as u32))
            {
                return Err(self.cursor.fault_at(at, "a second declaration of"));
            }
            self.body.variables.push(variable);
            self.variable_symbols.push(None);
            if !self.cursor.eat(b',') {
                return self.cursor.expect(b';');
            }
        }
    }

    fn label_or_instruction(&mut self) -> Result<()> {
        let start = self.cursor.pos;
        if self.cursor.peek() == b'@' {
            self.cursor.pos += 1;
            let negated = self.cursor.eat(b'!');
            let register = self.register_operand()?;
            self.cursor.skip_space();
            let at = self.cursor.pos;
            let word = self.cursor.name()?;
            return self.instruction(start, at, word, Some(Predicate { register, negated }));
        }
        let word = self.cursor.name()?;
        if self.cursor.peek() != b'.' && self.cursor.next_byte() == b':' {
            self.cursor.pos += 1;
            return self.label(word, start);
        }
        self.instruction(start, start, word, None)
    }

    /// A label whose colon was read, with what it stands in front of if that is a directive.
    fn label(&mut self, name: &'m [u8], at: usize) -> Result<()> {
        let target = match self.cursor.peek_dotted() {
            Some(b"branchtargets") => {
                self.cursor.dotted()?;
                let mut targets = Vec::new();
                loop {
                    self.cursor.skip_space();
                    let at = self.cursor.pos;
                    let name = self.cursor.name()?;
                    targets.push(LabelId(self.names.label(name, at)));
                    if !self.cursor.eat(b',') {
                        break;
                    }
                }
                self.cursor.expect(b';')?;
                self.body.branch_targets.push(targets);
                Target::Branches(self.body.branch_targets.len() as u32 - 1)
            }
            Some(b"callprototype") => {
                self.cursor.dotted()?;
                let prototype = self.prototype(name)?;
                self.body.prototypes.push(prototype);
                Target::Prototype(self.body.prototypes.len() as u32 - 1)
            }
            Some(b"calltargets") => {
                self.cursor.dotted()?;
                let prototype = self.call_targets(name)?;
                self.body.prototypes.push(prototype);
                Target::Prototype(self.body.prototypes.len() as u32 - 1)
            }
            _ => {
                let id = LabelId(self.body.labels.len() as u32);
                self.body.labels.push(text(name).into());
                self.body.statements.push(Statement::Label(id));
                Target::Code(id.0)
            }
        };
        if !self.names.define(name, target) {
            return Err(self.cursor.fault_at(at, "a second definition of the label"));
        }
        Ok(())
    }

    /// `(.param .b32 _) _ (.param .b64 _);` behind `.callprototype`.
    fn prototype(&mut self, name: &[u8]) -> Result<Prototype> {
        let results = if self.cursor.next_byte() == b'(' {
            self.cursor.parameters(true)?
        } else {
            Vec::new()
        };
        self.cursor.name()?;
        let parameters = if self.cursor.next_byte() == b'(' {
            self.cursor.parameters(true)?
        } else {
            Vec::new()
        };
        while self.cursor.next_byte() == b'.' {
            let at = self.cursor.pos;
            match self.cursor.dotted()? {
                b"noreturn" => {}
                b"abi_preserve" | b"abi_preserve_control" => drop(self.cursor.integer()?),
                word => return Err(self.cursor.unsupported(at, "directive", word)),
            }
        }
        self.cursor.expect(b';')?;
        Ok(Prototype {
            name: text(name).into(),
            results,
            parameters,
        })
    }

    /// `f, g;` behind `.calltargets`: all have the type of the first.
    fn call_targets(&mut self, name: &[u8]) -> Result<Prototype> {
        let mut prototype = None;
        loop {
            self.cursor.skip_space();
            let at = self.cursor.pos;
            let target = self.cursor.name()?;
            let Some(function) = self.module.function(text(target)) else {
                return Err(self.cursor.fault_at(at, "no function has the name"));
            };
            prototype.get_or_insert(function);
            if !self.cursor.eat(b',') {
                break;
            }
        }
        self.cursor.expect(b';')?;
        let mut copied = Prototype {
            name: text(name).into(),
            ..Prototype::default()
        };
        if let Some(function) = prototype {
            // Each list is a few bytes of text and copies a whole head.
            self.copied_parameters += function.parameters.len() + function.results.len();
            if self.copied_parameters > MAX_REGISTERS {
                return Err(self.cursor.fault("too many prototypes before"));
            }
            copied.results = function.results.clone();
            copied.parameters = function.parameters.clone();
        }
        Ok(copied)
    }

    fn instruction(
        &mut self,
        start: usize,
        at: usize,
        word: &'m [u8],
        predicate: Option<Predicate>,
    ) -> Result<()> {
        let Some(opcode) = keywords::opcode(word) else {
            return Err(self.cursor.unsupported(at, "instruction", word));
        };
        let mut modifiers = SmallVec::new();
        loop {
            if self.cursor.peek() != b'.' && self.cursor.next_byte() != b'.' {
                break;
            }
            let word = self.cursor.dotted()?;
            match keywords::modifier(word) {
                Some(modifier) => modifiers.push(modifier),
                None => return Err(self.cursor.unsupported(at, "modifier", word)),
            }
        }
        let mut operands = SmallVec::new();
        let mut has_labels = false;
        let mut parts: Option<Box<[Part; 4]>> = None;
        match opcode {
            Opcode::Bra => {
                let label = self.label_operand()?;
                operands.push(Operand::Label(LabelId(label)));
                has_labels = true;
            }
            Opcode::Brx => {
                operands.push(self.operand(opcode)?);
                self.cursor.expect(b',')?;
                operands.push(Operand::BranchTargets(self.label_operand()?));
                has_labels = true;
            }
            Opcode::Call => has_labels = self.call(&mut operands)?,
            _ if self.cursor.peek() == b';' => {}
            _ => loop {
                self.is_destination = operands.is_empty();
                operands.push(self.operand(opcode)?);
                if self.part != Part::default() {
                    let part = std::mem::take(&mut self.part);
                    match parts.get_or_insert_default().get_mut(operands.len() - 1) {
                        Some(place) => *place = part,
                        None => return Err(self.cursor.fault("too many operands before")),
                    }
                }
                if !self.cursor.eat(b',') {
                    break;
                }
            },
        }
        if !self.cursor.eat(b';') {
            return Err(self.cursor.expected("`,` or `;`"));
        }
        if has_labels {
            self.fixups.push(self.body.statements.len() as u32);
        }
        let instruction = Instruction {
            predicate,
            opcode,
            modifiers,
            operands,
            parts,
            span: Span(start as u32),
        };
        if self.are_forms_known {
            let scope = Scope {
                module: self.module,
                body: &self.body,
            };
            if let Some(wrong) = check(scope, &instruction) {
                return Err(self.cursor.fault_at(start, &wrong));
            }
        }
        self.body
            .statements
            .push(Statement::Instruction(instruction));
        Ok(())
    }

    /// `(results), callee, (arguments), prototype`; returns whether there is a prototype.
    fn call(&mut self, operands: &mut SmallVec<[Operand; 4]>) -> Result<bool> {
        let mut results = Operand::List(Box::default());
        if self.cursor.next_byte() == b'(' {
            results = self.list()?;
            self.cursor.expect(b',')?;
        }
        operands.push(results);
        let callee = self.operand(Opcode::Call)?;
        if !matches!(
            callee,
            Operand::Register(_) | Operand::Symbol { offset: 0, .. }
        ) {
            return Err(self.cursor.expected("a function or a register before"));
        }
        operands.push(callee);
        let mut arguments = Operand::List(Box::default());
        let mut more = self.cursor.eat(b',');
        if more && self.cursor.next_byte() == b'(' {
            arguments = self.list()?;
            more = self.cursor.eat(b',');
        }
        operands.push(arguments);
        if more {
            operands.push(Operand::Prototype(self.label_operand()?));
        }
        Ok(more)
    }

    fn label_operand(&mut self) -> Result<u32> {
        self.cursor.skip_space();
        let at = self.cursor.pos;
        let name = self.cursor.name()?;
        Ok(self.names.label(name, at))
    }

    /// Turns the labels met into their numbers.
    fn resolve_labels(&mut self) -> Result<()> {
        let Parser {
            names,
            body,
            cursor,
            fixups,
            ..
        } = self;
        let resolve = |label: u32| {
            names
                .target(label)
                .map_err(|(name, at)| cursor.fault_at(at, &format!("no label `{}`:", text(name))))
        };
        for targets in &mut body.branch_targets {
            for label in targets {
                match resolve(label.0)? {
                    Target::Code(id) => label.0 = id,
                    _ => {
                        return Err(cursor.fault("a branch to what is no place in the code, before"))
                    }
                }
            }
        }
        for &statement in fixups.iter() {
            let Statement::Instruction(instruction) = &mut body.statements[statement as usize]
            else {
                continue;
            };
            let at = instruction.span.0 as usize;
            for operand in &mut instruction.operands {
                match operand {
                    Operand::Label(LabelId(label))
                    | Operand::BranchTargets(label)
                    | Operand::Prototype(label) => {
                        let target = resolve(*label)?;
                        *operand = match (&operand, target) {
                            (Operand::Label(_), Target::Code(id)) => Operand::Label(LabelId(id)),
                            (Operand::BranchTargets(_), Target::Branches(id)) => {
                                Operand::BranchTargets(id)
                            }
                            (Operand::Prototype(_), Target::Prototype(id)) => {
                                Operand::Prototype(id)
                            }
                            _ => return Err(cursor.fault_at(at, "a label of another kind in")),
                        };
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Where a name of the module leads, with the size of one element if it is a variable.
    pub(crate) fn module_item(&self, name: &[u8]) -> Option<u32> {
        Some(match *self.module.names.get(text(name))? {
            Item::Variable(index) => unit(&self.module.variables[index as usize]),
            Item::Function(_) => 1,
        })
    }

    /// The size of one element of a result or parameter.
    pub(crate) fn parameter_unit(&self, index: u32) -> u32 {
        let results = self.function.results.len();
        let index = index as usize;
        self.function
            .results
            .get(index)
            .or_else(|| self.function.parameters.get(index - results))
            .map_or(1, unit)
    }

    /// A result or parameter as a symbol.
    pub(crate) fn parameter_symbol(&self, index: u32) -> Symbol {
        let results = self.function.results.len() as u32;
        let (kind, variable) = if index < results {
            (
                SymbolKind::Result(index),
                &self.function.results[index as usize],
            )
        } else {
            (
                SymbolKind::Parameter(index - results),
                &self.function.parameters[(index - results) as usize],
            )
        };
        Symbol {
            name: variable.name.clone(),
            kind,
        }
    }
}

/// The names of a vector register's parts.
pub(crate) const COMPONENTS: [char; 4] = ['x', 'y', 'z', 'w'];

/// The size of one element, which scales `name[index]`.
pub(crate) fn unit(variable: &Variable) -> u32 {
    variable.element.and_then(Modifier::size).unwrap_or(1)
}
