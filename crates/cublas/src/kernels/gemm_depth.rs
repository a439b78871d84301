//! Matrix product of half precision and bfloat16 on tensor cores, where both operands run along `k`: `mma.sync.m16n8k16` with
//! single-precision sums.
//!
//! Products of neural networks look like this (`op(A) = T`, `op(B) = N`), and both fragments of an `mma` are along `k`. Which
//! numbers of `k` come first does not matter as long as both operands agree, so a lane takes eight neighbours: one
//! vector of 16 bytes from shared memory is its part of a row for two products. Neither `ldmatrix` nor an exchange of
//! places in shared memory is needed: eight lanes read 128 neighbouring bytes.
//!
//! ```text
//! tile in shared memory   one group or more of lines of 32 numbers along k (64 bytes), one for each row of A and column of B
//! lane                    g = lane / 4 is its line in a fragment, t = lane % 4 its vector in the line
//! ```
//!
//! While a tile is multiplied, the next one is on its way from global memory to registers; there are two tiles in shared
//! memory, and one barrier for each. As in [`super::gemm_tensor`], rows of an `mma` are columns of `C`.
//!
//! Addresses and leading dimensions must be multiples of 16 bytes and `k` one of the tile's depth. Lines outside of a matrix are copies of
//! its last one, whose products nobody writes.
//!
//! ```
//! use cublas::kernels::gemm_depth::{Shape, Spec};
//! use cublas::ptx::Element;
//! let spec = Spec { element_ab: Element::F16, element_c: Element::F32, scale: Element::F32, shape: Shape::LARGE };
//! assert!(spec.ptx().contains("ld.shared.v4.b32"));
//! ```

use crate::kernels::fragments::Fragments;
use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Reg};

/// Numbers along `k` in a line of a tile.
const GROUP: u32 = 32;
/// Bytes of a line.
const LINE: u32 = 2 * GROUP;
/// Vectors of 16 bytes in a line.
const VECTORS: u32 = LINE / 16;

/// The work of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows and columns of `C`.
    pub tile: (u32, u32),
    /// Warps along the rows and along the columns. Each has a multiple of 8 rows and one of 16 columns.
    pub warps: (u32, u32),
    /// Lines along `k` that are brought at a time, for each row and column: the longer multiplying them takes, the more of
    /// the way from global memory it hides.
    pub groups: u32,
}

impl Shape {
    /// 64 x 64 for each of four warps.
    pub const LARGE: Self = Self {
        tile: (128, 128),
        warps: (2, 2),
        groups: 1,
    };
    /// 32 x 64 for each of four warps.
    pub const MEDIUM: Self = Self {
        tile: (128, 64),
        warps: (4, 1),
        groups: 2,
    };
    /// 32 x 32 for each of four warps.
    pub const SMALL: Self = Self {
        tile: (64, 64),
        warps: (2, 2),
        groups: 2,
    };
    /// 32 x 16 for each of four warps.
    pub const NARROW: Self = Self {
        tile: (64, 32),
        warps: (2, 2),
        groups: 1,
    };
    /// The shapes that products choose from.
    pub const ALL: [Self; 4] = [Self::LARGE, Self::MEDIUM, Self::SMALL, Self::NARROW];

    /// What a step along `k` costs a multiprocessor that has one block, and one that has two: nanoseconds on an H100
    /// (`examples/tiles.rs`); only what they are to each other counts.
    fn costs(self) -> (f64, f64) {
        match self {
            Self::LARGE => (26.0, 32.0),
            Self::MEDIUM => (15.0, 20.0),
            Self::SMALL => (11.0, 16.0),
            _ => (8.0, 12.0),
        }
    }

    /// Estimates the time of a product of `blocks` blocks, for each step along `k`, in the units of `costs`: rounds of two
    /// blocks on every multiprocessor, and a last one that may have fewer.
    pub fn time(self, blocks: u64, multiprocessors: u32) -> f64 {
        let (one, two) = self.costs();
        let multiprocessors = u64::from(multiprocessors.max(1));
        let (rounds, rest) = (
            blocks / (2 * multiprocessors),
            blocks % (2 * multiprocessors),
        );
        let last = match rest {
            0 => 0.0,
            rest if rest <= multiprocessors => one,
            _ => two,
        };
        rounds as f64 * two + last
    }

