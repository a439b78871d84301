//! The objects behind the handles, in safe Rust.
//!
//! ```text
//! Platform ── Device ── Context ── State: the open vulkan::Device and what lives in it
//!                                    ├── StreamGroup ── Stream      (order among default and blocking streams)
//!                                    ├── Memory                     (address -> allocation)
//!                                    └── Module ── Function         (PTX -> shaders, on first use)
//! Library ── Kernel   (no context: finds its Module and Function in the current one)
//! Graph ── GraphExec  (operations, captured or added; replayed)
//! ```
//!
//! A handle that the application holds is a key of a [`registry::Registry`]: a stale or foreign handle is an error, never
//! a wild access.

pub mod advice;
pub mod array;
pub mod attributes;
pub mod capture;
pub mod conditional;
pub mod context;
pub mod context_event;
pub mod copy;
pub mod device;
pub mod device_attributes;
pub mod event;
pub mod function;
pub mod graph;
pub mod graph_dot;
pub mod graph_exec;
pub mod graph_memory;
pub mod heap;
pub mod image;
pub mod jit;
pub mod kernel;
pub mod launch;
pub mod library;
pub mod link;
pub mod local_storage;
pub mod mappings;
pub mod memory;
pub mod memory_operation;
pub mod module;
pub mod occupancy;
pub mod operation;
pub mod peer;
pub mod platform;
pub mod pointer;
pub mod pool;
pub mod printf;
pub mod program;
pub mod reference;
pub mod registry;
pub mod stack;
pub mod status;
pub mod stream;
pub mod stream_pool;
pub mod texture;
pub mod user_object;
pub mod variables;
pub mod virtual_memory;
pub mod visible;
