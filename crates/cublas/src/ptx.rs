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

/// Puts the module's header before the text of one or more kernels.
pub fn module(functions: &str) -> String {
    format!(".version 7.0\n.target sm_80\n.address_size 64\n\n{functions}")
}

/// Arithmetic on numbers.
///
/// Products and sums carry no rounding modifier, so that they may be fused or not, whichever is faster on the device.
impl Function {
    /// Fresh registers for a number.
    pub fn number(&mut self, arithmetic: Arithmetic) -> Number {
        let re = self.reg(arithmetic.class());
        let im = arithmetic
            .is_complex()
            .then(|| self.reg(arithmetic.class()));
        Number { re, im }
    }

    /// `destination = value`, a real constant.
    pub fn set(&mut self, arithmetic: Arithmetic, destination: Number, value: f64) {
        let (ty, value, zero) = (
            arithmetic.class().name(),
            arithmetic.immediate(value),
            arithmetic.immediate(0.0),
        );
        ins!(self, "mov.{ty} {}, {value};", destination.re);
        if let Some(im) = destination.im {
            ins!(self, "mov.{ty} {im}, {zero};");
        }
    }

    /// A fresh number with a real constant.
    pub fn constant(&mut self, arithmetic: Arithmetic, value: f64) -> Number {
        let number = self.number(arithmetic);
        self.set(arithmetic, number, value);
        number
    }

    /// `destination = source`.
    pub fn copy(&mut self, arithmetic: Arithmetic, destination: Number, source: Number) {
        let ty = arithmetic.class().name();
        ins!(self, "mov.{ty} {}, {};", destination.re, source.re);
        if let (Some(d), Some(s)) = (destination.im, source.im) {
            ins!(self, "mov.{ty} {d}, {s};");
        }
    }

    /// Negates the imaginary part in place; nothing for real numbers.
    pub fn conjugate(&mut self, arithmetic: Arithmetic, number: Number) {
        if let Some(im) = number.im {
            ins!(self, "neg.{} {im}, {im};", arithmetic.suffix());
        }
    }

    /// `a + b`
    pub fn add(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        self.by_component(arithmetic, "add", a, b)
    }

    /// `a - b`
    pub fn subtract(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        self.by_component(arithmetic, "sub", a, b)
    }

    fn by_component(&mut self, arithmetic: Arithmetic, op: &str, a: Number, b: Number) -> Number {
        let d = self.number(arithmetic);
        let suffix = arithmetic.suffix();
        ins!(self, "{op}.{suffix} {}, {}, {};", d.re, a.re, b.re);
        if let (Some(d), Some(a), Some(b)) = (d.im, a.im, b.im) {
            ins!(self, "{op}.{suffix} {d}, {a}, {b};");
        }
        d
    }

    /// `accumulator += a * b`
    pub fn multiply_add(
        &mut self,
        arithmetic: Arithmetic,
        accumulator: Number,
        a: Number,
        b: Number,
    ) {
        self.accumulate(arithmetic, accumulator, a, b, false);
    }

    /// `accumulator -= a * b`
    pub fn multiply_subtract(
        &mut self,
        arithmetic: Arithmetic,
        accumulator: Number,
        a: Number,
        b: Number,
    ) {
        self.accumulate(arithmetic, accumulator, a, b, true);
    }

    fn accumulate(
        &mut self,
        arithmetic: Arithmetic,
        d: Number,
        a: Number,
        b: Number,
        negative: bool,
    ) {
        let (plus, minus) = if negative {
            ("sub", "add")
        } else {
            ("add", "sub")
        };
        self.term(arithmetic, plus, d.re, a.re, b.re);
        if let (Some(d_im), Some(a_im), Some(b_im)) = (d.im, a.im, b.im) {
            self.term(arithmetic, minus, d.re, a_im, b_im);
            self.term(arithmetic, plus, d_im, a.re, b_im);
            self.term(arithmetic, plus, d_im, a_im, b.re);
        }
    }

