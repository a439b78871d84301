//! A warp that interprets SPIR-V, with cooperative matrices in workgroup memory as the specification has them.

use super::common::{instructions, translate};
use ptx_spirv::Target;
use rspirv::dr::{Instruction, Operand};
use rspirv::spirv::{Decoration, Op, StorageClass};
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

pub const LANES: usize = 32;
/// Where global memory starts, and bytes of each lane.
pub const BASE: u64 = 1 << 40;
pub const STRIDE: usize = 256;
/// Bytes of each lane's own memory.
const PRIVATE: usize = 16 * 1024;

/// Where the constant arrays of a function begin there.
const TABLES: u64 = 4 * 1024;

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
    /// Constants that are arrays: their elements.
    composites: HashMap<u32, Vec<u32>>,
    /// Constant arrays of the function: where they lie in a lane's memory; and where the next one will.
    tables: HashMap<u32, u64>,
    next_table: u64,
}

pub fn half_to_f64(h: u64) -> f64 {
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
pub fn f64_to_half(v: f64) -> u64 {
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
            Op::ConstantComposite => drop(self.composites.insert(result, ids.to_vec())),
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

    /// Puts a constant array into the memory of all lanes.
    fn write_table(&mut self, variable: u32, constant: u32) {
        let start = TABLES + self.next_table;
        let elements = self.composites[&constant].clone();
        for (n, element) in elements.iter().enumerate() {
            let word = self.scalar(*element);
            for lane in 0..LANES {
                let at = (lane * PRIVATE) as u64 + start + 4 * n as u64;
                self.memory(StorageClass::Function, at, 4, Some(word));
            }
        }
        self.next_table += 4 * elements.len() as u64;
        assert!(TABLES + self.next_table <= PRIVATE as u64);
        self.tables.insert(variable, start);
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
            Op::Label | Op::SelectionMerge | Op::LoopMerge => return None,
            Op::Variable => {
                self.locals.insert(result, None);
                if let Some(constant) = ids.first() {
                    self.write_table(result, *constant);
                }
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
                // A constant array, or the only other one of the function.
                let index = self.lanes(ids[1]);
                let start = self.tables.get(&ids[0]).copied().unwrap_or(0);
                let place = |lane: usize| (lane * PRIVATE) as u64 + start + 4 * index[lane][0];
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
            Op::GroupNonUniformShuffle => {
                let (values, from) = (self.lanes(ids[1]), self.lanes(ids[2]));
                let lanes = from.iter().map(|lane| values[lane[0] as usize].clone());
                Value::Lanes(lanes.collect())
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
        Op::ULessThan => u64::from(x < y),
        Op::ShiftRightArithmetic => (x as u32 as i32 >> y) as u64,
        other => panic!("the interpreter has no {other:?}"),
    };
    if bits == 64 {
        v
    } else {
        v & ((1 << bits) - 1)
    }
}

/// Runs a kernel whose parameter is the address of `global`; gives the number of products.
pub fn run(text: &str, target: &Target, global: &mut Vec<u8>) -> usize {
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
