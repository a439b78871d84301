//! A kernel of a library: a function in whichever context is current.

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::function::Function;
use crate::core::library::Library;
use crate::core::registry::Registry;
use crate::core::stack;
use cuda_abi::*;
use parking_lot::Mutex;
use std::ffi::CString;
use std::sync::{Arc, Weak};

/// Every kernel by handle.
pub static KERNELS: Registry<Kernel> = Registry::new();

/// A kernel.
pub struct Kernel {
    library: Weak<Library>,
    /// Its name, for C.
    pub name: CString,
    /// Its functions by context id. Rarely more than one.
    functions: Mutex<Vec<(u64, Arc<Function>)>>,
    /// What was set on each device, for the functions that come.
    attributes: Mutex<Vec<(CUdevice, CUfunction_attribute, i32)>>,
}

impl Kernel {
    /// A kernel that the library is known to have.
    pub fn new(library: &Arc<Library>, name: &str) -> Arc<Self> {
        let kernel = Arc::new(Self {
            library: Arc::downgrade(library),
            name: CString::new(name).unwrap_or_default(),
            functions: Mutex::default(),
            attributes: Mutex::default(),
        });
        KERNELS.insert(kernel.clone());
        kernel
    }

    /// The kernel of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn from_handle(handle: CUkernel) -> Result<Arc<Self>> {
        KERNELS.get(handle.0)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUkernel {
        CUkernel(Registry::handle(self))
    }

    /// Its library.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` once that is unloaded.
    pub fn library(&self) -> Result<Arc<Library>> {
        self.library.upgrade().ok_or(CUresult::INVALID_HANDLE)
    }

    /// Its function in the current context.
    ///
    /// # Errors
    /// Those of the context and of loading the library.
    pub fn function(&self) -> Result<Arc<Function>> {
        self.function_in(&*stack::state()?)
    }

    /// Its function in a context.
    ///
    /// # Errors
    /// Those of loading the library.
    pub fn function_in(&self, state: &State) -> Result<Arc<Function>> {
        let found = self
            .functions
            .lock()
            .iter()
            .find(|(id, _)| *id == state.context_id)
            .map(|(_, f)| f.clone());
        if let Some(function) = found.filter(|f| Arc::ptr_eq(&f.code.vulkan, &state.vulkan)) {
            return Ok(function);
        }
        let module = self.library()?.module(state)?;
        let function = module.function(self.name.to_str().unwrap_or_default())?;
        for &(device, attribute, value) in &*self.attributes.lock() {
            if device == state.device.ordinal {
                function.set_attribute(attribute, value)?;
            }
        }
        let mut functions = self.functions.lock();
        functions.retain(|(id, _)| *id != state.context_id);
        functions.push((state.context_id, function.clone()));
        Ok(function)
    }

    /// `cuKernelSetAttribute`, for its function in a context and those that come on the device.
    ///
    /// # Errors
    /// As [`Function::set_attribute`].
    pub fn set_attribute(
        &self,
        state: &State,
        attribute: CUfunction_attribute,
        value: i32,
    ) -> Result {
        self.function_in(state)?.set_attribute(attribute, value)?;
        let device = state.device.ordinal;
        let mut attributes = self.attributes.lock();
        attributes.retain(|&(of, which, _)| (of, which) != (device, attribute));
        attributes.push((device, attribute, value));
        Ok(())
    }

    /// Forgets its function in a context that closed.
    pub fn end_of_context(&self, context_id: u64) {
        self.functions.lock().retain(|(id, _)| *id != context_id);
    }
}

/// Ends the handles of an unloaded library's kernels.
pub fn end_of_library(library: &Arc<Library>) {
    let library = Arc::downgrade(library);
    KERNELS.remove_if(|kernel| kernel.library.ptr_eq(&library));
}
