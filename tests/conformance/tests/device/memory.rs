//! Loads and stores of every width and space, initialisers, address conversion, copies.

use crate::known::known_differences;
use conformance::{isolated, left_out, Bench, Case, Random};
use ptx_spirv::SharedMemory;
use std::fmt::Write;

/// Runs kernels where shared and local memory have addresses like any other, and where those are windows of the generic
/// ones. (lavapipe has no aliased views of shared memory: there only kernels without it.)
fn in_scratch_and_in_windows(test: &str, cases: &[Case]) {
    let bench = Bench::open();
    bench.kernels(cases, known_differences(test));
    if !bench.translates() {
        return left_out(
            "shared memory in windows",
            "it changes what the translator is told of the device",
        );
    }
    let windows = bench.with(|target| target.shared_memory = SharedMemory::ExplicitLayout);
    let cases: Vec<Case> = cases
        .iter()
        .filter(|case| !case.name.contains("shared"))
        .cloned()
        .collect();
    windows.kernels(&cases, known_differences(test));
}

/// A kernel of 64 threads: `from` and `to` are the thread's 64 bytes of input and `out` bytes of output.
pub fn case(name: &str, out: usize, declarations: &str, text: &str) -> Case {
    let mut random = Random(23);
    let head: Vec<&str> = declarations.split("---\n").collect();
    let (module, body) = match head[..] {
        [module, body] => (module, body),
        _ => ("", declarations),
    };
    Case {
        name: name.to_owned(),
        text: format!(
            ".version 8.8\n.target sm_90\n.address_size 64\n{module}\n\
             .visible .entry k(.param .u64 in, .param .u64 out) {{\n{body}\n\
             .reg .b64 from, to, i, a, b, w<8>; .reg .b32 tid, x, y, z, r<16>; .reg .b16 h<8>;\n\
             .reg .f32 f<8>; .reg .f64 g<8>; .reg .b128 v<2>; .reg .pred p, q;\n\
             ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x;\n\
             mul.wide.u32 i, tid, 64; add.u64 from, from, i; mul.wide.u32 i, tid, {out}; add.u64 to, to, i;\n\
             {text}\nret;\n}}\n"
        ),
        grid: [1, 1, 1],
        block: [64, 1, 1],
        dynamic_shared: 0,
        input: (0..64 * 64).map(|_| random.bits() as u8).collect(),
        output: vec![0; 64 * out],
        references: Vec::new(),
    }
}

/// Local memory of sizes at which drivers' compilers give up, read and written by addresses that are not known.
#[test]
fn large_local_memory() {
    let cases: Vec<Case> = [4096, 8192, 12_288, 12_352, 15_360, 16_000, 16_384, 40_000]
        .into_iter()
        .map(|bytes| {
            let last = bytes - 64;
            case(
                &format!("{bytes} bytes"),
                8,
                &format!(".local .align 16 .b8 l[{bytes}];"),
                &format!(
                    "mov.u64 a, l; and.b32 x, tid, 15; mul.wide.u32 i, x, 4; add.u64 a, a, i; mov.u64 b, a; mov.u32 y, 0;\n\
                     again: st.local.u32 [b], y; add.u64 b, b, 64; add.u32 y, y, 3; setp.lt.u32 p, y, {}; @p bra again;\n\
                     ld.local.u32 r0, [a+{last}]; rem.u32 x, tid, {}; mul.wide.u32 i, x, 64; add.u64 a, a, i; ld.local.u32 r1, [a]; st.global.v2.b32 [to], {{r0, r1}};",
                    3 * bytes / 64,
                    bytes / 64
                ),
            )
        })
        .collect();
    isolated("memory::large_local_memory", || {
        let known = known_differences("memory::large_local_memory");
        Bench::open().kernels(&cases, known);
    });
}

/// The register and the size of a type, as loads take it.
const TYPES: [(&str, char, usize); 14] = [
    ("b8", 'r', 1),
    ("u8", 'r', 1),
    ("s8", 'r', 1),
    ("b16", 'r', 2),
    ("u16", 'r', 2),
    ("s16", 'r', 2),
    ("b32", 'r', 4),
    ("u32", 'r', 4),
    ("s32", 'r', 4),
    ("f32", 'f', 4),
    ("b64", 'w', 8),
    ("u64", 'w', 8),
    ("s64", 'w', 8),
    ("f64", 'g', 8),
];

/// Loads of all types and vectors from `address`, with their results stored; gives the text and the bytes of output.
fn loads(how: &str, address: &str) -> (String, usize) {
    let (mut text, mut at) = (String::new(), 0);
    for (n, (ty, register, size)) in TYPES.iter().enumerate() {
        for count in [1, 2, 4] {
            if size * count > 16 {
                continue;
            }
            let registers: Vec<String> = (0..count).map(|k| format!("{register}{k}")).collect();
            let (vector, list) = match count {
                1 => (String::new(), registers[0].clone()),
                n => (format!(".v{n}"), format!("{{{}}}", registers.join(", "))),
            };
            let offset =
                n * size * count % (64 - size * count + 1) / (size * count) * (size * count);
            let _ = writeln!(text, "ld{how}{vector}.{ty} {list}, [{address}+{offset}];");
            let bits = if *size == 8 { 64 } else { 32 };
            for r in registers {
                let _ = writeln!(text, "st.global.b{bits} [to+{at}], {r};");
                at += 8;
            }
        }
    }
    (text, at)
}

