//! Kernels of libraries.

use crate::boundary::{Out, Result};
use crate::core::context::State;
use crate::core::kernel::Kernel;
use crate::core::platform::device;
use crate::core::stack;
use cuda_abi::*;
use std::ffi::c_char;

/// Does something with the context for calls that name a device: the current one if it is the device's, else the device's
/// primary context, which is opened for the call where it is not open.
fn on_device<R>(dev: CUdevice, act: impl FnOnce(&State) -> Result<R>) -> Result<R> {
    if let Ok(current) = stack::current() {
        if current.device.ordinal == dev {
            return act(&*current.state()?);
        }
    }
    let primary = device(dev)?.primary();
    primary.retain()?;
    let result = primary.state().and_then(|state| act(&state));
    primary.release()?;
    result
}

pub fn cuKernelGetFunction(function: Out<CUfunction>, kernel: CUkernel) -> Result {
    function.required()?;
    function.set(Kernel::from_handle(kernel)?.function()?.handle())
}

pub fn cuKernelGetLibrary(library: Out<CUlibrary>, kernel: CUkernel) -> Result {
    library.set(Kernel::from_handle(kernel)?.library()?.handle())
}

pub fn cuKernelGetAttribute(
    value: Out<i32>,
    attribute: CUfunction_attribute,
    kernel: CUkernel,
    dev: CUdevice,
) -> Result {
    let kernel = Kernel::from_handle(kernel)?;
    value.required()?;
    value.set(on_device(dev, |state| {
        kernel.function_in(state)?.attribute(attribute)
    })?)
}

pub fn cuKernelSetAttribute(
    attribute: CUfunction_attribute,
    value: i32,
    kernel: CUkernel,
    dev: CUdevice,
) -> Result {
    let kernel = Kernel::from_handle(kernel)?;
    on_device(dev, |state| kernel.set_attribute(state, attribute, value))
}

/// A hint that changes nothing here.
pub fn cuKernelSetCacheConfig(kernel: CUkernel, config: CUfunc_cache, dev: CUdevice) -> Result {
    device(dev)?;
    config.name().ok_or(CUresult::INVALID_VALUE)?;
    Kernel::from_handle(kernel).map(|_| ())
}

pub fn cuKernelGetName(name: Out<*const c_char>, kernel: CUkernel) -> Result {
    if kernel.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // The handle keeps the kernel, and so the text, until its library is unloaded.
    name.set(Kernel::from_handle(kernel)?.name.as_ptr())
}

pub fn cuKernelGetParamInfo(
    kernel: CUkernel,
    param_index: usize,
    param_offset: Out<usize>,
    param_size: Out<usize>,
) -> Result {
    if kernel.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let kernel = Kernel::from_handle(kernel)?;
    stack::current()?;
    let library = kernel.library()?;
    let head = library
        .program()?
        .kernel(kernel.name.to_str().unwrap_or_default())
        .map_err(|e| e.status)?;
    let offset = *head
        .parameter_offsets()
        .0
        .get(param_index)
        .ok_or(CUresult::INVALID_VALUE)?;
    param_offset.required()?;
    // As for functions.
    param_size.set_if(head.parameters[param_index].size as usize);
    param_offset.set(offset as usize)
}

pub fn cuKernelGetParamCount(kernel: CUkernel, param_count: Out<usize>) -> Result {
    let kernel = Kernel::from_handle(kernel)?;
    let library = kernel.library()?;
    let head = library
        .program()?
        .kernel(kernel.name.to_str().unwrap_or_default())
        .map_err(|e| e.status)?;
    param_count.set(head.parameters.len())
}
