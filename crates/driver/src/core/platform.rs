//! The Vulkan instance and the devices that CUDA sees: what `cuInit` makes.

use crate::boundary::Result;
use crate::core::device::Device;
use crate::core::visible;
use crate::settings::settings;
use cuda_abi::{CUdevice, CUresult, CUuuid};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use vulkan::Instance;

/// Everything that `cuInit` finds. Lives as long as the process.
pub struct Platform {
    /// The Vulkan library.
    pub instance: Arc<Instance>,
    /// The visible devices by ordinal; at least one.
    pub devices: Vec<Device>,
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function of the application's in which it may not call CUDA (`cuLaunchHostFunc`, `cuStreamAddCallback`).
pub fn callback(call: impl FnOnce()) {
    let before = IN_CALLBACK.replace(true);
    call();
    IN_CALLBACK.set(before);
}

static PLATFORM: OnceLock<Result<Platform>> = OnceLock::new();
static FORKED: AtomicBool = AtomicBool::new(false);
static EXITING: AtomicBool = AtomicBool::new(false);

/// `cuInit`: loads Vulkan and lists the devices, once. Opens none.
///
/// # Errors
/// `CUDA_ERROR_NO_DEVICE`; `CUDA_ERROR_NOT_INITIALIZED` in a child process forked after it.
pub fn initialize() -> Result<&'static Platform> {
    if FORKED.load(Ordering::Relaxed) {
        tracing::warn!("CUDA was initialised before this process was forked: use the spawn method");
        return Err(CUresult::NOT_INITIALIZED);
    }
    PLATFORM
        .get_or_init(find_devices)
        .as_ref()
        .map_err(|&status| status)
}

/// What [`initialize`] made.
///
/// # Errors
/// `CUDA_ERROR_NOT_INITIALIZED` before `cuInit`, `CUDA_ERROR_DEINITIALIZED` while the process ends,
/// `CUDA_ERROR_NOT_PERMITTED` in a [`callback`], or `cuInit`'s error.
pub fn platform() -> Result<&'static Platform> {
    if IN_CALLBACK.try_with(Cell::get) == Ok(true) {
        return Err(CUresult::NOT_PERMITTED);
    }
    if FORKED.load(Ordering::Relaxed) {
        return Err(CUresult::NOT_INITIALIZED);
    }
    if EXITING.load(Ordering::Relaxed) {
        return Err(CUresult::DEINITIALIZED);
    }
    match PLATFORM.get() {
        Some(platform) => platform.as_ref().map_err(|&status| status),
        None => Err(CUresult::NOT_INITIALIZED),
    }
}

/// The device with an ordinal.
///
/// # Errors
/// `CUDA_ERROR_INVALID_DEVICE`; those of [`platform`].
pub fn device(ordinal: CUdevice) -> Result<&'static Device> {
    let devices = &platform()?.devices;
    usize::try_from(ordinal)
        .ok()
        .and_then(|index| devices.get(index))
        .ok_or(CUresult::INVALID_DEVICE)
}

fn find_devices() -> Result<Platform> {
    // SAFETY: the handlers only store to atomics and close contexts; they stay loaded as long as the process.
    unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    }
    let instance = Instance::load().map_err(|error| {
        tracing::warn!("no CUDA device: {error}");
        CUresult::NO_DEVICE
    })?;
    let physical = instance.physical_devices();
    let uuids: Vec<_> = physical
        .iter()
        .map(|device| CUuuid {
            bytes: device.uuid(),
        })
        .collect();
    let shown = match &settings().visible_devices {
        Some(value) => visible::select(value, &uuids),
        None => (0..physical.len()).collect(),
    };
    if shown.is_empty() {
        for refused in instance.refused() {
            tracing::warn!(
                "{} cannot be used: {}",
                refused.name,
                refused.reasons.join(", ")
            );
        }
        match &settings().visible_devices {
            Some(value) if !physical.is_empty() => {
                tracing::warn!(
                    "no CUDA device: CUDA_VISIBLE_DEVICES={value} hides all {}",
                    physical.len()
                )
            }
            _ => tracing::warn!("no CUDA device: no usable Vulkan device"),
        }
        return Err(CUresult::NO_DEVICE);
    }
    let devices = shown
        .iter()
        .enumerate()
        .map(|(ordinal, &index)| Device::new(ordinal as CUdevice, index, physical[index].clone()))
        .collect();
    Ok(Platform { instance, devices })
}

extern "C" fn forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Makes the process close what is open before the Vulkan driver's own exit handlers run. Handlers run in the opposite order
/// of their registration, and drivers load libraries as they need them, a compiler with the first pipeline: so this is called when
/// a context opens and whenever a pipeline is asked for, and registers again if one was made and libraries were loaded since.
pub fn close_at_exit() {
    static MADE: AtomicU64 = AtomicU64::new(u64::MAX);
    let made = vulkan::pipelines_made();
    if MADE.load(Ordering::Relaxed) == made {
        return;
    }
    MADE.store(made, Ordering::Relaxed);
    static LOADED: AtomicU64 = AtomicU64::new(0);
    let loaded = libraries_loaded();
    if LOADED.swap(loaded, Ordering::Relaxed) == loaded {
        return;
    }
    let validating =
        matches!(PLATFORM.get(), Some(Ok(platform)) if platform.instance.is_validating());
    // What the layer keeps for this thread is gone by then: nothing can be closed.
    let handler = match validating {
        true => stop_threads,
        false => exiting,
    };
    // SAFETY: the handlers stay loaded as long as the process and do not unwind.
    unsafe {
        libc::atexit(handler);
    }
}

/// How many libraries the process has loaded so far, those that it has unloaded included.
fn libraries_loaded() -> u64 {
    unsafe extern "C" fn read(
        info: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        loaded: *mut c_void,
    ) -> c_int {
        // SAFETY: dl_iterate_phdr passes a live structure, and the address below.
        unsafe { *loaded.cast::<u64>() = (*info).dlpi_adds };
        1
    }
    let mut loaded = 0u64;
    // SAFETY: the callback writes a u64 through its last argument, and ends the iteration at once.
    unsafe { libc::dl_iterate_phdr(Some(read), ptr::from_mut(&mut loaded).cast()) };
    loaded
}

/// Ends the threads of devices, which else call a layer that is gone.
extern "C" fn stop_threads() {
    if FORKED.load(Ordering::Relaxed) {
        return;
    }
    // No panic may leave an exit handler.
    let _ = std::panic::catch_unwind(|| {
        if let Some(Ok(platform)) = PLATFORM.get() {
            platform.devices.iter().for_each(Device::stop_threads);
        }
    });
}

extern "C" fn exiting() {
    static CLOSED: AtomicBool = AtomicBool::new(false);
    if FORKED.load(Ordering::Relaxed) || CLOSED.swap(true, Ordering::Relaxed) {
        return;
    }
    // No panic may leave an exit handler.
    let _ = std::panic::catch_unwind(|| {
        crate::core::context::close_all();
        crate::core::virtual_memory::close();
        if let Some(Ok(platform)) = PLATFORM.get() {
            platform.devices.iter().for_each(Device::close);
        }
        EXITING.store(true, Ordering::Relaxed);
    });
}
