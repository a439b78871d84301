//! The whole of it once under the Khronos validation layer. The layer is optional: without it the test says so.

mod common;

use common::*;
use std::sync::Arc;
use vulkan::{Copy2d, Device, Instance, Launch, MemoryKind, Node};

#[test]
fn the_validation_layer_has_nothing_to_say() {
    prepare();
    // SAFETY: the only test of this process.
    unsafe { std::env::set_var("VKCUDA_VALIDATION", "1") };
    let instance = Instance::load().unwrap();
    if !instance.is_validating() {
        eprintln!("VK_LAYER_KHRONOS_validation is not installed: nothing was validated");
        return;
    }
    let device = Device::open(&instance.physical_devices()[0]).unwrap();
    let stream = device.create_stream().unwrap();
    let other = device.create_stream().unwrap();
    let memory = device.allocate(1 << 20, MemoryKind::Device).unwrap();
    let pinned = device.allocate(1 << 20, MemoryKind::Host).unwrap();
    let large = device.allocate(40 << 20, MemoryKind::Device).unwrap();
    let base = memory.address();
    let affine = device
        .create_shader(&affine_kernel())
        .unwrap()
        .pipeline([64, 1, 1], 0)
        .unwrap();
    let scratch = device
        .create_shader(&scratch_kernel(16 << 10))
        .unwrap()
        .pipeline([64, 1, 1], 0)
        .unwrap();
    let index = device
        .create_shader(&index_kernel())
        .unwrap()
        .pipeline([1, 1, 1], 0)
        .unwrap();

    let start = stream.record_event(true).unwrap();
    stream.fill(base + 1, 0x1122, 1, 1001).unwrap();
    stream.write(base + 4096, &[7; 5000]).unwrap();
    stream.copy(pinned.address(), base, 1 << 20).unwrap();
    stream
        .copy_2d(&Copy2d {
            destination: base,
            destination_pitch: 128,
            source: pinned.address(),
            source_pitch: 100,
            width: 50,
            height: 30,
        })
        .unwrap();
    for step in 0..150 {
        let parameters = parameters(base, 1, step);
        let launch = Launch {
            grid: [4, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&affine, &launch).unwrap();
    }
    let parameters8 = large.address().to_le_bytes();
    let launch = Launch {
        grid: [100, 2, 1],
        parameters: &parameters8,
        ..Launch::default()
    };
    stream.launch(&scratch, &launch).unwrap();
    // A grid beyond the limit.
    let parameters16 = parameters(large.address(), 0, 0);
    let launch = Launch {
        grid: [70_000, 1, 1],
        parameters: &parameters16,
        ..Launch::default()
    };
    stream.launch(&index, &launch).unwrap();
    let end = stream.record_event(true).unwrap();
    other.wait(&end).unwrap();
    other.host_function(Box::new(|| ())).unwrap();
    let nodes = vec![
        Node::Fill {
            destination: base,
            pitch: 0,
            pattern: 1,
            width: 2,
            count: 77,
            rows: 1,
        },
        Node::Launch {
            pipeline: Arc::clone(&affine),
            grid: [1, 1, 1],
            parameters: parameters16.to_vec(),
            module: 0,
            printf: 0,
            resident: false,
        },
        Node::Copy {
            destination: base,
            source: pinned.address(),
            size: 33,
        },
    ];
    let recording = device.record(nodes).unwrap();
    for step in 0..5 {
        let node = Node::Launch {
            pipeline: Arc::clone(&affine),
            grid: [1, 1, 1],
            parameters: parameters(base, step, step).to_vec(),
            module: 0,
            printf: 0,
            resident: false,
        };
        recording.set(1, node).unwrap();
        other.replay(&recording).unwrap();
    }
    let mut bytes = vec![0; 1 << 20];
    other.read(base, &mut bytes).unwrap();
    device.synchronize().unwrap();
    assert!(end.nanoseconds_since(&start).unwrap() > 0.0);
    if device.physical().limits().host_pointer_alignment > 0 {
        // SAFETY: the vector outlives the import.
        let imported =
            unsafe { device.import_host(bytes.as_mut_ptr(), bytes.len() as u64) }.unwrap();
        stream.fill(imported.address(), 0, 1, 100).unwrap();
        stream.synchronize().unwrap();
        drop(imported);
    }
    drop((
        start, end, recording, affine, scratch, index, memory, pinned, large, stream, other,
    ));
    drop(device);
    assert_eq!(
        instance.validation_errors(),
        0,
        "run with RUST_LOG=error to see them"
    );
}
