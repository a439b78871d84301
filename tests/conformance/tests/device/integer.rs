//! Integer arithmetic, logic, bit fields, extended precision, dot products.

use crate::known::known_differences;
use conformance::{body, form, isolated, Bench, Form};

fn arithmetic() -> Vec<Form> {
    let mut forms = Vec::new();
    for bits in [16, 32, 64] {
        for sign in ['s', 'u'] {
            let t = format!("{sign}{bits}");
            let two = format!("{t} {t}");
            let three = format!("{t} {t} {t}");
            for op in ["add", "sub", "mul.lo", "mul.hi", "min", "max"] {
                forms.push(form(&format!("{op}.{t}"), &t, &two));
            }
            for op in ["div", "rem"] {
                forms.push(form(&format!("{op}.{t}"), &t, &format!("{t} nz{bits}")));
            }
            for op in ["mad.lo", "mad.hi", "sad"] {
                forms.push(form(&format!("{op}.{t}"), &t, &three));
            }
            if bits < 64 {
                let wide = format!("{sign}{}", bits * 2);
                forms.push(form(&format!("mul.wide.{t}"), &wide, &two));
                forms.push(form(
                    &format!("mad.wide.{t}"),
                    &wide,
                    &format!("{two} {wide}"),
                ));
            }
            forms.push(form(&format!("shr.{t}"), &t, &format!("{t} count")));
            if sign == 's' {
                forms.push(form(&format!("abs.{t}"), &t, &t));
                forms.push(form(&format!("neg.{t}"), &t, &t));
            }
        }
        let t = format!("b{bits}");
        forms.push(form(&format!("shl.{t}"), &t, &format!("{t} count")));
        forms.push(form(&format!("shr.{t}"), &t, &format!("{t} count")));
        for op in ["and", "or", "xor"] {
            forms.push(form(&format!("{op}.{t}"), &t, &format!("{t} {t}")));
        }
        forms.push(form(&format!("not.{t}"), &t, &t));
        forms.push(form(&format!("cnot.{t}"), &t, &t));
    }
    for op in ["and", "or", "xor"] {
        forms.push(form(&format!("{op}.pred"), "pred", "pred pred"));
    }
    forms.push(form("not.pred", "pred", "pred"));
    for op in ["add", "sub"] {
        forms.push(form(&format!("{op}.sat.s32"), "s32", "s32 s32"));
    }
    forms.push(form("mad.hi.sat.s32", "s32", "s32 s32 s32"));
    for sign in ["s32", "u32"] {
        for part in ["lo", "hi"] {
            forms.push(form(&format!("mul24.{part}.{sign}"), "b32", "b32 b32"));
            forms.push(form(&format!("mad24.{part}.{sign}"), "b32", "b32 b32 b32"));
        }
    }
    forms.push(form("mad24.hi.sat.s32", "b32", "b32 b32 b32"));
    for t in ["s16x2", "u16x2"] {
        for op in ["add", "min", "max"] {
            forms.push(form(&format!("{op}.{t}"), "b32", "b32 b32"));
        }
    }
    forms.push(form("min.relu.s16x2", "b32", "b32 b32"));
    forms.push(form("max.relu.s16x2", "b32", "b32 b32"));
    forms.push(form("min.relu.s32", "b32", "b32 b32"));
    forms.push(form("max.relu.s32", "b32", "b32 b32"));
    forms
}

