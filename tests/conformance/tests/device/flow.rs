//! Special registers, calls, jump tables; random programs and random control flow.

use crate::known::known_differences;
use crate::memory::case;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

#[test]
fn special_registers() {
    let registers = [
        "tid.x",
        "tid.y",
        "tid.z",
        "ntid.x",
        "ntid.y",
        "ntid.z",
        "ctaid.x",
        "ctaid.y",
        "ctaid.z",
        "nctaid.x",
        "nctaid.y",
        "nctaid.z",
        "laneid",
        "lanemask_eq",
        "lanemask_le",
        "lanemask_lt",
        "lanemask_ge",
        "lanemask_gt",
        "dynamic_smem_size",
        "total_smem_size",
        "clusterid.x",
        "nclusterid.y",
        "cluster_ctaid.x",
        "cluster_nctaid.z",
        "cluster_ctarank",
        "cluster_nctarank",
    ];
    // Of these PTX says little: which warp a thread is of, and how many there may be.
    let warps = ["warpid", "nwarpid"];
    let mut cases = Vec::new();
    for (grid, block, registers) in [
        ([3, 2, 2], [5, 4, 3], &registers[..]),
        ([4, 1, 1], [96, 1, 1], &registers),
        ([1, 3, 1], [16, 9, 1], &registers),
        ([1, 1, 2], [3, 1, 17], &registers),
        ([2, 1, 1], [96, 2, 1], &warps),
    ] {
        let threads: u32 = block.iter().product();
        let blocks: u32 = grid.iter().product();
        let mut text = String::from(
            ".version 8.8\n.target sm_90\n.address_size 64\n.extern .shared .align 16 .b8 dynamic[];\n\
             .visible .entry k(.param .u64 in, .param .u64 out) {\n.shared .b32 s[8]; .reg .b32 r, b, x<4>; .reg .b64 to, i; .reg .pred p;\n\
             mov.u32 b, %ctaid.z; mov.u32 x0, %nctaid.y; mov.u32 x1, %ctaid.y; mad.lo.u32 b, b, x0, x1;\n\
             mov.u32 x0, %nctaid.x; mov.u32 x1, %ctaid.x; mad.lo.u32 b, b, x0, x1;\n\
             mov.u32 r, %tid.z; mov.u32 x0, %ntid.y; mov.u32 x1, %tid.y; mad.lo.u32 r, r, x0, x1; mov.u32 x0, %ntid.x; mov.u32 x1, %tid.x; mad.lo.u32 r, r, x0, x1;\n\
             st.shared.u32 [s], r; mov.u32 x2, dynamic; mov.u32 x3, s;\n",
        );
        let _ = writeln!(
            text,
            "mad.lo.u32 r, b, {threads}, r; mul.wide.u32 i, r, {}; ld.param.u64 to, [out]; add.u64 to, to, i;",
            4 * registers.len()
        );
        for (n, name) in registers.iter().enumerate() {
            let _ = writeln!(text, "mov.u32 r, %{name}; st.global.u32 [to+{}], r;", 4 * n);
        }
        text.push_str("ret;\n}\n");
        cases.push(Case {
            name: format!("{grid:?} {block:?}"),
            text,
            grid,
            block,
            dynamic_shared: 48,
            input: Vec::new(),
            output: vec![0; (threads * blocks) as usize * 4 * registers.len()],
            references: Vec::new(),
        });
    }
    isolated("flow::special_registers", || {
        Bench::open().kernels(&cases, known_differences("flow::special_registers"));
    });
}

