//! mma, wmma, ldmatrix, stmatrix and movmatrix. Elements are small integers, whose products and sums are exact in every
//! order of addition.

use crate::known::known_differences;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

const HEAD: &str = ".version 8.8\n.target sm_90\n.address_size 64\n\
    .visible .entry k(.param .u64 in, .param .u64 out) {\n";

/// A 32-bit word of elements of a type; doubles take two.
fn words(ty: &str, random: &mut Random) -> Vec<u32> {
    fn small(random: &mut Random, span: u64) -> i32 {
        (random.bits() % span) as i32 - (span / 2) as i32
    }
    let half = |v: i32| -> u32 {
        // Small integers as f16: by way of single precision.
        let bits = (v as f32).to_bits();
        if v == 0 {
            return 0;
        }
        (bits >> 16 & 0x8000) | (((bits >> 23 & 0xff) - 112) << 10) | (bits >> 13 & 0x3ff)
    };
    vec![match ty {
        "f16" => half(small(random, 7)) | half(small(random, 7)) << 16,
        "bf16" => {
            (small(random, 7) as f32).to_bits() >> 16
                | (small(random, 7) as f32).to_bits() & 0xffff_0000
        }
        "f32" | "tf32" => (small(random, 9) as f32).to_bits(),
        "f64" => {
            let bits = f64::from(small(random, 1000)).to_bits();
            return vec![bits as u32, (bits >> 32) as u32];
        }
        "e4m3" => [0x38, 0xb8, 0x40, 0xc0, 0x00, 0x80, 0x44, 0x30]
            .iter()
            .cycle()
            .skip(random.below(8))
            .step_by(1 + random.below(3))
            .take(4)
            .fold(0, |word, &byte| word << 8 | byte),
        "e5m2" => [0x3c, 0xbc, 0x40, 0xc0, 0x00, 0x80, 0x42, 0x38]
            .iter()
            .cycle()
            .skip(random.below(8))
            .step_by(1 + random.below(3))
            .take(4)
            .fold(0, |word, &byte| word << 8 | byte),
        _ => random.bits() as u32,
    }]
}

fn list(count: usize, letter: char) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("{letter}{n}")).collect();
    format!("{{{}}}", names.join(", "))
}

/// One mma of a warp; each lane loads its registers and stores its results.
fn mma(shape: &str, [d, a, b, c]: [&str; 4], [na, nb, nc, nd]: [usize; 4], how: [&str; 3]) -> Case {
    let [layout, before, after] = how;
    let name = format!("mma.sync.aligned.{shape}.{layout}{before}.{d}.{a}.{b}.{c}{after}");
    let mut random = Random(11);
    let mut input = Vec::new();
    let size = |ty: &str| if ty == "f64" { 8 } else { 4 };
    for _ in 0..32 {
        for (ty, count) in [(a, na), (b, nb), (c, nc)] {
            for _ in 0..count {
                input.extend(words(ty, &mut random).iter().flat_map(|w| w.to_le_bytes()));
            }
        }
    }
    let stride = na * size(a) + nb * size(b) + nc * size(c);
    let out = nd * size(d);
    let bits = |ty| 8 * size(ty);
    let mut text = format!(
        "{HEAD}.reg .b{} a<8>, b<8>;\n.reg .b{} c<8>;\n.reg .b{} d<8>;\n.reg .b32 tid;\n.reg .b64 from, to, i;\n\
         ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x;\n\
         mul.wide.u32 i, tid, {stride}; add.u64 from, from, i; mul.wide.u32 i, tid, {out}; add.u64 to, to, i;\n",
        bits(a),
        bits(c),
        bits(d)
    );
    let mut at = 0;
    for (ty, count, letter) in [(a, na, 'a'), (b, nb, 'b'), (c, nc, 'c')] {
        for n in 0..count {
            let _ = writeln!(text, "ld.global.b{} {letter}{n}, [from+{at}];", bits(ty));
            at += size(ty);
        }
    }
    let _ = writeln!(
        text,
        "{name} {}, {}, {}, {};",
        list(nd, 'd'),
        list(na, 'a'),
        list(nb, 'b'),
        list(nc, 'c')
    );
    for n in 0..nd {
        let _ = writeln!(text, "st.global.b{} [to+{}], d{n};", bits(d), n * size(d));
    }
    text.push_str("ret;\n}\n");
    Case {
        name,
        text,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; 32 * out],
        references: Vec::new(),
    }
}

