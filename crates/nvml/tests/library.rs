//! The shared library, loaded as a program loads it, on the Vulkan devices of the machine (lavapipe is enough).

#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "../../driver/tests/common/two_devices.rs"]
mod two_devices;

use std::ffi::{c_char, c_void, CStr, CString};
use std::path::PathBuf;

use libloading::Library;
use nvidia_ml::types::{
    DriverBranch, FieldValue, Memory, MemoryV2, PciInfo, PciInfoExt, Status, Uuid, MEMORY_V2,
};

type Handle = *mut c_void;

/// `libnvidia_ml.so`, which cargo puts beside the folder of this test program.
fn path() -> PathBuf {
    let program = std::env::current_exe().expect("a running program");
    let folder = program.parent().expect("a folder").to_owned();
    let found = [
        folder.join("libnvidia_ml.so"),
        folder.join("../libnvidia_ml.so"),
    ];
    found
        .into_iter()
        .find(|path| path.exists())
        .expect("cargo built the library")
}

struct Nvml(Library);

impl Nvml {
    fn load() -> Self {
        Self(unsafe { Library::new(path()) }.expect("the library loads"))
    }

    /// Calls a function with up to three arguments.
    fn call<A, B, C>(&self, name: &str, a: A, b: B, c: C) -> i32 {
        unsafe {
            let function = self
                .0
                .get::<unsafe extern "C" fn(A, B, C) -> i32>(name.as_bytes());
            function.unwrap_or_else(|error| panic!("{name}: {error}"))(a, b, c)
        }
    }

    fn text(&self, name: &str, device: Handle) -> String {
        let mut buffer = [0 as c_char; 256];
        assert_eq!(
            self.call(name, device, buffer.as_mut_ptr(), 256u32),
            0,
            "{name}"
        );
        unsafe { CStr::from_ptr(buffer.as_ptr()) }
            .to_str()
            .expect("UTF-8")
            .to_owned()
    }
}

