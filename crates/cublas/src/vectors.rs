//! Vectors and elementwise operations: increments, result pointers, launches.

use std::ffi::c_void;

use crate::gemm::Formats;
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::elementwise::{self, Task};
use crate::kernels::{reduce, Kernel};
use crate::ptx::Element;
use crate::types::{PointerMode, Status};

/// A vector: `count` numbers, `step` apart.
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// Address of the C caller's pointer.
    pub address: u64,
    /// The increment, in numbers; a negative one starts at the end.
    pub step: i64,
}

impl Vector {
    /// The address of the first element of `count`, by BLAS's rule for negative increments.
    pub fn first(&self, count: i64, element: Element) -> u64 {
        let skip = if self.step < 0 {
            (1 - count) * self.step
        } else {
            0
        };
        self.address
            .wrapping_add_signed(skip * element.size() as i64)
    }
}

/// A matrix whose elements are worked on one by one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grid {
    /// Address of the first element.
    pub address: u64,
    /// Numbers from one row to the next.
    pub row: i64,
    /// Numbers from one column to the next.
    pub column: i64,
    /// Whether elements are conjugated when they are read.
    pub conjugate: bool,
}

/// An operation on single elements.
#[derive(Clone, Copy, Debug)]
pub struct Elementwise {
    /// What is done.
    pub task: Task,
    /// Format of the matrices.
    pub element: Element,
    /// Format of `alpha` and `beta` in memory.
    pub scales: (Element, Element),
    /// `alpha` and `beta`.
    pub scalars: (Scalar, Scalar),
    /// Rows and columns.
    pub size: (i64, i64),
    /// The matrices.
    pub a: Grid,
    /// See `a`.
    pub b: Grid,
    /// See `a`.
    pub c: Grid,
}

impl Elementwise {
    /// An operation on one or two vectors, without scalars.
    pub fn vectors(task: Task, element: Element, count: i64, x: Vector, y: Option<Vector>) -> Self {
        let grid = |vector: Vector| Grid {
            address: vector.first(count, element),
            row: vector.step,
            ..Grid::default()
        };
        Self {
            task,
            element,
            scales: (element, element),
            scalars: (Scalar::value(0.0), Scalar::value(0.0)),
            size: (count, 1),
            a: grid(x),
            b: y.map(grid).unwrap_or_default(),
            c: Grid::default(),
        }
    }

    /// Launches. Nothing is done for an empty matrix.
    ///
    /// # Errors
    /// `NOT_SUPPORTED` for more elements than a grid has threads.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        let (rows, columns) = self.size;
        if rows <= 0 || columns <= 0 {
            return Ok(());
        }
        let blocks = (rows as u128 * columns as u128).div_ceil(u128::from(elementwise::BLOCK));
        let Ok(blocks) = i32::try_from(blocks) else {
            tracing::warn!("{rows} x {columns} elements are too many for one operation");
            return Err(Status::NotSupported);
        };
        let arithmetic = Formats::uniform(self.element).arithmetic;
        let kernel = Kernel::Elementwise(elementwise::Spec {
            task: self.task,
            element: self.element,
            alpha: self.scales.0,
            beta: self.scales.1,
            arithmetic,
            conjugate_a: self.a.conjugate && arithmetic.is_complex(),
            conjugate_b: self.b.conjugate && arithmetic.is_complex(),
        });
        let bytes = self.element.size() as i64;
        let mut arguments = Arguments::default();
        arguments
            .word(self.a.address)
            .word(self.b.address)
            .word(self.c.address);
        for grid in [&self.a, &self.b, &self.c] {
            arguments
                .signed(grid.row * bytes)
                .signed(grid.column * bytes);
        }
        arguments.word(rows as u64).word(columns as u64);
        arguments
            .scalar(arithmetic, &self.scalars.0)
            .scalar(arithmetic, &self.scalars.1);
        handle.launch(
            &kernel,
            [blocks as u32, 1, 1],
            elementwise::BLOCK,
            &mut arguments,
        )
    }
}

