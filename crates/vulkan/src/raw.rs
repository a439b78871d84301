//! The VkDevice with what every object of it needs, and the calls that make buffers and memory.
//!
//! Memory blocks, timelines, pipelines and streams each hold an `Arc<Raw>`: the VkDevice goes when the last of them is gone,
//! in whatever order the owner drops them.

use crate::ahead::Ahead;
use crate::error::Error;
use crate::memory::MemoryTypes;
use crate::{Fault, FaultCode, MemoryKind, PhysicalDevice};
use ash::{ext, khr, vk};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// Bytes of the fault record.
const FAULT_BYTES: usize = 256;

/// A VkQueue; the lock is Vulkan's "externally synchronised".
pub(crate) struct Queue {
    pub(crate) handle: Mutex<vk::Queue>,
    /// Streams that submit here.
    pub(crate) streams: AtomicU32,
}

/// A buffer with its own mapped memory: the fault record.
struct MappedBuffer {
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    address: u64,
    pointer: *mut u32,
}

/// The VkDevice.
pub(crate) struct Raw {
    pub(crate) vk: ash::Device,
    pub(crate) physical: Arc<PhysicalDevice>,
    pub(crate) external_host: Option<ext::external_memory_host::Device>,
    /// Loaded only where memory can also be mapped at a chosen place.
    pub(crate) map_placed: Option<khr::map_memory2::Device>,
    /// Where memory for buffers is allocated.
    pub(crate) memory_types: MemoryTypes,
    /// The compute queues.
    pub(crate) queues: Vec<Queue>,
    /// The queue for sparse binding: an index into `queues` or a queue of its own.
    pub(crate) sparse_queue: Option<SparseQueue>,
    /// The one pipeline layout: 96 bytes of push constants, no sets but the window's.
    pub(crate) layout: vk::PipelineLayout,
    /// Where warps yield: how shaders read scratch.
    pub(crate) window: Option<Window>,
    /// Where warps yield: threads that compile large kernels.
    pub(crate) ahead: Ahead,
    /// `%gridid` of the next launch.
    pub(crate) grid_id: AtomicU64,
    lost: AtomicBool,
    fault: MappedBuffer,
}

/// Scratch as a uniform buffer, binding 0 of set 0 (`docs/design.md`, "The launch contract").
pub(crate) struct Window {
    set_layout: vk::DescriptorSetLayout,
    /// Pushes the descriptor.
    pub(crate) push: khr::push_descriptor::Device,
}

impl Window {
    fn new(physical: &PhysicalDevice, vk: &ash::Device) -> Result<Option<Self>, Error> {
        if !matches!(physical.target().warps, ptx_spirv::Warps::Yield { .. }) {
            return Ok(None);
        }
        let binding = vk::DescriptorSetLayoutBinding::default()
            .descriptor_type(vk::DescriptorType::UNIFORM_BUFFER)
            .descriptor_count(1)
            .stage_flags(vk::ShaderStageFlags::COMPUTE);
        let info = vk::DescriptorSetLayoutCreateInfo::default()
            .flags(vk::DescriptorSetLayoutCreateFlags::PUSH_DESCRIPTOR_KHR)
            .bindings(std::slice::from_ref(&binding));
        // SAFETY: the device is alive.
        let set_layout = unsafe { vk.create_descriptor_set_layout(&info, None) }
            .map_err(|result| Error::from_vulkan("vkCreateDescriptorSetLayout", result))?;
        Ok(Some(Self {
            set_layout,
            push: khr::push_descriptor::Device::new(&physical.instance.vk, vk),
        }))
    }

    fn destroy(&self, vk: &ash::Device) {
        // SAFETY: nothing uses it any more (the caller's part).
        unsafe { vk.destroy_descriptor_set_layout(self.set_layout, None) };
    }
}

/// Where sparse bindings are submitted.
pub(crate) enum SparseQueue {
    /// The first compute queue.
    Compute,
    /// A queue of another family.
    Own(Mutex<vk::Queue>),
}

