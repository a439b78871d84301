//! Arrays, textures and surfaces: copies of every kind, kernels that read and write them, and what is refused.

#[macro_use]
mod common;

use common::{allocate, in_child};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::{null, null_mut};

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64

// out[i] = texture at ((i % 16) / 4, (i / 16) / 4), in channels of one number
.visible .entry sample(.param .u64 out, .param .u64 texture) {
    .reg .b32 %r<8>; .reg .f32 %f<10>; .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    ld.param.u64 %rd2, [texture];
    mov.u32 %r1, %tid.x;
    and.b32 %r2, %r1, 15;
    shr.u32 %r3, %r1, 4;
    cvt.rn.f32.u32 %f1, %r2;
    cvt.rn.f32.u32 %f2, %r3;
    mul.f32 %f1, %f1, 0f3E800000;
    mul.f32 %f2, %f2, 0f3E800000;
    tex.2d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [%rd2, {%f1, %f2}];
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd4, %rd1, %rd3;
    st.global.f32 [%rd4], %f3;
    ret;
}

// out[i] = texel i of linear memory
.visible .entry fetch(.param .u64 out, .param .u64 texture) {
    .reg .b32 %r<8>; .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    ld.param.u64 %rd2, [texture];
    mov.u32 %r1, %tid.x;
    tex.1d.v4.s32.s32 {%r2, %r3, %r4, %r5}, [%rd2, {%r1}];
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd4, %rd1, %rd3;
    st.global.u32 [%rd4], %r2;
    ret;
}

// surface(x, y) = 100 y + x, for x and y below 8
.visible .entry paint(.param .u64 surface) {
    .reg .b32 %r<8>; .reg .b64 %rd<6>;
    ld.param.u64 %rd2, [surface];
    mov.u32 %r1, %tid.x;
    and.b32 %r2, %r1, 7;
    shr.u32 %r3, %r1, 3;
    mad.lo.u32 %r4, %r3, 100, %r2;
    shl.b32 %r2, %r2, 2;
    sust.b.2d.b32.trap [%rd2, {%r2, %r3}], %r4;
    ret;
}
";

fn start() -> CUmodule {
    let mut context = CUcontext::NULL;
    let mut module = CUmodule::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    module
}

fn launch(module: CUmodule, name: &CStr, threads: u32, arguments: &[u64]) {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
    let mut pointers: Vec<*mut c_void> = arguments
        .iter()
        .map(|a| std::ptr::from_ref(a).cast_mut().cast())
        .collect();
    ok!(cuLaunchKernel(
        function,
        1,
        1,
        1,
        threads,
        1,
        1,
        0,
        CUstream::NULL,
        pointers.as_mut_ptr(),
        null_mut()
    ));
    ok!(cuCtxSynchronize());
}

fn download<T: Copy + Default>(address: CUdeviceptr, count: usize) -> Vec<T> {
    let mut values = vec![T::default(); count];
    ok!(cuMemcpyDtoH_v2(
        values.as_mut_ptr().cast(),
        address,
        count * size_of::<T>()
    ));
    values
}

fn array(width: usize, height: usize, depth: usize, channels: u32, flags: u32) -> CUarray {
    let descriptor = CUDA_ARRAY3D_DESCRIPTOR {
        Width: width,
        Height: height,
        Depth: depth,
        Format: CUarray_format::FLOAT,
        NumChannels: channels,
        Flags: flags,
    };
    let mut array = CUarray::NULL;
    ok!(cuArray3DCreate_v2(&mut array, &descriptor));
    array
}

const NOWHERE: CUDA_MEMCPY3D = CUDA_MEMCPY3D {
    srcXInBytes: 0,
    srcY: 0,
    srcZ: 0,
    srcLOD: 0,
    srcMemoryType: CUmemorytype::HOST,
    srcHost: null(),
    srcDevice: 0,
    srcArray: CUarray::NULL,
    reserved0: null_mut(),
    srcPitch: 0,
    srcHeight: 0,
    dstXInBytes: 0,
    dstY: 0,
    dstZ: 0,
    dstLOD: 0,
    dstMemoryType: CUmemorytype::HOST,
    dstHost: null_mut(),
    dstDevice: 0,
    dstArray: CUarray::NULL,
    reserved1: null_mut(),
    dstPitch: 0,
    dstHeight: 0,
    WidthInBytes: 0,
    Height: 1,
    Depth: 1,
};

