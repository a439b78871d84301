//! Streams: events, timestamps, waits between streams, host functions, lifetimes.

mod common;

use common::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;
use vulkan::{Device, Launch, MemoryKind, Pipeline, Stream};

struct Setup {
    device: Arc<Device>,
    affine: Arc<Pipeline>,
}

fn setup() -> Setup {
    let device = device();
    let affine = device
        .create_shader(&affine_kernel())
        .unwrap()
        .pipeline([32, 1, 1], 0)
        .unwrap();
    Setup { device, affine }
}

impl Setup {
    /// `data = data * factor + addend`, on 32 words.
    fn affine(&self, stream: &Stream, address: u64, factor: u32, addend: u32) {
        let parameters = parameters(address, factor, addend);
        let launch = Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        };
        stream.launch(&self.affine, &launch).unwrap();
    }

    fn word(&self, stream: &Stream, address: u64) -> u32 {
        let mut bytes = [0; 4];
        stream.read(address, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }
}

#[test]
fn events_complete_and_time_passes() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    let start = stream.record_event(true).unwrap();
    for _ in 0..200 {
        s.affine(&stream, memory.address(), 1, 1);
    }
    let end = stream.record_event(true).unwrap();
    let untimed = stream.record_event(false).unwrap();
    end.wait().unwrap();
    assert!(start.is_complete().unwrap() && end.is_complete().unwrap());
    untimed.wait().unwrap();
    let elapsed = end.nanoseconds_since(&start).unwrap();
    assert!(elapsed > 0.0 && elapsed < 60e9, "{elapsed} ns");
    assert_eq!(start.nanoseconds_since(&end).unwrap(), -elapsed);
    assert!(untimed.nanoseconds_since(&start).is_err());
    assert!(end.is_timed() && !untimed.is_timed());
}

#[test]
fn an_event_of_an_empty_stream_is_complete() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    assert!(stream.record_event(false).unwrap().is_complete().unwrap());
    assert!(stream.is_idle().unwrap());
    let timed = stream.record_event(true).unwrap();
    timed.wait().unwrap();
}

#[test]
fn many_timestamps() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let events: Vec<_> = (0..1000)
        .map(|_| stream.record_event(true).unwrap())
        .collect();
    stream.synchronize().unwrap();
    for pair in events.windows(2) {
        assert!(pair[1].nanoseconds_since(&pair[0]).unwrap() >= 0.0);
    }
}

#[test]
fn streams_wait_for_each_other() {
    let s = setup();
    let streams: Vec<_> = (0..3).map(|_| s.device.create_stream().unwrap()).collect();
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    streams[0].fill(memory.address(), 1, 4, 32).unwrap();
    let mut point = streams[0].record_event(false).unwrap();
    let mut expected = 1u32;
    for step in 0..60 {
        let stream = &streams[step as usize % 3];
        stream.wait(&point).unwrap();
        s.affine(stream, memory.address(), 3, step);
        point = stream.record_event(false).unwrap();
        expected = expected.wrapping_mul(3).wrapping_add(step);
    }
    point.wait().unwrap();
    assert_eq!(s.word(&streams[0], memory.address()), expected);
}

#[test]
fn a_wait_alone_counts_as_work() {
    let s = setup();
    let (a, b) = (
        s.device.create_stream().unwrap(),
        s.device.create_stream().unwrap(),
    );
    let (release, released) = mpsc::channel::<()>();
    a.host_function(Box::new(move || released.recv().unwrap()))
        .unwrap();
    let point = a.record_event(false).unwrap();
    b.wait(&point).unwrap();
    assert!(!b.is_idle().unwrap(), "the other stream is held up");
    let behind = b.record_event(false).unwrap();
    assert!(!behind.is_complete().unwrap());
    release.send(()).unwrap();
    b.synchronize().unwrap();
    assert!(point.is_complete().unwrap() && behind.is_complete().unwrap());
}

