//! What a driver's operations do, found by running small PTX kernels.
//!
//! Each has one answer for a driver, which [`crate::kernels::cached_probe`] keeps on disk.

use crate::error::Error;
use crate::launch::Launch;
use crate::pipeline::Pipeline;
use crate::{Device, MemoryKind};
use ptx_spirv::{ModuleLayout, Target};
use std::sync::Arc;

/// Runs the kernel `probe` of a module, whose parameter is the address of `data`, with one warp; gives `data` afterwards.
///
/// # Errors
/// [`Error::Pipeline`] where a translator or compiler refuses the kernel; errors of the device.
pub(crate) fn run(
    device: &Arc<Device>,
    target: &Target,
    text: &str,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    let failed = |what: String| Error::Pipeline {
        kernel: "probe".to_owned(),
        what,
    };
    let module = ptx::Module::parse(text).map_err(|error| failed(error.to_string()))?;
    let layout = ModuleLayout::new(&module).map_err(|error| failed(error.to_string()))?;
    let translated = ptx_spirv::translate(&module, &layout, "probe", target)
        .map_err(|error| failed(error.to_string()))?;
    let pipeline = device.create_shader(&translated)?.pipeline([32, 1, 1], 0)?;
    launch(device, &pipeline, data)
}

/// Runs one block of a pipeline whose parameter is the address of `data`; gives `data` afterwards.
///
/// # Errors
/// Errors of the device.
pub(crate) fn launch(
    device: &Arc<Device>,
    pipeline: &Arc<Pipeline>,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    let memory = device.allocate(data.len() as u64, MemoryKind::Device)?;
    let stream = device.create_stream()?;
    stream.write(memory.address(), data)?;
    let parameters = memory.address().to_le_bytes();
    stream.launch(
        pipeline,
        &Launch {
            grid: [1, 1, 1],
            parameters: &parameters,
            ..Launch::default()
        },
    )?;
    let mut result = vec![0; data.len()];
    stream.read(memory.address(), &mut result)?;
    Ok(result)
}

/// Whether NMin and NMax take -0 for less than +0.
///
/// # Errors
/// As [`run`].
pub(crate) fn min_max_orders_zeros(device: &Arc<Device>) -> Result<bool, Error> {
    let target = Target {
        min_max_orders_zeros: true,
        ..device.target().clone()
    };
    // For each lane two numbers, their minimum and their maximum.
    const KERNEL: &str = ".version 8.0\n.target sm_90\n.address_size 64\n.entry probe(.param .u64 p)\n{\n\
        .reg .b64 %a<3>;\n.reg .b32 %r<1>;\n.reg .f32 %f<4>;\n\
        ld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %a1, %r0, 16;\nadd.s64 %a2, %a0, %a1;\n\
        ld.global.f32 %f0, [%a2];\nld.global.f32 %f1, [%a2+4];\n\
        min.f32 %f2, %f0, %f1;\nmax.f32 %f3, %f0, %f1;\n\
        st.global.f32 [%a2+8], %f2;\nst.global.f32 [%a2+12], %f3;\nret;\n}\n";
    let zeros = |lane: usize| {
        let sign = |bit: usize| ((lane >> bit & 1) as u32) << 31;
        [sign(0), sign(1)]
    };
    let words = |answers: fn([u32; 2]) -> [u32; 2]| -> Vec<u8> {
        (0..32)
            .flat_map(|lane| {
                let [a, b] = zeros(lane);
                let [min, max] = answers([a, b]);
                [a, b, min, max]
            })
            .flat_map(u32::to_le_bytes)
            .collect()
    };
    let result = run(device, &target, KERNEL, &words(|_| [1, 1]))?;
    Ok(result == words(|[a, b]| [a | b, a & b]))
}

/// Whether conversions from single to half precision make 0x7fff of every NaN, of single numbers and of pairs.
///
/// # Errors
/// As [`run`].
pub(crate) fn canonical_half_nan(device: &Arc<Device>) -> Result<bool, Error> {
    let target = Target {
        canonical_half_nan: true,
        ..device.target().clone()
    };
    // For each lane two numbers, both in half precision, and their sum.
    const KERNEL: &str = ".version 8.0\n.target sm_90\n.address_size 64\n.entry probe(.param .u64 p)\n{\n\
        .reg .b64 %a<3>;\n.reg .b32 %r<2>;\n.reg .b16 %h<3>;\n.reg .f32 %f<3>;\n\
        ld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %a1, %r0, 16;\nadd.s64 %a2, %a0, %a1;\n\
        ld.global.f32 %f0, [%a2];\nld.global.f32 %f1, [%a2+4];\n\
        cvt.rn.f16.f32 %h0, %f0;\ncvt.rn.f16.f32 %h1, %f1;\nmov.b32 %r1, {%h0, %h1};\nst.global.b32 [%a2+8], %r1;\n\
        add.f32 %f2, %f0, %f1;\ncvt.rn.f16.f32 %h2, %f2;\nst.global.b16 [%a2+12], %h2;\nret;\n}\n";
    let mut words = Vec::new();
    for lane in 0..32u32 {
        // NaNs of both signs, quiet and signalling, with their payload high or low; every other number is 1.
        let payload = [1, 1 << 22, 1 << 13, 0x7f_ffff][lane as usize / 8];
        let nan = 0x7f80_0000 | payload | (lane & 1) << 31;
        let one = 1f32.to_bits();
        let (a, b) = match lane / 2 % 4 {
            0 => (nan, one),
            1 => (one, nan),
            _ => (nan, nan),
        };
        words.extend([a, b, 0, 0]);
    }
    let bytes = |words: &[u32]| {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let result = run(device, &target, KERNEL, &bytes(&words))?;
    let half = |word: u32| {
        if f32::from_bits(word).is_nan() {
            0x7fff
        } else {
            0x3c00
        }
    };
    for four in words.chunks_exact_mut(4) {
        four[2] = half(four[0]) | half(four[1]) << 16;
        four[3] = 0x7fff;
    }
    Ok(result == bytes(&words))
}