#[test]
fn calls() {
    let functions = ".func (.param .b32 y) square(.param .b32 a) { .reg .b32 t<2>; ld.param.b32 t0, [a]; mul.lo.u32 t1, t0, t0; st.param.b32 [y], t1; ret; }\n\
        .func (.param .b32 y) twice(.param .b32 a) { .reg .b32 t<2>; ld.param.b32 t0, [a]; add.u32 t1, t0, t0; st.param.b32 [y], t1; ret; }\n\
        .func (.param .b32 y) branchy(.param .b32 a) { .reg .b32 t<2>; .reg .pred q; ld.param.b32 t0, [a]; setp.lt.u32 q, t0, 20; @q bra small; st.param.b32 [y], 7; ret;\nsmall: mul.lo.u32 t1, t0, 3; st.param.b32 [y], t1; ret; }\n\
        .func (.reg .b32 y) in_registers(.reg .b32 a, .reg .b64 b) { .reg .b32 t; cvt.u32.u64 t, b; mad.lo.u32 y, a, a, t; add.u32 a, a, 1; ret; }\n\
        .func (.param .align 8 .b8 y[24]) structure(.param .align 8 .b8 a[24], .param .b64 f) { .reg .b64 t<3>; .reg .b32 u<2>; .reg .b16 v;\n\
        ld.param.b64 t0, [a]; ld.param.b32 u0, [a+8]; ld.param.u8 v, [a+12]; ld.param.b64 t1, [a+16]; ld.param.b64 t2, [f]; add.u64 t0, t0, t2; xor.b64 t1, t1, t0; st.param.b64 [y], t1; st.param.b32 [y+8], u0; st.param.b8 [y+12], v; st.param.b8 [y+13], 9; st.param.b16 [y+14], 513; st.param.b64 [y+16], t0; ret; }\n\
        .func through(.param .b64 a, .param .b32 v) { .reg .b64 t; .reg .b32 u; ld.param.b64 t, [a]; ld.param.b32 u, [v]; st.b32 [t], u; ret; }\n\
        .func (.param .b32 y) nested(.param .b32 a) { .reg .b32 t<3>; ld.param.b32 t0, [a]; { .param .b32 p0; .param .b32 r0; st.param.b32 [p0], t0; call (r0), square, (p0); ld.param.b32 t1, [r0]; }\n\
        { .param .b32 p0; .param .b32 r0; st.param.b32 [p0], t1; call (r0), branchy, (p0); ld.param.b32 t2, [r0]; } st.param.b32 [y], t2; ret; }\n\
        .global .align 8 .u64 methods[3] = {square, twice, branchy};\n---\n";
    let call = |name: &str| {
        format!("{{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], tid; call.uni (r0), {name}, (p0); ld.param.b32 r1, [r0]; }} st.global.b32 [to], r1;")
    };
    let indirect = |value: &str| {
        format!(
            "mov.b32 r1, 0; {{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], tid;\nproto: .callprototype (.param .b32 _) _ (.param .b32 _);\n\
             call (r0), {value}, (p0), proto; ld.param.b32 r1, [r0]; }} st.global.b32 [to], r1;"
        )
    };
    let mut cases: Vec<Case> = ["square", "branchy", "nested"]
        .iter()
        .map(|name| case(name, 8, functions, &call(name)))
        .collect();
    cases.push(case("a predicated call", 8, functions, &format!("and.b32 x, tid, 3; setp.eq.u32 p, x, 1; mov.b32 r1, 5; @!p bra no; {}\nno: st.global.b32 [to+4], r1;", call("square"))));
    cases.push(case("registers", 16, functions, "cvt.u64.u32 w0, tid; call (r0), in_registers, (tid, w0); call (r1), in_registers, (7, 9); st.global.v2.b32 [to], {r0, r1}; st.global.b32 [to+8], tid;"));
    cases.push(case(
        "structures",
        32,
        functions,
        "ld.global.v2.b64 {w0, w1}, [from]; ld.global.b64 w2, [from+16]; { .param .align 8 .b8 p0[24]; .param .b64 p1; .param .align 8 .b8 r0[24];\n\
         st.param.b64 [p0], w0; cvt.u32.u64 r2, w1; st.param.b32 [p0+8], r2; st.param.b8 [p0+12], r2; st.param.b64 [p0+16], w2; st.param.b64 [p1], w1;\n\
         call (r0), structure, (p0, p1); ld.param.b64 w3, [r0]; ld.param.b64 w4, [r0+8]; ld.param.b64 w5, [r0+16]; }\nst.global.v2.b64 [to], {w3, w4}; st.global.b64 [to+16], w5;",
    ));
    cases.push(case(
        "a pointer to local memory",
        8,
        &format!("{functions}.local .b32 l[2];"),
        "mov.u64 a, l; cvta.local.u64 a, a; { .param .b64 p0; .param .b32 p1; st.param.b64 [p0], a; st.param.b32 [p1], tid; call through, (p0, p1); } ld.local.b32 r0, [l]; st.global.b32 [to], r0;",
    ));
    cases.push(case(
        "through a pointer",
        8,
        functions,
        &format!("mov.u64 a, twice; {}", indirect("a")),
    ));
    cases.push(case(
        "through a table",
        8,
        functions,
        &format!("rem.u32 x, tid, 3; mul.wide.u32 a, x, 8; mov.u64 b, methods; add.u64 a, a, b; ld.global.u64 a, [a]; {}", indirect("a")),
    ));
    cases.push(case(
        "a jump table",
        8,
        "",
        "and.b32 x, tid, 3; mov.b32 r0, 1;\ntable: .branchtargets zero, one, two, one;\nbrx.idx x, table;\nzero: add.u32 r0, r0, 10;\none: mul.lo.u32 r0, r0, 3; bra end;\ntwo: add.u32 r0, r0, tid;\nend: st.global.b32 [to], r0;",
    ));
    cases.push(case(
        "alloca",
        16,
        "",
        "and.b32 x, tid, 7; add.u32 x, x, 2; mul.wide.u32 w0, x, 4; stacksave.u64 w1; alloca.u64 a, w0; alloca.u64 b, 16, 16; and.b64 w2, b, 15;\n\
         st.local.u32 [a+4], tid; st.local.u32 [b], x; ld.local.u32 r0, [a+4]; ld.local.u32 r1, [b]; cvta.local.u64 w3, a; ld.u32 r2, [w3+4]; stackrestore.u64 w1;\n\
         alloca.u64 w4, w0; sub.u64 w4, w4, a; cvt.u32.u64 r3, w4; cvt.u32.u64 r4, w2; add.u32 r3, r3, r4; st.global.v4.b32 [to], {r0, r1, r2, r3};",
    ));
    isolated("flow::calls", || {
        Bench::open().kernels(&cases, known_differences("flow::calls"));
    });
}

