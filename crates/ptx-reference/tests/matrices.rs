//! Matrix instructions in kernels, against plain matrix products.

mod common;

use common::{launch, module, parameters};
use ptx_reference::{run, Launch, Memory};

fn halves(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|v| half::f16::from_f64(*v).to_bits().to_le_bytes())
        .collect()
}

fn singles(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks(4)
        .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
        .collect()
}

/// Small integers and quarters, so that sums are exact in every format.
fn pattern(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| ((i * 7 + seed * 5 + i / 3) % 17) as f64 / 4.0 - 2.0)
        .collect()
}

/// A (m by k, row-major) times B (k by n, row-major) plus C.
fn product(a: &[f64], b: &[f64], c: &[f64], m: usize, n: usize, k: usize) -> Vec<f64> {
    (0..m * n)
        .map(|at| {
            let (row, column) = (at / n, at % n);
            c[at]
                + (0..k)
                    .map(|i| a[row * k + i] * b[i * n + column])
                    .sum::<f64>()
        })
        .collect()
}

/// A 16 by 16, B 16 by 8 stored by columns; `ldmatrix` brings both in, `mma` multiplies, lanes store D as the fragment
/// layout of the ISA says.
#[test]
fn ldmatrix_and_mma_multiply() {
    let text = module(
        ".visible .entry k(.param .u64 a, .param .u64 b, .param .u64 c, .param .u64 d) {
            .shared .align 16 .b8 sa[512];
            .shared .align 16 .b8 sb[256];
            .reg .b64 %rd<20>; .reg .b32 %r<40>; .reg .f32 %f<12>; .reg .pred %p;
            ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [c]; ld.param.u64 %rd4, [d];
            mov.u32 %r1, %tid.x;
            // A: 16 bytes a lane; B: 8 bytes a lane.
            mul.wide.u32 %rd5, %r1, 16;
            add.u64 %rd6, %rd1, %rd5;
            mov.u32 %r2, sa;
            shl.b32 %r3, %r1, 4;
            add.u32 %r4, %r2, %r3;
            cp.async.cg.shared.global [%r4], [%rd6], 16;
            cp.async.commit_group;
            cp.async.wait_group 0;
            mul.wide.u32 %rd7, %r1, 8;
            add.u64 %rd8, %rd2, %rd7;
            ld.global.v2.u32 {%r5, %r6}, [%rd8];
            mov.u32 %r7, sb;
            shl.b32 %r8, %r1, 3;
            add.u32 %r9, %r7, %r8;
            st.shared.v2.u32 [%r9], {%r5, %r6};
            bar.warp.sync -1;
            // Rows 0-7, 8-15 of columns 0-7, then of 8-15.
            and.b32 %r10, %r1, 15;
            shl.b32 %r11, %r10, 5;
            and.b32 %r12, %r1, 16;
            add.u32 %r13, %r11, %r12;
            add.u32 %r14, %r2, %r13;
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r20, %r21, %r22, %r23}, [%r14];
            // B by columns: a matrix of 8 columns for k 0-7, then for 8-15.
            and.b32 %r15, %r1, 7;
            shl.b32 %r15, %r15, 5;
            and.b32 %r16, %r1, 8;
            shl.b32 %r16, %r16, 1;
            add.u32 %r15, %r15, %r16;
            add.u32 %r15, %r7, %r15;
            ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r24, %r25}, [%r15];
            // C and D: row lane / 4, columns 2 (lane % 4) and the next; then row + 8.
            shr.u32 %r26, %r1, 2;
            and.b32 %r27, %r1, 3;
            shl.b32 %r28, %r26, 5;
            shl.b32 %r29, %r27, 3;
            add.u32 %r30, %r28, %r29;
            cvt.u64.u32 %rd9, %r30;
            add.u64 %rd10, %rd3, %rd9;
            add.u64 %rd11, %rd4, %rd9;
            ld.global.v2.f32 {%f1, %f2}, [%rd10];
            ld.global.v2.f32 {%f3, %f4}, [%rd10+256];
            mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f5, %f6, %f7, %f8}, {%r20, %r21, %r22, %r23}, {%r24, %r25}, {%f1, %f2, %f3, %f4};
            st.global.v2.f32 [%rd11], {%f5, %f6};
            st.global.v2.f32 [%rd11+256], {%f7, %f8};
            ret;
        }",
    );
    let (a, b, c) = (pattern(256, 1), pattern(128, 2), pattern(128, 3));
    let columns: Vec<f64> = (0..128).map(|i| b[i % 16 * 8 + i / 16]).collect();
    let mut memory = Memory::new();
    let da = memory.allocate_with(&halves(&a));
    let db = memory.allocate_with(&halves(&columns));
    let dc: Vec<u8> = c.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
    let dc = memory.allocate_with(&dc);
    let dd = memory.allocate(512);
    launch(&text, "k", 1, 32, &[da, db, dc, dd], &mut memory).unwrap();
    let expected: Vec<f32> = product(&a, &b, &c, 16, 8, 16)
        .into_iter()
        .map(|v| v as f32)
        .collect();
    assert_eq!(singles(memory.buffer(dd).unwrap()), expected);
}

