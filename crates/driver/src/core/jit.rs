//! Options of the JIT compiler: only those that give something back have an effect here.
//!
//! The translator has no optimisation levels; its messages go to the log and to the caller's log buffers. A limit of registers is
//! kept to be told (`CU_FUNC_ATTRIBUTE_NUM_REGS`): how many a kernel takes is known to the Vulkan driver alone.

use crate::boundary::{Accept, In, Out, Result};
use cuda_abi::{CUjit_option as O, CUresult};
use parking_lot::Mutex;
use std::ffi::{c_char, c_void};
use std::time::Instant;

/// The options of one call, and where its messages go.
pub struct JitOptions {
    values: Out<*mut c_void>,
    info: Option<Buffer>,
    error: Option<Buffer>,
    wall_time: Option<usize>,
    /// Registers of a thread that a kernel may take, where it does not say so itself (`.maxnreg`).
    pub max_registers: Option<u32>,
    started: Instant,
    /// What the calls with these options that failed said, which the buffer keeps.
    errors: Mutex<String>,
}

struct Buffer {
    text: Out<c_char>,
    size: usize,
    /// Index of the size option, which gets the bytes written.
    size_index: Option<usize>,
}

impl JitOptions {
    /// No options.
    pub fn none() -> Self {
        // SAFETY: null is allowed and `read` of no options looks at neither.
        unsafe {
            Self::read(
                0,
                In::accept(std::ptr::null::<O>()),
                Out::accept(std::ptr::null_mut::<*mut c_void>()),
            )
        }
        .unwrap_or_else(|_| unreachable!("no options are no error"))
    }

    /// Reads the two arrays that `cuLinkCreate` takes: as [`JitOptions::read`], without a fallback strategy, which is about images.
    ///
    /// # Errors
    /// As [`JitOptions::read`].
    pub fn of_link(count: usize, options: In<O>, values: Out<*mut c_void>) -> Result<Self> {
        if options.all(count)?.contains(&O::FALLBACK_STRATEGY) {
            return Err(CUresult::INVALID_VALUE);
        }
        Self::read(count, options, values)
    }

    /// Reads the two arrays that `cuModuleLoadDataEx` and its like take.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where an array is missing, for options that nobody knows, for a cache mode that there is not,
    /// and for a log's size without a buffer.
    pub fn read(count: usize, options: In<O>, values: Out<*mut c_void>) -> Result<Self> {
        let mut read = Self {
            values,
            info: None,
            error: None,
            wall_time: None,
            max_registers: None,
            started: Instant::now(),
            errors: Mutex::default(),
        };
        if count == 0 {
            return Ok(read);
        }
        values.required()?;
        let options = options.all(count)?;
        let value = |wanted: O| {
            let index = options.iter().position(|&option| option == wanted)?;
            Some((index, values.at(index).ok()? as usize))
        };
        let buffer = |text: O, size: O| {
            let (_, address) = value(text)?;
            let (index, bytes) = value(size)?;
            // SAFETY: by the option's documentation the value is a buffer of the size that the other option gives. Sizes
            // are `unsigned int` in a pointer's place.
            let text = unsafe { Out::accept(address as *mut c_char) };
            Some(Buffer {
                text,
                size: bytes as u32 as usize,
                size_index: Some(index),
            })
        };
        read.info = buffer(O::INFO_LOG_BUFFER, O::INFO_LOG_BUFFER_SIZE_BYTES);
        read.error = buffer(O::ERROR_LOG_BUFFER, O::ERROR_LOG_BUFFER_SIZE_BYTES);
        read.wall_time = value(O::WALL_TIME).map(|(index, _)| index);
        // An `unsigned int`.
        read.max_registers = value(O::MAX_REGISTERS).map(|(_, most)| most as u32);
        if read.max_registers == Some(0) {
            return Err(CUresult::INVALID_VALUE);
        }
        if let Some(unknown) = options.iter().find(|option| option.name().is_none()) {
            tracing::warn!("{unknown:?} is no option of the compiler's that is known");
            return Err(CUresult::INVALID_VALUE);
        }
        // None, without and with access by other processes.
        if value(O::CACHE_MODE).is_some_and(|(_, mode)| mode > 2) {
            return Err(CUresult::INVALID_VALUE);
        }
        for (text, size) in [
            (O::INFO_LOG_BUFFER, O::INFO_LOG_BUFFER_SIZE_BYTES),
            (O::ERROR_LOG_BUFFER, O::ERROR_LOG_BUFFER_SIZE_BYTES),
        ] {
            let is_given = |option| value(option).is_some_and(|(_, value)| value as u32 != 0);
            let address = value(text).map_or(0, |(_, address)| address);
            if is_given(size) && address == 0 {
                return Err(CUresult::INVALID_VALUE);
            }
        }
        Ok(read)
    }