/// A reduction of one or two vectors to a number.
#[derive(Clone, Copy, Debug)]
pub struct Reduction {
    /// What is computed.
    pub task: reduce::Task,
    /// Format of the vectors.
    pub element: Element,
    /// Format of the result, see [`reduce::Spec::result`].
    pub result: Element,
    /// Number of elements.
    pub count: i64,
    /// The vectors.
    pub x: Vector,
    /// The second vector of a dot product.
    pub y: Vector,
}

impl Reduction {
    /// Launches, and in host mode waits for the result.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a null result.
    ///
    /// # Safety
    /// `result` is null or points to a number of format `self.result`, in host or device memory by the pointer mode.
    pub unsafe fn run(&self, handle: &Handle, result: *mut c_void) -> Result<(), Status> {
        if result.is_null() {
            return Err(Status::InvalidValue);
        }
        let mode = handle.state.lock().pointer_mode;
        let single = !matches!(self.task, reduce::Task::Dot | reduce::Task::DotConjugate);
        let count = if single && self.x.step <= 0 {
            0
        } else {
            self.count.max(0)
        };
        let bytes = self.result.size();
        if count == 0 && mode == PointerMode::Host {
            // SAFETY: the caller promises a number of that format; all bits clear is zero in each.
            unsafe { result.cast::<u8>().write_bytes(0, bytes) };
            return Ok(());
        }
        if count > 0 && (self.x.address == 0 || (!single && self.y.address == 0)) {
            return Err(Status::InvalidValue);
        }
        let blocks = count
            .unsigned_abs()
            .div_ceil(u64::from(reduce::BLOCK) * 8)
            .clamp(1, u64::from(reduce::MAX_BLOCKS));
        // A short reduction to device memory works without allocating, also while a stream is captured.
        let direct = blocks == 1 && mode == PointerMode::Device;
        let scratch = if direct { 0 } else { handle.scratch()? };
        let partials = scratch + reduce::PARTIAL_BYTES;
        let target = if mode == PointerMode::Host {
            scratch
        } else {
            result as u64
        };
        let launch = |stage, blocks: u64, count: u64| {
            let kernel = Kernel::Reduce(reduce::Spec {
                task: self.task,
                stage,
                element: self.element,
                arithmetic: Formats::uniform(self.element).arithmetic,
                result: self.result,
            });
            let size = self.element.size() as i64;
            let mut arguments = Arguments::default();
            arguments
                .word(self.x.first(self.count, self.element))
                .word(self.y.first(self.count, self.element));
            arguments.word(partials).word(target);
            arguments
                .signed(self.x.step * size)
                .signed(self.y.step * size)
                .word(count);
            handle.launch(
                &kernel,
                [blocks as u32, 1, 1],
                reduce::BLOCK,
                &mut arguments,
            )
        };
        if blocks == 1 {
            launch(reduce::Stage::Whole, 1, count as u64)?;
        } else {
            launch(reduce::Stage::First, blocks, count as u64)?;
            launch(reduce::Stage::Last, 1, blocks)?;
        }
        if mode == PointerMode::Host {
            // SAFETY: the caller promises memory for a number of that format.
            let memory = unsafe { std::slice::from_raw_parts_mut(result.cast::<u8>(), bytes) };
            handle.read_back(scratch, memory)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_increments_start_at_the_end() {
        let vector = Vector {
            address: 1000,
            step: -2,
        };
        assert_eq!(vector.first(4, Element::F32), 1000 + 3 * 2 * 4);
        let vector = Vector {
            address: 1000,
            step: 2,
        };
        assert_eq!(vector.first(4, Element::F32), 1000);
    }

    #[test]
    fn scratch_holds_all_partial_results() {
        let bytes = (u64::from(reduce::MAX_BLOCKS) + 1) * reduce::PARTIAL_BYTES;
        assert!(bytes <= crate::handle::SCRATCH_BYTES as u64);
    }
}
