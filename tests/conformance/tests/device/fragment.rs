//! Matrix instructions: mma, ldmatrix, stmatrix and movmatrix. The numbers are small whole ones, so that sums are exact in every
//! order.

use crate::known::known_differences;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

/// Threads: three warps.
const THREADS: usize = 96;

/// What the input words hold.
#[derive(Clone, Copy)]
enum Input {
    Halves,
    Brains,
    Singles,
    Bytes,
}

impl Input {
    fn word(self, random: &mut Random) -> u32 {
        let mut small = || random.below(17) as i32 - 8;
        let half = |v: i32| ptx_reference::semantics::softfloat::F16.from_f64(f64::from(v)) as u32;
        match self {
            Input::Halves => half(small()) | half(small()) << 16,
            Input::Brains => {
                let mut brain = || (small() as f32).to_bits() >> 16;
                brain() | brain() << 16
            }
            Input::Singles => (small() as f32).to_bits(),
            Input::Bytes => random.bits() as u32,
        }
    }
}

/// A kernel in which each thread has the input words `w0` to `w15` and results `d0` to `d7`. `lane` and `tid` are set; each warp has
/// 512 bytes of shared memory at `base`, and its words `w0` to `w3` are there, row by row.
fn case(name: &str, input: Input, text: &str) -> Case {
    let mut random = Random(11);
    let bytes = (0..THREADS * 16).flat_map(|_| input.word(&mut random).to_le_bytes());
    Case {
        name: name.to_owned(),
        text: format!(
            ".version 8.3\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 in, .param .u64 out) {{\n\
             .shared .align 16 .b8 rows[1536];\n\
             .reg .b64 from, to, i, g; .reg .b32 tid, lane, warp, base, mine, row, w<16>, d<8>, t<8>, e<8>; .reg .pred p;\n\
             ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x; and.b32 lane, tid, 31; shr.u32 warp, tid, 5;\n\
             mul.wide.u32 i, tid, 64; add.u64 from, from, i; mul.wide.u32 i, tid, 32; add.u64 to, to, i;\n\
             ld.global.v4.b32 {{w0, w1, w2, w3}}, [from]; ld.global.v4.b32 {{w4, w5, w6, w7}}, [from+16];\n\
             ld.global.v4.b32 {{w8, w9, w10, w11}}, [from+32]; ld.global.v4.b32 {{w12, w13, w14, w15}}, [from+48];\n\
             mov.b32 d0, 0; mov.b32 d1, 0; mov.b32 d2, 0; mov.b32 d3, 0; mov.b32 d4, 0; mov.b32 d5, 0; mov.b32 d6, 0; mov.b32 d7, 0;\n\
             mov.u32 base, rows; shl.b32 t0, warp, 9; add.u32 base, base, t0; shl.b32 mine, lane, 4; add.u32 mine, base, mine;\n\
             st.shared.v4.b32 [mine], {{w0, w1, w2, w3}}; bar.sync 0;\n\
             mad.lo.u32 row, lane, 5, 3; and.b32 row, row, 31; shl.b32 row, row, 4; add.u32 row, base, row;\n\
             {text}\n\
             st.global.v4.b32 [to], {{d0, d1, d2, d3}}; st.global.v4.b32 [to+16], {{d4, d5, d6, d7}};\nret;\n}}\n"
        ),
        grid: [2, 1, 1],
        block: [THREADS as u32, 1, 1],
        dynamic_shared: 0,
        input: bytes.collect(),
        output: vec![0; THREADS * 32],
        references: Vec::new(),
    }
}