    /// Fills the log buffers, and sets the sizes and the time that the caller asked for.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a null buffer.
    pub fn finish(&self, info: &str, error: &str) -> Result {
        for (buffer, text) in [(&self.info, info), (&self.error, error)] {
            let Some(buffer) = buffer else { continue };
            if buffer.size > 0 && !buffer.text.is_null() {
                buffer.text.set_text(text, buffer.size)?;
            }
            if let Some(index) = buffer.size_index {
                let written = if text.is_empty() || buffer.size <= 1 {
                    0
                } else {
                    (text.len() + 1).min(buffer.size)
                };
                self.values.set_at(index, written as *mut c_void)?;
            }
        }
        if let Some(index) = self.wall_time {
            let milliseconds = self.started.elapsed().as_secs_f32() * 1000.0;
            self.values
                .set_at(index, milliseconds.to_bits() as usize as *mut c_void)?;
        }
        Ok(())
    }

    /// [`JitOptions::finish`] with what came out of the work.
    ///
    /// # Errors
    /// The work's status.
    pub fn report<T>(&self, result: std::result::Result<T, JitError>) -> Result<T> {
        match result {
            Ok(value) => {
                self.finish("", &self.errors.lock())?;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!("{error}");
                let mut errors = self.errors.lock();
                if !errors.is_empty() {
                    errors.push('\n');
                }
                errors.push_str(&error.message);
                self.finish("", &errors)?;
                Err(error.status)
            }
        }
    }
}

/// Why a module or a kernel cannot be had, in words for the log and the error buffer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JitError {
    /// What the API function returns.
    pub status: CUresult,
    /// Names the kernel, the line and the instruction where it can.
    pub message: String,
}

impl JitError {
    /// An error.
    pub fn new(status: CUresult, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<ptx_spirv::TranslateError> for JitError {
    fn from(error: ptx_spirv::TranslateError) -> Self {
        use ptx_spirv::TranslateError as E;
        let status = match &error {
            E::Parse { source, .. } if source.unsupported => CUresult::UNSUPPORTED_PTX_VERSION,
            E::Parse { .. } | E::Invalid { .. } => CUresult::INVALID_PTX,
            E::NoKernel(_) => CUresult::NOT_FOUND,
            E::Unsupported { .. } => CUresult::NOT_SUPPORTED,
        };
        Self::new(status, error.to_string())
    }
}

impl From<fatbin::Error> for JitError {
    fn from(error: fatbin::Error) -> Self {
        let status = match &error {
            fatbin::Error::NoPtx { .. } => CUresult::NO_BINARY_FOR_GPU,
            fatbin::Error::NotLinked(_) => CUresult::NOT_SUPPORTED,
            fatbin::Error::Corrupt(_) => CUresult::INVALID_IMAGE,
        };
        Self::new(status, error.to_string())
    }
}

/// As NVIDIA's linker writes it, since programs compare it.
impl From<ptx::link::LinkError> for JitError {
    fn from(error: ptx::link::LinkError) -> Self {
        Self::new(CUresult::INVALID_PTX, format!("error   : {error}"))
    }
}

impl From<ptx::ParseError> for JitError {
    fn from(error: ptx::ParseError) -> Self {
        let status = if error.unsupported {
            CUresult::UNSUPPORTED_PTX_VERSION
        } else {
            CUresult::INVALID_PTX
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_reach_the_callers_buffer() {
        let mut text = [0 as c_char; 8];
        let options = [
            O::ERROR_LOG_BUFFER_SIZE_BYTES,
            O::WALL_TIME,
            O::ERROR_LOG_BUFFER,
        ];
        let mut values = [
            8 as *mut c_void,
            std::ptr::null_mut(),
            text.as_mut_ptr() as *mut c_void,
        ];
        // SAFETY: both arrays have three elements.
        let jit = unsafe {
            JitOptions::read(
                3,
                In::accept(options.as_ptr()),
                Out::accept(values.as_mut_ptr()),
            )
        }
        .unwrap();
        let error = JitError::new(CUresult::INVALID_PTX, "line 12: no such thing");
        assert_eq!(jit.report::<()>(Err(error)), Err(CUresult::INVALID_PTX));
        assert_eq!(text.map(|c| c as u8), *b"line 12\0");
        assert_eq!(values[0] as usize, 8);
        assert!(f32::from_bits(values[1] as usize as u32) >= 0.0);
    }
}
