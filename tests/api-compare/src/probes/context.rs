//! Contexts: the stack, lifetimes, limits, flags, threads.

use super::*;
use crate::{go, must, show};

/// The current context.
fn current() -> u64 {
    let mut context = 99u64;
    must!(cuCtxGetCurrent(&mut context));
    context
}

probes! {
    "context/stack" => || {
        init();
        let (mut a, mut b, mut c) = (0u64, 0u64, 0u64);
        go!(cuCtxPopCurrent_v2(&mut c));
        go!(cuCtxPushCurrent_v2(NULL));
        go!(cuCtxCreate_v2(&mut a, 0, 0));
        go!(cuCtxCreate_v2(&mut b, 0, 0));
        show!(a != b, current() == b);
        go!(cuCtxPopCurrent_v2(&mut c));
        show!(c == b, current() == a);
        go!(cuCtxPopCurrent_v2(NULL));
        show!(current());
        go!(cuCtxPopCurrent_v2(&mut c));
        go!(cuCtxPushCurrent_v2(a));
        go!(cuCtxPushCurrent_v2(a));
        go!(cuCtxPushCurrent_v2(b));
        show!(current() == b);
        go!(cuCtxPopCurrent_v2(&mut c));
        go!(cuCtxPopCurrent_v2(&mut c));
        show!(current() == a);
        go!(cuCtxSetCurrent(b));
        show!(current() == b);
        go!(cuCtxSetCurrent(NULL));
        show!(current());
        go!(cuCtxPopCurrent_v2(&mut c));
        go!(cuCtxPushCurrent_v2(a));
        go!(cuCtxPushCurrent_v2(b));
        go!(cuCtxSetCurrent(NULL));
        show!(current() == a);
        go!(cuCtxSetCurrent(b));
        go!(cuCtxPopCurrent_v2(&mut c));
        show!(c == b, current());
    };
    "context/none" => || {
        init();
        let (mut p, mut s, mut d, mut f) = (0u64, 0usize, 0i32, 0u32);
        go!(cuCtxGetCurrent(&mut p));
        go!(cuCtxGetDevice(&mut d));
        go!(cuCtxGetFlags(&mut f));
        go!(cuCtxSetFlags(0));
        go!(cuCtxSynchronize());
        go!(cuCtxGetLimit(&mut s, 0));
        go!(cuCtxSetLimit(0, 1024));
        go!(cuCtxGetCacheConfig(&mut f));
        go!(cuCtxSetCacheConfig(0));
        go!(cuCtxGetSharedMemConfig(&mut f));
        go!(cuCtxGetApiVersion(NULL, &mut f));
        go!(cuCtxGetId(NULL, &mut p));
        go!(cuCtxGetStreamPriorityRange(&mut d, &mut d));
        go!(cuCtxResetPersistingL2Cache());
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuMemAllocHost_v2(&mut p, 16));
        go!(cuMemHostAlloc(&mut p, 16, 0));
        go!(cuMemAllocManaged(&mut p, 16, 1));
        go!(cuMemFree_v2(NULL));
        go!(cuMemFreeHost(NULL));
        go!(cuMemGetInfo_v2(&mut s, &mut s));
        go!(cuMemcpyDtoH_v2(&mut p, 4096, 8));
        go!(cuMemcpyHtoD_v2(4096, &p, 0));
        go!(cuMemsetD8_v2(4096, 0, 0));
        go!(cuModuleLoadData(&mut p, PTX));
        go!(cuModuleUnload(NULL));
        go!(cuStreamCreate(&mut p, 0));
        go!(cuStreamSynchronize(NULL));
        go!(cuStreamQuery(NULL));
        go!(cuEventCreate(&mut p, 0));
        go!(cuEventRecord(NULL, NULL));
        go!(cuLinkCreate_v2(0, NULL, NULL, &mut p));
        go!(cuGraphCreate(&mut p, 0));
        go!(cuLibraryLoadData(&mut p, PTX, NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLaunchHostFunc(NULL, COUNT, counter()));
        go!(cuPointerGetAttribute(&mut p, 2, &s));
        go!(cuMemAllocAsync(&mut p, 16, NULL));
        go!(cuArrayCreate_v2(&mut p, &[64u64, 0, 0x1_0000_0020]));
        go!(cuCtxAttach(&mut p, 0));
        go!(cuCtxEnablePeerAccess(NULL, 0));
        go!(cuCtxDestroy_v2(NULL));
        go!(cuCtxDetach(NULL));
    };
    "context/null" => || {
        context();
        go!(cuCtxGetCurrent(NULL));
        go!(cuCtxGetDevice(NULL));
        go!(cuCtxGetFlags(NULL));
        go!(cuCtxGetLimit(NULL, 0));
        go!(cuCtxGetApiVersion(NULL, NULL));
        let mut v = 0u32;
        go!(cuCtxGetApiVersion(NULL, &mut v));
        show!(v);
        let mut id = 0u64;
        go!(cuCtxGetId(NULL, &mut id));
        go!(cuCtxGetId(NULL, NULL));
        go!(cuCtxGetStreamPriorityRange(NULL, NULL));
        go!(cuCtxGetCacheConfig(NULL));
        go!(cuCtxCreate_v2(NULL, 0, 0));
        go!(cuCtxDestroy_v2(NULL));
        go!(cuCtxGetDevice_v2(NULL, NULL));
        let mut d = -1i32;
        go!(cuCtxGetDevice_v2(&mut d, NULL));
        show!(d);
        go!(cuCtxSynchronize_v2(NULL));
    };
    "context/ids" => || {
        init();
        let mut p = 0u64;
        must!(cuDevicePrimaryCtxRetain(&mut p, 0));
        let (a, b) = (own_context(), own_context());
        let (mut i, mut j, mut k, mut n) = (0u64, 0u64, 0u64, 0u64);
        go!(cuCtxGetId(a, &mut i));
        go!(cuCtxGetId(b, &mut j));
        go!(cuCtxGetId(p, &mut k));
        go!(cuCtxGetId(NULL, &mut n));
        show!(j > i, n == j, i != k, j - i);
        let mut v = 0u32;
        go!(cuCtxGetApiVersion(a, &mut v));
        show!(v);
        must!(cuCtxDestroy_v2(b));
        let c = own_context();
        go!(cuCtxGetId(c, &mut n));
        show!(n != j);
        let mut d = -1i32;
        go!(cuCtxGetDevice_v2(&mut d, a));
        show!(d);
        go!(cuCtxSynchronize_v2(a));
    };
    "context/destroy-current" => || {
        init();
        let (a, b) = (own_context(), own_context());
        go!(cuCtxDestroy_v2(b));
        show!(current() == a, current() == b, current() == 0);
        go!(cuCtxDestroy_v2(a));
        show!(current());
        let mut p = 0u64;
        go!(cuMemAlloc_v2(&mut p, 16));
    };
    "context/destroy-below" => || {
        init();
        let (a, b) = (own_context(), own_context());
        go!(cuCtxDestroy_v2(a));
        show!(current() == b);
        let mut c = 0u64;
        go!(cuCtxPopCurrent_v2(&mut c));
        show!(current() == a, current() == 0);
        let mut p = 0u64;
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuCtxSynchronize());
        let mut d = 0i32;
        go!(cuCtxGetDevice(&mut d));
        go!(cuCtxPopCurrent_v2(&mut c));
    };
    "context/destroyed-in-thread" => || {
        init();
        let a = own_context();
        let s = stream(0);
        std::thread::scope(|scope| {
            let (begin, begun) = std::sync::mpsc::channel::<()>();
            let (done, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                must!(cuCtxSetCurrent(a));
                begin.send(()).ok();
                wait.recv().ok();
                show!(current() == a);
                let mut p = 0u64;
                go!(cuMemAlloc_v2(&mut p, 16));
                go!(cuCtxSynchronize());
                go!(cuStreamCreate(&mut p, 0));
                let mut d = 0i32;
                go!(cuCtxGetDevice(&mut d));
                let mut f = 0u32;
                go!(cuCtxGetFlags(&mut f));
                go!(cuCtxPopCurrent_v2(&mut p));
                show!(p == a);
            });
            begun.recv().ok();
            go!(cuCtxDestroy_v2(a));
            done.send(()).ok();
        });
        let _ = s;
    };
    "context/use-destroyed" => || {
        context();
        let a = own_context();
        must!(cuCtxDestroy_v2(a));
        go!(cuCtxSetCurrent(a));
        go!(cuCtxPushCurrent_v2(a));
        go!(cuCtxDestroy_v2(a));
        let mut v = 0u32;
        go!(cuCtxGetApiVersion(a, &mut v));
        let mut id = 0u64;
        go!(cuCtxGetId(a, &mut id));
    };
    "context/not-a-context" => || {
        context();
        let junk = [0u64; 512];
        go!(cuCtxSetCurrent(&junk));
        go!(cuCtxPushCurrent_v2(&junk));
        go!(cuCtxDestroy_v2(&junk));
    };
    "context/flags" => || {
        init();
        let mut a = 0u64;
        for flags in [0u32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xc, 0x10, 0x18, 0x14, 0x20, 0x40, 0x80, 0x100, 0x8000_0000] {
            let mut context = 0u64;
            let code = crate::api::call("cuCtxCreate_v2", &[std::ptr::from_mut(&mut context) as u64, u64::from(flags), 0]);
            let mut read = 0xffffu32;
            if code == 0 {
                must!(cuCtxGetFlags(&mut read));
                must!(cuCtxDestroy_v2(context));
            }
            crate::api::line(&format!("create with flags {flags:#x}"), &format!("{} {read:#x}", crate::api::status(code)));
        }
        must!(cuCtxCreate_v2(&mut a, 0, 0));
        let mut read = 0u32;
        for flags in [0u32, 1, 2, 4, 8, 0x10, 3, 0x100, 0x20, 0x80] {
            let code = crate::api::call("cuCtxSetFlags", &[u64::from(flags)]);
            must!(cuCtxGetFlags(&mut read));
            crate::api::line(&format!("set flags {flags:#x}"), &format!("{} {read:#x}", crate::api::status(code)));
        }
    };
    "context/create-forms" => || {
        init();
        let (mut a, mut b) = (0u64, 0u64);
        go!(cuCtxCreate_v3(&mut a, NULL, 0, 0, 0));
        go!(cuCtxCreate_v3(&mut a, NULL, 1, 0, 0));
        go!(cuCtxCreate_v3(&mut a, &[0u64, 1], -1, 0, 0));
        go!(cuCtxCreate_v4(&mut b, NULL, 0, 0));
        go!(cuCtxCreate_v4(&mut b, &[0u64; 3], 0, 0));
        let mut v = 0u32;
        go!(cuCtxGetApiVersion(a, &mut v));
        show!(v);
        go!(cuCtxGetApiVersion(b, &mut v));
        show!(v);
    };
    "context/attach" => || {
        init();
        let a = own_context();
        let mut c = 0u64;
        go!(cuCtxAttach(&mut c, 0));
        show!(c == a);
        go!(cuCtxAttach(&mut c, 1));
        go!(cuCtxAttach(NULL, 0));
        go!(cuCtxDetach(a));
        show!(current() == a);
        go!(cuCtxDetach(a));
        show!(current() == a);
    };
    "context/limits-read" => || {
        context();
        for limit in 0..13u32 {
            let mut value = 0usize;
            let code = crate::api::call("cuCtxGetLimit", &[std::ptr::from_mut(&mut value) as u64, u64::from(limit)]);
            crate::api::line(&format!("limit {limit}"), &format!("{} {value}", crate::api::status(code)));
        }
    };
    "context/limits-set" => || {
        context();
        for (limit, values) in [(0u64, [1u64, 1024, 5000, 524288, 1 << 20, 1 << 40]), (1, [0, 1, 4096, 5000, 1 << 20, 1 << 40]),
            (2, [0, 1, 4096, 1 << 20, (1 << 20) + 1, 1 << 50]), (3, [0, 1, 2, 3, 24, 25]), (4, [0, 1, 2048, 4096, 5000, 1 << 40]),
            (5, [0, 1, 32, 64, 128, 129]), (6, [0, 1, 1024, 1 << 20, 1 << 30, 1 << 40]), (7, [0, 1, 1024, 1 << 20, 1 << 21, 1 << 40]),
            (8, [0, 1, 2, 3, 4, 5]), (9, [0, 1, 2, 3, 4, 5]), (99, [0, 1, 2, 3, 4, 5])] {
            for value in values {
                let code = crate::api::call("cuCtxSetLimit", &[limit, value]);
                let mut read = 0u64;
                let got = crate::api::call("cuCtxGetLimit", &[std::ptr::from_mut(&mut read) as u64, limit]);
                crate::api::line(&format!("limit {limit} set to {value}"), &format!("{}, {} {read}", crate::api::status(code), crate::api::status(got)));
            }
        }
    };
    "context/limits-late" => || {
        context();
        let f = kernel(c"empty");
        must!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        must!(cuCtxSynchronize());
        go!(cuCtxSetLimit(0, 2048));
        go!(cuCtxSetLimit(1, 1 << 20));
        go!(cuCtxSetLimit(2, 1 << 24));
    };
    "context/cache-config" => || {
        context();
        let mut v = 99u32;
        go!(cuCtxGetCacheConfig(&mut v));
        show!(v);
        for value in 0..6u32 {
            let code = crate::api::call("cuCtxSetCacheConfig", &[u64::from(value)]);
            must!(cuCtxGetCacheConfig(&mut v));
            crate::api::line(&format!("cache {value}"), &format!("{} {v}", crate::api::status(code)));
        }
        go!(cuCtxGetSharedMemConfig(&mut v));
        show!(v);
        for value in 0..4u32 {
            let code = crate::api::call("cuCtxSetSharedMemConfig", &[u64::from(value)]);
            must!(cuCtxGetSharedMemConfig(&mut v));
            crate::api::line(&format!("banks {value}"), &format!("{} {v}", crate::api::status(code)));
        }
        go!(cuCtxResetPersistingL2Cache());
        let (mut least, mut greatest) = (9i32, 9i32);
        go!(cuCtxGetStreamPriorityRange(&mut least, &mut greatest));
        show!((least, greatest));
        go!(cuCtxGetStreamPriorityRange(NULL, &mut greatest));
    };
    "context/threads" => || {
        let a = context();
        on_thread(|| {
            show!(current());
            let mut p = 0u64;
            go!(cuMemAlloc_v2(&mut p, 16));
            go!(cuCtxSetCurrent(a));
            show!(current() == a);
            go!(cuMemAlloc_v2(&mut p, 16));
            go!(cuCtxSynchronize());
        });
        show!(current() == a);
        let own = own_context();
        on_thread(move || {
            go!(cuCtxPushCurrent_v2(own));
            show!(current() == own);
            let mut p = 0u64;
            go!(cuMemAlloc_v2(&mut p, 16));
        });
        go!(cuCtxSynchronize());
    };
    "context/peer" => || {
        let a = context();
        let b = own_context();
        go!(cuCtxEnablePeerAccess(a, 0));
        go!(cuCtxEnablePeerAccess(b, 0));
        go!(cuCtxEnablePeerAccess(NULL, 0));
        go!(cuCtxEnablePeerAccess(a, 1));
        go!(cuCtxDisablePeerAccess(a));
        go!(cuCtxDisablePeerAccess(b));
        go!(cuCtxDisablePeerAccess(NULL));
        let mut affinity = [0u32; 2];
        go!(cuCtxGetExecAffinity(&mut affinity, 0));
        go!(cuCtxGetExecAffinity(&mut affinity, 1));
    };
    "context/foreign-objects" => || {
        init();
        let a = own_context();
        let (memory, s, e, f) = (alloc(64), stream(0), event(0), kernel(c"store"));
        let b = own_context();
        let mut word = 0u32;
        // One address space: memory of another context of the device can be used.
        go!(cuMemcpyDtoH_v2(&mut word, memory, 4));
        go!(cuMemsetD32_v2(memory, 5, 1));
        go!(cuStreamSynchronize(s));
        go!(cuStreamQuery(s));
        go!(cuEventRecord(e, NULL));
        go!(cuEventRecord(e, s));
        go!(cuStreamWaitEvent(NULL, e, 0));
        let p = Parameters::new(memory, 9);
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, p.list(), NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, p.list(), NULL));
        go!(cuMemsetD32Async(memory, 6, 1, s));
        let mut c = 0u64;
        go!(cuStreamGetCtx(s, &mut c));
        show!(c == a, c == b);
        go!(cuMemFree_v2(memory));
        go!(cuEventDestroy_v2(e));
        go!(cuStreamDestroy_v2(s));
    };
}
