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

/// How a part of an operand that is not a whole register lies in it: its first bit, and how many bits it has.
fn place(selector: Option<ptx::Selector>) -> (u32, u32) {
    match selector {
        None => (0, 32),
        Some(s) => {
            let bits = if s.halves { 16 } else { 8 };
            (u32::from(s.places()[0]) * bits, bits)
        }
    }
}

/// Bits of a word as a number.
fn extract(word: u64, at: u32, bits: u32, ty: ScalarType) -> i64 {
    let part = truncate(word >> at, bits);
    if ty.is_signed() {
        sign_extend(part, bits)
    } else {
        part as i64
    }
}

fn limited(t: i64, signed: bool, bits: u32) -> i64 {
    if signed {
        t.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        t.clamp(0, (1 << bits) - 1)
    }
}

/// `vmad`, in 128 bits as the PTX ISA has it.
fn video_multiply(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let types: Vec<ScalarType> = form
        .modifiers
        .iter()
        .copied()
        .filter(|m| m.is_type())
        .collect();
    let ([_, a_type, b_type], [a, b, c]) = (&types[..], operands) else {
        return Err(form.unsupported());
    };
    let [_, pa, pb, pc] = form.parts;
    let [(a_at, a_bits), (b_at, b_bits)] = [pa, pb].map(|p| place(p.selector));
    let a = extract(*a, a_at, a_bits, *a_type);
    let b = extract(*b, b_at, b_bits, *b_type);
    let minus = pa.negated != pb.negated;
    let signed = a_type.is_signed() || b_type.is_signed() || minus || pc.negated;
    let ty = if signed { M::S32 } else { M::U32 };
    let mut c = i128::from(extract(*c, 0, 32, ty));
    let mut product = i128::from(a) * i128::from(b);
    if form.modifiers.contains(&M::Po) {
        c += 1;
    } else if minus {
        product = -product;
    } else if pc.negated {
        c = -c;
    }
    let shift = match form
        .modifiers
        .iter()
        .find(|m| matches!(m, M::Shr7 | M::Shr15))
    {
        Some(M::Shr7) => 7,
        Some(_) => 15,
        None => 0,
    };
    let result = (product + c) >> shift;
    Ok(truncate(
        match (form.sat, signed) {
            (false, _) => result,
            (true, true) => result.clamp(i32::MIN.into(), i32::MAX.into()),
            (true, false) => result.clamp(0, u32::MAX.into()),
        } as u64,
        32,
    ))
}

/// The video instructions (PTX ISA, "Scalar Video Instructions", "SIMD Video Instructions").
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn video(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    if form.opcode == O::Vmad {
        return video_multiply(form, operands);
    }
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
    let ways = u32::from(form.opcode.video_ways().ok_or_else(|| form.unsupported())?);
    let [d_part, a_part, b_part, _] = form.parts.map(|part| part.selector);
    let c = operands.get(2).copied();
    let second = form
        .modifiers
        .iter()
        .find(|m| matches!(m, M::AddMod | M::MinMod | M::MaxMod));
    let operation = |a: i64, b: i64| -> Result<i64, Unsupported> {
        Ok(match form.opcode {
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
            _ => {
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
        })
    };
    if ways == 1 {
        let [(at, bits), (a_at, a_bits), (b_at, b_bits)] = [d_part, a_part, b_part].map(place);
        let mut t = operation(
            extract(operands[0], a_at, a_bits, a_type),
            extract(operands[1], b_at, b_bits, b_type),
        )?;
        if form.sat {
            t = limited(t, d_type.is_signed(), bits);
        }
        let value = truncate(t as u64, 32);
        let whole = if d_type.is_signed() { M::S32 } else { M::U32 };
        return Ok(match (second, d_part, c) {
            (None, None, _) => value,
            // Into the part of the third source.
            (None, Some(_), Some(c)) => {
                let mask = truncate(u64::MAX, bits) << at;
                truncate(c & !mask | value << at & mask, 32)
            }
            (Some(M::AddMod), None, Some(c)) => truncate(value.wrapping_add(c), 32),
            (Some(m), None, Some(c)) => {
                let [t, c] = [value, c].map(|v| extract(v, 0, 32, whole));
                truncate(if *m == M::MinMod { t.min(c) } else { t.max(c) } as u64, 32)
            }
            _ => return Err(form.unsupported()),
        });
    }
    let bits = 32 / ways;
    let c = c.ok_or_else(|| form.unsupported())?;
    // Parts of both sources, those of the second after those of the first.
    let pair = truncate(operands[0], 32) | truncate(operands[1], 32) << 32;
    let chosen = |selector: Option<ptx::Selector>, first: u32, n: u32, ty| {
        let place = selector.map_or(first + n, |s| s.places()[n as usize].into());
        extract(pair, place * bits, bits, ty)
    };
    let (mut value, mut sum) = (0, c as i64);
    for n in 0..ways {
        let mut t = operation(
            chosen(a_part, 0, n, a_type),
            chosen(b_part, ways, n, b_type),
        )?;
        if form.sat {
            t = limited(t, d_type.is_signed(), bits);
        }
        let is_written = d_part.is_none_or(|mask| mask.places().contains(&(n as u8)));
        if is_written {
            sum = sum.wrapping_add(t);
            value |= truncate(t as u64, bits) << (n * bits);
        } else {
            value |= c & truncate(u64::MAX, bits) << (n * bits);
        }
    }
    match second {
        None => Ok(truncate(value, 32)),
        Some(M::AddMod) => Ok(truncate(sum as u64, 32)),
        Some(_) => Err(form.unsupported()),
    }
}
