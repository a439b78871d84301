//! Texture and surface references (CUDA driver API, "Texture Reference Management", "Surface Reference Management"; deprecated, and
//! what PTX of CUDA 11 and before reads textures through): variables of a module, which calls bind to arrays or memory.
//!
//! What a reference is bound to is decided when a kernel is launched: the launch puts the address of a descriptor into the kernel's
//! parameter block ([`KernelInfo::references`](ptx_spirv::KernelInfo::references)), so that later changes are of later launches.

use crate::boundary::Result;
use crate::core::array::{self, limits, Array, MipmappedArray};
use crate::core::module::Code;
use crate::core::registry::Registry;
use crate::core::texture::Bound;
use cuda_abi::*;
use parking_lot::Mutex;
use std::sync::Arc;
use texture::{AddressMode, Class, Descriptor};

/// Every reference that the application has a handle of.
pub static REFERENCES: Registry<Reference> = Registry::new();

/// A texture or surface reference, or a sampler, which nothing is ever bound to.
pub struct Reference {
    /// `Context::id`.
    context_id: u64,
    /// The module's that declares it (`Code::id`); 0 for one of the application's own.
    module_id: u64,
    class: Class,
    state: Mutex<State>,
}

struct State {
    /// What it is bound to. Linear memory has its format elsewhere.
    resource: Option<CUDA_RESOURCE_DESC>,
    /// How it is read.
    how: CUDA_TEXTURE_DESC,
    /// Of linear memory.
    format: (CUarray_format, u32),
    /// What its module says of it, for samplers.
    declared: Descriptor,
    /// What launches get as long as nothing changes.
    bound: Option<Arc<Bound>>,
}

// SAFETY: the descriptions are plain data; the unions hold numbers.
unsafe impl Send for Reference {}
// SAFETY: as above, and what changes is behind a lock.
unsafe impl Sync for Reference {}

fn invalid<T>(why: &str) -> Result<T> {
    tracing::warn!("a reference is not bound: {why}");
    Err(CUresult::INVALID_VALUE)
}

impl Reference {
    fn new(context_id: u64, module_id: u64, declared: Descriptor) -> Arc<Self> {
        let mode = |mode| match mode {
            AddressMode::Wrap => CUaddress_mode::WRAP,
            AddressMode::Clamp => CUaddress_mode::CLAMP,
            AddressMode::Mirror => CUaddress_mode::MIRROR,
            AddressMode::Border => CUaddress_mode::BORDER,
        };
        let how = CUDA_TEXTURE_DESC {
            addressMode: declared.address_modes.map(mode),
            filterMode: match declared.linear {
                true => CUfilter_mode::LINEAR,
                false => CUfilter_mode::POINT,
            },
            flags: match declared.normalized_coordinates {
                true => CU_TRSF_NORMALIZED_COORDINATES,
                false => 0,
            },
            maxAnisotropy: 0,
            mipmapFilterMode: CUfilter_mode::POINT,
            mipmapLevelBias: 0.0,
            minMipmapLevelClamp: 0.0,
            maxMipmapLevelClamp: 0.0,
            borderColor: [0.0; 4],
            reserved: [0; 12],
        };
        Arc::new(Self {
            context_id,
            module_id,
            class: declared.class,
            state: Mutex::new(State {
                resource: None,
                how,
                format: (CUarray_format::UNSIGNED_INT8, 1),
                declared,
                bound: None,
            }),
        })
    }

    /// A module's.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_PTX` for fields of its initialiser that are not known.
    pub fn declared(code: &Code, opaque: &ptx::Opaque) -> Result<Arc<Self>> {
        let class = match opaque.kind {
            ptx::OpaqueKind::Texture => Class::Texture,
            ptx::OpaqueKind::Sampler => Class::Sampler,
            ptx::OpaqueKind::Surface => Class::Surface,
        };
        let mut declared = Descriptor::unbound(class, 0);
        for (field, value) in &opaque.fields {
            declared.set_field(field, value).map_err(|what| {
                tracing::warn!("not supported: {what}");
                CUresult::NOT_SUPPORTED
            })?;
        }
        Ok(Self::new(code.context_id, code.id, declared))
    }

