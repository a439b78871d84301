//! From the syntax tree back to PTX text that parses to an equal tree.
//!
//! Scopes are not part of the tree, so the printed body has none: names that were used in several scopes get a suffix,
//! and all declarations stand at the top. Places in the text ([`Span`]) are of course new.
//!
//! ```
//! let text = ".version 8.0 .target sm_80 .address_size 64
//!     .func f() { .reg .f32 %f<2>; fma.rn.f32 %f1, %f0, 0f3F800000, %f1; ret; }";
//! let module = ptx::Module::parse(text).unwrap();
//! let function = module.function("f").unwrap();
//! let body = module.parse_body(function).unwrap();
//! assert_eq!(
//!     ptx::printer::body(function, &body),
//!     "\t.reg .f32 %f<2>;\n\tfma.rn.f32 %f1, %f0, 0f3F800000, %f1;\n\tret;\n"
//! );
//! ```

use crate::ast::*;
use crate::{Module, ParseError};
use rustc_hash::FxHashSet;
use std::fmt::Write;

/// A whole module, declarations of functions first. Bodies are parsed and printed; a body with errors is the error of all.
///
/// # Errors
///
/// Those of [`Module::parse_body`].
pub fn module(module: &Module<'_>) -> Result<String, ParseError> {
    let header = &module.header;
    let suffix = header.target_suffix.map(String::from).unwrap_or_default();
    let mode = match header.independent_textures {
        true => ", texmode_independent",
        false => "",
    };
    let mut out = format!(
        ".version {}.{}\n.target sm_{}{suffix}{mode}\n.address_size {}\n\n",
        header.version.0, header.version.1, header.target, header.address_size
    );
    // Functions may be named before they are defined, also by variables.
    for item in module
        .functions
        .iter()
        .filter(|f| f.body.is_none() || !f.is_entry)
    {
        head(&mut out, item);
        out.push_str(";\n");
    }
    for item in &module.registers {
        let vector = match item.width {
            1 => String::new(),
            width => format!(".v{width} "),
        };
        let count = item.count.map(|count| format!("<{count}>"));
        let (element, name) = (item.element, &item.name);
        let count = count.unwrap_or_default();
        write(
            &mut out,
            format_args!(".reg {vector}.{element} {name}{count};\n"),
        );
    }
    for item in &module.variables {
        variable(&mut out, item, &item.name);
        out.push_str(";\n");
    }
    for item in module.functions.iter().filter(|f| f.body.is_some()) {
        head(&mut out, item);
        out.push_str("\n{\n");
        out.push_str(&body(item, &module.parse_body(item)?));
        out.push_str("}\n");
    }
    Ok(out)
}

/// The statements between the braces of a function.
pub fn body(function: &Function, body: &Body) -> String {
    Printer::new(function, body).print()
}

impl Body {
    /// A register's name, for messages. Names of different scopes may be equal.
    pub fn register_name(&self, register: RegisterId) -> String {
        name_of(&self.register_names, register)
    }
}

type RegisterName = (RegisterId, Option<u32>, Box<str>);

fn name_of(names: &[RegisterName], register: RegisterId) -> String {
    let after = names.partition_point(|(first, ..)| *first <= register);
    match names[..after].last() {
        Some((first, Some(_), prefix)) => format!("{prefix}{}", register.0 - first.0),
        Some((_, None, name)) => name.to_string(),
        None => format!("%?{}", register.0),
    }
}

fn write(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = out.write_fmt(arguments);
}

fn linkage(out: &mut String, linkage: Linkage) {
    out.push_str(match linkage {
        Linkage::Internal => "",
        Linkage::Extern => ".extern ",
        Linkage::Visible => ".visible ",
        Linkage::Weak => ".weak ",
        Linkage::Common => ".common ",
    });
}

