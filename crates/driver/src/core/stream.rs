//! Streams, and how they wait for each other.
//!
//! Work of the legacy default stream waits for all earlier work of the blocking streams, and their later work waits for
//! it (CUDA C++ Programming Guide, "Default Stream"). Nothing is done for that unless both kinds of stream have work:
//! a stream remembers whether it has work that the legacy stream has not waited for, and up to which work of the legacy
//! stream it has waited.

use crate::boundary::Result;
use crate::core::attributes::{Attributes, Owner};
use crate::core::capture::StreamCapture;
use crate::core::context::State;
use crate::core::device::Device;
use crate::core::printf::Printf;
use crate::core::registry::Registry;
use crate::core::stack;
use crate::core::status::IntoCuda;
use crate::core::stream_pool::OpenDevice;
use cuda_abi::*;
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use vulkan::EventPoint;

/// The streams that the application created.
pub static STREAMS: Registry<Stream> = Registry::new();

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What the streams of a context share.
pub struct StreamGroup {
    /// `Context::id`.
    pub context_id: u64,
    /// The context's handle.
    pub context: CUcontext,
    /// The device.
    pub device: &'static Device,
    /// The open Vulkan device.
    pub vulkan: Arc<vulkan::Device>,
    /// The same with its unused streams.
    pub open: Arc<OpenDevice>,
    /// What kernels print.
    pub printf: Printf,
    legacy: Arc<vulkan::Stream>,
    /// Counts the legacy stream's operations.
    legacy_work: AtomicU64,
    /// Held while streams are made to wait for each other.
    order: Mutex<()>,
    blocking: RwLock<Vec<Weak<Stream>>>,
    /// What streams that are made later wait for first (`cuCtxWaitEvent`).
    waits: Mutex<Vec<EventPoint>>,
}

impl StreamGroup {
    /// A group with only the legacy stream.
    ///
    /// # Errors
    /// Those of making a stream.
    pub fn new(
        context_id: u64,
        context: CUcontext,
        device: &'static Device,
        open: Arc<OpenDevice>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            context_id,
            context,
            device,
            vulkan: open.vulkan.clone(),
            printf: Printf::default(),
            legacy: open.take_stream()?,
            open,
            legacy_work: AtomicU64::new(0),
            order: Mutex::new(()),
            blocking: RwLock::default(),
            waits: Mutex::default(),
        }))
    }

    /// Makes streams that are made later wait for a point, as long as it is not reached.
    pub fn all_wait(&self, point: &EventPoint) {
        let mut waits = self.waits.lock();
        waits.retain(|point| point.is_complete() != Ok(true));
        waits.push(point.clone());
    }

    /// A stream for the application.
    fn take_stream(&self) -> Result<Arc<vulkan::Stream>> {
        let stream = self.open.take_stream()?;
        for point in &*self.waits.lock() {
            stream.wait(point).cuda()?;
        }
        Ok(stream)
    }

    /// Prints what kernels have printed so far.
    ///
    /// # Errors
    /// The sticky error.
    pub fn print(&self) -> Result {
        self.printf.drain(self)
    }

    /// What a call came to. The first that tells of failed assertions shows them.
    ///
    /// # Errors
    /// The status of the error.
    pub fn told<T>(&self, result: std::result::Result<T, vulkan::Error>) -> Result<T> {
        if let Err(error) = &result {
            self.printf.drain_failed(self, error);
        }
        result.cuda()
    }

    fn blocking_streams(&self) -> Vec<Arc<Stream>> {
        self.blocking
            .read()
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

/// What a stream is to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The legacy default stream.
    Legacy,
    /// A thread's default stream.
    PerThread,
    /// `cuStreamCreate` made it.
    Created,
}

