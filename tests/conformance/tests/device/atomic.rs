//! atom, red, mbarrier.

use crate::known::known_differences;
use crate::memory::case;
use conformance::{isolated, Bench, Case, Label};
use std::fmt::Write;

/// Operations by type: `(type, register, operations)`.
const OPERATIONS: &[(&str, &str, &[&str])] = &[
    ("u32", "r", &["add", "min", "max", "inc", "dec"]),
    ("s32", "r", &["add", "min", "max"]),
    ("b32", "r", &["and", "or", "xor", "exch", "cas"]),
    ("u64", "w", &["add", "min", "max"]),
    ("s64", "w", &["min", "max"]),
    ("b64", "w", &["and", "or", "xor", "exch", "cas"]),
    ("f32", "f", &["add"]),
    ("f64", "g", &["add"]),
    ("b16", "h", &["cas"]),
    ("f16", "h", &["add.noftz"]),
    ("bf16", "h", &["add.noftz"]),
    ("f16x2", "r", &["add.noftz"]),
    ("bf16x2", "r", &["add.noftz"]),
];

/// Every operation on a word of the thread's own, at `address`; the old values and what is left are stored, 8 bytes each.
fn own(
    operations: &[(&str, &str, &[&str])],
    how: &str,
    address: &str,
    output: &str,
    reduce: bool,
) -> (String, Vec<Label>) {
    let (mut text, mut at) = (String::new(), 0);
    let mut labels = Vec::new();
    for &(ty, register, operations) in operations {
        let bits = match register {
            "w" | "g" => 64,
            "h" => 16,
            _ => 32,
        };
        for &operation in operations {
            if reduce && matches!(operation, "exch" | "cas") {
                continue;
            }
            // The start value comes from the input, at odd halves for 16 bits.
            let offset = if bits == 16 { 2 } else { 0 };
            let operands = vec![at / 8 % 4 * 8, 24 + at / 8 % 3 * 8];
            let mut label = |result: &str| {
                labels.push(Label {
                    name: format!("{operation}.{ty}, {result}"),
                    operands: operands.clone(),
                });
            };
            if !reduce {
                label("the old value");
            }
            label("what is left");
            let _ = writeln!(
                text,
                "ld.global.b{bits} {register}0, [from+{}]; ld.global.b{bits} {register}1, [from+{}]; ld.global.b{bits} {register}2, [from+16];\n\
                 st{output}.b64 [{address}], 0; st{output}.b{bits} [{address}+{offset}], {register}0;",
                operands[0],
                operands[1]
            );
            let extra = match operation {
                // Compare with what is there, every second time.
                "cas" if at % 16 == 0 => format!(", {register}0, {register}2"),
                "cas" => format!(", {register}1, {register}2"),
                _ => format!(", {register}1"),
            };
            if reduce {
                let _ = writeln!(
                    text,
                    "red{how}.{operation}.{ty} [{address}+{offset}]{extra};"
                );
            } else {
                let _ = writeln!(
                    text,
                    "atom{how}.{operation}.{ty} {register}3, [{address}+{offset}]{extra}; st.global.b{bits} [to+{at}], {register}3;"
                );
                at += 8;
            }
            let _ = writeln!(
                text,
                "ld{output}.b64 w7, [{address}]; st.global.b64 [to+{at}], w7;"
            );
            at += 8;
        }
    }
    (text, labels)
}

