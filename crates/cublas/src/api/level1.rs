//! Vectors: `axpy`, `scal`, `copy`, `swap`, `rot`, `dot`, `nrm2`, `asum`, `amax`, `amin`, and the `Ex` functions.

use super::{family, Input, Output};
use crate::handle::{Handle, Scalar};
use crate::kernels::elementwise::Task;
use crate::kernels::reduce;
use crate::ptx::Element;
use crate::types::{DataType, Status};
use crate::vectors::{Elementwise, Reduction, Vector};

pub(super) fn vector(address: Input, step: i64) -> Vector {
    Vector {
        address: address as u64,
        step,
    }
}

/// An elementwise operation with up to two scalars, each with its format.
pub(super) unsafe fn elementwise(
    handle: *const Handle,
    mut operation: Elementwise,
    alpha: Option<(Input, Element)>,
    beta: Option<(Input, Element)>,
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and scalars.
    let handle = unsafe { Handle::from_raw(handle) }?;
    let mode = handle.state.lock().pointer_mode;
    if let Some((pointer, element)) = alpha {
        // SAFETY: as above.
        operation.scalars.0 = unsafe { Scalar::from_raw(mode, element, pointer) }?;
        operation.scales.0 = element;
    }
    if let Some((pointer, element)) = beta {
        // SAFETY: as above.
        operation.scalars.1 = unsafe { Scalar::from_raw(mode, element, pointer) }?;
        operation.scales.1 = element;
    }
    let uses_b = !matches!(operation.task, Task::Scale);
    if operation.size.0 > 0 && (operation.a.address == 0 || (uses_b && operation.b.address == 0)) {
        return Err(Status::InvalidValue);
    }
    operation.run(handle)
}

/// A reduction of one or two vectors.
unsafe fn reduction(
    handle: *const Handle,
    task: reduce::Task,
    formats: (Element, Element),
    count: i64,
    x: Vector,
    y: Option<Vector>,
    result: Output,
) -> Result<(), Status> {
    // SAFETY: the C caller's handle and result.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        let y = y.unwrap_or(Vector {
            address: 0,
            step: 1,
        });
        Reduction {
            task,
            element: formats.0,
            result: formats.1,
            count,
            x,
            y,
        }
        .run(handle, result)
    }
}

pub(super) fn real(element: Element) -> Element {
    match element {
        Element::C32 => Element::F32,
        Element::C64 => Element::F64,
        other => other,
    }
}

/// The format of vectors whose operations run in the type `execution`.
pub(super) fn element(of: i32, execution: i32) -> Result<Element, Status> {
    let (of, execution) = (DataType::try_from(of)?, DataType::try_from(execution)?);
    match (of, execution) {
        (DataType::R16F, DataType::R32F) => Ok(Element::F16),
        (DataType::R16BF, DataType::R32F) => Ok(Element::BF16),
        (DataType::R32F, DataType::R32F) => Ok(Element::F32),
        (DataType::R64F, DataType::R64F) => Ok(Element::F64),
        (DataType::C32F, DataType::C32F) => Ok(Element::C32),
        (DataType::C64F, DataType::C64F) => Ok(Element::C64),
        _ => {
            tracing::warn!(
                "unsupported vector operation: vectors {of:?}, execution type {execution:?}"
            );
            Err(Status::NotSupported)
        }
    }
}

/// The format of a scalar of type `of` for vectors of `element`.
pub(super) fn scalar_element(of: i32, element: Element) -> Result<Element, Status> {
    let of = DataType::try_from(of)?;
    match (of, element) {
        (DataType::R16F, Element::F16) => Ok(Element::F16),
        (DataType::R16BF, Element::BF16) => Ok(Element::BF16),
        (DataType::R32F, Element::F16 | Element::BF16 | Element::F32 | Element::C32) => {
            Ok(Element::F32)
        }
        (DataType::R64F, Element::F64 | Element::C64) => Ok(Element::F64),
        (DataType::C32F, Element::C32) => Ok(Element::C32),
        (DataType::C64F, Element::C64) => Ok(Element::C64),
        _ => {
            tracing::warn!(
                "unsupported vector operation: a scalar {of:?} with vectors {element:?}"
            );
            Err(Status::NotSupported)
        }
    }
}

/// Whether two vectors, or a vector and a result, have the same type.
pub(super) fn same(a: i32, b: i32) -> Result<(), Status> {
    if a != b {
        tracing::warn!("unsupported vector operation: data types {a} and {b} together");
        return Err(Status::NotSupported);
    }
    Ok(())
}

