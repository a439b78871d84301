//! Context-local storage: where the runtime keeps what belongs to a context.

use super::{Slot, Table};
use crate::boundary::{call, Accept, Out, Result};
use crate::core::context::Context;
use crate::core::local_storage::Destructor;
use crate::core::stack;
use cuda_abi::{CUcontext, CUresult};
use std::ffi::c_void;
use std::sync::Arc;

/// 0 put, 1 delete, 2 get, 3 the end. The table has no size.
pub static TABLE: Table<4> = Table::new([
    Slot::function(put as *const c_void),
    Slot::function(delete as *const c_void),
    Slot::function(get as *const c_void),
    Slot::EMPTY,
]);

fn context(handle: CUcontext) -> Result<Arc<Context>> {
    match handle {
        CUcontext::NULL => stack::current(),
        _ => Context::from_handle(handle),
    }
}

unsafe extern "C" fn put(
    handle: CUcontext,
    key: usize,
    value: usize,
    destructor: Destructor,
) -> CUresult {
    call(
        "storage::put",
        || format!("ctx={handle:?}, key={key:#x}, value={value:#x}"),
        || {
            context(handle)?.storage.put(key, value, destructor);
            Ok(())
        },
    )
}

unsafe extern "C" fn delete(handle: CUcontext, key: usize) -> CUresult {
    call(
        "storage::delete",
        || format!("ctx={handle:?}, key={key:#x}"),
        || context(handle)?.storage.delete(key),
    )
}

unsafe extern "C" fn get(value: *mut usize, handle: CUcontext, key: usize) -> CUresult {
    call(
        "storage::get",
        || format!("ctx={handle:?}, key={key:#x}"),
        || {
            // SAFETY: the runtime passes a place for a pointer.
            let value: Out<usize> = unsafe { Accept::accept(value) };
            value.set(context(handle)?.storage.get(key)?)
        },
    )
}