/// One lane-private element each way: fragments filled from memory by the layouts' formulas, for integers.
#[test]
fn integer_mma_multiplies() {
    let text = module(
        ".visible .entry k(.param .u64 a, .param .u64 b, .param .u64 d) {
            .reg .b64 %rd<20>; .reg .b32 %r<40>;
            ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [d];
            mov.u32 %r1, %laneid;
            shr.u32 %r2, %r1, 2;
            and.b32 %r3, %r1, 3;
            // Row lane / 4 of A (32 bytes a row), bytes 4 (lane % 4).
            shl.b32 %r4, %r2, 5;
            shl.b32 %r5, %r3, 2;
            add.u32 %r4, %r4, %r5;
            cvt.u64.u32 %rd4, %r4;
            add.u64 %rd5, %rd1, %rd4;
            ld.global.u32 %r10, [%rd5];
            ld.global.u32 %r11, [%rd5+256];
            ld.global.u32 %r12, [%rd5+16];
            ld.global.u32 %r13, [%rd5+272];
            // Column lane / 4 of B, stored by columns.
            add.u64 %rd6, %rd2, %rd4;
            ld.global.u32 %r14, [%rd6];
            ld.global.u32 %r15, [%rd6+16];
            mov.b32 %r16, 1;
            mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%r20, %r21, %r22, %r23}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%r16, %r16, %r16, %r16};
            shl.b32 %r6, %r2, 5;
            shl.b32 %r7, %r3, 3;
            add.u32 %r6, %r6, %r7;
            cvt.u64.u32 %rd7, %r6;
            add.u64 %rd8, %rd3, %rd7;
            st.global.v2.u32 [%rd8], {%r20, %r21};
            st.global.v2.u32 [%rd8+256], {%r22, %r23};
            ret;
        }",
    );
    let a: Vec<u8> = (0..512u32).map(|i| (i * 37 + i / 5) as u8).collect();
    let b: Vec<u8> = (0..256u32).map(|i| (i * 91 + i / 7) as u8).collect();
    let mut memory = Memory::new();
    let da = memory.allocate_with(&a);
    let db = memory.allocate_with(&b);
    let dd = memory.allocate(512);
    launch(&text, "k", 1, 32, &[da, db, dd], &mut memory).unwrap();
    let expected: Vec<u32> = (0..128)
        .map(|at| {
            let (row, column) = (at / 8, at % 8);
            1 + (0..32)
                .map(|i| i32::from(a[row * 32 + i] as i8) * i32::from(b[column * 32 + i]))
                .sum::<i32>()
        })
        .map(|v| v as u32)
        .collect();
    assert_eq!(common::words(&memory, dd), expected);
}

