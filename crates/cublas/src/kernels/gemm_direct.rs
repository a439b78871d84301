//! Matrix product without shared memory: each thread keeps a tile of the result in registers and reads its rows of
//! `A` and columns of `B` straight from global memory, with vector loads where alignment allows.
//!
//! `C = alpha * op(A) * op(B) + beta * C`, column-major, for every element type, transposition, stride and batch form,
//! any shape. It is the fallback on every device and the fast path on CPU devices, where barriers and shared memory
//! cost more than a cached load.
//!
//! An operand is [`Layout::Depth`] when consecutive numbers run along `k` (`A` transposed, `B` as stored), else
//! [`Layout::Edge`]: they run along the rows of `C` for `A`, along its columns for `B`.
//!
//! ```
//! use cublas::kernels::gemm_direct::{Layout, Spec, Vectors};
//! use cublas::ptx::{Arithmetic, Element};
//! let spec = Spec {
//!     a: Layout::Depth, b: Layout::Depth, conjugate_a: false, conjugate_b: false,
//!     element_ab: Element::F16, element_c: Element::F16, arithmetic: Arithmetic::F32,
//!     scale: Element::F16, scale_beta: Element::F16, conjugate_alpha: false,
//!     rows: 8, columns: 4, vectors: Vectors::Always, pointers: false, fill: Default::default(), hermitian: false, stagger: false,
//! };
//! assert!(spec.ptx().contains("ld.global.nc.v4.b32"));
//! ```

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Label, Number, Reg};

/// Threads of a block along the rows of `C`.
pub const BLOCK_ROWS: u32 = 8;
/// Threads of a block along the columns of `C`.
pub const BLOCK_COLUMNS: u32 = 8;

/// The direction in which consecutive numbers of an operand run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Along `k`, the direction of the sum.
    Depth,
    /// Along the edge that the operand shares with `C`.
    Edge,
}

/// Whether operands are read in vectors of up to 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vectors {
    /// Never: nothing is known about alignment or shape.
    Never,
    /// Always: base addresses and strides of `A` and `B` are multiples of [`Spec::alignment`], and an operand of
    /// [`Layout::Edge`] has at least a tile of rows, in a multiple of the vector's numbers.
    Always,
    /// Where the base addresses, read from device memory, allow it; shape and strides do.
    Probe,
}

/// The part of `C` that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Triangle {
    /// All of it.
    #[default]
    All,
    /// On and below the diagonal.
    Lower,
    /// On and above the diagonal.
    Upper,
}

/// What a kernel is generated for. Everything else is a parameter of the launch, see [`Spec::ptx`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Layout of `A`.
    pub a: Layout,
    /// Layout of `B`.
    pub b: Layout,
    /// Whether `A` is conjugated.
    pub conjugate_a: bool,
    /// Whether `B` is conjugated.
    pub conjugate_b: bool,
    /// Format of `A` and `B`.
    pub element_ab: Element,
    /// Format of `C`.
    pub element_c: Element,
    /// Format of `alpha` in device memory; may be real in a complex product.
    pub scale: Element,
    /// Format of `beta` in device memory.
    pub scale_beta: Element,
    /// Whether `alpha` is conjugated.
    pub conjugate_alpha: bool,
    /// How products are added up.
    pub arithmetic: Arithmetic,
    /// Rows of `C` for each thread.
    pub rows: usize,
    /// Columns of `C` for each thread.
    pub columns: usize,
    /// Whether `A` and `B` are read in vectors.
    pub vectors: Vectors,
    /// Whether `A`, `B` and `C` are arrays of addresses, one for each product of the batch.
    pub pointers: bool,
    /// The part of `C` that is written.
    pub fill: Triangle,
    /// Whether the diagonal of `C` is made real.
    pub hermitian: bool,
    /// Whether neighbouring threads start at different places along `k`, and come round to them.
    ///
    /// Rows a power of two apart share a set of the first-level cache; this spreads them. It is for CPU devices, and for
    /// operands that both run along `k`; on a GPU threads had better read the same addresses at the same time.
    pub stagger: bool,
}

/// Bytes along `k` between the starting places of neighbouring threads: a cache line.
const STAGGER_BYTES: u32 = 64;

/// One operand while its loads are written.
struct Operand {
    layout: Layout,
    conjugate: bool,
    tile: usize,
    /// Byte address of each row (or column) of the tile at the current `k`.
    lines: Vec<Reg>,
    /// Bytes from one number to the next along the strided direction.
    stride: Reg,
    /// First row (or column) of the tile, and of the part that this thread must write.
    first: Reg,
    owned: Reg,
}

