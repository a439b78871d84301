//! Operations on memory in a stream: writing a word, and waiting for one (CUDA driver API, "Stream Memory Operations").
//!
//! A wait is the host's, which looks at the word from time to time: a kernel that did would keep the queue from what is to
//! write it.

use crate::boundary::Result;
use crate::core::copy::{place, Named, Place};
use crate::core::stream::Stream;
use crate::core::stream_pool::OpenDevice;
use cuda_abi::*;
use std::sync::Arc;

/// When a wait is over, by the word and the value given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `word - value >= 0`, in numbers that wrap.
    AtLeast,
    /// `word == value`
    Equal,
    /// `word & value != 0`
    And,
    /// `!(word | value) != 0`
    Nor,
}

/// What is done with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is written.
    Write,
    /// It is waited for.
    Wait(Condition),
}

/// An operation on a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryOperation {
    /// Device address.
    pub address: u64,
    /// The value written or compared with.
    pub value: u64,
    /// Whether the word has 64 bits, else 32.
    pub wide: bool,
    /// What is done.
    pub action: Action,
}

/// Several operations in order, as they were given and as they are meant.
pub struct Batch {
    /// The context it was made in.
    pub context: CUcontext,
    /// As given.
    pub given: Vec<CUstreamBatchMemOpParams>,
    /// As meant.
    pub operations: Vec<MemoryOperation>,
}

// SAFETY: numbers all through, the addresses among them are the device's.
unsafe impl Send for Batch {}
// SAFETY: as above, and nothing changes them.
unsafe impl Sync for Batch {}

/// `CU_STREAM_WAIT_VALUE_FLUSH`.
const FLUSH: u32 = 1 << 30;

/// How to wait, by the flags of a wait.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for unknown flags, `CUDA_ERROR_NOT_SUPPORTED` for a flush of remote writes, of which there are none
/// (the device attribute says 0).
pub fn wait(flags: u32) -> Result<Action> {
    if flags & FLUSH != 0 {
        tracing::warn!("waiting for a value with a flush of remote writes is not supported");
        return Err(CUresult::NOT_SUPPORTED);
    }
    Ok(Action::Wait(match flags {
        0 => Condition::AtLeast,
        1 => Condition::Equal,
        2 => Condition::And,
        3 => Condition::Nor,
        _ => return Err(CUresult::INVALID_VALUE),
    }))
}

/// How to write, by the flags of a write: there is always a barrier, and doing without cannot be asked for.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for unknown flags.
pub fn write(flags: u32) -> Result<Action> {
    match flags {
        0 => Ok(Action::Write),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

impl Condition {
    fn holds(self, word: u64, value: u64, wide: bool) -> bool {
        let bits = if wide { u64::MAX } else { u32::MAX.into() };
        match self {
            // The sign of the difference in as many bits.
            Condition::AtLeast => {
                let sign = (bits >> 1) + 1;
                word.wrapping_sub(value) & sign == 0
            }
            Condition::Equal => word == value,
            Condition::And => word & value != 0,
            Condition::Nor => !(word | value) & bits != 0,
        }
    }
}

/// Looks at words for waits.
struct Reader {
    /// The word where the host reaches it.
    host: Option<usize>,
    address: u64,
    wide: bool,
    open: Arc<OpenDevice>,
    stream: Option<Arc<vulkan::Stream>>,
}

impl Reader {
    fn read(&mut self) -> std::result::Result<u64, vulkan::Error> {
        if let Some(host) = self.host {
            // SAFETY: by the API's contract the application keeps the memory, aligned and mapped, until the wait is over.
            return Ok(unsafe {
                match self.wide {
                    true => (host as *const u64).read_volatile(),
                    false => (host as *const u32).read_volatile().into(),
                }
            });
        }
        let mut bytes = [0; 8];
        let stream = match &self.stream {
            Some(stream) => stream,
            None => self.stream.insert(self.open.vulkan.create_stream()?),
        };
        stream.read(self.address, &mut bytes[..if self.wide { 8 } else { 4 }])?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.open.give_back(stream);
        }
    }
}

impl MemoryOperation {
    /// The operation on a word at an address.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for one that is not aligned or not the device's.
    pub fn new(
        stream: &Stream,
        address: u64,
        value: u64,
        wide: bool,
        action: Action,
    ) -> Result<Self> {
        let size = if wide { 8 } else { 4 };
        if address % size != 0 {
            return Err(CUresult::INVALID_VALUE);
        }
        let Place::Device(address) = place(&stream.group.vulkan, address, Named::Device)? else {
            return Err(CUresult::INVALID_VALUE);
        };
        Ok(Self {
            address,
            value,
            wide,
            action,
        })
    }

    /// Appends it to a stream that does not capture.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn run(&self, stream: &Stream) -> Result {
        let Self {
            address,
            value,
            wide,
            action,
        } = *self;
        let condition = match action {
            Action::Write => {
                let bytes = value.to_le_bytes();
                let size = if wide { 8 } else { 4 };
                return stream.run(|vulkan| vulkan.write(address, &bytes[..size]));
            }
            Action::Wait(condition) => condition,
        };
        let found = stream.group.vulkan.find(address);
        let host =
            found.and_then(|found| Some(found.host? as usize + (address - found.base) as usize));
        let mut reader = Reader {
            host,
            address,
            wide,
            open: stream.group.open.clone(),
            stream: None,
        };
        stream.run(|vulkan| {
            vulkan.host_poll(Box::new(move || match reader.read() {
                Ok(word) => condition.holds(word, value, wide),
                Err(error) => {
                    tracing::error!(%error, "waiting for a value");
                    true
                }
            }))
        })
    }
}

