//! Calls that every DRM driver has: `drm.h` of the kernel's interface.

use crate::{Answer, Device, Kernel};
use std::ffi::{c_char, c_int, c_void};

/// The letter of a request: `d` for DRM.
pub(crate) fn kind(request: u32) -> u8 {
    (request >> 8) as u8
}

/// The number of a request.
pub(crate) fn number(request: u32) -> u8 {
    request as u8
}

/// Whether the call is one of the driver's own.
pub(crate) fn is_of_driver(request: u32) -> bool {
    (0x40..0xa0).contains(&number(request))
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub(crate) fn monotonic() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a structure to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `len` elements at an address of the caller's.
///
/// # Safety
/// They are there, and stay unchanged while the slice lives.
pub(crate) unsafe fn slice<'a, T>(address: u64, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(address as *const T, len) }
}

/// `drm_version`.
#[repr(C)]
struct Version {
    major: c_int,
    minor: c_int,
    patch: c_int,
    name_len: usize,
    name: *mut c_char,
    date_len: usize,
    date: *mut c_char,
    desc_len: usize,
    desc: *mut c_char,
}

/// `drm_get_cap`.
#[repr(C)]
struct Capability {
    capability: u64,
    value: u64,
}

/// `drm_gem_close`, `drm_syncobj_create` and `drm_syncobj_destroy` are two words each.
type Words = [u32; 2];

/// `drm_syncobj_wait`.
#[repr(C)]
struct Wait {
    handles: u64,
    deadline: i64,
    count: u32,
    flags: u32,
    first: u32,
}

/// `drm_syncobj_timeline_wait`.
#[repr(C)]
struct TimelineWait {
    handles: u64,
    points: u64,
    deadline: i64,
    count: u32,
    flags: u32,
    first: u32,
}

/// `drm_syncobj_array`.
#[repr(C)]
struct Array {
    handles: u64,
    count: u32,
}

/// `drm_syncobj_timeline_array`.
#[repr(C)]
struct TimelineArray {
    handles: u64,
    points: u64,
    count: u32,
}

/// `drm_syncobj_transfer`.
#[repr(C)]
struct Transfer {
    source: u32,
    destination: u32,
    source_point: u64,
    destination_point: u64,
}

const WAIT_ALL: u32 = 1;

/// Writes text as the calls for names do: as much as there is room for, and its whole length.
///
/// # Safety
/// `room` has `*len` bytes, or is null.
unsafe fn write_text(text: &str, room: *mut c_char, len: &mut usize) {
    if !room.is_null() {
        // SAFETY: no more than the caller's room.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), room, text.len().min(*len));
        }
    }
    *len = text.len();
}

/// Answers a call.
///
/// # Safety
/// `argument` points to the structure of the request.
pub(crate) unsafe fn call(device: &Device, request: u32, argument: *mut c_void) -> Answer {
    let objects = &device.objects;
    // SAFETY: each arm takes the argument for the structure of its request, and what that points at for what it says.
    unsafe {
        match number(request) {
            0x00 => {
                let version = &mut *argument.cast::<Version>();
                let name = match device.model.kernel {
                    Kernel::I915 => "i915",
                    Kernel::Xe => "xe",
                };
                (version.major, version.minor, version.patch) = (1, 1, 0);
                write_text(name, version.name, &mut version.name_len);
                write_text("20240201", version.date, &mut version.date_len);
                write_text("no-op", version.desc, &mut version.desc_len);
            }
            0x0c => {
                const SYNCOBJ: u64 = 0x13;
                const SYNCOBJ_TIMELINE: u64 = 0x14;
                let asked = &mut *argument.cast::<Capability>();
                if !matches!(asked.capability, SYNCOBJ | SYNCOBJ_TIMELINE) {
                    return Err(libc::EINVAL);
                }
                asked.value = 1;
            }
            0x09 => objects.close_buffer((*argument.cast::<Words>())[0])?,
            0xbf => {
                let [handle, flags] = &mut *argument.cast::<Words>();
                *handle = objects.create_sync(*flags & 1 != 0);
            }
            0xc0 => objects.destroy_sync((*argument.cast::<Words>())[0])?,
            0xc3 => {
                let wait = &mut *argument.cast::<Wait>();
                let waits: Vec<_> = slice::<u32>(wait.handles, wait.count as usize)
                    .iter()
                    .map(|&handle| (handle, 1))
                    .collect();
                let all = wait.flags & WAIT_ALL != 0;
                wait.first = objects.wait(&waits, all, wait.deadline)? as u32;
            }
            0xca => {
                let wait = &mut *argument.cast::<TimelineWait>();
                let count = wait.count as usize;
                let waits: Vec<_> = slice::<u32>(wait.handles, count)
                    .iter()
                    .copied()
                    .zip(slice::<u64>(wait.points, count).iter().copied())
                    .collect();
                let all = wait.flags & WAIT_ALL != 0;
                wait.first = objects.wait(&waits, all, wait.deadline)? as u32;
            }
            // Reset and signal.
            number @ (0xc4 | 0xc5) => {
                let array = &*argument.cast::<Array>();
                for &handle in slice::<u32>(array.handles, array.count as usize) {
                    objects.set(handle, u64::from(number == 0xc5))?;
                }
            }
            // Signal of timelines.
            0xcd => {
                let array = &*argument.cast::<TimelineArray>();
                let count = array.count as usize;
                let points = slice::<u64>(array.points, count);
                for (&handle, &point) in slice::<u32>(array.handles, count).iter().zip(points) {
                    objects.set(handle, point)?;
                }
            }
            // Query.
            0xcb => {
                let array = &*argument.cast::<TimelineArray>();
                for (index, &handle) in slice::<u32>(array.handles, array.count as usize)
                    .iter()
                    .enumerate()
                {
                    *(array.points as *mut u64).add(index) = objects.point(handle)?;
                }
            }
            0xcc => {
                let transfer = &*argument.cast::<Transfer>();
                let point = match transfer.destination_point {
                    0 => objects.point(transfer.source)?,
                    point => point,
                };
                objects.set(transfer.destination, point)?;
            }
            _ => return Err(libc::EINVAL),
        }
    }
    Ok(())
}
