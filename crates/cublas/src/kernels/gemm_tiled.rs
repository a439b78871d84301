//! Matrix product through shared memory, for GPUs without tensor cores for the format: each of 256 threads keeps a tile
//! of the result in registers and reads its factors from a tile in shared memory, which the block fills together.
//!
//! Every format, transposition, alignment and batch form; sizes are free. In shared memory, numbers have the format that
//! is computed in, and the numbers of one step along `k` lie together. The next tile is read from global memory into
//! registers while the products of this one are added up.

use crate::kernels::gemm_direct::{batch_base, batch_index, declare, Layout};
use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block along either edge.
const SIDE: u32 = 16;
/// Threads of a block.
pub const THREADS: u32 = SIDE * SIDE;

/// What a kernel is generated for.
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
    /// Format of `alpha` and `beta` in device memory.
    pub scale: Element,
    /// How products are added up.
    pub arithmetic: Arithmetic,
    /// Whether `A`, `B` and `C` are arrays of addresses, one for each product of the batch.
    pub pointers: bool,
}

/// An operand's way from global to shared memory.
struct Stream {
    conjugate: bool,
    /// Bytes between steps along `k`.
    stride: Reg,
    /// For each number of this thread: the address of its line's start, whether the line is inside, and the step along
    /// `k` within the tile.
    numbers: Vec<(Reg, Reg, Reg)>,
    /// For each number: its shared address.
    targets: Vec<Reg>,
}

impl Spec {
    /// Numbers of `C` along either edge that a thread computes.
    fn numbers(&self) -> u32 {
        match self.arithmetic {
            Arithmetic::S32 | Arithmetic::F32 => 8,
            Arithmetic::F64 | Arithmetic::C32 | Arithmetic::C64 => 4,
        }
    }

    /// Rows and columns of `C` in a block's tile.
    pub fn tile(&self) -> u32 {
        SIDE * self.numbers()
    }

    /// Steps along `k` in a tile.
    fn depth(&self) -> u32 {
        if self.arithmetic == Arithmetic::C64 {
            8
        } else {
            16
        }
    }

    /// Bytes of a number in shared memory.
    fn bytes(&self) -> u32 {
        self.arithmetic.element().size() as u32
    }

    /// Numbers in a vector of 16 bytes.
    fn vector(&self) -> u32 {
        16 / self.bytes()
    }

    /// Numbers from one step along `k` to the next in shared memory. The vector beside the tile keeps the steps of a line
    /// in different banks.
    fn pitch(&self) -> u32 {
        self.tile() + self.vector()
    }

    /// The kernel's name.
    pub fn name(&self) -> String {
        let letter = |layout, conjugate, transposed| match (layout == transposed, conjugate) {
            (true, false) => "t",
            (true, true) => "c",
            (false, false) => "n",
            (false, true) => "j",
        };
        format!(
            "gemm_tiled_{}{}_{}_{}_by_{}{}",
            letter(self.a, self.conjugate_a, Layout::Depth),
            letter(self.b, self.conjugate_b, Layout::Edge),
            self.element_ab.name(),
            self.element_c.name(),
            self.scale.name(),
            if self.pointers { "_pointers" } else { "" },
        )
    }

