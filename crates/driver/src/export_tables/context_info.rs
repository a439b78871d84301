//! Facts about a context. Runtimes 13.4 and 13.5 ask for the table and were seen to call nothing in it; slot 4 is a
//! context's id (cuBLASLt calls it).

use super::{Slot, Table};
use crate::boundary::{call, Accept, Out};
use crate::core::context::Context;
use crate::core::stack;
use cuda_abi::{CUcontext, CUresult};
use std::ffi::c_void;

const SLOTS: usize = 93;

/// 0 size, 4 a context's id.
pub static TABLE: Table<SLOTS> = Table::new({
    let mut slots = [Slot::unknown::<0x21318c60, { usize::MAX }>(); SLOTS];
    slots[0] = Slot::size(SLOTS);
    slots[4] = Slot::function(id as *const c_void);
    slots
});

unsafe extern "C" fn id(handle: CUcontext, id: *mut u64) -> CUresult {
    call(
        "context_info::id",
        || format!("ctx={handle:?}"),
        || {
            // SAFETY: the caller passes a place for a number.
            let id: Out<u64> = unsafe { Accept::accept(id) };
            id.set(match handle {
                CUcontext::NULL => stack::current()?.id,
                _ => Context::from_handle(handle)?.id,
            })
        },
    )
}
