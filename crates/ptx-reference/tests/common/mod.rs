//! Helpers of the tests that run kernels.
#![allow(dead_code)]

use ptx_reference::{run, Error, Launch, Memory, Outcome};

/// A module with the usual head around `body`.
pub fn module(body: &str) -> String {
    format!(".version 8.4\n.target sm_90\n.address_size 64\n{body}")
}

/// Parameter blocks: 8-byte values in order.
pub fn parameters(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Runs `kernel` of the text with 8-byte parameters.
pub fn launch(
    text: &str,
    kernel: &str,
    grid: u32,
    block: u32,
    values: &[u64],
    memory: &mut Memory,
) -> Result<Outcome, Error> {
    let module = ptx::Module::parse(text).unwrap();
    let parameters = parameters(values);
    let launch = Launch {
        grid: [grid, 1, 1],
        block: [block, 1, 1],
        dynamic_shared: 0,
        parameters: &parameters,
    };
    run(&module, kernel, &launch, memory)
}

/// A buffer of 32-bit values.
pub fn words(memory: &Memory, address: u64) -> Vec<u32> {
    memory
        .buffer(address)
        .unwrap()
        .chunks(4)
        .map(|c| u32::from_le_bytes(c.try_into().unwrap()))
        .collect()
}

/// A new buffer of 32-bit values.
pub fn upload(memory: &mut Memory, values: &[u32]) -> u64 {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    memory.allocate_with(&bytes)
}
