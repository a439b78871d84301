//! Copies.

use super::batch::reads_during_call;
use crate::boundary::{In, Result};
use crate::core::array::Array;
use crate::core::context::{open_states, Context, State};
use crate::core::context_event;
use crate::core::copy::{locate, place, Copy, Located, Named, Place, Side};
use crate::core::operation::Operation;
use crate::core::peer;
use crate::core::stack;
use crate::core::stream::Stream;
use cuda_abi::*;
use std::ffi::c_void;
use std::sync::Arc;

/// How a call goes on when its copy is in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// It returns.
    Async,
    /// It waits until the bytes are there.
    Sync,
    /// It returns, since it is about the device alone; between two devices, all their other work comes before or after.
    OnDevice,
}

/// Copies bytes in a stream.
fn linear(
    stream: CUstream,
    destination: (u64, Named),
    source: (u64, Named),
    bytes: usize,
    call: Call,
) -> Result {
    let stream = Stream::from_handle(stream)?;
    if bytes == 0 {
        return Ok(());
    }
    let vulkan = &stream.group.vulkan;
    let destination = locate(vulkan, destination.0, destination.1)?;
    let source = locate(vulkan, source.0, source.1)?;
    let copy = Copy::linear(destination.place(), source.place(), bytes as u64);
    if let (Located::Here(_), Located::Here(_)) = (&destination, &source) {
        return run(&stream, copy, call == Call::Sync);
    }
    let state = |located: Located| match located {
        Located::Here(_) => state_of(&stream),
        Located::There(state, _) => Ok(state),
    };
    let (to, from) = (state(destination)?, state(source)?);
    between(&stream, (&to, &from), call != Call::Async, Some(copy))?;
    match call {
        Call::Sync => stream.synchronize(),
        _ => Ok(()),
    }
}

fn state_of(stream: &Stream) -> Result<Arc<State>> {
    Context::from_handle(stream.group.context)?.state()
}

fn run(stream: &Arc<Stream>, copy: Copy, wait: bool) -> Result {
    if wait {
        // A call that waits cannot be captured.
        stream.refuse_while_capturing()?;
    }
    let done = Operation::Copy(copy).enqueue(stream)?;
    if wait && !done {
        stream.synchronize()?;
    }
    Ok(())
}

fn host(pointer: *const c_void) -> (u64, Named) {
    (pointer as u64, Named::Host)
}

fn device(address: CUdeviceptr) -> (u64, Named) {
    (address, Named::Device)
}

fn unified(address: CUdeviceptr) -> (u64, Named) {
    (address, Named::Unified)
}

pub fn cuMemcpy(
    default_stream: CUstream,
    dst: CUdeviceptr,
    src: CUdeviceptr,
    byte_count: usize,
) -> Result {
    linear(
        default_stream,
        unified(dst),
        unified(src),
        byte_count,
        Call::Sync,
    )
}

pub fn cuMemcpyAsync(
    dst: CUdeviceptr,
    src: CUdeviceptr,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    linear(stream, unified(dst), unified(src), byte_count, Call::Async)
}

pub fn cuMemcpyHtoD_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    src: *const c_void,
    byte_count: usize,
) -> Result {
    linear(
        default_stream,
        device(dst),
        host(src),
        byte_count,
        Call::Sync,
    )
}

pub fn cuMemcpyHtoDAsync_v2(
    dst: CUdeviceptr,
    src: *const c_void,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    linear(stream, device(dst), host(src), byte_count, Call::Async)
}

pub fn cuMemcpyDtoH_v2(
    default_stream: CUstream,
    dst: *mut c_void,
    src: CUdeviceptr,
    byte_count: usize,
) -> Result {
    linear(
        default_stream,
        host(dst),
        device(src),
        byte_count,
        Call::Sync,
    )
}

pub fn cuMemcpyDtoHAsync_v2(
    dst: *mut c_void,
    src: CUdeviceptr,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    linear(stream, host(dst), device(src), byte_count, Call::Async)
}

