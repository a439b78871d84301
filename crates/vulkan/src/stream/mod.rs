//! Ordered work.
//!
//! A stream records operations into an open batch (`state.rs`), which is submitted when the device would run dry, when it is
//! full, when somebody waits for it, or by the background thread. Parameters and small copies go through a ring of mapped
//! memory (`ring.rs`); the host's side of large copies is in `transfer.rs`.

pub(crate) mod ring;
pub(crate) mod state;
mod transfer;

use crate::encoder::{fill_has_edges, fill_source};
use crate::error::Error;
use crate::event::EventPoint;
use crate::launch::{Launch, PushConstants};
use crate::memory::Allocation;
use crate::pipeline::Pipeline;
use crate::raw::Raw;
use crate::recording::Recording;
use crate::shared::Shared;
use crate::timeline::Timeline;
use crate::{Device, DeviceKind, MemoryKind};
use parking_lot::Mutex;
use ring::Ring;
use state::{State, Step};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Bytes of a stream's parameter ring.
const PARAMETER_RING: u64 = 1 << 20;

/// Alignment of a parameter block.
const PARAMETER_ALIGNMENT: u64 = 64;

/// Scratch that a launch may use on a GPU before its grid is split, bytes.
const SCRATCH_BUDGET: u64 = 256 << 20;

/// The same on a CPU device, where few workgroups run at once and cached scratch is faster.
const SCRATCH_BUDGET_CPU: u64 = 64 << 20;

/// Copies within device memory of at least this many bytes are made by a kernel on GPUs: vkCmdCopyBuffer reached a fifth of
/// the bandwidth on an NVIDIA H200.
const KERNEL_COPY: u64 = 256 << 10;

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
pub struct Stream {
    device: Arc<Device>,
    inner: Arc<Inner>,
}

/// The part of a stream that outlives its handle until the work has run.
pub(crate) struct Inner {
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) state: Mutex<State>,
    /// The handle has been dropped.
    pub(crate) closed: AtomicBool,
    raw: Arc<Raw>,
    queue: usize,
    /// Memory that [`Stream::read`] copies through; locked for a whole read.
    readback: Mutex<Option<Allocation>>,
}

impl Inner {
    /// Takes back what has run.
    pub(crate) fn retire(&self) {
        let mut state = self.state.lock();
        state.retire();
        let garbage = std::mem::take(&mut state.garbage);
        drop(state);
        drop(garbage);
    }

