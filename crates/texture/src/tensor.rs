//! What a tensor map is: the 128 bytes that `cuTensorMapEncodeTiled` makes and `cp.async.bulk.tensor` reads. CUDA says nothing of what
//! is in them; here they are the fields of [`TensorMap`] in the places of [`offset`].
//!
//! ```
//! use texture::tensor::{ElementType, TensorMap};
//! let map = TensorMap {
//!     element: ElementType::Float16, address: 0x1000, dimensions: vec![100, 20], strides: vec![208], counts: vec![64, 8],
//!     steps: vec![1, 1], swizzle: 3, fills_nan: false,
//! };
//! assert_eq!(TensorMap::decode(&map.encode()), Some(map));
//! ```

/// Bytes of a tensor map.
pub const BYTES: usize = 128;
/// Most dimensions.
pub const MOST_RANK: usize = 5;
/// The last word of every map.
const MAGIC: u32 = 0x5054_4b56;

/// What is filled in as not a number, byte by byte.
pub const NOT_A_NUMBER: [u8; 2] = [0xf7, 0x7f];

/// Where things lie in a tensor map, bytes.
pub mod offset {
    /// Bytes of an element, its type, the swizzle, and the number of dimensions in bits 8 to 15 over bit 0, which says that what is
    /// outside of the tensor is not a number: u32 each.
    pub const FORMAT: u32 = 0;
    /// Of the first element: u64.
    pub const ADDRESS: u32 = 16;
    /// Bytes from one index to the next, of the second dimension and on: u64 each.
    pub const STRIDES: u32 = 32;
    /// Elements of each dimension: u32 each.
    pub const DIMENSIONS: u32 = 64;
    /// Elements of the box, as far as they are copied: u32 each.
    pub const COUNTS: u32 = 84;
    /// Elements of the tensor from one that is copied to the next: u32 each.
    pub const STEPS: u32 = 104;
    /// A number by which maps are known.
    pub const MAGIC: u32 = 124;
}

/// The type of elements (`CUtensorMapDataType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ElementType {
    Unsigned8 = 0,
    Unsigned16 = 1,
    Unsigned32 = 2,
    Signed32 = 3,
    Unsigned64 = 4,
    Signed64 = 5,
    Float16 = 6,
    Float32 = 7,
    Float64 = 8,
    BFloat16 = 9,
    Float32Ftz = 10,
    TensorFloat32 = 11,
    TensorFloat32Ftz = 12,
}

impl ElementType {
    /// Every one, by its number.
    pub const ALL: [Self; 13] = [
        Self::Unsigned8,
        Self::Unsigned16,
        Self::Unsigned32,
        Self::Signed32,
        Self::Unsigned64,
        Self::Signed64,
        Self::Float16,
        Self::Float32,
        Self::Float64,
        Self::BFloat16,
        Self::Float32Ftz,
        Self::TensorFloat32,
        Self::TensorFloat32Ftz,
    ];

    /// Bytes of an element.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Unsigned8 => 1,
            Self::Unsigned16 | Self::Float16 | Self::BFloat16 => 2,
            Self::Unsigned64 | Self::Signed64 | Self::Float64 => 8,
            _ => 4,
        }
    }

    /// Whether it is TF32, which has 10 bits of mantissa in 32 bits.
    pub const fn is_tensor_float(self) -> bool {
        matches!(self, Self::TensorFloat32 | Self::TensorFloat32Ftz)
    }

    /// Whether it is floating point.
    pub const fn is_float(self) -> bool {
        self as u32 >= Self::Float16 as u32
    }
}

/// A tensor in memory, and the boxes that are copied of it. All lists have an entry for each dimension, the innermost first, but
/// `strides`, which starts with the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    /// The type of elements.
    pub element: ElementType,
    /// Of the first element.
    pub address: u64,
    /// Elements.
    pub dimensions: Vec<u32>,
    /// Bytes.
    pub strides: Vec<u64>,
    /// Elements of a box.
    pub counts: Vec<u32>,
    /// Elements of the tensor from one of a box to the next.
    pub steps: Vec<u32>,
    /// 0: none; 1, 2, 3: chunks of 16 bytes change places within 32, 64 or 128 bytes of shared memory.
    pub swizzle: u32,
    /// What is outside of the tensor is not a number, else 0.
    pub fills_nan: bool,
}

