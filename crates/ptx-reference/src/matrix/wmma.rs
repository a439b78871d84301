//! Fragments of `wmma`. Which lane holds which element is not specified by PTX; here a fragment is made of tiles that
//! each lie as the fragments of `mma.sync` do (see [`super::fragment`]), one tile after the other: A in tiles of 16 rows,
//! B in tiles of 8 columns. For `.m8n32k16` all is transposed, so that B makes the tiles of 16. Accumulators have one tile
//! for each pair of those. Registers beyond the elements (half precision always has eight) repeat the first ones.
//!
//! Element `i` of an accumulator is at the same place whatever its type, so that code may convert fragments element by
//! element.

use super::fragment::Shape;
use crate::semantics::Form;
use ptx::{Modifier as M, ScalarType};

/// Which operand of the multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// m by k
    A,
    /// k by n
    B,
    /// m by n
    C,
}

/// An operand's matrix as it lies in registers and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    rows: usize,
    columns: usize,
    element: ScalarType,
    row_major: bool,
    registers: usize,
    operand: Operand,
    /// Whether the roles of A and B are exchanged.
    transposed: bool,
}

impl Fragment {
    /// The fragment of a `wmma.load` or `wmma.store`.
    pub fn of(form: &Form) -> Option<Fragment> {
        let operand = form.modifiers.iter().find_map(|m| {
            Some(match m {
                M::A => Operand::A,
                M::B => Operand::B,
                M::C | M::D => Operand::C,
                _ => return None,
            })
        })?;
        let shape = form.modifiers.iter().find_map(|m| Shape::of(*m))?;
        Some(Fragment::new(operand, shape, form.ty?, form.has(M::Row)))
    }

    /// The fragment of an operand; `row_major` says how it lies in memory.
    pub fn new(operand: Operand, shape: Shape, element: ScalarType, row_major: bool) -> Fragment {
        let (rows, columns) = match operand {
            Operand::A => (shape.m, shape.k),
            Operand::B => (shape.k, shape.n),
            Operand::C => (shape.m, shape.n),
        };
        let bits = if element == M::B1 {
            1
        } else {
            crate::semantics::width(element) as usize
        };
        let per = (32 / bits).max(1);
        // Half-precision multiplicands are in eight registers whatever the shape.
        let registers = match (operand, element) {
            (Operand::A | Operand::B, M::F16) => 8,
            _ => (rows * columns / 32 / per).max(1),
        };
        Fragment {
            rows,
            columns,
            element,
            row_major,
            registers,
            operand,
            transposed: shape.n == 32,
        }
    }

    /// The type of an element.
    pub fn element(&self) -> ScalarType {
        self.element
    }

    /// Bits of an element.
    pub fn bits(&self) -> usize {
        if self.element == M::B1 {
            1
        } else {
            crate::semantics::width(self.element) as usize
        }
    }

    fn per_register(&self) -> usize {
        (32 / self.bits()).max(1)
    }

    /// Registers in each lane.
    pub fn registers_per_lane(&self) -> usize {
        self.registers
    }

    /// Elements in each lane.
    pub fn elements_per_lane(&self) -> usize {
        self.registers * self.per_register()
    }

    /// Bytes that hold an element in memory. Elements below a byte share one, the first in its low bits.
    pub fn element_bytes(&self) -> u64 {
        (self.bits() as u64).div_ceil(8)
    }

    /// Row and column of element `i` of a lane.
    pub fn position(&self, lane: usize, i: usize) -> (usize, usize) {
        let (g, t) = (lane / 4, lane % 4);
        let i = i % (self.rows * self.columns / 32);
        let swap = |(a, b): (usize, usize)| if self.transposed { (b, a) } else { (a, b) };
        // The operand with the tiles of up to 16 rows is B where all is transposed.
        let (rows, columns) = swap((self.rows, self.columns));
        if self.operand == Operand::C {
            let halves = rows.min(16) / 8;
            let (tile, w) = (i / (2 * halves), i % (2 * halves));
            let (row, column) = (g + 8 * (w / 2), 2 * t + w % 2);
            return swap(if rows > 16 {
                (row + 16 * tile, column)
            } else {
                (row, column + 8 * tile)
            });
        }
        let per = self.per_register();
        let (register, j) = (i / per, i % per);
        if (self.operand == Operand::A) != self.transposed {
            let (halves, groups) = (rows.min(16) / 8, columns / (4 * per));
            let (tile, w) = (register / (halves * groups), register % (halves * groups));
            let row = 16 * tile + 8 * (w % halves) + g;
            swap((row, per * (4 * (w / halves) + t) + j))
        } else {
            let groups = rows / (4 * per);
            let (tile, q) = (register / groups, register % groups);
            swap((per * (4 * q + t) + j, 8 * tile + g))
        }
    }

    /// The place of an element in memory, in elements.
    pub fn offset(&self, row: usize, column: usize, stride: u64) -> u64 {
        if self.row_major {
            row as u64 * stride + column as u64
        } else {
            column as u64 * stride + row as u64
        }
    }

    /// The stride of a matrix without gaps.
    pub fn default_stride(&self) -> u64 {
        if self.row_major {
            self.columns as u64
        } else {
            self.rows as u64
        }
    }

    /// The elements of a lane's registers.
    pub fn unpack(&self, registers: &[u64]) -> Vec<u64> {
        let (per, bits) = (self.per_register(), self.bits());
        registers
            .iter()
            .flat_map(|r| {
                (0..per).map(move |j| crate::semantics::truncate(r >> (j * bits), bits as u32))
            })
            .collect()
    }

    /// The registers that hold a lane's elements.
    pub fn pack(&self, elements: &[u64]) -> Vec<u64> {
        let bits = self.bits();
        elements
            .chunks(self.per_register())
            .map(|chunk| {
                chunk.iter().enumerate().fold(0, |register, (j, &e)| {
                    register | crate::semantics::truncate(e, bits as u32) << (j * bits)
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every element is held by some lane, and as often as by any other.
    #[test]
    fn fragments_cover_matrices() {
        let cases = [
            (M::M16n16k16, vec![M::F16, M::Bf16, M::S8, M::U8]),
            (M::M32n8k16, vec![M::F16, M::Bf16, M::S8, M::U8]),
            (M::M8n32k16, vec![M::F16, M::Bf16, M::S8, M::U8]),
            (M::M16n16k8, vec![M::Tf32]),
            (M::M8n8k4, vec![M::F64]),
            (M::M8n8k32, vec![M::S4, M::U4]),
            (M::M8n8k128, vec![M::B1]),
        ];
        for (shape, types) in cases {
            let shape = Shape::of(shape).unwrap();
            for ty in types {
                for operand in [Operand::A, Operand::B, Operand::C] {
                    let ty = if operand == Operand::C { M::S32 } else { ty };
                    let f = Fragment::new(operand, shape, ty, true);
                    let mut seen = vec![0; f.rows * f.columns];
                    for lane in 0..32 {
                        for i in 0..f.elements_per_lane() {
                            let (row, column) = f.position(lane, i);
                            seen[row * f.columns + column] += 1;
                        }
                    }
                    let times = 32 * f.elements_per_lane() / seen.len();
                    assert!(
                        seen.iter().all(|&n| n == times),
                        "{shape:?} {ty} {operand:?}"
                    );
                }
            }
        }
    }
}
