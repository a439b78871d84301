//! atom and red (PTX ISA, "Parallel Synchronization and Communication Instructions").
//!
//! What the device has as an atomic instruction is one; the rest is a loop around compare-and-swap.

use super::memory::{Address, Space};
use super::*;
use rspirv::spirv::{Capability, StorageClass};

impl Emitter<'_> {
    /// A pointer for an atomic access of a type.
    pub(crate) fn atomic_pointer(&mut self, a: Address, ty: Type) -> Id {
        match a.space {
            Space::Shared if self.info.shared_in_scratch => {
                let wide = self.asm.op(Op::UConvert, Type::U64, &[a.id]);
                let base = self.entry.shared;
                let at = self.asm.op(Op::IAdd, Type::U64, &[base, wide]);
                self.device_pointer(at, ty)
            }
            Space::Shared => self.shared_pointer(a.id, ty),
            _ => self.device_pointer(a.id, ty),
        }
    }

    pub(super) fn atomic(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let returns = i.opcode == Opcode::Atom;
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("atom without a type".into()))?;
        if i.has(M::V8) {
            return unsupported(i);
        }
        if ty == M::B128 {
            return self.wide_atomic(i);
        }
        let first = usize::from(returns);
        let address = self.address(self.operand(i, first)?, memory::space_of(i))?;
        // A generic address may be known to be of one space.
        let space = address.space;
        let word = match ty.size() {
            Some(8) => Type::U64,
            Some(4) => Type::U32,
            _ => Type::U16,
        };
        let fenced = i.has(M::Release) || i.has(M::AcqRel) || i.has(M::Acquire);
        if fenced {
            self.fence(i)?;
        }
        // The elements of a vector are atomic each for itself.
        let sources = Self::elements(self.operand(i, first + 1)?).to_vec();
        let mut results = Vec::new();
        for (n, b) in sources.iter().enumerate() {
            let b = self.value(b, word)?;
            let c = if i.has(M::CasMod) {
                Some(self.value(self.operand(i, first + 2)?, word)?)
            } else {
                None
            };
            let wide = if matches!(space, Space::Shared | Space::Local) {
                Type::U32
            } else {
                Type::U64
            };
            let address = Address {
                space,
                id: self.offset(address.id, wide, i64::from(word.size()) * n as i64),
            };
            results.push(self.atomic_in(i, address, ty, word, b, c)?);
        }
        if fenced {
            self.fence(i)?;
        }
        if i.has(M::Async) {
            // red.async: made at once, like all that is asynchronous.
            let bytes = self.asm.u32(word.size());
            self.complete_bytes(self.operand(i, first + 2)?, bytes)?;
        }
        if returns {
            let d = Self::elements(self.operand(i, 0)?).to_vec();
            for (d, id) in d.iter().zip(results) {
                self.set(d, word, id)?;
            }
        }
        Ok(())
    }

    /// The operation in the address's space, which for a generic address is found out first.
    pub(super) fn atomic_in(
        &mut self,
        i: &Instruction,
        a: Address,
        ty: ScalarType,
        word: Type,
        b: Id,
        c: Option<Id>,
    ) -> Result<Id> {
        let has_shared = self.info.static_shared > 0 || self.info.dynamic_shared_align > 1;
        if a.space == Space::Generic && !self.info.shared_in_scratch && has_shared {
            let here = self.in_window(a.id, Space::Shared);
            let mut error = None;
            let id = self.choose(
                here,
                word,
                |e| {
                    let id = e.asm.op(Op::UConvert, Type::U32, &[a.id]);
                    match e.atomic_operation(
                        i,
                        Address {
                            space: Space::Shared,
                            id,
                        },
                        ty,
                        word,
                        b,
                        c,
                    ) {
                        Ok(id) => id,
                        Err(x) => {
                            error = Some(x);
                            b
                        }
                    }
                },
                |e| {
                    e.atomic_operation(
                        i,
                        Address {
                            space: Space::Global,
                            id: a.id,
                        },
                        ty,
                        word,
                        b,
                        c,
                    )
                    .unwrap_or(b)
                },
            );
            return match error {
                None => Ok(id),
                Some(e) => Err(e),
            };
        }
        if a.space == Space::Local {
            return unsupported(i);
        }
        self.atomic_operation(i, a, ty, word, b, c)
    }

    fn atomic_operation(
        &mut self,
        i: &Instruction,
        a: Address,
        ty: ScalarType,
        word: Type,
        b: Id,
        c: Option<Id>,
    ) -> Result<Id> {
        use Modifier as M;
        if word == Type::U16 {
            return self.atomic_half(i, a, ty, b, c);
        }
        if word == Type::U64 {
            self.asm.capability(Capability::Int64Atomics);
            let shared = a.space == Space::Shared && !self.info.shared_in_scratch;
            if (shared && !self.target.shared_atomic_i64) || (!shared && !self.target.atomic_i64) {
                return Err(EmitError::Unsupported(format!(
                    "{}: the device has no 64-bit atomics",
                    i.mnemonic()
                )));
            }
        }
        let scope = self.asm.u32(if i.has(M::Cta) { 2 } else { 1 });
        let relaxed = self.asm.u32(0);
        let pointer = self.atomic_pointer(a, word);
        let simple = |e: &mut Self, op: Op| e.asm.op(op, word, &[pointer, scope, relaxed, b]);
        let signed = ty.is_signed();
        if let Some(c) = c {
            return Ok(self.asm.op(
                Op::AtomicCompareExchange,
                word,
                &[pointer, scope, relaxed, relaxed, c, b],
            ));
        }
        let operation = i
            .modifiers
            .iter()
            .copied()
            .find(|m| {
                matches!(
                    m,
                    M::AddMod
                        | M::IncMod
                        | M::DecMod
                        | M::MinMod
                        | M::MaxMod
                        | M::ExchMod
                        | M::And
                        | M::Or
                        | M::Xor
                )
            })
            .ok_or_else(|| EmitError::Invalid(format!("{} without an operation", i.mnemonic())))?;
        if !ty.is_float() {
            return Ok(match operation {
                M::AddMod => simple(self, Op::AtomicIAdd),
                M::MinMod if signed => simple(self, Op::AtomicSMin),
                M::MaxMod if signed => simple(self, Op::AtomicSMax),
                M::MinMod => simple(self, Op::AtomicUMin),
                M::MaxMod => simple(self, Op::AtomicUMax),
                M::And => simple(self, Op::AtomicAnd),
                M::Or => simple(self, Op::AtomicOr),
                M::Xor => simple(self, Op::AtomicXor),
                M::ExchMod => simple(self, Op::AtomicExchange),
                _ => {
                    let increment = operation == M::IncMod;
                    self.swap_loop(pointer, word, scope, |e, old| {
                        let (zero, one) = (e.asm.constant(word, 0), e.asm.constant(word, 1));
                        if increment {
                            // old >= b ? 0 : old + 1
                            let wrap = e.asm.op(Op::UGreaterThanEqual, Type::Bool, &[old, b]);
                            let next = e.asm.op(Op::IAdd, word, &[old, one]);
                            e.asm.op(Op::Select, word, &[wrap, zero, next])
                        } else {
                            // old == 0 || old > b ? b : old - 1
                            let none = e.asm.op(Op::IEqual, Type::Bool, &[old, zero]);
                            let more = e.asm.op(Op::UGreaterThan, Type::Bool, &[old, b]);
                            let wrap = e.asm.op(Op::LogicalOr, Type::Bool, &[none, more]);
                            let next = e.asm.op(Op::ISub, word, &[old, one]);
                            e.asm.op(Op::Select, word, &[wrap, b, next])
                        }
                    })
                }
            });
        }
        if operation == M::ExchMod {
            return Ok(simple(self, Op::AtomicExchange));
        }
        let native = match ty {
            M::F32 if operation == M::AddMod => {
                self.target.atomic_f32_add
                    && (a.space != Space::Shared || self.info.shared_in_scratch)
            }
            M::F64 if operation == M::AddMod => {
                self.target.atomic_f64_add
                    && self.target.float64
                    && (a.space != Space::Shared || self.info.shared_in_scratch)
            }
            _ => false,
        };
        if native {
            let (float, capability) = if ty == M::F32 {
                (Type::F32, Capability::AtomicFloat32AddEXT)
            } else {
                (Type::F64, Capability::AtomicFloat64AddEXT)
            };
            self.asm.capability(capability);
            self.asm.extension("SPV_EXT_shader_atomic_float_add");
            let pointer = self.atomic_pointer(a, float);
            let b = self.cast(Value { id: b, ty: word }, float);
            let id = self
                .asm
                .op(Op::AtomicFAddEXT, float, &[pointer, scope, relaxed, b]);
            return Ok(self.cast(Value { id, ty: float }, word));
        }
        match (ty, operation) {
            (M::F32 | M::F64, M::AddMod | M::MinMod | M::MaxMod) => {
                let float = if ty == M::F32 { Type::F32 } else { Type::F64 };
                let b = self.cast(Value { id: b, ty: word }, float);
                Ok(self.swap_loop(pointer, word, scope, |e, old| {
                    let old = e.asm.op(Op::Bitcast, float, &[old]);
                    let new = match operation {
                        M::AddMod => e.exact(Op::FAdd, float, &[old, b]),
                        m => e.min_max_float(float, old, b, m == M::MinMod, false),
                    };
                    e.asm.op(Op::Bitcast, word, &[new])
                }))
            }
            (M::F16x2 | M::Bf16x2, M::AddMod) => {
                Ok(self.swap_loop(pointer, word, scope, |e, old| {
                    let sixteen = e.asm.u32(16);
                    let mut halves = [0; 2];
                    for (n, half) in halves.iter_mut().enumerate() {
                        let [x, y] = [old, b].map(|w| {
                            let w = if n == 0 {
                                w
                            } else {
                                e.asm.op(Op::ShiftRightLogical, Type::U32, &[w, sixteen])
                            };
                            e.asm.op(Op::UConvert, Type::U16, &[w])
                        });
                        *half = e.add_half(x, y, ty == M::F16x2);
                    }
                    e.pack16(halves[0], halves[1])
                }))
            }
            _ => unsupported(i),
        }
    }

    /// The sum of two f16 or bf16 numbers given and returned as u16.
    fn add_half(&mut self, x: Id, y: Id, half: bool) -> Id {
        if half {
            let [x, y] = [x, y].map(|v| self.asm.op(Op::Bitcast, Type::F16, &[v]));
            let s = self.exact(Op::FAdd, Type::F16, &[x, y]);
            return self.asm.op(Op::Bitcast, Type::U16, &[s]);
        }
        let (x, y) = (self.brain_to_single(x), self.brain_to_single(y));
        let (sum, error) = self.two_sum(Type::F32, x, y);
        let s = self.round_to_odd(Type::F32, sum, error);
        self.single_to_brain(s)
    }

    /// The smaller or larger of two f16 or bf16 numbers given and returned as u16.
    fn min_max_half(&mut self, x: Id, y: Id, half: bool, min: bool) -> Id {
        if half {
            let [x, y] = [x, y].map(|v| self.asm.op(Op::Bitcast, Type::F16, &[v]));
            let m = self.min_max_float(Type::F16, x, y, min, false);
            return self.asm.op(Op::Bitcast, Type::U16, &[m]);
        }
        let (x, y) = (self.brain_to_single(x), self.brain_to_single(y));
        let m = self.min_max_float(Type::F32, x, y, min, false);
        self.single_to_brain(m)
    }

    /// Addition, the smaller or the larger of one f16 or bf16, atom.cas.b16: a compare-and-swap of the word around it.
    fn atomic_half(
        &mut self,
        i: &Instruction,
        a: Address,
        ty: ScalarType,
        b: Id,
        c: Option<Id>,
    ) -> Result<Id> {
        use Modifier as M;
        let number = matches!(ty, M::F16 | M::Bf16);
        let adds = number && i.has(M::AddMod);
        let (min, max) = (number && i.has(M::MinMod), number && i.has(M::MaxMod));
        if !adds && !min && !max && c.is_none() && !i.has(M::ExchMod) {
            return unsupported(i);
        }
        let wide = if a.space == Space::Shared {
            Type::U32
        } else {
            Type::U64
        };
        let mask = self.asm.constant(wide, !3);
        let base = self.asm.op(Op::BitwiseAnd, wide, &[a.id, mask]);
        let low = self.cast(Value { id: a.id, ty: wide }, Type::U32);
        let (two, three) = (self.asm.u32(2), self.asm.u32(3));
        let byte = self.asm.op(Op::BitwiseAnd, Type::U32, &[low, two]);
        let shift = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[byte, three]);
        let scope = self.asm.u32(1);
        let pointer = self.atomic_pointer(
            Address {
                space: a.space,
                id: base,
            },
            Type::U32,
        );
        let old = self.swap_loop(pointer, Type::U32, scope, |e, old| {
            let h = e.asm.op(Op::ShiftRightLogical, Type::U32, &[old, shift]);
            let h = e.asm.op(Op::UConvert, Type::U16, &[h]);
            let s = match c {
                _ if adds => e.add_half(h, b, ty == M::F16),
                _ if min || max => e.min_max_half(h, b, ty == M::F16, min),
                // cas: b is what is compared, c the new value.
                Some(c) => {
                    let same = e.asm.op(Op::IEqual, Type::Bool, &[h, b]);
                    e.asm.op(Op::Select, Type::U16, &[same, c, h])
                }
                None => b,
            };
            let s = e.asm.op(Op::UConvert, Type::U32, &[s]);
            let bits = e.asm.u32(16);
            e.asm
                .op(Op::BitFieldInsert, Type::U32, &[old, s, shift, bits])
        });
        let h = self.asm.op(Op::ShiftRightLogical, Type::U32, &[old, shift]);
        Ok(self.asm.op(Op::UConvert, Type::U16, &[h]))
    }

    /// `do old = *p; while (!compare_and_swap(p, old, f(old)))`; gives the old value.
    pub(crate) fn swap_loop(
        &mut self,
        pointer: Id,
        ty: Type,
        scope: Id,
        f: impl FnOnce(&mut Self, Id) -> Id,
    ) -> Id {
        let result = self.asm.variable(ty);
        let relaxed = self.asm.u32(0);
        let (header, body, next, merge) =
            (self.asm.id(), self.asm.id(), self.asm.id(), self.asm.id());
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, DONT_UNROLL]);
        self.asm.void(Op::Branch, &[body]);
        self.label(body);
        let old = self.asm.op(Op::AtomicLoad, ty, &[pointer, scope, relaxed]);
        let new = f(self, old);
        let found = self.asm.op(
            Op::AtomicCompareExchange,
            ty,
            &[pointer, scope, relaxed, relaxed, new, old],
        );
        self.asm.void(Op::Store, &[result, found]);
        let done = self.asm.op(Op::IEqual, Type::Bool, &[found, old]);
        self.asm.void(Op::BranchConditional, &[done, merge, next]);
        self.label(next);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
        let _ = StorageClass::Workgroup;
        self.asm.op(Op::Load, ty, &[result])
    }
}
