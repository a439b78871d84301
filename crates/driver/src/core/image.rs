//! What `cuModuleLoadData` and `cuLibraryLoadData` are given: a pointer or a file, in any of CUDA's containers.

use crate::boundary::Result;
use crate::core::container::{self, HEADER, WRAPPER};
use crate::core::jit::JitError;
use crate::core::program::Program;
use crate::settings::settings;
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
    pub fn into_owned(self) -> std::result::Result<Self, JitError> {
        Ok(match self {
            Image::Borrowed(_) => Self::Owned(self.text()?.into_bytes()),
            owned => owned,
        })
    }

    /// The PTX.
    ///
    /// # Errors
    /// `CUDA_ERROR_NO_BINARY_FOR_GPU` where there is none for the compute capability, `CUDA_ERROR_INVALID_IMAGE` for what is no
    /// image, and the container's other errors.
    pub fn text(&self) -> std::result::Result<String, JitError> {
        match self {
            // SAFETY: the caller gave the address of an image and keeps it.
            Image::Borrowed(address) => unsafe { at_address(*address as *const u8) },
            Image::Owned(bytes) => in_bytes(bytes),
        }
    }

    /// The program.
    ///
    /// # Errors
    /// Those of [`Image::text`] and of the parser.
    pub fn program(&self) -> std::result::Result<Program, JitError> {
        Program::parse(self.text()?)
    }
}

fn capability() -> u32 {
    let (major, minor) = settings().compute_capability;
    major * 10 + minor
}

/// The image at an address that comes without a size.
///
/// # Safety
/// There is an image: a wrapper, a container, an ELF file, or NUL-terminated text.
unsafe fn at_address(address: *const u8) -> std::result::Result<String, JitError> {
    // SAFETY: an image has four bytes at least; text of fewer ends with its NUL, and so does this read.
    let text = unsafe { CStr::from_ptr(address.cast()) }.to_bytes();
    let magic = match text.first_chunk::<4>() {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => 0,
    };
    match magic {
        HEADER => {
            // SAFETY: the magic number says that there is a container.
            choose(&[unsafe { container_at(address) }?])
        }
        WRAPPER => {
            // SAFETY: the magic number says that there is a wrapper of 24 bytes.
            let (version, data, list) = unsafe {
                let version = address.add(4).cast::<u32>().read_unaligned();
                let data = address.add(8).cast::<*const u8>().read_unaligned();
                (
                    version,
                    data,
                    address.add(16).cast::<*const *const u8>().read_unaligned(),
                )
            };
            let mut containers = Vec::new();
            match version {
                1 if !data.is_null() => {
                    // SAFETY: a wrapper of version 1 points to a container.
                    containers.push(unsafe { container_at(data) }?);
                }
                2 if !list.is_null() => {
                    // SAFETY: a wrapper of version 2 has a null-terminated list of containers.
                    unsafe {
                        for index in 0.. {
                            let container = list.add(index).read_unaligned();
                            if container.is_null() {
                                break;
                            }
                            containers.push(container_at(container)?);
                        }
                    }
                }
                _ => {
                    return Err(JitError::new(
                        CUresult::INVALID_IMAGE,
                        format!("fat binary wrapper version {version}"),
                    ))
                }
            }
            choose(&containers)
        }
        _ => in_bytes(text),
    }
}

/// The container at an address, whose header tells its length.
///
/// # Safety
/// There is a container that outlives the returned slice.
unsafe fn container_at<'a>(address: *const u8) -> std::result::Result<&'a [u8], JitError> {
    // SAFETY: a container has a header of sixteen bytes.
    let length = container::length(unsafe { std::slice::from_raw_parts(address, 16) })?;
    // SAFETY: the container is as long as it says.
    Ok(unsafe { std::slice::from_raw_parts(address, length) })
}

/// The image in bytes of known length.
fn in_bytes(bytes: &[u8]) -> std::result::Result<String, JitError> {
    if bytes.starts_with(b"\x7fELF") {
        return Err(JitError::new(
            CUresult::NO_BINARY_FOR_GPU,
            "the image is machine code for NVIDIA's GPUs (a cubin); only PTX can be run",
        ));
    }
    if bytes.starts_with(&HEADER.to_le_bytes()) {
        return choose(&[bytes]);
    }
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]);
    text.map(str::to_owned).map_err(|_| {
        JitError::new(
            CUresult::INVALID_IMAGE,
            "the image is neither a container nor PTX",
        )
    })
}

fn choose(containers: &[&[u8]]) -> std::result::Result<String, JitError> {
    let started = std::time::Instant::now();
    let text = container::choose(containers, capability())?;
    tracing::debug!(
        "fat binary: {} bytes of PTX in {:.1} ms",
        text.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(text)
}