#[test]
fn loads_of_every_width() {
    let mut cases = Vec::new();
    let (text, out) = loads(".global", "from");
    cases.push(case("ld.global", out, "", &text));
    let (text, out) = loads("", "from");
    cases.push(case("ld", out, "", &text));
    for how in [
        ".global.nc",
        ".volatile.global",
        ".relaxed.gpu.global",
        ".acquire.sys.global",
        ".weak.global",
        ".global.cg",
    ] {
        let (text, out) = loads(how, "from");
        cases.push(case(&format!("ld{how}"), out, "", &text));
    }
    let copy = |space: &str, base: &str| -> String {
        let mut text = String::new();
        for n in 0..4 {
            let _ = writeln!(
                text,
                "ld.global.v4.b32 {{r0, r1, r2, r3}}, [from+{0}]; st.{space}.v4.b32 [{base}+{0}], {{r0, r1, r2, r3}};",
                16 * n
            );
        }
        text
    };
    let shared = ".shared .align 16 .b8 s[4096];";
    let place = "mov.u32 x, s; shl.b32 y, tid, 6; add.u32 x, x, y;";
    for how in [
        ".shared",
        ".volatile.shared",
        ".relaxed.cta.shared",
        ".acquire.cta.shared::cta",
    ] {
        let (text, out) = loads(how, "x");
        let text = format!("{place}\n{}bar.sync 0;\n{text}", copy("shared", "x"));
        cases.push(case(&format!("ld{how}"), out, shared, &text));
    }
    let (text, out) = loads("", "a");
    let generic = format!(
        "{place}\n{}bar.sync 0; cvt.u64.u32 a, x; cvta.shared.u64 a, a;\n{text}",
        copy("shared", "x")
    );
    cases.push(case("ld of shared memory", out, shared, &generic));
    let local = ".local .align 16 .b8 l[64];";
    let (text, out) = loads(".local", "a");
    cases.push(case(
        "ld.local",
        out,
        local,
        &format!("mov.u64 a, l;\n{}{text}", copy("local", "a")),
    ));
    let (text, out) = loads("", "a");
    let generic = format!(
        "mov.u64 a, l;\n{}cvta.local.u64 a, a;\n{text}",
        copy("local", "a")
    );
    cases.push(case("ld of local memory", out, local, &generic));
    let words: Vec<String> = (0..16)
        .map(|n: u32| format!("{:#x}", n.wrapping_mul(0x9e37_79b9) ^ 0x8421))
        .collect();
    let constant = format!(
        ".const .align 16 .b32 c[16] = {{{}}};\n---\n",
        words.join(", ")
    );
    let (text, out) = loads(".const", "a");
    cases.push(case(
        "ld.const",
        out,
        &constant,
        &format!("mov.u64 a, c;\n{text}"),
    ));
    let (text, out) = loads("", "a");
    cases.push(case(
        "ld of constant memory",
        out,
        &constant,
        &format!("mov.u64 a, c; cvta.const.u64 a, a;\n{text}"),
    ));
    cases.push(case(
        "ld.param of parts",
        32,
        "",
        "ld.param.u8 r0, [in+2]; ld.param.s16 r1, [out+2]; ld.param.u32 r2, [in+4]; ld.param.v2.b32 {r3, r4}, [out];\n\
         st.global.v4.b32 [to], {r0, r1, r2, r3}; st.global.b32 [to+16], r4;",
    ));
    cases.push(case(
        "ld and st of 128 bits",
        48,
        "",
        "ld.global.b128 v0, [from+16]; st.global.b128 [to], v0; mov.b128 {w0, w1}, v0; add.u64 w0, w0, w1;\n\
         mov.b128 v1, {w1, w0}; st.global.b128 [to+16], v1; ld.global.v2.b64 {w2, w3}, [from+32]; st.global.v2.b64 [to+32], {w3, w2};",
    ));
    cases.push(case(
        "literals of 128 bits",
        32,
        "",
        "ld.global.b128 v0, [from]; mov.b128 v0, 0x123456789abcdef0; st.global.b128 [to], v0;\n\
         ld.global.b128 v1, [from]; mov.b128 v1, -2; st.global.b128 [to+16], v1;",
    ));
    // As LLVM passes what is shorter than its alignment; what is read or written past the end is never looked at.
    cases.push(case(
        "accesses past the end of a parameter",
        32,
        ".func (.param .align 16 .b8 y[12]) next(.param .align 16 .b8 a[12]) {\n\
         .reg .b32 t<4>; .reg .b64 u; ld.param.v4.b32 {t0, t1, t2, t3}, [a]; ld.param.b64 u, [a+8]; cvt.u32.u64 t3, u;\n\
         add.u32 t0, t0, 1; add.u32 t1, t1, t3; st.param.v4.b32 [y], {t0, t1, t2, t3}; st.param.b8 [y+16], 1; ret; }\n---\n",
        "ld.global.v4.b32 {r0, r1, r2, r3}, [from];\n\
         { .param .align 16 .b8 a0[12]; .param .align 16 .b8 y0[12]; st.param.v4.b32 [a0], {r0, r1, r2, r3};\n\
         call (y0), next, (a0); ld.param.v4.b32 {r4, r5, r6, r7}, [y0]; }\n\
         st.global.v2.b32 [to], {r4, r5}; st.global.b32 [to+8], r6;",
    ));
    isolated("memory::loads_of_every_width", || {
        in_scratch_and_in_windows("memory::loads_of_every_width", &cases);
    });
}

