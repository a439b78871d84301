//! Between C and the library: how functions begin and end, handles, results, texts.

use std::ffi::{c_char, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::devices::{self, Device};
use crate::log;
use crate::types::Status;

/// `nvmlDevice_t`.
pub type Handle = *mut c_void;

/// Runs the body of a C function: starts logging, stops panics, logs the result.
pub(crate) fn enter(name: &str, body: impl FnOnce() -> Result<(), Status>) -> i32 {
    catch_unwind(AssertUnwindSafe(|| {
        log::start();
        let status = body().err().unwrap_or(Status::Success);
        tracing::trace!(target: "nvml::api", "{name} -> {status:?}");
        status as i32
    }))
    .unwrap_or(Status::Unknown as i32)
}

/// Defines exported C functions whose bodies give a `Result<(), Status>`.
macro_rules! functions {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        #[no_mangle]
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> i32 {
            $crate::boundary::enter(stringify!($name), || $body)
        }
    )*};
}
pub(crate) use functions;

/// The device of a handle.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is none.
pub(crate) fn find(handle: Handle) -> Result<Device, Status> {
    let devices = devices::all()?;
    let index = (handle as usize)
        .checked_sub(1)
        .ok_or(Status::InvalidArgument)?;
    devices
        .into_iter()
        .nth(index)
        .ok_or(Status::InvalidArgument)
}

/// The handle of a device: its number plus one.
pub(crate) fn handle_of(device: &Device) -> Handle {
    std::ptr::without_provenance_mut(device.index + 1)
}

/// Writes a result.
///
/// # Errors
/// `INVALID_ARGUMENT` for null.
pub(crate) fn put<T>(to: *mut T, value: T) -> Result<(), Status> {
    if to.is_null() {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: the C caller's pointer to a result, which is not null.
    unsafe { to.write(value) };
    Ok(())
}

/// Writes text and a zero into a buffer of `length` bytes.
pub(crate) fn put_text(to: *mut c_char, length: u32, text: &str) -> Result<(), Status> {
    if to.is_null() {
        return Err(Status::InvalidArgument);
    }
    if (length as usize) <= text.len() {
        return Err(Status::InsufficientSize);
    }
    // SAFETY: the C caller's buffer has room for the text and the zero.
    unsafe {
        to.cast::<u8>()
            .copy_from_nonoverlapping(text.as_ptr(), text.len());
        to.add(text.len()).write(0);
    }
    Ok(())
}

/// A text that the caller gives.
///
/// # Errors
/// `INVALID_ARGUMENT` for null and for what is no UTF-8.
pub(crate) fn text<'a>(from: *const c_char) -> Result<&'a str, Status> {
    if from.is_null() {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: the C caller's text ends with a zero.
    unsafe { CStr::from_ptr(from) }
        .to_str()
        .map_err(|_| Status::InvalidArgument)
}

/// Reads a structure that begins with its version, which the caller sets to its size and the version in the upper byte.
///
/// # Errors
/// `INVALID_ARGUMENT` for null, `ARGUMENT_VERSION_MISMATCH` for another version.
pub(crate) fn versioned<T: Copy>(from: *const T, version: u32) -> Result<T, Status> {
    if from.is_null() {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: the C caller's structure starts with its version.
    if unsafe { from.cast::<u32>().read() } != version {
        return Err(Status::ArgumentVersionMismatch);
    }
    // SAFETY: the version says that it is this structure.
    Ok(unsafe { from.read() })
}

/// The version of a structure, as the header's `NVML_STRUCT_VERSION` makes it.
pub(crate) const fn version_of<T>(version: u32) -> u32 {
    size_of::<T>() as u32 | version << 24
}

/// Text in an array of a structure, whose last place keeps its zero.
pub(crate) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut chars = [0; N];
    for (to, from) in chars[..N - 1].iter_mut().zip(text.bytes()) {
        *to = from as c_char;
    }
    chars
}
