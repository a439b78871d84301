//! Where C becomes Rust: every exported function runs its implementation through [`call`].
//!
//! Arguments come as C passes them. [`Accept`] turns pointers into [`Out`] and [`In`], which check for null and otherwise
//! rely on the one thing that every C API relies on: that a caller's pointer is null or points to what the function's
//! documentation says. That promise is made once, in the generated functions of [`crate::exports`].
//!
//! ```
//! use cuda::boundary::{Accept, Out};
//! let mut place = 0i32;
//! // SAFETY: `place` outlives `out`.
//! let out: Out<i32> = unsafe { Accept::accept(&mut place as *mut i32) };
//! out.set(7).unwrap();
//! assert_eq!(place, 7);
//! ```

use cuda_abi::*;
use std::ffi::{c_char, c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// What an implementation returns.
pub type Result<T = ()> = std::result::Result<T, CUresult>;

/// Runs an implementation: starts the log, traces the call, keeps panics inside.
pub fn call(
    symbol: &'static str,
    arguments: impl FnOnce() -> String,
    body: impl FnOnce() -> Result,
) -> CUresult {
    let traced = || {
        crate::log::start();
        let tracing = tracing::enabled!(target: "cuda::api", tracing::Level::TRACE);
        let arguments = if tracing { arguments() } else { String::new() };
        let status = body().err().unwrap_or(CUresult::SUCCESS);
        if tracing {
            tracing::trace!(target: "cuda::api", "{symbol}({arguments}) = {status:?}");
        } else if !matches!(status, CUresult::SUCCESS | CUresult::NOT_READY) {
            tracing::debug!(target: "cuda::api", "{symbol}: {status:?}");
        }
        status
    };
    catch_unwind(AssertUnwindSafe(traced)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let _ = catch_unwind(|| tracing::error!("{symbol}: internal error: {text}"));
        CUresult::UNKNOWN
    })
}

/// What a function of the table's `refused` and `meaningless` rows does.
pub fn refused(symbol: &'static str, status: CUresult, why: &'static str) -> CUresult {
    crate::log::start();
    tracing::warn!("{symbol} is refused: {why}");
    status
}

/// What a function of the table's `absent` rows does.
pub fn absent(symbol: &'static str) -> CUresult {
    crate::log::start();
    tracing::warn!("{symbol} is not implemented");
    CUresult::NOT_SUPPORTED
}

/// Turns an argument as C passes it into what the implementation takes.
pub trait Accept<C>: Sized {
    /// Takes the argument.
    ///
    /// # Safety
    /// A pointer is null, or valid for what the called function's documentation says it does with it, for as long as the
    /// call runs.
    unsafe fn accept(argument: C) -> Self;
}

impl<T> Accept<T> for T {
    unsafe fn accept(argument: T) -> Self {
        argument
    }
}

/// A pointer through which a function writes one value, or a known number of them.
#[derive(Debug)]
pub struct Out<T>(*mut T);

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

impl<T> Accept<*mut T> for Out<T> {
    unsafe fn accept(argument: *mut T) -> Self {
        Self(argument)
    }
}

impl<T: Copy> Out<T> {
    /// Whether the caller passed null.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn required(self) -> Result {
        if self.0.is_null() {
            Err(CUresult::INVALID_VALUE)
        } else {
            Ok(())
        }
    }

    /// Writes the value; `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn set(self, value: T) -> Result {
        self.required()?;
        self.set_if(value);
        Ok(())
    }

    /// Writes the value unless the pointer is null.
    pub fn set_if(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, so valid for a write, which is what `Accept` promises.
            unsafe { self.0.write_unaligned(value) }
        }
    }

    /// Reads what is there; `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn get(self) -> Result<T> {
        self.required()?;
        // SAFETY: not null, so valid for a read, which is what `Accept` promises.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// Reads the value at an index; `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn at(self, index: usize) -> Result<T> {
        self.required()?;
        // SAFETY: the callers stay within the length that the API function's arguments give.
        Ok(unsafe { self.0.add(index).read_unaligned() })
    }

    /// Writes the value at an index; `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn set_at(self, index: usize, value: T) -> Result {
        self.required()?;
        // SAFETY: the callers stay within the length that the API function's arguments give.
        unsafe { self.0.add(index).write_unaligned(value) }
        Ok(())
    }

    /// Writes the values one after the other; `CUDA_ERROR_INVALID_VALUE` for null unless there are none.
    pub fn set_all(self, values: impl IntoIterator<Item = T>) -> Result {
        for (index, value) in values.into_iter().enumerate() {
            self.required()?;
            // SAFETY: the caller of the API function passed a place for as many values as that function writes.
            unsafe { self.0.add(index).write_unaligned(value) }
        }
        Ok(())
    }
}

