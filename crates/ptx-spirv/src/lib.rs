//! PTX kernels to SPIR-V compute shaders for Vulkan 1.3.
//!
//! A pure function: [`translate`] takes a parsed module, the name of a kernel and a description of the device, and gives
//! back SPIR-V words and a [`KernelInfo`] that says how to launch them. The contract between the shader and the runtime
//! (push constants, specialisation constants, scratch, fault record) is in `docs/design.md`, "The launch contract".

mod active;
pub mod assembler;
mod emit;
pub mod graph;
mod in_step;
mod known_bits;
pub mod layout;
mod liveness;
mod local_offsets;
mod polling;
mod pressure;
pub mod provenance;
mod rolls;
mod roots;
pub mod target;
mod turns;
pub mod uniform;

pub use layout::{ModuleLayout, Relocation, RelocationTarget, VariableLayout};
pub use target::{MatrixMemory, MatrixShape, MatrixUnits, Rows, SharedMemory, Target, Warps};

use serde::{Deserialize, Serialize};

/// Raised whenever the output changes for the same input: part of the key of cached translations.
pub const REVISION: u32 = 71;

/// Registers that a compiler takes beside those of PTX.
const ADDRESSES: u32 = 10;

/// Size of the push-constant block, bytes.
pub const PUSH_CONSTANT_BYTES: u32 = 96;

/// Where the fault record holds the address of the heap that kernels allocate from, bytes; 0 where there is none.
pub const HEAP_ADDRESS_OFFSET: u32 = 248;

/// Size of the workspace of a grid: u32 size, u32 barrier, and room for what cooperative groups may add.
pub const GRID_WORKSPACE_BYTES: u32 = 64;

/// One kernel parameter in the parameter block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Byte offset in the block.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

/// What the runtime has to know to launch a translated kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelInfo {
    /// The kernel's name as written in PTX.
    pub name: String,
    /// The parameters in order.
    pub parameters: Vec<Parameter>,
    /// Bytes of the parameter block, the grid's workspace included.
    pub parameter_bytes: u32,
    /// Whether the parameter block lies in the push constants, behind the others ([`PUSH_CONSTANT_BYTES`]), instead of in
    /// memory.
    pub inline_parameters: bool,
    /// The module's texture, sampler and surface references that the kernel uses. Their handles are in the parameter block, eight
    /// bytes each, behind the parameters.
    pub references: Vec<String>,
    /// Where the first is.
    pub references_offset: u32,
    /// Where in the parameter block the grid's workspace lies, in kernels that ask for the grid's handle (`%envreg1`,
    /// `%envreg2`: cooperative groups). [`GRID_WORKSPACE_BYTES`] bytes, zero; the first word is not zero in a cooperative
    /// launch, whose blocks are all resident at once.
    pub grid_workspace_offset: Option<u32>,
    /// Static shared memory, bytes. Dynamic shared memory starts at this offset rounded up to `dynamic_shared_align`.
    pub static_shared: u32,
    /// Alignment of the dynamic shared array, 16 at least; 1 where the kernel has none.
    pub dynamic_shared_align: u32,
    /// Whether shared memory lives in the scratch slice (else in Vulkan workgroup memory, specialisation constant 4).
    pub shared_in_scratch: bool,
    /// Workgroup memory, behind shared memory, through which each warp's fragments of matrices go, bytes.
    pub matrix_slot_bytes: u32,
    /// Local memory of a thread, bytes.
    pub local_bytes: u32,
    /// Whether local memory lives in the scratch slice.
    pub local_in_scratch: bool,
    /// Whether the shader keeps warp state in its scratch slice (Warps::Yield).
    pub warp_state: bool,
    /// Words a lane publishes at once in that state.
    pub warp_slot_words: u32,
    /// `.maxntid`, the product; 1024 where absent.
    pub max_threads: u32,
    /// `.reqntid`.
    pub required_threads: Option<[u32; 3]>,
    /// `.minnctapersm`.
    pub min_blocks_per_multiprocessor: Option<u32>,
    /// Required subgroup size of the pipeline (0: leave it to the driver).
    pub subgroup_size: u32,
    /// Whether the kernel calls `vprintf`, and writes the printf buffer.
    pub uses_printf: bool,
    /// Whether the kernel calls `__assertfail`, and writes the printf buffer where an assertion fails.
    pub uses_assert: bool,
    /// Whether the kernel calls `malloc` or `free`: the heap's address is in the fault record ([`HEAP_ADDRESS_OFFSET`]).
    pub uses_heap: bool,
    /// Whether the translation is for blocks with [`Target::rows`] alone: those with other rows need another.
    pub rows_matter: bool,
    /// PTX ISA version times ten (`CU_FUNC_ATTRIBUTE_PTX_VERSION` counts the target, see `target`).
    pub ptx_version: u32,
    /// The target of the PTX, `90` of `sm_90`.
    pub target: u32,
    /// Most registers that are alive at once and some more for addresses, in 32-bit units, capped at 255: an estimate for
    /// `CU_FUNC_ATTRIBUTE_NUM_REGS`.
    pub registers: u32,
}

