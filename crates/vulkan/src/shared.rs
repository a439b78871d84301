//! What the streams of a device share: memory, the list of streams, and two background threads.
//!
//! - The flusher submits batches that have been open for a while, so that work makes progress although nobody waits for it,
//!   and writes the pipeline cache when it has been quiet.
//! - The host-function thread runs `cuLaunchHostFunc` callbacks when the work before them is done. It starts with the first.

use crate::error::Error;
use crate::event::Timestamps;
use crate::memory::Memory;
use crate::pipeline_cache::PipelineCache;
use crate::profile::Profile;
use crate::raw::Raw;
use crate::stream::Inner;
use crate::wake::Wake;
use ash::vk;
use parking_lot::{Condvar, Mutex, RwLock};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Age at which an open batch is submitted when the device has less than two others to run.
const STARVING_AGE: Duration = Duration::from_micros(100);

/// Age at which it is submitted in any case.
const BUSY_AGE: Duration = Duration::from_millis(1);

/// How long the flusher waits for the pipeline cache to come to rest.
const CACHE_WAIT: Duration = Duration::from_millis(500);

/// Longest pause between two questions to what is polled.
const POLL_PAUSE: Duration = Duration::from_micros(200);

/// The same for the work that a host function waits for, on devices that run on the processor.
const CPU_PAUSE: Duration = Duration::from_micros(500);

/// A function of the host in a stream: says whether it is done, and is called again where it is not.
pub(crate) type HostFunction = Box<dyn FnMut() -> bool + Send>;

/// A host function whose turn has come in its stream: it runs when the timeline has reached the value before its own.
pub(crate) struct HostJob {
    pub(crate) stream: Arc<Inner>,
    pub(crate) value: u64,
    pub(crate) function: HostFunction,
}

/// Wakes the flusher.
pub(crate) struct Flusher {
    armed: AtomicBool,
    idle: AtomicBool,
    stop: AtomicBool,
    lock: Mutex<()>,
    signal: Condvar,
}

impl Flusher {
    fn new() -> Self {
        Self {
            armed: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lock: Mutex::new(()),
            signal: Condvar::new(),
        }
    }

    /// A batch has been left open. Two atomic operations while the thread is awake.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
        if self.idle.load(Ordering::SeqCst) {
            let _lock = self.lock.lock();
            self.signal.notify_one();
        }
    }

    /// The age at which an open batch is submitted.
    pub(crate) fn age(&self, starving: bool) -> Duration {
        if starving {
            STARVING_AGE
        } else {
            BUSY_AGE
        }
    }

    /// Sleeps until armed or stopped. Whether to go on.
    fn sleep(&self, cache: &PipelineCache) -> bool {
        let mut lock = self.lock.lock();
        loop {
            // Announced before the flag is read, as `arm` sets the flag before it reads the announcement.
            self.idle.store(true, Ordering::SeqCst);
            if self.stop.load(Ordering::SeqCst) || self.armed.swap(false, Ordering::SeqCst) {
                self.idle.store(false, Ordering::SeqCst);
                return !self.stop.load(Ordering::SeqCst);
            }
            if cache.is_dirty() {
                if self.signal.wait_for(&mut lock, CACHE_WAIT).timed_out() {
                    cache.save_if_quiet();
                }
            } else {
                self.signal.wait(&mut lock);
            }
        }
    }
}

/// The queue of the host-function thread.
struct HostQueue {
    jobs: Mutex<Vec<HostJob>>,
    /// Ends the thread's wait when a job arrives.
    wake: Wake,
    stop: AtomicBool,
    /// Nothing is waited for any more that is not done.
    end_polls: AtomicBool,
}

/// A device's shared state.
pub(crate) struct Shared {
    me: Weak<Shared>,
    pub(crate) raw: Arc<Raw>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) timestamps: Arc<Timestamps>,
    /// What kernels take, where the user asked for it.
    pub(crate) profile: Option<Profile>,
    pub(crate) pipeline_cache: Arc<PipelineCache>,
    /// All streams whose work may still run, dropped ones included.
    pub(crate) streams: RwLock<Vec<Arc<Inner>>>,
    /// Batches and host functions that wait for their turn, over all streams.
    pub(crate) held: AtomicUsize,
    /// Set when something was submitted or signalled that held batches may wait for.
    pub(crate) progress: AtomicBool,
    pub(crate) flusher: Flusher,
    host: HostQueue,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    flusher: Option<JoinHandle<()>>,
    host: Option<JoinHandle<()>>,
}

