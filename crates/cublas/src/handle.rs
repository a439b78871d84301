//! `cublasHandle_t`: the context, the stream and the modes that calls run with, and the launching of kernels.
//!
//! A handle belongs to the context that was current when it was made. Kernels are loaded into that context at their
//! first use and stay there after the handle is destroyed, since a graph captured through it may still launch them.

use std::collections::HashMap;
use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr;

use cuda_abi::{
    CUcontext, CUdevice_attribute, CUdeviceptr, CUfunction, CUmodule, CUresult, CUstream,
};
use parking_lot::Mutex;

use crate::driver::{check, driver, Driver};
use crate::kernels::Kernel;
use crate::ptx::{module_for, Arithmetic, Element};
use crate::types::{AtomicsMode, PointerMode, Status};

/// The kind of device a handle runs on, which decides between kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClass {
    /// A CPU behind the driver API: barriers and shared memory are expensive.
    Cpu,
    /// A GPU.
    Gpu,
}

/// What `cublasHandle_t` points to.
pub struct Handle {
    magic: u64,
    driver: &'static Driver,
    context: CUcontext,
    context_id: u64,
    /// The kind of device.
    pub class: DeviceClass,
    /// Multiprocessors of the device.
    pub multiprocessors: u32,
    /// The device's compute capability, times ten.
    pub compute_capability: u32,
    /// What the `cublasSet...` functions change.
    pub state: Mutex<State>,
}

/// The settings of a handle.
#[derive(Debug)]
pub struct State {
    /// Where kernels are launched (`cublasSetStream`).
    pub stream: CUstream,
    /// Where scalars live (`cublasSetPointerMode`).
    pub pointer_mode: PointerMode,
    /// `cublasMath_t`, kept for `cublasGetMathMode`: single precision is never reduced here.
    pub math_mode: i32,
    /// What is kept about emulated arithmetic.
    pub emulation: Emulation,
    /// `cublasSetEnvironmentMode`, kept for its getter.
    pub environment_mode: i32,
    /// Whether atomics are allowed.
    pub atomics_mode: AtomicsMode,
    /// `cublasSetSmCountTarget`; 0 is the default.
    pub multiprocessor_target: i32,
    /// The caller's workspace (`cublasSetWorkspace`): address and bytes.
    pub workspace: (CUdeviceptr, usize),
    /// This library's own device memory for partial results, allocated at first use.
    scratch: CUdeviceptr,
}

/// What the functions of emulated arithmetic keep for their getters (cuBLAS documentation, "Floating Point Emulation").
/// No product is emulated here, so that no result depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Emulation {
    /// `cublasEmulationStrategy_t`
    pub strategy: i32,
    /// `cudaEmulationSpecialValuesSupport`, a mask.
    pub special_values: i32,
    /// `cudaEmulationMantissaControl`
    pub mantissa_control: i32,
    /// Most bits of a mantissa; 0 is the library's choice.
    pub max_mantissa_bits: i32,
    /// Bits that are added to a number of bits chosen at run time.
    pub mantissa_bit_offset: i32,
    /// Where the number of bits that was used is written on the device; null for nowhere.
    pub mantissa_bits_pointer: CUdeviceptr,
}

impl Default for Emulation {
    fn default() -> Self {
        Self {
            strategy: 0,
            special_values: 0xFFFF,
            mantissa_control: 0,
            max_mantissa_bits: 0,
            mantissa_bit_offset: 0,
            mantissa_bits_pointer: 0,
        }
    }
}

/// Bytes of [`Handle::scratch`].
pub const SCRATCH_BYTES: usize = 64 << 10;

const MAGIC: u64 = 0x7662_6c61_7348_616e;

type Functions = HashMap<(u64, Kernel), CUfunction>;

/// Kernels loaded so far, by context.
static FUNCTIONS: Mutex<Option<Functions>> = Mutex::new(None);

