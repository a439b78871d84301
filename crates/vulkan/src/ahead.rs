//! Machine code ahead of the first dispatch, on llvmpipe.
//!
//! llvmpipe makes a kernel's machine code when it is first dispatched, on the queue's one thread, and makes no other
//! pipeline of the device meanwhile: large kernels are compiled one after the other, whatever the number of processors. So
//! a large one is compiled on a second VkDevice by a thread of its own, where a dispatch of no workgroup is enough; Mesa's
//! shader cache, which the devices of a process have in common, hands the code over. Launches wait on a timeline until it
//! is there. That a kernel has been compiled is remembered on disk: then Mesa has its code, and a second thread
//! would do nothing but the driver's front end once more.

use crate::cache::Cache;
use crate::error::Error;
use crate::pipeline;
use crate::raw::Raw;
use crate::slow;
use crate::timeline::Timeline;
use ash::vk;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Words of SPIR-V from which a kernel is large: it takes seconds.
const LARGE: usize = 16 << 10;

/// Most threads: each kernel takes up to a gigabyte while it is compiled.
const THREADS: usize = 4;

/// Until Mesa's thread has written the code.
const WRITTEN: Duration = Duration::from_millis(100);

/// The value of a timeline when its kernel is compiled.
pub(crate) const READY: u64 = 1;

/// The compiling threads of a device, started at the first large kernel.
#[derive(Default)]
pub(crate) struct Ahead(OnceLock<Option<Sender<Job>>>);

struct Job {
    name: String,
    spirv: Arc<[u32]>,
    constants: [u32; 5],
    subgroup_size: u32,
    key: Vec<u8>,
    _ready: Ready,
}

/// Signals when it is dropped: nobody waits for ever.
struct Ready(Arc<Timeline>);

impl Drop for Ready {
    fn drop(&mut self) {
        if let Err(error) = self.0.signal(READY) {
            tracing::warn!(%error, "a compiled kernel");
        }
    }
}

/// Whether a kernel of so many words is worth it on this device.
pub(crate) fn is_worthwhile(raw: &Raw, words: usize) -> bool {
    let disabled = std::env::var("MESA_SHADER_CACHE_DISABLE")
        .is_ok_and(|value| matches!(value.as_str(), "1" | "true" | "y" | "yes"));
    words >= LARGE && raw.window.is_some() && !disabled && threads() > 1
}

fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS)
}

/// Starts compiling a kernel. Gives the timeline that reaches [`READY`] afterwards, or nothing where it has been compiled
/// before or no thread can be had.
pub(crate) fn start(
    raw: &Arc<Raw>,
    name: &str,
    spirv: &Arc<[u32]>,
    constants: [u32; 5],
    subgroup_size: u32,
) -> Option<Arc<Timeline>> {
    let key = key(raw, spirv, constants);
    if cache().get(&key).is_some() {
        return None;
    }
    let sender = raw.ahead.0.get_or_init(|| spawn(raw)).as_ref()?;
    let ready = Timeline::new(raw).ok()?;
    ready.reserve();
    ready.set_submitted(READY);
    let job = Job {
        name: name.to_owned(),
        spirv: Arc::clone(spirv),
        constants,
        subgroup_size,
        key,
        _ready: Ready(Arc::clone(&ready)),
    };
    sender.send(job).ok()?;
    Some(ready)
}

fn cache() -> Cache {
    Cache::open("compiled")
}

/// What decides whether Mesa's cache has the code.
fn key(raw: &Raw, spirv: &[u32], constants: [u32; 5]) -> Vec<u8> {
    let physical = &raw.physical;
    let mut key = b"compiled 1 ".to_vec();
    key.extend(physical.driver().uuid);
    key.extend(physical.driver().version.to_le_bytes());
    key.extend(physical.pipeline_cache_uuid);
    for name in ["MESA_SHADER_CACHE_DIR", "XDG_CACHE_HOME", "HOME"] {
        let value = std::env::var_os(name).unwrap_or_default();
        key.extend(value.as_encoded_bytes());
        key.push(0);
    }
    let mut hash = Sha256::new();
    for word in spirv.iter().chain(&constants) {
        hash.update(word.to_le_bytes());
    }
    key.extend(hash.finalize());
    key
}

