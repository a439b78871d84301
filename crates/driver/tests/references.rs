//! Texture and surface references: modules whose variables are bound by calls.

#[macro_use]
mod common;

use common::{allocate, function, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::{null, null_mut};

const PTX: &CStr = c"
.version 4.3
.target sm_30
.address_size 64
.global .texref image;
.global .texref smooth = { addr_mode_0 = clamp_to_border, filter_mode = linear, normalized_coords = 1 };
.global .texref other;
.visible .global .surfref canvas;
.global .u32 number;

// out[i] = texture at ((i % 16) / 4, (i / 16) / 4)
.visible .entry sample(.param .u64 out) {
    .reg .b32 %r<8>; .reg .f32 %f<10>; .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    and.b32 %r2, %r1, 15;
    shr.u32 %r3, %r1, 4;
    cvt.rn.f32.u32 %f1, %r2;
    cvt.rn.f32.u32 %f2, %r3;
    mul.f32 %f1, %f1, 0f3E800000;
    mul.f32 %f2, %f2, 0f3E800000;
    tex.2d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [image, {%f1, %f2, %f2, %f2}];
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd4, %rd1, %rd3;
    st.global.f32 [%rd4], %f3;
    ret;
}

// out[i] = texel i of linear memory
.visible .entry fetch(.param .u64 out) {
    .reg .b32 %r<8>; .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    tex.1d.v4.s32.s32 {%r2, %r3, %r4, %r5}, [image, {%r1}];
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd4, %rd1, %rd3;
    st.global.u32 [%rd4], %r2;
    ret;
}

// out[i] = smooth at (i - 2) / 16
.visible .entry declared(.param .u64 out) {
    .reg .b32 %r<8>; .reg .f32 %f<10>; .reg .b64 %rd<6>;
    ld.param.u64 %rd1, [out];
    mov.u32 %r1, %tid.x;
    cvt.rn.f32.u32 %f1, %r1;
    sub.f32 %f1, %f1, 0f40000000;
    mul.f32 %f1, %f1, 0f3D800000;
    mov.u64 %rd2, smooth;
    tex.1d.v4.f32.f32 {%f3, %f4, %f5, %f6}, [%rd2, {%f1}];
    mul.wide.u32 %rd3, %r1, 4;
    add.u64 %rd4, %rd1, %rd3;
    st.global.f32 [%rd4], %f3;
    ret;
}

// canvas(x, y) = 100 y + x + image(x, y), for x and y below 8
.visible .entry paint() {
    .reg .b32 %r<12>; .reg .b64 %rd<6>;
    mov.u32 %r1, %tid.x;
    and.b32 %r2, %r1, 7;
    shr.u32 %r3, %r1, 3;
    mad.lo.u32 %r4, %r3, 100, %r2;
    tex.2d.v4.u32.s32 {%r5, %r6, %r7, %r8}, [other, {%r2, %r3}];
    add.u32 %r4, %r4, %r5;
    shl.b32 %r2, %r2, 2;
    sust.b.2d.b32.trap [canvas, {%r2, %r3}], %r4;
    ret;
}
";

fn start() -> CUmodule {
    primary();
    let mut module = CUmodule::NULL;
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    module
}

fn texture(module: CUmodule, name: &CStr) -> CUtexref {
    let mut reference = CUtexref::NULL;
    ok!(cuModuleGetTexRef(&mut reference, module, name.as_ptr()));
    reference
}

fn surface(module: CUmodule, name: &CStr) -> CUsurfref {
    let mut reference = CUsurfref::NULL;
    ok!(cuModuleGetSurfRef(&mut reference, module, name.as_ptr()));
    reference
}

fn array(width: usize, height: usize, format: CUarray_format, flags: u32) -> CUarray {
    let mut array = CUarray::NULL;
    let descriptor = CUDA_ARRAY3D_DESCRIPTOR {
        Width: width,
        Height: height,
        Depth: 0,
        Format: format,
        NumChannels: 1,
        Flags: flags,
    };
    ok!(cuArray3DCreate_v2(&mut array, &descriptor));
    array
}

/// Runs a kernel with `threads` threads in a stream.
fn launch(stream: CUstream, function: CUfunction, threads: u32, out: u64) {
    let mut out = out;
    let mut parameters = [(&raw mut out).cast::<c_void>()];
    ok!(cuLaunchKernel(
        function,
        1,
        1,
        1,
        threads,
        1,
        1,
        0,
        stream,
        parameters.as_mut_ptr(),
        null_mut()
    ));
}

fn read<T: Copy + Default>(address: u64, count: usize) -> Vec<T> {
    let mut values = vec![T::default(); count];
    ok!(cuMemcpyDtoH_v2(
        values.as_mut_ptr().cast(),
        address,
        count * size_of::<T>()
    ));
    values
}

fn write<T>(address: u64, values: &[T]) {
    ok!(cuMemcpyHtoD_v2(
        address,
        values.as_ptr().cast(),
        size_of_val(values)
    ));
}

/// A row of an array of singles.
fn fill(array: CUarray, values: &[f32]) {
    ok!(cuMemcpyHtoA_v2(
        array,
        0,
        values.as_ptr().cast(),
        size_of_val(values)
    ));
}

#[test]
fn arrays_and_every_property() {
    in_child("arrays_and_every_property", &[], || {
        let module = start();
        let image = texture(module, c"image");
        assert_eq!(texture(module, c"image"), image);
        let texels = array(16, 0, CUarray_format::FLOAT, 0);
        let numbers: Vec<f32> = (0..16).map(|n| n as f32).collect();
        fill(texels, &numbers);
        let mut found = CUarray::NULL;
        fails!(cuTexRefGetArray(&mut found, image), INVALID_VALUE);
        fails!(cuTexRefSetArray(image, texels, 2), INVALID_VALUE);
        ok!(cuTexRefSetArray(image, texels, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuTexRefGetArray(&mut found, image));
        assert_eq!(found, texels);
        let (mut format, mut channels) = (CUarray_format(0), 0);
        ok!(cuTexRefGetFormat(&mut format, &mut channels, image));
        assert_eq!((format, channels), (CUarray_format::FLOAT, 1));

        // Points, not normalised, until said otherwise.
        let (sample, out) = (function(module, c"sample"), allocate(64 * 4));
        launch(CUstream::NULL, sample, 64, out);
        let points: Vec<f32> = read(out, 64);
        for (n, point) in points.iter().enumerate() {
            assert_eq!(*point, (n % 16 / 4) as f32, "{n}");
        }
        ok!(cuTexRefSetFilterMode(image, CUfilter_mode::LINEAR));
        launch(CUstream::NULL, sample, 64, out);
        let lines: Vec<f32> = read(out, 64);
        assert_eq!(lines[..5], [0.0, 0.0, 0.0, 0.25, 0.5]);
        let mut filter = CUfilter_mode::POINT;
        ok!(cuTexRefGetFilterMode(&mut filter, image));
        assert_eq!(filter, CUfilter_mode::LINEAR);
        fails!(
            cuTexRefSetFilterMode(image, CUfilter_mode(7)),
            INVALID_VALUE
        );

        ok!(cuTexRefSetFlags(image, CU_TRSF_NORMALIZED_COORDINATES));
        ok!(cuTexRefSetFilterMode(image, CUfilter_mode::POINT));
        ok!(cuTexRefSetAddressMode(image, 0, CUaddress_mode::MIRROR));
        fails!(
            cuTexRefSetAddressMode(image, 3, CUaddress_mode::WRAP),
            INVALID_VALUE
        );
        launch(CUstream::NULL, sample, 64, out);
        let mirrored: Vec<f32> = read(out, 64);
        assert_eq!(mirrored[..9], [0., 4., 8., 12., 15., 11., 7., 3., 0.]);
        let mut mode = CUaddress_mode::WRAP;
        ok!(cuTexRefGetAddressMode(&mut mode, image, 0));
        assert_eq!(mode, CUaddress_mode::MIRROR);
        ok!(cuTexRefGetAddressMode(&mut mode, image, 1));
        assert_eq!(mode, CUaddress_mode::WRAP);
        let mut flags = 0;
        ok!(cuTexRefGetFlags(&mut flags, image));
        assert_eq!(flags, CU_TRSF_NORMALIZED_COORDINATES);
        fails!(cuTexRefSetFlags(image, 0x1000), INVALID_VALUE);

        // The border's colour.
        let colour = [7.5f32, 1.0, 2.0, 3.0];
        ok!(cuTexRefSetBorderColor(image, colour.as_ptr()));
        let mut read_back = [0f32; 4];
        ok!(cuTexRefGetBorderColor(read_back.as_mut_ptr(), image));
        assert_eq!(read_back, colour);
        ok!(cuTexRefSetAddressMode(image, 0, CUaddress_mode::BORDER));
        launch(CUstream::NULL, sample, 64, out);
        let bordered: Vec<f32> = read(out, 64);
        assert_eq!(bordered[..6], [0., 4., 8., 12., 7.5, 7.5]);

        ok!(cuTexRefSetMaxAnisotropy(image, 4));
        ok!(cuTexRefSetMipmapFilterMode(image, CUfilter_mode::LINEAR));
        ok!(cuTexRefSetMipmapLevelBias(image, 0.5));
        ok!(cuTexRefSetMipmapLevelClamp(image, 1.0, 2.0));
        let (mut anisotropy, mut bias, mut least, mut most) = (0, 0.0, 0.0, 0.0);
        ok!(cuTexRefGetMaxAnisotropy(&mut anisotropy, image));
        ok!(cuTexRefGetMipmapFilterMode(&mut filter, image));
        ok!(cuTexRefGetMipmapLevelBias(&mut bias, image));
        ok!(cuTexRefGetMipmapLevelClamp(&mut least, &mut most, image));
        assert_eq!((anisotropy, bias, least, most), (4, 0.5, 1.0, 2.0));
        assert_eq!(filter, CUfilter_mode::LINEAR);

        // Only a module's reference goes with a kernel, and only one of the application's own is destroyed.
        ok!(cuParamSetTexRef(sample, CU_PARAM_TR_DEFAULT, image));
        fails!(cuParamSetTexRef(sample, 0, image), INVALID_VALUE);
        fails!(cuTexRefDestroy(image), INVALID_VALUE);
        let mut own = CUtexref::NULL;
        ok!(cuTexRefCreate(&mut own));
        fails!(
            cuParamSetTexRef(sample, CU_PARAM_TR_DEFAULT, own),
            INVALID_VALUE
        );
        ok!(cuTexRefSetArray(own, texels, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuTexRefDestroy(own));
        fails!(cuTexRefGetArray(&mut found, own), INVALID_VALUE);

        let mut nothing = CUtexref::NULL;
        fails!(
            cuModuleGetTexRef(&mut nothing, module, c"nothing".as_ptr()),
            NOT_FOUND
        );
        fails!(
            cuModuleGetTexRef(&mut nothing, module, c"canvas".as_ptr()),
            NOT_FOUND
        );
        fails!(
            cuModuleGetTexRef(&mut nothing, module, c"number".as_ptr()),
            NOT_FOUND
        );
        ok!(cuModuleUnload(module));
        fails!(cuTexRefGetFlags(&mut flags, image), INVALID_VALUE);
    });
}

#[test]
fn memory_with_an_offset_and_in_rows() {
    in_child("memory_with_an_offset_and_in_rows", &[], || {
        let module = start();
        let image = texture(module, c"image");
        let (fetch, out) = (function(module, c"fetch"), allocate(64 * 4));
        let memory = allocate(4096);
        let numbers: Vec<i32> = (0..1024).collect();
        write(memory, &numbers);
        // Nothing is bound: zeros.
        write(out, &[7u32; 64]);
        launch(CUstream::NULL, fetch, 16, out);
        assert_eq!(read::<u32>(out, 17)[..], [&[0; 16][..], &[7]].concat());

        ok!(cuTexRefSetFormat(image, CUarray_format::SIGNED_INT32, 1));
        fails!(
            cuTexRefSetFormat(image, CUarray_format::SIGNED_INT32, 3),
            INVALID_VALUE
        );
        let mut offset = 0;
        ok!(cuTexRefSetAddress_v2(&mut offset, image, memory + 512, 40));
        assert_eq!(offset, 0);
        ok!(cuTexRefSetFlags(image, CU_TRSF_READ_AS_INTEGER));
        launch(CUstream::NULL, fetch, 16, out);
        let texels: Vec<i32> = read(out, 16);
        assert_eq!(
            texels[..12],
            [128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 0, 0]
        );
        let mut address = 0;
        ok!(cuTexRefGetAddress_v2(&mut address, image));
        assert_eq!(address, memory + 512);
        // From the last aligned address on.
        fails!(
            cuTexRefSetAddress_v2(null_mut(), image, memory + 516, 40),
            INVALID_VALUE
        );
        ok!(cuTexRefSetAddress_v2(&mut offset, image, memory + 516, 40));
        assert_eq!(offset, 4);
        launch(CUstream::NULL, fetch, 16, out);
        assert_eq!(read::<i32>(out, 3), [128, 129, 130]);
        // More memory than is allocated will do.
        ok!(cuTexRefSetAddress_v2(
            &mut offset,
            image,
            memory + 512,
            1 << 26
        ));
        launch(CUstream::NULL, fetch, 16, out);
        assert_eq!(read::<i32>(out, 3), [128, 129, 130]);
        // Memory that there is not: the launch fails, and so do those who ask for the array.
        ok!(cuTexRefSetAddress_v2(&mut offset, image, 1 << 46, 64));
        let mut out_too = out;
        let mut parameters = [(&raw mut out_too).cast::<c_void>()];
        fails!(
            cuLaunchKernel(
                fetch,
                1,
                1,
                1,
                1,
                1,
                1,
                0,
                CUstream::NULL,
                parameters.as_mut_ptr(),
                null_mut()
            ),
            INVALID_VALUE
        );
        let mut found = CUarray::NULL;
        fails!(cuTexRefGetArray(&mut found, image), INVALID_VALUE);

        // Rows.
        let rows: Vec<f32> = (0..1024)
            .map(|n| (n % 64 + 100 * (n / 64)) as f32)
            .collect();
        write(memory, &rows);
        let descriptor = CUDA_ARRAY_DESCRIPTOR {
            Width: 16,
            Height: 4,
            Format: CUarray_format::FLOAT,
            NumChannels: 1,
        };
        fails!(
            cuTexRefSetAddress2D_v3(image, &descriptor, memory + 4, 256),
            INVALID_VALUE
        );
        fails!(
            cuTexRefSetAddress2D_v3(image, &descriptor, memory, 250),
            INVALID_VALUE
        );
        fails!(
            cuTexRefSetAddress2D_v3(image, null(), memory, 256),
            INVALID_VALUE
        );
        ok!(cuTexRefSetAddress2D_v3(image, &descriptor, memory, 256));
        launch(CUstream::NULL, function(module, c"sample"), 64, out);
        let texels: Vec<f32> = read(out, 64);
        for (n, texel) in texels.iter().enumerate() {
            assert_eq!(*texel, (n % 16 / 4 + 100 * (n / 16 / 4)) as f32, "{n}");
        }
    });
}

#[test]
fn what_is_bound_is_of_the_launch() {
    in_child("what_is_bound_is_of_the_launch", &[], || {
        let module = start();
        let image = texture(module, c"image");
        let sample = function(module, c"sample");
        let (first, second) = (
            array(16, 0, CUarray_format::FLOAT, 0),
            array(16, 0, CUarray_format::FLOAT, 0),
        );
        fill(first, &[1.0; 16]);
        fill(second, &[2.0; 16]);
        let out = allocate(1024);
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
        // Launches one after another without waiting, each with another array.
        for n in 0..8u64 {
            let array = if n % 2 == 0 { first } else { second };
            ok!(cuTexRefSetArray(image, array, CU_TRSA_OVERRIDE_FORMAT));
            launch(stream, sample, 1, out + 4 * n);
        }
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read::<f32>(out, 8), [1., 2., 1., 2., 1., 2., 1., 2.]);
        // A captured launch keeps what was bound when it was captured.
        ok!(cuTexRefSetArray(image, first, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuStreamBeginCapture_v2(
            stream,
            CUstreamCaptureMode::THREAD_LOCAL
        ));
        launch(stream, sample, 1, out);
        let (mut graph, mut exec) = (CUgraph::NULL, CUgraphExec::NULL);
        ok!(cuStreamEndCapture(stream, &mut graph));
        ok!(cuTexRefSetArray(image, second, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        write(out, &[0f32; 2]);
        ok!(cuGraphLaunch(exec, stream));
        launch(stream, sample, 1, out + 4);
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read::<f32>(out, 2), [1., 2.]);
        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
        ok!(cuStreamDestroy_v2(stream));
    });
}

#[test]
fn initialisers_and_surfaces() {
    in_child("initialisers_and_surfaces", &[], || {
        let module = start();
        // Linear, normalised, with a border: as declared.
        let texels = array(16, 0, CUarray_format::FLOAT, 0);
        fill(texels, &[4.0; 16]);
        let smooth = texture(module, c"smooth");
        let mut mode = CUaddress_mode::WRAP;
        ok!(cuTexRefGetAddressMode(&mut mode, smooth, 0));
        assert_eq!(mode, CUaddress_mode::BORDER);
        ok!(cuTexRefSetArray(smooth, texels, CU_TRSA_OVERRIDE_FORMAT));
        let out = allocate(256);
        launch(CUstream::NULL, function(module, c"declared"), 20, out);
        let found: Vec<f32> = read(out, 20);
        assert_eq!(found[..4], [0.0, 0.0, 2.0, 4.0]);

        // Bytes of sRGB, whose halves are less than half; and only bytes can be.
        let bytes = array(4, 0, CUarray_format::UNSIGNED_INT8, 0);
        let values = [0u8, 188, 255, 10];
        ok!(cuMemcpyHtoA_v2(bytes, 0, values.as_ptr().cast(), 4));
        let image = texture(module, c"image");
        ok!(cuTexRefSetArray(image, bytes, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuTexRefSetFlags(image, CU_TRSF_SRGB));
        launch(CUstream::NULL, function(module, c"sample"), 16, out);
        let found: Vec<f32> = read(out, 16);
        for (texel, expected) in [(0, 0.0), (1, 0.502_886), (2, 1.0), (3, 0.003_035)] {
            let texel = found[4 * texel];
            assert!((texel - expected).abs() < 1e-5, "{texel} for {expected}");
        }
        ok!(cuTexRefSetArray(image, texels, CU_TRSA_OVERRIDE_FORMAT));
        let mut to = out;
        let mut parameters = [(&raw mut to).cast::<c_void>()];
        fails!(
            cuLaunchKernel(
                function(module, c"sample"),
                1,
                1,
                1,
                1,
                1,
                1,
                0,
                CUstream::NULL,
                parameters.as_mut_ptr(),
                null_mut()
            ),
            INVALID_VALUE
        );

        // Two references at once, one of them written through.
        let canvas = surface(module, c"canvas");
        let picture = array(
            8,
            8,
            CUarray_format::UNSIGNED_INT32,
            CUDA_ARRAY3D_SURFACE_LDST,
        );
        let background = array(8, 8, CUarray_format::UNSIGNED_INT32, 0);
        let copy = |to: CUarray, values: &[u32]| {
            let copy = CUDA_MEMCPY2D {
                srcMemoryType: CUmemorytype::HOST,
                srcHost: values.as_ptr().cast(),
                srcPitch: 32,
                dstMemoryType: CUmemorytype::ARRAY,
                dstArray: to,
                WidthInBytes: 32,
                Height: 8,
                // SAFETY: numbers and pointers, for which 0 is a value.
                ..unsafe { std::mem::zeroed() }
            };
            ok!(cuMemcpy2D_v2(&copy));
        };
        copy(background, &(0..64).map(|n| n * 1000).collect::<Vec<u32>>());
        fails!(cuSurfRefSetArray(canvas, picture, 1), INVALID_VALUE);
        ok!(cuSurfRefSetArray(canvas, picture, 0));
        let mut found = CUarray::NULL;
        ok!(cuSurfRefGetArray(&mut found, canvas));
        assert_eq!(found, picture);
        let other = texture(module, c"other");
        ok!(cuTexRefSetArray(other, background, CU_TRSA_OVERRIDE_FORMAT));
        ok!(cuTexRefSetFlags(other, CU_TRSF_READ_AS_INTEGER));
        launch(CUstream::NULL, function(module, c"paint"), 64, out);
        let mut painted = [0u32; 64];
        let back = CUDA_MEMCPY2D {
            srcMemoryType: CUmemorytype::ARRAY,
            srcArray: picture,
            dstMemoryType: CUmemorytype::HOST,
            dstHost: painted.as_mut_ptr().cast(),
            dstPitch: 32,
            WidthInBytes: 32,
            Height: 8,
            // SAFETY: numbers and pointers, for which 0 is a value.
            ..unsafe { std::mem::zeroed() }
        };
        ok!(cuMemcpy2D_v2(&back));
        for (n, pixel) in painted.iter().enumerate() {
            assert_eq!(*pixel as usize, 100 * (n / 8) + n % 8 + 1000 * n, "{n}");
        }
    });
}