pub fn cuMemcpyDtoD_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    src: CUdeviceptr,
    byte_count: usize,
) -> Result {
    linear(
        default_stream,
        device(dst),
        device(src),
        byte_count,
        Call::OnDevice,
    )
}

pub fn cuMemcpyDtoDAsync_v2(
    dst: CUdeviceptr,
    src: CUdeviceptr,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    linear(stream, device(dst), device(src), byte_count, Call::Async)
}

/// Copies between contexts, whichever is current. With `serialized`, all work of the three that there is comes before, and all
/// later work of them after it.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` while the stream captures, even where there is one context alone.
fn between(
    stream: &Arc<Stream>,
    (to, from): (&Arc<State>, &Arc<State>),
    serialized: bool,
    copy: Option<Copy>,
) -> Result {
    stream.refuse_while_capturing()?;
    let Some(copy) = copy else {
        return Ok(());
    };
    let mut contexts = vec![state_of(stream)?];
    for state in [to, from] {
        if !contexts.iter().any(|known| Arc::ptr_eq(known, state)) {
            contexts.push(state.clone());
        }
    }
    if serialized {
        for state in &contexts {
            let end = context_event::end(state, false)?;
            stream.run(|vulkan| vulkan.wait(&end))?;
        }
    }
    let here = &stream.group.vulkan;
    let alone = Arc::ptr_eq(here, &to.vulkan) && Arc::ptr_eq(here, &from.vulkan);
    let done = match alone {
        true => Operation::Copy(copy).enqueue(stream)?,
        false => peer::between(stream, to, from, &copy)?,
    };
    if serialized && !done {
        let end = stream.run(|vulkan| vulkan.record_event(false))?;
        for state in &contexts {
            context_event::wait_for(state, &end)?;
        }
    }
    Ok(())
}

/// The context that a side of a copy names; none is the current one.
fn given_state(context: CUcontext) -> Result<Arc<State>> {
    match context {
        CUcontext::NULL => stack::state(),
        _ => Context::from_handle(context)?.state(),
    }
}

fn peer_bytes(
    stream: CUstream,
    dst: (CUdeviceptr, CUcontext),
    src: (CUdeviceptr, CUcontext),
    byte_count: usize,
    serialized: bool,
) -> Result {
    let (to, from) = (given_state(dst.1)?, given_state(src.1)?);
    let copy = match byte_count {
        0 => None,
        _ => Some(Copy::linear(
            place(&to.vulkan, dst.0, Named::Device)?,
            place(&from.vulkan, src.0, Named::Device)?,
            byte_count as u64,
        )),
    };
    between(
        &Stream::from_handle(stream)?,
        (&to, &from),
        serialized,
        copy,
    )
}

pub fn cuMemcpyPeer(
    default_stream: CUstream,
    dst_device: CUdeviceptr,
    dst_context: CUcontext,
    src_device: CUdeviceptr,
    src_context: CUcontext,
    byte_count: usize,
) -> Result {
    peer_bytes(
        default_stream,
        (dst_device, dst_context),
        (src_device, src_context),
        byte_count,
        true,
    )
}

pub fn cuMemcpyPeerAsync(
    dst_device: CUdeviceptr,
    dst_context: CUcontext,
    src_device: CUdeviceptr,
    src_context: CUcontext,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    peer_bytes(
        stream,
        (dst_device, dst_context),
        (src_device, src_context),
        byte_count,
        false,
    )
}

/// One side of a copy of rows as the API gives it.
struct Rows {
    kind: CUmemorytype,
    host: u64,
    device: CUdeviceptr,
    array: CUarray,
    /// Bytes, rows and slices to skip.
    skip: [usize; 3],
    /// 0 where the rows lie close together.
    pitch: usize,
    /// Rows of a slice.
    height: usize,
}