fn products() -> Vec<Case> {
    let mut cases = Vec::new();
    let a4 = "{w0, w1, w2, w3}";
    for (name, input, a, b) in [
        (
            "m16n8k16.row.col.f32.f16.f16.f32",
            Input::Halves,
            a4,
            "{w4, w5}",
        ),
        (
            "m16n8k8.row.col.f32.f16.f16.f32",
            Input::Halves,
            "{w0, w1}",
            "{w4}",
        ),
        (
            "m16n8k16.row.col.f32.bf16.bf16.f32",
            Input::Brains,
            a4,
            "{w4, w5}",
        ),
        (
            "m16n8k8.row.col.f32.tf32.tf32.f32",
            Input::Singles,
            a4,
            "{w4, w5}",
        ),
        (
            "m16n8k32.row.col.s32.s8.s8.s32",
            Input::Bytes,
            a4,
            "{w4, w5}",
        ),
        (
            "m16n8k32.row.col.s32.u8.s8.s32",
            Input::Bytes,
            a4,
            "{w4, w5}",
        ),
        (
            "m16n8k16.row.col.s32.s8.s8.s32",
            Input::Bytes,
            "{w0, w1}",
            "{w4}",
        ),
    ] {
        let sum = if matches!(input, Input::Bytes) {
            "{w8, w9, w10, w11}"
        } else {
            "{d4, d5, d6, d7}"
        };
        cases.push(case(
            name,
            input,
            &format!("mma.sync.aligned.{name} {{d0, d1, d2, d3}}, {a}, {b}, {sum};"),
        ));
        // Several in a row: the same A, the same B, one that is made of the result of another.
        if a == a4 {
            cases.push(case(
                &format!("{name}, four"),
                input,
                &format!(
                    "mma.sync.aligned.{name} {{d0, d1, d2, d3}}, {a}, {b}, {{d0, d1, d2, d3}};\n\
                     mma.sync.aligned.{name} {{d4, d5, d6, d7}}, {a}, {{w6, w7}}, {{d4, d5, d6, d7}};\n\
                     mma.sync.aligned.{name} {{d0, d1, d2, d3}}, {{w12, w13, w14, w15}}, {b}, {{d0, d1, d2, d3}};\n\
                     mov.b32 w4, w9; shfl.sync.bfly.b32 t1, w4, 16, 31, -1; mov.b32 w4, t1;\n\
                     mma.sync.aligned.{name} {{d4, d5, d6, d7}}, {a}, {b}, {{d4, d5, d6, d7}};"
                ),
            ));
        }
    }
    cases.push(case(
        "m16n8k16.row.col.f16.f16.f16.f16",
        Input::Halves,
        "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {d0, d1}, {w0, w1, w2, w3}, {w4, w5}, {w8, w9};",
    ));
    // Within branches that one warp takes, and a loop of different length for each.
    cases.push(case(
        "a product of one warp",
        Input::Halves,
        "setp.eq.u32 p, warp, 1; @!p bra gone;\n\
         mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d0, d1, d2, d3}, {w0, w1, w2, w3}, {w4, w5}, {d0, d1, d2, d3};\n\
         gone: bar.sync 0; shfl.sync.bfly.b32 d4, d0, 8, 31, -1;",
    ));
    cases.push(case(
        "products in loops of different length",
        Input::Halves,
        "mov.b32 t1, 0;\n\
         again: mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d0, d1, d2, d3}, {w0, w1, w2, w3}, {w4, w5}, {d0, d1, d2, d3};\n\
         add.u32 t1, t1, 1; setp.le.u32 p, t1, warp; @p bra again;\n\
         bar.sync 0; shfl.sync.bfly.b32 d4, d0, 8, 31, -1;",
    ));
    cases
}

