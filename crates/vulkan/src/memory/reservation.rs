//! Addresses and memory apart from each other: what CUDA calls virtual memory management.
//!
//! ```text
//! Reservation   addresses:  a sparse buffer           | llvmpipe: a range of the process that nobody may touch, imported
//! Backing       memory:     VkDeviceMemory            | a part of a file in memory
//! Mapping       both:       vkQueueBindSparse         | mmap of the file over the range
//! ```
//!
//! llvmpipe's addresses are the process's, and its sparse buffers end at 2 GiB; so there the process's own page tables do it.
//! Each mapping is an entry in the table of addresses; copies may span several (`Table::covering`).

use super::block::Block;
use super::ranges::{Ranges, ALIGNMENT};
use super::{Entry, Memory, MemoryKind, Place};
use crate::error::Error;
use ash::vk;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

/// What sizes and offsets of reservations, backings and mappings are multiples of, bytes: what NVIDIA's driver has, so that
/// programs are used to it, and a multiple of what Vulkan drivers ask for.
pub const GRANULARITY: u64 = 2 << 20;

/// Memory that one allocation cannot hold comes in pieces of at most this many bytes.
const PIECE: u64 = 1 << 30;

/// Bytes that the file can hold, in use or not.
const FILE: u64 = 1 << 46;

/// A file in memory. Its parts are mapped into reservations of the process's address space.
pub(super) struct File {
    file: fs::File,
    /// What is free, and the length so far.
    state: Mutex<(Ranges, u64)>,
}

impl File {
    fn new() -> Result<Self, Error> {
        // SAFETY: the name is terminated; the descriptor is new and owned by nobody else.
        let file = unsafe {
            let descriptor = libc::memfd_create(c"vkcuda".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                return Err(failed("memfd_create", 0));
            }
            fs::File::from_raw_fd(descriptor)
        };
        Ok(Self {
            file,
            state: Mutex::new((Ranges::new(FILE), 0)),
        })
    }

    fn allocate(&self, size: u64) -> Result<u64, Error> {
        let (ranges, length) = &mut *self.state.lock();
        let offset = ranges
            .allocate(size, ALIGNMENT)
            .ok_or(Error::OutOfMemory { requested: size })?;
        if offset + size > *length {
            if self.file.set_len(offset + size).is_err() {
                ranges.free(offset, size);
                return Err(failed("ftruncate", size));
            }
            *length = offset + size;
        }
        Ok(offset)
    }

    fn free(&self, offset: u64, size: u64) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: the part of the file is nobody's any more.
        let result = unsafe {
            libc::fallocate(
                self.file.as_raw_fd(),
                mode,
                offset as libc::off_t,
                size as libc::off_t,
            )
        };
        if result != 0 {
            tracing::warn!(error = %std::io::Error::last_os_error(), "memory is not given back to the system");
        }
        self.state.lock().0.free(offset, size);
    }
}

/// The error of a system call that takes memory or addresses.
fn failed(call: &'static str, requested: u64) -> Error {
    tracing::warn!(error = %std::io::Error::last_os_error(), call, requested, "out of memory");
    Error::OutOfMemory { requested }
}

/// Where a backing's bytes are.
enum Storage {
    /// In memories of these sizes, one after the other.
    Memories(SmallVec<[(vk::DeviceMemory, u64); 1]>),
    /// In a file, from this offset on.
    File(Arc<File>, u64),
}

/// Memory without an address. It is given back when the last handle and the last mapping are gone.
pub struct Backing {
    memory: Arc<Memory>,
    size: u64,
    storage: Storage,
    mappings: AtomicU32,
}

