//! Textures and surfaces by reference, samplers of their own, and the forms of reads and writes that know the format.
//!
//! Every case is as in [`super::texture`], whose input they use.

use super::texture::{gathered, textures, Input, Module, FLOAT};
use ::texture::{AddressMode, Format, Kind};

/// Textures of some formats and modes, for references: one module has all of them.
fn some(extent: [u32; 3], layers: u32, levels: u32) -> Input {
    let mut input = Input::new();
    let bytes = Format {
        kind: Kind::Unsigned,
        bits: 8,
        channels: 4,
        normalized: true,
    };
    let words = Format {
        kind: Kind::Signed,
        bits: 16,
        channels: 2,
        normalized: false,
    };
    for (format, mode, linear) in [
        (FLOAT, AddressMode::Clamp, true),
        (bytes, AddressMode::Mirror, true),
        (words, AddressMode::Wrap, false),
    ] {
        let texture = input.add(format, extent, layers, levels);
        texture.normalized_coordinates = true;
        texture.address_modes = [mode; 3];
        texture.linear = linear;
        texture.level_clamp = [0.0, 9.0];
    }
    let texture = input.add(FLOAT, extent, layers, levels);
    texture.address_modes = [AddressMode::Border; 3];
    texture.normalized_coordinates = levels > 1;
    texture.border = [0.5f32, -1.0, 2.0, 7.25].map(f32::to_bits);
    texture.level_clamp = [0.0, 9.0];
    input
}

const NAMES: [&str; 4] = ["first", "second", "third", "fourth"];

/// An instruction with each reference in the place of `image`: block n has the nth.
fn by_block(text: &str) -> String {
    let mut all = String::from(".reg .pred is;\n");
    for (n, name) in NAMES.iter().enumerate() {
        all += &format!(
            "setp.ne.u32 is, block, {n};\n@is bra after_{name};\n{}\nafter_{name}:\n",
            text.replace("image", name)
        );
    }
    all
}

fn run_references(input: Input, kind: &str, name: &str, text: &str) {
    let declarations: String = NAMES
        .iter()
        .map(|name| format!(".global .{kind} {name};\n"))
        .collect();
    let module = Module {
        declarations: &declarations,
        references: &NAMES,
        ..Module::default()
    };
    input.run_in(name, &module, &by_block(text));
}

#[test]
fn texture_references() {
    gathered("reference::texture_references", || {
        run_references(
            some([7, 5, 1], 1, 1),
            "texref",
            "tex.2d by reference",
            "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [image, {x, y}];",
        );
        run_references(
            some([6, 5, 4], 1, 1),
            "texref",
            "tex.3d.s32 by reference",
            "tex.3d.v4.u32.s32 {r0, r1, r2, r3}, [image, {i, j, k, k}];",
        );
        run_references(
            some([9, 1, 1], 1, 1),
            "texref",
            "tex.1d by reference in a register",
            "mov.u64 a, image; tex.1d.v4.f32.f32 {r0, r1, r2, r3}, [a, {x}];",
        );
        run_references(
            some([8, 8, 1], 3, 4),
            "texref",
            "tex.level.a2d by reference",
            "tex.level.a2d.v4.f32.f32 {r0, r1, r2, r3}, [image, {k, x, y, y}], z;",
        );
        let mut input = Input::new();
        for _ in 0..NAMES.len() {
            input.add(FLOAT, [7, 5, 1], 1, 1);
        }
        run_references(
            input,
            "texref",
            "tld4 by reference",
            "tld4.g.2d.v4.f32.f32 {r0, r1, r2, r3}, [image, {x, y}];",
        );
    });
}

#[test]
fn surface_references() {
    gathered("reference::surface_references", || {
        let surfaces = || {
            let mut input = Input::new();
            for _ in 0..NAMES.len() {
                let format = Format {
                    kind: Kind::Unsigned,
                    bits: 32,
                    channels: 1,
                    normalized: false,
                };
                input.add(format, [16, 8, 1], 1, 1);
            }
            input
        };
        run_references(
            surfaces(),
            "surfref",
            "suld.b and sust.b by reference",
            "and.b32 i, tid, 15; shl.b32 i, i, 2; shr.u32 j, tid, 4; suld.b.2d.b32.trap r1, [image, {i, j}];\n\
             sust.b.2d.b32.trap [image, {i, j}], l; suld.b.2d.b32.trap r0, [image, {i, j}];",
        );
        run_references(
            surfaces(),
            "surfref",
            "sured.b by reference",
            "and.b32 i, tid, 15; shl.b32 i, i, 2; shr.u32 j, tid, 4;\n\
             sured.b.min.2d.u32.trap [image, {i, j}], l; suld.b.2d.b32.trap r0, [image, {i, j}];",
        );
    });
}

