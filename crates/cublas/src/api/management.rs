//! Handles, modes, versions, and copies of vectors and matrices between host and device.

use std::ffi::{c_char, c_void, CStr};
use std::io::Write as _;

use cuda_abi::{CUmemorytype, CUstream, CUDA_MEMCPY2D};

use super::{family, function, Input, Output};
use crate::driver::{check, driver};
use crate::handle::Handle;
use crate::types::{check_math_mode, AtomicsMode, PointerMode, Status};

fn put<T>(to: *mut T, value: T) -> Result<(), Status> {
    if to.is_null() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the C caller's pointer to a result, which is not null.
    unsafe { to.write(value) };
    Ok(())
}

/// The part of a workspace that begins at a multiple of 256: address and bytes, both 0 for none.
fn aligned_part(address: u64, bytes: usize) -> (u64, usize) {
    let skipped = (address.wrapping_neg() % 256) as usize;
    match bytes.checked_sub(skipped) {
        Some(rest) if address != 0 && rest > 0 => (address + skipped as u64, rest),
        _ => (0, 0),
    }
}

function! {
    /// Makes a handle for the current context.
    fn cublasCreate_v2(handle: *mut *mut Handle) {
        if handle.is_null() {
            return Err(Status::InvalidValue);
        }
        put(handle, Box::into_raw(Handle::create()?))
    }

    /// Frees a handle.
    fn cublasDestroy_v2(handle: *mut Handle) {
        Handle::from_raw(handle)?;
        (*Box::from_raw(handle)).destroy()
    }

    /// Sets the stream of the following calls; the workspace falls back to the library's own.
    fn cublasSetStream_v2(handle: *const Handle, stream: CUstream) {
        let mut state = Handle::from_raw(handle)?.state.lock();
        state.stream = stream;
        state.workspace = (0, 0);
        Ok(())
    }

    /// The stream of calls.
    fn cublasGetStream_v2(handle: *const Handle, stream: *mut CUstream) {
        put(stream, Handle::from_raw(handle)?.state.lock().stream)
    }

    /// Gives the library device memory to work in. The manual wants it aligned to 256 bytes, but cuBLAS 13 takes multiples of 16 (seen
    /// on an H200), and XLA has handed over multiples of 128. What comes before a multiple of 256 is left alone.
    fn cublasSetWorkspace_v2(handle: *const Handle, workspace: *mut c_void, bytes: usize) {
        let handle = Handle::from_raw(handle)?;
        handle.state.lock().workspace = aligned_part(workspace as u64, bytes);
        Ok(())
    }

    /// Sets where scalars live.
    fn cublasSetPointerMode_v2(handle: *const Handle, mode: i32) {
        Handle::from_raw(handle)?.state.lock().pointer_mode = PointerMode::try_from(mode)?;
        Ok(())
    }

    /// Where scalars live.
    fn cublasGetPointerMode_v2(handle: *const Handle, mode: *mut i32) {
        put(mode, Handle::from_raw(handle)?.state.lock().pointer_mode as i32)
    }

    /// Sets the precision that is allowed. Single precision is never reduced here.
    fn cublasSetMathMode(handle: *const Handle, mode: i32) {
        Handle::from_raw(handle)?.state.lock().math_mode = check_math_mode(mode)?;
        Ok(())
    }

    /// The mode set by `cublasSetMathMode`.
    fn cublasGetMathMode(handle: *const Handle, mode: *mut i32) {
        put(mode, Handle::from_raw(handle)?.state.lock().math_mode)
    }

    /// Sets whether atomics are allowed. None are used in either mode.
    fn cublasSetAtomicsMode(handle: *const Handle, mode: i32) {
        Handle::from_raw(handle)?.state.lock().atomics_mode = AtomicsMode::try_from(mode)?;
        Ok(())
    }

    /// The mode set by `cublasSetAtomicsMode`.
    fn cublasGetAtomicsMode(handle: *const Handle, mode: *mut i32) {
        put(mode, Handle::from_raw(handle)?.state.lock().atomics_mode as i32)
    }

    /// Sets the multiprocessors that kernels should be shaped for; 0 for all.
    fn cublasSetSmCountTarget(handle: *const Handle, count: i32) {
        let handle = Handle::from_raw(handle)?;
        if count < 0 || count as u32 > handle.multiprocessors {
            return Err(Status::InvalidValue);
        }
        handle.state.lock().multiprocessor_target = count;
        Ok(())
    }

    /// The number set by `cublasSetSmCountTarget`.
    fn cublasGetSmCountTarget(handle: *const Handle, count: *mut i32) {
        put(count, Handle::from_raw(handle)?.state.lock().multiprocessor_target)
    }
}

