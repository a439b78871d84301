//! The linker (`cuLinkCreate` and its like): PTX in, an image for `cuModuleLoadData` out.
//!
//! There is no machine code here, so the linked image is PTX. One input is passed on as it is; linking several needs
//! symbols resolved across modules, which the translator does not do yet, and is refused.

use crate::boundary::Result;
use crate::core::image::Image;
use crate::core::jit::{JitError, JitOptions};
use crate::core::program::Program;
use crate::core::registry::Registry;
use cuda_abi::*;
use parking_lot::Mutex;
use std::sync::Arc;

/// Every running link by handle.
pub static LINKS: Registry<Link> = Registry::new();

/// A running link.
pub struct Link {
    options: JitOptions,
    inputs: Mutex<Vec<String>>,
    output: Mutex<Option<Box<[u8]>>>,
}

// SAFETY: the options hold the caller's buffers, which by the API's contract stay valid until the link is destroyed and
// are written only by calls on this link.
unsafe impl Send for Link {}
// SAFETY: as above; the API leaves it to the caller not to make such calls at once.
unsafe impl Sync for Link {}

impl Link {
    /// `cuLinkCreate`.
    pub fn create(options: JitOptions) -> Arc<Self> {
        let link = Arc::new(Self {
            options,
            inputs: Mutex::default(),
            output: Mutex::default(),
        });
        LINKS.insert(link.clone());
        link
    }

    /// `cuLinkAddData`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_PTX` and the like, with the message in the error buffer; `CUDA_ERROR_NOT_SUPPORTED` for what
    /// holds no PTX by its nature.
    pub fn add(&self, kind: CUjitInputType, name: &str, image: Image) -> Result {
        let text = match kind {
            CUjitInputType::PTX | CUjitInputType::FATBINARY | CUjitInputType::OBJECT => {
                image.text()
            }
            _ => Err(JitError::new(
                CUresult::NOT_SUPPORTED,
                format!("{name}: cannot link {kind:?}"),
            )),
        };
        let checked = text.and_then(|text| {
            Program::parse(text.clone())
                .and_then(|program| program.check())
                .map_err(|error| JitError::new(error.status, format!("{name}: {error}")))?;
            Ok(text)
        });
        self.inputs.lock().push(self.options.report(checked)?);
        Ok(())
    }

    /// `cuLinkComplete`: the address and size of the image, which lives as long as the link.
    ///
    /// # Errors
    /// `CUDA_ERROR_NOT_SUPPORTED` for several inputs, `CUDA_ERROR_INVALID_VALUE` for none.
    pub fn complete(&self) -> Result<(usize, usize)> {
        let inputs = self.inputs.lock();
        let image = match &inputs[..] {
            [] => Err(JitError::new(CUresult::INVALID_VALUE, "nothing to link")),
            [text] => Ok(text.bytes().chain([0]).collect()),
            _ => Err(JitError::new(
                CUresult::NOT_SUPPORTED,
                format!(
                    "linking {} PTX modules is not implemented, only one",
                    inputs.len()
                ),
            )),
        };
        let image: Box<[u8]> = self.options.report(image)?;
        let place = (image.as_ptr() as usize, image.len());
        *self.output.lock() = Some(image);
        Ok(place)
    }
}
