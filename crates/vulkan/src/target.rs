//! From Vulkan properties to the translator's [`Target`].
//!
//! A 32-lane warp needs subgroups of 32 that a pipeline can ask for, subgroups of 64 (two warps in each) where there is no
//! 32, or Mesa's llvmpipe, whose scheduling the translator knows. Everything else is refused by name: a wrong result is
//! worse than none.

use crate::clock;
use crate::features::{Extensions, Features};
use crate::matrices;
use crate::operations::{self, FusedFma};
use crate::physical::Subgroup;
use ash::vk;
use ptx_spirv::{SharedMemory, Target, Warps};

/// The inputs of [`derive`].
pub(crate) struct Facts<'a> {
    pub(crate) driver_id: vk::DriverId,
    pub(crate) subgroup: Subgroup,
    pub(crate) workgroup_memory: u32,
    pub(crate) push_constants: u32,
    pub(crate) timestamp_period: f32,
    pub(crate) features: &'a Features,
    pub(crate) v12: &'a vk::PhysicalDeviceVulkan12Properties<'a>,
}

/// The target for a device, or why it cannot have one.
pub(crate) fn derive(facts: &Facts<'_>) -> Result<Target, String> {
    let warps = warps(facts.driver_id, facts.subgroup)?;
    let features = facts.features;
    let shared_memory = match warps {
        Warps::Yield { .. } => SharedMemory::Scratch,
        _ if features.aliased_workgroup_memory() => SharedMemory::ExplicitLayout,
        _ => SharedMemory::Scratch,
    };
    let on = |feature: vk::Bool32| feature == vk::TRUE;
    // What no property tells is as in the profile of such devices.
    let mut target = match warps {
        Warps::Yield { .. } => Target::lavapipe(),
        _ => Target::subgroup32(),
    };
    target.warps = warps;
    target.shared_memory = shared_memory;
    target.workgroup_memory = facts.workgroup_memory;
    // More than 256 bytes are no use to most kernels, and cost time at each launch.
    target.inline_parameters = facts
        .push_constants
        .min(256)
        .saturating_sub(ptx_spirv::PUSH_CONSTANT_BYTES);
    target.private_memory = match facts.driver_id {
        vk::DriverId::NVIDIA_PROPRIETARY => Target::nvidia().private_memory,
        vk::DriverId::INTEL_OPEN_SOURCE_MESA => 4 << 10,
        _ => 64 << 10,
    };
    // 128 registers of 32 bytes, or on the second Xe generation, whose subgroups have 16 invocations at least, of 64.
    target.registers = match facts.driver_id {
        vk::DriverId::INTEL_OPEN_SOURCE_MESA => 4 * facts.subgroup.min.clamp(8, 16),
        _ => 0,
    };
    if facts.driver_id == vk::DriverId::INTEL_OPEN_SOURCE_MESA {
        target.block_words = Target::xe2().block_words;
    }
    let nvidia = facts.driver_id == vk::DriverId::NVIDIA_PROPRIETARY;
    target.opaque_counters = nvidia;
    target.byte_shuffles = nvidia;
    target.absent_lanes_read_zero = nvidia;
    // Doubles by integers can be had on every device, to test them.
    target.float64 = on(features.core.shader_float64) && is_left_on("VKCUDA_FLOAT64");
    target.maximal_reconvergence = on(features.maximal_reconvergence.shader_maximal_reconvergence);
    target.denorm_preserve_f32 = on(facts.v12.shader_denorm_preserve_float32);
    // Where widths do not go alone, a mode of one would be a mode of all.
    use vk::ShaderFloatControlsIndependence as Independence;
    let independence = facts.v12.denorm_behavior_independence;
    target.denorm_preserve_f16 = on(facts.v12.shader_denorm_preserve_float16);
    target.denorm_preserve_f64 = on(facts.v12.shader_denorm_preserve_float64);
    target.denorm_flush_f32 =
        on(facts.v12.shader_denorm_flush_to_zero_float32) && independence != Independence::NONE;
    target.rounding_rte_f32 = on(facts.v12.shader_rounding_mode_rte_float32);
    target.computes_with_zeros = nvidia;
    target.nan_preserve_f16 = on(facts.v12.shader_signed_zero_inf_nan_preserve_float16);
    target.nan_preserve_f32 = on(facts.v12.shader_signed_zero_inf_nan_preserve_float32);
    target.nan_preserve_f64 = on(facts.v12.shader_signed_zero_inf_nan_preserve_float64);
    target.fma_flushes = nvidia;
    // By instruction it costs several operations for each one, for numbers below 2^-126.
    target.flush_explicitly = is_left_on("VKCUDA_EXACT_FTZ");
    let operations = operations::of(facts.driver_id);
    target.fused_fma = operations.fma == FusedFma::Yes;
    target.exact_sqrt = operations.exact_sqrt;
    target.precise_exp2 = operations.precise_exp2;
    target.atomic_f32_add = on(features.atomic_float.shader_buffer_float32_atomic_add);
    target.atomic_f64_add = on(features.atomic_float.shader_buffer_float64_atomic_add);
    target.atomic_i64 = on(features.v12.shader_buffer_int64_atomics);
    target.shared_atomic_i64 = on(features.v12.shader_shared_int64_atomics);
    target.subgroup_clock = on(features.clock.shader_subgroup_clock);
    target.device_clock = match on(features.clock.shader_device_clock) {
        true => clock::nanoseconds(facts.driver_id, facts.timestamp_period),
        false => 0,
    };
    target.memory_model =
        on(features.v12.vulkan_memory_model) && on(features.v12.vulkan_memory_model_device_scope);
    Ok(target)
}

