//! Stream management.

use crate::boundary::{In, Out, Result};
use crate::core::capture;
use crate::core::event::EVENTS;
use crate::core::platform;
use crate::core::registry::Registry;
use crate::core::stack;
use crate::core::status::IntoCuda;
use crate::core::stream::{Kind, Stream, STREAMS};
use cuda_abi::*;
use std::ffi::c_void;
use vulkan::MemoryKind;

pub fn cuStreamCreate(stream: Out<CUstream>, flags: u32) -> Result {
    cuStreamCreateWithPriority(stream, flags, 0)
}

/// Streams have no priorities: any is clamped to 0, the only one.
pub fn cuStreamCreateWithPriority(stream: Out<CUstream>, flags: u32, _priority: i32) -> Result {
    stream.required()?;
    stream.set(Stream::create(&*stack::healthy()?, flags, 0)?.handle())
}

pub fn cuStreamGetPriority(stream: CUstream, priority: Out<i32>) -> Result {
    priority.set(Stream::from_handle(stream)?.priority)
}

pub fn cuStreamGetFlags(stream: CUstream, flags: Out<u32>) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    flags.set(stream.flags)
}

pub fn cuStreamGetId(stream: CUstream, stream_id: Out<u64>) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    stream_id.set(stream.id)
}

pub fn cuStreamGetDevice(stream: CUstream, device: Out<CUdevice>) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    device.set(stream.group.device.ordinal)
}

pub fn cuStreamGetCtx(stream: CUstream, ctx: Out<CUcontext>) -> Result {
    ctx.set(Stream::from_handle(stream)?.group.context)
}

pub fn cuStreamGetCtx_v2(
    stream: CUstream,
    ctx: Out<CUcontext>,
    green_ctx: Out<CUgreenCtx>,
) -> Result {
    green_ctx.set_if(CUgreenCtx::NULL);
    cuStreamGetCtx(stream, ctx)
}

/// There are no green contexts that a stream could be of.
pub fn cuStreamGetGreenCtx(stream: CUstream, green_ctx: Out<CUgreenCtx>) -> Result {
    Stream::from_handle(stream)?;
    green_ctx.set(CUgreenCtx::NULL)
}

/// The stream's work goes on; what it holds is dropped once that is done. No context has to be current.
pub fn cuStreamDestroy_v2(handle: CUstream) -> Result {
    platform::platform()?;
    let stream = STREAMS.get(handle.0)?;
    stream.capture.leave(&stream);
    STREAMS.remove(Registry::handle(&stream))?;
    stream.vulkan.flush().cuda()
}

pub use cuStreamDestroy_v2 as cuStreamDestroy;

pub fn cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: u32) -> Result {
    if flags & !CU_EVENT_EXTERNAL != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let (stream, event) = (Stream::from_handle(stream)?, EVENTS.get(event.0)?);
    capture::wait_event(&stream, &event, flags & CU_EVENT_EXTERNAL != 0)
}

pub fn cuStreamAddCallback(
    stream: CUstream,
    callback: CUstreamCallback,
    user_data: *mut c_void,
    flags: u32,
) -> Result {
    let callback = callback.ok_or(CUresult::INVALID_VALUE)?;
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let found = Stream::from_handle(stream)?;
    found.refuse_while_capturing()?;
    let user_data = user_data as usize;
    let device = found.group.vulkan.clone();
    found.run(|vulkan| {
        vulkan.host_function(Box::new(move || {
            let status = device.check().err().map_or(CUresult::SUCCESS, |error| {
                crate::core::status::status(&error)
            });
            // SAFETY: the application gave the function with its argument to be called in stream order.
            platform::callback(|| unsafe { callback(stream, status, user_data as *mut c_void) });
        }))
    })
}

pub fn cuStreamSynchronize(stream: CUstream) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    capture::refuse_unsafe_call()?;
    stream.synchronize()
}

pub fn cuStreamQuery(stream: CUstream) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    capture::refuse_unsafe_call()?;
    match stream.is_idle()? {
        true => Ok(()),
        false => Err(CUresult::NOT_READY),
    }
}

/// Managed memory is reachable from every stream and from the host at all times.
pub fn cuStreamAttachMemAsync(
    stream: CUstream,
    dptr: CUdeviceptr,
    length: usize,
    flags: u32,
) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_while_capturing()?;
    match flags {
        CU_MEM_ATTACH_GLOBAL | CU_MEM_ATTACH_HOST => {}
        // The legacy stream is everybody's, so nothing can be its alone.
        CU_MEM_ATTACH_SINGLE if stream.kind != Kind::Legacy => {}
        _ => return Err(CUresult::INVALID_VALUE),
    }
    let known = crate::core::pointer::find(dptr).ok_or(CUresult::INVALID_VALUE)?;
    // Only whole allocations and variables change hands, and only managed ones.
    let is_whole = |size: u64| length == 0 || length as u64 == size;
    let whole = known.address == known.found.base && is_whole(known.found.size)
        || crate::core::variables::managed_at(known.address).is_some_and(is_whole);
    match whole && known.found.kind == MemoryKind::Managed {
        true => Ok(()),
        false => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuStreamCopyAttributes(dst_stream: CUstream, src_stream: CUstream) -> Result {
    let (to, from) = (
        Stream::from_handle(dst_stream)?,
        Stream::from_handle(src_stream)?,
    );
    let attributes = from.attributes.lock().clone();
    *to.attributes.lock() = attributes;
    Ok(())
}

pub fn cuStreamGetAttribute(
    stream: CUstream,
    attribute: CUstreamAttrID,
    value: Out<CUstreamAttrValue>,
) -> Result {
    let stream = Stream::from_handle(stream)?;
    let kept = stream.attributes.lock().get(attribute);
    let kept = kept.ok_or(CUresult::INVALID_VALUE)?;
    value.set(kept)
}

/// Every stream attribute is a hint: a cache window, a way to wait, a priority, a domain. They are kept to be asked for.
pub fn cuStreamSetAttribute(
    stream: CUstream,
    attribute: CUstreamAttrID,
    param: In<CUstreamAttrValue>,
) -> Result {
    let stream = Stream::from_handle(stream)?;
    let value = param.get()?;
    let mut attributes = stream.attributes.lock();
    attributes.set(attribute, value)
}
