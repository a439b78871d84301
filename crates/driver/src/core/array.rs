//! Arrays: memory for textures and surfaces.
//!
//! An array is plain device memory: rows of texels, [`PITCH`] aligned; slices of depth or layers behind each other; mipmap levels
//! behind each other. Kernels reach it through descriptors (`core/texture.rs`).

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::registry::Registry;
use crate::core::status::IntoCuda;
use cuda_abi::*;
use parking_lot::Mutex;
use std::sync::Arc;
use texture::{Format, Kind, Level, MOST_LEVELS};
use vulkan::{Allocation, MemoryKind};

/// Every array by handle.
pub static ARRAYS: Registry<Array> = Registry::new();
/// Every mipmapped array by handle.
pub static MIPMAPPED_ARRAYS: Registry<MipmappedArray> = Registry::new();

/// Alignment of rows, bytes: the device attribute TEXTURE_PITCH_ALIGNMENT.
pub const PITCH: u32 = 32;
/// Alignment of levels, and of memory that textures are made of, bytes: the device attribute TEXTURE_ALIGNMENT. That of the
/// allocator.
pub const ALIGNMENT: u64 = 256;

/// The greatest sizes: compute capability 9.0's (CUDA C++ Programming Guide, "Technical Specifications per Compute
/// Capability").
pub mod limits {
    /// Width of one-dimensional arrays.
    pub const WIDTH_1D: usize = 131072;
    /// Width and height of two-dimensional arrays.
    pub const EXTENT_2D: [usize; 2] = [131072, 65536];
    /// Width, height and depth of three-dimensional arrays.
    pub const EXTENT_3D: usize = 16384;
    /// Width and height of layered arrays, of cubes and for gathers.
    pub const LAYERED: usize = 32768;
    /// Layers.
    pub const LAYERS: usize = 2048;
    /// Faces of layered cubes.
    pub const FACES: usize = 2046;
    /// Texels of linear memory.
    pub const WIDTH_LINEAR: usize = 1 << 28;
    /// Width, height and pitch of linear memory in rows.
    pub const LINEAR_2D: [usize; 3] = [131072, 65000, 2097120];
}

