//! Which cp.async wait for their wait.

use ptx_spirv::copies::Copies;
use ptx_spirv::{graph, ModuleLayout};

/// What waits in a kernel with this body: the number of copies, and for each wait how many stores it has that are always and
/// sometimes made. `s` is an address in shared memory, `g` one in global memory, `n` a parameter.
fn of(body: &str) -> (usize, Vec<(usize, usize)>) {
    let text = format!(
        ".version 8.3\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 in, .param .u32 count) {{\n\
         .reg .b64 g; .reg .b32 s, n, t<8>; .reg .pred p, q; .shared .align 16 .b8 tile[4096];\n\
         ld.param.u64 g, [in]; ld.param.u32 n, [count]; mov.u32 s, tile;\n\
         {body}\nret;\n}}\n"
    );
    let module = ptx::Module::parse(&text).expect("PTX");
    let layout = ModuleLayout::new(&module).expect("a layout");
    let kernel = module.function("k").expect("the kernel");
    let graph = graph::build(&module, &layout, kernel).expect("a graph");
    let copies = Copies::of(&graph);
    let mut places: Vec<_> = copies.waits.keys().copied().collect();
    places.sort_unstable();
    let counts = places
        .iter()
        .map(|place| {
            let pending = &copies.waits[place];
            let always = pending.iter().filter(|p| p.always).count();
            (always, pending.len() - always)
        })
        .collect();
    (copies.deferred.len(), counts)
}

const COPY: &str = "cp.async.cg.shared.global [s], [g], 16;";
const WAIT: &str = "cp.async.wait_all; bar.sync 0;";

#[test]
fn copies_wait_for_the_next_wait() {
    assert_eq!(of(&format!("{COPY} {COPY} {WAIT}")), (2, vec![(2, 0)]));
    assert_eq!(
        of(&format!(
            "{COPY} cp.async.commit_group; {COPY} cp.async.wait_group 0; {WAIT}"
        )),
        (2, vec![(2, 0), (0, 0)])
    );
    // Nothing promises the end of a copy without a wait.
    assert_eq!(of(&format!("{COPY} bar.sync 0;")), (0, vec![]));
}

#[test]
fn a_copy_on_one_path_is_sometimes_on_its_way() {
    let body = format!("setp.eq.u32 p, n, 3; @p bra over; {COPY} over: {COPY} {WAIT}");
    assert_eq!(of(&body), (2, vec![(1, 1)]));
}

#[test]
fn a_loop_brings_the_next_tile_while_it_works_on_one() {
    let body = format!(
        "mov.b32 t0, 0; {COPY} {WAIT} again: {COPY} add.u32 t1, t0, t0; {WAIT} add.u32 t0, t0, 1; \
         setp.lt.u32 p, t0, n; @p bra again;"
    );
    assert_eq!(of(&body), (2, vec![(1, 0), (1, 0)]));
    // On its way around the loop.
    let body = format!(
        "mov.b32 t0, 0; {COPY} again: {WAIT} {COPY} add.u32 t0, t0, 1; setp.lt.u32 p, t0, n; @p bra again; {WAIT}"
    );
    assert_eq!(of(&body), (2, vec![(0, 2), (1, 0)]));
}

#[test]
fn a_copy_that_can_run_twice_before_a_wait_does_not_wait() {
    let body = format!(
        "mov.b32 t0, 0; again: {COPY} add.u32 t0, t0, 1; setp.lt.u32 p, t0, n; @p bra again; {COPY} {WAIT}"
    );
    assert_eq!(of(&body), (1, vec![(1, 0)]));
}

#[test]
fn registers_bound_what_is_on_its_way() {
    // Ten copies of four words are the most.
    let body = format!("{} {WAIT}", COPY.repeat(13));
    assert_eq!(of(&body), (10, vec![(10, 0)]));
}
