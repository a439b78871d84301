//! Writes SPIR-V words: sections, interned types and constants, instructions of the current function.
//!
//! Knows SPIR-V and nothing of PTX. Ids are handed out in order, so the same calls always make the same words.
//!
//! ```
//! use ptx_spirv::assembler::{Assembler, Type};
//! let mut asm = Assembler::new();
//! let one = asm.constant(Type::U32, 1);
//! assert_eq!(one, asm.constant(Type::U32, 1));
//! ```

mod doubles;

pub(crate) use doubles::{DoubleFunction, Integral, INFINITY, SIGN};

use rspirv::spirv::{
    AddressingModel, Capability, Decoration, ExecutionMode, ExecutionModel, MemoryModel, Op, Scope,
    StorageClass,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Capabilities of SPV_KHR_bfloat16, which is newer than this version of rspirv: BFloat16TypeKHR and
/// BFloat16CooperativeMatrixKHR.
const BFLOAT16_TYPE: u32 = 5116;
const BFLOAT16_MATRICES: u32 = 5118;

/// The result of an instruction, a type, a constant or a label.
pub type Id = u32;

/// A type the translator uses. Integers are unsigned: in SPIR-V the operation carries the sign. Only the components of
/// cooperative matrices have signed types, by which the device tells its shapes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Type {
    Void,
    Bool,
    U8,
    U16,
    U32,
    U64,
    S8,
    S32,
    F16,
    /// bfloat16 (SPV_KHR_bfloat16), for elements of matrices alone.
    Bf16,
    F32,
    F64,
    /// A vector of 2, 3 or 4 of a scalar type.
    Vector(Scalar, u8),
    /// A cooperative matrix of subgroup scope (SPV_KHR_cooperative_matrix).
    Matrix(Matrix),
    /// The struct of two equal members that extended arithmetic returns.
    Pair(Scalar),
    /// An array of u32 of constant length, in Function or Private storage.
    Words(u32),
}

/// The scalar types that vectors are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Scalar {
    Bool,
    U8,
    U16,
    U32,
    U64,
    S8,
    F16,
    F32,
    F64,
}

/// What a cooperative matrix is used as: the `Use` operand of OpTypeCooperativeMatrixKHR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Role {
    A = 0,
    B = 1,
    Accumulator = 2,
}

/// The element type of a cooperative matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Component {
    U32,
    U8,
    S8,
    S32,
    F16,
    Bf16,
    F32,
}

impl Component {
    /// The element as a type.
    pub const fn ty(self) -> Type {
        match self {
            Component::U32 => Type::U32,
            Component::U8 => Type::U8,
            Component::S8 => Type::S8,
            Component::S32 => Type::S32,
            Component::F16 => Type::F16,
            Component::Bf16 => Type::Bf16,
            Component::F32 => Type::F32,
        }
    }
}

/// The type of a cooperative matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Matrix {
    /// Element type.
    pub component: Component,
    /// Number of rows.
    pub rows: u32,
    /// Number of columns.
    pub columns: u32,
    /// What it is used as.
    pub role: Role,
}

impl Scalar {
    /// The scalar as a type.
    pub const fn ty(self) -> Type {
        match self {
            Scalar::Bool => Type::Bool,
            Scalar::U8 => Type::U8,
            Scalar::U16 => Type::U16,
            Scalar::U32 => Type::U32,
            Scalar::U64 => Type::U64,
            Scalar::S8 => Type::S8,
            Scalar::F16 => Type::F16,
            Scalar::F32 => Type::F32,
            Scalar::F64 => Type::F64,
        }
    }
}

impl Type {
    /// The scalar of a scalar type.
    pub const fn scalar(self) -> Option<Scalar> {
        Some(match self {
            Type::Bool => Scalar::Bool,
            Type::U8 => Scalar::U8,
            Type::U16 => Scalar::U16,
            Type::U32 => Scalar::U32,
            Type::U64 => Scalar::U64,
            Type::S8 => Scalar::S8,
            Type::F16 => Scalar::F16,
            Type::F32 => Scalar::F32,
            Type::F64 => Scalar::F64,
            _ => return None,
        })
    }

