//! Matrices with structure: `trsm`, `trmm`, `symm`, `hemm`, `syrk`, `herk`, `syr2k`, `her2k`, `syrkx`, `herkx`, and the
//! extensions `geam` and `dgmm`.

use super::level2::{real, triangle};
use super::{family, scalars, Input, Output};
use crate::gemm::{Formats, Matrix, Operand, Product};
use crate::handle::{Handle, Scalar};
use crate::kernels::elementwise;
use crate::kernels::gemm_direct::Layout;
use crate::kernels::triangular::Task;
use crate::ptx::Element;
use crate::structured::Symmetric;
use crate::triangular::Triangular;
use crate::types::{DataType, Diagonal, Fill, Operation, Side, Status};
use crate::vectors::{Elementwise, Grid, Vector};

fn matrix(address: Input, ld: i64) -> Matrix {
    Matrix {
        address: address as u64,
        ld,
        batch: 0,
    }
}

/// `op(A) * X = alpha * B` or `C = alpha * op(A) * B`, from either side.
struct Triangle {
    handle: *const Handle,
    task: Task,
    element: Element,
    modes: (i32, i32, i32, i32),
    size: (i64, i64),
    alpha: Input,
    a: (Input, i64),
    b: (Input, i64),
    c: (Output, i64),
    count: i64,
    pointers: bool,
}

impl Triangle {
    unsafe fn run(self) -> Result<(), Status> {
        // SAFETY: the C caller's handle and scalar.
        let handle = unsafe { Handle::from_raw(self.handle) }?;
        let (side, fill, op, diagonal) = self.modes;
        let mode = handle.state.lock().pointer_mode;
        Triangular {
            task: self.task,
            side: Side::try_from(side)?,
            fill: Fill::try_from(fill)?,
            op: Operation::try_from(op)?,
            diagonal: Diagonal::try_from(diagonal)?,
            size: self.size,
            element: self.element,
            // SAFETY: as above.
            alpha: unsafe { Scalar::from_raw(mode, self.element, self.alpha) }?,
            a: matrix(self.a.0, self.a.1),
            b: matrix(self.b.0, self.b.1),
            c: matrix(self.c.0, self.c.1),
            step: 1,
            count: self.count,
            pointers: self.pointers,
        }
        .run(handle)
    }
}

family! {
    /// `op(A) * X = alpha * B` or `X * op(A) = alpha * B`; `X` overwrites `B`.
    [
        cublasStrsm_v2 cublasStrsm_v2_64 F32;
        cublasDtrsm_v2 cublasDtrsm_v2_64 F64;
        cublasCtrsm_v2 cublasCtrsm_v2_64 C32;
        cublasZtrsm_v2 cublasZtrsm_v2_64 C64;
    ]
    (handle: *const Handle, side: i32, uplo: i32, trans: i32, diag: i32, m: int, n: int, alpha: Input, a: Input,
     lda: int, b: Output, ldb: int) |e| {
        Triangle {
            handle, task: Task::Solve, element: e, modes: (side, uplo, trans, diag), size: (m.into(), n.into()), alpha,
            a: (a, lda.into()), b: (b, ldb.into()), c: (b, ldb.into()), count: 1, pointers: false,
        }
        .run()
    }
}

family! {
    /// The same for a batch whose addresses lie in device memory.
    [
        cublasStrsmBatched cublasStrsmBatched_64 F32;
        cublasDtrsmBatched cublasDtrsmBatched_64 F64;
        cublasCtrsmBatched cublasCtrsmBatched_64 C32;
        cublasZtrsmBatched cublasZtrsmBatched_64 C64;
    ]
    (handle: *const Handle, side: i32, uplo: i32, trans: i32, diag: i32, m: int, n: int, alpha: Input, a: Input,
     lda: int, b: Output, ldb: int, count: int) |e| {
        Triangle {
            handle, task: Task::Solve, element: e, modes: (side, uplo, trans, diag), size: (m.into(), n.into()), alpha,
            a: (a, lda.into()), b: (b, ldb.into()), c: (b, ldb.into()), count: count.into(), pointers: true,
        }
        .run()
    }
}

