//! Givens rotations: `rotg`, `rotm`, `rotmg` and the `Ex` functions.

use super::level1::{element, elementwise, real, same, scalar_element, vector};
use super::{family, Input, Output};
use crate::handle::Handle;
use crate::kernels::elementwise::Task;
use crate::ptx::Element;
use crate::rotations::{make_on_device, read, rotate, write, Givens, Modified};
use crate::types::{PointerMode, Status};
use crate::vectors::Elementwise;

unsafe fn make(
    handle: *const Handle,
    element: Element,
    [a, b, c, s]: [Output; 4],
) -> Result<(), Status> {
    let [a, b, c, s] = [a, b, c, s].map(|pointer| pointer as u64);
    if [a, b, c, s].contains(&0) {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the C caller's handle and numbers.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        if handle.state.lock().pointer_mode == PointerMode::Device {
            return make_on_device(handle, element, real(element), &[a, b, c, s]);
        }
        let (first, second) = (read(a, element, 0)?, read(b, element, 0)?);
        let complex = matches!(element, Element::C32 | Element::C64);
        let made = if complex {
            Givens::complex(first, second)
        } else {
            Givens::real(first[0], second[0])
        };
        write(a, element, 0, made.r)?;
        if !complex {
            write(b, element, 0, made.z)?;
        }
        write(c, real(element), 0, [made.c, 0.0])?;
        write(s, element, 0, made.s)
    }
}

unsafe fn make_modified(
    handle: *const Handle,
    element: Element,
    [d1, d2, x1]: [Output; 3],
    y1: Input,
    param: Output,
) -> Result<(), Status> {
    let [d1, d2, x1, y1, param] = [d1, d2, x1, y1.cast_mut(), param].map(|pointer| pointer as u64);
    if [d1, d2, x1, y1, param].contains(&0) {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the C caller's handle and numbers.
    unsafe {
        let handle = Handle::from_raw(handle)?;
        if handle.state.lock().pointer_mode == PointerMode::Device {
            return make_on_device(handle, element, element, &[d1, d2, x1, y1, param]);
        }
        let number = |at| read(at, element, 0).map(|number| number[0]);
        let made = Modified::new(number(d1)?, number(d2)?, number(x1)?, number(y1)?);
        for (at, value) in [(d1, made.d1), (d2, made.d2), (x1, made.x1)] {
            write(at, element, 0, [value, 0.0])?;
        }
        for (index, value) in made.param.into_iter().enumerate() {
            if let Some(value) = value {
                write(param, element, index, [value, 0.0])?;
            }
        }
    }
    Ok(())
}

/// The format of real vectors whose operations run in the type `execution`.
fn real_element(of: i32, execution: i32) -> Result<Element, Status> {
    let e = element(of, execution)?;
    if real(e) != e {
        tracing::warn!("a modified rotation of complex numbers is not supported");
        return Err(Status::NotSupported);
    }
    Ok(e)
}

family! {
    /// The rotation that takes `b` away (cuBLAS documentation, `cublas<t>rotg()`).
    [cublasSrotg_v2 F32; cublasDrotg_v2 F64; cublasCrotg_v2 C32; cublasZrotg_v2 C64;]
    (handle: *const Handle, a: Output, b: Output, c: Output, s: Output) |e| {
        make(handle, e, [a, b, c, s])
    }
}

family! {
    /// The rotation that takes `b` away, with free types (cuBLAS documentation, "cublasRotgEx()").
    [cublasRotgEx F32;]
    (handle: *const Handle, a: Output, b: Output, ab_type: i32, c: Output, s: Output, cs_type: i32, execution: i32) |_e| {
        same(ab_type, cs_type)?;
        make(handle, element(ab_type, execution)?, [a, b, c, s])
    }
}

family! {
    /// The modified rotation of two vectors (cuBLAS documentation, `cublas<t>rotm()`).
    [cublasSrotm_v2 cublasSrotm_v2_64 F32; cublasDrotm_v2 cublasDrotm_v2_64 F64;]
    (handle: *const Handle, n: int, x: Output, incx: int, y: Output, incy: int, param: Input) |e| {
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        rotate(Handle::from_raw(handle)?, (e, e), n.into(), vectors, param as u64)
    }
}

family! {
    /// The modified rotation of two vectors with free types (cuBLAS documentation, "cublasRotmEx()").
    [cublasRotmEx cublasRotmEx_64 F32;]
    (handle: *const Handle, n: int, x: Output, x_type: i32, incx: int, y: Output, y_type: i32, incy: int, param: Input,
     param_type: i32, execution: i32) |_e| {
        same(x_type, y_type)?;
        same(x_type, param_type)?;
        let e = real_element(x_type, execution)?;
        let vectors = (vector(x, incx.into()), vector(y, incy.into()));
        rotate(Handle::from_raw(handle)?, (e, e), n.into(), vectors, param as u64)
    }
}

family! {
    /// The modified rotation that takes `y1` away (cuBLAS documentation, `cublas<t>rotmg()`).
    [cublasSrotmg_v2 F32; cublasDrotmg_v2 F64;]
    (handle: *const Handle, d1: Output, d2: Output, x1: Output, y1: Input, param: Output) |e| {
        make_modified(handle, e, [d1, d2, x1], y1, param)
    }
}

family! {
    /// The modified rotation that takes `y1` away, with free types (cuBLAS documentation, "cublasRotmgEx()").
    [cublasRotmgEx F32;]
    (handle: *const Handle, d1: Output, d1_type: i32, d2: Output, d2_type: i32, x1: Output, x1_type: i32, y1: Input,
     y1_type: i32, param: Output, param_type: i32, execution: i32) |_e| {
        for other in [d2_type, x1_type, y1_type, param_type] {
            same(d1_type, other)?;
        }
        make_modified(handle, real_element(d1_type, execution)?, [d1, d2, x1], y1, param)
    }
}

family! {
    /// The rotation of two vectors with free types; the cosine is real (cuBLAS documentation, "cublasRotEx()").
    [cublasRotEx cublasRotEx_64 F32;]
    (handle: *const Handle, n: int, x: Output, x_type: i32, incx: int, y: Output, y_type: i32, incy: int, c: Input,
     s: Input, cs_type: i32, execution: i32) |_e| {
        same(x_type, y_type)?;
        let e = element(x_type, execution)?;
        let sine = scalar_element(cs_type, e)?;
        let (x, y) = (vector(x, incx.into()), vector(y, incy.into()));
        let operation = Elementwise::vectors(Task::Rotate, e, n.into(), x, Some(y));
        elementwise(handle, operation, Some((c, real(sine))), Some((s, sine)))
    }
}
