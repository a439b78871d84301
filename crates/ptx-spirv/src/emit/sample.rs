//! The functions of a shader that read textures, one level above the other: an index from a coordinate
//! ([`Helper::TextureIndex`]), a texel ([`Helper::Texel`]), a sample ([`Helper::Sample`]). Taps and levels are loops, because
//! drivers compile every function anew wherever it is called.

use super::texture::{READ_ONLY, TEXEL};
use super::*;
use ::texture::{offset, AddressMode, Kind};
use rspirv::spirv::GLOp;

/// What a texel at an index outside of the texture has as its index: the border.
const OUTSIDE: u32 = u32::MAX;
/// Magnitude to which coordinates are limited before they become integers.
const FARTHEST: f32 = (1 << 30) as f32;

/// How an axis is sampled on one level.
#[derive(Clone, Copy)]
struct Axis {
    /// Texels.
    size: Id,
    /// Index of the lower texel, signed.
    first: Id,
    /// Weight of the upper one.
    fraction: Id,
    mode: Id,
}

/// How a texture is read: words of its descriptor, or of that of a sampler of its own.
struct Reading {
    /// Where the border's colour is.
    border: Id,
    flags: Id,
    modes: Id,
    levels: Id,
    bias: Id,
    least: Id,
    most: Id,
    /// Added to the indices.
    offset: Option<[Id; 3]>,
}

