//! What a case is: an operation, its arguments with their layouts and numbers, and how close the results have to be.

use std::ffi::c_int;

use super::make::{Built, Maker, Tensor};

/// `enum ggml_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type(pub c_int);

macro_rules! types {
    ($($name:ident = $number:literal, $text:literal, $block:literal;)*) => {
        impl Type {
            $(pub const $name: Self = Self($number);)*

            /// ggml's name.
            pub fn name(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "?" }
            }

            /// How many numbers a block has; a row is a whole number of blocks.
            pub fn block(self) -> i64 {
                match self.0 { $($number => $block,)* _ => 1 }
            }
        }
    };
}

types! {
    F32 = 0, "f32", 1;
    F16 = 1, "f16", 1;
    Q4_0 = 2, "q4_0", 32;
    Q4_1 = 3, "q4_1", 32;
    Q5_0 = 6, "q5_0", 32;
    Q5_1 = 7, "q5_1", 32;
    Q8_0 = 8, "q8_0", 32;
    Q2_K = 10, "q2_K", 256;
    Q3_K = 11, "q3_K", 256;
    Q4_K = 12, "q4_K", 256;
    Q5_K = 13, "q5_K", 256;
    Q6_K = 14, "q6_K", 256;
    IQ2_XXS = 16, "iq2_xxs", 256;
    IQ2_XS = 17, "iq2_xs", 256;
    IQ3_XXS = 18, "iq3_xxs", 256;
    IQ1_S = 19, "iq1_s", 256;
    IQ4_NL = 20, "iq4_nl", 32;
    IQ3_S = 21, "iq3_s", 256;
    IQ2_S = 22, "iq2_s", 256;
    IQ4_XS = 23, "iq4_xs", 256;
    I32 = 26, "i32", 1;
    I64 = 27, "i64", 1;
    IQ1_M = 29, "iq1_m", 256;
    BF16 = 30, "bf16", 1;
    MXFP4 = 39, "mxfp4", 32;
    NVFP4 = 40, "nvfp4", 64;
    Q1_0 = 41, "q1_0", 128;
    Q2_0 = 42, "q2_0", 64;
}

/// Every type of weights that is not a plain float.
pub const QUANTISED: [Type; 23] = [
    Type::Q4_0,
    Type::Q4_1,
    Type::Q5_0,
    Type::Q5_1,
    Type::Q8_0,
    Type::Q2_K,
    Type::Q3_K,
    Type::Q4_K,
    Type::Q5_K,
    Type::Q6_K,
    Type::IQ2_XXS,
    Type::IQ2_XS,
    Type::IQ2_S,
    Type::IQ3_XXS,
    Type::IQ3_S,
    Type::IQ1_S,
    Type::IQ1_M,
    Type::IQ4_NL,
    Type::IQ4_XS,
    Type::MXFP4,
    Type::NVFP4,
    Type::Q1_0,
    Type::Q2_0,
];

/// What a tensor is filled with.
#[derive(Clone, Copy, PartialEq)]
pub enum Fill {
    /// Numbers in this range.
    Range(f32, f32),
    /// Each row has the numbers from 0 to its length, in an order of its own.
    Shuffled,
    /// Each row has distinct whole numbers below this.
    Distinct(i64),
    /// Whole numbers below this, some more than once.
    Below(i64),
    /// 0 where a column may look and minus infinity where not: row `i` of `n` sees all but the last `n - 1 - i` columns.
    Causal,
    /// A lower triangle with a diagonal between 1 and 2 and small numbers below it, so that a solution stays small.
    Triangle,
    /// NaN, infinities, zeros of both signs, subnormal and large numbers among ordinary ones.
    Special,
}

impl Fill {
    /// The numbers of a tensor of this size; the same for the same seed.
    pub fn values(self, size: [i64; 4], seed: u64) -> Vec<f32> {
        let count = size.iter().product::<i64>();
        let (columns, rows) = (size[0], size[1]);
        let mut random = Random::new(seed);
        match self {
            Self::Range(low, high) => (0..count)
                .map(|_| low + (high - low) * random.unit())
                .collect(),
            Self::Shuffled => Self::distinct(&mut random, columns, columns, count),
            Self::Distinct(below) => Self::distinct(&mut random, columns, below, count),
            Self::Below(below) => (0..count).map(|_| random.below(below) as f32).collect(),
            Self::Causal => (0..count)
                .map(|i| {
                    let hidden = rows - 1 - i / columns % rows;
                    if i % columns < columns - hidden {
                        0.0
                    } else {
                        f32::NEG_INFINITY
                    }
                })
                .collect(),
            Self::Triangle => (0..count)
                .map(|i| match (i % columns).cmp(&(i / columns % rows)) {
                    std::cmp::Ordering::Less => (random.unit() - 0.5) / columns as f32,
                    std::cmp::Ordering::Equal => 1.0 + random.unit(),
                    std::cmp::Ordering::Greater => 0.0,
                })
                .collect(),
            Self::Special => {
                const SPECIAL: [f32; 14] = [
                    f32::NAN,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                    0.0,
                    -0.0,
                    1e-40,
                    -1e-40,
                    f32::MAX,
                    f32::MIN,
                    65504.0,
                    65520.0,
                    6e-8,
                    f32::MIN_POSITIVE,
                    -1.0,
                ];
                (0..count)
                    .map(|i| match i % 3 {
                        0 => SPECIAL[(i / 3) as usize % SPECIAL.len()],
                        _ => 2.0 * random.unit() - 1.0,
                    })
                    .collect()
            }
        }
    }

