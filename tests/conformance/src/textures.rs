//! Textures and surfaces of NVIDIA's driver, in the place of this project's descriptors: arrays in the hardware's own layout,
//! filled with the same texels.

use crate::bench::Reference;
use crate::cuda::Api;
use std::ffi::{c_char, c_int, c_uint, c_void, CString};
use texture::tensor::{self, TensorMap};
use texture::{AddressMode, Class, Descriptor, Format, Kind, Level};

/// What textures are read or written through, as instructions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// 1, 2 or 3.
    pub axes: u32,
    /// `.a1d`, `.a2d`, `.acube`.
    pub layered: bool,
    /// `.cube`, `.acube`.
    pub cube: bool,
    /// `suld`, `sust`, `sured`.
    pub surface: bool,
    /// `tld4`.
    pub gather: bool,
}

impl Geometry {
    /// Of the instructions in a text.
    ///
    /// # Panics
    /// Where they have none.
    pub fn of(text: &str) -> Self {
        let has = |part: &str| text.contains(part);
        let (axes, layered, cube) = if has(".acube") {
            (2, true, true)
        } else if has(".cube") {
            (2, false, true)
        } else if has(".a2d") {
            (2, true, false)
        } else if has(".a1d") {
            (1, true, false)
        } else if has(".3d") {
            (3, false, false)
        } else if has(".2d") {
            (2, false, false)
        } else {
            assert!(
                has(".1d") || has("txq") || has("suq"),
                "no geometry: {text}"
            );
            (if has(".1d") { 1 } else { 2 }, false, false)
        };
        Self {
            axes,
            layered,
            cube,
            surface: ["suld", "sust", "sured", "suq"].iter().any(|i| has(i)),
            gather: has("tld4"),
        }
    }
}

/// `CUDA_ARRAY3D_DESCRIPTOR`.
#[repr(C)]
struct ArrayDescriptor {
    width: usize,
    height: usize,
    depth: usize,
    format: c_uint,
    channels: c_uint,
    flags: c_uint,
}

/// `CUDA_MEMCPY3D`, from host memory to an array.
#[repr(C)]
#[derive(Default)]
struct Copy {
    source_at: [usize; 4],
    source_type: c_uint,
    source_host: usize,
    source_device: u64,
    source_array: usize,
    reserved: usize,
    source_pitch: usize,
    source_height: usize,
    target_at: [usize; 4],
    target_type: c_uint,
    target_host: usize,
    target_device: u64,
    target_array: usize,
    reserved_too: usize,
    target_pitch: usize,
    target_height: usize,
    extent: [usize; 3],
}

/// `CUDA_RESOURCE_DESC`.
#[repr(C)]
struct Resource {
    kind: c_uint,
    array: usize,
    rest: [u64; 15],
    flags: c_uint,
}

/// `CUDA_TEXTURE_DESC`.
#[repr(C)]
struct Sampler {
    address_modes: [c_uint; 3],
    filter: c_uint,
    flags: c_uint,
    anisotropy: c_uint,
    level_filter: c_uint,
    level_bias: f32,
    level_clamp: [f32; 2],
    border: [u32; 4],
    reserved: [c_int; 12],
}

const HOST: c_uint = 1;
const ARRAY: c_uint = 3;

/// The object for a descriptor whose levels are at their addresses in `texels`. It lives as long as the process, which is a
/// test's.
pub(crate) fn object(
    api: &Api,
    descriptor: &Descriptor,
    texels: &[u8],
    geometry: Geometry,
) -> Result<u64, String> {
    let levels = descriptor.levels.len();
    let handle = array(api, descriptor, texels, geometry)?;
    let resource = Resource {
        kind: c_uint::from(levels > 1),
        array: handle,
        rest: [0; 15],
        flags: 0,
    };
    let mut object = 0u64;
    // SAFETY: as above.
    unsafe {
        if geometry.surface {
            let create = api.symbol::<unsafe extern "C" fn(*mut u64, *const Resource) -> c_int>(
                "cuSurfObjectCreate",
            )?;
            api.check(create(&mut object, &resource), "cuSurfObjectCreate")?;
        } else {
            let sampler = sampler(descriptor);
            let create = api.symbol::<unsafe extern "C" fn(
                *mut u64,
                *const Resource,
                *const Sampler,
                *const c_void,
            ) -> c_int>("cuTexObjectCreate")?;
            api.check(
                create(&mut object, &resource, &sampler, std::ptr::null()),
                "cuTexObjectCreate",
            )?;
        }
    }
    Ok(object)
}

