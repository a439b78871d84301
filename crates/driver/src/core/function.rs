//! A function: a kernel of a module in a context, translated when it is first launched or measured.

use crate::boundary::Result;
use crate::core::context::Context;
use crate::core::device_attributes::{DEFAULT_SHARED_MEMORY, MAX_SHARED_MEMORY};
use crate::core::jit::JitError;
use crate::core::kernel;
use crate::core::module::{Code, References, Variant};
use crate::core::registry::Registry;
use crate::core::status::IntoCuda;
use crate::core::stream::Stream;
use crate::settings::settings;
use cuda_abi::*;
use parking_lot::Mutex;
use ptx_spirv::{KernelInfo, Rows, SharedMemory};
use smallvec::SmallVec;
use std::ffi::CString;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use vulkan::{Pipeline, Shader};

/// Every function by handle.
pub static FUNCTIONS: Registry<Function> = Registry::new();

type ShaderSlot = OnceLock<std::result::Result<Arc<Shader>, JitError>>;

/// A launch as `cuFuncSetBlockShape`, `cuParamSetv` and the like describe it.
#[derive(Clone, Debug, Default)]
pub struct Legacy {
    /// Threads of a block.
    pub block: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub dynamic_shared: u32,
    /// The parameter block, as far as it was set.
    pub parameters: Vec<u8>,
}

/// Why there is no pipeline.
enum Refusal {
    Translator(CUresult),
    Vulkan(vulkan::Error),
}

impl Refusal {
    fn may_want_reduction(&self) -> bool {
        matches!(self, Refusal::Vulkan(error) if error.may_want_reduction())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Translator(error) => write!(f, "{error:?}"),
            Refusal::Vulkan(error) => error.fmt(f),
        }
    }
}

/// A kernel in a context.
pub struct Function {
    /// Its module's part that outlives the module.
    pub code: Arc<Code>,
    /// Its module's handle.
    pub module: CUmodule,
    /// Its name, for C.
    pub name: CString,
    /// Offset and size of each parameter.
    pub parameters: SmallVec<[(u32, u32); 16]>,
    /// Bytes of the parameter block.
    pub parameter_bytes: u32,
    /// Dynamic shared memory allowed, bytes; -1 where never set.
    max_dynamic_shared: AtomicI32,
    carveout: AtomicI32,
    non_portable_cluster: AtomicI32,
    cluster_policy: AtomicI32,
    /// What the functions of before CUDA 4 set.
    pub legacy: Mutex<Legacy>,
    /// Its translations, by how often the target is reduced ([`vulkan::with_reductions`]) and [`Variant`].
    shaders: [[ShaderSlot; 5]; vulkan::MOST_REDUCTIONS as usize + 1],
    /// The reductions with which the driver compiled it last.
    reductions: AtomicU32,
}

impl Function {
    /// A kernel that the module is known to have.
    pub fn new(code: Arc<Code>, module: CUmodule, name: &str) -> Arc<Self> {
        let (parameters, parameter_bytes) = match code.program.kernel(name) {
            Ok(head) => {
                let (offsets, bytes) = head.parameter_offsets();
                let sizes = head.parameters.iter().map(|p| p.size as u32);
                (offsets.into_iter().zip(sizes).collect(), bytes)
            }
            Err(_) => (SmallVec::new(), 0),
        };
        let function = Arc::new(Self {
            code,
            module,
            name: CString::new(name).unwrap_or_default(),
            parameters,
            parameter_bytes,
            max_dynamic_shared: AtomicI32::new(-1),
            carveout: AtomicI32::new(-1),
            non_portable_cluster: AtomicI32::new(0),
            cluster_policy: AtomicI32::new(0),
            legacy: Mutex::default(),
            shaders: Default::default(),
            reductions: AtomicU32::new(0),
        });
        FUNCTIONS.insert(function.clone());
        function
    }

    /// The function of a handle, which may be a `CUkernel`'s: then its function in the current context.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`; those of loading the kernel's library.
    pub fn from_handle(handle: CUfunction) -> Result<Arc<Self>> {
        match FUNCTIONS.get(handle.0) {
            Ok(function) => Ok(function),
            Err(_) => kernel::KERNELS.get(handle.0)?.function(),
        }
    }

    /// The same for a launch in a stream: a `CUkernel`'s function is that of the stream's context.
    ///
    /// # Errors
    /// As [`Function::from_handle`].
    pub fn in_stream(handle: CUfunction, stream: &Stream) -> Result<Arc<Self>> {
        match FUNCTIONS.get(handle.0) {
            Ok(function) => Ok(function),
            Err(_) => {
                let kernel = kernel::KERNELS.get(handle.0)?;
                let context = Context::from_handle(stream.group.context)?;
                kernel.function_in(&*context.state()?)
            }
        }
    }

    /// The function of a handle that is no `CUkernel`'s.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn of_module(handle: CUfunction) -> Result<Arc<Self>> {
        FUNCTIONS.get(handle.0)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUfunction {
        CUfunction(Registry::handle(self))
    }