#[test]
fn samplers_of_their_own() {
    gathered("reference::samplers_of_their_own", || {
        for (number, fields) in [
            "addr_mode_0 = clamp_to_border, addr_mode_1 = mirror, filter_mode = linear",
            "addr_mode_0 = wrap, addr_mode_1 = clamp_to_edge, filter_mode = nearest, force_unnormalized_coords = 1",
        ]
        .iter()
        .enumerate()
        {
            let declarations = format!(
                ".global .texref image;\n.global .samplerref how = {{ {fields} }};"
            );
            let module = Module {
                mode: ", texmode_independent",
                declarations: &declarations,
                references: &["image"],
            };
            for (name, text) in [
                ("tex.2d", "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [image, how, {x, y}];"),
                ("tex.1d", "tex.1d.v4.f32.f32 {r0, r1, r2, r3}, [image, how, {x}];"),
                ("tex.2d.s32", "tex.2d.v4.f32.s32 {r0, r1, r2, r3}, [image, how, {i, j}];"),
                ("tld4.b", "tld4.b.2d.v4.f32.f32 {r0, r1, r2, r3}, [image, how, {x, y}];"),
                (
                    "txq",
                    "txq.addr_mode_0.b32 r0, [how]; txq.filter_mode.b32 r1, [how]; txq.force_unnormalized_coords.b32 r2, [how];\n\
                     txq.addr_mode_1.b32 r3, [how]; tex.2d.v4.f32.s32 {x, y, z, w}, [image, how, {i, j}];",
                ),
            ] {
                let mut input = Input::new();
                let height = if name == "tex.1d" { 1 } else { 5 };
                let texture = input.add(FLOAT, [7, height, 1], 1, 1);
                texture.normalized_coordinates = true;
                // None of this counts.
                texture.linear = number == 1;
                texture.address_modes = [AddressMode::Mirror; 3];
                texture.border = [1f32, 2.0, 3.0, 4.0].map(f32::to_bits);
                input.run_in(&format!("{name} with sampler {number}"), &module, text);
            }
        }
    });
}

#[test]
fn offsets_in_texels() {
    gathered("reference::offsets_in_texels", || {
        textures([7, 5, 1], 1).run_in(
            "tex.2d with an offset",
            &Module::default(),
            "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}], {3, -2};",
        );
        textures([6, 5, 4], 1).run_in(
            "tex.3d with an offset",
            &Module::default(),
            "tex.3d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y, z, z}], {-1, 7, 2, 0};",
        );
        textures([7, 5, 1], 1).run_in(
            "tex.2d.s32 with an offset",
            &Module::default(),
            "tex.2d.v4.s32.s32 {r0, r1, r2, r3}, [t, {i, j}], {1, -1};",
        );
        let mut input = Input::new();
        input.add(FLOAT, [7, 5, 1], 1, 1);
        input.run_in(
            "tld4.r with an offset",
            &Module::default(),
            "tld4.r.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}], {-3, 1};",
        );
    });
}

#[test]
fn half_precision_results() {
    gathered("reference::half_precision_results", || {
        let exact = |mut input: Input| {
            // A last bit of an interpolated number may be another half.
            input
                .textures
                .retain(|texture| !texture.linear && texture.format.reads_float());
            input
        };
        exact(textures([7, 5, 1], 1)).run_in(
            "tex.2d.v2.f16x2",
            &Module::default(),
            "tex.2d.v2.f16x2.f32 {r0, r1}, [t, {x, y}];",
        );
        exact(textures([6, 5, 4], 1)).run_in(
            "tex.3d.v4.f16.s32",
            &Module::default(),
            "tex.3d.v4.f16.s32 {h0, h1, h2, h3}, [t, {i, j, k, k}]; mov.b32 r0, {h0, h1}; mov.b32 r1, {h2, h3};",
        );
        let mut input = Input::new();
        let texture = input.add(FLOAT, [16, 8, 1], 1, 4);
        texture.normalized_coordinates = true;
        texture.level_clamp = [0.0, 9.0];
        input.run_in(
            "tex.level.2d.v2.f16x2",
            &Module::default(),
            "tex.level.2d.v2.f16x2.f32 {r0, r1}, [t, {x, y}], z;",
        );
    });
}

