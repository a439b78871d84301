//! Streams: flags, priorities, default streams, order, callbacks, values in memory.

use super::*;
use crate::{go, must, show};
use std::sync::atomic::AtomicU64;

/// What the calls in a callback returned, as a list of statuses.
static ANSWERS: [AtomicU64; 8] = [const { AtomicU64::new(u64::MAX) }; 8];

fn answer(index: usize, code: u32) {
    ANSWERS[index].store(u64::from(code), Ordering::SeqCst);
}

/// The work that callbacks try.
fn calls_cuda() {
    let (mut p, mut n) = (0u64, 0i32);
    answer(
        0,
        crate::api::call("cuMemAlloc_v2", &[std::ptr::from_mut(&mut p) as u64, 16]),
    );
    answer(1, crate::api::call("cuCtxSynchronize", &[]));
    answer(
        2,
        crate::api::call("cuDeviceGetCount", &[std::ptr::from_mut(&mut n) as u64]),
    );
    answer(3, crate::api::call("cuStreamQuery", &[NULL]));
    answer(
        4,
        crate::api::call("cuCtxGetCurrent", &[std::ptr::from_mut(&mut p) as u64]),
    );
    answer(5, u32::from(p != 0));
    answer(
        6,
        crate::api::call("cuStreamCreate", &[std::ptr::from_mut(&mut p) as u64, 0]),
    );
    answer(
        7,
        crate::api::call("cuDriverGetVersion", &[std::ptr::from_mut(&mut n) as u64]),
    );
}

extern "C" fn in_host_function(_: *mut c_void) {
    calls_cuda();
}

extern "C" fn in_callback(_: u64, status: u32, data: *mut c_void) {
    calls_cuda();
    // SAFETY: the counter that the probe passed.
    unsafe { &*data.cast::<AtomicU32>() }.store(status + 1, Ordering::SeqCst);
}

fn tell() {
    for (name, index) in [
        ("cuMemAlloc_v2", 0),
        ("cuCtxSynchronize", 1),
        ("cuDeviceGetCount", 2),
        ("cuStreamQuery", 3),
        ("cuCtxGetCurrent", 4),
        ("cuStreamCreate", 6),
        ("cuDriverGetVersion", 7),
    ] {
        let code = ANSWERS[index].load(Ordering::SeqCst);
        crate::api::line(
            &format!("{name} in it"),
            &if code == u64::MAX {
                "not called".into()
            } else {
                crate::api::status(code as u32)
            },
        );
    }
    crate::api::line(
        "a context is current in it",
        &ANSWERS[5].load(Ordering::SeqCst).to_string(),
    );
}