/// Whether a setting of the environment is not 0.
fn is_left_on(variable: &str) -> bool {
    std::env::var_os(variable).is_none_or(|value| value != "0")
}

/// The target for a device of which nothing but its compiler is wanted: no memory or queue has to be usable, nothing is
/// measured. A driver whose Fma the table does not know is taken for one that rounds once.
///
/// # Errors
/// What is missing, in words.
pub fn of_compiler(
    entry: &ash::Entry,
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
) -> Result<Target, String> {
    let extensions = Extensions::query(instance, physical);
    let features = Features::query(instance, physical, &extensions);
    let missing = features.missing();
    if !missing.is_empty() {
        return Err(missing.join(", "));
    }
    let mut v11 = vk::PhysicalDeviceVulkan11Properties::default();
    let mut v12 = vk::PhysicalDeviceVulkan12Properties::default();
    let mut v13 = vk::PhysicalDeviceVulkan13Properties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default()
        .push_next(&mut v11)
        .push_next(&mut v12)
        .push_next(&mut v13);
    // SAFETY: the handle comes from the instance; the chain is of Vulkan 1.3.
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let limits = properties.properties.limits;
    let mut target = derive(&Facts {
        driver_id: v12.driver_id,
        subgroup: Subgroup::new(&v11, &v13),
        workgroup_memory: limits.max_compute_shared_memory_size,
        push_constants: limits.max_push_constants_size,
        timestamp_period: limits.timestamp_period,
        features: &features,
        v12: &v12,
    })?;
    target.fused_fma |= operations::of(v12.driver_id).fma == FusedFma::Unknown;
    if features.cooperative_matrix.cooperative_matrix == vk::TRUE {
        target.matrix_units.memory =
            matrices::through_memory(entry, instance, physical, v12.driver_id);
    }
    Ok(target)
}

/// How warps are made, or why they cannot be.
fn warps(driver: vk::DriverId, subgroup: Subgroup) -> Result<Warps, String> {
    if driver == vk::DriverId::MESA_LLVMPIPE {
        // With LP_NATIVE_VECTOR_WIDTH=1024 llvmpipe reports 32 and compiles for 16: results would be wrong.
        return match subgroup.size {
            width @ (4 | 8 | 16) => Ok(Warps::Yield { width }),
            width => Err(format!(
                "llvmpipe with subgroups of 4, 8 or 16 invocations (it reports {width})"
            )),
        };
    }
    let possible = subgroup.min <= 32 && 32 <= subgroup.max;
    if possible && (subgroup.required || subgroup.min == subgroup.max) {
        return Ok(Warps::Subgroup32);
    }
    // AMD GCN.
    if subgroup.min == 64 && subgroup.max == 64 {
        return Ok(Warps::Subgroup64);
    }
    Err(format!(
        "subgroups of 32 invocations by requiredSubgroupSize, or of 64 (this device has {} to {})",
        subgroup.min, subgroup.max
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subgroup(min: u32, max: u32, required: bool) -> Subgroup {
        Subgroup {
            size: max,
            min,
            max,
            required,
        }
    }

    #[test]
    fn warps_of_real_devices() {
        let nvidia = vk::DriverId::NVIDIA_PROPRIETARY;
        assert_eq!(warps(nvidia, subgroup(32, 32, true)), Ok(Warps::Subgroup32));
        assert_eq!(
            warps(vk::DriverId::MESA_RADV, subgroup(32, 64, true)),
            Ok(Warps::Subgroup32)
        );
        assert_eq!(
            warps(vk::DriverId::INTEL_OPEN_SOURCE_MESA, subgroup(8, 32, true)),
            Ok(Warps::Subgroup32)
        );
        assert_eq!(
            warps(vk::DriverId::MESA_RADV, subgroup(64, 64, true)),
            Ok(Warps::Subgroup64)
        );
        assert!(warps(vk::DriverId::MESA_V3DV, subgroup(16, 16, true)).is_err());
        assert!(warps(vk::DriverId::MESA_RADV, subgroup(32, 64, false)).is_err());
    }

    #[test]
    fn llvmpipe_is_believed_up_to_16() {
        let llvmpipe = vk::DriverId::MESA_LLVMPIPE;
        assert_eq!(
            warps(llvmpipe, subgroup(8, 8, true)),
            Ok(Warps::Yield { width: 8 })
        );
        assert!(warps(llvmpipe, subgroup(32, 32, true)).is_err());
    }
}
