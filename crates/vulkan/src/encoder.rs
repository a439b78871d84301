//! Commands into a command buffer: what streams and recordings have in common.

use crate::launch::{split, PushConstants};
use crate::memory::{Allocation, Entry, Span, Spans};
use crate::pipeline::Pipeline;
use crate::raw::Raw;
use crate::stream::Copy2d;
use ash::vk;
use smallvec::SmallVec;

/// Regions in one vkCmdCopyBuffer.
const REGIONS: usize = 1024;

/// Bytes that [`Encoder::fill`] copies edges from: two periods of any pattern.
pub(crate) const FILL_SOURCE: usize = 8;

/// The bytes of a fill's pattern, repeated.
pub(crate) fn fill_source(pattern: u32, width: u32) -> [u8; FILL_SOURCE] {
    let word = fill_word(pattern, width).to_le_bytes();
    std::array::from_fn(|index| word[index % 4])
}

fn fill_word(pattern: u32, width: u32) -> u32 {
    match width {
        1 => (pattern & 0xff) * 0x0101_0101,
        2 => (pattern & 0xffff) * 0x0001_0001,
        _ => pattern,
    }
}

/// Whether a fill needs its pattern in memory: it starts or ends off a word.
pub(crate) fn fill_has_edges(address: u64, bytes: u64) -> bool {
    address % 4 != 0 || bytes % 4 != 0
}

/// Writes commands. The command buffer is recording; the caller holds its pool's lock.
pub(crate) struct Encoder<'a> {
    pub(crate) raw: &'a Raw,
    pub(crate) commands: vk::CommandBuffer,
    /// What is bound in this command buffer.
    pub(crate) bound: &'a mut Bound,
}

/// What a command buffer has bound so far.
#[derive(Default)]
pub(crate) struct Bound {
    pipeline: vk::Pipeline,
    /// The address of the scratch that is the window.
    window: u64,
}

/// Scratch for a launch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scratch {
    address: u64,
    buffer: vk::Buffer,
    offset: u64,
    pub(crate) size: u64,
}

impl Scratch {
    /// All of an allocation.
    pub(crate) fn of(memory: &Allocation) -> Self {
        let (address, size) = (memory.address(), memory.size());
        let span = memory.span(0, size);
        Self {
            address,
            buffer: span.buffer,
            offset: span.offset,
            size,
        }
    }
}