probes! {
    "stream/create" => || {
        context();
        let mut s = 5u64;
        for flags in [0u32, 1, 2, 3, 4, 0x100, 0xffff_ffff] {
            let code = crate::api::call("cuStreamCreate", &[std::ptr::from_mut(&mut s) as u64, u64::from(flags)]);
            let mut read = 99u32;
            let got = if code == 0 { crate::api::call("cuStreamGetFlags", &[s, std::ptr::from_mut(&mut read) as u64]) } else { 0 };
            crate::api::line(&format!("flags {flags:#x}"), &format!("{}, {} {read}", crate::api::status(code), crate::api::status(got)));
        }
        go!(cuStreamCreate(NULL, 0));
        go!(cuStreamGetFlags(s, NULL));
        let mut f = 9u32;
        for (name, stream) in [("null", NULL), ("legacy", LEGACY), ("per thread", PER_THREAD)] {
            let code = crate::api::call("cuStreamGetFlags", &[stream, std::ptr::from_mut(&mut f) as u64]);
            crate::api::line(&format!("flags of {name}"), &format!("{} {f}", crate::api::status(code)));
            let code = crate::api::call("cuStreamDestroy_v2", &[stream]);
            crate::api::line(&format!("destroying {name}"), &crate::api::status(code));
        }
    };
    "stream/priority" => || {
        context();
        let (mut s, mut p) = (0u64, 99i32);
        for priority in [-100i32, -6, -5, -4, -1, 0, 1, 5, 100] {
            let code = crate::api::call("cuStreamCreateWithPriority", &[std::ptr::from_mut(&mut s) as u64, 1, priority as u64]);
            must!(cuStreamGetPriority(s, &mut p));
            crate::api::line(&format!("priority {priority}"), &format!("{} {p}", crate::api::status(code)));
        }
        go!(cuStreamCreateWithPriority(&mut s, 7, 0));
        go!(cuStreamCreateWithPriority(NULL, 0, 0));
        go!(cuStreamGetPriority(s, NULL));
        go!(cuStreamGetPriority(NULL, &mut p));
        show!(p);
        go!(cuStreamGetPriority(LEGACY, &mut p));
        go!(cuStreamGetPriority(PER_THREAD, &mut p));
        show!(p);
        let t = stream(0);
        go!(cuStreamGetPriority(t, &mut p));
        show!(p);
    };
    "stream/handles" => || {
        let c = context();
        let (s, mut o, mut i, mut j, mut d) = (stream(0), 0u64, 0u64, 0u64, 9i32);
        go!(cuStreamGetCtx(s, &mut o));
        show!(o == c);
        go!(cuStreamGetCtx(NULL, &mut o));
        show!(o == c);
        go!(cuStreamGetCtx(LEGACY, &mut o));
        go!(cuStreamGetCtx(PER_THREAD, &mut o));
        show!(o == c);
        go!(cuStreamGetCtx(s, NULL));
        go!(cuStreamGetId(s, &mut i));
        go!(cuStreamGetId(NULL, &mut j));
        show!(i != j);
        go!(cuStreamGetId(LEGACY, &mut i));
        show!(i == j);
        go!(cuStreamGetId(PER_THREAD, &mut i));
        show!(i != j);
        go!(cuStreamGetId(s, NULL));
        go!(cuStreamGetDevice(s, &mut d));
        show!(d);
        go!(cuStreamGetDevice(NULL, &mut d));
        go!(cuStreamGetCtx_v2(s, &mut o, &mut i));
        show!(o == c, i);
        for (name, stream) in [("null", NULL), ("legacy", LEGACY), ("per thread", PER_THREAD), ("own", s)] {
            let (q, w) = (crate::api::call("cuStreamQuery", &[stream]), crate::api::call("cuStreamSynchronize", &[stream]));
            crate::api::line(name, &format!("query {}, synchronize {}", crate::api::status(q), crate::api::status(w)));
        }
        let (t, u) = (stream(0), stream(0));
        let (mut a, mut b) = (0u64, 0u64);
        must!(cuStreamGetId(t, &mut a));
        must!(cuStreamGetId(u, &mut b));
        show!(b as i64 - a as i64);
    };
    "stream/handle-3" => || {
        context();
        go!(cuStreamQuery(3));
    };
    "stream/destroyed" => || {
        context();
        let s = stream(0);
        go!(cuStreamDestroy_v2(s));
        go!(cuStreamQuery(s));
        go!(cuStreamSynchronize(s));
        go!(cuStreamDestroy_v2(s));
    };
    "stream/junk" => || {
        context();
        let junk = [0u64; 1024];
        go!(cuStreamSynchronize(&junk));
        go!(cuStreamDestroy_v2(&junk));
    };
    "stream/destroy-busy" => || {
        context();
        let (s, at, n, f) = (stream(1), alloc(64), counter(), kernel(c"store"));
        hold(s);
        launch(f, s, at, 6);
        go!(cuLaunchHostFunc(s, COUNT, n));
        go!(cuStreamDestroy_v2(s));
        show!(counted(n));
        release();
        go!(cuCtxSynchronize());
        show!(counted(n), peek(at));
    };
    "stream/query" => || {
        context();
        let s = stream(1);
        hold(s);
        go!(cuStreamQuery(s));
        go!(cuStreamQuery(NULL));
        release();
        go!(cuStreamSynchronize(s));
        go!(cuStreamQuery(s));
    };
    "stream/legacy-order" => || {
        context();
        let (b, n, at, f) = (stream(0), stream(1), alloc(64), kernel(c"store"));
        // The legacy stream waits for blocking streams; the non-blocking one does not wait for it.
        hold(b);
        launch(f, NULL, at, 1);
        moment();
        go!(cuStreamQuery(NULL));
        launch(f, n, at + 4, 2);
        go!(cuStreamSynchronize(n));
        release();
        go!(cuStreamSynchronize(NULL));
        show!(peek(at), peek(at + 4));
        // Blocking streams wait for the legacy stream.
        hold(NULL);
        launch(f, b, at + 8, 3);
        moment();
        go!(cuStreamQuery(b));
        go!(cuStreamQuery(PER_THREAD));
        go!(cuStreamQuery(n));
        release();
        go!(cuStreamSynchronize(b));
        show!(peek(at + 8));
    };
    "stream/per-thread-order" => || {
        context();
        let (b, at, f) = (stream(0), alloc(64), kernel(c"store"));
        hold(PER_THREAD);
        launch(f, b, at, 1);
        go!(cuStreamSynchronize(b));
        go!(cuStreamQuery(PER_THREAD));
        launch(f, NULL, at + 4, 1);
        moment();
        go!(cuStreamQuery(NULL));
        release();
        go!(cuStreamSynchronize(NULL));
        go!(cuStreamQuery(PER_THREAD));
        let q = crate::api::call("cuStreamQuery_ptsz", &[NULL]);
        show!(q);
    };
    "stream/threads" => || {
        let c = context();
        hold(PER_THREAD);
        on_thread(|| {
            must!(cuCtxSetCurrent(c));
            go!(cuStreamQuery(PER_THREAD));
            let mut id = 0u64;
            go!(cuStreamGetId(PER_THREAD, &mut id));
        });
        go!(cuStreamQuery(PER_THREAD));
        release();
        go!(cuStreamSynchronize(PER_THREAD));
    };
    "stream/wait-event" => || {
        context();
        let (s, t, e, at, f) = (stream(1), stream(1), event(2), alloc(64), kernel(c"store"));
        go!(cuStreamWaitEvent(t, e, 0));
        hold(s);
        go!(cuEventRecord(e, s));
        go!(cuStreamWaitEvent(t, e, 0));
        launch(f, t, at, 4);
        moment();
        go!(cuStreamQuery(t));
        release();
        go!(cuStreamSynchronize(t));
        show!(peek(at));
        go!(cuStreamWaitEvent(t, e, 1));
        go!(cuStreamWaitEvent(t, e, 2));
        go!(cuStreamWaitEvent(t, NULL, 0));
        go!(cuStreamWaitEvent(NULL, e, 0));
        go!(cuStreamSynchronize(t));
    };
    "stream/wait-external" => || {
        context();
        let (s, t, e) = (stream(1), stream(1), event(2));
        go!(cuStreamWaitEvent(t, e, 1));
        must!(cuEventRecord(e, s));
        go!(cuStreamWaitEvent(t, e, 1));
        go!(cuStreamWaitEvent(t, e, 0));
        go!(cuStreamSynchronize(t));
    };
    "stream/destroy-of-others" => || {
        init();
        let a = own_context();
        let (s, e) = (stream(0), event(0));
        must!(cuCtxSetCurrent(NULL));
        go!(cuEventDestroy_v2(e));
        go!(cuStreamSynchronize(s));
        go!(cuStreamQuery(s));
        let (mut f, mut p, mut i, mut c) = (9u32, 9i32, 0u64, 0u64);
        go!(cuStreamGetFlags(s, &mut f));
        go!(cuStreamGetPriority(s, &mut p));
        go!(cuStreamGetId(s, &mut i));
        go!(cuStreamGetCtx(s, &mut c));
        show!(c == a);
        go!(cuLaunchHostFunc(s, COUNT, counter()));
        go!(cuStreamDestroy_v2(s));
    };
    "stream/host-function" => || {
        context();
        let s = stream(1);
        let f: extern "C" fn(*mut c_void) = in_host_function;
        go!(cuLaunchHostFunc(s, f, NULL));
        go!(cuStreamSynchronize(s));
        tell();
        go!(cuStreamSynchronize(s));
        go!(cuCtxSynchronize());
    };
    "stream/callback" => || {
        context();
        let (s, n) = (stream(1), counter());
        let f: extern "C" fn(u64, u32, *mut c_void) = in_callback;
        go!(cuStreamAddCallback(s, f as usize, n, 0));
        go!(cuStreamSynchronize(s));
        show!(counted(n));
        tell();
        go!(cuStreamAddCallback(s, f as usize, n, 1));
        go!(cuStreamAddCallback(s, NULL, n, 0));
        go!(cuStreamAddCallback(NULL, f as usize, n, 0));
        go!(cuCtxSynchronize());
    };
    "stream/attributes" => || {
        context();
        let (s, t) = (stream(0), stream(0));
        for id in 0..19u32 {
            let mut value = [0u32; 16];
            let code = crate::api::call("cuStreamGetAttribute", &[s, u64::from(id), std::ptr::from_mut(&mut value) as u64]);
            crate::api::line(&format!("attribute {id}"), &format!("{} {:?}", crate::api::status(code), &value[..4]));
        }
        for (id, values) in [(1u32, [0u32, 1, 2]), (2, [0, 1, 2]), (3, [1, 2, 9]), (6, [0, 1, 2]), (8, [0, -3i32 as u32, 1]), (9, [0x0100, 0x0001, 0x0909]), (10, [0, 1, 9])] {
            for word in values {
                let mut value = [0u32; 16];
                value[0] = word;
                let code = crate::api::call("cuStreamSetAttribute", &[s, u64::from(id), std::ptr::from_ref(&value) as u64]);
                let mut read = [0u32; 16];
                let got = crate::api::call("cuStreamGetAttribute", &[s, u64::from(id), std::ptr::from_mut(&mut read) as u64]);
                crate::api::line(&format!("attribute {id} set to {word}"), &format!("{}, {} {}", crate::api::status(code), crate::api::status(got), read[0]));
            }
        }
        go!(cuStreamCopyAttributes(t, s));
        let mut read = [0u32; 16];
        go!(cuStreamGetAttribute(t, 3, &mut read));
        show!(read[0]);
        go!(cuStreamCopyAttributes(NULL, s));
        go!(cuStreamCopyAttributes(t, t));
    };
    "value/write" => || {
        context();
        let (d, s) = (alloc(64), stream(1));
        go!(cuStreamWriteValue32_v2(s, d, 5, 0));
        go!(cuStreamWriteValue32_v2(s, d + 4, 6, 1));
        go!(cuStreamWriteValue64_v2(s, d + 8, 7, 0));
        go!(cuStreamWriteValue32_v2(s, d + 2, 5, 0));
        go!(cuStreamWriteValue64_v2(s, d + 4, 5, 0));
        go!(cuStreamWriteValue32_v2(s, NULL, 5, 0));
        go!(cuStreamWriteValue32_v2(s, d, 5, 8));
        let local = 0u64;
        go!(cuStreamWriteValue32_v2(s, &local, 5, 0));
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 64, 0));
        go!(cuStreamWriteValue32_v2(s, h, 9, 0));
        go!(cuStreamSynchronize(s));
        show!(peek(d), peek(d + 4), peek(d + 8));
        // SAFETY: page-locked memory that this probe allocated.
        show!(unsafe { (h as *const u32).read_volatile() });
    };
    "value/wait" => || {
        context();
        let (d, s, t) = (alloc(64), stream(1), stream(1));
        // 0: at least, 1: equal, 2: a bit in common, 3: not all bits.
        go!(cuStreamWaitValue32_v2(s, d, 5, 0));
        moment();
        go!(cuStreamQuery(s));
        go!(cuStreamWriteValue32_v2(t, d, 6, 0));
        go!(cuStreamSynchronize(s));
        go!(cuStreamWaitValue32_v2(s, d, 6, 1));
        go!(cuStreamWaitValue32_v2(s, d, 2, 2));
        go!(cuStreamWaitValue32_v2(s, d, 1, 3));
        go!(cuStreamWaitValue64_v2(s, d + 8, 0, 0));
        go!(cuStreamSynchronize(s));
        go!(cuStreamWaitValue32_v2(s, d, 0, 4));
        go!(cuStreamWaitValue32_v2(s, d, 0, 1u32 << 30));
        go!(cuStreamWaitValue32_v2(s, d + 1, 0, 0));
        go!(cuStreamWaitValue64_v2(s, d + 4, 0, 0));
        go!(cuStreamWaitValue32_v2(s, NULL, 0, 0));
        go!(cuStreamSynchronize(s));
    };
    "value/batch" => || {
        context();
        let (d, s) = (alloc(64), stream(1));
        // Type, address, value, flags, alias: 48 bytes.
        let mut ops = [[2u64, d, 3, 0, 0, 0], [1, d, 3, 1, 0, 0]];
        go!(cuStreamBatchMemOp_v2(s, 2, &ops, 0));
        go!(cuStreamSynchronize(s));
        show!(peek(d));
        go!(cuStreamBatchMemOp_v2(s, 0, &ops, 0));
        go!(cuStreamBatchMemOp_v2(s, 0, NULL, 0));
        go!(cuStreamBatchMemOp_v2(s, 2, &ops, 1));
        ops[0][0] = 9;
        go!(cuStreamBatchMemOp_v2(s, 1, &ops, 0));
        ops[0][0] = 3;
        go!(cuStreamBatchMemOp_v2(s, 1, &ops, 0));
        ops[0] = [6, 0, 0, 0, 0, 0];
        go!(cuStreamBatchMemOp_v2(s, 1, &ops, 0));
        let many = vec![[2u64, d, 4, 0, 0, 0]; 257];
        go!(cuStreamBatchMemOp_v2(s, 256, many.as_ptr(), 0));
        go!(cuStreamBatchMemOp_v2(s, 257, many.as_ptr(), 0));
        go!(cuStreamSynchronize(s));
    };
}
