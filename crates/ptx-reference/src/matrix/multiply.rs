//! `mma.sync` and `wmma.mma`: D = A B + C.
//!
//! Integer results are exact. Floating-point sums are done in double precision, where products of the narrow types are
//! exact, and rounded once; hardware sums in another order and with less care, so results are to be compared with a
//! tolerance.

use super::fragment::{quad_pair, Shape};
use super::wmma::{Fragment, Operand};
use crate::semantics::{format_of, sign_extend, softfloat, truncate, width, Form};
use ptx::{Modifier as M, Opcode as O, ScalarType};

/// A dense matrix of values; integers are exact in `f64` up to 2^53.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix {
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// The element.
    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    /// Changes an element.
    pub fn set(&mut self, (row, column): (usize, usize), value: f64) {
        self.values[row * self.columns + column] = value;
    }
}

/// The value of an element's bits.
pub fn decode(bits: u64, ty: ScalarType) -> Option<f64> {
    Some(match ty {
        M::B1 => (bits & 1) as f64,
        _ if ty.is_signed() => sign_extend(bits, width(ty)) as f64,
        M::U4 | M::U8 | M::U32 => truncate(bits, width(ty)) as f64,
        _ => format_of(ty)?.to_f64(bits),
    })
}

/// The bits of an element's value.
pub fn encode(value: f64, ty: ScalarType, saturate: bool) -> Option<u64> {
    Some(match ty {
        M::S32 if saturate => value.clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32 as u64,
        M::S32 => truncate(value as i64 as u64, 32),
        _ => format_of(ty)?.from_f64(value),
    })
}

/// The bits that an element takes in a register.
fn bits_of(ty: ScalarType) -> usize {
    match ty {
        M::B1 => 1,
        M::E2m1 | M::E3m2 | M::E2m3 => 8,
        _ => width(ty) as usize,
    }
}

/// The types of D, A, B and C.
struct Types {
    d: ScalarType,
    a: ScalarType,
    b: ScalarType,
    c: ScalarType,
}

fn types(form: &Form) -> Option<Types> {
    let list: Vec<ScalarType> = form
        .modifiers
        .iter()
        .copied()
        .filter(|m| m.is_type())
        .collect();
    Some(match list[..] {
        [d, a, b, c] => Types { d, a, b, c },
        // `wmma.mma` in half precision names only D and C.
        [d, c] => Types {
            d,
            a: M::F16,
            b: M::F16,
            c,
        },
        _ => return None,
    })
}

/// D's registers of each lane, from the registers of A, B and C (in that order) of each lane. A lane without sources
/// counts as zeros.
pub fn execute(form: &Form, lanes: &[Vec<u64>]) -> Option<Vec<Vec<u64>>> {
    let types = types(form)?;
    // Block-scaled forms have other operands.
    if form.has(M::BlockScale) {
        return None;
    }
    let shape = form.modifiers.iter().find_map(|m| Shape::of(*m))?;
    let sparse = form.has(M::Sp) || form.has(M::SpOrdered);
    if form.opcode == O::Wmma {
        return wmma(form, shape, &types, lanes);
    }
    if shape == (Shape { m: 8, n: 8, k: 4 }) && types.a == M::F16 {
        return quad_pairs(form, &types, lanes);
    }
    if shape.n != 8 {
        return None;
    }
    let (a_bits, b_bits) = (bits_of(types.a), bits_of(types.b));
    let (a_per, b_per) = ((32 / a_bits).max(1), (32 / b_bits).max(1));
    // Of a sparse A there is half.
    let a_shape = Shape {
        k: if sparse { shape.k / 2 } else { shape.k },
        ..shape
    };
    let (a_count, b_count) = (a_shape.a_registers(a_per), shape.b_registers(b_per));
    let c_per = (32 / bits_of(types.c)).max(1);
    let d_per = (32 / bits_of(types.d)).max(1);
    let elements = shape.m * shape.n / 32;
    let c_count = elements / c_per;
    let mut a = Matrix::zeros(shape.m, a_shape.k);
    let mut b = Matrix::zeros(shape.k, shape.n);
    let mut c = Matrix::zeros(shape.m, shape.n);
    for (lane, registers) in lanes.iter().enumerate() {
        if registers.is_empty() {
            continue;
        }
        // The metadata and the selector are the last two.
        if registers.len() != a_count + b_count + c_count + if sparse { 2 } else { 0 } {
            return None;
        }
        let (of_a, rest) = registers.split_at(a_count);
        let (of_b, rest) = rest.split_at(b_count);
        let of_c = &rest[..c_count];
        for (r, register) in of_a.iter().enumerate() {
            for j in 0..a_per {
                let value = decode(register >> (j * a_bits), types.a)?;
                a.set(a_shape.a(lane, r, j, a_per), value);
            }
        }
        for (r, register) in of_b.iter().enumerate() {
            for j in 0..b_per {
                let value = decode(register >> (j * b_bits), types.b)?;
                b.set(shape.b(lane, r, j, b_per), value);
            }
        }
        for i in 0..elements {
            let value = decode(of_c[i / c_per] >> (i % c_per * 16), types.c)?;
            c.set(shape.accumulator(lane, i), value);
        }
    }
    if sparse {
        a = dense(&a, shape, types.a, lanes)?;
    }
    let d = multiply(form, &a, &b, &c, shape)?;
    let mut results = vec![vec![0; elements / d_per]; 32];
    for (lane, registers) in results.iter_mut().enumerate() {
        for i in 0..elements {
            let (row, column) = shape.accumulator(lane, i);
            registers[i / d_per] |=
                encode(d.at(row, column), types.d, form.satfinite)? << (i % d_per * 16);
        }
    }
    Some(results)
}

