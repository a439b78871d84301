//! Declarations of variables and parameters, and their initialisers.

use crate::ast::{
    Initial, Linkage, Modifier, Opaque, OpaqueKind, ScalarType, Span, StateSpace, Variable,
};
use crate::cursor::{text, Cursor, Number, Result};
use crate::keywords;

/// The size a variable may have at most, in bytes.
const MAX_SIZE: u64 = 1 << 48;
/// The bytes that zeros between initial values may take in one variable.
const MAX_PADDING: u64 = 1 << 26;
/// The alignment a variable may have at most.
const MAX_ALIGN: u64 = 1 << 16;
/// How many dimensions an array may have.
const MAX_DIMENSIONS: usize = 16;
/// How many fields the initialiser of a reference may have: several times what there are.
const MAX_FIELDS: usize = 64;

/// What stands between a state space and a name: `.align 8 .v2 .f32`.
#[derive(Clone, Copy)]
pub(crate) struct DeclaredType {
    /// `None` for opaque types (`.texref`).
    pub element: Option<ScalarType>,
    /// Of opaque types.
    pub opaque: Option<OpaqueKind>,
    /// Elements of a vector; 1 without one.
    pub width: u32,
    /// As written; 0 without one.
    pub align: u32,
    /// `.attribute(.managed)`.
    pub managed: bool,
}

/// The state space with this name.
pub(crate) fn state_space(word: &[u8]) -> Option<StateSpace> {
    Some(match word {
        b"reg" => StateSpace::Reg,
        b"const" => StateSpace::Const,
        b"global" => StateSpace::Global,
        b"local" => StateSpace::Local,
        b"param" => StateSpace::Param,
        b"shared" => StateSpace::Shared,
        b"tex" => StateSpace::Tex,
        _ => return None,
    })
}

/// The linkage with this name.
pub(crate) fn linkage(word: &[u8]) -> Option<Linkage> {
    Some(match word {
        b"extern" => Linkage::Extern,
        b"visible" => Linkage::Visible,
        b"weak" => Linkage::Weak,
        b"common" => Linkage::Common,
        _ => return None,
    })
}

