//! Writes PTX text: registers by class, structured loops, comments, and arithmetic on real and complex numbers.
//!
//! Kernels are written against this small assembler and stay readable as PTX. Only plain instructions of `sm_80` come
//! out of it, unless a kernel writes others itself.
//!
//! ```
//! use cublas::ptx::{ins, Class, Function};
//! let mut f = Function::new("add_one");
//! f.param("address", "u64");
//! let address = f.load_param("address", Class::B64);
//! let value = f.reg(Class::F32);
//! ins!(f, "ld.global.f32 {value}, [{address}];");
//! ins!(f, "add.f32 {value}, {value}, 0f3F800000;");
//! ins!(f, "st.global.f32 [{address}], {value};");
//! assert!(f.finish().contains(".visible .entry add_one("));
//! ```

mod number;

use std::fmt;
use std::fmt::Write;

/// Writes one line of PTX with `format!`'s syntax.
#[macro_export]
macro_rules! ins {
    ($function:expr, $($text:tt)*) => {
        $function.line(format_args!($($text)*))
    };
}
pub use ins;

/// The classes of virtual registers, by what PTX declares them as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// `.pred`
    Pred,
    /// `.b16`
    B16,
    /// `.b32`
    B32,
    /// `.b64`
    B64,
    /// `.f32`
    F32,
    /// `.f64`
    F64,
}

impl Class {
    const ALL: [Class; 6] = [
        Self::Pred,
        Self::B16,
        Self::B32,
        Self::B64,
        Self::F32,
        Self::F64,
    ];

    fn prefix(self) -> &'static str {
        match self {
            Self::Pred => "%p",
            Self::B16 => "%h",
            Self::B32 => "%r",
            Self::B64 => "%rd",
            Self::F32 => "%f",
            Self::F64 => "%fd",
        }
    }

    /// The type as PTX writes it, without the dot.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pred => "pred",
            Self::B16 => "b16",
            Self::B32 => "b32",
            Self::B64 => "b64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// A virtual register; its `Display` is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reg {
    class: Class,
    index: u32,
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.class.prefix(), self.index)
    }
}

/// A branch target; its `Display` is its name.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    name: &'static str,
    index: u32,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}_{}", self.name, self.index)
    }
}

/// How numbers are computed with inside a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// 32-bit integer, wrapping.
    S32,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Complex of single precision.
    C32,
    /// Complex of double precision.
    C64,
}

impl Arithmetic {
    /// The register class of one component.
    pub fn class(self) -> Class {
        match self {
            Self::S32 => Class::B32,
            Self::F32 | Self::C32 => Class::F32,
            Self::F64 | Self::C64 => Class::F64,
        }
    }

    /// The suffix of arithmetic instructions on one component.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::S32 => "s32",
            Self::F32 | Self::C32 => "f32",
            Self::F64 | Self::C64 => "f64",
        }
    }

    /// Whether numbers have an imaginary part.
    pub fn is_complex(self) -> bool {
        matches!(self, Self::C32 | Self::C64)
    }

    /// The arithmetic of one component.
    pub fn real(self) -> Self {
        match self {
            Self::C32 => Self::F32,
            Self::C64 => Self::F64,
            other => other,
        }
    }

    /// The number `value` as an immediate operand.
    pub fn immediate(self, value: f64) -> String {
        match self {
            Self::S32 => format!("{}", value as i32),
            Self::F32 | Self::C32 => format!("0f{:08X}", (value as f32).to_bits()),
            Self::F64 | Self::C64 => format!("0d{:016X}", value.to_bits()),
        }
    }

    /// The type in memory with the same format.
    pub fn element(self) -> Element {
        match self {
            Self::S32 => Element::S32,
            Self::F32 => Element::F32,
            Self::F64 => Element::F64,
            Self::C32 => Element::C32,
            Self::C64 => Element::C64,
        }
    }
}

