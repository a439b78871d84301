//! What the translator is told about the device it translates for.
//!
//! Plain data: no Vulkan handle, no I/O. The runtime fills it in from the physical device; tests use the profiles below.
//! Everything in here takes part in the key of cached translations.

use serde::{Deserialize, Serialize};

/// How a 32-lane warp is made on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Warps {
    /// The device runs subgroups of 32 invocations (required subgroup size): a warp is a subgroup.
    Subgroup32,
    /// Subgroups of 64: two warps in each.
    Subgroup64,
    /// Mesa's llvmpipe, whose subgroups have 4, 8 or 16 invocations: warps through memory, with workgroup barriers used
    /// as yields. Sound only because of how that driver schedules.
    Yield {
        /// Invocations in a subgroup.
        width: u32,
    },
}

/// Where CUDA shared memory lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SharedMemory {
    /// Vulkan workgroup memory, seen through aliased views (VK_KHR_workgroup_memory_explicit_layout).
    ExplicitLayout,
    /// The workgroup's slice of the scratch buffer.
    Scratch,
}

/// Rows of a block's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rows {
    /// Nothing is known.
    Any,
    /// Whole warps: `%ntid.x` is a multiple of 32, or `%ntid.y` and `%ntid.z` are 1.
    WholeWarps,
    /// One warp: `%ntid.x` is 32, and `%tid.x` the lane.
    OneWarp,
}

impl Rows {
    /// Of a block's shape.
    pub fn of(block: [u32; 3]) -> Self {
        match block {
            [32, ..] => Self::OneWarp,
            [x, y, z] if x % 32 == 0 || y * z == 1 => Self::WholeWarps,
            _ => Self::Any,
        }
    }
}

/// The shapes of `mma.sync` that the device does on cooperative matrices made of the lanes' registers.
///
/// Which elements of a cooperative matrix a lane holds is the driver's own affair: each of these is set only after a test
/// on the device has shown that they are PTX's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MatrixUnits {
    /// Half precision, 16x8x16, into sums of half and of single precision.
    pub half_k16: bool,
    /// Half precision, 16x8x8, into sums of half and of single precision.
    pub half_k8: bool,
    /// bfloat16, 16x16x16, half of it zeros; also for m16n8k8.
    pub brain_k16: bool,
    /// Signed bytes, 16x8x32; also for m16n8k16, with zeros.
    pub byte_k32: bool,
    /// Matrices of bytes are matrices of words, reinterpreted. No specification allows that (OpBitcast keeps the number of
    /// columns), but some compilers do it, and otherwise take words apart and put them together again, byte by byte.
    pub byte_words: bool,
    /// Products for which the former are not set, and whose fragments go through workgroup memory.
    pub memory: MatrixMemory,
    /// The same for matrices of half precision, in 16x8x16: words are not moved into place one by one.
    pub half_words: bool,
    /// The same for matrices of bfloat16.
    pub brain_words: bool,
    /// Whether a 16x8 matrix of sums in half precision becomes a B with the same numbers in other lanes
    /// (SPV_NV_cooperative_matrix2): each 8x8 of it transposed, as `ldmatrix.trans` does.
    pub transposes: bool,
}

impl MatrixUnits {
    /// Every shape, as NVIDIA's GPUs have them.
    pub const ALL: Self = Self {
        half_k16: true,
        half_k8: true,
        brain_k16: true,
        byte_k32: true,
        byte_words: false,
        memory: MatrixMemory::NONE,
        half_words: false,
        brain_words: false,
        transposes: false,
    };
}

/// The shape of a product of cooperative matrices: A has `m` rows, B `n` columns, and `k` is what they have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MatrixShape {
    pub m: u8,
    pub n: u8,
    pub k: u8,
}

impl MatrixShape {
    /// M, N and K.
    pub const fn new(m: u8, n: u8, k: u8) -> Self {
        Self { m, n, k }
    }
}

