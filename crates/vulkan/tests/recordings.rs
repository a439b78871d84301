//! Recordings: replay, changed parameters, changed nodes, several streams.

mod common;

use common::*;
use std::sync::Arc;
use vulkan::{Copy2d, Device, Error, MemoryKind, Node, Pipeline, Stream};

fn affine(pipeline: &Arc<Pipeline>, address: u64, factor: u32, addend: u32) -> Node {
    Node::Launch {
        pipeline: Arc::clone(pipeline),
        grid: [1, 1, 1],
        parameters: parameters(address, factor, addend).to_vec(),
        module: 0,
        printf: 0,
        resident: false,
    }
}

fn pipeline(device: &Arc<Device>) -> Arc<Pipeline> {
    device
        .create_shader(&affine_kernel())
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap()
}

fn word(stream: &Stream, address: u64) -> u32 {
    let mut bytes = [0; 4];
    stream.read(address, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

#[test]
fn every_sort_of_node() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = pipeline(&device);
    let memory = device.allocate(4096, MemoryKind::Device).unwrap();
    let base = memory.address();
    let recording = device
        .record(vec![
            Node::Fill {
                destination: base,
                pitch: 0,
                pattern: 7,
                width: 4,
                count: 32,
                rows: 1,
            },
            affine(&pipeline, base, 2, 1),
            Node::Empty,
            Node::Copy {
                destination: base + 1024,
                source: base,
                size: 128,
            },
            affine(&pipeline, base + 1024, 10, 0),
            Node::Copy2d(Copy2d {
                destination: base + 2048,
                destination_pitch: 16,
                source: base + 1024,
                source_pitch: 4,
                width: 4,
                height: 8,
            }),
            Node::Fill {
                destination: base + 2049,
                pitch: 16,
                pattern: 0xff,
                width: 1,
                count: 2,
                rows: 8,
            },
        ])
        .unwrap();
    assert_eq!(recording.len(), 7);
    for _ in 0..3 {
        stream.fill(base, 0, 4, 1024).unwrap();
        stream.replay(&recording).unwrap();
        assert_eq!((word(&stream, base), word(&stream, base + 1024)), (15, 150));
        for row in 0..8 {
            assert_eq!(word(&stream, base + 2048 + row * 16), 0x00ff_ff00 | 150);
        }
        assert_eq!(word(&stream, base + 2052), 0);
    }
}

#[test]
fn replays_see_the_parameters_of_their_time() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = pipeline(&device);
    let memory = device.allocate(128, MemoryKind::Device).unwrap();
    let base = memory.address();
    stream.fill(base, 1, 4, 32).unwrap();
    let recording = device
        .record(vec![
            affine(&pipeline, base, 3, 0),
            affine(&pipeline, base, 1, 5),
        ])
        .unwrap();
    let mut expected = 1u32;
    for step in 0..300 {
        // Changed while earlier replays are still under way.
        recording.set(0, affine(&pipeline, base, 3, step)).unwrap();
        if step % 7 == 0 {
            recording
                .set(1, affine(&pipeline, base, 1, step * 2))
                .unwrap();
        }
        stream.replay(&recording).unwrap();
        expected = expected
            .wrapping_mul(3)
            .wrapping_add(step)
            .wrapping_add(step / 7 * 7 * 2);
    }
    assert_eq!(word(&stream, base), expected);
}

#[test]
fn nodes_may_change_their_shape() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = pipeline(&device);
    let memory = device.allocate(4096, MemoryKind::Device).unwrap();
    let base = memory.address();
    let recording = device
        .record(vec![affine(&pipeline, base, 1, 1), Node::Empty])
        .unwrap();
    stream.fill(base, 0, 4, 1024).unwrap();
    stream.replay(&recording).unwrap();
    let wide = |addend| match affine(&pipeline, base, 1, addend) {
        Node::Launch {
            pipeline,
            parameters,
            module,
            printf,
            ..
        } => Node::Launch {
            pipeline,
            grid: [4, 1, 1],
            parameters,
            module,
            printf,
            resident: false,
        },
        other => other,
    };
    recording.set(0, wide(10)).unwrap();
    recording
        .set(
            1,
            Node::Copy {
                destination: base + 2048,
                source: base,
                size: 512,
            },
        )
        .unwrap();
    stream.replay(&recording).unwrap();
    recording.set(0, wide(100)).unwrap();
    stream.replay(&recording).unwrap();
    assert_eq!((word(&stream, base), word(&stream, base + 508)), (111, 110));
    assert_eq!(
        (word(&stream, base + 2048), word(&stream, base + 2048 + 508)),
        (111, 110)
    );
    assert!(matches!(
        recording.set(2, Node::Empty),
        Err(Error::InvalidArgument(_))
    ));
    let lost = Node::Copy {
        destination: 64,
        source: base,
        size: 4,
    };
    assert!(matches!(
        recording.set(1, lost),
        Err(Error::InvalidAddress { .. })
    ));
}

