//! What a stream holds under its lock: the open batch, batches that wait to be submitted, batches in flight.
//!
//! ```text
//! begin() -> open batch -> close() -> held -> submit -> in flight -> retire() -> spare
//! ```
//!
//! A batch is held, not submitted, while a wait of it is for work that no queue has got yet: submitted to the same VkQueue it
//! would stand in the way of what it waits for. Host functions stand in the same line.

use super::ring::Ring;
use crate::encoder::{Bound, Encoder, Scratch};
use crate::error::Error;
use crate::event::Timestamp;
use crate::memory::Allocation;
use crate::pipeline::Pipeline;
use crate::raw::Raw;
use crate::shared::{HostFunction, HostJob, Shared};
use crate::timeline::Timeline;
use ash::vk;
use smallvec::SmallVec;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Instant;

/// Operations after which a batch is submitted whatever the device does.
const FULL_BATCH: u32 = 96;

/// Batches in flight; a stream that is further ahead waits.
const MOST_IN_FLIGHT: usize = 64;

/// What an operation on a stream comes to.
pub(crate) enum Step<R> {
    /// Done.
    Done(R),
    /// No room until the timeline reaches this value; nothing was recorded.
    Blocked(u64),
}

/// Commands with what they need until they have run.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) value: u64,
    /// In the order of execution: command buffers of this stream and of recordings.
    sequence: Vec<vk::CommandBuffer>,
    /// Those of this stream, to be used again, and how many of them are in `sequence`.
    own: Vec<vk::CommandBuffer>,
    own_used: usize,
    /// The one that is recording.
    current: Option<vk::CommandBuffer>,
    waits: SmallVec<[(Arc<Timeline>, u64); 2]>,
    pub(crate) pipelines: Vec<Arc<Pipeline>>,
    pub(crate) timestamps: Vec<Arc<Timestamp>>,
    pub(crate) keep: Vec<Box<dyn Any + Send>>,
    /// Recorded operations.
    pub(crate) operations: u32,
    parameters_mark: u64,
    staging_mark: Option<u64>,
    opened: Option<Instant>,
}

/// One place in the line of a stream.
// A batch is moved twice in its life; a box would cost an allocation each time.
#[allow(clippy::large_enum_variant)]
enum Item {
    Batch(Batch),
    Host { value: u64, function: HostFunction },
}

/// Values to drop when the lock is released.
pub(crate) type Garbage = Vec<Box<dyn Any + Send>>;

/// A stream's state.
pub(crate) struct State {
    raw: Arc<Raw>,
    timeline: Arc<Timeline>,
    queue: usize,
    pool: vk::CommandPool,
    spare: Vec<Batch>,
    pub(crate) open: Option<Batch>,
    held: VecDeque<Item>,
    /// A host function of this stream is with the worker.
    host_running: bool,
    in_flight: VecDeque<Batch>,
    /// Points that the next batch waits for.
    next_waits: SmallVec<[(Arc<Timeline>, u64); 2]>,
    bound: Bound,
    pub(crate) parameters: Ring,
    pub(crate) staging: Option<Ring>,
    pub(crate) scratch: Option<Arc<Allocation>>,
    pub(crate) garbage: Garbage,
}

impl State {
    pub(crate) fn new(
        raw: &Arc<Raw>,
        timeline: &Arc<Timeline>,
        queue: usize,
        parameters: Ring,
    ) -> Result<Self, Error> {
        let info = vk::CommandPoolCreateInfo::default()
            .flags(
                vk::CommandPoolCreateFlags::RESET_COMMAND_BUFFER
                    | vk::CommandPoolCreateFlags::TRANSIENT,
            )
            .queue_family_index(raw.physical.plan.compute_family);
        // SAFETY: the device is alive.
        let pool = unsafe { raw.vk.create_command_pool(&info, None) }
            .map_err(|result| raw.error("vkCreateCommandPool", result))?;
        Ok(Self {
            raw: Arc::clone(raw),
            timeline: Arc::clone(timeline),
            queue,
            pool,
            spare: Vec::new(),
            open: None,
            held: VecDeque::new(),
            host_running: false,
            in_flight: VecDeque::new(),
            next_waits: SmallVec::new(),
            bound: Bound::default(),
            parameters,
            staging: None,
            scratch: None,
            garbage: Vec::new(),
        })
    }

