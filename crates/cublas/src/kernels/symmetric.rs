//! Products with a symmetric or Hermitian matrix of which one triangle is stored: `C = alpha * S * X + beta * C`, one
//! thread for each element of `C`. With the rows and columns of `X` and `C` exchanged it is the product from the right.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function};

/// Threads of a block.
pub const BLOCK: u32 = 64;

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Format of everything.
    pub element: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether the lower triangle is stored, else the upper.
    pub lower: bool,
    /// Whether the other triangle is the conjugate, and the diagonal is real.
    pub hermitian: bool,
    /// Whether the matrix is conjugated as a whole: a Hermitian matrix on the right side.
    pub conjugate: bool,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        format!(
            "symmetric_{}_{}{}{}",
            if self.lower { "lower" } else { "upper" },
            self.element.name(),
            if self.hermitian { "_hermitian" } else { "" },
            if self.conjugate { "_conjugate" } else { "" },
        )
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `s`, `x`, `c` (u64: addresses); `lds`, `x_row`, `x_column`, `c_row`, `c_column` (s64:
    /// bytes); `size`, `columns` (u32: rows of `C`, columns of `C`); the scalars `alpha` and `beta`. The grid has
    /// `size * columns` threads in x, row by row within a column.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        for name in ["s", "x", "c"] {
            f.param(name, "u64");
        }
        for name in ["lds", "x_row", "x_column", "c_row", "c_column"] {
            f.param(name, "s64");
        }
        for name in ["size", "columns"] {
            f.param(name, "u32");
        }
        f.scalar_params("alpha", self.arithmetic);
        f.scalar_params("beta", self.arithmetic);
        f.threads(BLOCK);
        self.body(&mut f);
        module(&f.finish())
    }

    fn body(&self, f: &mut Function) {
        let (ar, element) = (self.arithmetic, self.element);
        let tid = f.special("%tid.x");
        let block = f.special("%ctaid.x");
        let wide = f.widen(tid);
        let index = f.op3(Class::B64, "mad.wide.u32", block, BLOCK, wide);
        let size = f.load_param("size", Class::B32);
        let columns = f.load_param("columns", Class::B32);
        let wide_size = f.widen(size);
        let column = f.op2(Class::B64, "div.u64", index, wide_size);
        let row = f.op2(Class::B64, "rem.u64", index, wide_size);
        let wide_columns = f.widen(columns);
        let inside = f.compare("lt.u64", column, wide_columns);
        f.if_then(inside, |f| {
            let alpha = f.scalar("alpha", element, ar);
            let beta = f.scalar("beta", element, ar);
            let (x, x_column) = (f.load_param("x", Class::B64), f.load_param("x_column", Class::B64));
            let x = f.op3(Class::B64, "mad.lo.s64", column, x_column, x);
            let x_row = f.load_param("x_row", Class::B64);
            let s = f.load_param("s", Class::B64);
            let lds = f.load_param("lds", Class::B64);
            let sum = f.constant(ar, 0.0);
            let alpha_counts = f.is_nonzero(ar, alpha);
            f.if_then(alpha_counts, |f| {
                f.comment("S[row][p]: along the row where it is stored, else along the column of the same number");
                let bytes = element.size();
                let along_row = f.op3(Class::B64, "mad.lo.s64", row, bytes, s);
                let along_column = f.op3(Class::B64, "mad.lo.s64", row, lds, s);
                let p = f.op1(Class::B64, "mov.b64", 0);
                f.while_loop(
                    |f| f.compare("lt.u64", p, wide_size),
                    |f| {
                        let stored = f.compare(if self.lower { "ge.u64" } else { "le.u64" }, row, p);
                        let at = f.op3(Class::B64, "selp.b64", along_row, along_column, stored);
                        let factor = f.load("global", element, ar, at, 0);
                        if let (true, Some(im)) = (self.hermitian, factor.im) {
                            let suffix = ar.suffix();
                            let other = f.op1(ar.class(), &format!("neg.{suffix}"), im);
                            let (kept, turned) = if self.conjugate { (other, im) } else { (im, other) };
                            let diagonal = f.compare("eq.u64", row, p);
                            ins!(f, "selp.{suffix} {im}, {kept}, {turned}, {stored};");
                            ins!(f, "@{diagonal} mov.{suffix} {im}, {};", ar.immediate(0.0));
                        }
                        let value = f.load("global", element, ar, x, 0);
                        f.multiply_add(ar, sum, factor, value);
                        ins!(f, "add.s64 {x}, {x}, {x_row};");
                        ins!(f, "add.s64 {along_row}, {along_row}, {lds};");
                        ins!(f, "add.s64 {along_column}, {along_column}, {bytes};");
                        ins!(f, "add.u64 {p}, {p}, 1;");
                    },
                );
            });
            let result = f.multiply(ar, alpha, sum);
            let (c, c_row) = (f.load_param("c", Class::B64), f.load_param("c_row", Class::B64));
            let c = f.op3(Class::B64, "mad.lo.s64", row, c_row, c);
            let c_column = f.load_param("c_column", Class::B64);
            let c = f.op3(Class::B64, "mad.lo.s64", column, c_column, c);
            let beta_counts = f.is_nonzero(ar, beta);
            f.if_then(beta_counts, |f| {
                let old = f.load("global", element, ar, c, 0);
                f.multiply_add(ar, result, beta, old);
            });
            f.store(None, element, ar, c, result);
        });
    }
}
