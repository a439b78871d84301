//! Textures (PTX ISA, "Texture Instructions"): `tex`, `tld4`, `txq`.
//!
//! A handle is the address of a descriptor (crate `texture`), and texels are loaded from plain memory and filtered by
//! arithmetic: bindless, and the same on every device. What coordinates and weights mean is in the CUDA C++ Programming Guide,
//! "Texture Fetching": weights have 8 bits of fraction, coordinates wrap and mirror where they are normalised.
//!
//! The work is done by helper functions of the shader (`emit/sample.rs`).

use super::memory::Access;
use super::*;
use ::texture::{offset, Class, CHANNEL_DATA_TYPE};
use rspirv::spirv::GLOp;

/// A texel as it is read: four words.
pub(super) const TEXEL: Type = Type::Vector(Scalar::U32, 4);
/// By a format's kind, where its numbers of 8 bits are among the channel data types, four bits each.
const CHANNEL_KINDS: u32 = 0x2_0c7a;
/// By the number of channels, where their order is among the channel orders, four bits each.
const CHANNEL_ORDERS: u32 = 0x5_0200;
/// Textures do not change while a kernel reads them.
pub(super) const READ_ONLY: Access = Access {
    volatile: false,
    coherent: false,
    constant: true,
    align: 0,
};

/// The coordinates of a geometry: how many, whether a layer's number comes first, whether it is a cube.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) axes: u8,
    pub(super) layered: bool,
    cube: bool,
}

impl Geometry {
    pub(super) fn of(i: &Instruction) -> Option<Self> {
        i.modifiers.iter().find_map(|m| {
            let (axes, layered, cube) = match m {
                Modifier::OneD => (1, false, false),
                Modifier::TwoD => (2, false, false),
                Modifier::ThreeD => (3, false, false),
                Modifier::A1d => (1, true, false),
                Modifier::A2d => (2, true, false),
                Modifier::Cube => (2, false, true),
                Modifier::Acube => (2, true, true),
                _ => return None,
            };
            Some(Self {
                axes,
                layered,
                cube,
            })
        })
    }
}