impl Rows {
    /// The side as seen from a device, and the context of another one if it lies there.
    fn side(
        &self,
        vulkan: &Arc<vulkan::Device>,
        size: [usize; 3],
    ) -> Result<(Side, Option<Arc<State>>)> {
        let named = match self.kind {
            CUmemorytype::HOST => (self.host, Named::Host),
            CUmemorytype::DEVICE => (self.device, Named::Device),
            CUmemorytype::UNIFIED => (self.device, Named::Unified),
            CUmemorytype::ARRAY => return self.array_side(vulkan, size),
            _ => return Err(CUresult::INVALID_VALUE),
        };
        let [width, height, _] = size;
        // Measured with NVIDIA's driver: pitch and height count for a single row and slice, too, and where they are 0, rows and
        // slices lie close together, what is skipped before them included.
        let [skipped, skipped_rows, _] = self.skip;
        let whole = |given: usize, skipped: usize, size: usize| {
            let least = skipped.saturating_add(size);
            match given {
                0 => Ok(least),
                given if given < least => Err(CUresult::INVALID_VALUE),
                given => Ok(given),
            }
        };
        let pitch = whole(self.pitch, skipped, width)?;
        let rows = whole(self.height, skipped_rows, height)?;
        let slice = pitch.checked_mul(rows).ok_or(CUresult::INVALID_VALUE)?;
        let [x, y, z] = self.skip;
        let skip = z
            .checked_mul(slice)
            .and_then(|z| y.checked_mul(pitch)?.checked_add(z)?.checked_add(x));
        let start = named
            .0
            .checked_add(skip.ok_or(CUresult::INVALID_VALUE)? as u64)
            .ok_or(CUresult::INVALID_VALUE)?;
        let located = locate(vulkan, start, named.1)?;
        let side = Side {
            place: located.place(),
            pitch: pitch as u64,
            slice: slice as u64,
        };
        let owner = match located {
            Located::Here(_) => None,
            Located::There(state, _) => Some(state),
        };
        Ok((side, owner))
    }

    fn array_side(
        &self,
        vulkan: &Arc<vulkan::Device>,
        size: [usize; 3],
    ) -> Result<(Side, Option<Arc<State>>)> {
        if self.array.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        let array = Array::from_handle(self.array)?;
        let pitch = u64::from(array.level.pitch);
        let side = Side {
            place: Place::Device(array.address(self.skip, size)?),
            pitch,
            slice: pitch * u64::from(array.level.rows),
        };
        let owner = array_state(&array)?;
        Ok((side, (!Arc::ptr_eq(&owner.vulkan, vulkan)).then_some(owner)))
    }
}

/// The context that an array was made in.
fn array_state(array: &Array) -> Result<Arc<State>> {
    open_states()
        .into_iter()
        .find(|state| state.context_id == array.context_id())
        .ok_or(CUresult::CONTEXT_IS_DESTROYED)
}

fn rows(stream: CUstream, destination: Rows, source: Rows, size: [usize; 3], wait: bool) -> Result {
    let stream = Stream::from_handle(stream)?;
    let vulkan = &stream.group.vulkan;
    let Some((copy, owners)) = resolve((vulkan, &destination), (vulkan, &source), size)? else {
        return Ok(());
    };
    // Only copies that touch the host wait.
    let wait_here = wait && !copy.is_on_device();
    if let [None, None] = owners {
        return run(&stream, copy, wait_here);
    }
    let [to, from] = owners.map(|owner| owner.map_or_else(|| state_of(&stream), Ok));
    between(&stream, (&to?, &from?), wait, Some(copy))?;
    match wait_here {
        true => stream.synchronize(),
        false => Ok(()),
    }
}

/// A copy of rows, each side as seen from a device; and the contexts of destination and source where that is another's.
#[allow(clippy::type_complexity)] // a copy with its two owners
fn resolve(
    destination: (&Arc<vulkan::Device>, &Rows),
    source: (&Arc<vulkan::Device>, &Rows),
    size: [usize; 3],
) -> Result<Option<(Copy, [Option<Arc<State>>; 2])>> {
    if size.contains(&0) {
        return Ok(None);
    }
    let [width, height, depth] = size.map(|n| n as u64);
    let (destination, to) = destination.1.side(destination.0, size)?;
    let (source, from) = source.1.side(source.0, size)?;
    let copy = Copy {
        destination,
        source,
        width,
        height,
        depth,
    };
    Ok(Some((copy, [to, from])))
}