function! {
    /// Sets when emulated arithmetic is used (cuBLAS documentation, "cublasSetEmulationStrategy"): 0 to 2. It is kept for
    /// the getter: nothing is emulated here, so that results do not depend on it.
    fn cublasSetEmulationStrategy(handle: *const Handle, strategy: i32) {
        let handle = Handle::from_raw(handle)?;
        if !(0..=2).contains(&strategy) {
            return Err(Status::InvalidValue);
        }
        handle.state.lock().emulation.strategy = strategy;
        Ok(())
    }

    /// What `cublasSetEmulationStrategy` set (cuBLAS documentation, "cublasGetEmulationStrategy").
    fn cublasGetEmulationStrategy(handle: *const Handle, strategy: *mut i32) {
        put(strategy, Handle::from_raw(handle)?.state.lock().emulation.strategy)
    }

    /// Sets the special values that emulated arithmetic has to handle (cuBLAS documentation,
    /// "cublasSetEmulationSpecialValuesSupport"): a mask of 1 (infinities) and 2 (NaN), or 0xFFFF. It is kept for the
    /// getter: nothing is emulated here, all special values are handled.
    fn cublasSetEmulationSpecialValuesSupport(handle: *const Handle, mask: i32) {
        let handle = Handle::from_raw(handle)?;
        if !(0..=3).contains(&mask) && mask != 0xFFFF {
            return Err(Status::InvalidValue);
        }
        handle.state.lock().emulation.special_values = mask;
        Ok(())
    }

    /// What `cublasSetEmulationSpecialValuesSupport` set (cuBLAS documentation, "cublasGetEmulationSpecialValuesSupport").
    fn cublasGetEmulationSpecialValuesSupport(handle: *const Handle, mask: *mut i32) {
        put(mask, Handle::from_raw(handle)?.state.lock().emulation.special_values)
    }

    /// Sets who chooses the mantissa bits of fixed-point emulation (cuBLAS documentation,
    /// "cublasSetFixedPointEmulationMantissaControl"): 0 the library, 1 the caller. It is kept for the getter.
    fn cublasSetFixedPointEmulationMantissaControl(handle: *const Handle, control: i32) {
        let handle = Handle::from_raw(handle)?;
        if !(0..=1).contains(&control) {
            return Err(Status::InvalidValue);
        }
        handle.state.lock().emulation.mantissa_control = control;
        Ok(())
    }

    /// What `cublasSetFixedPointEmulationMantissaControl` set (cuBLAS documentation,
    /// "cublasGetFixedPointEmulationMantissaControl").
    fn cublasGetFixedPointEmulationMantissaControl(handle: *const Handle, control: *mut i32) {
        put(control, Handle::from_raw(handle)?.state.lock().emulation.mantissa_control)
    }

    /// Sets the most mantissa bits of fixed-point emulation (cuBLAS documentation,
    /// "cublasSetFixedPointEmulationMaxMantissaBitCount"); 0 is the library's choice. It is kept for the getter.
    fn cublasSetFixedPointEmulationMaxMantissaBitCount(handle: *const Handle, bits: i32) {
        let handle = Handle::from_raw(handle)?;
        if bits < 0 {
            return Err(Status::InvalidValue);
        }
        handle.state.lock().emulation.max_mantissa_bits = bits;
        Ok(())
    }

    /// What `cublasSetFixedPointEmulationMaxMantissaBitCount` set (cuBLAS documentation,
    /// "cublasGetFixedPointEmulationMaxMantissaBitCount").
    fn cublasGetFixedPointEmulationMaxMantissaBitCount(handle: *const Handle, bits: *mut i32) {
        put(bits, Handle::from_raw(handle)?.state.lock().emulation.max_mantissa_bits)
    }

    /// Sets what is added to a number of mantissa bits chosen at run time (cuBLAS documentation,
    /// "cublasSetFixedPointEmulationMantissaBitOffset"); may be negative. It is kept for the getter.
    fn cublasSetFixedPointEmulationMantissaBitOffset(handle: *const Handle, offset: i32) {
        Handle::from_raw(handle)?.state.lock().emulation.mantissa_bit_offset = offset;
        Ok(())
    }

    /// What `cublasSetFixedPointEmulationMantissaBitOffset` set (cuBLAS documentation,
    /// "cublasGetFixedPointEmulationMantissaBitOffset").
    fn cublasGetFixedPointEmulationMantissaBitOffset(handle: *const Handle, offset: *mut i32) {
        put(offset, Handle::from_raw(handle)?.state.lock().emulation.mantissa_bit_offset)
    }

    /// Sets where the number of mantissa bits that an emulated product used is written on the device (cuBLAS
    /// documentation, "cublasSetFixedPointEmulationMantissaBitCountPointer"). It is kept for the getter: no product is
    /// emulated here, so that nothing is written.
    fn cublasSetFixedPointEmulationMantissaBitCountPointer(handle: *const Handle, bits: *mut i32) {
        Handle::from_raw(handle)?.state.lock().emulation.mantissa_bits_pointer = bits as u64;
        Ok(())
    }

    /// What `cublasSetFixedPointEmulationMantissaBitCountPointer` set (cuBLAS documentation,
    /// "cublasGetFixedPointEmulationMantissaBitCountPointer").
    fn cublasGetFixedPointEmulationMantissaBitCountPointer(handle: *const Handle, bits: *mut *mut i32) {
        put(bits, Handle::from_raw(handle)?.state.lock().emulation.mantissa_bits_pointer as *mut i32)
    }

    /// Sets a mode that cuSOLVER imports; cuBLAS's documentation and headers do not have it. Its form is taken to be that of
    /// the other modes, and the number is kept for the getter.
    fn cublasSetEnvironmentMode(handle: *const Handle, mode: i32) {
        Handle::from_raw(handle)?.state.lock().environment_mode = mode;
        Ok(())
    }

    /// What `cublasSetEnvironmentMode` set, 0 before; not in cuBLAS's documentation either.
    fn cublasGetEnvironmentMode(handle: *const Handle, mode: *mut i32) {
        put(mode, Handle::from_raw(handle)?.state.lock().environment_mode)
    }
}