#[test]
fn host_functions_run_in_order_with_kernels() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let memory = s.device.allocate(128, MemoryKind::Host).unwrap();
    let host = memory.host().unwrap() as usize;
    stream.fill(memory.address(), 0, 4, 32).unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    for step in 0..20u32 {
        s.affine(&stream, memory.address(), 1, 1);
        let seen = Arc::clone(&seen);
        let function = move || {
            // SAFETY: mapped memory; the kernels before are done, those after wait for this function.
            let place = unsafe { &mut *(host as *mut u32) };
            assert_eq!(*place, step * 11 + 1);
            *place += 10;
            seen.fetch_add(1, Ordering::Relaxed);
        };
        stream.host_function(Box::new(function)).unwrap();
    }
    stream.synchronize().unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 20);
    assert_eq!(s.word(&stream, memory.address()), 220);
}

/// Work held back by a host function must not stand in the way of another stream on the same queue, nor deadlock with one
/// that waits for it.
#[test]
fn a_blocked_stream_blocks_no_other() {
    let s = setup();
    let memory = s.device.allocate(256, MemoryKind::Device).unwrap();
    let (blocked, free, waiting) = (
        s.device.create_stream().unwrap(),
        s.device.create_stream().unwrap(),
        s.device.create_stream().unwrap(),
    );
    let (release, released) = mpsc::channel::<()>();
    blocked.fill(memory.address(), 5, 4, 64).unwrap();
    blocked.synchronize().unwrap();
    blocked
        .host_function(Box::new(move || released.recv().unwrap()))
        .unwrap();
    s.affine(&blocked, memory.address(), 2, 0);
    let after = blocked.record_event(false).unwrap();
    waiting.wait(&after).unwrap();
    s.affine(&waiting, memory.address(), 1, 1);
    waiting.flush().unwrap();
    for _ in 0..10 {
        s.affine(&free, memory.address() + 128, 1, 1);
    }
    free.synchronize().unwrap();
    assert_eq!(s.word(&free, memory.address() + 128), 15);
    assert!(!after.is_complete().unwrap());
    assert!(!waiting.is_idle().unwrap());
    release.send(()).unwrap();
    waiting.synchronize().unwrap();
    assert_eq!(s.word(&waiting, memory.address()), 11);
}

