//! What a texture or surface handle points to.
//!
//! A handle (`CUtexObject`, `CUsurfObject`, the `.b64` operand of `tex` and `suld`) is the device address of a descriptor:
//! [`Descriptor::encode`] writes one, the shaders that `ptx-spirv` makes read it by the offsets of [`offset`], and
//! `ptx-reference` reads it with [`Descriptor::decode`]. Texels lie in plain, pitched device memory: each mipmap level has its
//! address and pitch, and its layers (or slices of depth, or faces of a cube) follow each other, `pitch * rows` bytes apart.
//!
//! ```
//! use texture::{Descriptor, Format, Kind, Level};
//! let level = Level { address: 0x1000, pitch: 64, rows: 4 };
//! let format = Format { kind: Kind::Float, bits: 32, channels: 4, normalized: false };
//! let descriptor = Descriptor::new(format, [4, 4, 1], 1, vec![level]);
//! assert_eq!(Descriptor::decode(&descriptor.encode()), Some(descriptor));
//! ```

pub mod tensor;

/// Bytes of a descriptor.
pub const BYTES: usize = offset::LEVELS as usize + MOST_LEVELS * offset::LEVEL_BYTES as usize;
/// Alignment of a descriptor, bytes.
pub const ALIGN: u64 = 16;
/// Most mipmap levels.
pub const MOST_LEVELS: usize = 16;
/// Texels are addressed in words of this many bytes, so a texture's first address is a multiple of it. Widest texel.
pub const WIDEST_TEXEL: u32 = 16;

/// Where things lie in a descriptor, bytes. Words of 32 bits but for the levels' addresses.
pub mod offset {
    /// Width, height, depth of level 0 in texels (1 where there is none), and the number of layers (6 for a cube).
    pub const EXTENT: u32 = 0;
    /// Bits of a channel, number of channels, [`Kind`](super::Kind) plus [`NORMALIZED`](super::NORMALIZED), flags.
    pub const FORMAT: u32 = 16;
    /// Address modes (a byte for each axis), number of levels, level bias (f32), least level (f32).
    pub const SAMPLER: u32 = 32;
    /// Greatest level (f32).
    pub const MOST_LEVEL: u32 = 48;
    /// [`Class`](super::Class).
    pub const CLASS: u32 = 52;
    /// Border: four words, as they are returned.
    pub const BORDER: u32 = 64;
    /// Levels: u64 address, u32 pitch in bytes, u32 rows of a layer.
    pub const LEVELS: u32 = 80;
    /// Bytes of a level.
    pub const LEVEL_BYTES: u32 = 16;
}

/// Added to the kind: integers are read as numbers from 0 (or -1) to 1.
pub const NORMALIZED: u32 = 4;
/// Flag: coordinates run from 0 to 1.
pub const FLAG_NORMALIZED_COORDINATES: u32 = 1;
/// Flag: texels are interpolated.
pub const FLAG_LINEAR: u32 = 2;
/// Flag: levels are interpolated.
pub const FLAG_LINEAR_LEVELS: u32 = 4;
/// Flag of a sampler: coordinates count texels, whatever the texture says.
pub const FLAG_FORCE_UNNORMALIZED: u32 = 8;
/// Flag: all channels but the fourth are the square root, roughly, of what is read ([`linear_of_srgb`]).
pub const FLAG_SRGB: u32 = 16;

/// What a descriptor is of: what `istypep` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A texture, with its sampler.
    Texture = 1,
    /// A sampler alone.
    Sampler = 2,
    /// A surface.
    Surface = 3,
}

/// What a channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned integers.
    Unsigned = 0,
    /// Signed integers.
    Signed = 1,
    /// Floating point: half (16 bits) or single precision.
    Float = 2,
}

/// The format of texels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What a channel holds.
    pub kind: Kind,
    /// Bits of a channel: 8, 16 or 32.
    pub bits: u32,
    /// Channels: 1, 2 or 4.
    pub channels: u32,
    /// Integers of 8 and 16 bits are read as numbers up to 1.
    pub normalized: bool,
}

