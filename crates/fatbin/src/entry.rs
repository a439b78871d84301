//! One form of a module, and its way out of compression.

use std::io::Read;
use std::ops::Range;

use crate::Error;

/// The largest text or file that is taken out of an entry, bytes.
const MAX_SIZE: usize = 1 << 30;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PTX text.
    Ptx,
    /// An ELF file with machine code, SASS: a cubin.
    Elf,
    /// Something else, by its number in the fatbin (LTO-IR and others).
    Other(u16),
}

/// Whether code is bound to certain devices, other than by a lowest compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// For this architecture and all later ones (PTX), or its later minor versions (SASS).
    Portable,
    /// For this architecture only: `sm_90a`.
    Architecture,
    /// For this architecture's family: `sm_100f`.
    Family,
}

impl Variant {
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Variant::Portable => "",
            Variant::Architecture => "a",
            Variant::Family => "f",
        }
    }
}

/// How an entry is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// A raw LZ4 block.
    Lz4,
    /// Zstandard frames.
    Zstd,
}

/// One form of a module: PTX or machine code for one architecture.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub(crate) kind: Kind,
    pub(crate) sm: u32,
    pub(crate) variant: Variant,
    pub(crate) version: (u16, u16),
    pub(crate) flags: u64,
    pub(crate) name: &'a [u8],
    pub(crate) compression: Option<Compression>,
    pub(crate) stored: &'a [u8],
    /// The size of what is stored, without compression.
    pub(crate) size: usize,
    /// Where in it this entry lies; none: it is all of it.
    pub(crate) part: Option<Range<usize>>,
}

impl<'a> Entry<'a> {
    /// Which kind of code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The architecture, as 10 * major + minor: 86 for `sm_86`. 0 when PTX text does not say.
    pub fn sm(&self) -> u32 {
        self.sm
    }

    /// The architecture's name, such as `sm_90a`.
    pub fn target(&self) -> String {
        format!("sm_{}{}", self.sm, self.variant.suffix())
    }

    /// Whether the code is bound to some devices.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Of PTX in a fatbin, its ISA version (major, minor); of machine code, that of its format. (0, 0) if unknown.
    pub fn version(&self) -> (u16, u16) {
        self.version
    }

    /// The flags of the fatbin's entry: 0x1 64-bit, 0x2 debug, 0x10 Linux, 0x40 Windows, 0x2000 LZ4, 0x8000 Zstandard,
    /// 0x10_0000 architecture-specific, 0x20_0000 family-specific.
    pub fn flags(&self) -> u64 {
        self.flags
    }

    /// The name that the fatbin gives it (a source file), mostly empty.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    /// How it is compressed.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// What is stored, compressed or not. Several entries may be compressed together.
    pub fn stored(&self) -> &'a [u8] {
        self.stored
    }

    /// Its size without compression, bytes, as declared.
    pub fn size(&self) -> usize {
        self.part.as_ref().map_or(self.size, Range::len)
    }

    /// The entry without compression. Takes no more memory than twice the declared size, and at most 1 GiB.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: not the declared size, too large, or damaged.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = match self.compression {
            None => self.stored.to_vec(),
            Some(_) if self.size > MAX_SIZE => {
                return Err(Error::corrupt(format!("an entry of {} bytes", self.size)));
            }
            Some(Compression::Lz4) => self.lz4()?,
            Some(Compression::Zstd) => self.zstd()?,
        };
        if bytes.len() != self.size {
            let (is, declared) = (bytes.len(), self.size);
            return Err(Error::corrupt(format!(
                "an entry of {declared} bytes holds {is}"
            )));
        }
        if let Some(part) = &self.part {
            bytes.truncate(part.end);
            if bytes.len() != part.end || part.start > part.end {
                return Err(Error::corrupt("a part lies outside of its entry"));
            }
            bytes.drain(..part.start);
        }
        Ok(bytes)
    }

    /// The text of a PTX entry, without the NULs at its end.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: no PTX, damaged, or not UTF-8.
    pub fn text(&self) -> Result<String, Error> {
        if self.kind != Kind::Ptx {
            return Err(Error::corrupt("the entry is no PTX"));
        }
        let mut bytes = self.bytes()?;
        let end = bytes
            .iter()
            .rposition(|&b| b != 0)
            .map_or(0, |last| last + 1);
        bytes.truncate(end);
        String::from_utf8(bytes).map_err(|_| Error::corrupt("PTX that is not UTF-8"))
    }

    fn lz4(&self) -> Result<Vec<u8>, Error> {
        // A byte of LZ4 stands for 255 at most.
        if self.size / 255 > self.stored.len() {
            return Err(Error::corrupt(
                "more LZ4 output declared than its input can give",
            ));
        }
        lz4_flex::block::decompress(self.stored, self.size)
            .map_err(|error| Error::corrupt(format!("LZ4: {error}")))
    }

    fn zstd(&self) -> Result<Vec<u8>, Error> {
        let error = |error| Error::corrupt(format!("Zstandard: {error}"));
        // The vector grows with the output, whatever the declared size. One byte more shows that there is more.
        let mut bytes = Vec::new();
        zstd::Decoder::with_buffer(self.stored)
            .map_err(error)?
            .take(self.size as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(error)?;
        Ok(bytes)
    }
}
