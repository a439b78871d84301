//! The exported symbols, made from [`cuda_abi::driver_functions`].
//!
//! Each is documented in NVIDIA's "CUDA Driver API" under its name. All return a [`CUresult`]; arguments are C's. The same
//! functions are callable from Rust.

#![allow(non_snake_case, clippy::missing_safety_doc, clippy::too_many_arguments)]

use crate::boundary::{call, refused, Accept, PerThread};
use cuda_abi::*;
use rustc_hash::FxHashMap;
use std::ffi::{c_char, c_void};
use std::fmt::Write;
use std::sync::OnceLock;

macro_rules! show {
    ($($arg:ident),*) => {
        || {
            #[allow(unused_mut)]
            let mut text = String::new();
            $(let _ = write!(text, "{}{}={:?}", if text.is_empty() { "" } else { ", " }, stringify!($arg), $arg);)*
            text
        }
    };
}

macro_rules! export {
    // One symbol: `$leading` are arguments that the implementation gets before C's, `$convert` is applied to each of those.
    (@symbol $symbol:ident $implementation:ident [$($leading:expr)?] $convert:path, ($($arg:ident : $ty:ty),*)) => {
        #[no_mangle]
        pub unsafe extern "C" fn $symbol($($arg: $ty),*) -> CUresult {
            call(stringify!($symbol), show!($($arg),*), || {
                // SAFETY: the C caller passes what the function's documentation asks for.
                crate::api::$implementation($($leading,)? $(unsafe { Accept::accept($convert($arg)) }),*)
            })
        }
    };
    (ready $symbol:ident [] $args:tt) => {
        export! { @symbol $symbol $symbol [] std::convert::identity, $args }
    };
    (ready $symbol:ident [$twin:ident] $args:tt) => {
        export! { @symbol $symbol $symbol [] std::convert::identity, $args }
        export! { @symbol $twin $symbol [] PerThread::per_thread, $args }
    };
    (sync $symbol:ident [$twin:ident] $args:tt) => {
        export! { @symbol $symbol $symbol [CU_STREAM_LEGACY] std::convert::identity, $args }
        export! { @symbol $twin $symbol [CU_STREAM_PER_THREAD] std::convert::identity, $args }
    };
    // The arguments of what is refused or absent are not looked at: on every supported ABI the caller removes them.
    ((refused $status:ident $why:literal) $symbol:ident [$($twin:ident)?]) => {
        #[no_mangle]
        pub unsafe extern "C" fn $symbol() -> CUresult {
            refused(stringify!($symbol), CUresult::$status, $why)
        }

        $(#[no_mangle]
        pub unsafe extern "C" fn $twin() -> CUresult {
            refused(stringify!($twin), CUresult::$status, $why)
        })?
    };
    ((meaningless $($error:tt)*) $($row:tt)*) => {
        export! { (refused $($error)*) $($row)* }
    };
    (absent $symbol:ident [$($twin:ident)?]) => {
        #[no_mangle]
        pub unsafe extern "C" fn $symbol() -> CUresult {
            crate::boundary::absent(stringify!($symbol))
        }

        $(#[no_mangle]
        pub unsafe extern "C" fn $twin() -> CUresult {
            crate::boundary::absent(stringify!($twin))
        })?
    };
}

macro_rules! exports {
    ($(
        $kind:tt $name:ident $since:literal $symbol:ident
        $(, $twin_since:literal $twin:ident)?
        $( ( $($arg:ident : $ty:ty),* ) )? ;
    )*) => {
        $(export! { $kind $symbol [$($twin)?] $( ( $($arg : $ty),* ) )? })*

        /// The address of an exported symbol.
        pub fn address(symbol: &str) -> Option<*const c_void> {
            static ADDRESSES: OnceLock<FxHashMap<&'static str, usize>> = OnceLock::new();
            let addresses = ADDRESSES.get_or_init(|| {
                let mut map = FxHashMap::default();
                $(
                    map.insert(stringify!($symbol), $symbol as *const () as usize);
                    $(map.insert(stringify!($twin), $twin as *const () as usize);)?
                )*
                map
            });
            addresses.get(symbol).map(|&address| address as *const c_void)
        }
    };
}

cuda_abi::driver_functions!(exports);
