//! A module: a program in a context, with memory for its variables.

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::function::{self, Function};
use crate::core::jit::JitError;
use crate::core::program::Program;
use crate::core::reference::{self, Reference};
use crate::core::registry::Registry;
use crate::core::status::{status, IntoCuda};
use crate::core::stream::StreamGroup;
use crate::core::texture::Bound;
use crate::core::variables;
use cuda_abi::*;
use parking_lot::Mutex;
use ptx_spirv::{MatrixMemory, Rows, SharedMemory, Target};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use texture::Class;
use vulkan::{Allocation, MemoryKind};

/// What the references of a kernel are bound to, in the translator's order.
pub type References = Vec<Arc<Bound>>;

/// Every module by handle.
pub static MODULES: Registry<Module> = Registry::new();

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A loaded module.
pub struct Module {
    /// What its functions use.
    pub code: Arc<Code>,
    /// Whether it is a library's, and ends with that.
    pub is_library: bool,
    functions: Mutex<FxHashMap<String, Arc<Function>>>,
}

/// The part of a module that outlives its handle as long as one of its functions is in use.
pub struct Code {
    /// A number that no other module has.
    pub id: u64,
    /// `Context::id`.
    pub context_id: u64,
    /// The device.
    pub device: &'static crate::core::device::Device,
    /// The open Vulkan device.
    pub vulkan: Arc<vulkan::Device>,
    /// Its context's streams.
    pub streams: Arc<StreamGroup>,
    /// The PTX.
    pub program: Arc<Program>,
    variables: OnceLock<std::result::Result<Option<Arc<Allocation>>, JitError>>,
    /// Whether the program has texture, sampler or surface references.
    pub has_references: bool,
    /// Those that were asked for, or that a launched kernel uses, by name.
    references: Mutex<FxHashMap<String, Arc<Reference>>>,
}

impl Module {
    /// Loads a program into a context. Memory for variables is allocated when something needs it.
    pub fn load(state: &State, program: Arc<Program>) -> Arc<Self> {
        Self::new(state, program, false, OnceLock::new())
    }

    /// Loads a library's program into a context, with the library's memory for its variables if it has some.
    pub fn of_library(
        state: &State,
        program: Arc<Program>,
        managed: Option<Arc<Allocation>>,
    ) -> Arc<Self> {
        let variables = managed.map_or_else(OnceLock::new, |managed| Ok(Some(managed)).into());
        Self::new(state, program, true, variables)
    }

    fn new(
        state: &State,
        program: Arc<Program>,
        is_library: bool,
        variables: OnceLock<std::result::Result<Option<Arc<Allocation>>, JitError>>,
    ) -> Arc<Self> {
        let code = Code {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            context_id: state.context_id,
            device: state.device,
            vulkan: state.vulkan.clone(),
            streams: state.streams.clone(),
            has_references: {
                let mut variables = program.module().variables.iter();
                variables.any(|v| v.opaque.is_some())
            },
            program,
            variables,
            references: Mutex::default(),
        };
        let module = Arc::new(Self {
            code: Arc::new(code),
            is_library,
            functions: Mutex::default(),
        });
        MODULES.insert(module.clone());
        module
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUmodule {
        CUmodule(Registry::handle(self))
    }

    /// The first `most` functions, in the order of the PTX.
    ///
    /// # Errors
    /// Those of [`function`](Self::function).
    pub fn functions(self: &Arc<Self>, most: usize) -> Result<Vec<Arc<Function>>> {
        let names = self.code.program.kernels().take(most);
        names.map(|name| self.function(name)).collect()
    }

    /// The kernel of a name.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`, `CUDA_ERROR_INVALID_VALUE` for no name.
    pub fn function(self: &Arc<Self>, name: &str) -> Result<Arc<Function>> {
        if name.is_empty() {
            return Err(CUresult::INVALID_VALUE);
        }
        if let Some(function) = self.functions.lock().get(name) {
            return Ok(function.clone());
        }
        self.code.program.kernel(name).map_err(|error| {
            tracing::info!("{error}");
            error.status
        })?;
        let mut functions = self.functions.lock();
        let function = functions
            .entry(name.to_owned())
            .or_insert_with(|| Function::new(self.code.clone(), self.handle(), name));
        Ok(function.clone())
    }

    /// The address and size of a variable.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`, `CUDA_ERROR_INVALID_VALUE` for no name or a kernel's; those of allocating and filling the
    /// variables.
    pub fn variable(&self, name: &str) -> Result<(u64, usize)> {
        let layout = self.code.program.layout().map_err(|error| error.status)?;
        let Some(place) = layout.variables.get(name) else {
            return Err(
                match name.is_empty() || self.code.program.kernel(name).is_ok() {
                    true => CUresult::INVALID_VALUE,
                    false => CUresult::NOT_FOUND,
                },
            );
        };
        Ok((
            self.code.variables_address()? + place.offset,
            place.size as usize,
        ))
    }

    /// `cuModuleUnload`: ends the handles of the module and its functions.
    pub fn unload(self: &Arc<Self>) {
        let _ = MODULES.remove(Registry::handle(self));
        function::end_of_module(self.code.id);
        reference::end_of_module(self.code.id);
        if let Some(allocation) = self.code.managed_variables() {
            variables::forget(&self.code.vulkan, allocation);
        }
    }
}

/// Translations of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// For most launches.
    Usual,
    /// With shared memory in scratch memory, for launches that need more than the device has.
    LargeShared,
    /// For blocks whose rows of threads are one warp ([`Rows::OneWarp`]).
    OneWarpRows,
    /// For blocks whose rows of threads are no whole warps ([`Rows::Any`]).
    AnyRows,
    /// Without products of matrices through workgroup memory, for launches whose shared memory leaves no room for them.
    MatricesByArithmetic,
}

