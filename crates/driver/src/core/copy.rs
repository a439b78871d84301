//! Copies and fills, in all directions and up to three dimensions.
//!
//! Each side of a copy is on the device (also memory of the host that the device reaches) or in ordinary, pageable host
//! memory. Copies between device addresses are the stream's own. From pageable memory, the bytes are taken before the call
//! returns; to pageable memory, the call waits: both as the CUDA driver API says ("API synchronization behavior").

use crate::boundary::Result;
use crate::core::context::{self, State};
use crate::core::status::IntoCuda;
use crate::core::stream::Stream;
use crate::core::virtual_memory;
use cuda_abi::CUresult;
use std::sync::Arc;
use vulkan::{Copy2d, Error, MemoryKind};

/// Where one side of a copy lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A device address.
    Device(u64),
    /// A host address that the device does not reach.
    Host(usize),
}

impl Place {
    fn offset(self, bytes: u64) -> Self {
        match self {
            Place::Device(address) => Place::Device(address + bytes),
            Place::Host(pointer) => Place::Host(pointer + bytes as usize),
        }
    }
}

/// One side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The first byte.
    pub place: Place,
    /// Bytes from one row to the next.
    pub pitch: u64,
    /// Bytes from one slice to the next.
    pub slice: u64,
}

/// A copy of `depth` slices of `height` rows of `width` bytes. The sides do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// To.
    pub destination: Side,
    /// From.
    pub source: Side,
    /// Bytes of a row.
    pub width: u64,
    /// Rows of a slice.
    pub height: u64,
    /// Slices.
    pub depth: u64,
}

/// Whether a place was named as the device's, the host's, or left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A device address (or the address of host memory that the device reaches).
    Device,
    /// A host address.
    Host,
    /// Either: found out by looking it up.
    Unified,
}

/// Finds out where an address lies.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for null and for a device address that lies in no allocation.
pub fn place(vulkan: &vulkan::Device, address: u64, named: Named) -> Result<Place> {
    if address == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    // Addresses are of one space: CUDA takes the device's where a call names the host, too.
    if vulkan
        .find(address)
        .is_some_and(|found| named != Named::Host || found.alone)
    {
        return Ok(Place::Device(address));
    }
    let pointer = address as usize;
    if let Some(found) = vulkan.find_host(pointer as *const u8) {
        if let Some(host) = found.host {
            return Ok(Place::Device(found.base + (pointer - host as usize) as u64));
        }
    }
    match named {
        Named::Device => Err(CUresult::INVALID_VALUE),
        // Nobody may touch it: nothing is mapped there, or without access.
        _ if virtual_memory::find(address).is_some() => Err(CUresult::INVALID_VALUE),
        Named::Host | Named::Unified => Ok(Place::Host(pointer)),
    }
}

/// Where an address lies, as seen from a device.
pub enum Located {
    /// On that device, or on the host.
    Here(Place),
    /// In a context of another device.
    There(Arc<State>, Place),
}

impl Located {
    /// The place, there or here.
    pub fn place(&self) -> Place {
        match self {
            Located::Here(place) | Located::There(_, place) => *place,
        }
    }
}

/// Finds out where an address lies, on whichever device. What this device knows comes first.
///
/// # Errors
/// As [`place`].
pub fn locate(vulkan: &Arc<vulkan::Device>, address: u64, named: Named) -> Result<Located> {
    let here = place(vulkan, address, named);
    if matches!(here, Ok(Place::Device(_))) || named == Named::Host || address == 0 {
        return here.map(Located::Here);
    }
    for state in context::open_states() {
        if Arc::ptr_eq(&state.vulkan, vulkan) {
            continue;
        }
        let Some(found) = state.vulkan.find(address) else {
            continue;
        };
        // Memory of the host is as near to this device.
        let offset = (address - found.base) as usize;
        return Ok(match (found.kind, found.host) {
            (MemoryKind::Host | MemoryKind::Imported, Some(host)) => {
                Located::Here(Place::Host(host as usize + offset))
            }
            _ => Located::There(state, Place::Device(address)),
        });
    }
    here.map(Located::Here)
}

impl Copy {
    /// A copy of bytes in a row.
    pub fn linear(destination: Place, source: Place, bytes: u64) -> Self {
        let side = |place| Side {
            place,
            pitch: bytes,
            slice: bytes,
        };
        Self {
            destination: side(destination),
            source: side(source),
            width: bytes,
            height: 1,
            depth: 1,
        }
    }

