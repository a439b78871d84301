//! Logic, shifts and permutations of bytes after one another, with constants: programs in which much is known of the bits, so that
//! the translator leaves instructions out.

use crate::memory::case;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

const LOADS: &str =
    "ld.global.v4.b32 {r0, r1, r2, r3}, [from]; ld.global.v4.b32 {r4, r5, r6, r7}, [from+16];\n\
    ld.global.v2.b64 {w0, w1}, [from+32]; ld.global.v2.b64 {w2, w3}, [from+48];\n";

/// A kernel of 64 threads that stores `r0` to `r7` and `w0` to `w3`, which it loads before.
fn kernel(name: &str, text: &str) -> Case {
    let mut body = format!("{LOADS}{text}\n");
    for n in 0..8 {
        let _ = write!(body, "st.global.b32 [to+{}], r{n}; ", 4 * n);
    }
    for n in 0..4 {
        let _ = write!(body, "st.global.b64 [to+{}], w{n}; ", 32 + 8 * n);
    }
    case(name, 64, "", &body)
}

/// A random program. `R`, `W` and `H` are registers that are written, `r` and `w` ones that are read or constants, `h` ones that are
/// read, `k` constants of 16 bits, `n` a number of bits, `t` a table of `lop3`, `s` a selector.
fn program(seed: u64) -> Case {
    let mut random = Random(seed * 2 + 77);
    let forms = [
        "and.b32 R, r, r",
        "and.b32 R, r, r",
        "and.b32 R, r, r",
        "or.b32 R, r, r",
        "or.b32 R, r, r",
        "xor.b32 R, r, r",
        "not.b32 R, r",
        "lop3.b32 R, r, r, r, t",
        "shl.b32 R, r, n",
        "shr.u32 R, r, n",
        "shr.s32 R, r, n",
        "shr.s32 R, r, r",
        "prmt.b32 R, r, r, s",
        "prmt.b32 R, r, r, r",
        "prmt.b32.f4e R, r, r, r",
        "and.b64 W, w, w",
        "or.b64 W, w, w",
        "xor.b64 W, w, w",
        "not.b64 W, w",
        "shl.b64 W, w, n",
        "shr.u64 W, w, n",
        "shr.s64 W, w, n",
        "cvt.u32.u64 R, w",
        "cvt.u64.u32 W, r",
        "mov.b64 W, {r, r}",
        "mov.b32 R, {h, h}",
        "mov.b32 R, {h, h}",
        "and.b16 H, h, k",
        "or.b16 H, h, k",
        "cvt.u32.u16 R, h",
        "cvt.u32.u8 R, r",
        "cvt.u16.u32 H, r",
        "add.u32 R, r, r",
        "@p and.b32 R, r, r",
    ];
    let words = [
        "0x0f0f0f0f",
        "0x80808080",
        "0x7777",
        "0x8888",
        "0x32103210",
        "0x20202020",
        "0xff",
        "0xffff0000",
        "0",
        "-1",
    ];
    let selectors = [
        "0xba98", "0x5410", "0x7632", "0x6420", "0x7531", "0x3340", "0x8880", "0x9910", "0xbbb3",
        "0x0123", "0xfedc", "0x4810",
    ];
    let halves = ["0x7777", "0x8888", "0x00ff", "0xff00", "0x3210"];
    let mut text = String::from("setp.lt.s32 p, r0, r1;\n");
    for n in 0..4 {
        let _ = writeln!(text, "mov.b32 {{h{}, h{}}}, r{n};", 2 * n, 2 * n + 1);
    }
    for _ in 0..48 {
        let form = forms[random.below(forms.len())];
        let (name, operands) = match form.strip_prefix("@p ") {
            Some(rest) => {
                text.push_str("@p ");
                rest.split_once(' ').expect("operands")
            }
            None => form.split_once(' ').expect("operands"),
        };
        let _ = write!(text, "{name} ");
        for c in operands.chars() {
            let constant = random.below(5) < 2 && !name.starts_with("cvt");
            let _ = match c {
                'R' => write!(text, "r{}", random.below(8)),
                'W' => write!(text, "w{}", random.below(4)),
                'H' | 'h' => write!(text, "h{}", random.below(8)),
                'k' => write!(text, "{}", halves[random.below(halves.len())]),
                'r' if constant && !operands.contains('{') => {
                    write!(text, "{}", words[random.below(words.len())])
                }
                'r' => write!(text, "r{}", random.below(8)),
                'w' if constant => {
                    let word = words[random.below(8)];
                    write!(text, "{word}{}", ["", "0", "00000000"][random.below(3)])
                }
                'w' => write!(text, "w{}", random.below(4)),
                'n' => write!(
                    text,
                    "{}",
                    [0, 1, 4, 7, 8, 16, 24, 31, 32, 63, 64][random.below(11)]
                ),
                't' => write!(text, "{}", random.below(256)),
                's' => write!(text, "{}", selectors[random.below(selectors.len())]),
                c => write!(text, "{c}"),
            };
        }
        text.push_str(";\n");
    }
    kernel(&format!("program {seed}"), &text)
}

/// As the device has it, and with bytes permuted the other way.
fn check(name: &str, cases: &[Case]) {
    isolated(name, || {
        let bench = Bench::open();
        bench.kernels(cases, &[]);
        if bench.translates() {
            bench
                .with(|target| target.byte_shuffles = !target.byte_shuffles)
                .kernels(cases, &[]);
        }
    });
}

#[test]
fn random_programs() {
    let cases: Vec<Case> = (0..48).map(program).collect();
    check("logic::random_programs", &cases);
}

