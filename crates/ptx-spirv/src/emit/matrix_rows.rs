//! ldmatrix as one load of a cooperative matrix (SPV_KHR_cooperative_matrix, OpCooperativeMatrixLoadKHR).
//!
//! Where lanes hold the elements of a cooperative matrix as PTX's fragments do ([`crate::MatrixUnits`]), the matrices of 8x8 that
//! ldmatrix loads are the quarters or halves of a larger one. One load has them all if they lie side by side in memory, in
//! rows at equal distances:
//!
//! ```text
//! ldmatrix.x4, lanes 0 to 15 with rows 0 to 15, lanes 16 to 31 with the same, 16 bytes on:  A of 16x16, row by row
//! the same with .trans:                                                                     A of 16x16, column by column
//! ldmatrix.x2, lanes 0 to 7 with rows 0 to 7, lanes 8 to 15 with the same, 16 bytes on:     B of 16x8, column by column
//! ```
//!
//! NVIDIA's compiler makes the machine's own matrix loads of that; else each lane reads its words one by one. Where the rows
//! lie is known from the addresses that the lanes compute, with each lane's number a constant (`emit/lane_addresses.rs`).

use super::*;
use crate::assembler::{Component, Matrix, Role};
use crate::target::Rows;

/// Bytes of a row of a matrix of 8x8.
const ROW: u32 = 16;

/// Where the rows of matrices lie in shared memory: an offset as an id, and what is to be added for each.
pub(super) struct RowPlaces {
    id: Id,
    constants: Vec<u32>,
}

impl RowPlaces {
    /// Where a matrix begins and how many bytes its rows are apart, if they all are as many.
    pub(super) fn straight(&self, matrix: usize) -> Option<((Id, u32), u32)> {
        let rows = &self.constants[8 * matrix..][..8];
        Some(((self.id, rows[0]), stride(rows)?))
    }
}

/// How many bytes the rows of a matrix are apart, if they all are as many.
fn stride(rows: &[u32]) -> Option<u32> {
    let stride = rows[1].wrapping_sub(rows[0]);
    let equal = rows.windows(2).all(|w| w[1].wrapping_sub(w[0]) == stride);
    let possible = equal && stride % ROW == 0 && (ROW..=1 << 16).contains(&stride);
    possible.then_some(stride)
}

/// Matrices of 8x8 in shared memory, which make a larger one.
struct Tile {
    /// Where it begins: an offset in shared memory as an id and a constant to add.
    start: (Id, u32),
    /// Bytes from one row to the next.
    stride: u32,
    /// Rows and columns of matrices of 8x8.
    size: (u32, u32),
    /// For each matrix of the instruction, its row and column in the tile.
    places: Places,
}

/// Rows and columns of matrices of 8x8 in a tile.
type Places = Vec<(u32, u32)>;