#[test]
fn srgb() {
    gathered("reference::srgb", || {
        let mut input = Input::new();
        for linear in [false, true] {
            for channels in [1, 2, 4] {
                let format = Format {
                    kind: Kind::Unsigned,
                    bits: 8,
                    channels,
                    normalized: true,
                };
                let texture = input.add(format, [7, 5, 1], 1, 1);
                texture.srgb = true;
                texture.linear = linear;
                texture.normalized_coordinates = true;
                texture.address_modes = [AddressMode::Border; 3];
                texture.border = [0.5f32, 0.25, 0.75, 0.125].map(f32::to_bits);
            }
        }
        input.run_in(
            "tex.2d of sRGB",
            &Module::default(),
            "tex.2d.v4.f32.f32 {r0, r1, r2, r3}, [t, {x, y}];",
        );
    });
}

/// Surfaces of every format.
fn surfaces(extent: [u32; 3], layers: u32) -> Input {
    let mut input = Input::new();
    for format in super::texture::formats() {
        // Those that CUDA always reads as numbers up to 1 are formats of their own.
        if !format.normalized {
            input.add(format, extent, layers, 1);
        }
    }
    input
}

#[test]
fn formatted_stores() {
    gathered("reference::formatted_stores", || {
        // Each thread stores numbers and integers in one place, whatever the format is.
        for (name, store) in [
            (
                "sust.p.2d.v4",
                "sust.p.2d.v4.b32.trap [t, {i, j}], {x, l, tid, w};",
            ),
            (
                "sust.p.2d.v2",
                "sub.u32 i, i, 2; sust.p.2d.v2.b32.zero [t, {i, j}], {l, y};",
            ),
            // Several threads store the same.
            (
                "sust.p.2d",
                "sub.u32 i, i, 3; sust.p.2d.b32.clamp [t, {i, j}], j;",
            ),
        ] {
            // What became of it is read as bytes of the row's parts, and a word of each texel, or several.
            let text = format!(
                "and.b32 i, tid, 15; shr.u32 j, tid, 4; mov.u32 k, i;\n{store}\nbar.sync 0;\n\
                 suld.b.2d.b8.zero h0, [t, {{k, j}}]; cvt.u32.u16 r0, h0;\n\
                 add.u32 i, k, 16; suld.b.2d.b8.zero h0, [t, {{i, j}}]; cvt.u32.u16 r1, h0;\n\
                 add.u32 i, k, 32; suld.b.2d.b8.zero h0, [t, {{i, j}}]; cvt.u32.u16 r2, h0;\n\
                 shl.b32 i, k, 4; suld.b.2d.b32.zero r3, [t, {{i, j}}];"
            );
            surfaces([16, 8, 1], 1).run_in(name, &Module::default(), &text);
        }
        // Integers that stand for numbers up to 1: values beyond, and not a number.
        let mut input = Input::new();
        for format in super::texture::formats() {
            if format.normalized {
                input.add(format, [16, 8, 1], 2, 1);
            }
        }
        input.run_in(
            "sust.p of numbers up to 1",
            &Module::default(),
            "and.b32 i, tid, 15; shr.u32 j, tid, 4; and.b32 k, tid, 1; sust.p.a2d.v4.b32.trap [t, {k, i, j, j}], {x, y, z, w};\n\
             bar.sync 0; and.b32 l, tid, 15; suld.b.a2d.b8.zero h0, [t, {k, l, j, j}]; cvt.u32.u16 r0, h0;\n\
             shl.b32 i, l, 1; suld.b.a2d.b16.zero h0, [t, {k, i, j, j}]; cvt.u32.u16 r1, h0;\n\
             shl.b32 i, l, 2; suld.b.a2d.b32.zero r2, [t, {k, i, j, j}]; shl.b32 i, l, 3; suld.b.a2d.b32.zero r3, [t, {k, i, j, j}];",
        );
        surfaces([8, 4, 4], 1).run_in(
            "sust.p.3d",
            &Module::default(),
            "and.b32 i, tid, 7; shr.u32 j, tid, 3; and.b32 j, j, 3; shr.u32 k, tid, 5; sust.p.3d.v4.b32.trap [t, {i, j, k, k}], {y, x, l, tid};\n\
             bar.sync 0; shl.b32 i, i, 2; suld.b.3d.b32.zero r0, [t, {i, j, k, k}]; add.u32 i, i, 32; suld.b.3d.b32.zero r1, [t, {i, j, k, k}];",
        );
    });
}

