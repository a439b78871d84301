//! Floating-point arithmetic (PTX ISA, "Floating Point Instructions", "Half Precision Floating Point Instructions" and
//! "Mixed Precision Floating Point Instructions"), exact in every rounding mode.
//!
//! Instructions with `.approx` give the nearest value to the exact result; how far a device may be from it is in
//! [`super::approximate`].

use super::softfloat::{Format, Number, Rounding, F32, F64};
use super::{approximate, format_of, Form, Unsupported};
use ptx::{Modifier as M, Opcode as O, ScalarType};

/// One element of a floating-point instruction.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn evaluate(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    element(form, form.scalar()?, operands)
}

/// One element of type `ty` (the element type where the instruction's is packed).
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn element(form: &Form, ty: ScalarType, operands: &[u64]) -> Result<u64, Unsupported> {
    let format = format_of(ty).ok_or_else(|| form.unsupported())?;
    if form.has(M::Oob) {
        return Err(form.unsupported());
    }
    if form.opcode == O::Copysign {
        let sign = format.sign_bit();
        return Ok(operands[0] & sign | operands[1] & (sign - 1));
    }
    // Mixed precision: `add.f32.f16 d, a, c`, `fma.rn.f32.f16 d, a, b, c` widen all but the last operand.
    let narrow = match form.source_type.and_then(format_of) {
        Some(source) if form.source_type != form.ty && super::packed(form.scalar()?).is_none() => {
            Some(source)
        }
        _ => None,
    };
    let mut x = [0; 3];
    let count = operands.len().min(3);
    for (i, (x, &operand)) in x.iter_mut().zip(operands).enumerate() {
        *x = match narrow {
            Some(source) if i + 1 < count || count == 1 => format.from_f64(source.to_f64(operand)),
            _ => super::truncate(operand, format.width()),
        };
        if form.ftz {
            *x = format.flush(*x);
        }
    }
    let rounding = form.rounding_or_nearest();
    let native = rounding == Rounding::NearestEven;
    let mut result = match form.opcode {
        O::Add if native && ty == M::F32 => single(f32_of(x[0]) + f32_of(x[1])),
        O::Mul if native && ty == M::F32 => single(f32_of(x[0]) * f32_of(x[1])),
        O::Fma | O::Mad if native && ty == M::F32 => {
            single(f32_of(x[0]).mul_add(f32_of(x[1]), f32_of(x[2])))
        }
        O::Add => format.add(x[0], x[1], rounding),
        O::Sub => format.round(
            format
                .unpack(x[0])
                .add(format.unpack(x[1]).negate(), rounding),
            rounding,
        ),
        O::Mul => format.multiply(x[0], x[1], rounding),
        O::Fma | O::Mad => format.multiply_add(x[0], x[1], x[2], rounding),
        O::Div if form.approx => approximate::divide(x[0], x[1]),
        O::Rcp | O::Rsqrt if form.approx && form.ftz && format == F64 => {
            approximate::gross(form.opcode, x[0]).ok_or_else(|| form.unsupported())?
        }
        O::Div => format.divide(x[0], x[1], rounding),
        O::Sqrt => format.square_root(x[0], rounding),
        O::Rcp => format.divide(format.from_f64(1.0), x[0], rounding),
        O::Rsqrt | O::Sin | O::Cos | O::Lg2 | O::Ex2 | O::Tanh => {
            approximate::evaluate(form.opcode, format, x[0]).ok_or_else(|| form.unsupported())?
        }
        // Also of a NaN only the sign changes; PTX leaves open which NaN comes out.
        O::Abs => x[0] & (format.sign_bit() - 1),
        O::Neg => x[0] ^ format.sign_bit(),
        O::Min | O::Max => extremum(form, format, &x[..count]),
        _ => return Err(form.unsupported()),
    };
    if form.ftz {
        result = format.flush(result);
    }
    if form.sat {
        result = saturate(format, result);
    }
    if form.relu && !matches!(form.opcode, O::Min | O::Max) {
        result = relu(format, result);
    }
    Ok(result)
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// The bits of a result of the CPU's arithmetic, with a NaN made canonical.
fn single(value: f32) -> u64 {
    if value.is_nan() {
        F32.nan()
    } else {
        value.to_bits().into()
    }
}

/// `.sat`: clamped to [0.0, 1.0], NaN becoming +0.0.
pub(super) fn saturate(format: Format, bits: u64) -> u64 {
    let value = format.to_f64(bits);
    if value >= 1.0 {
        format.from_f64(1.0)
    } else if value > 0.0 {
        bits
    } else {
        0
    }
}

/// `.relu`: negative results become +0, NaN stays NaN.
pub(super) fn relu(format: Format, bits: u64) -> u64 {
    match format.unpack(bits) {
        Number::Nan => format.nan(),
        number if number.is_negative() => 0,
        _ => bits,
    }
}

/// `min` and `max`: a NaN loses against a number unless `.NaN`; -0 is less than +0. `.xorsign.abs` takes magnitudes
/// and gives the result the exclusive or of the signs.
fn extremum(form: &Form, format: Format, operands: &[u64]) -> u64 {
    let sign = format.sign_bit();
    let magnitudes = form.has(M::AbsMod);
    let pick = |a: u64, b: u64| -> u64 {
        let (x, y) = (format.to_f64(a), format.to_f64(b));
        if x.is_nan() || y.is_nan() {
            return if form.nan || x.is_nan() && y.is_nan() {
                format.nan()
            } else if x.is_nan() {
                b
            } else {
                a
            };
        }
        let a_is_less = x < y || x == y && a & sign != 0;
        if a_is_less == (form.opcode == O::Min) {
            a
        } else {
            b
        }
    };
    let take = |v: u64| if magnitudes { v & (sign - 1) } else { v };
    let result = operands.iter().copied().map(take).reduce(pick).unwrap_or(0);
    if form.has(M::Xorsign) && !format.is_nan(result) {
        return operands.iter().fold(result, |r, v| r ^ v & sign);
    }
    result
}
