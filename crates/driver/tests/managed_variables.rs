//! Variables with `.attribute(.managed)`, CUDA C++'s `__managed__`: the host reaches them at the device's address.
//!
//! Each test runs in a process of its own: on a CPU device a wrong address would end all of them.

#[macro_use]
mod common;

use common::{function, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::CStr;
use std::ptr::null_mut;

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.visible .const .align 4 .u32 step = 5;
.visible .global .align 4 .u32 plain = 3;
.visible .global .attribute(.managed) .align 4 .u32 x = 10;
.visible .global .attribute(.managed) .align 8 .u64 link = generic(x);
.visible .global .attribute(.managed) .align 4 .b8 zeros[5000];
// x += step, through the pointer
.visible .entry add() {
    .reg .b32 %r<3>;
    .reg .b64 %rd<2>;
    ld.const.u32 %r1, [step];
    ld.global.u64 %rd1, [link];
    ld.u32 %r2, [%rd1];
    add.u32 %r2, %r2, %r1;
    st.u32 [%rd1], %r2;
    ret;
}
";

fn library() -> CUlibrary {
    let (mut library, none) = (CUlibrary::NULL, null_mut());
    ok!(cuLibraryLoadData(
        &mut library,
        PTX.as_ptr().cast(),
        none,
        null_mut(),
        0,
        null_mut(),
        null_mut(),
        0
    ));
    library
}

fn module() -> CUmodule {
    let mut module = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    module
}

fn global(module: CUmodule, name: &CStr) -> (CUdeviceptr, usize) {
    let (mut address, mut size) = (0, 0);
    ok!(cuModuleGetGlobal_v2(
        &mut address,
        &mut size,
        module,
        name.as_ptr()
    ));
    (address, size)
}

fn managed(library: CUlibrary, name: &CStr) -> (CUdeviceptr, usize) {
    let (mut address, mut size) = (0, 0);
    ok!(cuLibraryGetManaged(
        &mut address,
        &mut size,
        library,
        name.as_ptr()
    ));
    (address, size)
}

fn run(kernel: CUfunction) {
    let (none, stream) = (null_mut(), CUstream::NULL);
    ok!(cuLaunchKernel(
        kernel,
        1,
        1,
        1,
        1,
        1,
        1,
        0,
        stream,
        none,
        null_mut()
    ));
    ok!(cuCtxSynchronize());
}

/// Device and host take turns at a variable whose value is 10.
fn take_turns(address: CUdeviceptr, kernel: CUfunction) {
    let x = address as *mut u32;
    // SAFETY: a managed variable, which no kernel uses meanwhile.
    unsafe {
        assert_eq!(x.read_volatile(), 10);
        x.write_volatile(100);
        run(kernel);
        assert_eq!(x.read_volatile(), 105);
    }
    let mut copied = 0u32;
    ok!(cuMemcpyDtoH_v2((&raw mut copied).cast(), address, 4));
    assert_eq!(copied, 105);
}

#[test]
fn the_host_reaches_managed_variables_of_a_module() {
    in_child(
        "the_host_reaches_managed_variables_of_a_module",
        &[],
        || {
            primary();
            let module = module();
            let (x, size) = global(module, c"x");
            assert_eq!(size, 4);
            let (link, _) = global(module, c"link");
            // SAFETY: a managed variable.
            assert_eq!(unsafe { (link as *const u64).read() }, x);
            take_turns(x, function(module, c"add"));
            let (zeros, size) = global(module, c"zeros");
            assert_eq!(size, 5000);
            // SAFETY: a managed variable.
            let bytes = unsafe { std::slice::from_raw_parts(zeros as *const u8, size) };
            assert!(bytes.iter().all(|&byte| byte == 0));
            ok!(cuModuleUnload(module));
        },
    );
}

#[test]
fn the_host_reaches_managed_variables_of_a_library() {
    in_child(
        "the_host_reaches_managed_variables_of_a_library",
        &[],
        || {
            primary();
            let library = library();
            let (x, size) = managed(library, c"x");
            assert_eq!(size, 4);
            let (mut same, mut module) = (0, CUmodule::NULL);
            ok!(cuLibraryGetGlobal(
                &mut same,
                null_mut(),
                library,
                c"x".as_ptr()
            ));
            assert_eq!(same, x);
            ok!(cuLibraryGetModule(&mut module, library));
            assert_eq!(global(module, c"x").0, x);
            take_turns(x, function(module, c"add"));

            let mut size = 0;
            let (none, x) = (null_mut(), c"x".as_ptr());
            ok!(cuLibraryGetManaged(none, &mut size, library, x));
            assert_eq!(size, 4);
            fails!(
                cuLibraryGetManaged(null_mut(), null_mut(), library, x),
                INVALID_VALUE
            );
            // What is not managed is not there, variable or not.
            for name in [c"plain", c"step", c"nothing"] {
                fails!(
                    cuLibraryGetManaged(&mut same, &mut size, library, name.as_ptr()),
                    NOT_FOUND
                );
            }
            ok!(cuLibraryUnload(library));
            fails!(
                cuLibraryGetManaged(&mut same, &mut size, library, x),
                INVALID_HANDLE
            );
        },
    );
}

/// NVIDIA's runtime asks before it makes a context.
#[test]
fn managed_variables_of_libraries_are_there_before_contexts() {
    in_child(
        "managed_variables_of_libraries_are_there_before_contexts",
        &[],
        || {
            ok!(cuInit(0));
            let library = library();
            let (x, size) = managed(library, c"x");
            assert_eq!(size, 4);
            let value = || {
                // SAFETY: a managed variable, which no kernel uses meanwhile.
                unsafe { (x as *const u32).read_volatile() }
            };
            assert_eq!(value(), 10);
            let kernel = || {
                let mut module = CUmodule::NULL;
                ok!(cuLibraryGetModule(&mut module, library));
                assert_eq!(global(module, c"x"), (x, 4));
                function(module, c"add")
            };
            primary();
            take_turns(x, kernel());
            // All contexts have the same.
            let mut other = CUcontext::NULL;
            ok!(cuCtxCreate_v2(&mut other, 0, 0));
            run(kernel());
            assert_eq!((value(), managed(library, c"x")), (110, (x, 4)));
            // The values start anew with the first context after the last.
            ok!(cuCtxDestroy_v2(other));
            assert_eq!(value(), 110);
            ok!(cuDevicePrimaryCtxReset_v2(0));
            primary();
            assert_eq!(managed(library, c"x"), (x, 4));
            take_turns(x, kernel());
            ok!(cuLibraryUnload(library));
        },
    );
}

#[test]
fn managed_variables_are_managed_memory() {
    in_child("managed_variables_are_managed_memory", &[], || {
        primary();
        let module = module();
        let (x, _) = global(module, c"x");
        use CUpointer_attribute as A;
        let (mut is_managed, mut kind) = (7u8, 0u32);
        let (mut host, mut device) = (0u64, 0u64);
        for (value, attribute) in [
            ((&raw mut is_managed).cast(), A::IS_MANAGED),
            ((&raw mut kind).cast(), A::MEMORY_TYPE),
            ((&raw mut host).cast(), A::HOST_POINTER),
            ((&raw mut device).cast(), A::DEVICE_POINTER),
        ] {
            ok!(cuPointerGetAttribute(value, attribute, x));
        }
        assert_eq!((is_managed, kind), (1, CUmemorytype::DEVICE.0));
        assert_eq!((host, device), (x, x));

        // Advice is kept while the module lives.
        let preferred = || {
            let (mut at, size) = (0i32, size_of::<i32>());
            ok!(cuMemRangeGetAttribute(
                (&raw mut at).cast(),
                size,
                CUmem_range_attribute::PREFERRED_LOCATION,
                x,
                4
            ));
            at
        };
        let advice = CUmem_advise::SET_PREFERRED_LOCATION;
        ok!(cuMemAdvise(x, 4, advice, CU_DEVICE_CPU));
        ok!(cuMemPrefetchAsync(x, 4, 0, CUstream::NULL));
        assert_eq!(preferred(), CU_DEVICE_CPU);

        // A variable changes hands as an allocation does, and no part of one.
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, 1));
        for (length, status) in [
            (0, CUresult::SUCCESS),
            (4, CUresult::SUCCESS),
            (2, CUresult::INVALID_VALUE),
        ] {
            let single = CU_MEM_ATTACH_SINGLE;
            // SAFETY: nothing is asked of the arguments.
            let found = unsafe { cuStreamAttachMemAsync(stream, x, length, single) };
            assert_eq!(found, status, "{length} bytes");
        }
        let (plain, _) = global(module, c"plain");
        fails!(
            cuStreamAttachMemAsync(stream, plain, 4, CU_MEM_ATTACH_SINGLE),
            INVALID_VALUE
        );
        ok!(cuModuleUnload(module));
    });
}
