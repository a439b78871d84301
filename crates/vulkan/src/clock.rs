//! What a tick of the device's clock is (VK_KHR_shader_clock, shaderDeviceClock), which Vulkan does not tell.
//!
//! On NVIDIA and on AMD it is the clock of timestamps, which counts nanoseconds or ten at a time, and on llvmpipe, too, which reads
//! the host's. Of others nothing is known.

use ash::vk;

/// Nanoseconds of a tick; 0 where that is not known. `period` is that of timestamps, in nanoseconds.
pub(crate) fn nanoseconds(driver: vk::DriverId, period: f32) -> u32 {
    match driver {
        vk::DriverId::NVIDIA_PROPRIETARY
        | vk::DriverId::MESA_RADV
        | vk::DriverId::MESA_LLVMPIPE => period as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_by_driver() {
        assert_eq!(nanoseconds(vk::DriverId::NVIDIA_PROPRIETARY, 1.0), 1);
        assert_eq!(nanoseconds(vk::DriverId::MESA_RADV, 10.0), 10);
        let intel = vk::DriverId::INTEL_OPEN_SOURCE_MESA;
        assert_eq!(nanoseconds(intel, 52.08), 0);
    }
}
