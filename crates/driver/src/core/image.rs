//! What `cuModuleLoadData` and `cuLibraryLoadData` are given: a pointer or a file, in any of CUDA's containers.

use crate::boundary::Result;
use crate::core::jit::JitError;
use crate::core::program::Program;
use cuda_abi::CUresult;
use std::ffi::{c_void, CStr};

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
    pub fn into_owned(self) -> Result<Self> {
        Ok(Self::Owned(
            self.text().map_err(|error| error.status)?.into_bytes(),
        ))
    }

    /// The PTX.
    ///
    /// # Errors
    /// `CUDA_ERROR_NO_BINARY_FOR_GPU` where there is none for the compute capability, `CUDA_ERROR_INVALID_IMAGE` for what is no
    /// container, and the container's other errors.
    pub fn text(&self) -> std::result::Result<String, JitError> {
        let bytes = match self {
            // SAFETY: by the API's contract what is no binary container is NUL-terminated text.
            Image::Borrowed(address) => unsafe { CStr::from_ptr(*address as *const _) }.to_bytes(),
            Image::Owned(bytes) => bytes.as_slice(),
        };
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        String::from_utf8(bytes[..end].to_vec()).map_err(|_| {
            JitError::new(
                CUresult::INVALID_IMAGE,
                "the image is neither a container nor text",
            )
        })
    }

    /// The program.
    ///
    /// # Errors
    /// Those of [`Image::text`] and of the parser.
    pub fn program(&self) -> std::result::Result<Program, JitError> {
        Program::parse(self.text()?)
    }
}
