//! Calls about several ranges at once, copies between contexts by rows, fills of every width, pools by location.

use super::*;
use crate::{go, must, show};
use cuda_abi::{CUcontext, CUmemorytype, CUDA_MEMCPY3D_PEER};

/// CUmemLocation of device 0.
const DEVICE: [u32; 2] = [1, 0];
/// CUmemLocation of the host.
const HOST: [u32; 2] = [2, 0];

/// Managed memory of a mebibyte.
fn managed() -> u64 {
    let mut address = 0u64;
    must!(cuMemAllocManaged(&mut address, 1 << 20, 1));
    address
}

/// Rows between two contexts.
fn rows(to: u64, from: u64, contexts: (u64, u64)) -> CUDA_MEMCPY3D_PEER {
    let mut copy: CUDA_MEMCPY3D_PEER = zeroed();
    copy.srcMemoryType = CUmemorytype::DEVICE;
    copy.dstMemoryType = CUmemorytype::DEVICE;
    copy.dstContext = CUcontext(contexts.0 as usize);
    copy.srcContext = CUcontext(contexts.1 as usize);
    (copy.srcDevice, copy.dstDevice) = (from, to);
    (copy.srcPitch, copy.dstPitch, copy.srcHeight, copy.dstHeight) = (16, 32, 2, 2);
    (copy.WidthInBytes, copy.Height, copy.Depth) = (8, 2, 1);
    copy
}

