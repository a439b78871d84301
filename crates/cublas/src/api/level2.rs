//! A matrix and vectors: `gemv`, `ger`, `symv`, `hemv`, `syr`, `her`, `syr2`, `her2`, `trmv`, `trsv`, `gemv` in batches.

use super::{family, scalars, Input, Output};
use crate::gemm::{Formats, Matrix, Operand, Product};
use crate::handle::{Handle, Scalar};
use crate::kernels::gemm_direct::{Layout, Triangle};
use crate::kernels::triangular::Task;
use crate::ptx::{Arithmetic, Element};
use crate::structured::Symmetric;
use crate::triangular::Triangular;
use crate::types::{Diagonal, Fill, Operation, Side, Status};
use crate::vectors::Vector;

/// A dimension that a kernel takes.
fn size(value: i64) -> Result<u32, Status> {
    let value = u32::try_from(value).map_err(|_| Status::InvalidValue)?;
    if value > i32::MAX as u32 {
        tracing::warn!("a dimension of 2^31 or more is not supported");
        return Err(Status::NotSupported);
    }
    Ok(value)
}

/// The arguments of `y = alpha * op(A) * x + beta * y`.
struct Gemv {
    handle: *const Handle,
    op: i32,
    size: (i64, i64),
    formats: Formats,
    alpha: Input,
    beta: Input,
    a: Matrix,
    x: Matrix,
    y: Matrix,
    count: i64,
    pointers: bool,
}

impl Gemv {
    unsafe fn run(self) -> Result<(), Status> {
        // SAFETY: the C caller's handle and scalars.
        let handle = unsafe { Handle::from_raw(self.handle) }?;
        let op = Operation::try_from(self.op)?;
        let (m, n) = (size(self.size.0)?, size(self.size.1)?);
        if self.a.ld < i64::from(m.max(1)) || self.x.ld == 0 || self.y.ld == 0 || self.count < 0 {
            return Err(Status::InvalidValue);
        }
        // SAFETY: as above.
        let (alpha, beta) = unsafe { scalars(handle, self.formats.scale, self.alpha, self.beta) }?;
        if m == 0 || n == 0 || self.count == 0 {
            return Ok(());
        }
        let reads = !alpha.is(0.0);
        if self.y.address == 0 || (reads && (self.a.address == 0 || self.x.address == 0)) {
            return Err(Status::InvalidValue);
        }
        let (length_x, length_y) = if op.transposes() { (m, n) } else { (n, m) };
        if self.pointers && (self.x.ld < 0 || self.y.ld < 0) {
            tracing::warn!(
                "a batch of matrix-vector products with a negative increment is not supported"
            );
            return Err(Status::NotSupported);
        }
        let first = |vector: Matrix, length: u32, element: Element| {
            let address = Vector {
                address: vector.address,
                step: vector.ld,
            }
            .first(i64::from(length), element);
            Matrix {
                address: if self.pointers {
                    vector.address
                } else {
                    address
                },
                ..vector
            }
        };
        // The transposed product: a row of C is x transposed times op(A) transposed.
        let layout = if op.transposes() {
            Layout::Depth
        } else {
            Layout::Edge
        };
        Product {
            size: (1, length_y, if reads { length_x } else { 0 }),
            formats: self.formats,
            scalars: (alpha, beta),
            a: Operand {
                matrix: first(self.x, length_x, self.formats.ab),
                layout: Layout::Edge,
                conjugate: false,
            },
            b: Operand {
                matrix: self.a,
                layout,
                conjugate: op.conjugates(),
            },
            c: first(self.y, length_y, self.formats.c),
            count: self.count as u64,
            pointers: self.pointers,
            ..Product::default()
        }
        .run(handle)
    }
}

fn matrix(address: Input, ld: i64, batch: i64) -> Matrix {
    Matrix {
        address: address as u64,
        ld,
        batch,
    }
}