    fn term(&mut self, arithmetic: Arithmetic, op: &str, d: Reg, a: Reg, b: Reg) {
        let suffix = arithmetic.suffix();
        if arithmetic == Arithmetic::S32 && op == "add" {
            ins!(self, "mad.lo.s32 {d}, {a}, {b}, {d};");
            return;
        }
        let mul = if arithmetic == Arithmetic::S32 {
            "mul.lo"
        } else {
            "mul"
        };
        let t = self.op2(arithmetic.class(), &format!("{mul}.{suffix}"), a, b);
        ins!(self, "{op}.{suffix} {d}, {d}, {t};");
    }

    /// `a * b`
    pub fn multiply(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        let suffix = arithmetic.suffix();
        let mul = if arithmetic == Arithmetic::S32 {
            "mul.lo"
        } else {
            "mul"
        };
        let re = self.op2(arithmetic.class(), &format!("{mul}.{suffix}"), a.re, b.re);
        let mut d = Number { re, im: None };
        if let (Some(a_im), Some(b_im)) = (a.im, b.im) {
            self.term(arithmetic, "sub", d.re, a_im, b_im);
            let im = self.op2(arithmetic.class(), &format!("mul.{suffix}"), a.re, b_im);
            self.term(arithmetic, "add", im, a_im, b.re);
            d.im = Some(im);
        }
        d
    }

    /// `a / b`, rounded; complex by Smith's method, which does not overflow where the quotient does not.
    pub fn divide(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        let suffix = arithmetic.suffix();
        let class = arithmetic.class();
        let (Some(a_im), Some(b_im)) = (a.im, b.im) else {
            let op = if arithmetic == Arithmetic::S32 {
                "div.s32".to_owned()
            } else {
                format!("div.rn.{suffix}")
            };
            return Number {
                re: self.op2(class, &op, a.re, b.re),
                im: None,
            };
        };
        let d = self.number(arithmetic);
        let d_im = d.im.expect("complex");
        let (abs_re, abs_im) = (
            self.op1(class, &format!("abs.{suffix}"), b.re),
            self.op1(class, &format!("abs.{suffix}"), b_im),
        );
        let swap = self.compare(&format!("lt.{suffix}"), abs_re, abs_im);
        // With |b.re| >= |b.im|: r = b.im/b.re, s = b.re + r*b.im, (a.re + r*a.im)/s and (a.im - r*a.re)/s.
        // Otherwise a/b = (a*-i)/(b*-i), where b*-i = (b.im, -b.re) is of the first kind.
        let select = format!("selp.{suffix}");
        let neg_b_re = self.op1(class, &format!("neg.{suffix}"), b.re);
        let neg_a_re = self.op1(class, &format!("neg.{suffix}"), a.re);
        let (br, bi) = (
            self.op3(class, &select, b_im, b.re, swap),
            self.op3(class, &select, neg_b_re, b_im, swap),
        );
        let (ar, ai) = (
            self.op3(class, &select, a_im, a.re, swap),
            self.op3(class, &select, neg_a_re, a_im, swap),
        );
        let r = self.op2(class, &format!("div.rn.{suffix}"), bi, br);
        let s = self.op3(class, &format!("fma.rn.{suffix}"), r, bi, br);
        let re = self.op3(class, &format!("fma.rn.{suffix}"), r, ai, ar);
        let neg_r = self.op1(class, &format!("neg.{suffix}"), r);
        let im = self.op3(class, &format!("fma.rn.{suffix}"), neg_r, ar, ai);
        ins!(self, "div.rn.{suffix} {}, {re}, {s};", d.re);
        ins!(self, "div.rn.{suffix} {d_im}, {im}, {s};");
        d
    }

    /// A predicate that is true when the number is not zero (NaN counts as not zero).
    pub fn is_nonzero(&mut self, arithmetic: Arithmetic, number: Number) -> Reg {
        let zero = arithmetic.immediate(0.0);
        let how = if arithmetic == Arithmetic::S32 {
            "ne.s32".to_owned()
        } else {
            format!("neu.{}", arithmetic.suffix())
        };
        let p = self.compare(&how, number.re, &zero);
        if let Some(im) = number.im {
            let q = self.compare(&how, im, &zero);
            ins!(self, "or.pred {p}, {p}, {q};");
        }
        p
    }
}