    /// Makes sure that a batch is open and a command buffer of it recording.
    pub(crate) fn begin(&mut self) -> Result<Step<()>, Error> {
        if self.open.is_none() {
            if self.in_flight.len() >= MOST_IN_FLIGHT {
                self.retire();
                if let Some(oldest) = self
                    .in_flight
                    .front()
                    .filter(|_| self.in_flight.len() >= MOST_IN_FLIGHT)
                {
                    return Ok(Step::Blocked(oldest.value));
                }
            }
            let mut batch = self.spare.pop().unwrap_or_default();
            batch.value = self.timeline.reserve();
            batch.waits = std::mem::take(&mut self.next_waits);
            batch.opened = Some(Instant::now());
            batch.operations = 0;
            self.open = Some(batch);
        }
        let batch = self.open.as_mut().expect("opened above");
        if batch.current.is_none() {
            let commands = match batch.own.get(batch.own_used) {
                Some(&commands) => commands,
                None => {
                    let info = vk::CommandBufferAllocateInfo::default()
                        .command_pool(self.pool)
                        .level(vk::CommandBufferLevel::PRIMARY)
                        .command_buffer_count(1);
                    // SAFETY: the pool is alive and locked by the stream's lock.
                    let commands = unsafe { self.raw.vk.allocate_command_buffers(&info) }
                        .map_err(|result| self.raw.error("vkAllocateCommandBuffers", result))?[0];
                    batch.own.push(commands);
                    commands
                }
            };
            let info = vk::CommandBufferBeginInfo::default()
                .flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
            // SAFETY: the command buffer is not pending: its batch has run. Beginning resets it.
            unsafe { self.raw.vk.begin_command_buffer(commands, &info) }
                .map_err(|result| self.raw.error("vkBeginCommandBuffer", result))?;
            batch.own_used += 1;
            batch.current = Some(commands);
            batch.sequence.push(commands);
            self.bound = Bound::default();
        }
        Ok(Step::Done(()))
    }

    /// The command buffer of the open batch, and that batch. After [`State::begin`].
    pub(crate) fn encoder(&mut self) -> (Encoder<'_>, &mut Batch) {
        let batch = self.open.as_mut().expect("a batch is open");
        let commands = batch.current.expect("a command buffer is recording");
        (
            Encoder {
                raw: &self.raw,
                commands,
                bound: &mut self.bound,
            },
            batch,
        )
    }

    /// The open batch and its value. After [`State::begin`].
    pub(crate) fn open_batch(&mut self) -> (u64, &mut Batch) {
        let batch = self.open.as_mut().expect("a batch is open");
        (batch.value, batch)
    }

    fn end_commands(&mut self, host: bool) -> Result<(), Error> {
        if self
            .open
            .as_ref()
            .is_some_and(|batch| batch.current.is_some())
        {
            let (encoder, batch) = self.encoder();
            if host {
                encoder.host_barrier();
            }
            let commands = encoder.commands;
            batch.current = None;
            // SAFETY: the command buffer is recording.
            unsafe { self.raw.vk.end_command_buffer(commands) }
                .map_err(|result| self.raw.error("vkEndCommandBuffer", result))?;
        }
        Ok(())
    }

    /// Puts a recording's command buffer behind what is recorded. After [`State::begin`].
    pub(crate) fn insert(&mut self, commands: vk::CommandBuffer) -> Result<(), Error> {
        self.end_commands(false)?;
        self.open
            .as_mut()
            .expect("a batch is open")
            .sequence
            .push(commands);
        Ok(())
    }

    /// Ends the open batch and submits what can be submitted.
    pub(crate) fn close(&mut self, shared: &Shared, me: &Arc<super::Inner>) -> Result<(), Error> {
        if self.open.is_some() {
            // A batch that ends in a recording needs a place for the host barrier.
            self.begin()?;
            self.end_commands(true)?;
            let mut batch = self.open.take().expect("checked above");
            batch.parameters_mark = self.parameters.mark();
            batch.staging_mark = self.staging.as_ref().map(Ring::mark);
            self.held.push_back(Item::Batch(batch));
            shared.held.fetch_add(1, Ordering::AcqRel);
        }
        self.pump(shared, me)
    }

