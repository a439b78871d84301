//! Calls whose arguments, or whose moment, are wrong: the error that NVIDIA's driver gives, and what still works after it.
//!
//! Each test runs in a process of its own: on a CPU device a wrong address would end all of them.

#[macro_use]
mod common;

use common::{allocate, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_char, c_void, CStr};
use std::ptr::{null, null_mut};

fn stream() -> CUstream {
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
    stream
}

fn kernel() -> CUfunction {
    let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
    ok!(cuModuleLoadData(
        &mut module,
        common::ADD_PTX.as_ptr().cast()
    ));
    ok!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()));
    function
}

#[test]
fn captures_end_at_calls_that_they_forbid() {
    in_child("captures_end_at_calls_that_they_forbid", &[], || {
        let context = primary();
        let address = allocate(64);
        let (mut managed, mut pool, mut array) = (0, CUmemoryPool::NULL, CUarray::NULL);
        ok!(cuMemAllocManaged(&mut managed, 64, CU_MEM_ATTACH_GLOBAL));
        let mut own_pool = CUmemoryPool::NULL;
        ok!(cuDeviceGetDefaultMemPool(&mut own_pool, 0));
        let descriptor = CUDA_ARRAY3D_DESCRIPTOR {
            Width: 8,
            Height: 8,
            Depth: 0,
            Format: CUarray_format::FLOAT,
            NumChannels: 1,
            Flags: 0,
        };
        let flat = CUDA_ARRAY_DESCRIPTOR {
            Width: 8,
            Height: 8,
            Format: CUarray_format::FLOAT,
            NumChannels: 1,
        };
        // SAFETY: a structure of C, for which zeros are values.
        let mut properties: CUmemPoolProps = unsafe { std::mem::zeroed() };
        properties.allocType = CUmemAllocationType::PINNED.0;
        properties.location.kind = CUmemLocationType::DEVICE;
        let mut levels = CUmipmappedArray::NULL;
        let (pool, levels) = (&raw mut pool, &raw mut levels);
        let array = &raw mut array;
        // What is unsafe in every mode but the relaxed one.
        macro_rules! calls {
            ($($call:expr;)*) => {
                // SAFETY: the places are valid.
                vec![$((stringify!($call), Box::new(|| unsafe { $call }))),*]
            };
        }
        type Call<'a> = Box<dyn Fn() -> CUresult + 'a>;
        let calls: Vec<(&str, Call<'_>)> = calls! {
            cuMemAdvise(managed, 64, CUmem_advise::SET_READ_MOSTLY, 0);
            cuMemPoolCreate(pool, &properties);
            cuMemPoolTrimTo(own_pool, 0);
            cuArray3DCreate_v2(array, &descriptor);
            cuArrayCreate_v2(array, &flat);
            cuMipmappedArrayCreate(levels, &descriptor, 1);
            cuCtxSetLimit(CUlimit::STACK_SIZE, 1024);
            cuCtxSetCacheConfig(CUfunc_cache::PREFER_NONE);
        };
        let stream = stream();
        let mut graph = CUgraph::NULL;
        for (name, call) in &calls {
            for mode in [
                CUstreamCaptureMode::GLOBAL,
                CUstreamCaptureMode::THREAD_LOCAL,
            ] {
                ok!(cuStreamBeginCapture_v2(stream, mode));
                assert_eq!(call(), CUresult::STREAM_CAPTURE_UNSUPPORTED, "{name}");
                fails!(
                    cuStreamEndCapture(stream, &mut graph),
                    STREAM_CAPTURE_INVALIDATED
                );
            }
            ok!(cuStreamBeginCapture_v2(
                stream,
                CUstreamCaptureMode::RELAXED
            ));
            assert_eq!(call(), CUresult::SUCCESS, "{name}");
            ok!(cuStreamEndCapture(stream, &mut graph));
        }
        // What the stream itself cannot do in any mode.
        ok!(cuStreamBeginCapture_v2(
            stream,
            CUstreamCaptureMode::RELAXED
        ));
        let mut device = 9;
        fails!(
            cuStreamGetDevice(stream, &mut device),
            STREAM_CAPTURE_UNSUPPORTED
        );
        fails!(
            cuStreamEndCapture(stream, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        ok!(cuStreamGetDevice(stream, &mut device));
        assert_eq!(device, 0);
        ok!(cuStreamBeginCapture_v2(
            stream,
            CUstreamCaptureMode::RELAXED
        ));
        fails!(
            cuMemcpyPeerAsync(address + 16, context, address, context, 16, stream),
            STREAM_CAPTURE_UNSUPPORTED
        );
        fails!(
            cuStreamEndCapture(stream, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        ok!(cuMemcpyPeerAsync(
            address + 16,
            context,
            address,
            context,
            16,
            stream
        ));
        ok!(cuStreamSynchronize(stream));
    });
}

/// Loads the kernel with some options.
fn load(options: &[(CUjit_option, usize)]) -> CUresult {
    let mut module = CUmodule::NULL;
    let mut keys: Vec<_> = options.iter().map(|&(option, _)| option).collect();
    let mut values: Vec<_> = options.iter().map(|&(_, v)| v as *mut c_void).collect();
    // SAFETY: two arrays of that length.
    unsafe {
        cuModuleLoadDataEx(
            &mut module,
            common::ADD_PTX.as_ptr().cast(),
            options.len() as u32,
            keys.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    }
}

/// Begins to link with an option.
fn link(option: CUjit_option, value: usize) -> CUresult {
    let (mut state, mut option, mut value) = (CUlinkState::NULL, option, value as *mut c_void);
    // SAFETY: two arrays of one element.
    let status = unsafe { cuLinkCreate_v2(1, &mut option, &mut value, &mut state) };
    if status == CUresult::SUCCESS {
        ok!(cuLinkDestroy(state));
    }
    status
}

#[test]
fn options_of_the_compiler_are_checked() {
    in_child("options_of_the_compiler_are_checked", &[], || {
        use CUjit_option as O;
        let (good, bad) = (CUresult::SUCCESS, CUresult::INVALID_VALUE);
        primary();
        assert_eq!(load(&[(O::OPTIMIZATION_LEVEL, 4)]), good);
        assert_eq!(load(&[(O::CACHE_MODE, 2)]), good);
        assert_eq!(load(&[(O::CACHE_MODE, 3)]), bad);
        assert_eq!(load(&[(O(36), 1)]), bad);
        assert_eq!(load(&[(O(99), 1)]), bad);
        assert_eq!(load(&[(O::FALLBACK_STRATEGY, 1)]), good);
        // A log has a place where it has a size.
        let mut log = [0 as c_char; 64];
        let place = log.as_mut_ptr() as usize;
        assert_eq!(load(&[(O::INFO_LOG_BUFFER_SIZE_BYTES, 64)]), bad);
        assert_eq!(load(&[(O::INFO_LOG_BUFFER_SIZE_BYTES, 0)]), good);
        let (text, size) = (O::ERROR_LOG_BUFFER, O::ERROR_LOG_BUFFER_SIZE_BYTES);
        assert_eq!(load(&[(text, 0), (size, 64)]), bad);
        assert_eq!(load(&[(text, 0), (size, 0)]), good);
        assert_eq!(load(&[(text, place), (size, 64)]), good);
        for (option, value, status) in [
            (O::OPTIMIZATION_LEVEL, 4, good),
            (O::FALLBACK_STRATEGY, 1, bad),
            (O::CACHE_MODE, 3, bad),
            (O(99), 1, bad),
        ] {
            assert_eq!(link(option, value), status, "{option:?} = {value}");
        }
    });
}

#[test]
fn null_is_no_function_and_no_pool() {
    in_child("null_is_no_function_and_no_pool", &[], || {
        primary();
        let mut name = null();
        fails!(cuFuncGetName(&mut name, CUfunction::NULL), INVALID_VALUE);
        let mut used = 0u64;
        fails!(
            cuMemPoolGetAttribute(
                CUmemoryPool::NULL,
                CUmemPool_attribute::RELEASE_THRESHOLD,
                std::ptr::from_mut(&mut used).cast()
            ),
            INVALID_VALUE
        );
        fails!(cuMemPoolTrimTo(CUmemoryPool::NULL, 0), INVALID_VALUE);
        // One place for both has the offset in the end.
        let (function, mut place) = (kernel(), 9);
        let both: *mut usize = &mut place;
        ok!(cuFuncGetParamInfo(function, 1, both, both));
        assert_eq!(place, 8);
        fails!(
            cuFuncGetParamInfo(function, 0, null_mut(), null_mut()),
            INVALID_VALUE
        );
    });
}

#[test]
fn what_has_no_name_is_not_found() {
    in_child("what_has_no_name_is_not_found", &[], || {
        // The first version keeps the caller's pointer and says so; the second writes null.
        let untouched = 5 as *mut c_void;
        for name in [c"cuNothing", c""] {
            let mut function = untouched;
            fails!(
                cuGetProcAddress(name.as_ptr(), &mut function, 12000, 0),
                NOT_FOUND
            );
            assert_eq!(function, untouched);
            ok!(cuGetProcAddress_v2(
                name.as_ptr(),
                &mut function,
                12000,
                0,
                null_mut()
            ));
            assert!(function.is_null());
        }
        primary();
        // A place that is too short gets what fits.
        let mut text = [9 as c_char; 16];
        fails!(cuDeviceGetPCIBusId(text.as_mut_ptr(), 12, 0), INVALID_VALUE);
        assert_eq!(text[11..13], [0, 9]);
        ok!(cuDeviceGetPCIBusId(text.as_mut_ptr(), 13, 0));
        // SAFETY: the text ends in the place.
        assert_eq!(unsafe { CStr::from_ptr(text.as_ptr()) }.count_bytes(), 12);
        // Nothing is said of what an unknown address lies in.
        let (mut kind, mut start, mut size) = (9u32, 9u64, 9usize);
        let mut attributes = [
            CUpointer_attribute::MEMORY_TYPE,
            CUpointer_attribute::RANGE_START_ADDR,
            CUpointer_attribute::RANGE_SIZE,
        ];
        let mut places: [*mut c_void; 3] = [
            std::ptr::from_mut(&mut kind).cast(),
            std::ptr::from_mut(&mut start).cast(),
            std::ptr::from_mut(&mut size).cast(),
        ];
        ok!(cuPointerGetAttributes(
            3,
            attributes.as_mut_ptr(),
            places.as_mut_ptr(),
            0
        ));
        assert_eq!((kind, start, size), (0, 9, 9));
    });
}

#[test]
fn streams_refuse_what_is_not_theirs() {
    in_child("streams_refuse_what_is_not_theirs", &[], || {
        let context = primary();
        let (stream, mut event, mut graph) = (stream(), CUevent::NULL, CUgraph::NULL);
        ok!(cuEventCreate(&mut event, 0));
        ok!(cuEventRecord(event, stream));
        // Events from outside are for captures.
        fails!(
            cuStreamWaitEvent(stream, event, CU_EVENT_EXTERNAL),
            ILLEGAL_STATE
        );
        ok!(cuStreamWaitEvent(stream, event, 0));
        ok!(cuStreamBeginCapture_v2(stream, CUstreamCaptureMode::GLOBAL));
        ok!(cuStreamWaitEvent(stream, event, CU_EVENT_EXTERNAL));
        ok!(cuStreamEndCapture(stream, &mut graph));
        // Managed memory can be one stream's, but not the legacy stream's, and other memory is nobody's.
        let (mut managed, plain) = (0, allocate(64));
        ok!(cuMemAllocManaged(&mut managed, 64, CU_MEM_ATTACH_GLOBAL));
        ok!(cuStreamAttachMemAsync(
            stream,
            managed,
            0,
            CU_MEM_ATTACH_SINGLE
        ));
        fails!(
            cuStreamAttachMemAsync(CUstream::NULL, managed, 0, CU_MEM_ATTACH_SINGLE),
            INVALID_VALUE
        );
        ok!(cuStreamAttachMemAsync(
            CUstream::NULL,
            managed,
            0,
            CU_MEM_ATTACH_GLOBAL
        ));
        fails!(
            cuStreamAttachMemAsync(stream, plain, 0, CU_MEM_ATTACH_GLOBAL),
            INVALID_VALUE
        );
        // Fewer than 256 operations on memory at once.
        let write = CUstreamBatchMemOpParams {
            operation: CUstreamBatchMemOpType::WRITE_VALUE_32,
            address: plain,
            value: 7,
            flags: 0,
            alias: 0,
            pad: 0,
        };
        let mut writes = vec![write; 256];
        fails!(
            cuStreamBatchMemOp_v2(stream, 256, writes.as_mut_ptr(), 0),
            INVALID_VALUE
        );
        ok!(cuStreamBatchMemOp_v2(stream, 255, writes.as_mut_ptr(), 0));
        ok!(cuStreamSynchronize(stream));
        // No context has to be current for a stream to go.
        ok!(cuCtxSetCurrent(CUcontext::NULL));
        ok!(cuStreamDestroy_v2(stream));
        ok!(cuCtxSetCurrent(context));
        fails!(cuStreamQuery(stream), INVALID_HANDLE);
    });
}

#[test]
fn nodes_keep_their_graphs_and_arguments() {
    in_child("nodes_keep_their_graphs_and_arguments", &[], || {
        primary();
        let (mut whole, mut part, mut node) = (CUgraph::NULL, CUgraph::NULL, CUgraphNode::NULL);
        ok!(cuGraphCreate(&mut whole, 0));
        ok!(cuGraphCreate(&mut part, 0));
        ok!(cuGraphAddChildGraphNode(&mut node, whole, null(), 0, part));
        // A node's graph is destroyed with the node.
        let mut read = CUgraph::NULL;
        ok!(cuGraphChildGraphNodeGetGraph(node, &mut read));
        fails!(cuGraphDestroy(read), INVALID_VALUE);
        ok!(cuGraphDestroy(part));
        let mut count = 9;
        ok!(cuGraphGetNodes(read, null_mut(), &mut count));
        assert_eq!(count, 0);
        ok!(cuGraphDestroyNode(node));
        fails!(cuGraphGetNodes(read, null_mut(), &mut count), INVALID_VALUE);
        // Arguments come back in the form in which they were given.
        let address = allocate(4);
        ok!(cuMemsetD32_v2(address, 1, 1));
        let mut packed = [0u8; 16];
        packed[..8].copy_from_slice(&address.to_le_bytes());
        packed[8..12].copy_from_slice(&41u32.to_le_bytes());
        let mut size = 12usize;
        let mut extra: [*mut c_void; 5] = [
            CU_LAUNCH_PARAM_BUFFER_POINTER as *mut c_void,
            packed.as_mut_ptr().cast(),
            CU_LAUNCH_PARAM_BUFFER_SIZE as *mut c_void,
            std::ptr::from_mut(&mut size).cast(),
            CU_LAUNCH_PARAM_END as *mut c_void,
        ];
        // SAFETY: a structure of C, for which zeros are values.
        let mut params: CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
        params.func = kernel();
        (params.gridDimX, params.gridDimY, params.gridDimZ) = (1, 1, 1);
        (params.blockDimX, params.blockDimY, params.blockDimZ) = (1, 1, 1);
        params.extra = extra.as_mut_ptr();
        ok!(cuGraphAddKernelNode_v2(
            &mut node,
            whole,
            null(),
            0,
            &params
        ));
        ok!(cuGraphKernelNodeGetParams_v2(node, &mut params));
        assert!(params.kernelParams.is_null());
        assert!(!params.extra.is_null() && params.extra != extra.as_mut_ptr());
        // SAFETY: the node's list, as `extra` takes it.
        let given = unsafe {
            let list = std::slice::from_raw_parts(params.extra, 5);
            assert_eq!((list[0], list[2], list[4]), (extra[0], extra[2], extra[4]));
            std::slice::from_raw_parts(list[1].cast::<u8>(), list[3].cast::<usize>().read())
        };
        assert_eq!(given, &packed[..12]);
        // And are taken again, also after the node has taken them.
        ok!(cuGraphKernelNodeSetParams_v2(node, &params));
        let mut exec = CUgraphExec::NULL;
        ok!(cuGraphInstantiateWithFlags(&mut exec, whole, 0));
        ok!(cuGraphExecKernelNodeSetParams_v2(exec, node, &params));
        ok!(cuGraphLaunch(exec, CUstream::NULL));
        let mut value = 0u32;
        ok!(cuMemcpyDtoH_v2(
            std::ptr::from_mut(&mut value).cast(),
            address,
            4
        ));
        assert_eq!(value, 42);
        // The same as a list, one of whose arguments is replaced by the application.
        let (mut place, mut step) = (address, 1u32);
        let mut list: [*mut c_void; 2] = [
            std::ptr::from_mut(&mut place).cast(),
            std::ptr::from_mut(&mut step).cast(),
        ];
        (params.kernelParams, params.extra) = (list.as_mut_ptr(), null_mut());
        ok!(cuGraphKernelNodeSetParams_v2(node, &params));
        ok!(cuGraphKernelNodeGetParams_v2(node, &mut params));
        assert!(params.kernelParams != list.as_mut_ptr() && params.extra.is_null());
        let mut other = 7u32;
        // SAFETY: the node's list of two arguments.
        unsafe { *params.kernelParams.add(1) = std::ptr::from_mut(&mut other).cast() };
        ok!(cuGraphKernelNodeSetParams_v2(node, &params));
        other = 1000;
        ok!(cuGraphExecKernelNodeSetParams_v2(exec, node, &params));
        ok!(cuGraphLaunch(exec, CUstream::NULL));
        ok!(cuMemcpyDtoH_v2(
            std::ptr::from_mut(&mut value).cast(),
            address,
            4
        ));
        assert_eq!((value, other), (42 + 7, 1000));
    });
}

/// What `CU_POINTER_ATTRIBUTE_SYNC_MEMOPS` is set to stays, as long as the memory does.
#[test]
fn synchronous_operations_are_an_attribute() {
    in_child("synchronous_operations_are_an_attribute", &[], || {
        primary();
        let (mut device, mut managed, mut host) = (0, 0, std::ptr::null_mut());
        ok!(cuMemAlloc_v2(&mut device, 64));
        ok!(cuMemAllocManaged(&mut managed, 64, CU_MEM_ATTACH_GLOBAL));
        ok!(cuMemHostAlloc(&mut host, 64, 0));
        let attribute = CUpointer_attribute::SYNC_MEMOPS;
        let get = |address| {
            let mut value = u32::MAX;
            ok!(cuPointerGetAttribute(
                (&raw mut value).cast(),
                attribute,
                address
            ));
            value
        };
        for (address, first) in [(device, 1), (managed, 1), (host as CUdeviceptr, 0)] {
            assert_eq!(get(address), first);
            for value in [0u32, 1, 0] {
                ok!(cuPointerSetAttribute(
                    (&raw const value).cast(),
                    attribute,
                    address + 8
                ));
                assert_eq!(get(address), value);
            }
        }
        // Memory that comes to lie in the same place is other memory.
        ok!(cuMemFree_v2(device));
        ok!(cuMemAlloc_v2(&mut device, 64));
        assert_eq!(get(device), 1);
        // So is memory that is registered anew; what cannot be freed keeps it.
        let mut page = vec![0u8; 2 * 4096];
        let at = (page.as_mut_ptr() as usize).next_multiple_of(4096);
        let one = 1u32;
        for _ in 0..2 {
            ok!(cuMemHostRegister_v2(at as *mut _, 4096, 0));
            assert_eq!(get(at as CUdeviceptr), 0);
            ok!(cuPointerSetAttribute(
                (&raw const one).cast(),
                attribute,
                at as CUdeviceptr
            ));
            fails!(cuMemFreeHost(at as *mut _), INVALID_VALUE);
            assert_eq!(get(at as CUdeviceptr), 1);
            ok!(cuMemHostUnregister(at as *mut _));
        }
    });
}

#[test]
fn batches_are_checked() {
    in_child("batches_are_checked", &[], || {
        primary();
        let (stream, mut managed) = (stream(), 0);
        ok!(cuMemAllocManaged(&mut managed, 8192, CU_MEM_ATTACH_GLOBAL));
        let (mut ranges, mut sizes) = ([managed, managed + 4096], [4096usize; 2]);
        let location = CUmemLocation {
            kind: CUmemLocationType::DEVICE,
            id: 0,
        };
        let mut places = [location; 3];
        let mut prefetch = |mut firsts: [usize; 3], number: usize, stream| {
            // SAFETY: arrays of that length.
            unsafe {
                cuMemPrefetchBatchAsync(
                    ranges.as_mut_ptr(),
                    sizes.as_mut_ptr(),
                    2,
                    places.as_mut_ptr(),
                    firsts.as_mut_ptr(),
                    number,
                    0,
                    stream,
                )
            }
        };
        let wrong = CUresult::INVALID_VALUE;
        assert_eq!(prefetch([0, 1, 0], 2, stream), CUresult::SUCCESS);
        // Each place begins at a range that there is, none before the one before.
        assert_eq!(prefetch([0, 0, 0], 2, stream), CUresult::SUCCESS);
        assert_eq!(prefetch([0, 2, 0], 2, stream), wrong);
        assert_eq!(prefetch([0, 1, 2], 3, stream), wrong);
        assert_eq!(prefetch([1, 0, 0], 1, stream), wrong);
        assert_eq!(prefetch([0, 0, 0], 0, stream), wrong);
        // Batches are not for the legacy stream, and not for captures.
        for legacy in [CUstream::NULL, CU_STREAM_LEGACY] {
            assert_eq!(prefetch([0, 0, 0], 1, legacy), wrong);
            fails!(
                cuMemDiscardBatchAsync([managed].as_mut_ptr(), [4096].as_mut_ptr(), 1, 0, legacy),
                INVALID_VALUE
            );
        }
        let mut graph = CUgraph::NULL;
        ok!(cuStreamBeginCapture_v2(
            stream,
            CUstreamCaptureMode::RELAXED
        ));
        assert_eq!(
            prefetch([0, 0, 0], 1, stream),
            CUresult::STREAM_CAPTURE_UNSUPPORTED
        );
        fails!(
            cuStreamEndCapture(stream, &mut graph),
            STREAM_CAPTURE_INVALIDATED
        );
        // Of atomics something known is asked, and not nothing.
        let (mut found, operations) = ([9u32; 2], [0i32, 13]);
        ok!(cuDeviceGetHostAtomicCapabilities(
            found.as_mut_ptr(),
            operations.as_ptr(),
            1,
            0
        ));
        for count in [0, 2] {
            fails!(
                cuDeviceGetHostAtomicCapabilities(
                    found.as_mut_ptr(),
                    operations.as_ptr(),
                    count,
                    0
                ),
                INVALID_VALUE
            );
        }
    });
}

unsafe extern "C" fn pause(_: *mut c_void) {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

#[test]
fn sources_are_read_before_the_call_returns_where_that_is_asked_for() {
    let name = "sources_are_read_before_the_call_returns_where_that_is_asked_for";
    in_child(name, &[], || {
        primary();
        let (stream, to) = (stream(), allocate(4));
        let mut pinned = null_mut();
        ok!(cuMemHostAlloc(&mut pinned, 4, 0));
        let source = pinned.cast::<u32>();
        let mut pageable = 0u32;
        let location = CUmemLocation {
            kind: CUmemLocationType::INVALID,
            id: 0,
        };
        let mut attributes = CUmemcpyAttributes {
            srcAccessOrder: 2,
            srcLocHint: location,
            dstLocHint: location,
            flags: 0,
        };
        for round in 1..=2u32 {
            let place = match round {
                1 => source,
                _ => std::ptr::from_mut(&mut pageable),
            };
            // SAFETY: host memory of this process.
            unsafe { place.write(round) };
            ok!(cuLaunchHostFunc(stream, Some(pause), null_mut()));
            ok!(cuMemcpyWithAttributesAsync(
                to,
                place as u64,
                4,
                &mut attributes,
                stream
            ));
            // SAFETY: as above.
            unsafe { place.write(99) };
            let mut value = 0u32;
            ok!(cuMemcpyDtoHAsync_v2(
                std::ptr::from_mut(&mut value).cast(),
                to,
                4,
                stream
            ));
            ok!(cuStreamSynchronize(stream));
            assert_eq!(value, round);
        }
        // Orders and flags are known ones.
        for (order, flags, status) in [
            (1, 1, CUresult::SUCCESS),
            (1, 2, CUresult::INVALID_VALUE),
            (0, 0, CUresult::INVALID_VALUE),
            (4, 0, CUresult::INVALID_VALUE),
        ] {
            attributes.srcAccessOrder = order;
            attributes.flags = flags;
            // SAFETY: valid places.
            let found = unsafe {
                cuMemcpyWithAttributesAsync(to, pinned as u64, 4, &mut attributes, stream)
            };
            assert_eq!(found, status, "order {order}, flags {flags}");
        }
        ok!(cuStreamSynchronize(stream));
    });
}

/// Registers that a kernel of the loaded module is said to take.
fn registers(module: CUmodule) -> i32 {
    let (mut function, mut count) = (CUfunction::NULL, 0);
    ok!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()));
    ok!(cuFuncGetAttribute(
        &mut count,
        CUfunction_attribute::NUM_REGS,
        function
    ));
    count
}

#[test]
fn a_limit_of_registers_is_told() {
    in_child("a_limit_of_registers_is_told", &[], || {
        primary();
        let (mut module, text) = (CUmodule::NULL, common::ADD_PTX);
        ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
        let without = registers(module);
        const MOST: i32 = 10;
        assert!(without > MOST);
        let mut option = CUjit_option::MAX_REGISTERS;
        let mut value = MOST as *mut c_void;
        ok!(cuModuleLoadDataEx(
            &mut module,
            text.as_ptr().cast(),
            1,
            &mut option,
            &mut value
        ));
        assert_eq!(registers(module), MOST);
        let mut library = CUlibrary::NULL;
        ok!(cuLibraryLoadData(
            &mut library,
            text.as_ptr().cast(),
            &mut option,
            &mut value,
            1,
            null_mut(),
            null_mut(),
            0
        ));
        ok!(cuLibraryGetModule(&mut module, library));
        assert_eq!(registers(module), MOST);
        let (mut link, mut image, mut size) = (CUlinkState::NULL, null_mut(), 0);
        ok!(cuLinkCreate_v2(1, &mut option, &mut value, &mut link));
        ok!(cuLinkAddData_v2(
            link,
            CUjitInputType::PTX,
            text.as_ptr().cast_mut().cast(),
            text.count_bytes() + 1,
            c"add".as_ptr(),
            0,
            null_mut(),
            null_mut()
        ));
        ok!(cuLinkComplete(link, &mut image, &mut size));
        ok!(cuModuleLoadData(&mut module, image));
        assert_eq!(registers(module), MOST);
        value = null_mut();
        fails!(
            cuModuleLoadDataEx(
                &mut module,
                text.as_ptr().cast(),
                1,
                &mut option,
                &mut value
            ),
            INVALID_VALUE
        );
    });
}

#[test]
fn streams_are_of_no_green_context() {
    in_child("streams_are_of_no_green_context", &[], || {
        primary();
        let own = stream();
        for stream in [own, CUstream::NULL, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD] {
            let mut green = CUgreenCtx(7);
            ok!(cuStreamGetGreenCtx(stream, &mut green));
            assert_eq!(green, CUgreenCtx::NULL);
        }
        fails!(cuStreamGetGreenCtx(own, null_mut()), INVALID_VALUE);
        let mut green = CUgreenCtx(7);
        ok!(cuStreamDestroy_v2(own));
        fails!(cuStreamGetGreenCtx(own, &mut green), INVALID_HANDLE);
    });
}
