//! Device memory: allocations, the table of addresses, and delayed reuse.
//!
//! ```text
//! allocate -> Pool (per memory type) -> Chunk = Block + Ranges          small allocations share a chunk
//!                                    -> Block of its own                large ones do not
//! drop     -> address leaves the table at once
//!          -> range or block is retired with the values that all timelines have reserved
//!          -> given back when those values are reached
//! ```
//!
//! Nothing here waits, except an allocation that would otherwise fail.

mod apart;
mod block;
mod ranges;
mod reservation;
mod types;

#[cfg(test)]
pub(crate) use apart::claim;
pub(crate) use block::Block;
#[cfg(test)]
pub(crate) use block::Shape;
pub use reservation::{Backing, Mapping, Reservation, GRANULARITY};
pub(crate) use types::MemoryTypes;

use crate::error::Error;
use crate::raw::Raw;
use crate::timeline::Timeline;
use crate::DeviceKind;
use ash::vk;
use parking_lot::{Mutex, RwLock};
use ranges::{Ranges, ALIGNMENT};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How many other addresses are tried for managed memory.
const OTHER_ADDRESSES: usize = 4;

/// Allocations of at least this many bytes get a block of their own.
const OWN_BLOCK: u64 = 16 << 20;

/// Allocations of at least this many bytes are aligned to [`LARGE_ALIGNMENT`]: programs count on pages (Taichi on 4 KiB), since NVIDIA's
/// driver aligns what is above 1 MiB to 2 MiB.
const LARGE: u64 = 1 << 20;
const LARGE_ALIGNMENT: u64 = 64 << 10;

/// The first chunk of a pool, bytes; each further one is as large as all before it together, up to `LARGEST_CHUNK`.
const FIRST_CHUNK: u64 = 4 << 20;

/// The largest chunk, bytes.
const LARGEST_CHUNK: u64 = 64 << 20;

/// How long an allocation that fails waits for retired memory.
const RECLAIM_WAIT: Duration = Duration::from_secs(10);

/// What the memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// `cuMemAlloc`: device-local; not mapped on discrete GPUs.
    Device,
    /// `cuMemHostAlloc`: host memory that kernels can reach; mapped, coherent, cached where the driver offers it.
    Host,
    /// `cuMemAllocManaged`: the host address equals the device address.
    Managed,
    /// `cuMemHostRegister`: host memory of the application. Only [`crate::Device::import_host`] makes it.
    Imported,
}

/// `cuMemGetInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// Bytes that can be allocated now, about.
    pub free: u64,
    /// Bytes of device memory.
    pub total: u64,
}

/// What a lookup by address gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// First device address of the allocation.
    pub base: u64,
    /// Its size, bytes, as asked for.
    pub size: u64,
    /// Its kind.
    pub kind: MemoryKind,
    /// The host pointer of `base`, where it is mapped.
    pub host: Option<*mut u8>,
    /// Whether the process has nothing else at addresses of the same numbers, so that they cannot be the host's.
    pub alone: bool,
}

/// Device memory with an address.
///
/// Dropping it removes the address from the device's table at once and never waits: the memory itself is reused once all
/// work that any stream held at that moment has completed.
pub struct Allocation {
    entry: Arc<Entry>,
    memory: Arc<Memory>,
}

impl Allocation {
    /// Device address, a multiple of 256 (imported memory: as the pointer was aligned).
    pub fn address(&self) -> u64 {
        self.entry.address
    }

    /// Bytes, as asked for.
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// Its kind.
    pub fn kind(&self) -> MemoryKind {
        self.entry.kind
    }

    /// Where the host sees it; `None` for device memory of a discrete GPU. Coherent. Equal to the address for managed
    /// memory, and for all memory on lavapipe.
    pub fn host(&self) -> Option<*mut u8> {
        self.entry.host()
    }

    /// The buffer range of a part of it. Internal allocations lie in one buffer.
    pub(crate) fn span(&self, offset: u64, size: u64) -> Span {
        self.entry.spans(self.entry.address + offset, size)[0]
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        self.memory.table.write().remove(&self.entry);
        self.memory.retire(&self.entry);
    }
}

/// A range of a VkBuffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) buffer: vk::Buffer,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// The buffer ranges of an address range, in order; more than one only in huge allocations.
pub(crate) type Spans = SmallVec<[Span; 2]>;

