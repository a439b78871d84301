//! What the threads of a warp do together.

use crate::known::known_differences;
use conformance::{isolated, Bench, Case, Random};

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

#[test]
fn warps() {
    isolated("warp::warps", || {
        Bench::open().kernels(
            &[shuffles(), votes()].concat(),
            known_differences("warp::warps"),
        );
    });
}