impl Emitter<'_> {
    // ---- small steps ----

    pub(super) fn literal_f32(&mut self, value: f32) -> Id {
        self.asm.constant(Type::F32, value.to_bits().into())
    }

    pub(super) fn real(&mut self, op: Op, a: Id, b: Id) -> Id {
        self.exact(op, Type::F32, &[a, b])
    }

    pub(super) fn part(&mut self, vector: Id, index: u32) -> Id {
        self.asm
            .op(Op::CompositeExtract, Type::U32, &[vector, index])
    }

    pub(super) fn as_single(&mut self, word: Id) -> Id {
        self.asm.op(Op::Bitcast, Type::F32, &[word])
    }

    /// Four words of a descriptor.
    pub(super) fn descriptor_words(&mut self, handle: Id, at: u32) -> Id {
        let at = self.offset(handle, Type::U64, at.into());
        self.load_device(at, TEXEL, READ_ONLY)
    }

    /// `extent >> level`, 1 at least.
    pub(super) fn at_level(&mut self, extent: Id, level: Id) -> Id {
        let one = self.asm.u32(1);
        let size = self.n(Op::ShiftRightLogical, extent, level);
        self.asm.glsl(GLOp::UMax, Type::U32, &[size, one])
    }

    /// Whether a bit of a word is set.
    pub(super) fn has_flag(&mut self, word: Id, flag: u32) -> Id {
        let (flag, zero) = (self.asm.u32(flag), self.asm.u32(0));
        let bit = self.n(Op::BitwiseAnd, word, flag);
        self.test(Op::INotEqual, bit, zero)
    }

    /// Runs `body` with 0, 1, ... `count - 1`.
    pub(super) fn count_up(&mut self, count: Id, body: impl FnOnce(&mut Self, Id)) {
        let counter = self.asm.variable(Type::U32);
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let [header, start, inside, next, merge] = std::array::from_fn(|_| self.asm.id());
        self.asm.void(Op::Store, &[counter, zero]);
        self.asm.void(Op::Branch, &[header]);
        self.label(header);
        self.asm.void(Op::LoopMerge, &[merge, next, 0]);
        self.asm.void(Op::Branch, &[start]);
        self.label(start);
        let index = self.asm.op(Op::Load, Type::U32, &[counter]);
        let more = self.test(Op::ULessThan, index, count);
        self.asm.void(Op::BranchConditional, &[more, inside, merge]);
        self.label(inside);
        body(self, index);
        self.asm.void(Op::Branch, &[next]);
        self.label(next);
        let index = self.n(Op::IAdd, index, one);
        self.asm.void(Op::Store, &[counter, index]);
        self.asm.void(Op::Branch, &[header]);
        self.label(merge);
    }

    // ---- instructions ----

    /// The handle of a reference, which the launch has put into the parameter block.
    pub(super) fn reference(&mut self, at: u32) -> Id {
        if self.info.inline_parameters {
            return self.inline_parameter(at, Type::U64);
        }
        let base = self.push(entry::Push::Parameters);
        let at = self.offset(base, Type::U64, at.into());
        self.load_device(at, Type::U64, READ_ONLY)
    }

    /// The handle of a texture, sampler or surface operand.
    pub(super) fn texture_handle(&mut self, o: &Operand) -> Result<Id> {
        match o {
            Operand::Address {
                base: ptx::AddressBase::Register(r),
                offset,
            } => {
                let v = self.register(self.virtual_register(*r));
                let id = self.cast(v, Type::U64);
                Ok(self.offset(id, Type::U64, *offset))
            }
            Operand::Symbol { symbol, offset }
            | Operand::Address {
                base: ptx::AddressBase::Symbol(symbol),
                offset,
            } => match (self.place(*symbol)?, *offset) {
                (Place::Reference(at), 0) => Ok(self.reference(at)),
                _ => Err(EmitError::Invalid(format!(
                    "{} is no texture, sampler or surface reference",
                    self.symbol_name(*symbol)
                ))),
            },
            o => self.value(o, Type::U64),
        }
    }

    /// `[handle, {coordinates}]`: the handle, that of a sampler of its own (in the independent texturing mode), and the
    /// coordinates' operands.
    pub(super) fn texture_operands<'i>(
        &mut self,
        i: &'i Instruction,
        index: usize,
    ) -> Result<(Id, Option<Id>, &'i [Operand])> {
        match self.operand(i, index)? {
            Operand::TextureAddress(parts) if parts.len() == 2 => {
                let handle = self.texture_handle(&parts[0])?;
                Ok((handle, None, Self::elements(&parts[1])))
            }
            Operand::TextureAddress(parts) if parts.len() == 3 => {
                let handle = self.texture_handle(&parts[0])?;
                let sampler = self.texture_handle(&parts[1])?;
                Ok((handle, Some(sampler), Self::elements(&parts[2])))
            }
            _ => Err(EmitError::Invalid(
                "a texture access without coordinates".into(),
            )),
        }
    }

    /// What follows the other operands: an offset in texels (PTX ISA, "tex", operand e). Gives three numbers where there is one.
    fn texel_offset(&mut self, i: &Instruction, index: usize, axes: u8) -> Result<Option<[Id; 3]>> {
        let Some(o) = i.operands.get(index) else {
            return Ok(None);
        };
        let is_number = matches!(self.declared(o), Some(Modifier::F32))
            || matches!(o, Operand::Single(_) | Operand::Double(_));
        let parts = Self::elements(o);
        if is_number || i.operands.len() > index + 1 {
            return Err(EmitError::Unsupported(format!(
                "{} with a depth to compare with: CUDA has no textures of depths",
                i.mnemonic()
            )));
        }
        if parts.len() < axes.into() {
            return Err(EmitError::Invalid("an offset of too few axes".into()));
        }
        let mut offset = [self.asm.u32(0); 3];
        for (to, part) in offset.iter_mut().zip(&parts[..axes.into()]) {
            *to = self.value(part, Type::U32)?;
        }
        Ok(Some(offset))
    }

    /// The parameters that a helper takes besides its own.
    fn more(arguments: &mut Vec<Id>, sampler: Option<Id>, offset: Option<[Id; 3]>) -> More {
        arguments.extend(sampler);
        arguments.extend(offset.into_iter().flatten());
        More {
            sampler: sampler.is_some(),
            offset: offset.is_some(),
        }
    }

    pub(super) fn texture(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Txq | Opcode::Suq => return self.texture_query(i),
            Opcode::Istypep => return self.is_type(i),
            Opcode::Tld4 => return self.texture_gather(i),
            Opcode::Tex => {}
            _ => return unsupported(i),
        }
        let Some(geometry) = Geometry::of(i) else {
            return unsupported(i);
        };
        let (explicit, gradient) = (i.has(Modifier::Level), i.has(Modifier::Grad));
        let operands = 2 + usize::from(explicit) + 2 * usize::from(gradient);
        let mut types = i.types();
        let (result, coordinate) = (types.next(), types.next());
        let known = match result {
            Some(Modifier::F32 | Modifier::U32 | Modifier::S32 | Modifier::F16) => {
                i.has(Modifier::V4)
            }
            Some(Modifier::F16x2) => i.has(Modifier::V2),
            _ => false,
        };
        if !known {
            return unsupported(i);
        }
        if i.operands.len() < operands {
            return Err(EmitError::Invalid(
                "a texture access without a level".into(),
            ));
        }
        let (handle, sampler, parts) = self.texture_operands(i, 1)?;
        let offset = match geometry.cube {
            true if i.operands.len() > operands => return unsupported(i),
            true => None,
            false => self.texel_offset(i, operands, geometry.axes)?,
        };
        let needed = usize::from(geometry.layered)
            + if geometry.cube {
                3
            } else {
                usize::from(geometry.axes)
            };
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
        let texel = match coordinate {
            Some(Modifier::S32 | Modifier::U32) if !geometry.cube && !gradient => {
                let level = match explicit {
                    true => self.value(&i.operands[2], Type::U32)?,
                    false => zero,
                };
                let mut xyz = [zero; 3];
                for (axis, to) in xyz.iter_mut().enumerate().take(geometry.axes.into()) {
                    *to = self.value(&rest[axis], Type::U32)?;
                }
                let [x, y, z] = xyz;
                let axes = geometry.axes;
                let mut arguments = vec![handle, x, y, z, layer, level];
                let more = Self::more(&mut arguments, sampler, offset);
                let helper = Helper::Fetch {
                    axes,
                    explicit,
                    more,
                };
                self.call_helper(helper, TEXEL, &arguments)
            }
            Some(Modifier::F32) => {
                let mut xyz = [self.literal_f32(0.0); 3];
                let count = if geometry.cube { 3 } else { geometry.axes };
                for (axis, to) in xyz.iter_mut().enumerate().take(count.into()) {
                    *to = self.value(&rest[axis], Type::F32)?;
                }
                let direction = xyz;
                let mut layer = layer;
                if geometry.cube {
                    (xyz, layer) = self.on_cube(xyz, layer);
                }
                let level = if explicit {
                    self.value(&i.operands[2], Type::F32)?
                } else if gradient {
                    let direction = geometry.cube.then_some(direction);
                    self.gradient_level(handle, geometry.axes, direction, &i.operands[2..4])?
                } else {
                    self.literal_f32(0.0)
                };
                let [x, y, z] = xyz;
                let axes = geometry.axes;
                let mut arguments = vec![handle, x, y, z, layer, level];
                let more = Self::more(&mut arguments, sampler, offset);
                self.call_helper(Helper::Sample { axes, more }, TEXEL, &arguments)
            }
            _ => return unsupported(i),
        };
        self.set_texel(self.operand(i, 0)?, texel, result)
    }

    /// Writes the four results, as half precision where the type is that, and the predicate that says whether the texel is
    /// resident.
    fn set_texel(&mut self, to: &Operand, texel: Id, ty: Option<ScalarType>) -> Result<()> {
        let to = match to {
            Operand::Pair(pair) => {
                let resident = self.asm.constant(Type::Bool, 1);
                self.set(&pair.1, Type::Bool, resident)?;
                &pair.0
            }
            one => one,
        };
        if let Some(Modifier::F16 | Modifier::F16x2) = ty {
            let halves = [0, 1, 2, 3].map(|n| {
                let word = self.part(texel, n);
                let number = self.as_single(word);
                self.single_to_half(number)
            });
            let packed = ty == Some(Modifier::F16x2);
            for (n, part) in Self::elements(to).iter().enumerate() {
                if matches!(part, Operand::Sink) {
                    continue;
                }
                if !packed && n < 4 {
                    self.set(part, Type::U16, halves[n])?;
                } else if packed && n < 2 {
                    let pair = Type::Vector(Scalar::U16, 2);
                    let pair = self.asm.op(
                        Op::CompositeConstruct,
                        pair,
                        &[halves[2 * n], halves[2 * n + 1]],
                    );
                    let word = self.asm.op(Op::Bitcast, Type::U32, &[pair]);
                    self.set(part, Type::U32, word)?;
                }
            }
            return Ok(());
        }
        for (n, part) in Self::elements(to).iter().enumerate().take(4) {
            if !matches!(part, Operand::Sink) {
                let word = self.part(texel, n as u32);
                self.set(part, Type::U32, word)?;
            }
        }
        Ok(())
    }

    /// The place on the face of a cube that a direction points to, and the layer that the face is.
    fn on_cube(&mut self, direction: [Id; 3], layer: Id) -> ([Id; 3], Id) {
        let six = self.asm.u32(6);
        let first = self.n(Op::IMul, layer, six);
        let place = self.call_helper(Helper::CubeFace, TEXEL, &direction);
        let [s, t, face] = [0, 1, 2].map(|n| self.part(place, n));
        let place = [self.as_single(s), self.as_single(t), direction[2]];
        (place, self.n(Op::IAdd, first, face))
    }

    /// The level of detail of two derivatives: the logarithm of the longer one in texels. `direction`: of a cube, whose derivatives
    /// are those of the direction.
    fn gradient_level(
        &mut self,
        handle: Id,
        axes: u8,
        direction: Option<[Id; 3]>,
        derivatives: &[Operand],
    ) -> Result<Id> {
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let mut squares = Vec::new();
        for derivative in derivatives {
            let parts = Self::elements(derivative);
            let count = if direction.is_some() { 3 } else { axes.into() };
            if parts.len() < count {
                return Err(EmitError::Invalid("a derivative of too few axes".into()));
            }
            let mut along = Vec::new();
            for part in &parts[..count] {
                along.push(self.value(part, Type::F32)?);
            }
            if let Some(direction) = direction {
                let arguments = [&direction[..], &along].concat();
                let slope = self.call_helper(Helper::CubeSlope, TEXEL, &arguments);
                let [s, t] = [0, 1].map(|n| self.part(slope, n));
                along = vec![self.as_single(s), self.as_single(t)];
            }
            let mut sum = self.literal_f32(0.0);
            for (axis, d) in along.into_iter().enumerate() {
                let size = self.part(extent, axis as u32);
                let size = self.asm.op(Op::ConvertUToF, Type::F32, &[size]);
                let d = self.real(Op::FMul, d, size);
                let square = self.real(Op::FMul, d, d);
                sum = self.real(Op::FAdd, sum, square);
            }
            squares.push(sum);
        }
        let longest = self.asm.glsl(GLOp::FMax, Type::F32, &squares);
        let logarithm = self.asm.glsl(GLOp::Log2, Type::F32, &[longest]);
        let half = self.literal_f32(0.5);
        Ok(self.real(Op::FMul, logarithm, half))
    }

    /// tld4: a channel of the four texels that a linear sample of a 2D texture would weigh, counter-clockwise from the
    /// lower left.
    fn texture_gather(&mut self, i: &Instruction) -> Result<()> {
        let channel = i.modifiers.iter().find_map(|m| match m {
            Modifier::R => Some(0),
            Modifier::G => Some(1),
            Modifier::B => Some(2),
            Modifier::A => Some(3),
            _ => None,
        });
        let (Some(channel), Some(geometry)) = (channel, Geometry::of(i)) else {
            return unsupported(i);
        };
        if geometry.axes != 2 || geometry.cube && i.operands.len() > 2 {
            return unsupported(i);
        }
        let (handle, sampler, parts) = self.texture_operands(i, 1)?;
        let offset = self.texel_offset(i, 2, 2)?;
        let zero = self.asm.u32(0);
        let (layer, rest) = match geometry.layered {
            true => (self.value(&parts[0], Type::U32)?, &parts[1..]),
            false => (zero, parts),
        };
        let count = if geometry.cube { 3 } else { 2 };
        if rest.len() < count {
            return Err(EmitError::Invalid("tld4 with too few coordinates".into()));
        }
        let mut xyz = [zero; 3];
        for (to, part) in xyz.iter_mut().zip(&rest[..count]) {
            *to = self.value(part, Type::F32)?;
        }
        let mut layer = layer;
        if geometry.cube {
            (xyz, layer) = self.on_cube(xyz, layer);
        }
        let [x, y, _] = xyz;
        let channel = self.asm.u32(channel);
        let mut arguments = vec![handle, x, y, layer, channel];
        let more = Self::more(&mut arguments, sampler, offset);
        let texel = self.call_helper(Helper::Gather { more }, TEXEL, &arguments);
        self.set_texel(self.operand(i, 0)?, texel, None)
    }

    /// istypep: what a handle's descriptor is of.
    fn is_type(&mut self, i: &Instruction) -> Result<()> {
        let class = match i.modifiers.first() {
            Some(Modifier::Texref) => Class::Texture,
            Some(Modifier::Samplerref) => Class::Sampler,
            Some(Modifier::Surfref) => Class::Surface,
            _ => return unsupported(i),
        };
        let handle = self.texture_handle(self.operand(i, 1)?)?;
        let at = self.offset(handle, Type::U64, offset::CLASS.into());
        let found = self.load_device(at, Type::U32, READ_ONLY);
        let class = self.asm.u32(class as u32);
        let is = self.test(Op::IEqual, found, class);
        self.set(self.operand(i, 0)?, Type::Bool, is)
    }

    /// Four bits of a table of numbers.
    fn nibble(&mut self, table: u32, index: Id) -> Id {
        let (two, four) = (self.asm.u32(2), self.asm.u32(4));
        let at = self.n(Op::ShiftLeftLogical, index, two);
        let table = self.asm.u32(table);
        self.asm
            .op(Op::BitFieldUExtract, Type::U32, &[table, at, four])
    }

    /// txq and suq: what the descriptor says.
    fn texture_query(&mut self, i: &Instruction) -> Result<()> {
        let handle = self.texture_handle(self.operand(i, 1)?)?;
        let level = match i.has(Modifier::Level) {
            true => self.value(self.operand(i, 2)?, Type::U32)?,
            false => self.asm.u32(0),
        };
        let id = if let Some(axis) = [Modifier::Width, Modifier::Height, Modifier::Depth]
            .into_iter()
            .position(|m| i.has(m))
        {
            let extent = self.descriptor_words(handle, offset::EXTENT);
            let size = self.part(extent, axis as u32);
            self.at_level(size, level)
        } else if i.has(Modifier::ArraySize) {
            let extent = self.descriptor_words(handle, offset::EXTENT);
            self.part(extent, 3)
        } else if i.has(Modifier::NumMipmapLevels) {
            let sampler = self.descriptor_words(handle, offset::SAMPLER);
            self.part(sampler, 1)
        } else if i.has(Modifier::NumSamples) || i.has(Modifier::MemoryLayout) {
            // No texture has several samples, and no surface is plain memory.
            self.asm.u32(0)
        } else if i.has(Modifier::ChannelDataType) {
            let format = self.descriptor_words(handle, offset::FORMAT);
            let [bits, kind] = [0, 2].map(|n| self.part(format, n));
            let first = self.nibble(CHANNEL_KINDS, kind);
            let (least, three) = (self.asm.u32(CHANNEL_DATA_TYPE), self.asm.u32(3));
            let width = self.asm.glsl(GLOp::FindILsb, Type::U32, &[bits]);
            let width = self.n(Op::ISub, width, three);
            let number = self.n(Op::IAdd, first, width);
            self.n(Op::IAdd, number, least)
        } else if i.has(Modifier::ChannelOrder) {
            let format = self.descriptor_words(handle, offset::FORMAT);
            let channels = self.part(format, 1);
            let order = self.nibble(CHANNEL_ORDERS, channels);
            let least = self.asm.u32(::texture::CHANNEL_ORDERS[0]);
            self.n(Op::IAdd, order, least)
        } else if let Some(axis) = [
            Modifier::AddrMode0,
            Modifier::AddrMode1,
            Modifier::AddrMode2,
        ]
        .into_iter()
        .position(|m| i.has(m))
        {
            let sampler = self.descriptor_words(handle, offset::SAMPLER);
            let modes = self.part(sampler, 0);
            let mode = self.mode_of(modes, axis as u32);
            self.nibble(::texture::QUERIED_MODES, mode)
        } else {
            let flag = if i.has(Modifier::NormalizedCoords) {
                ::texture::FLAG_NORMALIZED_COORDINATES
            } else if i.has(Modifier::FilterMode) {
                ::texture::FLAG_LINEAR
            } else if i.has(Modifier::ForceUnnormalizedCoords) {
                ::texture::FLAG_FORCE_UNNORMALIZED
            } else {
                return unsupported(i);
            };
            let format = self.descriptor_words(handle, offset::FORMAT);
            let flags = self.part(format, 3);
            let (at, one) = (self.asm.u32(flag.trailing_zeros()), self.asm.u32(1));
            self.asm
                .op(Op::BitFieldUExtract, Type::U32, &[flags, at, one])
        };
        self.set(self.operand(i, 0)?, Type::U32, id)
    }
}