/// The shapes that `wmma` has for half precision, through shared memory with a stride.
#[test]
fn wmma_multiplies() {
    for (shape, m, n) in [
        ("m16n16k16", 16, 16),
        ("m8n32k16", 8, 32),
        ("m32n8k16", 32, 8),
    ] {
        let list = |letter: &str| {
            (0..8)
                .map(|i| format!("%{letter}{i}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (la, lb, lc) = (list("a"), list("b"), list("f"));
        let text = module(&format!(
            ".visible .entry k(.param .u64 a, .param .u64 b, .param .u64 d) {{
                .reg .b64 %rd<9>; .reg .b32 %a<8>; .reg .b32 %b<8>; .reg .f32 %f<8>; .reg .b32 %r<4>;
                ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [d];
                mov.u32 %r1, 16;
                wmma.load.a.sync.aligned.row.{shape}.global.f16 {{{la}}}, [%rd1], %r1;
                wmma.load.b.sync.aligned.col.{shape}.global.f16 {{{lb}}}, [%rd2], 16;
                mov.u32 %r2, {n};
                wmma.load.c.sync.aligned.row.{shape}.global.f32 {{{lc}}}, [%rd3], %r2;
                wmma.mma.sync.aligned.row.col.{shape}.f32.f32 {{{lc}}}, {{{la}}}, {{{lb}}}, {{{lc}}};
                wmma.store.d.sync.aligned.row.{shape}.global.f32 [%rd3], {{{lc}}}, %r2;
                ret;
            }}"
        ));
        let (a, b, c) = (pattern(m * 16, 4), pattern(16 * n, 5), pattern(m * n, 6));
        let columns: Vec<f64> = (0..16 * n).map(|i| b[i % 16 * n + i / 16]).collect();
        let mut memory = Memory::new();
        let da = memory.allocate_with(&halves(&a));
        let db = memory.allocate_with(&halves(&columns));
        let dc: Vec<u8> = c.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        let dd = memory.allocate_with(&dc);
        launch(&text, "k", 1, 32, &[da, db, dd], &mut memory).unwrap();
        let expected: Vec<f32> = product(&a, &b, &c, m, n, 16)
            .into_iter()
            .map(|v| v as f32)
            .collect();
        assert_eq!(singles(memory.buffer(dd).unwrap()), expected, "{shape}");
    }
}

#[test]
fn movmatrix_and_stmatrix() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .shared .align 16 .b8 s[128];
            .reg .b64 %rd<4>; .reg .b32 %r<12>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %laneid;
            // Element (r, c) is 16 r + c: row lane / 4, columns 2 (lane % 4) and the next.
            shr.u32 %r2, %r1, 2;
            and.b32 %r3, %r1, 3;
            shl.b32 %r4, %r2, 4;
            mad.lo.u32 %r4, %r3, 2, %r4;
            add.u32 %r5, %r4, 1;
            prmt.b32 %r6, %r4, %r5, 0x5410;
            movmatrix.sync.aligned.m8n8.trans.b16 %r7, %r6;
            mov.u32 %r8, s;
            and.b32 %r9, %r1, 7;
            shl.b32 %r9, %r9, 4;
            add.u32 %r8, %r8, %r9;
            stmatrix.sync.aligned.m8n8.x1.shared.b16 [%r8], {%r7};
            bar.warp.sync 0xffffffff;
            mov.u32 %r10, s;
            shl.b32 %r11, %r1, 2;
            add.u32 %r10, %r10, %r11;
            ld.shared.u32 %r10, [%r10];
            cvt.u64.u32 %rd2, %r11;
            add.u64 %rd3, %rd1, %rd2;
            st.global.u32 [%rd3], %r10;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(128);
    launch(&text, "k", 1, 32, &[out], &mut memory).unwrap();
    let values: Vec<u16> = memory
        .buffer(out)
        .unwrap()
        .chunks(2)
        .map(|c| u16::from_le_bytes(c.try_into().unwrap()))
        .collect();
    assert_eq!(
        values,
        (0..64).map(|i| i % 8 * 16 + i / 8).collect::<Vec<u16>>()
    );
}

#[test]
fn cp_async_fills_with_zeros() {
    let text = module(
        ".visible .entry k(.param .u64 from, .param .u64 out) {
            .shared .align 16 .b8 s[16];
            .reg .b64 %rd<4>; .reg .b32 %r<6>;
            ld.param.u64 %rd1, [from]; ld.param.u64 %rd2, [out];
            mov.u32 %r1, s;
            mov.u32 %r2, 6;
            cp.async.cg.shared.global.L2::128B [%r1], [%rd1], 16, %r2;
            cp.async.wait_all;
            ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1];
            st.global.v4.u32 [%rd2], {%r2, %r3, %r4, %r5};
            ret;
        }",
    );
    let mut memory = Memory::new();
    let from = memory.allocate_with(&[0xff; 16]);
    let out = memory.allocate_with(&[0xee; 16]);
    launch(&text, "k", 1, 1, &[from, out], &mut memory).unwrap();
    assert_eq!(common::words(&memory, out), [0xffff_ffff, 0xffff, 0, 0]);
}

