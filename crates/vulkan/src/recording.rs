//! Recorded operations, replayed at the cost of a submission.
//!
//! A recording is a command buffer with memory of its own for the parameter blocks. New parameters rewrite that memory, in
//! the order of the stream, and cost no new recording; any other change makes a new command buffer at the next replay, while
//! replays already made keep the old one.

use crate::ahead::READY;
use crate::encoder::{fill_source, Bound, Encoder, Scratch};
use crate::error::Error;
use crate::event::EventPoint;
use crate::launch::{Launch, PushConstants};
use crate::memory::{Allocation, Entry};
use crate::pipeline::Pipeline;
use crate::raw::Raw;
use crate::shared::Shared;
use crate::stream::state::Step;
use crate::stream::{
    allocate_scratch, check_launch, check_resident, scratch_bytes, workgroups, Copy2d, Fill, Stream,
};
use crate::timeline::Timeline;
use crate::Device;
use ash::vk;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Alignment of a parameter block in the recording's memory.
const ALIGNMENT: usize = 64;

/// Parameter changes of at most this many bytes go through the stream's ring; more wait for the last replay.
const SMALL_CHANGE: usize = 256 << 10;

/// One operation of a recording.
#[derive(Clone)]
pub enum Node {
    /// A kernel launch.
    Launch {
        /// What to run.
        pipeline: Arc<Pipeline>,
        /// Workgroups.
        grid: [u32; 3],
        /// The parameter block.
        parameters: Vec<u8>,
        /// Address of the module buffer.
        module: u64,
        /// Address of the printf buffer.
        printf: u64,
        /// Whether the workgroups wait for each other, as in [`Stream::launch_resident`].
        resident: bool,
    },
    /// A copy between device addresses.
    Copy {
        /// To.
        destination: u64,
        /// From.
        source: u64,
        /// Bytes.
        size: u64,
    },
    /// A copy of rows.
    Copy2d(Copy2d),
    /// A fill of rows, as [`Stream::fill_2d`]; `rows` is 1 and `pitch` 0 for one range.
    Fill {
        /// To.
        destination: u64,
        /// Bytes from row to row.
        pitch: u64,
        /// The pattern, in its low `width` bytes.
        pattern: u32,
        /// 1, 2 or 4 bytes.
        width: u32,
        /// Elements of a row.
        count: u64,
        /// Rows.
        rows: u64,
    },
    /// Nothing: keeps the indices of a graph's empty nodes.
    Empty,
}

impl Node {
    /// Appends the operation by itself.
    fn run_on(&self, stream: &Stream) -> Result<(), Error> {
        match self {
            Node::Launch {
                pipeline,
                grid,
                parameters,
                module,
                printf,
                resident,
            } => {
                let launch = Launch {
                    grid: *grid,
                    parameters,
                    module: *module,
                    printf: *printf,
                };
                match resident {
                    true => stream.launch_resident(pipeline, &launch),
                    false => stream.launch(pipeline, &launch),
                }
            }
            Node::Copy {
                destination,
                source,
                size,
            } => stream.copy(*destination, *source, *size),
            Node::Copy2d(copy) => stream.copy_2d(copy),
            Node::Fill {
                destination,
                pitch,
                pattern,
                width,
                count,
                rows,
            } => stream.fill_2d(*destination, *pitch, *pattern, *width, *count, *rows),
            Node::Empty => Ok(()),
        }
    }
}

/// A list of operations that [`crate::Stream::replay`] runs as one.
pub struct Recording {
    device: Arc<Device>,
    state: Mutex<State>,
}

struct State {
    nodes: Vec<Node>,
    /// Where each node's bytes lie in `image`.
    places: Vec<Range<usize>>,
    /// The parameter blocks and fill patterns.
    image: Vec<u8>,
    /// The part of the image that the device does not have yet.
    changed: Range<usize>,
    /// `None` until the next replay records it.
    recorded: Option<Arc<Recorded>>,
    last: Option<EventPoint>,
}

/// A command buffer with what it uses. Batches that replay it hold it until they have run.
struct Recorded {
    raw: Arc<Raw>,
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    parameters: Option<Allocation>,
    operations: u32,
    _scratch: Option<Allocation>,
    _pipelines: Vec<Arc<Pipeline>>,
    /// Of pipelines that were being compiled.
    ready: Vec<Arc<Timeline>>,
    _entries: Vec<Arc<Entry>>,
}

// SAFETY: the command pool is used while recording and at destruction only, each by one thread.
unsafe impl Send for Recorded {}
// SAFETY: as above.
unsafe impl Sync for Recorded {}

