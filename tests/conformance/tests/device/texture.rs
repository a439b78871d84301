//! Textures and surfaces of every format, geometry, address and filter mode.
//!
//! The input is descriptors of [`STRIDE`] bytes each, then the coordinates of each thread, then the handles of the
//! descriptors, then texels. Block `n` uses handle `n`.

use ::texture::{AddressMode, Class, Descriptor, Format, Kind, Level};
use conformance::{isolated, left_out, Bench, Case, Geometry, Random, Reference, Textures};
use std::sync::Mutex;

/// Bytes from one descriptor to the next.
const STRIDE: usize = 512;
/// Threads of a block.
const THREADS: usize = 128;

/// Textures with their texels; addresses count from the start of the input.
pub struct Input {
    pub textures: Vec<Descriptor>,
    texels: Vec<u8>,
    random: Random,
}

/// What a module has besides the kernel.
#[derive(Default)]
pub struct Module<'a> {
    /// Behind the target: `, texmode_independent`.
    pub mode: &'a str,
    /// Variables.
    pub declarations: &'a str,
    /// Names of references, each bound to the texture with its index.
    pub references: &'a [&'a str],
}

impl Input {
    pub fn new() -> Self {
        Self {
            textures: Vec::new(),
            texels: Vec::new(),
            random: Random(7),
        }
    }