fn copy_2d(stream: CUstream, copy: In<CUDA_MEMCPY2D>, wait: bool) -> Result {
    let copy = copy.get()?;
    let destination = Rows {
        kind: copy.dstMemoryType,
        host: copy.dstHost as u64,
        device: copy.dstDevice,
        array: copy.dstArray,
        skip: [copy.dstXInBytes, copy.dstY, 0],
        pitch: copy.dstPitch,
        height: 0,
    };
    let source = Rows {
        kind: copy.srcMemoryType,
        host: copy.srcHost as u64,
        device: copy.srcDevice,
        array: copy.srcArray,
        skip: [copy.srcXInBytes, copy.srcY, 0],
        pitch: copy.srcPitch,
        height: 0,
    };
    rows(
        stream,
        destination,
        source,
        [copy.WidthInBytes, copy.Height, 1],
        wait,
    )
}

pub fn cuMemcpy2D_v2(default_stream: CUstream, copy: In<CUDA_MEMCPY2D>) -> Result {
    copy_2d(default_stream, copy, true)
}

pub use cuMemcpy2D_v2 as cuMemcpy2DUnaligned_v2;

pub fn cuMemcpy2DAsync_v2(copy: In<CUDA_MEMCPY2D>, stream: CUstream) -> Result {
    copy_2d(stream, copy, false)
}

fn sides_3d(copy: &CUDA_MEMCPY3D) -> (Rows, Rows, [usize; 3]) {
    let destination = Rows {
        kind: copy.dstMemoryType,
        host: copy.dstHost as u64,
        device: copy.dstDevice,
        array: copy.dstArray,
        skip: [copy.dstXInBytes, copy.dstY, copy.dstZ],
        pitch: copy.dstPitch,
        height: copy.dstHeight,
    };
    let source = Rows {
        kind: copy.srcMemoryType,
        host: copy.srcHost as u64,
        device: copy.srcDevice,
        array: copy.srcArray,
        skip: [copy.srcXInBytes, copy.srcY, copy.srcZ],
        pitch: copy.srcPitch,
        height: copy.srcHeight,
    };
    (
        destination,
        source,
        [copy.WidthInBytes, copy.Height, copy.Depth],
    )
}

/// A graph node's copy.
///
/// # Errors
/// As `cuMemcpy3D`.
pub(super) fn node_copy(stream: &Stream, copy: &CUDA_MEMCPY3D) -> Result<Copy> {
    let (destination, source, size) = sides_3d(copy);
    let vulkan = &stream.group.vulkan;
    match resolve((vulkan, &destination), (vulkan, &source), size)? {
        None => Err(CUresult::INVALID_VALUE),
        Some((copy, [None, None])) => Ok(copy),
        Some(_) => {
            tracing::warn!("a copy between devices as a node of a graph is not supported");
            Err(CUresult::NOT_SUPPORTED)
        }
    }
}

fn copy_3d(stream: CUstream, copy: &CUDA_MEMCPY3D, wait: bool) -> Result {
    let (destination, source, size) = sides_3d(copy);
    rows(stream, destination, source, size, wait)
}

pub fn cuMemcpy3D_v2(default_stream: CUstream, copy: In<CUDA_MEMCPY3D>) -> Result {
    copy_3d(default_stream, &copy.get()?, true)
}

pub fn cuMemcpy3DAsync_v2(copy: In<CUDA_MEMCPY3D>, stream: CUstream) -> Result {
    copy_3d(stream, &copy.get()?, false)
}

