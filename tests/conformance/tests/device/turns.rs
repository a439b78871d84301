//! Lanes of one warp that wait for each other: PTX promises that each gets on, whatever the others do ("Forward Progress").

use crate::known::known_differences;
use crate::memory;
use conformance::{isolated, Bench, Case};

/// A kernel of two warps. `lock`, `other` and the flags `row` are 0 at its start, and so is `sum`; `x` is the lane, `r9` the address of the
/// thread's flag. What is in `r0` at the end is its output.
fn case(name: &str, text: &str) -> Case {
    let module = ".shared .b32 sum, taken, served, row[65]; .shared .b64 other_barrier; .global .b32 lock, other;\n---\n";
    let text = format!(
        "and.b32 x, tid, 31; mov.u64 a, lock; mov.u64 b, other; mov.u32 r9, row; mad.lo.u32 r9, tid, 4, r9; st.shared.b32 [r9], 0; st.shared.b32 [row+256], 0;\n\
         st.shared.b32 [sum], 0; st.shared.b32 [taken], 0; st.shared.b32 [served], 0; st.global.b32 [lock], 0; st.global.b32 [other], 0; membar.gl; bar.sync 0;\n\
         {text}\nbar.sync 0; st.global.b32 [to], r0;"
    );
    memory::case(name, 4, module, &text)
}

/// Adds 3 to `sum`, in two steps.
const ADD: &str = "ld.volatile.shared.b32 r6, [sum]; add.u32 r6, r6, 3; st.volatile.shared.b32 [sum], r6; membar.gl;";

/// Lanes that exclude each other.
fn locks() -> Vec<Case> {
    let result = "bar.sync 0; ld.shared.b32 r0, [sum];";
    let take = |label: &str, lock: &str| {
        format!("{label}: atom.global.cas.b32 r5, [{lock}], 0, 1; setp.ne.u32 p, r5, 0; @p bra {label};")
    };
    let give = |lock: &str| format!("atom.global.exch.b32 r7, [{lock}], 0;");
    let one = take("again", "a");
    let free = give("a");
    vec![
        case("a lock", &format!("{one}\n{ADD} {free}\n{result}")),
        case(
            "a lock given back by a store",
            &format!("{one}\n{ADD} st.global.b32 [a], 0;\n{result}"),
        ),
        case(
            "a lock that is looked at before it is tried",
            &format!("again: ld.relaxed.gpu.global.b32 r5, [a]; setp.ne.u32 p, r5, 0; @p bra again; {}\n{ADD} {free}\n{result}",
                "atom.global.cas.b32 r5, [a], 0, 1; setp.ne.u32 p, r5, 0; @p bra again;"),
        ),
        case(
            "a lock for a loop",
            &format!("{one}\nmov.b32 r8, 0;\nmore: {ADD} add.u32 r8, r8, 1; setp.lt.u32 p, r8, x; @p bra more; {free}\n{result}"),
        ),
        case(
            "a lock for ways that part",
            &format!("{one}\nand.b32 r8, tid, 3; setp.eq.u32 p, r8, 1; @p bra odd; setp.eq.u32 p, r8, 2; @p bra even; {ADD} {free} bra end;\n\
                odd: {ADD} {ADD} membar.gl;\neven: {ADD} {free}\nend: {result}"),
        ),
        case(
            "a lock that is taken again",
            &format!("mov.b32 r8, 0;\nmore: {one}\n{ADD} {free} add.u32 r8, r8, 1; setp.lt.u32 p, r8, 5; @p bra more;\n{result}"),
        ),
        case(
            "a lock with which threads leave",
            &format!("setp.ge.u32 p, tid, 40; @p bra rest;\n{one}\n{ADD} {free} and.b32 r8, tid, 1; setp.eq.u32 p, r8, 1; @p ret;\nrest: {result}"),
        ),
        case(
            "two locks",
            &format!("{one}\n{ADD} {}\n{ADD} {free} {}\n{result}", take("second", "b"), give("b")),
        ),
        case(
            "the second lock first for some",
            &format!("setp.lt.u32 p, x, 9; @p bra middle;\n{one}\n{ADD} {free}\nmiddle: {}\n\
                ld.volatile.shared.b32 r6, [taken]; add.u32 r6, r6, 2; st.volatile.shared.b32 [taken], r6; membar.gl; {}\n{result} ld.shared.b32 r6, [taken]; mad.lo.u32 r0, r6, 1000, r0;",
                take("second", "b"), give("b")),
        ),
        case(
            "tickets",
            &format!("atom.shared.add.u32 r8, [taken], 1;\nagain: ld.volatile.shared.b32 r5, [served]; setp.ne.u32 p, r5, r8; @p bra again;\n\
                {ADD} add.u32 r8, r8, 1; st.volatile.shared.b32 [served], r8;\n{result}"),
        ),
    ]
}