impl Backing {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        match &self.storage {
            // SAFETY: mappings hold the backing, and wait for the device before they let go of it.
            Storage::Memories(memories) => memories
                .iter()
                .for_each(|(memory, _)| unsafe { self.memory.raw.vk.free_memory(*memory, None) }),
            Storage::File(file, offset) => file.free(*offset, self.size),
        }
        self.memory
            .committed
            .fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// A range of addresses, of which [`Reservation::map`] gives parts memory. Mappings keep it.
pub struct Reservation {
    memory: Arc<Memory>,
    block: Arc<Block>,
    /// Where it begins in the block.
    offset: u64,
    size: u64,
}

impl Reservation {
    /// The first address.
    pub fn address(&self) -> u64 {
        self.block.address + self.offset
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the first `size` bytes of a backing the addresses from `offset` on, which have no memory yet. Kernels and copies
    /// reach them when the call returns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a range that is not within both or no multiple of [`GRANULARITY`], and for a backing of
    /// another device; [`Error::Unsupported`] for a backing that has an address already, where the driver cannot do that.
    pub fn map(
        self: &Arc<Self>,
        offset: u64,
        backing: &Arc<Backing>,
        size: u64,
    ) -> Result<Mapping, Error> {
        let fits = |end: Option<u64>, whole: u64| end.is_some_and(|end| end <= whole);
        if size == 0
            || (offset | size) % GRANULARITY != 0
            || !fits(offset.checked_add(size), self.size)
            || size > backing.size
            || !Arc::ptr_eq(&self.memory, &backing.memory)
        {
            return Err(Error::InvalidArgument(format!(
                "mapping {size} bytes at {offset} of {}",
                self.size
            )));
        }
        let aliases = self
            .memory
            .raw
            .physical
            .features
            .core
            .sparse_residency_aliased
            == vk::TRUE;
        if backing.mappings.fetch_add(1, Ordering::AcqRel) > 0
            && matches!(backing.storage, Storage::Memories(_))
            && !aliases
        {
            backing.mappings.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::Unsupported(
                "memory with two addresses (sparseResidencyAliased)".to_owned(),
            ));
        }
        if let Err(error) = self.bind(offset, size, Some(backing)) {
            backing.mappings.fetch_sub(1, Ordering::AcqRel);
            return Err(error);
        }
        let entry = Arc::new(Entry {
            address: self.address() + offset,
            size,
            kind: MemoryKind::Device,
            block: Arc::clone(&self.block),
            offset: self.offset + offset,
            place: Place::Reservation,
        });
        self.memory.table.write().insert(&entry);
        Ok(Mapping {
            entry,
            backing: Arc::clone(backing),
            reservation: Arc::clone(self),
            offset,
        })
    }