/// One mma.sp of a warp: as [`mma`], with a word of metadata in each lane.
fn sparse(
    shape: &str,
    [d, a, b, c]: [&str; 4],
    [n, nc, nd]: [usize; 3],
    how: [&str; 3],
    selector: u32,
) -> Case {
    let [ordered, before, after] = how;
    let name = format!(
        "mma.sp{ordered}.sync.aligned.{shape}.row.col{before}.{d}.{a}.{b}.{c}{after}, selector {selector}"
    );
    let mut random = Random(17);
    let mut input = Vec::new();
    for _ in 0..32 {
        for (ty, count) in [(a, n), (b, n), (c, nc)] {
            for _ in 0..count {
                input.extend(words(ty, &mut random).iter().flat_map(|w| w.to_le_bytes()));
            }
        }
        // The places of each chunk's two elements go up; of tf32 the halves of one of two go together.
        let places: u32 = (0..8).fold(0, |word, _| {
            let choices: &[u32] = match a {
                "tf32" => &[0b0100, 0b1110],
                _ => &[0b0100, 0b1000, 0b1100, 0b1001, 0b1101, 0b1110],
            };
            word << 4 | choices[random.below(choices.len())]
        });
        input.extend(places.to_le_bytes());
    }
    let stride = 4 * (2 * n + nc + 1);
    let mut text = format!(
        "{HEAD}.reg .b32 a<4>, b<4>, c<4>, d<4>, e, tid;\n.reg .b64 from, to, i;\n\
         ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x;\n\
         mul.wide.u32 i, tid, {stride}; add.u64 from, from, i; mul.wide.u32 i, tid, {}; add.u64 to, to, i;\n",
        4 * nd
    );
    let mut at = 0;
    for (count, letter) in [(n, 'a'), (n, 'b'), (nc, 'c')] {
        for n in 0..count {
            let _ = writeln!(text, "ld.global.b32 {letter}{n}, [from+{at}];");
            at += 4;
        }
    }
    let _ = writeln!(
        text,
        "ld.global.b32 e, [from+{at}];\nmma.sp{ordered}.sync.aligned.{shape}.row.col{before}.{d}.{a}.{b}.{c}{after} {}, {}, {}, {}, e, {selector};",
        list(nd, 'd'),
        list(n, 'a'),
        list(n, 'b'),
        list(nc, 'c'),
    );
    for n in 0..nd {
        let _ = writeln!(text, "st.global.b32 [to+{}], d{n};", 4 * n);
    }
    text.push_str("ret;\n}\n");
    Case {
        name,
        text,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; 32 * 4 * nd],
        references: Vec::new(),
    }
}

