//! Kernels for the tests, written with rspirv to the launch contract, and a device to run them on.
#![allow(dead_code)]

use ptx_spirv::{KernelInfo, Translated};
use rspirv::binary::Assemble;
use rspirv::dr::{Builder, Operand};
use rspirv::spirv::{
    AddressingModel, BuiltIn, Capability, Decoration, ExecutionMode, ExecutionModel,
    FunctionControl, MemoryAccess, MemoryModel, MemorySemantics, Scope, SelectionControl,
    StorageClass, Word,
};
use std::sync::{Arc, Once};
use vulkan::{Device, Instance};

/// A cache directory of the tests' own, and the log where `RUST_LOG` asks for it.
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let directory = option_env!("CARGO_TARGET_TMPDIR")
            .map_or_else(std::env::temp_dir, std::path::PathBuf::from)
            .join("vkcuda-test-cache");
        // SAFETY: called before any other thread of the test reads the environment through this crate.
        unsafe { std::env::set_var("VKCUDA_CACHE_DIR", directory) };
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_test_writer()
            .try_init();
    });
}

/// The first device of this machine; lavapipe where there is no GPU.
pub fn device() -> Arc<Device> {
    prepare();
    let instance = Instance::load().expect("a Vulkan loader");
    let physical = instance
        .physical_devices()
        .first()
        .expect("a usable device; lavapipe will do");
    Device::open(physical).expect("the device opens")
}

/// What a kernel of the tests is told besides its code.
pub fn info(name: &str, parameter_bytes: u32) -> KernelInfo {
    KernelInfo::plain(name, parameter_bytes)
}

/// Offsets of the push constants.
pub mod push {
    pub const PARAMETERS: u32 = 0;
    pub const MODULE: u32 = 1;
    pub const SCRATCH: u32 = 2;
    pub const FAULT: u32 = 3;
    pub const PRINTF: u32 = 4;
    pub const GRID: u32 = 5;
    pub const BASE: u32 = 6;
    pub const SLICE: u32 = 7;
    pub const SHARED_OFFSET: u32 = 8;
    pub const LOCAL_OFFSET: u32 = 9;
    pub const DYNAMIC_SHARED: u32 = 10;
    pub const TOTAL_SHARED: u32 = 11;
    pub const GRID_ID: u32 = 13;
}

/// A kernel under construction, inside its main function.
pub struct Kernel {
    pub b: Builder,
    pub u32: Word,
    pub u64: Word,
    pub bool: Word,
    uint3: Word,
    push: Word,
    thread: Word,
    group: Word,
    groups: Word,
    /// Specialisation constants 1, 2, 3.
    pub ntid: [Word; 3],
}

impl Kernel {
    pub fn new() -> Self {
        let mut b = Builder::new();
        b.set_version(1, 6);
        for capability in [
            Capability::Shader,
            Capability::Int64,
            Capability::PhysicalStorageBufferAddresses,
            Capability::VulkanMemoryModel,
            Capability::VulkanMemoryModelDeviceScopeKHR,
        ] {
            b.capability(capability);
        }
        b.memory_model(
            AddressingModel::PhysicalStorageBuffer64,
            MemoryModel::Vulkan,
        );
        let void = b.type_void();
        let bool = b.type_bool();
        let u32 = b.type_int(32, 0);
        let u64 = b.type_int(64, 0);
        let uint3 = b.type_vector(u32, 3);
        let constant = |b: &mut Builder, id: u32| {
            let word = b.spec_constant_bit32(u32, 32);
            b.decorate(word, Decoration::SpecId, [Operand::LiteralBit32(id)]);
            word
        };
        let size = constant(&mut b, 0);
        let ntid = [
            constant(&mut b, 1),
            constant(&mut b, 2),
            constant(&mut b, 3),
        ];
        let one = b.constant_bit32(u32, 1);
        let three = b.constant_bit32(u32, 3);
        let array = b.type_array(u32, three);
        b.decorate(array, Decoration::ArrayStride, [Operand::LiteralBit32(4)]);
        let members = [
            (u64, 0),
            (u64, 8),
            (u64, 16),
            (u64, 24),
            (u64, 32),
            (array, 40),
            (array, 52),
            (u32, 64),
            (u32, 68),
            (u32, 72),
            (u32, 76),
            (u32, 80),
            (u32, 84),
            (u64, 88),
        ];
        let block = b.type_struct(members.iter().map(|&(kind, _)| kind));
        b.decorate(block, Decoration::Block, []);
        for (index, &(_, offset)) in members.iter().enumerate() {
            let offset = [Operand::LiteralBit32(offset)];
            b.member_decorate(block, index as u32, Decoration::Offset, offset);
        }
        let pointer = b.type_pointer(None, StorageClass::PushConstant, block);
        let push = b.variable(pointer, None, StorageClass::PushConstant, None);
        let mut input = |kind: Word, built_in: BuiltIn| {
            let pointer = b.type_pointer(None, StorageClass::Input, kind);
            let variable = b.variable(pointer, None, StorageClass::Input, None);
            b.decorate(variable, Decoration::BuiltIn, [Operand::BuiltIn(built_in)]);
            variable
        };
        let thread = input(u32, BuiltIn::LocalInvocationIndex);
        let group = input(uint3, BuiltIn::WorkgroupId);
        let groups = input(uint3, BuiltIn::NumWorkgroups);
        let function = b.type_function(void, []);
        let main = b
            .begin_function(void, None, FunctionControl::NONE, function)
            .unwrap();
        b.entry_point(
            ExecutionModel::GLCompute,
            main,
            "main",
            [push, thread, group, groups],
        );
        b.execution_mode_id(main, ExecutionMode::LocalSizeId, [size, one, one]);
        b.begin_block(None).unwrap();
        let thread = b.load(u32, None, thread, None, []).unwrap();
        let group = b.load(uint3, None, group, None, []).unwrap();
        let groups = b.load(uint3, None, groups, None, []).unwrap();
        Self {
            b,
            u32,
            u64,
            bool,
            uint3,
            push,
            thread,
            group,
            groups,
            ntid,
        }
    }

