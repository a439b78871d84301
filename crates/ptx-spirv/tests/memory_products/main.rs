//! Products of matrices through workgroup memory, run: a warp's SPIR-V is interpreted, with cooperative matrices as the
//! specification has them, and every element of D compared. No device has all the shapes.

#[path = "../common/mod.rs"]
mod common;
mod machine;

use common::{instructions, through_memory, translate};
use machine::{f64_to_half, half_to_f64, run, LANES, STRIDE};
use ptx_spirv::{MatrixShape, Target};
use rspirv::dr::Operand;
use rspirv::spirv::Op;
use std::collections::HashMap;
use std::fmt::Write;

/// A product as PTX writes it.
struct Form {
    text: &'static str,
    k: usize,
    /// Registers of A, B and C.
    registers: (usize, usize, usize),
    /// f16, s8 or u8.
    element: &'static str,
    /// Sums of half precision, of single precision, or integers.
    sum: &'static str,
}

const FORMS: [Form; 8] = [
    Form {
        text: "m16n8k16.row.col.f32.f16.f16.f32",
        k: 16,
        registers: (4, 2, 4),
        element: "f16",
        sum: "f32",
    },
    Form {
        text: "m16n8k16.row.col.f16.f16.f16.f16",
        k: 16,
        registers: (4, 2, 2),
        element: "f16",
        sum: "f16",
    },
    Form {
        text: "m16n8k8.row.col.f32.f16.f16.f32",
        k: 8,
        registers: (2, 1, 4),
        element: "f16",
        sum: "f32",
    },
    Form {
        text: "m16n8k8.row.col.f16.f16.f16.f16",
        k: 8,
        registers: (2, 1, 2),
        element: "f16",
        sum: "f16",
    },
    Form {
        text: "m16n8k32.row.col.s32.s8.s8.s32",
        k: 32,
        registers: (4, 2, 4),
        element: "s8",
        sum: "s32",
    },
    Form {
        text: "m16n8k16.row.col.s32.s8.s8.s32",
        k: 16,
        registers: (2, 1, 4),
        element: "s8",
        sum: "s32",
    },
    Form {
        text: "m16n8k32.row.col.s32.u8.u8.s32",
        k: 32,
        registers: (4, 2, 4),
        element: "u8",
        sum: "s32",
    },
    Form {
        text: "m16n8k16.row.col.s32.u8.u8.s32",
        k: 16,
        registers: (2, 1, 4),
        element: "u8",
        sum: "s32",
    },
];

/// How the registers of A and B get their values.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Source {
    /// From global memory, word by word.
    Words,
    /// By `ldmatrix`, from rows in any order.
    Rows,
    /// By `ldmatrix` whose matrices come in another order (the one of the second column before the one of the second half of the rows).
    RowsBeside,
    /// By `ldmatrix`, from rows at equal distances, by addresses that depend on the lane alone.
    EqualRows,
}

impl Source {
    /// The half of the rows and the group of k that a matrix of A has, of so many.
    fn place(self, matrix: usize, count: usize) -> (usize, usize) {
        match self {
            Self::RowsBeside if count == 4 => (matrix / 2, matrix % 2),
            _ => (matrix % 2, matrix / 2),
        }
    }
}

