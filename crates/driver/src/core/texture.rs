//! Texture and surface objects: descriptors in device memory, whose addresses are the handles.

use crate::boundary::Result;
use crate::core::array::{self, limits, Array, MipmappedArray};
use crate::core::context::State;
use crate::core::copy::{place, Named, Place};
use crate::core::status::IntoCuda;
use crate::core::stream::StreamGroup;
use cuda_abi::*;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use texture::{AddressMode, Class, Descriptor, Format, Kind, Level};
use vulkan::{Allocation, MemoryKind};

/// A texture or surface object.
pub struct Object {
    context_id: u64,
    /// What it was made of.
    pub resource: CUDA_RESOURCE_DESC,
    /// How it is read; `None` for a surface.
    pub texture: Option<CUDA_TEXTURE_DESC>,
    /// What it shows, where that was said.
    pub view: Option<CUDA_RESOURCE_VIEW_DESC>,
    descriptor: Allocation,
    /// Keeps the memory while kernels may read it.
    _arrays: Vec<Arc<Array>>,
}

// SAFETY: the descriptions are plain data; the unions hold numbers.
unsafe impl Send for Object {}
// SAFETY: as above, and nothing changes them.
unsafe impl Sync for Object {}

/// The live objects by handle.
static OBJECTS: RwLock<Option<FxHashMap<u64, Arc<Object>>>> = RwLock::new(None);

/// Texels with their place, before it is said how they are read.
struct Source {
    format: Format,
    extent: [u32; 3],
    layers: u32,
    levels: Vec<Level>,
    cube: bool,
    /// Texels one after the other, which are read by their number.
    linear: bool,
    arrays: Vec<Arc<Array>>,
}

fn invalid<T>(why: &str) -> Result<T> {
    tracing::warn!("a texture or surface object is refused: {why}");
    Err(CUresult::INVALID_VALUE)
}

