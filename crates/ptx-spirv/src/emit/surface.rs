//! Surfaces (PTX ISA, "Surface Instructions"): `suld.b`, `sust.b` and `sured.b`, whose first coordinate counts bytes and which
//! read and write bits; `sust.p` and `sured.p`, whose first coordinate counts texels and which know the surface's format.
//!
//! The handle is that of a texture (`emit/texture.rs`); coordinates are integers.

use super::memory::{Access, Address, Space};
use super::texture::{Geometry, TEXEL};
use super::*;
use ::texture::{offset, Kind};
use rspirv::spirv::GLOp;

/// What an access outside of the surface does (PTX ISA, "suld", `.clamp`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    Trap,
    Clamp,
    Zero,
}

/// What the first coordinate counts.
#[derive(Clone, Copy)]
enum Unit {
    /// Bytes, of which so many are accessed.
    Bytes(u32),
    /// Texels.
    Texel,
}

impl Emitter<'_> {
    pub(super) fn surface(&mut self, i: &Instruction) -> Result<()> {
        let ty = i.types().next_back();
        let formatted = i.has(Modifier::P);
        let known = i.has(Modifier::B) || formatted && i.opcode != Opcode::Suld;
        let (Some(geometry), Some(ty), true) = (Geometry::of(i), ty, known) else {
            return unsupported(i);
        };
        let scalar = memory_type(ty);
        let Some(part) = scalar.scalar() else {
            return unsupported(i);
        };
        let count = i
            .modifiers
            .iter()
            .find_map(|m| match m {
                Modifier::V2 => Some(2),
                Modifier::V4 => Some(4),
                _ => None,
            })
            .unwrap_or(1);
        let whole = match count {
            1 => scalar,
            n => Type::Vector(part, n),
        };
        if whole.size() > ::texture::WIDEST_TEXEL {
            return Err(EmitError::Invalid(format!(
                "{} of more than 16 bytes",
                i.mnemonic()
            )));
        }
        let outside = i
            .modifiers
            .iter()
            .find_map(|m| match m {
                Modifier::TrapMod => Some(Outside::Trap),
                Modifier::Clamp => Some(Outside::Clamp),
                Modifier::Zero => Some(Outside::Zero),
                _ => None,
            })
            .unwrap_or(Outside::Trap);
        let load = i.opcode == Opcode::Suld;
        let (handle, sampler, parts) = self.texture_operands(i, usize::from(load))?;
        if sampler.is_some() {
            return Err(EmitError::Invalid(format!(
                "{} with a sampler",
                i.mnemonic()
            )));
        }
        let needed = usize::from(geometry.layered) + usize::from(geometry.axes);
        if parts.len() < needed {
            return Err(EmitError::Invalid(format!(
                "{} with {} coordinates",
                i.mnemonic(),
                parts.len()
            )));
        }
        let zero = self.asm.u32(0);
        let (layer, rest) = match geometry.layered {
            true => (self.value(&parts[0], Type::U32)?, &parts[1..]),
            false => (zero, parts),
        };
        let mut at = [zero, zero, layer];
        for axis in 0..usize::from(geometry.axes) {
            at[axis] = self.value(&rest[axis], Type::U32)?;
        }
        let unit = match formatted {
            true => Unit::Texel,
            false => Unit::Bytes(whole.size()),
        };
        let (address, inside) = self.surface_address(handle, at, geometry, unit, outside);
        let access = Access::default();
        if load {
            let nothing = self.asm.null(whole);
            let v = match inside {
                Some(inside) => self.choose(
                    inside,
                    whole,
                    |e| e.load_device(address, whole, access),
                    |_| nothing,
                ),
                None => self.load_device(address, whole, access),
            };
            if outside == Outside::Trap {
                self.trap_unless(inside);
            }
            let to = self.operand(i, 0)?;
            for (n, to) in Self::elements(to).iter().enumerate() {
                let id = match count {
                    1 => v,
                    _ => self.asm.op(Op::CompositeExtract, scalar, &[v, n as u32]),
                };
                self.set_widened(to, scalar, id, false)?;
            }
            return Ok(());
        }
        let from = Self::elements(self.operand(i, 1)?);
        if from.len() != usize::from(count) {
            return Err(EmitError::Invalid(format!(
                "{} of {} values",
                i.mnemonic(),
                from.len()
            )));
        }
        let ids = from
            .iter()
            .map(|part| self.value(part, scalar))
            .collect::<Result<Vec<_>>>()?;
        if i.opcode == Opcode::Sured {
            let target = Address {
                space: Space::Global,
                id: address,
            };
            let (ty, word) = (ty, Type::unsigned(scalar.size()));
            if !matches!(word, Type::U32 | Type::U64) || count != 1 {
                return unsupported(i);
            }
            let mut result = Ok(());
            let reduce = |e: &mut Self| match formatted {
                true => e.reduce_by_format(i, handle, target, word, ids[0]),
                false => e.atomic_in(i, target, ty, word, ids[0], None).map(|_| ()),
            };
            match inside {
                Some(inside) => self.when(inside, |e| result = reduce(e)),
                None => result = reduce(self),
            }
            result?;
            if outside == Outside::Trap {
                self.trap_unless(inside);
            }
            return Ok(());
        }
        let store = |e: &mut Self| {
            if formatted {
                return e.store_by_format(handle, address, &ids);
            }
            let value = match count {
                1 => ids[0],
                _ => e.asm.op(Op::CompositeConstruct, whole, &ids),
            };
            e.store_device(address, whole, value, access);
        };
        match inside {
            Some(inside) => self.when(inside, store),
            None => store(self),
        }
        if outside == Outside::Trap {
            self.trap_unless(inside);
        }
        Ok(())
    }

    /// sust.p: numbers become a texel of the surface's format. Channels that no number is given for become 0.
    fn store_by_format(&mut self, handle: Id, address: Id, numbers: &[Id]) {
        let u = Type::U32;
        let mut all = [self.asm.u32(0); 4];
        for (to, number) in all.iter_mut().zip(numbers) {
            *to = self.cast(Value { id: *number, ty: u }, u);
        }
        let value = self.asm.op(Op::CompositeConstruct, TEXEL, &all);
        let texel = self.call_helper(Helper::PackTexel, TEXEL, &[handle, value]);
        let words = [0, 1, 2, 3].map(|n| self.part(texel, n));
        let bytes = self.texel_bytes(handle);
        for size in [1, 2, 4, 8, 16] {
            let this = self.asm.u32(size);
            let is = self.test(Op::IEqual, bytes, this);
            self.when(is, |e| {
                let (ty, id) = match size {
                    1 => (Type::U8, e.asm.op(Op::UConvert, Type::U8, &[words[0]])),
                    2 => (Type::U16, e.asm.op(Op::UConvert, Type::U16, &[words[0]])),
                    4 => (u, words[0]),
                    8 => {
                        let pair = Type::Vector(Scalar::U32, 2);
                        let id = e.asm.op(Op::CompositeConstruct, pair, &words[..2]);
                        (pair, id)
                    }
                    _ => (TEXEL, texel),
                };
                e.store_device(address, ty, id, Access::default());
            });
        }
    }

    /// The texel that four numbers are in a surface's format (PTX ISA, "sust", sust.p): its bytes from the first word on.
    pub(super) fn write_pack_texel(&mut self, id: Id) {
        let (u, f) = (Type::U32, Type::F32);
        let p = self.asm.begin_function(id, TEXEL, &[Type::U64, TEXEL]);
        let format = self.descriptor_words(p[0], offset::FORMAT);
        let [bits, kind] = [0, 2].map(|n| self.part(format, n));
        let [zero, one, eight, sixteen, word] = [0, 1, 8, 16, 32].map(|n| self.asm.u32(n));
        let [is_8, is_32] = [eight, word].map(|n| self.test(Op::IEqual, bits, n));
        let signed = self.has_flag(kind, Kind::Signed as u32);
        let float = self.has_flag(kind, Kind::Float as u32);
        let normalized = self.has_flag(kind, ::texture::NORMALIZED);
        let all = self.asm.u32(u32::MAX);
        // The greatest integers of so many bits.
        let gone = self.n(Op::ISub, word, bits);
        let most = self.n(Op::ShiftRightLogical, all, gone);
        let half = self.n(Op::ShiftRightLogical, most, one);
        let least = self.asm.op(Op::Not, u, &[half]);
        let scale = self.pick(u, signed, half, most);
        let scale = self.asm.op(Op::ConvertUToF, f, &[scale]);
        let [nought, unit, minus] = [0.0, 1.0, -1.0].map(|n| self.literal_f32(n));
        let lowest = self.pick(f, signed, minus, nought);
        let parts = [0, 1, 2, 3].map(|n| {
            let w = self.part(p[1], n);
            let plain = self.asm.glsl(GLOp::UMin, u, &[w, most]);
            let negative = self.asm.glsl(GLOp::SClamp, u, &[w, least, half]);
            let integer = self.pick(u, signed, negative, plain);
            let x = self.as_single(w);
            // Not a number counts as 0.
            let unordered = self.unordered(x, x);
            let share = self.pick(f, unordered, nought, x);
            let share = self.asm.glsl(GLOp::FClamp, f, &[share, lowest, unit]);
            let share = self.real(Op::FMul, share, scale);
            let share = self.asm.glsl(GLOp::RoundEven, f, &[share]);
            let share = self.asm.op(Op::ConvertFToS, u, &[share]);
            let short = self.half_cut_off(x);
            let number = self.pick(u, is_32, w, short);
            let v = self.pick(u, float, number, integer);
            let v = self.pick(u, normalized, share, v);
            self.n(Op::BitwiseAnd, v, most)
        });
        let shift = |e: &mut Self, v: Id, by: u32| {
            let by = e.asm.u32(by);
            e.n(Op::ShiftLeftLogical, v, by)
        };
        let [a, b, c, d] = parts;
        let (b8, c8, d8) = (shift(self, b, 8), shift(self, c, 16), shift(self, d, 24));
        let bytes = self.n(Op::BitwiseOr, a, b8);
        let bytes = self.n(Op::BitwiseOr, bytes, c8);
        let bytes = self.n(Op::BitwiseOr, bytes, d8);
        let (b16, d16) = (
            self.n(Op::ShiftLeftLogical, b, sixteen),
            self.n(Op::ShiftLeftLogical, d, sixteen),
        );
        let (low, high) = (self.n(Op::BitwiseOr, a, b16), self.n(Op::BitwiseOr, c, d16));
        let words = [
            (a, low, bytes),
            (b, high, zero),
            (c, zero, zero),
            (d, zero, zero),
        ];
        let words = words.map(|(of_32, of_16, of_8)| {
            let narrow = self.pick(u, is_8, of_8, of_16);
            self.pick(u, is_32, of_32, narrow)
        });
        let texel = self.asm.op(Op::CompositeConstruct, TEXEL, &words);
        self.asm.void(Op::ReturnValue, &[texel]);
    }

    /// sured.p: the surface's format says whether the numbers have signs.
    fn reduce_by_format(
        &mut self,
        i: &Instruction,
        handle: Id,
        target: Address,
        word: Type,
        value: Id,
    ) -> Result<()> {
        let (signed, unsigned, bits) = match word {
            Type::U64 => (Modifier::S64, Modifier::U64, Modifier::B64),
            _ => (Modifier::S32, Modifier::U32, Modifier::B32),
        };
        if i.has(Modifier::And) || i.has(Modifier::Or) {
            return self
                .atomic_in(i, target, bits, word, value, None)
                .map(|_| ());
        }
        let format = self.descriptor_words(handle, offset::FORMAT);
        let kind = self.part(format, 2);
        let has_sign = self.has_flag(kind, Kind::Signed as u32);
        let no_sign = self.asm.op(Op::LogicalNot, Type::Bool, &[has_sign]);
        for (is, ty) in [(has_sign, signed), (no_sign, unsigned)] {
            let mut result = Ok(());
            self.when(is, |e| {
                result = e.atomic_in(i, target, ty, word, value, None).map(|_| ());
            });
            result?;
        }
        Ok(())
    }

    /// Bytes of a texel.
    fn texel_bytes(&mut self, handle: Id) -> Id {
        let format = self.descriptor_words(handle, offset::FORMAT);
        let [bits, channels] = [0, 1].map(|n| self.part(format, n));
        let three = self.asm.u32(3);
        let texel = self.n(Op::IMul, bits, channels);
        self.n(Op::ShiftRightLogical, texel, three)
    }

    fn trap_unless(&mut self, inside: Option<Id>) {
        if let Some(inside) = inside {
            let out = self.asm.op(Op::LogicalNot, Type::Bool, &[inside]);
            self.when(out, |e| e.fault(super::call::ILLEGAL_ADDRESS));
        }
    }

    /// The address of some bytes of a surface, or of a texel, and whether they are inside (`None`: moved inside where not).
    fn surface_address(
        &mut self,
        handle: Id,
        at: [Id; 3],
        geometry: Geometry,
        unit: Unit,
        outside: Outside,
    ) -> (Id, Option<Id>) {
        let u = Type::U32;
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let one = self.asm.u32(1);
        let [width, height, depth, layers] =
            [0, 1, 2, 3].map(|n| self.asm.op(Op::CompositeExtract, u, &[extent, n]));
        let texel = self.texel_bytes(handle);
        let slices = if geometry.axes == 3 { depth } else { layers };
        // The last index of each axis: for bytes, where the access still fits.
        let last_x = match unit {
            Unit::Bytes(size) => {
                let (bytes, size) = (self.n(Op::IMul, width, texel), self.asm.u32(size));
                self.n(Op::ISub, bytes, size)
            }
            Unit::Texel => self.n(Op::ISub, width, one),
        };
        let last = [last_x, height, slices];
        let zero = self.asm.u32(0);
        let mut places = at;
        let mut inside = None;
        for (axis, place) in places.iter_mut().enumerate() {
            let last = match axis {
                0 => last[0],
                n => self.n(Op::ISub, last[n], one),
            };
            if outside == Outside::Clamp {
                // A layer's number has no sign.
                *place = match axis {
                    2 if geometry.layered => self.asm.glsl(GLOp::UMin, u, &[*place, last]),
                    _ => self.asm.glsl(GLOp::SClamp, u, &[*place, zero, last]),
                };
                continue;
            }
            let fits = self.test(Op::ULessThanEqual, *place, last);
            inside = Some(match inside {
                None => fits,
                Some(before) => self.test(Op::LogicalAnd, before, fits),
            });
        }
        let [x, y, slice] = places;
        let x = match unit {
            // Aligned as the hardware takes it.
            Unit::Bytes(size) => {
                let mask = self.asm.u32(!(size - 1));
                self.n(Op::BitwiseAnd, x, mask)
            }
            Unit::Texel => self.n(Op::IMul, x, texel),
        };
        let x = self.asm.op(Op::UConvert, Type::U64, &[x]);
        (self.texel_address(handle, zero, x, y, slice), inside)
    }
}