/// The sides of a copy between contexts, without those.
fn without_contexts(copy: &CUDA_MEMCPY3D_PEER) -> CUDA_MEMCPY3D {
    CUDA_MEMCPY3D {
        srcXInBytes: copy.srcXInBytes,
        srcY: copy.srcY,
        srcZ: copy.srcZ,
        srcLOD: copy.srcLOD,
        srcMemoryType: copy.srcMemoryType,
        srcHost: copy.srcHost,
        srcDevice: copy.srcDevice,
        srcArray: copy.srcArray,
        reserved0: std::ptr::null_mut(),
        srcPitch: copy.srcPitch,
        srcHeight: copy.srcHeight,
        dstXInBytes: copy.dstXInBytes,
        dstY: copy.dstY,
        dstZ: copy.dstZ,
        dstLOD: copy.dstLOD,
        dstMemoryType: copy.dstMemoryType,
        dstHost: copy.dstHost,
        dstDevice: copy.dstDevice,
        dstArray: copy.dstArray,
        reserved1: std::ptr::null_mut(),
        dstPitch: copy.dstPitch,
        dstHeight: copy.dstHeight,
        WidthInBytes: copy.WidthInBytes,
        Height: copy.Height,
        Depth: copy.Depth,
    }
}

/// The context of a side. That of an array is its own, whichever is given.
fn side_state(kind: CUmemorytype, context: CUcontext, array: CUarray) -> Result<Arc<State>> {
    if kind != CUmemorytype::ARRAY {
        return given_state(context);
    }
    array_state(&*Array::from_handle(array)?)
}

