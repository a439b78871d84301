//! Calls of the kernel driver `i915`: `i915_drm.h` of the kernel's interface.

use crate::bytes::Bytes;
use crate::drm::{number, slice};
use crate::model::{ADDRESS_BITS, CLOCK, REVISION, SYSTEM_MEMORY};
use crate::{Answer, Device};
use std::ffi::{c_int, c_void};

/// `drm_i915_getparam`.
#[repr(C)]
struct GetParameter {
    parameter: i32,
    value: *mut c_int,
}

/// `drm_i915_gem_create` and the beginning of `drm_i915_gem_create_ext`.
#[repr(C)]
struct Create {
    size: u64,
    handle: u32,
}

/// `drm_i915_gem_userptr`.
#[repr(C)]
struct UserPointer {
    pointer: u64,
    size: u64,
    flags: u32,
    handle: u32,
}

/// `drm_i915_gem_mmap_offset`.
#[repr(C)]
struct MapOffset {
    handle: u32,
    pad: u32,
    offset: u64,
}

/// `drm_i915_gem_context_param`.
#[repr(C)]
struct ContextParameter {
    context: u32,
    size: u32,
    parameter: u64,
    value: u64,
}

/// `drm_i915_gem_vm_control`.
#[repr(C)]
struct CreateVm {
    extensions: u64,
    flags: u32,
    vm: u32,
}

/// `drm_i915_gem_execbuffer2`.
#[repr(C)]
struct Exec {
    buffers: u64,
    buffer_count: u32,
    start: u32,
    len: u32,
    reserved: [u32; 2],
    /// Of `fences`, where that is an array of them.
    fence_count: u32,
    /// An array of [`Fence`] or the first [`Extension`], as the flags say.
    fences: u64,
    flags: u64,
}

/// `drm_i915_gem_exec_fence`.
#[repr(C)]
struct Fence {
    handle: u32,
    flags: u32,
}

/// `drm_i915_gem_execbuffer_ext_timeline_fences`, which begins with `i915_user_extension`.
#[repr(C)]
struct Extension {
    next: u64,
    name: u32,
    flags: u32,
    reserved: [u32; 4],
    count: u64,
    fences: u64,
    values: u64,
}

/// `drm_i915_query`.
#[repr(C)]
struct Query {
    count: u32,
    flags: u32,
    items: u64,
}

/// `drm_i915_query_item`.
#[repr(C)]
struct Item {
    query: u64,
    length: i32,
    flags: u32,
    data: u64,
}

const _: () = {
    assert!(std::mem::offset_of!(Exec, flags) == 40);
    assert!(std::mem::offset_of!(Extension, count) == 32);
    assert!(std::mem::size_of::<Item>() == 24);
};

/// Answers a call.
///
/// # Safety
/// `argument` points to the structure of the request.
pub(crate) unsafe fn call(device: &Device, request: u32, argument: *mut c_void) -> Answer {
    let objects = &device.objects;
    // SAFETY: each arm takes the argument for the structure of its request, and what that points at for what it says.
    unsafe {
        match number(request) {
            0x46 => {
                let asked = &mut *argument.cast::<GetParameter>();
                *asked.value = parameter(device, asked.parameter)?;
            }
            0x79 => {
                let query = &*argument.cast::<Query>();
                for index in 0..query.count as usize {
                    answer(device, &mut *(query.items as *mut Item).add(index));
                }
            }
            // GEM_CREATE and GEM_CREATE_EXT.
            0x5b | 0x7c => {
                let create = &mut *argument.cast::<Create>();
                create.handle = objects.create_buffer(create.size)?;
            }
            0x73 => {
                let user = &mut *argument.cast::<UserPointer>();
                user.handle = objects.create_buffer(user.size)?;
            }
            0x64 => {
                let map = &mut *argument.cast::<MapOffset>();
                map.offset = objects.buffer_offset(map.handle)?;
            }
            // CONTEXT_CREATE: the number is the first word.
            0x6d => *argument.cast::<u32>() = objects.number(),
            0x74 => {
                const GTT_SIZE: u64 = 3;
                const VM: u64 = 9;
                let asked = &mut *argument.cast::<ContextParameter>();
                asked.value = match asked.parameter {
                    GTT_SIZE => 1 << ADDRESS_BITS,
                    VM => objects.number().into(),
                    _ => 0,
                };
            }
            0x75 => {
                const PRIORITY: u64 = 6;
                let set = &*argument.cast::<ContextParameter>();
                // High priorities are for privileged processes.
                if set.parameter == PRIORITY && set.value as i64 > 0 {
                    return Err(libc::EPERM);
                }
            }
            0x7a => (*argument.cast::<CreateVm>()).vm = objects.number(),
            0x69 => return execute(device, &*argument.cast()),
            // GET_APERTURE: all of it, and all of it free.
            0x63 => *argument.cast::<[u64; 2]>() = [1 << ADDRESS_BITS; 2],
            // What changes nothing here: CONTEXT_DESTROY, VM_DESTROY, GET_RESET_STATS, GEM_WAIT, GEM_BUSY, SET_TILING,
            // SET_CACHING, SET_DOMAIN, MADVISE, REG_READ.
            0x6e | 0x7b | 0x72 | 0x6c | 0x57 | 0x61 | 0x6f | 0x5f | 0x66 | 0x71 => {}
            _ => return Err(libc::EINVAL),
        }
    }
    Ok(())
}