    /// Submits the batches at the front of the line that may go. Whether the line is empty now.
    pub(crate) fn pump(&mut self, shared: &Shared, me: &Arc<super::Inner>) -> Result<(), Error> {
        while let Some(front) = self.held.front() {
            if self.host_running {
                break;
            }
            if let Item::Batch(batch) = front {
                if !batch
                    .waits
                    .iter()
                    .all(|(timeline, value)| timeline.submitted() >= *value)
                {
                    break;
                }
            }
            let item = self.held.pop_front().expect("there is a front");
            shared.held.fetch_sub(1, Ordering::AcqRel);
            match item {
                Item::Batch(batch) => self.submit(batch)?,
                Item::Host { value, function } => {
                    self.host_running = true;
                    shared.run_host(HostJob {
                        stream: Arc::clone(me),
                        value,
                        function,
                    });
                }
            }
            shared.progress.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn submit(&mut self, batch: Batch) -> Result<(), Error> {
        let stages = vk::PipelineStageFlags2::ALL_COMMANDS;
        let waits: SmallVec<[vk::SemaphoreSubmitInfo<'_>; 2]> = batch
            .waits
            .iter()
            .map(|(timeline, value)| {
                vk::SemaphoreSubmitInfo::default()
                    .semaphore(timeline.semaphore)
                    .value(*value)
                    .stage_mask(stages)
            })
            .collect();
        let commands: SmallVec<[vk::CommandBufferSubmitInfo<'_>; 4]> = batch
            .sequence
            .iter()
            .map(|&commands| vk::CommandBufferSubmitInfo::default().command_buffer(commands))
            .collect();
        let signal = vk::SemaphoreSubmitInfo::default()
            .semaphore(self.timeline.semaphore)
            .value(batch.value)
            .stage_mask(stages);
        let info = vk::SubmitInfo2::default()
            .wait_semaphore_infos(&waits)
            .command_buffer_infos(&commands)
            .signal_semaphore_infos(std::slice::from_ref(&signal));
        let queue = self.raw.queues[self.queue].handle.lock();
        // SAFETY: the queue is locked; the command buffers are complete and what they use is kept by the batch.
        let result = unsafe {
            self.raw
                .vk
                .queue_submit2(*queue, &[info], vk::Fence::null())
        };
        drop(queue);
        let value = batch.value;
        self.in_flight.push_back(batch);
        if let Err(result) = result {
            // The value will never be signalled: nobody may wait for it.
            self.raw.mark_lost("vkQueueSubmit2", result);
            return Err(Error::DeviceLost);
        }
        self.timeline.set_submitted(value);
        Ok(())
    }

    /// Takes back the batches that have run.
    pub(crate) fn retire(&mut self) {
        let Some(front) = self.in_flight.front() else {
            return;
        };
        let mut completed = self.timeline.completed_seen();
        if front.value > completed {
            completed = self.timeline.completed();
        }
        while self
            .in_flight
            .front()
            .is_some_and(|batch| batch.value <= completed)
        {
            let mut batch = self.in_flight.pop_front().expect("there is a front");
            self.parameters.release(batch.parameters_mark);
            if let (Some(ring), Some(mark)) = (&mut self.staging, batch.staging_mark) {
                ring.release(mark);
            }
            self.garbage.append(&mut batch.keep);
            batch.pipelines.clear();
            batch.timestamps.clear();
            batch.waits.clear();
            batch.sequence.clear();
            batch.own_used = 0;
            self.spare.push(batch);
        }
    }

    /// Submits the open batch if the device would run dry without it or it is full (docs/design.md, "flush policy").
    pub(crate) fn flush_if_due(
        &mut self,
        shared: &Shared,
        me: &Arc<super::Inner>,
    ) -> Result<(), Error> {
        let operations = self.open.as_ref().map_or(0, |batch| batch.operations);
        if operations >= FULL_BATCH {
            return self.close(shared, me);
        }
        // Asking the driver costs about as much as recording a launch.
        if operations.is_power_of_two() || operations % 16 == 0 {
            self.retire();
            if self.in_flight.len() < 2 && self.held.is_empty() {
                return self.close(shared, me);
            }
        }
        shared.flusher.arm();
        Ok(())
    }

    /// Submits a batch that has been open for a while: for the background thread.
    pub(crate) fn flush_old(
        &mut self,
        shared: &Shared,
        me: &Arc<super::Inner>,
    ) -> Result<bool, Error> {
        let Some(opened) = self.open.as_ref().and_then(|batch| batch.opened) else {
            return Ok(false);
        };
        self.retire();
        let age = opened.elapsed();
        let starving = self.in_flight.len() < 2;
        if age >= shared.flusher.age(starving) {
            self.close(shared, me)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Later work waits for a point of another timeline.
    pub(crate) fn add_wait(&mut self, timeline: &Arc<Timeline>, value: u64) {
        match self
            .next_waits
            .iter_mut()
            .find(|(other, _)| Arc::ptr_eq(other, timeline))
        {
            Some((_, other)) => *other = value.max(*other),
            None => self.next_waits.push((Arc::clone(timeline), value)),
        }
    }

    /// Puts a host function at the end of the line.
    pub(crate) fn push_host(&mut self, shared: &Shared, function: HostFunction) {
        let value = self.timeline.reserve();
        self.held.push_back(Item::Host { value, function });
        shared.held.fetch_add(1, Ordering::AcqRel);
    }

    /// A host function has returned and its value is signalled.
    pub(crate) fn host_done(&mut self) {
        self.host_running = false;
    }

    /// Opens a batch for waits that no work has followed yet: what the host is told next must come after them.
    pub(crate) fn begin_waits(&mut self) -> Result<Step<()>, Error> {
        if self.next_waits.is_empty() {
            Ok(Step::Done(()))
        } else {
            self.begin()
        }
    }

    /// The value whose completion gives back the oldest part of the rings.
    pub(crate) fn oldest(&self) -> u64 {
        let held = || {
            self.held.front().map(|item| match item {
                Item::Batch(batch) => batch.value,
                Item::Host { value, .. } => *value,
            })
        };
        let in_flight = self.in_flight.front().map(|batch| batch.value);
        in_flight
            .or_else(held)
            .or_else(|| self.open.as_ref().map(|batch| batch.value))
            .unwrap_or(0)
    }

    /// Whether nothing is recorded, held or running.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.open.is_none()
            && self.held.is_empty()
            && self
                .next_waits
                .iter()
                .all(|(timeline, value)| timeline.is_complete(*value))
            && self.timeline.is_idle()
    }

    /// Drops a value when everything so far has run. Takes it unless the stream is blocked.
    pub(crate) fn keep(
        &mut self,
        value: &mut Option<Box<dyn Any + Send>>,
    ) -> Result<Step<()>, Error> {
        if self.open.is_none() && (!self.held.is_empty() || self.host_running) {
            if let Step::Blocked(value) = self.begin()? {
                return Ok(Step::Blocked(value));
            }
        }
        let Some(value) = value.take() else {
            return Ok(Step::Done(()));
        };
        let batch = match &mut self.open {
            Some(batch) => Some(batch),
            None => self.in_flight.back_mut(),
        };
        match batch {
            Some(batch) => batch.keep.push(value),
            None => self.garbage.push(value),
        }
        Ok(Step::Done(()))
    }

    /// Scratch of the stream, for pushing into launches.
    pub(crate) fn scratch(&self) -> Scratch {
        self.scratch
            .as_ref()
            .map_or_else(Scratch::default, |memory| Scratch::of(memory))
    }

    /// The values a dropped stream leaves: functions never run, batches never submitted.
    pub(crate) fn abandon(&mut self, shared: &Shared) {
        shared.held.fetch_sub(self.held.len(), Ordering::AcqRel);
        self.held.clear();
        self.open = None;
        self.in_flight.clear();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: streams are dropped when their work has run, or with an idle or lost device. Frees the command buffers.
        unsafe { self.raw.vk.destroy_command_pool(self.pool, None) };
    }
}