impl Form {
    /// D = A B + C and then D = A B + D, `times` products in all.
    fn kernel(&self, times: usize, source: Source) -> String {
        let (a, b, c) = self.registers;
        let list = |prefix: &str, from: usize, count: usize| {
            let names: Vec<String> = (from..from + count)
                .map(|n| format!("{prefix}{n}"))
                .collect();
            format!("{{{}}}", names.join(", "))
        };
        let kind = if self.sum == "f32" { "f32" } else { "b32" };
        let mut text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
             .reg .b32 %r<9>;\n.reg .{kind} %c<9>;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
             mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n"
        );
        if source == Source::Words {
            for n in 0..a + b {
                let _ = writeln!(text, "ld.global.b32 %r{}, [%a2+{}];", n + 1, 4 * n);
            }
        } else {
            let order: Vec<String> = (0..a)
                .map(|matrix| {
                    let (h, q) = source.place(matrix, a);
                    format!("%r{}", 1 + h + 2 * q)
                })
                .collect();
            let _ = writeln!(
                text,
                ".shared .align 16 .b8 tile[1024];\n.reg .b32 %w<8>, %o<10>, %q<6>;\n\
                 ld.global.v4.b32 {{%w0, %w1, %w2, %w3}}, [%a2+160];\nld.global.v4.b32 {{%w4, %w5, %w6, %w7}}, [%a2+176];\n\
                 ld.global.v2.b32 {{%o0, %o1}}, [%a2+192];\nmov.u32 %o2, tile;\nadd.u32 %o3, %o2, %o0;\nadd.u32 %o4, %o2, %o1;\n\
                 st.shared.v4.b32 [%o3], {{%w0, %w1, %w2, %w3}};\nst.shared.v4.b32 [%o4], {{%w4, %w5, %w6, %w7}};\nbar.sync 0;"
            );
            let rows = match source {
                Source::EqualRows => {
                    text.push_str(
                        "and.b32 %o5, %r0, 15;\nshl.b32 %o6, %o5, 5;\nand.b32 %o7, %r0, 16;\nadd.u32 %o8, %o6, %o7;\nadd.u32 %o9, %o8, %o2;\nand.b32 %q0, %r0, 7;\nshl.b32 %q1, %q0, 5;\nand.b32 %q2, %r0, 8;\nshl.b32 %q3, %q2, 1;\nadd.u32 %q4, %q1, %q3;\nadd.u32 %q5, %q4, %o2;\n",
                    );
                    ["%o9", "%q5+512"]
                }
                _ => ["%o3", "%o4"],
            };
            let text_of = |count: usize, registers: String, row: &str| {
                format!("ldmatrix.sync.aligned.m8n8.x{count}.shared.b16 {registers}, [{row}];\n")
            };
            text.push_str(&text_of(a, format!("{{{}}}", order.join(", ")), rows[0]));
            text.push_str(&text_of(b, list("%r", 1 + a, b), rows[1]));
        }
        for n in 0..c {
            let _ = writeln!(text, "ld.global.{kind} %c{n}, [%a2+{}];", 64 + 4 * n);
        }
        for _ in 0..times {
            let (sums, a_list, b_list) = (list("%c", 0, c), list("%r", 1, a), list("%r", 1 + a, b));
            let _ = writeln!(
                text,
                "mma.sync.aligned.{} {sums}, {a_list}, {b_list}, {sums};",
                self.text
            );
        }
        for n in 0..c {
            let _ = writeln!(text, "st.global.{kind} [%a2+{}], %c{n};", 128 + 4 * n);
        }
        text.push_str("ret;\n}\n");
        text
    }

    /// Elements in a register.
    fn per_register(&self) -> usize {
        if self.element == "f16" {
            2
        } else {
            4
        }
    }

    /// Bits of a whole number as an element.
    fn bits(&self, v: i32) -> u32 {
        match self.element {
            "f16" => f64_to_half(f64::from(v)) as u32,
            _ => v as u8 as u32,
        }
    }
}

