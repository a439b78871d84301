//! Primary contexts.

use crate::boundary::{Out, Result};
use crate::core::platform::device;
use cuda_abi::*;
use std::sync::atomic::Ordering;

pub fn cuDevicePrimaryCtxRetain(ctx: Out<CUcontext>, dev: CUdevice) -> Result {
    ctx.required()?;
    let primary = device(dev)?.primary();
    primary.retain()?;
    ctx.set(primary.handle())
}

pub fn cuDevicePrimaryCtxRelease(dev: CUdevice) -> Result {
    device(dev)?.primary().release()
}

pub use cuDevicePrimaryCtxRelease as cuDevicePrimaryCtxRelease_v2;

pub fn cuDevicePrimaryCtxReset(dev: CUdevice) -> Result {
    device(dev)?.primary().reset();
    Ok(())
}

pub use cuDevicePrimaryCtxReset as cuDevicePrimaryCtxReset_v2;

pub fn cuDevicePrimaryCtxSetFlags(dev: CUdevice, flags: u32) -> Result {
    super::context::check_flags(flags)?;
    device(dev)?.primary().flags.store(flags, Ordering::Relaxed);
    Ok(())
}

pub use cuDevicePrimaryCtxSetFlags as cuDevicePrimaryCtxSetFlags_v2;

pub fn cuDevicePrimaryCtxGetState(dev: CUdevice, flags: Out<u32>, active: Out<i32>) -> Result {
    let primary = device(dev)?.primary();
    if flags.is_null() && active.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    flags.set_if(primary.flags.load(Ordering::Relaxed));
    active.set_if(i32::from(primary.is_open()));
    Ok(())
}