family! {
    /// `y = alpha * op(A) * x + beta * y`
    [
        cublasSgemv_v2 cublasSgemv_v2_64 F32;
        cublasDgemv_v2 cublasDgemv_v2_64 F64;
        cublasCgemv_v2 cublasCgemv_v2_64 C32;
        cublasZgemv_v2 cublasZgemv_v2_64 C64;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: Formats::uniform(e), alpha, beta,
            a: matrix(a, lda.into(), 0), x: matrix(x, incx.into(), 0), y: matrix(y, incy.into(), 0),
            count: 1, pointers: false,
        }
        .run()
    }
}

family! {
    /// The same for a batch whose addresses lie in device memory.
    [
        cublasSgemvBatched cublasSgemvBatched_64 F32;
        cublasDgemvBatched cublasDgemvBatched_64 F64;
        cublasCgemvBatched cublasCgemvBatched_64 C32;
        cublasZgemvBatched cublasZgemvBatched_64 C64;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: Formats::uniform(e), alpha, beta,
            a: matrix(a, lda.into(), 0), x: matrix(x, incx.into(), 0), y: matrix(y, incy.into(), 0),
            count: count.into(), pointers: true,
        }
        .run()
    }
}

family! {
    /// The same for a batch at constant distances.
    [
        cublasSgemvStridedBatched cublasSgemvStridedBatched_64 F32;
        cublasDgemvStridedBatched cublasDgemvStridedBatched_64 F64;
        cublasCgemvStridedBatched cublasCgemvStridedBatched_64 C32;
        cublasZgemvStridedBatched cublasZgemvStridedBatched_64 C64;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, stride_a: i64, x: Input,
     incx: int, stride_x: i64, beta: Input, y: Output, incy: int, stride_y: i64, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: Formats::uniform(e), alpha, beta,
            a: matrix(a, lda.into(), stride_a), x: matrix(x, incx.into(), stride_x),
            y: matrix(y, incy.into(), stride_y), count: count.into(), pointers: false,
        }
        .run()
    }
}

/// Formats of a product of 16-bit numbers in single precision.
fn mixed(ab: Element, c: Element) -> Formats {
    Formats {
        ab,
        c,
        scale: Element::F32,
        arithmetic: Arithmetic::F32,
    }
}

family! {
    /// A batch of half precision in single precision (cuBLAS documentation, `cublas<t>gemvBatched()`).
    [cublasHSHgemvBatched cublasHSHgemvBatched_64 F16; cublasHSSgemvBatched cublasHSSgemvBatched_64 F32;]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: mixed(Element::F16, e), alpha, beta,
            a: matrix(a, lda.into(), 0), x: matrix(x, incx.into(), 0), y: matrix(y, incy.into(), 0),
            count: count.into(), pointers: true,
        }
        .run()
    }
}

family! {
    /// A batch of bfloat16 in single precision (cuBLAS documentation, `cublas<t>gemvBatched()`).
    [cublasTSTgemvBatched cublasTSTgemvBatched_64 BF16; cublasTSSgemvBatched cublasTSSgemvBatched_64 F32;]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int,
     beta: Input, y: Output, incy: int, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: mixed(Element::BF16, e), alpha, beta,
            a: matrix(a, lda.into(), 0), x: matrix(x, incx.into(), 0), y: matrix(y, incy.into(), 0),
            count: count.into(), pointers: true,
        }
        .run()
    }
}

family! {
    /// Half precision at constant distances (cuBLAS documentation, `cublas<t>gemvStridedBatched()`).
    [
        cublasHSHgemvStridedBatched cublasHSHgemvStridedBatched_64 F16;
        cublasHSSgemvStridedBatched cublasHSSgemvStridedBatched_64 F32;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, stride_a: i64, x: Input,
     incx: int, stride_x: i64, beta: Input, y: Output, incy: int, stride_y: i64, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: mixed(Element::F16, e), alpha, beta,
            a: matrix(a, lda.into(), stride_a), x: matrix(x, incx.into(), stride_x),
            y: matrix(y, incy.into(), stride_y), count: count.into(), pointers: false,
        }
        .run()
    }
}