impl Format {
    /// Bytes of a texel.
    pub const fn texel_bytes(self) -> u32 {
        self.bits / 8 * self.channels
    }

    /// Whether reads give floating-point numbers.
    pub const fn reads_float(self) -> bool {
        self.normalized || matches!(self.kind, Kind::Float)
    }

    /// Two numbers whose products with an integer of so many bits have the quotient by the greatest one, `2^bits - 1`, as their
    /// sum, correctly rounded: the first product is exact, and the second adds less than a bit's worth of error.
    pub fn parts_of_unit(bits: u32) -> [f32; 2] {
        let first = 0.5f64.powi(bits as i32);
        [first as f32, (first * first / (1.0 - first)) as f32]
    }

    /// A border's number as a channel of this format holds it, in the bits of what is read: numbers are cut off towards zero,
    /// integers lose their upper bits. CUDA does not say so; NVIDIA's hardware does it.
    fn held(self, word: u32) -> u32 {
        let number = f32::from_bits(word);
        let gone = 32 - self.bits;
        match (self.kind, self.normalized) {
            (Kind::Float, _) if self.bits == 16 => half_held(number).to_bits(),
            (Kind::Float, _) => word,
            (Kind::Unsigned, true) => {
                let most = (u32::MAX >> gone) as f32;
                ((number.clamp(0.0, 1.0) * most).trunc() / most).to_bits()
            }
            (Kind::Signed, true) => {
                let most = (u32::MAX >> (gone + 1)) as f32;
                ((number.clamp(-1.0, 1.0) * most).trunc() / most).to_bits()
            }
            (Kind::Unsigned, false) => word << gone >> gone,
            (Kind::Signed, false) => ((word << gone) as i32 >> gone) as u32,
        }
    }

    /// What `txq.channel_data_type` gives.
    pub const fn channel_data_type(self) -> u32 {
        let width = self.bits.trailing_zeros() - 3;
        CHANNEL_DATA_TYPE
            + match (self.kind, self.normalized) {
                (Kind::Signed, true) => width,
                (Kind::Unsigned, true) => 2 + width,
                (Kind::Signed, false) => 7 + width,
                (Kind::Unsigned, false) => 10 + width,
                (Kind::Float, _) => 12 + width,
            }
    }

    /// What `txq.channel_order` gives.
    pub const fn channel_order(self) -> u32 {
        CHANNEL_ORDERS[self.channels.trailing_zeros() as usize]
    }
}

/// A number without the bits that half precision has no place for.
fn half_held(number: f32) -> f32 {
    const LEAST_NORMAL: f32 = 1.0 / 16384.0;
    const LEAST: f32 = LEAST_NORMAL / 1024.0;
    const MOST: f32 = 65504.0;
    if !number.is_finite() {
        number
    } else if number.abs() < LEAST_NORMAL {
        (number / LEAST).trunc() * LEAST
    } else {
        f32::from_bits(number.to_bits() & !0x1fff).clamp(-MOST, MOST)
    }
}

/// What coordinates outside of a texture mean (CUDA C++ Programming Guide, "Texture Memory"; `CUaddress_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressMode {
    /// The texture repeats.
    Wrap = 0,
    /// The nearest texel.
    Clamp = 1,
    /// The texture repeats, every other time mirrored.
    Mirror = 2,
    /// The border's colour.
    Border = 3,
}

impl AddressMode {
    /// What `txq.addr_mode_0` gives: the number in wrap, mirror, clamp_ogl, clamp_to_edge, clamp_to_border (PTX ISA, "txq").
    pub const fn query(self) -> u32 {
        // By the mode's own number, a hexadecimal digit each.
        QUERIED_MODES >> (4 * self as u32) & 15
    }
}

/// [`AddressMode::query`] of each mode, four bits each.
pub const QUERIED_MODES: u32 = 0x4130;

/// What `txq.channel_data_type` gives of integers of 8 bits, signed and normalised, in OpenCL's enumeration, which the PTX ISA names
/// ("Channel Data Type and Channel Order Fields"): 16 and 32 bits, and the other kinds, come after it.
pub const CHANNEL_DATA_TYPE: u32 = 0x10d0;
/// What `txq.channel_order` gives of one, two and four channels.
pub const CHANNEL_ORDERS: [u32; 3] = [0x10b0, 0x10b2, 0x10b5];

