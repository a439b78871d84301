//! Devices: bounds of arguments, and attributes that compute capability 9.0 fixes.

use super::*;
use crate::api::text;
use crate::{go, must, show};

/// An attribute of device 0.
fn attribute(id: i32) -> i32 {
    let mut value = -99i32;
    must!(cuDeviceGetAttribute(&mut value, id, 0));
    value
}

probes! {
    "device/bounds" => || {
        init();
        let (mut d, mut v, mut s, mut p) = (-5i32, 0i32, 0usize, 0u64);
        go!(cuDeviceGet(&mut d, -1));
        go!(cuDeviceGet(&mut d, 1));
        go!(cuDeviceGet(&mut d, 99));
        show!(d);
        go!(cuDeviceGet(&mut d, 0));
        show!(d);
        go!(cuDeviceGetAttribute(&mut v, 75, -1));
        go!(cuDeviceGetAttribute(&mut v, 75, -2));
        go!(cuDeviceGetAttribute(&mut v, 75, 1));
        go!(cuDeviceGetAttribute(&mut v, 0, 0));
        go!(cuDeviceGetAttribute(&mut v, -1, 0));
        go!(cuDeviceGetAttribute(&mut v, 9999, 0));
        go!(cuDeviceTotalMem_v2(&mut s, 7));
        go!(cuDevicePrimaryCtxRetain(&mut p, 7));
        go!(cuDevicePrimaryCtxRelease_v2(7));
        go!(cuDevicePrimaryCtxReset_v2(7));
        go!(cuDeviceComputeCapability(&mut v, &mut d, 7));
        go!(cuCtxCreate_v2(&mut p, 0, 7));
        go!(cuDeviceCanAccessPeer(&mut v, 0, 0));
        show!(v);
        go!(cuDeviceCanAccessPeer(&mut v, 0, 1));
        go!(cuDeviceCanAccessPeer(&mut v, 1, 0));
        go!(cuDeviceCanAccessPeer(NULL, 0, 0));
        go!(cuDeviceGetP2PAttribute(&mut v, 1, 0, 0));
        go!(cuDeviceGetP2PAttribute(&mut v, 1, 0, 1));
        go!(cuDeviceGetP2PAttribute(&mut v, 99, 0, 0));
        go!(cuDeviceGetExecAffinitySupport(&mut v, 0, 0));
        go!(cuDeviceGetExecAffinitySupport(&mut v, 1, 0));
        go!(cuDeviceGetDefaultMemPool(&mut p, 3));
    };
    "device/names" => || {
        init();
        let mut name = [7u8; 8];
        go!(cuDeviceGetName(&mut name, 4, 0));
        show!(name[3], name[4]);
        go!(cuDeviceGetName(&mut name, 1, 0));
        show!(name[0]);
        go!(cuDeviceGetName(&mut name, 4, 9));
        let mut id = [0u8; 32];
        go!(cuDeviceGetPCIBusId(&mut id, 13, 0));
        let mut short = [9u8; 16];
        go!(cuDeviceGetPCIBusId(&mut short, 12, 0));
        show!(short[11], short[12]);
        let full = text(std::ptr::from_ref(&id) as u64);
        show!(full.len());
        let mut d = -1i32;
        go!(cuDeviceGetByPCIBusId(&mut d, &id));
        show!(d);
        go!(cuDeviceGetByPCIBusId(&mut d, c"nonsense"));
        go!(cuDeviceGetByPCIBusId(&mut d, c"ffff:ff:1f.0"));
        go!(cuDeviceGetByPCIBusId(&mut d, c""));
        go!(cuDeviceGetByPCIBusId(&mut d, NULL));
        let (mut luid, mut mask) = ([0u64; 2], 0u32);
        go!(cuDeviceGetLuid(&mut luid, &mut mask, 0));
    };
    "device/facts" => || {
        init();
        let (mut major, mut minor) = (0i32, 0i32);
        go!(cuDeviceComputeCapability(&mut major, &mut minor, 0));
        show!(major, minor);
        // The numbers of CUdevice_attribute that the architecture fixes.
        for id in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 35, 37,
            39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68,
            69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97,
            98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120,
            121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145,
            146, 147, 148, 149, 150] {
            let mut value = -99i32;
            let code = crate::api::call("cuDeviceGetAttribute", &[std::ptr::from_mut(&mut value) as u64, id, 0]);
            let name = cuda_abi::CUdevice_attribute(id as u32).name().unwrap_or("?");
            crate::api::line(&format!("attribute {id} {name}"), &match code { 0 => value.to_string(), _ => crate::api::status(code) });
        }
        show!(attribute(38) > 0, attribute(13) > 0, attribute(16) > 0, attribute(36) > 0);
    };
    "device/properties" => || {
        init();
        let mut p = [0i32; 16];
        go!(cuDeviceGetProperties(&mut p, 0));
        // maxThreadsPerBlock, maxThreadsDim, maxGridSize, sharedMemPerBlock, totalConstantMemory, SIMDWidth, memPitch, regsPerBlock.
        show!(&p[..11]);
    };
    "device/primary-state" => || {
        init();
        let (mut flags, mut active, mut a, mut b) = (9u32, 9i32, 0u64, 0u64);
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxRelease_v2(0));
        go!(cuDevicePrimaryCtxSetFlags_v2(0, 4));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxSetFlags_v2(0, 3));
        go!(cuDevicePrimaryCtxSetFlags_v2(0, 0x1000));
        go!(cuDevicePrimaryCtxRetain(&mut a, 0));
        go!(cuDevicePrimaryCtxRetain(&mut b, 0));
        show!(a == b);
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxSetFlags_v2(0, 1));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuCtxSetCurrent(a));
        let mut current = 0u32;
        go!(cuCtxGetFlags(&mut current));
        show!(current);
        go!(cuDevicePrimaryCtxRelease_v2(0));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxRelease_v2(0));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxRelease_v2(0));
        let mut c = 0u64;
        go!(cuCtxGetCurrent(&mut c));
        show!(c == a);
        go!(cuCtxSynchronize());
        go!(cuMemAlloc_v2(&mut b, 16));
        go!(cuDevicePrimaryCtxRetain(&mut c, 0));
        show!(c == a);
        go!(cuCtxSynchronize());
        go!(cuMemAlloc_v2(&mut b, 16));
    };
    "device/primary-reset" => || {
        let a = context();
        let memory = alloc(64);
        let (mut flags, mut active) = (9u32, 9i32);
        go!(cuDevicePrimaryCtxReset_v2(0));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        let mut c = 0u64;
        go!(cuCtxGetCurrent(&mut c));
        show!(c == a);
        go!(cuMemFree_v2(memory));
        go!(cuCtxSynchronize());
        go!(cuMemAlloc_v2(&mut c, 16));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuDevicePrimaryCtxRetain(&mut c, 0));
        show!(c == a);
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        go!(cuMemAlloc_v2(&mut c, 16));
        go!(cuCtxSetCurrent(a));
        go!(cuMemAlloc_v2(&mut c, 16));
    };
    "device/primary-destroy" => || {
        let a = context();
        let (mut flags, mut active) = (9u32, 9i32);
        go!(cuCtxDestroy_v2(a));
        go!(cuDevicePrimaryCtxGetState(0, &mut flags, &mut active));
        show!((flags, active));
        let mut c = 0u64;
        go!(cuCtxGetCurrent(&mut c));
        show!(c == a, c == 0);
        go!(cuMemAlloc_v2(&mut c, 16));
        go!(cuDevicePrimaryCtxRelease_v2(0));
    };
}
