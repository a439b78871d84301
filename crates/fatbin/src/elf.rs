//! ELF files: cubins, and host programs with fatbins in their sections. Archives of them.

use object::read::archive::ArchiveFile;
use object::read::elf::{ElfFile64, FileHeader};
use object::{Endianness, Object, ObjectSection};

use crate::entry::{Entry, Kind, Variant};
use crate::{header, Error, Module};

pub(crate) const MAGIC: &[u8] = b"\x7fELF";
pub(crate) const ARCHIVE_MAGIC: &[u8] = b"!<arch>\n";

/// `e_machine` of NVIDIA's machine code.
const EM_CUDA: u16 = 190;

/// The sections with fatbins, by `fatbinary_section.h`.
const SECTIONS: [&str; 2] = [".nv_fatbin", "__nv_relfatbin"];

/// The device code of an ELF file.
pub(crate) fn modules(bytes: &[u8]) -> Result<Vec<Module<'_>>, Error> {
    if let Some(sm) = cubin(bytes) {
        return Ok(vec![Module::new(vec![Entry {
            kind: Kind::Elf,
            sm,
            variant: Variant::Portable,
            version: (0, 0),
            flags: 0,
            name: &[],
            compression: None,
            stored: bytes,
            size: bytes.len(),
            part: None,
        }])]);
    }
    let error = |error: object::Error| Error::corrupt(format!("ELF: {error}"));
    let file = ElfFile64::<Endianness>::parse(bytes).map_err(error)?;
    let mut modules = Vec::new();
    for section in file.sections() {
        if section.name().is_ok_and(|name| SECTIONS.contains(&name)) {
            modules.extend(header::fatbins(section.data().map_err(error)?)?);
        }
    }
    Ok(modules)
}

/// The architecture of a cubin. None: another ELF file.
fn cubin(bytes: &[u8]) -> Option<u32> {
    let header = object::elf::FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    if header.e_machine(endian) != EM_CUDA {
        return None;
    }
    // Up to ABI version 7 the flags' low byte is the architecture, then the byte after it.
    let flags = header.e_flags(endian);
    let shift = if header.e_ident().abi_version >= 8 {
        8
    } else {
        0
    };
    Some(flags >> shift & 0xff)
}

/// The device code of all members of an archive.
pub(crate) fn archive(bytes: &[u8]) -> Result<Vec<Module<'_>>, Error> {
    let error = |error: object::Error| Error::corrupt(format!("archive: {error}"));
    let mut modules = Vec::new();
    for member in ArchiveFile::parse(bytes).map_err(error)?.members() {
        let data = member.map_err(error)?.data(bytes).map_err(error)?;
        if data.starts_with(MAGIC) {
            modules.extend(self::modules(data)?);
        } else if data.starts_with(&header::FATBIN_MAGIC.to_le_bytes()) {
            modules.extend(header::fatbins(data)?);
        }
    }
    Ok(modules)
}

/// The size of an ELF file of which only the start is known to be there: the end of its last header or section.
///
/// `read` gives bytes by offset and length, and is asked for nothing beyond what the headers say.
pub(crate) fn size<'a>(read: impl Fn(usize, usize) -> Option<&'a [u8]>) -> Option<usize> {
    let header = read(0, 64)?;
    let u16 = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let word = |bytes: &[u8], at: usize| {
        let word: [u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(word)).ok()
    };
    // 64-bit, little-endian.
    if header[4] != 2 || header[5] != 1 {
        return None;
    }
    let mut end = 64;
    let (segments, sections) = (word(header, 32)?, word(header, 40)?);
    let (segment, segment_count) = (u16(54), u16(56));
    let (section, section_count) = (u16(58), u16(60));
    if segment_count > 0 {
        if segment < 56 {
            return None;
        }
        let length = segment.checked_mul(segment_count)?;
        end = end.max(segments.checked_add(length)?);
        let table = read(segments, length)?;
        for entry in table.chunks_exact(segment) {
            end = end.max(word(entry, 8)?.checked_add(word(entry, 32)?)?);
        }
    }
    if section_count > 0 {
        if section < 64 {
            return None;
        }
        let length = section.checked_mul(section_count)?;
        end = end.max(sections.checked_add(length)?);
        let table = read(sections, length)?;
        for entry in table.chunks_exact(section) {
            let kind = u32::from_le_bytes(entry[4..8].try_into().ok()?);
            if kind != object::elf::SHT_NOBITS {
                end = end.max(word(entry, 24)?.checked_add(word(entry, 32)?)?);
            }
        }
    }
    Some(end)
}