impl KernelInfo {
    /// Whether the kernel may write the printf buffer.
    pub fn writes_records(&self) -> bool {
        self.uses_printf || self.uses_assert
    }

    /// A kernel with a block of parameters and nothing else, for shaders that are not made of PTX.
    pub fn plain(name: &str, parameter_bytes: u32) -> Self {
        Self {
            name: name.to_owned(),
            parameters: Vec::new(),
            parameter_bytes,
            inline_parameters: false,
            references: Vec::new(),
            references_offset: 0,
            grid_workspace_offset: None,
            static_shared: 0,
            dynamic_shared_align: 1,
            shared_in_scratch: false,
            matrix_slot_bytes: 0,
            local_bytes: 0,
            local_in_scratch: false,
            warp_state: false,
            warp_slot_words: 0,
            max_threads: 1024,
            required_threads: None,
            min_blocks_per_multiprocessor: None,
            subgroup_size: 0,
            uses_printf: false,
            uses_assert: false,
            uses_heap: false,
            rows_matter: false,
            ptx_version: 80,
            target: 90,
            registers: 16,
        }
    }

    /// The parameter block of a launch with these packed arguments: themselves, and behind them the grid's workspace if
    /// the kernel asks for the grid's handle. Vulkan promises that workgroups are resident together only where there is
    /// one, so the workspace is marked as usable for grids of one block and where the runtime says that it has seen to that
    /// (`resident`); all others get the handle 0, which cooperative groups take for a launch that is not cooperative.
    ///
    /// `references` are the handles of [`KernelInfo::references`]; what is missing is 0.
    pub fn parameter_block<'a>(
        &self,
        arguments: &'a [u8],
        references: &[u64],
        grid: [u32; 3],
        resident: bool,
    ) -> std::borrow::Cow<'a, [u8]> {
        if self.grid_workspace_offset.is_none() && self.references.is_empty() {
            return arguments.into();
        }
        let mut block = arguments.to_vec();
        block.resize(self.parameter_bytes as usize, 0);
        let places = block[self.references_offset as usize..].chunks_exact_mut(8);
        for (place, handle) in places.zip(references).take(self.references.len()) {
            place.copy_from_slice(&handle.to_le_bytes());
        }
        if let Some(offset) = self.grid_workspace_offset {
            if resident || grid == [1, 1, 1] {
                block[offset as usize] = GRID_WORKSPACE_BYTES as u8;
            }
        }
        block.into()
    }

    /// Bytes of warp state at the start of a scratch slice for a block of this many threads.
    pub fn warp_state_bytes(&self, threads: u32) -> u32 {
        if !self.warp_state {
            return 0;
        }
        let threads = threads.next_multiple_of(32);
        (emit::warp_state::SLOTS
            + threads * (emit::warp_state::THREAD_BYTES + 3 * self.warp_slot_words * 4))
            .next_multiple_of(256)
    }

    /// Offset of shared memory in the slice, for a block of this many threads.
    pub fn shared_offset(&self, threads: u32) -> u32 {
        self.warp_state_bytes(threads)
    }

    /// Static plus dynamic shared memory, bytes.
    pub fn total_shared(&self, dynamic: u32) -> u32 {
        if dynamic == 0 {
            self.static_shared
        } else {
            self.static_shared
                .next_multiple_of(self.dynamic_shared_align.max(1))
                + dynamic
        }
    }

    /// Workgroup memory of a block of this many threads, bytes: specialisation constant 4. A multiple of 16, 16 at least.
    pub fn workgroup_memory(&self, threads: u32, dynamic: u32) -> u32 {
        let shared = if self.shared_in_scratch {
            0
        } else {
            self.total_shared(dynamic).next_multiple_of(16)
        };
        (shared + threads.div_ceil(32) * self.matrix_slot_bytes).max(16)
    }

    /// Offset of local memory in the slice.
    pub fn local_offset(&self, threads: u32, dynamic: u32) -> u32 {
        let shared = if self.shared_in_scratch {
            self.total_shared(dynamic)
        } else {
            0
        };
        self.shared_offset(threads) + shared.next_multiple_of(256)
    }

    /// Bytes of a workgroup's scratch slice; 0 where the kernel needs none.
    pub fn slice_bytes(&self, threads: u32, dynamic: u32) -> u32 {
        let local = if self.local_in_scratch {
            self.local_bytes * threads.next_multiple_of(32)
        } else {
            0
        };
        self.local_offset(threads, dynamic) + local.next_multiple_of(256)
    }
}

/// A translated kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// The SPIR-V module, version 1.6, entry point `main`.
    pub spirv: Vec<u32>,
    /// How to launch it.
    pub info: KernelInfo,
}