family! {
    /// `y = alpha * x + y`
    [
        cublasSaxpy_v2 cublasSaxpy_v2_64 F32;
        cublasDaxpy_v2 cublasDaxpy_v2_64 F64;
        cublasCaxpy_v2 cublasCaxpy_v2_64 C32;
        cublasZaxpy_v2 cublasZaxpy_v2_64 C64;
    ]
    (handle: *const Handle, n: int, alpha: Input, x: Input, incx: int, y: Output, incy: int) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        let operation = Elementwise::vectors(Task::AddScaled, e, n.into(), x, Some(y));
        elementwise(handle, operation, Some((alpha, e)), None)
    }
}

family! {
    /// `y = alpha * x + y` with free types.
    [cublasAxpyEx cublasAxpyEx_64 F32;]
    (handle: *const Handle, n: int, alpha: Input, alpha_type: i32, x: Input, x_type: i32, incx: int, y: Output,
     y_type: i32, incy: int, execution: i32) |_e| {
        same(x_type, y_type)?;
        let e = element(x_type, execution)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        let operation = Elementwise::vectors(Task::AddScaled, e, n.into(), x, Some(y));
        elementwise(handle, operation, Some((alpha, scalar_element(alpha_type, e)?)), None)
    }
}

family! {
    /// `x = alpha * x`
    [
        cublasSscal_v2 cublasSscal_v2_64 F32;
        cublasDscal_v2 cublasDscal_v2_64 F64;
        cublasCscal_v2 cublasCscal_v2_64 C32;
        cublasZscal_v2 cublasZscal_v2_64 C64;
    ]
    (handle: *const Handle, n: int, alpha: Input, x: Output, incx: int) |e| {
        let count = if incx > 0 { n.into() } else { 0 };
        let operation = Elementwise::vectors(Task::Scale, e, count, vector(x, incx.into()), None);
        elementwise(handle, operation, Some((alpha, e)), None)
    }
}

family! {
    /// `x = alpha * x` with a real factor.
    [cublasCsscal_v2 cublasCsscal_v2_64 C32; cublasZdscal_v2 cublasZdscal_v2_64 C64;]
    (handle: *const Handle, n: int, alpha: Input, x: Output, incx: int) |e| {
        let count = if incx > 0 { n.into() } else { 0 };
        let operation = Elementwise::vectors(Task::Scale, e, count, vector(x, incx.into()), None);
        elementwise(handle, operation, Some((alpha, real(e))), None)
    }
}

family! {
    /// `x = alpha * x` with free types.
    [cublasScalEx cublasScalEx_64 F32;]
    (handle: *const Handle, n: int, alpha: Input, alpha_type: i32, x: Output, x_type: i32, incx: int,
     execution: i32) |_e| {
        let e = element(x_type, execution)?;
        let count = if incx > 0 { n.into() } else { 0 };
        let operation = Elementwise::vectors(Task::Scale, e, count, vector(x, incx.into()), None);
        elementwise(handle, operation, Some((alpha, scalar_element(alpha_type, e)?)), None)
    }
}

family! {
    /// `y = x`
    [
        cublasScopy_v2 cublasScopy_v2_64 F32;
        cublasDcopy_v2 cublasDcopy_v2_64 F64;
        cublasCcopy_v2 cublasCcopy_v2_64 C32;
        cublasZcopy_v2 cublasZcopy_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, y: Output, incy: int) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        elementwise(handle, Elementwise::vectors(Task::Copy, e, n.into(), x, Some(y)), None, None)
    }
}

family! {
    /// `x, y = y, x`
    [
        cublasSswap_v2 cublasSswap_v2_64 F32;
        cublasDswap_v2 cublasDswap_v2_64 F64;
        cublasCswap_v2 cublasCswap_v2_64 C32;
        cublasZswap_v2 cublasZswap_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Output, incx: int, y: Output, incy: int) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        elementwise(handle, Elementwise::vectors(Task::Swap, e, n.into(), x, Some(y)), None, None)
    }
}

family! {
    /// `x, y = c * x + s * y, c * y - conj(s) * x` with a real `c`.
    [
        cublasSrot_v2 cublasSrot_v2_64 F32;
        cublasDrot_v2 cublasDrot_v2_64 F64;
        cublasCrot_v2 cublasCrot_v2_64 C32;
        cublasZrot_v2 cublasZrot_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Output, incx: int, y: Output, incy: int, c: Input, s: Input) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        let operation = Elementwise::vectors(Task::Rotate, e, n.into(), x, Some(y));
        elementwise(handle, operation, Some((c, real(e))), Some((s, e)))
    }
}

