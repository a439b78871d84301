//! The memory of a module's variables (`ptx_spirv::ModuleLayout`).
//!
//! A kernel has one address for all of them, so that those beside a managed variable are in managed memory, too.

use crate::boundary::Result;
use crate::core::context;
use crate::core::jit::JitError;
use crate::core::module::MODULES;
use crate::core::program::Program;
use crate::core::status::{status, IntoCuda};
use crate::core::stream_pool::OpenDevice;
use cuda_abi::CUresult;
use ptx_spirv::ModuleLayout;
use std::sync::Arc;
use vulkan::{Allocation, MemoryKind};

/// Memory for a program's variables, with their initial values; none for a program without.
///
/// # Errors
/// Those of the translator's layout, of the allocation and of writing to it; `CUDA_ERROR_INVALID_IMAGE` for an initialiser outside
/// of the module.
pub fn make(
    program: &Program,
    open: &OpenDevice,
) -> std::result::Result<Option<Allocation>, JitError> {
    let layout = program.layout()?;
    if layout.size == 0 {
        return Ok(None);
    }
    let kind = match layout.is_managed() {
        true => MemoryKind::Managed,
        false => MemoryKind::Device,
    };
    let failed = |status| JitError::new(status, "a module's variables cannot be filled");
    let allocation = open
        .vulkan
        .allocate(layout.size, kind)
        .map_err(|error| JitError::new(status(&error), format!("a module's variables: {error}")))?;
    let image = image(layout, allocation.address())?;
    if !write_managed(&allocation, &image) {
        let stream = open.take_stream().map_err(failed)?;
        let address = allocation.address();
        let written = stream.write(address, &image).cuda().map_err(failed);
        written.and_then(|()| stream.synchronize().cuda().map_err(failed))?;
        open.give_back(stream);
    }
    Ok(Some(allocation))
}

/// Gives managed variables that no kernel uses their initial values again.
pub fn restart(program: &Program, allocation: &Allocation) {
    let image = program
        .layout()
        .and_then(|layout| image(layout, allocation.address()));
    if let Ok(image) = image {
        write_managed(allocation, &image);
    }
}

/// What the variables start out as, where they lie at an address.
fn image(layout: &ModuleLayout, address: u64) -> std::result::Result<Vec<u8>, JitError> {
    let mut image = layout.image.clone();
    image.resize(layout.size as usize, 0);
    for relocation in &layout.relocations {
        let bytes = relocation.bytes(address);
        let (start, size) = (relocation.offset as usize, relocation.size as usize);
        match image.get_mut(start..start + size) {
            Some(place) if size <= 8 => place.copy_from_slice(&bytes[..size]),
            _ => {
                return Err(JitError::new(
                    CUresult::INVALID_IMAGE,
                    "an initialiser lies outside its module",
                ))
            }
        }
    }
    Ok(image)
}

/// Writes all of managed memory; says whether it is managed.
fn write_managed(allocation: &Allocation, image: &[u8]) -> bool {
    match (allocation.kind(), allocation.host()) {
        (MemoryKind::Managed, Some(host)) => {
            let length = image.len().min(allocation.size() as usize);
            // SAFETY: the allocation is mapped from `host` on and has that many bytes, which no kernel uses.
            unsafe { std::ptr::copy_nonoverlapping(image.as_ptr(), host, length) };
            true
        }
        _ => false,
    }
}

/// Where a managed variable of a program lies in its memory, and its size.
///
/// # Errors
/// `CUDA_ERROR_NOT_FOUND`, for variables that are not managed, too; `CUDA_ERROR_INVALID_VALUE` for no name; those of the
/// translator's layout.
pub fn managed(program: &Program, name: &str) -> Result<(u64, usize)> {
    if name.is_empty() {
        return Err(CUresult::INVALID_VALUE);
    }
    let layout = program.layout().map_err(|error| error.status)?;
    match layout.variables.get(name).filter(|place| place.managed) {
        Some(place) => Ok((place.offset, place.size as usize)),
        None => Err(CUresult::NOT_FOUND),
    }
}

/// What the bytes of a module's variables at an address start out as, up to the end of the variables and no more than so many.
pub fn initial_at(address: u64, most: usize) -> Option<Vec<u8>> {
    MODULES.all().iter().find_map(|module| {
        let offset = address.checked_sub(module.code.made_variables()?.address())?;
        let image = &module.code.program.layout().ok()?.image;
        let bytes = image.get(usize::try_from(offset).ok()?..)?;
        (!bytes.is_empty()).then(|| bytes[..bytes.len().min(most)].to_vec())
    })
}

/// The size of the managed variable that begins at an address.
pub fn managed_at(address: u64) -> Option<u64> {
    MODULES.all().iter().find_map(|module| {
        let base = module.code.managed_variables()?.address();
        let layout = module.code.program.layout().ok()?;
        let mut managed = layout.variables.values().filter(|place| place.managed);
        let place = managed.find(|place| base + place.offset == address)?;
        Some(place.size)
    })
}

/// Forgets what contexts of a device were told of managed variables that go away.
pub fn forget(vulkan: &Arc<vulkan::Device>, allocation: &Allocation) {
    for state in context::open_states() {
        if Arc::ptr_eq(&state.vulkan, vulkan) {
            state.memory.forget(allocation.address());
        }
    }
}
