//! Approximate instructions: the reference value and the documented error.
//!
//! PTX gives `.approx` instructions an error bound, not a result. [`evaluate`] gives the nearest value to the exact
//! result, [`bound`] how far from it a device may be, and [`Bound::allows`] decides.
//!
//! ```
//! use ptx::Opcode;
//! use ptx_reference::semantics::{approximate, softfloat::F32};
//! let x = 0.5f32.to_bits() as u64;
//! let reference = approximate::exact(Opcode::Ex2, 0.5).unwrap();
//! let bound = approximate::bound(Opcode::Ex2, F32, x);
//! assert!(bound.allows(reference, 2f32.sqrt() as f64, F32));
//! assert!(!bound.allows(reference, 1.415, F32));
//! ```

use super::softfloat::{Format, BF16, F16, F32, F64};
use ptx::Opcode as O;

/// How far a result may be from the exact one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The difference itself.
    Absolute(f64),
    /// The difference divided by the exact value.
    Relative(f64),
    /// Units in the last place of the exact value.
    Ulp(f64),
}

impl Bound {
    /// Whether `actual` is close enough to `exact`. Infinities, NaN and overflow to infinity must agree as classes; a
    /// result below the smallest normal number may have been flushed to zero.
    pub fn allows(self, exact: f64, actual: f64, format: Format) -> bool {
        if exact.is_nan() || actual.is_nan() {
            return exact.is_nan() && actual.is_nan();
        }
        let rounded = format.to_f64(format.from_f64(exact));
        if rounded.is_infinite() || actual.is_infinite() {
            let largest = format.to_f64(format.max_finite());
            return rounded == actual
                || (exact - actual).abs() <= largest * 1e-6 && exact.is_finite();
        }
        let smallest_normal = format.to_f64(1 << (format.fraction + format.padding));
        if exact.abs() < smallest_normal && actual == 0.0 {
            return true;
        }
        // A result of the format cannot be closer than half its unit.
        let ulp = {
            let exponent = exact.abs().max(smallest_normal).log2().floor();
            (exponent - f64::from(format.fraction)).exp2()
        };
        let limit = match self {
            Bound::Absolute(limit) => limit + ulp / 2.0,
            Bound::Relative(limit) => (limit * exact.abs()).max(ulp),
            Bound::Ulp(limit) => limit * ulp,
        };
        (exact - actual).abs() <= limit
    }
}

/// The documented error of an approximate instruction for the input with these bits.
pub fn bound(opcode: O, format: Format, input: u64) -> Bound {
    let x = format.to_f64(input);
    match (opcode, format) {
        (O::Ex2, F16) => Bound::Relative(2f64.powf(-9.9)),
        (O::Ex2, BF16) => Bound::Relative(2f64.powi(-7)),
        (O::Tanh, F16) => Bound::Absolute(2f64.powf(-10.987)),
        (O::Tanh, BF16) => Bound::Absolute(2f64.powi(-8)),
        (O::Tanh, _) => Bound::Relative(2f64.powi(-11)),
        (O::Ex2, _) => Bound::Ulp(2.0),
        (O::Lg2, _) if x > 0.5 && x < 2.0 => Bound::Absolute(2f64.powi(-22)),
        (O::Lg2, _) => Bound::Relative(2f64.powi(-22)),
        (O::Sin | O::Cos, _) if x.abs() <= std::f64::consts::TAU => {
            Bound::Absolute(2f64.powf(-20.5))
        }
        (O::Sin | O::Cos, _) if x.abs() <= 100.0 * std::f64::consts::PI => {
            Bound::Absolute(2f64.powf(-14.7))
        }
        // Beyond, nothing is promised but the range.
        (O::Sin | O::Cos, _) => Bound::Absolute(2.0),
        (O::Rcp, F64) => Bound::Relative(2f64.powi(-20)),
        (O::Rcp, _) => Bound::Ulp(1.0),
        (O::Sqrt, _) => Bound::Relative(2f64.powi(-23)),
        (O::Rsqrt, F64) => Bound::Relative(2f64.powi(-20)),
        (O::Rsqrt, _) => Bound::Relative(2f64.powf(-22.9)),
        (O::Div, _) => Bound::Ulp(2.0),
        _ => Bound::Ulp(0.5),
    }
}

/// The exact value of a function of one argument, as nearly as a double holds it.
pub fn exact(opcode: O, x: f64) -> Option<f64> {
    Some(match opcode {
        O::Ex2 => x.exp2(),
        O::Lg2 => x.log2(),
        O::Sin => x.sin(),
        O::Cos => x.cos(),
        O::Tanh => x.tanh(),
        O::Rcp => 1.0 / x,
        O::Sqrt => x.sqrt(),
        O::Rsqrt => 1.0 / x.sqrt(),
        _ => return None,
    })
}

/// The nearest value to the exact result.
pub fn evaluate(opcode: O, format: Format, x: u64) -> Option<u64> {
    exact(opcode, format.to_f64(x)).map(|value| format.from_f64(value))
}

/// `rcp.approx.ftz.f64` and `rsqrt.approx.ftz.f64`, which see and give the upper 32 bits alone.
pub fn gross(opcode: O, x: u64) -> Option<u64> {
    const UPPER: u64 = !0xffff_ffff;
    let x = F64.flush(x & UPPER);
    Some(evaluate(opcode, F64, x)? & UPPER)
}

/// `div.approx.f32`: the quotient, except that a divisor above 2^126 gives 0, or NaN under an infinity.
pub fn divide(a: u64, b: u64) -> u64 {
    let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
    if y.is_finite() && y.abs() > 2f32.powi(126) {
        return if x.is_infinite() || x.is_nan() {
            F32.nan()
        } else {
            u64::from((x.to_bits() ^ y.to_bits()) & 0x8000_0000)
        };
    }
    F32.divide(a, b, super::softfloat::Rounding::NearestEven)
}