/// What compilers make of intrinsics for bytes.
#[test]
fn bytes_of_words() {
    let saturating = "or.b32 x, r0, 0x80808080; sub.u32 x, x, r1; xor.b32 x, x, 0x80808080; xor.b32 y, r0, r1; xor.b32 z, x, r0; and.b32 y, z, y;\n\
        prmt.b32 y, y, 0, 0xba98; prmt.b32 z, r0, 0, 0xba98; xor.b32 z, z, 0x7f7f7f7f; not.b32 r9, y; and.b32 x, x, r9; and.b32 z, z, y; or.b32 r7, z, x;";
    let table = "shr.u32 r8, r0, 16; and.b32 x, r0, 0x77777777; mov.u32 r9, 0xf0e20100; mov.u32 r10, 0x7f80ff03;\n\
        prmt.b32 r1, r9, r10, x; prmt.b32 r2, r10, r9, x; and.b32 y, r0, 0x88888888; shr.u32 y, y, 1; or.b32 y, y, 0x32103210; prmt.b32 r3, r1, r2, y;\n\
        shr.u32 z, x, 16; prmt.b32 r4, r9, r10, z; prmt.b32 r5, r10, r9, z; shr.u32 z, y, 16; prmt.b32 r6, r4, r5, z; mov.u32 z, 0x6420;\n\
        prmt.b32 r4, r3, r6, z; mov.u32 z, 0x7531; prmt.b32 r7, r3, r6, z;";
    // The word is put together of smaller ones, parts of which are looked up as they are.
    let halves = format!(
        ".reg .b16 s<4>; mov.b32 {{s0, s1}}, r1; cvt.u32.u16 r11, s0; mov.b32 r0, {{s0, s1}}; and.b16 s2, s1, 0x7777; cvt.u32.u16 r12, s2;\n{}",
        table.replace("r9, r10, x;", "r9, r10, r13;").replace("r10, r9, x;", "r10, r9, r13;").replace("shr.u32 z, x, 16;", "mov.b32 z, r12;")
            .replace("shr.u32 r8, r0, 16;", "and.b32 r13, r11, 0x7777;")
    );
    let bytes = "and.b32 r11, r1, 255; bfe.u32 r12, r1, 8, 8; bfe.u32 r13, r1, 16, 8; shr.u32 r14, r1, 24; prmt.b32 r15, r12, r11, 0x7604;\n\
        prmt.b32 r8, r13, r15, 0x7054; prmt.b32 r0, r14, r8, 0x654; and.b32 x, r15, 0x7777; mov.u32 r9, 0xf0e20100; mov.u32 r10, 0x7f80ff03;\n\
        prmt.b32 r1, r9, r10, x; prmt.b32 r2, r10, r9, x; and.b32 y, r0, 0x88888888; shr.u32 y, y, 1; or.b32 y, y, 0x32103210; and.b32 z, y, 0x7654;\n\
        prmt.b32 r3, r1, r2, z; shr.u32 z, r0, 16; and.b32 z, z, 0x7777; prmt.b32 r4, r9, r10, z; prmt.b32 r5, r10, r9, z; shr.u32 z, y, 16;\n\
        prmt.b32 r6, r4, r5, z; mov.u32 z, 0x6420; prmt.b32 r4, r3, r6, z; mov.u32 z, 0x7531; prmt.b32 r7, r3, r6, z;";
    let cases = [
        kernel("table of sixteen, of halves", &halves),
        kernel("table of sixteen, of bytes", bytes),
        kernel(
            "saturating difference of small bytes",
            &format!("and.b32 r0, r0, 0x3f3f3f3f; mov.u32 r1, 0x20202020; {saturating}"),
        ),
        kernel("saturating difference of any bytes", saturating),
        kernel("table of sixteen", table),
        kernel(
            "table of sixteen, other orders",
            &table.replace("0x6420", "0x7531").replace("z, 16", "z, 12").replace("r3, r6, z", "r6, r3, z"),
        ),
        kernel(
            "table of eight, signs",
            "mov.u32 x, 0x807f01fe; mov.u32 y, 0x12c4a600; prmt.b32 r1, x, y, r0; prmt.b32 r2, y, y, r0; prmt.b32 r3, x, r4, r0;\n\
             and.b32 z, r0, 0x7677; prmt.b32 r5, x, y, z; prmt.b32 r6, r4, r7, z; and.b32 z, r0, 0xffff8777; prmt.b32 r7, x, y, z;",
        ),
        kernel(
            "one source or the other",
            "shl.b32 r10, r0, 8; shr.u32 r11, r0, 40; shl.b32 r12, r0, r7; and.b32 r13, r7, 63; shr.u32 r6, r0, r13; shl.b32 r7, r0, r13;\n\
             and.b32 x, r0, 0x4444; or.b32 x, x, 0x3210; prmt.b32 r3, r1, r2, x; or.b32 x, x, 0x0123; prmt.b32 r4, r1, r2, x; and.b32 x, r0, 0x4004;\n\
             or.b32 x, x, 0x4440; prmt.b32 r5, r1, r2, x; or.b32 y, x, 0x8000; prmt.b32 r6, r1, r2, y;",
        ),
        kernel(
            "modes of a constant and of two bits",
            "prmt.b32.f4e r2, r0, r1, 7; prmt.b32.b4e r3, r0, r1, 2; prmt.b32.ecl r4, r0, r1, 1; and.b32 x, r7, 2; prmt.b32.rc16 r5, r0, r1, x;\n\
             prmt.b32.ecr r6, r0, r1, x; prmt.b32.rc8 r7, r0, 0x12345678, x;",
        ),
    ];
    check("logic::bytes_of_words", &cases);
}
