//! Do two runs agree?
//!
//! The error of a position is the normalised mean square error of its logits, `sum((c - r)^2) / sum(r^2)`, the measure of
//! ggml's own backend tests. Two runs agree when
//!
//! * every logit is a finite number,
//! * the mean of the errors is within the bound, and no position is over fifteen times the bound, and
//! * both name the same most likely token wherever the reference is sure: where its first choice leads its second by more
//!   than twice the root mean square error which the bound allows.
//!
//! The bounds come from ggml's own backends: with the models of `tests/model`, its Vulkan backend differs from its CPU
//! backend by 1.4e-5 in the mean and 2.0e-4 at the worst position (16-bit floats), 2.7e-4 and 2.0e-3 (Q4_K_M); its CPU
//! backend without flash attention from itself by 2.5e-4 and 2.6e-3 (Q4_K_M). Under NVIDIA's own driver its CUDA backend differs
//! from the CPU's by 6.4e-4 and 1.05e-2 (Q4_K_M, an H100), which is why a position may be over ten times. The quantised
//! model differs from the one of 16-bit floats by 1.4e-2 and 7.1e-1: that is more than either bound.

use std::fmt;
use std::path::PathBuf;

use anyhow::{ensure, Result};

use crate::record::{argmax, Record};

/// Bound of the mean error for a model of 16-bit floats.
pub const BOUND_FLOAT: f64 = 1e-4;
/// Bound of the mean error for a quantised model: backends round activations to eight bits in blocks of different size.
pub const BOUND_QUANTISED: f64 = 1e-3;
/// How many times the bound the error of a single position may be.
pub const POSITION: f64 = 15.0;

/// What to compare.
#[derive(clap::Args)]
pub struct Options {
    /// Logits of the reference.
    reference: PathBuf,
    /// Logits to judge.
    candidate: PathBuf,
    /// Largest mean of the normalised mean square errors [default: 1e-3 for a quantised model, else 1e-4]; no position
    /// may be over fifteen times this.
    #[arg(long)]
    bound: Option<f64>,
    /// Damage the candidate first, by this relative error at one position in the middle: shows that a difference is found.
    #[arg(long)]
    perturb: Option<f32>,
}

/// The outcome of a comparison.
#[derive(Debug)]
pub struct Verdict {
    bound: f64,
    positions: usize,
    /// Largest error and where it is.
    worst: (f64, usize),
    /// Mean of the errors.
    mean: f64,
    /// Positions with a NaN or an infinity in the candidate.
    not_finite: usize,
    /// Positions whose error is over fifteen times the bound.
    over: usize,
    /// Positions where the reference is sure of its choice.
    sure: usize,
    /// Positions with another choice although the reference is sure.
    other: Vec<usize>,
    /// Positions with another choice where the reference is not sure.
    close: usize,
}

impl Verdict {
    /// Whether the two runs agree.
    pub fn agrees(&self) -> bool {
        self.not_finite == 0 && self.mean <= self.bound && self.over == 0 && self.other.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.positions;
        writeln!(
            f,
            "error of the logits: mean {:.2e} (bound {:.0e}), largest {:.2e} at position {} (bound {:.0e}; over it: {} of {n})",
            self.mean,
            self.bound,
            self.worst.0,
            self.worst.1,
            self.bound * POSITION,
            self.over
        )?;
        writeln!(
            f,
            "most likely token: another one at {} of the {} positions where the reference is sure{}, at {} of the other {}",
            self.other.len(),
            self.sure,
            self.other.first().map_or(String::new(), |p| format!(" (first: {p})")),
            self.close,
            n - self.sure
        )?;
        if self.not_finite > 0 {
            writeln!(
                f,
                "not a number or infinite: {} of {n} positions",
                self.not_finite
            )?;
        }
        writeln!(f, "{}", if self.agrees() { "agree" } else { "DISAGREE" })
    }
}

/// Compares two files.
///
/// # Errors
/// When a file cannot be read or the two runs did not see the same tokens.
pub fn compare_files(options: &Options) -> Result<Verdict> {
    let reference = Record::load(&options.reference)?;
    let mut candidate = Record::load(&options.candidate)?;
    if let Some(amount) = options.perturb {
        perturb(&mut candidate, amount);
    }
    let default = if reference.quantised {
        BOUND_QUANTISED
    } else {
        BOUND_FLOAT
    };
    compare(&reference, &candidate, options.bound.unwrap_or(default))
}

