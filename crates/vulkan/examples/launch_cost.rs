//! What a launch costs the host: `cargo run --release -p vulkan --example launch_cost`.
//!
//! Times the calls of 20,000 dependent launches of an empty-ish kernel, and the whole until they have run; then the replay of a
//! recording of 640 of them (a token of an 8-billion-parameter model).

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant;
use vulkan::{Launch, MemoryKind, Node};

const LAUNCHES: u32 = 20_000;
const NODES: usize = 640;
const REPLAYS: u32 = 20;

fn main() -> Result<(), vulkan::Error> {
    let device = common::device();
    println!("{}", device.physical().name());
    let stream = device.create_stream()?;
    let pipeline = device
        .create_shader(&common::affine_kernel())?
        .pipeline([32, 1, 1], 0)?;
    let memory = device.allocate(128, MemoryKind::Device)?;
    let parameters = common::parameters(memory.address(), 1, 1);
    let launch = Launch {
        grid: [1, 1, 1],
        parameters: &parameters,
        ..Launch::default()
    };
    stream.launch(&pipeline, &launch)?;
    stream.synchronize()?;

    let start = Instant::now();
    let mut calls = 0.0;
    for _ in 0..LAUNCHES / 500 {
        let start = Instant::now();
        for _ in 0..500 {
            stream.launch(&pipeline, &launch)?;
        }
        calls += start.elapsed().as_secs_f64();
        stream.synchronize()?;
    }
    let whole = start.elapsed().as_secs_f64();
    let microseconds = |seconds: f64, count: u32| seconds * 1e6 / f64::from(count);
    println!(
        "launch: {:.2} us a call, {:.2} us until done",
        microseconds(calls, LAUNCHES),
        microseconds(whole, LAUNCHES)
    );

    let nodes = vec![
        Node::Launch {
            pipeline: Arc::clone(&pipeline),
            grid: [1, 1, 1],
            parameters: parameters.to_vec(),
            module: 0,
            printf: 0,
            resident: false,
        };
        NODES
    ];
    let recording = device.record(nodes)?;
    stream.replay(&recording)?;
    stream.synchronize()?;
    let start = Instant::now();
    let mut calls = 0.0;
    for _ in 0..REPLAYS {
        let start = Instant::now();
        stream.replay(&recording)?;
        calls += start.elapsed().as_secs_f64();
        stream.synchronize()?;
    }
    let whole = start.elapsed().as_secs_f64();
    println!(
        "replay of {NODES} nodes: {:.2} us a call, {:.2} us until done",
        microseconds(calls, REPLAYS),
        microseconds(whole, REPLAYS)
    );
    Ok(())
}