probes! {
    "batch/prefetch" => || {
        context();
        let (a, b, s) = (managed(), managed(), stream(1));
        let (ranges, sizes, places, firsts) = ([a, b], [4096usize, 8192], [DEVICE, HOST], [0usize, 1]);
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 1, 0, s));
        go!(cuStreamSynchronize(s));
        for (address, what) in [(a, "first"), (b, "second")] {
            let mut value = -7i32;
            let code = crate::api::call("cuMemRangeGetAttribute", &[std::ptr::from_mut(&mut value) as u64, 4, 4, address, 4096]);
            crate::api::line(&format!("last prefetch of the {what}"), &format!("{} {value}", crate::api::status(code)));
        }
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 0, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 0, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 3, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &[1usize, 0], 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &[0usize, 0], 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &[0usize, 2], 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 2, 1, s));
        go!(cuMemPrefetchBatchAsync(NULL, &sizes, 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, NULL, 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, NULL, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, NULL, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&[a, alloc(4096)], &sizes, 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &[0usize, 4096], 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &[1usize << 30, 4096], 2, &places, &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &[[1u32, 9], HOST], &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &[[0u32, 0], HOST], &firsts, 2, 0, s));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 2, 0, NULL));
        go!(cuMemPrefetchBatchAsync(&ranges, &sizes, 2, &places, &firsts, 2, 0, LEGACY));
        go!(cuStreamSynchronize(s));
    };
    "batch/discard" => || {
        context();
        let (a, b, s) = (managed(), managed(), stream(1));
        let (ranges, sizes, places, firsts) = ([a, b], [2usize << 20, 8192], [DEVICE, HOST], [0usize, 1]);
        go!(cuMemDiscardBatchAsync(&ranges, &[4096usize, 8192], 2, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, &[1usize << 20, 1 << 20], 2, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, &sizes, 2, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, &sizes, 0, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, &[4096usize, 8192], 2, 1, s));
        go!(cuMemDiscardBatchAsync(NULL, &sizes, 2, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, NULL, 2, 0, s));
        go!(cuMemDiscardBatchAsync(&alloc(4096), &4096usize, 1, 0, s));
        go!(cuMemDiscardBatchAsync(&ranges, &[4096usize, 8192], 2, 0, NULL));
        go!(cuMemDiscardAndPrefetchBatchAsync(&ranges, &[4096usize, 8192], 2, &places, &firsts, 2, 0, s));
        go!(cuMemDiscardAndPrefetchBatchAsync(&ranges, &[4096usize, 8192], 2, &places, &firsts, 0, 0, s));
        go!(cuMemDiscardAndPrefetchBatchAsync(&ranges, &[4096usize, 8192], 0, &places, &firsts, 2, 0, s));
        go!(cuMemDiscardAndPrefetchBatchAsync(&ranges, &[4096usize, 8192], 2, &places, &firsts, 2, 1, s));
        go!(cuStreamSynchronize(s));
        // What is written after that stays.
        go!(cuMemsetD32_v2(a, 7, 16));
        show!(peek(a + 4));
    };
    "batch/rows-of-peers" => || {
        let c = context();
        let (a, b, s) = (alloc(64), alloc(128), stream(1));
        must!(cuMemsetD32_v2(a, 5, 16));
        let other = own_context();
        must!(cuCtxSetCurrent(c));
        go!(cuMemcpy3DPeerAsync(&rows(b, a, (c, c)), s));
        go!(cuStreamSynchronize(s));
        show!(peek(b), peek(b + 4), peek(b + 8), peek(b + 32));
        go!(cuMemcpy3DPeer(&rows(b + 64, a, (c, other))));
        go!(cuCtxSynchronize());
        show!(peek(b + 64), peek(b + 96));
        go!(cuMemcpy3DPeer(&rows(b, a, (0, c))));
        go!(cuMemcpy3DPeer(&rows(b, a, (c, 0))));
        go!(cuMemcpy3DPeer(NULL));
        go!(cuMemcpy3DPeerAsync(NULL, s));
        let mut copy = rows(b, a, (c, c));
        copy.dstPitch = 4;
        go!(cuMemcpy3DPeer(&copy));
        copy.dstPitch = 32;
        copy.dstHeight = 1;
        copy.Depth = 2;
        go!(cuMemcpy3DPeer(&copy));
        copy.Depth = 0;
        go!(cuMemcpy3DPeer(&copy));
        copy.Depth = 1;
        copy.Height = 1000;
        go!(cuMemcpy3DPeer(&copy));
        copy.Height = 2;
        copy.srcMemoryType = CUmemorytype(9);
        go!(cuMemcpy3DPeer(&copy));
        copy.srcMemoryType = CUmemorytype::DEVICE;
        copy.srcDevice = 0;
        go!(cuMemcpy3DPeer(&copy));
    };
    "memory/fills" => || {
        context();
        let (d, s) = (alloc(4096), stream(1));
        go!(cuMemsetD16Async(d, 0x1234, 4, s));
        go!(cuMemsetD16Async(d + 1, 1, 4, s));
        go!(cuMemsetD16Async(d, 1, 0, s));
        go!(cuMemsetD16Async(d, 1, 4096, s));
        go!(cuMemsetD2D16Async(d + 64, 32, 7, 2, 3, s));
        go!(cuMemsetD2D16Async(d + 64, 31, 7, 2, 3, s));
        go!(cuMemsetD2D16Async(d + 64, 2, 7, 2, 3, s));
        go!(cuMemsetD2D16Async(d + 64, 0, 7, 2, 1, s));
        go!(cuMemsetD2D16Async(d + 64, 32, 7, 0, 3, s));
        go!(cuMemsetD2D16Async(d + 64, 32, 7, 2, 0, s));
        go!(cuMemsetD2D32Async(d + 256, 32, 9, 2, 3, s));
        go!(cuMemsetD2D32Async(d + 258, 32, 9, 2, 3, s));
        go!(cuMemsetD2D32Async(d + 256, 30, 9, 2, 3, s));
        go!(cuMemsetD2D32Async(d + 256, 4, 9, 2, 3, s));
        go!(cuMemsetD2D32Async(d + 256, 32, 9, 2, 1000, s));
        go!(cuMemsetD2D32Async(NULL, 32, 9, 2, 3, s));
        go!(cuStreamSynchronize(s));
        show!(peek(d), peek(d + 4), peek(d + 8), peek(d + 64), peek(d + 96), peek(d + 256), peek(d + 260), peek(d + 288));
    };
    "memory/with-attributes" => || {
        context();
        let (a, b, s) = (alloc(64), alloc(64), stream(1));
        must!(cuMemsetD32_v2(a, 5, 16));
        // CUmemcpyAttributes: the order, two locations, flags.
        let attributes = [1u32, 0, 0, 0, 0, 0];
        go!(cuMemcpyWithAttributesAsync(b, a, 16, &attributes, s));
        go!(cuStreamSynchronize(s));
        show!(peek(b));
        go!(cuMemcpyWithAttributesAsync(b, a, 16, NULL, s));
        go!(cuMemcpyWithAttributesAsync(b, a, 0, &attributes, s));
        go!(cuMemcpyWithAttributesAsync(NULL, a, 16, &attributes, s));
        go!(cuMemcpyWithAttributesAsync(b, a, 16, &[9u32, 0, 0, 0, 0, 0], s));
        go!(cuMemcpyWithAttributesAsync(b, a, 16, &attributes, NULL));
    };
    "batch/copies-3d" => || {
        context();
        let (a, b, s) = (alloc(256), alloc(256), stream(1));
        must!(cuMemsetD32_v2(a, 5, 64));
        // A pointer: address, elements of a row, rows of a slice, a place as a hint.
        let pointer = |address: u64| {
            let mut operand: cuda_abi::CUmemcpy3DOperand = zeroed();
            operand.kind = cuda_abi::CUmemcpy3DOperandType(1);
            operand.op.ptr.ptr = address;
            (operand.op.ptr.rowLength, operand.op.ptr.layerHeight) = (16, 2);
            operand
        };
        let copy = |change: &dyn Fn(&mut cuda_abi::CUDA_MEMCPY3D_BATCH_OP)| {
            let mut op: cuda_abi::CUDA_MEMCPY3D_BATCH_OP = zeroed();
            (op.src, op.dst) = (pointer(a), pointer(b));
            (op.extent.width, op.extent.height, op.extent.depth) = (8, 2, 1);
            op.srcAccessOrder = 1;
            change(&mut op);
            op
        };
        let good = copy(&|_| ());
        let mut failed = 77usize;
        go!(cuMemcpy3DBatchAsync(1, &good, &mut failed, 0, s));
        go!(cuStreamSynchronize(s));
        show!(peek(b), peek(b + 4), peek(b + 8), peek(b + 16), peek(b + 24));
        go!(cuMemcpy3DBatchAsync_v2(1, &good, 0, s));
        go!(cuMemcpy3DBatchAsync_v2(2, &[good, good], 0, s));
        go!(cuMemcpy3DBatchAsync_v2(0, &good, 0, s));
        go!(cuMemcpy3DBatchAsync_v2(1, &good, 1, s));
        go!(cuMemcpy3DBatchAsync_v2(1, NULL, 0, s));
        go!(cuMemcpy3DBatchAsync_v2(1, &good, 0, NULL));
        go!(cuMemcpy3DBatchAsync_v2(1, &good, 0, LEGACY));
        go!(cuMemcpy3DBatchAsync_v2(1, &good, 0, PER_THREAD));
        let mut wrong = |what: &str, change: &dyn Fn(&mut cuda_abi::CUDA_MEMCPY3D_BATCH_OP)| {
            let ops = [good, copy(change)];
            failed = 77;
            let code = crate::api::call("cuMemcpy3DBatchAsync", &[2, ops.as_ptr() as u64, std::ptr::from_mut(&mut failed) as u64, 0, s]);
            crate::api::line(what, &format!("{} {failed}", crate::api::status(code)));
        };
        wrong("width 0", &|op| op.extent.width = 0);
        wrong("height 0", &|op| op.extent.height = 0);
        wrong("depth 0", &|op| op.extent.depth = 0);
        wrong("order 0", &|op| op.srcAccessOrder = 0);
        wrong("order 9", &|op| op.srcAccessOrder = 9);
        wrong("flags 1", &|op| op.flags = 1);
        wrong("flags 8", &|op| op.flags = 8);
        wrong("operand 0", &|op| op.src.kind.0 = 0);
        wrong("operand 9", &|op| op.dst.kind.0 = 9);
        wrong("no address", &|op| op.dst.op.ptr.ptr = 0);
        wrong("rows too short", &|op| op.src.op.ptr.rowLength = 4);
        wrong("rows of no length", &|op| op.src.op.ptr.rowLength = 0);
        wrong("slices of no height", &|op| op.src.op.ptr.layerHeight = 0);
        wrong("past the end", &|op| op.extent.height = 100);
        go!(cuStreamSynchronize(s));
    };
    "pool/by-location" => || {
        context();
        let (mut standard, mut pool, mut own) = (0u64, 0u64, 0u64);
        must!(cuDeviceGetDefaultMemPool(&mut standard, 0));
        // Types: 1 pinned, 2 managed.
        for (what, place) in [("device", DEVICE), ("host", HOST), ("device 9", [1u32, 9]), ("nowhere", [0, 0]), ("node 0", [3, 0]), ("node 99", [3, 99]), ("place 9", [9, 0])] {
            for kind in [0u64, 1, 2, 9] {
                let code = crate::api::call("cuMemGetDefaultMemPool", &[std::ptr::from_mut(&mut pool) as u64, std::ptr::from_ref(&place) as u64, kind]);
                let said = if code == 0 { format!("{} {}", crate::api::status(code), pool == standard) } else { crate::api::status(code) };
                crate::api::line(&format!("default of {what}, type {kind}"), &said);
                let code = crate::api::call("cuMemGetMemPool", &[std::ptr::from_mut(&mut own) as u64, std::ptr::from_ref(&place) as u64, kind]);
                let said = if code == 0 { format!("{} {}", crate::api::status(code), own == pool) } else { crate::api::status(code) };
                crate::api::line(&format!("current of {what}, type {kind}"), &said);
            }
        }
        go!(cuMemGetDefaultMemPool(NULL, &DEVICE, 1));
        go!(cuMemGetDefaultMemPool(&mut pool, NULL, 1));
        go!(cuMemGetMemPool(NULL, &DEVICE, 1));
        let properties = [1u64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        must!(cuMemPoolCreate(&mut own, &properties));
        go!(cuMemSetMemPool(&DEVICE, 1, own));
        go!(cuDeviceGetMemPool(&mut pool, 0));
        show!(pool == own);
        go!(cuMemSetMemPool(&DEVICE, 2, own));
        go!(cuMemSetMemPool(&HOST, 1, own));
        go!(cuMemSetMemPool(&DEVICE, 1, NULL));
        go!(cuMemSetMemPool(NULL, 1, own));
        go!(cuMemPoolDestroy(own));
        go!(cuMemGetMemPool(&mut pool, &DEVICE, 1));
        show!(pool == standard);
    };
    "pool/null" => || {
        context();
        let (mut value, mut access, s) = (0u64, 9u32, stream(1));
        go!(cuMemPoolSetAttribute(NULL, 4, &mut value));
        go!(cuMemPoolSetAccess(NULL, &[1u32, 0, 3], 1));
        go!(cuMemPoolGetAccess(&mut access, NULL, &DEVICE));
        go!(cuMemAllocFromPoolAsync(&mut value, 64, NULL, s));
        go!(cuDeviceSetMemPool(0, NULL));
    };
    "device/atomics" => || {
        init();
        let (mut found, operations) = ([9u32; 4], [0i32, 1, 5, 99]);
        go!(cuDeviceGetHostAtomicCapabilities(&mut found, &operations, 3, 0));
        go!(cuDeviceGetHostAtomicCapabilities(&mut found, &operations, 4, 0));
        go!(cuDeviceGetHostAtomicCapabilities(&mut found, &operations, 0, 0));
        go!(cuDeviceGetHostAtomicCapabilities(NULL, &operations, 1, 0));
        go!(cuDeviceGetHostAtomicCapabilities(&mut found, NULL, 1, 0));
        go!(cuDeviceGetHostAtomicCapabilities(&mut found, &operations, 1, 9));
        go!(cuDeviceGetP2PAtomicCapabilities(&mut found, &operations, 1, 0, 0));
        go!(cuDeviceGetP2PAtomicCapabilities(&mut found, &operations, 1, 0, 9));
    };
    "pointer/unknown-several" => || {
        context();
        // Which attributes of an address that nobody knows are written.
        let local = 0u64;
        for id in (1..24u32).chain([99]) {
            let mut value = [0xaaaa_aaaa_aaaa_aaaau64; 2];
            let place = std::ptr::from_mut(&mut value) as u64;
            let code = crate::api::call("cuPointerGetAttributes", &[1, std::ptr::from_ref(&id) as u64, std::ptr::from_ref(&place) as u64, std::ptr::from_ref(&local) as u64]);
            let said = if value[0] == 0xaaaa_aaaa_aaaa_aaaa { "untouched".to_owned() } else { format!("{}", value[0] as u8) };
            crate::api::line(&format!("attribute {id}"), &format!("{} {said}", crate::api::status(code)));
        }
    };
    "vmm/gaps" => || {
        context();
        let properties = [1u32, 0, 1, 0, 0, 0, 0, 0];
        let (mut g, mut at, mut h) = (0usize, 0u64, 0u64);
        must!(cuMemGetAllocationGranularity(&mut g, &properties, 0));
        must!(cuMemAddressReserve(&mut at, 8 * g, 0, 0, 0));
        must!(cuMemCreate(&mut h, g, &properties, 0));
        let step = g as u64;
        must!(cuMemMap(at, g, 0, h, 0));
        must!(cuMemMap(at + 2 * step, g, 0, h, 0));
        go!(cuMemSetAccess(at, 3 * g, &[1u32, 0, 3], 1));
        go!(cuMemUnmap(at + step, g));
        go!(cuMemUnmap(at + step + 4096, 4096));
        go!(cuMemUnmap(at, 3 * g));
        go!(cuMemUnmap(at, 8 * g));
        go!(cuMemUnmap(at + 4 * step, 2 * g));
        go!(cuMemUnmap(at + 7 * step, 2 * g));
        go!(cuMemMap(at + 4 * step, g, 4096, h, 0));
        go!(cuMemAddressFree(at, 8 * g));
    };
    "vmm/access-places" => || {
        context();
        let properties = [1u32, 0, 1, 0, 0, 0, 0, 0];
        let (mut g, mut at, mut h) = (0usize, 0u64, 0u64);
        must!(cuMemGetAllocationGranularity(&mut g, &properties, 0));
        must!(cuMemAddressReserve(&mut at, g, 0, 0, 0));
        must!(cuMemCreate(&mut h, g, &properties, 0));
        must!(cuMemMap(at, g, 0, h, 0));
        for place in 0..6u32 {
            let mut flags = 9u64;
            let wanted = [place, 0, 3];
            let code = crate::api::call("cuMemSetAccess", &[at, g as u64, std::ptr::from_ref(&wanted) as u64, 1]);
            let read = crate::api::call("cuMemGetAccess", &[std::ptr::from_mut(&mut flags) as u64, std::ptr::from_ref(&wanted) as u64, at]);
            crate::api::line(&format!("place {place}"), &format!("{}, {} {flags}", crate::api::status(code), crate::api::status(read)));
        }
    };
    "function/registers" => || {
        context();
        let (mut m, mut n, mut limited) = (0u64, 0i32, 0i32);
        must!(cuModuleLoadData(&mut m, PTX));
        go!(cuFuncGetAttribute(&mut n, 4, function(m, c"add")));
        for most in [0u64, 1, 8, 16, 255, 256, 1000] {
            let mut value = most;
            let code = crate::api::call("cuModuleLoadDataEx", &[std::ptr::from_mut(&mut m) as u64, PTX.as_ptr() as u64, 1, std::ptr::from_ref(&0u32) as u64, std::ptr::from_mut(&mut value) as u64]);
            if code == 0 {
                must!(cuFuncGetAttribute(&mut limited, 4, function(m, c"add")));
            }
            crate::api::line(&format!("limit {most}"), &format!("{} no more {}", crate::api::status(code), limited <= n));
        }
    };
    "launch/host-function-v2" => || {
        context();
        let (s, n) = (stream(1), counter());
        go!(cuLaunchHostFunc_v2(s, COUNT, n, 0));
        go!(cuLaunchHostFunc_v2(s, COUNT, n, 1));
        go!(cuLaunchHostFunc_v2(s, COUNT, n, 9));
        go!(cuLaunchHostFunc_v2(s, NULL, n, 0));
        go!(cuStreamSynchronize(s));
        show!(counted(n));
    };
}
