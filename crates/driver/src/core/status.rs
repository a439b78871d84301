//! Errors of the lower crates as CUDA status codes.

use crate::boundary::Result;
use cuda_abi::CUresult;
use parking_lot::Mutex;
use vulkan::{Error, FaultCode};

/// The status that NVIDIA's driver would give. Sticky errors (faults, a lost device) are among them.
pub fn status(error: &Error) -> CUresult {
    match error {
        Error::NoVulkan(_) => CUresult::NO_DEVICE,
        Error::Unsupported(_) => CUresult::NOT_SUPPORTED,
        Error::OutOfMemory { .. } => CUresult::OUT_OF_MEMORY,
        Error::InvalidAddress { .. } | Error::InvalidArgument(_) => CUresult::INVALID_VALUE,
        Error::OutOfResources(_) => CUresult::LAUNCH_OUT_OF_RESOURCES,
        Error::Fault(fault) => match fault.code {
            FaultCode::Trap => CUresult::LAUNCH_FAILED,
            FaultCode::Assert => CUresult::ASSERT,
            FaultCode::Timeout => CUresult::LAUNCH_TIMEOUT,
            FaultCode::Address => CUresult::ILLEGAL_ADDRESS,
            FaultCode::Other(_) => CUresult::LAUNCH_FAILED,
        },
        // A wild access is the usual cause, and what a CUDA program reports best.
        Error::DeviceLost => CUresult::ILLEGAL_ADDRESS,
        Error::Pipeline { .. } => CUresult::INVALID_SOURCE,
        Error::Vulkan { .. } => CUresult::UNKNOWN,
    }
}

/// `.cuda()` on results of the `vulkan` crate: logs the error in its own words and gives the CUDA status.
pub trait IntoCuda<T> {
    /// The value, or the CUDA status of the error.
    ///
    /// # Errors
    /// See [`status`].
    fn cuda(self) -> Result<T>;
}

impl<T> IntoCuda<T> for std::result::Result<T, Error> {
    fn cuda(self) -> Result<T> {
        self.map_err(|error| {
            log(&error);
            status(&error)
        })
    }
}

/// Tells of an error in its own words; of a sticky one, which every later call gives again, the first time.
fn log(error: &Error) {
    static LAST: Mutex<Option<Error>> = Mutex::new(None);
    match error {
        Error::OutOfMemory { .. } => tracing::info!("{error}"),
        Error::Fault(_) | Error::DeviceLost => {
            if LAST.lock().replace(error.clone()).as_ref() == Some(error) {
                tracing::debug!("{error}");
            } else if let Error::Fault(fault) = error {
                let [x, y, z, thread, ..] = fault.data;
                tracing::warn!("{error} in block {x},{y},{z}, thread {thread} of the block");
            } else {
                tracing::warn!("{error}");
            }
        }
        _ => tracing::warn!("{error}"),
    }
}
