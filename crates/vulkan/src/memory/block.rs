//! Blocks: VkDeviceMemory with VkBuffers over it, contiguous in the device's address space.
//!
//! | a block of | is | where |
//! |---|---|---|
//! | up to `maxBufferSize` | one memory, one buffer | everywhere; `maxMemoryAllocationSize` may refuse it |
//! | that, refused | one sparse buffer over several memories | sparseBinding |
//! | more than `maxBufferSize` | one memory, buffers bound end to end | drivers that place memory, not buffers, in the address space |
//! | more than 1 GiB on llvmpipe | one mapping of anonymous memory, imported piece by piece | llvmpipe, whose addresses are host pointers |
//! | addresses without memory | one sparse buffer, bound piece by piece later | sparseBinding and sparseResidencyBuffer |
//! | addresses without memory on llvmpipe | one inaccessible mapping, imported; files are mapped into it later | llvmpipe |
//!
//! Whether the addresses really are contiguous is checked, not assumed.

use crate::error::Error;
use crate::raw::Raw;
use crate::MemoryKind;
use ash::vk;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::Arc;

/// llvmpipe computes buffer offsets in 32-bit signed numbers: no buffer of it may be larger than this, bytes.
const LLVMPIPE_PIECE: u64 = 1 << 30;

/// Memory of a sparse buffer comes in pieces of this many bytes, or the largest allocation if that is less.
const SPARSE_PIECE: u64 = 1 << 30;

/// One VkBuffer of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) buffer: vk::Buffer,
    /// Offset in the block.
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// A range of the process's address space; unmapped when dropped.
struct Region {
    base: *mut c_void,
    size: usize,
}

impl Region {
    /// Anonymous memory, committed when touched.
    fn map(size: usize) -> Result<Self, Error> {
        Self::anonymous(0, size, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Addresses that nothing else gets and that nobody may touch; at `wanted` if that is free.
    fn reserve(wanted: u64, size: usize) -> Result<Self, Error> {
        Self::anonymous(wanted, size, libc::PROT_NONE)
    }

    fn anonymous(wanted: u64, size: usize, protection: libc::c_int) -> Result<Self, Error> {
        // SAFETY: a fresh anonymous mapping touches nothing that exists; without MAP_FIXED the address is a hint.
        let base = unsafe {
            libc::mmap(
                wanted as *mut c_void,
                size,
                protection,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Error::OutOfMemory {
                requested: size as u64,
            });
        }
        Ok(Self { base, size })
    }

    /// Reserves exactly this range; `None` if it is taken or out of the address space.
    fn reserve_at(address: u64, size: usize) -> Option<Self> {
        let wanted = usize::try_from(address).ok()? as *mut c_void;
        // SAFETY: MAP_FIXED_NOREPLACE never replaces an existing mapping.
        let base = unsafe {
            libc::mmap(
                wanted,
                size,
                libc::PROT_NONE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    | libc::MAP_FIXED_NOREPLACE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return None;
        }
        let region = Self { base, size };
        // Kernels before 4.17 take the flag for a hint.
        (base == wanted).then_some(region)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by us, and what Vulkan placed in it is gone.
        unsafe { libc::munmap(self.base, self.size) };
    }
}

/// What the process has mapped in a range, in words: the first of it.
fn mapped_at(address: u64, size: u64) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    maps.lines()
        .find(|line| {
            line.split_once(' ')
                .and_then(|(range, _)| range.split_once('-'))
                .and_then(|(start, end)| Some(number(start)?..number(end)?))
                .is_some_and(|range| range.start < address + size && address < range.end)
        })
        .map_or_else(|| "nothing".to_owned(), str::to_owned)
}

/// How a block of a given size is made. The runtime chooses; tests ask for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One memory, one buffer.
    Single,
    /// One memory, buffers of at most this many bytes end to end.
    EndToEnd(u64),
    /// One sparse buffer, memories of this many bytes.
    Sparse(u64),
    /// Anonymous host memory imported in pieces of this many bytes.
    HostPieces(u64),
}

/// Memory with buffers over it.
pub(crate) struct Block {
    pub(super) raw: Arc<Raw>,
    memories: SmallVec<[vk::DeviceMemory; 1]>,
    pub(crate) pieces: SmallVec<[Piece; 1]>,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) host: Option<*mut u8>,
    /// Bytes of the one memory of a block that is mapped.
    mappable: u64,
    /// Anonymous memory that was imported; unmapped after the Vulkan objects are gone.
    region: Option<Region>,
    /// The process's own addresses of these numbers, which nothing else of the process gets while the block lives: so an address
    /// alone says that it is the device's, as all of CUDA's do.
    shadow: Option<Region>,
    /// Its addresses are this device's alone.
    pub(super) entered: Option<super::apart::Entered>,
}