/// A block of 256 threads with some thousand instructions each is a matter of less than a second.
#[test]
fn blocks_are_fast_enough() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .b64 %rd<4>; .reg .b32 %r<6>; .reg .f32 %f<4>; .reg .pred %p;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            mov.b32 %r2, 0;
            cvt.rn.f32.u32 %f1, %r1;
            mov.f32 %f2, 0f3F800000;
        L:  fma.rn.ftz.f32 %f2, %f2, 0f3F000000, %f1;
            add.ftz.f32 %f3, %f2, %f1;
            add.s32 %r2, %r2, 1;
            setp.lt.s32 %p, %r2, 1000;
            @%p bra L;
            mul.wide.u32 %rd2, %r1, 4;
            add.u64 %rd3, %rd1, %rd2;
            st.global.f32 [%rd3], %f2;
            ret;
        }",
    );
    let module = ptx::Module::parse(&text).unwrap();
    let mut memory = Memory::new();
    let out = memory.allocate(1024);
    let parameters = parameters(&[out]);
    let launch = Launch {
        grid: [1; 3],
        block: [256, 1, 1],
        dynamic_shared: 0,
        parameters: &parameters,
    };
    let start = std::time::Instant::now();
    let outcome = run(&module, "k", &launch, &mut memory).unwrap();
    // The limit is for builds with optimisation; without, it only has to end.
    println!("{} steps in {:?}", outcome.steps, start.elapsed());
    assert_eq!(outcome.steps, 256 * (5 * 1000 + 9));
    assert_eq!(singles(memory.buffer(out).unwrap())[10], 20.0);
}

/// Four-bit and single-bit matrices lie packed in memory.
#[test]
fn wmma_multiplies_packed_elements() {
    for (shape, ty, operation, k, bits) in [
        ("m8n8k32", "s4", "", 32, 4),
        ("m8n8k32", "u4", "", 32, 4),
        ("m8n8k128", "b1", ".xor.popc", 128, 1),
    ] {
        let text = module(&format!(
            ".visible .entry k(.param .u64 a, .param .u64 b, .param .u64 d) {{
                .reg .b64 %rd<4>; .reg .b32 %a; .reg .b32 %b; .reg .b32 %c<2>;
                ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; ld.param.u64 %rd3, [d];
                wmma.load.a.sync.aligned.row.{shape}.global.{ty} {{%a}}, [%rd1], {k};
                wmma.load.b.sync.aligned.col.{shape}.global.{ty} {{%b}}, [%rd2], {k};
                mov.b32 %c0, 3; mov.b32 %c1, 3;
                wmma.mma{operation}.sync.aligned.row.col.{shape}.s32.{ty}.{ty}.s32 {{%c0, %c1}}, {{%a}}, {{%b}}, {{%c0, %c1}};
                wmma.store.d.sync.aligned.row.{shape}.global.s32 [%rd3], {{%c0, %c1}}, 8;
                ret;
            }}"
        ));
        let a: Vec<u8> = (0..128u32).map(|i| (i * 37 + 11) as u8).collect();
        let b: Vec<u8> = (0..128u32).map(|i| (i * 101 + i / 3) as u8).collect();
        let mut memory = Memory::new();
        let da = memory.allocate_with(&a);
        let db = memory.allocate_with(&b);
        let dd = memory.allocate(256);
        launch(&text, "k", 1, 32, &[da, db, dd], &mut memory).unwrap();
        let element = |data: &[u8], at: usize| {
            let v = i32::from(data[at * bits / 8] >> (at * bits % 8)) & ((1 << bits) - 1);
            if ty == "s4" && v >= 8 {
                v - 16
            } else {
                v
            }
        };
        let expected: Vec<u32> = (0..64)
            .map(|at| {
                let terms = (0..k).map(|i| {
                    let (x, y) = (element(&a, at / 8 * k + i), element(&b, at % 8 * k + i));
                    if ty == "b1" {
                        x ^ y
                    } else {
                        x * y
                    }
                });
                (3 + terms.sum::<i32>()) as u32
            })
            .collect();
        assert_eq!(common::words(&memory, dd), expected, "{shape} {ty}");
    }
}