family! {
    /// bfloat16 at constant distances (cuBLAS documentation, `cublas<t>gemvStridedBatched()`).
    [
        cublasTSTgemvStridedBatched cublasTSTgemvStridedBatched_64 BF16;
        cublasTSSgemvStridedBatched cublasTSSgemvStridedBatched_64 F32;
    ]
    (handle: *const Handle, trans: i32, m: int, n: int, alpha: Input, a: Input, lda: int, stride_a: i64, x: Input,
     incx: int, stride_x: i64, beta: Input, y: Output, incy: int, stride_y: i64, count: int) |e| {
        Gemv {
            handle, op: trans, size: (m.into(), n.into()), formats: mixed(Element::BF16, e), alpha, beta,
            a: matrix(a, lda.into(), stride_a), x: matrix(x, incx.into(), stride_x),
            y: matrix(y, incy.into(), stride_y), count: count.into(), pointers: false,
        }
        .run()
    }
}

/// `C += alpha * x * y^T`, or `x * y^H`, on a part of `C`.
struct Outer {
    handle: *const Handle,
    element: Element,
    /// Whether `alpha` is real in a complex product.
    real: bool,
    size: (i64, i64),
    alpha: Input,
    conjugate_alpha: bool,
    x: Vector,
    y: Vector,
    conjugate_y: bool,
    c: Matrix,
    fill: Option<i32>,
    hermitian: bool,
}

/// The part of a matrix that a fill mode names.
pub(super) fn triangle(fill: i32) -> Result<Triangle, Status> {
    match Fill::try_from(fill)? {
        Fill::Lower => Ok(Triangle::Lower),
        Fill::Upper => Ok(Triangle::Upper),
        Fill::Full => Err(Status::InvalidValue),
    }
}

/// The format of a real number of the same precision.
pub(super) fn real(element: Element) -> Element {
    match element {
        Element::C32 => Element::F32,
        Element::C64 => Element::F64,
        other => other,
    }
}

impl Outer {
    unsafe fn run(self) -> Result<(), Status> {
        // SAFETY: the C caller's handle and scalar.
        let handle = unsafe { Handle::from_raw(self.handle) }?;
        let (m, n) = (size(self.size.0)?, size(self.size.1)?);
        let fill = self.fill.map_or(Ok(Triangle::All), triangle)?;
        if self.c.ld < i64::from(m.max(1)) || self.x.step == 0 || self.y.step == 0 {
            return Err(Status::InvalidValue);
        }
        let mode = handle.state.lock().pointer_mode;
        let scale = if self.real {
            real(self.element)
        } else {
            self.element
        };
        // SAFETY: as above.
        let alpha = unsafe { Scalar::from_raw(mode, scale, self.alpha) }?;
        if m == 0 || n == 0 {
            return Ok(());
        }
        if [self.x.address, self.y.address, self.c.address].contains(&0) {
            return Err(Status::InvalidValue);
        }
        let column = |vector: Vector, count: u32| Matrix {
            address: vector.first(i64::from(count), self.element),
            ld: vector.step,
            batch: 0,
        };
        let formats = Formats {
            scale,
            ..Formats::uniform(self.element)
        };
        // A factor with one column: its numbers are a leading dimension apart.
        Product {
            size: (m, n, if alpha.is(0.0) { 0 } else { 1 }),
            formats,
            scalars: (alpha, Scalar::value(1.0)),
            conjugate_alpha: self.conjugate_alpha,
            a: Operand {
                matrix: column(self.x, m),
                layout: Layout::Depth,
                conjugate: false,
            },
            b: Operand {
                matrix: column(self.y, n),
                layout: Layout::Depth,
                conjugate: self.conjugate_y,
            },
            c: self.c,
            count: 1,
            fill,
            hermitian: self.hermitian,
            ..Product::default()
        }
        .run(handle)
    }
}

family! {
    /// `A = alpha * x * y^T + A`
    [
        cublasSger_v2 cublasSger_v2_64 F32;
        cublasDger_v2 cublasDger_v2_64 F64;
        cublasCgeru_v2 cublasCgeru_v2_64 C32;
        cublasZgeru_v2 cublasZgeru_v2_64 C64;
    ]
    (handle: *const Handle, m: int, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output,
     lda: int) |e| {
        Outer {
            handle, element: e, real: false, size: (m.into(), n.into()), alpha, conjugate_alpha: false,
            x: Vector { address: x as u64, step: incx.into() }, y: Vector { address: y as u64, step: incy.into() },
            conjugate_y: false, c: matrix(a, lda.into(), 0), fill: None, hermitian: false,
        }
        .run()
    }
}