/// Tells on standard output that an argument is wrong, in cuBLAS's words (cuBLAS documentation, "cublasXerbla").
pub unsafe extern "C" fn cublasXerbla(name: *const c_char, argument: i32) {
    super::enter("cublasXerbla", || {
        if name.is_null() {
            return Err(Status::InvalidValue);
        }
        // SAFETY: the C caller's string.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let line =
            format!(" ** On entry to {name} parameter number {argument} had an illegal value\n");
        // Where standard output is closed there is nobody to tell.
        let _ = std::io::stdout().write_all(line.as_bytes());
        Ok(())
    });
}

/// The version that a library of SONAME `libcublas.so.MAJOR` reports: that of the last CUDA toolkit of this major version
/// whose functions it follows (12.8.4, 13.0.0).
const fn version(major: i32) -> [i32; 3] {
    match major {
        12 => [12, 8, 4],
        _ => [major, 0, 0],
    }
}

/// `major * 10000 + minor * 100 + patch`. The handle may be null.
pub unsafe extern "C" fn cublasGetVersion_v2<const MAJOR: i32>(
    _handle: *const Handle,
    out: *mut i32,
) -> i32 {
    super::enter("cublasGetVersion_v2", || {
        let [major, minor, patch] = version(MAJOR);
        put(out, major * 10000 + minor * 100 + patch)
    })
}

/// One number of the version: 0 major, 1 minor, 2 patch.
pub unsafe extern "C" fn cublasGetProperty<const MAJOR: i32>(which: i32, out: *mut i32) -> i32 {
    super::enter("cublasGetProperty", || {
        let which = usize::try_from(which).map_err(|_| Status::InvalidValue)?;
        put(out, *version(MAJOR).get(which).ok_or(Status::InvalidValue)?)
    })
}

/// The version of the CUDA runtime that a library of this major version belongs to.
pub extern "C" fn cublasGetCudartVersion<const MAJOR: i32>() -> usize {
    let [major, minor, _] = version(MAJOR);
    (major * 1000 + minor * 10) as usize
}

/// The name of a status constant.
pub extern "C" fn cublasGetStatusName(status: i32) -> *const c_char {
    Status::try_from(status)
        .map_or(c"CUBLAS_STATUS_UNKNOWN", Status::name)
        .as_ptr()
}

/// A sentence about a status.
pub extern "C" fn cublasGetStatusString(status: i32) -> *const c_char {
    Status::try_from(status)
        .map_or(c"unknown cuBLAS status", Status::description)
        .as_ptr()
}

/// A copy of `columns` pieces of `bytes` bytes, `pitch` apart on either side.
struct Copy {
    bytes: i64,
    columns: i64,
    source: Input,
    source_pitch: i64,
    destination: Output,
    destination_pitch: i64,
    to_device: bool,
}

