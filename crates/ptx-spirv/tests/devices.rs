//! What a device can do decides what its shaders are made of: matrix units, and who flushes subnormal numbers.

mod common;

use ptx_spirv::{Rows, Target};
use rspirv::spirv::{Capability, Op};

const HEAD: &str = ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{\n\
    .reg .b64 %a<1>;\n.reg .b32 %r<16>;\n.reg .f32 %f<16>;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n";

/// The opcodes of a kernel and the capabilities that it declares.
fn translate(body: &str, target: &Target) -> (Vec<Op>, Vec<Capability>) {
    let mut target = target.clone();
    // rspirv does not know its execution mode.
    target.maximal_reconvergence = false;
    let text = format!("{HEAD}{body}\nret;\n}}\n");
    let translated = common::translate(&text, "k", &target).expect("a translation");
    let all = common::instructions(&translated.spirv);
    let capabilities = all
        .iter()
        .filter(|i| i.class.opcode == Op::Capability)
        .filter_map(|i| match i.operands.first() {
            Some(rspirv::dr::Operand::Capability(capability)) => Some(*capability),
            _ => None,
        })
        .collect();
    (all.iter().map(|i| i.class.opcode).collect(), capabilities)
}

fn count(ops: &[Op], op: Op) -> usize {
    ops.iter().filter(|o| **o == op).count()
}

const HALVES: &str = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 \
    {%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f4,%f5,%f6,%f7};\nst.global.f32 [%a0], %f0;";
const BYTES: &str = "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 \
    {%r6,%r7,%r8,%r9}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%r10,%r11,%r12,%r13};\nst.global.b32 [%a0], %r6;";

#[test]
fn products_are_the_matrix_units_where_there_are_some() {
    for body in [HALVES, BYTES] {
        let (plain, _) = translate(body, &Target::subgroup32());
        assert_eq!(count(&plain, Op::CooperativeMatrixMulAddKHR), 0);
        assert!(count(&plain, Op::GroupNonUniformShuffle) > 0);
        let (units, capabilities) = translate(body, &Target::nvidia());
        assert_eq!(count(&units, Op::CooperativeMatrixMulAddKHR), 1);
        assert_eq!(count(&units, Op::GroupNonUniformShuffle), 0);
        assert!(capabilities.contains(&Capability::CooperativeMatrixKHR));
    }
}

#[test]
fn products_of_bfloat16_have_sixteen_columns() {
    let body = HALVES.replace("f16.f16", "bf16.bf16");
    let text = format!("{HEAD}{body}\nret;\n}}\n");
    let opcodes = |target: &Target| -> Vec<(u32, Vec<u32>)> {
        // rspirv does not know the type.
        let words = common::translate(&text, "k", target)
            .expect("a translation")
            .spirv;
        let mut all = Vec::new();
        let mut rest = &words[5..];
        while let [head, ..] = rest {
            let (one, behind) = rest.split_at((head >> 16) as usize);
            all.push((head & 0xffff, one[1..].to_vec()));
            rest = behind;
        }
        all
    };
    let of = |all: &[(u32, Vec<u32>)], op: Op| -> Vec<Vec<u32>> {
        let ones = all.iter().filter(|i| i.0 == op as u32);
        ones.map(|i| i.1.clone()).collect()
    };
    let units = opcodes(&Target::nvidia());
    assert_eq!(of(&units, Op::CooperativeMatrixMulAddKHR).len(), 1);
    // BFloat16TypeKHR, BFloat16CooperativeMatrixKHR.
    for capability in [5116, 5118] {
        assert!(of(&units, Op::Capability).contains(&vec![capability]));
    }
    let plain = opcodes(&Target::subgroup32());
    assert!(of(&plain, Op::CooperativeMatrixMulAddKHR).is_empty());
}

#[test]
fn a_sum_that_goes_on_stays_a_matrix() {
    let twice = format!(
        "{}\n{}",
        HALVES.lines().next().expect("the product"),
        HALVES.replace("%f4,%f5,%f6,%f7", "%f0,%f1,%f2,%f3")
    );
    let (once, _) = translate(HALVES, &Target::nvidia());
    let (twice, _) = translate(&twice, &Target::nvidia());
    assert_eq!(count(&twice, Op::CooperativeMatrixMulAddKHR), 2);
    // A, B and the first sum are put together once.
    assert_eq!(
        count(&twice, Op::CompositeInsert),
        count(&once, Op::CompositeInsert)
    );
}

#[test]
fn matrices_of_bytes_are_words_where_the_driver_takes_that() {
    let mut target = Target::nvidia();
    let (bytes, _) = translate(BYTES, &target);
    target.matrix_units.byte_words = true;
    let (words, _) = translate(BYTES, &target);
    // Six words of A and B and four of the sum, against 24 bytes and four.
    assert_eq!(count(&bytes, Op::CompositeInsert), 28);
    assert_eq!(count(&words, Op::CompositeInsert), 10);
}

/// Rows of 80 bytes, 16 of them, whose second half the upper lanes have.
const ROWS: &str = ".shared .align 16 .b8 tile[1280];\nand.b32 %r1, %r0, 15;\nshr.u32 %r2, %r0, 4;\nmov.u32 %r3, tile;\n\
    mad.lo.u32 %r4, %r1, 80, %r3;\nmad.lo.u32 %r9, %r2, 16, %r4;\n\
    ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5,%r6,%r7,%r8}, [%r9];\nst.global.v4.b32 [%a0], {%r5,%r6,%r7,%r8};";

#[test]
fn rows_at_equal_distances_are_one_matrix() {
    let mut target = Target::nvidia();
    for rows in [Rows::OneWarp, Rows::WholeWarps] {
        target.rows = rows;
        let (ops, _) = translate(ROWS, &target);
        assert_eq!(count(&ops, Op::CooperativeMatrixLoadKHR), 1, "{rows:?}");
    }
    target.rows = Rows::Any;
    let (ops, _) = translate(ROWS, &target);
    assert_eq!(count(&ops, Op::CooperativeMatrixLoadKHR), 0);
    // Swizzled, the rows are no matrix.
    target.rows = Rows::OneWarp;
    let swizzled = ROWS.replace(
        "ldmatrix",
        "and.b32 %r10, %r0, 7;\nshl.b32 %r11, %r10, 4;\nxor.b32 %r12, %r9, %r11;\nldmatrix",
    );
    let swizzled = swizzled.replace("[%r9]", "[%r12]");
    let (ops, _) = translate(&swizzled, &target);
    assert_eq!(count(&ops, Op::CooperativeMatrixLoadKHR), 0);
    assert_eq!(count(&ops, Op::GroupNonUniformShuffle), 0);
}

const FLUSHED: &str = "ld.global.f32 %f0, [%a0];\nadd.ftz.f32 %f1, %f0, %f0;\n";
const KEPT: &str = "mul.f32 %f2, %f1, %f0;\n";
const STORE: &str = "st.global.f32 [%a0], %f1;";

#[test]
fn the_shader_flushes_where_nothing_needs_subnormal_numbers() {
    let target = Target::subgroup32();
    let (ops, capabilities) = translate(&format!("{FLUSHED}{STORE}"), &target);
    assert!(capabilities.contains(&Capability::DenormFlushToZero));
    assert!(!capabilities.contains(&Capability::DenormPreserve));
    // What every kernel begins with chooses once.
    assert_eq!(count(&ops, Op::Select), 1);
}

#[test]
fn instructions_flush_where_others_need_subnormal_numbers() {
    let mixed = format!("{FLUSHED}{KEPT}{STORE}");
    let (ops, capabilities) = translate(&mixed, &Target::subgroup32());
    assert!(!capabilities.contains(&Capability::DenormFlushToZero));
    assert!(capabilities.contains(&Capability::DenormPreserve));
    // One for the operand, which is the same twice, and one for the result.
    assert_eq!(count(&ops, Op::Select), 1 + 2);
    let mut target = Target::subgroup32();
    target.flush_explicitly = false;
    let (ops, _) = translate(&mixed, &target);
    assert_eq!(count(&ops, Op::Select), 1);
}

#[test]
fn a_sum_that_flushes_is_an_fma_where_that_flushes() {
    let (ops, capabilities) = translate(&format!("{FLUSHED}{STORE}"), &Target::nvidia());
    assert!(capabilities.contains(&Capability::DenormPreserve));
    assert_eq!(count(&ops, Op::FAdd), 0);
    assert_eq!(count(&ops, Op::Select), 1);
    // A quotient is none: what it divides by, and its result, go through one each.
    let quotient = "div.rn.ftz.f32 %f1, %f1, %f0;\n";
    let (more, _) = translate(&format!("{FLUSHED}{quotient}{STORE}"), &Target::nvidia());
    assert_eq!(count(&more, Op::ExtInst), count(&ops, Op::ExtInst) + 2);
    assert_eq!(count(&more, Op::Select), 1);
}

#[test]
fn a_kernel_without_ftz_keeps_subnormal_numbers() {
    let (_, capabilities) = translate(&format!("{KEPT}{STORE}"), &Target::subgroup32());
    assert!(capabilities.contains(&Capability::DenormPreserve));
    assert!(!capabilities.contains(&Capability::DenormFlushToZero));
}

/// A tile in shared memory, and `%r1`, the address of a row of it by the thread's place.
const ROW: &str = ".shared .align 16 .b8 tile[8192];\nmov.u32 %r2, tile;\nand.b32 %r10, %r0, 15;\n\
    mad.lo.u32 %r1, %r10, 256, %r2;\nshl.b32 %r11, %r0, 4;\nand.b32 %r3, %r11, 112;\n";

/// Loads four matrices of the row that is 64 bytes on, with the places of a row exchanged.
const LOAD: &str = "add.u32 %r12, %r1, 64;\nxor.b32 %r4, %r12, %r3;\n\
    ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5,%r6,%r7,%r8}, [%r4];\nst.global.b32 [%a0], %r5;";

#[test]
fn addresses_of_rows_are_computed_where_they_depend_on_the_place_alone() {
    let (computed, _) = translate(&format!("{ROW}{LOAD}"), &Target::nvidia());
    assert_eq!(count(&computed, Op::GroupNonUniformShuffle), 0);
    // A row by what is in memory.
    let loaded = format!("{ROW}ld.global.u32 %r9, [%a0];\nadd.u32 %r1, %r1, %r9;\n{LOAD}");
    let (shuffled, _) = translate(&loaded, &Target::nvidia());
    assert_eq!(count(&shuffled, Op::GroupNonUniformShuffle), 4);
    // One that is not the same all the time.
    let moving = format!(
        "{ROW}again:\n{LOAD}\nadd.u32 %r1, %r1, 32;\nsetp.lt.u32 %q, %r1, 4096;\n@%q bra again;"
    )
    .replacen(".shared", ".reg .pred %q;\n.shared", 1);
    let (shuffled, _) = translate(&moving, &Target::nvidia());
    assert_eq!(count(&shuffled, Op::GroupNonUniformShuffle), 4);
}

/// The words of the longest basic block of a kernel.
fn longest_block(body: &str, target: &Target) -> usize {
    let text = format!("{HEAD}{body}\nret;\n}}\n");
    let translated = common::translate(&text, "k", target).expect("a translation");
    let (mut longest, mut start, mut at) = (0, None, 5);
    while let Some(&word) = translated.spirv.get(at) {
        if (word & 0xffff) == Op::Label as u32 {
            start = Some(at);
        }
        at += (word >> 16) as usize;
        longest = longest.max(at - start.unwrap_or(at));
    }
    longest
}

/// Mesa's compiler for Intel takes time with the square of a block's instructions.
#[test]
fn basic_blocks_are_not_longer_than_the_compiler_can_do_with() {
    let body: String = (0..4000)
        .map(|n| format!("mad.lo.u32 %r{}, %r{}, %r0, {n};\n", n % 15 + 1, n % 7 + 1))
        .chain(["st.global.b32 [%a0], %r1;".to_owned()])
        .collect();
    let mut target = Target::xe2();
    target.maximal_reconvergence = false;
    let most = target.block_words as usize;
    assert!(most > 0);
    let longest = longest_block(&body, &target);
    assert!(longest < most + 200, "{longest} words, of {most}");
    // Sums of halves' products go on from one to the next, and are not torn apart.
    assert!(longest_block(&format!("{HALVES}\n{body}"), &target) > 4 * most);
    target.block_words = 0;
    assert!(longest_block(&body, &target) > 4 * most);
}

/// Vectors of which one is selected are registers; where those are few, local memory is an array in the thread's memory.
#[test]
fn small_local_memory_is_no_registers_where_those_are_few() {
    let body =
        ".local .align 16 .b8 l[32];\n.reg .b64 %s<3>;\nmov.u64 %s0, l;\nand.b32 %r1, %r0, 7;\n\
        mul.wide.u32 %s1, %r1, 4;\nadd.s64 %s2, %s0, %s1;\nst.local.b32 [%s2], %r0;\n\
        ld.local.b32 %r2, [%s2+-4];\nst.global.b32 [%a0], %r2;";
    let (many, _) = translate(body, &Target::subgroup32());
    assert!(count(&many, Op::VectorInsertDynamic) > 0);
    let (few, _) = translate(body, &Target::xe2());
    assert_eq!(count(&few, Op::VectorInsertDynamic), 0);
}

#[test]
fn a_product_and_a_sum_of_doubles_without_rounding_modifiers_are_one_operation() {
    for (product, sum, sums, negations) in [
        ("mul.f64", "add.f64", 0, 0),
        ("mul.f64", "sub.f64", 0, 1),
        ("mul.rn.f64", "add.f64", 1, 0),
        ("mul.f64", "add.rn.f64", 1, 0),
    ] {
        let body = format!(
            ".reg .f64 %d<6>;\nld.global.v2.f64 {{%d1, %d2}}, [%a0];\n{product} %d5, %d1, %d2;\n{sum} %d5, %d1, %d5;\n\
             st.global.f64 [%a0], %d5;"
        );
        let (ops, _) = translate(&body, &Target::subgroup32());
        let found = count(&ops, Op::FAdd) + count(&ops, Op::FSub);
        assert_eq!(found, sums, "{product}, {sum}");
        assert_eq!(count(&ops, Op::FNegate), negations, "{product}, {sum}");
    }
}
