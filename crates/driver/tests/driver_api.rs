//! The driver API by itself: contexts, memory, streams, events, capture and graphs, without kernels.
//!
//! Each test runs in a process of its own: on a CPU device a wrong address would end all of them.

#[macro_use]
mod common;

use common::{allocate, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_char, c_void, CStr};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

fn read(address: CUdeviceptr, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; size];
    ok!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, size));
    bytes
}

fn stream(flags: u32) -> CUstream {
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, flags));
    stream
}

#[test]
fn nothing_works_before_cu_init() {
    in_child("nothing_works_before_cu_init", &[], || {
        let mut count = 0;
        fails!(cuDeviceGetCount(&mut count), NOT_INITIALIZED);
        fails!(cuInit(1), INVALID_VALUE);
        ok!(cuInit(0));
        ok!(cuDeviceGetCount(&mut count));
        assert!(count > 0);
        fails!(cuDeviceGetCount(null_mut()), INVALID_VALUE);
        let mut device = 0;
        fails!(cuDeviceGet(&mut device, count), INVALID_DEVICE);
        fails!(cuDeviceGet(&mut device, -1), INVALID_DEVICE);
        fails!(cuCtxGetDevice(&mut device), INVALID_CONTEXT);
    });
}

#[test]
fn hidden_devices_are_not_there() {
    in_child(
        "hidden_devices_are_not_there",
        &[("CUDA_VISIBLE_DEVICES", "-1")],
        || {
            fails!(cuInit(0), NO_DEVICE);
            let mut count = 7;
            fails!(cuDeviceGetCount(&mut count), NO_DEVICE);
        },
    );
}

#[test]
fn a_forked_process_starts_without_cuda() {
    in_child("a_forked_process_starts_without_cuda", &[], || {
        primary();
        // SAFETY: the child calls two functions and ends without any handlers.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut count = 0;
            // SAFETY: a valid place.
            let refused = unsafe { (cuInit(0), cuDeviceGetCount(&mut count)) };
            let expected = (CUresult::NOT_INITIALIZED, CUresult::NOT_INITIALIZED);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(refused != expected)) };
        }
        let mut status = -1;
        // SAFETY: a valid place.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0);
        allocate(16);
    });
}

#[test]
fn devices_have_identities() {
    in_child("devices_have_identities", &[], || {
        ok!(cuInit(0));
        let (mut text, mut found) = ([0 as c_char; 32], -1);
        ok!(cuDeviceGetPCIBusId(text.as_mut_ptr(), 32, 0));
        ok!(cuDeviceGetByPCIBusId(&mut found, text.as_ptr()));
        assert_eq!(found, 0);
        fails!(cuDeviceGetPCIBusId(text.as_mut_ptr(), 5, 0), INVALID_VALUE);
        let mut value = -1;
        for number in 1..200 {
            let attribute = CUdevice_attribute(number);
            match attribute.name() {
                Some(_) => ok!(cuDeviceGetAttribute(&mut value, attribute, 0)),
                None => fails!(
                    cuDeviceGetAttribute(&mut value, attribute, 0),
                    INVALID_VALUE
                ),
            }
        }
        let mut total = 0;
        ok!(cuDeviceTotalMem_v2(&mut total, 0));
        assert!(total > 1 << 20);
    });
}

#[test]
fn entry_points_follow_version_and_stream() {
    in_child("entry_points_follow_version_and_stream", &[], || {
        let get = |name: &CStr, version, flags| {
            let mut function = null_mut();
            let mut found = CUdriverProcAddressQueryResult::SUCCESS;
            // SAFETY: valid places.
            let status = unsafe {
                cuGetProcAddress_v2(name.as_ptr(), &mut function, version, flags, &mut found)
            };
            (status, function as usize, found)
        };
        assert_eq!(
            get(c"cuMemAlloc", 12000, 0).1,
            cuMemAlloc_v2 as *const () as usize
        );
        assert_eq!(
            get(c"cuMemcpyAsync", 12000, 2).1,
            cuMemcpyAsync_ptsz as *const () as usize
        );
        assert_eq!(
            get(c"cuMemcpyAsync", 12000, 1).1,
            cuMemcpyAsync as *const () as usize
        );
        let missing = get(c"cuNothing", 12000, 0);
        assert_eq!(
            missing,
            (
                CUresult::SUCCESS,
                0,
                CUdriverProcAddressQueryResult::SYMBOL_NOT_FOUND
            )
        );
        let early = get(c"cuLibraryLoadData", 11000, 0);
        assert_eq!(
            early,
            (
                CUresult::SUCCESS,
                0,
                CUdriverProcAddressQueryResult::VERSION_NOT_SUFFICIENT
            )
        );
        // What is not implemented is there and says so when called.
        let absent = get(c"cuIpcGetMemHandle", 12000, 0).1;
        assert_ne!(absent, 0);
        fails!(cuIpcGetMemHandle(), NOT_SUPPORTED);
    });
}

