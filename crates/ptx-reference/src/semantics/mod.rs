//! What each instruction computes, as pure functions of bits.
//!
//! [`Form`] is an instruction's opcode and modifiers, sorted out; [`evaluate`] applies it to operands. Operands and
//! results are bit patterns in the low bits of a `u64`; a predicate is 0 or 1. Memory, control flow and instructions
//! between the threads of a warp are the [interpreter](crate::interpreter)'s.
//!
//! ```
//! use ptx::{Modifier as M, Opcode};
//! use ptx_reference::semantics::{evaluate, Form};
//! let form = Form::new(Opcode::Mul, &[M::Wide, M::S32]);
//! assert_eq!(evaluate(&form, &[-3i32 as u32 as u64, 5], false).unwrap().value, -15i64 as u64);
//! ```

pub mod approximate;
pub mod bits;
pub mod compare;
pub mod convert;
pub mod float;
pub mod integer;
pub mod packed;
pub mod softfloat;

use ptx::{Modifier, Opcode, ScalarType};
use softfloat::{Format, Rounding};

/// An instruction that these semantics do not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no semantics for {0}")]
pub struct Unsupported(
    /// Opcode and modifiers as written.
    pub String,
);

/// Opcode and modifiers of an instruction, sorted out once so that evaluation only looks at fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// The first word.
    pub opcode: Opcode,
    /// All modifiers as written.
    pub modifiers: Vec<Modifier>,
    /// The first type: the instruction's, or the destination's where there are two.
    pub ty: Option<ScalarType>,
    /// The second type (`cvt`, `set`, `slct`, `dp4a`), else the first.
    pub source_type: Option<ScalarType>,
    /// `.rn`, `.rz`, `.rm`, `.rp`, `.rna`
    pub rounding: Option<Rounding>,
    /// `.rni`, `.rzi`, `.rmi`, `.rpi`
    pub integer_rounding: Option<Rounding>,
    /// `.ftz`
    pub ftz: bool,
    /// `.sat`
    pub sat: bool,
    /// `.satfinite`
    pub satfinite: bool,
    /// `.relu`
    pub relu: bool,
    /// `.NaN`
    pub nan: bool,
    /// `.approx`
    pub approx: bool,
    /// `.full`
    pub full: bool,
    /// `.hi`
    pub hi: bool,
    /// `.wide`
    pub wide: bool,
    /// `.cc`
    pub carry_out: bool,
    /// `.wrap` (else `.clamp`)
    pub wrap: bool,
    /// `.l` of `shf` (else `.r`)
    pub left: bool,
    /// `.eq`, `.lt` ... of `set` and `setp`.
    pub comparison: Option<Modifier>,
    /// `.and`, `.or`, `.xor` of `set` and `setp`.
    pub boolean: Option<Modifier>,
    /// Of video instructions: what is said of the destination and of the sources.
    pub parts: [ptx::Part; 4],
}

impl Form {
    /// Sorts out an opcode and its modifiers.
    pub fn new(opcode: Opcode, modifiers: &[Modifier]) -> Form {
        use Modifier as M;
        let has = |m| modifiers.contains(&m);
        let mut types = modifiers.iter().copied().filter(|m| m.is_type());
        let ty = types.next();
        let compares = matches!(opcode, Opcode::Set | Opcode::Setp);
        Form {
            opcode,
            modifiers: modifiers.to_vec(),
            ty,
            source_type: types.next().or(ty),
            rounding: modifiers.iter().find_map(|m| {
                Some(match m {
                    M::Rn => Rounding::NearestEven,
                    M::Rz => Rounding::Zero,
                    M::Rm => Rounding::Down,
                    M::Rp => Rounding::Up,
                    M::Rna => Rounding::NearestAway,
                    _ => return None,
                })
            }),
            integer_rounding: modifiers.iter().find_map(|m| {
                Some(match m {
                    M::Rni => Rounding::NearestEven,
                    M::Rzi => Rounding::Zero,
                    M::Rmi => Rounding::Down,
                    M::Rpi => Rounding::Up,
                    _ => return None,
                })
            }),
            ftz: has(M::Ftz),
            sat: has(M::Sat),
            satfinite: has(M::Satfinite),
            relu: has(M::Relu),
            nan: has(M::Nan),
            approx: has(M::Approx),
            full: has(M::Full),
            hi: has(M::Hi),
            wide: has(M::Wide),
            carry_out: has(M::Cc),
            wrap: has(M::Wrap),
            left: has(M::L),
            comparison: modifiers
                .iter()
                .copied()
                .find(|m| compares && is_comparison(*m)),
            boolean: modifiers
                .iter()
                .copied()
                .find(|m| compares && matches!(m, M::And | M::Or | M::Xor)),
            parts: Default::default(),
        }
    }

