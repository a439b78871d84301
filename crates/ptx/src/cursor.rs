//! A position in the text, and the words that start there: white space, names, numbers, strings.
//!
//! The parsers work on bytes and make no list of tokens: each asks the cursor for the next thing that can stand here.
//! All names of PTX are ASCII; other bytes are only legal inside comments and strings.

/// An error at a place, before its line is known.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Byte offset in the module's text.
    pub at: usize,
    pub message: String,
    pub unsupported: bool,
    /// What is unsupported is an instruction's name or modifier.
    pub unknown_word: bool,
}

/// Boxed, so that results stay small on the way that succeeds.
pub(crate) type Result<T> = std::result::Result<T, Box<Fault>>;

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Integer { value: u64, unsigned: bool },
    Single(u32),
    Double(u64),
}

const NAME: u8 = 1;
const DIGIT: u8 = 2;
const SPACE: u8 = 4;

/// What each byte can be part of.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        table[i] = match b {
            b'0'..=b'9' => NAME | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' => NAME,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            _ => 0,
        };
        i += 1;
    }
    table
};

pub(crate) fn is_name_byte(b: u8) -> bool {
    CLASS[b as usize] & NAME != 0
}

#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    /// The text up to the end of what may be read; offsets are those of the module's text.
    pub text: &'a [u8],
    pub pos: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte; 0 at the end.
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.text.get(self.pos).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub fn peek_at(&self, ahead: usize) -> u8 {
        self.text.get(self.pos + ahead).copied().unwrap_or(0)
    }

    pub fn at_end(&self) -> bool {
        self.pos >= self.text.len()
    }

    /// Skips white space and comments. A comment that does not end runs to the end of the text.
    #[inline(always)]
    pub fn skip_space(&mut self) {
        loop {
            while CLASS[self.peek() as usize] & SPACE != 0 {
                self.pos += 1;
            }
            if self.peek() != b'/' || !self.skip_comment() {
                return;
            }
        }
    }

    #[cold]
    fn skip_comment(&mut self) -> bool {
        let rest = &self.text[self.pos..];
        let length = match rest.get(1) {
            Some(b'/') => memchr::memchr(b'\n', rest),
            Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|at| at + 4),
            _ => return false,
        };
        self.pos += length.unwrap_or(rest.len());
        true
    }

    /// The next byte after white space.
    #[inline(always)]
    pub fn next_byte(&mut self) -> u8 {
        self.skip_space();
        self.peek()
    }

    /// Takes `byte` if it comes next.
    #[inline(always)]
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.next_byte() == byte && !self.at_end();
        self.pos += found as usize;
        found
    }

    #[inline(always)]
    pub fn expect(&mut self, byte: u8) -> Result<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{}`", byte as char)))
        }
    }

    /// The name bytes from here on, without white space before; may be empty.
    #[inline(always)]
    pub fn name_bytes(&mut self) -> &'a [u8] {
        let start = self.pos;
        while is_name_byte(self.peek()) {
            self.pos += 1;
        }
        &self.text[start..self.pos]
    }

    /// A name, with `%` before it or not.
    #[inline(always)]
    pub fn name(&mut self) -> Result<&'a [u8]> {
        self.skip_space();
        let start = self.pos;
        let first = self.peek();
        if first == b'%' {
            self.pos += 1;
        }
        if CLASS[self.peek() as usize] & (NAME | DIGIT) != NAME
            && !(first == b'%' && is_name_byte(self.peek()))
        {
            self.pos = start;
            return Err(self.expected("a name"));
        }
        self.name_bytes();
        Ok(&self.text[start..self.pos])
    }

    /// Whether a name starts here.
    #[inline(always)]
    pub fn at_name(&self) -> bool {
        self.peek() == b'%' && is_name_byte(self.peek_at(1))
            || CLASS[self.peek() as usize] & (NAME | DIGIT) == NAME
    }

    /// A directive's word after its dot, `::` parts included; the cursor is on the dot.
    #[inline(always)]
    pub fn dotted(&mut self) -> Result<&'a [u8]> {
        debug_assert_eq!(self.peek(), b'.');
        let start = self.pos + 1;
        self.pos = start;
        self.name_bytes();
        while self.peek() == b':' && self.peek_at(1) == b':' && is_name_byte(self.peek_at(2)) {
            self.pos += 2;
            self.name_bytes();
        }
        if self.pos == start {
            self.pos -= 1;
            return Err(self.expected("a word after the dot"));
        }
        Ok(&self.text[start..self.pos])
    }

    /// The word of the directive that starts here, without moving.
    pub fn peek_dotted(&mut self) -> Option<&'a [u8]> {
        if self.next_byte() != b'.' {
            return None;
        }
        let start = self.pos;
        let word = self.dotted().ok();
        self.pos = start;
        word
    }

    /// Takes the directive `word` if it comes next.
    pub fn eat_directive(&mut self, word: &str) -> bool {
        let found = self.peek_dotted() == Some(word.as_bytes());
        if found {
            self.pos += 1 + word.len();
        }
        found
    }

    /// Takes the name `word` if it comes next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        self.skip_space();
        let found = self.text[self.pos.min(self.text.len())..].starts_with(word.as_bytes())
            && !is_name_byte(self.peek_at(word.len()));
        if found {
            self.pos += word.len();
        }
        found
    }

    /// A string; its bytes without the quotes, escapes as written.
    pub fn string(&mut self) -> Result<&'a [u8]> {
        self.skip_space();
        if self.peek() != b'"' {
            return Err(self.expected("a string"));
        }
        let start = self.pos + 1;
        let mut at = start;
        while let Some(found) = memchr::memchr2(b'"', b'\\', &self.text[at.min(self.text.len())..])
        {
            at += found;
            if self.text[at] == b'"' {
                self.pos = at + 1;
                return Ok(&self.text[start..at]);
            }
            at += 2;
        }
        Err(self.fault("a string that does not end"))
    }

    /// A number without a sign. Integers that need more than 64 bits are an error.
    #[inline(always)]
    pub fn number(&mut self) -> Result<Number> {
        // Almost every number is a short decimal one.
        let start = self.pos;
        let mut value = 0u64;
        while CLASS[self.peek() as usize] & DIGIT != 0 && self.pos - start < 18 {
            value = value * 10 + (self.peek() - b'0') as u64;
            self.pos += 1;
        }
        let next = self.peek();
        let octal = self.text.get(start) == Some(&b'0') && self.pos - start > 1;
        if self.pos > start && !octal && next != b'.' && !is_name_byte(next) {
            return Ok(Number::Integer {
                value,
                unsigned: false,
            });
        }
        self.pos = start;
        self.any_number()
    }

    fn any_number(&mut self) -> Result<Number> {
        let start = self.pos;
        let rest = &self.text[start.min(self.text.len())..];
        let radix = match (self.peek(), self.peek_at(1)) {
            (b'0', b'f' | b'F') => return self.bits(8).map(|bits| Number::Single(bits as u32)),
            (b'0', b'd' | b'D') => return self.bits(16).map(Number::Double),
            (b'0', b'x' | b'X') => 16,
            (b'0', b'b' | b'B') => 2,
            _ => {
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                match rest.get(digits) {
                    Some(b'.' | b'e' | b'E') => return self.decimal(),
                    _ if digits == 0 => return Err(self.expected("a number")),
                    _ if digits > 1 && rest[0] == b'0' => 8,
                    _ => 10,
                }
            }
        };
        if radix == 16 || radix == 2 {
            self.pos += 2;
        }
        let mut word = self.name_bytes();
        let unsigned = matches!(word.last(), Some(b'U' | b'u'));
        if unsigned {
            word = &word[..word.len() - 1];
        }
        let value = (!word.is_empty())
            .then(|| {
                word.iter().try_fold(0u64, |value, &b| {
                    let digit = (b as char).to_digit(radix)?;
                    value.checked_mul(radix as u64)?.checked_add(digit as u64)
                })
            })
            .flatten();
        match value {
            Some(value) => Ok(Number::Integer { value, unsigned }),
            None => {
                self.pos = start;
                Err(self.fault("a bad number, or one above 64 bits:"))
            }
        }
    }

    /// `0f` or `0d` and exactly `digits` hexadecimal digits.
    fn bits(&mut self, digits: usize) -> Result<u64> {
        let start = self.pos;
        self.pos += 2;
        let word = self.name_bytes();
        let value = word.iter().try_fold(0u64, |value, &b| {
            Some(value << 4 | (b as char).to_digit(16)? as u64)
        });
        match value {
            Some(value) if word.len() == digits => Ok(value),
            _ => {
                self.pos = start;
                Err(self.fault(&format!(
                    "a floating-point number that has not {digits} hexadecimal digits:"
                )))
            }
        }
    }

    /// `1.5`, `.5`, `1e-3`.
    fn decimal(&mut self) -> Result<Number> {
        let start = self.pos;
        let digits = |cursor: &mut Self| {
            while cursor.peek().is_ascii_digit() {
                cursor.pos += 1;
            }
        };
        digits(self);
        if self.peek() == b'.' {
            self.pos += 1;
            digits(self);
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.pos += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.pos += 1;
            }
            digits(self);
        }
        let word = std::str::from_utf8(&self.text[start..self.pos]).unwrap_or("");
        match word.parse::<f64>() {
            Ok(value) if !is_name_byte(self.peek()) => Ok(Number::Double(value.to_bits())),
            _ => {
                self.pos = start;
                Err(self.fault("a bad number:"))
            }
        }
    }

    /// From an opening brace to behind its closing one, strings and comments respected.
    /// Returns the offset of the closing brace.
    pub fn skip_braces(&mut self) -> Result<usize> {
        let open = self.pos;
        debug_assert_eq!(self.peek(), b'{');
        // Strings are rare: look for the next one only when it was passed.
        let text = self.text;
        let find_quote =
            |from: usize| memchr::memchr(b'"', &text[from..]).map_or(text.len(), |at| from + at);
        let mut at = open;
        let mut quote = find_quote(at);
        let mut depth = 0usize;
        loop {
            match memchr::memchr3(b'{', b'}', b'/', &text[at..quote]) {
                Some(found) => {
                    at += found;
                    match text[at] {
                        b'{' => depth += 1,
                        b'}' => {
                            depth -= 1;
                            if depth == 0 {
                                self.pos = at + 1;
                                return Ok(at);
                            }
                        }
                        _ => {
                            self.pos = at;
                            if self.skip_comment() {
                                at = self.pos;
                                if at > quote {
                                    quote = find_quote(at);
                                }
                                continue;
                            }
                        }
                    }
                    at += 1;
                }
                None if quote < text.len() => {
                    self.pos = quote;
                    self.string()?;
                    at = self.pos;
                    quote = find_quote(at);
                }
                None => {
                    self.pos = open;
                    return Err(self.fault("a `{` that is never closed:"));
                }
            }
        }
    }

    /// The text at a place, shortened for a message.
    fn excerpt(&self, at: usize) -> String {
        let rest = &self.text[at.min(self.text.len())..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n' || b == b'\r')
            .unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..end.min(160)]);
        let mut excerpt: String = line.trim_end().chars().take(48).collect();
        if excerpt.is_empty() {
            excerpt = if rest.is_empty() {
                "end of text".into()
            } else {
                "end of line".into()
            };
        }
        excerpt
    }

    /// An error here: `what`, then the text that stands here.
    #[cold]
    pub fn fault(&self, what: &str) -> Box<Fault> {
        self.fault_at(self.pos, what)
    }

    #[cold]
    pub fn fault_at(&self, at: usize, what: &str) -> Box<Fault> {
        Box::new(Fault {
            at,
            message: format!("{what} `{}`", self.excerpt(at)),
            unsupported: false,
            unknown_word: false,
        })
    }

    #[cold]
    pub fn expected(&self, what: &str) -> Box<Fault> {
        self.fault(&format!("expected {what}, found"))
    }

    /// An error for a word that a newer or larger PTX may know.
    #[cold]
    pub fn unsupported(&self, at: usize, what: &str, word: &[u8]) -> Box<Fault> {
        let word = String::from_utf8_lossy(&word[..word.len().min(80)]).into_owned();
        let context = self.excerpt(at);
        let message = if context == word {
            format!("unsupported {what} `{word}`")
        } else {
            format!("unsupported {what} `{word}` in `{context}`")
        };
        Box::new(Fault {
            at,
            message,
            unsupported: true,
            unknown_word: matches!(what, "instruction" | "modifier"),
        })
    }
}

/// A name's bytes as text. Names are ASCII, so nothing is lost.
pub(crate) fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or("")
}
