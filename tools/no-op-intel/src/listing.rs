//! libdrm's list of devices: one, on the PCI bus, with a render node only.

use crate::Device;
use std::ffi::{c_char, c_int, CString};

const RENDER_NODE: usize = 2;
const NODES: usize = 3;
const BUS_PCI: c_int = 0;
const INTEL: u16 = 0x8086;

/// `drmPciBusInfo`.
#[repr(C)]
struct PciBus {
    domain: u16,
    bus: u8,
    device: u8,
    function: u8,
}

/// `drmPciDeviceInfo`.
#[repr(C)]
struct PciDevice {
    vendor: u16,
    device: u16,
    subvendor: u16,
    subdevice: u16,
    revision: u8,
}

/// `drmDevice`, with what it points at behind it.
#[repr(C)]
pub struct DrmDevice {
    nodes: *mut *mut c_char,
    available_nodes: c_int,
    bus_type: c_int,
    bus: *mut PciBus,
    info: *mut PciDevice,
    // From here on our own.
    names: [*mut c_char; NODES],
    pci_bus: PciBus,
    pci_info: PciDevice,
}

fn make() -> *mut DrmDevice {
    let device = Device::get();
    let model = &device.model;
    // Short: the driver has room for 19 characters.
    let node = format!("/proc/self/fd/{}", device.objects.file());
    let names = std::array::from_fn(|kind| {
        let name = if kind == RENDER_NODE { &*node } else { "" };
        CString::new(name).unwrap_or_default().into_raw()
    });
    let made = Box::into_raw(Box::new(DrmDevice {
        nodes: std::ptr::null_mut(),
        available_nodes: 1 << RENDER_NODE,
        bus_type: BUS_PCI,
        bus: std::ptr::null_mut(),
        info: std::ptr::null_mut(),
        names,
        pci_bus: PciBus {
            domain: 0,
            bus: if model.memory > 0 { 3 } else { 0 },
            device: if model.memory > 0 { 0 } else { 2 },
            function: 0,
        },
        pci_info: PciDevice {
            vendor: INTEL,
            device: model.id,
            subvendor: INTEL,
            subdevice: 0,
            revision: crate::model::REVISION as u8,
        },
    }));
    // SAFETY: just made; the pointers are into the same box, which does not move.
    unsafe {
        (*made).nodes = (&raw mut (*made).names).cast();
        (*made).bus = &raw mut (*made).pci_bus;
        (*made).info = &raw mut (*made).pci_info;
    }
    made
}

/// `drmGetDevices2`: the number of devices, and as many of them as there is room for.
///
/// # Safety
/// `devices` is null or has room for `most` pointers.
#[no_mangle]
pub unsafe extern "C" fn drmGetDevices2(
    _flags: u32,
    devices: *mut *mut DrmDevice,
    most: c_int,
) -> c_int {
    if devices.is_null() {
        return 1;
    }
    if most < 1 {
        return 0;
    }
    // SAFETY: there is room for one.
    unsafe { *devices = make() };
    1
}

/// `drmGetDevice2`: the device of a file, of which there is one.
///
/// # Safety
/// `device` has room for a pointer.
#[no_mangle]
pub unsafe extern "C" fn drmGetDevice2(
    _fd: c_int,
    _flags: u32,
    device: *mut *mut DrmDevice,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { *device = make() };
    0
}

/// `drmFreeDevice`.
///
/// # Safety
/// `device` is null or points to a pointer from one of the functions above, or to null.
#[no_mangle]
pub unsafe extern "C" fn drmFreeDevice(device: *mut *mut DrmDevice) {
    // SAFETY: the caller's; what is freed came from `make`, and the pointer is cleared.
    unsafe {
        if device.is_null() || (*device).is_null() {
            return;
        }
        let made = Box::from_raw(*device);
        for name in made.names {
            drop(CString::from_raw(name));
        }
        *device = std::ptr::null_mut();
    }
}

/// `drmFreeDevices`.
///
/// # Safety
/// `devices` has `count` pointers of the kind that [`drmFreeDevice`] takes.
#[no_mangle]
pub unsafe extern "C" fn drmFreeDevices(devices: *mut *mut DrmDevice, count: c_int) {
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: within what the caller has.
        unsafe { drmFreeDevice(devices.add(index)) };
    }
}
