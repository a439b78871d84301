//! The words of a few small kernels, disassembled, so that a change of the output is seen and meant.

mod common;

use common::{profiles, translate};
use rspirv::binary::Disassemble;

fn listing(body: &str, profile: usize) -> String {
    let (_, target) = &profiles()[profile];
    let t = translate(&common::kernel(body), "k", target).expect("a translation");
    let lines: Vec<String> = common::instructions(&t.spirv)
        .iter()
        .map(|i| i.disassemble())
        .collect();
    lines.join("\n")
}

const STORE: &str = "ld.param.u64 %rd0, [out];
mov.u32 %r0, %tid.x;
mul.wide.u32 %rd1, %r0, 4;
add.u64 %rd1, %rd0, %rd1;
st.global.u32 [%rd1], %r0;";

const LOOP: &str = "mov.u32 %r0, %laneid;
AGAIN:
shr.u32 %r0, %r0, 1;
setp.ne.u32 %p0, %r0, 0;
@%p0 bra AGAIN;";

#[test]
fn store_of_the_thread_index() {
    insta::assert_snapshot!(listing(STORE, 1));
}

#[test]
fn store_of_the_thread_index_with_yields() {
    insta::assert_snapshot!(listing(STORE, 0));
}

#[test]
fn loop_until_zero() {
    insta::assert_snapshot!(listing(LOOP, 1));
}

#[test]
fn barrier_of_the_block() {
    insta::assert_snapshot!(listing("bar.sync 0;", 1));
}