    /// Whether there is nothing to copy.
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0 || self.depth == 0
    }

    /// Whether both sides are on the device.
    pub fn is_on_device(&self) -> bool {
        matches!(
            (self.destination.place, self.source.place),
            (Place::Device(_), Place::Device(_))
        )
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.width * self.height * self.depth
    }

    /// Bytes from the first to the last of one side.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a range that wraps.
    pub fn extent(&self, side: &Side) -> Result<u64> {
        let steps = |count: u64, step: u64| (count - 1).checked_mul(step);
        let slices = steps(self.depth.max(1), side.slice);
        let rows = steps(self.height.max(1), side.pitch);
        slices
            .zip(rows)
            .and_then(|(slices, rows)| slices.checked_add(rows)?.checked_add(self.width))
            .ok_or(CUresult::INVALID_VALUE)
    }

    /// The same copy as few runs of rows as possible: whole rows become one long row, whole slices become rows.
    pub fn simplified(mut self) -> Self {
        let close =
            |copy: &Self| copy.destination.pitch == copy.width && copy.source.pitch == copy.width;
        if self.height > 1 && close(&self) {
            self.width *= self.height;
            self.height = 1;
        }
        if self.height == 1 && self.depth > 1 {
            self.destination.pitch = self.destination.slice;
            self.source.pitch = self.source.slice;
            self.height = self.depth;
            self.depth = 1;
            if close(&self) {
                self.width *= self.height;
                self.height = 1;
            }
        }
        if self.height == 1 && self.depth == 1 {
            return Self::linear(self.destination.place, self.source.place, self.width);
        }
        self
    }

    /// The slices, each a copy of its own.
    pub fn slices(self) -> impl Iterator<Item = Copy> {
        let count = if self.is_empty() { 0 } else { self.depth };
        (0..count).map(move |index| {
            let side = |side: Side| Side {
                place: side.place.offset(index * side.slice),
                ..side
            };
            Copy {
                destination: side(self.destination),
                source: side(self.source),
                depth: 1,
                ..self
            }
        })
    }

    /// The parts of at most `most` bytes, as few as that allows without cutting rows where they fit.
    pub fn pieces(self, most: u64) -> Vec<Copy> {
        let mut pieces = Vec::new();
        for slice in self.slices().filter(|slice| !slice.is_empty()) {
            let width = slice.width.min(most);
            let rows = (most / width).max(1) as usize;
            for y in (0..slice.height).step_by(rows) {
                for x in (0..slice.width).step_by(width as usize) {
                    let side = |side: Side| Side {
                        place: side.place.offset(y * side.pitch + x),
                        ..side
                    };
                    pieces.push(Copy {
                        destination: side(slice.destination),
                        source: side(slice.source),
                        width: width.min(slice.width - x),
                        height: (rows as u64).min(slice.height - y),
                        depth: 1,
                    });
                }
            }
        }
        pieces
    }

    /// The rows, each a copy of its own.
    fn rows(self) -> impl Iterator<Item = Copy> {
        self.slices().flat_map(|slice| {
            (0..slice.height).map(move |index| {
                let side = |side: Side| Side {
                    place: side.place.offset(index * side.pitch),
                    ..side
                };
                Copy {
                    destination: side(slice.destination),
                    source: side(slice.source),
                    height: 1,
                    ..slice
                }
            })
        })
    }

    /// Appends the copy to a stream. Returns whether it is complete when the call returns.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a range that exceeds its allocation; sticky errors.
    pub fn run(&self, stream: &Stream) -> Result<bool> {
        let copy = self.simplified();
        if copy.is_empty() {
            return Ok(false);
        }
        match (copy.destination.place, copy.source.place) {
            (Place::Device(_), Place::Device(_)) => {
                stream.run(|vulkan| {
                    copy.slices()
                        .try_for_each(|slice| device_slice(vulkan, &slice))
                })?;
                Ok(false)
            }
            (Place::Device(address), Place::Host(pointer)) => {
                if copy.height == 1 && copy.depth == 1 {
                    // SAFETY: by the API's contract the caller's buffer holds that many bytes.
                    let data = unsafe {
                        std::slice::from_raw_parts(pointer as *const u8, copy.width as usize)
                    };
                    stream.run(|vulkan| vulkan.write(address, data))?;
                } else {
                    let staging = Staging::new(stream, &copy)?;
                    // SAFETY: the staging memory is as long as the copy, and the caller's rows are readable.
                    unsafe { staging.gather(&copy) };
                    Copy {
                        source: staging.side(&copy),
                        ..copy
                    }
                    .run(stream)?;
                    stream.vulkan.keep_alive(Box::new(staging)).cuda()?;
                }
                Ok(false)
            }
            (Place::Host(pointer), Place::Device(address)) => {
                if copy.height == 1 && copy.depth == 1 {
                    // SAFETY: by the API's contract the caller's buffer has room for that many bytes.
                    let data = unsafe {
                        std::slice::from_raw_parts_mut(pointer as *mut u8, copy.width as usize)
                    };
                    stream.run(|vulkan| vulkan.read(address, data))?;
                } else {
                    let staging = Staging::new(stream, &copy)?;
                    Copy {
                        destination: staging.side(&copy),
                        ..copy
                    }
                    .run(stream)?;
                    stream.synchronize()?;
                    // SAFETY: the staging memory is as long as the copy, and the caller's rows are writable.
                    unsafe { staging.scatter(&copy) };
                }
                Ok(true)
            }
            (Place::Host(_), Place::Host(_)) => {
                stream.synchronize()?;
                // SAFETY: by the API's contract the caller's rows are readable and writable.
                unsafe { copy_on_host(&copy) };
                Ok(true)
            }
        }
    }
}

