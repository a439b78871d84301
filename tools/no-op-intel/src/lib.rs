//! An Intel GPU that does nothing, for Mesa's ANV on machines without one: `LD_PRELOAD=libno_op_intel.so`.
//!
//! ANV finds a device, opens it, makes pipelines with its real compiler, allocates, maps and submits; every submission is
//! finished at once and nothing is executed, so memory keeps what the host wrote. As Mesa's own no-op devices for AMD.
//!
//! It takes the place of the kernel, not of Mesa: libdrm's list of devices and `ioctl`. The render node is a sparse file in
//! memory that is opened through `/proc/self/fd`, and a buffer object is a range of it, so opening and mapping are the
//! system's own. All DRM calls of the process end up here; a real GPU is not seen.
//!
//! | variable | meaning |
//! |---|---|
//! | `NO_OP_INTEL` | `tgl` (Tiger Lake), `dg2` (Arc A770; the default), `lnl` (Lunar Lake), `bmg` (Arc B580) |
//! | `NO_OP_INTEL_KERNEL` | the kernel's driver, `i915` or `xe`; by default what such devices have: `i915` before Lunar Lake |
//! | `NO_OP_INTEL_TRACE` | any value: calls that are refused go to standard error |
//!
//! Sizes of memory, numbers of cores and engines are those of a usual device; nothing is known of what the driver asks beyond
//! that, and unknown calls fail with EINVAL as in an old kernel.

mod bytes;
mod drm;
mod i915;
mod listing;
mod model;
mod objects;
mod xe;

use model::{Kernel, Model};
use objects::Objects;
use std::ffi::{c_int, c_ulong, c_void};
use std::os::fd::RawFd;
use std::sync::OnceLock;

/// What a call returns: 0, or a positive errno.
type Answer = Result<(), c_int>;

/// The one device of this process.
struct Device {
    model: Model,
    objects: Objects,
    trace: bool,
}

impl Device {
    /// The device, made at the first use.
    fn get() -> &'static Device {
        static DEVICE: OnceLock<Device> = OnceLock::new();
        DEVICE.get_or_init(|| Device {
            model: Model::from_environment(),
            objects: Objects::new(),
            trace: std::env::var_os("NO_OP_INTEL_TRACE").is_some(),
        })
    }

    /// One DRM call.
    ///
    /// # Safety
    /// `argument` points to the structure that the request's number stands for.
    unsafe fn call(&self, request: u32, argument: *mut c_void) -> Answer {
        // SAFETY: the caller's.
        unsafe {
            match self.model.kernel {
                _ if !drm::is_of_driver(request) => drm::call(self, request, argument),
                Kernel::I915 => i915::call(self, request, argument),
                Kernel::Xe => xe::call(self, request, argument),
            }
        }
    }
}

/// `ioctl(2)`: DRM requests (type `d`) are answered here, all others go to the kernel.
///
/// # Safety
/// As for ioctl: what `argument` has to be depends on the request.
#[no_mangle]
pub unsafe extern "C" fn ioctl(fd: RawFd, request: c_ulong, argument: *mut c_void) -> c_int {
    let request32 = request as u32;
    if drm::kind(request32) != b'd' {
        // SAFETY: the caller's arguments, handed on.
        return unsafe { libc::syscall(libc::SYS_ioctl, fd, request, argument) as c_int };
    }
    let device = Device::get();
    // SAFETY: the caller gives the structure of the request.
    let answer = unsafe { device.call(request32, argument) };
    let Err(error) = answer else { return 0 };
    if device.trace {
        eprintln!(
            "no-op-intel: request {request32:#x}: {}",
            std::io::Error::from_raw_os_error(error)
        );
    }
    // SAFETY: errno of this thread.
    unsafe { *libc::__errno_location() = error };
    -1
}
