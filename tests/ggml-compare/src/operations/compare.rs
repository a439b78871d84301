//! Whether two results are close enough.

use super::case::Measure;

/// The outcome for a result.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// Whether the measure accepts it.
    pub agrees: bool,
    /// The normalised mean square error; infinite where NaN or infinities stand in other places.
    pub error: f64,
}

/// Compares a result with the reference.
pub fn compare(measure: Measure, reference: &[f64], result: &[f64]) -> Verdict {
    let wrong = Verdict {
        agrees: false,
        error: f64::INFINITY,
    };
    if reference.len() != result.len() {
        return wrong;
    }
    if let Measure::SameSet(row) = measure {
        return compare(
            Measure::Equal,
            &sorted(reference, row),
            &sorted(result, row),
        );
    }
    let (mut difference, mut size) = (0.0, 0.0);
    for (expected, actual) in reference.iter().zip(result) {
        if expected.is_finite() && actual.is_finite() {
            difference += (actual - expected) * (actual - expected);
            size += expected * expected;
        } else if !(expected == actual || expected.is_nan() && actual.is_nan()) {
            return wrong;
        }
    }
    let error = if difference == 0.0 {
        0.0
    } else {
        difference / size
    };
    let bound = match measure {
        Measure::Error(bound) => bound,
        Measure::Equal | Measure::SameSet(_) => 0.0,
    };
    Verdict {
        agrees: error <= bound,
        error,
    }
}

/// The same with each row in order.
fn sorted(values: &[f64], row: usize) -> Vec<f64> {
    let mut values = values.to_vec();
    for row in values.chunks_mut(row) {
        row.sort_unstable_by(f64::total_cmp);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees(measure: Measure, reference: &[f64], result: &[f64]) -> bool {
        compare(measure, reference, result).agrees
    }

    #[test]
    fn the_error_is_relative_to_the_whole_reference() {
        let verdict = compare(Measure::Error(1e-3), &[3.0, 4.0], &[3.0, 4.5]);
        assert_eq!(verdict.error, 0.01);
        assert!(!verdict.agrees);
        assert!(agrees(Measure::Error(0.01), &[3.0, 4.0], &[3.0, 4.5]));
        // Anything beside a reference of zeros is infinitely wrong, and so is another length.
        assert!(!agrees(Measure::PRODUCT, &[0.0], &[1e-30]));
        assert!(!agrees(Measure::PRODUCT, &[0.0], &[0.0, 0.0]));
    }

    #[test]
    fn what_is_not_finite_has_to_stand_in_the_same_places() {
        let (nan, infinite) = (f64::NAN, f64::INFINITY);
        let reference = [nan, infinite, -infinite, 1.0];
        assert!(agrees(Measure::Equal, &reference, &reference));
        for (i, other) in [
            (0, 1.0),
            (1, nan),
            (1, -infinite),
            (2, 0.0),
            (3, nan),
            (3, infinite),
        ] {
            let mut result = reference;
            result[i] = other;
            assert!(
                !agrees(Measure::Error(1e9), &reference, &result),
                "{i} {other}"
            );
        }
    }

    #[test]
    fn sets_are_compared_row_by_row() {
        let reference = [1.0, 2.0, 3.0, 4.0];
        assert!(agrees(
            Measure::SameSet(2),
            &reference,
            &[2.0, 1.0, 3.0, 4.0]
        ));
        assert!(!agrees(
            Measure::SameSet(2),
            &reference,
            &[1.0, 3.0, 2.0, 4.0]
        ));
        assert!(!agrees(Measure::Equal, &reference, &[2.0, 1.0, 3.0, 4.0]));
    }
}
