//! Stream capture: more calls that it may forbid, dependencies with the data of their edges.

use super::capture::{during, nodes};
use super::*;
use crate::{go, must, show};

/// Calls that [`super::capture`] does not try.
fn forbidden(mode: u32) {
    let call = crate::api::call;
    let (at, other, f) = (alloc(64), stream(1), kernel(c"store"));
    let (mut m, mut out, mut pool) = (0u64, 0u64, 0u64);
    let o = std::ptr::from_mut(&mut out) as u64;
    must!(cuMemAllocManaged(&mut m, 4096, 1));
    must!(cuDeviceGetDefaultMemPool(&mut pool, 0));
    let flat = [8u64, 8, 0x1_0000_0020];
    let solid = [8u64, 8, 0, 0x1_0000_0020, 0];
    let (mut array, mut levels) = (0u64, 0u64);
    must!(cuArrayCreate_v2(&mut array, &flat));
    must!(cuMipmappedArrayCreate(&mut levels, &solid, 1));
    let mut c = 0u64;
    must!(cuCtxGetCurrent(&mut c));
    let mut value = 0u64;
    let v = std::ptr::from_mut(&mut value) as u64;
    during("cuArrayCreate_v2", mode, |_| {
        call("cuArrayCreate_v2", &[o, flat.as_ptr() as u64])
    });
    during("cuArrayDestroy", mode, |_| call("cuArrayDestroy", &[array]));
    during("cuMipmappedArrayCreate", mode, |_| {
        call("cuMipmappedArrayCreate", &[o, solid.as_ptr() as u64, 1])
    });
    during("cuMipmappedArrayDestroy", mode, |_| {
        call("cuMipmappedArrayDestroy", &[levels])
    });
    during("cuMemPoolSetAttribute", mode, |_| {
        call("cuMemPoolSetAttribute", &[pool, 4, v])
    });
    during("cuMemPoolGetAttribute", mode, |_| {
        call("cuMemPoolGetAttribute", &[pool, 4, v])
    });
    during("cuMemPoolSetAccess", mode, |_| {
        let wanted = [1u32, 0, 3];
        call(
            "cuMemPoolSetAccess",
            &[pool, std::ptr::from_ref(&wanted) as u64, 1],
        )
    });
    during("cuDeviceSetMemPool", mode, |_| {
        call("cuDeviceSetMemPool", &[0, pool])
    });
    during("cuMemPoolDestroy", mode, |_| {
        call("cuMemPoolDestroy", &[pool])
    });
    during("cuDeviceGraphMemTrim", mode, |_| {
        call("cuDeviceGraphMemTrim", &[0])
    });
    during("cuCtxSetSharedMemConfig", mode, |_| {
        call("cuCtxSetSharedMemConfig", &[1])
    });
    during("cuCtxSetFlags", mode, |_| call("cuCtxSetFlags", &[0]));
    during("cuCtxResetPersistingL2Cache", mode, |_| {
        call("cuCtxResetPersistingL2Cache", &[])
    });
    during("cuCtxEnablePeerAccess", mode, |_| {
        call("cuCtxEnablePeerAccess", &[c, 0])
    });
    during("cuFuncSetCacheConfig", mode, |_| {
        call("cuFuncSetCacheConfig", &[f, 0])
    });
    during("cuMemRangeGetAttribute", mode, |_| {
        call("cuMemRangeGetAttribute", &[v, 4, 1, m, 4096])
    });
    during("cuPointerSetAttribute", mode, |_| {
        let on = 1u32;
        call(
            "cuPointerSetAttribute",
            &[std::ptr::from_ref(&on) as u64, 6, at],
        )
    });
    during("cuMemHostUnregister of nothing", mode, |_| {
        call("cuMemHostUnregister", &[v])
    });
    during("cuMemAddressReserve", mode, |_| {
        call("cuMemAddressReserve", &[o, 2 << 20, 0, 0, 0])
    });
    during("cuMemCreate", mode, |_| {
        let p = [1u32, 0, 1, 0, 0, 0, 0, 0];
        call("cuMemCreate", &[o, 2 << 20, p.as_ptr() as u64, 0])
    });
    during("cuUserObjectCreate", mode, |_| {
        call(
            "cuUserObjectCreate",
            &[o, counter() as *const _ as u64, COUNT as usize as u64, 1, 1],
        )
    });
    during("cuMemcpyPeer", mode, |_| {
        call("cuMemcpyPeer", &[at + 16, c, at, c, 16])
    });
    during("cuMemcpyPeerAsync of nothing", mode, |s| {
        call("cuMemcpyPeerAsync", &[at + 16, c, at, c, 0, s])
    });
    during("cuMemcpyPeerAsync elsewhere", mode, |_| {
        call("cuMemcpyPeerAsync", &[at + 16, c, at, c, 16, other])
    });
    during("cuMemcpy3DPeerAsync", mode, |s| {
        let copy = peer(at + 16, at, c, 16);
        call(
            "cuMemcpy3DPeerAsync",
            &[std::ptr::from_ref(&copy) as u64, s],
        )
    });
    during("cuMemcpy3DPeerAsync elsewhere", mode, |_| {
        let copy = peer(at + 16, at, c, 16);
        call(
            "cuMemcpy3DPeerAsync",
            &[std::ptr::from_ref(&copy) as u64, other],
        )
    });
    during("cuMemcpyBatchAsync_v2", mode, |s| {
        let (to, from, size) = (at + 16, at, 16usize);
        let (attributes, index) = ([1u64, 0, 0], 0usize);
        call(
            "cuMemcpyBatchAsync_v2",
            &[
                std::ptr::from_ref(&to) as u64,
                std::ptr::from_ref(&from) as u64,
                std::ptr::from_ref(&size) as u64,
                1,
                attributes.as_ptr() as u64,
                std::ptr::from_ref(&index) as u64,
                1,
                s,
            ],
        )
    });
    during("cuMemPrefetchBatchAsync", mode, |s| {
        let (size, place, index) = (4096usize, [1u32, 0], 0usize);
        call(
            "cuMemPrefetchBatchAsync",
            &[
                std::ptr::from_ref(&m) as u64,
                std::ptr::from_ref(&size) as u64,
                1,
                place.as_ptr() as u64,
                std::ptr::from_ref(&index) as u64,
                1,
                0,
                s,
            ],
        )
    });
    during("cuMemDiscardBatchAsync", mode, |s| {
        let size = 4096usize;
        call(
            "cuMemDiscardBatchAsync",
            &[
                std::ptr::from_ref(&m) as u64,
                std::ptr::from_ref(&size) as u64,
                1,
                0,
                s,
            ],
        )
    });
    during("cuCtxRecordEvent", mode, |_| {
        call("cuCtxRecordEvent", &[c, event(2)])
    });
    during("cuModuleUnload", mode, |_| {
        let m = module(PTX);
        call("cuModuleUnload", &[m])
    });
    during("cuLinkCreate_v2", mode, |_| {
        call("cuLinkCreate_v2", &[0, NULL, NULL, o])
    });
}