    /// The kernel as a PTX module. Parameters are those of [`super::gemm_direct::Spec::ptx`]; the grid has `tiles_m *
    /// tiles_n` blocks in x and the batch in z.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        declare(&mut f, self.arithmetic);
        f.threads(THREADS);
        f.shared("tiles", 16, 2 * self.tile_bytes());
        self.body(&mut f);
        module(&f.finish())
    }

    /// Bytes of one operand's tile.
    fn tile_bytes(&self) -> u32 {
        self.pitch() * self.depth() * self.bytes()
    }

    fn body(&self, f: &mut Function) {
        let ar = self.arithmetic;
        let m = f.load_param("m", Class::B32);
        let n = f.load_param("n", Class::B32);
        f.comment("this block's tile");
        let tiles_m = f.load_param("tiles_m", Class::B32);
        let block = f.special("%ctaid.x");
        let block_n = f.op2(Class::B32, "div.u32", block, tiles_m);
        let block_m = f.op2(Class::B32, "rem.u32", block, tiles_m);
        let first_m = f.op2(Class::B32, "mul.lo.u32", block_m, self.tile());
        let first_n = f.op2(Class::B32, "mul.lo.u32", block_n, self.tile());
        let z = batch_index(f);
        let a = batch_base(f, self.pointers, "a", z);
        let b = batch_base(f, self.pointers, "b", z);
        let c = batch_base(f, self.pointers, "c", z);
        let alpha = f.scalar("alpha", self.scale, ar);
        let beta = f.scalar("beta", self.scale, ar);
        let k = f.load_param("k", Class::B32);
        f.comment("nothing is read where alpha is zero");
        let alpha_counts = f.is_nonzero(ar, alpha);
        ins!(f, "selp.b32 {k}, {k}, 0, {alpha_counts};");

        let tid = f.special("%tid.x");
        let tiles_a = f.op1(Class::B32, "mov.u32", "tiles");
        let tiles_b = f.op2(Class::B32, "add.u32", tiles_a, self.tile_bytes());
        f.comment("the numbers of A and of B that this thread copies");
        let copies = [
            self.stream(
                f,
                (self.a, self.conjugate_a),
                (a, "lda"),
                (first_m, m),
                tiles_a,
                tid,
            ),
            self.stream(
                f,
                (self.b, self.conjugate_b),
                (b, "ldb"),
                (first_n, n),
                tiles_b,
                tid,
            ),
        ];

        let side = self.numbers() as usize;
        let sums: Vec<Number> = (0..side * side).map(|_| f.constant(ar, 0.0)).collect();
        let thread_m = f.op2(Class::B32, "and.b32", tid, SIDE - 1);
        let thread_n = f.op2(Class::B32, "shr.u32", tid, SIDE.trailing_zeros());
        let read_a = f.op3(Class::B32, "mad.lo.u32", thread_m, 16, tiles_a);
        let read_b = f.op3(Class::B32, "mad.lo.u32", thread_n, 16, tiles_b);

        let at = f.op1(Class::B32, "mov.b32", 0);
        let some = f.compare("gt.u32", k, 0);
        f.if_then(some, |f| {
            let next: Vec<Vec<Number>> = copies
                .iter()
                .map(|copy| self.fetch(f, copy, at, k))
                .collect();
            f.while_loop(
                |f| f.compare("lt.u32", at, k),
                |f| {
                    for (copy, numbers) in copies.iter().zip(&next) {
                        for (&target, &number) in copy.targets.iter().zip(numbers) {
                            f.store_shared(ar, target, number);
                        }
                    }
                    ins!(f, "bar.sync 0;");
                    ins!(f, "add.u32 {at}, {at}, {};", self.depth());
                    f.comment("the next tile; beyond the end, the last numbers again");
                    for (copy, numbers) in copies.iter().zip(&next) {
                        for (&old, new) in numbers.iter().zip(self.fetch(f, copy, at, k)) {
                            f.copy(ar, old, new);
                        }
                    }
                    self.multiply(f, read_a, read_b, &sums);
                    ins!(f, "bar.sync 0;");
                },
            );
        });
        self.write(
            f,
            c,
            (first_m, thread_m, m),
            (first_n, thread_n, n),
            (alpha, beta),
            &sums,
        );
    }

    fn stream(
        &self,
        f: &mut Function,
        (layout, conjugate): (Layout, bool),
        (base, stride): (Reg, &str),
        (first, count): (Reg, Reg),
        tile: Reg,
        tid: Reg,
    ) -> Stream {
        let stride = f.load_param(stride, Class::B64);
        let size = self.element_ab.size();
        let one = f.op1(Class::B64, "mov.b64", size);
        let (edge_stride, depth_stride) = match layout {
            Layout::Depth => (stride, one),
            Layout::Edge => (one, stride),
        };
        // Neighbouring threads read neighbouring numbers.
        let across = match layout {
            Layout::Depth => self.depth(),
            Layout::Edge => self.tile(),
        };
        let fast = f.op2(Class::B32, "and.b32", tid, across - 1);
        let slow = f.op2(Class::B32, "shr.u32", tid, across.trailing_zeros());
        let last = f.op2(Class::B32, "sub.u32", count, 1);
        let mut stream = Stream {
            conjugate,
            stride: depth_stride,
            numbers: Vec::new(),
            targets: Vec::new(),
        };
        for index in 0..self.tile() * self.depth() / THREADS {
            let slow = f.op2(Class::B32, "add.u32", slow, index * (THREADS / across));
            let (edge, depth) = match layout {
                Layout::Depth => (slow, fast),
                Layout::Edge => (fast, slow),
            };
            let target = f.op3(Class::B32, "mad.lo.u32", depth, self.pitch(), edge);
            stream
                .targets
                .push(f.op3(Class::B32, "mad.lo.u32", target, self.bytes(), tile));
            let edge = f.op2(Class::B32, "add.u32", first, edge);
            let inside = f.compare("lt.u32", edge, count);
            let edge = f.op2(Class::B32, "min.u32", edge, last);
            let edge = f.widen(edge);
            let line = f.op3(Class::B64, "mad.lo.s64", edge, edge_stride, base);
            stream.numbers.push((line, inside, depth));
        }
        stream
    }

    /// Reads this thread's numbers of the tile at `at` along `k`; zero for what is outside.
    fn fetch(&self, f: &mut Function, stream: &Stream, at: Reg, k: Reg) -> Vec<Number> {
        let ar = self.arithmetic;
        let last = f.op2(Class::B32, "sub.u32", k, 1);
        let mut result = Vec::new();
        for &(line, inside, depth) in &stream.numbers {
            let depth = f.op2(Class::B32, "add.u32", at, depth);
            let within = f.compare("lt.u32", depth, k);
            ins!(f, "and.pred {within}, {within}, {inside};");
            let depth = f.op2(Class::B32, "min.u32", depth, last);
            let depth = f.widen(depth);
            let address = f.op3(Class::B64, "mad.lo.s64", depth, stream.stride, line);
            let number = f.load("global.nc", self.element_ab, ar, address, 0);
            if stream.conjugate {
                f.conjugate(ar, number);
            }
            let (ty, zero) = (ar.class().name(), ar.immediate(0.0));
            for part in std::iter::once(number.re).chain(number.im) {
                ins!(f, "selp.{ty} {part}, {part}, {zero}, {within};");
            }
            result.push(number);
        }
        result
    }

    /// The products of one tile. A thread's rows are vectors, 16 vectors apart.
    fn multiply(&self, f: &mut Function, read_a: Reg, read_b: Reg, sums: &[Number]) {
        let (ar, side) = (self.arithmetic, self.numbers());
        for step in 0..self.depth() {
            let start = i64::from(step * self.pitch() * self.bytes());
            let mut factors = [read_a, read_b].map(|read| {
                (0..side / self.vector())
                    .flat_map(|vector| {
                        let offset = start + i64::from(vector * SIDE * 16);
                        f.load_vector(
                            "shared",
                            ar.element(),
                            ar,
                            read,
                            offset,
                            self.vector() as usize,
                        )
                    })
                    .collect::<Vec<Number>>()
            });
            let (a, b) = (
                std::mem::take(&mut factors[0]),
                std::mem::take(&mut factors[1]),
            );
            for (j, &b) in b.iter().enumerate() {
                for (i, &a) in a.iter().enumerate() {
                    f.multiply_add(ar, sums[j * side as usize + i], a, b);
                }
            }
        }
    }

    /// `C = alpha * sums + beta * C`
    fn write(
        &self,
        f: &mut Function,
        c: Reg,
        (first_m, thread_m, m): (Reg, Reg, Reg),
        (first_n, thread_n, n): (Reg, Reg, Reg),
        (alpha, beta): (Number, Number),
        sums: &[Number],
    ) {
        f.comment("C = alpha * sum + beta * C; C is not read where beta is zero");
        let (ar, side, vector) = (self.arithmetic, self.numbers() as usize, self.vector());
        let beta_counts = f.is_nonzero(ar, beta);
        let ldc = f.load_param("ldc", Class::B64);
        let row = f.op3(Class::B32, "mad.lo.u32", thread_m, vector, first_m);
        let column = f.op3(Class::B32, "mad.lo.u32", thread_n, vector, first_n);
        let place = |i: usize| i as u32 / vector * SIDE * vector + i as u32 % vector;
        for j in 0..side {
            let column = f.op2(Class::B32, "add.u32", column, place(j));
            let inside = f.compare("lt.u32", column, n);
            f.if_then(inside, |f| {
                let wide = f.widen(column);
                let start = f.op3(Class::B64, "mad.lo.s64", wide, ldc, c);
                for i in 0..side {
                    let row = f.op2(Class::B32, "add.u32", row, place(i));
                    let inside = f.compare("lt.u32", row, m);
                    f.if_then(inside, |f| {
                        let address = f.op3(
                            Class::B64,
                            "mad.wide.u32",
                            row,
                            self.element_c.size(),
                            start,
                        );
                        let result = f.multiply(ar, alpha, sums[j * side + i]);
                        f.if_then(beta_counts, |f| {
                            let old = f.load("global", self.element_c, ar, address, 0);
                            f.multiply_add(ar, result, beta, old);
                        });
                        f.store(None, self.element_c, ar, address, result);
                    });
                }
            });
        }
    }
}