impl Handle {
    /// A handle for the current context, or for the primary context of device 0, which is made current, when there
    /// is none.
    ///
    /// # Errors
    /// `NOT_INITIALIZED` without a driver or device, `ALLOC_FAILED` when the context has no memory.
    pub fn create() -> Result<Box<Self>, Status> {
        let driver = driver()?;
        let mut context = CUcontext::NULL;
        let mut device = 0;
        // SAFETY: all pointers are to live locals of the types that the functions take.
        unsafe {
            check((driver.init)(0), "cuInit", Status::NotInitialized)?;
            check(
                (driver.ctx_get_current)(&mut context),
                "cuCtxGetCurrent",
                Status::NotInitialized,
            )?;
            if context.is_null() {
                check(
                    (driver.device_get)(&mut device, 0),
                    "cuDeviceGet",
                    Status::NotInitialized,
                )?;
                let result = (driver.device_primary_ctx_retain)(&mut context, device);
                check(result, "cuDevicePrimaryCtxRetain", Status::NotInitialized)?;
                check(
                    (driver.ctx_set_current)(context),
                    "cuCtxSetCurrent",
                    Status::NotInitialized,
                )?;
            }
            check(
                (driver.ctx_get_device)(&mut device),
                "cuCtxGetDevice",
                Status::NotInitialized,
            )?;
        }
        let attribute = |attribute: CUdevice_attribute| {
            let mut value = 0;
            // SAFETY: the pointer is to a live local.
            let result =
                unsafe { (driver.device_get_attribute)(&mut value, attribute.0 as i32, device) };
            check(result, "cuDeviceGetAttribute", Status::NotInitialized)?;
            Ok(value.max(0) as u32)
        };
        let multiprocessors = attribute(CUdevice_attribute::MULTIPROCESSOR_COUNT)?;
        let compute_capability = 10 * attribute(CUdevice_attribute::COMPUTE_CAPABILITY_MAJOR)?
            + attribute(CUdevice_attribute::COMPUTE_CAPABILITY_MINOR)?;
        let class = class_of(&device_name(driver, device)?);
        tracing::debug!(?class, multiprocessors, "cuBLAS handle created");
        Ok(Box::new(Self {
            magic: MAGIC,
            driver,
            context,
            context_id: driver.context_id(context),
            class,
            multiprocessors: multiprocessors.max(1),
            compute_capability,
            state: Mutex::new(State {
                stream: CUstream::NULL,
                pointer_mode: PointerMode::Host,
                math_mode: 0,
                emulation: Emulation::default(),
                environment_mode: 0,
                atomics_mode: AtomicsMode::NotAllowed,
                multiprocessor_target: 0,
                workspace: (0, 0),
                scratch: 0,
            }),
        }))
    }

    /// The handle behind a pointer that came through the C boundary.
    ///
    /// # Errors
    /// `NOT_INITIALIZED` for null and for memory that holds no handle.
    ///
    /// # Safety
    /// `handle` is null or points to readable memory; the handle is not destroyed while the reference lives.
    pub unsafe fn from_raw<'a>(handle: *const Handle) -> Result<&'a Self, Status> {
        if handle.is_null() || !handle.is_aligned() {
            return Err(Status::NotInitialized);
        }
        // SAFETY: the caller promises readable memory; the magic number is read before a reference is made.
        unsafe {
            if ptr::read(&raw const (*handle).magic) != MAGIC {
                return Err(Status::NotInitialized);
            }
            Ok(&*handle)
        }
    }

    /// The same handle for one call on another stream, with scalars in host memory or known as addresses.
    pub fn on_stream(&self, stream: CUstream) -> Self {
        let state = self.state.lock();
        Self {
            state: Mutex::new(State {
                stream,
                scratch: 0,
                ..*state
            }),
            ..*self
        }
    }

    /// Waits for the work of the handle's stream and frees what the handle owns.
    pub fn destroy(mut self) -> Result<(), Status> {
        self.magic = 0;
        let state = self.state.get_mut();
        if state.scratch == 0 {
            return Ok(());
        }
        let scratch = std::mem::take(&mut state.scratch);
        self.in_context(|driver| {
            // SAFETY: the scratch was allocated by this handle in this context; cuMemFree waits for kernels using it.
            check(
                unsafe { (driver.mem_free)(scratch) },
                "cuMemFree",
                Status::ExecutionFailed,
            )
        })
    }

