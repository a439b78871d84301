//! Forms that are known to differ, by driver and test, with the reason. A test fails when one of them agrees.

use std::sync::OnceLock;

/// What differs.
struct Known {
    /// The beginning of the driver's name (VkPhysicalDeviceDriverProperties); empty for all.
    driver: &'static str,
    test: &'static str,
    form: &'static str,
    reason: &'static str,
}

const NVIDIA: &str = "NVIDIA";

const KNOWN: &[Known] = &[
    Known {
        driver: "",
        test: "float::approximate_functions",
        form: "lg2.approx.f32",
        reason: "subnormal inputs: the driver's log2 takes them for normal ones (lavapipe) or for zero (NVIDIA)",
    },
    Known {
        driver: "",
        test: "float::approximate_functions",
        form: "div.approx.f32",
        reason: "divisors above 2^126 give the quotient, where PTX says zero",
    },
    Known {
        driver: NVIDIA,
        test: "float::fused_multiply_add",
        form: "fma.rn.f32",
        reason: "subnormal results of Fma are flushed, and there is no mode in which they are not",
    },
    Known {
        driver: NVIDIA,
        test: "float::fused_multiply_add",
        form: "fma.rn.sat.f32",
        reason: "as fma.rn.f32",
    },
    Known {
        driver: NVIDIA,
        test: "float::fused_multiply_add",
        form: "mad.rn.f32",
        reason: "as fma.rn.f32",
    },
];

/// The table of a test, for the driver of the machine's first device.
pub fn known_differences(test: &str) -> &'static [(&'static str, &'static str)] {
    static DRIVER: OnceLock<String> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        let instance = vulkan::Instance::load().expect("a Vulkan loader");
        let devices = instance.physical_devices();
        devices
            .first()
            .expect("a device; lavapipe will do")
            .driver()
            .name
            .clone()
    });
    let forms: Vec<_> = KNOWN
        .iter()
        .filter(|known| known.test == test && driver.starts_with(known.driver))
        .map(|known| (known.form, known.reason))
        .collect();
    // Once for a test.
    Vec::leak(forms)
}
