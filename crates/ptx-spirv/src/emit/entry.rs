//! The shader's frame: capabilities, push constants, what every thread computes first, and the entry point.
//!
//! Where warps are made with yields the kernel is a function of its own, so that `main` can set up the warp state before
//! it and wait for every thread after it:
//!
//! ```text
//! void main() { warp_state_init(); yield(); if (live) kernel(); epilogue(); }
//! ```

use super::*;
use rspirv::spirv::{BuiltIn, Capability, Decoration, ExecutionMode, StorageClass};

/// Execution mode MaximallyReconvergesKHR (SPV_KHR_maximal_reconvergence).
const MAXIMALLY_RECONVERGES: u32 = 6023;

/// Members of the push-constant block, in order; `docs/design.md`, "The launch contract".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Push {
    Parameters,
    Module,
    Scratch,
    Fault,
    Printf,
    GridX,
    GridY,
    GridZ,
    BaseX,
    BaseY,
    BaseZ,
    Slice,
    SharedOffset,
    LocalOffset,
    DynamicShared,
    TotalShared,
    /// 0, which the driver's compiler does not know.
    Zero,
    GridId,
}

impl Push {
    const ALL: [(Push, Type, u32); 18] = [
        (Push::Parameters, Type::U64, 0),
        (Push::Module, Type::U64, 8),
        (Push::Scratch, Type::U64, 16),
        (Push::Fault, Type::U64, 24),
        (Push::Printf, Type::U64, 32),
        (Push::GridX, Type::U32, 40),
        (Push::GridY, Type::U32, 44),
        (Push::GridZ, Type::U32, 48),
        (Push::BaseX, Type::U32, 52),
        (Push::BaseY, Type::U32, 56),
        (Push::BaseZ, Type::U32, 60),
        (Push::Slice, Type::U32, 64),
        (Push::SharedOffset, Type::U32, 68),
        (Push::LocalOffset, Type::U32, 72),
        (Push::DynamicShared, Type::U32, 76),
        (Push::TotalShared, Type::U32, 80),
        (Push::Zero, Type::U32, 84),
        (Push::GridId, Type::U64, 88),
    ];
}

/// What every thread knows from the start. Ids are valid in the kernel function only, unless said otherwise.
#[derive(Default)]
pub(crate) struct Entry {
    /// The push-constant variable.
    push: Id,
    /// Whether lanes can be missing where the kernel shuffles, a constant; none where they cannot, or read as 0 anyway.
    pub(super) absent: Option<Id>,
    /// By level, whether what is alike for those of it is so for whole warps, once somebody has asked.
    pub(super) whole_rows: Vec<(crate::uniform::Level, Id)>,
    /// `%ntid.x`, `.y`, `.z`: specialisation constants.
    pub(crate) ntid: [Id; 3],
    /// The thread's number in its block, x fastest.
    pub(crate) linear: Id,
    /// `%laneid`.
    pub(crate) lane: Id,
    /// Where warps yield: the thread's number in its subgroup.
    pub(crate) invocation: Id,
    /// `%warpid`.
    pub(crate) warp: Id,
    /// Where subgroups hold two warps: 32 in the second of them, else 0.
    pub(crate) half: Id,
    /// Address of the workgroup's scratch slice.
    pub(crate) slice: Id,
    /// Where the slice starts in scratch, in bytes.
    pub(crate) slice_in_window: Id,
    /// Address of shared memory, where it lives in scratch.
    pub(crate) shared: Id,
    /// Where warps yield: where shared memory starts in scratch, in bytes.
    pub(crate) shared_in_window: Id,
    /// Where warps yield: views of scratch by element type.
    pub(crate) windows: FxHashMap<Type, Id>,
    /// Address of the thread's local memory, where it lives in scratch.
    pub(crate) local: Id,
    /// The thread's local memory, where it is in variables.
    pub(crate) local_variables: super::local::Local,
    /// Views of shared memory by element type, where it is workgroup memory.
    pub(crate) views: FxHashMap<Type, Id>,
    /// Blocks of one value that nothing writes, by the value's type.
    pub(crate) constant_blocks: FxHashMap<Type, Id>,
    /// The carry flag of extended-precision arithmetic: a variable, once used.
    pub(crate) carry: Id,
    /// The end of the stack of alloca: a variable, in kernels with alloca.
    pub(crate) stack: Id,
    /// The kernel's function, where it is not `main`.
    kernel: Id,
    /// `main`.
    main: Id,
}

