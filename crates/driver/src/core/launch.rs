//! Kernel launches as the API gives them: dimensions, parameters, attributes.

use crate::boundary::{In, Pointers, Result};
use crate::core::capture;
use crate::core::event::EVENTS;
use crate::core::function::Function;
use crate::core::operation::{self, Blocks, Launch, Operation};
use crate::core::program::MAX_PARAMETERS;
use crate::core::stream::Stream;
use cuda_abi::*;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::Arc;

/// Dimensions of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub dynamic_shared: u32,
}

impl Shape {
    /// Checks the dimensions against the limits that the device attributes tell.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn check(&self) -> Result {
        let [x, y, z] = self.grid;
        let grid = (1..=i32::MAX as u32).contains(&x)
            && (1..=65535).contains(&y)
            && (1..=65535).contains(&z);
        let [x, y, z] = self.block;
        let block = (1..=1024).contains(&x)
            && (1..=1024).contains(&y)
            && (1..=64).contains(&z)
            && x * y * z <= 1024;
        if grid && block {
            Ok(())
        } else {
            Err(CUresult::INVALID_VALUE)
        }
    }
}

/// The parameter block of a launch: usually short, so without an allocation.
pub type Parameters = SmallVec<[u8; 512]>;

/// How arguments were given as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of them; what a kernel takes beyond these is 0.
    pub bytes: usize,
    /// Whether the list has their size before their place.
    pub size_first: bool,
}

/// Reads the list that `extra` takes: where the arguments are (0 where it does not say), and how they are given. It ends in 0, and
/// has a pointer to all of them packed (1) and one to their size (2).
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for another key.
fn packed_list(extra: Pointers) -> Result<(usize, Packed)> {
    let (mut buffer, mut size, mut size_first) = (0usize, None, false);
    for index in (0..).step_by(2) {
        let value = match extra.at(index)? as usize {
            CU_LAUNCH_PARAM_END => break,
            key => (key, extra.at(index + 1)? as usize),
        };
        match value {
            (CU_LAUNCH_PARAM_BUFFER_POINTER, pointer) => buffer = pointer,
            (CU_LAUNCH_PARAM_BUFFER_SIZE, pointer) if pointer != 0 => {
                // SAFETY: by the API's contract this entry points to a size_t.
                size = Some(unsafe { (pointer as *const usize).read_unaligned() });
                size_first = buffer == 0;
            }
            _ => return Err(CUresult::INVALID_VALUE),
        }
    }
    let bytes = size.unwrap_or(0);
    Ok((buffer, Packed { bytes, size_first }))
}

/// How a list gives arguments; `None` where there is no list.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for what is no such list.
pub fn packed(extra: Pointers) -> Result<Option<Packed>> {
    match extra.is_null() {
        true => Ok(None),
        false => packed_list(extra).map(|(_, packed)| Some(packed)),
    }
}

/// Packs a kernel's arguments: `kernelParams` holds a pointer to each; `extra` a list that gives all of them packed.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` where neither or both are given, or too little is; `CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES` for
/// more packed bytes than the kernel takes.
pub fn pack(function: &Function, kernel_params: Pointers, extra: Pointers) -> Result<Parameters> {
    let mut packed = Parameters::from_elem(0, function.parameter_bytes as usize);
    if !extra.is_null() {
        if !kernel_params.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        let (buffer, Packed { bytes: size, .. }) = packed_list(extra)?;
        if size == 0 && !packed.is_empty()
            || size > 0 && buffer == 0
            || size > MAX_PARAMETERS as usize
        {
            return Err(CUresult::INVALID_VALUE);
        }
        if size > packed.len() {
            return Err(CUresult::LAUNCH_OUT_OF_RESOURCES);
        }
        // What is missing is 0.
        // SAFETY: by the API's contract the buffer holds `size` bytes.
        unsafe { std::ptr::copy_nonoverlapping(buffer as *const u8, packed.as_mut_ptr(), size) };
        return Ok(packed);
    }
    for (index, &(offset, size)) in function.parameters.iter().enumerate() {
        let argument: *mut c_void = kernel_params.at(index)?;
        if argument.is_null() {
            return Err(CUresult::INVALID_VALUE);
        }
        let place = &mut packed[offset as usize..(offset + size) as usize];
        // SAFETY: by the API's contract each pointer is to an argument of the parameter's size.
        unsafe {
            std::ptr::copy_nonoverlapping(argument as *const u8, place.as_mut_ptr(), place.len())
        };
    }
    Ok(packed)
}

