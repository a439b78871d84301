//! Arrays and mipmapped arrays.

use crate::boundary::{In, Out, Result};
use crate::core::array::{self, Array, MipmappedArray};
use crate::core::{capture, platform, stack};
use cuda_abi::*;

pub fn cuArrayCreate_v2(array: Out<CUarray>, descriptor: In<CUDA_ARRAY_DESCRIPTOR>) -> Result {
    array.required()?;
    let flat = descriptor.get()?;
    let descriptor = CUDA_ARRAY3D_DESCRIPTOR {
        Width: flat.Width,
        Height: flat.Height,
        Depth: 0,
        Format: flat.Format,
        NumChannels: flat.NumChannels,
        // Surfaces can be made of it all the same, as on NVIDIA.
        Flags: CUDA_ARRAY3D_SURFACE_LDST,
    };
    let state = stack::state()?;
    capture::refuse_unsafe_call()?;
    array.set(Array::create(&state, descriptor)?)
}

pub fn cuArray3DCreate_v2(array: Out<CUarray>, descriptor: In<CUDA_ARRAY3D_DESCRIPTOR>) -> Result {
    array.required()?;
    let descriptor = descriptor.get()?;
    let state = stack::state()?;
    capture::refuse_unsafe_call()?;
    array.set(Array::create(&state, descriptor)?)
}

pub fn cuArrayGetDescriptor_v2(descriptor: Out<CUDA_ARRAY_DESCRIPTOR>, array: CUarray) -> Result {
    let whole = Array::from_handle(array)?.descriptor;
    descriptor.set(CUDA_ARRAY_DESCRIPTOR {
        Width: whole.Width,
        Height: whole.Height,
        Format: whole.Format,
        NumChannels: whole.NumChannels,
    })
}

pub fn cuArray3DGetDescriptor_v2(
    descriptor: Out<CUDA_ARRAY3D_DESCRIPTOR>,
    array: CUarray,
) -> Result {
    descriptor.set(Array::from_handle(array)?.descriptor)
}

pub fn cuArrayDestroy(array: CUarray) -> Result {
    capture::refuse_unsafe_call()?;
    Array::destroy(array)
}

pub fn cuMipmappedArrayCreate(
    array: Out<CUmipmappedArray>,
    descriptor: In<CUDA_ARRAY3D_DESCRIPTOR>,
    num_levels: u32,
) -> Result {
    array.required()?;
    let descriptor = descriptor.get()?;
    let state = stack::state()?;
    capture::refuse_unsafe_call()?;
    array.set(MipmappedArray::create(&state, descriptor, num_levels)?)
}

pub fn cuMipmappedArrayGetLevel(
    level_array: Out<CUarray>,
    array: CUmipmappedArray,
    level: u32,
) -> Result {
    level_array.required()?;
    level_array.set(MipmappedArray::from_handle(array)?.level(level)?)
}

pub fn cuMipmappedArrayDestroy(array: CUmipmappedArray) -> Result {
    capture::refuse_unsafe_call()?;
    MipmappedArray::destroy(array)
}

pub fn cuDeviceGetTexture1DLinearMaxWidth(
    max_width: Out<usize>,
    format: CUarray_format,
    num_channels: u32,
    device: CUdevice,
) -> Result {
    platform::device(device)?;
    // All that 32 bits can count in bytes.
    let texel = array::format(format, num_channels)?.texel_bytes() as usize;
    max_width.set((1usize << 32) / texel)
}
