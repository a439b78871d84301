//! Memory: sizes, addresses, lookups, reuse, imports, copies of every alignment.

mod common;

use common::*;
use std::sync::Arc;
use vulkan::{Copy2d, Device, Error, Launch, MemoryKind, Stream};

/// Bytes that depend on their position.
fn pattern(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..size)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect()
}

fn read(stream: &Stream, address: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    stream.read(address, &mut bytes).unwrap();
    bytes
}

#[test]
fn addresses_are_aligned_and_apart() {
    let device = device();
    let mut allocations = Vec::new();
    for size in [1, 255, 256, 257, 4096, 100_000, 5 << 20, 20 << 20] {
        for kind in [MemoryKind::Device, MemoryKind::Host, MemoryKind::Managed] {
            match device.allocate(size, kind) {
                Ok(allocation) => allocations.push(allocation),
                Err(Error::Unsupported(_)) if kind == MemoryKind::Managed => {}
                Err(error) => panic!("{size} bytes of {kind:?}: {error}"),
            }
        }
    }
    let mut ranges: Vec<_> = allocations
        .iter()
        .map(|a| (a.address(), a.size()))
        .collect();
    ranges.sort();
    assert!(ranges.iter().all(|(address, _)| address % 256 == 0));
    assert!(ranges
        .windows(2)
        .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
    for allocation in &allocations {
        if allocation.kind() != MemoryKind::Device {
            assert!(allocation.host().is_some());
        }
        if allocation.kind() == MemoryKind::Managed {
            assert_eq!(
                allocation.host().map(|host| host as u64),
                Some(allocation.address())
            );
        }
    }
    assert!(matches!(
        device.allocate(0, MemoryKind::Device),
        Err(Error::InvalidArgument(_))
    ));
}

#[test]
fn lookups_know_their_allocation() {
    let device = device();
    let a = device.allocate(1000, MemoryKind::Device).unwrap();
    let b = device.allocate(1000, MemoryKind::Host).unwrap();
    for allocation in [&a, &b] {
        for offset in [0, 1, 999] {
            let found = device.find(allocation.address() + offset).unwrap();
            assert_eq!((found.base, found.size), (allocation.address(), 1000));
            assert_eq!(
                (found.kind, found.host),
                (allocation.kind(), allocation.host())
            );
        }
        assert!(device.find(allocation.address() + 1000).is_none());
    }
    let host = b.host().unwrap();
    assert_eq!(
        device.find_host(host.wrapping_add(999)).unwrap().base,
        b.address()
    );
    assert!(device.find_host(host.wrapping_add(1000)).is_none());
    assert!(device.find(0).is_none() && device.find(u64::MAX).is_none());
    assert!(device.find_host([0u8].as_ptr()).is_none());
    let address = a.address();
    drop(a);
    assert!(device.find(address).is_none());
}

#[test]
fn freed_memory_is_used_again_but_not_before_the_work_is_done() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let first = device.allocate(4096, MemoryKind::Device).unwrap();
    let address = first.address();
    drop(first);
    let second = device.allocate(4096, MemoryKind::Device).unwrap();
    assert_eq!(second.address(), address, "nothing was running");
    let (release, released) = std::sync::mpsc::channel::<()>();
    stream
        .host_function(Box::new(move || released.recv().unwrap()))
        .unwrap();
    drop(second);
    let third = device.allocate(4096, MemoryKind::Device).unwrap();
    assert_ne!(third.address(), address, "the stream is not done");
    release.send(()).unwrap();
    stream.synchronize().unwrap();
    drop(third);
    let fourth = device.allocate(4096, MemoryKind::Device).unwrap();
    assert_eq!(fourth.address(), address);
}

#[test]
fn too_much_is_out_of_memory() {
    let device = device();
    for size in [1 << 50, u64::MAX, u64::MAX - 255] {
        assert_eq!(
            device.allocate(size, MemoryKind::Device).err(),
            Some(Error::OutOfMemory { requested: size })
        );
    }
    let info = device.memory_info();
    assert!(info.free > 0 && info.free <= info.total, "{info:?}");
    // Still usable.
    device.allocate(1 << 20, MemoryKind::Device).unwrap();
}