/// A copy of one row between contexts.
fn peer(to: u64, from: u64, context: u64, bytes: usize) -> cuda_abi::CUDA_MEMCPY3D_PEER {
    let mut copy: cuda_abi::CUDA_MEMCPY3D_PEER = zeroed();
    copy.srcMemoryType = cuda_abi::CUmemorytype::DEVICE;
    copy.dstMemoryType = cuda_abi::CUmemorytype::DEVICE;
    copy.srcContext = cuda_abi::CUcontext(context as usize);
    copy.dstContext = copy.srcContext;
    (copy.srcDevice, copy.dstDevice) = (from, to);
    (copy.WidthInBytes, copy.Height, copy.Depth) = (bytes, 1, 1);
    copy
}

probes! {
    "capture/more-global" => || { context(); forbidden(0); };
    "capture/more-relaxed" => || { context(); forbidden(2); };
    "capture/edge-data" => || {
        context();
        let (s, at, f) = (stream(1), alloc(64), kernel(c"store"));
        let (mut status, mut graph, mut list, mut edges, mut n) = (0u32, 0u64, 0u64, 0u64, 0usize);
        // CUgraphEdgeData: two ports, the type, five reserved bytes.
        let (plain, early) = ([0u8; 8], [1u8, 0, 1, 0, 0, 0, 0, 0]);
        go!(cuStreamUpdateCaptureDependencies_v2(s, NULL, NULL, 0, 0));
        must!(cuStreamBeginCapture_v2(s, 2));
        launch(f, s, at, 1);
        must!(cuStreamGetCaptureInfo_v3(s, &mut status, NULL, &mut graph, &mut list, &mut edges, &mut n));
        show!(n, edges == 0);
        // SAFETY: the library's list of n nodes.
        let first = unsafe { *(list as *const u64) };
        go!(cuStreamUpdateCaptureDependencies_v2(s, &first, &plain, 1, 1));
        go!(cuStreamUpdateCaptureDependencies_v2(s, &first, NULL, 1, 1));
        go!(cuStreamUpdateCaptureDependencies_v2(s, &first, &early, 1, 1));
        go!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, NULL, &mut list, &mut n));
        go!(cuStreamGetCaptureInfo_v3(s, &mut status, NULL, NULL, &mut list, NULL, &mut n));
        go!(cuStreamGetCaptureInfo_v3(s, &mut status, NULL, NULL, &mut list, &mut edges, &mut n));
        show!(status, n, edges == 0);
        launch(f, s, at, 2);
        let mut wrong = plain;
        wrong[2] = 9;
        go!(cuStreamUpdateCaptureDependencies_v2(s, &first, &wrong, 1, 1));
        go!(cuStreamUpdateCaptureDependencies_v2(s, NULL, NULL, 0, 1));
        go!(cuStreamUpdateCaptureDependencies_v2(s, NULL, NULL, 1, 0));
        let mut g = 0u64;
        go!(cuStreamEndCapture(s, &mut g));
        show!(nodes(g));
        let mut count = 0usize;
        go!(cuGraphGetEdges(g, NULL, NULL, &mut count));
        show!(count);
    };
}
