//! What the threads of a warp do together.

use crate::known::{known_differences, CUDA, NVIDIA};
use conformance::{device_kind, isolated, left_out, Bench, Case, Random, IN_STEP};

/// A kernel of 96 threads: `a` and `b` are two input words of the thread, `d` and `e` its results, `lane` its lane.
fn case(name: &str, shared: &str, text: &str) -> Case {
    let mut random = Random(7);
    let small = |r: &mut Random, i: usize| {
        if i % 3 == 0 {
            r.bits() as u32
        } else {
            r.bits() as u32 % 40
        }
    };
    let input = (0..96 * 2)
        .flat_map(|i| small(&mut random, i).to_le_bytes())
        .collect();
    Case {
        name: name.to_owned(),
        text: format!(
            ".version 8.3\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 in, .param .u64 out) {{\n\
             .reg .b64 from, to, i, slot, w<4>; .reg .b32 tid, lane, a, b, d, e, t<8>; .reg .pred p, q, r;\n{shared}\n\
             ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x; mov.u32 lane, %laneid;\n\
             mul.wide.u32 i, tid, 8; add.u64 from, from, i; add.u64 slot, to, i;\n\
             ld.global.v2.b32 {{a, b}}, [from]; mov.b32 d, 0; mov.b32 e, 0; setp.ne.u32 p, 0, 0;\n\
             {text}\nst.global.v2.b32 [slot], {{d, e}};\nret;\n}}\n"
        ),
        grid: [1, 1, 1],
        block: [96, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; 96 * 8 + 64],
        references: Vec::new(),
    }
}

fn shuffles() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in ["up", "down", "bfly", "idx"] {
        for clamp in [0, 0x1f, 0x1807, 0x101f] {
            let text: String = [1, 3, 8, 31]
                .iter()
                .map(|by| {
                    format!(
                        "shfl.sync.{mode}.b32 t0|p, a, {by}, {clamp}, -1; selp.u32 t1, 1, 0, p; \
                         mad.lo.u32 d, d, 31, t0; mad.lo.u32 e, e, 2, t1;\n"
                    )
                })
                .collect();
            cases.push(case(&format!("shfl.{mode} {clamp:#x}"), "", &text));
        }
    }
    cases.push(case(
        "shfl.idx by register",
        "",
        "shfl.sync.idx.b32 d|p, a, b, 0x1f, -1; selp.u32 e, 1, 0, p;",
    ));
    cases
}

fn votes() -> Vec<Case> {
    let odd = "and.b32 t0, a, 1; setp.ne.u32 p, t0, 0;";
    let mut cases = vec![
        case("vote.ballot", "", &format!("{odd} vote.sync.ballot.b32 d, p, -1; vote.sync.ballot.b32 e, !p, -1;")),
        case("match.any", "", "and.b32 t0, a, 7; match.any.sync.b32 d, t0, -1; cvt.u64.u32 w0, b; match.any.sync.b64 e, w0, -1;"),
        case("match.all", "", "match.all.sync.b32 d|p, a, -1; selp.u32 e, 1, 0, p; match.all.sync.b32 t0|q, 5, -1; add.u32 d, d, t0;"),
        case("partial masks", "", "setp.lt.u32 p, lane, 11; @p bra low; vote.sync.ballot.b32 d, p, 0xfffff800; redux.sync.add.u32 e, a, 0xfffff800; bra join;\nlow: shfl.sync.bfly.b32 d, a, 1, 0x1f, 0x7ff; redux.sync.max.s32 e, a, 0x7ff;\njoin:"),
        case("elect", "", "elect.sync d|p, -1; selp.u32 e, 1, 0, p;"),
        case("divergent loop", "", "and.b32 t0, a, 15; mov.b32 t1, 0;\nloop: add.u32 t1, t1, 1; mad.lo.u32 d, d, 7, t1; setp.gt.u32 p, t1, t0; @!p bra loop;\nbar.warp.sync -1; shfl.sync.idx.b32 e, d, 3, 0x1f, -1;"),
    ];
    for mode in ["all", "any", "uni"] {
        cases.push(case(
            &format!("vote.{mode}"),
            "",
            &format!("{odd} vote.sync.{mode}.pred q, p, -1; selp.u32 d, 1, 0, q; setp.lt.u32 p, lane, 32; vote.sync.{mode}.pred q, p, -1; selp.u32 e, 1, 0, q;"),
        ));
    }
    for op in [
        "add.u32", "add.s32", "min.u32", "min.s32", "max.u32", "max.s32", "and.b32", "or.b32",
        "xor.b32",
    ] {
        cases.push(case(
            &format!("redux.{op}"),
            "",
            &format!("redux.sync.{op} d, a, -1; redux.sync.{op} e, b, -1;"),
        ));
    }
    cases
}

