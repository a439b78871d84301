//! The interface of `cublas.h`: one handle for the process, scalars and results by value, modes as letters.
//!
//! Each function is one of `cublas_v2.h` with its scalars in host memory. Errors are kept for `cublasGetError`.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use cuda_abi::CUstream;
use parking_lot::Mutex;

use super::*;
use crate::driver::check;
use crate::handle::Handle;
use crate::types::Status;

/// `cuComplex`
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(8))]
pub struct ComplexFloat {
    /// Real part.
    pub re: f32,
    /// Imaginary part.
    pub im: f32,
}

/// `cuDoubleComplex`
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(16))]
pub struct ComplexDouble {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

/// The address of the handle that `cublasInit` makes; 0 before it and after `cublasShutdown`.
static HANDLE: Mutex<usize> = Mutex::new(0);

/// The first failure since it was last asked for.
static ERROR: AtomicI32 = AtomicI32::new(0);

/// The handle, null without one.
fn handle() -> *mut Handle {
    *HANDLE.lock() as *mut Handle
}

/// Keeps a failure for `cublasGetError`, and gives the status back.
fn keep(status: i32) -> i32 {
    if status != 0 {
        let _ = ERROR.compare_exchange(0, status, Ordering::Relaxed, Ordering::Relaxed);
    }
    status
}

/// The number of a mode, by its letter in either case; -1, which every function refuses, for another letter.
fn mode(letter: c_char, letters: &[u8]) -> i32 {
    let letter = (letter as u8).to_ascii_uppercase();
    letters
        .iter()
        .position(|&known| known == letter)
        .map_or(-1, |at| at as i32)
}

/// The type of an argument of a kind; `first` and `second` are the two types of scalars in a function's row.
macro_rules! kind {
    (int, $first:ident, $second:ident) => { i32 };
    (pointer, $first:ident, $second:ident) => { *mut c_void };
    (first, $first:ident, $second:ident) => { $first };
    (second, $first:ident, $second:ident) => { $second };
    ($letter:ident, $first:ident, $second:ident) => { c_char };
}

/// What is handed on for an argument of a kind.
macro_rules! hand_on {
    (int, $argument:ident) => {
        $argument
    };
    (pointer, $argument:ident) => {
        $argument.cast()
    };
    (first, $argument:ident) => {
        ptr::from_ref(&$argument).cast_mut().cast()
    };
    (second, $argument:ident) => {
        ptr::from_ref(&$argument).cast_mut().cast()
    };
    (op, $argument:ident) => {
        mode($argument, b"NTC")
    };
    (fill, $argument:ident) => {
        mode($argument, b"LU")
    };
    (diagonal, $argument:ident) => {
        mode($argument, b"NU")
    };
    (side, $argument:ident) => {
        mode($argument, b"LR")
    };
}

/// Defines functions of `cublas.h` by those of `cublas_v2.h`: a list of `name function scalar scalar`, the arguments with
/// their kinds, and `-> first` where the result is of the first scalar type and returned, or `and` with the arguments that
/// are handed on a second time.
macro_rules! legacy {
    (#[doc = $doc:literal] [$($name:ident $function:ident $first:ident $second:ident;)*] $arguments:tt $tail:tt) => {$(
        legacy! { @one $doc, $name, $function, $first, $second, $arguments, $tail }
    )*};
    (@one $doc:literal, $name:ident, $function:ident, $first:ident, $second:ident,
     ($($argument:ident: $kind:ident),* $(,)?), [-> first]) => {
        #[doc = $doc]
        pub unsafe extern "C" fn $name($($argument: kind!($kind, $first, $second)),*) -> $first {
            let mut result = $first::default();
            let target = ptr::from_mut(&mut result).cast();
            // SAFETY: the C caller's pointers, and one to a live local of the result's type.
            keep(unsafe { $function(handle(), $(hand_on!($kind, $argument),)* target) });
            result
        }
    };
    (@one $doc:literal, $name:ident, $function:ident, $first:ident, $second:ident,
     ($($argument:ident: $kind:ident),* $(,)?), [$(and $($again:ident)*)?]) => {
        #[doc = $doc]
        pub unsafe extern "C" fn $name($($argument: kind!($kind, $first, $second)),*) {
            // SAFETY: the C caller's pointers, and some to scalars of the types that the function takes.
            keep(unsafe { $function(handle(), $(hand_on!($kind, $argument),)* $($($again),*)?) });
        }
    };
}

