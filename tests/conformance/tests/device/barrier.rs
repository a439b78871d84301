//! Where the threads of a block or warp wait for each other: barriers of the block with numbers and counts, warps in part,
//! and threads that leave before the others are done.

use crate::known::known_differences;
use crate::memory;
use conformance::{isolated, Bench, Case};

/// Block sizes: whole warps, warps in part, the smallest and the largest.
const BLOCKS: [u32; 8] = [32, 64, 96, 160, 256, 70, 1000, 1024];

/// A kernel of `threads` threads. `tid`, `lane`, `warp` and `n` (the block's threads) are set, `d` is the thread's result. Each
/// thread has a word of shared memory at `mine`; `other` is the word of the thread `tid + 1`, or of thread 0.
fn case(name: &str, threads: u32, text: &str) -> Case {
    Case {
        name: format!("{name}, {threads} threads"),
        text: format!(
            ".version 8.3\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 in, .param .u64 out) {{\n\
             .shared .b32 words[1024]; .shared .b32 total;\n\
             .reg .b64 to, slot; .reg .b32 tid, lane, warp, n, d, mine, other, base, t<12>; .reg .pred p, q, r;\n\
             ld.param.u64 to, [out]; mov.u32 tid, %tid.x; mov.u32 n, %ntid.x; and.b32 lane, tid, 31; shr.u32 warp, tid, 5;\n\
             mul.wide.u32 slot, tid, 4; add.u64 slot, to, slot; mov.b32 d, 0; mov.u32 base, words;\n\
             shl.b32 mine, tid, 2; add.u32 mine, base, mine;\n\
             add.u32 t0, tid, 1; setp.ge.u32 p, t0, n; selp.u32 t0, 0, t0, p; shl.b32 other, t0, 2; add.u32 other, base, other;\n\
             {text}\nst.global.b32 [slot], d;\nret;\n}}\n"
        ),
        grid: [1, 1, 1],
        block: [threads, 1, 1],
        dynamic_shared: 0,
        input: vec![0; 16],
        output: vec![0xee; 4 * threads as usize],
        references: Vec::new(),
    }
}

/// Rounds of neighbours reading each other's words, a barrier between any two steps.
fn rounds(barrier: &str) -> String {
    format!(
        "mov.b32 t1, 0; mad.lo.u32 t2, tid, 7, 3;\n\
         again: st.shared.b32 [mine], t2; {barrier} ld.shared.b32 t3, [other]; {barrier}\n\
         mad.lo.u32 t2, t3, 5, t1; add.u32 t1, t1, 1; setp.lt.u32 p, t1, 6; @p bra again;\n\
         mov.b32 d, t2;"
    )
}

