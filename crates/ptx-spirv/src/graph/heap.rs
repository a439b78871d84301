//! malloc and free of kernels (CUDA C++ Programming Guide, "Dynamic Global Memory Allocation and Operations"): two functions
//! in PTX (`heap.ptx`), inlined like those of the kernel's module. The heap's address is the last word of 64 bits of the fault
//! record ([`crate::HEAP_ADDRESS_OFFSET`]), which the runtime writes before it launches a kernel that
//! [uses the heap](crate::KernelInfo::uses_heap).

use ptx::{Function, Module};
use std::sync::OnceLock;

/// The module of the two functions.
///
/// # Panics
/// Not while the tests pass: its text is part of this crate.
pub(super) fn module() -> &'static Module<'static> {
    static MODULE: OnceLock<Module<'static>> = OnceLock::new();
    MODULE.get_or_init(|| Module::parse(include_str!("heap.ptx")).expect("heap.ptx is PTX"))
}

/// `malloc` or `free`.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    matches!(name, "malloc" | "free")
        .then(|| module().function(name))
        .flatten()
}

/// Whether a function is one of the two, and not one of the same name in another module.
pub(super) fn is_of_heap(f: &Function) -> bool {
    function(&f.name).is_some_and(|own| std::ptr::eq(own, f))
}