    /// Size in bytes; 0 for types that have none in memory.
    pub const fn size(self) -> u32 {
        match self {
            Type::U8 | Type::S8 => 1,
            Type::U16 | Type::F16 | Type::Bf16 => 2,
            Type::U32 | Type::S32 | Type::F32 => 4,
            Type::U64 | Type::F64 => 8,
            Type::Vector(s, n) => s.ty().size() * n as u32,
            Type::Words(n) => 4 * n,
            Type::Void | Type::Bool | Type::Pair(_) | Type::Matrix(_) => 0,
        }
    }

    /// Whether it is a floating-point scalar.
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F16 | Type::F32 | Type::F64)
    }

    /// The unsigned integer type of this many bytes (1, 2, 4 or 8).
    pub const fn unsigned(size: u32) -> Type {
        match size {
            1 => Type::U8,
            2 => Type::U16,
            4 => Type::U32,
            _ => Type::U64,
        }
    }
}

/// A typed id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Value {
    pub id: Id,
    pub ty: Type,
}

/// A SPIR-V module under construction.
#[derive(Default)]
pub struct Assembler {
    next: Id,
    capabilities: BTreeSet<u32>,
    extensions: BTreeSet<&'static str>,
    glsl: Id,
    modes: Vec<u32>,
    decorations: Vec<u32>,
    globals: Vec<u32>,
    functions: Vec<u32>,
    /// Instructions of the current function after its first label and variables.
    body: Vec<u32>,
    /// OpFunction, parameters, first label and variables of the current function.
    head: Vec<u32>,
    interface: Vec<Id>,
    types: FxHashMap<Type, Id>,
    pointers: FxHashMap<(u32, Id), Id>,
    function_types: FxHashMap<Vec<Id>, Id>,
    constants: FxHashMap<(Type, u64), Id>,
    /// The bits of scalar constants.
    constant_bits: FxHashMap<Id, u64>,
    composites: FxHashMap<Vec<Id>, Id>,
    other: FxHashMap<(u32, Vec<u32>), Id>,
    /// The label of the block being written; 0 when the last one has ended.
    current_block: Id,
    /// Where the instructions of the current block start in `body`.
    block_start: usize,
    doubles: doubles::Doubles,
}

fn instruction(out: &mut Vec<u32>, op: Op, operands: &[u32]) {
    out.push(((operands.len() as u32 + 1) << 16) | op as u32);
    out.extend_from_slice(operands);
}

fn string_words(text: &str) -> Vec<u32> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    while bytes.len() % 4 != 0 {
        bytes.push(0);
    }
    bytes
        .chunks(4)
        .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect()
}

impl Assembler {
    /// An empty module.
    pub fn new() -> Self {
        let mut asm = Assembler {
            next: 1,
            ..Default::default()
        };
        asm.glsl = asm.id();
        asm
    }

    /// A fresh id.
    pub fn id(&mut self) -> Id {
        let id = self.next;
        self.next += 1;
        id
    }

    /// Declares a capability (once).
    pub fn capability(&mut self, capability: Capability) {
        self.capabilities.insert(capability as u32);
    }

    /// A constant that is declared already.
    pub fn known(&self, ty: Type, bits: u64) -> Option<Id> {
        self.constants.get(&(self.held(ty), bits)).copied()
    }

    /// Whether a type is declared so far.
    pub fn has_type(&self, ty: Type) -> bool {
        self.types.contains_key(&ty)
    }

    /// Declares an extension (once).
    pub fn extension(&mut self, name: &'static str) {
        self.extensions.insert(name);
    }

    /// Declares an execution mode of the entry point.
    pub fn mode(&mut self, entry: Id, mode: u32, operands: &[u32]) {
        let mut words = vec![entry, mode];
        words.extend_from_slice(operands);
        instruction(&mut self.modes, Op::ExecutionMode, &words);
    }

