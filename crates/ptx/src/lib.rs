//! PTX text to a syntax tree, one function at a time.
//!
//! [`Module::parse`] reads the declarations of a module and only finds the ends of function bodies;
//! [`Module::parse_body`] parses one body when its kernel is first asked for.
//!
//! ```
//! let text = "
//!     .version 8.0
//!     .target sm_80
//!     .address_size 64
//!     .visible .entry fill(.param .u64 out, .param .u32 value) {
//!         .reg .b64 %rd<2>; .reg .b32 %r<2>;
//!         ld.param.u64 %rd1, [out];
//!         ld.param.u32 %r1, [value];
//!         st.global.u32 [%rd1], %r1;
//!         ret;
//!     }";
//! let module = ptx::Module::parse(text).unwrap();
//! let fill = module.function("fill").unwrap();
//! assert_eq!(fill.parameter_offsets(), (vec![0, 8], 12));
//! assert_eq!(module.parse_body(fill).unwrap().statements.len(), 4);
//! ```

pub mod ast;

pub use ast::*;

/// A module: its text, and what is declared at its top level.
#[derive(Clone, Debug)]
pub struct Module<'a> {
    /// The text that spans refer to.
    pub text: &'a str,
    /// Version, target and address size.
    pub header: Header,
    /// Variables at module level, in order of declaration.
    pub variables: Vec<Variable>,
    /// Functions in order of declaration; a later definition replaces an earlier declaration of the same name.
    pub functions: Vec<Function>,
}

/// Why a text is not PTX that this parser knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// 1-based line in the module's text.
    pub line: u32,
    /// What was wrong, with the offending text.
    pub message: String,
    /// Set where the text may be right PTX of a newer or larger language (unknown opcode, modifier or directive).
    pub unsupported: bool,
}
