//! Matrices in band and in packed storage: argument checks and launches.

use crate::gemm::Formats;
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::banded::{Spec, Task};
use crate::kernels::Kernel;
use crate::ptx::Element;
use crate::types::Status;
use crate::vectors::Vector;

/// How the matrix is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a band with a leading dimension.
    Band(i64),
    /// The columns of a triangle, one after the other.
    Packed,
}

/// The arguments of `cublas<t>gbmv`, `sbmv`, `hbmv`, `spmv`, `hpmv`, `tbmv`, `tbsv`, `tpmv`, `tpsv`, `spr`, `hpr`, `spr2`,
/// `hpr2`, `tpttr` and `trttp` (cuBLAS documentation, "cuBLAS Level-2 Function Reference" and "BLAS-like Extension").
#[derive(Clone, Copy, Debug)]
pub struct Banded {
    /// What is done.
    pub task: Task,
    /// Format of the matrix and of the vectors.
    pub element: Element,
    /// Format of `alpha` in memory.
    pub alpha: Element,
    /// `alpha` and `beta`.
    pub scalars: (Scalar, Scalar),
    /// Address of the matrix.
    pub a: u64,
    /// How it is stored.
    pub storage: Storage,
    /// Rows and columns of the matrix as stored.
    pub size: (i64, i64),
    /// Diagonals below and above the main one; of a triangle or a symmetric matrix both are its band.
    pub reach: (i64, i64),
    /// Whether the lower triangle is stored.
    pub lower: bool,
    /// Whether the matrix is transposed.
    pub transposed: bool,
    /// Whether it is conjugated.
    pub conjugate: bool,
    /// Whether the diagonal is one.
    pub unit: bool,
    /// Whether the other triangle is the conjugate.
    pub hermitian: bool,
    /// The vector that is read, the triangular vector, or the matrix in full storage, whose step is its leading dimension.
    pub x: Vector,
    /// The other vector.
    pub y: Option<Vector>,
}

impl Banded {
    /// Checks the arguments and launches.
    ///
    /// # Errors
    /// `INVALID_VALUE` where cuBLAS documents it, `NOT_SUPPORTED` for sizes beyond a grid.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        let ((rows, columns), (below, above)) = (self.size, self.reach);
        if rows < 0 || columns < 0 || below < 0 || above < 0 {
            return Err(Status::InvalidValue);
        }
        let general = self.task == Task::General;
        if let Storage::Band(lda) = self.storage {
            let diagonals = if general {
                below.saturating_add(above).saturating_add(1)
            } else {
                below.saturating_add(1)
            };
            if lda < diagonals {
                return Err(Status::InvalidValue);
            }
        }
        if self.x.step == 0 || self.y.is_some_and(|y| y.step == 0) {
            return Err(Status::InvalidValue);
        }
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let products = matches!(self.task, Task::General | Task::Symmetric);
        let reads = !products || !self.scalars.0.is(0.0);
        if (reads && (self.a == 0 || self.x.address == 0)) || self.y.is_some_and(|y| y.address == 0)
        {
            return Err(Status::InvalidValue);
        }
        let arithmetic = Formats::uniform(self.element).arithmetic;
        let bytes = self.element.size() as i64;
        let complex = arithmetic.is_complex();
        let spec = Spec {
            task: self.task,
            element: self.element,
            alpha: self.alpha,
            arithmetic,
            packed: self.storage == Storage::Packed,
            lower: self.lower,
            transposed: self.transposed,
            conjugate: self.conjugate && complex,
            unit: self.unit,
            hermitian: self.hermitian && complex,
        };
        // Rows and columns of op(A), and its diagonals.
        let ((m, n), (below, above)) = if self.transposed {
            ((columns, rows), (above, below))
        } else {
            ((rows, columns), (below, above))
        };
        let threads = match self.task {
            Task::General | Task::Symmetric => m as u128,
            Task::Solve | Task::Multiply => 1,
            _ => m as u128 * n as u128,
        };
        let Ok(blocks) = i32::try_from(threads.div_ceil(u128::from(spec.block()))) else {
            tracing::warn!("a band or packed matrix of {m} x {n} is too large");
            return Err(Status::NotSupported);
        };
        // Element (0, 0) lies behind the diagonals above it.
        let (skip, column) = match self.storage {
            Storage::Packed => (0, 0),
            Storage::Band(lda) if self.lower => (0, lda - 1),
            Storage::Band(lda) => (self.reach.1, lda - 1),
        };
        let longest = m.max(n);
        let first = |vector: Vector, count| vector.first(count, self.element);
        let y = self.y.unwrap_or(Vector {
            address: 0,
            step: 1,
        });
        let mut arguments = Arguments::default();
        arguments
            .word(self.a.wrapping_add_signed(skip * bytes))
            .word(first(self.x, n))
            .word(first(y, m));
        arguments
            .signed(column * bytes)
            .signed(self.x.step * bytes)
            .signed(y.step * bytes);
        arguments.signed(m).signed(n);
        arguments
            .signed(below.min(longest))
            .signed(above.min(longest));
        arguments
            .scalar(arithmetic, &self.scalars.0)
            .scalar(arithmetic, &self.scalars.1);
        let block = spec.block();
        handle.launch(
            &Kernel::Banded(spec),
            [blocks as u32, 1, 1],
            block,
            &mut arguments,
        )
    }
}
