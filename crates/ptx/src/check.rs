//! Whether an instruction has one of the forms that the ISA gives it: its modifiers, its types, and the kinds and types of
//! its operands. `add.u32 %r1, %r2, %f1` has not, and `CUDA_ERROR_INVALID_PTX` is what CUDA says of it.
//!
//! The forms are lines of `forms.txt`:
//!
//! ```text
//! shl; ; b16,b32,b64; =0 0 u32
//! ```
//!
//! is `shl` without modifiers, of one of three types, with a destination and a source of that type, and a source of 32 bits.
//! What types of registers an operand takes is in PTX ISA, "Type Information for Instructions and Operands" and "Operand Size
//! Exceeding Instruction-Type Size".

use crate::ast::*;
use crate::{keywords, Module};
use std::sync::LazyLock;

const TEXT: &str = include_str!("forms.txt");

/// By opcode.
static FORMS: LazyLock<Vec<Vec<Form>>> = LazyLock::new(|| {
    let mut forms: Vec<Vec<Form>> = Opcode::ALL.iter().map(|_| Vec::new()).collect();
    for (opcode, form) in lines() {
        forms[opcode as usize].push(form);
    }
    forms
});

/// A set of modifiers, types among them.
#[derive(Clone, Copy, Default)]
struct Set([u64; 8]);

impl Set {
    fn insert(&mut self, modifier: Modifier) {
        let n = modifier as usize;
        self.0[n / 64] |= 1 << (n % 64);
    }

    fn contains(&self, modifier: Modifier) -> bool {
        let n = modifier as usize;
        self.0[n / 64] >> (n % 64) & 1 != 0
    }
}

const _: () = assert!(Modifier::ALL.len() <= 8 * 64);

/// One line.
struct Form {
    /// Modifiers of which one may be there, or must.
    groups: Vec<(Set, bool)>,
    types: Vec<Set>,
    operands: Vec<Slot>,
    /// How many operands there must be.
    least: usize,
}

/// What an operand may be.
#[derive(Clone, Copy)]
struct Slot {
    what: What,
    is_destination: bool,
    /// `_` will do.
    sink: bool,
    /// `a|p`
    pair: bool,
    /// As many as `.v2` says.
    vector: bool,
    /// Registers may be larger than the type.
    relaxed: bool,
    /// Twice the type.
    wide: bool,
    /// A vector as large as the type.
    packed: bool,
    /// A vector of so many, or one register for 1; 0: none.
    width: u8,
}

#[derive(Clone, Copy)]
enum What {
    /// The instruction's type with this number.
    Type(usize),
    Fixed(Modifier),
    Address,
    Constant,
    /// Anything.
    Any,
}

/// The lines of the table.
fn lines() -> impl Iterator<Item = (Opcode, Form)> {
    let mut lists: Vec<(&str, &str)> = Vec::new();
    TEXT.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(move |line| {
            if let Some((name, list)) = line.strip_prefix('$').and_then(|l| l.split_once(" = ")) {
                lists.push((name, list));
                return Vec::new();
            }
            let mut line = line.to_owned();
            for (name, list) in &lists {
                line = line.replace(&format!("${name}"), list);
            }
            let parts: Vec<&str> = line.split(';').collect();
            let [opcodes, modifiers, types, operands] = parts[..] else {
                panic!("forms.txt: {line}");
            };
            opcodes
                .split_whitespace()
                .map(|word| {
                    let opcode = keywords::opcode(word.as_bytes());
                    let opcode = opcode.unwrap_or_else(|| panic!("forms.txt: {word}"));
                    (opcode, Form::new(modifiers, types, operands))
                })
                .collect()
        })
}

fn modifier(word: &str) -> Modifier {
    keywords::modifier(word.as_bytes()).unwrap_or_else(|| panic!("forms.txt: .{word}"))
}

fn set(words: &str, separator: char) -> Set {
    let mut set = Set::default();
    words
        .split(separator)
        .for_each(|word| set.insert(modifier(word)));
    set
}

