//! Forms that are known to differ, by test, with the reason. A test fails when one of them agrees.

/// The table of a test.
pub fn known_differences(test: &str) -> &'static [(&'static str, &'static str)] {
    match test {
        "float::approximate_functions" => &[
            (
                "lg2.approx.f32",
                "subnormal inputs: lavapipe's log2 takes them for normal ones",
            ),
            (
                "div.approx.f32",
                "divisors above 2^126 give the quotient, where PTX says zero",
            ),
        ],
        "float::double_precision" => &[
            ("fma.rn.f64", "the translator refuses it by name"),
            ("add.rz.f64", "the translator refuses it by name"),
            ("sub.rz.f64", "the translator refuses it by name"),
            ("mul.rz.f64", "the translator refuses it by name"),
            ("div.rz.f64", "the translator refuses it by name"),
            ("rcp.rz.f64", "the translator refuses it by name"),
            ("sqrt.rz.f64", "the translator refuses it by name"),
            ("fma.rz.f64", "the translator refuses it by name"),
            ("add.rm.f64", "the translator refuses it by name"),
            ("sub.rm.f64", "the translator refuses it by name"),
            ("mul.rm.f64", "the translator refuses it by name"),
            ("div.rm.f64", "the translator refuses it by name"),
            ("rcp.rm.f64", "the translator refuses it by name"),
            ("sqrt.rm.f64", "the translator refuses it by name"),
            ("fma.rm.f64", "the translator refuses it by name"),
            ("add.rp.f64", "the translator refuses it by name"),
            ("sub.rp.f64", "the translator refuses it by name"),
            ("mul.rp.f64", "the translator refuses it by name"),
            ("div.rp.f64", "the translator refuses it by name"),
            ("rcp.rp.f64", "the translator refuses it by name"),
            ("sqrt.rp.f64", "the translator refuses it by name"),
            ("fma.rp.f64", "the translator refuses it by name"),
        ],
        _ => &[],
    }
}
