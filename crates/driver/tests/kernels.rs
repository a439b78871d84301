//! Kernels: from PTX through the translator and the Vulkan driver to results in memory.

#[macro_use]
mod common;

use common::{allocate, function, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::null_mut;

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64

.global .align 4 .u32 counter = 5;
.const .align 4 .u32 factors[3] = {2, 3, 4};
.global .align 8 .u64 pointer = generic(counter);

// out[i] = a * in[i] + b
.visible .entry scale(.param .u64 out, .param .u64 in, .param .u32 a, .param .u32 b, .param .u32 n) {
    .reg .pred %p<2>;
    .reg .b32 %r<10>;
    .reg .b64 %rd<8>;
    ld.param.u64 %rd1, [out];
    ld.param.u64 %rd2, [in];
    ld.param.u32 %r1, [a];
    ld.param.u32 %r2, [b];
    ld.param.u32 %r3, [n];
    mov.u32 %r4, %ctaid.x;
    mov.u32 %r5, %ntid.x;
    mov.u32 %r6, %tid.x;
    mad.lo.u32 %r7, %r4, %r5, %r6;
    setp.ge.u32 %p1, %r7, %r3;
    @%p1 bra done;
    mul.wide.u32 %rd3, %r7, 4;
    cvta.to.global.u64 %rd1, %rd1;
    cvta.to.global.u64 %rd2, %rd2;
    add.u64 %rd4, %rd2, %rd3;
    ld.global.u32 %r8, [%rd4];
    mad.lo.u32 %r9, %r8, %r1, %r2;
    add.u64 %rd5, %rd1, %rd3;
    st.global.u32 [%rd5], %r9;
done:
    ret;
}

// out = counter * factors[1], read through the module's own pointer
.visible .entry variables(.param .u64 out) {
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    ld.global.u64 %rd2, [pointer];
    ld.u32 %r1, [%rd2];
    ld.const.u32 %r2, [factors+4];
    mul.lo.u32 %r3, %r1, %r2;
    st.global.u32 [%rd1], %r3;
    ret;
}

// Adds up the pieces of parameters of every size: from fixed places, and from a register.
.visible .entry pieces(
    .param .u64 out, .param .u8 a, .param .s8 b, .param .u16 c, .param .u32 d, .param .f64 e, .param .align 4 .b8 s[12]
) {
    .reg .b16 %h<3>;
    .reg .b32 %r<12>;
    .reg .b64 %rd<4>;
    .reg .f64 %fd;
    ld.param.u64 %rd1, [out];
    ld.param.u8 %r1, [a];
    ld.param.s8 %r2, [b];
    ld.param.u16 %h1, [c];
    ld.param.u32 %r3, [d];
    ld.param.f64 %fd, [e];
    ld.param.v2.u16 {%h2, %h0}, [s+4];
    ld.param.u8 %r4, [s+11];
    cvt.rzi.u32.f64 %r5, %fd;
    add.u32 %r6, %r1, %r2;
    add.u32 %r6, %r6, %r3;
    add.u32 %r6, %r6, %r4;
    add.u32 %r6, %r6, %r5;
    cvt.u32.u16 %r7, %h1;
    add.u32 %r6, %r6, %r7;
    cvt.u32.u16 %r7, %h2;
    add.u32 %r6, %r6, %r7;
    cvt.u32.u16 %r7, %h0;
    add.u32 %r6, %r6, %r7;
    st.global.u32 [%rd1], %r6;
    ret;
}
.visible .entry pieces_by_register(.param .u64 out, .param .u32 index, .param .align 4 .b8 s[16]) {
    .reg .b32 %r<3>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [index];
    mul.wide.u32 %rd2, %r1, 4;
    mov.b64 %rd3, s;
    add.s64 %rd4, %rd3, %rd2;
    ld.param.u32 %r2, [%rd4];
    st.global.u32 [%rd1], %r2;
    ret;
}

// Reverses a block's values through dynamic shared memory.
.extern .shared .align 4 .b8 buffer[];
.visible .entry reverse(.param .u64 data) {
    .reg .b32 %r<8>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [data];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ntid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.u64 %rd3, %rd1, %rd2;
    ld.global.u32 %r3, [%rd3];
    shl.b32 %r4, %r1, 2;
    mov.u32 %r5, buffer;
    add.u32 %r4, %r5, %r4;
    st.shared.u32 [%r4], %r3;
    bar.sync 0;
    sub.u32 %r6, %r2, %r1;
    sub.u32 %r6, %r6, 1;
    shl.b32 %r6, %r6, 2;
    add.u32 %r6, %r5, %r6;
    ld.shared.u32 %r7, [%r6];
    st.global.u32 [%rd3], %r7;
    ret;
}

.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 text[12] = {116, 104, 114, 101, 97, 100, 32, 37, 100, 33, 10, 0};

// Prints a line with the number of the thread.
.visible .entry print() {
    .local .align 8 .b8 place[8];
    .reg .b32 %r<3>;
    .reg .b64 %rd<4>;
    mov.u64 %rd1, place;
    cvta.local.u64 %rd2, %rd1;
    mov.u32 %r1, %tid.x;
    st.local.u32 [place], %r1;
    mov.u64 %rd3, text;
    cvta.global.u64 %rd3, %rd3;
    {
        .param .b64 p0;
        .param .b64 p1;
        .param .b32 back;
        st.param.b64 [p0], %rd3;
        st.param.b64 [p1], %rd2;
        call.uni (back), vprintf, (p0, p1);
        ld.param.b32 %r2, [back];
    }
    ret;
}
";

fn start() -> CUmodule {
    primary();
    let mut module = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    module
}

fn write(address: CUdeviceptr, values: &[u32]) {
    ok!(cuMemcpyHtoD_v2(
        address,
        values.as_ptr().cast(),
        size_of_val(values)
    ));
}

fn read(address: CUdeviceptr, count: usize) -> Vec<u32> {
    let mut values = vec![0xdead_beef; count];
    ok!(cuMemcpyDtoH_v2(
        values.as_mut_ptr().cast(),
        address,
        count * 4
    ));
    values
}

fn argument<T>(value: &mut T) -> *mut c_void {
    std::ptr::from_mut(value).cast()
}

/// Launches `scale` over `n` values.
fn scale(
    function: CUfunction,
    stream: CUstream,
    out: CUdeviceptr,
    input: CUdeviceptr,
    a: u32,
    b: u32,
    n: u32,
) {
    let (mut out, mut input, mut a, mut b, mut n) = (out, input, a, b, n);
    let blocks = n.div_ceil(128);
    let mut arguments = [
        argument(&mut out),
        argument(&mut input),
        argument(&mut a),
        argument(&mut b),
        argument(&mut n),
    ];
    ok!(cuLaunchKernel(
        function,
        blocks,
        1,
        1,
        128,
        1,
        1,
        0,
        stream,
        arguments.as_mut_ptr(),
        null_mut()
    ));
}

#[test]
fn parameters_of_every_size() {
    in_child("parameters_of_every_size", &[], || {
        let module = start();
        let mut out = allocate(4);
        let launch = |kernel: CUfunction, parameters: &mut [*mut c_void]| {
            ok!(cuLaunchKernel(
                kernel,
                1,
                1,
                1,
                1,
                1,
                1,
                0,
                CUstream::NULL,
                parameters.as_mut_ptr(),
                null_mut()
            ));
        };
        let (mut a, mut b, mut c) = (200u8, -3i8, 60_000u16);
        let (mut d, mut e, mut s) = (1u32 << 20, 1e6f64, [0u8; 12]);
        (s[4], s[5], s[6], s[7], s[11]) = (1, 2, 3, 4, 250);
        launch(
            function(module, c"pieces"),
            &mut [
                argument(&mut out),
                argument(&mut a),
                argument(&mut b),
                argument(&mut c),
                argument(&mut d),
                argument(&mut e),
                argument(&mut s),
            ],
        );
        let sum = 200 - 3 + 60_000 + (1 << 20) + 1_000_000 + 0x201 + 0x403 + 250;
        assert_eq!(read(out, 1), [sum]);
        let (mut index, mut words) = (2u32, [5u32, 6, 7, 8]);
        launch(
            function(module, c"pieces_by_register"),
            &mut [
                argument(&mut out),
                argument(&mut index),
                argument(&mut words),
            ],
        );
        assert_eq!(read(out, 1), [7]);
    });
}

#[test]
fn a_kernel_computes() {
    in_child("a_kernel_computes", &[], || {
        let module = start();
        let kernel = function(module, c"scale");
        let n = 10_000u32;
        let (out, input) = (allocate(n as usize * 4), allocate(n as usize * 4));
        write(input, &(0..n).collect::<Vec<_>>());
        scale(kernel, CUstream::NULL, out, input, 3, 1, n);
        assert!(read(out, n as usize)
            .into_iter()
            .eq((0..n).map(|i| i * 3 + 1)));

        // The same arguments packed in a buffer.
        let mut packed = [0u8; 28];
        packed[..8].copy_from_slice(&out.to_le_bytes());
        packed[8..16].copy_from_slice(&input.to_le_bytes());
        packed[16..20].copy_from_slice(&5u32.to_le_bytes());
        packed[24..28].copy_from_slice(&100u32.to_le_bytes());
        let mut size = packed.len();
        let mut extra = [
            CU_LAUNCH_PARAM_BUFFER_POINTER as *mut c_void,
            packed.as_mut_ptr().cast(),
            CU_LAUNCH_PARAM_BUFFER_SIZE as *mut c_void,
            argument(&mut size),
            null_mut(),
        ];
        ok!(cuLaunchKernel(
            kernel,
            1,
            1,
            1,
            128,
            1,
            1,
            0,
            CUstream::NULL,
            null_mut(),
            extra.as_mut_ptr()
        ));
        let back = read(out, 101);
        assert!(back[..100].iter().copied().eq((0..100).map(|i| i * 5)));
        assert_eq!(back[100], 301);
        // SAFETY: the list of packed arguments points to it.
        unsafe { std::ptr::write_volatile(&mut size, 1 << 16) };
        fails!(
            cuLaunchKernel(
                kernel,
                1,
                1,
                1,
                128,
                1,
                1,
                0,
                CUstream::NULL,
                null_mut(),
                extra.as_mut_ptr()
            ),
            INVALID_VALUE
        );
        fails!(
            cuLaunchKernel(
                kernel,
                1,
                1,
                1,
                2048,
                1,
                1,
                0,
                CUstream::NULL,
                null_mut(),
                null_mut()
            ),
            INVALID_VALUE
        );
    });
}

#[test]
fn variables_keep_their_values() {
    in_child("variables_keep_their_values", &[], || {
        let module = start();
        let (mut address, mut size) = (0, 0);
        ok!(cuModuleGetGlobal_v2(
            &mut address,
            &mut size,
            module,
            c"counter".as_ptr()
        ));
        assert_eq!((size, read(address, 1)), (4, vec![5]));
        fails!(
            cuModuleGetGlobal_v2(&mut address, &mut size, module, c"nothing".as_ptr()),
            NOT_FOUND
        );
        let kernel = function(module, c"variables");
        let mut out = allocate(4);
        let mut arguments = [argument(&mut out)];
        ok!(cuLaunchKernel(
            kernel,
            1,
            1,
            1,
            1,
            1,
            1,
            0,
            CUstream::NULL,
            arguments.as_mut_ptr(),
            null_mut()
        ));
        assert_eq!(read(out, 1), [15]);
        write(address, &[7]);
        ok!(cuLaunchKernel(
            kernel,
            1,
            1,
            1,
            1,
            1,
            1,
            0,
            CUstream::NULL,
            arguments.as_mut_ptr(),
            null_mut()
        ));
        assert_eq!(read(out, 1), [21]);
    });
}

#[test]
fn shared_memory_is_as_large_as_asked_for() {
    in_child("shared_memory_is_as_large_as_asked_for", &[], || {
        let module = start();
        let kernel = function(module, c"reverse");
        let mut data = allocate(512 * 4);
        let mut arguments = [argument(&mut data)];
        // SAFETY: valid arguments.
        let mut launch = |bytes| unsafe {
            cuLaunchKernel(
                kernel,
                1,
                1,
                1,
                512,
                1,
                1,
                bytes,
                CUstream::NULL,
                arguments.as_mut_ptr(),
                null_mut(),
            )
        };
        let large = 99 << 10;
        for bytes in [2048, 40_000, large] {
            write(data, &(0..512).collect::<Vec<_>>());
            if bytes == large {
                assert_eq!(launch(bytes), CUresult::INVALID_VALUE, "not without asking");
                let attribute = CUfunction_attribute::MAX_DYNAMIC_SHARED_SIZE_BYTES;
                ok!(cuFuncSetAttribute(kernel, attribute, large as i32));
                fails!(
                    cuFuncSetAttribute(kernel, attribute, 1 << 20),
                    INVALID_VALUE
                );
            }
            assert_eq!(launch(bytes), CUresult::SUCCESS, "{bytes}");
            assert!(read(data, 512).into_iter().eq((0..512).rev()), "{bytes}");
        }
    });
}

#[test]
fn functions_describe_themselves() {
    in_child("functions_describe_themselves", &[], || {
        let module = start();
        let kernel = function(module, c"scale");
        let mut nothing = CUfunction::NULL;
        fails!(
            cuModuleGetFunction(&mut nothing, module, c"nothing".as_ptr()),
            NOT_FOUND
        );
        let mut state = CUfunctionLoadingState::LOADED;
        ok!(cuFuncIsLoaded(&mut state, kernel));
        assert_eq!(state, CUfunctionLoadingState::UNLOADED);
        let mut value = -1;
        for number in 0..16 {
            ok!(cuFuncGetAttribute(
                &mut value,
                CUfunction_attribute(number),
                kernel
            ));
        }
        ok!(cuFuncGetAttribute(
            &mut value,
            CUfunction_attribute::PTX_VERSION,
            kernel
        ));
        assert_eq!(value, 80);
        let (mut offset, mut size) = (0, 0);
        ok!(cuFuncGetParamInfo(kernel, 4, &mut offset, &mut size));
        assert_eq!((offset, size), (24, 4));
        fails!(
            cuFuncGetParamInfo(kernel, 5, &mut offset, &mut size),
            INVALID_VALUE
        );
        let (mut blocks, mut grid, mut block) = (0, 0, 0);
        ok!(cuOccupancyMaxActiveBlocksPerMultiprocessor(
            &mut blocks,
            kernel,
            256,
            0
        ));
        assert!(blocks >= 1);
        ok!(cuOccupancyMaxPotentialBlockSize(
            &mut grid, &mut block, kernel, None, 0, 0
        ));
        assert!(grid >= 1 && block >= 32);
        let mut name = std::ptr::null();
        ok!(cuFuncGetName(&mut name, kernel));
        // SAFETY: a NUL-terminated string that lives as long as the function.
        assert_eq!(unsafe { CStr::from_ptr(name) }, c"scale");
        let mut count = 0;
        ok!(cuModuleGetFunctionCount(&mut count, module));
        let entries = PTX
            .to_bytes()
            .windows(7)
            .filter(|w| w == b".entry ")
            .count();
        assert_eq!(count as usize, entries);
        ok!(cuModuleUnload(module));
        fails!(cuFuncGetName(&mut name, kernel), INVALID_HANDLE);
    });
}

#[test]
fn kernels_of_libraries_are_functions() {
    in_child("kernels_of_libraries_are_functions", &[], || {
        start();
        let (mut library, mut kernel, mut module) =
            (CUlibrary::NULL, CUkernel::NULL, CUmodule::NULL);
        let (none, no_values, no_options) = (null_mut(), null_mut(), null_mut());
        ok!(cuLibraryLoadData(
            &mut library,
            PTX.as_ptr().cast(),
            none,
            no_values,
            0,
            no_options,
            null_mut(),
            0
        ));
        ok!(cuLibraryGetKernel(&mut kernel, library, c"scale".as_ptr()));
        fails!(
            cuLibraryGetKernel(&mut kernel, library, c"nothing".as_ptr()),
            NOT_FOUND
        );
        let n = 1000u32;
        let (out, input) = (allocate(n as usize * 4), allocate(n as usize * 4));
        write(input, &(0..n).collect::<Vec<_>>());
        // The kernel itself, its function, and the function of the library's module.
        let mut own = CUfunction::NULL;
        ok!(cuKernelGetFunction(&mut own, kernel));
        ok!(cuLibraryGetModule(&mut module, library));
        for (index, handle) in [CUfunction(kernel.0), own, function(module, c"scale")]
            .into_iter()
            .enumerate()
        {
            let a = index as u32 + 2;
            scale(handle, CUstream::NULL, out, input, a, 0, n);
            assert!(
                read(out, n as usize).into_iter().eq((0..n).map(|i| i * a)),
                "{index}"
            );
        }
        // Attributes set through one are seen through the other.
        let mut value = 0;
        let attribute = CUfunction_attribute::MAX_DYNAMIC_SHARED_SIZE_BYTES;
        ok!(cuKernelSetAttribute(attribute, 70_000, kernel, 0));
        ok!(cuFuncGetAttribute(&mut value, attribute, own));
        assert_eq!(value, 70_000);
        ok!(cuLibraryUnload(library));
        fails!(cuKernelGetFunction(&mut own, kernel), INVALID_HANDLE);
    });
}

#[test]
fn captured_kernels_are_replayed_with_their_arguments() {
    in_child(
        "captured_kernels_are_replayed_with_their_arguments",
        &[],
        || {
            let module = start();
            let kernel = function(module, c"scale");
            let mut stream = CUstream::NULL;
            ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
            let n = 300u32;
            let (a, b) = (allocate(n as usize * 4), allocate(n as usize * 4));
            let capture = |factor| {
                let mut graph = CUgraph::NULL;
                ok!(cuStreamBeginCapture_v2(
                    stream,
                    CUstreamCaptureMode::RELAXED
                ));
                scale(kernel, stream, b, a, factor, 0, n);
                for _ in 0..10 {
                    scale(kernel, stream, b, b, 1, 1, n);
                }
                ok!(cuStreamEndCapture(stream, &mut graph));
                graph
            };
            write(a, &(0..n).collect::<Vec<_>>());
            let mut exec = CUgraphExec::NULL;
            ok!(cuGraphInstantiateWithFlags(&mut exec, capture(2), 0));
            for _ in 0..3 {
                ok!(cuGraphLaunch(exec, stream));
                ok!(cuStreamSynchronize(stream));
                assert!(read(b, n as usize)
                    .into_iter()
                    .eq((0..n).map(|i| i * 2 + 10)));
            }
            let mut info = CUgraphExecUpdateResultInfo {
                result: CUgraphExecUpdateResult::ERROR,
                errorNode: CUgraphNode::NULL,
                errorFromNode: CUgraphNode::NULL,
            };
            ok!(cuGraphExecUpdate_v2(exec, capture(5), &mut info));
            ok!(cuGraphLaunch(exec, stream));
            ok!(cuStreamSynchronize(stream));
            assert!(read(b, n as usize)
                .into_iter()
                .eq((0..n).map(|i| i * 5 + 10)));
        },
    );
}

#[test]
fn linked_ptx_is_an_image() {
    in_child("linked_ptx_is_an_image", &[], || {
        start();
        let mut link = CUlinkState::NULL;
        let (mut image, mut size) = (null_mut(), 0);
        let mut module = CUmodule::NULL;
        ok!(cuLinkCreate_v2(0, null_mut(), null_mut(), &mut link));
        let text = PTX.to_bytes_with_nul();
        let (data, name) = (text.as_ptr().cast_mut().cast(), c"test.ptx".as_ptr());
        let kind = CUjitInputType::PTX;
        ok!(cuLinkAddData_v2(
            link,
            kind,
            data,
            text.len(),
            name,
            0,
            null_mut(),
            null_mut()
        ));
        // Of the device runtime, which programs are linked with that have a kernel launch another: only such kernels are refused.
        let text =
            c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func cnpDeviceSynchronize;\n\
            .visible .entry parent() { call cnpDeviceSynchronize; ret; }";
        ok!(cuLinkAddData_v2(
            link,
            kind,
            text.as_ptr().cast_mut().cast(),
            text.count_bytes() + 1,
            c"runtime.ptx".as_ptr(),
            0,
            null_mut(),
            null_mut()
        ));
        ok!(cuLinkComplete(link, &mut image, &mut size));
        ok!(cuModuleLoadData(&mut module, image));
        ok!(cuLinkDestroy(link));
        function(module, c"scale");
        let parent = function(module, c"parent");
        let (none, no_names) = (null_mut(), null_mut());
        assert_eq!(
            // SAFETY: the kernel takes nothing.
            unsafe { cuLaunchKernel(parent, 1, 1, 1, 1, 1, 1, 0, CUstream::NULL, none, no_names) },
            CUresult::NOT_SUPPORTED
        );
    });
}

/// Of a library with machine code for this device and PTX for newer ones alone, that PTX is linked: the image is for this device
/// all the same.
#[test]
fn newer_ptx_is_linked_for_this_device() {
    in_child("newer_ptx_is_linked_for_this_device", &[], || {
        start();
        let newer = c".version 8.8\n.target sm_121\n.address_size 64\n\
            .visible .func (.param .b32 r) seven() { st.param.b32 [r], 7; ret; }";
        let library = common::fatbin(&[
            common::fatbin_entry(2, 90, 0x11, b"machine code", 0),
            common::fatbin_entry(1, 121, 0x11, newer.to_bytes(), 0),
        ]);
        let user = c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func (.param .b32 r) seven();\n\
            .visible .entry ask(.param .u64 to) { .reg .b32 %r; .reg .b64 %a; ld.param.u64 %a, [to];\n\
            { .param .b32 back; call.uni (back), seven, (); ld.param.b32 %r, [back]; } st.global.b32 [%a], %r; ret; }";
        for with_user in [true, false] {
            let mut link = CUlinkState::NULL;
            let (mut image, mut size) = (null_mut(), 0);
            let mut module = CUmodule::NULL;
            ok!(cuLinkCreate_v2(0, null_mut(), null_mut(), &mut link));
            let (kind, name) = (CUjitInputType::PTX, c"user.ptx".as_ptr());
            let (none, options) = (null_mut(), null_mut());
            let (data, length) = (user.as_ptr().cast_mut().cast(), user.count_bytes() + 1);
            if with_user {
                ok!(cuLinkAddData_v2(
                    link, kind, data, length, name, 0, options, none
                ));
            }
            let (kind, name) = (CUjitInputType::FATBINARY, c"library".as_ptr());
            let data = library.as_ptr().cast_mut().cast();
            ok!(cuLinkAddData_v2(
                link,
                kind,
                data,
                library.len(),
                name,
                0,
                options,
                none
            ));
            ok!(cuLinkComplete(link, &mut image, &mut size));
            ok!(cuModuleLoadData(&mut module, image));
            ok!(cuLinkDestroy(link));
            if with_user {
                let mut to = allocate(4);
                let mut arguments = [argument(&mut to)];
                let (ask, arguments) = (function(module, c"ask"), arguments.as_mut_ptr());
                let stream = CUstream::NULL;
                ok!(cuLaunchKernel(
                    ask, 1, 1, 1, 1, 1, 1, 0, stream, arguments, none
                ));
                assert_eq!(read(to, 1), [7]);
            }
        }
    });
}

/// A function that is declared with a result and defined without one, in another module: the result is undefined, the call is not.
#[test]
fn a_result_may_be_missing() {
    in_child("a_result_may_be_missing", &[], || {
        start();
        let callee = c".version 8.0\n.target sm_80\n.address_size 64\n\
            .visible .func put(.param .b64 to, .param .b32 value) { .reg .b32 %r; .reg .b64 %a;\n\
            ld.param.u64 %a, [to]; ld.param.u32 %r, [value]; st.u32 [%a], %r; ret; }";
        let caller = c".version 8.0\n.target sm_80\n.address_size 64\n\
            .extern .func (.param .b32 status) put(.param .b64 to, .param .b32 value);\n\
            .visible .entry ask(.param .u64 to) { .reg .b32 %r; .reg .b64 %a; ld.param.u64 %a, [to];\n\
            { .param .b64 p0; .param .b32 p1; .param .b32 back; st.param.b64 [p0], %a; st.param.b32 [p1], 9;\n\
            call.uni (back), put, (p0, p1); ld.param.b32 %r, [back]; } ret; }";
        let mut link = CUlinkState::NULL;
        let (mut image, mut size) = (null_mut(), 0);
        let mut module = CUmodule::NULL;
        ok!(cuLinkCreate_v2(0, null_mut(), null_mut(), &mut link));
        for text in [caller, callee] {
            ok!(cuLinkAddData_v2(
                link,
                CUjitInputType::PTX,
                text.as_ptr().cast_mut().cast(),
                text.count_bytes() + 1,
                c"part".as_ptr(),
                0,
                null_mut(),
                null_mut()
            ));
        }
        ok!(cuLinkComplete(link, &mut image, &mut size));
        ok!(cuModuleLoadData(&mut module, image));
        ok!(cuLinkDestroy(link));
        let mut to = allocate(4);
        let mut arguments = [argument(&mut to)];
        let (ask, arguments) = (function(module, c"ask"), arguments.as_mut_ptr());
        let (stream, none) = (CUstream::NULL, null_mut());
        ok!(cuLaunchKernel(
            ask, 1, 1, 1, 1, 1, 1, 0, stream, arguments, none
        ));
        assert_eq!(read(to, 1), [9]);
    });
}

/// The group of the grid as Numba has it: functions of the device runtime, whose own definitions, on system calls, are not taken.
#[test]
fn the_device_runtime_synchronises_grids() {
    in_child("the_device_runtime_synchronises_grids", &[], || {
        start();
        let text = c".version 8.0\n.target sm_80\n.address_size 64\n\
            .extern .func (.param .b64 handle) cudaCGGetIntrinsicHandle(.param .b32 scope);\n\
            .extern .func __cuda_syscall_any;\n\
            .visible .func (.param .b32 status) cudaCGSynchronize(.param .b64 handle, .param .b32 flags)\n\
            { call __cuda_syscall_any; st.param.b32 [status], 1; ret; }\n\
            .visible .entry meet(.param .u64 to, .param .u64 seen) {\n\
            .reg .b32 %x, %n, %r, %round; .reg .b64 %to, %seen, %i, %h; .reg .pred %p;\n\
            ld.param.u64 %to, [to]; ld.param.u64 %seen, [seen]; mov.u32 %x, %ctaid.x; mov.u32 %n, %nctaid.x; mov.u32 %round, 0;\n\
            { .param .b32 p0; .param .b64 r0; st.param.b32 [p0], 1; call.uni (r0), cudaCGGetIntrinsicHandle, (p0); ld.param.b64 %h, [r0]; }\n\
            AGAIN: atom.global.add.u32 %r, [%to], 1;\n\
            { .param .b64 p0; .param .b32 p1; .param .b32 r0; st.param.b64 [p0], %h; st.param.b32 [p1], 0;\n\
            call.uni (r0), cudaCGSynchronize, (p0, p1); ld.param.b32 %r, [r0]; }\n\
            mad.lo.u32 %n, %round, %n, %x; mul.wide.u32 %i, %n, 4; add.u64 %i, %i, %seen; ld.volatile.global.u32 %x, [%to];\n\
            add.u32 %x, %x, %r; st.global.u32 [%i], %x; mov.u32 %x, %ctaid.x; mov.u32 %n, %nctaid.x;\n\
            { .param .b64 p0; .param .b32 p1; .param .b32 r0; st.param.b64 [p0], %h; st.param.b32 [p1], 0;\n\
            call.uni (r0), cudaCGSynchronize, (p0, p1); }\n\
            add.u32 %round, %round, 1; setp.lt.u32 %p, %round, 3; @%p bra AGAIN; ret; }";
        let mut module = CUmodule::NULL;
        ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
        let meet = function(module, c"meet");
        // As many blocks as surely run at once; on GPUs of which that is not known, one.
        let (mut blocks, mut to, mut seen) = (0, allocate(4), allocate(24));
        ok!(cuDeviceGetAttribute(
            &mut blocks,
            CUdevice_attribute::MULTIPROCESSOR_COUNT,
            0
        ));
        let stream = CUstream::NULL;
        let mut arguments = [argument(&mut to), argument(&mut seen)];
        let arguments = arguments.as_mut_ptr();
        for blocks in [1, 2.min(blocks as u32)] {
            ok!(cuMemsetD32_v2(to, 0, 1));
            // SAFETY: the kernel takes two addresses.
            let status = unsafe {
                cuLaunchCooperativeKernel(meet, blocks, 1, 1, 32, 1, 1, 0, stream, arguments)
            };
            match status {
                CUresult::COOPERATIVE_LAUNCH_TOO_LARGE if blocks > 1 => continue,
                status => assert_eq!(status, CUresult::SUCCESS),
            }
            let all = 32 * blocks;
            let expected = (0..3).flat_map(|round| (0..blocks).map(move |_| (round + 1) * all));
            let words: Vec<u32> = expected.collect();
            assert_eq!(read(seen, words.len() as u32 as _), words);
        }
    });
}

#[test]
fn kernels_print() {
    if common::is_child() {
        let module = start();
        let kernel = function(module, c"print");
        for _ in 0..2 {
            ok!(cuLaunchKernel(
                kernel,
                1,
                1,
                1,
                3,
                1,
                1,
                0,
                CUstream::NULL,
                null_mut(),
                null_mut()
            ));
        }
        ok!(cuCtxSynchronize());
        return;
    }
    let output = common::run_child("kernels_print", &[]);
    for thread in 0..3 {
        assert_eq!(
            output.matches(&format!("thread {thread}!\n")).count(),
            2,
            "{output}"
        );
    }
}

#[test]
fn launch_attributes_are_kept_or_refused() {
    in_child("launch_attributes_are_kept_or_refused", &[], || {
        let module = start();
        let kernel = function(module, c"variables");
        let mut out = allocate(4);
        let mut arguments = [argument(&mut out)];
        let mut event = CUevent::NULL;
        ok!(cuEventCreate(&mut event, CU_EVENT_DISABLE_TIMING));
        let attribute = |id, words: [u32; 3]| {
            let mut value = CUlaunchAttributeValue { bytes: [0; 64] };
            value.dimensions = words;
            CUlaunchAttribute {
                id,
                pad: [0; 4],
                value,
            }
        };
        let event_words = [event.0 as u32, (event.0 >> 32) as u32, 0];
        let mut launch = |grid, list: &mut [CUlaunchAttribute]| {
            let config = CUlaunchConfig {
                gridDimX: grid,
                gridDimY: 1,
                gridDimZ: 1,
                blockDimX: 1,
                blockDimY: 1,
                blockDimZ: 1,
                sharedMemBytes: 0,
                hStream: CUstream::NULL,
                attrs: list.as_mut_ptr(),
                numAttrs: list.len() as u32,
            };
            // SAFETY: valid arguments.
            unsafe { cuLaunchKernelEx_ptsz(&config, kernel, arguments.as_mut_ptr(), null_mut()) }
        };
        use CUlaunchAttributeID as A;
        let serial = attribute(A::PROGRAMMATIC_STREAM_SERIALIZATION, [1, 0, 0]);
        let completion = attribute(A::LAUNCH_COMPLETION_EVENT, event_words);
        assert_eq!(launch(1, &mut [serial, completion]), CUresult::SUCCESS);
        ok!(cuEventSynchronize(event));
        assert_eq!(read(out, 1), [15]);
        let cooperative = attribute(A::COOPERATIVE, [1, 0, 0]);
        assert_eq!(launch(1, &mut [cooperative]), CUresult::SUCCESS);
        assert_eq!(
            launch(1000, &mut [cooperative]),
            CUresult::COOPERATIVE_LAUNCH_TOO_LARGE
        );
        assert_eq!(
            launch(2, &mut [attribute(A::CLUSTER_DIMENSION, [1, 1, 1])]),
            CUresult::SUCCESS
        );
        assert_eq!(
            launch(2, &mut [attribute(A::CLUSTER_DIMENSION, [2, 1, 1])]),
            CUresult::INVALID_CLUSTER_SIZE
        );
        assert_eq!(
            launch(1, &mut [attribute(A(99), [1, 0, 0])]),
            CUresult::INVALID_VALUE
        );
    });
}

/// What cuFFT does: the functions of a module through the private table 6e163fbe, slot 7.
#[test]
fn functions_of_a_module_are_visited() {
    type Visit = unsafe extern "C" fn(*mut c_void, CUfunction, *const std::ffi::c_char);
    type EachFunction = unsafe extern "C" fn(CUcontext, CUmodule, Visit, *mut c_void) -> usize;
    unsafe extern "C" fn visit(
        data: *mut c_void,
        function: CUfunction,
        name: *const std::ffi::c_char,
    ) {
        // SAFETY: the data is the list below, the name a C string.
        unsafe {
            let found = &mut *data.cast::<Vec<(CUfunction, String)>>();
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            found.push((function, name));
        }
    }
    in_child("functions_of_a_module_are_visited", &[], || {
        let module = start();
        let id = CUuuid {
            bytes: 0x6e163fbe_b958_444d_835c_e182aff1991e_u128.to_be_bytes(),
        };
        let mut table = std::ptr::null();
        ok!(cuGetExportTable(&mut table, &id));
        // SAFETY: slot 7 holds the function.
        let each: EachFunction =
            unsafe { std::mem::transmute(*table.cast::<*const c_void>().add(7)) };
        let mut found: Vec<(CUfunction, String)> = Vec::new();
        let data = (&raw mut found).cast();
        // SAFETY: as above.
        let count = unsafe { each(CUcontext::NULL, module, visit, data) };
        let mut expected = 0;
        ok!(cuModuleGetFunctionCount(&mut expected, module));
        assert_eq!((count, found.len()), (expected as usize, expected as usize));
        let scale = found.iter().find(|f| f.1 == "scale").expect("the kernel");
        assert_eq!(scale.0, function(module, c"scale"));
        // SAFETY: as above.
        let none = unsafe { each(CUcontext::NULL, CUmodule::NULL, visit, data) };
        assert_eq!(none, 0);
    });
}

/// `nanosleep` takes time, of which `%globaltimer` tells as much as the host's clock; where nobody knows what a tick of the
/// device's clock is, neither says anything.
#[test]
fn sleep_takes_time() {
    const SLEEPER: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.visible .entry sleeper(.param .u64 out) {
    .reg .pred %p<2>;
    .reg .b32 %r<3>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [out];
    mov.u64 %rd2, %globaltimer;
    mov.u32 %r1, 0;
again:
    mov.u32 %r2, 1000000;
    nanosleep.u32 %r2;
    add.u32 %r1, %r1, 1;
    setp.lt.u32 %p1, %r1, 20;
    @%p1 bra again;
    mov.u64 %rd3, %globaltimer;
    sub.u64 %rd4, %rd3, %rd2;
    st.global.u64 [%rd1], %rd4;
    ret;
}";
    in_child("sleep_takes_time", &[], || {
        primary();
        let mut module = CUmodule::NULL;
        ok!(cuModuleLoadData(&mut module, SLEEPER.as_ptr().cast()));
        let mut out = allocate(8);
        let mut arguments = [argument(&mut out)];
        // Once to compile it.
        let mut launch = || {
            let began = std::time::Instant::now();
            // SAFETY: valid arguments.
            let status = unsafe {
                cuLaunchKernel(
                    function(module, c"sleeper"),
                    1,
                    1,
                    1,
                    32,
                    1,
                    1,
                    0,
                    CUstream::NULL,
                    arguments.as_mut_ptr(),
                    null_mut(),
                )
            };
            assert_eq!(status, CUresult::SUCCESS);
            ok!(cuCtxSynchronize());
            began.elapsed()
        };
        launch();
        let host = launch();
        let words = read(out, 2);
        let device = u64::from(words[1]) << 32 | u64::from(words[0]);
        assert!(device >= 19_000_000, "{device} ns are not 20 times 1 ms");
        assert!(
            device as u128 <= host.as_nanos() * 11 / 10,
            "{device} ns of {host:?}"
        );
    });
}
