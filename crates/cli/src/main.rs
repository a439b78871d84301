//! The `vkcuda` command: what the devices are, what a kernel becomes, and programs started on the libraries.
//!
//! ```text
//! vkcuda info                              the devices, and why others were refused
//! vkcuda translate libggml-cuda.so --kernel rms_norm --out spirv/
//! vkcuda sweep libggml-cuda.so              every kernel for every kind of device, and what fails
//! vkcuda compile libggml-cuda.so            the same through the compiler of a Vulkan driver, without running anything
//! vkcuda probe                              what the operations of the device's driver do, measured
//! vkcuda run -- llama-server -m model.gguf -ngl 99
//! vkcuda cache                             where translations are kept, and how much
//! ```

mod compile;
mod info;
mod probe;
mod run;
mod sweep;
mod translate;

use anyhow::Context;
use clap::{Parser, Subcommand};
use ptx_spirv::Target;
use std::path::Path;

/// CUDA programs on Vulkan devices.
#[derive(Parser)]
#[command(name = "vkcuda", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the devices that CUDA programs will see, and the Vulkan devices that are refused.
    Info,
    /// Translates the kernels of a PTX file, a fat binary, or a shared object to SPIR-V.
    Translate(translate::Arguments),
    /// Translates every kernel for every kind of device, and prints a table of failures, speed and memory.
    Sweep(sweep::Arguments),
    /// Translates kernels and gives them to the compiler of the Vulkan driver: registers, spills, instructions.
    Compile(compile::Arguments),
    /// Measures what the operations of a device's driver do: rounding, errors, subnormal numbers, conversions.
    Probe(probe::Arguments),
    /// Starts a program with the libraries of this folder (or of `--libraries`) before all others.
    Run(run::Arguments),
    /// Says where translations are kept, and how much there is.
    Cache,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Info => info::devices(),
        Command::Translate(arguments) => translate::translate(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments),
        Command::Compile(arguments) => compile::compile(&arguments),
        Command::Probe(arguments) => probe::probe(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Cache => info::cache(),
    }
}

/// The kind of device with this name.
fn profile(name: &str) -> anyhow::Result<Target> {
    Target::profile(name).with_context(|| {
        let names = Target::PROFILES.join(", ");
        format!("no kind of device is called {name}: {names}")
    })
}

/// Calls `f` with the number and the PTX of each module of a file, one at a time; PTX text is a module of its own.
fn for_each_module(
    file: &Path,
    compute_capability: u32,
    mut f: impl FnMut(usize, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return f(0, text),
        Err(error) => error.into_bytes(),
    };
    let container = fatbin::Container::from_bytes(&bytes)?;
    for (number, module) in container.modules().iter().enumerate() {
        match module.select_ptx(compute_capability) {
            Ok(text) => f(number, text)?,
            Err(fatbin::Error::NoPtx { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
