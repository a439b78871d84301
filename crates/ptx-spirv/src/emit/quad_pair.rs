//! mma.m8n8k4 in half precision: four products at once, each of the eight lanes `4q ..` and `16 + 4q ..` (PTX ISA, "Matrix
//! Fragments for mma.m8n8k4 with .f16 floating point type").
//!
//! With `high` = 4 in the upper half of the warp: a lane holds a row of A (or, by columns, four rows of one k), likewise of
//! B, a row of a half-precision accumulator, and in single precision elements of two rows:
//!
//! ```text
//! A row-major: row lane % 4 + high, k = i     col-major: row i + high, k = lane % 4
//! B col-major: column lane % 4 + high, k = i  row-major: column i + high, k = lane % 4
//! f16 sums:    row lane % 4 + high, column i
//! f32 sums:    row (lane & 1) + (i & 2) + high, column (i & 4) + (lane & 2) + (i & 1)
//! ```

use super::*;

/// Where words of other lanes are read.
enum Words {
    /// In the warp's slots.
    Slot(Id),
    /// In the lanes' registers.
    Registers(Vec<Id>),
}

/// A number of the product: known now, or of the lane.
#[derive(Clone, Copy)]
enum Index {
    Known(u32),
    Lane(Id),
}

impl Emitter<'_> {
    pub(super) fn quad_pair_product(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let [dt, _, _, ct] = types[..] else {
            return unsupported(i);
        };
        if dt == M::F16 && ct == M::F32 {
            return unsupported(i);
        }
        let mut layouts = i.modifiers.iter().filter(|m| matches!(m, M::Row | M::Col));
        let (Some(a_layout), Some(b_layout)) = (layouts.next(), layouts.next()) else {
            return unsupported(i);
        };
        let (a_rows, b_rows) = (*a_layout == M::Row, *b_layout == M::Row);
        let (c_half, d_half) = (ct == M::F16, dt == M::F16);
        let parts: Vec<Vec<Operand>> = i
            .operands
            .iter()
            .map(|o| Self::elements(o).to_vec())
            .collect();
        let count = |half| if half { 4 } else { 8 };
        let [d, a, b, c] = &parts[..] else {
            return Err(EmitError::Invalid(format!(
                "{} needs four operands",
                i.mnemonic()
            )));
        };
        if (d.len(), a.len(), b.len(), c.len()) != (count(d_half), 2, 2, count(c_half)) {
            return Err(EmitError::Invalid(format!(
                "{} with the wrong number of registers",
                i.mnemonic()
            )));
        }
        let mut own = Vec::new();
        for o in a.iter().chain(b).chain(c) {
            own.push(self.value(o, Type::U32)?);
        }
        // Of single-precision sums nothing is needed from other lanes.
        let shared = &own[..if c_half { 8 } else { 4 }];
        let words = if self.yields() {
            Words::Slot(self.publish_to_slot(shared))
        } else {
            Words::Registers(shared.to_vec())
        };
        let lane = self.entry.lane;
        let and = |e: &mut Self, mask| {
            let mask = e.asm.u32(mask);
            e.asm.op(Op::BitwiseAnd, Type::U32, &[lane, mask])
        };
        let base = and(self, 12);
        let (bit0, bit1, low, upper) = (and(self, 1), and(self, 2), and(self, 3), and(self, 16));
        let two = self.asm.u32(2);
        let high = self.asm.op(Op::ShiftRightLogical, Type::U32, &[upper, two]);
        let mut results = Vec::new();
        for n in 0..8u32 {
            let (row, column) = if d_half {
                let row = self.asm.op(Op::IAdd, Type::U32, &[low, high]);
                (row, Index::Known(n))
            } else {
                let row = self.asm.op(Op::IAdd, Type::U32, &[bit0, high]);
                let row = self.offset(row, Type::U32, i64::from(n & 2));
                let column = self.offset(bit1, Type::U32, i64::from(n & 5));
                (row, Index::Lane(column))
            };
            let mut sum = if c_half == d_half {
                if c_half {
                    self.half_of(own[4 + n as usize / 2], Index::Known(n % 2))
                } else {
                    self.asm.op(Op::Bitcast, Type::F32, &[own[4 + n as usize]])
                }
            } else {
                // A half-precision accumulator, whose rows lie in other lanes.
                let from = self.row_lane(base, Index::Lane(row));
                let Index::Lane(column) = column else {
                    unreachable!("single-precision sums have columns of the lane")
                };
                let first = self.lane_word(&words, from, 4 + (n & 4) / 2);
                let second = self.lane_word(&words, from, 5 + (n & 4) / 2);
                let bit = self.asm.op(Op::BitwiseAnd, Type::U32, &[column, two]);
                let zero = self.asm.u32(0);
                let even = self.asm.op(Op::IEqual, Type::Bool, &[bit, zero]);
                let word = self.asm.op(Op::Select, Type::U32, &[even, first, second]);
                self.half_of(word, Index::Known(n % 2))
            };
            for k in 0..4 {
                let x = self.pair_element(&words, 0, base, Index::Lane(row), k, a_rows);
                let y = self.pair_element(&words, 2, base, column, k, !b_rows);
                let p = self.asm.op(Op::FMul, Type::F32, &[x, y]);
                sum = self.asm.op(Op::FAdd, Type::F32, &[sum, p]);
            }
            results.push(sum);
        }
        for (n, d) in d.iter().enumerate() {
            if d_half {
                let w = self.pack_singles(results[2 * n], results[2 * n + 1]);
                self.set(d, Type::U32, w)?;
            } else {
                self.set(d, Type::F32, results[n])?;
            }
        }
        Ok(())
    }

    /// The lane of the pair that holds a row (or column): `base + n % 4 + 16 * (n / 4)`.
    fn row_lane(&mut self, base: Id, n: Index) -> Id {
        match n {
            Index::Known(n) => self.offset(base, Type::U32, i64::from(n % 4 + 16 * (n / 4))),
            Index::Lane(n) => {
                let three = self.asm.u32(3);
                let within = self.asm.op(Op::BitwiseAnd, Type::U32, &[n, three]);
                let half = self.half_lane(base, Index::Lane(n));
                self.asm.op(Op::IAdd, Type::U32, &[half, within])
            }
        }
    }

    /// The first lane of the half of the pair that holds a row (or column).
    fn half_lane(&mut self, base: Id, n: Index) -> Id {
        match n {
            Index::Known(n) => self.offset(base, Type::U32, i64::from(16 * (n / 4))),
            Index::Lane(n) => {
                let (four, two) = (self.asm.u32(4), self.asm.u32(2));
                let half = self.asm.op(Op::BitwiseAnd, Type::U32, &[n, four]);
                let half = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[half, two]);
                self.asm.op(Op::IAdd, Type::U32, &[base, half])
            }
        }
    }

    fn lane_word(&mut self, words: &Words, lane: Id, word: u32) -> Id {
        match words {
            Words::Slot(base) => self.read_slot(*base, lane, word, Type::U32),
            Words::Registers(ids) => self.native_shuffle(ids[word as usize], lane),
        }
    }

    /// A half of a word as a single-precision number.
    fn half_of(&mut self, word: Id, half: Index) -> Id {
        let shift = match half {
            Index::Known(n) => self.asm.u32(16 * n),
            Index::Lane(n) => {
                let (one, four) = (self.asm.u32(1), self.asm.u32(4));
                let odd = self.asm.op(Op::BitwiseAnd, Type::U32, &[n, one]);
                self.asm.op(Op::ShiftLeftLogical, Type::U32, &[odd, four])
            }
        };
        let h = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[word, shift]);
        let h = self.asm.op(Op::UConvert, Type::U16, &[h]);
        let h = self.asm.op(Op::Bitcast, Type::F16, &[h]);
        self.asm.op(Op::FConvert, Type::F32, &[h])
    }

    /// Element (n, k) of A, or (k, n) of B, whose words start at `first`; `along` where a lane holds all k of an n.
    fn pair_element(
        &mut self,
        words: &Words,
        first: u32,
        base: Id,
        n: Index,
        k: u32,
        along: bool,
    ) -> Id {
        if along {
            let lane = self.row_lane(base, n);
            let word = self.lane_word(words, lane, first + k / 2);
            return self.half_of(word, Index::Known(k % 2));
        }
        let lane = self.half_lane(base, n);
        let lane = self.offset(lane, Type::U32, k.into());
        match n {
            Index::Known(n) => {
                let word = self.lane_word(words, lane, first + n % 4 / 2);
                self.half_of(word, Index::Known(n % 2))
            }
            Index::Lane(n) => {
                let low = self.lane_word(words, lane, first);
                let high = self.lane_word(words, lane, first + 1);
                let (two, zero) = (self.asm.u32(2), self.asm.u32(0));
                let bit = self.asm.op(Op::BitwiseAnd, Type::U32, &[n, two]);
                let even = self.asm.op(Op::IEqual, Type::Bool, &[bit, zero]);
                let word = self.asm.op(Op::Select, Type::U32, &[even, low, high]);
                self.half_of(word, Index::Lane(n))
            }
        }
    }
}