family! {
    /// `C = alpha * op(A) * B` or `C = alpha * B * op(A)` with a triangular `A`; `C` may be `B`.
    [
        cublasStrmm_v2 cublasStrmm_v2_64 F32;
        cublasDtrmm_v2 cublasDtrmm_v2_64 F64;
        cublasCtrmm_v2 cublasCtrmm_v2_64 C32;
        cublasZtrmm_v2 cublasZtrmm_v2_64 C64;
    ]
    (handle: *const Handle, side: i32, uplo: i32, trans: i32, diag: i32, m: int, n: int, alpha: Input, a: Input,
     lda: int, b: Input, ldb: int, c: Output, ldc: int) |e| {
        Triangle {
            handle, task: Task::Multiply, element: e, modes: (side, uplo, trans, diag), size: (m.into(), n.into()),
            alpha, a: (a, lda.into()), b: (b, ldb.into()), c: (c, ldc.into()), count: 1, pointers: false,
        }
        .run()
    }
}

/// `C = alpha * A * B + beta * C` or `C = alpha * B * A + beta * C` with a symmetric or Hermitian `A`.
unsafe fn symmetric(
    handle: *const Handle,
    (element, hermitian): (Element, bool),
    (side, uplo): (i32, i32),
    size: (i64, i64),
    (alpha, beta): (Input, Input),
    (a, lda): (Input, i64),
    (b, ldb): (Input, i64),
    (c, ldc): (Output, i64),
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and scalars.
    let handle = unsafe { Handle::from_raw(handle) }?;
    let side = Side::try_from(side)?;
    let rows = size.0.max(1);
    let order = if side == Side::Left { size.0 } else { size.1 };
    if size.0 < 0 || size.1 < 0 || lda < order.max(1) || ldb < rows || ldc < rows {
        return Err(Status::InvalidValue);
    }
    // SAFETY: as above.
    let scalars = unsafe { scalars(handle, element, alpha, beta) }?;
    let strides = |ld: i64| if side == Side::Left { (1, ld) } else { (ld, 1) };
    let with = |address: u64, (row, column)| (address, row, column);
    Symmetric {
        fill: Fill::try_from(uplo)?,
        side,
        hermitian,
        element,
        size: if side == Side::Left {
            size
        } else {
            (size.1, size.0)
        },
        scalars,
        s: matrix(a, lda),
        x: with(b as u64, strides(ldb)),
        c: with(c as u64, strides(ldc)),
    }
    .run(handle)
}

family! {
    /// A product with a symmetric matrix.
    [
        cublasSsymm_v2 cublasSsymm_v2_64 F32;
        cublasDsymm_v2 cublasDsymm_v2_64 F64;
        cublasCsymm_v2 cublasCsymm_v2_64 C32;
        cublasZsymm_v2 cublasZsymm_v2_64 C64;
    ]
    (handle: *const Handle, side: i32, uplo: i32, m: int, n: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        let (size, a) = ((m.into(), n.into()), (a, lda.into()));
        symmetric(handle, (e, false), (side, uplo), size, (alpha, beta), a, (b, ldb.into()), (c, ldc.into()))
    }
}

family! {
    /// A product with a Hermitian matrix.
    [cublasChemm_v2 cublasChemm_v2_64 C32; cublasZhemm_v2 cublasZhemm_v2_64 C64;]
    (handle: *const Handle, side: i32, uplo: i32, m: int, n: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        let (size, a) = ((m.into(), n.into()), (a, lda.into()));
        symmetric(handle, (e, true), (side, uplo), size, (alpha, beta), a, (b, ldb.into()), (c, ldc.into()))
    }
}

/// `C = alpha * op(A) * op(B)^T + beta * C`, or with `^H`, on one triangle of `C`.
struct Rank {
    handle: *const Handle,
    element: Element,
    hermitian: bool,
    fill: i32,
    op: i32,
    /// Rows of `C` and columns of `op(A)`.
    size: (i64, i64),
    /// `alpha`, and whether it is real in a complex product.
    alpha: (Input, bool),
    conjugate_alpha: bool,
    /// `beta`, which is real in a Hermitian product; null stands for one.
    beta: Input,
    a: (Input, i64),
    b: (Input, i64),
    c: (Output, i64),
}