    /// Declares an execution mode whose operands are ids.
    pub fn mode_id(&mut self, entry: Id, mode: ExecutionMode, operands: &[Id]) {
        let mut words = vec![entry, mode as u32];
        words.extend_from_slice(operands);
        instruction(&mut self.modes, Op::ExecutionModeId, &words);
    }

    /// Decorates an id.
    pub fn decorate(&mut self, target: Id, decoration: Decoration, operands: &[u32]) {
        let mut words = vec![target, decoration as u32];
        words.extend_from_slice(operands);
        instruction(&mut self.decorations, Op::Decorate, &words);
    }

    /// Decorates a member of a struct type.
    pub fn decorate_member(
        &mut self,
        target: Id,
        member: u32,
        decoration: Decoration,
        operands: &[u32],
    ) {
        let mut words = vec![target, member, decoration as u32];
        words.extend_from_slice(operands);
        instruction(&mut self.decorations, Op::MemberDecorate, &words);
    }

    /// Writes a declaration in the section of types, constants and global variables.
    pub fn global(&mut self, op: Op, operands: &[u32]) {
        instruction(&mut self.globals, op, operands);
    }

    /// Lists a global variable in the entry point's interface.
    pub fn interface(&mut self, variable: Id) {
        self.interface.push(variable);
    }

    /// The id of a type.
    pub fn ty(&mut self, ty: Type) -> Id {
        let ty = self.held(ty);
        if let Some(&id) = self.types.get(&ty) {
            return id;
        }
        let id = match ty {
            Type::Vector(s, n) => {
                let element = self.ty(s.ty());
                let id = self.id();
                self.global(Op::TypeVector, &[id, element, n as u32]);
                id
            }
            Type::Pair(s) => {
                let element = self.ty(s.ty());
                let id = self.id();
                self.global(Op::TypeStruct, &[id, element, element]);
                id
            }
            Type::Words(n) => {
                let element = self.ty(Type::U32);
                let length = self.constant(Type::U32, n as u64);
                let id = self.id();
                self.global(Op::TypeArray, &[id, element, length]);
                id
            }
            Type::Matrix(m) => {
                self.capability(Capability::CooperativeMatrixKHR);
                if m.component == Component::Bf16 {
                    self.numbered_capability(BFLOAT16_MATRICES);
                }
                self.extension("SPV_KHR_cooperative_matrix");
                let element = self.ty(m.component.ty());
                let scope = self.u32(Scope::Subgroup as u32);
                let [rows, columns, role] = [m.rows, m.columns, m.role as u32].map(|n| self.u32(n));
                let id = self.id();
                self.global(
                    Op::TypeCooperativeMatrixKHR,
                    &[id, element, scope, rows, columns, role],
                );
                id
            }
            _ => {
                let id = self.id();
                match ty {
                    Type::Void => self.global(Op::TypeVoid, &[id]),
                    Type::Bool => self.global(Op::TypeBool, &[id]),
                    Type::U8 => self.global(Op::TypeInt, &[id, 8, 0]),
                    Type::U16 => self.global(Op::TypeInt, &[id, 16, 0]),
                    Type::U32 => self.global(Op::TypeInt, &[id, 32, 0]),
                    Type::U64 => self.global(Op::TypeInt, &[id, 64, 0]),
                    Type::S8 => self.global(Op::TypeInt, &[id, 8, 1]),
                    Type::S32 => self.global(Op::TypeInt, &[id, 32, 1]),
                    Type::F16 => self.global(Op::TypeFloat, &[id, 16]),
                    Type::Bf16 => {
                        self.numbered_capability(BFLOAT16_TYPE);
                        self.extension("SPV_KHR_bfloat16");
                        // The encoding behind the width is BFloat16KHR.
                        self.global(Op::TypeFloat, &[id, 16, 0]);
                    }
                    Type::F32 => self.global(Op::TypeFloat, &[id, 32]),
                    _ => {
                        self.capability(Capability::Float64);
                        self.global(Op::TypeFloat, &[id, 64]);
                    }
                }
                id
            }
        };
        self.types.insert(ty, id);
        id
    }

