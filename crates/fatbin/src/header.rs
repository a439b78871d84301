//! The fatbin format, as `fatbinary` of CUDA 8 to 13 writes it. All numbers are little-endian.
//!
//! Fatbin: u32 magic, u16 version 1, u16 size of this header, u64 size of the entries that follow.
//!
//! | offset | entry header | |
//! |---|---|---|
//! | 0 | u16 | kind: 1 PTX, 2 ELF, 0x100 several entries, compressed together |
//! | 2 | u16 | version, 0x101 |
//! | 4 | u32 | size of the header: 64, the name, the options |
//! | 8 | u64 | size of the payload, with padding |
//! | 16 | u32 | compressed size, without padding; 0: not compressed |
//! | 20 | u16 | where the options are described (u32 offset, u32 length), from the header's start; 0: none |
//! | 24 | u16, u16 | minor and major version of the PTX ISA |
//! | 28 | u32 | architecture |
//! | 32 | u32, u32 | offset and length of the name |
//! | 40 | u64 | flags |
//! | 56 | u64 | size without compression |
//!
//! An entry of kind 0x100 (`nvcc --concat`) has behind its first 64 bytes u32 the number of entries in it, u32 the size of
//! their headers with these 8 bytes, and then the headers. There, offset 4 says where the entry lies in the decompressed
//! payload, and a header's size follows from the places of its name and options, each of which ends in a NUL and is
//! padded to 8 bytes.

use crate::entry::{Compression, Entry, Kind, Variant};
use crate::{Error, Module};

pub(crate) const WRAPPER_MAGIC: u32 = 0x4662_43B1;
pub(crate) const FATBIN_MAGIC: u32 = 0xBA55_ED50;

/// The size of a fatbin's header, and the least of an entry's.
pub(crate) const HEADER: usize = 16;
const ENTRY_HEADER: usize = 64;

const KIND_PTX: u16 = 1;
const KIND_ELF: u16 = 2;
const KIND_SEVERAL: u16 = 0x100;

const FLAG_LZ4: u64 = 0x2000;
const FLAG_ZSTD: u64 = 0x8000;
const FLAG_ARCHITECTURE: u64 = 0x10_0000;
const FLAG_FAMILY: u64 = 0x20_0000;

/// Numbers at an offset. None: outside.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    fn usize(&self, at: usize) -> Option<usize> {
        self.u32(at)?.try_into().ok()
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }
}

/// The size of a fatbin, header and all, from its first 16 bytes.
pub(crate) fn size(header: &[u8]) -> Result<usize, Error> {
    let reader = Reader(header);
    let sizes = || {
        let entries = usize::try_from(reader.u64(8)?).ok()?;
        Some((
            usize::from(reader.u16(6)?),
            entries,
            reader.u32(0)?,
            reader.u16(4)?,
        ))
    };
    let (header, entries, magic, version) =
        sizes().ok_or_else(|| Error::corrupt("a fatbin's header is cut off"))?;
    if magic != FATBIN_MAGIC {
        return Err(Error::corrupt(format!("no fatbin: magic {magic:#x}")));
    }
    if version != 1 {
        return Err(Error::corrupt(format!("fatbin version {version}")));
    }
    let size = header
        .checked_add(entries)
        .filter(|&size| size <= isize::MAX as usize);
    match size {
        Some(size) if header >= HEADER => Ok(size),
        _ => Err(Error::corrupt("a fatbin's sizes make no sense")),
    }
}

/// The fatbins of a section: one after the other, each at a multiple of 8.
pub(crate) fn fatbins(bytes: &[u8]) -> Result<Vec<Module<'_>>, Error> {
    let mut modules = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
        if !rest.starts_with(&FATBIN_MAGIC.to_le_bytes()) {
            at += 8;
            continue;
        }
        let size = size(rest)?;
        let fatbin = rest
            .get(..size)
            .ok_or_else(|| Error::corrupt("a fatbin is cut off"))?;
        modules.push(module(fatbin)?);
        at += size.next_multiple_of(8);
    }
    Ok(modules)
}