#[test]
fn sparse_products() {
    let mut cases = Vec::new();
    let plain = ["", "", ""];
    for (shape, n, selectors) in [("m16n8k16", 2, 4), ("m16n8k32", 4, 2)] {
        for selector in 0..selectors {
            for (types, nc) in [
                (["f32", "f16", "f16", "f32"], 4),
                (["f16", "f16", "f16", "f16"], 2),
                (["f32", "bf16", "bf16", "f32"], 4),
            ] {
                cases.push(sparse(shape, types, [n, nc, nc], plain, selector));
            }
        }
    }
    for (shape, n, selectors) in [("m16n8k8", 2, 4), ("m16n8k16", 4, 2)] {
        for selector in 0..selectors {
            cases.push(sparse(
                shape,
                ["f32", "tf32", "tf32", "f32"],
                [n, 4, 4],
                plain,
                selector,
            ));
        }
    }
    for (bits, shapes) in [
        (8, [("m16n8k32", 2, 2), ("m16n8k64", 4, 1)]),
        (4, [("m16n8k64", 2, 2), ("m16n8k128", 4, 1)]),
    ] {
        for (shape, n, selectors) in shapes {
            for selector in 0..selectors {
                for signs in ["ss", "su", "us", "uu"] {
                    let (a, b) = (
                        format!("{}{bits}", &signs[..1]),
                        format!("{}{bits}", &signs[1..]),
                    );
                    let types = ["s32", &*a, &*b, "s32"];
                    let how = if signs == "ss" {
                        plain
                    } else {
                        ["", ".satfinite", ""]
                    };
                    cases.push(sparse(shape, types, [n, 4, 4], how, selector));
                }
            }
        }
    }
    for (a, b) in [
        ("e4m3", "e5m2"),
        ("e5m2", "e4m3"),
        ("e4m3", "e4m3"),
        ("e5m2", "e5m2"),
    ] {
        cases.push(sparse(
            "m16n8k64",
            ["f32", a, b, "f32"],
            [4, 4, 4],
            plain,
            0,
        ));
    }
    let ordered = ["::ordered_metadata", "", ""];
    cases.push(sparse(
        "m16n8k32",
        ["f32", "f16", "f16", "f32"],
        [4, 4, 4],
        ordered,
        1,
    ));
    cases.push(sparse(
        "m16n8k64",
        ["s32", "s8", "s8", "s32"],
        [4, 4, 4],
        ordered,
        0,
    ));
    isolated("matrix::sparse_products", || {
        Bench::open().kernels(&cases, known_differences("matrix::sparse_products"));
    });
}

#[test]
fn products() {
    let mut cases = Vec::new();
    let plain = ["row.col", "", ""];
    for (shape, na, nb) in [("m16n8k16", 4, 2), ("m16n8k8", 2, 1)] {
        cases.push(mma(
            shape,
            ["f32", "f16", "f16", "f32"],
            [na, nb, 4, 4],
            plain,
        ));
        cases.push(mma(
            shape,
            ["f16", "f16", "f16", "f16"],
            [na, nb, 2, 2],
            plain,
        ));
        cases.push(mma(
            shape,
            ["f32", "bf16", "bf16", "f32"],
            [na, nb, 4, 4],
            plain,
        ));
    }
    cases.push(mma(
        "m16n8k4",
        ["f32", "tf32", "tf32", "f32"],
        [2, 1, 4, 4],
        plain,
    ));
    cases.push(mma(
        "m16n8k8",
        ["f32", "tf32", "tf32", "f32"],
        [4, 2, 4, 4],
        plain,
    ));
    for (shape, na, nb, nc) in [
        ("m8n8k4", 1, 1, 2),
        ("m16n8k4", 2, 1, 4),
        ("m16n8k8", 4, 2, 4),
        ("m16n8k16", 8, 4, 4),
    ] {
        cases.push(mma(shape, ["f64"; 4], [na, nb, nc, nc], plain));
    }
    for (a, b) in [
        ("e4m3", "e5m2"),
        ("e5m2", "e4m3"),
        ("e4m3", "e4m3"),
        ("e5m2", "e5m2"),
    ] {
        cases.push(mma("m16n8k32", ["f32", a, b, "f32"], [4, 2, 4, 4], plain));
        cases.push(mma("m16n8k16", ["f32", a, b, "f32"], [2, 1, 4, 4], plain));
    }
    for (bits, shapes) in [
        (
            8,
            [
                ("m8n8k16", 1, 1, 2),
                ("m16n8k16", 2, 1, 4),
                ("m16n8k32", 4, 2, 4),
            ],
        ),
        (
            4,
            [
                ("m8n8k32", 1, 1, 2),
                ("m16n8k32", 2, 1, 4),
                ("m16n8k64", 4, 2, 4),
            ],
        ),
    ] {
        for (shape, na, nb, nc) in shapes {
            for signs in ["ss", "su", "us", "uu"] {
                let (a, b) = (
                    format!("{}{bits}", &signs[..1]),
                    format!("{}{bits}", &signs[1..]),
                );
                let types = ["s32", &*a, &*b, "s32"];
                cases.push(mma(shape, types, [na, nb, nc, nc], plain));
                cases.push(mma(
                    shape,
                    types,
                    [na, nb, nc, nc],
                    ["row.col", ".satfinite", ""],
                ));
            }
        }
    }
    for (shape, na, nb, nc) in [
        ("m8n8k128", 1, 1, 2),
        ("m16n8k128", 2, 1, 4),
        ("m16n8k256", 4, 2, 4),
    ] {
        for op in [".xor.popc", ".and.popc"] {
            cases.push(mma(
                shape,
                ["s32", "b1", "b1", "s32"],
                [na, nb, nc, nc],
                ["row.col", "", op],
            ));
        }
    }
    for layout in ["row.col", "row.row", "col.col", "col.row"] {
        for (c, d) in [("f32", "f32"), ("f16", "f16"), ("f16", "f32")] {
            let count = |ty| if ty == "f16" { 4 } else { 8 };
            cases.push(mma(
                "m8n8k4",
                [d, "f16", "f16", c],
                [2, 2, count(c), count(d)],
                [layout, "", ""],
            ));
        }
    }
    isolated("matrix::products", || {
        Bench::open().kernels(&cases, known_differences("matrix::products"));
    });
}