#[test]
fn formatted_reductions() {
    gathered("reference::formatted_reductions", || {
        let words = |channels: u32| {
            let mut input = Input::new();
            for kind in [Kind::Unsigned, Kind::Signed] {
                let format = Format {
                    kind,
                    bits: 32,
                    channels,
                    normalized: false,
                };
                input.add(format, [16, 8, 1], 1, 1);
            }
            input
        };
        for (op, mode) in [
            ("add", "trap"),
            ("min", "zero"),
            ("max", "clamp"),
            ("and", "trap"),
            ("or", "zero"),
        ] {
            words(1).run_in(
                &format!("sured.p.{op}"),
                &Module::default(),
                &format!(
                    "and.b32 i, tid, 15; shr.u32 j, tid, 4; sured.p.{op}.2d.b32.{mode} [t, {{i, j}}], l;\n\
                     shl.b32 i, i, 2; suld.b.2d.b32.trap r0, [t, {{i, j}}];"
                ),
            );
        }
        for op in ["min", "max"] {
            words(2).run_in(
                &format!("sured.p.{op}.b64"),
                &Module::default(),
                &format!(
                    "and.b32 i, tid, 15; shr.u32 j, tid, 4; mov.b64 d0, {{tid, l}}; sured.p.{op}.2d.b64.zero [t, {{i, j}}], d0;\n\
                     shl.b32 i, i, 3; suld.b.2d.b64.trap d1, [t, {{i, j}}]; mov.b64 {{r0, r1}}, d1;"
                ),
            );
        }
    });
}

#[test]
fn queries() {
    gathered("reference::queries", || {
        textures([7, 5, 1], 1).run_in(
            "txq of formats and samplers",
            &Module::default(),
            "txq.channel_data_type.b32 r0, [t]; txq.channel_order.b32 r1, [t]; txq.filter_mode.b32 r2, [t];\n\
             txq.addr_mode_0.b32 r3, [t]; txq.addr_mode_1.b32 i, [t]; txq.addr_mode_2.b32 j, [t]; txq.num_samples.b32 k, [t];\n\
             shl.b32 i, i, 4; shl.b32 j, j, 8; shl.b32 k, k, 12; or.b32 r3, r3, i; or.b32 r3, r3, j; or.b32 r3, r3, k;",
        );
        surfaces([7, 5, 1], 1).run_in(
            "suq of formats",
            &Module::default(),
            "suq.channel_data_type.b32 r0, [t]; suq.channel_order.b32 r1, [t]; suq.memory_layout.b32 r2, [t];",
        );
        let kinds = ".reg .pred p, q, s; istypep.texref p, t; istypep.samplerref q, t; istypep.surfref s, t;\n\
                     selp.u32 r0, 1, 2, p; selp.u32 r1, 1, 2, q; selp.u32 r2, 1, 2, s;";
        let mut input = Input::new();
        input.add(FLOAT, [7, 5, 1], 1, 1);
        input.run_in(
            "istypep of a texture",
            &Module::default(),
            &format!("{kinds} txq.width.b32 r3, [t];"),
        );
        let mut input = Input::new();
        input.add(FLOAT, [7, 5, 1], 1, 1);
        input.run_in(
            "istypep of a surface",
            &Module::default(),
            &format!("{kinds} suq.width.b32 r3, [t];"),
        );
    });
}
