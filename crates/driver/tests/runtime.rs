//! The built library under NVIDIA's own runtime libraries, in one process for each.
//!
//! `VKCUDA_CUDART_DIRS` names directories that hold libcudart.so.* at any depth, separated by colons.

mod common;

use libloading::Library;
use std::ffi::{c_char, c_int, c_void, CStr};

const RUNTIME: &str = "VKCUDA_TEST_RUNTIME";

/// Runs a test with each runtime library.
fn with_each_runtime(test: &str, body: impl FnOnce(&Runtime)) {
    if common::is_child() {
        return body(&Runtime::load(
            &std::env::var(RUNTIME).expect("the runtime's path"),
        ));
    }
    let directory = common::library_directory();
    for runtime in common::runtimes() {
        eprintln!("{}", runtime.display());
        let environment = [
            (RUNTIME, runtime.to_str().expect("a path")),
            ("LD_LIBRARY_PATH", directory.to_str().expect("a path")),
        ];
        let output = common::run_child(test, &environment);
        assert!(!output.contains(" WARN "), "{output}");
    }
    let _ = std::fs::remove_dir_all(directory);
}

struct Runtime(Library);

impl Runtime {
    fn load(path: &str) -> Self {
        // SAFETY: loading NVIDIA's runtime has no conditions.
        Self(unsafe { Library::new(path) }.expect("the runtime library"))
    }

    /// A function of the runtime.
    fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the callers name the function's type as NVIDIA documents it.
        *unsafe { self.0.get::<F>(name.as_bytes()) }
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    #[track_caller]
    fn check(&self, status: c_int) {
        let name: unsafe extern "C" fn(c_int) -> *const c_char = self.function("cudaGetErrorName");
        // SAFETY: the runtime gives a static string for every number.
        assert_eq!(status, 0, "{:?}", unsafe { CStr::from_ptr(name(status)) });
    }

    fn malloc(&self, size: usize) -> *mut c_void {
        let malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int =
            self.function("cudaMalloc");
        let mut pointer = std::ptr::null_mut();
        // SAFETY: a valid place.
        self.check(unsafe { malloc(&mut pointer, size) });
        pointer
    }

    fn copy(&self, destination: *mut c_void, source: *const c_void, size: usize, kind: c_int) {
        let copy: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int =
            self.function("cudaMemcpy");
        // SAFETY: the callers' buffers have the size.
        self.check(unsafe { copy(destination, source, size, kind) });
    }

    /// Counts the devices and reads the first one's properties.
    fn find_device(&self) {
        let count: unsafe extern "C" fn(*mut c_int) -> c_int = self.function("cudaGetDeviceCount");
        let mut devices = -1;
        // SAFETY: a valid place.
        self.check(unsafe { count(&mut devices) });
        assert!(devices >= 1);

        // The structure has 1 KiB or so, and begins with the name in every version.
        type Properties = unsafe extern "C" fn(*mut u8, c_int) -> c_int;
        let mut properties = vec![0u8; 8192];
        // SAFETY: the symbol has this type where it exists.
        let second = unsafe {
            self.0
                .get::<Properties>(b"cudaGetDeviceProperties_v2")
                .map(|symbol| *symbol)
        };
        let get = second.unwrap_or_else(|_| self.function("cudaGetDeviceProperties"));
        // SAFETY: a place larger than the structure.
        self.check(unsafe { get(properties.as_mut_ptr(), 0) });
        let name = CStr::from_bytes_until_nul(&properties).expect("a name");
        assert!(!name.is_empty());
    }

    fn call(&self, name: &str) {
        let function: unsafe extern "C" fn() -> c_int = self.function(name);
        // SAFETY: the callers name functions without arguments.
        self.check(unsafe { function() });
    }
}

#[test]
fn devices_are_found() {
    with_each_runtime("devices_are_found", |runtime| {
        runtime.find_device();
        let attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int =
            runtime.function("cudaDeviceGetAttribute");
        let get = |number| {
            let mut value = -1;
            // SAFETY: a valid place.
            runtime.check(unsafe { attribute(&mut value, number, 0) });
            value
        };
        assert_eq!(
            (get(75), get(76), get(10)),
            (9, 0, 32),
            "compute capability and warp size"
        );
    });
}

#[test]
fn memory_holds_what_was_copied() {
    with_each_runtime("memory_holds_what_was_copied", |runtime| {
        let size = 3 << 20;
        let source: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
        let mut destination = vec![0u8; size];
        let (a, b) = (runtime.malloc(size), runtime.malloc(size));
        runtime.copy(a, source.as_ptr().cast(), size, 1);
        runtime.copy(b, a, size, 3);
        runtime.copy(destination.as_mut_ptr().cast(), b, size, 2);
        assert!(source == destination);

        let set: unsafe extern "C" fn(*mut c_void, c_int, usize) -> c_int =
            runtime.function("cudaMemset");
        // SAFETY: a range inside the allocation.
        runtime.check(unsafe { set(b.wrapping_byte_add(1), 9, 5) });
        // cudaMemcpyDefault finds the directions out.
        runtime.copy(destination.as_mut_ptr().cast(), b, 8, 4);
        assert_eq!(
            destination[..8],
            [source[0], 9, 9, 9, 9, 9, source[6], source[7]]
        );

        let free: unsafe extern "C" fn(*mut c_void) -> c_int = runtime.function("cudaFree");
        // SAFETY: allocations of this test.
        runtime.check(unsafe { free(a) });
        // SAFETY: as above.
        runtime.check(unsafe { free(b) });
    });
}

