//! Shaders and pipelines.
//!
//! A [`Shader`] is a translated kernel; a [`Pipeline`] is that kernel for one block shape and one dynamic shared size, which
//! are specialisation constants. Both are kept alive by the work that uses them.

use crate::ahead;
use crate::error::Error;
use crate::launch::PushConstants;
use crate::pipeline_cache::PipelineCache;
use crate::raw::Raw;
use crate::slow;
use crate::timeline::Timeline;
use ash::vk;
use parking_lot::Mutex;
use ptx_spirv::KernelInfo;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// A VkShaderModule with the translator's description.
struct Module {
    raw: Arc<Raw>,
    cache: Arc<PipelineCache>,
    handle: vk::ShaderModule,
    /// The words, where the kernel is compiled ahead of its first launch.
    ahead: Option<Arc<[u32]>>,
    info: KernelInfo,
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: pipelines do not need the module once they are made; nobody else holds the handle.
        unsafe { self.raw.vk.destroy_shader_module(self.handle, None) };
    }
}

type Key = ([u32; 3], u32);
type Slot = Arc<OnceLock<Result<Arc<Pipeline>, Error>>>;

/// A translated kernel on a device, with its pipelines.
pub struct Shader {
    module: Arc<Module>,
    pipelines: Mutex<FxHashMap<Key, Slot>>,
}

impl Shader {
    pub(crate) fn new(
        raw: &Arc<Raw>,
        cache: &Arc<PipelineCache>,
        spirv: &[u32],
        info: &KernelInfo,
    ) -> Result<Arc<Self>, Error> {
        let create = vk::ShaderModuleCreateInfo::default().code(spirv);
        // SAFETY: the words outlive the call; their validity is the translator's part.
        let handle = unsafe { raw.vk.create_shader_module(&create, None) }
            .map_err(|result| failure(raw, info, "vkCreateShaderModule", result))?;
        let module = Module {
            raw: Arc::clone(raw),
            cache: Arc::clone(cache),
            handle,
            ahead: ahead::is_worthwhile(raw, spirv.len()).then(|| spirv.into()),
            info: info.clone(),
        };
        Ok(Arc::new(Self {
            module: Arc::new(module),
            pipelines: Mutex::default(),
        }))
    }

    /// The translator's description.
    pub fn info(&self) -> &KernelInfo {
        &self.module.info
    }

    /// The pipeline for a block shape and a dynamic shared size, bytes. Compiled at the first call for that key, then
    /// found in a map. Threads that ask for the same key at once compile once.
    ///
    /// # Errors
    /// [`Error::OutOfResources`] where the block or its shared memory exceeds the device; [`Error::Pipeline`].
    pub fn pipeline(&self, block: [u32; 3], dynamic_shared: u32) -> Result<Arc<Pipeline>, Error> {
        let slot = Arc::clone(
            self.pipelines
                .lock()
                .entry((block, dynamic_shared))
                .or_default(),
        );
        let result = slot
            .get_or_init(|| Pipeline::new(&self.module, block, dynamic_shared).map(Arc::new))
            .clone();
        if result.is_err() {
            // The next call tries again: memory may be free by then.
            self.pipelines.lock().remove(&(block, dynamic_shared));
        }
        result
    }
}

static MADE: AtomicU64 = AtomicU64::new(0);

/// How many pipelines the process has made so far: a driver may load libraries with each.
pub fn pipelines_made() -> u64 {
    MADE.load(Ordering::Relaxed)
}

/// A shader specialised for a block shape and a dynamic shared size.
pub struct Pipeline {
    module: Arc<Module>,
    pub(crate) handle: vk::Pipeline,
    block: [u32; 3],
    dynamic_shared: u32,
    /// Bytes of a workgroup's scratch slice, 0 for none.
    pub(crate) slice: u32,
    /// Reaches [`ahead::READY`] when the driver has compiled the kernel; `None` where it does that at the first launch.
    pub(crate) ready: Option<Arc<Timeline>>,
    /// The push constants that do not change from launch to launch.
    pub(crate) constants: PushConstants,
}

impl Pipeline {
    fn new(module: &Arc<Module>, block: [u32; 3], dynamic_shared: u32) -> Result<Self, Error> {
        let raw = &module.raw;
        let info = &module.info;
        let threads = check_block(raw, info, block)?;
        let total_shared = info.total_shared(dynamic_shared);
        let limits = raw.physical.limits();
        let workgroup_memory = info.workgroup_memory(threads, dynamic_shared);
        if workgroup_memory > limits.shared_memory.max(16) {
            return Err(Error::OutOfResources(format!(
                "{}: {workgroup_memory} bytes of shared memory, the device has {}",
                info.name, limits.shared_memory
            )));
        }
        let workgroup = threads.next_multiple_of(info.subgroup_size.max(32));
        let constants = [workgroup, block[0], block[1], block[2], workgroup_memory];
        let ready = module
            .ahead
            .as_ref()
            .and_then(|spirv| ahead::start(raw, &info.name, spirv, constants, info.subgroup_size));
        let start = Instant::now();
        let watch = slow::watch(&info.name);
        let handle = create(
            raw,
            module.cache.handle(),
            module.handle,
            constants,
            info.subgroup_size,
        )
        .map_err(|result| failure(raw, info, "vkCreateComputePipelines", result))?;
        drop(watch);
        module.cache.changed();
        tracing::debug!(
            kernel = info.name,
            ?block,
            milliseconds = start.elapsed().as_millis() as u64,
            "pipeline"
        );
        let slice = info.slice_bytes(threads, dynamic_shared);
        Ok(Self {
            module: Arc::clone(module),
            handle,
            block,
            dynamic_shared,
            slice,
            ready,
            constants: PushConstants {
                fault: raw.fault_address(),
                slice,
                shared_offset: info.shared_offset(threads),
                local_offset: info.local_offset(threads, dynamic_shared),
                dynamic_shared,
                total_shared,
                ..PushConstants::default()
            },
        })
    }

