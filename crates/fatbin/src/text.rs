//! PTX text on its own, and what its first lines say.

use crate::entry::{Entry, Kind, Variant};
use crate::{Error, Module};

/// Whether a byte can be in PTX text: no control character but white space. Comments may hold UTF-8.
pub(crate) fn is_text(byte: u8) -> bool {
    byte >= b' ' || byte.is_ascii_whitespace() || byte == 0x0b
}

/// A module from text, with or without NULs at its end.
pub(crate) fn module(bytes: &[u8]) -> Result<Module<'_>, Error> {
    let end = bytes
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    let bytes = &bytes[..end];
    if bytes.is_empty() {
        return Err(Error::corrupt("an empty image"));
    }
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.bytes().all(is_text) && text.contains(".version"))
        .ok_or_else(|| Error::corrupt("no known image: neither a container nor PTX"))?;
    // The parser says what is wrong with a text without a target.
    let (sm, variant) = target(text).unwrap_or((0, Variant::Portable));
    Ok(Module::new(vec![Entry {
        kind: Kind::Ptx,
        sm,
        variant,
        version: (0, 0),
        flags: 0,
        name: &[],
        compression: None,
        stored: bytes,
        size: bytes.len(),
        part: None,
    }]))
}

/// The architecture of the text's `.target` directive (PTX ISA 11.1.2).
pub(crate) fn target(text: &str) -> Option<(u32, Variant)> {
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix(".target") else {
            continue;
        };
        let name = rest.trim_start().strip_prefix("sm_")?;
        let digits = name
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(name.len());
        let (number, suffix) = name.split_at(digits);
        let variant = match suffix.chars().next() {
            Some('a') => Variant::Architecture,
            Some('f') => Variant::Family,
            _ => Variant::Portable,
        };
        return Some((number.parse().ok()?, variant));
    }
    None
}
