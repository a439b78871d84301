//! Pools and stream-ordered allocation.

use super::*;
use crate::{go, must, show};
use cuda_abi::{CUmemLocationType, CUmemPoolProps};

/// The properties of an ordinary pool of device 0.
fn properties() -> CUmemPoolProps {
    let mut p: CUmemPoolProps = zeroed();
    p.allocType = 1;
    p.location.kind = CUmemLocationType::DEVICE;
    p
}

/// A new pool.
fn pool() -> u64 {
    let mut pool = 0u64;
    must!(cuMemPoolCreate(&mut pool, &properties()));
    pool
}

/// Creates a pool with something changed.
fn create(what: &str, change: impl FnOnce(&mut CUmemPoolProps)) {
    let (mut p, mut pool) = (properties(), 0u64);
    change(&mut p);
    let code = crate::api::call(
        "cuMemPoolCreate",
        &[
            std::ptr::from_mut(&mut pool) as u64,
            std::ptr::from_ref(&p) as u64,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
}

probes! {
    "pool/create" => || {
        context();
        create("plain", |_| ());
        create("type 0", |p| p.allocType = 0);
        create("type 2", |p| p.allocType = 2);
        create("type 9", |p| p.allocType = 9);
        create("location 0", |p| p.location.kind = CUmemLocationType(0));
        create("host", |p| p.location.kind = CUmemLocationType::HOST);
        create("host node 0", |p| p.location.kind = CUmemLocationType::HOST_NUMA);
        create("host node 99", |p| { p.location.kind = CUmemLocationType::HOST_NUMA; p.location.id = 99; });
        create("location 9", |p| p.location.kind = CUmemLocationType(9));
        create("device 5", |p| p.location.id = 5);
        create("handles of files", |p| p.handleTypes = 1);
        create("handles 2", |p| p.handleTypes = 2);
        create("handles 0x40", |p| p.handleTypes = 0x40);
        create("size 1", |p| p.maxSize = 1);
        create("huge", |p| p.maxSize = 1 << 50);
        create("usage 1", |p| p.usage = 1);
        create("reserved", |p| p.reserved[0] = 1);
        let mut p = 0u64;
        go!(cuMemPoolCreate(NULL, &properties()));
        go!(cuMemPoolCreate(&mut p, NULL));
        go!(cuMemPoolDestroy(NULL));
        must!(cuDeviceGetDefaultMemPool(&mut p, 0));
        go!(cuMemPoolDestroy(p));
        let mut q = 0u64;
        go!(cuDeviceGetMemPool(&mut q, 0));
        show!(p == q);
        let own = pool();
        go!(cuDeviceSetMemPool(0, own));
        go!(cuDeviceGetMemPool(&mut q, 0));
        show!(q == own);
        go!(cuMemPoolDestroy(own));
        go!(cuDeviceGetMemPool(&mut q, 0));
        show!(q == p);
        go!(cuDeviceSetMemPool(0, NULL));
        go!(cuDeviceSetMemPool(5, p));
    };
    "pool/attributes" => || {
        context();
        let own = pool();
        let mut default = 0u64;
        must!(cuDeviceGetDefaultMemPool(&mut default, 0));
        for (name, pool) in [("own", own), ("default", default)] {
            for id in 0..17u32 {
                let mut value = 0u64;
                let code = crate::api::call("cuMemPoolGetAttribute", &[pool, u64::from(id), std::ptr::from_mut(&mut value) as u64]);
                crate::api::line(&format!("{name} {id}"), &format!("{} {value}", crate::api::status(code)));
            }
        }
        for id in 0..17u32 {
            for value in [0u64, 1, 2, 1000] {
                let code = crate::api::call("cuMemPoolSetAttribute", &[own, u64::from(id), std::ptr::from_ref(&value) as u64]);
                let mut read = 0u64;
                let got = crate::api::call("cuMemPoolGetAttribute", &[own, u64::from(id), std::ptr::from_mut(&mut read) as u64]);
                crate::api::line(&format!("own {id} set to {value}"), &format!("{}, {} {read}", crate::api::status(code), crate::api::status(got)));
            }
        }
        go!(cuMemPoolGetAttribute(own, 4, NULL));
        go!(cuMemPoolGetAttribute(NULL, 4, &mut default));
        go!(cuMemPoolTrimTo(own, 0));
        go!(cuMemPoolTrimTo(NULL, 0));
    };
    "pool/counters" => || {
        context();
        let (own, s) = (pool(), stream(1));
        let read = |id: u32| {
            let mut value = 0u64;
            must!(cuMemPoolGetAttribute(own, id, &mut value));
            value
        };
        let mut d = 0u64;
        go!(cuMemAllocFromPoolAsync(&mut d, 1000, own, s));
        go!(cuStreamSynchronize(s));
        show!(read(7), read(8), read(5) >= read(7), read(5), read(6));
        go!(cuMemFreeAsync(d, s));
        go!(cuStreamSynchronize(s));
        show!(read(7), read(8), read(5), read(6));
        go!(cuMemPoolSetAttribute(own, 8, &0u64));
        show!(read(8));
        go!(cuMemPoolSetAttribute(own, 4, &u64::MAX));
        go!(cuMemAllocFromPoolAsync(&mut d, 1000, own, s));
        go!(cuMemFreeAsync(d, s));
        go!(cuStreamSynchronize(s));
        show!(read(5), read(7));
        go!(cuMemPoolTrimTo(own, 0));
        show!(read(5));
        go!(cuMemPoolDestroy(own));
    };
    "pool/alloc" => || {
        context();
        let (own, s) = (pool(), stream(1));
        let mut d = 5u64;
        go!(cuMemAllocAsync(&mut d, 0, s));
        show!(d);
        go!(cuMemAllocAsync(NULL, 16, s));
        go!(cuMemAllocAsync(&mut d, 1u64 << 50, s));
        go!(cuMemAllocAsync(&mut d, 16, NULL));
        go!(cuMemAllocAsync(&mut d, 16, LEGACY));
        go!(cuMemAllocAsync(&mut d, 16, PER_THREAD));
        go!(cuMemAllocFromPoolAsync(&mut d, 16, NULL, s));
        go!(cuMemAllocFromPoolAsync(&mut d, 0, own, s));
        go!(cuMemAllocFromPoolAsync(&mut d, 16, own, s));
        show!(d % 512);
        go!(cuMemFreeAsync(NULL, s));
        go!(cuMemFreeAsync(d + 8, s));
        go!(cuMemFreeAsync(d, s));
        go!(cuMemFreeAsync(d, s));
        let local = 0u64;
        go!(cuMemFreeAsync(&local, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFree_v2(d));
    };
    "pool/free-forms" => || {
        context();
        let s = stream(1);
        let mut d = 0u64;
        must!(cuMemAllocAsync(&mut d, 100, s));
        go!(cuMemFree_v2(d));
        go!(cuMemFreeAsync(d, s));
        go!(cuMemFree_v2(d));
        must!(cuMemAlloc_v2(&mut d, 100));
        go!(cuMemFreeAsync(d, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFree_v2(d));
        must!(cuMemAllocManaged(&mut d, 100, 1));
        go!(cuMemFreeAsync(d, s));
        must!(cuMemHostAlloc(&mut d, 100, 0));
        go!(cuMemFreeAsync(d, s));
        go!(cuMemFreeHost(d));
        go!(cuStreamSynchronize(s));
    };
    "pool/other-stream" => || {
        context();
        let (s, t) = (stream(1), stream(1));
        let mut d = 0u64;
        go!(cuMemAllocAsync(&mut d, 100, s));
        go!(cuMemsetD8Async(d, 1, 100, s));
        must!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(d, t));
        go!(cuStreamSynchronize(t));
        let mut e = 0u64;
        go!(cuMemAllocAsync(&mut e, 100, t));
        show!(d == e);
        go!(cuMemFreeAsync(e, t));
        let mut f = 0u64;
        go!(cuMemAllocAsync(&mut f, 100, t));
        show!(e == f);
    };
    "pool/destroy-with-memory" => || {
        context();
        let (own, s) = (pool(), stream(1));
        let mut d = 0u64;
        must!(cuMemAllocFromPoolAsync(&mut d, 100, own, s));
        must!(cuStreamSynchronize(s));
        go!(cuMemPoolDestroy(own));
        go!(cuMemsetD8Async(d, 1, 100, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(d, s));
        go!(cuStreamSynchronize(s));
    };
    "pool/access" => || {
        context();
        let own = pool();
        let (mut flags, location) = (9u32, [1u32, 0]);
        go!(cuMemPoolGetAccess(&mut flags, own, &location));
        show!(flags);
        go!(cuMemPoolGetAccess(&mut flags, own, &[1u32, 7]));
        go!(cuMemPoolGetAccess(&mut flags, own, &[2u32, 0]));
        go!(cuMemPoolGetAccess(NULL, own, &location));
        go!(cuMemPoolSetAccess(own, &[1u32, 0, 3], 1));
        go!(cuMemPoolSetAccess(own, &[1u32, 0, 0], 1));
        go!(cuMemPoolSetAccess(own, &[1u32, 0, 1], 1));
        go!(cuMemPoolSetAccess(own, &[1u32, 7, 3], 1));
        go!(cuMemPoolSetAccess(own, NULL, 0));
        go!(cuMemPoolSetAccess(own, NULL, 1));
    };
    "pool/export" => || {
        context();
        let (own, s) = (pool(), stream(1));
        let (mut handle, mut d, mut data) = (0u64, 0u64, [0u64; 8]);
        go!(cuMemPoolExportToShareableHandle(&mut handle, own, 1, 0));
        go!(cuMemPoolExportToShareableHandle(&mut handle, own, 0, 0));
        must!(cuMemAllocFromPoolAsync(&mut d, 100, own, s));
        go!(cuMemPoolExportPointer(&mut data, d));
        go!(cuMemPoolExportPointer(&mut data, NULL));
        go!(cuMemPoolImportFromShareableHandle(&mut handle, 999999, 1, 0));
    };
}
