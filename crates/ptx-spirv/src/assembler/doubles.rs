//! Double precision on devices without shaderFloat64: a double is an integer of 64 bits there, and each operation on doubles
//! becomes a call of a function that the emitter writes (`emit/soft_double.rs`), or a few operations on the bits.
//!
//! Whoever writes instructions does not need to know: `asm.op(Op::FAdd, Type::F64, &[a, b])` is an addition on every device.
//! Which operands of comparisons and conversions are doubles their ids tell.
//!
//! ```
//! use ptx_spirv::assembler::{Assembler, Type};
//! let mut asm = Assembler::new();
//! asm.make_doubles_integers();
//! assert_eq!(asm.ty(Type::F64), asm.ty(Type::U64));
//! ```

use super::{Assembler, Id, Scalar, Type};
use rspirv::spirv::{GLOp, Op};
use rustc_hash::FxHashSet;

/// The sign bit of a double.
pub(crate) const SIGN: u64 = 1 << 63;
/// The bits of infinity.
pub(crate) const INFINITY: u64 = 0x7ff << 52;

/// A function on doubles: which of them a module needs is found out while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoubleFunction {
    /// a + b, to nearest even.
    Add,
    /// a * b, to nearest even.
    Multiply,
    /// a * b + c with one rounding; the mode's number.
    Fma,
    /// a / b; the mode's number.
    Divide,
    /// The square root; the mode's number.
    Root,
    /// 0 where a < b, 1 where they are equal, 2 where a > b, 3 where one is NaN.
    Order,
    /// The smaller or larger one; a NaN loses.
    Extreme {
        /// Whether it is the larger.
        larger: bool,
    },
    /// Rounded to an integer.
    Integral(Integral),
    /// From single precision.
    FromSingle,
    /// In single precision, to nearest even.
    ToSingle,
    /// From an integer of 64 bits, to nearest even.
    FromInteger {
        /// Whether it has a sign.
        signed: bool,
    },
    /// The integer of 64 bits without the fraction of a number that it holds, whether with a sign or without.
    ToInteger,
}

/// Which integer a number is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integral {
    NearestEven,
    TowardsZero,
    Down,
    Up,
}

/// What the assembler knows of doubles.
#[derive(Default)]
pub(super) struct Doubles {
    /// Whether they are integers.
    integers: bool,
    /// Ids of doubles, where they are.
    ids: FxHashSet<Id>,
    /// Functions that are called, in the order of their first calls.
    functions: Vec<(DoubleFunction, Id)>,
    /// How many of them are written.
    written: usize,
}

impl Assembler {
    /// From here on doubles are integers.
    pub fn make_doubles_integers(&mut self) {
        self.doubles.integers = true;
    }

    /// Whether doubles are integers.
    pub(crate) fn doubles_are_integers(&self) -> bool {
        self.doubles.integers
    }

    /// The type that stands for a type.
    pub(crate) fn held(&self, ty: Type) -> Type {
        match ty {
            _ if !self.doubles.integers => ty,
            Type::F64 => Type::U64,
            Type::Vector(Scalar::F64, n) => Type::Vector(Scalar::U64, n),
            _ => ty,
        }
    }

    /// Remembers an id of a type, if that is a double that is an integer.
    pub(super) fn note_type(&mut self, ty: Type, id: Id) {
        if ty == Type::F64 && self.doubles.integers {
            self.doubles.ids.insert(id);
        }
    }

    /// The next function that is called and not written, which is taken for written then.
    pub(crate) fn next_double_function(&mut self) -> Option<(DoubleFunction, Id)> {
        let next = self.doubles.functions.get(self.doubles.written).copied();
        self.doubles.written += usize::from(next.is_some());
        next
    }

    /// Calls a function on doubles.
    pub(crate) fn call_double(
        &mut self,
        function: DoubleFunction,
        result: Type,
        arguments: &[Id],
    ) -> Id {
        let known = self.doubles.functions.iter().find(|f| f.0 == function);
        let id = match known {
            Some(&(_, id)) => id,
            None => {
                let id = self.id();
                self.doubles.functions.push((function, id));
                id
            }
        };
        let mut words = vec![id];
        words.extend_from_slice(arguments);
        self.op(Op::FunctionCall, result, &words)
    }

