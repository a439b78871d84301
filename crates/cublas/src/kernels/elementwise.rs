//! One thread for each element: operations on vectors with increments, and on matrices without sums.
//!
//! A vector is a matrix with one row whose leading dimension is the increment, so that both share one form.

use crate::ptx::{module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block.
pub const BLOCK: u32 = 128;

/// What is done with the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `a = alpha * a`
    Scale,
    /// `b = alpha * a + b`
    AddScaled,
    /// `b = a`
    Copy,
    /// `a, b = b, a`
    Swap,
    /// `a, b = alpha * a + beta * b, alpha * b - conj(beta) * a`, with a real `alpha`
    Rotate,
    /// `c = alpha * a + beta * b`
    Sum,
    /// The same, but 0 where that is negative; real numbers only.
    SumRelu,
    /// `c = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))` of that `x`; single precision only.
    SumGelu,
    /// `c = a * b`, without scalars
    Product,
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The operation.
    pub task: Task,
    /// Format of the matrices.
    pub element: Element,
    /// Format of `alpha` in device memory; may be real where the matrices are complex.
    pub alpha: Element,
    /// Format of `beta` in device memory.
    pub beta: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether `a` is conjugated when it is read.
    pub conjugate_a: bool,
    /// Whether `b` is.
    pub conjugate_b: bool,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let task = match self.task {
            Task::Scale => "scale",
            Task::AddScaled => "add_scaled",
            Task::Copy => "copy",
            Task::Swap => "swap",
            Task::Rotate => "rotate",
            Task::Sum => "sum",
            Task::SumRelu => "sum_relu",
            Task::SumGelu => "sum_gelu",
            Task::Product => "product",
        };
        let conjugates = match (self.conjugate_a, self.conjugate_b) {
            (false, false) => "",
            (true, false) => "_conjugate_a",
            (false, true) => "_conjugate_b",
            (true, true) => "_conjugate_ab",
        };
        let (alpha, beta) = (self.alpha.name(), self.beta.name());
        format!(
            "elementwise_{task}_{}_by_{alpha}_{beta}{conjugates}",
            self.element.name()
        )
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `a`, `b`, `c` (u64: addresses); `a_row`, `a_column`, `b_row`, `b_column`, `c_row`,
    /// `c_column` (s64: bytes from one row, or column, to the next); `rows`, `columns` (u64); the scalars `alpha` and
    /// `beta`. The grid has `rows * columns` threads in x.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        for name in ["a", "b", "c"] {
            f.param(name, "u64");
        }
        for name in [
            "a_row", "a_column", "b_row", "b_column", "c_row", "c_column",
        ] {
            f.param(name, "s64");
        }
        for name in ["rows", "columns"] {
            f.param(name, "u64");
        }
        f.scalar_params("alpha", self.arithmetic);
        f.scalar_params("beta", self.arithmetic);
        f.threads(BLOCK);
        let tid = f.special("%tid.x");
        let block = f.special("%ctaid.x");
        let tid = f.widen(tid);
        let index = f.op3(Class::B64, "mad.wide.u32", block, BLOCK, tid);
        let rows = f.load_param("rows", Class::B64);
        let column = f.op2(Class::B64, "div.u64", index, rows);
        let row = f.op2(Class::B64, "rem.u64", index, rows);
        let columns = f.load_param("columns", Class::B64);
        let inside = f.compare("lt.u64", column, columns);
        f.if_then(inside, |f| self.body(f, row, column));
        module(&f.finish())
    }

    fn at(&self, f: &mut Function, name: &str, row: Reg, column: Reg) -> Reg {
        let base = f.load_param(name, Class::B64);
        let stride = f.load_param(&format!("{name}_row"), Class::B64);
        let base = f.op3(Class::B64, "mad.lo.s64", row, stride, base);
        let stride = f.load_param(&format!("{name}_column"), Class::B64);
        f.op3(Class::B64, "mad.lo.s64", column, stride, base)
    }

    fn read(&self, f: &mut Function, address: Reg, conjugate: bool) -> Number {
        let number = f.load("global", self.element, self.arithmetic, address, 0);
        if conjugate {
            f.conjugate(self.arithmetic, number);
        }
        number
    }

    /// `scalar * number`; a real scalar multiplies each part, so that infinite parts give no NaN.
    fn scale(&self, f: &mut Function, scalar: Number, format: Element, number: Number) -> Number {
        let ar = self.arithmetic;
        let complex = matches!(format, Element::C32 | Element::C64);
        match number.im {
            Some(im) if !complex => {
                let mul = format!("mul.{}", ar.suffix());
                let re = f.op2(ar.class(), &mul, scalar.re, number.re);
                Number {
                    re,
                    im: Some(f.op2(ar.class(), &mul, scalar.re, im)),
                }
            }
            _ => f.multiply(ar, scalar, number),
        }
    }

    /// `x < 0 ? 0 : x`, so that NaN stays.
    fn relu(&self, f: &mut Function, x: Number) -> Number {
        let (ar, zero) = (self.arithmetic, self.arithmetic.immediate(0.0));
        let negative = f.compare(&format!("lt.{}", ar.suffix()), x.re, &zero);
        let selp = format!("selp.{}", ar.suffix());
        Number {
            re: f.op3(ar.class(), &selp, zero, x.re, negative),
            im: None,
        }
    }

    fn body(&self, f: &mut Function, row: Reg, column: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let at_a = self.at(f, "a", row, column);
        match self.task {
            Task::Scale => {
                let alpha = f.scalar("alpha", self.alpha, ar);
                let a = self.read(f, at_a, false);
                let result = self.scale(f, alpha, self.alpha, a);
                f.store(None, element, ar, at_a, result);
            }
            Task::AddScaled => {
                let alpha = f.scalar("alpha", self.alpha, ar);
                let at_b = self.at(f, "b", row, column);
                let a = self.read(f, at_a, self.conjugate_a);
                let b = self.read(f, at_b, false);
                let scaled = self.scale(f, alpha, self.alpha, a);
                let result = f.add(ar, scaled, b);
                f.store(None, element, ar, at_b, result);
            }
            Task::Copy => {
                let at_b = self.at(f, "b", row, column);
                let a = self.read(f, at_a, false);
                f.store(None, element, ar, at_b, a);
            }
            Task::Swap => {
                let at_b = self.at(f, "b", row, column);
                let a = self.read(f, at_a, false);
                let b = self.read(f, at_b, false);
                f.store(None, element, ar, at_a, b);
                f.store(None, element, ar, at_b, a);
            }
            Task::Rotate => {
                let (c, s) = (
                    f.scalar("alpha", self.alpha, ar),
                    f.scalar("beta", self.beta, ar),
                );
                let at_b = self.at(f, "b", row, column);
                let a = self.read(f, at_a, false);
                let b = self.read(f, at_b, false);
                let (ca, sb) = (
                    self.scale(f, c, self.alpha, a),
                    self.scale(f, s, self.beta, b),
                );
                let first = f.add(ar, ca, sb);
                f.conjugate(ar, s);
                let (cb, sa) = (
                    self.scale(f, c, self.alpha, b),
                    self.scale(f, s, self.beta, a),
                );
                let second = f.subtract(ar, cb, sa);
                f.store(None, element, ar, at_a, first);
                f.store(None, element, ar, at_b, second);
            }
            Task::Sum | Task::SumRelu | Task::SumGelu => {
                let (alpha, beta) = (
                    f.scalar("alpha", self.alpha, ar),
                    f.scalar("beta", self.beta, ar),
                );
                let sum = f.constant(ar, 0.0);
                f.comment("a matrix is not read where its factor is zero");
                for (name, factor, format, conjugate) in [
                    ("a", alpha, self.alpha, self.conjugate_a),
                    ("b", beta, self.beta, self.conjugate_b),
                ] {
                    let counts = f.is_nonzero(ar, factor);
                    f.if_then(counts, |f| {
                        let at = self.at(f, name, row, column);
                        let number = self.read(f, at, conjugate);
                        let term = self.scale(f, factor, format, number);
                        let total = f.add(ar, sum, term);
                        f.copy(ar, sum, total);
                    });
                }
                let sum = match self.task {
                    Task::SumRelu => self.relu(f, sum),
                    Task::SumGelu => gelu(f, sum),
                    _ => sum,
                };
                let at_c = self.at(f, "c", row, column);
                f.store(None, element, ar, at_c, sum);
            }
            Task::Product => {
                let at_b = self.at(f, "b", row, column);
                let a = self.read(f, at_a, self.conjugate_a);
                let b = self.read(f, at_b, self.conjugate_b);
                let result = f.multiply(ar, a, b);
                let at_c = self.at(f, "c", row, column);
                f.store(None, element, ar, at_c, result);
            }
        }
    }
}