/// Fills the fragments of a product with small numbers, by the layout that PTX ISA publishes, and checks D.
fn check(form: &Form, target: &Target, times: usize, source: Source) -> usize {
    let mut state = 12345u32;
    let mut small = |from: i32, to: i32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        from + (state >> 16) as i32 % (to - from + 1)
    };
    let low = if form.element == "u8" { 0 } else { -3 };
    let a: Vec<Vec<i32>> = (0..16)
        .map(|_| (0..form.k).map(|_| small(low, 3)).collect())
        .collect();
    let b: Vec<Vec<i32>> = (0..form.k)
        .map(|_| (0..8).map(|_| small(low, 3)).collect())
        .collect();
    let c: Vec<Vec<i32>> = (0..16)
        .map(|_| (0..8).map(|_| small(-9, 9)).collect())
        .collect();
    let mut global = vec![0u8; LANES * STRIDE];
    let each = form.per_register();
    let (a_count, b_count, c_count) = form.registers;
    let mut put = |lane: usize, at: usize, word: u32| {
        let at = lane * STRIDE + at;
        global[at..at + 4].copy_from_slice(&word.to_le_bytes());
    };
    for lane in 0..LANES {
        let (g, t) = (lane / 4, lane % 4);
        let pack = |element: &dyn Fn(usize) -> i32| {
            (0..each).fold(0, |w, e| w | form.bits(element(e)) << (32 / each * e))
        };
        for n in 0..a_count {
            let (row, k) = (g + 8 * (n % 2), each * (t + 4 * (n / 2)));
            put(lane, 4 * n, pack(&|e| a[row][k + e]));
        }
        for n in 0..b_count {
            let k = each * (t + 4 * n);
            put(lane, 4 * (a_count + n), pack(&|e| b[k + e][g]));
        }
        for n in 0..c_count {
            let word = match form.sum {
                "f16" => {
                    let row = &c[g + 8 * n];
                    form.bits(row[2 * t]) | form.bits(row[2 * t + 1]) << 16
                }
                sum => {
                    let v = c[g + 8 * (n / 2)][2 * t + n % 2];
                    if sum == "f32" {
                        (v as f32).to_bits()
                    } else {
                        v as u32
                    }
                }
            };
            put(lane, 64 + 4 * n, word);
        }
    }
    for lane in 0..LANES {
        let (matrix, row) = (lane / 8, lane % 8);
        let elements = 4 * each;
        let mut put_row = |at: usize, element: &dyn Fn(usize) -> i32| {
            for n in 0..4 {
                let word = (0..each).fold(0, |w, e| {
                    w | form.bits(element(n * each + e)) << (32 / each * e)
                });
                put(lane, at + 4 * n, word);
            }
        };
        let (h, q) = source.place(matrix, a_count);
        if matrix < a_count {
            put_row(160, &|e| a[8 * h + row][elements * q + e]);
        }
        if matrix < b_count {
            put_row(176, &|e| b[elements * matrix + e][row]);
        }
        let places = match source {
            Source::EqualRows => {
                let beside = match lane {
                    0..16 => lane % 8 * 32 + lane / 8 * 16,
                    _ => lane * 16,
                };
                [lane % 16 * 32 + lane / 16 * 16, 512 + beside]
            }
            _ => [(lane * 5 + 3) % 32 * 16, 512 + (lane * 11 + 7) % 32 * 16],
        };
        put(lane, 192, places[0] as u32);
        put(lane, 196, places[1] as u32);
    }
    let products = run(&form.kernel(times, source), target, &mut global);
    for lane in 0..LANES {
        let (g, t) = (lane / 4, lane % 4);
        for n in 0..c_count {
            let at = lane * STRIDE + 128 + 4 * n;
            let word = u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"));
            let want = |row: usize, column: usize| -> i32 {
                let dot: i32 = (0..form.k).map(|k| a[row][k] * b[k][column]).sum();
                c[row][column] + times as i32 * dot
            };
            let found: Vec<(i32, i32)> = match form.sum {
                "f16" => (0..2)
                    .map(|e| {
                        (
                            half_to_f64(u64::from(word >> (16 * e) & 0xffff)) as i32,
                            want(g + 8 * n, 2 * t + e),
                        )
                    })
                    .collect(),
                sum => {
                    let v = if sum == "f32" {
                        f32::from_bits(word) as i32
                    } else {
                        word as i32
                    };
                    vec![(v, want(g + 8 * (n / 2), 2 * t + n % 2))]
                }
            };
            for (found, want) in found {
                assert_eq!(found, want, "{} lane {lane} word {n}", form.text);
            }
        }
    }
    products
}