#[test]
fn operations_and_old_values() {
    let mut cases: Vec<(Case, Vec<Label>)> = Vec::new();
    // Own words of global memory: the module's.
    let cells = ".global .align 8 .b64 cells[64];\n---\n";
    let place = "mov.u64 a, cells; mul.wide.u32 b, tid, 8; add.u64 a, a, b;\n";
    for how in [
        "",
        ".global",
        ".relaxed.gpu.global",
        ".acq_rel.sys.global",
        ".acquire.cta",
        ".release.gpu",
    ] {
        for reduce in [false, true] {
            if reduce && how.contains("acq") {
                continue;
            }
            let (text, labels) = own(OPERATIONS, how, "a", ".global", reduce);
            let name = if reduce { "red" } else { "atom" };
            cases.push((
                case(
                    &format!("{name}{how}"),
                    8 * labels.len(),
                    cells,
                    &format!("{place}{text}"),
                ),
                labels,
            ));
        }
    }
    let shared = ".shared .align 8 .b64 s[64];";
    let place = "mov.u32 x, s; shl.b32 y, tid, 3; add.u32 x, x, y; cvt.u64.u32 a, x; cvta.shared.u64 a, a;\n";
    for reduce in [false, true] {
        let name = if reduce { "red" } else { "atom" };
        let (text, labels) = own(OPERATIONS, ".shared", "x", ".shared", reduce);
        let text = format!("{place}{text}");
        cases.push((
            case(&format!("{name}.shared"), 8 * labels.len(), shared, &text),
            labels,
        ));
        // Each is a branch by address: type by type.
        for operations in OPERATIONS.chunks(1) {
            let (text, labels) = own(operations, "", "a", "", reduce);
            if labels.is_empty() {
                continue;
            }
            let name = format!("{name}.{} of shared memory", operations[0].0);
            let text = format!("{place}{text}");
            cases.push((case(&name, 8 * labels.len(), shared, &text), labels));
        }
    }
    let vectors = case(
        "vectors",
        96,
        "",
        "ld.global.v4.f32 {f0, f1, f2, f3}, [from]; ld.global.v4.f32 {f4, f5, f6, f7}, [from+16]; st.global.v4.f32 [to], {f0, f1, f2, f3};\n\
         atom.global.v4.f32.add {f0, f1, f2, f3}, [to], {f4, f5, f6, f7}; st.global.v4.f32 [to+16], {f0, f1, f2, f3}; red.global.v2.f32.add [to+16], {f5, f6};\n\
         ld.global.v2.b32 {r0, r1}, [from+32]; st.global.v2.b32 [to+32], {r0, r1}; atom.global.v2.f16x2.add.noftz {r2, r3}, [to+32], {r1, r0}; st.global.v2.b32 [to+40], {r2, r3};",
    );
    let labels = [
        "f32, sum",
        "f32, old value",
        "f16x2, sum",
        "f16x2, old value",
    ]
    .iter()
    .zip([2, 2, 1, 1])
    .flat_map(|(name, count)| {
        std::iter::repeat_n(
            Label {
                name: format!("add of vectors, {name}"),
                operands: vec![0, 8, 16, 24, 32],
            },
            count,
        )
    })
    .chain(std::iter::repeat_n(
        Label {
            name: "nothing is written here".to_owned(),
            operands: Vec::new(),
        },
        6,
    ))
    .collect();
    cases.push((vectors, labels));
    // No NaN of any format, whose bits are not said, and no subnormal number, which lavapipe keeps.
    for (case, _) in &mut cases {
        case.input
            .iter_mut()
            .skip(1)
            .step_by(2)
            .for_each(|byte| *byte = *byte & 0xbf | 0x20);
    }
    isolated("atomic::operations_and_old_values", || {
        Bench::open().labelled(
            &cases,
            known_differences("atomic::operations_and_old_values"),
        );
    });
}

