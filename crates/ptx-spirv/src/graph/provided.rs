//! Functions that the runtime provides to kernels and that are PTX themselves, inlined like those of the kernel's module.
//!
//! `heap.ptx` is malloc and free (CUDA C++ Programming Guide, "Dynamic Global Memory Allocation and Operations"). The heap's
//! address is the last word of 64 bits of the fault record ([`crate::HEAP_ADDRESS_OFFSET`]), which the runtime writes before it
//! launches a kernel that [uses the heap](crate::KernelInfo::uses_heap).
//!
//! `grid.ptx` is what Numba calls for the group of the whole grid (`cudaCGGetIntrinsicHandle`, `cudaCGSynchronize`). NVIDIA's device
//! runtime has the two as well, on system calls of its own; these come before them.

use ptx::{Function, Module};
use std::sync::OnceLock;

/// The modules' texts, and the functions of each.
const MODULES: [(&str, &[&str]); 2] = [
    (include_str!("heap.ptx"), &["malloc", "free"]),
    (include_str!("grid.ptx"), GRID),
];

/// The functions that stand for a module's own.
const GRID: &[&str] = &["cudaCGGetIntrinsicHandle", "cudaCGSynchronize"];

/// A module and its function's name.
///
/// # Panics
/// Not while the tests pass: the texts are part of this crate.
fn module(name: &str) -> Option<&'static Module<'static>> {
    static PARSED: [OnceLock<Module<'static>>; 2] = [const { OnceLock::new() }; 2];
    let n = MODULES
        .iter()
        .position(|(_, names)| names.contains(&name))?;
    Some(PARSED[n].get_or_init(|| Module::parse(MODULES[n].0).expect("the text is PTX")))
}

/// The function of a name.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    module(name)?.function(name)
}

/// The function of a name, if it comes before one of the kernel's module.
pub(super) fn overriding(name: &str) -> Option<&'static Function> {
    GRID.contains(&name).then(|| function(name)).flatten()
}

/// The module of a function that is one of these, and not one of the same name in another module.
pub(super) fn module_of(f: &Function) -> Option<&'static Module<'static>> {
    let own = function(&f.name)?;
    std::ptr::eq(own, f).then(|| module(&f.name)).flatten()
}
