//! The end of the tensor-core kernels: a warp's sums, as `mma.m16n8k16` leaves them in the lanes, become a part of `C`.
//!
//! Both kernels compute the transposed product. Of fragment `[i][j]` a lane with g = lane / 4 and t = lane % 4 holds
//!
//! ```text
//! columns 16 i + g and 16 i + g + 8 of C, rows 8 j + 2 t and 8 j + 2 t + 1
//! ```

use crate::ptx::{ins, Arithmetic, Class, Element, Function, Number, Reg};

/// Where a warp's sums go.
pub(super) struct Fragments {
    /// `C`.
    pub(super) address: Reg,
    /// Format of `C`.
    pub(super) element: Element,
    /// Rows and columns of `C`.
    pub(super) size: (Reg, Reg),
    /// The warp's first row and column.
    pub(super) first: (Reg, Reg),
    /// Index of the lane.
    pub(super) lane: Reg,
    /// `alpha` and `beta`.
    pub(super) scalars: (Number, Number),
}

impl Fragments {
    /// `C = alpha * sums + beta * C`, in the part of the warp that is inside of `C`.
    pub(super) fn write(&self, f: &mut Function, sums: &[Vec<[Reg; 4]>]) {
        f.comment("C = alpha * sum + beta * C; C is not read where beta is zero");
        let ar = Arithmetic::F32;
        let beta_counts = f.is_nonzero(ar, self.scalars.1);
        let group = f.op2(Class::B32, "shr.u32", self.lane, 2);
        let within = f.op2(Class::B32, "and.b32", self.lane, 3);
        let column = f.op2(Class::B32, "add.u32", group, self.first.1);
        let row = f.op2(Class::B32, "shl.b32", within, 1);
        let row = f.op2(Class::B32, "add.u32", row, self.first.0);
        let ldc = f.load_param("ldc", Class::B64);
        let size = self.element.size();
        f.comment("pairs of rows are written at once where they are aligned");
        let bits = f.op2(Class::B64, "or.b64", self.address, ldc);
        let bits = f.op2(Class::B64, "and.b64", bits, 2 * size - 1);
        let paired = f.compare("eq.u64", bits, 0);
        f.comment("a part that is inside as a whole is written without any further question");
        let whole = f.op1(Class::Pred, "not.pred", beta_counts);
        ins!(f, "and.pred {whole}, {whole}, {paired};");
        let (rows, columns) = (8 * sums[0].len(), 16 * sums.len());
        for (first, count, size) in [
            (self.first.0, rows, self.size.0),
            (self.first.1, columns, self.size.1),
        ] {
            let end = f.op2(Class::B32, "add.u32", first, count);
            let inside = f.compare("le.u32", end, size);
            ins!(f, "and.pred {whole}, {whole}, {inside};");
        }
        let (partial, end) = (f.label("partial"), f.label("end"));
        ins!(f, "@!{whole} bra {partial};");
        let wide_row = f.op2(Class::B64, "mul.wide.u32", row, size);
        let wide_column = f.widen(column);
        let start = f.op2(Class::B64, "add.s64", self.address, wide_row);
        let start = f.op3(Class::B64, "mad.lo.s64", wide_column, ldc, start);
        let stride = f.op2(Class::B64, "shl.b64", ldc, 3);
        for fragments in sums {
            for half in 0..2 {
                for (j, sum) in fragments.iter().enumerate() {
                    let address = f.op2(Class::B64, "add.s64", start, 8 * j * size);
                    let results = [sum[2 * half], sum[2 * half + 1]]
                        .map(|sum| f.multiply(ar, self.scalars.0, Number { re: sum, im: None }));
                    f.store_pair(self.element, address, results);
                }
                ins!(f, "add.s64 {start}, {start}, {stride};");
            }
        }
        ins!(f, "bra {end};");
        f.place(partial);
        for (i, fragments) in sums.iter().enumerate() {
            for half in 0..2 {
                let column = f.op2(Class::B32, "add.u32", column, 16 * i + 8 * half);
                let inside = f.compare("lt.u32", column, self.size.1);
                f.if_then(inside, |f| {
                    let wide = f.widen(column);
                    let start = f.op3(Class::B64, "mad.lo.s64", wide, ldc, self.address);
                    for (j, sum) in fragments.iter().enumerate() {
                        let row = f.op2(Class::B32, "add.u32", row, 8 * j);
                        let pair = [sum[2 * half], sum[2 * half + 1]];
                        self.write_pair(f, start, row, pair, (paired, beta_counts));
                    }
                });
            }
        }
        f.place(end);
    }

    /// Two neighbouring rows of a column that starts at `start`, each where it is inside.
    fn write_pair(
        &self,
        f: &mut Function,
        start: Reg,
        row: Reg,
        pair: [Reg; 2],
        (paired, beta_counts): (Reg, Reg),
    ) {
        let ar = Arithmetic::F32;
        let (alpha, beta) = self.scalars;
        let (m, size) = (self.size.0, self.element.size());
        let address = f.op3(Class::B64, "mad.wide.u32", row, size, start);
        let next = f.op2(Class::B32, "add.u32", row, 1);
        let both = f.compare("lt.u32", next, m);
        ins!(f, "and.pred {both}, {both}, {paired};");
        let (single, done) = (f.label("single"), f.label("written"));
        let results = pair.map(|sum| f.multiply(ar, alpha, Number { re: sum, im: None }));
        ins!(f, "@!{both} bra {single};");
        f.if_then(beta_counts, |f| {
            let old = f.load_vector("global", self.element, ar, address, 0, 2);
            for (result, old) in results.iter().zip(old) {
                f.multiply_add(ar, *result, beta, old);
            }
        });
        f.store_pair(self.element, address, results);
        ins!(f, "bra {done};");
        f.place(single);
        for (k, result) in results.into_iter().enumerate() {
            let row = f.op2(Class::B32, "add.u32", row, k);
            let inside = f.compare("lt.u32", row, m);
            f.if_then(inside, |f| {
                let address = f.op2(Class::B64, "add.s64", address, k * size);
                f.if_then(beta_counts, |f| {
                    let old = f.load("global", self.element, ar, address, 0);
                    f.multiply_add(ar, result, beta, old);
                });
                f.store(None, self.element, ar, address, result);
            });
        }
        f.place(done);
    }
}