/// Stores of all types and vectors to `address` (64 bytes), one over the other.
fn stores(how: &str, address: &str) -> String {
    let mut text = String::from(
        "ld.global.v4.b32 {r0, r1, r2, r3}, [from]; ld.global.v4.f32 {f0, f1, f2, f3}, [from+16];\n\
         ld.global.v2.b64 {w0, w1}, [from+32]; ld.global.v2.f64 {g0, g1}, [from+48];\n",
    );
    for (n, (ty, register, size)) in TYPES.iter().enumerate() {
        for count in [4usize, 2, 1] {
            if size * count > 16 {
                continue;
            }
            let registers: Vec<String> = (0..count).map(|k| format!("{register}{k}")).collect();
            let (vector, list) = match count {
                1 => (String::new(), registers[0].clone()),
                n => (format!(".v{n}"), format!("{{{}}}", registers.join(", "))),
            };
            let unit = size * count;
            let offset = (n * 5 + count) * unit % 64 / unit * unit % (64 - unit + 1);
            let _ = writeln!(text, "st{how}{vector}.{ty} [{address}+{offset}], {list};");
        }
    }
    text
}

#[test]
fn stores_of_every_width() {
    let mut cases = Vec::new();
    for how in [
        ".global",
        "",
        ".volatile.global",
        ".relaxed.gpu.global",
        ".release.sys",
        ".global.wt",
    ] {
        cases.push(case(&format!("st{how}"), 64, "", &stores(how, "to")));
    }
    let back = |space: &str, base: &str| -> String {
        let mut text = String::new();
        for n in 0..4 {
            let _ = writeln!(
                text,
                "ld.{space}.v4.b32 {{r4, r5, r6, r7}}, [{base}+{0}]; st.global.v4.b32 [to+{0}], {{r4, r5, r6, r7}};",
                16 * n
            );
        }
        text
    };
    let clear = |space: &str, base: &str| -> String {
        (0..4)
            .map(|n| {
                format!(
                    "st.{space}.v4.b32 [{base}+{}], {{tid, tid, tid, tid}};\n",
                    16 * n
                )
            })
            .collect()
    };
    let shared = ".shared .align 16 .b8 s[4096];";
    let place =
        "mov.u32 x, s; shl.b32 y, tid, 6; add.u32 x, x, y; cvt.u64.u32 a, x; cvta.shared.u64 a, a;";
    for (how, base) in [
        (".shared", "x"),
        (".volatile.shared", "x"),
        (".relaxed.cta.shared", "x"),
        ("", "a"),
    ] {
        let text = format!(
            "{place}\n{}{}{}",
            clear("shared", "x"),
            stores(how, base),
            back("shared", "x")
        );
        cases.push(case(
            &format!("st{how} to shared memory"),
            64,
            shared,
            &text,
        ));
    }
    let local = ".local .align 16 .b8 l[64];";
    let place = "mov.u64 b, l; cvta.local.u64 a, b;";
    for (how, base) in [(".local", "b"), ("", "a")] {
        let text = format!(
            "{place}\n{}{}{}",
            clear("local", "b"),
            stores(how, base),
            back("local", "b")
        );
        cases.push(case(&format!("st{how} to local memory"), 64, local, &text));
    }
    isolated("memory::stores_of_every_width", || {
        in_scratch_and_in_windows("memory::stores_of_every_width", &cases);
    });
}