impl Source {
    fn of_arrays(arrays: Vec<Arc<Array>>) -> Self {
        let (extent, layers) = arrays[0].extent();
        Self {
            format: arrays[0].format,
            extent,
            layers,
            levels: arrays.iter().map(|array| array.level).collect(),
            cube: arrays[0].is_cube(),
            linear: false,
            arrays,
        }
    }

    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`, `CUDA_ERROR_INVALID_HANDLE`.
    fn of(vulkan: &vulkan::Device, resource: &CUDA_RESOURCE_DESC) -> Result<Self> {
        if resource.flags != 0 {
            return invalid("unknown flags of the resource");
        }
        // SAFETY: by the API's contract the member is the one that the type says; all are plain data.
        unsafe {
            match resource.resType {
                CUresourcetype::ARRAY | CUresourcetype::MIPMAPPED_ARRAY
                    if resource.res.array.is_null() =>
                {
                    invalid("no array")
                }
                CUresourcetype::ARRAY => Ok(Self::of_arrays(vec![Array::from_handle(
                    resource.res.array,
                )?])),
                CUresourcetype::MIPMAPPED_ARRAY => Ok(Self::of_arrays(
                    MipmappedArray::from_handle(resource.res.mipmap)?
                        .levels
                        .clone(),
                )),
                CUresourcetype::LINEAR => Self::linear(vulkan, resource.res.linear),
                CUresourcetype::PITCH2D => Self::pitched(vulkan, resource.res.pitch2D),
                _ => invalid("an unknown type of resource"),
            }
        }
    }

    fn of_memory(
        vulkan: &vulkan::Device,
        address: u64,
        format: Format,
        size: [usize; 2],
        pitch: usize,
    ) -> Result<Self> {
        let Place::Device(address) = place(vulkan, address, Named::Device)? else {
            return invalid("memory that the device does not reach");
        };
        if address % array::ALIGNMENT != 0 {
            return invalid(
                "an address that is not aligned as CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT says",
            );
        }
        let [width, height] = size;
        let row = width * format.texel_bytes() as usize;
        let end = pitch * (height - 1) + row;
        let inside = |found: vulkan::Found| address - found.base + end as u64 <= found.size;
        if !vulkan.find(address).is_some_and(inside) {
            return invalid("memory that exceeds its allocation");
        }
        Ok(Self {
            format,
            extent: [width as u32, height as u32, 1],
            layers: 1,
            levels: vec![Level {
                address,
                pitch: pitch as u32,
                rows: height as u32,
            }],
            cube: false,
            linear: false,
            arrays: Vec::new(),
        })
    }

    /// NVIDIA's driver takes memory that is not all allocated (measured; NVIDIA's sample convolutionFFT2D counts on it). Texels beyond
    /// the allocation are read as those beyond the texture.
    fn linear(vulkan: &vulkan::Device, memory: CUDA_RESOURCE_DESC_linear) -> Result<Self> {
        let format = array::format(memory.format, memory.numChannels)?;
        let texel = format.texel_bytes() as usize;
        let mut width = memory.sizeInBytes / texel;
        if width == 0 || width > limits::WIDTH_LINEAR {
            return invalid("linear memory of this size");
        }
        if let Some(found) = vulkan.find(memory.devPtr) {
            let rest = found.size.saturating_sub(memory.devPtr - found.base);
            width = width.min(rest as usize / texel);
        }
        Ok(Self {
            linear: true,
            ..Self::of_memory(vulkan, memory.devPtr, format, [width, 1], 0)?
        })
    }

    fn pitched(vulkan: &vulkan::Device, memory: CUDA_RESOURCE_DESC_pitch2D) -> Result<Self> {
        let format = array::format(memory.format, memory.numChannels)?;
        let [width, height, pitch] = [memory.width, memory.height, memory.pitchInBytes];
        let fits = [width, height, pitch]
            .iter()
            .zip(limits::LINEAR_2D)
            .all(|(&n, most)| n > 0 && n <= most);
        let row = width.saturating_mul(format.texel_bytes() as usize);
        if !fits || pitch < row || pitch % array::PITCH as usize != 0 {
            return invalid("rows of this size or pitch");
        }
        Self::of_memory(vulkan, memory.devPtr, format, [width, height], pitch)
    }

    /// Keeps what a view shows.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for one that does not fit.
    fn view(&mut self, view: &CUDA_RESOURCE_VIEW_DESC) -> Result {
        if self.arrays.is_empty() {
            return invalid("a view of memory that is no array");
        }
        let whole = &self.arrays[0].descriptor;
        let other = view.format == 0 || (view.width, view.height) != (whole.Width, whole.Height);
        // Of mipmapped arrays it may be the size of a level.
        if self.levels.len() == 1 && other {
            return invalid("a view without a format, or of another size");
        }
        if let Some(format) = view_format(view.format)? {
            if format.texel_bytes() != self.format.texel_bytes() {
                return invalid("a view with texels of another size");
            }
            self.format = format;
        }
        let (first, last) = (
            view.firstMipmapLevel as usize,
            view.lastMipmapLevel as usize,
        );
        let (first_layer, last_layer) = (view.firstLayer, view.lastLayer);
        if first > last || last >= self.levels.len() || first_layer > last_layer {
            return invalid("a view of levels or layers that there are not");
        }
        if last_layer >= self.layers {
            return invalid("a view of layers that there are not");
        }
        self.levels.truncate(last + 1);
        self.levels.drain(..first);
        for level in &mut self.levels {
            level.address +=
                u64::from(first_layer) * u64::from(level.rows) * u64::from(level.pitch);
        }
        self.layers = last_layer - first_layer + 1;
        self.extent = self.extent.map(|size| (size >> first).max(1));
        Ok(())
    }
}

/// The texel format of a `CUresourceViewFormat`: three of one and two and four channels for each format, in this order.
fn view_format(number: u32) -> Result<Option<Format>> {
    const FORMATS: [(Kind, u32); 8] = [
        (Kind::Unsigned, 8),
        (Kind::Signed, 8),
        (Kind::Unsigned, 16),
        (Kind::Signed, 16),
        (Kind::Unsigned, 32),
        (Kind::Signed, 32),
        (Kind::Float, 16),
        (Kind::Float, 32),
    ];
    let Some(index) = number.checked_sub(1) else {
        return Ok(None);
    };
    let Some(&(kind, bits)) = FORMATS.get(index as usize / 3) else {
        return invalid("a view of compressed blocks");
    };
    Ok(Some(Format {
        kind,
        bits,
        channels: 1 << (index % 3),
        normalized: false,
    }))
}

fn address_mode(mode: CUaddress_mode, normalized: bool) -> Result<AddressMode> {
    // Without normalised coordinates there is no wrapping and no mirroring.
    Ok(match mode {
        CUaddress_mode::WRAP if normalized => AddressMode::Wrap,
        CUaddress_mode::MIRROR if normalized => AddressMode::Mirror,
        CUaddress_mode::WRAP | CUaddress_mode::MIRROR | CUaddress_mode::CLAMP => AddressMode::Clamp,
        CUaddress_mode::BORDER => AddressMode::Border,
        _ => return invalid("an unknown address mode"),
    })
}

/// Says how the texels of a source are read.
fn describe(mut source: Source, how: &CUDA_TEXTURE_DESC) -> Result<(Descriptor, Vec<Arc<Array>>)> {
    const KNOWN: u32 = CU_TRSF_READ_AS_INTEGER
        | CU_TRSF_NORMALIZED_COORDINATES
        | CU_TRSF_SRGB
        | CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION;
    if how.flags & CU_TRSF_SEAMLESS_CUBEMAP != 0 {
        tracing::warn!("cubes with seamless edges are not supported");
        return Err(CUresult::NOT_SUPPORTED);
    }
    if how.flags & !KNOWN != 0 {
        return invalid("unknown flags of the texture");
    }
    let as_integer = how.flags & CU_TRSF_READ_AS_INTEGER != 0;
    if source.format.kind != Kind::Float && source.format.bits < 32 {
        source.format.normalized |= !as_integer;
    }
    let srgb = how.flags & CU_TRSF_SRGB != 0;
    let is_share = source.format.normalized && source.format.kind == Kind::Unsigned;
    if srgb && (!is_share || source.format.bits != 8) {
        return invalid("sRGB of what is not bytes as numbers up to 1");
    }
    let linear = |mode| match mode {
        CUfilter_mode::POINT => Ok(false),
        CUfilter_mode::LINEAR => Ok(true),
        _ => invalid("an unknown filter mode"),
    };
    let (filter, filter_levels) = (linear(how.filterMode)?, linear(how.mipmapFilterMode)?);
    let normalized = how.flags & CU_TRSF_NORMALIZED_COORDINATES != 0 || source.cube;
    if (filter || filter_levels && source.levels.len() > 1) && !source.format.reads_float() {
        return invalid("integers cannot be interpolated");
    }
    if source.levels.len() > 1 && !normalized {
        return invalid("mipmaps need normalised coordinates");
    }
    let mut descriptor =
        Descriptor::new(source.format, source.extent, source.layers, source.levels);
    descriptor.srgb = srgb;
    if source.linear {
        // Read by number; beyond the end is 0.
        descriptor.address_modes = [AddressMode::Border; 3];
        return Ok((descriptor, source.arrays));
    }
    for (mode, wanted) in descriptor.address_modes.iter_mut().zip(how.addressMode) {
        *mode = match source.cube {
            true => AddressMode::Clamp,
            false => address_mode(wanted, normalized)?,
        };
    }
    descriptor.normalized_coordinates = normalized;
    descriptor.linear = filter;
    descriptor.linear_levels = filter_levels;
    descriptor.level_bias = how.mipmapLevelBias;
    descriptor.level_clamp = [how.minMipmapLevelClamp, how.maxMipmapLevelClamp];
    descriptor.border = how.borderColor.map(f32::to_bits);
    Ok((descriptor, source.arrays))
}

/// What a surface of an array is.
fn describe_surface(
    vulkan: &vulkan::Device,
    resource: &CUDA_RESOURCE_DESC,
) -> Result<(Descriptor, Vec<Arc<Array>>)> {
    let source = Source::of(vulkan, resource)?;
    let [_] = &source.arrays[..] else {
        return invalid("surfaces are made of arrays");
    };
    let mut descriptor =
        Descriptor::new(source.format, source.extent, source.layers, source.levels);
    descriptor.class = Class::Surface;
    Ok((descriptor, source.arrays))
}

/// Writes a descriptor, with what follows it, into memory of its own.
fn write(
    vulkan: &Arc<vulkan::Device>,
    streams: &StreamGroup,
    descriptor: impl FnOnce(u64) -> Vec<u8>,
    bytes: usize,
) -> Result<Allocation> {
    let memory = vulkan.allocate(bytes as u64, MemoryKind::Device).cuda()?;
    let bytes = descriptor(memory.address());
    // On a stream without other work, so that nothing else is waited for.
    let stream = streams.open.take_stream()?;
    let written = stream
        .write(memory.address(), &bytes)
        .and_then(|()| stream.synchronize());
    streams.open.give_back(stream);
    written.cuda()?;
    Ok(memory)
}

/// What a reference of a module is bound to, for launches: a descriptor in memory, which lives as long as this does and work
/// uses it.
pub struct Bound {
    descriptor: Allocation,
    _arrays: Vec<Arc<Array>>,
}

impl Bound {
    /// The address of the descriptor.
    pub fn handle(&self) -> u64 {
        self.descriptor.address()
    }

    /// A texture.
    ///
    /// # Errors
    /// As [`Object::texture`].
    pub fn texture(
        vulkan: &Arc<vulkan::Device>,
        streams: &StreamGroup,
        resource: &CUDA_RESOURCE_DESC,
        how: &CUDA_TEXTURE_DESC,
    ) -> Result<Self> {
        let source = Source::of(vulkan, resource)?;
        Self::of(vulkan, streams, describe(source, how)?)
    }

    /// A surface.
    ///
    /// # Errors
    /// As [`Object::surface`].
    pub fn surface(
        vulkan: &Arc<vulkan::Device>,
        streams: &StreamGroup,
        resource: &CUDA_RESOURCE_DESC,
    ) -> Result<Self> {
        Self::of(vulkan, streams, describe_surface(vulkan, resource)?)
    }

    fn of(
        vulkan: &Arc<vulkan::Device>,
        streams: &StreamGroup,
        (descriptor, arrays): (Descriptor, Vec<Arc<Array>>),
    ) -> Result<Self> {
        let bytes = descriptor.encode();
        Ok(Self {
            descriptor: write(vulkan, streams, |_| bytes.to_vec(), bytes.len())?,
            _arrays: arrays,
        })
    }

    /// What nothing is bound to, a texel of zeros, and samplers.
    ///
    /// # Errors
    /// Those of allocating it.
    pub fn unbound(
        vulkan: &Arc<vulkan::Device>,
        streams: &StreamGroup,
        descriptor: impl FnOnce(u64) -> Descriptor,
    ) -> Result<Self> {
        const TEXEL: usize = texture::WIDEST_TEXEL as usize;
        let bytes = |address: u64| {
            let mut bytes = descriptor(address + texture::BYTES as u64)
                .encode()
                .to_vec();
            bytes.extend([0; TEXEL]);
            bytes
        };
        Ok(Self {
            descriptor: write(vulkan, streams, bytes, texture::BYTES + TEXEL)?,
            _arrays: Vec::new(),
        })
    }
}

impl Object {
    /// `cuTexObjectCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` with the reason in the log; `CUDA_ERROR_INVALID_HANDLE` for an unknown array;
    /// `CUDA_ERROR_NOT_SUPPORTED` for seamless cubes.
    pub fn texture(
        state: &State,
        resource: CUDA_RESOURCE_DESC,
        texture: CUDA_TEXTURE_DESC,
        view: Option<CUDA_RESOURCE_VIEW_DESC>,
    ) -> Result<CUtexObject> {
        let mut source = Source::of(&state.vulkan, &resource)?;
        if let Some(view) = &view {
            source.view(view)?;
        }
        let (descriptor, arrays) = describe(source, &texture)?;
        Self::create(state, &descriptor, resource, Some(texture), view, arrays)
    }

    /// `cuSurfObjectCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for what is no array.
    pub fn surface(state: &State, resource: CUDA_RESOURCE_DESC) -> Result<CUsurfObject> {
        if resource.resType != CUresourcetype::ARRAY {
            return invalid("surfaces are made of arrays");
        }
        let (descriptor, arrays) = describe_surface(&state.vulkan, &resource)?;
        Self::create(state, &descriptor, resource, None, None, arrays)
    }

