//! Copies: null, overlapping, out of bounds, two and three dimensions, batches.

use super::*;
use crate::{go, must, show};
use cuda_abi::{CUarray, CUmemorytype, CUDA_MEMCPY2D, CUDA_MEMCPY3D};

/// Two device buffers of 4 KiB, the first with 0, 1, 2...
fn buffers() -> (u64, u64, Vec<u8>) {
    let data: Vec<u8> = (0..4096u32).map(|i| (i % 251) as u8).collect();
    let (a, b) = (alloc(4096), alloc(4096));
    must!(cuMemcpyHtoD_v2(a, data.as_ptr(), 4096));
    (a, b, data)
}

/// A copy of 16 x 4 bytes between pitched device memory.
fn copy_2d(from: u64, to: u64) -> CUDA_MEMCPY2D {
    let mut c: CUDA_MEMCPY2D = zeroed();
    c.srcMemoryType = CUmemorytype::DEVICE;
    c.dstMemoryType = CUmemorytype::DEVICE;
    (
        c.srcDevice,
        c.dstDevice,
        c.srcPitch,
        c.dstPitch,
        c.WidthInBytes,
        c.Height,
    ) = (from, to, 64, 128, 16, 4);
    c
}

/// The same with three slices.
fn copy_3d(from: u64, to: u64) -> CUDA_MEMCPY3D {
    let mut c: CUDA_MEMCPY3D = zeroed();
    c.srcMemoryType = CUmemorytype::DEVICE;
    c.dstMemoryType = CUmemorytype::DEVICE;
    (c.srcDevice, c.dstDevice) = (from, to);
    (c.srcPitch, c.srcHeight, c.dstPitch, c.dstHeight) = (32, 8, 32, 8);
    (c.WidthInBytes, c.Height, c.Depth) = (16, 4, 3);
    c
}

/// Does a copy with one thing changed.
fn with_2d(what: &str, base: &CUDA_MEMCPY2D, change: impl FnOnce(&mut CUDA_MEMCPY2D)) {
    let mut copy = *base;
    change(&mut copy);
    let at = std::ptr::from_ref(&copy) as u64;
    let (aligned, unaligned) = (
        crate::api::call("cuMemcpy2D_v2", &[at]),
        crate::api::call("cuMemcpy2DUnaligned_v2", &[at]),
    );
    let queued = crate::api::call("cuMemcpy2DAsync_v2", &[at, NULL]);
    crate::api::line(
        what,
        &format!(
            "{}, unaligned {}, async {}",
            crate::api::status(aligned),
            crate::api::status(unaligned),
            crate::api::status(queued)
        ),
    );
}

/// Does a copy with one thing changed.
fn with_3d(what: &str, base: &CUDA_MEMCPY3D, change: impl FnOnce(&mut CUDA_MEMCPY3D)) {
    let mut copy = *base;
    change(&mut copy);
    let code = crate::api::call("cuMemcpy3D_v2", &[std::ptr::from_ref(&copy) as u64]);
    crate::api::line(what, &crate::api::status(code));
}

