//! Surfaces (PTX ISA, "Surface Instructions"): `suld.b`, `sust.b` and `sured.b`.
//!
//! The handle is that of a texture (`emit/texture.rs`); coordinates are integers, the first in bytes, and what is read and
//! written are bits.

use super::memory::{Access, Address, Space};
use super::texture::Geometry;
use super::*;
use ::texture::offset;
use rspirv::spirv::GLOp;

/// What an access outside of the surface does (PTX ISA, "suld", `.clamp`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    Trap,
    Clamp,
    Zero,
}

impl Emitter<'_> {
    pub(super) fn surface(&mut self, i: &Instruction) -> Result<()> {
        let ty = i.types().next_back();
        let (Some(geometry), Some(ty), true) = (Geometry::of(i), ty, i.has(Modifier::B)) else {
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
        let (handle, parts) = self.texture_operands(i, usize::from(load))?;
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
        let (address, inside) = self.surface_address(handle, at, geometry, whole.size(), outside);
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
            let reduce = |e: &mut Self| e.atomic_in(i, target, ty, word, ids[0], None).map(|_| ());
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
        let value = match count {
            1 => ids[0],
            _ => self.asm.op(Op::CompositeConstruct, whole, &ids),
        };
        match inside {
            Some(inside) => {
                self.when(inside, |e| e.store_device(address, whole, value, access));
            }
            None => self.store_device(address, whole, value, access),
        }
        if outside == Outside::Trap {
            self.trap_unless(inside);
        }
        Ok(())
    }

    fn trap_unless(&mut self, inside: Option<Id>) {
        if let Some(inside) = inside {
            let out = self.asm.op(Op::LogicalNot, Type::Bool, &[inside]);
            self.when(out, |e| e.fault(super::call::ILLEGAL_ADDRESS, &[]));
        }
    }

    /// The address of `size` bytes of a surface, and whether they are inside (`None`: moved inside where not).
    fn surface_address(
        &mut self,
        handle: Id,
        at: [Id; 3],
        geometry: Geometry,
        size: u32,
        outside: Outside,
    ) -> (Id, Option<Id>) {
        let u = Type::U32;
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let format = self.descriptor_words(handle, offset::FORMAT);
        let (one, three) = (self.asm.u32(1), self.asm.u32(3));
        let [width, height, depth, layers] =
            [0, 1, 2, 3].map(|n| self.asm.op(Op::CompositeExtract, u, &[extent, n]));
        let [bits, channels] = [0, 1].map(|n| self.asm.op(Op::CompositeExtract, u, &[format, n]));
        let texel = self.n(Op::IMul, bits, channels);
        let texel = self.n(Op::ShiftRightLogical, texel, three);
        let bytes = self.n(Op::IMul, width, texel);
        let slices = if geometry.axes == 3 { depth } else { layers };
        // The last index of each axis: for bytes, where the access still fits.
        let size_id = self.asm.u32(size);
        let last_byte = self.n(Op::ISub, bytes, size_id);
        let last = [last_byte, height, slices];
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
        // Aligned as the hardware takes it.
        let mask = self.asm.u32(!(size - 1));
        let x = self.n(Op::BitwiseAnd, x, mask);
        let x = self.asm.op(Op::UConvert, Type::U64, &[x]);
        (self.texel_address(handle, zero, x, y, slice), inside)
    }
}
