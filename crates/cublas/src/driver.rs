//! The CUDA driver API, loaded from `libcuda.so.1` at first use.
//!
//! The library is a client like any other, so it runs on every implementation of the driver API. When the process has a
//! library of that SONAME already, that one is used.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use cuda_abi::{CUcontext, CUdevice, CUdeviceptr, CUfunction, CUmodule, CUresult, CUstream};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::types::Status;

macro_rules! driver {
    ($($(#[$meta:meta])* $field:ident = $symbol:literal: fn($($arg:ty),*);)*) => {
        /// The functions of the driver API that this library calls. Fields are named after them.
        #[allow(missing_docs)]
        pub struct Driver {
            $($(#[$meta])* pub $field: unsafe extern "C" fn($($arg),*) -> CUresult,)*
            /// `cuCtxGetId`, which drivers before CUDA 12 lack.
            pub context_id: Option<unsafe extern "C" fn(CUcontext, *mut u64) -> CUresult>,
            /// The library that the functions are in, where it was loaded here.
            pub library: Option<Library>,
        }

        impl Driver {
            fn load() -> Result<Self, String> {
                // SAFETY: loading the driver runs its initialisers, which any program that uses CUDA has to accept.
                let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW | RTLD_LOCAL) }
                    .map_err(|error| format!("libcuda.so.1 cannot be loaded: {error}"))?;
                // SAFETY: the types are those of cuda.h for these symbols.
                unsafe {
                    Ok(Self {
                        $($field: *library.get(concat!($symbol, "\0").as_bytes())
                            .map_err(|error| format!("libcuda.so.1 lacks {}: {error}", $symbol))?,)*
                        context_id: library.get(b"cuCtxGetId\0").ok().map(|symbol| *symbol),
                        library: Some(library),
                    })
                }
            }
        }
    };
}

driver! {
    init = "cuInit": fn(u32);
    device_get = "cuDeviceGet": fn(*mut CUdevice, i32);
    device_get_name = "cuDeviceGetName": fn(*mut c_char, i32, CUdevice);
    device_get_attribute = "cuDeviceGetAttribute": fn(*mut i32, i32, CUdevice);
    device_primary_ctx_retain = "cuDevicePrimaryCtxRetain": fn(*mut CUcontext, CUdevice);
    ctx_get_current = "cuCtxGetCurrent": fn(*mut CUcontext);
    ctx_set_current = "cuCtxSetCurrent": fn(CUcontext);
    ctx_push_current = "cuCtxPushCurrent_v2": fn(CUcontext);
    ctx_pop_current = "cuCtxPopCurrent_v2": fn(*mut CUcontext);
    ctx_get_device = "cuCtxGetDevice": fn(*mut CUdevice);
    ctx_synchronize = "cuCtxSynchronize": fn();
    module_load_data = "cuModuleLoadData": fn(*mut CUmodule, *const c_void);
    module_get_function = "cuModuleGetFunction": fn(*mut CUfunction, CUmodule, *const c_char);
    func_set_attribute = "cuFuncSetAttribute": fn(CUfunction, i32, i32);
    launch_kernel = "cuLaunchKernel":
        fn(CUfunction, u32, u32, u32, u32, u32, u32, u32, CUstream, *mut *mut c_void, *mut *mut c_void);
    mem_alloc = "cuMemAlloc_v2": fn(*mut CUdeviceptr, usize);
    mem_free = "cuMemFree_v2": fn(CUdeviceptr);
    memcpy_htod = "cuMemcpyHtoD_v2": fn(CUdeviceptr, *const c_void, usize);
    memcpy_dtoh = "cuMemcpyDtoH_v2": fn(*mut c_void, CUdeviceptr, usize);
    memcpy_dtoh_async = "cuMemcpyDtoHAsync_v2": fn(*mut c_void, CUdeviceptr, usize, CUstream);
    memcpy_2d = "cuMemcpy2DUnaligned_v2": fn(*const cuda_abi::CUDA_MEMCPY2D);
    memcpy_2d_async = "cuMemcpy2DAsync_v2": fn(*const cuda_abi::CUDA_MEMCPY2D, CUstream);
    stream_synchronize = "cuStreamSynchronize": fn(CUstream);
    thread_exchange_stream_capture_mode = "cuThreadExchangeStreamCaptureMode": fn(*mut i32);
}

static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();

/// The driver, loaded once; the reason is logged when it cannot be.
pub fn driver() -> Result<&'static Driver, Status> {
    DRIVER.get_or_init(Driver::load).as_ref().map_err(|reason| {
        tracing::error!("{reason}");
        Status::NotInitialized
    })
}

/// Uses `driver` instead of loading one: for a program that has the driver API's functions already.
///
/// Gives `false` when the library has a driver, which stays.
pub fn install(driver: Driver) -> bool {
    DRIVER.set(Ok(driver)).is_ok()
}

impl Driver {
    /// A number that names `context` even after it is destroyed and its handle reused (`cuCtxGetId`); the handle
    /// itself with drivers older than 12.0.
    pub fn context_id(&self, context: CUcontext) -> u64 {
        let mut id = 0;
        match self.context_id {
            // SAFETY: the context is live and `id` is writable.
            Some(get) if unsafe { get(context, &mut id) } == CUresult::SUCCESS => id,
            _ => context.0 as u64,
        }
    }
}

/// Maps a driver status to the cuBLAS status for a failure of `what`, and logs it.
pub fn check(result: CUresult, what: &str, status: Status) -> Result<(), Status> {
    if result == CUresult::SUCCESS {
        return Ok(());
    }
    tracing::error!(
        "{what} failed: {}",
        result.name().unwrap_or("unknown CUDA error")
    );
    Err(match result {
        CUresult::OUT_OF_MEMORY => Status::AllocFailed,
        _ => status,
    })
}