// SAFETY: the pointers are mapped memory that the block owns; Vulkan handles may cross threads.
unsafe impl Send for Block {}
// SAFETY: as above; nothing is changed after creation.
unsafe impl Sync for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // Before somebody else can get the addresses.
        self.entered = None;
        // SAFETY: blocks are dropped when no submitted work uses them (memory/mod.rs, retirement). Freed memory is unmapped.
        unsafe {
            for piece in &self.pieces {
                self.raw.vk.destroy_buffer(piece.buffer, None);
            }
            for memory in &self.memories {
                self.raw.vk.free_memory(*memory, None);
            }
        }
    }
}

impl Block {
    /// A block of at least `size` bytes.
    pub(crate) fn create(
        raw: &Arc<Raw>,
        memory_type: u32,
        kind: MemoryKind,
        size: u64,
    ) -> Result<Self, Error> {
        let physical = &raw.physical;
        let limits = physical.limits();
        // Its own memory is aligned to 256 bytes; pages are the host's.
        if physical.is_llvmpipe() {
            return Self::create_as(
                raw,
                memory_type,
                kind,
                size,
                Shape::HostPieces(LLVMPIPE_PIECE),
            );
        }
        if size > limits.buffer_size {
            let piece = limits.buffer_size & !((2 << 20) - 1);
            return Self::create_as(raw, memory_type, kind, size, Shape::EndToEnd(piece));
        }
        // Vulkan lets an implementation accept more than maxMemoryAllocationSize; most do.
        let result = Self::create_as(raw, memory_type, kind, size, Shape::Single);
        match result {
            Err(Error::OutOfMemory { .. })
                if size > limits.memory_allocation
                    && size <= limits.sparse_address_space
                    && kind == MemoryKind::Device =>
            {
                let piece = SPARSE_PIECE.min(limits.memory_allocation);
                Self::create_as(raw, memory_type, kind, size, Shape::Sparse(piece))
            }
            result => result,
        }
    }

    /// A block of a given shape.
    pub(crate) fn create_as(
        raw: &Arc<Raw>,
        memory_type: u32,
        kind: MemoryKind,
        size: u64,
        shape: Shape,
    ) -> Result<Self, Error> {
        let mut block = Self {
            raw: Arc::clone(raw),
            memories: SmallVec::new(),
            pieces: SmallVec::new(),
            address: 0,
            size: size
                .checked_next_multiple_of(64 << 10)
                .ok_or(Error::OutOfMemory { requested: size })?,
            host: None,
            mappable: 0,
            region: None,
            shadow: None,
            entered: None,
        };
        match shape {
            Shape::Single => block.end_to_end(memory_type, u64::MAX)?,
            Shape::EndToEnd(piece) => block.end_to_end(memory_type, piece)?,
            Shape::Sparse(piece) => block.sparse(memory_type, piece)?,
            Shape::HostPieces(piece) => {
                let region = Region::map(block.size as usize)?;
                let base = region.base.cast();
                block.region = Some(region);
                block.import(base, piece)?;
                if block.address != base as u64 {
                    return Err(Error::Unsupported(
                        "addresses of imported memory differ from its pointers".to_owned(),
                    ));
                }
            }
        }
        if block.host.is_none() && !matches!(shape, Shape::Sparse(_)) {
            block.map(memory_type, kind)?;
        }
        if block.address % super::ranges::ALIGNMENT != 0 {
            return Err(Error::Unsupported(format!(
                "buffer addresses aligned to 512 ({:#x} is not)",
                block.address
            )));
        }
        block.cast_shadow();
        tracing::debug!(
            address = format_args!("{:#x}", block.address),
            size = block.size,
            ?kind,
            alone = block.is_alone(),
            ?shape,
            buffers = block.pieces.len(),
            "memory block"
        );
        Ok(block)
    }

