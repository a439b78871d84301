//! Many small systems by their factors: `cublas<t>getrfBatched`, `getrsBatched` and `getriBatched`; and `matinvBatched`, without.
//!
//! ```text
//! factor   P * A = L * U            A keeps both
//! solve    X = U^-1 * L^-1 * P * B
//! invert   C = U^-1 * L^-1 * P
//! ```

use crate::gemm::{Formats, Matrix};
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::lu::{Spec, Task, BLOCK, MOST, MOST_INVERTED};
use crate::kernels::{triangular, Kernel};
use crate::ptx::Element;
use crate::triangular::Triangular;
use crate::types::{Diagonal, Fill, Operation, Side, Status};

/// Square matrices whose addresses lie in device memory.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Format of the numbers.
    pub element: Element,
    /// Rows and columns.
    pub size: i64,
    /// Address of the array of addresses, and the leading dimension.
    pub a: (u64, i64),
    /// The rows that changed places, `size` numbers of 32 bits for each matrix; 0 where none did.
    pub pivots: u64,
    /// Matrices.
    pub count: i64,
}

/// Numbers of a launch that not every kernel has.
#[derive(Clone, Copy, Default)]
struct More {
    c: (u64, i64),
    info: u64,
    columns: u32,
}

impl Batch {
    /// Checks sizes. False where there is nothing to do.
    fn check(&self) -> Result<bool, Status> {
        if self.size < 0 || self.count < 0 || self.a.1 < self.size.max(1) {
            return Err(Status::InvalidValue);
        }
        if self.size == 0 || self.count == 0 {
            return Ok(false);
        }
        if self.a.0 == 0 {
            return Err(Status::InvalidValue);
        }
        if self.size > MOST || i32::try_from(self.count).is_err() {
            tracing::warn!(
                "factors of matrices of {} rows are not supported",
                self.size
            );
            return Err(Status::NotSupported);
        }
        Ok(true)
    }

    fn launch(
        &self,
        handle: &Handle,
        task: Task,
        a: (u64, i64),
        blocks: u32,
        more: More,
    ) -> Result<(), Status> {
        let bytes = self.element.size() as i64;
        let mut arguments = Arguments::default();
        arguments
            .word(a.0)
            .signed(a.1 * bytes)
            .word(more.c.0)
            .signed(more.c.1 * bytes)
            .word(self.pivots)
            .word(more.info)
            .small(self.size as u32)
            .small(more.columns);
        let kernel = Kernel::Lu(Spec {
            task,
            element: self.element,
            arithmetic: Formats::uniform(self.element).arithmetic,
            pivots: task == Task::Factor && self.pivots != 0,
        });
        handle.launch(
            &kernel,
            [self.count as u32, blocks, 1],
            BLOCK,
            &mut arguments,
        )
    }

    /// Factors the matrices in place. `info` gets a number for each: 0, or the first zero on the diagonal of `U`, counted from 1.
    ///
    /// # Errors
    /// `INVALID_VALUE` for sizes that do not fit and null addresses; `NOT_SUPPORTED` for matrices of more than 65,535 rows.
    pub fn factor(&self, handle: &Handle, info: u64) -> Result<(), Status> {
        if !self.check()? {
            return Ok(());
        }
        if info == 0 {
            return Err(Status::InvalidValue);
        }
        let more = More {
            info,
            ..More::default()
        };
        self.launch(handle, Task::Factor, self.a, 1, more)
    }

    /// Solves `op(A) * X = B` with factored matrices; `X` overwrites the `columns` columns of `B`.
    ///
    /// # Errors
    /// As [`Self::factor`].
    pub fn solve(
        &self,
        handle: &Handle,
        op: Operation,
        b: (u64, i64),
        columns: i64,
    ) -> Result<(), Status> {
        let something = self.check()?;
        if columns < 0 || b.1 < self.size.max(1) {
            return Err(Status::InvalidValue);
        }
        if !something || columns == 0 {
            return Ok(());
        }
        if b.0 == 0 {
            return Err(Status::InvalidValue);
        }
        let lower = (Fill::Lower, Diagonal::Unit);
        let upper = (Fill::Upper, Diagonal::NonUnit);
        if op == Operation::N {
            self.permute(handle, Task::Permute, b, columns)?;
            self.triangle(handle, op, lower, b, columns)?;
            self.triangle(handle, op, upper, b, columns)
        } else {
            self.triangle(handle, op, upper, b, columns)?;
            self.triangle(handle, op, lower, b, columns)?;
            self.permute(handle, Task::PermuteBack, b, columns)
        }
    }

    /// Writes the inverses of factored matrices to `c`, and to `info` as [`Self::factor`] does.
    ///
    /// # Errors
    /// As [`Self::factor`].
    pub fn invert(&self, handle: &Handle, c: (u64, i64), info: u64) -> Result<(), Status> {
        if self.to(handle, Task::Identity, c, info)? {
            self.solve(handle, Operation::N, c, self.size)?;
        }
        Ok(())
    }

    /// Writes the inverses of matrices of at most 32 rows, which are no factors and stay as they are, to `c`.
    ///
    /// # Errors
    /// As [`Self::factor`]; `INVALID_VALUE` for larger ones.
    pub fn invert_whole(&self, handle: &Handle, c: (u64, i64), info: u64) -> Result<(), Status> {
        if self.size > MOST_INVERTED {
            return Err(Status::InvalidValue);
        }
        self.to(handle, Task::Inverse, c, info).map(drop)
    }

    /// Launches a kernel that writes to `c` and `info`. False where there is nothing to do.
    fn to(&self, handle: &Handle, task: Task, c: (u64, i64), info: u64) -> Result<bool, Status> {
        let something = self.check()?;
        if c.1 < self.size.max(1) {
            return Err(Status::InvalidValue);
        }
        if !something {
            return Ok(false);
        }
        if c.0 == 0 || info == 0 {
            return Err(Status::InvalidValue);
        }
        let more = More {
            c,
            info,
            ..More::default()
        };
        self.launch(handle, task, self.a, 1, more).map(|()| true)
    }

    fn permute(
        &self,
        handle: &Handle,
        task: Task,
        b: (u64, i64),
        columns: i64,
    ) -> Result<(), Status> {
        if self.pivots == 0 {
            return Ok(());
        }
        const MOST_BLOCKS: u32 = 65_535;
        let blocks = u32::try_from(columns)
            .map(|columns| columns.div_ceil(BLOCK))
            .ok()
            .filter(|&blocks| blocks <= MOST_BLOCKS);
        let Some(blocks) = blocks else {
            tracing::warn!("{columns} columns at a time are not supported");
            return Err(Status::NotSupported);
        };
        let more = More {
            columns: columns as u32,
            ..More::default()
        };
        self.launch(handle, task, b, blocks, more)
    }

    fn triangle(
        &self,
        handle: &Handle,
        op: Operation,
        (fill, diagonal): (Fill, Diagonal),
        b: (u64, i64),
        columns: i64,
    ) -> Result<(), Status> {
        let matrix = |(address, ld): (u64, i64)| Matrix {
            address,
            ld,
            batch: 0,
        };
        Triangular {
            task: triangular::Task::Solve,
            side: Side::Left,
            fill,
            op,
            diagonal,
            size: (self.size, columns),
            element: self.element,
            alpha: Scalar::value(1.0),
            a: matrix(self.a),
            b: matrix(b),
            c: matrix(b),
            step: 1,
            count: self.count,
            pointers: true,
        }
        .run(handle)
    }
}