// SAFETY: the raw pointer is mapped memory that is accessed by volatile reads and writes only; Vulkan handles may cross
// threads, and queues are locked.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    pub(crate) fn open(physical: &Arc<PhysicalDevice>) -> Result<Self, Error> {
        let plan = &physical.plan;
        let priorities = vec![0.5f32; plan.compute_queues as usize];
        let mut families = vec![vk::DeviceQueueCreateInfo::default()
            .queue_family_index(plan.compute_family)
            .queue_priorities(&priorities)];
        let other_sparse_family = plan
            .sparse_family
            .filter(|&family| family != plan.compute_family);
        if let Some(family) = other_sparse_family {
            families.push(
                vk::DeviceQueueCreateInfo::default()
                    .queue_family_index(family)
                    .queue_priorities(&priorities[..1]),
            );
        }
        let extensions = physical.extensions.pointers();
        let mut features = physical.features;
        let vk = features
            .linked(&physical.extensions, |head| {
                let info = vk::DeviceCreateInfo::default()
                    .queue_create_infos(&families)
                    .enabled_extension_names(&extensions)
                    .push_next(head);
                // SAFETY: the handle belongs to the instance; only features and extensions the device reported are enabled.
                unsafe {
                    physical
                        .instance
                        .vk
                        .create_device(physical.handle, &info, None)
                }
            })
            .map_err(|result| Error::from_vulkan("vkCreateDevice", result))?;
        // From here on the device must be destroyed on failure.
        Self::finish(physical, &vk).inspect_err(|_| {
            // SAFETY: `finish` has destroyed what it made.
            unsafe { vk.destroy_device(None) };
        })
    }

    fn finish(physical: &Arc<PhysicalDevice>, vk: &ash::Device) -> Result<Self, Error> {
        let plan = &physical.plan;
        let instance = &physical.instance.vk;
        let queues = (0..plan.compute_queues)
            .map(|index| Queue {
                // SAFETY: these queues were created with the device.
                handle: Mutex::new(unsafe { vk.get_device_queue(plan.compute_family, index) }),
                streams: AtomicU32::new(0),
            })
            .collect();
        let sparse_queue = plan.sparse_family.map(|family| {
            if family == plan.compute_family {
                SparseQueue::Compute
            } else {
                // SAFETY: as above.
                SparseQueue::Own(Mutex::new(unsafe { vk.get_device_queue(family, 0) }))
            }
        });
        let memory_types = MemoryTypes::choose(
            physical.kind(),
            &physical.memory,
            buffer_types(vk, vk::BufferCreateFlags::empty()),
        )
        .map_err(Error::Unsupported)?;
        let range = vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(ptx_spirv::PUSH_CONSTANT_BYTES + physical.target().inline_parameters);
        let window = Window::new(physical, vk)?;
        let sets: Vec<_> = window.iter().map(|window| window.set_layout).collect();
        let info = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(&sets)
            .push_constant_ranges(std::slice::from_ref(&range));
        let undo_window = || window.iter().for_each(|window| window.destroy(vk));
        // SAFETY: the device is alive.
        let layout = unsafe { vk.create_pipeline_layout(&info, None) }.map_err(|result| {
            undo_window();
            Error::from_vulkan("vkCreatePipelineLayout", result)
        })?;
        let fault = create_fault_buffer(memory_types.host, vk).inspect_err(|_| {
            // SAFETY: nothing uses the layout.
            unsafe { vk.destroy_pipeline_layout(layout, None) };
            undo_window();
        })?;
        let has = |name| physical.extensions.has(name);
        let placed = physical.places_mappings();
        Ok(Self {
            external_host: has(ext::external_memory_host::NAME)
                .then(|| ext::external_memory_host::Device::new(instance, vk)),
            map_placed: placed.then(|| khr::map_memory2::Device::new(instance, vk)),
            vk: vk.clone(),
            physical: Arc::clone(physical),
            memory_types,
            queues,
            sparse_queue,
            layout,
            window,
            ahead: Ahead::default(),
            grid_id: AtomicU64::new(1),
            lost: AtomicBool::new(false),
            fault,
        })
    }

    /// An error of a call, with a lost device remembered.
    pub(crate) fn error(&self, call: &'static str, result: vk::Result) -> Error {
        if result == vk::Result::ERROR_DEVICE_LOST && !self.lost.swap(true, Ordering::Relaxed) {
            tracing::error!(device = self.physical.name(), call, "device lost");
        }
        Error::from_vulkan(call, result)
    }

    /// Treats a failed call as the loss of the device: work that others may wait for will never run.
    pub(crate) fn mark_lost(&self, call: &'static str, result: vk::Result) {
        tracing::error!(device = self.physical.name(), call, %result, "the device is given up");
        self.lost.store(true, Ordering::Relaxed);
    }

    /// The sticky error: a lost device or a kernel's fault.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_lost()?;
        match self.fault() {
            Some(fault) => Err(Error::Fault(Box::new(fault))),
            None => Ok(()),
        }
    }

    pub(crate) fn check_lost(&self) -> Result<(), Error> {
        if self.lost.load(Ordering::Relaxed) {
            Err(Error::DeviceLost)
        } else {
            Ok(())
        }
    }

    /// The fault record, if a kernel wrote one.
    fn fault(&self) -> Option<Fault> {
        // SAFETY: the pointer is to FAULT_BYTES of mapped memory that lives as long as self.
        let word = |index: usize| unsafe { self.fault.pointer.add(index).read_volatile() };
        let code = match word(0) {
            0 => return None,
            1 => FaultCode::Trap,
            2 => FaultCode::Assert,
            3 => FaultCode::Timeout,
            4 => FaultCode::Address,
            other => FaultCode::Other(other),
        };
        Some(Fault {
            code,
            data: std::array::from_fn(|index| word(index + 2)),
        })
    }

    pub(crate) fn fault_address(&self) -> u64 {
        self.fault.address
    }

    pub(crate) fn set_heap(&self, address: u64) {
        let index = ptx_spirv::HEAP_ADDRESS_OFFSET as usize / 4;
        for (n, word) in [address as u32, (address >> 32) as u32]
            .into_iter()
            .enumerate()
        {
            // SAFETY: as in `fault`; the offset lies within the record.
            unsafe { self.fault.pointer.add(index + n).write_volatile(word) };
        }
    }

    pub(crate) fn clear_fault(&self) {
        for index in 0..FAULT_BYTES / 4 {
            // SAFETY: as in `fault`.
            unsafe { self.fault.pointer.add(index).write_volatile(0) };
        }
    }

    /// Memory type for a kind.
    pub(crate) fn memory_type(&self, kind: MemoryKind) -> u32 {
        match kind {
            MemoryKind::Device => self.memory_types.device,
            MemoryKind::Host | MemoryKind::Managed | MemoryKind::Imported => self.memory_types.host,
        }
    }

    /// A buffer for every use there is, without memory.
    pub(crate) fn create_buffer(
        &self,
        size: u64,
        flags: vk::BufferCreateFlags,
        imported: bool,
    ) -> Result<vk::Buffer, Error> {
        create_buffer(&self.vk, size, flags, imported)
    }

    pub(crate) fn requirements(&self, buffer: vk::Buffer) -> vk::MemoryRequirements {
        // SAFETY: the buffer is alive.
        unsafe { self.vk.get_buffer_memory_requirements(buffer) }
    }

    pub(crate) fn buffer_address(&self, buffer: vk::Buffer) -> u64 {
        // SAFETY: the buffer has the usage flag and, unless sparse, memory.
        unsafe {
            self.vk
                .get_buffer_device_address(&vk::BufferDeviceAddressInfo::default().buffer(buffer))
        }
    }

    /// Memory whose buffers have addresses; `import` takes it from the host.
    pub(crate) fn allocate_memory(
        &self,
        size: u64,
        memory_type: u32,
        import: Option<*mut u8>,
    ) -> Result<vk::DeviceMemory, Error> {
        let mut flags =
            vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let mut host = vk::ImportMemoryHostPointerInfoEXT::default()
            .handle_type(vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT);
        let mut info = vk::MemoryAllocateInfo::default()
            .allocation_size(size)
            .memory_type_index(memory_type)
            .push_next(&mut flags);
        if let Some(pointer) = import {
            host = host.host_pointer(pointer.cast());
            info = info.push_next(&mut host);
        }
        // SAFETY: the memory type exists; an imported pointer is mapped and aligned (the caller's part).
        unsafe { self.vk.allocate_memory(&info, None) }.map_err(|result| match result {
            vk::Result::ERROR_OUT_OF_DEVICE_MEMORY
            | vk::Result::ERROR_OUT_OF_HOST_MEMORY
            | vk::Result::ERROR_TOO_MANY_OBJECTS => Error::OutOfMemory { requested: size },
            vk::Result::ERROR_INVALID_EXTERNAL_HANDLE => Error::Unsupported(
                "this host memory cannot be imported by the Vulkan driver".to_owned(),
            ),
            result => self.error("vkAllocateMemory", result),
        })
    }

    pub(crate) fn bind(
        &self,
        buffer: vk::Buffer,
        memory: vk::DeviceMemory,
        offset: u64,
    ) -> Result<(), Error> {
        // SAFETY: both are alive and unbound; offset and size satisfy the requirements (the caller's part).
        unsafe { self.vk.bind_buffer_memory(buffer, memory, offset) }
            .map_err(|result| self.error("vkBindBufferMemory", result))
    }

    /// The flags of a sparse buffer that is bound in parts.
    pub(crate) fn reservation_flags(&self) -> vk::BufferCreateFlags {
        use vk::BufferCreateFlags as Flags;
        let mut flags = Flags::SPARSE_BINDING | Flags::SPARSE_RESIDENCY;
        if self.physical.features.core.sparse_residency_aliased == vk::TRUE {
            flags |= Flags::SPARSE_ALIASED;
        }
        flags
    }

    /// The memory type for such buffers: that of device memory, or what comes nearest to it.
    pub(crate) fn reservation_type(&self) -> Result<u32, Error> {
        let bits = buffer_types(&self.vk, self.reservation_flags());
        let device = self.memory_types.device;
        if bits & (1 << device) != 0 {
            return Ok(device);
        }
        use vk::MemoryPropertyFlags as Flags;
        let excluded = Flags::PROTECTED | Flags::LAZILY_ALLOCATED | Flags::DEVICE_COHERENT_AMD;
        (0..self.physical.memory.memory_type_count)
            .filter(|index| bits & (1 << index) != 0)
            .filter(|&index| {
                let flags = self.physical.memory_flags(index);
                flags.contains(Flags::DEVICE_LOCAL) && !flags.intersects(excluded)
            })
            .max_by_key(|&index| (self.physical.heap_size(index), Reverse(index)))
            .ok_or_else(|| Error::Unsupported("device-local memory for sparse buffers".to_owned()))
    }

    /// Binds memory to parts of a sparse buffer, or unbinds it, and waits until that is done: what is submitted afterwards
    /// sees it.
    pub(crate) fn bind_sparse(
        &self,
        buffer: vk::Buffer,
        binds: &[vk::SparseMemoryBind],
    ) -> Result<(), Error> {
        let Some(queue) = &self.sparse_queue else {
            return Err(Error::Unsupported("sparseBinding".to_owned()));
        };
        let buffer_bind = vk::SparseBufferMemoryBindInfo::default()
            .buffer(buffer)
            .binds(binds);
        let info = vk::BindSparseInfo::default().buffer_binds(std::slice::from_ref(&buffer_bind));
        // SAFETY: the buffer is sparse, and buffer and memory are alive (the caller's part); the queue is locked during the
        // call; the fence is destroyed after it was waited for.
        unsafe {
            let fence = self
                .vk
                .create_fence(&vk::FenceCreateInfo::default(), None)
                .map_err(|result| self.error("vkCreateFence", result))?;
            let handle = match queue {
                SparseQueue::Compute => self.queues[0].handle.lock(),
                SparseQueue::Own(queue) => queue.lock(),
            };
            let result = self.vk.queue_bind_sparse(*handle, &[info], fence);
            drop(handle);
            let result = result
                .map_err(|result| self.error("vkQueueBindSparse", result))
                .and_then(|()| {
                    self.vk
                        .wait_for_fences(&[fence], true, u64::MAX)
                        .map_err(|result| self.error("vkWaitForFences", result))
                });
            self.vk.destroy_fence(fence, None);
            result
        }
    }

    /// Waits until the compute queues are idle; errors are only noted. The queue for sparse binding is: each binding is waited
    /// for. (RADV has a thread for that queue, and Mesa's device that executes nothing, whose waits do not wait, would destroy
    /// what vkDeviceWaitIdle gives to that thread while it still looks at it.)
    pub(crate) fn wait_idle(&self) {
        for queue in &self.queues {
            let queue = queue.handle.lock();
            // SAFETY: the queue is locked.
            if let Err(result) = unsafe { self.vk.queue_wait_idle(*queue) } {
                let _ = self.error("vkQueueWaitIdle", result);
            }
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: every object of the device holds an Arc of self, so none is left and nothing is running.
        unsafe {
            self.vk.destroy_pipeline_layout(self.layout, None);
            self.window
                .iter()
                .for_each(|window| window.destroy(&self.vk));
            self.vk.destroy_buffer(self.fault.buffer, None);
            self.vk.free_memory(self.fault.memory, None);
            self.vk.destroy_device(None);
        }
    }
}