fn peer_rows(stream: CUstream, copy: In<CUDA_MEMCPY3D_PEER>, serialized: bool) -> Result {
    let copy = copy.get()?;
    let to = side_state(copy.dstMemoryType, copy.dstContext, copy.dstArray)?;
    let from = side_state(copy.srcMemoryType, copy.srcContext, copy.srcArray)?;
    let (destination, source, size) = sides_3d(&without_contexts(&copy));
    let stream = Stream::from_handle(stream)?;
    match resolve((&to.vulkan, &destination), (&from.vulkan, &source), size)? {
        None => Ok(()),
        Some((copy, [None, None])) => between(&stream, (&to, &from), serialized, Some(copy)),
        // Not in the memory of the context that it is said to be in.
        Some(_) => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuMemcpy3DPeer(default_stream: CUstream, copy: In<CUDA_MEMCPY3D_PEER>) -> Result {
    peer_rows(default_stream, copy, true)
}

pub fn cuMemcpy3DPeerAsync(copy: In<CUDA_MEMCPY3D_PEER>, stream: CUstream) -> Result {
    peer_rows(stream, copy, false)
}

/// Bytes of a row of an array of one dimension, as a device address.
fn array_bytes(array: CUarray, offset: usize, bytes: usize) -> Result<(u64, Named)> {
    if array.is_null() {
        return Err(CUresult::INVALID_VALUE);
    }
    // Of arrays of several rows it is the first.
    let array = Array::from_handle(array)?;
    Ok((array.address([offset, 0, 0], [bytes, 1, 1])?, Named::Device))
}

pub fn cuMemcpyAtoA_v2(
    default_stream: CUstream,
    dst_array: CUarray,
    dst_offset: usize,
    src_array: CUarray,
    src_offset: usize,
    byte_count: usize,
) -> Result {
    let size = |array| -> Result<u32> { Ok(Array::from_handle(array)?.format.texel_bytes()) };
    if size(dst_array)? != size(src_array)? {
        return Err(CUresult::INVALID_VALUE);
    }
    let to = array_bytes(dst_array, dst_offset, byte_count)?;
    let from = array_bytes(src_array, src_offset, byte_count)?;
    linear(default_stream, to, from, byte_count, Call::OnDevice)
}

pub fn cuMemcpyAtoD_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    src_array: CUarray,
    src_offset: usize,
    byte_count: usize,
) -> Result {
    let from = array_bytes(src_array, src_offset, byte_count)?;
    linear(
        default_stream,
        device(dst),
        from,
        byte_count,
        Call::OnDevice,
    )
}

pub fn cuMemcpyDtoA_v2(
    default_stream: CUstream,
    dst_array: CUarray,
    dst_offset: usize,
    src: CUdeviceptr,
    byte_count: usize,
) -> Result {
    let to = array_bytes(dst_array, dst_offset, byte_count)?;
    linear(default_stream, to, device(src), byte_count, Call::OnDevice)
}

pub fn cuMemcpyAtoH_v2(
    default_stream: CUstream,
    dst: *mut c_void,
    src_array: CUarray,
    src_offset: usize,
    byte_count: usize,
) -> Result {
    let from = array_bytes(src_array, src_offset, byte_count)?;
    linear(default_stream, host(dst), from, byte_count, Call::Sync)
}

pub fn cuMemcpyAtoHAsync_v2(
    dst: *mut c_void,
    src_array: CUarray,
    src_offset: usize,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    let from = array_bytes(src_array, src_offset, byte_count)?;
    linear(stream, host(dst), from, byte_count, Call::Async)
}

pub fn cuMemcpyHtoA_v2(
    default_stream: CUstream,
    dst_array: CUarray,
    dst_offset: usize,
    src: *const c_void,
    byte_count: usize,
) -> Result {
    let to = array_bytes(dst_array, dst_offset, byte_count)?;
    linear(default_stream, to, host(src), byte_count, Call::Sync)
}

pub fn cuMemcpyHtoAAsync_v2(
    dst_array: CUarray,
    dst_offset: usize,
    src: *const c_void,
    byte_count: usize,
    stream: CUstream,
) -> Result {
    let to = array_bytes(dst_array, dst_offset, byte_count)?;
    linear(stream, to, host(src), byte_count, Call::Async)
}

/// A copy of a batch: the two sides, and the size in bytes, rows and slices.
fn batch_sides(op: &CUDA_MEMCPY3D_BATCH_OP) -> Result<(Rows, Rows, [usize; 3])> {
    let array = |operand: &CUmemcpy3DOperand| match operand.kind {
        // SAFETY: the member is the one that the type says; all are plain data.
        CUmemcpy3DOperandType::ARRAY => Ok(Some(unsafe { operand.op.array })),
        CUmemcpy3DOperandType::POINTER => Ok(None),
        _ => Err(CUresult::INVALID_VALUE),
    };
    let arrays = [array(&op.dst)?, array(&op.src)?];
    // Bytes of an element: that of the array; where both are arrays, they agree.
    let mut element = None;
    for place in arrays.iter().flatten() {
        let size = Array::from_handle(place.array)?.format.texel_bytes() as usize;
        if element.is_some_and(|other| other != size) {
            return Err(CUresult::INVALID_VALUE);
        }
        element = Some(size);
    }
    let element = element.unwrap_or(1);
    let bytes = |elements: usize| elements.checked_mul(element).ok_or(CUresult::INVALID_VALUE);
    let side = |operand: &CUmemcpy3DOperand| -> Result<Rows> {
        Ok(match array(operand)? {
            Some(place) => Rows {
                kind: CUmemorytype::ARRAY,
                host: 0,
                device: 0,
                array: place.array,
                skip: [bytes(place.offset.x)?, place.offset.y, place.offset.z],
                pitch: 0,
                height: 0,
            },
            None => {
                // SAFETY: as above.
                let place = unsafe { operand.op.ptr };
                Rows {
                    kind: CUmemorytype::UNIFIED,
                    host: 0,
                    device: place.ptr,
                    array: CUarray::NULL,
                    skip: [0; 3],
                    pitch: bytes(place.rowLength)?,
                    height: place.layerHeight,
                }
            }
        })
    };
    let extent = op.extent;
    Ok((
        side(&op.dst)?,
        side(&op.src)?,
        [bytes(extent.width)?, extent.height, extent.depth],
    ))
}

pub fn cuMemcpy3DWithAttributesAsync(
    op: In<CUDA_MEMCPY3D_BATCH_OP>,
    flags: u64,
    stream: CUstream,
) -> Result {
    if flags != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let op = op.get()?;
    let waits = reads_during_call(op.srcAccessOrder, op.flags)?;
    let (destination, source, size) = batch_sides(&op)?;
    rows(stream, destination, source, size, false)?;
    match waits {
        true => Stream::from_handle(stream)?.synchronize(),
        false => Ok(()),
    }
}
