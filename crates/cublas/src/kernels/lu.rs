//! Factors of small matrices, many at a time: `P * A = L * U` by one block for each matrix, and what solving with them needs
//! beside triangular systems ([`super::triangular`]).
//!
//! ```text
//! for each column k:   the row with the largest number at or below the diagonal changes places with row k
//!                      what is below the diagonal is divided by it
//!                      A[i][j] -= A[i][k] * A[k][j]   for all i, j > k
//! ```
//!
//! Matrices are in column order, and their addresses in an array in device memory. Rows are counted from one in what callers see (LAPACK).

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block.
pub const BLOCK: u32 = 128;

/// The largest matrix: elements are counted in 32 bits.
pub const MOST: i64 = 65_535;

/// The largest matrix that [`Task::Inverse`] takes, as in cuBLAS: a column is in shared memory.
pub const MOST_INVERTED: i64 = 32;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `A` becomes `L` without its diagonal of ones, and `U`.
    Factor,
    /// Rows of `B` change places as they did in `A`, a thread for each column.
    Permute,
    /// The same in the opposite order.
    PermuteBack,
    /// `C = 1`; tells of the first zero on the diagonal of `A`.
    Identity,
    /// `C` becomes the inverse of `A`, of at most [`MOST_INVERTED`] rows, which stays: Gauss and Jordan's elimination in place.
    Inverse,
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The operation.
    pub task: Task,
    /// Format of the matrices.
    pub element: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether rows change places ([`Task::Factor`]).
    pub pivots: bool,
}

/// A matrix of the batch: the address of its first number and the bytes between columns.
#[derive(Clone, Copy)]
struct Place {
    base: Reg,
    ld: Reg,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let task = match (self.task, self.pivots) {
            (Task::Factor, true) => "factor_pivots",
            (Task::Factor, false) => "factor",
            (Task::Permute, _) => "permute",
            (Task::PermuteBack, _) => "permute_back",
            (Task::Identity, _) => "identity",
            (Task::Inverse, _) => "inverse",
        };
        format!("lu_{task}_{}", self.element.name())
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `a` (u64: the address of an array of addresses), `a_ld` (s64: bytes); `c`, `c_ld` likewise;
    /// `pivots` and `info` (u64: addresses of 32-bit numbers); `size` and `columns` (u32). The grid has the batch in x and, for
    /// permutations of `a`, blocks of columns in y.
    pub fn ptx(&self) -> String {
        let mut function = Function::new(self.name());
        let f = &mut function;
        for (name, ty) in [
            ("a", "u64"),
            ("a_ld", "s64"),
            ("c", "u64"),
            ("c_ld", "s64"),
            ("pivots", "u64"),
            ("info", "u64"),
            ("size", "u32"),
            ("columns", "u32"),
        ] {
            f.param(name, ty);
        }
        f.threads(BLOCK);
        let batch = f.special("%ctaid.x");
        let tid = f.special("%tid.x");
        let size = f.load_param("size", Class::B32);
        match self.task {
            Task::Factor => self.factor(f, batch, tid, size),
            Task::Permute => self.permute(f, batch, tid, size, false),
            Task::PermuteBack => self.permute(f, batch, tid, size, true),
            Task::Identity => self.identity(f, batch, tid, size),
            Task::Inverse => self.inverse(f, batch, tid, size),
        }
        module(&function.finish())
    }

    fn place(&self, f: &mut Function, name: &str, batch: Reg) -> Place {
        let addresses = f.load_param(name, Class::B64);
        let at = f.op3(Class::B64, "mad.wide.u32", batch, 8, addresses);
        let base = f.reg(Class::B64);
        ins!(f, "ld.global.u64 {base}, [{at}];");
        let ld = f.load_param(&format!("{name}_ld"), Class::B64);
        Place { base, ld }
    }

    /// The address of a matrix's number.
    fn at(&self, f: &mut Function, place: Place, row: Reg, column: Reg) -> Reg {
        let column = f.widen(column);
        let start = f.op3(Class::B64, "mad.lo.s64", column, place.ld, place.base);
        f.op3(
            Class::B64,
            "mad.wide.u32",
            row,
            self.element.size() as u32,
            start,
        )
    }

