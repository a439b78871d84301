//! Forms that are known to differ, by device and test, with the reason. A test fails when one of them agrees.

use std::sync::OnceLock;

/// What differs.
#[derive(Clone, Copy)]
struct Known {
    /// The beginning of what devices are called (`conformance::device_kind`).
    device: &'static str,
    test: &'static str,
    form: &'static str,
    reason: &'static str,
}

/// NVIDIA GPUs through Vulkan.
pub const NVIDIA: &str = "Vulkan: NVIDIA";

/// NVIDIA's own driver: what the interpreter has otherwise than the hardware, and why it stays so.
pub const CUDA: &str = "CUDA";

const KNOWN: &[Known] = &[
    Known {
        device: NVIDIA,
        test: "warp::lanes_in_step",
        form: "sum of a warp",
        reason: "NVIDIA's compilers move a lane's loads in front of its stores to other addresses, but for volatile ones",
    },
    Known {
        device: NVIDIA,
        test: "warp::lanes_in_step",
        form: "the rest of a warp",
        reason: "NVIDIA's compilers move a lane's loads in front of its stores to other addresses, but for volatile ones",
    },
    Known {
        device: CUDA,
        test: "warp::lanes_in_step",
        form: "sum of a warp",
        reason: "NVIDIA's compilers move a lane's loads in front of its stores to other addresses, but for volatile ones",
    },
    Known {
        device: CUDA,
        test: "warp::lanes_in_step",
        form: "the rest of a warp",
        reason: "NVIDIA's compilers move a lane's loads in front of its stores to other addresses, but for volatile ones",
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
    Known {
        device: CUDA,
        test: "convert::float_conversions",
        form: "cvt.rna.tf32.f32",
        reason: "of a NaN whose upper bits are an infinity's the hardware makes that",
    },
    Known {
        device: CUDA,
        test: "convert::flushed_conversions",
        form: "cvt.rm.ftz.f16.f32",
        reason: "the hardware rounds a subnormal number, where PTX flushes it",
    },
    Known {
        device: CUDA,
        test: "convert::flushed_conversions",
        form: "cvt.rp.ftz.f16.f32",
        reason: "as cvt.rm.ftz.f16.f32",
    },
    Known {
        device: CUDA,
        test: "convert::flushed_conversions",
        form: "cvt.rp.ftz.sat.f16.f32",
        reason: "as cvt.rm.ftz.f16.f32",
    },
    Known {
        device: CUDA,
        test: "flow::special_registers",
        form: "[2, 1, 1] [96, 2, 1]",
        reason: "the hardware counts the warps that a multiprocessor has places for",
    },
    Known {
        device: CUDA,
        test: "memory::copies_to_a_cluster",
        form: "cp.async.bulk to the blocks of a cluster",
        reason: "a block that the cluster does not have is an illegal instruction",
    },
    Known {
        device: CUDA,
        test: "written::forms_that_people_write",
        form: "vector registers as parameters",
        reason: "ptxas takes none",
    },
    Known {
        device: CUDA,
        test: "written::forms_that_people_write",
        form: "sums in operands",
        reason: "ptxas takes sums of constants alone",
    },
    Known {
        device: CUDA,
        test: "written::forms_that_people_write",
        form: "bytes of addresses in initialisers",
        reason: "ptxas takes them without generic() alone",
    },
    Known {
        device: CUDA,
        test: "written::forms_that_people_write",
        form: "registers of the module",
        reason: "of PTX before 3.0, which ptxas does not take with the kernel around it",
    },
];

/// Video instructions that NVIDIA's compiler makes of 32-bit operations on compute capability 9.0, which has none of them:
/// what does not fit into those is not saturated, and is compared with other signs than PTX's wider numbers have.
const VIDEO: &[&str] = &[
    "vabsdiff.s32.s32.s32.min",
    "vabsdiff.s32.s32.s32.max",
    "vshl.s32.s32.u32.clamp.sat",
    "vshl.s32.s32.u32.wrap.sat",
    "vadd.u32.u32.u32.min",
    "vadd.u32.u32.u32.max",
    "vadd.u32.u32.u32.sat",
    "vadd.u32.u32.u32.sat.add",
    "vadd.u32.u32.u32.sat.min",
    "vadd.u32.u32.u32.sat.max",
    "vsub.u32.u32.u32.min",
    "vsub.u32.u32.u32.max",
    "vsub.u32.u32.u32.sat.min",
    "vsub.u32.u32.u32.sat.max",
    "vshl.u32.u32.u32.clamp.sat",
    "vshl.u32.u32.u32.wrap.sat",
    "vabsdiff.s32.u32.s32.min",
    "vabsdiff.s32.u32.s32.max",
    "vmax.s32.u32.s32.min",
    "vmax.s32.u32.s32.max",
    "vshl.s32.u32.u32.clamp.sat",
    "vshl.s32.u32.u32.wrap.sat",
    "vadd.u32.s32.u32.min",
    "vadd.u32.s32.u32.max",
    "vadd.u32.s32.u32.sat",
    "vadd.u32.s32.u32.sat.add",
    "vadd.u32.s32.u32.sat.min",
    "vadd.u32.s32.u32.sat.max",
    "vsub.u32.s32.u32.min",
    "vsub.u32.s32.u32.max",
    "vabsdiff.u32.s32.u32.min",
    "vabsdiff.u32.s32.u32.max",
    "vabsdiff.u32.s32.u32.sat",
    "vabsdiff.u32.s32.u32.sat.add",
    "vabsdiff.u32.s32.u32.sat.max",
    "vmin.u32.s32.u32.min",
    "vmin.u32.s32.u32.max",
    "vshl.u32.s32.u32.clamp.sat",
    "vshl.u32.s32.u32.wrap.sat",
];

/// Products of unsigned numbers, likewise: the shift and the limits are those of 32 bits.
fn video_products() -> Vec<String> {
    let mut forms = Vec::new();
    for types in ["u32.u32", "s32.u32", "u32.s32"] {
        for how in [".shr7", ".shr15", ".sat", ".sat.shr7", ".sat.shr15"] {
            for operands in [
                "a0, a1, a2",
                "-a0, a1, a2",
                "a0, -a1, a2",
                "-a0, -a1, a2",
                "a0, a1, -a2",
            ] {
                forms.push(format!("vmad.s32.{types}{how} d0, {operands}"));
            }
        }
    }
    let parts = [
        (".shr7", "a0, a1.b3, a2"),
        (".shr15", "a0.b2, a1.b1, a2"),
        (".sat", "a0.h0, a1, a2"),
        (".sat.shr7", "a0, a1.b3, a2"),
        (".sat.shr15", "a0.b2, a1.b1, a2"),
    ];
    for (how, operands) in parts {
        for bias in ["", ".po"] {
            forms.push(format!("vmad.s32.u32.u32{bias}{how} d0, {operands}"));
        }
    }
    forms
}

/// Destinations that are a part of a register, likewise: the upper half gets zeros from unsigned results, and results with
/// signs in unsigned bytes are limited as if they had none.
const VIDEO_PARTS: &[&str] = &[
    "vadd.u32.s32.u32.sat d0, a0.b2, a1",
    "vadd.u32.s32.u32.sat d0.b3, a0.b2, a1, a2",
    "vadd.u32.s32.u32.sat.add d0, a0.b2, a1, a2",
    "vadd.u32.u32.u32.sat d0.h1, a0.h0, a1.b3, a2",
    "vsub.u32.u32.u32.sat d0.b1, a0, a1.b1, a2",
    "vsub.u32.s32.u32.sat d0.b3, a0.b1, a1.h1, a2",
    "vsub.u32.u32.u32.sat d0.h1, a0.b3, a1.b2, a2",
    "vsub.u32.s32.u32.sat d0.b1, a0.h1, a1, a2",
    "vabsdiff.s32.s32.s32.max d0, a0.b1, a1, a2",
    "vabsdiff.u32.u32.u32.sat d0.h1, a0.b2, a1.b1, a2",
    "vmin.u32.s32.u32.sat d0.b3, a0, a1.b3, a2",
    "vmin.u32.u32.u32.sat d0.h1, a0.b1, a1.b0, a2",
    "vmin.u32.s32.u32.sat d0.b1, a0.b3, a1.h0, a2",
    "vmax.u32.u32.u32.sat d0.h1, a0.b0, a1, a2",
    "vset.u32.s32.ge d0.h1, a0.h0, a1.b2, a2",
    "vshl.u32.u32.u32.wrap d0.h1, a0.h0, a1.b0, a2",
];

/// The table of a test, for the device under test.
pub fn known_differences(test: &str) -> &'static [(&'static str, &'static str)] {
    static DEVICE: OnceLock<String> = OnceLock::new();
    let device = DEVICE.get_or_init(conformance::device_kind);
    static PRODUCTS: OnceLock<Vec<String>> = OnceLock::new();
    let products = PRODUCTS.get_or_init(video_products);
    let video = (VIDEO
        .iter()
        .map(|form| ("video::video_instructions", *form)))
    .chain(
        products
            .iter()
            .map(|form| ("video::products", form.as_str())),
    )
    .chain((VIDEO_PARTS.iter()).map(|form| ("video::parts_of_registers", *form)))
    .map(|(test, form)| Known {
        device: CUDA,
        test,
        form,
        reason: "made of 32-bit operations",
    });
    let forms: Vec<_> = KNOWN
        .iter()
        .copied()
        .chain(video)
        .filter(|known| known.test == test && device.starts_with(known.device))
        .map(|known| (known.form, known.reason))
        .collect();
    // Once for a test.
    Vec::leak(forms)
}