impl Form {
    fn new(modifiers: &str, types: &str, operands: &str) -> Self {
        let groups = modifiers
            .split_whitespace()
            .map(|words| match words.strip_prefix('+') {
                Some(words) => (set(words, '|'), true),
                None => (set(words, '|'), false),
            })
            .collect();
        let types = types.split_whitespace().map(|w| set(w, ',')).collect();
        let slots: Vec<&str> = operands.split_whitespace().collect();
        let least = slots.iter().position(|&slot| slot == "?");
        let operands: Vec<Slot> = slots
            .iter()
            .filter(|&&slot| slot != "?")
            .map(|slot| Slot::new(slot))
            .collect();
        Form {
            groups,
            types,
            least: least.unwrap_or(operands.len()),
            operands,
        }
    }

    /// How far an instruction agrees with this form, and what is wrong where it does not.
    fn mismatch(&self, scope: Scope<'_>, instruction: &Instruction) -> Option<Mismatch> {
        let mut seen = 0u64;
        let mut types = 0;
        for (at, &modifier) in instruction.modifiers.iter().enumerate() {
            if modifier.is_type() {
                if !self
                    .types
                    .get(types)
                    .is_some_and(|set| set.contains(modifier))
                {
                    return Some(Mismatch::Types);
                }
                types += 1;
                continue;
            }
            let mut free = self.groups.iter().enumerate();
            match free.find(|(n, (set, _))| seen >> n & 1 == 0 && set.contains(modifier)) {
                Some((group, _)) => seen |= 1 << group,
                // The same word again changes nothing.
                None if instruction.modifiers[..at].contains(&modifier) => {}
                None => return Some(Mismatch::Modifier(modifier)),
            }
        }
        if types != self.types.len() {
            return Some(Mismatch::Types);
        }
        let required = self.groups.iter().enumerate();
        if required
            .into_iter()
            .any(|(n, (_, must))| *must && seen >> n & 1 == 0)
        {
            return Some(Mismatch::Missing);
        }
        let operands = &instruction.operands;
        if operands.len() < self.least || operands.len() > self.operands.len() {
            return Some(Mismatch::Count(self.least));
        }
        let wrong = operands
            .iter()
            .zip(&self.operands)
            .position(|(operand, slot)| !slot.takes(scope, instruction, operand))?;
        Some(Mismatch::Operand(wrong))
    }
}

/// What is wrong with an instruction, by how much of it agrees with the form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mismatch {
    Types,
    Modifier(Modifier),
    Missing,
    /// So many operands there are to be.
    Count(usize),
    Operand(usize),
}

