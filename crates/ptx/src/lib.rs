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
mod body;
mod check;
mod constant;
mod cursor;
mod declaration;
mod keywords;
pub mod link;
mod module;
mod names;
mod operand;
pub mod printer;

use cursor::{Cursor, Fault};
use module::Item;
use rustc_hash::FxHashMap;

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
    /// Registers declared at module level, in order of declaration.
    pub registers: Vec<ModuleRegisters>,
    names: FxHashMap<Box<str>, Item>,
}

impl<'a> Module<'a> {
    /// Reads the declarations of a module. Of function bodies only the ends are found.
    ///
    /// # Errors
    ///
    /// The first thing that is not PTX, or not known. Texts of 4 GiB and more are refused.
    pub fn parse(text: &'a str) -> Result<Module<'a>, ParseError> {
        if u32::try_from(text.len()).is_err() {
            return Err(ParseError {
                line: 1,
                message: "a text of 4 GiB or more".into(),
                unsupported: false,
                unknown_word: false,
            });
        }
        let parsed = module::parse(Cursor {
            text: text.as_bytes(),
            pos: 0,
        })
        .map_err(|f| error(text, *f))?;
        let module::Parsed {
            header,
            variables,
            functions,
            registers,
            names,
        } = parsed;
        Ok(Module {
            text,
            header,
            variables,
            functions,
            registers,
            names,
        })
    }

    /// The function with this (mangled) name: its definition where there is one, else its declaration.
    pub fn function(&self, name: &str) -> Option<&Function> {
        match *self.names.get(name)? {
            Item::Function(index) => self.functions.get(index as usize),
            Item::Variable(_) => None,
        }
    }

    /// The module-level variable with this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        match *self.names.get(name)? {
            Item::Variable(index) => self.variables.get(index as usize),
            Item::Function(_) => None,
        }
    }

    /// Parses the body of one of this module's functions.
    ///
    /// # Errors
    ///
    /// The first thing in the body that is not PTX or not known, or that the function has no body.
    pub fn parse_body(&self, function: &Function) -> Result<Body, ParseError> {
        let text = match &function.body {
            Some(range) if range.start <= range.end => self.text.as_bytes().get(..range.end),
            _ => None,
        };
        let (Some(text), Some(range)) = (text, &function.body) else {
            let message = format!("`{}` has no body", function.name);
            return Err(ParseError {
                line: self.line(function.span),
                message,
                unsupported: false,
                unknown_word: false,
            });
        };
        body::parse(
            self,
            function,
            Cursor {
                text,
                pos: range.start,
            },
        )
        .map_err(|f| error(self.text, *f))
    }

    /// The line that a place is in, counted from 1.
    pub fn line(&self, span: Span) -> u32 {
        line(self.text, span.0 as usize)
    }
}

fn line(text: &str, at: usize) -> u32 {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..at.min(text.len())]).count() as u32 + 1
}

fn error(text: &str, fault: Fault) -> ParseError {
    ParseError {
        line: line(text, fault.at),
        message: fault.message,
        unsupported: fault.unsupported,
        unknown_word: fault.unknown_word,
    }
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
    /// Set where it is an instruction's name or modifier: those of PTX ISA 8.8 for compute capability 9.0 and below are all known.
    pub unknown_word: bool,
}
