//! Paths that the device at hand would not take by itself: memory that is not mapped, blocks of other shapes, kernels for
//! GPUs. Sparse blocks are not mapped, so they stand for the memory of a discrete GPU.

use crate::error::Error;
use crate::kernels;
use crate::memory::{claim, Allocation, Shape, GRANULARITY};
use crate::operations::FusedFma;
use crate::{Device, Instance, MemoryKind};
use std::sync::Arc;

fn device() -> Arc<Device> {
    // SAFETY: every test of this file sets the same value, and nothing else reads it meanwhile.
    unsafe { std::env::set_var("VKCUDA_CACHE", "0") };
    let instance = Instance::load().expect("a Vulkan loader");
    let physical = instance
        .physical_devices()
        .first()
        .expect("a usable device; lavapipe will do");
    Device::open(physical).expect("the device opens")
}

fn allocate(device: &Arc<Device>, size: u64, shape: Shape) -> Result<Allocation, Error> {
    device.shared().memory.allocate_as(size, shape)
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Sparse memory, or nothing where the device has none: then there is no unmapped memory to test with.
fn unmapped(device: &Arc<Device>, size: u64) -> Option<Allocation> {
    if device.physical().limits().sparse_address_space == 0 {
        eprintln!("this device has no sparse binding: the test shows nothing");
        return None;
    }
    let memory = allocate(device, size, Shape::Sparse(1 << 20)).expect("sparse memory");
    assert_eq!(memory.host(), None);
    Some(memory)
}

#[test]
fn unmapped_memory_is_written_and_read_through_staging() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let size = (70 << 20) + 12_345;
    let Some(memory) = unmapped(&device, size as u64) else {
        return;
    };
    let bytes = pattern(size);
    // More than the staging ring, in one call.
    stream.write(memory.address(), &bytes).unwrap();
    let mut result = vec![0; size];
    stream.read(memory.address(), &mut result).unwrap();
    assert!(result == bytes);
    // Small and unaligned.
    for (offset, length) in [
        (1, 1),
        (3, 1000),
        ((1 << 20) - 7, 20),
        (5, 65_536),
        (9, 65_537),
    ] {
        let piece = &bytes[1000..1000 + length];
        stream
            .write(memory.address() + offset as u64, piece)
            .unwrap();
        let mut result = vec![0; length];
        stream
            .read(memory.address() + offset as u64, &mut result)
            .unwrap();
        assert!(result == piece, "{length} bytes at {offset}");
    }
    stream
        .fill(memory.address() + 1, 0x3c, 1, (3 << 20) + 1)
        .unwrap();
    stream.read(memory.address(), &mut result).unwrap();
    assert!(result[1..(3 << 20) + 2].iter().all(|&byte| byte == 0x3c));
}

#[test]
fn reads_of_several_threads_keep_apart() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let size = 9usize << 20;
    let Some(memory) = unmapped(&device, 2 * size as u64) else {
        return;
    };
    let bytes = pattern(2 * size);
    stream.write(memory.address(), &bytes).unwrap();
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (stream, memory, bytes) = (&stream, &memory, &bytes);
            scope.spawn(move || {
                let mut result = vec![0; size];
                stream
                    .read(memory.address() + (half * size) as u64, &mut result)
                    .unwrap();
                assert!(result == bytes[half * size..(half + 1) * size]);
            });
        }
    });
}

#[test]
fn blocks_of_every_shape_hold_data() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let size = 9 << 20;
    let bytes = pattern(size as usize);
    for shape in [
        Shape::Single,
        Shape::EndToEnd(2 << 20),
        Shape::Sparse(2 << 20),
        Shape::HostPieces(2 << 20),
    ] {
        let memory = match allocate(&device, size, shape) {
            Ok(memory) => memory,
            // Some drivers have no such blocks and say so.
            Err(Error::Unsupported(what)) => {
                eprintln!("{shape:?}: {what}");
                assert_ne!(shape, Shape::Single);
                continue;
            }
            Err(error) => panic!("{shape:?}: {error}"),
        };
        stream.write(memory.address(), &bytes).unwrap();
        // Across every border.
        let copy = allocate(&device, size, Shape::Single).unwrap();
        stream
            .copy(copy.address(), memory.address() + 3, size - 3)
            .unwrap();
        stream
            .copy(memory.address() + 1, copy.address(), size - 3)
            .unwrap();
        let mut result = vec![0; size as usize];
        stream.read(memory.address(), &mut result).unwrap();
        assert!(result[1..size as usize - 2] == bytes[3..], "{shape:?}");
    }
    if device.physical().is_llvmpipe() {
        assert!(allocate(&device, size, Shape::EndToEnd(2 << 20)).is_ok());
        assert!(allocate(&device, size, Shape::HostPieces(2 << 20)).is_ok());
    }
}

