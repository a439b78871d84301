//! Every PTX instruction form on the Vulkan device and on the interpreter, with the same inputs, bit for bit.
//!
//! A [`Form`] is an instruction with the kinds of its operands. [`Bench`] makes kernels of some forms each, whose thread `i`
//! loads operand set `i`, executes and stores; runs them on both sides; and compares. NaNs are one class. What may differ
//! is said by the form ([`Compare`]). Whole kernels go through [`Bench::kernel`].
//!
//! With `VKCUDA_CONFORMANCE_LIBRARY` set to the path of a `libcuda.so.1`, kernels go through that: NVIDIA's own checks the
//! interpreter against the hardware, this project's checks it from end to end.
//!
//! A wild pointer on a CPU device ends the process, so each family of tests runs in a [child process](isolate::isolated).
//!
//! ```no_run
//! use conformance::{form, Bench};
//! Bench::open().check(vec![form("add.sat.s32", "s32", "s32 s32")], &[]);
//! ```

pub mod bench;
mod cuda;
pub mod form;
pub mod isolate;
pub mod kind;
pub mod side;
pub mod textures;
mod vulkan;

pub use bench::{Bench, Case, Label, Reference, Textures, IN_STEP};
pub use form::{body, form, Compare, Form};
pub use isolate::{isolated, left_out, OPENS};
pub use kind::{Kind, Random};
pub use side::device_kind;
pub use textures::Geometry;