/// The linear number of an sRGB one from 0 to 1 (IEC 61966-2-1). The power is made of operations that every device has: the root of
/// the fifth order by Newton's method, from a line through its ends.
pub fn linear_of_srgb(v: f32) -> f32 {
    if v <= srgb::LAST_OF_LINE {
        return v * srgb::SLOPE;
    }
    let base = (v + srgb::SHIFT) * srgb::SCALE;
    let square = base * base;
    let mut root = square * srgb::FIRST[0] + srgb::FIRST[1];
    for _ in 0..srgb::STEPS {
        let power = root * root;
        root = root * srgb::KEPT + square * srgb::GAINED / (power * power);
    }
    square * root
}

/// The numbers of [`linear_of_srgb`].
pub mod srgb {
    /// Up to here it is a straight line.
    pub const LAST_OF_LINE: f32 = 0.04045;
    /// Of the line.
    pub const SLOPE: f32 = 1.0 / 12.92;
    /// Added before the power.
    pub const SHIFT: f32 = 0.055;
    /// And this multiplied.
    pub const SCALE: f32 = 1.0 / 1.055;
    /// First guess of the root: slope and start.
    pub const FIRST: [f32; 2] = [0.6, 0.45];
    /// Steps of Newton's method.
    pub const STEPS: u32 = 5;
    /// Of the guess.
    pub const KEPT: f32 = 0.8;
    /// Of the quotient.
    pub const GAINED: f32 = 0.2;
}

/// A mipmap level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Device address of the first texel.
    pub address: u64,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// Rows of a layer.
    pub rows: u32,
}

/// A texture, sampler or surface.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// Which of them.
    pub class: Class,
    /// Texels.
    pub format: Format,
    /// Width, height and depth of the first level, in texels.
    pub extent: [u32; 3],
    /// Layers, or faces of cubes; 1 where there are none.
    pub layers: u32,
    /// At least one, the largest first.
    pub levels: Vec<Level>,
    /// For each axis.
    pub address_modes: [AddressMode; 3],
    /// Coordinates run from 0 to 1.
    pub normalized_coordinates: bool,
    /// Texels are interpolated.
    pub linear: bool,
    /// Levels are interpolated.
    pub linear_levels: bool,
    /// Of a sampler: coordinates count texels, whatever the texture says.
    pub force_unnormalized: bool,
    /// Channels are sRGB, which is made linear before it is interpolated; the last of several is not.
    pub srgb: bool,
    /// Added to the level of detail.
    pub level_bias: f32,
    /// Least and greatest level of detail.
    pub level_clamp: [f32; 2],
    /// What is read outside with [`AddressMode::Border`]: bits of the result.
    pub border: [u32; 4],
}

impl Descriptor {
    /// A texture that is sampled at points of integer coordinates, clamped to its edges.
    ///
    /// # Panics
    /// Without levels, and with more than [`MOST_LEVELS`].
    pub fn new(format: Format, extent: [u32; 3], layers: u32, levels: Vec<Level>) -> Self {
        assert!((1..=MOST_LEVELS).contains(&levels.len()), "1 to 16 levels");
        Self {
            class: Class::Texture,
            format,
            extent,
            layers,
            levels,
            address_modes: [AddressMode::Clamp; 3],
            normalized_coordinates: false,
            linear: false,
            linear_levels: false,
            force_unnormalized: false,
            srgb: false,
            level_bias: 0.0,
            level_clamp: [0.0, 0.0],
            border: [0; 4],
        }
    }

    /// What a reference means before anything is bound to it: one texel of zeros, which lies at an address.
    pub fn unbound(class: Class, address: u64) -> Self {
        let format = Format {
            kind: Kind::Float,
            bits: 32,
            channels: 4,
            normalized: false,
        };
        let level = Level {
            address,
            pitch: WIDEST_TEXEL,
            rows: 1,
        };
        Self {
            class,
            // All levels that a texture has.
            level_clamp: [0.0, MOST_LEVELS as f32],
            address_modes: [AddressMode::Wrap; 3],
            ..Self::new(format, [1, 1, 1], 1, vec![level])
        }
    }