/// Kernels that count on the lanes of a warp running in step, which PTX does not promise and hardware does as long as their ways do
/// not part. `sum`, `at` are registers for addresses in `s`, 1 KiB of shared memory.
fn in_step() -> Vec<Case> {
    let shared = ".shared .align 16 .b8 s[1024]; .reg .b32 own, sum, at, part, first, x, y, v<9>;";
    let case = |name: &str, text: &str| {
        // Words that nobody writes, and what lies in them, are part of the result.
        let cleared = "mov.u32 sum, s; mad.lo.u32 own, tid, 8, sum; st.shared.v2.b32 [own], {tid, a}; bar.sync 0;";
        case(name, shared, &format!("{cleared}\n{text}"))
    };
    let halving = |volatile: &str| {
        let steps: String = [16, 8, 4, 2, 1]
            .iter()
            .map(|by| {
                format!(
                    "{IN_STEP} ld{volatile}.shared.u32 x, [at+{}]; ld{volatile}.shared.u32 y, [at]; \
                     mad.lo.u32 x, x, 3, y; {IN_STEP} st{volatile}.shared.u32 [at], x;\n",
                    by * 4
                )
            })
            .collect();
        format!("shl.b32 v0, tid, 2; add.u32 at, v0, sum; {steps} {IN_STEP} ld{volatile}.shared.u32 d, [sum];")
    };
    let first_warp = |text: &str| {
        format!("setp.gt.u32 p, tid, 31; @p bra done;\n{text}\ndone: bar.sync 0; ld.shared.u32 e, [sum+20];")
    };
    vec![
        // ggml's quantisation of one query: lanes 16 and above store what lanes 0 and 8 replace.
        case(
            "store over a store",
            &format!(
                "setp.gt.u32 p, tid, 31; @p bra done; shl.b32 v0, tid, 2; add.u32 at, v0, sum; st.shared.u32 [at], a;\n\
                 {IN_STEP} and.b32 t0, tid, -9; setp.ne.u32 p, t0, 0; @p bra done;\n\
                 and.b32 v3, tid, -8; add.u32 v4, v3, sum; st.shared.v2.b32 [v4+64], {{a, b}};\n\
                 done: bar.sync 0; shl.b32 v1, lane, 2; add.u32 v2, v1, sum; ld.shared.u32 d, [v2];"
            ),
        ),
        case("volatile sum of a warp", &first_warp(&halving(".volatile"))),
        case("sum of a warp", &first_warp(&halving(""))),
        // The address from memory: nothing is known of it.
        case(
            "volatile sum through an address from memory",
            &format!(
                "and.b32 t0, a, 31; shl.b32 t0, t0, 2; add.u32 at, t0, sum; setp.gt.u32 p, tid, 31; @p bra done;\n\
                 ld.volatile.shared.u32 x, [at+64]; {IN_STEP} shl.b32 t1, lane, 2; add.u32 t1, t1, sum; xor.b32 t2, t1, 124;\n\
                 st.volatile.shared.u32 [t2+64], x; {IN_STEP} ld.volatile.shared.u32 d, [t1+64];\ndone: bar.sync 0;"
            ),
        ),
        // ldmatrix reads rows that other lanes have stored, with an address of which nothing is known.
        case(
            "matrices of what was stored",
            &first_warp(&format!(
                "shl.b32 v0, lane, 2; add.u32 at, v0, sum; st.shared.u32 [at], a; st.shared.u32 [at+128], b;\n\
                 cvt.u64.u32 w0, sum; cvta.shared.u64 w0, w0; mul.wide.u32 w1, lane, 16; add.u64 w0, w0, w1;\n\
                 {IN_STEP} ldmatrix.sync.aligned.m8n8.x2.b16 {{d, v1}}, [w0]; xor.b32 d, d, v1;"
            )),
        ),
        // In every warp, and where some lanes have left.
        case(
            "lane to lane",
            &format!(
                "shr.u32 v5, tid, 5; shl.b32 first, v5, 7; add.u32 part, first, sum; setp.eq.u32 p, lane, 30; @p bra gone;\n\
                 shl.b32 v0, lane, 2; add.u32 at, part, v0; st.shared.u32 [at], a; {IN_STEP} xor.b32 v3, v0, 64; add.u32 v4, part, v3;\n\
                 ld.shared.u32 d, [v4]; {IN_STEP} st.shared.u32 [at], b; {IN_STEP} ld.shared.u32 e, [v4];\ngone:"
            ),
        ),
        // In a loop, and across its iterations.
        case(
            "in a loop",
            &format!(
                "shr.u32 v5, tid, 5; shl.b32 first, v5, 7; add.u32 part, first, sum; shl.b32 v0, lane, 2; add.u32 at, part, v0; mov.b32 t2, 0;\n\
                 again: {IN_STEP} st.shared.u32 [at], a; xor.b32 v3, v0, 96; add.u32 v4, part, v3; {IN_STEP} ld.shared.u32 x, [v4];\n\
                 mad.lo.u32 a, a, 7, x; add.u32 t2, t2, 1; setp.lt.u32 q, t2, 5; @q bra again;\nmov.b32 d, a;"
            ),
        ),
        // A warp goes on as its last lane says, in a loop within a loop.
        case(
            "as the last lane says",
            &format!(
                "shr.u32 v5, tid, 5; shl.b32 first, v5, 7; add.u32 part, first, sum; shl.b32 v0, lane, 2; add.u32 at, part, v0; mov.b32 t2, 0; mov.b32 d, 0;\n\
                 outer: inner: add.u32 x, d, lane; {IN_STEP} st.volatile.shared.u32 [at], x; add.u32 d, d, 3; {IN_STEP} ld.volatile.shared.u32 y, [part+124];\n\
                 setp.lt.u32 q, y, t2; @q bra inner; add.u32 t2, t2, 16; setp.lt.u32 q, t2, 200; @q bra outer;"
            ),
        ),
        // Where other parts of the kernel have lanes meet that are not all.
        case(
            "beside a part that meets",
            &format!(
                "setp.lt.u32 p, lane, 11; @!p bra rest; vote.sync.ballot.b32 e, p, 0x7ff;\n\
                 rest: bar.sync 0; setp.gt.u32 p, tid, 31; @p bra done; shl.b32 v0, tid, 2; add.u32 at, v0, sum;\n\
                 st.shared.u32 [at], a; {IN_STEP} and.b32 t0, tid, -9; setp.ne.u32 p, t0, 0; @p bra done;\n\
                 and.b32 v3, tid, -8; add.u32 v4, v3, sum; st.shared.v2.b32 [v4+64], {{a, b}};\n\
                 done: bar.sync 0; shl.b32 v1, lane, 2; add.u32 v2, v1, sum; ld.shared.u32 d, [v2];"
            ),
        ),
        // Some lanes, where the others have no more meetings before them.
        case(
            "the rest of a warp",
            &format!(
                "setp.lt.u32 p, lane, 13; @p bra gone; shr.u32 v5, tid, 5; shl.b32 first, v5, 7; add.u32 part, first, sum;\n\
                 shl.b32 v0, lane, 2; add.u32 at, part, v0; st.shared.u32 [at], a; {IN_STEP} ld.shared.u32 d, [at+-32]; {IN_STEP}\n\
                 st.shared.u32 [at], b; {IN_STEP} xor.b32 v3, v0, 32; add.u32 v4, part, v3; ld.shared.u32 e, [v4];\ngone:"
            ),
        ),
        case(
            "fewer and fewer in a loop",
            &format!(
                "shr.u32 v5, tid, 5; shl.b32 first, v5, 7; add.u32 part, first, sum; shl.b32 v0, lane, 2; add.u32 at, part, v0; mov.b32 t2, 0;\n\
                 and.b32 v6, lane, 7; again: {IN_STEP} st.shared.u32 [at], a; xor.b32 v3, v0, 96; add.u32 v4, part, v3; {IN_STEP}\n\
                 ld.shared.u32 x, [v4]; mad.lo.u32 a, a, 7, x; mov.b32 d, a; st.global.v2.b32 [slot], {{d, e}};\n\
                 setp.ge.u32 q, t2, v6; @q ret; add.u32 t2, t2, 1; bra again;"
            ),
        ),
        // Some lanes, then others.
        case(
            "parts of a warp",
            &format!(
                "shl.b32 v0, lane, 2; add.u32 at, v0, sum; setp.gt.u32 p, tid, 31; @p bra done;\n\
                 setp.gt.u32 q, lane, 15; @q st.shared.u32 [at], a; {IN_STEP} @!q st.shared.u32 [at+32], b; {IN_STEP}\n\
                 done: bar.sync 0; ld.shared.u32 d, [at];"
            ),
        ),
    ]
}