impl Shared {
    pub(crate) fn new(raw: Raw) -> Result<Arc<Self>, Error> {
        let raw = Arc::new(raw);
        let pipeline_cache = PipelineCache::open(&raw)?;
        let wake = Wake::new(&raw)?;
        let shared = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            memory: Memory::new(&raw),
            timestamps: Timestamps::new(&raw),
            profile: Profile::from_environment(),
            pipeline_cache,
            streams: RwLock::default(),
            held: AtomicUsize::new(0),
            progress: AtomicBool::new(false),
            flusher: Flusher::new(),
            host: HostQueue {
                jobs: Mutex::default(),
                wake,
                stop: AtomicBool::new(false),
                end_polls: AtomicBool::new(false),
            },
            threads: Mutex::default(),
            raw,
        });
        let thread = {
            let shared = Arc::clone(&shared);
            spawn("vkcuda-flush", move || shared.flush_loop())?
        };
        shared.threads.lock().flusher = Some(thread);
        Ok(shared)
    }

    /// Submits held batches whose waits have been submitted meanwhile. No stream is locked by the caller.
    pub(crate) fn settle(&self) {
        while self.held.load(Ordering::Acquire) > 0 && self.progress.swap(false, Ordering::AcqRel) {
            for stream in self.streams.read().iter() {
                // An error is sticky: whoever uses the stream gets it.
                let _ = stream.state.lock().pump(self, stream);
            }
        }
    }

    /// Forgets dropped streams whose work has run.
    pub(crate) fn reap(&self) {
        let mut dead = Vec::new();
        self.streams.write().retain(|stream| {
            let keep = !(stream.closed.load(Ordering::Acquire) && stream.state.lock().is_idle());
            if !keep {
                dead.push(Arc::clone(stream));
            }
            keep
        });
        for stream in &dead {
            stream.retire();
        }
    }

    /// Waits for the work of all streams.
    pub(crate) fn synchronize(&self) -> Result<(), Error> {
        let streams: Vec<_> = self.streams.read().clone();
        let mut points = Vec::with_capacity(streams.len());
        for stream in &streams {
            points.push((Arc::clone(&stream.timeline), stream.finish_recording(self)?));
        }
        self.settle();
        for (timeline, value) in points {
            timeline.wait(value)?;
        }
        for stream in &streams {
            stream.retire();
        }
        self.memory.reclaim();
        self.raw.check()
    }

    fn flush_loop(&self) {
        while self.flusher.sleep(&self.pipeline_cache) {
            loop {
                thread::sleep(STARVING_AGE);
                let mut open = false;
                for stream in self.streams.read().iter() {
                    // A stream that is in use right now is looked at again.
                    let Some(mut state) = stream.state.try_lock() else {
                        open = true;
                        continue;
                    };
                    open |= state.flush_old(self, stream).unwrap_or(false);
                    let garbage = std::mem::take(&mut state.garbage);
                    drop(state);
                    drop(garbage);
                }
                self.settle();
                if !open || self.flusher.stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        }
    }

    /// Hands a host function to the thread. Called with the stream locked.
    pub(crate) fn run_host(&self, job: HostJob) {
        self.host.jobs.lock().push(job);
        let mut threads = self.threads.lock();
        if threads.host.is_none() {
            if let Some(shared) = self.me.upgrade() {
                match spawn("vkcuda-host", move || shared.host_loop()) {
                    Ok(thread) => threads.host = Some(thread),
                    Err(error) => self.raw.mark_lost("pthread_create", result_of(&error)),
                }
            }
        }
        self.host.wake.wake();
    }

    /// Lets everything that is polled count as done: the process ends.
    pub(crate) fn end_polls(&self) {
        self.host.end_polls.store(true, Ordering::Release);
        self.host.wake.wake();
    }

    fn host_loop(&self) {
        let mut polled: Vec<HostJob> = Vec::new();
        loop {
            let seen = self.host.wake.seen();
            let mut ready = Vec::new();
            let mut awaited: Vec<(vk::Semaphore, u64)> = Vec::new();
            {
                let mut jobs = self.host.jobs.lock();
                if self.host.stop.load(Ordering::Acquire) || self.raw.check_lost().is_err() {
                    let unrun = std::mem::take(&mut *jobs);
                    drop(jobs);
                    drop(unrun);
                    polled.clear();
                    if self.host.stop.load(Ordering::Acquire) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                let mut index = 0;
                while index < jobs.len() {
                    let job = &jobs[index];
                    if job.stream.timeline.is_complete(job.value - 1) {
                        ready.push(jobs.remove(index));
                    } else {
                        awaited.push((job.stream.timeline.semaphore, job.value - 1));
                        index += 1;
                    }
                }
            }
            let before = polled.len();
            for job in polled.drain(..).chain(ready).collect::<Vec<_>>() {
                polled.extend(self.run_job(job));
            }
            match polled.len() {
                0 if before == 0 => self.wait_any(seen, &awaited, Duration::from_millis(100)),
                0 => {}
                _ => self.wait_any(seen, &awaited, POLL_PAUSE),
            }
        }
    }

    /// Waits until the thread is woken or one of these values is reached, or shortly after.
    fn wait_any(&self, seen: u64, awaited: &[(vk::Semaphore, u64)], limit: Duration) {
        let Some(wake) = self.host.wake.semaphore() else {
            let limit = match awaited.is_empty() {
                true => limit,
                false => limit.min(CPU_PAUSE),
            };
            return self.host.wake.wait(seen, limit);
        };
        let all = [&[(wake, seen + 1)], awaited].concat();
        let (semaphores, values): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let info = vk::SemaphoreWaitInfo::default()
            .flags(vk::SemaphoreWaitFlags::ANY)
            .semaphores(&semaphores)
            .values(&values);
        // SAFETY: the semaphores belong to the thread's wake and to streams that the jobs keep alive; jobs are removed by
        // this thread only.
        match unsafe { self.raw.vk.wait_semaphores(&info, limit.as_nanos() as u64) } {
            Ok(()) | Err(vk::Result::TIMEOUT) => {}
            Err(result) => drop(self.raw.error("vkWaitSemaphores", result)),
        }
    }

    /// Calls a job's function. Gives it back where it is to be called again.
    fn run_job(&self, mut job: HostJob) -> Option<HostJob> {
        let done = catch_unwind(AssertUnwindSafe(&mut job.function)).unwrap_or_else(|_| {
            tracing::error!("a host function panicked");
            true
        });
        if !done && !self.host.end_polls.load(Ordering::Acquire) {
            return Some(job);
        }
        let HostJob {
            stream,
            value,
            function,
        } = job;
        drop(function);
        if let Err(error) = stream.timeline.signal(value) {
            tracing::error!(%error, "host function");
        }
        {
            let mut state = stream.state.lock();
            state.host_done();
            let _ = state.pump(self, &stream);
        }
        self.progress.store(true, Ordering::Release);
        self.settle();
        None
    }

    /// Ends everything: called when the device is dropped, when no stream has an owner.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        let on_worker = {
            let threads = self.threads.lock();
            let current = thread::current().id();
            let is_current = |handle: &Option<JoinHandle<()>>| {
                handle
                    .as_ref()
                    .is_some_and(|handle| handle.thread().id() == current)
            };
            is_current(&threads.flusher) || is_current(&threads.host)
        };
        if on_worker {
            // The last handle was dropped by a host function: it cannot wait for itself.
            let shared = Arc::clone(self);
            thread::spawn(move || shared.shut_down_here());
        } else {
            self.shut_down_here();
        }
    }

    /// Ends the threads without a Vulkan call of the caller's: what they have not done stays undone. Those that have not ended after half
    /// a second are left alone: old validation layers wait for ever where any of several semaphores would do.
    pub(crate) fn stop_threads(&self) {
        self.tell_threads_to_stop();
        let end = Instant::now() + Duration::from_millis(500);
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in [threads.flusher, threads.host].into_iter().flatten() {
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn tell_threads_to_stop(&self) {
        self.flusher.stop.store(true, Ordering::SeqCst);
        self.flusher.arm();
        self.host.stop.store(true, Ordering::Release);
    }

    fn join_threads(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in [threads.flusher, threads.host].into_iter().flatten() {
            let _ = thread.join();
        }
    }

    fn shut_down_here(&self) {
        let _ = self.synchronize();
        self.tell_threads_to_stop();
        self.host.wake.wake();
        self.join_threads();
        self.raw.wait_idle();
        if let Some(profile) = &self.profile {
            profile.collect();
        }
        let streams = std::mem::take(&mut *self.streams.write());
        for stream in streams {
            stream.state.lock().abandon(self);
        }
        self.pipeline_cache.save();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| {
            tracing::error!(%error, name, "cannot start a thread");
            Error::OutOfMemory { requested: 0 }
        })
}

fn result_of(error: &Error) -> vk::Result {
    match error {
        Error::Vulkan { result, .. } => *result,
        _ => vk::Result::ERROR_OUT_OF_HOST_MEMORY,
    }
}
