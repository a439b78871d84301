//! Every kernel of `tests/ptx`, translated for every profile and with every optional feature away, is valid SPIR-V for
//! Vulkan 1.3 and does not declare what the device lacks.

mod common;

use common::{capabilities, kernels, profiles, translate, validate, validated_profiles};
use ptx_spirv::{SharedMemory, Target, TranslateError};
use rspirv::spirv::Capability;

#[test]
fn every_kernel_is_valid_for_every_profile() {
    for (profile, target) in validated_profiles() {
        for (name, text) in kernels() {
            let what = format!("{name} for {profile}");
            let t = translate(&text, &name, &target).unwrap_or_else(|e| panic!("{what}: {e}"));
            validate(&what, &t.spirv);
        }
    }
}

/// A target that lacks something: a name, how the full one is changed, the capabilities that must not be declared then,
/// and the kernels that cannot do without.
type Lack = (
    &'static str,
    fn(&mut Target),
    &'static [Capability],
    &'static [&'static str],
);

const LACKS: &[Lack] = &[
    (
        "float64",
        |t| t.float64 = false,
        &[Capability::Float64],
        &[],
    ),
    ("fused_fma", |t| t.fused_fma = false, &[], &[]),
    (
        "exact fused_fma",
        |t| (t.fused_fma, t.exact_fma) = (false, false),
        &[],
        &[],
    ),
    (
        "fused_fma and float64",
        |t| (t.fused_fma, t.float64) = (false, false),
        &[Capability::Float64],
        &[],
    ),
    (
        "atomic_f32_add",
        |t| t.atomic_f32_add = false,
        &[Capability::AtomicFloat32AddEXT],
        &[],
    ),
    (
        "atomic_f64_add",
        |t| t.atomic_f64_add = false,
        &[Capability::AtomicFloat64AddEXT],
        &[],
    ),
    (
        "atomic_i64",
        |t| (t.atomic_i64, t.shared_atomic_i64) = (false, false),
        &[Capability::Int64Atomics],
        &["atomics", "atomics_double", "turns"],
    ),
    (
        "shared_atomic_i64",
        |t| t.shared_atomic_i64 = false,
        &[],
        &[],
    ),
    (
        "subgroup_clock",
        |t| t.subgroup_clock = false,
        &[Capability::ShaderClockKHR],
        &["clock"],
    ),
    (
        "denorm_preserve",
        |t| {
            t.denorm_preserve_f16 = false;
            t.denorm_preserve_f32 = false;
            t.denorm_preserve_f64 = false;
        },
        &[Capability::DenormPreserve],
        &[],
    ),
    (
        "denorm_flush_f32",
        |t| t.denorm_flush_f32 = false,
        &[Capability::DenormFlushToZero],
        &[],
    ),
    (
        "rounding_rte_f32",
        |t| t.rounding_rte_f32 = false,
        &[Capability::RoundingModeRTE],
        &[],
    ),
    (
        "nan_preserve_f16, nan_preserve_f32, nan_preserve_f64",
        |t| {
            t.nan_preserve_f16 = false;
            t.nan_preserve_f32 = false;
            t.nan_preserve_f64 = false;
        },
        &[Capability::SignedZeroInfNanPreserve],
        &[],
    ),
    (
        "computes_with_zeros",
        |t| t.computes_with_zeros = true,
        &[],
        &[],
    ),
    ("private_memory", |t| t.private_memory = 0, &[], &[]),
    ("flush_explicitly", |t| t.flush_explicitly = false, &[], &[]),
    (
        "explicit workgroup layout",
        |t| t.shared_memory = SharedMemory::Scratch,
        &[Capability::WorkgroupMemoryExplicitLayoutKHR],
        &[],
    ),
    (
        "workgroup memory of more than 512 bytes",
        |t| t.workgroup_memory = 512,
        &[],
        &[],
    ),
];

#[test]
fn every_kernel_is_valid_without_each_feature() {
    let (_, full) = profiles().pop().expect("subgroup32");
    for &(lacking, remove, absent, refused) in LACKS {
        let mut target = full.clone();
        remove(&mut target);
        let mut seen = Vec::new();
        for (name, text) in kernels() {
            let what = format!("{name} without {lacking}");
            match translate(&text, &name, &target) {
                Ok(t) => {
                    validate(&what, &t.spirv);
                    let declared = capabilities(&t.spirv);
                    for c in absent {
                        assert!(!declared.contains(c), "{what}: declares {c:?}");
                    }
                }
                Err(TranslateError::Unsupported { .. }) => seen.push(name),
                Err(e) => panic!("{what}: {e}"),
            }
        }
        assert_eq!(seen, refused, "refused without {lacking}");
    }
}

/// Without double precision everything is valid on every profile, wherever shared and local memory are.
#[test]
fn doubles_can_be_integers_on_every_profile() {
    let (_, mut windows) = profiles().swap_remove(0);
    windows.shared_memory = SharedMemory::ExplicitLayout;
    let windows = ("lavapipe with local memory in a window", windows);
    for (profile, mut target) in [validated_profiles(), vec![windows]].concat() {
        target.float64 = false;
        for (name, text) in kernels() {
            // llvmpipe has no views of shared memory.
            if profile.ends_with("window") && !name.starts_with("local") {
                continue;
            }
            let what = format!("{name} without doubles for {profile}");
            let t = translate(&text, &name, &target).unwrap_or_else(|e| panic!("{what}: {e}"));
            validate(&what, &t.spirv);
        }
    }
}

/// The execution mode is there where the device has it, and all else is equal.
#[test]
fn maximal_reconvergence_is_declared() {
    let text = common::text("diamond");
    let with = translate(&text, "diamond", &Target::subgroup32()).expect("a translation");
    let (_, target) = profiles()
        .into_iter()
        .find(|(name, _)| *name == "subgroup32")
        .expect("the profile");
    let without = translate(&text, "diamond", &target).expect("a translation");
    const MAXIMALLY_RECONVERGES: u32 = 6023;
    // OpExecutionMode main MaximallyReconvergesKHR
    let declared = |words: &[u32]| {
        words
            .windows(3)
            .any(|w| w[0] == 3 << 16 | 16 && w[2] == MAXIMALLY_RECONVERGES)
    };
    assert!(declared(&with.spirv));
    assert!(!declared(&without.spirv));
    assert_eq!(with.info, without.info);
}