/// wmma: A, B and C loaded from memory, multiplied, stored; and the fragments themselves, as the lanes hold them.
fn wmma(shape: &str, ab: [&str; 2], cd: [&str; 2], layouts: [&str; 3], how: [&str; 2]) -> Case {
    let ([a, b], [c, d], [al, bl, cl]) = (ab, cd, layouts);
    let extents: Vec<usize> = shape
        .split(['m', 'n', 'k'])
        .filter_map(|s| s.parse().ok())
        .collect();
    let [m, n, k] = extents[..] else {
        panic!("{shape}")
    };
    let bits = |ty: &str| match ty {
        "b1" => 1,
        "s4" | "u4" => 4,
        "s8" | "u8" => 8,
        "f16" | "bf16" => 16,
        "f64" => 64,
        _ => 32,
    };
    // Strides beyond the extents, in elements, a multiple of 16 bytes.
    let stride = |ty: &str, rows: usize, columns: usize, layout: &str| {
        let unit = 128 / bits(ty);
        let leading = if layout == "row" { columns } else { rows };
        leading.next_multiple_of(unit) + unit
    };
    let (sa, sb) = (stride(a, m, k, al), stride(b, k, n, bl));
    let (sc, sd) = (stride(c, m, n, cl), stride(d, m, n, cl));
    let bytes = |ty: &str, rows: usize, columns: usize, layout: &str, stride: usize| {
        let lines = if layout == "row" { rows } else { columns };
        (lines * stride * bits(ty)).div_ceil(8).next_multiple_of(32)
    };
    let (ba, bb, bc) = (
        bytes(a, m, k, al, sa),
        bytes(b, k, n, bl, sb),
        bytes(c, m, n, cl, sc),
    );
    let mut random = Random(5);
    let mut input = Vec::new();
    for (ty, size) in [(a, ba), (b, bb), (c, bc)] {
        let end = input.len() + size;
        while input.len() < end {
            input.extend(words(ty, &mut random).iter().flat_map(|w| w.to_le_bytes()));
        }
    }
    let count = |ty: &str, rows: usize, columns: usize, multiplicand: bool| {
        if multiplicand && ty == "f16" {
            8
        } else {
            rows * columns / 32 / (32 / bits(ty)).max(1)
        }
    };
    let (na, nb) = (count(a, m, k, true), count(b, k, n, true));
    let (nc, nd) = (count(c, m, n, false), count(d, m, n, false));
    let register = |ty: &str| if ty == "f64" { 64 } else { 32 };
    let [before, after] = how;
    let types = if a == "f16" {
        format!("{d}.{c}")
    } else {
        format!("{d}.{a}.{b}.{c}")
    };
    let name = format!(
        "wmma.mma{before}.sync.aligned.{al}.{bl}.{shape}{}.{types}{after} {cl}",
        if a == "f64" { ".rn" } else { "" }
    );
    let bd = bytes(d, m, n, cl, sd);
    let lane = (na + nb + nc) * 8;
    let shared = ba.max(bb).max(bc).max(bd);
    let mut text = format!(
        "{HEAD}.shared .align 32 .b8 s[{shared}];\n.reg .b{0} a<8>, b<8>;\n.reg .b{1} c<8>;\n.reg .b{2} d<8>;\n\
         .reg .b32 tid, base, w, at; .reg .pred p;\n.reg .b64 from, to, i, generic;\n\
         ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x; mov.u32 base, s;\n",
        register(a),
        register(c),
        register(d)
    );
    // A from shared memory, B from global memory, C by a generic address of shared memory.
    let fill = |text: &mut String, from: usize, size: usize, label: &str| {
        let _ = write!(
            text,
            "bar.sync 0;\nshl.b32 at, tid, 2;\n{label}: cvt.u64.u32 i, at; add.u64 i, from, i; ld.global.b32 w, [i+{from}];\n\
             add.u32 w, w, 0; {{ .reg .b32 x; add.u32 x, base, at; st.shared.b32 [x], w; }}\n\
             add.u32 at, at, 128; setp.lt.u32 p, at, {size}; @p bra {label};\nbar.sync 0;\n"
        );
    };
    fill(&mut text, 0, ba, "fill_a");
    let _ = writeln!(
        text,
        "wmma.load.a.sync.aligned.{al}.{shape}.shared.{a} {}, [base], {sa};",
        list(na, 'a')
    );
    let _ = writeln!(
        text,
        "wmma.load.b.sync.aligned.{bl}.{shape}.global.{b} {}, [from+{ba}], {sb};",
        list(nb, 'b')
    );
    fill(&mut text, ba + bb, bc, "fill_c");
    let _ = writeln!(
        text,
        "cvt.u64.u32 generic, base; cvta.shared.u64 generic, generic;\n\
         wmma.load.c.sync.aligned.{cl}.{shape}.{c} {}, [generic], {sc};",
        list(nc, 'c')
    );
    let mnemonic = name.split(' ').next().unwrap_or_default();
    let _ = writeln!(
        text,
        "{mnemonic} {}, {}, {}, {};",
        list(nd, 'd'),
        list(na, 'a'),
        list(nb, 'b'),
        list(nc, 'c')
    );
    let _ = writeln!(
        text,
        "wmma.store.d.sync.aligned.{cl}.{shape}.global.{d} [to], {}, {sd};",
        list(nd, 'd')
    );
    let _ = writeln!(text, "mul.wide.u32 i, tid, {lane}; add.u64 to, to, i;");
    let mut at = bd;
    for (ty, count, letter) in [(a, na, 'a'), (b, nb, 'b'), (c, nc, 'c')] {
        for n in 0..count {
            let _ = writeln!(text, "st.global.b{} [to+{at}], {letter}{n};", register(ty));
            at += 8;
        }
    }
    text.push_str("ret;\n}\n");
    Case {
        name,
        text,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; bd + 32 * lane],
        references: Vec::new(),
    }
}

