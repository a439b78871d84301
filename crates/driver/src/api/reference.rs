//! Texture and surface references.

use crate::boundary::{In, Out, Result};
use crate::core::function::Function;
use crate::core::module;
use crate::core::reference::{Reference, REFERENCES};
use crate::core::stack;
use cuda_abi::*;
use std::ffi::c_char;
use texture::Class;

pub fn cuModuleGetTexRef(tex_ref: Out<CUtexref>, module: CUmodule, name: In<c_char>) -> Result {
    tex_ref.required()?;
    let module = module::from_handle(module)?;
    let reference = module.code.reference(&name.text()?, Class::Texture)?;
    tex_ref.set(CUtexref(REFERENCES.insert(reference)))
}

pub fn cuModuleGetSurfRef(surf_ref: Out<CUsurfref>, module: CUmodule, name: In<c_char>) -> Result {
    surf_ref.required()?;
    let module = module::from_handle(module)?;
    let reference = module.code.reference(&name.text()?, Class::Surface)?;
    surf_ref.set(CUsurfref(REFERENCES.insert(reference)))
}

pub fn cuTexRefCreate(tex_ref: Out<CUtexref>) -> Result {
    tex_ref.required()?;
    tex_ref.set(Reference::own(stack::state()?.context_id))
}

pub fn cuTexRefDestroy(tex_ref: CUtexref) -> Result {
    Reference::destroy(tex_ref)
}

/// Launches bind the references of a module by themselves: this checks that it is one.
pub fn cuParamSetTexRef(function: CUfunction, tex_unit: i32, tex_ref: CUtexref) -> Result {
    let function = Function::from_handle(function)?;
    let reference = Reference::texture(tex_ref)?;
    match tex_unit == CU_PARAM_TR_DEFAULT && reference.is_of(function.code.id) {
        true => Ok(()),
        false => Err(CUresult::INVALID_VALUE),
    }
}

/// The format is the array's in every case; without the flag the reference's own would have to be the same.
pub fn cuTexRefSetArray(tex_ref: CUtexref, array: CUarray, flags: u32) -> Result {
    if flags & !CU_TRSA_OVERRIDE_FORMAT != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    Reference::texture(tex_ref)?.set_array(array)
}

pub fn cuTexRefSetMipmappedArray(tex_ref: CUtexref, array: CUmipmappedArray, flags: u32) -> Result {
    if flags & !CU_TRSA_OVERRIDE_FORMAT != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    Reference::texture(tex_ref)?.set_mipmapped_array(array)
}

pub fn cuTexRefSetAddress_v2(
    byte_offset: Out<usize>,
    tex_ref: CUtexref,
    dptr: CUdeviceptr,
    bytes: usize,
) -> Result {
    let offset = Reference::texture(tex_ref)?.set_address(dptr, bytes, !byte_offset.is_null())?;
    byte_offset.set_if(offset);
    Ok(())
}

pub fn cuTexRefSetAddress2D_v2(
    tex_ref: CUtexref,
    descriptor: In<CUDA_ARRAY_DESCRIPTOR>,
    dptr: CUdeviceptr,
    pitch: usize,
) -> Result {
    cuTexRefSetAddress2D_v3(tex_ref, descriptor, dptr, pitch)
}

pub fn cuTexRefSetAddress2D_v3(
    tex_ref: CUtexref,
    descriptor: In<CUDA_ARRAY_DESCRIPTOR>,
    dptr: CUdeviceptr,
    pitch: usize,
) -> Result {
    Reference::texture(tex_ref)?.set_rows(descriptor.get()?, dptr, pitch)
}

pub fn cuTexRefSetFormat(tex_ref: CUtexref, format: CUarray_format, num_channels: i32) -> Result {
    let channels = u32::try_from(num_channels).map_err(|_| CUresult::INVALID_VALUE)?;
    Reference::texture(tex_ref)?.set_format(format, channels)
}

