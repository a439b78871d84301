//! Does a GPU behind `libcuda.so.1` compute what the CPU computes?
//!
//! The program loads an unmodified build of libllama and ggml, reads a prompt in one batch, then tokens one by one, and
//! keeps the logits of every position. A second run on another device is *forced*: it reads the tokens which the first
//! run wrote, so that both see the same text at every position and their logits can be compared number by number.
//!
//! ```text
//! ggml-compare run --libraries DIR --model m.gguf --prompt p.txt --output cpu.logits
//! ggml-compare run --libraries DIR --backend DIR/libggml-cuda.so --device CUDA0 \
//!                  --model m.gguf --force cpu.logits --output cuda.logits
//! ggml-compare compare cpu.logits cuda.logits
//! ```
//!
//! `nodes` and `operations` look closer, at single operations of a model or of a list. `compare` leaves with status 0 when the two agree, 1 when they differ, 2 when it could not compare them.

mod abi;
mod compare;
mod library;
mod nodes;
mod operations;
mod record;
mod session;
mod speed;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    about = "Runs a model on two of ggml's backends and compares the logits at every position"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the devices which ggml finds.
    Devices {
        #[command(flatten)]
        libraries: Libraries,
    },
    /// Runs a model and writes the logits of every position.
    Run {
        #[command(flatten)]
        libraries: Libraries,
        #[command(flatten)]
        options: session::Options,
    },
    /// Measures tokens per second.
    Speed {
        #[command(flatten)]
        libraries: Libraries,
        #[command(flatten)]
        options: speed::Options,
    },
    /// Compares two files of logits: the reference first.
    Compare {
        #[command(flatten)]
        options: compare::Options,
    },
    /// Compares two files of single operations, written by `run --nodes`.
    Nodes {
        #[command(flatten)]
        options: nodes::Options,
    },
    /// Runs single operations on a device and on the CPU, and compares the results.
    Operations {
        #[command(flatten)]
        libraries: Libraries,
        #[command(flatten)]
        options: operations::Options,
    },
    /// Writes a quantised copy of a model with ggml's own quantiser.
    Quantize {
        #[command(flatten)]
        libraries: Libraries,
        /// Model of 16- or 32-bit floats.
        input: PathBuf,
        /// File to write.
        output: PathBuf,
        /// Number of the file type: `enum llama_ftype`, 15 is Q4_K_M.
        #[arg(long, default_value_t = 15)]
        file_type: i32,
    },
}

/// Which libraries to load.
#[derive(clap::Args)]
struct Libraries {
    /// Folder with libllama*.so, libggml*.so and libggml-cpu-*.so.
    #[arg(long)]
    libraries: PathBuf,
    /// Backend to load beside the CPU's, such as libggml-cuda.so.
    #[arg(long)]
    backend: Option<PathBuf>,
    /// Print everything that libllama logs, not only warnings.
    #[arg(long)]
    verbose: bool,
}

impl Libraries {
    fn open(&self) -> Result<library::Llama> {
        library::Llama::open(&self.libraries, self.backend.as_deref(), self.verbose)
    }
}

fn main() -> ExitCode {
    // A reader that has seen enough (`| head`) ends the program, as with any other tool.
    // SAFETY: the default disposition of a signal, set before there is a second thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::Devices { libraries } => {
            for device in libraries.open()?.devices() {
                println!(
                    "{}: {} ({} MiB, {} MiB free)",
                    device.name,
                    device.description,
                    device.total >> 20,
                    device.free >> 20
                );
            }
            Ok(true)
        }
        Command::Run { libraries, options } => {
            let llama = libraries.open()?;
            session::run(&llama, &options)?;
            Ok(true)
        }
        Command::Speed { libraries, options } => {
            speed::run(&libraries.open()?, &options)?;
            Ok(true)
        }
        Command::Compare { options } => {
            let verdict = compare::compare_files(&options)?;
            print!("{verdict}");
            Ok(verdict.agrees())
        }
        Command::Operations { libraries, options } => {
            operations::run(&|| libraries.open(), &options)
        }
        Command::Nodes { options } => {
            nodes::compare(&options)?;
            Ok(true)
        }
        Command::Quantize {
            libraries,
            input,
            output,
            file_type,
        } => {
            libraries
                .open()?
                .quantize(&input, &output, file_type)
                .with_context(|| format!("could not quantise {}", input.display()))?;
            Ok(true)
        }
    }
}