fn block_barriers() -> Vec<Case> {
    let mut cases = Vec::new();
    for threads in BLOCKS {
        cases.push(case("bar.sync", threads, &rounds("bar.sync 0;")));
        // Threads that have left are not waited for: the last, all but the first warp, all but one, a few of each warp.
        for (what, leaves) in [
            (
                "the last leaves",
                "add.u32 t0, tid, 1; setp.ge.u32 q, t0, n;",
            ),
            ("all but one leave", "setp.gt.u32 q, tid, 0;"),
            ("above 70 leave", "setp.gt.u32 q, tid, 70;"),
            ("one warp stays", "setp.gt.u32 q, tid, 31;"),
            ("some of each warp leave", "setp.gt.u32 q, lane, 20;"),
            ("the first lanes leave", "setp.lt.u32 q, lane, 5;"),
            ("the first warp leaves", "setp.lt.u32 q, tid, 32;"),
        ] {
            let text = format!(
                "st.shared.b32 [mine], tid; bar.sync 0; {leaves} @q bra gone;\n\
                 mad.lo.u32 t1, tid, 3, 1; st.shared.b32 [mine], t1; bar.sync 0; ld.shared.b32 d, [other]; bar.sync 0;\n\
                 st.shared.b32 [mine], d; bar.sync 0; ld.shared.b32 t1, [other]; mad.lo.u32 d, d, 3, t1;\n\
                 gone:"
            );
            cases.push(case(what, threads, &text));
            let text = text.replace("@q bra gone", "@q ret").replace("gone:", "");
            cases.push(case(&format!("{what} without a word"), threads, &text));
        }
        // Out of a loop, one warp after the other and one lane after the other.
        for (what, turns) in [("warps", "warp"), ("lanes", "lane")] {
            let text = format!(
                "mov.b32 t1, 0;\n\
                 again: setp.gt.u32 p, t1, {turns}; @p bra gone; bar.sync 0; add.u32 t1, t1, 1; add.u32 d, d, t1; setp.lt.u32 q, t1, 9; @q bra again;\n\
                 gone: "
            );
            cases.push(case(&format!("{what} leave a loop"), threads, &text));
        }
        for (mode, result) in [("popc.u32", "d"), ("and.pred", "r"), ("or.pred", "r")] {
            let keep = if result == "r" {
                "selp.u32 t3, 1, 0, r; mad.lo.u32 t4, t4, 2, t3;"
            } else {
                "mad.lo.u32 t4, t4, 31, d;"
            };
            let text = format!(
                "mov.b32 t1, 0; mov.b32 t4, 0;\n\
                 again: add.u32 t2, tid, t1; and.b32 t2, t2, 3; setp.ne.u32 p, t2, 0; setp.eq.u32 q, t1, 2; or.pred p, p, q;\n\
                 bar.red.{mode} {result}, 0, p; {keep} bar.red.{mode} {result}, 1, !p; {keep}\n\
                 add.u32 t1, t1, 1; setp.lt.u32 q, t1, 4; @q bra again; mov.b32 d, t4;"
            );
            cases.push(case(&format!("bar.red.{mode}"), threads, &text));
        }
    }
    cases
}

fn named_barriers() -> Vec<Case> {
    let mut cases = Vec::new();
    for threads in [64, 128, 256, 1024] {
        cases.push(case(
            "bar.sync with the whole count",
            threads,
            &rounds(&format!("bar.sync 3, {threads};")),
        ));
        // Each pair of warps has a barrier of its own, and its own number of rounds.
        cases.push(case(
            "bar.sync of pairs",
            threads,
            "shr.u32 t4, warp, 1; and.b32 t5, t4, 7; add.u32 t5, t5, 1; setp.ge.u32 p, t4, 8; @p bra gone;\n\
             mov.b32 t1, 0; mad.lo.u32 t2, tid, 7, 3; xor.b32 t6, tid, 33; shl.b32 t6, t6, 2; add.u32 t6, base, t6;\n\
             again: st.shared.b32 [mine], t2; bar.sync t5, 64; ld.shared.b32 t3, [t6]; bar.sync t5, 64;\n\
             mad.lo.u32 t2, t3, 5, t1; add.u32 t1, t1, 1; add.u32 t7, t5, 1; setp.lt.u32 p, t1, t7; @p bra again;\n\
             mov.b32 d, t2; gone: bar.sync 0;",
        ));
        // Likewise, and each counts in its rounds. Every third pair has the count in a register.
        for (mode, result) in [("popc.u32", "t8"), ("and.pred", "r"), ("or.pred", "r")] {
            let keep = if result == "r" {
                "selp.u32 t8, 1, 0, r;"
            } else {
                ""
            };
            cases.push(case(
                &format!("bar.red.{mode} of pairs"),
                threads,
                &format!(
                    "shr.u32 t4, warp, 1; and.b32 t5, t4, 7; add.u32 t5, t5, 1; setp.ge.u32 p, t4, 8; @p bra gone;\n\
                     mov.b32 t1, 0; mov.b32 t2, 0; mov.b32 t9, 64;\n\
                     again: add.u32 t3, tid, t1; and.b32 t3, t3, 7; setp.ne.u32 p, t3, 0; add.u32 t6, t5, 1; and.b32 t7, t1, 1;\n\
                     setp.eq.u32 q, t7, 0; @q or.pred p, p, q; setp.eq.u32 q, t1, 3; @q not.pred p, q;\n\
                     bar.red.{mode} {result}, t5, 64, p; {keep} mad.lo.u32 t2, t2, 67, t8;\n\
                     bar.red.{mode} {result}, t5, t9, !p; {keep} mad.lo.u32 t2, t2, 67, t8; bar.sync t5, 64;\n\
                     add.u32 t1, t1, 1; setp.lt.u32 p, t1, t6; @p bra again;\n\
                     mov.b32 d, t2; gone: bar.sync 0;"
                ),
            ));
        }
        // The first warp makes, the others take: two slots in turn, arrive and sync on a pair of barriers each.
        cases.push(case(
            "bar.arrive",
            threads,
            "mov.b32 t1, 0; setp.ne.u32 p, warp, 0; @p bra take;\n\
             make: and.b32 t2, t1, 1; setp.lt.u32 p, t1, 2; add.u32 t3, t2, 3; @p bra first; bar.sync t3, n;\n\
             first: mad.lo.u32 t4, t1, 100, lane; shl.b32 t5, t2, 7; add.u32 t5, t5, base; shl.b32 t6, lane, 2; add.u32 t5, t5, t6;\n\
             st.shared.b32 [t5], t4; add.u32 t3, t2, 1; bar.arrive t3, n; add.u32 t1, t1, 1; setp.lt.u32 p, t1, 6; @p bra make;\n\
             mov.b32 d, t1; bra gone;\n\
             take: and.b32 t2, t1, 1; add.u32 t3, t2, 1; bar.sync t3, n;\n\
             shl.b32 t5, t2, 7; add.u32 t5, t5, base; shl.b32 t6, lane, 2; add.u32 t5, t5, t6; ld.shared.b32 t4, [t5];\n\
             mad.lo.u32 d, d, 3, t4; setp.ge.u32 p, t1, 4; add.u32 t3, t2, 3; @p bra last; bar.arrive t3, n;\n\
             last: add.u32 t1, t1, 1; setp.lt.u32 p, t1, 6; @p bra take;\n\
             gone:",
        ));
        // The upper half leaves; the lower half goes on with a barrier of its own.
        cases.push(case(
            "half leaves, half counts",
            threads,
            &format!(
                "setp.ge.u32 q, tid, {0}; @q ret; st.shared.b32 [mine], tid; bar.sync 2, {0}; xor.b32 t1, mine, 4; ld.shared.b32 d, [t1];",
                threads / 2
            ),
        ));
    }
    cases
}

