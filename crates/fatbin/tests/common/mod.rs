//! Builds containers.
#![allow(dead_code)]

/// PTX for a target: `ptx("90a")`.
pub fn ptx(target: &str) -> String {
    let mut text = format!(".version 8.4\n.target sm_{target}, debug\n.address_size 64\n");
    for i in 0..40 {
        text += &format!(".visible .entry kernel{i}(.param .u64 p) {{ ret; }}\n");
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Packing {
    Plain,
    Lz4,
    Zstd,
}

pub const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Lz4, Packing::Zstd];

/// An entry to build.
#[derive(Clone, Debug)]
pub struct Spec {
    pub kind: u16,
    pub sm: u32,
    pub data: Vec<u8>,
    pub packing: Packing,
    pub flags: u64,
    pub name: &'static str,
    pub options: &'static str,
}

impl Spec {
    pub fn ptx(sm: u32, text: &str, packing: Packing) -> Self {
        Spec {
            kind: 1,
            sm,
            data: text.as_bytes().to_vec(),
            packing,
            flags: 0x11,
            name: "",
            options: "",
        }
    }

    pub fn elf(sm: u32) -> Self {
        Spec {
            kind: 2,
            data: b"\x7fELF machine code".to_vec(),
            ..Spec::ptx(sm, "", Packing::Plain)
        }
    }

    fn packed(&self) -> Vec<u8> {
        match self.packing {
            Packing::Plain => self.data.clone(),
            Packing::Lz4 => lz4_flex::block::compress(&self.data),
            Packing::Zstd => zstd::encode_all(&self.data[..], 3).expect("memory is enough"),
        }
    }

    fn flags(&self) -> u64 {
        self.flags
            | match self.packing {
                Packing::Plain => 0,
                Packing::Lz4 => 0x2000,
                Packing::Zstd => 0x8000,
            }
    }

    /// A header; `place`: what stands at offset 4, if not the header's size.
    fn header(
        &self,
        place: Option<u32>,
        payload: u64,
        compressed: u32,
        size: u64,
        flags: u64,
    ) -> Vec<u8> {
        let mut h = vec![0; 64];
        let mut put = |at: usize, bytes: &[u8]| h[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.kind.to_le_bytes());
        put(2, &0x101u16.to_le_bytes());
        put(8, &payload.to_le_bytes());
        put(16, &compressed.to_le_bytes());
        put(24, &4u16.to_le_bytes());
        put(26, &8u16.to_le_bytes());
        put(28, &self.sm.to_le_bytes());
        put(40, &flags.to_le_bytes());
        put(56, &size.to_le_bytes());
        let string = |h: &mut Vec<u8>, text: &str| {
            let place = (h.len() as u32, text.len() as u32);
            h.extend(text.bytes().chain([0]));
            h.resize(h.len().next_multiple_of(8), 0);
            place
        };
        if !self.name.is_empty() {
            let (at, length) = string(&mut h, self.name);
            h[32..36].copy_from_slice(&at.to_le_bytes());
            h[36..40].copy_from_slice(&length.to_le_bytes());
        }
        if self.kind == 1 {
            let at = h.len();
            h[20..22].copy_from_slice(&(at as u16).to_le_bytes());
            h.resize(at + 8, 0);
            let (options, length) = string(&mut h, self.options);
            h[at..at + 4].copy_from_slice(&options.to_le_bytes());
            h[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        }
        let place = place.unwrap_or(h.len() as u32);
        h[4..8].copy_from_slice(&place.to_le_bytes());
        h
    }

    pub fn build(&self) -> Vec<u8> {
        let packed = self.packed();
        let padded = packed.len().next_multiple_of(8);
        let (compressed, size) = match self.packing {
            Packing::Plain => (0, 0),
            _ => (packed.len() as u32, self.data.len() as u64),
        };
        let mut bytes = self.header(None, padded as u64, compressed, size, self.flags());
        bytes.extend(&packed);
        bytes.resize(bytes.len() + padded - packed.len(), 0);
        bytes
    }
}

/// A fatbin of entries.
pub fn fatbin(entries: &[Spec]) -> Vec<u8> {
    wrap(entries.iter().flat_map(Spec::build).collect())
}

/// A fatbin with one entry that holds several, as `nvcc --concat` makes it.
pub fn concatenated(entries: &[Spec], packing: Packing) -> Vec<u8> {
    let mut headers = Vec::new();
    let mut data = Vec::new();
    for entry in entries {
        let length = entry.data.len() as u64;
        headers.extend(entry.header(Some(data.len() as u32), length, 0, 0, entry.flags));
        data.extend(&entry.data);
    }
    let outer = Spec {
        kind: 0x100,
        sm: 0,
        data,
        packing,
        flags: 0x11,
        name: "",
        options: "",
    };
    let mut bytes = outer.build();
    let inner = [
        (entries.len() as u32).to_le_bytes(),
        (headers.len() as u32 + 8).to_le_bytes(),
    ];
    headers.splice(0..0, inner.concat());
    bytes[4..8].copy_from_slice(&(64 + headers.len() as u32).to_le_bytes());
    bytes.splice(64..64, headers);
    wrap(bytes)
}

fn wrap(entries: Vec<u8>) -> Vec<u8> {
    let mut bytes = 0xBA55_ED50u32.to_le_bytes().to_vec();
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend((entries.len() as u64).to_le_bytes());
    bytes.extend(entries);
    bytes
}

/// A 64-bit ELF file with sections.
pub fn elf(machine: u16, abi_version: u8, flags: u32, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut names = vec![0];
    let mut bytes = vec![0; 64];
    let mut table = vec![[0u8; 64]];
    let mut section =
        |bytes: &mut Vec<u8>, names: &mut Vec<u8>, name: &str, kind: u32, data: &[u8]| {
            let mut entry = [0; 64];
            entry[0..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
            names.extend(name.bytes().chain([0]));
            let data = if kind == 3 {
                names.clone()
            } else {
                data.to_vec()
            };
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            entry[4..8].copy_from_slice(&kind.to_le_bytes());
            entry[24..32].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            entry[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
            bytes.extend(data);
            table.push(entry);
        };
    for (name, data) in sections {
        section(&mut bytes, &mut names, name, 1, data);
    }
    section(&mut bytes, &mut names, ".shstrtab", 3, &[]);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let at = bytes.len() as u64;
    bytes.extend(table.concat());
    bytes[0..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[8] = abi_version;
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(16, &3u16.to_le_bytes());
    put(18, &machine.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(40, &at.to_le_bytes());
    put(48, &flags.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(58, &64u16.to_le_bytes());
    put(60, &(table.len() as u16).to_le_bytes());
    put(62, &(table.len() as u16 - 1).to_le_bytes());
    bytes
}

/// An archive of members.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, data) in members {
        bytes.extend(
            format!(
                "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                format!("{name}/"),
                0,
                0,
                0,
                644,
                data.len()
            )
            .bytes(),
        );
        bytes.extend(*data);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}