impl Slot {
    fn new(word: &str) -> Self {
        let (word, is_destination) = match word.strip_prefix('=') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let (word, pair) = match word.strip_suffix("|p") {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let (mut word, sink) = match word.strip_suffix('_') {
            Some(rest) => (rest, true),
            None => (word, false),
        };
        let mut flag = |prefix: char| match word.strip_prefix(prefix) {
            // `w0` and `u32` begin with letters, too.
            Some(rest) if rest.starts_with(['~', '0', '1', '2']) => {
                word = rest;
                true
            }
            _ => false,
        };
        let (vector, packed, wide, relaxed) = (flag('v'), flag('V'), flag('w'), flag('~'));
        let width = match word.split_once('*') {
            Some((width, rest)) => {
                word = rest;
                width.parse().unwrap_or(0)
            }
            None => 0,
        };
        let what = match word {
            "m" => What::Address,
            "n" => What::Constant,
            "any" => What::Any,
            "p" => What::Fixed(Modifier::Pred),
            "0" => What::Type(0),
            "1" => What::Type(1),
            "2" => What::Type(2),
            name => What::Fixed(modifier(name)),
        };
        Slot {
            what,
            is_destination,
            sink,
            pair,
            vector,
            relaxed,
            wide,
            packed,
            width,
        }
    }

    /// Whether this operand may stand here.
    fn takes(&self, scope: Scope<'_>, instruction: &Instruction, operand: &Operand) -> bool {
        let element = match self.what {
            What::Address => return scope.is_address(instruction, operand),
            What::Any => return true,
            What::Constant => return matches!(operand, Operand::Integer(_)),
            What::Fixed(element) => element,
            What::Type(n) => match instruction.types().nth(n) {
                Some(element) if self.wide => widened(element),
                Some(element) => element,
                None => return false,
            },
        };
        let single = |operand: &Operand| self.takes_one(scope, instruction, element, operand);
        match operand {
            Operand::Pair(pair) if self.pair => {
                let second = match &pair.1 {
                    Operand::Register(r) => scope.register(*r) == Modifier::Pred,
                    Operand::Sink => true,
                    _ => false,
                };
                second && single(&pair.0)
            }
            Operand::Vector(elements) if self.packed => {
                let size = element.size().unwrap_or(0);
                let each = size / elements.len().max(1) as u32;
                elements.iter().all(|e| match e {
                    Operand::Register(r) => {
                        let element = scope.register(*r);
                        element.size() == Some(each)
                    }
                    Operand::Sink => self.is_destination,
                    Operand::NotRegister(_) => false,
                    _ => !self.is_destination,
                })
            }
            Operand::Vector(elements) if self.vector => {
                elements.len() == usize::from(instruction.vector_width())
                    && elements.iter().all(single)
            }
            Operand::Vector(elements) if self.width > 0 => {
                elements.len() == usize::from(self.width) && elements.iter().all(single)
            }
            _ if self.width > 1 => false,
            _ if self.vector && instruction.vector_width() > 1 => false,
            _ => single(operand),
        }
    }

    fn takes_one(
        &self,
        scope: Scope<'_>,
        instruction: &Instruction,
        element: ScalarType,
        operand: &Operand,
    ) -> bool {
        use Modifier::{Pred, B32, B64, F32, F64};
        match operand {
            Operand::Register(register) => suits(element, scope.register(*register), self.relaxed),
            Operand::Sink => self.is_destination && self.sink,
            _ if self.is_destination => false,
            Operand::NotRegister(register) => element == Pred && scope.register(*register) == Pred,
            Operand::Integer(_) => !element.is_float(),
            Operand::Single(_) => matches!(element, F32 | F64 | B32),
            Operand::Double(_) => matches!(element, F32 | F64 | B64),
            Operand::Special(_) => matches!(instruction.opcode, Opcode::Mov | Opcode::Cvt),
            // `table+4` is a constant to NVIDIA's assembler.
            Operand::Symbol { offset, .. } => {
                let is_address = matches!(
                    instruction.opcode,
                    Opcode::Mov | Opcode::Cvta | Opcode::Mapa | Opcode::Getctarank
                );
                !element.is_float() && element != Pred && (is_address || *offset != 0)
            }
            _ => false,
        }
    }
}

/// What the names of a body are.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub module: &'a Module<'a>,
    pub body: &'a Body,
}

impl Scope<'_> {
    fn register(self, register: RegisterId) -> ScalarType {
        self.body.registers[register.0 as usize]
    }

    /// Where a variable lies; `None` for a function.
    fn space(self, symbol: SymbolId) -> Option<StateSpace> {
        let symbol = &self.body.symbols[symbol.0 as usize];
        match symbol.kind {
            SymbolKind::Parameter(_) | SymbolKind::Result(_) => Some(StateSpace::Param),
            SymbolKind::Local(index) => Some(self.body.variables[index as usize].space),
            SymbolKind::Module => Some(self.module.variable(&symbol.name)?.space),
        }
    }

    /// Whether an operand is an address, and in the instruction's state space where it is a variable's.
    fn is_address(self, instruction: &Instruction, operand: &Operand) -> bool {
        use Modifier as M;
        match operand {
            Operand::Address {
                base: AddressBase::Register(register),
                ..
            } => is_address(self.register(*register)),
            Operand::Address {
                base: AddressBase::Symbol(symbol),
                ..
            } => {
                let named = instruction.modifiers.iter().find_map(|m| match m {
                    M::Global => Some(StateSpace::Global),
                    M::Shared | M::SharedCta | M::SharedCluster => Some(StateSpace::Shared),
                    M::Local => Some(StateSpace::Local),
                    M::Const => Some(StateSpace::Const),
                    M::Param | M::ParamEntry | M::ParamFunc => Some(StateSpace::Param),
                    _ => None,
                });
                match (named, self.space(*symbol)) {
                    (Some(named), Some(space)) => named == space,
                    _ => true,
                }
            }
            Operand::Address { .. } => true,
            _ => false,
        }
    }
}