/// Numbers in memory.
impl Function {
    /// Reads `count` consecutive numbers at `address + offset` into registers, with the widest loads that divide
    /// their bytes (16 at most), which must be aligned. `state` is the state space with its cache operator, such as
    /// `global.nc`.
    pub fn load_vector(
        &mut self,
        state: &str,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        offset: i64,
        count: usize,
    ) -> Vec<Number> {
        let components = if arithmetic.is_complex() { 2 } else { 1 };
        let component = element.size() / components;
        let bytes = element.size() * count;
        let chunk = [16, 8, 4, 2, 1]
            .into_iter()
            .find(|chunk| bytes % chunk == 0)
            .expect("one divides all");
        let chunk = chunk.max(component);
        let mut parts = Vec::new();
        for start in (0..bytes).step_by(chunk) {
            let at = offset + start as i64;
            match component {
                4 | 8 => {
                    let class = match element {
                        Element::S32 => Class::B32,
                        _ => arithmetic.class(),
                    };
                    let lanes = self.load_words(state, class, address, at, chunk / component);
                    parts.extend(lanes);
                }
                _ if chunk >= 4 => {
                    for word in self.load_words(state, Class::B32, address, at, chunk / 4) {
                        self.unpack(element, arithmetic, word, &mut parts);
                    }
                }
                2 => {
                    for k in 0..chunk / 2 {
                        let h = self.reg(Class::B16);
                        ins!(
                            self,
                            "ld.{state}.b16 {h}, [{address}+{}];",
                            at + 2 * k as i64
                        );
                        parts.push(self.widen_half(element, h));
                    }
                }
                _ => {
                    for k in 0..chunk {
                        let byte = self.reg(Class::B32);
                        ins!(self, "ld.{state}.s8 {byte}, [{address}+{}];", at + k as i64);
                        parts.push(self.from_integer(arithmetic, byte));
                    }
                }
            }
        }
        parts
            .chunks(components)
            .map(|part| Number {
                re: part[0],
                im: part.get(1).copied(),
            })
            .collect()
    }

