//! What the tests share: child processes, and NVIDIA's runtime libraries where the environment names some.

#![allow(dead_code, unused_macros)]

/// A call of the driver API that succeeds.
macro_rules! ok {
    ($call:expr) => {
        // SAFETY: the arguments are as the function's documentation asks.
        assert_eq!(unsafe { $call }, CUresult::SUCCESS, "{}", stringify!($call))
    };
}

/// A call of the driver API that fails in this way.
macro_rules! fails {
    ($call:expr, $status:ident) => {
        // SAFETY: the arguments are as the function's documentation asks, up to the one that is meant to be wrong.
        assert_eq!(unsafe { $call }, CUresult::$status, "{}", stringify!($call))
    };
}

use cuda::exports::*;
use cuda_abi::*;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// A module with the kernel `add`, which adds a number to each word of an array.
pub const ADD_PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
// data[i] += step
.visible .entry add(.param .u64 data, .param .u32 step) {
    .reg .b32 %r<6>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [data];
    ld.param.u32 %r1, [step];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r2, %r2, %r3, %r4;
    mul.wide.u32 %rd2, %r2, 4;
    add.u64 %rd3, %rd1, %rd2;
    ld.global.u32 %r5, [%rd3];
    add.u32 %r5, %r5, %r1;
    st.global.u32 [%rd3], %r5;
    ret;
}
";

/// An entry of a fatbin: a kind (1 PTX, 2 machine code), the device (`sm_`), flags, what is stored, and the size it is said to
/// have.
pub fn fatbin_entry(kind: u16, sm: u32, flags: u64, stored: &[u8], size: u64) -> Vec<u8> {
    let padded = stored.len().next_multiple_of(8);
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([1, 1]);
    for word in [
        64,
        padded as u32,
        0,
        stored.len() as u32,
        0,
        4 | 8 << 16,
        sm,
    ] {
        bytes.extend(u32::to_le_bytes(word));
    }
    bytes.resize(40, 0);
    bytes.extend(flags.to_le_bytes());
    bytes.resize(56, 0);
    bytes.extend(size.to_le_bytes());
    bytes.extend(stored);
    bytes.resize(64 + padded, 0);
    bytes
}

/// A fatbin of entries.
pub fn fatbin(entries: &[Vec<u8>]) -> Vec<u8> {
    let length: usize = entries.iter().map(Vec::len).sum();
    let mut bytes = 0xba55ed50u32.to_le_bytes().to_vec();
    bytes.extend([1, 0, 16, 0]);
    bytes.extend((length as u64).to_le_bytes());
    bytes.extend(entries.concat());
    bytes
}

/// Initialises CUDA and makes device 0's primary context current.
pub fn primary() -> CUcontext {
    let mut context = CUcontext::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    context
}

/// Device memory of some bytes.
pub fn allocate(size: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, size));
    address
}

/// A kernel of a module.
pub fn function(module: CUmodule, name: &CStr) -> CUfunction {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    function
}

/// Set in a child process.
const CHILD: &str = "VKCUDA_TEST_CHILD";

/// How long a child process may take. Generous: only what hangs gets there.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Whether this process is the child of a test.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this test program in a process of its own, where `body` does the work; a crash there is a failure here.
///
/// `environment` is set for the child, in which CPU devices count.
pub fn in_child(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    run_child(test, environment);
}

/// Runs one test of this test program in a process of its own and gives what it printed.
pub fn run_child(test: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("the test program's path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
        .env(CHILD, "1")
        .env("VKCUDA_ALLOW_CPU", "1")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("a child process");
    let process = child.id() as libc::pid_t;
    let (finished, wait) = mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        let late = wait.recv_timeout(TIME_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            // SAFETY: the child is not waited for yet, so that the number is still its own.
            unsafe { libc::kill(process, libc::SIGKILL) };
        }
        late
    });
    let output = child.wait_with_output().expect("the child's output");
    drop(finished);
    assert!(
        !guard.join().expect("a thread that only waits"),
        "{test} {environment:?} took longer than {TIME_LIMIT:?}"
    );
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{test} {environment:?}: {}\n{text}",
        output.status
    );
    assert!(text.contains("1 passed"), "{test} did not run\n{text}");
    text
}

/// A new directory with the libcuda.so that this build made, as `libcuda.so.1`. The caller removes it.
pub fn library_directory() -> PathBuf {
    let program = std::env::current_exe().expect("the test program's path");
    let deps = program.parent().expect("a directory");
    let built = [deps.join("libcuda.so"), deps.join("../libcuda.so")]
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(|path| path.metadata().and_then(|m| m.modified()).ok())
        .expect("libcuda.so: build the package first");
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = deps.join(format!("libcuda-for-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the library");
    let link = directory.join("libcuda.so.1");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(built, link).expect("a link to the library");
    directory
}

/// The runtime libraries in the directories of `VKCUDA_CUDART_DIRS`, which are searched to any depth.
pub fn runtimes() -> Vec<PathBuf> {
    let Some(directories) =
        std::env::var_os("VKCUDA_CUDART_DIRS").or_else(|| std::env::var_os("VKCUDA_CUDART"))
    else {
        eprintln!("VKCUDA_CUDART_DIRS is not set: NOTHING TESTED against NVIDIA's runtime");
        return Vec::new();
    };
    let mut found = Vec::new();
    std::env::split_paths(&directories).for_each(|directory| search(&directory, &mut found));
    found.sort();
    assert!(!found.is_empty(), "no libcudart.so.* in {directories:?}");
    found
}

fn search(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => search(&path, found),
            false
                if entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("libcudart.so.") =>
            {
                found.push(path)
            }
            false => {}
        }
    }
}