#[test]
fn contexts_are_a_stack() {
    in_child("contexts_are_a_stack", &[], || {
        let primary = primary();
        let (mut created, mut current) = (CUcontext::NULL, CUcontext::NULL);
        ok!(cuCtxCreate_v2(&mut created, 0, 0));
        ok!(cuCtxGetCurrent(&mut current));
        assert_eq!(current, created);
        let other_thread = std::thread::spawn(|| {
            let mut current = CUcontext(1);
            ok!(cuCtxGetCurrent(&mut current));
            current
        });
        assert_eq!(other_thread.join().unwrap(), CUcontext::NULL);
        // Memory of one context is known in the other.
        let address = allocate(100);
        ok!(cuCtxPushCurrent_v2(primary));
        let mut owner = CUcontext::NULL;
        let place = std::ptr::from_mut(&mut owner).cast();
        ok!(cuPointerGetAttribute(
            place,
            CUpointer_attribute::CONTEXT,
            address
        ));
        ok!(cuMemFree_v2(address));
        ok!(cuCtxPopCurrent_v2(&mut current));
        assert_eq!(current, primary);
        ok!(cuCtxDestroy_v2(created));
        fails!(cuCtxSetCurrent(created), INVALID_CONTEXT);
        ok!(cuCtxGetCurrent(&mut current));
        assert_eq!(current, primary, "what was below");
        fails!(cuCtxDestroy_v2(primary), INVALID_CONTEXT);
        ok!(cuDevicePrimaryCtxRelease_v2(0));
        fails!(cuDevicePrimaryCtxRelease_v2(0), INVALID_CONTEXT);
        let mut address = 0;
        fails!(cuMemAlloc_v2(&mut address, 16), CONTEXT_IS_DESTROYED);
    });
}

#[test]
fn memory_is_checked() {
    in_child("memory_is_checked", &[], || {
        primary();
        let mut address = 0;
        fails!(cuMemAlloc_v2(&mut address, 0), INVALID_VALUE);
        fails!(cuMemAlloc_v2(&mut address, 1 << 60), OUT_OF_MEMORY);
        let address = allocate(1000);
        assert_eq!(address % 256, 0);
        fails!(cuMemsetD32_v2(address + 2, 0, 4), INVALID_VALUE);
        fails!(cuMemsetD8_v2(address, 0, 1001), INVALID_VALUE);
        fails!(cuMemcpyDtoD_v2(address, 64, 8), INVALID_VALUE);
        fails!(cuMemFree_v2(address + 256), INVALID_VALUE);
        let (mut base, mut size) = (0, 0);
        ok!(cuMemGetAddressRange_v2(&mut base, &mut size, address + 999));
        assert_eq!((base, size), (address, 1000));
        let mut kind = 0u32;
        let place: *mut c_void = std::ptr::from_mut(&mut kind).cast();
        ok!(cuPointerGetAttribute(
            place,
            CUpointer_attribute::MEMORY_TYPE,
            address
        ));
        assert_eq!(kind, CUmemorytype::DEVICE.0);
        // The runtime reads a word of what is a boolean, and has not set it before.
        kind = u32::MAX;
        ok!(cuPointerGetAttribute(
            place,
            CUpointer_attribute::IS_MANAGED,
            address
        ));
        assert_eq!(kind, 0);
        ok!(cuMemFree_v2(address));
        fails!(cuMemFree_v2(address), INVALID_VALUE);
        ok!(cuMemFree_v2(0));
        fails!(
            cuPointerGetAttribute(place, CUpointer_attribute::MEMORY_TYPE, address),
            INVALID_VALUE
        );
    });
}