fn moves() -> Vec<Case> {
    let mut cases = Vec::new();
    for trans in ["", ".trans"] {
        for (count, parts) in [(1, "{d0}"), (2, "{d0, d1}"), (4, "{d0, d1, d2, d3}")] {
            // The addresses of the lanes that have no row lead nowhere.
            let wrong = format!(
                "setp.ge.u32 p, lane, {}; @p mov.b32 row, 0xfffff0;",
                8 * count
            );
            cases.push(case(
                &format!("ldmatrix.x{count}{trans}"),
                Input::Bytes,
                &format!(
                    "{wrong} ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {parts}, [row];"
                ),
            ));
            cases.push(case(
                &format!("stmatrix.x{count}{trans}"),
                Input::Bytes,
                &format!(
                    "mov.b32 d0, w4; mov.b32 d1, w5; mov.b32 d2, w6; mov.b32 d3, w7; {wrong}\n\
                     stmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 [row], {parts}; bar.warp.sync -1; ld.shared.v4.b32 {{d4, d5, d6, d7}}, [mine];"
                ),
            ));
        }
        cases.push(case(
            &format!("ldmatrix{trans} by generic addresses"),
            Input::Bytes,
            &format!(
                "cvt.u64.u32 g, row; cvta.shared.u64 g, g; ldmatrix.sync.aligned.m8n8.x4{trans}.b16 {{d0, d1, d2, d3}}, [g];\n\
                 xor.b32 row, row, 16; ldmatrix.sync.aligned.m8n8.x2{trans}.shared.b16 {{d4, d5}}, [row]; ldmatrix.sync.aligned.m8n8.x1{trans}.shared.b16 {{d6}}, [row];"
            ),
        ));
    }
    cases.push(case(
        "movmatrix",
        Input::Bytes,
        "movmatrix.sync.aligned.m8n8.trans.b16 d0, w0; movmatrix.sync.aligned.m8n8.trans.b16 d1, w1;",
    ));
    cases
}

