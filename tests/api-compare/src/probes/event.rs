//! Events.

use super::*;
use crate::{go, must, show};

probes! {
    "event/create" => || {
        context();
        let mut e = 5u64;
        for flags in [0u32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x100] {
            let code = crate::api::call("cuEventCreate", &[std::ptr::from_mut(&mut e) as u64, u64::from(flags)]);
            crate::api::line(&format!("flags {flags:#x}"), &crate::api::status(code));
        }
        go!(cuEventCreate(NULL, 0));
        go!(cuEventDestroy_v2(NULL));
        go!(cuEventQuery(NULL));
        go!(cuEventSynchronize(NULL));
        go!(cuEventRecord(NULL, NULL));
    };
    "event/unrecorded" => || {
        context();
        let (a, b, mut ms) = (event(0), event(0), -1.0f32);
        go!(cuEventQuery(a));
        go!(cuEventSynchronize(a));
        go!(cuEventElapsedTime(&mut ms, a, b));
        must!(cuEventRecord(a, NULL));
        must!(cuCtxSynchronize());
        go!(cuEventElapsedTime(&mut ms, a, b));
        go!(cuEventElapsedTime(&mut ms, b, a));
        go!(cuEventElapsedTime(&mut ms, a, a));
        show!(ms);
        go!(cuEventElapsedTime_v2(&mut ms, a, b));
        go!(cuEventElapsedTime_v2(&mut ms, a, a));
    };
    "event/elapsed" => || {
        context();
        let (a, b, untimed, mut ms) = (event(0), event(0), event(2), -1.0f32);
        let s = stream(1);
        must!(cuEventRecord(a, s));
        hold(s);
        must!(cuEventRecord(b, s));
        go!(cuEventElapsedTime(&mut ms, a, b));
        moment();
        release();
        must!(cuEventSynchronize(b));
        go!(cuEventElapsedTime(&mut ms, a, b));
        show!(ms >= 90.0, ms < 10000.0);
        go!(cuEventElapsedTime(&mut ms, b, a));
        show!(ms <= -90.0);
        must!(cuEventRecord(untimed, s));
        must!(cuStreamSynchronize(s));
        go!(cuEventElapsedTime(&mut ms, a, untimed));
        go!(cuEventElapsedTime(&mut ms, untimed, a));
        go!(cuEventElapsedTime(NULL, a, b));
        go!(cuEventElapsedTime(&mut ms, NULL, b));
        go!(cuEventElapsedTime(&mut ms, a, NULL));
    };
    "event/query" => || {
        context();
        let (e, s) = (event(0), stream(1));
        hold(s);
        go!(cuEventRecord(e, s));
        go!(cuEventQuery(e));
        go!(cuEventRecord(e, NULL));
        moment();
        go!(cuEventQuery(e));
        go!(cuEventRecord(e, s));
        release();
        go!(cuEventSynchronize(e));
        go!(cuEventQuery(e));
        go!(cuEventRecordWithFlags(e, s, 0));
        go!(cuEventRecordWithFlags(e, s, 1));
        go!(cuEventRecordWithFlags(e, s, 2));
        go!(cuEventRecord(e, LEGACY));
        go!(cuEventRecord(e, PER_THREAD));
    };
    "event/destroy-busy" => || {
        context();
        let (e, s, t, at, f) = (event(0), stream(1), stream(1), alloc(64), kernel(c"store"));
        hold(s);
        must!(cuEventRecord(e, s));
        must!(cuStreamWaitEvent(t, e, 0));
        launch(f, t, at, 3);
        go!(cuEventDestroy_v2(e));
        moment();
        go!(cuStreamQuery(t));
        release();
        go!(cuStreamSynchronize(t));
        show!(peek(at));
    };
    "event/destroyed" => || {
        context();
        let e = event(0);
        go!(cuEventDestroy_v2(e));
        go!(cuEventQuery(e));
        go!(cuEventRecord(e, NULL));
        go!(cuEventDestroy_v2(e));
    };
    "event/junk" => || {
        context();
        let junk = [0u64; 512];
        go!(cuEventQuery(&junk));
    };
    "event/other-context" => || {
        init();
        let a = own_context();
        let (e, s) = (event(0), stream(0));
        let b = own_context();
        let (f, t, mut ms) = (event(0), stream(0), 0.0f32);
        go!(cuEventRecord(e, s));
        go!(cuEventRecord(e, t));
        go!(cuEventRecord(e, NULL));
        go!(cuEventRecord(f, t));
        go!(cuStreamWaitEvent(t, e, 0));
        go!(cuStreamWaitEvent(s, f, 0));
        go!(cuEventQuery(e));
        go!(cuEventSynchronize(e));
        go!(cuEventElapsedTime(&mut ms, e, f));
        must!(cuCtxSetCurrent(NULL));
        go!(cuEventQuery(e));
        go!(cuEventSynchronize(e));
        go!(cuEventRecord(e, s));
        go!(cuStreamSynchronize(s));
        must!(cuCtxDestroy_v2(a));
        must!(cuCtxSetCurrent(b));
        go!(cuEventQuery(f));
    };
    "event/after-context" => || {
        init();
        let a = own_context();
        let e = event(0);
        must!(cuCtxDestroy_v2(a));
        context();
        go!(cuEventQuery(e));
        go!(cuEventDestroy_v2(e));
    };
    "event/record-context" => || {
        let c = context();
        let e = event(0);
        go!(cuCtxRecordEvent(c, e));
        go!(cuCtxWaitEvent(c, e));
        go!(cuCtxRecordEvent(NULL, e));
        go!(cuCtxRecordEvent(c, NULL));
        go!(cuCtxSynchronize());
    };
}
