//! Virtual memory management: addresses reserved, memory created, mapped, made accessible, unmapped, in every order that the
//! API allows, and the errors of those that it does not. A device without it refuses, and the tests say that they tested nothing.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::c_void;
use std::ptr::null_mut;

/// Calls an exported function and checks that it succeeds.
/// Calls an exported function and checks the error it gives.
/// What ggml reserves for each of its pools.
const LARGE: usize = 32 << 30;

fn properties() -> CUmemAllocationProp {
    CUmemAllocationProp {
        kind: CUmemAllocationType::PINNED,
        requestedHandleTypes: 0,
        location: location(0),
        win32HandleMetaData: null_mut(),
        compressionType: 0,
        gpuDirectRDMACapable: 0,
        usage: 0,
        reserved: [0; 4],
    }
}

fn location(device: CUdevice) -> CUmemLocation {
    CUmemLocation {
        kind: CUmemLocationType::DEVICE,
        id: device,
    }
}

fn access(flags: CUmemAccess_flags) -> CUmemAccessDesc {
    CUmemAccessDesc {
        location: location(0),
        flags,
    }
}

fn attribute(attribute: CUdevice_attribute) -> i32 {
    let mut value = -1;
    ok!(cuDeviceGetAttribute(&mut value, attribute, 0));
    value
}

/// Makes device 0's primary context current and gives the granularity; `None` where the device has no virtual memory.
fn start() -> Option<usize> {
    let mut context = CUcontext::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    let (mut minimum, mut recommended) = (0, 0);
    let wanted = properties();
    if attribute(CUdevice_attribute::VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED) == 0 {
        eprintln!("device 0 has no virtual memory management: NOTHING TESTED");
        return None;
    }
    ok!(cuMemGetAllocationGranularity(
        &mut minimum,
        &wanted,
        CUmemAllocationGranularity_flags::MINIMUM
    ));
    ok!(cuMemGetAllocationGranularity(
        &mut recommended,
        &wanted,
        CUmemAllocationGranularity_flags::RECOMMENDED
    ));
    assert!(minimum.is_power_of_two() && recommended % minimum == 0);
    Some(recommended)
}

fn reserve(size: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAddressReserve(&mut address, size, 0, 0, 0));
    assert_ne!(address, 0);
    address
}

fn create(size: usize) -> CUmemGenericAllocationHandle {
    let mut handle = 0;
    let wanted = properties();
    ok!(cuMemCreate(&mut handle, size, &wanted, 0));
    handle
}

fn open(address: CUdeviceptr, size: usize) {
    let wanted = access(CUmemAccess_flags::READWRITE);
    ok!(cuMemSetAccess(address, size, &wanted, 1));
}

/// Memory of its own at an address, accessible, without a handle.
fn map_new(address: CUdeviceptr, size: usize) {
    let handle = create(size);
    ok!(cuMemMap(address, size, 0, handle, 0));
    ok!(cuMemRelease(handle));
    open(address, size);
}

fn read(address: CUdeviceptr, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; size];
    ok!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, size));
    bytes
}

