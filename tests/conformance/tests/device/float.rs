//! Single and double precision.

use crate::known::known_differences;
use conformance::{form, isolated, Bench, Compare, Form};
use ptx::Opcode;

/// Exact forms of f32; with `.ftz` where `flush` is given.
fn single(flush: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for rounding in ["", ".rn", ".rz", ".rm", ".rp"] {
        for sat in ["", ".sat"] {
            for op in ["add", "sub", "mul"] {
                forms.push(form(
                    &format!("{op}{rounding}{flush}{sat}.f32"),
                    "f32",
                    "f32 f32",
                ));
            }
        }
        if rounding.is_empty() {
            continue;
        }
        forms.push(form(&format!("div{rounding}{flush}.f32"), "f32", "f32 f32"));
        forms.push(form(&format!("rcp{rounding}{flush}.f32"), "f32", "f32"));
        forms.push(form(&format!("sqrt{rounding}{flush}.f32"), "f32", "f32"));
    }
    for op in ["min", "max"] {
        for mode in ["", ".NaN", ".xorsign.abs", ".NaN.xorsign.abs"] {
            forms.push(form(&format!("{op}{flush}{mode}.f32"), "f32", "f32 f32"));
        }
    }
    for op in ["abs", "neg"] {
        forms.push(form(&format!("{op}{flush}.f32"), "f32", "f32"));
    }
    forms
}

fn fused(flush: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    for rounding in [".rn", ".rz", ".rm", ".rp"] {
        for sat in ["", ".sat"] {
            forms.push(form(
                &format!("fma{rounding}{flush}{sat}.f32"),
                "f32",
                "f32 f32 f32",
            ));
        }
        forms.push(form(
            &format!("mad{rounding}{flush}.f32"),
            "f32",
            "f32 f32 f32",
        ));
    }
    forms
}

fn double() -> Vec<Form> {
    let mut forms = Vec::new();
    for rounding in ["", ".rn", ".rz", ".rm", ".rp"] {
        for op in ["add", "sub", "mul"] {
            forms.push(form(&format!("{op}{rounding}.f64"), "f64", "f64 f64"));
        }
        if rounding.is_empty() {
            continue;
        }
        forms.push(form(&format!("div{rounding}.f64"), "f64", "f64 f64"));
        forms.push(form(&format!("rcp{rounding}.f64"), "f64", "f64"));
        forms.push(form(&format!("sqrt{rounding}.f64"), "f64", "f64"));
        forms.push(form(&format!("fma{rounding}.f64"), "f64", "f64 f64 f64"));
    }
    for op in ["min", "max"] {
        forms.push(form(&format!("{op}.f64"), "f64", "f64 f64"));
    }
    for op in ["abs", "neg"] {
        forms.push(form(&format!("{op}.f64"), "f64", "f64"));
    }
    forms
}

fn approximate() -> Vec<Form> {
    let one = |name: &str, opcode, absolute, relative| {
        form(name, "f32", "f32").with(Compare::Approximate(opcode, absolute, relative))
    };
    vec![
        // lavapipe: 1.5 ulp, 3 ulp, absolute errors of 5e-7 and 1.4e-7.
        one("rsqrt.approx.f32", Opcode::Rsqrt, 0.0, 4e-7),
        one("rcp.approx.f32", Opcode::Rcp, 0.0, 0.0),
        one("sqrt.approx.f32", Opcode::Sqrt, 0.0, 0.0),
        one("ex2.approx.f32", Opcode::Ex2, 0.0, 5e-7),
        one("lg2.approx.f32", Opcode::Lg2, 1e-6, 0.0),
        one("sin.approx.f32", Opcode::Sin, 1e-6, 0.0),
        one("cos.approx.f32", Opcode::Cos, 1e-6, 0.0),
        one("tanh.approx.f32", Opcode::Tanh, 3e-7, 0.0),
        form("div.approx.f32", "f32", "f32 f32").with(Compare::Approximate(Opcode::Div, 0.0, 3e-7)),
        form("div.full.f32", "f32", "f32 f32").with(Compare::Approximate(Opcode::Div, 0.0, 3e-7)),
        form("rcp.approx.ftz.f64", "f64", "f64").with(Compare::Approximate(Opcode::Rcp, 0.0, 0.0)),
        form("rsqrt.approx.f64", "f64", "f64").with(Compare::Approximate(Opcode::Rsqrt, 0.0, 0.0)),
        form("rsqrt.approx.ftz.f64", "f64", "f64").with(Compare::Approximate(
            Opcode::Rsqrt,
            0.0,
            0.0,
        )),
    ]
}

#[test]
fn single_precision() {
    isolated("float::single_precision", || {
        Bench::open().check(single(""), known_differences("float::single_precision"))
    });
}

#[test]
fn flushed_single_precision() {
    isolated("float::flushed_single_precision", || {
        let forms = [single(".ftz"), fused(".ftz")].concat();
        Bench::open()
            .with(|t| {
                t.flush_explicitly = true;
                t.exact_fma = true;
            })
            .check(forms, known_differences("float::flushed_single_precision"));
    });
}

#[test]
fn fused_multiply_add() {
    isolated("float::fused_multiply_add", || {
        Bench::open()
            .with(|t| t.exact_fma = true)
            .check(fused(""), known_differences("float::fused_multiply_add"));
        // Without the correction of double rounding, the last bit may differ.
        let forms = fused("")
            .into_iter()
            .map(|f| f.with(Compare::Ulp(1)))
            .collect();
        Bench::open()
            .with(|t| t.exact_fma = false)
            .check(forms, known_differences("float::fused_multiply_add"));
    });
}

#[test]
fn double_precision() {
    isolated("float::double_precision", || {
        Bench::open().check(double(), known_differences("float::double_precision"))
    });
}

#[test]
fn approximate_functions() {
    isolated("float::approximate_functions", || {
        Bench::open().check(
            approximate(),
            known_differences("float::approximate_functions"),
        )
    });
}

/// Directed sums of devices without double precision, on this one.
#[test]
fn directed_sums_without_doubles() {
    let mut forms = Vec::new();
    for op in ["add", "sub"] {
        for mode in ["rz", "rm", "rp"] {
            for sat in ["", ".sat"] {
                forms.push(form(&format!("{op}.{mode}{sat}.f32"), "f32", "f32 f32"));
            }
        }
    }
    isolated("float::directed_sums_without_doubles", || {
        Bench::open().with(|target| target.float64 = false).check(
            forms,
            known_differences("float::directed_sums_without_doubles"),
        );
    });
}