/// The way along `k` of a thread that starts in the middle.
struct Ring {
    /// Bytes from the beginning.
    place: Reg,
    /// Bytes of the whole way.
    bytes: Reg,
}

impl Spec {
    /// Bytes to which addresses and strides must be aligned for [`Vectors::Always`].
    pub fn alignment(&self) -> usize {
        let depth =
            |layout| (layout == Layout::Depth).then_some(self.unroll() * self.element_ab.size());
        let edge = |layout, tile| (layout == Layout::Edge).then_some(tile * self.element_ab.size());
        [
            depth(self.a),
            depth(self.b),
            edge(self.a, self.rows),
            edge(self.b, self.columns),
        ]
        .into_iter()
        .flatten()
        .map(|bytes| bytes.min(16))
        .max()
        .unwrap_or(self.element_ab.size())
    }

    /// The kernel's name.
    pub fn name(&self) -> String {
        let letter = |layout, conjugate, transposed| match (layout == transposed, conjugate) {
            (true, false) => "t",
            (true, true) => "c",
            (false, false) => "n",
            (false, true) => "j",
        };
        let vectors = match self.vectors {
            Vectors::Never => "",
            Vectors::Always => "_vectors",
            Vectors::Probe => "_probe",
        };
        let fill = match (self.fill, self.hermitian) {
            (Triangle::All, _) => "",
            (Triangle::Lower, false) => "_lower",
            (Triangle::Lower, true) => "_lower_hermitian",
            (Triangle::Upper, false) => "_upper",
            (Triangle::Upper, true) => "_upper_hermitian",
        };
        let scale = match (self.scale == self.scale_beta, self.conjugate_alpha) {
            (true, false) => self.scale.name().to_owned(),
            (true, true) => format!("conjugate_{}", self.scale.name()),
            (false, false) => format!("{}_{}", self.scale.name(), self.scale_beta.name()),
            (false, true) => format!("conjugate_{}_{}", self.scale.name(), self.scale_beta.name()),
        };
        format!(
            "gemm_direct_{}{}_{}_{}_by_{scale}_{}x{}{vectors}{}{}{fill}",
            letter(self.a, self.conjugate_a, Layout::Depth),
            letter(self.b, self.conjugate_b, Layout::Edge),
            self.element_ab.name(),
            self.element_c.name(),
            self.rows,
            self.columns,
            if self.stagger { "_stagger" } else { "" },
            if self.pointers { "_pointers" } else { "" },
        )
    }

    /// Steps along `k` in one round of the vector loop; 1 where a number fills a vector, for which there is none.
    pub fn unroll(&self) -> usize {
        match self.element_ab {
            Element::F16 | Element::BF16 if self.a == Layout::Depth && self.b == Layout::Depth => 8,
            Element::F64 | Element::C32 => 2,
            Element::C64 => 1,
            _ => 4,
        }
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `a`, `b`, `c` (u64: address, or address of an array of addresses); `lda`, `ldb`, `ldc`,
    /// `batch_a`, `batch_b`, `batch_c` (s64: bytes, may be negative); `m`, `n`, `k`, `tiles_m`, `batch_first` (u32);
    /// the scalars `alpha` and `beta` ([`Function::scalar_params`]). Blocks have 64 threads in x; the grid has
    /// `tiles_m * tiles_n` blocks in x, a tile being `8 * rows` by `8 * columns`, and the batch in z.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        declare(&mut f, self.arithmetic);
        f.threads(BLOCK_ROWS * BLOCK_COLUMNS);
        self.body(&mut f);
        module(&f.finish())
    }

