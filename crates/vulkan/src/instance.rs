//! The Vulkan loader and the physical devices.

use crate::{Error, PhysicalDevice};
use std::sync::Arc;

/// A device that cannot run translated kernels, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `VkPhysicalDeviceProperties::deviceName`.
    pub name: String,
    /// The missing features by their Vulkan names, or a sentence.
    pub reasons: Vec<String>,
}

/// The loaded Vulkan library with its usable devices. Opens no device.
pub struct Instance {}

impl Instance {
    /// Loads `libvulkan.so.1`, creates a VkInstance and looks at the physical devices.
    ///
    /// No usable device is no error: [`Instance::physical_devices`] is empty then and [`Instance::refused`] says why.
    ///
    /// # Errors
    /// [`Error::NoVulkan`] where the loader or every driver is missing.
    pub fn load() -> Result<Arc<Self>, Error> {
        todo!()
    }

    /// The usable devices in a stable order: discrete, integrated, virtual, CPU; among equals as Vulkan lists them.
    /// CPU devices are listed only when there is no GPU or `VKCUDA_ALLOW_CPU=1`.
    pub fn physical_devices(&self) -> &[Arc<PhysicalDevice>] {
        todo!()
    }

    /// The devices that were refused.
    pub fn refused(&self) -> &[Refused] {
        todo!()
    }

    /// Messages of severity "error" from the validation layer so far; 0 without `VKCUDA_VALIDATION=1`.
    pub fn validation_errors(&self) -> u64 {
        todo!()
    }
}
