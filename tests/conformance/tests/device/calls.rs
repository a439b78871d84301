//! Random functions that call each other so often that not every call can be inlined.

use crate::known::known_differences;
use crate::memory::case;
use conformance::{isolated, Bench, Case, Random};
use std::fmt::Write;

/// Functions of a program.
const FUNCTIONS: usize = 8;

/// Instructions of each that few threads run: they make the copies of a function too many.
const FILLING: usize = 40;

/// The instructions before, around and behind a call. All but the first call of a function are for few threads.
fn around(first: bool, n: usize, random: &mut Random) -> String {
    let (bit, value) = (random.below(8), random.below(8));
    let form = match random.below(4) {
        0 if first => "CALL\n",
        0 => "@o bra no{n};\nCALL\nno{n}: add.u32 t0, t0, 3;\n",
        1 => "mov.u32 t7, 0; @o bra end{n};\nagain{n}:\nCALL\nadd.u32 t7, t7, 1; and.b32 t6, t0, 1; setp.lt.u32 o, t7, t6; @o bra again{n};\nend{n}:\n",
        2 => "@o bra else{n};\nCALL\nmad.lo.u32 t0, t0, 17, t1; bra end{n};\nelse{n}: xor.b32 t1, t1, t0; and.b32 t6, t0, 15; setp.ne.u32 o, t6, 3; @o bra end{n};\nCALL\nend{n}:\n",
        _ => "@!o bra out;\nxor.b32 t6, t6, t0; and.b32 t6, t6, 3; setp.ne.u32 o, t6, 1; @o bra end{n};\nCALL\nend{n}:\n",
    };
    format!("bfe.u32 t6, t0, {bit}, 3; setp.ne.u32 o, t6, {value};\n{form}")
        .replace("{n}", &n.to_string())
}

/// A call of function `callee`, of `t0`, whose result is mixed into it.
fn call(callee: usize, random: &mut Random) -> String {
    if callee % 2 == 1 {
        return format!(
            "cvt.u64.u32 w, t1; call (t4), fun{callee}, (t0, w); mad.lo.u32 t0, t4, 31, t0;"
        );
    }
    let predicate = ["", "", "@q "][random.below(3)];
    format!(
        "setp.gt.s32 q, t0, t1; {{ .param .b32 p0; .param .align 8 .b8 p1[8]; .param .align 8 .b8 r0[16]; st.param.b32 [p0], t0; st.param.v2.b32 [p1], {{t1, t2}};\n\
         mov.u32 t4, 1; mov.u64 w, 5; @!q bra not{0}; call (r0), fun{callee}, (p0, p1); ld.param.b32 t4, [r0]; ld.param.b64 w, [r0+8];\nnot{0}: {predicate}add.u32 t0, t0, t4; cvt.u32.u64 t4, w; xor.b32 t2, t2, t4; }}",
        random.bits() as u32
    )
}