/// Makes the handle of the functions of `cublas.h` for the current context, once (header `cublas.h`).
pub extern "C" fn cublasInit() -> i32 {
    let mut held = HANDLE.lock();
    if *held != 0 {
        return Status::Success as i32;
    }
    let mut handle = ptr::null_mut();
    // SAFETY: the pointer is to a live local.
    let status = unsafe { cublasCreate_v2(&mut handle) };
    if status == 0 {
        *held = handle as usize;
        // What was kept was about the missing handle.
        ERROR.store(0, Ordering::Relaxed);
    }
    keep(status)
}

/// Frees the handle (header `cublas.h`).
pub extern "C" fn cublasShutdown() -> i32 {
    let held = std::mem::take(&mut *HANDLE.lock());
    // SAFETY: the handle was made by `cublasInit` and is no longer known to anyone.
    keep(unsafe { cublasDestroy_v2(held as *mut Handle) })
}

/// The first failure since the last call, which is forgotten now (header `cublas.h`).
pub extern "C" fn cublasGetError() -> i32 {
    match ERROR.swap(0, Ordering::Relaxed) {
        0 if handle().is_null() => Status::NotInitialized as i32,
        status => status,
    }
}

/// The library's version (header `cublas.h`).
pub unsafe extern "C" fn cublasGetVersion<const MAJOR: i32>(version: *mut i32) -> i32 {
    // SAFETY: the C caller's pointer.
    unsafe { cublasGetVersion_v2::<MAJOR>(handle(), version) }
}

