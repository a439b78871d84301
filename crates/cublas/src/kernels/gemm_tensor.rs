//! Matrix product of half precision and bfloat16 on tensor cores: `mma.sync.m16n8k16` with single-precision sums, tiles
//! brought into shared memory by `cp.async` three deep, and read by `ldmatrix`.
//!
//! The kernel computes the transposed product: the rows of an `mma` are columns of `C`, its columns rows of `C`, so that
//! a thread's two neighbouring sums are neighbours in memory. In shared memory an operand lies as it does in global
//! memory, in chunks of 16 bytes, whose places within a line are exchanged such that eight lanes of `ldmatrix` meet eight
//! different banks:
//!
//! ```text
//! Layout::Depth   lines of 32 numbers along k, one for each row (or column) of C    ldmatrix
//! Layout::Edge    32 lines along the edge, one for each k                           ldmatrix.trans
//! ```
//!
//! Addresses and leading dimensions must be multiples of 16 bytes; sizes are free, what is outside of a matrix is filled
//! with zeros on the way.
//!
//! ```
//! use cublas::kernels::gemm_direct::Layout;
//! use cublas::kernels::gemm_tensor::{Shape, Spec};
//! use cublas::ptx::Element;
//! let spec = Spec {
//!     a: Layout::Depth, b: Layout::Depth, element_ab: Element::F16, element_c: Element::F16, scale: Element::F16,
//!     shape: Shape::Large,
//! };
//! assert!(spec.ptx().contains("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"));
//! ```

use crate::kernels::fragments::Fragments;
use crate::kernels::gemm_direct::Layout;
use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Reg};

/// Steps along `k` in a tile.
const DEPTH: u32 = 32;
/// Tiles in shared memory at a time.
const STAGES: u32 = 3;
/// Rows of `C` in a block's tile.
pub const TILE_M: u32 = 128;

/// How many columns of `C` a block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// 128 columns by eight warps.
    Large,
    /// 64 columns by four warps.
    Medium,
    /// 32 columns by four warps.
    Small,
}

impl Shape {
    /// Columns of `C` in a block's tile.
    pub fn tile_n(self) -> u32 {
        match self {
            Self::Large => 128,
            Self::Medium => 64,
            Self::Small => 32,
        }
    }

    /// Warps along the columns and along the rows of `C`. Each has 32 rows.
    fn warps(self) -> (u32, u32) {
        match self {
            Self::Large => (2, 4),
            Self::Medium | Self::Small => (1, 4),
        }
    }

    /// Threads of a block.
    pub fn threads(self) -> u32 {
        let (n, m) = self.warps();
        32 * n * m
    }

    /// Columns of `C` of a warp, in units of 16.
    fn fragments_n(self) -> u32 {
        self.tile_n() / self.warps().0 / 16
    }
}

/// Rows of `C` of a warp, in units of 8.
const FRAGMENTS_M: u32 = 4;

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Layout of `A`.
    pub a: Layout,
    /// Layout of `B`.
    pub b: Layout,
    /// Format of `A` and `B`: half or bfloat16.
    pub element_ab: Element,
    /// Format of `C`.
    pub element_c: Element,
    /// Format of `alpha` and `beta` in device memory.
    pub scale: Element,
    /// The tile.
    pub shape: Shape,
}