    /// Submits what is recorded, waits included; gives the value of the stream's last work.
    pub(crate) fn finish_recording(self: &Arc<Self>, shared: &Shared) -> Result<u64, Error> {
        loop {
            let mut state = self.state.lock();
            match state.begin_waits()? {
                Step::Done(()) => {
                    state.close(shared, self)?;
                    return Ok(self.timeline.reserved());
                }
                Step::Blocked(value) => {
                    drop(state);
                    self.timeline.wait(value)?;
                }
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.raw.queues[self.queue]
            .streams
            .fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    pub(crate) fn new(device: &Arc<Device>) -> Result<Arc<Self>, Error> {
        let shared = device.shared();
        let raw = &shared.raw;
        shared.reap();
        let timeline = Timeline::new(raw)?;
        let parameters = Ring::new(shared.memory.allocate_upload(PARAMETER_RING)?)?;
        // The least used queue, the first among equals.
        let queue = (0..raw.queues.len())
            .min_by_key(|&index| raw.queues[index].streams.load(Ordering::Relaxed))
            .expect("a device has a compute queue");
        let state = State::new(raw, &timeline, queue, parameters)?;
        raw.queues[queue].streams.fetch_add(1, Ordering::Relaxed);
        let inner = Arc::new(Inner {
            timeline: Arc::clone(&timeline),
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
            raw: Arc::clone(raw),
            queue,
            readback: Mutex::new(None),
        });
        shared.memory.watch(&timeline);
        shared.streams.write().push(Arc::clone(&inner));
        Ok(Arc::new(Self {
            device: Arc::clone(device),
            inner,
        }))
    }

    /// The device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    fn shared(&self) -> &Arc<Shared> {
        self.device.shared()
    }

    /// Runs an operation under the stream's lock, again where it had to wait for room.
    pub(crate) fn run<R>(
        &self,
        mut operation: impl FnMut(&mut State) -> Result<Step<R>, Error>,
    ) -> Result<R, Error> {
        let shared = self.shared();
        loop {
            shared.raw.check()?;
            let mut state = self.inner.state.lock();
            let mut step = operation(&mut state);
            if let Ok(Step::Blocked(_)) = step {
                if let Err(error) = state.close(shared, &self.inner) {
                    step = Err(error);
                }
            }
            let garbage = std::mem::take(&mut state.garbage);
            drop(state);
            drop(garbage);
            shared.settle();
            match step? {
                Step::Done(result) => return Ok(result),
                Step::Blocked(value) => {
                    self.inner.timeline.wait(value)?;
                    self.inner.retire();
                }
            }
        }
    }

    /// Appends a kernel launch.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty grid or a parameter block of the wrong size; [`Error::OutOfMemory`] where the
    /// scratch cannot be had; sticky errors.
    pub fn launch(&self, pipeline: &Arc<Pipeline>, launch: &Launch<'_>) -> Result<(), Error> {
        self.launch_as(pipeline, launch, false)
    }

    /// Appends a launch whose workgroups wait for each other: they all run at the same time. The caller sees to it that no
    /// other such launch does on this device.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more workgroups than [`crate::PhysicalDevice::resident_workgroups`];
    /// [`Error::OutOfMemory`] where their scratch cannot be had at once; those of [`Stream::launch`].
    pub fn launch_resident(
        &self,
        pipeline: &Arc<Pipeline>,
        launch: &Launch<'_>,
    ) -> Result<(), Error> {
        check_resident(&self.shared().raw, launch.grid)?;
        self.launch_as(pipeline, launch, true)
    }

    fn launch_as(
        &self,
        pipeline: &Arc<Pipeline>,
        launch: &Launch<'_>,
        resident: bool,
    ) -> Result<(), Error> {
        let shared = self.shared();
        check_launch(&shared.raw, pipeline, launch.grid, launch.parameters.len())?;
        let times = match &shared.profile {
            Some(_) => Some([shared.timestamps.take()?, shared.timestamps.take()?]),
            None => None,
        };
        if let Some(ready) = &pipeline.ready {
            self.wait_until_compiled(ready)?;
        }
        let value = self.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            let mut push = PushConstants {
                module: launch.module,
                printf: launch.printf,
                grid: launch.grid,
                grid_id: shared.raw.grid_id.fetch_add(1, Ordering::Relaxed),
                ..pipeline.constants
            };
            let inline = pipeline.inline(launch.parameters);
            if inline.len() < launch.parameters.len() {
                let Some(place) = state
                    .parameters
                    .write(launch.parameters, PARAMETER_ALIGNMENT)
                else {
                    return Ok(Step::Blocked(state.oldest()));
                };
                push.parameters = place.address;
            }
            if pipeline.slice != 0 {
                self.need_scratch(state, pipeline, launch.grid)?;
            }
            let scratch = state.scratch();
            let whole = u64::from(pipeline.slice) * workgroups(launch.grid);
            if resident && scratch.size < whole {
                // The grid would be split.
                return Err(Error::OutOfMemory { requested: whole });
            }
            let (mut encoder, batch) = state.encoder();
            encoder.barrier();
            if let Some([start, _]) = &times {
                start.record(encoder.commands);
            }
            batch.operations += encoder.launch(pipeline, push, inline, scratch);
            if let Some([start, end]) = &times {
                end.record(encoder.commands);
                batch
                    .timestamps
                    .extend([Arc::clone(start), Arc::clone(end)]);
            }
            if !batch
                .pipelines
                .last()
                .is_some_and(|last| Arc::ptr_eq(last, pipeline))
            {
                batch.pipelines.push(Arc::clone(pipeline));
            }
            let (value, _) = state.open_batch();
            state.flush_if_due(shared, &self.inner)?;
            Ok(Step::Done(value))
        })?;
        if let (Some(profile), Some([start, end])) = (&shared.profile, times) {
            let point = |timestamp| EventPoint {
                timeline: Arc::clone(&self.inner.timeline),
                value,
                timestamp: Some(timestamp),
            };
            if profile.add(pipeline, point(start), point(end)) {
                self.synchronize()?;
                profile.collect();
            }
        }
        Ok(())
    }

