//! Where a module's `.global` and `.const` variables lie in the module buffer, and what the buffer starts out as.
//!
//! The runtime allocates [`ModuleLayout::size`] bytes, copies [`ModuleLayout::image`] into it after applying
//! [`ModuleLayout::relocations`], and passes the buffer's address to every launch.

use ptx::{Initial, Linkage, StateSpace, Variable};
use std::collections::BTreeMap;

/// A module variable's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableLayout {
    /// Byte offset in the module buffer.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// Whether it is `.const`.
    pub constant: bool,
    /// Whether it is `.attribute(.managed)`: the host reaches it at the same address.
    pub managed: bool,
}

/// What a relocation points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// A byte offset in this module's buffer.
    Offset(u64),
    /// A function whose address is taken: its index in `ModuleLayout::functions`. The address is the index plus one.
    Function(u32),
}

/// Bytes of the image that hold an address, or one byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the image.
    pub offset: u64,
    /// 1, 4 or 8 bytes.
    pub size: u32,
    /// What it points at.
    pub target: RelocationTarget,
    /// Added to the address.
    pub addend: i64,
    /// `0xFF00(name)`: the bits of the sum that are stored, moved down to the lowest (PTX ISA, "Initializers").
    pub mask: Option<u64>,
}

impl Relocation {
    /// What is stored, little endian and [`Relocation::size`] bytes of it; `module` is the address of the module's buffer.
    pub fn bytes(&self, module: u64) -> [u8; 8] {
        let address = match self.target {
            RelocationTarget::Offset(offset) => module.wrapping_add(offset),
            RelocationTarget::Function(index) => u64::from(index) + 1,
        };
        let value = address.wrapping_add_signed(self.addend);
        let value = match self.mask {
            Some(mask) if mask != 0 => (value & mask) >> mask.trailing_zeros(),
            _ => value,
        };
        value.to_le_bytes()
    }
}

/// The layout of a module's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleLayout {
    /// Bytes of the module buffer; 0 where the module has no variables.
    pub size: u64,
    /// By name.
    pub variables: BTreeMap<String, VariableLayout>,
    /// The initial contents, `size` bytes.
    pub image: Vec<u8>,
    /// Addresses to fill in.
    pub relocations: Vec<Relocation>,
    /// Functions whose address is taken in an initialiser or a body, in order of declaration.
    pub functions: Vec<String>,
}

impl ModuleLayout {
    /// Where the constant variables lie in the module buffer, and how many bytes from the first to the end of the last:
    /// they come before all others.
    pub fn constants(&self) -> (u64, u64) {
        let end = self
            .variables
            .values()
            .filter(|v| v.constant)
            .map(|v| v.offset + v.size)
            .max();
        (0, end.unwrap_or(0))
    }

    /// Whether the module buffer has to be where the host reaches it at the same address.
    pub fn is_managed(&self) -> bool {
        self.variables.values().any(|v| v.managed)
    }

    /// Lays out the variables of a module, constant ones first, else in order of declaration, each at the next multiple of its alignment (256 for the
    /// first of each kind, so that vector accesses find what they expect).
    pub fn new(module: &ptx::Module) -> Result<Self, crate::TranslateError> {
        let mut layout = ModuleLayout {
            functions: module
                .functions
                .iter()
                .map(|f| f.name.to_string())
                .collect(),
            ..ModuleLayout::default()
        };
        let statics = statics(module);
        let named = module.variables.iter().map(|v| (v.name.to_string(), v));
        let variables: Vec<(String, &Variable)> = named
            .chain(statics.iter().map(|(name, v)| (name.clone(), v)))
            .collect();
        let mut end = 0u64;
        let of_space = |space| variables.iter().filter(move |(_, v)| v.space == space);
        for (name, v) in of_space(StateSpace::Const).chain(of_space(StateSpace::Global)) {
            // References are of each launch (`KernelInfo::references`).
            if v.linkage == Linkage::Extern || v.opaque.is_some() {
                continue;
            }
            let offset = end.next_multiple_of(u64::from(v.align.max(16)));
            end = offset.saturating_add(v.size);
            if end > 1 << 32 {
                return Err(crate::TranslateError::Invalid {
                    kernel: v.name.to_string(),
                    line: module.line(v.span),
                    what: "module variables of more than 4 GiB".into(),
                });
            }
            let constant = v.space == StateSpace::Const;
            layout.variables.insert(
                name.clone(),
                VariableLayout {
                    offset,
                    size: v.size,
                    constant,
                    managed: v.managed,
                },
            );
        }
        layout.size = end.next_multiple_of(16);
        layout.image = vec![0; layout.size as usize];
        for (name, v) in &variables {
            let Some(place) = layout.variables.get(name).copied() else {
                continue;
            };
            for part in &v.initializer {
                match part {
                    Initial::Bytes { offset, bytes } => {
                        let start = (place.offset + offset) as usize;
                        let end = (start + bytes.len()).min((place.offset + place.size) as usize);
                        layout.image[start..end].copy_from_slice(&bytes[..end - start]);
                    }
                    Initial::Address {
                        offset,
                        size,
                        symbol,
                        addend,
                        mask,
                        ..
                    } => {
                        let unsupported = |what: String| crate::TranslateError::Unsupported {
                            kernel: v.name.to_string(),
                            line: module.line(v.span),
                            what,
                        };
                        let target = if let Some(to) = layout.variables.get(&**symbol) {
                            RelocationTarget::Offset(to.offset)
                        } else if let Some(n) =
                            layout.functions.iter().position(|f| **f == **symbol)
                        {
                            RelocationTarget::Function(n as u32)
                        } else {
                            return Err(unsupported(format!(
                                "the address of {symbol} in an initialiser"
                            )));
                        };
                        layout.relocations.push(Relocation {
                            offset: place.offset + offset,
                            size: *size,
                            target,
                            addend: *addend,
                            mask: *mask,
                        });
                    }
                }
            }
        }
        Ok(layout)
    }
}

/// The name in [`ModuleLayout::variables`] of a `.global` or `.const` variable that a function declares in its body: no name of
/// PTX has a dot. `index` is the variable's place in the body's list.
pub fn static_name(function: &str, index: usize) -> String {
    format!("{function}.{index}")
}

/// The `.global` and `.const` variables that functions declare in their bodies: one each for the module, however often
/// a function is called. Bodies that are wrong have none; whoever translates them says why.
fn statics(module: &ptx::Module) -> Vec<(String, Variable)> {
    let declares = |body: &[u8]| {
        // In an instruction a type follows the space at once.
        [".global ", ".global\t", ".const ", ".const\t"]
            .iter()
            .any(|word| memchr::memmem::find(body, word.as_bytes()).is_some())
    };
    let mut found = Vec::new();
    for function in &module.functions {
        let text = function
            .body
            .clone()
            .and_then(|range| module.text.get(range));
        if !text.is_some_and(|text| declares(text.as_bytes())) {
            continue;
        }
        let Ok(body) = module.parse_body(function) else {
            continue;
        };
        let variables = body.variables.into_iter().enumerate();
        found.extend(
            variables
                .filter(|(_, v)| matches!(v.space, StateSpace::Global | StateSpace::Const))
                .map(|(index, v)| (static_name(&function.name, index), v)),
        );
    }
    found
}