/// A declaration without its semicolon.
fn variable(out: &mut String, variable: &Variable, name: &str) {
    linkage(out, variable.linkage);
    out.push_str(match variable.space {
        StateSpace::Reg => ".reg",
        StateSpace::Const => ".const",
        StateSpace::Global => ".global",
        StateSpace::Local => ".local",
        StateSpace::Param => ".param",
        StateSpace::Shared => ".shared",
        StateSpace::Tex => ".tex",
    });
    if variable.managed {
        out.push_str(" .attribute(.managed)");
    }
    let Some(element) = variable.element else {
        let opaque = variable.opaque.as_ref();
        let kind = match opaque.map(|o| o.kind) {
            None | Some(OpaqueKind::Texture) => "texref",
            Some(OpaqueKind::Sampler) => "samplerref",
            Some(OpaqueKind::Surface) => "surfref",
        };
        write(out, format_args!(" .{kind} {name}"));
        let mut separator = " = { ";
        for (field, value) in opaque.iter().flat_map(|o| &o.fields) {
            write(out, format_args!("{separator}{field} = {value}"));
            separator = ", ";
        }
        if separator == ", " {
            out.push_str(" }");
        }
        return;
    };
    let unit = element.size().unwrap_or(1);
    let length = variable.size / unit as u64;
    let vector = if variable.is_array { 1 } else { length };
    if variable.align as u64 > unit as u64 * vector {
        write(out, format_args!(" .align {}", variable.align));
    }
    if vector > 1 {
        write(out, format_args!(" .v{vector}"));
    }
    write(out, format_args!(" .{element} {name}"));
    if variable.is_array {
        match length {
            0 => out.push_str("[]"),
            _ => write(out, format_args!("[{length}]")),
        }
    }
    if variable.initializer.is_empty() {
        return;
    }
    let braces = variable.is_array || vector > 1;
    out.push_str(if braces { " = {" } else { " = " });
    let mut separator = "";
    for initial in &variable.initializer {
        match initial {
            Initial::Bytes { bytes, .. } => {
                for value in bytes.chunks(unit as usize) {
                    out.push_str(separator);
                    separator = ", ";
                    self::value(out, element, value);
                }
            }
            Initial::Address {
                symbol,
                addend,
                generic,
                mask,
                ..
            } => {
                out.push_str(separator);
                separator = ", ";
                if let Some(mask) = mask {
                    write(out, format_args!("{mask:#X}("));
                }
                match generic {
                    true => write(out, format_args!("generic({symbol})")),
                    false => out.push_str(symbol),
                }
                offset(out, *addend);
                if mask.is_some() {
                    out.push(')');
                }
            }
        }
    }
    if braces {
        out.push('}');
    }
}

/// An initial value, given as little-endian bytes.
fn value(out: &mut String, element: ScalarType, bytes: &[u8]) {
    let mut wide = [0; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    let value = u128::from_le_bytes(wide);
    match (element, i64::try_from(value as i128)) {
        (Modifier::F32, _) => write(out, format_args!("0f{value:08X}")),
        (Modifier::F64, _) => write(out, format_args!("0d{value:016X}")),
        (_, Ok(signed)) => write(out, format_args!("{signed}")),
        (_, Err(_)) => write(out, format_args!("{value}U")),
    }
}

/// `+8`, `+-8` or nothing.
fn offset(out: &mut String, offset: i64) {
    match offset {
        0 => {}
        // `+-8` is the spelling that ptxas takes too.
        _ => write(out, format_args!("+{offset}")),
    }
}

fn parameters(out: &mut String, parameters: &[Variable]) {
    out.push('(');
    for (index, parameter) in parameters.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        variable(out, parameter, &parameter.name);
    }
    out.push(')');
}

/// A function up to its body or semicolon.
fn head(out: &mut String, function: &Function) {
    linkage(out, function.linkage);
    out.push_str(if function.is_entry {
        ".entry "
    } else {
        ".func "
    });
    if !function.results.is_empty() {
        parameters(out, &function.results);
        out.push(' ');
    }
    out.push_str(&function.name);
    parameters(out, &function.parameters);
    if let Some([x, y, z]) = function.max_threads {
        write(out, format_args!(" .maxntid {x}, {y}, {z}"));
    }
    if let Some([x, y, z]) = function.required_threads {
        write(out, format_args!(" .reqntid {x}, {y}, {z}"));
    }
    if let Some([x, y, z]) = function.required_cluster {
        write(out, format_args!(" .reqnctapercluster {x}, {y}, {z}"));
    }
    if let Some(count) = function.min_blocks_per_multiprocessor {
        write(out, format_args!(" .minnctapersm {count}"));
    }
    if let Some(count) = function.max_registers {
        write(out, format_args!(" .maxnreg {count}"));
    }
    if function.no_return {
        out.push_str(" .noreturn");
    }
}

struct Printer<'a> {
    body: &'a Body,
    out: String,
    /// As in the body, each name once.
    registers: Vec<RegisterName>,
    /// How many of the first registers are the function's parameters.
    parameters: u32,
    labels: Vec<String>,
    variables: Vec<String>,
    branch_targets: Vec<String>,
    prototypes: Vec<String>,
}

/// Gives out each name once.
#[derive(Default)]
struct Unique {
    names: FxHashSet<String>,
    prefixes: FxHashSet<String>,
    /// Names given beforehand, without a number that they end with.
    stems: FxHashSet<String>,
}

impl Unique {
    /// Takes a name that cannot be changed.
    fn reserve(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        if stem.len() < name.len() {
            self.stems.insert(stem.to_owned());
        }
    }