/// Local memory at places that differ from thread to thread, small enough to be selected and too large for that.
#[test]
fn local_memory_by_index() {
    let mut cases = Vec::new();
    for bytes in [32usize, 64, 128, 256] {
        let mut fill = String::new();
        for at in (0..bytes).step_by(16) {
            let _ = writeln!(
                fill,
                "ld.global.v4.b32 {{r0, r1, r2, r3}}, [from+{}]; st.local.v4.b32 [b+{at}], {{r0, r1, r2, r3}};",
                at % 64
            );
        }
        let (mut text, mut to) = (String::new(), 0);
        for (n, (ty, register, size)) in TYPES.iter().enumerate() {
            for count in [1, 2, 4] {
                let unit = size * count;
                if unit > 16 {
                    continue;
                }
                let list: Vec<String> = (0..count).map(|k| format!("{register}{k}")).collect();
                let (vector, list) = match count {
                    1 => (String::new(), list[0].clone()),
                    n => (format!(".v{n}"), format!("{{{}}}", list.join(", "))),
                };
                // Somewhere, then what is there to somewhere else.
                let _ = writeln!(
                    text,
                    "mad.lo.u32 y, tid, {}, {n}; rem.u32 y, y, {}; mul.wide.u32 a, y, {unit}; add.u64 a, a, b;\n\
                     ld.local{vector}.{ty} {list}, [a];\n\
                     add.u32 y, y, {}; rem.u32 y, y, {}; mul.wide.u32 a, y, {unit}; add.u64 a, a, b; cvta.local.u64 a, a;\n\
                     st{vector}.{ty} [a], {list};",
                    2 * count + 1,
                    bytes / unit,
                    3 + n,
                    bytes / unit
                );
            }
        }
        for at in (0..bytes).step_by(16) {
            let _ = writeln!(
                text,
                "ld.local.v4.b32 {{r4, r5, r6, r7}}, [b+{at}]; st.global.v4.b32 [to+{at}], {{r4, r5, r6, r7}};"
            );
            to += 16;
        }
        let declarations = format!(".local .align 16 .b8 l[{bytes}];");
        let text = format!("mov.u64 b, l;\n{fill}{text}");
        cases.push(case(
            &format!("{bytes} bytes of local memory"),
            to,
            &declarations,
            &text,
        ));
    }
    isolated("memory::local_memory_by_index", || {
        in_scratch_and_in_windows("memory::local_memory_by_index", &cases);
    });
}

/// Pointers to a known byte of local memory or, in some threads, to another space: `w1` is the start of 128 bytes of local memory, `w2`
/// half of it, `w3` global memory, `w4` shared memory.
#[test]
fn local_memory_or_another() {
    let pointers = |global: &str, shared: bool| {
        let shared = match shared {
            true => "mov.u32 x, s; shl.b32 y, tid, 6; add.u32 x, x, y; cvt.u64.u32 w4, x; cvta.shared.u64 w4, w4;\n",
            false => "",
        };
        format!(
            "mov.u64 b, l; cvta.local.u64 w1, b; add.u64 w2, w1, 64; {global}\n{shared}\
             and.b32 z, tid, 3; setp.eq.u32 p, z, 1; setp.lt.u32 q, z, 2;\n"
        )
    };
    let choices = [
        ("selected", "selp.b64 a, w2, w3, p;"),
        ("by a branch", "mov.u64 a, w2; @p bra L; mul.wide.u32 a, z, 0; add.u64 a, w3, a; L:"),
        ("behind a sum", "add.u64 a, w1, 16; selp.b64 a, w3, a, p; selp.b64 i, 16, 0, p; sub.u64 i, 16, i; add.u64 a, a, i;"),
        ("ahead of a sum", "sub.u64 a, w3, 16; selp.b64 a, w2, a, q; add.u64 a, a, 16; sub.u64 a, a, 16; @q bra L; add.u64 a, a, 16; L:"),
        ("one of two places", "selp.b64 a, w1, w2, p; selp.b64 a, a, w3, q;"),
        ("moved on", "mov.u64 a, w1; mov.u32 y, 0; L: add.u64 a, a, 16; add.u32 y, y, 1; setp.lt.u32 q, y, z; @q bra L;"),
        ("or shared memory", "selp.b64 a, w2, w4, p; selp.b64 a, a, w3, q;"),
    ];
    let mut cases = Vec::new();
    for (name, choose) in choices {
        let is_shared = choose.contains("w4");
        let declarations = match is_shared {
            true => ".local .align 16 .b8 l[128]; .shared .align 16 .b8 s[4096];",
            false => ".local .align 16 .b8 l[128];",
        };
        let mut text = pointers("mov.u64 w3, from;", is_shared);
        for at in (0..128).step_by(16) {
            let _ = writeln!(
                text,
                "ld.global.v4.b32 {{r0, r1, r2, r3}}, [from+{}]; add.u32 r0, r0, {at}; st.local.v4.b32 [b+{at}], {{r0, r1, r2, r3}};",
                at % 64
            );
            if is_shared && at < 64 {
                let _ = writeln!(text, "st.shared.v4.b32 [x+{at}], {{r1, r0, r3, r2}};");
            }
        }
        // Every width once.
        let (accesses, out) = match name {
            "selected" => loads("", "a"),
            _ => (
                "ld.v4.b32 {r0, r1, r2, r3}, [a+16]; st.global.v4.b32 [to], {r0, r1, r2, r3}; ld.s8 r4, [a+7]; ld.u16 r5, [a+34];\n\
                 ld.v2.b64 {w0, w1}, [a+48]; st.global.v2.b32 [to+16], {r4, r5}; st.global.b64 [to+24], w0; st.global.b64 [to+32], w1;"
                    .to_owned(),
                48,
            ),
        };
        let text = format!("{text}{choose}\n{accesses}");
        cases.push(case(&format!("loads, {name}"), out, declarations, &text));
        let mut text = pointers("add.u64 w3, to, 128;", is_shared);
        for at in (0..128).step_by(16) {
            let _ = writeln!(
                text,
                "mov.u32 r4, {at}; st.local.v4.b32 [b+{at}], {{r4, r4, r4, r4}};"
            );
            if is_shared && at < 64 {
                let _ = writeln!(text, "st.shared.v4.b32 [x+{at}], {{r4, tid, r4, tid}};");
            }
        }
        let _ = writeln!(
            text,
            "{choose}\nld.global.v4.b32 {{r0, r1, r2, r3}}, [from]; st.v2.b32 [a], {{r0, r1}}; st.b8 [a+9], r2; st.b16 [a+14], r3; ld.u32 r8, [a+12];"
        );
        for at in (0..128).step_by(16) {
            let _ = writeln!(
                text,
                "ld.local.v4.b32 {{r4, r5, r6, r7}}, [b+{at}]; st.global.v4.b32 [to+{at}], {{r4, r5, r6, r7}};"
            );
            if is_shared && at < 64 {
                let _ = writeln!(
                    text,
                    "ld.shared.v4.b32 {{r4, r5, r6, r7}}, [x+{at}]; st.global.v4.b32 [to+{}], {{r4, r5, r6, r7}};",
                    192 + at
                );
            }
        }
        let text = format!("{text}st.global.b32 [to+188], r8;");
        cases.push(case(&format!("stores, {name}"), 256, declarations, &text));
    }
    isolated("memory::local_memory_or_another", || {
        in_scratch_and_in_windows("memory::local_memory_or_another", &cases);
    });
}