fn parameter(device: &Device, parameter: i32) -> Result<c_int, c_int> {
    const CHIPSET_ID: i32 = 4;
    const HAS_ALIASING_PPGTT: i32 = 18;
    const MMAP_VERSION: i32 = 30;
    const REVISION_ID: i32 = 32;
    const SUBSLICE_TOTAL: i32 = 33;
    const EU_TOTAL: i32 = 34;
    const MMAP_GTT_VERSION: i32 = 40;
    const CLOCK_FREQUENCY: i32 = 51;
    const PERF_REVISION: i32 = 54;
    const PXP_STATUS: i32 = 58;
    const FULL_PPGTT: c_int = 3;
    let model = &device.model;
    Ok(match parameter {
        CHIPSET_ID => model.id.into(),
        REVISION_ID => REVISION as c_int,
        CLOCK_FREQUENCY => CLOCK as c_int,
        HAS_ALIASING_PPGTT => FULL_PPGTT,
        MMAP_VERSION | MMAP_GTT_VERSION => 4,
        SUBSLICE_TOTAL => model.cores as c_int,
        EU_TOTAL => (model.cores * model.units) as c_int,
        PERF_REVISION | PXP_STATUS => return Err(libc::ENODEV),
        // The others ask whether the kernel can do something.
        _ => 1,
    })
}

/// Signals what a submission signals.
///
/// # Safety
/// The structures that it points at are there.
unsafe fn execute(device: &Device, exec: &Exec) -> Answer {
    const FENCE_ARRAY: u64 = 1 << 19;
    const EXTENSIONS: u64 = 1 << 21;
    const TIMELINE_FENCES: u32 = 0;
    const SIGNAL: u32 = 2;
    let signals = |fence: &&Fence| fence.flags & SIGNAL != 0;
    // SAFETY: the caller's; the flags say what the pointer is.
    unsafe {
        if exec.flags & FENCE_ARRAY != 0 {
            let fences: &[Fence] = slice(exec.fences, exec.fence_count as usize);
            for fence in fences.iter().filter(signals) {
                device.objects.set(fence.handle, 1)?;
            }
        }
        if exec.flags & EXTENSIONS != 0 {
            let mut next = exec.fences;
            while next != 0 {
                let extension = &*(next as *const Extension);
                next = extension.next;
                if extension.name != TIMELINE_FENCES {
                    continue;
                }
                let count = extension.count as usize;
                let fences: &[Fence] = slice(extension.fences, count);
                let values: &[u64] = slice(extension.values, count);
                for (fence, &value) in fences.iter().zip(values) {
                    if signals(&fence) {
                        // A binary one has value 0.
                        device.objects.set(fence.handle, value.max(1))?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Answers one item of a query: with its length where none is given, else with the data.
///
/// # Safety
/// `item.data` has room for `item.length` bytes.
unsafe fn answer(device: &Device, item: &mut Item) {
    let bytes = match information(device, item.query) {
        Ok(bytes) => bytes.0,
        Err(error) => {
            item.length = -error;
            return;
        }
    };
    let len = bytes.len() as i32;
    if item.length != 0 && item.length < len {
        item.length = -libc::EINVAL;
        return;
    }
    if item.length != 0 {
        // SAFETY: there is room, says the caller.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), item.data as *mut u8, bytes.len());
        }
    }
    item.length = len;
}

fn information(device: &Device, query: u64) -> Result<Bytes, c_int> {
    let model = &device.model;
    let mut answer = Bytes::default();
    match query {
        // Topology: one slice with all cores, each with all its units.
        1 | 6 => {
            let (cores, units) = (model.cores as u16, model.units as u16);
            let (core_bytes, unit_bytes) = (cores.div_ceil(8), units.div_ceil(8));
            answer.u16(&[0, 1, cores, units]);
            answer.u16(&[1, core_bytes, 1 + core_bytes, unit_bytes]);
            answer.ones(1).ones(model.cores);
            for _ in 0..cores {
                answer.ones(model.units);
            }
        }
        // Engines: render, copy, compute; class and instance.
        2 => {
            let compute = (0..model.compute_engines).map(|instance| (4, instance));
            let engines: Vec<(u16, u16)> = [(0, 0), (1, 0)].into_iter().chain(compute).collect();
            answer.u32(&[engines.len() as u32, 0, 0, 0]);
            for (class, instance) in engines {
                answer.u16(&[class, instance]).u32(&[0]).u64(&[0; 6]);
            }
        }
        // Memory: the host's and, of cards, their own.
        4 => {
            let own = model.memory;
            answer.u32(&[1 + u32::from(own > 0), 0, 0, 0]);
            answer.u16(&[0, 0]).u32(&[0]);
            answer.u64(&[SYSTEM_MEMORY; 2]).u64(&[0; 8]);
            if own > 0 {
                answer.u16(&[1, 0]).u32(&[0]);
                answer.u64(&[own; 4]).u64(&[0; 6]);
            }
        }
        5 => {
            answer.u32(&model.configuration().ok_or(libc::ENODEV)?);
        }
        // Version of the firmware's submission interface.
        7 => {
            answer.u32(&[0, 1, 18, 0]);
        }
        _ => return Err(libc::EINVAL),
    }
    Ok(answer)
}
