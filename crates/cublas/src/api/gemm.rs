//! Matrix products: `cublas<t>gemm`, batched and strided, and the `Ex` functions with free number formats.

use super::{family, scalars, Input, Output};
use crate::gemm::{Formats, Gemm, Matrix};
use crate::handle::Handle;
use crate::ptx::Element;
use crate::types::{ComputeType, DataType, Operation, PointerMode, Status};

/// The arguments that all forms share.
struct Call {
    handle: *const Handle,
    ops: (i32, i32),
    size: (i64, i64, i64),
    alpha: Input,
    beta: Input,
    formats: Result<Formats, Status>,
}

impl Call {
    /// `a`, `b`, `c`: address, leading dimension, numbers between matrices of the batch.
    unsafe fn run(
        self,
        a: (Input, i64, i64),
        b: (Input, i64, i64),
        c: (Output, i64, i64),
        count: i64,
        pointers: bool,
    ) -> Result<(), Status> {
        // SAFETY: the C caller's handle and scalars.
        let handle = unsafe { Handle::from_raw(self.handle) }?;
        let ops = (
            Operation::try_from(self.ops.0)?,
            Operation::try_from(self.ops.1)?,
        );
        let formats = self.formats?;
        // SAFETY: as above.
        let scalars = unsafe { scalars(handle, formats.scale, self.alpha, self.beta) }?;
        let matrix = |(address, ld, batch): (Input, i64, i64)| Matrix {
            address: address as u64,
            ld,
            batch,
        };
        Gemm {
            ops,
            size: self.size,
            formats,
            scalars,
            a: matrix(a),
            b: matrix(b),
            c: matrix((c.0, c.1, c.2)),
            count,
            pointers,
        }
        .run(handle)
    }
}

fn formats(a: i32, b: i32, c: i32, compute: i32) -> Result<Formats, Status> {
    Formats::of(
        DataType::try_from(a)?,
        DataType::try_from(b)?,
        DataType::try_from(c)?,
        ComputeType::try_from(compute)?,
    )
}

family! {
    /// `C = alpha * op(A) * op(B) + beta * C`
    [
        cublasSgemm_v2 cublasSgemm_v2_64 F32;
        cublasDgemm_v2 cublasDgemm_v2_64 F64;
        cublasCgemm_v2 cublasCgemm_v2_64 C32;
        cublasZgemm_v2 cublasZgemm_v2_64 C64;
        cublasHgemm cublasHgemm_64 F16;
        cublasCgemm3m cublasCgemm3m_64 C32;
        cublasZgemm3m cublasZgemm3m_64 C64;
    ]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, lda: int,
     b: Input, ldb: int, beta: Input, c: Output, ldc: int) |element| {
        let size = (m.into(), n.into(), k.into());
        Call { handle, ops: (transa, transb), size, alpha, beta, formats: Ok(Formats::uniform(element)) }
            .run((a, lda.into(), 0), (b, ldb.into(), 0), (c, ldc.into(), 0), 1, false)
    }
}

family! {
    /// The same for a batch of matrices, whose addresses lie in device memory.
    [
        cublasSgemmBatched cublasSgemmBatched_64 F32;
        cublasDgemmBatched cublasDgemmBatched_64 F64;
        cublasCgemmBatched cublasCgemmBatched_64 C32;
        cublasCgemm3mBatched cublasCgemm3mBatched_64 C32;
        cublasZgemmBatched cublasZgemmBatched_64 C64;
        cublasHgemmBatched cublasHgemmBatched_64 F16;
    ]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, lda: int,
     b: Input, ldb: int, beta: Input, c: Output, ldc: int, count: int) |element| {
        let size = (m.into(), n.into(), k.into());
        Call { handle, ops: (transa, transb), size, alpha, beta, formats: Ok(Formats::uniform(element)) }
            .run((a, lda.into(), 0), (b, ldb.into(), 0), (c, ldc.into(), 0), count.into(), true)
    }
}