/// Why a kernel was not translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// The text is not PTX (CUDA_ERROR_INVALID_PTX), or not PTX that the parser knows.
    #[error("{kernel}: {source}")]
    Parse {
        /// The kernel.
        kernel: String,
        /// The parser's message with the line.
        source: ptx::ParseError,
    },
    /// No such kernel in the module (CUDA_ERROR_NOT_FOUND).
    #[error("the module has no kernel {0}")]
    NoKernel(String),
    /// Right PTX that the translator or the device cannot do (CUDA_ERROR_UNSUPPORTED_PTX_VERSION or NOT_SUPPORTED).
    #[error("{kernel}: line {line}: unsupported: {what}")]
    Unsupported {
        /// The kernel.
        kernel: String,
        /// 1-based line in the PTX.
        line: u32,
        /// The instruction or feature by name.
        what: String,
    },
    /// PTX that breaks a rule of the language (CUDA_ERROR_INVALID_PTX).
    #[error("{kernel}: line {line}: {what}")]
    Invalid {
        /// The kernel.
        kernel: String,
        /// 1-based line in the PTX.
        line: u32,
        /// What is wrong.
        what: String,
    },
}

/// Translates one kernel of a module for a device.
///
/// `layout` is [`ModuleLayout::new`] of the same module: where its variables lie in the module buffer.
pub fn translate(
    module: &ptx::Module,
    layout: &ModuleLayout,
    kernel: &str,
    target: &Target,
) -> Result<Translated, TranslateError> {
    let function = module
        .function(kernel)
        .filter(|f| f.is_entry && f.body.is_some())
        .ok_or_else(|| TranslateError::NoKernel(kernel.to_owned()))?;
    if let Some([x, y, z]) = function.required_cluster {
        if [x, y, z].iter().any(|&blocks| blocks > 1) {
            return Err(TranslateError::Unsupported {
                kernel: kernel.to_owned(),
                line: module.line(function.span),
                what: format!("clusters of several blocks (.reqnctapercluster {x}, {y}, {z})"),
            });
        }
    }
    let mut graph = graph::build_inlining(module, layout, function, target.most_inlined())?;
    let yields = matches!(target.warps, Warps::Yield { .. });
    turns::take(&mut graph, yields);
    if emit::has_partial_barriers(target, &graph) {
        graph.static_shared =
            graph.static_shared.next_multiple_of(16) + emit::partial_barrier_bytes(&graph);
    }
    if !yields && graph.uses_barrier_reduction() {
        graph.static_shared =
            graph.static_shared.next_multiple_of(16) + emit::BARRIER_COUNTER_BYTES;
    }
    if let Warps::Yield { width } = target.warps {
        in_step::order(&mut graph, module, layout, width);
        polling::mark(&mut graph);
        active::lanes(&mut graph, module, layout);
    }
    let structured = structurizer::structurize(&graph.shape());
    let (offsets, mut parameter_bytes) = function.parameter_offsets();
    if !graph.references.is_empty() {
        parameter_bytes = graph.references_offset + 8 * graph.references.len() as u32;
    }
    let grid_workspace_offset = graph.uses_grid_handle().then(|| {
        let offset = parameter_bytes.next_multiple_of(16);
        parameter_bytes = offset + GRID_WORKSPACE_BYTES;
        offset
    });
    let shared_in_scratch = emit::shared_in_scratch(target, &graph);
    let mut info = KernelInfo {
        name: kernel.to_owned(),
        parameters: offsets
            .iter()
            .zip(&function.parameters)
            .map(|(&offset, p)| Parameter {
                offset,
                size: p.size as u32,
            })
            .collect(),
        parameter_bytes,
        inline_parameters: grid_workspace_offset.is_none()
            && parameter_bytes <= target.inline_parameters
            && graph.reads_parameters_by_name(module, layout, parameter_bytes),
        references: graph.references.clone(),
        references_offset: graph.references_offset,
        grid_workspace_offset,
        static_shared: graph.static_shared,
        dynamic_shared_align: graph.dynamic_align.max(1),
        shared_in_scratch,
        matrix_slot_bytes: 0,
        local_bytes: graph.local_bytes,
        local_in_scratch: graph.local_bytes > 0 && target.shared_memory == SharedMemory::Scratch
            || graph.local_bytes > target.private_memory,
        warp_state: false,
        warp_slot_words: if graph.uses_matrices() {
            emit::MATRIX_SLOT_WORDS
        } else {
            4
        },
        max_threads: function
            .required_threads
            .or(function.max_threads)
            .map_or(1024, |[x, y, z]| x.saturating_mul(y).saturating_mul(z)),
        required_threads: function.required_threads,
        min_blocks_per_multiprocessor: function.min_blocks_per_multiprocessor,
        subgroup_size: match target.warps {
            Warps::Subgroup32 => 32,
            Warps::Subgroup64 => 64,
            Warps::Yield { .. } => 0,
        },
        uses_printf: false,
        uses_assert: false,
        uses_heap: graph.uses_heap(),
        rows_matter: false,
        ptx_version: u32::from(module.header.version.0) * 10 + u32::from(module.header.version.1),
        target: module.header.target,
        registers: (liveness::most_alive(&graph) + ADDRESSES).clamp(16, 255),
    };
    info.matrix_slot_bytes = emit::matrix_slot_bytes(target, &info, &graph);
    let rolls = emit::rolls(target, &info, &mut graph);
    let (spirv, info) = emit::emit(module, layout, &graph, &structured, (info, rolls), target)?;
    Ok(Translated { spirv, info })
}
