//! Unified addressing.

use crate::boundary::{In, Result};
use crate::core::capture;
use crate::core::platform::platform;
use crate::core::pointer::{find, unknown, Value};
use cuda_abi::*;
use std::ffi::c_void;

/// Writes an attribute to the place that the caller made for it.
fn write(data: *mut c_void, value: Value) -> Result {
    if data.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the place has the attribute's type.
    unsafe {
        match value {
            Value::Int(value) => (data as *mut i32).write_unaligned(value),
            Value::Long(value) => (data as *mut u64).write_unaligned(value),
            Value::Bool(value) => (data as *mut u32).write_unaligned(value.into()),
        }
    }
    Ok(())
}

pub fn cuPointerGetAttribute(
    data: *mut c_void,
    attribute: CUpointer_attribute,
    dptr: CUdeviceptr,
) -> Result {
    platform()?;
    let known = find(dptr).ok_or(CUresult::INVALID_VALUE)?;
    let value = known.attribute(attribute);
    if value.is_err() && attribute == CUpointer_attribute::HOST_POINTER {
        write(data, Value::Long(0))?;
    }
    write(data, value?)
}

/// Unlike for one attribute, an unknown address is no error: it has no context, no type and no device. What it lies in is left
/// unsaid.
pub fn cuPointerGetAttributes(
    num_attributes: u32,
    attributes: In<CUpointer_attribute>,
    data: In<*mut c_void>,
    dptr: CUdeviceptr,
) -> Result {
    platform()?;
    if num_attributes == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let known = find(dptr);
    for (index, attribute) in attributes
        .all(num_attributes as usize)?
        .into_iter()
        .enumerate()
    {
        use CUpointer_attribute as A;
        if known.is_none() && matches!(attribute, A::RANGE_START_ADDR | A::RANGE_SIZE) {
            continue;
        }
        let value = known
            .as_ref()
            .and_then(|known| known.attribute(attribute).ok())
            .or_else(|| unknown(attribute, dptr));
        write(data.at(index)?, value.ok_or(CUresult::INVALID_VALUE)?)?;
    }
    Ok(())
}

/// Copies from and to this memory are ordered as the API says in any case, which is what the only attribute that can be set
/// asks for; what it was set to can be asked.
pub fn cuPointerSetAttribute(
    value: *const c_void,
    attribute: CUpointer_attribute,
    dptr: CUdeviceptr,
) -> Result {
    if value.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let known = find(dptr).ok_or(CUresult::INVALID_VALUE)?;
    capture::refuse_unsafe_call()?;
    if attribute != CUpointer_attribute::SYNC_MEMOPS {
        return Err(CUresult::INVALID_VALUE);
    }
    // SAFETY: by the API's contract the place has the attribute's type, `unsigned int`.
    let value = unsafe { (value as *const u32).read_unaligned() };
    if let Some(state) = &known.state {
        state.memory.set_synchronous(&known.found, value != 0);
    }
    Ok(())
}
