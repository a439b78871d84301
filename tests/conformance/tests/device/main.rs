//! Families of instructions, each in a child process.

mod barrier;
mod compare;
mod convert;
mod float;
mod fragment;
mod half;
mod integer;
mod known;
mod warp;