/// Binds a reference of a module to an array with the texels that the input has. It lives as long as the process.
pub(crate) fn bind(
    api: &Api,
    module: *mut c_void,
    reference: &Reference,
    input: &[u8],
) -> Result<(), String> {
    type Handle = *mut c_void;
    let descriptor = &reference.descriptor;
    let texels = &input[reference.texels..];
    let array = array(api, descriptor, texels, reference.geometry)?;
    let name = CString::new(reference.name.as_str()).map_err(|e| e.to_string())?;
    let mut handle: Handle = std::ptr::null_mut();
    let call = |name: &str, result: c_int| api.check(result, name);
    // SAFETY: the types are those of cuda.h, and the pointers are to locals.
    unsafe {
        type Get = unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int;
        type SetArray = unsafe extern "C" fn(Handle, usize, c_uint) -> c_int;
        type SetNumber = unsafe extern "C" fn(Handle, c_uint) -> c_int;
        if descriptor.class == Class::Surface {
            let get = api.symbol::<Get>("cuModuleGetSurfRef")?;
            call(
                "cuModuleGetSurfRef",
                get(&mut handle, module, name.as_ptr()),
            )?;
            let set = api.symbol::<SetArray>("cuSurfRefSetArray")?;
            return call("cuSurfRefSetArray", set(handle, array, 0));
        }
        let get = api.symbol::<Get>("cuModuleGetTexRef")?;
        call("cuModuleGetTexRef", get(&mut handle, module, name.as_ptr()))?;
        let sampler = sampler(descriptor);
        let set_array = match descriptor.levels.len() {
            1 => "cuTexRefSetArray",
            _ => "cuTexRefSetMipmappedArray",
        };
        // The format is the array's.
        let set = api.symbol::<SetArray>(set_array)?;
        call(set_array, set(handle, array, 1))?;
        type SetMode = unsafe extern "C" fn(Handle, c_int, c_uint) -> c_int;
        let set = api.symbol::<SetMode>("cuTexRefSetAddressMode")?;
        for (axis, mode) in (0..).zip(sampler.address_modes) {
            call("cuTexRefSetAddressMode", set(handle, axis, mode))?;
        }
        for (name, value) in [
            ("cuTexRefSetFilterMode", sampler.filter),
            ("cuTexRefSetFlags", sampler.flags),
            ("cuTexRefSetMipmapFilterMode", sampler.level_filter),
        ] {
            let set = api.symbol::<SetNumber>(name)?;
            call(name, set(handle, value))?;
        }
        type SetBias = unsafe extern "C" fn(Handle, f32) -> c_int;
        let set = api.symbol::<SetBias>("cuTexRefSetMipmapLevelBias")?;
        call(
            "cuTexRefSetMipmapLevelBias",
            set(handle, sampler.level_bias),
        )?;
        type SetClamp = unsafe extern "C" fn(Handle, f32, f32) -> c_int;
        let set = api.symbol::<SetClamp>("cuTexRefSetMipmapLevelClamp")?;
        let [least, most] = sampler.level_clamp;
        call("cuTexRefSetMipmapLevelClamp", set(handle, least, most))?;
        type SetBorder = unsafe extern "C" fn(Handle, *const u32) -> c_int;
        let set = api.symbol::<SetBorder>("cuTexRefSetBorderColor")?;
        call(
            "cuTexRefSetBorderColor",
            set(handle, sampler.border.as_ptr()),
        )
    }
}

/// An array with a descriptor's texels.
fn array(
    api: &Api,
    descriptor: &Descriptor,
    texels: &[u8],
    geometry: Geometry,
) -> Result<usize, String> {
    let levels = descriptor.levels.len();
    let array = ArrayDescriptor {
        width: descriptor.extent[0] as usize,
        height: if geometry.axes > 1 {
            descriptor.extent[1] as usize
        } else {
            0
        },
        depth: slices(descriptor, geometry),
        format: format(descriptor.format),
        channels: descriptor.format.channels,
        flags: c_uint::from(geometry.layered)
            | c_uint::from(geometry.surface) << 1
            | c_uint::from(geometry.cube) << 2
            | c_uint::from(geometry.gather) << 3,
    };
    let mut handle = 0usize;
    // SAFETY: the structures are those of cuda.h, and the pointers are to locals.
    unsafe {
        if levels > 1 {
            let create = api.symbol::<unsafe extern "C" fn(
                *mut usize,
                *const ArrayDescriptor,
                c_uint,
            ) -> c_int>("cuMipmappedArrayCreate")?;
            api.check(
                create(&mut handle, &array, levels as c_uint),
                "cuMipmappedArrayCreate",
            )?;
        } else {
            let create = api
                .symbol::<unsafe extern "C" fn(*mut usize, *const ArrayDescriptor) -> c_int>(
                    "cuArray3DCreate_v2",
                )?;
            api.check(create(&mut handle, &array), "cuArray3DCreate")?;
        }
    }
    for (n, level) in descriptor.levels.iter().enumerate() {
        let mut one = handle;
        if levels > 1 {
            // SAFETY: as above.
            unsafe {
                let get = api.symbol::<unsafe extern "C" fn(*mut usize, usize, c_uint) -> c_int>(
                    "cuMipmappedArrayGetLevel",
                )?;
                api.check(
                    get(&mut one, handle, n as c_uint),
                    "cuMipmappedArrayGetLevel",
                )?;
            }
        }
        fill(api, one, descriptor, n as u32, level, texels, geometry)?;
    }
    Ok(handle)
}

