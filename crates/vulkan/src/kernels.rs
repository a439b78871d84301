//! The runtime's own kernels, written as SPIR-V here: copying, and measuring what a driver does.
//!
//! They follow the launch contract like translated kernels: specialisation constant 0 is the workgroup size, push constant
//! offset 0 holds the address of the parameters.

use crate::cache::Cache;
use crate::error::Error;
use crate::launch::Launch;
use crate::pipeline::{Pipeline, Shader};
use crate::probe;
use crate::shared::Shared;
use crate::{Device, MemoryKind};
use ptx_spirv::KernelInfo;
use rspirv::binary::Assemble;
use rspirv::dr::{Builder, Error as BuildError, Operand};
use rspirv::spirv::{
    AddressingModel, BuiltIn, Capability, Decoration, ExecutionMode, ExecutionModel,
    FunctionControl, GLOp, LoopControl, MemoryAccess, MemoryModel, MemorySemantics, Scope,
    SelectionControl, StorageClass, Word,
};
use std::sync::Arc;

/// Threads of a workgroup of the copy kernel.
const COPY_THREADS: u32 = 256;

/// 16-byte elements that each thread copies.
const COPY_STEPS: u32 = 4;

/// Elements of a workgroup.
pub(crate) const COPY_ELEMENTS: u64 = (COPY_THREADS * COPY_STEPS) as u64;

/// The parameters are `destination: u64, source: u64, elements: u64`; an element has 16 bytes.
pub(crate) fn copy_pipeline(shared: &Arc<Shared>) -> Result<Arc<Pipeline>, Error> {
    pipeline(shared, "vkcuda_copy", 24, COPY_THREADS, copy_kernel())
}

/// Whether GLSL.std.450 Fma rounds once, measured: `fma(a, b, -a * b)` is the rounding error of the product, or 0.
pub(crate) fn probe_fused_fma(device: &Arc<Device>) -> Result<bool, Error> {
    const THREADS: u32 = 64;
    let pipeline = pipeline(
        device.shared(),
        "vkcuda_fma_probe",
        8,
        THREADS,
        fma_kernel(),
    )?;
    // Each thread has a, b, c and the result.
    let mut data = Vec::new();
    let mut expected = Vec::new();
    for thread in 0..THREADS {
        let a = 1.0 + thread as f32 * 1.1920929e-7 * 12345.0;
        let b = 1.0 + (thread * 7 + 3) as f32 * 1.1920929e-7 * 321.0;
        let c = -(a * b);
        expected.push(a.mul_add(b, c));
        data.extend(
            [a, b, c, f32::NAN]
                .iter()
                .flat_map(|value| value.to_le_bytes()),
        );
    }
    let data = probe::launch(device, &pipeline, &data)?;
    let result = |thread: usize| {
        let at = thread * 16 + 12;
        f32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"))
    };
    Ok(expected
        .iter()
        .enumerate()
        .all(|(thread, value)| result(thread) == *value))
}