    /// Makes the stream's scratch large enough for a launch. The old memory stays until the work that uses it has run.
    fn need_scratch(
        &self,
        state: &mut State,
        pipeline: &Pipeline,
        grid: [u32; 3],
    ) -> Result<(), Error> {
        let shared = self.shared();
        let wanted = scratch_bytes(&shared.raw, pipeline.slice, grid);
        if state.scratch().size >= wanted {
            return Ok(());
        }
        let memory = allocate_scratch(shared, pipeline.slice, wanted)?;
        let (_, batch) = state.encoder();
        let memory = Arc::new(memory);
        batch.keep.push(Box::new(Arc::clone(&memory)));
        if let Some(old) = state.scratch.replace(memory) {
            let (_, batch) = state.encoder();
            batch.keep.push(Box::new(old));
        }
        Ok(())
    }

    /// Appends a copy between device addresses (also of pinned or imported host memory). The ranges do not overlap.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn copy(&self, destination: u64, source: u64, size: u64) -> Result<(), Error> {
        if size == 0 {
            return self.shared().raw.check();
        }
        let memory = &self.shared().memory;
        let to = memory.entry(destination, size)?;
        let from = memory.entry(source, size)?;
        let on_device = to.kind == MemoryKind::Device && from.kind == MemoryKind::Device;
        let suits_kernel =
            on_device && size >= KERNEL_COPY && (destination | source | size) % 16 == 0;
        if suits_kernel && !self.device.prefers_copy_commands() {
            if let Some(pipeline) = self.device.copy_pipeline() {
                let most = u64::from(self.shared().raw.physical.limits().workgroup_count[0]);
                return self.kernel_copy(&pipeline, destination, source, size, most);
            }
        }
        self.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            let (encoder, batch) = state.encoder();
            encoder.barrier();
            encoder.copy(&to.spans(destination, size), &from.spans(source, size));
            batch.operations += 1;
            state.flush_if_due(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Copies multiples of 16 bytes with the built-in kernel (`kernels.rs`), in launches of at most `most` workgroups.
    pub(crate) fn kernel_copy(
        &self,
        pipeline: &Arc<Pipeline>,
        destination: u64,
        source: u64,
        size: u64,
        most: u64,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < size {
            let elements = ((size - done) / 16).min(most * crate::kernels::COPY_ELEMENTS);
            let mut parameters = [0u8; 24];
            parameters[..8].copy_from_slice(&(destination + done).to_le_bytes());
            parameters[8..16].copy_from_slice(&(source + done).to_le_bytes());
            parameters[16..].copy_from_slice(&elements.to_le_bytes());
            let grid = [
                elements.div_ceil(crate::kernels::COPY_ELEMENTS) as u32,
                1,
                1,
            ];
            self.launch(
                pipeline,
                &Launch {
                    grid,
                    parameters: &parameters,
                    ..Launch::default()
                },
            )?;
            done += elements * 16;
        }
        Ok(())
    }

    /// Appends a copy of rows.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`]; sticky errors.
    pub fn copy_2d(&self, copy: &Copy2d) -> Result<(), Error> {
        if copy.width == 0 || copy.height == 0 {
            return self.shared().raw.check();
        }
        if let Some(size) = copy.linear() {
            return self.copy(copy.destination, copy.source, size);
        }
        let memory = &self.shared().memory;
        let to = memory.entry(copy.destination, copy.extent(copy.destination_pitch)?)?;
        let from = memory.entry(copy.source, copy.extent(copy.source_pitch)?)?;
        self.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            let (encoder, batch) = state.encoder();
            encoder.barrier();
            encoder.copy_2d(copy, &to, &from);
            batch.operations += 1;
            state.flush_if_due(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Appends a fill of `count` elements of `width` (1, 2 or 4) bytes with the low bytes of `pattern` (`cuMemsetD8`, `16`,
    /// `32`). `address` is a multiple of `width`.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`], [`Error::InvalidArgument`]; sticky errors.
    pub fn fill(&self, address: u64, pattern: u32, width: u32, count: u64) -> Result<(), Error> {
        self.fill_2d(address, 0, pattern, width, count, 1)
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
        let Some(fill) = Fill::new(address, pitch, width, count, rows)? else {
            return self.shared().raw.check();
        };
        let entry = self.shared().memory.entry(address, fill.extent)?;
        self.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            let mut source = None;
            if fill.has_edges() {
                let Some(place) = state.parameters.write(&fill_source(pattern, width), 8) else {
                    return Ok(Step::Blocked(state.oldest()));
                };
                source = Some(place.span);
            }
            let (encoder, batch) = state.encoder();
            encoder.barrier();
            for row in 0..fill.rows {
                let spans = entry.spans(address + row * fill.pitch, fill.bytes);
                encoder.fill(spans, pattern, width, source);
            }
            batch.operations += 1;
            state.flush_if_due(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Marks this point of the stream and submits what is before it; `timed` also writes a timestamp.
    ///
    /// # Errors
    /// Sticky errors; [`Error::Unsupported`] for a timestamp where the queue has none.
    pub fn record_event(&self, timed: bool) -> Result<EventPoint, Error> {
        let timestamp = if timed {
            Some(self.shared().timestamps.take()?)
        } else {
            None
        };
        self.run(|state| {
            let begun = if timed {
                state.begin()?
            } else {
                state.begin_waits()?
            };
            if let Step::Blocked(value) = begun {
                return Ok(Step::Blocked(value));
            }
            if let Some(timestamp) = &timestamp {
                let (encoder, batch) = state.encoder();
                timestamp.record(encoder.commands);
                batch.timestamps.push(Arc::clone(timestamp));
            }
            state.close(self.shared(), &self.inner)?;
            let timeline = &self.inner.timeline;
            Ok(Step::Done(EventPoint {
                timeline: Arc::clone(timeline),
                value: timeline.reserved(),
                timestamp: timestamp.clone(),
            }))
        })
    }

    /// Later work of this stream waits for the point. A point of another device is asked for by the host, which goes on with
    /// its functions meanwhile; an error there is that device's, and ends the wait.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn wait(&self, point: &EventPoint) -> Result<(), Error> {
        if Arc::ptr_eq(&point.timeline, &self.inner.timeline)
            || point.timeline.is_complete(point.value)
        {
            return self.shared().raw.check();
        }
        if !Arc::ptr_eq(&point.timeline.raw, &self.shared().raw) {
            let point = point.clone();
            return self.host_poll(Box::new(move || {
                point.is_complete().unwrap_or_else(|error| {
                    tracing::warn!(%error, "waiting for an event of another device");
                    true
                })
            }));
        }
        self.run(|state| {
            state.close(self.shared(), &self.inner)?;
            state.add_wait(&point.timeline, point.value);
            Ok(Step::Done(()))
        })
    }

    /// Later work waits until a pipeline is compiled.
    pub(crate) fn wait_until_compiled(&self, ready: &Arc<Timeline>) -> Result<(), Error> {
        self.wait(&EventPoint {
            timeline: Arc::clone(ready),
            value: crate::ahead::READY,
            timestamp: None,
        })
    }

    /// Runs a function on a thread of the runtime after all work so far; later work waits for it (`cuLaunchHostFunc`).
    /// It must not wait for this stream. It is dropped unrun if the device is lost.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn host_function(&self, function: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        let mut function = Some(function);
        self.host_poll(Box::new(move || {
            if let Some(function) = function.take() {
                function();
            }
            true
        }))
    }

    /// Asks a function again and again after all work so far, on a thread of the runtime, until it says that what it waits
    /// for has come; later work waits for that. Other streams' host functions run in between.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn host_poll(&self, function: Box<dyn FnMut() -> bool + Send>) -> Result<(), Error> {
        let mut function = Some(function);
        self.run(|state| {
            if let Step::Blocked(value) = state.begin_waits()? {
                return Ok(Step::Blocked(value));
            }
            state.close(self.shared(), &self.inner)?;
            if let Some(function) = function.take() {
                state.push_host(self.shared(), function);
            }
            state.pump(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Appends the operations of a recording. Replays of one recording never overlap, on whichever streams they are.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; sticky errors.
    pub fn replay(&self, recording: &Arc<Recording>) -> Result<(), Error> {
        recording.replay_on(self)
    }

    /// Drops a value once all work so far has completed: `cuMemFreeAsync` passes its [`crate::Allocation`].
    ///
    /// # Errors
    /// Sticky errors; the value is dropped then.
    pub fn keep_alive(&self, value: Box<dyn Any + Send>) -> Result<(), Error> {
        let mut value = Some(value);
        self.run(|state| state.keep(&mut value))
    }

    /// Submits what is recorded.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn flush(&self) -> Result<(), Error> {
        self.run(|state| {
            state.close(self.shared(), &self.inner)?;
            Ok(Step::Done(()))
        })
    }

    /// Waits for all work so far.
    ///
    /// # Errors
    /// Sticky errors, among them a kernel's fault.
    pub fn synchronize(&self) -> Result<(), Error> {
        let value = self.inner.finish_recording(self.shared())?;
        self.shared().settle();
        self.inner.timeline.wait(value)?;
        self.inner.retire();
        self.shared().raw.check()
    }

    /// Whether all work so far has completed (`cuStreamQuery`). Submits what is recorded.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn is_idle(&self) -> Result<bool, Error> {
        let value = self.inner.finish_recording(self.shared())?;
        self.shared().settle();
        let complete = self.inner.timeline.is_complete(value);
        if complete {
            self.inner.retire();
        }
        self.shared().raw.check()?;
        Ok(complete)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A lost device has nothing to submit.
        if let Err(error) = self.inner.finish_recording(self.shared()) {
            tracing::debug!(%error, "dropping a stream");
        }
        self.shared().settle();
        self.inner.closed.store(true, Ordering::Release);
        self.shared().reap();
    }
}

impl Copy2d {
    /// The size of the copy if its rows are one range on both sides.
    pub(crate) fn linear(&self) -> Option<u64> {
        let dense = self.height == 1
            || (self.destination_pitch == self.width && self.source_pitch == self.width);
        dense.then(|| self.width.checked_mul(self.height)).flatten()
    }

    /// Bytes from the first to the last, for one of the pitches.
    pub(crate) fn extent(&self, pitch: u64) -> Result<u64, Error> {
        if pitch < self.width && self.height > 1 {
            return Err(Error::InvalidArgument(format!(
                "rows of {} bytes {pitch} bytes apart",
                self.width
            )));
        }
        extent(pitch, self.width, self.height)
    }
}

fn extent(pitch: u64, width: u64, height: u64) -> Result<u64, Error> {
    pitch
        .checked_mul(height - 1)
        .and_then(|rows| rows.checked_add(width))
        .ok_or_else(|| Error::InvalidArgument("a range that wraps".to_owned()))
}

/// A fill, checked.
pub(crate) struct Fill {
    address: u64,
    /// Bytes of a row.
    pub(crate) bytes: u64,
    pub(crate) pitch: u64,
    pub(crate) rows: u64,
    /// Bytes from the first to the last.
    pub(crate) extent: u64,
}

impl Fill {
    /// `None` where there is nothing to fill.
    pub(crate) fn new(
        address: u64,
        pitch: u64,
        width: u32,
        count: u64,
        rows: u64,
    ) -> Result<Option<Self>, Error> {
        if !matches!(width, 1 | 2 | 4) {
            return Err(Error::InvalidArgument(format!(
                "a fill with elements of {width} bytes"
            )));
        }
        let step = u64::from(width);
        if address % step != 0 || (rows > 1 && pitch % step != 0) {
            return Err(Error::InvalidArgument(format!(
                "a fill of {width}-byte elements at {address:#x}"
            )));
        }
        let bytes = count
            .checked_mul(step)
            .ok_or_else(|| Error::InvalidArgument("a fill of more than 2^64 bytes".to_owned()))?;
        if bytes == 0 || rows == 0 {
            return Ok(None);
        }
        if rows > 1 && pitch < bytes {
            return Err(Error::InvalidArgument(format!(
                "rows of {bytes} bytes {pitch} bytes apart"
            )));
        }
        let extent = extent(pitch, bytes, rows)?;
        if rows > 1 && pitch == bytes {
            return Ok(Some(Self {
                address,
                bytes: extent,
                pitch,
                rows: 1,
                extent,
            }));
        }
        Ok(Some(Self {
            address,
            bytes,
            pitch,
            rows,
            extent,
        }))
    }

    /// Whether a row starts or ends off a word.
    pub(crate) fn has_edges(&self) -> bool {
        fill_has_edges(self.address, self.bytes) || (self.rows > 1 && self.pitch % 4 != 0)
    }
}

/// Refuses a launch that cannot be made.
pub(crate) fn check_launch(
    raw: &Arc<Raw>,
    pipeline: &Pipeline,
    grid: [u32; 3],
    parameters: usize,
) -> Result<(), Error> {
    let info = pipeline.info();
    if !pipeline.is_of(raw) {
        return Err(Error::InvalidArgument(format!(
            "{}: a pipeline of another device",
            info.name
        )));
    }
    if grid.contains(&0) {
        return Err(Error::InvalidArgument(format!(
            "{}: an empty grid {grid:?}",
            info.name
        )));
    }
    if parameters != info.parameter_bytes as usize {
        return Err(Error::InvalidArgument(format!(
            "{}: {parameters} bytes of parameters, the kernel has {}",
            info.name, info.parameter_bytes
        )));
    }
    if parameters as u64 > PARAMETER_RING / 2 {
        return Err(Error::InvalidArgument(format!(
            "{}: {parameters} bytes of parameters",
            info.name
        )));
    }
    Ok(())
}

/// Bytes of scratch to have for a launch: all slices, or the budget, but one slice at least.
pub(crate) fn scratch_bytes(raw: &Raw, slice: u32, grid: [u32; 3]) -> u64 {
    let slice = u64::from(slice);
    let budget = if raw.physical.kind() == DeviceKind::Cpu {
        SCRATCH_BUDGET_CPU
    } else {
        SCRATCH_BUDGET
    };
    slice * workgroups(grid).min((budget / slice).max(1))
}

/// Refuses a grid of more workgroups than run at the same time.
pub(crate) fn check_resident(raw: &Raw, grid: [u32; 3]) -> Result<(), Error> {
    let most = raw.physical.resident_workgroups();
    match workgroups(grid) > most.into() {
        true => Err(Error::InvalidArgument(format!(
            "a grid of {grid:?} workgroups that wait for each other, of which {most} run at once"
        ))),
        false => Ok(()),
    }
}

/// Workgroups of a grid.
pub(crate) fn workgroups(grid: [u32; 3]) -> u64 {
    grid.iter().fold(1u64, |product, &count| {
        product.saturating_mul(u64::from(count))
    })
}

/// Allocates scratch, less than wanted where memory is short, but one slice at least.
pub(crate) fn allocate_scratch(
    shared: &Shared,
    slice: u32,
    wanted: u64,
) -> Result<Allocation, Error> {
    let slice = u64::from(slice);
    let mut slices = wanted / slice;
    loop {
        match shared.memory.allocate(slices * slice, MemoryKind::Device) {
            Err(Error::OutOfMemory { .. }) if slices > 1 => slices /= 2,
            result => return result,
        }
    }
}
