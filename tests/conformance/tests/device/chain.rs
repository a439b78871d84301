//! Floating-point instructions after one another, and with constants: what a compiler would take together, leave out, or
//! compute beforehand if each instruction did not round by itself and keep the sign of zero.

use crate::known::known_differences;
use crate::memory::case;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

/// The input of a thread: numbers near 1 in all three precisions, so that nothing becomes subnormal, and at times a special one.
fn input(seed: u64) -> Vec<u8> {
    let mut random = Random(seed * 2 + 5);
    let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0];
    let mut bytes = Vec::new();
    for _ in 0..64 {
        let mut number = || match random.below(4) {
            0 => special[random.below(special.len())],
            _ => {
                let fraction = 1.0 + (random.bits() >> 12) as f64 / (1u64 << 52) as f64;
                let sign = [1.0, -1.0][random.below(2)];
                sign * fraction * [0.25, 0.5, 1.0, 2.0, 4.0][random.below(5)]
            }
        };
        for _ in 0..4 {
            bytes.extend((number() as f32).to_le_bytes());
        }
        for _ in 0..4 {
            bytes.extend(number().to_le_bytes());
        }
        for _ in 0..8 {
            // Half precision, from the upper bits of a single one.
            let bits = (number() as f32).to_bits();
            let half = match bits << 1 >> 24 {
                0 => 0,
                255 => 0x7c00 | bits >> 13 & 0x3ff,
                exponent => (exponent - 112) << 10 | bits >> 13 & 0x3ff,
            };
            bytes.extend(((bits >> 16 & 0x8000 | half) as u16).to_le_bytes());
        }
    }
    bytes
}

const LOADS: &str = "ld.global.v4.f32 {f0, f1, f2, f3}, [from]; ld.global.v2.f64 {g0, g1}, [from+16]; ld.global.v2.f64 {g2, g3}, [from+32];\n\
    ld.global.v4.b16 {h0, h1, h2, h3}, [from+48]; ld.global.v4.b16 {h4, h5, h6, h7}, [from+56];\n";

/// A kernel of 64 threads that stores `f4` to `f7`, `g4` to `g7`, `h4` to `h7`. A NaN's bits are not compared.
fn chain(name: &str, seed: u64, text: &str) -> Case {
    let mut body = format!("{LOADS}mov.f32 f4, f0; mov.f32 f5, f1; mov.f32 f6, f2; mov.f32 f7, f3;\nmov.f64 g4, g0; mov.f64 g5, g1; mov.f64 g6, g2; mov.f64 g7, g3;\n{text}");
    for n in 4..8 {
        let _ = writeln!(
            body,
            "setp.nan.f32 p, f{n}, f{n}; selp.f32 f{n}, 0f7fc00000, f{n}, p; st.global.f32 [to+{}], f{n};\n\
             setp.nan.f64 p, g{n}, g{n}; selp.f64 g{n}, 0d7ff8000000000000, g{n}, p; st.global.f64 [to+{}], g{n};\n\
             setp.nan.f16 p, h{n}, h{n}; selp.b16 h{n}, 0x7fff, h{n}, p; st.global.b16 [to+{}], h{n};",
            4 * (n - 4),
            16 + 8 * (n - 4),
            48 + 2 * (n - 4)
        );
    }
    Case {
        input: input(seed),
        ..case(name, 64, "", &body)
    }
}

/// Constants in the three precisions: zeros, ones, halves, twos, an infinity.
const SINGLE: [&str; 7] = [
    "0f00000000",
    "0f80000000",
    "0f3f800000",
    "0fbf800000",
    "0f3f000000",
    "0f40000000",
    "0f7f800000",
];
const DOUBLE: [&str; 7] = [
    "0d0000000000000000",
    "0d8000000000000000",
    "0d3ff0000000000000",
    "0dbff0000000000000",
    "0d3fe0000000000000",
    "0d4000000000000000",
    "0d7ff0000000000000",
];
const HALF: [&str; 7] = [
    "0x0000", "0x8000", "0x3c00", "0xbc00", "0x3800", "0x4000", "0x7c00",
];