#[test]
fn copies_of_every_alignment() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let size = 300;
    let source = device.allocate(size as u64, MemoryKind::Device).unwrap();
    let destination = device.allocate(size as u64, MemoryKind::Device).unwrap();
    let bytes = pattern(size, 1);
    stream.write(source.address(), &bytes).unwrap();
    for (to, from, length) in [
        (0, 0, 300),
        (1, 0, 17),
        (0, 1, 1),
        (3, 5, 2),
        (7, 2, 255),
        (4, 8, 64),
        (299, 0, 1),
        (5, 5, 0),
    ] {
        stream
            .fill(destination.address(), 0xcc, 1, size as u64)
            .unwrap();
        stream
            .copy(destination.address() + to, source.address() + from, length)
            .unwrap();
        let mut expected = vec![0xcc; size];
        let (to, from, length) = (to as usize, from as usize, length as usize);
        expected[to..to + length].copy_from_slice(&bytes[from..from + length]);
        assert_eq!(
            read(&stream, destination.address(), size),
            expected,
            "{to} {from} {length}"
        );
    }
    let outside = stream.copy(destination.address() + 1, source.address(), 300);
    assert!(matches!(outside, Err(Error::InvalidAddress { .. })));
    assert!(matches!(
        stream.copy(16, source.address(), 4),
        Err(Error::InvalidAddress { .. })
    ));
}

#[test]
fn fills_of_every_width_and_alignment() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let size = 64usize;
    let memory = device.allocate(size as u64, MemoryKind::Device).unwrap();
    for width in [1u32, 2, 4] {
        let step = width as usize;
        for start in (0..9).step_by(step) {
            for count in [0, 1, 2, 3, 4, 5, 9, 12] {
                stream.fill(memory.address(), 0x55, 1, size as u64).unwrap();
                stream
                    .fill(
                        memory.address() + start as u64,
                        0x0403_0201,
                        width,
                        count as u64,
                    )
                    .unwrap();
                let mut expected = vec![0x55; size];
                for index in 0..count * step {
                    expected[start + index] = (index % step) as u8 + 1;
                }
                assert_eq!(
                    read(&stream, memory.address(), size),
                    expected,
                    "{width} {start} {count}"
                );
            }
        }
    }
    assert!(matches!(
        stream.fill(memory.address() + 1, 0, 2, 1),
        Err(Error::InvalidArgument(_))
    ));
    assert!(matches!(
        stream.fill(memory.address(), 0, 8, 1),
        Err(Error::InvalidArgument(_))
    ));
    assert!(matches!(
        stream.fill(memory.address(), 0, 4, 17),
        Err(Error::InvalidAddress { .. })
    ));
}

#[test]
fn rows_are_filled_and_copied() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let (width, height) = (13u64, 3000u64);
    let (from_pitch, to_pitch) = (17u64, 23u64);
    let source = device
        .allocate(from_pitch * height, MemoryKind::Device)
        .unwrap();
    let destination = device
        .allocate(to_pitch * height, MemoryKind::Device)
        .unwrap();
    let bytes = pattern((from_pitch * height) as usize, 2);
    stream.write(source.address(), &bytes).unwrap();
    stream
        .fill(destination.address(), 0, 1, to_pitch * height)
        .unwrap();
    let copy = Copy2d {
        destination: destination.address() + 1,
        destination_pitch: to_pitch,
        source: source.address() + 2,
        source_pitch: from_pitch,
        width,
        height,
    };
    stream.copy_2d(&copy).unwrap();
    stream
        .fill_2d(destination.address() + 15, to_pitch, 0xab, 1, 5, height)
        .unwrap();
    let mut expected = vec![0u8; (to_pitch * height) as usize];
    for row in 0..height as usize {
        let (to, from) = (row * to_pitch as usize, row * from_pitch as usize);
        expected[to + 1..to + 14].copy_from_slice(&bytes[from + 2..from + 15]);
        expected[to + 15..to + 20].fill(0xab);
    }
    assert!(read(&stream, destination.address(), expected.len()) == expected);
    let overlapping = Copy2d {
        destination_pitch: 12,
        ..copy
    };
    assert!(matches!(
        stream.copy_2d(&overlapping),
        Err(Error::InvalidArgument(_))
    ));
}

fn round_trip(device: &Arc<Device>, stream: &Stream, kind: MemoryKind, size: usize) {
    let memory = device.allocate(size as u64, kind).unwrap();
    let bytes = pattern(size, size as u64);
    // Work before the write, so that it cannot go straight to mapped memory.
    stream.fill(memory.address(), 0, 1, size as u64).unwrap();
    stream.write(memory.address(), &bytes).unwrap();
    assert!(
        read(stream, memory.address(), size) == bytes,
        "{size} bytes of {kind:?}"
    );
    // And straight, with an idle stream, off alignment.
    if size > 10 {
        stream
            .write(memory.address() + 3, &bytes[..size - 10])
            .unwrap();
        assert!(read(stream, memory.address() + 3, size - 10) == bytes[..size - 10]);
    }
}

#[test]
fn host_data_goes_there_and_back() {
    let device = device();
    let stream = device.create_stream().unwrap();
    for size in [1, 7, 1000, 65_536, 65_537, 5 << 20, (9 << 20) + 5] {
        round_trip(&device, &stream, MemoryKind::Device, size);
        round_trip(&device, &stream, MemoryKind::Host, size);
    }
}

