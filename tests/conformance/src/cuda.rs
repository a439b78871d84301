//! Kernels through a library with CUDA's driver API.

use crate::bench::Case;
use crate::side::Buffers;
use libloading::Library as Loaded;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr, CString};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// `CUjit_option`s.
const JIT_ERROR_LOG_BUFFER: c_int = 5;
const JIT_ERROR_LOG_BUFFER_SIZE_BYTES: c_int = 6;
/// Bytes of the compiler's messages that are kept.
const LOG: usize = 4096;

type Pointer = *mut c_void;

/// The functions of the driver API that kernels need, by the names of CUDA 12's libraries.
pub(crate) struct Api {
    init: unsafe extern "C" fn(c_uint) -> c_int,
    device_get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int,
    primary_retain: unsafe extern "C" fn(*mut Pointer, c_int) -> c_int,
    set_current: unsafe extern "C" fn(Pointer) -> c_int,
    synchronize: unsafe extern "C" fn() -> c_int,
    load: unsafe extern "C" fn(
        *mut Pointer,
        *const c_void,
        c_uint,
        *mut c_int,
        *mut Pointer,
    ) -> c_int,
    unload: unsafe extern "C" fn(Pointer) -> c_int,
    function: unsafe extern "C" fn(*mut Pointer, Pointer, *const c_char) -> c_int,
    alloc: unsafe extern "C" fn(*mut u64, usize) -> c_int,
    free: unsafe extern "C" fn(u64) -> c_int,
    write: unsafe extern "C" fn(u64, *const c_void, usize) -> c_int,
    read: unsafe extern "C" fn(*mut c_void, u64, usize) -> c_int,
    #[rustfmt::skip]
    launch: unsafe extern "C" fn(Pointer, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Pointer, *mut Pointer, *mut Pointer) -> c_int,
    error_name: unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int,
    native: bool,
    context: usize,
    library: Loaded,
}

/// A library with the primary context of its first device, current in the thread that opened it.
pub(crate) struct Library {
    api: Arc<Api>,
}

/// An allocation.
struct Block {
    api: Arc<Api>,
    address: u64,
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the address came from the same library, and no kernel runs. A lost context keeps its memory: nothing to do.
        let _ = unsafe { (self.api.free)(self.address) };
    }
}

