//! The functions of `cublas_api.h`, thin: arguments are turned into types, the work is done elsewhere.
//!
//! Enumerations arrive as `i32` and matrices, vectors and scalars as untyped pointers, which is the same to a C caller.
//! Each function with sizes has a twin with the suffix `_64`, whose sizes are 64-bit.

// Pointers are documented by cuBLAS; every function has the same contract, given here once.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

mod banded;
mod gemm;
mod legacy;
mod level1;
mod level2;
mod level3;
mod lu;
mod management;
mod rotations;

pub use banded::*;
pub use gemm::*;
pub use legacy::*;
pub use level1::*;
pub use level2::*;
pub use level3::*;
pub use lu::*;
pub use management::*;
pub use rotations::*;

use std::ffi::c_void;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::handle::{Handle, Scalar};
use crate::log;
use crate::ptx::Element;
use crate::types::Status;

/// A pointer to numbers that are read.
pub type Input = *const c_void;
/// A pointer to numbers that are written.
pub type Output = *mut c_void;

/// Runs the body of a C function: starts logging, stops panics, logs the result.
fn enter(name: &str, body: impl FnOnce() -> Result<(), Status>) -> i32 {
    catch_unwind(AssertUnwindSafe(|| {
        log::start();
        let status = body().err().unwrap_or(Status::Success);
        tracing::trace!("{name} -> {}", status.name().to_string_lossy());
        status as i32
    }))
    .unwrap_or(Status::InternalError as i32)
}

/// `alpha` and `beta` of a call.
unsafe fn scalars(
    handle: &Handle,
    element: Element,
    alpha: Input,
    beta: Input,
) -> Result<(Scalar, Scalar), Status> {
    let mode = handle.state.lock().pointer_mode;
    // SAFETY: the C caller's pointers, of the type that the function documents.
    unsafe {
        Ok((
            Scalar::from_raw(mode, element, alpha)?,
            Scalar::from_raw(mode, element, beta)?,
        ))
    }
}

/// Defines C functions: `fn name(arguments) { body }`, the body giving a `Result<(), Status>`.
macro_rules! function {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        pub unsafe extern "C" fn $name($($arg: $ty),*) -> i32 {
            #[allow(unused_unsafe)]
            // SAFETY: what the body dereferences is promised by the C caller, as cuBLAS documents it.
            $crate::api::enter(stringify!($name), || unsafe { $body })
        }
    )*};
}

/// Defines a family of C functions that differ in the element type, and their twins with 64-bit sizes: a list of
/// `name twin element`, the arguments, in which `int` stands for the size type, and a body that sees the element type
/// under the name between bars. Without twins in the list there are none.
macro_rules! family {
    (#[doc = $doc:literal] [$($name:ident $element:ident;)*] $args:tt |$e:ident| $body:block) => {$(
        family! { @one $doc, $name, i32, $element, $args, $e, $body }
    )*};
    (#[doc = $doc:literal] [$($name:ident $twin:ident $element:ident;)*] $args:tt |$e:ident| $body:block) => {$(
        family! { @one $doc, $name, i32, $element, $args, $e, $body }
        family! { @one $doc, $twin, i64, $element, $args, $e, $body }
    )*};
    (@one $doc:literal, $name:ident, $int:ident, $element:ident, ($($arg:ident: $ty:ty),* $(,)?), $e:ident, $body:block) => {
        #[allow(non_snake_case)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            /// The type of sizes.
            #[allow(non_camel_case_types, dead_code)]
            type int = $int;

            #[doc = $doc]
            #[allow(clippy::useless_conversion)]
            pub unsafe extern "C" fn $name($($arg: $ty),*) -> i32 {
                #[allow(unused_variables)]
                let $e = $crate::ptx::Element::$element;
                #[allow(unused_unsafe)]
                // SAFETY: what the body dereferences is promised by the C caller, as cuBLAS documents it.
                $crate::api::enter(stringify!($name), || unsafe { $body })
            }
        }
        pub use $name::$name;
    };
}
pub(crate) use {family, function};