/// Fills an array with numbers and gives them.
fn fill(array: CUarray, size: [usize; 3], channels: usize) -> Vec<f32> {
    let count = size.iter().product::<usize>() * channels;
    let values: Vec<f32> = (0..count).map(|n| n as f32).collect();
    let copy = CUDA_MEMCPY3D {
        srcHost: values.as_ptr().cast(),
        dstMemoryType: CUmemorytype::ARRAY,
        dstArray: array,
        WidthInBytes: size[0] * channels * 4,
        Height: size[1],
        Depth: size[2],
        ..NOWHERE
    };
    ok!(cuMemcpy3D_v2(&copy));
    values
}

fn of_array(array: CUarray) -> CUDA_RESOURCE_DESC {
    CUDA_RESOURCE_DESC {
        resType: CUresourcetype::ARRAY,
        res: CUDA_RESOURCE_DESC_res { array },
        flags: 0,
    }
}

const PLAIN: CUDA_TEXTURE_DESC = CUDA_TEXTURE_DESC {
    addressMode: [CUaddress_mode::CLAMP; 3],
    filterMode: CUfilter_mode::POINT,
    flags: 0,
    maxAnisotropy: 0,
    mipmapFilterMode: CUfilter_mode::POINT,
    mipmapLevelBias: 0.0,
    minMipmapLevelClamp: 0.0,
    maxMipmapLevelClamp: 0.0,
    borderColor: [0.0; 4],
    reserved: [0; 12],
};