    /// Whether a single name can be taken for one with a number.
    fn is_numbered(&self, name: &str) -> bool {
        (1..name.len())
            .rev()
            .take_while(|&at| name.as_bytes()[at].is_ascii_digit())
            .any(|at| self.prefixes.contains(&name[..at]))
    }

    fn name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 0;
        while self.is_numbered(&name) || !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}${number}_");
        }
        name
    }

    fn prefix(&mut self, wanted: &str) -> String {
        let mut prefix = wanted.to_owned();
        let mut number = 0;
        // A prefix that ends with a digit would leave open where the number starts.
        while prefix.ends_with(|c: char| c.is_ascii_digit())
            || self.stems.contains(&prefix)
            || !self.prefixes.insert(prefix.clone())
        {
            number += 1;
            prefix = format!("{wanted}${number}_");
        }
        prefix
    }
}

impl<'a> Printer<'a> {
    fn new(function: &'a Function, body: &'a Body) -> Self {
        let mut unique = Unique::default();
        // Names that stand for something else than what the body declares.
        for special in SpecialRegister::ALL {
            let name = special.text();
            let base = name.split_once('.').map_or(name, |parts| parts.0);
            unique.reserve(&format!("%{base}"));
        }
        unique.reserve("_");
        unique.reserve("WARP_SZ");
        for symbol in &body.symbols {
            if !matches!(symbol.kind, SymbolKind::Local(_)) {
                unique.reserve(&symbol.name);
            }
        }
        let mut parameters = 0;
        for parameter in function.results.iter().chain(&function.parameters) {
            if parameter.space == StateSpace::Reg {
                parameters += parameter.components();
            }
            unique.reserve(&parameter.name);
        }
        // Numbered names first: single ones then keep clear of them.
        let mut registers = body.register_names.clone();
        let outside =
            |first: RegisterId| first.0 < parameters || body.module_registers.contains(&first.0);
        // The module's keep the names that they have.
        for (first, _, name) in &registers {
            if body.module_registers.contains(&first.0) {
                let base = name.split_once('.').map_or(&**name, |parts| parts.0);
                unique.reserve(base);
                unique.prefixes.insert(base.to_owned());
            }
        }
        for (first, _, prefix) in registers.iter_mut().filter(|(_, count, _)| count.is_some()) {
            if !outside(*first) {
                *prefix = unique.prefix(prefix).into();
            }
        }
        let mut base = (String::new(), String::new());
        for (first, _, name) in registers.iter_mut().filter(|(_, count, _)| count.is_none()) {
            if outside(*first) {
                continue;
            }
            *name = match name.split_once('.') {
                None => unique.name(name).into(),
                Some((vector, component)) => {
                    if component == "x" {
                        base = (vector.to_owned(), unique.name(vector));
                    }
                    format!("{}.{component}", base.1).into()
                }
            };
        }
        let variables = body
            .variables
            .iter()
            .map(|v| unique.name(&v.name))
            .collect();
        let mut unique = Unique::default();
        Printer {
            body,
            out: String::new(),
            registers,
            parameters,
            labels: body.labels.iter().map(|name| unique.name(name)).collect(),
            variables,
            prototypes: body
                .prototypes
                .iter()
                .map(|p| unique.name(&p.name))
                .collect(),
            branch_targets: (0..body.branch_targets.len())
                .map(|_| unique.name("$targets"))
                .collect(),
        }
    }

    fn print(mut self) -> String {
        self.declare_registers();
        for (item, name) in self.body.variables.iter().zip(&self.variables) {
            self.out.push('\t');
            variable(&mut self.out, item, name);
            self.out.push_str(";\n");
        }
        for (targets, name) in self.body.branch_targets.iter().zip(&self.branch_targets) {
            write(&mut self.out, format_args!("\t{name}: .branchtargets "));
            for (index, target) in targets.iter().enumerate() {
                self.out.push_str(if index > 0 { ", " } else { "" });
                self.out.push_str(&self.labels[target.0 as usize]);
            }
            self.out.push_str(";\n");
        }
        for (prototype, name) in self.body.prototypes.iter().zip(&self.prototypes) {
            write(&mut self.out, format_args!("\t{name}: .callprototype "));
            if !prototype.results.is_empty() {
                parameters(&mut self.out, &prototype.results);
                self.out.push(' ');
            }
            self.out.push_str("_ ");
            parameters(&mut self.out, &prototype.parameters);
            self.out.push_str(";\n");
        }
        for statement in &self.body.statements {
            match statement {
                Statement::Label(label) => {
                    let name = &self.labels[label.0 as usize];
                    write(&mut self.out, format_args!("{name}:\n"));
                }
                Statement::Instruction(instruction) => self.instruction(instruction),
            }
        }
        self.out
    }

