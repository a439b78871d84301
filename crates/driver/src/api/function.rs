//! Kernels of modules. A `CUkernel` is taken for a `CUfunction` where kernels are launched or measured, as on NVIDIA.

use crate::boundary::{Out, Result};
use crate::core::function::Function;
use crate::core::status::IntoCuda;
use cuda_abi::*;
use std::ffi::c_char;

pub fn cuFuncGetModule(module: Out<CUmodule>, function: CUfunction) -> Result {
    if function.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    module.set(Function::from_handle(function)?.module)
}

pub fn cuFuncGetAttribute(
    value: Out<i32>,
    attribute: CUfunction_attribute,
    function: CUfunction,
) -> Result {
    let function = Function::of_module(function)?;
    function.code.vulkan.check().cuda()?;
    value.set(function.attribute(attribute)?)
}

pub fn cuFuncSetAttribute(
    function: CUfunction,
    attribute: CUfunction_attribute,
    value: i32,
) -> Result {
    Function::of_module(function)?.set_attribute(attribute, value)
}

/// A hint that changes nothing here.
pub fn cuFuncSetCacheConfig(function: CUfunction, config: CUfunc_cache) -> Result {
    config.name().ok_or(CUresult::INVALID_VALUE)?;
    Function::from_handle(function).map(|_| ())
}

/// A hint that has changed nothing since compute capability 5.0.
pub fn cuFuncSetSharedMemConfig(function: CUfunction, config: CUsharedconfig) -> Result {
    config.name().ok_or(CUresult::INVALID_VALUE)?;
    Function::from_handle(function).map(|_| ())
}

pub fn cuFuncGetName(name: Out<*const c_char>, function: CUfunction) -> Result {
    if function.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // The handle keeps the function, and so the text, until its module is unloaded.
    name.set(Function::from_handle(function)?.name.as_ptr())
}

pub fn cuFuncGetParamInfo(
    function: CUfunction,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> Result {
    if function.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let (offset, size) = Function::from_handle(function)?.parameter(param_index)?;
    param_offset.required()?;
    // A caller's two places may be one, which has the offset in the end.
    param_size.set_if(size);
    param_offset.set(offset)
}

pub fn cuFuncGetParamCount(function: CUfunction, param_count: Out<usize>) -> Result {
    param_count.set(Function::from_handle(function)?.parameters.len())
}

pub fn cuFuncIsLoaded(state: Out<CUfunctionLoadingState>, function: CUfunction) -> Result {
    state.set(match Function::from_handle(function)?.is_loaded() {
        true => CUfunctionLoadingState::LOADED,
        false => CUfunctionLoadingState::UNLOADED,
    })
}

pub fn cuFuncLoad(function: CUfunction) -> Result {
    Function::from_handle(function)?.info().map(|_| ())
}
