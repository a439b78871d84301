//! The linker (`cuLinkCreate` and its like): PTX in, an image for `cuModuleLoadData` out.
//!
//! There is no machine code here, so the linked image is PTX: one input as it is, several as one module
//! ([`ptx::link`]).

use crate::boundary::Result;
use crate::core::image::Image;
use crate::core::jit::{JitError, JitOptions};
use crate::core::program::Program;
use crate::core::registry::Registry;
use crate::settings::settings;
use cuda_abi::*;
use parking_lot::Mutex;
use ptx::link::LinkError;
use std::sync::Arc;

/// Every running link by handle.
pub static LINKS: Registry<Link> = Registry::new();

/// A running link.
pub struct Link {
    options: JitOptions,
    /// Name and text of each module.
    inputs: Mutex<Vec<(String, String)>>,
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
        use CUjitInputType as Kind;
        if kind.name().is_none() || self.output.lock().is_some() {
            return Err(CUresult::INVALID_VALUE);
        }
        let texts = match (kind, image.texts()) {
            // Of a library only what is needed is taken: machine code alone may not be.
            (Kind::LIBRARY, Err(error)) if error.status == CUresult::NO_BINARY_FOR_GPU => {
                tracing::info!("{name}: {error}");
                Ok(Vec::new())
            }
            (Kind::PTX | Kind::FATBINARY | Kind::OBJECT | Kind::LIBRARY | Kind::CUBIN, texts) => {
                texts
            }
            _ => Err(JitError::new(
                CUresult::NOT_SUPPORTED,
                format!("{name}: cannot link {kind:?}"),
            )),
        };
        let checked = texts.and_then(|texts| {
            for text in &texts {
                Program::parse(text.clone())
                    .and_then(|program| program.check())
                    .map_err(|error| JitError::new(error.status, format!("{name}: {error}")))?;
            }
            Ok(texts)
        });
        let texts = self.options.report(checked)?;
        let mut inputs = self.inputs.lock();
        inputs.extend(texts.into_iter().map(|text| (name.to_owned(), text)));
        Ok(())
    }

    /// `cuLinkComplete`: the address and size of the image, which lives as long as the link.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_SOURCE` for names that are defined twice or not at all, `CUDA_ERROR_INVALID_HANDLE` for a link that
    /// is complete.
    pub fn complete(&self) -> Result<(usize, usize)> {
        let inputs = self.inputs.lock();
        if self.output.lock().is_some() {
            return Err(CUresult::INVALID_HANDLE);
        }
        let (major, minor) = settings().compute_capability;
        let image = match &inputs[..] {
            [] => Ok(format!(
                ".version 8.0\n.target sm_{major}{minor}\n.address_size 64\n"
            )),
            inputs => link(inputs),
        };
        // Whatever is wrong with names is the linker's to tell.
        let image = image.and_then(|text| {
            let program = Program::parse(text)?.with_max_registers(self.options.max_registers);
            // With several inputs the names were compared already.
            if let (Some(name), Some((module, _))) = (program.missing_function(), inputs.first()) {
                let module = module.clone();
                return Err(LinkError::Undefined { name, module }.into());
            }
            let text = program.text_with_max_registers();
            // Of a library that has only newer PTX beside machine code for the device, that was taken.
            match program.module().header.target {
                target if target > major * 10 + minor => {
                    Ok(ptx::link::retarget(&text, major * 10 + minor)?)
                }
                _ => Ok(text),
            }
        });
        let image = image.map_err(|error| match error.status {
            CUresult::INVALID_PTX => JitError::new(CUresult::INVALID_SOURCE, error.message),
            _ => error,
        });
        let image = image.map(|text| text.bytes().chain([0]).collect());
        let image: Box<[u8]> = self.options.report(image)?;
        let place = (image.as_ptr() as usize, image.len());
        *self.output.lock() = Some(image);
        Ok(place)
    }
}

/// One module of several, each with its name and text.
///
/// # Errors
/// `CUDA_ERROR_INVALID_PTX` for names that are defined twice or not at all.
pub fn link(modules: &[(String, String)]) -> std::result::Result<String, JitError> {
    if let [(_, text)] = modules {
        return Ok(text.clone());
    }
    let modules: Vec<_> = modules
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    Ok(ptx::link::link(&modules, ptx_spirv::graph::is_system_call)?)
}