#[test]
fn wmma_products() {
    let mut cases = Vec::new();
    let plain = ["", ""];
    // Each type with each shape, and with another layout each time: the layouts are loads' and stores' affair, which do not
    // depend on the shape.
    const LAYOUTS: [[&str; 3]; 4] = [
        ["row", "col", "row"],
        ["row", "row", "col"],
        ["col", "col", "row"],
        ["col", "row", "col"],
    ];
    const TYPES: [([&str; 2], [&str; 2], [&str; 2]); 6] = [
        (["f16", "f16"], ["f32", "f32"], ["", ""]),
        (["f16", "f16"], ["f16", "f16"], ["", ""]),
        (["f16", "f16"], ["f16", "f32"], ["", ""]),
        (["bf16", "bf16"], ["f32", "f32"], ["", ""]),
        (["s8", "s8"], ["s32", "s32"], ["", ""]),
        (["u8", "u8"], ["s32", "s32"], ["", ".satfinite"]),
    ];
    for (n, shape) in ["m16n16k16", "m32n8k16", "m8n32k16"].iter().enumerate() {
        for (k, &(ab, cd, how)) in TYPES.iter().enumerate() {
            cases.push(wmma(shape, ab, cd, LAYOUTS[(n + k) % LAYOUTS.len()], how));
        }
    }
    for layouts in [["row", "col", "row"], ["col", "row", "col"]] {
        cases.push(wmma(
            "m16n16k8",
            ["tf32", "tf32"],
            ["f32", "f32"],
            layouts,
            plain,
        ));
        cases.push(wmma(
            "m8n8k4",
            ["f64", "f64"],
            ["f64", "f64"],
            layouts,
            plain,
        ));
    }
    for cl in ["row", "col"] {
        let layouts = ["row", "col", cl];
        cases.push(wmma(
            "m8n8k32",
            ["s4", "s4"],
            ["s32", "s32"],
            layouts,
            plain,
        ));
        cases.push(wmma(
            "m8n8k32",
            ["u4", "u4"],
            ["s32", "s32"],
            layouts,
            ["", ".satfinite"],
        ));
        cases.push(wmma(
            "m8n8k128",
            ["b1", "b1"],
            ["s32", "s32"],
            layouts,
            [".xor.popc", ""],
        ));
        cases.push(wmma(
            "m8n8k128",
            ["b1", "b1"],
            ["s32", "s32"],
            layouts,
            [".and.popc", ""],
        ));
    }
    isolated("matrix::wmma_products", || {
        Bench::open().kernels(&cases, known_differences("matrix::wmma_products"));
    });
}

