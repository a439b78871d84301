//! Triangular matrices: `x = M^-1 * (alpha * b)` and `y = alpha * M * x`, one thread for each vector.
//!
//! The host states every case in one form: `M` is lower triangular and worked through from the first row down when
//! solving, upper triangular when multiplying (so that a product may overwrite its operand). The other triangle,
//! transposition, and the right side are strides, negative ones included, and offsets. A vector's sums are serial; it is
//! the number of vectors and of matrices that fills the device.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block.
pub const BLOCK: u32 = 64;

/// What is done with the triangular matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `x = M^-1 * (alpha * b)` with `M` lower triangular.
    Solve,
    /// `y = alpha * M * x` with `M` upper triangular.
    Multiply,
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Solve or multiply.
    pub task: Task,
    /// Format of everything.
    pub element: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether `M` is conjugated.
    pub conjugate: bool,
    /// Whether the diagonal is one and not read.
    pub unit: bool,
    /// Whether the matrices' addresses are those of arrays of addresses, one for each matrix of the batch.
    pub pointers: bool,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        format!(
            "triangular_{}_{}{}{}{}",
            match self.task {
                Task::Solve => "solve",
                Task::Multiply => "multiply",
            },
            self.element.name(),
            if self.conjugate { "_conjugate" } else { "" },
            if self.unit { "_unit" } else { "" },
            if self.pointers { "_pointers" } else { "" },
        )
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `m`, `x`, `y` (u64: address, or address of an array of addresses) of the matrix, the given
    /// and the resulting vectors; `offset_m`, `offset_x`, `offset_y` (s64: bytes to the first element in the order of
    /// work); `m_row`, `m_column`, `x_step`, `x_vector`, `y_step`, `y_vector` (s64: bytes between rows and columns of
    /// `M`, between the elements of a vector, and between vectors); `batch_m`, `batch_x`, `batch_y` (s64: bytes);
    /// `size`, `vectors`, `batch_first` (u32); the scalar `alpha`. The grid has the vectors in x, the batch in z.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        for name in ["m", "x", "y"] {
            f.param(name, "u64");
        }
        for name in ["offset_m", "offset_x", "offset_y"] {
            f.param(name, "s64");
        }
        for name in [
            "m_row", "m_column", "x_step", "x_vector", "y_step", "y_vector",
        ] {
            f.param(name, "s64");
        }
        for name in ["batch_m", "batch_x", "batch_y"] {
            f.param(name, "s64");
        }
        for name in ["size", "vectors", "batch_first"] {
            f.param(name, "u32");
        }
        f.scalar_params("alpha", self.arithmetic);
        f.threads(BLOCK);
        self.body(&mut f);
        module(&f.finish())
    }

    fn base(&self, f: &mut Function, name: &str, z: Reg) -> Reg {
        let base = f.load_param(name, Class::B64);
        let offset = f.load_param(&format!("offset_{name}"), Class::B64);
        if self.pointers {
            let at = f.op3(Class::B64, "mad.wide.u32", z, 8, base);
            let address = f.reg(Class::B64);
            ins!(f, "ld.global.u64 {address}, [{at}];");
            return f.op2(Class::B64, "add.s64", address, offset);
        }
        let stride = f.load_param(&format!("batch_{name}"), Class::B64);
        let z = f.widen(z);
        let start = f.op3(Class::B64, "mad.lo.s64", z, stride, base);
        f.op2(Class::B64, "add.s64", start, offset)
    }

    fn body(&self, f: &mut Function) {
        let (ar, element) = (self.arithmetic, self.element);
        f.comment("the vector of this thread");
        let tid = f.special("%tid.x");
        let block = f.special("%ctaid.x");
        let vector = f.op3(Class::B32, "mad.lo.u32", block, BLOCK, tid);
        let vectors = f.load_param("vectors", Class::B32);
        let inside = f.compare("lt.u32", vector, vectors);
        f.if_then(inside, |f| {
            let z = f.special("%ctaid.z");
            let first = f.load_param("batch_first", Class::B32);
            let z = f.op2(Class::B32, "add.u32", z, first);
            let row = self.base(f, "m", z);
            let mut starts = Vec::new();
            let mut steps = Vec::new();
            let vector = f.widen(vector);
            for name in ["x", "y"] {
                let base = self.base(f, name, z);
                let stride = f.load_param(&format!("{name}_vector"), Class::B64);
                starts.push(f.op3(Class::B64, "mad.lo.s64", vector, stride, base));
                steps.push(f.load_param(&format!("{name}_step"), Class::B64));
            }
            let (x, y) = ((starts[0], steps[0]), (starts[1], steps[1]));
            let m_row = f.load_param("m_row", Class::B64);
            let m_column = f.load_param("m_column", Class::B64);
            let size = f.load_param("size", Class::B32);
            let alpha = f.scalar("alpha", element, ar);
            match self.task {
                Task::Solve => self.solve(f, (row, m_row, m_column), x, y, size, alpha),
                Task::Multiply => self.multiply(f, (row, m_row, m_column), x, y, size, alpha),
            }
        });
    }

    /// Forward substitution: `y[i] = (alpha * x[i] - sum(M[i][p] * y[p], p < i)) / M[i][i]`.
    fn solve(
        &self,
        f: &mut Function,
        (row, m_row, m_column): (Reg, Reg, Reg),
        (x, x_step): (Reg, Reg),
        (y, y_step): (Reg, Reg),
        size: Reg,
        alpha: Number,
    ) {
        let (ar, element) = (self.arithmetic, self.element);
        let counts = f.is_nonzero(ar, alpha);
        let result = f.op1(Class::B64, "mov.b64", y);
        let i = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("lt.u32", i, size),
            |f| {
                let sum = f.constant(ar, 0.0);
                f.comment("nothing is read where alpha is zero");
                f.if_then(counts, |f| {
                    let given = f.load("global", element, ar, x, 0);
                    let scaled = f.multiply(ar, alpha, given);
                    f.copy(ar, sum, scaled);
                    let at = f.op1(Class::B64, "mov.b64", row);
                    let known = f.op1(Class::B64, "mov.b64", y);
                    let p = f.op1(Class::B32, "mov.b32", 0);
                    f.while_loop(
                        |f| f.compare("lt.u32", p, i),
                        |f| {
                            let factor = f.load("global", element, ar, at, 0);
                            self.conjugate(f, factor);
                            let value = f.load("global", element, ar, known, 0);
                            f.multiply_subtract(ar, sum, factor, value);
                            ins!(f, "add.s64 {at}, {at}, {m_column};");
                            ins!(f, "add.s64 {known}, {known}, {y_step};");
                            ins!(f, "add.u32 {p}, {p}, 1;");
                        },
                    );
                    if !self.unit {
                        let diagonal = f.load("global", element, ar, at, 0);
                        self.conjugate(f, diagonal);
                        let quotient = f.divide(ar, sum, diagonal);
                        f.copy(ar, sum, quotient);
                    }
                });
                f.store(None, element, ar, result, sum);
                ins!(f, "add.s64 {result}, {result}, {y_step};");
                ins!(f, "add.s64 {x}, {x}, {x_step};");
                ins!(f, "add.s64 {row}, {row}, {m_row};");
                ins!(f, "add.u32 {i}, {i}, 1;");
            },
        );
    }

    /// `y[i] = alpha * sum(M[i][p] * x[p], p >= i)`, from the first element on, so that `y` may be `x`.
    fn multiply(
        &self,
        f: &mut Function,
        (diagonal, m_row, m_column): (Reg, Reg, Reg),
        (x, x_step): (Reg, Reg),
        (y, y_step): (Reg, Reg),
        size: Reg,
        alpha: Number,
    ) {
        let (ar, element) = (self.arithmetic, self.element);
        let counts = f.is_nonzero(ar, alpha);
        let i = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("lt.u32", i, size),
            |f| {
                let sum = f.constant(ar, 0.0);
                f.comment("nothing is read where alpha is zero");
                f.if_then(counts, |f| {
                    let at = f.op1(Class::B64, "mov.b64", diagonal);
                    let from = f.op1(Class::B64, "mov.b64", x);
                    let p = f.op1(Class::B32, "mov.b32", i);
                    if self.unit {
                        let value = f.load("global", element, ar, from, 0);
                        f.copy(ar, sum, value);
                        ins!(f, "add.s64 {at}, {at}, {m_column};");
                        ins!(f, "add.s64 {from}, {from}, {x_step};");
                        ins!(f, "add.u32 {p}, {p}, 1;");
                    }
                    f.while_loop(
                        |f| f.compare("lt.u32", p, size),
                        |f| {
                            let factor = f.load("global", element, ar, at, 0);
                            self.conjugate(f, factor);
                            let value = f.load("global", element, ar, from, 0);
                            f.multiply_add(ar, sum, factor, value);
                            ins!(f, "add.s64 {at}, {at}, {m_column};");
                            ins!(f, "add.s64 {from}, {from}, {x_step};");
                            ins!(f, "add.u32 {p}, {p}, 1;");
                        },
                    );
                    let scaled = f.multiply(ar, alpha, sum);
                    f.copy(ar, sum, scaled);
                });
                f.store(None, element, ar, y, sum);
                ins!(f, "add.s64 {y}, {y}, {y_step};");
                ins!(f, "add.s64 {x}, {x}, {x_step};");
                ins!(f, "add.s64 {diagonal}, {diagonal}, {m_row};");
                ins!(f, "add.s64 {diagonal}, {diagonal}, {m_column};");
                ins!(f, "add.u32 {i}, {i}, 1;");
            },
        );
    }

    fn conjugate(&self, f: &mut Function, number: Number) {
        if self.conjugate {
            f.conjugate(self.arithmetic, number);
        }
    }
}
