//! Thread-local data of tools. The runtime asks for the table; slot 2 gives the current context (cuBLASLt calls it).

use super::{Slot, Table};
use crate::boundary::{call, Accept, Out};
use crate::core::stack;
use cuda_abi::{CUcontext, CUresult};
use std::ffi::c_void;

/// 0 size, 2 the current context.
pub static TABLE: Table<4> = Table::new([
    Slot::size(4),
    Slot::unknown::<0x42d85a81, 1>(),
    Slot::function(current_context as *const c_void),
    Slot::unknown::<0x42d85a81, 3>(),
]);

unsafe extern "C" fn current_context(context: *mut CUcontext) -> CUresult {
    call("tools::current_context", String::new, || {
        // SAFETY: the caller passes a place for a handle.
        let context: Out<CUcontext> = unsafe { Accept::accept(context) };
        context.set(stack::top()?.map_or(CUcontext::NULL, |current| current.handle()))
    })
}