#[test]
fn host_memory_is_reached_by_the_device() {
    in_child("host_memory_is_reached_by_the_device", &[], || {
        primary();
        let (mut pinned, mut address) = (null_mut(), 0);
        ok!(cuMemHostAlloc(&mut pinned, 4096, CU_MEMHOSTALLOC_DEVICEMAP));
        ok!(cuMemHostGetDevicePointer_v2(&mut address, pinned, 0));
        ok!(cuMemsetD8_v2(address + 10, 0x5a, 20));
        // SAFETY: the memory is this test's and the fill has completed.
        let bytes = unsafe { std::slice::from_raw_parts(pinned.cast::<u8>(), 40) };
        assert!(bytes[10..30].iter().all(|&b| b == 0x5a));
        ok!(cuMemFreeHost(pinned));
        fails!(cuMemFreeHost(pinned), INVALID_VALUE);

        let mut own = vec![1u8; 10_000];
        let pointer: *mut c_void = own.as_mut_ptr().cast();
        let mut supported = 0;
        ok!(cuDeviceGetAttribute(
            &mut supported,
            CUdevice_attribute::HOST_REGISTER_SUPPORTED,
            0
        ));
        if supported != 0 {
            ok!(cuMemHostRegister_v2(pointer, own.len(), 0));
            fails!(
                cuMemHostRegister_v2(pointer, own.len(), 0),
                HOST_MEMORY_ALREADY_REGISTERED
            );
            ok!(cuMemHostGetDevicePointer_v2(&mut address, pointer, 0));
            ok!(cuMemsetD16_v2(address, 0x0203, 3));
            ok!(cuMemHostUnregister(pointer));
            assert_eq!(own[..7], [3, 2, 3, 2, 3, 2, 1]);
            fails!(cuMemHostUnregister(pointer), HOST_MEMORY_NOT_REGISTERED);
        }
    });
}

#[test]
fn rows_are_copied_in_every_direction() {
    in_child("rows_are_copied_in_every_direction", &[], || {
        primary();
        let (mut address, mut pitch) = (0, 0);
        ok!(cuMemAllocPitch_v2(&mut address, &mut pitch, 100, 10, 4));
        assert!(pitch >= 100);
        let source: Vec<u8> = (0..120 * 10).map(|i| i as u8).collect();
        let mut copy = CUDA_MEMCPY2D {
            srcXInBytes: 5,
            srcY: 1,
            srcMemoryType: CUmemorytype::HOST,
            srcHost: source.as_ptr().cast(),
            srcDevice: 0,
            srcArray: CUarray::NULL,
            srcPitch: 120,
            dstXInBytes: 0,
            dstY: 0,
            dstMemoryType: CUmemorytype::DEVICE,
            dstHost: null_mut(),
            dstDevice: address,
            dstArray: CUarray::NULL,
            dstPitch: pitch,
            WidthInBytes: 100,
            Height: 9,
        };
        ok!(cuMemcpy2D_v2(&copy));
        let other = allocate(pitch * 10);
        copy = CUDA_MEMCPY2D {
            srcXInBytes: 0,
            srcY: 0,
            srcMemoryType: CUmemorytype::DEVICE,
            srcDevice: address,
            srcPitch: pitch,
            dstDevice: other,
            dstPitch: 128,
            ..copy
        };
        ok!(cuMemcpy2DAsync_v2(&copy, CUstream::NULL));
        let mut back = vec![0u8; 9 * 110];
        copy = CUDA_MEMCPY2D {
            srcDevice: other,
            srcPitch: 128,
            dstXInBytes: 10,
            dstMemoryType: CUmemorytype::HOST,
            dstHost: back.as_mut_ptr().cast(),
            dstPitch: 110,
            ..copy
        };
        ok!(cuMemcpy2D_v2(&copy));
        for row in 0..9 {
            assert_eq!(
                back[row * 110 + 10..][..100],
                source[(row + 1) * 120 + 5..][..100],
                "row {row}"
            );
            assert_eq!(back[row * 110..][..10], [0; 10]);
        }
        copy.srcPitch = 99;
        fails!(cuMemcpy2D_v2(&copy), INVALID_VALUE);
        ok!(cuMemsetD2D32_v2(address, pitch, 0x01020304, 2, 3));
        assert_eq!(
            read(address + pitch as u64 * 2, 9)[..8],
            [4, 3, 2, 1, 4, 3, 2, 1]
        );
    });
}