impl Code {
    /// The address of the module buffer, 0 for a module without variables.
    ///
    /// # Errors
    /// Those of the translator's layout and of the allocation.
    pub fn variables_address(&self) -> Result<u64> {
        let make = || {
            let made = variables::make(&self.program, &self.streams.open)?;
            Ok(made.map(Arc::new))
        };
        match self.variables.get_or_init(make) {
            Ok(allocation) => Ok(allocation.as_ref().map_or(0, |made| made.address())),
            Err(error) => {
                tracing::warn!("{error}");
                Err(error.status)
            }
        }
    }

    /// The memory of its variables, if it was made.
    pub fn made_variables(&self) -> Option<&Arc<Allocation>> {
        self.variables.get()?.as_ref().ok()?.as_ref()
    }

    /// The memory of its variables, if it was made and is managed.
    pub fn managed_variables(&self) -> Option<&Arc<Allocation>> {
        self.made_variables()
            .filter(|allocation| allocation.kind() == MemoryKind::Managed)
    }

    /// A texture or surface reference, or a sampler.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`; `CUDA_ERROR_INVALID_VALUE` for no name; `CUDA_ERROR_NOT_SUPPORTED` for what its initialiser says.
    pub fn reference(&self, name: &str, class: Class) -> Result<Arc<Reference>> {
        if name.is_empty() {
            return Err(CUresult::INVALID_VALUE);
        }
        let mut references = self.references.lock();
        let reference = match references.get(name) {
            Some(reference) => reference.clone(),
            None => {
                let variable = self.program.module().variable(name);
                let opaque = variable.and_then(|v| v.opaque.as_ref());
                let reference = Reference::declared(self, opaque.ok_or(CUresult::NOT_FOUND)?)?;
                references.insert(name.to_owned(), reference.clone());
                reference
            }
        };
        match reference.class() == class {
            true => Ok(reference),
            false => Err(CUresult::NOT_FOUND),
        }
    }

    /// What references are bound to now, for a launch of a kernel that uses them.
    ///
    /// # Errors
    /// Those of [`Reference::bound`].
    pub fn bind(&self, names: &[String]) -> Result<References> {
        let class = |name: &str| {
            let variable = self.program.module().variable(name);
            match variable.and_then(|v| v.opaque.as_ref()).map(|o| o.kind) {
                Some(ptx::OpaqueKind::Texture) => Class::Texture,
                Some(ptx::OpaqueKind::Sampler) => Class::Sampler,
                _ => Class::Surface,
            }
        };
        names
            .iter()
            .map(|name| self.reference(name, class(name))?.bound(self))
            .collect()
    }

    /// The device as the translator sees it, for one of a kernel's translations, reduced so many times.
    pub fn target(&self, variant: Variant, reductions: u32) -> Target {
        let target = self.vulkan.target();
        let mut target = target.reduced(reductions).unwrap_or_else(|| target.clone());
        match variant {
            Variant::Usual => {}
            Variant::LargeShared => target.shared_memory = SharedMemory::Scratch,
            Variant::OneWarpRows => target.rows = Rows::OneWarp,
            Variant::AnyRows => target.rows = Rows::Any,
            Variant::MatricesByArithmetic => {
                target.matrix_units.memory = MatrixMemory::NONE;
                target.rows = Rows::Any;
            }
        }
        target
    }

    /// Translates a kernel and gives it to the device.
    ///
    /// # Errors
    /// Those of the translator and of the Vulkan driver.
    pub fn shader(
        &self,
        kernel: &str,
        variant: Variant,
        reductions: u32,
    ) -> std::result::Result<Arc<vulkan::Shader>, JitError> {
        let target = self.target(variant, reductions);
        let translated = self.program.translate(kernel, &target)?;
        self.vulkan
            .create_shader(&translated)
            .map_err(|error| JitError::new(status(&error), format!("{kernel}: {error}")))
    }
}

/// Ends the handles of a closed context's modules.
pub fn end_of_context(context_id: u64) {
    MODULES.remove_if(|module| module.code.context_id == context_id);
    function::end_of_context(context_id);
}

/// The module of a handle.
///
/// # Errors
/// `CUDA_ERROR_INVALID_HANDLE`.
pub fn from_handle(handle: CUmodule) -> Result<Arc<Module>> {
    MODULES.get(handle.0)
}

/// Synchronises a device before something of it goes away, as unloading does.
pub fn synchronize(vulkan: &vulkan::Device) -> Result {
    vulkan.synchronize().cuda()
}