/// A random program. `F`, `G`, `H` are registers that are written, `f`, `g`, `h` ones that are read or constants, `i`, `j`, `k`
/// (single, double, half) inputs or constants: factors, so that numbers grow or shrink by little.
fn program(seed: u64) -> Case {
    random_program("program", seed, 24, &FORMS)
}

const FORMS: [&str; 40] = [
    "add.rn.f32 F, f, f",
    "add.f32 F, f, f",
    "sub.f32 F, f, f",
    "mul.rn.f32 F, f, i",
    "mul.f32 F, f, i",
    "fma.rn.f32 F, f, i, f",
    "fma.rn.f32 F, i, f, f",
    "neg.f32 F, f",
    "abs.f32 F, f",
    "min.f32 F, f, f",
    "max.f32 F, f, f",
    "div.rn.f32 F, f, i",
    "selp.f32 F, f, f, p",
    "cvt.rn.f32.f64 F, g",
    "cvt.f32.f16 F, h",
    "cvt.rni.f32.f32 F, f",
    "add.f64 G, g, g",
    "sub.f64 G, g, g",
    "mul.f64 G, g, j",
    "fma.rn.f64 G, g, j, g",
    "neg.f64 G, g",
    "abs.f64 G, g",
    "min.f64 G, g, g",
    "div.rn.f64 G, g, j",
    "cvt.f64.f32 G, f",
    "cvt.f64.f32 G, f",
    "selp.f64 G, g, g, q",
    "add.f16 H, h, h",
    "sub.f16 H, h, h",
    "mul.f16 H, h, k",
    "fma.rn.f16 H, h, k, h",
    "neg.f16 H, h",
    "max.f16 H, h, h",
    "cvt.rn.f16.f32 H, f",
    "cvt.rn.f16.f64 H, g",
    "cvt.f64.f16 G, h",
    "setp.lt.f32 p, f, f",
    "setp.neu.f64 q, g, g",
    "setp.eq.f16 p, h, h",
    "setp.leu.f32 q, f, f",
];

/// Of doubles alone, mostly those of which one loop is made where doubles are integers, with moves and loads in between.
const FORMS_OF_DOUBLES: [&str; 12] = [
    "add.f64 G, g, g",
    "add.rn.f64 G, g, g",
    "sub.f64 G, g, g",
    "mul.f64 G, g, j",
    "mul.rn.f64 G, g, j",
    "fma.rn.f64 G, g, j, g",
    "fma.rn.f64 G, j, g, g",
    "fma.rn.f64 G, g, j, j",
    "mad.rn.f64 G, g, j, g",
    "mov.f64 G, j",
    "neg.f64 G, j",
    "ld.global.f64 G, []",
];

fn random_program(name: &str, seed: u64, length: usize, forms: &[&str]) -> Case {
    let mut random = Random(seed * 2 + 31);
    let mut text = String::from("setp.lt.f32 p, f0, f1; setp.gt.f64 q, g0, g1;\n");
    for _ in 0..length {
        let form = forms[random.below(forms.len())];
        let (name, operands) = form.split_once(' ').expect("operands");
        let _ = write!(text, "{name} ");
        // One constant at most, and not alone: what is made of constants only is constant, too.
        let mut constants = usize::from(operands.matches(',').count() > 1);
        for c in operands.chars() {
            let constant = constants > 0 && c.is_lowercase() && random.below(3) == 0;
            constants -= usize::from(constant);
            let n = random.below(7);
            let _ = match c {
                'F' | 'G' | 'H' => write!(text, "{}{}", c.to_ascii_lowercase(), 4 + n % 4),
                'p' | 'q' => write!(text, "{c}"),
                'f' | 'i' if constant => write!(text, "{}", SINGLE[n]),
                'g' | 'j' if constant => write!(text, "{}", DOUBLE[n]),
                'h' | 'k' if constant => {
                    // Half precision has no constants of its own.
                    let _ = write!(text, "#");
                    write!(text, "{}", HALF[n])
                }
                'i' => write!(text, "f{}", n % 4),
                'j' => write!(text, "g{}", n % 4),
                'k' => write!(text, "h{}", n % 4),
                'f' | 'g' | 'h' => write!(text, "{c}{}", random.below(8)),
                c => write!(text, "{c}"),
            };
        }
        text.push_str(";\n");
    }
    let text = text.replace("[]", "[from+24]");
    chain(&format!("{name} {seed}"), seed, &halves(&text))
}