#[test]
fn variables_and_addresses() {
    let variables = ".global .align 1 .u8 bytes[5] = {1, 2, 0xff};\n.global .u16 halves[3] = {0xffff, -2, 3};\n\
        .global .align 8 .u32 one = 17;\n.const .u64 big = 0x123456789abcdef0;\n.global .f32 pi = 0f40490fdb;\n\
        .global .f64 e = 0d4005bf0a8b145769;\n.global .s32 table[2][3] = {{-1, 2, -3}, {4, 5}};\n\
        .global .u64 to_one = one;\n.global .u64 list[3] = {generic(table), generic(table)+8, big};\n---\n";
    let isspace: String = ["global", "shared", "local", "const", "param"]
        .iter()
        .enumerate()
        .map(|(n, space)| {
            let mut text = String::new();
            for (k, a) in ["w0", "w1", "w2", "w3"].iter().enumerate() {
                // There is no window of constant memory apart from the global one.
                if matches!((*space, k), ("const", 0) | ("global", 3)) {
                    continue;
                }
                let _ = writeln!(
                    text,
                    "isspacep.{space} p, {a}; selp.b32 x, 1, 0, p; st.global.b32 [to+{}], x;",
                    4 * (4 * n + k)
                );
            }
            text
        })
        .collect();
    let cases = vec![
        case(
            "initialisers",
            96,
            variables,
            "ld.global.u8 r0, [bytes+2]; ld.global.u8 r1, [bytes+4]; ld.global.s16 r2, [halves+2]; ld.global.u32 r3, [one];\n\
             st.global.v4.b32 [to], {r0, r1, r2, r3}; ld.const.u64 w0, [big]; st.global.b64 [to+16], w0;\n\
             ld.global.f32 f0, [pi]; ld.global.f64 g0, [e]; st.global.f32 [to+24], f0; st.global.f64 [to+32], g0;\n\
             ld.global.s32 r0, [table+8]; ld.global.s32 r1, [table+16]; ld.global.s32 r2, [table+20]; st.global.v2.b32 [to+40], {r0, r1}; st.global.b32 [to+48], r2;",
        ),
        case(
            "addresses in initialisers",
            64,
            variables,
            "ld.global.u64 a, [to_one]; ld.global.u32 r0, [a]; ld.global.u64 a, [list]; ld.u32 r1, [a+4]; ld.global.u64 a, [list+8]; ld.u32 r2, [a];\n\
             ld.global.u64 a, [list+16]; ld.const.u32 r3, [a+4]; st.global.v4.b32 [to], {r0, r1, r2, r3};",
        ),
        case(
            "variables that threads write",
            16,
            ".global .align 4 .u32 cells[64];\n---\n.shared .align 4 .b32 s[64];",
            "mov.u64 a, cells; mul.wide.u32 b, tid, 4; add.u64 a, a, b; mad.lo.u32 x, tid, tid, 7; st.global.u32 [a], x; bar.sync 0;\n\
             xor.b32 y, tid, 21; mul.wide.u32 b, y, 4; mov.u64 a, cells; add.u64 a, a, b; ld.global.u32 r0, [a];\n\
             mov.u32 z, s; shl.b32 y, tid, 2; add.u32 z, z, y; st.shared.u32 [z], r0; bar.sync 0; xor.b32 y, y, 60; mov.u32 z, s; add.u32 z, z, y;\n\
             ld.shared.u32 r1, [z]; st.global.v2.b32 [to], {r0, r1};",
        ),
        case(
            "spaces of generic addresses",
            96,
            ".const .b32 c[4];\n---\n.shared .b32 s[64]; .local .b32 l[4];",
            &format!("mov.u32 x, s; cvt.u64.u32 w1, x; cvta.shared.u64 w1, w1; mov.u64 w2, l; cvta.local.u64 w2, w2; mov.u64 w0, from; mov.u64 w3, c; cvta.const.u64 w3, w3;\nst.local.u32 [l], tid; st.shared.u32 [s], tid;\n{isspace}"),
        ),
        case(
            "addresses there and back",
            64,
            ".shared .align 16 .b32 s[64]; .local .align 16 .b32 l[4];",
            "mov.u32 x, s; add.u32 x, x, 12; cvt.u64.u32 w0, x; cvta.shared.u64 w1, w0; cvta.to.shared.u64 w2, w1; sub.u64 w2, w2, w0; st.global.b64 [to], w2;\n\
             mov.u64 w0, l; add.u64 w0, w0, 8; cvta.local.u64 w1, w0; cvta.to.local.u64 w2, w1; sub.u64 w2, w2, w0; st.global.b64 [to+8], w2;\n\
             st.local.u32 [l+8], tid; ld.u32 r0, [w1]; st.global.b32 [to+16], r0; cvta.global.u64 w0, from; cvta.to.global.u64 w1, w0; ld.global.u32 r0, [w1]; st.global.b32 [to+20], r0;",
        ),
    ];
    isolated("memory::variables_and_addresses", || {
        in_scratch_and_in_windows("memory::variables_and_addresses", &cases);
    });
}