    /// Puts memory behind addresses, or takes it away.
    fn bind(&self, offset: u64, size: u64, backing: Option<&Backing>) -> Result<(), Error> {
        match (self.block.host, backing.map(|backing| &backing.storage)) {
            (Some(base), storage) => {
                let part = match storage {
                    None => None,
                    Some(Storage::File(file, offset)) => Some((file, *offset)),
                    Some(Storage::Memories(_)) => {
                        return Err(Error::InvalidArgument(
                            "memory of the device for addresses of the host".to_owned(),
                        ))
                    }
                };
                let (protection, flags, descriptor, at) = match part {
                    Some((file, at)) => (
                        libc::PROT_READ | libc::PROT_WRITE,
                        libc::MAP_SHARED,
                        file.file.as_raw_fd(),
                        at,
                    ),
                    None => (
                        libc::PROT_NONE,
                        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                        -1,
                        0,
                    ),
                };
                // SAFETY: the addresses belong to the reservation, and what was there is replaced on purpose.
                let place = unsafe {
                    libc::mmap(
                        base.add((self.offset + offset) as usize).cast(),
                        size as usize,
                        protection,
                        flags | libc::MAP_FIXED,
                        descriptor,
                        at as libc::off_t,
                    )
                };
                if place == libc::MAP_FAILED {
                    return Err(failed("mmap", size));
                }
                Ok(())
            }
            (None, Some(Storage::File(..))) => Err(Error::InvalidArgument(
                "memory of the host for addresses of the device".to_owned(),
            )),
            (None, storage) => {
                let start = vk::SparseMemoryBind::default().resource_offset(self.offset + offset);
                let mut binds: SmallVec<[vk::SparseMemoryBind; 1]> = SmallVec::new();
                match storage {
                    Some(Storage::Memories(memories)) => {
                        let mut done = 0;
                        for &(memory, length) in memories {
                            let length = length.min(size - done);
                            if length > 0 {
                                binds.push(vk::SparseMemoryBind {
                                    resource_offset: start.resource_offset + done,
                                    size: length,
                                    memory,
                                    ..start
                                });
                            }
                            done += length;
                        }
                    }
                    _ => binds.push(start.size(size)),
                }
                self.memory
                    .raw
                    .bind_sparse(self.block.pieces[0].buffer, &binds)
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory
            .reserved
            .fetch_sub(self.block.size, Ordering::Relaxed);
    }
}

/// Memory that has an address. Dropping it waits for all work of the device, which may use it, and takes the address away.
pub struct Mapping {
    entry: Arc<Entry>,
    backing: Arc<Backing>,
    reservation: Arc<Reservation>,
    /// Where it begins in the reservation.
    offset: u64,
}

impl Mapping {
    /// The first address.
    pub fn address(&self) -> u64 {
        self.entry.address
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.entry.size
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let memory = &self.reservation.memory;
        memory.table.write().remove(&self.entry);
        memory.wait_for_work();
        if let Err(error) = self.reservation.bind(self.offset, self.entry.size, None) {
            tracing::debug!(%error, "unmapping");
        }
        self.backing.mappings.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Memory {
    /// As [`crate::Device::reserve`].
    pub(crate) fn reserve(
        self: &Arc<Self>,
        size: u64,
        alignment: u64,
        wanted: u64,
    ) -> Result<Arc<Reservation>, Error> {
        self.reserve_as(size, alignment, wanted, self.raw.physical.is_llvmpipe())
    }

    /// A reservation in the process's address space or in a sparse buffer.
    pub(crate) fn reserve_as(
        self: &Arc<Self>,
        size: u64,
        alignment: u64,
        wanted: u64,
        on_host: bool,
    ) -> Result<Arc<Reservation>, Error> {
        let physical = &self.raw.physical;
        if size == 0
            || size % GRANULARITY != 0
            || !alignment.is_power_of_two()
            || alignment < GRANULARITY
        {
            return Err(Error::InvalidArgument(format!(
                "reserving {size} bytes aligned to {alignment}"
            )));
        }
        let longest = physical.longest_reservation();
        if longest == 0 {
            return Err(Error::Unsupported(
                "addresses without memory (sparseResidencyBuffer)".to_owned(),
            ));
        }
        let reserved = self.reserved.load(Ordering::Relaxed);
        let all = match on_host {
            true => u64::MAX,
            false => physical.limits().sparse_address_space,
        };
        if size > longest || size > all.saturating_sub(reserved) {
            return Err(Error::OutOfMemory { requested: size });
        }
        let (block, offset) = super::apart::make(&self.raw, &self.fillers, || {
            Block::reserve(&self.raw, size, alignment, wanted, on_host)
        })?;
        self.reserved.fetch_add(block.size, Ordering::Relaxed);
        Ok(Arc::new(Reservation {
            memory: Arc::clone(self),
            block: Arc::new(block),
            offset,
            size,
        }))
    }

    /// As [`crate::Device::create_backing`].
    pub(crate) fn create_backing(self: &Arc<Self>, size: u64) -> Result<Arc<Backing>, Error> {
        self.create_backing_as(size, self.raw.physical.is_llvmpipe())
    }

    /// A backing for reservations of one kind.
    pub(crate) fn create_backing_as(
        self: &Arc<Self>,
        size: u64,
        on_host: bool,
    ) -> Result<Arc<Backing>, Error> {
        if size == 0 || size % GRANULARITY != 0 {
            return Err(Error::InvalidArgument(format!("a backing of {size} bytes")));
        }
        self.reclaim();
        let storage = match self.try_backing(size, on_host) {
            Err(Error::OutOfMemory { .. }) if self.reclaim_waiting() => {
                self.try_backing(size, on_host)?
            }
            result => result?,
        };
        self.committed.fetch_add(size, Ordering::Relaxed);
        Ok(Arc::new(Backing {
            memory: Arc::clone(self),
            size,
            storage,
            mappings: AtomicU32::new(0),
        }))
    }

    fn try_backing(&self, size: u64, on_host: bool) -> Result<Storage, Error> {
        if on_host {
            self.check_room(size, self.raw.memory_types.device)?;
            let file = {
                let mut shared = self.file.lock();
                match shared.upgrade() {
                    Some(file) => file,
                    None => {
                        let file = Arc::new(File::new()?);
                        *shared = Arc::downgrade(&file);
                        file
                    }
                }
            };
            let offset = file.allocate(size)?;
            return Ok(Storage::File(file, offset));
        }
        let raw = &self.raw;
        let memory_type = raw.reservation_type()?;
        self.check_room(size, memory_type)?;
        let most = raw.physical.limits().memory_allocation;
        // Vulkan lets an implementation accept more than maxMemoryAllocationSize; most do.
        match raw.allocate_memory(size, memory_type, None) {
            Err(Error::OutOfMemory { .. }) if size > most => {}
            result => return Ok(Storage::Memories(SmallVec::from_elem((result?, size), 1))),
        }
        let piece = (PIECE.min(most) / GRANULARITY * GRANULARITY).max(GRANULARITY);
        let mut memories = SmallVec::new();
        let mut done = 0;
        while done < size {
            let length = piece.min(size - done);
            match raw.allocate_memory(length, memory_type, None) {
                Ok(memory) => memories.push((memory, length)),
                Err(error) => {
                    // SAFETY: nothing uses the new memories.
                    memories
                        .iter()
                        .for_each(|(memory, _)| unsafe { raw.vk.free_memory(*memory, None) });
                    return Err(error);
                }
            }
            done += length;
        }
        Ok(Storage::Memories(memories))
    }

    /// Waits for all work that is recorded or under way; the background thread submits what nobody else does.
    fn wait_for_work(&self) {
        let timelines: Vec<_> = self
            .timelines
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        for timeline in timelines {
            if timeline.wait(timeline.reserved()).is_err() {
                // A lost device runs nothing any more.
                return;
            }
        }
    }
}
