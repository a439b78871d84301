//! mma.sp: products whose A has two of four elements, and says which (PTX ISA, "Matrix multiply-accumulate operation using
//! mma.sp instruction with sparse matrix A").
//!
//! Of each chunk of A's row (four elements; of tf32 two, each like two halves; of nibbles four pairs) there are two, and
//! four bits of the metadata: the place of the first, then that of the second. What a lane t of its quad holds of a row
//! are the chunks that make two words W(2t) and W(2t + 1) of the dense row, which mma.sync wants at the places t and t + 4.
//! A product does not depend on the order of k, so that A's words stay where they are, and B's words 2t and 2t + 1 of k
//! change to the places t and t + 4, within the quad. Then it is one dense product, or two of half the k.
//!
//! ```text
//! metadata of 16 bits and tf32   lane of the quad f, or 2f + n for half n of k; row g in bits 0-15, row g + 8 in 16-31
//! metadata of bytes and nibbles  row g + 8h in lane 2f + h, or 2n + h for half n of k
//! ```

use super::matrix::{form_of, BSource, Fragments};
use super::product::Element;
use super::*;

/// Whether a product is one of a sparse A.
pub(super) fn is_sparse(i: &Instruction) -> bool {
    i.has(Modifier::Sp) || i.has(Modifier::SpOrdered)
}

/// The shape of the dense products that make one, and how many there are.
pub(super) fn dense_shape(i: &Instruction, element: Element) -> Option<(Modifier, usize)> {
    use Modifier as M;
    let has = |shape| i.has(shape);
    Some(match element {
        Element::Half | Element::Brain if has(M::M16n8k16) => (M::M16n8k16, 1),
        Element::Half | Element::Brain if has(M::M16n8k32) => (M::M16n8k16, 2),
        Element::Tf32 if has(M::M16n8k8) => (M::M16n8k8, 1),
        Element::Tf32 if has(M::M16n8k16) => (M::M16n8k8, 2),
        Element::Byte { .. } if has(M::M16n8k32) => (M::M16n8k32, 1),
        Element::Byte { .. } | Element::Quarter { .. } if has(M::M16n8k64) => (M::M16n8k32, 2),
        Element::Nibble { .. } if has(M::M16n8k64) => (M::M16n8k64, 1),
        Element::Nibble { .. } if has(M::M16n8k128) => (M::M16n8k64, 2),
        _ => return None,
    })
}