    pub fn finish(mut self, info: KernelInfo) -> Translated {
        self.b.ret().unwrap();
        self.b.end_function().unwrap();
        Translated {
            spirv: self.b.module().assemble(),
            info,
        }
    }

    pub fn c32(&mut self, value: u32) -> Word {
        self.b.constant_bit32(self.u32, value)
    }

    pub fn c64(&mut self, value: u64) -> Word {
        self.b.constant_bit64(self.u64, value)
    }

    /// A push constant of 64 bits.
    pub fn push64(&mut self, member: u32) -> Word {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PushConstant, self.u64);
        let index = self.c32(member);
        let place = self
            .b
            .access_chain(pointer, None, self.push, [index])
            .unwrap();
        self.b.load(self.u64, None, place, None, []).unwrap()
    }

    /// A push constant of 32 bits.
    pub fn push32(&mut self, member: u32) -> Word {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PushConstant, self.u32);
        let index = self.c32(member);
        let place = self
            .b
            .access_chain(pointer, None, self.push, [index])
            .unwrap();
        self.b.load(self.u32, None, place, None, []).unwrap()
    }

    /// One of the three numbers of `grid` or `base`.
    pub fn push_axis(&mut self, member: u32, axis: u32) -> Word {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PushConstant, self.u32);
        let index = [self.c32(member), self.c32(axis)];
        let place = self
            .b
            .access_chain(pointer, None, self.push, index)
            .unwrap();
        self.b.load(self.u32, None, place, None, []).unwrap()
    }

    /// gl_LocalInvocationIndex.
    pub fn thread(&self) -> Word {
        self.thread
    }

    /// gl_WorkGroupID of an axis.
    pub fn group(&mut self, axis: u32) -> Word {
        self.b
            .composite_extract(self.u32, None, self.group, [axis])
            .unwrap()
    }

    pub fn add32(&mut self, a: Word, b: Word) -> Word {
        self.b.i_add(self.u32, None, a, b).unwrap()
    }

    pub fn sub32(&mut self, a: Word, b: Word) -> Word {
        self.b.i_sub(self.u32, None, a, b).unwrap()
    }

    pub fn mul32(&mut self, a: Word, b: Word) -> Word {
        self.b.i_mul(self.u32, None, a, b).unwrap()
    }

    pub fn add64(&mut self, a: Word, b: Word) -> Word {
        self.b.i_add(self.u64, None, a, b).unwrap()
    }

    pub fn mul64(&mut self, a: Word, b: Word) -> Word {
        self.b.i_mul(self.u64, None, a, b).unwrap()
    }

    pub fn wide(&mut self, value: Word) -> Word {
        self.b.u_convert(self.u64, None, value).unwrap()
    }

    /// `base + index * size`, with a 32-bit index.
    pub fn element(&mut self, base: Word, index: Word, size: u64) -> Word {
        let index = self.wide(index);
        let size = self.c64(size);
        let offset = self.mul64(index, size);
        self.add64(base, offset)
    }

    pub fn load(&mut self, kind: Word, address: Word, alignment: u32) -> Word {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PhysicalStorageBuffer, kind);
        let pointer = self.b.convert_u_to_ptr(pointer, None, address).unwrap();
        let aligned = [Operand::LiteralBit32(alignment)];
        self.b
            .load(kind, None, pointer, Some(MemoryAccess::ALIGNED), aligned)
            .unwrap()
    }

    pub fn store(&mut self, kind: Word, address: Word, value: Word, alignment: u32) {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PhysicalStorageBuffer, kind);
        let pointer = self.b.convert_u_to_ptr(pointer, None, address).unwrap();
        let aligned = [Operand::LiteralBit32(alignment)];
        self.b
            .store(pointer, value, Some(MemoryAccess::ALIGNED), aligned)
            .unwrap();
    }

    /// 64 bits of the parameter block.
    pub fn parameter64(&mut self, offset: u64) -> Word {
        let block = self.push64(push::PARAMETERS);
        let offset = self.c64(offset);
        let address = self.add64(block, offset);
        self.load(self.u64, address, 8)
    }

    /// 32 bits of the parameter block.
    pub fn parameter32(&mut self, offset: u64) -> Word {
        let block = self.push64(push::PARAMETERS);
        let offset = self.c64(offset);
        let address = self.add64(block, offset);
        self.load(self.u32, address, 4)
    }

    /// `ctaid` as one number in the whole grid.
    pub fn linear_group(&mut self) -> Word {
        let (x, y, z) = (self.group(0), self.group(1), self.group(2));
        let (nx, ny) = (self.push_axis(push::GRID, 0), self.push_axis(push::GRID, 1));
        let zy = self.mul32(z, ny);
        let zy = self.add32(zy, y);
        let zyx = self.mul32(zy, nx);
        self.add32(zyx, x)
    }

    /// The address of the workgroup's scratch slice.
    pub fn slice(&mut self) -> Word {
        let mut index = [0; 3];
        for (axis, place) in index.iter_mut().enumerate() {
            let base = self.push_axis(push::BASE, axis as u32);
            let group = self.group(axis as u32);
            *place = self.sub32(group, base);
        }
        let count = |k: &mut Self, axis: u32| {
            k.b.composite_extract(k.u32, None, k.groups, [axis])
                .unwrap()
        };
        let (nx, ny) = (count(self, 0), count(self, 1));
        let zy = self.mul32(index[2], ny);
        let zy = self.add32(zy, index[1]);
        let zyx = self.mul32(zy, nx);
        let linear = self.add32(zyx, index[0]);
        let linear = self.wide(linear);
        let slice = self.push32(push::SLICE);
        let slice = self.wide(slice);
        let offset = self.mul64(linear, slice);
        let scratch = self.push64(push::SCRATCH);
        self.add64(scratch, offset)
    }

    /// The number of threads, `ntid` multiplied.
    pub fn threads(&mut self) -> Word {
        let [x, y, z] = self.ntid;
        let xy = self.mul32(x, y);
        self.mul32(xy, z)
    }

    /// Runs `body` in the threads for which `condition` holds.
    pub fn when(&mut self, condition: Word, body: impl FnOnce(&mut Self)) {
        let (then, merge) = (self.b.id(), self.b.id());
        self.b
            .selection_merge(merge, SelectionControl::NONE)
            .unwrap();
        self.b
            .branch_conditional(condition, then, merge, [])
            .unwrap();
        self.b.begin_block(Some(then)).unwrap();
        body(self);
        self.b.branch(merge).unwrap();
        self.b.begin_block(Some(merge)).unwrap();
    }

    /// A workgroup barrier that also orders buffer memory.
    pub fn barrier(&mut self) {
        let scope = self.c32(Scope::Workgroup as u32);
        let semantics = self.c32(
            (MemorySemantics::ACQUIRE_RELEASE
                | MemorySemantics::UNIFORM_MEMORY
                | MemorySemantics::MAKE_AVAILABLE
                | MemorySemantics::MAKE_VISIBLE)
                .bits(),
        );
        self.b.control_barrier(scope, scope, semantics).unwrap();
    }

    pub fn less(&mut self, a: Word, b: Word) -> Word {
        self.b.u_less_than(self.bool, None, a, b).unwrap()
    }
}

