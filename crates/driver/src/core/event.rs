//! Events.

use crate::boundary::Result;
use crate::core::capture::{self, Capture};
use crate::core::context::State;
use crate::core::registry::Registry;
use crate::core::status::IntoCuda;
use crate::core::stream::{Stream, StreamGroup};
use cuda_abi::*;
use parking_lot::Mutex;
use std::sync::Arc;
use vulkan::EventPoint;

/// Every event by handle.
pub static EVENTS: Registry<Event> = Registry::new();

/// What an event last marked.
#[derive(Clone)]
pub enum Mark {
    /// Nothing yet: it counts as complete.
    None,
    /// A point in a stream's work.
    Point(EventPoint),
    /// Nodes of a graph under capture.
    Captured(Arc<Capture>, Vec<CUgraphNode>),
}

/// An event.
pub struct Event {
    /// Its context's streams.
    pub group: Arc<StreamGroup>,
    /// `CU_EVENT_` flags.
    pub flags: u32,
    mark: Mutex<Mark>,
}

impl Event {
    /// `cuEventCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for unknown flags, `CUDA_ERROR_NOT_SUPPORTED` for an event to share with other processes.
    pub fn create(state: &State, flags: u32) -> Result<Arc<Self>> {
        if flags & !(CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS) != 0
        {
            return Err(CUresult::INVALID_VALUE);
        }
        if flags & CU_EVENT_INTERPROCESS != 0 {
            if flags & CU_EVENT_DISABLE_TIMING == 0 {
                return Err(CUresult::INVALID_VALUE);
            }
            tracing::warn!("cuEventCreate: events to share with other processes are not supported");
            return Err(CUresult::NOT_SUPPORTED);
        }
        let event = Arc::new(Self {
            group: state.streams.clone(),
            flags,
            mark: Mutex::new(Mark::None),
        });
        EVENTS.insert(event.clone());
        Ok(event)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUevent {
        CUevent(Registry::handle(self))
    }

    /// Whether it takes the time.
    pub fn is_timed(&self) -> bool {
        self.flags & CU_EVENT_DISABLE_TIMING == 0
    }

    /// What it last marked.
    pub fn mark(&self) -> Mark {
        self.mark.lock().clone()
    }

    /// Marks something else.
    pub fn set_mark(&self, mark: Mark) {
        *self.mark.lock() = mark;
    }

    /// `cuEventRecord` on a stream that does not capture.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` for a stream of another context; sticky errors.
    pub fn record(&self, stream: &Stream) -> Result {
        if stream.group.context_id != self.group.context_id {
            return Err(CUresult::INVALID_HANDLE);
        }
        let point = stream.run(|vulkan| vulkan.record_event(self.is_timed()))?;
        self.set_mark(Mark::Point(point));
        Ok(())
    }

    fn point(&self) -> Result<Option<EventPoint>> {
        match self.mark() {
            Mark::None => Ok(None),
            Mark::Point(point) => Ok(Some(point)),
            Mark::Captured(capture, _) if !capture.is_under_way() => Err(CUresult::INVALID_VALUE),
            Mark::Captured(capture, _) => {
                capture.invalidate();
                Err(CUresult::CAPTURED_EVENT)
            }
        }
    }

    /// Refuses waiting for a point in a stream's work while a capture is under way that forbids it; events of a capture are
    /// told by themselves.
    ///
    /// # Errors
    /// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`.
    pub fn refuse_while_capturing(&self) -> Result {
        match &*self.mark.lock() {
            Mark::Captured(..) => Ok(()),
            _ => capture::refuse_unsafe_call(),
        }
    }

    /// `cuEventQuery`.
    ///
    /// # Errors
    /// `CUDA_ERROR_CAPTURED_EVENT`; sticky errors.
    pub fn is_complete(&self) -> Result<bool> {
        match self.point()? {
            Some(point) => self.group.told(point.is_complete()),
            None => Ok(true),
        }
    }

    /// `cuEventSynchronize`.
    ///
    /// # Errors
    /// As [`Event::is_complete`].
    pub fn synchronize(&self) -> Result {
        match self.point()? {
            Some(point) => {
                self.group.told(point.wait())?;
                self.group.print()
            }
            None => Ok(()),
        }
    }

    /// `cuEventElapsedTime`: milliseconds from `start` to this event.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` where one takes no time or marks nothing, or they are of two devices, `CUDA_ERROR_NOT_READY` where one is not complete.
    pub fn milliseconds_since(&self, start: &Event) -> Result<f32> {
        let one_context = self.group.context_id == start.group.context_id;
        if !self.is_timed() || !start.is_timed() || !one_context {
            return Err(CUresult::INVALID_HANDLE);
        }
        let (Some(from), Some(to)) = (start.point()?, self.point()?) else {
            return Err(CUresult::INVALID_HANDLE);
        };
        if !from.is_complete().cuda()? || !to.is_complete().cuda()? {
            return Err(CUresult::NOT_READY);
        }
        Ok((to.nanoseconds_since(&from).cuda()? / 1e6) as f32)
    }
}

/// Ends the handles of a closed context's events.
pub fn end_of_context(context_id: u64) {
    EVENTS.remove_if(|event| event.group.context_id == context_id);
}