#[test]
fn recursion() {
    let functions = ".func (.param .b32 y) fib(.param .b32 a) { .reg .b32 t<6>; .reg .pred q; ld.param.b32 t0, [a]; setp.lt.u32 q, t0, 2; @q bra leaf; add.s32 t1, t0, -1;\n\
        { .param .b32 p0; .param .b32 r0; st.param.b32 [p0], t1; call.uni (r0), fib, (p0); ld.param.b32 t2, [r0]; } add.s32 t3, t0, -2;\n\
        { .param .b32 p0; .param .b32 r0; st.param.b32 [p0], t3; call.uni (r0), fib, (p0); ld.param.b32 t4, [r0]; } add.u32 t5, t2, t4; st.param.b32 [y], t5; ret;\n\
        leaf: st.param.b32 [y], t0; ret; }\n\
        .func (.param .b32 y) down(.param .b32 a) { .reg .b32 t<4>; .reg .pred q; .param .b32 p0; .param .b32 r0; ld.param.b32 t0, [a]; st.param.b32 [y], 1; setp.eq.u32 q, t0, 0; @q ret;\n\
        shr.u32 t1, t0, 1; st.param.b32 [p0], t1; and.b32 t3, t0, 1; setp.ne.u32 q, t3, 0; mov.b32 t2, 5; @q call (r0), down, (p0); @!q bra even; ld.param.b32 t2, [r0]; even: mad.lo.u32 t2, t2, 3, t0; st.param.b32 [y], t2; }\n\
        .func (.param .b32 y) first(.param .b32 a) { .reg .b32 t<6>; .reg .pred q; ld.param.b32 t0, [a]; st.param.b32 [y], t0; setp.eq.u32 q, t0, 0; @q bra out; sub.u32 t1, t0, 1;\n\
        { .param .b32 p0; .param .b32 r0; st.param.b32 [p0], t1; call.uni (r0), first, (p0); ld.param.b32 t2, [r0]; } and.b32 t3, t2, 1; setp.ne.u32 q, t3, 0; @q bra out;\n\
        mad.lo.u32 t2, t2, 3, t0; st.param.b32 [y], t2; out: ret; }\n\
        .func (.param .b64 y) walk(.param .b64 parent, .param .b32 depth, .param .align 8 .b8 s[16]) { .local .align 8 .b8 depot[16];\n\
        .reg .b64 SP, SPL, t<6>; .reg .b32 u<6>; .reg .f64 g; .reg .b16 h; .reg .pred q, odd;\n\
        mov.u64 SPL, depot; cvta.local.u64 SP, SPL; ld.param.b32 u0, [depth]; ld.param.b64 t0, [parent]; st.u32 [t0], u0;\n\
        and.b32 u1, u0, 1; setp.ne.u32 odd, u1, 0; cvt.rn.f64.u32 g, u0; cvt.u16.u32 h, u0; st.local.u32 [depot+4], u0; mov.u64 t3, 0; setp.eq.u32 q, u0, 0; @q bra done; mov.u32 u2, 0;\n\
        again: sub.u32 u3, u0, 1; ld.param.b64 t1, [s]; ld.param.b64 t2, [s+8]; add.u64 t1, t1, 1;\n\
        { .param .b64 p0; .param .b32 p1; .param .align 8 .b8 p2[16]; .param .b64 r0; st.param.b64 [p0], SP; st.param.b32 [p1], u3; st.param.b64 [p2], t1; st.param.b64 [p2+8], t2;\n\
        call.uni (r0), walk, (p0, p1, p2); ld.param.b64 t4, [r0]; }\n\
        ld.local.u32 u4, [SPL]; mad.lo.u64 t3, t3, 5, t4; mad.wide.u32 t3, u4, 7, t3; ld.param.b64 t1, [s+8]; add.u64 t3, t3, t1; add.u32 u2, u2, 1; setp.lt.u32 q, u2, 2; @q bra again;\n\
        ld.local.u32 u4, [depot+4]; mad.wide.u32 t3, u4, 11, t3; @odd add.u64 t3, t3, 100; cvt.rni.u64.f64 t5, g; add.u64 t3, t3, t5; cvt.u64.u16 t5, h; add.u64 t3, t3, t5;\n\
        done: ld.param.b64 t1, [s]; xor.b64 t3, t3, t1; st.param.b64 [y], t3; ret; }\n---\n";
    let call = |name: &str, argument: &str| {
        format!("{{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], {argument}; call.uni (r0), {name}, (p0); ld.param.b32 r1, [r0]; }}")
    };
    let twice = format!(
        "rem.u32 x, tid, 11; {} st.global.b32 [to], r1; {} st.global.b32 [to+4], r1;",
        call("fib", "x"),
        call("fib", "3")
    );
    let cases = [
        case("calls of two kinds", 8, functions, &twice),
        case(
            "predicated calls and returns",
            8,
            functions,
            &format!("{} st.global.b32 [to], r1;", call("down", "tid")),
        ),
        case(
            "results that are written before the call",
            8,
            functions,
            &format!(
                "rem.u32 x, tid, 13; {} st.global.b32 [to], r1;",
                call("first", "x")
            ),
        ),
        case(
            "local variables",
            16,
            &format!("{functions}.local .b32 l[2];"),
            "mov.u64 a, l; cvta.local.u64 a, a; and.b32 x, tid, 3; ld.global.v2.b64 {w0, w1}, [from];\n\
             { .param .b64 p0; .param .b32 p1; .param .align 8 .b8 p2[16]; .param .b64 r0; st.param.b64 [p0], a; st.param.b32 [p1], x; st.param.v2.b64 [p2], {w0, w1};\n\
             call (r0), walk, (p0, p1, p2); ld.param.b64 w2, [r0]; } ld.local.u32 r0, [l]; st.global.b64 [to], w2; st.global.b32 [to+8], r0;",
        ),
    ];
    isolated("flow::recursion", || {
        Bench::open().kernels(&cases, known_differences("flow::recursion"));
    });
}

