//! The kernels and the choice between them.
//!
//! Each file generates the PTX of one family from a small specification; the text of those that ggml uses is kept in
//! the project's `shaders/` folder as a readable snapshot. [`Kernel`] names one kernel of any family.

pub mod gemm_direct;

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Matrix product from registers.
    GemmDirect(gemm_direct::Spec),
}

impl Kernel {
    /// The entry's name.
    pub fn name(&self) -> String {
        match self {
            Self::GemmDirect(spec) => spec.name(),
        }
    }

    /// A PTX module with the entry.
    pub fn ptx(&self) -> String {
        match self {
            Self::GemmDirect(spec) => spec.ptx(),
        }
    }

    /// Bytes of dynamic shared memory of a launch.
    pub fn dynamic_shared(&self) -> u32 {
        match self {
            Self::GemmDirect(_) => 0,
        }
    }
}
