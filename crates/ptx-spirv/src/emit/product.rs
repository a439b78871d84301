//! What mma.sync and wmma.mma share: the element types of products, and the sums of products of two words.

use super::*;
use rspirv::spirv::GLOp;

/// The element types of a product.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Element {
    Half,
    Brain,
    Tf32,
    /// e4m3 (else e5m2) of A and of B.
    Quarter {
        a_e4m3: bool,
        b_e4m3: bool,
    },
    Byte {
        a_signed: bool,
        b_signed: bool,
    },
    Nibble {
        a_signed: bool,
        b_signed: bool,
    },
    /// Single bits: how many are set in both, or differ.
    Bit {
        differ: bool,
    },
    Double,
}

impl Element {
    /// The element of an instruction with these types of A and B.
    pub(super) fn of(i: &Instruction, a: ScalarType, b: ScalarType) -> Option<Element> {
        use Modifier as M;
        Some(match (a, b) {
            (M::F16, M::F16) => Element::Half,
            (M::Bf16, M::Bf16) => Element::Brain,
            (M::Tf32, M::Tf32) => Element::Tf32,
            (M::F64, M::F64) => Element::Double,
            (M::E4m3 | M::E5m2, M::E4m3 | M::E5m2) => Element::Quarter {
                a_e4m3: a == M::E4m3,
                b_e4m3: b == M::E4m3,
            },
            (M::S8 | M::U8, M::S8 | M::U8) => Element::Byte {
                a_signed: a.is_signed(),
                b_signed: b.is_signed(),
            },
            (M::S4 | M::U4, M::S4 | M::U4) => Element::Nibble {
                a_signed: a.is_signed(),
                b_signed: b.is_signed(),
            },
            (M::B1, M::B1) if i.has(M::Xor) || i.has(M::And) => Element::Bit {
                differ: i.has(M::Xor),
            },
            _ => return None,
        })
    }

    /// The same with A and B exchanged.
    pub(super) fn exchanged(self) -> Element {
        match self {
            Element::Quarter { a_e4m3, b_e4m3 } => Element::Quarter {
                a_e4m3: b_e4m3,
                b_e4m3: a_e4m3,
            },
            Element::Byte { a_signed, b_signed } => Element::Byte {
                a_signed: b_signed,
                b_signed: a_signed,
            },
            Element::Nibble { a_signed, b_signed } => Element::Nibble {
                a_signed: b_signed,
                b_signed: a_signed,
            },
            other => other,
        }
    }

    /// Whether sums are 32-bit integers.
    pub(super) fn is_integer(self) -> bool {
        matches!(
            self,
            Element::Byte { .. } | Element::Nibble { .. } | Element::Bit { .. }
        )
    }

    /// The type in which sums are made.
    pub(super) fn sum_type(self) -> Type {
        match self {
            Element::Double => Type::F64,
            e if e.is_integer() => Type::U32,
            _ => Type::F32,
        }
    }

    /// Elements of k in a register.
    pub(super) fn per_register(self) -> u32 {
        match self {
            Element::Half | Element::Brain => 2,
            Element::Tf32 | Element::Double => 1,
            Element::Quarter { .. } | Element::Byte { .. } => 4,
            Element::Nibble { .. } => 8,
            Element::Bit { .. } => 32,
        }
    }

    /// The type of a register of A or B.
    pub(super) fn register_type(self) -> Type {
        if self == Element::Double {
            Type::F64
        } else {
            Type::U32
        }
    }

    /// 32-bit words of a register.
    pub(super) fn words(self) -> usize {
        1 + usize::from(self == Element::Double)
    }
}