/// An operand's way from global to shared memory.
struct Stream {
    layout: Layout,
    /// The operand's first number.
    base: Reg,
    /// Global addresses of this thread's chunks, at the current `k`.
    sources: Vec<Reg>,
    /// For each chunk: bytes of it inside of the matrix, without regard to `k`.
    widths: Vec<Reg>,
    /// For each chunk: its first step along `k`, within the tile.
    depths: Vec<Reg>,
    /// Shared addresses of the chunks in the first stage.
    targets: Vec<Reg>,
    /// Bytes from one tile to the next.
    advance: Reg,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let letter = |layout, transposed| if layout == transposed { "t" } else { "n" };
        format!(
            "gemm_tensor_{}{}_{}_{}_by_{}_{TILE_M}x{}",
            letter(self.a, Layout::Depth),
            letter(self.b, Layout::Edge),
            self.element_ab.name(),
            self.element_c.name(),
            self.scale.name(),
            self.shape.tile_n(),
        )
    }

    /// The kernel as a PTX module. Parameters are those of [`super::gemm_direct::Spec::ptx`]; the grid has `tiles_m *
    /// tiles_n` blocks in x and the batch in z.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        super::gemm_direct::declare(&mut f, Arithmetic::F32);
        f.threads(self.shape.threads());
        f.shared("tiles", 128, STAGES * self.stage_bytes());
        self.body(&mut f);
        module(&f.finish())
    }

    /// Bytes of both operands' tiles.
    fn stage_bytes(&self) -> u32 {
        (self.shape.tile_n() + TILE_M) * DEPTH * 2
    }

    fn body(&self, f: &mut Function) {
        let m = f.load_param("m", Class::B32);
        let n = f.load_param("n", Class::B32);
        f.comment("this block's tile");
        let tiles_m = f.load_param("tiles_m", Class::B32);
        let block = f.special("%ctaid.x");
        let block_n = f.op2(Class::B32, "div.u32", block, tiles_m);
        let block_m = f.op2(Class::B32, "rem.u32", block, tiles_m);
        let first_m = f.op2(Class::B32, "mul.lo.u32", block_m, TILE_M);
        let first_n = f.op2(Class::B32, "mul.lo.u32", block_n, self.shape.tile_n());
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
        let tile_n = self.shape.tile_n();
        let tiles_a = f.op2(Class::B32, "add.u32", tiles, tile_n * DEPTH * 2);
        f.comment("the chunks of B, then of A, that this thread copies");
        let copies = [
            self.stream(f, (self.b, tile_n), (b, "ldb"), (first_n, n), tiles, tid),
            self.stream(f, (self.a, TILE_M), (a, "lda"), (first_m, m), tiles_a, tid),
        ];

        let sums: Vec<Vec<[Reg; 4]>> = (0..self.shape.fragments_n())
            .map(|_| (0..FRAGMENTS_M).map(|_| self.zeros(f)).collect())
            .collect();

        f.comment("the first tiles on their way");
        let ahead = f.op1(Class::B32, "mov.b32", k);
        let write_at = f.op1(Class::B32, "mov.b32", 0);
        for _ in 0..STAGES - 1 {
            self.copy_tile(f, &copies, ahead, write_at);
        }
        let (reads_b, reads_a) = self.read_addresses(f, tid, tiles, tiles_a);
        let read_at = f.op1(Class::B32, "mov.b32", 0);
        f.while_loop(
            |f| f.compare("gt.s32", k, 0),
            |f| {
                ins!(f, "cp.async.wait_group {};", STAGES - 2);
                ins!(f, "bar.sync 0;");
                // Into the stage that was read in the round before.
                self.copy_tile(f, &copies, ahead, write_at);
                self.multiply(f, &reads_b, &reads_a, read_at, &sums);
                self.next_stage(f, read_at);
                ins!(f, "sub.s32 {k}, {k}, {DEPTH};");
            },
        );
        ins!(f, "cp.async.wait_all;");
        let (warps_n, _) = self.shape.warps();
        let lane = f.op2(Class::B32, "and.b32", tid, 31);
        let warp = f.op2(Class::B32, "shr.u32", tid, 5);
        let warp_n = f.op2(Class::B32, "and.b32", warp, warps_n - 1);
        let warp_m = f.op2(Class::B32, "shr.u32", warp, warps_n.trailing_zeros());
        let size_n = 16 * self.shape.fragments_n();
        let result = Fragments {
            address: c,
            element: self.element_c,
            size: (m, n),
            first: (
                f.op3(Class::B32, "mad.lo.u32", warp_m, 8 * FRAGMENTS_M, first_m),
                f.op3(Class::B32, "mad.lo.u32", warp_n, size_n, first_n),
            ),
            lane,
            scalars: (alpha, beta),
        };
        result.write(f, &sums);
    }

    fn zeros(&self, f: &mut Function) -> [Reg; 4] {
        std::array::from_fn(|_| f.op1(Class::F32, "mov.f32", "0f00000000"))
    }

    fn next_stage(&self, f: &mut Function, at: Reg) {
        ins!(f, "add.u32 {at}, {at}, {};", self.stage_bytes());
        let end = f.compare("eq.u32", at, STAGES * self.stage_bytes());
        ins!(f, "selp.b32 {at}, 0, {at}, {end};");
    }

    /// Where this thread's chunks of a tile of `lines` lines come from and go to.
    fn stream(
        &self,
        f: &mut Function,
        (layout, lines): (Layout, u32),
        (base, stride): (Reg, &str),
        (first, count): (Reg, Reg),
        tile: Reg,
        tid: Reg,
    ) -> Stream {
        let stride = f.load_param(stride, Class::B64);
        // Chunks in a line of shared memory, and lines.
        let (across, down) = match layout {
            Layout::Depth => (DEPTH / 8, lines),
            Layout::Edge => (lines / 8, DEPTH),
        };
        let chunk = f.op2(Class::B32, "and.b32", tid, across - 1);
        let line = f.op2(Class::B32, "shr.u32", tid, across.trailing_zeros());
        let step = self.shape.threads() / across;
        let mut stream = Stream {
            layout,
            base,
            sources: Vec::new(),
            widths: Vec::new(),
            depths: Vec::new(),
            targets: Vec::new(),
            advance: match layout {
                Layout::Depth => f.op1(Class::B64, "mov.b64", DEPTH * 2),
                Layout::Edge => f.op2(Class::B64, "mul.lo.s64", stride, DEPTH),
            },
        };
        for index in 0..down.div_ceil(step) {
            let line = f.op2(Class::B32, "add.u32", line, index * step);
            let target = self.place(f, across, line, chunk);
            stream
                .targets
                .push(f.op2(Class::B32, "add.u32", tile, target));
            // The number along the edge at which the chunk starts, and the one along k.
            let (edge, depth, numbers) = match layout {
                Layout::Depth => (line, f.op2(Class::B32, "shl.b32", chunk, 3), 1),
                Layout::Edge => (f.op2(Class::B32, "shl.b32", chunk, 3), line, 8),
            };
            let edge = f.op2(Class::B32, "add.u32", first, edge);
            // How much of the chunk is inside, in bytes: all or nothing along k, up to eight numbers along the edge.
            let inside = f.op2(Class::B32, "sub.s32", count, edge);
            let inside = f.op2(Class::B32, "max.s32", inside, 0);
            let inside = f.op2(Class::B32, "min.s32", inside, numbers);
            let width = f.op2(Class::B32, "mul.lo.u32", inside, 16 / numbers);
            // An address outside is never read, but stays a legal one.
            let last = f.op2(Class::B32, "sub.u32", count, 1);
            let edge = f.op2(Class::B32, "min.u32", edge, last);
            let (wide_edge, wide_depth) = (f.widen(edge), f.widen(depth));
            let (along, lines) = match layout {
                Layout::Depth => (wide_depth, wide_edge),
                Layout::Edge => (wide_edge, wide_depth),
            };
            let start = f.op3(Class::B64, "mad.lo.s64", lines, stride, base);
            stream
                .sources
                .push(f.op3(Class::B64, "mad.lo.s64", along, 2, start));
            stream.widths.push(width);
            stream.depths.push(depth);
        }
        stream
    }

    /// Offset of a chunk in a tile: lines of `across` chunks, exchanged within the line.
    fn place(&self, f: &mut Function, across: u32, line: Reg, chunk: Reg) -> Reg {
        let key = if across == 4 {
            // Two lines of 64 bytes share the banks' 128.
            let pair = f.op2(Class::B32, "shr.u32", line, 1);
            f.op2(Class::B32, "and.b32", pair, 3)
        } else {
            f.op2(Class::B32, "and.b32", line, 7)
        };
        let chunk = f.op2(Class::B32, "xor.b32", chunk, key);
        let index = f.op3(Class::B32, "mad.lo.u32", line, across, chunk);
        f.op2(Class::B32, "shl.b32", index, 4)
    }

    /// Starts copying the next tile of both operands; `ahead` is what is left of `k` then.
    fn copy_tile(&self, f: &mut Function, copies: &[Stream; 2], ahead: Reg, write_at: Reg) {
        f.comment("copy a tile, with zeros for what is outside");
        for stream in copies {
            for i in 0..stream.sources.len() {
                let left = f.op2(Class::B32, "sub.s32", ahead, stream.depths[i]);
                let left = f.op2(Class::B32, "max.s32", left, 0);
                let bytes = match stream.layout {
                    // Up to eight numbers along k.
                    Layout::Depth => {
                        let bytes = f.op2(Class::B32, "shl.b32", left, 1);
                        f.op2(Class::B32, "min.u32", bytes, stream.widths[i])
                    }
                    Layout::Edge => {
                        let any = f.compare("gt.s32", left, 0);
                        f.op3(Class::B32, "selp.b32", stream.widths[i], 0, any)
                    }
                };
                let target = f.op2(Class::B32, "add.u32", stream.targets[i], write_at);
                // Where nothing is read the address is a legal one all the same.
                let any = f.compare("gt.u32", bytes, 0);
                let source = f.op3(Class::B64, "selp.b64", stream.sources[i], stream.base, any);
                ins!(
                    f,
                    "cp.async.cg.shared.global [{target}], [{source}], 16, {bytes};"
                );
            }
        }
        ins!(f, "cp.async.commit_group;");
        for stream in copies {
            for &source in &stream.sources {
                ins!(f, "add.s64 {source}, {source}, {};", stream.advance);
            }
        }
        ins!(f, "sub.s32 {ahead}, {ahead}, {DEPTH};");
        self.next_stage(f, write_at);
    }

    /// For each operand, each pair of 8-row fragments and each half of a tile's depth: the shared address in the first
    /// stage that this lane gives to `ldmatrix`.
    fn read_addresses(
        &self,
        f: &mut Function,
        tid: Reg,
        tiles: Reg,
        tiles_a: Reg,
    ) -> (Vec<Vec<Reg>>, Vec<Vec<Reg>>) {
        let (warps_n, _) = self.shape.warps();
        let lane = f.op2(Class::B32, "and.b32", tid, 31);
        let warp = f.op2(Class::B32, "shr.u32", tid, 5);
        let warp_n = f.op2(Class::B32, "and.b32", warp, warps_n - 1);
        let warp_m = f.op2(Class::B32, "shr.u32", warp, warps_n.trailing_zeros());
        let first_n = f.op2(
            Class::B32,
            "mul.lo.u32",
            warp_n,
            16 * self.shape.fragments_n(),
        );
        let first_m = f.op2(Class::B32, "mul.lo.u32", warp_m, 8 * FRAGMENTS_M);
        let row = f.op2(Class::B32, "and.b32", lane, 7);
        let low = f.op3(Class::B32, "bfe.u32", lane, 3, 1);
        let high = f.op3(Class::B32, "bfe.u32", lane, 4, 1);
        // The four 8 x 8 matrices: of the left operand (rows, then k), of the right one (k, then columns).
        let left = (
            self.b,
            self.shape.tile_n(),
            self.shape.fragments_n(),
            first_n,
            low,
            high,
        );
        let right = (self.a, TILE_M, FRAGMENTS_M / 2, first_m, high, low);
        let mut addresses = [(left, tiles), (right, tiles_a)].map(|(operand, tile)| {
            let (layout, lines, fragments, first, edge_half, depth_half) = operand;
            let mut of_fragments = Vec::new();
            for fragment in 0..fragments {
                let mut of_depths = Vec::new();
                for depth in 0..DEPTH / 16 {
                    // In units of 8: along the edge and along k.
                    let edge = f.op2(Class::B32, "shr.u32", first, 3);
                    let edge = f.op2(Class::B32, "add.u32", edge, edge_half);
                    let edge = f.op2(Class::B32, "add.u32", edge, 2 * fragment);
                    let along_k = f.op2(Class::B32, "add.u32", depth_half, 2 * depth);
                    let (across, line, chunk) = match layout {
                        Layout::Depth => (DEPTH / 8, edge, along_k),
                        Layout::Edge => (lines / 8, along_k, edge),
                    };
                    let line = f.op3(Class::B32, "mad.lo.u32", line, 8, row);
                    let offset = self.place(f, across, line, chunk);
                    of_depths.push(f.op2(Class::B32, "add.u32", tile, offset));
                }
                of_fragments.push(of_depths);
            }
            of_fragments
        });
        let right = std::mem::take(&mut addresses[1]);
        (std::mem::take(&mut addresses[0]), right)
    }

    fn load_matrices(&self, f: &mut Function, layout: Layout, address: Reg, at: Reg) -> [Reg; 4] {
        let regs: [Reg; 4] = std::array::from_fn(|_| f.reg(Class::B32));
        let address = f.op2(Class::B32, "add.u32", address, at);
        let trans = if layout == Layout::Edge { ".trans" } else { "" };
        let [r0, r1, r2, r3] = regs;
        ins!(f, "ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {{{r0}, {r1}, {r2}, {r3}}}, [{address}];");
        regs
    }

    /// One tile's products.
    fn multiply(
        &self,
        f: &mut Function,
        reads_b: &[Vec<Reg>],
        reads_a: &[Vec<Reg>],
        read_at: Reg,
        sums: &[Vec<[Reg; 4]>],
    ) {
        let ty = self.element_ab.name();
        for depth in 0..(DEPTH / 16) as usize {
            f.comment("sixteen steps along k");
            let right: Vec<[Reg; 4]> = reads_a
                .iter()
                .map(|read| self.load_matrices(f, self.a, read[depth], read_at))
                .collect();
            for (fragment, read) in reads_b.iter().enumerate() {
                let [a0, a1, a2, a3] = self.load_matrices(f, self.b, read[depth], read_at);
                for (column, &[d0, d1, d2, d3]) in sums[fragment].iter().enumerate() {
                    let pair = right[column / 2];
                    let (b0, b1) = (pair[column % 2 * 2], pair[column % 2 * 2 + 1]);
                    ins!(
                        f,
                        "mma.sync.aligned.m16n8k16.row.col.f32.{ty}.{ty}.f32 {{{d0}, {d1}, {d2}, {d3}}}, \
                         {{{a0}, {a1}, {a2}, {a3}}}, {{{b0}, {b1}}}, {{{d0}, {d1}, {d2}, {d3}}};"
                    );
                }
            }
        }
    }
}
