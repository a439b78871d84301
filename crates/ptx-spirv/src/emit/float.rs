//! Single- and double-precision arithmetic (PTX ISA, "Floating Point Instructions").
//!
//! Every result that the ISA rounds is decorated NoContraction: a driver's compiler may do more without than the ISA allows. What
//! it does allow, one operation of a product and a sum without rounding modifiers, is done here in double precision. Directed rounding of single precision goes through
//! double precision: the rounded result is compared with the exact one and moved by one unit where it lies on the wrong
//! side.

use super::entry::Push;
use super::subnormal::Subnormals;
use super::*;
use rspirv::spirv::GLOp;

/// A rounding mode other than to nearest even.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directed {
    Zero,
    Down,
    Up,
}

/// The directed rounding mode among an instruction's modifiers.
pub(crate) fn directed(i: &Instruction) -> Option<Directed> {
    i.modifiers.iter().find_map(|m| {
        Some(match m {
            Modifier::Rz => Directed::Zero,
            Modifier::Rm => Directed::Down,
            Modifier::Rp => Directed::Up,
            _ => return None,
        })
    })
}

/// A number made larger for a function, and whether it was.
#[derive(Clone, Copy)]
struct Scaled {
    value: Id,
    small: Id,
}

impl Emitter<'_> {
    /// An arithmetic result that is not to be fused or reassociated.
    pub(crate) fn exact(&mut self, op: Op, ty: Type, operands: &[Id]) -> Id {
        self.asm.exact(op, ty, operands)
    }

    /// A conversion to a narrower type, which rounds. Compilers take the way there and back for nothing otherwise
    /// (Mesa's: a sum of single precision in double precision would then be rounded only where it is stored).
    pub(crate) fn narrow(&mut self, ty: Type, value: Id) -> Id {
        self.exact(Op::FConvert, ty, &[value])
    }

    /// A 0 of an unsigned type that the driver's compiler does not know.
    pub(super) fn hidden_zero(&mut self, ty: Type) -> Id {
        let zero = self.push(Push::Zero);
        match ty {
            Type::U32 => zero,
            _ => self.asm.op(Op::UConvert, ty, &[zero]),
        }
    }

    /// An operand of arithmetic: a constant zero becomes one that the driver's compiler does not know, where it takes `x + 0` and
    /// `x - -0` for `x` otherwise (-0 + 0 is 0), `x * 0` and `0 / x` for 0, and `x / 0` for anything. In a register that is written several times a constant is not seen.
    /// `ty` may be the word of two halves or of bf16.
    pub(crate) fn computable(&mut self, ty: Type, value: Id) -> Id {
        let sign = 1 << (8 * ty.size() - 1);
        let known = |e: &Self, bits| e.asm.known(ty, bits) == Some(value);
        let minus = known(self, sign);
        let integer = ty == Type::F64 && self.asm.doubles_are_integers();
        if self.target.computes_with_zeros || integer || !(minus || known(self, 0)) {
            return value;
        }
        let bits = Type::unsigned(ty.size());
        let mut zero = self.hidden_zero(bits);
        if minus {
            let sign = self.asm.constant(bits, sign);
            zero = self.asm.op(Op::BitwiseOr, bits, &[zero, sign]);
        }
        match ty == bits {
            true => zero,
            false => self.asm.op(Op::Bitcast, ty, &[zero]),
        }
    }

    pub(super) fn float(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let d = self.operand(i, 0)?;
        let ty = if i.has(M::F64) { Type::F64 } else { Type::F32 };
        let bitwise = match i.opcode {
            Opcode::Abs | Opcode::Neg => true,
            Opcode::Min | Opcode::Max => !self.target.min_max_orders_zeros || i.has(M::Xorsign),
            _ => false,
        };
        let rounding = directed(i);
        let mut flush = ty == Type::F32 && self.flushes(i, bitwise);
        // Operations that one Fma does, and flushes by itself.
        let by_fma = flush
            && self.target.fma_flushes
            && rounding.is_none()
            && matches!(
                i.opcode,
                Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Fma | Opcode::Mad
            );
        flush &= !by_fma;
        // rcp.approx.ftz.f64 and rsqrt.approx.ftz.f64 see and give the upper 32 bits alone.
        let gross = ty == Type::F64 && i.has(M::Approx) && i.has(M::Ftz);
        let computes = matches!(
            i.opcode,
            Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Fma | Opcode::Mad | Opcode::Div
        );
        let read = |e: &mut Self, n: usize| -> Result<Id> {
            let id = e.value(e.operand(i, n)?, ty)?;
            let id = match computes {
                true => e.computable(ty, id),
                false => id,
            };
            Ok(match (flush, gross) {
                (true, _) => e.flush(id),
                (_, true) => e.upper_bits(id, true),
                _ => id,
            })
        };
        let id = match i.opcode {
            Opcode::Add | Opcode::Sub | Opcode::Mul => {
                let (a, b) = (read(self, 1)?, read(self, 2)?);
                let op = match i.opcode {
                    Opcode::Add => Op::FAdd,
                    Opcode::Sub => Op::FSub,
                    _ => Op::FMul,
                };
                // Without a rounding modifier a product and a sum may be one operation, and are in NVIDIA's assembler.
                let free = self.contracts(i, ty);
                let fused = match free && op != Op::FMul {
                    true => self.contracted(op == Op::FSub, a, b),
                    false => None,
                };
                let id = match (fused, rounding) {
                    (Some(id), _) => id,
                    (None, None) if by_fma => self.as_fma(op, a, b),
                    (None, None) => self.exact(op, ty, &[a, b]),
                    (None, Some(mode)) if ty == Type::F64 => self.double_directed(op, a, b, mode),
                    (None, Some(mode)) if op != Op::FMul && !self.target.float64 => {
                        self.directed_sum(op, a, b, mode)
                    }
                    (None, Some(mode)) => self.directed_operation(op, a, b, None, mode),
                };
                if free && op == Op::FMul {
                    self.products.insert(id, (self.epoch, a, b));
                }
                id
            }
            Opcode::Fma | Opcode::Mad => {
                let (a, b, c) = (read(self, 1)?, read(self, 2)?, read(self, 3)?);
                match rounding {
                    None => self.fma(ty, a, b, c),
                    Some(mode) if ty == Type::F64 => self.double_fma(a, b, c, Some(mode)),
                    Some(mode) => {
                        let constants = match self.target.float64 {
                            true => None,
                            false => self.directed_fma_of_constants(a, b, c, mode),
                        };
                        match constants {
                            Some(id) => id,
                            None => self.directed_operation(Op::FMul, a, b, Some(c), mode),
                        }
                    }
                }
            }
            Opcode::Div => {
                let (a, mut b) = (read(self, 1)?, read(self, 2)?);
                if i.has(M::Approx) {
                    b = self.bounded_divisor(b);
                }
                match rounding {
                    None => self.exact(Op::FDiv, ty, &[a, b]),
                    Some(mode) if ty == Type::F64 => self.double_quotient(a, b, mode),
                    Some(mode) => self.directed_quotient(a, b, mode),
                }
            }
            Opcode::Rcp => {
                let a = read(self, 1)?;
                let one = self.asm.constant(
                    ty,
                    if ty == Type::F64 {
                        1f64.to_bits()
                    } else {
                        1f32.to_bits() as u64
                    },
                );
                match rounding {
                    None => self.exact(Op::FDiv, ty, &[one, a]),
                    Some(mode) if ty == Type::F64 => self.double_quotient(one, a, mode),
                    Some(mode) => self.directed_quotient(one, a, mode),
                }
            }
            Opcode::Sqrt => {
                let a = read(self, 1)?;
                match rounding {
                    None if ty == Type::F32 => self.square_root(i, a),
                    None => self.asm.glsl(GLOp::Sqrt, ty, &[a]),
                    Some(mode) if ty == Type::F64 => self.double_root(a, mode),
                    Some(mode) => {
                        let wide = self.asm.op(Op::FConvert, Type::F64, &[a]);
                        let root = self.asm.glsl(GLOp::Sqrt, Type::F64, &[wide]);
                        // root * root - a says on which side the rounded root lies.
                        let square = self.exact(Op::FMul, Type::F64, &[root, root]);
                        let error = self.exact(Op::FSub, Type::F64, &[wide, square]);
                        self.round_directed(root, error, mode)
                    }
                }
            }
            Opcode::Rsqrt => {
                let a = read(self, 1)?;
                if ty == Type::F64 {
                    let root = self.asm.glsl(GLOp::Sqrt, ty, &[a]);
                    let one = self.asm.constant(ty, 1f64.to_bits());
                    self.exact(Op::FDiv, ty, &[one, root])
                } else {
                    self.inverse_square_root(i, a)
                }
            }
            Opcode::Sin => {
                let a = read(self, 1)?;
                self.asm.glsl(GLOp::Sin, ty, &[a])
            }
            Opcode::Cos => {
                let a = read(self, 1)?;
                self.asm.glsl(GLOp::Cos, ty, &[a])
            }
            Opcode::Lg2 => {
                let a = read(self, 1)?;
                self.logarithm(i, a)
            }
            Opcode::Ex2 => {
                let a = read(self, 1)?;
                self.exponential(a, i.has(M::Ftz))
            }
            Opcode::Tanh => {
                let a = read(self, 1)?;
                let id = self.asm.glsl(GLOp::Tanh, ty, &[a]);
                self.keep_subnormal(a, id)
            }
            Opcode::Abs => {
                let a = read(self, 1)?;
                self.sign_operation(ty, a, Op::BitwiseAnd)
            }
            Opcode::Neg => {
                let a = read(self, 1)?;
                self.sign_operation(ty, a, Op::BitwiseXor)
            }
            Opcode::Copysign => {
                let (a, b) = (read(self, 1)?, read(self, 2)?);
                let bits = Type::unsigned(ty.size());
                let sign = self.asm.constant(bits, 1 << (ty.size() * 8 - 1));
                let rest = self.asm.constant(bits, (1 << (ty.size() * 8 - 1)) - 1);
                let a = self.cast(Value { id: a, ty }, bits);
                let b = self.cast(Value { id: b, ty }, bits);
                let s = self.asm.op(Op::BitwiseAnd, bits, &[a, sign]);
                let m = self.asm.op(Op::BitwiseAnd, bits, &[b, rest]);
                let id = self.asm.op(Op::BitwiseOr, bits, &[s, m]);
                return self.set(d, bits, id);
            }
            Opcode::Min | Opcode::Max => {
                let (mut a, mut b) = (read(self, 1)?, read(self, 2)?);
                if i.has(M::Xorsign) || i.operands.len() > 3 {
                    let xor = i.has(M::Xorsign);
                    if i.operands.len() > 3 || !i.has(M::AbsMod) {
                        return unsupported(i);
                    }
                    debug_assert!(xor);
                    let bits = Type::unsigned(ty.size());
                    // The signs of operands as they are: flushing may leave none of a NaN.
                    let (ia, ib) = (
                        self.value(self.operand(i, 1)?, bits)?,
                        self.value(self.operand(i, 2)?, bits)?,
                    );
                    let sign = self.asm.constant(bits, 1 << (ty.size() * 8 - 1));
                    let x = self.asm.op(Op::BitwiseXor, bits, &[ia, ib]);
                    let x = self.asm.op(Op::BitwiseAnd, bits, &[x, sign]);
                    a = self.sign_operation(ty, a, Op::BitwiseAnd);
                    b = self.sign_operation(ty, b, Op::BitwiseAnd);
                    let m = self.min_max_float(ty, a, b, i.opcode == Opcode::Min, i.has(M::Nan));
                    let m = self.cast(Value { id: m, ty }, bits);
                    let id = self.asm.op(Op::BitwiseXor, bits, &[m, x]);
                    return self.set(d, bits, id);
                }
                self.min_max_float(ty, a, b, i.opcode == Opcode::Min, i.has(M::Nan))
            }
            Opcode::Testp => {
                let a = read(self, 1)?;
                let id = self.test_property(i, ty, a)?;
                return self.set(d, Type::Bool, id);
            }
            _ => return unsupported(i),
        };
        // What is one of two numbers that are flushed, and what the device flushes by itself.
        let chosen = flush && matches!(i.opcode, Opcode::Min | Opcode::Max);
        let by_shader = ty == Type::F32
            && i.has(M::Ftz)
            && self.subnormals == Subnormals::ByShader
            && computes
            && rounding.is_none();
        if by_fma || chosen || by_shader {
            self.flushed.insert(id);
        }
        let id = match (flush, gross) {
            (true, _) => self.flush(id),
            (_, true) => self.upper_bits(id, false),
            _ => id,
        };
        let id = if i.has(M::Sat) {
            self.saturate(ty, id)
        } else {
            id
        };
        self.set(d, ty, id)
    }

    /// The square root in single precision, correctly rounded for `.rn`.
    fn square_root(&mut self, i: &Instruction, a: Id) -> Id {
        if self.target.exact_sqrt {
            return self.asm.glsl(GLOp::Sqrt, Type::F32, &[a]);
        }
        // The correction of a small root would be too small itself.
        let corrected = !i.has(Modifier::Approx) && self.target.fused_fma;
        let scaled = if corrected || !i.has(Modifier::Ftz) {
            Some(self.scale_up(a))
        } else {
            None
        };
        let a = scaled.map_or(a, |s| s.value);
        let mut root = self.asm.glsl(GLOp::Sqrt, Type::F32, &[a]);
        if corrected {
            root = self.correct_root(a, root);
        }
        match scaled {
            None => root,
            Some(s) => self.scale_down(s, root, 2f32.powi(-32)),
        }
    }

    /// 1 / square root, approximately.
    fn inverse_square_root(&mut self, i: &Instruction, a: Id) -> Id {
        if self.target.exact_sqrt {
            return self.asm.glsl(GLOp::InverseSqrt, Type::F32, &[a]);
        }
        let scaled = if i.has(Modifier::Ftz) {
            None
        } else {
            Some(self.scale_up(a))
        };
        let a = scaled.map_or(a, |s| s.value);
        let root = self.asm.glsl(GLOp::InverseSqrt, Type::F32, &[a]);
        match scaled {
            None => root,
            Some(s) => self.scale_down(s, root, 2f32.powi(32)),
        }
    }

    /// The logarithm to base 2, approximately.
    fn logarithm(&mut self, i: &Instruction, a: Id) -> Id {
        if i.has(Modifier::Ftz) {
            return self.asm.glsl(GLOp::Log2, Type::F32, &[a]);
        }
        let scaled = self.scale_up(a);
        let id = self.asm.glsl(GLOp::Log2, Type::F32, &[scaled.value]);
        let steps = self.asm.constant(Type::F32, u64::from(64f32.to_bits()));
        let less = self.exact(Op::FSub, Type::F32, &[id, steps]);
        self.asm
            .op(Op::Select, Type::F32, &[scaled.small, less, id])
    }

    /// A divisor of `div.approx.f32`, whose quotient is zero (of an infinity NaN) where the divisor is above 2^126: that is infinite
    /// then (section "Floating Point Instructions: div" of the PTX ISA).
    fn bounded_divisor(&mut self, b: Id) -> Id {
        let ty = Type::F32;
        let limit = self.asm.u32(2f32.powi(126).to_bits());
        let magnitude = self.magnitude(b);
        let large = self
            .asm
            .op(Op::UGreaterThan, Type::Bool, &[magnitude, limit]);
        let four = self.asm.constant(ty, u64::from(4f32.to_bits()));
        let infinite = self.exact(Op::FMul, ty, &[b, four]);
        self.asm.op(Op::Select, ty, &[large, infinite, b])
    }

    /// The bits of a single-precision number without its sign: in the order of magnitudes, as integers are.
    fn magnitude(&mut self, id: Id) -> Id {
        let bits = self.cast(Value { id, ty: Type::F32 }, Type::U32);
        let rest = self.asm.u32(0x7fff_ffff);
        self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, rest])
    }

    /// A number times 2^64 if it is below 2^-95: the driver's functions may take the smallest for zero.
    fn scale_up(&mut self, a: Id) -> Scaled {
        let limit = self.asm.u32(0x1000_0000);
        let magnitude = self.magnitude(a);
        let small = self.asm.op(Op::ULessThan, Type::Bool, &[magnitude, limit]);
        let factor = self
            .asm
            .constant(Type::F32, u64::from(2f32.powi(64).to_bits()));
        let large = self.exact(Op::FMul, Type::F32, &[a, factor]);
        let value = self.asm.op(Op::Select, Type::F32, &[small, large, a]);
        Scaled { value, small }
    }

    /// A function of a scaled number, times `factor` where it was scaled.
    fn scale_down(&mut self, scaled: Scaled, id: Id, factor: f32) -> Id {
        let factor = self.asm.constant(Type::F32, u64::from(factor.to_bits()));
        let less = self.exact(Op::FMul, Type::F32, &[id, factor]);
        self.asm
            .op(Op::Select, Type::F32, &[scaled.small, less, id])
    }

    /// Moves a square root that is off by a unit at most to the correctly rounded one: `s` is that where
    /// `s * pred(s) < a <= s * succ(s)`, of which fused arithmetic gives the exact signs (Tuckerman's test).
    fn correct_root(&mut self, a: Id, root: Id) -> Id {
        let [zero, infinity] =
            [0, f32::INFINITY.to_bits()].map(|n| self.asm.constant(Type::F32, u64::from(n)));
        let one = self.asm.u32(1);
        let bits = self.asm.op(Op::Bitcast, Type::U32, &[root]);
        let [below, above] = [Op::ISub, Op::IAdd].map(|op| {
            let n = self.asm.op(op, Type::U32, &[bits, one]);
            self.asm.op(Op::Bitcast, Type::F32, &[n])
        });
        let minus = self.asm.op(Op::FNegate, Type::F32, &[root]);
        let low = self.asm.glsl(GLOp::Fma, Type::F32, &[minus, below, a]);
        let high = self.asm.glsl(GLOp::Fma, Type::F32, &[minus, above, a]);
        let too_high = self.asm.op(Op::FOrdLessThanEqual, Type::Bool, &[low, zero]);
        let too_low = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[high, zero]);
        let id = self.asm.op(Op::Select, Type::F32, &[too_high, below, root]);
        let id = self.asm.op(Op::Select, Type::F32, &[too_low, above, id]);
        let positive = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[root, zero]);
        let finite = self.asm.op(Op::FOrdLessThan, Type::Bool, &[root, infinity]);
        let ordinary = self.asm.op(Op::LogicalAnd, Type::Bool, &[positive, finite]);
        self.asm.op(Op::Select, Type::F32, &[ordinary, id, root])
    }

    /// Clamps to [0, 1]; NaN becomes 0.
    pub(crate) fn saturate(&mut self, ty: Type, id: Id) -> Id {
        let one = match ty {
            Type::F16 => 0x3c00,
            Type::F32 => 1f32.to_bits() as u64,
            _ => 1f64.to_bits(),
        };
        let (zero, one) = (self.asm.constant(ty, 0), self.asm.constant(ty, one));
        let id = self.asm.glsl(GLOp::NMax, ty, &[id, zero]);
        self.asm.glsl(GLOp::NMin, ty, &[id, one])
    }

    /// Clears (And) or flips (Xor) the sign bit.
    pub(crate) fn sign_operation(&mut self, ty: Type, id: Id, op: Op) -> Id {
        if op == Op::BitwiseXor {
            return self.asm.op(Op::FNegate, ty, &[id]);
        }
        let bits = Type::unsigned(ty.size());
        let top = 1u64 << (ty.size() * 8 - 1);
        let mask = self.asm.constant(bits, top - 1);
        let v = self.cast(Value { id, ty }, bits);
        let v = self.asm.op(op, bits, &[v, mask]);
        self.asm.op(Op::Bitcast, ty, &[v])
    }

    /// min and max: a NaN loses (with `nan` it wins), and -0 is below +0.
    pub(crate) fn min_max_float(&mut self, ty: Type, a: Id, b: Id, min: bool, nan: bool) -> Id {
        let id = self
            .asm
            .glsl(if min { GLOp::NMin } else { GLOp::NMax }, ty, &[a, b]);
        let id = if ty == Type::F32 && self.target.min_max_orders_zeros {
            id
        } else {
            self.order_zeros(ty, a, b, min, id)
        };
        if !nan {
            return id;
        }
        let unordered = self.unordered(a, b);
        let quiet = self.quiet_nan(ty);
        self.asm.op(Op::Select, ty, &[unordered, quiet, id])
    }

    /// The minimum or maximum of two numbers where -0 is below +0; `id` is right for all others.
    fn order_zeros(&mut self, ty: Type, a: Id, b: Id, min: bool, id: Id) -> Id {
        let bits = Type::unsigned(ty.size());
        // Equal numbers differ in bits only as zeros: or (and) of the signs.
        let equal = self.asm.op(Op::FOrdEqual, Type::Bool, &[a, b]);
        let (ia, ib) = (
            self.cast(Value { id: a, ty }, bits),
            self.cast(Value { id: b, ty }, bits),
        );
        let op = if min { Op::BitwiseOr } else { Op::BitwiseAnd };
        let z = self.asm.op(op, bits, &[ia, ib]);
        let z = self.asm.op(Op::Bitcast, ty, &[z]);
        self.asm.op(Op::Select, ty, &[equal, z, id])
    }

    /// PTX's canonical NaN.
    pub(crate) fn quiet_nan(&mut self, ty: Type) -> Id {
        let bits = match ty {
            Type::F16 => 0x7fff,
            Type::F32 => 0x7fff_ffff,
            _ => 0x7fff_ffff_ffff_ffff,
        };
        self.asm.constant(ty, bits)
    }

    /// Whether one of the two is NaN.
    pub(crate) fn unordered(&mut self, a: Id, b: Id) -> Id {
        let x = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[a, a]);
        let y = self.asm.op(Op::FUnordNotEqual, Type::Bool, &[b, b]);
        self.asm.op(Op::LogicalOr, Type::Bool, &[x, y])
    }

    /// The upper 32 bits of a double; a subnormal one as zero of its sign where it is flushed.
    fn upper_bits(&mut self, id: Id, flush: bool) -> Id {
        let bits = self.cast(Value { id, ty: Type::F64 }, Type::U64);
        let upper = self.asm.constant(Type::U64, !0xffff_ffff);
        let mut bits = self.asm.op(Op::BitwiseAnd, Type::U64, &[bits, upper]);
        if flush {
            let exponent = self.asm.constant(Type::U64, 0x7ff << 52);
            let (sign, zero) = (
                self.asm.constant(Type::U64, 1 << 63),
                self.asm.constant(Type::U64, 0),
            );
            let e = self.asm.op(Op::BitwiseAnd, Type::U64, &[bits, exponent]);
            let small = self.asm.op(Op::IEqual, Type::Bool, &[e, zero]);
            let s = self.asm.op(Op::BitwiseAnd, Type::U64, &[bits, sign]);
            bits = self.asm.op(Op::Select, Type::U64, &[small, s, bits]);
        }
        self.asm.op(Op::Bitcast, Type::F64, &[bits])
    }

    fn test_property(&mut self, i: &Instruction, ty: Type, a: Id) -> Result<Id> {
        use Modifier as M;
        let bits = Type::unsigned(ty.size());
        let (magnitude, infinity, least) = if ty == Type::F64 {
            (
                u64::MAX >> 1,
                f64::INFINITY.to_bits(),
                f64::MIN_POSITIVE.to_bits(),
            )
        } else {
            (
                0x7fff_ffff,
                f32::INFINITY.to_bits() as u64,
                f32::MIN_POSITIVE.to_bits() as u64,
            )
        };
        let v = self.cast(Value { id: a, ty }, bits);
        let mask = self.asm.constant(bits, magnitude);
        let m = self.asm.op(Op::BitwiseAnd, bits, &[v, mask]);
        let infinity = self.asm.constant(bits, infinity);
        let least = self.asm.constant(bits, least);
        let zero = self.asm.constant(bits, 0);
        let test = |e: &mut Self, op, x| e.asm.op(op, Type::Bool, &[m, x]);
        // The property stands before the type or behind it.
        Ok(match i.modifiers.iter().find(|m| !m.is_type()) {
            Some(M::Finite) => test(self, Op::ULessThan, infinity),
            Some(M::Infinite) => test(self, Op::IEqual, infinity),
            Some(M::Number) => test(self, Op::ULessThanEqual, infinity),
            Some(M::Notanumber) => test(self, Op::UGreaterThan, infinity),
            // Zeros are.
            Some(M::Normal) => {
                let x = test(self, Op::UGreaterThanEqual, least);
                let y = test(self, Op::ULessThan, infinity);
                let x = self.asm.op(Op::LogicalAnd, Type::Bool, &[x, y]);
                let y = test(self, Op::IEqual, zero);
                self.asm.op(Op::LogicalOr, Type::Bool, &[x, y])
            }
            Some(M::Subnormal) => {
                let x = test(self, Op::ULessThan, least);
                let y = test(self, Op::INotEqual, zero);
                self.asm.op(Op::LogicalAnd, Type::Bool, &[x, y])
            }
            _ => return unsupported(i),
        })
    }

    /// Whether an `add`, `sub` or `mul` may be one operation with others (PTX ISA, "Floating Point Instructions: mul": "mul/add sequences with no
    /// rounding modifiers may be optimized to use fused-multiply-add"). In double precision alone: factors live longer than products, which
    /// single precision pays for with registers (ggml's flash attention took 2.8 times as long on an H200).
    fn contracts(&self, i: &Instruction, ty: Type) -> bool {
        use Modifier as M;
        let is_bound = [M::Rn, M::Rz, M::Rm, M::Rp].iter().any(|&m| i.has(m));
        ty == Type::F64 && self.target.float64 && self.target.fused_fma && !is_bound
    }

    /// The sum or difference of two numbers of which one is a product of this block.
    fn contracted(&mut self, minus: bool, a: Id, b: Id) -> Option<Id> {
        let product = |e: &Self, id| {
            let &(epoch, x, y) = e.products.get(&id)?;
            (epoch == e.epoch).then_some((x, y))
        };
        let negated = |e: &mut Self, id| match minus {
            true => e.asm.op(Op::FNegate, Type::F64, &[id]),
            false => id,
        };
        if let Some((x, y)) = product(self, b) {
            let x = negated(self, x);
            return Some(self.fma(Type::F64, x, y, a));
        }
        let (x, y) = product(self, a)?;
        let b = negated(self, b);
        Some(self.fma(Type::F64, x, y, b))
    }

    /// a * b + c with one rounding.
    pub(crate) fn fma(&mut self, ty: Type, a: Id, b: Id, c: Id) -> Id {
        if self.target.fused_fma {
            return self.asm.glsl(GLOp::Fma, ty, &[a, b, c]);
        }
        match ty {
            Type::F64 => self.double_fma(a, b, c, None),
            _ => self.call_helper(Helper::Fma32, Type::F32, &[a, b, c]),
        }
    }

    /// The sum of two numbers and what rounding left out of it (Knuth's two-sum).
    pub(crate) fn two_sum(&mut self, ty: Type, a: Id, b: Id) -> (Id, Id) {
        let s = self.exact(Op::FAdd, ty, &[a, b]);
        let bb = self.exact(Op::FSub, ty, &[s, a]);
        let aa = self.exact(Op::FSub, ty, &[s, bb]);
        let db = self.exact(Op::FSub, ty, &[b, bb]);
        let da = self.exact(Op::FSub, ty, &[a, aa]);
        let error = self.exact(Op::FAdd, ty, &[da, db]);
        (s, error)
    }

    /// The sum rounded to odd: where it is not exact and even, its neighbour towards the error. A further rounding to
    /// fewer bits (two at least) is then right.
    pub(crate) fn round_to_odd(&mut self, ty: Type, sum: Id, error: Id) -> Id {
        let bits = Type::unsigned(ty.size());
        let zero = self.asm.constant(ty, 0);
        let (one, nothing) = (self.asm.constant(bits, 1), self.asm.constant(bits, 0));
        let v = self.asm.op(Op::Bitcast, bits, &[sum]);
        // Infinite and NaN errors come of overflow or special operands: the sum stands. FOrdNotEqual is false for NaN.
        let inexact = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[error, zero]);
        let low = self.asm.op(Op::BitwiseAnd, bits, &[v, one]);
        let even = self.asm.op(Op::IEqual, Type::Bool, &[low, nothing]);
        let fix = self.asm.op(Op::LogicalAnd, Type::Bool, &[inexact, even]);
        let up = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[error, zero]);
        let positive = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[sum, zero]);
        let away = self.asm.op(Op::LogicalEqual, Type::Bool, &[up, positive]);
        let more = self.asm.op(Op::IAdd, bits, &[v, one]);
        let less = self.asm.op(Op::ISub, bits, &[v, one]);
        let moved = self.asm.op(Op::Select, bits, &[away, more, less]);
        let v = self.asm.op(Op::Select, bits, &[fix, moved, v]);
        self.asm.op(Op::Bitcast, ty, &[v])
    }

    pub(super) fn write_fma32(&mut self, id: Id) {
        let p = self
            .asm
            .begin_function(id, Type::F32, &[Type::F32, Type::F32, Type::F32]);
        // The product of two 24-bit significands is exact in 53 bits.
        let [a, b, c] = [p[0], p[1], p[2]].map(|x| self.asm.op(Op::FConvert, Type::F64, &[x]));
        let product = self.exact(Op::FMul, Type::F64, &[a, b]);
        let id = if self.target.exact_fma {
            let (sum, error) = self.two_sum(Type::F64, product, c);
            self.round_to_odd(Type::F64, sum, error)
        } else {
            self.exact(Op::FAdd, Type::F64, &[product, c])
        };
        let id = self.narrow(Type::F32, id);
        self.asm.void(Op::ReturnValue, &[id]);
    }

    /// A sum or difference in single precision with directed rounding, without double precision: what rounding to nearest
    /// left out says on which side of the exact sum the rounded one lies.
    fn directed_sum(&mut self, op: Op, a: Id, b: Id, mode: Directed) -> Id {
        let ty = Type::F32;
        let b = if op == Op::FSub {
            self.asm.op(Op::FNegate, ty, &[b])
        } else {
            b
        };
        let (sum, error) = self.two_sum(ty, a, b);
        self.directed_by_error(sum, error, (a, b), (a, b), mode)
    }

    /// [`Emitter::directed_operation`] of fma without double precision, where a factor and the addend are constants such that
    /// only the other factor can lead out of range: so nvcc's `expf` begins. The error of a fused operation is a number of three
    /// parts, whose sign is that of their sum in this order (Boldo and Muller, "Exact and Approximated Error of the FMA").
    fn directed_fma_of_constants(&mut self, a: Id, b: Id, c: Id, mode: Directed) -> Option<Id> {
        if self.target.fma_flushes {
            // A factor below the normal numbers counts.
            return None;
        }
        let ty = Type::F32;
        let within = |e: &Self, id: Id, least: f32| {
            let bits = e.asm.constant_bits(id)?;
            let size = f32::from_bits(bits as u32).abs();
            (least..=2f32.powi(60)).contains(&size).then_some(())
        };
        within(self, c, 2f32.powi(-20))?;
        let (a, b) = match within(self, b, 2f32.powi(-60)) {
            Some(()) => (a, b),
            None => {
                within(self, a, 2f32.powi(-60))?;
                (b, a)
            }
        };
        let sum = self.fma(ty, a, b, c);
        let p = self.exact(Op::FMul, ty, &[a, b]);
        let minus = self.asm.op(Op::FNegate, ty, &[p]);
        let rest = self.fma(ty, a, b, minus);
        // Of a product that is far below the addend only the sign counts.
        let zero = self.asm.constant(ty, 0);
        let tiny = self.single_constant(2f32.powi(-100));
        let size = self.sign_operation(ty, p, Op::BitwiseAnd);
        let small = self.asm.op(Op::FOrdLessThan, Type::Bool, &[size, tiny]);
        let some = self.asm.op(Op::FOrdNotEqual, Type::Bool, &[a, zero]);
        let small = self.asm.op(Op::LogicalAnd, Type::Bool, &[small, some]);
        let signed = self.with_sign_of(tiny, p);
        let p = self.asm.op(Op::Select, ty, &[small, signed, p]);
        let rest = self.asm.op(Op::Select, ty, &[small, zero, rest]);
        let (high, low) = self.two_sum(ty, c, rest);
        let (whole, part) = self.two_sum(ty, p, high);
        let difference = self.exact(Op::FSub, ty, &[whole, sum]);
        let difference = self.exact(Op::FAdd, ty, &[difference, part]);
        let error = self.exact(Op::FAdd, ty, &[difference, low]);
        Some(self.directed_by_error(sum, error, (p, c), (a, c), mode))
    }

    /// A sum that was rounded to nearest, in another direction: `error` has the sign of what the exact one has more. The sum
    /// of zero of two `addends` has a sign of its own; with finite `operands` an infinite sum is not exact.
    fn directed_by_error(
        &mut self,
        sum: Id,
        error: Id,
        addends: (Id, Id),
        operands: (Id, Id),
        mode: Directed,
    ) -> Id {
        let ty = Type::F32;
        let (zero, none) = (self.asm.constant(ty, 0), self.asm.u32(0));
        let bits = self.cast(Value { id: sum, ty }, Type::U32);
        let magnitude = self.asm.u32(0x7fff_ffff);
        let m = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, magnitude]);
        let infinity = self.asm.u32(0x7f80_0000);
        let infinite = self.asm.op(Op::IEqual, Type::Bool, &[m, infinity]);
        let negative = self.asm.op(Op::SLessThan, Type::Bool, &[bits, none]);
        // An infinite sum of finite numbers lies beyond the exact one.
        let finite = |e: &mut Self, x: Id| {
            let x = e.cast(Value { id: x, ty }, Type::U32);
            let m = e.asm.op(Op::BitwiseAnd, Type::U32, &[x, magnitude]);
            e.asm.op(Op::ULessThan, Type::Bool, &[m, infinity])
        };
        let (fa, fb) = (finite(self, operands.0), finite(self, operands.1));
        let both = self.asm.op(Op::LogicalAnd, Type::Bool, &[fa, fb]);
        let overflow = self.asm.op(Op::LogicalAnd, Type::Bool, &[infinite, both]);
        let positive = self.asm.op(Op::LogicalNot, Type::Bool, &[negative]);
        let more = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[error, zero]);
        let less = self.asm.op(Op::FOrdLessThan, Type::Bool, &[error, zero]);
        // The exact sum is above (below) the rounded one.
        let above = self
            .asm
            .op(Op::Select, Type::Bool, &[overflow, negative, more]);
        let below = self
            .asm
            .op(Op::Select, Type::Bool, &[overflow, positive, less]);
        let one = self.asm.u32(1);
        let outward = self.asm.op(Op::IAdd, Type::U32, &[bits, one]);
        let inward = self.asm.op(Op::ISub, Type::U32, &[bits, one]);
        let up = self
            .asm
            .op(Op::Select, Type::U32, &[negative, inward, outward]);
        let down = self
            .asm
            .op(Op::Select, Type::U32, &[negative, outward, inward]);
        let raised = self.asm.op(Op::Select, Type::U32, &[above, up, bits]);
        let lowered = self.asm.op(Op::Select, Type::U32, &[below, down, bits]);
        let id = match mode {
            Directed::Up => raised,
            Directed::Down => {
                // An exact sum of zero is negative, unless both are positive zeros.
                let is_zero = self.asm.op(Op::IEqual, Type::Bool, &[m, none]);
                let (wa, wb) = (
                    self.cast(Value { id: addends.0, ty }, Type::U32),
                    self.cast(Value { id: addends.1, ty }, Type::U32),
                );
                let either = self.asm.op(Op::BitwiseOr, Type::U32, &[wa, wb]);
                let sign = self.asm.u32(1 << 31);
                let minus = self.asm.op(Op::BitwiseAnd, Type::U32, &[either, sign]);
                self.asm
                    .op(Op::Select, Type::U32, &[is_zero, minus, lowered])
            }
            Directed::Zero => self
                .asm
                .op(Op::Select, Type::U32, &[negative, raised, lowered]),
        };
        self.asm.op(Op::Bitcast, ty, &[id])
    }

    /// a op b (+ c) in single precision with directed rounding.
    fn directed_operation(&mut self, op: Op, a: Id, b: Id, c: Option<Id>, mode: Directed) -> Id {
        let wide = |e: &mut Self, x| e.asm.op(Op::FConvert, Type::F64, &[x]);
        let (a, b) = (wide(self, a), wide(self, b));
        let zero = self.asm.constant(Type::F64, 0);
        let mut addends = Some((a, b));
        let (mut sum, error) = match (op, c) {
            (Op::FMul, None) => {
                addends = None;
                (self.exact(Op::FMul, Type::F64, &[a, b]), zero)
            }
            (Op::FMul, Some(c)) => {
                let p = self.exact(Op::FMul, Type::F64, &[a, b]);
                let c = wide(self, c);
                addends = Some((p, c));
                self.two_sum(Type::F64, p, c)
            }
            (Op::FSub, _) => {
                let b = self.asm.op(Op::FNegate, Type::F64, &[b]);
                addends = Some((a, b));
                self.two_sum(Type::F64, a, b)
            }
            _ => self.two_sum(Type::F64, a, b),
        };
        if let (Directed::Down, Some((x, y))) = (mode, addends) {
            // Downwards, a sum of zero is negative unless both addends are positive zeros.
            let x = self.asm.op(Op::Bitcast, Type::U64, &[x]);
            let y = self.asm.op(Op::Bitcast, Type::U64, &[y]);
            let sign = self.asm.constant(Type::U64, 1 << 63);
            let either = self.asm.op(Op::BitwiseOr, Type::U64, &[x, y]);
            let signed = self.asm.op(Op::BitwiseAnd, Type::U64, &[either, sign]);
            let signed = self.asm.op(Op::Bitcast, Type::F64, &[signed]);
            let none = self.asm.op(Op::FOrdEqual, Type::Bool, &[sum, zero]);
            sum = self.asm.op(Op::Select, Type::F64, &[none, signed, sum]);
        }
        self.round_directed(sum, error, mode)
    }

    fn directed_quotient(&mut self, a: Id, b: Id, mode: Directed) -> Id {
        let a = self.asm.op(Op::FConvert, Type::F64, &[a]);
        let b = self.asm.op(Op::FConvert, Type::F64, &[b]);
        let q = self.exact(Op::FDiv, Type::F64, &[a, b]);
        // A quotient of 24-bit numbers is either exact in 53 bits or far from any single-precision number.
        let zero = self.asm.constant(Type::F64, 0);
        self.round_directed(q, zero, mode)
    }

    /// `exact + error` (the error below a unit of `exact`) to single precision in a directed mode.
    pub(crate) fn round_directed(&mut self, exact: Id, error: Id, mode: Directed) -> Id {
        let r = self.narrow(Type::F32, exact);
        let back = self.exact(Op::FConvert, Type::F64, &[r]);
        let zero = self.asm.constant(Type::F64, 0);
        let above = {
            let more = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[back, exact]);
            let same = self.asm.op(Op::FOrdEqual, Type::Bool, &[back, exact]);
            let down = self.asm.op(Op::FOrdLessThan, Type::Bool, &[error, zero]);
            let tie = self.asm.op(Op::LogicalAnd, Type::Bool, &[same, down]);
            self.asm.op(Op::LogicalOr, Type::Bool, &[more, tie])
        };
        let below = {
            let less = self.asm.op(Op::FOrdLessThan, Type::Bool, &[back, exact]);
            let same = self.asm.op(Op::FOrdEqual, Type::Bool, &[back, exact]);
            let up = self.asm.op(Op::FOrdGreaterThan, Type::Bool, &[error, zero]);
            let tie = self.asm.op(Op::LogicalAnd, Type::Bool, &[same, up]);
            self.asm.op(Op::LogicalOr, Type::Bool, &[less, tie])
        };
        let bits = self.asm.op(Op::Bitcast, Type::U32, &[r]);
        let (one, minus) = (self.asm.u32(1), self.asm.u32(u32::MAX));
        let none = self.asm.u32(0);
        let sign = self.asm.u32(0x8000_0000);
        let s = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, sign]);
        let negative = self.asm.op(Op::INotEqual, Type::Bool, &[s, none]);
        // One unit down or up in value: the bits of a negative number count the other way; zero steps over to the
        // smallest number of the other sign.
        let step_down = self.asm.op(Op::Select, Type::U32, &[negative, one, minus]);
        let step_up = self.asm.op(Op::Select, Type::U32, &[negative, minus, one]);
        let down = self.asm.op(Op::IAdd, Type::U32, &[bits, step_down]);
        let up = self.asm.op(Op::IAdd, Type::U32, &[bits, step_up]);
        let magnitude = self.asm.u32(0x7fff_ffff);
        let m = self.asm.op(Op::BitwiseAnd, Type::U32, &[bits, magnitude]);
        let is_zero = self.asm.op(Op::IEqual, Type::Bool, &[m, none]);
        let least_negative = self.asm.u32(0x8000_0001);
        let down = self
            .asm
            .op(Op::Select, Type::U32, &[is_zero, least_negative, down]);
        let up = self.asm.op(Op::Select, Type::U32, &[is_zero, one, up]);
        let lower = |e: &mut Self| e.asm.op(Op::Select, Type::U32, &[above, down, bits]);
        let higher = |e: &mut Self| e.asm.op(Op::Select, Type::U32, &[below, up, bits]);
        let id = match mode {
            Directed::Down => lower(self),
            Directed::Up => higher(self),
            Directed::Zero => {
                // Toward zero by the sign of the exact value; an exact zero moves neither way.
                let (l, h) = (lower(self), higher(self));
                let negative = self.asm.op(Op::FOrdLessThan, Type::Bool, &[exact, zero]);
                self.asm.op(Op::Select, Type::U32, &[negative, h, l])
            }
        };
        self.asm.op(Op::Bitcast, Type::F32, &[id])
    }
}