/// Products whose B, or A, is what ldmatrix loads just before.
fn loaded() -> Vec<Case> {
    let mut cases = Vec::new();
    let four = "ldmatrix.sync.aligned.m8n8.x4{trans}.shared.b16 {t0, t1, t2, t3}, [row];";
    let two = "ldmatrix.sync.aligned.m8n8.x2{trans}.shared.b16 {t0, t1}, [row];";
    let a4 = "{w4, w5, w6, w7}";
    for (shape, input) in [
        ("m16n8k16.row.col.f32.f16.f16.f32", Input::Halves),
        ("m16n8k16.row.col.f32.bf16.bf16.f32", Input::Brains),
        ("m16n8k8.row.col.f32.tf32.tf32.f32", Input::Singles),
        ("m16n8k32.row.col.s32.s8.u8.s32", Input::Bytes),
        ("m16n8k32.row.col.s32.s8.s8.s32", Input::Bytes),
    ] {
        for trans in ["", ".trans"] {
            // Halves of single-precision numbers that change places make numbers that are not small and whole.
            if matches!(input, Input::Singles) && trans == ".trans" {
                continue;
            }
            let product = |d: &str, a: &str, b: &str| {
                format!("mma.sync.aligned.{shape} {{{d}}}, {a}, {{{b}}}, {{{d}}};\n")
            };
            let (low, high) = ("d0, d1, d2, d3", "d4, d5, d6, d7");
            let mut add = |name: &str, text: String| {
                cases.push(case(
                    &format!("{name} of {shape} by ldmatrix{trans}"),
                    input,
                    &text.replace("{trans}", trans),
                ));
            };
            add(
                "two B",
                [
                    four.to_owned(),
                    product(low, a4, "t0, t2"),
                    product(high, a4, "t1, t3"),
                ]
                .join("\n"),
            );
            add(
                "one B twice, its register used again",
                [
                    two.to_owned(),
                    product(low, a4, "t0, t1"),
                    product(low, "{w8, w9, w10, w11}", "t1, t0"),
                    "mov.b32 d4, t0; xor.b32 d5, t1, t0;".to_owned(),
                ]
                .join("\n"),
            );
            add(
                "A and B",
                [four.to_owned(), product(low, "{t0, t1, t2, t3}", "t3, t1")].join("\n"),
            );
            // Registers that only products read; in the other order; and by addresses of which nothing is known.
            let equal = "mov.u32 e0, rows; shl.b32 e1, warp, 9; add.u32 e2, e0, e1; and.b32 e3, lane, 15; shl.b32 e4, e3, 5; \
                         and.b32 e5, lane, 16; add.u32 e6, e4, e5; add.u32 e7, e2, e6;";
            add(
                "A, and two B, of rows at equal distances,",
                [
                    equal.to_owned(),
                    four.replace("row", "e7"),
                    two.replace("row", "e7").replace("t0, t1", "t4, t5"),
                    product(low, "{t0, t1, t2, t3}", "w8, w9"),
                    product(high, a4, "t1, t3"),
                    product(high, a4, "t0, t2"),
                    product(high, a4, "t4, t5"),
                ]
                .join("\n"),
            );
            let odd = "shfl.sync.bfly.b32 row, row, 1, 31, -1;";
            add(
                "A, and A in another order,",
                [
                    four.to_owned(),
                    product(low, "{t0, t1, t2, t3}", "w8, w9"),
                    "xor.b32 row, row, 16;".to_owned(),
                    four.replace("t0, t1, t2, t3", "t4, t5, t6, t7"),
                    product(low, "{t4, t6, t5, t7}", "w8, w9"),
                ]
                .join("\n"),
            );
            add(
                "B side by side, with rows in disorder,",
                [
                    odd.to_owned(),
                    four.to_owned(),
                    product(low, a4, "t0, t1"),
                    product(high, a4, "t2, t3"),
                ]
                .join("\n"),
            );
            add(
                "A and B, both with rows in disorder,",
                [
                    four.to_owned(),
                    odd.to_owned(),
                    two.replace("t0, t1", "t4, t5"),
                    product(low, "{t0, t1, t2, t3}", "t4, t5"),
                    product(high, "{t0, t1, t2, t3}", "w8, w9"),
                ]
                .join("\n"),
            );
            add(
                "A and B whose rows are written over in between",
                [
                    four.to_owned(),
                    two.replace("t0, t1", "t4, t5"),
                    product(low, "{t0, t1, t2, t3}", "t4, t5"),
                    "bar.sync 0; st.shared.v4.b32 [mine], {w4, w5, w6, w7}; bar.sync 0;".to_owned(),
                    product(high, "{t0, t1, t2, t3}", "t4, t5"),
                ]
                .join("\n"),
            );
            add(
                "B whose rows the lane itself writes over in between",
                [
                    two.to_owned(),
                    "st.shared.v4.b32 [mine], {w4, w5, w6, w7};".to_owned(),
                    product(low, a4, "t0, t1"),
                ]
                .join("\n"),
            );
            add(
                "B in a loop, with A from before it,",
                [
                    four.to_owned(),
                    "mov.b32 w15, 0;\nagain:".to_owned(),
                    two.replace("t0, t1", "t4, t5"),
                    product(low, "{t0, t1, t2, t3}", "t4, t5"),
                    "xor.b32 row, row, 16; add.u32 w15, w15, 1; setp.lt.u32 p, w15, 3; @p bra again;"
                        .to_owned(),
                ]
                .join("\n"),
            );
            add(
                "B, half of it overwritten or other words,",
                [
                    four.to_owned(),
                    product(low, a4, "t0, w8"),
                    "mov.b32 t1, w9;".to_owned(),
                    product(low, a4, "t1, t2"),
                    product(high, a4, "t2, t3"),
                ]
                .join("\n"),
            );
            add(
                "B that is loaded anew",
                [
                    two.to_owned(),
                    product(low, a4, "t0, t1"),
                    "xor.b32 row, row, 16;".to_owned(),
                    two.to_owned(),
                    product(high, a4, "t0, t1"),
                ]
                .join("\n"),
            );
        }
    }
    let one = "ldmatrix.sync.aligned.m8n8.x1{trans}.shared.b16 {t0}, [row];";
    for trans in ["", ".trans"] {
        cases.push(case(
            &format!("m16n8k8 in half precision by ldmatrix{trans}"),
            Input::Halves,
            &format!(
                "{}\nmma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {{d0, d1}}, {{w4, w5}}, {{t0}}, {{d0, d1}};",
                one.replace("{trans}", trans)
            ),
        ));
    }
    cases
}

