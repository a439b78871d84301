//! Context management.

use crate::boundary::{In, Out, Result};
use crate::core::context::Context;
use crate::core::platform::{device, platform};
use crate::core::{capture, stack};
use cuda_abi::*;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// The context of a handle, the current one for null.
fn context(handle: CUcontext) -> Result<Arc<Context>> {
    if handle.is_null() {
        stack::current()
    } else {
        Context::from_handle(handle)
    }
}

/// Checks the flags of a context: known ones, and no more than one way to wait.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`.
pub(super) fn check_flags(flags: u32) -> Result {
    match flags & CU_CTX_SCHED_MASK {
        0 | 1 | 2 | 4 if flags & !CU_CTX_FLAGS_MASK == 0 => Ok(()),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuCtxCreate_v2(ctx: Out<CUcontext>, flags: u32, dev: CUdevice) -> Result {
    ctx.required()?;
    check_flags(flags)?;
    let context = Context::create(device(dev)?, flags)?;
    ctx.set(context.handle())?;
    stack::push(context)
}

pub fn cuCtxCreate_v3(
    ctx: Out<CUcontext>,
    _params_array: In<CUexecAffinityParam>,
    num_params: i32,
    flags: u32,
    dev: CUdevice,
) -> Result {
    if num_params != 0 {
        return Err(CUresult::UNSUPPORTED_EXEC_AFFINITY);
    }
    cuCtxCreate_v2(ctx, flags, dev)
}

pub fn cuCtxCreate_v4(
    ctx: Out<CUcontext>,
    ctx_create_params: In<CUctxCreateParams>,
    flags: u32,
    dev: CUdevice,
) -> Result {
    if !ctx_create_params.is_null() {
        let params = ctx_create_params.get()?;
        if params.numExecAffinityParams != 0 {
            return Err(CUresult::UNSUPPORTED_EXEC_AFFINITY);
        }
        if !params.cigParams.is_null() {
            return Err(CUresult::NOT_SUPPORTED);
        }
    }
    cuCtxCreate_v2(ctx, flags, dev)
}

pub fn cuCtxDestroy_v2(ctx: CUcontext) -> Result {
    platform()?;
    if ctx.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    let context = Context::from_handle(ctx)?;
    if context.is_primary {
        return Err(CUresult::INVALID_CONTEXT);
    }
    context.destroy();
    stack::forget(&context);
    Ok(())
}

pub use cuCtxDestroy_v2 as cuCtxDestroy;

pub fn cuCtxPushCurrent_v2(ctx: CUcontext) -> Result {
    platform()?;
    if ctx.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    stack::push(Context::from_handle(ctx)?)
}

pub use cuCtxPushCurrent_v2 as cuCtxPushCurrent;

pub fn cuCtxPopCurrent_v2(ctx: Out<CUcontext>) -> Result {
    let context = stack::pop()?;
    ctx.set_if(context.handle());
    Ok(())
}

pub use cuCtxPopCurrent_v2 as cuCtxPopCurrent;

pub fn cuCtxSetCurrent(ctx: CUcontext) -> Result {
    platform()?;
    match ctx {
        CUcontext::NULL => stack::set(None),
        _ => stack::set(Some(Context::from_handle(ctx)?)),
    }
}

pub fn cuCtxGetCurrent(ctx: Out<CUcontext>) -> Result {
    ctx.set(stack::top()?.map_or(CUcontext::NULL, |context| context.handle()))
}

pub fn cuCtxGetDevice(device: Out<CUdevice>) -> Result {
    device.set(stack::current()?.device.ordinal)
}

pub fn cuCtxGetDevice_v2(device: Out<CUdevice>, ctx: CUcontext) -> Result {
    device.set(context(ctx)?.device.ordinal)
}

pub fn cuCtxGetFlags(flags: Out<u32>) -> Result {
    let context = stack::current()?;
    let kept = context.flags.load(Ordering::Relaxed);
    // A primary context tells that host memory may be mapped, which always is the case.
    flags.set(match context.is_primary {
        true => kept | CU_CTX_MAP_HOST,
        false => kept,
    })
}

pub fn cuCtxSetFlags(flags: u32) -> Result {
    check_flags(flags)?;
    // What is decided when a context is made cannot be set later.
    let kept = flags & !(CU_CTX_MAP_HOST | CU_CTX_COREDUMP_ENABLE);
    stack::current()?.flags.store(kept, Ordering::Relaxed);
    Ok(())
}

pub fn cuCtxGetId(ctx: CUcontext, ctx_id: Out<u64>) -> Result {
    ctx_id.set(context(ctx)?.id)
}

pub fn cuCtxSynchronize() -> Result {
    cuCtxSynchronize_v2(CUcontext::NULL)
}

pub fn cuCtxSynchronize_v2(ctx: CUcontext) -> Result {
    let state = context(ctx)?.state()?;
    capture::refuse_unsafe_call()?;
    capture::refuse_while_context_captures(state.context_id)?;
    state.synchronize()
}

pub fn cuCtxSetLimit(limit: CUlimit, value: usize) -> Result {
    let context = stack::current()?;
    capture::refuse_unsafe_call()?;
    context.set_limit(limit, value)
}

pub fn cuCtxGetLimit(value: Out<usize>, limit: CUlimit) -> Result {
    stack::healthy()?;
    value.set(stack::current()?.limit(limit)?)
}

pub fn cuCtxGetCacheConfig(config: Out<CUfunc_cache>) -> Result {
    config.set(CUfunc_cache(
        stack::current()?.cache_config.load(Ordering::Relaxed),
    ))
}

pub fn cuCtxSetCacheConfig(config: CUfunc_cache) -> Result {
    config.name().ok_or(CUresult::INVALID_VALUE)?;
    let context = stack::current()?;
    capture::refuse_unsafe_call()?;
    context.cache_config.store(config.0, Ordering::Relaxed);
    Ok(())
}

pub fn cuCtxGetSharedMemConfig(config: Out<CUsharedconfig>) -> Result {
    config.set(CUsharedconfig(
        stack::current()?.shared_config.load(Ordering::Relaxed),
    ))
}

/// The bank size is fixed since compute capability 5.0: the call checks its argument and changes nothing.
pub fn cuCtxSetSharedMemConfig(config: CUsharedconfig) -> Result {
    config.name().ok_or(CUresult::INVALID_VALUE)?;
    stack::current()?;
    capture::refuse_unsafe_call()
}

pub fn cuCtxGetApiVersion(ctx: CUcontext, version: Out<u32>) -> Result {
    context(ctx)?;
    // The version of the context interface, which has been this since CUDA 3.2.
    version.set(3020)
}

/// Streams have no priorities: the range is empty.
pub fn cuCtxGetStreamPriorityRange(
    least_priority: Out<i32>,
    greatest_priority: Out<i32>,
) -> Result {
    stack::current()?;
    least_priority.set_if(0);
    greatest_priority.set_if(0);
    Ok(())
}

/// No L2 cache can be set aside, so none of it is to be reset.
pub fn cuCtxResetPersistingL2Cache() -> Result {
    stack::current().map(|_| ())
}

pub fn cuCtxAttach(ctx: Out<CUcontext>, flags: u32) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let context = stack::current()?;
    ctx.set(context.handle())?;
    context.attach();
    Ok(())
}

/// The last to detach destroys the context.
pub fn cuCtxDetach(ctx: CUcontext) -> Result {
    platform()?;
    match Context::from_handle(ctx)?.detach() {
        true => cuCtxDestroy_v2(ctx),
        false => Ok(()),
    }
}

/// Contexts of one device reach each other's memory anyway, which is no access between peers; those of others do not.
pub fn cuCtxEnablePeerAccess(peer_context: CUcontext, flags: u32) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let current = stack::current()?;
    let peer = Context::from_handle(peer_context)?;
    let _ = (current, peer);
    Err(CUresult::PEER_ACCESS_UNSUPPORTED)
}

pub fn cuCtxDisablePeerAccess(peer_context: CUcontext) -> Result {
    stack::current()?;
    Context::from_handle(peer_context)?;
    Err(CUresult::PEER_ACCESS_NOT_ENABLED)
}

pub fn cuCtxGetExecAffinity(
    exec_affinity: Out<CUexecAffinityParam>,
    kind: CUexecAffinityType,
) -> Result {
    let context = stack::current()?;
    if kind != CUexecAffinityType::SM_COUNT {
        return Err(CUresult::UNSUPPORTED_EXEC_AFFINITY);
    }
    exec_affinity.set(CUexecAffinityParam {
        kind,
        sm_count: context.device.multiprocessors(),
    })
}