/// Launches a kernel in a stream, or adds it to the graph that the stream captures.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for dimensions or arguments; those of [`Function::pipeline`]; sticky errors.
pub fn launch(
    stream: &Arc<Stream>,
    function: &Arc<Function>,
    shape: Shape,
    kernel_params: Pointers,
    extra: Pointers,
) -> Result {
    let parameters = shape
        .check()
        .and_then(|()| pack(function, kernel_params, extra));
    // A launch that is wrong in itself ends a capture.
    let parameters = parameters.inspect_err(|_| stream.capture.invalidate())?;
    let arguments = (&*parameters, Some(extra));
    run(stream, function, shape, arguments, Blocks::Apart)
}

/// The same with a parameter block.
///
/// # Errors
/// As [`launch`].
pub fn launch_packed(
    stream: &Arc<Stream>,
    function: &Arc<Function>,
    shape: Shape,
    parameters: &[u8],
) -> Result {
    shape.check()?;
    run(stream, function, shape, (parameters, None), Blocks::Apart)
}

/// Appends a launch to a stream, or to the graph that the stream captures, whose node tells how the arguments were given.
fn run(
    stream: &Arc<Stream>,
    function: &Arc<Function>,
    shape: Shape,
    (parameters, extra): (&[u8], Option<Pointers>),
    blocks: Blocks,
) -> Result {
    if function.code.context_id != stream.group.context_id {
        return Err(CUresult::INVALID_HANDLE);
    }
    if stream.capture.is_active() {
        let launch = Launch {
            packed: extra.map(packed).transpose()?.flatten(),
            ..node(function, shape, parameters, blocks)?
        };
        return capture::add(stream, Operation::Launch(launch)).map(|_| ());
    }
    operation::launch(
        stream,
        function,
        shape.grid,
        shape.block,
        shape.dynamic_shared,
        (parameters, &function.bind()?),
        blocks,
    )
}

/// A launch as what a node does, with what the kernel's references are bound to now.
///
/// # Errors
/// Those of [`Function::bind`].
pub fn node(
    function: &Arc<Function>,
    shape: Shape,
    parameters: &[u8],
    blocks: Blocks,
) -> Result<Launch> {
    Ok(Launch {
        function: function.clone(),
        grid: shape.grid,
        block: shape.block,
        dynamic_shared: shape.dynamic_shared,
        parameters: parameters.to_vec(),
        packed: None,
        references: function.bind()?,
        blocks,
    })
}

/// A cooperative launch: all blocks have to be resident at once. Vulkan promises that of no more than one block; there may be
/// as many as [`check_resident`] lets pass. The device attribute says whether those are as many as programs count on.
///
/// # Errors
/// Those of [`check_resident`] and [`launch`].
pub fn cooperative(
    stream: &Arc<Stream>,
    function: &Arc<Function>,
    shape: Shape,
    kernel_params: Pointers,
    extra: Pointers,
) -> Result {
    let parameters = shape
        .check()
        .and_then(|()| pack(function, kernel_params, extra))
        .inspect_err(|_| stream.capture.invalidate())?;
    check_resident(function, shape.grid).inspect_err(|_| stream.capture.invalidate())?;
    let arguments = (&*parameters, Some(extra));
    run(stream, function, shape, arguments, Blocks::Together)
}

/// Checks that the blocks of a grid can all run at once, as far as is known
/// ([`resident_workgroups`](vulkan::PhysicalDevice::resident_workgroups)).
///
/// # Errors
/// `CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE`.
pub fn check_resident(function: &Function, grid: [u32; 3]) -> Result {
    if !is_resident(function, grid) {
        tracing::warn!(
            "{}: cooperative launch of {grid:?} blocks: only {} are known to be resident",
            function.name.to_string_lossy(),
            function.code.vulkan.physical().resident_workgroups()
        );
        return Err(CUresult::COOPERATIVE_LAUNCH_TOO_LARGE);
    }
    Ok(())
}

/// Whether the blocks of a grid can all run at once, as far as is known.
pub fn is_resident(function: &Function, grid: [u32; 3]) -> bool {
    let blocks = grid
        .iter()
        .fold(1u64, |product, &n| product.saturating_mul(n.into()));
    blocks <= function.code.vulkan.physical().resident_workgroups().into()
}

/// What the attributes of a launch ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// All blocks have to be resident at once.
    pub cooperative: bool,
    /// Events to record when the blocks have started or the kernel allows it: recorded after the kernel, which is later
    /// than asked for and never too early.
    pub events: Vec<CUevent>,
}

