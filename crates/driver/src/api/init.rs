//! Start, entry points, errors.

use crate::boundary::{In, Out, Result};
use crate::core::platform;
use crate::export_tables;
use crate::exports;
use crate::settings::settings;
use cuda_abi::functions::{find, Lookup};
use cuda_abi::*;
use std::ffi::{c_char, c_void};

pub fn cuInit(flags: u32) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    platform::initialize().map(|_| ())
}

pub fn cuDriverGetVersion(driver_version: Out<i32>) -> Result {
    driver_version.set(settings().driver_version as i32)
}

pub fn cuGetProcAddress(
    symbol: In<c_char>,
    function: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
) -> Result {
    check_flags(flags)?;
    let per_thread = flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM != 0;
    let (address, _) = proc_address(&symbol.text()?, cuda_version, per_thread);
    function.required()?;
    match address.is_null() {
        true => Err(CUresult::NOT_FOUND),
        false => function.set(address as *mut c_void),
    }
}

/// Checks `cuGetProcAddress`'s flags.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
fn check_flags(flags: u64) -> Result {
    let known = CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
    match flags & !known {
        0 => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// What is not found is no error, unlike for the first version.
pub fn cuGetProcAddress_v2(
    default_stream: CUstream,
    symbol: In<c_char>,
    function: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
    symbol_found: Out<CUdriverProcAddressQueryResult>,
) -> Result {
    check_flags(flags)?;
    let chosen =
        flags & (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
    let per_thread = match chosen {
        0 => default_stream == CU_STREAM_PER_THREAD,
        _ => chosen == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM,
    };
    let (address, found) = proc_address(&symbol.text()?, cuda_version, per_thread);
    function.set(address as *mut c_void)?;
    symbol_found.set_if(found);
    Ok(())
}

/// A function that is not implemented is found all the same, like in NVIDIA's driver of the version we report: calling it
/// gives `CUDA_ERROR_NOT_SUPPORTED` and a warning with its name, which helps more than the "needs a newer driver" that the
/// runtime makes of a missing symbol. What is newer than the reported version is not found, again like there.
fn proc_address(
    name: &str,
    cuda_version: i32,
    per_thread: bool,
) -> (*const c_void, CUdriverProcAddressQueryResult) {
    use CUdriverProcAddressQueryResult as R;
    // Negative numbers are large ones without a sign.
    let version = cuda_version as u32;
    match find(name, version, settings().driver_version, per_thread) {
        Lookup::Found(function) => match exports::address(function.symbol) {
            Some(address) => (address, R::SUCCESS),
            None => (std::ptr::null(), R::SYMBOL_NOT_FOUND),
        },
        Lookup::VersionNotSufficient => {
            tracing::debug!("cuGetProcAddress: {name} is newer than {cuda_version}");
            (std::ptr::null(), R::VERSION_NOT_SUFFICIENT)
        }
        Lookup::NotFound => {
            let known = functions::FUNCTIONS.iter().any(|f| f.name == name);
            if known || name.is_empty() {
                tracing::debug!(
                    "cuGetProcAddress: {name:?} is newer than the driver version reported"
                );
            } else {
                tracing::warn!(
                    "cuGetProcAddress: {name} (CUDA version {cuda_version}) is not known"
                );
            }
            (std::ptr::null(), R::SYMBOL_NOT_FOUND)
        }
    }
}

pub fn cuGetExportTable(export_table: Out<*const c_void>, export_table_id: In<CUuuid>) -> Result {
    let id = export_table_id.get()?;
    export_table.required()?;
    match export_tables::find(&id) {
        Some(table) => export_table.set(table),
        None => {
            export_table.set(std::ptr::null())?;
            Err(CUresult::INVALID_VALUE)
        }
    }
}

pub fn cuGetErrorString(error: CUresult, text: Out<*const c_char>) -> Result {
    let found = error.description_c();
    text.set(found.map_or(std::ptr::null(), |text| text.as_ptr()))?;
    found.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
}

pub fn cuGetErrorName(error: CUresult, text: Out<*const c_char>) -> Result {
    let found = error.name_c();
    text.set(found.map_or(std::ptr::null(), |text| text.as_ptr()))?;
    found.map(|_| ()).ok_or(CUresult::INVALID_VALUE)
}
