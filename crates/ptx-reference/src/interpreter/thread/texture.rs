//! Texture reads and surface accesses (PTX ISA, "Texture Instructions", "Surface Instructions"; CUDA C++ Programming Guide,
//! "Texture Fetching").
//!
//! A handle is the address of a descriptor (crate `texture`) in global memory.

use super::{little_endian, Machine};
use crate::error::Error;
use crate::interpreter::program::*;
use crate::interpreter::{atomics, FaultKind};
use crate::semantics::softfloat;
use ::texture::{AddressMode, Class, Descriptor, Format, Kind, BYTES};
use ptx::Modifier as M;

/// What a texel is read as: the bits of four registers.
type Texel = [u32; 4];

/// What txq and suq say of a texture.
pub fn query(texture: &Descriptor, what: M, level: u32) -> u32 {
    let size = |axis: usize| extent(texture, axis, level);
    match what {
        M::Width => size(0),
        M::Height => size(1),
        M::Depth => size(2),
        M::ArraySize => texture.layers,
        M::NumMipmapLevels => texture.levels.len() as u32,
        // No texture has several samples, and no surface is plain memory.
        M::NumSamples | M::MemoryLayout => 0,
        M::ChannelDataType => texture.format.channel_data_type(),
        M::ChannelOrder => texture.format.channel_order(),
        M::FilterMode => texture.linear.into(),
        M::AddrMode0 => texture.address_modes[0].query(),
        M::AddrMode1 => texture.address_modes[1].query(),
        M::AddrMode2 => texture.address_modes[2].query(),
        M::ForceUnnormalizedCoords => texture.force_unnormalized.into(),
        _ => texture.normalized_coordinates.into(),
    }
}

/// What istypep says of a descriptor.
pub fn is_class(found: Class, asked: M) -> bool {
    match asked {
        M::Samplerref => found == Class::Sampler,
        M::Surfref => found == Class::Surface,
        _ => found == Class::Texture,
    }
}

/// Half precision of what a texture holds, to the nearest.
fn half_of(word: u32) -> u32 {
    let number = softfloat::F32.unpack(word.into());
    match f32::from_bits(word).is_nan() {
        true => 0x7fff,
        false => softfloat::F16.round(number, softfloat::Rounding::NearestEven) as u32,
    }
}

/// The bits of a channel of a surface's format that a number becomes (PTX ISA, "sust", sust.p): floating point, or integers, which
/// are limited to what the channel holds. PTX does not say how numbers are rounded; NVIDIA's hardware leaves off the bits that
/// half precision has no place for, those of what is not a number as well.
fn channel_of(format: Format, word: u32) -> u32 {
    let most = ((1u64 << format.bits) - 1) as u32;
    let half = most >> 1;
    match (format.kind, format.normalized) {
        (Kind::Float, _) if format.bits == 16 => {
            let number = softfloat::F32.unpack(word.into());
            match f32::from_bits(word).is_nan() {
                true => word >> 16 & 0x8000 | 0x7e00 | word >> 13 & 0x3ff,
                false => softfloat::F16.round(number, softfloat::Rounding::Zero) as u32,
            }
        }
        (Kind::Float, _) => word,
        (Kind::Unsigned, false) => word.min(most),
        (Kind::Signed, false) => (word as i32).clamp(-(half as i32) - 1, half as i32) as u32 & most,
        (kind, true) => {
            let (least, scale) = match kind {
                Kind::Signed => (-1.0, half),
                _ => (0.0, most),
            };
            let x = f32::from_bits(word);
            let x = if x.is_nan() { 0.0 } else { x };
            let share = x.clamp(least, 1.0) * scale as f32;
            share.round_ties_even() as i32 as u32 & most
        }
    }
}

fn extent(texture: &Descriptor, axis: usize, level: u32) -> u32 {
    texture.extent[axis].checked_shr(level).unwrap_or(0).max(1)
}