impl Error {
    /// The error for a failed call.
    pub(crate) fn from_vulkan(call: &'static str, result: vk::Result) -> Self {
        match result {
            vk::Result::ERROR_DEVICE_LOST => Self::DeviceLost,
            vk::Result::ERROR_OUT_OF_DEVICE_MEMORY | vk::Result::ERROR_OUT_OF_HOST_MEMORY => {
                tracing::warn!(call, %result, "out of memory");
                Self::OutOfMemory { requested: 0 }
            }
            result => Self::Vulkan { call, result },
        }
    }
}

/// What every buffer of the runtime may be used for.
fn buffer_usage() -> vk::BufferUsageFlags {
    vk::BufferUsageFlags::STORAGE_BUFFER
        | vk::BufferUsageFlags::UNIFORM_BUFFER
        | vk::BufferUsageFlags::TRANSFER_SRC
        | vk::BufferUsageFlags::TRANSFER_DST
        | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS
}

/// The memory types that take such buffers, bit by index.
fn buffer_types(vk: &ash::Device, flags: vk::BufferCreateFlags) -> u32 {
    let create = vk::BufferCreateInfo::default()
        .flags(flags)
        .size(1 << 20)
        .usage(buffer_usage());
    let info = vk::DeviceBufferMemoryRequirements::default().create_info(&create);
    let mut requirements = vk::MemoryRequirements2::default();
    // SAFETY: maintenance4 is a needed feature.
    unsafe { vk.get_device_buffer_memory_requirements(&info, &mut requirements) };
    requirements.memory_requirements.memory_type_bits
}

