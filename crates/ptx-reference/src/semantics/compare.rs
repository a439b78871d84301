//! Comparison and selection (PTX ISA, "Comparison and Selection Instructions"), and `testp`.

use super::{format_of, packed, sign_extend, truncate, width, Form, Output, Unsupported};
use ptx::{Modifier as M, Opcode, ScalarType};
use std::cmp::Ordering;

/// `a cmp b` for one element of type `ty`.
fn compare(
    form: &Form,
    comparison: M,
    ty: ScalarType,
    a: u64,
    b: u64,
) -> Result<bool, Unsupported> {
    let unordered_true = matches!(
        comparison,
        M::Equ | M::Neu | M::Ltu | M::Leu | M::Gtu | M::Geu | M::NanCmp
    );
    let ordering = if let Some(format) = format_of(ty) {
        let flush = |v| {
            if form.ftz {
                format.flush(v)
            } else {
                v
            }
        };
        let (a, b) = (format.to_f64(flush(a)), format.to_f64(flush(b)));
        match (comparison, a.partial_cmp(&b)) {
            (M::Num, ordering) => return Ok(ordering.is_some()),
            (M::NanCmp, ordering) => return Ok(ordering.is_none()),
            (_, None) => return Ok(unordered_true),
            (_, Some(ordering)) => ordering,
        }
    } else if matches!(comparison, M::Num) || unordered_true {
        return Err(form.unsupported());
    } else if ty.is_signed() && !matches!(comparison, M::Lo | M::Ls | M::Hi | M::Hs) {
        sign_extend(a, width(ty)).cmp(&sign_extend(b, width(ty)))
    } else {
        truncate(a, width(ty)).cmp(&truncate(b, width(ty)))
    };
    Ok(match comparison {
        M::Eq | M::Equ => ordering == Ordering::Equal,
        M::Ne | M::Neu => ordering != Ordering::Equal,
        M::Lt | M::Lo | M::Ltu => ordering == Ordering::Less,
        M::Le | M::Ls | M::Leu => ordering != Ordering::Greater,
        M::Gt | M::Hi | M::Gtu => ordering == Ordering::Greater,
        M::Ge | M::Hs | M::Geu => ordering != Ordering::Less,
        _ => return Err(form.unsupported()),
    })
}

fn combine(form: &Form, t: bool, c: bool) -> bool {
    match form.boolean {
        Some(M::And) => t & c,
        Some(M::Or) => t | c,
        Some(M::Xor) => t ^ c,
        _ => t,
    }
}

/// `set`, `setp` and `testp`.
///
/// `setp` of a packed type gives the comparison of the low elements, and as second result that of the high ones; of
/// a scalar type, the second result is the complement of the comparison, combined with the third operand.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn evaluate(form: &Form, operands: &[u64]) -> Result<Output, Unsupported> {
    if form.opcode == Opcode::Testp {
        return test(form, operands[0]).map(|t| u64::from(t).into());
    }
    let comparison = form.comparison.ok_or_else(|| form.unsupported())?;
    let ty = form.source_type.ok_or_else(|| form.unsupported())?;
    let c = operands.get(2).is_some_and(|&c| c != 0);
    let elements = |lane: u32| -> Result<bool, Unsupported> {
        let (element, shift) = match packed(ty) {
            Some((element, _)) => (element, lane * width(element)),
            None => (ty, 0),
        };
        compare(
            form,
            comparison,
            element,
            operands[0] >> shift,
            operands[1] >> shift,
        )
    };
    let low = elements(0)?;
    if form.opcode == Opcode::Setp {
        let high = if packed(ty).is_some() {
            elements(1)?
        } else {
            !low
        };
        return Ok(Output {
            value: combine(form, low, c).into(),
            second: Some(combine(form, high, c).into()),
            carry: None,
        });
    }
    let t = combine(form, low, c);
    let value = match form.scalar()? {
        M::F32 if t => 1f32.to_bits().into(),
        M::F16 if t => 0x3c00,
        M::Bf16 if t => 0x3f80,
        M::F16x2 | M::Bf16x2 => {
            let one = if form.ty == Some(M::F16x2) {
                0x3c00
            } else {
                0x3f80
            };
            let high = combine(form, elements(1)?, c);
            (u64::from(t) * one) | ((u64::from(high) * one) << 16)
        }
        // The form with two elements and an integer result gives a mask of each half.
        M::U32 | M::S32 if packed(ty).is_some() => {
            (u64::from(t) * 0xffff) | (u64::from(combine(form, elements(1)?, c)) * 0xffff_0000)
        }
        M::U16 | M::S16 if t => 0xffff,
        M::U32 | M::S32 if t => 0xffff_ffff,
        M::F32 | M::F16 | M::Bf16 | M::U16 | M::S16 | M::U32 | M::S32 => 0,
        _ => return Err(form.unsupported()),
    };
    Ok(value.into())
}

fn test(form: &Form, a: u64) -> Result<bool, Unsupported> {
    let ty = form.scalar()?;
    let format = format_of(ty).ok_or_else(|| form.unsupported())?;
    let value = format.to_f64(a);
    let subnormal = format.is_subnormal(a);
    Ok(match form.modifiers.first() {
        Some(M::Finite) => value.is_finite(),
        Some(M::Infinite) => value.is_infinite(),
        Some(M::Number) => !value.is_nan(),
        Some(M::Notanumber) => value.is_nan(),
        // Zeros are.
        Some(M::Normal) => value.is_finite() && !subnormal,
        Some(M::Subnormal) => subnormal,
        _ => return Err(form.unsupported()),
    })
}

/// `slct d, a, b, c`: a if c is at least 0, else b; a NaN selects b, and with `.ftz` a negative subnormal is a zero.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn select(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let first = match form.source_type {
        Some(M::S32) => operands[2] as u32 as i32 >= 0,
        Some(M::F32) => {
            let c = if form.ftz {
                super::softfloat::F32.flush(operands[2])
            } else {
                operands[2]
            };
            f32::from_bits(c as u32) >= 0.0
        }
        _ => return Err(form.unsupported()),
    };
    Ok(truncate(
        if first { operands[0] } else { operands[1] },
        width(form.scalar()?),
    ))
}
