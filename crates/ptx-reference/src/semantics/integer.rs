//! Integer arithmetic (PTX ISA, "Integer Arithmetic Instructions" and "Extended-Precision Integer Arithmetic
//! Instructions").

use super::{doubled, sign_extend, truncate, width, Form, Output, Unsupported};
use ptx::{Opcode, ScalarType};

/// The value of an operand, by the signedness of its type.
fn number(value: u64, ty: ScalarType) -> i128 {
    if ty.is_signed() {
        sign_extend(value, width(ty)).into()
    } else {
        truncate(value, width(ty)).into()
    }
}

/// The range of an integer type.
fn range(ty: ScalarType) -> (i128, i128) {
    let bits = width(ty);
    if ty.is_signed() {
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    } else {
        (0, (1 << bits) - 1)
    }
}

/// `add`, `sub`, `mul`, `mad` and their forms with `.cc` and carry-in.
///
/// The ISA calls what `sub.cc` writes and `subc` takes a borrow, and does not say how the two kinds mix. GPUs have one flag, the
/// carry of `a + !b + 1`: set where nothing is borrowed, which `addc` sees after `sub.cc`, and `subc` after `add.cc`.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn arithmetic(form: &Form, operands: &[u64], carry: bool) -> Result<Output, Unsupported> {
    let ty = form.scalar()?;
    let bits = width(ty);
    let carry_in = i128::from(carry);
    let (a, b) = (number(operands[0], ty), number(operands[1], ty));
    // The unsigned value of the operands, from which the carry out of the top bit is seen.
    let unsigned = |value: u64| i128::from(truncate(value, bits));
    let carry_out;
    let result = match form.opcode {
        Opcode::Add | Opcode::Addc => {
            let carry_in = if form.opcode == Opcode::Addc {
                carry_in
            } else {
                0
            };
            carry_out = (unsigned(operands[0]) + unsigned(operands[1]) + carry_in) >> bits != 0;
            a + b + carry_in
        }
        Opcode::Sub | Opcode::Subc => {
            let borrow = i128::from(form.opcode == Opcode::Subc && !carry);
            carry_out = unsigned(operands[0]) - unsigned(operands[1]) - borrow >= 0;
            a - b - borrow
        }
        Opcode::Mul if form.wide => return Ok(truncate((a * b) as u64, bits * 2).into()),
        // The product of two unsigned 64-bit numbers needs all 128 bits; as bits, the wrapped product is right.
        Opcode::Mul if form.hi => {
            return Ok(truncate((product(a, b, ty) >> bits) as u64, bits).into())
        }
        Opcode::Mul => return Ok(truncate(product(a, b, ty) as u64, bits).into()),
        Opcode::Mad | Opcode::Madc => {
            let carry_in = if form.opcode == Opcode::Madc {
                carry_in
            } else {
                0
            };
            if form.wide {
                let c = number(operands[2], doubled(ty));
                return Ok(truncate(a.wrapping_mul(b).wrapping_add(c) as u64, bits * 2).into());
            }
            let full = product(a, b, ty);
            let part = truncate(if form.hi { full >> bits } else { full } as u64, bits);
            carry_out = (i128::from(part) + unsigned(operands[2]) + carry_in) >> bits != 0;
            let sum = number(part, ty) + number(operands[2], ty) + carry_in;
            if form.sat {
                let (low, high) = range(ty);
                return Ok(truncate(sum.clamp(low, high) as u64, bits).into());
            }
            sum
        }
        _ => return Err(form.unsupported()),
    };
    let result = if form.sat {
        let (low, high) = range(ty);
        result.clamp(low, high)
    } else {
        result
    };
    Ok(Output {
        value: truncate(result as u64, bits),
        second: None,
        carry: form.carry_out.then_some(carry_out),
    })
}

/// The double-width product as a bit pattern; for signed types sign-extended.
fn product(a: i128, b: i128, ty: ScalarType) -> i128 {
    if ty.is_signed() || width(ty) < 64 {
        a * b
    } else {
        (a as u128).wrapping_mul(b as u128) as i128
    }
}

/// The other integer instructions with one result.
///
/// Division by zero has an unspecified result in PTX; here it is all ones, and the remainder is the dividend, as on
/// NVIDIA's hardware. The quotient of the most negative number and -1 wraps to the most negative number.
///
/// # Errors
/// [`Unsupported`] for an unknown form.
pub fn evaluate(form: &Form, operands: &[u64]) -> Result<u64, Unsupported> {
    let ty = form.scalar()?;
    let bits = width(ty);
    let n = |i: usize| number(operands[i], ty);
    let result = match form.opcode {
        Opcode::Div | Opcode::Rem => {
            let (a, b) = (n(0), n(1));
            match (form.opcode, b) {
                (Opcode::Div, 0) => -1,
                (_, 0) => a,
                (Opcode::Div, _) => a / b,
                _ => a % b,
            }
        }
        Opcode::Abs => n(0).abs(),
        Opcode::Neg => -n(0),
        Opcode::Min => relu(form, n(0).min(n(1))),
        Opcode::Max => relu(form, n(0).max(n(1))),
        Opcode::Sad => number(operands[2], ty) + (n(0) - n(1)).abs(),
        Opcode::Mul24 | Opcode::Mad24 => {
            let part = |i: usize| -> i128 {
                if ty.is_signed() {
                    sign_extend(operands[i], 24).into()
                } else {
                    truncate(operands[i], 24).into()
                }
            };
            let product = part(0) * part(1);
            // .hi is the upper 32 bits of the 48-bit product.
            let product = if form.hi { product >> 16 } else { product };
            let product = number(truncate(product as u64, 32), ty);
            if form.opcode == Opcode::Mul24 {
                product
            } else if form.sat {
                let (low, high) = range(ty);
                (product + n(2)).clamp(low, high)
            } else {
                product + n(2)
            }
        }
        _ => return Err(form.unsupported()),
    };
    Ok(truncate(result as u64, bits))
}

fn relu(form: &Form, value: i128) -> i128 {
    if form.relu {
        value.max(0)
    } else {
        value
    }
}