fn create_buffer(
    vk: &ash::Device,
    size: u64,
    flags: vk::BufferCreateFlags,
    imported: bool,
) -> Result<vk::Buffer, Error> {
    let mut external = vk::ExternalMemoryBufferCreateInfo::default()
        .handle_types(vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT);
    let mut info = vk::BufferCreateInfo::default()
        .size(size)
        .flags(flags)
        .usage(buffer_usage());
    if imported {
        info = info.push_next(&mut external);
    }
    // SAFETY: the device is alive; sparse flags are passed only where the feature is on.
    unsafe { vk.create_buffer(&info, None) }
        .map_err(|result| Error::from_vulkan("vkCreateBuffer", result))
}

fn create_fault_buffer(memory_type: u32, vk: &ash::Device) -> Result<MappedBuffer, Error> {
    let buffer = create_buffer(
        vk,
        FAULT_BYTES as u64,
        vk::BufferCreateFlags::empty(),
        false,
    )?;
    // SAFETY: all handles are made here; on failure each is destroyed once.
    unsafe {
        let requirements = vk.get_buffer_memory_requirements(buffer);
        let mut flags =
            vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(requirements.size)
            .memory_type_index(memory_type)
            .push_next(&mut flags);
        let memory = match vk.allocate_memory(&info, None) {
            Ok(memory) => memory,
            Err(result) => {
                vk.destroy_buffer(buffer, None);
                return Err(Error::from_vulkan("vkAllocateMemory", result));
            }
        };
        let mapped = vk
            .bind_buffer_memory(buffer, memory, 0)
            .map_err(|result| Error::from_vulkan("vkBindBufferMemory", result))
            .and_then(|()| {
                vk.map_memory(memory, 0, vk::WHOLE_SIZE, vk::MemoryMapFlags::empty())
                    .map_err(|result| Error::from_vulkan("vkMapMemory", result))
            });
        match mapped {
            Ok(pointer) => {
                pointer.write_bytes(0, FAULT_BYTES);
                let address = vk.get_buffer_device_address(
                    &vk::BufferDeviceAddressInfo::default().buffer(buffer),
                );
                Ok(MappedBuffer {
                    buffer,
                    memory,
                    address,
                    pointer: pointer.cast(),
                })
            }
            Err(error) => {
                vk.destroy_buffer(buffer, None);
                vk.free_memory(memory, None);
                Err(error)
            }
        }
    }
}
