//! Contexts: what belongs to a program on a device.
//!
//! A primary context exists as soon as its device does (NVIDIA's runtime takes its handle and makes it current before it
//! retains it), but opens the Vulkan device only when it is first retained. What an open context owns is its [`State`].

use crate::boundary::Result;
use crate::core::array;
use crate::core::device::Device;
use crate::core::event;
use crate::core::graph_exec;
use crate::core::library;
use crate::core::local_storage::LocalStorage;
use crate::core::memory::Memory;
use crate::core::module;
use crate::core::platform;
use crate::core::reference;
use crate::core::registry::Registry;
use crate::core::stream::{self, Stream, StreamGroup};
use crate::core::texture;
use cuda_abi::*;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::ThreadId;

/// Every context by handle.
pub static CONTEXTS: Registry<Context> = Registry::new();

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A context, open or not.
pub struct Context {
    /// `cuCtxGetId`.
    pub id: u64,
    /// Its device.
    pub device: &'static Device,
    /// Whether it is the device's primary context.
    pub is_primary: bool,
    /// What the runtime keeps here.
    pub storage: LocalStorage,
    /// `CU_CTX_` flags.
    pub flags: AtomicU32,
    /// `cuCtxSetCacheConfig`.
    pub cache_config: AtomicU32,
    /// `cuCtxSetSharedMemConfig`.
    pub shared_config: AtomicU32,
    /// How often it was attached to (`cuCtxAttach`) beside its creation.
    attached: AtomicU32,
    limits: Mutex<FxHashMap<CUlimit, usize>>,
    retained: Mutex<u32>,
    state: RwLock<Option<Arc<State>>>,
}

/// What an open context owns.
pub struct State {
    /// `Context::id`.
    pub context_id: u64,
    /// The context's handle.
    pub context: CUcontext,
    /// The device.
    pub device: &'static Device,
    /// The open Vulkan device.
    pub vulkan: Arc<vulkan::Device>,
    /// How the streams are ordered among themselves.
    pub streams: Arc<StreamGroup>,
    /// The legacy default stream.
    pub legacy: Arc<Stream>,
    /// Default streams of threads.
    pub per_thread: RwLock<FxHashMap<ThreadId, Arc<Stream>>>,
    /// Allocations.
    pub memory: Memory,
}

