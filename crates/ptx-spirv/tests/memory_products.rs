//! Products of matrices through workgroup memory, run: a warp's SPIR-V is interpreted, with cooperative matrices as the
//! specification has them, and every element of D compared. No device has all the shapes.

mod common;

use common::{instructions, through_memory, translate};
use ptx_spirv::{MatrixShape, Target};
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, Op, StorageClass};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::OnceLock;

const LANES: usize = 32;
/// Where global memory starts, and bytes of each lane.
const BASE: u64 = 1 << 40;
const STRIDE: usize = 256;
/// Bytes of each lane's own memory.
const PRIVATE: usize = 1024;

/// A value: by lane the components; of a matrix the rows one after the other.
#[derive(Clone, Debug)]
enum Value {
    Lanes(Vec<Vec<u64>>),
    /// A place: storage class, and by lane the byte.
    Place(StorageClass, Vec<u64>),
    Matrix(Vec<f64>),
}

#[derive(Clone, Debug)]
enum Type {
    Number {
        bits: u32,
        float: bool,
        signed: bool,
    },
    Vector(u32, usize),
    Matrix {
        element: u32,
        rows: usize,
        columns: usize,
    },
    Pointer(StorageClass, u32),
    Other,
}

#[derive(Default)]
struct Machine {
    types: HashMap<u32, Type>,
    values: HashMap<u32, Value>,
    offsets: HashMap<(u32, u32), u64>,
    /// By variable: its class and the structure that it shows.
    variables: HashMap<u32, (StorageClass, u32)>,
    /// Structures: the types of their members; arrays: those of their elements.
    members: HashMap<u32, Vec<u32>>,
    builtins: HashMap<u32, u32>,
    pointees: HashMap<u32, u32>,
    workgroup: Vec<u8>,
    global: Vec<u8>,
    push: Vec<u8>,
    private: Vec<u8>,
    /// Bytes of workgroup memory that were written, and read, since the last barrier.
    written: HashSet<u64>,
    read: HashSet<u64>,
    products: usize,
    /// Variables of the function.
    locals: HashMap<u32, Option<Value>>,
}

