//! Stream capture.

use super::*;
use crate::{go, must, show};

/// The number of a graph's nodes.
pub fn nodes(graph: u64) -> usize {
    let mut n = 0usize;
    if graph != 0 {
        must!(cuGraphGetNodes(graph, NULL, &mut n));
    }
    n
}

/// A stream's capture status and whether it has an id.
fn status(stream: u64) -> String {
    let (mut status, mut id) = (9u32, 0u64);
    let code = crate::api::call(
        "cuStreamGetCaptureInfo_v2",
        &[
            stream,
            std::ptr::from_mut(&mut status) as u64,
            std::ptr::from_mut(&mut id) as u64,
            NULL,
            NULL,
            NULL,
        ],
    );
    format!("{} {status} {}", crate::api::status(code), id != 0)
}

/// Tries a call while a stream captures, and tells whether the capture is still good after it.
pub fn during(what: &str, mode: u32, call: impl FnOnce(u64) -> u32) {
    let s = stream(1);
    must!(cuStreamBeginCapture_v2(s, mode));
    let code = call(s);
    let after = status(s);
    let mut graph = 5u64;
    let end = crate::api::call(
        "cuStreamEndCapture",
        &[s, std::ptr::from_mut(&mut graph) as u64],
    );
    let n = if end == 0 { nodes(graph) } else { 0 };
    crate::api::line(
        what,
        &format!(
            "{}; {after}; {} {} {n}",
            crate::api::status(code),
            crate::api::status(end),
            graph == 0
        ),
    );
}

