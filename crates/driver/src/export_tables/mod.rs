//! The private interfaces that NVIDIA's runtime library gets through `cuGetExportTable`.
//!
//! Each is a table of function pointers under a UUID; most begin with their size in bytes. The runtime refuses a driver
//! that lacks those it needs, and hashes their addresses into its integrity check, so each is one static for the life of
//! the process. What is known of them was measured against the runtimes 11.8 to 13.5.
//!
//! | UUID | table | needed by |
//! |---|---|---|
//! | 6bd5fb6c-5bf4-e74a-8987-d93912fd9df9 | [`runtime`]: modules and primary contexts | all |
//! | a094798c-2e74-2e74-93f2-0800200c0a66 | [`hooks`]: buffers for tools' callbacks | all |
//! | 42d85a81-23f6-cb47-8298-f6e78a3aecdc | [`tools`]: thread-local data of tools | all |
//! | c693336e-1121-df11-a8c3-68f355d89593 | [`storage`]: context-local storage | all |
//! | d4082055-bde6-704b-8d34-ba123c66e1f2 | [`integrity`]: the integrity check | all |
//! | 263e8860-7cd2-6143-92f6-bbd5006dfa7e | [`checks`]: checks of a context | 12.4 and later |
//! | 21318c60-9714-3248-8ca6-41ff7324c8f2 | [`context_info`]: facts about a context | 13.4 and later |
//! | 6e163fbe-b958-444d-835c-e182aff1991e | [`modules`]: functions of modules | cuFFT |
//!
//! Asked for and known to be optional: f8cff951-2146-8b4e-b9e2-fb469e7c0dd9 (runtimes 12.9 and later),
//! da9151d3-3ae6-cc41-a5c0-4f26d533e328 (CuPy and Numba with the compilers of CUDA 13.5). Slots that no runtime was seen to call hold a
//! function that logs its table and slot and answers `CUDA_ERROR_NOT_SUPPORTED`.

pub mod checks;
pub mod context_info;
pub mod hooks;
pub mod integrity;
pub mod modules;
pub mod runtime;
pub mod storage;
pub mod tools;

use cuda_abi::{CUresult, CUuuid};
use std::ffi::c_void;

/// A table: its slots are numbers or function pointers of a pointer's size.
#[repr(C)]
pub struct Table<const N: usize> {
    slots: [Slot; N],
}

// SAFETY: the slots are never written and point to functions or to nothing.
unsafe impl<const N: usize> Sync for Table<N> {}

/// One slot of a table.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Slot(*const c_void);

impl Slot {
    /// An empty slot.
    pub const EMPTY: Self = Self(std::ptr::null());

    /// A slot that holds the table's size in bytes.
    pub const fn size(slots: usize) -> Self {
        Self(std::ptr::without_provenance(slots * size_of::<usize>()))
    }

    /// A slot that holds a function.
    pub const fn function(function: *const c_void) -> Self {
        Self(function)
    }

    /// A slot for a function that nothing is known about.
    pub const fn unknown<const TABLE: u32, const SLOT: usize>() -> Self {
        Self(unknown_slot::<TABLE, SLOT> as *const c_void)
    }
}

impl<const N: usize> Table<N> {
    /// A table of these slots.
    pub const fn new(slots: [Slot; N]) -> Self {
        Self { slots }
    }

    /// Where the table is.
    pub fn address(&'static self) -> *const c_void {
        std::ptr::from_ref(self).cast()
    }

    /// What a slot holds.
    pub fn slot(&self, index: usize) -> *const c_void {
        self.slots[index].0
    }
}

/// Stands in a slot that nothing is known about. `TABLE` is the first four bytes of the table's UUID as printed.
unsafe extern "C" fn unknown_slot<const TABLE: u32, const SLOT: usize>() -> CUresult {
    crate::log::start();
    tracing::warn!("export table {TABLE:08x}: slot {SLOT} was called, which is not implemented");
    CUresult::NOT_SUPPORTED
}

const fn uuid(text: &str) -> CUuuid {
    let text = text.as_bytes();
    let mut bytes = [0; 16];
    let (mut from, mut to) = (0, 0);
    while to < 16 {
        if text[from] == b'-' {
            from += 1;
        }
        bytes[to] = hex(text[from]) << 4 | hex(text[from + 1]);
        from += 2;
        to += 1;
    }
    CUuuid { bytes }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("not a hexadecimal digit"),
    }
}

const RUNTIME: CUuuid = uuid("6bd5fb6c-5bf4-e74a-8987-d93912fd9df9");
const HOOKS: CUuuid = uuid("a094798c-2e74-2e74-93f2-0800200c0a66");
const TOOLS: CUuuid = uuid("42d85a81-23f6-cb47-8298-f6e78a3aecdc");
const STORAGE: CUuuid = uuid("c693336e-1121-df11-a8c3-68f355d89593");
const INTEGRITY: CUuuid = uuid("d4082055-bde6-704b-8d34-ba123c66e1f2");
const CHECKS: CUuuid = uuid("263e8860-7cd2-6143-92f6-bbd5006dfa7e");
const CONTEXT_INFO: CUuuid = uuid("21318c60-9714-3248-8ca6-41ff7324c8f2");
const MODULES: CUuuid = uuid("6e163fbe-b958-444d-835c-e182aff1991e");
const OPTIONAL: CUuuid = uuid("f8cff951-2146-8b4e-b9e2-fb469e7c0dd9");
const OPTIONAL_TOO: CUuuid = uuid("da9151d3-3ae6-cc41-a5c0-4f26d533e328");

/// The table of a UUID; `None` where there is none, which is logged.
pub fn find(id: &CUuuid) -> Option<*const c_void> {
    match *id {
        RUNTIME => Some(runtime::TABLE.address()),
        HOOKS => Some(hooks::TABLE.address()),
        TOOLS => Some(tools::TABLE.address()),
        STORAGE => Some(storage::TABLE.address()),
        INTEGRITY => Some(integrity::TABLE.address()),
        CHECKS => Some(checks::TABLE.address()),
        MODULES => Some(modules::TABLE.address()),
        CONTEXT_INFO => Some(context_info::TABLE.address()),
        OPTIONAL | OPTIONAL_TOO => {
            tracing::debug!("cuGetExportTable: {id} is optional and not there");
            None
        }
        _ => {
            tracing::warn!("cuGetExportTable: {id} is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_begin_with_their_size() {
        assert_eq!(RUNTIME.to_string(), "6bd5fb6c-5bf4-e74a-8987-d93912fd9df9");
        for (id, size) in [
            (RUNTIME, 104),
            (HOOKS, 56),
            (TOOLS, 32),
            (INTEGRITY, 24),
            (CHECKS, 32),
            (MODULES, 792),
        ] {
            let table = find(&id).unwrap();
            // SAFETY: every table has a first slot.
            assert_eq!(unsafe { *table.cast::<usize>() }, size, "{id}");
        }
        assert!(find(&CUuuid::default()).is_none());
        assert_eq!(find(&STORAGE), find(&STORAGE));
    }
}