/// ldmatrix of rows in shared memory, movmatrix, and stmatrix back.
fn moves(count: usize, transposed: bool, generic: bool) -> Case {
    let trans = if transposed { ".trans" } else { "" };
    let space = if generic { "" } else { ".shared" };
    let mut random = Random(3);
    let input = (0..32 * 16).map(|_| random.bits() as u8).collect();
    let address = if generic { "wide" } else { "at" };
    let mut text = format!(
        "{HEAD}.shared .align 16 .b8 s[1024];\n.reg .b32 r<4>, m, w<4>, tid, at, base, lane;\n.reg .b64 from, to, i, wide;\n\
         ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x; mov.u32 base, s;\n\
         mul.wide.u32 i, tid, 16; add.u64 from, from, i; shl.b32 at, tid, 4; add.u32 at, at, base;\n\
         ld.global.v4.b32 {{w0, w1, w2, w3}}, [from]; st.shared.v4.b32 [at], {{w0, w1, w2, w3}}; st.shared.v4.b32 [at+512], {{tid, tid, tid, tid}}; bar.sync 0;\n\
         // Rows in another order than lanes.\n\
         mul.lo.u32 lane, tid, 5; and.b32 lane, lane, 31; shl.b32 at, lane, 4; add.u32 at, at, base;\n\
         cvt.u64.u32 wide, at; cvta.shared.u64 wide, wide;\n\
         ldmatrix.sync.aligned.m8n8.x{count}{trans}{space}.b16 {}, [{address}];\n\
         movmatrix.sync.aligned.m8n8.trans.b16 m, r0;\n\
         bar.sync 0;\n\
         stmatrix.sync.aligned.m8n8.x{count}{trans}{space}.b16 [{address}+512], {};\nbar.sync 0;\n\
         mul.wide.u32 i, tid, 64; add.u64 to, to, i;\nshl.b32 at, tid, 4; add.u32 at, at, base;\n\
         ld.shared.v4.b32 {{w0, w1, w2, w3}}, [at+512]; st.global.v4.b32 [to], {{w0, w1, w2, w3}}; st.global.b32 [to+16], m;\n",
        list(count, 'r'),
        list(count, 'r'),
    );
    for n in 0..count {
        let _ = writeln!(text, "st.global.b32 [to+{}], r{n};", 32 + 4 * n);
    }
    text.push_str("ret;\n}\n");
    Case {
        name: format!("ldmatrix x{count}{trans}{space}"),
        text,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; 32 * 64],
        references: Vec::new(),
    }
}

#[test]
fn matrix_moves() {
    let mut cases = Vec::new();
    for count in [1, 2, 4] {
        for transposed in [false, true] {
            for generic in [false, true] {
                cases.push(moves(count, transposed, generic));
            }
        }
    }
    isolated("matrix::matrix_moves", || {
        Bench::open().kernels(&cases, known_differences("matrix::matrix_moves"));
    });
}