fn spawn(raw: &Arc<Raw>) -> Option<Sender<Job>> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let mut started = 0;
    for _ in 0..threads() {
        let (physical, receiver) = (Arc::clone(&raw.physical), Arc::clone(&receiver));
        let thread = std::thread::Builder::new().name("vkcuda-compile".to_owned());
        let work = move || match Raw::open(&physical) {
            Ok(raw) => work(&raw, &receiver),
            Err(error) => tracing::warn!(%error, "a second device to compile on"),
        };
        match thread.spawn(work) {
            Ok(_) => started += 1,
            Err(error) => tracing::warn!(%error, "a thread to compile on"),
        }
    }
    (started > 0).then_some(sender)
}

/// Compiles until the device that asks is gone.
fn work(raw: &Raw, receiver: &Mutex<Receiver<Job>>) {
    loop {
        let job = receiver.lock().recv();
        let Ok(job) = job else {
            return;
        };
        let start = Instant::now();
        let _watch = slow::watch(&job.name);
        match compile(raw, &job) {
            Ok(()) => {
                std::thread::sleep(WRITTEN);
                cache().put(&job.key, &[]);
                let milliseconds = start.elapsed().as_millis() as u64;
                tracing::debug!(kernel = job.name, milliseconds, "compiled");
            }
            Err(error) => tracing::warn!(kernel = job.name, %error, "compiling ahead"),
        }
    }
}

/// Makes the pipeline, and with a dispatch of nothing its machine code.
fn compile(raw: &Raw, job: &Job) -> Result<(), Error> {
    let vk = &raw.vk;
    let create = vk::ShaderModuleCreateInfo::default().code(&job.spirv);
    // SAFETY: the words outlive the call; their validity is the translator's part.
    let module = unsafe { vk.create_shader_module(&create, None) }
        .map_err(|result| raw.error("vkCreateShaderModule", result))?;
    let made = pipeline::create(
        raw,
        vk::PipelineCache::null(),
        module,
        job.constants,
        job.subgroup_size,
    );
    // SAFETY: the pipeline does not need the module once it is made.
    unsafe { vk.destroy_shader_module(module, None) };
    let pipeline = made.map_err(|result| raw.error("vkCreateComputePipelines", result))?;
    let queue = raw.queues[0].handle.lock();
    // SAFETY: the device is this thread's alone, and the pipeline and the layout are the device's.
    let result = unsafe {
        dispatch_nothing(
            vk,
            *queue,
            raw.physical.plan.compute_family,
            raw.layout,
            ptx_spirv::PUSH_CONSTANT_BYTES + raw.physical.target().inline_parameters,
            pipeline,
        )
    };
    drop(queue);
    // SAFETY: the dispatch has run, or has not begun.
    unsafe { vk.destroy_pipeline(pipeline, None) };
    result.map_err(|result| raw.error("compiling ahead", result))
}

/// Dispatches no workgroup with a pipeline and waits: with that llvmpipe makes its machine code (Mesa, `llvmpipe_launch_grid`).
/// `bytes` is the size of the layout's push constants.
///
/// # Errors
/// What Vulkan says.
///
/// # Safety
/// All objects are the device's, and the queue, of family `family`, is used by nobody else meanwhile.
pub unsafe fn dispatch_nothing(
    vk: &ash::Device,
    queue: vk::Queue,
    family: u32,
    layout: vk::PipelineLayout,
    bytes: u32,
    pipeline: vk::Pipeline,
) -> Result<(), vk::Result> {
    let info = vk::CommandPoolCreateInfo::default().queue_family_index(family);
    // SAFETY: the objects are the caller's part. The pool is destroyed when the queue is idle, and with it the commands.
    unsafe {
        let pool = vk.create_command_pool(&info, None)?;
        let result = (|| {
            let info = vk::CommandBufferAllocateInfo::default()
                .command_pool(pool)
                .command_buffer_count(1);
            let commands = vk.allocate_command_buffers(&info)?[0];
            vk.begin_command_buffer(commands, &vk::CommandBufferBeginInfo::default())?;
            vk.cmd_bind_pipeline(commands, vk::PipelineBindPoint::COMPUTE, pipeline);
            let constants = vec![0; bytes as usize];
            let stage = vk::ShaderStageFlags::COMPUTE;
            vk.cmd_push_constants(commands, layout, stage, 0, &constants);
            vk.cmd_dispatch(commands, 0, 1, 1);
            vk.end_command_buffer(commands)?;
            let submit = vk::SubmitInfo::default().command_buffers(std::slice::from_ref(&commands));
            vk.queue_submit(queue, &[submit], vk::Fence::null())?;
            vk.queue_wait_idle(queue)
        })();
        vk.destroy_command_pool(pool, None);
        result
    }
}
