//! Checks of a context.

use super::{Slot, Table};
use crate::boundary::{call, Accept, Out};
use crate::core::context::Context;
use crate::core::stack;
use cuda_abi::{CUcontext, CUresult};
use std::ffi::c_void;

/// 0 size, 2 check a context, 3 a number that is 0.
pub static TABLE: Table<4> = Table::new([
    Slot::size(4),
    Slot::unknown::<0x263e8860, 1>(),
    Slot::function(check as *const c_void),
    Slot::function(zero as *const c_void),
]);

/// The flag is 0; the runtime was seen not to mind which, and not to need the third argument.
unsafe extern "C" fn check(
    handle: CUcontext,
    flag: *mut u32,
    _unused: *mut *const c_void,
) -> CUresult {
    call(
        "checks::check",
        || format!("ctx={handle:?}"),
        || {
            // SAFETY: the runtime passes a place for a number.
            let flag: Out<u32> = unsafe { Accept::accept(flag) };
            match handle {
                CUcontext::NULL => stack::current()?,
                _ => Context::from_handle(handle)?,
            };
            flag.set_if(0);
            Ok(())
        },
    )
}

unsafe extern "C" fn zero() -> u32 {
    0
}