impl Emitter<'_> {
    /// Declares what all kernels share and opens the kernel's function; returns the entry point's id.
    pub(super) fn begin(&mut self, structured: &structurizer::Structured) -> Id {
        for c in [
            Capability::Shader,
            Capability::Int8,
            Capability::Int16,
            Capability::Int64,
            Capability::Float16,
            Capability::PhysicalStorageBufferAddresses,
            Capability::VulkanMemoryModel,
            Capability::VulkanMemoryModelDeviceScope,
            Capability::StorageBuffer16BitAccess,
            Capability::StorageBuffer8BitAccess,
        ] {
            self.asm.capability(c);
        }
        for e in [
            "SPV_KHR_physical_storage_buffer",
            "SPV_KHR_vulkan_memory_model",
        ] {
            self.asm.extension(e);
        }
        let mut members: Vec<Id> = Push::ALL.iter().map(|m| self.asm.ty(m.1)).collect();
        if self.info.inline_parameters {
            let words = self.asm.u32(self.info.parameter_bytes.div_ceil(4).max(1));
            let (word, array) = (self.asm.ty(Type::U32), self.asm.id());
            self.asm.global(Op::TypeArray, &[array, word, words]);
            self.asm.decorate(array, Decoration::ArrayStride, &[4]);
            members.push(array);
        }
        let block = self.asm.id();
        let mut words = vec![block];
        words.extend(&members);
        self.asm.global(Op::TypeStruct, &words);
        self.asm.decorate(block, Decoration::Block, &[]);
        for (n, m) in Push::ALL.iter().enumerate() {
            self.asm
                .decorate_member(block, n as u32, Decoration::Offset, &[m.2]);
        }
        if self.info.inline_parameters {
            self.asm.decorate_member(
                block,
                Push::ALL.len() as u32,
                Decoration::Offset,
                &[crate::PUSH_CONSTANT_BYTES],
            );
        }
        let pointer = self.asm.pointer(StorageClass::PushConstant, block);
        self.entry.push = self.asm.id();
        self.asm.global(
            Op::Variable,
            &[pointer, self.entry.push, StorageClass::PushConstant as u32],
        );
        self.asm.interface(self.entry.push);
        self.entry.ntid = [1, 2, 3].map(|n| self.asm.spec_constant(n, if n == 1 { 32 } else { 1 }));

        let convergent = self.graph.blocks.iter().any(|b| b.convergent);
        self.entry.main = self.asm.id();
        self.entry.kernel = self.entry.main;
        if self.yields() && convergent {
            let lockstep =
                crate::uniform::lockstep(self.graph, structured, self.module, self.layout);
            self.state = Some(warp_state::State::new(self.target, lockstep, &mut self.asm));
            self.info.warp_state = true;
            self.entry.kernel = self.asm.id();
        }
        self.find_absent_lanes();
        self.asm.begin_function(self.entry.kernel, Type::Void, &[]);
        self.threads();
        if self.state.is_none() {
            // Threads that only fill up the last warp.
            let outside = self.is_padding();
            let (leave, stay) = (self.asm.id(), self.asm.id());
            self.asm.void(Op::SelectionMerge, &[stay, 0]);
            self.asm
                .void(Op::BranchConditional, &[outside, leave, stay]);
            self.label(leave);
            self.asm.void(Op::Return, &[]);
            self.label(stay);
        }
        self.make_homes();
        if self.info.local_bytes > 0 && !self.info.local_in_scratch {
            self.make_local(self.info.local_bytes);
        }
        if self.graph.stack {
            self.entry.stack = self.asm.variable(Type::U32);
            let bottom = self.asm.u32(self.info.local_bytes - STACK_BYTES);
            self.asm.void(Op::Store, &[self.entry.stack, bottom]);
        }
        if self.info.shared_in_scratch {
            self.entry.shared = self.in_slice(Push::SharedOffset);
            if self.has_window() {
                self.place_shared_in_window();
            }
        }
        if self.info.local_in_scratch {
            let base = self.in_slice(Push::LocalOffset);
            let bytes = self.asm.u32(self.info.local_bytes);
            let offset = self
                .asm
                .op(Op::IMul, Type::U32, &[self.entry.linear, bytes]);
            let offset = self.asm.op(Op::UConvert, Type::U64, &[offset]);
            self.entry.local = self.asm.op(Op::IAdd, Type::U64, &[base, offset]);
        }
        if has_partial_barriers(self.target, self.graph) {
            self.clear_partial_barriers();
        }
        self.entry.main
    }

    fn in_slice(&mut self, offset: Push) -> Id {
        let offset = self.push(offset);
        let offset = self.asm.op(Op::UConvert, Type::U64, &[offset]);
        self.asm
            .op(Op::IAdd, Type::U64, &[self.entry.slice, offset])
    }

    /// Computes the thread's place in its block and its slice at the start of a function.
    pub(super) fn threads(&mut self) {
        if self.yields() {
            let place = self.narrow_place();
            self.entry.linear = place.linear;
            self.entry.lane = place.lane;
            self.entry.warp = place.warp;
            self.entry.invocation = place.invocation;
        } else {
            self.asm.capability(Capability::GroupNonUniform);
            let id = self.asm.builtin(BuiltIn::SubgroupId, Type::U32);
            let lane = self
                .asm
                .builtin(BuiltIn::SubgroupLocalInvocationId, Type::U32);
            let subgroup = self.asm.op(Op::Load, Type::U32, &[id]);
            let invocation = self.asm.op(Op::Load, Type::U32, &[lane]);
            let two = self.target.warps == Warps::Subgroup64;
            let width = self.asm.u32(if two { 64 } else { 32 });
            let start = self.asm.op(Op::IMul, Type::U32, &[subgroup, width]);
            self.entry.linear = self.asm.op(Op::IAdd, Type::U32, &[start, invocation]);
            if two {
                let (thirty_one, thirty_two, five) =
                    (self.asm.u32(31), self.asm.u32(32), self.asm.u32(5));
                let and =
                    |e: &mut Self, mask| e.asm.op(Op::BitwiseAnd, Type::U32, &[invocation, mask]);
                self.entry.lane = and(self, thirty_one);
                self.entry.half = and(self, thirty_two);
                let linear = self.entry.linear;
                self.entry.warp = self
                    .asm
                    .op(Op::ShiftRightLogical, Type::U32, &[linear, five]);
            } else {
                self.entry.warp = subgroup;
                self.entry.lane = invocation;
            }
        }
        if self.info.shared_in_scratch || self.info.local_in_scratch || self.state.is_some() {
            self.entry.slice = self.slice();
        }
    }

    /// Whether the thread is beyond the block's last one.
    pub(super) fn is_padding(&mut self) -> Id {
        let total = self.block_threads();
        let size = self.asm.spec_constant(0, 32);
        // False for certain where the block is whole warps.
        let some = self.asm.op(Op::INotEqual, Type::Bool, &[size, total]);
        let beyond = self.asm.op(
            Op::UGreaterThanEqual,
            Type::Bool,
            &[self.entry.linear, total],
        );
        self.asm.op(Op::LogicalAnd, Type::Bool, &[some, beyond])
    }

    /// The number of threads of a block.
    pub(crate) fn block_threads(&mut self) -> Id {
        let [x, y, z] = self.entry.ntid;
        let xy = self.asm.op(Op::IMul, Type::U32, &[x, y]);
        self.asm.op(Op::IMul, Type::U32, &[xy, z])
    }

    /// One component of a 3-vector builtin.
    pub(crate) fn builtin_component(&mut self, builtin: BuiltIn, component: u32) -> Id {
        let v = self.asm.builtin(builtin, Type::Vector(Scalar::U32, 3));
        let v = self.asm.op(Op::Load, Type::Vector(Scalar::U32, 3), &[v]);
        self.asm
            .op(Op::CompositeExtract, Type::U32, &[v, component])
    }

    /// Address of the workgroup's scratch slice.
    fn slice(&mut self) -> Id {
        let mut index = None;
        for c in [2, 1, 0] {
            let id = self.builtin_component(BuiltIn::WorkgroupId, c);
            let base = self.push([Push::BaseX, Push::BaseY, Push::BaseZ][c as usize]);
            let d = self.asm.op(Op::ISub, Type::U32, &[id, base]);
            index = Some(match index {
                None => d,
                Some(outer) => {
                    let n = self.builtin_component(BuiltIn::NumWorkgroups, c);
                    let scaled = self.asm.op(Op::IMul, Type::U32, &[outer, n]);
                    self.asm.op(Op::IAdd, Type::U32, &[scaled, d])
                }
            });
        }
        let index = index.expect("three components");
        let bytes = self.push(Push::Slice);
        if self.has_window() {
            self.entry.slice_in_window = self.asm.op(Op::IMul, Type::U32, &[index, bytes]);
        }
        let index = self.asm.op(Op::UConvert, Type::U64, &[index]);
        let bytes = self.asm.op(Op::UConvert, Type::U64, &[bytes]);
        let offset = self.asm.op(Op::IMul, Type::U64, &[index, bytes]);
        let scratch = self.push(Push::Scratch);
        self.asm.op(Op::IAdd, Type::U64, &[scratch, offset])
    }

    /// A member of the push-constant block.
    pub(crate) fn push(&mut self, member: Push) -> Id {
        let n = Push::ALL
            .iter()
            .position(|m| m.0 == member)
            .expect("all members are listed");
        let ty = Push::ALL[n].1;
        let pointee = self.asm.ty(ty);
        let pointer = self.asm.pointer(StorageClass::PushConstant, pointee);
        let index = self.asm.u32(n as u32);
        let at = self
            .asm
            .op_with(Op::AccessChain, pointer, &[self.entry.push, index]);
        self.asm.op(Op::Load, ty, &[at])
    }

    /// A number of the parameter block in the push constants, at a byte offset that is a multiple of 4 or of its size.
    pub(crate) fn inline_parameter(&mut self, at: u32, ty: Type) -> Id {
        let pointee = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(StorageClass::PushConstant, pointee);
        let member = self.asm.u32(Push::ALL.len() as u32);
        let word = |e: &mut Self, at: u32| {
            let index = e.asm.u32(at / 4);
            let place = e
                .asm
                .op_with(Op::AccessChain, pointer, &[e.entry.push, member, index]);
            e.asm.op(Op::Load, Type::U32, &[place])
        };
        let low = word(self, at);
        let (id, raw) = match ty.size() {
            8 => {
                let high = word(self, at + 4);
                let pair = Type::Vector(Scalar::U32, 2);
                let v = self.asm.op(Op::CompositeConstruct, pair, &[low, high]);
                (self.asm.op(Op::Bitcast, Type::U64, &[v]), Type::U64)
            }
            4 => (low, Type::U32),
            size => {
                let shift = self.asm.u32(at % 4 * 8);
                let part = self.asm.op(Op::ShiftRightLogical, Type::U32, &[low, shift]);
                let raw = if size == 1 { Type::U8 } else { Type::U16 };
                (self.asm.op(Op::UConvert, raw, &[part]), raw)
            }
        };
        self.cast(Value { id, ty: raw }, ty)
    }

    /// The thread ends here.
    pub(super) fn thread_exit(&mut self) {
        if self.state.is_some() {
            self.together(
                |_| {},
                |e| {
                    e.call_helper(Helper::LaneExit, Type::Void, &[]);
                },
            );
        }
        if has_partial_barriers(self.target, self.graph) {
            self.leave_partial_barriers();
        }
        self.asm.void(Op::Return, &[]);
    }

    /// Calls a helper function, which is written later.
    pub(crate) fn call_helper(&mut self, helper: Helper, result: Type, arguments: &[Id]) -> Id {
        let id = match self.helpers.get(&helper) {
            Some(&id) => id,
            None => {
                let id = self.asm.id();
                self.helpers.insert(helper, id);
                self.helper_order.push(helper);
                id
            }
        };
        let mut words = vec![id];
        words.extend_from_slice(arguments);
        self.asm.op(Op::FunctionCall, result, &words)
    }

    /// Closes the kernel, writes helpers and `main`, and gives the words.
    pub(super) fn finish(
        mut self,
        main: Id,
    ) -> std::result::Result<(Vec<u32>, KernelInfo), TranslateError> {
        self.asm.end_function();
        if self.state.is_some() {
            let kernel = self.entry.kernel;
            self.asm.begin_function(main, Type::Void, &[]);
            self.epoch += 1;
            self.threads();
            let live = self.initialise_warp_state();
            self.when(live, |e| {
                e.asm.op(Op::FunctionCall, Type::Void, &[kernel]);
            });
            self.call_helper(Helper::Epilogue, Type::Void, &[]);
            self.asm.void(Op::Return, &[]);
            self.asm.end_function();
        }
        // Functions call functions.
        let mut written = 0;
        loop {
            self.epoch += 1;
            if let Some(&helper) = self.helper_order.get(written) {
                written += 1;
                self.write_helper(helper, self.helpers[&helper]);
            } else if let Some((function, id)) = self.asm.next_double_function() {
                self.write_double_function(function, id);
            } else {
                break;
            }
            self.asm.end_function();
        }

        let size = self.asm.spec_constant(0, 32);
        let one = self.asm.u32(1);
        self.asm
            .mode_id(main, ExecutionMode::LocalSizeId, &[size, one, one]);
        if self.target.rounding_rte_f32 {
            self.asm.capability(Capability::RoundingModeRTE);
            self.asm
                .mode(main, ExecutionMode::RoundingModeRTE as u32, &[32]);
        }
        // Of the types that there are.
        let has = |ty| self.asm.has_type(ty);
        let widths = [
            (16, self.target.nan_preserve_f16 && has(Type::F16)),
            (32, self.target.nan_preserve_f32),
            (64, self.target.nan_preserve_f64 && has(Type::F64)),
        ];
        for (width, _) in widths.into_iter().filter(|w| w.1) {
            self.asm.capability(Capability::SignedZeroInfNanPreserve);
            self.asm.mode(
                main,
                ExecutionMode::SignedZeroInfNanPreserve as u32,
                &[width],
            );
        }
        if self.subnormals == subnormal::Subnormals::ByShader {
            self.asm.capability(Capability::DenormFlushToZero);
            self.asm
                .mode(main, ExecutionMode::DenormFlushToZero as u32, &[32]);
        } else if self.preserve_subnormals {
            let widths = [
                (16, self.target.denorm_preserve_f16),
                (32, self.target.denorm_preserve_f32),
                (64, self.target.denorm_preserve_f64 && self.target.float64),
            ];
            for (width, _) in widths.into_iter().filter(|w| w.1) {
                self.asm.capability(Capability::DenormPreserve);
                self.asm
                    .mode(main, ExecutionMode::DenormPreserve as u32, &[width]);
            }
        }
        if self.target.maximal_reconvergence {
            self.asm.extension("SPV_KHR_maximal_reconvergence");
            self.asm.mode(main, MAXIMALLY_RECONVERGES, &[]);
        }
        Ok((self.asm.finish(main, "main"), self.info))
    }

    fn write_helper(&mut self, helper: Helper, id: Id) {
        match helper {
            Helper::Fma32 => self.write_fma32(id),
            Helper::TextureIndex
            | Helper::Texel
            | Helper::Fetch { .. }
            | Helper::Sample { .. }
            | Helper::Gather { .. }
            | Helper::PackTexel
            | Helper::CubeFace
            | Helper::CubeSlope => self.write_texture_helper(helper, id),
            _ => self.write_warp_helper(helper, id),
        }
    }
}
