//! Single and double precision.

use crate::known::known_differences;
use conformance::{body, form, isolated, left_out, Bench, Compare, Form};
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
        // lavapipe: 1.5 ulp, absolute errors of 5e-7 and 1.4e-7; ex2 within PTX's 2 ulp.
        one("rsqrt.approx.f32", Opcode::Rsqrt, 0.0, 4e-7),
        one("rcp.approx.f32", Opcode::Rcp, 0.0, 0.0),
        one("sqrt.approx.f32", Opcode::Sqrt, 0.0, 0.0),
        one("ex2.approx.f32", Opcode::Ex2, 0.0, 2.4e-7),
        one("ex2.approx.ftz.f32", Opcode::Ex2, 0.0, 2.4e-7),
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

/// The same with `.ftz`, which `tanh` has not.
fn flushed_approximate() -> Vec<Form> {
    let mut forms = approximate();
    forms.retain(|f| {
        f.name.ends_with(".f32") && !f.name.contains(".ftz") && !f.name.starts_with("tanh")
    });
    for form in &mut forms {
        for text in [&mut form.name, &mut form.text] {
            *text = text.replace(".f32", ".ftz.f32");
        }
    }
    forms
}

/// Why something does not run through a library.
const TRANSLATOR: &str = "it changes what the translator is told of the device";

/// Checks forms of fma: with the correction of double rounding where fma is made of double precision. A library of this
/// project's has none unless its device rounds once.
fn check_fused(bench: Bench, forms: Vec<Form>, known: &[(&str, &str)]) {
    if bench.translates() {
        return bench
            .with(|target| target.exact_fma = true)
            .check(forms, known);
    }
    let forms = match bench.is_native() {
        true => forms,
        false => nearly(forms),
    };
    bench.check(forms, known);
}

/// With the last bit left open.
fn nearly(forms: Vec<Form>) -> Vec<Form> {
    forms.into_iter().map(|f| f.with(Compare::Ulp(1))).collect()
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
        Bench::open().check(
            single(".ftz"),
            known_differences("float::flushed_single_precision"),
        );
    });
}

#[test]
fn flushed_fused_multiply_add() {
    isolated("float::flushed_fused_multiply_add", || {
        check_fused(
            Bench::open(),
            fused(".ftz"),
            known_differences("float::flushed_fused_multiply_add"),
        );
    });
}

#[test]
fn fused_multiply_add() {
    isolated("float::fused_multiply_add", || {
        let known = known_differences("float::fused_multiply_add");
        check_fused(Bench::open(), fused(""), known);
        if !Bench::open().translates() {
            return left_out("fma without its correction", TRANSLATOR);
        }
        // Without the correction of double rounding, the last bit may differ.
        Bench::open()
            .with(|t| t.exact_fma = false)
            .check(nearly(fused("")), known);
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

#[test]
fn flushed_approximate_functions() {
    isolated("float::flushed_approximate_functions", || {
        Bench::open().check(
            flushed_approximate(),
            known_differences("float::flushed_approximate_functions"),
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
    // 252 and 1.5 * 2^23 + 1 as in `expf`; others, at the edges of what needs no doubles.
    for (factor, addend) in [
        ("437C0000", "4B400001"),
        ("3BBB989D", "3F000000"),
        ("BF800001", "35800000"),
        ("21800000", "5D7FFFFF"),
        ("5D800000", "C2000001"),
    ] {
        for mode in ["rz", "rm", "rp", "rm.ftz", "rz.sat"] {
            for operands in [
                format!("a0, 0f{factor}, 0f{addend}"),
                format!("0f{factor}, a0, 0f{addend}"),
            ] {
                forms.push(body(
                    &format!("fma.{mode}.f32 {operands}"),
                    "f32",
                    "f32",
                    &format!("fma.{mode}.f32 d0, {operands};"),
                ));
            }
        }
    }
    isolated("float::directed_sums_without_doubles", || {
        let bench = Bench::open();
        if !bench.translates() {
            return left_out("all", TRANSLATOR);
        }
        bench.with(|target| target.float64 = false).check(
            forms,
            known_differences("float::directed_sums_without_doubles"),
        );
    });
}