/// `x` is the thread's own 64 bytes of shared memory, with something in them.
const OWN_PLACE: &str = "mov.u32 x, s; shl.b32 y, tid, 6; add.u32 x, x, y; st.shared.v4.b32 [x], {tid, tid, tid, tid};\n";

/// A copy of 4096 bytes into the block's shared memory, for which `m` is waited.
fn bulk_copy() -> String {
    format!(
        "{OWN_PLACE}bar.sync 0; setp.ne.u32 p, tid, 0; @p bra wait;\n\
         mbarrier.init.shared.b64 [m], 1; fence.mbarrier_init.release.cluster; mbarrier.arrive.expect_tx.shared.b64 _, [m], 4096;\n\
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [from], 4096, [m];\nwait: bar.sync 0;\n\
         again: mbarrier.try_wait.parity.shared.b64 q, [m], 0; @!q bra again;\n\
         xor.b32 y, tid, 3; shl.b32 y, y, 6; mov.u32 x, s; add.u32 x, x, y;\n\
         ld.shared.v4.b32 {{r0, r1, r2, r3}}, [x+32]; st.global.v4.b32 [to], {{r0, r1, r2, r3}};"
    )
}

#[test]
fn copies() {
    let shared = ".shared .align 16 .b8 s[4096];";
    let place = OWN_PLACE;
    let back = "cp.async.commit_group; cp.async.wait_group 0; ld.shared.v4.b32 {r0, r1, r2, r3}, [x]; st.global.v4.b32 [to], {r0, r1, r2, r3};";
    let mut cases = Vec::new();
    for size in [4, 8, 16] {
        for (name, extra) in [("", ""), (" zero fill", ", z"), (" ignored", ", p")] {
            let text = format!(
                "{place}rem.u32 z, tid, {}; and.b32 y, tid, 1; setp.ne.u32 p, y, 0;\n\
                 cp.async.ca.shared.global [x], [from+16], {size}{extra};\n{back}",
                size + 1
            );
            cases.push(case(&format!("cp.async {size}{name}"), 16, shared, &text));
        }
    }
    cases.push(case(
        "cp.async.bulk",
        16,
        ".shared .align 16 .b8 s[4096]; .shared .align 8 .b64 m;",
        &bulk_copy(),
    ));
    isolated("memory::copies", || {
        Bench::open().kernels(&cases, known_differences("memory::copies"));
    });
}