impl Drop for Recorded {
    fn drop(&mut self) {
        // SAFETY: no batch holds the recording, so its command buffer is not pending.
        unsafe { self.raw.vk.destroy_command_pool(self.pool, None) };
    }
}

impl Recording {
    pub(crate) fn new(device: &Arc<Device>, nodes: Vec<Node>) -> Result<Arc<Self>, Error> {
        for node in &nodes {
            check_node(device.shared(), node)?;
        }
        let mut state = State {
            nodes,
            places: Vec::new(),
            image: Vec::new(),
            changed: 0..0,
            recorded: None,
            last: None,
        };
        state.record(device.shared())?;
        Ok(Arc::new(Self {
            device: Arc::clone(device),
            state: Mutex::new(state),
        }))
    }

    /// How many nodes.
    pub fn len(&self) -> usize {
        self.state.lock().nodes.len()
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces a node for later replays; replays already made keep the old one. A launch that differs only in its
    /// parameter bytes costs no new recording.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index out of range, [`Error::InvalidAddress`].
    pub fn set(&self, index: usize, node: Node) -> Result<(), Error> {
        check_node(self.device.shared(), &node)?;
        let mut state = self.state.lock();
        let State {
            nodes,
            places,
            image,
            changed,
            recorded,
            ..
        } = &mut *state;
        let Some(old) = nodes.get_mut(index) else {
            return Err(Error::InvalidArgument(format!(
                "node {index} of a recording of {}",
                nodes.len()
            )));
        };
        match (&*old, &node) {
            (
                Node::Launch {
                    pipeline,
                    grid,
                    parameters,
                    module,
                    printf,
                    resident,
                },
                Node::Launch {
                    pipeline: p,
                    grid: g,
                    parameters: q,
                    module: m,
                    printf: f,
                    resident: r,
                },
            ) if Arc::ptr_eq(pipeline, p)
                && (grid, module, printf, resident) == (g, m, f, r)
                && parameters.len() == q.len()
                && (parameters == q || pipeline.inline(q).is_empty())
                && recorded.is_some() =>
            {
                if parameters != q {
                    let place = places[index].clone();
                    image[place.clone()].copy_from_slice(q);
                    *changed = if changed.start == changed.end {
                        place
                    } else {
                        changed.start.min(place.start)..changed.end.max(place.end)
                    };
                }
            }
            _ => *recorded = None,
        }
        *old = node;
        Ok(())
    }

    pub(crate) fn replay_on(&self, stream: &Stream) -> Result<(), Error> {
        let shared = self.device.shared();
        if !Arc::ptr_eq(shared, stream.device().shared()) {
            return Err(Error::InvalidArgument(
                "a recording of another device".to_owned(),
            ));
        }
        let mut state = self.state.lock();
        if shared.profile.is_some() {
            return state.nodes.iter().try_for_each(|node| node.run_on(stream));
        }
        if state.recorded.is_none() {
            state.record(shared)?;
        }
        if let Some(last) = &state.last {
            stream.wait(last)?;
        }
        for ready in state.recorded.iter().flat_map(|recorded| &recorded.ready) {
            stream.wait_until_compiled(ready)?;
        }
        let State {
            image,
            changed,
            recorded,
            last,
            ..
        } = &mut *state;
        let Some(recorded) = recorded else {
            return Ok(());
        };
        if let Some(parameters) = recorded
            .parameters
            .as_ref()
            .filter(|_| changed.len() > SMALL_CHANGE)
        {
            if let Some(last) = last {
                last.wait()?;
            }
            write(parameters, image, changed)?;
            *changed = 0..0;
        }
        let point = stream.run(|state| {
            if let Step::Blocked(value) = state.begin()? {
                return Ok(Step::Blocked(value));
            }
            if let Some(parameters) = recorded
                .parameters
                .as_ref()
                .filter(|_| changed.start < changed.end)
            {
                if last
                    .as_ref()
                    .is_none_or(|last| last.timeline.is_complete(last.value))
                {
                    write(parameters, image, changed)?;
                } else {
                    let Some(place) = state.parameters.write(&image[changed.clone()], 16) else {
                        return Ok(Step::Blocked(state.oldest()));
                    };
                    let (encoder, _) = state.encoder();
                    encoder.barrier();
                    let span = parameters.span(changed.start as u64, changed.len() as u64);
                    encoder.copy(&[span], &[place.span]);
                }
            }
            state.insert(recorded.commands)?;
            let (value, batch) = state.open_batch();
            batch.operations += recorded.operations;
            batch.keep.push(Box::new(Arc::clone(recorded)));
            state.flush_if_due(stream.device().shared(), stream.inner())?;
            Ok(Step::Done(EventPoint {
                timeline: Arc::clone(&stream.inner().timeline),
                value,
                timestamp: None,
            }))
        })?;
        *changed = 0..0;
        *last = Some(point);
        Ok(())
    }
}

/// Writes a part of the image into the parameter memory. No replay is running.
fn write(parameters: &Allocation, image: &[u8], part: &Range<usize>) -> Result<(), Error> {
    let host = parameters
        .host()
        .ok_or_else(|| Error::Unsupported("mapped memory for parameters".to_owned()))?;
    let bytes = &image[part.clone()];
    // SAFETY: the memory is as large as the image, and mapped.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), host.add(part.start), bytes.len()) };
    Ok(())
}

fn check_node(shared: &Shared, node: &Node) -> Result<(), Error> {
    let memory = &shared.memory;
    match node {
        Node::Launch {
            pipeline,
            grid,
            parameters,
            resident,
            ..
        } => {
            if *resident {
                check_resident(&shared.raw, *grid)?;
            }
            check_launch(&shared.raw, pipeline, *grid, parameters.len())
        }
        Node::Copy { size: 0, .. } | Node::Empty => Ok(()),
        Node::Copy {
            destination,
            source,
            size,
        } => {
            memory.entry(*destination, *size)?;
            memory.entry(*source, *size).map(drop)
        }
        Node::Copy2d(copy) if copy.width == 0 || copy.height == 0 => Ok(()),
        Node::Copy2d(copy) => {
            memory.entry(copy.destination, copy.extent(copy.destination_pitch)?)?;
            memory
                .entry(copy.source, copy.extent(copy.source_pitch)?)
                .map(drop)
        }
        Node::Fill {
            destination,
            pitch,
            width,
            count,
            rows,
            ..
        } => match Fill::new(*destination, *pitch, *width, *count, *rows)? {
            Some(fill) => memory.entry(*destination, fill.extent).map(drop),
            None => Ok(()),
        },
    }
}

impl State {
    /// Lays out the parameter memory and records the command buffer.
    fn record(&mut self, shared: &Shared) -> Result<(), Error> {
        self.places.clear();
        self.image.clear();
        let mut scratch_need = 0;
        let mut slice = 0;
        // What must not be less: a grid whose workgroups wait for each other is not split.
        let mut undivided = 0;
        for node in &self.nodes {
            let pattern;
            let bytes: &[u8] = match node {
                Node::Launch {
                    pipeline,
                    grid,
                    parameters,
                    resident,
                    ..
                } => {
                    if pipeline.slice != 0 {
                        scratch_need =
                            scratch_need.max(scratch_bytes(&shared.raw, pipeline.slice, *grid));
                        slice = slice.max(pipeline.slice);
                    }
                    if *resident {
                        undivided = undivided.max(u64::from(pipeline.slice) * workgroups(*grid));
                    }
                    // The others are part of the commands.
                    match pipeline.inline(parameters) {
                        [] => parameters,
                        _ => &[],
                    }
                }
                Node::Fill {
                    pattern: value,
                    width,
                    ..
                } => {
                    pattern = fill_source(*value, *width);
                    &pattern
                }
                _ => &[],
            };
            let start = self.image.len().next_multiple_of(ALIGNMENT);
            self.image.resize(start, 0);
            self.image.extend_from_slice(bytes);
            self.places.push(start..start + bytes.len());
        }
        self.changed = 0..0;
        let scratch = match slice {
            0 => None,
            slice => Some(allocate_scratch(
                shared,
                slice,
                scratch_need.next_multiple_of(u64::from(slice)),
            )?),
        };
        if scratch.as_ref().map_or(0, Allocation::size) < undivided {
            return Err(Error::OutOfMemory {
                requested: undivided,
            });
        }
        let parameters = match self.image.len() as u64 {
            0 => None,
            size => Some(shared.memory.allocate_upload(size)?),
        };
        if let Some(parameters) = &parameters {
            write(parameters, &self.image, &(0..self.image.len()))?;
        }
        self.recorded = Some(Arc::new(record(
            shared,
            &self.nodes,
            &self.places,
            parameters,
            scratch,
        )?));
        Ok(())
    }
}

fn record(
    shared: &Shared,
    nodes: &[Node],
    places: &[Range<usize>],
    parameters: Option<Allocation>,
    scratch: Option<Allocation>,
) -> Result<Recorded, Error> {
    let raw = &shared.raw;
    let info =
        vk::CommandPoolCreateInfo::default().queue_family_index(raw.physical.plan.compute_family);
    // SAFETY: the device is alive.
    let pool = unsafe { raw.vk.create_command_pool(&info, None) }
        .map_err(|result| raw.error("vkCreateCommandPool", result))?;
    let mut recorded = Recorded {
        raw: Arc::clone(raw),
        pool,
        commands: vk::CommandBuffer::null(),
        parameters,
        operations: 0,
        _scratch: None,
        _pipelines: Vec::new(),
        ready: Vec::new(),
        _entries: Vec::new(),
    };
    let info = vk::CommandBufferAllocateInfo::default()
        .command_pool(pool)
        .level(vk::CommandBufferLevel::PRIMARY)
        .command_buffer_count(1);
    // SAFETY: the pool is new and ours.
    recorded.commands = unsafe { raw.vk.allocate_command_buffers(&info) }
        .map_err(|result| raw.error("vkAllocateCommandBuffers", result))?[0];
    let info =
        vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::SIMULTANEOUS_USE);
    // SAFETY: the command buffer is new.
    unsafe { raw.vk.begin_command_buffer(recorded.commands, &info) }
        .map_err(|result| raw.error("vkBeginCommandBuffer", result))?;
    let mut bound = Bound::default();
    let mut encoder = Encoder {
        raw,
        commands: recorded.commands,
        bound: &mut bound,
    };
    let available = scratch.as_ref().map_or_else(Scratch::default, Scratch::of);
    let memory = &shared.memory;
    for (node, place) in nodes.iter().zip(places) {
        match node {
            Node::Launch {
                pipeline,
                grid,
                parameters,
                module,
                printf,
                ..
            } => {
                let block = recorded.parameters.as_ref().filter(|_| !place.is_empty());
                let push = PushConstants {
                    parameters: block.map_or(0, |memory| memory.address() + place.start as u64),
                    module: *module,
                    printf: *printf,
                    grid: *grid,
                    grid_id: raw.grid_id.fetch_add(1, Ordering::Relaxed),
                    ..pipeline.constants
                };
                encoder.barrier();
                recorded.operations +=
                    encoder.launch(pipeline, push, pipeline.inline(parameters), available);
                recorded._pipelines.push(Arc::clone(pipeline));
                let pending = |ready: &&Arc<Timeline>| !ready.is_complete(READY);
                recorded
                    .ready
                    .extend(pipeline.ready.iter().filter(pending).cloned());
            }
            Node::Copy { size: 0, .. } | Node::Empty => {}
            Node::Copy {
                destination,
                source,
                size,
            } => {
                let (to, from) = (
                    memory.entry(*destination, *size)?,
                    memory.entry(*source, *size)?,
                );
                encoder.barrier();
                encoder.copy(&to.spans(*destination, *size), &from.spans(*source, *size));
                recorded._entries.extend([to, from]);
                recorded.operations += 1;
            }
            Node::Copy2d(copy) if copy.width == 0 || copy.height == 0 => {}
            Node::Copy2d(copy) => {
                let to = memory.entry(copy.destination, copy.extent(copy.destination_pitch)?)?;
                let from = memory.entry(copy.source, copy.extent(copy.source_pitch)?)?;
                encoder.barrier();
                encoder.copy_2d(copy, &to, &from);
                recorded._entries.extend([to, from]);
                recorded.operations += 1;
            }
            Node::Fill {
                destination,
                pitch,
                pattern,
                width,
                count,
                rows,
            } => {
                let Some(fill) = Fill::new(*destination, *pitch, *width, *count, *rows)? else {
                    continue;
                };
                let to = memory.entry(*destination, fill.extent)?;
                let source = recorded
                    .parameters
                    .as_ref()
                    .map(|memory| memory.span(place.start as u64, place.len() as u64));
                encoder.barrier();
                for row in 0..fill.rows {
                    let spans = to.spans(destination + row * fill.pitch, fill.bytes);
                    encoder.fill(spans, *pattern, *width, source);
                }
                recorded._entries.push(to);
                recorded.operations += 1;
            }
        }
    }
    // SAFETY: the command buffer is recording.
    unsafe { raw.vk.end_command_buffer(recorded.commands) }
        .map_err(|result| raw.error("vkEndCommandBuffer", result))?;
    recorded._scratch = scratch;
    Ok(recorded)
}
