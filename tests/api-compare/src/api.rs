//! Calls of the library under test by name, and the lines that a probe prints.
//!
//! A probe says what it asks in the words of its source: [`go!`] prints the call as it is written and what it returned,
//! [`show!`] an expression and its value. The second line of the same words in one probe ends in `#2`, and so on.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fmt::Debug;
use std::mem::transmute;
use std::sync::{Mutex, OnceLock};

use cuda_abi::CUresult;
use libloading::os::unix::Library;

/// What a probe's process works with.
struct Session {
    library: Library,
    probe: String,
    /// How often each step has been printed.
    steps: Mutex<HashMap<String, u32>>,
}

static SESSION: OnceLock<Session> = OnceLock::new();

/// Starts the only probe of this process.
pub fn begin(library: Library, probe: &str) {
    let session = Session {
        library,
        probe: probe.to_owned(),
        steps: Mutex::default(),
    };
    assert!(SESSION.set(session).is_ok(), "one probe for each process");
}

fn session() -> &'static Session {
    SESSION.get().expect("begin() comes first")
}

/// The step's text without the space that the compiler's printer may or may not put in.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut space = false;
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '"';
    for c in text.chars() {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if space && tidy.ends_with(word) && word(c) {
            tidy.push(' ');
        }
        if space && tidy.ends_with(',') {
            tidy.push(' ');
        }
        space = false;
        tidy.push(c);
    }
    tidy
}

/// Prints one line at once, by one system call, so that it is there whatever happens next.
pub fn line(step: &str, answer: &str) {
    let session = session();
    let mut step = tidy(step).replace(": ", ":");
    let count = {
        let mut steps = session.steps.lock().unwrap_or_else(|e| e.into_inner());
        let count = steps.entry(step.clone()).or_default();
        *count += 1;
        *count
    };
    if count > 1 {
        step = format!("{step} #{count}");
    }
    let answer = answer.replace('\n', "\\n").replace(": ", ":");
    let text = format!("{}: {step}: {answer}\n", session.probe);
    // SAFETY: the pointer and the length are those of one string.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

/// A status as its name and number.
pub fn status(code: u32) -> String {
    match CUresult(code).name() {
        Some(name) => format!("{} ({code})", name.trim_start_matches("CUDA_")),
        None => format!("UNNAMED ({code})"),
    }
}

/// What a missing symbol "returns": no status of CUDA's.
pub const MISSING: u32 = 0xffff_fff0;

/// The address of an exported symbol, or 0.
pub fn symbol(name: &str) -> usize {
    let name = format!("{name}\0");
    // SAFETY: only the address is taken.
    unsafe { session().library.get::<*const u8>(name.as_bytes()) }
        .map_or(0, |symbol| *symbol as usize)
}

/// Calls the exported function `name` with integer and pointer arguments.
///
/// Every argument travels as a 64-bit word: the calling conventions of 64-bit Linux pass narrower integers and pointers in
/// the same registers and stack slots.
pub fn call(name: &str, arguments: &[u64]) -> u32 {
    let address = symbol(name);
    if address == 0 {
        return MISSING;
    }
    call_address(address, arguments)
}

/// Calls a driver function by its address.
pub fn call_address(f: usize, a: &[u64]) -> u32 {
    macro_rules! with {
        ($($index:literal)*) => {{
            // SAFETY: a driver function that takes as many words; probes pass what the call is documented to take, or what
            // it is documented to refuse. A call that crashes all the same is an answer: this process is its probe's own.
            let function: unsafe extern "C" fn($(with!(@word $index)),*) -> u32 = unsafe { transmute(f) };
            // SAFETY: as above.
            unsafe { function($(a[$index]),*) }
        }};
        (@word $index:literal) => { u64 };
    }
    match a.len() {
        0 => with!(),
        1 => with!(0),
        2 => with!(0 1),
        3 => with!(0 1 2),
        4 => with!(0 1 2 3),
        5 => with!(0 1 2 3 4),
        6 => with!(0 1 2 3 4 5),
        7 => with!(0 1 2 3 4 5 6),
        8 => with!(0 1 2 3 4 5 6 7),
        9 => with!(0 1 2 3 4 5 6 7 8),
        10 => with!(0 1 2 3 4 5 6 7 8 9),
        11 => with!(0 1 2 3 4 5 6 7 8 9 10),
        12 => with!(0 1 2 3 4 5 6 7 8 9 10 11),
        13 => with!(0 1 2 3 4 5 6 7 8 9 10 11 12),
        n => unreachable!("no call takes {n} arguments"),
    }
}

/// An argument of a call.
pub trait Word {
    /// The register or stack slot that passes it.
    fn word(self) -> u64;
}

macro_rules! words {
    ($($integer:ty)*) => {$(
        impl Word for $integer {
            fn word(self) -> u64 {
                self as u64
            }
        }
    )*};
}

words!(u8 u16 u32 u64 usize i32 i64);

impl<T> Word for &T {
    fn word(self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}

impl<T> Word for &mut T {
    fn word(self) -> u64 {
        std::ptr::from_mut(self) as u64
    }
}

impl<T> Word for *const T {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for *mut T {
    fn word(self) -> u64 {
        self as u64
    }
}

impl Word for &CStr {
    fn word(self) -> u64 {
        self.as_ptr() as u64
    }
}

impl Word for extern "C" fn(*mut std::ffi::c_void) {
    fn word(self) -> u64 {
        self as usize as u64
    }
}

/// Calls a function of the driver API and prints the call and its status, which is its value.
#[macro_export]
macro_rules! go {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        // One expression, so that what it borrows lives until the call has returned.
        let code = $crate::api::call(stringify!($name), &[$($crate::api::Word::word($argument)),*]);
        let text: Vec<&str> = vec![$(stringify!($argument)),*];
        $crate::api::called(stringify!($name), &text, code)
    }};
}

/// Calls a function that a probe needs before it can ask: prints only failures.
#[macro_export]
macro_rules! must {
    ($name:ident($($argument:expr),* $(,)?)) => {{
        let code = $crate::api::call(stringify!($name), &[$($crate::api::Word::word($argument)),*]);
        if code != 0 {
            $crate::api::line(concat!("set-up ", stringify!($name)), &$crate::api::status(code));
        }
        code
    }};
}

/// Prints expressions and their values.
#[macro_export]
macro_rules! show {
    ($($value:expr),+ $(,)?) => {{ $($crate::api::shown(stringify!($value), &$value);)+ }};
}

/// What [`go!`] prints.
pub fn called(name: &str, arguments: &[&str], code: u32) -> u32 {
    let answer = match code {
        MISSING => "no such symbol".to_owned(),
        code => status(code),
    };
    line(&format!("{name}({})", arguments.join(", ")), &answer);
    code
}

/// What [`show!`] prints.
pub fn shown(text: &str, value: &dyn Debug) {
    line(text, &format!("{value:?}"));
}

/// The text that a driver function has pointed to.
pub fn text(pointer: u64) -> String {
    if pointer == 0 {
        return "null".to_owned();
    }
    // SAFETY: a string of the library's.
    unsafe { CStr::from_ptr(pointer as *const _) }
        .to_string_lossy()
        .into_owned()
}
