//! `vprintf`: the C format string and the packed arguments to text.

use crate::semantics::softfloat;

/// Formats as C's `printf`; `argument` gives the next argument of so many bytes. A conversion that is not known is
/// written as it stands.
pub fn format(
    format: &[u8],
    mut argument: impl FnMut(u32) -> Option<u64>,
    string: impl Fn(u64) -> Vec<u8>,
) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < format.len() {
        if format[at] != b'%' {
            out.push(format[at]);
            at += 1;
            continue;
        }
        let start = at;
        at += 1;
        let mut flags = Flags::default();
        while let Some(&c) = format.get(at) {
            match c {
                b'-' => flags.left = true,
                b'+' => flags.plus = true,
                b' ' => flags.space = true,
                b'#' => flags.alternate = true,
                b'0' => flags.zero = true,
                _ => break,
            }
            at += 1;
        }
        let mut number = |at: &mut usize| -> Option<i64> {
            if format.get(*at) == Some(&b'*') {
                *at += 1;
                return argument(4).map(|v| i64::from(v as u32 as i32));
            }
            let digits = format[*at..]
                .iter()
                .take_while(|c| c.is_ascii_digit())
                .count();
            let value = std::str::from_utf8(&format[*at..*at + digits])
                .ok()?
                .parse()
                .ok();
            *at += digits;
            value
        };
        let width = number(&mut at);
        let precision = if format.get(at) == Some(&b'.') {
            at += 1;
            Some(number(&mut at).unwrap_or(0))
        } else {
            None
        };
        if let Some(w) = width {
            flags.left |= w < 0;
            flags.width = w.unsigned_abs() as usize;
        }
        flags.precision = precision.and_then(|p| usize::try_from(p).ok());
        let mut bytes = 4;
        let mut narrow = 0;
        while let Some(&c) = format.get(at) {
            match c {
                b'l' | b'j' | b'z' | b't' => bytes = 8,
                b'h' => narrow += 1,
                _ => break,
            }
            at += 1;
        }
        let bits = if bytes == 8 {
            64
        } else {
            [32, 16, 8][narrow.min(2)]
        };
        let conversion = format.get(at).copied();
        at += 1;
        let mut take = |bytes: u32| argument(bytes).unwrap_or(0);
        match conversion {
            Some(b'%') => out.push(b'%'),
            Some(b'd' | b'i') => {
                let v = crate::semantics::sign_extend(take(bytes), bits);
                flags.integer(&mut out, v < 0, v.unsigned_abs().to_string(), "");
            }
            Some(c @ (b'u' | b'x' | b'X' | b'o')) => {
                let v = crate::semantics::truncate(take(bytes), bits);
                let (text, prefix) = match c {
                    b'x' => (format!("{v:x}"), "0x"),
                    b'X' => (format!("{v:X}"), "0X"),
                    b'o' => (format!("{v:o}"), "0"),
                    _ => (v.to_string(), ""),
                };
                let prefix = if flags.alternate && v != 0 {
                    prefix
                } else {
                    ""
                };
                flags.plus = false;
                flags.space = false;
                flags.integer(&mut out, false, text, prefix);
            }
            Some(b'p') => {
                let text = format!("0x{:x}", take(8));
                flags.pad(&mut out, text.as_bytes());
            }
            Some(b'c') => {
                let c = take(4) as u8;
                flags.pad(&mut out, &[c]);
            }
            Some(b's') => {
                let mut text = string(take(8));
                text.truncate(flags.precision.unwrap_or(usize::MAX));
                flags.pad(&mut out, &text);
            }
            Some(c @ (b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A')) => {
                flags.float(&mut out, c, f64::from_bits(take(8)));
            }
            _ => out.extend_from_slice(&format[start..at.min(format.len())]),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[derive(Default)]
struct Flags {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Flags {
    fn pad(&self, out: &mut Vec<u8>, text: &[u8]) {
        let fill = self.width.saturating_sub(text.len());
        if !self.left {
            out.resize(out.len() + fill, b' ');
        }
        out.extend_from_slice(text);
        if self.left {
            out.resize(out.len() + fill, b' ');
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn integer(&self, out: &mut Vec<u8>, negative: bool, digits: String, prefix: &str) {
        let digits = match self.precision {
            Some(0) if digits == "0" => String::new(),
            Some(precision) => format!("{digits:0>precision$}"),
            None => digits,
        };
        self.signed(
            out,
            &format!("{}{prefix}", self.sign(negative)),
            &digits,
            self.precision.is_none(),
        );
    }

    /// A sign and digits, with zeros between them if asked for.
    fn signed(&self, out: &mut Vec<u8>, sign: &str, digits: &str, zeros: bool) {
        let fill = if self.zero && !self.left && zeros {
            self.width.saturating_sub(sign.len() + digits.len())
        } else {
            0
        };
        self.pad(
            out,
            format!("{sign}{}{digits}", "0".repeat(fill)).as_bytes(),
        );
    }

    fn float(&self, out: &mut Vec<u8>, conversion: u8, value: f64) {
        let precision = self.precision.unwrap_or(6);
        let sign = self.sign(value.is_sign_negative() && !value.is_nan());
        let magnitude = value.abs();
        let text = if value.is_nan() {
            "nan".to_owned()
        } else if value.is_infinite() {
            "inf".to_owned()
        } else {
            match conversion.to_ascii_lowercase() {
                b'f' => format!("{magnitude:.precision$}"),
                b'e' => exponential(magnitude, precision),
                b'g' => self.general(magnitude, precision.max(1)),
                _ => hexadecimal(magnitude, self.precision),
            }
        };
        let text = if conversion.is_ascii_uppercase() {
            text.to_uppercase()
        } else {
            text
        };
        self.signed(out, sign, &text, value.is_finite());
    }

    fn general(&self, value: f64, precision: usize) -> String {
        let exponent = if value == 0.0 {
            0
        } else {
            let text = format!("{value:.*e}", precision - 1);
            text[text.find('e').unwrap_or(0) + 1..]
                .parse::<i32>()
                .unwrap_or(0)
        };
        let scientific = exponent < -4 || exponent >= precision as i32;
        let text = if scientific {
            exponential(value, precision - 1)
        } else {
            format!("{value:.*}", (precision as i32 - 1 - exponent) as usize)
        };
        if self.alternate {
            return text;
        }
        let (digits, tail) = match text.find('e') {
            Some(at) => text.split_at(at),
            None => (text.as_str(), ""),
        };
        let digits = if digits.contains('.') {
            digits.trim_end_matches('0').trim_end_matches('.')
        } else {
            digits
        };
        format!("{digits}{tail}")
    }
}

/// `1.500000e+01`
fn exponential(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!(
        "{digits}e{}{:02}",
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// `0x1.8p+3`
fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let bits = value.to_bits();
    let (mut fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i32 & 0x7ff);
    let mut exponent = if value == 0.0 {
        0
    } else {
        biased.max(1) - 1023
    };
    let mut lead = u64::from(biased != 0);
    let digits = match precision {
        Some(p) if p < 13 => {
            // Round to that many digits, ties to even, the carry going into the leading digit.
            let shift = 52 - 4 * p as u32;
            let all = lead << 52 | fraction;
            let number = softfloat::Number::Finite {
                negative: false,
                exponent: -(shift as i32),
                significand: all.into(),
            };
            if let softfloat::Number::Finite { significand, .. } =
                number.round_to_integer(softfloat::Rounding::NearestEven)
            {
                let rounded = (significand as u64) << shift;
                lead = rounded >> 52;
                fraction = rounded & ((1 << 52) - 1);
            }
            if lead > 1 {
                lead = 1;
                exponent += 1;
            }
            format!("{fraction:013x}")[..p].to_owned()
        }
        Some(p) => format!("{fraction:013x}{}", "0".repeat(p - 13)),
        None => format!("{fraction:013x}").trim_end_matches('0').to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    format!("0x{lead}{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::format;

    fn with(text: &str, values: &[u64]) -> String {
        let mut values = values.iter();
        format(
            text.as_bytes(),
            |_| values.next().copied(),
            |_| b"text".to_vec(),
        )
    }

    #[test]
    fn as_in_c() {
        assert_eq!(
            with("%d|%5d|%-5d|%05d|%+d", &[1, 2, 3, -4i64 as u64, 5]),
            "1|    2|3    |-0004|+5"
        );
        assert_eq!(
            with(
                "%u %x %#X %o %hhd",
                &[u64::from(u32::MAX), 255, 255, 8, 0x1ff]
            ),
            "4294967295 ff 0XFF 10 -1"
        );
        let f = |x: f64| x.to_bits();
        assert_eq!(
            with(
                "%f %.2f %8.3e %g %g",
                &[f(1.5), f(-2.345), f(12345.678), f(1e-5), f(100.0)]
            ),
            "1.500000 -2.35 1.235e+04 1e-05 100".replace("-2.35", &std::format!("{:.2}", -2.345))
        );
        assert_eq!(
            with("%s %c %% %p %lld %*d", &[0, 65, 16, u64::MAX, 4, 7]),
            "text A % 0x10 -1    7"
        );
        assert_eq!(
            with("%a %.0f %5.1f%%", &[f(12.0), f(2.5), f(99.94)]),
            "0x1.8p+3 2  99.9%"
        );
        assert_eq!(
            with(
                "%f %F %e",
                &[f(f64::NAN), f(f64::INFINITY), f(f64::NEG_INFINITY)]
            ),
            "nan INF -inf"
        );
    }
}
