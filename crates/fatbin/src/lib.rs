//! Containers of CUDA device code: what a program hands to `cuModuleLoadData`, `cuModuleLoadFatBinary`,
//! `cuLibraryLoadData` and the like, and what lies in its files. The way to the PTX text in them.
//!
//! | starts with | container | from a pointer | from bytes |
//! |---|---|---|---|
//! | `0x466243B1` | fatbin wrapper, `__fatBinC_Wrapper_t` of `fatbinary_section.h`, version 1 or 2 | yes | (holds pointers) |
//! | `0xBA55ED50` | fatbin: a header and entries, each PTX or an ELF file with machine code (a cubin) | yes | yes |
//! | `\x7FELF`, machine CUDA | cubin | yes | yes |
//! | `\x7FELF`, other | host executable, library or object: fatbins in `.nv_fatbin` and `__nv_relfatbin` | yes | yes |
//! | `!<arch>\n` | archive of objects | (has no size) | yes |
//! | else | PTX text, which ends at a NUL | yes | yes |
//!
//! A container holds [`Module`]s: one for each fatbin. A wrapper of version 2 holds relocatable code (`nvcc -rdc=true`) in
//! one module for each source file. Machine code is never used, only named in errors.
//!
//! ```
//! let ptx = ".version 8.0\n.target sm_75\n.address_size 64\n.visible .entry k() { ret; }\n\0";
//! let container = fatbin::Container::from_bytes(ptx.as_bytes()).unwrap();
//! assert!(container.select_ptx(90).unwrap().ends_with("{ ret; }\n"));
//! // A device of compute capability 7.0 cannot run it.
//! assert!(matches!(container.select_ptx(70), Err(fatbin::Error::NoPtx { .. })));
//! ```

mod elf;
mod entry;
mod header;
mod pointer;
mod select;
mod text;

pub use entry::{Compression, Entry, Kind, Variant};

/// Why there is no PTX.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The container is sound, but holds no PTX that the device can run. `CUDA_ERROR_NO_BINARY_FOR_GPU`.
    #[error("no PTX for compute capability {}.{}: found {found}", compute_capability / 10, compute_capability % 10)]
    NoPtx {
        /// What was asked for, as 10 * major + minor.
        compute_capability: u32,
        /// What is there, such as "SASS for sm_86".
        found: String,
    },
    /// Several modules hold PTX, and would have to be linked: [`Container::select_all_ptx`] has all.
    #[error("relocatable PTX in {0} modules that are not linked")]
    NotLinked(usize),
    /// No container, or a damaged one. `CUDA_ERROR_INVALID_IMAGE`.
    #[error("not a valid image: {0}")]
    Corrupt(String),
}

impl Error {
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Error::Corrupt(what.into())
    }
}

/// The modules found behind a pointer or in a file. Borrows from there.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    modules: Vec<Module<'a>>,
}

/// One fatbin, cubin or PTX text: the same module in one or several forms.
#[derive(Clone, Debug)]
pub struct Module<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> Container<'a> {
    /// Looks at what a program passed as an image. Reads only what the headers say, and text up to its NUL. Nothing is
    /// decompressed yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    ///
    /// # Safety
    /// `pointer` is null or leads to one of the containers above, whole, with the sizes that its headers say, or to text
    /// that a NUL ends, or else to at least 8 bytes. All of it stays as it is during `'a`.
    pub unsafe fn from_pointer(pointer: *const core::ffi::c_void) -> Result<Self, Error> {
        // SAFETY: as the caller promises.
        unsafe { pointer::container(pointer.cast()) }
    }

    /// Looks at a file's contents. Nothing is decompressed yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        let modules = if bytes.starts_with(&header::FATBIN_MAGIC.to_le_bytes()) {
            // Something may follow it, such as a NUL that a reader of files adds.
            let fatbin = bytes.get(..header::size(bytes)?);
            vec![header::module(
                fatbin.ok_or_else(|| Error::corrupt("a fatbin is cut off"))?,
            )?]
        } else if bytes.starts_with(elf::MAGIC) {
            elf::modules(bytes)?
        } else if bytes.starts_with(elf::ARCHIVE_MAGIC) {
            elf::archive(bytes)?
        } else if bytes.starts_with(&header::WRAPPER_MAGIC.to_le_bytes()) {
            return Err(Error::corrupt(
                "a fatbin wrapper holds pointers and means nothing in a file",
            ));
        } else {
            vec![text::module(bytes)?]
        };
        Ok(Container { modules })
    }

    pub(crate) fn new(modules: Vec<Module<'a>>) -> Self {
        Container { modules }
    }

    /// The modules. None when a program or library holds no device code.
    pub fn modules(&self) -> &[Module<'a>] {
        &self.modules
    }

    /// The entries of all modules.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.modules.iter().flat_map(|module| &module.entries)
    }

    /// The PTX to run on a device, given its compute capability as 10 * major + minor: of the only module that has some.
    ///
    /// Which of a module's entries: see [`Module::select_ptx`].
    ///
    /// # Errors
    /// All of [`Error`].
    pub fn select_ptx(&self, compute_capability: u32) -> Result<String, Error> {
        let mut texts = self.select_all_ptx(compute_capability)?;
        match texts.len() {
            1 => Ok(texts.remove(0)),
            n => Err(Error::NotLinked(n)),
        }
    }

    /// The same for every module that has PTX for the device. At least one.
    ///
    /// # Errors
    /// [`Error::NoPtx`] when none has; [`Error::Corrupt`].
    pub fn select_all_ptx(&self, compute_capability: u32) -> Result<Vec<String>, Error> {
        let mut texts = Vec::new();
        for module in &self.modules {
            match module.select_ptx(compute_capability) {
                Ok(text) => texts.push(text),
                Err(Error::NoPtx { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if texts.is_empty() {
            return Err(select::none(self.entries(), compute_capability));
        }
        Ok(texts)
    }
}

impl<'a> Module<'a> {
    pub(crate) fn new(entries: Vec<Entry<'a>>) -> Self {
        Module { entries }
    }

    /// The entries, in the container's order.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The PTX to run on a device, given its compute capability as 10 * major + minor: that of the highest target up to
    /// it. PTX for one architecture or family only (`sm_90a`, `sm_100f`) is taken only if there is no other. PTX for a newer
    /// device is taken only if there is none of these, but machine code for this device.
    ///
    /// # Errors
    /// [`Error::NoPtx`], [`Error::Corrupt`].
    pub fn select_ptx(&self, compute_capability: u32) -> Result<String, Error> {
        select::select(&self.entries, compute_capability)
    }
}