    /// `cuTexRefCreate`: one that no kernel reads through.
    pub fn own(context_id: u64) -> CUtexref {
        let declared = Descriptor::unbound(Class::Texture, 0);
        CUtexref(REFERENCES.insert(Self::new(context_id, 0, declared)))
    }

    /// `cuTexRefDestroy`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`, also for a module's.
    pub fn destroy(handle: CUtexref) -> Result {
        if Self::texture(handle)?.module_id != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        REFERENCES.remove(handle.0).map(drop)
    }

    fn of_class(handle: usize, class: Class) -> Result<Arc<Self>> {
        match REFERENCES.get(handle) {
            Ok(reference) if reference.class == class => Ok(reference),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }

    /// The texture reference of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn texture(handle: CUtexref) -> Result<Arc<Self>> {
        Self::of_class(handle.0, Class::Texture)
    }

    /// The surface reference of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn surface(handle: CUsurfref) -> Result<Arc<Self>> {
        Self::of_class(handle.0, Class::Surface)
    }

    /// Whether it is a module's (`Code::id`).
    pub fn is_of(&self, module_id: u64) -> bool {
        self.module_id == module_id
    }

    /// The class that it was declared as.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How it is read.
    pub fn how(&self) -> CUDA_TEXTURE_DESC {
        self.state.lock().how
    }

    /// Changes how it is read.
    pub fn change(&self, change: impl FnOnce(&mut CUDA_TEXTURE_DESC)) {
        let mut state = self.state.lock();
        change(&mut state.how);
        state.bound = None;
    }

    fn bind(&self, resource: Option<CUDA_RESOURCE_DESC>, format: Option<(CUarray_format, u32)>) {
        let mut state = self.state.lock();
        state.resource = resource;
        state.format = format.unwrap_or(state.format);
        state.bound = None;
    }

    /// Binds it to an array.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn set_array(&self, handle: CUarray) -> Result {
        let array = Array::from_handle(handle)?;
        let resource = CUDA_RESOURCE_DESC {
            resType: CUresourcetype::ARRAY,
            res: CUDA_RESOURCE_DESC_res { array: handle },
            flags: 0,
        };
        let descriptor = &array.descriptor;
        self.bind(
            Some(resource),
            Some((descriptor.Format, descriptor.NumChannels)),
        );
        Ok(())
    }

    /// Binds it to an array with levels.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn set_mipmapped_array(&self, handle: CUmipmappedArray) -> Result {
        let array = MipmappedArray::from_handle(handle)?;
        let resource = CUDA_RESOURCE_DESC {
            resType: CUresourcetype::MIPMAPPED_ARRAY,
            res: CUDA_RESOURCE_DESC_res { mipmap: handle },
            flags: 0,
        };
        let descriptor = &array.levels[0].descriptor;
        self.bind(
            Some(resource),
            Some((descriptor.Format, descriptor.NumChannels)),
        );
        Ok(())
    }

    /// Binds it to memory from the last aligned address on, or to nothing; gives the bytes from there to the address that was asked
    /// for.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for memory of no size, or too large, and where the address is not aligned and the caller takes no
    /// offset.
    pub fn set_address(&self, address: u64, bytes: usize, takes_offset: bool) -> Result<usize> {
        if address == 0 && bytes == 0 {
            self.bind(None, None);
            return Ok(0);
        }
        let offset = (address % array::ALIGNMENT) as usize;
        if address == 0 || bytes == 0 || bytes > limits::WIDTH_LINEAR * 16 {
            return invalid("memory of no size, or too large");
        }
        if offset != 0 && !takes_offset {
            return invalid("an address that is not aligned");
        }
        let linear = CUDA_RESOURCE_DESC_linear {
            devPtr: address - offset as u64,
            // Said when a kernel is launched.
            format: CUarray_format::UNSIGNED_INT8,
            numChannels: 1,
            sizeInBytes: bytes + offset,
        };
        let resource = CUDA_RESOURCE_DESC {
            resType: CUresourcetype::LINEAR,
            res: CUDA_RESOURCE_DESC_res { linear },
            flags: 0,
        };
        self.bind(Some(resource), None);
        Ok(offset)
    }

    /// Binds it to rows in memory.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for an unknown format, and for an address or a pitch that is not aligned.
    pub fn set_rows(
        &self,
        descriptor: CUDA_ARRAY_DESCRIPTOR,
        address: u64,
        pitch: usize,
    ) -> Result {
        array::format(descriptor.Format, descriptor.NumChannels)?;
        if address % array::ALIGNMENT != 0 || pitch % array::PITCH as usize != 0 || address == 0 {
            return invalid("an address or a pitch that is not aligned");
        }
        let rows = CUDA_RESOURCE_DESC_pitch2D {
            devPtr: address,
            format: descriptor.Format,
            numChannels: descriptor.NumChannels,
            width: descriptor.Width,
            height: descriptor.Height,
            pitchInBytes: pitch,
        };
        let resource = CUDA_RESOURCE_DESC {
            resType: CUresourcetype::PITCH2D,
            res: CUDA_RESOURCE_DESC_res { pitch2D: rows },
            flags: 0,
        };
        let format = (descriptor.Format, descriptor.NumChannels);
        self.bind(Some(resource), Some(format));
        Ok(())
    }

    /// Says what linear memory holds.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn set_format(&self, format: CUarray_format, channels: u32) -> Result {
        array::format(format, channels)?;
        let mut state = self.state.lock();
        state.format = (format, channels);
        state.bound = None;
        Ok(())
    }

    /// Format and channels of what it is bound to.
    pub fn format(&self) -> (CUarray_format, u32) {
        self.state.lock().format
    }

    /// What it is bound to.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where it is nothing of this kind.
    pub fn bound_to(&self, kinds: &[CUresourcetype]) -> Result<CUDA_RESOURCE_DESC> {
        match self.state.lock().resource {
            Some(resource) if kinds.contains(&resource.resType) => Ok(resource),
            _ => Err(CUresult::INVALID_VALUE),
        }
    }

    /// What a launch gets.
    ///
    /// # Errors
    /// Those of [`Bound::texture`] and [`Bound::surface`].
    pub fn bound(&self, code: &Code) -> Result<Arc<Bound>> {
        let mut state = self.state.lock();
        if let Some(bound) = &state.bound {
            return Ok(bound.clone());
        }
        let (vulkan, streams) = (&code.vulkan, &*code.streams);
        let bound = match (self.class, state.resource) {
            (Class::Texture, Some(mut resource)) => {
                if resource.resType == CUresourcetype::LINEAR {
                    // SAFETY: the type says that it is this member, which is plain data.
                    let linear = unsafe { resource.res.linear };
                    resource.res.linear = CUDA_RESOURCE_DESC_linear {
                        format: state.format.0,
                        numChannels: state.format.1,
                        ..linear
                    };
                }
                Bound::texture(vulkan, streams, &resource, &state.how)?
            }
            (Class::Surface, Some(resource)) => Bound::surface(vulkan, streams, &resource)?,
            (Class::Sampler, _) => Bound::unbound(vulkan, streams, |_| state.declared.clone())?,
            (class, None) => {
                tracing::info!("a kernel is launched that reads through a reference to nothing");
                Bound::unbound(vulkan, streams, |texel| Descriptor::unbound(class, texel))?
            }
        };
        let bound = Arc::new(bound);
        state.bound = Some(bound.clone());
        Ok(bound)
    }
}

/// Ends the handles of an unloaded module's references.
pub fn end_of_module(module_id: u64) {
    REFERENCES.remove_if(|reference| reference.is_of(module_id));
}

/// Ends the handles of a closed context's references.
pub fn end_of_context(context_id: u64) {
    REFERENCES.remove_if(|reference| reference.context_id == context_id);
}
