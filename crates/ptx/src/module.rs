//! The top level of a module: header, variables and function heads.

use crate::ast::{Function, Header, Linkage, ModuleRegisters, OpaqueKind, StateSpace, Variable};
use crate::cursor::{text, Cursor, Number, Result};
use crate::declaration::{linkage, state_space};
use rustc_hash::FxHashMap;

/// What a name at module level stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Variable(u32),
    Function(u32),
}

/// How many parameters all aliases of a module may have together.
const MAX_ALIASED_PARAMETERS: usize = 1 << 18;

/// How many registers a module may declare outside its functions, each of which gets them all.
const MAX_MODULE_REGISTERS: u64 = 4096;

/// What [`parse`] found.
pub(crate) struct Parsed {
    pub header: Header,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
    pub registers: Vec<ModuleRegisters>,
    pub names: FxHashMap<Box<str>, Item>,
}

pub(crate) fn parse(cursor: Cursor<'_>) -> Result<Parsed> {
    let mut parser = Parser {
        cursor,
        variables: Vec::new(),
        functions: Vec::new(),
        names: FxHashMap::default(),
        aliases: Vec::new(),
        registers: Vec::new(),
        is_old: false,
    };
    let header = parser.header()?;
    parser.is_old = header.version < (3, 0);
    while !{
        parser.cursor.skip_space();
        parser.cursor.at_end()
    } {
        parser.item()?;
    }
    parser.resolve_aliases()?;
    Ok(Parsed {
        header,
        variables: parser.variables,
        functions: parser.functions,
        registers: parser.registers,
        names: parser.names,
    })
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    variables: Vec<Variable>,
    functions: Vec<Function>,
    names: FxHashMap<Box<str>, Item>,
    /// `.alias new, old;` with its place.
    aliases: Vec<(usize, &'a [u8], &'a [u8])>,
    registers: Vec<ModuleRegisters>,
    /// Of a version before 3.0.
    is_old: bool,
}

