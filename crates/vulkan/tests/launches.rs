//! Launches: parameters, push constants, grids, scratch, order, threads, faults.

mod common;

use common::*;
use std::sync::Arc;
use vulkan::{Device, Error, FaultCode, Launch, MemoryKind, Node, Stream};

fn read_words(stream: &Stream, address: u64, count: usize) -> Vec<u32> {
    let mut bytes = vec![0; count * 4];
    stream.read(address, &mut bytes).unwrap();
    words(&bytes)
}

fn launch_index(device: &Arc<Device>, block: [u32; 3], grid: [u32; 3]) {
    let threads: u32 = block.iter().product();
    let groups = grid.iter().map(|&n| n as usize).product::<usize>();
    let count = groups * threads as usize;
    let memory = device
        .allocate(count as u64 * 4 + 4, MemoryKind::Device)
        .unwrap();
    let stream = device.create_stream().unwrap();
    let pipeline = device
        .create_shader(&index_kernel())
        .unwrap()
        .pipeline(block, 0)
        .unwrap();
    stream
        .fill(memory.address(), 0xffff_ffff, 4, count as u64 + 1)
        .unwrap();
    let parameters = parameters(memory.address(), 7, 0);
    stream
        .launch(
            &pipeline,
            &Launch {
                grid,
                parameters: &parameters,
                ..Launch::default()
            },
        )
        .unwrap();
    let result = read_words(&stream, memory.address(), count + 1);
    for (index, &value) in result[..count].iter().enumerate() {
        assert_eq!(
            value,
            7 + index as u32 / threads,
            "word {index} of {block:?} {grid:?}"
        );
    }
    assert_eq!(
        result[count], 0xffff_ffff,
        "nothing is written behind the end"
    );
}

/// A kernel so large that llvmpipe compiles it ahead: launches, and replays of a recording, wait for it.
#[test]
fn a_large_kernel_that_no_cache_has() {
    let device = device();
    let salt = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let pipeline = device
        .create_shader(&large_kernel(salt))
        .unwrap()
        .pipeline([64, 1, 1], 0)
        .unwrap();
    let memory = device.allocate(256, MemoryKind::Device).unwrap();
    let recording = device
        .record(vec![Node::Launch {
            pipeline: Arc::clone(&pipeline),
            grid: [1, 1, 1],
            parameters: parameters(memory.address(), 0, 0).to_vec(),
            module: 0,
            printf: 0,
            resident: false,
        }])
        .unwrap();
    let stream = device.create_stream().unwrap();
    stream.fill(memory.address(), 5, 4, 64).unwrap();
    stream.replay(&recording).unwrap();
    stream
        .launch(
            &pipeline,
            &Launch {
                grid: [1, 1, 1],
                parameters: &parameters(memory.address(), 0, 0),
                ..Launch::default()
            },
        )
        .unwrap();
    let step = |x: u32| x.wrapping_mul(3).wrapping_add(salt);
    let expected = [step(step(5)); 64];
    assert_eq!(read_words(&stream, memory.address(), 64), expected);
}

#[test]
fn blocks_and_grids_of_every_shape() {
    let device = device();
    launch_index(&device, [1, 1, 1], [1, 1, 1]);
    launch_index(&device, [33, 1, 1], [5, 3, 2]);
    launch_index(&device, [8, 4, 2], [3, 2, 4]);
    launch_index(&device, [1024, 1, 1], [2, 1, 1]);
}

#[test]
fn grids_beyond_the_limit_are_split() {
    let device = device();
    // An LM head of 151,936 rows; the limit of lavapipe is 65,535.
    launch_index(&device, [1, 1, 1], [151_936, 1, 1]);
    launch_index(&device, [1, 1, 1], [70_000, 2, 1]);
}

