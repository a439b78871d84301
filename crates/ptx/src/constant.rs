//! Constant expressions (PTX ISA, "Constant Expressions"): folded while they are read.
//!
//! Integers are 64 bits wide and signed unless written with `U`, cast with `(.u64)` or made from an unsigned operand.

use crate::cursor::{Cursor, Number, Result};

/// How deep parentheses, signs and `?:` may nest.
const MAX_DEPTH: u32 = 64;

/// Binds looser than every operator.
const ANY: u8 = 0;
/// Binds tighter than `+` and `-`: a term of a sum.
const TERM: u8 = 10;

impl Cursor<'_> {
    /// Whether a constant starts here (a name other than `WARP_SZ` does not).
    #[inline(always)]
    pub fn at_constant(&self) -> bool {
        match self.peek() {
            b'0'..=b'9' | b'-' | b'+' | b'(' | b'~' => true,
            b'.' => self.peek_at(1).is_ascii_digit(),
            b'W' => self.clone().eat_word("WARP_SZ"),
            _ => false,
        }
    }

    /// A constant expression.
    #[inline(always)]
    pub fn constant(&mut self) -> Result<Number> {
        self.skip_space();
        if self.peek().is_ascii_digit() {
            let start = self.pos;
            let number = self.number()?;
            if matches!(self.peek(), b',' | b';' | b']' | b')' | b'}') {
                return Ok(number);
            }
            self.pos = start;
        }
        self.expression(ANY, 0)
    }

    /// A constant expression with an integer value.
    pub fn integer(&mut self) -> Result<u64> {
        let start = self.pos;
        match self.constant()? {
            Number::Integer { value, .. } => Ok(value),
            _ => Err(self.fault_at(start, "expected an integer, found")),
        }
    }

    /// `+8`, `-4+2` and so on after an address's base; 0 if there is none.
    #[inline(always)]
    pub fn offset(&mut self) -> Result<i64> {
        let mut offset = 0i64;
        loop {
            let start = self.pos;
            let negative = match self.next_byte() {
                b'+' => false,
                b'-' => true,
                _ => return Ok(offset),
            };
            self.pos += 1;
            let Number::Integer { value, .. } = self.expression(TERM, 0)? else {
                return Err(self.fault_at(start, "expected an integer offset, found"));
            };
            offset = if negative {
                offset.wrapping_sub(value as i64)
            } else {
                offset.wrapping_add(value as i64)
            };
        }
    }

    fn expression(&mut self, looser_than: u8, depth: u32) -> Result<Number> {
        if depth > MAX_DEPTH {
            return Err(self.fault("a constant expression nested too deeply at"));
        }
        let mut left = self.unary(depth)?;
        loop {
            self.skip_space();
            let (a, b) = (self.peek(), self.peek_at(1));
            let (level, length) = match (a, b) {
                (b'?', _) => (1, 1),
                (b'|', b'|') => (2, 2),
                (b'&', b'&') => (3, 2),
                (b'|', _) => (4, 1),
                (b'^', _) => (5, 1),
                (b'&', _) => (6, 1),
                (b'=' | b'!', b'=') => (7, 2),
                (b'<', b'<') | (b'>', b'>') => (9, 2),
                (b'<' | b'>', b'=') => (8, 2),
                (b'<' | b'>', _) => (8, 1),
                (b'+' | b'-', _) => (TERM, 1),
                (b'*' | b'/' | b'%', _) => (11, 1),
                _ => return Ok(left),
            };
            if level <= looser_than {
                return Ok(left);
            }
            let at = self.pos;
            self.pos += length;
            if a == b'?' {
                let yes = self.expression(ANY, depth + 1)?;
                self.expect(b':')?;
                let no = self.expression(ANY, depth + 1)?;
                left = if truth(left) { yes } else { no };
                continue;
            }
            let right = self.expression(level, depth + 1)?;
            let operator = &self.text[at..at + length];
            left = match binary(operator, left, right) {
                Some(value) => value,
                None => return Err(self.fault_at(at, "a constant expression without a value at")),
            };
        }
    }

    fn unary(&mut self, depth: u32) -> Result<Number> {
        let at = self.pos;
        match self.next_byte() {
            sign @ (b'-' | b'+' | b'~' | b'!') => {
                if depth > MAX_DEPTH {
                    return Err(self.fault("a constant expression nested too deeply at"));
                }
                self.pos += 1;
                let value = self.unary(depth + 1)?;
                Ok(match (sign, value) {
                    (b'+', value) => value,
                    (b'-', Number::Integer { value, unsigned }) => Number::Integer {
                        value: value.wrapping_neg(),
                        unsigned,
                    },
                    (b'-', Number::Single(bits)) => Number::Single(bits ^ 1 << 31),
                    (b'-', Number::Double(bits)) => Number::Double(bits ^ 1 << 63),
                    (b'~', Number::Integer { value, unsigned }) => Number::Integer {
                        value: !value,
                        unsigned,
                    },
                    (b'!', value) => Number::Integer {
                        value: !truth(value) as u64,
                        unsigned: false,
                    },
                    _ => return Err(self.fault_at(at, "`~` needs an integer:")),
                })
            }
            b'(' => {
                self.pos += 1;
                if self.next_byte() == b'.' && !self.peek_at(1).is_ascii_digit() {
                    let unsigned = match self.dotted()? {
                        b"u64" => true,
                        b"s64" => false,
                        _ => return Err(self.fault_at(at, "a cast other than (.s64) and (.u64):")),
                    };
                    self.expect(b')')?;
                    if depth > MAX_DEPTH {
                        return Err(self.fault("a constant expression nested too deeply at"));
                    }
                    return match self.unary(depth + 1)? {
                        Number::Integer { value, .. } => Ok(Number::Integer { value, unsigned }),
                        _ => Err(self.fault_at(at, "a cast of a floating-point number:")),
                    };
                }
                let value = self.expression(ANY, depth + 1)?;
                self.expect(b')')?;
                Ok(value)
            }
            b'W' if self.eat_word("WARP_SZ") => Ok(Number::Integer {
                value: 32,
                unsigned: false,
            }),
            _ => self.number(),
        }
    }
}