impl Cursor<'_> {
    /// From `(` to behind its `)`.
    pub fn skip_parentheses(&mut self) -> Result<()> {
        self.expect(b'(')?;
        let mut depth = 1u32;
        while depth > 0 {
            match self.next_byte() {
                _ if self.at_end() => return Err(self.expected("`)`")),
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.pos += 1;
        }
        Ok(())
    }

    /// `(.managed)`, what follows `.attribute` of a variable: whether it is managed (PTX ISA, "Variable and Function Attribute
    /// Directive: .attribute").
    pub fn attributes(&mut self) -> Result<bool> {
        let mut managed = false;
        self.expect(b'(')?;
        loop {
            self.skip_space();
            let start = self.pos;
            match self.dotted()? {
                b"managed" => managed = true,
                b"unified" => self.skip_parentheses()?,
                word => return Err(self.unsupported(start, "attribute", word)),
            }
            if !self.eat(b',') {
                self.expect(b')')?;
                return Ok(managed);
            }
        }
    }

    /// A type with its alignment and attributes, in any order, up to the name.
    pub fn declared_type(&mut self) -> Result<DeclaredType> {
        let mut declared = DeclaredType {
            element: None,
            opaque: None,
            width: 1,
            align: 0,
            managed: false,
        };
        let mut pointer = false;
        while self.next_byte() == b'.' {
            let start = self.pos;
            match self.dotted()? {
                b"align" => {
                    let align = self.integer()?;
                    if !align.is_power_of_two() || align > MAX_ALIGN {
                        return Err(self
                            .fault_at(start, "an alignment that is no power of two up to 65536:"));
                    }
                    // Behind `.ptr` it is the alignment of what the parameter points to.
                    if !pointer {
                        declared.align = align as u32;
                    }
                }
                b"attribute" => declared.managed |= self.attributes()?,
                b"ptr" => pointer = true,
                b"const" | b"global" | b"local" | b"shared" if pointer => {}
                b"v2" => declared.width = 2,
                b"v4" => declared.width = 4,
                // What handles point to, as LLVM says it.
                b"texref" | b"samplerref" | b"surfref" if pointer => {}
                b"texref" => declared.opaque = Some(OpaqueKind::Texture),
                b"samplerref" => declared.opaque = Some(OpaqueKind::Sampler),
                b"surfref" => declared.opaque = Some(OpaqueKind::Surface),
                word => match keywords::modifier(word) {
                    Some(m) if m == Modifier::Pred || m.is_type() && m.size().is_some() => {
                        declared.element = Some(m)
                    }
                    _ => return Err(self.unsupported(start, "directive or type", word)),
                },
            }
        }
        if declared.element.is_none() != declared.opaque.is_some() {
            return Err(self.expected("a type"));
        }
        Ok(declared)
    }

    /// A name with its array dimensions.
    pub fn declarator(
        &mut self,
        declared: DeclaredType,
        space: StateSpace,
        linkage: Linkage,
    ) -> Result<Variable> {
        self.skip_space();
        let start = self.pos;
        let name: Box<str> = text(self.name()?).into();
        self.named_declarator(name, declared, space, linkage, start)
    }

    /// What follows the name of a variable, which stands at `start`.
    fn named_declarator(
        &mut self,
        name: Box<str>,
        declared: DeclaredType,
        space: StateSpace,
        linkage: Linkage,
        start: usize,
    ) -> Result<Variable> {
        let span = Span(start as u32);
        if declared.managed && space != StateSpace::Global {
            return Err(self.fault_at(start, "a managed variable that is not .global:"));
        }
        let mut dimensions = Vec::new();
        let mut is_open = false;
        while self.eat(b'[') {
            if dimensions.len() >= MAX_DIMENSIONS {
                return Err(self.fault_at(start, "too many dimensions:"));
            }
            let length = if self.next_byte() == b']' {
                is_open = true;
                0
            } else {
                self.integer()?
            };
            if length == 0 && !dimensions.is_empty() {
                return Err(self.fault_at(start, "a dimension without a length:"));
            }
            self.expect(b']')?;
            dimensions.push(length);
        }
        let unit = match declared.element {
            None => 8,
            Some(Modifier::Pred) if space == StateSpace::Reg => 1,
            Some(element) => match element.size() {
                Some(size) => size,
                None => return Err(self.fault_at(start, "a variable of a type without a size:")),
            },
        };
        let is_array = !dimensions.is_empty();
        if declared.width > 1 {
            dimensions.push(declared.width as u64);
        }
        // An open length counts as 1, so that the other dimensions are checked.
        let sized = |dimensions: &[u64]| {
            dimensions
                .iter()
                .try_fold(unit as u64, |size, &length| size.checked_mul(length.max(1)))
                .filter(|&size| size <= MAX_SIZE)
        };
        let too_large = "a variable that is too large:";
        let Some(mut size) = sized(&dimensions) else {
            return Err(self.fault_at(start, too_large));
        };
        if dimensions.first() == Some(&0) {
            size = 0;
        }
        let mut initializer = Vec::new();
        let mut opaque = declared.opaque.map(|kind| Opaque {
            kind,
            fields: Vec::new(),
        });
        if opaque.is_some()
            && (is_array || !matches!(space, StateSpace::Global | StateSpace::Param))
        {
            return Err(self.fault_at(start, "a reference that is no variable of its own:"));
        }
        if self.eat(b'=') {
            match declared.element {
                None => {
                    let fields = self.fields()?;
                    opaque.iter_mut().for_each(|o| o.fields.clone_from(&fields));
                }
                Some(element) => {
                    let mut initial = Initializer {
                        element,
                        unit,
                        pieces: Vec::new(),
                        end: 0,
                        padding: 0,
                    };
                    let length = initial.fill(self, &dimensions, 0)?;
                    if dimensions.first() == Some(&0) && length != 0 {
                        dimensions[0] = length;
                        size = sized(&dimensions).ok_or_else(|| self.fault_at(start, too_large))?;
                    }
                    initializer = initial.pieces;
                }
            }
        }
        // Only what another module defines has no length, and what a function takes (PTX ISA, "Array Declarations").
        let has_length = size != 0 || !initializer.is_empty();
        if is_open && !has_length && linkage != Linkage::Extern && space != StateSpace::Param {
            return Err(self.fault_at(start, "an array without a length:"));
        }
        let align = declared.align.max(unit * declared.width);
        Ok(Variable {
            name,
            space,
            linkage,
            element: declared.element,
            opaque,
            managed: declared.managed,
            align,
            size,
            is_array,
            initializer,
            span,
        })
    }

    /// `{ addr_mode_0 = clamp_to_border, filter_mode = nearest }`
    fn fields(&mut self) -> Result<Vec<(Box<str>, Box<str>)>> {
        self.expect(b'{')?;
        let mut fields = Vec::new();
        loop {
            let start = self.pos;
            let name = text(self.name()?);
            self.expect(b'=')?;
            self.skip_space();
            let value: Box<str> = match self.at_name() && !self.at_constant() {
                true => text(self.name()?).into(),
                false => self.integer()?.to_string().into(),
            };
            fields.push((name.into(), value));
            if fields.len() > MAX_FIELDS {
                return Err(self.fault_at(start, "too many fields:"));
            }
            if !self.eat(b',') {
                self.expect(b'}')?;
                return Ok(fields);
            }
        }
    }

    /// `(.param .u64 a, .param .b8 b[16])`: parameters or results. The cursor is on the parenthesis.
    /// Those of a prototype may lack a name.
    pub fn parameters(&mut self, in_prototype: bool) -> Result<Vec<Variable>> {
        self.expect(b'(')?;
        let mut parameters = Vec::new();
        let mut bytes = 0;
        if self.eat(b')') {
            return Ok(parameters);
        }
        loop {
            self.skip_space();
            let start = self.pos;
            let space = match self.next_byte() {
                b'.' => state_space(self.dotted()?),
                _ => None,
            };
            let Some(space @ (StateSpace::Param | StateSpace::Reg)) = space else {
                return Err(self.fault_at(start, "expected `.param` or `.reg`, found"));
            };
            let declared = self.declared_type()?;
            let unnamed = in_prototype && matches!(self.next_byte(), b',' | b')' | b'[');
            let parameter = match unnamed {
                true => {
                    let at = self.pos;
                    self.named_declarator("_".into(), declared, space, Linkage::Internal, at)?
                }
                false => self.declarator(declared, space, Linkage::Internal)?,
            };
            bytes += parameter.size.min(MAX_PARAMETERS) + parameter.align as u64;
            if bytes > MAX_PARAMETERS || parameters.len() >= MAX_PARAMETER_COUNT {
                return Err(self.fault_at(start, "parameters that are too large:"));
            }
            parameters.push(parameter);
            if !self.eat(b',') {
                self.expect(b')')?;
                return Ok(parameters);
            }
        }
    }
}

