//! The Vulkan loader and the physical devices.
//!
//! `libvulkan.so.1` is opened at run time, so that a program on a machine without Vulkan gets a plain error. One VkInstance is
//! made; nothing is opened on a device. Devices that lack a needed feature are kept with the names of what they lack.

use crate::physical::{self, PhysicalDevice};
use crate::{DeviceKind, Error};
use ash::{ext, vk};
use std::ffi::{c_void, CStr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

const VALIDATION_LAYER: &CStr = c"VK_LAYER_KHRONOS_validation";

/// Whether an environment variable is set to something other than nothing or `0`.
pub(crate) fn env_flag(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// A device that cannot run translated kernels, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `VkPhysicalDeviceProperties::deviceName`.
    pub name: String,
    /// The missing features by their Vulkan names, or a sentence.
    pub reasons: Vec<String>,
}

/// The VkInstance. Physical devices keep it alive.
pub(crate) struct RawInstance {
    pub(crate) vk: ash::Instance,
    messenger: Option<(ext::debug_utils::Instance, vk::DebugUtilsMessengerEXT)>,
    /// Of the validation layer, where it is loaded.
    layer_version: Option<u32>,
    /// Read by the messenger's callback through a pointer: boxed so that it stays in place.
    errors: Box<AtomicU64>,
    // Last: unloading the library comes after the calls above.
    entry: ash::Entry,
}

impl RawInstance {
    /// The loaded Vulkan library.
    pub(crate) fn entry(&self) -> &ash::Entry {
        &self.entry
    }
}

impl Drop for RawInstance {
    fn drop(&mut self) {
        // SAFETY: every object made from the instance holds an Arc of it, so none is left; the handles are ours.
        unsafe {
            if let Some((extension, messenger)) = self.messenger.take() {
                extension.destroy_debug_utils_messenger(messenger, None);
            }
            self.vk.destroy_instance(None);
        }
    }
}

/// The loaded Vulkan library with its usable devices. Opens no device.
pub struct Instance {
    raw: Arc<RawInstance>,
    devices: Vec<Arc<PhysicalDevice>>,
    refused: Vec<Refused>,
}

impl Instance {
    /// Loads `libvulkan.so.1`, creates a VkInstance and looks at the physical devices.
    ///
    /// No usable device is no error: [`Instance::physical_devices`] is empty then and [`Instance::refused`] says why.
    ///
    /// # Errors
    /// [`Error::NoVulkan`] where the loader or every driver is missing.
    pub fn load() -> Result<Arc<Self>, Error> {
        let raw = Arc::new(RawInstance::create()?);
        // SAFETY: the instance is alive.
        let handles = match unsafe { raw.vk.enumerate_physical_devices() } {
            Ok(handles) => handles,
            Err(vk::Result::ERROR_INITIALIZATION_FAILED) => Vec::new(),
            Err(result) => {
                return Err(Error::NoVulkan(format!(
                    "vkEnumeratePhysicalDevices: {result}"
                )))
            }
        };
        let mut devices = Vec::new();
        let mut refused = Vec::new();
        for handle in handles {
            match physical::inspect(&raw, handle) {
                Ok(mut device) => {
                    device.tell_apart(&devices);
                    devices.push(Arc::new(device));
                }
                Err(refusal) => {
                    tracing::warn!(device = refusal.name, reasons = ?refusal.reasons, "device refused");
                    refused.push(refusal);
                }
            }
        }
        devices.sort_by_key(|device| device.kind());
        let is_cpu = |device: &Arc<PhysicalDevice>| device.kind() == DeviceKind::Cpu;
        if !devices.iter().all(is_cpu) && !env_flag("VKCUDA_ALLOW_CPU") {
            devices.retain(|device| !is_cpu(device));
        }
        for device in &devices {
            tracing::debug!(
                device = device.name(),
                kind = ?device.kind(),
                driver = device.driver().name,
                info = device.driver().info,
                "Vulkan device"
            );
        }
        Ok(Arc::new(Self {
            raw,
            devices,
            refused,
        }))
    }

    /// The usable devices in a stable order: discrete, integrated, virtual, other, CPU; among equals as Vulkan lists them.
    /// CPU devices are listed only when there is no GPU or `VKCUDA_ALLOW_CPU=1`.
    pub fn physical_devices(&self) -> &[Arc<PhysicalDevice>] {
        &self.devices
    }

    /// The devices that were refused.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Whether the validation layer is loaded (`VKCUDA_VALIDATION=1`).
    pub fn is_validating(&self) -> bool {
        self.raw.is_validating()
    }

    /// Messages of severity "error" from the validation layer so far; 0 without `VKCUDA_VALIDATION=1`.
    pub fn validation_errors(&self) -> u64 {
        self.raw.errors.load(Ordering::Relaxed)
    }
}

impl RawInstance {
    pub(crate) fn is_validating(&self) -> bool {
        self.messenger.is_some()
    }

    /// The version of the validation layer, where it is loaded.
    pub(crate) fn layer_version(&self) -> Option<u32> {
        self.layer_version
    }

    fn create() -> Result<Self, Error> {
        // SAFETY: libvulkan's initialisers are trusted, as by every Vulkan program.
        let entry =
            unsafe { ash::Entry::load() }.map_err(|error| Error::NoVulkan(error.to_string()))?;
        // SAFETY: the library is loaded.
        let version = unsafe { entry.try_enumerate_instance_version() }
            .map_err(|result| Error::NoVulkan(format!("vkEnumerateInstanceVersion: {result}")))?
            .unwrap_or(vk::API_VERSION_1_0);
        if version < vk::API_VERSION_1_1 {
            return Err(Error::NoVulkan(
                "the Vulkan loader is older than 1.1".to_owned(),
            ));
        }
        let application = vk::ApplicationInfo::default()
            .application_name(c"vkcuda")
            .engine_name(c"vkcuda")
            .api_version(vk::API_VERSION_1_3);
        let mut layers = Vec::new();
        let mut extensions = Vec::new();
        let mut layer_version = None;
        if env_flag("VKCUDA_VALIDATION") {
            layer_version = validation_layer(&entry);
            if layer_version.is_some() {
                layers.push(VALIDATION_LAYER.as_ptr());
                extensions.push(ext::debug_utils::NAME.as_ptr());
            } else {
                tracing::warn!(
                    "VKCUDA_VALIDATION is set but VK_LAYER_KHRONOS_validation is not installed"
                );
            }
        }
        let info = vk::InstanceCreateInfo::default()
            .application_info(&application)
            .enabled_layer_names(&layers)
            .enabled_extension_names(&extensions);
        // SAFETY: the create info and what it points at live until the call returns.
        let vk = unsafe { entry.create_instance(&info, None) }.map_err(|result| match result {
            vk::Result::ERROR_INCOMPATIBLE_DRIVER => {
                Error::NoVulkan("no Vulkan driver is installed".to_owned())
            }
            result => Error::NoVulkan(format!("vkCreateInstance: {result}")),
        })?;
        let errors = Box::new(AtomicU64::new(0));
        let mut raw = Self {
            vk,
            messenger: None,
            layer_version,
            errors,
            entry,
        };
        if !layers.is_empty() {
            raw.listen();
        }
        Ok(raw)
    }

    /// Sends the validation layer's messages to the log.
    fn listen(&mut self) {
        use vk::DebugUtilsMessageSeverityFlagsEXT as Severity;
        use vk::DebugUtilsMessageTypeFlagsEXT as Type;
        let extension = ext::debug_utils::Instance::new(&self.entry, &self.vk);
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(Severity::ERROR | Severity::WARNING)
            .message_type(Type::VALIDATION | Type::PERFORMANCE)
            .pfn_user_callback(Some(on_message))
            .user_data(std::ptr::from_ref(&*self.errors).cast_mut().cast());
        // SAFETY: the callback has the right signature; its user data is boxed and outlives the messenger.
        match unsafe { extension.create_debug_utils_messenger(&info, None) } {
            Ok(messenger) => self.messenger = Some((extension, messenger)),
            Err(result) => tracing::warn!(%result, "vkCreateDebugUtilsMessengerEXT"),
        }
    }
}

/// The version of the validation layer that is installed.
fn validation_layer(entry: &ash::Entry) -> Option<u32> {
    // SAFETY: the library is loaded.
    let layers = unsafe { entry.enumerate_instance_layer_properties() }.unwrap_or_default();
    layers
        .iter()
        .find(|layer| layer.layer_name_as_c_str() == Ok(VALIDATION_LAYER))
        .map(|layer| layer.spec_version)
}

/// Errors that are a choice of this runtime, by message id.
const EXPECTED_MESSAGES: &[&str] = &[
    // Bases beyond maxComputeWorkGroupCount: how grids larger than the limit are split (docs/design.md).
    "VUID-vkCmdDispatchBase-baseGroupX-00421",
    "VUID-vkCmdDispatchBase-groupCountX-00424",
    // A uniform buffer beyond maxUniformBufferRange: how scratch is read on llvmpipe (the same).
    "VUID-VkWriteDescriptorSet-descriptorType-00332",
    // The layer has waited ten seconds for its own thread, and says itself that this is its fault.
    "UNASSIGNED-VkSemaphore-state-timeout",
];

unsafe extern "system" fn on_message(
    severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _types: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    user: *mut c_void,
) -> vk::Bool32 {
    // SAFETY: the layer passes a valid structure whose strings are null or terminated, and our own user data.
    unsafe {
        let text = |pointer: *const std::ffi::c_char| {
            if pointer.is_null() {
                String::new()
            } else {
                CStr::from_ptr(pointer).to_string_lossy().into_owned()
            }
        };
        let id = text((*data).p_message_id_name);
        let message = text((*data).p_message);
        if severity.contains(vk::DebugUtilsMessageSeverityFlagsEXT::ERROR) {
            // A layer older than the driver knows nothing of the newest features.
            if EXPECTED_MESSAGES.contains(&id.as_str())
                || message.contains("unknown VkStructureType")
            {
                tracing::debug!(id, message, "validation");
            } else {
                (*user.cast::<AtomicU64>()).fetch_add(1, Ordering::Relaxed);
                tracing::error!(id, message, "validation");
                if std::env::var_os("VKCUDA_VALIDATION").is_some_and(|value| value == "abort") {
                    eprintln!("validation: {message}");
                    std::process::abort();
                }
            }
        } else {
            tracing::warn!(id, message, "validation");
        }
    }
    vk::FALSE
}