/// Copies to the blocks of a cluster, of which there is one: the second copy is to no block. Where that is an illegal
/// instruction, nothing else runs afterwards.
#[test]
fn copies_to_a_cluster() {
    let copy = "complete_tx::bytes [s], [from], 4096, [m];";
    let with_blocks = |blocks: &str| {
        format!("complete_tx::bytes.multicast::cluster [s], [from], 4096, [m], {blocks};")
    };
    let other = with_blocks("h1").replace("[from]", "[from+16]");
    let both = format!(
        "{} cp.async.bulk.shared::cluster.global.mbarrier::{other}",
        with_blocks("h0")
    );
    let cases = [case(
        "cp.async.bulk to the blocks of a cluster",
        16,
        ".shared .align 16 .b8 s[4096]; .shared .align 8 .b64 m;",
        &format!(
            "mov.u16 h0, 1; mov.u16 h1, 2;\n{}",
            bulk_copy().replace(copy, &both)
        ),
    )];
    let name = "memory::copies_to_a_cluster";
    isolated(name, || {
        Bench::open().kernels(&cases, known_differences(name));
    });
}

/// `m` is an mbarrier that waits for so many bytes, announced by thread 0; `again` is the wait for them.
fn expecting(bytes: u32) -> (String, &'static str) {
    (
        format!(
            "mov.u32 mb, m; setp.ne.u32 p, tid, 0; @p bra begin;\n\
             mbarrier.init.shared.b64 [mb], 1; fence.mbarrier_init.release.cluster; mbarrier.arrive.expect_tx.shared.b64 _, [mb], {bytes};\n\
             begin: fence.proxy.async; bar.sync 0;\n"
        ),
        "again: mbarrier.try_wait.parity.shared.b64 q, [mb], 0; @!q bra again;\n",
    )
}

