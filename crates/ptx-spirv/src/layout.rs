//! Where a module's `.global` and `.const` variables lie in the module buffer, and what the buffer starts out as.
//!
//! The runtime allocates [`ModuleLayout::size`] bytes, copies [`ModuleLayout::image`] into it after applying
//! [`ModuleLayout::relocations`], and passes the buffer's address to every launch.

use ptx::{Initial, Linkage, StateSpace};
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
}

/// What a relocation points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// A byte offset in this module's buffer.
    Offset(u64),
    /// A function whose address is taken: its index in `ModuleLayout::functions`. The address is the index plus one.
    Function(u32),
}

/// Eight (or four) bytes of the image that hold an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where in the image.
    pub offset: u64,
    /// 4 or 8 bytes.
    pub size: u32,
    /// What it points at.
    pub target: RelocationTarget,
    /// Added to the address.
    pub addend: i64,
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
        let mut end = 0u64;
        let of_space = |space| module.variables.iter().filter(move |v| v.space == space);
        for v in of_space(StateSpace::Const).chain(of_space(StateSpace::Global)) {
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
                v.name.to_string(),
                VariableLayout {
                    offset,
                    size: v.size,
                    constant,
                },
            );
        }
        layout.size = end.next_multiple_of(16);
        layout.image = vec![0; layout.size as usize];
        for v in &module.variables {
            let Some(place) = layout.variables.get(&*v.name).copied() else {
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
                        if mask.is_some() {
                            return Err(unsupported("a masked address in an initialiser".into()));
                        }
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
                        });
                    }
                }
            }
        }
        Ok(layout)
    }
}