/// The same in global memory, in the results: `slot` is the lane's place, `mine` what its warp has of them, 256 bytes.
fn in_step_in_global_memory() -> Vec<Case> {
    let case = |name: &str, text: &str| {
        let registers = ".reg .b32 grid, size, count, step, by, j, n, x, y, low, high, v<4>; .reg .b64 mine, other, at, beside;";
        // By the thread's number in the grid, of which nobody knows where a row begins but by the size of blocks.
        let own = "mov.u32 grid, %ctaid.x; mov.u32 size, %ntid.x; mad.lo.u32 v0, grid, size, tid; shr.u32 v0, v0, 5;\n\
                   mad.wide.u32 mine, v0, 256, to; mov.u32 count, %nctaid.x; shl.b32 count, count, 5;";
        case(name, registers, &format!("{own}\n{text}"))
    };
    vec![
        case(
            "lane to lane, global",
            &format!(
                "st.global.v2.b32 [slot], {{a, b}}; {IN_STEP} xor.b32 v1, lane, 16; mad.wide.u32 other, v1, 8, mine; ld.global.v2.b32 {{d, e}}, [other];\n\
                 {IN_STEP}"
            ),
        ),
        // Words by what a word says.
        case(
            "by an index, global",
            &format!(
                "st.global.v2.b32 [slot], {{a, b}}; and.b32 v1, a, 63; mad.wide.u32 other, v1, 4, mine; {IN_STEP} ld.global.b32 x, [other];\n\
                 {IN_STEP} add.u32 x, x, 1; st.global.b32 [slot+4], x; {IN_STEP} and.b32 v1, b, 63; mad.wide.u32 other, v1, 4, mine;\n\
                 ld.global.b32 d, [other]; {IN_STEP}"
            ),
        ),
        // A bitonic sort of a warp's 64 words, in loops that each lane ends for itself.
        case(
            "sort, global",
            &format!(
                "st.global.v2.b32 [slot], {{a, b}}; mov.b32 step, 1;\n\
                 larger: mov.b32 by, step; shl.b32 step, step, 1;\n\
                 smaller: mov.b32 j, lane; {IN_STEP} setp.ge.s32 p, j, count; @p bra done;\n\
                 each: neg.s32 n, by; and.b32 n, n, j; add.u32 n, n, j; mad.wide.u32 at, n, 4, mine; mad.wide.u32 beside, by, 4, at;\n\
                 ld.global.u32 x, [at]; ld.global.u32 y, [beside]; min.u32 low, x, y; max.u32 high, x, y; and.b32 v1, n, step; setp.ne.u32 q, v1, 0;\n\
                 setp.eq.u32 r, low, x; xor.pred r, r, q; @r bra sorted;\n\
                 selp.b32 x, high, low, q; selp.b32 y, low, high, q; st.global.u32 [at], x; st.global.u32 [beside], y;\n\
                 sorted: add.u32 j, j, 32; setp.lt.s32 p, j, count; @p bra each;\n\
                 done: shr.u32 by, by, 1; setp.ne.u32 p, by, 0; @p bra smaller; setp.lt.u32 p, step, 64; @p bra larger;\n\
                 {IN_STEP} ld.global.v2.b32 {{d, e}}, [slot];"
            ),
        ),
        // A loop that each lane seems to end for itself; the vote says that none does.
        case(
            "in a loop with a vote, global",
            &format!(
                "mov.b32 j, lane; mul.lo.u32 count, count, 3;\n\
                 again: {IN_STEP} st.global.u32 [slot], a; xor.b32 v1, lane, 24; mad.wide.u32 other, v1, 8, mine; {IN_STEP} ld.global.u32 x, [other];\n\
                 mad.lo.u32 a, a, 7, x; setp.gt.u32 q, a, 5000; vote.sync.any.pred q, q, -1; selp.u32 v2, 1, 0, q; add.u32 e, e, v2;\n\
                 add.u32 j, j, 32; setp.lt.s32 p, j, count; @p bra again; bar.sync 0; mov.b32 d, a;"
            ),
        ),
    ]
}

