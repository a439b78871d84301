//! Forms that are known to differ, by device and test, with the reason. A test fails when one of them agrees.

use std::sync::OnceLock;

/// What differs.
struct Known {
    /// The beginning of what devices are called (`conformance::device_kind`).
    device: &'static str,
    test: &'static str,
    form: &'static str,
    reason: &'static str,
}

/// Every Vulkan device.
const VULKAN: &str = "Vulkan: ";
const NVIDIA: &str = "Vulkan: NVIDIA";

const KNOWN: &[Known] = &[
    Known {
        device: VULKAN,
        test: "float::approximate_functions",
        form: "lg2.approx.f32",
        reason: "subnormal inputs: the driver's log2 takes them for normal ones (lavapipe) or for zero (NVIDIA)",
    },
    Known {
        device: VULKAN,
        test: "float::approximate_functions",
        form: "div.approx.f32",
        reason: "divisors above 2^126 give the quotient, where PTX says zero",
    },
    Known {
        device: NVIDIA,
        test: "float::fused_multiply_add",
        form: "fma.rn.f32",
        reason: "subnormal results of Fma are flushed, and there is no mode in which they are not",
    },
    Known {
        device: NVIDIA,
        test: "float::fused_multiply_add",
        form: "fma.rn.sat.f32",
        reason: "as fma.rn.f32",
    },
    Known {
        device: NVIDIA,
        test: "float::fused_multiply_add",
        form: "mad.rn.f32",
        reason: "as fma.rn.f32",
    },
];

/// The table of a test, for the device under test.
pub fn known_differences(test: &str) -> &'static [(&'static str, &'static str)] {
    static DEVICE: OnceLock<String> = OnceLock::new();
    let device = DEVICE.get_or_init(conformance::device_kind);
    let forms: Vec<_> = KNOWN
        .iter()
        .filter(|known| known.test == test && device.starts_with(known.device))
        .map(|known| (known.form, known.reason))
        .collect();
    // Once for a test.
    Vec::leak(forms)
}