/// Rounds of matrix loads, products and sums that a compiler has unrolled, of which loops are made where a lane has few registers.
fn unrolled() -> Vec<Case> {
    let mut text = String::new();
    let mut add = |line: String| {
        text += &line;
        text.push('\n');
    };
    let list = |name: &str, from: usize, count: usize| {
        let all: Vec<String> = (from..from + count).map(|n| format!("{name}{n}")).collect();
        format!("{{{}}}", all.join(", "))
    };
    add("{ .reg .b32 a<16>, x<128>, s<32>, h<32>, m<33>, y<32>, z<33>, u<32>; .reg .b64 l<16>; .reg .f32 f<40>;".to_owned());
    for n in 0..16 {
        add(format!(
            "add.u32 a{n}, lane, {}; and.b32 a{n}, a{n}, 31; shl.b32 a{n}, a{n}, 4; add.u32 a{n}, base, a{n};",
            5 * n
        ));
        add(format!(
            "cvt.u64.u32 l{n}, a{n}; cvta.shared.u64 l{n}, l{n};"
        ));
    }
    for n in 0..32 {
        add(format!("mov.b32 h{n}, 0;"));
    }
    // Four rounds for each pair of sums, whose first values stand between the products; generic addresses.
    for n in 0..16 {
        add(format!(
            "ldmatrix.sync.aligned.m8n8.x4.b16 {}, [l{n}];",
            list("x", 4 * n, 4)
        ));
        for half in 0..2 {
            let sum = 8 * (n / 4) + 4 * half;
            if n % 4 == 0 {
                (sum..sum + 4).for_each(|s| add(format!("mov.b32 s{s}, d0;")));
            }
            let (d, a) = (list("s", sum, 4), list("w", 4 * (n % 4), 4));
            let b = format!("{{x{}, x{}}}", 4 * n + half, 4 * n + half + 2);
            add(format!(
                "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d}, {a}, {b}, {d};"
            ));
        }
    }
    // Sums of half precision, each of one product, by transposed matrices.
    for n in 0..16 {
        let x = 64 + 4 * n;
        add(format!(
            "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {}, [a{n}];",
            list("x", x, 4)
        ));
        for half in 0..2 {
            let d = list("h", 4 * (n / 2) + 2 * half, 2);
            let (a, b) = (list("w", 4 * (n % 3), 4), list("x", x + 2 * half, 2));
            add(format!(
                "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {d}, {a}, {b}, {d};"
            ));
        }
    }
    // What is done with all of them, loads at constant distances, and what a round hands to the next.
    for n in 0..32 {
        add(format!(
            "mov.b32 f{n}, s{n}; add.f32 f{n}, f{n}, 0f3F800000; mul.f32 f{n}, f{n}, 0f3F000000; mov.b32 s{n}, f{n};"
        ));
    }
    add("mov.b32 m0, 0xff800000; mov.b32 z0, tid; mov.b32 f32, m0;".to_owned());
    for n in 0..32 {
        add(format!("max.f32 f32, f32, f{n};"));
    }
    for n in 0..8 {
        add(format!(
            "ld.shared.b32 y{n}, [base+{}]; shl.b32 z{}, z{n}, 1; add.u32 z{}, z{}, y{n};",
            12 * n,
            n + 9,
            n + 1,
            n + 9
        ));
    }
    for n in 0..32 {
        let from = if n == 0 {
            "d0".to_owned()
        } else {
            format!("u{}", n - 1)
        };
        add(format!("xor.b32 u{n}, {from}, s{n};"));
    }
    add("mov.b32 d1, 0;".to_owned());
    for n in 0..32 {
        add(format!("mad.lo.u32 d1, d1, 3, h{n};"));
    }
    add("mov.b32 d0, f32; mov.b32 d2, u31; mov.b32 d3, z8; mov.b32 d4, s0; mov.b32 d5, s13; mov.b32 d6, h31; mov.b32 d7, h6; }".to_owned());
    vec![case("unrolled loops", Input::Halves, &text)]
}

