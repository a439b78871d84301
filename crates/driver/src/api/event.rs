//! Event management.

use crate::boundary::{Out, Result};
use crate::core::capture;
use crate::core::context::Context;
use crate::core::context_event;
use crate::core::event::{Event, EVENTS};
use crate::core::stack;
use crate::core::status::IntoCuda;
use crate::core::stream::Stream;
use cuda_abi::*;

pub fn cuEventCreate(event: Out<CUevent>, flags: u32) -> Result {
    event.required()?;
    event.set(Event::create(&*stack::healthy()?, flags)?.handle())
}

pub fn cuEventRecord(event: CUevent, stream: CUstream) -> Result {
    cuEventRecordWithFlags(event, stream, 0)
}

pub fn cuEventRecordWithFlags(event: CUevent, stream: CUstream, flags: u32) -> Result {
    if flags & !CU_EVENT_EXTERNAL != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let (stream, event) = (Stream::from_handle(stream)?, EVENTS.get(event.0)?);
    capture::record_event(&stream, &event, flags & CU_EVENT_EXTERNAL != 0)
}

pub fn cuEventQuery(event: CUevent) -> Result {
    let event = EVENTS.get(event.0)?;
    event.refuse_while_capturing()?;
    match event.is_complete()? {
        true => Ok(()),
        false => Err(CUresult::NOT_READY),
    }
}

pub fn cuEventSynchronize(event: CUevent) -> Result {
    let event = EVENTS.get(event.0)?;
    event.refuse_while_capturing()?;
    event.synchronize()
}

/// The sticky error is told here, too; the event is gone all the same.
pub fn cuEventDestroy_v2(event: CUevent) -> Result {
    EVENTS.remove(event.0)?.group.vulkan.check().cuda()
}

pub use cuEventDestroy_v2 as cuEventDestroy;

pub fn cuEventElapsedTime_v2(milliseconds: Out<f32>, start: CUevent, end: CUevent) -> Result {
    milliseconds.required()?;
    let (start, end) = (EVENTS.get(start.0)?, EVENTS.get(end.0)?);
    milliseconds.set(end.milliseconds_since(&start)?)
}

pub use cuEventElapsedTime_v2 as cuEventElapsedTime;

pub fn cuCtxRecordEvent(ctx: CUcontext, event: CUevent) -> Result {
    let state = Context::from_handle(ctx)?.state()?;
    context_event::record(&state, &*EVENTS.get(event.0)?)
}

pub fn cuCtxWaitEvent(ctx: CUcontext, event: CUevent) -> Result {
    let state = Context::from_handle(ctx)?.state()?;
    context_event::wait(&state, &*EVENTS.get(event.0)?)
}