/// Whether a register of this type may hold an address.
fn is_address(element: ScalarType) -> bool {
    !element.is_float() && element.size().is_some_and(|size| size <= 8)
}

/// Twice as large an integer.
fn widened(element: ScalarType) -> ScalarType {
    match element {
        Modifier::U16 => Modifier::U32,
        Modifier::S16 => Modifier::S32,
        Modifier::U32 => Modifier::U64,
        _ => Modifier::S64,
    }
}

/// Whether an operand of the first type may be a register of the second. `relaxed`: or of a larger one.
fn suits(element: ScalarType, register: ScalarType, relaxed: bool) -> bool {
    use Modifier::*;
    let (Some(need), Some(has)) = (element.size(), register.size()) else {
        return element == register;
    };
    let size = has == need || relaxed && has > need;
    let is_plain = matches!(register, B8 | B16 | B32 | B64 | B128);
    size && match element {
        B8 | B16 | B32 | B64 | B128 => true,
        F32 | F64 | F16 => is_plain || register == element,
        _ if element.is_float() => is_plain || (element, register) == (F16x2, F16x2),
        // Two halves are taken for 32 bits.
        _ => is_plain || !register.is_float() || register == F16x2,
    }
}

/// What is wrong with an instruction, if anything is.
#[inline]
pub(crate) fn check(scope: Scope<'_>, instruction: &Instruction) -> Option<String> {
    if let Some(predicate) = instruction.predicate {
        if scope.register(predicate.register) != Modifier::Pred {
            return Some("a guard that is no predicate in".to_owned());
        }
    }
    let mut worst = None;
    for form in &FORMS[instruction.opcode as usize] {
        worst = worst.max(Some(form.mismatch(scope, instruction)?));
    }
    Some(describe(worst?, instruction))
}

