//! Which lane holds which element of the operands of `mma.sync` ("Matrix Fragments for mma.m16n8k16" and the others).
//!
//! All shapes but `.m8n8k4` with half precision follow one rule. With `g = lane / 4`, `t = lane % 4`, and `e` elements in
//! a register, register `r` of A holds elements `e * t ..` of row `g` or `g + 8`, rows first, then the next `4 * e` columns;
//! register `r` of B holds elements `4 * e * r + e * t ..` of column `g`; C and D hold two neighbours of row `g`, then of
//! row `g + 8`.
//!
//! ```
//! use ptx_reference::matrix::fragment::Shape;
//! let shape = Shape { m: 16, n: 8, k: 16 };
//! // Lane 5 of A in half precision: a2 is in row 1 + 8.
//! assert_eq!(shape.a(5, 1, 0, 2), (9, 2));
//! assert_eq!(shape.b(5, 1, 1, 2), (11, 1));
//! assert_eq!(shape.accumulator(5, 3), (9, 3));
//! ```

use ptx::Modifier as M;

/// The extents of a multiplication: A is m by k, B is k by n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of A, C and D.
    pub m: usize,
    /// Columns of B, C and D.
    pub n: usize,
    /// Columns of A and rows of B.
    pub k: usize,
}

impl Shape {
    /// The shape that a modifier names.
    pub fn of(modifier: M) -> Option<Shape> {
        let (m, n, k) = match modifier {
            M::M8n8k4 => (8, 8, 4),
            M::M8n8k16 => (8, 8, 16),
            M::M8n8k32 => (8, 8, 32),
            M::M8n8k128 => (8, 8, 128),
            M::M16n8k4 => (16, 8, 4),
            M::M16n8k8 => (16, 8, 8),
            M::M16n8k16 => (16, 8, 16),
            M::M16n8k32 => (16, 8, 32),
            M::M16n8k64 => (16, 8, 64),
            M::M16n8k128 => (16, 8, 128),
            M::M16n8k256 => (16, 8, 256),
            M::M16n16k16 => (16, 16, 16),
            M::M32n8k16 => (32, 8, 16),
            M::M8n32k16 => (8, 32, 16),
            M::M16n16k8 => (16, 16, 8),
            _ => return None,
        };
        Some(Shape { m, n, k })
    }

    /// Registers of A in each lane, with `per` elements in a register.
    pub fn a_registers(&self, per: usize) -> usize {
        self.m * self.k / (32 * per)
    }

    /// Registers of B in each lane.
    pub fn b_registers(&self, per: usize) -> usize {
        self.k * self.n / (32 * per)
    }

    /// Row and column of element `j` of register `r` of A.
    pub fn a(&self, lane: usize, r: usize, j: usize, per: usize) -> (usize, usize) {
        let halves = self.m / 8;
        (
            lane / 4 + 8 * (r % halves),
            r / halves * 4 * per + lane % 4 * per + j,
        )
    }

    /// Row and column of element `j` of register `r` of B.
    pub fn b(&self, lane: usize, r: usize, j: usize, per: usize) -> (usize, usize) {
        (r * 4 * per + lane % 4 * per + j, lane / 4)
    }

    /// Row and column of element `i` of C or D.
    pub fn accumulator(&self, lane: usize, i: usize) -> (usize, usize) {
        (lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2)
    }
}

/// `mma.m8n8k4` in half precision does four multiplications at once; each belongs to the lanes `4 q ..` and `16 + 4 q ..`
/// (a quad pair), and its elements lie as the layouts of the instruction say.
pub mod quad_pair {
    /// Row and column of element `i` of A.
    pub fn a(lane: usize, i: usize, row_major: bool) -> (usize, usize) {
        let high = lane / 16 * 4;
        if row_major {
            (lane % 4 + high, i)
        } else {
            (i + high, lane % 4)
        }
    }

    /// Row and column of element `i` of B.
    pub fn b(lane: usize, i: usize, row_major: bool) -> (usize, usize) {
        let high = lane / 16 * 4;
        if row_major {
            (lane % 4, i + high)
        } else {
            (i, lane % 4 + high)
        }
    }

    /// Row and column of element `i` of C or D, in half or single precision.
    pub fn accumulator(lane: usize, i: usize, half: bool) -> (usize, usize) {
        let high = lane / 16 * 4;
        if half {
            (lane % 4 + high, i)
        } else {
            ((lane & 1) + (i & 2) + high, (i & 4) + (lane & 2) + (i & 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every element of every matrix is held exactly once.
    #[test]
    fn layouts_cover_matrices() {
        let cases = [
            (M::M8n8k4, 64),
            (M::M8n8k16, 8),
            (M::M8n8k32, 4),
            (M::M8n8k128, 1),
            (M::M16n8k4, 32),
            (M::M16n8k4, 64),
            (M::M16n8k8, 16),
            (M::M16n8k8, 32),
            (M::M16n8k8, 64),
            (M::M16n8k16, 8),
            (M::M16n8k16, 16),
            (M::M16n8k16, 64),
            (M::M16n8k32, 8),
            (M::M16n8k32, 4),
            (M::M16n8k64, 4),
            (M::M16n8k128, 1),
            (M::M16n8k256, 1),
        ];
        for (name, bits) in cases {
            let shape = Shape::of(name).unwrap();
            let per = (32 / bits).max(1);
            let mut a = vec![0; shape.m * shape.k];
            let mut b = vec![0; shape.k * shape.n];
            let mut c = vec![0; shape.m * shape.n];
            for lane in 0..32 {
                for j in 0..per {
                    for r in 0..shape.a_registers(per) {
                        let (row, column) = shape.a(lane, r, j, per);
                        a[row * shape.k + column] += 1;
                    }
                    for r in 0..shape.b_registers(per) {
                        let (row, column) = shape.b(lane, r, j, per);
                        b[row * shape.n + column] += 1;
                    }
                }
                for i in 0..shape.m * shape.n / 32 {
                    let (row, column) = shape.accumulator(lane, i);
                    c[row * shape.n + column] += 1;
                }
            }
            assert!(
                a.iter().chain(&b).chain(&c).all(|&n| n == 1),
                "{name} with {bits} bits"
            );
        }
    }

    #[test]
    fn quad_pairs_cover_matrices() {
        for flag in [false, true] {
            let mut seen = [[0; 8]; 8];
            let mut a_seen = [[0; 4]; 8];
            let mut b_seen = [[0; 8]; 4];
            for lane in [0, 1, 2, 3, 16, 17, 18, 19] {
                for i in 0..8 {
                    let (row, column) = quad_pair::accumulator(lane, i, flag);
                    seen[row][column] += 1;
                }
                for i in 0..4 {
                    let (row, column) = quad_pair::a(lane, i, flag);
                    a_seen[row][column] += 1;
                    let (row, column) = quad_pair::b(lane, i, flag);
                    b_seen[row][column] += 1;
                }
            }
            assert!(seen.iter().flatten().all(|&n| n == 1));
            assert!(a_seen
                .iter()
                .flatten()
                .chain(b_seen.iter().flatten())
                .all(|&n| n == 1));
        }
    }
}