/// The way of GPUs, also where the device has another: sparse buffers that are bound in parts.
#[test]
fn sparse_reservations_hold_data() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let memory = &device.shared().memory;
    if device.physical().features.core.sparse_residency_buffer == 0 {
        eprintln!("this device has no sparseResidencyBuffer: the test shows nothing");
        return;
    }
    for alignment in [GRANULARITY, 32 * GRANULARITY] {
        let range = memory
            .reserve_as(16 * GRANULARITY, alignment, 0, false)
            .unwrap();
        let base = range.address();
        assert_eq!(base % alignment, 0);
        let size = 3 * GRANULARITY;
        let one = memory.create_backing_as(size, false).unwrap();
        let two = memory.create_backing_as(size, false).unwrap();
        let first = range.map(GRANULARITY, &one, 2 * GRANULARITY).unwrap();
        let second = range.map(3 * GRANULARITY, &two, size).unwrap();
        let bytes = pattern(5 * GRANULARITY as usize);
        stream.write(base + GRANULARITY, &bytes).unwrap();
        let mut result = vec![0; bytes.len()];
        stream.read(base + GRANULARITY, &mut result).unwrap();
        assert!(result == bytes);
        // The other one's memory in its place, and its own elsewhere.
        drop((first, second));
        let third = range.map(GRANULARITY, &two, size).unwrap();
        let fourth = range.map(8 * GRANULARITY, &one, size).unwrap();
        let part = 2 * GRANULARITY as usize;
        stream.read(fourth.address(), &mut result[..part]).unwrap();
        assert!(result[..part] == bytes[..part]);
        stream
            .read(third.address(), &mut result[..size as usize])
            .unwrap();
        assert!(result[..size as usize] == bytes[part..]);
        // Neither sort of memory goes to the other sort of addresses.
        if device.physical().is_llvmpipe() {
            let other = memory.create_backing_as(GRANULARITY, true).unwrap();
            assert!(range.map(0, &other, GRANULARITY).is_err());
            let host = memory.reserve(GRANULARITY, GRANULARITY, 0).unwrap();
            assert!(host.map(0, &one, GRANULARITY).is_err());
        }
    }
}

/// 512 bytes for everything and pages for what is large, as programs expect of NVIDIA's driver.
#[test]
fn memory_is_aligned() {
    let device = device();
    let mut kept = Vec::new();
    for kind in [MemoryKind::Device, MemoryKind::Managed, MemoryKind::Host] {
        for size in [
            1,
            300,
            4096 + 512,
            1 << 20,
            3_710_976,
            (8 << 20) + 77,
            20 << 20,
        ] {
            let memory = device.allocate(size, kind).unwrap();
            let alignment = if size < 1 << 20 { 512 } else { 4096 };
            let address = memory.address();
            assert_eq!(
                address % alignment,
                0,
                "{size} bytes of {kind:?}: {address:#x}"
            );
            kept.push(memory);
        }
    }
}

/// Addresses that another device has are not given out, as long as there are others.
#[test]
fn addresses_of_other_devices_are_left_alone() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let mut tested = 0;
    for size in [17u64 << 20, 64 << 20, 19 << 20, 65 << 20] {
        let first = device.allocate(size, MemoryKind::Device).unwrap();
        let address = first.address();
        drop(first);
        device.synchronize().unwrap();
        // What the driver would give out again, unless another test already has it.
        let Some(_other) = claim(address, size) else {
            continue;
        };
        tested += 1;
        // As much, and parts of it.
        for wanted in [size, size, 16 << 20, 16 << 20] {
            let memory = device.allocate(wanted, MemoryKind::Device).unwrap();
            let start = memory.address();
            assert!(
                start >= address + size || start + wanted <= address,
                "{wanted} bytes at {start:#x}, {size} at {address:#x} taken"
            );
            stream.fill(start, 7, 4, 16).unwrap();
            stream.synchronize().unwrap();
        }
    }
    assert!(tested > 0);
}

#[test]
fn the_copy_kernel_copies() {
    let device = device();
    let stream = device.create_stream().unwrap();
    let pipeline = kernels::copy_pipeline(device.shared()).unwrap();
    // The last pair: more than one launch.
    for (size, most) in [
        (16, 65_535),
        (4096, 65_535),
        (16 * 1024, 65_535),
        (16 * 1025, 65_535),
        ((3 << 20) + 16, 65_535),
        ((3 << 20) + 16, 50),
    ] {
        let source = allocate(&device, size + 32, Shape::Single).unwrap();
        let destination = allocate(&device, size + 32, Shape::Single).unwrap();
        let bytes = pattern(size as usize);
        stream.write(source.address() + 16, &bytes).unwrap();
        stream
            .fill(destination.address(), 0xee, 1, size + 32)
            .unwrap();
        stream
            .kernel_copy(
                &pipeline,
                destination.address() + 16,
                source.address() + 16,
                size,
                most,
            )
            .unwrap();
        let mut result = vec![0; size as usize + 32];
        stream.read(destination.address(), &mut result).unwrap();
        let (before, rest) = result.split_at(16);
        let (middle, after) = rest.split_at(size as usize);
        assert!(middle == bytes, "{size} bytes");
        assert!(
            before.iter().chain(after).all(|&byte| byte == 0xee),
            "around {size} bytes"
        );
    }
}

#[test]
fn the_fma_probe_agrees_with_the_table() {
    let device = device();
    let fused = kernels::probe_fused_fma(&device).unwrap();
    match device.physical().fma {
        FusedFma::Yes => assert!(fused),
        FusedFma::No => assert!(!fused),
        FusedFma::Unknown => assert_eq!(device.target().fused_fma, fused),
    }
}

#[test]
fn the_yield_probe_passes_on_llvmpipe() {
    let device = device();
    if device.physical().is_llvmpipe() {
        assert!(kernels::probe_yields(&device).unwrap());
    }
}