/// Appends one slice of a copy between device addresses.
pub(super) fn device_slice(vulkan: &vulkan::Stream, copy: &Copy) -> std::result::Result<(), Error> {
    let (Place::Device(destination), Place::Device(source)) =
        (copy.destination.place, copy.source.place)
    else {
        return Err(Error::InvalidArgument(
            "a copy with a side that is not on the device".into(),
        ));
    };
    if copy.height == 1 {
        return vulkan.copy(destination, source, copy.width);
    }
    vulkan.copy_2d(&device_rows(copy, destination, source))
}

/// The rows of a slice between device addresses, for the `vulkan` crate.
pub fn device_rows(copy: &Copy, destination: u64, source: u64) -> Copy2d {
    Copy2d {
        destination,
        destination_pitch: copy.destination.pitch,
        source,
        source_pitch: copy.source.pitch,
        width: copy.width,
        height: copy.height,
    }
}

/// Copies rows in host memory.
///
/// # Safety
/// Both sides are host memory; the source is readable, the destination writable.
pub unsafe fn copy_on_host(copy: &Copy) {
    for row in copy.rows() {
        if let (Place::Host(destination), Place::Host(source)) =
            (row.destination.place, row.source.place)
        {
            // SAFETY: the caller promises it. The rows may overlap where the caller's do.
            unsafe {
                std::ptr::copy(
                    source as *const u8,
                    destination as *mut u8,
                    row.width as usize,
                )
            };
        }
    }
}

/// Host memory that the device reaches, for the rows of a copy one after the other.
pub struct Staging {
    allocation: vulkan::Allocation,
    host: usize,
}

impl Staging {
    /// Room for the rows of a copy.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn new(stream: &Stream, copy: &Copy) -> Result<Self> {
        Self::on(&stream.group.vulkan, copy.bytes())
    }

    /// Room for bytes.
    ///
    /// # Errors
    /// `CUDA_ERROR_OUT_OF_MEMORY`.
    pub fn on(vulkan: &Arc<vulkan::Device>, bytes: u64) -> Result<Self> {
        let allocation = vulkan.allocate(bytes, MemoryKind::Host).cuda()?;
        let host = allocation.host().ok_or(CUresult::OUT_OF_MEMORY)? as usize;
        Ok(Self { allocation, host })
    }

    /// The staging memory as a side of the copy on the device.
    pub fn side(&self, copy: &Copy) -> Side {
        Self::packed(Place::Device(self.allocation.address()), copy)
    }

    fn packed(place: Place, copy: &Copy) -> Side {
        Side {
            place,
            pitch: copy.width,
            slice: copy.width * copy.height,
        }
    }

    /// What copies the first bytes of other staging memory here, by the host. Both outlive it (the caller's part).
    pub(super) fn carrier(&self, source: &Staging, bytes: u64) -> impl FnOnce() + Send + 'static {
        let (to, from) = (self.host, source.host);
        move || {
            // SAFETY: both are mapped and as long as the piece that the caller made them for.
            unsafe {
                std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes as usize)
            }
        }
    }

    /// Copies the source's rows into the staging memory.
    ///
    /// # Safety
    /// The copy is no longer than the staging memory and its source is readable host memory.
    pub unsafe fn gather(&self, copy: &Copy) {
        // SAFETY: the caller promises it.
        unsafe {
            copy_on_host(&Copy {
                destination: Self::packed(Place::Host(self.host), copy),
                ..*copy
            })
        };
    }

    /// Copies the staging memory to the destination's rows.
    ///
    /// # Safety
    /// The copy is no longer than the staging memory and its destination is writable host memory.
    pub unsafe fn scatter(&self, copy: &Copy) {
        // SAFETY: the caller promises it.
        unsafe {
            copy_on_host(&Copy {
                source: Self::packed(Place::Host(self.host), copy),
                ..*copy
            })
        };
    }
}

