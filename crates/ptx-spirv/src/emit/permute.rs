//! prmt: bytes of two registers by a selector (PTX ISA, "Data Movement and Conversion Instructions: prmt").
//!
//! Each nibble of the selector names one of eight bytes, its highest bit the byte's sign instead. No GPU's SPIR-V has such an
//! instruction. What is known of the selector ([`KnownBits`]) decides what is made of it:
//!
//! ```text
//! prmt.b32 %d, %a, %b, 0x5410              (a & 0xffff) | b << 16: bytes that move by the same distance are moved together
//! prmt.b32 %d, %a, 0, 0xba98               the signs of all bytes: t = a & 0x80808080, then (t << 1) - (t >> 7)
//! and.b32  %s, %q, 0x7777
//! prmt.b32 %d, 0x03020100, 0x0c080604, %s  a table of constants (`emit/lookup.rs`)
//! or.b32   %s, %q & 0x4444, 0x3210
//! prmt.b32 %d, %a, %b, %s                  bytes stay where they are: a choice between a and b
//! ```

use super::logic::shifted_left;
use super::lookup::{Of, EACH};
use super::*;

/// A byte that a nibble of the selector picks.
#[derive(Clone, Copy)]
struct Pick {
    /// Of the second source.
    second: bool,
    byte: u32,
    sign: bool,
}

impl Pick {
    fn of(selector: u32, n: u32) -> Self {
        let nibble = selector >> (4 * n);
        Pick {
            second: nibble & 4 != 0,
            byte: nibble & 3,
            sign: nibble & 8 != 0,
        }
    }

    /// The byte's number among the eight.
    fn number(self) -> u32 {
        self.byte + if self.second { 4 } else { 0 }
    }
}

/// Bytes of a word that move by the same distance.
struct Move {
    word: Id,
    /// Bits; down where negative.
    up: i32,
    /// Where they arrive.
    bits: u32,
}

/// The selectors that a mode makes of the values 0 to 3, 16 bits for each (PTX ISA, prmt, "mode").
fn selectors(mode: Modifier) -> Option<u64> {
    Some(match mode {
        Modifier::F4e => 0x6543_5432_4321_3210,
        Modifier::B4e => 0x0123_7012_6701_5670,
        Modifier::Rc8 => 0x3333_2222_1111_0000,
        Modifier::Ecl => 0x3333_3222_3211_3210,
        Modifier::Ecr => 0x3210_2210_1110_0000,
        Modifier::Rc16 => 0x3232_1010_3232_1010,
        _ => return None,
    })
}

const TY: Type = Type::U32;

