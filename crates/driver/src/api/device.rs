//! Device management.

use crate::boundary::{In, Out, Result};
use crate::core::capture;
use crate::core::platform::{device, platform};
use crate::core::pool::POOLS;
use crate::core::registry::Registry;
use crate::settings::settings;
use cuda_abi::CUdevice_attribute as A;
use cuda_abi::*;
use std::ffi::c_char;
use std::sync::Arc;

pub fn cuDeviceGet(handle: Out<CUdevice>, ordinal: i32) -> Result {
    handle.set(device(ordinal)?.ordinal)
}

pub fn cuDeviceGetCount(count: Out<i32>) -> Result {
    count.set(platform()?.devices.len() as i32)
}

pub fn cuDeviceGetName(name: Out<c_char>, len: i32, dev: CUdevice) -> Result {
    name.set_text(
        device(dev)?.physical.name(),
        usize::try_from(len).unwrap_or(0),
    )
}

pub fn cuDeviceGetUuid(uuid: Out<CUuuid>, dev: CUdevice) -> Result {
    uuid.set(device(dev)?.uuid())
}

pub use cuDeviceGetUuid as cuDeviceGetUuid_v2;

/// LUIDs are Windows'.
pub fn cuDeviceGetLuid(luid: Out<c_char>, device_node_mask: Out<u32>, dev: CUdevice) -> Result {
    device(dev)?;
    luid.required()?;
    device_node_mask.required()?;
    Err(CUresult::NOT_SUPPORTED)
}

pub fn cuDeviceTotalMem_v2(bytes: Out<usize>, dev: CUdevice) -> Result {
    bytes.set(device(dev)?.physical.memory_info().total as usize)
}

pub fn cuDeviceGetAttribute(
    value: Out<i32>,
    attribute: CUdevice_attribute,
    dev: CUdevice,
) -> Result {
    let device = device(dev)?;
    attribute.name().ok_or(CUresult::INVALID_VALUE)?;
    value.set(device.attribute(attribute))
}

pub fn cuDeviceGetByPCIBusId(found: Out<CUdevice>, pci_bus_id: In<c_char>) -> Result {
    found.required()?;
    let text = pci_bus_id.text()?;
    let wanted = parse_pci(&text).ok_or(CUresult::INVALID_VALUE)?;
    let device = platform()?.devices.iter().find(|device| {
        let pci = device.pci();
        (pci.domain, pci.bus, pci.device) == wanted
    });
    found.set(device.ok_or(CUresult::INVALID_DEVICE)?.ordinal)
}

/// `domain:bus:device.function`, of which domain and function may be missing; hexadecimal.
fn parse_pci(text: &str) -> Option<(u32, u32, u32)> {
    let text = text.split_once('.').map_or(text, |(start, _)| start);
    let mut parts = text
        .split(':')
        .map(|part| u32::from_str_radix(part, 16).ok());
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        (domain, bus, Some(device), None) => Some((domain?, bus?, device?)),
        (bus, device, None, None) => Some((0, bus?, device?)),
        _ => None,
    }
}