/// Whether llvmpipe schedules a workgroup as warp emulation needs it (`Warps::Yield`): a workgroup barrier suspends the
/// subgroup and nothing more, so that subgroups may pass different numbers of them, and all run on until each has seen the
/// others arrive. Vulkan promises none of that.
pub(crate) fn probe_yields(device: &Arc<Device>) -> Result<bool, Error> {
    const THREADS: u32 = 128;
    let width = device.physical().subgroup().size;
    let pipeline = pipeline(
        device.shared(),
        "vkcuda_yield_probe",
        24,
        THREADS,
        yield_kernel(THREADS),
    )?;
    // A counter, then a word for each thread.
    let size = 256 + u64::from(THREADS) * 4;
    let memory = device.allocate(size, MemoryKind::Device)?;
    let stream = device.create_stream()?;
    // Which subgroup is the slow one.
    for slow in [0, 1, THREADS / width - 1] {
        stream.fill(memory.address(), 0, 4, size / 4)?;
        let mut parameters = [0; 24];
        parameters[..8].copy_from_slice(&memory.address().to_le_bytes());
        parameters[8..16].copy_from_slice(&(memory.address() + 256).to_le_bytes());
        parameters[16..20].copy_from_slice(&slow.to_le_bytes());
        parameters[20..].copy_from_slice(&width.to_le_bytes());
        stream.launch(
            &pipeline,
            &Launch {
                grid: [1, 1, 1],
                parameters: &parameters,
                ..Launch::default()
            },
        )?;
        let mut result = vec![0; THREADS as usize * 4];
        stream.read(memory.address() + 256, &mut result)?;
        let right = result.chunks_exact(4).enumerate().all(|(thread, word)| {
            let subgroup = thread as u32 / width;
            let yields = if subgroup == slow {
                SLOW_YIELDS
            } else {
                subgroup % 3 + 1
            };
            // The word is the yields, and the arrival of all threads in its top bit.
            u32::from_le_bytes(word.try_into().expect("four bytes")) == yields | 1 << 31
        });
        if !right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Yields of the slow subgroup of the probe.
const SLOW_YIELDS: u32 = 50;

/// Yields after which a thread of the probe gives up.
const MOST_YIELDS: u32 = 1 << 12;

/// A measurement that is the same for every process with this driver: kept on disk.
pub(crate) fn cached_probe(
    device: &Arc<Device>,
    name: &str,
    measure: impl FnOnce(&Arc<Device>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let physical = device.physical();
    let mut key = format!("{name} 1 {} {} ", physical.name(), physical.driver().info).into_bytes();
    key.extend(physical.driver().uuid);
    key.extend(physical.driver().version.to_le_bytes());
    key.extend(physical.pipeline_cache_uuid);
    let cache = Cache::open("probes");
    match cache.get(&key).as_deref() {
        Some([0]) => Ok(false),
        Some([1]) => Ok(true),
        _ => {
            let result = measure(device)?;
            tracing::debug!(device = physical.name(), name, result, "measured");
            cache.put(&key, &[u8::from(result)]);
            Ok(result)
        }
    }
}

fn pipeline(
    shared: &Arc<Shared>,
    name: &str,
    parameter_bytes: u32,
    threads: u32,
    kernel: Result<Vec<u32>, BuildError>,
) -> Result<Arc<Pipeline>, Error> {
    let spirv = kernel.map_err(|error| Error::Pipeline {
        kernel: name.to_owned(),
        what: error.to_string(),
    })?;
    let info = KernelInfo {
        max_threads: threads,
        ..KernelInfo::plain(name, parameter_bytes)
    };
    Shader::new(&shared.raw, &shared.pipeline_cache, &spirv, &info)?.pipeline([threads, 1, 1], 0)
}

/// The types and variables that every kernel here has, with the builder inside its main function.
struct Kernel {
    b: Builder,
    uint: Word,
    ulong: Word,
    boolean: Word,
    /// The address in push constant 0.
    parameters: Word,
    /// gl_LocalInvocationIndex.
    thread: Word,
    /// gl_WorkGroupID.x.
    group: Word,
    /// Variables of a thread, 0 at first.
    counters: [Word; 2],
}

impl Kernel {
    fn begin() -> Result<Self, BuildError> {
        let mut b = Builder::new();
        b.set_version(1, 6);
        b.capability(Capability::Shader);
        b.capability(Capability::Int64);
        b.capability(Capability::PhysicalStorageBufferAddresses);
        b.capability(Capability::VulkanMemoryModel);
        b.memory_model(
            AddressingModel::PhysicalStorageBuffer64,
            MemoryModel::Vulkan,
        );
        let void = b.type_void();
        let boolean = b.type_bool();
        let uint = b.type_int(32, 0);
        let ulong = b.type_int(64, 0);
        let uint3 = b.type_vector(uint, 3);
        let size = b.spec_constant_bit32(uint, 32);
        b.decorate(size, Decoration::SpecId, [Operand::LiteralBit32(0)]);
        let one = b.constant_bit32(uint, 1);
        let zero = b.constant_bit32(uint, 0);

        let block = b.type_struct([ulong]);
        b.decorate(block, Decoration::Block, []);
        b.member_decorate(block, 0, Decoration::Offset, [Operand::LiteralBit32(0)]);
        let block_pointer = b.type_pointer(None, StorageClass::PushConstant, block);
        let ulong_pointer = b.type_pointer(None, StorageClass::PushConstant, ulong);
        let push = b.variable(block_pointer, None, StorageClass::PushConstant, None);

        let mut input = |kind: Word, built_in: BuiltIn| {
            let pointer = b.type_pointer(None, StorageClass::Input, kind);
            let variable = b.variable(pointer, None, StorageClass::Input, None);
            b.decorate(variable, Decoration::BuiltIn, [Operand::BuiltIn(built_in)]);
            variable
        };
        let thread = input(uint, BuiltIn::LocalInvocationIndex);
        let group = input(uint3, BuiltIn::WorkgroupId);

        let function = b.type_function(void, []);
        let main = b.begin_function(void, None, FunctionControl::NONE, function)?;
        b.entry_point(
            ExecutionModel::GLCompute,
            main,
            "main",
            [push, thread, group],
        );
        b.execution_mode_id(main, ExecutionMode::LocalSizeId, [size, one, one]);
        b.begin_block(None)?;
        // SPIR-V wants variables first.
        let counter = b.type_pointer(None, StorageClass::Function, uint);
        let counters =
            [(); 2].map(|()| b.variable(counter, None, StorageClass::Function, Some(zero)));
        let place = b.access_chain(ulong_pointer, None, push, [zero])?;
        let parameters = b.load(ulong, None, place, None, [])?;
        let thread = b.load(uint, None, thread, None, [])?;
        let groups = b.load(uint3, None, group, None, [])?;
        let group = b.composite_extract(uint, None, groups, [0])?;
        Ok(Self {
            b,
            uint,
            ulong,
            boolean,
            parameters,
            thread,
            group,
            counters,
        })
    }

    fn finish(mut self) -> Result<Vec<u32>, BuildError> {
        self.b.ret()?;
        self.b.end_function()?;
        Ok(self.b.module().assemble())
    }

    fn uint(&mut self, value: u32) -> Word {
        self.b.constant_bit32(self.uint, value)
    }

    fn ulong(&mut self, value: u64) -> Word {
        self.b.constant_bit64(self.ulong, value)
    }

    fn pointer(&mut self, kind: Word, address: Word) -> Result<Word, BuildError> {
        let pointer = self
            .b
            .type_pointer(None, StorageClass::PhysicalStorageBuffer, kind);
        self.b.convert_u_to_ptr(pointer, None, address)
    }

    fn load(&mut self, kind: Word, address: Word, alignment: u32) -> Result<Word, BuildError> {
        let pointer = self.pointer(kind, address)?;
        let aligned = [Operand::LiteralBit32(alignment)];
        self.b
            .load(kind, None, pointer, Some(MemoryAccess::ALIGNED), aligned)
    }

    fn store(
        &mut self,
        kind: Word,
        address: Word,
        value: Word,
        alignment: u32,
    ) -> Result<(), BuildError> {
        let pointer = self.pointer(kind, address)?;
        let aligned = [Operand::LiteralBit32(alignment)];
        self.b
            .store(pointer, value, Some(MemoryAccess::ALIGNED), aligned)
    }

    /// `while (condition) { barrier; counter += 1; }`. The condition is given the counter's value.
    fn yield_while(
        &mut self,
        counter: Word,
        condition: impl FnOnce(&mut Self, Word) -> Result<Word, BuildError>,
    ) -> Result<(), BuildError> {
        let [header, test, body, next, merge] = std::array::from_fn(|_| self.b.id());
        self.b.branch(header)?;
        self.b.begin_block(Some(header))?;
        self.b
            .loop_merge(merge, next, LoopControl::DONT_UNROLL, [])?;
        self.b.branch(test)?;
        self.b.begin_block(Some(test))?;
        let count = self.b.load(self.uint, None, counter, None, [])?;
        let go_on = condition(self, count)?;
        self.b.branch_conditional(go_on, body, merge, [])?;
        self.b.begin_block(Some(body))?;
        self.barrier()?;
        let one = self.uint(1);
        let count = self.b.i_add(self.uint, None, count, one)?;
        self.b.store(counter, count, None, [])?;
        self.b.branch(next)?;
        self.b.begin_block(Some(next))?;
        self.b.branch(header)?;
        self.b.begin_block(Some(merge))?;
        Ok(())
    }

    fn barrier(&mut self) -> Result<(), BuildError> {
        let scope = self.uint(Scope::Workgroup as u32);
        let semantics =
            self.uint((MemorySemantics::ACQUIRE_RELEASE | MemorySemantics::UNIFORM_MEMORY).bits());
        self.b.control_barrier(scope, scope, semantics)
    }

    /// `address + offset`.
    fn offset(&mut self, address: Word, offset: u64) -> Result<Word, BuildError> {
        let offset = self.ulong(offset);
        self.b.i_add(self.ulong, None, address, offset)
    }
}

fn copy_kernel() -> Result<Vec<u32>, BuildError> {
    let mut k = Kernel::begin()?;
    let (uint, ulong, boolean) = (k.uint, k.ulong, k.boolean);
    let element = k.b.type_vector(uint, 4);
    let base = k.parameters;
    let mut words = [0; 3];
    for (index, word) in words.iter_mut().enumerate() {
        let address = k.offset(base, index as u64 * 8)?;
        *word = k.load(ulong, address, 8)?;
    }
    let [destination, source, elements] = words;
    let group = k.b.u_convert(ulong, None, k.group)?;
    let thread = k.b.u_convert(ulong, None, k.thread)?;
    let per_group = k.ulong(COPY_ELEMENTS);
    let first = k.b.i_mul(ulong, None, group, per_group)?;
    let first = k.b.i_add(ulong, None, first, thread)?;
    let bytes = k.ulong(16);
    for step in 0..COPY_STEPS {
        let index = k.offset(first, u64::from(step * COPY_THREADS))?;
        let inside = k.b.u_less_than(boolean, None, index, elements)?;
        let (then, merge) = (k.b.id(), k.b.id());
        k.b.selection_merge(merge, SelectionControl::NONE)?;
        k.b.branch_conditional(inside, then, merge, [])?;
        k.b.begin_block(Some(then))?;
        let offset = k.b.i_mul(ulong, None, index, bytes)?;
        let from = k.b.i_add(ulong, None, source, offset)?;
        let to = k.b.i_add(ulong, None, destination, offset)?;
        let value = k.load(element, from, 16)?;
        k.store(element, to, value, 16)?;
        k.b.branch(merge)?;
        k.b.begin_block(Some(merge))?;
    }
    k.finish()
}

fn fma_kernel() -> Result<Vec<u32>, BuildError> {
    let mut k = Kernel::begin()?;
    let glsl = k.b.ext_inst_import("GLSL.std.450");
    let float = k.b.type_float(32);
    let base = k.load(k.ulong, k.parameters, 8)?;
    let bytes = k.uint(16);
    let offset = k.b.i_mul(k.uint, None, k.thread, bytes)?;
    let offset = k.b.u_convert(k.ulong, None, offset)?;
    let base = k.b.i_add(k.ulong, None, base, offset)?;
    let mut operands = Vec::new();
    for index in 0..3 {
        let address = k.offset(base, index * 4)?;
        operands.push(Operand::IdRef(k.load(float, address, 4)?));
    }
    let result =
        k.b.ext_inst(float, None, glsl, GLOp::Fma as u32, operands)?;
    k.b.decorate(result, Decoration::NoContraction, []);
    let address = k.offset(base, 12)?;
    k.store(float, address, result, 4)?;
    k.finish()
}

fn yield_kernel(threads: u32) -> Result<Vec<u32>, BuildError> {
    let mut k = Kernel::begin()?;
    let [counter, waits] = k.counters;
    let (uint, ulong, boolean) = (k.uint, k.ulong, k.boolean);
    let base = k.parameters;
    let done = k.load(ulong, base, 8)?;
    let address = k.offset(base, 8)?;
    let out = k.load(ulong, address, 8)?;
    let address = k.offset(base, 16)?;
    let slow = k.load(uint, address, 4)?;
    let address = k.offset(base, 20)?;
    let width = k.load(uint, address, 4)?;
    let thread = k.thread;
    let subgroup = k.b.u_div(uint, None, thread, width)?;
    let is_slow = k.b.i_equal(boolean, None, subgroup, slow)?;
    let (one, three, many) = (k.uint(1), k.uint(3), k.uint(SLOW_YIELDS));
    let few = k.b.u_mod(uint, None, subgroup, three)?;
    let few = k.b.i_add(uint, None, few, one)?;
    let wanted = k.b.select(uint, None, is_slow, many, few)?;
    k.yield_while(counter, |k, count| {
        k.b.u_less_than(k.boolean, None, count, wanted)
    })?;

    let done = k.pointer(uint, done)?;
    let device = k.uint(Scope::Workgroup as u32);
    let relaxed = k.uint(0);
    k.b.atomic_i_add(uint, None, done, device, relaxed, one)?;
    let all = k.uint(threads);
    let most = k.uint(MOST_YIELDS);
    k.yield_while(waits, |k, count| {
        let arrived = k.b.atomic_load(k.uint, None, done, device, relaxed)?;
        let missing = k.b.u_less_than(k.boolean, None, arrived, all)?;
        let patient = k.b.u_less_than(k.boolean, None, count, most)?;
        k.b.logical_and(k.boolean, None, missing, patient)
    })?;
    let arrived = k.b.atomic_load(uint, None, done, device, relaxed)?;
    let complete = k.b.i_equal(boolean, None, arrived, all)?;
    let (yes, no) = (k.uint(1 << 31), k.uint(0));
    let flag = k.b.select(uint, None, complete, yes, no)?;
    let count = k.b.load(uint, None, counter, None, [])?;
    let word = k.b.bitwise_or(uint, None, count, flag)?;
    let four = k.uint(4);
    let offset = k.b.i_mul(uint, None, thread, four)?;
    let offset = k.b.u_convert(ulong, None, offset)?;
    let place = k.b.i_add(ulong, None, out, offset)?;
    k.store(uint, place, word, 4)?;
    k.finish()
}