    /// Opcode and modifiers as written.
    pub fn mnemonic(&self) -> String {
        let mut text = self.opcode.text().to_owned();
        for m in &self.modifiers {
            text.push('.');
            text.push_str(m.text());
        }
        text
    }

    /// Whether the modifier is present.
    pub fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// The error for this form.
    pub fn unsupported(&self) -> Unsupported {
        Unsupported(self.mnemonic())
    }

    /// The instruction's type, or the error for a form without one.
    pub fn scalar(&self) -> Result<ScalarType, Unsupported> {
        self.ty.ok_or_else(|| self.unsupported())
    }

    /// The rounding mode, `.rn` where none is written.
    pub fn rounding_or_nearest(&self) -> Rounding {
        self.rounding.unwrap_or(Rounding::NearestEven)
    }

    /// The type of the source operand with this index (0 is the first after the destination), which says how an
    /// immediate is to be read and how much of a wider register is used; `None` for "as it is".
    pub fn operand_type(&self, index: usize) -> Option<ScalarType> {
        use Modifier as M;
        use Opcode as O;
        let ty = self.ty;
        match (self.opcode, index) {
            (O::Shl | O::Shr, 1) | (O::Bfe, 1 | 2) | (O::Bfi, 2 | 3) => Some(M::U32),
            (O::Mad, 2) if self.wide => ty.map(doubled),
            (O::Set | O::Setp | O::Selp, 2) => Some(M::Pred),
            (O::Slct, 2) => self.source_type,
            (O::Cvt | O::Set, _) if self.opcode == O::Set || index == 0 => self.source_type,
            (O::Cvt, 1 | 2) if self.source_type != Some(M::F32) => Some(M::B32),
            (O::Cvt, _) => self.source_type,
            (O::Dp4a | O::Dp2a, _) | (O::Fns, _) => Some(M::B32),
            _ => ty,
        }
    }
}

fn is_comparison(m: Modifier) -> bool {
    use Modifier as M;
    matches!(
        m,
        M::Eq
            | M::Ne
            | M::Lt
            | M::Le
            | M::Gt
            | M::Ge
            | M::Lo
            | M::Ls
            | M::Hi
            | M::Hs
            | M::Equ
            | M::Neu
            | M::Ltu
            | M::Leu
            | M::Gtu
            | M::Geu
            | M::Num
            | M::NanCmp
    )
}

fn doubled(ty: ScalarType) -> ScalarType {
    use Modifier as M;
    match ty {
        M::U16 => M::U32,
        M::S16 => M::S32,
        M::U32 => M::U64,
        M::S32 => M::S64,
        other => other,
    }
}

/// What an instruction computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The destination.
    pub value: u64,
    /// The second destination (`q` of `setp p|q`).
    pub second: Option<u64>,
    /// The new condition code `CC.CF`, if written.
    pub carry: Option<bool>,
}

impl From<u64> for Output {
    fn from(value: u64) -> Output {
        Output {
            value,
            second: None,
            carry: None,
        }
    }
}