/// Where rows of threads are no whole warps, a part of a warp comes where whole warps would: it waits for nobody.
fn in_rows() -> Case {
    let mut case = case(
        "rows of 24",
        ".shared .align 16 .b8 s[4096]; .reg .b32 x, y, at, s0, v<9>;",
        "mov.u32 x, %tid.x; mov.u32 y, %tid.y; mad.lo.u32 v0, y, 24, x; mul.wide.u32 w0, v0, 8; add.u64 slot, to, w0; mov.u32 s0, s;\n\
         setp.gt.u32 p, y, 1; @p bra done;\n\
         shl.b32 v1, x, 2; mad.lo.u32 v2, y, 1024, v1; add.u32 at, v2, s0; st.shared.u32 [at], 5;\n\
         and.b32 t1, x, -9; setp.ne.u32 q, t1, 0; @q bra done;\n\
         and.b32 v3, x, -8; mad.lo.u32 v4, y, 1024, v3; add.u32 v5, v4, s0; st.shared.v2.b32 [v5+64], {5, 5};\n\
         done: bar.sync 0; and.b32 v6, x, 15; mad.lo.u32 v7, v6, 4, s0; ld.shared.u32 d, [v7];",
    );
    case.block = [24, 4, 1];
    case
}

/// `activemask` where lanes have parted: those that went the same way.
fn active_lanes() -> Vec<Case> {
    let odd = "and.b32 t0, lane, 1; setp.ne.u32 p, t0, 0; setp.lt.u32 q, lane, 21; setp.eq.u32 r, lane, 9;";
    let mut cases: Vec<Case> = [
        ("whole warp", "activemask.b32 d;"),
        ("two ways", "@p bra one; activemask.b32 d; bra join;\none: activemask.b32 e;\njoin:"),
        ("one way", "@!q bra join; activemask.b32 d;\njoin: bar.warp.sync -1; activemask.b32 e;"),
        (
            "ways of ways",
            "@p bra one; @q bra two; activemask.b32 d; bra join;\ntwo: activemask.b32 d; activemask.b32 e; bra join;\n\
             one: activemask.b32 e; @!q bra join; activemask.b32 d;\njoin:",
        ),
        ("after lanes have left", "@r bra gone; activemask.b32 d; @p bra gone; activemask.b32 e;\ngone:"),
        (
            "after lanes have left in a way",
            "@p bra join; @r bra gone; activemask.b32 d; @q bra gone; activemask.b32 e;\n\
             join: shfl.sync.idx.b32 t1, a, 3, 0x1f, -1; add.u32 d, d, t1;\ngone:",
        ),
        ("of one warp", "setp.gt.u32 r, tid, 31; @r bra join; activemask.b32 d; @p bra join; activemask.b32 e;\njoin: bar.sync 0;"),
        ("exchange among them", "@p bra join; activemask.b32 d; shfl.sync.idx.b32 e, a, 30, 0x1f, d;\njoin:"),
        ("by a predicate", "mov.b32 d, 7; @q activemask.b32 d;"),
    ]
    .map(|(name, text)| case(&format!("activemask {name}"), "", &format!("{odd}\n{text}")))
    .into();
    let mut last = cases[1].clone();
    last.name += ", part of a warp";
    last.block = [75, 1, 1];
    cases.push(last);
    cases
}