    fn body(&self, f: &mut Function) {
        let ar = self.arithmetic;
        f.comment("the tile of C that this thread computes");
        let m = f.load_param("m", Class::B32);
        let n = f.load_param("n", Class::B32);
        let tiles_m = f.load_param("tiles_m", Class::B32);
        let block = f.special("%ctaid.x");
        let block_n = f.op2(Class::B32, "div.u32", block, tiles_m);
        let block_m = f.op2(Class::B32, "rem.u32", block, tiles_m);
        let tid = f.special("%tid.x");
        let thread_m = f.op2(Class::B32, "and.b32", tid, BLOCK_ROWS - 1);
        let thread_n = f.op2(Class::B32, "shr.u32", tid, BLOCK_ROWS.trailing_zeros());
        let row = f.op3(Class::B32, "mad.lo.u32", block_m, BLOCK_ROWS, thread_m);
        let row = f.op2(Class::B32, "mul.lo.u32", row, self.rows);
        let column = f.op3(Class::B32, "mad.lo.u32", block_n, BLOCK_COLUMNS, thread_n);
        let column = f.op2(Class::B32, "mul.lo.u32", column, self.columns);
        let end = f.label("end");
        let outside_m = f.compare("ge.u32", row, m);
        ins!(f, "@{outside_m} bra {end};");
        let outside_n = f.compare("ge.u32", column, n);
        ins!(f, "@{outside_n} bra {end};");

        f.comment("this product of the batch");
        let z = batch_index(f);
        let a_base = batch_base(f, self.pointers, "a", z);
        let b_base = batch_base(f, self.pointers, "b", z);
        let c_base = batch_base(f, self.pointers, "c", z);

        f.comment("where each row of A and each column of B starts");
        let a = self.operand(
            f,
            (self.a, self.conjugate_a, self.rows),
            a_base,
            "lda",
            row,
            m,
        );
        let b = self.operand(
            f,
            (self.b, self.conjugate_b, self.columns),
            b_base,
            "ldb",
            column,
            n,
        );

        let alpha = f.scalar("alpha", self.scale, ar);
        if self.conjugate_alpha {
            f.conjugate(ar, alpha);
        }
        let beta = f.scalar("beta", self.scale_beta, ar);
        let k = f.load_param("k", Class::B32);
        f.comment("nothing is read where alpha is zero");
        let alpha_counts = f.is_nonzero(ar, alpha);
        ins!(f, "selp.b32 {k}, {k}, 0, {alpha_counts};");

        let sums: Vec<Number> = (0..self.rows * self.columns)
            .map(|_| f.constant(ar, 0.0))
            .collect();
        if self.vectors != Vectors::Never {
            let scalar_loop = f.label("scalar");
            if self.vectors == Vectors::Probe {
                f.comment("vectors only where both bases are aligned");
                let bits = f.op2(Class::B64, "or.b64", a_base, b_base);
                let bits = f.op2(Class::B64, "and.b64", bits, self.alignment() - 1);
                let odd = f.compare("ne.u64", bits, 0);
                ins!(f, "@{odd} bra {scalar_loop};");
            }
            self.rounds(f, &a, &b, k, &sums, self.unroll(), scalar_loop);
        }
        let epilogue = f.label("epilogue");
        self.rounds(f, &a, &b, k, &sums, 1, epilogue);
        self.write(f, c_base, (&a, m), (&b, n), alpha, beta, &sums);
        f.place(end);
    }

    fn operand(
        &self,
        f: &mut Function,
        (layout, conjugate, tile): (Layout, bool, usize),
        base: Reg,
        stride: &str,
        owned: Reg,
        count: Reg,
    ) -> Operand {
        let stride = f.load_param(stride, Class::B64);
        let size = self.element_ab.size();
        // A vector must not pass the end of the line, so the last tile moves back over its neighbour.
        let shifts = layout == Layout::Edge && self.vectors != Vectors::Never && tile > 1;
        let mut first = owned;
        if shifts {
            let last = f.op2(Class::B32, "sub.u32", count, tile);
            first = f.op2(Class::B32, "min.u32", owned, last);
        }
        let last = f.op2(Class::B32, "sub.u32", count, 1);
        let mut lines = Vec::new();
        for i in 0..tile {
            let mut line = first;
            if i > 0 {
                line = f.op2(Class::B32, "add.u32", first, i);
                if !shifts {
                    // Lines beyond the end repeat the last one; their results are not written.
                    line = f.op2(Class::B32, "min.u32", line, last);
                }
            }
            let address = match layout {
                Layout::Depth => {
                    let line = f.widen(line);
                    f.op3(Class::B64, "mad.lo.s64", line, stride, base)
                }
                Layout::Edge => f.op3(Class::B64, "mad.wide.u32", line, size, base),
            };
            lines.push(address);
        }
        Operand {
            layout,
            conjugate,
            tile,
            lines,
            stride,
            first,
            owned,
        }
    }