/// The texel that an index means; `None` is the border.
fn wrapped(index: i64, size: u32, mode: AddressMode) -> Option<u32> {
    let size = i64::from(size);
    let found = match mode {
        AddressMode::Wrap => index.rem_euclid(size),
        AddressMode::Mirror => {
            let at = index.rem_euclid(2 * size);
            at.min(2 * size - 1 - at)
        }
        AddressMode::Clamp => index.clamp(0, size - 1),
        AddressMode::Border if (0..size).contains(&index) => index,
        AddressMode::Border => return None,
    };
    Some(found as u32)
}

/// To 8 bits of fraction.
fn to_fixed(fraction: f32) -> f32 {
    (fraction * 256.0 + 0.5).floor() / 256.0
}

/// The index of the lower texel, and the weight of the upper one.
fn locate(
    texture: &Descriptor,
    axis: usize,
    size: u32,
    coordinate: f32,
    linear: bool,
) -> (i64, f32) {
    let mut x = coordinate;
    if texture.normalized_coordinates {
        if texture.address_modes[axis] == AddressMode::Wrap {
            x -= x.floor();
        }
        x *= size as f32;
    }
    if linear {
        x -= 0.5;
    }
    // Not a number counts as far below, and what is far away as far enough.
    const FARTHEST: f32 = (1 << 30) as f32;
    #[allow(clippy::manual_clamp)]
    let x = x.max(-FARTHEST).min(FARTHEST);
    let fraction = if linear { to_fixed(x - x.floor()) } else { 0.0 };
    (x.floor() as i64, fraction)
}

/// The face of a cube that a direction points to.
fn cube_face([x, y, z]: [f32; 3]) -> u32 {
    let is_positive = |v: f32| v >= 0.0;
    if x.abs() >= y.abs() && x.abs() >= z.abs() {
        u32::from(!is_positive(x))
    } else if y.abs() >= z.abs() {
        2 + u32::from(!is_positive(y))
    } else {
        4 + u32::from(!is_positive(z))
    }
}

/// What a direction has along the axes of a face, and towards it.
fn on_face(face: u32, [x, y, z]: [f32; 3]) -> ([f32; 2], f32) {
    match face {
        0 => ([-z, -y], x),
        1 => ([z, -y], -x),
        2 => ([x, z], y),
        3 => ([x, -z], -y),
        4 => ([x, -y], z),
        _ => ([-x, -y], -z),
    }
}

/// The face of a cube that a direction points to, and where on it.
fn cube_place(direction: [f32; 3]) -> (u32, [f32; 2]) {
    let face = cube_face(direction);
    let (place, m) = on_face(face, direction);
    (face, place.map(|v| (v / m + 1.0) * 0.5))
}

/// By how much the place on the face changes with the direction: `(v / m + 1) / 2` by its parts.
fn cube_slope(direction: [f32; 3], change: &[f32]) -> Vec<f32> {
    let face = cube_face(direction);
    let (place, m) = on_face(face, direction);
    let (changes, dm) = on_face(face, [change[0], change[1], change[2]]);
    let each = place.into_iter().zip(changes);
    each.map(|(v, d)| (d * m - v * dm) / (m * m) * 0.5)
        .collect()
}

/// A channel's bits as what is read.
fn channel(texture: &Descriptor, bits: u64) -> u32 {
    let format = texture.format;
    let signed = (bits << (64 - format.bits)) as i64 >> (64 - format.bits);
    match (format.kind, format.normalized) {
        (Kind::Float, _) if format.bits == 16 => {
            let number = softfloat::F16.to_f64(bits) as f32;
            number.to_bits()
        }
        (Kind::Float, _) | (Kind::Unsigned, false) => bits as u32,
        (Kind::Signed, false) => signed as u32,
        (Kind::Unsigned, true) => {
            let most = ((1u64 << format.bits) - 1) as f32;
            (bits as f32 / most).to_bits()
        }
        (Kind::Signed, true) => {
            let most = ((1u64 << (format.bits - 1)) - 1) as f32;
            (signed as f32 / most).max(-1.0).to_bits()
        }
    }
}