    /// Existing host memory as a block: the pages around `size` bytes at `pointer`.
    pub(crate) fn import_host(raw: &Arc<Raw>, pointer: *mut u8, size: u64) -> Result<Self, Error> {
        let limits = raw.physical.limits();
        let alignment = limits.host_pointer_alignment;
        if raw.external_host.is_none() || alignment == 0 {
            return Err(Error::Unsupported("VK_EXT_external_memory_host".to_owned()));
        }
        let start = pointer as u64 & !(alignment - 1);
        let end = (pointer as u64)
            .checked_add(size)
            .ok_or(Error::InvalidArgument("a range that wraps".to_owned()))?;
        let mut block = Self {
            raw: Arc::clone(raw),
            memories: SmallVec::new(),
            pieces: SmallVec::new(),
            address: 0,
            size: end.next_multiple_of(alignment) - start,
            host: None,
            mappable: 0,
            region: None,
            shadow: None,
            entered: None,
        };
        let largest = limits.memory_allocation.min(limits.buffer_size) & !(alignment - 1);
        let piece = if raw.physical.is_llvmpipe() {
            LLVMPIPE_PIECE
        } else {
            largest
        };
        block.import(start as *mut u8, piece)?;
        block.cast_shadow();
        Ok(block)
    }

    /// Takes the block's addresses out of the process's own, where the device's are others than the host's and they are free.
    fn cast_shadow(&mut self) {
        let same = self.host.is_some_and(|host| host as u64 == self.address);
        if !same && !self.raw.physical.is_llvmpipe() {
            self.shadow = Region::reserve_at(self.address, self.size as usize);
        }
    }

    /// Whether nothing else in the process has addresses of the same numbers.
    pub(crate) fn is_alone(&self) -> bool {
        self.shadow.is_some()
    }

    /// Addresses without memory, from a multiple of `alignment` on: the block, and the offset in it where they begin.
    /// `on_host` takes them from the process's address space (llvmpipe), at `wanted` if that is free; else they are a sparse
    /// buffer's. Memory comes later (`reservation.rs`).
    pub(crate) fn reserve(
        raw: &Arc<Raw>,
        size: u64,
        alignment: u64,
        wanted: u64,
        on_host: bool,
    ) -> Result<(Self, u64), Error> {
        let mut block = Self {
            raw: Arc::clone(raw),
            memories: SmallVec::new(),
            pieces: SmallVec::new(),
            address: 0,
            size,
            host: None,
            mappable: 0,
            region: None,
            shadow: None,
            entered: None,
        };
        let offset = if on_host {
            block.reserve_on_host(alignment, wanted)?;
            0
        } else {
            let offset = block.reserve_sparse(size, alignment)?;
            block.cast_shadow();
            offset
        };
        tracing::debug!(
            address = format_args!("{:#x}", block.address + offset),
            size,
            "addresses reserved"
        );
        Ok((block, offset))
    }

    fn reserve_on_host(&mut self, alignment: u64, wanted: u64) -> Result<(), Error> {
        let size = self.size as usize;
        let mut region = Region::reserve(wanted, size)?;
        if region.base as u64 % alignment != 0 {
            let longer = size
                .checked_add(alignment as usize)
                .ok_or(Error::OutOfMemory {
                    requested: self.size,
                })?;
            region = Region::reserve(0, longer)?;
        }
        let base = (region.base as u64).next_multiple_of(alignment);
        self.region = Some(region);
        self.import(base as *mut u8, LLVMPIPE_PIECE)?;
        if self.address != base {
            return Err(Error::Unsupported(
                "addresses of imported memory differ from its pointers".to_owned(),
            ));
        }
        Ok(())
    }

    fn reserve_sparse(&mut self, size: u64, alignment: u64) -> Result<u64, Error> {
        let raw = Arc::clone(&self.raw);
        let limits = raw.physical.limits();
        let wanted = [Some(size), size.checked_add(alignment)];
        for size in wanted.into_iter().flatten() {
            if size > limits.buffer_size.min(limits.sparse_address_space) {
                return Err(Error::OutOfMemory { requested: size });
            }
            let buffer = raw.create_buffer(size, raw.reservation_flags(), false)?;
            let address = raw.buffer_address(buffer);
            let offset = address.next_multiple_of(alignment) - address;
            if offset > size - self.size {
                // Longer, so that an aligned part of it is long enough.
                // SAFETY: nothing uses the new buffer.
                unsafe { raw.vk.destroy_buffer(buffer, None) };
                continue;
            }
            let requirements = raw.requirements(buffer);
            self.pieces.push(Piece {
                buffer,
                start: 0,
                size,
            });
            (self.address, self.size) = (address, size);
            return if (offset | super::GRANULARITY) % requirements.alignment == 0 {
                Ok(offset)
            } else {
                Err(Error::Unsupported(format!(
                    "sparse buffers with an alignment of {}",
                    requirements.alignment
                )))
            };
        }
        Err(Error::OutOfMemory { requested: size })
    }

