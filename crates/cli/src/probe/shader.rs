//! Shaders of one operation: every invocation loads three operands of 64 bits, does it, and stores 64 bits.

use ptx_spirv::{KernelInfo, Parameter, Translated};
use rspirv::spirv::{
    AddressingModel, BuiltIn, Capability, Decoration, ExecutionMode, ExecutionModel, GLOp,
    MemoryModel, Op, StorageClass,
};

/// Invocations, and so operand sets, of a dispatch of [`GROUPS`] workgroups.
pub const SETS: usize = (32 * GROUPS) as usize;
/// Workgroups of 32 invocations.
pub const GROUPS: u32 = 512;

/// A number format of an operand or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    F16,
    F32,
    F64,
    S32,
    U32,
    S64,
    U64,
    /// 0 or 1.
    Bool,
}

impl Number {
    /// Bits; of a truth value those that it is stored as.
    pub fn bits(self) -> u32 {
        match self {
            Number::F16 => 16,
            Number::F32 | Number::S32 | Number::U32 | Number::Bool => 32,
            Number::F64 | Number::S64 | Number::U64 => 64,
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Number::F16 | Number::F32 | Number::F64)
    }
}

/// What is done with the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// A core instruction on so many operands.
    Core(Op, usize),
    /// An instruction of GLSL.std.450 on so many operands.
    Glsl(GLOp, usize),
    /// 1 divided by the operand.
    Reciprocal,
    /// A product and a sum that the driver may make one operation of.
    Contracted,
}

impl Instruction {
    /// The number of operands.
    pub fn operands(self) -> usize {
        match self {
            Instruction::Core(_, n) | Instruction::Glsl(_, n) => n,
            Instruction::Reciprocal => 1,
            Instruction::Contracted => 3,
        }
    }
}

/// The float controls of a shader (SPV_KHR_float_controls).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// DenormPreserve, for these widths.
    pub preserve: [bool; 3],
    /// DenormFlushToZero for 32 bits.
    pub flush_f32: bool,
    /// RoundingModeRTE for 32 bits.
    pub nearest_f32: bool,
    /// SignedZeroInfNanPreserve for 32 bits.
    pub keep_nan_f32: bool,
}

/// Sections of a module, in the order of the specification.
#[derive(Default)]
struct Module {
    next: u32,
    capabilities: Vec<u32>,
    modes: Vec<u32>,
    decorations: Vec<u32>,
    types: Vec<u32>,
    code: Vec<u32>,
}

fn put(section: &mut Vec<u32>, op: Op, words: &[u32]) {
    section.push((words.len() as u32 + 1) << 16 | op as u32);
    section.extend(words);
}

/// A string with its end, in words.
fn text(s: &str) -> Vec<u32> {
    let mut bytes = s.as_bytes().to_vec();
    bytes.resize(bytes.len() / 4 * 4 + 4, 0);
    bytes
        .chunks_exact(4)
        .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect()
}

impl Module {
    fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn ty(&mut self, op: Op, words: &[u32]) -> u32 {
        let id = self.id();
        let mut all = vec![id];
        all.extend(words);
        put(&mut self.types, op, &all);
        id
    }

    fn constant(&mut self, ty: u32, words: &[u32]) -> u32 {
        let id = self.id();
        let mut all = vec![ty, id];
        all.extend(words);
        put(&mut self.types, Op::Constant, &all);
        id
    }

    /// An instruction with a result.
    fn op(&mut self, op: Op, ty: u32, words: &[u32]) -> u32 {
        let id = self.id();
        let mut all = vec![ty, id];
        all.extend(words);
        put(&mut self.code, op, &all);
        id
    }
}