/// Every form on devices of every shape.
fn everywhere(mut f: impl FnMut(&Form, &Target)) {
    for (m, n) in [(8, 8), (8, 16), (16, 8), (16, 16)] {
        for bytes in [16, 32] {
            let mut target = through_memory(m, n, bytes);
            for registers in [0, 64] {
                target.registers = registers;
                FORMS.iter().for_each(|form| f(form, &target));
            }
        }
    }
}

#[test]
fn every_shape_gives_the_product() {
    everywhere(|form, target| {
        for times in [1, 3] {
            check(form, target, times, Source::Words);
        }
    });
}

#[test]
fn rows_that_ldmatrix_loads_are_fragments() {
    everywhere(|form, target| {
        for source in [Source::Rows, Source::RowsBeside, Source::EqualRows] {
            check(form, target, 2, source);
        }
    });
}

#[test]
fn nobody_loads_the_words_of_rows() {
    let count = |op: Op, (m, n): (u8, u8), source: Source| {
        let text = FORMS[0].kernel(1, source);
        let mut target = through_memory(m, n, 32);
        // Which rspirv cannot parse.
        target.maximal_reconvergence = false;
        let translated = translate(&text, "k", &target).expect("a translation");
        let all = instructions(&translated.spirv);
        all.iter().filter(|i| i.class.opcode == op).count()
    };
    // Words come from rows by the addresses of other lanes.
    assert!(count(Op::GroupNonUniformShuffle, (16, 16), Source::Rows) > 0);
    for shape in [(8, 8), (8, 16), (16, 8)] {
        assert_eq!(count(Op::GroupNonUniformShuffle, shape, Source::Rows), 0);
        // Two copies into the slot, where rows lie in disorder.
        let stores = |source| count(Op::Store, shape, source);
        assert_eq!(stores(Source::Rows), stores(Source::EqualRows) + 2);
    }
}

/// Where there are few registers, matrices are not kept from product to product, and copying rows is more work than copying words.
#[test]
fn rows_that_many_products_read_are_words_where_registers_are_few() {
    let shuffles = |registers, products| {
        let mut target = through_memory(16, 8, 32);
        target.registers = registers;
        target.maximal_reconvergence = false;
        let text = FORMS[0].kernel(products, Source::Rows);
        let translated = translate(&text, "k", &target).expect("a translation");
        let all = instructions(&translated.spirv);
        all.iter()
            .filter(|i| i.class.opcode == Op::GroupNonUniformShuffle)
            .count()
    };
    assert_eq!(
        [(0, 9), (64, 5), (64, 6)].map(|(registers, products)| shuffles(registers, products) > 0),
        [false, false, true]
    );
}

#[test]
fn a_product_takes_as_many_of_the_device_as_its_shape_says() {
    let half = |m, n| {
        let mut target = through_memory(m, n, 32);
        target.matrix_units.memory.half_single = Some(MatrixShape::new(m, n, 16));
        check(&FORMS[0], &target, 1, Source::Words)
    };
    assert_eq!(
        [half(16, 8), half(8, 16), half(8, 8), half(16, 16)],
        [1, 1, 2, 1]
    );
    // Bytes of 16 elements of k at a time.
    assert_eq!(
        check(&FORMS[4], &through_memory(16, 8, 16), 1, Source::Words),
        2
    );
}

/// A kernel that has more values at a time than the device has registers, several times with others.
fn crowded(count: usize, rounds: usize) -> String {
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .b32 %r<{}>;\n.reg .b32 %sum;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\nmov.u32 %sum, 0;\n",
        rounds * count + 1
    );
    for round in 0..rounds {
        let registers = round * count + 1..=(round + 1) * count;
        for n in registers.clone() {
            let _ = writeln!(text, "ld.global.b32 %r{n}, [%a2+{}];", n % 16 * 4);
        }
        for n in registers.clone().chain(registers) {
            let _ = writeln!(text, "mad.lo.u32 %sum, %sum, 3, %r{n};");
        }
    }
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    text
}