/// The products of `mma.sync` that are made of cooperative matrices which are loaded from workgroup memory, where the lanes
/// put their fragments, and stored there for them. By the specification that is right whatever a lane holds of such a
/// matrix. 8x8, 8x16, 16x8 and 16x16 rows and columns can be used, with 16 elements of k in half precision, 16 or 32 of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MatrixMemory {
    /// Half precision into sums of single precision; also those into half precision, unless there is `half`.
    pub half_single: Option<MatrixShape>,
    /// Half precision into sums of half precision.
    pub half: Option<MatrixShape>,
    /// Signed bytes into sums of 32 bits.
    pub signed: Option<MatrixShape>,
    /// Unsigned bytes into sums of 32 bits.
    pub unsigned: Option<MatrixShape>,
}

impl MatrixMemory {
    /// None of them.
    pub const NONE: Self = Self {
        half_single: None,
        half: None,
        signed: None,
        unsigned: None,
    };
}

/// A device as the translator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// How warps are made.
    pub warps: Warps,
    /// Where shared memory lives, unless a kernel needs more than `workgroup_memory` bytes of static shared memory.
    pub shared_memory: SharedMemory,
    /// `maxComputeSharedMemorySize`, bytes.
    pub workgroup_memory: u32,
    /// Bytes of local memory that a thread may have in variables of the shader; more is in scratch. NVIDIA's compiler gives up
    /// somewhere between 15,360 and 16,000, and Mesa's for Intel has 8 KiB for all that a lane does not keep in registers.
    pub private_memory: u32,
    /// shaderFloat64.
    pub float64: bool,
    /// shaderMaximalReconvergence.
    pub maximal_reconvergence: bool,
    /// shaderDenormPreserveFloat32 (and that the driver honours it).
    pub denorm_preserve_f32: bool,
    /// shaderDenormPreserveFloat16. NVIDIA's driver has no such mode for single precision, but this one makes it keep
    /// subnormal numbers in comparisons and conversions of single precision, too.
    pub denorm_preserve_f16: bool,
    /// shaderDenormPreserveFloat64.
    pub denorm_preserve_f64: bool,
    /// shaderDenormFlushToZeroFloat32.
    pub denorm_flush_f32: bool,
    /// Whether Fma flushes in single precision, whatever the modes of the shader. NVIDIA's driver has no mode for it, and does.
    pub fma_flushes: bool,
    /// shaderRoundingModeRTEFloat32.
    pub rounding_rte_f32: bool,
    /// shaderSignedZeroInfNanPreserveFloat16.
    pub nan_preserve_f16: bool,
    /// shaderSignedZeroInfNanPreserveFloat32.
    pub nan_preserve_f32: bool,
    /// shaderSignedZeroInfNanPreserveFloat64.
    pub nan_preserve_f64: bool,
    /// Whether the driver's compiler computes with constant zeros. Mesa's takes `x + 0` for `x` (also where `x` is -0), whatever the
    /// modes say, and llvmpipe `x * 0` and `0 / x` for 0, `x / 0` for anything (seen in 25.0).
    pub computes_with_zeros: bool,
    /// Whether GLSL.std.450 Fma rounds once.
    pub fused_fma: bool,
    /// Where `fused_fma` is false: whether single-precision fma made of double-precision arithmetic rounds once in every
    /// case. Without, one result in about 2^29 with random operands is off by its last bit.
    pub exact_fma: bool,
    /// Whether `.ftz` flushes by instructions in kernels in which the shader cannot do it (`emit/subnormal.rs`), as PTX has it.
    /// Without, subnormal numbers are kept there.
    pub flush_explicitly: bool,
    /// shaderBufferFloat32AtomicAdd.
    pub atomic_f32_add: bool,
    /// shaderBufferFloat64AtomicAdd.
    pub atomic_f64_add: bool,
    /// shaderBufferInt64Atomics.
    pub atomic_i64: bool,
    /// shaderSharedInt64Atomics.
    pub shared_atomic_i64: bool,
    /// shaderSubgroupClock.
    pub subgroup_clock: bool,
    /// Nanoseconds of a tick of the device's clock (shaderDeviceClock), which `%globaltimer` and `nanosleep` go by; 0 where nobody knows.
    pub device_clock: u32,
    /// vulkanMemoryModel and vulkanMemoryModelDeviceScope.
    pub memory_model: bool,
    /// Whether Sqrt in single precision rounds once, also where its operand is subnormal, and InverseSqrt takes such ones.
    pub exact_sqrt: bool,
    /// Whether Exp2 in single precision is within two units of the last place, as ex2 is; else ex2 is arithmetic.
    pub precise_exp2: bool,
    /// Whether NMin and NMax take -0 for less than +0, in single precision.
    pub min_max_orders_zeros: bool,
    /// Whether conversions from single to half precision make 0x7fff of every NaN, as PTX says.
    pub canonical_half_nan: bool,
    /// Which products of matrices the device does itself.
    pub matrix_units: MatrixUnits,
    /// Words of registers that a lane has, where the driver's compiler takes too long to find out which values are in memory
    /// when there are more (Mesa's for Intel); 0 elsewhere.
    pub registers: u32,
    /// Words of SPIR-V after which a basic block is ended, where the driver's compiler takes time with the square of a block's
    /// instructions (Mesa's for Intel: `brw_opt_address_reg_load` walks a block once for each of its instructions); 0 elsewhere.
    pub block_words: u32,
    /// Most bytes of kernel parameters that fit behind the push constants; parameters of up to this many are there, not in
    /// memory.
    pub inline_parameters: u32,
    /// Whether additions of a number to a register that later steps read go through a shuffle, in kernels whose shared
    /// memory is in scratch. NVIDIA's compiler (driver 580) moves the addition to a loop's counter to the front of the loop
    /// and then takes the raised counter for an address of this step (flash attention with heads of 320 and 256). And whether integers
    /// that become floating-point numbers are hidden, in kernels with one copy of a function for all calls: that compiler finds that such
    /// a number is never between 0 and 1, and leaves out the comparison with 0 together with what is for those (CuPy's `betaincinv`).
    pub opaque_counters: bool,
    /// Whether bytes of words are cheap to permute where they are vectors of four bytes, a number of 64 bits is shifted in one
    /// instruction, and products are added beside logic, in other units (NVIDIA's PRMT, SHF and IMAD).
    pub byte_shuffles: bool,
    /// Whether a shuffle of the subgroup reads 0 from invocations that are not there (NVIDIA's).
    pub absent_lanes_read_zero: bool,
    /// What the blocks that the translation is for are known to have; `KernelInfo::rows_matter` says whether that made a
    /// difference.
    pub rows: Rows,
}