    /// The part of a launch's parameters that is passed behind the push constants: all of them or none.
    pub(crate) fn inline<'a>(&self, parameters: &'a [u8]) -> &'a [u8] {
        if self.module.info.inline_parameters {
            parameters
        } else {
            &[]
        }
    }

    /// The kernel.
    pub fn info(&self) -> &KernelInfo {
        &self.module.info
    }

    /// `%ntid`.
    pub fn block(&self) -> [u32; 3] {
        self.block
    }

    /// Dynamic shared memory, bytes.
    pub fn dynamic_shared(&self) -> u32 {
        self.dynamic_shared
    }

    /// Whether the pipeline belongs to this device.
    pub(crate) fn is_of(&self, raw: &Arc<Raw>) -> bool {
        Arc::ptr_eq(&self.module.raw, raw)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // SAFETY: batches and recordings that use the pipeline hold an Arc of it until they have run.
        unsafe { self.module.raw.vk.destroy_pipeline(self.handle, None) };
    }
}

/// The threads of a block, if the device takes it.
fn check_block(raw: &Raw, info: &KernelInfo, block: [u32; 3]) -> Result<u32, Error> {
    let limits = raw.physical.limits();
    let product = block.iter().map(|&n| u64::from(n)).product::<u64>();
    if product == 0 {
        return Err(Error::InvalidArgument(format!(
            "{}: an empty block {block:?}",
            info.name
        )));
    }
    let padded = product.next_multiple_of(u64::from(info.subgroup_size.max(32)));
    let most = limits.workgroup_invocations.min(limits.workgroup_size[0]);
    if padded > u64::from(most) {
        return Err(Error::OutOfResources(format!(
            "{}: a block of {product} threads, the device has {most}",
            info.name
        )));
    }
    if info.subgroup_size != 0
        && padded / u64::from(info.subgroup_size) > u64::from(limits.workgroup_subgroups)
    {
        return Err(Error::OutOfResources(format!(
            "{}: a block of {product} threads needs more than {} subgroups",
            info.name, limits.workgroup_subgroups
        )));
    }
    Ok(product as u32)
}

/// A pipeline with these specialisation constants, on any device of the shader's kind.
pub(crate) fn create(
    raw: &Raw,
    cache: vk::PipelineCache,
    module: vk::ShaderModule,
    constants: [u32; 5],
    subgroup_size: u32,
) -> Result<vk::Pipeline, vk::Result> {
    let workgroup = constants[0];
    let entries: [vk::SpecializationMapEntry; 5] = std::array::from_fn(|index| {
        vk::SpecializationMapEntry::default()
            .constant_id(index as u32)
            .offset(index as u32 * 4)
            .size(4)
    });
    let data: Vec<u8> = constants
        .iter()
        .flat_map(|constant| constant.to_ne_bytes())
        .collect();
    let specialization = vk::SpecializationInfo::default()
        .map_entries(&entries)
        .data(&data);
    let mut required = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default()
        .required_subgroup_size(subgroup_size);
    let subgroup = raw.physical.subgroup();
    let mut flags = vk::PipelineShaderStageCreateFlags::empty();
    let width = if subgroup_size != 0 {
        subgroup_size
    } else {
        subgroup.max
    };
    if workgroup % width == 0 {
        flags |= vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS;
    }
    let mut stage = vk::PipelineShaderStageCreateInfo::default()
        .flags(flags)
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(module)
        .name(c"main")
        .specialization_info(&specialization);
    // A device with one size only may not take the structure, and needs none.
    if subgroup_size != 0 && subgroup.required {
        stage = stage.push_next(&mut required);
    }
    let create = vk::ComputePipelineCreateInfo::default()
        .flags(vk::PipelineCreateFlags::DISPATCH_BASE)
        .stage(stage)
        .layout(raw.layout);
    // SAFETY: everything the structure points at lives until the call returns.
    unsafe { raw.vk.create_compute_pipelines(cache, &[create], None) }
        .map(|pipelines| pipelines[0])
        .map_err(|(_, result)| result)
}

fn failure(raw: &Raw, info: &KernelInfo, call: &'static str, result: vk::Result) -> Error {
    match raw.error(call, result) {
        Error::Vulkan { call, result } => Error::Pipeline {
            kernel: info.name.clone(),
            what: format!("{call}: {result}"),
        },
        error => error,
    }
}