/// Runs [`crowded`] and tells how many words of memory its registers have, and at how many places.
fn run_crowded(count: usize, rounds: usize, registers: u32) -> (usize, usize) {
    let text = crowded(count, rounds);
    let expected = |global: &[u8], lane: usize| {
        let word = |n: usize| {
            let at = lane * STRIDE + n % 16 * 4;
            u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"))
        };
        (0..rounds)
            .map(|round| round * count + 1..=(round + 1) * count)
            .flat_map(|registers| registers.clone().chain(registers))
            .fold(0u32, |sum, n| sum.wrapping_mul(3).wrapping_add(word(n)))
    };
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let mut target = Target::xe2();
    target.registers = registers;
    let mut global = start.clone();
    run(&text, &target, &mut global);
    for lane in 0..LANES {
        let at = lane * STRIDE + 128;
        let word = u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(word, expected(&start, lane), "lane {lane}");
    }
    target.maximal_reconvergence = false;
    let translated = translate(&text, "k", &target).expect("a translation");
    let all = instructions(&translated.spirv);
    let of = |opcode| all.iter().filter(move |i| i.class.opcode == opcode);
    let lengths: HashMap<u32, u32> = of(Op::Constant)
        .filter_map(|i| match i.operands[0] {
            Operand::LiteralBit32(n) => Some((i.result_id?, n)),
            _ => None,
        })
        .collect();
    // The parameters' words are in a structure, and no array of this length.
    let words = of(Op::TypeArray).filter_map(|i| match i.operands[1] {
        Operand::IdRef(length) => lengths.get(&length).copied(),
        _ => None,
    });
    (
        words.max().unwrap_or(0) as usize,
        of(Op::AccessChain).count(),
    )
}

#[test]
fn registers_that_are_kept_in_memory_keep_their_values() {
    for registers in [0, 32, 64] {
        let (_, places) = run_crowded(60, 1, registers);
        // The parameter alone, or many loads and stores.
        assert_eq!(
            places > 60,
            registers > 0,
            "{places} places for {registers} registers"
        );
    }
}

#[test]
fn registers_that_are_not_alive_together_share_memory() {
    for registers in [32, 64] {
        let (words, places) = run_crowded(60, 1, registers);
        let (words_of_four, places_of_four) = run_crowded(60, 4, registers);
        assert!(words > 0, "registers in memory");
        assert!(
            places_of_four >= 3 * places,
            "{places} and {places_of_four}"
        );
        assert!(
            words_of_four <= words + words / 8,
            "{words_of_four} words for four times {words}"
        );
    }
}

/// Sums are written to registers when one of them is read: those that nobody reads, too, whose memory must not be others'
/// by then.
#[test]
fn sums_that_are_not_read_do_not_overwrite_other_registers() {
    const COUNT: usize = 60;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .b32 %x<{COUNT}>;\n.reg .b32 %y<{COUNT}>;\n.reg .b32 %t;\n.reg .b32 %d<4>;\n.reg .b32 %sum;\n\
         ld.param.u64 %a0, [p];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %a1, %t, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n\
         mov.u32 %sum, 0;\nmov.u32 %d0, 0;\nmov.u32 %d1, 0;\nmov.u32 %d2, 0;\nmov.u32 %d3, 0;\n"
    );
    let load = |text: &mut String, name: char| {
        for n in 0..COUNT {
            let _ = writeln!(text, "ld.global.b32 %{name}{n}, [%a2+{}];", n % 16 * 4);
        }
    };
    let add = |text: &mut String, name: char| {
        // Often enough that the sums are rather kept in memory.
        for n in (0..8 * COUNT).map(|n| n % COUNT) {
            let _ = writeln!(text, "mad.lo.u32 %sum, %sum, 3, %{name}{n};");
        }
    };
    let product =
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%d0,%d1,%d2,%d3}, {%x0,%x1}, {%x2}, \
                   {%d0,%d1,%d2,%d3};\n";
    load(&mut text, 'x');
    text.push_str(product);
    add(&mut text, 'x');
    for n in 0..4 {
        let _ = writeln!(text, "st.global.b32 [%a2+{}], %d{n};", 144 + n * 4);
    }
    text.push_str(product);
    load(&mut text, 'y');
    text.push_str("st.global.b32 [%a2+160], %d0;\n");
    add(&mut text, 'y');
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let mut results = [0, 32, 64].map(|registers| {
        let mut target = Target::xe2();
        target.registers = registers;
        let mut global = start.clone();
        run(&text, &target, &mut global);
        global
    });
    let plain = std::mem::take(&mut results[0]);
    assert_ne!(plain, start);
    assert!(results[1..].iter().all(|r| *r == plain));
}

