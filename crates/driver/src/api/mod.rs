//! The driver functions, one family per file: arguments in, a call into [`crate::core`], results out.
//!
//! Each function has the name and arguments of its exported symbol and is documented there (NVIDIA, "CUDA Driver API").
//! Those without a stream argument that act in a default stream take it first (see [`cuda_abi::functions`], `sync`).

#![allow(non_snake_case, missing_docs, clippy::too_many_arguments)]

mod capture;
mod context;
mod copy;
mod device;
mod event;
mod fill;
mod function;
mod graph;
mod graph_exec;
mod graph_node;
mod init;
mod kernel;
mod launch;
mod library;
mod link;
mod memory;
mod module;
mod occupancy;
mod pointer;
mod pool;
mod primary;
mod profiler;
mod stream;

pub use capture::*;
pub use context::*;
pub use copy::*;
pub use device::*;
pub use event::*;
pub use fill::*;
pub use function::*;
pub use graph::*;
pub use graph_exec::*;
pub use graph_node::*;
pub use init::*;
pub use kernel::*;
pub use launch::*;
pub use library::*;
pub use link::*;
pub use memory::*;
pub use module::*;
pub use occupancy::*;
pub use pointer::*;
pub use pool::*;
pub use primary::*;
pub use profiler::*;
pub use stream::*;