impl Out<c_char> {
    /// Writes text with a final NUL into a buffer of `size` bytes, cut to fit.
    pub fn set_text(self, text: &str, size: usize) -> Result {
        let kept = &text.as_bytes()[..text
            .len()
            .min(size.checked_sub(1).ok_or(CUresult::INVALID_VALUE)?)];
        self.set_all(kept.iter().chain([&0]).map(|&byte| byte as c_char))
    }
}

/// A pointer through which a function reads.
#[derive(Debug)]
pub struct In<T>(*const T);

impl<T> Clone for In<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<T> {}

impl<T> Accept<*const T> for In<T> {
    unsafe fn accept(argument: *const T) -> Self {
        Self(argument)
    }
}

impl<T> Accept<*mut T> for In<T> {
    unsafe fn accept(argument: *mut T) -> Self {
        Self(argument)
    }
}

impl<T> In<T> {
    /// No value.
    pub const fn null() -> Self {
        Self(std::ptr::null())
    }

    /// Whether the caller passed null.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }
}

impl<T: Copy> In<T> {
    /// The value; `CUDA_ERROR_INVALID_VALUE` for null.
    pub fn get(self) -> Result<T> {
        if self.0.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: not null, so valid for a read, which is what `Accept` promises.
        Ok(unsafe { self.0.read_unaligned() })
    }

    /// The value at an index, for arrays whose length another argument or a terminator gives.
    pub fn at(self, index: usize) -> Result<T> {
        if self.0.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: the callers stay within the length that the API function's arguments give.
        Ok(unsafe { self.0.add(index).read_unaligned() })
    }

    /// The first `count` values; `CUDA_ERROR_INVALID_VALUE` for null unless `count` is 0.
    pub fn all(self, count: usize) -> Result<Vec<T>> {
        (0..count).map(|index| self.at(index)).collect()
    }
}

impl In<c_char> {
    /// The text; `CUDA_ERROR_INVALID_VALUE` for null or where it is not UTF-8.
    pub fn text(self) -> Result<String> {
        if self.0.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        // SAFETY: not null, so a NUL-terminated string, which is what `Accept` promises.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str()
            .map(str::to_owned)
            .map_err(|_| CUresult::INVALID_VALUE)
    }
}

/// What the per-thread-default-stream twin of a function makes of an argument: a null stream becomes the calling thread's.
pub trait PerThread: Sized {
    /// The argument for the twin.
    fn per_thread(self) -> Self {
        self
    }
}

impl PerThread for CUstream {
    fn per_thread(self) -> Self {
        if self.is_null() {
            CU_STREAM_PER_THREAD
        } else {
            self
        }
    }
}

macro_rules! unchanged {
    ($($ty:ty),* $(,)?) => { $(impl PerThread for $ty {})* };
}

unchanged!(
    u8,
    u16,
    u32,
    u64,
    i32,
    f32,
    usize,
    CUcontext,
    CUfunction,
    CUevent,
    CUgraph,
    CUgraphExec,
    CUarray,
    CUmipmappedArray,
    CUarray_format,
    CUtexref,
    CUsurfref,
    CUaddress_mode,
    CUfilter_mode,
    CUmemoryPool,
    CUmemLocation,
    CUlaunchAttributeID,
    CUstreamCaptureMode,
    CUhostFn,
    CUstreamCallback,
);
impl<T> PerThread for *mut T {}
impl<T> PerThread for *const T {}

/// A null-terminated or counted list of untyped pointers, as in `kernelParams` and `extra`.
pub type Pointers = In<*mut c_void>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_an_error_and_panics_stay_inside() {
        // SAFETY: null is allowed.
        let out: Out<i32> = unsafe { Accept::accept(std::ptr::null_mut::<i32>()) };
        assert_eq!(out.set(1), Err(CUresult::INVALID_VALUE));
        out.set_if(1);
        assert_eq!(
            call("test", String::new, || panic!("on purpose")),
            CUresult::UNKNOWN
        );
        assert_eq!(
            call("test", String::new, || Err(CUresult::NOT_READY)),
            CUresult::NOT_READY
        );
    }

    #[test]
    fn text_is_cut_to_fit() {
        let mut buffer = [1 as c_char; 4];
        // SAFETY: the buffer has the four bytes that `set_text` is told of.
        let out: Out<c_char> = unsafe { Accept::accept(buffer.as_mut_ptr()) };
        out.set_text("abcdef", 4).unwrap();
        assert_eq!(buffer, [97, 98, 99, 0]);
        assert_eq!(out.set_text("a", 0), Err(CUresult::INVALID_VALUE));
        assert_eq!(CU_STREAM_LEGACY.per_thread(), CU_STREAM_LEGACY);
        assert_eq!(CUstream::NULL.per_thread(), CU_STREAM_PER_THREAD);
    }
}
