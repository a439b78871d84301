//! What people and other compilers than NVIDIA's write: vector registers, variables and calls in their less usual forms.

use crate::known::known_differences;
use crate::memory::case;
use conformance::{isolated, Bench, Case};

const WORDS: &str =
    "ld.global.v4.b32 {r0, r1, r2, r3}, [from]; ld.global.v4.u16 {h0, h1, h2, h3}, [from+16];\n";

fn cases() -> Vec<Case> {
    let with_words = |name: &str, declarations: &str, text: &str| {
        case(name, 64, declarations, &format!("{WORDS}{text}"))
    };
    vec![
        // Each component is read before one is written.
        with_words(
            "mov of vectors that overlap",
            ".reg .v4 .u16 all; .reg .v2 .b32 two; .reg .v4 .f32 four;",
            "mov.v4.u16 all, {h1, h2, h3, h0}; mov.v4.u16 {h2, h3, h0, h1}, all; mov.v4.u16 {h3, h0, h1, h2}, {h2, h3, h0, h1};\n\
             mov.v2.b32 two, {r1, r0}; mov.v2.b32 two, {two.y, two.x}; mov.v2.b32 {r1, r0}, {r0, r1};\n\
             mov.v4.f32 four, {r3, r2, two.x, two.y}; mov.v4.b32 {r2, r3, r4, r5}, four;\n\
             st.global.v4.u16 [to], {h0, h1, h2, h3}; st.global.v4.b32 [to+16], {r0, r1, r2, r3}; st.global.v2.b32 [to+32], {r4, r5};",
        ),
        with_words(
            "vector registers as parameters",
            ".func (.reg .v2 .u32 both, .reg .u32 third) swap(.reg .v4 .u16 parts, .reg .u32 word, .reg .v2 .u32 pair) {\n\
             .reg .u32 t; cvt.u32.u16 both.x, parts.w; add.u32 both.y, pair.x, word; cvt.u32.u16 t, parts.x;\n\
             mad.lo.u32 third, pair.y, 3, t; ret; }\n---\n.reg .v2 .u32 pair, got; .reg .v4 .u16 parts;",
            "mov.v2.u32 pair, {r0, r1}; mov.v4.u16 parts, {h3, h2, h1, h0};\n\
             call (got, r4), swap, (parts, r2, pair); call ({r5, _}, _), swap, ({h0, h1, h2, h3}, 7, {r3, 9});\n\
             st.global.v2.u32 [to], got; st.global.v2.b32 [to+8], {r4, r5};",
        ),
        // A variable that a function declares in its body lasts, and is one for all its calls.
        with_words(
            "variables in bodies",
            ".func (.reg .u32 r) next(.reg .u32 n) {\n\
             .const .align 4 .b32 table[4] = {10, 20, 30, 40}; .global .align 4 .b32 other[2] = {7, 8}; .shared .align 4 .b32 kept[64];\n\
             .reg .u64 at; .reg .u32 slot, v; mov.u32 slot, %tid.x; shl.b32 slot, slot, 2; mov.u32 v, kept; add.u32 slot, slot, v;\n\
             ld.shared.u32 r, [slot]; add.u32 v, r, n; st.shared.u32 [slot], v; and.b32 n, n, 3; mul.wide.u32 at, n, 4;\n\
             mov.u64 at, table; ld.const.u32 v, [at+8]; add.u32 r, r, v; ld.global.u32 v, [other+4]; add.u32 r, r, v; ret; }\n---\n",
            "call (r4), next, (r0); call (r5), next, (r1); call (r6), next, (0); sub.u32 r5, r5, r4; sub.u32 r6, r6, r4;\n\
             st.global.v2.b32 [to], {r5, r6};",
        ),
        with_words(
            "sums in operands",
            ".global .b32 words[8] = {3, 1, 4, 1, 5, 9, 2, 6};\n---\n.local .align 8 .b64 kept;",
            "and.b32 r4, r0, 3; ld.global.u32 r5, words[r4]; ld.global.u32 r6, words[r4 + 2]; mov.u64 w0, words[r4+1]; ld.u32 r7, [w0];\n\
             st.local.u64 [kept], i + 1; ld.local.u64 w1, [kept]; add.u32 r8, r1+5, r2-6; st.global.v4.b32 [to], {r5, r6, r7, r8};\n\
             st.global.u64 [to+16], w1;",
        ),
        // One byte of an address each, as LLVM writes structures that are not aligned.
        with_words(
            "bytes of addresses in initialisers",
            ".global .b32 word = 77;\n.global .align 1 .b8 packed[9] = {1, 0xFF(generic(word)), 0xFF00(generic(word)), 0xFF0000(generic(word)),\n\
             0xFF000000(generic(word)), 0xFF00000000(generic(word)), 0xFF0000000000(generic(word)), 0xFF000000000000(generic(word)),\n\
             0xFF00000000000000(generic(word))};\n---\n",
            "mov.u64 w0, 0; mov.u64 w1, packed; mov.u32 r4, 8;\nagain: cvt.u64.u32 w2, r4; add.u64 w2, w1, w2; ld.global.u8 w3, [w2];\n\
             shl.b64 w0, w0, 8; or.b64 w0, w0, w3; sub.u32 r4, r4, 1; setp.ne.u32 p, r4, 0; @p bra again;\n\
             ld.u32 r5, [w0]; st.global.u32 [to], r5;",
        ),
        // Before PTX 3.0 registers may be the module's: each thread has one set for all functions.
        Case {
            text: with_words(
                "",
                ".reg .u32 %ra<3>; .reg .u32 %rv1; .reg .v2 .u32 pair;\n.func g() { add.u32 %rv1, %rv1, 5; ret; }\n\
                 .func f() { mad.lo.u32 %rv1, %ra1, 3, %ra2; call g; mov.u32 %ra2, 9; mov.u32 pair.y, %ra1; ret; }\n---\n",
                "mov.u32 %ra1, r0; mov.u32 %ra2, r1; mov.u32 pair.x, r3; setp.gt.s32 p, r2, 0; @p call f; @!p mov.u32 %rv1, 1; @!p mov.u32 pair.y, 2;\n\
                 st.global.v4.u32 [to], {%ra1, %ra2, %rv1, pair.y}; st.global.u32 [to+16], pair.x;",
            )
            .text
            .replace(".version 8.8\n.target sm_90", ".version 2.3\n.target sm_20"),
            ..with_words("registers of the module", "", "")
        },
        // A structure by value, whose address LLVM takes.
        with_words(
            "addresses of functions' parameters",
            ".func (.param .b32 result) element(.param .align 8 .b8 all[20], .param .b32 n) {\n\
             .reg .u64 at, of; .reg .u32 v, w, k; .reg .u64 wide; mov.b64 of, all; ld.param.u32 k, [n]; and.b32 k, k, 3;\n\
             mul.wide.u32 at, k, 4; add.u64 at, at, of; ld.param.u32 v, [at+4]; ld.param.u16 w, [of+2]; mad.lo.u32 v, v, 5, w;\n\
             ld.param.u64 wide, [of+8]; cvt.u32.u64 w, wide; add.u32 v, v, w; ld.param.u8 w, [all+17]; add.u32 v, v, w;\n\
             st.param.b32 [result], v; ret; }\n---\n",
            "mov.u32 r9, 0; mov.u32 r8, 0; again: { .param .align 8 .b8 given[20]; .param .b32 number; .param .b32 got;\n\
             st.param.b32 [given], r0; st.param.b32 [given+4], r1; st.param.v2.b32 [given+8], {r2, r3}; st.param.b32 [given+16], r0;\n\
             add.u32 r4, r8, r1; st.param.b32 [number], r4; call (got), element, (given, number); ld.param.b32 r5, [got]; }\n\
             mad.lo.u32 r9, r9, 31, r5; add.u32 r8, r8, 1; setp.lt.u32 p, r8, 5; @p bra again; st.global.b32 [to], r9;",
        ),
        with_words(
            "set with its types in GCC's order",
            "",
            "set.u32.le.s32 r4, r0, r1; set.s32.ltu.f32 r5, r2, r3; st.global.v2.b32 [to], {r4, r5};",
        ),
    ]
}

#[test]
fn forms_that_people_write() {
    isolated("written::forms_that_people_write", || {
        Bench::open().kernels(
            &cases(),
            known_differences("written::forms_that_people_write"),
        );
    });
}