    /// Sets a field as the initialiser of a reference does, `filter_mode = linear` (PTX ISA, "Texture Sampler and Surface
    /// Types"). What a texture's own state says, its size and format, means nothing here.
    ///
    /// # Errors
    /// What is no field or value, or is not supported.
    pub fn set_field(&mut self, field: &str, value: &str) -> Result<(), String> {
        let unknown = || format!("{field} = {value} of a reference");
        let flag = match value {
            "0" | "false" | "False" => Some(false),
            "1" | "true" | "True" => Some(true),
            _ => None,
        };
        match field {
            "filter_mode" => {
                self.linear = match value {
                    "nearest" | "0" => false,
                    "linear" | "1" => true,
                    _ => return Err(unknown()),
                }
            }
            "normalized_coords" => self.normalized_coordinates = flag.ok_or_else(unknown)?,
            "force_unnormalized_coords" => self.force_unnormalized = flag.ok_or_else(unknown)?,
            "addr_mode_0" | "addr_mode_1" | "addr_mode_2" => {
                let axis = usize::from(field.as_bytes()[field.len() - 1] - b'0');
                self.address_modes[axis] = match value {
                    "wrap" | "0" => AddressMode::Wrap,
                    "mirror" | "1" => AddressMode::Mirror,
                    "clamp_to_edge" | "3" => AddressMode::Clamp,
                    "clamp_to_border" | "4" => AddressMode::Border,
                    // Between the edge and the border's colour.
                    _ => return Err(unknown()),
                }
            }
            "width" | "height" | "depth" | "array_size" | "num_mipmap_levels" | "num_samples"
            | "channel_data_type" | "channel_order" | "memory_layout" => {}
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// The texture read through a sampler of its own, of whose border it has what there are channels for.
    pub fn through(&self, sampler: &Self) -> Self {
        Self {
            address_modes: sampler.address_modes,
            normalized_coordinates: self.normalized_coordinates && !sampler.force_unnormalized,
            linear: sampler.linear,
            linear_levels: sampler.linear_levels,
            level_bias: sampler.level_bias,
            level_clamp: sampler.level_clamp,
            border: self.in_channels(sampler.border),
            ..self.clone()
        }
    }

    /// The border's colour as the texels of a texture hold it, with 0 for what they have no channel for. Samplers have the colour
    /// itself, and sRGB keeps it as it is.
    fn border_texel(&self) -> [u32; 4] {
        if self.class == Class::Sampler {
            return self.border;
        }
        self.in_channels(self.border.map(|word| match self.srgb {
            true => word,
            false => self.format.held(word),
        }))
    }

    /// A texel with 0 for what the format has no channel for.
    fn in_channels(&self, mut texel: [u32; 4]) -> [u32; 4] {
        texel[self.format.channels as usize..].fill(0);
        texel
    }

    /// The bytes that a handle points to.
    pub fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let mut put = |at: u32, words: &[u32]| {
            for (n, word) in words.iter().enumerate() {
                let at = at as usize + 4 * n;
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
        };
        let [width, height, depth] = self.extent;
        put(offset::EXTENT, &[width, height, depth, self.layers]);
        let format = self.format;
        let kind = format.kind as u32 + if format.normalized { NORMALIZED } else { 0 };
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let flags = flag(self.normalized_coordinates, FLAG_NORMALIZED_COORDINATES)
            | flag(self.linear, FLAG_LINEAR)
            | flag(self.linear_levels, FLAG_LINEAR_LEVELS)
            | flag(self.force_unnormalized, FLAG_FORCE_UNNORMALIZED)
            | flag(self.srgb, FLAG_SRGB);
        put(offset::FORMAT, &[format.bits, format.channels, kind, flags]);
        let [x, y, z] = self.address_modes.map(|mode| mode as u32);
        let [least, most] = self.level_clamp;
        put(
            offset::SAMPLER,
            &[
                x | y << 8 | z << 16,
                self.levels.len() as u32,
                self.level_bias.to_bits(),
                least.to_bits(),
            ],
        );
        put(offset::MOST_LEVEL, &[most.to_bits(), self.class as u32]);
        put(offset::BORDER, &self.border_texel());
        for (n, level) in self.levels.iter().enumerate() {
            let at = offset::LEVELS + n as u32 * offset::LEVEL_BYTES;
            let (low, high) = (level.address as u32, (level.address >> 32) as u32);
            put(at, &[low, high, level.pitch, level.rows]);
        }
        bytes
    }

    /// The descriptor of these bytes; `None` where they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: u32| -> Option<u32> {
            let at = at as usize;
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let kind = word(offset::FORMAT + 8)?;
        let flags = word(offset::FORMAT + 12)?;
        let format = Format {
            kind: match kind & 3 {
                0 => Kind::Unsigned,
                1 => Kind::Signed,
                2 => Kind::Float,
                _ => return None,
            },
            bits: word(offset::FORMAT)?,
            channels: word(offset::FORMAT + 4)?,
            normalized: kind & NORMALIZED != 0,
        };
        if !matches!((format.bits, format.channels), (8 | 16 | 32, 1 | 2 | 4)) {
            return None;
        }
        let modes = word(offset::SAMPLER)?;
        let mode = |axis: u32| {
            Some(match modes >> (8 * axis) & 0xff {
                0 => AddressMode::Wrap,
                1 => AddressMode::Clamp,
                2 => AddressMode::Mirror,
                3 => AddressMode::Border,
                _ => return None,
            })
        };
        let count = word(offset::SAMPLER + 4)?;
        if !(1..=MOST_LEVELS as u32).contains(&count) {
            return None;
        }
        let level = |n: u32| {
            let at = offset::LEVELS + n * offset::LEVEL_BYTES;
            Some(Level {
                address: u64::from(word(at)?) | u64::from(word(at + 4)?) << 32,
                pitch: word(at + 8)?,
                rows: word(at + 12)?,
            })
        };
        let four = |at: u32| Some([word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?]);
        let [width, height, depth, layers] = four(offset::EXTENT)?;
        let single = |at: u32| word(at).map(f32::from_bits);
        let class = match word(offset::CLASS)? {
            1 => Class::Texture,
            2 => Class::Sampler,
            3 => Class::Surface,
            _ => return None,
        };
        Some(Self {
            class,
            format,
            extent: [width, height, depth],
            layers,
            levels: (0..count).map(level).collect::<Option<_>>()?,
            address_modes: [mode(0)?, mode(1)?, mode(2)?],
            normalized_coordinates: flags & FLAG_NORMALIZED_COORDINATES != 0,
            linear: flags & FLAG_LINEAR != 0,
            linear_levels: flags & FLAG_LINEAR_LEVELS != 0,
            force_unnormalized: flags & FLAG_FORCE_UNNORMALIZED != 0,
            srgb: flags & FLAG_SRGB != 0,
            level_bias: single(offset::SAMPLER + 8)?,
            level_clamp: [single(offset::SAMPLER + 12)?, single(offset::MOST_LEVEL)?],
            border: four(offset::BORDER)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives() {
        let format = Format {
            kind: Kind::Signed,
            bits: 16,
            channels: 2,
            normalized: true,
        };
        let levels = (0..5)
            .map(|n| Level {
                address: 0x7f12_3456_7800 + n,
                pitch: 512 >> n,
                rows: 9 >> n,
            })
            .collect();
        let mut descriptor = Descriptor::new(format, [128, 9, 3], 12, levels);
        descriptor.address_modes = [AddressMode::Mirror, AddressMode::Wrap, AddressMode::Border];
        descriptor.normalized_coordinates = true;
        descriptor.linear_levels = true;
        descriptor.force_unnormalized = true;
        descriptor.srgb = true;
        descriptor.class = Class::Surface;
        descriptor.level_bias = -0.5;
        descriptor.level_clamp = [0.25, 3.5];
        descriptor.border = [0.5f32.to_bits(), 0, 0, 0];
        let bytes = descriptor.encode();
        assert_eq!(Descriptor::decode(&bytes), Some(descriptor.clone()));
        descriptor.linear = true;
        assert_ne!(Descriptor::decode(&bytes), Some(descriptor));
        assert_eq!(Descriptor::decode(&bytes[..100]), None);
        assert_eq!(Descriptor::decode(&[0xff; BYTES]), None);
    }

    #[test]
    fn units_are_quotients() {
        for bits in [7, 8, 15, 16] {
            let most = (1u32 << bits) - 1;
            let [first, second] = Format::parts_of_unit(bits);
            for n in 0..=most {
                let n = n as f32;
                assert_eq!(
                    n * first + n * second,
                    n / most as f32,
                    "{n} of {bits} bits"
                );
            }
        }
    }

    /// As an H200 reads them.
    #[test]
    fn borders_are_held_by_formats() {
        let held = |kind, bits, normalized, word| {
            Format {
                kind,
                bits,
                channels: 1,
                normalized,
            }
            .held(word)
        };
        let number = |kind, bits, normalized, x: f32| {
            f32::from_bits(held(kind, bits, normalized, x.to_bits()))
        };
        assert_eq!(number(Kind::Unsigned, 8, true, 0.5), 127.0 / 255.0);
        assert_eq!(number(Kind::Unsigned, 8, true, 7.25), 1.0);
        assert_eq!(number(Kind::Unsigned, 16, true, -1.0), 0.0);
        assert_eq!(number(Kind::Signed, 8, true, 0.3), 38.0 / 127.0);
        assert_eq!(number(Kind::Signed, 16, true, -1.0), -1.0);
        assert_eq!(number(Kind::Float, 16, false, 0.3), 0.299_804_7);
        assert_eq!(
            number(Kind::Float, 16, false, 1e-5),
            1e-5f32.div_euclid(5.960_464_5e-8) * 5.960_464_5e-8
        );
        assert_eq!(number(Kind::Float, 32, false, 0.3), 0.3);
        assert_eq!(held(Kind::Unsigned, 8, false, 1 << 20), 0);
        assert_eq!(held(Kind::Signed, 8, false, 200), -56i32 as u32);
        assert_eq!(held(Kind::Signed, 32, false, 200), 200);
    }

    #[test]
    fn srgb_is_the_power() {
        for n in 0..=255 {
            let v = f64::from(n) / 255.0;
            let exact = match v <= 0.04045 {
                true => v / 12.92,
                false => ((v + 0.055) / 1.055).powf(2.4),
            };
            let found = f64::from(linear_of_srgb(v as f32));
            assert!((found - exact).abs() < 1e-6, "{n}: {found} for {exact}");
        }
    }

    #[test]
    fn fields_of_initialisers() {
        let mut sampler = Descriptor::unbound(Class::Sampler, 0);
        for (field, value) in [
            ("addr_mode_0", "clamp_to_border"),
            ("addr_mode_1", "mirror"),
            ("addr_mode_2", "3"),
            ("filter_mode", "linear"),
            ("force_unnormalized_coords", "1"),
            ("width", "12"),
        ] {
            assert_eq!(sampler.set_field(field, value), Ok(()), "{field}");
        }
        use AddressMode::{Border, Clamp, Mirror, Wrap};
        assert_eq!(sampler.address_modes, [Border, Mirror, Clamp]);
        assert_eq!(sampler.address_modes.map(AddressMode::query), [4, 1, 3]);
        assert_eq!(Wrap.query(), 0);
        assert!(sampler.set_field("addr_mode_0", "clamp_ogl").is_err());
        assert!(sampler.set_field("filter_mode", "cubic").is_err());
        assert!(sampler.set_field("colour", "1").is_err());
        let mut texture = Descriptor::unbound(Class::Texture, 0x100);
        texture.normalized_coordinates = true;
        let read = texture.through(&sampler);
        assert!(read.linear && !read.normalized_coordinates);
        assert_eq!(read.levels[0].address, 0x100);
        assert_eq!(texture.format.channel_data_type(), 0x10de);
        assert_eq!(texture.format.channel_order(), 0x10b5);
    }
}
