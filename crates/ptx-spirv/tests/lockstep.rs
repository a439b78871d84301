//! Which kernels' threads come to all meetings together.

use ptx_spirv::uniform::{lockstep, Level, Lockstep};
use ptx_spirv::{graph, ModuleLayout};

/// The answer for a kernel with this body. `tid`, `warp` (`tid / 32`), `n` (a parameter) and the address `from` are set.
fn of(body: &str) -> Lockstep {
    let text = format!(
        ".version 8.3\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 in, .param .u32 count) {{\n\
         .reg .b64 from; .reg .b32 tid, warp, n, t<8>; .reg .pred p, q;\n\
         ld.param.u64 from, [in]; ld.param.u32 n, [count]; mov.u32 tid, %tid.x; shr.u32 warp, tid, 5;\n\
         {body}\nret;\n}}\n"
    );
    let module = ptx::Module::parse(&text).expect("PTX");
    let layout = ModuleLayout::new(&module).expect("a layout");
    let kernel = module.function("k").expect("the kernel");
    let graph = graph::build(&module, &layout, kernel).expect("a graph");
    let structured = structurizer::structurize(&graph.shape());
    lockstep(&graph, &structured, &module, &layout)
}

fn together(body: &str) -> bool {
    of(body).level == Level::Block
}

#[test]
fn loops_and_branches_of_the_whole_block() {
    assert!(together("bar.sync 0;"));
    assert!(together(
        "mov.b32 t0, 0; again: bar.sync 0; add.u32 t0, t0, 1; setp.lt.u32 p, t0, n; @p bra again;"
    ));
    assert!(together(
        "setp.eq.u32 p, n, 3; @p bra out; shfl.sync.bfly.b32 t0, tid, 16, 31, -1; out: bar.sync 0;"
    ));
    assert!(together(
        "ld.global.u32 t0, [from]; setp.eq.u32 p, t0, 3; @p bra out; bar.sync 0; out: bar.sync 0;"
    ));
    // What lanes do between meetings is their own affair.
    assert!(together(
        "setp.gt.u32 p, tid, 5; @p bra out; st.global.u32 [from], tid; out: bar.sync 0;"
    ));
    assert!(together("mov.b32 t0, 0; again: add.u32 t0, t0, 1; setp.lt.u32 p, t0, tid; @p bra again; bar.sync 0;"));
}

#[test]
fn loops_and_branches_of_lanes() {
    assert!(!together("mov.b32 t0, 0; again: bar.sync 0; add.u32 t0, t0, 1; setp.lt.u32 p, t0, tid; @p bra again; bar.sync 0;"));
    assert!(!together("setp.gt.u32 p, tid, 5; @p bra out; shfl.sync.bfly.b32 t0, tid, 16, 31, -1; out: bar.sync 0;"));
    // The number of rounds differs by lane although the comparison is with a constant.
    assert!(!together("mov.b32 t0, tid; again: bar.sync 0; add.u32 t0, t0, 1; setp.lt.u32 p, t0, 100; @p bra again; bar.sync 0;"));
    // Of a value that another thread may be writing.
    assert!(!together("ld.volatile.global.u32 t0, [from]; setp.eq.u32 p, t0, 3; @p bra out; bar.sync 0; out: bar.sync 0;"));
    // A value chosen under a branch of lanes.
    assert!(!together("mov.b32 t0, 1; setp.gt.u32 p, tid, 5; @p bra set; mov.b32 t0, 2; set: setp.eq.u32 q, t0, 2; @q bra out; bar.sync 0; out: bar.sync 0;"));
    assert!(!together("mov.b32 t0, 1; setp.gt.u32 p, tid, 5; @p mov.b32 t0, 2; setp.eq.u32 q, t0, 2; @q bra out; bar.sync 0; out: bar.sync 0;"));
}

#[test]
fn threads_that_leave() {
    let all = of("bar.sync 0; setp.gt.u32 p, n, 5; @p ret; bar.sync 0;");
    assert_eq!((all.level, all.early_exits), (Level::Block, Level::Block));
    let some = of("setp.gt.u32 p, tid, 70; @p ret; bar.sync 0;");
    assert_eq!((some.level, some.early_exits), (Level::Block, Level::Lane));
    for condition in ["setp.gt.u32 p, tid, 63;", "setp.ne.u32 p, warp, 1;"] {
        let warps = of(&format!("{condition} @p ret; bar.sync 0;"));
        assert_eq!(
            (warps.level, warps.early_exits),
            (Level::Block, Level::Warp)
        );
    }
    // A loop that is left by leaving the kernel.
    let some =
        of("again: bar.sync 0; add.u32 tid, tid, 1; setp.gt.u32 p, tid, 70; @p ret; bra again;");
    assert_eq!((some.level, some.early_exits), (Level::Block, Level::Lane));
}

#[test]
fn branches_of_whole_warps_are_padded() {
    let reduce = "shfl.sync.bfly.b32 t0, tid, 16, 31, -1; shfl.sync.bfly.b32 t0, t0, 8, 31, -1;";
    for condition in ["setp.gt.u32 p, tid, 31;", "setp.ne.u32 p, warp, 0;"] {
        let one = of(&format!(
            "{condition} @p bra out; {reduce} out: bar.sync 0;"
        ));
        assert_eq!((one.level, one.padded.len()), (Level::Block, 1));
    }
    // Half a warp; and a loop, whose meetings nobody can count.
    let half = of(&format!(
        "setp.gt.u32 p, tid, 15; @p bra out; {reduce} out: bar.sync 0;"
    ));
    assert_eq!(half.level, Level::Lane);
    let rounds = of(&format!("mov.b32 t1, 0; again: {reduce} add.u32 t1, t1, 1; setp.lt.u32 p, t1, warp; @p bra again; bar.sync 0;"));
    assert_eq!(rounds.level, Level::Warp);
}

#[test]
fn counting_takes_counters() {
    assert!(!together(
        "setp.ne.u32 p, tid, 0; bar.red.popc.u32 t0, 0, p;"
    ));
    assert!(!together("bar.arrive 1, 64; bar.sync 0;"));
}

#[test]
fn a_register_used_again() {
    assert!(together(
        "mov.b32 t0, 0; mov.b32 t1, t0; setp.lt.u32 p, t1, n; @p bra out; bar.sync 0; out: bar.sync 0; mov.b32 t0, tid; st.global.u32 [from], t0;"
    ));
}