impl<'a> Parser<'a> {
    fn header(&mut self) -> Result<Header> {
        let mut header = Header {
            version: (0, 0),
            target: 0,
            target_suffix: None,
            independent_textures: false,
            address_size: 64,
        };
        let cursor = &mut self.cursor;
        if !cursor.eat_directive("version") {
            return Err(cursor.expected("`.version`"));
        }
        let number = |cursor: &mut Cursor<'_>| -> Result<u32> {
            let start = cursor.pos;
            while cursor.peek().is_ascii_digit() {
                cursor.pos += 1;
            }
            match text(&cursor.text[start..cursor.pos]).parse() {
                Ok(value) => Ok(value),
                Err(_) => {
                    cursor.pos = start;
                    Err(cursor.expected("a number"))
                }
            }
        };
        cursor.skip_space();
        let start = cursor.pos;
        let major = number(cursor)?;
        cursor.expect(b'.')?;
        let minor = number(cursor)?;
        match (u16::try_from(major), u16::try_from(minor)) {
            (Ok(major), Ok(minor)) => header.version = (major, minor),
            _ => return Err(cursor.fault_at(start, "a bad version")),
        }
        if !cursor.eat_directive("target") {
            return Err(cursor.expected("`.target`"));
        }
        loop {
            cursor.skip_space();
            let start = cursor.pos;
            let word = cursor.name()?;
            if let Some(architecture) = word
                .strip_prefix(b"sm_")
                .or_else(|| word.strip_prefix(b"compute_"))
            {
                let digits = architecture
                    .iter()
                    .take_while(|b| b.is_ascii_digit())
                    .count();
                let target = text(&architecture[..digits]).parse();
                match (target, &architecture[digits..]) {
                    (Ok(target), []) => (header.target, header.target_suffix) = (target, None),
                    (Ok(target), &[suffix]) => {
                        (header.target, header.target_suffix) = (target, Some(suffix as char));
                    }
                    _ => return Err(cursor.fault_at(start, "a bad target")),
                }
            } else if word == b"texmode_independent" {
                header.independent_textures = true;
            } else if !matches!(word, b"texmode_unified" | b"debug" | b"map_f64_to_f32") {
                return Err(cursor.unsupported(start, "target", word));
            }
            if !cursor.eat(b',') {
                break;
            }
        }
        if cursor.eat_directive("address_size") {
            cursor.skip_space();
            let start = cursor.pos;
            header.address_size = number(cursor)?;
            if !matches!(header.address_size, 32 | 64) {
                return Err(cursor.fault_at(start, "an address size that is neither 32 nor 64:"));
            }
        }
        Ok(header)
    }

    fn item(&mut self) -> Result<()> {
        if self.cursor.eat(b';') {
            return Ok(());
        }
        if self.cursor.text[self.cursor.pos..].starts_with(b"@@DWARF") {
            let rest = &self.cursor.text[self.cursor.pos..];
            self.cursor.pos += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            return Ok(());
        }
        let mut linked = Linkage::Internal;
        let mut managed = false;
        loop {
            if self.cursor.next_byte() != b'.' {
                return Err(self.cursor.expected("a directive"));
            }
            let start = self.cursor.pos;
            let word = self.cursor.dotted()?;
            if let Some(linkage) = linkage(word) {
                linked = linkage;
                continue;
            }
            return match word {
                b"attribute" => {
                    managed |= self.cursor.attributes()?;
                    continue;
                }
                b"entry" => self.function(true, linked, start),
                b"func" => self.function(false, linked, start),
                b"file" => {
                    self.cursor.integer()?;
                    self.cursor.string()?;
                    while self.cursor.eat(b',') {
                        self.cursor.integer()?;
                    }
                    Ok(())
                }
                b"section" => {
                    self.cursor.skip_space();
                    if self.cursor.peek() == b'.' {
                        self.cursor.dotted()?;
                    } else {
                        self.cursor.name()?;
                    }
                    if self.cursor.next_byte() != b'{' {
                        return Err(self.cursor.expected("`{`"));
                    }
                    self.cursor.skip_braces().map(drop)
                }
                b"pragma" => self.cursor.pragma(),
                b"loc" => self.cursor.location(),
                b"alias" => {
                    let new = self.cursor.name()?;
                    self.cursor.expect(b',')?;
                    let old = self.cursor.name()?;
                    self.aliases.push((start, new, old));
                    self.cursor.expect(b';')
                }
                word => match state_space(word) {
                    // Old PTX has registers and local memory that all functions of the module share in each thread.
                    Some(StateSpace::Reg) if self.is_old => self.registers(),
                    Some(StateSpace::Local) if self.is_old => {
                        self.variable(StateSpace::Local, linked, managed)
                    }
                    Some(space) if space != StateSpace::Reg && space != StateSpace::Local => {
                        self.variable(space, linked, managed)
                    }
                    _ => Err(self.cursor.unsupported(start, "directive", word)),
                },
            };
        }
    }

    /// What follows `.reg` at module level.
    fn registers(&mut self) -> Result<()> {
        let declared = self.cursor.declared_type()?;
        loop {
            let at = self.cursor.pos;
            let (name, count) = self.cursor.registers()?;
            let Some(element) = declared.element else {
                return Err(self.cursor.fault_at(at, "a register of an opaque type:"));
            };
            let registers = ModuleRegisters {
                name: text(name).into(),
                element,
                width: declared.width,
                count,
            };
            let left = self.registers.iter().map(ModuleRegisters::total);
            let total = left.fold(registers.total(), u64::saturating_add);
            if total > MAX_MODULE_REGISTERS {
                return Err(self.cursor.fault_at(at, "too many registers of a module:"));
            }
            self.registers.push(registers);
            if !self.cursor.eat(b',') {
                return self.cursor.expect(b';');
            }
        }
    }

    fn variable(&mut self, space: StateSpace, linkage: Linkage, managed: bool) -> Result<()> {
        let mut space = space;
        let mut declared = self.cursor.declared_type()?;
        declared.managed |= managed;
        if space == StateSpace::Tex {
            // `.tex .u32 t;` of old PTX is `.global .texref t;` (PTX ISA, "Texture State Space").
            space = StateSpace::Global;
            declared.element = None;
            declared.opaque = Some(OpaqueKind::Texture);
        }
        loop {
            let variable = self.cursor.declarator(declared, space, linkage)?;
            match self.names.get(&variable.name) {
                None => {
                    let item = Item::Variable(self.variables.len() as u32);
                    self.names.insert(variable.name.clone(), item);
                    self.variables.push(variable);
                }
                Some(&Item::Variable(index)) => {
                    let earlier = &mut self.variables[index as usize];
                    if earlier.linkage == Linkage::Extern || earlier.linkage == Linkage::Common {
                        *earlier = variable;
                    } else if variable.linkage != Linkage::Extern
                        && variable.linkage != Linkage::Common
                    {
                        return Err(self
                            .cursor
                            .fault_at(variable.span.0 as usize, "a second definition of"));
                    }
                }
                Some(Item::Function(_)) => {
                    return Err(self
                        .cursor
                        .fault_at(variable.span.0 as usize, "a second definition of"));
                }
            }
            if !self.cursor.eat(b',') {
                return self.cursor.expect(b';');
            }
        }
    }

    fn function(&mut self, is_entry: bool, linkage: Linkage, start: usize) -> Result<()> {
        let cursor = &mut self.cursor;
        let span = crate::ast::Span(start as u32);
        while cursor.eat_directive("attribute") {
            cursor.skip_parentheses()?;
        }
        let results = if !is_entry && cursor.next_byte() == b'(' {
            cursor.parameters(false)?
        } else {
            Vec::new()
        };
        let name: Box<str> = text(cursor.name()?).into();
        let parameters = if cursor.next_byte() == b'(' {
            cursor.parameters(false)?
        } else {
            Vec::new()
        };
        if let Some(open) = parameters.iter().find(|p| is_entry && p.size == 0) {
            return Err(cursor.fault_at(open.span.0 as usize, "an array without a length:"));
        }
        let mut function = Function {
            name,
            is_entry,
            linkage,
            results,
            parameters,
            max_threads: None,
            required_threads: None,
            required_cluster: None,
            min_blocks_per_multiprocessor: None,
            max_registers: None,
            no_return: false,
            body: None,
            span,
        };
        loop {
            match cursor.next_byte() {
                b'{' => {
                    let open = cursor.pos + 1;
                    function.body = Some(open..cursor.skip_braces()?);
                    break;
                }
                b';' => {
                    cursor.pos += 1;
                    break;
                }
                // The compilers of CUDA 2 and 3 end declarations with nothing.
                b'.' if cursor.peek_dotted().is_some_and(starts_item) => break,
                b'.' => {}
                _ if cursor.at_end() => break,
                _ => return Err(cursor.expected("`{`, `;` or a directive")),
            }
            let at = cursor.pos;
            match cursor.dotted()? {
                b"maxntid" => function.max_threads = Some(triple(cursor)?),
                b"reqntid" => function.required_threads = Some(triple(cursor)?),
                b"minnctapersm" => function.min_blocks_per_multiprocessor = Some(count(cursor)?),
                b"maxnreg" => function.max_registers = Some(count(cursor)?),
                b"reqnctapercluster" => function.required_cluster = Some(triple(cursor)?),
                b"maxnctapersm" | b"maxclusterrank" | b"abi_preserve" | b"abi_preserve_control" => {
                    count(cursor)?;
                }
                b"noreturn" => function.no_return = true,
                b"explicitcluster" | b"blocksareclusters" | b"unified" => {}
                b"attribute" => cursor.skip_parentheses()?,
                b"pragma" => cursor.pragma()?,
                word => return Err(cursor.unsupported(at, "directive", word)),
            }
        }
        self.declare(function)
    }

    fn declare(&mut self, function: Function) -> Result<()> {
        match self.names.get(&function.name) {
            None => {
                let item = Item::Function(self.functions.len() as u32);
                self.names.insert(function.name.clone(), item);
                self.functions.push(function);
            }
            Some(&Item::Function(index)) => {
                let earlier = &mut self.functions[index as usize];
                if earlier.body.is_none() {
                    *earlier = function;
                } else if function.body.is_some() {
                    return Err(self.cursor.fault_at(
                        function.span.0 as usize,
                        "a second definition of a function:",
                    ));
                }
            }
            Some(Item::Variable(_)) => {
                return Err(self
                    .cursor
                    .fault_at(function.span.0 as usize, "a second definition of a name:"));
            }
        }
        Ok(())
    }

    /// An alias is the function it names, under its own name (PTX ISA, ".alias").
    fn resolve_aliases(&mut self) -> Result<()> {
        let mut budget = MAX_ALIASED_PARAMETERS;
        for (at, new, old) in std::mem::take(&mut self.aliases) {
            let find = |name: &[u8]| match self.names.get(text(name)) {
                Some(&Item::Function(index)) => Some(index as usize),
                _ => None,
            };
            let (Some(new), Some(old)) = (find(new), find(old)) else {
                return Err(self
                    .cursor
                    .fault_at(at, "an alias of what is no function of the module:"));
            };
            if self.functions[new].body.is_some() {
                return Err(self.cursor.fault_at(at, "an alias that has a body:"));
            }
            let copied =
                self.functions[old].parameters.len() + self.functions[old].results.len() + 1;
            budget = match budget.checked_sub(copied) {
                Some(rest) => rest,
                None => return Err(self.cursor.fault_at(at, "too many aliases:")),
            };
            let mut aliased = self.functions[old].clone();
            aliased.name = self.functions[new].name.clone();
            aliased.linkage = self.functions[new].linkage;
            self.functions[new] = aliased;
        }
        Ok(())
    }
}