/// Where an allocation's memory goes when it is given back.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Into a chunk of a pool.
    Chunk { pool: PoolKey, chunk: u64 },
    /// Away with its block.
    Own,
    /// Nowhere: a [`Mapping`] sees to it.
    Reservation,
}

/// An allocation in the table.
pub(crate) struct Entry {
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) kind: MemoryKind,
    block: Arc<Block>,
    /// Offset of `address` in the block.
    offset: u64,
    place: Place,
}

impl Entry {
    /// The host's view of the memory. Memory of a card has none, even where it is mapped: reading it would cost a trip over
    /// the bus for each word.
    pub(crate) fn host(&self) -> Option<*mut u8> {
        let unified = self.block.raw.physical.unified_memory();
        self.window()
            .filter(|_| self.kind != MemoryKind::Device || unified)
    }

    /// Where the host can write to the memory.
    fn window(&self) -> Option<*mut u8> {
        // SAFETY: the offset lies within the block's mapping.
        self.block
            .host
            .map(|base| unsafe { base.add(self.offset as usize) })
    }

    /// Where the host can write to an address in this allocation.
    pub(crate) fn window_at(&self, address: u64) -> Option<*mut u8> {
        // SAFETY: the address lies within the allocation, so within the mapping.
        self.window()
            .map(|base| unsafe { base.add((address - self.address) as usize) })
    }

    /// The host pointer of an address in this allocation.
    pub(crate) fn host_at(&self, address: u64) -> Option<*mut u8> {
        // SAFETY: the address lies within the allocation, so within the mapping.
        self.host()
            .map(|base| unsafe { base.add((address - self.address) as usize) })
    }

    fn found(&self) -> Found {
        Found {
            base: self.address,
            size: self.size,
            kind: self.kind,
            host: self.host(),
            alone: self.block.is_alone(),
        }
    }

    /// The buffer ranges of `size` bytes at `address`, which lie in this allocation.
    pub(crate) fn spans(&self, address: u64, size: u64) -> Spans {
        let mut start = self.offset + (address - self.address);
        let end = start + size;
        let mut spans = Spans::new();
        let first = self
            .block
            .pieces
            .partition_point(|piece| piece.start + piece.size <= start);
        for piece in &self.block.pieces[first..] {
            if start >= end {
                break;
            }
            let length = (piece.start + piece.size).min(end) - start;
            spans.push(Span {
                buffer: piece.buffer,
                offset: start - piece.start,
                size: length,
            });
            start += length;
        }
        spans
    }
}

/// Allocations by device address and by host pointer.
#[derive(Default)]
struct Table {
    device: BTreeMap<u64, Arc<Entry>>,
    /// Only those whose pointer differs from their address.
    host: BTreeMap<u64, Arc<Entry>>,
}

impl Table {
    fn insert(&mut self, entry: &Arc<Entry>) {
        self.device.insert(entry.address, Arc::clone(entry));
        if let Some(pointer) = entry
            .host()
            .map(|pointer| pointer as u64)
            .filter(|&host| host != entry.address)
        {
            self.host.insert(pointer, Arc::clone(entry));
        }
    }

    fn remove(&mut self, entry: &Entry) {
        self.device.remove(&entry.address);
        if let Some(pointer) = entry
            .host()
            .map(|pointer| pointer as u64)
            .filter(|&host| host != entry.address)
        {
            self.host.remove(&pointer);
        }
    }

    fn at(&self, address: u64) -> Option<&Arc<Entry>> {
        let (_, entry) = self.device.range(..=address).next_back()?;
        (address - entry.address < entry.size).then_some(entry)
    }

    /// The entry that holds all of a range. Mappings that lie close together in one reservation count as one.
    fn covering(&self, address: u64, size: u64) -> Option<Arc<Entry>> {
        let first = self.at(address)?;
        let end = address.checked_add(size)?;
        let mut covered = first.address + first.size;
        if end <= covered {
            return Some(Arc::clone(first));
        }
        if !matches!(first.place, Place::Reservation) {
            return None;
        }
        for (&start, next) in self.device.range(covered..) {
            if start != covered || !Arc::ptr_eq(&next.block, &first.block) {
                return None;
            }
            covered += next.size;
            if end <= covered {
                return Some(Arc::new(Entry {
                    address: first.address,
                    size: covered - first.address,
                    kind: first.kind,
                    block: Arc::clone(&first.block),
                    offset: first.offset,
                    place: first.place,
                }));
            }
        }
        None
    }