impl Encoder<'_> {
    /// Everything before happens before everything after, on the device.
    pub(crate) fn barrier(&self) {
        use vk::AccessFlags2 as Access;
        use vk::PipelineStageFlags2 as Stage;
        let stages = Stage::COMPUTE_SHADER | Stage::ALL_TRANSFER;
        let reads = Access::SHADER_READ | Access::SHADER_STORAGE_READ | Access::TRANSFER_READ;
        let writes = Access::SHADER_WRITE | Access::SHADER_STORAGE_WRITE | Access::TRANSFER_WRITE;
        let barrier = vk::MemoryBarrier2::default()
            .src_stage_mask(stages)
            .src_access_mask(writes)
            .dst_stage_mask(stages)
            .dst_access_mask(reads | writes);
        self.memory_barrier(&barrier);
    }

    /// Makes what the device wrote visible to the host.
    pub(crate) fn host_barrier(&self) {
        let barrier = vk::MemoryBarrier2::default()
            .src_stage_mask(vk::PipelineStageFlags2::ALL_COMMANDS)
            .src_access_mask(vk::AccessFlags2::MEMORY_WRITE)
            .dst_stage_mask(vk::PipelineStageFlags2::HOST)
            .dst_access_mask(vk::AccessFlags2::HOST_READ | vk::AccessFlags2::HOST_WRITE);
        self.memory_barrier(&barrier);
    }

    fn memory_barrier(&self, barrier: &vk::MemoryBarrier2<'_>) {
        let dependency =
            vk::DependencyInfo::default().memory_barriers(std::slice::from_ref(barrier));
        // SAFETY: the command buffer is recording.
        unsafe {
            self.raw
                .vk
                .cmd_pipeline_barrier2(self.commands, &dependency)
        };
    }

    /// Dispatches a grid, in parts where it is too large or its scratch is too small. `inline` are the parameters that go
    /// behind the push constants. Gives the number of dispatches.
    pub(crate) fn launch(
        &mut self,
        pipeline: &Pipeline,
        mut push: PushConstants,
        inline: &[u8],
        scratch: Scratch,
    ) -> u32 {
        let vk = &self.raw.vk;
        if self.bound.pipeline != pipeline.handle {
            self.bound.pipeline = pipeline.handle;
            // SAFETY: the command buffer is recording; the pipeline is kept alive by the batch or recording.
            unsafe {
                vk.cmd_bind_pipeline(
                    self.commands,
                    vk::PipelineBindPoint::COMPUTE,
                    pipeline.handle,
                )
            };
        }
        let capacity = if pipeline.slice == 0 {
            u64::MAX
        } else {
            scratch.size / u64::from(pipeline.slice)
        };
        push.scratch = scratch.address;
        if pipeline.slice != 0 {
            self.bind_window(scratch);
        }
        let mut dispatches = 0;
        let mut constants: SmallVec<[u8; 256]> = SmallVec::new();
        for part in split(
            push.grid,
            self.raw.physical.limits().workgroup_count,
            capacity,
        ) {
            // The slices of the part before are used again.
            if dispatches > 0 && pipeline.slice != 0 {
                self.barrier();
            }
            push.base = part.base;
            let ([x, y, z], [nx, ny, nz]) = (part.base, part.count);
            constants.clear();
            constants.extend_from_slice(push.bytes());
            constants.extend_from_slice(inline);
            constants.resize(constants.len().next_multiple_of(4), 0);
            // SAFETY: the layout has this push-constant range; the pipeline was made with DISPATCH_BASE.
            unsafe {
                vk.cmd_push_constants(
                    self.commands,
                    self.raw.layout,
                    vk::ShaderStageFlags::COMPUTE,
                    0,
                    &constants,
                );
                vk.cmd_dispatch_base(self.commands, x, y, z, nx, ny, nz);
            }
            dispatches += 1;
        }
        dispatches
    }

    /// Makes scratch readable as a uniform buffer, where shaders do that.
    fn bind_window(&mut self, scratch: Scratch) {
        let Some(window) = &self.raw.window else {
            return;
        };
        if std::mem::replace(&mut self.bound.window, scratch.address) == scratch.address {
            return;
        }
        // llvmpipe's limit of 64 KiB is one of the number that it reports: it checks against the range.
        let buffer = vk::DescriptorBufferInfo::default()
            .buffer(scratch.buffer)
            .offset(scratch.offset)
            .range(scratch.size);
        let write = vk::WriteDescriptorSet::default()
            .descriptor_type(vk::DescriptorType::UNIFORM_BUFFER)
            .buffer_info(std::slice::from_ref(&buffer));
        // SAFETY: the command buffer is recording; the layout's set 0 is the window's; the batch or recording keeps the
        // buffer alive.
        unsafe {
            window.push.cmd_push_descriptor_set(
                self.commands,
                vk::PipelineBindPoint::COMPUTE,
                self.raw.layout,
                0,
                &[write],
            );
        }
    }

    /// Copies between buffer ranges of the same total size.
    pub(crate) fn copy(&self, destination: &[Span], source: &[Span]) {
        let mut regions = Regions::new(self);
        pair(destination, source, |to, from| regions.push(to, from));
        regions.flush();
    }

    /// Copies rows. Both entries hold all of their rows.
    pub(crate) fn copy_2d(&self, copy: &Copy2d, destination: &Entry, source: &Entry) {
        let mut regions = Regions::new(self);
        for row in 0..copy.height {
            let to = destination.spans(copy.destination + row * copy.destination_pitch, copy.width);
            let from = source.spans(copy.source + row * copy.source_pitch, copy.width);
            pair(&to, &from, |to, from| regions.push(to, from));
        }
        regions.flush();
    }

    /// Fills bytes with a pattern. `source` holds [`fill_source`] where [`fill_has_edges`] says so.
    pub(crate) fn fill(&self, spans: Spans, pattern: u32, width: u32, source: Option<Span>) {
        let word = fill_word(pattern, width);
        let mut regions = Regions::new(self);
        for span in spans {
            let start = span.offset.next_multiple_of(4).min(span.offset + span.size);
            let end = (span.offset + span.size) & !3;
            let mut edge = |offset: u64, size: u64| {
                if let Some(source) = source.filter(|_| size > 0) {
                    // Offset and pattern have the same phase: patterns lie at multiples of their width.
                    let from = Span {
                        offset: source.offset + offset % 4,
                        size,
                        ..source
                    };
                    regions.push(
                        Span {
                            offset,
                            size,
                            ..span
                        },
                        from,
                    );
                }
            };
            if start >= end {
                // Fewer than a word, or parts of two: up to 6 bytes, of which the source holds every phase.
                let middle = start - span.offset;
                edge(span.offset, middle);
                edge(start, span.size - middle);
                continue;
            }
            edge(span.offset, start - span.offset);
            edge(end, span.offset + span.size - end);
            // SAFETY: offset and size are multiples of 4 within the buffer.
            unsafe {
                self.raw
                    .vk
                    .cmd_fill_buffer(self.commands, span.buffer, start, end - start, word)
            };
        }
        regions.flush();
    }
}

/// Splits two lists of ranges of the same total size into pairs of equal size.
fn pair(destination: &[Span], source: &[Span], mut each: impl FnMut(Span, Span)) {
    let (mut i, mut j, mut done_i, mut done_j) = (0, 0, 0, 0);
    while i < destination.len() && j < source.len() {
        let (to, from) = (destination[i], source[j]);
        let size = (to.size - done_i).min(from.size - done_j);
        each(
            Span {
                offset: to.offset + done_i,
                size,
                ..to
            },
            Span {
                offset: from.offset + done_j,
                size,
                ..from
            },
        );
        done_i += size;
        done_j += size;
        if done_i == to.size {
            (i, done_i) = (i + 1, 0);
        }
        if done_j == from.size {
            (j, done_j) = (j + 1, 0);
        }
    }
}

/// Copy regions between one pair of buffers at a time.
struct Regions<'a, 'b> {
    encoder: &'a Encoder<'b>,
    buffers: (vk::Buffer, vk::Buffer),
    regions: Vec<vk::BufferCopy>,
}

impl<'a, 'b> Regions<'a, 'b> {
    fn new(encoder: &'a Encoder<'b>) -> Self {
        Self {
            encoder,
            buffers: Default::default(),
            regions: Vec::new(),
        }
    }

    fn push(&mut self, to: Span, from: Span) {
        let buffers = (to.buffer, from.buffer);
        if buffers != self.buffers || self.regions.len() == REGIONS {
            self.flush();
            self.buffers = buffers;
        }
        self.regions.push(vk::BufferCopy {
            src_offset: from.offset,
            dst_offset: to.offset,
            size: to.size,
        });
    }

    fn flush(&mut self) {
        if !self.regions.is_empty() {
            let (to, from) = self.buffers;
            // SAFETY: the ranges lie within buffers that outlive the work.
            unsafe {
                self.encoder
                    .raw
                    .vk
                    .cmd_copy_buffer(self.encoder.commands, from, to, &self.regions)
            };
            self.regions.clear();
        }
    }
}