#[test]
fn functions_that_call_each_other() {
    // Hofstadter's female and male sequences; three functions of different parameters, with variables of their own, one of which
    // calls itself, too.
    let functions = ".func (.param .b32 y) male(.param .b32 a);\n\
        .func (.param .b32 y) female(.param .b32 a) { .reg .b32 t<5>; .reg .pred q; .param .b32 p0; .param .b32 r0; ld.param.b32 t0, [a]; st.param.b32 [y], 1; setp.eq.u32 q, t0, 0; @q ret;\n\
        sub.u32 t1, t0, 1; st.param.b32 [p0], t1; call.uni (r0), female, (p0); ld.param.b32 t2, [r0]; st.param.b32 [p0], t2; call.uni (r0), male, (p0); ld.param.b32 t3, [r0]; sub.u32 t4, t0, t3; st.param.b32 [y], t4; ret; }\n\
        .func (.param .b32 y) male(.param .b32 a) { .reg .b32 t<5>; .reg .pred q; .param .b32 p0; .param .b32 r0; ld.param.b32 t0, [a]; setp.eq.u32 q, t0, 0; st.param.b32 [y], 0; @q ret;\n\
        sub.u32 t1, t0, 1; st.param.b32 [p0], t1; call.uni (r0), male, (p0); ld.param.b32 t2, [r0]; st.param.b32 [p0], t2; call.uni (r0), female, (p0); ld.param.b32 t3, [r0]; sub.u32 t4, t0, t3; st.param.b32 [y], t4; }\n\
        .func (.param .b64 y) second(.param .b64 to, .param .b32 depth);\n.func third(.param .align 8 .b8 s[24], .param .b32 depth);\n\
        .func (.param .b64 y) first(.param .b32 depth, .param .f64 x) { .local .align 8 .b8 depot[24]; .global .b32 unused[2] = {1, 2}; .global .b32 table[4] = {3, 1, 4, 1}; .reg .b64 SP, t<6>; .reg .b32 u<4>; .reg .f64 g; .reg .pred q, odd;\n\
        ld.param.b32 u0, [depth]; ld.param.f64 g, [x]; cvt.rni.s64.f64 t0, g; setp.eq.u32 q, u0, 0; @q bra done; and.b32 u1, u0, 3; mul.wide.u32 t2, u1, 4; mov.u64 t3, table; add.u64 t2, t2, t3; ld.global.b32 u2, [t2];\n\
        mov.u64 SP, depot; cvta.local.u64 SP, SP; cvt.u64.u32 t4, u2; st.local.b64 [depot+8], t4; st.local.b64 [depot], t4; sub.u32 u3, u0, 1; setp.ge.u32 odd, u1, 2;\n\
        { .param .b64 p0; .param .b32 p1; .param .b64 r0; st.param.b64 [p0], SP; st.param.b32 [p1], u3; call.uni (r0), second, (p0, p1); ld.param.b64 t1, [r0]; } mad.lo.u64 t0, t0, 3, t1;\n\
        { .param .b32 p0; .param .f64 p1; .param .b64 r0; st.param.b32 [p0], u3; st.param.f64 [p1], 0d4008000000000000; @odd call (r0), first, (p0, p1); @!odd bra done; ld.param.b64 t1, [r0]; }\n\
        ld.local.b64 t5, [depot]; add.u64 t1, t1, t5; ld.local.b64 t5, [depot+8]; mad.lo.u64 t0, t0, 7, t5; xor.b64 t0, t0, t1;\n\
        done: st.param.b64 [y], t0; ret; }\n\
        .func (.param .b64 y) second(.param .b64 to, .param .b32 depth) { .global .b32 count[3] = {5, 9, 2}; .reg .b64 t<3>; .reg .b32 u<3>; .reg .f64 g; .reg .pred q; ld.param.b64 t0, [to]; ld.param.b32 u0, [depth]; mov.b64 t1, 11; setp.eq.u32 q, u0, 0; @q bra done;\n\
        ld.global.b32 u1, [count+4]; sub.u32 u2, u0, 1; cvt.rn.f64.u32 g, u0; { .param .b32 p0; .param .f64 p1; .param .b64 r0; st.param.b32 [p0], u2; st.param.f64 [p1], g; call.uni (r0), first, (p0, p1); ld.param.b64 t1, [r0]; } mad.wide.u32 t1, u0, u1, t1;\n\
        { .param .align 8 .b8 p0[24]; .param .b32 p1; st.param.b64 [p0], t0; st.param.b64 [p0+8], t1; st.param.b32 [p0+16], u0; st.param.b32 [p1], u2; call.uni third, (p0, p1); }\n\
        done: st.param.b64 [y], t1; ret; }\n\
        .func third(.param .align 8 .b8 s[24], .param .b32 depth) { .local .b32 l[4]; .reg .b64 t<4>; .reg .b32 u<3>; .reg .pred q; ld.param.b64 t0, [s]; ld.param.b32 u0, [depth]; ld.param.b64 t1, [s+8]; st.local.b32 [l+4], u0; setp.lt.u32 q, u0, 2; @q bra done; sub.u32 u1, u0, 2;\n\
        { .param .b64 p0; .param .b32 p1; .param .b64 r0; mov.u64 t2, l; cvta.local.u64 t2, t2; add.u64 t2, t2, 8; st.param.b64 [p0], t2; st.param.b32 [p1], u1; call.uni (r0), second, (p0, p1); ld.param.b64 t3, [r0]; } add.u64 t1, t1, t3;\n\
        done: ld.param.b32 u2, [s+16]; mad.wide.u32 t1, u2, 13, t1; ld.local.b32 u2, [l+4]; cvt.u64.u32 t2, u2; sub.u64 t1, t1, t2; st.b64 [t0], t1; ret; }\n---\n";
    let call = |name: &str, argument: &str, to: u32| {
        format!("{{ .param .b32 p0; .param .b32 r0; st.param.b32 [p0], {argument}; call.uni (r0), {name}, (p0); ld.param.b32 r1, [r0]; }} st.global.b32 [to+{to}], r1;")
    };
    let sequences = format!(
        "rem.u32 x, tid, 11; {} {} {}",
        call("female", "x", 0),
        call("male", "x", 4),
        call("female", "5", 8)
    );
    let first = "rem.u32 x, tid, 9; { .param .b32 p0; .param .f64 p1; .param .b64 r0; st.param.b32 [p0], x; st.param.f64 [p1], 0d4014000000000000;\n\
        call.uni (r0), first, (p0, p1); ld.param.b64 w0, [r0]; } st.global.b64 [to], w0;";
    let second = "and.b32 x, tid, 7; mov.u64 a, l; cvta.local.u64 a, a; st.b64 [a], 5; { .param .b64 p0; .param .b32 p1; .param .b64 r0; st.param.b64 [p0], a; st.param.b32 [p1], x;\n\
        call.uni (r0), second, (p0, p1); ld.param.b64 w0, [r0]; } ld.local.b64 w1, [l]; st.global.v2.b64 [to], {w0, w1};";
    let locals = format!("{functions}.local .align 8 .b32 l[2];");
    // So large and so often called that all calls have one copy of it.
    let steps: String = (0..300)
        .map(|n| format!("mad.lo.u32 t{}, t{}, {}, t{n}; ", n + 2, n + 1, 2 * n + 3))
        .collect();
    let large = format!(
        ".func (.param .b32 y) ping(.param .b32 a, .param .b32 b);\n\
         .func (.param .b32 y) grind(.param .b32 a) {{ .reg .b32 t<302>; ld.param.b32 t0, [a]; xor.b32 t1, t0, 77; {steps} st.param.b32 [y], t301; ret; }}\n\
         .func (.param .b32 y) pong(.param .b32 a, .param .b32 b) {{ .reg .b32 u<6>; .reg .pred q; .param .b32 p0, p1, r0; ld.param.b32 u0, [a]; ld.param.b32 u1, [b];\n\
         st.param.b32 [p0], u1; call (r0), grind, (p0); ld.param.b32 u2, [r0]; setp.eq.u32 q, u0, 0; @q bra done; sub.u32 u3, u0, 1; st.param.b32 [p0], u3; st.param.b32 [p1], u2; call (r0), ping, (p0, p1); ld.param.b32 u4, [r0];\n\
         mad.lo.u32 u2, u2, 5, u4; done: add.u32 u2, u2, u0; st.param.b32 [y], u2; ret; }}\n\
         .func (.param .b32 y) ping(.param .b32 a, .param .b32 b) {{ .reg .b32 u<8>; .reg .pred q; .param .b32 p0, p1, r0; ld.param.b32 u0, [a]; ld.param.b32 u1, [b]; mov.b32 u2, u1; setp.eq.u32 q, u0, 0; @q bra done;\n\
         sub.u32 u3, u0, 1; st.param.b32 [p0], u3; st.param.b32 [p1], u1; call (r0), pong, (p0, p1); ld.param.b32 u4, [r0]; st.param.b32 [p0], u4; call (r0), grind, (p0); ld.param.b32 u5, [r0]; xor.b32 u6, u5, u4; shr.u32 u3, u3, 1;\n\
         st.param.b32 [p0], u3; st.param.b32 [p1], u6; call (r0), ping, (p0, p1); ld.param.b32 u7, [r0]; mad.lo.u32 u2, u7, 3, u6; done: st.param.b32 [y], u2; ret; }}\n---\n"
    );
    let two = |name: &str, a: &str, b: &str, to: u32| {
        format!("{{ .param .b32 p0, p1, r0; st.param.b32 [p0], {a}; st.param.b32 [p1], {b}; call.uni (r0), {name}, (p0, p1); ld.param.b32 r1, [r0]; }} st.global.b32 [to+{to}], r1;")
    };
    let often = format!(
        "rem.u32 x, tid, 6; ld.global.b32 y, [from]; {} {} {} {}",
        two("ping", "x", "y", 0),
        two("pong", "x", "tid", 4),
        two("ping", "3", "x", 8),
        two("pong", "2", "y", 12)
    );
    let cases = [
        case("large ones, called often", 16, &large, &often),
        case("two functions, entered by both", 12, functions, &sequences),
        case("three functions", 8, functions, first),
        case("entered by another", 16, &locals, second),
    ];
    isolated("flow::functions_that_call_each_other", || {
        let known = known_differences("flow::functions_that_call_each_other");
        Bench::open().kernels(&cases, known);
    });
}