    fn declare_registers(&mut self) {
        let mut entries = self.registers.iter().peekable();
        while let Some((first, count, name)) = entries.next() {
            if first.0 < self.parameters || self.body.module_registers.contains(&first.0) {
                continue;
            }
            let element = self.body.registers[first.0 as usize];
            match (count, name.split_once('.')) {
                (Some(count), _) => write(
                    &mut self.out,
                    format_args!("\t.reg .{element} {name}<{count}>;\n"),
                ),
                (None, None) => write(&mut self.out, format_args!("\t.reg .{element} {name};\n")),
                (None, Some((base, _))) => {
                    let mut width = 1;
                    while entries
                        .next_if(|(_, _, next)| next.split_once('.').is_some_and(|p| p.0 == base))
                        .is_some()
                    {
                        width += 1;
                    }
                    write(
                        &mut self.out,
                        format_args!("\t.reg .v{width} .{element} {base};\n"),
                    );
                }
            }
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        self.out.push('\t');
        if let Some(predicate) = instruction.predicate {
            let not = if predicate.negated { "!" } else { "" };
            write(
                &mut self.out,
                format_args!("@{not}{} ", name_of(&self.registers, predicate.register)),
            );
        }
        self.out.push_str(instruction.opcode.text());
        for modifier in &instruction.modifiers {
            write(&mut self.out, format_args!(".{modifier}"));
        }
        let mut separator = " ";
        let mut operands = &instruction.operands[..];
        if instruction.opcode == Opcode::Call {
            // Empty lists may be left out, except before something else.
            if let [Operand::List(results), rest @ ..] = operands {
                operands = if results.is_empty() { rest } else { operands };
            }
            if let [before @ .., Operand::List(arguments)] = operands {
                operands = if arguments.is_empty() {
                    before
                } else {
                    operands
                };
            }
        }
        let mut parts = instruction.parts.iter().flat_map(|parts| parts.iter());
        for operand in operands {
            self.out.push_str(separator);
            separator = ", ";
            let part = parts.next().copied().unwrap_or_default();
            if part.negated {
                self.out.push('-');
            }
            self.operand(operand);
            if let Some(selector) = part.selector {
                write(&mut self.out, format_args!(".{selector}"));
            }
        }
        self.out.push_str(";\n");
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Register(register) => self.out.push_str(&name_of(&self.registers, *register)),
            Operand::NotRegister(register) => {
                self.out.push('!');
                self.out.push_str(&name_of(&self.registers, *register));
            }
            Operand::Integer(value) => write(&mut self.out, format_args!("{}", *value as i64)),
            Operand::Single(bits) => write(&mut self.out, format_args!("0f{bits:08X}")),
            Operand::Double(bits) => write(&mut self.out, format_args!("0d{bits:016X}")),
            Operand::Special(special) => write(&mut self.out, format_args!("%{special}")),
            Operand::Symbol { symbol, offset } => {
                self.symbol(*symbol);
                self::offset(&mut self.out, *offset);
            }
            Operand::Address { .. } => {
                self.out.push('[');
                self.address(operand);
                self.out.push(']');
            }
            Operand::Vector(elements) => self.list('{', elements, '}'),
            Operand::List(elements) => self.list('(', elements, ')'),
            Operand::Pair(pair) => {
                self.operand(&pair.0);
                self.out.push('|');
                self.operand(&pair.1);
            }
            Operand::Sink => self.out.push('_'),
            Operand::Label(label) => self.out.push_str(&self.labels[label.0 as usize]),
            Operand::BranchTargets(index) => {
                self.out.push_str(&self.branch_targets[*index as usize])
            }
            Operand::Prototype(index) => self.out.push_str(&self.prototypes[*index as usize]),
            Operand::TextureAddress(elements) => self.list('[', elements, ']'),
        }
    }

    fn list(&mut self, open: char, elements: &[Operand], close: char) {
        self.out.push(open);
        for (index, element) in elements.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            match element {
                Operand::Address { .. } => self.address(element),
                element => self.operand(element),
            }
        }
        self.out.push(close);
    }

    /// An address without its brackets.
    fn address(&mut self, operand: &Operand) {
        let Operand::Address { base, offset } = operand else {
            return;
        };
        match base {
            AddressBase::Register(register) => {
                self.out.push_str(&name_of(&self.registers, *register))
            }
            AddressBase::Symbol(symbol) => self.symbol(*symbol),
            AddressBase::Absolute => {
                write(&mut self.out, format_args!("{offset}"));
                return;
            }
        }
        self::offset(&mut self.out, *offset);
    }

    fn symbol(&mut self, symbol: SymbolId) {
        let symbol = &self.body.symbols[symbol.0 as usize];
        match symbol.kind {
            SymbolKind::Local(index) => self.out.push_str(&self.variables[index as usize]),
            _ => self.out.push_str(&symbol.name),
        }
    }
}