/// Puts constants of half precision (`#0x3c00`) into registers, each into one of its own.
fn halves(text: &str) -> String {
    let mut output = String::from(".reg .b16 c<80>;\n");
    let mut rest = text.to_owned();
    for n in 0.. {
        let Some(at) = rest.find('#') else { break };
        let constant = rest[at + 1..at + 7].to_owned();
        let _ = writeln!(output, "mov.b16 c{n}, {constant};");
        rest.replace_range(at..at + 7, &format!("c{n}"));
    }
    output + &rest
}

fn check(name: &str, cases: &[Case]) {
    isolated(name, || {
        // Without the correction of double rounding where fma is made of double precision, as the library has it: one result in 2^29
        // would differ, and there are fewer.
        Bench::open().kernels(cases, known_differences(name));
    });
}

/// A sum with positive zero is not its other operand, which may be negative zero.
#[test]
fn zeros_keep_their_signs() {
    let (zero, minus) = (SINGLE[0], SINGLE[1]);
    let cases = [
        chain("sums", 1, &format!("add.f32 f4, f0, {zero}; add.f32 f5, f1, {minus}; sub.f32 f6, f2, {zero}; sub.f32 f7, {zero}, f3;")),
        chain("fused", 2, &format!("fma.rn.f32 f4, f0, f1, {zero}; fma.rn.f32 f5, f1, f2, {minus}; fma.rn.f32 f6, f2, {zero}, f3; fma.rn.f32 f7, {minus}, f3, f0;")),
        chain("products", 3, &format!("mul.f32 f4, f0, {zero}; mul.f32 f5, f1, 0fbf800000; mul.f32 f6, f2, 0f3f800000; mul.rn.f32 f7, f3, {minus};")),
        chain("doubles", 4, "add.f64 g4, g0, 0d0000000000000000; sub.f64 g5, 0d0000000000000000, g1; fma.rn.f64 g6, g2, g3, 0d0000000000000000; mul.f64 g7, g3, 0d0000000000000000;"),
        chain("halves", 5, &halves("add.f16 h4, h0, #0x0000; sub.f16 h5, #0x0000, h1; fma.rn.f16 h6, h2, h3, #0x0000; sub.f16 h7, h3, #0x8000;")),
        // What sine of a single-precision number ends with.
        chain("sine", 6, &format!("mul.rn.f32 f4, f0, f0; fma.rn.f32 f5, f4, f0, {zero}; fma.rn.f32 f6, f4, f5, f0;")),
    ];
    check("chain::zeros_keep_their_signs", &cases);
}

