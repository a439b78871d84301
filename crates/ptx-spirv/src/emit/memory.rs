//! ld, st and their kin, and the state spaces behind them (PTX ISA, "State Spaces", "ld", "st", "cp.async").
//!
//! Global memory is reached by address (PhysicalStorageBuffer). Shared memory is workgroup memory seen through one view
//! per element type, or part of the scratch slice. Local memory is a variable (`emit/local.rs`), or part of the slice. A generic
//! access tests the windows of shared and local memory, unless both are addresses like any other.

use super::entry::Push;
use super::*;
use ptx::AddressBase;
use rspirv::spirv::{Capability, Decoration, StorageClass};

/// A state space, as far as access to it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    Const,
    Generic,
    Shared,
    Local,
    Parameter,
}

/// The state space among an instruction's modifiers; generic if there is none.
pub(crate) fn space_of(i: &Instruction) -> Space {
    i.modifiers
        .iter()
        .find_map(|m| {
            Some(match m {
                Modifier::Global => Space::Global,
                Modifier::Const => Space::Const,
                Modifier::Shared | Modifier::SharedCta | Modifier::SharedCluster => Space::Shared,
                Modifier::Local => Space::Local,
                Modifier::Param | Modifier::ParamEntry | Modifier::ParamFunc => Space::Parameter,
                _ => return None,
            })
        })
        .unwrap_or(Space::Generic)
}

/// An address within a space: 64 bits for memory of the device, a 32-bit offset for shared and local memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) space: Space,
    pub(crate) id: Id,
}

/// SPIR-V's scope Workgroup, and Acquire and Release for its memory.
const WORKGROUP_SCOPE: u32 = 2;
const ACQUIRE: u32 = 0x102;
const RELEASE: u32 = 0x104;
/// SPIR-V's scope Device, and the memory operands by which a store reaches it and a load comes from it.
const DEVICE_SCOPE: u32 = 1;
const MAKE_AVAILABLE: u32 = 0x8;
const MAKE_VISIBLE: u32 = 0x10;

/// How an access takes part in the memory model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// Not to be merged, moved or left out.
    pub(crate) volatile: bool,
    /// Other blocks see it, and it sees theirs: past the caches of a multiprocessor.
    pub(crate) coherent: bool,
    /// No other thread writes the memory while the kernel runs.
    pub(crate) constant: bool,
    /// Bytes of alignment, where less than the natural one; 0 for natural.
    pub(crate) align: u32,
}

fn access_of(i: &Instruction) -> Access {
    use Modifier::*;
    let volatile = i
        .modifiers
        .iter()
        .any(|m| matches!(m, Volatile | Relaxed | Acquire | Release | Mmio));
    Access {
        volatile,
        coherent: volatile && !i.has(Cta) || i.has(Cg) || i.has(Cv),
        constant: i.has(Nc),
        align: 0,
    }
}

/// Whether a load or store of a type is one of 128 bits that has to be atomic.
fn is_wide_atomic(i: &Instruction, ty: ScalarType) -> bool {
    use Modifier::*;
    let ordered = |m: &Modifier| matches!(m, Relaxed | Acquire | Release);
    ty == B128 && i.modifiers.iter().any(ordered)
}

/// Whether a kernel has shared memory, and local memory, whose generic addresses are a window.
pub(super) fn windows(info: &KernelInfo) -> (bool, bool) {
    (
        !info.shared_in_scratch && (info.static_shared > 0 || info.dynamic_shared_align > 1),
        !info.local_in_scratch && info.local_bytes > 0,
    )
}