impl Emitter<'_> {
    /// The words of registers that hold elements.
    pub(super) fn words_of(&mut self, registers: &[Id], element: Element) -> Vec<Id> {
        if element != Element::Double {
            return registers.to_vec();
        }
        let mut words = Vec::new();
        for &id in registers {
            let whole = self.cast(Value { id, ty: Type::F64 }, Type::U64);
            let (low, high) = self.split(whole);
            words.extend([low, high]);
        }
        words
    }

    /// The register that two words make.
    pub(super) fn join_double(&mut self, low: Id, high: Id) -> Id {
        let id = self.join(low, high);
        self.cast(Value { id, ty: Type::U64 }, Type::F64)
    }

    /// The sum of the products of two words of integer elements.
    pub(super) fn dot_word(&mut self, element: Element, a: Id, b: Id) -> Id {
        match element {
            Element::Byte { a_signed, b_signed } => self.dot4(a, b, a_signed, b_signed),
            Element::Bit { differ } => {
                let op = if differ {
                    Op::BitwiseXor
                } else {
                    Op::BitwiseAnd
                };
                let bits = self.asm.op(op, Type::U32, &[a, b]);
                self.asm.op(Op::BitCount, Type::U32, &[bits])
            }
            Element::Nibble { a_signed, b_signed } => {
                let mut sum = self.asm.u32(0);
                for odd in [false, true] {
                    let a = self.nibbles(a, odd, a_signed);
                    let b = self.nibbles(b, odd, b_signed);
                    let dot = self.dot4(a, b, a_signed, b_signed);
                    sum = self.asm.op(Op::IAdd, Type::U32, &[sum, dot]);
                }
                sum
            }
            _ => unreachable!("only integer elements have dot products of words"),
        }
    }

    /// Every second nibble of a word as four bytes.
    fn nibbles(&mut self, word: Id, odd: bool, signed: bool) -> Id {
        let (four, low) = (self.asm.u32(4), self.asm.u32(0x0f0f_0f0f));
        let word = if odd {
            self.asm.op(Op::ShiftRightLogical, Type::U32, &[word, four])
        } else {
            word
        };
        let bytes = self.asm.op(Op::BitwiseAnd, Type::U32, &[word, low]);
        if !signed {
            return bytes;
        }
        // The sign bit, 8, taken away twice: ((n ^ 8) - 8) in each byte, with 0xf0 where it was set.
        let (eight, fifteen) = (self.asm.u32(0x0808_0808), self.asm.u32(30));
        let signs = self.asm.op(Op::BitwiseAnd, Type::U32, &[bytes, eight]);
        let upper = self.asm.op(Op::IMul, Type::U32, &[signs, fifteen]);
        self.asm.op(Op::BitwiseOr, Type::U32, &[bytes, upper])
    }

    /// The bytes of a word as integers.
    pub(super) fn bytes_of(&mut self, word: Id, signed: bool) -> Vec<Id> {
        let (top, low) = (self.asm.u32(24), self.asm.u32(0xff));
        (0..4u32)
            .map(|n| {
                let mut id = word;
                if signed {
                    if n < 3 {
                        let up = self.asm.u32(24 - 8 * n);
                        id = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[id, up]);
                    }
                    return self.asm.op(Op::ShiftRightArithmetic, Type::U32, &[id, top]);
                }
                if n > 0 {
                    let down = self.asm.u32(8 * n);
                    id = self.asm.op(Op::ShiftRightLogical, Type::U32, &[id, down]);
                }
                if n < 3 {
                    id = self.asm.op(Op::BitwiseAnd, Type::U32, &[id, low]);
                }
                id
            })
            .collect()
    }

    /// The elements of a word of A (else of B) as single-precision numbers.
    pub(super) fn quarters(&mut self, word: Id, e4m3: bool) -> Vec<Id> {
        (0..4u32)
            .map(|n| {
                let (shift, mask) = (self.asm.u32(8 * n), self.asm.u32(0xff));
                let byte = self
                    .asm
                    .op(Op::ShiftRightLogical, Type::U32, &[word, shift]);
                let byte = self.asm.op(Op::BitwiseAnd, Type::U32, &[byte, mask]);
                let half = self.decode8(byte, e4m3);
                let half = self.asm.op(Op::Bitcast, Type::F16, &[half]);
                self.asm.op(Op::FConvert, Type::F32, &[half])
            })
            .collect()
    }

    /// The sum of two signed integers, clamped.
    pub(super) fn add_saturated(&mut self, a: Id, b: Id) -> Id {
        let sum = self.asm.op(Op::IAdd, Type::U32, &[a, b]);
        let x = self.asm.op(Op::BitwiseXor, Type::U32, &[a, sum]);
        let y = self.asm.op(Op::BitwiseXor, Type::U32, &[b, sum]);
        let both = self.asm.op(Op::BitwiseAnd, Type::U32, &[x, y]);
        let zero = self.asm.u32(0);
        let overflow = self.asm.op(Op::SLessThan, Type::Bool, &[both, zero]);
        let (bits, most) = (self.asm.u32(31), self.asm.u32(i32::MAX as u32));
        let sign = self.asm.op(Op::ShiftRightArithmetic, Type::U32, &[a, bits]);
        let limit = self.asm.op(Op::BitwiseXor, Type::U32, &[sign, most]);
        self.asm.op(Op::Select, Type::U32, &[overflow, limit, sum])
    }

    /// Two single-precision numbers, rounded to f16 and packed.
    pub(super) fn pack_singles(&mut self, low: Id, high: Id) -> Id {
        let v = self.asm.op(
            Op::CompositeConstruct,
            Type::Vector(Scalar::F32, 2),
            &[low, high],
        );
        let v = self.narrow(Type::Vector(Scalar::F16, 2), v);
        self.asm.op(Op::Bitcast, Type::U32, &[v])
    }

    /// `sum + a * b` for doubles, in one rounding where the device has it.
    pub(super) fn add_double_product(&mut self, sum: Id, a: Id, b: Id) -> Id {
        if self.target.fused_fma {
            return self.asm.glsl(GLOp::Fma, Type::F64, &[a, b, sum]);
        }
        let p = self.exact(Op::FMul, Type::F64, &[a, b]);
        self.exact(Op::FAdd, Type::F64, &[sum, p])
    }
}