/// What `cuTensorMapEncodeTiled` makes of a map.
pub(crate) fn tensor_map(api: &Api, map: &TensorMap) -> Result<[u8; tensor::BYTES], String> {
    #[repr(C, align(64))]
    struct Opaque([u8; tensor::BYTES]);
    #[rustfmt::skip]
    type Encode = unsafe extern "C" fn(*mut Opaque, c_uint, c_uint, *mut c_void, *const u64, *const u64, *const c_uint, *const c_uint, c_uint, c_uint, c_uint, c_uint) -> c_int;
    let mut opaque = Opaque([0; tensor::BYTES]);
    let dimensions: Vec<u64> = map.dimensions.iter().map(|&n| n.into()).collect();
    let boxes: Vec<u32> = std::iter::zip(&map.counts, &map.steps)
        .map(|(n, step)| n * step)
        .collect();
    // SAFETY: the type is that of cuda.h; lists have as many entries as there are dimensions, and one less for the strides.
    let result = unsafe {
        let encode = api.symbol::<Encode>("cuTensorMapEncodeTiled")?;
        encode(
            &mut opaque,
            map.element as c_uint,
            map.dimensions.len() as c_uint,
            map.address as *mut c_void,
            dimensions.as_ptr(),
            map.strides.as_ptr(),
            boxes.as_ptr(),
            map.steps.as_ptr(),
            0,
            map.swizzle,
            0,
            map.fills_nan.into(),
        )
    };
    api.check(result, "cuTensorMapEncodeTiled")?;
    Ok(opaque.0)
}

/// Layers, faces or the third dimension; 0 where there are none.
fn slices(descriptor: &Descriptor, geometry: Geometry) -> usize {
    if geometry.axes == 3 {
        return descriptor.extent[2] as usize;
    }
    match (geometry.layered, geometry.cube) {
        (false, true) => 6,
        (true, _) => descriptor.layers as usize,
        (false, false) => 0,
    }
}

fn fill(
    api: &Api,
    array: usize,
    descriptor: &Descriptor,
    number: u32,
    level: &Level,
    texels: &[u8],
    geometry: Geometry,
) -> Result<(), String> {
    let size = |axis: usize| (descriptor.extent[axis] >> number).max(1) as usize;
    let depth = match geometry.axes {
        3 => size(2),
        _ => slices(descriptor, geometry).max(1),
    };
    let copy = Copy {
        source_type: HOST,
        source_host: texels[level.address as usize..].as_ptr() as usize,
        source_pitch: level.pitch as usize,
        source_height: level.rows as usize,
        target_type: ARRAY,
        target_array: array,
        extent: [
            size(0) * descriptor.format.texel_bytes() as usize,
            size(1),
            depth,
        ],
        ..Copy::default()
    };
    // SAFETY: the structure is that of cuda.h; the texels of a level lie behind its address, slice by slice.
    unsafe {
        let run = api.symbol::<unsafe extern "C" fn(*const Copy) -> c_int>("cuMemcpy3D_v2")?;
        api.check(run(&copy), "cuMemcpy3D")
    }
}

/// `CUarray_format`.
fn format(format: Format) -> c_uint {
    match (format.kind, format.bits) {
        (Kind::Unsigned, bits) => bits.trailing_zeros() - 2,
        (Kind::Signed, bits) => bits.trailing_zeros() + 5,
        (Kind::Float, 16) => 0x10,
        (Kind::Float, _) => 0x20,
    }
}

fn sampler(descriptor: &Descriptor) -> Sampler {
    let integers = descriptor.format.kind != Kind::Float && !descriptor.format.normalized;
    Sampler {
        address_modes: descriptor.address_modes.map(|mode| match mode {
            AddressMode::Wrap => 0,
            AddressMode::Clamp => 1,
            AddressMode::Mirror => 2,
            AddressMode::Border => 3,
        }),
        filter: descriptor.linear.into(),
        flags: c_uint::from(integers)
            | c_uint::from(descriptor.normalized_coordinates) << 1
            | c_uint::from(descriptor.srgb) << 4,
        anisotropy: 0,
        level_filter: descriptor.linear_levels.into(),
        level_bias: descriptor.level_bias,
        level_clamp: descriptor.level_clamp,
        border: descriptor.border,
        reserved: [0; 12],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes on 64-bit hosts, as the header's.
    #[test]
    fn structures_are_the_headers() {
        assert_eq!(size_of::<ArrayDescriptor>(), 40);
        assert_eq!(size_of::<Copy>(), 200);
        assert_eq!(size_of::<Resource>(), 144);
        assert_eq!(size_of::<Sampler>(), 104);
    }
}