impl<'a> Cursor<'a> {
    /// A name behind `.reg` and its type, and how many there are if it is numbered: `%r<100>`.
    pub fn registers(&mut self) -> Result<(&'a [u8], Option<u64>)> {
        self.skip_space();
        let at = self.pos;
        let name = self.name()?;
        if !self.eat(b'<') {
            return Ok((name, None));
        }
        // No expression: `>` would be taken for a comparison.
        self.skip_space();
        let Number::Integer { value, .. } = self.number()? else {
            return Err(self.fault_at(at, "expected a number of registers in"));
        };
        self.expect(b'>')?;
        Ok((name, Some(value)))
    }
}

impl Cursor<'_> {
    /// `.pragma`'s strings, up to its semicolon.
    pub fn pragma(&mut self) -> Result<()> {
        self.string()?;
        while self.eat(b',') {
            self.string()?;
        }
        self.expect(b';')
    }

    /// What follows `.loc`: `1 5 3` and maybe `, function_name $info+8, inlined_at 1 9 2`. It has no semicolon.
    pub fn location(&mut self) -> Result<()> {
        for _ in 0..3 {
            self.integer()?;
        }
        while self.eat(b',') {
            match self.name()? {
                b"function_name" => {
                    self.name()?;
                    self.offset()?;
                }
                b"inlined_at" => {
                    for _ in 0..3 {
                        self.integer()?;
                    }
                }
                word => return Err(self.unsupported(self.pos, "part of .loc", word)),
            }
        }
        Ok(())
    }
}

/// Whether the directive starts something at module level, which cannot stand behind a function's head.
fn starts_item(word: &[u8]) -> bool {
    linkage(word).is_some()
        || state_space(word).is_some()
        || matches!(
            word,
            b"entry" | b"func" | b"file" | b"section" | b"alias" | b"loc"
        )
}

fn count(cursor: &mut Cursor<'_>) -> Result<u32> {
    cursor.skip_space();
    let start = cursor.pos;
    match u32::try_from(cursor.integer()?) {
        Ok(value) => Ok(value),
        Err(_) => Err(cursor.fault_at(start, "a number out of range:")),
    }
}

/// One to three numbers; missing ones are 1.
fn triple(cursor: &mut Cursor<'_>) -> Result<[u32; 3]> {
    let mut values = [1; 3];
    values[0] = count(cursor)?;
    for value in &mut values[1..] {
        if !cursor.eat(b',') {
            break;
        }
        *value = count(cursor)?;
    }
    Ok(values)
}
