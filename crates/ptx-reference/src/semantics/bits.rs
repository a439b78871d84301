//! Logic, shifts and bit fields (PTX ISA, "Logic and Shift Instructions", and the bit instructions among the integer
//! ones).

use super::{sign_extend, truncate, width, Form, Output, Unsupported};
use ptx::{Modifier, Opcode};

/// Logic, shifts, bit fields, counts and permutations.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn evaluate(form: &Form, operands: &[u64]) -> Result<Output, Unsupported> {
    let ty = form.scalar()?;
    let bits = width(ty);
    let signed = ty.is_signed();
    let a = truncate(operands[0], bits);
    let word = |i: usize| operands[i] as u32;
    let value = match form.opcode {
        Opcode::And => a & operands[1],
        Opcode::Or => a | operands[1],
        Opcode::Xor => a ^ operands[1],
        Opcode::Not => !a,
        Opcode::Cnot => u64::from(a == 0),
        Opcode::Lop3 => return lop3(form, operands),
        Opcode::Shl => shift_left(a, word(1)),
        Opcode::Shr if signed => (sign_extend(a, bits) >> word(1).min(63)) as u64,
        Opcode::Shr => a.checked_shr(word(1)).unwrap_or(0),
        Opcode::Shf => funnel_shift(form, word(0), word(1), word(2)).into(),
        Opcode::Prmt => permute(form, word(0), word(1), word(2)).into(),
        Opcode::Popc => a.count_ones().into(),
        Opcode::Clz => u64::from(a.leading_zeros() - (64 - bits)),
        Opcode::Bfind => find(form, a, bits, signed).into(),
        Opcode::Fns => find_nth_set(word(0), word(1), operands[2] as i32).into(),
        Opcode::Brev => a.reverse_bits() >> (64 - bits),
        Opcode::Bfe => extract(a, word(1) & 0xff, word(2) & 0xff, bits, signed),
        Opcode::Bfi => insert(
            a,
            truncate(operands[1], bits),
            word(2) & 0xff,
            word(3) & 0xff,
            bits,
        ),
        Opcode::Szext => extend(form, word(0), word(1), signed).into(),
        Opcode::Bmsk => mask(form, word(0), word(1)).into(),
        _ => return Err(form.unsupported()),
    };
    let result_bits = match form.opcode {
        Opcode::Popc | Opcode::Clz | Opcode::Bfind => 32,
        _ => bits,
    };
    Ok(truncate(value, result_bits).into())
}

fn shift_left(value: u64, amount: u32) -> u64 {
    value.checked_shl(amount).unwrap_or(0)
}

/// `lop3`: the truth table `operands[3]`, where 0xF0 is a, 0xCC is b and 0xAA is c. The form with a predicate combines
/// "the result is not zero" with it.
fn lop3(form: &Form, operands: &[u64]) -> Result<Output, Unsupported> {
    let (a, b, c) = (operands[0] as u32, operands[1] as u32, operands[2] as u32);
    let table = operands[3] as u32;
    let value = (0..8)
        .filter(|row| table >> row & 1 == 1)
        .map(|row| {
            let pick = |x: u32, bit: u32| if row >> bit & 1 == 1 { x } else { !x };
            pick(a, 2) & pick(b, 1) & pick(c, 0)
        })
        .fold(0, |all, term| all | term);
    let nonzero = value != 0;
    let second = match operands.get(4) {
        None => None,
        Some(&q) if form.has(Modifier::BoolOr) || form.has(Modifier::Or) => {
            Some(nonzero | (q != 0))
        }
        Some(&q) if form.has(Modifier::BoolAnd) || form.has(Modifier::And) => {
            Some(nonzero & (q != 0))
        }
        Some(_) => return Err(form.unsupported()),
    };
    Ok(Output {
        value: value.into(),
        second: second.map(u64::from),
        carry: None,
    })
}

fn funnel_shift(form: &Form, a: u32, b: u32, c: u32) -> u32 {
    let amount = if form.wrap { c & 31 } else { c.min(32) };
    let both = u64::from(b) << 32 | u64::from(a);
    if form.left {
        ((both << amount) >> 32) as u32
    } else {
        (both >> amount) as u32
    }
}

