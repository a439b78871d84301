//! The `vkcuda` command: what the devices are, what a kernel becomes, and programs started on the libraries.
//!
//! ```text
//! vkcuda info                              the devices, and why others were refused
//! vkcuda translate libggml-cuda.so --kernel rms_norm --out spirv/
//! vkcuda run -- llama-server -m model.gguf -ngl 99
//! vkcuda cache                             where translations are kept, and how much
//! ```

mod info;
mod run;
mod translate;

use clap::{Parser, Subcommand};

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
    /// Starts a program with the libraries of this folder (or of `--libraries`) before all others.
    Run(run::Arguments),
    /// Says where translations are kept, and how much there is.
    Cache,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Info => info::devices(),
        Command::Translate(arguments) => translate::translate(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Cache => info::cache(),
    }
}
