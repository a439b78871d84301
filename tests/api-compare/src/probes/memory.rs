//! Allocation: sizes, frees, host memory, managed memory, IPC.

use super::*;
use crate::{go, must, show};

/// The base and size of the allocation around an address.
fn range(at: u64) -> (String, i64, usize) {
    let (mut base, mut size) = (0u64, 0usize);
    let code = crate::api::call(
        "cuMemGetAddressRange_v2",
        &[
            std::ptr::from_mut(&mut base) as u64,
            std::ptr::from_mut(&mut size) as u64,
            at,
        ],
    );
    (
        crate::api::status(code),
        if code == 0 {
            at as i64 - base as i64
        } else {
            0
        },
        size,
    )
}

/// Page-aligned memory of the process.
fn pages(bytes: usize) -> u64 {
    // SAFETY: a new anonymous mapping.
    unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        ) as u64
    }
}

probes! {
    "memory/sizes" => || {
        context();
        let mut d = 5u64;
        go!(cuMemAlloc_v2(&mut d, 0));
        show!(d);
        go!(cuMemAlloc_v2(NULL, 16));
        go!(cuMemAlloc_v2(&mut d, 1));
        show!(d % 256);
        go!(cuMemAlloc_v2(&mut d, 1u64 << 50));
        go!(cuMemAlloc_v2(&mut d, u64::MAX));
        go!(cuMemAlloc_v2(&mut d, 1u64 << 63));
        go!(cuMemAlloc_v2(&mut d, 513));
        show!(d % 512);
        go!(cuCtxSynchronize());
        let (mut free, mut total) = (0usize, 0usize);
        go!(cuMemGetInfo_v2(&mut free, &mut total));
        show!(free <= total, free > 0);
        go!(cuMemGetInfo_v2(NULL, &mut total));
        go!(cuMemGetInfo_v2(&mut free, NULL));
        go!(cuMemGetInfo_v2(NULL, NULL));
    };
    "memory/free" => || {
        context();
        let d = alloc(4096);
        go!(cuMemFree_v2(NULL));
        go!(cuMemFree_v2(d + 16));
        go!(cuMemFree_v2(d + 4096));
        go!(cuMemFree_v2(5));
        go!(cuMemFree_v2(1u64 << 60));
        let local = 0u64;
        go!(cuMemFree_v2(&local));
        go!(cuMemFree_v2(d));
        go!(cuMemFree_v2(d));
        go!(cuMemFreeHost(NULL));
        go!(cuMemFreeHost(&local));
        let (mut h, mut d) = (0u64, 0u64);
        must!(cuMemHostAlloc(&mut h, 4096, 0));
        must!(cuMemHostGetDevicePointer_v2(&mut d, h, 0));
        show!(h == d);
        go!(cuMemFree_v2(d));
        go!(cuMemFreeHost(h + 16));
        go!(cuMemHostUnregister(h));
        go!(cuMemFreeHost(h));
        go!(cuMemFreeHost(h));
        let d = alloc(64);
        go!(cuMemFreeHost(d));
        go!(cuMemFree_v2(d));
    };
    "memory/range" => || {
        context();
        let d = alloc(1000);
        show!(range(d), range(d + 1), range(d + 999));
        show!(range(0), range(16));
        show!(range(d + 1000).0);
        let local = 0u64;
        show!(range(std::ptr::from_ref(&local) as u64));
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 100, 0));
        show!(range(h), range(h + 50));
        let mut m = 0u64;
        must!(cuMemAllocManaged(&mut m, 100, 1));
        show!(range(m), range(m + 50));
        go!(cuMemGetAddressRange_v2(NULL, NULL, d));
        let mut s = 0usize;
        go!(cuMemGetAddressRange_v2(NULL, &mut s, d + 5));
        show!(s);
        must!(cuMemFree_v2(d));
        show!(range(d).0);
    };
    "memory/pitch" => || {
        context();
        let (mut d, mut pitch) = (0u64, 0usize);
        for (width, height, element) in [(1usize, 1usize, 4u32), (100, 2, 4), (511, 2, 8), (512, 2, 16), (513, 2, 4), (1000, 3, 4), (4096, 2, 4), (4097, 2, 4),
            (100, 2, 3), (100, 2, 1), (100, 2, 0), (100, 2, 32), (0, 2, 4), (100, 0, 4), (0, 0, 4)] {
            d = 5;
            pitch = 5;
            let code = crate::api::call("cuMemAllocPitch_v2", &[std::ptr::from_mut(&mut d) as u64, std::ptr::from_mut(&mut pitch) as u64, width as u64, height as u64, u64::from(element)]);
            crate::api::line(&format!("{width} x {height} of {element}"), &format!("{} {pitch} {}", crate::api::status(code), d % 512));
        }
        go!(cuMemAllocPitch_v2(NULL, &mut pitch, 100, 2, 4));
        go!(cuMemAllocPitch_v2(&mut d, NULL, 100, 2, 4));
        go!(cuMemAllocPitch_v2(&mut d, &mut pitch, 1u64 << 40, 1u64 << 40, 4));
        let _ = d;
    };
    "memory/host-alloc" => || {
        context();
        let (mut h, mut f, mut d) = (0u64, 0u32, 0u64);
        for flags in 0..10u32 {
            let code = crate::api::call("cuMemHostAlloc", &[std::ptr::from_mut(&mut h) as u64, 100, u64::from(flags)]);
            f = 99;
            let got = if code == 0 { crate::api::call("cuMemHostGetFlags", &[std::ptr::from_mut(&mut f) as u64, h]) } else { 0 };
            crate::api::line(&format!("flags {flags}"), &format!("{}, {} {f}", crate::api::status(code), crate::api::status(got)));
        }
        h = 5;
        go!(cuMemHostAlloc(&mut h, 0, 0));
        show!(h);
        go!(cuMemHostAlloc(NULL, 10, 0));
        go!(cuMemHostAlloc(&mut h, 1u64 << 60, 0));
        go!(cuMemHostAlloc(&mut h, 10, 0x100));
        h = 5;
        go!(cuMemAllocHost_v2(&mut h, 0));
        show!(h);
        go!(cuMemAllocHost_v2(NULL, 10));
        go!(cuMemAllocHost_v2(&mut h, 100));
        go!(cuMemHostGetFlags(&mut f, h));
        show!(f);
        go!(cuMemHostGetFlags(&mut f, h + 5));
        go!(cuMemHostGetFlags(NULL, h));
        go!(cuMemHostGetFlags(&mut f, &d));
        go!(cuMemHostGetFlags(&mut f, NULL));
        go!(cuMemHostGetDevicePointer_v2(&mut d, h, 0));
        show!(d == h);
        go!(cuMemHostGetDevicePointer_v2(&mut d, h + 8, 0));
        show!(d == h + 8);
        go!(cuMemHostGetDevicePointer_v2(&mut d, h, 1));
        go!(cuMemHostGetDevicePointer_v2(NULL, h, 0));
        let local = 0u64;
        go!(cuMemHostGetDevicePointer_v2(&mut d, &local, 0));
        go!(cuMemHostGetDevicePointer_v2(&mut d, NULL, 0));
        let memory = alloc(64);
        go!(cuMemHostGetDevicePointer_v2(&mut d, memory, 0));
        go!(cuMemHostGetFlags(&mut f, memory));
    };
    "memory/register" => || {
        context();
        let (p, mut d, mut f) = (pages(1 << 16), 0u64, 0u32);
        go!(cuMemHostRegister_v2(p, 1 << 16, 0));
        go!(cuMemHostRegister_v2(p, 1 << 16, 0));
        go!(cuMemHostRegister_v2(p + 4096, 4096, 0));
        go!(cuMemHostGetDevicePointer_v2(&mut d, p, 0));
        show!(d == p);
        go!(cuMemHostGetDevicePointer_v2(&mut d, p + 100, 0));
        show!(d == p + 100);
        go!(cuMemHostGetFlags(&mut f, p));
        show!(f);
        go!(cuMemFreeHost(p));
        go!(cuMemHostUnregister(p + 4096));
        go!(cuMemHostUnregister(p));
        go!(cuMemHostUnregister(p));
        go!(cuMemHostUnregister(NULL));
        go!(cuMemHostRegister_v2(p, 0, 0));
        go!(cuMemHostRegister_v2(NULL, 4096, 0));
        go!(cuMemHostRegister_v2(p, 4096, 1));
        go!(cuMemHostGetFlags(&mut f, p));
        show!(f);
        go!(cuMemHostUnregister(p));
        go!(cuMemHostRegister_v2(p, 4096, 2));
        go!(cuMemHostUnregister(p));
        go!(cuMemHostRegister_v2(p, 4096, 16));
        go!(cuMemHostRegister_v2(p, 4096, 8));
        go!(cuMemHostUnregister(p));
        go!(cuMemHostRegister_v2(p, 4096, 3));
        go!(cuMemHostUnregister(p));
    };
    "memory/register-io" => || {
        context();
        let p = pages(1 << 16);
        go!(cuMemHostRegister_v2(p, 4096, 4));
        go!(cuMemHostUnregister(p));
    };
    "memory/register-unaligned" => || {
        context();
        let (p, mut d) = (pages(1 << 16), 0u64);
        go!(cuMemHostRegister_v2(p + 100, 1000, 0));
        go!(cuMemHostGetDevicePointer_v2(&mut d, p + 100, 0));
        show!(d == p + 100);
        go!(cuMemHostGetDevicePointer_v2(&mut d, p, 0));
        go!(cuMemHostGetDevicePointer_v2(&mut d, p + 1099, 0));
        go!(cuMemHostGetDevicePointer_v2(&mut d, p + 1100, 0));
        go!(cuMemHostUnregister(p));
        go!(cuMemHostUnregister(p + 100));
        go!(cuMemHostRegister_v2(p + 100, 10, 0));
        go!(cuMemHostRegister_v2(p + 200, 10, 0));
        go!(cuMemHostRegister_v2(p + 8192, 10, 0));
        go!(cuMemHostUnregister(p + 200));
        go!(cuMemHostUnregister(p + 100));
        go!(cuMemHostUnregister(p + 8192));
    };
    "memory/register-unmapped" => || {
        context();
        let p = pages(1 << 16);
        // SAFETY: the mapping of the line above.
        unsafe { libc::munmap((p + 8192) as *mut c_void, 4096) };
        go!(cuMemHostRegister_v2(p, 16384, 0));
        go!(cuMemHostRegister_v2(p + 8192, 4096, 0));
    };
    "memory/register-read-only" => || {
        context();
        let p = pages(1 << 16);
        // SAFETY: the mapping of the line above.
        unsafe { libc::mprotect(p as *mut c_void, 1 << 16, libc::PROT_READ) };
        go!(cuMemHostRegister_v2(p, 16384, 0));
        go!(cuMemHostRegister_v2(p, 16384, 8));
    };
    "memory/host-access" => || {
        context();
        let (f, mut h) = (kernel(c"store"), 0u64);
        must!(cuMemHostAlloc(&mut h, 64, 2));
        launch(f, NULL, h, 9);
        go!(cuCtxSynchronize());
        // SAFETY: page-locked memory that this probe allocated.
        show!(unsafe { (h as *const u32).read_volatile() });
        let p = pages(4096);
        must!(cuMemHostRegister_v2(p, 4096, 2));
        launch(f, NULL, p + 4, 10);
        go!(cuCtxSynchronize());
        // SAFETY: memory that this probe mapped.
        show!(unsafe { ((p + 4) as *const u32).read_volatile() });
    };
    "managed/alloc" => || {
        context();
        let mut m = 5u64;
        for flags in 0..9u32 {
            let code = crate::api::call("cuMemAllocManaged", &[std::ptr::from_mut(&mut m) as u64, 100, u64::from(flags)]);
            crate::api::line(&format!("flags {flags}"), &crate::api::status(code));
        }
        m = 5;
        go!(cuMemAllocManaged(&mut m, 0, 1));
        show!(m);
        go!(cuMemAllocManaged(NULL, 10, 1));
        go!(cuMemAllocManaged(&mut m, 1u64 << 60, 1));
        go!(cuMemAllocManaged(&mut m, 4096, 1));
        let f = kernel(c"store");
        launch(f, NULL, m, 77);
        go!(cuCtxSynchronize());
        // SAFETY: managed memory that this probe allocated.
        show!(unsafe { (m as *const u32).read_volatile() });
        go!(cuMemFreeHost(m));
        go!(cuMemFree_v2(m + 8));
        go!(cuMemFree_v2(m));
    };
    "managed/attach" => || {
        context();
        let (s, mut m) = (stream(0), 0u64);
        must!(cuMemAllocManaged(&mut m, 1 << 16, 1));
        go!(cuStreamAttachMemAsync(s, m, 0, 4));
        go!(cuStreamAttachMemAsync(s, m, 1 << 16, 4));
        go!(cuStreamAttachMemAsync(s, m, 4096, 4));
        go!(cuStreamAttachMemAsync(s, m + 8, 0, 4));
        go!(cuStreamAttachMemAsync(s, m, 0, 1));
        go!(cuStreamAttachMemAsync(s, m, 0, 2));
        go!(cuStreamAttachMemAsync(NULL, m, 0, 4));
        go!(cuStreamAttachMemAsync(NULL, m, 0, 1));
        let d = alloc(64);
        go!(cuStreamAttachMemAsync(s, d, 0, 1));
        let local = 0u64;
        go!(cuStreamAttachMemAsync(s, &local, 8, 4));
        go!(cuStreamSynchronize(s));
    };
    "managed/advise" => || {
        context();
        let mut m = 0u64;
        must!(cuMemAllocManaged(&mut m, 1 << 20, 1));
        for advice in 0..8u32 {
            for device in [0i32, -1, 5] {
                let code = crate::api::call("cuMemAdvise", &[m, 1 << 20, u64::from(advice), device as u64]);
                crate::api::line(&format!("advice {advice} device {device}"), &crate::api::status(code));
            }
        }
        go!(cuMemAdvise(m, 0, 1, 0));
        go!(cuMemAdvise(m + 100, 1000, 1, 0));
        go!(cuMemAdvise(m, 2 << 20, 1, 0));
        let d = alloc(64);
        go!(cuMemAdvise(d, 64, 1, 0));
        let local = 0u64;
        go!(cuMemAdvise(&local, 8, 1, 0));
        go!(cuMemAdvise(NULL, 8, 1, 0));
        // A location: its type, then the number.
        go!(cuMemAdvise_v2(m, 1 << 20, 1, 0));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 1));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 2));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 3));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 4));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 9));
        go!(cuMemAdvise_v2(m, 1 << 20, 3, 1u64 | 7 << 32));
    };
    "managed/prefetch" => || {
        context();
        let (mut m, s) = (0u64, stream(0));
        must!(cuMemAllocManaged(&mut m, 1 << 20, 1));
        go!(cuMemPrefetchAsync(m, 1 << 20, 0, s));
        go!(cuMemPrefetchAsync(m, 1 << 20, -1, s));
        go!(cuMemPrefetchAsync(m, 1 << 20, 5, s));
        go!(cuMemPrefetchAsync(m, 1 << 20, -2, s));
        go!(cuMemPrefetchAsync(m, 0, 0, s));
        go!(cuMemPrefetchAsync(m, 2 << 20, 0, s));
        go!(cuMemPrefetchAsync(m + 5, 100, 0, s));
        let d = alloc(64);
        go!(cuMemPrefetchAsync(d, 64, 0, s));
        let local = 0u64;
        go!(cuMemPrefetchAsync(&local, 8, 0, s));
        go!(cuMemPrefetchAsync(NULL, 8, 0, s));
        go!(cuMemPrefetchAsync_v2(m, 1 << 20, 1, 0, s));
        go!(cuMemPrefetchAsync_v2(m, 1 << 20, 2, 0, s));
        go!(cuMemPrefetchAsync_v2(m, 1 << 20, 1, 1, s));
        go!(cuMemPrefetchAsync_v2(m, 1 << 20, 0, 0, s));
        go!(cuStreamSynchronize(s));
    };
    "managed/range-attributes" => || {
        context();
        let mut m = 0u64;
        must!(cuMemAllocManaged(&mut m, 1 << 20, 1));
        let read = |step: &str| {
            for id in 0..10u32 {
                let mut value = [-7i32; 4];
                let size = if id == 3 { 16 } else { 4 };
                let code = crate::api::call("cuMemRangeGetAttribute", &[std::ptr::from_mut(&mut value) as u64, size, u64::from(id), m, 1 << 20]);
                crate::api::line(&format!("{step} attribute {id}"), &format!("{} {value:?}", crate::api::status(code)));
            }
        };
        read("new");
        must!(cuMemAdvise(m, 1 << 20, 1, 0));
        must!(cuMemAdvise(m, 1 << 20, 3, 0));
        must!(cuMemAdvise(m, 1 << 20, 5, 0));
        read("advised");
        must!(cuMemPrefetchAsync(m, 1 << 20, -1, NULL));
        must!(cuCtxSynchronize());
        read("prefetched");
        let mut v = 0i32;
        go!(cuMemRangeGetAttribute(&mut v, 8, 1, m, 1 << 20));
        go!(cuMemRangeGetAttribute(&mut v, 2, 1, m, 1 << 20));
        go!(cuMemRangeGetAttribute(&mut v, 4, 1, m, 2 << 20));
        go!(cuMemRangeGetAttribute(&mut v, 4, 1, m, 0));
        go!(cuMemRangeGetAttribute(NULL, 4, 1, m, 1 << 20));
        let d = alloc(64);
        go!(cuMemRangeGetAttribute(&mut v, 4, 1, d, 64));
        go!(cuMemRangeGetAttributes(&[NULL], &4usize, &1u32, 1, m, 1 << 20));
        go!(cuMemRangeGetAttributes(NULL, NULL, NULL, 0, m, 1 << 20));
    };
    "memory/set" => || {
        context();
        let d = alloc(4096);
        go!(cuMemsetD8_v2(d, 1, 0));
        go!(cuMemsetD8_v2(NULL, 1, 0));
        go!(cuMemsetD8_v2(NULL, 1, 1));
        go!(cuMemsetD8_v2(d + 3, 1, 5));
        go!(cuMemsetD16_v2(d + 1, 1, 1));
        go!(cuMemsetD16_v2(d + 2, 0x0203, 2));
        go!(cuMemsetD32_v2(d + 2, 1, 1));
        go!(cuMemsetD32_v2(d + 4, 1, 1));
        go!(cuMemsetD8_v2(d, 1, 4097));
        go!(cuMemsetD8_v2(d + 4096, 1, 1));
        go!(cuMemsetD32_v2(d, 1, 1u64 << 62));
        go!(cuMemsetD2D8_v2(d, 64, 9, 10, 2));
        go!(cuMemsetD2D8_v2(d, 5, 9, 10, 2));
        go!(cuMemsetD2D8_v2(d, 0, 9, 10, 1));
        go!(cuMemsetD2D8_v2(d, 64, 9, 0, 2));
        go!(cuMemsetD2D8_v2(d, 64, 9, 2, 0));
        go!(cuMemsetD2D16_v2(d, 63, 9, 10, 2));
        go!(cuMemsetD2D16_v2(d + 1, 64, 9, 10, 2));
        go!(cuMemsetD2D32_v2(d, 66, 9, 10, 2));
        go!(cuMemsetD2D32_v2(d + 2, 64, 9, 10, 2));
        go!(cuMemsetD2D32_v2(d, 4096, 9, 10, 2));
        go!(cuMemsetD8Async(d, 1, 10, NULL));
        go!(cuMemsetD32Async(d + 1, 1, 10, NULL));
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 64, 0));
        go!(cuMemsetD8_v2(h, 5, 64));
        go!(cuCtxSynchronize());
        let local = [0u8; 64];
        go!(cuMemsetD8_v2(&local, 5, 64));
        go!(cuCtxSynchronize());
        show!(peek(d), peek(d + 64));
    };
    "ipc" => || {
        context();
        let (d, e, mut handle) = (alloc(4096), event(6), [0u64; 8]);
        let plain = event(2);
        go!(cuIpcGetMemHandle(&mut handle, NULL));
        go!(cuIpcGetMemHandle(NULL, d));
        go!(cuIpcGetEventHandle(&mut handle, plain));
        go!(cuIpcGetEventHandle(NULL, e));
        go!(cuIpcGetEventHandle(&mut handle, NULL));
        go!(cuIpcCloseMemHandle(d));
        go!(cuIpcCloseMemHandle(NULL));
        let (mut m, mut h) = (0u64, 0u64);
        must!(cuMemAllocManaged(&mut m, 64, 1));
        must!(cuMemHostAlloc(&mut h, 64, 0));
        go!(cuIpcGetMemHandle(&mut handle, m));
        go!(cuIpcGetMemHandle(&mut handle, h));
    };
    "ipc/handles" => || {
        context();
        let (d, mut handle) = (alloc(4096), [0u64; 8]);
        go!(cuIpcGetMemHandle(&mut handle, d));
        let mut e = 0u64;
        go!(cuEventCreate(&mut e, 6));
        go!(cuIpcGetEventHandle(&mut handle, e));
        go!(cuEventCreate(&mut e, 4));
    };
}
