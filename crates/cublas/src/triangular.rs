//! Triangular systems and products: argument checks, and every case stated in the kernels' one form.
//!
//! ```text
//! left side:   op(A) * X = alpha * B, vectors are columns of B   -> M = op(A)
//! right side:  X * op(A) = alpha * B, vectors are rows of B      -> M = op(A) transposed
//! ```

use crate::gemm::{Formats, Matrix};
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::triangular::{Spec, Task, BLOCK};
use crate::kernels::Kernel;
use crate::ptx::Element;
use crate::types::{Diagonal, Fill, Operation, Side, Status};

/// The arguments of `cublas<t>trsm`, `trmm`, their batched forms, `trsv` and `trmv`.
#[derive(Clone, Copy, Debug)]
pub struct Triangular {
    /// Solve or multiply.
    pub task: Task,
    /// The side of the triangular matrix.
    pub side: Side,
    /// The triangle of `A` that is read.
    pub fill: Fill,
    /// What is done to `A`.
    pub op: Operation,
    /// Whether the diagonal is read.
    pub diagonal: Diagonal,
    /// Rows and columns of `B`.
    pub size: (i64, i64),
    /// Format of everything.
    pub element: Element,
    /// The factor of `B`.
    pub alpha: Scalar,
    /// The triangular matrix.
    pub a: Matrix,
    /// The vectors that are read.
    pub b: Matrix,
    /// The vectors that are written; may be `b`.
    pub c: Matrix,
    /// Elements between the numbers of a column of `b` and `c`: 1, but for a vector with an increment.
    pub step: i64,
    /// Matrices in the batch.
    pub count: i64,
    /// Whether the matrices' addresses are those of arrays of addresses.
    pub pointers: bool,
}

/// The strides of a launch, in elements, in the order of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    size: i64,
    vectors: i64,
    m_row: i64,
    m_column: i64,
    /// Steps from the first element in memory to the first one worked on: 0 or `size - 1`.
    skip: i64,
    /// Whether elements of a vector follow a column of `B` (left side) or a row.
    along_columns: bool,
}

impl Triangular {
    fn form(&self) -> Form {
        let (m, n) = self.size;
        let left = self.side == Side::Left;
        let (size, vectors) = if left { (m, n) } else { (n, m) };
        // M = op(A) on the left and its transpose on the right.
        let transposed = self.op.transposes() == left;
        let (mut m_row, mut m_column) = if transposed {
            (self.a.ld, 1)
        } else {
            (1, self.a.ld)
        };
        let lower = (self.fill == Fill::Lower) != transposed;
        // The kernel solves lower and multiplies upper triangles; reversing the order of work exchanges them.
        let wanted = self.task == Task::Solve;
        let skip = if lower == wanted { 0 } else { size - 1 };
        if skip != 0 {
            (m_row, m_column) = (-m_row, -m_column);
        }
        Form {
            size,
            vectors,
            m_row,
            m_column,
            skip,
            along_columns: left,
        }
    }