    fn at_host(&self, pointer: u64) -> Option<&Arc<Entry>> {
        if let Some((&start, entry)) = self.host.range(..=pointer).next_back() {
            if pointer - start < entry.size {
                return Some(entry);
            }
        }
        self.at(pointer)
            .filter(|entry| entry.host().map(|host| host as u64) == Some(entry.address))
    }
}

/// A pool: one for each memory type and kind.
type PoolKey = (u32, MemoryKind);

/// A block that small allocations share.
struct Chunk {
    id: u64,
    block: Arc<Block>,
    ranges: Ranges,
}

#[derive(Default)]
struct Pools {
    pools: FxHashMap<PoolKey, Vec<Chunk>>,
    next_chunk: u64,
}

/// Memory that waits for work to complete before it is given back.
struct Retired {
    entry: Arc<Entry>,
    points: SmallVec<[(Arc<Timeline>, u64); 2]>,
}

/// All memory of a device.
pub(crate) struct Memory {
    raw: Arc<Raw>,
    pools: Mutex<Pools>,
    table: RwLock<Table>,
    timelines: Mutex<Vec<Weak<Timeline>>>,
    retired: Mutex<Vec<Retired>>,
    /// Bytes of all blocks and backings made here, imported ones aside.
    committed: AtomicU64,
    /// Bytes of all reservations.
    reserved: AtomicU64,
    /// Addresses that other devices have.
    fillers: Mutex<Vec<apart::Filler>>,
    /// Where memory that is mapped into reservations of the host's address space lies.
    file: Mutex<Weak<reservation::File>>,
}

impl Memory {
    pub(crate) fn new(raw: &Arc<Raw>) -> Arc<Self> {
        Arc::new(Self {
            raw: Arc::clone(raw),
            pools: Mutex::default(),
            table: RwLock::default(),
            timelines: Mutex::default(),
            retired: Mutex::default(),
            committed: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            fillers: Mutex::default(),
            file: Mutex::default(),
        })
    }

    /// Work on this timeline may use memory.
    pub(crate) fn watch(&self, timeline: &Arc<Timeline>) {
        let mut timelines = self.timelines.lock();
        timelines.retain(|timeline| timeline.strong_count() > 0);
        timelines.push(Arc::downgrade(timeline));
    }

    pub(crate) fn allocate(
        self: &Arc<Self>,
        size: u64,
        kind: MemoryKind,
    ) -> Result<Allocation, Error> {
        self.allocate_in(size, self.raw.memory_type(kind), kind)
    }

    /// Memory that the host writes and kernels read, in one buffer.
    pub(crate) fn allocate_upload(self: &Arc<Self>, size: u64) -> Result<Allocation, Error> {
        self.allocate_in(size, self.raw.memory_types.upload, MemoryKind::Host)
    }

    fn allocate_in(
        self: &Arc<Self>,
        size: u64,
        memory_type: u32,
        kind: MemoryKind,
    ) -> Result<Allocation, Error> {
        if size == 0 {
            return Err(Error::InvalidArgument(
                "an allocation of 0 bytes".to_owned(),
            ));
        }
        let rounded = size
            .checked_next_multiple_of(ALIGNMENT)
            .ok_or(Error::OutOfMemory { requested: size })?;
        self.reclaim();
        let result = match self.try_allocate(rounded, memory_type, kind) {
            Err(Error::OutOfMemory { .. }) if self.reclaim_waiting() => {
                self.try_allocate(rounded, memory_type, kind)
            }
            result => result,
        };
        let (block, offset, place) = result.map_err(|error| match error {
            Error::OutOfMemory { .. } => Error::OutOfMemory { requested: size },
            error => error,
        })?;
        Ok(self.enter(block, offset, size, kind, place))
    }

    fn enter(
        self: &Arc<Self>,
        block: Arc<Block>,
        offset: u64,
        size: u64,
        kind: MemoryKind,
        place: Place,
    ) -> Allocation {
        let entry = Arc::new(Entry {
            address: block.address + offset,
            size,
            kind,
            block,
            offset,
            place,
        });
        self.table.write().insert(&entry);
        Allocation {
            entry,
            memory: Arc::clone(self),
        }
    }

