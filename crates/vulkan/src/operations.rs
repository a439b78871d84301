//! What drivers' own operations do, as far as the translator has to know it and no Vulkan property tells it.
//!
//! `vkcuda probe` measures a driver; `docs/numbers.md` has what it printed. What is not in this table is taken for inexact, or
//! measured when a device opens (`crate::probe`).

use ash::vk;

/// What is known about GLSL.std.450 Fma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FusedFma {
    /// Rounds once.
    Yes,
    /// Is a multiplication and an addition.
    No,
    /// Not known: measured when the device opens.
    Unknown,
}

/// A driver's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operations {
    pub(crate) fma: FusedFma,
    /// Whether Sqrt in single precision rounds once, also where its operand is subnormal.
    pub(crate) exact_sqrt: bool,
    /// Whether Exp2 in single precision is within two units of the last place. Taken for so where nobody has measured.
    pub(crate) precise_exp2: bool,
}

/// By driver; the version where it was measured. Compilers of the others are known to have one multiply-add instruction.
const TABLE: &[(vk::DriverId, Option<&str>, Operations)] = &[
    (
        vk::DriverId::MESA_LLVMPIPE,
        Some("25.0.7, LLVM 15"),
        Operations {
            fma: FusedFma::No,
            exact_sqrt: true,
            precise_exp2: false,
        },
    ),
    (
        vk::DriverId::NVIDIA_PROPRIETARY,
        Some("580.159.04, H100"),
        Operations {
            fma: FusedFma::Yes,
            exact_sqrt: false,
            precise_exp2: true,
        },
    ),
    (vk::DriverId::MESA_NVK, None, ONE_MULTIPLY_ADD),
    (vk::DriverId::INTEL_OPEN_SOURCE_MESA, None, ONE_MULTIPLY_ADD),
    (
        vk::DriverId::INTEL_PROPRIETARY_WINDOWS,
        None,
        ONE_MULTIPLY_ADD,
    ),
];

const ONE_MULTIPLY_ADD: Operations = Operations {
    fma: FusedFma::Yes,
    exact_sqrt: false,
    precise_exp2: true,
};

/// What is known of a driver. On AMD, whether Fma rounds once depends on the generation.
pub(crate) fn of(driver: vk::DriverId) -> Operations {
    TABLE.iter().find(|(id, ..)| *id == driver).map_or(
        Operations {
            fma: FusedFma::Unknown,
            exact_sqrt: false,
            precise_exp2: true,
        },
        |(.., operations)| *operations,
    )
}