fn write(address: CUdeviceptr, bytes: &[u8]) {
    ok!(cuMemcpyHtoD_v2(address, bytes.as_ptr().cast(), bytes.len()));
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn pointer_attribute<T: Default>(
    attribute: CUpointer_attribute,
    address: CUdeviceptr,
) -> Result<T, CUresult> {
    let mut value = T::default();
    let place = std::ptr::from_mut(&mut value).cast();
    // SAFETY: the callers choose the attribute's type.
    match unsafe { cuPointerGetAttribute(place, attribute, address) } {
        CUresult::SUCCESS => Ok(value),
        status => Err(status),
    }
}

/// A pool as ggml and PyTorch make them: one large reservation that gets more memory at its end, piece by piece.
#[test]
fn a_pool_grows_at_its_end() {
    in_child("a_pool_grows_at_its_end", &[], || {
        let Some(piece) = start() else { return };
        let base = reserve(LARGE);
        assert_eq!(base % piece as u64, 0);
        let (mut end, mut written) = (base, Vec::new());
        for pieces in [1, 3, 2, 1] {
            let size = pieces * piece;
            map_new(end, size);
            let bytes = pattern(size + written.len() % 251);
            write(end, &bytes[bytes.len() - size..]);
            written.extend_from_slice(&bytes[bytes.len() - size..]);
            end += size as u64;
        }
        // All of it in one call, with bytes from every piece.
        assert!(read(base, written.len()) == written);
        let size = written.len();
        ok!(cuMemsetD8_v2(base + piece as u64 - 5, 0x5a, 10));
        written[piece - 5..piece + 5].fill(0x5a);
        let mut other = 0;
        ok!(cuMemAlloc_v2(&mut other, size));
        ok!(cuMemcpyDtoD_v2(other, base, size));
        assert!(read(other, size) == written);
        ok!(cuMemsetD8_v2(base, 0, size));
        ok!(cuMemcpyDtoD_v2(base, other, size));
        assert!(read(base, size) == written);
        // From one piece of it to another.
        ok!(cuMemcpyDtoD_v2(
            base + 4 * piece as u64 - 100,
            base + 1,
            200
        ));
        written.copy_within(1..201, 4 * piece - 100);
        assert!(read(base, size) == written);
        // Rows across the border.
        let rows = CUDA_MEMCPY2D {
            srcMemoryType: CUmemorytype::DEVICE,
            srcDevice: base + piece as u64 - 1000,
            srcPitch: 512,
            dstMemoryType: CUmemorytype::DEVICE,
            dstDevice: other,
            dstPitch: 100,
            WidthInBytes: 100,
            Height: 4,
            // SAFETY: a structure of numbers and pointers.
            ..unsafe { std::mem::zeroed() }
        };
        ok!(cuMemcpy2D_v2(&rows));
        let expected: Vec<u8> = (0..4)
            .flat_map(|row| written[piece - 1000 + row * 512..][..100].to_vec())
            .collect();
        assert_eq!(read(other, 400), expected);
        // Beyond what is mapped.
        fails!(cuMemsetD8_v2(end - 1, 0, 2), INVALID_VALUE);
        fails!(cuMemcpyDtoD_v2(other, end, 1), INVALID_VALUE);
        // ggml takes all of it away at once.
        ok!(cuMemUnmap(base, size));
        fails!(cuMemsetD8_v2(base, 0, 1), INVALID_VALUE);
        ok!(cuMemAddressFree(base, LARGE));
        ok!(cuMemFree_v2(other));
    });
}

fn launch(function: CUfunction, data: CUdeviceptr, words: usize, step: u32, stream: CUstream) {
    let mut arguments: [*mut c_void; 2] = [
        std::ptr::from_ref(&data).cast_mut().cast(),
        std::ptr::from_ref(&step).cast_mut().cast(),
    ];
    ok!(cuLaunchKernel(
        function,
        words as u32 / 64,
        1,
        1,
        64,
        1,
        1,
        0,
        stream,
        arguments.as_mut_ptr(),
        null_mut()
    ));
}

fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    bytes.chunks_exact(4).map(word).collect()
}

#[test]
fn kernels_and_graphs_run_over_mapped_ranges() {
    in_child("kernels_and_graphs_run_over_mapped_ranges", &[], || {
        let Some(piece) = start() else { return };
        let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
        ok!(cuModuleLoadData(
            &mut module,
            common::ADD_PTX.as_ptr().cast()
        ));
        ok!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()));
        let base = reserve(8 * piece);
        map_new(base + piece as u64, piece);
        map_new(base + 2 * piece as u64, 2 * piece);
        let data = base + piece as u64;
        let count = 3 * piece / 4;
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, 1));
        ok!(cuMemsetD32Async(data, 5, count, stream));
        launch(function, data, count, 2, stream);
        ok!(cuStreamSynchronize(stream));
        assert!(words(&read(data, 3 * piece)).iter().all(|&word| word == 7));

        // Captured: a fill across the border, a kernel over all, a copy from one mapping to the other.
        let (mut graph, mut exec) = (CUgraph::NULL, CUgraphExec::NULL);
        ok!(cuStreamBeginCapture_v2(
            stream,
            CUstreamCaptureMode::RELAXED
        ));
        let border = data + piece as u64;
        ok!(cuMemsetD32Async(border - 64, 100, 32, stream));
        launch(function, data, count, 1, stream);
        ok!(cuMemcpyDtoDAsync_v2(data, border - 64, 128, stream));
        // Memory may be mapped meanwhile.
        map_new(base, piece);
        ok!(cuStreamEndCapture(stream, &mut graph));
        ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        for _ in 0..2 {
            ok!(cuGraphLaunch(exec, stream));
        }
        ok!(cuStreamSynchronize(stream));
        let result = words(&read(data, 3 * piece));
        assert!(result[..32].iter().all(|&word| word == 101), "{result:?}");
        let middle = piece / 4 - 16;
        assert!(result[middle..middle + 32].iter().all(|&word| word == 101));
        assert_eq!((result[32], result[count - 1]), (9, 9));

        // Other memory at the same addresses: the graph goes on with that.
        ok!(cuMemUnmap(data, piece));
        map_new(data, piece);
        ok!(cuMemsetD32_v2(data, 0, piece / 4));
        ok!(cuGraphLaunch(exec, stream));
        ok!(cuStreamSynchronize(stream));
        let result = words(&read(data, 3 * piece));
        assert_eq!((result[0], result[32], result[count - 1]), (101, 1, 10));

        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
        ok!(cuStreamDestroy_v2(stream));
        ok!(cuMemUnmap(base, 4 * piece));
        ok!(cuMemAddressFree(base, 8 * piece));
    });
}

