//! What the runtime does with modules and primary contexts.

use super::{Slot, Table};
use crate::boundary::{call, Accept, Out};
use crate::core::image::Image;
use crate::core::jit::JitOptions;
use crate::core::module::Module;
use crate::core::platform::device;
use crate::core::stack;
use cuda_abi::*;
use std::ffi::c_void;
use std::sync::Arc;

/// 0 size, 1 load a fat binary, 2 handle of a primary context, 6 and 8 load with three arguments that are zero, 7 a module
/// is about to be unloaded, 12 load the JIT compiler.
pub static TABLE: Table<13> = Table::new([
    Slot::size(13),
    Slot::function(load as *const c_void),
    Slot::function(primary_context as *const c_void),
    Slot::unknown::<0x6bd5fb6c, 3>(),
    Slot::unknown::<0x6bd5fb6c, 4>(),
    Slot::unknown::<0x6bd5fb6c, 5>(),
    Slot::function(load_lazily as *const c_void),
    Slot::function(unloading as *const c_void),
    Slot::function(load_container as *const c_void),
    Slot::unknown::<0x6bd5fb6c, 9>(),
    Slot::unknown::<0x6bd5fb6c, 10>(),
    Slot::unknown::<0x6bd5fb6c, 11>(),
    Slot::function(load_compiler as *const c_void),
]);

unsafe fn load_image(
    symbol: &'static str,
    module: *mut CUmodule,
    image: *const c_void,
) -> CUresult {
    call(
        symbol,
        || format!("image={image:?}"),
        || {
            // SAFETY: the runtime passes a place for a handle.
            let module: Out<CUmodule> = unsafe { Accept::accept(module) };
            module.required()?;
            let state = stack::state()?;
            let program = JitOptions::none().report(Image::borrowed(image)?.program())?;
            module.set(Module::load(&state, Arc::new(program)).handle())
        },
    )
}

unsafe extern "C" fn load(module: *mut CUmodule, wrapper: *const c_void) -> CUresult {
    // SAFETY: the runtime passes what `cuModuleLoadFatBinary` takes.
    unsafe { load_image("runtime::load", module, wrapper) }
}

unsafe extern "C" fn load_lazily(
    module: *mut CUmodule,
    wrapper: *const c_void,
    a: *const c_void,
    b: *const c_void,
    c: u32,
) -> CUresult {
    if !a.is_null() || !b.is_null() || c != 0 {
        tracing::debug!(
            "runtime::load_lazily: arguments {a:?}, {b:?}, {c} are not known and ignored"
        );
    }
    // SAFETY: as in `load`.
    unsafe { load_image("runtime::load_lazily", module, wrapper) }
}

unsafe extern "C" fn load_container(
    container: *const c_void,
    module: *mut CUmodule,
    _a: *const c_void,
    _b: *const c_void,
    _c: u32,
) -> CUresult {
    // SAFETY: as in `load`, with the container that a wrapper points to.
    unsafe { load_image("runtime::load_container", module, container) }
}

unsafe extern "C" fn primary_context(context: *mut CUcontext, ordinal: CUdevice) -> CUresult {
    call(
        "runtime::primary_context",
        || format!("device={ordinal}"),
        || {
            // SAFETY: the runtime passes a place for a handle.
            let context: Out<CUcontext> = unsafe { Accept::accept(context) };
            context.set(device(ordinal)?.primary().handle())
        },
    )
}

/// A module's handle ends when `cuModuleUnload` is called, which follows.
unsafe extern "C" fn unloading(module: usize) {
    tracing::debug!("the runtime is about to unload module {module:#x}");
}

/// The translator is part of this library.
unsafe extern "C" fn load_compiler() -> CUresult {
    CUresult::SUCCESS
}