impl Machine<'_, '_> {
    pub(super) fn descriptor(&mut self, i: &Decoded, handle: Source) -> Result<Descriptor, Error> {
        let address = self.read(handle);
        let bytes = self.slice(i, (Space::Global, address), BYTES as u64)?;
        match Descriptor::decode(bytes) {
            Some(texture) => Ok(texture),
            None => Err(self.undefined(i, format!("{address:#x} is no texture"))),
        }
    }

    fn texel(
        &mut self,
        i: &Decoded,
        texture: &Descriptor,
        level: usize,
        at: [Option<u32>; 3],
    ) -> Result<Texel, Error> {
        let [Some(x), Some(y), Some(slice)] = at else {
            return Ok(texture.border);
        };
        let format = texture.format;
        let size = u64::from(format.texel_bytes());
        let place = texture.levels[level];
        let row = u64::from(slice) * u64::from(place.rows) + u64::from(y);
        let address = place.address + row * u64::from(place.pitch) + u64::from(x) * size;
        let bytes = self.slice(i, (Space::Global, address), size)?;
        let mut texel = [0; 4];
        for (to, part) in texel.iter_mut().zip(bytes.chunks(format.bits as usize / 8)) {
            *to = channel(texture, little_endian(part));
        }
        if texture.srgb {
            // Of two channels the second is none, as the fourth of four.
            for colour in &mut texel[..(format.channels as usize - 1).max(1)] {
                *colour = ::texture::linear_of_srgb(f32::from_bits(*colour)).to_bits();
            }
        }
        Ok(texel)
    }

    fn singles(&self, sources: &[Source]) -> Vec<f32> {
        let bits = sources.iter().map(|&source| self.read(source) as u32);
        bits.map(f32::from_bits).collect()
    }

    pub(super) fn sample(
        &mut self,
        i: &Decoded,
        sample: Sample,
        (handle, sampler): (Source, Option<Source>),
        targets: &[Target],
        coordinates: &[Source],
        (detail, offset): (&[Source], &[Source]),
    ) -> Result<(), Error> {
        let mut texture = self.descriptor(i, handle)?;
        if let Some(sampler) = sampler {
            texture = texture.through(&self.descriptor(i, sampler)?);
        }
        let mut moved = [0i64; 3];
        for (to, source) in moved.iter_mut().zip(offset) {
            *to = (self.read(*source) as i32).into();
        }
        let (layer, rest) = match sample.layered {
            true => (self.read(coordinates[0]) as u32, &coordinates[1..]),
            false => (0, coordinates),
        };
        let texel = if sample.integer {
            let level = detail.first().map_or(0, |&level| self.read(level) as usize);
            let mut inside = level < texture.levels.len();
            let mut at = [Some(0); 3];
            for axis in 0..sample.axes {
                let index = (self.read(rest[axis]) as u32).wrapping_add(moved[axis] as u32);
                let size = extent(&texture, axis, level as u32);
                if detail.is_empty() {
                    inside &= index < size;
                    at[axis] = Some(index);
                } else {
                    at[axis] = wrapped((index as i32).into(), size, texture.address_modes[axis]);
                }
            }
            if sample.axes < 3 {
                at[2] = Some(layer.min(texture.layers - 1));
            }
            match inside {
                true => self.texel(i, &texture, level, at)?,
                false => [0; 4],
            }
        } else {
            let mut point = self.singles(&rest[..sample.axes]);
            let (mut layer, mut direction) = (layer, None);
            if sample.cube {
                let at = [point[0], point[1], point[2]];
                let (face, [s, t]) = cube_place(at);
                point = vec![s, t];
                layer = layer.wrapping_mul(6).wrapping_add(face);
                direction = Some(at);
            }
            let layer = layer.min(texture.layers - 1);
            if let Some(channel) = sample.gather {
                self.gather(i, &texture, &point, layer, channel, moved)?
            } else {
                let detail = self.singles(detail);
                let level = match detail[..] {
                    [] => 0.0,
                    [level] => level,
                    _ => {
                        let length = |d: &[f32]| -> f32 {
                            let d = match direction {
                                Some(at) => cube_slope(at, d),
                                None => d[..sample.axes].to_vec(),
                            };
                            (0..d.len())
                                .map(|axis| (d[axis] * texture.extent[axis] as f32).powi(2))
                                .fold(0.0, |a, b| a + b)
                        };
                        let (x, y) = detail.split_at(detail.len() / 2);
                        length(x).max(length(y)).log2() * 0.5
                    }
                };
                self.filtered(i, &texture, &point, layer, level, moved)?
            }
        };
        let (results, bits): (Vec<u32>, u32) = match sample.half {
            None => (texel.to_vec(), 32),
            Some(Half::Single) => (texel.map(half_of).to_vec(), 16),
            Some(Half::Packed) => {
                let pairs = texel.chunks(2);
                (
                    pairs.map(|p| half_of(p[0]) | half_of(p[1]) << 16).collect(),
                    32,
                )
            }
        };
        for (target, word) in targets.iter().zip(results) {
            self.thread.write(*target, word.into(), bits, false);
        }
        Ok(())
    }

