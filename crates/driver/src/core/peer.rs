//! Copies between two devices.
//!
//! Vulkan devices do not reach each other's memory: the bytes go through memory of the host, in pieces, of which two are under way
//! at the same time. Each device has a stream for its part; they wait for each other through the host.
//!
//! ```text
//! stream of the call   start ........................................ waits for the end
//! the source's         waits for start, piece -> its host memory
//! the destination's    waits for that, host memory -> its host memory (the host does it) -> piece
//! ```

use crate::boundary::Result;
use crate::core::context::State;
use crate::core::copy::{device_slice, Copy, Place, Staging};
use crate::core::status::IntoCuda;
use crate::core::stream::Stream;
use crate::core::stream_pool::OpenDevice;
use cuda_abi::CUresult;
use std::sync::Arc;
use vulkan::{Error, EventPoint};

/// Bytes of a piece.
const PIECE: u64 = 16 << 20;

/// Room for one piece on the way.
struct Slot {
    source: Staging,
    destination: Staging,
    /// When the destination has taken the last piece out of it.
    taken: Option<EventPoint>,
}

/// Appends a copy from memory of one device to that of another. The call returns at once, unless the streams are full.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` while the stream captures; `CUDA_ERROR_INVALID_VALUE` for a range that exceeds its
/// allocation; `CUDA_ERROR_OUT_OF_MEMORY`; sticky errors.
pub fn copy(stream: &Stream, to: &State, from: &State, copy: &Copy) -> Result {
    stream.refuse_while_capturing()?;
    let pieces = copy.simplified().pieces(PIECE);
    let Some(largest) = pieces.iter().map(Copy::bytes).max() else {
        return Ok(());
    };
    // Before anything is done: the pieces would find out one by one.
    for (state, side) in [(to, &copy.destination), (from, &copy.source)] {
        if let Place::Device(address) = side.place {
            state
                .vulkan
                .check_range(address, copy.extent(side)?)
                .cuda()?;
        }
    }
    let (to, from) = (&to.streams.open, &from.streams.open);
    let mut slots = Vec::new();
    for _ in 0..pieces.len().min(2) {
        slots.push(Slot {
            source: Staging::on(&from.vulkan, largest)?,
            destination: Staging::on(&to.vulkan, largest)?,
            taken: None,
        });
    }
    let start = stream.run(|vulkan| vulkan.record_event(false))?;
    let end = through_host(to, from, &start, &pieces, slots)?;
    stream.run(|vulkan| vulkan.wait(&end))
}

/// Appends the pieces to streams of their own; gives the point at which all are there.
fn through_host(
    to: &Arc<OpenDevice>,
    from: &Arc<OpenDevice>,
    start: &EventPoint,
    pieces: &[Copy],
    mut slots: Vec<Slot>,
) -> Result<EventPoint> {
    let (reader, writer) = (from.take_stream()?, to.take_stream()?);
    let mut append = || -> std::result::Result<EventPoint, Error> {
        reader.wait(start)?;
        writer.wait(start)?;
        let count = slots.len();
        for (index, piece) in pieces.iter().enumerate() {
            let slot = &mut slots[index % count];
            if let Some(taken) = &slot.taken {
                reader.wait(taken)?;
            }
            let there = Copy {
                destination: slot.source.side(piece),
                ..*piece
            };
            device_slice(&reader, &there.simplified())?;
            let read = reader.record_event(false)?;
            let mut carry = Some(slot.destination.carrier(&slot.source, piece.bytes()));
            writer.host_poll(Box::new(move || {
                let done = read.is_complete().unwrap_or_else(|error| {
                    tracing::warn!(%error, "a copy from another device");
                    true
                });
                if let Some(carry) = carry.take_if(|_| done) {
                    carry();
                }
                done
            }))?;
            let here = Copy {
                source: slot.destination.side(piece),
                ..*piece
            };
            device_slice(&writer, &here.simplified())?;
            slot.taken = Some(writer.record_event(false)?);
        }
        writer.record_event(false)
    };
    let result = append();
    // The host's memory stays until both are done with it: the destination's stream is the later one.
    let kept = writer.keep_alive(Box::new(slots));
    from.give_back(reader);
    to.give_back(writer);
    kept.cuda()?;
    result.cuda()
}

/// Appends a copy that concerns one other device, and perhaps the host. Returns whether it is complete when the call returns.
///
/// # Errors
/// As [`copy`].
pub fn on_one(stream: &Stream, other: &State, copy: &Copy) -> Result<bool> {
    stream.refuse_while_capturing()?;
    let start = stream.run(|vulkan| vulkan.record_event(false))?;
    let end = {
        let there = &other.legacy;
        there.run(|vulkan| vulkan.wait(&start))?;
        if copy.run(there)? {
            return Ok(true);
        }
        there.run(|vulkan| vulkan.record_event(false))?
    };
    stream.run(|vulkan| vulkan.wait(&end))?;
    Ok(false)
}

/// Appends a copy whose sides belong to contexts, whichever they are. Returns whether it is complete when the call returns.
///
/// # Errors
/// As [`copy`]; `CUDA_ERROR_INVALID_VALUE` for a copy within the host.
pub fn between(stream: &Arc<Stream>, to: &State, from: &State, whole: &Copy) -> Result<bool> {
    let one = match (whole.destination.place, whole.source.place) {
        (Place::Device(_), Place::Device(_)) if Arc::ptr_eq(&to.vulkan, &from.vulkan) => to,
        (Place::Device(_), Place::Device(_)) => {
            return copy(stream, to, from, whole).map(|()| false)
        }
        (Place::Device(_), Place::Host(_)) => to,
        (Place::Host(_), Place::Device(_)) => from,
        (Place::Host(_), Place::Host(_)) => return Err(CUresult::INVALID_VALUE),
    };
    on_one(stream, one, whole)
}
