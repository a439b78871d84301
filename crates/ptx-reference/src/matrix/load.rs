//! `ldmatrix`, `stmatrix` and `movmatrix`: 8 by 8 matrices of 16-bit elements between shared memory and the lanes.
//!
//! Lane `l` holds the elements `2 (l % 4)` and the next of row `l / 4`; transposed, of column `l / 4`.

use crate::semantics::Form;
use ptx::Modifier as M;

/// What an instruction loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Matrices: 1, 2 or 4.
    pub matrices: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// `.trans`
    pub transposed: bool,
}

impl Shape {
    /// The shape of an `ldmatrix` or `stmatrix`; `None` for those that are not 8 by 8 of `.b16`.
    pub fn of(form: &Form) -> Option<Shape> {
        let matrices = match (form.has(M::X1), form.has(M::X2), form.has(M::X4)) {
            (true, false, false) => 1,
            (false, true, false) => 2,
            (false, false, true) => 4,
            _ => return None,
        };
        (form.has(M::M8n8) && form.ty == Some(M::B16)).then_some(Shape {
            matrices,
            row_bytes: 16,
            transposed: form.has(M::Trans),
        })
    }

    /// Rows of all matrices; as many lanes give an address.
    pub fn rows(&self) -> usize {
        8 * self.matrices
    }

    /// Row (of all matrices) and column of element `j` of register `m`.
    fn position(&self, lane: usize, m: usize, j: usize) -> (usize, usize) {
        let (major, minor) = (lane / 4, lane % 4 * 2 + j);
        let (row, column) = if self.transposed {
            (minor, major)
        } else {
            (major, minor)
        };
        (8 * m + row, column)
    }
}

/// The registers of each lane, from the rows.
pub fn distribute(shape: &Shape, rows: &[Vec<u8>]) -> Vec<Vec<u64>> {
    let element = |(row, column): (usize, usize)| {
        u64::from(u16::from_le_bytes([
            rows[row][2 * column],
            rows[row][2 * column + 1],
        ]))
    };
    (0..32)
        .map(|lane| {
            (0..shape.matrices)
                .map(|m| {
                    element(shape.position(lane, m, 0)) | element(shape.position(lane, m, 1)) << 16
                })
                .collect()
        })
        .collect()
}

/// The rows, from the registers of each lane; a lane that takes no part counts as zeros.
pub fn collect(shape: &Shape, lanes: &[Vec<u64>]) -> Option<Vec<Vec<u8>>> {
    let mut rows = vec![vec![0; shape.row_bytes]; shape.rows()];
    for (lane, registers) in lanes.iter().enumerate() {
        if !registers.is_empty() && registers.len() != shape.matrices {
            return None;
        }
        for (m, register) in registers.iter().enumerate() {
            for j in 0..2 {
                let (row, column) = shape.position(lane, m, j);
                let value = (register >> (16 * j)) as u16;
                rows[row][2 * column..2 * column + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    Some(rows)
}

/// `movmatrix.sync.aligned.m8n8.trans.b16`
pub fn transpose_8x8(lanes: &[Vec<u64>]) -> Vec<Vec<u64>> {
    let from = Shape {
        matrices: 1,
        row_bytes: 16,
        transposed: false,
    };
    let one: Vec<Vec<u64>> = lanes
        .iter()
        .map(|l| l.iter().copied().take(1).collect())
        .collect();
    let rows = collect(&from, &one).unwrap_or_default();
    distribute(
        &Shape {
            transposed: true,
            ..from
        },
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(shape: &Shape) -> Vec<Vec<u8>> {
        (0..shape.rows() as u16)
            .map(|row| {
                (0..8)
                    .flat_map(|column| (row * 16 + column).to_le_bytes())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn what_is_distributed_is_collected() {
        for matrices in [1, 2, 4] {
            for transposed in [false, true] {
                let shape = Shape {
                    matrices,
                    row_bytes: 16,
                    transposed,
                };
                let rows = numbered(&shape);
                assert_eq!(collect(&shape, &distribute(&shape, &rows)), Some(rows));
            }
        }
    }

    #[test]
    fn lanes_hold_neighbours() {
        let shape = Shape {
            matrices: 2,
            row_bytes: 16,
            transposed: false,
        };
        let lanes = distribute(&shape, &numbered(&shape));
        // Lane 6: row 1, columns 4 and 5, of both matrices.
        assert_eq!(lanes[6], [0x0015_0014, 0x0095_0094]);
        let shape = Shape {
            transposed: true,
            ..shape
        };
        let lanes = distribute(&shape, &numbered(&shape));
        assert_eq!(lanes[6], [0x0051_0041, 0x00d1_00c1]);
    }

    #[test]
    fn transposing_twice_is_nothing() {
        let lanes: Vec<Vec<u64>> = (0..32).map(|l| vec![l * 0x0102_0304 + 7]).collect();
        let once = transpose_8x8(&lanes);
        assert_ne!(once, lanes);
        assert_eq!(transpose_8x8(&once), lanes);
    }
}