    /// A loop over `k` in steps of `unroll`, which leaves `k` at the rest; `after` is placed behind it.
    #[allow(clippy::too_many_arguments)]
    fn rounds(
        &self,
        f: &mut Function,
        a: &Operand,
        b: &Operand,
        k: Reg,
        sums: &[Number],
        unroll: usize,
        after: Label,
    ) {
        f.comment(if unroll > 1 {
            "steps along k by vectors"
        } else {
            "steps along k one by one"
        });
        let ring = (self.stagger && unroll > 1).then(|| self.ring(f, k, unroll));
        let (head, finish) = (f.label("step"), f.label("rest"));
        f.place(head);
        let finished = f.compare("lt.u32", k, unroll);
        ins!(f, "@{finished} bra {finish};");
        let left = self.fragment(f, a, unroll, ring.as_ref());
        let right = self.fragment(f, b, unroll, ring.as_ref());
        for step in 0..unroll {
            for (j, b) in right[step].iter().enumerate() {
                for (i, a) in left[step].iter().enumerate() {
                    f.multiply_add(self.arithmetic, sums[j * self.rows + i], *a, *b);
                }
            }
        }
        if let Some(Ring { place, bytes }) = &ring {
            ins!(
                f,
                "add.u64 {place}, {place}, {};",
                unroll * self.element_ab.size()
            );
            let end = f.compare("eq.u64", place, bytes);
            ins!(f, "selp.b64 {place}, 0, {place}, {end};");
        }
        ins!(f, "sub.u32 {k}, {k}, {unroll};");
        ins!(f, "bra {head};");
        f.place(finish);
        if let Some(Ring { bytes, .. }) = &ring {
            for line in a.lines.iter().chain(&b.lines) {
                ins!(f, "add.s64 {line}, {line}, {bytes};");
            }
        }
        if unroll > 1 {
            // The vector loop moved the first line only.
            for operand in [a, b].into_iter().filter(|o| o.layout == Layout::Edge) {
                for (i, &line) in operand.lines.iter().enumerate().skip(1) {
                    let bytes = i * self.element_ab.size();
                    ins!(f, "add.s64 {line}, {}, {bytes};", operand.lines[0]);
                }
            }
        }
        f.place(after);
    }

    /// Where this thread starts along `k`, and where it goes back to the beginning.
    fn ring(&self, f: &mut Function, k: Reg, unroll: usize) -> Ring {
        let rest = f.op2(Class::B32, "and.b32", k, unroll - 1);
        let whole = f.op2(Class::B32, "sub.u32", k, rest);
        let bytes = f.op2(Class::B64, "mul.wide.u32", whole, self.element_ab.size());
        let tid = f.special("%tid.x");
        let lane = f.op2(Class::B32, "and.b32", tid, BLOCK_ROWS - 1);
        let place = f.op2(Class::B64, "mul.wide.u32", lane, STAGGER_BYTES);
        let outside = f.compare("ge.u64", place, bytes);
        ins!(f, "selp.b64 {place}, 0, {place}, {outside};");
        Ring { place, bytes }
    }

    /// Reads `unroll` steps of an operand and moves on; the result is indexed by step, then by line.
    fn fragment(
        &self,
        f: &mut Function,
        operand: &Operand,
        unroll: usize,
        ring: Option<&Ring>,
    ) -> Vec<Vec<Number>> {
        let (element, ar) = (self.element_ab, self.arithmetic);
        let mut steps = vec![Vec::new(); unroll];
        match operand.layout {
            Layout::Depth => {
                for &line in &operand.lines {
                    let at = match ring {
                        Some(ring) => f.op2(Class::B64, "add.s64", line, ring.place),
                        None => line,
                    };
                    let numbers = f.load_vector("global.nc", element, ar, at, 0, unroll);
                    for (step, number) in steps.iter_mut().zip(numbers) {
                        step.push(number);
                    }
                }
                if ring.is_none() {
                    for &line in &operand.lines {
                        ins!(f, "add.s64 {line}, {line}, {};", unroll * element.size());
                    }
                }
            }
            // In the vector loop a step is one vector at the first line; a step of the scalar loop reads each line.
            Layout::Edge => {
                let vector = unroll > 1;
                for step in &mut steps {
                    if vector {
                        let first = operand.lines[0];
                        *step = f.load_vector("global.nc", element, ar, first, 0, operand.tile);
                    } else {
                        for &line in &operand.lines {
                            step.push(f.load("global.nc", element, ar, line, 0));
                        }
                    }
                    let moved = if vector {
                        &operand.lines[..1]
                    } else {
                        &operand.lines[..]
                    };
                    for &line in moved {
                        ins!(f, "add.s64 {line}, {line}, {};", operand.stride);
                    }
                }
            }
        }
        if operand.conjugate {
            for number in steps.iter().flatten() {
                f.conjugate(ar, *number);
            }
        }
        steps
    }