impl Rank {
    unsafe fn run(self) -> Result<(), Status> {
        // SAFETY: the C caller's handle and scalars.
        let handle = unsafe { Handle::from_raw(self.handle) }?;
        let op = Operation::try_from(self.op)?;
        let fill = triangle(self.fill)?;
        let complex = Formats::uniform(self.element).arithmetic.is_complex();
        // A symmetric product takes N and T, a Hermitian one N and C; for real types C is T.
        let allowed = match op {
            Operation::N => true,
            Operation::T => !self.hermitian,
            Operation::C => self.hermitian || !complex,
            Operation::Conjugate => false,
        };
        let (n, k) = self.size;
        let lines = if op == Operation::N { n } else { k };
        if !allowed
            || n < 0
            || k < 0
            || self.c.1 < n.max(1)
            || self.a.1 < lines.max(1)
            || self.b.1 < lines.max(1)
        {
            return Err(Status::InvalidValue);
        }
        let mode = handle.state.lock().pointer_mode;
        let (element, real) = (self.element, real(self.element));
        let scale = if self.alpha.1 { real } else { element };
        let scale_beta = if self.hermitian { real } else { element };
        // SAFETY: as above.
        let alpha = unsafe { Scalar::from_raw(mode, scale, self.alpha.0) }?;
        let beta = if self.beta.is_null() {
            Scalar::value(1.0)
        } else {
            // SAFETY: as above.
            unsafe { Scalar::from_raw(mode, scale_beta, self.beta) }?
        };
        if n == 0 {
            return Ok(());
        }
        let (Ok(n), Ok(k)) = (i32::try_from(n), i32::try_from(k)) else {
            tracing::warn!("a dimension of 2^31 or more is not supported");
            return Err(Status::NotSupported);
        };
        let reads = k > 0 && !alpha.is(0.0);
        if self.c.0.is_null() || (reads && (self.a.0.is_null() || self.b.0.is_null())) {
            return Err(Status::InvalidValue);
        }
        let layout = if op == Operation::N {
            Layout::Edge
        } else {
            Layout::Depth
        };
        // op(A) is A or A^H; the right factor is op(B)^H, which is B^H or B.
        let (conjugate_a, conjugate_b) = (
            self.hermitian && op != Operation::N,
            self.hermitian && op == Operation::N,
        );
        Product {
            size: (n as u32, n as u32, if reads { k as u32 } else { 0 }),
            formats: Formats {
                scale,
                ..Formats::uniform(element)
            },
            scale_beta: Some(scale_beta),
            scalars: (alpha, beta),
            conjugate_alpha: self.conjugate_alpha,
            a: Operand {
                matrix: matrix(self.a.0, self.a.1),
                layout,
                conjugate: conjugate_a,
            },
            b: Operand {
                matrix: matrix(self.b.0, self.b.1),
                layout,
                conjugate: conjugate_b,
            },
            c: matrix(self.c.0, self.c.1),
            count: 1,
            fill,
            hermitian: self.hermitian,
            ..Product::default()
        }
        .run(handle)
    }
}

