//! What the instance and its devices say.

mod common;

use vulkan::{Device, DeviceKind, Instance};

#[test]
fn devices_are_described() {
    common::prepare();
    let instance = Instance::load().unwrap();
    assert!(
        !instance.physical_devices().is_empty(),
        "refused: {:?}",
        instance.refused()
    );
    for physical in instance.physical_devices() {
        let limits = physical.limits();
        assert!(!physical.name().is_empty());
        assert!(limits.workgroup_invocations >= 128 && limits.shared_memory >= 16 << 10);
        assert!(limits.queues >= 1 && limits.memory_allocation >= 1 << 30);
        assert_ne!(physical.uuid(), [0; 16]);
        let info = physical.memory_info();
        assert!(info.free > 0 && info.free <= info.total);
        if physical.kind() == DeviceKind::Cpu {
            assert!(physical.unified_memory() && physical.pci().is_none());
        }
    }
    // CPU devices are there only if nothing else is.
    let kinds: Vec<_> = instance
        .physical_devices()
        .iter()
        .map(|device| device.kind())
        .collect();
    assert!(kinds.iter().all(|kind| *kind == DeviceKind::Cpu) || !kinds.contains(&DeviceKind::Cpu));
}

#[test]
fn loading_twice_gives_the_same_order() {
    common::prepare();
    let uuids = || -> Vec<_> {
        Instance::load()
            .unwrap()
            .physical_devices()
            .iter()
            .map(|device| device.uuid())
            .collect()
    };
    assert_eq!(uuids(), uuids());
}

#[test]
fn lavapipe_is_told_from_gpus() {
    let device = common::device();
    let physical = device.physical();
    let name = physical.driver().name.clone();
    if name == "llvmpipe" {
        let width = physical.subgroup().size;
        assert_eq!(device.target().warps, ptx_spirv::Warps::Yield { width });
        assert_eq!(
            device.target().shared_memory,
            ptx_spirv::SharedMemory::Scratch
        );
        assert!(!device.target().fused_fma);
        // The documented equality of addresses and pointers.
        let memory = device.allocate(100, vulkan::MemoryKind::Device).unwrap();
        assert_eq!(
            memory.host().map(|host| host as u64),
            Some(memory.address())
        );
    } else {
        assert_eq!(
            device.target().warps,
            ptx_spirv::Warps::Subgroup32,
            "{name}"
        );
    }
}

#[test]
fn a_device_can_be_opened_again_and_again() {
    common::prepare();
    let instance = Instance::load().unwrap();
    for _ in 0..5 {
        let device = Device::open(&instance.physical_devices()[0]).unwrap();
        let memory = device
            .allocate(1 << 20, vulkan::MemoryKind::Device)
            .unwrap();
        let stream = device.create_stream().unwrap();
        stream.fill(memory.address(), 1, 4, 1000).unwrap();
        // The memory outlives the device's handle and the stream.
        drop(stream);
        drop(device);
        drop(memory);
    }
}

#[test]
fn the_pipeline_cache_is_kept_on_disk() {
    let device = common::device();
    let cache = vulkan::cache::Cache::open("pipelines");
    // Other tests may write to it at the same time.
    cache.prune(0);
    let shader = device.create_shader(&common::affine_kernel()).unwrap();
    shader.pipeline([96, 1, 1], 0).unwrap();
    device.save_caches();
    let (entries, bytes) = cache.usage();
    assert!(entries >= 1 && bytes > 0);
    // And read again.
    let again = common::device();
    let shader = again.create_shader(&common::affine_kernel()).unwrap();
    shader.pipeline([96, 1, 1], 0).unwrap();
}