/// The same with two devices, which the libraries tell apart by every name.
#[test]
fn two_devices_agree_with_vulkan() {
    let Some(environment) = two_devices::environment() else {
        return;
    };
    let output = std::process::Command::new(std::env::current_exe().expect("a running program"))
        .args(["--exact", "devices_agree_with_vulkan", "--nocapture"])
        .envs(environment)
        .env("EXPECTED_DEVICES", "2")
        .output()
        .expect("a child process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn devices_agree_with_vulkan() {
    let nvml = Nvml::load();
    let mut count = 0u32;
    let uninitialized = Status::Uninitialized as i32;
    assert_eq!(
        nvml.call("nvmlDeviceGetCount_v2", &raw mut count, (), ()),
        uninitialized
    );
    assert_eq!(nvml.call("nvmlInit_v2", (), (), ()), 0);
    assert_eq!(
        nvml.call("nvmlDeviceGetCount_v2", &raw mut count, (), ()),
        0
    );
    let instance = vulkan::Instance::load().expect("Vulkan");
    let devices = instance.physical_devices();
    assert_eq!(count as usize, devices.len());
    assert!(count > 0, "no Vulkan device: install lavapipe");
    if std::env::var_os("EXPECTED_DEVICES").is_some() {
        assert!(count >= 2, "{count} devices");
    }
    for (index, device) in devices.iter().enumerate() {
        let mut handle: Handle = std::ptr::null_mut();
        assert_eq!(
            nvml.call(
                "nvmlDeviceGetHandleByIndex_v2",
                index as u32,
                &raw mut handle,
                ()
            ),
            0
        );
        assert_eq!(nvml.text("nvmlDeviceGetName", handle), device.name());
        let uuid = nvml.text("nvmlDeviceGetUUID", handle);
        assert_eq!(
            uuid,
            format!(
                "GPU-{}",
                cuda_abi::CUuuid {
                    bytes: device.uuid()
                }
            )
        );
        let mut again: Handle = std::ptr::null_mut();
        let uuid = CString::new(uuid).expect("no zero");
        assert_eq!(
            nvml.call(
                "nvmlDeviceGetHandleByUUID",
                uuid.as_ptr(),
                &raw mut again,
                ()
            ),
            0
        );
        assert_eq!(again, handle);
        let mut by_value = Uuid {
            version: 52 | 1 << 24,
            kind: Uuid::TEXT,
            value: [0; 41],
        };
        // Without the first four letters, and as bytes.
        let short = &uuid.to_bytes()["GPU-".len()..];
        by_value.value[..short.len()].copy_from_slice(short);
        let find = |uuid: &Uuid| {
            let mut found: Handle = std::ptr::null_mut();
            let status = nvml.call(
                "nvmlDeviceGetHandleByUUIDV",
                std::ptr::from_ref(uuid),
                &raw mut found,
                (),
            );
            (status, found)
        };
        assert_eq!(find(&by_value), (0, handle));
        by_value.kind = Uuid::BYTES;
        by_value.value[..16].copy_from_slice(&device.uuid());
        assert_eq!(find(&by_value), (0, handle));
        by_value.version = 1;
        assert_eq!(find(&by_value).0, Status::ArgumentVersionMismatch as i32);

        let mut mask = [0u64; 16];
        assert_eq!(
            nvml.call("nvmlDeviceGetCpuAffinity", handle, 16u32, mask.as_mut_ptr()),
            0
        );
        let first = (0..1024).find(|n| mask[n / 64] >> (n % 64) & 1 == 1);
        let first = first.expect("a processor is near") as u32;
        let (mut near, mut handles) = (8u32, [std::ptr::null_mut(); 8]);
        assert_eq!(
            nvml.call(
                "nvmlSystemGetTopologyGpuSet",
                first,
                &raw mut near,
                handles.as_mut_ptr()
            ),
            0
        );
        assert!(handles[..near as usize].contains(&handle));

        let mut info: PciInfo = unsafe { std::mem::zeroed() };
        assert_eq!(
            nvml.call("nvmlDeviceGetPciInfo_v3", handle, &raw mut info, ()),
            0
        );
        let ids = device.device_id() << 16 | device.vendor_id();
        let is_pci = device.pci().is_some();
        assert_eq!(info.pci_device_id, if is_pci { ids } else { 0 });
        again = std::ptr::null_mut();
        assert_eq!(
            nvml.call(
                "nvmlDeviceGetHandleByPciBusId_v2",
                info.bus_id.as_ptr(),
                &raw mut again,
                ()
            ),
            0
        );
        assert_eq!(again, handle);

        let mut memory = Memory::default();
        assert_eq!(
            nvml.call("nvmlDeviceGetMemoryInfo", handle, &raw mut memory, ()),
            0
        );
        assert_eq!(memory.total, device.memory_info().total);
        assert_eq!(memory.used + memory.free, memory.total);
        let mut memory = MemoryV2 {
            version: MEMORY_V2,
            ..MemoryV2::default()
        };
        assert_eq!(
            nvml.call("nvmlDeviceGetMemoryInfo_v2", handle, &raw mut memory, ()),
            0
        );
        assert_eq!(memory.total, device.memory_info().total);
        memory.version = 1;
        let mismatch = Status::ArgumentVersionMismatch as i32;
        assert_eq!(
            nvml.call("nvmlDeviceGetMemoryInfo_v2", handle, &raw mut memory, ()),
            mismatch
        );

        let mut extended = PciInfoExt {
            version: 64 | 1 << 24,
            ..unsafe { std::mem::zeroed() }
        };
        assert_eq!(
            nvml.call("nvmlDeviceGetPciInfoExt", handle, &raw mut extended, ()),
            0
        );
        assert_eq!(extended.bus_id, info.bus_id);
        let mut value = FieldValue {
            field: 82,
            value: 5,
            ..unsafe { std::mem::zeroed() }
        };
        assert_eq!(
            nvml.call("nvmlDeviceGetFieldValues", handle, 1i32, &raw mut value),
            0
        );
        assert_eq!(
            (value.status, value.value),
            (Status::NotSupported as u32, 0)
        );
        // One of those that are only refused, which looks at the device first.
        let refused = |handle: Handle| nvml.call("nvmlDeviceGetNvLinkState", handle, 0u32, ());
        assert_eq!(refused(handle), Status::NotSupported as i32);
        assert_eq!(
            refused(std::ptr::null_mut()),
            Status::InvalidArgument as i32
        );

        let (mut number, mut unsupported) = (9u32, Status::NotSupported as i32);
        assert_eq!(
            nvml.call("nvmlDeviceGetIndex", handle, &raw mut number, ()),
            0
        );
        assert_eq!(number as usize, index);
        assert_eq!(
            nvml.call("nvmlDeviceGetMinorNumber", handle, &raw mut number, ()),
            unsupported
        );
        if device.pci().is_none() {
            // No PCI device, no sensors, no made-up numbers.
            number = 77;
            assert_eq!(
                nvml.call("nvmlDeviceGetTemperature", handle, 0u32, &raw mut number),
                unsupported
            );
            assert_eq!(
                nvml.call("nvmlDeviceGetPowerUsage", handle, &raw mut number, ()),
                unsupported
            );
            assert_eq!(
                nvml.call("nvmlDeviceGetClockInfo", handle, 0u32, &raw mut number),
                unsupported
            );
            assert_eq!(number, 77);
            unsupported = Status::InvalidArgument as i32;
            assert_eq!(
                nvml.call("nvmlDeviceGetClockInfo", handle, 9u32, &raw mut number),
                unsupported
            );
        }
    }
    let mut handle: Handle = std::ptr::null_mut();
    let invalid = Status::InvalidArgument as i32;
    assert_eq!(
        nvml.call("nvmlDeviceGetHandleByIndex_v2", count, &raw mut handle, ()),
        invalid
    );
    assert_eq!(
        nvml.call("nvmlDeviceGetIndex", handle, &raw mut count, ()),
        invalid
    );
    let unknown = c"GPU-00000000-0000-0000-0000-000000000000".as_ptr();
    assert_eq!(
        nvml.call("nvmlDeviceGetHandleByUUID", unknown, &raw mut handle, ()),
        Status::NotFound as i32
    );

    let mut buffer = [0 as c_char; 80];
    let insufficient = Status::InsufficientSize as i32;
    assert_eq!(
        nvml.call("nvmlSystemGetDriverVersion", buffer.as_mut_ptr(), 9u32, ()),
        insufficient
    );
    assert_eq!(
        nvml.call("nvmlSystemGetDriverVersion", buffer.as_mut_ptr(), 10u32, ()),
        0
    );
    let version = unsafe { CStr::from_ptr(buffer.as_ptr()) }
        .to_str()
        .expect("ASCII");
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|part| part.parse().ok())
        .expect("a number");
    assert!(major >= 570, "ollama refuses older drivers");

    let mut branch = DriverBranch {
        version: 84 | 1 << 24,
        branch: [0; 80],
    };
    assert_eq!(
        nvml.call("nvmlSystemGetDriverBranch", &raw mut branch, 80u32, ()),
        0
    );
    let series = unsafe { CStr::from_ptr(branch.branch.as_ptr()) };
    assert_eq!(series.to_str().ok(), Some(&*format!("r{major}")));
    let name = |pid: u32| {
        let mut buffer = [0 as c_char; 256];
        let status = nvml.call("nvmlSystemGetProcessName", pid, buffer.as_mut_ptr(), 256u32);
        let text = unsafe { CStr::from_ptr(buffer.as_ptr()) };
        (status, text.to_string_lossy().into_owned())
    };
    let (status, own) = name(std::process::id());
    assert!(status == 0 && own.contains("library"), "{status}: {own}");
    assert_eq!(name(u32::MAX).0, Status::NotFound as i32);

    // Calls of nvmlInit are counted.
    assert_eq!(nvml.call("nvmlInitWithFlags", 0u32, (), ()), 0);
    assert_eq!(nvml.call("nvmlShutdown", (), (), ()), 0);
    assert_eq!(
        nvml.call("nvmlDeviceGetCount_v2", &raw mut count, (), ()),
        0
    );
    assert_eq!(nvml.call("nvmlShutdown", (), (), ()), 0);
    assert_eq!(
        nvml.call("nvmlDeviceGetCount_v2", &raw mut count, (), ()),
        uninitialized
    );
    assert_eq!(nvml.call("nvmlShutdown", (), (), ()), uninitialized);
}