#[test]
fn arrays_are_copied_in_all_directions() {
    in_child("arrays_are_copied_in_all_directions", &[], || {
        start();
        let size = [5, 4, 3];
        let from = array(5, 4, 3, 2, 0);
        let values = fill(from, size, 2);
        // A part of it to another array, and that to the device and to the host.
        let to = array(9, 9, 9, 2, CUDA_ARRAY3D_SURFACE_LDST);
        let part = CUDA_MEMCPY3D {
            srcXInBytes: 8,
            srcY: 2,
            srcZ: 1,
            srcMemoryType: CUmemorytype::ARRAY,
            srcArray: from,
            dstXInBytes: 16,
            dstY: 3,
            dstZ: 4,
            dstMemoryType: CUmemorytype::ARRAY,
            dstArray: to,
            WidthInBytes: 24,
            Height: 2,
            Depth: 2,
            ..NOWHERE
        };
        ok!(cuMemcpy3D_v2(&part));
        let expected: Vec<f32> = (1..3)
            .flat_map(|z| (2..4).map(move |y| (z, y)))
            .flat_map(|(z, y)| (2..8).map(move |x| ((z * 4 + y) * 10 + x) as f32))
            .collect();
        let memory = allocate(96);
        let back = CUDA_MEMCPY3D {
            srcXInBytes: 16,
            srcY: 3,
            srcZ: 4,
            srcMemoryType: CUmemorytype::ARRAY,
            srcArray: to,
            dstMemoryType: CUmemorytype::DEVICE,
            dstDevice: memory,
            WidthInBytes: 24,
            Height: 2,
            Depth: 2,
            ..NOWHERE
        };
        ok!(cuMemcpy3D_v2(&back));
        assert_eq!(download::<f32>(memory, 24), expected);
        let mut host = vec![0.0f32; 24];
        let back = CUDA_MEMCPY3D {
            dstMemoryType: CUmemorytype::HOST,
            dstHost: host.as_mut_ptr().cast(),
            ..back
        };
        ok!(cuMemcpy3D_v2(&back));
        assert_eq!(host, expected);
        // One row too many.
        let beyond = CUDA_MEMCPY3D { srcY: 8, ..back };
        fails!(cuMemcpy3D_v2(&beyond), INVALID_VALUE);
        let flat = CUDA_MEMCPY2D {
            srcXInBytes: 8,
            srcY: 1,
            srcMemoryType: CUmemorytype::ARRAY,
            srcHost: null(),
            srcDevice: 0,
            srcArray: from,
            srcPitch: 0,
            dstXInBytes: 0,
            dstY: 0,
            dstMemoryType: CUmemorytype::HOST,
            dstHost: host.as_mut_ptr().cast(),
            dstDevice: 0,
            dstArray: CUarray::NULL,
            dstPitch: 8,
            WidthInBytes: 8,
            Height: 3,
        };
        ok!(cuMemcpy2D_v2(&flat));
        assert_eq!(host[..6], [12.0, 13.0, 22.0, 23.0, 32.0, 33.0]);

        // The same part by a batch, whose numbers count elements.
        let place = |array, x, y, z| CUmemcpy3DOperand {
            kind: CUmemcpy3DOperandType::ARRAY,
            op: CUmemcpy3DOperand_op {
                array: CUmemcpy3DOperand_array {
                    array,
                    offset: CUoffset3D { x, y, z },
                },
            },
        };
        let pointer = |ptr| CUmemcpy3DOperand {
            kind: CUmemcpy3DOperandType::POINTER,
            op: CUmemcpy3DOperand_op {
                ptr: CUmemcpy3DOperand_ptr {
                    ptr,
                    rowLength: 0,
                    layerHeight: 0,
                    locHint: CUmemLocation::default(),
                },
            },
        };
        let op = |src, dst| CUDA_MEMCPY3D_BATCH_OP {
            src,
            dst,
            extent: CUextent3D {
                width: 3,
                height: 2,
                depth: 2,
            },
            srcAccessOrder: 1,
            flags: 0,
        };
        let other = array(9, 9, 9, 2, 0);
        let mut ops = [
            op(place(from, 1, 2, 1), place(other, 0, 0, 0)),
            op(place(other, 0, 0, 0), pointer(memory)),
        ];
        ok!(cuMemsetD8_v2(memory, 0, 96));
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
        ok!(cuCtxSynchronize());
        ok!(cuMemcpy3DBatchAsync_v2(2, ops.as_mut_ptr(), 0, stream));
        ok!(cuStreamSynchronize(stream));
        assert_eq!(download::<f32>(memory, 24), expected);
        ops[1] = op(place(other, 8, 0, 0), pointer(memory));
        let mut failed = 0;
        fails!(
            cuMemcpy3DBatchAsync(2, ops.as_mut_ptr(), &mut failed, 0, stream),
            INVALID_VALUE
        );
        assert_eq!(failed, 1);

        // Rows of one dimension.
        let (row, second) = (array(16, 0, 0, 1, 0), array(16, 0, 0, 1, 0));
        ok!(cuMemcpyHtoA_v2(row, 0, values.as_ptr().cast(), 64));
        ok!(cuMemcpyAtoA_v2(second, 8, row, 16, 32));
        ok!(cuMemcpyAtoD_v2(memory, second, 8, 32));
        assert_eq!(download::<f32>(memory, 8), values[4..12]);
        ok!(cuMemcpyDtoA_v2(second, 0, memory, 8));
        ok!(cuMemcpyAtoH_v2(host.as_mut_ptr().cast(), second, 0, 40));
        assert_eq!(host[..4], [4.0, 5.0, 4.0, 5.0]);
        fails!(
            cuMemcpyAtoH_v2(host.as_mut_ptr().cast(), second, 32, 40),
            INVALID_VALUE
        );
        // Of an array of several rows it is the first.
        ok!(cuMemcpyAtoD_v2(memory, from, 0, 8));
        fails!(cuMemcpyAtoD_v2(memory, from, 0, 1 << 20), INVALID_VALUE);
        ok!(cuArrayDestroy(row));
        fails!(cuMemcpyAtoD_v2(memory, row, 0, 8), INVALID_HANDLE);
        fails!(cuArrayDestroy(row), INVALID_HANDLE);

        let mut descriptor = CUDA_ARRAY3D_DESCRIPTOR {
            Width: 0,
            Height: 0,
            Depth: 0,
            Format: CUarray_format(0),
            NumChannels: 0,
            Flags: 0,
        };
        ok!(cuArray3DGetDescriptor_v2(&mut descriptor, to));
        assert_eq!(
            (descriptor.Width, descriptor.Height, descriptor.Depth),
            (9, 9, 9)
        );
        assert_eq!(descriptor.Flags, CUDA_ARRAY3D_SURFACE_LDST);
        let mut missing = CUarray::NULL;
        descriptor.NumChannels = 3;
        fails!(cuArray3DCreate_v2(&mut missing, &descriptor), INVALID_VALUE);
    });
}

