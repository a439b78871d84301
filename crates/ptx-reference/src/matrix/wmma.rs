//! Fragments of `wmma`. Which lane holds which element is not specified by PTX; here lane `l` of a fragment with `n`
//! elements in each lane holds elements `n l` to `n l + n - 1` of the matrix in row-major order, over and over where lanes
//! hold more elements than there are.

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
        let index = (lane * self.elements_per_lane() + i) % (self.rows * self.columns);
        (index / self.columns, index % self.columns)
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
