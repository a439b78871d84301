//! What calls of the CUDA driver API cost, on whichever `libcuda.so.1` the loader finds.
//!
//! The same program runs on this project's library and on NVIDIA's own, so that the two can be set side by side:
//!
//! ```text
//! LD_LIBRARY_PATH=DIR launch-cost
//! ```
//!
//! Every line is the best of several rounds. "Host" is the time until the call returns, averaged over a burst of calls;
//! "through" is the time until all of the burst has run, divided by its length.

use std::cell::Cell;
use std::ffi::{c_char, c_void, CString};
use std::ptr;
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use clap::Parser;
use cuda_abi::{CUcontext, CUdevice, CUdeviceptr, CUfunction, CUmodule, CUresult, CUstream};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

#[derive(Parser)]
#[command(about = "Measures launches, graphs, small copies and waiting of a libcuda.so.1")]
struct Options {
    /// Launches in a burst, and kernel nodes in the graph.
    #[arg(long, default_value_t = 1000)]
    burst: u32,
    /// Rounds, of which the best counts.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
}

/// `empty` does nothing; `chain` adds one to a word by one thread of its first block, so that each launch depends on the one
/// before.
const PTX: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry empty() { ret; }
.visible .entry chain(.param .u64 at)
{
    .reg .b64 %rd<3>; .reg .b32 %r<3>; .reg .pred %p;
    ld.param.u64 %rd1, [at];
    cvta.to.global.u64 %rd1, %rd1;
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    or.b32 %r1, %r1, %r2;
    setp.ne.u32 %p, %r1, 0;
    @%p bra done;
    ld.global.u32 %r2, [%rd1];
    add.u32 %r2, %r2, 1;
    st.global.u32 [%rd1], %r2;
done:
    ret;
}
";

macro_rules! api {
    ($($field:ident = $symbol:literal: fn($($arg:ty),*);)*) => {
        /// The functions that are measured.
        struct Api {
            $($field: unsafe extern "C" fn($($arg),*) -> CUresult,)*
            _library: Library,
        }

        impl Api {
            fn load() -> Result<Self> {
                // SAFETY: loading the driver runs its initialisers, which any program that uses CUDA has to accept.
                let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_NOW | RTLD_LOCAL) }?;
                // SAFETY: the types are those of cuda.h for these symbols.
                unsafe {
                    Ok(Self {
                        $($field: *library.get(concat!($symbol, "\0").as_bytes()).context($symbol)?,)*
                        _library: library,
                    })
                }
            }
        }
    };
}

api! {
    init = "cuInit": fn(u32);
    device_get = "cuDeviceGet": fn(*mut CUdevice, i32);
    device_get_name = "cuDeviceGetName": fn(*mut c_char, i32, CUdevice);
    context_retain = "cuDevicePrimaryCtxRetain": fn(*mut CUcontext, CUdevice);
    context_set = "cuCtxSetCurrent": fn(CUcontext);
    load = "cuModuleLoadData": fn(*mut CUmodule, *const c_void);
    function = "cuModuleGetFunction": fn(*mut CUfunction, CUmodule, *const c_char);
    alloc = "cuMemAlloc_v2": fn(*mut CUdeviceptr, usize);
    copy_in = "cuMemcpyHtoDAsync_v2": fn(CUdeviceptr, *const c_void, usize, CUstream);
    copy_out = "cuMemcpyDtoHAsync_v2": fn(*mut c_void, CUdeviceptr, usize, CUstream);
    stream_create = "cuStreamCreate": fn(*mut CUstream, u32);
    synchronize = "cuStreamSynchronize": fn(CUstream);
    launch = "cuLaunchKernel": fn(CUfunction, u32, u32, u32, u32, u32, u32, u32, CUstream, *mut *mut c_void, *mut *mut c_void);
    capture = "cuStreamBeginCapture_v2": fn(CUstream, i32);
    capture_end = "cuStreamEndCapture": fn(CUstream, *mut *mut c_void);
    instantiate = "cuGraphInstantiateWithFlags": fn(*mut *mut c_void, *mut c_void, u64);
    graph_launch = "cuGraphLaunch": fn(*mut c_void, CUstream);
}

/// A call's result as an error with the function's name.
fn check(what: &str, result: CUresult) -> Result<()> {
    ensure!(result == CUresult::SUCCESS, "{what} returned {result:?}");
    Ok(())
}

macro_rules! call {
    ($api:expr, $name:ident ( $($arg:expr),* )) => {
        // SAFETY: the arguments have the types of cuda.h; pointers are to live variables of that type.
        check(stringify!($name), unsafe { ($api.$name)($($arg),*) })?
    };
}

/// A kernel on a stream with one parameter.
struct Launch<'a> {
    api: &'a Api,
    function: CUfunction,
    stream: CUstream,
    blocks: u32,
    threads: u32,
    parameter: CUdeviceptr,
}

