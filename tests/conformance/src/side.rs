//! The ways of a kernel to a device: the translator and Vulkan, or a library with CUDA's driver API.

use crate::bench::Case;
use crate::cuda::Library;
use crate::vulkan::VulkanSide;
use ptx_spirv::Target;
use std::any::Any;
use std::path::PathBuf;

/// The environment variable that names a `libcuda.so.1` to run kernels through: NVIDIA's own, which checks the interpreter
/// against the hardware, or this project's, which checks all of it from end to end.
pub const LIBRARY: &str = "VKCUDA_CONFORMANCE_LIBRARY";

/// The library of [`LIBRARY`].
pub fn library() -> Option<PathBuf> {
    std::env::var_os(LIBRARY)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// A worker's device.
pub(crate) enum Side {
    Vulkan(VulkanSide),
    Library(Library),
}

/// A kernel's memory on the device.
pub(crate) struct Buffers {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Ends the allocations.
    pub(crate) _keep: Box<dyn Any>,
}

impl Side {
    /// # Panics
    /// Without a device.
    pub(crate) fn open() -> Side {
        match library() {
            None => Side::Vulkan(VulkanSide::open()),
            Some(path) => {
                Side::Library(Library::open(&path).unwrap_or_else(|e| panic!("{path:?}: {e}")))
            }
        }
    }

    /// The same device for another thread, the present one.
    ///
    /// # Panics
    /// Where the device does not go on.
    pub(crate) fn another(&self) -> Side {
        match self {
            Side::Vulkan(side) => Side::Vulkan(side.another()),
            Side::Library(_) => Side::open(),
        }
    }

    /// Room for so many bytes of input and output, at least 16 each.
    pub(crate) fn buffers(&self, input: usize, output: usize) -> Result<Buffers, String> {
        match self {
            Side::Vulkan(side) => side.buffers(input, output),
            Side::Library(side) => side.buffers(input, output),
        }
    }

    /// Runs the case with `input` in place of its own, and gives the output. A `target` is another view of the device.
    pub(crate) fn run(
        &self,
        module: &ptx::Module,
        case: &Case,
        buffers: &Buffers,
        input: &[u8],
        target: Option<&Target>,
    ) -> Result<Vec<u8>, String> {
        match self {
            Side::Vulkan(side) => side.run(module, case, buffers, input, target),
            Side::Library(side) => side.run(case, buffers, input),
        }
    }
}

/// What devices are called in tables: `CUDA` under NVIDIA's own driver, else `Vulkan: ` and the Vulkan driver's name.
///
/// # Panics
/// Without a device.
pub fn device_kind() -> String {
    if let Some(path) = library() {
        let library = Library::open(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        if library.is_native() {
            return "CUDA".to_owned();
        }
    }
    let instance = vulkan::Instance::load().expect("a Vulkan loader");
    let devices = instance.physical_devices();
    let first = devices.first().expect("a device; lavapipe will do");
    format!("Vulkan: {}", first.driver().name)
}