probes! {
    "copy/null" => || {
        context();
        let (a, b, data) = buffers();
        go!(cuMemcpyHtoD_v2(a, NULL, 16));
        go!(cuMemcpyHtoD_v2(NULL, data.as_ptr(), 16));
        go!(cuMemcpyDtoH_v2(NULL, a, 16));
        go!(cuMemcpyDtoD_v2(NULL, a, 16));
        go!(cuMemcpyDtoD_v2(b, NULL, 16));
        go!(cuMemcpy(NULL, a, 16));
        go!(cuMemcpyAsync(NULL, a, 16, NULL));
        go!(cuMemcpyHtoDAsync_v2(NULL, data.as_ptr(), 16, NULL));
        go!(cuMemcpyHtoD_v2(a, NULL, 0));
        go!(cuMemcpyHtoD_v2(NULL, NULL, 0));
        go!(cuMemcpyDtoH_v2(NULL, NULL, 0));
        go!(cuMemcpyDtoD_v2(NULL, NULL, 0));
        go!(cuMemcpy(NULL, NULL, 0));
        go!(cuMemcpyHtoDAsync_v2(NULL, NULL, 0, NULL));
        go!(cuMemcpyPeer(b, NULL, a, NULL, 16));
        go!(cuCtxSynchronize());
    };
    "copy/bounds" => || {
        context();
        let (a, b, data) = buffers();
        let mut out = vec![0u8; 1 << 23];
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), a, 4096));
        show!(out[..4096] == data[..]);
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), a, 1u64 << 23));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), a, 4097));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), a + 4000, 100));
        go!(cuMemcpyHtoD_v2(a, out.as_ptr(), 4097));
        go!(cuMemcpyHtoD_v2(a, out.as_ptr(), 1u64 << 23));
        go!(cuMemcpyDtoD_v2(a, b, 4097));
        go!(cuMemcpyDtoD_v2(a, b, 1u64 << 24));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), 4096, 16));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), 1u64 << 56, 16));
        go!(cuMemcpyDtoHAsync_v2(out.as_mut_ptr(), a, 4097, NULL));
        go!(cuCtxSynchronize());
    };
    "copy/past-end-small" => || {
        context();
        // A size that is no multiple of what allocators round to.
        let (d, mut out) = (alloc(100), vec![0u8; 4096]);
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), d, 100));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), d, 101));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), d, 512));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), d, 513));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), d, 4096));
    };
    "copy/overlap" => || {
        context();
        let (a, _, _) = buffers();
        go!(cuMemcpyDtoD_v2(a, a, 100));
        go!(cuMemcpyDtoD_v2(a + 10, a, 100));
        go!(cuMemcpyDtoD_v2(a, a + 10, 100));
        go!(cuMemcpyDtoDAsync_v2(a, a + 10, 100, NULL));
        go!(cuMemcpy(a, a + 10, 100));
        go!(cuCtxSynchronize());
    };
    "copy/any" => || {
        context();
        let (a, _, data) = buffers();
        let mut out = vec![0u8; 4096];
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 4096, 0));
        go!(cuMemcpy(out.as_mut_ptr(), a, 4096));
        show!(out == data);
        out.fill(0);
        go!(cuMemcpy(h, a, 4096));
        go!(cuMemcpy(out.as_mut_ptr(), h, 4096));
        show!(out == data);
        out.fill(0);
        go!(cuMemcpy(out.as_mut_ptr(), data.as_ptr(), 4096));
        show!(out == data);
        go!(cuMemcpyDtoD_v2(h, a, 16));
        go!(cuMemcpyHtoD_v2(h, data.as_ptr(), 16));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), h, 16));
        go!(cuMemcpyHtoD_v2(a, a, 16));
        go!(cuMemcpyHtoD_v2(out.as_mut_ptr(), data.as_ptr(), 16));
        go!(cuMemcpyDtoH_v2(out.as_mut_ptr(), data.as_ptr(), 16));
        go!(cuMemcpyDtoD_v2(out.as_mut_ptr(), data.as_ptr(), 16));
        go!(cuMemcpyDtoH_v2(a, a + 64, 16));
        go!(cuMemcpyAsync(out.as_mut_ptr(), a, 16, NULL));
        go!(cuCtxSynchronize());
    };
    "copy/2d" => || {
        context();
        let (a, b, data) = buffers();
        let base = copy_2d(a, b);
        with_2d("plain", &base, |_| ());
        let mut out = [0u8; 16];
        must!(cuMemcpyDtoH_v2(&mut out, b + 128, 16));
        show!(out[..] == data[64..80]);
        with_2d("width 0", &base, |c| c.WidthInBytes = 0);
        with_2d("height 0", &base, |c| c.Height = 0);
        with_2d("pitch less than width", &base, |c| c.srcPitch = 8);
        with_2d("target pitch less than width", &base, |c| c.dstPitch = 8);
        with_2d("pitch 0", &base, |c| c.srcPitch = 0);
        with_2d("pitch 0, one row", &base, |c| { c.srcPitch = 0; c.dstPitch = 0; c.Height = 1; });
        with_2d("odd pitch", &base, |c| c.srcPitch = 17);
        with_2d("pitch less than offset and width", &base, |c| { c.srcPitch = 20; c.srcXInBytes = 10; });
        with_2d("offsets", &base, |c| { c.srcXInBytes = 4; c.srcY = 1; c.dstXInBytes = 8; c.dstY = 2; });
        with_2d("huge pitch", &base, |c| c.srcPitch = 1 << 33);
        with_2d("pitch over the maximum", &base, |c| c.srcPitch = 1 << 31);
        with_2d("out of bounds", &base, |c| c.Height = 1000);
        with_2d("type 0", &base, |c| c.srcMemoryType = CUmemorytype(0));
        with_2d("type 5", &base, |c| c.srcMemoryType = CUmemorytype(5));
        with_2d("unified", &base, |c| { c.srcMemoryType = CUmemorytype::UNIFIED; c.dstMemoryType = CUmemorytype::UNIFIED; });
        with_2d("null source", &base, |c| c.srcDevice = 0);
        with_2d("null target", &base, |c| c.dstDevice = 0);
        with_2d("array null", &base, |c| { c.srcMemoryType = CUmemorytype::ARRAY; c.srcArray = CUarray::NULL; });
        with_2d("host null", &base, |c| { c.srcMemoryType = CUmemorytype::HOST; c.srcHost = std::ptr::null(); });
        with_2d("null, nothing to copy", &base, |c| { c.srcDevice = 0; c.Height = 0; });
        with_2d("overlapping", &base, |c| c.dstDevice = a);
        with_2d("host address as a device's", &base, |c| c.srcDevice = data.as_ptr() as u64);
        go!(cuMemcpy2D_v2(NULL));
        go!(cuCtxSynchronize());
    };
    "copy/3d" => || {
        context();
        let (a, b, data) = buffers();
        let base = copy_3d(a, b);
        with_3d("plain", &base, |_| ());
        let mut out = [0u8; 16];
        must!(cuMemcpyDtoH_v2(&mut out, b + 32 * 9, 16));
        show!(out[..] == data[32 * 9..32 * 9 + 16]);
        with_3d("depth 0", &base, |c| c.Depth = 0);
        with_3d("height 0", &base, |c| c.Height = 0);
        with_3d("width 0", &base, |c| c.WidthInBytes = 0);
        with_3d("source height less than height", &base, |c| c.srcHeight = 2);
        with_3d("source height 0", &base, |c| c.srcHeight = 0);
        with_3d("heights 0, one slice", &base, |c| { c.srcHeight = 0; c.dstHeight = 0; c.Depth = 1; });
        with_3d("pitch less than width", &base, |c| c.srcPitch = 8);
        with_3d("pitch 0", &base, |c| c.srcPitch = 0);
        with_3d("height with offset", &base, |c| { c.srcHeight = 5; c.srcY = 3; });
        with_3d("pitch with offset", &base, |c| { c.srcXInBytes = 20; });
        with_3d("levels", &base, |c| c.srcLOD = 1);
        with_3d("out of bounds", &base, |c| c.Depth = 1000);
        with_3d("type 7", &base, |c| c.dstMemoryType = CUmemorytype(7));
        with_3d("reserved", &base, |c| c.reserved0 = 8 as *mut c_void);
        with_3d("null source", &base, |c| c.srcDevice = 0);
        go!(cuMemcpy3D_v2(NULL));
        go!(cuMemcpy3DAsync_v2(NULL, NULL));
        go!(cuCtxSynchronize());
    };
    "copy/async-order" => || {
        context();
        let (a, s) = (alloc(4096), stream(1));
        let mut h = 0u64;
        must!(cuMemHostAlloc(&mut h, 4096, 0));
        hold(s);
        go!(cuMemsetD32Async(a, 7, 1, s));
        go!(cuMemcpyDtoHAsync_v2(h, a, 4, s));
        // SAFETY: page-locked memory that this probe allocated.
        let word = || unsafe { (h as *const u32).read_volatile() };
        show!(word());
        go!(cuStreamQuery(s));
        release();
        go!(cuStreamSynchronize(s));
        show!(word());
        go!(cuStreamQuery(s));
    };
    "copy/batch" => || {
        context();
        let (a, b, data) = buffers();
        let s = stream(1);
        let mut out = [0u8; 64];
        let (to, from, sizes) = ([b, std::ptr::from_mut(&mut out) as u64], [a, a], [64usize, 64]);
        // Read in stream order; no hints.
        let attributes = [1u64, 0, 0];
        let (index, mut failed) = ([0usize], 77usize);
        go!(cuMemcpyBatchAsync(&to, &from, &sizes, 2, &attributes, &index, 1, &mut failed, s));
        go!(cuStreamSynchronize(s));
        show!(out[..] == data[..64]);
        go!(cuMemcpyBatchAsync(&to, &from, &sizes, 0, &attributes, &index, 1, &mut failed, s));
        go!(cuMemcpyBatchAsync(&to, &from, &sizes, 2, &attributes, &index, 0, &mut failed, s));
        go!(cuMemcpyBatchAsync(&to, &from, &sizes, 2, &attributes, &index, 1, &mut failed, NULL));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 2, &attributes, &index, 1, s));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 0, &attributes, &index, 1, s));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 2, &attributes, &index, 3, s));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 2, &attributes, &[1usize], 1, s));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 2, &attributes, &index, 1, NULL));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &sizes, 2, &attributes, &index, 1, LEGACY));
        go!(cuMemcpyBatchAsync_v2(&[b, NULL], &from, &sizes, 2, &attributes, &index, 1, s));
        go!(cuMemcpyBatchAsync_v2(&to, &from, &[64usize, 0], 2, &attributes, &index, 1, s));
        go!(cuStreamSynchronize(s));
    };
}
