//! `vkcuda run`: a program with the project's libraries before all others.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;

/// What to start, and with which libraries.
#[derive(clap::Args)]
pub struct Arguments {
    /// The folder with libcuda.so.1; the folder `lib` beside this program, or its own, if not given.
    #[arg(long)]
    libraries: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Replaces this process by the program, with `LD_LIBRARY_PATH` set, and our cuBLAS preloaded where it is there: programs
/// that put NVIDIA's into their own folder would find that one first.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = match &arguments.libraries {
        Some(folder) => folder.clone(),
        None => beside_us()?,
    };
    let folder = folder.canonicalize()?;
    if !folder.join("libcuda.so.1").exists() {
        anyhow::bail!("there is no libcuda.so.1 in {}", folder.display());
    }
    let mut paths = vec![folder.clone()];
    if let Some(old) = std::env::var_os("LD_LIBRARY_PATH") {
        paths.extend(std::env::split_paths(&old));
    }
    let mut preload: Vec<String> = ["libcublas.so.13", "libcublas.so.12"]
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    preload.extend(std::env::var("LD_PRELOAD"));
    let error = std::process::Command::new(&arguments.command[0])
        .args(&arguments.command[1..])
        .env("LD_LIBRARY_PATH", std::env::join_paths(paths)?)
        .env("LD_PRELOAD", preload.join(" "))
        .exec();
    Err(anyhow::Error::new(error).context(format!("could not start {}", arguments.command[0])))
}

fn beside_us() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().map(PathBuf::from).unwrap_or_default();
    let lib = folder.join("lib");
    Ok(if lib.is_dir() { lib } else { folder })
}