#[test]
fn kernels_read_textures_and_write_surfaces() {
    in_child("kernels_read_textures_and_write_surfaces", &[], || {
        let module = start();
        let out = allocate(1024);
        let image = array(4, 4, 0, 1, 0);
        fill(image, [4, 4, 1], 1);
        let mut texture = 0;
        ok!(cuTexObjectCreate(
            &mut texture,
            &of_array(image),
            &PLAIN,
            null()
        ));
        launch(module, c"sample", 256, &[out, texture]);
        let nearest: Vec<f32> = (0..256).map(|n| (n / 64 * 4 + n % 16 / 4) as f32).collect();
        assert_eq!(download::<f32>(out, 256), nearest);
        ok!(cuTexObjectDestroy(texture));
        fails!(cuTexObjectDestroy(texture), INVALID_VALUE);

        // Interpolated: a plane is itself between the centres, and flat outside of them.
        let linear = CUDA_TEXTURE_DESC {
            filterMode: CUfilter_mode::LINEAR,
            ..PLAIN
        };
        ok!(cuTexObjectCreate(
            &mut texture,
            &of_array(image),
            &linear,
            null()
        ));
        launch(module, c"sample", 256, &[out, texture]);
        let plane: Vec<f32> = (0..256)
            .map(|n| {
                let [x, y] = [n % 16, n / 16].map(|n| (n as f32 / 4.0 - 0.5).clamp(0.0, 3.0));
                4.0 * y + x
            })
            .collect();
        assert_eq!(download::<f32>(out, 256), plane);
        let mut resource = of_array(CUarray::NULL);
        let mut read = PLAIN;
        ok!(cuTexObjectGetResourceDesc(&mut resource, texture));
        ok!(cuTexObjectGetTextureDesc(&mut read, texture));
        // SAFETY: the type says which member it is.
        assert_eq!(unsafe { resource.res.array }, image);
        assert_eq!(read.filterMode, CUfilter_mode::LINEAR);
        fails!(
            cuSurfObjectGetResourceDesc(&mut resource, texture),
            INVALID_VALUE
        );

        // Bytes from linear memory, as integers and as numbers up to 1.
        let bytes = allocate(256);
        ok!(cuMemsetD8_v2(bytes, 0xfe, 256));
        let linear = |format| CUDA_RESOURCE_DESC {
            resType: CUresourcetype::LINEAR,
            res: CUDA_RESOURCE_DESC_res {
                linear: CUDA_RESOURCE_DESC_linear {
                    devPtr: bytes,
                    format,
                    numChannels: 1,
                    sizeInBytes: 200,
                },
            },
            flags: 0,
        };
        let integers = CUDA_TEXTURE_DESC {
            flags: CU_TRSF_READ_AS_INTEGER,
            ..PLAIN
        };
        for (format, expected) in [
            (CUarray_format::SIGNED_INT8, -2),
            (CUarray_format::UNSIGNED_INT8, 254),
        ] {
            let mut texture = 0;
            ok!(cuTexObjectCreate(
                &mut texture,
                &linear(format),
                &integers,
                null()
            ));
            launch(module, c"fetch", 256, &[out, texture]);
            let read = download::<i32>(out, 256);
            assert_eq!(read[..200], [expected; 200]);
            assert_eq!(read[200..], [0; 56], "beyond the end");
            ok!(cuTexObjectDestroy(texture));
        }
        // More than is allocated is taken, and what is beyond is not there.
        let mut more = linear(CUarray_format::UNSIGNED_INT8);
        let half = allocate(128);
        ok!(cuMemsetD8_v2(half, 7, 128));
        more.res.linear = CUDA_RESOURCE_DESC_linear {
            devPtr: half,
            format: CUarray_format::UNSIGNED_INT8,
            numChannels: 1,
            sizeInBytes: 1 << 20,
        };
        let mut texture = 0;
        ok!(cuTexObjectCreate(&mut texture, &more, &integers, null()));
        launch(module, c"fetch", 256, &[out, texture]);
        let read = download::<i32>(out, 256);
        assert_eq!((&read[..128], &read[128..]), (&[7; 128][..], &[0; 128][..]));
        ok!(cuTexObjectDestroy(texture));
        let mut texture = 0;
        ok!(cuTexObjectCreate(
            &mut texture,
            &linear(CUarray_format::UNSIGNED_INT8),
            &PLAIN,
            null()
        ));
        launch(module, c"fetch", 256, &[out, texture]);
        assert_eq!(download::<f32>(out, 1), [254.0f32 / 255.0]);

        // What a kernel paints, another reads.
        let canvas = array(8, 8, 0, 1, CUDA_ARRAY3D_SURFACE_LDST);
        let mut surface = 0;
        ok!(cuSurfObjectCreate(&mut surface, &of_array(canvas)));
        launch(module, c"paint", 64, &[surface]);
        let mut painted = vec![0u32; 64];
        let copy = CUDA_MEMCPY3D {
            srcMemoryType: CUmemorytype::ARRAY,
            srcArray: canvas,
            dstHost: painted.as_mut_ptr().cast(),
            WidthInBytes: 32,
            Height: 8,
            ..NOWHERE
        };
        ok!(cuMemcpy3D_v2(&copy));
        let expected: Vec<u32> = (0..64).map(|n| n / 8 * 100 + n % 8).collect();
        assert_eq!(painted, expected);
        // Beyond the edge is an error of the kernel.
        launch_beyond(module, surface);
    });
}

