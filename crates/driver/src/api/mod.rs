//! The driver functions, one family per file: arguments in, a call into [`crate::core`], results out.
//!
//! Each function has the name and arguments of its exported symbol and is documented there (NVIDIA, "CUDA Driver API").
//! Those without a stream argument that act in a default stream take it first (see [`cuda_abi::functions`], `sync`).

#![allow(non_snake_case, missing_docs, clippy::too_many_arguments)]

mod array;
mod batch;
mod capture;
mod context;
mod copy;
mod device;
mod event;
mod fill;
mod function;
mod graph;
mod graph_event;
mod graph_exec;
mod graph_identity;
mod graph_memory;
mod graph_node;
mod graph_params;
mod init;
mod kernel;
mod launch;
mod legacy_launch;
mod library;
mod link;
mod managed;
mod memory;
mod memory_operation;
mod module;
mod occupancy;
mod pointer;
mod pool;
mod primary;
mod profiler;
mod reference;
mod stream;
mod tensor_map;
mod texture;
mod user_object;
mod virtual_memory;

pub use array::*;
pub use batch::*;
pub use capture::*;
pub use context::*;
pub use copy::*;
pub use device::*;
pub use event::*;
pub use fill::*;
pub use function::*;
pub use graph::*;
pub use graph_event::*;
pub use graph_exec::*;
pub use graph_identity::*;
pub use graph_memory::*;
pub use graph_node::*;
pub use graph_params::*;
pub use init::*;
pub use kernel::*;
pub use launch::*;
pub use legacy_launch::*;
pub use library::*;
pub use link::*;
pub use managed::*;
pub use memory::*;
pub use memory_operation::*;
pub use module::*;
pub use occupancy::*;
pub use pointer::*;
pub use pool::*;
pub use primary::*;
pub use profiler::*;
pub use reference::*;
pub use stream::*;
pub use tensor_map::*;
pub use texture::*;
pub use user_object::*;
pub use virtual_memory::*;