/// Reads the attributes of `cuLaunchKernelEx`, which questions about occupancy take, too.
///
/// Work of a stream runs in order here, which is all that programmatic serialisation allows to relax; priorities, memory
/// synchronisation domains, cache windows and carve-outs are hints.
///
/// # Errors
/// `CUDA_ERROR_INVALID_CLUSTER_SIZE` for clusters of more than one block; `CUDA_ERROR_NOT_SUPPORTED` for attributes that
/// promise something that would not happen.
pub fn attributes(list: In<CUlaunchAttribute>, count: usize) -> Result<Attributes> {
    use CUlaunchAttributeID as A;
    let mut found = Attributes::default();
    let mut has_cluster = false;
    for attribute in list.all(count)? {
        // SAFETY: every bit pattern is an integer; the caller sets the member that the id says.
        let (int, dimensions, handle, bytes) = unsafe {
            (
                attribute.value.int,
                attribute.value.dimensions,
                attribute.value.align,
                attribute.value.bytes,
            )
        };
        has_cluster |= attribute.id == A::CLUSTER_DIMENSION;
        match attribute.id {
            A::COOPERATIVE => found.cooperative |= int != 0,
            A::PROGRAMMATIC_EVENT | A::LAUNCH_COMPLETION_EVENT => {
                let event = CUevent(handle as usize);
                // Only events without a time can be recorded within a launch.
                if EVENTS.get(event.0).is_ok_and(|event| event.is_timed()) {
                    return Err(CUresult::NOT_SUPPORTED);
                }
                found.events.push(event)
            }
            A::CLUSTER_DIMENSION
                if dimensions.contains(&0) && dimensions.iter().any(|&n| n != 0) =>
            {
                return Err(CUresult::INVALID_CLUSTER_SIZE)
            }
            A::PREFERRED_CLUSTER_DIMENSION if !has_cluster => {
                return Err(CUresult::INVALID_CLUSTER_SIZE)
            }
            // A domain is the default or the remote one; the map has a number for each.
            A::MEM_SYNC_DOMAIN if !(0..=1).contains(&int) => return Err(CUresult::INVALID_VALUE),
            A::MEM_SYNC_DOMAIN_MAP if bytes[..2].iter().any(|&domain| domain > 3) => {
                return Err(CUresult::INVALID_VALUE)
            }
            A::CLUSTER_SCHEDULING_POLICY_PREFERENCE if !(0..=2).contains(&int) => {
                return Err(CUresult::INVALID_VALUE)
            }
            A::PREFERRED_SHARED_MEMORY_CARVEOUT if !(-1..=100).contains(&int) => {
                return Err(CUresult::INVALID_VALUE)
            }
            // Of streams alone.
            A::SYNCHRONIZATION_POLICY => return Err(CUresult::INVALID_VALUE),
            A::CLUSTER_DIMENSION if dimensions.iter().any(|&n| n > 1) => {
                tracing::warn!("launches with clusters of {dimensions:?} blocks are not supported");
                return Err(CUresult::INVALID_CLUSTER_SIZE);
            }
            A::IGNORE
            | A::ACCESS_POLICY_WINDOW
            | A::CLUSTER_DIMENSION
            | A::CLUSTER_SCHEDULING_POLICY_PREFERENCE
            | A::PROGRAMMATIC_STREAM_SERIALIZATION
            | A::PRIORITY
            | A::MEM_SYNC_DOMAIN_MAP
            | A::MEM_SYNC_DOMAIN
            | A::PREFERRED_CLUSTER_DIMENSION
            | A::PREFERRED_SHARED_MEMORY_CARVEOUT
            | A::NVLINK_UTIL_CENTRIC_SCHEDULING => {}
            other => {
                tracing::warn!("launch attribute {other:?} is not supported");
                return Err(match other.name() {
                    Some(_) => CUresult::NOT_SUPPORTED,
                    None => CUresult::INVALID_VALUE,
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_limits() {
        let shape = Shape {
            grid: [1, 1, 1],
            block: [32, 8, 4],
            dynamic_shared: 0,
        };
        assert_eq!(shape.check(), Ok(()));
        assert!(Shape {
            grid: [1, 65536, 1],
            ..shape
        }
        .check()
        .is_err());
        assert!(Shape {
            grid: [0, 1, 1],
            ..shape
        }
        .check()
        .is_err());
        assert!(Shape {
            block: [1024, 2, 1],
            ..shape
        }
        .check()
        .is_err());
        assert!(Shape {
            block: [1, 1, 65],
            ..shape
        }
        .check()
        .is_err());
        assert_eq!(
            Shape {
                grid: [300_000, 1, 1],
                ..shape
            }
            .check(),
            Ok(())
        );
    }
}
