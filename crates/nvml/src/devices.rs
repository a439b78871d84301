//! The devices, from the first `nvmlInit` to the last `nvmlShutdown`.

use std::sync::Arc;

use cuda_abi::CUuuid;
use parking_lot::Mutex;
use vulkan::{Instance, PciAddress, PhysicalDevice};

use crate::sensors::Sensors;
use crate::types::Status;

struct Library {
    instance: Arc<Instance>,
    /// Calls of `nvmlInit` without their `nvmlShutdown`.
    users: usize,
}

static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

/// Loads Vulkan at the first call.
///
/// # Errors
/// `DRIVER_NOT_LOADED` without Vulkan; the reason is logged.
pub fn init() -> Result<(), Status> {
    let mut library = LIBRARY.lock();
    if let Some(library) = library.as_mut() {
        library.users += 1;
        return Ok(());
    }
    let instance = Instance::load().map_err(|error| {
        tracing::warn!("{error}");
        Status::DriverNotLoaded
    })?;
    *library = Some(Library { instance, users: 1 });
    Ok(())
}

/// Lets Vulkan go at the last call.
///
/// # Errors
/// `UNINITIALIZED` without a call of [`init`] before.
pub fn shutdown() -> Result<(), Status> {
    let mut library = LIBRARY.lock();
    let users = &mut library.as_mut().ok_or(Status::Uninitialized)?.users;
    *users -= 1;
    if *users == 0 {
        *library = None;
    }
    Ok(())
}

/// All devices, in the order of their numbers.
///
/// # Errors
/// `UNINITIALIZED` outside of [`init`] and [`shutdown`].
pub fn all() -> Result<Vec<Device>, Status> {
    let library = LIBRARY.lock();
    let devices = library
        .as_ref()
        .ok_or(Status::Uninitialized)?
        .instance
        .physical_devices();
    let device = |(index, physical): (usize, &Arc<PhysicalDevice>)| Device {
        index,
        physical: physical.clone(),
    };
    Ok(devices.iter().enumerate().map(device).collect())
}

/// One device.
pub struct Device {
    /// Its number.
    pub index: usize,
    /// The Vulkan device.
    pub physical: Arc<PhysicalDevice>,
}

impl Device {
    /// `GPU-` and the UUID, as programs write it into `CUDA_VISIBLE_DEVICES`.
    pub fn uuid(&self) -> String {
        format!(
            "GPU-{}",
            CUuuid {
                bytes: self.physical.uuid()
            }
        )
    }

    /// Whether text is the UUID, with `GPU-` or without.
    pub fn has_uuid(&self, text: &str) -> bool {
        let own = self.uuid();
        own.eq_ignore_ascii_case(text) || own["GPU-".len()..].eq_ignore_ascii_case(text)
    }

    /// The PCI address as `libcuda.so.1` tells it: a device without one (a CPU device) gets its number in domain ffff.
    pub fn pci(&self) -> PciAddress {
        self.physical.pci().unwrap_or(PciAddress {
            domain: 0xffff,
            bus: 0,
            device: self.index as u32,
            function: 0,
        })
    }

    /// What sysfs tells about the device.
    ///
    /// # Errors
    /// `NOT_SUPPORTED` where it has no folder there.
    pub fn sensors(&self) -> Result<Sensors, Status> {
        self.physical
            .pci()
            .and_then(Sensors::of)
            .ok_or(Status::NotSupported)
    }
}

/// Domain, bus and device of text such as `00000000:03:00.0`, `0000:03:00` or `03:00.0`.
///
/// ```
/// use nvidia_ml::devices::parse_pci;
/// assert_eq!(parse_pci("00000000:0A:1f.0"), Some((0, 10, 31)));
/// assert_eq!(parse_pci("0a:1f"), Some((0, 10, 31)));
/// assert_eq!(parse_pci("0a"), None);
/// ```
pub fn parse_pci(text: &str) -> Option<(u32, u32, u32)> {
    let (address, function) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    u32::from_str_radix(function, 16).ok()?;
    let mut numbers = address
        .rsplit(':')
        .map(|part| u32::from_str_radix(part, 16).ok());
    let (device, bus) = (numbers.next()??, numbers.next()??);
    let domain = numbers.next().unwrap_or(Some(0))?;
    numbers.next().is_none().then_some((domain, bus, device))
}