/// Function `n`, which calls some of those before it: `f(a, (b, c))` with results in memory, or `f(a, b)` in registers.
fn function(n: usize, random: &mut Random) -> String {
    // One that is called at one place only.
    let mut text = format!(
        ".func (.param .b32 y) only{n}(.param .b32 a, .param .b32 b) {{ .reg .b32 u<4>; ld.param.b32 u0, [a]; ld.param.b32 u1, [b];\n\
         mad.lo.u32 u2, u0, 69069, u1; xor.b32 u2, u2, {n}; st.param.b32 [y], u2; ret; }}\n"
    );
    let in_registers = n % 2 == 1;
    text.push_str(&if in_registers {
        format!(".func (.reg .b32 y) fun{n}(.reg .b32 a, .reg .b64 b)\n")
    } else {
        format!(
            ".func (.param .align 8 .b8 y[16]) fun{n}(.param .b32 a, .param .align 8 .b8 s[8])\n"
        )
    });
    text.push_str("{ .reg .b32 t<9>; .reg .b64 w; .reg .pred q, o; .local .align 4 .b8 l[16]; st.local.u32 [l+4], 7;\n");
    text.push_str(if in_registers {
        "mov.b32 t0, a; cvt.u32.u64 t1, b; mov.b32 t2, 77;\n"
    } else {
        "ld.param.b32 t0, [a]; ld.param.v2.b32 {t1, t2}, [s];\n"
    });
    let rare = random.below(64);
    let _ = writeln!(
        text,
        "st.local.u32 [l], t0; and.b32 t5, t0, 63; setp.ne.u32 q, t5, {rare}; @q bra common;"
    );
    for _ in 0..FILLING {
        let (to, from, by) = (random.below(3), random.below(3), random.bits() as u32);
        let form = [
            "mad.lo.u32 A, A, N, B",
            "xor.b32 A, B, N",
            "add.u32 A, A, B",
        ];
        let form = form[random.below(form.len())]
            .replace('A', &format!("t{to}"))
            .replace('B', &format!("t{from}"))
            .replace('N', &by.to_string());
        let _ = writeln!(text, "{form};");
    }
    let _ = writeln!(
        text,
        "common: mad.lo.u32 t0, t0, 1664525, {};\n\
         {{ .param .b32 p0; .param .b32 p1; .param .b32 r0; st.param.b32 [p0], t0; st.param.b32 [p1], t2; call (r0), only{n}, (p0, p1); ld.param.b32 t2, [r0]; }}",
        7 * n + 1
    );
    for (k, &step) in [1, 1, 1, 2, 3].iter().enumerate() {
        if let Some(callee) = n.checked_sub(step) {
            let call = call(callee, random);
            // A call that is there twice has labels of its own.
            let part = around(k == 0, 10 * n + k, random);
            for (m, piece) in part.split("CALL").enumerate() {
                if m > 0 {
                    text.push_str(&call.replace("not", &format!("n{m}o{k}t")));
                }
                text.push_str(piece);
            }
        }
    }
    text.push_str(
        "out: ld.local.u32 t5, [l]; ld.local.u32 t6, [l+4]; mad.lo.u32 t0, t5, t6, t0;\n",
    );
    text.push_str(if in_registers {
        "xor.b32 y, t0, t2; ret; }\n"
    } else {
        "st.param.b32 [y], t0; cvt.u64.u32 w, t2; st.param.b64 [y+8], w; ret; }\n"
    });
    text
}

/// A program: the last function, called at two places, one of which half of the threads reach.
fn program(seed: u64) -> Case {
    let mut random = Random(seed * 2 + 5);
    let functions: String = (0..FUNCTIONS).map(|n| function(n, &mut random)).collect();
    let call = |to: usize| {
        format!(
            "{{ .param .b32 p0; .param .align 8 .b8 p1[8]; .param .align 8 .b8 result[16]; st.param.b32 [p0], r0; st.param.v2.b32 [p1], {{r1, r2}};\n\
             call (result), fun{}, (p0, p1); ld.param.b32 r3, [result]; ld.param.b64 w0, [result+8]; }} st.global.b32 [to+{to}], r3; st.global.b64 [to+{}], w0;",
            FUNCTIONS - 2,
            to + 8
        )
    };
    let text = format!(
        "ld.global.v4.b32 {{r0, r1, r2, r3}}, [from];\n{}\nand.b32 x, r3, 1; setp.eq.u32 p, x, 0; @p bra done; xor.b32 r0, r0, r3;\n{}\n\
         cvt.u64.u32 w1, r1; call (r5), fun{}, (r3, w1); st.global.b32 [to+4], r5;\ndone:",
        call(0),
        call(16),
        FUNCTIONS - 1
    );
    case(
        &format!("call graph {seed}"),
        32,
        &format!("{functions}---\n"),
        &text,
    )
}

#[test]
fn random_call_graphs() {
    let cases: Vec<Case> = (0..2).map(program).collect();
    isolated("calls::random_call_graphs", || {
        Bench::open().kernels(&cases, known_differences("calls::random_call_graphs"));
    });
}
