//! What cannot be: the CUDA error, a line in the log that says why, no panic, no hang, and a process that goes on where
//! CUDA lets it.

mod common;

use common::{in_child, is_child, run_child};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr::null_mut;

/// Calls a driver function: `call!(cuInit(0))`.
macro_rules! call {
    ($call:expr) => {
        // SAFETY: the arguments are as the function's documentation asks, up to the one that is meant to be wrong.
        unsafe { $call }
    };
}

macro_rules! ok {
    ($call:expr) => {
        assert_eq!(call!($call), CUresult::SUCCESS, "{}", stringify!($call))
    };
}

macro_rules! fails {
    ($call:expr, $status:ident) => {
        assert_eq!(call!($call), CUresult::$status, "{}", stringify!($call))
    };
}

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

/// Runs `body` in a child process and then looks for words in what that printed.
fn in_logging_child(test: &str, environment: &[(&str, &str)], words: &[&str], body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let text = run_child(test, &[environment, &[("VKCUDA_LOG", "warn")]].concat());
    for word in words {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
    assert!(!text.contains("internal error"), "{text}");
}

/// Opens the primary context.
fn start() {
    let mut context = CUcontext::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
}

fn load(ptx: &str) -> CUmodule {
    let (mut module, text) = (CUmodule::NULL, CString::new(ptx).unwrap());
    ok!(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    module
}

/// Launches the kernel of a name without arguments, in one thread.
fn launch(module: CUmodule, name: &CStr) -> CUresult {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    call!(cuLaunchKernel(
        function,
        1,
        1,
        1,
        1,
        1,
        1,
        0,
        CUstream::NULL,
        null_mut(),
        null_mut()
    ))
}

/// The context computes: a fill arrives.
fn works() {
    let (mut address, mut value) = (0, 0u32);
    ok!(cuMemAlloc_v2(&mut address, 4));
    ok!(cuMemsetD32_v2(address, 77, 1));
    ok!(cuMemcpyDtoH_v2(
        std::ptr::from_mut(&mut value).cast(),
        address,
        4
    ));
    assert_eq!(value, 77);
    ok!(cuMemFree_v2(address));
}

/// Loads an image with a buffer for errors, and gives the status and the message.
fn load_with_log(image: &CStr) -> (CUresult, String) {
    let (mut module, mut log) = (CUmodule::NULL, [0 as c_char; 512]);
    let mut options = [
        CUjit_option::ERROR_LOG_BUFFER,
        CUjit_option::ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    let mut values = [log.as_mut_ptr().cast::<c_void>(), 512 as *mut c_void];
    let status = call!(cuModuleLoadDataEx(
        &mut module,
        image.as_ptr().cast(),
        2,
        options.as_mut_ptr(),
        values.as_mut_ptr()
    ));
    // SAFETY: the buffer is NUL-terminated.
    let message = unsafe { CStr::from_ptr(log.as_ptr()) };
    let message = message.to_str().unwrap().to_owned();
    let written = values[1] as usize;
    assert_eq!(
        written,
        if message.is_empty() {
            0
        } else {
            message.len() + 1
        }
    );
    (status, message)
}

#[test]
fn without_a_vulkan_driver_there_is_no_device() {
    let none = [
        ("VK_DRIVER_FILES", "/nonexistent"),
        ("VK_ICD_FILENAMES", "/nonexistent"),
    ];
    in_logging_child(
        "without_a_vulkan_driver_there_is_no_device",
        &none,
        &["no CUDA device: no Vulkan"],
        || {
            fails!(cuInit(0), NO_DEVICE);
            fails!(cuInit(0), NO_DEVICE);
            let mut version = 0;
            ok!(cuDriverGetVersion(&mut version));
            assert!(version >= 12000);
            let mut context = CUcontext::NULL;
            fails!(cuDevicePrimaryCtxRetain(&mut context, 0), NO_DEVICE);
        },
    );
}

/// A fatbin with one entry for `sm_80`: a kind (1 PTX, 2 machine code), flags, what is stored, and the size it is said to have.
fn fatbin(kind: u16, flags: u64, stored: &[u8], size: u64) -> Vec<u8> {
    common::fatbin(&[common::fatbin_entry(kind, 80, flags, stored, size)])
}

const PLAIN: u64 = 0x11;
const LZ4: u64 = 0x2011;
const ZSTD: u64 = 0x8011;

/// The status of loading bytes as a file.
fn load_file(bytes: &[u8]) -> CUresult {
    let path = std::env::temp_dir().join(format!("vkcuda-refusals-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let name = CString::new(path.to_str().unwrap()).unwrap();
    let mut module = CUmodule::NULL;
    let status = call!(cuModuleLoad(&mut module, name.as_ptr()));
    std::fs::remove_file(path).unwrap();
    status
}

#[test]
fn a_broken_fatbin_is_an_invalid_image() {
    in_logging_child(
        "a_broken_fatbin_is_an_invalid_image",
        &[],
        &["not a valid image"],
        || {
            start();
            let ptx = format!("{HEAD}.visible .entry k() {{ ret; }}\n");
            let sound = fatbin(1, PLAIN, ptx.as_bytes(), 0);
            assert_eq!(load_file(&sound), CUresult::SUCCESS);
            for length in [4, 15, 16, 40, 79, 90, sound.len() - 8] {
                assert_eq!(
                    load_file(&sound[..length]),
                    CUresult::INVALID_IMAGE,
                    "{length} bytes"
                );
            }
            let mut magic = sound.clone();
            magic[0] ^= 0xff;
            assert_eq!(load_file(&magic), CUresult::INVALID_IMAGE);
            // Neither is compressed data.
            for flags in [LZ4, ZSTD] {
                let broken = fatbin(1, flags, &[0xf7; 64], 500);
                assert_eq!(load_file(&broken), CUresult::INVALID_IMAGE);
                // From memory, as programs have it.
                let mut module = CUmodule::NULL;
                fails!(
                    cuModuleLoadData(&mut module, broken.as_ptr().cast()),
                    INVALID_IMAGE
                );
            }
            works();
        },
    );
}

#[test]
fn machine_code_alone_is_no_binary_for_this_device() {
    in_logging_child(
        "machine_code_alone_is_no_binary_for_this_device",
        &[],
        &["no PTX for compute capability 9.0", "SASS for sm_80"],
        || {
            start();
            let image = fatbin(2, PLAIN, b"\x7fELF machine code", 0);
            let mut module = CUmodule::NULL;
            fails!(
                cuModuleLoadData(&mut module, image.as_ptr().cast()),
                NO_BINARY_FOR_GPU
            );
            // A library says so when something of it is wanted.
            let (mut library, mut kernel) = (CUlibrary::NULL, CUkernel::NULL);
            let null: *mut c_void = null_mut();
            let status = call!(cuLibraryLoadData(
                &mut library,
                image.as_ptr().cast(),
                null.cast(),
                null.cast(),
                0,
                null.cast(),
                null.cast(),
                0
            ));
            if status == CUresult::SUCCESS {
                fails!(
                    cuLibraryGetKernel(&mut kernel, library, c"k".as_ptr()),
                    NO_BINARY_FOR_GPU
                );
            } else {
                assert_eq!(status, CUresult::NO_BINARY_FOR_GPU);
            }
            works();
        },
    );
}

#[test]
fn ptx_with_errors_is_told_with_line_and_reason() {
    in_child("ptx_with_errors_is_told_with_line_and_reason", &[], || {
        start();
        let text = |body: &str| CString::new(format!("{HEAD}{body}")).unwrap();
        for (body, line, reason) in [
            (".entry k() { nonsense; \n", 4, ""),
            (".entry k()\n{\n  ret\n}\n", 7, ""),
            (".entry k()\n{\n  mov.u32 %r1, 1;\n  ret;\n}\n", 6, "%r1"),
            (".visible .entry k(.param .u32) { ret; }\n", 4, ""),
            // A form that the instruction does not have, or operands of a wrong kind or type.
            (".entry k() {\n .reg .f32 %f<2>; .reg .b32 %r<2>;\n add.u32 %r1, %r1, %f1;\n ret; }\n", 6, "operand 3"),
            (".entry k() {\n .reg .b32 %r<2>;\n\n add.u32 %r1, %r1;\n ret; }\n", 7, "3 operands"),
            (".entry k() {\n .reg .b32 %r<2>;\n add.b32 %r1, %r1, 1;\n ret; }\n", 6, "types"),
            (".entry k() {\n .reg .b32 %r<2>;\n add.ftz.u32 %r1, %r1, 1;\n ret; }\n", 6, ".ftz"),
            (".entry k() {\n .reg .b32 %r<2>;\n add.fast.u32 %r1, %r1, 1;\n ret; }\n", 6, "fast"),
            (".entry k() { ret; }\n.func f() {\n .reg .b32 %r<2>;\n @%r1 ret;\n ret; }\n", 7, "predicate"),
        ] {
            let (status, message) = load_with_log(&text(body));
            assert_eq!(status, CUresult::INVALID_PTX, "{body}: {message}");
            assert!(
                message.starts_with(&format!("line {line}:")),
                "{body}: {message}"
            );
            assert!(message.contains(reason), "{body}: {message}");
        }
        assert_eq!(
            load_with_log(&text(".entry k() { ret; }\n")),
            (CUresult::SUCCESS, String::new())
        );
        let mut module = CUmodule::NULL;
        fails!(
            cuModuleLoadData(&mut module, std::ptr::null()),
            INVALID_VALUE
        );
        works();
    });
}

/// An instruction that the translator knows and cannot have: the launch fails, the log says which.
#[test]
fn an_unsupported_instruction_is_named() {
    in_logging_child(
        "an_unsupported_instruction_is_named",
        &[],
        &["kernel fetch", "line 10", "tex.2dms.v4.f32.s32"],
        || {
            start();
            let module = load(&format!(
                "{HEAD}.global .texref image;
                .visible .entry fetch()
                {{
                    .reg .b32 %r<2>;
                    .reg .f32 %f<5>;
                    mov.u32 %r1, 0;
                    tex.2dms.v4.f32.s32 {{%f1, %f2, %f3, %f4}}, [image, {{%r1, %r1, %r1, %r1}}];
                    ret;
                }}
                .visible .entry nothing() {{ ret; }}\n"
            ));
            assert_eq!(launch(module, c"fetch"), CUresult::NOT_SUPPORTED);
            assert_eq!(launch(module, c"nothing"), CUresult::SUCCESS);
            ok!(cuCtxSynchronize());
            works();
        },
    );
}

#[test]
fn too_much_memory_is_refused_and_nothing_else_happens() {
    in_child(
        "too_much_memory_is_refused_and_nothing_else_happens",
        &[],
        || {
            start();
            let (mut address, mut pointer) = (0, null_mut());
            for size in [1usize << 50, usize::MAX] {
                fails!(cuMemAlloc_v2(&mut address, size), OUT_OF_MEMORY);
                fails!(
                    cuMemAllocManaged(&mut address, size, CU_MEM_ATTACH_GLOBAL),
                    OUT_OF_MEMORY
                );
                fails!(cuMemHostAlloc(&mut pointer, size, 0), OUT_OF_MEMORY);
                fails!(
                    cuMemAllocAsync(&mut address, size, CUstream::NULL),
                    OUT_OF_MEMORY
                );
            }
            ok!(cuCtxSynchronize());
            works();
        },
    );
}

/// A kernel's fault is the answer to every later call until the context is reset.
fn sticks(ptx: &str, status: CUresult) {
    start();
    let module = load(ptx);
    let (mut byte, mut address, mut other) = (0u8, 0, 0);
    ok!(cuMemAlloc_v2(&mut address, 16));
    assert_eq!(launch(module, c"fault"), CUresult::SUCCESS, "asynchronous");
    assert_eq!(call!(cuCtxSynchronize()), status);
    assert_eq!(call!(cuMemAlloc_v2(&mut other, 16)), status);
    assert_eq!(launch(module, c"fault"), status);
    assert_eq!(
        call!(cuMemcpyDtoH_v2(
            std::ptr::from_mut(&mut byte).cast(),
            address,
            1
        )),
        status
    );
    assert_eq!(call!(cuStreamSynchronize(CUstream::NULL)), status);
    ok!(cuDevicePrimaryCtxReset_v2(0));
    start();
    works();
}

#[test]
fn a_trap_is_a_failed_launch() {
    in_logging_child("a_trap_is_a_failed_launch", &[], &["trap"], || {
        sticks(
            &format!("{HEAD}.visible .entry fault() {{ trap; }}\n"),
            CUresult::LAUNCH_FAILED,
        );
    });
}

#[test]
fn recursion_without_end_is_a_failed_launch() {
    in_logging_child(
        "recursion_without_end_is_a_failed_launch",
        &[],
        &["trap"],
        || {
            sticks(
                &format!(
                    "{HEAD}.func f() {{ call.uni f, (); ret; }}\n\
                     .visible .entry fault() {{ call.uni f, (); ret; }}\n"
                ),
                CUresult::LAUNCH_FAILED,
            );
        },
    );
}

/// A module whose kernel `fault` fails an assertion in all but the first two threads of a block.
fn asserting() -> String {
    let text = |name: &str, text: &str| {
        let bytes: Vec<_> = text.bytes().map(|b| b.to_string()).collect();
        format!(
            ".global .align 1 .b8 {name}[{}] = {{{}, 0}};\n",
            bytes.len() + 1,
            bytes.join(", ")
        )
    };
    let strings = text("message", "1 == 2") + &text("file", "a.cu") + &text("name", "fault()");
    format!(
        "{HEAD}{strings}
        .extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);
        .visible .entry fault() {{
            .reg .b64 %rd<4>;
            .reg .b32 %r<3>;
            .reg .pred %p;
            mov.u32 %r1, %tid.x;
            mov.u32 %r2, %tid.y;
            add.u32 %r1, %r1, %r2;
            setp.lt.u32 %p, %r1, 2;
            @%p ret;
            mov.u64 %rd1, message;
            cvta.global.u64 %rd1, %rd1;
            mov.u64 %rd2, file;
            cvta.global.u64 %rd2, %rd2;
            mov.u64 %rd3, name;
            cvta.global.u64 %rd3, %rd3;
            {{
                .param .b64 p0;
                .param .b64 p1;
                .param .b32 p2;
                .param .b64 p3;
                .param .b64 p4;
                st.param.b64 [p0], %rd1;
                st.param.b64 [p1], %rd2;
                st.param.b32 [p2], 12;
                st.param.b64 [p3], %rd3;
                st.param.b64 [p4], 1;
                call.uni __assertfail, (p0, p1, p2, p3, p4);
            }}
            ret;
        }}\n"
    )
}

/// A block of 2 x 3 threads of the module [`asserting`].
fn launch_asserting(module: CUmodule) {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(
        &mut function,
        module,
        c"fault".as_ptr()
    ));
    let (none, stream) = (null_mut(), CUstream::NULL);
    ok!(cuLaunchKernel(
        function,
        1,
        2,
        1,
        2,
        3,
        1,
        0,
        stream,
        none,
        null_mut()
    ));
}

/// What NVIDIA's driver writes for those of its threads that fail.
const ASSERTED: [&str; 6] = [
    "a.cu:12: fault(): block: [0,0,0], thread: [1,1,0] Assertion `1 == 2` failed.\n",
    "a.cu:12: fault(): block: [0,0,0], thread: [0,2,0] Assertion `1 == 2` failed.\n",
    "a.cu:12: fault(): block: [0,0,0], thread: [1,2,0] Assertion `1 == 2` failed.\n",
    "a.cu:12: fault(): block: [0,1,0], thread: [1,1,0] Assertion `1 == 2` failed.\n",
    "a.cu:12: fault(): block: [0,1,0], thread: [0,2,0] Assertion `1 == 2` failed.\n",
    "a.cu:12: fault(): block: [0,1,0], thread: [1,2,0] Assertion `1 == 2` failed.\n",
];

/// Runs a test in a child process, whose output has the text of each thread's assertion once.
fn in_asserting_child(test: &str, body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let text = run_child(test, &[]);
    for line in ASSERTED {
        assert_eq!(text.matches(line).count(), 1, "{line:?} in\n{text}");
    }
    assert_eq!(text.matches("Assertion").count(), ASSERTED.len(), "{text}");
}

#[test]
fn each_thread_says_which_assertion_failed() {
    in_asserting_child("each_thread_says_which_assertion_failed", || {
        start();
        launch_asserting(load(&asserting()));
        fails!(cuCtxSynchronize(), ASSERT);
        fails!(cuCtxSynchronize(), ASSERT);
        fails!(cuStreamSynchronize(CUstream::NULL), ASSERT);
    });
}

#[test]
fn a_copy_tells_of_failed_assertions() {
    in_asserting_child("a_copy_tells_of_failed_assertions", || {
        start();
        let (mut address, mut value) = (0, 0u32);
        ok!(cuMemAlloc_v2(&mut address, 4));
        launch_asserting(load(&asserting()));
        let to = std::ptr::from_mut(&mut value).cast();
        fails!(cuMemcpyDtoH_v2(to, address, 4), ASSERT);
    });
}

#[test]
fn a_graph_tells_of_failed_assertions() {
    in_asserting_child("a_graph_tells_of_failed_assertions", || {
        start();
        let module = load(&asserting());
        let (mut stream, mut graph) = (CUstream::NULL, CUgraph::NULL);
        let mut executable = CUgraphExec::NULL;
        ok!(cuStreamCreate(&mut stream, 1));
        let mut function = CUfunction::NULL;
        let (name, none) = (c"fault".as_ptr(), null_mut());
        ok!(cuModuleGetFunction(&mut function, module, name));
        let mode = CUstreamCaptureMode::GLOBAL;
        ok!(cuStreamBeginCapture_v2(stream, mode));
        ok!(cuLaunchKernel(
            function,
            1,
            2,
            1,
            2,
            3,
            1,
            0,
            stream,
            none,
            null_mut()
        ));
        ok!(cuStreamEndCapture(stream, &mut graph));
        ok!(cuGraphInstantiateWithFlags(&mut executable, graph, 0));
        ok!(cuGraphLaunch(executable, stream));
        fails!(cuStreamSynchronize(stream), ASSERT);
    });
}

#[test]
fn a_failed_assertion_is_an_assert() {
    in_logging_child("a_failed_assertion_is_an_assert", &[], &["assert"], || {
        // In one thread none fails.
        let text = asserting().replace("@%p ret;", "");
        sticks(&text, CUresult::ASSERT);
    });
}