#[test]
fn small_writes_wrap_around_the_ring() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let memory = device.allocate(100 * 50_000, MemoryKind::Device).unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let bytes = pattern(100 * 50_000, 3);
    // 5 MB through a ring of 1 MiB behind a blocked host function: the writer waits until it is released.
    std::thread::scope(|scope| {
        stream
            .host_function(Box::new(move || released.recv().unwrap()))
            .unwrap();
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            release.send(()).unwrap();
        });
        for (index, piece) in bytes.chunks(50_000).enumerate() {
            stream
                .write(memory.address() + index as u64 * 50_000, piece)
                .unwrap();
        }
    });
    assert!(read(&stream, memory.address(), bytes.len()) == bytes);
}

#[test]
fn application_memory_is_imported() {
    let device = device();
    let stream = device.create_stream().unwrap();
    if device.physical().limits().host_pointer_alignment == 0 {
        let mut bytes = [0u8; 16];
        // SAFETY: the array outlives the call, which fails.
        let result = unsafe { device.import_host(bytes.as_mut_ptr(), 16) };
        assert!(matches!(result.err(), Some(Error::Unsupported(_))));
        return;
    }
    // Off page alignment, as malloc gives it.
    let mut bytes = pattern(100_000, 4);
    let size = bytes.len() - 11;
    // SAFETY: the vector outlives the allocation and the work.
    let imported = unsafe { device.import_host(bytes[11..].as_mut_ptr(), size as u64) }.unwrap();
    assert_eq!(imported.kind(), MemoryKind::Imported);
    assert_eq!(imported.host(), Some(bytes[11..].as_mut_ptr()));
    assert_eq!(
        device.find_host(bytes[20..].as_ptr()).unwrap().base,
        imported.address()
    );
    let memory = device.allocate(size as u64, MemoryKind::Device).unwrap();
    stream
        .copy(memory.address(), imported.address(), size as u64)
        .unwrap();
    assert!(read(&stream, memory.address(), size) == bytes[11..]);
    stream.fill(imported.address(), 0x77, 1, 50).unwrap();
    stream.synchronize().unwrap();
    assert!(bytes[11..61].iter().all(|&byte| byte == 0x77));
    assert!(bytes[..11] == pattern(11, 4) && bytes[61..] == pattern(100_000, 4)[61..]);
    drop(imported);
    assert!(device.find_host(bytes[20..].as_ptr()).is_none());
}

/// More than maxMemoryAllocationSize (2 GiB) and maxBufferSize (4 GiB - 1) of lavapipe, at contiguous addresses, used by
/// fills, copies and kernels on both sides of every border.
#[test]
fn huge_allocations_work() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let gib = 1u64 << 30;
    for size in [3 * gib, 5 * gib + 4096] {
        let free = device.memory_info().free;
        assert!(
            free > size,
            "this test needs {size} bytes of memory, the device has {free}"
        );
        let memory = device.allocate(size, MemoryKind::Device).unwrap();
        let base = memory.address();
        let found = device.find(base + size - 1).unwrap();
        assert_eq!((found.base, found.size), (base, size));
        // A kernel writes 1 KiB around each GiB border.
        let pipeline = device
            .create_shader(&index_kernel())
            .unwrap()
            .pipeline([32, 1, 1], 0)
            .unwrap();
        let borders: Vec<u64> = (1..=size / gib)
            .map(|index| base + index * gib - 512)
            .collect();
        for &border in borders
            .iter()
            .filter(|&&border| border + 1024 <= base + size)
        {
            let parameters = parameters(border, 100, 0);
            let launch = Launch {
                grid: [8, 1, 1],
                parameters: &parameters,
                ..Launch::default()
            };
            stream.launch(&pipeline, &launch).unwrap();
            let expected: Vec<u32> = (0..256).map(|index| 100 + index / 32).collect();
            assert_eq!(words(&read(&stream, border, 1024)), expected);
            // A copy and a fill across the border, and a host write.
            stream.copy(base + 16, border, 1024).unwrap();
            assert_eq!(words(&read(&stream, base + 16, 1024)), expected);
            stream.fill(border + 1, 0x5a, 1, 1021).unwrap();
            let bytes = read(&stream, border, 1024);
            assert!(
                bytes[1..1022].iter().all(|&byte| byte == 0x5a)
                    && bytes[0] == 100
                    && bytes[1023] == 0
            );
            stream.write(border, &pattern(1024, 9)).unwrap();
            assert_eq!(read(&stream, border, 1024), pattern(1024, 9));
        }
        stream.write(base + size - 4, &[1, 2, 3, 4]).unwrap();
        assert_eq!(read(&stream, base + size - 4, 4), [1, 2, 3, 4]);
        assert!(matches!(
            stream.fill(base + size - 4, 0, 4, 2),
            Err(Error::InvalidAddress { .. })
        ));
    }
}
