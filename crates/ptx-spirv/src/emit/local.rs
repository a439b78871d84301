//! Local memory that is a variable of the shader.
//!
//! Drivers put arrays that are indexed by what they do not know into memory, where they are large, or make a branch of each
//! element. A small one is vectors of four words here, of which one is selected without a branch: a load of 16 bytes takes
//! as many selections as there are vectors, instead of four ladders of branches over all words.

use super::*;
use rspirv::spirv::StorageClass;

/// Bytes of local memory up to which it is vectors. Those are registers, which some devices have few of
/// ([`Target::registers`]): there it is an array.
const SMALL: u32 = 128;

/// Words of an array at least: Mesa makes branches of one of up to 16.
pub(super) const LEAST_WORDS: u32 = 32;

const QUAD: Type = Type::Vector(Scalar::U32, 4);
const PAIR: Type = Type::Vector(Scalar::U32, 2);

/// The variables.
#[derive(Default)]
pub(crate) enum Local {
    /// There are none: no local memory, or it lies in scratch.
    #[default]
    None,
    /// An array of words.
    Array(Id),
    /// Vectors of 16 bytes each.
    Vectors(Vec<Id>),
}

impl Emitter<'_> {
    /// Makes the variables for the kernel's local memory.
    pub(super) fn make_local(&mut self, bytes: u32) {
        let small = match self.target.registers {
            0 => SMALL,
            _ => 0,
        };
        self.entry.local_variables = if bytes <= small {
            Local::Vectors(
                (0..bytes.div_ceil(16))
                    .map(|_| self.asm.variable(QUAD))
                    .collect(),
            )
        } else {
            let words = bytes.div_ceil(4).max(LEAST_WORDS);
            Local::Array(self.asm.variable(Type::Words(words)))
        };
    }

    /// Something to access where a kernel without local memory does so, which PTX says nothing of.
    fn make_some_local(&mut self) {
        if matches!(self.entry.local_variables, Local::None) {
            self.make_local(16);
        }
    }

    pub(super) fn load_local(&mut self, offset: Id, ty: Type) -> Id {
        self.make_some_local();
        if !matches!(self.entry.local_variables, Local::Vectors(_)) {
            return self.load_array(offset, ty);
        }
        match ty.size() {
            32 => {
                let Type::Vector(scalar, 4) = ty else {
                    unreachable!("only vectors of four have 32 bytes");
                };
                let half = Type::Vector(scalar, 2);
                let second = self.offset(offset, Type::U32, 16);
                let parts = [offset, second].map(|at| self.load_local(at, half));
                self.asm.op(Op::CompositeConstruct, ty, &parts)
            }
            16 => {
                let quad = self.load_vector(offset);
                self.cast(Value { id: quad, ty: QUAD }, ty)
            }
            8 => {
                let quad = self.load_vector(offset);
                let upper = self.is_upper(offset);
                let [low, high] = [[0, 1], [2, 3]]
                    .map(|[x, y]| self.asm.op(Op::VectorShuffle, PAIR, &[quad, quad, x, y]));
                let id = self.asm.op(Op::Select, PAIR, &[upper, high, low]);
                self.cast(Value { id, ty: PAIR }, ty)
            }
            size => {
                let quad = self.load_vector(offset);
                let index = self.word_in_vector(offset);
                let word = self
                    .asm
                    .op(Op::VectorExtractDynamic, Type::U32, &[quad, index]);
                let (id, unsigned) = if size == 4 {
                    (word, Type::U32)
                } else {
                    let shift = self.bit_in_word(offset);
                    let id = self
                        .asm
                        .op(Op::ShiftRightLogical, Type::U32, &[word, shift]);
                    let unsigned = Type::unsigned(size);
                    (self.asm.op(Op::UConvert, unsigned, &[id]), unsigned)
                };
                self.cast(Value { id, ty: unsigned }, ty)
            }
        }
    }

    pub(super) fn store_local(&mut self, offset: Id, ty: Type, value: Id) {
        self.make_some_local();
        if !matches!(self.entry.local_variables, Local::Vectors(_)) {
            return self.store_array(offset, ty, value);
        }
        let whole = Value { id: value, ty };
        match ty.size() {
            32 => {
                let Type::Vector(scalar, 4) = ty else {
                    unreachable!("only vectors of four have 32 bytes");
                };
                let half = Type::Vector(scalar, 2);
                let second = self.offset(offset, Type::U32, 16);
                for (at, x) in [(offset, 0), (second, 2)] {
                    let part = self
                        .asm
                        .op(Op::VectorShuffle, half, &[value, value, x, x + 1]);
                    self.store_local(at, half, part);
                }
            }
            16 => {
                let quad = self.cast(whole, QUAD);
                self.store_vector(offset, quad);
            }
            8 => {
                let pair = self.cast(whole, PAIR);
                let quad = self.load_vector(offset);
                let upper = self.is_upper(offset);
                let low = self
                    .asm
                    .op(Op::VectorShuffle, QUAD, &[quad, pair, 4, 5, 2, 3]);
                let high = self
                    .asm
                    .op(Op::VectorShuffle, QUAD, &[quad, pair, 0, 1, 4, 5]);
                let quad = self.asm.op(Op::Select, QUAD, &[upper, high, low]);
                self.store_vector(offset, quad);
            }
            size => {
                let quad = self.load_vector(offset);
                let index = self.word_in_vector(offset);
                let word = if size == 4 {
                    self.cast(whole, Type::U32)
                } else {
                    let field = self.cast(whole, Type::unsigned(size));
                    let field = self.asm.op(Op::UConvert, Type::U32, &[field]);
                    let word = self
                        .asm
                        .op(Op::VectorExtractDynamic, Type::U32, &[quad, index]);
                    let (shift, bits) = (self.bit_in_word(offset), self.asm.u32(size * 8));
                    self.asm
                        .op(Op::BitFieldInsert, Type::U32, &[word, field, shift, bits])
                };
                let quad = self
                    .asm
                    .op(Op::VectorInsertDynamic, QUAD, &[quad, word, index]);
                self.store_vector(offset, quad);
            }
        }
    }

    /// The vectors, and the number of the one that holds a byte.
    fn vector_at(&mut self, offset: Id) -> (Vec<Id>, Id) {
        let four = self.asm.u32(4);
        let index = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[offset, four]);
        match &self.entry.local_variables {
            Local::Vectors(vectors) => (vectors.clone(), index),
            _ => unreachable!("local memory is vectors here"),
        }
    }

    fn load_vector(&mut self, offset: Id) -> Id {
        let (vectors, index) = self.vector_at(offset);
        let mut found = self.asm.op(Op::Load, QUAD, &[vectors[0]]);
        for (n, &vector) in vectors.iter().enumerate().skip(1) {
            let n = self.asm.u32(n as u32);
            let here = self.asm.op(Op::IEqual, Type::Bool, &[index, n]);
            let v = self.asm.op(Op::Load, QUAD, &[vector]);
            found = self.asm.op(Op::Select, QUAD, &[here, v, found]);
        }
        found
    }

    fn store_vector(&mut self, offset: Id, quad: Id) {
        let (vectors, index) = self.vector_at(offset);
        for (n, vector) in vectors.into_iter().enumerate() {
            let n = self.asm.u32(n as u32);
            let here = self.asm.op(Op::IEqual, Type::Bool, &[index, n]);
            let old = self.asm.op(Op::Load, QUAD, &[vector]);
            let new = self.asm.op(Op::Select, QUAD, &[here, quad, old]);
            self.asm.void(Op::Store, &[vector, new]);
        }
    }

    /// Whether a byte is in the upper half of its vector.
    fn is_upper(&mut self, offset: Id) -> Id {
        let (eight, zero) = (self.asm.u32(8), self.asm.u32(0));
        let bit = self.asm.op(Op::BitwiseAnd, Type::U32, &[offset, eight]);
        self.asm.op(Op::INotEqual, Type::Bool, &[bit, zero])
    }

    /// The number of the word, of its vector, that holds a byte.
    fn word_in_vector(&mut self, offset: Id) -> Id {
        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let word = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[offset, two]);
        self.asm.op(Op::BitwiseAnd, Type::U32, &[word, three])
    }

    /// A pointer to the word of local memory that holds a byte.
    fn word_pointer(&mut self, offset: Id, plus: u32) -> Id {
        let two = self.asm.u32(2);
        let index = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[offset, two]);
        let index = self.offset(index, Type::U32, plus as i64);
        let pointee = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(StorageClass::Function, pointee);
        let Local::Array(words) = self.entry.local_variables else {
            unreachable!("local memory is an array here");
        };
        self.asm.op_with(Op::AccessChain, pointer, &[words, index])
    }

    fn load_array(&mut self, offset: Id, ty: Type) -> Id {
        let (scalar, count) = match ty {
            Type::Vector(s, n) => (s.ty(), n as u32),
            t => (t, 1),
        };
        let size = scalar.size();
        let parts: Vec<Id> = (0..count)
            .map(|n| {
                let at = self.offset(offset, Type::U32, (n * size) as i64);
                match size {
                    8 => {
                        let (p, q) = (self.word_pointer(at, 0), self.word_pointer(at, 1));
                        let low = self.asm.op(Op::Load, Type::U32, &[p]);
                        let high = self.asm.op(Op::Load, Type::U32, &[q]);
                        let id = self.join(low, high);
                        self.cast(Value { id, ty: Type::U64 }, scalar)
                    }
                    4 => {
                        let p = self.word_pointer(at, 0);
                        let id = self.asm.op(Op::Load, Type::U32, &[p]);
                        self.cast(Value { id, ty: Type::U32 }, scalar)
                    }
                    _ => {
                        let p = self.word_pointer(at, 0);
                        let word = self.asm.op(Op::Load, Type::U32, &[p]);
                        let shift = self.bit_in_word(at);
                        let id = self
                            .asm
                            .op(Op::ShiftRightLogical, Type::U32, &[word, shift]);
                        self.asm.op(Op::UConvert, Type::unsigned(size), &[id])
                    }
                }
            })
            .collect();
        if count == 1 {
            parts[0]
        } else {
            self.asm.op(Op::CompositeConstruct, ty, &parts)
        }
    }

    /// The first bit of a byte within its word.
    fn bit_in_word(&mut self, offset: Id) -> Id {
        let three = self.asm.u32(3);
        let byte = self.asm.op(Op::BitwiseAnd, Type::U32, &[offset, three]);
        self.asm.op(Op::ShiftLeftLogical, Type::U32, &[byte, three])
    }

    fn store_array(&mut self, offset: Id, ty: Type, value: Id) {
        let (scalar, count) = match ty {
            Type::Vector(s, n) => (s.ty(), n as u32),
            t => (t, 1),
        };
        let size = scalar.size();
        for n in 0..count {
            let part = if count == 1 {
                value
            } else {
                self.asm.op(Op::CompositeExtract, scalar, &[value, n])
            };
            let at = self.offset(offset, Type::U32, (n * size) as i64);
            let part = Value {
                id: part,
                ty: scalar,
            };
            match size {
                8 => {
                    let whole = self.cast(part, Type::U64);
                    let (low, high) = self.split(whole);
                    let (p, q) = (self.word_pointer(at, 0), self.word_pointer(at, 1));
                    self.asm.void(Op::Store, &[p, low]);
                    self.asm.void(Op::Store, &[q, high]);
                }
                4 => {
                    let word = self.cast(part, Type::U32);
                    let p = self.word_pointer(at, 0);
                    self.asm.void(Op::Store, &[p, word]);
                }
                _ => {
                    let field = self.cast(part, Type::U32);
                    let p = self.word_pointer(at, 0);
                    let word = self.asm.op(Op::Load, Type::U32, &[p]);
                    let shift = self.bit_in_word(at);
                    let bits = self.asm.u32(size * 8);
                    let word =
                        self.asm
                            .op(Op::BitFieldInsert, Type::U32, &[word, field, shift, bits]);
                    self.asm.void(Op::Store, &[p, word]);
                }
            }
        }
    }
}