family! {
    /// `A = alpha * x * y^H + A`
    [cublasCgerc_v2 cublasCgerc_v2_64 C32; cublasZgerc_v2 cublasZgerc_v2_64 C64;]
    (handle: *const Handle, m: int, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output,
     lda: int) |e| {
        Outer {
            handle, element: e, real: false, size: (m.into(), n.into()), alpha, conjugate_alpha: false,
            x: Vector { address: x as u64, step: incx.into() }, y: Vector { address: y as u64, step: incy.into() },
            conjugate_y: true, c: matrix(a, lda.into(), 0), fill: None, hermitian: false,
        }
        .run()
    }
}

family! {
    /// `A = alpha * x * x^T + A` on one triangle.
    [
        cublasSsyr_v2 cublasSsyr_v2_64 F32;
        cublasDsyr_v2 cublasDsyr_v2_64 F64;
        cublasCsyr_v2 cublasCsyr_v2_64 C32;
        cublasZsyr_v2 cublasZsyr_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, a: Output, lda: int) |e| {
        let x = Vector { address: x as u64, step: incx.into() };
        Outer {
            handle, element: e, real: false, size: (n.into(), n.into()), alpha, conjugate_alpha: false, x, y: x,
            conjugate_y: false, c: matrix(a, lda.into(), 0), fill: Some(uplo), hermitian: false,
        }
        .run()
    }
}

family! {
    /// `A = alpha * x * x^H + A` on one triangle, with a real `alpha`.
    [cublasCher_v2 cublasCher_v2_64 C32; cublasZher_v2 cublasZher_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, a: Output, lda: int) |e| {
        let x = Vector { address: x as u64, step: incx.into() };
        Outer {
            handle, element: e, real: true, size: (n.into(), n.into()), alpha, conjugate_alpha: false, x, y: x,
            conjugate_y: true, c: matrix(a, lda.into(), 0), fill: Some(uplo), hermitian: true,
        }
        .run()
    }
}

family! {
    /// `A = alpha * (x * y^T + y * x^T) + A` on one triangle.
    [
        cublasSsyr2_v2 cublasSsyr2_v2_64 F32;
        cublasDsyr2_v2 cublasDsyr2_v2_64 F64;
        cublasCsyr2_v2 cublasCsyr2_v2_64 C32;
        cublasZsyr2_v2 cublasZsyr2_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output,
     lda: int) |e| {
        let x = Vector { address: x as u64, step: incx.into() };
        let y = Vector { address: y as u64, step: incy.into() };
        for (x, y) in [(x, y), (y, x)] {
            Outer {
                handle, element: e, real: false, size: (n.into(), n.into()), alpha, conjugate_alpha: false, x, y,
                conjugate_y: false, c: matrix(a, lda.into(), 0), fill: Some(uplo), hermitian: false,
            }
            .run()?;
        }
        Ok(())
    }
}

family! {
    /// `A = alpha * x * y^H + conj(alpha) * y * x^H + A` on one triangle.
    [cublasCher2_v2 cublasCher2_v2_64 C32; cublasZher2_v2 cublasZher2_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, x: Input, incx: int, y: Input, incy: int, a: Output,
     lda: int) |e| {
        let x = Vector { address: x as u64, step: incx.into() };
        let y = Vector { address: y as u64, step: incy.into() };
        for (x, y, last) in [(x, y, false), (y, x, true)] {
            Outer {
                handle, element: e, real: false, size: (n.into(), n.into()), alpha, conjugate_alpha: last, x, y,
                conjugate_y: true, c: matrix(a, lda.into(), 0), fill: Some(uplo), hermitian: last,
            }
            .run()?;
        }
        Ok(())
    }
}