    /// The id of a pointer type to `pointee` (a type id).
    pub fn pointer(&mut self, class: StorageClass, pointee: Id) -> Id {
        if let Some(&id) = self.pointers.get(&(class as u32, pointee)) {
            return id;
        }
        let id = self.id();
        self.global(Op::TypePointer, &[id, class as u32, pointee]);
        self.pointers.insert((class as u32, pointee), id);
        id
    }

    /// The id of a function type: result first, then parameters.
    pub fn function_type(&mut self, signature: &[Id]) -> Id {
        if let Some(&id) = self.function_types.get(signature) {
            return id;
        }
        let id = self.id();
        let mut words = vec![id];
        words.extend_from_slice(signature);
        self.global(Op::TypeFunction, &words);
        self.function_types.insert(signature.to_vec(), id);
        id
    }

    /// A scalar constant by its bits (bool: 0 or 1).
    pub fn constant(&mut self, ty: Type, bits: u64) -> Id {
        let bits = match ty.size() {
            1 => bits & 0xff,
            2 => bits & 0xffff,
            4 => bits & 0xffff_ffff,
            _ => bits,
        };
        let given = ty;
        let ty = self.held(ty);
        if let Some(&id) = self.constants.get(&(ty, bits)) {
            self.note_type(given, id);
            return id;
        }
        let type_id = self.ty(ty);
        let id = self.id();
        match ty {
            Type::Bool if bits != 0 => self.global(Op::ConstantTrue, &[type_id, id]),
            Type::Bool => self.global(Op::ConstantFalse, &[type_id, id]),
            _ if ty.size() == 8 => {
                self.global(
                    Op::Constant,
                    &[type_id, id, bits as u32, (bits >> 32) as u32],
                );
            }
            _ => self.global(Op::Constant, &[type_id, id, bits as u32]),
        }
        self.constants.insert((ty, bits), id);
        self.constant_bits.insert(id, bits);
        self.note_type(given, id);
        id
    }

    /// Whether an id is a scalar constant.
    pub fn is_constant(&self, id: Id) -> bool {
        self.constant_bits.contains_key(&id)
    }

    /// The bits of a scalar constant (bool: 0 or 1).
    pub fn constant_bits(&self, id: Id) -> Option<u64> {
        self.constant_bits.get(&id).copied()
    }

    /// A 32-bit unsigned constant.
    pub fn u32(&mut self, value: u32) -> Id {
        self.constant(Type::U32, value as u64)
    }

    /// The zero of a type.
    pub fn null(&mut self, ty: Type) -> Id {
        let type_id = self.ty(ty);
        let key = (Op::ConstantNull as u32, vec![type_id]);
        if let Some(&id) = self.other.get(&key) {
            return id;
        }
        let id = self.id();
        self.global(Op::ConstantNull, &[type_id, id]);
        self.other.insert(key, id);
        id
    }

    /// A constant vector or struct of constants.
    pub fn composite(&mut self, ty: Type, parts: &[Id]) -> Id {
        let type_id = self.ty(ty);
        let mut key = vec![type_id];
        key.extend_from_slice(parts);
        if let Some(&id) = self.composites.get(&key) {
            return id;
        }
        let id = self.id();
        let mut words = vec![type_id, id];
        words.extend_from_slice(parts);
        self.global(Op::ConstantComposite, &words);
        self.composites.insert(key, id);
        id
    }

    /// A u32 specialisation constant with a default.
    pub fn spec_constant(&mut self, spec_id: u32, default: u32) -> Id {
        let key = (Op::SpecConstant as u32, vec![spec_id]);
        if let Some(&id) = self.other.get(&key) {
            return id;
        }
        let ty = self.ty(Type::U32);
        let id = self.id();
        self.global(Op::SpecConstant, &[ty, id, default]);
        self.decorate(id, Decoration::SpecId, &[spec_id]);
        self.other.insert(key, id);
        id
    }