impl Emitter<'_> {
    /// Starts a helper whose first parameter is a texture's handle.
    fn begin_reading(&mut self, id: Id, parameters: &[Type], more: More) -> (Vec<Id>, Reading) {
        let mut types = parameters.to_vec();
        types.extend(more.sampler.then_some(Type::U64));
        types.extend(more.offset.then_some([Type::U32; 3]).into_iter().flatten());
        let p = self.asm.begin_function(id, TEXEL, &types);
        let mut rest = p[parameters.len()..].iter().copied();
        let sampler = if more.sampler { rest.next() } else { None };
        let how = sampler.unwrap_or(p[0]);
        let format = self.descriptor_words(how, offset::FORMAT);
        let words = self.descriptor_words(how, offset::SAMPLER);
        let [modes, mut levels, bias, least] = [0, 1, 2, 3].map(|n| self.part(words, n));
        let [bias, least] = [bias, least].map(|word| self.as_single(word));
        let most = {
            let at = self.offset(how, Type::U64, offset::MOST_LEVEL.into());
            self.load_device(at, Type::F32, READ_ONLY)
        };
        let mut flags = self.part(format, 3);
        if sampler.is_some() {
            let words = self.descriptor_words(p[0], offset::SAMPLER);
            levels = self.part(words, 1);
            // Whether coordinates are normalised is the texture's, but for samplers that force it.
            let of_texture = self.descriptor_words(p[0], offset::FORMAT);
            let of_texture = self.part(of_texture, 3);
            let [bit, kept, forced] = [
                ::texture::FLAG_NORMALIZED_COORDINATES,
                ::texture::FLAG_LINEAR | ::texture::FLAG_LINEAR_LEVELS,
                ::texture::FLAG_FORCE_UNNORMALIZED,
            ]
            .map(|n| self.asm.u32(n));
            let is_forced = self.n(Op::BitwiseAnd, flags, forced);
            let zero = self.asm.u32(0);
            let is_forced = self.test(Op::INotEqual, is_forced, zero);
            let normalized = self.n(Op::BitwiseAnd, of_texture, bit);
            let normalized = self.pick(Type::U32, is_forced, zero, normalized);
            let kept = self.n(Op::BitwiseAnd, flags, kept);
            flags = self.n(Op::BitwiseOr, kept, normalized);
        }
        let offset = match more.offset {
            true => Some(std::array::from_fn(|_| rest.next().unwrap_or(p[0]))),
            false => None,
        };
        let reading = Reading {
            border: how,
            flags,
            modes,
            levels,
            bias,
            least,
            most,
            offset,
        };
        (p, reading)
    }

    /// An index with the offset of its axis.
    fn moved(&mut self, index: Id, reading: &Reading, axis: usize) -> Id {
        match reading.offset {
            Some(offset) => self.n(Op::IAdd, index, offset[axis]),
            None => index,
        }
    }

    /// A texel: its handle, level, x, y and slice.
    fn read_texel(&mut self, place: [Id; 5], reading: &Reading) -> Id {
        let texel = self.call_helper(Helper::Texel, TEXEL, &place);
        if place[0] == reading.border {
            return texel;
        }
        // The border's colour is the sampler's.
        let outside = self.asm.u32(OUTSIDE);
        let mut border = self.test(Op::IEqual, place[2], outside);
        for index in &place[3..] {
            let out = self.test(Op::IEqual, *index, outside);
            border = self.test(Op::LogicalOr, border, out);
        }
        let colour = self.border_colour(reading.border, place[0]);
        let four = Type::Vector(Scalar::Bool, 4);
        let border = self.asm.op(Op::CompositeConstruct, four, &[border; 4]);
        self.pick(TEXEL, border, colour, texel)
    }

    /// A sampler's border as texels of a texture have it: what they have no channel for is 0.
    fn border_colour(&mut self, sampler: Id, texture: Id) -> Id {
        let u = Type::U32;
        let colour = self.descriptor_words(sampler, offset::BORDER);
        let format = self.descriptor_words(texture, offset::FORMAT);
        let (channels, zero) = (self.part(format, 1), self.asm.u32(0));
        let parts = [0, 1, 2, 3].map(|n| {
            let (part, c) = (self.part(colour, n), self.asm.u32(n));
            let there = self.test(Op::ULessThan, c, channels);
            self.pick(u, there, part, zero)
        });
        self.asm.op(Op::CompositeConstruct, TEXEL, &parts)
    }

    pub(super) fn write_texture_helper(&mut self, helper: Helper, id: Id) {
        match helper {
            Helper::TextureIndex => self.write_texture_index(id),
            Helper::Texel => self.write_texel(id),
            Helper::Fetch {
                axes,
                explicit,
                more,
            } => self.write_fetch(id, axes, explicit, more),
            Helper::Sample { axes, more } => self.write_sample(id, axes, more),
            Helper::Gather { more } => self.write_gather(id, more),
            Helper::PackTexel => self.write_pack_texel(id),
            Helper::CubeSlope => self.write_cube_slope(id),
            _ => self.write_cube_face(id),
        }
    }

    /// The index of the texel that a signed index means, by the address mode of its axis.
    fn write_texture_index(&mut self, id: Id) {
        let u = Type::U32;
        let p = self.asm.begin_function(id, u, &[u, u, u]);
        let (index, size, mode) = (p[0], p[1], p[2]);
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let repeats = {
            let [wrap, mirror] =
                [AddressMode::Wrap, AddressMode::Mirror].map(|m| self.asm.u32(m as u32));
            let wrap = self.test(Op::IEqual, mode, wrap);
            let mirrored = self.test(Op::IEqual, mode, mirror);
            (self.test(Op::LogicalOr, wrap, mirrored), mirrored)
        };
        let result = self.choose(
            repeats.0,
            u,
            |e| {
                let doubled = e.n(Op::IAdd, size, size);
                let period = e.pick(u, repeats.1, doubled, size);
                // Vulkan leaves SMod of negative numbers undefined.
                let before = e.test(Op::SLessThan, index, zero);
                let turned = e.asm.op(Op::Not, u, &[index]);
                let distance = e.pick(u, before, turned, index);
                let at = e.n(Op::UMod, distance, period);
                let end = e.n(Op::ISub, period, one);
                let from_end = e.n(Op::ISub, end, at);
                let at = e.pick(u, before, from_end, at);
                let last = e.n(Op::ISub, doubled, one);
                let back = e.n(Op::ISub, last, at);
                let first_half = e.test(Op::ULessThan, at, size);
                e.pick(u, first_half, at, back)
            },
            |e| {
                let last = e.n(Op::ISub, size, one);
                let clamped = e.asm.glsl(GLOp::SClamp, u, &[index, zero, last]);
                let border = e.asm.u32(AddressMode::Border as u32);
                let border = e.test(Op::IEqual, mode, border);
                let out = e.test(Op::UGreaterThanEqual, index, size);
                let border = e.test(Op::LogicalAnd, border, out);
                let outside = e.asm.u32(OUTSIDE);
                e.pick(u, border, outside, clamped)
            },
        );
        self.asm.void(Op::ReturnValue, &[result]);
    }

    /// The texel at indices within a level, as the four words that a read returns.
    fn write_texel(&mut self, id: Id) {
        let u = Type::U32;
        let p = self.asm.begin_function(id, TEXEL, &[Type::U64, u, u, u, u]);
        let (handle, level, x, y, slice) = (p[0], p[1], p[2], p[3], p[4]);
        let outside = self.asm.u32(OUTSIDE);
        let mut border = self.test(Op::IEqual, x, outside);
        for index in [y, slice] {
            let out = self.test(Op::IEqual, index, outside);
            border = self.test(Op::LogicalOr, border, out);
        }
        let result = self.choose(
            border,
            TEXEL,
            |e| e.descriptor_words(handle, offset::BORDER),
            |e| e.texel_inside(handle, level, x, y, slice),
        );
        self.asm.void(Op::ReturnValue, &[result]);
    }

    /// The address of a texel, the bytes of which `size` are a power of two up to 16.
    pub(super) fn texel_address(
        &mut self,
        handle: Id,
        level: Id,
        x_bytes: Id,
        y: Id,
        slice: Id,
    ) -> Id {
        let (four, first) = (self.asm.u32(4), self.asm.u32(offset::LEVELS));
        let at = self.n(Op::ShiftLeftLogical, level, four);
        let at = self.n(Op::IAdd, at, first);
        let at = self.asm.op(Op::UConvert, Type::U64, &[at]);
        let at = self.w(Op::IAdd, handle, at);
        let entry = self.load_device(at, TEXEL, READ_ONLY);
        let [low, high, pitch, rows] = [0, 1, 2, 3].map(|n| self.part(entry, n));
        let base = self.join(low, high);
        let row = self.n(Op::IMul, slice, rows);
        let row = self.n(Op::IAdd, row, y);
        let [row, pitch] = [row, pitch].map(|id| self.asm.op(Op::UConvert, Type::U64, &[id]));
        let skip = self.w(Op::IMul, row, pitch);
        let at = self.w(Op::IAdd, base, skip);
        self.w(Op::IAdd, at, x_bytes)
    }

    fn texel_inside(&mut self, handle: Id, level: Id, x: Id, y: Id, slice: Id) -> Id {
        let u = Type::U32;
        let format = self.descriptor_words(handle, offset::FORMAT);
        let [bits, channels, kind, flags] = [0, 1, 2, 3].map(|n| self.part(format, n));
        let three = self.asm.u32(3);
        let bytes = self.n(Op::ShiftRightLogical, bits, three);
        let size = self.n(Op::IMul, bytes, channels);
        let x_bytes = {
            let [x, size] = [x, size].map(|id| self.asm.op(Op::UConvert, Type::U64, &[id]));
            self.w(Op::IMul, x, size)
        };
        let at = self.texel_address(handle, level, x_bytes, y, slice);

        // The texel's words, what is before it in its first word shifted out.
        let words = self.asm.variable(TEXEL);
        let nothing = self.asm.null(TEXEL);
        let mask = self.asm.constant(Type::U64, !3);
        let aligned = self.w(Op::BitwiseAnd, at, mask);
        let byte = self.asm.op(Op::UConvert, u, &[at]);
        let byte = self.n(Op::BitwiseAnd, byte, three);
        let shift = self.n(Op::ShiftLeftLogical, byte, three);
        let first = self.load_device(aligned, u, READ_ONLY);
        let first = self.n(Op::ShiftRightLogical, first, shift);
        let whole = self
            .asm
            .op(Op::CompositeInsert, TEXEL, &[first, nothing, 0]);
        self.asm.void(Op::Store, &[words, whole]);
        let four = self.asm.u32(4);
        let long = self.test(Op::UGreaterThan, size, four);
        self.when(long, |e| {
            let next = e.offset(aligned, Type::U64, 4);
            let second = e.load_device(next, u, READ_ONLY);
            let pair = e.asm.op(Op::CompositeInsert, TEXEL, &[second, whole, 1]);
            e.asm.void(Op::Store, &[words, pair]);
            let eight = e.asm.u32(8);
            let longest = e.test(Op::UGreaterThan, size, eight);
            e.when(longest, |e| {
                let mut all = pair;
                for n in 2..4 {
                    let next = e.offset(aligned, Type::U64, 4 * i64::from(n));
                    let word = e.load_device(next, u, READ_ONLY);
                    all = e.asm.op(Op::CompositeInsert, TEXEL, &[word, all, n]);
                }
                e.asm.void(Op::Store, &[words, all]);
            });
        });
        let loaded = self.asm.op(Op::Load, TEXEL, &[words]);
        let loaded = [0, 1, 2, 3].map(|n| self.part(loaded, n));

        let [is_8, is_32] = [8, 32].map(|n| {
            let n = self.asm.u32(n);
            self.test(Op::IEqual, bits, n)
        });
        let signed = self.has_flag(kind, Kind::Signed as u32);
        let float = self.has_flag(kind, Kind::Float as u32);
        let normalized = self.has_flag(kind, ::texture::NORMALIZED);
        // A sum of two products is the quotient by the greatest number.
        let units = [8, 7, 16, 15].map(::texture::Format::parts_of_unit);
        let scales = [0, 1].map(|n| {
            let [a, b, c, d] = units.map(|parts| self.literal_f32(parts[n]));
            let short = self.pick(Type::F32, signed, b, a);
            let long = self.pick(Type::F32, signed, d, c);
            self.pick(Type::F32, is_8, short, long)
        });
        let zero = self.asm.u32(0);
        let mut parts = Vec::new();
        for c in 0..4u32 {
            // Channels of 8 bits are all in the first word, those of 16 in the first two.
            let word = {
                let wide = loaded[c as usize];
                let half = loaded[c as usize / 2];
                let narrow = self.pick(u, is_8, loaded[0], half);
                self.pick(u, is_32, wide, narrow)
            };
            let position = {
                let [byte, half] = [c * 8, c % 2 * 16].map(|n| self.asm.u32(n));
                let narrow = self.pick(u, is_8, byte, half);
                self.pick(u, is_32, zero, narrow)
            };
            let plain = self
                .asm
                .op(Op::BitFieldUExtract, u, &[word, position, bits]);
            let extended = self
                .asm
                .op(Op::BitFieldSExtract, u, &[word, position, bits]);
            let integer = self.pick(u, signed, extended, plain);
            let number = {
                let a = self.asm.op(Op::ConvertUToF, Type::F32, &[plain]);
                let b = self.asm.op(Op::ConvertSToF, Type::F32, &[extended]);
                let n = self.pick(Type::F32, signed, b, a);
                let [first, second] = scales.map(|scale| self.real(Op::FMul, n, scale));
                let n = self.real(Op::FAdd, first, second);
                // Of signed numbers the least is below -1.
                let least = self.literal_f32(-1.0);
                let n = self.asm.glsl(GLOp::FMax, Type::F32, &[n, least]);
                self.asm.op(Op::Bitcast, u, &[n])
            };
            let half = {
                let pair =
                    self.asm
                        .glsl(GLOp::UnpackHalf2x16, Type::Vector(Scalar::F32, 2), &[plain]);
                let n = self.asm.op(Op::CompositeExtract, Type::F32, &[pair, 0]);
                self.asm.op(Op::Bitcast, u, &[n])
            };
            let floating = self.pick(u, is_32, plain, half);
            let value = self.pick(u, float, floating, integer);
            let value = self.pick(u, normalized, number, value);
            let c = self.asm.u32(c);
            let there = self.test(Op::ULessThan, c, channels);
            parts.push(self.pick(u, there, value, zero));
        }
        let texel = self.asm.op(Op::CompositeConstruct, TEXEL, &parts);
        let srgb = self.has_flag(flags, ::texture::FLAG_SRGB);
        self.choose(srgb, TEXEL, |e| e.linear_texel(texel, channels), |_| texel)
    }

    /// A texel of sRGB numbers as linear ones, as [`texture::linear_of_srgb`] has it.
    /// The last of several channels is none.
    fn linear_texel(&mut self, texel: Id, channels: Id) -> Id {
        use ::texture::srgb;
        let f = Type::F32;
        let result = self.asm.variable(TEXEL);
        let root = self.asm.variable(f);
        self.asm.void(Op::Store, &[result, texel]);
        let [last, slope, shift, scale, first, start, kept, gained] = [
            srgb::LAST_OF_LINE,
            srgb::SLOPE,
            srgb::SHIFT,
            srgb::SCALE,
            srgb::FIRST[0],
            srgb::FIRST[1],
            srgb::KEPT,
            srgb::GAINED,
        ]
        .map(|n| self.literal_f32(n));
        let (one, steps) = (self.asm.u32(1), self.asm.u32(srgb::STEPS));
        let colours = self.n(Op::ISub, channels, one);
        let colours = self.asm.glsl(GLOp::UMax, Type::U32, &[colours, one]);
        self.count_up(colours, |e, n| {
            let old = e.asm.op(Op::Load, TEXEL, &[result]);
            let v = e.asm.op(Op::VectorExtractDynamic, Type::U32, &[old, n]);
            let v = e.as_single(v);
            let base = e.real(Op::FAdd, v, shift);
            let base = e.real(Op::FMul, base, scale);
            let square = e.real(Op::FMul, base, base);
            let guess = e.real(Op::FMul, square, first);
            let guess = e.real(Op::FAdd, guess, start);
            e.asm.void(Op::Store, &[root, guess]);
            e.count_up(steps, |e, _| {
                let r = e.asm.op(Op::Load, f, &[root]);
                let power = e.real(Op::FMul, r, r);
                let power = e.real(Op::FMul, power, power);
                let a = e.real(Op::FMul, r, kept);
                let b = e.real(Op::FMul, square, gained);
                let b = e.real(Op::FDiv, b, power);
                let r = e.real(Op::FAdd, a, b);
                e.asm.void(Op::Store, &[root, r]);
            });
            let r = e.asm.op(Op::Load, f, &[root]);
            let curve = e.real(Op::FMul, square, r);
            let line = e.real(Op::FMul, v, slope);
            let is_line = e.test(Op::FOrdLessThanEqual, v, last);
            let v = e.pick(f, is_line, line, curve);
            let v = e.asm.op(Op::Bitcast, Type::U32, &[v]);
            let new = e.asm.op(Op::VectorInsertDynamic, TEXEL, &[old, v, n]);
            e.asm.void(Op::Store, &[result, new]);
        });
        self.asm.op(Op::Load, TEXEL, &[result])
    }

    /// The address mode of an axis.
    pub(super) fn mode_of(&mut self, modes: Id, axis: u32) -> Id {
        let (at, eight) = (self.asm.u32(8 * axis), self.asm.u32(8));
        self.asm
            .op(Op::BitFieldUExtract, Type::U32, &[modes, at, eight])
    }

    /// A layer's number, within the texture.
    fn layer_within(&mut self, layer: Id, extent: Id) -> Id {
        let one = self.asm.u32(1);
        let layers = self.part(extent, 3);
        let last = self.n(Op::ISub, layers, one);
        self.asm.glsl(GLOp::UMin, Type::U32, &[layer, last])
    }

    fn index_of(&mut self, index: Id, size: Id, mode: Id) -> Id {
        self.call_helper(Helper::TextureIndex, Type::U32, &[index, size, mode])
    }

    /// The texel at integer coordinates. Address modes are for those with an explicit level; without, there are zeros outside
    /// of the texture, as outside of its levels. (PTX says nothing of all this: it is what NVIDIA's hardware does.)
    fn write_fetch(&mut self, id: Id, axes: u8, explicit: bool, more: More) {
        let u = Type::U32;
        let (p, reading) = self.begin_reading(id, &[Type::U64, u, u, u, u, u], more);
        let (handle, layer, level) = (p[0], p[4], p[5]);
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let (modes, levels) = (reading.modes, reading.levels);
        let zero = self.asm.u32(0);
        let mut inside = self.test(Op::ULessThan, level, levels);
        let level = self.pick(u, inside, level, zero);
        let mut at = [zero; 3];
        for axis in 0..u32::from(axes) {
            let size = self.part(extent, axis);
            let size = self.at_level(size, level);
            let index = self.moved(p[1 + axis as usize], &reading, axis as usize);
            if explicit {
                let mode = self.mode_of(modes, axis);
                at[axis as usize] = self.index_of(index, size, mode);
                continue;
            }
            let fits = self.test(Op::ULessThan, index, size);
            at[axis as usize] = self.pick(u, fits, index, zero);
            inside = self.test(Op::LogicalAnd, inside, fits);
        }
        let slice = match axes {
            3 => at[2],
            _ => self.layer_within(layer, extent),
        };
        let texel = self.read_texel([handle, level, at[0], at[1], slice], &reading);
        let parts = [0, 1, 2, 3].map(|n| {
            let part = self.part(texel, n);
            self.pick(u, inside, part, zero)
        });
        let texel = self.asm.op(Op::CompositeConstruct, TEXEL, &parts);
        self.asm.void(Op::ReturnValue, &[texel]);
    }

    /// Where a coordinate falls on an axis of a level.
    fn axis(&mut self, coordinate: Id, size: Id, mode: Id, flags: Id, linear: Id) -> Axis {
        let f = Type::F32;
        let normalized = self.has_flag(flags, ::texture::FLAG_NORMALIZED_COORDINATES);
        let wrap = self.asm.u32(AddressMode::Wrap as u32);
        let wraps = self.test(Op::IEqual, mode, wrap);
        let down = self.asm.glsl(GLOp::Floor, f, &[coordinate]);
        let within = self.real(Op::FSub, coordinate, down);
        let x = self.pick(f, wraps, within, coordinate);
        let texels = self.asm.op(Op::ConvertUToF, f, &[size]);
        let scaled = self.real(Op::FMul, x, texels);
        let x = self.pick(f, normalized, scaled, coordinate);
        let (zero, half) = (self.literal_f32(0.0), self.literal_f32(0.5));
        let back = self.pick(f, linear, half, zero);
        let x = self.real(Op::FSub, x, back);
        let (least, most) = (self.literal_f32(-FARTHEST), self.literal_f32(FARTHEST));
        // Not a number counts as far below.
        let unordered = self.unordered(x, x);
        let x = self.pick(f, unordered, least, x);
        let x = self.asm.glsl(GLOp::FClamp, f, &[x, least, most]);
        let below = self.asm.glsl(GLOp::Floor, f, &[x]);
        let fraction = self.real(Op::FSub, x, below);
        // To 8 bits.
        let (steps, step) = (self.literal_f32(256.0), self.literal_f32(1.0 / 256.0));
        let fraction = self.real(Op::FMul, fraction, steps);
        let fraction = self.real(Op::FAdd, fraction, half);
        let fraction = self.asm.glsl(GLOp::Floor, f, &[fraction]);
        let fraction = self.real(Op::FMul, fraction, step);
        Axis {
            size,
            first: self.asm.op(Op::ConvertFToS, Type::U32, &[below]),
            fraction: self.pick(f, linear, fraction, zero),
            mode,
        }
    }

    /// A sample at a point and a level of detail.
    fn write_sample(&mut self, id: Id, axes: u8, more: More) {
        let (u, f) = (Type::U32, Type::F32);
        let (p, reading) = self.begin_reading(id, &[Type::U64, f, f, f, u, f], more);
        let (handle, layer, detail) = (p[0], p[4], p[5]);
        let result = self.asm.variable(TEXEL);
        let sums: [Id; 4] = std::array::from_fn(|_| self.asm.variable(f));
        let (nought, one) = (self.literal_f32(0.0), self.literal_f32(1.0));
        for sum in sums {
            self.asm.void(Op::Store, &[sum, nought]);
        }
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let Reading {
            flags,
            modes,
            levels,
            bias,
            least,
            most,
            ..
        } = reading;
        let linear = self.has_flag(flags, ::texture::FLAG_LINEAR);
        let between = self.has_flag(flags, ::texture::FLAG_LINEAR_LEVELS);
        let [zero, single, two] = [0, 1, 2].map(|n| self.asm.u32(n));

        // The level, and the weight of the next one.
        let detail = self.real(Op::FAdd, detail, bias);
        let detail = self.asm.glsl(GLOp::NClamp, f, &[detail, least, most]);
        let last = self.n(Op::ISub, levels, single);
        let last = self.asm.op(Op::ConvertUToF, f, &[last]);
        let detail = self.asm.glsl(GLOp::NClamp, f, &[detail, nought, last]);
        let half = self.literal_f32(0.5);
        let round = self.pick(f, between, nought, half);
        let base = self.real(Op::FAdd, detail, round);
        let base = self.asm.glsl(GLOp::Floor, f, &[base]);
        let beyond = self.real(Op::FSub, detail, base);
        let beyond = {
            let (steps, step) = (self.literal_f32(256.0), self.literal_f32(1.0 / 256.0));
            let n = self.real(Op::FMul, beyond, steps);
            let n = self.real(Op::FAdd, n, half);
            let n = self.asm.glsl(GLOp::Floor, f, &[n]);
            self.real(Op::FMul, n, step)
        };
        let beyond = self.pick(f, between, beyond, nought);
        let base = self.asm.op(Op::ConvertFToU, u, &[base]);
        let both = self.test(Op::FOrdGreaterThan, beyond, nought);
        let count = self.pick(u, both, two, single);
        let layer = match axes {
            3 => zero,
            _ => self.layer_within(layer, extent),
        };

        self.count_up(count, |e, n| {
            let level = e.n(Op::IAdd, base, n);
            let lower = e.test(Op::IEqual, n, zero);
            let rest = e.real(Op::FSub, one, beyond);
            let share = e.pick(f, lower, rest, beyond);
            let axis: Vec<Axis> = (0..u32::from(axes))
                .map(|axis| {
                    let size = e.part(extent, axis);
                    let size = e.at_level(size, level);
                    let mode = e.mode_of(modes, axis);
                    e.axis(p[1 + axis as usize], size, mode, flags, linear)
                })
                .collect();
            let all = e.asm.u32(1 << axes);
            let taps = e.pick(u, linear, all, single);
            e.count_up(taps, |e, tap| {
                let mut at = [zero; 3];
                let mut weight = share;
                for (index, axis) in axis.iter().enumerate() {
                    let upper = e.has_flag(tap, 1 << index);
                    let next = e.pick(u, upper, single, zero);
                    let first = e.n(Op::IAdd, axis.first, next);
                    let first = e.moved(first, &reading, index);
                    at[index] = e.index_of(first, axis.size, axis.mode);
                    let rest = e.real(Op::FSub, one, axis.fraction);
                    let part = e.pick(f, upper, axis.fraction, rest);
                    weight = e.real(Op::FMul, weight, part);
                }
                let slice = if axes == 3 { at[2] } else { layer };
                let texel = e.read_texel([handle, level, at[0], at[1], slice], &reading);
                e.asm.void(Op::Store, &[result, texel]);
                // What has no weight counts for nothing, infinities too.
                let counts = e.test(Op::FOrdNotEqual, weight, nought);
                for (channel, sum) in sums.into_iter().enumerate() {
                    let value = e.part(texel, channel as u32);
                    let value = e.as_single(value);
                    let value = e.real(Op::FMul, value, weight);
                    let value = e.pick(f, counts, value, nought);
                    let old = e.asm.op(Op::Load, f, &[sum]);
                    let new = e.real(Op::FAdd, old, value);
                    e.asm.void(Op::Store, &[sum, new]);
                }
            });
        });

        let exact = self.asm.op(Op::Load, TEXEL, &[result]);
        let words = sums.map(|sum| {
            let sum = self.asm.op(Op::Load, f, &[sum]);
            self.asm.op(Op::Bitcast, u, &[sum])
        });
        let weighed = self.asm.op(Op::CompositeConstruct, TEXEL, &words);
        let blended = self.test(Op::LogicalOr, linear, both);
        let blended = {
            let four = Type::Vector(Scalar::Bool, 4);
            self.asm.op(Op::CompositeConstruct, four, &[blended; 4])
        };
        let texel = self.pick(TEXEL, blended, weighed, exact);
        self.asm.void(Op::ReturnValue, &[texel]);
    }

    /// A channel of four texels: left and right of the upper row of indices, then of the lower, counter-clockwise.
    fn write_gather(&mut self, id: Id, more: More) {
        let (u, f) = (Type::U32, Type::F32);
        let (p, reading) = self.begin_reading(id, &[Type::U64, f, f, u, u], more);
        let (handle, layer, channel) = (p[0], p[3], p[4]);
        let extent = self.descriptor_words(handle, offset::EXTENT);
        let (flags, modes) = (reading.flags, reading.modes);
        let (zero, single) = (self.asm.u32(0), self.asm.u32(1));
        let linear = self.asm.constant(Type::Bool, 1);
        let layer = self.layer_within(layer, extent);
        let axis = [0, 1].map(|axis| {
            let size = self.part(extent, axis);
            let mode = self.mode_of(modes, axis);
            self.axis(p[1 + axis as usize], size, mode, flags, linear)
        });
        let result = self.asm.variable(TEXEL);
        let nothing = self.asm.null(TEXEL);
        self.asm.void(Op::Store, &[result, nothing]);
        let four = self.asm.u32(4);
        self.count_up(four, |e, n| {
            // (0, 1), (1, 1), (1, 0), (0, 0)
            let two = e.asm.u32(2);
            let next = e.n(Op::IAdd, n, single);
            let right = e.has_flag(next, 2);
            let below = e.test(Op::ULessThan, n, two);
            let at = [(right, 0), (below, 1)].map(|(upper, number): (Id, usize)| {
                let axis = &axis[number];
                let step = e.pick(u, upper, single, zero);
                let index = e.n(Op::IAdd, axis.first, step);
                let index = e.moved(index, &reading, number);
                e.index_of(index, axis.size, axis.mode)
            });
            let texel = e.read_texel([handle, zero, at[0], at[1], layer], &reading);
            let value = e.asm.op(Op::VectorExtractDynamic, u, &[texel, channel]);
            let old = e.asm.op(Op::Load, TEXEL, &[result]);
            let new = e.asm.op(Op::VectorInsertDynamic, TEXEL, &[old, value, n]);
            e.asm.void(Op::Store, &[result, new]);
        });
        let texel = self.asm.op(Op::Load, TEXEL, &[result]);
        self.asm.void(Op::ReturnValue, &[texel]);
    }

    /// The face that a direction points to, and where on it (CUDA C++ Programming Guide, "Cubemap Textures"): the two
    /// coordinates, then the face's number.
    fn write_cube_face(&mut self, id: Id) {
        let (u, f) = (Type::U32, Type::F32);
        let p = self.asm.begin_function(id, TEXEL, &[f, f, f]);
        let side = self.cube_side([p[0], p[1], p[2]]);
        let [s, t, m] = self.on_side(&side, [p[0], p[1], p[2]]);
        let faces: Vec<Id> = [0, 2, 4]
            .iter()
            .zip(side.positive)
            .map(|(&first, positive)| {
                let (a, b) = (self.asm.u32(first), self.asm.u32(first + 1));
                self.pick(u, positive, a, b)
            })
            .collect();
        let face = self.of_side(&side, u, [faces[0], faces[1], faces[2]]);
        let (one, half) = (self.literal_f32(1.0), self.literal_f32(0.5));
        let [s, t] = [s, t].map(|v| {
            let v = self.real(Op::FDiv, v, m);
            let v = self.real(Op::FAdd, v, one);
            let v = self.real(Op::FMul, v, half);
            self.asm.op(Op::Bitcast, u, &[v])
        });
        let zero = self.asm.u32(0);
        let place = self
            .asm
            .op(Op::CompositeConstruct, TEXEL, &[s, t, face, zero]);
        self.asm.void(Op::ReturnValue, &[place]);
    }

    /// By how much the place on the face of a direction changes with the direction: of x, y, z and their derivatives the derivatives
    /// of the two coordinates.
    fn write_cube_slope(&mut self, id: Id) {
        let f = Type::F32;
        let p = self.asm.begin_function(id, TEXEL, &[f; 6]);
        let side = self.cube_side([p[0], p[1], p[2]]);
        let [s, t, m] = self.on_side(&side, [p[0], p[1], p[2]]);
        let [ds, dt, dm] = self.on_side(&side, [p[3], p[4], p[5]]);
        let half = self.literal_f32(0.5);
        let square = self.real(Op::FMul, m, m);
        let [s, t] = [(s, ds), (t, dt)].map(|(v, d)| {
            let a = self.real(Op::FMul, d, m);
            let b = self.real(Op::FMul, v, dm);
            let v = self.real(Op::FSub, a, b);
            let v = self.real(Op::FDiv, v, square);
            let v = self.real(Op::FMul, v, half);
            self.asm.op(Op::Bitcast, Type::U32, &[v])
        });
        let zero = self.asm.u32(0);
        let slope = self
            .asm
            .op(Op::CompositeConstruct, TEXEL, &[s, t, zero, zero]);
        self.asm.void(Op::ReturnValue, &[slope]);
    }

    /// The side of a cube that a direction points to.
    fn cube_side(&mut self, direction: [Id; 3]) -> CubeSide {
        let [x, y, z] = direction.map(|v| self.asm.glsl(GLOp::FAbs, Type::F32, &[v]));
        let nought = self.literal_f32(0.0);
        let positive = direction.map(|v| self.test(Op::FOrdGreaterThanEqual, v, nought));
        let over_y = self.test(Op::FOrdGreaterThanEqual, x, y);
        let over_z = self.test(Op::FOrdGreaterThanEqual, x, z);
        CubeSide {
            is_x: self.test(Op::LogicalAnd, over_y, over_z),
            is_y: self.test(Op::FOrdGreaterThanEqual, y, z),
            positive,
        }
    }

    /// What belongs to the side's axis.
    fn of_side(&mut self, side: &CubeSide, ty: Type, [x, y, z]: [Id; 3]) -> Id {
        let rest = self.pick(ty, side.is_y, y, z);
        self.pick(ty, side.is_x, x, rest)
    }

    /// The parts of a direction along the two axes of a side, and towards it.
    fn on_side(&mut self, side: &CubeSide, [x, y, z]: [Id; 3]) -> [Id; 3] {
        let f = Type::F32;
        let [px, py, pz] = side.positive;
        let [nx, ny, nz] = [x, y, z].map(|v| self.asm.op(Op::FNegate, f, &[v]));
        let (sx, sz) = (self.pick(f, px, nz, z), self.pick(f, pz, x, nx));
        let s = self.of_side(side, f, [sx, x, sz]);
        let ty = self.pick(f, py, z, nz);
        let t = self.of_side(side, f, [ny, ty, ny]);
        let [x, y, z] =
            [(px, x, nx), (py, y, ny), (pz, z, nz)].map(|(p, v, n)| self.pick(f, p, v, n));
        let m = self.of_side(side, f, [x, y, z]);
        [s, t, m]
    }
}

/// A side of a cube, as conditions: by which axis, and in which direction of each.
struct CubeSide {
    is_x: Id,
    is_y: Id,
    positive: [Id; 3],
}