    /// `C = alpha * sums + beta * C` for the part of the tile that is this thread's.
    #[allow(clippy::too_many_arguments)]
    fn write(
        &self,
        f: &mut Function,
        c: Reg,
        (a, m): (&Operand, Reg),
        (b, n): (&Operand, Reg),
        alpha: Number,
        beta: Number,
        sums: &[Number],
    ) {
        let ar = self.arithmetic;
        f.comment("C = alpha * sum + beta * C; C is not read where beta is zero");
        let beta_counts = f.is_nonzero(ar, beta);
        let ldc = f.load_param("ldc", Class::B64);
        let rows: Vec<(Reg, Reg)> = (0..self.rows).map(|i| self.line(f, a, i, m)).collect();
        for j in 0..self.columns {
            let (column, column_inside) = self.line(f, b, j, n);
            let wide = f.widen(column);
            let start = f.op3(Class::B64, "mad.lo.s64", wide, ldc, c);
            for (i, &(row, row_inside)) in rows.iter().enumerate() {
                let writes = f.op2(Class::Pred, "and.pred", column_inside, row_inside);
                match self.fill {
                    Triangle::All => {}
                    Triangle::Lower => {
                        let inside = f.compare("ge.u32", row, column);
                        ins!(f, "and.pred {writes}, {writes}, {inside};");
                    }
                    Triangle::Upper => {
                        let inside = f.compare("le.u32", row, column);
                        ins!(f, "and.pred {writes}, {writes}, {inside};");
                    }
                }
                let address = f.op3(
                    Class::B64,
                    "mad.wide.u32",
                    row,
                    self.element_c.size(),
                    start,
                );
                f.if_then(writes, |f| {
                    let result = f.multiply(ar, alpha, sums[j * self.rows + i]);
                    f.if_then(beta_counts, |f| {
                        let old = f.load("global", self.element_c, ar, address, 0);
                        f.multiply_add(ar, result, beta, old);
                    });
                    if let (true, Some(im)) = (self.hermitian, result.im) {
                        let diagonal = f.compare("eq.u32", row, column);
                        ins!(
                            f,
                            "@{diagonal} mov.{} {im}, {};",
                            ar.suffix(),
                            ar.immediate(0.0)
                        );
                    }
                    f.store(None, self.element_c, ar, address, result);
                });
            }
        }
    }

    /// Row or column `i` of the tile and whether this thread writes it.
    fn line(&self, f: &mut Function, operand: &Operand, i: usize, count: Reg) -> (Reg, Reg) {
        let line = f.op2(Class::B32, "add.u32", operand.first, i);
        let inside = f.compare("lt.u32", line, count);
        if operand.first != operand.owned {
            let owned = f.compare("ge.u32", line, operand.owned);
            ins!(f, "and.pred {inside}, {inside}, {owned};");
        }
        (line, inside)
    }
}

/// Declares the parameters of [`Spec::ptx`], which every matrix product has.
pub(super) fn declare(f: &mut Function, arithmetic: Arithmetic) {
    for name in ["a", "b", "c"] {
        f.param(name, "u64");
    }
    for name in ["lda", "ldb", "ldc", "batch_a", "batch_b", "batch_c"] {
        f.param(name, "s64");
    }
    for name in ["m", "n", "k", "tiles_m", "batch_first"] {
        f.param(name, "u32");
    }
    f.scalar_params("alpha", arithmetic);
    f.scalar_params("beta", arithmetic);
}

/// The block's place in the batch.
pub(super) fn batch_index(f: &mut Function) -> Reg {
    let z = f.special("%ctaid.z");
    let first = f.load_param("batch_first", Class::B32);
    f.op2(Class::B32, "add.u32", z, first)
}

/// The address of operand `name` in product `z` of the batch.
pub(super) fn batch_base(f: &mut Function, pointers: bool, name: &str, z: Reg) -> Reg {
    let base = f.load_param(name, Class::B64);
    if pointers {
        let at = f.op3(Class::B64, "mad.wide.u32", z, 8, base);
        let address = f.reg(Class::B64);
        ins!(f, "ld.global.u64 {address}, [{at}];");
        return address;
    }
    let stride = f.load_param(&format!("batch_{name}"), Class::B64);
    let z = f.widen(z);
    f.op3(Class::B64, "mad.lo.s64", z, stride, base)
}