/// A program without branches: random instructions over 8 registers of each kind.
fn straight(seed: u64) -> Case {
    let mut random = Random(seed * 2 + 1);
    let mut text = String::from(
        "ld.global.v4.b32 {r0, r1, r2, r3}, [from]; ld.global.v4.b32 {r4, r5, r6, r7}, [from+16];\n\
         ld.global.v2.b64 {w0, w1}, [from+32]; ld.global.v2.b64 {w2, w3}, [from+48]; mov.b64 w4, 3; mov.b64 w5, -9; mov.b64 w6, w0; mov.b64 w7, w1;\n\
         setp.lt.s32 p, r0, r1; setp.gt.u32 q, r2, r3;\n",
    );
    let words = [
        "add.s32 R, R, R",
        "sub.u32 R, R, R",
        "mul.lo.s32 R, R, R",
        "mul.hi.u32 R, R, R",
        "mad.lo.u32 R, R, R, R",
        "min.s32 R, R, R",
        "max.u32 R, R, R",
        "and.b32 R, R, R",
        "or.b32 R, R, R",
        "xor.b32 R, R, R",
        "not.b32 R, R",
        "shl.b32 R, R, N",
        "shr.s32 R, R, R",
        "shr.u32 R, R, N",
        "prmt.b32 R, R, R, R",
        "lop3.b32 R, R, R, R, N",
        "bfe.s32 R, R, N, N",
        "bfi.b32 R, R, R, N, N",
        "popc.b32 R, R",
        "clz.b32 R, R",
        "brev.b32 R, R",
        "abs.s32 R, R",
        "neg.s32 R, R",
        "selp.b32 R, R, R, P",
        "setp.lt.s32 P, R, R",
        "setp.ne.u32 P|P, R, R",
        "setp.ge.and.u32 P, R, R, P",
        "@P add.u32 R, R, 77",
        "@!P mov.b32 R, R",
        "shf.l.wrap.b32 R, R, R, R",
        "add.cc.u32 R, R, R;\naddc.u32 R, R, R",
        "sub.cc.u32 R, R, R;\nsubc.u32 R, R, R",
        "cvt.s32.s8 R, R",
        "cvt.u32.u16 R, R",
        "add.u64 W, W, W",
        "mul.lo.u64 W, W, W",
        "mul.wide.u32 W, R, R",
        "mad.wide.s32 W, R, R, W",
        "sub.s64 W, W, W",
        "shl.b64 W, W, N",
        "shr.s64 W, W, N",
        "cvt.u64.u32 W, R",
        "cvt.s64.s32 W, R",
        "cvt.u32.u64 R, W",
        "mov.b64 W, {R, R}",
        "mov.b64 {R, R}, W",
        "setp.gt.s64 P, W, W",
        "xor.b64 W, W, W",
        "selp.b64 W, W, W, P",
        "div.u32 R, R, R",
        "rem.s32 R, R, 13",
        "mul.hi.s64 W, W, W",
        "dp4a.s32.u32 R, R, R, R",
        "bfind.u32 R, R",
        "sad.s32 R, R, R, R",
        "add.f32 F, F, F",
        "mul.f32 F, F, F",
        "cvt.rn.f32.s32 F, R",
        "cvt.rzi.s32.f32 R, F",
        "min.f32 F, F, F",
        "setp.ltu.f32 P, F, F",
        "neg.f32 F, F",
        "mov.b32 R, F",
        "slct.b32.s32 R, R, R, R",
    ];
    text.push_str("cvt.rn.f32.s32 f0, r0; cvt.rn.f32.s32 f1, r1; cvt.rn.f32.u32 f2, r2; mov.f32 f3, 0f3f800000; mov.f32 f4, 0fbf000000; mov.f32 f5, f0; mov.f32 f6, f1; mov.f32 f7, f2;\n");
    for _ in 0..120 {
        let form = words[random.below(words.len())];
        let mut pair = usize::MAX;
        for c in form.chars() {
            let _ = match c {
                'R' | 'W' | 'F' => {
                    let mut n = random.below(8);
                    // The two results of one instruction are different registers.
                    if n == pair {
                        n = (n + 1) % 8;
                    }
                    pair = if form.contains("{R, R},") {
                        n
                    } else {
                        usize::MAX
                    };
                    write!(text, "{}{n}", c.to_ascii_lowercase())
                }
                'P' if form.contains("P|P") => {
                    let first = pair == usize::MAX;
                    pair = if first { 0 } else { usize::MAX };
                    write!(text, "{}", if first { 'p' } else { 'q' })
                }
                'P' => write!(text, "{}", if random.below(2) == 0 { 'p' } else { 'q' }),
                'N' => write!(text, "{}", random.below(32)),
                c => write!(text, "{c}"),
            };
        }
        text.push_str(";\n");
    }
    for n in 0..8 {
        // A NaN's bits are not compared.
        let _ = writeln!(
            text,
            "setp.nan.f32 p, f{n}, f{n}; selp.f32 f{n}, 0f7fc00000, f{n}, p;"
        );
        let _ = writeln!(text, "st.global.b32 [to+{}], r{n}; st.global.b64 [to+{}], w{n}; st.global.f32 [to+{}], f{n};", 4 * n, 32 + 8 * n, 96 + 4 * n);
    }
    case(&format!("straight program {seed}"), 128, "", &text)
}

