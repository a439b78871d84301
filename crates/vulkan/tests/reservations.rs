//! Addresses and memory apart: reservations, backings, mappings.

mod common;

use common::*;
use std::sync::Arc;
use vulkan::{Device, Error, Launch, Node, Reservation, Stream, GRANULARITY};

const G: u64 = GRANULARITY;

/// A reservation, or nothing where the device has none: then there is nothing to test.
fn reserve(device: &Arc<Device>, size: u64) -> Option<Arc<Reservation>> {
    if device.physical().longest_reservation() < size {
        eprintln!(
            "{} reserves no {size} bytes: NOTHING TESTED",
            device.physical().name()
        );
        return None;
    }
    Some(device.reserve(size, G, 0).expect("a reservation"))
}

fn read(stream: &Stream, address: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; size];
    stream.read(address, &mut bytes).unwrap();
    bytes
}

#[test]
fn copies_fills_and_kernels_reach_several_mappings() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let Some(range) = reserve(&device, 16 * G) else {
        return;
    };
    let base = range.address();
    assert_eq!(base % G, 0);
    assert_eq!(range.size(), 16 * G);
    assert!(device.find(base).is_none());
    let one = device.create_backing(2 * G).unwrap();
    let two = device.create_backing(3 * G).unwrap();
    let first = range.map(G, &one, 2 * G).unwrap();
    // Less than all of it.
    let second = range.map(3 * G, &two, G).unwrap();
    assert_eq!((second.address(), second.size()), (base + 3 * G, G));
    let found = device.find(base + 2 * G).unwrap();
    assert_eq!((found.base, found.size), (base + G, 2 * G));
    drop((one, two));

    // The border between the two.
    let border = base + 3 * G;
    let pipeline = device
        .create_shader(&index_kernel())
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap();
    let block = parameters(border - 512, 100, 0);
    let launch = Launch {
        grid: [8, 1, 1],
        parameters: &block,
        ..Launch::default()
    };
    stream.launch(&pipeline, &launch).unwrap();
    let expected: Vec<u32> = (0..256).map(|index| 100 + index / 32).collect();
    assert_eq!(words(&read(&stream, border - 512, 1024)), expected);
    stream.copy(base + G + 3, border - 512, 1024).unwrap();
    assert_eq!(words(&read(&stream, base + G + 3, 1024)), expected);
    stream.fill(border - 511, 0x5a, 1, 1021).unwrap();
    let bytes = read(&stream, border - 512, 1024);
    assert!(bytes[1..1022].iter().all(|&byte| byte == 0x5a) && bytes[0] == 100);
    // More than one piece of every sort of staging, across the border.
    let large: Vec<u8> = (0..3 * G).map(|index| ((index * 7) >> 8) as u8).collect();
    stream.write(base + G, &large).unwrap();
    assert!(read(&stream, base + G, large.len()) == large);
    // On GPUs by a kernel.
    stream.copy(border - G, base + G, G).unwrap();
    assert!(read(&stream, border - G, G as usize) == large[..G as usize]);

    let recording = device
        .record(vec![
            Node::Fill {
                destination: border - 64,
                pitch: 0,
                pattern: 0x1234,
                width: 2,
                count: 64,
                rows: 1,
            },
            Node::Copy {
                destination: base + G,
                source: border - 64,
                size: 128,
            },
        ])
        .unwrap();
    stream.replay(&recording).unwrap();
    assert_eq!(read(&stream, base + G, 128), [0x34, 0x12].repeat(64));

    for (address, size) in [
        (base, 1),
        (base + G - 1, 2),
        (base + 4 * G - 1, 2),
        (base + 15 * G, 8),
    ] {
        assert!(
            matches!(
                stream.fill(address, 0, 1, size),
                Err(Error::InvalidAddress { .. })
            ),
            "{size} bytes at {address:#x}"
        );
    }
    drop(first);
    assert!(matches!(
        stream.fill(border - 1, 0, 1, 2),
        Err(Error::InvalidAddress { .. })
    ));
    stream.fill(border, 9, 1, 2).unwrap();
    assert_eq!(read(&stream, border, 2), [9, 9]);
}

