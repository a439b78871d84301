//! Batches of small systems.

use super::{family, Input, Output};
use crate::handle::Handle;
use crate::lu::Batch;
use crate::ptx::Element;
use crate::types::{Operation, Status};

fn batch(element: Element, size: i32, a: (Input, i32), pivots: Input, count: i32) -> Batch {
    Batch {
        element,
        size: size.into(),
        a: (a.0 as u64, a.1.into()),
        pivots: pivots as u64,
        count: count.into(),
    }
}

family! {
    /// `P * A = L * U` for each matrix, in place; without `pivots` no rows change places.
    [cublasSgetrfBatched F32; cublasDgetrfBatched F64; cublasCgetrfBatched C32; cublasZgetrfBatched C64;]
    (handle: *const Handle, n: int, a: Input, lda: int, pivots: Output, info: Output, count: int) |e| {
        batch(e, n, (a, lda), pivots, count).factor(Handle::from_raw(handle)?, info as u64)
    }
}

family! {
    /// `op(A) * X = B` with factors; `X` overwrites `B`. `info`, on the host, tells of wrong arguments, counted from 1.
    [cublasSgetrsBatched F32; cublasDgetrsBatched F64; cublasCgetrsBatched C32; cublasZgetrsBatched C64;]
    (handle: *const Handle, trans: i32, n: int, columns: int, a: Input, lda: int, pivots: Input, b: Input, ldb: int,
     info: *mut i32, count: int) |e| {
        let handle = Handle::from_raw(handle)?;
        if info.is_null() {
            return Err(Status::InvalidValue);
        }
        // Numbers of parameters as cuBLAS counts them, the handle left out.
        let wrong = [
            (1, Operation::try_from(trans).is_err()),
            (2, n < 0),
            (3, columns < 0),
            (5, lda < n.max(1)),
            (8, ldb < n.max(1)),
            (10, count < 0),
        ];
        let wrong = wrong.iter().find(|(_, wrong)| *wrong);
        info.write(wrong.map_or(0, |(number, _)| -number));
        let op = Operation::try_from(trans)?;
        batch(e, n, (a, lda), pivots, count).solve(handle, op, (b as u64, ldb.into()), columns.into())
    }
}

family! {
    /// The inverse of each matrix, of its factors.
    [cublasSgetriBatched F32; cublasDgetriBatched F64; cublasCgetriBatched C32; cublasZgetriBatched C64;]
    (handle: *const Handle, n: int, a: Input, lda: int, pivots: Input, c: Input, ldc: int, info: Output, count: int) |e| {
        batch(e, n, (a, lda), pivots, count).invert(Handle::from_raw(handle)?, (c as u64, ldc.into()), info as u64)
    }
}

family! {
    /// The inverse of each matrix of at most 32 rows, which is no factor and stays as it is.
    [cublasSmatinvBatched F32; cublasDmatinvBatched F64; cublasCmatinvBatched C32; cublasZmatinvBatched C64;]
    (handle: *const Handle, n: int, a: Input, lda: int, c: Input, ldc: int, info: Output, count: int) |e| {
        batch(e, n, (a, lda), std::ptr::null(), count).invert_whole(Handle::from_raw(handle)?, (c as u64, ldc.into()), info as u64)
    }
}