#[test]
fn a_reset_device_starts_anew() {
    with_each_runtime("a_reset_device_starts_anew", |runtime| {
        for _ in 0..3 {
            let pointer = runtime.malloc(4096);
            let (value, mut back) = (42u64, 0u64);
            runtime.copy(pointer, std::ptr::from_ref(&value).cast(), 8, 1);
            runtime.copy(std::ptr::from_mut(&mut back).cast(), pointer, 8, 2);
            assert_eq!(back, 42);
            runtime.call("cudaDeviceSynchronize");
            runtime.call("cudaDeviceReset");
        }
    });
}

#[test]
fn threads_share_a_device() {
    with_each_runtime("threads_share_a_device", |runtime| {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let source = vec![thread; 100_000];
                    let mut back = vec![0xff; source.len()];
                    let pointer = runtime.malloc(source.len());
                    runtime.copy(pointer, source.as_ptr().cast(), source.len(), 1);
                    runtime.copy(back.as_mut_ptr().cast(), pointer, source.len(), 2);
                    assert!(source == back);
                });
            }
        });
    });
}

const PTX: &str = "
.version 7.0
.target sm_50
.address_size 64
.visible .entry add(.param .u64 data, .param .u32 value) {
    .reg .b32 %r<5>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [data];
    ld.param.u32 %r1, [value];
    mov.u32 %r2, %tid.x;
    mul.wide.u32 %rd2, %r2, 4;
    add.u64 %rd3, %rd1, %rd2;
    ld.global.u32 %r3, [%rd3];
    add.u32 %r4, %r3, %r1;
    st.global.u32 [%rd3], %r4;
    ret;
}
";

/// A fat binary with one PTX entry, as nvcc makes it, with room at the front for the wrapper that points to the rest.
fn fat_binary() -> Box<[u64]> {
    let stored = (PTX.len() + 1).next_multiple_of(8);
    let mut bytes = Vec::new();
    bytes.extend(0xba55ed50u32.to_le_bytes());
    bytes.extend([1, 0, 16, 0]);
    bytes.extend((64 + stored as u64).to_le_bytes());
    bytes.extend([1, 0, 1, 1]);
    for word in [64, stored as u32, 0, 0, 0, 0, 50, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for long in [0x11u64, 0, PTX.len() as u64] {
        bytes.extend(long.to_le_bytes());
    }
    bytes.extend(PTX.as_bytes());
    bytes.resize(16 + 64 + stored, 0);
    let mut words = vec![0; 3];
    words.extend(
        bytes
            .chunks_exact(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("eight bytes"))),
    );
    let mut words = words.into_boxed_slice();
    words[0] = 0x466243b1 | 1 << 32;
    words[1] = words[3..].as_ptr() as u64;
    words
}

#[test]
fn a_whole_run_from_start_to_reset() {
    with_each_runtime("a_whole_run_from_start_to_reset", |runtime| {
        runtime.find_device();
        // What nvcc's host code does before main. The image stays for the life of the process.
        type Register = unsafe extern "C" fn(*const c_void) -> *mut *mut c_void;
        type End = unsafe extern "C" fn(*mut *mut c_void);
        type Function = unsafe extern "C" fn(
            *mut *mut c_void,
            *const c_void,
            *const c_char,
            *const c_char,
            c_int,
            *mut c_void,
            *mut c_void,
            *mut c_void,
            *mut c_void,
            *mut c_int,
        );
        let image = Box::leak(fat_binary());
        let null = std::ptr::null_mut();
        let host_function: *const c_void =
            (a_whole_run_from_start_to_reset as fn() as *const ()).cast();
        // SAFETY: the calls that nvcc generates, with an image and names that stay.
        unsafe {
            let register: Register = runtime.function("__cudaRegisterFatBinary");
            let handle = register(image.as_ptr().cast());
            let function: Function = runtime.function("__cudaRegisterFunction");
            let name = c"add".as_ptr();
            function(
                handle,
                host_function,
                name,
                name,
                -1,
                null,
                null,
                null,
                null,
                null.cast(),
            );
            runtime.function::<End>("__cudaRegisterFatBinaryEnd")(handle);
        }

        let values: Vec<u32> = (0..64).collect();
        let mut data = runtime.malloc(256);
        runtime.copy(data, values.as_ptr().cast(), 256, 1);
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Dim3(u32, u32, u32);
        type Launch = unsafe extern "C" fn(
            *const c_void,
            Dim3,
            Dim3,
            *mut *mut c_void,
            usize,
            *mut c_void,
        ) -> c_int;
        let launch: Launch = runtime.function("cudaLaunchKernel");
        let mut value = 1000u32;
        let mut arguments = [
            std::ptr::from_mut(&mut data).cast(),
            std::ptr::from_mut(&mut value).cast(),
        ];
        // SAFETY: the kernel's arguments, and memory of this test.
        runtime.check(unsafe {
            launch(
                host_function,
                Dim3(1, 1, 1),
                Dim3(64, 1, 1),
                arguments.as_mut_ptr(),
                0,
                null,
            )
        });
        let mut back = vec![0u32; 64];
        runtime.copy(back.as_mut_ptr().cast(), data, 256, 2);
        assert!(back.iter().copied().eq((0..64).map(|i| i + 1000)));

        let mut attributes = [0u8; 1024];
        type Attributes = unsafe extern "C" fn(*mut u8, *const c_void) -> c_int;
        let get: Attributes = runtime.function("cudaFuncGetAttributes");
        // SAFETY: a place larger than the structure.
        runtime.check(unsafe { get(attributes.as_mut_ptr(), host_function) });
        runtime.call("cudaDeviceReset");
    });
}
