//! The functions of `nvml.h`.
//!
//! A device handle is its number plus one; a handle that names no device is `INVALID_ARGUMENT`.

// Pointers are documented by NVML; every function has the same contract, given here once.
#![allow(clippy::missing_safety_doc)]

use std::ffi::c_char;

use crate::boundary::{find, fixed, functions, handle_of, put, put_text, text, versioned, Handle};
use crate::devices::{self, parse_pci, Device};
use crate::sensors::Clock;
use crate::types::{Memory, MemoryV2, PciInfo, Status, Utilization, MEMORY_V2};
use crate::{DRIVER_VERSION, NVML_VERSION};

/// A number that the environment may override, as in `libcuda.so.1`.
fn setting(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.trim().is_empty())
}

fn compute_capability() -> (i32, i32) {
    let parse = |text: String| match text.trim().split_once('.') {
        Some((major, minor)) => Some((major.parse().ok()?, minor.parse().ok()?)),
        None => {
            let number: i32 = text.trim().parse().ok()?;
            (number >= 10).then_some((number / 10, number % 10))
        }
    };
    setting("VKCUDA_COMPUTE_CAPABILITY")
        .and_then(parse)
        .unwrap_or((9, 0))
}

functions! {
    /// Loads the library's state. Calls are counted.
    fn nvmlInit_v2() { devices::init() }

    /// The first version of [`nvmlInit_v2`].
    fn nvmlInit() { devices::init() }

    /// [`nvmlInit_v2`] with flags, all of which ask for less than it does.
    fn nvmlInitWithFlags(_flags: u32) { devices::init() }

    /// Undoes one [`nvmlInit_v2`].
    fn nvmlShutdown() { devices::shutdown() }

    /// The driver's version, see [`DRIVER_VERSION`].
    fn nvmlSystemGetDriverVersion(version: *mut c_char, length: u32) {
        devices::all()?;
        put_text(version, length, DRIVER_VERSION)
    }

    /// This library's version.
    fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: u32) { put_text(version, length, NVML_VERSION) }

    /// The CUDA version of the driver: 13000 is 13.0.
    fn nvmlSystemGetCudaDriverVersion_v2(version: *mut i32) {
        put(version, setting("VKCUDA_DRIVER_VERSION").and_then(|text| text.trim().parse().ok()).unwrap_or(13000))
    }

    /// The first version of [`nvmlSystemGetCudaDriverVersion_v2`].
    fn nvmlSystemGetCudaDriverVersion(version: *mut i32) {
        put(version, setting("VKCUDA_DRIVER_VERSION").and_then(|text| text.trim().parse().ok()).unwrap_or(13000))
    }

    /// How many devices there are.
    fn nvmlDeviceGetCount_v2(count: *mut u32) { put(count, devices::all()?.len() as u32) }

    /// The first version of [`nvmlDeviceGetCount_v2`].
    fn nvmlDeviceGetCount(count: *mut u32) { put(count, devices::all()?.len() as u32) }

    /// The device of a number.
    fn nvmlDeviceGetHandleByIndex_v2(index: u32, device: *mut Handle) {
        let devices = devices::all()?;
        put(device, handle_of(devices.get(index as usize).ok_or(Status::InvalidArgument)?))
    }

    /// The first version of [`nvmlDeviceGetHandleByIndex_v2`].
    fn nvmlDeviceGetHandleByIndex(index: u32, device: *mut Handle) {
        let devices = devices::all()?;
        put(device, handle_of(devices.get(index as usize).ok_or(Status::InvalidArgument)?))
    }

    /// The device of a UUID such as `GPU-6bd5fb6c-...`, or without the first four letters.
    fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut Handle) {
        let devices = devices::all()?;
        let uuid = text(uuid)?;
        let found = devices.iter().find(|device| device.has_uuid(uuid));
        put(device, handle_of(found.ok_or(Status::NotFound)?))
    }

    /// The device of a PCI address.
    fn nvmlDeviceGetHandleByPciBusId_v2(address: *const c_char, device: *mut Handle) {
        let devices = devices::all()?;
        let wanted = parse_pci(text(address)?).ok_or(Status::InvalidArgument)?;
        let found = devices.iter().find(|device| {
            let pci = device.pci();
            (pci.domain, pci.bus, pci.device) == wanted
        });
        put(device, handle_of(found.ok_or(Status::NotFound)?))
    }

    /// The first version of [`nvmlDeviceGetHandleByPciBusId_v2`].
    fn nvmlDeviceGetHandleByPciBusId(address: *const c_char, device: *mut Handle) {
        let devices = devices::all()?;
        let wanted = parse_pci(text(address)?).ok_or(Status::InvalidArgument)?;
        let found = devices.iter().find(|device| {
            let pci = device.pci();
            (pci.domain, pci.bus, pci.device) == wanted
        });
        put(device, handle_of(found.ok_or(Status::NotFound)?))
    }

    /// The device's name, that of the Vulkan device.
    fn nvmlDeviceGetName(device: Handle, name: *mut c_char, length: u32) {
        put_text(name, length, find(device)?.physical.name())
    }

    /// The device's UUID, that of the Vulkan device.
    fn nvmlDeviceGetUUID(device: Handle, uuid: *mut c_char, length: u32) {
        put_text(uuid, length, &find(device)?.uuid())
    }

    /// The device's number.
    fn nvmlDeviceGetIndex(device: Handle, index: *mut u32) { put(index, find(device)?.index as u32) }

    /// The PCI address and ids.
    fn nvmlDeviceGetPciInfo_v3(device: Handle, info: *mut PciInfo) { put(info, pci_info(&find(device)?)) }

    /// The second version of [`nvmlDeviceGetPciInfo_v3`], with the same structure.
    fn nvmlDeviceGetPciInfo_v2(device: Handle, info: *mut PciInfo) { put(info, pci_info(&find(device)?)) }

    /// Device memory.
    fn nvmlDeviceGetMemoryInfo(device: Handle, memory: *mut Memory) {
        let info = find(device)?.physical.memory_info();
        put(memory, Memory { total: info.total, free: info.free, used: info.total - info.free })
    }

    /// Device memory; the caller sets the structure's version.
    fn nvmlDeviceGetMemoryInfo_v2(device: Handle, memory: *mut MemoryV2) {
        let info = find(device)?.physical.memory_info();
        let version = versioned(memory, MEMORY_V2)?.version;
        let (total, free) = (info.total, info.free);
        put(memory, MemoryV2 { version, total, reserved: 0, free, used: total - free })
    }

    /// The compute capability that `libcuda.so.1` reports.
    fn nvmlDeviceGetCudaComputeCapability(device: Handle, major: *mut i32, minor: *mut i32) {
        find(device)?;
        let capability = compute_capability();
        put(major, capability.0)?;
        put(minor, capability.1)
    }

    /// Load in percent.
    fn nvmlDeviceGetUtilizationRates(device: Handle, utilization: *mut Utilization) {
        let (gpu, memory) = find(device)?.sensors()?.load().ok_or(Status::NotSupported)?;
        put(utilization, Utilization { gpu, memory })
    }

    /// Temperature in degrees Celsius; sensor 0 is the only one.
    fn nvmlDeviceGetTemperature(device: Handle, sensor: u32, degrees: *mut u32) {
        let device = find(device)?;
        if sensor != 0 {
            return Err(Status::InvalidArgument);
        }
        put(degrees, device.sensors()?.temperature().ok_or(Status::NotSupported)?)
    }

    /// Power in milliwatts.
    fn nvmlDeviceGetPowerUsage(device: Handle, milliwatts: *mut u32) {
        put(milliwatts, find(device)?.sensors()?.power().ok_or(Status::NotSupported)?)
    }

    /// The power limit in milliwatts.
    fn nvmlDeviceGetEnforcedPowerLimit(device: Handle, milliwatts: *mut u32) {
        put(milliwatts, find(device)?.sensors()?.power_limit().ok_or(Status::NotSupported)?)
    }

    /// The power limit in milliwatts.
    fn nvmlDeviceGetPowerManagementLimit(device: Handle, milliwatts: *mut u32) {
        put(milliwatts, find(device)?.sensors()?.power_limit().ok_or(Status::NotSupported)?)
    }

    /// A clock now, in MHz: 0 graphics, 1 multiprocessors (the same), 2 memory, 3 video.
    fn nvmlDeviceGetClockInfo(device: Handle, clock: u32, megahertz: *mut u32) {
        let device = find(device)?;
        let clock = clock_of(clock)?;
        put(megahertz, device.sensors()?.clock(clock).ok_or(Status::NotSupported)?)
    }

    /// A clock's highest frequency, in MHz.
    fn nvmlDeviceGetMaxClockInfo(device: Handle, clock: u32, megahertz: *mut u32) {
        let device = find(device)?;
        let clock = clock_of(clock)?;
        put(megahertz, device.sensors()?.max_clock(clock).ok_or(Status::NotSupported)?)
    }

    /// Fan speed in percent.
    fn nvmlDeviceGetFanSpeed(device: Handle, percent: *mut u32) {
        put(percent, find(device)?.sensors()?.fan().ok_or(Status::NotSupported)?)
    }

    /// The product line: always unknown (0).
    fn nvmlDeviceGetBrand(device: Handle, brand: *mut u32) {
        find(device)?;
        put(brand, 0)
    }

    /// The architecture: always unknown.
    fn nvmlDeviceGetArchitecture(device: Handle, architecture: *mut u32) {
        find(device)?;
        put(architecture, u32::MAX)
    }

    /// How many fans have a speed that is known.
    fn nvmlDeviceGetNumFans(device: Handle, count: *mut u32) {
        let device = find(device)?;
        let fan = device.sensors().ok().and_then(|sensors| sensors.fan());
        put(count, fan.is_some().into())
    }

    /// Speed of a fan in percent; there is one.
    fn nvmlDeviceGetFanSpeed_v2(device: Handle, fan: u32, percent: *mut u32) {
        let speed = find(device)?.sensors()?.fan().ok_or(Status::NotSupported)?;
        match fan {
            0 => put(percent, speed),
            _ => Err(Status::InvalidArgument),
        }
    }

    /// Who shares the device with virtual machines: nobody that Vulkan tells of (0).
    fn nvmlDeviceGetVirtualizationMode(device: Handle, mode: *mut u32) {
        find(device)?;
        put(mode, 0)
    }

    /// How many instances the device can be divided into: none.
    fn nvmlDeviceGetMaxMigDeviceCount(device: Handle, count: *mut u32) {
        find(device)?;
        put(count, 0)
    }

    /// Which events can be waited for: none.
    fn nvmlDeviceGetSupportedEventTypes(device: Handle, types: *mut u64) {
        find(device)?;
        put(types, 0)
    }

    /// Chassis of several devices: none.
    fn nvmlUnitGetCount(count: *mut u32) {
        devices::all()?;
        put(count, 0)
    }

    /// The program of a process, as its command line begins.
    fn nvmlSystemGetProcessName(pid: u32, name: *mut c_char, length: u32) {
        devices::all()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).map_err(|_| Status::NotFound)?;
        let program = line.split(|&byte| byte == 0).next().unwrap_or_default();
        if name.is_null() || length == 0 {
            return Err(Status::InvalidArgument);
        }
        // What does not fit is cut off.
        let program = &program[..program.len().min(length as usize - 1)];
        put_text(name, length, String::from_utf8_lossy(program).trim_end_matches('\u{fffd}'))
    }

    /// How many contexts may use the device: any number (0, default mode).
    fn nvmlDeviceGetComputeMode(device: Handle, mode: *mut u32) {
        find(device)?;
        put(mode, 0)
    }
}