family! {
    /// The rotation of complex vectors with a real `s`.
    [cublasCsrot_v2 cublasCsrot_v2_64 C32; cublasZdrot_v2 cublasZdrot_v2_64 C64;]
    (handle: *const Handle, n: int, x: Output, incx: int, y: Output, incy: int, c: Input, s: Input) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        let operation = Elementwise::vectors(Task::Rotate, e, n.into(), x, Some(y));
        elementwise(handle, operation, Some((c, real(e))), Some((s, real(e))))
    }
}

family! {
    /// `sum(x[i] * y[i])`
    [
        cublasSdot_v2 cublasSdot_v2_64 F32;
        cublasDdot_v2 cublasDdot_v2_64 F64;
        cublasCdotu_v2 cublasCdotu_v2_64 C32;
        cublasZdotu_v2 cublasZdotu_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, y: Input, incy: int, result: Output) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        reduction(handle, reduce::Task::Dot, (e, e), n.into(), x, Some(y), result)
    }
}

family! {
    /// `sum(conj(x[i]) * y[i])`
    [cublasCdotc_v2 cublasCdotc_v2_64 C32; cublasZdotc_v2 cublasZdotc_v2_64 C64;]
    (handle: *const Handle, n: int, x: Input, incx: int, y: Input, incy: int, result: Output) |e| {
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        reduction(handle, reduce::Task::DotConjugate, (e, e), n.into(), x, Some(y), result)
    }
}

family! {
    /// `sum(x[i] * y[i])` with free types.
    [cublasDotEx cublasDotEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, y: Input, y_type: i32, incy: int,
     result: Output, result_type: i32, execution: i32) |_e| {
        same(x_type, y_type)?;
        same(x_type, result_type)?;
        let e = element(x_type, execution)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        reduction(handle, reduce::Task::Dot, (e, e), n.into(), x, Some(y), result)
    }
}

family! {
    /// `sum(conj(x[i]) * y[i])` with free types.
    [cublasDotcEx cublasDotcEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, y: Input, y_type: i32, incy: int,
     result: Output, result_type: i32, execution: i32) |_e| {
        same(x_type, y_type)?;
        same(x_type, result_type)?;
        let e = element(x_type, execution)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        reduction(handle, reduce::Task::DotConjugate, (e, e), n.into(), x, Some(y), result)
    }
}

family! {
    /// `sqrt(sum(|x[i]|^2))`
    [
        cublasSnrm2_v2 cublasSnrm2_v2_64 F32;
        cublasDnrm2_v2 cublasDnrm2_v2_64 F64;
        cublasScnrm2_v2 cublasScnrm2_v2_64 C32;
        cublasDznrm2_v2 cublasDznrm2_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, result: Output) |e| {
        reduction(handle, reduce::Task::Norm, (e, real(e)), n.into(), vector(x, incx.into()), None, result)
    }
}

family! {
    /// `sqrt(sum(|x[i]|^2))` with free types.
    [cublasNrm2Ex cublasNrm2Ex_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, result: Output, result_type: i32,
     execution: i32) |_e| {
        let (e, result_element) = norm_formats(x_type, result_type, execution)?;
        reduction(handle, reduce::Task::Norm, (e, result_element), n.into(), vector(x, incx.into()), None, result)
    }
}

/// The formats of a vector and of its norm; the execution type is real for complex vectors too.
fn norm_formats(x: i32, result: i32, execution: i32) -> Result<(Element, Element), Status> {
    let complex = DataType::try_from(x)?;
    let execution = match (complex, DataType::try_from(execution)?) {
        (DataType::C32F, DataType::R32F) => DataType::C32F as i32,
        (DataType::C64F, DataType::R64F) => DataType::C64F as i32,
        (_, other) => other as i32,
    };
    let e = element(x, execution)?;
    let expected = match e {
        Element::C32 => DataType::R32F as i32,
        Element::C64 => DataType::R64F as i32,
        _ => x,
    };
    same(expected, result)?;
    Ok((e, real(e)))
}

family! {
    /// `sum(|re x[i]| + |im x[i]|)`
    [
        cublasSasum_v2 cublasSasum_v2_64 F32;
        cublasDasum_v2 cublasDasum_v2_64 F64;
        cublasScasum_v2 cublasScasum_v2_64 C32;
        cublasDzasum_v2 cublasDzasum_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, result: Output) |e| {
        reduction(handle, reduce::Task::AbsoluteSum, (e, real(e)), n.into(), vector(x, incx.into()), None, result)
    }
}