/// Shuffles from lanes that are not there, which read as 0 on NVIDIA's GPUs. Words that those lanes gave before lie about.
fn absent_lanes() -> Vec<Case> {
    let gone = "setp.gt.u32 p, lane, 20; setp.eq.u32 q, lane, 3; or.pred p, p, q;";
    let before = "shfl.sync.idx.b32 t2, a, 7, 0x1f, -1; shfl.sync.bfly.b32 t3, t2, 8, 0x1f, -1; add.u32 t3, t3, b;";
    let all = |mask: &str| {
        [("down", 16), ("down", 1), ("bfly", 1), ("bfly", 2), ("bfly", 8), ("bfly", 16), ("up", 2), ("idx", 3), ("idx", 30)]
            .map(|(mode, by)| {
                let clamp = if mode == "up" { 0 } else { 31 };
                format!("shfl.sync.{mode}.b32 t0|r, t3, {by}, {clamp}, {mask}; selp.u32 t1, 1, 0, r; mad.lo.u32 d, d, 31, t0; mad.lo.u32 e, e, 2, t1;\n")
            })
            .concat()
    };
    let by_register =
        "shfl.sync.idx.b32 d, t3, b, 0x1f, -1; shfl.sync.down.b32 e, a, b, 0x80f, -1;";
    let left = |name: &str, text: &str| {
        case(
            &format!("absent lanes, {name}"),
            "",
            &format!("{gone}\n{before}\n@p bra gone;\n{text}\ngone:"),
        )
    };
    vec![
        left("all named", &all("-1")),
        left("by registers", by_register),
        left("named by a register", &format!("vote.sync.ballot.b32 t4, p, -1; not.b32 t4, t4; {}", all("t4"))),
        left("some named", &all("0x1fffff")),
        left("a ballot among them", &format!("vote.sync.ballot.b32 t4, p, -1; {} vote.sync.ballot.b32 t5, q, -1; xor.b32 e, e, t5;", all("-1"))),
        case("absent lanes, fewer and fewer", "", 
            "mov.b32 t4, 0; and.b32 t5, lane, 7; mov.b32 t3, a;\nagain: shfl.sync.down.b32 t0, t3, 1, 31, -1; mad.lo.u32 d, d, 7, t0;\n\
             shfl.sync.bfly.b32 t1, t0, 4, 31, -1; mad.lo.u32 t3, t3, 5, t1; mov.b32 e, t1; setp.ge.u32 q, t4, t5; @q bra gone; add.u32 t4, t4, 1; bra again;\ngone:"
        ),
        // Whole warps leave, and in a block that the others wait for.
        case("absent lanes, whole warps", "", &format!("{before} setp.gt.u32 p, tid, 63; @p bra gone;\n{} bar.sync 0;\ngone:", all("-1"))),
        case("absent lanes, counted", "", &format!(
            "{before} {gone} @p bra gone; setp.lt.u32 r, lane, 6; @!r bra rest; vote.sync.ballot.b32 e, r, 0x37;\n\
             rest: bar.warp.sync -1; {}\ngone:", all("-1")
        )),
        case("no absent lanes", "", &format!("{before} {}", all("-1"))),
    ]
}