/// Bytes behind the push constants where a device has 256 of them, as all drivers of desktop GPUs do.
const INLINE: u32 = 256 - crate::PUSH_CONSTANT_BYTES;

/// Words of a basic block with which Mesa 25.0's compiler for Intel is at ease: some thousand instructions of the device.
const BLOCK_WORDS: u32 = 4000;

impl Target {
    /// Mesa lavapipe 25.0 with 8-wide subgroups.
    pub fn lavapipe() -> Self {
        Self {
            warps: Warps::Yield { width: 8 },
            shared_memory: SharedMemory::Scratch,
            workgroup_memory: 32 << 10,
            private_memory: 64 << 10,
            float64: true,
            maximal_reconvergence: true,
            denorm_preserve_f32: false,
            denorm_preserve_f16: false,
            denorm_preserve_f64: false,
            denorm_flush_f32: false,
            fma_flushes: false,
            rounding_rte_f32: true,
            nan_preserve_f16: true,
            nan_preserve_f32: true,
            nan_preserve_f64: true,
            computes_with_zeros: false,
            fused_fma: false,
            exact_fma: false,
            flush_explicitly: true,
            atomic_f32_add: true,
            atomic_f64_add: false,
            atomic_i64: true,
            shared_atomic_i64: true,
            subgroup_clock: true,
            device_clock: 1,
            memory_model: true,
            exact_sqrt: true,
            precise_exp2: false,
            min_max_orders_zeros: false,
            canonical_half_nan: false,
            matrix_units: MatrixUnits::default(),
            registers: 0,
            block_words: 0,
            inline_parameters: INLINE,
            opaque_counters: false,
            byte_shuffles: false,
            absent_lanes_read_zero: false,
            rows: Rows::Any,
        }
    }