impl Copy {
    fn run(&self, stream: Option<CUstream>) -> Result<(), Status> {
        if self.bytes < 0 || self.columns < 0 {
            return Err(Status::InvalidValue);
        }
        if self.bytes == 0 || self.columns == 0 {
            return Ok(());
        }
        let pitches = [self.source_pitch, self.destination_pitch];
        if pitches.iter().any(|&pitch| pitch < self.bytes)
            || self.source.is_null()
            || self.destination.is_null()
        {
            return Err(Status::InvalidValue);
        }
        let driver = driver()?;
        let (host, device) = (CUmemorytype::HOST, CUmemorytype::DEVICE);
        let (from, to) = if self.to_device {
            (host, device)
        } else {
            (device, host)
        };
        let copy = CUDA_MEMCPY2D {
            srcXInBytes: 0,
            srcY: 0,
            srcMemoryType: from,
            srcHost: self.source,
            srcDevice: self.source as u64,
            srcArray: Default::default(),
            srcPitch: self.source_pitch as usize,
            dstXInBytes: 0,
            dstY: 0,
            dstMemoryType: to,
            dstHost: self.destination,
            dstDevice: self.destination as u64,
            dstArray: Default::default(),
            dstPitch: self.destination_pitch as usize,
            WidthInBytes: self.bytes as usize,
            Height: self.columns as usize,
        };
        // SAFETY: the memory is the C caller's, as large as the function documents.
        let result = unsafe {
            match stream {
                Some(stream) => (driver.memcpy_2d_async)(&copy, stream),
                None => (driver.memcpy_2d)(&copy),
            }
        };
        check(
            result,
            "a copy between host and device",
            Status::MappingError,
        )
    }
}

/// A matrix copy in terms of elements.
#[rustfmt::skip]
fn matrix(rows: i64, columns: i64, size: i64, source: Input, lda: i64, destination: Output, ldb: i64, to_device: bool)
    -> Result<Copy, Status>
{
    if rows < 0 || columns < 0 || size <= 0 || lda < rows.max(1) || ldb < rows.max(1) {
        return Err(Status::InvalidValue);
    }
    Ok(Copy {
        bytes: rows * size,
        columns,
        source,
        source_pitch: lda * size,
        destination,
        destination_pitch: ldb * size,
        to_device,
    })
}

/// A vector copy: a matrix of one row.
#[rustfmt::skip]
fn vector(n: i64, size: i64, source: Input, incx: i64, destination: Output, incy: i64, to_device: bool)
    -> Result<Copy, Status>
{
    if incx <= 0 || incy <= 0 {
        return Err(Status::InvalidValue);
    }
    if (incx, incy) == (1, 1) {
        return matrix(n, n.min(1), size, source, n.max(1), destination, n.max(1), to_device);
    }
    matrix(1, n, size, source, incx, destination, incy, to_device)
}