#[test]
fn contended_words() {
    let mut cases = Vec::new();
    for (space, declarations, place) in [
        ("global", ".global .align 8 .b64 cells[16] = {5, 6, 7, 0xffffffff, -1, 0, 0, 1};\n---\n", "mov.u64 a, cells;"),
        ("shared", ".shared .align 8 .b64 s[16];", "mov.u32 x, s; cvt.u64.u32 a, x; setp.lt.u32 p, tid, 16; shl.b32 y, tid, 3; add.u32 y, y, x; @p st.shared.b64 [y], 77; bar.sync 0;"),
    ] {
        let base = if space == "global" { "a" } else { "x" };
        let mut text = format!("{place}\nld.global.v4.b32 {{r0, r1, r2, r3}}, [from]; ld.global.v2.b64 {{w0, w1}}, [from+16];\n");
        let operations = ["add.u32", "min.s32", "max.u32", "and.b32", "or.b32", "xor.b32", "min.u32", "max.s32"];
        for (n, operation) in operations.iter().enumerate() {
            let _ = writeln!(text, "red.{space}.{operation} [{base}+{}], r{};", 4 * n, n % 4);
        }
        for (n, operation) in ["add.u64", "min.s64", "max.u64", "and.b64", "or.b64", "xor.b64"].iter().enumerate() {
            let _ = writeln!(text, "red.{space}.{operation} [{base}+{}], w{};", 32 + 8 * n, n % 2);
        }
        // Every thread gets a number of its own: the sum of their squares does not depend on the order.
        let _ = writeln!(
            text,
            "atom.{space}.add.u32 r4, [{base}+80], 1; mul.lo.u32 r4, r4, r4; red.{space}.add.u32 [{base}+84], r4;\n\
             bar.sync 0; setp.ne.u32 p, tid, 0; @p bra end;"
        );
        for n in 0..12 {
            let _ = writeln!(text, "ld.{space}.b64 w2, [{base}+{}]; st.global.b64 [to+{}], w2;", 8 * n, 8 * n);
        }
        text.push_str("end:");
        cases.push(case(&format!("contended {space} memory"), 96, declarations, &text));
    }
    isolated("atomic::contended_words", || {
        Bench::open().kernels(&cases, known_differences("atomic::contended_words"));
    });
}

#[test]
fn words_of_128_bits() {
    let registers = ".reg .b128 u<5>; .reg .pred q2;";
    let own = |space: &str, cell: &str, place: &str| {
        case(
            &format!("128 bits of {space} memory"),
            80,
            &format!("{registers} .shared .align 16 .b8 s[1024];"),
            &format!(
                "{place} ld.global.v2.b64 {{w0, w1}}, [from]; mov.b128 u0, {{w0, w1}}; ld.global.v2.b64 {{w2, w3}}, [from+16]; mov.b128 u1, {{w2, w3}};\n\
                 st{space}.b128 [{cell}], u0; atom{space}.exch.b128 u2, [{cell}], u1; mov.b128 {{w4, w5}}, u2; st.global.v2.b64 [to+16], {{w4, w5}};\n\
                 atom.acq_rel.gpu{space}.cas.b128 u3, [{cell}], u1, u0; mov.b128 {{w4, w5}}, u3; st.global.v2.b64 [to+32], {{w4, w5}};\n\
                 atom{space}.cas.b128 u4, [{cell}], u1, u1; mov.b128 {{w4, w5}}, u4; st.global.v2.b64 [to+48], {{w4, w5}};\n\
                 mov.b128 u3, {{w0, w3}}; atom{space}.cas.b128 u4, [{cell}], u3, u1; ld.acquire.gpu{space}.b128 u4, [{cell}]; mov.b128 {{w4, w5}}, u4;\n\
                 st.global.v2.b64 [to+64], {{w4, w5}};"
            ),
        )
    };
    let shared = "mov.u32 x, s; mad.lo.u32 x, tid, 16, x; cvt.u64.u32 a, x; cvta.shared.u64 a, a;";
    let mut contended = case(
        "contended 128 bits",
        16,
        registers,
        // Both halves in one step, by compare and swap in a loop. The cell is the start of the output.
        "ld.param.u64 a, [out]; cvt.u64.u32 b, tid; add.u64 b, b, 1;\n\
         again: ld.relaxed.gpu.global.b128 u0, [a]; mov.b128 {w0, w1}, u0; add.u64 w2, w0, 1; mad.lo.u64 w3, w1, 1, b; mov.b128 u1, {w2, w3};\n\
         atom.global.cas.b128 u2, [a], u0, u1; mov.b128 {w4, w5}, u2; setp.ne.u64 q, w4, w0; setp.ne.or.u64 q2, w5, w1, q; @q2 bra again;",
    );
    contended.grid = [5, 1, 1];
    let exchanged = case(
        "exchanged 128 bits",
        16,
        &format!("{registers} .shared .align 16 .b8 s[32];"),
        // What each thread gets another has left; which is a matter of order, and the sum is not.
        "mov.u32 x, s; setp.ne.u32 p, tid, 0; mov.u64 w0, 0; @!p st.shared.v2.b64 [x], {w0, w0}; @!p st.shared.v2.b64 [x+16], {w0, w0}; bar.sync 0;\n\
         cvt.u64.u32 w1, tid; mul.lo.u64 w2, w1, 0x123456789; mov.b128 u0, {w1, w2}; atom.shared.exch.b128 u1, [x], u0; mov.b128 {w3, w4}, u1;\n\
         mad.lo.u64 w5, w3, 0x123456789, 0; setp.ne.u64 q, w5, w4; selp.b64 w5, 1, 0, q; red.shared.add.u64 [x+16], w3; red.shared.add.u64 [x+24], w5; bar.sync 0;\n\
         @p bra end; ld.shared.v2.b64 {w5, w6}, [x+16]; ld.shared.v2.b64 {w0, w1}, [x]; add.u64 w5, w5, w0; st.global.v2.b64 [to], {w5, w6};\nend:",
    );
    let cases = [
        own(".global", "to", ""),
        own("", "to", ""),
        own(".shared", "x", shared),
        own("", "a", &format!("{shared} /* of shared memory */")),
        contended,
        exchanged,
    ];
    isolated("atomic::words_of_128_bits", || {
        Bench::open().kernels(&cases, known_differences("atomic::words_of_128_bits"));
    });
}