impl Batch {
    /// What an array of operations means.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`; `CUDA_ERROR_NOT_SUPPORTED` for a flush of remote writes.
    pub fn new(stream: &Stream, given: Vec<CUstreamBatchMemOpParams>) -> Result<Self> {
        const MOST: usize = 255;
        if given.len() > MOST {
            return Err(CUresult::INVALID_VALUE);
        }
        let mut operations = Vec::new();
        for params in &given {
            let (wide, waits) = match params.operation {
                CUstreamBatchMemOpType::WAIT_VALUE_32 => (false, true),
                CUstreamBatchMemOpType::WRITE_VALUE_32 => (false, false),
                CUstreamBatchMemOpType::WAIT_VALUE_64 => (true, true),
                CUstreamBatchMemOpType::WRITE_VALUE_64 => (true, false),
                // Operations of a stream are ordered anyway.
                CUstreamBatchMemOpType::BARRIER => continue,
                CUstreamBatchMemOpType::FLUSH_REMOTE_WRITES => {
                    tracing::warn!("a flush of remote writes is not supported");
                    return Err(CUresult::NOT_SUPPORTED);
                }
                _ => return Err(CUresult::INVALID_VALUE),
            };
            let action = match waits {
                true => wait(params.flags)?,
                false => write(params.flags)?,
            };
            let value = if wide {
                params.value
            } else {
                params.value & u64::from(u32::MAX)
            };
            operations.push(MemoryOperation::new(
                stream,
                params.address,
                value,
                wide,
                action,
            )?);
        }
        Ok(Self {
            context: stream.group.context,
            given,
            operations,
        })
    }

    /// Appends the operations to a stream that does not capture.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn run(&self, stream: &Stream) -> Result {
        self.operations
            .iter()
            .try_for_each(|operation| operation.run(stream))
    }

    /// Whether two do the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.operations == other.operations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_documented() {
        let holds = |condition: Condition, word, value| condition.holds(word, value, false);
        assert!(holds(Condition::AtLeast, 5, 5) && holds(Condition::AtLeast, 6, 5));
        assert!(!holds(Condition::AtLeast, 4, 5));
        assert!(holds(Condition::AtLeast, 2, 0xffff_fff0), "numbers wrap");
        assert!(Condition::AtLeast.holds(1 << 40, 5, true));
        assert!(!Condition::AtLeast.holds(2, 0xffff_fff0, true));
        assert!(holds(Condition::Equal, 7, 7) && !holds(Condition::Equal, 7, 8));
        assert!(holds(Condition::And, 6, 2) && !holds(Condition::And, 6, 8));
        assert!(holds(Condition::Nor, 0, 1) && !holds(Condition::Nor, 0xffff_fffe, 1));
        assert!(Condition::Nor.holds(0xffff_fffe, 1, true));
        assert!(wait(4).is_err() && wait(1 << 30).is_err() && write(2).is_err());
    }
}