#[test]
fn straight_programs() {
    let cases: Vec<Case> = (0..12).map(straight).collect();
    isolated("flow::straight_programs", || {
        Bench::open().kernels(&cases, known_differences("flow::straight_programs"));
    });
}

/// A random graph of blocks, reducible or not: each block folds its number into a hash and branches on bits of it, until
/// the fuel is spent or a block leaves.
fn graph(seed: u64) -> Case {
    let mut random = Random(seed * 2 + 77);
    let blocks = 3 + random.below(10);
    let mut text = String::from(
        "mad.lo.u32 r0, tid, 0x9e3779b9, 12345; mov.b32 r1, 0; mov.b32 r2, 0; mov.b32 r3, 40;\n",
    );
    if random.below(3) == 0 {
        // Into the middle at once.
        let _ = writeln!(
            text,
            "and.b32 x, tid, 3; setp.eq.u32 p, x, 2; @p bra b{};",
            random.below(blocks)
        );
    }
    for b in 0..blocks {
        let _ = writeln!(
            text,
            "b{b}: mad.lo.u32 r0, r0, 1664525, {}; xor.b32 r1, r1, r0; add.u32 r2, r2, {b};\nsub.u32 r3, r3, 1; setp.eq.u32 q, r3, 0; @q bra end;",
            1_013_904_223 + b
        );
        let shift = random.below(24);
        let _ = writeln!(
            text,
            "shr.u32 x, r0, {shift}; and.b32 x, x, 3; setp.{} p, x, 1;",
            ["eq.u32", "lt.u32", "gt.u32", "ne.u32"][random.below(4)]
        );
        let mut to = || random.below(blocks);
        let (first, second) = (to(), to());
        match random.below(9) {
            0 => text.push_str("@p st.global.b32 [to+12], r2;\n@p exit;\n"),
            1 => {
                let _ = writeln!(text, "@p bra b{first}; bra b{second};");
            }
            2 => {
                let _ = writeln!(text, "@!p bra b{first};");
            }
            3 => {
                let _ = writeln!(text, "bra b{first};");
            }
            4 => {
                let third = random.below(blocks);
                let _ = writeln!(text, "t{b}: .branchtargets b{first}, b{second}, b{third}, b{first};\nbrx.idx x, t{b};");
            }
            5 => {
                // A loop of its own.
                let _ = writeln!(text, "and.b32 y, r0, 7;\nl{b}: mad.lo.u32 r1, r1, 31, y; setp.eq.u32 q, y, 0; @q bra o{b}; sub.u32 y, y, 1; bra l{b};\no{b}: @p bra b{first};");
            }
            6 => {
                // Out of the middle of a loop.
                let _ = writeln!(text, "and.b32 y, r0, 15;\nl{b}: add.u32 r1, r1, y; setp.eq.u32 q, y, 9; @q bra b{first}; setp.eq.u32 q, y, 0; @q bra b{second}; sub.u32 y, y, 1; bra l{b};");
            }
            _ => {
                let _ = writeln!(text, "@p bra b{first};");
            }
        }
    }
    text.push_str("end: st.global.v4.b32 [to], {r0, r1, r2, r3};");
    case(&format!("graph {seed}"), 16, "", &text)
}

#[test]
fn random_graphs() {
    let cases: Vec<Case> = (0..40).map(graph).collect();
    isolated("flow::random_graphs", || {
        Bench::open().kernels(&cases, known_differences("flow::random_graphs"));
    });
}
