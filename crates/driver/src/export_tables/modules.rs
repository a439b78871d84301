//! Functions of modules. cuFFT loads its kernels as modules and asks for their functions here rather than by name. What is known was
//! measured against driver 580: the table's size, what slot 7 gives to the function it is called with, and that whatever this returns
//! is not looked at.

use super::{Slot, Table};
use crate::boundary::call;
use crate::core::context::Context;
use crate::core::{module, stack};
use cuda_abi::{CUcontext, CUfunction, CUmodule};
use std::ffi::{c_char, c_void};

const SLOTS: usize = 99;

/// Is given the caller's pointer, a function and its name.
type Visitor = unsafe extern "C" fn(*mut c_void, CUfunction, *const c_char);

/// 0 size, 7 each function of a module.
pub static TABLE: Table<SLOTS> = Table::new({
    let mut slots = [Slot::unknown::<0x6e163fbe, { usize::MAX }>(); SLOTS];
    slots[0] = Slot::size(SLOTS);
    slots[7] = Slot::function(each_function as *const c_void);
    slots
});

/// Calls `visit` for each function of a module, and gives their number.
unsafe extern "C" fn each_function(
    context: CUcontext,
    module: CUmodule,
    visit: Option<Visitor>,
    data: *mut c_void,
) -> usize {
    let mut functions = Vec::new();
    // What is wrong is logged; the caller gets no function then.
    call(
        "modules::each_function",
        || format!("ctx={context:?}, module={module:?}"),
        || {
            match context {
                CUcontext::NULL => stack::current()?,
                _ => Context::from_handle(context)?,
            };
            functions = module::from_handle(module)?.functions(usize::MAX)?;
            Ok(())
        },
    );
    // The visitor calls the driver.
    if let Some(visit) = visit {
        for function in &functions {
            // SAFETY: the caller's function, with its own pointer.
            unsafe { visit(data, function.handle(), function.name.as_ptr()) };
        }
    }
    functions.len()
}