/// As NVIDIA's driver answers (measured with 580).
#[test]
fn pitch_and_height_count_for_one_row_too() {
    in_child("pitch_and_height_count_for_one_row_too", &[], || {
        primary();
        let source: Vec<u8> = (0..=255).collect();
        let destination = allocate(1024);
        let copied = |skip: [usize; 3], size: [usize; 3], pitch: usize, height: usize| {
            // SAFETY: zero is a value of each of its fields.
            let mut copy: CUDA_MEMCPY3D = unsafe { std::mem::zeroed() };
            copy.srcMemoryType = CUmemorytype::HOST;
            copy.srcHost = source.as_ptr().cast();
            (copy.srcPitch, copy.srcHeight) = (pitch, height);
            [copy.srcXInBytes, copy.srcY, copy.srcZ] = skip;
            copy.dstMemoryType = CUmemorytype::DEVICE;
            copy.dstDevice = destination;
            copy.dstPitch = size[0];
            [copy.WidthInBytes, copy.Height, copy.Depth] = size;
            // SAFETY: the structure and what it names live.
            let result = unsafe { cuMemcpy3D_v2(&copy) };
            (result == CUresult::SUCCESS).then(|| {
                let bytes = read(destination, size.iter().product());
                let rows = bytes.chunks(size[0]);
                rows.map(|row| row[0]).collect::<Vec<u8>>()
            })
        };
        assert_eq!(copied([0, 0, 0], [24, 1, 1], 20, 4), None, "width");
        assert_eq!(copied([8, 0, 0], [16, 1, 1], 20, 4), None, "end of a row");
        assert_eq!(copied([0, 0, 0], [16, 4, 1], 20, 3), None, "height");
        assert_eq!(copied([0, 9, 0], [16, 1, 1], 20, 4), None, "end of rows");
        assert_eq!(copied([4, 0, 0], [16, 2, 1], 20, 4), Some(vec![4, 24]));
        // Without pitch or height, what is skipped belongs to it.
        let rows = copied([8, 0, 0], [24, 4, 1], 0, 0);
        assert_eq!(rows, Some(vec![8, 40, 72, 104]));
        let rows = copied([0, 1, 0], [16, 4, 2], 20, 0);
        assert_eq!(rows, Some(vec![20, 40, 60, 80, 120, 140, 160, 180]));
        let rows = copied([4, 1, 1], [4, 2, 1], 0, 0);
        assert_eq!(rows, Some(vec![36, 44]));
    });
}

static CALLS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count_call(add: *mut c_void) {
    CALLS.fetch_add(add as u32, Ordering::Relaxed);
}

#[test]
fn streams_and_events_keep_order() {
    in_child("streams_and_events_keep_order", &[], || {
        primary();
        let (a, b) = (
            stream(CU_STREAM_NON_BLOCKING),
            stream(CU_STREAM_NON_BLOCKING),
        );
        let address = allocate(4 << 20);
        let (mut start, mut end) = (CUevent::NULL, CUevent::NULL);
        ok!(cuEventCreate(&mut start, 0));
        ok!(cuEventCreate(&mut end, 0));
        ok!(cuEventQuery(start));
        let mut milliseconds = -1.0;
        fails!(
            cuEventElapsedTime(&mut milliseconds, start, end),
            INVALID_HANDLE
        );
        ok!(cuEventRecord(start, a));
        for value in 0..20 {
            ok!(cuMemsetD32Async(address, value, 1 << 20, a));
        }
        ok!(cuLaunchHostFunc(a, Some(count_call), 3 as *mut c_void));
        ok!(cuEventRecord(end, a));
        ok!(cuStreamWaitEvent(b, end, 0));
        ok!(cuMemcpyDtoDAsync_v2(address, address + (2 << 20), 4, b));
        ok!(cuStreamSynchronize(b));
        assert_eq!(CALLS.load(Ordering::Relaxed), 3, "b waited for a");
        assert_eq!(read(address, 4), [19, 0, 0, 0]);
        ok!(cuEventSynchronize(end));
        ok!(cuEventElapsedTime(&mut milliseconds, start, end));
        assert!(milliseconds > 0.0, "{milliseconds}");
        ok!(cuStreamQuery(b));
        ok!(cuStreamDestroy_v2(a));
        fails!(cuStreamSynchronize(a), INVALID_HANDLE);
        ok!(cuEventDestroy_v2(start));
        fails!(cuEventQuery(start), INVALID_HANDLE);
    });
}