/// A fill of rows with an element (`cuMemsetD8`, `D16`, `D32` and their 2D forms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The first byte, a multiple of the element's size.
    pub address: u64,
    /// Bytes from one row to the next.
    pub pitch: u64,
    /// The element, in its low bytes.
    pub value: u32,
    /// Bytes of an element: 1, 2 or 4.
    pub element: u32,
    /// Elements of a row.
    pub count: u64,
    /// Rows.
    pub rows: u64,
}

impl Fill {
    /// Checks the fill and finds its device address.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn resolved(mut self, vulkan: &vulkan::Device) -> Result<Self> {
        if self.count == 0 || self.rows == 0 {
            return Ok(self);
        }
        let width = self
            .count
            .checked_mul(self.element.into())
            .ok_or(CUresult::INVALID_VALUE)?;
        let aligned = |n: u64| n % u64::from(self.element) == 0;
        if !aligned(self.address) || self.rows > 1 && (self.pitch < width || !aligned(self.pitch)) {
            return Err(CUresult::INVALID_VALUE);
        }
        match place(vulkan, self.address, Named::Device)? {
            Place::Device(address) => self.address = address,
            Place::Host(_) => return Err(CUresult::INVALID_VALUE),
        }
        if self.rows > 1 && self.pitch == width {
            self.count *= self.rows;
            self.rows = 1;
        }
        Ok(self)
    }

    /// Appends the fill, which [`Fill::resolved`] made, to a stream.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for a range that exceeds its allocation; sticky errors.
    pub fn run(&self, stream: &Stream) -> Result {
        match (self.count, self.rows) {
            (0, _) | (_, 0) => Ok(()),
            (count, 1) => {
                stream.run(|vulkan| vulkan.fill(self.address, self.value, self.element, count))
            }
            (count, rows) => stream.run(|vulkan| {
                vulkan.fill_2d(
                    self.address,
                    self.pitch,
                    self.value,
                    self.element,
                    count,
                    rows,
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(address: u64, pitch: u64, slice: u64) -> Side {
        Side {
            place: Place::Device(address),
            pitch,
            slice,
        }
    }

    #[test]
    fn whole_rows_and_slices_join() {
        let copy = Copy {
            destination: side(0, 8, 32),
            source: side(100, 8, 32),
            width: 8,
            height: 4,
            depth: 3,
        };
        assert_eq!(
            copy.simplified(),
            Copy::linear(Place::Device(0), Place::Device(100), 96).simplified()
        );
        let gaps = Copy {
            source: side(100, 8, 40),
            ..copy
        }
        .simplified();
        assert_eq!((gaps.width, gaps.height, gaps.depth), (32, 3, 1));
        assert_eq!((gaps.destination.pitch, gaps.source.pitch), (32, 40));
        let pitched = Copy {
            source: side(100, 16, 64),
            ..copy
        };
        assert_eq!(pitched.simplified(), pitched);
        assert_eq!(
            pitched.slices().nth(2).unwrap().source.place,
            Place::Device(228)
        );
        assert_eq!(pitched.rows().count(), 12);
        assert_eq!(pitched.extent(&pitched.source), Ok(2 * 64 + 3 * 16 + 8));
        // Two rows at a time, and rows in parts.
        let sizes = |most| -> Vec<_> {
            let pieces = pitched.pieces(most);
            pieces.iter().map(|p| (p.width, p.height)).collect()
        };
        assert_eq!(sizes(17), [(8, 2); 6]);
        assert_eq!(sizes(1000), [(8, 4); 3]);
        assert_eq!(sizes(5)[..3], [(5, 1), (3, 1), (5, 1)]);
        assert_eq!(
            pitched.pieces(5)[3].source.place,
            Place::Device(100 + 16 + 5)
        );
    }

    #[test]
    fn rows_are_copied_on_the_host() {
        let source: Vec<u8> = (0..24).collect();
        let mut destination = [0u8; 12];
        let host = |pointer: usize, pitch| Side {
            place: Place::Host(pointer),
            pitch,
            slice: 0,
        };
        let copy = Copy {
            destination: host(destination.as_mut_ptr() as usize, 4),
            source: host(source.as_ptr() as usize, 8),
            width: 3,
            height: 3,
            depth: 1,
        };
        // SAFETY: both buffers hold the rows.
        unsafe { copy_on_host(&copy) };
        assert_eq!(destination, [0, 1, 2, 0, 8, 9, 10, 0, 16, 17, 18, 0]);
    }
}