/// `out[linear ctaid * threads + tid] = value + linear ctaid`. Parameters: `out: u64, value: u32, reserved: u32`.
pub fn index_kernel() -> Translated {
    let mut k = Kernel::new();
    let out = k.parameter64(0);
    let value = k.parameter32(8);
    let threads = k.threads();
    let thread = k.thread();
    let inside = k.less(thread, threads);
    k.when(inside, |k| {
        let group = k.linear_group();
        let first = k.mul32(group, threads);
        let index = k.add32(first, thread);
        let place = k.element(out, index, 4);
        let sum = k.add32(value, group);
        k.store(k.u32, place, sum, 4);
    });
    k.finish(info("index", 16))
}

/// `data[ctaid.x * threads + tid] = data[...] * factor + addend`: shows the order of launches. Parameters:
/// `data: u64, factor: u32, addend: u32`.
pub fn affine_kernel() -> Translated {
    let mut k = Kernel::new();
    let data = k.parameter64(0);
    let factor = k.parameter32(8);
    let addend = k.parameter32(12);
    let threads = k.threads();
    let group = k.group(0);
    let first = k.mul32(group, threads);
    let thread = k.thread();
    let index = k.add32(first, thread);
    let place = k.element(data, index, 4);
    let old = k.load(k.u32, place, 4);
    let product = k.mul32(old, factor);
    let sum = k.add32(product, addend);
    k.store(k.u32, place, sum, 4);
    k.finish(info("affine", 16))
}