/// Rounds of products alone, of matrices that were loaded before: with one that is asked for afterwards, too, and one that is loaded in
/// between and read by the next product.
fn loaded_before() -> Vec<Case> {
    let mut text = "{ .reg .b32 a<16>, x<64>, y<32>, s<32>;\n".to_owned();
    let load = |text: &mut String, n: usize, name: &str, from: usize| {
        let _ = writeln!(
            text,
            "add.u32 a{n}, lane, {}; and.b32 a{n}, a{n}, 31; shl.b32 a{n}, a{n}, 4; add.u32 a{n}, base, a{n};\n\
             ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{{name}{from}, {name}{}, {name}{}, {name}{}}}, [a{n}];",
            3 * n,
            from + 1,
            from + 2,
            from + 3
        );
    };
    (0..16).for_each(|n| load(&mut text, n, "x", 4 * n));
    for n in 0..32 {
        let _ = writeln!(text, "mov.b32 s{n}, d0;");
    }
    let product = |text: &mut String, sum: usize, b: [String; 2]| {
        let _ = writeln!(
            text,
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {{s{0}, s{1}, s{2}, s{3}}}, {{w0, w1, w2, w3}}, {{{4}, {5}}}, \
             {{s{0}, s{1}, s{2}, s{3}}};",
            sum,
            sum + 1,
            sum + 2,
            sum + 3,
            b[0],
            b[1]
        );
    };
    for n in 0..64 {
        product(
            &mut text,
            4 * (n % 8),
            [0, 1].map(|k| format!("x{}", (2 * n + k) % 64)),
        );
    }
    // Each load is read by the product behind it, the last one by what follows the rounds as well.
    for n in 0..8 {
        load(&mut text, n, "y", 4 * n);
        product(
            &mut text,
            4 * n,
            [4 * n, 4 * n + 1].map(|k| format!("y{k}")),
        );
    }
    text.push_str("xor.b32 d0, d0, y28; xor.b32 d1, d1, y29;\n");
    for n in 0..32 {
        let _ = writeln!(text, "mad.lo.u32 d{0}, d{0}, 3, s{n};", n % 8);
    }
    text.push('}');
    vec![case(
        "products of what was loaded before",
        Input::Halves,
        &text,
    )]
}

/// Products of bytes whose sums are scaled one by one, column after column: those of one column are a loop where registers are few, and
/// the words of the sums and the offsets of the loads are as much more in each round.
fn columns() -> Vec<Case> {
    const COLUMNS: usize = 16;
    const STEPS: usize = 4;
    let mut text = format!(
        "{{ .reg .b32 s<{}>, b<2>, at; mov.u32 at, rows; mad.lo.u32 at, lane, 16, at;\n",
        4 * COLUMNS
    );
    for n in 0..4 * COLUMNS {
        let _ = writeln!(text, "mov.b32 s{n}, tid;");
    }
    for column in 0..COLUMNS {
        for k in 0..STEPS {
            let offset = 8 * column + 4 * k;
            let a: Vec<String> = (0..4).map(|n| format!("w{}", (4 * k + n) % 16)).collect();
            let _ = writeln!(
                text,
                "ld.shared.b32 b0, [at+{offset}]; ld.shared.b32 b1, [at+{}]; mov.b32 t0, 0; mov.b32 t1, 0; mov.b32 t2, 0; mov.b32 t3, 0;\n\
                 mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {{t0, t1, t2, t3}}, {{{}}}, {{b0, b1}}, {{t0, t1, t2, t3}};",
                offset + 4,
                a.join(", ")
            );
            for n in 0..4 {
                let sum = 4 * column + n;
                let _ = writeln!(text, "mad.lo.u32 s{sum}, t{n}, w{k}, s{sum};");
            }
        }
    }
    for n in 0..4 * COLUMNS {
        let _ = writeln!(text, "mad.lo.u32 d{}, d{}, 3, s{n};", n % 8, n % 8);
    }
    text.push('}');
    vec![case("unrolled columns", Input::Bytes, &text)]
}

#[test]
fn matrices() {
    isolated("fragment::matrices", || {
        Bench::open().kernels(
            &[
                products(),
                moves(),
                loaded(),
                unrolled(),
                loaded_before(),
                columns(),
            ]
            .concat(),
            known_differences("fragment::matrices"),
        );
    });
}
