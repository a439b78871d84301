//! Shaders and pipelines.

use crate::Error;
use ptx_spirv::KernelInfo;
use std::sync::Arc;

/// A translated kernel on a device, with its pipelines.
pub struct Shader {}

impl Shader {
    /// The translator's description.
    pub fn info(&self) -> &KernelInfo {
        todo!()
    }

    /// The pipeline for a block shape and a dynamic shared size, bytes. Compiled at the first call for that key, then
    /// found in a map. Threads that ask for the same key at once compile once.
    ///
    /// # Errors
    /// [`Error::OutOfResources`] where the block or its shared memory exceeds the device; [`Error::Pipeline`].
    pub fn pipeline(
        self: &Arc<Self>,
        block: [u32; 3],
        dynamic_shared: u32,
    ) -> Result<Arc<Pipeline>, Error> {
        let _ = (block, dynamic_shared);
        todo!()
    }
}

/// A shader specialised for a block shape and a dynamic shared size.
pub struct Pipeline {}

impl Pipeline {
    /// The kernel.
    pub fn info(&self) -> &KernelInfo {
        todo!()
    }

    /// `%ntid`.
    pub fn block(&self) -> [u32; 3] {
        todo!()
    }

    /// Dynamic shared memory, bytes.
    pub fn dynamic_shared(&self) -> u32 {
        todo!()
    }
}
