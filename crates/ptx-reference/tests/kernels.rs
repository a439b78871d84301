//! Whole small kernels.

mod common;

use common::{launch, module, parameters, upload, words};
use ptx_reference::{run, run_with, Error, FaultKind, Launch, Memory, Options};

#[test]
fn fill_with_indices() {
    let text = module(
        ".visible .entry fill(.param .u64 out, .param .u64 n) {
            .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<5>;
            ld.param.u64 %rd1, [out];
            ld.param.u32 %r5, [n];
            cvta.to.global.u64 %rd2, %rd1;
            mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x;
            mad.lo.s32 %r4, %r1, %r2, %r3;
            setp.ge.s32 %p1, %r4, %r5;
            @%p1 bra DONE;
            mul.wide.s32 %rd3, %r4, 4;
            add.s64 %rd4, %rd2, %rd3;
            st.global.u32 [%rd4], %r4;
        DONE:
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(400);
    launch(&text, "fill", 4, 32, &[out, 100], &mut memory).unwrap();
    assert_eq!(words(&memory, out), (0..100).collect::<Vec<u32>>());
}

#[test]
fn out_of_bounds_and_misalignment_are_errors_with_a_line() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .b64 %rd<3>; .reg .b32 %r<2>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, 1;
            st.global.u32 [%rd1], %r1;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(8);
    match launch(&text, "k", 1, 1, &[out + 8], &mut memory) {
        Err(Error::OutOfBounds {
            line: 8,
            bytes: 4,
            space: "global",
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    match launch(&text, "k", 1, 1, &[out + 2], &mut memory) {
        Err(Error::Misaligned { line: 8, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn warp_sum_by_butterflies() {
    let text = module(
        ".visible .entry sum(.param .u64 data) {
            .reg .b32 %r<10>; .reg .b64 %rd<4>;
            ld.param.u64 %rd1, [data];
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd2, %r1, 4;
            add.s64 %rd3, %rd1, %rd2;
            ld.global.u32 %r2, [%rd3];
            shfl.sync.bfly.b32 %r3, %r2, 16, 31, -1; add.s32 %r2, %r2, %r3;
            shfl.sync.bfly.b32 %r3, %r2, 8, 31, -1; add.s32 %r2, %r2, %r3;
            shfl.sync.bfly.b32 %r3, %r2, 4, 31, -1; add.s32 %r2, %r2, %r3;
            shfl.sync.bfly.b32 %r3, %r2, 2, 31, -1; add.s32 %r2, %r2, %r3;
            shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; add.s32 %r2, %r2, %r3;
            st.global.u32 [%rd3], %r2;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let values: Vec<u32> = (0..64).map(|i| i * i).collect();
    let data = upload(&mut memory, &values);
    launch(&text, "sum", 1, 64, &[data], &mut memory).unwrap();
    let (low, high) = values.split_at(32);
    let sums = [low.iter().sum::<u32>(), high.iter().sum()];
    assert_eq!(
        words(&memory, data),
        [[sums[0]; 32], [sums[1]; 32]].concat()
    );
}

/// Threads beyond the end leave early; the barrier does not wait for them.
const BLOCK_SUM: &str = ".shared .align 4 .b8 partial[1024];
    .visible .entry block_sum(.param .u64 data, .param .u64 out, .param .u64 n) {
        .reg .pred %p<5>; .reg .b32 %r<20>; .reg .b64 %rd<10>;
        ld.param.u64 %rd1, [data]; ld.param.u64 %rd2, [out]; ld.param.u32 %r9, [n];
        mov.u32 %r1, %tid.x;
        shl.b32 %r2, %r1, 2;
        mov.u32 %r3, partial;
        add.s32 %r4, %r3, %r2;
        mov.b32 %r5, 0;
        st.shared.u32 [%r4], %r5;
        bar.sync 0;
        setp.ge.u32 %p1, %r1, %r9;
        @%p1 exit;
        mul.wide.u32 %rd3, %r1, 4;
        add.s64 %rd4, %rd1, %rd3;
        ld.global.u32 %r5, [%rd4];
        st.shared.u32 [%r4], %r5;
        mov.u32 %r6, 128;
    LOOP:
        bar.sync 0;
        setp.ge.u32 %p2, %r1, %r6;
        @%p2 bra SKIP;
        shl.b32 %r7, %r6, 2;
        add.s32 %r8, %r4, %r7;
        ld.shared.u32 %r10, [%r8];
        ld.shared.u32 %r11, [%r4];
        add.s32 %r12, %r10, %r11;
        st.shared.u32 [%r4], %r12;
    SKIP:
        shr.u32 %r6, %r6, 1;
        setp.ne.u32 %p3, %r6, 0;
        @%p3 bra LOOP;
        setp.ne.u32 %p4, %r1, 0;
        @%p4 bra DONE;
        ld.shared.u32 %r13, [partial];
        st.global.u32 [%rd2], %r13;
    DONE:
        ret;
    }";

#[test]
fn block_sum_with_early_exit() {
    let text = module(BLOCK_SUM);
    let mut memory = Memory::new();
    let values: Vec<u32> = (0..200).map(|i| 3 * i + 1).collect();
    let data = upload(&mut memory, &values);
    let out = memory.allocate(4);
    launch(&text, "block_sum", 1, 256, &[data, out, 200], &mut memory).unwrap();
    assert_eq!(words(&memory, out), [values.iter().sum::<u32>()]);
}

#[test]
fn histogram_with_atomics() {
    let text = module(
        ".visible .entry histogram(.param .u64 data, .param .u64 bins) {
            .reg .b32 %r<10>; .reg .b64 %rd<10>;
            .shared .align 4 .b8 local_bins[64];
            ld.param.u64 %rd1, [data]; ld.param.u64 %rd2, [bins];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x;
            mad.lo.u32 %r4, %r2, %r3, %r1;
            cvt.u64.u32 %rd3, %r4;
            add.s64 %rd4, %rd1, %rd3;
            ld.global.u8 %r5, [%rd4];
            and.b32 %r5, %r5, 15;
            shl.b32 %r5, %r5, 2;
            mov.u32 %r6, local_bins;
            add.s32 %r7, %r6, %r5;
            .reg .pred %p<2>;
            setp.gt.u32 %p1, %r1, 15;
            @%p1 bra CLEARED;
            shl.b32 %r8, %r1, 2;
            add.s32 %r8, %r6, %r8;
            mov.b32 %r9, 0;
            st.shared.u32 [%r8], %r9;
        CLEARED:
            bar.sync 0;
            atom.shared.add.u32 %r8, [%r7], 1;
            bar.sync 0;
            @%p1 bra DONE;
            shl.b32 %r8, %r1, 2;
            add.s32 %r9, %r6, %r8;
            ld.shared.u32 %r9, [%r9];
            cvt.u64.u32 %rd5, %r8;
            add.s64 %rd6, %rd2, %rd5;
            red.global.add.u32 [%rd6], %r9;
        DONE:
            ret;
        }",
    );
    let mut memory = Memory::new();
    let data: Vec<u8> = (0..256u32).map(|i| (i * i / 7) as u8).collect();
    let mut bins = [0; 16];
    data.iter().for_each(|v| bins[usize::from(v & 15)] += 1);
    let input = memory.allocate_with(&data);
    let out = memory.allocate(64);
    launch(&text, "histogram", 2, 128, &[input, out], &mut memory).unwrap();
    assert_eq!(words(&memory, out), bins);
}

#[test]
fn functions_take_and_return_values() {
    let text = module(
        ".func (.param .b32 result) twice(.param .b32 x) {
            .reg .b32 %r<3>;
            ld.param.b32 %r1, [x];
            add.s32 %r2, %r1, %r1;
            st.param.b32 [result], %r2;
            ret;
        }
        .func (.reg .b32 %out) factorial(.reg .b32 %n) {
            .reg .pred %p; .reg .b32 %r<3>;
            mov.b32 %out, 1;
            setp.le.u32 %p, %n, 1;
            @%p ret;
            sub.s32 %r1, %n, 1;
            call (%r2), factorial, (%r1);
            mul.lo.s32 %out, %n, %r2;
            ret;
        }
        .visible .entry k(.param .u64 out) {
            .reg .b64 %rd<3>; .reg .b32 %r<6>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            { .param .b32 p0; .param .b32 r0;
              st.param.b32 [p0], %r1;
              call.uni (r0), twice, (p0);
              ld.param.b32 %r2, [r0]; }
            call (%r3), factorial, (%r1);
            mov.u64 %rd2, twice;
            { .param .b32 p0; .param .b32 r0;
              st.param.b32 [p0], %r3;
              prototype: .callprototype (.param .b32 _) _ (.param .b32 _);
              call (r0), %rd2, (p0), prototype;
              ld.param.b32 %r4, [r0]; }
            mul.wide.u32 %rd2, %r1, 8;
            add.s64 %rd1, %rd1, %rd2;
            st.global.v2.u32 [%rd1], {%r2, %r4};
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(64);
    launch(&text, "k", 1, 8, &[out], &mut memory).unwrap();
    let factorials = [1, 1, 2, 6, 24, 120, 720, 5040];
    let expected: Vec<u32> = (0..8)
        .flat_map(|i| [2 * i, 2 * factorials[i as usize]])
        .collect();
    assert_eq!(words(&memory, out), expected);
}

#[test]
fn tables_variables_and_indexed_branches() {
    let text = module(
        ".const .align 4 .u32 table[4] = {10, 20, 30, 40};
        .global .align 8 .u64 pointer = generic(table) + 8;
        .global .u32 counter = 5;
        .visible .entry k(.param .u64 out) {
            .reg .b64 %rd<6>; .reg .b32 %r<6>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            ld.global.u64 %rd2, [pointer];
            ld.u32 %r2, [%rd2];
            ld.const.u32 %r3, [table+4];
            targets: .branchtargets A, B, C;
            brx.idx %r1, targets;
        A:  add.s32 %r2, %r2, 1; bra JOIN;
        B:  add.s32 %r2, %r2, 100;
        C:  add.s32 %r2, %r2, %r3;
        JOIN:
            atom.global.inc.u32 %r4, [counter], 6;
            mul.wide.u32 %rd3, %r1, 4;
            add.s64 %rd4, %rd1, %rd3;
            st.global.u32 [%rd4], %r2;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(12);
    launch(&text, "k", 1, 3, &[out], &mut memory).unwrap();
    assert_eq!(words(&memory, out), [31, 150, 50]);
    // 5, 6, 0, 1.
    assert_eq!(words(&memory, memory.symbol("counter").unwrap()), [1]);
}

#[test]
fn printf_and_traps() {
    let text = module(
        ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
        .global .align 1 .b8 fmt[20] = {116, 104, 114, 101, 97, 100, 32, 37, 100, 58, 32, 37, 102, 10, 0};
        .visible .entry k(.param .u64 out) {
            .local .align 8 .b8 depot[16];
            .reg .b64 %SP; .reg .b64 %SPL; .reg .b64 %rd<4>; .reg .b32 %r<4>; .reg .f64 %fd<2>; .reg .pred %p;
            mov.u64 %SPL, depot;
            cvta.local.u64 %SP, %SPL;
            add.u64 %rd1, %SP, 0;
            add.u64 %rd2, %SPL, 0;
            mov.u32 %r1, %tid.x;
            st.local.u32 [%rd2], %r1;
            cvt.rn.f64.u32 %fd1, %r1;
            st.local.f64 [%rd2+8], %fd1;
            mov.u64 %rd3, fmt;
            cvta.global.u64 %rd3, %rd3;
            { .param .b64 param0; .param .b64 param1; .param .b32 retval0;
              st.param.b64 [param0], %rd3;
              st.param.b64 [param1], %rd1;
              call.uni (retval0), vprintf, (param0, param1);
              ld.param.b32 %r2, [retval0]; }
            setp.eq.u32 %p, %r1, 1;
            @%p trap;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let outcome = launch(&text, "k", 1, 4, &[0], &mut memory).unwrap();
    assert_eq!(
        outcome.printf,
        ["thread 0: 0.000000\n", "thread 1: 1.000000\n"]
    );
    let fault = outcome.fault.unwrap();
    assert_eq!((fault.kind, fault.thread), (FaultKind::Trap, [1, 0, 0]));
}

#[test]
fn a_barrier_that_not_all_reach_is_a_deadlock() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .pred %p; .reg .b32 %r<2>;
            mov.u32 %r1, %tid.x;
            setp.lt.u32 %p, %r1, 32;
            @%p bra A;
            bar.sync 1;
            ret;
        A:
            bar.sync 2;
            ret;
        }",
    );
    match launch(&text, "k", 1, 64, &[0], &mut Memory::new()) {
        Err(Error::Deadlock { waiting, .. }) => assert_eq!(waiting, "line 12 (32), line 9 (32)"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn endless_loops_end() {
    let text = module(".visible .entry k(.param .u64 out) { L: bra L; }");
    let module = ptx::Module::parse(&text).unwrap();
    let parameters = parameters(&[0]);
    let launch = Launch {
        grid: [1; 3],
        block: [1; 3],
        dynamic_shared: 0,
        parameters: &parameters,
    };
    let options = Options {
        step_limit: 100_000,
        ..Options::default()
    };
    assert_eq!(
        run_with(&module, "k", &launch, &mut Memory::new(), options),
        Err(Error::StepLimit(100_000))
    );
}

#[test]
fn blocks_may_wait_for_later_blocks() {
    // Block 0 spins until block 1 has set the flag.
    let text = module(
        ".visible .entry k(.param .u64 flag) {
            .reg .b64 %rd<2>; .reg .b32 %r<4>; .reg .pred %p<3>;
            ld.param.u64 %rd1, [flag];
            mov.u32 %r1, %ctaid.x;
            setp.eq.u32 %p1, %r1, 0;
            @%p1 bra WAIT;
            mov.u32 %r2, 1;
            st.release.gpu.global.u32 [%rd1], %r2;
            ret;
        WAIT:
            ld.acquire.gpu.global.u32 %r2, [%rd1];
            setp.eq.u32 %p2, %r2, 0;
            @%p2 bra WAIT;
            mov.u32 %r3, 7;
            st.global.u32 [%rd1+4], %r3;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let flag = memory.allocate(8);
    launch(&text, "k", 2, 1, &[flag], &mut memory).unwrap();
    assert_eq!(words(&memory, flag), [1, 7]);
}

#[test]
fn producers_and_consumers() {
    // Warp 0 produces and arrives; warp 1 consumes.
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .shared .align 4 .b32 buffer[32];
            .reg .b64 %rd<4>; .reg .b32 %r<6>; .reg .pred %p<3>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %tid.x;
            and.b32 %r2, %r1, 31;
            shl.b32 %r2, %r2, 2;
            mov.u32 %r3, buffer;
            add.u32 %r3, %r3, %r2;
            setp.ge.u32 %p1, %r1, 32;
            @%p1 bra CONSUMER;
            mul.lo.u32 %r4, %r1, 5;
            st.shared.u32 [%r3], %r4;
            bar.arrive 3, 64;
            ret;
        CONSUMER:
            bar.sync 3, 64;
            xor.b32 %r5, %r3, 4;
            ld.shared.u32 %r4, [%r5];
            cvt.u64.u32 %rd2, %r2;
            add.u64 %rd3, %rd1, %rd2;
            st.global.u32 [%rd3], %r4;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(128);
    launch(&text, "k", 1, 64, &[out], &mut memory).unwrap();
    assert_eq!(
        words(&memory, out),
        (0..32u32).map(|i| (i ^ 1) * 5).collect::<Vec<_>>()
    );
}

#[test]
fn votes_reductions_and_matches() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .b64 %rd<4>; .reg .b32 %r<14>; .reg .pred %p<8>;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %laneid;
            and.b32 %r2, %r1, 3;
            setp.eq.u32 %p1, %r2, 1;
            vote.sync.ballot.b32 %r3, %p1, -1;
            vote.sync.any.pred %p2, %p1, -1;
            vote.sync.all.pred %p3, %p1, -1;
            selp.u32 %r4, 1, 0, %p2;
            selp.u32 %r5, 2, 0, %p3;
            or.b32 %r4, %r4, %r5;
            redux.sync.add.s32 %r6, %r1, -1;
            redux.sync.max.s32 %r7, %r2, 0xffffffff;
            match.any.sync.b32 %r8, %r2, -1;
            match.all.sync.b32 %r9|%p4, %r2, -1;
            elect.sync %r10|%p5, -1;
            selp.u32 %r11, 1, 0, %p5;
            shfl.sync.up.b32 %r12|%p6, %r1, 1, 0, -1;
            selp.u32 %r13, 100, 0, %p6;
            add.u32 %r12, %r12, %r13;
            mul.wide.u32 %rd2, %r1, 32;
            add.u64 %rd3, %rd1, %rd2;
            st.global.v4.u32 [%rd3], {%r3, %r4, %r6, %r7};
            st.global.v4.u32 [%rd3+16], {%r8, %r9, %r11, %r12};
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(32 * 32);
    launch(&text, "k", 1, 32, &[out], &mut memory).unwrap();
    let expected: Vec<u32> = (0..32u32)
        .flat_map(|lane| {
            let up = if lane == 0 { 0 } else { lane - 1 + 100 };
            [
                0x2222_2222,
                1,
                496,
                3,
                0x1111_1111 << (lane & 3),
                0,
                u32::from(lane == 0),
                up,
            ]
        })
        .collect();
    assert_eq!(words(&memory, out), expected);
}

#[test]
fn dynamic_shared_memory_and_generic_addresses() {
    let text = module(
        ".extern .shared .align 16 .b8 dynamic[];
        .visible .entry k(.param .u64 out) {
            .shared .align 8 .b64 fixed;
            .reg .b64 %rd<8>; .reg .b32 %r<6>; .reg .pred %p<4>;
            ld.param.u64 %rd1, [out];
            mov.u64 %rd2, dynamic;
            cvta.shared.u64 %rd3, %rd2;
            isspacep.shared %p1, %rd3;
            isspacep.global %p2, %rd3;
            mov.u32 %r1, %tid.x;
            mul.wide.u32 %rd4, %r1, 4;
            add.u64 %rd5, %rd3, %rd4;
            st.u32 [%rd5], %r1;
            bar.sync 0;
            xor.b64 %rd4, %rd4, 60;
            add.u64 %rd5, %rd2, %rd4;
            ld.shared.u32 %r2, [%rd5];
            selp.u32 %r3, 100, 0, %p1;
            add.u32 %r2, %r2, %r3;
            selp.u32 %r3, 1000, 0, %p2;
            add.u32 %r2, %r2, %r3;
            mov.u32 %r4, %dynamic_smem_size;
            mul.wide.u32 %rd6, %r1, 4;
            add.u64 %rd7, %rd1, %rd6;
            add.u32 %r2, %r2, %r4;
            st.global.u32 [%rd7], %r2;
            ret;
        }",
    );
    let module = ptx::Module::parse(&text).unwrap();
    let mut memory = Memory::new();
    let out = memory.allocate(64);
    let parameters = parameters(&[out]);
    let launch = Launch {
        grid: [1; 3],
        block: [16, 1, 1],
        dynamic_shared: 64,
        parameters: &parameters,
    };
    run(&module, "k", &launch, &mut memory).unwrap();
    assert_eq!(
        words(&memory, out),
        (0..16u32).map(|i| (i ^ 15) + 164).collect::<Vec<_>>()
    );
}

/// A bulk copy announced to an mbarrier, waited for by a whole block; then back out.
#[test]
fn bulk_copies_and_mbarriers() {
    let text = module(
        ".visible .entry k(.param .u64 from, .param .u64 to) {
            .shared .align 16 .b8 buffer[256];
            .shared .align 8 .b64 bar;
            .reg .b64 %rd<6>; .reg .b32 %r<8>; .reg .pred %p<3>;
            ld.param.u64 %rd1, [from]; ld.param.u64 %rd2, [to];
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, bar;
            mov.u32 %r3, buffer;
            setp.ne.u32 %p1, %r1, 0;
            @%p1 bra READY;
            mbarrier.init.shared::cta.b64 [%r2], 1;
            fence.mbarrier_init.release.cluster;
            mbarrier.arrive.expect_tx.shared::cta.b64 %rd3, [%r2], 256;
            cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r3], [%rd1], 256, [%r2];
        READY:
            bar.sync 0;
        WAIT:
            mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
            @!%p2 bra WAIT;
            shl.b32 %r4, %r1, 2;
            add.u32 %r5, %r3, %r4;
            ld.shared.u32 %r6, [%r5];
            add.u32 %r6, %r6, 1;
            st.shared.u32 [%r5], %r6;
            barrier.cluster.arrive.aligned;
            barrier.cluster.wait.aligned;
            @%p1 ret;
            cp.async.bulk.global.shared::cta.bulk_group [%rd2], [%r3], 256;
            cp.async.bulk.commit_group;
            cp.async.bulk.wait_group 0;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let values: Vec<u32> = (0..64).map(|i| i * 3).collect();
    let from = upload(&mut memory, &values);
    let to = memory.allocate(256);
    launch(&text, "k", 1, 64, &[from, to], &mut memory).unwrap();
    assert_eq!(
        words(&memory, to),
        values.iter().map(|v| v + 1).collect::<Vec<_>>()
    );
}

/// Without `.sync`, and for `activemask`, threads at the same place of diverged code form the group.
#[test]
fn active_threads_are_those_at_the_same_place() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .pred %p;
            ld.param.u64 %rd1, [out];
            mov.u32 %r1, %laneid;
            mul.wide.u32 %rd2, %r1, 8;
            add.u64 %rd3, %rd1, %rd2;
            setp.lt.u32 %p, %r1, 5;
            @%p bra LOW;
            activemask.b32 %r2;
            mov.u32 %r3, 0;
            bra JOIN;
        LOW:
            activemask.b32 %r2;
            mov.u32 %r4, 0xff;
            shfl.sync.idx.b32 %r3, %r1, 2, 31, 0x1f;
        JOIN:
            st.global.v2.u32 [%rd3], {%r2, %r3};
            ret;
        }",
    );
    let mut memory = Memory::new();
    let out = memory.allocate(256);
    launch(&text, "k", 1, 32, &[out], &mut memory).unwrap();
    let expected: Vec<u32> = (0..32)
        .flat_map(|lane| {
            if lane < 5 {
                [0x1f, 2]
            } else {
                [0xffff_ffe0, 0]
            }
        })
        .collect();
    assert_eq!(words(&memory, out), expected);
}

#[test]
fn wide_atomics_and_moves() {
    let text = module(
        ".visible .entry k(.param .u64 out) {
            .reg .b64 %rd<8>; .reg .b128 %q<4>; .reg .b32 %r<4>; .reg .b16 %h<4>; .reg .f32 %f<4>;
            ld.param.u64 %rd1, [out];
            mov.b64 %rd2, 0x1111; mov.b64 %rd3, 0x2222;
            mov.b128 %q1, {%rd2, %rd3};
            atom.global.exch.b128 %q2, [%rd1], %q1;
            mov.b128 {%rd4, %rd5}, %q2;
            st.global.v2.b64 [%rd1+16], {%rd4, %rd5};
            mov.b32 %r1, 0x00020001;
            mov.b32 {%h1, %h2}, %r1;
            mov.b32 %r2, {%h2, %h1};
            st.global.b32 [%rd1+32], %r2;
            mov.b32 %r0, 0x3c003c00;
            atom.global.add.noftz.f16x2 %r3, [%rd1+36], %r0;
            atom.global.v2.f32.add {%f1, %f2}, [%rd1+40], {0f3F800000, 0f40000000};
            atom.global.cas.b16 %h3, [%rd1+48], 7, 9;
            red.global.min.s64 [%rd1+56], -5;
            ret;
        }",
    );
    let mut memory = Memory::new();
    let mut initial = vec![0u32; 16];
    initial[..4].copy_from_slice(&[1, 2, 3, 4]);
    initial[9] = 0x4000_3c00;
    initial[10] = 1f32.to_bits();
    initial[12] = 7;
    let out = upload(&mut memory, &initial);
    launch(&text, "k", 1, 1, &[out], &mut memory).unwrap();
    let mut expected = vec![0x1111, 0, 0x2222, 0, 1, 2, 3, 4, 0x0001_0002, 0x4200_4000];
    expected.extend([2f32.to_bits(), 2f32.to_bits(), 9, 0, -5i32 as u32, u32::MAX]);
    assert_eq!(words(&memory, out), expected);
}