/// Compares two runs over the same tokens.
///
/// # Errors
/// When the runs did not see the same tokens, or are empty.
pub fn compare(reference: &Record, candidate: &Record, bound: f64) -> Result<Verdict> {
    ensure!(
        reference.vocabulary == candidate.vocabulary,
        "the vocabularies differ: {} and {} tokens",
        reference.vocabulary,
        candidate.vocabulary
    );
    ensure!(
        reference.tokens == candidate.tokens && reference.prompt == candidate.prompt,
        "the runs did not read the same tokens: make the second one with --force"
    );
    ensure!(
        !reference.tokens.is_empty() && reference.vocabulary > 1,
        "there is nothing to compare"
    );
    ensure!(
        reference.logits.iter().all(|v| v.is_finite()),
        "the reference holds logits that are not finite"
    );
    let mut verdict = Verdict {
        bound,
        positions: reference.tokens.len(),
        worst: (0.0, 0),
        mean: 0.0,
        not_finite: 0,
        over: 0,
        sure: 0,
        other: Vec::new(),
        close: 0,
    };
    for position in 0..verdict.positions {
        let (r, c) = (reference.row(position), candidate.row(position));
        let error = error(r, c);
        verdict.not_finite += usize::from(c.iter().any(|v| !v.is_finite()));
        let within = error <= bound * POSITION; // false for NaN
        verdict.over += usize::from(!within);
        verdict.mean += error / verdict.positions as f64;
        // In this order a NaN is the worst of all.
        if error.total_cmp(&verdict.worst.0).is_gt() {
            verdict.worst = (error, position);
        }
        let same = argmax(r) == argmax(c);
        if margin(r) > 2.0 * (bound * mean_square(r)).sqrt() {
            verdict.sure += 1;
            if !same {
                verdict.other.push(position);
            }
        } else {
            verdict.close += usize::from(!same);
        }
    }
    Ok(verdict)
}

/// Normalised mean square error of a row.
fn error(reference: &[f32], candidate: &[f32]) -> f64 {
    let difference: f64 = reference
        .iter()
        .zip(candidate)
        .map(|(r, c)| (f64::from(*c) - f64::from(*r)).powi(2))
        .sum();
    if difference == 0.0 {
        return 0.0;
    }
    (difference / (mean_square(reference) * reference.len() as f64)).abs()
}

fn mean_square(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / row.len() as f64
}

/// By how much the first choice leads the second.
fn margin(row: &[f32]) -> f64 {
    let first = argmax(row);
    let second = row
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != first)
        .map(|(_, v)| *v)
        .fold(f32::NEG_INFINITY, f32::max);
    f64::from(row[first]) - f64::from(second)
}

/// Makes every logit of the middle position wrong by `amount` of its value, up and down in turn: an error of `amount^2`.
fn perturb(record: &mut Record, amount: f32) {
    let start = record.tokens.len() / 2 * record.vocabulary;
    for (i, value) in record.logits[start..][..record.vocabulary]
        .iter_mut()
        .enumerate()
    {
        *value *= 1.0 + if i % 2 == 0 { amount } else { -amount };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let (tokens, vocabulary) = (9, 50);
        let logits = (0..tokens * vocabulary)
            .map(|i| ((i * 37) % 101) as f32 / 7.0 - 7.0)
            .collect();
        Record {
            vocabulary,
            prompt: 5,
            quantised: false,
            tokens: (0..tokens as i32).collect(),
            logits,
        }
    }

    #[test]
    fn a_run_agrees_with_itself() {
        let verdict = compare(&record(), &record(), 0.0).unwrap();
        assert!(verdict.agrees());
        assert_eq!((verdict.mean, verdict.positions), (0.0, 9));
    }

    #[test]
    fn the_bound_of_a_position_is_sharp() {
        // One of nine positions: its error shared among all stays below the bound of the mean only up to nine times it.
        for (factor, agrees) in [(0.89, true), (1.51, false)] {
            let mut other = record();
            perturb(&mut other, f32::sqrt(factor * 1e-3));
            let verdict = compare(&record(), &other, 1e-4).unwrap();
            assert_eq!(verdict.agrees(), agrees, "{verdict}");
            assert_eq!(verdict.worst.1, 4);
            assert_eq!(verdict.over, usize::from(!agrees));
        }
    }

    #[test]
    fn the_bound_of_the_mean_is_sharp() {
        for (factor, agrees) in [(0.99, true), (1.01, false)] {
            let mut other = record();
            for (i, value) in other.logits.iter_mut().enumerate() {
                *value *= 1.0 + if i % 2 == 0 { factor } else { -factor } * 1e-2;
            }
            let verdict = compare(&record(), &other, 1e-4).unwrap();
            assert_eq!(verdict.agrees(), agrees, "{verdict}");
            assert_eq!(verdict.over, 0);
        }
    }

    #[test]
    fn not_a_number_fails() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut other = record();
            other.logits[123] = bad;
            let verdict = compare(&record(), &other, 1e9).unwrap();
            assert_eq!(verdict.not_finite, 1);
            assert!(!verdict.agrees());
        }
    }

    #[test]
    fn another_choice_fails_even_within_the_bound() {
        let mut other = record();
        let (first, row) = (argmax(other.row(2)), 2 * other.vocabulary);
        let sure = 2.0 * (1e-2 * mean_square(other.row(2))).sqrt();
        // The reference leads by more than the error allows; the candidate gives the lead away.
        let mut reference = record();
        reference.logits[row + first] += 2.0 * sure as f32;
        other.logits[row + first] -= 1.0;
        let verdict = compare(&reference, &other, 1e-2).unwrap();
        assert_eq!(verdict.other, [2], "{verdict}");
        assert!(!verdict.agrees());
    }

    #[test]
    fn other_tokens_cannot_be_compared() {
        let mut other = record();
        other.tokens[8] += 1;
        assert!(compare(&record(), &other, 1.0).is_err());
    }
}
