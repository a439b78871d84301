//! Launches as before CUDA 4: block shape and parameters are set on the function first.

use crate::boundary::Result;
use crate::core::function::Function;
use crate::core::launch::{self, Shape};
use crate::core::stream::Stream;
use cuda_abi::*;
use std::ffi::c_void;

pub fn cuFuncSetBlockShape(function: CUfunction, x: i32, y: i32, z: i32) -> Result {
    let block = [x, y, z].map(|n| u32::try_from(n).unwrap_or(0));
    let shape = Shape {
        grid: [1; 3],
        block,
        dynamic_shared: 0,
    };
    shape.check()?;
    Function::from_handle(function)?.legacy.lock().block = block;
    Ok(())
}

pub fn cuFuncSetSharedSize(function: CUfunction, bytes: u32) -> Result {
    let function = Function::from_handle(function)?;
    if i64::from(bytes) > i64::from(function.max_dynamic_shared(function.info()?)) {
        return Err(CUresult::INVALID_VALUE);
    }
    function.legacy.lock().dynamic_shared = bytes;
    Ok(())
}

/// The largest parameter block, bytes. What exceeds the kernel's own is not looked at.
const MAX_PARAMETERS: u32 = 32764;

pub fn cuParamSetSize(function: CUfunction, bytes: u32) -> Result {
    let function = Function::from_handle(function)?;
    if bytes > MAX_PARAMETERS {
        return Err(CUresult::INVALID_VALUE);
    }
    function.legacy.lock().parameters.resize(bytes as usize, 0);
    Ok(())
}

fn set(function: CUfunction, offset: i32, bytes: &[u8]) -> Result {
    let function = Function::from_handle(function)?;
    let start = usize::try_from(offset).map_err(|_| CUresult::INVALID_VALUE)?;
    let end = start + bytes.len();
    if end > MAX_PARAMETERS as usize {
        return Err(CUresult::INVALID_VALUE);
    }
    let mut legacy = function.legacy.lock();
    // Parameters may be set before their size is.
    if legacy.parameters.len() < end {
        legacy.parameters.resize(end, 0);
    }
    legacy.parameters[start..end].copy_from_slice(bytes);
    Ok(())
}

pub fn cuParamSeti(function: CUfunction, offset: i32, value: u32) -> Result {
    set(function, offset, &value.to_le_bytes())
}

pub fn cuParamSetf(function: CUfunction, offset: i32, value: f32) -> Result {
    set(function, offset, &value.to_le_bytes())
}

pub fn cuParamSetv(function: CUfunction, offset: i32, pointer: *mut c_void, bytes: u32) -> Result {
    if pointer.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract there are that many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), bytes as usize) };
    set(function, offset, bytes)
}

pub fn cuLaunch(function: CUfunction) -> Result {
    cuLaunchGrid(function, 1, 1)
}

pub fn cuLaunchGrid(function: CUfunction, grid_width: i32, grid_height: i32) -> Result {
    cuLaunchGridAsync(function, grid_width, grid_height, CUstream::NULL)
}

pub fn cuLaunchGridAsync(
    function: CUfunction,
    grid_width: i32,
    grid_height: i32,
    stream: CUstream,
) -> Result {
    let function = Function::from_handle(function)?;
    let legacy = function.legacy.lock().clone();
    let [width, height] = [grid_width, grid_height].map(|n| u32::try_from(n).unwrap_or(0));
    let shape = Shape {
        grid: [width, height, 1],
        block: legacy.block,
        dynamic_shared: legacy.dynamic_shared,
    };
    let mut parameters = legacy.parameters;
    parameters.resize(function.parameter_bytes as usize, 0);
    launch::launch_packed(&Stream::from_handle(stream)?, &function, shape, &parameters)
}