/// Stride and places of matrices by where their rows begin, eight for each; none if they are no tile.
fn tile(rows: &[u32]) -> Option<(u32, (u32, u32), Places)> {
    let start = rows[0];
    let stride = self::stride(&rows[..8])?;
    let straight = rows.chunks(8).all(|m| self::stride(m) == Some(stride));
    let places: Places = rows
        .chunks(8)
        .map(|matrix| match matrix[0].wrapping_sub(start) {
            0 => Some((0, 0)),
            ROW => Some((0, 1)),
            at if at == 8 * stride => Some((1, 0)),
            at if at == 8 * stride + ROW => Some((1, 1)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let size = match places[..] {
        [_] => (1, 1),
        [_, (0, 1)] => (1, 2),
        [_, (1, 0)] => (2, 1),
        [_, (0, 1), (1, 0), (1, 1)] | [_, (1, 0), (0, 1), (1, 1)] => (2, 2),
        _ => return None,
    };
    // Where a row is as long as two are apart, columns and rows would be the same.
    (straight && (size.1 == 1 || stride >= 2 * ROW)).then_some((stride, size, places))
}

/// What each bit of a row's number adds to where the row lies, as from the first one; none where it is not a sum of that.
///
/// Rows at equal distances are, and rows whose columns are swizzled by an exclusive or with the number.
fn steps(rows: &[u32]) -> Option<[u32; 3]> {
    let from_first = |n: usize| rows[n].wrapping_sub(rows[0]);
    let steps = [1, 2, 4].map(from_first);
    let sum = |n: usize| {
        let bits = (0..3).filter(|b| n >> b & 1 != 0);
        bits.fold(0u32, |sum, b| sum.wrapping_add(steps[b]))
    };
    (0..8).all(|n| from_first(n) == sum(n)).then_some(steps)
}

impl Emitter<'_> {
    /// Where the rows of the matrices of ldmatrix or stmatrix lie, if that depends on the thread's place alone, and is the
    /// same for the whole warp but for a constant.
    pub(super) fn numbered_rows(
        &mut self,
        i: &Instruction,
        address: usize,
        count: u32,
    ) -> Result<Option<RowPlaces>> {
        if self.yields() || self.info.shared_in_scratch {
            return Ok(None);
        }
        let Operand::Address {
            base: ptx::AddressBase::Register(r),
            offset,
        } = self.operand(i, address)?
        else {
            return Ok(None);
        };
        self.info.rows_matter = true;
        if self.target.rows == Rows::Any {
            return Ok(None);
        }
        let (register, offset) = (self.virtual_register(*r), *offset as u32);
        let Some((id, mut constants)) = self.in_lanes(8 * count, register) else {
            return Ok(None);
        };
        for c in &mut constants {
            *c = c.wrapping_add(offset);
        }
        Ok(Some(RowPlaces { id, constants }))
    }

    /// Loads the matrices of ldmatrix at once, if their rows are a tile; gives the words of each.
    pub(super) fn load_tile(&mut self, rows: &RowPlaces, transposed: bool) -> Option<Vec<Id>> {
        let units = self.target.matrix_units;
        if !units.half_k16 || !units.half_k8 {
            return None;
        }
        let (stride, size, places) = tile(&rows.constants)?;
        let tile = Tile {
            start: (rows.id, rows.constants[0]),
            stride,
            size,
            places,
        };
        Some(self.matrix_of_tile(&tile, transposed))
    }

    /// Where row `row` of matrix `matrix` lies, and `bytes` further. `row` is an id below 8, with `constant` bits set beside.
    /// None where rows lie in no order.
    pub(super) fn numbered_row(
        &mut self,
        rows: &RowPlaces,
        matrix: usize,
        (row, constant): (Id, u32),
        bytes: Id,
    ) -> Option<Id> {
        let of_matrix = &rows.constants[8 * matrix..][..8];
        let steps = steps(of_matrix)?;
        let mut at = rows.id;
        if steps[1] == steps[0].wrapping_mul(2) && steps[2] == steps[0].wrapping_mul(4) {
            let step = self.asm.u32(steps[0]);
            let part = self.fold(Op::IMul, row, step);
            at = self.fold(Op::IAdd, at, part);
        } else {
            for (bit, step) in steps.into_iter().enumerate() {
                let (bit, one) = (self.asm.u32(bit as u32), self.asm.u32(1));
                let shifted = self.fold(Op::ShiftRightLogical, row, bit);
                let set = self.fold(Op::BitwiseAnd, shifted, one);
                let step = self.asm.u32(step);
                let part = self.fold(Op::IMul, set, step);
                at = self.fold(Op::IAdd, at, part);
            }
        }
        let at = self.fold(Op::IAdd, at, bytes);
        let beside = (0..3).filter(|b| constant >> b & 1 != 0);
        let beside = beside.fold(of_matrix[0], |sum, b| sum.wrapping_add(steps[b]));
        Some(self.offset(at, Type::U32, i64::from(beside as i32)))
    }

    fn matrix_of_tile(&mut self, tile: &Tile, transposed: bool) -> Vec<Id> {
        const ROW_MAJOR: u32 = 0;
        const COLUMN_MAJOR: u32 = 1;
        const NON_PRIVATE_POINTER: u32 = 0x20;
        // What the lanes are to hold: words of two elements of a row of the matrix, or of a column of B.
        let (rows, columns) = if transposed {
            (tile.size.1, tile.size.0)
        } else {
            tile.size
        };
        let role = if rows == 1 { Role::B } else { Role::A };
        let matrix = match role {
            Role::B => Matrix {
                component: Component::F16,
                rows: 8 * columns,
                columns: 8,
                role,
            },
            _ => Matrix {
                component: Component::F16,
                rows: 16,
                columns: 8 * columns,
                role,
            },
        };
        let layout = match (role, transposed) {
            (Role::B, false) | (Role::A, true) => COLUMN_MAJOR,
            _ => ROW_MAJOR,
        };
        let (start, constant) = tile.start;
        let at = self.offset(start, Type::U32, i64::from(constant));
        let pointer = self.shared_pointer(at, Type::Vector(Scalar::U32, 4));
        let (layout, stride) = (self.asm.u32(layout), self.asm.u32(tile.stride / ROW));
        let ty = Type::Matrix(matrix);
        let id = self.asm.op(
            Op::CooperativeMatrixLoadKHR,
            ty,
            &[pointer, layout, stride, NON_PRIVATE_POINTER],
        );
        let words = self.half_words(id, rows * columns);
        // A product of these words takes the matrix as it is.
        self.keep_matrix(matrix, &words, id);
        // B has its words one after the other, A those of a row together.
        let place = |&(row, column): &(u32, u32)| match (transposed, role) {
            (false, Role::B) => column,
            (true, Role::B) => row,
            (false, _) => row * columns + column,
            (true, _) => column * columns + row,
        };
        let places = tile.places.iter().map(place);
        places.map(|word| words[word as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: impl Fn(u32) -> u32, count: u32) -> Vec<u32> {
        (0..8 * count).map(of).collect()
    }

    #[test]
    fn tiles_of_four_two_and_one() {
        let a = |l: u32| 48 + l % 16 * 272 + l / 16 * 16;
        let quarters = vec![(0, 0), (1, 0), (0, 1), (1, 1)];
        assert_eq!(tile(&rows(a, 4)), Some((272, (2, 2), quarters)));
        let b = |l: u32| l % 8 * 80 + l / 8 % 2 * 16 + l / 16 * 640;
        let quarters = vec![(0, 0), (0, 1), (1, 0), (1, 1)];
        assert_eq!(tile(&rows(b, 4)), Some((80, (2, 2), quarters)));
        assert_eq!(tile(&rows(b, 2)), Some((80, (1, 2), vec![(0, 0), (0, 1)])));
        assert_eq!(tile(&rows(b, 1)), Some((80, (1, 1), vec![(0, 0)])));
    }

    #[test]
    fn steps_of_swizzled_and_straight_rows() {
        let swizzled = |l: u32| 96 + l % 8 * 256 + ((l % 8) ^ 5) * 16;
        assert_eq!(steps(&rows(swizzled, 1)), Some([240, 544, 960]));
        assert_eq!(steps(&rows(|l| l * 80, 1)), Some([80, 160, 320]));
        assert_eq!(steps(&rows(|l| l * l * 16, 1)), None);
    }

    #[test]
    fn what_is_no_tile() {
        // Swizzled rows, rows of 8 bytes, and four matrices side by side.
        assert_eq!(
            tile(&rows(|l| l % 8 * 128 + ((l % 8) ^ (l / 8)) * 16, 4)),
            None
        );
        assert_eq!(tile(&rows(|l| l * 8, 1)), None);
        assert_eq!(tile(&rows(|l| l % 8 * 256 + l / 8 * 16, 4)), None);
    }
}
