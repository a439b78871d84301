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
        _ => &[],
    }
}