impl Emitter<'_> {
    pub(super) fn memory(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Ld | Opcode::Ldu => self.ld(i),
            Opcode::St if i.has(Modifier::Bulk) => unsupported(i),
            Opcode::St if i.has(Modifier::Async) => {
                self.st(i)?;
                let (_, _, whole) = self.shape(i)?;
                let bytes = self.asm.u32(whole.size());
                self.complete_bytes(self.operand(i, 2)?, bytes)
            }
            Opcode::St => self.st(i),
            Opcode::Createpolicy => {
                let zero = self.asm.constant(Type::U64, 0);
                self.set(self.operand(i, 0)?, Type::U64, zero)
            }
            // Hints.
            _ => Ok(()),
        }
    }

    /// The address of a memory operand.
    pub(crate) fn address(&mut self, o: &Operand, space: Space) -> Result<Address> {
        let Operand::Address { base, offset } = o else {
            return Err(EmitError::Invalid(
                "an operand that is not an address".into(),
            ));
        };
        let narrow = matches!(space, Space::Shared | Space::Local);
        let ty = if narrow { Type::U32 } else { Type::U64 };
        let id = match base {
            AddressBase::Absolute => self.asm.constant(ty, *offset as u64),
            AddressBase::Register(r) => {
                let r = self.virtual_register(*r);
                let v = self.register(r);
                let id = self.cast(v, ty);
                let id = match self.varying_offset {
                    Some(offset) if narrow => self.asm.op(Op::IAdd, ty, &[id, offset]),
                    _ => self.offset(id, ty, *offset),
                };
                if space == Space::Generic {
                    self.note_local(r, *offset, id);
                    return Ok(self.specific(r, id));
                }
                id
            }
            AddressBase::Symbol(s) => {
                let place = self.place(*s)?;
                let v = self.symbol_address(*s, *offset)?;
                match (place, space) {
                    (Place::Shared(_) | Place::DynamicShared, Space::Generic) => {
                        let window = self.window(Space::Shared);
                        let id = self.cast(v, Type::U64);
                        return Ok(Address {
                            space,
                            id: self.asm.op(Op::IAdd, Type::U64, &[id, window]),
                        });
                    }
                    (Place::Local(_), Space::Generic) => {
                        let window = self.window(Space::Local);
                        let id = self.cast(v, Type::U64);
                        return Ok(Address {
                            space,
                            id: self.asm.op(Op::IAdd, Type::U64, &[id, window]),
                        });
                    }
                    _ => self.cast(v, ty),
                }
            }
        };
        Ok(Address { space, id })
    }

    /// A generic address in the one space that it can point to, where there is only one. `r` holds its base.
    fn specific(&mut self, r: crate::graph::Register, id: Id) -> Address {
        // Without windows, every address is one of the device's.
        let Some(spaces) = self.provenance.as_ref().map(|p| p.register(r)) else {
            return Address {
                space: Space::Global,
                id,
            };
        };
        let (shared, local) = self.windows();
        let (shared, local) = (shared && spaces.shared(), local && spaces.local());
        let space = match (shared, local, spaces.elsewhere()) {
            (false, false, _) => Space::Global,
            (true, false, false) => Space::Shared,
            (false, true, false) => Space::Local,
            _ => Space::Generic,
        };
        let id = match space {
            // A window lies above the 32 bits of its offsets.
            Space::Shared | Space::Local => self.asm.op(Op::UConvert, Type::U32, &[id]),
            _ => id,
        };
        Address { space, id }
    }

    /// Notes the byte of local memory that the generic address `id`, which is `offset` behind a register, is if it is one.
    fn note_local(&mut self, r: crate::graph::Register, offset: i64, id: Id) {
        let Some(local) = &self.local_offsets else {
            return;
        };
        if let Some(at) = local.register(r) {
            self.in_local
                .insert(id, at.wrapping_add(offset as u64) as u32);
        }
    }

    /// The offset, within a space, of a generic address in its window, for an access of so many bytes.
    fn in_space(&mut self, address: Id, space: Space, size: u32) -> Id {
        let bytes = self.info.local_bytes;
        match self.in_local.get(&address) {
            Some(&at) if space == Space::Local && at.saturating_add(size) <= bytes => {
                self.asm.u32(at)
            }
            _ => self.asm.op(Op::UConvert, Type::U32, &[address]),
        }
    }

    /// `id + offset`.
    pub(crate) fn offset(&mut self, id: Id, ty: Type, offset: i64) -> Id {
        if offset == 0 {
            return id;
        }
        let c = self.asm.constant(ty, offset as u64);
        let sum = self.asm.op(Op::IAdd, ty, &[id, c]);
        if ty == Type::U32 {
            self.sums.insert(sum, (id, offset as i32));
        }
        sum
    }

    /// The address as a device address, for spaces that are made of those.
    pub(crate) fn device_address(&mut self, a: Address) -> Option<Id> {
        let base = match a.space {
            Space::Global | Space::Const | Space::Parameter => return Some(a.id),
            Space::Shared if self.info.shared_in_scratch => self.entry.shared,
            Space::Local if self.info.local_in_scratch => self.entry.local,
            _ => return None,
        };
        let wide = self.asm.op(Op::UConvert, Type::U64, &[a.id]);
        Some(self.asm.op(Op::IAdd, Type::U64, &[base, wide]))
    }

    /// Whether a generic access can reach shared or local memory that is not device memory.
    fn windows(&self) -> (bool, bool) {
        windows(&self.info)
    }

    /// Loads a value of a scalar or vector type.
    pub(crate) fn load(&mut self, a: Address, ty: Type, access: Access) -> Id {
        if a.space == Space::Shared && self.info.shared_in_scratch && self.has_window() {
            let at = self.shared_in_window(a.id);
            if let Some(v) = self.load_window(at, ty) {
                return v;
            }
        }
        if let Some(address) = self.device_address(a) {
            return self.load_device(address, ty, access);
        }
        match a.space {
            Space::Shared => {
                if let Some(single) = self.shared_in_one_piece(ty, access) {
                    let pointer = self.shared_pointer(a.id, single);
                    let (scope, order) = (self.asm.u32(WORKGROUP_SCOPE), self.asm.u32(ACQUIRE));
                    let id = self
                        .asm
                        .op(Op::AtomicLoad, single, &[pointer, scope, order]);
                    return self.cast(Value { id, ty: single }, ty);
                }
                let pointer = self.shared_pointer(a.id, ty);
                let mask = if access.volatile { 0x21 } else { 0x20 };
                self.asm.op(Op::Load, ty, &[pointer, mask])
            }
            Space::Local => self.load_local(a.id, ty),
            _ => {
                let (shared, local) = self.windows();
                let spaces = [(shared, Space::Shared), (local, Space::Local)];
                let mut candidates = spaces
                    .iter()
                    .filter(|s| s.0)
                    .map(|s| s.1)
                    .collect::<Vec<_>>();
                self.load_generic(a.id, ty, access, &mut candidates)
            }
        }
    }

    fn load_generic(
        &mut self,
        address: Id,
        ty: Type,
        access: Access,
        candidates: &mut Vec<Space>,
    ) -> Id {
        let Some(space) = candidates.pop() else {
            return self.load_device(address, ty, access);
        };
        let here = self.in_window(address, space);
        self.choose(
            here,
            ty,
            |e| {
                let id = e.in_space(address, space, ty.size());
                e.load(Address { space, id }, ty, access)
            },
            |e| e.load_generic(address, ty, access, candidates),
        )
    }

    /// Stores a value of a scalar or vector type.
    pub(crate) fn store(&mut self, a: Address, ty: Type, value: Id, access: Access) {
        if let Some(address) = self.device_address(a) {
            return self.store_device(address, ty, value, access);
        }
        match a.space {
            Space::Shared => {
                if let Some(single) = self.shared_in_one_piece(ty, access) {
                    let id = self.cast(Value { id: value, ty }, single);
                    let pointer = self.shared_pointer(a.id, single);
                    let (scope, order) = (self.asm.u32(WORKGROUP_SCOPE), self.asm.u32(RELEASE));
                    self.asm.void(Op::AtomicStore, &[pointer, scope, order, id]);
                    return;
                }
                let pointer = self.shared_pointer(a.id, ty);
                let mask = if access.volatile { 0x21 } else { 0x20 };
                self.asm.void(Op::Store, &[pointer, value, mask]);
            }
            Space::Local => self.store_local(a.id, ty, value),
            _ => {
                let (shared, local) = self.windows();
                let mut elsewhere = None;
                for (present, space) in [(shared, Space::Shared), (local, Space::Local)] {
                    if !present {
                        continue;
                    }
                    let here = self.in_window(a.id, space);
                    elsewhere = Some(match elsewhere {
                        None => here,
                        Some(other) => self.asm.op(Op::LogicalOr, Type::Bool, &[other, here]),
                    });
                    self.when(here, |e| {
                        let id = e.in_space(a.id, space, ty.size());
                        e.store(Address { space, id }, ty, value, access);
                    });
                }
                match elsewhere {
                    None => self.store_device(a.id, ty, value, access),
                    Some(elsewhere) => {
                        let here = self.asm.op(Op::LogicalNot, Type::Bool, &[elsewhere]);
                        self.when(here, |e| e.store_device(a.id, ty, value, access));
                    }
                }
            }
        }
    }

    /// A pointer to a value at a device address.
    pub(crate) fn device_pointer(&mut self, address: Id, ty: Type) -> Id {
        let pointee = self.asm.ty(ty);
        let pointer = self
            .asm
            .pointer(StorageClass::PhysicalStorageBuffer, pointee);
        self.asm.op_with(Op::ConvertUToPtr, pointer, &[address])
    }

    /// A pointer to a value at a device address that nothing writes: the member of a block that says so, which lets
    /// drivers load it once for a whole subgroup, and early.
    fn constant_pointer(&mut self, address: Id, ty: Type) -> Id {
        let block = match self.entry.constant_blocks.get(&ty) {
            Some(&block) => block,
            None => {
                let element = self.asm.ty(ty);
                let block = self.asm.id();
                self.asm.global(Op::TypeStruct, &[block, element]);
                self.asm.decorate(block, Decoration::Block, &[]);
                self.asm.decorate_member(block, 0, Decoration::Offset, &[0]);
                self.asm
                    .decorate_member(block, 0, Decoration::NonWritable, &[]);
                self.entry.constant_blocks.insert(ty, block);
                block
            }
        };
        let class = StorageClass::PhysicalStorageBuffer;
        let whole = self.asm.pointer(class, block);
        let pointer = self.asm.op_with(Op::ConvertUToPtr, whole, &[address]);
        let element = self.asm.ty(ty);
        let part = self.asm.pointer(class, element);
        let zero = self.asm.u32(0);
        self.asm.op_with(Op::AccessChain, part, &[pointer, zero])
    }

    /// The type by which a vector is loaded and stored where warps yield: llvmpipe makes an access of each component of each
    /// invocation, behind a branch of its own, so that the fewest components are best.
    fn packed(&self, ty: Type) -> Option<Type> {
        let Type::Vector(..) = ty else { return None };
        if !self.yields() {
            return None;
        }
        let packed = match ty.size() {
            8 => Type::U64,
            16 => Type::Vector(Scalar::U64, 2),
            32 => Type::Vector(Scalar::U64, 4),
            2 | 4 => Type::unsigned(ty.size()),
            _ => return None,
        };
        (packed != ty).then_some(packed)
    }

    pub(crate) fn load_device(&mut self, address: Id, ty: Type, access: Access) -> Id {
        if let Some(packed) = self.packed(ty) {
            let v = self.load_device(address, packed, access);
            return self.asm.op(Op::Bitcast, ty, &[v]);
        }
        if let Some(single) = self.in_one_piece(ty, access) {
            let pointer = self.device_pointer(address, single);
            let (scope, relaxed) = (self.asm.u32(DEVICE_SCOPE), self.asm.u32(0));
            let id = self
                .asm
                .op(Op::AtomicLoad, single, &[pointer, scope, relaxed]);
            return self.cast(Value { id, ty: single }, ty);
        }
        let pointer = if access.constant {
            self.constant_pointer(address, ty)
        } else {
            self.device_pointer(address, ty)
        };
        let align = if access.align == 0 {
            ty.size()
        } else {
            access.align
        };
        let volatile = access.volatile || self.state.is_some() && !access.constant;
        let mask = 0x2 | u32::from(volatile) | if access.constant { 0 } else { 0x20 };
        if access.coherent && !access.constant && !self.yields() {
            let scope = self.asm.u32(DEVICE_SCOPE);
            return self
                .asm
                .op(Op::Load, ty, &[pointer, mask | MAKE_VISIBLE, align, scope]);
        }
        self.asm.op(Op::Load, ty, &[pointer, mask, align])
    }

    /// The type of the one atomic access that a coherent access of this type is: CUDA's vectors of eight bytes are read and
    /// written in one piece, which programs count on (a flag and its value, side by side).
    fn in_one_piece(&mut self, ty: Type, access: Access) -> Option<Type> {
        if !access.coherent {
            return None;
        }
        self.atomic_type(ty, access, self.target.atomic_i64)
    }

    /// The type of the one atomic access that a volatile access to shared memory is. Drivers' compilers (NVIDIA's 580) move
    /// volatile and relaxed loads in front of stores to other addresses, which reductions of a warp without barriers count on not
    /// to happen: so these acquire and release.
    fn shared_in_one_piece(&mut self, ty: Type, access: Access) -> Option<Type> {
        self.atomic_type(ty, access, self.target.shared_atomic_i64)
    }

    /// The type of the atomic access that a volatile access of this type is on a GPU, where there is one.
    fn atomic_type(&mut self, ty: Type, access: Access, wide: bool) -> Option<Type> {
        if !access.volatile || self.yields() || access.align != 0 {
            return None;
        }
        match ty.size() {
            4 => Some(Type::U32),
            8 if wide => {
                self.asm.capability(Capability::Int64Atomics);
                Some(Type::U64)
            }
            _ => None,
        }
    }

    pub(crate) fn store_device(&mut self, address: Id, ty: Type, value: Id, access: Access) {
        if let Some(packed) = self.packed(ty) {
            let v = self.asm.op(Op::Bitcast, packed, &[value]);
            return self.store_device(address, packed, v, access);
        }
        if let Some(single) = self.in_one_piece(ty, access) {
            let id = self.cast(Value { id: value, ty }, single);
            let pointer = self.device_pointer(address, single);
            let (scope, relaxed) = (self.asm.u32(DEVICE_SCOPE), self.asm.u32(0));
            self.asm
                .void(Op::AtomicStore, &[pointer, scope, relaxed, id]);
            return;
        }
        let pointer = self.device_pointer(address, ty);
        let align = if access.align == 0 {
            ty.size()
        } else {
            access.align
        };
        let volatile = access.volatile || self.state.is_some();
        let mask = 0x22 | u32::from(volatile);
        if access.coherent && !self.yields() {
            let scope = self.asm.u32(DEVICE_SCOPE);
            let mask = mask | MAKE_AVAILABLE;
            self.asm
                .void(Op::Store, &[pointer, value, mask, align, scope]);
            return;
        }
        self.asm.void(Op::Store, &[pointer, value, mask, align]);
    }

    /// A pointer into workgroup memory, through the view of the type.
    pub(crate) fn shared_pointer(&mut self, offset: Id, ty: Type) -> Id {
        let bits = ty.size().trailing_zeros();
        let shift = self.asm.u32(bits);
        // Compilers do not know that addresses are aligned, and clear the lowest bits again: once for all places at constant
        // distances from the same one.
        let (from, constant) = match self.sums.get(&offset) {
            Some(&(from, constant)) if constant.trailing_zeros() >= bits => (from, constant),
            _ => (offset, 0),
        };
        let from = self.anew(from);
        let index = match bits {
            0 => from,
            // What the constant is added to can lie below the memory's start.
            _ => self.fold(Op::ShiftRightArithmetic, from, shift),
        };
        let index = match constant >> bits {
            0 => index,
            constant => {
                let constant = self.asm.u32(constant as u32);
                self.asm.op(Op::IAdd, Type::U32, &[index, constant])
            }
        };
        self.shared_element(ty, index)
    }

    /// A pointer into workgroup memory, by an index in the view of the type.
    pub(super) fn shared_element(&mut self, ty: Type, index: Id) -> Id {
        let view = self.shared_view(ty);
        let pointee = self.asm.ty(ty);
        let pointer = self.asm.pointer(StorageClass::Workgroup, pointee);
        let zero = self.asm.u32(0);
        self.asm
            .op_with(Op::AccessChain, pointer, &[view, zero, index])
    }

    /// The variable that shows workgroup memory as an array of a type; all of them share the same bytes.
    fn shared_view(&mut self, ty: Type) -> Id {
        if let Some(&id) = self.entry.views.get(&ty) {
            return id;
        }
        self.asm
            .capability(Capability::WorkgroupMemoryExplicitLayoutKHR);
        self.asm
            .extension("SPV_KHR_workgroup_memory_explicit_layout");
        match ty.size() {
            1 => self
                .asm
                .capability(Capability::WorkgroupMemoryExplicitLayout8BitAccessKHR),
            2 => self
                .asm
                .capability(Capability::WorkgroupMemoryExplicitLayout16BitAccessKHR),
            _ => match ty {
                Type::Vector(Scalar::U8, _) => {
                    self.asm
                        .capability(Capability::WorkgroupMemoryExplicitLayout8BitAccessKHR);
                }
                Type::Vector(Scalar::U16, _) => {
                    self.asm
                        .capability(Capability::WorkgroupMemoryExplicitLayout16BitAccessKHR);
                }
                _ => {}
            },
        }
        let bytes = self.asm.spec_constant(4, 16);
        let u32_type = self.asm.ty(Type::U32);
        let size = self.asm.u32(ty.size());
        let length = self.asm.id();
        self.asm.global(
            Op::SpecConstantOp,
            &[u32_type, length, Op::UDiv as u32, bytes, size],
        );
        let element = self.asm.ty(ty);
        let array = self.asm.id();
        self.asm.global(Op::TypeArray, &[array, element, length]);
        self.asm
            .decorate(array, Decoration::ArrayStride, &[ty.size()]);
        let block = self.asm.id();
        self.asm.global(Op::TypeStruct, &[block, array]);
        self.asm.decorate(block, Decoration::Block, &[]);
        self.asm.decorate_member(block, 0, Decoration::Offset, &[0]);
        let pointer = self.asm.pointer(StorageClass::Workgroup, block);
        let view = self.asm.id();
        self.asm.global(
            Op::Variable,
            &[pointer, view, StorageClass::Workgroup as u32],
        );
        self.asm.decorate(view, Decoration::Aliased, &[]);
        self.asm.interface(view);
        self.entry.views.insert(ty, view);
        view
    }

    /// A 64-bit value of two words.
    pub(crate) fn join(&mut self, low: Id, high: Id) -> Id {
        let pair = self.asm.op(
            Op::CompositeConstruct,
            Type::Vector(Scalar::U32, 2),
            &[low, high],
        );
        self.asm.op(Op::Bitcast, Type::U64, &[pair])
    }

    /// The two words of a 64-bit value.
    pub(crate) fn split(&mut self, whole: Id) -> (Id, Id) {
        let pair = self
            .asm
            .op(Op::Bitcast, Type::Vector(Scalar::U32, 2), &[whole]);
        (
            self.asm.op(Op::CompositeExtract, Type::U32, &[pair, 0]),
            self.asm.op(Op::CompositeExtract, Type::U32, &[pair, 1]),
        )
    }

    /// The element type and vector of a load or store.
    fn shape(&self, i: &Instruction) -> Result<(ScalarType, Type, Type)> {
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("an access without a type".into()))?;
        let scalar = memory_type(ty);
        let count = i.vector_width();
        let whole = match (count, scalar.scalar()) {
            (1, _) => scalar,
            (2 | 4, Some(s)) => Type::Vector(s, count),
            _ => return unsupported(i),
        };
        Ok((ty, scalar, whole))
    }

    fn ld(&mut self, i: &Instruction) -> Result<()> {
        let (ty, scalar, whole) = self.shape(i)?;
        let (d, a) = (self.operand(i, 0)?, self.operand(i, 1)?);
        let mut space = space_of(i);
        let mut access = access_of(i);
        if let Operand::Address {
            base: AddressBase::Symbol(s),
            offset,
        } = a
        {
            match self.place(*s)? {
                Place::Words { first, size } => {
                    return self.load_parameter_words(d, first, size, *offset, ty)
                }
                Place::Register(r) => {
                    let v = self.register(r);
                    return self.set(d, v.ty, v.id);
                }
                Place::KernelParameter(at) if self.info.inline_parameters => {
                    let first = at.wrapping_add(*offset as u32);
                    for (n, d) in Self::elements(d).iter().enumerate() {
                        if !matches!(d, Operand::Sink) {
                            let v = self.inline_parameter(first + n as u32 * scalar.size(), scalar);
                            self.set_widened(d, scalar, v, ty.is_signed())?;
                        }
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
        if matches!(space, Space::Const | Space::Parameter) {
            access.constant = true;
        }
        if space == Space::Parameter {
            space = Space::Const;
        }
        let address = self.address(a, space)?;
        let v = if is_wide_atomic(i, ty) {
            self.locked(|e| e.load(address, whole, access))
        } else {
            self.load(address, whole, access)
        };
        let signed = ty.is_signed();
        let parts = Self::elements(d);
        for (n, d) in parts.iter().enumerate() {
            if matches!(d, Operand::Sink) && parts.len() > 1 {
                continue;
            }
            let e = match parts.len() {
                1 => v,
                _ => self.asm.op(Op::CompositeExtract, scalar, &[v, n as u32]),
            };
            self.set_widened(d, scalar, e, signed)?;
        }
        if i.has(Modifier::Acquire) {
            self.fence(i)?;
        }
        Ok(())
    }

    fn st(&mut self, i: &Instruction) -> Result<()> {
        let (ty, scalar, whole) = self.shape(i)?;
        let (a, v) = (self.operand(i, 0)?, self.operand(i, 1)?);
        let space = space_of(i);
        if let Operand::Address {
            base: AddressBase::Symbol(s),
            offset,
        } = a
        {
            match self.place(*s)? {
                Place::Words { first, size } => {
                    return self.store_parameter_words(v, first, size, *offset, ty)
                }
                Place::Register(r) => {
                    let id = self.value(v, scalar)?;
                    self.set_register(r, Value { id, ty: scalar });
                    return Ok(());
                }
                _ => {}
            }
        }
        if i.has(Modifier::Release) {
            self.fence(i)?;
        }
        let parts = Self::elements(v);
        let id = if parts.len() == 1 {
            self.value(&parts[0], scalar)?
        } else {
            let ids = parts
                .iter()
                .map(|p| self.value(p, scalar))
                .collect::<Result<Vec<_>>>()?;
            self.asm.op(Op::CompositeConstruct, whole, &ids)
        };
        let address = self.address(a, space)?;
        if is_wide_atomic(i, ty) {
            self.locked(|e| {
                e.store(address, whole, id, access_of(i));
                id
            });
        } else {
            self.store(address, whole, id, access_of(i));
        }
        Ok(())
    }

    /// Reads from a function's parameter kept in virtual registers. LLVM reads and writes past the end of those that are shorter than
    /// their alignment, which ptxas allows: what is read there is nothing in particular, and here 0.
    fn load_parameter_words(
        &mut self,
        d: &Operand,
        first: Register,
        size: u32,
        offset: i64,
        ty: ScalarType,
    ) -> Result<()> {
        let bytes = ty.size().unwrap_or(4);
        let mut at = offset;
        for d in Self::elements(d) {
            match bytes {
                4 => {
                    let v = self.parameter_word(first, size, at);
                    self.set(d, v.ty, v.id)?;
                }
                8 => {
                    let id = self.parameter_pair(first, size, at);
                    self.set(d, Type::U64, id)?;
                }
                1 | 2 => {
                    let v = self.parameter_word(first, size, at);
                    let v = self.cast(v, Type::U32);
                    let shift = self.asm.u32(at as u32 % 4 * 8);
                    let v = self.asm.op(Op::ShiftRightLogical, Type::U32, &[v, shift]);
                    let part = Type::unsigned(bytes);
                    let v = self.asm.op(Op::UConvert, part, &[v]);
                    self.set_widened(d, part, v, ty.is_signed())?;
                }
                _ => {
                    let halves = [0, 8].map(|half| self.parameter_pair(first, size, at + half));
                    let whole = register_type(ty);
                    let id = self.asm.op(Op::CompositeConstruct, whole, &halves);
                    self.set(d, whole, id)?;
                }
            }
            at += i64::from(bytes);
        }
        Ok(())
    }

    /// The register of the word at this offset of a parameter.
    fn parameter_register(first: Register, size: u32, at: i64) -> Option<Register> {
        (0..i64::from(size.next_multiple_of(4)))
            .contains(&at)
            .then(|| first + at as u32 / 4)
    }

    fn parameter_word(&mut self, first: Register, size: u32, at: i64) -> Value {
        match Self::parameter_register(first, size, at) {
            Some(r) => self.register(r),
            None => Value {
                id: self.asm.u32(0),
                ty: Type::U32,
            },
        }
    }

    fn parameter_pair(&mut self, first: Register, size: u32, at: i64) -> Id {
        let [low, high] = [at, at + 4].map(|at| {
            let v = self.parameter_word(first, size, at);
            self.cast(v, Type::U32)
        });
        self.join(low, high)
    }

    fn store_parameter_words(
        &mut self,
        v: &Operand,
        first: Register,
        size: u32,
        offset: i64,
        ty: ScalarType,
    ) -> Result<()> {
        let bytes = ty.size().unwrap_or(4);
        let mut at = offset;
        for v in Self::elements(v) {
            match bytes {
                4 => {
                    let id = self.value(v, Type::U32)?;
                    self.set_parameter_word(first, size, at, id);
                }
                8 => {
                    let id = self.value(v, Type::U64)?;
                    self.set_parameter_pair(first, size, at, id);
                }
                1 | 2 => {
                    let part = self.value(v, Type::unsigned(bytes))?;
                    let part = self.cast(
                        Value {
                            id: part,
                            ty: Type::unsigned(bytes),
                        },
                        Type::U32,
                    );
                    let old = self.parameter_word(first, size, at);
                    let old = self.cast(old, Type::U32);
                    let (shift, bits) = (self.asm.u32(at as u32 % 4 * 8), self.asm.u32(bytes * 8));
                    let id = self
                        .asm
                        .op(Op::BitFieldInsert, Type::U32, &[old, part, shift, bits]);
                    self.set_parameter_word(first, size, at, id);
                }
                _ => {
                    let id = self.value(v, register_type(ty))?;
                    for half in 0..2 {
                        let part = self.asm.op(Op::CompositeExtract, Type::U64, &[id, half]);
                        self.set_parameter_pair(first, size, at + i64::from(half) * 8, part);
                    }
                }
            }
            at += i64::from(bytes);
        }
        Ok(())
    }

    fn set_parameter_word(&mut self, first: Register, size: u32, at: i64, id: Id) {
        if let Some(r) = Self::parameter_register(first, size, at) {
            self.set_register(r, Value { id, ty: Type::U32 });
        }
    }

    fn set_parameter_pair(&mut self, first: Register, size: u32, at: i64, id: Id) {
        let (low, high) = self.split(id);
        self.set_parameter_word(first, size, at, low);
        self.set_parameter_word(first, size, at + 4, high);
    }

    /// The address of the fault record.
    pub(crate) fn fault_record(&mut self) -> Id {
        self.push(Push::Fault)
    }
}