/// The matrix that the halves of its rows and the metadata of `mma.sp` mean; `None` for a selector that the form does not
/// have.
fn dense(half: &Matrix, shape: Shape, ty: ScalarType, lanes: &[Vec<u64>]) -> Option<Matrix> {
    let bits = bits_of(ty);
    // A chunk is four elements, of which two are there. Single-precision elements come like two halves, nibbles in pairs.
    let (unit_bits, wide) = if bits >= 16 { (16, true) } else { (8, false) };
    let units = shape.k * bits / unit_bits;
    // Words of metadata: 32 bits are 16 units' places, of a row or of the same columns of two rows.
    let words = shape.m * units / 2 / 16;
    let selector = *lanes
        .iter()
        .find(|registers| !registers.is_empty())?
        .last()? as usize;
    let of_quad = words / 8;
    if selector >= 4 / of_quad {
        return None;
    }
    let place = |row: usize, unit: usize| {
        // `unit` counts those that are there.
        let (word, at) = match wide {
            true => (unit / 8, row / 8 * 8 + unit % 8),
            false => (unit / 16 * 2 + row / 8, unit % 16),
        };
        let lane = row % 8 * 4 + selector * of_quad + word;
        let registers = &lanes[lane];
        let metadata = registers.get(registers.len().wrapping_sub(2)).copied();
        (metadata.unwrap_or(0) >> (2 * at) & 3) as usize
    };
    let mut whole = Matrix::zeros(shape.m, shape.k);
    for row in 0..shape.m {
        for column in 0..shape.k / 2 {
            let first_bit = column * bits;
            // In units: where the element is within the half row, and where its chunk begins in the whole one.
            let unit = first_bit / unit_bits;
            let target = unit / 2 * 4 + place(row, unit);
            let at = target * unit_bits / bits;
            let within = if bits < unit_bits {
                first_bit % unit_bits / bits
            } else {
                0
            };
            whole.set((row, at + within), half.at(row, column));
        }
    }
    Some(whole)
}

/// A B + C, or for `.b1` the counts of `.xor.popc` and `.and.popc` plus C.
fn multiply(form: &Form, a: &Matrix, b: &Matrix, c: &Matrix, shape: Shape) -> Option<Matrix> {
    let bits = form.has(M::B1);
    if bits && !form.has(M::Xor) && !form.has(M::And) {
        return None;
    }
    let xor = bits && form.has(M::Xor);
    let mut d = Matrix::zeros(shape.m, shape.n);
    for row in 0..shape.m {
        for column in 0..shape.n {
            let mut sum = 0.0;
            for k in 0..shape.k {
                let (x, y) = (a.at(row, k), b.at(k, column));
                sum += if xor { (x - y).abs() } else { x * y };
            }
            d.set((row, column), sum + c.at(row, column));
        }
    }
    Some(d)
}