/// Runs a kernel with registers enough and with few, which changes nothing but that so many rounds of its products are written once.
fn check_rolled_up(text: &str, start: &[u8], rounds: usize) {
    let [plain, rolled] = [0, 32].map(|registers| {
        let mut target = Target::xe2();
        target.registers = registers;
        let mut global = start.to_vec();
        let executed = run(text, &target, &mut global);
        target.maximal_reconvergence = false;
        let translated = translate(text, "k", &target).expect("a translation");
        let written = instructions(&translated.spirv)
            .iter()
            .filter(|i| i.class.opcode == Op::CooperativeMatrixMulAddKHR)
            .count();
        (global, executed, written)
    });
    assert_ne!(plain.0, start);
    assert_eq!(plain.0, rolled.0);
    assert_eq!(plain.1, rolled.1);
    assert_eq!((plain.2, rolled.2 * rounds), (plain.1, rolled.1));
}

/// Products that differ in their registers alone are one in a loop, where a lane has few registers.
#[test]
fn unrolled_products_are_rolled_up() {
    const PRODUCTS: usize = 64;
    let list = |name: &str, from: usize, count: usize| {
        let all: Vec<String> = (from..from + count)
            .map(|n| format!("%{name}{n}"))
            .collect();
        format!("{{{}}}", all.join(", "))
    };
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .b32 %x<16>;\n.reg .b32 %y<16>;\n.reg .b32 %d<16>;\n.reg .b32 %t;\n\
         ld.param.u64 %a0, [p];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %a1, %t, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n"
    );
    for n in 0..16 {
        let _ = writeln!(
            text,
            "ld.global.b32 %x{n}, [%a2+{}];\nld.global.b32 %y{n}, [%a2+{}];\nmov.b32 %d{n}, 0;",
            4 * n,
            64 + 4 * n
        );
    }
    for n in 0..PRODUCTS {
        let (d, a, b) = (
            list("d", 4 * (n / 16), 4),
            list("x", 4 * (n % 4), 4),
            list("y", 2 * (n % 8), 2),
        );
        let _ = writeln!(
            text,
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d}, {a}, {b}, {d};"
        );
    }
    for n in 0..16 {
        let _ = writeln!(text, "st.global.b32 [%a2+{}], %d{n};", 128 + 4 * n);
    }
    text.push_str("ret;\n}\n");
    // Small whole numbers of half precision.
    let start: Vec<u8> = (0..LANES * STRIDE / 2)
        .flat_map(|n| (f64_to_half((n * n % 7) as f64 - 3.0) as u16).to_le_bytes())
        .collect();
    check_rolled_up(&text, &start, PRODUCTS);
}