    fn try_allocate(
        &self,
        size: u64,
        memory_type: u32,
        kind: MemoryKind,
    ) -> Result<(Arc<Block>, u64, Place), Error> {
        if size >= OWN_BLOCK {
            let block = self.create_block(size, memory_type, kind)?;
            return Ok((Arc::new(block), 0, Place::Own));
        }
        // As far as the block's own address is a multiple of it.
        let alignment = |block: &Block| match size {
            LARGE.. => LARGE_ALIGNMENT.min(1 << block.address.trailing_zeros()),
            _ => ALIGNMENT,
        };
        let mut pools = self.pools.lock();
        let key = (memory_type, kind);
        let chunks = pools.pools.entry(key).or_default();
        for chunk in chunks.iter_mut() {
            let alignment = alignment(&chunk.block);
            if let Some(offset) = chunk.ranges.allocate(size, alignment) {
                return Ok((
                    Arc::clone(&chunk.block),
                    offset,
                    Place::Chunk {
                        pool: key,
                        chunk: chunk.id,
                    },
                ));
            }
        }
        let total: u64 = chunks.iter().map(|chunk| chunk.block.size).sum();
        let preferred = total
            .clamp(FIRST_CHUNK, LARGEST_CHUNK)
            .next_power_of_two()
            .max(size.next_power_of_two());
        // A device that is nearly full still gets what it can.
        let block = match self.create_block(preferred, memory_type, kind) {
            Err(Error::OutOfMemory { .. }) => self.create_block(size, memory_type, kind)?,
            result => result?,
        };
        let block = Arc::new(block);
        let mut ranges = Ranges::new(block.size);
        let offset = ranges
            .allocate(size, ALIGNMENT)
            .expect("the block is at least as large as the allocation");
        let id = pools.next_chunk;
        pools.next_chunk += 1;
        let chunks = pools.pools.entry(key).or_default();
        chunks.push(Chunk {
            id,
            block: Arc::clone(&block),
            ranges,
        });
        Ok((
            block,
            offset,
            Place::Chunk {
                pool: key,
                chunk: id,
            },
        ))
    }

    /// Refuses what cannot be had in any case.
    fn check_room(&self, size: u64, memory_type: u32) -> Result<(), Error> {
        let physical = &self.raw.physical;
        if size > physical.heap_size(memory_type) {
            return Err(Error::OutOfMemory { requested: size });
        }
        // The system gives out more memory than it has and then kills somebody: refuse in time.
        if physical.kind() == DeviceKind::Cpu {
            let info = physical.memory_info();
            if size > info.free || self.committed.load(Ordering::Relaxed) + size > info.total {
                return Err(Error::OutOfMemory { requested: size });
            }
        }
        Ok(())
    }

    fn create_block(&self, size: u64, memory_type: u32, kind: MemoryKind) -> Result<Block, Error> {
        self.check_room(size, memory_type)?;
        let (block, ()) = apart::make(&self.raw, &self.fillers, || {
            let create = |kind, size| Block::create(&self.raw, memory_type, kind, size);
            // Where the process has something at the device's address already, the next address may be free on both sides.
            let mut taken = Vec::new();
            loop {
                match create(kind, size) {
                    Err(Error::Unsupported(why))
                        if kind == MemoryKind::Managed
                            && self.raw.map_placed.is_some()
                            && taken.len() < OTHER_ADDRESSES =>
                    {
                        tracing::debug!("{why}: another address is tried");
                        // What the process has there may reach far.
                        let more = size << (2 * taken.len());
                        let filler = |size| create(MemoryKind::Device, size);
                        taken.push(filler(more).or_else(|_| filler(size))?);
                    }
                    block => return Ok((block?, ())),
                }
            }
        })?;
        self.committed.fetch_add(block.size, Ordering::Relaxed);
        Ok(block)
    }

    /// A block of a given shape, for tests of shapes that this device would not choose.
    #[cfg(test)]
    pub(crate) fn allocate_as(
        self: &Arc<Self>,
        size: u64,
        shape: Shape,
    ) -> Result<Allocation, Error> {
        let memory_type = self.raw.memory_types.device;
        let block = Block::create_as(&self.raw, memory_type, MemoryKind::Device, size, shape)?;
        self.committed.fetch_add(block.size, Ordering::Relaxed);
        Ok(self.enter(Arc::new(block), 0, size, MemoryKind::Device, Place::Own))
    }