/// `mma.m8n8k4` in half precision: four multiplications, one for each quad pair.
fn quad_pairs(form: &Form, types: &Types, lanes: &[Vec<u64>]) -> Option<Vec<Vec<u64>>> {
    let mut layouts = form
        .modifiers
        .iter()
        .filter(|m| matches!(m, M::Row | M::Col));
    let (a_row, b_row) = (*layouts.next()? == M::Row, *layouts.next()? == M::Row);
    let shape = Shape { m: 8, n: 8, k: 4 };
    let c_half = types.c == M::F16;
    let d_half = types.d == M::F16;
    let half = |registers: &[u64], i: usize| decode(registers[i / 2] >> (i % 2 * 16), M::F16);
    let mut results = vec![Vec::new(); 32];
    for pair in 0..4 {
        let members = || (4 * pair..4 * pair + 4).chain(16 + 4 * pair..20 + 4 * pair);
        let mut a = Matrix::zeros(8, 4);
        let mut b = Matrix::zeros(4, 8);
        let mut c = Matrix::zeros(8, 8);
        for lane in members() {
            let registers = &lanes[lane];
            if registers.is_empty() {
                continue;
            }
            if registers.len() != 4 + if c_half { 4 } else { 8 } {
                return None;
            }
            for i in 0..4 {
                a.set(quad_pair::a(lane, i, a_row), half(&registers[..2], i)?);
                b.set(quad_pair::b(lane, i, b_row), half(&registers[2..4], i)?);
            }
            for i in 0..8 {
                let value = if c_half {
                    half(&registers[4..], i)?
                } else {
                    decode(registers[4 + i], types.c)?
                };
                c.set(quad_pair::accumulator(lane, i, c_half), value);
            }
        }
        let d = multiply(form, &a, &b, &c, shape)?;
        for lane in members() {
            let mut registers = vec![0; if d_half { 4 } else { 8 }];
            for i in 0..8 {
                let (row, column) = quad_pair::accumulator(lane, i, d_half);
                let bits = encode(d.at(row, column), types.d, false)?;
                if d_half {
                    registers[i / 2] |= bits << (i % 2 * 16);
                } else {
                    registers[i] = bits;
                }
            }
            results[lane] = registers;
        }
    }
    Some(results)
}

fn wmma(form: &Form, shape: Shape, types: &Types, lanes: &[Vec<u64>]) -> Option<Vec<Vec<u64>>> {
    let fragment = |operand, ty| Fragment::new(operand, shape, ty, true);
    let (fa, fb) = (fragment(Operand::A, types.a), fragment(Operand::B, types.b));
    let (fc, fd) = (fragment(Operand::C, types.c), fragment(Operand::C, types.d));
    let mut matrices = [
        Matrix::zeros(shape.m, shape.k),
        Matrix::zeros(shape.k, shape.n),
        Matrix::zeros(shape.m, shape.n),
    ];
    for (lane, registers) in lanes.iter().enumerate() {
        if registers.is_empty() {
            continue;
        }
        let mut rest = &registers[..];
        for (fragment, matrix) in [&fa, &fb, &fc].into_iter().zip(&mut matrices) {
            let count = fragment.registers_per_lane();
            if rest.len() < count {
                return None;
            }
            for (i, bits) in fragment.unpack(&rest[..count]).into_iter().enumerate() {
                matrix.set(
                    fragment.position(lane, i),
                    decode(bits, fragment.element())?,
                );
            }
            rest = &rest[count..];
        }
    }
    let [a, b, c] = &matrices;
    let d = multiply(form, a, b, c, shape)?;
    (0..32)
        .map(|lane| {
            let elements: Option<Vec<u64>> = (0..fd.elements_per_lane())
                .map(|i| {
                    let (row, column) = fd.position(lane, i);
                    encode(d.at(row, column), types.d, form.satfinite)
                })
                .collect();
            Some(fd.pack(&elements?))
        })
        .collect()
}

/// How far a result of a floating-point multiplication may be from the reference: the magnitudes of the terms times the
/// unit of the accumulator, for every term added.
pub fn tolerance(terms: impl Iterator<Item = f64>, accumulator: softfloat::Format) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for term in terms {
        sum += term.abs();
        count += 1.0;
    }
    sum * (count + 1.0) * 2f64.powi(-(accumulator.fraction as i32))
}