/// The texel format of a CUDA format; those that CUDA always reads as numbers up to 1 are normalised, others not.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for other numbers of channels, and for the formats of videos and compressed blocks, which are
/// not supported.
pub fn format(format: CUarray_format, channels: u32) -> Result<Format> {
    use CUarray_format as F;
    let (kind, bits, own) = match format {
        F::UNSIGNED_INT8 => (Kind::Unsigned, 8, None),
        F::UNSIGNED_INT16 => (Kind::Unsigned, 16, None),
        F::UNSIGNED_INT32 => (Kind::Unsigned, 32, None),
        F::SIGNED_INT8 => (Kind::Signed, 8, None),
        F::SIGNED_INT16 => (Kind::Signed, 16, None),
        F::SIGNED_INT32 => (Kind::Signed, 32, None),
        F::HALF => (Kind::Float, 16, None),
        F::FLOAT => (Kind::Float, 32, None),
        F::UNORM_INT8X1 => (Kind::Unsigned, 8, Some(1)),
        F::UNORM_INT8X2 => (Kind::Unsigned, 8, Some(2)),
        F::UNORM_INT8X4 => (Kind::Unsigned, 8, Some(4)),
        F::UNORM_INT16X1 => (Kind::Unsigned, 16, Some(1)),
        F::UNORM_INT16X2 => (Kind::Unsigned, 16, Some(2)),
        F::UNORM_INT16X4 => (Kind::Unsigned, 16, Some(4)),
        F::SNORM_INT8X1 => (Kind::Signed, 8, Some(1)),
        F::SNORM_INT8X2 => (Kind::Signed, 8, Some(2)),
        F::SNORM_INT8X4 => (Kind::Signed, 8, Some(4)),
        F::SNORM_INT16X1 => (Kind::Signed, 16, Some(1)),
        F::SNORM_INT16X2 => (Kind::Signed, 16, Some(2)),
        F::SNORM_INT16X4 => (Kind::Signed, 16, Some(4)),
        other => {
            tracing::warn!("arrays of the format {other:?} are not supported");
            return Err(CUresult::INVALID_VALUE);
        }
    };
    if !matches!(channels, 1 | 2 | 4) || own.is_some_and(|own| own != channels) {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(Format {
        kind,
        bits,
        channels,
        normalized: own.is_some(),
    })
}

/// The memory of an array with all of its levels.
struct Storage {
    context_id: u64,
    allocation: Allocation,
}

/// An array, or one level of a mipmapped one.
pub struct Array {
    storage: Arc<Storage>,
    /// As the application described it; of a level, with its size.
    pub descriptor: CUDA_ARRAY3D_DESCRIPTOR,
    /// Its texels.
    pub format: Format,
    /// Where it lies.
    pub level: Level,
    /// Whether it belongs to a mipmapped array, which destroys it.
    is_level: bool,
}

/// An array with mipmap levels.
pub struct MipmappedArray {
    /// The levels, the largest first.
    pub levels: Vec<Arc<Array>>,
    /// Levels that the application has handles of.
    given: Mutex<Vec<usize>>,
}

/// `CUDA_ARRAY3D_SPARSE`.
const CUDA_ARRAY3D_SPARSE: u32 = 0x40;
/// `CUDA_ARRAY3D_DEFERRED_MAPPING`.
const CUDA_ARRAY3D_DEFERRED_MAPPING: u32 = 0x80;
/// `CUDA_ARRAY3D_VIDEO_ENCODE_DECODE`.
const CUDA_ARRAY3D_VIDEO: u32 = 0x100;

/// A descriptor that has been checked.
struct Shape {
    descriptor: CUDA_ARRAY3D_DESCRIPTOR,
    format: Format,
}

impl Shape {
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for what no array can be, `CUDA_ERROR_NOT_SUPPORTED` for sparse arrays and such whose memory
    /// comes later.
    fn of(descriptor: CUDA_ARRAY3D_DESCRIPTOR) -> Result<Self> {
        const KNOWN: u32 = CUDA_ARRAY3D_LAYERED
            | CUDA_ARRAY3D_SURFACE_LDST
            | CUDA_ARRAY3D_CUBEMAP
            | CUDA_ARRAY3D_TEXTURE_GATHER;
        let format = format(descriptor.Format, descriptor.NumChannels)?;
        if descriptor.Flags & !KNOWN != 0 {
            tracing::warn!(
                "arrays with the flags {:#x} are not supported",
                descriptor.Flags & !KNOWN
            );
            let elsewhere =
                CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING | CUDA_ARRAY3D_VIDEO;
            return Err(match descriptor.Flags & !KNOWN & !elsewhere {
                0 => CUresult::NOT_SUPPORTED,
                _ => CUresult::INVALID_VALUE,
            });
        }
        let has = |flag| descriptor.Flags & flag != 0;
        let (width, height, depth) = (descriptor.Width, descriptor.Height, descriptor.Depth);
        let layered = has(CUDA_ARRAY3D_LAYERED);
        let fits = if has(CUDA_ARRAY3D_CUBEMAP) {
            let whole = if layered {
                depth % 6 == 0 && depth > 0
            } else {
                depth == 6
            };
            width == height && width <= limits::LAYERED && whole && depth <= limits::FACES
        } else if layered {
            depth > 0
                && depth <= limits::LAYERS
                && width <= limits::LAYERED
                && height <= limits::LAYERED
        } else if depth > 0 {
            height > 0
                && [width, height, depth]
                    .iter()
                    .all(|&n| n <= limits::EXTENT_3D)
        } else if height > 0 {
            width <= limits::EXTENT_2D[0] && height <= limits::EXTENT_2D[1]
        } else {
            width <= limits::WIDTH_1D
        };
        let gather = has(CUDA_ARRAY3D_TEXTURE_GATHER);
        let gathers = !gather
            || height > 0
                && width <= limits::LAYERED
                && height <= limits::LAYERED
                && (layered || depth == 0);
        match width > 0 && fits && gathers {
            true => Ok(Self { descriptor, format }),
            false => Err(CUresult::INVALID_VALUE),
        }
    }

    fn is_layered(&self) -> bool {
        is_layered(&self.descriptor)
    }

    /// The descriptor of a level.
    fn at_level(&self, level: u32) -> CUDA_ARRAY3D_DESCRIPTOR {
        let smaller = |size: usize| if size == 0 { 0 } else { (size >> level).max(1) };
        let whole = self.descriptor;
        CUDA_ARRAY3D_DESCRIPTOR {
            Width: smaller(whole.Width),
            Height: smaller(whole.Height),
            Depth: match self.is_layered() {
                true => whole.Depth,
                false => smaller(whole.Depth),
            },
            ..whole
        }
    }
}

fn is_layered(descriptor: &CUDA_ARRAY3D_DESCRIPTOR) -> bool {
    descriptor.Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP) != 0
}

