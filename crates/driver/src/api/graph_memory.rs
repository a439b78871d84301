//! The memory of graphs' allocation nodes, of which there are none: nothing is used and nothing reserved.

use crate::boundary::Result;
use crate::core::platform::device;
use cuda_abi::*;
use std::ffi::c_void;

pub fn cuDeviceGetGraphMemAttribute(
    ordinal: CUdevice,
    attribute: CUgraphMem_attribute,
    value: *mut c_void,
) -> Result {
    device(ordinal)?;
    if attribute.name().is_none() || value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the place is a cuuint64_t.
    unsafe { value.cast::<u64>().write_unaligned(0) };
    Ok(())
}

/// Only the high watermarks can be set, and only to 0.
pub fn cuDeviceSetGraphMemAttribute(
    ordinal: CUdevice,
    attribute: CUgraphMem_attribute,
    value: *mut c_void,
) -> Result {
    use CUgraphMem_attribute as A;
    device(ordinal)?;
    if !matches!(attribute, A::USED_MEM_HIGH | A::RESERVED_MEM_HIGH) || value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the value is a cuuint64_t.
    match unsafe { value.cast::<u64>().read_unaligned() } {
        0 => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuDeviceGraphMemTrim(ordinal: CUdevice) -> Result {
    device(ordinal).map(|_| ())
}