impl Launch<'_> {
    fn run(&self) -> Result<()> {
        let mut parameter = self.parameter;
        let mut parameters = [ptr::from_mut(&mut parameter).cast::<c_void>()];
        call!(
            self.api,
            launch(
                self.function,
                self.blocks,
                1,
                1,
                self.threads,
                1,
                1,
                0,
                self.stream,
                parameters.as_mut_ptr(),
                ptr::null_mut()
            )
        );
        Ok(())
    }
}

/// Best seconds of a burst: until the calls have returned, and until all has run.
fn best(
    rounds: u32,
    mut burst: impl FnMut() -> Result<()>,
    mut wait: impl FnMut() -> Result<()>,
) -> Result<(f64, f64)> {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        let begin = Instant::now();
        burst()?;
        let host = begin.elapsed().as_secs_f64();
        wait()?;
        let through = begin.elapsed().as_secs_f64();
        best = (best.0.min(host), best.1.min(through));
    }
    Ok(best)
}

fn main() -> Result<()> {
    let options = Options::parse();
    let api = Api::load()?;
    let (mut device, mut context) = (0, CUcontext::NULL);
    call!(api, init(0));
    call!(api, device_get(&mut device, 0));
    let mut name = [0u8; 256];
    call!(api, device_get_name(name.as_mut_ptr().cast(), 255, device));
    println!("{}", String::from_utf8_lossy(&name).trim_end_matches('\0'));
    call!(api, context_retain(&mut context, device));
    call!(api, context_set(context));
    let (mut module, text) = (CUmodule::NULL, CString::new(PTX)?);
    call!(api, load(&mut module, text.as_ptr().cast()));
    let function = |name: &str| -> Result<CUfunction> {
        let (mut function, name) = (CUfunction::NULL, CString::new(name)?);
        call!(api, function(&mut function, module, name.as_ptr()));
        Ok(function)
    };
    let mut memory = 0;
    call!(api, alloc(&mut memory, 1 << 20));
    let zero = 0u32;
    let mut stream = CUstream::NULL;
    call!(api, stream_create(&mut stream, 1));
    let wait = || -> Result<()> {
        call!(api, synchronize(stream));
        Ok(())
    };
    call!(api, copy_in(memory, ptr::from_ref(&zero).cast(), 4, stream));
    wait()?;
    let launches = Cell::new(0u32);
    let (burst, rounds) = (options.burst, options.rounds);
    let each = |seconds: f64| seconds / f64::from(burst) * 1e6;

    for (name, blocks, threads) in [("empty", 1, 32), ("chain", 1, 32), ("chain", 528, 256)] {
        let launch = Launch {
            api: &api,
            function: function(name)?,
            stream,
            blocks,
            threads,
            parameter: memory,
        };
        let counts = name == "chain";
        let counted = |by: u32| {
            if counts {
                launches.set(launches.get() + by);
            }
        };
        let many = || {
            counted(burst);
            (0..burst).try_for_each(|_| launch.run())
        };
        many()?;
        wait()?;
        let (host, through) = best(rounds, many, wait)?;
        println!(
            "cuLaunchKernel, {name} x {blocks}: host {:.3} us, through {:.3} us",
            each(host),
            each(through)
        );
        let (_, one) = best(
            rounds * 10,
            || {
                counted(1);
                launch.run()
            },
            wait,
        )?;
        println!(
            "one launch and cuStreamSynchronize, {name} x {blocks}: {:.2} us",
            one * 1e6
        );
        let (mut graph, mut instance) = (ptr::null_mut(), ptr::null_mut());
        call!(api, capture(stream, 2));
        (0..burst).try_for_each(|_| launch.run())?;
        call!(api, capture_end(stream, &mut graph));
        call!(api, instantiate(&mut instance, graph, 0));
        let replay = || -> Result<()> {
            counted(burst);
            call!(api, graph_launch(instance, stream));
            Ok(())
        };
        replay()?;
        wait()?;
        let (host, through) = best(rounds, replay, wait)?;
        println!(
            "cuGraphLaunch of {burst} kernels, {name} x {blocks}: host {:.1} us, through {:.3} us a kernel",
            host * 1e6,
            each(through)
        );
    }

    // What was measured has run: the chain's word holds the number of its launches.
    let (mut count, expected) = (0u32, launches.get());
    call!(
        api,
        copy_out(ptr::from_mut(&mut count).cast(), memory, 4, stream)
    );
    wait()?;
    ensure!(
        count == expected,
        "{expected} launches of the chain have counted to {count}"
    );

    for bytes in [4usize, 4096, 1 << 20] {
        let mut buffer = vec![0u8; bytes];
        let copy_in = || -> Result<()> {
            call!(api, copy_in(memory, buffer.as_ptr().cast(), bytes, stream));
            Ok(())
        };
        let (_, into) = best(rounds * 10, copy_in, wait)?;
        let copy_out = || -> Result<()> {
            call!(
                api,
                copy_out(buffer.as_mut_ptr().cast(), memory, bytes, stream)
            );
            Ok(())
        };
        let (_, out) = best(rounds * 10, copy_out, wait)?;
        println!(
            "{bytes} bytes and cuStreamSynchronize: to the device {:.2} us, to the host {:.2} us",
            into * 1e6,
            out * 1e6
        );
    }
    Ok(())
}