    /// Runs `body` with the handle's context current.
    pub fn in_context<T>(
        &self,
        body: impl FnOnce(&Driver) -> Result<T, Status>,
    ) -> Result<T, Status> {
        // SAFETY: the context is live as long as the handle may be used.
        let result = unsafe { (self.driver.ctx_push_current)(self.context) };
        check(result, "cuCtxPushCurrent", Status::NotInitialized)?;
        let result = body(self.driver);
        let mut popped = CUcontext::NULL;
        // SAFETY: `popped` is writable; the push above succeeded.
        let pop = unsafe { (self.driver.ctx_pop_current)(&mut popped) };
        check(pop, "cuCtxPopCurrent", Status::InternalError)?;
        result
    }

    /// Device memory of [`SCRATCH_BYTES`] for partial results of calls on the handle's stream.
    ///
    /// # Errors
    /// `ALLOC_FAILED` when the device has no memory or the stream is being captured at the first use.
    pub fn scratch(&self) -> Result<CUdeviceptr, Status> {
        let mut state = self.state.lock();
        if state.scratch == 0 {
            let mut address = 0;
            self.in_context(|driver| {
                // SAFETY: `address` is writable.
                let result = unsafe { (driver.mem_alloc)(&mut address, SCRATCH_BYTES) };
                check(result, "cuMemAlloc", Status::AllocFailed)
            })?;
            state.scratch = address;
        }
        Ok(state.scratch)
    }

    /// Copies `bytes.len()` bytes from device memory when the handle's stream has reached this point.
    pub fn read_back(&self, address: CUdeviceptr, bytes: &mut [u8]) -> Result<(), Status> {
        let stream = self.state.lock().stream;
        self.in_context(|driver| {
            let destination = bytes.as_mut_ptr().cast::<c_void>();
            // SAFETY: `bytes` outlives the copy, since the stream is waited for.
            let result =
                unsafe { (driver.memcpy_dtoh_async)(destination, address, bytes.len(), stream) };
            check(result, "cuMemcpyDtoHAsync", Status::MappingError)?;
            // SAFETY: the stream is the caller's and live.
            check(
                unsafe { (driver.stream_synchronize)(stream) },
                "cuStreamSynchronize",
                Status::ExecutionFailed,
            )
        })
    }

    fn function(&self, kernel: &Kernel) -> Result<CUfunction, Status> {
        let mut functions = FUNCTIONS.lock();
        let functions = functions.get_or_insert_default();
        let key = (self.context_id, kernel.clone());
        if let Some(&function) = functions.get(&key) {
            return Ok(function);
        }
        let function = self.in_context(|driver| load(driver, kernel, self.compute_capability))?;
        functions.insert(key, function);
        Ok(function)
    }

