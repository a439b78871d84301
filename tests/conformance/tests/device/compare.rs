//! Comparison and selection.

use crate::known::known_differences;
use conformance::{body, form, isolated, Bench, Form};

fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    let mut add = |t: &str, operators: &[&str]| {
        for op in operators {
            forms.push(form(
                &format!("setp.{op}.{t}"),
                "pred pred",
                &format!("{t} {t}"),
            ));
            forms.push(form(
                &format!("set.{op}.u32.{t}"),
                "b32",
                &format!("{t} {t}"),
            ));
        }
        let op = operators[0];
        for boolean in ["and", "or", "xor"] {
            forms.push(form(
                &format!("setp.{op}.{boolean}.{t}"),
                "pred pred",
                &format!("{t} {t} pred"),
            ));
        }
        forms.push(form(
            &format!("set.{op}.and.u32.{t}"),
            "b32",
            &format!("{t} {t} pred"),
        ));
        forms.push(form(
            &format!("set.{op}.f32.{t}"),
            "f32",
            &format!("{t} {t}"),
        ));
    };
    let signed = ["eq", "ne", "lt", "le", "gt", "ge"];
    let float = [
        "eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan",
    ];
    for t in ["s16", "s32", "s64"] {
        add(t, &signed);
    }
    for t in ["u16", "u32", "u64"] {
        add(t, &["lo", "ls", "hi", "hs", "eq", "lt"]);
    }
    for t in ["b16", "b32", "b64"] {
        add(t, &["eq", "ne"]);
    }
    for t in ["f32", "f64"] {
        add(t, &float);
    }
    for op in float {
        for t in ["f16", "bf16"] {
            forms.push(form(&format!("setp.{op}.{t}"), "pred", &format!("{t} {t}")));
        }
        for t in ["f16x2", "bf16x2"] {
            forms.push(form(
                &format!("setp.{op}.{t}"),
                "pred pred",
                &format!("{t} {t}"),
            ));
            forms.push(form(&format!("set.{op}.{t}.{t}"), t, &format!("{t} {t}")));
        }
    }
    for t in ["b16", "b32", "b64", "s16", "u64", "f32", "f64"] {
        forms.push(form(&format!("selp.{t}"), t, &format!("{t} {t} pred")));
    }
    for t in ["b16", "b32", "b64", "s32", "f32", "f64"] {
        forms.push(form(&format!("slct.{t}.s32"), t, &format!("{t} {t} s32")));
        forms.push(form(&format!("slct.{t}.f32"), t, &format!("{t} {t} f32")));
    }
    for op in [
        "finite",
        "infinite",
        "number",
        "notanumber",
        "normal",
        "subnormal",
    ] {
        for t in ["f32", "f64"] {
            forms.push(form(&format!("testp.{op}.{t}"), "pred", t));
        }
    }
    for t in ["f32", "f64"] {
        forms.push(form(&format!("copysign.{t}"), t, &format!("{t} {t}")));
    }
    forms.push(body(
        "selp literals",
        "b32",
        "pred",
        "selp.b32 d0, 1, -1, a0;",
    ));
    forms
}

#[test]
fn comparisons() {
    isolated("compare::comparisons", || {
        Bench::open().check(forms(), known_differences("compare::comparisons"))
    });
}

#[test]
fn flushed_comparisons() {
    isolated("compare::flushed_comparisons", || {
        let mut forms = Vec::new();
        for op in ["eq", "lt", "geu", "num"] {
            forms.push(form(&format!("setp.{op}.ftz.f32"), "pred pred", "f32 f32"));
            forms.push(form(&format!("set.{op}.ftz.u32.f32"), "b32", "f32 f32"));
            forms.push(form(
                &format!("setp.{op}.ftz.f16x2"),
                "pred pred",
                "f16x2 f16x2",
            ));
        }
        forms.push(form("slct.ftz.f32.f32", "f32", "f32 f32 f32"));
        Bench::open().check(forms, known_differences("compare::flushed_comparisons"));
    });
}
