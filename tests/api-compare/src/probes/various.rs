//! What fits nowhere else: large parameters, printing, peers, core dumps, logs, calls from many threads.

use super::*;
use crate::{go, must, show};

/// A kernel that stores the last word of a parameter of `bytes` bytes where its first word points.
fn large(bytes: usize) -> std::ffi::CString {
    let text = format!(
        ".version 8.1\n.target sm_80\n.address_size 64\n.visible .entry large(.param .align 8 .b8 p[{bytes}]) {{
.reg .b64 %a; .reg .b32 %v; ld.param.u64 %a, [p]; ld.param.u32 %v, [p+{}]; st.global.u32 [%a], %v; ret; }}",
        bytes - 4
    );
    std::ffi::CString::new(text).unwrap_or_default()
}

probes! {
    "various/large-parameters" => || {
        context();
        let at = alloc(64);
        for bytes in [1024usize, 4096, 4352, 4356, 8192, 32760, 32764, 32768] {
            let mut m = 0u64;
            let text = large(bytes);
            let loaded = crate::api::call("cuModuleLoadData", &[std::ptr::from_mut(&mut m) as u64, text.as_ptr() as u64]);
            let mut data = vec![0u8; bytes];
            data[..8].copy_from_slice(&at.to_le_bytes());
            data[bytes - 4..].copy_from_slice(&(bytes as u32).to_le_bytes());
            let (mut f, mut launched, mut waited) = (0u64, 0, 0);
            if loaded == 0 {
                must!(cuModuleGetFunction(&mut f, m, c"large"));
                let list = [data.as_ptr() as u64];
                launched = crate::api::call("cuLaunchKernel", &[f, 1, 1, 1, 1, 1, 1, 0, NULL, list.as_ptr() as u64, NULL]);
                waited = crate::api::call("cuCtxSynchronize", &[]);
            }
            crate::api::line(&format!("{bytes} bytes"), &format!("load {}, launch {}, wait {}, {}", crate::api::status(loaded), crate::api::status(launched), crate::api::status(waited), peek(at)));
        }
    };
    "various/peers" => || {
        let c = context();
        let (a, b) = (alloc(64), alloc(64));
        let other = own_context();
        go!(cuMemcpyPeer(b, c, a, c, 16));
        go!(cuMemcpyPeer(b, other, a, c, 16));
        go!(cuMemcpyPeer(b, NULL, a, c, 16));
        go!(cuMemcpyPeer(b, c, a, c, 0));
        go!(cuMemcpyPeer(b, c, a, c, 1u64 << 30));
        go!(cuMemcpyPeerAsync(b, c, a, c, 16, NULL));
        go!(cuCtxSynchronize());
    };
    "various/coredump" => || {
        init();
        let (mut on, mut size) = (9u8, 1usize);
        for id in 1..10u32 {
            size = 1;
            let code = crate::api::call("cuCoredumpGetAttributeGlobal", &[u64::from(id), std::ptr::from_mut(&mut on) as u64, std::ptr::from_mut(&mut size) as u64]);
            crate::api::line(&format!("global {id}"), &crate::api::status(code));
        }
        let _ = size;
        go!(cuCoredumpGetAttributeGlobal(99, &mut on, &mut size));
        go!(cuCoredumpGetAttribute(1, &mut on, &mut size));
    };
    "various/rdma-and-others" => || {
        context();
        go!(cuFlushGPUDirectRDMAWrites(0, 100));
        go!(cuFlushGPUDirectRDMAWrites(0, 200));
        go!(cuFlushGPUDirectRDMAWrites(1, 100));
        let d = alloc(1 << 21);
        let mut handle = 0u64;
        go!(cuMemGetHandleForAddressRange(&mut handle, d, 1 << 21, 9, 0));
        let mut size = 0usize;
        go!(cuDeviceGetTexture1DLinearMaxWidth(&mut size, 1, 1, 0));
        let mut count = 5u32;
        go!(cuDeviceGetDevResource(0, NULL, 1));
        go!(cuGreenCtxDestroy(NULL));
        go!(cuGraphicsUnregisterResource(NULL));
        go!(cuGraphicsMapResources(0, NULL, NULL));
        go!(cuGraphicsUnmapResources(0, NULL, NULL));
        go!(cuGLGetDevices_v2(&mut count, &mut handle, 1, 1));
        go!(cuDestroyExternalMemory(NULL));
        go!(cuDestroyExternalSemaphore(NULL));
        go!(cuImportExternalMemory(&mut handle, NULL));
        go!(cuImportExternalSemaphore(&mut handle, NULL));
        go!(cuMulticastGetGranularity(&mut size, NULL, 0));
        go!(cuTensorMapEncodeTiled(NULL, 0, 1, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0));
        go!(cuTensorMapReplaceAddress(NULL, NULL));
    };
    "various/texture-references" => || {
        context();
        let (mut r, m) = (0u64, module(PTX));
        go!(cuTexRefCreate(&mut r));
        go!(cuModuleGetTexRef(&mut r, m, c"nothing"));
        go!(cuModuleGetSurfRef(&mut r, m, c"nothing"));
    };
    "various/old-names" => || {
        init();
        let (mut p, mut n) = (0u64, 0u32);
        go!(cuCtxCreate(&mut p, 0, 0));
        go!(cuDeviceTotalMem(&mut n, 0));
        context();
        go!(cuMemAlloc(&mut n, 16));
        go!(cuMemGetInfo(&mut n, &mut n));
        go!(cuStreamDestroy(stream(0)));
        go!(cuEventDestroy(event(0)));
        go!(cuCtxPopCurrent(&mut p));
        go!(cuCtxPushCurrent(p));
        go!(cuDevicePrimaryCtxRelease(0));
    };
    "various/many-threads" => || {
        let c = context();
        let (m, at) = (module(PTX), alloc(64));
        let f = function(m, c"add");
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(move || {
                    must!(cuCtxSetCurrent(c));
                    let s = stream(1);
                    for _ in 0..50 {
                        launch(f, s, at, 1);
                    }
                    must!(cuStreamSynchronize(s));
                    must!(cuStreamDestroy_v2(s));
                });
            }
        });
        go!(cuCtxSynchronize());
        show!(peek(at));
    };
    "various/capture-in-threads" => || {
        let c = context();
        let (m, at) = (module(PTX), alloc(64));
        let f = function(m, c"add");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || {
                    must!(cuCtxSetCurrent(c));
                    let (s, mut g, mut x) = (stream(1), 0u64, 0u64);
                    must!(cuStreamBeginCapture_v2(s, 1));
                    for _ in 0..5 {
                        launch(f, s, at, 1);
                    }
                    must!(cuStreamEndCapture(s, &mut g));
                    must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
                    for _ in 0..10 {
                        must!(cuGraphLaunch(x, s));
                    }
                    must!(cuStreamSynchronize(s));
                });
            }
        });
        go!(cuCtxSynchronize());
        show!(peek(at));
    };
    "various/end-of-thread" => || {
        // What a thread has made current, and its stream, are gone with it; its memory is not.
        let c = context();
        let at = alloc(64);
        let f = kernel(c"store");
        on_thread(|| {
            must!(cuCtxPushCurrent_v2(c));
            launch(f, PER_THREAD, at, 3);
        });
        go!(cuCtxSynchronize());
        show!(peek(at));
    };
    "various/parameter-counts" => || {
        context();
        let (f, mut n) = (kernel(c"mixed"), 9usize);
        go!(cuFuncGetParamInfo(f, 3, &mut n, &mut n));
        show!(n);
        go!(cuFuncGetParamInfo(f, 0, NULL, NULL));
    };
}
