//! Fat binaries: PTX for several architectures, usually compressed, beside machine code that is of no use here.
//!
//! ```text
//! wrapper   u32 0x466243b1, u32 version 1 or 2, pointer to a header (2: to a null-terminated list of them in the 4th word)
//! header    u32 0xba55ed50, u16 1, u16 header size, u64 bytes of all entries
//! entry     u16 kind (1 PTX, 2 machine code), u16, u32 header size, u32 stored size, u32, u32 compressed size, u32, u32,
//!           u32 architecture, u32 bits, u32, u64 flags, u64, u64 size; then the payload
//! ```

use crate::core::jit::JitError;
use cuda_abi::CUresult;

/// Starts a wrapper.
pub const WRAPPER: u32 = 0x466243b1;
/// Starts a header.
pub const HEADER: u32 = 0xba55ed50;

const KIND_PTX: u16 = 1;
const FLAG_LZ4: u64 = 0x2000;
const FLAG_ZSTD: u64 = 0x8000;
/// More than any PTX module: what a damaged size field may ask for.
const SIZE_LIMIT: usize = 1 << 30;

/// One PTX module of a container, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PtxEntry<'a> {
    /// `90` of `sm_90`.
    pub architecture: u32,
    flags: u64,
    size: usize,
    payload: &'a [u8],
}