/// `data[tid] = data[tid] * 3 + salt`, and many instructions whose results nobody uses. Parameters: `data: u64`.
pub fn large_kernel(salt: u32) -> Translated {
    let mut k = Kernel::new();
    let data = k.parameter64(0);
    let thread = k.thread();
    let place = k.element(data, thread, 4);
    let old = k.load(k.u32, place, 4);
    let (three, salt) = (k.c32(3), k.c32(salt));
    let product = k.mul32(old, three);
    for _ in 0..4000 {
        k.add32(product, salt);
    }
    let sum = k.add32(product, salt);
    k.store(k.u32, place, sum, 4);
    k.finish(info("large", 16))
}

/// Each thread writes `linear ctaid * threads + tid` into the local part of its slice; after a barrier it reads its
/// neighbour's and stores it to `out`. Block of a multiple of 32 threads. Parameters: `out: u64`.
pub fn scratch_kernel(local_bytes: u32) -> Translated {
    let mut k = Kernel::new();
    let out = k.parameter64(0);
    let slice = k.slice();
    let local = k.push32(push::LOCAL_OFFSET);
    let local = k.wide(local);
    let slice = k.add64(slice, local);
    let threads = k.threads();
    let group = k.linear_group();
    let first = k.mul32(group, threads);
    let thread = k.thread();
    let index = k.add32(first, thread);
    let mine = k.element(slice, thread, u64::from(local_bytes));
    k.store(k.u32, mine, index, 4);
    k.barrier();
    let one = k.c32(1);
    let next = k.add32(thread, one);
    let next = k.b.u_mod(k.u32, None, next, threads).unwrap();
    let theirs = k.element(slice, next, u64::from(local_bytes));
    let value = k.load(k.u32, theirs, 4);
    let place = k.element(out, index, 4);
    k.store(k.u32, place, value, 4);
    let mut info = info("scratch", 8);
    info.local_bytes = local_bytes;
    info.local_in_scratch = true;
    k.finish(info)
}

/// Stores the push constants it is told to `out`, as 64-bit numbers: module, printf, slice, shared offset, local offset,
/// dynamic shared, total shared, grid id. Parameters: `out: u64`.
pub fn report_kernel() -> Translated {
    let mut k = Kernel::new();
    let out = k.parameter64(0);
    let mut values = vec![k.push64(push::MODULE), k.push64(push::PRINTF)];
    for member in [
        push::SLICE,
        push::SHARED_OFFSET,
        push::LOCAL_OFFSET,
        push::DYNAMIC_SHARED,
        push::TOTAL_SHARED,
    ] {
        let value = k.push32(member);
        values.push(k.wide(value));
    }
    values.push(k.push64(push::GRID_ID));
    for (index, value) in values.into_iter().enumerate() {
        let offset = k.c64(index as u64 * 8);
        let place = k.add64(out, offset);
        k.store(k.u64, place, value, 8);
    }
    let mut info = info("report", 8);
    info.static_shared = 100;
    info.dynamic_shared_align = 16;
    info.shared_in_scratch = true;
    info.local_bytes = 12;
    info.local_in_scratch = true;
    k.finish(info)
}

/// Writes `code` and a word of data into the fault record. Parameters: `code: u32, data: u32`.
pub fn fault_kernel() -> Translated {
    let mut k = Kernel::new();
    let fault = k.push64(push::FAULT);
    let code = k.parameter32(0);
    let data = k.parameter32(4);
    let thread = k.thread();
    let one = k.c32(1);
    let first = k.less(thread, one);
    k.when(first, |k| {
        k.store(k.u32, fault, code, 4);
        let eight = k.c64(8);
        let place = k.add64(fault, eight);
        k.store(k.u32, place, data, 4);
    });
    k.finish(info("fault", 8))
}

/// Parameters of [`index_kernel`] and [`affine_kernel`].
pub fn parameters(address: u64, a: u32, b: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&a.to_le_bytes());
    bytes[12..].copy_from_slice(&b.to_le_bytes());
    bytes
}

/// Little-endian words.
pub fn words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}