/// Allocates an array with levels.
fn allocate(state: &State, shape: &Shape, count: u32, is_level: bool) -> Result<Vec<Arc<Array>>> {
    let mut size = 0u64;
    let mut places = Vec::new();
    for level in 0..count {
        let descriptor = shape.at_level(level);
        let pitch = (descriptor.Width as u64 * u64::from(shape.format.texel_bytes()))
            .next_multiple_of(PITCH.into());
        let rows = descriptor.Height.max(1) as u64;
        let slices = descriptor.Depth.max(1) as u64;
        places.push((descriptor, size, pitch as u32, rows as u32));
        size += (pitch * rows * slices).next_multiple_of(ALIGNMENT);
    }
    let allocation = state.vulkan.allocate(size, MemoryKind::Device).cuda()?;
    let base = allocation.address();
    let storage = Arc::new(Storage {
        context_id: state.context_id,
        allocation,
    });
    let array = |(descriptor, offset, pitch, rows)| {
        Arc::new(Array {
            storage: storage.clone(),
            descriptor,
            format: shape.format,
            level: Level {
                address: base + offset,
                pitch,
                rows,
            },
            is_level,
        })
    };
    Ok(places.into_iter().map(array).collect())
}

impl Array {
    /// `cuArray3DCreate`.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`, `CUDA_ERROR_NOT_SUPPORTED`, `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn create(state: &State, descriptor: CUDA_ARRAY3D_DESCRIPTOR) -> Result<CUarray> {
        let arrays = allocate(state, &Shape::of(descriptor)?, 1, false)?;
        Ok(CUarray(ARRAYS.insert(arrays[0].clone())))
    }

    /// The array of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn from_handle(handle: CUarray) -> Result<Arc<Self>> {
        ARRAYS.get(handle.0)
    }

    /// `cuArrayDestroy`. Its memory stays until work that uses it is done.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`, also for a level.
    pub fn destroy(handle: CUarray) -> Result {
        if Self::from_handle(handle)?.is_level {
            return Err(CUresult::INVALID_HANDLE);
        }
        ARRAYS.remove(handle.0).map(drop)
    }

    /// Width, height and depth in texels (1 where there is none), and the number of layers.
    pub fn extent(&self) -> ([u32; 3], u32) {
        let descriptor = &self.descriptor;
        let [width, height, depth] =
            [descriptor.Width, descriptor.Height, descriptor.Depth].map(|n| n.max(1) as u32);
        match is_layered(descriptor) {
            true => ([width, height, 1], depth),
            false => ([width, height, depth], 1),
        }
    }

    /// Whether it is a cube, or several.
    pub fn is_cube(&self) -> bool {
        self.descriptor.Flags & CUDA_ARRAY3D_CUBEMAP != 0
    }

    /// The address of a byte of a row of a slice (or layer), where `size` bytes, rows and slices from there are inside.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` where they are not.
    pub fn address(&self, from: [usize; 3], size: [usize; 3]) -> Result<u64> {
        let ([width, height, depth], layers) = self.extent();
        let whole = [
            width as usize * self.format.texel_bytes() as usize,
            height as usize,
            (depth * layers) as usize,
        ];
        let inside = (0..3).all(|axis| {
            from[axis]
                .checked_add(size[axis])
                .is_some_and(|end| end <= whole[axis])
        });
        if !inside {
            return Err(CUresult::INVALID_VALUE);
        }
        let [x, y, z] = from.map(|n| n as u64);
        let row = z * u64::from(self.level.rows) + y;
        Ok(self.level.address + row * u64::from(self.level.pitch) + x)
    }

    /// The context that it was made in (`Context::id`).
    pub fn context_id(&self) -> u64 {
        self.storage.context_id
    }

    /// The Vulkan device's memory that it lies in.
    pub fn memory(&self) -> &Allocation {
        &self.storage.allocation
    }
}