    pub(crate) fn import_host(
        self: &Arc<Self>,
        pointer: *mut u8,
        size: u64,
    ) -> Result<Allocation, Error> {
        if size == 0 {
            return Err(Error::InvalidArgument("an import of 0 bytes".to_owned()));
        }
        let block = Arc::new(Block::import_host(&self.raw, pointer, size)?);
        let base = block.host.map_or(0, |base| base as u64);
        Ok(self.enter(
            block,
            pointer as u64 - base,
            size,
            MemoryKind::Imported,
            Place::Own,
        ))
    }

    /// The allocation that holds all of `size` bytes at `address`.
    pub(crate) fn entry(&self, address: u64, size: u64) -> Result<Arc<Entry>, Error> {
        self.table
            .read()
            .covering(address, size)
            .ok_or(Error::InvalidAddress { address, size })
    }

    pub(crate) fn find(&self, address: u64) -> Option<Found> {
        self.table.read().at(address).map(|entry| entry.found())
    }

    pub(crate) fn find_host(&self, pointer: u64) -> Option<Found> {
        self.table
            .read()
            .at_host(pointer)
            .map(|entry| entry.found())
    }

    /// Gives memory back, at once if no work is outstanding.
    fn retire(&self, entry: &Arc<Entry>) {
        let mut points = SmallVec::new();
        for timeline in self.timelines.lock().iter().filter_map(Weak::upgrade) {
            let value = timeline.reserved();
            if !timeline.is_complete(value) {
                points.push((timeline, value));
            }
        }
        if points.is_empty() {
            self.release(entry);
        } else {
            self.retired.lock().push(Retired {
                entry: Arc::clone(entry),
                points,
            });
        }
    }

    /// Gives back what no work uses any more.
    pub(crate) fn reclaim(&self) {
        let mut done = Vec::new();
        {
            let mut retired = self.retired.lock();
            let mut index = 0;
            while index < retired.len() {
                retired[index]
                    .points
                    .retain(|(timeline, value)| !timeline.is_complete(*value));
                if retired[index].points.is_empty() {
                    done.push(retired.swap_remove(index));
                } else {
                    index += 1;
                }
            }
        }
        for retired in done {
            self.release(&retired.entry);
        }
    }

    /// Waits for the work that retired memory waits for. Whether anything came back.
    fn reclaim_waiting(&self) -> bool {
        let points: Vec<_> = self
            .retired
            .lock()
            .iter()
            .flat_map(|retired| retired.points.iter().cloned())
            .collect();
        if points.is_empty() {
            // An empty chunk that is kept for reuse may still make the difference.
            return self.drop_empty_chunks();
        }
        let deadline = Instant::now() + RECLAIM_WAIT;
        for (timeline, value) in points {
            if !matches!(timeline.wait_until(value, Some(deadline)), Ok(true)) {
                break;
            }
        }
        self.reclaim();
        self.drop_empty_chunks();
        true
    }

    fn drop_empty_chunks(&self) -> bool {
        let mut dropped = Vec::new();
        for chunks in self.pools.lock().pools.values_mut() {
            let mut index = 0;
            while index < chunks.len() {
                if chunks[index].ranges.is_empty() {
                    dropped.push(chunks.swap_remove(index));
                } else {
                    index += 1;
                }
            }
        }
        let any = !dropped.is_empty();
        for chunk in dropped {
            self.committed
                .fetch_sub(chunk.block.size, Ordering::Relaxed);
        }
        any
    }

    fn release(&self, entry: &Entry) {
        let Place::Chunk { pool, chunk: id } = entry.place else {
            if entry.kind != MemoryKind::Imported && matches!(entry.place, Place::Own) {
                self.committed
                    .fetch_sub(entry.block.size, Ordering::Relaxed);
            }
            return;
        };
        let mut surplus = None;
        {
            let mut pools = self.pools.lock();
            let Some(chunks) = pools.pools.get_mut(&pool) else {
                return;
            };
            let Some(index) = chunks.iter().position(|chunk| chunk.id == id) else {
                return;
            };
            chunks[index]
                .ranges
                .free(entry.offset, entry.size.next_multiple_of(ALIGNMENT));
            // One empty chunk is kept: programs allocate and free in turns.
            if chunks[index].ranges.is_empty()
                && chunks
                    .iter()
                    .filter(|chunk| chunk.ranges.is_empty())
                    .count()
                    > 1
            {
                surplus = Some(chunks.swap_remove(index));
            }
        }
        if let Some(chunk) = surplus {
            self.committed
                .fetch_sub(chunk.block.size, Ordering::Relaxed);
        }
    }
}