/// The index of an axis.
fn axis(dim: i32) -> Result<usize> {
    match dim {
        0..=2 => Ok(dim as usize),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuTexRefSetAddressMode(tex_ref: CUtexref, dim: i32, mode: CUaddress_mode) -> Result {
    let (reference, axis) = (Reference::texture(tex_ref)?, axis(dim)?);
    if mode.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    reference.change(|how| how.addressMode[axis] = mode);
    Ok(())
}

pub fn cuTexRefSetFilterMode(tex_ref: CUtexref, mode: CUfilter_mode) -> Result {
    let reference = Reference::texture(tex_ref)?;
    if mode.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    reference.change(|how| how.filterMode = mode);
    Ok(())
}

pub fn cuTexRefSetMipmapFilterMode(tex_ref: CUtexref, mode: CUfilter_mode) -> Result {
    let reference = Reference::texture(tex_ref)?;
    if mode.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    reference.change(|how| how.mipmapFilterMode = mode);
    Ok(())
}

pub fn cuTexRefSetMipmapLevelBias(tex_ref: CUtexref, bias: f32) -> Result {
    Reference::texture(tex_ref)?.change(|how| how.mipmapLevelBias = bias);
    Ok(())
}

pub fn cuTexRefSetMipmapLevelClamp(tex_ref: CUtexref, min_clamp: f32, max_clamp: f32) -> Result {
    Reference::texture(tex_ref)?.change(|how| {
        how.minMipmapLevelClamp = min_clamp;
        how.maxMipmapLevelClamp = max_clamp;
    });
    Ok(())
}

pub fn cuTexRefSetMaxAnisotropy(tex_ref: CUtexref, max_anisotropy: u32) -> Result {
    Reference::texture(tex_ref)?.change(|how| how.maxAnisotropy = max_anisotropy);
    Ok(())
}

pub fn cuTexRefSetBorderColor(tex_ref: CUtexref, border_color: In<f32>) -> Result {
    let reference = Reference::texture(tex_ref)?;
    let colour = border_color.all(4)?;
    reference.change(|how| how.borderColor.copy_from_slice(&colour));
    Ok(())
}

pub fn cuTexRefSetFlags(tex_ref: CUtexref, flags: u32) -> Result {
    const KNOWN: u32 = CU_TRSF_READ_AS_INTEGER
        | CU_TRSF_NORMALIZED_COORDINATES
        | CU_TRSF_SRGB
        | CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION
        | CU_TRSF_SEAMLESS_CUBEMAP;
    let reference = Reference::texture(tex_ref)?;
    if flags & !KNOWN != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    reference.change(|how| how.flags = flags);
    Ok(())
}

pub fn cuTexRefGetAddress_v2(dptr: Out<CUdeviceptr>, tex_ref: CUtexref) -> Result {
    const MEMORY: [CUresourcetype; 2] = [CUresourcetype::LINEAR, CUresourcetype::PITCH2D];
    let resource = Reference::texture(tex_ref)?.bound_to(&MEMORY)?;
    // SAFETY: both members start with the address.
    dptr.set(unsafe { resource.res.linear.devPtr })
}

pub fn cuTexRefGetArray(array: Out<CUarray>, tex_ref: CUtexref) -> Result {
    let resource = Reference::texture(tex_ref)?.bound_to(&[CUresourcetype::ARRAY])?;
    // SAFETY: the type says that it is this member.
    array.set(unsafe { resource.res.array })
}

pub fn cuTexRefGetMipmappedArray(array: Out<CUmipmappedArray>, tex_ref: CUtexref) -> Result {
    let resource = Reference::texture(tex_ref)?.bound_to(&[CUresourcetype::MIPMAPPED_ARRAY])?;
    // SAFETY: the type says that it is this member.
    array.set(unsafe { resource.res.mipmap })
}

pub fn cuTexRefGetFormat(
    format: Out<CUarray_format>,
    num_channels: Out<i32>,
    tex_ref: CUtexref,
) -> Result {
    let (found, channels) = Reference::texture(tex_ref)?.format();
    format.set_if(found);
    num_channels.set_if(channels as i32);
    Ok(())
}

pub fn cuTexRefGetAddressMode(mode: Out<CUaddress_mode>, tex_ref: CUtexref, dim: i32) -> Result {
    let (reference, axis) = (Reference::texture(tex_ref)?, axis(dim)?);
    mode.set(reference.how().addressMode[axis])
}

pub fn cuTexRefGetFilterMode(mode: Out<CUfilter_mode>, tex_ref: CUtexref) -> Result {
    mode.set(Reference::texture(tex_ref)?.how().filterMode)
}

pub fn cuTexRefGetMipmapFilterMode(mode: Out<CUfilter_mode>, tex_ref: CUtexref) -> Result {
    mode.set(Reference::texture(tex_ref)?.how().mipmapFilterMode)
}

pub fn cuTexRefGetMipmapLevelBias(bias: Out<f32>, tex_ref: CUtexref) -> Result {
    bias.set(Reference::texture(tex_ref)?.how().mipmapLevelBias)
}

pub fn cuTexRefGetMipmapLevelClamp(
    min_clamp: Out<f32>,
    max_clamp: Out<f32>,
    tex_ref: CUtexref,
) -> Result {
    let how = Reference::texture(tex_ref)?.how();
    min_clamp.set_if(how.minMipmapLevelClamp);
    max_clamp.set_if(how.maxMipmapLevelClamp);
    Ok(())
}

pub fn cuTexRefGetMaxAnisotropy(max_anisotropy: Out<i32>, tex_ref: CUtexref) -> Result {
    max_anisotropy.set(Reference::texture(tex_ref)?.how().maxAnisotropy as i32)
}

pub fn cuTexRefGetBorderColor(border_color: Out<f32>, tex_ref: CUtexref) -> Result {
    border_color.set_all(Reference::texture(tex_ref)?.how().borderColor)
}

pub fn cuTexRefGetFlags(flags: Out<u32>, tex_ref: CUtexref) -> Result {
    flags.set(Reference::texture(tex_ref)?.how().flags)
}

pub fn cuSurfRefSetArray(surf_ref: CUsurfref, array: CUarray, flags: u32) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    Reference::surface(surf_ref)?.set_array(array)
}

pub fn cuSurfRefGetArray(array: Out<CUarray>, surf_ref: CUsurfref) -> Result {
    let resource = Reference::surface(surf_ref)?.bound_to(&[CUresourcetype::ARRAY])?;
    // SAFETY: the type says that it is this member.
    array.set(unsafe { resource.res.array })
}
