//! The kernels and the choice between them.
//!
//! Each file generates the PTX of one family from a small specification; the text of those that ggml uses is kept in
//! the project's `shaders/` folder as a readable snapshot. [`Kernel`] names one kernel of any family.

pub mod banded;
pub mod elementwise;
mod fragments;
pub mod gemm_depth;
pub mod gemm_direct;
pub mod gemm_tensor;
pub mod gemm_tiled;
pub mod lu;
pub mod reduce;
pub mod rotg;
pub mod rotm;
pub mod symmetric;
pub mod triangular;

macro_rules! families {
    ($($(#[$meta:meta])* $variant:ident($module:ident),)*) => {
        /// One kernel.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Kernel {
            $($(#[$meta])* $variant($module::Spec),)*
        }

        impl Kernel {
            /// The entry's name.
            pub fn name(&self) -> String {
                match self {
                    $(Self::$variant(spec) => spec.name(),)*
                }
            }

            /// A PTX module with the entry.
            pub fn ptx(&self) -> String {
                match self {
                    $(Self::$variant(spec) => spec.ptx(),)*
                }
            }
        }
    };
}

families! {
    /// Matrices in band and packed storage.
    Banded(banded),
    /// Operations without sums.
    Elementwise(elementwise),
    /// Matrix product on tensor cores of operands along `k`.
    GemmDepth(gemm_depth),
    /// Matrix product from registers.
    GemmDirect(gemm_direct),
    /// Matrix product on tensor cores.
    GemmTensor(gemm_tensor),
    /// Matrix product through shared memory.
    GemmTiled(gemm_tiled),
    /// Factors of many small matrices.
    Lu(lu),
    /// Reductions of vectors.
    Reduce(reduce),
    /// The making of rotations.
    Rotg(rotg),
    /// The modified rotation of vectors.
    Rotm(rotm),
    /// Products with a symmetric matrix.
    Symmetric(symmetric),
    /// Triangular systems and products.
    Triangular(triangular),
}

impl Kernel {
    /// Bytes of dynamic shared memory of a launch.
    pub fn dynamic_shared(&self) -> u32 {
        0
    }
}
