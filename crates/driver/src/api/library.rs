//! Library management.

use crate::boundary::{In, Out, Result};
use crate::core::image::Image;
use crate::core::jit::JitOptions;
use crate::core::library::Library;
use crate::core::platform::platform;
use crate::core::stack;
use cuda_abi::*;
use std::ffi::{c_char, c_void};

/// Whether the caller promises to keep the image.
fn is_preserved(options: In<CUlibraryOption>, values: In<*mut c_void>, count: u32) -> Result<bool> {
    let mut preserved = false;
    for (index, option) in options.all(count as usize)?.into_iter().enumerate() {
        match option {
            CUlibraryOption::BINARY_IS_PRESERVED => {
                // Without values, and NVIDIA's runtime passes none, the option's presence says it.
                preserved = values.is_null() || values.at(index)? as usize != 0;
            }
            CUlibraryOption::HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE => {
                tracing::warn!("cuLibraryLoadData: {option:?} is not supported");
                return Err(CUresult::NOT_SUPPORTED);
            }
            _ => return Err(CUresult::INVALID_VALUE),
        }
    }
    Ok(preserved)
}

pub fn cuLibraryLoadData(
    library: Out<CUlibrary>,
    code: *const c_void,
    jit_options: In<CUjit_option>,
    jit_options_values: Out<*mut c_void>,
    num_jit_options: u32,
    library_options: In<CUlibraryOption>,
    library_option_values: In<*mut c_void>,
    num_library_options: u32,
) -> Result {
    platform()?;
    library.required()?;
    let image = match is_preserved(library_options, library_option_values, num_library_options)? {
        true => Image::borrowed(code)?,
        false => Image::borrowed(code)?.into_owned().map_err(|error| {
            tracing::warn!("a library cannot be loaded: {error}");
            error.status
        })?,
    };
    load(
        library,
        image,
        JitOptions::read(num_jit_options as usize, jit_options, jit_options_values)?,
        num_jit_options,
    )
}

pub fn cuLibraryLoadFromFile(
    library: Out<CUlibrary>,
    file_name: In<c_char>,
    jit_options: In<CUjit_option>,
    jit_options_values: Out<*mut c_void>,
    num_jit_options: u32,
    library_options: In<CUlibraryOption>,
    library_option_values: In<*mut c_void>,
    num_library_options: u32,
) -> Result {
    platform()?;
    library.required()?;
    is_preserved(library_options, library_option_values, num_library_options)?;
    let image = Image::read(&file_name.text()?)?;
    load(
        library,
        image,
        JitOptions::read(num_jit_options as usize, jit_options, jit_options_values)?,
        num_jit_options,
    )
}

fn load(
    library: Out<CUlibrary>,
    image: Image,
    options: JitOptions,
    num_jit_options: u32,
) -> Result {
    let loaded = Library::load(image, options.max_registers);
    // Whoever passes JIT options wants to hear of errors now; without them, the image is looked at when it is used.
    if num_jit_options > 0 {
        let parsed = loaded.program_or_error();
        options.report(parsed).inspect_err(|_| loaded.unload())?;
    }
    library.set(loaded.handle())
}

pub fn cuLibraryUnload(library: CUlibrary) -> Result {
    platform()?;
    Library::from_handle(library)?.unload();
    Ok(())
}

pub fn cuLibraryGetKernel(kernel: Out<CUkernel>, library: CUlibrary, name: In<c_char>) -> Result {
    kernel.required()?;
    kernel.set(
        Library::from_handle(library)?
            .kernel(&name.text()?)?
            .handle(),
    )
}

pub fn cuLibraryGetKernelCount(count: Out<u32>, library: CUlibrary) -> Result {
    count.set(Library::from_handle(library)?.program()?.kernels().count() as u32)
}

pub fn cuLibraryEnumerateKernels(
    kernels: Out<CUkernel>,
    num_kernels: u32,
    library: CUlibrary,
) -> Result {
    let library = Library::from_handle(library)?;
    let program = library.program()?.clone();
    let names = program.kernels().take(num_kernels as usize);
    let handles: Result<Vec<_>> = names
        .map(|name| Ok(library.kernel(name)?.handle()))
        .collect();
    kernels.set_all(handles?)
}

pub fn cuLibraryGetModule(module: Out<CUmodule>, library: CUlibrary) -> Result {
    module.required()?;
    let state = stack::state()?;
    module.set(Library::from_handle(library)?.module(&state)?.handle())
}

pub fn cuLibraryGetGlobal(
    dptr: Out<CUdeviceptr>,
    bytes: Out<usize>,
    library: CUlibrary,
    name: In<c_char>,
) -> Result {
    if dptr.is_null() && bytes.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let (address, size) = Library::from_handle(library)?.variable(&name.text()?)?;
    dptr.set_if(address);
    bytes.set_if(size);
    Ok(())
}

pub fn cuLibraryGetManaged(
    dptr: Out<CUdeviceptr>,
    bytes: Out<usize>,
    library: CUlibrary,
    name: In<c_char>,
) -> Result {
    let library = Library::from_handle(library)?;
    if dptr.is_null() && bytes.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let (address, size) = library.managed_variable(&name.text()?)?;
    dptr.set_if(address);
    bytes.set_if(size);
    Ok(())
}