fn warp_barriers() -> Vec<Case> {
    let mut cases = Vec::new();
    // The word of the lane `lane ^ x` of the same warp.
    let other = |x: u32| format!("xor.b32 t6, tid, {x}; shl.b32 t6, t6, 2; add.u32 t6, base, t6;");
    for threads in [32, 64, 96, 256, 1024] {
        cases.push(case(
            "bar.warp.sync",
            threads,
            &format!(
                "{} {}",
                other(9),
                rounds("bar.warp.sync -1;").replace("[other]", "[t6]")
            ),
        ));
        // Two parts of a warp, with numbers of rounds of their own: split on and within subgroups.
        for split in [8, 16, 12, 20] {
            cases.push(case(
                &format!("bar.warp.sync of lanes below {split}"),
                threads,
                &format!(
                    "mov.b32 t1, 0; mad.lo.u32 t2, tid, 7, 3; setp.lt.u32 p, lane, {split}; @p bra low;\n\
                     mov.b32 t4, {split}; mov.b32 t5, {high}; mov.b32 t7, 5; mov.b32 t8, 32; bra go;\n\
                     low: mov.b32 t4, 0; mov.b32 t5, {low}; mov.b32 t7, 3; mov.b32 t8, {split};\n\
                     go: add.u32 t6, lane, 1; setp.ge.u32 q, t6, t8; selp.u32 t6, t4, t6, q;\n\
                     sub.u32 t9, tid, lane; add.u32 t6, t6, t9; shl.b32 t6, t6, 2; add.u32 t6, base, t6;\n\
                     again: st.shared.b32 [mine], t2; bar.warp.sync t5; ld.shared.b32 t3, [t6]; bar.warp.sync t5;\n\
                     mad.lo.u32 t2, t3, 5, t1; add.u32 t1, t1, 1; setp.lt.u32 q, t1, t7; @q bra again;\n\
                     mov.b32 d, t2; bar.warp.sync -1;",
                    low = (1u64 << split) - 1,
                    high = !((1u32 << split) - 1),
                ),
            ));
        }
        // Whole warps leave, one goes on with warp operations; as at the end of reductions of a block.
        cases.push(case(
            "one warp reduces",
            threads,
            "st.shared.b32 [mine], tid; bar.sync 0; setp.gt.u32 q, warp, 0; @q ret;\n\
             ld.shared.b32 d, [other]; shfl.sync.bfly.b32 t1, d, 16, 31, -1; mad.lo.u32 d, d, 3, t1; shfl.sync.down.b32 t1, d, 5, 31, -1;\n\
             add.u32 d, d, t1; vote.sync.ballot.b32 t1, q, -1; add.u32 d, d, t1; bar.warp.sync -1;",
        ));
        // One warp alone has meetings within a round, and what it finds is for all; neighbours of other warps read each
        // other's words before and after.
        for (what, test) in [
            ("warp 0", "setp.ne.u32 q, warp, 0;"),
            ("threads below 32", "setp.gt.s32 q, tid, 31;"),
            ("odd warps", "and.b32 t7, warp, 1; setp.eq.u32 q, t7, 0;"),
        ] {
            cases.push(case(
                &format!("{what} reduce alone"),
                threads,
                &format!(
                    "{test} mov.b32 t1, 0; mov.b32 t2, tid;\n\
                     again: st.shared.b32 [mine], t2; bar.sync 0; ld.shared.b32 t3, [other]; mad.lo.u32 t2, t2, 3, t3; @q bra skip;\n\
                     shfl.sync.bfly.b32 t3, t2, 16, 31, -1; mad.lo.u32 t2, t2, 5, t3; shfl.sync.bfly.b32 t3, t2, 8, 31, -1; add.u32 t2, t2, t3;\n\
                     shfl.sync.idx.b32 t3, t2, 7, 31, -1; xor.b32 t2, t2, t3;\n\
                     skip: bar.sync 0; @q bra over; st.shared.b32 [mine], t2; over: bar.sync 0; ld.shared.b32 t3, [other]; add.u32 t2, t2, t3; bar.sync 0;\n\
                     add.u32 t1, t1, 1; setp.lt.u32 p, t1, 5; @p bra again;\n\
                     mov.b32 d, t2;"
                ),
            ));
        }
        cases.push(case(
            "warps of different length",
            threads,
            "mov.b32 t1, 0; mov.b32 t2, tid;\n\
             again: shfl.sync.bfly.b32 t3, t2, 16, 31, -1; mad.lo.u32 t2, t2, 3, t3; add.u32 t1, t1, 1; setp.le.u32 p, t1, warp; @p bra again;\n\
             st.shared.b32 [mine], t2; bar.sync 0; ld.shared.b32 d, [other]; bar.sync 0;\n\
             setp.eq.u32 p, warp, 0; @!p bra gone; shfl.sync.bfly.b32 t3, d, 8, 31, -1; add.u32 d, d, t3; st.shared.b32 [total], d;\n\
             gone: bar.sync 0; ld.shared.b32 t3, [total]; and.b32 t3, t3, 0; add.u32 d, d, t3;",
        ));
    }
    cases
}