family! {
    /// One plus the first index of the largest `|re x[i]| + |im x[i]|`.
    [
        cublasIsamax_v2 cublasIsamax_v2_64 F32;
        cublasIdamax_v2 cublasIdamax_v2_64 F64;
        cublasIcamax_v2 cublasIcamax_v2_64 C32;
        cublasIzamax_v2 cublasIzamax_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, result: *mut int) |e| {
        let index = if size_of::<int>() == 8 { Element::F64 } else { Element::S32 };
        reduction(handle, reduce::Task::Largest, (e, index), n.into(), vector(x, incx.into()), None, result.cast())
    }
}

family! {
    /// One plus the first index of the smallest `|re x[i]| + |im x[i]|`.
    [
        cublasIsamin_v2 cublasIsamin_v2_64 F32;
        cublasIdamin_v2 cublasIdamin_v2_64 F64;
        cublasIcamin_v2 cublasIcamin_v2_64 C32;
        cublasIzamin_v2 cublasIzamin_v2_64 C64;
    ]
    (handle: *const Handle, n: int, x: Input, incx: int, result: *mut int) |e| {
        let index = if size_of::<int>() == 8 { Element::F64 } else { Element::S32 };
        reduction(handle, reduce::Task::Smallest, (e, index), n.into(), vector(x, incx.into()), None, result.cast())
    }
}

/// The format of vectors of a type, with the execution type that goes with it.
fn plain(of: i32) -> Result<Element, Status> {
    let execution = match DataType::try_from(of)? {
        DataType::R16F | DataType::R16BF => DataType::R32F as i32,
        _ => of,
    };
    element(of, execution)
}

family! {
    /// `sum(|re x[i]| + |im x[i]|)` with free types (cuBLAS documentation, "cublasAsumEx()").
    [cublasAsumEx cublasAsumEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, result: Output, result_type: i32,
     execution: i32) |_e| {
        let formats = norm_formats(x_type, result_type, execution)?;
        reduction(handle, reduce::Task::AbsoluteSum, formats, n.into(), vector(x, incx.into()), None, result)
    }
}

family! {
    /// One plus the first index of the largest element, of a free type (cuBLAS documentation, `cublasI<t>amaxEx()`).
    [cublasIamaxEx cublasIamaxEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, result: *mut int) |_e| {
        let index = if size_of::<int>() == 8 { Element::F64 } else { Element::S32 };
        let formats = (plain(x_type)?, index);
        reduction(handle, reduce::Task::Largest, formats, n.into(), vector(x, incx.into()), None, result.cast())
    }
}

family! {
    /// One plus the first index of the smallest element, of a free type (cuBLAS documentation, `cublasI<t>aminEx()`).
    [cublasIaminEx cublasIaminEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, result: *mut int) |_e| {
        let index = if size_of::<int>() == 8 { Element::F64 } else { Element::S32 };
        let formats = (plain(x_type)?, index);
        reduction(handle, reduce::Task::Smallest, formats, n.into(), vector(x, incx.into()), None, result.cast())
    }
}

family! {
    /// `y = x` with a free type (cuBLAS documentation, "cublasCopyEx()").
    [cublasCopyEx cublasCopyEx_64 F32;]
    (handle: *const Handle, n: int, x: Input, x_type: i32, incx: int, y: Output, y_type: i32, incy: int) |_e| {
        same(x_type, y_type)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        elementwise(handle, Elementwise::vectors(Task::Copy, plain(x_type)?, n.into(), x, Some(y)), None, None)
    }
}

family! {
    /// `x, y = y, x` with a free type (cuBLAS documentation, "cublasSwapEx()").
    [cublasSwapEx cublasSwapEx_64 F32;]
    (handle: *const Handle, n: int, x: Output, x_type: i32, incx: int, y: Output, y_type: i32, incy: int) |_e| {
        same(x_type, y_type)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        elementwise(handle, Elementwise::vectors(Task::Swap, plain(x_type)?, n.into(), x, Some(y)), None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_types_are_those_documented() {
        let (half, single, double) = (
            DataType::R16F as i32,
            DataType::R32F as i32,
            DataType::R64F as i32,
        );
        assert_eq!(element(half, single), Ok(Element::F16));
        assert_eq!(element(half, half), Err(Status::NotSupported));
        assert_eq!(element(99, single), Err(Status::InvalidValue));
        assert_eq!(scalar_element(single, Element::F16), Ok(Element::F32));
        assert_eq!(
            scalar_element(double, Element::F32),
            Err(Status::NotSupported)
        );
        assert_eq!(same(half, single), Err(Status::NotSupported));
        assert_eq!(
            norm_formats(DataType::C32F as i32, single, single),
            Ok((Element::C32, Element::F32))
        );
        assert_eq!(
            norm_formats(half, half, single),
            Ok((Element::F16, Element::F16))
        );
        assert_eq!(
            norm_formats(half, single, single),
            Err(Status::NotSupported)
        );
    }
}