#[test]
fn the_legacy_stream_waits_for_blocking_streams() {
    in_child("the_legacy_stream_waits_for_blocking_streams", &[], || {
        primary();
        let blocking = stream(0);
        let (a, b) = (allocate(8 << 20), allocate(8 << 20));
        for round in 1..20u32 {
            for _ in 0..3 {
                ok!(cuMemsetD32Async(a, round, 2 << 20, blocking));
            }
            // The legacy stream's copy comes after the fills, the next fill after it, each without being told.
            ok!(cuMemcpyDtoDAsync_v2(b, a, 8 << 20, CUstream::NULL));
            ok!(cuMemsetD32Async(a, 0, 2 << 20, blocking));
            ok!(cuMemsetD32Async(a, round + 100, 1, CU_STREAM_PER_THREAD));
            assert_eq!(read(b + (8 << 20) - 4, 4), round.to_le_bytes());
        }
    });
}

#[test]
fn pools_count_what_is_used() {
    in_child("pools_count_what_is_used", &[], || {
        primary();
        let (mut pool, mut address, mut used) = (CUmemoryPool::NULL, 0, 0u64);
        let stream = stream(CU_STREAM_NON_BLOCKING);
        ok!(cuDeviceGetDefaultMemPool(&mut pool, 0));
        ok!(cuMemAllocAsync(&mut address, 5000, stream));
        ok!(cuMemsetD8Async(address, 1, 5000, stream));
        let place: *mut c_void = std::ptr::from_mut(&mut used).cast();
        ok!(cuMemPoolGetAttribute(
            pool,
            CUmemPool_attribute::USED_MEM_CURRENT,
            place
        ));
        assert_eq!(used, 5000);
        ok!(cuMemFreeAsync(address, stream));
        ok!(cuStreamSynchronize(stream));
        fails!(cuMemFree_v2(address), INVALID_VALUE);
    });
}

fn capture_fills(stream: CUstream, address: CUdeviceptr, value: u8) -> CUgraph {
    let mut graph = CUgraph::NULL;
    ok!(cuStreamBeginCapture_v2(
        stream,
        CUstreamCaptureMode::RELAXED
    ));
    ok!(cuMemsetD8Async(address, value, 64, stream));
    ok!(cuMemcpyDtoDAsync_v2(address + 64, address, 64, stream));
    ok!(cuStreamEndCapture(stream, &mut graph));
    graph
}

fn instantiate(graph: CUgraph) -> CUgraphExec {
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

#[test]
fn captured_work_is_replayed_and_updated() {
    in_child("captured_work_is_replayed_and_updated", &[], || {
        primary();
        let stream = stream(CU_STREAM_NON_BLOCKING);
        let address = allocate(128);
        ok!(cuMemsetD8_v2(address, 0, 128));
        let graph = capture_fills(stream, address, 7);
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read(address, 128), [0; 128], "captured, not run");
        let exec = instantiate(graph);
        let mut nodes = 0;
        ok!(cuGraphGetNodes(graph, null_mut(), &mut nodes));
        assert_eq!(nodes, 2);
        for _ in 0..3 {
            ok!(cuMemsetD8Async(address, 0, 128, stream));
            ok!(cuGraphLaunch(exec, stream));
            ok!(cuStreamSynchronize(stream));
            assert_eq!(read(address, 128), [7; 128]);
        }
        let other = capture_fills(stream, address, 9);
        let mut result = CUgraphExecUpdateResultInfo {
            result: CUgraphExecUpdateResult::ERROR,
            errorNode: CUgraphNode::NULL,
            errorFromNode: CUgraphNode::NULL,
        };
        ok!(cuGraphExecUpdate_v2(exec, other, &mut result));
        assert_eq!(result.result, CUgraphExecUpdateResult::SUCCESS);
        ok!(cuGraphDestroy(graph));
        ok!(cuGraphDestroy(other));
        ok!(cuGraphLaunch(exec, stream));
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read(address, 128), [9; 128]);

        // Another shape does not fit.
        let mut longer = CUgraph::NULL;
        ok!(cuStreamBeginCapture_v2(stream, CUstreamCaptureMode::GLOBAL));
        ok!(cuMemsetD8Async(address, 1, 64, stream));
        ok!(cuStreamEndCapture(stream, &mut longer));
        fails!(
            cuGraphExecUpdate_v2(exec, longer, &mut result),
            GRAPH_EXEC_UPDATE_FAILURE
        );
        assert_eq!(
            result.result,
            CUgraphExecUpdateResult::ERROR_TOPOLOGY_CHANGED
        );
        ok!(cuGraphExecDestroy(exec));
        fails!(cuGraphLaunch(exec, stream), INVALID_VALUE);
    });
}

