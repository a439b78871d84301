//! Kernels that fail, and what works after that.

use super::*;
use crate::{go, must, show};

const FAULTS: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
.global .align 1 .b8 text[4] = {111, 104, 0, 0};
.visible .entry trapping() { trap; ret; }
.visible .entry breaking() { brkpt; ret; }
.visible .entry leaving() { exit; }
.visible .entry asserting()
{
    .reg .b64 %t;
    mov.u64 %t, text;
    cvta.global.u64 %t, %t;
    { .param .b64 a; .param .b64 b; .param .b32 c; .param .b64 d; .param .b64 e;
    st.param.b64 [a], %t; st.param.b64 [b], %t; st.param.b32 [c], 5; st.param.b64 [d], %t; st.param.b64 [e], 1;
    call __assertfail, (a, b, c, d, e); }
    ret;
}
.visible .entry writing(.param .u64 at, .param .u32 value)
{
    .reg .b64 %a; .reg .b32 %v;
    ld.param.u64 %a, [at];
    ld.param.u32 %v, [value];
    st.global.u32 [%a], %v;
    ret;
}
";

/// What calls answer after a fault.
fn afterwards(memory: u64, stream: u64, event: u64, good: u64) {
    let (mut p, mut n, mut s, mut word) = (0u64, 0i32, 0usize, 0u32);
    go!(cuCtxSynchronize());
    go!(cuStreamSynchronize(stream));
    go!(cuStreamQuery(stream));
    go!(cuStreamQuery(NULL));
    go!(cuEventQuery(event));
    go!(cuEventRecord(event, stream));
    go!(cuEventSynchronize(event));
    go!(cuMemAlloc_v2(&mut p, 16));
    go!(cuMemFree_v2(memory));
    go!(cuMemHostAlloc(&mut p, 16, 0));
    go!(cuMemcpyDtoH_v2(&mut word, memory, 4));
    go!(cuMemsetD8_v2(memory, 0, 4));
    go!(cuMemGetInfo_v2(&mut s, &mut s));
    go!(cuLaunchKernel(good, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    go!(cuModuleLoadData(&mut p, PTX));
    go!(cuStreamCreate(&mut p, 0));
    go!(cuEventCreate(&mut p, 0));
    go!(cuCtxGetCurrent(&mut p));
    go!(cuCtxGetDevice(&mut n));
    go!(cuCtxGetLimit(&mut s, 0));
    go!(cuDeviceGetCount(&mut n));
    go!(cuDeviceGetAttribute(&mut n, 75, 0));
    go!(cuPointerGetAttribute(&mut n, 2, memory));
    go!(cuFuncGetAttribute(&mut n, 0, good));
    go!(cuGraphCreate(&mut p, 0));
    go!(cuDriverGetVersion(&mut n));
    go!(cuInit(0));
    go!(cuEventDestroy_v2(event));
    go!(cuStreamDestroy_v2(stream));
    go!(cuCtxSynchronize());
}

/// Makes a fault in the primary context and asks around, then in a fresh context.
fn fault(name: &CStr, list: u64) {
    let c = context();
    let (memory, s, e, good) = (alloc(64), stream(1), event(0), kernel(c"empty"));
    let f = function(module(FAULTS), name);
    must!(cuEventRecord(e, NULL));
    must!(cuCtxSynchronize());
    go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, list, NULL));
    afterwards(memory, s, e, good);
    let (mut flags, mut active, mut p) = (0u32, 0i32, 0u64);
    go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
    show!(active);
    go!(cuDevicePrimaryCtxReset_v2(0));
    go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
    show!(active);
    let mut again = 0u64;
    go!(cuDevicePrimaryCtxRetain(&mut again, 0));
    go!(cuCtxSetCurrent(again));
    go!(cuMemAlloc_v2(&mut p, 16));
    go!(cuCtxSynchronize());
    let _ = c;
}

probes! {
    "fault/trap" => || fault(c"trapping", NULL);
    "fault/assert" => || fault(c"asserting", NULL);
    "fault/breakpoint" => || fault(c"breaking", NULL);
    "fault/null-write" => || { let p = Parameters::new(0, 1); fault(c"writing", p.list()); };
    "fault/small-address" => || { let p = Parameters::new(4096, 1); fault(c"writing", p.list()); };
    "fault/wild-address" => || { let p = Parameters::new(1 << 45, 1); fault(c"writing", p.list()); };
    "fault/not-canonical" => || { let p = Parameters::new(1 << 60, 1); fault(c"writing", p.list()); };
    "fault/misaligned" => || { let p = Parameters::new(4097, 1); fault(c"writing", p.list()); };
    "fault/exit" => || {
        context();
        let f = function(module(FAULTS), c"leaving");
        go!(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        go!(cuCtxSynchronize());
    };
    "fault/own-context" => || {
        init();
        let good = own_context();
        let memory = alloc(64);
        let bad = own_context();
        let f = function(module(FAULTS), c"trapping");
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuCtxSynchronize());
        must!(cuCtxSetCurrent(good));
        go!(cuCtxSynchronize());
        go!(cuMemsetD8_v2(memory, 1, 64));
        let mut p = 0u64;
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuCtxDestroy_v2(bad));
        go!(cuCtxSynchronize());
        go!(cuMemAlloc_v2(&mut p, 16));
        let fresh = own_context();
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuCtxSynchronize());
        go!(cuCtxDestroy_v2(fresh));
    };
    "fault/destroy-own" => || {
        init();
        let bad = own_context();
        let f = function(module(FAULTS), c"trapping");
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        moment();
        go!(cuCtxDestroy_v2(bad));
        let mut p = 0u64;
        let mut c = 0u64;
        go!(cuCtxCreate_v2(&mut c, 0, 0));
        go!(cuMemAlloc_v2(&mut p, 16));
        go!(cuCtxSynchronize());
    };
    "fault/host-functions-after" => || {
        context();
        let (s, n) = (stream(1), counter());
        let f = function(module(FAULTS), c"trapping");
        // The fault comes after both calls.
        hold(s);
        must!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
        go!(cuLaunchHostFunc(s, COUNT, n));
        release();
        go!(cuStreamSynchronize(s));
        moment();
        show!(counted(n));
    };
    "fault/work-queued-behind" => || {
        context();
        let (s, mut h) = (stream(1), 0u64);
        must!(cuMemHostAlloc(&mut h, 64, 0));
        let f = function(module(FAULTS), c"trapping");
        let store = kernel(c"store");
        hold(s);
        must!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
        launch(store, s, h, 5);
        release();
        go!(cuStreamSynchronize(s));
        // SAFETY: page-locked memory that this probe allocated.
        show!(unsafe { (h as *const u32).read_volatile() });
    };
    "fault/in-graph" => || {
        context();
        let s = stream(1);
        let f = function(module(FAULTS), c"trapping");
        let g = super::graph::graph();
        super::graph::kernel_node(g, &[], f, NULL);
        let mut x = 0u64;
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphExecDestroy(x));
        go!(cuGraphDestroy(g));
    };
    "fault/elapsed" => || {
        context();
        let (a, b, mut ms) = (event(0), event(0), 0.0f32);
        let f = function(module(FAULTS), c"trapping");
        must!(cuEventRecord(a, NULL));
        must!(cuCtxSynchronize());
        // The fault comes after both calls.
        hold(NULL);
        must!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        must!(cuEventRecord(b, NULL));
        release();
        go!(cuEventSynchronize(b));
        go!(cuEventElapsedTime(&mut ms, a, b));
        go!(cuEventQuery(a));
    };
}