    /// Launches `kernel` on the handle's stream.
    ///
    /// # Errors
    /// `EXECUTION_FAILED` when the driver refuses the kernel or the launch; its reason is logged.
    pub fn launch(
        &self,
        kernel: &Kernel,
        grid: [u32; 3],
        threads: u32,
        args: &mut Arguments,
    ) -> Result<(), Status> {
        if grid.contains(&0) {
            return Ok(());
        }
        let function = self.function(kernel)?;
        let stream = self.state.lock().stream;
        let mut pointers: Vec<*mut c_void> = args
            .words
            .iter_mut()
            .map(|word| ptr::from_mut(word).cast())
            .collect();
        tracing::trace!(kernel = kernel.name(), ?grid, threads, ?stream, "launch");
        // SAFETY: the kernel's parameters are as many as `pointers`, none larger than a word, and the driver copies
        // them before it returns.
        let result = unsafe {
            (self.driver.launch_kernel)(
                function,
                grid[0],
                grid[1],
                grid[2],
                threads,
                1,
                1,
                kernel.dynamic_shared(),
                stream,
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        check(result, "cuLaunchKernel", Status::ExecutionFailed)
    }
}

fn device_name(driver: &Driver, device: i32) -> Result<String, Status> {
    let mut name = [0 as c_char; 256];
    // SAFETY: the buffer has the length that is passed.
    let result = unsafe { (driver.device_get_name)(name.as_mut_ptr(), name.len() as i32, device) };
    check(result, "cuDeviceGetName", Status::NotInitialized)?;
    // SAFETY: the driver ends the name with a zero within the buffer.
    Ok(unsafe { CStr::from_ptr(name.as_ptr()) }
        .to_string_lossy()
        .into_owned())
}

/// Tells CPU devices by their name, since the driver API has no attribute for it.
fn class_of(name: &str) -> DeviceClass {
    match std::env::var("VKCUDA_CUBLAS_DEVICE").as_deref() {
        Ok("cpu") => return DeviceClass::Cpu,
        Ok("gpu") => return DeviceClass::Gpu,
        Ok(other) => tracing::warn!("VKCUDA_CUBLAS_DEVICE is neither cpu nor gpu: {other}"),
        Err(_) => {}
    }
    let name = name.to_ascii_lowercase();
    if name.contains("llvmpipe") || name.contains("swiftshader") {
        DeviceClass::Cpu
    } else {
        DeviceClass::Gpu
    }
}

/// Loads a kernel into the current context. Loading is allowed while a stream is captured, so the calling thread's
/// capture mode is relaxed meanwhile.
fn load(driver: &Driver, kernel: &Kernel, compute_capability: u32) -> Result<CUfunction, Status> {
    const RELAXED: i32 = 2;
    let name = CString::new(kernel.name()).map_err(|_| Status::InternalError)?;
    let text = module_for(kernel.ptx(), compute_capability);
    let text = CString::new(text).map_err(|_| Status::InternalError)?;
    let mut mode = RELAXED;
    // SAFETY: `mode` is a live local.
    let exchanged = unsafe { (driver.thread_exchange_stream_capture_mode)(&mut mode) };
    let mut module = CUmodule::NULL;
    let mut function = CUfunction::NULL;
    // SAFETY: the text and the name end with a zero; the results are live locals.
    let result = unsafe {
        match (driver.module_load_data)(&mut module, text.as_ptr().cast()) {
            CUresult::SUCCESS => (driver.module_get_function)(&mut function, module, name.as_ptr()),
            error => error,
        }
    };
    if exchanged == CUresult::SUCCESS {
        // SAFETY: `mode` holds the mode that was exchanged above.
        unsafe { (driver.thread_exchange_stream_capture_mode)(&mut mode) };
    }
    check(
        result,
        &format!("loading kernel {}", kernel.name()),
        Status::ExecutionFailed,
    )?;
    let shared = kernel.dynamic_shared();
    if shared > 48 << 10 {
        const MAX_DYNAMIC_SHARED_SIZE_BYTES: i32 = 8;
        // SAFETY: the function was just loaded.
        let result = unsafe {
            (driver.func_set_attribute)(function, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared as i32)
        };
        check(result, "cuFuncSetAttribute", Status::ExecutionFailed)?;
    }
    Ok(function)
}

/// A scalar operand: `alpha` or `beta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalar {
    /// Address in device memory; 0 when the value is known.
    pub at: CUdeviceptr,
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Scalar {
    /// A known real value.
    pub const fn value(re: f64) -> Self {
        Self { at: 0, re, im: 0.0 }
    }

    /// Whether the value is known to be `value`.
    pub fn is(&self, value: f64) -> bool {
        self.at == 0 && self.re == value && self.im == 0.0
    }

    /// The scalar behind `pointer`, which is read now in host mode.
    ///
    /// # Errors
    /// `INVALID_VALUE` for null.
    ///
    /// # Safety
    /// In host mode `pointer` is null or points to a number of format `element`.
    pub unsafe fn from_raw(
        mode: PointerMode,
        element: Element,
        pointer: *const c_void,
    ) -> Result<Self, Status> {
        if pointer.is_null() {
            return Err(Status::InvalidValue);
        }
        if mode == PointerMode::Device {
            return Ok(Self {
                at: pointer as CUdeviceptr,
                re: 0.0,
                im: 0.0,
            });
        }
        // SAFETY: the caller promises the number; it need not be aligned.
        let (re, im) = unsafe {
            match element {
                Element::F16 => (pointer.cast::<half::f16>().read_unaligned().to_f64(), 0.0),
                Element::BF16 => (pointer.cast::<half::bf16>().read_unaligned().to_f64(), 0.0),
                Element::F32 => (f64::from(pointer.cast::<f32>().read_unaligned()), 0.0),
                Element::F64 => (pointer.cast::<f64>().read_unaligned(), 0.0),
                Element::S8 => (f64::from(pointer.cast::<i8>().read_unaligned()), 0.0),
                Element::S32 => (f64::from(pointer.cast::<i32>().read_unaligned()), 0.0),
                Element::C32 => {
                    let [re, im] = pointer.cast::<[f32; 2]>().read_unaligned();
                    (f64::from(re), f64::from(im))
                }
                Element::C64 => {
                    let [re, im] = pointer.cast::<[f64; 2]>().read_unaligned();
                    (re, im)
                }
            }
        };
        Ok(Self { at: 0, re, im })
    }
}

/// The parameters of a launch, in the order of the kernel's declaration.
#[derive(Default)]
pub struct Arguments {
    words: Vec<u64>,
}

impl Arguments {
    /// An address or another unsigned number of up to 64 bits.
    pub fn word(&mut self, value: u64) -> &mut Self {
        self.words.push(value);
        self
    }

    /// A signed 64-bit number.
    pub fn signed(&mut self, value: i64) -> &mut Self {
        self.word(value as u64)
    }

    /// A 32-bit number.
    pub fn small(&mut self, value: u32) -> &mut Self {
        self.word(u64::from(value))
    }

    /// A real number in the format that `arithmetic` computes in.
    pub fn number(&mut self, arithmetic: Arithmetic, value: f64) -> &mut Self {
        self.word(match arithmetic {
            Arithmetic::S32 => u64::from(value as i32 as u32),
            Arithmetic::F32 | Arithmetic::C32 => u64::from((value as f32).to_bits()),
            Arithmetic::F64 | Arithmetic::C64 => value.to_bits(),
        })
    }

    /// The parameters of [`crate::ptx::Function::scalar_params`].
    pub fn scalar(&mut self, arithmetic: Arithmetic, scalar: &Scalar) -> &mut Self {
        self.word(scalar.at).number(arithmetic, scalar.re);
        if arithmetic.is_complex() {
            self.number(arithmetic, scalar.im);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_foreign_handles_are_refused() {
        // SAFETY: null, and memory of more than a handle's size.
        unsafe {
            assert_eq!(
                Handle::from_raw(ptr::null()).err(),
                Some(Status::NotInitialized)
            );
            let zeros = [0u64; 64];
            assert_eq!(
                Handle::from_raw(zeros.as_ptr().cast()).err(),
                Some(Status::NotInitialized)
            );
        }
    }

    #[test]
    fn scalars_are_read_in_their_format() {
        let half = half::f16::from_f32(0.5);
        // SAFETY: each pointer is to a number of the format that is named.
        unsafe {
            let mode = PointerMode::Host;
            let scalar = Scalar::from_raw(mode, Element::F16, ptr::from_ref(&half).cast());
            assert_eq!(scalar, Ok(Scalar::value(0.5)));
            let scalar = Scalar::from_raw(mode, Element::C32, [1f32, -2.0].as_ptr().cast());
            assert_eq!(
                scalar,
                Ok(Scalar {
                    at: 0,
                    re: 1.0,
                    im: -2.0
                })
            );
            let scalar =
                Scalar::from_raw(PointerMode::Device, Element::F32, 0x1000 as *const c_void);
            assert_eq!(
                scalar,
                Ok(Scalar {
                    at: 0x1000,
                    re: 0.0,
                    im: 0.0
                })
            );
            assert_eq!(
                Scalar::from_raw(mode, Element::F32, ptr::null()),
                Err(Status::InvalidValue)
            );
        }
    }
}