    /// One memory with buffers of at most `piece` bytes bound end to end.
    fn end_to_end(&mut self, memory_type: u32, piece: u64) -> Result<(), Error> {
        let raw = Arc::clone(&self.raw);
        let mut start = 0;
        while start < self.size {
            let size = piece.min(self.size - start);
            let buffer = raw.create_buffer(size, vk::BufferCreateFlags::empty(), false)?;
            self.pieces.push(Piece {
                buffer,
                start,
                size,
            });
            let requirements = raw.requirements(buffer);
            if requirements.memory_type_bits & (1 << memory_type) == 0 {
                return Err(Error::Unsupported(format!(
                    "buffers in memory type {memory_type}"
                )));
            }
            if start % requirements.alignment != 0 {
                return Err(Error::Unsupported(format!(
                    "buffers end to end (alignment {})",
                    requirements.alignment
                )));
            }
            start += size;
        }
        // Requirements may exceed the last buffer's size.
        let last = self.pieces[self.pieces.len() - 1];
        let total = last.start + raw.requirements(last.buffer).size;
        let memory = raw.allocate_memory(total, memory_type, None)?;
        self.memories.push(memory);
        self.mappable = total;
        for piece in &self.pieces {
            raw.bind(piece.buffer, memory, piece.start)?;
        }
        self.check_contiguous()
    }

    /// One sparse buffer over memories of `piece` bytes.
    fn sparse(&mut self, memory_type: u32, piece: u64) -> Result<(), Error> {
        let raw = Arc::clone(&self.raw);
        if raw.sparse_queue.is_none() {
            return Err(Error::Unsupported("sparseBinding".to_owned()));
        }
        let buffer = raw.create_buffer(self.size, vk::BufferCreateFlags::SPARSE_BINDING, false)?;
        self.pieces.push(Piece {
            buffer,
            start: 0,
            size: self.size,
        });
        let requirements = raw.requirements(buffer);
        if requirements.memory_type_bits & (1 << memory_type) == 0 {
            return Err(Error::Unsupported(format!(
                "sparse buffers in memory type {memory_type}"
            )));
        }
        let piece =
            (piece / requirements.alignment * requirements.alignment).max(requirements.alignment);
        let mut binds = Vec::new();
        let mut start = 0;
        while start < requirements.size {
            let size = piece.min(requirements.size - start);
            let memory = raw.allocate_memory(size, memory_type, None)?;
            self.memories.push(memory);
            binds.push(
                vk::SparseMemoryBind::default()
                    .resource_offset(start)
                    .size(size)
                    .memory(memory),
            );
            start += size;
        }
        raw.bind_sparse(buffer, &binds)?;
        self.address = raw.buffer_address(buffer);
        Ok(())
    }

    /// Host memory at `base`, `self.size` bytes, in pieces of at most `piece` bytes.
    fn import(&mut self, base: *mut u8, piece: u64) -> Result<(), Error> {
        let raw = Arc::clone(&self.raw);
        let Some(extension) = &raw.external_host else {
            return Err(Error::Unsupported("VK_EXT_external_memory_host".to_owned()));
        };
        let handle_type = vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;
        let mut start = 0;
        while start < self.size {
            let size = piece.min(self.size - start);
            // SAFETY: within the memory that the caller vouches for.
            let pointer = unsafe { base.add(start as usize) };
            let mut properties = vk::MemoryHostPointerPropertiesEXT::default();
            // SAFETY: the pointer is aligned to minImportedHostPointerAlignment.
            unsafe {
                (extension.fp().get_memory_host_pointer_properties_ext)(
                    raw.vk.handle(),
                    handle_type,
                    pointer.cast(),
                    &mut properties,
                )
            }
            .result()
            .map_err(|result| match result {
                vk::Result::ERROR_INVALID_EXTERNAL_HANDLE => Error::Unsupported(
                    "this host memory cannot be imported by the Vulkan driver".to_owned(),
                ),
                result => raw.error("vkGetMemoryHostPointerPropertiesEXT", result),
            })?;
            let buffer = raw.create_buffer(size, vk::BufferCreateFlags::empty(), true)?;
            self.pieces.push(Piece {
                buffer,
                start,
                size,
            });
            let bits = properties.memory_type_bits & raw.requirements(buffer).memory_type_bits;
            let memory_type = coherent_type(&raw, bits).ok_or_else(|| {
                Error::Unsupported("a coherent memory type for imported memory".to_owned())
            })?;
            let memory = raw.allocate_memory(size, memory_type, Some(pointer))?;
            self.memories.push(memory);
            raw.bind(buffer, memory, 0)?;
            start += size;
        }
        self.host = Some(base);
        self.check_contiguous()
    }

