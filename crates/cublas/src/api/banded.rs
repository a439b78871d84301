//! Matrices in band and in packed storage: `gbmv`, `sbmv`, `hbmv`, `spmv`, `hpmv`, `tbmv`, `tbsv`, `tpmv`, `tpsv`, `spr`,
//! `hpr`, `spr2`, `hpr2`, and the copies `tpttr` and `trttp`.

use super::level2::real;
use super::{family, scalars, Input, Output};
use crate::banded::{Banded, Storage};
use crate::handle::{Handle, Scalar};
use crate::kernels::banded::Task;
use crate::ptx::Element;
use crate::types::{Diagonal, Fill, Operation, Status};
use crate::vectors::Vector;

fn vector(address: Input, step: i64) -> Vector {
    Vector {
        address: address as u64,
        step,
    }
}

fn lower(fill: i32) -> Result<bool, Status> {
    match Fill::try_from(fill)? {
        Fill::Lower => Ok(true),
        Fill::Upper => Ok(false),
        Fill::Full => Err(Status::InvalidValue),
    }
}

/// A square matrix of order `n` with everything else still to be said.
fn square(
    task: Task,
    element: Element,
    (a, storage): (Input, Storage),
    n: i64,
    x: Vector,
) -> Banded {
    Banded {
        task,
        element,
        alpha: element,
        scalars: (Scalar::value(1.0), Scalar::value(0.0)),
        a: a as u64,
        storage,
        size: (n, n),
        reach: (n.max(0), n.max(0)),
        lower: false,
        transposed: false,
        conjugate: false,
        unit: false,
        hermitian: false,
        x,
        y: None,
    }
}

family! {
    /// `y = alpha * op(A) * x + beta * y` with a band matrix (cuBLAS documentation, `cublas<t>gbmv()`).
    [
        cublasSgbmv_v2 cublasSgbmv_v2_64 F32;
        cublasDgbmv_v2 cublasDgbmv_v2_64 F64;
        cublasCgbmv_v2 cublasCgbmv_v2_64 C32;
        cublasZgbmv_v2 cublasZgbmv_v2_64 C64;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, kl: int, ku: int, alpha: Input, a: Input, lda: int, x: Input,
     incx: int, beta: Input, y: Output, incy: int) |e| {
        let handle = Handle::from_raw(handle)?;
        let op = Operation::try_from(trans)?;
        Banded {
            scalars: scalars(handle, e, alpha, beta)?,
            size: (m.into(), n.into()),
            reach: (kl.into(), ku.into()),
            transposed: op.transposes(),
            conjugate: op.conjugates(),
            y: Some(vector(y, incy.into())),
            ..square(Task::General, e, (a, Storage::Band(lda.into())), n.into(), vector(x, incx.into()))
        }
        .run(handle)
    }
}

