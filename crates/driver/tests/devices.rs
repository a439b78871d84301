//! Two devices: which are shown and in what order, contexts on both, copies between them, and what must not be mixed.
//!
//! The first two GPUs of the machine; where there is no GPU, lavapipe twice over: a copy of its library is a second Vulkan driver.
//! On a machine with one GPU the tests say that they tested nothing.

#[macro_use]
mod common;
#[path = "common/two_devices.rs"]
mod two_devices;

use common::{in_child, is_child, run_child};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::null_mut;
use two_devices::environment;

/// Calls an exported function and checks that it succeeds.
/// Calls an exported function and checks the error it gives.
/// Runs a test in a child process that has two devices, if there are two.
fn with_two(test: &str, more: &[(&str, &str)], body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let Some(environment) = environment() else {
        return;
    };
    let mut all: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    all.extend(more);
    in_child(test, &all, || unreachable!("the child runs the body"));
}

fn uuid(device: CUdevice) -> CUuuid {
    let mut uuid = CUuuid { bytes: [0; 16] };
    ok!(cuDeviceGetUuid(&mut uuid, device));
    uuid
}

fn count() -> i32 {
    let mut count = -1;
    ok!(cuDeviceGetCount(&mut count));
    count
}

fn primary(device: CUdevice) -> CUcontext {
    let mut context = CUcontext::NULL;
    ok!(cuDevicePrimaryCtxRetain(&mut context, device));
    context
}

/// Initialises CUDA and opens the primary contexts of the first two devices. The first is current.
fn start() -> [CUcontext; 2] {
    ok!(cuInit(0));
    assert!(count() >= 2);
    let contexts = [primary(0), primary(1)];
    ok!(cuCtxSetCurrent(contexts[0]));
    contexts
}

fn allocate(context: CUcontext, size: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuCtxPushCurrent_v2(context));
    ok!(cuMemAlloc_v2(&mut address, size));
    ok!(cuCtxPopCurrent_v2(null_mut()));
    address
}

fn write(context: CUcontext, address: CUdeviceptr, bytes: &[u8]) {
    ok!(cuCtxPushCurrent_v2(context));
    ok!(cuMemcpyHtoD_v2(address, bytes.as_ptr().cast(), bytes.len()));
    ok!(cuCtxPopCurrent_v2(null_mut()));
}

fn read(context: CUcontext, address: CUdeviceptr, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; size];
    ok!(cuCtxPushCurrent_v2(context));
    ok!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, size));
    ok!(cuCtxPopCurrent_v2(null_mut()));
    bytes
}