#[test]
fn memory_moves_between_addresses() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let Some(range) = reserve(&device, 8 * G) else {
        return;
    };
    let base = range.address();
    let backing = device.create_backing(G).unwrap();
    let mapping = range.map(0, &backing, G).unwrap();
    // The work need not be done, nor even submitted, when the mapping goes.
    for step in 0..64 {
        stream.fill(base, step, 4, G / 4).unwrap();
    }
    drop(mapping);
    let mapping = range.map(5 * G, &backing, G).unwrap();
    assert_eq!(
        words(&read(&stream, base + 5 * G, G as usize)),
        vec![63; G as usize / 4]
    );
    // Two addresses at once.
    match range.map(G, &backing, G) {
        Ok(alias) => {
            stream.fill(alias.address(), 5, 4, 16).unwrap();
            stream.synchronize().unwrap();
            assert_eq!(words(&read(&stream, base + 5 * G, 64)), [5; 16]);
        }
        Err(Error::Unsupported(what)) => eprintln!("not supported: {what}"),
        Err(error) => panic!("{error}"),
    }
    drop(mapping);
    // Other memory at the same addresses.
    let other = device.create_backing(G).unwrap();
    let there = range.map(0, &other, G).unwrap();
    stream.fill(base, 1, 4, 4).unwrap();
    drop(there);
    let back = range.map(0, &backing, G).unwrap();
    assert_eq!(words(&read(&stream, base, 16)), [5; 4]);
    // What is left keeps what it needs.
    drop((range, backing, other));
    stream.fill(base, 2, 4, 4).unwrap();
    assert_eq!(words(&read(&stream, base, 16)), [2; 4]);
    drop(back);
}

#[test]
fn what_does_not_fit_is_refused() {
    let device = device();
    let Some(range) = reserve(&device, 4 * G) else {
        assert!(matches!(
            device.reserve(G, G, 0),
            Err(Error::Unsupported(_) | Error::OutOfMemory { .. })
        ));
        return;
    };
    let refused = |result: Result<(), Error>| {
        assert!(
            matches!(result, Err(Error::InvalidArgument(_))),
            "{result:?}"
        )
    };
    refused(device.reserve(0, G, 0).map(drop));
    refused(device.reserve(G + 1, G, 0).map(drop));
    refused(device.reserve(G, G / 2, 0).map(drop));
    refused(device.reserve(G, 3 * G, 0).map(drop));
    refused(device.create_backing(0).map(drop));
    refused(device.create_backing(G - 1).map(drop));
    let backing = device.create_backing(2 * G).unwrap();
    for (offset, size) in [
        (0, 0),
        (1, G),
        (0, G + 1),
        (0, 3 * G),
        (3 * G, 2 * G),
        (u64::MAX - G + 1, G),
    ] {
        refused(range.map(offset, &backing, size).map(drop));
    }
    let most = device.physical().longest_reservation();
    assert!(matches!(
        device.reserve((most / G + 1) * G, G, 0),
        Err(Error::OutOfMemory { .. })
    ));
    let total = device.memory_info().total;
    assert!(matches!(
        device.create_backing((total / G + 1) * G),
        Err(Error::OutOfMemory { .. })
    ));
    // Larger alignments than the granularity.
    match device.reserve(G, 64 * G, 0) {
        Ok(range) => assert_eq!(range.address() % (64 * G), 0),
        Err(error) => panic!("{error}"),
    }
}

/// Memory comes back when the last of handle and mapping goes.
#[test]
fn memory_comes_and_goes() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let Some(range) = reserve(&device, 64 * G) else {
        return;
    };
    for round in 0..40 {
        let size = (round % 8 + 1) * 8 * G;
        let backing = device.create_backing(size).unwrap();
        let mapping = range.map(64 * G - size, &backing, size).unwrap();
        drop(backing);
        stream
            .fill(mapping.address(), round as u32, 4, size / 4)
            .unwrap();
        let last = read(&stream, mapping.address() + size - 4, 4);
        assert_eq!(words(&last), [round as u32]);
    }
}
