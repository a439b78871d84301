//! Ordered work.

use crate::{Error, EventPoint, Launch, Pipeline, Recording};
use std::any::Any;
use std::sync::Arc;

/// A copy of rows between device addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy2d {
    /// First byte of the destination.
    pub destination: u64,
    /// Bytes from one destination row to the next.
    pub destination_pitch: u64,
    /// First byte of the source.
    pub source: u64,
    /// Bytes from one source row to the next.
    pub source_pitch: u64,
    /// Bytes of a row.
    pub width: u64,
    /// Rows.
    pub height: u64,
}

/// A CUDA stream: operations run in the order of the calls. All methods may be called from any thread.
///
/// Work is recorded into an open command buffer and submitted when the device would run dry, when enough has gathered,
/// when somebody waits for it, or by the background thread within a fraction of a millisecond.
///
/// Dropping a stream submits what is recorded and does not wait for it.
pub struct Stream {}

impl Stream {
    /// Appends a kernel launch.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty grid or a parameter block of the wrong size; [`Error::OutOfMemory`] where the
    /// scratch cannot be had; sticky errors.
    pub fn launch(&self, pipeline: &Arc<Pipeline>, launch: &Launch<'_>) -> Result<(), Error> {
        let _ = (pipeline, launch);
        todo!()
    }

    /// Appends a copy between device addresses (also of pinned or imported host memory). The ranges do not overlap.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn copy(&self, destination: u64, source: u64, size: u64) -> Result<(), Error> {
        let _ = (destination, source, size);
        todo!()
    }

    /// Appends a copy of rows.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn copy_2d(&self, copy: &Copy2d) -> Result<(), Error> {
        let _ = copy;
        todo!()
    }

    /// Appends a fill of `count` elements of `width` (1, 2 or 4) bytes with the low bytes of `pattern` (`cuMemsetD8`, `16`,
    /// `32`). `address` is a multiple of `width`.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`], [`Error::InvalidArgument`]; sticky errors.
    pub fn fill(&self, address: u64, pattern: u32, width: u32, count: u64) -> Result<(), Error> {
        let _ = (address, pattern, width, count);
        todo!()
    }

    /// Appends a fill of rows: `rows` times `count` elements, `pitch` bytes apart (`cuMemsetD2D8`).
    ///
    /// # Errors
    /// As [`Stream::fill`].
    pub fn fill_2d(
        &self,
        address: u64,
        pitch: u64,
        pattern: u32,
        width: u32,
        count: u64,
        rows: u64,
    ) -> Result<(), Error> {
        let _ = (address, pitch, pattern, width, count, rows);
        todo!()
    }

    /// Copies host memory to a device address. `data` may be reused when the call returns; the copy itself is ordered in
    /// the stream and may still be under way. Long copies wait for room in the staging ring.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Error> {
        let _ = (address, data);
        todo!()
    }

    /// Waits for the stream's work and copies device memory to the host.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn read(&self, address: u64, data: &mut [u8]) -> Result<(), Error> {
        let _ = (address, data);
        todo!()
    }

    /// Marks this point of the stream and submits what is before it; `timed` also writes a timestamp.
    ///
    /// # Errors
    /// Sticky errors; [`Error::Unsupported`] for a timestamp where the queue has none.
    pub fn record_event(&self, timed: bool) -> Result<EventPoint, Error> {
        let _ = timed;
        todo!()
    }

    /// Later work of this stream waits for the point (of any stream of the same device).
    ///
    /// # Errors
    /// Sticky errors.
    pub fn wait(&self, point: &EventPoint) -> Result<(), Error> {
        let _ = point;
        todo!()
    }

    /// Runs a function on a thread of the runtime after all work so far; later work waits for it (`cuLaunchHostFunc`).
    /// It must not wait for this stream. It is dropped unrun if the device is lost.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn host_function(&self, function: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        let _ = function;
        todo!()
    }

    /// Appends the operations of a recording. Replays of one recording never overlap, on whichever streams they are.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; sticky errors.
    pub fn replay(&self, recording: &Arc<Recording>) -> Result<(), Error> {
        let _ = recording;
        todo!()
    }

    /// Drops a value once all work so far has completed: `cuMemFreeAsync` passes its [`crate::Allocation`].
    ///
    /// # Errors
    /// Sticky errors; the value is dropped then.
    pub fn keep_alive(&self, value: Box<dyn Any + Send>) -> Result<(), Error> {
        let _ = value;
        todo!()
    }

    /// Submits what is recorded.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn flush(&self) -> Result<(), Error> {
        todo!()
    }

    /// Waits for all work so far.
    ///
    /// # Errors
    /// Sticky errors, among them a kernel's fault.
    pub fn synchronize(&self) -> Result<(), Error> {
        todo!()
    }

    /// Whether all work so far has completed (`cuStreamQuery`). Submits what is recorded.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn is_idle(&self) -> Result<bool, Error> {
        todo!()
    }
}