    /// For each row a random choice among the numbers below `below`, none twice.
    fn distinct(random: &mut Random, columns: i64, below: i64, count: i64) -> Vec<f32> {
        assert!(
            columns <= below,
            "{columns} distinct numbers below {below} do not exist"
        );
        let mut values = Vec::with_capacity(count as usize);
        let mut pool: Vec<i64> = (0..below).collect();
        for _ in 0..count / columns {
            for i in 0..columns as usize {
                let other = i as i64 + random.below(below - i as i64);
                pool.swap(i, other as usize);
                values.push(pool[i] as f32);
            }
        }
        values
    }
}

/// Marsaglia's xorshift with 64 bits.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        // Seeds that differ little start alike.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// At least 0 and below 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() >> 16) as i64 % bound
    }
}

/// How a tensor lies in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without gaps.
    Plain,
    /// A view of the first half of each row, so that rows have gaps between them.
    Half,
    /// A view of the second half of each row.
    SecondHalf,
    /// A view of the first half of the rows, so that matrices have gaps between them.
    HalfOfRows,
    /// `ggml_permute` of a tensor without gaps: dimension `i` of what lies in memory becomes dimension `p[i]`.
    Permuted([usize; 4]),
    /// `ggml_permute` of such a tensor, of which only the first half of each row is used.
    PermutedHalf([usize; 4]),
}

impl Layout {
    /// Rows and columns exchanged.
    pub const TRANSPOSED: Self = Self::Permuted([1, 0, 2, 3]);
    /// Rows and matrices exchanged, as attention does with heads.
    pub const HEADS: Self = Self::Permuted([0, 2, 1, 3]);

    fn name(self) -> String {
        match self {
            Self::Plain => String::new(),
            Self::Half => " half".into(),
            Self::SecondHalf => " second half".into(),
            Self::HalfOfRows => " half of rows".into(),
            Self::Permuted(p) => format!(" permuted {}{}{}{}", p[0], p[1], p[2], p[3]),
            Self::PermutedHalf(p) => format!(" half permuted {}{}{}{}", p[0], p[1], p[2], p[3]),
        }
    }
}

/// An argument of an operation.
#[derive(Clone, Copy)]
pub struct Input {
    /// Its type.
    pub kind: Type,
    /// Its size as the operation sees it.
    pub size: [i64; 4],
    /// Its numbers; a quantised type has blocks of numbers between -1 and 1.
    pub fill: Fill,
    /// How it lies in memory.
    pub layout: Layout,
}

/// A tensor without gaps, of numbers between -1 and 1; dimensions that are left out are 1.
pub fn input(kind: Type, size: &[i64]) -> Input {
    let mut whole = [1; 4];
    whole[..size.len()].copy_from_slice(size);
    Input {
        kind,
        size: whole,
        fill: Fill::Range(-1.0, 1.0),
        layout: Layout::Plain,
    }
}

impl Input {
    /// The same with other numbers.
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }

    /// The same with numbers of this range.
    pub fn range(self, low: f32, high: f32) -> Self {
        self.fill(Fill::Range(low, high))
    }

    /// The same in another layout.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The size of the tensor that lies in memory, of which this is a view.
    pub fn stored_size(&self) -> [i64; 4] {
        let mut size = self.size;
        match self.layout {
            Layout::Plain => {}
            Layout::Half | Layout::SecondHalf => size[0] *= 2,
            Layout::HalfOfRows => size[1] *= 2,
            Layout::Permuted(p) => size = p.map(|to| self.size[to]),
            Layout::PermutedHalf(p) => {
                size = p.map(|to| self.size[to]);
                size[0] *= 2;
            }
        }
        size
    }

    /// Makes the tensor that lies in memory, and the view of it that the operation gets.
    pub fn make(&self, m: &Maker) -> (Tensor, Built) {
        let stored = m.tensor(self.kind, self.stored_size());
        let view = match self.layout {
            Layout::Plain => Ok(stored),
            Layout::Half | Layout::HalfOfRows => m.part(stored, self.size, 0),
            Layout::SecondHalf => m.part(stored, self.size, stored.strides()[1] / 2),
            Layout::Permuted(p) => m.permuted(stored, p),
            Layout::PermutedHalf(p) => m
                .part(stored, p.map(|to| self.size[to]), 0)
                .and_then(|half| m.permuted(half, p)),
        };
        (stored, view)
    }

    /// Type, size and layout.
    fn describe(&self) -> String {
        let dimensions = 4 - self.size.iter().rev().take_while(|n| **n == 1).count();
        let size: Vec<_> = self.size[..dimensions.max(1)]
            .iter()
            .map(i64::to_string)
            .collect();
        let special = if self.fill == Fill::Special {
            " special"
        } else {
            ""
        };
        format!(
            "{} {}{}{special}",
            self.kind.name(),
            size.join("x"),
            self.layout.name()
        )
    }
}

