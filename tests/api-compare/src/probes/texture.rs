//! Arrays, textures, surfaces.

use super::*;
use crate::{go, must, show};

/// A descriptor of cuArrayCreate: width, height, format and channels.
fn descriptor(width: u64, height: u64, format: u32, channels: u32) -> [u64; 3] {
    [width, height, u64::from(format) | u64::from(channels) << 32]
}

/// A descriptor of cuArray3DCreate.
fn descriptor_3d(size: [u64; 3], format: u32, channels: u32, flags: u32) -> [u64; 5] {
    [
        size[0],
        size[1],
        size[2],
        u64::from(format) | u64::from(channels) << 32,
        u64::from(flags),
    ]
}

/// A 64 x 32 array of floats.
fn array(flags: u32) -> u64 {
    let mut array = 0u64;
    must!(cuArray3DCreate_v2(
        &mut array,
        &descriptor_3d([64, 32, 0], 0x20, 1, flags)
    ));
    array
}

/// CUDA_RESOURCE_DESC: the type, then its members, then flags.
fn resource(kind: u32, members: &[u64]) -> [u64; 18] {
    let mut r = [0u64; 18];
    r[0] = u64::from(kind);
    r[1..=members.len()].copy_from_slice(members);
    r
}

/// CUDA_TEXTURE_DESC: address modes, filter, flags, anisotropy.
fn texture(modes: [u32; 3], filter: u32, flags: u32, anisotropy: u32) -> [u32; 26] {
    let mut t = [0u32; 26];
    t[..3].copy_from_slice(&modes);
    (t[3], t[4], t[5]) = (filter, flags, anisotropy);
    t
}

