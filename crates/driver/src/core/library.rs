//! A library: code that is loaded into each context when something of it is first used there.

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::image::Image;
use crate::core::jit::JitError;
use crate::core::kernel::{self, Kernel};
use crate::core::module::Module;
use crate::core::program::Program;
use crate::core::registry::Registry;
use crate::core::stack;
use cuda_abi::*;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::{Arc, OnceLock};

/// Every library by handle.
pub static LIBRARIES: Registry<Library> = Registry::new();

/// A library.
pub struct Library {
    image: Image,
    max_registers: Option<u32>,
    program: OnceLock<std::result::Result<Arc<Program>, JitError>>,
    modules: Mutex<FxHashMap<u64, Arc<Module>>>,
    kernels: Mutex<FxHashMap<String, Arc<Kernel>>>,
}

impl Library {
    /// `cuLibraryLoadData`, with [`JitOptions::max_registers`](crate::core::jit::JitOptions::max_registers). Looks at nothing but the container's start; decompression and parsing happen at the first use.
    pub fn load(image: Image, max_registers: Option<u32>) -> Arc<Self> {
        let library = Arc::new(Self {
            image,
            max_registers,
            program: OnceLock::new(),
            modules: Mutex::default(),
            kernels: Mutex::default(),
        });
        LIBRARIES.insert(library.clone());
        library
    }

    /// The library of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn from_handle(handle: CUlibrary) -> Result<Arc<Self>> {
        LIBRARIES.get(handle.0)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUlibrary {
        CUlibrary(Registry::handle(self))
    }

    fn parse(&self) -> std::result::Result<Arc<Program>, JitError> {
        let program = self.image.program()?;
        Ok(Arc::new(program.with_max_registers(self.max_registers)))
    }

    /// The PTX. Unpacked and parsed at the first call.
    ///
    /// # Errors
    /// Those of the container and the parser.
    pub fn program(&self) -> Result<&Arc<Program>> {
        let program = self.program.get_or_init(|| {
            let program = self.parse();
            if let Err(error) = &program {
                tracing::warn!("a library cannot be loaded: {error}");
            }
            program
        });
        program.as_ref().map_err(|error| error.status)
    }

    /// [`Library::program`] with the error in words.
    ///
    /// # Errors
    /// Those of the container and the parser.
    pub fn program_or_error(&self) -> std::result::Result<&Arc<Program>, JitError> {
        self.program
            .get_or_init(|| self.parse())
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The library's module in a context.
    ///
    /// # Errors
    /// Those of [`Library::program`].
    pub fn module(&self, state: &State) -> Result<Arc<Module>> {
        let program = self.program()?;
        let mut modules = self.modules.lock();
        let module = modules
            .entry(state.context_id)
            .or_insert_with(|| Module::load(state, program.clone(), true));
        if !Arc::ptr_eq(&module.code.vulkan, &state.vulkan) {
            // The context was reset in between: what was loaded is gone with its device.
            *module = Module::load(state, program.clone(), true);
        }
        Ok(module.clone())
    }

    /// The kernel of a name.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`; those of [`Library::program`].
    pub fn kernel(self: &Arc<Self>, name: &str) -> Result<Arc<Kernel>> {
        if let Some(kernel) = self.kernels.lock().get(name) {
            return Ok(kernel.clone());
        }
        self.program()?.kernel(name).map_err(|error| error.status)?;
        let mut kernels = self.kernels.lock();
        Ok(kernels
            .entry(name.to_owned())
            .or_insert_with(|| Kernel::new(self, name))
            .clone())
    }

    /// The address and size of a variable in the current context.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_FOUND`; those of [`Library::program`].
    pub fn variable(&self, name: &str) -> Result<(u64, usize)> {
        self.module(&*stack::state()?)?.variable(name)
    }

    /// `cuLibraryUnload`: ends the handles of the library, its kernels and its modules.
    pub fn unload(self: &Arc<Self>) {
        let _ = LIBRARIES.remove(Registry::handle(self));
        kernel::end_of_library(self);
        for module in std::mem::take(&mut *self.modules.lock()).into_values() {
            module.unload();
        }
        self.kernels.lock().clear();
    }
}

/// Forgets what libraries loaded into a context that closed.
pub fn end_of_context(context_id: u64) {
    for library in LIBRARIES.all() {
        let module = library.modules.lock().remove(&context_id);
        drop(module);
        for kernel in library.kernels.lock().values() {
            kernel.end_of_context(context_id);
        }
    }
}
