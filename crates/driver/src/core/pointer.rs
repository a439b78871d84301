//! What is known about an address: `cuPointerGetAttribute`.

use crate::boundary::Result;
use crate::core::context::{self, State};
use crate::core::device::Device;
use crate::core::pool::PoolBytes;
use crate::core::stack;
use crate::core::virtual_memory::{self, Mapped, Place};
use cuda_abi::*;
use std::sync::Arc;
use vulkan::{Found, MemoryKind};

/// An address that lies in an allocation of this library's.
pub struct Known {
    /// The context whose allocation it is; none for memory that is mapped into a reservation.
    pub state: Option<Arc<State>>,
    device: &'static Device,
    /// What is mapped where, for memory in a reservation.
    virtual_place: Option<Place>,
    /// The allocation.
    pub found: Found,
    /// The device address.
    pub address: u64,
}

/// Looks an address up in the current context, then in the others. Host addresses of pinned memory are known, too.
pub fn find(address: u64) -> Option<Known> {
    if let Some(place) = virtual_memory::find(address) {
        let mapped = place.mapped?;
        return Some(Known {
            state: None,
            device: place.device,
            virtual_place: Some(place),
            found: Found {
                base: mapped.base,
                size: mapped.size,
                kind: MemoryKind::Device,
                host: None,
                alone: false,
            },
            address,
        });
    }
    let current = stack::state().ok();
    let others = context::open_states().into_iter();
    let mut states = current.into_iter().chain(others);
    let mut known = states.find_map(|state| {
        if let Some(found) = state.vulkan.find(address) {
            return Some(Known {
                device: state.device,
                state: Some(state),
                virtual_place: None,
                found,
                address,
            });
        }
        let found = state.vulkan.find_host(address as *const u8)?;
        let host = found.host? as u64;
        Some(Known {
            found,
            address: found.base + (address - host),
            device: state.device,
            state: Some(state),
            virtual_place: None,
        })
    })?;
    // Contexts of one device share its memory: the one that allocated it is told.
    if let Some(finder) = known.state.clone() {
        if !finder.memory.owns(&known.found) {
            let owner = context::open_states().into_iter().find(|state| {
                Arc::ptr_eq(&state.vulkan, &finder.vulkan) && state.memory.owns(&known.found)
            });
            known.state = owner.or(known.state);
        }
    }
    Some(known)
}

/// The value of an attribute, in the bytes that the caller's place has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// `unsigned int`, `int`, `CUdevice` or an enumeration.
    Int(i32),
    /// A pointer, size or handle.
    Long(u64),
    /// `bool`.
    Bool(bool),
}

impl Known {
    /// What is mapped there, in a reservation.
    fn mapped(&self) -> Option<Mapped> {
        self.virtual_place.and_then(|place| place.mapped)
    }

    /// The pool that it comes from.
    fn pool(&self) -> Option<PoolBytes> {
        let state = self.state.as_ref()?;
        state.memory.pool_of(self.found.base)
    }

    fn is_of_pinned_pool(&self) -> bool {
        self.pool().is_some_and(|bytes| bytes.pool().is_pinned_host)
    }

    fn is_host(&self) -> bool {
        matches!(self.found.kind, MemoryKind::Host | MemoryKind::Imported)
            || self.is_of_pinned_pool()
    }