impl Library {
    /// Loads the library, once in a process.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        static API: OnceLock<Result<Arc<Api>, String>> = OnceLock::new();
        let api = API.get_or_init(|| Api::load(path).map(Arc::new)).clone()?;
        // SAFETY: the context is retained for the life of the process.
        let result = unsafe { (api.set_current)(api.context as Pointer) };
        api.check(result, "cuCtxSetCurrent")?;
        Ok(Self { api })
    }

    /// Whether it is NVIDIA's own.
    pub(crate) fn is_native(&self) -> bool {
        self.api.native
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    fn allocate(&self, bytes: usize) -> Result<Block, String> {
        let mut address = 0;
        // SAFETY: the pointer is to a local.
        let result = unsafe { (self.api.alloc)(&mut address, bytes.max(16)) };
        self.api.check(result, "cuMemAlloc")?;
        Ok(Block {
            api: self.api.clone(),
            address,
        })
    }

    pub(crate) fn buffers(&self, input: usize, output: usize) -> Result<Buffers, String> {
        let (input, output) = (self.allocate(input)?, self.allocate(output)?);
        Ok(Buffers {
            input: input.address,
            output: output.address,
            _keep: Box::new((input, output)),
        })
    }

    pub(crate) fn run(
        &self,
        case: &Case,
        buffers: &Buffers,
        input: &[u8],
    ) -> Result<Vec<u8>, String> {
        let api = &*self.api;
        let text = CString::new(case.text.as_str()).map_err(|e| e.to_string())?;
        let mut log = vec![0u8; LOG];
        let mut options = [JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values = [log.as_mut_ptr().cast(), LOG as Pointer];
        let mut module = std::ptr::null_mut();
        // SAFETY: the text ends with 0; two options with their values, the log of the given size.
        let result = unsafe {
            (api.load)(
                &mut module,
                text.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        api.check(result, "cuModuleLoadDataEx").map_err(|error| {
            let end = log.iter().position(|&b| b == 0).unwrap_or(LOG);
            format!("{error}: {}", String::from_utf8_lossy(&log[..end]).trim())
        })?;
        let run = || -> Result<Vec<u8>, String> {
            for reference in &case.references {
                crate::textures::bind(api, module, reference, input)?;
            }
            let mut function = std::ptr::null_mut();
            // SAFETY: the module is loaded; the name ends with 0.
            let result = unsafe { (api.function)(&mut function, module, c"k".as_ptr()) };
            api.check(result, "cuModuleGetFunction")?;
            for (address, bytes) in [(buffers.input, input), (buffers.output, &case.output)] {
                // SAFETY: the allocations have room for this many bytes (`buffers`).
                let result = unsafe { (api.write)(address, bytes.as_ptr().cast(), bytes.len()) };
                if !bytes.is_empty() {
                    api.check(result, "cuMemcpyHtoD")?;
                }
            }
            let mut pointers = [buffers.input, buffers.output];
            let [first, second] = &mut pointers;
            let mut parameters: [Pointer; 2] = [
                std::ptr::from_mut(first).cast(),
                std::ptr::from_mut(second).cast(),
            ];
            let ([gx, gy, gz], [bx, by, bz]) = (case.grid, case.block);
            let null = std::ptr::null_mut();
            // SAFETY: two parameters of 8 bytes, as every case's kernel has.
            let result = unsafe {
                (api.launch)(
                    function,
                    gx,
                    gy,
                    gz,
                    bx,
                    by,
                    bz,
                    case.dynamic_shared,
                    null,
                    parameters.as_mut_ptr(),
                    std::ptr::null_mut(),
                )
            };
            api.check(result, "cuLaunchKernel")?;
            // SAFETY: no arguments.
            let result = unsafe { (api.synchronize)() };
            api.check(result, "cuCtxSynchronize")?;
            let mut got = vec![0; case.output.len()];
            // SAFETY: both sides have room for this many bytes.
            let result = unsafe { (api.read)(got.as_mut_ptr().cast(), buffers.output, got.len()) };
            api.check(result, "cuMemcpyDtoH")?;
            Ok(got)
        };
        let got = run();
        // SAFETY: the module is loaded and no kernel of it runs. What a lost context answers does not matter.
        let _ = unsafe { (api.unload)(module) };
        got
    }
}

impl Api {
    fn load(path: &Path) -> Result<Self, String> {
        // SAFETY: the library's initialisers are trusted, as by every CUDA program.
        let library = unsafe { Loaded::new(path) }.map_err(|e| e.to_string())?;
        /// # Safety
        /// `F` is the function's type.
        unsafe fn symbol<F: Copy>(library: &Loaded, name: &str) -> Result<F, String> {
            // SAFETY: the caller's promise.
            let symbol = unsafe { library.get::<F>(name.as_bytes()) };
            symbol.map(|s| *s).map_err(|e| e.to_string())
        }
        // SAFETY: the types are those of cuda.h.
        let mut api = unsafe {
            Self {
                init: symbol(&library, "cuInit")?,
                device_get: symbol(&library, "cuDeviceGet")?,
                primary_retain: symbol(&library, "cuDevicePrimaryCtxRetain")?,
                set_current: symbol(&library, "cuCtxSetCurrent")?,
                synchronize: symbol(&library, "cuCtxSynchronize")?,
                load: symbol(&library, "cuModuleLoadDataEx")?,
                unload: symbol(&library, "cuModuleUnload")?,
                function: symbol(&library, "cuModuleGetFunction")?,
                alloc: symbol(&library, "cuMemAlloc_v2")?,
                free: symbol(&library, "cuMemFree_v2")?,
                write: symbol(&library, "cuMemcpyHtoD_v2")?,
                read: symbol(&library, "cuMemcpyDtoH_v2")?,
                launch: symbol(&library, "cuLaunchKernel")?,
                error_name: symbol(&library, "cuGetErrorName")?,
                // The debugger's interface is in NVIDIA's library alone.
                native: library.get::<Pointer>(b"cudbgApiInit").is_ok(),
                context: 0,
                library,
            }
        };
        let (mut device, mut context) = (0, std::ptr::null_mut());
        // SAFETY: pointers to locals.
        unsafe {
            api.check((api.init)(0), "cuInit")?;
            api.check((api.device_get)(&mut device, 0), "cuDeviceGet")?;
            api.check(
                (api.primary_retain)(&mut context, device),
                "cuDevicePrimaryCtxRetain",
            )?;
        }
        api.context = context as usize;
        Ok(api)
    }

    /// Another function.
    ///
    /// # Safety
    /// `F` is the function's type.
    pub(crate) unsafe fn symbol<F: Copy>(&self, name: &str) -> Result<F, String> {
        // SAFETY: the caller's promise.
        let symbol = unsafe { self.library.get::<F>(name.as_bytes()) };
        symbol.map(|s| *s).map_err(|e| e.to_string())
    }

    pub(crate) fn check(&self, result: c_int, call: &str) -> Result<(), String> {
        if result == 0 {
            return Ok(());
        }
        let mut name = std::ptr::null();
        // SAFETY: a pointer to a local; the name is a string of the library's own.
        let name = unsafe {
            match (self.error_name)(result, &mut name) {
                0 if !name.is_null() => CStr::from_ptr(name).to_string_lossy().into_owned(),
                _ => String::new(),
            }
        };
        Err(format!("{call}: {result} {name}"))
    }
}
