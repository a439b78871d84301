//! The probes, by the part of the driver API that they ask about, and what they share.

mod batch;
mod capture;
mod capture_more;
mod context;
mod device;
mod event;
mod fault;
mod function;
mod graph;
mod graph_exec;
mod graph_more;
mod init;
mod launch;
mod library;
mod link;
mod memory;
mod memory_copy;
mod memory_pool;
mod module;
mod pointer;
mod stream;
mod texture;
mod various;
mod virtual_memory;

use std::ffi::{c_void, CStr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::must;

/// Declares the probes of a file: a name and a function each.
macro_rules! probes {
    ($($name:literal => $body:expr;)*) => {
        /// This file's probes.
        pub const ALL: &[(&str, fn())] = &[$(($name, $body)),*];
    };
}
pub(crate) use probes;

/// Every probe.
pub fn all() -> impl Iterator<Item = (&'static str, fn())> {
    [
        init::ALL,
        device::ALL,
        context::ALL,
        module::ALL,
        library::ALL,
        link::ALL,
        function::ALL,
        launch::ALL,
        memory::ALL,
        memory_copy::ALL,
        memory_pool::ALL,
        pointer::ALL,
        stream::ALL,
        event::ALL,
        capture::ALL,
        graph::ALL,
        graph_exec::ALL,
        texture::ALL,
        fault::ALL,
        various::ALL,
        virtual_memory::ALL,
        batch::ALL,
        capture_more::ALL,
        graph_more::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// A null handle or pointer.
pub const NULL: u64 = 0;
/// The legacy default stream, by its own name.
pub const LEGACY: u64 = 1;
/// The calling thread's default stream.
pub const PER_THREAD: u64 = 2;

/// Kernels that probes launch.
///
/// `store` writes its second parameter where the first points; `add` adds it there; `wait` runs until the word at its
/// parameter, which the host can write, is not zero.
pub const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.visible .global .align 4 .u32 word = 7;
.visible .global .align 8 .b8 table[100];
.visible .const .align 4 .b32 numbers[25];
.visible .entry empty() { ret; }
.visible .entry store(.param .u64 at, .param .u32 value)
{
    .reg .b64 %a; .reg .b32 %v;
    ld.param.u64 %a, [at];
    ld.param.u32 %v, [value];
    cvta.to.global.u64 %a, %a;
    st.global.u32 [%a], %v;
    ret;
}
.visible .entry add(.param .u64 at, .param .u32 value)
{
    .reg .b64 %a; .reg .b32 %v;
    ld.param.u64 %a, [at];
    ld.param.u32 %v, [value];
    cvta.to.global.u64 %a, %a;
    red.global.add.u32 [%a], %v;
    ret;
}
.visible .entry mixed(.param .u8 a, .param .u64 b, .param .align 16 .b8 c[20], .param .u16 d) { ret; }
.visible .entry fixed_block() .reqntid 32, 2, 1 { ret; }
.visible .entry small_block() .maxntid 64, 1, 1 { ret; }
.visible .entry with_shared()
{
    .shared .align 16 .b8 tile[1000];
    .reg .b32 %v;
    mov.u32 %v, %tid.x;
    st.shared.u32 [tile], %v;
    bar.sync 0;
    ld.shared.u32 %v, [tile];
    st.global.u32 [word], %v;
    ret;
}
";

/// Initialises the driver.
pub fn init() {
    must!(cuInit(0));
}

/// Initialises the driver and makes device 0's primary context current.
pub fn context() -> u64 {
    init();
    let mut context = 0u64;
    must!(cuDevicePrimaryCtxRetain(&mut context, 0));
    must!(cuCtxSetCurrent(context));
    context
}

/// A context of its own, current.
pub fn own_context() -> u64 {
    let mut context = 0u64;
    must!(cuCtxCreate_v2(&mut context, 0, 0));
    context
}

/// Loads PTX.
pub fn module(text: &CStr) -> u64 {
    let mut module = 0u64;
    must!(cuModuleLoadData(&mut module, text));
    module
}

/// A kernel of [`PTX`], loaded anew.
pub fn kernel(name: &CStr) -> u64 {
    function(module(PTX), name)
}

/// A module's kernel.
pub fn function(module: u64, name: &CStr) -> u64 {
    let mut function = 0u64;
    must!(cuModuleGetFunction(&mut function, module, name));
    function
}

/// A stream: 0 blocking, 1 non-blocking.
pub fn stream(flags: u32) -> u64 {
    let mut stream = 0u64;
    must!(cuStreamCreate(&mut stream, flags));
    stream
}

/// An event.
pub fn event(flags: u32) -> u64 {
    let mut event = 0u64;
    must!(cuEventCreate(&mut event, flags));
    event
}

/// Device memory, cleared.
pub fn alloc(bytes: usize) -> u64 {
    let mut address = 0u64;
    must!(cuMemAlloc_v2(&mut address, bytes));
    must!(cuMemsetD8_v2(address, 0, bytes));
    must!(cuCtxSynchronize());
    address
}

/// The word at a device address.
pub fn peek(address: u64) -> u32 {
    let mut word = 0u32;
    must!(cuMemcpyDtoH_v2(&mut word, address, 4));
    word
}

/// A kernel's parameters: an address and a value.
pub struct Parameters {
    address: u64,
    value: u32,
    list: [u64; 2],
}

impl Parameters {
    /// Boxed, since the list points into it.
    pub fn new(address: u64, value: u32) -> Box<Self> {
        let mut parameters = Box::new(Self {
            address,
            value,
            list: [0; 2],
        });
        parameters.list = [
            std::ptr::from_ref(&parameters.address) as u64,
            std::ptr::from_ref(&parameters.value) as u64,
        ];
        parameters
    }

    /// For `kernelParams`.
    pub fn list(&self) -> u64 {
        self.list.as_ptr() as u64
    }
}

/// Launches a kernel of one thread with [`Parameters`].
pub fn launch(function: u64, stream: u64, address: u64, value: u32) -> u32 {
    let parameters = Parameters::new(address, value);
    must!(cuLaunchKernel(
        function,
        1,
        1,
        1,
        1,
        1,
        1,
        0,
        stream,
        parameters.list(),
        NULL
    ))
}

/// 1: host functions of [`hold`] wait, 0: they return.
static GATE: AtomicU32 = AtomicU32::new(0);

extern "C" fn wait_at_gate(_: *mut c_void) {
    while GATE.load(Ordering::SeqCst) == 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes a stream busy until [`release`].
pub fn hold(stream: u64) {
    GATE.store(1, Ordering::SeqCst);
    must!(cuLaunchHostFunc(
        stream,
        wait_at_gate as extern "C" fn(*mut c_void),
        NULL
    ));
}

/// Ends what [`hold`] began.
pub fn release() {
    GATE.store(0, Ordering::SeqCst);
}

/// Time for something that must not happen, or that needs no more than a moment.
pub fn moment() {
    std::thread::sleep(Duration::from_millis(100));
}

/// Counts its calls in the word that it gets.
pub extern "C" fn count(word: *mut c_void) {
    // SAFETY: probes pass a counter that lives as long as the process.
    unsafe { &*word.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
}

/// [`count`] as what calls take.
pub const COUNT: extern "C" fn(*mut c_void) = count;

/// A counter for [`count`].
pub fn counter() -> &'static AtomicU32 {
    Box::leak(Box::default())
}

/// A counter's value.
pub fn counted(counter: &AtomicU32) -> u32 {
    counter.load(Ordering::SeqCst)
}

/// A structure of zeros.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: used for structures of C alone, for which all zeros is a value.
    unsafe { std::mem::zeroed() }
}

/// Runs something on another thread to its end.
pub fn on_thread(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(body);
    });
}
