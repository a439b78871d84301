//! The types of `nvml.h`.

use std::ffi::{c_char, CStr};

macro_rules! status {
    ($($(#[$meta:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// `nvmlReturn_t`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Status {
            $($(#[$meta])* $name = $value,)*
        }

        impl Status {
            /// What `nvmlErrorString` says about a number.
            pub fn text(number: i32) -> &'static CStr {
                match number {
                    $($value => $text,)*
                    _ => c"Unknown Error",
                }
            }
        }
    };
}

status! {
    /// The call did what it was asked to.
    Success = 0, c"Success";
    /// `nvmlInit` was not called.
    Uninitialized = 1, c"Uninitialized";
    /// An argument is wrong.
    InvalidArgument = 2, c"Invalid Argument";
    /// The device cannot answer.
    NotSupported = 3, c"Not Supported";
    /// The user may not ask.
    NoPermission = 4, c"Insufficient Permissions";
    /// Deprecated.
    AlreadyInitialized = 5, c"Already Initialized";
    /// No such object.
    NotFound = 6, c"Not Found";
    /// A buffer is too small.
    InsufficientSize = 7, c"Insufficient Size";
    /// A power cable is missing.
    InsufficientPower = 8, c"Insufficient External Power";
    /// There is no driver: no Vulkan here.
    DriverNotLoaded = 9, c"Driver Not Loaded";
    /// Time ran out.
    Timeout = 10, c"Timeout";
    /// An interrupt problem.
    IrqIssue = 11, c"Interrupt Request Issue";
    /// The library was not found.
    LibraryNotFound = 12, c"NVML Shared Library Not Found";
    /// The library lacks the function.
    FunctionNotFound = 13, c"Function Not Found";
    /// The infoROM is corrupted.
    CorruptedInforom = 14, c"Corrupted infoROM";
    /// The device fell off the bus.
    GpuIsLost = 15, c"GPU is lost";
    /// The device needs a reset.
    ResetRequired = 16, c"GPU requires reset";
    /// The operating system refused.
    OperatingSystem = 17, c"GPU access blocked by the operating system";
    /// Versions do not fit.
    VersionMismatch = 18, c"Driver/library version mismatch";
    /// In use.
    InUse = 19, c"In use by another client";
    /// No memory.
    Memory = 20, c"Insufficient Memory";
    /// No data.
    NoData = 21, c"No data";
    /// No ECC for virtual devices.
    VgpuEccNotSupported = 22, c"vGPU ECC Not Supported";
    /// No resources.
    InsufficientResources = 23, c"Insufficient Resources";
    /// No such frequency.
    FrequencyNotSupported = 24, c"Frequency Not Supported";
    /// A structure's version is unknown.
    ArgumentVersionMismatch = 25, c"Argument version mismatch";
    /// No longer there.
    Deprecated = 26, c"Deprecated";
    /// Not ready.
    NotReady = 27, c"Not Ready";
    /// No such device.
    GpuNotFound = 28, c"GPU Not Found";
    /// A wrong state.
    InvalidState = 29, c"Invalid State";
    /// Something inside this library failed.
    Unknown = 999, c"Unknown Error";
}

/// `nvmlPciInfo_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciInfo {
    /// `domain:bus:device.0` with a domain of four digits.
    pub bus_id_legacy: [c_char; 16],
    /// PCI domain.
    pub domain: u32,
    /// Bus.
    pub bus: u32,
    /// Device.
    pub device: u32,
    /// Device id in the upper half, vendor id in the lower; 0 for a device that is not on a PCI bus.
    pub pci_device_id: u32,
    /// The same of the subsystem; 0 where it is not known.
    pub pci_subsystem_id: u32,
    /// `domain:bus:device.0` with a domain of eight digits.
    pub bus_id: [c_char; 32],
}

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All device memory.
    pub total: u64,
    /// What can be allocated.
    pub free: u64,
    /// The rest.
    pub used: u64,
}

/// `nvmlMemory_v2_t`, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryV2 {
    /// [`MEMORY_V2`], set by the caller.
    pub version: u32,
    /// All device memory.
    pub total: u64,
    /// What the driver keeps; not told apart from `used` here.
    pub reserved: u64,
    /// What can be allocated.
    pub free: u64,
    /// The rest.
    pub used: u64,
}

/// `nvmlMemory_v2`: the structure's size, and version 2 in the upper byte.
pub const MEMORY_V2: u32 = crate::boundary::version_of::<MemoryV2>(2);

/// `nvmlUtilization_t`, in percent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utilization {
    /// Time in which a kernel ran.
    pub gpu: u32,
    /// Time in which memory was read or written.
    pub memory: u32,
}

/// `nvmlSystemDriverBranchInfo_v1_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverBranch {
    /// Its size and 1 in the upper byte, set by the caller.
    pub version: u32,
    /// The series.
    pub branch: [c_char; 80],
}

/// `nvmlUUID_v1_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid {
    /// Its size and 1 in the upper byte.
    pub version: u32,
    /// [`Uuid::TEXT`] or [`Uuid::BYTES`].
    pub kind: u32,
    /// Text with a zero, or 16 bytes.
    pub value: [u8; 41],
}

impl Uuid {
    /// `NVML_UUID_TYPE_ASCII`.
    pub const TEXT: u32 = 1;
    /// `NVML_UUID_TYPE_BINARY`.
    pub const BYTES: u32 = 2;
}

/// `nvmlPciInfoExt_v1_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciInfoExt {
    /// Its size and 1 in the upper byte, set by the caller.
    pub version: u32,
    /// PCI domain.
    pub domain: u32,
    /// Bus.
    pub bus: u32,
    /// Device.
    pub device: u32,
    /// As in [`PciInfo`].
    pub pci_device_id: u32,
    /// As in [`PciInfo`].
    pub pci_subsystem_id: u32,
    /// The class of PCI: 3 for displays; 0 where it is not known.
    pub base_class: u32,
    /// The class within it.
    pub sub_class: u32,
    /// As in [`PciInfo`].
    pub bus_id: [c_char; 32],
}

/// `nvmlTemperature_v1_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Temperature {
    /// Its size and 1 in the upper byte, set by the caller.
    pub version: u32,
    /// Which sensor, set by the caller.
    pub sensor: u32,
    /// Degrees Celsius.
    pub degrees: i32,
}

/// `nvmlFieldValue_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// Which value, set by the caller.
    pub field: u32,
    /// Of which part of the device, set by the caller.
    pub scope: u32,
    /// Microseconds since 1970.
    pub timestamp: i64,
    /// Microseconds that it took.
    pub latency: i64,
    /// Which type the value has.
    pub kind: u32,
    /// A [`Status`].
    pub status: u32,
    /// The value.
    pub value: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_those_of_the_header() {
        assert_eq!(size_of::<PciInfo>(), 68);
        assert_eq!(size_of::<Memory>(), 24);
        assert_eq!(MEMORY_V2, 0x0200_0028);
        assert_eq!(size_of::<DriverBranch>(), 84);
        assert_eq!(size_of::<Uuid>(), 52);
        assert_eq!(size_of::<PciInfoExt>(), 64);
        assert_eq!(size_of::<Temperature>(), 12);
        assert_eq!(size_of::<FieldValue>(), 40);
        assert_eq!(Status::text(3), c"Not Supported");
        assert_eq!(Status::text(-1), c"Unknown Error");
    }
}