fn pattern(size: usize, seed: u32) -> Vec<u8> {
    (0..size as u32)
        .map(|index| ((index ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// What identifies a device, as the tests print it: the children that see some of the devices are compared with it.
fn identities() -> Vec<String> {
    (0..count())
        .map(|device| {
            let mut bus = [0; 32];
            ok!(cuDeviceGetPCIBusId(bus.as_mut_ptr(), 32, device));
            // SAFETY: terminated by the call.
            let bus = unsafe { CStr::from_ptr(bus.as_ptr()) };
            format!("GPU-{} {}", uuid(device), bus.to_string_lossy())
        })
        .collect()
}

/// The child of the next test: prints the devices it sees.
#[test]
fn devices_are_listed() {
    if !is_child() {
        return;
    }
    // SAFETY: no argument is a pointer.
    match unsafe { cuInit(0) } {
        CUresult::SUCCESS => identities().iter().for_each(|id| println!("seen: {id}")),
        status => {
            assert_eq!(status, CUresult::NO_DEVICE);
            println!("seen: nothing");
        }
    }
}

#[test]
fn the_environment_chooses_devices() {
    if is_child() {
        return;
    }
    let Some(environment) = environment() else {
        return;
    };
    let seen = |visible: Option<&str>| -> Vec<String> {
        let mut all: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend(visible.map(|value| ("CUDA_VISIBLE_DEVICES", value)));
        let text = run_child("devices_are_listed", &all);
        let lines = text.lines().filter_map(|line| line.split_once("seen: "));
        lines.map(|(_, id)| id.to_owned()).collect()
    };
    let all = seen(None);
    assert!(all.len() >= 2, "{all:?}");
    let (first, second) = (all[0].clone(), all[1].clone());
    assert_ne!(first.split(' ').next(), second.split(' ').next(), "UUIDs");
    assert_ne!(first.split(' ').nth(1), second.split(' ').nth(1), "PCI");
    let names = [&first, &second].map(|id| id.split(' ').next().unwrap().to_owned());
    let one = |id: &String| vec![id.clone()];
    let nothing = one(&"nothing".to_owned());
    let both = [one(&second), one(&first)].concat();
    assert_eq!(seen(Some("0")), one(&first));
    assert_eq!(seen(Some("1")), one(&second));
    assert_eq!(seen(Some("1,0")), both);
    assert_eq!(seen(Some(&names[1])), one(&second));
    assert_eq!(seen(Some(&format!("{},{}", names[1], names[0]))), both);
    assert_eq!(seen(Some(&format!("{},0", names[1]))), both);
    // What names no device ends the list, and so does what is named twice.
    assert_eq!(seen(Some("1,-1,0")), one(&second));
    assert_eq!(seen(Some("0,999,1")), one(&first));
    assert_eq!(seen(Some("1,GPU-0,0")), one(&second));
    assert_eq!(seen(Some("0,0,1")), one(&first));
    assert_eq!(seen(Some("-1")), nothing);
    assert_eq!(seen(Some("")), nothing);
    assert_eq!(seen(Some("999,0")), nothing);
}

#[test]
fn contexts_of_both_are_current_in_turn() {
    with_two("contexts_of_both_are_current_in_turn", &[], || {
        let contexts = start();
        assert_ne!(contexts[0], contexts[1]);
        let mut device = -1;
        for (ordinal, context) in contexts.iter().enumerate() {
            ok!(cuCtxSetCurrent(*context));
            ok!(cuCtxGetDevice(&mut device));
            assert_eq!(device as usize, ordinal);
            let (mut free, mut total) = (0, 0);
            ok!(cuMemGetInfo_v2(&mut free, &mut total));
            assert!(free > 0 && total >= free);
        }
        // Addresses are the process's: none is both devices'.
        let addresses: Vec<_> = (0..8)
            .flat_map(|_| contexts.map(|context| (context, allocate(context, 1 << 20))))
            .collect();
        for (index, &(_, address)) in addresses.iter().enumerate() {
            for &(_, other) in &addresses[..index] {
                assert!(
                    address.abs_diff(other) >= 1 << 20,
                    "{address:#x} and {other:#x}"
                );
            }
            let mut ordinal = -1;
            ok!(cuPointerGetAttribute(
                std::ptr::from_mut(&mut ordinal).cast(),
                CUpointer_attribute::DEVICE_ORDINAL,
                address
            ));
            assert_eq!(ordinal, index as i32 % 2);
        }
        // Memory of the other device is freed from here, too.
        addresses
            .iter()
            .for_each(|&(_, address)| ok!(cuMemFree_v2(address)));
        ok!(cuDevicePrimaryCtxRelease_v2(1));
        ok!(cuCtxSetCurrent(contexts[0]));
        let address = allocate(contexts[0], 64);
        ok!(cuMemsetD8_v2(address, 1, 64));
    });
}

#[test]
fn bytes_go_from_device_to_device() {
    with_two("bytes_go_from_device_to_device", &[], || {
        let contexts = start();
        // Less than a word, one piece, several pieces with a rest.
        for (round, size) in [3usize, 4096, (40 << 20) + 12_345].into_iter().enumerate() {
            let source = allocate(contexts[0], size + 16);
            let middle = allocate(contexts[1], size + 16);
            let back = allocate(contexts[0], size + 16);
            let bytes = pattern(size, round as u32);
            write(contexts[0], source + 5, &bytes);
            ok!(cuMemcpyPeer(
                middle + 1,
                contexts[1],
                source + 5,
                contexts[0],
                size
            ));
            assert!(read(contexts[1], middle + 1, size) == bytes, "{size} bytes");
            // With the other context current, and by a stream of that.
            ok!(cuCtxSetCurrent(contexts[1]));
            let mut stream = CUstream::NULL;
            ok!(cuStreamCreate(&mut stream, 1));
            ok!(cuMemsetD8Async(middle + 1, 0x5a, size.min(100), stream));
            ok!(cuMemcpyPeerAsync(
                back + 3,
                contexts[0],
                middle + 1,
                contexts[1],
                size,
                stream
            ));
            ok!(cuMemsetD8Async(middle + 1, 0, size, stream));
            ok!(cuStreamSynchronize(stream));
            let result = read(contexts[0], back + 3, size);
            assert!(result[..size.min(100)].iter().all(|&byte| byte == 0x5a));
            assert!(result[size.min(100)..] == bytes[size.min(100)..]);
            assert_eq!(read(contexts[1], middle + 1, 3), [0; 3]);
            ok!(cuStreamDestroy_v2(stream));
            ok!(cuCtxSetCurrent(contexts[0]));
            for address in [source, middle, back] {
                ok!(cuMemFree_v2(address));
            }
        }
        let memory = contexts.map(|context| allocate(context, 64));
        ok!(cuMemcpyPeer(
            memory[1],
            contexts[1],
            memory[0],
            contexts[0],
            0
        ));
        fails!(
            cuMemcpyPeer(memory[1], CUcontext(7), memory[0], contexts[0], 8),
            INVALID_CONTEXT
        );
        fails!(
            cuMemcpyPeer(memory[1], contexts[1], memory[0], contexts[0], 1 << 30),
            INVALID_VALUE
        );
        // Nor is a part of it done.
        let large = contexts.map(|context| allocate(context, 40 << 20));
        write(contexts[1], large[1], &[1, 2, 3]);
        fails!(
            cuMemcpyPeer(large[1], contexts[1], large[0], contexts[0], 41 << 20),
            INVALID_VALUE
        );
        ok!(cuCtxSynchronize());
        assert_eq!(read(contexts[1], large[1], 3), [1, 2, 3]);
    });
}

/// Addresses alone tell where memory is.
#[test]
fn addresses_say_which_device() {
    with_two("addresses_say_which_device", &[], || {
        let contexts = start();
        let size = 1 << 20;
        let memory = contexts.map(|context| allocate(context, size));
        let other = allocate(contexts[1], size);
        let bytes = pattern(size, 9);
        write(contexts[0], memory[0], &bytes);
        ok!(cuMemcpyDtoD_v2(memory[1], memory[0], size));
        assert!(read(contexts[1], memory[1], size) == bytes);
        // Both on the other device.
        ok!(cuMemcpyDtoDAsync_v2(other, memory[1], size, CUstream::NULL));
        ok!(cuCtxSynchronize());
        assert!(read(contexts[1], other, size) == bytes);
        // Between the host and the other device.
        let mut result = vec![0u8; size];
        ok!(cuMemcpyDtoH_v2(result.as_mut_ptr().cast(), other, size));
        assert!(result == bytes);
        let more = pattern(size, 10);
        ok!(cuMemcpyHtoD_v2(other, more.as_ptr().cast(), size));
        ok!(cuMemcpy(memory[0], other, size));
        assert!(read(contexts[0], memory[0], size) == more);
        ok!(cuMemcpy(result.as_mut_ptr() as u64, other, size));
        assert!(result == more);
        // Pinned memory of the other context.
        ok!(cuCtxSetCurrent(contexts[1]));
        let mut pinned = null_mut();
        ok!(cuMemHostAlloc(&mut pinned, size, CU_MEMHOSTALLOC_PORTABLE));
        ok!(cuMemcpyDtoH_v2(pinned, memory[1], size));
        ok!(cuCtxSetCurrent(contexts[0]));
        ok!(cuMemcpyAsync(
            memory[0],
            pinned as u64,
            size,
            CUstream::NULL
        ));
        assert!(read(contexts[0], memory[0], size) == bytes);
        ok!(cuMemFreeHost(pinned));
    });
}

#[test]
fn rows_go_from_device_to_device() {
    with_two("rows_go_from_device_to_device", &[], || {
        let contexts = start();
        let (pitch, rows, slices) = (256usize, 10usize, 3usize);
        let size = pitch * rows * slices;
        let memory = contexts.map(|context| allocate(context, size));
        let bytes = pattern(size, 77);
        write(contexts[0], memory[0], &bytes);
        write(contexts[1], memory[1], &vec![0xcc; size]);
        let copy = CUDA_MEMCPY3D_PEER {
            srcXInBytes: 3,
            srcY: 1,
            srcMemoryType: CUmemorytype::DEVICE,
            srcDevice: memory[0],
            srcContext: contexts[0],
            srcPitch: pitch,
            srcHeight: rows,
            dstXInBytes: 50,
            dstMemoryType: CUmemorytype::DEVICE,
            dstDevice: memory[1],
            dstContext: contexts[1],
            dstPitch: pitch,
            dstHeight: rows,
            WidthInBytes: 101,
            Height: 7,
            Depth: slices,
            // SAFETY: a structure of numbers and pointers.
            ..unsafe { std::mem::zeroed() }
        };
        let mut expected = vec![0xcc; size];
        for slice in 0..slices {
            for row in 0..7 {
                let to = (slice * rows + row) * pitch + 50;
                let from = (slice * rows + row + 1) * pitch + 3;
                expected[to..to + 101].copy_from_slice(&bytes[from..from + 101]);
            }
        }
        ok!(cuMemcpy3DPeer(&copy));
        assert!(read(contexts[1], memory[1], size) == expected);
        write(contexts[1], memory[1], &vec![0xcc; size]);
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, 0));
        ok!(cuMemcpy3DPeerAsync(&copy, stream));
        ok!(cuStreamSynchronize(stream));
        assert!(read(contexts[1], memory[1], size) == expected);
        // By addresses alone.
        write(contexts[1], memory[1], &vec![0xcc; size]);
        let plain = |unified| CUDA_MEMCPY3D {
            srcXInBytes: 3,
            srcY: 1,
            srcMemoryType: unified,
            srcDevice: memory[0],
            srcPitch: pitch,
            srcHeight: rows,
            dstXInBytes: 50,
            dstMemoryType: unified,
            dstDevice: memory[1],
            dstPitch: pitch,
            dstHeight: rows,
            WidthInBytes: 101,
            Height: 7,
            Depth: slices,
            // SAFETY: as above.
            ..unsafe { std::mem::zeroed() }
        };
        ok!(cuMemcpy3D_v2(&plain(CUmemorytype::UNIFIED)));
        assert!(read(contexts[1], memory[1], size) == expected);
        write(contexts[1], memory[1], &vec![0xcc; size]);
        ok!(cuMemcpy3DAsync_v2(&plain(CUmemorytype::DEVICE), stream));
        ok!(cuStreamSynchronize(stream));
        assert!(read(contexts[1], memory[1], size) == expected);
        let mut rows_here = vec![0u8; 101 * 7];
        let down = CUDA_MEMCPY2D {
            srcXInBytes: 50,
            srcMemoryType: CUmemorytype::DEVICE,
            srcDevice: memory[1],
            srcPitch: pitch,
            dstMemoryType: CUmemorytype::HOST,
            dstHost: rows_here.as_mut_ptr().cast(),
            WidthInBytes: 101,
            Height: 7,
            // SAFETY: as above.
            ..unsafe { std::mem::zeroed() }
        };
        ok!(cuMemcpy2D_v2(&down));
        for row in 0..7 {
            let from = row * pitch + 50;
            assert_eq!(rows_here[row * 101..][..101], expected[from..from + 101]);
        }
        // From an array, whose context is not asked for.
        let mut array = CUarray::NULL;
        let descriptor = CUDA_ARRAY_DESCRIPTOR {
            Width: 100,
            Height: 8,
            Format: CUarray_format::UNSIGNED_INT8,
            NumChannels: 1,
        };
        ok!(cuArrayCreate_v2(&mut array, &descriptor));
        let into = CUDA_MEMCPY2D {
            srcMemoryType: CUmemorytype::HOST,
            srcHost: bytes.as_ptr().cast(),
            dstMemoryType: CUmemorytype::ARRAY,
            dstArray: array,
            WidthInBytes: 100,
            Height: 8,
            // SAFETY: as above.
            ..unsafe { std::mem::zeroed() }
        };
        ok!(cuMemcpy2D_v2(&into));
        let from_array = CUDA_MEMCPY3D_PEER {
            srcMemoryType: CUmemorytype::ARRAY,
            srcArray: array,
            srcContext: CUcontext::NULL,
            srcXInBytes: 10,
            srcY: 2,
            dstXInBytes: 0,
            dstPitch: 64,
            WidthInBytes: 60,
            Height: 5,
            Depth: 1,
            ..copy
        };
        ok!(cuMemcpy3DPeer(&from_array));
        let result = read(contexts[1], memory[1], 5 * 64);
        for row in 0..5 {
            let from = (row + 2) * 100 + 10;
            assert_eq!(result[row * 64..][..60], bytes[from..from + 60]);
        }
    });
}

#[test]
fn devices_do_not_reach_each_other() {
    with_two("devices_do_not_reach_each_other", &[], || {
        let contexts = start();
        let mut can = -1;
        for (device, peer) in [(0, 1), (1, 0)] {
            ok!(cuDeviceCanAccessPeer(&mut can, device, peer));
            assert_eq!(can, 0);
            ok!(cuDeviceGetP2PAttribute(
                &mut can,
                CUdevice_P2PAttribute::ACCESS_SUPPORTED,
                device,
                peer
            ));
            assert_eq!(can, 0);
        }
        fails!(cuDeviceCanAccessPeer(&mut can, 0, 999), INVALID_DEVICE);
        fails!(
            cuCtxEnablePeerAccess(contexts[1], 0),
            PEER_ACCESS_UNSUPPORTED
        );
        fails!(cuCtxEnablePeerAccess(contexts[1], 1), INVALID_VALUE);
        fails!(
            cuCtxEnablePeerAccess(contexts[0], 0),
            PEER_ACCESS_UNSUPPORTED
        );
        fails!(cuCtxEnablePeerAccess(CUcontext(5), 0), INVALID_CONTEXT);
        fails!(cuCtxDisablePeerAccess(contexts[1]), PEER_ACCESS_NOT_ENABLED);
        // Nor do mapped addresses.
        let mut supported = 0;
        let attribute = CUdevice_attribute::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED;
        ok!(cuDeviceGetAttribute(&mut supported, attribute, 1));
        if supported == 0 {
            eprintln!("no virtual memory management on device 1");
            return;
        }
        let wanted = CUmemAllocationProp {
            kind: CUmemAllocationType::PINNED,
            location: CUmemLocation {
                kind: CUmemLocationType::DEVICE,
                id: 1,
            },
            // SAFETY: a structure of numbers and pointers.
            ..unsafe { std::mem::zeroed() }
        };
        let (mut piece, mut handle, mut address) = (0, 0, 0);
        ok!(cuMemGetAllocationGranularity(
            &mut piece,
            &wanted,
            CUmemAllocationGranularity_flags::MINIMUM
        ));
        ok!(cuMemCreate(&mut handle, piece, &wanted, 0));
        ok!(cuCtxSetCurrent(contexts[1]));
        ok!(cuMemAddressReserve(&mut address, 4 * piece, 0, 0, 0));
        ok!(cuMemMap(address, piece, 0, handle, 0));
        let access = |device| CUmemAccessDesc {
            location: CUmemLocation {
                kind: CUmemLocationType::DEVICE,
                id: device,
            },
            flags: CUmemAccess_flags::READWRITE,
        };
        fails!(cuMemSetAccess(address, piece, &access(0), 1), NOT_SUPPORTED);
        ok!(cuMemSetAccess(address, piece, &access(1), 1));
        let mut flags = 9;
        ok!(cuMemGetAccess(&mut flags, &access(0).location, address));
        assert_eq!(flags, 0);
        ok!(cuMemGetAccess(&mut flags, &access(1).location, address));
        assert_eq!(flags, 3);
        // But copies go there.
        ok!(cuCtxSetCurrent(contexts[0]));
        let here = allocate(contexts[0], piece);
        ok!(cuMemsetD8_v2(here, 0x31, piece));
        ok!(cuMemcpyDtoD_v2(address, here, piece));
        assert!(read(contexts[1], address, piece)
            .iter()
            .all(|&byte| byte == 0x31));
        ok!(cuMemUnmap(address, piece));
        ok!(cuMemRelease(handle));
        ok!(cuMemAddressFree(address, 4 * piece));
    });
}

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
// data[i] = data[i] * 3 + step, as often as asked for
.visible .entry steps(.param .u64 data, .param .u32 step, .param .u32 count) {
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    .reg .pred %p;
    ld.param.u64 %rd1, [data];
    ld.param.u32 %r1, [step];
    ld.param.u32 %r6, [count];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r2, %r2, %r3, %r4;
    mul.wide.u32 %rd2, %r2, 4;
    add.u64 %rd3, %rd1, %rd2;
    ld.global.u32 %r5, [%rd3];
again:
    mad.lo.u32 %r5, %r5, 3, %r1;
    sub.u32 %r6, %r6, 1;
    setp.ne.u32 %p, %r6, 0;
    @%p bra again;
    st.global.u32 [%rd3], %r5;
    ret;
}
";

const WORDS: usize = 4096;

fn function() -> CUfunction {
    let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    ok!(cuModuleGetFunction(
        &mut function,
        module,
        c"steps".as_ptr()
    ));
    function
}

fn launch(function: CUfunction, data: CUdeviceptr, step: u32, stream: CUstream) -> CUresult {
    let count = 100u32;
    let mut arguments: [*mut c_void; 3] = [
        std::ptr::from_ref(&data).cast_mut().cast(),
        std::ptr::from_ref(&step).cast_mut().cast(),
        std::ptr::from_ref(&count).cast_mut().cast(),
    ];
    // SAFETY: the arguments are as the kernel's parameters.
    unsafe {
        cuLaunchKernel(
            function,
            WORDS as u32 / 64,
            1,
            1,
            64,
            1,
            1,
            0,
            stream,
            arguments.as_mut_ptr(),
            null_mut(),
        )
    }
}

/// Threads with a device each, at the same time.
#[test]
fn both_compute_at_once() {
    with_two("both_compute_at_once", &[], || {
        let contexts = start();
        let results: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = contexts
                .iter()
                .enumerate()
                .map(|(device, &context)| {
                    scope.spawn(move || {
                        ok!(cuCtxSetCurrent(context));
                        let (function, data) = (function(), allocate(context, WORDS * 4));
                        let mut stream = CUstream::NULL;
                        ok!(cuStreamCreate(&mut stream, 1));
                        ok!(cuMemsetD32Async(data, device as u32, WORDS, stream));
                        for step in 0..50 {
                            let status = launch(function, data, step, stream);
                            assert_eq!(status, CUresult::SUCCESS);
                        }
                        ok!(cuStreamSynchronize(stream));
                        read(context, data, WORDS * 4)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for (device, result) in results.iter().enumerate() {
            let mut expected = device as u32;
            for step in 0..50 {
                for _ in 0..100 {
                    expected = expected.wrapping_mul(3).wrapping_add(step);
                }
            }
            assert!(*result == expected.to_le_bytes().repeat(WORDS), "{device}");
        }
    });
}

#[test]
fn handles_belong_to_a_device() {
    with_two("handles_belong_to_a_device", &[], || {
        let contexts = start();
        let (mut streams, mut events) = ([CUstream::NULL; 2], [CUevent::NULL; 2]);
        for device in 0..2 {
            ok!(cuCtxSetCurrent(contexts[device]));
            ok!(cuStreamCreate(&mut streams[device], 1));
            ok!(cuEventCreate(&mut events[device], 0));
        }
        ok!(cuCtxSetCurrent(contexts[0]));
        let function = function();
        let data = contexts.map(|context| allocate(context, WORDS * 4));
        fails!(cuEventRecord(events[0], streams[1]), INVALID_HANDLE);
        fails!(cuEventRecord(events[1], streams[0]), INVALID_HANDLE);
        assert_eq!(
            launch(function, data[1], 1, streams[1]),
            CUresult::INVALID_HANDLE
        );
        for device in 0..2 {
            ok!(cuEventRecord(events[device], streams[device]));
            ok!(cuEventSynchronize(events[device]));
        }
        let mut time = 0.0;
        fails!(
            cuEventElapsedTime(&mut time, events[0], events[1]),
            INVALID_HANDLE
        );
        // Waiting for the other device's event is allowed, and is how their work is ordered.
        ok!(cuMemsetD32Async(data[0], 7, WORDS, streams[0]));
        assert_eq!(launch(function, data[0], 1, streams[0]), CUresult::SUCCESS);
        ok!(cuEventRecord(events[0], streams[0]));
        ok!(cuStreamWaitEvent(streams[1], events[0], 0));
        ok!(cuCtxSetCurrent(contexts[1]));
        ok!(cuMemcpyPeerAsync(
            data[1],
            contexts[1],
            data[0],
            contexts[0],
            WORDS * 4,
            streams[1]
        ));
        ok!(cuStreamSynchronize(streams[1]));
        let mut expected = 7u32;
        for _ in 0..100 {
            expected = expected.wrapping_mul(3).wrapping_add(1);
        }
        let result = read(contexts[1], data[1], WORDS * 4);
        assert!(result == expected.to_le_bytes().repeat(WORDS));
        // Streams work whichever context is current.
        ok!(cuMemsetD32Async(data[0], 3, 16, streams[0]));
        ok!(cuStreamSynchronize(streams[0]));
        assert_eq!(read(contexts[0], data[0], 4), [3, 0, 0, 0]);
    });
}

/// A copy waits in its stream for what the host does later, and other host functions run meanwhile.
#[test]
fn copies_between_devices_do_not_block() {
    with_two("copies_between_devices_do_not_block", &[], || {
        let contexts = start();
        let size = 20 << 20;
        let source = allocate(contexts[0], size);
        let destination = allocate(contexts[1], size);
        let flag = allocate(contexts[0], 4);
        ok!(cuMemsetD32_v2(flag, 0, 1));
        ok!(cuMemsetD8_v2(source, 1, size));
        let (mut waiting, mut free) = (CUstream::NULL, CUstream::NULL);
        ok!(cuStreamCreate(&mut waiting, 1));
        ok!(cuStreamCreate(&mut free, 1));
        ok!(cuCtxSynchronize());
        ok!(cuStreamWaitValue32_v2(waiting, flag, 1, 0));
        ok!(cuMemsetD8Async(source, 2, size, waiting));
        ok!(cuMemcpyPeerAsync(
            destination,
            contexts[1],
            source,
            contexts[0],
            size,
            waiting
        ));
        fails!(cuStreamQuery(waiting), NOT_READY);
        // Another copy overtakes it.
        let (other, there) = (allocate(contexts[0], 64), allocate(contexts[1], 64));
        ok!(cuMemsetD8Async(other, 5, 64, free));
        ok!(cuMemcpyPeerAsync(
            there,
            contexts[1],
            other,
            contexts[0],
            64,
            free
        ));
        ok!(cuStreamSynchronize(free));
        assert_eq!(read(contexts[1], there, 64), [5; 64]);
        fails!(cuStreamQuery(waiting), NOT_READY);
        ok!(cuStreamWriteValue32_v2(free, flag, 1, 0));
        ok!(cuStreamSynchronize(waiting));
        let result = read(contexts[1], destination, size);
        assert!(result.iter().all(|&byte| byte == 2));
        // Nor can it be captured.
        ok!(cuStreamBeginCapture_v2(free, CUstreamCaptureMode::RELAXED));
        fails!(
            cuMemcpyPeerAsync(there, contexts[1], other, contexts[0], 64, free),
            STREAM_CAPTURE_UNSUPPORTED
        );
        let mut graph = CUgraph::NULL;
        fails!(
            cuStreamEndCapture(free, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
    });
}