/// A stream.
pub struct Stream {
    /// `cuStreamGetId`.
    pub id: u64,
    /// Which sort it is.
    pub kind: Kind,
    /// `CU_STREAM_` flags.
    pub flags: u32,
    /// `cuStreamGetPriority`.
    pub priority: i32,
    /// Its context and neighbours.
    pub group: Arc<StreamGroup>,
    /// The ordered work itself.
    pub vulkan: Arc<vulkan::Stream>,
    /// Whether and what it captures.
    pub capture: StreamCapture,
    /// `cuStreamSetAttribute`.
    pub attributes: Mutex<Attributes>,
    /// Has work that the legacy stream has not waited for.
    used: AtomicBool,
    /// The legacy stream's work that this one waits for.
    seen: AtomicU64,
}

impl Stream {
    fn new(
        group: &Arc<StreamGroup>,
        kind: Kind,
        flags: u32,
        priority: i32,
        vulkan: Arc<vulkan::Stream>,
    ) -> Arc<Self> {
        let stream = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            kind,
            flags,
            priority,
            group: group.clone(),
            vulkan,
            capture: StreamCapture::default(),
            attributes: Mutex::new(Attributes::new(Owner::Stream)),
            used: AtomicBool::new(false),
            seen: AtomicU64::new(0),
        });
        if kind != Kind::Legacy && stream.is_blocking() {
            let mut blocking = group.blocking.write();
            blocking.retain(|stream| stream.strong_count() > 0);
            blocking.push(Arc::downgrade(&stream));
        }
        stream
    }

    /// The legacy default stream of a group.
    pub fn legacy(group: &Arc<StreamGroup>) -> Arc<Self> {
        Self::new(group, Kind::Legacy, 0, 0, group.legacy.clone())
    }

    /// `cuStreamCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for unknown flags; those of the device.
    pub fn create(state: &State, flags: u32, priority: i32) -> Result<Arc<Self>> {
        if flags & !CU_STREAM_NON_BLOCKING != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let vulkan = state.streams.take_stream()?;
        let stream = Self::new(&state.streams, Kind::Created, flags, priority, vulkan);
        STREAMS.insert(stream.clone());
        Ok(stream)
    }

    /// The stream of a handle: null and 1 are the current context's legacy default stream, 2 is the calling thread's.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`; `CUDA_ERROR_INVALID_CONTEXT` where a default stream is meant and no context is current.
    pub fn from_handle(handle: CUstream) -> Result<Arc<Self>> {
        match handle {
            CUstream::NULL | CU_STREAM_LEGACY => Ok(stack::state()?.legacy.clone()),
            CU_STREAM_PER_THREAD => per_thread(&stack::state()?),
            _ => STREAMS.get(handle.0),
        }
    }

    /// The handle by which the application knows it.
    pub fn handle(self: &Arc<Self>) -> CUstream {
        match self.kind {
            Kind::Legacy => CU_STREAM_LEGACY,
            Kind::PerThread => CU_STREAM_PER_THREAD,
            Kind::Created => CUstream(Registry::handle(self)),
        }
    }

    /// Whether it waits for the legacy stream and the other way round.
    pub fn is_blocking(&self) -> bool {
        self.flags & CU_STREAM_NON_BLOCKING == 0
    }

    /// Appends work, ordered among the default and blocking streams.
    ///
    /// # Errors
    /// The work's error.
    pub fn run<R>(
        &self,
        work: impl FnOnce(&vulkan::Stream) -> std::result::Result<R, vulkan::Error>,
    ) -> Result<R> {
        self.before()?;
        let result = self.group.told(work(&self.vulkan))?;
        self.after();
        Ok(result)
    }

    /// Waits where the order of default and blocking streams asks for it.
    fn before(&self) -> Result {
        let group = &*self.group;
        if self.kind == Kind::Legacy {
            if group.blocking.read().is_empty() {
                return Ok(());
            }
            // The lock keeps another thread's work on this stream behind the waits that this thread is about to append.
            let _order = group.order.lock();
            for stream in group.blocking_streams() {
                if stream.capture.is_active() {
                    stream.capture.invalidate();
                    return Err(CUresult::STREAM_CAPTURE_IMPLICIT);
                }
                if stream.used.swap(false, Ordering::AcqRel) {
                    let point = stream.vulkan.record_event(false).cuda()?;
                    self.vulkan.wait(&point).cuda()?;
                }
            }
        } else if self.is_blocking() {
            let work = group.legacy_work.load(Ordering::Acquire);
            if self.seen.load(Ordering::Acquire) < work {
                let _order = group.order.lock();
                let point = group.legacy.record_event(false).cuda()?;
                self.vulkan.wait(&point).cuda()?;
                self.seen.fetch_max(work, Ordering::AcqRel);
            }
        }
        Ok(())
    }

    /// Notes that there is work. Called after appending it: whoever clears the note then waits for it.
    fn after(&self) {
        if self.kind == Kind::Legacy {
            self.group.legacy_work.fetch_add(1, Ordering::AcqRel);
        } else if self.is_blocking() {
            self.used.store(true, Ordering::Release);
        }
    }

    /// `cuStreamSynchronize`.
    ///
    /// # Errors
    /// Sticky errors; `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` while it captures.
    pub fn synchronize(&self) -> Result {
        self.refuse_while_capturing()?;
        self.before()?;
        self.group.told(self.vulkan.synchronize())?;
        self.group.print()
    }

    /// `cuStreamQuery`.
    ///
    /// # Errors
    /// As [`Stream::synchronize`].
    pub fn is_idle(&self) -> Result<bool> {
        self.refuse_while_capturing()?;
        // A stream of its own without work does not wait for anyone.
        if self.kind == Kind::Legacy || self.used.load(Ordering::Acquire) {
            self.before()?;
        }
        self.group.told(self.vulkan.is_idle())
    }

    /// Refuses to tell about the legacy stream's capture while a blocking stream captures, which work of the legacy stream would
    /// have to wait for.
    ///
    /// # Errors
    /// `CUDA_ERROR_STREAM_CAPTURE_IMPLICIT`; the capture stays valid.
    pub fn refuse_implicit(&self) -> Result {
        let capturing = |stream: &Arc<Stream>| stream.capture.is_active();
        match self.kind == Kind::Legacy && self.group.blocking_streams().iter().any(capturing) {
            true => Err(CUresult::STREAM_CAPTURE_IMPLICIT),
            false => Ok(()),
        }
    }

    /// Ends the capture, which is invalid from now on, where the stream captures.
    ///
    /// # Errors
    /// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` where it does.
    pub fn refuse_while_capturing(&self) -> Result {
        if self.capture.is_active() {
            self.capture.invalidate();
            return Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.group.open.give_back(self.vulkan.clone());
    }
}