#[test]
fn asynchronous_stores_and_reductions() {
    let shared = ".shared .align 16 .b8 s[4096]; .shared .align 8 .b64 m; .reg .b32 mb;";
    let own = "mov.u32 x, s; shl.b32 y, tid, 6; add.u32 x, x, y;\n";
    let how = ".shared::cluster.mbarrier::complete_tx::bytes";
    let copy_in = "ld.global.v4.b32 {r0, r1, r2, r3}, [from]; ld.global.v4.b32 {r4, r5, r6, r7}, [from+16]; ld.global.v4.b32 {r8, r9, r10, r11}, [from+32];\n";
    // Another thread's 64 bytes.
    let back = "mov.u32 x, s; xor.b32 y, tid, 37; shl.b32 y, y, 6; add.u32 x, x, y;\n\
        ld.shared.v4.b32 {r0, r1, r2, r3}, [x]; ld.shared.v4.b32 {r4, r5, r6, r7}, [x+16]; ld.shared.v4.b32 {r8, r9, r10, r11}, [x+32]; ld.shared.v4.b32 {r12, r13, r14, r15}, [x+48];\n\
        st.global.v4.b32 [to], {r0, r1, r2, r3}; st.global.v4.b32 [to+16], {r4, r5, r6, r7}; st.global.v4.b32 [to+32], {r8, r9, r10, r11}; st.global.v4.b32 [to+48], {r12, r13, r14, r15};\n";
    let mut cases = Vec::new();
    let (begin, wait) = expecting(64 * 60);
    cases.push(case(
        "st.async",
        64,
        shared,
        &format!(
            "{own}st.shared.v4.b32 [x], {{tid, tid, tid, tid}}; {begin}{copy_in} mov.b64 w0, {{r4, r5}}; mov.b64 w1, {{r6, r7}};\n\
             st.async{how}.b32 [x+4], r0, [mb]; st.async.weak{how}.v2.b32 [x+8], {{r1, r2}}, [mb]; st.async{how}.v4.b32 [x+16], {{r3, r4, r5, r6}}, [mb];\n\
             st.async{how}.v2.b64 [x+32], {{w0, w1}}, [mb]; st.async{how}.b64 [x+48], w1, [mb]; st.async{how}.u64 [x+56], w0, [mb];\n{wait}{back}"
        ),
    ));
    let (begin, wait) = expecting(64 * 52);
    let reductions: String = [
        "add.u32", "add.s32", "min.u32", "max.s32", "min.s32", "max.u32", "and.b32", "or.b32",
        "xor.b32", "inc.u32", "dec.u32",
    ]
    .iter()
    .enumerate()
    .map(|(n, op)| {
        format!(
            "red.async.relaxed.cluster{how}.{op} [x+{}], r{n}, [mb];\n",
            4 * n
        )
    })
    .collect();
    cases.push(case(
        "red.async",
        64,
        shared,
        &format!(
            "{own}{copy_in} st.shared.v4.b32 [x], {{r4, r5, r6, r7}}; st.shared.v4.b32 [x+16], {{r8, r9, r10, r11}}; st.shared.v4.b32 [x+32], {{r0, r1, r2, r3}}; st.shared.v4.b32 [x+48], {{r5, r9, r1, r2}};\n\
             {begin}{reductions} mov.b64 w0, {{r3, r1}}; red.async.relaxed.cluster{how}.add.u64 [x+48], w0, [mb];\n{wait}{back}"
        ),
    ));
    for (ty, fill) in [
        ("add.u32", "mad.lo.u32 r0, tid, 77, 5;"),
        ("add.s32", "mad.lo.u32 r0, tid, 0x7fffffff, 5;"),
        ("min.s32", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("max.u32", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("inc.u32", "and.b32 r0, tid, 7;"),
        ("dec.u32", "and.b32 r0, tid, 7;"),
        ("and.b32", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("xor.b32", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("add.u64", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("min.s64", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        ("or.b64", "mad.lo.u32 r0, tid, 0x9e3779b9, 5;"),
        (
            "add.noftz.f16",
            "cvt.rn.f16.u32 h0, tid; mov.b32 r0, {h0, h0};",
        ),
        (
            "add.noftz.bf16",
            "cvt.rn.f32.u32 f0, tid; cvt.rn.bf16.f32 h0, f0; mov.b32 r0, {h0, h0};",
        ),
        ("add.f32", "cvt.rn.f32.u32 f0, tid; mov.b32 r0, f0;"),
        ("add.f64", "add.u32 r0, tid, 0x40000000;"),
    ] {
        // To what is there in global memory.
        cases.push(case(
            &format!("cp.reduce.async.bulk.{ty} to global memory"),
            64,
            shared,
            &format!(
                "{own}{fill} st.shared.v4.b32 [x], {{r0, r0, r0, r0}}; st.shared.v4.b32 [x+16], {{r0, r0, r0, r0}};\n\
                 st.global.v4.b32 [to], {{r0, r0, r0, r0}}; st.global.v4.b32 [to+16], {{r0, r0, r0, r0}}; fence.proxy.async;\n\
                 cp.reduce.async.bulk.global.shared::cta.bulk_group.{ty} [to], [x], 32;\n\
                 cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"
            ),
        ));
    }
    for ty in [
        "min.f16", "max.f16", "min.bf16", "max.bf16", "min.s32", "max.u64",
    ] {
        cases.push(case(
            &format!("cp.reduce.async.bulk.{ty} of any numbers to global memory"),
            64,
            shared,
            &format!(
                "{own} ld.global.v4.b32 {{r0, r1, r2, r3}}, [from]; ld.global.v4.b32 {{r4, r5, r6, r7}}, [from+16];\n\
                 st.shared.v4.b32 [x], {{r0, r1, r2, r3}}; st.shared.v4.b32 [x+16], {{r6, r6, r0, r5}};\n\
                 st.global.v4.b32 [to], {{r4, r5, r6, r7}}; st.global.v4.b32 [to+16], {{r2, r1, r3, r4}}; fence.proxy.async;\n\
                 cp.reduce.async.bulk.global.shared::cta.bulk_group.{ty} [to], [x], 32;\n\
                 cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"
            ),
        ));
    }
    let (begin, wait) = expecting(64 * 32);
    for ty in [
        "add.u32", "min.s32", "inc.u32", "and.b32", "xor.b32", "add.u64",
    ] {
        cases.push(case(
            &format!("cp.reduce.async.bulk.{ty} to shared memory"),
            64,
            shared,
            &format!(
                "{own}{copy_in} st.shared.v4.b32 [x], {{r4, r5, r6, r7}}; st.shared.v4.b32 [x+16], {{r8, r9, r10, r11}}; st.shared.v4.b32 [x+32], {{r0, r1, r2, r3}}; st.shared.v4.b32 [x+48], {{r5, r9, r1, r2}};\n\
                 {begin}add.u32 y, x, 32; cp.reduce.async.bulk{how_to}.{ty} [x], [y], 32, [mb];\n{wait}{back}",
                how_to = ".shared::cluster.shared::cta.mbarrier::complete_tx::bytes"
            ),
        ));
    }
    cases.push(case(
        "cp.async.bulk within shared memory",
        64,
        shared,
        &format!(
            "{own}{copy_in} st.shared.v4.b32 [x], {{r4, r5, r6, r7}}; st.shared.v4.b32 [x+16], {{r8, r9, r10, r11}}; st.shared.v4.b32 [x+32], {{r0, r1, r2, r3}}; st.shared.v4.b32 [x+48], {{r5, r9, r1, r2}};\n\
             {begin}add.u32 y, x, 32; cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [x], [y], 32, [mb];\n{wait}{back}"
        ),
    ));
    cases.push(case(
        "cp.async.bulk to global memory",
        64,
        shared,
        &format!(
            "{own}{copy_in} st.shared.v4.b32 [x], {{r4, r5, r6, r7}}; st.shared.v4.b32 [x+16], {{r8, r9, r10, r11}}; fence.proxy.async;\n\
             cp.async.bulk.global.shared::cta.bulk_group [to+16], [x], 32; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"
        ),
    ));
    for case in &mut cases {
        // What NVIDIA's hardware takes for an illegal instruction in blocks of no cluster.
        case.text = case
            .text
            .replacen("out) {", "out) .reqnctapercluster 1 {", 1);
    }
    isolated("memory::asynchronous_stores_and_reductions", || {
        Bench::open().kernels(
            &cases,
            known_differences("memory::asynchronous_stores_and_reductions"),
        );
    });
}