impl Context {
    fn new(device: &'static Device, is_primary: bool, flags: u32) -> Arc<Self> {
        let context = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            device,
            is_primary,
            storage: LocalStorage::default(),
            flags: AtomicU32::new(flags),
            cache_config: AtomicU32::new(0),
            shared_config: AtomicU32::new(CUsharedconfig::FOUR_BYTE_BANK_SIZE.0),
            attached: AtomicU32::new(0),
            limits: Mutex::new(FxHashMap::default()),
            retained: Mutex::new(0),
            state: RwLock::new(None),
        });
        CONTEXTS.insert(context.clone());
        context
    }

    /// A device's primary context, not open.
    pub fn primary(device: &'static Device) -> Arc<Self> {
        Self::new(device, true, 0)
    }

    /// `cuCtxCreate`: a context of its own, open.
    ///
    /// # Errors
    /// What opening the device gives.
    pub fn create(device: &'static Device, flags: u32) -> Result<Arc<Self>> {
        let context = Self::new(device, false, flags);
        context.open().inspect_err(|_| {
            let _ = CONTEXTS.remove(Registry::handle(&context));
        })?;
        Ok(context)
    }

    /// The context of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_CONTEXT`.
    pub fn from_handle(handle: CUcontext) -> Result<Arc<Self>> {
        CONTEXTS
            .get(handle.0)
            .map_err(|_| CUresult::INVALID_CONTEXT)
    }

    /// Its handle.
    pub fn handle(self: &Arc<Self>) -> CUcontext {
        CUcontext(Registry::handle(self))
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.state.read().is_some()
    }

    /// What it owns.
    ///
    /// # Errors
    /// `CUDA_ERROR_CONTEXT_IS_DESTROYED` unless it is open.
    pub fn state(&self) -> Result<Arc<State>> {
        self.state
            .read()
            .clone()
            .ok_or(CUresult::CONTEXT_IS_DESTROYED)
    }

    fn open(self: &Arc<Self>) -> Result {
        let mut state = self.state.write();
        if state.is_none() {
            let open = self.device.open()?;
            platform::close_at_exit();
            let streams = StreamGroup::new(self.id, self.handle(), self.device, open)?;
            let vulkan = streams.vulkan.clone();
            *state = Some(Arc::new(State {
                context_id: self.id,
                context: self.handle(),
                device: self.device,
                legacy: Stream::legacy(&streams),
                streams,
                per_thread: RwLock::default(),
                memory: Memory::new(vulkan.clone()),
                vulkan,
            }));
        }
        Ok(())
    }

    /// `cuDevicePrimaryCtxRetain`.
    ///
    /// # Errors
    /// What opening the device gives.
    pub fn retain(self: &Arc<Self>) -> Result {
        let mut retained = self.retained.lock();
        self.open()?;
        *retained += 1;
        Ok(())
    }

    /// `cuDevicePrimaryCtxRelease`: closes it when nobody retains it any more.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_CONTEXT` where nobody does.
    pub fn release(self: &Arc<Self>) -> Result {
        let mut retained = self.retained.lock();
        *retained = retained.checked_sub(1).ok_or(CUresult::INVALID_CONTEXT)?;
        if *retained == 0 {
            self.storage.clear(self.handle());
            self.close();
            self.flags.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// `cuDevicePrimaryCtxReset`: closes it, whoever retains it. Retaining opens it anew.
    pub fn reset(self: &Arc<Self>) {
        let mut retained = self.retained.lock();
        self.storage.clear(self.handle());
        self.close();
        self.flags.store(0, Ordering::Relaxed);
        *retained = 0;
    }

    /// `cuCtxAttach`.
    pub fn attach(&self) {
        self.attached.fetch_add(1, Ordering::Relaxed);
    }

    /// `cuCtxDetach`: whether nobody is attached any more, so that it has to go.
    pub fn detach(&self) -> bool {
        let less = |count: u32| count.checked_sub(1);
        self.attached
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_err()
    }

    /// `cuCtxDestroy`.
    pub fn destroy(self: &Arc<Self>) {
        self.storage.clear(self.handle());
        self.close();
        let _ = CONTEXTS.remove(Registry::handle(self));
    }

    /// Drops what it owns, once the device is done with it.
    fn close(&self) {
        let Some(state) = self.state.write().take() else {
            return;
        };
        if let Err(status) = state.synchronize() {
            tracing::debug!("closing a context: {status}");
        }
        stream::end_of_context(self.id);
        event::end_of_context(self.id);
        graph_exec::end_of_context(self.id);
        library::end_of_context(self.id);
        module::end_of_context(self.id);
        reference::end_of_context(self.id);
        texture::end_of_context(self.id);
        array::end_of_context(self.id);
        let shared = open_states()
            .iter()
            .any(|other| Arc::ptr_eq(&other.vulkan, &state.vulkan));
        if !shared {
            // The device stays open: what uses it next starts without its faults.
            state.streams.open.heap.forget(&state.vulkan);
            state.vulkan.clear_fault();
        }
        state.per_thread.write().clear();
    }

    /// `cuCtxSetLimit`.
    ///
    /// # Errors
    /// `CUDA_ERROR_UNSUPPORTED_LIMIT`; `CUDA_ERROR_INVALID_VALUE` for a stack or a granularity that is too large, and for the
    /// size of a heap that is in use.
    pub fn set_limit(&self, limit: CUlimit, value: usize) -> Result {
        // What compute capability 9.0 has: stacks in steps of 16 bytes, buffers and heaps of some size at least.
        const STEP: usize = 16;
        const MOST_STACK: usize = (512 << 10) - 1024;
        self.limit(limit)?;
        // Too late once a kernel has allocated from the heap.
        if limit == CUlimit::MALLOC_HEAP_SIZE && self.state()?.streams.open.heap.is_there() {
            return Err(CUresult::INVALID_VALUE);
        }
        let kept = match limit {
            CUlimit::STACK_SIZE if value > MOST_STACK => return Err(CUresult::INVALID_VALUE),
            CUlimit::STACK_SIZE => value.max(1).next_multiple_of(STEP),
            CUlimit::PRINTF_FIFO_SIZE => value.clamp(512 << 10, 2 << 30),
            CUlimit::MALLOC_HEAP_SIZE => value.max(4 << 20),
            CUlimit::MAX_L2_FETCH_GRANULARITY if value > 128 => {
                return Err(CUresult::INVALID_VALUE)
            }
            _ => value,
        };
        self.limits.lock().insert(limit, kept);
        Ok(())
    }

    /// `cuCtxGetLimit`. Stacks and the like are as large as a kernel needs: but for that of the heap, the values are kept for
    /// those who ask.
    ///
    /// # Errors
    /// `CUDA_ERROR_UNSUPPORTED_LIMIT`, `CUDA_ERROR_INVALID_VALUE` for what CUDA 13.0 has no limit of.
    pub fn limit(&self, limit: CUlimit) -> Result<usize> {
        const FIRST_UNKNOWN: u32 = CUlimit::PER_BLOCK_MEMORY_SIZE.0;
        let initial = match limit {
            CUlimit::STACK_SIZE => 1024,
            CUlimit::PRINTF_FIFO_SIZE => 1 << 20,
            CUlimit::MALLOC_HEAP_SIZE => 8 << 20,
            CUlimit::MAX_L2_FETCH_GRANULARITY => 64,
            CUlimit::PERSISTING_L2_CACHE_SIZE => 0,
            other if other.0 >= FIRST_UNKNOWN => return Err(CUresult::INVALID_VALUE),
            _ => return Err(CUresult::UNSUPPORTED_LIMIT),
        };
        Ok(self.limits.lock().get(&limit).copied().unwrap_or(initial))
    }
}

impl State {
    /// Waits for all work and prints what kernels wrote (`cuCtxSynchronize`).
    ///
    /// # Errors
    /// The sticky error.
    pub fn synchronize(&self) -> Result {
        self.streams.told(self.vulkan.synchronize())?;
        self.streams.print()
    }
}

/// The states of all open contexts.
pub fn open_states() -> Vec<Arc<State>> {
    CONTEXTS
        .all()
        .iter()
        .filter_map(|context| context.state().ok())
        .collect()
}

/// Closes every context without telling the runtime, which may be half gone when the process ends.
pub fn close_all() {
    for state in open_states() {
        state.vulkan.end_polls();
    }
    for context in CONTEXTS.all() {
        context.close();
    }
}