/// GELU by the hyperbolic tangent, in single precision: `x * (1 - 1 / (1 + 2^(2 u log2(e))))`, where `tanh(u)` is in its other form.
fn gelu(f: &mut Function, x: Number) -> Number {
    let class = Class::F32;
    let ar = Arithmetic::F32;
    let x = x.re;
    let square = f.op2(class, "mul.rn.f32", x, x);
    let factor = f.op3(
        class,
        "fma.rn.f32",
        square,
        ar.immediate(0.044_715),
        ar.immediate(1.0),
    );
    // 2 sqrt(2 / pi) log2(e)
    let scale = ar.immediate(2.0 * (2.0 / std::f64::consts::PI).sqrt() * std::f64::consts::LOG2_E);
    let scaled = f.op2(class, "mul.rn.f32", x, scale);
    let exponent = f.op2(class, "mul.rn.f32", scaled, factor);
    let power = f.op1(class, "ex2.approx.f32", exponent);
    let sum = f.op2(class, "add.rn.f32", power, ar.immediate(1.0));
    let part = f.op1(class, "rcp.rn.f32", sum);
    let part = f.op2(class, "sub.rn.f32", ar.immediate(1.0), part);
    Number {
        re: f.op2(class, "mul.rn.f32", x, part),
        im: None,
    }
}