pub fn cuDeviceGetPCIBusId(pci_bus_id: Out<c_char>, len: i32, dev: CUdevice) -> Result {
    let pci = device(dev)?.pci();
    let text = format!(
        "{:04X}:{:02X}:{:02X}.{:X}",
        pci.domain, pci.bus, pci.device, pci.function
    );
    let size = usize::try_from(len).unwrap_or(0);
    // Of a text that is too long its beginning is there all the same.
    pci_bus_id.set_text(&text, size)?;
    match size > text.len() {
        true => Ok(()),
        false => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuDeviceComputeCapability(major: Out<i32>, minor: Out<i32>, dev: CUdevice) -> Result {
    device(dev)?;
    major.set(settings().compute_capability.0 as i32)?;
    minor.set(settings().compute_capability.1 as i32)
}

pub fn cuDeviceGetProperties(prop: Out<CUdevprop>, dev: CUdevice) -> Result {
    let device = device(dev)?;
    let get = |attribute| device.attribute(attribute);
    prop.set(CUdevprop {
        maxThreadsPerBlock: get(A::MAX_THREADS_PER_BLOCK),
        maxThreadsDim: [
            get(A::MAX_BLOCK_DIM_X),
            get(A::MAX_BLOCK_DIM_Y),
            get(A::MAX_BLOCK_DIM_Z),
        ],
        maxGridSize: [
            get(A::MAX_GRID_DIM_X),
            get(A::MAX_GRID_DIM_Y),
            get(A::MAX_GRID_DIM_Z),
        ],
        sharedMemPerBlock: get(A::MAX_SHARED_MEMORY_PER_BLOCK),
        totalConstantMemory: get(A::TOTAL_CONSTANT_MEMORY),
        SIMDWidth: get(A::WARP_SIZE),
        memPitch: get(A::MAX_PITCH),
        regsPerBlock: get(A::MAX_REGISTERS_PER_BLOCK),
        clockRate: get(A::CLOCK_RATE),
        textureAlign: get(A::TEXTURE_ALIGNMENT),
    })
}

/// Two devices are two Vulkan devices, which do not reach each other's memory.
pub fn cuDeviceGetP2PAttribute(
    value: Out<i32>,
    attribute: CUdevice_P2PAttribute,
    src_device: CUdevice,
    dst_device: CUdevice,
) -> Result {
    device(src_device)?;
    device(dst_device)?;
    if src_device == dst_device {
        return Err(CUresult::INVALID_DEVICE);
    }
    if attribute.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    value.set(0)
}

pub fn cuDeviceCanAccessPeer(
    can_access_peer: Out<i32>,
    dev: CUdevice,
    peer_dev: CUdevice,
) -> Result {
    device(dev)?;
    device(peer_dev)?;
    can_access_peer.set(0)
}

pub fn cuDeviceGetDefaultMemPool(pool_out: Out<CUmemoryPool>, dev: CUdevice) -> Result {
    pool_out.set(device(dev)?.default_pool().handle())
}

pub fn cuDeviceGetMemPool(pool: Out<CUmemoryPool>, dev: CUdevice) -> Result {
    pool.set(device(dev)?.pool().handle())
}

pub fn cuDeviceSetMemPool(dev: CUdevice, pool: CUmemoryPool) -> Result {
    let device = device(dev).map_err(|error| match error {
        CUresult::INVALID_DEVICE => CUresult::INVALID_VALUE,
        other => other,
    })?;
    let pool = match pool.is_null() {
        true => return Err(CUresult::INVALID_VALUE),
        false => POOLS.get(pool.0)?,
    };
    capture::refuse_unsafe_call()?;
    if pool.device.ordinal != device.ordinal || pool.kind != vulkan::MemoryKind::Device {
        return Err(CUresult::INVALID_VALUE);
    }
    let default = Registry::handle(&pool) == Registry::handle(device.default_pool());
    device.set_pool((!default).then(|| Arc::clone(&pool)));
    Ok(())
}

pub fn cuDeviceGetExecAffinitySupport(
    value: Out<i32>,
    _kind: CUexecAffinityType,
    dev: CUdevice,
) -> Result {
    device(dev)?;
    value.set(0)
}

/// Nothing is known of atomics between the device and the host: none is promised.
pub fn cuDeviceGetHostAtomicCapabilities(
    capabilities: Out<u32>,
    operations: In<i32>,
    count: u32,
    ordinal: CUdevice,
) -> Result {
    device(ordinal)?;
    // From the sum of integers to the maximum of floats.
    let known = 0..=12;
    let operations = operations.all(count as usize)?;
    if operations.is_empty() || !operations.iter().all(|operation| known.contains(operation)) {
        return Err(CUresult::INVALID_VALUE);
    }
    capabilities.set_all(operations.iter().map(|_| 0))
}

/// Nor of atomics between devices, of which there have to be two.
pub fn cuDeviceGetP2PAtomicCapabilities(
    capabilities: Out<u32>,
    operations: In<i32>,
    count: u32,
    src_device: CUdevice,
    dst_device: CUdevice,
) -> Result {
    device(src_device)?;
    if src_device == dst_device {
        return Err(CUresult::INVALID_DEVICE);
    }
    cuDeviceGetHostAtomicCapabilities(capabilities, operations, count, dst_device)
}

#[cfg(test)]
mod tests {
    use super::parse_pci;

    #[test]
    fn pci_ids_in_every_form() {
        assert_eq!(parse_pci("0000:0a:1f.0"), Some((0, 10, 31)));
        assert_eq!(parse_pci("ffff:00:01"), Some((0xffff, 0, 1)));
        assert_eq!(parse_pci("3:0.0"), Some((0, 3, 0)));
        assert_eq!(parse_pci("3"), None);
        assert_eq!(parse_pci("x:y:z"), None);
    }
}