    fn create(
        state: &State,
        descriptor: &Descriptor,
        resource: CUDA_RESOURCE_DESC,
        texture: Option<CUDA_TEXTURE_DESC>,
        view: Option<CUDA_RESOURCE_VIEW_DESC>,
        arrays: Vec<Arc<Array>>,
    ) -> Result<u64> {
        let bytes = descriptor.encode();
        let memory = write(
            &state.vulkan,
            &state.streams,
            |_| bytes.to_vec(),
            bytes.len(),
        )?;
        let handle = memory.address();
        let object = Arc::new(Self {
            context_id: state.context_id,
            resource,
            texture,
            view,
            descriptor: memory,
            _arrays: arrays,
        });
        OBJECTS
            .write()
            .get_or_insert_default()
            .insert(handle, object);
        Ok(handle)
    }

    /// The object of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: u64, is_surface: bool) -> Result<Arc<Self>> {
        let objects = OBJECTS.read();
        let object = objects.as_ref().and_then(|objects| objects.get(&handle));
        match object {
            Some(object) if object.texture.is_none() == is_surface => Ok(object.clone()),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }

    /// `cuTexObjectDestroy`, `cuSurfObjectDestroy`. The memory stays until work that uses it is done.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn destroy(handle: u64, is_surface: bool) -> Result {
        if handle == 0 {
            return Ok(());
        }
        let object = Self::from_handle(handle, is_surface)?;
        debug_assert_eq!(object.descriptor.address(), handle);
        let removed = OBJECTS
            .write()
            .as_mut()
            .and_then(|objects| objects.remove(&handle));
        drop(removed);
        Ok(())
    }
}

/// Ends the objects of a closed context.
pub fn end_of_context(context_id: u64) {
    let mut objects = OBJECTS.write();
    let Some(all) = objects.as_mut() else { return };
    let gone: Vec<u64> = all
        .iter()
        .filter(|(_, object)| object.context_id == context_id)
        .map(|(&handle, _)| handle)
        .collect();
    let removed: Vec<_> = gone
        .iter()
        .filter_map(|handle| all.remove(handle))
        .collect();
    drop(objects);
    drop(removed);
}