    fn load(&self, f: &mut Function, place: Place, row: Reg, column: Reg) -> Number {
        let at = self.at(f, place, row, column);
        f.load("global", self.element, self.arithmetic, at, 0)
    }

    /// `for (i = start; i < end; i += BLOCK) body(i)`
    fn share(f: &mut Function, start: Reg, end: Reg, body: impl FnOnce(&mut Function, Reg)) {
        let i = f.op1(Class::B32, "mov.b32", start);
        f.while_loop(
            |f| f.compare("lt.u32", i, end),
            |f| {
                body(f, i);
                ins!(f, "add.u32 {i}, {i}, {BLOCK};");
            },
        );
    }

    /// How large a number is: of complex ones the modulus, by which cuBLAS compares them, where LAPACK takes the sum of parts.
    fn magnitude(&self, f: &mut Function, number: Number) -> Reg {
        let real = self.arithmetic.real();
        let (class, ty) = (real.class(), real.suffix());
        let abs = format!("abs.{ty}");
        let re = f.op1(class, &abs, number.re);
        let Some(im) = number.im else {
            return re;
        };
        let im = f.op1(class, &abs, im);
        let large = f.op2(class, &format!("max.{ty}"), re, im);
        let small = f.op2(class, &format!("min.{ty}"), re, im);
        let ratio = f.op2(class, &format!("div.rn.{ty}"), small, large);
        let none = f.compare(&format!("eq.{ty}"), large, real.immediate(0.0));
        ins!(f, "@{none} mov.{ty} {ratio}, {};", real.immediate(0.0));
        let one = real.immediate(1.0);
        let square = f.op3(class, &format!("fma.rn.{ty}"), ratio, ratio, one);
        let root = f.op1(class, &format!("sqrt.rn.{ty}"), square);
        f.op2(class, &format!("mul.rn.{ty}"), large, root)
    }

    /// Two rows change places in a column.
    fn exchange(&self, f: &mut Function, place: Place, rows: (Reg, Reg), column: Reg) {
        let [one, other] = [rows.0, rows.1].map(|row| self.at(f, place, row, column));
        self.exchange_numbers(f, one, other);
    }

    fn exchange_numbers(&self, f: &mut Function, one: Reg, other: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let [x, y] = [one, other].map(|at| f.load("global", element, ar, at, 0));
        f.store(None, element, ar, one, y);
        f.store(None, element, ar, other, x);
    }

    /// Two rows change places, unless they are the same, by the threads of the block.
    fn exchange_rows(&self, f: &mut Function, place: Place, rows: (Reg, Reg), tid: Reg, size: Reg) {
        let differs = f.compare("ne.u32", rows.0, rows.1);
        f.if_then(differs, |f| {
            Self::share(f, tid, size, |f, column| {
                self.exchange(f, place, rows, column);
            });
        });
    }

    /// Row and column of the number at an index, where columns have so many rows.
    fn split(f: &mut Function, index: Reg, rows: Reg) -> (Reg, Reg) {
        let row = f.op2(Class::B32, "rem.u32", index, rows);
        (row, f.op2(Class::B32, "div.u32", index, rows))
    }

    /// The number on the diagonal, whether it is not zero, and `k + 1`, which `info` becomes at the first zero.
    fn diagonal(&self, f: &mut Function, place: Place, k: Reg, info: Reg) -> (Number, Reg, Reg) {
        let diagonal = self.load(f, place, k, k);
        let nonzero = f.is_nonzero(self.arithmetic, diagonal);
        let next = f.op2(Class::B32, "add.u32", k, 1);
        let told = f.compare("ne.u32", info, 0);
        ins!(f, "or.pred {told}, {told}, {nonzero};");
        ins!(f, "@!{told} mov.b32 {info}, {next};");
        (diagonal, nonzero, next)
    }

