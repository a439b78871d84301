//! What `cuModuleLoadData` and `cuLibraryLoadData` are given: a pointer or a file, in any of CUDA's containers.

use crate::boundary::Result;
use crate::core::jit::JitError;
use crate::core::link;
use crate::core::program::Program;
use crate::settings::settings;
use cuda_abi::CUresult;
use fatbin::Container;
use std::ffi::c_void;
use std::time::Instant;

/// An image, not looked into yet.
pub enum Image {
    /// At the caller's address. The container tells where it ends.
    Borrowed(usize),
    /// Owned bytes.
    Owned(Vec<u8>),
}

impl Image {
    /// An image that the caller keeps.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn borrowed(pointer: *const c_void) -> Result<Self> {
        if pointer.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        Ok(Self::Borrowed(pointer as usize))
    }

    /// A copy of an image of known size.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn copied(pointer: *const c_void, size: usize) -> Result<Self> {
        if pointer.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: by the API's contract there are that many bytes.
        Ok(Self::Owned(
            unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) }.to_vec(),
        ))
    }

    /// Whether it is bare PTX, in no container.
    pub fn is_text(&self) -> bool {
        let start = match self {
            // SAFETY: the caller gave the address of an image and keeps it; the shortest, an empty text, has one byte.
            Image::Borrowed(address) => unsafe { *(*address as *const u8) },
            Image::Owned(bytes) => bytes.first().copied().unwrap_or(0),
        };
        start.is_ascii_whitespace() || matches!(start, b'.' | b'/')
    }

    /// A file's contents.
    ///
    /// # Errors
    /// `CUDA_ERROR_FILE_NOT_FOUND`.
    pub fn read(path: &str) -> Result<Self> {
        std::fs::read(path).map(Self::Owned).map_err(|error| {
            tracing::warn!("{path}: {error}");
            CUresult::FILE_NOT_FOUND
        })
    }

    /// An image that no longer needs the caller's.
    ///
    /// # Errors
    /// Those of the container.
    pub fn into_owned(self) -> std::result::Result<Self, JitError> {
        Ok(match self {
            Image::Borrowed(_) => Self::Owned(self.text()?.into_bytes()),
            owned => owned,
        })
    }

    /// The PTX, of several modules linked to one.
    ///
    /// # Errors
    /// Those of [`Image::texts`] and [`link::link`].
    pub fn text(&self) -> std::result::Result<String, JitError> {
        let texts = self.texts()?.into_iter();
        let named: Vec<_> = texts
            .enumerate()
            .map(|(index, text)| (format!("module {index}"), text))
            .collect();
        link::link(&named)
    }

    /// The PTX of each module.
    ///
    /// # Errors
    /// `CUDA_ERROR_NO_BINARY_FOR_GPU` where there is none for the compute capability, `CUDA_ERROR_INVALID_IMAGE` for what is no
    /// image.
    pub fn texts(&self) -> std::result::Result<Vec<String>, JitError> {
        let (major, minor) = settings().compute_capability;
        let started = Instant::now();
        let container = match self {
            // SAFETY: the caller gave the address of an image and keeps it.
            Image::Borrowed(address) => unsafe {
                Container::from_pointer(*address as *const c_void)
            },
            Image::Owned(bytes) => Container::from_bytes(bytes),
        };
        let texts = container.and_then(|container| container.select_all_ptx(major * 10 + minor));
        let texts = texts.map_err(|error| match (JitError::from(error), self.is_text()) {
            // Of text for another device the compiler complains, not the loader.
            (error, true) if error.status == CUresult::NO_BINARY_FOR_GPU => {
                JitError::new(CUresult::INVALID_PTX, error.message)
            }
            (error, _) => error,
        })?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let bytes: usize = texts.iter().map(String::len).sum();
        tracing::debug!("image: {bytes} bytes of PTX in {milliseconds:.1} ms");
        Ok(texts)
    }

    /// The program.
    ///
    /// # Errors
    /// Those of [`Image::text`] and of the parser.
    pub fn program(&self) -> std::result::Result<Program, JitError> {
        Program::parse(self.text()?)
    }
}
