//! Containers in a program's memory, whose size only their headers say.

use std::slice;

use crate::{elf, header, text, Container, Error};

/// A fatbin wrapper: `__fatBinC_Wrapper_t` of `fatbinary_section.h`.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    /// The fatbin. With version 2, the linked one, perhaps empty.
    data: *const u8,
    /// With version 2: the fatbins it is linked from, up to a null.
    parts: *const *const u8,
}

/// How many fatbins a wrapper lists at most, and how large an ELF file is: beyond, it is damaged.
const MAX_PARTS: usize = 1 << 16;
const MAX_ELF: usize = 1 << 32;

/// # Safety
/// As for [`Container::from_pointer`].
pub(crate) unsafe fn container<'a>(pointer: *const u8) -> Result<Container<'a>, Error> {
    if pointer.is_null() {
        return Err(Error::corrupt("a null pointer"));
    }
    // SAFETY: each container starts with its magic, and text is there up to its NUL, which is in no magic's first bytes.
    let starts_with = |magic: &[u8]| unsafe { starts_with(pointer, magic) };
    if starts_with(&header::WRAPPER_MAGIC.to_le_bytes()) {
        // SAFETY: the magic says that it is a wrapper.
        return unsafe { wrapper(pointer) };
    }
    if starts_with(&header::FATBIN_MAGIC.to_le_bytes()) {
        // SAFETY: the magic says that it is a fatbin.
        let fatbin = unsafe { fatbin(pointer) }?;
        return Ok(Container::new(vec![header::module(fatbin)?]));
    }
    if starts_with(elf::MAGIC) {
        let read = |at: usize, length: usize| {
            if at.checked_add(length)? > MAX_ELF {
                return None;
            }
            // SAFETY: an ELF file is as large as its headers say, and they are asked in order.
            Some(unsafe { slice::from_raw_parts(pointer.add(at), length) })
        };
        let bytes = elf::size(read).and_then(|size| read(0, size));
        let bytes =
            bytes.ok_or_else(|| Error::corrupt("an ELF file whose headers make no sense"))?;
        return Container::from_bytes(bytes);
    }
    if starts_with(elf::ARCHIVE_MAGIC) {
        return Err(Error::corrupt(
            "an archive in memory does not say where it ends",
        ));
    }
    // Text. What cannot be text ends the search for the NUL.
    let mut length = 0;
    loop {
        // SAFETY: all bytes before were text without a NUL, so that this one is there too.
        match unsafe { *pointer.add(length) } {
            0 => break,
            byte if text::is_text(byte) => length += 1,
            byte => {
                let what = format!("no known image: byte {byte:#04x} at offset {length}");
                return Err(Error::corrupt(what));
            }
        }
    }
    // SAFETY: just read.
    let bytes = unsafe { slice::from_raw_parts(pointer, length) };
    Ok(Container::new(vec![text::module(bytes)?]))
}

/// Reads no byte behind the first that differs.
///
/// # Safety
/// `pointer` leads to as many bytes as agree with `magic`, and one more.
unsafe fn starts_with(pointer: *const u8, magic: &[u8]) -> bool {
    // SAFETY: as the caller promises.
    magic
        .iter()
        .enumerate()
        .all(|(at, &byte)| unsafe { *pointer.add(at) } == byte)
}

/// # Safety
/// `pointer` leads to a fatbin wrapper that, with what it refers to, stays as it is during `'a`.
unsafe fn wrapper<'a>(pointer: *const u8) -> Result<Container<'a>, Error> {
    // SAFETY: the caller promises a wrapper; its alignment is not relied on.
    let wrapper = unsafe { pointer.cast::<Wrapper>().read_unaligned() };
    debug_assert_eq!(wrapper.magic, header::WRAPPER_MAGIC);
    if wrapper.data.is_null() {
        return Err(Error::corrupt("a fatbin wrapper without a fatbin"));
    }
    // SAFETY: a wrapper's data is a fatbin.
    let data = unsafe { fatbin(wrapper.data) }?;
    let mut modules = vec![header::module(data)?];
    match wrapper.version {
        1 => {}
        2 if wrapper.parts.is_null() => {}
        2 => {
            for at in 0.. {
                if at == MAX_PARTS {
                    return Err(Error::corrupt("a fatbin wrapper's list does not end"));
                }
                // SAFETY: a null ends the list, and there was none so far.
                let part = unsafe { wrapper.parts.add(at).read_unaligned() };
                if part.is_null() {
                    break;
                }
                // SAFETY: the list holds fatbins.
                modules.push(header::module(unsafe { fatbin(part) }?)?);
            }
            // The linked fatbin is empty when there was nothing that could be linked.
            if modules.len() > 1 && modules[0].entries().is_empty() {
                modules.remove(0);
            }
        }
        version => return Err(Error::corrupt(format!("fatbin wrapper version {version}"))),
    }
    Ok(Container::new(modules))
}

/// # Safety
/// `pointer` leads to a fatbin that stays as it is during `'a`, or to four bytes that are not its magic.
unsafe fn fatbin<'a>(pointer: *const u8) -> Result<&'a [u8], Error> {
    // SAFETY: as the caller promises.
    if !unsafe { starts_with(pointer, &header::FATBIN_MAGIC.to_le_bytes()) } {
        return Err(Error::corrupt("a fatbin wrapper that leads to no fatbin"));
    }
    // SAFETY: a fatbin has a header.
    let header = unsafe { slice::from_raw_parts(pointer, header::HEADER) };
    let size = header::size(header)?;
    // SAFETY: a fatbin is as large as its header says.
    Ok(unsafe { slice::from_raw_parts(pointer, size) })
}