/// Products that a sum needs exactly and something else needs as well: rounded, in another sum, with another sign.
#[test]
fn products_of_several_sums() {
    let constant = SINGLE[3];
    let cases = [
        chain("error of a product", 20, "mul.rn.f32 f4, f0, f1; neg.f32 f5, f4; fma.rn.f32 f6, f0, f1, f5; fma.rn.f32 f7, f1, f0, f5;"),
        chain("error of a product, default", 21, "mul.f32 f4, f0, f1; neg.f32 f5, f4; fma.rn.f32 f6, f0, f1, f5; add.f32 f7, f6, f4;"),
        chain("two sums", 22, "fma.rn.f32 f4, f0, f1, f2; fma.rn.f32 f5, f0, f1, f3; fma.rn.f32 f6, f1, f0, f4; fma.rn.f32 f7, f0, f1, f5;"),
        chain("signs", 23, "neg.f32 f4, f0; fma.rn.f32 f5, f4, f1, f2; fma.rn.f32 f6, f0, f1, f3; neg.f32 f4, f1; fma.rn.f32 f7, f0, f4, f2;"),
        chain("squares", 24, "mul.f32 f4, f0, f0; fma.rn.f32 f5, f0, f0, f1; fma.rn.f32 f6, f0, f0, f2; sub.f32 f7, f5, f4;"),
        chain("constants", 25, &format!("fma.rn.f32 f4, f0, {constant}, f1; fma.rn.f32 f5, f0, {constant}, f2; mul.f32 f6, f0, {constant}; fma.rn.f32 f7, f0, {constant}, f3;")),
        chain("constant sums", 26, &format!("fma.rn.f32 f4, f0, f1, {constant}; fma.rn.f32 f5, f2, f3, 0f3eaaaaab; fma.rn.f32 f6, f4, f4, {constant}; mul.f32 f7, f4, f4;")),
        chain("of conditions", 27, "setp.lt.f32 p, f2, f3; mul.f32 f4, f0, f1; @p fma.rn.f32 f4, f0, f1, f2; fma.rn.f32 f5, f0, f1, f3; @!p fma.rn.f32 f5, f0, f1, f2; mov.f32 f6, f4; mov.f32 f7, f5;"),
        chain("differences", 28, "mul.f32 f4, f0, f1; fma.rn.f32 f5, f2, f3, f4; neg.f32 f6, f5; fma.rn.f32 f6, f0, f1, f6; fma.rn.f32 f7, f2, f3, f6;"),
        chain("constants alone", 29, "mov.f32 f4, 0f3f8ccccd; fma.rn.f32 f5, f4, f4, f0; mov.f32 f6, 0f3dcccccd; fma.rn.f32 f7, f4, f6, f1;"),
    ];
    check("chain::products_of_several_sums", &cases);
}

/// Whatever is rounded on the way stays so.
#[test]
fn every_step_rounds() {
    let cases = [
        chain("single and back", 7, "cvt.rn.f32.f64 f4, g0; cvt.f64.f32 g4, f4; sub.f64 g5, g4, g0; setp.neu.f64 p, g4, g0; selp.f32 f5, 0f3f800000, 0f00000000, p;"),
        chain("half and back", 8, "cvt.rn.f16.f32 h4, f0; cvt.f32.f16 f4, h4; sub.f32 f5, f4, f0; cvt.rn.f16.f64 h5, g1; cvt.f64.f16 g5, h5; sub.f64 g6, g5, g1;"),
        chain("fused sums", 9, "fma.rn.f32 f4, f0, f1, f2; fma.rn.f32 f5, f4, f1, f3; fma.rn.f32 f6, f5, f4, f0; fma.rn.f32 f7, f6, f2, f5;"),
        chain("half sums", 10, "add.f16 h4, h0, h1; add.f16 h5, h4, h2; fma.rn.f16 h6, h5, h4, h3; mul.f16 h7, h6, h5;"),
        chain("half of sums", 11, "fma.rn.f32 f4, f0, f1, f2; cvt.rn.f16.f32 h4, f4; cvt.f32.f16 f5, h4; fma.rn.f32 f6, f5, f5, f4; cvt.rn.f16.f32 h5, f6; add.f16 h6, h5, h4;"),
        chain("of doubles", 12, "cvt.rn.f32.f64 f4, g0; fma.rn.f32 f5, f4, f0, f1; cvt.f64.f32 g4, f5; cvt.rn.f32.f64 f6, g4; sub.f64 g5, g0, g4;"),
    ];
    check("chain::every_step_rounds", &cases);
}

#[test]
fn random_programs() {
    let cases: Vec<Case> = (0..60).map(program).collect();
    check("chain::random_programs", &cases);
}

/// Doubles, and doubles as integers, as devices without double precision have them.
#[test]
fn random_programs_of_doubles() {
    // The last ones have so many fused operations that loops are made of them where they alone are integers.
    let length = |seed| if seed < 24 { 24 } else { 320 };
    let cases: Vec<Case> = (0..27)
        .map(|seed| random_program("doubles", seed, length(seed), &FORMS_OF_DOUBLES))
        .collect();
    let name = "chain::random_programs_of_doubles";
    isolated(name, || {
        let bench = Bench::open();
        bench.kernels(&cases, known_differences(name));
        if bench.translates() {
            let without = bench.with(|target| target.float64 = false);
            without.kernels(&cases, known_differences(name));
        }
    });
}