    fn filtered(
        &mut self,
        i: &Decoded,
        texture: &Descriptor,
        point: &[f32],
        layer: u32,
        detail: f32,
        moved: [i64; 3],
    ) -> Result<Texel, Error> {
        let [least, most] = texture.level_clamp;
        let last = (texture.levels.len() - 1) as f32;
        let detail = (detail + texture.level_bias).max(least).min(most);
        let detail = detail.max(0.0).min(last);
        let levels: Vec<(usize, f32)> = if texture.linear_levels {
            let share = to_fixed(detail - detail.floor());
            let base = detail.floor() as usize;
            match share > 0.0 {
                true => vec![(base, 1.0 - share), (base + 1, share)],
                false => vec![(base, 1.0)],
            }
        } else {
            vec![((detail + 0.5).floor() as usize, 1.0)]
        };
        let blended = texture.linear || levels.len() > 1;
        let taps = if texture.linear { 1 << point.len() } else { 1 };
        let mut sums = [0.0f32; 4];
        let mut exact = [0; 4];
        for (level, share) in levels {
            let axes: Vec<(i64, f32, u32)> = point
                .iter()
                .enumerate()
                .map(|(axis, &x)| {
                    let size = extent(texture, axis, level as u32);
                    let (first, fraction) = locate(texture, axis, size, x, texture.linear);
                    (first, fraction, size)
                })
                .collect();
            for tap in 0..taps {
                let mut at = [Some(0), Some(0), Some(layer)];
                let mut weight = share;
                for (axis, &(first, fraction, size)) in axes.iter().enumerate() {
                    let upper = tap >> axis & 1;
                    at[axis] = wrapped(
                        first + upper + moved[axis],
                        size,
                        texture.address_modes[axis],
                    );
                    weight *= if upper == 1 { fraction } else { 1.0 - fraction };
                }
                exact = self.texel(i, texture, level, at)?;
                if weight != 0.0 {
                    for (sum, word) in sums.iter_mut().zip(exact) {
                        *sum += f32::from_bits(word) * weight;
                    }
                }
            }
        }
        Ok(match blended {
            true => sums.map(f32::to_bits),
            false => exact,
        })
    }

    fn gather(
        &mut self,
        i: &Decoded,
        texture: &Descriptor,
        point: &[f32],
        layer: u32,
        channel: usize,
        moved: [i64; 3],
    ) -> Result<Texel, Error> {
        let axes = [0, 1].map(|axis| {
            let size = texture.extent[axis];
            (locate(texture, axis, size, point[axis], true).0, size)
        });
        let mut gathered = [0; 4];
        for (to, step) in gathered.iter_mut().zip([(0, 1), (1, 1), (1, 0), (0, 0)]) {
            let [x, y] = [(0, step.0), (1, step.1)].map(|(axis, step)| {
                let (first, size): (i64, u32) = axes[axis];
                wrapped(
                    first + step + moved[axis],
                    size,
                    texture.address_modes[axis],
                )
            });
            *to = self.texel(i, texture, 0, [x, y, Some(layer)])?[channel];
        }
        Ok(gathered)
    }