fn invalid(what: impl Into<String>) -> JitError {
    JitError::new(
        CUresult::INVALID_IMAGE,
        format!("fat binary: {}", what.into()),
    )
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], JitError> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    field.copied().ok_or_else(|| invalid("it ends early"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, JitError> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, JitError> {
    field(bytes, at).map(|bytes| u32::from_le_bytes(bytes) as usize)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, JitError> {
    field(bytes, at).map(u64::from_le_bytes)
}

/// Bytes of a container, of which at least the first sixteen are given.
///
/// # Errors
/// `CUDA_ERROR_INVALID_IMAGE` for what is no container.
pub fn length(start: &[u8]) -> Result<usize, JitError> {
    if u32_at(start, 0)? != HEADER as usize {
        return Err(invalid("no magic number"));
    }
    let (header, entries) = (usize::from(u16_at(start, 6)?), u64_at(start, 8)?);
    usize::try_from(entries)
        .ok()
        .and_then(|entries| entries.checked_add(header))
        .ok_or_else(|| invalid("too long"))
}

/// The PTX modules of a container in the order they are stored, and the architectures of everything else.
///
/// # Errors
/// `CUDA_ERROR_INVALID_IMAGE` for a damaged container.
pub fn entries(bytes: &[u8]) -> Result<(Vec<PtxEntry<'_>>, Vec<u32>), JitError> {
    let end = length(bytes)?.min(bytes.len());
    let mut at = usize::from(u16_at(bytes, 6)?);
    let (mut ptx, mut others) = (Vec::new(), Vec::new());
    while at < end {
        let entry = &bytes[at..end];
        let header = u32_at(entry, 4)?;
        let (stored, compressed) = (u32_at(entry, 8)?, u32_at(entry, 16)?);
        let architecture = u32_at(entry, 28)? as u32;
        let flags = u64_at(entry, 40)?;
        let payload = entry
            .get(header..)
            .ok_or_else(|| invalid("it ends early"))?;
        let length = if flags & (FLAG_LZ4 | FLAG_ZSTD) != 0 && compressed != 0 {
            compressed
        } else {
            stored
        };
        let payload = payload
            .get(..length)
            .ok_or_else(|| invalid("it ends early"))?;
        if u16_at(entry, 0)? == KIND_PTX {
            let size = if header >= 64 {
                u64_at(entry, 56)? as usize
            } else {
                0
            };
            ptx.push(PtxEntry {
                architecture,
                flags,
                size,
                payload,
            });
        } else {
            others.push(architecture);
        }
        let step = header
            .checked_add(stored.max(compressed))
            .filter(|&step| step >= 48);
        at = at
            .checked_add(step.ok_or_else(|| invalid("an entry without a size"))?)
            .ok_or_else(|| invalid("too long"))?;
    }
    Ok((ptx, others))
}

impl PtxEntry<'_> {
    /// The text.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_IMAGE` for damaged data.
    pub fn text(&self) -> Result<String, JitError> {
        let bytes = if self.flags & FLAG_ZSTD != 0 {
            zstd::bulk::decompress(self.payload, self.size.clamp(1024, SIZE_LIMIT))
                .map_err(|error| invalid(format!("zstd: {error}")))?
        } else if self.flags & FLAG_LZ4 != 0 {
            lz4_flex::block::decompress(self.payload, self.size.clamp(1024, SIZE_LIMIT))
                .map_err(|error| invalid(format!("LZ4: {error}")))?
        } else {
            self.payload.to_vec()
        };
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let text = String::from_utf8(bytes[..end].to_vec());
        text.map_err(|_| invalid("PTX that is not text"))
    }
}

/// The PTX that a device of a compute capability runs: the newest architecture that is not newer than the device. Among
/// several of one architecture, the last without architecture-specific features (`sm_90` before `sm_90a`).
///
/// # Errors
/// `CUDA_ERROR_NO_BINARY_FOR_GPU` where there is none, which names what there is.
pub fn choose(containers: &[&[u8]], capability: u32) -> Result<String, JitError> {
    let (mut found, mut seen, mut machine_code) = (Vec::new(), Vec::new(), Vec::new());
    for container in containers {
        let (ptx, others) = entries(container)?;
        seen.extend(ptx.iter().map(|entry| entry.architecture));
        found.extend(
            ptx.into_iter()
                .filter(|entry| entry.architecture <= capability),
        );
        machine_code.extend(others);
    }
    let Some(newest) = found.iter().map(|entry| entry.architecture).max() else {
        return Err(JitError::new(
            CUresult::NO_BINARY_FOR_GPU,
            format!("no PTX for sm_{capability}: there is PTX for {seen:?} and machine code for {machine_code:?}"),
        ));
    };
    let candidates: Vec<_> = found
        .iter()
        .rev()
        .filter(|entry| entry.architecture == newest)
        .collect();
    let mut texts = candidates.iter().map(|entry| entry.text());
    let first = texts.next().ok_or_else(|| invalid("no PTX"))??;
    if !is_specific(&first) {
        return Ok(first);
    }
    Ok(texts
        .flatten()
        .find(|text| !is_specific(text))
        .unwrap_or(first))
}

/// Whether a module's target has a suffix, as in `sm_90a`.
fn is_specific(text: &str) -> bool {
    let target = text
        .split_once(".target")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or("");
    target
        .trim_end_matches(',')
        .ends_with(|last: char| last.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u16, architecture: u32, flags: u64, text: &str, payload: &[u8]) -> Vec<u8> {
        let stored = payload.len().next_multiple_of(8);
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(0x101u16.to_le_bytes());
        let compressed = if flags == 0 { 0 } else { payload.len() as u32 };
        for word in [64, stored as u32, 0, compressed, 0, 0, architecture, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for long in [flags, 0, text.len() as u64] {
            bytes.extend(long.to_le_bytes());
        }
        bytes.extend(payload);
        bytes.resize(64 + stored, 0);
        bytes
    }

    fn container(entries: &[Vec<u8>]) -> Vec<u8> {
        let body = entries.concat();
        let mut bytes = HEADER.to_le_bytes().to_vec();
        bytes.extend([1, 0, 16, 0]);
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_newest_runnable_ptx_is_taken() {
        let text = |sm: &str| format!(".version 8.0\n.target {sm}\n// {}", "x".repeat(100));
        let (old, new, special, future) =
            (text("sm_80"), text("sm_90"), text("sm_90a"), text("sm_100"));
        let bytes = container(&[
            entry(2, 86, 0, "", b"machine code"),
            entry(
                1,
                80,
                FLAG_LZ4,
                &old,
                &lz4_flex::block::compress(old.as_bytes()),
            ),
            entry(
                1,
                90,
                FLAG_ZSTD,
                &new,
                &zstd::bulk::compress(new.as_bytes(), 3).unwrap(),
            ),
            entry(1, 90, 0, &special, special.as_bytes()),
            entry(1, 100, 0, &future, future.as_bytes()),
        ]);
        assert_eq!(choose(&[&bytes], 90).unwrap(), new);
        assert_eq!(choose(&[&bytes], 89).unwrap(), old);
        assert_eq!(choose(&[&bytes], 120).unwrap(), future);
        let error = choose(&[&bytes], 75).unwrap_err();
        assert_eq!(error.status, CUresult::NO_BINARY_FOR_GPU);
        assert!(
            error.message.contains("[80, 90, 90, 100]") && error.message.contains("[86]"),
            "{error}"
        );
    }

    #[test]
    fn damage_is_an_error() {
        let text = ".version 8.0\n.target sm_80";
        let bytes = container(&[entry(
            1,
            80,
            FLAG_ZSTD,
            text,
            &zstd::bulk::compress(text.as_bytes(), 3).unwrap(),
        )]);
        for length in 0..bytes.len() - 8 {
            let _ = choose(&[&bytes[..length]], 90);
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xff;
            let _ = choose(&[&damaged], 90);
        }
        assert_eq!(
            choose(&[b"not a container"], 90).unwrap_err().status,
            CUresult::INVALID_IMAGE
        );
    }
}
