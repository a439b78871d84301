//! Conversions.

use crate::known::known_differences;
use conformance::{body, form, isolated, Bench, Form};

const INTEGERS: [&str; 8] = ["u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"];

fn integers() -> Vec<Form> {
    let mut forms = Vec::new();
    for d in INTEGERS {
        for a in INTEGERS {
            forms.push(form(&format!("cvt.{d}.{a}"), d, a));
            // Only where a value can be out of range is `.sat` PTX.
            let bits = |t: &str| t[1..].parse::<u32>().expect("bits");
            let unsigned = |t: &str| t.starts_with('u');
            let fits = match (unsigned(d), unsigned(a)) {
                (false, true) => bits(d) > bits(a),
                (true, false) => false,
                _ => bits(d) >= bits(a),
            };
            if !fits {
                forms.push(form(&format!("cvt.sat.{d}.{a}"), d, a));
            }
        }
    }
    forms
}

fn with_floats(flush: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for f in ["f16", "bf16", "f32", "f64"] {
        let ftz = if f == "f32" { flush } else { "" };
        if !flush.is_empty() && ftz.is_empty() {
            continue;
        }
        for i in INTEGERS {
            // PTX has no bytes here.
            if f == "bf16" && i.ends_with('8') {
                continue;
            }
            for r in ["rni", "rzi", "rmi", "rpi"] {
                forms.push(form(&format!("cvt.{r}{ftz}.{i}.{f}"), i, f));
            }
            if f != "bf16" {
                forms.push(form(&format!("cvt.rni{ftz}.sat.{i}.{f}"), i, f));
            }
            if !flush.is_empty() {
                continue;
            }
            for r in ["rn", "rz", "rm", "rp"] {
                forms.push(form(&format!("cvt.{r}.{f}.{i}"), f, i));
            }
            if f != "bf16" {
                forms.push(form(&format!("cvt.rn.sat.{f}.{i}"), f, i));
            }
        }
    }
    forms
}

fn between_floats(flush: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for (d, a, exact) in [
        ("f16", "f32", false),
        ("bf16", "f32", false),
        ("f16", "f64", false),
        ("f32", "f64", false),
        ("f32", "f16", true),
        ("f64", "f16", true),
        ("f64", "f32", true),
        ("f32", "bf16", true),
    ] {
        if !flush.is_empty() && d != "f32" && a != "f32" {
            continue;
        }
        let ftz = if d == "bf16" || a == "bf16" {
            ""
        } else {
            flush
        };
        if exact {
            forms.push(form(&format!("cvt{ftz}.{d}.{a}"), d, a));
            if a != "bf16" {
                forms.push(form(&format!("cvt{ftz}.sat.{d}.{a}"), d, a));
            }
            continue;
        }
        for r in ["rn", "rz", "rm", "rp"] {
            if d == "bf16" && (r == "rm" || r == "rp") {
                continue;
            }
            forms.push(form(&format!("cvt.{r}{ftz}.{d}.{a}"), d, a));
            if d != "bf16" {
                forms.push(form(&format!("cvt.{r}{ftz}.sat.{d}.{a}"), d, a));
            }
        }
    }
    for t in ["f16", "f32", "f64"] {
        for r in ["rni", "rzi", "rmi", "rpi"] {
            let ftz = if t == "f32" { flush } else { "" };
            forms.push(form(&format!("cvt.{r}{ftz}.{t}.{t}"), t, t));
            forms.push(form(&format!("cvt.{r}{ftz}.sat.{t}.{t}"), t, t));
        }
    }
    if flush.is_empty() {
        for r in ["rn", "rz"] {
            for relu in ["", ".relu"] {
                for t in ["f16x2", "bf16x2"] {
                    forms.push(form(&format!("cvt.{r}{relu}.{t}.f32"), t, "f32 f32"));
                }
                for t in ["f16", "bf16"] {
                    if !relu.is_empty() {
                        forms.push(form(&format!("cvt.{r}{relu}.{t}.f32"), t, "f32"));
                    }
                }
            }
        }
        forms.push(form("cvt.rna.tf32.f32", "f32", "f32"));
        for t in ["e4m3x2", "e5m2x2"] {
            for relu in ["", ".relu"] {
                forms.push(form(
                    &format!("cvt.rn.satfinite{relu}.{t}.f32"),
                    "b16",
                    "f32 f32",
                ));
                forms.push(form(
                    &format!("cvt.rn.satfinite{relu}.{t}.f16x2"),
                    "b16",
                    "f16x2",
                ));
                forms.push(form(&format!("cvt.rn{relu}.f16x2.{t}"), "f16x2", "b16"));
            }
        }
        forms.push(form("cvt.pack.sat.s16.s32", "b32", "s32 s32"));
        forms.push(form("cvt.pack.sat.u16.s32", "b32", "s32 s32"));
        for t in ["s8", "u8"] {
            forms.push(body(
                &format!("cvt.pack.sat.{t}.s32.b32"),
                "b32",
                "s32 s32 b32",
                &format!("cvt.pack.sat.{t}.s32.b32 d0, a0, a1, a2;"),
            ));
        }
    }
    forms
}

#[test]
fn integer_conversions() {
    isolated("convert::integer_conversions", || {
        Bench::open().check(
            integers(),
            known_differences("convert::integer_conversions"),
        )
    });
}

#[test]
fn float_and_integer_conversions() {
    isolated("convert::float_and_integer_conversions", || {
        Bench::open().check(
            with_floats(""),
            known_differences("convert::float_and_integer_conversions"),
        )
    });
}

#[test]
fn float_conversions() {
    isolated("convert::float_conversions", || {
        Bench::open().check(
            between_floats(""),
            known_differences("convert::float_conversions"),
        )
    });
}

#[test]
fn flushed_conversions() {
    isolated("convert::flushed_conversions", || {
        let forms = [with_floats(".ftz"), between_floats(".ftz")].concat();
        Bench::open().check(forms, known_differences("convert::flushed_conversions"));
    });
}