#[test]
fn host_functions_of_several_streams_do_not_wait_for_each_other_s_work() {
    let s = setup();
    let (a, b) = (
        s.device.create_stream().unwrap(),
        s.device.create_stream().unwrap(),
    );
    let (tell, told) = mpsc::channel::<()>();
    // The function of b runs although that of a comes first and the work before a's waits for b.
    let gate = s.device.create_stream().unwrap();
    let (open, opened) = mpsc::channel::<()>();
    gate.host_function(Box::new(move || {
        let _ = opened.recv_timeout(Duration::from_millis(200));
    }))
    .unwrap();
    let point = gate.record_event(false).unwrap();
    a.wait(&point).unwrap();
    let (order, ordered) = mpsc::channel::<&str>();
    let also = order.clone();
    a.host_function(Box::new(move || also.send("a").unwrap()))
        .unwrap();
    b.host_function(Box::new(move || {
        order.send("b").unwrap();
        tell.send(()).unwrap();
    }))
    .unwrap();
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    open.send(()).ok();
    a.synchronize().unwrap();
    assert_eq!(ordered.try_iter().collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn events_of_another_device_are_waited_for() {
    let (s, t) = (setup(), setup());
    let (a, b) = (
        s.device.create_stream().unwrap(),
        t.device.create_stream().unwrap(),
    );
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    for _ in 0..100 {
        s.affine(&a, memory.address(), 1, 1);
    }
    let point = a.record_event(false).unwrap();
    b.wait(&point).unwrap();
    b.synchronize().unwrap();
    assert!(point.is_complete().unwrap());
}

#[test]
fn a_dropped_stream_finishes_its_work() {
    let s = setup();
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    let reader = s.device.create_stream().unwrap();
    reader.fill(memory.address(), 0, 4, 32).unwrap();
    reader.synchronize().unwrap();
    for _ in 0..20 {
        let stream = s.device.create_stream().unwrap();
        s.affine(&stream, memory.address(), 1, 1);
        let point = stream.record_event(false).unwrap();
        drop(stream);
        point.wait().unwrap();
    }
    assert_eq!(s.word(&reader, memory.address()), 20);
}

#[test]
fn kept_values_are_dropped_after_the_work() {
    struct Flag(Arc<AtomicU32>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let dropped = Arc::new(AtomicU32::new(0));
    stream
        .keep_alive(Box::new(Flag(Arc::clone(&dropped))))
        .unwrap();
    assert_eq!(
        dropped.load(Ordering::Relaxed),
        1,
        "an idle stream keeps nothing"
    );
    let (release, released) = mpsc::channel::<()>();
    stream
        .host_function(Box::new(move || released.recv().unwrap()))
        .unwrap();
    stream
        .keep_alive(Box::new(Flag(Arc::clone(&dropped))))
        .unwrap();
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    s.affine(&stream, memory.address(), 1, 1);
    stream.keep_alive(Box::new(memory)).unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    release.send(()).unwrap();
    stream.synchronize().unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
}

#[test]
fn the_last_handle_of_a_device_may_go_in_a_host_function() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let (done, finished) = mpsc::channel::<()>();
    let keep = Arc::clone(&s.device);
    let (go, gone) = mpsc::channel::<()>();
    stream
        .host_function(Box::new(move || {
            gone.recv().unwrap();
            drop(keep);
            done.send(()).unwrap();
        }))
        .unwrap();
    drop(stream);
    drop(s);
    go.send(()).unwrap();
    finished
        .recv_timeout(Duration::from_secs(20))
        .expect("no deadlock");
}

/// What a program never destroys holds the device until the process ends; its threads must not call the driver that long.
#[test]
fn a_device_that_is_held_can_end() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let memory = s.device.allocate(128, MemoryKind::Device).unwrap();
    stream.fill(memory.address(), 0, 4, 32).unwrap();
    let called = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&called);
    stream
        .host_function(Box::new(move || {
            calls.fetch_add(1, Ordering::SeqCst);
        }))
        .unwrap();
    s.affine(&stream, memory.address(), 1, 1);
    s.device.end();
    assert_eq!(
        called.load(Ordering::SeqCst),
        1,
        "what was asked for is done"
    );
    // The thread is gone.
    let calls = Arc::clone(&called);
    let _ = stream.host_function(Box::new(move || {
        calls.fetch_add(1, Ordering::SeqCst);
    }));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(called.load(Ordering::SeqCst), 1);
    s.device.end();
}

/// What the thread of host functions has used of the processor, in hundredths of a second; 0 before it exists.
fn host_thread_ticks() -> u64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok())
        .filter(|stat| stat.contains("(vkcuda-host)"))
        .map(|stat| {
            let after_name = stat.rsplit(')').next().unwrap();
            let fields: Vec<&str> = after_name.split_whitespace().collect();
            // utime and stime are the 14th and 15th field of all.
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum()
}

/// On a CPU device the work itself needs that processor.
#[test]
fn a_host_function_that_waits_for_work_sleeps() {
    let s = setup();
    let stream = s.device.create_stream().unwrap();
    let words = 64 << 20;
    let memory = s.device.allocate(4 * words, MemoryKind::Device).unwrap();
    let begin = (std::time::Instant::now(), host_thread_ticks());
    for value in 0..8 {
        for _ in 0..8 {
            stream.fill(memory.address(), value, 4, words).unwrap();
        }
        stream.host_function(Box::new(|| ())).unwrap();
    }
    stream.synchronize().unwrap();
    let elapsed = begin.0.elapsed().as_millis() as u64 / 10;
    let used = host_thread_ticks() - begin.1;
    assert!(
        used <= 5 + elapsed / 4,
        "{used} of {elapsed} hundredths of a second"
    );
}