impl Emitter<'_> {
    pub(super) fn sparse_product(&mut self, i: &Instruction) -> Result<()> {
        use Modifier as M;
        let types: Vec<ScalarType> = i.types().collect();
        let [dt, at, bt, ct] = types[..] else {
            return unsupported(i);
        };
        if i.has(M::Kind) || !i.has(M::Row) || !i.has(M::Col) {
            return unsupported(i);
        }
        let Some(element) = Element::of(i, at, bt) else {
            return unsupported(i);
        };
        let Some((_, steps)) = dense_shape(i, element) else {
            return unsupported(i);
        };
        let wide = matches!(element, Element::Half | Element::Brain | Element::Tf32);
        let selectors = match (wide, steps) {
            (true, 1) => 4,
            (true, _) | (false, 1) => 2,
            (false, _) => 1,
        };
        let wrong = |what: &str| Err(EmitError::Invalid(format!("{} with {what}", i.mnemonic())));
        let Some(selector) = Self::literal(self.operand(i, 5)?).filter(|&f| f < selectors) else {
            return wrong("a selector that it does not have");
        };
        let selector = selector as u32;
        let words = |e: &mut Self, n: usize| {
            let operands = Self::elements(e.operand(i, n)?).to_vec();
            operands
                .iter()
                .map(|o| e.value(o, Type::U32))
                .collect::<Result<Vec<Id>>>()
        };
        let (a, b) = (words(self, 1)?, words(self, 2)?);
        if a.len() != 2 * steps || b.len() != 2 * steps {
            return wrong("the wrong number of registers");
        }
        let metadata = self.value(self.operand(i, 4)?, Type::U32)?;
        let (quad, eight_t) = self.sources();
        let (_, t) = self.quad();

        let mut dense_a = Vec::new();
        let mut dense_b = Vec::new();
        for n in 0..steps {
            let rows: [Vec<Id>; 2] = [0, 1].map(|h| {
                let lane = match (wide, steps) {
                    (true, 1) => selector,
                    (true, _) => 2 * selector + n as u32,
                    (false, 1) => 2 * selector + h,
                    (false, _) => 2 * n as u32 + h,
                };
                let places = self.word_of_quad(metadata, quad, lane);
                let places = self.places_of_lane(places, t, wide, h);
                self.spread(element, a[2 * n + h as usize], &places)
            });
            dense_a.push(vec![rows[0][0], rows[1][0], rows[0][1], rows[1][1]]);
            dense_b.push(self.exchange_pairs(b[2 * n], b[2 * n + 1], quad, t));
        }

        let d = Self::elements(self.operand(i, 0)?).to_vec();
        let c = Self::elements(self.operand(i, 3)?).to_vec();
        if let Some(way) = form_of(i).and_then(|form| self.way(form)) {
            let sum = if dt == M::F32 { Type::F32 } else { Type::U32 };
            let mut sums = c
                .iter()
                .map(|o| self.value(o, sum))
                .collect::<Result<Vec<Id>>>()?;
            for (a, b) in dense_a.iter().zip(&dense_b) {
                sums = self.unit_product(way, a, b, &sums);
            }
            if d.len() != sums.len() {
                return wrong("the wrong number of registers");
            }
            for (d, &w) in d.iter().zip(&sums) {
                self.set(d, sum, w)?;
            }
            return Ok(());
        }
        let sources: Vec<BSource> = if self.yields() {
            let base = self.publish_to_slot(&dense_b.concat());
            (0..steps as u32)
                .map(|n| BSource::Shares(self.shares(element, base, 2 * n, 2)))
                .collect()
        } else {
            dense_b.into_iter().map(BSource::Registers).collect()
        };
        let fragments: Vec<Fragments> = dense_a
            .into_iter()
            .zip(sources)
            .map(|(a, b)| Fragments {
                element,
                halves: 2,
                groups: 2,
                a,
                b,
                quad,
                eight_t,
            })
            .collect();
        self.products_into_sums(i, &fragments, &d, &c, (dt, ct))
    }

    /// A word of the lane `number` of the quad.
    fn word_of_quad(&mut self, word: Id, quad: Id, number: u32) -> Id {
        if !self.yields() {
            return self.quad_broadcast(word, number);
        }
        let lane = self.offset(quad, Type::U32, number.into());
        self.native_shuffle(word, lane)
    }

    /// The places of a lane's elements within their chunks, from a word of metadata: two of 16 bits, four of bytes.
    fn places_of_lane(&mut self, metadata: Id, t: Id, wide: bool, h: u32) -> Vec<Id> {
        let bits = self.asm.u32(if wide { 2 } else { 3 });
        let start = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, bits]);
        let start = self.offset(start, Type::U32, if wide { 16 * i64::from(h) } else { 0 });
        let word = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[metadata, start]);
        let (count, two) = (if wide { 2 } else { 4 }, self.asm.u32(2));
        (0..count)
            .map(|n| {
                let at = self.asm.u32(2 * n);
                self.asm
                    .op(Op::BitFieldUExtract, Type::U32, &[word, at, two])
            })
            .collect()
    }

    /// A lane's two words of a dense row, of the word that it has.
    fn spread(&mut self, element: Element, word: Id, places: &[Id]) -> Vec<Id> {
        let zero = self.asm.u32(0);
        match element {
            Element::Tf32 => {
                // The places of its two halves are 0 and 1, or 2 and 3.
                let two = self.asm.u32(2);
                let first = self.asm.op(Op::ULessThan, Type::Bool, &[places[0], two]);
                [(word, zero), (zero, word)]
                    .map(|(yes, no)| self.asm.op(Op::Select, Type::U32, &[first, yes, no]))
                    .to_vec()
            }
            Element::Half | Element::Brain => {
                let (mask, sixteen, four) =
                    (self.asm.u32(0xffff), self.asm.u32(16), self.asm.u32(4));
                let low = self.asm.op(Op::BitwiseAnd, Type::U32, &[word, mask]);
                let high = self
                    .asm
                    .op(Op::ShiftRightLogical, Type::U32, &[word, sixteen]);
                let mut row = self.asm.constant(Type::U64, 0);
                for (part, &place) in [low, high].into_iter().zip(places) {
                    let shift = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[place, four]);
                    let part = self.asm.op(Op::UConvert, Type::U64, &[part]);
                    let part = self.asm.op(Op::ShiftLeftLogical, Type::U64, &[part, shift]);
                    row = self.asm.op(Op::BitwiseOr, Type::U64, &[row, part]);
                }
                let (low, high) = self.split(row);
                vec![low, high]
            }
            _ => (0..2usize)
                .map(|chunk| {
                    let (three, eight) = (self.asm.u32(3), self.asm.u32(8));
                    let mut dense = zero;
                    for (n, &place) in places.iter().enumerate().skip(2 * chunk).take(2) {
                        let at = self.asm.u32(8 * n as u32);
                        let part = self
                            .asm
                            .op(Op::BitFieldUExtract, Type::U32, &[word, at, eight]);
                        let shift = self
                            .asm
                            .op(Op::ShiftLeftLogical, Type::U32, &[place, three]);
                        let part = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[part, shift]);
                        dense = self.asm.op(Op::BitwiseOr, Type::U32, &[dense, part]);
                    }
                    dense
                })
                .collect(),
        }
    }

    /// Of the eight words of a column of B, of which a lane t holds t and t + 4, those with the numbers 2t and 2t + 1.
    fn exchange_pairs(&mut self, low: Id, high: Id, quad: Id, t: Id) -> Vec<Id> {
        let (one, two, three) = (self.asm.u32(1), self.asm.u32(2), self.asm.u32(3));
        let lower = self.asm.op(Op::ULessThan, Type::Bool, &[t, two]);
        let twice = self.asm.op(Op::ShiftLeftLogical, Type::U32, &[t, one]);
        let twice = self.asm.op(Op::BitwiseAnd, Type::U32, &[twice, three]);
        let first = self.asm.op(Op::IAdd, Type::U32, &[quad, twice]);
        let second = self.asm.op(Op::IAdd, Type::U32, &[first, one]);
        [first, second]
            .map(|lane| {
                let (x, y) = (
                    self.native_shuffle(low, lane),
                    self.native_shuffle(high, lane),
                );
                self.asm.op(Op::Select, Type::U32, &[lower, x, y])
            })
            .to_vec()
    }
}