#[test]
fn replays_on_two_streams_do_not_overlap() {
    let device = device();
    let streams = [
        device.create_stream().unwrap(),
        device.create_stream().unwrap(),
    ];
    let pipeline = pipeline(&device);
    let memory = device.allocate(128, MemoryKind::Device).unwrap();
    let base = memory.address();
    streams[0].fill(base, 0, 4, 32).unwrap();
    streams[0].synchronize().unwrap();
    let nodes = (0..50).map(|_| affine(&pipeline, base, 1, 1)).collect();
    let recording = device.record(nodes).unwrap();
    for step in 0..20 {
        streams[step % 2].replay(&recording).unwrap();
    }
    device.synchronize().unwrap();
    assert_eq!(word(&streams[0], base), 1000);
}

#[test]
fn scratch_of_a_recording_is_its_own() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let (block, grid) = ([32, 1, 1], [40, 1, 1]);
    let scratch = device
        .create_shader(&scratch_kernel(64 << 10))
        .unwrap()
        .pipeline(block, 0)
        .unwrap();
    let memory = device.allocate(40 * 128, MemoryKind::Device).unwrap();
    let node = Node::Launch {
        pipeline: scratch,
        grid,
        parameters: memory.address().to_le_bytes().to_vec(),
        module: 0,
        printf: 0,
        resident: false,
    };
    let recording = device.record(vec![node]).unwrap();
    for _ in 0..2 {
        stream.fill(memory.address(), 0, 4, 40 * 32).unwrap();
        stream.replay(&recording).unwrap();
        let mut bytes = vec![0; 40 * 128];
        stream.read(memory.address(), &mut bytes).unwrap();
        for (index, value) in words(&bytes).into_iter().enumerate() {
            assert_eq!(value as usize, index / 32 * 32 + (index % 32 + 1) % 32);
        }
    }
}

#[test]
fn workgroups_that_meet_are_no_more_than_run_at_once() {
    let device = device();
    let pipeline = pipeline(&device);
    let memory = device.allocate(4096, MemoryKind::Device).unwrap();
    let most = device.physical().resident_workgroups();
    let meeting = |count| match affine(&pipeline, memory.address(), 1, 1) {
        Node::Launch {
            pipeline,
            parameters,
            module,
            printf,
            ..
        } => Node::Launch {
            pipeline,
            grid: [count, 1, 1],
            parameters,
            module,
            printf,
            resident: true,
        },
        other => other,
    };
    let recording = device.record(vec![meeting(most)]).unwrap();
    assert!(matches!(
        device.record(vec![meeting(most + 1)]),
        Err(Error::InvalidArgument(_))
    ));
    assert!(matches!(
        recording.set(0, meeting(most + 1)),
        Err(Error::InvalidArgument(_))
    ));
    // What was refused has changed nothing.
    let stream = device.create_stream().unwrap();
    stream.fill(memory.address(), 0, 4, 1024).unwrap();
    stream.replay(&recording).unwrap();
    assert_eq!(word(&stream, memory.address()), 1);
}

#[test]
fn a_recording_outlives_its_handles_while_it_runs() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let memory = device.allocate(128, MemoryKind::Device).unwrap();
    let base = memory.address();
    stream.fill(base, 0, 4, 32).unwrap();
    {
        let pipeline = pipeline(&device);
        let nodes = (0..200).map(|_| affine(&pipeline, base, 1, 1)).collect();
        let recording = device.record(nodes).unwrap();
        stream.replay(&recording).unwrap();
    }
    assert_eq!(word(&stream, base), 200);
}