fn half_to_f64(h: u64) -> f64 {
    let (sign, exponent, fraction) = (h >> 15 & 1, (h >> 10 & 31) as i32, (h & 1023) as f64);
    let v = match exponent {
        31 => f64::NAN,
        0 => fraction / 1024.0 * 2f64.powi(-14),
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if sign == 1 {
        -v
    } else {
        v
    }
}

/// What half precision has not is no number: sums of what lies in the unused columns of a matrix.
fn f64_to_half(v: f64) -> u64 {
    static HALVES: OnceLock<HashMap<u64, u64>> = OnceLock::new();
    let halves = HALVES.get_or_init(|| {
        (0..1u64 << 16)
            .filter(|h| h >> 10 & 31 != 31)
            .map(|h| (half_to_f64(h).to_bits(), h))
            .collect()
    });
    halves.get(&v.to_bits()).copied().unwrap_or(0x7e00)
}

impl Machine {
    fn number(&self, ty: u32) -> (u32, bool, bool) {
        match self.types[&ty] {
            Type::Number {
                bits,
                float,
                signed,
            } => (bits, float, signed),
            _ => panic!("not a number"),
        }
    }

    fn decode(&self, ty: u32, bits: u64) -> f64 {
        match self.number(ty) {
            (16, true, _) => half_to_f64(bits),
            (32, true, _) => f64::from(f32::from_bits(bits as u32)),
            (8, _, true) => f64::from(bits as u8 as i8),
            (32, _, true) => f64::from(bits as u32 as i32),
            _ => bits as f64,
        }
    }

    fn encode(&self, ty: u32, v: f64) -> u64 {
        match self.number(ty) {
            (16, true, _) => f64_to_half(v),
            (32, true, _) => u64::from((v as f32).to_bits()),
            (_, _, true) => u64::from(v as i32 as u32),
            _ => v as u64,
        }
    }

    /// Components of a type, and bits of each.
    fn shape(&self, ty: u32) -> (usize, u32) {
        match self.types[&ty] {
            Type::Number { bits, .. } => (1, bits),
            Type::Vector(element, n) => (n, self.number(element).0),
            _ => (1, 1),
        }
    }

    fn lanes(&self, id: u32) -> &Vec<Vec<u64>> {
        match &self.values[&id] {
            Value::Lanes(v) => v,
            other => panic!("{id} is {other:?}"),
        }
    }

    fn scalar(&self, id: u32) -> u64 {
        self.lanes(id)[0][0]
    }

    fn memory(&mut self, class: StorageClass, at: u64, bytes: u64, store: Option<u64>) -> u64 {
        if class == StorageClass::Workgroup {
            for byte in at..at + bytes {
                if store.is_some() {
                    assert!(!self.read.contains(&byte), "stored where others read");
                    assert!(self.written.insert(byte), "stored twice");
                } else {
                    assert!(!self.written.contains(&byte), "loaded before a barrier");
                    self.read.insert(byte);
                }
            }
        }
        let (memory, at) = match class {
            StorageClass::Workgroup => (&mut self.workgroup, at),
            StorageClass::PushConstant => (&mut self.push, at),
            StorageClass::Function => (&mut self.private, at),
            _ => (&mut self.global, at - BASE),
        };
        let range = at as usize..(at + bytes) as usize;
        match store {
            Some(v) => memory[range].copy_from_slice(&v.to_le_bytes()[..bytes as usize]),
            None => {
                let mut word = [0; 8];
                word[..bytes as usize].copy_from_slice(&memory[range]);
                return u64::from_le_bytes(word);
            }
        }
        0
    }

    /// Reads or writes a matrix in memory; by element where it lies.
    fn matrix_in_memory(
        &mut self,
        ty: u32,
        pointer: u32,
        rest: &[u32],
        store: Option<Vec<f64>>,
    ) -> Vec<f64> {
        let Type::Matrix {
            element,
            rows,
            columns,
        } = self.types[&ty]
        else {
            panic!("not a matrix")
        };
        let Value::Place(class, places) = self.values[&pointer].clone() else {
            panic!("not a place")
        };
        assert!(
            places.iter().all(|&p| p == places[0]),
            "the place is not uniform"
        );
        let bytes = u64::from(self.number(element).0 / 8);
        let column_major = self.scalar(rest[0]) == 1;
        // In units of the pointer's type, words.
        let stride = 4 * self.scalar(rest[1]);
        let line = bytes * if column_major { rows } else { columns } as u64;
        assert!(
            places[0] % line.min(16) == 0 && stride % line.min(16) == 0,
            "alignment"
        );
        let mut all = Vec::new();
        for r in 0..rows as u64 {
            for c in 0..columns as u64 {
                let (major, minor) = if column_major { (c, r) } else { (r, c) };
                let at = places[0] + major * stride + minor * bytes;
                let v = store.as_ref().map(|m| self.encode(element, m[all.len()]));
                let found = self.memory(class, at, bytes, v);
                all.push(self.decode(element, found));
            }
        }
        all
    }

    fn declare(&mut self, i: &Instruction, ids: &[u32], threads: u64) {
        let result = i.result_id.unwrap_or_default();
        let ty = i.result_type.unwrap_or_default();
        let all = |v: u64| Value::Lanes(vec![vec![v]; LANES]);
        let literal = |n: usize| match i.operands[n] {
            Operand::LiteralBit32(v) => v,
            Operand::LiteralBit64(v) => v as u32,
            ref other => panic!("{other:?}"),
        };
        match i.class.opcode {
            Op::TypeInt => {
                let (bits, signed) = (literal(0), literal(1) == 1);
                self.types.insert(
                    result,
                    Type::Number {
                        bits,
                        float: false,
                        signed,
                    },
                );
            }
            Op::TypeFloat => {
                let bits = literal(0);
                self.types.insert(
                    result,
                    Type::Number {
                        bits,
                        float: true,
                        signed: true,
                    },
                );
            }
            Op::TypeVector => {
                self.types
                    .insert(result, Type::Vector(ids[0], literal(1) as usize));
            }
            Op::TypeCooperativeMatrixKHR => {
                let (rows, columns) = (self.scalar(ids[2]), self.scalar(ids[3]));
                let matrix = Type::Matrix {
                    element: ids[0],
                    rows: rows as usize,
                    columns: columns as usize,
                };
                self.types.insert(result, matrix);
            }
            Op::TypePointer => {
                let Operand::StorageClass(class) = i.operands[0] else {
                    panic!()
                };
                self.types.insert(result, Type::Pointer(class, ids[0]));
            }
            Op::TypeStruct | Op::TypeArray => {
                self.members.insert(result, ids.to_vec());
                self.types.insert(result, Type::Other);
            }
            Op::TypeBool | Op::TypeVoid | Op::TypeFunction => {
                self.types.insert(result, Type::Other);
            }
            Op::Constant => {
                let v = match i.operands[0] {
                    Operand::LiteralBit32(v) => u64::from(v),
                    Operand::LiteralBit64(v) => v,
                    ref other => panic!("{other:?}"),
                };
                self.values.insert(result, all(v));
            }
            Op::ConstantTrue => drop(self.values.insert(result, all(1))),
            Op::ConstantFalse => drop(self.values.insert(result, all(0))),
            Op::ConstantNull => {
                let Type::Matrix { rows, columns, .. } = self.types[&ty] else {
                    panic!()
                };
                self.values
                    .insert(result, Value::Matrix(vec![0.0; rows * columns]));
            }
            Op::SpecConstant => {
                let v = match self.builtins[&result] {
                    0 | 1 => threads,
                    4 => self.workgroup.len() as u64,
                    _ => 1,
                };
                self.values.insert(result, all(v));
            }
            Op::SpecConstantOp => {
                let Operand::LiteralSpecConstantOpInteger(op) = i.operands[0] else {
                    panic!()
                };
                let (x, y) = (self.scalar(ids[0]), self.scalar(ids[1]));
                self.values.insert(result, all(arithmetic(op, x, y, 32)));
            }
            Op::Decorate => match i.operands[1] {
                Operand::Decoration(Decoration::SpecId) => {
                    self.builtins.insert(ids[0], literal(2));
                }
                Operand::Decoration(Decoration::BuiltIn) => {
                    let Operand::BuiltIn(b) = i.operands[2] else {
                        panic!()
                    };
                    self.builtins.insert(ids[0], b as u32);
                }
                _ => {}
            },
            Op::MemberDecorate => {
                if let Operand::Decoration(Decoration::Offset) = i.operands[2] {
                    self.offsets.insert((ids[0], literal(1)), literal(3).into());
                }
            }
            Op::Variable => {
                let Type::Pointer(class, pointee) = self.types[&ty] else {
                    panic!()
                };
                self.variables.insert(result, (class, pointee));
            }
            _ => {}
        }
    }

    /// Runs an instruction of the function; gives the label to go on at.
    fn step(&mut self, i: &Instruction, ids: &[u32]) -> Option<u32> {
        let ty = i.result_type.unwrap_or_default();
        let result = i.result_id.unwrap_or_default();
        let literal = |n: usize| match i.operands[n] {
            Operand::LiteralBit32(v) => v as usize,
            ref other => panic!("{other:?}"),
        };
        let op = i.class.opcode;
        let value = match op {
            Op::Label | Op::SelectionMerge => return None,
            Op::Variable => {
                self.locals.insert(result, None);
                return None;
            }
            Op::Load if self.locals.contains_key(&ids[0]) => {
                self.locals[&ids[0]].clone().expect("a value")
            }
            Op::Store if self.locals.contains_key(&ids[0]) => {
                let v = self.values[&ids[1]].clone();
                self.locals.insert(ids[0], Some(v));
                return None;
            }
            Op::Branch => return Some(ids[0]),
            Op::BranchConditional => {
                return Some(if self.scalar(ids[0]) != 0 {
                    ids[1]
                } else {
                    ids[2]
                });
            }
            Op::ControlBarrier => {
                self.written.clear();
                self.read.clear();
                return None;
            }
            Op::AccessChain if self.locals.contains_key(&ids[0]) => {
                // The only array of the function.
                let index = self.lanes(ids[1]);
                let place = |lane: usize| (lane * PRIVATE) as u64 + 4 * index[lane][0];
                Value::Place(StorageClass::Function, (0..LANES).map(place).collect())
            }
            Op::AccessChain => {
                let (class, mut of) = self.variables[&ids[0]];
                let mut places = vec![0u64; LANES];
                for (n, &index) in ids[1..].iter().enumerate() {
                    let members = self.members[&of].clone();
                    if n == 0 {
                        let member = self.scalar(index) as u32;
                        places.fill(self.offsets[&(of, member)]);
                        of = members[member as usize];
                        continue;
                    }
                    of = members[0];
                    let (count, bits) = self.shape(of);
                    for (lane, place) in places.iter_mut().enumerate() {
                        *place += self.lanes(index)[lane][0] * count as u64 * u64::from(bits / 8);
                    }
                }
                Value::Place(class, places)
            }
            Op::ConvertUToPtr => {
                let places = self.lanes(ids[0]).iter().map(|v| v[0]).collect();
                Value::Place(StorageClass::PhysicalStorageBuffer, places)
            }
            Op::Load => match (
                self.variables.get(&ids[0]),
                self.values.get(&ids[0]).cloned(),
            ) {
                // A builtin of the lane.
                (Some(_), _) => Value::Lanes(
                    (0..LANES as u64)
                        .map(|lane| match self.builtins[&ids[0]] {
                            41 => vec![lane],
                            40 => vec![0],
                            _ => vec![lane, 0, 0],
                        })
                        .collect(),
                ),
                (None, Some(Value::Place(class, places))) => {
                    let (count, bits) = self.shape(ty);
                    let bytes = u64::from(bits / 8);
                    Value::Lanes(
                        places
                            .iter()
                            .map(|&at| {
                                (0..count as u64)
                                    .map(|n| self.memory(class, at + n * bytes, bytes, None))
                                    .collect()
                            })
                            .collect(),
                    )
                }
                other => panic!("{other:?}"),
            },
            Op::Store => {
                let Value::Place(class, places) = self.values[&ids[0]].clone() else {
                    panic!()
                };
                let bytes = self.pointees[&ids[0]];
                let v = self.lanes(ids[1]).clone();
                for (lane, at) in places.into_iter().enumerate() {
                    let each = u64::from(bytes) / v[lane].len() as u64;
                    for (n, &component) in v[lane].iter().enumerate() {
                        self.memory(class, at + n as u64 * each, each, Some(component));
                    }
                }
                return None;
            }
            Op::CooperativeMatrixLoadKHR => {
                Value::Matrix(self.matrix_in_memory(ty, ids[0], &ids[1..], None))
            }
            Op::CooperativeMatrixStoreKHR => {
                let Value::Matrix(m) = self.values[&ids[1]].clone() else {
                    panic!()
                };
                let ty = self.pointees[&ids[1]];
                self.matrix_in_memory(ty, ids[0], &ids[2..], Some(m));
                return None;
            }
            Op::CooperativeMatrixMulAddKHR => {
                self.products += 1;
                let matrix = |id: u32| match &self.values[&id] {
                    Value::Matrix(m) => m.clone(),
                    other => panic!("{other:?}"),
                };
                let [a, b, mut c] = [ids[0], ids[1], ids[2]].map(matrix);
                let Type::Matrix { rows, columns, .. } = self.types[&ty] else {
                    panic!()
                };
                let depth = a.len() / rows;
                for r in 0..rows {
                    for column in 0..columns {
                        for k in 0..depth {
                            c[r * columns + column] += a[r * depth + k] * b[k * columns + column];
                        }
                    }
                }
                Value::Matrix(c)
            }
            Op::CompositeConstruct => Value::Lanes(
                (0..LANES)
                    .map(|lane| {
                        ids.iter()
                            .flat_map(|&id| self.lanes(id)[lane].clone())
                            .collect()
                    })
                    .collect(),
            ),
            Op::CompositeExtract => {
                let n = literal(1);
                Value::Lanes(self.lanes(ids[0]).iter().map(|v| vec![v[n]]).collect())
            }
            Op::Bitcast | Op::UConvert | Op::FConvert => {
                let (count, bits) = self.shape(ty);
                let from = self.pointees[&ids[0]];
                let (_, from_bits) = self.shape(from);
                let element = |machine: &Self, ty: u32| match machine.types[&ty] {
                    Type::Vector(element, _) => element,
                    _ => ty,
                };
                let (to_element, from_element) = (element(self, ty), element(self, from));
                Value::Lanes(
                    self.lanes(ids[0])
                        .iter()
                        .map(|v| match op {
                            Op::FConvert => v
                                .iter()
                                .map(|&v| self.encode(to_element, self.decode(from_element, v)))
                                .collect(),
                            Op::UConvert => v.clone(),
                            _ => {
                                let whole = v
                                    .iter()
                                    .rev()
                                    .fold(0u128, |w, &v| w << from_bits | u128::from(v));
                                (0..count as u32)
                                    .map(|n| (whole >> (n * bits) & ((1 << bits) - 1)) as u64)
                                    .collect()
                            }
                        })
                        .collect(),
                )
            }
            Op::Select => Value::Lanes(
                (0..LANES)
                    .map(|lane| {
                        let yes = self.lanes(ids[0])[lane][0] != 0;
                        self.lanes(if yes { ids[1] } else { ids[2] })[lane].clone()
                    })
                    .collect(),
            ),
            _ => {
                assert_eq!(ids.len(), 2, "the interpreter has no {op:?}");
                let (_, bits) = self.shape(ty);
                let (x, y) = (self.lanes(ids[0]), self.lanes(ids[1]));
                Value::Lanes(
                    x.iter()
                        .zip(y)
                        .map(|(x, y)| vec![arithmetic(op, x[0], y[0], bits)])
                        .collect(),
                )
            }
        };
        self.values.insert(result, value);
        None
    }
}

fn arithmetic(op: Op, x: u64, y: u64, bits: u32) -> u64 {
    let v = match op {
        Op::IAdd => x.wrapping_add(y),
        Op::ISub => x.wrapping_sub(y),
        Op::IMul => x.wrapping_mul(y),
        Op::UDiv => x / y,
        Op::UMod => x % y,
        Op::ShiftLeftLogical => x << y,
        Op::ShiftRightLogical => x >> y,
        Op::BitwiseAnd | Op::LogicalAnd => x & y,
        Op::BitwiseOr | Op::LogicalOr => x | y,
        Op::BitwiseXor => x ^ y,
        Op::IEqual => u64::from(x == y),
        Op::INotEqual => u64::from(x != y),
        Op::UGreaterThanEqual => u64::from(x >= y),
        other => panic!("the interpreter has no {other:?}"),
    };
    if bits == 64 {
        v
    } else {
        v & ((1 << bits) - 1)
    }
}

/// Runs a kernel whose parameter is the address of `global`; gives the number of products.
fn run(text: &str, target: &Target, global: &mut Vec<u8>) -> usize {
    let mut target = target.clone();
    target.maximal_reconvergence = false;
    let translated = translate(text, "k", &target).expect("a translation");
    assert!(translated.info.inline_parameters);
    let all = instructions(&translated.spirv);
    let mut machine = Machine {
        workgroup: vec![0x7b; translated.info.workgroup_memory(LANES as u32, 0) as usize],
        global: std::mem::take(global),
        push: vec![0; 96],
        private: vec![0; LANES * PRIVATE],
        ..Machine::default()
    };
    machine.push.extend(BASE.to_le_bytes());
    let ids = |i: &Instruction| -> Vec<u32> {
        i.operands.iter().filter_map(Operand::id_ref_any).collect()
    };
    let start = all
        .iter()
        .position(|i| i.class.opcode == Op::Function)
        .expect("a function");
    let mut labels = HashMap::new();
    for (n, i) in all.iter().enumerate() {
        if let Some(result) = i.result_id {
            // What a value is, or how many bytes a place has.
            let ty = i.result_type.unwrap_or_default();
            machine.pointees.insert(result, ty);
            if i.class.opcode == Op::Label {
                labels.insert(result, n);
            }
        }
        if n < start {
            machine.declare(i, &ids(i), LANES as u64);
        }
    }
    for i in &all[start..] {
        let Some(Type::Pointer(_, pointee)) = i.result_type.and_then(|ty| machine.types.get(&ty))
        else {
            continue;
        };
        let (count, bits) = machine.shape(*pointee);
        machine
            .pointees
            .insert(i.result_id.unwrap_or_default(), count as u32 * bits / 8);
    }
    let mut at = start + 1;
    while all[at].class.opcode != Op::Return {
        at = match machine.step(&all[at], &ids(&all[at])) {
            Some(label) => labels[&label],
            None => at + 1,
        };
    }
    *global = machine.global;
    machine.products
}

/// A product as PTX writes it.
struct Form {
    text: &'static str,
    k: usize,
    /// Registers of A, B and C.
    registers: (usize, usize, usize),
    /// f16, s8 or u8.
    element: &'static str,
    /// Sums of half precision, of single precision, or integers.
    sum: &'static str,
}

const FORMS: [Form; 8] = [
    Form {
        text: "m16n8k16.row.col.f32.f16.f16.f32",
        k: 16,
        registers: (4, 2, 4),
        element: "f16",
        sum: "f32",
    },
    Form {
        text: "m16n8k16.row.col.f16.f16.f16.f16",
        k: 16,
        registers: (4, 2, 2),
        element: "f16",
        sum: "f16",
    },
    Form {
        text: "m16n8k8.row.col.f32.f16.f16.f32",
        k: 8,
        registers: (2, 1, 4),
        element: "f16",
        sum: "f32",
    },
    Form {
        text: "m16n8k8.row.col.f16.f16.f16.f16",
        k: 8,
        registers: (2, 1, 2),
        element: "f16",
        sum: "f16",
    },
    Form {
        text: "m16n8k32.row.col.s32.s8.s8.s32",
        k: 32,
        registers: (4, 2, 4),
        element: "s8",
        sum: "s32",
    },
    Form {
        text: "m16n8k16.row.col.s32.s8.s8.s32",
        k: 16,
        registers: (2, 1, 4),
        element: "s8",
        sum: "s32",
    },
    Form {
        text: "m16n8k32.row.col.s32.u8.u8.s32",
        k: 32,
        registers: (4, 2, 4),
        element: "u8",
        sum: "s32",
    },
    Form {
        text: "m16n8k16.row.col.s32.u8.u8.s32",
        k: 16,
        registers: (2, 1, 4),
        element: "u8",
        sum: "s32",
    },
];

impl Form {
    /// D = A B + C and then D = A B + D, `times` products in all.
    fn kernel(&self, times: usize) -> String {
        let (a, b, c) = self.registers;
        let list = |prefix: &str, from: usize, count: usize| {
            let names: Vec<String> = (from..from + count)
                .map(|n| format!("{prefix}{n}"))
                .collect();
            format!("{{{}}}", names.join(", "))
        };
        let kind = if self.sum == "f32" { "f32" } else { "b32" };
        let mut text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
             .reg .b32 %r<9>;\n.reg .{kind} %c<9>;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
             mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n"
        );
        for n in 0..a + b {
            let _ = writeln!(text, "ld.global.b32 %r{}, [%a2+{}];", n + 1, 4 * n);
        }
        for n in 0..c {
            let _ = writeln!(text, "ld.global.{kind} %c{n}, [%a2+{}];", 64 + 4 * n);
        }
        for _ in 0..times {
            let (sums, a_list, b_list) = (list("%c", 0, c), list("%r", 1, a), list("%r", 1 + a, b));
            let _ = writeln!(
                text,
                "mma.sync.aligned.{} {sums}, {a_list}, {b_list}, {sums};",
                self.text
            );
        }
        for n in 0..c {
            let _ = writeln!(text, "st.global.{kind} [%a2+{}], %c{n};", 128 + 4 * n);
        }
        text.push_str("ret;\n}\n");
        text
    }

    /// Elements in a register.
    fn per_register(&self) -> usize {
        if self.element == "f16" {
            2
        } else {
            4
        }
    }

    /// Bits of a whole number as an element.
    fn bits(&self, v: i32) -> u32 {
        match self.element {
            "f16" => f64_to_half(f64::from(v)) as u32,
            _ => v as u8 as u32,
        }
    }
}