family! {
    /// `C = alpha * op(A) * op(A)^T + beta * C` on one triangle.
    [
        cublasSsyrk_v2 cublasSsyrk_v2_64 F32;
        cublasDsyrk_v2 cublasDsyrk_v2_64 F64;
        cublasCsyrk_v2 cublasCsyrk_v2_64 C32;
        cublasZsyrk_v2 cublasZsyrk_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, beta: Input,
     c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: false, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, false), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (a, lda.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

family! {
    /// `C = alpha * op(A) * op(A)^H + beta * C` on one triangle, with real scalars.
    [cublasCherk_v2 cublasCherk_v2_64 C32; cublasZherk_v2 cublasZherk_v2_64 C64;]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, beta: Input,
     c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: true, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, true), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (a, lda.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

/// Refuses other types than complex numbers of single precision.
fn single_complex(a: i32, c: i32) -> Result<(), Status> {
    let (a, c) = (DataType::try_from(a)?, DataType::try_from(c)?);
    if (a, c) != (DataType::C32F, DataType::C32F) {
        tracing::warn!("unsupported product on a triangle: A {a:?}, C {c:?}");
        return Err(Status::NotSupported);
    }
    Ok(())
}

family! {
    /// `syrk` with free types, of which single precision is supported (cuBLAS documentation, "cublasCsyrkEx()").
    [cublasCsyrkEx cublasCsyrkEx_64 C32; cublasCsyrk3mEx cublasCsyrk3mEx_64 C32;]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, a_type: i32, lda: int,
     beta: Input, c: Output, c_type: i32, ldc: int) |e| {
        single_complex(a_type, c_type)?;
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: false, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, false), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (a, lda.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

family! {
    /// `herk` with free types, of which single precision is supported (cuBLAS documentation, "cublasCherkEx()").
    [cublasCherkEx cublasCherkEx_64 C32; cublasCherk3mEx cublasCherk3mEx_64 C32;]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, a_type: i32, lda: int,
     beta: Input, c: Output, c_type: i32, ldc: int) |e| {
        single_complex(a_type, c_type)?;
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: true, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, true), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (a, lda.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

family! {
    /// `C = alpha * op(A) * op(B)^T + beta * C` on one triangle.
    [
        cublasSsyrkx cublasSsyrkx_64 F32;
        cublasDsyrkx cublasDsyrkx_64 F64;
        cublasCsyrkx cublasCsyrkx_64 C32;
        cublasZsyrkx cublasZsyrkx_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: false, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, false), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (b, ldb.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

family! {
    /// `C = alpha * op(A) * op(B)^H + beta * C` on one triangle, with a real `beta`.
    [cublasCherkx cublasCherkx_64 C32; cublasZherkx cublasZherkx_64 C64;]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        Rank {
            handle, element: e, hermitian: true, fill: uplo, op: trans, size: (n.into(), k.into()),
            alpha: (alpha, false), conjugate_alpha: false, beta,
            a: (a, lda.into()), b: (b, ldb.into()), c: (c, ldc.into()),
        }
        .run()
    }
}

family! {
    /// `C = alpha * (op(A) * op(B)^T + op(B) * op(A)^T) + beta * C` on one triangle.
    [
        cublasSsyr2k_v2 cublasSsyr2k_v2_64 F32;
        cublasDsyr2k_v2 cublasDsyr2k_v2_64 F64;
        cublasCsyr2k_v2 cublasCsyr2k_v2_64 C32;
        cublasZsyr2k_v2 cublasZsyr2k_v2_64 C64;
    ]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        let (a, b) = ((a, lda.into()), (b, ldb.into()));
        for (a, b, beta) in [(a, b, beta), (b, a, std::ptr::null())] {
            Rank {
                handle, element: e, hermitian: false, fill: uplo, op: trans, size: (n.into(), k.into()),
                alpha: (alpha, false), conjugate_alpha: false, beta, a, b, c: (c, ldc.into()),
            }
            .run()?;
        }
        Ok(())
    }
}

family! {
    /// `C = alpha * op(A) * op(B)^H + conj(alpha) * op(B) * op(A)^H + beta * C` on one triangle, with a real `beta`.
    [cublasCher2k_v2 cublasCher2k_v2_64 C32; cublasZher2k_v2 cublasZher2k_v2_64 C64;]
    (handle: *const Handle, uplo: i32, trans: i32, n: int, k: int, alpha: Input, a: Input, lda: int, b: Input,
     ldb: int, beta: Input, c: Output, ldc: int) |e| {
        if beta.is_null() {
            return Err(Status::InvalidValue);
        }
        let (a, b) = ((a, lda.into()), (b, ldb.into()));
        for (a, b, beta, last) in [(a, b, beta, false), (b, a, std::ptr::null(), true)] {
            Rank {
                handle, element: e, hermitian: true, fill: uplo, op: trans, size: (n.into(), k.into()),
                alpha: (alpha, false), conjugate_alpha: last, beta, a, b, c: (c, ldc.into()),
            }
            .run()?;
        }
        Ok(())
    }
}

family! {
    /// `C = alpha * op(A) + beta * op(B)`; `C` may be an operand that is not transposed.
    [
        cublasSgeam cublasSgeam_64 F32;
        cublasDgeam cublasDgeam_64 F64;
        cublasCgeam cublasCgeam_64 C32;
        cublasZgeam cublasZgeam_64 C64;
    ]
    (handle: *const Handle, transa: i32, transb: i32, m: int, n: int, alpha: Input, a: Input, lda: int, beta: Input,
     b: Input, ldb: int, c: Output, ldc: int) |e| {
        let handle = Handle::from_raw(handle)?;
        let (m, n): (i64, i64) = (m.into(), n.into());
        let scalars = scalars(handle, e, alpha, beta)?;
        if m < 0 || n < 0 || i64::from(ldc) < m.max(1) {
            return Err(Status::InvalidValue);
        }
        let grid = |address: Input, op: i32, ld: i64, scalar: &Scalar| {
            let op = Operation::try_from(op)?;
            let lines = if op.transposes() { n } else { m };
            let in_place = std::ptr::eq(address, c) && m > 0 && n > 0;
            let missing = address.is_null() && !scalar.is(0.0) && m > 0 && n > 0;
            if ld < lines.max(1) || missing || (in_place && (op.transposes() || ld != i64::from(ldc))) {
                return Err(Status::InvalidValue);
            }
            let (row, column) = if op.transposes() { (ld, 1) } else { (1, ld) };
            Ok(Grid { address: address as u64, row, column, conjugate: op.conjugates() })
        };
        let (a, b) = (grid(a, transa, lda.into(), &scalars.0)?, grid(b, transb, ldb.into(), &scalars.1)?);
        if m == 0 || n == 0 {
            return Ok(());
        }
        if c.is_null() {
            return Err(Status::InvalidValue);
        }
        let c = Grid { address: c as u64, row: 1, column: ldc.into(), conjugate: false };
        Elementwise { task: elementwise::Task::Sum, element: e, scales: (e, e), scalars, size: (m, n), a, b, c }
            .run(handle)
    }
}

family! {
    /// `C = A * diag(x)` or `C = diag(x) * A`
    [
        cublasSdgmm cublasSdgmm_64 F32;
        cublasDdgmm cublasDdgmm_64 F64;
        cublasCdgmm cublasCdgmm_64 C32;
        cublasZdgmm cublasZdgmm_64 C64;
    ]
    (handle: *const Handle, mode: i32, m: int, n: int, a: Input, lda: int, x: Input, incx: int, c: Output,
     ldc: int) |e| {
        let handle = Handle::from_raw(handle)?;
        let (m, n): (i64, i64) = (m.into(), n.into());
        let side = Side::try_from(mode)?;
        if m < 0 || n < 0 || i64::from(lda) < m.max(1) || i64::from(ldc) < m.max(1) {
            return Err(Status::InvalidValue);
        }
        if m == 0 || n == 0 {
            return Ok(());
        }
        if a.is_null() || x.is_null() || c.is_null() {
            return Err(Status::InvalidValue);
        }
        let length = if side == Side::Left { m } else { n };
        let x = Vector { address: x as u64, step: incx.into() };
        let (row, column) = if side == Side::Left { (x.step, 0) } else { (0, x.step) };
        Elementwise {
            task: elementwise::Task::Product,
            element: e,
            scales: (e, e),
            scalars: (Scalar::value(0.0), Scalar::value(0.0)),
            size: (m, n),
            a: Grid { address: a as u64, row: 1, column: lda.into(), conjugate: false },
            b: Grid { address: x.first(length, e), row, column, conjugate: false },
            c: Grid { address: c as u64, row: 1, column: ldc.into(), conjugate: false },
        }
        .run(handle)
    }
}