/// The same where the last warp is not whole.
fn lanes_beyond_the_block() -> Vec<Case> {
    let mut cases = absent_lanes();
    for case in &mut cases {
        case.name += ", part of a warp";
        case.block = [75, 1, 1];
    }
    cases
}

#[test]
fn shuffles_from_absent_lanes() {
    isolated("warp::shuffles_from_absent_lanes", || {
        let known = known_differences("warp::shuffles_from_absent_lanes");
        Bench::open().kernels(&absent_lanes(), known);
    });
}

/// Lanes that have never been there read as 0 here, too, but as what lies in their registers on NVIDIA's GPUs (seen on an H200).
#[test]
fn shuffles_from_lanes_beyond_the_block() {
    isolated("warp::shuffles_from_lanes_beyond_the_block", || {
        if [CUDA, NVIDIA]
            .iter()
            .any(|kind| device_kind().starts_with(kind))
        {
            return left_out("all", "lanes that have never been there hold anything");
        }
        let known = known_differences("warp::shuffles_from_lanes_beyond_the_block");
        Bench::open().kernels(&lanes_beyond_the_block(), known);
    });
}

#[test]
fn active_lanes_of_ways() {
    isolated("warp::active_lanes_of_ways", || {
        let known = known_differences("warp::active_lanes_of_ways");
        Bench::open().kernels(&active_lanes(), known);
    });
}

#[test]
fn lanes_in_step() {
    isolated("warp::lanes_in_step", || {
        let cases = [in_step(), in_step_in_global_memory(), vec![in_rows()]].concat();
        Bench::open().kernels(&cases, known_differences("warp::lanes_in_step"));
    });
}

#[test]
fn warps() {
    isolated("warp::warps", || {
        Bench::open().kernels(
            &[shuffles(), votes()].concat(),
            known_differences("warp::warps"),
        );
    });
}