family! {
    /// The same for a batch of matrices at a constant distance.
    [
        cublasSgemmStridedBatched cublasSgemmStridedBatched_64 F32;
        cublasDgemmStridedBatched cublasDgemmStridedBatched_64 F64;
        cublasCgemmStridedBatched cublasCgemmStridedBatched_64 C32;
        cublasCgemm3mStridedBatched cublasCgemm3mStridedBatched_64 C32;
        cublasZgemmStridedBatched cublasZgemmStridedBatched_64 C64;
        cublasHgemmStridedBatched cublasHgemmStridedBatched_64 F16;
    ]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, lda: int,
     stride_a: i64, b: Input, ldb: int, stride_b: i64, beta: Input, c: Output, ldc: int, stride_c: i64,
     count: int) |element| {
        let size = (m.into(), n.into(), k.into());
        let (a, b, c) = ((a, lda.into(), stride_a), (b, ldb.into(), stride_b), (c, ldc.into(), stride_c));
        Call { handle, ops: (transa, transb), size, alpha, beta, formats: Ok(Formats::uniform(element)) }
            .run(a, b, c, count.into(), false)
    }
}

family! {
    /// A product with free number formats. The algorithm is a hint and not looked at.
    [cublasGemmEx cublasGemmEx_64 F32;]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, a_type: i32,
     lda: int, b: Input, b_type: i32, ldb: int, beta: Input, c: Output, c_type: i32, ldc: int, compute: i32,
     _algo: i32) |_element| {
        let size = (m.into(), n.into(), k.into());
        let formats = formats(a_type, b_type, c_type, compute);
        Call { handle, ops: (transa, transb), size, alpha, beta, formats }
            .run((a, lda.into(), 0), (b, ldb.into(), 0), (c, ldc.into(), 0), 1, false)
    }
}

family! {
    /// A batch of products with free number formats; the matrices' addresses lie in device memory.
    [cublasGemmBatchedEx cublasGemmBatchedEx_64 F32;]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, a_type: i32,
     lda: int, b: Input, b_type: i32, ldb: int, beta: Input, c: Output, c_type: i32, ldc: int, count: int,
     compute: i32, _algo: i32) |_element| {
        let size = (m.into(), n.into(), k.into());
        let formats = formats(a_type, b_type, c_type, compute);
        Call { handle, ops: (transa, transb), size, alpha, beta, formats }
            .run((a, lda.into(), 0), (b, ldb.into(), 0), (c, ldc.into(), 0), count.into(), true)
    }
}

family! {
    /// A batch of products with free number formats and matrices at a constant distance.
    [cublasGemmStridedBatchedEx cublasGemmStridedBatchedEx_64 F32;]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, a_type: i32,
     lda: int, stride_a: i64, b: Input, b_type: i32, ldb: int, stride_b: i64, beta: Input, c: Output, c_type: i32,
     ldc: int, stride_c: i64, count: int, compute: i32, _algo: i32) |_element| {
        let size = (m.into(), n.into(), k.into());
        let formats = formats(a_type, b_type, c_type, compute);
        let (a, b, c) = ((a, lda.into(), stride_a), (b, ldb.into(), stride_b), (c, ldc.into(), stride_c));
        Call { handle, ops: (transa, transb), size, alpha, beta, formats }.run(a, b, c, count.into(), false)
    }
}

family! {
    /// A product in single precision with free formats of the matrices.
    [cublasSgemmEx cublasSgemmEx_64 F32; cublasCgemmEx cublasCgemmEx_64 C32; cublasCgemm3mEx cublasCgemm3mEx_64 C32;]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, k: int, alpha: Input, a: Input, a_type: i32,
     lda: int, b: Input, b_type: i32, ldb: int, beta: Input, c: Output, c_type: i32, ldc: int) |element| {
        let size = (m.into(), n.into(), k.into());
        let formats = formats(a_type, b_type, c_type, ComputeType::C32F as i32).and_then(|formats| {
            let fits = (formats.scale == Element::C32) == (element == Element::C32);
            fits.then_some(formats).ok_or(Status::NotSupported)
        });
        Call { handle, ops: (transa, transb), size, alpha, beta, formats }
            .run((a, lda.into(), 0), (b, ldb.into(), 0), (c, ldc.into(), 0), 1, false)
    }
}