/// Fills the fragments of a product with small numbers, by the layout that PTX ISA publishes, and checks D.
fn check(form: &Form, target: &Target, times: usize) -> usize {
    let mut state = 12345u32;
    let mut small = |from: i32, to: i32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        from + (state >> 16) as i32 % (to - from + 1)
    };
    let low = if form.element == "u8" { 0 } else { -3 };
    let a: Vec<Vec<i32>> = (0..16)
        .map(|_| (0..form.k).map(|_| small(low, 3)).collect())
        .collect();
    let b: Vec<Vec<i32>> = (0..form.k)
        .map(|_| (0..8).map(|_| small(low, 3)).collect())
        .collect();
    let c: Vec<Vec<i32>> = (0..16)
        .map(|_| (0..8).map(|_| small(-9, 9)).collect())
        .collect();
    let mut global = vec![0u8; LANES * STRIDE];
    let each = form.per_register();
    let (a_count, b_count, c_count) = form.registers;
    let mut put = |lane: usize, at: usize, word: u32| {
        let at = lane * STRIDE + at;
        global[at..at + 4].copy_from_slice(&word.to_le_bytes());
    };
    for lane in 0..LANES {
        let (g, t) = (lane / 4, lane % 4);
        let pack = |element: &dyn Fn(usize) -> i32| {
            (0..each).fold(0, |w, e| w | form.bits(element(e)) << (32 / each * e))
        };
        for n in 0..a_count {
            let (row, k) = (g + 8 * (n % 2), each * (t + 4 * (n / 2)));
            put(lane, 4 * n, pack(&|e| a[row][k + e]));
        }
        for n in 0..b_count {
            let k = each * (t + 4 * n);
            put(lane, 4 * (a_count + n), pack(&|e| b[k + e][g]));
        }
        for n in 0..c_count {
            let word = match form.sum {
                "f16" => {
                    let row = &c[g + 8 * n];
                    form.bits(row[2 * t]) | form.bits(row[2 * t + 1]) << 16
                }
                sum => {
                    let v = c[g + 8 * (n / 2)][2 * t + n % 2];
                    if sum == "f32" {
                        (v as f32).to_bits()
                    } else {
                        v as u32
                    }
                }
            };
            put(lane, 64 + 4 * n, word);
        }
    }
    let products = run(&form.kernel(times), target, &mut global);
    for lane in 0..LANES {
        let (g, t) = (lane / 4, lane % 4);
        for n in 0..c_count {
            let at = lane * STRIDE + 128 + 4 * n;
            let word = u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"));
            let want = |row: usize, column: usize| -> i32 {
                let dot: i32 = (0..form.k).map(|k| a[row][k] * b[k][column]).sum();
                c[row][column] + times as i32 * dot
            };
            let found: Vec<(i32, i32)> = match form.sum {
                "f16" => (0..2)
                    .map(|e| {
                        (
                            half_to_f64(u64::from(word >> (16 * e) & 0xffff)) as i32,
                            want(g + 8 * n, 2 * t + e),
                        )
                    })
                    .collect(),
                sum => {
                    let v = if sum == "f32" {
                        f32::from_bits(word) as i32
                    } else {
                        word as i32
                    };
                    vec![(v, want(g + 8 * (n / 2), 2 * t + n % 2))]
                }
            };
            for (found, want) in found {
                assert_eq!(found, want, "{} lane {lane} word {n}", form.text);
            }
        }
    }
    products
}

