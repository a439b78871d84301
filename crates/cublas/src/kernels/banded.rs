//! Matrices in band and in packed storage: products with a general or symmetric one, triangular products and systems,
//! updates of a packed triangle, and copies between packed and full storage.
//!
//! Element `(r, c)` of a band matrix lies at `k + r - c + c * lda`, which is a matrix of leading dimension `lda - 1` that
//! starts at `k`: the host states it so, and a matrix in full storage is the same with its own leading dimension. Packed
//! columns have no constant distance. A triangular system or product is one thread's, since it is serial and in place.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block, but for [`Task::Solve`] and [`Task::Multiply`], which have one.
pub const BLOCK: u32 = 64;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `y = alpha * op(A) * x + beta * y`
    General,
    /// The same with a symmetric or Hermitian matrix, of which one triangle is stored.
    Symmetric,
    /// `x = op(A)^-1 * x` with a triangular matrix.
    Solve,
    /// `x = op(A) * x` with a triangular matrix.
    Multiply,
    /// `A = alpha * x * x^T + A` on one triangle, or `x * x^H`.
    Update,
    /// `A = alpha * x * y^T + alpha * y * x^T + A`, or `alpha * x * y^H + conj(alpha) * y * x^H + A`.
    Update2,
    /// The triangle is copied from `a`, packed, to `x`, in full storage.
    Unpack,
    /// The triangle is copied from `x`, in full storage, to `a`, packed.
    Pack,
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What is done.
    pub task: Task,
    /// Format of the matrix and of the vectors.
    pub element: Element,
    /// Format of `alpha` in device memory; real for [`Task::Update`] of a Hermitian matrix.
    pub alpha: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether the matrix is packed, else in a band.
    pub packed: bool,
    /// Whether the lower triangle is stored, else the upper.
    pub lower: bool,
    /// Whether the matrix is transposed.
    pub transposed: bool,
    /// Whether it is conjugated.
    pub conjugate: bool,
    /// Whether the diagonal is one and not read.
    pub unit: bool,
    /// Whether the other triangle is the conjugate, and the diagonal is real.
    pub hermitian: bool,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let task = match self.task {
            Task::General => "general",
            Task::Symmetric => "symmetric",
            Task::Solve => "solve",
            Task::Multiply => "multiply",
            Task::Update => "update",
            Task::Update2 => "update2",
            Task::Unpack => "unpack",
            Task::Pack => "pack",
        };
        let mut name = format!(
            "{}_{task}_{}_by_{}",
            if self.packed { "packed" } else { "band" },
            self.element.name(),
            self.alpha.name()
        );
        for (part, is) in [
            ("_lower", self.lower),
            ("_transposed", self.transposed),
            ("_conjugate", self.conjugate),
            ("_unit", self.unit),
            ("_hermitian", self.hermitian),
        ] {
            if is {
                name.push_str(part);
            }
        }
        name
    }

    /// Threads of a block.
    pub fn block(&self) -> u32 {
        match self.task {
            Task::Solve | Task::Multiply => 1,
            _ => BLOCK,
        }
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `a`, `x`, `y` (u64: addresses of the element `(0, 0)` and of the vectors' first elements);
    /// `a_column`, `x_step`, `y_step` (s64: bytes from one column of a band to the next, and between elements of the
    /// vectors; of `x` in full storage between its columns); `rows`, `columns` (s64: of `op(A)`); `below`, `above` (s64:
    /// diagonals of `op(A)` beside the main one that are not zero, `below` those of either kind of triangle); the scalars
    /// `alpha` and `beta`. The grid has `rows` threads in x for a product, `rows * columns` for updates and copies, one
    /// for triangular matrices.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        for name in ["a", "x", "y"] {
            f.param(name, "u64");
        }
        for name in [
            "a_column", "x_step", "y_step", "rows", "columns", "below", "above",
        ] {
            f.param(name, "s64");
        }
        f.scalar_params("alpha", self.arithmetic);
        f.scalar_params("beta", self.arithmetic);
        f.threads(self.block());
        let rows = f.load_param("rows", Class::B64);
        match self.task {
            Task::Solve | Task::Multiply => self.triangular(&mut f, rows),
            _ => {
                let tid = f.special("%tid.x");
                let block = f.special("%ctaid.x");
                let tid = f.widen(tid);
                let index = f.op3(Class::B64, "mad.wide.u32", block, BLOCK, tid);
                match self.task {
                    Task::General | Task::Symmetric => {
                        let inside = f.compare("lt.u64", index, rows);
                        f.if_then(inside, |f| self.product(f, index));
                    }
                    _ => {
                        let column = f.op2(Class::B64, "div.u64", index, rows);
                        let row = f.op2(Class::B64, "rem.u64", index, rows);
                        let inside = f.compare("lt.u64", column, rows);
                        let how = if self.lower { "ge.s64" } else { "le.s64" };
                        let stored = f.compare(how, row, column);
                        ins!(f, "and.pred {inside}, {inside}, {stored};");
                        f.if_then(inside, |f| self.each(f, row, column));
                    }
                }
            }
        }
        module(&f.finish())
    }

    /// The address of the stored element `(row, column)`.
    fn at(&self, f: &mut Function, row: Reg, column: Reg) -> Reg {
        let (a, bytes) = (f.load_param("a", Class::B64), self.element.size());
        if !self.packed {
            let stride = f.load_param("a_column", Class::B64);
            let start = f.op3(Class::B64, "mad.lo.s64", column, stride, a);
            return f.op3(Class::B64, "mad.lo.s64", row, bytes, start);
        }
        let twice = if self.lower {
            f.comment("the columns before are n, n - 1, ... long, each from its diagonal on");
            let size = f.load_param("rows", Class::B64);
            let length = f.op3(Class::B64, "mad.lo.s64", size, 2, -1);
            let length = f.op2(Class::B64, "sub.s64", length, column);
            f.op2(Class::B64, "mul.lo.s64", length, column)
        } else {
            f.comment("the columns before are 1, 2, ... long");
            f.op3(Class::B64, "mad.lo.s64", column, column, column)
        };
        let before = f.op2(Class::B64, "shr.s64", twice, 1);
        let place = f.op2(Class::B64, "add.s64", before, row);
        f.op3(Class::B64, "mad.lo.s64", place, bytes, a)
    }

    /// The address of an element of a vector.
    fn vector(&self, f: &mut Function, name: &str, index: Reg) -> Reg {
        let base = f.load_param(name, Class::B64);
        let step = f.load_param(&format!("{name}_step"), Class::B64);
        f.op3(Class::B64, "mad.lo.s64", index, step, base)
    }

    /// An element of a vector.
    fn entry(&self, f: &mut Function, name: &str, index: Reg) -> Number {
        let at = self.vector(f, name, index);
        f.load("global", self.element, self.arithmetic, at, 0)
    }

    /// Element `(i, p)` of `op(A)`, which is stored.
    fn factor(&self, f: &mut Function, i: Reg, p: Reg) -> Number {
        let (row, column) = if self.transposed { (p, i) } else { (i, p) };
        let at = self.at(f, row, column);
        let number = f.load("global", self.element, self.arithmetic, at, 0);
        if self.conjugate {
            f.conjugate(self.arithmetic, number);
        }
        number
    }

    /// Element `(i, p)` of a symmetric matrix.
    fn mirrored(&self, f: &mut Function, i: Reg, p: Reg) -> Number {
        let ar = self.arithmetic;
        let how = if self.lower { "ge.s64" } else { "le.s64" };
        let stored = f.compare(how, i, p);
        let row = f.op3(Class::B64, "selp.b64", i, p, stored);
        let column = f.op3(Class::B64, "selp.b64", p, i, stored);
        let at = self.at(f, row, column);
        let number = f.load("global", self.element, ar, at, 0);
        if let (true, Some(im)) = (self.hermitian, number.im) {
            let diagonal = f.compare("eq.s64", i, p);
            let suffix = ar.suffix();
            ins!(f, "@!{stored} neg.{suffix} {im}, {im};");
            ins!(f, "@{diagonal} mov.{suffix} {im}, {};", ar.immediate(0.0));
        }
        number
    }

    fn product(&self, f: &mut Function, i: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let alpha = f.scalar("alpha", self.alpha, ar);
        let beta = f.scalar("beta", element, ar);
        let sum = f.constant(ar, 0.0);
        let counts = f.is_nonzero(ar, alpha);
        f.if_then(counts, |f| {
            let below = f.load_param("below", Class::B64);
            let above = f.load_param("above", Class::B64);
            let columns = f.load_param("columns", Class::B64);
            let p = f.op2(Class::B64, "sub.s64", i, below);
            ins!(f, "max.s64 {p}, {p}, 0;");
            let end = f.op2(Class::B64, "add.s64", i, above);
            ins!(f, "add.s64 {end}, {end}, 1;");
            ins!(f, "min.s64 {end}, {end}, {columns};");
            f.while_loop(
                |f| f.compare("lt.s64", p, end),
                |f| {
                    let factor = match self.task {
                        Task::Symmetric => self.mirrored(f, i, p),
                        _ => self.factor(f, i, p),
                    };
                    let value = self.entry(f, "x", p);
                    f.multiply_add(ar, sum, factor, value);
                    ins!(f, "add.s64 {p}, {p}, 1;");
                },
            );
        });
        let result = f.multiply(ar, alpha, sum);
        let y = self.vector(f, "y", i);
        let counts = f.is_nonzero(ar, beta);
        f.if_then(counts, |f| {
            let old = f.load("global", element, ar, y, 0);
            f.multiply_add(ar, result, beta, old);
        });
        f.store(None, element, ar, y, result);
    }

    /// Solves from the end where the sums have what is known, multiplies from the end where they have what is still given.
    fn triangular(&self, f: &mut Function, size: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let solves = self.task == Task::Solve;
        let lower = self.lower != self.transposed;
        let ascending = lower == solves;
        let band = f.load_param("below", Class::B64);
        let i = f.op1(Class::B64, "mov.b64", 0);
        if !ascending {
            ins!(f, "sub.s64 {i}, {size}, 1;");
        }
        f.while_loop(
            |f| {
                if ascending {
                    f.compare("lt.s64", i, size)
                } else {
                    f.compare("ge.s64", i, 0)
                }
            },
            |f| {
                let x = self.vector(f, "x", i);
                let sum = f.load("global", element, ar, x, 0);
                if !solves && !self.unit {
                    let diagonal = self.factor(f, i, i);
                    let product = f.multiply(ar, diagonal, sum);
                    f.copy(ar, sum, product);
                }
                let (p, end) = (f.reg(Class::B64), f.reg(Class::B64));
                if lower {
                    ins!(f, "sub.s64 {p}, {i}, {band};");
                    ins!(f, "max.s64 {p}, {p}, 0;");
                    ins!(f, "mov.b64 {end}, {i};");
                } else {
                    ins!(f, "add.s64 {p}, {i}, 1;");
                    ins!(f, "add.s64 {end}, {p}, {band};");
                    ins!(f, "min.s64 {end}, {end}, {size};");
                }
                f.while_loop(
                    |f| f.compare("lt.s64", p, end),
                    |f| {
                        let factor = self.factor(f, i, p);
                        let value = self.entry(f, "x", p);
                        if solves {
                            f.multiply_subtract(ar, sum, factor, value);
                        } else {
                            f.multiply_add(ar, sum, factor, value);
                        }
                        ins!(f, "add.s64 {p}, {p}, 1;");
                    },
                );
                if solves && !self.unit {
                    let diagonal = self.factor(f, i, i);
                    let quotient = f.divide(ar, sum, diagonal);
                    f.copy(ar, sum, quotient);
                }
                f.store(None, element, ar, x, sum);
                ins!(f, "add.s64 {i}, {i}, {};", if ascending { 1 } else { -1 });
            },
        );
    }

    /// What is done with one element of the triangle.
    fn each(&self, f: &mut Function, row: Reg, column: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let at = self.at(f, row, column);
        if matches!(self.task, Task::Unpack | Task::Pack) {
            let full = self.vector(f, "x", column);
            let full = f.op3(Class::B64, "mad.lo.s64", row, element.size(), full);
            let (from, to) = match self.task {
                Task::Pack => (full, at),
                _ => (at, full),
            };
            let number = f.load("global", element, ar, from, 0);
            f.store(None, element, ar, to, number);
            return;
        }
        let alpha = f.scalar("alpha", self.alpha, ar);
        f.comment("nothing is read or written where alpha is zero");
        let counts = f.is_nonzero(ar, alpha);
        f.if_then(counts, |f| {
            let sum = f.load("global", element, ar, at, 0);
            let pairs: &[_] = match self.task {
                Task::Update => &[("x", "x")],
                _ => &[("x", "y"), ("y", "x")],
            };
            for (turn, (left, right)) in pairs.iter().enumerate() {
                if turn == 1 && self.hermitian {
                    f.conjugate(ar, alpha);
                }
                let left = self.entry(f, left, row);
                let right = self.entry(f, right, column);
                if self.hermitian {
                    f.conjugate(ar, right);
                }
                let scaled = f.multiply(ar, alpha, right);
                f.multiply_add(ar, sum, left, scaled);
            }
            if let (true, Some(im)) = (self.hermitian, sum.im) {
                let diagonal = f.compare("eq.s64", row, column);
                ins!(
                    f,
                    "@{diagonal} mov.{} {im}, {};",
                    ar.suffix(),
                    ar.immediate(0.0)
                );
            }
            f.store(None, element, ar, at, sum);
        });
    }
}