#[test]
fn scratch_slices_belong_to_one_workgroup_each() {
    let device = device();
    let stream = device.create_stream().unwrap();
    // 64 KiB of local memory a thread times 32 threads: 2 MiB a slice, so that few fit the scratch at once.
    for (local_bytes, block, grid) in [
        (16, [64, 1, 1], [100, 3, 2]),
        (64 << 10, [32, 1, 1], [150, 1, 1]),
        (64 << 10, [32, 1, 1], [7, 5, 3]),
        (16, [256, 1, 1], [1, 1, 1]),
    ] {
        let shader = device.create_shader(&scratch_kernel(local_bytes)).unwrap();
        let pipeline = shader.pipeline(block, 0).unwrap();
        let threads = block[0] as usize;
        let groups = grid.iter().map(|&n| n as usize).product::<usize>();
        let memory = device
            .allocate((groups * threads * 4) as u64, MemoryKind::Device)
            .unwrap();
        stream
            .fill(memory.address(), 0xffff_ffff, 4, (groups * threads) as u64)
            .unwrap();
        let parameters = memory.address().to_le_bytes();
        let launch = Launch {
            grid,
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&pipeline, &launch).unwrap();
        let result = read_words(&stream, memory.address(), groups * threads);
        for (index, value) in result.into_iter().enumerate() {
            let expected = index / threads * threads + (index % threads + 1) % threads;
            assert_eq!(
                value as usize, expected,
                "local {local_bytes}, grid {grid:?}"
            );
        }
    }
}

#[test]
fn push_constants_reach_the_kernel() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let translated = report_kernel();
    let pipeline = device
        .create_shader(&translated)
        .unwrap()
        .pipeline([96, 1, 1], 1000)
        .unwrap();
    assert_eq!(
        (pipeline.block(), pipeline.dynamic_shared()),
        ([96, 1, 1], 1000)
    );
    let memory = device.allocate(64, MemoryKind::Device).unwrap();
    let parameters = memory.address().to_le_bytes();
    let mut reports = Vec::new();
    for _ in 0..2 {
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            module: 0x1234_5678_9abc,
            printf: 77,
        };
        stream.launch(&pipeline, &launch).unwrap();
        let mut bytes = [0; 64];
        stream.read(memory.address(), &mut bytes).unwrap();
        let report: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|v| u64::from_le_bytes(v.try_into().unwrap()))
            .collect();
        reports.push(report);
    }
    let info = &translated.info;
    let expected = [
        0x1234_5678_9abc,
        77,
        u64::from(info.slice_bytes(96, 1000)),
        u64::from(info.shared_offset(96)),
        u64::from(info.local_offset(96, 1000)),
        1000,
        u64::from(info.total_shared(1000)),
    ];
    assert_eq!(&reports[0][..7], &expected);
    assert_ne!(
        reports[0][7], reports[1][7],
        "every launch has its own %gridid"
    );
}

#[test]
fn launches_of_a_stream_are_ordered() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = device
        .create_shader(&affine_kernel())
        .unwrap()
        .pipeline([64, 1, 1], 0)
        .unwrap();
    let memory = device.allocate(256, MemoryKind::Device).unwrap();
    stream.fill(memory.address(), 1, 4, 64).unwrap();
    let mut expected = 1u32;
    for step in 0..1000u32 {
        let parameters = parameters(memory.address(), 3, step);
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&pipeline, &launch).unwrap();
        expected = expected.wrapping_mul(3).wrapping_add(step);
    }
    assert_eq!(read_words(&stream, memory.address(), 64), [expected; 64]);
}

#[test]
fn the_parameter_ring_wraps() {
    // A block of 4,096 bytes of parameters, so that 2,000 launches go round the ring several times.
    let device = device();
    let stream = device.create_stream().unwrap();
    let mut translated = affine_kernel();
    translated.info.parameter_bytes = 4096;
    let pipeline = device
        .create_shader(&translated)
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap();
    let memory = device.allocate(128, MemoryKind::Device).unwrap();
    stream.fill(memory.address(), 0, 4, 32).unwrap();
    let mut block = vec![0xee; 4096];
    let mut expected = 0u32;
    for step in 0..2000u32 {
        block[..16].copy_from_slice(&parameters(memory.address(), 5, step));
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &block,
            ..Launch::default()
        };
        stream.launch(&pipeline, &launch).unwrap();
        expected = expected.wrapping_mul(5).wrapping_add(step);
    }
    assert_eq!(read_words(&stream, memory.address(), 32), [expected; 32]);
}