#[test]
fn captures_fork_and_join() {
    in_child("captures_fork_and_join", &[], || {
        primary();
        let (a, b) = (
            stream(CU_STREAM_NON_BLOCKING),
            stream(CU_STREAM_NON_BLOCKING),
        );
        let (mut fork, mut join, mut graph) = (CUevent::NULL, CUevent::NULL, CUgraph::NULL);
        ok!(cuEventCreate(&mut fork, CU_EVENT_DISABLE_TIMING));
        ok!(cuEventCreate(&mut join, CU_EVENT_DISABLE_TIMING));
        let address = allocate(256);
        let mut host = [0u8; 4];
        let value = [4u8, 3, 2, 1];
        ok!(cuStreamBeginCapture_v2(
            a,
            CUstreamCaptureMode::THREAD_LOCAL
        ));
        ok!(cuMemsetD8Async(address, 1, 64, a));
        ok!(cuEventRecord(fork, a));
        ok!(cuStreamWaitEvent(b, fork, 0));
        let mut status = CUstreamCaptureStatus::NONE;
        ok!(cuStreamIsCapturing(b, &mut status));
        assert_eq!(status, CUstreamCaptureStatus::ACTIVE);
        ok!(cuMemsetD8Async(address + 64, 2, 64, a));
        // Ordinary host memory: read and written when the graph runs.
        ok!(cuMemcpyHtoDAsync_v2(
            address + 128,
            value.as_ptr().cast(),
            4,
            b
        ));
        ok!(cuLaunchHostFunc(b, Some(count_call), 2 as *mut c_void));
        ok!(cuEventRecord(join, b));
        ok!(cuStreamWaitEvent(a, join, 0));
        ok!(cuMemcpyDtoHAsync_v2(
            host.as_mut_ptr().cast(),
            address + 128,
            4,
            a
        ));
        ok!(cuStreamEndCapture(a, &mut graph));
        ok!(cuStreamIsCapturing(b, &mut status));
        assert_eq!(status, CUstreamCaptureStatus::NONE);

        let mut edges = 0;
        ok!(cuGraphGetEdges(graph, null_mut(), null_mut(), &mut edges));
        assert_eq!(edges, 5);
        let exec = instantiate(graph);
        for round in 1..=3 {
            host = [0; 4];
            ok!(cuGraphLaunch(exec, a));
            ok!(cuStreamSynchronize(a));
            assert_eq!(CALLS.load(Ordering::Relaxed), 2 * round);
            // SAFETY: the graph has written it through the pointer captured above.
            assert_eq!(unsafe { std::ptr::read_volatile(&host) }, value);
        }
        assert_eq!(read(address, 65)[63..], [1, 2]);
    });
}

