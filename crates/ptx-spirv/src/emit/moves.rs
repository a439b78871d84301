//! mov, cvta, isspacep, szext (PTX ISA, "Data Movement and Conversion Instructions").

use super::entry::Push;
use super::*;

/// Where generic addresses of shared memory start when it is not part of the address space of buffers: an address no
/// device gives out, because 48-bit and 57-bit addresses are sign-extended.
pub(crate) const SHARED_WINDOW: u64 = 1 << 56;
/// The same for local memory.
pub(crate) const LOCAL_WINDOW: u64 = 2 << 56;

impl Emitter<'_> {
    pub(super) fn moves(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Mov => self.mov(i),
            Opcode::Cvta => self.cvta(i),
            Opcode::Isspacep => self.isspacep(i),
            _ => self.szext(i),
        }
    }

    fn mov(&mut self, i: &Instruction) -> Result<()> {
        let ty = i
            .types()
            .next_back()
            .ok_or_else(|| EmitError::Invalid("mov without a type".into()))?;
        let (d, a) = (self.operand(i, 0)?, self.operand(i, 1)?);
        let whole = register_type(ty);
        match (d, a) {
            (Operand::Vector(parts), Operand::Vector(from)) => {
                // All are read before one is written: the two may name the same registers.
                let mut values = Vec::with_capacity(from.len());
                for a in from.iter() {
                    values.push(self.value(a, whole)?);
                }
                for (d, v) in parts.iter().zip(values) {
                    self.set(d, whole, v)?;
                }
                Ok(())
            }
            (Operand::Vector(parts), a) => {
                let bytes = whole.size() / parts.len() as u32;
                let part = Type::unsigned(bytes);
                if whole.size() == 16 {
                    let v = self.value(a, whole)?;
                    for (n, d) in parts.iter().enumerate() {
                        let e = self.asm.op(Op::CompositeExtract, Type::U64, &[v, n as u32]);
                        self.set(d, part, e)?;
                    }
                    return Ok(());
                }
                let unsigned = Type::unsigned(whole.size());
                let v = self.value(a, unsigned)?;
                for (n, d) in parts.iter().enumerate() {
                    if matches!(d, Operand::Sink) {
                        continue;
                    }
                    let shift = self.asm.u32(n as u32 * bytes * 8);
                    let e = if n == 0 {
                        v
                    } else {
                        self.asm.op(Op::ShiftRightLogical, unsigned, &[v, shift])
                    };
                    let e = self.asm.op(Op::UConvert, part, &[e]);
                    self.set(d, part, e)?;
                }
                Ok(())
            }
            (d, Operand::Vector(parts)) => {
                let bytes = whole.size() / parts.len() as u32;
                let part = Type::unsigned(bytes);
                if whole.size() == 16 {
                    let (a, b) = (
                        self.value(&parts[0], Type::U64)?,
                        self.value(&parts[1], Type::U64)?,
                    );
                    let v = self.asm.op(Op::CompositeConstruct, whole, &[a, b]);
                    return self.set(d, whole, v);
                }
                if let (2, [low, high], false) = (bytes, &parts[..], self.yields()) {
                    let (low, high) = (self.value(low, part)?, self.value(high, part)?);
                    let v = self.pack_for(d, low, high);
                    self.note_packed(v, low, high);
                    return self.set(d, Type::U32, v);
                }
                let unsigned = Type::unsigned(whole.size());
                let mut all = None;
                let mut values = Vec::new();
                for (n, a) in parts.iter().enumerate() {
                    let v = self.value(a, part)?;
                    values.push(v);
                    let v = self.asm.op(Op::UConvert, unsigned, &[v]);
                    let shift = self.asm.u32(n as u32 * bytes * 8);
                    let v = if n == 0 {
                        v
                    } else {
                        self.asm.op(Op::ShiftLeftLogical, unsigned, &[v, shift])
                    };
                    all = Some(match all {
                        None => v,
                        Some(rest) => self.asm.op(Op::BitwiseOr, unsigned, &[rest, v]),
                    });
                }
                let v = all.ok_or_else(|| EmitError::Invalid("mov of an empty vector".into()))?;
                if let (2, &[low, high]) = (bytes, &values[..]) {
                    self.note_packed(v, low, high);
                }
                self.set(d, unsigned, v)
            }
            (d, a) => {
                // A register keeps the type it has: no need to reinterpret it twice.
                if let Operand::Register(r) = a {
                    let v = self.register(self.virtual_register(*r));
                    return self.set(d, v.ty, v.id);
                }
                let v = self.value(a, whole)?;
                self.set(d, whole, v)
            }
        }
    }

    /// The address of a named thing, in its own state space: an offset for shared and local memory.
    pub(crate) fn symbol_address(&mut self, symbol: SymbolId, offset: i64) -> Result<Value> {
        Ok(match self.place(symbol)? {
            Place::Module(at) => {
                let base = self.push(Push::Module);
                let at = self.asm.constant(Type::U64, at.wrapping_add(offset as u64));
                Value {
                    id: self.asm.op(Op::IAdd, Type::U64, &[base, at]),
                    ty: Type::U64,
                }
            }
            Place::Shared(at) => Value {
                id: self.asm.u32(at.wrapping_add(offset as u32)),
                ty: Type::U32,
            },
            Place::DynamicShared => {
                let at = self
                    .info
                    .static_shared
                    .next_multiple_of(self.info.dynamic_shared_align.max(1));
                Value {
                    id: self.asm.u32(at.wrapping_add(offset as u32)),
                    ty: Type::U32,
                }
            }
            Place::Local(at) => Value {
                id: self.asm.u32(at.wrapping_add(offset as u32)),
                ty: Type::U32,
            },
            Place::KernelParameter(at) => {
                let base = self.push(Push::Parameters);
                let at = self
                    .asm
                    .constant(Type::U64, (at as u64).wrapping_add(offset as u64));
                Value {
                    id: self.asm.op(Op::IAdd, Type::U64, &[base, at]),
                    ty: Type::U64,
                }
            }
            Place::Function(index) => Value {
                id: self.asm.constant(Type::U64, index),
                ty: Type::U64,
            },
            Place::Register(r) => self.register(r),
            Place::Constant(bits) => Value {
                id: self.asm.constant(Type::U64, bits),
                ty: Type::U64,
            },
            Place::Reference(at) => Value {
                id: self.reference(at),
                ty: Type::U64,
            },
            Place::Words { .. } => {
                return Err(EmitError::Unsupported(
                    "the address of a function's parameter".into(),
                ));
            }
        })
    }

    fn cvta(&mut self, i: &Instruction) -> Result<()> {
        let (d, a) = (self.operand(i, 0)?, self.operand(i, 1)?);
        let wide = i.has(Modifier::U64);
        let ty = if wide { Type::U64 } else { Type::U32 };
        let space = memory::space_of(i);
        let to = i.has(Modifier::To);
        let v = self.value(a, Type::U64)?;
        let id = match space {
            memory::Space::Shared | memory::Space::Local => {
                let window = self.window(space);
                let op = if to { Op::ISub } else { Op::IAdd };
                self.asm.op(op, Type::U64, &[v, window])
            }
            _ => v,
        };
        let id = self.cast(Value { id, ty: Type::U64 }, ty);
        self.set(d, ty, id)
    }

    /// What is added to an offset in shared or local memory to make a generic address.
    pub(crate) fn window(&mut self, space: memory::Space) -> Id {
        match space {
            memory::Space::Shared if self.info.shared_in_scratch => self.entry.shared,
            memory::Space::Shared => self.asm.constant(Type::U64, SHARED_WINDOW),
            _ if self.info.local_in_scratch => self.entry.local,
            _ => self.asm.constant(Type::U64, LOCAL_WINDOW),
        }
    }

    fn isspacep(&mut self, i: &Instruction) -> Result<()> {
        let (d, a) = (self.operand(i, 0)?, self.operand(i, 1)?);
        let v = self.value(a, Type::U64)?;
        let shared = self.in_window(v, memory::Space::Shared);
        let local = self.in_window(v, memory::Space::Local);
        let id = match memory::space_of(i) {
            memory::Space::Shared => shared,
            memory::Space::Local => local,
            // The constant variables lie within the module's buffer, the parameters in a block of their own.
            memory::Space::Const => {
                let (start, size) = self.layout.constants();
                let base = self.push(Push::Module);
                let start = self.offset(base, Type::U64, start as i64);
                self.in_range(v, start, size)
            }
            memory::Space::Parameter => {
                let start = self.push(Push::Parameters);
                let inside = self.in_range(v, start, self.info.parameter_bytes.into());
                // Parameters among the push constants have no address, which `start` says with 0.
                let zero = self.asm.constant(Type::U64, 0);
                let there = self.asm.op(Op::INotEqual, Type::Bool, &[start, zero]);
                self.asm.op(Op::LogicalAnd, Type::Bool, &[inside, there])
            }
            _ => {
                let either = self.asm.op(Op::LogicalOr, Type::Bool, &[shared, local]);
                self.asm.op(Op::LogicalNot, Type::Bool, &[either])
            }
        };
        self.set(d, Type::Bool, id)
    }

    fn in_range(&mut self, address: Id, start: Id, size: u64) -> Id {
        let offset = self.asm.op(Op::ISub, Type::U64, &[address, start]);
        let size = self.asm.constant(Type::U64, size);
        self.asm.op(Op::ULessThan, Type::Bool, &[offset, size])
    }

    /// Whether a generic address lies in shared or local memory.
    pub(crate) fn in_window(&mut self, address: Id, space: memory::Space) -> Id {
        let (in_scratch, present) = match space {
            memory::Space::Shared => (self.info.shared_in_scratch, true),
            _ => (self.info.local_in_scratch, self.info.local_bytes > 0),
        };
        if !present {
            return self.asm.constant(Type::Bool, 0);
        }
        if in_scratch {
            let start = self.window(space);
            let offset = self.asm.op(Op::ISub, Type::U64, &[address, start]);
            let size = match space {
                memory::Space::Shared => {
                    let size = self.push(Push::TotalShared);
                    self.asm.op(Op::UConvert, Type::U64, &[size])
                }
                _ => self.asm.constant(Type::U64, self.info.local_bytes as u64),
            };
            return self.asm.op(Op::ULessThan, Type::Bool, &[offset, size]);
        }
        let window = if space == memory::Space::Shared {
            SHARED_WINDOW
        } else {
            LOCAL_WINDOW
        };
        let shift = self.asm.u32(56);
        let top = self
            .asm
            .op(Op::ShiftRightLogical, Type::U64, &[address, shift]);
        let tag = self.asm.constant(Type::U64, window >> 56);
        self.asm.op(Op::IEqual, Type::Bool, &[top, tag])
    }

    /// Sign- or zero-extends the low `b` bits of `a`; with `.clamp` a width above 32 is 32, with `.wrap` modulo 32.
    fn szext(&mut self, i: &Instruction) -> Result<()> {
        let d = self.operand(i, 0)?;
        let a = self.value(self.operand(i, 1)?, Type::U32)?;
        let b = self.value(self.operand(i, 2)?, Type::U32)?;
        let width = if i.has(Modifier::Clamp) {
            let max = self.asm.u32(32);
            self.asm
                .glsl(rspirv::spirv::GLOp::UMin, Type::U32, &[b, max])
        } else {
            let mask = self.asm.u32(31);
            self.asm.op(Op::BitwiseAnd, Type::U32, &[b, mask])
        };
        let zero = self.asm.u32(0);
        let op = if i.has(Modifier::S32) {
            Op::BitFieldSExtract
        } else {
            Op::BitFieldUExtract
        };
        let id = self.asm.op(op, Type::U32, &[a, zero, width]);
        // A field of no bits is undefined in some drivers: zero by the PTX ISA.
        let empty = self.asm.op(Op::IEqual, Type::Bool, &[width, zero]);
        let id = self.asm.op(Op::Select, Type::U32, &[empty, zero, id]);
        self.set(d, Type::U32, id)
    }
}