probes! {
    "array/create" => || {
        context();
        let mut a = 0u64;
        let mut create = |what: &str, d: [u64; 3]| {
            let code = crate::api::call("cuArrayCreate_v2", &[std::ptr::from_mut(&mut a) as u64, std::ptr::from_ref(&d) as u64]);
            crate::api::line(what, &crate::api::status(code));
        };
        create("plain", descriptor(64, 32, 0x20, 1));
        create("one row", descriptor(64, 0, 0x20, 1));
        create("width 0", descriptor(0, 32, 0x20, 1));
        create("channels 0", descriptor(64, 32, 0x20, 0));
        create("channels 2", descriptor(64, 32, 0x20, 2));
        create("channels 3", descriptor(64, 32, 0x20, 3));
        create("channels 4", descriptor(64, 32, 0x20, 4));
        create("channels 5", descriptor(64, 32, 0x20, 5));
        create("format 0", descriptor(64, 32, 0, 1));
        create("format 7", descriptor(64, 32, 7, 1));
        create("half", descriptor(64, 32, 0x10, 4));
        create("unorm", descriptor(64, 32, 0xc2, 4));
        create("unorm with 1 channel", descriptor(64, 32, 0xc2, 1));
        create("BC1", descriptor(64, 32, 0x91, 4));
        create("NV12", descriptor(64, 32, 0xb0, 3));
        create("width 131072", descriptor(131072, 0, 1, 1));
        create("width 131073", descriptor(131073, 0, 1, 1));
        create("width 131072, 2 rows", descriptor(131072, 2, 1, 1));
        create("width 131073, 2 rows", descriptor(131073, 2, 1, 1));
        create("height 65536", descriptor(4, 65536, 1, 1));
        create("height 65537", descriptor(4, 65537, 1, 1));
        go!(cuArrayCreate_v2(NULL, &descriptor(64, 32, 0x20, 1)));
        go!(cuArrayCreate_v2(&mut 0u64, NULL));
        go!(cuArrayDestroy(NULL));
    };
    "array/create-3d" => || {
        context();
        let mut a = 0u64;
        let mut create = |what: &str, d: [u64; 5]| {
            let code = crate::api::call("cuArray3DCreate_v2", &[std::ptr::from_mut(&mut a) as u64, std::ptr::from_ref(&d) as u64]);
            crate::api::line(what, &crate::api::status(code));
        };
        create("3D", descriptor_3d([8, 8, 8], 0x20, 1, 0));
        create("depth without height", descriptor_3d([8, 0, 8], 0x20, 1, 0));
        create("layers", descriptor_3d([8, 8, 4], 0x20, 1, 1));
        create("layers of one row", descriptor_3d([8, 0, 4], 0x20, 1, 1));
        create("no layers", descriptor_3d([8, 8, 0], 0x20, 1, 1));
        create("2049 layers", descriptor_3d([8, 8, 2049], 1, 1, 1));
        create("cube", descriptor_3d([8, 8, 6], 0x20, 1, 4));
        create("cube of 5", descriptor_3d([8, 8, 5], 0x20, 1, 4));
        create("cube not square", descriptor_3d([8, 4, 6], 0x20, 1, 4));
        create("cube layers", descriptor_3d([8, 8, 12], 0x20, 1, 5));
        create("cube layers of 7", descriptor_3d([8, 8, 7], 0x20, 1, 5));
        create("surface", descriptor_3d([8, 8, 0], 0x20, 1, 2));
        create("gather", descriptor_3d([8, 8, 0], 0x20, 1, 8));
        create("gather in 3D", descriptor_3d([8, 8, 8], 0x20, 1, 8));
        create("depth texture", descriptor_3d([8, 8, 0], 0x20, 1, 16));
        create("colour attachment", descriptor_3d([8, 8, 0], 0x20, 1, 32));
        create("sparse", descriptor_3d([8, 8, 0], 0x20, 1, 64));
        create("deferred", descriptor_3d([8, 8, 0], 0x20, 1, 128));
        create("flag 256", descriptor_3d([8, 8, 0], 0x20, 1, 256));
        create("flag 1 << 20", descriptor_3d([8, 8, 0], 0x20, 1, 1 << 20));
        create("depth 16384", descriptor_3d([1, 1, 16384], 1, 1, 0));
        create("depth 16385", descriptor_3d([1, 1, 16385], 1, 1, 0));
        create("width 16385 in 3D", descriptor_3d([16385, 1, 1], 1, 1, 0));
    };
    "array/descriptor" => || {
        context();
        let a = array(2);
        let (mut d, mut e) = ([9u64; 3], [9u64; 5]);
        go!(cuArrayGetDescriptor_v2(&mut d, a));
        show!(d);
        go!(cuArray3DGetDescriptor_v2(&mut e, a));
        show!(e);
        go!(cuArrayGetDescriptor_v2(NULL, a));
        go!(cuArrayGetDescriptor_v2(&mut d, NULL));
        go!(cuArrayGetPlane(&mut d, a, 0));
        go!(cuArrayGetSparseProperties(&mut e, a));
        let mut r = [9u64; 6];
        go!(cuArrayGetMemoryRequirements(&mut r, a, 0));
        go!(cuArrayDestroy(a));
        let mut three = 0u64;
        must!(cuArray3DCreate_v2(&mut three, &descriptor_3d([8, 8, 8], 0x20, 1, 0)));
        go!(cuArrayGetDescriptor_v2(&mut d, three));
        show!(d);
    };
    "array/destroyed" => || {
        context();
        let a = array(0);
        go!(cuArrayDestroy(a));
        go!(cuArrayDestroy(a));
    };
    "array/copies" => || {
        context();
        let (a, data, d) = (array(0), [5u8; 256 * 32], alloc(8192));
        let mut out = [0u8; 256];
        go!(cuMemcpyHtoA_v2(a, 0, &data, 256));
        go!(cuMemcpyHtoA_v2(a, 1, &data, 16));
        go!(cuMemcpyHtoA_v2(a, 0, &data, 257));
        go!(cuMemcpyHtoA_v2(a, 0, &data, 1 << 20));
        go!(cuMemcpyHtoA_v2(NULL, 0, &data, 16));
        go!(cuMemcpyAtoH_v2(&mut out, a, 0, 256));
        show!(out[255]);
        go!(cuMemcpyAtoH_v2(&mut out, a, 256, 16));
        go!(cuMemcpyAtoD_v2(d, a, 0, 256));
        go!(cuMemcpyDtoA_v2(a, 0, d, 256));
        go!(cuMemcpyAtoA_v2(a, 0, a, 128, 64));
        go!(cuMemcpyAtoH_v2(NULL, a, 0, 16));
        go!(cuMemcpyHtoA_v2(a, 0, NULL, 16));
        go!(cuMemcpyHtoA_v2(a, 0, &data, 0));
    };
    "mipmap" => || {
        context();
        let (mut m, mut l) = (0u64, 0u64);
        for levels in [0u32, 1, 4, 7, 8, 20] {
            let code = crate::api::call("cuMipmappedArrayCreate", &[std::ptr::from_mut(&mut m) as u64, std::ptr::from_ref(&descriptor_3d([64, 32, 0], 0x20, 1, 0)) as u64, u64::from(levels)]);
            crate::api::line(&format!("{levels} levels"), &crate::api::status(code));
        }
        must!(cuMipmappedArrayCreate(&mut m, &descriptor_3d([64, 32, 0], 0x20, 1, 0), 4));
        let mut d = [9u64; 5];
        for level in [0u32, 1, 3, 4, 99] {
            let code = crate::api::call("cuMipmappedArrayGetLevel", &[std::ptr::from_mut(&mut l) as u64, m, u64::from(level)]);
            if code == 0 { must!(cuArray3DGetDescriptor_v2(&mut d, l)); }
            crate::api::line(&format!("level {level}"), &format!("{} {:?}", crate::api::status(code), &d[..3]));
        }
        go!(cuArrayDestroy(l));
        go!(cuMipmappedArrayGetLevel(NULL, m, 0));
        go!(cuMipmappedArrayGetLevel(&mut l, NULL, 0));
        go!(cuMipmappedArrayDestroy(m));
        go!(cuMipmappedArrayDestroy(NULL));
        go!(cuMipmappedArrayCreate(&mut m, NULL, 1));
        go!(cuMipmappedArrayCreate(NULL, &descriptor_3d([64, 32, 0], 0x20, 1, 0), 1));
    };
    "texture/create" => || {
        context();
        let (a, d, mut t) = (array(0), alloc(8192), 0u64);
        let of_array = resource(0, &[a]);
        let plain = texture([1, 1, 1], 0, 0, 0);
        go!(cuTexObjectCreate(&mut t, &of_array, &plain, NULL));
        show!(t != 0);
        let (mut r, mut x, mut v) = ([0u64; 18], [0u32; 26], [0u64; 14]);
        go!(cuTexObjectGetResourceDesc(&mut r, t));
        show!(r[0], r[1] == a);
        go!(cuTexObjectGetTextureDesc(&mut x, t));
        show!(&x[..6]);
        go!(cuTexObjectGetResourceViewDesc(&mut v, t));
        go!(cuTexObjectDestroy(t));
        go!(cuTexObjectDestroy(NULL));
        go!(cuTexObjectCreate(NULL, &of_array, &plain, NULL));
        go!(cuTexObjectCreate(&mut t, NULL, &plain, NULL));
        go!(cuTexObjectCreate(&mut t, &of_array, NULL, NULL));
        go!(cuTexObjectCreate(&mut t, &resource(0, &[0]), &plain, NULL));
        go!(cuTexObjectCreate(&mut t, &resource(7, &[a]), &plain, NULL));
        let mut flagged = of_array;
        flagged[17] = 1;
        go!(cuTexObjectCreate(&mut t, &flagged, &plain, NULL));
        for (what, desc) in [("mode 4", texture([4, 1, 1], 0, 0, 0)), ("filter 2", texture([1, 1, 1], 2, 0, 0)), ("linear", texture([1, 1, 1], 1, 0, 0)),
            ("wrap without normalised coordinates", texture([0, 0, 0], 0, 0, 0)), ("wrap with", texture([0, 0, 0], 0, 2, 0)), ("as integer", texture([1, 1, 1], 0, 1, 0)),
            ("linear as integer", texture([1, 1, 1], 1, 1, 0)), ("sRGB", texture([1, 1, 1], 0, 16, 0)), ("flag 0x80", texture([1, 1, 1], 0, 0x80, 0)), ("flag 0x1000", texture([1, 1, 1], 0, 0x1000, 0)),
            ("anisotropy 16", texture([1, 1, 1], 0, 0, 16)), ("anisotropy 17", texture([1, 1, 1], 0, 0, 17)), ("seamless", texture([1, 1, 1], 0, 64, 0)), ("no trilinear", texture([1, 1, 1], 0, 32, 0))] {
            let code = crate::api::call("cuTexObjectCreate", &[std::ptr::from_mut(&mut t) as u64, std::ptr::from_ref(&of_array) as u64, std::ptr::from_ref(&desc) as u64, NULL]);
            crate::api::line(what, &crate::api::status(code));
        }
        // Linear memory: address, format and channels, bytes.
        let format = |f: u32, c: u32| u64::from(f) | u64::from(c) << 32;
        for (what, members) in [("linear", [d, format(0x20, 1), 4096]), ("linear, unaligned", [d + 4, format(0x20, 1), 4000]), ("linear of nothing", [d, format(0x20, 1), 0]),
            ("linear, null", [0, format(0x20, 1), 4096]), ("linear, 3 channels", [d, format(0x20, 3), 4096]), ("linear, format 0", [d, format(0, 1), 4096]),
            ("linear, odd size", [d, format(0x20, 4), 4095]), ("linear, huge", [d, format(0x20, 1), 1 << 40])] {
            let code = crate::api::call("cuTexObjectCreate", &[std::ptr::from_mut(&mut t) as u64, std::ptr::from_ref(&resource(2, &members)) as u64, std::ptr::from_ref(&plain) as u64, NULL]);
            crate::api::line(what, &crate::api::status(code));
        }
        // Pitched memory: address, format and channels, width, height, pitch.
        for (what, members) in [("pitched", [d, format(0x20, 1), 32, 4, 512]), ("pitched, odd pitch", [d, format(0x20, 1), 32, 4, 130]), ("pitched, pitch of 128", [d, format(0x20, 1), 32, 4, 128]), ("pitched, pitch of 144", [d, format(0x20, 1), 32, 4, 144]),
            ("pitched, small pitch", [d, format(0x20, 1), 32, 4, 64]), ("pitched, unaligned", [d + 4, format(0x20, 1), 32, 4, 512]), ("pitched, no height", [d, format(0x20, 1), 32, 0, 512]),
            ("pitched, no width", [d, format(0x20, 1), 0, 4, 512]), ("pitched, 16-byte address", [d + 16, format(0x20, 1), 32, 4, 512]), ("pitched, 32-byte address", [d + 32, format(0x20, 1), 32, 4, 512])] {
            let code = crate::api::call("cuTexObjectCreate", &[std::ptr::from_mut(&mut t) as u64, std::ptr::from_ref(&resource(3, &members)) as u64, std::ptr::from_ref(&plain) as u64, NULL]);
            crate::api::line(what, &crate::api::status(code));
        }
        // A view: format, width, height, depth, levels, layers.
        let view = |format: u32, width: u64, height: u64| { let mut v = [0u64; 14]; (v[0], v[1], v[2]) = (u64::from(format), width, height); v };
        for (what, v) in [("view of one float", view(0x16, 64, 32)), ("view of none", view(0, 64, 32)), ("view of another size", view(0x16, 32, 32)), ("view of four floats", view(0x18, 64, 32)), ("view 99", view(99, 64, 32))] {
            let code = crate::api::call("cuTexObjectCreate", &[std::ptr::from_mut(&mut t) as u64, std::ptr::from_ref(&of_array) as u64, std::ptr::from_ref(&plain) as u64, std::ptr::from_ref(&v) as u64]);
            crate::api::line(what, &crate::api::status(code));
        }
    };
    "surface/create" => || {
        context();
        let (a, plain, d, mut s) = (array(2), array(0), alloc(4096), 0u64);
        go!(cuSurfObjectCreate(&mut s, &resource(0, &[a])));
        let mut r = [0u64; 18];
        go!(cuSurfObjectGetResourceDesc(&mut r, s));
        show!(r[0], r[1] == a);
        go!(cuSurfObjectDestroy(s));
        go!(cuSurfObjectDestroy(NULL));
        go!(cuSurfObjectCreate(&mut s, &resource(0, &[plain])));
        go!(cuSurfObjectCreate(&mut s, &resource(2, &[d, 0x1_0000_0020, 4096])));
        go!(cuSurfObjectCreate(&mut s, &resource(0, &[0])));
    };
    "texture/alignment" => || {
        init();
        let mut width = 0usize;
        go!(cuDeviceGetTexture1DLinearMaxWidth(&mut width, 0x20, 1, 0));
        show!(width);
        go!(cuDeviceGetTexture1DLinearMaxWidth(&mut width, 0x20, 4, 0));
        show!(width);
        go!(cuDeviceGetTexture1DLinearMaxWidth(&mut width, 0x20, 3, 0));
        go!(cuDeviceGetTexture1DLinearMaxWidth(&mut width, 0, 1, 0));
        go!(cuDeviceGetTexture1DLinearMaxWidth(NULL, 0x20, 1, 0));
    };
}
