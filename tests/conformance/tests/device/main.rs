//! Families of instructions, each in a child process.

mod atomic;
mod barrier;
mod calls;
mod chain;
mod compare;
mod convert;
mod float;
mod flow;
mod fragment;
mod half;
mod integer;
mod known;
mod logic;
mod matrix;
mod memory;
mod reference;
mod tensor;
mod texture;
mod turns;
mod video;
mod warp;
mod written;

use conformance::{isolated, Bench, OPENS};

#[test]
fn the_device_opens() {
    isolated(OPENS, || drop(Bench::open()));
}