/// Device memory for `count` elements of `size` bytes (header `cublas.h`).
pub unsafe extern "C" fn cublasAlloc(count: i32, size: i32, memory: *mut *mut c_void) -> i32 {
    let status = enter("cublasAlloc", || {
        if count <= 0 || size <= 0 || memory.is_null() {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the handle of `cublasInit`.
        let handle = unsafe { Handle::from_raw(handle()) }?;
        let mut address = 0;
        handle.in_context(|driver| {
            // SAFETY: the pointer is to a live local.
            let result =
                unsafe { (driver.mem_alloc)(&mut address, count as usize * size as usize) };
            check(result, "cuMemAlloc", Status::AllocFailed)
        })?;
        // SAFETY: the C caller's pointer, which is not null.
        unsafe { memory.write(address as *mut c_void) };
        Ok(())
    });
    keep(status)
}

/// Frees memory of `cublasAlloc` (header `cublas.h`).
pub unsafe extern "C" fn cublasFree(memory: *mut c_void) -> i32 {
    let status = enter("cublasFree", || {
        // SAFETY: the handle of `cublasInit`.
        let handle = unsafe { Handle::from_raw(handle()) }?;
        if memory.is_null() {
            return Ok(());
        }
        handle.in_context(|driver| {
            // SAFETY: the C caller's memory; the driver refuses what it has not allocated.
            let result = unsafe { (driver.mem_free)(memory as u64) };
            check(result, "cuMemFree", Status::InternalError)
        })
    });
    keep(status)
}

/// Sets the stream of the functions of `cublas.h` (header `cublas.h`).
pub unsafe extern "C" fn cublasSetKernelStream(stream: CUstream) -> i32 {
    // SAFETY: the handle of `cublasInit`.
    keep(unsafe { cublasSetStream_v2(handle(), stream) })
}

legacy! {
    /// `nrm2` by value (header `cublas.h`).
    [
        cublasSnrm2 cublasSnrm2_v2 f32 f32;
        cublasDnrm2 cublasDnrm2_v2 f64 f64;
        cublasScnrm2 cublasScnrm2_v2 f32 f32;
        cublasDznrm2 cublasDznrm2_v2 f64 f64;
    ]
    (n: int, x: pointer, incx: int) [-> first]
}

legacy! {
    /// `asum` by value (header `cublas.h`).
    [
        cublasSasum cublasSasum_v2 f32 f32;
        cublasDasum cublasDasum_v2 f64 f64;
        cublasScasum cublasScasum_v2 f32 f32;
        cublasDzasum cublasDzasum_v2 f64 f64;
    ]
    (n: int, x: pointer, incx: int) [-> first]
}

legacy! {
    /// `amax` and `amin` by value (header `cublas.h`).
    [
        cublasIsamax cublasIsamax_v2 i32 i32;
        cublasIdamax cublasIdamax_v2 i32 i32;
        cublasIcamax cublasIcamax_v2 i32 i32;
        cublasIzamax cublasIzamax_v2 i32 i32;
        cublasIsamin cublasIsamin_v2 i32 i32;
        cublasIdamin cublasIdamin_v2 i32 i32;
        cublasIcamin cublasIcamin_v2 i32 i32;
        cublasIzamin cublasIzamin_v2 i32 i32;
    ]
    (n: int, x: pointer, incx: int) [-> first]
}

legacy! {
    /// `dot` by value (header `cublas.h`).
    [
        cublasSdot cublasSdot_v2 f32 f32;
        cublasDdot cublasDdot_v2 f64 f64;
        cublasCdotu cublasCdotu_v2 ComplexFloat ComplexFloat;
        cublasZdotu cublasZdotu_v2 ComplexDouble ComplexDouble;
        cublasCdotc cublasCdotc_v2 ComplexFloat ComplexFloat;
        cublasZdotc cublasZdotc_v2 ComplexDouble ComplexDouble;
    ]
    (n: int, x: pointer, incx: int, y: pointer, incy: int) [-> first]
}

legacy! {
    /// `scal` (header `cublas.h`).
    [
        cublasSscal cublasSscal_v2 f32 f32;
        cublasDscal cublasDscal_v2 f64 f64;
        cublasCscal cublasCscal_v2 ComplexFloat ComplexFloat;
        cublasZscal cublasZscal_v2 ComplexDouble ComplexDouble;
        cublasCsscal cublasCsscal_v2 f32 f32;
        cublasZdscal cublasZdscal_v2 f64 f64;
    ]
    (n: int, alpha: first, x: pointer, incx: int) []
}

legacy! {
    /// `axpy` (header `cublas.h`).
    [
        cublasSaxpy cublasSaxpy_v2 f32 f32;
        cublasDaxpy cublasDaxpy_v2 f64 f64;
        cublasCaxpy cublasCaxpy_v2 ComplexFloat ComplexFloat;
        cublasZaxpy cublasZaxpy_v2 ComplexDouble ComplexDouble;
    ]
    (n: int, alpha: first, x: pointer, incx: int, y: pointer, incy: int) []
}

legacy! {
    /// `copy` and `swap` (header `cublas.h`).
    [
        cublasScopy cublasScopy_v2 f32 f32;
        cublasDcopy cublasDcopy_v2 f64 f64;
        cublasCcopy cublasCcopy_v2 ComplexFloat ComplexFloat;
        cublasZcopy cublasZcopy_v2 ComplexDouble ComplexDouble;
        cublasSswap cublasSswap_v2 f32 f32;
        cublasDswap cublasDswap_v2 f64 f64;
        cublasCswap cublasCswap_v2 ComplexFloat ComplexFloat;
        cublasZswap cublasZswap_v2 ComplexDouble ComplexDouble;
    ]
    (n: int, x: pointer, incx: int, y: pointer, incy: int) []
}

legacy! {
    /// `rot` (header `cublas.h`).
    [
        cublasSrot cublasSrot_v2 f32 f32;
        cublasDrot cublasDrot_v2 f64 f64;
        cublasCrot cublasCrot_v2 f32 ComplexFloat;
        cublasZrot cublasZrot_v2 f64 ComplexDouble;
        cublasCsrot cublasCsrot_v2 f32 f32;
        cublasZdrot cublasZdrot_v2 f64 f64;
    ]
    (n: int, x: pointer, incx: int, y: pointer, incy: int, c: first, s: second) []
}

legacy! {
    /// `rotg` (header `cublas.h`).
    [
        cublasSrotg cublasSrotg_v2 f32 f32;
        cublasDrotg cublasDrotg_v2 f64 f64;
    ]
    (a: pointer, b: pointer, c: pointer, s: pointer) []
}

legacy! {
    /// `rotg` of complex numbers, the second by value (header `cublas.h`).
    [
        cublasCrotg cublasCrotg_v2 ComplexFloat ComplexFloat;
        cublasZrotg cublasZrotg_v2 ComplexDouble ComplexDouble;
    ]
    (a: pointer, b: first, c: pointer, s: pointer) []
}

legacy! {
    /// `rotm` (header `cublas.h`).
    [
        cublasSrotm cublasSrotm_v2 f32 f32;
        cublasDrotm cublasDrotm_v2 f64 f64;
    ]
    (n: int, x: pointer, incx: int, y: pointer, incy: int, param: pointer) []
}

legacy! {
    /// `rotmg` (header `cublas.h`).
    [
        cublasSrotmg cublasSrotmg_v2 f32 f32;
        cublasDrotmg cublasDrotmg_v2 f64 f64;
    ]
    (d1: pointer, d2: pointer, x1: pointer, y1: pointer, param: pointer) []
}

legacy! {
    /// `gemv` (header `cublas.h`).
    [
        cublasSgemv cublasSgemv_v2 f32 f32;
        cublasDgemv cublasDgemv_v2 f64 f64;
        cublasCgemv cublasCgemv_v2 ComplexFloat ComplexFloat;
        cublasZgemv cublasZgemv_v2 ComplexDouble ComplexDouble;
    ]
    (trans: op, m: int, n: int, alpha: first, a: pointer, lda: int, x: pointer, incx: int,
     beta: second, y: pointer, incy: int) []
}

legacy! {
    /// `gbmv` (header `cublas.h`).
    [
        cublasSgbmv cublasSgbmv_v2 f32 f32;
        cublasDgbmv cublasDgbmv_v2 f64 f64;
        cublasCgbmv cublasCgbmv_v2 ComplexFloat ComplexFloat;
        cublasZgbmv cublasZgbmv_v2 ComplexDouble ComplexDouble;
    ]
    (trans: op, m: int, n: int, kl: int, ku: int, alpha: first, a: pointer, lda: int, x: pointer, incx: int,
     beta: second, y: pointer, incy: int) []
}

legacy! {
    /// `trmv` and `trsv` (header `cublas.h`).
    [
        cublasStrmv cublasStrmv_v2 f32 f32;
        cublasDtrmv cublasDtrmv_v2 f64 f64;
        cublasCtrmv cublasCtrmv_v2 ComplexFloat ComplexFloat;
        cublasZtrmv cublasZtrmv_v2 ComplexDouble ComplexDouble;
        cublasStrsv cublasStrsv_v2 f32 f32;
        cublasDtrsv cublasDtrsv_v2 f64 f64;
        cublasCtrsv cublasCtrsv_v2 ComplexFloat ComplexFloat;
        cublasZtrsv cublasZtrsv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, trans: op, diag: diagonal, n: int, a: pointer, lda: int, x: pointer, incx: int) []
}

legacy! {
    /// `tbmv` and `tbsv` (header `cublas.h`).
    [
        cublasStbmv cublasStbmv_v2 f32 f32;
        cublasDtbmv cublasDtbmv_v2 f64 f64;
        cublasCtbmv cublasCtbmv_v2 ComplexFloat ComplexFloat;
        cublasZtbmv cublasZtbmv_v2 ComplexDouble ComplexDouble;
        cublasStbsv cublasStbsv_v2 f32 f32;
        cublasDtbsv cublasDtbsv_v2 f64 f64;
        cublasCtbsv cublasCtbsv_v2 ComplexFloat ComplexFloat;
        cublasZtbsv cublasZtbsv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, trans: op, diag: diagonal, n: int, k: int, a: pointer, lda: int, x: pointer, incx: int) []
}

legacy! {
    /// `tpmv` and `tpsv` (header `cublas.h`).
    [
        cublasStpmv cublasStpmv_v2 f32 f32;
        cublasDtpmv cublasDtpmv_v2 f64 f64;
        cublasCtpmv cublasCtpmv_v2 ComplexFloat ComplexFloat;
        cublasZtpmv cublasZtpmv_v2 ComplexDouble ComplexDouble;
        cublasStpsv cublasStpsv_v2 f32 f32;
        cublasDtpsv cublasDtpsv_v2 f64 f64;
        cublasCtpsv cublasCtpsv_v2 ComplexFloat ComplexFloat;
        cublasZtpsv cublasZtpsv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, trans: op, diag: diagonal, n: int, a: pointer, x: pointer, incx: int) []
}

legacy! {
    /// `symv` and `hemv` (header `cublas.h`).
    [
        cublasSsymv cublasSsymv_v2 f32 f32;
        cublasDsymv cublasDsymv_v2 f64 f64;
        cublasChemv cublasChemv_v2 ComplexFloat ComplexFloat;
        cublasZhemv cublasZhemv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, a: pointer, lda: int, x: pointer, incx: int,
     beta: second, y: pointer, incy: int) []
}

legacy! {
    /// `sbmv` and `hbmv` (header `cublas.h`).
    [
        cublasSsbmv cublasSsbmv_v2 f32 f32;
        cublasDsbmv cublasDsbmv_v2 f64 f64;
        cublasChbmv cublasChbmv_v2 ComplexFloat ComplexFloat;
        cublasZhbmv cublasZhbmv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, n: int, k: int, alpha: first, a: pointer, lda: int, x: pointer, incx: int,
     beta: second, y: pointer, incy: int) []
}

legacy! {
    /// `spmv` and `hpmv` (header `cublas.h`).
    [
        cublasSspmv cublasSspmv_v2 f32 f32;
        cublasDspmv cublasDspmv_v2 f64 f64;
        cublasChpmv cublasChpmv_v2 ComplexFloat ComplexFloat;
        cublasZhpmv cublasZhpmv_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, a: pointer, x: pointer, incx: int,
     beta: second, y: pointer, incy: int) []
}

legacy! {
    /// `ger` (header `cublas.h`).
    [
        cublasSger cublasSger_v2 f32 f32;
        cublasDger cublasDger_v2 f64 f64;
        cublasCgeru cublasCgeru_v2 ComplexFloat ComplexFloat;
        cublasZgeru cublasZgeru_v2 ComplexDouble ComplexDouble;
        cublasCgerc cublasCgerc_v2 ComplexFloat ComplexFloat;
        cublasZgerc cublasZgerc_v2 ComplexDouble ComplexDouble;
    ]
    (m: int, n: int, alpha: first, x: pointer, incx: int, y: pointer, incy: int, a: pointer, lda: int) []
}

legacy! {
    /// `syr` and `her` (header `cublas.h`).
    [
        cublasSsyr cublasSsyr_v2 f32 f32;
        cublasDsyr cublasDsyr_v2 f64 f64;
        cublasCher cublasCher_v2 f32 ComplexFloat;
        cublasZher cublasZher_v2 f64 ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, x: pointer, incx: int, a: pointer, lda: int) []
}

legacy! {
    /// `spr` and `hpr` (header `cublas.h`).
    [
        cublasSspr cublasSspr_v2 f32 f32;
        cublasDspr cublasDspr_v2 f64 f64;
        cublasChpr cublasChpr_v2 f32 ComplexFloat;
        cublasZhpr cublasZhpr_v2 f64 ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, x: pointer, incx: int, a: pointer) []
}

legacy! {
    /// `syr2` and `her2` (header `cublas.h`).
    [
        cublasSsyr2 cublasSsyr2_v2 f32 f32;
        cublasDsyr2 cublasDsyr2_v2 f64 f64;
        cublasCher2 cublasCher2_v2 ComplexFloat ComplexFloat;
        cublasZher2 cublasZher2_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, x: pointer, incx: int, y: pointer, incy: int, a: pointer, lda: int) []
}

legacy! {
    /// `spr2` and `hpr2` (header `cublas.h`).
    [
        cublasSspr2 cublasSspr2_v2 f32 f32;
        cublasDspr2 cublasDspr2_v2 f64 f64;
        cublasChpr2 cublasChpr2_v2 ComplexFloat ComplexFloat;
        cublasZhpr2 cublasZhpr2_v2 ComplexDouble ComplexDouble;
    ]
    (uplo: fill, n: int, alpha: first, x: pointer, incx: int, y: pointer, incy: int, a: pointer) []
}

legacy! {
    /// `gemm` (header `cublas.h`).
    [
        cublasSgemm cublasSgemm_v2 f32 f32;
        cublasDgemm cublasDgemm_v2 f64 f64;
        cublasCgemm cublasCgemm_v2 ComplexFloat ComplexFloat;
        cublasZgemm cublasZgemm_v2 ComplexDouble ComplexDouble;
    ]
    (transa: op, transb: op, m: int, n: int, k: int, alpha: first, a: pointer, lda: int, b: pointer, ldb: int, beta: second,
     c: pointer, ldc: int) []
}

legacy! {
    /// `syrk` and `herk` (header `cublas.h`).
    [
        cublasSsyrk cublasSsyrk_v2 f32 f32;
        cublasDsyrk cublasDsyrk_v2 f64 f64;
        cublasCsyrk cublasCsyrk_v2 ComplexFloat ComplexFloat;
        cublasZsyrk cublasZsyrk_v2 ComplexDouble ComplexDouble;
        cublasCherk cublasCherk_v2 f32 f32;
        cublasZherk cublasZherk_v2 f64 f64;
    ]
    (uplo: fill, trans: op, n: int, k: int, alpha: first, a: pointer, lda: int, beta: second, c: pointer, ldc: int) []
}

legacy! {
    /// `syr2k` and `her2k` (header `cublas.h`).
    [
        cublasSsyr2k cublasSsyr2k_v2 f32 f32;
        cublasDsyr2k cublasDsyr2k_v2 f64 f64;
        cublasCsyr2k cublasCsyr2k_v2 ComplexFloat ComplexFloat;
        cublasZsyr2k cublasZsyr2k_v2 ComplexDouble ComplexDouble;
        cublasCher2k cublasCher2k_v2 ComplexFloat f32;
        cublasZher2k cublasZher2k_v2 ComplexDouble f64;
    ]
    (uplo: fill, trans: op, n: int, k: int, alpha: first, a: pointer, lda: int, b: pointer, ldb: int, beta: second,
     c: pointer, ldc: int) []
}

legacy! {
    /// `symm` and `hemm` (header `cublas.h`).
    [
        cublasSsymm cublasSsymm_v2 f32 f32;
        cublasDsymm cublasDsymm_v2 f64 f64;
        cublasCsymm cublasCsymm_v2 ComplexFloat ComplexFloat;
        cublasZsymm cublasZsymm_v2 ComplexDouble ComplexDouble;
        cublasChemm cublasChemm_v2 ComplexFloat ComplexFloat;
        cublasZhemm cublasZhemm_v2 ComplexDouble ComplexDouble;
    ]
    (side: side, uplo: fill, m: int, n: int, alpha: first, a: pointer, lda: int, b: pointer, ldb: int, beta: second,
     c: pointer, ldc: int) []
}

legacy! {
    /// `trsm` (header `cublas.h`).
    [
        cublasStrsm cublasStrsm_v2 f32 f32;
        cublasDtrsm cublasDtrsm_v2 f64 f64;
        cublasCtrsm cublasCtrsm_v2 ComplexFloat ComplexFloat;
        cublasZtrsm cublasZtrsm_v2 ComplexDouble ComplexDouble;
    ]
    (side: side, uplo: fill, transa: op, diag: diagonal, m: int, n: int, alpha: first, a: pointer, lda: int, b: pointer,
     ldb: int) []
}

legacy! {
    /// `trmm`, whose result overwrites `b` (header `cublas.h`).
    [
        cublasStrmm cublasStrmm_v2 f32 f32;
        cublasDtrmm cublasDtrmm_v2 f64 f64;
        cublasCtrmm cublasCtrmm_v2 ComplexFloat ComplexFloat;
        cublasZtrmm cublasZtrmm_v2 ComplexDouble ComplexDouble;
    ]
    (side: side, uplo: fill, transa: op, diag: diagonal, m: int, n: int, alpha: first, a: pointer, lda: int, b: pointer,
     ldb: int) [and b ldb]
}