    /// A discrete GPU with 32-wide subgroups and every optional feature used.
    pub fn subgroup32() -> Self {
        Self {
            warps: Warps::Subgroup32,
            shared_memory: SharedMemory::ExplicitLayout,
            workgroup_memory: 64 << 10,
            private_memory: 64 << 10,
            float64: true,
            maximal_reconvergence: true,
            denorm_preserve_f32: true,
            denorm_preserve_f16: true,
            denorm_preserve_f64: true,
            denorm_flush_f32: true,
            fma_flushes: false,
            rounding_rte_f32: true,
            nan_preserve_f16: true,
            nan_preserve_f32: true,
            nan_preserve_f64: true,
            computes_with_zeros: false,
            fused_fma: true,
            exact_fma: true,
            flush_explicitly: true,
            atomic_f32_add: true,
            atomic_f64_add: true,
            atomic_i64: true,
            shared_atomic_i64: true,
            subgroup_clock: true,
            device_clock: 1,
            memory_model: true,
            exact_sqrt: false,
            precise_exp2: true,
            min_max_orders_zeros: false,
            canonical_half_nan: false,
            matrix_units: MatrixUnits::default(),
            registers: 0,
            block_words: 0,
            inline_parameters: INLINE,
            opaque_counters: false,
            byte_shuffles: false,
            absent_lanes_read_zero: false,
            rows: Rows::WholeWarps,
        }
    }

    /// The same without a single optional feature: single precision and 32-bit atomics, shared memory in scratch. (That Fma
    /// rounds once is no feature, and stays.)
    pub fn subgroup32_minimal() -> Self {
        Self {
            warps: Warps::Subgroup32,
            shared_memory: SharedMemory::Scratch,
            workgroup_memory: 16 << 10,
            private_memory: 64 << 10,
            float64: false,
            maximal_reconvergence: false,
            denorm_preserve_f32: false,
            denorm_preserve_f16: false,
            denorm_preserve_f64: false,
            denorm_flush_f32: false,
            fma_flushes: false,
            rounding_rte_f32: false,
            nan_preserve_f16: false,
            nan_preserve_f32: false,
            nan_preserve_f64: false,
            computes_with_zeros: true,
            fused_fma: true,
            exact_fma: true,
            flush_explicitly: true,
            atomic_f32_add: false,
            atomic_f64_add: false,
            atomic_i64: false,
            shared_atomic_i64: false,
            subgroup_clock: false,
            device_clock: 0,
            memory_model: true,
            exact_sqrt: false,
            precise_exp2: true,
            min_max_orders_zeros: false,
            canonical_half_nan: false,
            matrix_units: MatrixUnits::default(),
            registers: 0,
            block_words: 0,
            inline_parameters: 128 - crate::PUSH_CONSTANT_BYTES,
            opaque_counters: false,
            byte_shuffles: false,
            absent_lanes_read_zero: false,
            rows: Rows::Any,
        }
    }

    /// A GPU whose subgroups have 64 invocations (AMD GCN), with every optional feature used.
    pub fn subgroup64() -> Self {
        Self {
            warps: Warps::Subgroup64,
            ..Self::subgroup32()
        }
    }

