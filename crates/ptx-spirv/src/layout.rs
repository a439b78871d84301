//! Where a module's `.global` and `.const` variables lie in the module buffer, and what the buffer starts out as.
//!
//! The runtime allocates [`ModuleLayout::size`] bytes, copies [`ModuleLayout::image`] into it after applying
//! [`ModuleLayout::relocations`], and passes the buffer's address to every launch.

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