/// The format of a number in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Signed 8-bit integer.
    S8,
    /// Signed 32-bit integer.
    S32,
    /// A pair of [`Element::F32`].
    C32,
    /// A pair of [`Element::F64`].
    C64,
}

impl Element {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::S8 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::S32 => 4,
            Self::F64 | Self::C32 => 8,
            Self::C64 => 16,
        }
    }

    /// Short name for kernel names.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::S8 => "s8",
            Self::S32 => "s32",
            Self::C32 => "c32",
            Self::C64 => "c64",
        }
    }
}

/// A number in registers: one component, or two for a complex number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// The number, or its real part.
    pub re: Reg,
    /// The imaginary part of a complex number.
    pub im: Option<Reg>,
}

/// One kernel while it is being written.
pub struct Function {
    name: String,
    params: Vec<(String, &'static str)>,
    shared: Vec<(String, u32, u32)>,
    body: String,
    registers: [u32; Class::ALL.len()],
    labels: u32,
    threads: Option<u32>,
}

impl Function {
    /// A kernel without parameters or instructions.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            params: Vec::new(),
            shared: Vec::new(),
            body: String::new(),
            registers: [0; Class::ALL.len()],
            labels: 0,
            threads: None,
        }
    }

    /// Declares a parameter of a type such as `u64`.
    pub fn param(&mut self, name: impl Into<String>, ty: &'static str) {
        self.params.push((name.into(), ty));
    }

    /// Declares `bytes` of shared memory under `name`.
    pub fn shared(&mut self, name: impl Into<String>, align: u32, bytes: u32) {
        self.shared.push((name.into(), align, bytes));
    }

    /// Promises that blocks have exactly `threads` threads, in x.
    pub fn threads(&mut self, threads: u32) {
        self.threads = Some(threads);
    }

    /// A fresh register.
    pub fn reg(&mut self, class: Class) -> Reg {
        let counter = &mut self.registers[class as usize];
        *counter += 1;
        Reg {
            class,
            index: *counter - 1,
        }
    }

    /// A fresh label; `name` says what starts there.
    pub fn label(&mut self, name: &'static str) -> Label {
        self.labels += 1;
        Label {
            name,
            index: self.labels - 1,
        }
    }

    /// Writes `label:` here.
    pub fn place(&mut self, label: Label) {
        writeln!(self.body, "{label}:").expect("writing to a string");
    }

    /// Writes one instruction; usually through [`ins!`].
    pub fn line(&mut self, text: fmt::Arguments<'_>) {
        writeln!(self.body, "\t{text}").expect("writing to a string");
    }

    /// Writes a comment.
    pub fn comment(&mut self, text: &str) {
        writeln!(self.body, "\t// {text}").expect("writing to a string");
    }

    /// Reads a declared parameter into a fresh register of `class`.
    pub fn load_param(&mut self, name: &str, class: Class) -> Reg {
        let ty = self
            .params
            .iter()
            .find(|(param, _)| param == name)
            .map(|(_, ty)| *ty);
        let ty = ty.unwrap_or_else(|| panic!("parameter {name} is not declared"));
        let reg = self.reg(class);
        ins!(self, "ld.param.{ty} {reg}, [{name}];");
        reg
    }

    /// Reads a special register such as `%tid.x`.
    pub fn special(&mut self, name: &str) -> Reg {
        let reg = self.reg(Class::B32);
        ins!(self, "mov.u32 {reg}, {name};");
        reg
    }

    /// `setp` of a comparison such as `lt.u32`.
    pub fn compare(&mut self, how: &str, a: impl fmt::Display, b: impl fmt::Display) -> Reg {
        let p = self.reg(Class::Pred);
        ins!(self, "setp.{how} {p}, {a}, {b};");
        p
    }

    /// One instruction with a fresh destination and two sources.
    pub fn op2(
        &mut self,
        class: Class,
        op: &str,
        a: impl fmt::Display,
        b: impl fmt::Display,
    ) -> Reg {
        let d = self.reg(class);
        ins!(self, "{op} {d}, {a}, {b};");
        d
    }

    /// One instruction with a fresh destination and three sources.
    pub fn op3(
        &mut self,
        class: Class,
        op: &str,
        a: impl fmt::Display,
        b: impl fmt::Display,
        c: impl fmt::Display,
    ) -> Reg {
        let d = self.reg(class);
        ins!(self, "{op} {d}, {a}, {b}, {c};");
        d
    }

    /// One instruction with a fresh destination and one source.
    pub fn op1(&mut self, class: Class, op: &str, a: impl fmt::Display) -> Reg {
        let d = self.reg(class);
        ins!(self, "{op} {d}, {a};");
        d
    }

    /// A 32-bit register widened to 64 bits, unsigned.
    pub fn widen(&mut self, a: Reg) -> Reg {
        self.op1(Class::B64, "cvt.u64.u32", a)
    }

    /// Emits `body` when the predicate `when` holds.
    pub fn if_then(&mut self, when: Reg, body: impl FnOnce(&mut Self)) {
        let end = self.label("endif");
        ins!(self, "@!{when} bra {end};");
        body(self);
        self.place(end);
    }

    /// Emits a loop that runs `body` while `condition`, evaluated before each round, gives a true predicate.
    pub fn while_loop(
        &mut self,
        condition: impl FnOnce(&mut Self) -> Reg,
        body: impl FnOnce(&mut Self),
    ) {
        let (head, end) = (self.label("loop"), self.label("done"));
        self.place(head);
        let go = condition(self);
        ins!(self, "@!{go} bra {end};");
        body(self);
        ins!(self, "bra {head};");
        self.place(end);
    }

    /// The kernel's text, without the module's header.
    pub fn finish(mut self) -> String {
        ins!(self, "ret;");
        let mut text = format!(".visible .entry {}(\n", self.name);
        for (i, (name, ty)) in self.params.iter().enumerate() {
            let comma = if i + 1 == self.params.len() { "" } else { "," };
            writeln!(text, "\t.param .{ty} {name}{comma}").expect("writing to a string");
        }
        text.push_str(")\n");
        if let Some(threads) = self.threads {
            writeln!(text, ".maxntid {threads}, 1, 1").expect("writing to a string");
        }
        text.push_str("{\n");
        for class in Class::ALL {
            let count = self.registers[class as usize];
            if count > 0 {
                let (name, prefix) = (class.name(), class.prefix());
                writeln!(text, "\t.reg .{name} {prefix}<{count}>;").expect("writing to a string");
            }
        }
        for (name, align, bytes) in &self.shared {
            writeln!(text, "\t.shared .align {align} .b8 {name}[{bytes}];")
                .expect("writing to a string");
        }
        text.push('\n');
        text.push_str(&self.body);
        text.push_str("}\n");
        text
    }
}

/// The compute capability, times ten, that the modules of this library are for.
pub const TARGET: u32 = 80;

/// Puts the module's header before the text of one or more kernels.
pub fn module(functions: &str) -> String {
    format!(".version 7.0\n.target sm_{TARGET}\n.address_size 64\n\n{functions}")
}

/// The same module for a device of a lower compute capability: nothing but matrix products and conversions to bfloat16 needs
/// the one it was written for, and a driver refuses what is for a higher one.
pub fn module_for(text: String, compute_capability: u32) -> String {
    if compute_capability >= TARGET {
        return text;
    }
    let target = |capability| format!(".target sm_{capability}\n");
    text.replacen(&target(TARGET), &target(compute_capability), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_for_the_device() {
        let text = module("// .target sm_80\n");
        assert_eq!(module_for(text.clone(), 90), text);
        assert_eq!(module_for(text.clone(), 80), text);
        let old = module_for(text, 61);
        assert!(old.starts_with(".version 7.0\n.target sm_61\n.address_size 64\n"));
        assert!(old.ends_with("// .target sm_80\n"));
    }
}