#[test]
fn every_shape_gives_the_product() {
    for (m, n) in [(8, 8), (8, 16), (16, 8), (16, 16)] {
        for bytes in [16, 32] {
            let mut target = through_memory(m, n, bytes);
            for registers in [0, 64] {
                target.registers = registers;
                for form in &FORMS {
                    for times in [1, 3] {
                        check(form, &target, times);
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_takes_as_many_of_the_device_as_its_shape_says() {
    let half = |m, n| {
        let mut target = through_memory(m, n, 32);
        target.matrix_units.memory.half_single = Some(MatrixShape::new(m, n, 16));
        check(&FORMS[0], &target, 1)
    };
    assert_eq!(
        [half(16, 8), half(8, 16), half(8, 8), half(16, 16)],
        [1, 1, 2, 1]
    );
    // Bytes of 16 elements of k at a time.
    assert_eq!(check(&FORMS[4], &through_memory(16, 8, 16), 1), 2);
}

/// A kernel that has more values at a time than the device has registers, several times with others.
fn crowded(count: usize, rounds: usize) -> String {
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .b32 %r<{}>;\n.reg .b32 %sum;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\nmov.u32 %sum, 0;\n",
        rounds * count + 1
    );
    for round in 0..rounds {
        let registers = round * count + 1..=(round + 1) * count;
        for n in registers.clone() {
            let _ = writeln!(text, "ld.global.b32 %r{n}, [%a2+{}];", n % 16 * 4);
        }
        for n in registers.clone().chain(registers) {
            let _ = writeln!(text, "mad.lo.u32 %sum, %sum, 3, %r{n};");
        }
    }
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    text
}

/// Runs [`crowded`] and tells how many words of memory its registers have, and at how many places.
fn run_crowded(count: usize, rounds: usize, registers: u32) -> (usize, usize) {
    let text = crowded(count, rounds);
    let expected = |global: &[u8], lane: usize| {
        let word = |n: usize| {
            let at = lane * STRIDE + n % 16 * 4;
            u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"))
        };
        (0..rounds)
            .map(|round| round * count + 1..=(round + 1) * count)
            .flat_map(|registers| registers.clone().chain(registers))
            .fold(0u32, |sum, n| sum.wrapping_mul(3).wrapping_add(word(n)))
    };
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let mut target = Target::xe2();
    target.registers = registers;
    let mut global = start.clone();
    run(&text, &target, &mut global);
    for lane in 0..LANES {
        let at = lane * STRIDE + 128;
        let word = u32::from_le_bytes(global[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(word, expected(&start, lane), "lane {lane}");
    }
    target.maximal_reconvergence = false;
    let translated = translate(&text, "k", &target).expect("a translation");
    let all = instructions(&translated.spirv);
    let of = |opcode| all.iter().filter(move |i| i.class.opcode == opcode);
    let lengths: HashMap<u32, u32> = of(Op::Constant)
        .filter_map(|i| match i.operands[0] {
            Operand::LiteralBit32(n) => Some((i.result_id?, n)),
            _ => None,
        })
        .collect();
    // The parameters' words are in a structure, and no array of this length.
    let words = of(Op::TypeArray).filter_map(|i| match i.operands[1] {
        Operand::IdRef(length) => lengths.get(&length).copied(),
        _ => None,
    });
    (
        words.max().unwrap_or(0) as usize,
        of(Op::AccessChain).count(),
    )
}

#[test]
fn registers_that_are_kept_in_memory_keep_their_values() {
    for registers in [0, 32, 64] {
        let (_, places) = run_crowded(60, 1, registers);
        // The parameter alone, or many loads and stores.
        assert_eq!(
            places > 60,
            registers > 0,
            "{places} places for {registers} registers"
        );
    }
}

#[test]
fn registers_that_are_not_alive_together_share_memory() {
    for registers in [32, 64] {
        let (words, places) = run_crowded(60, 1, registers);
        let (words_of_four, places_of_four) = run_crowded(60, 4, registers);
        assert!(words > 0, "registers in memory");
        assert!(
            places_of_four >= 3 * places,
            "{places} and {places_of_four}"
        );
        assert!(
            words_of_four <= words + words / 8,
            "{words_of_four} words for four times {words}"
        );
    }
}

/// Sums are written to registers when one of them is read: those that nobody reads, too, whose memory must not be others'
/// by then.
#[test]
fn sums_that_are_not_read_do_not_overwrite_other_registers() {
    const COUNT: usize = 60;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .b32 %x<{COUNT}>;\n.reg .b32 %y<{COUNT}>;\n.reg .b32 %t;\n.reg .b32 %d<4>;\n.reg .b32 %sum;\n\
         ld.param.u64 %a0, [p];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %a1, %t, {STRIDE};\nadd.s64 %a2, %a0, %a1;\n\
         mov.u32 %sum, 0;\nmov.u32 %d0, 0;\nmov.u32 %d1, 0;\nmov.u32 %d2, 0;\nmov.u32 %d3, 0;\n"
    );
    let load = |text: &mut String, name: char| {
        for n in 0..COUNT {
            let _ = writeln!(text, "ld.global.b32 %{name}{n}, [%a2+{}];", n % 16 * 4);
        }
    };
    let add = |text: &mut String, name: char| {
        // Often enough that the sums are rather kept in memory.
        for n in (0..8 * COUNT).map(|n| n % COUNT) {
            let _ = writeln!(text, "mad.lo.u32 %sum, %sum, 3, %{name}{n};");
        }
    };
    let product =
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%d0,%d1,%d2,%d3}, {%x0,%x1}, {%x2}, \
                   {%d0,%d1,%d2,%d3};\n";
    load(&mut text, 'x');
    text.push_str(product);
    add(&mut text, 'x');
    for n in 0..4 {
        let _ = writeln!(text, "st.global.b32 [%a2+{}], %d{n};", 144 + n * 4);
    }
    text.push_str(product);
    load(&mut text, 'y');
    text.push_str("st.global.b32 [%a2+160], %d0;\n");
    add(&mut text, 'y');
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let mut results = [0, 32, 64].map(|registers| {
        let mut target = Target::xe2();
        target.registers = registers;
        let mut global = start.clone();
        run(&text, &target, &mut global);
        global
    });
    let plain = std::mem::take(&mut results[0]);
    assert_ne!(plain, start);
    assert!(results[1..].iter().all(|r| *r == plain));
}

/// Predicates are words of registers, too, where each lane has its own.
#[test]
fn predicates_that_are_kept_in_memory_keep_their_values() {
    const COUNT: usize = 40;
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p)\n{{\n.reg .b64 %a<3>;\n\
         .reg .pred %q<{COUNT}>;\n.reg .b32 %r<3>;\n.reg .b32 %sum;\nld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\n\
         mul.wide.u32 %a1, %r0, {STRIDE};\nadd.s64 %a2, %a0, %a1;\nmov.u32 %sum, 0;\n"
    );
    for n in 0..COUNT {
        let _ = writeln!(
            text,
            "ld.global.b32 %r1, [%a2+{}];\nsetp.ge.u32 %q{n}, %r1, {};",
            n % 16 * 4,
            0x0600_0000 * (n as u32 + 1)
        );
    }
    for n in 0..COUNT {
        let _ = writeln!(
            text,
            "selp.u32 %r2, 1, 0, %q{n};\nmad.lo.u32 %sum, %sum, 3, %r2;"
        );
    }
    text.push_str("st.global.b32 [%a2+128], %sum;\nret;\n}\n");
    let start: Vec<u8> = (0..LANES * STRIDE).map(|n| (n * n % 251) as u8).collect();
    let [plain, few] = [0, 32].map(|registers| {
        let mut target = Target::xe2();
        target.registers = registers;
        let mut global = start.clone();
        run(&text, &target, &mut global);
        let all = {
            target.maximal_reconvergence = false;
            let translated = translate(&text, "k", &target).expect("a translation");
            instructions(&translated.spirv)
        };
        let places = all
            .iter()
            .filter(|i| i.class.opcode == Op::AccessChain)
            .count();
        (global, places)
    });
    assert_ne!(plain.0, start);
    assert_eq!(plain.0, few.0);
    assert!(
        few.1 > COUNT,
        "{} places, {} with registers",
        few.1,
        plain.1
    );
}