    /// An operation on constants of which some are specialisation constants, as a constant.
    pub fn spec_operation(&mut self, op: Op, ty: Type, operands: &[Id]) -> Id {
        let ty = self.ty(ty);
        let id = self.id();
        let mut words = vec![ty, id, op as u32];
        words.extend_from_slice(operands);
        self.global(Op::SpecConstantOp, &words);
        id
    }

    /// A global variable decorated as a builtin, in the Input class.
    pub fn builtin(&mut self, builtin: rspirv::spirv::BuiltIn, ty: Type) -> Id {
        let key = (Op::Variable as u32, vec![builtin as u32]);
        if let Some(&id) = self.other.get(&key) {
            return id;
        }
        let pointee = self.ty(ty);
        let pointer = self.pointer(StorageClass::Input, pointee);
        let id = self.id();
        self.global(Op::Variable, &[pointer, id, StorageClass::Input as u32]);
        self.decorate(id, Decoration::BuiltIn, &[builtin as u32]);
        self.interface(id);
        self.other.insert(key, id);
        id
    }

    /// A module-scope variable of the Private class, without an initial value.
    pub fn private_variable(&mut self, ty: Type) -> Id {
        let pointee = self.ty(ty);
        let pointer = self.pointer(StorageClass::Private, pointee);
        let id = self.id();
        self.global(Op::Variable, &[pointer, id, StorageClass::Private as u32]);
        self.interface(id);
        id
    }

    /// Starts a function; returns its parameters. `id` is its result id, taken beforehand.
    pub fn begin_function(&mut self, id: Id, result: Type, parameters: &[Type]) -> Vec<Id> {
        let result = self.ty(result);
        let mut signature = vec![result];
        for &p in parameters {
            let p = self.ty(p);
            signature.push(p);
        }
        let ty = self.function_type(&signature);
        self.head.clear();
        self.body.clear();
        instruction(&mut self.head, Op::Function, &[result, id, 0, ty]);
        let ids: Vec<Id> = signature[1..]
            .iter()
            .map(|&p| {
                let id = self.next;
                self.next += 1;
                instruction(&mut self.head, Op::FunctionParameter, &[p, id]);
                id
            })
            .collect();
        for (&id, &ty) in ids.iter().zip(parameters) {
            self.note_type(ty, id);
        }
        let label = self.id();
        instruction(&mut self.head, Op::Label, &[label]);
        self.current_block = label;
        ids
    }

    /// Ends the current function.
    pub fn end_function(&mut self) {
        self.functions.append(&mut self.head);
        self.functions.append(&mut self.body);
        instruction(&mut self.functions, Op::FunctionEnd, &[]);
        self.current_block = 0;
        self.block_start = 0;
    }

    /// A Function-storage variable of the current function.
    pub fn variable(&mut self, ty: Type) -> Id {
        self.variable_with(ty, &[])
    }

    /// A Function-storage array of words that are never written.
    pub fn table(&mut self, words: &[u32]) -> Id {
        let words: Vec<Id> = words.iter().map(|&w| self.u32(w)).collect();
        let ty = Type::Words(words.len() as u32);
        let all = self.composite(ty, &words);
        self.variable_with(ty, &[all])
    }

    /// A variable with the initialiser that is given, if there is one.
    fn variable_with(&mut self, ty: Type, initializer: &[Id]) -> Id {
        let pointee = self.ty(ty);
        let pointer = self.pointer(StorageClass::Function, pointee);
        let id = self.id();
        let mut words = vec![pointer, id, StorageClass::Function as u32];
        words.extend_from_slice(initializer);
        instruction(&mut self.head, Op::Variable, &words);
        id
    }

    /// Starts a block.
    pub fn label(&mut self, label: Id) {
        instruction(&mut self.body, Op::Label, &[label]);
        self.current_block = label;
        self.block_start = self.body.len();
    }

    /// The id that was handed out last.
    pub fn last_id(&self) -> Id {
        self.next - 1
    }

