//! Pointer attributes of every kind of memory.

use super::*;
use crate::{go, must, show};

/// Every attribute whose value is not an address or a number that depends on the process.
fn attributes(what: &str, at: u64, context: u64) {
    for id in (1..24u32).chain([99]) {
        let mut value = [0xaaaa_aaaa_aaaa_aaaau64; 2];
        let code = crate::api::call(
            "cuPointerGetAttribute",
            &[std::ptr::from_mut(&mut value) as u64, u64::from(id), at],
        );
        let v = value[0];
        let untouched = v == 0xaaaa_aaaa_aaaa_aaaa;
        let said = match id {
            _ if code != 0 => format!("untouched {untouched}"),
            1 => format!("current {} null {}", v == context, v == 0),
            3 | 4 | 11 => format!(
                "difference {}",
                if v == 0 {
                    "null".into()
                } else {
                    (at.wrapping_sub(v) as i64).to_string()
                }
            ),
            7 | 17 | 19 | 20 => format!("null {}", v == 0),
            5 | 18 => "some".into(),
            // Booleans and numbers of 32 bits, and a size.
            6 | 8 | 10 | 13 | 15 | 21 => format!("{}", v as u8),
            12 => v.to_string(),
            _ => format!("{}", v as u32 as i32),
        };
        crate::api::line(
            &format!("{what}, attribute {id}"),
            &format!("{} {said}", crate::api::status(code)),
        );
    }
}

probes! {
    "pointer/device" => || {
        let c = context();
        let d = alloc(1000);
        attributes("start", d, c);
        attributes("inside", d + 100, c);
    };
    "pointer/host" => || {
        let c = context();
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 1000, 3));
        attributes("start", h, c);
        attributes("inside", h + 100, c);
    };
    "pointer/registered" => || {
        let c = context();
        let memory = vec![0u8; 20000];
        let at = memory.as_ptr() as u64;
        must!(cuMemHostRegister_v2(at, 10000, 0));
        attributes("start", at, c);
        attributes("inside", at + 100, c);
    };
    "pointer/managed" => || {
        let c = context();
        let mut m = 0u64;
        must!(cuMemAllocManaged(&mut m, 1000, 1));
        attributes("start", m, c);
        attributes("inside", m + 100, c);
    };
    "pointer/pool" => || {
        let c = context();
        let (mut d, s) = (0u64, stream(1));
        must!(cuMemAllocAsync(&mut d, 1000, s));
        must!(cuStreamSynchronize(s));
        attributes("start", d, c);
        attributes("inside", d + 100, c);
    };
    "pointer/unknown" => || {
        let c = context();
        let local = 0u64;
        attributes("stack", std::ptr::from_ref(&local) as u64, c);
        attributes("null", 0, c);
        attributes("wild", 1 << 45, c);
    };
    "pointer/global" => || {
        let c = context();
        let (m, mut d, mut s) = (module(PTX), 0u64, 0usize);
        must!(cuModuleGetGlobal_v2(&mut d, &mut s, m, c"word"));
        for id in [1u32, 2, 8, 9, 13] {
            let mut value = 0u64;
            let code = crate::api::call("cuPointerGetAttribute", &[std::ptr::from_mut(&mut value) as u64, u64::from(id), d]);
            crate::api::line(&format!("attribute {id}"), &format!("{} {}", crate::api::status(code), if id == 1 { u64::from(value == c) } else { value & 0xff }));
        }
    };
    "pointer/freed" => || {
        let c = context();
        let d = alloc(1000);
        must!(cuMemFree_v2(d));
        let _ = c;
        let mut kind = 0u32;
        go!(cuPointerGetAttribute(&mut kind, 2, d));
    };
    "pointer/other-context" => || {
        init();
        let a = own_context();
        let d = alloc(1000);
        let b = own_context();
        let mut c = 0u64;
        go!(cuPointerGetAttribute(&mut c, 1, d));
        show!(c == a, c == b);
        let mut kind = 0u32;
        go!(cuPointerGetAttribute(&mut kind, 2, d));
        show!(kind);
        must!(cuCtxSetCurrent(NULL));
        go!(cuPointerGetAttribute(&mut kind, 2, d));
    };
    "pointer/several" => || {
        context();
        let d = alloc(1000);
        let (mut kind, mut ordinal, mut start) = (9u32, 9i32, 9u64);
        let ids = [2u32, 9, 11];
        let values = [std::ptr::from_mut(&mut kind) as u64, std::ptr::from_mut(&mut ordinal) as u64, std::ptr::from_mut(&mut start) as u64];
        go!(cuPointerGetAttributes(3, &ids, &values, d + 5));
        show!(kind, ordinal, start == d);
        let local = 0u64;
        go!(cuPointerGetAttributes(3, &ids, &values, &local));
        show!(kind, ordinal, start == &local as *const u64 as u64);
        go!(cuPointerGetAttributes(0, &ids, &values, d));
        go!(cuPointerGetAttributes(3, NULL, &values, d));
        go!(cuPointerGetAttributes(3, &ids, NULL, d));
        go!(cuPointerGetAttributes(3, &ids, &[0u64; 3], d));
        start = 9;
        go!(cuPointerGetAttributes(3, &ids, &values, NULL));
        show!(kind, ordinal, start);
        go!(cuPointerGetAttributes(1, &99u32, &values, d));
        go!(cuPointerGetAttribute(NULL, 2, d));
    };
    "pointer/set" => || {
        context();
        let d = alloc(1000);
        go!(cuPointerSetAttribute(&1u32, 6, d));
        let mut v = 9u32;
        go!(cuPointerGetAttribute(&mut v, 6, d));
        show!(v & 0xff);
        go!(cuPointerSetAttribute(&0u32, 6, d));
        go!(cuPointerSetAttribute(NULL, 6, d));
        go!(cuPointerSetAttribute(&1u32, 2, d));
        go!(cuPointerSetAttribute(&1u32, 99, d));
        let local = 0u64;
        go!(cuPointerSetAttribute(&1u32, 6, &local));
        go!(cuPointerSetAttribute(&1u32, 6, NULL));
    };
    "pointer/pools-by-place" => || {
        let c = context();
        let s = stream(1);
        for (kind, place) in [(1i32, 1u32), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (2, 2), (2, 3)] {
            let mut p: cuda_abi::CUmemPoolProps = zeroed();
            p.allocType = kind as _;
            p.location.kind = cuda_abi::CUmemLocationType(place as _);
            let (mut pool, mut d) = (0u64, 0u64);
            let code = crate::api::call("cuMemPoolCreate", &[std::ptr::from_mut(&mut pool) as u64, std::ptr::from_ref(&p) as u64]);
            crate::api::line(&format!("pool of type {kind}, place {place}"), &crate::api::status(code));
            if code != 0 {
                continue;
            }
            go!(cuMemAllocFromPoolAsync(&mut d, 1000, pool, s));
            must!(cuStreamSynchronize(s));
            if d != 0 {
                attributes(&format!("type {kind}, place {place}"), d, c);
            }
            go!(cuMemFreeAsync(d, s));
            go!(cuMemPoolDestroy(pool));
        }
    };
}