    /// Checks the arguments and launches.
    ///
    /// # Errors
    /// `INVALID_VALUE` where cuBLAS documents it.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        let (m, n) = self.size;
        let order = if self.side == Side::Left { m } else { n };
        if m < 0 || n < 0 || self.count < 0 || self.fill == Fill::Full {
            return Err(Status::InvalidValue);
        }
        if self.a.ld < order.max(1)
            || self.b.ld < m.max(1)
            || self.c.ld < m.max(1)
            || self.step == 0
        {
            return Err(Status::InvalidValue);
        }
        if m == 0 || n == 0 || self.count == 0 {
            return Ok(());
        }
        if (self.a.address == 0 && !self.alpha.is(0.0))
            || self.b.address == 0
            || self.c.address == 0
        {
            return Err(Status::InvalidValue);
        }
        let form = self.form();
        let (Ok(size), Ok(vectors), Ok(count)) = (
            i32::try_from(form.size),
            i32::try_from(form.vectors),
            i32::try_from(self.count),
        ) else {
            tracing::warn!("a triangular matrix, or a batch, of 2^31 or more is not supported");
            return Err(Status::NotSupported);
        };
        let arithmetic = Formats::uniform(self.element).arithmetic;
        let bytes = self.element.size() as i64;
        let reversed = form.skip != 0;
        let vectors_of = |matrix: &Matrix| {
            let (step, vector) = if form.along_columns {
                (self.step, matrix.ld)
            } else {
                (matrix.ld, self.step)
            };
            // A negative increment starts at the vector's end.
            let start = if self.step < 0 {
                (1 - form.size) * self.step
            } else {
                0
            };
            (
                start + form.skip * step,
                if reversed { -step } else { step },
                vector,
            )
        };
        let (b, c) = (vectors_of(&self.b), vectors_of(&self.c));
        let kernel = Kernel::Triangular(Spec {
            task: self.task,
            element: self.element,
            arithmetic,
            conjugate: self.op.conjugates() && arithmetic.is_complex(),
            unit: self.diagonal == Diagonal::Unit,
            pointers: self.pointers,
        });
        const MAX_GRID_Z: u32 = 65535;
        let mut first = 0;
        while first < count as u32 {
            let slice = (count as u32 - first).min(MAX_GRID_Z);
            let mut arguments = Arguments::default();
            arguments
                .word(self.a.address)
                .word(self.b.address)
                .word(self.c.address);
            // Both strides of M change sign together when the order is reversed.
            let start_m = -form.skip * (form.m_row + form.m_column);
            arguments
                .signed(start_m * bytes)
                .signed(b.0 * bytes)
                .signed(c.0 * bytes);
            arguments
                .signed(form.m_row * bytes)
                .signed(form.m_column * bytes);
            arguments
                .signed(b.1 * bytes)
                .signed(b.2 * bytes)
                .signed(c.1 * bytes)
                .signed(c.2 * bytes);
            arguments
                .signed(self.a.batch * bytes)
                .signed(self.b.batch * bytes)
                .signed(self.c.batch * bytes);
            arguments
                .small(size as u32)
                .small(vectors as u32)
                .small(first);
            arguments.scalar(arithmetic, &self.alpha);
            handle.launch(
                &kernel,
                [(vectors as u32).div_ceil(BLOCK), 1, slice],
                BLOCK,
                &mut arguments,
            )?;
            first += slice;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(task: Task, side: Side, fill: Fill, op: Operation) -> Triangular {
        let matrix = Matrix {
            address: 0x1000,
            ld: 10,
            batch: 0,
        };
        Triangular {
            task,
            side,
            fill,
            op,
            diagonal: Diagonal::NonUnit,
            size: (4, 3),
            element: Element::F32,
            alpha: Scalar::value(1.0),
            a: matrix,
            b: matrix,
            c: matrix,
            step: 1,
            count: 1,
            pointers: false,
        }
    }

    #[test]
    fn cases_take_the_kernels_form() {
        let form = problem(Task::Solve, Side::Left, Fill::Lower, Operation::N).form();
        assert_eq!(
            (
                form.size,
                form.vectors,
                form.m_row,
                form.m_column,
                form.skip
            ),
            (4, 3, 1, 10, 0)
        );
        let form = problem(Task::Solve, Side::Left, Fill::Lower, Operation::T).form();
        assert_eq!(
            (
                form.size,
                form.vectors,
                form.m_row,
                form.m_column,
                form.skip
            ),
            (4, 3, -10, -1, 3)
        );
        let form = problem(Task::Solve, Side::Right, Fill::Upper, Operation::N).form();
        assert_eq!(
            (
                form.size,
                form.vectors,
                form.m_row,
                form.m_column,
                form.skip
            ),
            (3, 4, 10, 1, 0)
        );
        let form = problem(Task::Multiply, Side::Left, Fill::Upper, Operation::N).form();
        assert_eq!(
            (
                form.size,
                form.vectors,
                form.m_row,
                form.m_column,
                form.skip
            ),
            (4, 3, 1, 10, 0)
        );
        let form = problem(Task::Multiply, Side::Right, Fill::Lower, Operation::T).form();
        assert_eq!(
            (
                form.size,
                form.vectors,
                form.m_row,
                form.m_column,
                form.skip
            ),
            (3, 4, -1, -10, 2)
        );
    }
}