#[cold]
fn describe(mismatch: Mismatch, instruction: &Instruction) -> String {
    match mismatch {
        Mismatch::Types => format!(
            "types that `{}` does not have, in",
            instruction.opcode.text()
        ),
        Mismatch::Modifier(modifier) => {
            format!("`.{modifier}` does not go with the others in")
        }
        Mismatch::Missing => "a modifier is missing in".to_owned(),
        Mismatch::Count(count) => format!("other than {count} operands in"),
        Mismatch::Operand(n) => format!("operand {} is of a wrong kind or type in", n + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a kernel with this instruction.
    fn said(instruction: &str) -> Result<(), String> {
        let text = format!(
            ".version 8.3\n.target sm_90\n.address_size 64\n.global .b32 table[4];\n.shared .b32 tile[4];\n\
             .entry k(.param .u64 in)\n{{\n.reg .pred p<4>; .reg .b16 h<4>; .reg .b32 r<4>; .reg .u32 u<4>; .reg .b64 d<4>;\n\
             .reg .f32 f<4>; .reg .f64 g<4>; .reg .b128 x<4>;\n{instruction};\nret;\n}}\n"
        );
        let module = Module::parse(&text).expect("declarations");
        let kernel = module.function("k").expect("the kernel");
        let parsed = module.parse_body(kernel);
        parsed.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_isa_has_is_taken() {
        for instruction in [
            "add.u32 r0, u1, -1",
            "add.f32 f0, r1, 0f3F800000",
            "add.f32 f0, f1, 1.5",
            "and.b32 f0, r1, 0f3F800000",
            "mov.u32 r0, %tid.x",
            "mov.u64 d0, table",
            "mov.u64 d0, table+4",
            "mov.b64 d0, {r0, f1}",
            "mov.b64 {r0, _}, d1",
            "ld.global.u8 r0, [table+1]",
            "ld.global.u16 d0, [d1]",
            "ld.shared.v2.f32 {f0, _}, [tile]",
            "ld.param.u64 d0, [in]",
            "st.global.v4.b8 [d0], {r0, r1, r2, 0}",
            "cvt.u32.u16 d0, r1",
            "cvt.u32.u16 r0, %tid.x",
            "setp.lt.and.s32 p0|p1, r0, r1, !p2",
            "setp.eq.b32 p0, r0, 0f00000000",
            "atom.global.add.u32 _, [table], 1",
            "@!p0 bra.uni there;\nthere: membar.gl",
            "shfl.sync.idx.b32 r0|p0, f1, 0, 31, -1",
            "mad.wide.u16 r0, h0, h1, r1",
            "max.NaN.NaN.f32 f0, f1, f2",
        ] {
            assert_eq!(said(instruction), Ok(()), "{instruction}");
        }
    }

    #[test]
    fn what_it_has_not_is_told_with_the_line() {
        for (instruction, why) in [
            ("add.u32 r0, r1, f2", "operand 3 is of a wrong kind or type"),
            ("add.u32 r0, r1, d2", "operand 3 is of a wrong kind or type"),
            ("add.u32 5, r1, r2", "operand 1 is of a wrong kind or type"),
            ("add.u32 r0, r1", "other than 3 operands"),
            ("add.u32 r0, r1, r2, r3", "other than 3 operands"),
            (
                "add.u32 r0, r1, %tid.x",
                "operand 3 is of a wrong kind or type",
            ),
            (
                "add.u32 r0, r1, table",
                "operand 3 is of a wrong kind or type",
            ),
            ("add.b32 r0, r1, r2", "types that `add` does not have"),
            ("add.f32 f0, f1, 1", "operand 3 is of a wrong kind or type"),
            ("add.f32 f0, u1, f2", "operand 2 is of a wrong kind or type"),
            (
                "add.volatile.u32 r0, r1, r2",
                "`.volatile` does not go with the others",
            ),
            (
                "add.rn.rz.f32 f0, f1, f2",
                "`.rz` does not go with the others",
            ),
            ("mul.u32 r0, r1, r2", "a modifier is missing"),
            (
                "setp.lt.b32 p0, r1, r2",
                "`.lt` does not go with the others",
            ),
            (
                "setp.lt.u32 r0, r1, r2",
                "operand 1 is of a wrong kind or type",
            ),
            (
                "ld.global.u32 h0, [d0]",
                "operand 1 is of a wrong kind or type",
            ),
            (
                "ld.global.u32 r0, [tile]",
                "operand 2 is of a wrong kind or type",
            ),
            (
                "ld.global.u32 r0, [f0]",
                "operand 2 is of a wrong kind or type",
            ),
            (
                "ld.global.v2.u32 r0, [d0]",
                "operand 1 is of a wrong kind or type",
            ),
            (
                "st.global.f32 [d0], u1",
                "operand 2 is of a wrong kind or type",
            ),
            ("mov.u32 r0, f1", "operand 2 is of a wrong kind or type"),
            (
                "mov.b64 d0, {h0, h1}",
                "operand 2 is of a wrong kind or type",
            ),
            (
                "selp.b32 r0, r1, r2, r3",
                "operand 4 is of a wrong kind or type",
            ),
            ("shl.b64 d0, d1, d2", "operand 3 is of a wrong kind or type"),
            ("@r0 ret", "a guard that is no predicate"),
        ] {
            let said = said(instruction).expect_err(instruction);
            assert!(said.starts_with("line 10: "), "{instruction}: {said}");
            assert!(said.contains(why), "{instruction}: {said}");
        }
    }
}