/// Bits of a type; 1 for `.pred`.
pub fn width(ty: ScalarType) -> u32 {
    match ty {
        Modifier::Pred => 1,
        Modifier::U4 | Modifier::S4 => 4,
        _ => ty.size().map_or(64, |bytes| bytes * 8),
    }
}

/// The low `bits` bits.
pub fn truncate(value: u64, bits: u32) -> u64 {
    if bits >= 64 {
        value
    } else {
        value & ((1 << bits) - 1)
    }
}

/// The low `bits` bits as a signed number.
pub fn sign_extend(value: u64, bits: u32) -> i64 {
    if bits >= 64 {
        value as i64
    } else {
        (value << (64 - bits)) as i64 >> (64 - bits)
    }
}

/// The format of a scalar floating-point type.
pub fn format_of(ty: ScalarType) -> Option<Format> {
    use Modifier as M;
    Some(match ty {
        M::F64 => softfloat::F64,
        M::F32 => softfloat::F32,
        M::F16 => softfloat::F16,
        M::Bf16 => softfloat::BF16,
        M::Tf32 => softfloat::TF32,
        M::E4m3 => softfloat::E4M3,
        M::E5m2 => softfloat::E5M2,
        M::E3m2 => softfloat::E3M2,
        M::E2m3 => softfloat::E2M3,
        M::E2m1 => softfloat::E2M1,
        _ => return None,
    })
}

/// The element type and count of a packed floating-point or integer type.
pub fn packed(ty: ScalarType) -> Option<(ScalarType, u32)> {
    use Modifier as M;
    Some(match ty {
        M::F16x2 => (M::F16, 2),
        M::Bf16x2 => (M::Bf16, 2),
        M::F32x2 => (M::F32, 2),
        M::U16x2 => (M::U16, 2),
        M::S16x2 => (M::S16, 2),
        _ => return None,
    })
}

/// Computes an instruction without memory or neighbours.
///
/// `operands` are the sources in order; `carry` is `CC.CF` before the instruction.
///
/// # Errors
/// [`Unsupported`] if the instruction is not one of these or the combination of modifiers is unknown.
pub fn evaluate(form: &Form, operands: &[u64], carry: bool) -> Result<Output, Unsupported> {
    use Opcode as O;
    if operands.len() < arity(form) {
        return Err(form.unsupported());
    }
    // Packed types are the scalar operation on every element.
    if let Some((element, count)) = form.ty.and_then(packed) {
        if form.opcode != O::Cvt {
            return packed::lanes(form, element, count, operands);
        }
    }
    let is_float = form.ty.is_some_and(|ty| ty.is_float());
    match form.opcode {
        O::Add
        | O::Sub
        | O::Mul
        | O::Mad
        | O::Fma
        | O::Abs
        | O::Neg
        | O::Min
        | O::Max
        | O::Div
        | O::Copysign
            if is_float =>
        {
            float::evaluate(form, operands).map(Output::from)
        }
        O::Rcp | O::Sqrt | O::Rsqrt | O::Sin | O::Cos | O::Lg2 | O::Ex2 | O::Tanh => {
            float::evaluate(form, operands).map(Output::from)
        }
        O::Add | O::Sub | O::Addc | O::Subc | O::Mad | O::Madc | O::Mul => {
            integer::arithmetic(form, operands, carry)
        }
        O::Mul24 | O::Mad24 | O::Sad | O::Div | O::Rem | O::Abs | O::Neg | O::Min | O::Max => {
            integer::evaluate(form, operands).map(Output::from)
        }
        O::Dp4a | O::Dp2a => packed::dot(form, operands).map(Output::from),
        O::And
        | O::Or
        | O::Xor
        | O::Not
        | O::Cnot
        | O::Lop3
        | O::Shf
        | O::Shl
        | O::Shr
        | O::Prmt
        | O::Popc
        | O::Clz
        | O::Bfind
        | O::Fns
        | O::Brev
        | O::Bfe
        | O::Bfi
        | O::Szext
        | O::Bmsk => bits::evaluate(form, operands),
        O::Set | O::Setp | O::Testp => compare::evaluate(form, operands),
        O::Selp => Ok(if operands[2] != 0 {
            operands[0]
        } else {
            operands[1]
        }
        .into()),
        O::Slct => compare::select(form, operands).map(Output::from),
        O::Cvt => convert::evaluate(form, operands).map(Output::from),
        O::Vadd
        | O::Vsub
        | O::Vabsdiff
        | O::Vmin
        | O::Vmax
        | O::Vshl
        | O::Vshr
        | O::Vset
        | O::Vmad
        | O::Vadd2
        | O::Vsub2
        | O::Vavrg2
        | O::Vabsdiff2
        | O::Vmin2
        | O::Vmax2
        | O::Vset2
        | O::Vadd4
        | O::Vsub4
        | O::Vavrg4
        | O::Vabsdiff4
        | O::Vmin4
        | O::Vmax4
        | O::Vset4 => packed::video(form, operands).map(Output::from),
        _ => Err(form.unsupported()),
    }
}