/// What an error number means.
#[no_mangle]
pub extern "C" fn nvmlErrorString(status: i32) -> *const c_char {
    Status::text(status).as_ptr()
}

fn clock_of(number: u32) -> Result<Clock, Status> {
    match number {
        0 | 1 => Ok(Clock::Graphics),
        2 => Ok(Clock::Memory),
        3 => Err(Status::NotSupported),
        _ => Err(Status::InvalidArgument),
    }
}

pub(crate) fn pci_info(device: &Device) -> PciInfo {
    let pci = device.pci();
    let (domain, bus, number) = (pci.domain, pci.bus, pci.device);
    // Vulkan's vendor ids above 16 bits are not PCI's.
    let physical = &device.physical;
    let is_pci = physical.pci().is_some() && physical.vendor_id() <= 0xffff;
    let ids = is_pci.then(|| physical.device_id() << 16 | physical.vendor_id());
    PciInfo {
        bus_id_legacy: fixed(&format!(
            "{domain:04X}:{bus:02X}:{number:02X}.{:X}",
            pci.function
        )),
        domain,
        bus,
        device: number,
        pci_device_id: ids.unwrap_or(0),
        pci_subsystem_id: device
            .sensors()
            .ok()
            .and_then(|sensors| sensors.subsystem())
            .unwrap_or(0),
        bus_id: fixed(&format!(
            "{domain:08X}:{bus:02X}:{number:02X}.{:X}",
            pci.function
        )),
    }
}
