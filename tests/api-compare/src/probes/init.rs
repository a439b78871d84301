//! Start, versions, error texts, functions by name, export tables, fork.

use super::*;
use crate::api::text;
use crate::{go, must, show};

/// What `cuGetProcAddress_v2` answers about one name.
fn find(name: &CStr, version: i32, flags: u64) -> (u32, bool, u32) {
    let (mut address, mut found) = (0u64, 77u32);
    let code = crate::api::call(
        "cuGetProcAddress_v2",
        &[
            name.as_ptr() as u64,
            std::ptr::from_mut(&mut address) as u64,
            version as u64,
            flags,
            std::ptr::from_mut(&mut found) as u64,
        ],
    );
    (code, address != 0, found)
}

/// Whether two names give one function.
fn same(a: (&CStr, i32, u64), b: &str) -> bool {
    let mut address = 0u64;
    must!(cuGetProcAddress_v2(a.0, &mut address, a.1, a.2, NULL));
    address as usize == crate::api::symbol(b)
}

probes! {
    "init/before" => || {
        let (mut n, mut d, mut p, mut s) = (0i32, 0i32, 0u64, 0usize);
        go!(cuDriverGetVersion(&mut n));
        go!(cuDeviceGetCount(&mut n));
        go!(cuDeviceGet(&mut d, 0));
        go!(cuDeviceGetAttribute(&mut n, 75, 0));
        go!(cuCtxGetCurrent(&mut p));
        go!(cuCtxGetDevice(&mut d));
        go!(cuCtxSetCurrent(NULL));
        go!(cuCtxPopCurrent_v2(&mut p));
        go!(cuCtxSynchronize());
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuMemFree_v2(NULL));
        go!(cuMemHostAlloc(&mut p, 16, 0));
        go!(cuMemGetInfo_v2(&mut s, &mut s));
        go!(cuDevicePrimaryCtxRetain(&mut p, 0));
        go!(cuDevicePrimaryCtxReset_v2(0));
        go!(cuModuleLoadData(&mut p, PTX));
        go!(cuStreamCreate(&mut p, 0));
        go!(cuEventCreate(&mut p, 0));
        go!(cuGraphCreate(&mut p, 0));
        go!(cuLibraryLoadData(&mut p, PTX, NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLinkCreate_v2(0, NULL, NULL, &mut p));
        go!(cuProfilerStart());
        go!(cuGetErrorName(0, &mut p));
        let mut f = 0u64;
        go!(cuGetProcAddress_v2(c"cuInit", &mut f, 12000, 0, NULL));
        let mut mode = 0u32;
        go!(cuModuleGetLoadingMode(&mut mode));
        go!(cuThreadExchangeStreamCaptureMode(&mut mode));
        go!(cuUserObjectCreate(&mut p, &mode, COUNT, 1, 1));
        go!(cuPointerGetAttribute(&mut p, 2, 4096));
        go!(cuLaunchKernel(4096, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuInit(0));
        go!(cuDeviceGetCount(&mut n));
    };
    "init/flags" => || {
        go!(cuInit(1));
        go!(cuInit(0xffff_ffffu32));
        go!(cuInit(0));
        go!(cuInit(0));
        go!(cuInit(2));
    };
    "init/null" => || {
        go!(cuDriverGetVersion(NULL));
        init();
        go!(cuDriverGetVersion(NULL));
        go!(cuDeviceGetCount(NULL));
        go!(cuDeviceGet(NULL, 0));
        go!(cuDeviceGetName(NULL, 10, 0));
        go!(cuDeviceGetAttribute(NULL, 1, 0));
        go!(cuDeviceGetUuid_v2(NULL, 0));
        go!(cuDeviceTotalMem_v2(NULL, 0));
        go!(cuDeviceGetPCIBusId(NULL, 20, 0));
        go!(cuDeviceGetByPCIBusId(NULL, c"0"));
        go!(cuDeviceComputeCapability(NULL, NULL, 0));
        go!(cuDeviceGetProperties(NULL, 0));
        go!(cuDeviceGetLuid(NULL, NULL, 0));
        go!(cuDevicePrimaryCtxRetain(NULL, 0));
        go!(cuDevicePrimaryCtxGetState(0, NULL, NULL));
        go!(cuDeviceGetDefaultMemPool(NULL, 0));
        go!(cuDeviceGetMemPool(NULL, 0));
        go!(cuDeviceSetMemPool(0, NULL));
    };
    "error/names" => || {
        for code in (0..1002u32).chain([9999, 0x7fff_ffff, 0xffff_ffff]) {
            let mut name = 1u64;
            let result = crate::api::call("cuGetErrorName", &[u64::from(code), std::ptr::from_mut(&mut name) as u64]);
            // The unknown codes of one hundred answer in one line.
            if result != 0 && (code > 0 && code < 999) {
                if name != 0 { crate::api::line(&format!("pointer for {code}"), "not null"); }
                continue;
            }
            crate::api::line(&format!("cuGetErrorName({code})"), &format!("{} {}", crate::api::status(result), if result == 0 { text(name) } else { format!("{}", name == 0) }));
        }
    };
    "error/strings" => || {
        for code in 0..1000u32 {
            let mut name = 1u64;
            let result = crate::api::call("cuGetErrorString", &[u64::from(code), std::ptr::from_mut(&mut name) as u64]);
            if result == 0 {
                crate::api::line(&format!("cuGetErrorString({code})"), &text(name));
            }
        }
        let mut unknown = 1u64;
        go!(cuGetErrorString(12345, &mut unknown));
        show!(unknown);
    };
    "proc/flags" => || {
        show!(find(c"cuInit", 12000, 0));
        show!(find(c"cuInit", 12000, 1));
        show!(find(c"cuInit", 12000, 2));
        show!(find(c"cuInit", 12000, 3));
        show!(find(c"cuInit", 12000, 4));
        show!(find(c"cuInit", 12000, 1 << 40));
        let mut p = 0u64;
        go!(cuGetProcAddress_v2(c"", &mut p, 12000, 0, NULL));
        go!(cuGetProcAddress(c"cuInit", &mut p, 12000, 0));
        go!(cuGetProcAddress(c"cuNothing", &mut p, 12000, 0));
        show!(p != 0);
        go!(cuGetProcAddress(c"cuGraphAddNode", &mut p, 11000, 0));
        show!(p != 0);
        p = 5;
        go!(cuGetProcAddress_v2(c"cuNothing", &mut p, 12000, 0, NULL));
        show!(p);
    };
    "proc/versions" => || {
        show!(find(c"cuMemAlloc", 0, 0));
        show!(find(c"cuMemAlloc", 1000, 0));
        show!(find(c"cuMemAlloc", 2000, 0));
        show!(find(c"cuMemAlloc", 3020, 0));
        show!(find(c"cuMemAlloc", -1, 0));
        show!(find(c"cuMemAlloc", 13000, 0));
        show!(find(c"cuMemAlloc", 99000, 0));
        show!(find(c"cuMemAlloc_v2", 12000, 0));
        show!(find(c"cumemalloc", 12000, 0));
        show!(find(c"cuLibraryLoadData", 11080, 0));
        show!(find(c"cuLibraryLoadData", 12000, 0));
        show!(find(c"cuLaunchKernelExC", 12000, 0));
        show!(find(c"cudaMalloc", 12000, 0));
        show!(find(c"cuCtxCreate", 12000, 0));
        show!(find(c"cuGetProcAddress", 12000, 0));
        show!(find(c"cuGetProcAddress_v2", 12000, 0));
        show!(find(c"cuEventElapsedTime", 12080, 0));
        show!(find(c"cuStreamGetCaptureInfo", 12030, 0));
        show!(find(c"cuMemcpyBatchAsync", 12080, 0));
        show!(find(c"cuGraphicsGLRegisterBuffer", 12000, 0));
        show!(find(c"cuTexRefSetArray", 12000, 0));
        show!(find(c"cuGLCtxCreate", 12000, 0));
        show!(find(c"cuD3D9CtxCreate", 12000, 0));
        show!(find(c"cuStreamGetCtx", 9020, 0));
        show!(find(c"cuStreamGetCtx", 9010, 0));
    };
    "proc/which" => || {
        show!(same((c"cuMemAlloc", 12000, 0), "cuMemAlloc_v2"));
        show!(same((c"cuMemAlloc", 3010, 0), "cuMemAlloc"));
        show!(same((c"cuCtxCreate", 11030, 0), "cuCtxCreate_v2"));
        show!(same((c"cuCtxCreate", 11040, 0), "cuCtxCreate_v3"));
        show!(same((c"cuCtxCreate", 12040, 0), "cuCtxCreate_v3"));
        show!(same((c"cuCtxCreate", 12050, 0), "cuCtxCreate_v4"));
        show!(same((c"cuCtxCreate", 13000, 0), "cuCtxCreate_v4"));
        show!(same((c"cuGetProcAddress", 11030, 0), "cuGetProcAddress"));
        show!(same((c"cuGetProcAddress", 12000, 0), "cuGetProcAddress_v2"));
        show!(same((c"cuStreamGetCaptureInfo", 10010, 0), "cuStreamGetCaptureInfo"));
        show!(same((c"cuStreamGetCaptureInfo", 11030, 0), "cuStreamGetCaptureInfo_v2"));
        show!(same((c"cuStreamGetCaptureInfo", 12030, 0), "cuStreamGetCaptureInfo_v3"));
        show!(same((c"cuStreamBeginCapture", 10000, 0), "cuStreamBeginCapture"));
        show!(same((c"cuStreamBeginCapture", 10010, 0), "cuStreamBeginCapture_v2"));
        show!(same((c"cuGraphInstantiate", 10000, 0), "cuGraphInstantiate"));
        show!(same((c"cuGraphInstantiate", 11000, 0), "cuGraphInstantiate_v2"));
        show!(same((c"cuGraphInstantiate", 11040, 0), "cuGraphInstantiateWithFlags"));
        show!(same((c"cuGraphInstantiate", 12000, 0), "cuGraphInstantiateWithFlags"));
        show!(same((c"cuGraphExecUpdate", 10020, 0), "cuGraphExecUpdate"));
        show!(same((c"cuGraphExecUpdate", 12000, 0), "cuGraphExecUpdate_v2"));
        show!(same((c"cuGraphAddKernelNode", 11000, 0), "cuGraphAddKernelNode"));
        show!(same((c"cuGraphAddKernelNode", 12000, 0), "cuGraphAddKernelNode_v2"));
        show!(same((c"cuGraphAddNode", 12020, 0), "cuGraphAddNode"));
        show!(same((c"cuGraphAddNode", 12030, 0), "cuGraphAddNode_v2"));
        show!(same((c"cuGraphAddDependencies", 12030, 0), "cuGraphAddDependencies_v2"));
        show!(same((c"cuDeviceGetUuid", 11030, 0), "cuDeviceGetUuid"));
        show!(same((c"cuDeviceGetUuid", 11040, 0), "cuDeviceGetUuid_v2"));
        show!(same((c"cuDevicePrimaryCtxRelease", 11000, 0), "cuDevicePrimaryCtxRelease_v2"));
        show!(same((c"cuMemAdvise", 12000, 0), "cuMemAdvise"));
        show!(same((c"cuMemAdvise", 12020, 0), "cuMemAdvise_v2"));
        show!(same((c"cuMemPrefetchAsync", 12020, 0), "cuMemPrefetchAsync_v2"));
        show!(same((c"cuMemPrefetchAsync", 12020, 2), "cuMemPrefetchAsync_v2_ptsz"));
        show!(same((c"cuEventElapsedTime", 12070, 0), "cuEventElapsedTime"));
        show!(same((c"cuEventElapsedTime", 12080, 0), "cuEventElapsedTime_v2"));
        show!(same((c"cuStreamWaitValue32", 8000, 0), "cuStreamWaitValue32"));
        show!(same((c"cuStreamWaitValue32", 11070, 0), "cuStreamWaitValue32_v2"));
        show!(same((c"cuLaunchKernel", 12000, 0), "cuLaunchKernel"));
        show!(same((c"cuLaunchKernel", 12000, 1), "cuLaunchKernel"));
        show!(same((c"cuLaunchKernel", 12000, 2), "cuLaunchKernel_ptsz"));
        show!(same((c"cuLaunchKernel", 6050, 2), "cuLaunchKernel_ptsz"));
        show!(same((c"cuMemcpyHtoD", 12000, 2), "cuMemcpyHtoD_v2_ptds"));
        show!(same((c"cuMemcpyHtoDAsync", 12000, 2), "cuMemcpyHtoDAsync_v2_ptsz"));
        show!(same((c"cuMemAlloc", 12000, 2), "cuMemAlloc_v2"));
        show!(same((c"cuStreamSynchronize", 12000, 2), "cuStreamSynchronize_ptsz"));
        show!(same((c"cuEventRecord", 12000, 2), "cuEventRecord_ptsz"));
        show!(same((c"cuGraphLaunch", 12000, 2), "cuGraphLaunch_ptsz"));
        show!(same((c"cuMemFreeAsync", 12000, 2), "cuMemFreeAsync_ptsz"));
        show!(same((c"cuIpcOpenMemHandle", 10000, 0), "cuIpcOpenMemHandle"));
        show!(same((c"cuIpcOpenMemHandle", 11000, 0), "cuIpcOpenMemHandle_v2"));
        show!(same((c"cuLinkCreate", 6000, 0), "cuLinkCreate"));
        show!(same((c"cuLinkCreate", 6050, 0), "cuLinkCreate_v2"));
        show!(same((c"cuMemHostRegister", 6050, 0), "cuMemHostRegister_v2"));
        show!(same((c"cuCtxGetDevice", 13000, 0), "cuCtxGetDevice_v2"));
        show!(same((c"cuCtxSynchronize", 13000, 0), "cuCtxSynchronize_v2"));
    };
    "table/unknown" => || {
        let mut table = 5u64;
        let id = [0u64; 2];
        go!(cuGetExportTable(&mut table, &id));
        show!(table);
        go!(cuGetExportTable(NULL, &id));
        go!(cuGetExportTable(&mut table, NULL));
        init();
        go!(cuGetExportTable(&mut table, &id));
    };
    "profiler" => || {
        init();
        go!(cuProfilerStart());
        go!(cuProfilerStop());
        context();
        go!(cuProfilerStart());
        go!(cuProfilerStart());
        go!(cuProfilerStop());
        go!(cuProfilerStop());
    };
    "fork/after-init" => || {
        context();
        // SAFETY: the child makes a few calls and ends without unwinding.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let (mut n, mut p) = (0i32, 0u64);
            crate::api::line("in the child", "reached");
            go!(cuInit(0));
            go!(cuDriverGetVersion(&mut n));
            go!(cuDeviceGetCount(&mut n));
            go!(cuCtxGetCurrent(&mut p));
            go!(cuMemAlloc_v2(&mut p, 16));
            go!(cuCtxSynchronize());
            // SAFETY: nothing of the parent's must run again.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: a child of this process.
        unsafe { libc::waitpid(child, &mut status, 0) };
        show!(status);
        go!(cuCtxSynchronize());
        let mut p = 0u64;
        go!(cuMemAlloc_v2(&mut p, 32));
    };
    "fork/before-init" => || {
        let mut n = 0i32;
        must!(cuDriverGetVersion(&mut n));
        // SAFETY: the child makes a few calls and ends without unwinding.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut p = 0u64;
            go!(cuInit(0));
            context();
            go!(cuMemAlloc_v2(&mut p, 16));
            go!(cuCtxSynchronize());
            // SAFETY: the parent's exit handlers are not this process's.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: a child of this process.
        unsafe { libc::waitpid(child, &mut status, 0) };
        show!(status);
    };
}