/// The kernel of an operation, whose parameter is the address of the data: [`SETS`] first operands of 64 bits, then the
/// second and the third ones, then the results.
pub fn kernel(instruction: Instruction, from: Number, to: Number, modes: Modes) -> Translated {
    let mut m = Module::default();
    for capability in [
        Capability::Shader,
        Capability::Int16,
        Capability::Int64,
        Capability::Float16,
        Capability::PhysicalStorageBufferAddresses,
    ] {
        put(&mut m.capabilities, Op::Capability, &[capability as u32]);
    }
    if [from, to].contains(&Number::F64) {
        put(
            &mut m.capabilities,
            Op::Capability,
            &[Capability::Float64 as u32],
        );
    }
    let main = m.id();
    let mode =
        |m: &mut Module, on: bool, capability: Capability, mode: ExecutionMode, width: u32| {
            if on {
                put(&mut m.capabilities, Op::Capability, &[capability as u32]);
                put(&mut m.modes, Op::ExecutionMode, &[main, mode as u32, width]);
            }
        };
    for (on, width) in modes.preserve.into_iter().zip([16, 32, 64]) {
        mode(
            &mut m,
            on,
            Capability::DenormPreserve,
            ExecutionMode::DenormPreserve,
            width,
        );
    }
    mode(
        &mut m,
        modes.flush_f32,
        Capability::DenormFlushToZero,
        ExecutionMode::DenormFlushToZero,
        32,
    );
    mode(
        &mut m,
        modes.nearest_f32,
        Capability::RoundingModeRTE,
        ExecutionMode::RoundingModeRTE,
        32,
    );
    mode(
        &mut m,
        modes.keep_nan_f32,
        Capability::SignedZeroInfNanPreserve,
        ExecutionMode::SignedZeroInfNanPreserve,
        32,
    );
    put(
        &mut m.modes,
        Op::ExecutionMode,
        &[main, ExecutionMode::LocalSize as u32, 32, 1, 1],
    );

    let (void, boolean) = (m.ty(Op::TypeVoid, &[]), m.ty(Op::TypeBool, &[]));
    let function = m.ty(Op::TypeFunction, &[void]);
    let [u16t, u32t, u64t] = [16, 32, 64].map(|bits| m.ty(Op::TypeInt, &[bits, 0]));
    let [s32t, s64t] = [32, 64].map(|bits| m.ty(Op::TypeInt, &[bits, 1]));
    let [f16t, f32t] = [16, 32].map(|bits| m.ty(Op::TypeFloat, &[bits]));
    let f64t = if [from, to].contains(&Number::F64) {
        m.ty(Op::TypeFloat, &[64])
    } else {
        0
    };
    let type_of = |n: Number| match n {
        Number::F16 => f16t,
        Number::F32 => f32t,
        Number::F64 => f64t,
        Number::S32 => s32t,
        Number::U32 => u32t,
        Number::S64 => s64t,
        Number::U64 => u64t,
        Number::Bool => boolean,
    };
    let unsigned = |bits: u32| match bits {
        16 => u16t,
        32 => u32t,
        _ => u64t,
    };
    let block = m.ty(Op::TypeStruct, &[u64t]);
    put(
        &mut m.decorations,
        Op::Decorate,
        &[block, Decoration::Block as u32],
    );
    put(
        &mut m.decorations,
        Op::MemberDecorate,
        &[block, 0, Decoration::Offset as u32, 0],
    );
    let push_class = StorageClass::PushConstant as u32;
    let pointer = m.ty(Op::TypePointer, &[push_class, block]);
    let push = m.id();
    put(&mut m.types, Op::Variable, &[pointer, push, push_class]);
    let member = m.ty(Op::TypePointer, &[push_class, u64t]);
    let input = StorageClass::Input as u32;
    let vector = m.ty(Op::TypeVector, &[u32t, 3]);
    let place = m.ty(Op::TypePointer, &[input, vector]);
    let invocation = m.id();
    put(&mut m.types, Op::Variable, &[place, invocation, input]);
    put(
        &mut m.decorations,
        Op::Decorate,
        &[
            invocation,
            Decoration::BuiltIn as u32,
            BuiltIn::GlobalInvocationId as u32,
        ],
    );
    let memory = StorageClass::PhysicalStorageBuffer as u32;
    let word = m.ty(Op::TypePointer, &[memory, u64t]);
    let zero = m.constant(u32t, &[0]);
    let eight = m.constant(u64t, &[8, 0]);
    let array = m.constant(u64t, &[8 * SETS as u32, 0]);
    let glsl = m.id();

    put(&mut m.code, Op::Function, &[void, main, 0, function]);
    let label = m.id();
    put(&mut m.code, Op::Label, &[label]);
    let at = m.op(Op::AccessChain, member, &[push, zero]);
    let parameters = m.op(Op::Load, u64t, &[at]);
    // Aligned to 8 bytes.
    let aligned = [2, 8];
    let load = |m: &mut Module, address: u32| {
        let pointer = m.op(Op::ConvertUToPtr, word, &[address]);
        m.op(Op::Load, u64t, &[pointer, aligned[0], aligned[1]])
    };
    let data = load(&mut m, parameters);
    let ids = m.op(Op::Load, vector, &[invocation]);
    let index = m.op(Op::CompositeExtract, u32t, &[ids, 0]);
    let index = m.op(Op::UConvert, u64t, &[index]);
    let offset = m.op(Op::IMul, u64t, &[index, eight]);
    let mut address = m.op(Op::IAdd, u64t, &[data, offset]);
    let mut operands = Vec::new();
    for n in 0..3 {
        let raw = load(&mut m, address);
        if n < instruction.operands() {
            let narrow = match from.bits() {
                64 => raw,
                bits => m.op(Op::UConvert, unsigned(bits), &[raw]),
            };
            operands.push(if matches!(from, Number::U32 | Number::U64) {
                narrow
            } else {
                m.op(Op::Bitcast, type_of(from), &[narrow])
            });
        }
        address = m.op(Op::IAdd, u64t, &[address, array]);
    }
    let ty = type_of(to);
    let mut result = match instruction {
        Instruction::Core(op, _) => m.op(op, ty, &operands),
        Instruction::Glsl(op, _) => {
            let mut words = vec![glsl, op as u32];
            words.extend(&operands);
            m.op(Op::ExtInst, ty, &words)
        }
        Instruction::Reciprocal => {
            let one: &[u32] = match from {
                Number::F16 => &[0x3c00],
                Number::F64 => &[0, 0x3ff0_0000],
                _ => &[0x3f80_0000],
            };
            let one = m.constant(type_of(from), one);
            m.op(Op::FDiv, ty, &[one, operands[0]])
        }
        Instruction::Contracted => {
            let product = m.op(Op::FMul, ty, &operands[..2]);
            m.op(Op::FAdd, ty, &[product, operands[2]])
        }
    };
    if to.is_float() && !matches!(instruction, Instruction::Glsl(..) | Instruction::Contracted) {
        put(
            &mut m.decorations,
            Op::Decorate,
            &[result, Decoration::NoContraction as u32],
        );
    }
    if to == Number::Bool {
        let one = m.constant(u32t, &[1]);
        result = m.op(Op::Select, u32t, &[result, one, zero]);
    } else if !matches!(to, Number::U32 | Number::U64) {
        result = m.op(Op::Bitcast, unsigned(to.bits()), &[result]);
    }
    if to.bits() != 64 {
        result = m.op(Op::UConvert, u64t, &[result]);
    }
    let pointer = m.op(Op::ConvertUToPtr, word, &[address]);
    put(
        &mut m.code,
        Op::Store,
        &[pointer, result, aligned[0], aligned[1]],
    );
    put(&mut m.code, Op::Return, &[]);
    put(&mut m.code, Op::FunctionEnd, &[]);

    let mut words = vec![0x0723_0203, 0x0001_0600, 0, m.next + 1, 0];
    words.extend(&m.capabilities);
    put(
        &mut words,
        Op::Extension,
        &text("SPV_KHR_physical_storage_buffer"),
    );
    put(&mut words, Op::Extension, &text("SPV_KHR_float_controls"));
    let mut import = vec![glsl];
    import.extend(text("GLSL.std.450"));
    put(&mut words, Op::ExtInstImport, &import);
    put(
        &mut words,
        Op::MemoryModel,
        &[
            AddressingModel::PhysicalStorageBuffer64 as u32,
            MemoryModel::GLSL450 as u32,
        ],
    );
    let mut entry = vec![ExecutionModel::GLCompute as u32, main];
    entry.extend(text("main"));
    entry.extend([push, invocation]);
    put(&mut words, Op::EntryPoint, &entry);
    words.extend(&m.modes);
    words.extend(&m.decorations);
    words.extend(&m.types);
    words.extend(&m.code);
    Translated {
        spirv: words,
        info: info(),
    }
}

/// How the kernel is launched: the translator's contract, with one parameter and nothing else.
fn info() -> KernelInfo {
    KernelInfo {
        parameters: vec![Parameter { offset: 0, size: 8 }],
        max_threads: 32,
        ..KernelInfo::plain("probe", 8)
    }
}