/// Lanes that wait for what another lane of the warp stores.
fn flags() -> Vec<Case> {
    let ask = "ld.volatile.shared.b32 r0,";
    vec![
        case(
            "one after the other",
            &format!("mov.b32 r0, 0; setp.eq.u32 p, tid, 0; @p bra first;\nagain: {ask} [r9+-4]; setp.eq.u32 p, r0, 0; @p bra again;\n\
                first: add.u32 r0, r0, 1; st.volatile.shared.b32 [r9], r0;"),
        ),
        case(
            "one after the other, the last first",
            &format!("mov.b32 r0, 0; setp.eq.u32 p, tid, 63; @p bra first;\nagain: {ask} [r9+4]; setp.eq.u32 p, r0, 0; @p bra again;\n\
                first: add.u32 r0, r0, 1; st.volatile.shared.b32 [r9], r0;"),
        ),
        case(
            "each other lane tells the next",
            &format!("and.b32 r8, tid, 1; setp.eq.u32 p, r8, 1; @p bra again; mov.b32 r0, 5; st.volatile.shared.b32 [r9], r0; bra end;\n\
                again: {ask} [r9+-4]; setp.eq.u32 p, r0, 0; @p bra again; add.u32 r0, r0, tid;\nend: membar.cta;"),
        ),
        case(
            "each other lane tells the one before",
            &format!("and.b32 r8, tid, 1; setp.eq.u32 p, r8, 1; @p bra odd;\nagain: {ask} [r9+4]; setp.eq.u32 p, r0, 0; @p bra again; add.u32 r0, r0, tid; bra end;\n\
                odd: mul.lo.u32 r0, tid, tid; st.volatile.shared.b32 [r9], r0;\nend: membar.cta;"),
        ),
        case(
            "two lanes that answer each other",
            &format!("and.b32 r8, tid, 1; setp.eq.u32 p, r8, 1; mov.b32 r1, 1; @p bra odd;\n\
                even: st.volatile.shared.b32 [r9], r1;\nfirst: {ask} [r9+4]; setp.ne.u32 p, r0, r1; @p bra first; add.u32 r1, r1, 1; setp.lt.u32 p, r1, 6; @p bra even; bra end;\n\
                odd: {ask} [r9+-4]; setp.ne.u32 p, r0, r1; @p bra odd; st.volatile.shared.b32 [r9], r1; add.u32 r1, r1, 1; setp.lt.u32 p, r1, 6; @p bra odd;\nend: add.u32 r0, r1, tid;"),
        ),
        case(
            "a queue",
            &format!("mov.b32 r0, 0; setp.eq.u32 p, x, 0; @p bra mine;\nagain: nanosleep.u32 20; ld.acquire.cta.shared.b32 r0, [r9]; setp.eq.u32 p, r0, 0; @p bra again;\n\
                mine: {ADD} st.release.cta.shared.b32 [r9+4], 1;\nsetp.ne.u32 p, x, 31; @p bra end; mov.b32 r0, 7;\nend: bar.warp.sync -1; and.b32 r0, r0, 1;"),
        ),
        case(
            "work that is done when others are ready",
            "mov.b32 r0, 1; mov.b32 r1, 0; setp.eq.u32 p, tid, 0; @p bra done;\nmore: shl.b32 r2, r1, 2; sub.u32 r4, r9, r2; ld.volatile.shared.b32 r3, [r4+-4];\n\
                setp.eq.u32 p, r3, 0; @p bra next; add.u32 r0, r0, r3; add.u32 r1, r1, 1;\nnext: setp.ge.u32 q, r1, 3; @q bra done; setp.lt.u32 q, r1, tid; @q bra more;\n\
                done: st.volatile.shared.b32 [r9], r0;",
        ),
        case(
            "both ways of a branch arrive at an mbarrier",
            "mov.u32 r8, other_barrier; setp.eq.u32 p, tid, 0; @p mbarrier.init.shared.b64 [r8], 64; bar.sync 0; and.b32 r7, tid, 3; setp.eq.u32 p, r7, 1; @p bra odd;\n\
                atom.shared.add.u32 r0, [sum], 2; mbarrier.arrive.shared.b64 a, [r8];\nfirst: mbarrier.test_wait.shared.b64 p, [r8], a; @!p bra first; bra end;\n\
                odd: mbarrier.arrive.shared.b64 b, [r8]; \nsecond: mbarrier.try_wait.shared.b64 p, [r8], b; @!p bra second;\nend: ld.volatile.shared.b32 r0, [sum];",
        ),
    ]
}

#[test]
fn by_locks() {
    isolated("turns::by_locks", || {
        Bench::open().kernels(&locks(), known_differences("turns::by_locks"));
    });
}

/// Under NVIDIA's own driver six of these do not end (580, H200): its compiler lets the lanes meet again between the wait and the store.
#[test]
fn by_flags() {
    isolated("turns::by_flags", || {
        Bench::open().kernels(&flags(), known_differences("turns::by_flags"));
    });
}