#[test]
fn blocks() {
    isolated("barrier::blocks", || {
        Bench::open().kernels(&block_barriers(), known_differences("barrier::blocks"));
    });
}

/// Whether the device is one on which barriers of a part of the block are refused: its subgroups hold two warps.
fn refuses_parts(bench: &Bench) -> bool {
    bench.translates() && bench.target().warps == ptx_spirv::Warps::Subgroup64
}

#[test]
fn named() {
    isolated("barrier::named", || {
        let bench = Bench::open();
        let cases = named_barriers();
        let mut known = known_differences("barrier::named").to_vec();
        if refuses_parts(&bench) {
            // 1024 threads are the bound of a kernel that names none: that count is the whole block.
            let parts = cases
                .iter()
                .filter(|case| case.name != "bar.sync with the whole count, 1024 threads");
            known.extend(parts.map(|case| (&*case.name, "refused")));
        }
        bench.kernels(&cases, &known);
    });
}

#[test]
fn warps() {
    isolated("barrier::warps", || {
        Bench::open().kernels(&warp_barriers(), known_differences("barrier::warps"));
    });
}

/// Threads that ask memory until other warps of the block have stored there: PTX promises that these get on.
#[test]
fn polling() {
    let module = ".shared .b32 c, flag, done[2]; .global .b32 word, lock;\n---\n";
    let start = "shr.u32 z, tid, 5; and.b32 x, tid, 31; setp.eq.u32 p, tid, 0; mov.u64 a, word; mov.u64 b, lock;\n\
        @p st.shared.b32 [c], 0; @p st.shared.b32 [flag], 0; @p st.shared.v2.b32 [done], {0, 0}; @p st.global.b32 [word], 0; @p st.global.b32 [lock], 0; bar.sync 0;\n";
    let waits = |name: &str, ask: &str, tell: &str| {
        let text = format!(
            "{start}setp.eq.u32 p, z, 1; @p bra second;\n\
             again: {ask} setp.eq.u32 q, r0, 0; @q bra again; bra both;\n\
             second: {tell} mov.b32 r0, 9;\nboth: bar.sync 0; st.global.b32 [to], r0;"
        );
        memory::case(name, 4, module, &text)
    };
    let cases = [
        waits("volatile, global", "ld.volatile.global.b32 r0, [word];", "st.volatile.global.b32 [word], 7;"),
        waits("acquire", "ld.acquire.gpu.b32 r0, [a];", "mov.b32 r1, 5; st.release.gpu.b32 [a], r1;"),
        waits("volatile, shared", "ld.volatile.shared.b32 r0, [flag];", "st.volatile.shared.b32 [flag], 3;"),
        waits("with sleep", "nanosleep.u32 20; ld.volatile.shared.b32 r0, [flag];", "st.volatile.shared.b32 [flag], 3;"),
        waits("atomics, shared", "atom.shared.add.u32 r0, [flag], 0;", "atom.shared.exch.b32 r1, [flag], 2;"),
        waits("atomics, global", "mov.b32 r10, 0; atom.global.or.b32 r0, [a], r10;", "atom.global.exch.b32 r1, [a], 1;"),
        memory::case(
            "one warp after the other",
            4,
            module,
            &format!(
                "{start}mov.b32 r0, 100; mov.u32 r2, done; mad.lo.u32 r2, z, 4, r2; setp.eq.u32 p, z, 0; @p bra first;\n\
                 again: ld.volatile.shared.b32 r0, [r2+-4]; setp.eq.u32 q, r0, 0; @q bra again; bar.warp.sync -1;\n\
                 first: add.u32 r0, r0, 1; st.volatile.shared.b32 [r2], r0; bar.warp.sync -1; ld.volatile.shared.b32 r1, [r2]; st.global.b32 [to], r1;"
            ),
        ),
        memory::case(
            "a lock for warps",
            4,
            module,
            &format!(
                "{start}setp.ne.u32 q, x, 0; @q bra inside;\n\
                 again: mov.b32 r3, 1; mov.b32 r4, 0; atom.global.cas.b32 r5, [b], r4, r3; setp.ne.u32 p, r5, 0; @p bra again;\n\
                 inside: bar.warp.sync -1; and.b32 r6, tid, 28; setp.ne.u32 p, r6, 0; @p bra past; atom.shared.add.u32 r7, [c], 1;\n\
                 past: bar.warp.sync -1; @q bra end; atom.global.exch.b32 r8, [b], 0;\nend: bar.sync 0; ld.shared.b32 r9, [c]; st.global.b32 [to], r9;"
            ),
        ),
        memory::case(
            "a lock for threads",
            4,
            module,
            &format!(
                "{start}again: atom.global.cas.b32 r5, [b], 0, 1; setp.eq.u32 p, r5, 0; @!p bra next;\n\
                 ld.volatile.shared.b32 r6, [c]; add.u32 r6, r6, 3; st.volatile.shared.b32 [c], r6; membar.gl; atom.global.exch.b32 r7, [b], 0;\n\
                 next: @!p bra again; bar.sync 0; ld.shared.b32 r9, [c]; st.global.b32 [to], r9;"
            ),
        ),
    ];
    isolated("barrier::polling", || {
        Bench::open().kernels(&cases, known_differences("barrier::polling"));
    });
}
