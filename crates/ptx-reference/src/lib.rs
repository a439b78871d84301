//! Executable semantics of PTX.
//!
//! [`semantics`] says what each instruction computes, bit by bit; [`matrix`] how matrices lie in the lanes of a warp;
//! [`interpreter`] runs whole kernels over the syntax tree of the crate `ptx`. All follow the text of the PTX ISA and share
//! nothing with the translator, so that they can serve as the oracle of its tests.

#![forbid(unsafe_code)]

mod error;
pub mod interpreter;
pub mod matrix;
mod memory;
pub mod semantics;

pub use error::Error;
pub use interpreter::{run, run_with, Fault, FaultKind, Launch, Options, Outcome};
pub use memory::Memory;