    /// An Intel GPU of the second Xe generation (Lunar Lake, Battlemage) under Mesa's driver.
    pub fn xe2() -> Self {
        let bytes = Some(MatrixShape::new(8, 16, 32));
        Self {
            workgroup_memory: 128 << 10,
            private_memory: 4 << 10,
            registers: 64,
            block_words: BLOCK_WORDS,
            matrix_units: MatrixUnits {
                memory: MatrixMemory {
                    half_single: Some(MatrixShape::new(8, 16, 16)),
                    half: None,
                    signed: bytes,
                    unsigned: bytes,
                },
                ..MatrixUnits::default()
            },
            ..Self::subgroup32()
        }
    }

    /// An Intel GPU of the generation before it (DG2: Arc A770) under Mesa's driver.
    pub fn xe_hpg() -> Self {
        let bytes = Some(MatrixShape::new(8, 8, 32));
        let mut target = Self {
            workgroup_memory: 64 << 10,
            registers: 32,
            float64: false,
            ..Self::xe2()
        };
        target.matrix_units.memory = MatrixMemory {
            half_single: Some(MatrixShape::new(8, 8, 16)),
            half: None,
            signed: bytes,
            unsigned: bytes,
        };
        target
    }

    /// An NVIDIA GPU under NVIDIA's driver: its matrix units work on PTX's fragments.
    pub fn nvidia() -> Self {
        Self {
            computes_with_zeros: true,
            min_max_orders_zeros: true,
            canonical_half_nan: true,
            matrix_units: MatrixUnits::ALL,
            workgroup_memory: 48 << 10,
            private_memory: 12 << 10,
            denorm_preserve_f32: false,
            denorm_preserve_f64: false,
            denorm_flush_f32: false,
            fma_flushes: true,
            opaque_counters: true,
            byte_shuffles: true,
            absent_lanes_read_zero: true,
            ..Self::subgroup32()
        }
    }

    /// Statements of a kernel up to which every call is inlined. Mesa's compiler for AMD takes kernels of 280,000 (docs/benchmarks.md),
    /// and likes them better than the loop that one copy for all calls makes of a kernel. LLVM takes minutes for what llvmpipe makes of
    /// 17,000. (A kernel whose functions call themselves is such a loop in any case, and is a fifth as large with one copy of each.)
    pub fn most_inlined(&self) -> u64 {
        match self.warps {
            Warps::Yield { .. } => 1 << 13,
            _ => 1 << 19,
        }
    }

    /// What asks less of the driver's compiler than this, by a number of steps. With each there are half as many registers, or, where
    /// all registers are the compiler's, the only step takes local memory out of the shader's variables. None: there is no such step.
    pub fn reduced(&self, steps: u32) -> Option<Self> {
        let mut target = self.clone();
        match (steps, self.registers) {
            (0, _) => {}
            (1, 0) => target.private_memory = 0,
            (_, 0) => return None,
            (_, registers) => target.registers = registers.checked_shr(steps).filter(|&r| r > 0)?,
        }
        Some(target)
    }

    /// Names of the kinds of device that every kernel is translated and validated for. [`Target::profile`] also knows
    /// `nvidia`, `xe2` and `xe-hpg`, whose cooperative matrices old validators do not know.
    pub const PROFILES: [&'static str; 4] =
        ["lavapipe", "subgroup32", "subgroup32-minimal", "subgroup64"];

    /// A kind of device by name.
    pub fn profile(name: &str) -> Option<Self> {
        Some(match name {
            "lavapipe" => Self::lavapipe(),
            "subgroup32" => Self::subgroup32(),
            "subgroup32-minimal" => Self::subgroup32_minimal(),
            "subgroup64" => Self::subgroup64(),
            "nvidia" => Self::nvidia(),
            "xe2" => Self::xe2(),
            "xe-hpg" => Self::xe_hpg(),
            _ => return None,
        })
    }
}
