//! Calls of the kernel driver `xe`: `xe_drm.h` of the kernel's interface.

use crate::bytes::Bytes;
use crate::drm::{number, slice};
use crate::model::{ADDRESS_BITS, CLOCK, REVISION, SYSTEM_MEMORY};
use crate::{Answer, Device};
use std::ffi::c_void;

/// `drm_xe_device_query`.
#[repr(C)]
struct Query {
    extensions: u64,
    query: u32,
    size: u32,
    data: u64,
}

/// `drm_xe_gem_create`.
#[repr(C)]
struct Create {
    extensions: u64,
    size: u64,
    placement: u32,
    flags: u32,
    vm: u32,
    handle: u32,
}

/// `drm_xe_gem_mmap_offset`.
#[repr(C)]
struct MapOffset {
    extensions: u64,
    handle: u32,
    flags: u32,
    offset: u64,
}

/// `drm_xe_vm_create`.
#[repr(C)]
struct CreateVm {
    extensions: u64,
    flags: u32,
    vm: u32,
}

/// `drm_xe_vm_bind`; of the binding itself nothing is used.
#[repr(C)]
struct Bind {
    extensions: u64,
    vm: u32,
    queue: u32,
    pad: u32,
    binds: u32,
    bind: [u64; 10],
    pad2: u32,
    syncs: u32,
    sync: u64,
}

/// `drm_xe_exec_queue_create`.
#[repr(C)]
struct CreateQueue {
    extensions: u64,
    width: u16,
    placements: u16,
    vm: u32,
    flags: u32,
    queue: u32,
}

/// `drm_xe_exec_queue_get_property`.
#[repr(C)]
struct Property {
    extensions: u64,
    queue: u32,
    property: u32,
    value: u64,
}

/// `drm_xe_exec`.
#[repr(C)]
struct Exec {
    extensions: u64,
    queue: u32,
    syncs: u32,
    sync: u64,
}

/// `drm_xe_sync`.
#[repr(C)]
struct Sync {
    extensions: u64,
    kind: u32,
    flags: u32,
    /// A handle, or the address of a user fence.
    object: u64,
    value: u64,
    reserved: [u64; 2],
}

const _: () = {
    assert!(std::mem::size_of::<Sync>() == 48);
    assert!(std::mem::offset_of!(Bind, sync) == 112);
    assert!(std::mem::offset_of!(CreateQueue, queue) == 20);
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
            0x40 => return query(device, &mut *argument.cast()),
            0x41 => {
                let create = &mut *argument.cast::<Create>();
                create.handle = objects.create_buffer(create.size)?;
            }
            0x42 => {
                let map = &mut *argument.cast::<MapOffset>();
                map.offset = objects.buffer_offset(map.handle)?;
            }
            0x43 => (*argument.cast::<CreateVm>()).vm = objects.number(),
            // Nothing is kept of address spaces and queues.
            0x44 | 0x47 => {}
            0x45 => {
                let bind = &*argument.cast::<Bind>();
                return signal(device, slice(bind.sync, bind.syncs as usize));
            }
            0x46 => (*argument.cast::<CreateQueue>()).queue = objects.number(),
            // No queue is ever banned.
            0x48 => (*argument.cast::<Property>()).value = 0,
            0x49 => {
                let exec = &*argument.cast::<Exec>();
                return signal(device, slice(exec.sync, exec.syncs as usize));
            }
            _ => return Err(libc::EINVAL),
        }
    }
    Ok(())
}

/// Signals what a submission signals; what it waits for was waited for, since nothing is ever late.
///
/// # Safety
/// Addresses of user fences are writable.
unsafe fn signal(device: &Device, syncs: &[Sync]) -> Answer {
    const SIGNAL: u32 = 1;
    for sync in syncs.iter().filter(|sync| sync.flags & SIGNAL != 0) {
        match sync.kind {
            0 => device.objects.set(sync.object as u32, 1)?,
            1 => device.objects.set(sync.object as u32, sync.value)?,
            // SAFETY: the caller's.
            2 => unsafe { *(sync.object as *mut u64) = sync.value },
            _ => return Err(libc::EINVAL),
        }
    }
    Ok(())
}

/// # Safety
/// `query.data` has room for `query.size` bytes.
unsafe fn query(device: &Device, query: &mut Query) -> Answer {
    let model = &device.model;
    let own = u32::from(model.memory > 0);
    let mut answer = Bytes::default();
    match query.query {
        // Engines: render, copy, compute; class and instance.
        0 => {
            let compute = (0..model.compute_engines).map(|instance| (4, instance));
            let engines: Vec<(u16, u16)> = [(0, 0), (1, 0)].into_iter().chain(compute).collect();
            answer.u32(&[engines.len() as u32, 0]);
            for (class, instance) in engines {
                answer.u16(&[class, instance, 0, 0]).u64(&[0; 3]);
            }
        }
        // Memory: the host's and, of cards, their own.
        1 => {
            answer.u32(&[1 + own, 0]);
            answer.u16(&[0, 0]).u32(&[4096]);
            answer.u64(&[SYSTEM_MEMORY, 0, 0, 0]).u64(&[0; 6]);
            if own > 0 {
                answer.u16(&[1, 1]).u32(&[model.page()]);
                answer.u64(&[model.memory, 0, model.memory, 0]).u64(&[0; 6]);
            }
        }
        // Configuration, by index.
        2 => {
            let id = u64::from(model.id) | u64::from(REVISION) << 16;
            let page = u64::from(model.page());
            answer.u32(&[5, 0]);
            answer.u64(&[id, own.into(), page, ADDRESS_BITS, 1]);
        }
        // Graphics units: one.
        3 => {
            let near = if own > 0 { 2 } else { 1 };
            let (major, minor) = model.version;
            answer.u32(&[1, 0]);
            answer.u16(&[0; 6]).u32(&[CLOCK]).u64(&[near, 0]);
            answer.u16(&[major, minor, 4, 0]).u64(&[0; 7]);
        }
        4 => {
            answer.u32(&model.configuration().ok_or(libc::ENODEV)?);
        }
        // Topology.
        5 => {
            let units = if model.version.0 >= 20 { 5 } else { 4 };
            for (kind, count) in [
                (1, model.cores),
                (2, model.cores),
                (3, model.cache_banks),
                (units, model.units),
            ] {
                answer.u16(&[0, kind]).u32(&[8]).u64(&[(1 << count) - 1]);
            }
        }
        // The engines' clock.
        6 => {
            let now = crate::drm::monotonic();
            let ticks = (u128::from(now) * u128::from(CLOCK) / 1_000_000_000) as u64;
            answer.u16(&[0; 4]).u32(&[1, 36]).u64(&[ticks, now, 100]);
        }
        // Version of the firmware.
        7 => {
            answer.u16(&[0, 0]).u32(&[0, 1, 18, 0, 0]).u64(&[0]);
        }
        _ => return Err(libc::EINVAL),
    }
    let len = answer.0.len() as u32;
    if query.size == 0 {
        query.size = len;
        return Ok(());
    }
    if query.size != len {
        return Err(libc::EINVAL);
    }
    // SAFETY: the caller has said that there is room for just this.
    unsafe {
        std::ptr::copy_nonoverlapping(answer.0.as_ptr(), query.data as *mut u8, answer.0.len());
    }
    Ok(())
}
