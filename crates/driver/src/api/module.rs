//! Module management.

use crate::boundary::{In, Out, Result};
use crate::core::capture;
use crate::core::image::Image;
use crate::core::jit::JitOptions;
use crate::core::module::{self, Module};
use crate::core::platform::platform;
use crate::core::stack;
use cuda_abi::*;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Unlike a library, a module is compiled at once by NVIDIA's driver, so that its errors appear here. Ours are those of the
/// parser; a kernel is translated at its first use.
fn load(module: Out<CUmodule>, image: Image, options: &JitOptions) -> Result {
    module.required()?;
    let state = stack::healthy()?;
    let is_text = image.is_text();
    let program = options.report(image.program().and_then(|program| {
        let program = program.with_max_registers(options.max_registers);
        program.check()?;
        // Of a container the machine code may be linked already where the PTX is not.
        if is_text {
            program.check_calls()?;
        }
        Ok(program)
    }))?;
    module.set(Module::load(&state, Arc::new(program)).handle())
}

pub fn cuModuleLoad(module: Out<CUmodule>, file_name: In<c_char>) -> Result {
    let path = file_name.text()?;
    if path.is_empty() {
        return Err(CUresult::INVALID_VALUE);
    }
    load(module, Image::read(&path)?, &JitOptions::none())
}

pub fn cuModuleLoadData(module: Out<CUmodule>, image: *const c_void) -> Result {
    load(module, Image::borrowed(image)?, &JitOptions::none())
}

pub fn cuModuleLoadDataEx(
    module: Out<CUmodule>,
    image: *const c_void,
    num_options: u32,
    options: In<CUjit_option>,
    option_values: Out<*mut c_void>,
) -> Result {
    load(
        module,
        Image::borrowed(image)?,
        &JitOptions::read(num_options as usize, options, option_values)?,
    )
}

pub fn cuModuleLoadFatBinary(module: Out<CUmodule>, fat_cubin: *const c_void) -> Result {
    load(module, Image::borrowed(fat_cubin)?, &JitOptions::none())
}

pub fn cuModuleUnload(handle: CUmodule) -> Result {
    platform()?;
    let module = module::from_handle(handle)?;
    if module.is_library {
        return Err(CUresult::NOT_PERMITTED);
    }
    capture::refuse_unsafe_call()?;
    module.unload();
    Ok(())
}

/// Kernels are translated when they are first used.
pub fn cuModuleGetLoadingMode(mode: Out<CUmoduleLoadingMode>) -> Result {
    platform()?;
    mode.set(CUmoduleLoadingMode::LAZY_LOADING)
}

pub fn cuModuleGetFunction(
    function: Out<CUfunction>,
    module: CUmodule,
    name: In<c_char>,
) -> Result {
    function.required()?;
    function.set(
        module::from_handle(module)?
            .function(&name.text()?)?
            .handle(),
    )
}

pub fn cuModuleGetFunctionCount(count: Out<u32>, module: CUmodule) -> Result {
    count.set(module::from_handle(module)?.code.program.kernels().count() as u32)
}

pub fn cuModuleEnumerateFunctions(
    functions: Out<CUfunction>,
    num_functions: u32,
    module: CUmodule,
) -> Result {
    let module = module::from_handle(module)?;
    let found = module.functions(num_functions as usize)?;
    let handles: Vec<_> = found.iter().map(|function| function.handle()).collect();
    functions.set_all(handles)
}

pub fn cuModuleGetGlobal_v2(
    dptr: Out<CUdeviceptr>,
    bytes: Out<usize>,
    module: CUmodule,
    name: In<c_char>,
) -> Result {
    let module = module::from_handle(module)?;
    if dptr.is_null() && bytes.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let (address, size) = module.variable(&name.text()?)?;
    dptr.set_if(address);
    bytes.set_if(size);
    Ok(())
}