#[test]
fn memory_keeps_what_it_holds() {
    in_child("memory_keeps_what_it_holds", &[], || {
        let Some(piece) = start() else { return };
        let base = reserve(4 * piece);
        let handle = create(piece);
        ok!(cuMemMap(base, piece, 0, handle, 0));
        open(base, piece);
        let bytes = pattern(piece);
        write(base, &bytes);
        // The handle by any address of the mapping, and released as often as it was given.
        let mut again = 0;
        let inside = (base + piece as u64 - 1) as *mut c_void;
        ok!(cuMemRetainAllocationHandle(&mut again, inside));
        assert_eq!(again, handle);
        ok!(cuMemRelease(handle));
        let mut found = properties();
        found.location.id = 77;
        ok!(cuMemGetAllocationPropertiesFromHandle(&mut found, handle));
        assert_eq!(found.location, location(0));
        assert_eq!(found.kind, CUmemAllocationType::PINNED);
        assert_eq!((found.compressionType, found.requestedHandleTypes), (0, 0));
        // Elsewhere, the same bytes.
        ok!(cuMemUnmap(base, piece));
        let elsewhere = base + 3 * piece as u64;
        ok!(cuMemMap(elsewhere, piece, 0, handle, 0));
        open(elsewhere, piece);
        assert!(read(elsewhere, piece) == bytes);
        // Without a handle it lives as long as the mapping.
        ok!(cuMemRelease(handle));
        fails!(
            cuMemGetAllocationPropertiesFromHandle(&mut found, handle),
            INVALID_VALUE
        );
        assert!(read(elsewhere, piece) == bytes);
        ok!(cuMemRetainAllocationHandle(
            &mut again,
            elsewhere as *mut c_void
        ));
        ok!(cuMemUnmap(elsewhere, piece));
        ok!(cuMemMap(base, piece, 0, again, 0));
        open(base, piece);
        assert!(read(base, piece) == bytes);
        // Access comes and goes, the memory stays.
        let none = access(CUmemAccess_flags::NONE);
        ok!(cuMemSetAccess(base, piece, &none, 1));
        fails!(
            cuMemcpyDtoH_v2([0u8; 4].as_mut_ptr().cast(), base, 4),
            INVALID_VALUE
        );
        open(base, piece);
        assert!(read(base, piece) == bytes);
        ok!(cuMemUnmap(base, piece));
        ok!(cuMemRelease(again));
        ok!(cuMemAddressFree(base, 4 * piece));
    });
}

/// Two addresses of the same memory.
#[test]
fn memory_has_two_addresses() {
    in_child("memory_has_two_addresses", &[], || {
        let Some(piece) = start() else { return };
        let base = reserve(2 * piece);
        let handle = create(piece);
        let second = base + piece as u64;
        ok!(cuMemMap(base, piece, 0, handle, 0));
        ok!(cuMemMap(second, piece, 0, handle, 0));
        open(base, piece);
        let wanted = access(CUmemAccess_flags::READWRITE);
        // SAFETY: as documented.
        match unsafe { cuMemSetAccess(second, piece, &wanted, 1) } {
            CUresult::SUCCESS => {
                ok!(cuMemsetD8_v2(base + 5, 0x77, 100));
                assert_eq!(read(second + 5, 100), [0x77; 100]);
                let ids = [base, second].map(|address| {
                    pointer_attribute::<u64>(CUpointer_attribute::BUFFER_ID, address)
                });
                assert_eq!(ids[0], ids[1]);
            }
            status => {
                eprintln!("memory has one address only here");
                assert_eq!(status, CUresult::NOT_SUPPORTED);
            }
        }
        ok!(cuMemRelease(handle));
        ok!(cuMemUnmap(base, piece));
        ok!(cuMemUnmap(second, piece));
        ok!(cuMemAddressFree(base, 2 * piece));
    });
}