/// The calling thread's default stream in a context.
///
/// # Errors
/// Those of making a stream.
pub fn per_thread(state: &Arc<State>) -> Result<Arc<Stream>> {
    let thread = std::thread::current().id();
    if let Some(stream) = state.per_thread.read().get(&thread) {
        return Ok(stream.clone());
    }
    let vulkan = state.streams.take_stream()?;
    let stream = Stream::new(&state.streams, Kind::PerThread, 0, 0, vulkan);
    state.per_thread.write().insert(thread, stream.clone());
    // A thread that already ends keeps its stream until the context closes.
    let _ = ENDING.try_with(|ending| ending.borrow_mut().0.push(Arc::downgrade(state)));
    Ok(stream)
}

/// Forgets a thread's default streams when the thread ends.
struct Ending(Vec<Weak<State>>);

impl Drop for Ending {
    fn drop(&mut self) {
        let thread = std::thread::current().id();
        for state in self.0.iter().filter_map(Weak::upgrade) {
            let stream = state.per_thread.write().remove(&thread);
            drop(stream);
        }
    }
}

thread_local! {
    static ENDING: RefCell<Ending> = const { RefCell::new(Ending(Vec::new())) };
}

/// Ends the handles of a closed context's streams.
pub fn end_of_context(context_id: u64) {
    STREAMS.remove_if(|stream| stream.group.context_id == context_id);
}