    /// Words of the instructions of the block being written.
    pub fn words_of_block(&self) -> usize {
        self.body.len() - self.block_start
    }

    /// The label of the block being written; 0 after a terminator.
    pub fn current_block(&self) -> Id {
        self.current_block
    }

    /// An instruction without a result.
    pub fn void(&mut self, op: Op, operands: &[u32]) {
        instruction(&mut self.body, op, operands);
        if matches!(
            op,
            Op::Branch
                | Op::BranchConditional
                | Op::Switch
                | Op::Return
                | Op::ReturnValue
                | Op::Unreachable
                | Op::Kill
        ) {
            self.current_block = 0;
        }
    }

    /// An instruction with a result type and a result.
    pub fn op(&mut self, op: Op, ty: Type, operands: &[u32]) -> Id {
        match self.by_integers(op, ty, operands) {
            Some(id) => id,
            None => self.plain(op, ty, operands),
        }
    }

    /// An arithmetic result that is not to be fused or reassociated.
    pub fn exact(&mut self, op: Op, ty: Type, operands: &[Id]) -> Id {
        if let Some(id) = self.by_integers(op, ty, operands) {
            return id;
        }
        let id = self.plain(op, ty, operands);
        self.decorate(id, Decoration::NoContraction, &[]);
        id
    }

    /// The instruction as it is asked for.
    fn plain(&mut self, op: Op, ty: Type, operands: &[Id]) -> Id {
        let type_id = self.ty(ty);
        let id = self.op_with(op, type_id, operands);
        self.note_type(ty, id);
        id
    }

    /// An instruction with a result whose type is given by id.
    pub fn op_with(&mut self, op: Op, type_id: Id, operands: &[u32]) -> Id {
        let id = self.id();
        self.body
            .push(((operands.len() as u32 + 3) << 16) | op as u32);
        self.body.push(type_id);
        self.body.push(id);
        self.body.extend_from_slice(operands);
        id
    }

    /// An instruction by its number, for those that the crate of SPIR-V's grammar does not know.
    pub fn numbered(&mut self, op: u16, ty: Type, operands: &[u32]) -> Id {
        let type_id = self.ty(ty);
        let id = self.id();
        self.body
            .push(((operands.len() as u32 + 3) << 16) | u32::from(op));
        self.body.extend_from_slice(&[type_id, id]);
        self.body.extend_from_slice(operands);
        id
    }

    /// Declares a capability by its number (once).
    pub fn numbered_capability(&mut self, capability: u32) {
        self.capabilities.insert(capability);
    }

    /// An instruction of GLSL.std.450.
    pub fn glsl(&mut self, op: rspirv::spirv::GLOp, ty: Type, operands: &[Id]) -> Id {
        let mut words = vec![self.glsl, op as u32];
        words.extend_from_slice(operands);
        self.op(Op::ExtInst, ty, &words)
    }

    /// The finished module.
    pub fn finish(mut self, entry: Id, name: &str) -> Vec<u32> {
        let mut out = vec![0x0723_0203, 0x0001_0600, 0, self.next, 0];
        for &c in &self.capabilities {
            instruction(&mut out, Op::Capability, &[c]);
        }
        for e in &self.extensions {
            instruction(&mut out, Op::Extension, &string_words(e));
        }
        let mut import = vec![self.glsl];
        import.extend(string_words("GLSL.std.450"));
        instruction(&mut out, Op::ExtInstImport, &import);
        instruction(
            &mut out,
            Op::MemoryModel,
            &[
                AddressingModel::PhysicalStorageBuffer64 as u32,
                MemoryModel::Vulkan as u32,
            ],
        );
        let mut words = vec![ExecutionModel::GLCompute as u32, entry];
        words.extend(string_words(name));
        self.interface.sort_unstable();
        self.interface.dedup();
        words.extend_from_slice(&self.interface);
        instruction(&mut out, Op::EntryPoint, &words);
        out.append(&mut self.modes);
        out.append(&mut self.decorations);
        out.append(&mut self.globals);
        out.append(&mut self.functions);
        out
    }
}