#[test]
fn addresses_tell_what_they_are() {
    in_child("addresses_tell_what_they_are", &[], || {
        use CUpointer_attribute as A;
        let Some(piece) = start() else { return };
        let (size, whole) = (piece as u64, 16 * piece as u64);
        let base = reserve(16 * piece);
        let inside = base + 3 * size + 12;
        // Reserved: not known.
        for attribute in [
            A::MAPPED,
            A::RANGE_START_ADDR,
            A::RANGE_SIZE,
            A::MEMORY_TYPE,
        ] {
            assert_eq!(
                pointer_attribute::<u64>(attribute, inside),
                Err(CUresult::INVALID_VALUE)
            );
        }
        let (mut found, mut length, mut flags) = (0, 0, 9);
        fails!(
            cuMemGetAddressRange_v2(&mut found, &mut length, inside),
            NOT_FOUND
        );
        let here = location(0);
        fails!(cuMemGetAccess(&mut flags, &here, inside), INVALID_VALUE);
        // Mapped, without access.
        let handle = create(2 * piece);
        ok!(cuMemMap(base + 2 * size, 2 * piece, 0, handle, 0));
        ok!(cuMemGetAccess(&mut flags, &here, inside));
        assert_eq!(flags, u64::from(CUmemAccess_flags::NONE.0));
        assert_eq!(pointer_attribute::<u32>(A::MAPPED, inside), Ok(1));
        assert_eq!(
            pointer_attribute::<u64>(A::DEVICE_POINTER, inside),
            Err(CUresult::INVALID_VALUE)
        );
        let mut word = 0u32;
        let place: *mut c_void = std::ptr::from_mut(&mut word).cast();
        fails!(cuMemcpyDtoH_v2(place, inside, 4), INVALID_VALUE);
        fails!(cuMemcpy(place as u64, inside, 4), INVALID_VALUE);
        fails!(cuMemcpyHtoD_v2(inside, place, 4), INVALID_VALUE);
        fails!(cuMemcpy(inside, place as u64, 4), INVALID_VALUE);
        fails!(cuMemsetD32_v2(inside, 0, 1), INVALID_VALUE);
        // Accessible.
        open(base + 2 * size, 2 * piece);
        ok!(cuMemGetAccess(&mut flags, &here, inside));
        assert_eq!(flags, u64::from(CUmemAccess_flags::READWRITE.0));
        ok!(cuMemcpy(inside, place as u64, 4));
        ok!(cuMemGetAddressRange_v2(&mut found, &mut length, inside));
        assert_eq!((found, length), (base + 2 * size, 2 * piece));
        assert_eq!(
            pointer_attribute::<u32>(A::MEMORY_TYPE, inside),
            Ok(CUmemorytype::DEVICE.0)
        );
        assert_eq!(
            pointer_attribute::<u64>(A::DEVICE_POINTER, inside),
            Ok(inside)
        );
        assert_eq!(pointer_attribute::<i32>(A::DEVICE_ORDINAL, inside), Ok(0));
        assert_eq!(pointer_attribute::<u32>(A::IS_MANAGED, inside), Ok(0));
        assert_eq!(pointer_attribute::<i32>(A::ACCESS_FLAGS, inside), Ok(3));
        assert_eq!(
            pointer_attribute::<u64>(A::RANGE_START_ADDR, inside),
            Ok(base)
        );
        assert_eq!(pointer_attribute::<u64>(A::RANGE_SIZE, inside), Ok(whole));
        assert_eq!(
            pointer_attribute::<u64>(A::MAPPING_BASE_ADDR, inside),
            Ok(base + 2 * size)
        );
        assert_eq!(
            pointer_attribute::<u64>(A::MAPPING_SIZE, inside),
            Ok(2 * size)
        );
        // It is no context's.
        assert_eq!(pointer_attribute::<u64>(A::CONTEXT, inside), Ok(0));
        assert_eq!(
            pointer_attribute::<u64>(A::HOST_POINTER, inside),
            Err(CUresult::INVALID_VALUE)
        );
        fails!(cuMemFree_v2(base + 2 * size), INVALID_VALUE);
        // It outlives every context.
        ok!(cuMemsetD8_v2(inside, 0x42, 8));
        let mut context = CUcontext::NULL;
        ok!(cuDevicePrimaryCtxReset_v2(0));
        ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
        ok!(cuCtxSetCurrent(context));
        assert_eq!(read(inside, 8), [0x42; 8]);
        ok!(cuMemUnmap(base + 2 * size, 2 * piece));
        ok!(cuMemRelease(handle));
        ok!(cuMemAddressFree(base, 16 * piece));
    });
}