    fn load_words(
        &mut self,
        state: &str,
        class: Class,
        address: Reg,
        offset: i64,
        count: usize,
    ) -> Vec<Reg> {
        let regs: Vec<Reg> = (0..count).map(|_| self.reg(class)).collect();
        let ty = class.name();
        match regs.as_slice() {
            [one] => ins!(self, "ld.{state}.{ty} {one}, [{address}+{offset}];"),
            many => {
                let list = many
                    .iter()
                    .map(Reg::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                ins!(
                    self,
                    "ld.{state}.v{count}.{ty} {{{list}}}, [{address}+{offset}];"
                );
            }
        }
        regs
    }

    fn unpack(
        &mut self,
        element: Element,
        arithmetic: Arithmetic,
        word: Reg,
        parts: &mut Vec<Reg>,
    ) {
        match element {
            Element::F16 => {
                let (low, high) = (self.reg(Class::B16), self.reg(Class::B16));
                ins!(self, "mov.b32 {{{low}, {high}}}, {word};");
                for h in [low, high] {
                    parts.push(self.widen_half(element, h));
                }
            }
            Element::BF16 => {
                // A bfloat16 is the upper half of a float.
                let low = self.op2(Class::B32, "shl.b32", word, 16);
                let high = self.op2(Class::B32, "and.b32", word, "0xFFFF0000");
                for bits in [low, high] {
                    parts.push(self.op1(Class::F32, "mov.b32", bits));
                }
            }
            Element::S8 => {
                for k in 0..4 {
                    let byte = self.op3(Class::B32, "bfe.s32", word, 8 * k, 8);
                    parts.push(self.from_integer(arithmetic, byte));
                }
            }
            _ => unreachable!("only numbers smaller than a word are packed"),
        }
    }

    fn widen_half(&mut self, element: Element, h: Reg) -> Reg {
        if element == Element::F16 {
            return self.op1(Class::F32, "cvt.f32.f16", h);
        }
        let bits = self.op1(Class::B32, "cvt.u32.u16", h);
        let bits = self.op2(Class::B32, "shl.b32", bits, 16);
        self.op1(Class::F32, "mov.b32", bits)
    }

    fn from_integer(&mut self, arithmetic: Arithmetic, value: Reg) -> Reg {
        match arithmetic {
            Arithmetic::S32 => value,
            _ => self.op1(
                arithmetic.class(),
                &format!("cvt.rn.{}.s32", arithmetic.suffix()),
                value,
            ),
        }
    }

    /// Reads one number; `address` need only have the alignment of the number itself.
    pub fn load(
        &mut self,
        state: &str,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        offset: i64,
    ) -> Number {
        self.load_vector(state, element, arithmetic, address, offset, 1)[0]
    }

    /// Writes one number, rounded to `element`, where the predicate `when` holds.
    pub fn store(
        &mut self,
        when: Option<Reg>,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        number: Number,
    ) {
        let guard = when.map(|p| format!("@{p} ")).unwrap_or_default();
        match (element, number.im) {
            (Element::C32 | Element::C64, Some(im)) => {
                let ty = arithmetic.suffix();
                ins!(
                    self,
                    "{guard}st.global.v2.{ty} [{address}], {{{}, {im}}};",
                    number.re
                );
            }
            (Element::F16, _) => {
                let h = self.op1(Class::B16, "cvt.rn.f16.f32", number.re);
                ins!(self, "{guard}st.global.b16 [{address}], {h};");
            }
            (Element::BF16, _) => {
                let h = self.op1(Class::B16, "cvt.rn.bf16.f32", number.re);
                ins!(self, "{guard}st.global.b16 [{address}], {h};");
            }
            (Element::S8, _) => {
                let mut value = number.re;
                if arithmetic != Arithmetic::S32 {
                    value = self.op1(
                        Class::B32,
                        &format!("cvt.rni.s32.{}", arithmetic.suffix()),
                        value,
                    );
                }
                let value = self.op2(Class::B32, "max.s32", value, -128);
                let value = self.op2(Class::B32, "min.s32", value, 127);
                ins!(self, "{guard}st.global.b8 [{address}], {value};");
            }
            (Element::F32 | Element::F64 | Element::S32, _) => {
                let ty = arithmetic.class().name();
                ins!(self, "{guard}st.global.{ty} [{address}], {};", number.re);
            }
            (Element::C32 | Element::C64, None) => {
                unreachable!("a complex element takes complex arithmetic")
            }
        }
    }

    /// Declares the parameters of a scalar that the host passes by value or, when `NAME_at` is not null, that lies in
    /// device memory.
    pub fn scalar_params(&mut self, name: &str, arithmetic: Arithmetic) {
        self.param(format!("{name}_at"), "u64");
        self.param(format!("{name}_re"), arithmetic.class().name());
        if arithmetic.is_complex() {
            self.param(format!("{name}_im"), arithmetic.class().name());
        }
    }

    /// Reads a scalar declared by [`Function::scalar_params`]; `element` is its format in device
    /// memory, which may be real for a complex scalar.
    pub fn scalar(&mut self, name: &str, element: Element, arithmetic: Arithmetic) -> Number {
        let at = self.load_param(&format!("{name}_at"), Class::B64);
        let re = self.load_param(&format!("{name}_re"), arithmetic.class());
        let im = arithmetic
            .is_complex()
            .then(|| self.load_param(&format!("{name}_im"), arithmetic.class()));
        let value = Number { re, im };
        let on_device = self.compare("ne.u64", at, 0);
        self.if_then(on_device, |f| {
            if arithmetic.is_complex() && !matches!(element, Element::C32 | Element::C64) {
                let real = arithmetic.real();
                let loaded = f.load("global", element, real, at, 0);
                f.set(arithmetic, value, 0.0);
                f.copy(real, value, loaded);
            } else {
                let loaded = f.load("global", element, arithmetic, at, 0);
                f.copy(arithmetic, value, loaded);
            }
        });
        value
    }
}