family! {
    /// Copies a vector to the device. The element type is a size in bytes here.
    [cublasSetVector cublasSetVector_64 F32;]
    (n: int, size: int, x: Input, incx: int, y: Output, incy: int) |_element| {
        vector(n.into(), size.into(), x, incx.into(), y, incy.into(), true)?.run(None)
    }
}
family! {
    /// Copies a vector from the device.
    [cublasGetVector cublasGetVector_64 F32;]
    (n: int, size: int, x: Input, incx: int, y: Output, incy: int) |_element| {
        vector(n.into(), size.into(), x, incx.into(), y, incy.into(), false)?.run(None)
    }
}
family! {
    /// Copies a vector to the device in stream order.
    [cublasSetVectorAsync cublasSetVectorAsync_64 F32;]
    (n: int, size: int, x: Input, incx: int, y: Output, incy: int, stream: CUstream) |_element| {
        vector(n.into(), size.into(), x, incx.into(), y, incy.into(), true)?.run(Some(stream))
    }
}
family! {
    /// Copies a vector from the device in stream order.
    [cublasGetVectorAsync cublasGetVectorAsync_64 F32;]
    (n: int, size: int, x: Input, incx: int, y: Output, incy: int, stream: CUstream) |_element| {
        vector(n.into(), size.into(), x, incx.into(), y, incy.into(), false)?.run(Some(stream))
    }
}
family! {
    /// Copies a matrix to the device.
    [cublasSetMatrix cublasSetMatrix_64 F32;]
    (rows: int, cols: int, size: int, a: Input, lda: int, b: Output, ldb: int) |_element| {
        matrix(rows.into(), cols.into(), size.into(), a, lda.into(), b, ldb.into(), true)?.run(None)
    }
}
family! {
    /// Copies a matrix from the device.
    [cublasGetMatrix cublasGetMatrix_64 F32;]
    (rows: int, cols: int, size: int, a: Input, lda: int, b: Output, ldb: int) |_element| {
        matrix(rows.into(), cols.into(), size.into(), a, lda.into(), b, ldb.into(), false)?.run(None)
    }
}
family! {
    /// Copies a matrix to the device in stream order.
    [cublasSetMatrixAsync cublasSetMatrixAsync_64 F32;]
    (rows: int, cols: int, size: int, a: Input, lda: int, b: Output, ldb: int, stream: CUstream) |_element| {
        matrix(rows.into(), cols.into(), size.into(), a, lda.into(), b, ldb.into(), true)?.run(Some(stream))
    }
}
family! {
    /// Copies a matrix from the device in stream order.
    [cublasGetMatrixAsync cublasGetMatrixAsync_64 F32;]
    (rows: int, cols: int, size: int, a: Input, lda: int, b: Output, ldb: int, stream: CUstream) |_element| {
        matrix(rows.into(), cols.into(), size.into(), a, lda.into(), b, ldb.into(), false)?.run(Some(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let mut version = 0;
        // SAFETY: the pointer is to a live local.
        unsafe {
            assert_eq!(cublasGetVersion_v2::<13>(std::ptr::null(), &mut version), 0);
            assert_eq!(version, 130000);
            assert_eq!(cublasGetProperty::<12>(1, &mut version), 0);
            assert_eq!(version, 8);
            assert_eq!(
                cublasGetProperty::<12>(3, &mut version),
                Status::InvalidValue as i32
            );
            assert_eq!(
                cublasGetProperty::<12>(0, std::ptr::null_mut()),
                Status::InvalidValue as i32
            );
        }
    }

    #[test]
    fn emulation_needs_a_handle() {
        let null = std::ptr::null();
        // SAFETY: null is what is tested.
        unsafe {
            for status in [
                cublasSetEmulationStrategy(null, 0),
                cublasSetEmulationSpecialValuesSupport(null, 0),
                cublasSetFixedPointEmulationMantissaControl(null, 0),
                cublasSetEnvironmentMode(null, 0),
            ] {
                assert_eq!(status, Status::NotInitialized as i32);
            }
        }
    }

    #[test]
    fn null_handles_are_not_initialized() {
        let (null, mut stream) = (std::ptr::null_mut(), CUstream::NULL);
        // SAFETY: null is what is tested, the other pointer is to a live local.
        unsafe {
            assert_eq!(cublasDestroy_v2(null), Status::NotInitialized as i32);
            assert_eq!(
                cublasSetStream_v2(null, stream),
                Status::NotInitialized as i32
            );
            assert_eq!(
                cublasGetStream_v2(null, &mut stream),
                Status::NotInitialized as i32
            );
            assert_eq!(cublasSetMathMode(null, 0), Status::NotInitialized as i32);
            assert_eq!(
                cublasCreate_v2(std::ptr::null_mut()),
                Status::InvalidValue as i32
            );
        }
    }

    #[test]
    fn workspaces_begin_at_multiples_of_256() {
        assert_eq!(aligned_part(0x1000, 300), (0x1000, 300));
        assert_eq!(aligned_part(0x1080, 300), (0x1100, 172));
        assert_eq!(aligned_part(0x1080, 128), (0, 0));
        assert_eq!(aligned_part(0, 1 << 20), (0, 0));
    }

    #[test]
    fn copies_check_their_shape() {
        let (host, device) = (0x1000 as Input, 0x2000 as Output);
        assert_eq!(
            matrix(4, 4, 4, host, 3, device, 4, true).err(),
            Some(Status::InvalidValue)
        );
        assert_eq!(
            matrix(4, 4, 0, host, 4, device, 4, true).err(),
            Some(Status::InvalidValue)
        );
        assert_eq!(
            vector(4, 4, host, 0, device, 1, true).err(),
            Some(Status::InvalidValue)
        );
        let copy = vector(8, 4, host, 2, device, 1, true).expect("a legal copy");
        assert_eq!(
            (
                copy.bytes,
                copy.columns,
                copy.source_pitch,
                copy.destination_pitch
            ),
            (4, 8, 8, 4)
        );
        let copy = vector(8, 4, host, 1, device, 1, true).expect("a legal copy");
        assert_eq!((copy.bytes, copy.columns), (32, 1));
        assert_eq!(
            matrix(0, 4, 4, host, 1, device, 1, true).and_then(|copy| copy.run(None)),
            Ok(())
        );
    }
}