    fn check_contiguous(&mut self) -> Result<(), Error> {
        self.address = self.raw.buffer_address(self.pieces[0].buffer);
        for piece in &self.pieces[1..] {
            if self.raw.buffer_address(piece.buffer) != self.address.wrapping_add(piece.start) {
                return Err(Error::Unsupported(format!(
                    "{} bytes at contiguous addresses (the driver places each buffer by itself)",
                    self.size
                )));
            }
        }
        Ok(())
    }

    /// Maps a block of one memory: at its device address where that can be had and is wanted, else anywhere.
    fn map(&mut self, memory_type: u32, kind: MemoryKind) -> Result<(), Error> {
        let raw = Arc::clone(&self.raw);
        let flags = raw.physical.memory_flags(memory_type);
        let mappable =
            vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        if !flags.contains(mappable) {
            return match kind {
                MemoryKind::Device => Ok(()),
                _ => Err(Error::Unsupported(format!(
                    "memory type {memory_type} is not mappable"
                ))),
            };
        }
        let memory = self.memories[0];
        if kind != MemoryKind::Device {
            if let Some(extension) = &raw.map_placed {
                let region = Region::reserve_at(self.address, self.mappable as usize);
                if kind == MemoryKind::Managed && region.is_none() {
                    return Err(Error::Unsupported(format!(
                        "managed memory of {} bytes at the device's {:#x}, where the process has {}",
                        self.mappable,
                        self.address,
                        mapped_at(self.address, self.mappable)
                    )));
                }
                if let Some(region) = region {
                    let mut place =
                        vk::MemoryMapPlacedInfoEXT::default().placed_address(region.base);
                    let info = vk::MemoryMapInfoKHR::default()
                        .flags(vk::MemoryMapFlags::PLACED_EXT)
                        .memory(memory)
                        .size(vk::WHOLE_SIZE)
                        .push_next(&mut place);
                    let mut pointer = std::ptr::null_mut();
                    // SAFETY: the range is reserved by us, and the memory is not mapped yet.
                    let result = unsafe {
                        (extension.fp().map_memory2_khr)(raw.vk.handle(), &info, &mut pointer)
                    };
                    match result.result() {
                        Ok(()) => {
                            self.host = Some(pointer.cast());
                            // The mapping has replaced the reservation, and freeing the memory unmaps it.
                            std::mem::forget(region);
                            return Ok(());
                        }
                        Err(result) => tracing::debug!(%result, "placed mapping refused"),
                    }
                }
            }
        }
        // SAFETY: the memory is host-visible and not mapped yet.
        let pointer = unsafe {
            raw.vk
                .map_memory(memory, 0, vk::WHOLE_SIZE, vk::MemoryMapFlags::empty())
        };
        match pointer {
            Ok(pointer) => self.host = Some(pointer.cast()),
            // Device memory is as good without a mapping.
            Err(result) if kind == MemoryKind::Device => {
                tracing::debug!(%result, "device memory is not mapped")
            }
            Err(result) => return Err(raw.error("vkMapMemory", result)),
        }
        if kind == MemoryKind::Managed && self.host.map(|host| host as u64) != Some(self.address) {
            return Err(Error::Unsupported(
                "managed memory: the driver cannot map memory at its device address (VK_EXT_map_memory_placed)".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A host-coherent memory type among `bits`, cached if there is one.
fn coherent_type(raw: &Raw, bits: u32) -> Option<u32> {
    use vk::MemoryPropertyFlags as Flags;
    (0..raw.physical.memory.memory_type_count)
        .filter(|index| bits & (1 << index) != 0)
        .filter(|&index| {
            raw.physical
                .memory_flags(index)
                .contains(Flags::HOST_VISIBLE | Flags::HOST_COHERENT)
        })
        .max_by_key(|&index| {
            raw.physical
                .memory_flags(index)
                .contains(Flags::HOST_CACHED)
        })
}
