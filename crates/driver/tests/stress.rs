//! Many threads on many streams: launches, copies, events, allocations, frees and graphs, for seconds;
//! `VKCUDA_STRESS_SECONDS` says how many.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const THREADS: u64 = 32;
/// Words of a thread's data.
const WORDS: usize = 256;

fn launch(function: CUfunction, data: CUdeviceptr, step: u32, stream: CUstream) {
    let mut arguments: [*mut c_void; 2] = [
        std::ptr::from_ref(&data).cast_mut().cast(),
        std::ptr::from_ref(&step).cast_mut().cast(),
    ];
    ok!(cuLaunchKernel(
        function,
        WORDS as u32 / 64,
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

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }
}

static CALLED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn count(_: *mut c_void) {
    CALLED.fetch_add(1, Ordering::Relaxed);
}

/// One thread's work until the end: what it did to its data, step by step, must be what is there. Gives the number of its
/// steps, and of its calls of the host.
fn work(context: CUcontext, function: CUfunction, thread: u64, end: Instant) -> (u64, u64) {
    ok!(cuCtxSetCurrent(context));
    let mut random = Random(0x9e37_79b9_7f4a_7c15 * (thread + 1));
    let (mut steps, mut calls) = (0, 0);
    let mut expected = 0u32;
    let mut data = 0;
    let mut streams = [CUstream::NULL; 3];
    for stream in &mut streams {
        ok!(cuStreamCreate(stream, (thread % 2) as u32));
    }
    let mut events = [CUevent::NULL; 2];
    for event in &mut events {
        ok!(cuEventCreate(event, CU_EVENT_DISABLE_TIMING));
    }
    ok!(cuMemAlloc_v2(&mut data, WORDS * 4));
    ok!(cuMemsetD32Async(data, 0, WORDS, streams[0]));
    let mut current = 0;
    while Instant::now() < end {
        steps += 1;
        let stream = streams[current];
        match random.below(8) {
            0..=2 => {
                for _ in 0..random.below(20) {
                    let step = random.below(100) as u32;
                    launch(function, data, step, stream);
                    expected = expected.wrapping_add(step);
                }
            }
            // Goes on in another stream.
            3 => {
                let next = random.below(3) as usize;
                let event = events[random.below(2) as usize];
                ok!(cuEventRecord(event, stream));
                ok!(cuStreamWaitEvent(streams[next], event, 0));
                current = next;
            }
            // Into new memory, in stream order; the old is freed behind the copy.
            4 => {
                let mut other = 0;
                ok!(cuMemAllocAsync(&mut other, WORDS * 4, stream));
                ok!(cuMemcpyDtoDAsync_v2(other, data, WORDS * 4, stream));
                ok!(cuMemFreeAsync(data, stream));
                data = other;
            }
            // By way of the host.
            5 => {
                let mut host = [0u32; WORDS];
                ok!(cuMemcpyDtoHAsync_v2(
                    host.as_mut_ptr().cast(),
                    data,
                    WORDS * 4,
                    stream
                ));
                ok!(cuStreamSynchronize(stream));
                assert_eq!(host, [expected; WORDS], "thread {thread}, step {steps}");
                expected = random.below(1000) as u32;
                host.fill(expected);
                ok!(cuMemcpyHtoDAsync_v2(
                    data,
                    host.as_ptr().cast(),
                    WORDS * 4,
                    stream
                ));
            }
            // As a graph, launched several times.
            6 => {
                let step = random.below(100) as u32;
                let (mut graph, mut exec) = (CUgraph::NULL, CUgraphExec::NULL);
                ok!(cuStreamBeginCapture_v2(
                    stream,
                    CUstreamCaptureMode::THREAD_LOCAL
                ));
                launch(function, data, step, stream);
                ok!(cuLaunchHostFunc(stream, Some(count), null_mut()));
                launch(function, data, 1, stream);
                ok!(cuStreamEndCapture(stream, &mut graph));
                ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
                let times = 1 + random.below(3);
                for _ in 0..times {
                    ok!(cuGraphLaunch(exec, stream));
                    expected = expected.wrapping_add(step + 1);
                }
                calls += times;
                ok!(cuGraphExecDestroy(exec));
                ok!(cuGraphDestroy(graph));
            }
            _ => {
                // A new stream in place of an old one, whose work goes on.
                let event = events[0];
                ok!(cuEventRecord(event, stream));
                ok!(cuStreamDestroy_v2(stream));
                ok!(cuStreamCreate(&mut streams[current], (thread % 2) as u32));
                ok!(cuStreamWaitEvent(streams[current], event, 0));
                ok!(cuLaunchHostFunc(streams[current], Some(count), null_mut()));
                calls += 1;
            }
        }
    }
    let mut host = [0u32; WORDS];
    ok!(cuMemcpyDtoHAsync_v2(
        host.as_mut_ptr().cast(),
        data,
        WORDS * 4,
        streams[current]
    ));
    for stream in streams {
        ok!(cuStreamSynchronize(stream));
        ok!(cuStreamDestroy_v2(stream));
    }
    assert_eq!(host, [expected; WORDS], "thread {thread} at its end");
    for event in events {
        ok!(cuEventDestroy_v2(event));
    }
    ok!(cuMemFree_v2(data));
    (steps, calls)
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|n| n.parse().ok());
    pages.unwrap_or(0u64) * 4096
}

#[test]
fn thirty_two_threads_lose_nothing() {
    in_child("thirty_two_threads_lose_nothing", &[], || {
        let seconds: u64 = std::env::var("VKCUDA_STRESS_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(4);
        let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
        let mut function = CUfunction::NULL;
        ok!(cuInit(0));
        ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
        ok!(cuCtxSetCurrent(context));
        ok!(cuModuleLoadData(
            &mut module,
            common::ADD_PTX.as_ptr().cast()
        ));
        ok!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()));
        // Twice: what the first round leaves behind (pools of streams and memory) serves the second.
        let round = || {
            let end = Instant::now() + Duration::from_millis(seconds * 500);
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| std::thread::spawn(move || work(context, function, thread, end)))
                .collect();
            let mut sums = (0, 0);
            for thread in threads {
                let (steps, calls) = thread.join().expect("a thread failed");
                assert!(steps > 0, "a thread did not get on");
                sums = (sums.0 + steps, sums.1 + calls);
            }
            ok!(cuCtxSynchronize());
            let (mut free, mut total) = (0, 0);
            ok!(cuMemGetInfo_v2(&mut free, &mut total));
            (sums, resident())
        };
        let (first, before) = round();
        let (second, after) = round();
        eprintln!("{first:?} and {second:?} steps and calls, {before} and {after} bytes resident");
        assert_eq!(CALLED.load(Ordering::Relaxed), first.1 + second.1);
        // As much as the steps differ, what is left may differ; a leak of each step is more.
        let grown = after.saturating_sub(before);
        assert!(
            grown < (64 << 20) + second.0 * 256,
            "{grown} bytes more in memory after {} steps",
            second.0
        );
    });
}
