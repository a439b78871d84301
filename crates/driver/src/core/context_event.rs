//! Events of all work in a context: `cuCtxRecordEvent`, `cuCtxWaitEvent`.

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::event::{Event, Mark};
use crate::core::status::IntoCuda;
use crate::core::stream::{Stream, STREAMS};
use cuda_abi::*;
use std::sync::Arc;
use vulkan::EventPoint;

/// Every stream of the context.
fn streams(state: &State) -> Vec<Arc<Stream>> {
    let mut streams = STREAMS.all();
    streams.retain(|stream| stream.group.context_id == state.context_id);
    streams.extend(state.per_thread.read().values().cloned());
    streams.push(state.legacy.clone());
    streams
}

/// Refuses a call that is about all streams where one of them captures; its capture is invalid then.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
fn refuse_while_capturing(state: &State) -> Result {
    let streams = streams(state);
    (streams.iter()).try_for_each(|stream| stream.refuse_while_capturing())
}

/// Makes an event mark all work that the context has so far.
///
/// # Errors
/// `CUDA_ERROR_INVALID_HANDLE` for an event of another context, `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`, sticky errors.
pub fn record(state: &State, event: &Event) -> Result {
    if event.group.context_id != state.context_id {
        return Err(CUresult::INVALID_HANDLE);
    }
    refuse_while_capturing(state)?;
    event.set_mark(Mark::Point(end(state, event.is_timed())?));
    Ok(())
}

/// The end of all work that the context has so far, whether or not a stream captures what comes now.
///
/// # Errors
/// Sticky errors.
pub fn end(state: &State, timed: bool) -> Result<EventPoint> {
    let streams = streams(state);
    // A stream that waits for all others.
    let end = state.streams.open.take_stream()?;
    let joined = streams
        .iter()
        .try_for_each(|stream| {
            let point = stream.vulkan.record_event(false)?;
            end.wait(&point)
        })
        .and_then(|()| end.record_event(timed));
    state.streams.open.give_back(end);
    joined.cuda()
}

/// Makes all later work of the context, streams made later included, wait for an event.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` where a stream or the event captures, sticky errors.
pub fn wait(state: &State, event: &Event) -> Result {
    refuse_while_capturing(state)?;
    match event.mark() {
        Mark::None => Ok(()),
        Mark::Captured(capture, _) => {
            capture.invalidate();
            Err(CUresult::STREAM_CAPTURE_UNSUPPORTED)
        }
        Mark::Point(point) => wait_for(state, &point),
    }
}

/// The same for a point, whether or not a stream captures.
///
/// # Errors
/// Those of [`Stream::run`].
pub fn wait_for(state: &State, point: &EventPoint) -> Result {
    let streams = streams(state);
    state.streams.all_wait(point);
    streams
        .iter()
        .try_for_each(|stream| stream.run(|vulkan| vulkan.wait(point)))
}