/// The arrays that describe groups of products, on the host but for the arrays of addresses.
struct Groups<'a, T> {
    ops: (&'a [i32], &'a [i32]),
    size: [&'a [T]; 3],
    ld: [&'a [T]; 3],
    count: &'a [T],
    alpha: Input,
    beta: Input,
    a: Input,
    b: Input,
    c: Output,
}

/// The slice behind a pointer of the C caller.
unsafe fn slice<'a, T>(array: *const T, count: usize) -> Result<&'a [T], Status> {
    if array.is_null() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the C caller promises that many.
    Ok(unsafe { std::slice::from_raw_parts(array, count) })
}

impl<T: Copy + Into<i64>> Groups<'_, T> {
    /// One batch for each group.
    unsafe fn run(self, handle: *const Handle, formats: Formats) -> Result<(), Status> {
        // SAFETY: the C caller's handle.
        let mode = unsafe { Handle::from_raw(handle) }?
            .state
            .lock()
            .pointer_mode;
        if mode == PointerMode::Device {
            tracing::warn!("groups of products with scalars in device memory are not supported");
            return Err(Status::NotSupported);
        }
        if self.alpha.is_null() || self.beta.is_null() {
            return Err(Status::InvalidValue);
        }
        let mut first = 0usize;
        for (group, &count) in self.count.iter().enumerate() {
            let count: i64 = count.into();
            let skip = usize::try_from(count).map_err(|_| Status::InvalidValue)?;
            let address = |array: Input| {
                let at = array.cast::<u64>().wrapping_add(first);
                if array.is_null() {
                    array
                } else {
                    at.cast()
                }
            };
            let scale = |array: Input| array.wrapping_byte_add(group * formats.scale.size());
            let matrix = |array, side: usize| (address(array), self.ld[side][group].into(), 0);
            let (c, ldc, batch) = matrix(self.c.cast_const(), 2);
            let call = Call {
                handle,
                ops: (self.ops.0[group], self.ops.1[group]),
                size: (
                    self.size[0][group].into(),
                    self.size[1][group].into(),
                    self.size[2][group].into(),
                ),
                alpha: scale(self.alpha),
                beta: scale(self.beta),
                formats: Ok(formats),
            };
            let (a, b) = (matrix(self.a, 0), matrix(self.b, 1));
            // SAFETY: as above.
            unsafe { call.run(a, b, (c.cast_mut(), ldc, batch), count, true) }?;
            first += skip;
        }
        Ok(())
    }
}

family! {
    /// Groups of products, each a batch with sizes of its own (cuBLAS documentation, `cublas<t>gemmGroupedBatched()`).
    [
        cublasSgemmGroupedBatched cublasSgemmGroupedBatched_64 F32;
        cublasDgemmGroupedBatched cublasDgemmGroupedBatched_64 F64;
    ]
    (handle: *const Handle, transa: *const i32, transb: *const i32, m: *const int, n: *const int, k: *const int,
     alpha: Input, a: Input, lda: *const int, b: Input, ldb: *const int, beta: Input, c: Output, ldc: *const int,
     groups: int, sizes: *const int) |e| {
        let groups = usize::try_from(groups).map_err(|_| Status::InvalidValue)?;
        if groups == 0 {
            return Ok(());
        }
        Groups {
            ops: (slice(transa, groups)?, slice(transb, groups)?),
            size: [slice(m, groups)?, slice(n, groups)?, slice(k, groups)?],
            ld: [slice(lda, groups)?, slice(ldb, groups)?, slice(ldc, groups)?],
            count: slice(sizes, groups)?,
            alpha, beta, a, b, c,
        }
        .run(handle, Formats::uniform(e))
    }
}

family! {
    /// Groups of products with free number formats (cuBLAS documentation, "cublasGemmGroupedBatchedEx()").
    [cublasGemmGroupedBatchedEx cublasGemmGroupedBatchedEx_64 F32;]
    (handle: *const Handle, transa: *const i32, transb: *const i32, m: *const int, n: *const int, k: *const int,
     alpha: Input, a: Input, a_type: i32, lda: *const int, b: Input, b_type: i32, ldb: *const int, beta: Input,
     c: Output, c_type: i32, ldc: *const int, groups: int, sizes: *const int, compute: i32) |_element| {
        let groups = usize::try_from(groups).map_err(|_| Status::InvalidValue)?;
        let formats = formats(a_type, b_type, c_type, compute)?;
        if groups == 0 {
            return Ok(());
        }
        Groups {
            ops: (slice(transa, groups)?, slice(transb, groups)?),
            size: [slice(m, groups)?, slice(n, groups)?, slice(k, groups)?],
            ld: [slice(lda, groups)?, slice(ldb, groups)?, slice(ldc, groups)?],
            count: slice(sizes, groups)?,
            alpha, beta, a, b, c,
        }
        .run(handle, formats)
    }
}