    fn unit(&mut self) -> f32 {
        (self.random.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Texels of a format for a texture with levels, in rows of some more bytes than they need.
    fn levels(&mut self, format: Format, extent: [u32; 3], layers: u32, count: u32) -> Vec<Level> {
        let mut levels = Vec::new();
        for n in 0..count {
            let [width, height, depth] = extent.map(|size| (size >> n).max(1));
            let pitch = (width * format.texel_bytes()).next_multiple_of(32) + 32;
            self.texels
                .resize(self.texels.len().next_multiple_of(256), 0);
            let level = Level {
                address: self.texels.len() as u64,
                pitch,
                rows: height,
            };
            for _ in 0..pitch * height * layers * depth / 4 {
                let word = match (format.kind, format.bits) {
                    (Kind::Float, 32) => (self.unit() * 8.0 - 4.0).to_bits(),
                    // Normal halves.
                    (Kind::Float, _) => {
                        let half =
                            |bits: u64| (bits & 0x83ff | (8 + (bits >> 16 & 15)) << 10) as u32;
                        half(self.random.bits()) | half(self.random.bits()) << 16
                    }
                    _ => self.random.bits() as u32,
                };
                self.texels.extend(word.to_le_bytes());
            }
            levels.push(level);
        }
        levels
    }

    pub fn add(
        &mut self,
        format: Format,
        extent: [u32; 3],
        layers: u32,
        levels: u32,
    ) -> &mut Descriptor {
        let levels = self.levels(format, extent, layers, levels);
        self.textures
            .push(Descriptor::new(format, extent, layers, levels));
        self.textures.last_mut().expect("just added")
    }

    /// Runs `text` for every texture and thread: `t` is the handle, `x`, `y`, `z` and `w` the thread's coordinates as numbers,
    /// `i`, `j`, `k` as integers, and `r0` to `r3` are stored at the end.
    fn run(self, name: &str, text: &str) {
        self.run_in(name, &Module::default(), text);
    }

    /// The same in a module with more in it.
    pub fn run_in(mut self, name: &str, module: &Module, text: &str) {
        let geometry = Geometry::of(text);
        for texture in &mut self.textures {
            if geometry.surface {
                texture.class = Class::Surface;
            }
        }
        for texture in &mut self.textures {
            // Hardware reads textures of one dimension as the first of two rows, with the modes of both.
            for mode in &mut texture.address_modes[geometry.axes as usize..] {
                *mode = AddressMode::Clamp;
            }
        }
        let coordinates = STRIDE * self.textures.len();
        let handles = coordinates + 32 * THREADS;
        let start = (handles + 8 * self.textures.len()).next_multiple_of(256);
        let mut input = vec![0; start];
        for thread in 0..THREADS {
            let special = [
                0.0,
                1.0,
                -1.0,
                0.5,
                f32::NAN,
                f32::INFINITY,
                -1e30,
                1e9,
                -0.0,
                2.0,
            ];
            let mut points = [0.0f32; 4];
            for point in &mut points {
                *point = match thread % 4 {
                    0 => self.unit() * 4.0 - 1.5,
                    1 => (self.unit() * 40.0).floor() / 2.0 - 3.0,
                    2 => self.unit() * 12.0 - 2.0,
                    _ => special[(self.random.bits() % special.len() as u64) as usize],
                };
            }
            let integers: [i32; 4] = std::array::from_fn(|_| (self.random.bits() % 14) as i32 - 3);
            let at = coordinates + 32 * thread;
            for n in 0..4 {
                input[at + 4 * n..][..4].copy_from_slice(&points[n].to_le_bytes());
                input[at + 16 + 4 * n..][..4].copy_from_slice(&integers[n].to_le_bytes());
            }
        }
        input.extend(&self.texels);
        let case = Case {
            name: name.to_owned(),
            text: format!(
                ".version 8.8\n.target sm_90{}\n.address_size 64\n{}\n\
                 .visible .entry k(.param .u64 in, .param .u64 out) {{\n\
                 .reg .b64 t, from, to, a; .reg .b32 tid, block, i, j, k, l, n, r<4>; .reg .f32 x, y, z, w; .reg .b16 h<4>;\n\
                 .reg .b64 d<2>;\n\
                 ld.param.u64 t, [in]; ld.param.u64 to, [out];\n\
                 mov.u32 tid, %tid.x; mov.u32 block, %ctaid.x;\n\
                 mul.wide.u32 a, tid, 32; add.u64 from, t, a; mul.wide.u32 a, block, 8; add.u64 t, t, a; ld.global.u64 t, [t+{handles}];\n\
                 mad.lo.u32 n, block, {THREADS}, tid; mul.wide.u32 a, n, 16; add.u64 to, to, a;\n\
                 ld.global.v4.f32 {{x, y, z, w}}, [from+{coordinates}];\n\
                 ld.global.v4.b32 {{i, j, k, l}}, [from+{}];\n\
                 mov.u32 r0, 0; mov.u32 r1, 0; mov.u32 r2, 0; mov.u32 r3, 0;\n\
                 {text}\n\
                 st.global.v4.b32 [to], {{r0, r1, r2, r3}};\nret;\n}}\n",
                module.mode,
                module.declarations,
                coordinates + 16
            ),
            grid: [self.textures.len() as u32, 1, 1],
            block: [THREADS as u32, 1, 1],
            dynamic_shared: 0,
            input,
            output: vec![0; self.textures.len() * THREADS * 16],
            references: (module.references.iter().zip(&self.textures).enumerate())
                .map(|(n, (name, descriptor))| Reference {
                    name: (*name).to_owned(),
                    handle: handles + 8 * n,
                    descriptor: descriptor.clone(),
                    texels: start,
                    geometry,
                })
                .collect(),
        };
        let textures = self.textures;
        let place = |address: u64, input: &mut [u8]| {
            for (n, texture) in textures.iter().enumerate() {
                let mut texture = texture.clone();
                for level in &mut texture.levels {
                    level.address += address + start as u64;
                }
                let bytes = texture.encode();
                input[n * STRIDE..][..bytes.len()].copy_from_slice(&bytes);
                let handle = address + (n * STRIDE) as u64;
                input[handles + 8 * n..][..8].copy_from_slice(&handle.to_le_bytes());
            }
        };
        let bench = Bench::open();
        if bench.is_native() && std::env::var_os("CONFORMANCE_TEXTURES").is_none() {
            return left_out(
                &case.name,
                "textures of NVIDIA's driver need CONFORMANCE_TEXTURES=1",
            );
        }
        if let Some((_, reason)) = APART.iter().find(|(apart, _)| *apart == name) {
            if bench.is_native() {
                return left_out(name, reason);
            }
        }
        if !module.mode.is_empty() && bench.is_native() {
            return left_out(name, "the driver loads no module with samplers of its own");
        }
        let described = Textures {
            descriptors: &textures,
            handles,
            texels: start,
            coordinates,
            integers: text.contains(".s32 {r0"),
            geometry,
            // Weights have 8 bits: of each two texels.
            tolerance: 1.0 / 64.0,
        };
        if let Err(error) = bench.textured(&case, &place, &described) {
            FAILURES.lock().expect("no test panics with it").push(error);
        }
    }
}

/// What cannot be compared with NVIDIA's own driver, and why.
const APART: [(&str, &str); 12] = [
    ("suq.2d", "the driver refuses modules with it"),
    ("txq", "the driver does not find kernels with it"),
    (
        "txq of formats and samplers",
        "the driver does not find kernels with it",
    ),
    ("suq of formats", "the driver refuses modules with it"),
    (
        "istypep of a texture",
        "the driver says no of every object that is no reference",
    ),
    (
        "istypep of a surface",
        "the driver says no of every object that is no reference",
    ),
    (
        "sust.p of numbers up to 1",
        "the arrays that are made for the driver have formats of integers",
    ),
    ("tld4.cube", "the driver has no cubes to gather from"),
    ("tld4.acube", "the driver has no cubes to gather from"),
    (
        "tex.grad.cube",
        "the hardware's level of detail on a cube is an estimate",
    ),
    (
        "tex.grad.acube",
        "the hardware's level of detail on a cube is an estimate",
    ),
    (
        "tex.level.2d.s32",
        "CUDA does not fetch from levels, and PTX does not say what lies beside them",
    ),
];

/// What went wrong in this process, which runs one test.
static FAILURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs a test's cases in a process of its own.
pub fn gathered(name: &str, cases: impl FnOnce()) {
    isolated(name, || {
        cases();
        let failures = FAILURES.lock().expect("no test panics with it");
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

pub const FLOAT: Format = Format {
    kind: Kind::Float,
    bits: 32,
    channels: 4,
    normalized: false,
};

pub fn formats() -> Vec<Format> {
    let mut formats = Vec::new();
    for channels in [1, 2, 4] {
        for bits in [8, 16, 32] {
            for kind in [Kind::Unsigned, Kind::Signed, Kind::Float] {
                for normalized in [false, true] {
                    let format = Format {
                        kind,
                        bits,
                        channels,
                        normalized,
                    };
                    let exists = match kind {
                        Kind::Float => bits > 8 && !normalized,
                        _ => bits < 32 || !normalized,
                    };
                    if exists {
                        formats.push(format);
                    }
                }
            }
        }
    }
    formats
}

const MODES: [AddressMode; 4] = [
    AddressMode::Wrap,
    AddressMode::Clamp,
    AddressMode::Mirror,
    AddressMode::Border,
];

/// Every format with and without normalised coordinates, and every address mode with each filter.
pub fn textures(extent: [u32; 3], layers: u32) -> Input {
    let mut input = Input::new();
    for format in formats() {
        let linear = format.reads_float();
        let texture = input.add(format, extent, layers, 1);
        texture.normalized_coordinates = true;
        texture.address_modes = [AddressMode::Wrap, AddressMode::Mirror, AddressMode::Clamp];
        texture.linear = linear;
    }
    for normalized in [false, true] {
        for linear in [false, true] {
            for mode in MODES {
                if normalized || matches!(mode, AddressMode::Clamp | AddressMode::Border) {
                    let texture = input.add(FLOAT, extent, layers, 1);
                    texture.normalized_coordinates = normalized;
                    texture.linear = linear;
                    texture.address_modes = [mode; 3];
                    texture.border = [0.5f32, -1.0, 2.0, 7.25].map(f32::to_bits);
                }
            }
        }
    }
    input
}

/// What lies outside textures of every format.
#[test]
fn borders() {
    gathered("texture::borders", || {
        let mut input = Input::new();
        for format in formats() {
            let texture = input.add(format, [7, 5, 1], 1, 1);
            texture.normalized_coordinates = true;
            texture.address_modes = [AddressMode::Border; 3];
            texture.border = if format.reads_float() {
                [0.5f32, -1.0, 0.3, 7.25].map(f32::to_bits)
            } else {
                [5, u32::MAX, 200, 1 << 20]
            };
        }
        input.run(
            "tex.2d with borders",
            "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}];",
        );
    });
}

#[test]
fn textures_of_one_and_two_dimensions() {
    gathered("texture::textures_of_one_and_two_dimensions", || {
        textures([9, 1, 1], 1).run("tex.1d", "tex.1d.v4.u32.f32 {r0, r1, r2, r3}, [t, {x}];");
        textures([7, 5, 1], 1).run("tex.2d", "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}];");
        textures([7, 5, 1], 1).run(
            "tex.2d.s32",
            "tex.2d.v4.s32.s32 {r0, r1, r2, r3}, [t, {i, j}];",
        );
        textures([9, 1, 1], 1).run(
            "tex.1d.s32",
            "tex.1d.v4.s32.s32 {r0, r1, r2, r3}, [t, {i}];",
        );
    });
}

#[test]
fn textures_of_three_dimensions_and_with_layers() {
    gathered(
        "texture::textures_of_three_dimensions_and_with_layers",
        || {
            textures([6, 5, 4], 1).run(
                "tex.3d",
                "tex.3d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y, z, z}];",
            );
            textures([6, 5, 4], 1).run(
                "tex.3d.s32",
                "tex.3d.v4.u32.s32 {r0, r1, r2, r3}, [t, {i, j, k, k}];",
            );
            textures([8, 1, 1], 3).run(
                "tex.a1d",
                "tex.a1d.v4.f32.f32 {r0, r1, r2, r3}, [t, {i, x}];",
            );
            textures([6, 7, 1], 4).run(
                "tex.a2d",
                "tex.a2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {k, x, y, y}];",
            );
        },
    );
}

#[test]
fn cubes_and_gathers() {
    gathered("texture::cubes_and_gathers", || {
        let mut input = Input::new();
        for linear in [false, true] {
            let texture = input.add(FLOAT, [4, 4, 1], 12, 1);
            texture.normalized_coordinates = true;
            texture.linear = linear;
        }
        // Numbers of at least 1 apart, so that a last bit of the quotient does not choose another texel.
        let direction = "cvt.rn.f32.s32 x, i; cvt.rn.f32.s32 y, j; cvt.rn.f32.s32 z, k;\n\
                         add.f32 x, x, 0f3E4CCCCD; add.f32 y, y, 0f3DCCCCCD; add.f32 z, z, 0f3E99999A;\n";
        input.run(
            "tex.cube",
            &format!("{direction} tex.cube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{x, y, z, z}}];"),
        );
        let mut input = Input::new();
        let texture = input.add(FLOAT, [4, 4, 1], 12, 1);
        texture.normalized_coordinates = true;
        input.run(
            "tex.acube",
            &format!(
                "{direction} and.b32 l, l, 1; tex.acube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{l, x, y, z}}];"
            ),
        );
        // The level nearest to that of the derivatives, whose logarithm need not be exact.
        let levels = |layers: u32| {
            let mut input = Input::new();
            for linear in [false, true] {
                let texture = input.add(FLOAT, [16, 16, 1], layers, 5);
                texture.normalized_coordinates = true;
                texture.linear = linear;
                texture.level_clamp = [0.0, 9.0];
            }
            input
        };
        let changes =
            "and.b32 l, l, 3; shl.b32 n, l, 23; add.u32 n, n, 0x3d400000; mov.b32 w, n;\n";
        levels(6).run(
            "tex.grad.cube",
            &format!(
                "{direction}{changes} tex.grad.cube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{x, y, z, z}}], {{w, 0f3D800000, 0fBDC00000, w}}, {{0f3DA00000, 0f3CA00000, w, w}};"
            ),
        );
        levels(12).run(
            "tex.grad.acube",
            &format!(
                "{direction}{changes} and.b32 l, l, 1; tex.grad.acube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{l, x, y, z}}], {{0f00000000, w, 0f00000000, w}}, {{0f3CA00000, w, w, w}};"
            ),
        );
        let mut input = Input::new();
        let texture = input.add(FLOAT, [4, 4, 1], 12, 1);
        texture.normalized_coordinates = true;
        input.run(
            "tld4.acube",
            &format!(
                "{direction} and.b32 l, l, 1; tld4.g.acube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{l, x, y, z}}];"
            ),
        );
        let mut input = Input::new();
        let texture = input.add(FLOAT, [5, 5, 1], 6, 1);
        texture.normalized_coordinates = true;
        input.run(
            "tld4.cube",
            &format!("{direction} tld4.r.cube.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{x, y, z, z}}];"),
        );
        for (n, channel) in ["r", "g", "b", "a"].iter().enumerate() {
            let input = match n {
                0 => textures([7, 5, 1], 1),
                _ => {
                    let mut input = Input::new();
                    input.add(FLOAT, [7, 5, 1], 1, 1);
                    input
                }
            };
            input.run(
                &format!("tld4.{channel}"),
                &format!("tld4.{channel}.2d.v4.f32.f32 {{r0, r1, r2, r3}}, [t, {{x, y}}];"),
            );
        }
    });
}

#[test]
fn mipmaps() {
    gathered("texture::mipmaps", || {
        let levels = || {
            let mut input = Input::new();
            for linear in [false, true] {
                for linear_levels in [false, true] {
                    for (bias, clamp) in [(0.0, [0.0, 9.0]), (-0.75, [0.5, 2.25])] {
                        let texture = input.add(FLOAT, [16, 8, 1], 1, 5);
                        texture.normalized_coordinates = true;
                        texture.address_modes = [AddressMode::Wrap; 3];
                        texture.linear = linear;
                        texture.linear_levels = linear_levels;
                        texture.level_bias = bias;
                        texture.level_clamp = clamp;
                    }
                }
            }
            input
        };
        levels().run(
            "tex.level.2d",
            "tex.level.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}], z;",
        );
        levels().run(
            "tex.2d of levels",
            "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}];",
        );
        levels().run(
            "tex.level.2d.s32",
            "tex.level.2d.v4.f32.s32 {r0, r1, r2, r3}, [t, {i, j}], k;",
        );
        // Powers of two, whose logarithms every device has exactly.
        levels().run(
            "tex.grad.2d",
            "and.b32 l, l, 3; shl.b32 l, l, 23; add.u32 l, l, 0x3d000000; mov.b32 w, l; mov.f32 z, 0f3C000000;\n\
             tex.grad.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}], {w, 0f00000000}, {0f00000000, z};",
        );
        levels().run(
            "txq",
            "txq.width.b32 r0, [t]; txq.level.height.b32 r1, [t], 2; txq.num_mipmap_levels.b32 r2, [t];\n\
             txq.normalized_coords.b32 r3, [t];",
        );
    });
}

#[test]
fn surfaces() {
    gathered("texture::surfaces", || {
        let surfaces = |extent: [u32; 3], layers: u32, channels: u32, bits: u32| {
            let mut input = Input::new();
            let format = Format {
                kind: Kind::Unsigned,
                bits,
                channels,
                normalized: false,
            };
            input.add(format, extent, layers, 1);
            input
        };
        for mode in ["clamp", "zero"] {
            surfaces([9, 6, 1], 1, 1, 32).run(
                &format!("suld.b.2d.b32.{mode}"),
                &format!("shl.b32 i, i, 2; suld.b.2d.b32.{mode} r0, [t, {{i, j}}];"),
            );
            surfaces([5, 4, 3], 1, 4, 32).run(
                &format!("suld.b.3d.v4.b32.{mode}"),
                &format!("shl.b32 i, i, 4; suld.b.3d.v4.b32.{mode} {{r0, r1, r2, r3}}, [t, {{i, j, k, k}}];"),
            );
            surfaces([6, 1, 1], 5, 2, 8).run(
                &format!("suld.b.a1d.v2.b8.{mode}"),
                &format!(
                    "shl.b32 i, i, 1; suld.b.a1d.v2.b8.{mode} {{h0, h1}}, [t, {{j, i}}]; cvt.u32.u16 r0, h0; cvt.u32.u16 r1, h1;"
                ),
            );
            surfaces([6, 3, 1], 5, 1, 16).run(
                &format!("suld.b.a2d.b16.{mode}"),
                &format!(
                    "shl.b32 i, i, 1; suld.b.a2d.b16.{mode} h0, [t, {{k, i, j, j}}]; cvt.u32.u16 r0, h0;"
                ),
            );
        }
        // Threads write places of their own and read them again.
        surfaces([8, 8, 1], 2, 2, 32).run(
            "sust.b.a2d.b64",
            "and.b32 i, tid, 7; shl.b32 i, i, 3; shr.u32 j, tid, 3; and.b32 j, j, 7; shr.u32 k, tid, 6;\n\
             mov.b64 d0, {l, tid}; sust.b.a2d.b64.trap [t, {k, i, j, j}], d0; suld.b.a2d.b64.trap d1, [t, {k, i, j, j}];\n\
             mov.b64 {r0, r1}, d1;",
        );
        surfaces([8, 7, 1], 2, 2, 32).run(
            "suq.2d",
            "suq.width.b32 r0, [t]; suq.height.b32 r1, [t]; suq.array_size.b32 r2, [t];",
        );
        // Of each word one thread's or, where the order does not matter, several ones' reductions.
        for (n, op) in ["add.u32", "min.s32", "max.u32", "and.b32", "or.b32"]
            .iter()
            .enumerate()
        {
            surfaces([16, 8, 1], 1, 1, 32).run(
                &format!("sured.b.{op}"),
                &format!(
                    "and.b32 i, tid, 15; shl.b32 i, i, 2; shr.u32 j, tid, 4; sured.b.{}.2d.{}.{} [t, {{i, j}}], l; suld.b.2d.b32.trap r0, [t, {{i, j}}];",
                    op.split('.').next().unwrap_or_default(),
                    op.split('.').next_back().unwrap_or_default(),
                    ["trap", "zero", "clamp"][n % 3]
                ),
            );
        }
        surfaces([8, 4, 4], 1, 2, 32).run(
            "sured.b.add.3d.u64",
            "and.b32 i, tid, 7; shl.b32 i, i, 3; shr.u32 j, tid, 3; and.b32 j, j, 3; shr.u32 k, tid, 5; mov.b64 d0, {l, tid};\n\
             sured.b.add.3d.u64.zero [t, {i, j, k, k}], d0; suld.b.3d.b64.trap d1, [t, {i, j, k, k}]; mov.b64 {r0, r1}, d1;",
        );
        surfaces([4, 1, 1], 1, 1, 32).run(
            "sured.b.add.1d.zero of all threads",
            "and.b32 i, tid, 7; shl.b32 i, i, 2; sub.u32 i, i, 8; sured.b.add.1d.u32.zero [t, {i}], tid; bar.sync 0; mov.b32 i, 4; suld.b.1d.b32.trap r0, [t, {i}];",
        );
        surfaces([4, 4, 1], 1, 1, 8).run(
            "sust.b.2d.b8.zero",
            "cvt.u16.u32 h0, tid; and.b32 i, tid, 63; sub.u32 i, i, 20; shr.u32 j, tid, 6;\n\
             sust.b.2d.b8.zero [t, {i, j}], h0; suld.b.2d.b8.zero h1, [t, {i, j}]; cvt.u32.u16 r0, h1;",
        );
    });
}