#[test]
fn captures_refuse_what_they_cannot_hold() {
    in_child("captures_refuse_what_they_cannot_hold", &[], || {
        primary();
        let (a, b) = (stream(CU_STREAM_NON_BLOCKING), stream(0));
        let address = allocate(64);
        let (mut graph, mut event, mut other) = (CUgraph(1), CUevent::NULL, 0);
        ok!(cuEventCreate(&mut event, 0));
        fails!(
            cuStreamBeginCapture_v2(CUstream::NULL, CUstreamCaptureMode::GLOBAL),
            STREAM_CAPTURE_UNSUPPORTED
        );
        fails!(cuStreamEndCapture(a, &mut graph), ILLEGAL_STATE);

        // Waiting for a capturing stream ends the capture.
        ok!(cuStreamBeginCapture_v2(a, CUstreamCaptureMode::RELAXED));
        fails!(cuStreamSynchronize(a), STREAM_CAPTURE_UNSUPPORTED);
        fails!(
            cuMemsetD8Async(address, 0, 1, a),
            STREAM_CAPTURE_INVALIDATED
        );
        fails!(
            cuStreamEndCapture(a, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        assert_eq!(graph, CUgraph::NULL);

        // Allocations are unsafe in global mode, and safe in relaxed mode or for a relaxed thread.
        ok!(cuStreamBeginCapture_v2(a, CUstreamCaptureMode::RELAXED));
        ok!(cuMemAlloc_v2(&mut other, 64));
        ok!(cuStreamEndCapture(a, &mut graph));
        ok!(cuStreamBeginCapture_v2(a, CUstreamCaptureMode::GLOBAL));
        let mut mode = CUstreamCaptureMode::RELAXED;
        ok!(cuThreadExchangeStreamCaptureMode(&mut mode));
        assert_eq!(mode, CUstreamCaptureMode::GLOBAL);
        ok!(cuMemAlloc_v2(&mut other, 64));
        ok!(cuThreadExchangeStreamCaptureMode(&mut mode));
        fails!(cuMemAlloc_v2(&mut other, 64), STREAM_CAPTURE_UNSUPPORTED);
        fails!(
            cuStreamEndCapture(a, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );

        // A fork that is not joined.
        ok!(cuStreamBeginCapture_v2(a, CUstreamCaptureMode::RELAXED));
        ok!(cuEventRecord(event, a));
        ok!(cuStreamWaitEvent(b, event, 0));
        ok!(cuMemsetD8Async(address, 0, 1, b));
        fails!(cuEventQuery(event), CAPTURED_EVENT);
        fails!(cuStreamEndCapture(b, &mut graph), STREAM_CAPTURE_UNMATCHED);
        fails!(
            cuStreamEndCapture(a, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        ok!(cuStreamBeginCapture_v2(a, CUstreamCaptureMode::RELAXED));
        ok!(cuEventRecord(event, a));
        ok!(cuStreamWaitEvent(b, event, 0));
        ok!(cuMemsetD8Async(address, 0, 1, b));
        fails!(cuStreamEndCapture(a, &mut graph), STREAM_CAPTURE_UNJOINED);

        // The legacy stream would wait for a capturing blocking stream.
        ok!(cuStreamBeginCapture_v2(b, CUstreamCaptureMode::RELAXED));
        fails!(
            cuMemsetD8Async(address, 0, 1, CUstream::NULL),
            STREAM_CAPTURE_IMPLICIT
        );
        fails!(
            cuStreamEndCapture(b, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        ok!(cuMemsetD8Async(address, 0, 1, CUstream::NULL));
    });
}

#[test]
fn graphs_are_built_by_hand() {
    in_child("graphs_are_built_by_hand", &[], || {
        primary();
        let address = allocate(256);
        let (mut child, mut graph) = (CUgraph::NULL, CUgraph::NULL);
        ok!(cuGraphCreate(&mut child, 0));
        ok!(cuGraphCreate(&mut graph, 0));
        let fill = |dst, value| CUDA_MEMSET_NODE_PARAMS {
            dst,
            pitch: 32,
            value,
            elementSize: 1,
            width: 8,
            height: 2,
        };
        let (mut first, mut second, mut third, mut node) = (
            CUgraphNode::NULL,
            CUgraphNode::NULL,
            CUgraphNode::NULL,
            CUgraphNode::NULL,
        );
        let null = std::ptr::null();
        ok!(cuGraphAddMemsetNode(
            &mut node,
            child,
            null,
            0,
            &fill(address, 1),
            CUcontext::NULL
        ));
        ok!(cuGraphAddChildGraphNode(&mut first, graph, null, 0, child));
        ok!(cuGraphAddEmptyNode(&mut second, graph, &first, 1));
        ok!(cuGraphAddMemsetNode(
            &mut third,
            graph,
            &second,
            1,
            &fill(address + 64, 2),
            CUcontext::NULL
        ));
        let host = CUDA_HOST_NODE_PARAMS {
            r#fn: Some(count_call),
            userData: 5 as *mut c_void,
        };
        ok!(cuGraphAddHostNode(&mut node, graph, &third, 1, &host));
        fails!(
            cuGraphAddEmptyNode(&mut node, child, &first, 1),
            INVALID_VALUE
        );
        let mut kind = CUgraphNodeType::KERNEL;
        ok!(cuGraphNodeGetType(first, &mut kind));
        assert_eq!(kind, CUgraphNodeType::GRAPH);

        ok!(cuMemsetD8_v2(address, 0, 256));
        let exec = instantiate(graph);
        ok!(cuGraphExecMemsetNodeSetParams(
            exec,
            third,
            &fill(address + 64, 3),
            CUcontext::NULL
        ));
        ok!(cuGraphLaunch(exec, CUstream::NULL));
        ok!(cuCtxSynchronize());
        assert_eq!(CALLS.load(Ordering::Relaxed), 5);
        let bytes = read(address, 128);
        for (start, value) in [(0, 1), (32, 1), (64, 3), (96, 3)] {
            assert_eq!(
                bytes[start..start + 9],
                [value, value, value, value, value, value, value, value, 0]
            );
        }
        ok!(cuGraphDestroy(graph));
        ok!(cuGraphDestroy(child));
    });
}

#[test]
fn a_broken_image_is_reported() {
    in_child("a_broken_image_is_reported", &[], || {
        primary();
        let mut module = CUmodule::NULL;
        let mut log = [0 as c_char; 256];
        let mut options = [
            CUjit_option::ERROR_LOG_BUFFER,
            CUjit_option::ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        let mut values = [log.as_mut_ptr().cast::<c_void>(), 256 as *mut c_void];
        let image = c".version 8.0\n.target sm_80\n.address_size 64\n.entry k() { nonsense; \n";
        fails!(
            cuModuleLoadDataEx(
                &mut module,
                image.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr()
            ),
            INVALID_PTX
        );
        // SAFETY: the buffer is NUL-terminated.
        let message = unsafe { CStr::from_ptr(log.as_ptr()) }.to_str().unwrap();
        assert!(message.starts_with("line "), "{message}");
        assert_eq!(values[1] as usize, message.len() + 1);
        fails!(
            cuModuleLoadData(&mut module, std::ptr::null()),
            INVALID_VALUE
        );
    });
}

#[test]
fn events_mark_and_hold_whole_contexts() {
    in_child("events_mark_and_hold_whole_contexts", &[], || {
        let context = primary();
        let memory = allocate(4);
        let mut event = CUevent::NULL;
        ok!(cuEventCreate(&mut event, 0));
        // A stream that waits for the host, so that the event cannot be complete.
        static OPEN: AtomicU32 = AtomicU32::new(0);
        unsafe extern "C" fn gate(_: *mut c_void) {
            while OPEN.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
        }
        let first = stream(CU_STREAM_NON_BLOCKING);
        ok!(cuLaunchHostFunc(first, Some(gate), null_mut()));
        ok!(cuMemsetD32Async(memory, 1, 1, first));
        ok!(cuCtxRecordEvent(context, event));
        fails!(cuEventQuery(event), NOT_READY);
        // What comes later waits, in streams of before and after.
        let second = stream(CU_STREAM_NON_BLOCKING);
        ok!(cuCtxWaitEvent(context, event));
        let third = stream(CU_STREAM_NON_BLOCKING);
        for later in [second, third] {
            ok!(cuMemsetD32Async(memory, 2, 1, later));
            fails!(cuStreamQuery(later), NOT_READY);
        }
        OPEN.store(1, Ordering::Release);
        ok!(cuEventSynchronize(event));
        ok!(cuCtxSynchronize());
        assert_eq!(read(memory, 4), [2, 0, 0, 0]);
        // A capture is not to be waited for.
        ok!(cuStreamBeginCapture_v2(
            second,
            CUstreamCaptureMode::RELAXED
        ));
        fails!(cuCtxRecordEvent(context, event), STREAM_CAPTURE_UNSUPPORTED);
        let mut graph = CUgraph::NULL;
        fails!(
            cuStreamEndCapture(second, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        fails!(cuCtxRecordEvent(CUcontext(1), event), INVALID_CONTEXT);
    });
}