/// One fatbin, of exactly its size.
pub(crate) fn module(fatbin: &[u8]) -> Result<Module<'_>, Error> {
    let mut entries = Vec::new();
    let mut rest = Reader(fatbin)
        .u16(6)
        .and_then(|header| fatbin.get(usize::from(header)..))
        .ok_or_else(|| Error::corrupt("a fatbin is cut off"))?;
    while !rest.is_empty() {
        let size = entry(rest, &mut entries)
            .ok_or_else(|| Error::corrupt("an entry of a fatbin is cut off"))?;
        rest = &rest[size..];
    }
    Ok(Module::new(entries))
}

/// Reads an entry; returns its size with its header. None: cut off or senseless.
fn entry<'a>(bytes: &'a [u8], entries: &mut Vec<Entry<'a>>) -> Option<usize> {
    let reader = Reader(bytes);
    let kind = reader.u16(0)?;
    let header = bytes
        .get(..reader.usize(4)?)
        .filter(|h| h.len() >= ENTRY_HEADER)?;
    let padded = usize::try_from(reader.u64(8)?).ok()?;
    let compressed = reader.usize(16)?;
    let length = padded.max(compressed);
    let end = header.len().checked_add(length)?;
    let payload = bytes.get(header.len()..end)?;
    let compression = compression(reader.u64(40)?);
    let (stored, size) = match compression {
        Some(_) => (
            &payload[..compressed],
            usize::try_from(reader.u64(56)?).ok()?,
        ),
        None => (&payload[..padded], padded),
    };
    if kind == KIND_SEVERAL {
        let count = reader.usize(ENTRY_HEADER)?;
        let mut headers = header.get(ENTRY_HEADER + 8..)?;
        for _ in 0..count {
            let reader = Reader(headers);
            let start = reader.usize(4)?;
            let length = usize::try_from(reader.u64(8)?).ok()?;
            let part = start..start.checked_add(length).filter(|&end| end <= size)?;
            let header_size = inner_header(headers)?;
            entries.push(Entry {
                compression,
                stored,
                size,
                part: Some(part),
                ..describe(headers.get(..header_size)?)?
            });
            headers = &headers[header_size..];
        }
    } else {
        entries.push(Entry {
            compression,
            stored,
            size,
            ..describe(header)?
        });
    }
    Some(end)
}

fn compression(flags: u64) -> Option<Compression> {
    if flags & FLAG_ZSTD != 0 {
        Some(Compression::Zstd)
    } else if flags & FLAG_LZ4 != 0 {
        Some(Compression::Lz4)
    } else {
        None
    }
}

/// An entry from its header, without what it stores.
fn describe(header: &[u8]) -> Option<Entry<'_>> {
    let reader = Reader(header);
    let flags = reader.u64(40)?;
    let name = reader.usize(32)?;
    let name = name..name.checked_add(reader.usize(36)?)?;
    Some(Entry {
        kind: match reader.u16(0)? {
            KIND_PTX => Kind::Ptx,
            KIND_ELF => Kind::Elf,
            other => Kind::Other(other),
        },
        sm: reader.u32(28)?,
        variant: if flags & FLAG_ARCHITECTURE != 0 {
            Variant::Architecture
        } else if flags & FLAG_FAMILY != 0 {
            Variant::Family
        } else {
            Variant::Portable
        },
        version: (reader.u16(26)?, reader.u16(24)?),
        flags,
        name: header.get(name).unwrap_or_default(),
        compression: None,
        stored: &[],
        size: 0,
        part: None,
    })
}

/// The size of a header within an entry of several.
fn inner_header(header: &[u8]) -> Option<usize> {
    let reader = Reader(header);
    let options = usize::from(reader.u16(20)?);
    let (at, length) = if options != 0 {
        (
            reader.usize(options)?,
            reader.usize(options.checked_add(4)?)?,
        )
    } else {
        (reader.usize(32)?, reader.usize(36)?)
    };
    if at == 0 {
        return Some(ENTRY_HEADER);
    }
    let end = at
        .checked_add(length)?
        .checked_add(1)?
        .checked_next_multiple_of(8)?;
    (end >= ENTRY_HEADER && end <= header.len()).then_some(end)
}