/// `y = alpha * A * x + beta * y` with a symmetric or Hermitian matrix; a packed one has no band.
unsafe fn symmetric(
    handle: *const Handle,
    (element, hermitian): (Element, bool),
    uplo: i32,
    (n, band): (i64, Option<i64>),
    (alpha, beta): (Input, Input),
    matrix: (Input, Storage),
    (x, y): (Vector, Vector),
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and scalars.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        let band = band.unwrap_or(n.max(0));
        Banded {
            scalars: scalars(handle, element, alpha, beta)?,
            reach: (band, band),
            lower: lower(uplo)?,
            hermitian,
            y: Some(y),
            ..square(Task::Symmetric, element, matrix, n, x)
        }
        .run(handle)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a symmetric band matrix (cuBLAS documentation, `cublas<t>sbmv()`).
    [cublasSsbmv_v2 cublasSsbmv_v2_64 F32; cublasDsbmv_v2 cublasDsbmv_v2_64 F64;]
    (handle: *const Handle, uplo: i32, n: int, k: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int) |e| {
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        let matrix = (a, Storage::Band(lda.into()));
        symmetric(handle, (e, false), uplo, (n.into(), Some(k.into())), (alpha, beta), matrix, vectors)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a Hermitian band matrix (cuBLAS documentation, `cublas<t>hbmv()`).
    [cublasChbmv_v2 cublasChbmv_v2_64 C32; cublasZhbmv_v2 cublasZhbmv_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, k: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int) |e| {
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        let matrix = (a, Storage::Band(lda.into()));
        symmetric(handle, (e, true), uplo, (n.into(), Some(k.into())), (alpha, beta), matrix, vectors)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a packed symmetric matrix (cuBLAS documentation, `cublas<t>spmv()`).
    [cublasSspmv_v2 cublasSspmv_v2_64 F32; cublasDspmv_v2 cublasDspmv_v2_64 F64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, a: Input, x: Input, incx: int, beta: Input, y: Output,
     incy: int) |e| {
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        symmetric(handle, (e, false), uplo, (n.into(), None), (alpha, beta), (a, Storage::Packed), vectors)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a packed Hermitian matrix (cuBLAS documentation, `cublas<t>hpmv()`).
    [cublasChpmv_v2 cublasChpmv_v2_64 C32; cublasZhpmv_v2 cublasZhpmv_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, a: Input, x: Input, incx: int, beta: Input, y: Output,
     incy: int) |e| {
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        symmetric(handle, (e, true), uplo, (n.into(), None), (alpha, beta), (a, Storage::Packed), vectors)
    }
}

/// `x = op(A) * x` or `x = op(A)^-1 * x` with a triangular matrix; a packed one has no band.
unsafe fn triangular(
    handle: *const Handle,
    (task, element): (Task, Element),
    (uplo, trans, diag): (i32, i32, i32),
    (n, band): (i64, Option<i64>),
    matrix: (Input, Storage),
    x: Vector,
) -> Result<(), Status> {
    // SAFETY: the C caller's handle.
    let handle = unsafe { Handle::from_raw(handle) }?;
    let op = Operation::try_from(trans)?;
    let band = band.unwrap_or(n.max(0));
    Banded {
        reach: (band, band),
        lower: lower(uplo)?,
        transposed: op.transposes(),
        conjugate: op.conjugates(),
        unit: Diagonal::try_from(diag)? == Diagonal::Unit,
        ..square(task, element, matrix, n, x)
    }
    .run(handle)
}

family! {
    /// `x = op(A) * x` with a triangular band matrix (cuBLAS documentation, `cublas<t>tbmv()`).
    [
        cublasStbmv_v2 cublasStbmv_v2_64 F32;
        cublasDtbmv_v2 cublasDtbmv_v2_64 F64;
        cublasCtbmv_v2 cublasCtbmv_v2_64 C32;
        cublasZtbmv_v2 cublasZtbmv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, k: int, a: Input, lda: int, x: Output,
     incx: int) |e| {
        let (matrix, x) = ((a, Storage::Band(lda.into())), vector(x, incx.into()));
        triangular(handle, (Task::Multiply, e), (uplo, trans, diag), (n.into(), Some(k.into())), matrix, x)
    }
}

family! {
    /// `x = op(A)^-1 * x` with a triangular band matrix (cuBLAS documentation, `cublas<t>tbsv()`).
    [
        cublasStbsv_v2 cublasStbsv_v2_64 F32;
        cublasDtbsv_v2 cublasDtbsv_v2_64 F64;
        cublasCtbsv_v2 cublasCtbsv_v2_64 C32;
        cublasZtbsv_v2 cublasZtbsv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, k: int, a: Input, lda: int, x: Output,
     incx: int) |e| {
        let (matrix, x) = ((a, Storage::Band(lda.into())), vector(x, incx.into()));
        triangular(handle, (Task::Solve, e), (uplo, trans, diag), (n.into(), Some(k.into())), matrix, x)
    }
}

family! {
    /// `x = op(A) * x` with a packed triangular matrix (cuBLAS documentation, `cublas<t>tpmv()`).
    [
        cublasStpmv_v2 cublasStpmv_v2_64 F32;
        cublasDtpmv_v2 cublasDtpmv_v2_64 F64;
        cublasCtpmv_v2 cublasCtpmv_v2_64 C32;
        cublasZtpmv_v2 cublasZtpmv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, a: Input, x: Output, incx: int) |e| {
        let (matrix, x) = ((a, Storage::Packed), vector(x, incx.into()));
        triangular(handle, (Task::Multiply, e), (uplo, trans, diag), (n.into(), None), matrix, x)
    }
}

family! {
    /// `x = op(A)^-1 * x` with a packed triangular matrix (cuBLAS documentation, `cublas<t>tpsv()`).
    [
        cublasStpsv_v2 cublasStpsv_v2_64 F32;
        cublasDtpsv_v2 cublasDtpsv_v2_64 F64;
        cublasCtpsv_v2 cublasCtpsv_v2_64 C32;
        cublasZtpsv_v2 cublasZtpsv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, a: Input, x: Output, incx: int) |e| {
        let (matrix, x) = ((a, Storage::Packed), vector(x, incx.into()));
        triangular(handle, (Task::Solve, e), (uplo, trans, diag), (n.into(), None), matrix, x)
    }
}

/// An update of a packed triangle by one or two vectors.
unsafe fn update(
    handle: *const Handle,
    (element, hermitian): (Element, bool),
    uplo: i32,
    n: i64,
    alpha: Input,
    (x, y): (Vector, Option<Vector>),
    a: Output,
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and scalar.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        let scale = if hermitian && y.is_none() {
            real(element)
        } else {
            element
        };
        let mode = handle.state.lock().pointer_mode;
        let task = if y.is_some() {
            Task::Update2
        } else {
            Task::Update
        };
        Banded {
            alpha: scale,
            scalars: (Scalar::from_raw(mode, scale, alpha)?, Scalar::value(1.0)),
            lower: lower(uplo)?,
            hermitian,
            y,
            ..square(task, element, (a, Storage::Packed), n, x)
        }
        .run(handle)
    }
}

family! {
    /// `A = alpha * x * x^T + A` on a packed triangle (cuBLAS documentation, `cublas<t>spr()`).
    [cublasSspr_v2 cublasSspr_v2_64 F32; cublasDspr_v2 cublasDspr_v2_64 F64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, a: Output) |e| {
        update(handle, (e, false), uplo, n.into(), alpha, (vector(x, incx.into()), None), a)
    }
}

family! {
    /// `A = alpha * x * x^H + A` on a packed triangle, with a real `alpha` (cuBLAS documentation, `cublas<t>hpr()`).
    [cublasChpr_v2 cublasChpr_v2_64 C32; cublasZhpr_v2 cublasZhpr_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, a: Output) |e| {
        update(handle, (e, true), uplo, n.into(), alpha, (vector(x, incx.into()), None), a)
    }
}

family! {
    /// `A = alpha * (x * y^T + y * x^T) + A` on a packed triangle (cuBLAS documentation, `cublas<t>spr2()`).
    [cublasSspr2_v2 cublasSspr2_v2_64 F32; cublasDspr2_v2 cublasDspr2_v2_64 F64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output) |e| {
        let vectors = (vector(x, incx.into()), Some(vector(y, incy.into())));
        update(handle, (e, false), uplo, n.into(), alpha, vectors, a)
    }
}

family! {
    /// `A = alpha * x * y^H + conj(alpha) * y * x^H + A` on a packed triangle (cuBLAS documentation, `cublas<t>hpr2()`).
    [cublasChpr2_v2 cublasChpr2_v2_64 C32; cublasZhpr2_v2 cublasZhpr2_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output) |e| {
        let vectors = (vector(x, incx.into()), Some(vector(y, incy.into())));
        update(handle, (e, true), uplo, n.into(), alpha, vectors, a)
    }
}

/// A copy of a triangle between packed and full storage.
unsafe fn copy(
    handle: *const Handle,
    (task, element): (Task, Element),
    uplo: i32,
    n: i64,
    packed: Input,
    (full, ld): (Input, i64),
) -> Result<(), Status> {
    // SAFETY: the C caller's handle.
    let handle = unsafe { Handle::from_raw(handle) }?;
    if ld < n.max(1) {
        return Err(Status::InvalidValue);
    }
    Banded {
        lower: lower(uplo)?,
        ..square(
            task,
            element,
            (packed, Storage::Packed),
            n,
            vector(full, ld),
        )
    }
    .run(handle)
}

family! {
    /// Copies a packed triangle to a matrix (cuBLAS documentation, `cublas<t>tpttr()`).
    [cublasStpttr F32; cublasDtpttr F64; cublasCtpttr C32; cublasZtpttr C64;]
    (handle: *const Handle, uplo: i32, n: int, packed: Input, a: Output, lda: int) |e| {
        copy(handle, (Task::Unpack, e), uplo, n.into(), packed, (a, lda.into()))
    }
}

family! {
    /// Copies a triangle of a matrix to a packed one (cuBLAS documentation, `cublas<t>trttp()`).
    [cublasStrttp F32; cublasDtrttp F64; cublasCtrttp C32; cublasZtrttp C64;]
    (handle: *const Handle, uplo: i32, n: int, a: Input, lda: int, packed: Output) |e| {
        copy(handle, (Task::Pack, e), uplo, n.into(), packed, (a, lda.into()))
    }
}