    /// Where the row is that changed places with row `k`.
    fn pivot_at(&self, f: &mut Function, batch: Reg, size: Reg, k: Reg) -> Reg {
        let pivots = f.load_param("pivots", Class::B64);
        let (batch, k) = (f.widen(batch), f.widen(k));
        let size = f.widen(size);
        let index = f.op3(Class::B64, "mad.lo.u64", batch, size, k);
        f.op3(Class::B64, "mad.lo.u64", index, 4, pivots)
    }

    /// The row of the largest number of column `k` from row `k` on, the first of several.
    fn largest(&self, f: &mut Function, a: Place, tid: Reg, k: Reg, size: Reg) -> Reg {
        let real = self.arithmetic.real();
        let ty = real.suffix();
        let best = f.op1(real.class(), &format!("mov.{ty}"), real.immediate(-1.0));
        let place = f.op1(Class::B32, "mov.b32", k);
        let start = f.op2(Class::B32, "add.u32", k, tid);
        Self::share(f, start, size, |f, i| {
            let number = self.load(f, a, i, k);
            let magnitude = self.magnitude(f, number);
            let more = f.compare(&format!("gt.{ty}"), magnitude, best);
            ins!(f, "@{more} mov.{ty} {best}, {magnitude};");
            ins!(f, "@{more} mov.b32 {place}, {i};");
        });
        f.comment("the block's");
        let mine = f.op1(Class::B32, "mov.u32", "exchange");
        let mine = f.op3(Class::B32, "mad.lo.u32", tid, 16, mine);
        ins!(f, "st.shared.{ty} [{mine}], {best};");
        ins!(f, "st.shared.b32 [{mine}+8], {place};");
        ins!(f, "bar.sync 0;");
        let mut distance = BLOCK / 2;
        while distance > 0 {
            let takes = f.compare("lt.u32", tid, distance);
            f.if_then(takes, |f| {
                let other = f.reg(real.class());
                let row = f.reg(Class::B32);
                ins!(f, "ld.shared.{ty} {other}, [{mine}+{}];", distance * 16);
                ins!(f, "ld.shared.b32 {row}, [{mine}+{}];", distance * 16 + 8);
                let more = f.compare(&format!("gt.{ty}"), other, best);
                let same = f.compare(&format!("eq.{ty}"), other, best);
                let before = f.compare("lt.u32", row, place);
                ins!(f, "and.pred {same}, {same}, {before};");
                ins!(f, "or.pred {more}, {more}, {same};");
                ins!(f, "@{more} mov.{ty} {best}, {other};");
                ins!(f, "@{more} mov.b32 {place}, {row};");
                ins!(f, "st.shared.{ty} [{mine}], {best};");
                ins!(f, "st.shared.b32 [{mine}+8], {place};");
            });
            ins!(f, "bar.sync 0;");
            distance /= 2;
        }
        let chosen = f.reg(Class::B32);
        ins!(f, "ld.shared.b32 {chosen}, [exchange+8];");
        chosen
    }