/// How close two results have to be. NaN and infinities have to stand in the same places in any case.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Measure {
    /// The square of the difference, over the square of the reference, is at most this.
    Error(f64),
    /// They are the same.
    Equal,
    /// Each row of this many numbers has the same ones, in any order.
    SameSet(usize),
}

impl Measure {
    /// What is computed number by number, or in sums of floats.
    pub const CLOSE: Self = Self::Error(1e-7);
    /// Matrix products and attention, whose arguments are rounded to fewer bits.
    pub const PRODUCT: Self = Self::Error(5e-4);
    /// What is kept as halves: the results may be neighbours.
    pub const HALF: Self = Self::Error(1e-6);
}

/// Adds an operation to a graph; the arguments are tensors of it.
pub type Build = Box<dyn Fn(&Maker, &[Tensor]) -> Built + Send + Sync>;

/// One operation with its arguments.
pub struct Case {
    /// Operation, parameters and arguments; no other case has the same.
    pub title: String,
    /// Whether it belongs to the representative part.
    pub subset: bool,
    /// How close its results have to be.
    pub measure: Measure,
    /// Its arguments.
    pub inputs: Vec<Input>,
    /// The operation.
    pub build: Build,
}

/// The cases of a family, in the order in which they run.
pub struct Cases {
    /// Name of the family.
    pub family: &'static str,
    /// The cases.
    pub all: Vec<Case>,
}

impl Cases {
    /// A family without cases.
    pub fn new(family: &'static str) -> Self {
        Self {
            family,
            all: Vec::new(),
        }
    }

    /// Adds a case; `operation` is its name with the parameters that its arguments do not tell.
    pub fn add(
        &mut self,
        operation: impl AsRef<str>,
        measure: Measure,
        inputs: Vec<Input>,
        build: impl Fn(&Maker, &[Tensor]) -> Built + Send + Sync + 'static,
    ) -> &mut Case {
        let arguments: Vec<_> = inputs.iter().map(Input::describe).collect();
        let separator = if arguments.is_empty() { "" } else { ": " };
        self.all.push(Case {
            title: format!("{}{separator}{}", operation.as_ref(), arguments.join(", ")),
            subset: false,
            measure,
            inputs,
            build: Box::new(build),
        });
        self.all.last_mut().expect("one was added")
    }
}

impl Case {
    /// Puts the case into the representative part if `member`.
    pub fn subset(&mut self, member: bool) {
        self.subset = member;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_distinct_numbers_have_none_twice() {
        let values = Fill::Distinct(9).values([5, 40, 1, 1], 3);
        for row in values.chunks(5) {
            let mut sorted: Vec<i64> = row.iter().map(|v| *v as i64).collect();
            sorted.sort_unstable();
            sorted.dedup();
            assert!(sorted.len() == 5 && sorted[0] >= 0 && sorted[4] < 9);
        }
        assert_eq!(values, Fill::Distinct(9).values([5, 40, 1, 1], 3));
        assert_ne!(values, Fill::Distinct(9).values([5, 40, 1, 1], 4));
    }

    #[test]
    fn the_last_row_of_a_causal_mask_sees_everything() {
        let values = Fill::Causal.values([4, 2, 1, 1], 0);
        let hidden: Vec<bool> = values.iter().map(|v| *v != 0.0).collect();
        assert_eq!(
            hidden,
            [false, false, false, true, false, false, false, false]
        );
    }

    #[test]
    fn a_permuted_argument_has_its_size_after_the_permutation() {
        let permuted = input(Type::F32, &[2, 3, 5, 7]).layout(Layout::Permuted([1, 2, 0, 3]));
        // Dimension 0 in memory becomes dimension 1, which has 3.
        assert_eq!(permuted.stored_size(), [3, 5, 2, 7]);
        let half = input(Type::F32, &[2, 3]).layout(Layout::SecondHalf);
        assert_eq!(half.stored_size(), [4, 3, 1, 1]);
        assert_eq!(half.describe(), "f32 2x3 second half");
    }
}
