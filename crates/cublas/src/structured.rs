//! Products with a symmetric or Hermitian matrix.

use crate::gemm::{Formats, Matrix};
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::{symmetric, Kernel};
use crate::ptx::Element;
use crate::types::{Fill, Side, Status};

/// `C = alpha * S * X + beta * C`. From the right, rows and columns of `X` and `C` are exchanged by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Symmetric {
    /// The triangle of `S` that is stored.
    pub fill: Fill,
    /// The side on which `S` stands in the caller's product.
    pub side: Side,
    /// Whether the other triangle is the conjugate.
    pub hermitian: bool,
    /// Format of everything.
    pub element: Element,
    /// Rows of `S`, and columns of `X` and `C`.
    pub size: (i64, i64),
    /// `alpha` and `beta`.
    pub scalars: (Scalar, Scalar),
    /// The structured matrix.
    pub s: Matrix,
    /// Address, numbers between rows, numbers between columns.
    pub x: (u64, i64, i64),
    /// See `x`.
    pub c: (u64, i64, i64),
}

impl Symmetric {
    /// Launches; sizes and leading dimensions are checked by the caller.
    ///
    /// # Errors
    /// `INVALID_VALUE` for a full fill mode and null pointers, `NOT_SUPPORTED` for sizes beyond a grid.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        let lower = match self.fill {
            Fill::Lower => true,
            Fill::Upper => false,
            Fill::Full => return Err(Status::InvalidValue),
        };
        let (size, columns) = self.size;
        if size == 0 || columns == 0 {
            return Ok(());
        }
        if self.c.0 == 0 || (!self.scalars.0.is(0.0) && (self.s.address == 0 || self.x.0 == 0)) {
            return Err(Status::InvalidValue);
        }
        let blocks = (size as u128 * columns as u128).div_ceil(u128::from(symmetric::BLOCK));
        let (Ok(size), Ok(columns), Ok(blocks)) = (
            i32::try_from(size),
            i32::try_from(columns),
            i32::try_from(blocks),
        ) else {
            tracing::warn!("a symmetric product of {size} x {columns} is too large");
            return Err(Status::NotSupported);
        };
        let arithmetic = Formats::uniform(self.element).arithmetic;
        let hermitian = self.hermitian && arithmetic.is_complex();
        let kernel = Kernel::Symmetric(symmetric::Spec {
            element: self.element,
            arithmetic,
            lower,
            hermitian,
            conjugate: hermitian && self.side == Side::Right,
        });
        let bytes = self.element.size() as i64;
        let mut arguments = Arguments::default();
        arguments.word(self.s.address).word(self.x.0).word(self.c.0);
        arguments
            .signed(self.s.ld * bytes)
            .signed(self.x.1 * bytes)
            .signed(self.x.2 * bytes);
        arguments.signed(self.c.1 * bytes).signed(self.c.2 * bytes);
        arguments.small(size as u32).small(columns as u32);
        arguments
            .scalar(arithmetic, &self.scalars.0)
            .scalar(arithmetic, &self.scalars.1);
        handle.launch(
            &kernel,
            [blocks as u32, 1, 1],
            symmetric::BLOCK,
            &mut arguments,
        )
    }
}
