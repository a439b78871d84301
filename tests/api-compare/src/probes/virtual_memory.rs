//! Virtual memory management.

use super::*;
use crate::{go, must, show};

/// CUmemAllocationProp of pinned device memory: type, handle types, location, and 16 bytes of the rest.
fn properties() -> [u32; 8] {
    [1, 0, 1, 0, 0, 0, 0, 0]
}

/// The recommended granularity.
fn granularity() -> usize {
    let mut size = 0usize;
    must!(cuMemGetAllocationGranularity(&mut size, &properties(), 0));
    size.max(1)
}

/// Memory without an address.
fn create(size: usize) -> u64 {
    let mut handle = 0u64;
    must!(cuMemCreate(&mut handle, size, &properties(), 0));
    handle
}

/// An address without memory.
fn reserve(size: usize) -> u64 {
    let mut at = 0u64;
    must!(cuMemAddressReserve(&mut at, size, 0, 0, 0));
    at
}

/// CUmemAccessDesc of device 0: location and flags.
const READ_WRITE: [u32; 3] = [1, 0, 3];

probes! {
    "vmm/granularity" => || {
        context();
        let mut size = 0usize;
        go!(cuMemGetAllocationGranularity(&mut size, &properties(), 0));
        show!(size);
        go!(cuMemGetAllocationGranularity(&mut size, &properties(), 1));
        show!(size);
        go!(cuMemGetAllocationGranularity(&mut size, &properties(), 2));
        go!(cuMemGetAllocationGranularity(NULL, &properties(), 0));
        go!(cuMemGetAllocationGranularity(&mut size, NULL, 0));
        for (what, p) in [("type 0", [0u32, 0, 1, 0, 0, 0, 0, 0]), ("type 2", [2, 0, 1, 0, 0, 0, 0, 0]), ("location 0", [1, 0, 0, 0, 0, 0, 0, 0]),
            ("device 7", [1, 0, 1, 7, 0, 0, 0, 0]), ("host", [1, 0, 2, 0, 0, 0, 0, 0]), ("host node 0", [1, 0, 3, 0, 0, 0, 0, 0]), ("files", [1, 1, 1, 0, 0, 0, 0, 0]),
            ("handles 2", [1, 2, 1, 0, 0, 0, 0, 0]), ("fabric", [1, 8, 1, 0, 0, 0, 0, 0]), ("compressible", [1, 0, 1, 0, 0, 0, 1, 0])] {
            let code = crate::api::call("cuMemGetAllocationGranularity", &[std::ptr::from_mut(&mut size) as u64, std::ptr::from_ref(&p) as u64, 0]);
            crate::api::line(what, &crate::api::status(code));
            let mut handle = 0u64;
            let code = crate::api::call("cuMemCreate", &[std::ptr::from_mut(&mut handle) as u64, 2 << 20, std::ptr::from_ref(&p) as u64, 0]);
            crate::api::line(&format!("{what}, create"), &crate::api::status(code));
        }
    };
    "vmm/reserve" => || {
        context();
        let (g, mut at) = (granularity(), 0u64);
        go!(cuMemAddressReserve(&mut at, 4 * g, 0, 0, 0));
        show!(at % g as u64);
        go!(cuMemAddressFree(at + g as u64, g));
        go!(cuMemAddressFree(at, g));
        go!(cuMemAddressFree(at, 8 * g));
        go!(cuMemAddressFree(at, 4 * g));
        go!(cuMemAddressFree(at, 4 * g));
        go!(cuMemAddressFree(NULL, g));
        go!(cuMemAddressReserve(&mut at, 0, 0, 0, 0));
        go!(cuMemAddressReserve(NULL, g, 0, 0, 0));
        go!(cuMemAddressReserve(&mut at, 100, 0, 0, 0));
        go!(cuMemAddressReserve(&mut at, g + 4096, 0, 0, 0));
        go!(cuMemAddressReserve(&mut at, g, 3, 0, 0));
        go!(cuMemAddressReserve(&mut at, g, 4096, 0, 0));
        go!(cuMemAddressReserve(&mut at, g, 8 * g, 0, 0));
        show!(at % (8 * g as u64));
        go!(cuMemAddressReserve(&mut at, g, 0, 0, 1));
        go!(cuMemAddressReserve(&mut at, 1u64 << 62, 0, 0, 0));
        go!(cuMemAddressReserve(&mut at, g, 0, 4096, 0));
    };
    "vmm/create" => || {
        context();
        let (g, mut h) = (granularity(), 0u64);
        go!(cuMemCreate(&mut h, 0, &properties(), 0));
        go!(cuMemCreate(&mut h, g / 2, &properties(), 0));
        go!(cuMemCreate(&mut h, g + 1, &properties(), 0));
        go!(cuMemCreate(NULL, g, &properties(), 0));
        go!(cuMemCreate(&mut h, g, NULL, 0));
        go!(cuMemCreate(&mut h, g, &properties(), 1));
        go!(cuMemCreate(&mut h, (1usize << 50).next_multiple_of(g), &properties(), 0));
        go!(cuMemCreate(&mut h, g, &properties(), 0));
        let mut p = [9u32; 8];
        go!(cuMemGetAllocationPropertiesFromHandle(&mut p, h));
        show!(p);
        go!(cuMemGetAllocationPropertiesFromHandle(NULL, h));
        go!(cuMemRelease(h));
        go!(cuMemRelease(h));
        go!(cuMemRelease(NULL));
        go!(cuMemGetAllocationPropertiesFromHandle(&mut p, h));
    };
    "vmm/map" => || {
        context();
        let g = granularity();
        let (at, h) = (reserve(4 * g), create(2 * g));
        let step = g as u64;
        go!(cuMemMap(at, g, 0, h, 0));
        go!(cuMemMap(at, 2 * g, 0, h, 0));
        go!(cuMemMap(at, 2 * g, 0, h, 0));
        go!(cuMemMap(at + 2 * step, g, g, h, 0));
        go!(cuMemMap(at + 3 * step, 2 * g, 0, h, 0));
        go!(cuMemMap(at + 100, 2 * g, 0, h, 0));
        go!(cuMemMap(at + 2 * step, 4 * g, 0, h, 0));
        go!(cuMemMap(at + 2 * step, 0, 0, h, 0));
        go!(cuMemMap(at + 2 * step, 2 * g, 0, NULL, 0));
        go!(cuMemMap(at + 2 * step, 2 * g, 0, h, 1));
        go!(cuMemMap(4096, 2 * g, 0, h, 0));
        go!(cuMemUnmap(at, g));
        go!(cuMemUnmap(at + 100, g));
        go!(cuMemUnmap(at, 2 * g));
        go!(cuMemUnmap(at, 2 * g));
        go!(cuMemUnmap(at, 0));
        go!(cuMemAddressFree(at, 4 * g));
    };
    "vmm/access" => || {
        context();
        let g = granularity();
        let (at, h) = (reserve(4 * g), create(2 * g));
        must!(cuMemMap(at, 2 * g, 0, h, 0));
        let (mut flags, location) = (9u64, [1u32, 0]);
        go!(cuMemGetAccess(&mut flags, &location, at));
        show!(flags);
        go!(cuMemsetD8_v2(at, 1, 16));
        go!(cuMemSetAccess(at, 4 * g, &READ_WRITE, 1));
        go!(cuMemSetAccess(at, g, &READ_WRITE, 1));
        go!(cuMemSetAccess(at, 2 * g, &READ_WRITE, 1));
        go!(cuMemGetAccess(&mut flags, &location, at));
        show!(flags);
        go!(cuMemGetAccess(&mut flags, &location, at + 2 * g as u64));
        go!(cuMemGetAccess(&mut flags, &[1u32, 7], at));
        go!(cuMemGetAccess(NULL, &location, at));
        go!(cuMemSetAccess(at, 2 * g, &[1u32, 0, 1], 1));
        go!(cuMemSetAccess(at, 2 * g, &[1u32, 0, 0], 1));
        go!(cuMemSetAccess(at, 2 * g, &[1u32, 0, 2], 1));
        go!(cuMemSetAccess(at, 2 * g, &[1u32, 7, 3], 1));
        go!(cuMemSetAccess(at, 2 * g, &[2u32, 0, 3], 1));
        go!(cuMemSetAccess(at, 2 * g, NULL, 1));
        go!(cuMemSetAccess(at, 2 * g, &READ_WRITE, 0));
        must!(cuMemSetAccess(at, 2 * g, &READ_WRITE, 1));
        go!(cuMemsetD32_v2(at, 7, 4));
        go!(cuCtxSynchronize());
        show!(peek(at + 4));
        go!(cuMemFree_v2(at));
        go!(cuMemRelease(h));
        show!(peek(at + 8));
        go!(cuMemAddressFree(at, 4 * g));
        go!(cuMemUnmap(at, 2 * g));
        go!(cuMemAddressFree(at, 4 * g));
    };
    "vmm/two-mappings" => || {
        context();
        let g = granularity();
        let (a, b, h) = (reserve(g), reserve(g), create(g));
        must!(cuMemMap(a, g, 0, h, 0));
        go!(cuMemMap(b, g, 0, h, 0));
        go!(cuMemSetAccess(a, g, &READ_WRITE, 1));
        go!(cuMemSetAccess(b, g, &READ_WRITE, 1));
        launch(kernel(c"store"), NULL, a, 99);
        go!(cuCtxSynchronize());
        show!(peek(b));
    };
    "vmm/handles" => || {
        context();
        let g = granularity();
        let (at, h) = (reserve(g), create(g));
        must!(cuMemMap(at, g, 0, h, 0));
        let mut again = 0u64;
        go!(cuMemRetainAllocationHandle(&mut again, at));
        show!(again == h);
        go!(cuMemRetainAllocationHandle(&mut again, at + 100));
        go!(cuMemRetainAllocationHandle(&mut again, alloc(64)));
        go!(cuMemRetainAllocationHandle(&mut again, NULL));
        go!(cuMemRetainAllocationHandle(NULL, at));
        let mut file = -1i32;
        go!(cuMemExportToShareableHandle(&mut file, h, 1, 0));
        go!(cuMemExportToShareableHandle(&mut file, h, 0, 0));
        go!(cuMemExportToShareableHandle(NULL, h, 1, 0));
        go!(cuMemImportFromShareableHandle(&mut again, 99999, 1));
        go!(cuMemRelease(h));
        go!(cuMemRelease(h));
        go!(cuMemRelease(h));
        go!(cuMemRelease(h));
    };
    "vmm/pointer" => || {
        let c = context();
        let g = granularity();
        let (at, h) = (reserve(2 * g), create(g));
        let ask = |what: &str| {
            for id in [1u32, 2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 16, 18, 19] {
                let mut value = [0u64; 2];
                let code = crate::api::call("cuPointerGetAttribute", &[std::ptr::from_mut(&mut value) as u64, u64::from(id), at + 100]);
                let v = value[0];
                let said = match id {
                    1 => format!("current {}", v == c),
                    3 | 11 | 19 => format!("{}", (at + 100).wrapping_sub(v) as i64),
                    7 => format!("{}", v != 0),
                    12 | 18 => format!("{}", v / g as u64),
                    _ => format!("{}", v as u32),
                };
                crate::api::line(&format!("{what} {id}"), &if code == 0 { format!("SUCCESS (0) {said}") } else { crate::api::status(code) });
            }
        };
        ask("reserved");
        must!(cuMemMap(at, g, 0, h, 0));
        ask("mapped");
        must!(cuMemSetAccess(at, g, &READ_WRITE, 1));
        ask("accessible");
        let (mut base, mut size) = (0u64, 0usize);
        go!(cuMemGetAddressRange_v2(&mut base, &mut size, at + 100));
        show!(base == at, size / g);
    };
    "vmm/no-context" => || {
        init();
        let (mut at, mut h, mut g) = (0u64, 0u64, 0usize);
        go!(cuMemGetAllocationGranularity(&mut g, &properties(), 0));
        go!(cuMemAddressReserve(&mut at, g, 0, 0, 0));
        go!(cuMemCreate(&mut h, g, &properties(), 0));
        go!(cuMemMap(at, g, 0, h, 0));
        go!(cuMemSetAccess(at, g, &READ_WRITE, 1));
        go!(cuMemUnmap(at, g));
        go!(cuMemRelease(h));
        go!(cuMemAddressFree(at, g));
    };
}
