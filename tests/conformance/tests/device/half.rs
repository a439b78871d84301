//! f16, bf16 and their pairs.

use crate::known::known_differences;
use conformance::{body, form, isolated, Bench, Compare, Form};
use ptx::Opcode;

fn forms(flush: bool) -> Vec<Form> {
    let mut forms = Vec::new();
    for t in ["f16", "f16x2", "bf16", "bf16x2"] {
        let bf = t.starts_with('b');
        if flush && bf {
            continue;
        }
        let f = if flush { ".ftz" } else { "" };
        let (two, three) = (format!("{t} {t}"), format!("{t} {t} {t}"));
        for op in ["add", "sub", "mul"] {
            forms.push(form(&format!("{op}.rn{f}.{t}"), t, &two));
            if !bf {
                forms.push(form(&format!("{op}.rn{f}.sat.{t}"), t, &two));
                forms.push(form(&format!("{op}{f}.{t}"), t, &two));
            }
        }
        forms.push(form(&format!("fma.rn{f}.{t}"), t, &three));
        forms.push(form(&format!("fma.rn{f}.relu.{t}"), t, &three));
        if !bf {
            forms.push(form(&format!("fma.rn{f}.sat.{t}"), t, &three));
        }
        for op in ["min", "max"] {
            for mode in ["", ".NaN", ".xorsign.abs", ".NaN.xorsign.abs"] {
                forms.push(form(&format!("{op}{f}{mode}.{t}"), t, &two));
            }
        }
        for op in ["abs", "neg"] {
            forms.push(form(&format!("{op}{f}.{t}"), t, t));
        }
    }
    if !flush {
        // As nvcc writes sums of bf16.
        for factor in ["0x3f80", "0xbf80"] {
            for (t, word) in [("bf16", "b16"), ("bf16x2", "b32")] {
                let value = match t {
                    "bf16" => factor.to_owned(),
                    _ => format!("{factor}{}", &factor[2..]),
                };
                for operands in ["a0, c, a1", "c, a0, a1"] {
                    forms.push(body(
                        &format!("fma.rn.{t} {operands} with {factor}"),
                        t,
                        &format!("{t} {t}"),
                        &format!(
                            "{{.reg .{word} c; mov.{word} c, {value}; fma.rn.{t} d0, {operands};}}"
                        ),
                    ));
                }
            }
        }
    }
    forms
}

#[test]
fn half_precision() {
    isolated("half::half_precision", || {
        Bench::open().check(forms(false), known_differences("half::half_precision"))
    });
}

#[test]
fn flushed_half_precision() {
    isolated("half::flushed_half_precision", || {
        Bench::open().check(
            forms(true),
            known_differences("half::flushed_half_precision"),
        );
    });
}

#[test]
fn approximate_half_precision() {
    isolated("half::approximate_half_precision", || {
        let mut forms = Vec::new();
        for t in ["f16", "bf16"] {
            let ftz = if t == "bf16" { ".ftz" } else { "" };
            forms.push(
                form(&format!("ex2.approx{ftz}.{t}"), t, t).with(Compare::Approximate(
                    Opcode::Ex2,
                    0.0,
                    0.0,
                )),
            );
            forms.push(
                form(&format!("tanh.approx.{t}"), t, t).with(Compare::Approximate(
                    Opcode::Tanh,
                    0.0,
                    0.0,
                )),
            );
        }
        Bench::open().check(forms, known_differences("half::approximate_half_precision"));
    });
}