/// The bytes that a function's parameters may take; far above the 32,764 of a kernel.
const MAX_PARAMETERS: u64 = 1 << 28;
/// How many parameters a function may have.
const MAX_PARAMETER_COUNT: usize = 1 << 16;

/// Collects initial values in order of their offsets.
struct Initializer {
    element: ScalarType,
    unit: u32,
    pieces: Vec<Initial>,
    /// The offset behind what is collected.
    end: u64,
    padding: u64,
}

impl Initializer {
    /// Reads the value of an array of these dimensions whose first element has index `at`; returns its length.
    fn fill(&mut self, cursor: &mut Cursor<'_>, dimensions: &[u64], at: u64) -> Result<u64> {
        let Some((&length, inner)) = dimensions.split_first() else {
            let braced = cursor.eat(b'{');
            self.value(cursor, at)?;
            if braced {
                cursor.expect(b'}')?;
            }
            return Ok(1);
        };
        // Checked when the variable's size was computed.
        let stride: u64 = inner.iter().product();
        cursor.expect(b'{')?;
        let mut count = 0;
        if cursor.eat(b'}') {
            return Ok(0);
        }
        loop {
            if length != 0 && count >= length {
                return Err(cursor.fault("more initial values than the variable has elements, at"));
            }
            self.fill(
                cursor,
                inner,
                at.saturating_add(count.saturating_mul(stride)),
            )?;
            count += 1;
            if !cursor.eat(b',') {
                cursor.expect(b'}')?;
                return Ok(count);
            }
        }
    }