    /// An attribute.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for what the address does not have or nobody knows.
    pub fn attribute(&self, attribute: CUpointer_attribute) -> Result<Value> {
        use CUpointer_attribute as A;
        let offset = self.address - self.found.base;
        Ok(match attribute {
            A::CONTEXT => Value::Long(match &self.state {
                // Memory of pools is no context's.
                Some(state) if state.memory.pool_of(self.found.base).is_none() => {
                    state.context.0 as u64
                }
                _ => 0,
            }),
            A::MEMORY_TYPE => Value::Int(match self.is_host() {
                true => CUmemorytype::HOST.0 as i32,
                false => CUmemorytype::DEVICE.0 as i32,
            }),
            // Memory that is mapped is the device's once its access is set.
            A::DEVICE_POINTER => match self.mapped().map(|mapped| mapped.access) {
                Some(CUmemAccess_flags::NONE) => return Err(CUresult::INVALID_VALUE),
                _ => Value::Long(self.address),
            },
            A::HOST_POINTER => match (self.found.kind, self.found.host) {
                (MemoryKind::Device, _) | (_, None) => return Err(CUresult::INVALID_VALUE),
                (_, Some(host)) => Value::Long(host as u64 + offset),
            },
            // Synchronous copies always are, of the device's memory as of the host's, of which it is not told; what was set is kept.
            A::SYNC_MEMOPS => {
                let set = self
                    .state
                    .as_ref()
                    .and_then(|s| s.memory.synchronous(&self.found));
                Value::Int(set.unwrap_or(!self.is_host()).into())
            }
            A::BUFFER_ID | A::MEMORY_BLOCK_ID => Value::Long(match self.mapped() {
                Some(mapped) => mapped.memory,
                None => self.found.base,
            }),
            A::IS_MANAGED => {
                Value::Bool(self.found.kind == MemoryKind::Managed && !self.is_of_pinned_pool())
            }
            A::DEVICE_ORDINAL => Value::Int(self.device.ordinal),
            A::IS_LEGACY_CUDA_IPC_CAPABLE
            | A::IS_GPU_DIRECT_RDMA_CAPABLE
            | A::IS_HW_DECOMPRESS_CAPABLE => Value::Bool(false),
            A::RANGE_START_ADDR => Value::Long(match &self.virtual_place {
                Some(place) => place.reserved.0,
                None => self.found.base,
            }),
            A::RANGE_SIZE => Value::Long(match &self.virtual_place {
                Some(place) => place.reserved.1,
                None => self.found.size,
            }),
            A::MAPPING_BASE_ADDR => Value::Long(self.found.base),
            A::MAPPING_SIZE => Value::Long(self.found.size),
            A::MAPPED => Value::Bool(true),
            A::ALLOWED_HANDLE_TYPES => Value::Long(0),
            // The flags of cuMemSetAccess have the same values.
            A::ACCESS_FLAGS => Value::Int(match self.mapped() {
                Some(mapped) => mapped.access.0 as i32,
                None => CUmemAccess_flags::READWRITE.0 as i32,
            }),
            A::MEMPOOL_HANDLE => Value::Long(
                self.pool()
                    .map_or(0, |bytes| bytes.pool().handle().0 as u64),
            ),
            _ => return Err(CUresult::INVALID_VALUE),
        })
    }
}

/// What `cuPointerGetAttributes` gives for an address that is not known.
pub fn unknown(attribute: CUpointer_attribute, address: CUdeviceptr) -> Option<Value> {
    use CUpointer_attribute as A;
    Some(match attribute {
        A::CONTEXT | A::DEVICE_POINTER | A::RANGE_START_ADDR | A::RANGE_SIZE | A::BUFFER_ID => {
            Value::Long(0)
        }
        // It may be the host's.
        A::HOST_POINTER => Value::Long(address),
        A::MEMPOOL_HANDLE | A::ALLOWED_HANDLE_TYPES => Value::Long(0),
        A::MAPPING_BASE_ADDR | A::MAPPING_SIZE | A::MEMORY_BLOCK_ID => Value::Long(0),
        A::MEMORY_TYPE | A::SYNC_MEMOPS | A::ACCESS_FLAGS => Value::Int(0),
        A::DEVICE_ORDINAL => Value::Int(CU_DEVICE_INVALID),
        A::IS_MANAGED
        | A::IS_LEGACY_CUDA_IPC_CAPABLE
        | A::MAPPED
        | A::IS_GPU_DIRECT_RDMA_CAPABLE
        | A::IS_HW_DECOMPRESS_CAPABLE => Value::Bool(false),
        _ => return None,
    })
}
