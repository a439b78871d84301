//! `cvt` (PTX ISA, "Data Movement and Conversion Instructions: cvt" and "cvt.pack").

use super::float::{relu, saturate};
use super::softfloat::{Format, Number, Rounding, Specials, BF16, F16, F32};
use super::{format_of, sign_extend, truncate, width, Form, Unsupported};
use ptx::{Modifier as M, ScalarType};

/// A conversion. Packed destinations take their high element from the first source.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn evaluate(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let unsupported = || form.unsupported();
    let to = form.scalar()?;
    let from = form.source_type.ok_or_else(unsupported)?;
    if form.has(M::Pack) {
        return pack(form, to, from, operands);
    }
    let (to_element, to_count) = split(to);
    let (from_element, from_count) = split(from);
    if form.has(M::Rs) || form.has(M::Scaled) {
        return Err(unsupported());
    }
    if to_count == 1 && from_count == 1 {
        return scalar(form, to, from, operands[0]);
    }
    let target = format_of(to_element).ok_or_else(unsupported)?;
    let slot = slot_bits(to_element);
    // The elements of the sources, highest first.
    let sources: Vec<u64> = if from_count == 1 {
        operands
            .iter()
            .take(to_count as usize)
            .map(|&v| truncate(v, width(from)))
            .collect()
    } else {
        let bits = slot_bits(from_element);
        (0..from_count)
            .rev()
            .map(|i| truncate(operands[0] >> (i * bits), bits))
            .collect()
    };
    if sources.len() != to_count as usize {
        return Err(unsupported());
    }
    let source_format = format_of(from_element).ok_or_else(unsupported)?;
    Ok(sources.into_iter().fold(0, |all, v| {
        all << slot | to_float(form, target, source_format, v)
    }))
}

/// The element type and count of a type, 1 for scalars.
fn split(ty: ScalarType) -> (ScalarType, u32) {
    match ty {
        M::F16x2 => (M::F16, 2),
        M::Bf16x2 => (M::Bf16, 2),
        M::E4m3x2 => (M::E4m3, 2),
        M::E5m2x2 => (M::E5m2, 2),
        M::E3m2x2 => (M::E3m2, 2),
        M::E2m3x2 => (M::E2m3, 2),
        M::E2m1x2 => (M::E2m1, 2),
        other => (other, 1),
    }
}

/// The bits each element of a packed type has, padding included.
fn slot_bits(element: ScalarType) -> u32 {
    match element {
        M::E2m1 => 4,
        M::E3m2 | M::E2m3 => 8,
        other => width(other),
    }
}

fn scalar(form: &Form, to: ScalarType, from: ScalarType, operand: u64) -> Result<u64, Unsupported> {
    let operand = truncate(operand, width(from));
    match (format_of(to), format_of(from)) {
        (None, None) => {
            let value: i128 = if from.is_signed() {
                sign_extend(operand, width(from)).into()
            } else {
                operand.into()
            };
            Ok(truncate(
                if form.sat { clamp(value, to) } else { value } as u64,
                width(to),
            ))
        }
        (None, Some(format)) => {
            let operand = flush_single(form, format, operand);
            let rounding = form
                .integer_rounding
                .or(form.rounding)
                .unwrap_or(Rounding::Zero);
            Ok(truncate(
                to_integer(format, operand, to, from, rounding) as u64,
                width(to),
            ))
        }
        (Some(format), None) => {
            let value: i128 = if from.is_signed() {
                sign_extend(operand, width(from)).into()
            } else {
                operand.into()
            };
            let bits = format.round(Number::integer(value), form.rounding_or_nearest());
            Ok(if form.sat {
                saturate(format, bits)
            } else {
                bits
            })
        }
        (Some(target), Some(source)) => Ok(to_float(form, target, source, operand)),
    }
}

/// `.ftz` touches single precision only.
fn flush_single(form: &Form, format: Format, bits: u64) -> u64 {
    if form.ftz && format == F32 {
        format.flush(bits)
    } else {
        bits
    }
}

fn clamp(value: i128, ty: ScalarType) -> i128 {
    let bits = width(ty);
    if ty.is_signed() {
        value.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        value.clamp(0, (1 << bits) - 1)
    }
}

/// To an integer, clamped to its range. A NaN gives 0, or the top bit alone where one side is 64 bits wide.
fn to_integer(
    format: Format,
    operand: u64,
    to: ScalarType,
    from: ScalarType,
    rounding: Rounding,
) -> i128 {
    match format.unpack(operand).round_to_integer(rounding) {
        Number::Nan if from == M::F64 || width(to) == 64 => 1 << (width(to) - 1),
        Number::Nan => 0,
        Number::Infinity(negative) => clamp(if negative { i128::MIN } else { i128::MAX }, to),
        Number::Finite {
            negative,
            exponent,
            significand,
        } => {
            let magnitude = if significand == 0 {
                0
            } else if exponent as u32 > 63 {
                i128::MAX
            } else {
                (significand << exponent) as i128
            };
            clamp(if negative { -magnitude } else { magnitude }, to)
        }
    }
}

fn to_float(form: &Form, target: Format, source: Format, operand: u64) -> u64 {
    let operand = flush_single(form, source, operand);
    let mut number = source.unpack(operand);
    if let Some(rounding) = form.integer_rounding {
        number = number.round_to_integer(rounding);
    }
    let rounding = form.rounding_or_nearest();
    let mut bits = target.round(number, rounding);
    if form.satfinite || target.specials != Specials::Ieee {
        bits = saturate_finite(target, number, bits);
    }
    bits = flush_single(form, target, bits);
    if form.sat {
        bits = saturate(target, bits);
    }
    if form.relu {
        bits = relu(target, bits);
    }
    bits
}

/// `.satfinite`: beyond the largest finite number is that number; a NaN is a NaN, or the largest number in formats
/// without one.
fn saturate_finite(target: Format, number: Number, bits: u64) -> u64 {
    let sign = bits & target.sign_bit();
    match number {
        Number::Nan => bits,
        _ if bits & (target.sign_bit() - 1) > target.max_finite() => sign | target.max_finite(),
        _ => bits,
    }
}

/// `cvt.pack.sat.{u16,s16}.s32 d, a, b` and `cvt.pack.sat.{u8,s8,u4,s4,u2,s2}.s32.b32 d, a, b, c`: both saturated, b
/// in the low part, a above it, and above that the low bits of c.
fn pack(
    form: &Form,
    to: ScalarType,
    from: ScalarType,
    operands: &[u64],
) -> Result<u64, Unsupported> {
    if from != M::S32 || operands.len() < 2 {
        return Err(form.unsupported());
    }
    let bits = width(to);
    let part = |v: u64| truncate(clamp((v as u32 as i32).into(), to) as u64, bits);
    let low = part(operands[0]) << bits | part(operands[1]);
    let high = match operands.get(2) {
        Some(&c) if bits < 16 => c << (2 * bits),
        None if bits == 16 => 0,
        _ => return Err(form.unsupported()),
    };
    Ok(truncate(high | low, 32))
}

/// The nearest `.f16` to a single-precision number, as `cvt.rn.f16.f32`.
pub fn single_to_half(value: f32) -> u16 {
    F16.round(F32.unpack(value.to_bits().into()), Rounding::NearestEven) as u16
}

/// The nearest `.bf16` to a single-precision number, as `cvt.rn.bf16.f32`.
pub fn single_to_bfloat(value: f32) -> u16 {
    BF16.round(F32.unpack(value.to_bits().into()), Rounding::NearestEven) as u16
}