    pub(super) fn surface(
        &mut self,
        i: &Decoded,
        surface: Surface,
        handle: Source,
        coordinates: &[Source],
        targets: &[Target],
        sources: &[Source],
    ) -> Result<(), Error> {
        let texture = self.descriptor(i, handle)?;
        let at: Vec<i64> = coordinates
            .iter()
            .map(|&c| i64::from(self.read(c) as i32))
            .collect();
        let (layer, rest) = match surface.layered {
            // It has no sign.
            true => (i64::from(at[0] as u32), &at[1..]),
            false => (0, &at[..]),
        };
        let mut at = [0, 0, layer];
        at[..surface.axes].copy_from_slice(&rest[..surface.axes]);
        let count = targets.len().max(sources.len()) as u64;
        let texel = u64::from(texture.format.texel_bytes());
        // What is accessed at once, and what the first coordinate counts, bytes.
        let (size, unit) = match surface.formatted {
            true => (
                texel.max(surface.reduce.map_or(0, |_| surface.bytes.into())),
                texel as i64,
            ),
            false => (u64::from(surface.bytes) * count, 1),
        };
        let width = i64::from(texture.extent[0]) * texel as i64;
        let slices = if surface.axes == 3 {
            texture.extent[2]
        } else {
            texture.layers
        };
        let last = [
            match surface.formatted {
                true => i64::from(texture.extent[0]) - 1,
                false => width - size as i64,
            },
            i64::from(texture.extent[1]) - 1,
            i64::from(slices) - 1,
        ];
        let mut inside = true;
        for (at, last) in at.iter_mut().zip(last) {
            match surface.outside {
                M::Clamp => *at = (*at).clamp(0, last),
                _ => inside &= (0..=last).contains(at),
            }
        }
        if !inside && surface.outside == M::TrapMod {
            self.fault(i, FaultKind::Trap);
        }
        let [x, y, slice] = at;
        let level = texture.levels[0];
        let row = (slice * i64::from(level.rows) + y) as u64;
        let x = (x * unit) as u64 & !(size - 1);
        let place = (
            Space::Global,
            level.address + row * u64::from(level.pitch) + x,
        );
        let mut values = vec![0u64; count as usize];
        for (value, source) in values.iter_mut().zip(sources) {
            *value = self.read(*source);
        }
        if inside && surface.formatted && surface.reduce.is_none() {
            let format = texture.format;
            let each = format.bits as usize / 8;
            let bytes = self.slice(i, place, size)?;
            for (n, part) in bytes.chunks_mut(each).enumerate() {
                let value = values.get(n).map_or(0, |&v| channel_of(format, v as u32));
                part.copy_from_slice(&value.to_le_bytes()[..each]);
            }
        } else if inside {
            let bytes = self.slice(i, place, size)?;
            for (part, value) in bytes.chunks_mut(surface.bytes as usize).zip(&mut values) {
                if let Some((operation, ty)) = surface.reduce {
                    // The format says whether the numbers have signs.
                    let ty = match (ty, texture.format.kind) {
                        (M::B32, Kind::Signed) if surface.formatted => M::S32,
                        (M::B64, Kind::Signed) if surface.formatted => M::S64,
                        (M::B32, _) if surface.formatted => M::U32,
                        (M::B64, _) if surface.formatted => M::U64,
                        _ => ty,
                    };
                    let old = little_endian(part);
                    let new = atomics::combine(operation, ty, old, *value, 0, false).unwrap_or(old);
                    part.copy_from_slice(&new.to_le_bytes()[..part.len()]);
                    continue;
                }
                match targets.is_empty() {
                    true => part.copy_from_slice(&value.to_le_bytes()[..part.len()]),
                    false => *value = little_endian(part),
                }
            }
        }
        for (target, value) in targets.iter().zip(values) {
            self.thread.write(*target, value, surface.bytes * 8, false);
        }
        Ok(())
    }
}
