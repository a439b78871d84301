//! Families of instructions, each in a child process.

mod atomic;
mod compare;
mod convert;
mod float;
mod flow;
mod half;
mod integer;
mod known;
mod matrix;
mod memory;
mod video;
mod warp;