#[test]
fn wrong_calls_are_refused() {
    in_child("wrong_calls_are_refused", &[], || {
        let Some(piece) = start() else { return };
        let (mut address, mut handle, mut granularity) = (0, 0, 0);
        let wanted = properties();
        // Reservations.
        fails!(
            cuMemAddressReserve(null_mut(), piece, 0, 0, 0),
            INVALID_VALUE
        );
        fails!(cuMemAddressReserve(&mut address, 0, 0, 0, 0), INVALID_VALUE);
        fails!(
            cuMemAddressReserve(&mut address, piece + 1, 0, 0, 0),
            INVALID_VALUE
        );
        fails!(
            cuMemAddressReserve(&mut address, piece + 4096, 0, 0, 0),
            INVALID_VALUE
        );
        fails!(
            cuMemAddressReserve(&mut address, piece, 0, 4096, 0),
            INVALID_VALUE
        );
        fails!(
            cuMemAddressReserve(&mut address, piece, 3 * piece, 0, 0),
            INVALID_VALUE
        );
        fails!(
            cuMemAddressReserve(&mut address, piece, 0, 0, 1),
            INVALID_VALUE
        );
        fails!(
            cuMemAddressReserve(&mut address, 1 << 62, 0, 0, 0),
            OUT_OF_MEMORY
        );
        assert_eq!(address, 0);
        // An address is a wish.
        ok!(cuMemAddressReserve(
            &mut address,
            piece,
            0,
            0x7000_0000_0000,
            0
        ));
        ok!(cuMemAddressFree(address, piece));
        ok!(cuMemAddressReserve(&mut address, piece, 16 * piece, 0, 0));
        assert_eq!(address % (16 * piece as u64), 0);
        ok!(cuMemAddressFree(address, piece));
        let base = reserve(8 * piece);
        fails!(cuMemAddressFree(base, piece), INVALID_VALUE);
        fails!(
            cuMemAddressFree(base + piece as u64, 7 * piece),
            INVALID_VALUE
        );
        // Memory.
        fails!(cuMemCreate(null_mut(), piece, &wanted, 0), INVALID_VALUE);
        fails!(
            cuMemCreate(&mut handle, piece, std::ptr::null(), 0),
            INVALID_VALUE
        );
        fails!(cuMemCreate(&mut handle, 0, &wanted, 0), INVALID_VALUE);
        fails!(
            cuMemCreate(&mut handle, piece - 1, &wanted, 0),
            INVALID_VALUE
        );
        fails!(cuMemCreate(&mut handle, piece, &wanted, 1), INVALID_VALUE);
        fails!(cuMemCreate(&mut handle, 1 << 60, &wanted, 0), OUT_OF_MEMORY);
        let mut count = 0;
        ok!(cuDeviceGetCount(&mut count));
        let nowhere = CUmemAllocationProp {
            location: location(count),
            ..wanted
        };
        fails!(cuMemCreate(&mut handle, piece, &nowhere, 0), INVALID_DEVICE);
        for kind in [CUmemAllocationType::INVALID, CUmemAllocationType::MANAGED] {
            let odd = CUmemAllocationProp { kind, ..wanted };
            fails!(cuMemCreate(&mut handle, piece, &odd, 0), INVALID_VALUE);
        }
        let shared = CUmemAllocationProp {
            requestedHandleTypes: 1,
            ..wanted
        };
        let shares = CUdevice_attribute::HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED;
        if attribute(shares) == 0 {
            fails!(cuMemCreate(&mut handle, piece, &shared, 0), NOT_SUPPORTED);
        }
        let types = [(2, CUresult::INVALID_VALUE), (8, CUresult::NOT_PERMITTED)];
        for (handles, status) in types {
            let shared = CUmemAllocationProp {
                requestedHandleTypes: handles,
                ..wanted
            };
            // SAFETY: valid places.
            let found = unsafe { cuMemCreate(&mut handle, piece, &shared, 0) };
            assert_eq!(found, status, "handles of type {handles}");
        }
        // The granularity is told of memory that there cannot be as well.
        ok!(cuMemGetAllocationGranularity(
            &mut granularity,
            &nowhere,
            CUmemAllocationGranularity_flags::RECOMMENDED
        ));
        assert_eq!(granularity, piece);
        fails!(
            cuMemGetAllocationGranularity(
                &mut granularity,
                &wanted,
                CUmemAllocationGranularity_flags(7)
            ),
            INVALID_VALUE
        );
        fails!(
            cuMemGetAllocationGranularity(
                null_mut(),
                &wanted,
                CUmemAllocationGranularity_flags::MINIMUM
            ),
            INVALID_VALUE
        );
        // Mappings.
        let handle = create(2 * piece);
        let (size, mut file) = (piece as u64, 0);
        fails!(
            cuMemExportToShareableHandle(
                std::ptr::from_mut::<i32>(&mut file).cast(),
                handle,
                CUmemAllocationHandleType::POSIX_FILE_DESCRIPTOR,
                0
            ),
            INVALID_VALUE
        );
        fails!(cuMemMap(base, piece, 0, handle, 1), INVALID_VALUE);
        fails!(cuMemMap(base, 0, 0, handle, 0), INVALID_VALUE);
        fails!(cuMemMap(base + 1, piece, 0, handle, 0), INVALID_VALUE);
        fails!(cuMemMap(base, piece - 4096, 0, handle, 0), INVALID_VALUE);
        // All of the memory or nothing.
        fails!(cuMemMap(base, 3 * piece, 0, handle, 0), NOT_SUPPORTED);
        fails!(cuMemMap(base, piece, 0, handle, 0), NOT_SUPPORTED);
        fails!(cuMemMap(base, piece, piece, handle, 0), NOT_SUPPORTED);
        fails!(
            cuMemMap(base + 7 * size, 2 * piece, 0, handle, 0),
            INVALID_VALUE
        );
        fails!(
            cuMemMap(base + 8 * size, 2 * piece, 0, handle, 0),
            INVALID_VALUE
        );
        ok!(cuMemMap(base + 2 * size, 2 * piece, 0, handle, 0));
        for taken in 1..4 {
            fails!(
                cuMemMap(base + taken * size, 2 * piece, 0, handle, 0),
                INVALID_VALUE
            );
        }
        let other = create(piece);
        ok!(cuMemMap(base + 4 * size, piece, 0, other, 0));
        ok!(cuMemRelease(other));
        // Access: whole mappings, from the begin of the first to the end of the last.
        let wish = access(CUmemAccess_flags::READWRITE);
        for (start, pieces) in [(2, 1), (3, 1), (1, 3), (2, 4), (5, 1), (0, 1)] {
            fails!(
                cuMemSetAccess(base + start * size, pieces * piece, &wish, 1),
                INVALID_VALUE
            );
        }
        fails!(cuMemSetAccess(base + 2 * size, 0, &wish, 1), INVALID_VALUE);
        fails!(
            cuMemSetAccess(base + 2 * size, 2 * piece, std::ptr::null(), 1),
            INVALID_VALUE
        );
        let odd = access(CUmemAccess_flags(2));
        fails!(
            cuMemSetAccess(base + 2 * size, 2 * piece, &odd, 1),
            INVALID_VALUE
        );
        let nobody = CUmemAccessDesc {
            location: location(count),
            ..wish
        };
        fails!(
            cuMemSetAccess(base + 2 * size, 2 * piece, &nobody, 1),
            INVALID_VALUE
        );
        let host = CUmemAccessDesc {
            location: CUmemLocation {
                kind: CUmemLocationType::HOST,
                id: 0,
            },
            ..wish
        };
        fails!(
            cuMemSetAccess(base + 2 * size, 2 * piece, &host, 1),
            NOT_SUPPORTED
        );
        open(base + 2 * size, 3 * piece);
        ok!(cuMemsetD8_v2(base + 2 * size, 1, 3 * piece));
        // Unmapping: the same.
        fails!(cuMemUnmap(base + 2 * size, piece), INVALID_VALUE);
        fails!(cuMemUnmap(base + 3 * size, piece), INVALID_VALUE);
        fails!(cuMemUnmap(base + 2 * size, 0), INVALID_VALUE);
        // Where nothing is mapped nothing is to be done.
        ok!(cuMemUnmap(base, piece));
        ok!(cuMemUnmap(base + 7 * size, 2 * piece));
        fails!(cuMemAddressFree(base, 8 * piece), INVALID_VALUE);
        ok!(cuMemUnmap(base + 4 * size, piece));
        ok!(cuMemUnmap(base + 2 * size, 2 * piece));
        ok!(cuMemUnmap(base + 2 * size, 2 * piece));
        let mut again = 0;
        fails!(
            cuMemRetainAllocationHandle(&mut again, (base + 2 * size) as *mut c_void),
            INVALID_VALUE
        );
        ok!(cuMemAddressFree(base, 8 * piece));
        fails!(cuMemAddressFree(base, 8 * piece), INVALID_VALUE);
        fails!(cuMemMap(base, 2 * piece, 0, handle, 0), INVALID_VALUE);
        ok!(cuMemRelease(handle));
        fails!(cuMemRelease(handle), INVALID_VALUE);
    });
}