#[test]
fn barrier_objects() {
    let declarations = ".shared .align 8 .b64 m[2]; .shared .align 4 .b32 s[64];";
    let start = "mov.u32 x, s; shl.b32 y, tid, 2; add.u32 x, x, y; setp.ne.u32 p, tid, 0;\n@p bra ready;\nmbarrier.init.shared.b64 [m], 64; mbarrier.init.shared.b64 [m+8], 32;\nready: bar.sync 0;\n";
    let read = "xor.b32 y, tid, 37; shl.b32 y, y, 2; mov.u32 z, s; add.u32 z, z, y; ld.shared.u32 r0, [z];";
    let cases = vec![
        case(
            "arrive and wait",
            8,
            declarations,
            &format!(
                "{start}mov.u32 r4, 0; mov.u32 r5, 0;\nround: mad.lo.u32 r1, tid, 3, r4; st.shared.u32 [x], r1;\n\
                 mbarrier.arrive.shared.b64 w0, [m];\nspin: mbarrier.test_wait.shared.b64 q, [m], w0; @!q bra spin;\n{read} mad.lo.u32 r5, r5, 31, r0;\n\
                 mbarrier.arrive.release.cta.shared::cta.b64 w0, [m];\nspin2: mbarrier.try_wait.shared.b64 q, [m], w0; @!q bra spin2;\n\
                 add.u32 r4, r4, 1; setp.lt.u32 q, r4, 4; @q bra round;\nst.global.b32 [to], r5;"
            ),
        ),
        case(
            "parity, dropping and bytes",
            16,
            declarations,
            &format!(
                "{start}st.shared.u32 [x], tid; bar.sync 0; setp.ge.u32 q, tid, 32; @q bra others;\n\
                 mbarrier.arrive_drop.shared.b64 _, [m+8];\nothers: @p bra wait;\nmbarrier.expect_tx.relaxed.cta.shared.b64 [m], 48; mbarrier.complete_tx.relaxed.cta.shared.b64 [m], 48; mbarrier.arrive.shared.b64 _, [m], 64;\n\
                 wait: mbarrier.try_wait.parity.shared.b64 q, [m], 0; @!q bra wait;\n\
                 last: mbarrier.test_wait.parity.shared.b64 q, [m+8], 0; @!q bra last;\n{read}\n\
                 mbarrier.test_wait.parity.shared.b64 q, [m], 1; selp.b32 r1, 1, 0, q; cp.async.mbarrier.arrive.noinc.shared.b64 [m];\n\
                 more: mbarrier.test_wait.parity.shared.b64 q, [m], 1; @!q bra more;\nst.global.v2.b32 [to], {{r0, r1}};"
            ),
        ),
    ];
    isolated("atomic::barrier_objects", || {
        Bench::open().kernels(&cases, known_differences("atomic::barrier_objects"));
    });
}