    fn factor(&self, f: &mut Function, batch: Reg, tid: Reg, size: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        f.shared("exchange", 16, BLOCK * 16);
        let a = self.place(f, "a", batch);
        let first = f.compare("eq.u32", tid, 0);
        let info = f.op1(Class::B32, "mov.b32", 0);
        let k = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("lt.u32", k, size),
            |f| {
                if self.pivots {
                    let chosen = self.largest(f, a, tid, k, size);
                    let at = self.pivot_at(f, batch, size, k);
                    let number = f.op2(Class::B32, "add.u32", chosen, 1);
                    ins!(f, "@{first} st.global.b32 [{at}], {number};");
                    self.exchange_rows(f, a, (k, chosen), tid, size);
                    ins!(f, "bar.sync 0;");
                }
                let (diagonal, nonzero, next) = self.diagonal(f, a, k, info);
                f.if_then(nonzero, |f| {
                    let start = f.op2(Class::B32, "add.u32", next, tid);
                    Self::share(f, start, size, |f, row| {
                        let at = self.at(f, a, row, k);
                        let number = f.load("global", element, ar, at, 0);
                        let quotient = f.divide(ar, number, diagonal);
                        f.store(None, element, ar, at, quotient);
                    });
                });
                ins!(f, "bar.sync 0;");
                f.if_then(nonzero, |f| {
                    let rest = f.op2(Class::B32, "sub.u32", size, next);
                    let count = f.op2(Class::B32, "mul.lo.u32", rest, rest);
                    Self::share(f, tid, count, |f, index| {
                        let (row, column) = Self::split(f, index, rest);
                        let [row, column] =
                            [row, column].map(|n| f.op2(Class::B32, "add.u32", n, next));
                        let left = self.load(f, a, row, k);
                        let above = self.load(f, a, k, column);
                        let at = self.at(f, a, row, column);
                        let number = f.load("global", element, ar, at, 0);
                        f.multiply_subtract(ar, number, left, above);
                        f.store(None, element, ar, at, number);
                    });
                });
                ins!(f, "bar.sync 0;");
                ins!(f, "mov.b32 {k}, {next};");
            },
        );
        self.tell(f, batch, first, info);
    }

    /// The first thread writes `info`.
    fn tell(&self, f: &mut Function, batch: Reg, first: Reg, info: Reg) {
        let to = f.load_param("info", Class::B64);
        let to = f.op3(Class::B64, "mad.wide.u32", batch, 4, to);
        ins!(f, "@{first} st.global.b32 [{to}], {info};");
    }

    fn permute(&self, f: &mut Function, batch: Reg, tid: Reg, size: Reg, back: bool) {
        let b = self.place(f, "a", batch);
        let columns = f.load_param("columns", Class::B32);
        let block = f.special("%ctaid.y");
        let column = f.op3(Class::B32, "mad.lo.u32", block, BLOCK, tid);
        let inside = f.compare("lt.u32", column, columns);
        f.if_then(inside, |f| {
            let n = f.op1(Class::B32, "mov.b32", 0);
            f.while_loop(
                |f| f.compare("lt.u32", n, size),
                |f| {
                    let k = match back {
                        false => n,
                        true => {
                            let k = f.op2(Class::B32, "sub.u32", size, n);
                            f.op2(Class::B32, "sub.u32", k, 1)
                        }
                    };
                    let at = self.pivot_at(f, batch, size, k);
                    let row = f.reg(Class::B32);
                    ins!(f, "ld.global.b32 {row}, [{at}];");
                    let row = f.op2(Class::B32, "sub.u32", row, 1);
                    let differs = f.compare("ne.u32", row, k);
                    f.if_then(differs, |f| self.exchange(f, b, (k, row), column));
                    ins!(f, "add.u32 {n}, {n}, 1;");
                },
            );
        });
    }

    fn identity(&self, f: &mut Function, batch: Reg, tid: Reg, size: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        let [a, c] = ["a", "c"].map(|name| self.place(f, name, batch));
        let count = f.op2(Class::B32, "mul.lo.u32", size, size);
        let (one, zero) = (f.constant(ar, 1.0), f.constant(ar, 0.0));
        Self::share(f, tid, count, |f, index| {
            let (row, column) = Self::split(f, index, size);
            let at = self.at(f, c, row, column);
            let same = f.compare("eq.u32", row, column);
            f.store(None, element, ar, at, zero);
            f.store(Some(same), element, ar, at, one);
        });
        let first = f.compare("eq.u32", tid, 0);
        let info = f.op1(Class::B32, "mov.b32", 0);
        f.if_then(first, |f| {
            let k = f.op1(Class::B32, "mov.b32", size);
            f.while_loop(
                |f| f.compare("ne.u32", k, 0),
                |f| {
                    let row = f.op2(Class::B32, "sub.u32", k, 1);
                    let diagonal = self.load(f, a, row, row);
                    let nonzero = f.is_nonzero(ar, diagonal);
                    ins!(f, "@!{nonzero} mov.b32 {info}, {k};");
                    ins!(f, "mov.b32 {k}, {row};");
                },
            );
        });
        self.tell(f, batch, first, info);
    }

    /// For each `k`, as in [`Self::factor`], row `k` is divided by its diagonal and taken from all others, where column `k` counts as
    /// the identity's: what is there afterwards is the inverse's. At last columns change places as rows did.
    fn inverse(&self, f: &mut Function, batch: Reg, tid: Reg, size: Reg) {
        let (ar, element) = (self.arithmetic, self.element);
        f.shared("exchange", 16, BLOCK * 16);
        f.shared("column", 16, MOST_INVERTED as u32 * 16);
        f.shared("rows", 4, MOST_INVERTED as u32 * 4);
        let [a, c] = ["a", "c"].map(|name| self.place(f, name, batch));
        let shared = |f: &mut Function, name: &str, index: Reg, bytes: u32| {
            let start = f.op1(Class::B32, "mov.u32", name);
            f.op3(Class::B32, "mad.lo.u32", index, bytes, start)
        };
        let count = f.op2(Class::B32, "mul.lo.u32", size, size);
        Self::share(f, tid, count, |f, index| {
            let (row, column) = Self::split(f, index, size);
            let number = self.load(f, a, row, column);
            let at = self.at(f, c, row, column);
            f.store(None, element, ar, at, number);
        });
        ins!(f, "bar.sync 0;");
        let first = f.compare("eq.u32", tid, 0);
        let info = f.op1(Class::B32, "mov.b32", 0);
        let (one, zero) = (f.constant(ar, 1.0), f.constant(ar, 0.0));
        let k = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("lt.u32", k, size),
            |f| {
                let chosen = self.largest(f, c, tid, k, size);
                let at = shared(f, "rows", k, 4);
                ins!(f, "@{first} st.shared.b32 [{at}], {chosen};");
                self.exchange_rows(f, c, (k, chosen), tid, size);
                ins!(f, "bar.sync 0;");
                let (diagonal, nonzero, next) = self.diagonal(f, c, k, info);
                Self::share(f, tid, size, |f, row| {
                    let number = self.load(f, c, row, k);
                    let at = shared(f, "column", row, 16);
                    f.store_shared(ar, at, number);
                });
                ins!(f, "bar.sync 0;");
                f.if_then(nonzero, |f| {
                    Self::share(f, tid, size, |f, column| {
                        let at = self.at(f, c, k, column);
                        let number = f.load("global", element, ar, at, 0);
                        let own = f.compare("eq.u32", column, k);
                        f.if_then(own, |f| f.copy(ar, number, one));
                        let quotient = f.divide(ar, number, diagonal);
                        f.store(None, element, ar, at, quotient);
                    });
                });
                ins!(f, "bar.sync 0;");
                f.if_then(nonzero, |f| {
                    Self::share(f, tid, count, |f, index| {
                        let (row, column) = Self::split(f, index, size);
                        let other = f.compare("ne.u32", row, k);
                        f.if_then(other, |f| {
                            let at = self.at(f, c, row, column);
                            let number = f.load("global", element, ar, at, 0);
                            let own = f.compare("eq.u32", column, k);
                            f.if_then(own, |f| f.copy(ar, number, zero));
                            let left = shared(f, "column", row, 16);
                            let left = f.load("shared", ar.element(), ar, left, 0);
                            let above = self.load(f, c, k, column);
                            f.multiply_subtract(ar, number, left, above);
                            f.store(None, element, ar, at, number);
                        });
                    });
                });
                ins!(f, "bar.sync 0;");
                ins!(f, "mov.b32 {k}, {next};");
            },
        );
        f.while_loop(
            |f| f.compare("ne.u32", k, 0),
            |f| {
                ins!(f, "sub.u32 {k}, {k}, 1;");
                let at = shared(f, "rows", k, 4);
                let other = f.reg(Class::B32);
                ins!(f, "ld.shared.b32 {other}, [{at}];");
                let differs = f.compare("ne.u32", other, k);
                f.if_then(differs, |f| {
                    Self::share(f, tid, size, |f, row| {
                        let [x, y] = [k, other].map(|column| self.at(f, c, row, column));
                        self.exchange_numbers(f, x, y);
                    });
                });
                ins!(f, "bar.sync 0;");
            },
        );
        self.tell(f, batch, first, info);
    }
}