/// Paints 16 rows of 8, which the surface has not.
fn launch_beyond(module: CUmodule, surface: CUsurfObject) {
    let mut function = CUfunction::NULL;
    ok!(cuModuleGetFunction(
        &mut function,
        module,
        c"paint".as_ptr()
    ));
    let mut arguments = [std::ptr::from_ref(&surface).cast_mut().cast::<c_void>()];
    ok!(cuLaunchKernel(
        function,
        1,
        1,
        1,
        128,
        1,
        1,
        0,
        CUstream::NULL,
        arguments.as_mut_ptr(),
        null_mut()
    ));
    fails!(cuCtxSynchronize(), ILLEGAL_ADDRESS);
}

#[test]
fn mipmapped_arrays_have_levels() {
    in_child("mipmapped_arrays_have_levels", &[], || {
        let module = start();
        let descriptor = CUDA_ARRAY3D_DESCRIPTOR {
            Width: 8,
            Height: 4,
            Depth: 0,
            Format: CUarray_format::FLOAT,
            NumChannels: 1,
            Flags: 0,
        };
        let mut whole = CUmipmappedArray::NULL;
        ok!(cuMipmappedArrayCreate(&mut whole, &descriptor, 99));
        let mut levels = Vec::new();
        for level in 0..4 {
            let mut array = CUarray::NULL;
            ok!(cuMipmappedArrayGetLevel(&mut array, whole, level));
            let mut found = descriptor;
            ok!(cuArray3DGetDescriptor_v2(&mut found, array));
            assert_eq!(
                (found.Width, found.Height),
                (8 >> level, (4usize >> level).max(1))
            );
            fill(array, [found.Width, found.Height, 1], 1);
            levels.push(array);
        }
        let mut array = CUarray::NULL;
        fails!(
            cuMipmappedArrayGetLevel(&mut array, whole, 4),
            INVALID_VALUE
        );
        fails!(cuArrayDestroy(levels[1]), INVALID_HANDLE);

        let resource = CUDA_RESOURCE_DESC {
            resType: CUresourcetype::MIPMAPPED_ARRAY,
            res: CUDA_RESOURCE_DESC_res { mipmap: whole },
            flags: 0,
        };
        let how = CUDA_TEXTURE_DESC {
            flags: CU_TRSF_NORMALIZED_COORDINATES,
            ..PLAIN
        };
        let mut texture = 0;
        fails!(
            cuTexObjectCreate(&mut texture, &resource, &PLAIN, null()),
            INVALID_VALUE
        );
        // A view of the third level alone: 2 by 1.
        let view = CUDA_RESOURCE_VIEW_DESC {
            format: 0,
            width: 2,
            height: 1,
            depth: 0,
            firstMipmapLevel: 2,
            lastMipmapLevel: 2,
            firstLayer: 0,
            lastLayer: 0,
            reserved: [0; 16],
        };
        ok!(cuTexObjectCreate(&mut texture, &resource, &how, &view));
        let out = allocate(1024);
        launch(module, c"sample", 16, &[out, texture]);
        let read = download::<f32>(out, 16);
        let expected: Vec<f32> = (0..16).map(|n| if n >= 2 { 1.0 } else { 0.0 }).collect();
        assert_eq!(read, expected);
        let mut found = view;
        found.firstMipmapLevel = 0;
        ok!(cuTexObjectGetResourceViewDesc(&mut found, texture));
        assert_eq!(found.firstMipmapLevel, 2);
        let beyond = CUDA_RESOURCE_VIEW_DESC {
            lastMipmapLevel: 4,
            ..view
        };
        fails!(
            cuTexObjectCreate(&mut texture, &resource, &how, &beyond),
            INVALID_VALUE
        );
        ok!(cuMipmappedArrayDestroy(whole));
        fails!(cuMipmappedArrayDestroy(whole), INVALID_HANDLE);
        let mut found = descriptor;
        fails!(
            cuArray3DGetDescriptor_v2(&mut found, levels[0]),
            INVALID_HANDLE
        );
        // The texture keeps its memory.
        launch(module, c"sample", 16, &[out, texture]);
        assert_eq!(download::<f32>(out, 16), expected);
    });
}