    /// Steps along `k` in a tile.
    pub fn depth(self) -> u32 {
        GROUP * self.groups
    }

    /// Threads of a block.
    pub fn threads(self) -> u32 {
        32 * self.warps.0 * self.warps.1
    }

    /// Fragments of a warp: of eight rows, and of sixteen columns of `C`.
    fn fragments(self) -> (u32, u32) {
        let ((m, n), (warps_m, warps_n)) = (self.tile, self.warps);
        (m / warps_m / 8, n / warps_n / 16)
    }
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Format of `A` and `B`: half or bfloat16.
    pub element_ab: Element,
    /// Format of `C`.
    pub element_c: Element,
    /// Format of `alpha` and `beta` in device memory.
    pub scale: Element,
    /// The tile.
    pub shape: Shape,
}

/// An operand's way from global memory through registers to shared memory.
struct Stream {
    /// Global addresses of this thread's vectors in the first group, at the current `k`.
    sources: Vec<Reg>,
    /// The vectors while they are in registers, by group.
    vectors: Vec<Vec<[Reg; 4]>>,
    /// Shared address of the first vector in the first tile; the others follow at `step` lines.
    target: Reg,
    /// Lines from one vector of this thread to the next.
    step: u32,
    /// Lines of a group.
    lines: u32,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let Shape {
            tile: (m, n),
            warps: (warps_m, warps_n),
            ..
        } = self.shape;
        format!(
            "gemm_depth_{}_{}_by_{}_{m}x{n}x{}_{warps_m}x{warps_n}",
            self.element_ab.name(),
            self.element_c.name(),
            self.scale.name(),
            self.shape.depth(),
        )
    }

    /// The kernel as a PTX module. Parameters are those of [`super::gemm_direct::Spec::ptx`]; the grid has `tiles_m *
    /// tiles_n` blocks in x and the batch in z.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        super::gemm_direct::declare(&mut f, Arithmetic::F32);
        f.threads(self.shape.threads());
        f.shared("tiles", 128, 2 * self.tile_bytes());
        self.body(&mut f);
        module(&f.finish())
    }

    /// Bytes of both operands' tiles.
    fn tile_bytes(&self) -> u32 {
        let (m, n) = self.shape.tile;
        (m + n) * LINE * self.shape.groups
    }

    fn body(&self, f: &mut Function) {
        let (tile_m, tile_n) = self.shape.tile;
        let m = f.load_param("m", Class::B32);
        let n = f.load_param("n", Class::B32);
        f.comment("this block's tile");
        let tiles_m = f.load_param("tiles_m", Class::B32);
        let block = f.special("%ctaid.x");
        let block_n = f.op2(Class::B32, "div.u32", block, tiles_m);
        let block_m = f.op2(Class::B32, "rem.u32", block, tiles_m);
        let first_m = f.op2(Class::B32, "mul.lo.u32", block_m, tile_m);
        let first_n = f.op2(Class::B32, "mul.lo.u32", block_n, tile_n);
        let z = super::gemm_direct::batch_index(f);
        let a = super::gemm_direct::batch_base(f, false, "a", z);
        let b = super::gemm_direct::batch_base(f, false, "b", z);
        let c = super::gemm_direct::batch_base(f, false, "c", z);
        let alpha = f.scalar("alpha", self.scale, Arithmetic::F32);
        let beta = f.scalar("beta", self.scale, Arithmetic::F32);
        let k = f.load_param("k", Class::B32);
        f.comment("nothing is read where alpha is zero");
        let alpha_counts = f.is_nonzero(Arithmetic::F32, alpha);
        ins!(f, "selp.b32 {k}, {k}, 0, {alpha_counts};");

        let tid = f.special("%tid.x");
        let tiles = f.op1(Class::B32, "mov.u32", "tiles");
        let tiles_b = f.op2(
            Class::B32,
            "add.u32",
            tiles,
            tile_m * LINE * self.shape.groups,
        );
        let streams = [
            self.stream(f, (a, "lda"), (first_m, m), (tiles, tile_m), tid),
            self.stream(f, (b, "ldb"), (first_n, n), (tiles_b, tile_n), tid),
        ];
        let (fragments_m, fragments_n) = self.shape.fragments();
        let sums: Vec<Vec<[Reg; 4]>> = (0..fragments_n)
            .map(|_| (0..fragments_m).map(|_| zeros(f)).collect())
            .collect();

        f.comment("where this lane reads its fragments");
        let lane = f.op2(Class::B32, "and.b32", tid, 31);
        let warp = f.op2(Class::B32, "shr.u32", tid, 5);
        let (warps_m, _) = self.shape.warps;
        let warp_m = f.op2(Class::B32, "and.b32", warp, warps_m - 1);
        let warp_n = f.op2(Class::B32, "shr.u32", warp, warps_m.trailing_zeros());
        let part_m = f.op2(Class::B32, "mul.lo.u32", warp_m, 8 * fragments_m);
        let part_n = f.op2(Class::B32, "mul.lo.u32", warp_n, 16 * fragments_n);
        let within = f.op2(Class::B32, "shl.b32", lane, 4);
        let read_a = f.op3(Class::B32, "mad.lo.u32", part_m, LINE, within);
        let read_a = f.op2(Class::B32, "add.u32", read_a, tiles);
        let read_b = f.op3(Class::B32, "mad.lo.u32", part_n, LINE, within);
        let read_b = f.op2(Class::B32, "add.u32", read_b, tiles_b);

        f.comment("the first tile");
        let any = f.compare("gt.s32", k, 0);
        f.if_then(any, |f| {
            self.load(f, &streams);
            self.store(f, &streams, None);
            ins!(f, "bar.sync 0;");
        });
        let at = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("gt.s32", k, 0),
            |f| {
                ins!(f, "sub.s32 {k}, {k}, {};", self.shape.depth());
                let more = f.compare("gt.s32", k, 0);
                f.if_then(more, |f| self.load(f, &streams));
                self.multiply(f, (read_a, read_b), at, &sums);
                f.comment("the other tile");
                let other = f.op2(Class::B32, "sub.u32", self.tile_bytes(), at);
                ins!(f, "mov.b32 {at}, {other};");
                let more = f.compare("gt.s32", k, 0);
                f.if_then(more, |f| self.store(f, &streams, Some(at)));
                ins!(f, "bar.sync 0;");
            },
        );
        let result = Fragments {
            address: c,
            element: self.element_c,
            size: (m, n),
            first: (
                f.op2(Class::B32, "add.u32", first_m, part_m),
                f.op2(Class::B32, "add.u32", first_n, part_n),
            ),
            lane,
            scalars: (alpha, beta),
        };
        result.write(f, &sums);
    }

    /// Where this thread's vectors of a tile of `lines` lines come from and go to.
    fn stream(
        &self,
        f: &mut Function,
        (base, stride): (Reg, &str),
        (first, count): (Reg, Reg),
        (tile, lines): (Reg, u32),
        tid: Reg,
    ) -> Stream {
        f.comment("the vectors that this thread copies");
        let stride = f.load_param(stride, Class::B64);
        let vector = f.op2(Class::B32, "and.b32", tid, VECTORS - 1);
        let line = f.op2(Class::B32, "shr.u32", tid, VECTORS.trailing_zeros());
        let step = self.shape.threads() / VECTORS;
        let last = f.op2(Class::B32, "sub.u32", count, 1);
        let within = f.op2(Class::B64, "mul.wide.u32", vector, 16);
        let base = f.op2(Class::B64, "add.s64", base, within);
        let first = f.op2(Class::B32, "add.u32", first, line);
        let sources: Vec<Reg> = (0..lines / step)
            .map(|index| {
                let line = f.op2(Class::B32, "add.u32", first, index * step);
                let line = f.op2(Class::B32, "min.u32", line, last);
                let line = f.widen(line);
                f.op3(Class::B64, "mad.lo.s64", line, stride, base)
            })
            .collect();
        let target = f.op3(Class::B32, "mad.lo.u32", tid, 16, tile);
        Stream {
            vectors: (0..self.shape.groups)
                .map(|_| sources.iter().map(|_| registers(f)).collect())
                .collect(),
            sources,
            target,
            step,
            lines,
        }
    }

    /// One tile's products.
    fn multiply(
        &self,
        f: &mut Function,
        (read_a, read_b): (Reg, Reg),
        at: Reg,
        sums: &[Vec<[Reg; 4]>],
    ) {
        let ty = self.element_ab.name();
        let (fragments_m, _) = self.shape.fragments();
        let read_a = f.op2(Class::B32, "add.u32", read_a, at);
        let read_b = f.op2(Class::B32, "add.u32", read_b, at);
        let (tile_m, tile_n) = self.shape.tile;
        for group in 0..self.shape.groups {
            f.comment("32 steps along k");
            let (in_a, in_b) = (group * tile_m * LINE, group * tile_n * LINE);
            let right: Vec<[Reg; 4]> = (0..fragments_m)
                .map(|fragment| load_vector(f, read_a, in_a + 8 * LINE * fragment))
                .collect();
            for (fragment, row) in sums.iter().enumerate() {
                let first = in_b + 16 * LINE * fragment as u32;
                let low = load_vector(f, read_b, first);
                let high = load_vector(f, read_b, first + 8 * LINE);
                for half in [0, 2] {
                    for (&[d0, d1, d2, d3], b) in row.iter().zip(&right) {
                        ins!(
                            f,
                            "mma.sync.aligned.m16n8k16.row.col.f32.{ty}.{ty}.f32 {{{d0}, {d1}, {d2}, {d3}}}, \
                             {{{}, {}, {}, {}}}, {{{}, {}}}, {{{d0}, {d1}, {d2}, {d3}}};",
                            low[half], high[half], low[half + 1], high[half + 1], b[half], b[half + 1]
                        );
                    }
                }
            }
        }
    }

    /// The next tile from global memory to registers.
    fn load(&self, f: &mut Function, streams: &[Stream]) {
        for stream in streams {
            for (index, &source) in stream.sources.iter().enumerate() {
                for (group, vectors) in stream.vectors.iter().enumerate() {
                    let [r0, r1, r2, r3] = vectors[index];
                    let offset = group as u32 * LINE;
                    ins!(
                        f,
                        "ld.global.nc.v4.b32 {{{r0}, {r1}, {r2}, {r3}}}, [{source}+{offset}];"
                    );
                }
                ins!(f, "add.s64 {source}, {source}, {};", 2 * self.shape.depth());
            }
        }
    }

    /// A tile from registers to shared memory, `at` bytes behind the first tile.
    fn store(&self, f: &mut Function, streams: &[Stream], at: Option<Reg>) {
        for stream in streams {
            let target = match at {
                Some(at) => f.op2(Class::B32, "add.u32", stream.target, at),
                None => stream.target,
            };
            for (group, vectors) in stream.vectors.iter().enumerate() {
                for (index, [r0, r1, r2, r3]) in vectors.iter().enumerate() {
                    let line = group as u32 * stream.lines + index as u32 * stream.step;
                    let offset = line * LINE;
                    ins!(
                        f,
                        "st.shared.v4.b32 [{target}+{offset}], {{{r0}, {r1}, {r2}, {r3}}};"
                    );
                }
            }
        }
    }
}

fn zeros(f: &mut Function) -> [Reg; 4] {
    std::array::from_fn(|_| f.op1(Class::F32, "mov.f32", "0f00000000"))
}

fn registers(f: &mut Function) -> [Reg; 4] {
    std::array::from_fn(|_| f.reg(Class::B32))
}

fn load_vector(f: &mut Function, address: Reg, offset: u32) -> [Reg; 4] {
    let [r0, r1, r2, r3] = registers(f);
    ins!(
        f,
        "ld.shared.v4.b32 {{{r0}, {r1}, {r2}, {r3}}}, [{address}+{offset}];"
    );
    [r0, r1, r2, r3]
}