/// `y = alpha * A * x + beta * y` with a symmetric or Hermitian `A`.
unsafe fn symmetric(
    handle: *const Handle,
    (element, hermitian): (Element, bool),
    uplo: i32,
    n: i64,
    (alpha, beta): (Input, Input),
    (a, lda): (Input, i64),
    (x, incx): (Input, i64),
    (y, incy): (Output, i64),
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and scalars.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        if incx == 0 || incy == 0 || n < 0 || lda < n.max(1) {
            return Err(Status::InvalidValue);
        }
        let scalars = scalars(handle, element, alpha, beta)?;
        let vector = |address: u64, step| (Vector { address, step }.first(n, element), step, 0);
        Symmetric {
            fill: Fill::try_from(uplo)?,
            side: Side::Left,
            hermitian,
            element,
            size: (n, 1),
            scalars,
            s: matrix(a, lda, 0),
            x: vector(x as u64, incx),
            c: vector(y as u64, incy),
        }
        .run(handle)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a symmetric `A`.
    [
        cublasSsymv_v2 cublasSsymv_v2_64 F32;
        cublasDsymv_v2 cublasDsymv_v2_64 F64;
        cublasCsymv_v2 cublasCsymv_v2_64 C32;
        cublasZsymv_v2 cublasZsymv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int, beta: Input,
     y: Output, incy: int) |e| {
        let (a, x, y) = ((a, lda.into()), (x, incx.into()), (y, incy.into()));
        symmetric(handle, (e, false), uplo, n.into(), (alpha, beta), a, x, y)
    }
}

family! {
    /// `y = alpha * A * x + beta * y` with a Hermitian `A`.
    [cublasChemv_v2 cublasChemv_v2_64 C32; cublasZhemv_v2 cublasZhemv_v2_64 C64;]
    (handle: *const Handle, uplo: i32, n: int, alpha: Input, a: Input, lda: int, x: Input, incx: int, beta: Input,
     y: Output, incy: int) |e| {
        let (a, x, y) = ((a, lda.into()), (x, incx.into()), (y, incy.into()));
        symmetric(handle, (e, true), uplo, n.into(), (alpha, beta), a, x, y)
    }
}

/// `x = op(A) * x` or `x = op(A)^-1 * x`.
unsafe fn triangular(
    handle: *const Handle,
    task: Task,
    element: Element,
    (uplo, trans, diag): (i32, i32, i32),
    n: i64,
    (a, lda): (Input, i64),
    (x, incx): (Output, i64),
) -> Result<(), Status> {
    // SAFETY: the C caller's handle.
    let handle = unsafe { Handle::from_raw(handle) }?;
    let vector = Matrix {
        address: x as u64,
        ld: n.max(1),
        batch: 0,
    };
    Triangular {
        task,
        side: Side::Left,
        fill: Fill::try_from(uplo)?,
        op: Operation::try_from(trans)?,
        diagonal: Diagonal::try_from(diag)?,
        size: (n, 1),
        element,
        alpha: Scalar::value(1.0),
        a: matrix(a, lda, 0),
        b: vector,
        c: vector,
        step: incx,
        count: 1,
        pointers: false,
    }
    .run(handle)
}

family! {
    /// `x = op(A) * x` with a triangular `A`.
    [
        cublasStrmv_v2 cublasStrmv_v2_64 F32;
        cublasDtrmv_v2 cublasDtrmv_v2_64 F64;
        cublasCtrmv_v2 cublasCtrmv_v2_64 C32;
        cublasZtrmv_v2 cublasZtrmv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, a: Input, lda: int, x: Output, incx: int) |e| {
        triangular(handle, Task::Multiply, e, (uplo, trans, diag), n.into(), (a, lda.into()), (x, incx.into()))
    }
}

family! {
    /// `x = op(A)^-1 * x` with a triangular `A`.
    [
        cublasStrsv_v2 cublasStrsv_v2_64 F32;
        cublasDtrsv_v2 cublasDtrsv_v2_64 F64;
        cublasCtrsv_v2 cublasCtrsv_v2_64 C32;
        cublasZtrsv_v2 cublasZtrsv_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, diag: i32, n: int, a: Input, lda: int, x: Output, incx: int) |e| {
        triangular(handle, Task::Solve, e, (uplo, trans, diag), n.into(), (a, lda.into()), (x, incx.into()))
    }
}