#[test]
fn many_threads_share_a_stream_and_a_shader() {
    let device = device();
    let shader = device.create_shader(&affine_kernel()).unwrap();
    let common = device.create_stream().unwrap();
    let memory = device.allocate(8 * 256, MemoryKind::Device).unwrap();
    common.fill(memory.address(), 0, 4, 8 * 64).unwrap();
    common.synchronize().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let (device, shader, common, memory) = (&device, &shader, &common, &memory);
            scope.spawn(move || {
                let own = device.create_stream().unwrap();
                let stream = if thread % 2 == 0 { common } else { &own };
                for step in 0..100 {
                    // Blocks of different shapes: the map of pipelines is used by all at once.
                    let pipeline = shader.pipeline([64, 1, 1], step % 4).unwrap();
                    let parameters = parameters(memory.address() + thread * 256, 1, 1);
                    let launch = Launch {
                        grid: [1, 1, 1],
                        parameters: &parameters,
                        ..Launch::default()
                    };
                    stream.launch(&pipeline, &launch).unwrap();
                }
                stream.synchronize().unwrap();
            });
        }
    });
    assert_eq!(read_words(&common, memory.address(), 8 * 64), [100; 8 * 64]);
}

#[test]
fn work_progresses_without_a_wait() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = device
        .create_shader(&affine_kernel())
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap();
    let memory = device.allocate(128, MemoryKind::Host).unwrap();
    let host = memory
        .host()
        .expect("pinned memory is mapped")
        .cast::<u32>();
    stream.fill(memory.address(), 0, 4, 32).unwrap();
    for _ in 0..50 {
        let parameters = parameters(memory.address(), 1, 1);
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&pipeline, &launch).unwrap();
    }
    let start = std::time::Instant::now();
    // SAFETY: mapped memory of the allocation.
    while unsafe { host.read_volatile() } != 50 {
        assert!(
            start.elapsed().as_secs() < 20,
            "the background thread submits what nobody waits for"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    stream.synchronize().unwrap();
}

#[test]
fn bad_launches_are_refused() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let shader = device.create_shader(&affine_kernel()).unwrap();
    let most = device.physical().limits().workgroup_invocations;
    assert!(matches!(
        shader.pipeline([most + 1, 1, 1], 0),
        Err(Error::OutOfResources(_))
    ));
    assert!(matches!(
        shader.pipeline([0, 1, 1], 0),
        Err(Error::InvalidArgument(_))
    ));
    let shared = device.physical().limits().shared_memory;
    assert!(matches!(
        shader.pipeline([32, 1, 1], shared + 16),
        Err(Error::OutOfResources(_))
    ));
    let pipeline = shader.pipeline([32, 1, 1], 0).unwrap();
    let short = Launch {
        grid: [1, 1, 1],
        parameters: &[0; 8],
        ..Launch::default()
    };
    assert!(matches!(
        stream.launch(&pipeline, &short),
        Err(Error::InvalidArgument(_))
    ));
    let empty = Launch {
        grid: [1, 0, 1],
        parameters: &[0; 16],
        ..Launch::default()
    };
    assert!(matches!(
        stream.launch(&pipeline, &empty),
        Err(Error::InvalidArgument(_))
    ));
    let garbage = ptx_spirv::Translated {
        spirv: vec![0x0723_0203, 0x0001_0600, 0, 5, 0],
        info: info("none", 0),
    };
    let made = device
        .create_shader(&garbage)
        .and_then(|shader| shader.pipeline([32, 1, 1], 0));
    assert!(
        matches!(made, Err(Error::Pipeline { .. })),
        "an empty module has no entry point"
    );
}

#[test]
fn faults_are_sticky_until_cleared() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = device
        .create_shader(&fault_kernel())
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap();
    for (code, expected) in [
        (1u32, FaultCode::Trap),
        (2, FaultCode::Assert),
        (4, FaultCode::Address),
        (9, FaultCode::Other(9)),
    ] {
        let mut parameters = [0; 8];
        parameters[..4].copy_from_slice(&code.to_le_bytes());
        parameters[4..].copy_from_slice(&4711u32.to_le_bytes());
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&pipeline, &launch).unwrap();
        let Err(Error::Fault(fault)) = stream.synchronize() else {
            panic!("no fault for code {code}")
        };
        assert_eq!((fault.code, fault.data[0]), (expected, 4711));
        assert!(matches!(
            stream.launch(&pipeline, &launch),
            Err(Error::Fault(_))
        ));
        assert!(matches!(device.synchronize(), Err(Error::Fault(_))));
        device.clear_fault();
        device.synchronize().unwrap();
    }
}
