//! The product itself: checked, turned into one in column order, and handed to [`Gemm`].

use super::attributes::{Layout, MatmulDesc};
use super::epilogue::Epilogue;
use super::unsupported;
use crate::driver::check;
use crate::gemm::{Formats, Gemm, Matrix};
use crate::handle::{Handle, Scalar};
use crate::types::{ComputeType, DataType, Operation, Status};
use cuda_abi::{CUmemorytype, CUstream, CUDA_MEMCPY2D};

/// A product that can be computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) formats: Formats,
    ops: (Operation, Operation),
    /// Rows and columns of `D`, length of the sums.
    size: (i64, i64, i64),
    layouts: [Layout; 4],
    /// Whether the matrices are exchanged and `D` is transposed: its memory is in row order.
    exchanged: bool,
    epilogue: Option<Epilogue>,
}

/// Checks a product's description.
///
/// # Errors
/// `INVALID_VALUE` for matrices that do not fit together, `NOT_SUPPORTED` for what there is no kernel for.
pub(super) fn plan(desc: MatmulDesc, layouts: [Layout; 4]) -> Result<Plan, Status> {
    let [a, b, c, d] = layouts;
    if desc.unsupported != 0 {
        return Err(unsupported(format_args!("attribute {}", desc.unsupported)));
    }
    let ops = desc.ops.map(Operation::try_from);
    let (op_a, op_b) = (ops[0]?, ops[1]?);
    if ops[2]? != Operation::N || desc.fill != 2 {
        return Err(unsupported(format_args!(
            "an operation on C, or a part of D"
        )));
    }
    for layout in layouts {
        if !matches!(layout.order, 0 | 1) || layout.plane != 0 {
            return Err(unsupported(format_args!("order {}", layout.order)));
        }
    }
    let kind = |layout: Layout| DataType::try_from(layout.kind);
    let compute = ComputeType::try_from(desc.compute)?;
    let formats = Formats::of(kind(a)?, kind(b)?, kind(d)?, compute)?;
    if kind(c)? != kind(d)? {
        return Err(unsupported(format_args!("C of another type than D")));
    }
    let epilogue = Epilogue::of(&desc, kind(d)?)?;
    let ((m, k), (k_b, n)) = (a.shape(op_a), b.shape(op_b));
    let fits = |layout: Layout| (layout.rows as i64, layout.columns as i64) == (m, n);
    let same_batch = layouts.iter().all(|layout| layout.batch == d.batch);
    if k != k_b || !fits(c) || !fits(d) || !same_batch || c.order != d.order {
        return Err(Status::InvalidValue);
    }
    // A matrix in row order is its transpose in column order. Where D is one, D' = op(B)' op(A)' is computed.
    let exchanged = d.order == 1;
    let turn = |op: Operation, layout: Layout| {
        let turned = (layout.order == 1) != exchanged;
        match (op, turned) {
            (op, false) => Ok(op),
            (Operation::N, true) => Ok(Operation::T),
            (Operation::T, true) => Ok(Operation::N),
            (op, true) => Err(unsupported(format_args!("{op:?} in mixed orders"))),
        }
    };
    Ok(Plan {
        formats,
        ops: (turn(op_a, a)?, turn(op_b, b)?),
        size: (m, n, k),
        layouts,
        exchanged,
        epilogue,
    })
}

impl Plan {
    /// Computes it in a stream.
    ///
    /// # Errors
    /// Those of [`Gemm::run`] and of copying `C`.
    pub(super) fn run(
        self,
        handle: &Handle,
        stream: CUstream,
        scalars: (Scalar, Scalar),
        [a, b, c, d]: [u64; 4],
    ) -> Result<(), Status> {
        // The handle's own stream is for others: each call of cublasLt names its stream.
        let handle = handle.on_stream(stream);
        if c != d && !scalars.1.is(0.0) {
            self.copy_c(&handle, stream, c, d)?;
        }
        let matrix = |address: u64, layout: Layout| Matrix {
            address,
            ld: layout.ld,
            batch: layout.batch_stride,
        };
        let (mut left, mut right) = ((a, self.layouts[0]), (b, self.layouts[1]));
        let ((mut op_left, mut op_right), (mut m, mut n, k)) = (self.ops, self.size);
        if self.exchanged {
            std::mem::swap(&mut left, &mut right);
            std::mem::swap(&mut op_left, &mut op_right);
            std::mem::swap(&mut m, &mut n);
        }
        Gemm {
            ops: (op_left, op_right),
            size: (m, n, k),
            formats: self.formats,
            scalars,
            a: matrix(left.0, left.1),
            b: matrix(right.0, right.1),
            c: matrix(d, self.layouts[3]),
            count: i64::from(self.layouts[3].batch),
            pointers: false,
        }
        .run(&handle)?;
        match self.epilogue {
            Some(epilogue) => epilogue.run(&handle, self.formats.c, d, self.layouts[3]),
            None => Ok(()),
        }
    }

    /// Puts `C` where `D` goes.
    fn copy_c(&self, handle: &Handle, stream: CUstream, c: u64, d: u64) -> Result<(), Status> {
        let [.., from, to] = self.layouts;
        let bytes = self.formats.c.size() as i64;
        let (run, runs) = match self.exchanged {
            true => (to.columns, to.rows),
            false => (to.rows, to.columns),
        };
        for index in 0..i64::from(to.batch) {
            let at = |address: u64, layout: Layout| {
                address.wrapping_add_signed(index * layout.batch_stride * bytes)
            };
            let copy = CUDA_MEMCPY2D {
                srcMemoryType: CUmemorytype::DEVICE,
                srcDevice: at(c, from),
                srcPitch: (from.ld * bytes) as usize,
                dstMemoryType: CUmemorytype::DEVICE,
                dstDevice: at(d, to),
                dstPitch: (to.ld * bytes) as usize,
                WidthInBytes: run as usize * bytes as usize,
                Height: runs as usize,
                // SAFETY: of numbers and addresses only, for which zeros are valid.
                ..unsafe { std::mem::zeroed() }
            };
            handle.in_context(|driver| {
                // SAFETY: the description is a live local.
                let result = unsafe { (driver.memcpy_2d_async)(&copy, stream) };
                check(result, "cuMemcpy2DAsync", Status::ExecutionFailed)
            })?;
        }
        Ok(())
    }
}
