//! A library: code that is loaded into each context when something of it is first used there.

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::image::Image;
use crate::core::jit::JitError;
use crate::core::kernel::{self, Kernel};
use crate::core::module::Module;
use crate::core::program::Program;
use crate::core::registry::Registry;
use crate::core::stream_pool::OpenDevice;
use crate::core::{platform, stack, variables};
use cuda_abi::*;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::{Arc, OnceLock};
use vulkan::Allocation;

/// Every library by handle.
pub static LIBRARIES: Registry<Library> = Registry::new();

/// The memory of a library's variables on a device.
struct Managed {
    open: Arc<OpenDevice>,
    allocation: Arc<Allocation>,
}

/// A library.
pub struct Library {
    image: Image,
    max_registers: Option<u32>,
    program: OnceLock<std::result::Result<Arc<Program>, JitError>>,
    modules: Mutex<FxHashMap<u64, Arc<Module>>>,
    kernels: Mutex<FxHashMap<String, Arc<Kernel>>>,
    managed: Mutex<Vec<Managed>>,
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
            managed: Mutex::default(),
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
    /// Those of [`Library::program`]; those of making the memory of managed variables.
    pub fn module(&self, state: &State) -> Result<Arc<Module>> {
        let program = self.program()?;
        let managed = self.managed_memory(&state.streams.open)?;
        let load = || Module::of_library(state, program.clone(), managed.clone());
        let mut modules = self.modules.lock();
        let module = modules.entry(state.context_id).or_insert_with(load);
        if !Arc::ptr_eq(&module.code.vulkan, &state.vulkan) {
            // The context was reset in between: what was loaded is gone with its device.
            *module = load();
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

    /// The memory of the variables of a program that has managed ones, on a device. It is the library's and all contexts' of the
    /// device, since the host has one address for a managed variable, which NVIDIA's runtime asks for before there is a context.
    fn managed_memory(&self, open: &Arc<OpenDevice>) -> Result<Option<Arc<Allocation>>> {
        let program = self.program()?;
        if !program.layout().is_ok_and(|layout| layout.is_managed()) {
            return Ok(None);
        }
        let mut managed = self.managed.lock();
        if let Some(known) = managed.iter().find(|known| Arc::ptr_eq(&known.open, open)) {
            return Ok(Some(known.allocation.clone()));
        }
        let made = variables::make(program, open).map_err(|error| {
            tracing::warn!("{error}");
            error.status
        })?;
        let allocation = made.map(Arc::new);
        managed.extend(allocation.clone().map(|allocation| Managed {
            open: open.clone(),
            allocation,
        }));
        Ok(allocation)
    }

    /// The address and size of a managed variable on the device of the current context; without one, of a context that the
    /// library is loaded into, or the first device.
    ///
    /// # Errors
    /// Those of [`variables::managed`], [`Library::program`], of opening the device and making the memory.
    pub fn managed_variable(&self, name: &str) -> Result<(u64, usize)> {
        let (offset, size) = variables::managed(self.program()?, name)?;
        let open = match stack::state() {
            Ok(state) => state.streams.open.clone(),
            Err(_) => {
                let loaded = self.modules.lock().values().next().cloned();
                match loaded {
                    Some(module) => module.code.streams.open.clone(),
                    None => platform::device(0)?.open()?,
                }
            }
        };
        let memory = self.managed_memory(&open)?.ok_or(CUresult::NOT_FOUND)?;
        Ok((memory.address() + offset, size))
    }

    /// Takes out what was loaded into a context. The variables of a device that the library is not loaded for any more start
    /// anew if they stay where they are.
    fn end_of_context(&self, context_id: u64) -> Option<Arc<Module>> {
        let mut modules = self.modules.lock();
        let module = modules.remove(&context_id)?;
        let open = &module.code.streams.open;
        let mut others = modules.values();
        if !others.any(|other| Arc::ptr_eq(&other.code.streams.open, open)) {
            let managed = self.managed.lock();
            if let Some(known) = managed.iter().find(|known| Arc::ptr_eq(&known.open, open)) {
                variables::restart(&module.code.program, &known.allocation);
            }
        }
        Some(module)
    }

    /// `cuLibraryUnload`: ends the handles of the library, its kernels and its modules.
    pub fn unload(self: &Arc<Self>) {
        let _ = LIBRARIES.remove(Registry::handle(self));
        kernel::end_of_library(self);
        let modules = std::mem::take(&mut *self.modules.lock());
        for module in modules.into_values() {
            module.unload();
        }
        for managed in std::mem::take(&mut *self.managed.lock()) {
            variables::forget(&managed.open.vulkan, &managed.allocation);
        }
        self.kernels.lock().clear();
    }
}

/// Forgets what libraries loaded into a context that closed.
pub fn end_of_context(context_id: u64) {
    for library in LIBRARIES.all() {
        let module = library.end_of_context(context_id);
        drop(module);
        for kernel in library.kernels.lock().values() {
            kernel.end_of_context(context_id);
        }
    }
}
