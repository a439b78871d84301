//! Packed types, dot products of packed integers, and the video instructions (PTX ISA, "Video Instructions").

use super::{compare, float, integer, sign_extend, truncate, width, Form, Output, Unsupported};
use ptx::{Modifier as M, Opcode as O, ScalarType};

/// The scalar instruction on each element of packed operands.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn lanes(
    form: &Form,
    element: ScalarType,
    count: u32,
    operands: &[u64],
) -> Result<Output, Unsupported> {
    if matches!(form.opcode, O::Set | O::Setp | O::Testp) {
        return compare::evaluate(form, operands);
    }
    let bits = width(element);
    let scalar = (!element.is_float()).then(|| Form {
        ty: Some(element),
        source_type: Some(element),
        ..form.clone()
    });
    let mut value = 0;
    for lane in 0..count {
        let parts: smallvec::SmallVec<[u64; 4]> = operands
            .iter()
            .map(|v| truncate(v >> (lane * bits), bits))
            .collect();
        let part = match (&scalar, form.opcode) {
            (None, _) => float::element(form, element, &parts)?,
            (Some(scalar), O::Add | O::Sub) => integer::arithmetic(scalar, &parts, false)?.value,
            (Some(scalar), O::Min | O::Max | O::Neg) => integer::evaluate(scalar, &parts)?,
            _ => return Err(form.unsupported()),
        };
        value |= part << (lane * bits);
    }
    Ok(value.into())
}

/// `dp4a` and `dp2a`: the sum wraps at 32 bits.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn dot(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let (Some(a_type), Some(b_type)) = (form.ty, form.source_type) else {
        return Err(form.unsupported());
    };
    let (count, a_bits, b_offset) = match form.opcode {
        O::Dp4a => (4, 8, 0),
        _ => (2, 16, if form.hi { 2 } else { 0 }),
    };
    let part = |value: u64, index: u32, bits: u32, ty: ScalarType| {
        let part = truncate(value >> (index * bits), bits);
        if ty.is_signed() {
            sign_extend(part, bits)
        } else {
            part as i64
        }
    };
    let sum: i64 = (0..count)
        .map(|i| part(operands[0], i, a_bits, a_type) * part(operands[1], i + b_offset, 8, b_type))
        .sum();
    Ok(truncate((operands[2] as i64).wrapping_add(sum) as u64, 32))
}

/// The video instructions without byte and half selectors: `vadd`, `vsub`, `vabsdiff`, `vmin`, `vmax`, `vshl`, `vshr`,
/// `vset` on whole words, and the two- and four-way forms with default selectors and mask.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn video(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let types: Vec<ScalarType> = form
        .modifiers
        .iter()
        .copied()
        .filter(|m| m.is_type())
        .collect();
    let sets = matches!(form.opcode, O::Vset | O::Vset2 | O::Vset4);
    let (d_type, a_type, b_type) = match types[..] {
        [a, b] if sets => (M::U32, a, b),
        [d, a, b] if !sets => (d, a, b),
        _ => return Err(form.unsupported()),
    };
    let selectors = [M::B0, M::B1, M::B2, M::B3, M::H0, M::H1];
    if form.modifiers.iter().any(|m| selectors.contains(m)) {
        return Err(form.unsupported());
    }
    let ways = match form.opcode {
        O::Vadd | O::Vsub | O::Vabsdiff | O::Vmin | O::Vmax | O::Vshl | O::Vshr | O::Vset => 1,
        O::Vadd2 | O::Vsub2 | O::Vavrg2 | O::Vabsdiff2 | O::Vmin2 | O::Vmax2 | O::Vset2 => 2,
        _ => 4,
    };
    let bits = 32 / ways;
    let part = |value: u64, index: u32, ty: ScalarType| -> i64 {
        let part = truncate(value >> (index * bits), bits);
        if ty.is_signed() {
            sign_extend(part, bits)
        } else {
            part as i64
        }
    };
    let c = operands.get(2).copied();
    let second = form
        .modifiers
        .iter()
        .find(|m| matches!(m, M::AddMod | M::MinMod | M::MaxMod));
    let mut value = 0;
    let mut sum = c.unwrap_or(0) as i64;
    for i in 0..ways {
        let (a, b) = (part(operands[0], i, a_type), part(operands[1], i, b_type));
        let mut t = match form.opcode {
            O::Vadd | O::Vadd2 | O::Vadd4 => a + b,
            O::Vsub | O::Vsub2 | O::Vsub4 => a - b,
            O::Vabsdiff | O::Vabsdiff2 | O::Vabsdiff4 => (a - b).abs(),
            O::Vmin | O::Vmin2 | O::Vmin4 => a.min(b),
            O::Vmax | O::Vmax2 | O::Vmax4 => a.max(b),
            O::Vavrg2 | O::Vavrg4 => (a + b + i64::from(a + b >= 0)) >> 1,
            O::Vshl | O::Vshr => {
                let amount = if form.wrap { b & 31 } else { b.clamp(0, 32) };
                if form.opcode == O::Vshl {
                    a << amount
                } else {
                    a >> amount
                }
            }
            O::Vset | O::Vset2 | O::Vset4 => {
                let comparison = form.modifiers.iter().find_map(|m| {
                    Some(match m {
                        M::Eq => a == b,
                        M::Ne => a != b,
                        M::Lt => a < b,
                        M::Le => a <= b,
                        M::Gt => a > b,
                        M::Ge => a >= b,
                        _ => return None,
                    })
                });
                i64::from(comparison.ok_or_else(|| form.unsupported())?)
            }
            _ => return Err(form.unsupported()),
        };
        if form.sat {
            t = if d_type.is_signed() {
                t.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            } else {
                t.clamp(0, (1 << bits) - 1)
            };
        }
        sum = sum.wrapping_add(t);
        value |= truncate(t as u64, bits) << (i * bits);
    }
    Ok(match (second, c) {
        (None, _) => value,
        (Some(M::AddMod), Some(_)) => truncate(sum as u64, 32),
        (Some(m), Some(c)) if ways == 1 => {
            let signed = d_type.is_signed();
            let as_number = |v: u64| {
                if signed {
                    sign_extend(v, 32)
                } else {
                    truncate(v, 32) as i64
                }
            };
            let (t, c) = (as_number(value), as_number(c));
            truncate(if *m == M::MinMod { t.min(c) } else { t.max(c) } as u64, 32)
        }
        _ => return Err(form.unsupported()),
    })
}