    /// An operation on doubles that are integers; None if it is none, or the same for both.
    pub(super) fn by_integers(&mut self, op: Op, ty: Type, operands: &[Id]) -> Option<Id> {
        use DoubleFunction as F;
        if !self.doubles.integers {
            return None;
        }
        let is_double = |asm: &Self, n: usize| {
            let id = operands.get(n);
            id.is_some_and(|id| asm.doubles.ids.contains(id))
        };
        let double = is_double(self, 0);
        Some(match (op, ty) {
            // The bits are the number.
            (Op::Bitcast, Type::F64 | Type::Vector(Scalar::F64, _)) => {
                self.note_type(ty, operands[0]);
                operands[0]
            }
            (Op::Bitcast, Type::U64) if double => operands[0],
            (Op::FAdd, Type::F64) => self.call_double(F::Add, ty, operands),
            (Op::FSub, Type::F64) => {
                let b = self.flip_sign(operands[1]);
                self.call_double(F::Add, ty, &[operands[0], b])
            }
            (Op::FMul, Type::F64) => self.call_double(F::Multiply, ty, operands),
            (Op::FDiv, Type::F64) => {
                let nearest = self.u32(0);
                self.call_double(F::Divide, ty, &[operands[0], operands[1], nearest])
            }
            (Op::FNegate, Type::F64) => self.flip_sign(operands[0]),
            (Op::FConvert, Type::F64) => self.call_double(F::FromSingle, ty, operands),
            (Op::FConvert, Type::F32) if double => self.call_double(F::ToSingle, ty, operands),
            (Op::ConvertSToF | Op::ConvertUToF, Type::F64) => {
                let signed = op == Op::ConvertSToF;
                self.call_double(F::FromInteger { signed }, ty, operands)
            }
            (Op::ConvertFToS | Op::ConvertFToU, _) if double => {
                let id = self.call_double(F::ToInteger, Type::U64, operands);
                match ty {
                    Type::U64 => id,
                    _ => self.op(Op::UConvert, ty, &[id]),
                }
            }
            (_, Type::Bool) if double || is_double(self, 1) => {
                self.double_comparison(op, operands)?
            }
            (Op::ExtInst, Type::F64) if operands[0] == self.glsl => {
                self.double_glsl(operands[1], &operands[2..])
            }
            _ => return None,
        })
    }

    /// A number with the other sign.
    fn flip_sign(&mut self, a: Id) -> Id {
        let sign = self.constant(Type::U64, SIGN);
        self.op(Op::BitwiseXor, Type::F64, &[a, sign])
    }

    /// Whether the bits of a double are those of a NaN.
    pub(crate) fn is_nan(&mut self, bits: Id) -> Id {
        let (rest, infinity) = (
            self.constant(Type::U64, !SIGN),
            self.constant(Type::U64, INFINITY),
        );
        let m = self.op(Op::BitwiseAnd, Type::U64, &[bits, rest]);
        self.op(Op::UGreaterThan, Type::Bool, &[m, infinity])
    }

    fn double_comparison(&mut self, op: Op, operands: &[Id]) -> Option<Id> {
        let b = Type::Bool;
        if op == Op::FUnordNotEqual && operands[0] == operands[1] {
            return Some(self.is_nan(operands[0]));
        }
        // Of the order's numbers, those that the comparison is true for.
        let wanted: &[u32] = match op {
            Op::FOrdEqual => &[1],
            Op::FOrdNotEqual => &[0, 2],
            Op::FOrdLessThan => &[0],
            Op::FOrdLessThanEqual => &[0, 1],
            Op::FOrdGreaterThan => &[2],
            Op::FOrdGreaterThanEqual => &[1, 2],
            Op::FUnordEqual => &[1, 3],
            Op::FUnordNotEqual => &[0, 2, 3],
            Op::FUnordLessThan => &[0, 3],
            Op::FUnordLessThanEqual => &[0, 1, 3],
            Op::FUnordGreaterThan => &[2, 3],
            Op::FUnordGreaterThanEqual => &[1, 2, 3],
            _ => return None,
        };
        let order = self.call_double(DoubleFunction::Order, Type::U32, operands);
        if let [one] = *wanted {
            let one = self.u32(one);
            return Some(self.op(Op::IEqual, b, &[order, one]));
        }
        let mask = self.u32(wanted.iter().map(|n| 1 << n).sum());
        let (one, zero) = (self.u32(1), self.u32(0));
        let bit = self.op(Op::ShiftRightLogical, Type::U32, &[mask, order]);
        let bit = self.op(Op::BitwiseAnd, Type::U32, &[bit, one]);
        Some(self.op(Op::INotEqual, b, &[bit, zero]))
    }

    fn double_glsl(&mut self, op: u32, operands: &[Id]) -> Id {
        use DoubleFunction as F;
        let is = |other: GLOp| op == other as u32;
        let integrals = [
            (GLOp::RoundEven, Integral::NearestEven),
            (GLOp::Trunc, Integral::TowardsZero),
            (GLOp::Floor, Integral::Down),
            (GLOp::Ceil, Integral::Up),
        ];
        let function = match integrals.into_iter().find(|i| is(i.0)) {
            Some((_, integral)) => F::Integral(integral),
            None if is(GLOp::NMin) || is(GLOp::NMax) => F::Extreme {
                larger: is(GLOp::NMax),
            },
            None => {
                assert!(is(GLOp::Fma) || is(GLOp::Sqrt), "GLSL {op} of doubles");
                let nearest = self.u32(0);
                let function = if is(GLOp::Fma) { F::Fma } else { F::Root };
                return self.call_double(function, Type::F64, &[operands, &[nearest]].concat());
            }
        };
        self.call_double(function, Type::F64, operands)
    }
}