    #[inline]
    fn value(&mut self, cursor: &mut Cursor<'_>, at: u64) -> Result<()> {
        let offset = at.saturating_mul(self.unit as u64);
        if offset > self.end {
            self.padding = self.padding.saturating_add(offset - self.end);
            if self.padding > MAX_PADDING {
                return Err(cursor.fault("an initialiser with too large gaps, at"));
            }
            let gap = (offset - self.end) as usize;
            let bytes = self.bytes_mut();
            bytes.resize(bytes.len() + gap, 0);
            self.end = offset;
        }
        cursor.skip_space();
        let start = cursor.pos;
        if cursor.at_name() && !cursor.at_constant() {
            self.address(cursor, None)?;
        } else {
            let number = cursor.constant()?;
            if cursor.eat(b'(') {
                let Number::Integer { value: mask, .. } = number else {
                    return Err(cursor.fault_at(start, "a mask that is no integer:"));
                };
                self.address(cursor, Some(mask))?;
                cursor.expect(b')')?;
            } else {
                let Some(bytes) = encode(number, self.element) else {
                    return Err(
                        cursor.fault_at(start, "a value that does not suit the variable's type:")
                    );
                };
                let unit = self.unit as usize;
                self.bytes_mut().extend_from_slice(&bytes[..unit]);
            }
        }
        self.end = offset + self.unit as u64;
        Ok(())
    }

    /// The bytes at the end of what is collected.
    fn bytes_mut(&mut self) -> &mut Vec<u8> {
        if !matches!(self.pieces.last(), Some(Initial::Bytes { .. })) {
            self.pieces.push(Initial::Bytes {
                offset: self.end,
                bytes: Vec::new(),
            });
        }
        match self.pieces.last_mut() {
            Some(Initial::Bytes { bytes, .. }) => bytes,
            _ => unreachable!("just pushed"),
        }
    }

    /// `name`, `name+8`, `generic(name)`, `generic(name+8)`, `generic(name)+8`.
    fn address(&mut self, cursor: &mut Cursor<'_>, mask: Option<u64>) -> Result<()> {
        let start = cursor.pos;
        let mut name = cursor.name()?;
        let generic = name == b"generic" && cursor.eat(b'(');
        let mut addend = 0;
        if generic {
            name = cursor.name()?;
            addend = cursor.offset()?;
            cursor.expect(b')')?;
        }
        addend = cursor.offset()?.wrapping_add(addend);
        if mask.is_none() && self.unit < 4 || self.unit > 8 || mask.is_some() && self.unit != 1 {
            return Err(cursor.fault_at(
                start,
                "an address in a variable whose elements have not its size:",
            ));
        }
        let (offset, size) = (self.end, self.unit);
        self.pieces.push(Initial::Address {
            offset,
            size,
            symbol: text(name).into(),
            addend,
            generic,
            mask,
        });
        Ok(())
    }
}

/// A number as the bytes of an element, little endian; the rest of the 16 is to be cut off.
fn encode(number: Number, element: ScalarType) -> Option<[u8; 16]> {
    use Modifier::{F32, F64};
    let bits = match (element, number) {
        (
            F32,
            Number::Integer {
                value,
                unsigned: true,
            },
        ) => (value as f32).to_bits() as u128,
        (F32, Number::Integer { value, .. }) => (value as i64 as f32).to_bits() as u128,
        (F32, Number::Double(bits)) => (f64::from_bits(bits) as f32).to_bits() as u128,
        (
            F64,
            Number::Integer {
                value,
                unsigned: true,
            },
        ) => (value as f64).to_bits() as u128,
        (F64, Number::Integer { value, .. }) => (value as i64 as f64).to_bits() as u128,
        (F64, Number::Single(bits)) => (f32::from_bits(bits) as f64).to_bits() as u128,
        (
            _,
            Number::Integer {
                value,
                unsigned: true,
            },
        ) => value as u128,
        (_, Number::Integer { value, .. }) => value as i64 as i128 as u128,
        (_, Number::Single(bits)) if element.size() == Some(4) => bits as u128,
        (_, Number::Double(bits)) if element.size() == Some(8) => bits as u128,
        _ => return None,
    };
    Some(bits.to_le_bytes())
}