/// Mappings become accessible and go together, whatever lies between them.
#[test]
fn gaps_between_mappings_do_not_matter() {
    in_child("gaps_between_mappings_do_not_matter", &[], || {
        let Some(piece) = start() else { return };
        let (base, size) = (reserve(4 * piece), piece as u64);
        for place in [0, 2] {
            let handle = create(piece);
            ok!(cuMemMap(base + place * size, piece, 0, handle, 0));
            ok!(cuMemRelease(handle));
        }
        open(base, 3 * piece);
        for place in [0, 2] {
            ok!(cuMemsetD8_v2(base + place * size, place as u8 + 1, piece));
            assert_eq!(read(base + place * size, 1), [place as u8 + 1]);
        }
        ok!(cuMemUnmap(base, 4 * piece));
        ok!(cuMemAddressFree(base, 4 * piece));
    });
}

/// Work that is under way when the memory goes, and a process that ends with everything in place.
#[test]
fn unmapping_waits_for_work() {
    in_child("unmapping_waits_for_work", &[], || {
        let Some(piece) = start() else { return };
        let base = reserve(LARGE);
        let handle = create(8 * piece);
        ok!(cuMemMap(base, 8 * piece, 0, handle, 0));
        open(base, 8 * piece);
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, 1));
        for step in 0..100 {
            ok!(cuMemsetD32Async(base, step, 2 * piece, stream));
        }
        ok!(cuMemUnmap(base, 8 * piece));
        let elsewhere = base + LARGE as u64 - 8 * piece as u64;
        ok!(cuMemMap(elsewhere, 8 * piece, 0, handle, 0));
        open(elsewhere, 8 * piece);
        let last = words(&read(elsewhere + 8 * piece as u64 - 4, 4));
        assert_eq!(last, [99]);
        map_new(base, piece);
        ok!(cuMemsetD32Async(base, 1, 100, stream));
    });
}

/// Neither memory nor addresses run out when they are given back.
#[test]
fn what_is_given_back_is_there_again() {
    in_child("what_is_given_back_is_there_again", &[], || {
        let Some(piece) = start() else { return };
        let (mut free, mut total) = (0, 0);
        ok!(cuMemGetInfo_v2(&mut free, &mut total));
        // Each round an eighth of what there is, in all three times as much.
        let size = free / 8 / piece * piece;
        for round in 0..24 {
            let base = reserve(LARGE);
            let start = base + (round * piece) as u64;
            map_new(start, size);
            let end = start + size as u64 - 4096;
            ok!(cuMemsetD32_v2(end, round as u32, 1024));
            assert_eq!(words(&read(end + 4092, 4)), [round as u32]);
            ok!(cuMemUnmap(start, size));
            ok!(cuMemAddressFree(base, LARGE));
        }
    });
}