impl Emitter<'_> {
    pub(super) fn prmt(&mut self, i: &Instruction) -> Result<()> {
        let d = self.operand(i, 0)?;
        let a = self.value(self.operand(i, 1)?, TY)?;
        let b = self.value(self.operand(i, 2)?, TY)?;
        let mut selector = self.value(self.operand(i, 3)?, TY)?;
        if let Some(table) = i.modifiers.iter().copied().find_map(selectors) {
            selector = self.selector_of_mode(table, selector);
        }
        let known = self.known_bits(selector);
        let nibbles = |bits: u64| known.value(0x1111 * bits);
        let id = if let Some(selector) = nibbles(15) {
            self.bytes(a, b, selector as u32)
        } else if let (Some(places), Some(0)) = (nibbles(3), nibbles(8)) {
            let (a, b) = (
                self.bytes(a, a, places as u32),
                self.bytes(b, b, places as u32),
            );
            let second = self.selector_mask(selector, 2);
            let id = self.choice(second, a, b);
            self.note_choice(id, selector, a, b);
            id
        } else if let Some(id) = self.bytes_of_constants(a, b, selector) {
            id
        } else {
            let id = self.bytes_by_shifts(a, b, selector);
            if nibbles(8) == Some(0) {
                id
            } else {
                let (is_sign, signs) = (self.selector_mask(selector, 3), self.signs_of_bytes(id));
                self.choice(is_sign, id, signs)
            }
        };
        self.set(d, TY, id)
    }

    /// The 16 bits of a table that the two lowest bits of a number name.
    fn selector_of_mode(&mut self, table: u64, number: Id) -> Id {
        if let Some(n) = self.asm.constant_bits(number) {
            return self.asm.u32((table >> (16 * (n & 3))) as u32 & 0xffff);
        }
        let three = self.asm.u32(3);
        let n = self.bitwise(Op::BitwiseAnd, TY, number, three);
        let n = self.shifted(Op::ShiftLeftLogical, TY, n, 4);
        let table = self.asm.constant(Type::U64, table);
        let id = self.asm.op(Op::ShiftRightLogical, Type::U64, &[table, n]);
        let id = self.asm.op(Op::UConvert, TY, &[id]);
        // No mode has a nibble with its highest bit.
        let nibbles = self.asm.u32(0x7777);
        self.bitwise(Op::BitwiseAnd, TY, id, nibbles)
    }

    /// Bytes of two words, by a constant selector.
    fn bytes(&mut self, a: Id, b: Id, selector: u32) -> Id {
        let picks = [0, 1, 2, 3].map(|n| Pick::of(selector, n));
        if let Some(id) = self.sign_extended(a, b, &picks) {
            return id;
        }
        let numbers = picks.map(Pick::number);
        let has_signs = picks.iter().any(|p| p.sign);
        if !has_signs {
            if let Some(id) = self.lookup_every_other(a, b, numbers) {
                return id;
            }
        }
        let mut moves: Vec<Move> = Vec::new();
        let mut signs = [None; 2];
        for (n, pick) in picks.into_iter().enumerate() {
            let mut word = if pick.second { b } else { a };
            if pick.sign {
                let signs = &mut signs[usize::from(pick.second)];
                word = *signs.get_or_insert_with(|| self.signs_of_bytes(word));
            }
            let up = 8 * (n as i32 - pick.byte as i32);
            let bits = 0xff << (8 * n);
            match moves.iter_mut().find(|m| (m.word, m.up) == (word, up)) {
                Some(m) => m.bits |= bits,
                None => moves.push(Move { word, up, bits }),
            }
        }
        let all = if self.target.byte_shuffles && moves.len() > 2 && !has_signs {
            self.shuffled_bytes(a, b, numbers)
        } else {
            self.moved_bytes(&moves)
        };
        for m in moves {
            self.note_part(m.word, all, m.up, shifted_left(m.bits, -m.up));
        }
        all
    }

    /// Bytes of words, by shifts and masks.
    fn moved_bytes(&mut self, moves: &[Move]) -> Id {
        let mut all = self.asm.u32(0);
        for m in moves {
            let op = match m.up {
                0.. => Op::ShiftLeftLogical,
                _ => Op::ShiftRightLogical,
            };
            let moved = self.shifted(op, TY, m.word, m.up.unsigned_abs());
            let bits = self.asm.u32(m.bits);
            let moved = self.bitwise(Op::BitwiseAnd, TY, moved, bits);
            all = self.bitwise(Op::BitwiseOr, TY, all, moved);
        }
        all
    }

    /// Bytes of two words by OpVectorShuffle.
    fn shuffled_bytes(&mut self, a: Id, b: Id, numbers: [u32; 4]) -> Id {
        self.asm.capability(rspirv::spirv::Capability::Int8);
        let bytes = Type::Vector(Scalar::U8, 4);
        let (x, y) = (
            self.cast(Value { id: a, ty: TY }, bytes),
            self.cast(Value { id: b, ty: TY }, bytes),
        );
        let [i, j, k, l] = numbers;
        let id = self.asm.op(Op::VectorShuffle, bytes, &[x, y, i, j, k, l]);
        self.asm.op(Op::Bitcast, TY, &[id])
    }

    /// Bytes of one word side by side, and above them the sign of the last: a field that is extended.
    fn sign_extended(&mut self, a: Id, b: Id, picks: &[Pick; 4]) -> Option<Id> {
        let first = picks[0];
        let length = picks.iter().position(|p| p.sign).filter(|&n| n > 0)? as u32;
        let last = first.byte + length - 1;
        let fits = picks.iter().zip(0..).all(|(p, n)| {
            p.second == first.second
                && p.sign == (n >= length)
                && p.byte == (first.byte + n).min(last)
        });
        if !fits || last > 3 {
            return None;
        }
        let word = if first.second { b } else { a };
        let up = self.shifted(Op::ShiftLeftLogical, TY, word, 8 * (3 - last));
        Some(self.shifted(Op::ShiftRightArithmetic, TY, up, 8 * (4 - length)))
    }

    /// 0xff for each byte whose highest bit is one, else 0.
    fn signs_of_bytes(&mut self, word: Id) -> Id {
        let highest = self.asm.u32(EACH << 7);
        let signs = self.bitwise(Op::BitwiseAnd, TY, word, highest);
        if let Some(bits) = self.asm.constant_bits(signs) {
            return self.asm.u32(((bits << 1) - (bits >> 7)) as u32);
        }
        // 0x100 - 1 in each byte: what goes beyond is the next one's.
        let (up, down) = (
            self.shifted(Op::ShiftLeftLogical, TY, signs, 1),
            self.shifted(Op::ShiftRightLogical, TY, signs, 7),
        );
        self.asm.op(Op::ISub, TY, &[up, down])
    }

    /// Bytes of ones where the nibbles of a selector have this bit, else of zeros.
    fn selector_mask(&mut self, selector: Id, bit: u32) -> Id {
        let bytes = self.made_of(selector, Of::Nibbles(0));
        self.made_of(bytes, Of::Mask(bit))
    }

    /// Bytes of two words that are constants.
    fn bytes_of_constants(&mut self, a: Id, b: Id, selector: Id) -> Option<Id> {
        let table = self.asm.constant_bits(a)? | self.asm.constant_bits(b)? << 32;
        self.lookup(table, selector)
    }

    /// Bytes of two words, each shifted down by itself.
    fn bytes_by_shifts(&mut self, a: Id, b: Id, selector: Id) -> Id {
        let words = self.join(a, b);
        let mut all = self.asm.u32(0);
        for n in 0..4 {
            // Eight times the nibble's three lowest bits.
            let (op, by) = match n {
                0 => (Op::ShiftLeftLogical, 3),
                _ => (Op::ShiftRightLogical, 4 * n - 3),
            };
            let at = self.shifted(op, TY, selector, by);
            let most = self.asm.u32(0x38);
            let at = self.bitwise(Op::BitwiseAnd, TY, at, most);
            let byte = self.asm.op(Op::ShiftRightLogical, Type::U64, &[words, at]);
            let byte = self.asm.op(Op::UConvert, TY, &[byte]);
            let ff = self.asm.u32(0xff);
            let byte = self.bitwise(Op::BitwiseAnd, TY, byte, ff);
            let byte = self.shifted(Op::ShiftLeftLogical, TY, byte, 8 * n);
            all = self.bitwise(Op::BitwiseOr, TY, all, byte);
        }
        all
    }
}