/// How many sources the instruction needs at least.
fn arity(form: &Form) -> usize {
    use Opcode as O;
    match form.opcode {
        O::Abs
        | O::Neg
        | O::Not
        | O::Cnot
        | O::Popc
        | O::Clz
        | O::Bfind
        | O::Brev
        | O::Testp
        | O::Cvt
        | O::Rcp
        | O::Sqrt
        | O::Rsqrt
        | O::Sin
        | O::Cos
        | O::Lg2
        | O::Ex2
        | O::Tanh => 1,
        O::Mad
        | O::Madc
        | O::Fma
        | O::Mad24
        | O::Sad
        | O::Dp4a
        | O::Dp2a
        | O::Shf
        | O::Prmt
        | O::Fns
        | O::Bfe
        | O::Selp
        | O::Slct => 3,
        O::Set | O::Setp => 2 + usize::from(form.boolean.is_some()),
        O::Bfi | O::Lop3 => 4,
        _ => 2,
    }
}

/// Whether [`evaluate`] is the whole of the instruction with this opcode.
pub fn is_pure(opcode: Opcode) -> bool {
    use Opcode as O;
    matches!(
        opcode,
        O::Abs
            | O::Add
            | O::Addc
            | O::And
            | O::Bfe
            | O::Bfi
            | O::Bfind
            | O::Bmsk
            | O::Brev
            | O::Clz
            | O::Cnot
            | O::Copysign
            | O::Cos
            | O::Cvt
            | O::Div
            | O::Dp2a
            | O::Dp4a
            | O::Ex2
            | O::Fma
            | O::Fns
            | O::Lg2
            | O::Lop3
            | O::Mad
            | O::Mad24
            | O::Madc
            | O::Max
            | O::Min
            | O::Mul
            | O::Mul24
            | O::Neg
            | O::Not
            | O::Or
            | O::Popc
            | O::Prmt
            | O::Rcp
            | O::Rem
            | O::Rsqrt
            | O::Sad
            | O::Selp
            | O::Set
            | O::Setp
            | O::Shf
            | O::Shl
            | O::Shr
            | O::Sin
            | O::Slct
            | O::Sqrt
            | O::Sub
            | O::Subc
            | O::Szext
            | O::Tanh
            | O::Testp
            | O::Xor
            | O::Vadd
            | O::Vsub
            | O::Vabsdiff
            | O::Vmin
            | O::Vmax
            | O::Vshl
            | O::Vshr
            | O::Vset
            | O::Vmad
            | O::Vadd2
            | O::Vsub2
            | O::Vavrg2
            | O::Vabsdiff2
            | O::Vmin2
            | O::Vmax2
            | O::Vset2
            | O::Vadd4
            | O::Vsub4
            | O::Vavrg4
            | O::Vabsdiff4
            | O::Vmin4
            | O::Vmax4
            | O::Vset4
    )
}