impl MipmappedArray {
    /// `cuMipmappedArrayCreate`: at least one level, and no more than there are sizes.
    ///
    /// # Errors
    /// As [`Array::create`].
    pub fn create(
        state: &State,
        descriptor: CUDA_ARRAY3D_DESCRIPTOR,
        levels: u32,
    ) -> Result<CUmipmappedArray> {
        let shape = Shape::of(descriptor)?;
        let depth = if shape.is_layered() {
            0
        } else {
            descriptor.Depth
        };
        let largest = descriptor.Width.max(descriptor.Height).max(depth);
        let most = largest.ilog2() + 1;
        let levels = allocate(
            state,
            &shape,
            levels.clamp(1, most).min(MOST_LEVELS as u32),
            true,
        )?;
        let array = Arc::new(Self {
            levels,
            given: Mutex::default(),
        });
        Ok(CUmipmappedArray(MIPMAPPED_ARRAYS.insert(array)))
    }

    /// The array of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn from_handle(handle: CUmipmappedArray) -> Result<Arc<Self>> {
        MIPMAPPED_ARRAYS.get(handle.0)
    }

    /// `cuMipmappedArrayGetLevel`: a handle that lives as long as the whole.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a level that there is not.
    pub fn level(&self, level: u32) -> Result<CUarray> {
        let array = self
            .levels
            .get(level as usize)
            .ok_or(CUresult::INVALID_VALUE)?;
        let handle = ARRAYS.insert(array.clone());
        self.given.lock().push(handle);
        Ok(CUarray(handle))
    }

    /// `cuMipmappedArrayDestroy`, which ends the handles of its levels.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn destroy(handle: CUmipmappedArray) -> Result {
        let array = MIPMAPPED_ARRAYS.remove(handle.0)?;
        for level in std::mem::take(&mut *array.given.lock()) {
            let _ = ARRAYS.remove(level);
        }
        Ok(())
    }
}

/// Ends the handles of a closed context's arrays.
pub fn end_of_context(context_id: u64) {
    ARRAYS.remove_if(|array| array.storage.context_id == context_id);
    MIPMAPPED_ARRAYS.remove_if(|array| array.levels[0].storage.context_id == context_id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_checked() {
        let shape = |size: [usize; 3], flags| {
            Shape::of(CUDA_ARRAY3D_DESCRIPTOR {
                Width: size[0],
                Height: size[1],
                Depth: size[2],
                Format: CUarray_format::FLOAT,
                NumChannels: 4,
                Flags: flags,
            })
            .map(|_| ())
        };
        let invalid = Err(CUresult::INVALID_VALUE);
        assert_eq!(shape([8, 0, 0], 0), Ok(()));
        assert_eq!(shape([0, 8, 0], 0), invalid);
        assert_eq!(shape([131073, 0, 0], 0), invalid);
        assert_eq!(shape([8, 0, 8], 0), invalid);
        assert_eq!(shape([8, 0, 8], CUDA_ARRAY3D_LAYERED), Ok(()));
        assert_eq!(shape([8, 8, 6], CUDA_ARRAY3D_CUBEMAP), Ok(()));
        assert_eq!(shape([8, 9, 6], CUDA_ARRAY3D_CUBEMAP), invalid);
        assert_eq!(
            shape([8, 8, 7], CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED),
            invalid
        );
        assert_eq!(shape([8, 8, 8], CUDA_ARRAY3D_TEXTURE_GATHER), invalid);
        assert_eq!(shape([8, 8, 8], 0x40), Err(CUresult::NOT_SUPPORTED));
        assert!(format(CUarray_format::HALF, 3).is_err());
        assert!(format(CUarray_format(0x91), 4).is_err());
        assert!(format(CUarray_format::UNORM_INT8X2, 2).unwrap().normalized);
    }
}