fn bit_fields() -> Vec<Form> {
    let mut forms = Vec::new();
    for t in ["b32", "b64"] {
        forms.push(form(&format!("popc.{t}"), "b32", t));
        forms.push(form(&format!("clz.{t}"), "b32", t));
        forms.push(form(&format!("brev.{t}"), t, t));
        forms.push(form(
            &format!("bfi.{t}"),
            t,
            &format!("{t} {t} place place"),
        ));
    }
    for t in ["u32", "s32", "u64", "s64"] {
        forms.push(form(&format!("bfe.{t}"), t, &format!("{t} place place")));
        forms.push(form(&format!("bfind.{t}"), "b32", t));
        forms.push(form(&format!("bfind.shiftamt.{t}"), "b32", t));
    }
    for mode in ["clamp", "wrap"] {
        forms.push(form(&format!("bmsk.{mode}.b32"), "b32", "count count"));
        for side in ["l", "r"] {
            forms.push(form(
                &format!("shf.{side}.{mode}.b32"),
                "b32",
                "b32 b32 count",
            ));
        }
        for sign in ["s32", "u32"] {
            forms.push(form(&format!("szext.{mode}.{sign}"), "b32", "b32 count"));
        }
    }
    for mode in ["", ".f4e", ".b4e", ".rc8", ".ecl", ".ecr", ".rc16"] {
        forms.push(form(&format!("prmt.b32{mode}"), "b32", "b32 b32 b32"));
    }
    for selector in [0x3210, 0x0123, 0x7654, 0x5410, 0xfedc, 0x8a4c] {
        forms.push(body(
            &format!("prmt.b32 {selector:#x}"),
            "b32",
            "b32 b32",
            &format!("prmt.b32 d0, a0, a1, {selector};"),
        ));
    }
    for table in [
        0x00, 0xff, 0x96, 0xe8, 0xca, 0x80, 0xfe, 0x1b, 0xea, 0x6a, 0x3c, 0xf0,
    ] {
        forms.push(body(
            &format!("lop3.b32 {table:#x}"),
            "b32",
            "b32 b32 b32",
            &format!("lop3.b32 d0, a0, a1, a2, {table};"),
        ));
    }
    for op in ["or", "and"] {
        forms.push(body(
            &format!("lop3.{op}.b32"),
            "b32 pred",
            "b32 b32 b32 pred",
            &format!("lop3.{op}.b32 d0|d1, a0, a1, a2, 0x6a, a3;"),
        ));
    }
    forms.push(body(
        "fns.b32",
        "b32",
        "b32 count count",
        ".reg .b32 t, u; and.b32 t, a1, 31; and.b32 u, a2, 15; sub.u32 u, u, 8; fns.b32 d0, a0, t, u;",
    ));
    forms
}

fn extended() -> Vec<Form> {
    let mut forms = Vec::new();
    for bits in [32, 64] {
        for sign in ['s', 'u'] {
            let t = format!("{sign}{bits}");
            let k = format!("b{bits}");
            let (two, four) = (format!("{k} {k}"), format!("{k} {k} {k} {k}"));
            forms.push(body(
                &format!("add.cc addc.{t}"),
                &format!("{two} {k}"),
                &four,
                &format!("add.cc.{t} d0, a0, a1; addc.cc.{t} d1, a2, a3; addc.{t} d2, 0, 0;"),
            ));
            forms.push(body(
                &format!("sub.cc subc.{t}"),
                &format!("{two} {k}"),
                &four,
                &format!("sub.cc.{t} d0, a0, a1; subc.cc.{t} d1, a2, a3; subc.{t} d2, 0, 0;"),
            ));
            // One flag for both: set by a difference that borrows nothing.
            forms.push(body(
                &format!("sub.cc addc subc.{t}"),
                &format!("{two} {k}"),
                &four,
                &format!(
                    "sub.cc.{t} d0, a0, a1; addc.cc.{t} d1, a2, a3; subc.cc.{t} d2, a0, a2; addc.{t} d2, d2, 0;"
                ),
            ));
            forms.push(body(
                &format!("mad.cc madc.{t}"), &format!("{two} {k}"), &four,
                &format!(
                    "mad.lo.cc.{t} d0, a0, a1, a2; madc.hi.cc.{t} d1, a0, a1, a3; addc.{t} d2, 0, 0;"
                ),
            ));
            forms.push(body(
                &format!("mad.hi.cc madc.lo.{t}"), &format!("{two} {k}"), &four,
                &format!(
                    "mad.hi.cc.{t} d0, a0, a1, a2; madc.lo.cc.{t} d1, a0, a1, a3; madc.hi.{t} d2, a2, a3, 0;"
                ),
            ));
        }
    }
    forms
}

fn dots() -> Vec<Form> {
    let mut forms = Vec::new();
    for a in ["u32", "s32"] {
        for b in ["u32", "s32"] {
            forms.push(form(&format!("dp4a.{a}.{b}"), "b32", "b32 b32 b32"));
            forms.push(form(&format!("dp2a.lo.{a}.{b}"), "b32", "b32 b32 b32"));
            forms.push(form(&format!("dp2a.hi.{a}.{b}"), "b32", "b32 b32 b32"));
        }
    }
    forms
}

#[test]
fn integer_forms() {
    isolated("integer::integer_forms", || {
        let bench = Bench::open();
        bench.check(
            [arithmetic(), bit_fields(), extended(), dots()].concat(),
            known_differences("integer::integer_forms"),
        );
    });
}