fn truth(value: Number) -> bool {
    match value {
        Number::Integer { value, .. } => value != 0,
        Number::Single(bits) => f32::from_bits(bits) != 0.0,
        Number::Double(bits) => f64::from_bits(bits) != 0.0,
    }
}

fn double(value: Number) -> f64 {
    match value {
        Number::Integer {
            value,
            unsigned: true,
        } => value as f64,
        Number::Integer {
            value,
            unsigned: false,
        } => value as i64 as f64,
        Number::Single(bits) => f32::from_bits(bits) as f64,
        Number::Double(bits) => f64::from_bits(bits),
    }
}

fn binary(operator: &[u8], left: Number, right: Number) -> Option<Number> {
    let boolean = |value: bool| Number::Integer {
        value: value as u64,
        unsigned: false,
    };
    match operator {
        b"&&" => return Some(boolean(truth(left) && truth(right))),
        b"||" => return Some(boolean(truth(left) || truth(right))),
        _ => {}
    }
    let (
        Number::Integer {
            value: a,
            unsigned: ua,
        },
        Number::Integer {
            value: b,
            unsigned: ub,
        },
    ) = (left, right)
    else {
        let (a, b) = (double(left), double(right));
        return Some(match operator {
            b"+" => Number::Double((a + b).to_bits()),
            b"-" => Number::Double((a - b).to_bits()),
            b"*" => Number::Double((a * b).to_bits()),
            b"/" => Number::Double((a / b).to_bits()),
            b"<" => boolean(a < b),
            b">" => boolean(a > b),
            b"<=" => boolean(a <= b),
            b">=" => boolean(a >= b),
            b"==" => boolean(a == b),
            b"!=" => boolean(a != b),
            _ => return None,
        });
    };
    let unsigned = ua || ub;
    let ordering = if unsigned {
        a.cmp(&b)
    } else {
        (a as i64).cmp(&(b as i64))
    };
    let shift = |value: Option<u64>| {
        Some(Number::Integer {
            value: value.unwrap_or(0),
            unsigned: ua,
        })
    };
    let value = match operator {
        b"+" => a.wrapping_add(b),
        b"-" => a.wrapping_sub(b),
        b"*" => a.wrapping_mul(b),
        b"/" if unsigned => a.checked_div(b)?,
        b"%" if unsigned => a.checked_rem(b)?,
        b"/" => (b != 0).then(|| (a as i64).wrapping_div(b as i64))? as u64,
        b"%" => (b != 0).then(|| (a as i64).wrapping_rem(b as i64))? as u64,
        b"&" => a & b,
        b"|" => a | b,
        b"^" => a ^ b,
        b"<<" => return shift(u32::try_from(b).ok().and_then(|n| a.checked_shl(n))),
        b">>" if ua => return shift(u32::try_from(b).ok().and_then(|n| a.checked_shr(n))),
        b">>" => return shift(Some(((a as i64) >> b.min(63)) as u64)),
        b"<" => return Some(boolean(ordering.is_lt())),
        b">" => return Some(boolean(ordering.is_gt())),
        b"<=" => return Some(boolean(ordering.is_le())),
        b">=" => return Some(boolean(ordering.is_ge())),
        b"==" => return Some(boolean(a == b)),
        b"!=" => return Some(boolean(a != b)),
        _ => return None,
    };
    Some(Number::Integer { value, unsigned })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Number {
        let mut cursor = Cursor {
            text: text.as_bytes(),
            pos: 0,
        };
        let number = cursor.constant().unwrap();
        assert!(cursor.next_byte() == 0 && cursor.at_end(), "{text}");
        number
    }

    fn integer(text: &str) -> i64 {
        match value(text) {
            Number::Integer { value, .. } => value as i64,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn integers() {
        assert_eq!(integer("42"), 42);
        assert_eq!(integer("-1"), -1);
        assert_eq!(integer("0x10U"), 16);
        assert_eq!(integer("017"), 15);
        assert_eq!(integer("0b101"), 5);
        assert_eq!(integer("0xffffffffffffffff"), -1);
        assert_eq!(integer("18446744073709551615"), -1);
        assert_eq!(integer("WARP_SZ * 2"), 64);
    }

    #[test]
    fn operators() {
        assert_eq!(integer("(1<<4)|3"), 19);
        assert_eq!(integer("-(8)"), -8);
        assert_eq!(integer("1+2*3-4"), 3);
        assert_eq!(integer("10-4-3"), 3);
        assert_eq!(integer("-8>>1"), -4);
        assert_eq!(integer("(.u64)-8>>60"), 15);
        assert_eq!(integer("1 ? 2 : 3"), 2);
        assert_eq!(integer("0 ? 2 : 1 ? 4 : 5"), 4);
        assert_eq!(integer("~0 == -1 && !0"), 1);
        assert_eq!(integer("1<2 != 3>=4"), 1);
        assert_eq!(integer("1<<64"), 0);
        assert_eq!(integer("7/2 + -7%3"), 2);
    }

    #[test]
    fn floating_point() {
        assert_eq!(value("0f3F800000"), Number::Single(0x3f80_0000));
        assert_eq!(value("-0f3F800000"), Number::Single(0xbf80_0000));
        assert_eq!(value("0D3FF0000000000000"), Number::Double(1f64.to_bits()));
        assert_eq!(value("1.5"), Number::Double(1.5f64.to_bits()));
        assert_eq!(value("-.5e1"), Number::Double((-5f64).to_bits()));
        assert_eq!(value("1e-3"), Number::Double(1e-3f64.to_bits()));
        assert_eq!(value("-1.0+3"), Number::Double(2f64.to_bits()));
        assert_eq!(value("1."), Number::Double(1f64.to_bits()));
    }

    #[test]
    fn wrong_ones() {
        for text in [
            "",
            "0x",
            "08",
            "1/0",
            "1%0",
            "0f123",
            "18446744073709551616",
            "12abc",
            "(1",
            "~1.5",
            "1e",
            "(.u32)1",
        ] {
            let mut cursor = Cursor {
                text: text.as_bytes(),
                pos: 0,
            };
            assert!(cursor.constant().is_err(), "{text}");
        }
        for deep in [
            "-".repeat(100_000),
            "(".repeat(100_000),
            "1?".repeat(100_000),
            "1+(".repeat(100_000),
        ] {
            assert!(Cursor {
                text: deep.as_bytes(),
                pos: 0
            }
            .constant()
            .is_err());
        }
    }
}