impl TensorMap {
    /// The bytes of a map.
    ///
    /// # Panics
    /// With another number of dimensions than 1 to 5, and where the lists are not as long.
    pub fn encode(&self) -> [u8; BYTES] {
        let rank = self.dimensions.len();
        assert!((1..=MOST_RANK).contains(&rank), "1 to 5 dimensions");
        let mut bytes = [0; BYTES];
        let mut put = |at: u32, data: &[u8]| {
            bytes[at as usize..at as usize + data.len()].copy_from_slice(data);
        };
        let flags = (rank as u32) << 8 | u32::from(self.fills_nan);
        let format = [
            self.element.bytes(),
            self.element as u32,
            self.swizzle,
            flags,
        ];
        for (n, word) in (0..).zip(format) {
            put(offset::FORMAT + 4 * n, &word.to_le_bytes());
        }
        put(offset::ADDRESS, &self.address.to_le_bytes());
        assert_eq!(self.strides.len() + 1, rank);
        for (n, stride) in (0..).zip(&self.strides) {
            put(offset::STRIDES + 8 * n, &stride.to_le_bytes());
        }
        for (start, list) in [
            (offset::DIMENSIONS, &self.dimensions),
            (offset::COUNTS, &self.counts),
            (offset::STEPS, &self.steps),
        ] {
            assert_eq!(list.len(), rank);
            for (n, word) in (0..).zip(list) {
                put(start + 4 * n, &word.to_le_bytes());
            }
        }
        put(offset::MAGIC, &MAGIC.to_le_bytes());
        bytes
    }

    /// The map of these bytes; `None` where they are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: u32| -> Option<u32> {
            let at = at as usize;
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let wide = |at: u32| Some(u64::from(word(at)?) | u64::from(word(at + 4)?) << 32);
        if word(offset::MAGIC)? != MAGIC {
            return None;
        }
        let flags = word(offset::FORMAT + 12)?;
        let rank = flags >> 8;
        if !(1..=MOST_RANK as u32).contains(&rank) {
            return None;
        }
        let list = |start: u32| {
            (0..rank)
                .map(|n| word(start + 4 * n))
                .collect::<Option<Vec<_>>>()
        };
        Some(Self {
            element: *ElementType::ALL.get(word(offset::FORMAT + 4)? as usize)?,
            address: wide(offset::ADDRESS)?,
            dimensions: list(offset::DIMENSIONS)?,
            strides: (0..rank - 1)
                .map(|n| wide(offset::STRIDES + 8 * n))
                .collect::<Option<_>>()?,
            counts: list(offset::COUNTS)?,
            steps: list(offset::STEPS)?,
            swizzle: word(offset::FORMAT + 8)?,
            fills_nan: flags & 1 != 0,
        })
    }

    /// Bytes of a box in shared memory.
    pub fn box_bytes(&self) -> u32 {
        self.counts.iter().product::<u32>() * self.element.bytes()
    }

    /// Bytes from one row of a box to the next in shared memory: rows begin anew with the pattern of a swizzle, however short they are.
    pub fn pitch(&self) -> u32 {
        match self.swizzle {
            0 => self.counts[0] * self.element.bytes(),
            swizzle => 16 << swizzle,
        }
    }

    /// Where a byte of a box lies in shared memory, by its place without a swizzle (PTX ISA, "Swizzling Modes"): bits 4 to 6 of an
    /// address change with bits 7 to 9, as far as the swizzle goes.
    pub fn swizzled(&self, address: u32) -> u32 {
        let bits = ((1 << self.swizzle) - 1) << 4;
        address ^ (address >> 3 & bits)
    }

    /// The byte of an element outside of the tensor, by its number within the element: CUDA says not a number, and NVIDIA's hardware
    /// takes this one for every type.
    pub fn fill(&self, byte: u32) -> u8 {
        match self.fills_nan {
            false => 0,
            true => NOT_A_NUMBER[byte as usize % 2],
        }
    }
}