    fn text(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    fn translated(&self, variant: Variant, reductions: u32) -> Result<&Arc<Shader>> {
        let shader = self.shaders[reductions as usize][variant as usize].get_or_init(|| {
            let shader = self.code.shader(self.text(), variant, reductions);
            if let Err(error) = &shader {
                tracing::error!("kernel {} cannot be had: {error}", self.text());
            }
            shader
        });
        shader.as_ref().map_err(|error| error.status)
    }

    /// The translations that there are already, but for that with shared memory in scratch memory.
    fn at_hand(&self, reductions: u32) -> impl Iterator<Item = &Arc<Shader>> {
        let variants = [Variant::Usual, Variant::OneWarpRows, Variant::AnyRows];
        let slots = variants.map(|v| self.shaders[reductions as usize][v as usize].get());
        slots.into_iter().flatten().filter_map(|s| s.as_ref().ok())
    }

    /// The translation for a block.
    fn translated_for(&self, block: [u32; 3], reductions: u32) -> Result<&Arc<Shader>> {
        if let Some(shader) = self
            .at_hand(reductions)
            .find(|shader| !shader.info().rows_matter)
        {
            return Ok(shader);
        }
        let known = self.code.vulkan.target().rows != Rows::Any;
        let variant = match Rows::of(block) {
            Rows::OneWarp if known => Variant::OneWarpRows,
            Rows::Any if known => Variant::AnyRows,
            _ => Variant::Usual,
        };
        self.translated(variant, reductions)
    }

    /// What the translator says about the kernel. Translates it at the first call.
    ///
    /// # Errors
    /// Those of the translator.
    pub fn info(&self) -> Result<&KernelInfo> {
        let at_hand = self.at_hand(0).next();
        let shader = at_hand.map_or_else(|| self.translated(Variant::Usual, 0), Ok)?;
        Ok(shader.info())
    }

    /// What the texture and surface references that it uses are bound to now.
    ///
    /// # Errors
    /// Those of the translator; those of [`Code::bind`].
    pub fn bind(&self) -> Result<References> {
        match self.code.has_references {
            true => self.code.bind(&self.info()?.references),
            false => Ok(References::new()),
        }
    }

    /// Whether it is translated already.
    pub fn is_loaded(&self) -> bool {
        self.at_hand(0).next().is_some()
    }

    /// The pipeline for a block and an amount of dynamic shared memory.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a block or an amount of shared memory that the kernel was not set up for;
    /// `CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES`; those of the translator and of the Vulkan driver.
    pub fn pipeline(&self, block: [u32; 3], dynamic_shared: u32) -> Result<Arc<Pipeline>> {
        let info = self.translated_for(block, 0)?.info();
        let limit = self.max_dynamic_shared(info);
        if i64::from(dynamic_shared) > i64::from(limit) {
            tracing::info!(
                "{}: {dynamic_shared} bytes of dynamic shared memory, {limit} allowed",
                self.text()
            );
            return Err(CUresult::INVALID_VALUE);
        }
        let threads = block.iter().map(|&n| u64::from(n)).product::<u64>();
        if threads > u64::from(self.max_threads(info)) {
            tracing::info!(
                "{}: {threads} threads in a block, {} allowed",
                self.text(),
                self.max_threads(info)
            );
            return Err(CUresult::INVALID_VALUE);
        }
        if info
            .required_threads
            .is_some_and(|required| required != block)
        {
            return Err(CUresult::INVALID_VALUE);
        }
        let pipeline = vulkan::with_reductions(
            self.text(),
            self.code.vulkan.target(),
            self.reductions.load(Ordering::Relaxed),
            Refusal::may_want_reduction,
            |reductions| {
                let shader = self.shader(block, dynamic_shared, reductions);
                let shader = shader.map_err(Refusal::Translator)?;
                shader
                    .pipeline(block, dynamic_shared)
                    .map_err(Refusal::Vulkan)
            },
        );
        crate::core::platform::close_at_exit();
        match pipeline {
            Ok((pipeline, reductions)) => {
                self.reductions.store(reductions, Ordering::Relaxed);
                Ok(pipeline)
            }
            Err(Refusal::Translator(error)) => Err(error),
            Err(Refusal::Vulkan(error)) => Err(error).cuda(),
        }
    }

    /// The translation for a block and an amount of dynamic shared memory.
    fn shader(
        &self,
        block: [u32; 3],
        dynamic_shared: u32,
        reductions: u32,
    ) -> Result<&Arc<Shader>> {
        let shader = self.translated_for(block, reductions)?;
        let (info, target) = (shader.info(), self.code.vulkan.target());
        let threads = block.iter().product::<u32>();
        if target.shared_memory != SharedMemory::Scratch
            && !info.shared_in_scratch
            && info.total_shared(dynamic_shared) > target.workgroup_memory
        {
            return self.translated(Variant::LargeShared, reductions);
        }
        if info.matrix_slot_bytes > 0
            && info.workgroup_memory(threads, dynamic_shared) > target.workgroup_memory
        {
            return self.translated(Variant::MatricesByArithmetic, reductions);
        }
        Ok(shader)
    }

    /// Threads of a block at most; a kernel that says how many it wants exactly (`.reqntid`) tells the device's limit.
    fn max_threads(&self, info: &KernelInfo) -> u32 {
        let most = self.code.device.max_threads_per_block();
        match info.required_threads {
            Some(_) => most,
            None => info.max_threads.min(most),
        }
    }

    /// Dynamic shared memory that a launch may have, bytes.
    pub fn max_dynamic_shared(&self, info: &KernelInfo) -> i32 {
        match self.max_dynamic_shared.load(Ordering::Relaxed) {
            -1 => DEFAULT_SHARED_MEMORY.saturating_sub(info.static_shared) as i32,
            set => set,
        }
    }

    /// `cuFuncGetAttribute`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown one; those of the translator for what only a translation tells.
    pub fn attribute(&self, attribute: CUfunction_attribute) -> Result<i32> {
        use CUfunction_attribute as A;
        let (major, minor) = settings().compute_capability;
        Ok(match attribute {
            A::MAX_THREADS_PER_BLOCK => self.max_threads(self.info()?) as i32,
            A::SHARED_SIZE_BYTES => self.info()?.static_shared as i32,
            A::CONST_SIZE_BYTES => self.code.program.constant_bytes() as i32,
            A::LOCAL_SIZE_BYTES => self.info()?.local_bytes as i32,
            A::NUM_REGS => {
                let kernel = self.code.program.kernel(self.text());
                let most = kernel.map_or(None, |head| self.code.program.max_registers(head));
                self.info()?.registers.min(most.unwrap_or(u32::MAX)).max(1) as i32
            }
            A::PTX_VERSION => self.code.program.module().header.target as i32,
            A::BINARY_VERSION => (major * 10 + minor) as i32,
            A::CACHE_MODE_CA => 0,
            A::MAX_DYNAMIC_SHARED_SIZE_BYTES => self.max_dynamic_shared(self.info()?),
            A::PREFERRED_SHARED_MEMORY_CARVEOUT => self.carveout.load(Ordering::Relaxed),
            A::CLUSTER_SIZE_MUST_BE_SET
            | A::REQUIRED_CLUSTER_WIDTH
            | A::REQUIRED_CLUSTER_HEIGHT
            | A::REQUIRED_CLUSTER_DEPTH => 0,
            A::NON_PORTABLE_CLUSTER_SIZE_ALLOWED => {
                self.non_portable_cluster.load(Ordering::Relaxed)
            }
            A::CLUSTER_SCHEDULING_POLICY_PREFERENCE => self.cluster_policy.load(Ordering::Relaxed),
            _ => return Err(CUresult::INVALID_VALUE),
        })
    }

    /// `cuFuncSetAttribute`. Dynamic shared memory is accepted up to compute capability 9.0's 227 KiB, whatever the device
    /// has: more than that lives in scratch memory.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn set_attribute(&self, attribute: CUfunction_attribute, value: i32) -> Result {
        use CUfunction_attribute as A;
        match attribute {
            A::MAX_DYNAMIC_SHARED_SIZE_BYTES if (0..=MAX_SHARED_MEMORY as i32).contains(&value) => {
                // The bound is that of static and dynamic memory together. Where no kernel without dynamic memory of
                // more than 48 KiB could exceed it, the kernel need not be translated to know.
                let most_static = DEFAULT_SHARED_MEMORY as i32;
                if value > MAX_SHARED_MEMORY as i32 - most_static
                    && self.info()?.total_shared(value as u32) > MAX_SHARED_MEMORY
                {
                    return Err(CUresult::INVALID_VALUE);
                }
                self.max_dynamic_shared.store(value, Ordering::Relaxed);
            }
            A::PREFERRED_SHARED_MEMORY_CARVEOUT if (-1..=100).contains(&value) => {
                self.carveout.store(value, Ordering::Relaxed);
            }
            A::NON_PORTABLE_CLUSTER_SIZE_ALLOWED => self
                .non_portable_cluster
                .store(i32::from(value != 0), Ordering::Relaxed),
            A::CLUSTER_SCHEDULING_POLICY_PREFERENCE if (0..=2).contains(&value) => {
                self.cluster_policy.store(value, Ordering::Relaxed)
            }
            _ => return Err(CUresult::INVALID_VALUE),
        }
        Ok(())
    }

    /// Offset and size of a parameter.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where it has no such parameter.
    pub fn parameter(&self, index: usize) -> Result<(usize, usize)> {
        let (offset, size) = *self.parameters.get(index).ok_or(CUresult::INVALID_VALUE)?;
        Ok((offset as usize, size as usize))
    }
}

/// Ends the handles of an unloaded module's functions.
pub fn end_of_module(module_id: u64) {
    FUNCTIONS.remove_if(|function| function.code.id == module_id);
}

/// Ends the handles of a closed context's functions.
pub fn end_of_context(context_id: u64) {
    FUNCTIONS.remove_if(|function| function.code.context_id == context_id);
}