fn permute(form: &Form, a: u32, b: u32, c: u32) -> u32 {
    let bytes: Vec<u8> = a.to_le_bytes().into_iter().chain(b.to_le_bytes()).collect();
    let at = (c & 3) as usize;
    let select: [usize; 4] = match form.modifiers.iter().find(|m| !m.is_type()) {
        Some(Modifier::F4e) => [at, at + 1, at + 2, at + 3],
        Some(Modifier::B4e) => [at, (at + 7) % 8, (at + 6) % 8, (at + 5) % 8],
        Some(Modifier::Rc8) => [at; 4],
        Some(Modifier::Ecl) => [at, at.max(1), at.max(2), at.max(3)],
        Some(Modifier::Ecr) => [0, at.min(1), at.min(2), at],
        Some(Modifier::Rc16) => {
            let half = (at & 1) * 2;
            [half, half + 1, half, half + 1]
        }
        _ => {
            return u32::from_le_bytes(std::array::from_fn(|i| {
                let control = c >> (4 * i) & 0xf;
                let byte = bytes[(control & 7) as usize];
                if control & 8 == 0 {
                    byte
                } else {
                    (byte as i8 >> 7) as u8
                }
            }));
        }
    };
    u32::from_le_bytes(std::array::from_fn(|i| bytes[select[i]]))
}

/// `bfind`: the position of the most significant bit that is not a sign bit, or all ones; with `.shiftamt` the
/// shift that would bring it to the top.
fn find(form: &Form, a: u64, bits: u32, signed: bool) -> u32 {
    let a = if signed && sign_extend(a, bits) < 0 {
        truncate(!a, bits)
    } else {
        a
    };
    if a == 0 {
        return u32::MAX;
    }
    let position = 63 - a.leading_zeros();
    if form.has(Modifier::Shiftamt) {
        bits - 1 - position
    } else {
        position
    }
}

fn find_nth_set(mask: u32, base: u32, offset: i32) -> u32 {
    let set = |position: i64| (0..32).contains(&position) && mask >> position & 1 == 1;
    if offset == 0 {
        return if set(base.into()) { base } else { u32::MAX };
    }
    let step = i64::from(offset.signum());
    let mut left = offset.unsigned_abs();
    let mut position = i64::from(base);
    while (0..32).contains(&position) {
        if set(position) {
            left -= 1;
            if left == 0 {
                return position as u32;
            }
        }
        position += step;
    }
    u32::MAX
}

fn extract(a: u64, position: u32, length: u32, bits: u32, signed: bool) -> u64 {
    if length == 0 {
        return 0;
    }
    let sign_at = (position + length - 1).min(bits - 1);
    let field = a.checked_shr(position).unwrap_or(0);
    if signed && a >> sign_at & 1 == 1 {
        // Above the field, and above the end of `a`, the sign is repeated.
        let valid = length.min(bits.saturating_sub(position));
        field | shift_left(u64::MAX, valid)
    } else {
        truncate(field, length)
    }
}

fn insert(a: u64, b: u64, position: u32, length: u32, bits: u32) -> u64 {
    let field = truncate(u64::MAX, length);
    let field = truncate(shift_left(field, position), bits);
    b & !field | shift_left(a, position) & field
}

fn extend(form: &Form, a: u32, b: u32, signed: bool) -> u32 {
    if b >= 32 && !form.wrap {
        return a;
    }
    match b & 31 {
        0 => 0,
        n if signed => ((a << (32 - n)) as i32 >> (32 - n)) as u32,
        n => a & ((1 << n) - 1),
    }
}

fn mask(form: &Form, a: u32, b: u32) -> u32 {
    if !form.wrap && a >= 32 {
        return 0;
    }
    let from = u32::MAX << (a & 31);
    let length = if !form.wrap && b >= 32 { 32 } else { b & 31 };
    let end = (a & 31) + length;
    from & if end >= 32 {
        u32::MAX
    } else {
        !(u32::MAX << end)
    }
}
