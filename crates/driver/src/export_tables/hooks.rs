//! Buffers in which tools would leave callbacks. No tool is attached: they stay zero.

use super::{Slot, Table};
use std::ffi::c_void;
use std::sync::atomic::AtomicU32;

static FIRST: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
static SECOND: [AtomicU32; 14] = [const { AtomicU32::new(0) }; 14];

/// 0 size, 2 the first buffer, 6 the second.
pub static TABLE: Table<7> = Table::new([
    Slot::size(7),
    Slot::unknown::<0xa094798c, 1>(),
    Slot::function(first as *const c_void),
    Slot::unknown::<0xa094798c, 3>(),
    Slot::unknown::<0xa094798c, 4>(),
    Slot::unknown::<0xa094798c, 5>(),
    Slot::function(second as *const c_void),
]);

unsafe fn give(buffer: &'static [AtomicU32], pointer: *mut *const c_void, size: *mut usize) {
    if !pointer.is_null() && !size.is_null() {
        // SAFETY: not null, and the runtime passes places for a pointer and a size.
        unsafe {
            *pointer = buffer.as_ptr().cast();
            *size = buffer.len();
        }
    }
}

unsafe extern "C" fn first(pointer: *mut *const c_void, size: *mut usize) {
    // SAFETY: the runtime's arguments are passed on.
    unsafe { give(&FIRST, pointer, size) }
}

unsafe extern "C" fn second(pointer: *mut *const c_void, size: *mut usize) {
    // SAFETY: the runtime's arguments are passed on.
    unsafe { give(&SECOND, pointer, size) }
}