/// Every call that a capture may forbid.
fn forbidden(mode: u32) {
    let (f, at, e, other, legacy) = (kernel(c"store"), alloc(64), event(2), stream(1), stream(0));
    let (host, recorded) = (vec![0u8; 64], event(2));
    let mut h = 0u64;
    must!(cuMemHostAlloc(&mut h, 64, 0));
    must!(cuEventRecord(recorded, other));
    let mut m = 0u64;
    must!(cuMemAllocManaged(&mut m, 64, 1));
    let call = crate::api::call;
    let mut out = 0u64;
    let o = std::ptr::from_mut(&mut out) as u64;
    let p = Parameters::new(at, 1);
    let list = p.list();
    during("nothing", mode, |_| 0);
    during("cuLaunchKernel", mode, |s| {
        call("cuLaunchKernel", &[f, 1, 1, 1, 1, 1, 1, 0, s, list, NULL])
    });
    during("cuLaunchKernel on the legacy stream", mode, |_| {
        call(
            "cuLaunchKernel",
            &[f, 1, 1, 1, 1, 1, 1, 0, NULL, list, NULL],
        )
    });
    during("cuLaunchKernel on the thread's stream", mode, |_| {
        call(
            "cuLaunchKernel",
            &[f, 1, 1, 1, 1, 1, 1, 0, PER_THREAD, list, NULL],
        )
    });
    during("cuLaunchKernel on a blocking stream", mode, |_| {
        call(
            "cuLaunchKernel",
            &[f, 1, 1, 1, 1, 1, 1, 0, legacy, list, NULL],
        )
    });
    during("cuMemAlloc_v2", mode, |_| call("cuMemAlloc_v2", &[o, 64]));
    during("cuMemFree_v2 of null", mode, |_| call("cuMemFree_v2", &[0]));
    during("cuMemHostAlloc", mode, |_| {
        call("cuMemHostAlloc", &[o, 64, 0])
    });
    during("cuMemAllocManaged", mode, |_| {
        call("cuMemAllocManaged", &[o, 64, 1])
    });
    during("cuMemAllocAsync", mode, |s| {
        call("cuMemAllocAsync", &[o, 64, s])
    });
    during("cuMemAllocAsync elsewhere", mode, |_| {
        call("cuMemAllocAsync", &[o, 64, other])
    });
    during("cuMemFreeAsync", mode, |s| call("cuMemFreeAsync", &[at, s]));
    during("cuMemGetInfo_v2", mode, |_| {
        let mut t = 0u64;
        call("cuMemGetInfo_v2", &[o, std::ptr::from_mut(&mut t) as u64])
    });
    during("cuMemcpyHtoD_v2", mode, |_| {
        call("cuMemcpyHtoD_v2", &[at, host.as_ptr() as u64, 16])
    });
    during("cuMemcpyDtoH_v2", mode, |_| {
        call("cuMemcpyDtoH_v2", &[host.as_ptr() as u64, at, 16])
    });
    during("cuMemcpyDtoD_v2", mode, |_| {
        call("cuMemcpyDtoD_v2", &[at + 16, at, 16])
    });
    during("cuMemcpyHtoDAsync_v2, pageable", mode, |s| {
        call("cuMemcpyHtoDAsync_v2", &[at, host.as_ptr() as u64, 16, s])
    });
    during("cuMemcpyDtoHAsync_v2, pageable", mode, |s| {
        call("cuMemcpyDtoHAsync_v2", &[host.as_ptr() as u64, at, 16, s])
    });
    during("cuMemcpyHtoDAsync_v2, pinned", mode, |s| {
        call("cuMemcpyHtoDAsync_v2", &[at, h, 16, s])
    });
    during("cuMemcpyDtoDAsync_v2", mode, |s| {
        call("cuMemcpyDtoDAsync_v2", &[at + 16, at, 16, s])
    });
    during("cuMemcpyDtoDAsync_v2 of nothing", mode, |s| {
        call("cuMemcpyDtoDAsync_v2", &[at + 16, at, 0, s])
    });
    during("cuMemcpyHtoDAsync_v2, pageable, elsewhere", mode, |_| {
        call(
            "cuMemcpyHtoDAsync_v2",
            &[at, host.as_ptr() as u64, 16, other],
        )
    });
    during("cuMemcpyAsync", mode, |s| {
        call("cuMemcpyAsync", &[at + 16, at, 16, s])
    });
    during("cuMemsetD8_v2", mode, |_| {
        call("cuMemsetD8_v2", &[at, 0, 16])
    });
    during("cuMemsetD8Async", mode, |s| {
        call("cuMemsetD8Async", &[at, 0, 16, s])
    });
    during("cuMemsetD8Async of nothing", mode, |s| {
        call("cuMemsetD8Async", &[at, 0, 0, s])
    });
    during("cuMemsetD2D8Async", mode, |s| {
        call("cuMemsetD2D8Async", &[at, 8, 0, 4, 4, s])
    });
    during("cuMemsetD32Async, unaligned", mode, |s| {
        call("cuMemsetD32Async", &[at + 1, 0, 1, s])
    });
    during("cuMemPrefetchAsync", mode, |s| {
        call("cuMemPrefetchAsync", &[m, 64, 0, s])
    });
    during("cuStreamAttachMemAsync", mode, |s| {
        call("cuStreamAttachMemAsync", &[s, m, 0, 1])
    });
    during("cuStreamSynchronize", mode, |s| {
        call("cuStreamSynchronize", &[s])
    });
    during("cuStreamSynchronize elsewhere", mode, |_| {
        call("cuStreamSynchronize", &[other])
    });
    during("cuStreamSynchronize, legacy", mode, |_| {
        call("cuStreamSynchronize", &[NULL])
    });
    during("cuStreamQuery", mode, |s| call("cuStreamQuery", &[s]));
    during("cuStreamQuery elsewhere", mode, |_| {
        call("cuStreamQuery", &[other])
    });
    during("cuStreamQuery, legacy", mode, |_| {
        call("cuStreamQuery", &[NULL])
    });
    during("cuCtxSynchronize", mode, |_| call("cuCtxSynchronize", &[]));
    during("cuEventRecord", mode, |s| call("cuEventRecord", &[e, s]));
    during("cuEventQuery of a captured event", mode, |s| {
        call("cuEventRecord", &[e, s]);
        call("cuEventQuery", &[e])
    });
    during("cuEventSynchronize of a captured event", mode, |s| {
        call("cuEventRecord", &[e, s]);
        call("cuEventSynchronize", &[e])
    });
    during("cuEventQuery elsewhere", mode, |_| {
        call("cuEventQuery", &[recorded])
    });
    during("cuEventSynchronize elsewhere", mode, |_| {
        call("cuEventSynchronize", &[recorded])
    });
    during("cuEventRecord elsewhere", mode, |_| {
        call("cuEventRecord", &[recorded, other])
    });
    during("cuEventRecord, legacy", mode, |_| {
        call("cuEventRecord", &[recorded, NULL])
    });
    during("cuEventRecordWithFlags, external", mode, |s| {
        call("cuEventRecordWithFlags", &[recorded, s, 1])
    });
    during("cuStreamWaitEvent, external", mode, |s| {
        call("cuStreamWaitEvent", &[s, recorded, 1])
    });
    during("cuStreamWaitEvent of an event from before", mode, |s| {
        call("cuStreamWaitEvent", &[s, recorded, 0])
    });
    during("cuStreamCreate", mode, |_| call("cuStreamCreate", &[o, 1]));
    during("cuEventCreate", mode, |_| call("cuEventCreate", &[o, 0]));
    during("cuStreamDestroy_v2 elsewhere", mode, |_| {
        let t = stream(1);
        call("cuStreamDestroy_v2", &[t])
    });
    during("cuModuleLoadData", mode, |_| {
        call("cuModuleLoadData", &[o, PTX.as_ptr() as u64])
    });
    during("cuLaunchHostFunc", mode, |s| {
        call(
            "cuLaunchHostFunc",
            &[s, COUNT as usize as u64, counter() as *const _ as u64],
        )
    });
    during("cuStreamAddCallback", mode, |s| {
        call("cuStreamAddCallback", &[s, COUNT as usize as u64, NULL, 0])
    });
    during("cuStreamWriteValue32_v2", mode, |s| {
        call("cuStreamWriteValue32_v2", &[s, at, 1, 0])
    });
    during("cuStreamGetFlags", mode, |s| {
        call("cuStreamGetFlags", &[s, o])
    });
    during("cuStreamGetId", mode, |s| call("cuStreamGetId", &[s, o]));
    during("cuStreamGetCtx", mode, |s| call("cuStreamGetCtx", &[s, o]));
    during("cuPointerGetAttribute", mode, |_| {
        call("cuPointerGetAttribute", &[o, 2, at])
    });
    during("cuFuncSetAttribute", mode, |_| {
        call("cuFuncSetAttribute", &[f, 8, 100])
    });
    during("cuStreamBeginCapture_v2 again", mode, |s| {
        call("cuStreamBeginCapture_v2", &[s, 2])
    });
    during("cuStreamBeginCapture_v2 elsewhere", mode, |_| {
        let t = stream(1);
        let code = call("cuStreamBeginCapture_v2", &[t, 2]);
        call("cuStreamEndCapture", &[t, o]);
        code
    });
    during("cuGraphLaunch", mode, |s| {
        let (mut graph, mut exec) = (0u64, 0u64);
        must!(cuGraphCreate(&mut graph, 0));
        must!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        call("cuGraphLaunch", &[exec, s])
    });
    during("cuGraphUpload", mode, |s| {
        let (mut graph, mut exec) = (0u64, 0u64);
        must!(cuGraphCreate(&mut graph, 0));
        must!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        call("cuGraphUpload", &[exec, s])
    });
    let (mut zero, mut handle) = ([0u64; 8], 0u64);
    let z = std::ptr::from_mut(&mut zero) as u64;
    let spare = module(PTX);
    during("cuStreamGetPriority", mode, |s| {
        call("cuStreamGetPriority", &[s, o])
    });
    during("cuStreamGetDevice", mode, |s| {
        call("cuStreamGetDevice", &[s, o])
    });
    during("cuStreamGetAttribute", mode, |s| {
        call("cuStreamGetAttribute", &[s, 3, z])
    });
    during("cuStreamSetAttribute", mode, |s| {
        zero[0] = 1;
        call("cuStreamSetAttribute", &[s, 3, z])
    });
    during("cuStreamCopyAttributes", mode, |s| {
        call("cuStreamCopyAttributes", &[s, other])
    });
    during("cuStreamGetFlags elsewhere", mode, |_| {
        call("cuStreamGetFlags", &[other, o])
    });
    during("cuMemFree_v2", mode, |_| {
        call("cuMemAlloc_v2", &[o, 64]);
        call("cuMemFree_v2", &[out])
    });
    during("cuMemFreeHost of null", mode, |_| {
        call("cuMemFreeHost", &[0])
    });
    during("cuMemHostRegister_v2", mode, |_| {
        call("cuMemHostRegister_v2", &[host.as_ptr() as u64, 64, 0])
    });
    during("cuMemHostGetDevicePointer_v2", mode, |_| {
        call("cuMemHostGetDevicePointer_v2", &[o, h, 0])
    });
    during("cuMemAdvise", mode, |_| call("cuMemAdvise", &[m, 64, 1, 0]));
    during("cuMemAllocPitch_v2", mode, |_| {
        call("cuMemAllocPitch_v2", &[o, z, 100, 2, 4])
    });
    during("cuMemPoolCreate", mode, |_| {
        let p = [1u64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        call("cuMemPoolCreate", &[o, p.as_ptr() as u64])
    });
    during("cuMemPoolTrimTo", mode, |_| {
        must!(cuDeviceGetDefaultMemPool(&mut handle, 0));
        call("cuMemPoolTrimTo", &[handle, 0])
    });
    during("cuArray3DCreate_v2", mode, |_| {
        let d = [8u64, 8, 0, 0x1_0000_0020, 0];
        call("cuArray3DCreate_v2", &[o, d.as_ptr() as u64])
    });
    during("cuCtxSetLimit", mode, |_| call("cuCtxSetLimit", &[0, 1024]));
    during("cuCtxGetLimit", mode, |_| call("cuCtxGetLimit", &[o, 0]));
    during("cuCtxSetCacheConfig", mode, |_| {
        call("cuCtxSetCacheConfig", &[0])
    });
    during("cuModuleGetFunction", mode, |_| {
        let mut f = 0u64;
        call(
            "cuModuleGetFunction",
            &[
                std::ptr::from_mut(&mut f) as u64,
                spare,
                c"empty".as_ptr() as u64,
            ],
        )
    });
    during("cuModuleGetGlobal_v2", mode, |_| {
        call(
            "cuModuleGetGlobal_v2",
            &[o, z, spare, c"word".as_ptr() as u64],
        )
    });
    during("cuLibraryLoadData", mode, |_| {
        call(
            "cuLibraryLoadData",
            &[o, PTX.as_ptr() as u64, 0, 0, 0, 0, 0, 0],
        )
    });
    during("cuFuncGetAttribute", mode, |_| {
        call("cuFuncGetAttribute", &[o, 0, f])
    });
    during("cuOccupancyMaxActiveBlocksPerMultiprocessor", mode, |_| {
        call(
            "cuOccupancyMaxActiveBlocksPerMultiprocessor",
            &[o, f, 32, 0],
        )
    });
    during("cuPointerGetAttributes", mode, |_| {
        let (id, place) = (2u32, z);
        call(
            "cuPointerGetAttributes",
            &[
                1,
                std::ptr::from_ref(&id) as u64,
                std::ptr::from_ref(&place) as u64,
                at,
            ],
        )
    });
    during("cuGraphCreate", mode, |_| call("cuGraphCreate", &[o, 0]));
    during("cuEventElapsedTime", mode, |_| {
        call("cuEventElapsedTime", &[z, recorded, recorded])
    });
    during("cuEventDestroy_v2", mode, |_| {
        let gone = event(2);
        call("cuEventDestroy_v2", &[gone])
    });
    during("cuDeviceGetAttribute", mode, |_| {
        call("cuDeviceGetAttribute", &[o, 1, 0])
    });
    during("cuMemcpy2D_v2 on the device", mode, |_| {
        let mut c: cuda_abi::CUDA_MEMCPY2D = zeroed();
        c.srcMemoryType = cuda_abi::CUmemorytype::DEVICE;
        c.dstMemoryType = cuda_abi::CUmemorytype::DEVICE;
        (c.srcDevice, c.dstDevice, c.WidthInBytes, c.Height) = (at, at + 32, 8, 1);
        call("cuMemcpy2D_v2", &[std::ptr::from_ref(&c) as u64])
    });
    during("cuMemcpy", mode, |_| call("cuMemcpy", &[at + 16, at, 16]));
    during("cuMemGetAddressRange_v2", mode, |_| {
        call("cuMemGetAddressRange_v2", &[o, z, at])
    });
    during("cuDevicePrimaryCtxGetState", mode, |_| {
        call("cuDevicePrimaryCtxGetState", &[0, o, z])
    });
    during("cuStreamBatchMemOp_v2", mode, |s| {
        let op = [2u64, at, 3, 0, 0, 0];
        call("cuStreamBatchMemOp_v2", &[s, 1, op.as_ptr() as u64, 0])
    });
    during("cuLaunchCooperativeKernel", mode, |s| {
        call(
            "cuLaunchCooperativeKernel",
            &[f, 1, 1, 1, 1, 1, 1, 0, s, list],
        )
    });
    during("cuMemcpyPeerAsync", mode, |s| {
        let mut c = 0u64;
        must!(cuCtxGetCurrent(&mut c));
        call("cuMemcpyPeerAsync", &[at + 16, c, at, c, 16, s])
    });
    during("cuLaunchKernel without parameters", mode, |s| {
        call(
            "cuLaunchKernel",
            &[f, 1, 1, 1, 2000, 1, 1, 0, s, list, NULL],
        )
    });
}

probes! {
    "capture/global" => || { context(); forbidden(0); };
    "capture/thread-local" => || { context(); forbidden(1); };
    "capture/relaxed" => || { context(); forbidden(2); };
    "capture/begin" => || {
        context();
        let (s, mut g) = (stream(0), 0u64);
        go!(cuStreamBeginCapture_v2(NULL, 0));
        go!(cuStreamBeginCapture_v2(LEGACY, 0));
        go!(cuStreamBeginCapture_v2(s, 3));
        go!(cuStreamBeginCapture_v2(PER_THREAD, 0));
        go!(cuStreamEndCapture(PER_THREAD, &mut g));
        go!(cuStreamBeginCapture(s));
        go!(cuStreamEndCapture(s, &mut g));
        show!(g != 0, nodes(g));
        go!(cuStreamEndCapture(s, &mut g));
        go!(cuStreamEndCapture(NULL, &mut g));
        go!(cuStreamBeginCapture_v2(s, 0));
        go!(cuStreamEndCapture(s, NULL));
        show!(status(s));
        let mut status = 9u32;
        go!(cuStreamIsCapturing(s, &mut status));
        show!(status);
        go!(cuStreamIsCapturing(s, NULL));
        go!(cuStreamIsCapturing(NULL, &mut status));
        show!(status);
        go!(cuStreamIsCapturing(LEGACY, &mut status));
    };
    "capture/legacy-while-capturing" => || {
        context();
        let (s, mut g, mut status) = (stream(0), 0u64, 9u32);
        must!(cuStreamBeginCapture_v2(s, 2));
        go!(cuStreamIsCapturing(NULL, &mut status));
        go!(cuStreamQuery(NULL));
        go!(cuStreamIsCapturing(s, &mut status));
        show!(status);
        go!(cuStreamEndCapture(s, &mut g));
    };
    "capture/info" => || {
        context();
        let (s, at) = (stream(1), alloc(64));
        let (mut status, mut id, mut graph, mut list, mut edges, mut n) = (9u32, 0u64, 0u64, 0u64, 0u64, 9usize);
        go!(cuStreamGetCaptureInfo_v2(s, &mut status, &mut id, &mut graph, &mut list, &mut n));
        show!(status, id, graph, list, n);
        go!(cuStreamGetCaptureInfo_v2(s, NULL, NULL, NULL, NULL, NULL));
        go!(cuStreamGetCaptureInfo_v2(NULL, &mut status, NULL, NULL, NULL, NULL));
        must!(cuStreamBeginCapture_v2(s, 2));
        go!(cuStreamGetCaptureInfo_v2(s, &mut status, &mut id, &mut graph, &mut list, &mut n));
        show!(status, id != 0, graph != 0, n);
        go!(cuStreamGetCaptureInfo(s, &mut status, &mut id));
        go!(cuStreamGetCaptureInfo_v3(s, &mut status, &mut id, &mut graph, &mut list, &mut edges, &mut n));
        show!(status, n, edges == 0);
        launch(kernel(c"store"), s, at, 1);
        go!(cuStreamGetCaptureInfo_v3(s, &mut status, &mut id, &mut graph, &mut list, &mut edges, &mut n));
        show!(n, nodes(graph), edges == 0);
        go!(cuStreamGetCaptureInfo_v3(s, &mut status, &mut id, &mut graph, &mut list, NULL, &mut n));
        // SAFETY: the library's list of n nodes.
        let node = unsafe { *(list as *const u64) };
        let mut kind = 9u32;
        go!(cuGraphNodeGetType(node, &mut kind));
        show!(kind);
        let mut end = 0u64;
        go!(cuStreamEndCapture(s, &mut end));
        show!(end == graph);
        let second = id;
        must!(cuStreamBeginCapture_v2(s, 2));
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, &mut id, NULL, NULL, NULL));
        show!(id != second);
    };
    "capture/dependencies" => || {
        context();
        let (s, at, f) = (stream(1), alloc(64), kernel(c"store"));
        let (mut status, mut graph, mut list, mut n) = (0u32, 0u64, 0u64, 0usize);
        go!(cuStreamUpdateCaptureDependencies(s, NULL, 0, 0));
        must!(cuStreamBeginCapture_v2(s, 2));
        launch(f, s, at, 1);
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, &mut graph, &mut list, &mut n));
        // SAFETY: the library's list of n nodes.
        let first = unsafe { *(list as *const u64) };
        let mut added = 0u64;
        go!(cuGraphAddEmptyNode(&mut added, graph, NULL, 0));
        go!(cuStreamUpdateCaptureDependencies(s, &added, 1, 0));
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, NULL, NULL, &mut n));
        show!(n);
        go!(cuStreamUpdateCaptureDependencies(s, &added, 1, 0));
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, NULL, NULL, &mut n));
        show!(n);
        go!(cuStreamUpdateCaptureDependencies(s, &first, 1, 1));
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, NULL, NULL, &mut n));
        show!(n);
        go!(cuStreamUpdateCaptureDependencies(s, NULL, 0, 1));
        must!(cuStreamGetCaptureInfo_v2(s, &mut status, NULL, NULL, NULL, &mut n));
        show!(n);
        go!(cuStreamUpdateCaptureDependencies(s, &NULL, 1, 0));
        go!(cuStreamUpdateCaptureDependencies(s, NULL, 1, 0));
        go!(cuStreamUpdateCaptureDependencies(s, &added, 1, 7));
        let mut foreign = (0u64, 0u64);
        must!(cuGraphCreate(&mut foreign.0, 0));
        must!(cuGraphAddEmptyNode(&mut foreign.1, foreign.0, NULL, 0));
        go!(cuStreamUpdateCaptureDependencies(s, &foreign.1, 1, 0));
        let mut g = 0u64;
        go!(cuStreamEndCapture(s, &mut g));
        show!(g == graph);
    };
    "capture/fork-join" => || {
        context();
        let (s, t, e, f, at) = (stream(1), stream(1), (event(2), event(2)), kernel(c"store"), alloc(64));
        must!(cuStreamBeginCapture_v2(s, 0));
        launch(f, s, at, 1);
        go!(cuEventRecord(e.0, s));
        go!(cuStreamWaitEvent(t, e.0, 0));
        show!(status(t));
        launch(f, t, at + 4, 2);
        launch(f, s, at + 8, 3);
        go!(cuEventRecord(e.1, t));
        go!(cuStreamWaitEvent(s, e.1, 0));
        launch(f, s, at + 12, 4);
        let mut g = 0u64;
        go!(cuStreamEndCapture(t, &mut g));
        go!(cuStreamEndCapture(s, &mut g));
        let mut edges = 0usize;
        go!(cuGraphGetEdges(g, NULL, NULL, &mut edges));
        show!(nodes(g), edges);
        show!(status(t), status(s));
        go!(cuEventQuery(e.0));
        go!(cuStreamWaitEvent(t, e.0, 0));
    };
    "capture/fork-and-join" => || {
        context();
        let (s, t, e, f, at) = (stream(1), stream(1), (event(2), event(2)), kernel(c"add"), alloc(64));
        must!(cuStreamBeginCapture_v2(s, 0));
        launch(f, s, at, 1);
        must!(cuEventRecord(e.0, s));
        must!(cuStreamWaitEvent(t, e.0, 0));
        launch(f, t, at + 4, 2);
        launch(f, s, at + 8, 3);
        must!(cuEventRecord(e.1, t));
        go!(cuStreamWaitEvent(s, e.1, 0));
        show!(status(t));
        launch(f, s, at + 12, 4);
        let (mut g, mut edges, mut x) = (0u64, 0usize, 0u64);
        go!(cuStreamEndCapture(s, &mut g));
        go!(cuGraphGetEdges(g, NULL, NULL, &mut edges));
        show!(nodes(g), edges, status(t), status(s));
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        launch(f, t, at, 100);
        must!(cuStreamSynchronize(t));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at), peek(at + 4), peek(at + 8), peek(at + 12));
    };
    "capture/end-on-forked" => || {
        context();
        let (s, t, e) = (stream(1), stream(1), event(2));
        must!(cuStreamBeginCapture_v2(s, 0));
        must!(cuEventRecord(e, s));
        must!(cuStreamWaitEvent(t, e, 0));
        let mut g = 5u64;
        go!(cuStreamEndCapture(t, &mut g));
        show!(status(s), status(t));
        go!(cuStreamEndCapture(s, &mut g));
        show!(g == 0);
    };
    "capture/unjoined" => || {
        context();
        let (s, t, e, f, at) = (stream(1), stream(1), event(2), kernel(c"store"), alloc(64));
        must!(cuStreamBeginCapture_v2(s, 0));
        launch(f, s, at, 1);
        must!(cuEventRecord(e, s));
        must!(cuStreamWaitEvent(t, e, 0));
        launch(f, t, at + 4, 2);
        let mut g = 5u64;
        go!(cuStreamEndCapture(s, &mut g));
        show!(g == 0, status(s), status(t));
        launch(f, t, at + 4, 2);
        go!(cuStreamSynchronize(t));
    };
    "capture/unjoined-without-work" => || {
        context();
        let (s, t, e, f, at) = (stream(1), stream(1), event(2), kernel(c"store"), alloc(64));
        must!(cuStreamBeginCapture_v2(s, 0));
        launch(f, s, at, 1);
        must!(cuEventRecord(e, s));
        must!(cuStreamWaitEvent(t, e, 0));
        launch(f, s, at, 1);
        let mut g = 5u64;
        go!(cuStreamEndCapture(s, &mut g));
        show!(g == 0, status(s), status(t));
    };
    "capture/event-outside" => || {
        context();
        let (s, t, e) = (stream(1), stream(1), event(0));
        must!(cuStreamBeginCapture_v2(s, 2));
        must!(cuEventRecord(e, s));
        let mut g = 0u64;
        must!(cuStreamEndCapture(s, &mut g));
        go!(cuEventQuery(e));
        go!(cuEventSynchronize(e));
        go!(cuStreamWaitEvent(t, e, 0));
        let mut ms = 0.0f32;
        go!(cuEventElapsedTime(&mut ms, e, e));
        go!(cuEventRecord(e, t));
        go!(cuEventSynchronize(e));
        go!(cuEventQuery(e));
    };
    "capture/two-captures" => || {
        context();
        let (s, t, e) = (stream(1), stream(1), event(2));
        must!(cuStreamBeginCapture_v2(s, 2));
        must!(cuStreamBeginCapture_v2(t, 2));
        must!(cuEventRecord(e, s));
        go!(cuStreamWaitEvent(t, e, 0));
        show!(status(s), status(t));
        let mut g = 5u64;
        go!(cuStreamEndCapture(s, &mut g));
        go!(cuStreamEndCapture(t, &mut g));
    };
    "capture/threads" => || {
        let c = context();
        let s = stream(1);
        must!(cuStreamBeginCapture_v2(s, 0));
        on_thread(|| {
            must!(cuCtxSetCurrent(c));
            let mut g = 0u64;
            go!(cuStreamEndCapture(s, &mut g));
            let mut d = 0u64;
            go!(cuMemAlloc_v2(&mut d, 16));
        });
        show!(status(s));
        let mut g = 0u64;
        go!(cuStreamEndCapture(s, &mut g));
        must!(cuStreamBeginCapture_v2(s, 1));
        on_thread(|| {
            must!(cuCtxSetCurrent(c));
            let mut d = 0u64;
            go!(cuMemAlloc_v2(&mut d, 16));
            let mut g = 0u64;
            go!(cuStreamEndCapture(s, &mut g));
        });
        show!(status(s));
        go!(cuStreamEndCapture(s, &mut g));
        must!(cuStreamBeginCapture_v2(s, 2));
        on_thread(|| {
            must!(cuCtxSetCurrent(c));
            let mut g = 0u64;
            go!(cuStreamEndCapture(s, &mut g));
        });
        show!(status(s));
    };
    "capture/from-other-threads" => || {
        let c = context();
        for mode in [0u32, 1, 2] {
            let (s, other, e) = (stream(1), stream(1), event(2));
            must!(cuEventRecord(e, other));
            must!(cuStreamBeginCapture_v2(s, mode));
            on_thread(|| {
                must!(cuCtxSetCurrent(c));
                let mut d = 0u64;
                let calls = [
                    crate::api::call("cuMemAlloc_v2", &[std::ptr::from_mut(&mut d) as u64, 16]),
                    crate::api::call("cuStreamSynchronize", &[other]),
                    crate::api::call("cuEventQuery", &[e]),
                    crate::api::call("cuCtxSynchronize", &[]),
                    crate::api::call("cuStreamQuery", &[s]),
                ];
                crate::api::line(&format!("calls from elsewhere, mode {mode}"), &format!("{calls:?}"));
            });
            crate::api::line(&format!("capture of mode {mode}"), &status(s));
            let mut g = 0u64;
            let end = crate::api::call("cuStreamEndCapture", &[s, std::ptr::from_mut(&mut g) as u64]);
            crate::api::line(&format!("end of mode {mode}"), &crate::api::status(end));
        }
    };
    "capture/nested-fork" => || {
        context();
        let (s, t, u, f, at) = (stream(1), stream(1), stream(1), kernel(c"add"), alloc(64));
        let (a, b, c, d) = (event(2), event(2), event(2), event(2));
        must!(cuStreamBeginCapture_v2(s, 1));
        must!(cuEventRecord(a, s));
        must!(cuStreamWaitEvent(t, a, 0));
        launch(f, t, at, 1);
        must!(cuEventRecord(b, t));
        must!(cuStreamWaitEvent(u, b, 0));
        launch(f, u, at + 4, 2);
        must!(cuEventRecord(c, u));
        go!(cuStreamWaitEvent(t, c, 0));
        must!(cuEventRecord(d, t));
        go!(cuStreamWaitEvent(s, d, 0));
        go!(cuStreamWaitEvent(s, a, 0));
        let (mut g, mut edges) = (0u64, 0usize);
        go!(cuStreamEndCapture(s, &mut g));
        must!(cuGraphGetEdges(g, NULL, NULL, &mut edges));
        show!(nodes(g), edges, status(u));
    };
    "capture/blocking-and-legacy" => || {
        context();
        let (s, f, at, mut g) = (stream(0), kernel(c"add"), alloc(64), 0u64);
        for mode in [0u32, 1, 2] {
            must!(cuStreamBeginCapture_v2(s, mode));
            let p = Parameters::new(at, 1);
            let launched = crate::api::call("cuLaunchKernel", &[f, 1, 1, 1, 1, 1, 1, 0, NULL, p.list(), NULL]);
            crate::api::line(&format!("launch on the legacy stream, mode {mode}"), &format!("{} {}", crate::api::status(launched), status(s)));
            let end = crate::api::call("cuStreamEndCapture", &[s, std::ptr::from_mut(&mut g) as u64]);
            crate::api::line(&format!("end, mode {mode}"), &crate::api::status(end));
            must!(cuStreamBeginCapture_v2(s, mode));
            let e = event(2);
            let recorded = crate::api::call("cuEventRecord", &[e, NULL]);
            crate::api::line(&format!("record on the legacy stream, mode {mode}"), &format!("{} {}", crate::api::status(recorded), status(s)));
            crate::api::call("cuStreamEndCapture", &[s, std::ptr::from_mut(&mut g) as u64]);
            must!(cuStreamBeginCapture_v2(s, mode));
            let copied = crate::api::call("cuMemcpyHtoD_v2", &[at, std::ptr::from_ref(&mode) as u64, 4]);
            crate::api::line(&format!("copy, mode {mode}"), &format!("{} {}", crate::api::status(copied), status(s)));
            crate::api::call("cuStreamEndCapture", &[s, std::ptr::from_mut(&mut g) as u64]);
            must!(cuStreamBeginCapture_v2(s, mode));
            let mut told = 9u32;
            let info = crate::api::call("cuStreamGetCaptureInfo_v2", &[NULL, std::ptr::from_mut(&mut told) as u64, NULL, NULL, NULL, NULL]);
            crate::api::line(&format!("info of the legacy stream, mode {mode}"), &format!("{} {}", crate::api::status(info), status(s)));
            crate::api::call("cuStreamEndCapture", &[s, std::ptr::from_mut(&mut g) as u64]);
        }
    };
    "capture/exchange-mode" => || {
        context();
        let mut mode = 2u32;
        go!(cuThreadExchangeStreamCaptureMode(&mut mode));
        show!(mode);
        go!(cuThreadExchangeStreamCaptureMode(&mut mode));
        show!(mode);
        mode = 3;
        go!(cuThreadExchangeStreamCaptureMode(&mut mode));
        show!(mode);
        let s = stream(1);
        must!(cuStreamBeginCapture_v2(s, 0));
        mode = 2;
        must!(cuThreadExchangeStreamCaptureMode(&mut mode));
        let mut d = 0u64;
        go!(cuMemAlloc_v2(&mut d, 16));
        show!(status(s));
        let mut g = 0u64;
        go!(cuStreamEndCapture(s, &mut g));
    };
    "capture/destroy-stream" => || {
        context();
        let s = stream(1);
        must!(cuStreamBeginCapture_v2(s, 2));
        go!(cuStreamDestroy_v2(s));
        go!(cuCtxSynchronize());
    };
    "capture/to-graph" => || {
        context();
        let (s, f, at) = (stream(1), kernel(c"store"), alloc(64));
        let (mut graph, mut node, mut end) = (0u64, 0u64, 0u64);
        must!(cuGraphCreate(&mut graph, 0));
        must!(cuGraphAddEmptyNode(&mut node, graph, NULL, 0));
        go!(cuStreamBeginCaptureToGraph(s, graph, &node, NULL, 1, 0));
        launch(f, s, at, 1);
        go!(cuStreamEndCapture(s, &mut end));
        let mut edges = 0usize;
        must!(cuGraphGetEdges(graph, NULL, NULL, &mut edges));
        show!(end == graph, nodes(graph), edges);
        go!(cuStreamBeginCaptureToGraph(s, NULL, NULL, NULL, 0, 0));
        go!(cuStreamBeginCaptureToGraph(s, graph, NULL, NULL, 1, 0));
        go!(cuStreamBeginCaptureToGraph(NULL, graph, NULL, NULL, 0, 0));
        go!(cuStreamBeginCaptureToGraph(s, graph, NULL, NULL, 0, 9));
    };
}
