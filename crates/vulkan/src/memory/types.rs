//! Which memory types the runtime allocates from.

use crate::DeviceKind;
use ash::vk;
use std::cmp::Reverse;

/// Memory types by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryTypes {
    /// [`crate::MemoryKind::Device`].
    pub(crate) device: u32,
    /// [`crate::MemoryKind::Host`] and `Managed`.
    pub(crate) host: u32,
    /// Small blocks that the host writes and kernels read: parameters.
    pub(crate) upload: u32,
}

impl MemoryTypes {
    /// Chooses among the types of `allowed` (bit by index: not every type takes buffers).
    pub(crate) fn choose(
        kind: DeviceKind,
        memory: &vk::PhysicalDeviceMemoryProperties,
        allowed: u32,
    ) -> Result<Self, String> {
        use vk::MemoryPropertyFlags as Flags;
        let excluded = Flags::PROTECTED
            | Flags::LAZILY_ALLOCATED
            | Flags::DEVICE_COHERENT_AMD
            | Flags::RDMA_CAPABLE_NV;
        let mappable = Flags::HOST_VISIBLE | Flags::HOST_COHERENT;
        let unified = matches!(kind, DeviceKind::Integrated | DeviceKind::Cpu);
        let types = &memory.memory_types[..memory.memory_type_count as usize];
        let candidates = |needed: Flags| {
            types
                .iter()
                .enumerate()
                .filter(move |(index, kind)| {
                    allowed & (1 << index) != 0
                        && kind.property_flags.contains(needed)
                        && !kind.property_flags.intersects(excluded)
                })
                .map(|(index, kind)| {
                    let heap = memory.memory_heaps[kind.heap_index as usize].size;
                    (index as u32, kind.property_flags, heap)
                })
        };
        // The biggest heap; mapped where that reaches all of it (memory that is the host's anyway, cards with a resizable
        // BAR), so that small writes need no command; cached where it is the host's.
        let (device, ..) = candidates(Flags::DEVICE_LOCAL)
            .max_by_key(|&(index, flags, heap)| {
                let cached = flags.contains(Flags::HOST_CACHED);
                (
                    heap,
                    flags.contains(mappable),
                    cached == unified,
                    Reverse(index),
                )
            })
            .ok_or("device-local memory")?;
        let (host, ..) = candidates(mappable)
            .max_by_key(|&(index, flags, heap)| {
                let local = flags.contains(Flags::DEVICE_LOCAL);
                (
                    flags.contains(Flags::HOST_CACHED),
                    local == unified,
                    heap,
                    Reverse(index),
                )
            })
            .ok_or("host-visible coherent memory")?;
        let (upload, ..) = candidates(mappable)
            .max_by_key(|&(index, flags, heap)| {
                (flags.contains(Flags::DEVICE_LOCAL), heap, Reverse(index))
            })
            .ok_or("host-visible coherent memory")?;
        Ok(Self {
            device,
            host,
            upload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vk::MemoryPropertyFlags as Flags;

    fn properties(types: &[(Flags, u32)], heaps: &[u64]) -> vk::PhysicalDeviceMemoryProperties {
        let mut properties = vk::PhysicalDeviceMemoryProperties {
            memory_type_count: types.len() as u32,
            memory_heap_count: heaps.len() as u32,
            ..Default::default()
        };
        for (place, &(property_flags, heap_index)) in properties.memory_types.iter_mut().zip(types)
        {
            *place = vk::MemoryType {
                property_flags,
                heap_index,
            };
        }
        for (place, &size) in properties.memory_heaps.iter_mut().zip(heaps) {
            place.size = size;
        }
        properties
    }

    const MAPPED: Flags =
        Flags::from_raw(Flags::HOST_VISIBLE.as_raw() | Flags::HOST_COHERENT.as_raw());
    const CACHED: Flags = Flags::from_raw(MAPPED.as_raw() | Flags::HOST_CACHED.as_raw());
    const LOCAL: Flags = Flags::DEVICE_LOCAL;

    /// A card with its memory on heap 0, the host's on heap 1 and a small window on heap 2.
    #[test]
    fn a_card() {
        let memory = properties(
            &[(LOCAL, 0), (MAPPED, 1), (LOCAL | MAPPED, 2), (CACHED, 1)],
            &[16 << 30, 32 << 30, 256 << 20],
        );
        let types = MemoryTypes::choose(DeviceKind::Discrete, &memory, !0);
        assert_eq!(
            types,
            Ok(MemoryTypes {
                device: 0,
                host: 3,
                upload: 2
            })
        );
    }

    /// A card whose whole memory the host reaches: an NVIDIA H200.
    #[test]
    fn a_card_with_a_resizable_bar() {
        let memory = properties(
            &[(MAPPED, 1), (LOCAL, 0), (CACHED, 1), (LOCAL | MAPPED, 0)],
            &[140 << 30, 256 << 30],
        );
        let types = MemoryTypes::choose(DeviceKind::Discrete, &memory, !0);
        assert_eq!(
            types,
            Ok(MemoryTypes {
                device: 3,
                host: 2,
                upload: 3
            })
        );
    }

    /// Intel Battlemage: the first type takes images only.
    #[test]
    fn a_type_that_takes_no_buffers() {
        let memory = properties(
            &[(LOCAL, 0), (LOCAL, 0), (CACHED, 1)],
            &[12 << 30, 16 << 30],
        );
        let types = MemoryTypes::choose(DeviceKind::Discrete, &memory, 0b110);
        assert_eq!(
            types,
            Ok(MemoryTypes {
                device: 1,
                host: 2,
                upload: 2
            })
        );
    }

    #[test]
    fn memory_shared_with_the_host_is_mapped() {
        let memory = properties(
            &[(LOCAL, 0), (LOCAL | MAPPED, 0), (LOCAL | CACHED, 0)],
            &[16 << 30],
        );
        let types = MemoryTypes::choose(DeviceKind::Integrated, &memory, !0);
        assert_eq!(
            types,
            Ok(MemoryTypes {
                device: 2,
                host: 2,
                upload: 1
            })
        );
    }

    #[test]
    fn nothing_to_map() {
        let memory = properties(&[(LOCAL, 0)], &[1 << 30]);
        assert!(MemoryTypes::choose(DeviceKind::Discrete, &memory, !0).is_err());
    }
}