/// Products of integers whose sums are scaled one by one, column after column of tiles, are those of one column in a loop.
#[test]
fn columns_of_scaled_products_are_rolled_up() {
    const COLUMNS: usize = 26;
    const STEPS: usize = 8;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 16 .b8 columns[8192];\n\
         .entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n.reg .b32 %x<16>;\n.reg .b32 %b<2>;\n.reg .b32 %d<4>;\n\
         .reg .b32 %t;\n.reg .b32 %c;\n.reg .b32 %s<{}>;\n\
         ld.param.u64 %a0, [p];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %a1, %t, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n\
         mov.u32 %c, columns;\nmad.lo.u32 %c, %t, 256, %c;\n",
        4 * COLUMNS
    );
    for n in 0..16 {
        let _ = writeln!(text, "ld.global.b32 %x{n}, [%a2+{}];", 4 * n);
    }
    for n in 0..64 {
        let _ = writeln!(
            text,
            "mad.lo.u32 %d0, %x{}, {}, {n};\nst.shared.b32 [%c+{}], %d0;",
            n % 16,
            2 * n + 1,
            4 * n
        );
    }
    text.push_str("bar.warp.sync 0xffffffff;\n");
    for n in 0..4 * COLUMNS {
        let _ = writeln!(text, "mov.b32 %s{n}, 0;");
    }
    for column in 0..COLUMNS {
        for k in 0..STEPS {
            let _ = writeln!(
                text,
                "ld.shared.b32 %b0, [%c+{}];\nld.shared.b32 %b1, [%c+{}];",
                8 * column + 4 * k,
                8 * column + 4 * k + 4
            );
            (0..4).for_each(|n| text.push_str(&format!("mov.b32 %d{n}, 0;\n")));
            let a: Vec<String> = (0..4).map(|n| format!("%x{}", 4 * (k % 4) + n)).collect();
            let _ = writeln!(
                text,
                "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {{%d0, %d1, %d2, %d3}}, {{{}}}, {{%b0, %b1}}, \
                 {{%d0, %d1, %d2, %d3}};",
                a.join(", ")
            );
            for n in 0..4 {
                let sum = 4 * column + n;
                let _ = writeln!(text, "mad.lo.u32 %s{sum}, %d{n}, %x{k}, %s{sum};");
            }
        }
    }
    for n in 0..4 {
        let _ = writeln!(text, "mov.b32 %d{n}, 0;");
        for column in 0..COLUMNS {
            let _ = writeln!(text, "mad.lo.u32 %d{n}, %d{n}, 3, %s{};", 4 * column + n);
        }
        let _ = writeln!(text, "st.global.b32 [%a2+{}], %d{n};", 128 + 4 * n);
    }
    text.push_str("ret;\n}\n");
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    check_rolled_up(&text, &start, COLUMNS);
}

/// Predicates are words of registers, too, where each lane has its own.
#[test]
fn predicates_that_are_kept_in_memory_keep_their_values() {
    const COUNT: usize = 40;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .pred %q<{COUNT}>;\n.reg .b32 %r<3>;\n.reg .b32 %sum;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\nmov.u32 %sum, 0;\n"
    );
    for n in 0..COUNT {
        let _ = writeln!(
            text,
            "ld.global.b32 %r1, [%a2+{}];\nsetp.ge.u32 %q{n}, %r1, {};",
            n % 16 * 4,
            0x0600_0000 * (n as u32 + 1)
        );
    }
    for n in 0..COUNT {
        let _ = writeln!(
            text,
            "selp.u32 %r2, 1, 0, %q{n};\nmad.lo.u32 %sum, %sum, 3, %r2;"
        );
    }
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let [plain, few] = [0, 32].map(|registers| {
        let mut target = Target::xe2();
        target.registers = registers;
        let mut global = start.clone();
        run(&text, &target, &mut global);
        let all = {
            target.maximal_reconvergence = false;
            let translated = translate(&text, "k", &target).expect("a translation");
            instructions(&translated.spirv)
        };
        let places = all
            .iter()
            .filter(|i| i.class.opcode == Op::AccessChain)
            .count();
        (global, places)
    });
    assert_ne!(plain.0, start);
    assert_eq!(plain.0, few.0);
    assert!(
        few.1 > COUNT,
        "{} places, {} with registers",
        few.1,
        plain.1
    );
}
