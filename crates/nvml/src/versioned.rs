//! The functions of `nvml.h` whose structures say which version they are.

// Pointers are documented by NVML; every function has the same contract (`api.rs`).
#![allow(clippy::missing_safety_doc)]

use std::ffi::CStr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::api::pci_info;
use crate::boundary::{find, fixed, functions, handle_of, put, version_of, versioned, Handle};
use crate::devices;
use crate::types::{DriverBranch, FieldValue, PciInfoExt, Status, Temperature, Uuid};
use crate::DRIVER_VERSION;

functions! {
    /// The series of the driver, of which [`DRIVER_VERSION`] is one.
    fn nvmlSystemGetDriverBranch(info: *mut DriverBranch, length: u32) {
        devices::all()?;
        let version = versioned(info, version_of::<DriverBranch>(1))?.version;
        let series = DRIVER_VERSION.split('.').next().unwrap_or_default();
        let branch = format!("r{series}");
        if (length as usize) <= branch.len() {
            return Err(Status::InsufficientSize);
        }
        put(info, DriverBranch { version, branch: fixed(&branch) })
    }

    /// The device of a UUID, as text or as bytes.
    fn nvmlDeviceGetHandleByUUIDV(uuid: *const Uuid, device: *mut Handle) {
        let devices = devices::all()?;
        let wanted = versioned(uuid, version_of::<Uuid>(1))?;
        let found = match wanted.kind {
            Uuid::TEXT => {
                let text = CStr::from_bytes_until_nul(&wanted.value);
                let text = text.map_err(|_| Status::InvalidArgument)?.to_string_lossy();
                devices.iter().find(|device| device.has_uuid(&text))
            }
            Uuid::BYTES => devices.iter().find(|device| device.physical.uuid() == wanted.value[..16]),
            _ => return Err(Status::InvalidArgument),
        };
        put(device, handle_of(found.ok_or(Status::NotFound)?))
    }

    /// The PCI address and ids, and what kind of device it is.
    fn nvmlDeviceGetPciInfoExt(device: Handle, info: *mut PciInfoExt) {
        let device = find(device)?;
        let version = versioned(info, version_of::<PciInfoExt>(1))?.version;
        let short = pci_info(&device);
        let class = device.sensors().ok().and_then(|sensors| sensors.class()).unwrap_or(0);
        put(info, PciInfoExt {
            version,
            domain: short.domain,
            bus: short.bus,
            device: short.device,
            pci_device_id: short.pci_device_id,
            pci_subsystem_id: short.pci_subsystem_id,
            base_class: class >> 16,
            sub_class: class >> 8 & 0xff,
            bus_id: short.bus_id,
        })
    }

    /// Temperature in degrees Celsius; sensor 0 is the only one.
    fn nvmlDeviceGetTemperatureV(device: Handle, temperature: *mut Temperature) {
        let device = find(device)?;
        let asked = versioned(temperature, version_of::<Temperature>(1))?;
        if asked.sensor != 0 {
            return Err(Status::InvalidArgument);
        }
        let degrees = device.sensors()?.temperature().ok_or(Status::NotSupported)?;
        put(temperature, Temperature { degrees: degrees as i32, ..asked })
    }

    /// Several values at once, each with a status of its own: none of those that NVIDIA's driver counts is known.
    fn nvmlDeviceGetFieldValues(device: Handle, count: i32, values: *mut FieldValue) {
        find(device)?;
        if values.is_null() || count < 0 {
            return Err(Status::InvalidArgument);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for index in 0..count as usize {
            // SAFETY: the C caller's array has so many entries.
            let value = unsafe { &mut *values.add(index) };
            value.timestamp = now.as_micros() as i64;
            value.latency = 0;
            value.status = Status::NotSupported as u32;
            value.value = 0;
        }
        Ok(())
    }
}
