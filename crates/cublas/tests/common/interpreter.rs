//! The driver API on the interpreter of the crate `ptx-reference`: kernels run at once, on the CPU, by the text of the
//! PTX ISA, and an access outside of an allocation is an error.

use std::ffi::{c_char, c_void, CStr};
use std::sync::Mutex;

use cublas::driver::{install, Driver};
use cuda_abi::{CUcontext, CUfunction, CUmodule, CUresult, CUstream, CUDA_MEMCPY2D};
use ptx_reference::{Launch, Memory};

struct World {
    memory: Memory,
    /// Texts of modules and names of kernels; handles are indices plus one.
    modules: Vec<&'static str>,
    functions: Vec<(usize, &'static str)>,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

fn world<T>(body: impl FnOnce(&mut World) -> T) -> T {
    let mut world = WORLD.lock().unwrap_or_else(|poison| poison.into_inner());
    body(world.get_or_insert_with(|| World {
        memory: Memory::new(),
        modules: Vec::new(),
        functions: Vec::new(),
    }))
}

static NAME: Mutex<&str> = Mutex::new("");

/// Makes cuBLAS run on the interpreter, as on a device of this name.
pub fn start(name: &'static str) {
    *NAME.lock().unwrap_or_else(|poison| poison.into_inner()) = name;
    install(Driver {
        init,
        device_get,
        device_get_name,
        device_get_attribute,
        device_primary_ctx_retain,
        ctx_get_current,
        ctx_set_current,
        ctx_push_current: ctx_set_current,
        ctx_pop_current: ctx_get_current,
        ctx_get_device,
        ctx_synchronize,
        module_load_data,
        module_get_function,
        func_set_attribute,
        launch_kernel,
        mem_alloc,
        mem_free,
        memcpy_htod,
        memcpy_dtoh,
        memcpy_dtoh_async,
        memcpy_2d,
        memcpy_2d_async,
        stream_synchronize,
        thread_exchange_stream_capture_mode,
        context_id: None,
        library: None,
    });
}

const CONTEXT: CUcontext = CUcontext(1);

unsafe extern "C" fn init(_flags: u32) -> CUresult {
    CUresult::SUCCESS
}

unsafe extern "C" fn device_get(device: *mut i32, _ordinal: i32) -> CUresult {
    unsafe { *device = 0 };
    CUresult::SUCCESS
}

unsafe extern "C" fn device_get_name(name: *mut c_char, length: i32, _device: i32) -> CUresult {
    let text = *NAME.lock().unwrap_or_else(|poison| poison.into_inner());
    assert!(length as usize > text.len());
    unsafe {
        name.copy_from(text.as_ptr().cast(), text.len());
        name.add(text.len()).write(0);
    }
    CUresult::SUCCESS
}

unsafe extern "C" fn device_get_attribute(value: *mut i32, _which: i32, _device: i32) -> CUresult {
    unsafe { *value = 2 };
    CUresult::SUCCESS
}

unsafe extern "C" fn device_primary_ctx_retain(context: *mut CUcontext, _device: i32) -> CUresult {
    unsafe { *context = CONTEXT };
    CUresult::SUCCESS
}

unsafe extern "C" fn ctx_get_current(context: *mut CUcontext) -> CUresult {
    unsafe { *context = CONTEXT };
    CUresult::SUCCESS
}

unsafe extern "C" fn ctx_set_current(_context: CUcontext) -> CUresult {
    CUresult::SUCCESS
}

unsafe extern "C" fn ctx_get_device(device: *mut i32) -> CUresult {
    unsafe { *device = 0 };
    CUresult::SUCCESS
}

unsafe extern "C" fn ctx_synchronize() -> CUresult {
    CUresult::SUCCESS
}

unsafe extern "C" fn module_load_data(module: *mut CUmodule, image: *const c_void) -> CUresult {
    let text = unsafe { CStr::from_ptr(image.cast()) }
        .to_string_lossy()
        .into_owned();
    world(|world| {
        world.modules.push(text.leak());
        unsafe { *module = CUmodule(world.modules.len()) };
    });
    CUresult::SUCCESS
}

unsafe extern "C" fn module_get_function(
    function: *mut CUfunction,
    module: CUmodule,
    name: *const c_char,
) -> CUresult {
    let name = unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned();
    world(|world| {
        world.functions.push((module.0 - 1, name.leak()));
        unsafe { *function = CUfunction(world.functions.len()) };
    });
    CUresult::SUCCESS
}

unsafe extern "C" fn func_set_attribute(_: CUfunction, _: i32, _: i32) -> CUresult {
    CUresult::SUCCESS
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn launch_kernel(
    function: CUfunction,
    grid_x: u32,
    grid_y: u32,
    grid_z: u32,
    block_x: u32,
    block_y: u32,
    block_z: u32,
    dynamic_shared: u32,
    _stream: CUstream,
    parameters: *mut *mut c_void,
    _extra: *mut *mut c_void,
) -> CUresult {
    world(|world| {
        let (module, name) = world.functions[function.0 - 1];
        let module = match ptx::Module::parse(world.modules[module]) {
            Ok(module) => module,
            Err(error) => {
                eprintln!("{name}: {error}");
                return CUresult::INVALID_PTX;
            }
        };
        let Some(entry) = module.function(name) else {
            return CUresult::NOT_FOUND;
        };
        let (offsets, size) = entry.parameter_offsets();
        // Every parameter is read as a word; the next one overwrites what was too much.
        let mut bytes = vec![0; size as usize + 8];
        for (i, &offset) in offsets.iter().enumerate() {
            let word = unsafe { (*parameters.add(i)).cast::<u64>().read() };
            bytes[offset as usize..offset as usize + 8].copy_from_slice(&word.to_le_bytes());
        }
        let launch = Launch {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            dynamic_shared,
            parameters: &bytes,
        };
        match ptx_reference::run(&module, name, &launch, &mut world.memory) {
            Ok(outcome) if outcome.fault.is_none() => CUresult::SUCCESS,
            Ok(outcome) => {
                eprintln!("{name}: {:?}", outcome.fault);
                CUresult::LAUNCH_FAILED
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                CUresult::LAUNCH_FAILED
            }
        }
    })
}

unsafe extern "C" fn mem_alloc(address: *mut u64, bytes: usize) -> CUresult {
    unsafe { *address = world(|world| world.memory.allocate(bytes)) };
    CUresult::SUCCESS
}

unsafe extern "C" fn mem_free(address: u64) -> CUresult {
    match world(|world| world.memory.free(address)) {
        true => CUresult::SUCCESS,
        false => CUresult::INVALID_VALUE,
    }
}

unsafe extern "C" fn memcpy_htod(to: u64, from: *const c_void, bytes: usize) -> CUresult {
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) };
    match world(|world| world.memory.write(to, bytes)) {
        Some(()) => CUresult::SUCCESS,
        None => CUresult::INVALID_VALUE,
    }
}

unsafe extern "C" fn memcpy_dtoh(to: *mut c_void, from: u64, bytes: usize) -> CUresult {
    world(|world| match world.memory.read(from, bytes) {
        Some(data) => {
            unsafe { to.cast::<u8>().copy_from(data.as_ptr(), bytes) };
            CUresult::SUCCESS
        }
        None => CUresult::INVALID_VALUE,
    })
}

unsafe extern "C" fn memcpy_dtoh_async(
    to: *mut c_void,
    from: u64,
    bytes: usize,
    _stream: CUstream,
) -> CUresult {
    unsafe { memcpy_dtoh(to, from, bytes) }
}

unsafe extern "C" fn memcpy_2d(copy: *const CUDA_MEMCPY2D) -> CUresult {
    let copy = unsafe { &*copy };
    for row in 0..copy.Height {
        let (from, to) = (row * copy.srcPitch, row * copy.dstPitch);
        let result = if copy.dstMemoryType == cuda_abi::CUmemorytype::DEVICE {
            let source = unsafe { copy.srcHost.cast::<u8>().add(from) };
            unsafe { memcpy_htod(copy.dstDevice + to as u64, source.cast(), copy.WidthInBytes) }
        } else {
            let target = unsafe { copy.dstHost.cast::<u8>().add(to) };
            unsafe {
                memcpy_dtoh(
                    target.cast(),
                    copy.srcDevice + from as u64,
                    copy.WidthInBytes,
                )
            }
        };
        if result != CUresult::SUCCESS {
            return result;
        }
    }
    CUresult::SUCCESS
}

unsafe extern "C" fn memcpy_2d_async(copy: *const CUDA_MEMCPY2D, _stream: CUstream) -> CUresult {
    unsafe { memcpy_2d(copy) }
}

unsafe extern "C" fn stream_synchronize(_stream: CUstream) -> CUresult {
    CUresult::SUCCESS
}

unsafe extern "C" fn thread_exchange_stream_capture_mode(_mode: *mut i32) -> CUresult {
    CUresult::SUCCESS
}
