//! Writes every PTX text of a program, library, object, archive or fatbin into a folder.
//!
//! ```text
//! cargo run -p fatbin --example extract -- libggml-cuda.so out
//! ```
//!
//! The files are called `<module>.sm_<target>.ptx`. With `--best`, only the text that compute capability 9.0 would run, as
//! `<module>.ptx`.

use std::path::Path;
use std::process::ExitCode;

use fatbin::{Container, Error, Kind};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let best = arguments
        .iter()
        .position(|a| a == "--best")
        .map(|at| arguments.remove(at))
        .is_some();
    let [file, folder] = &arguments[..] else {
        eprintln!("usage: extract [--best] <file> <folder>");
        return ExitCode::from(2);
    };
    match extract(Path::new(file), Path::new(folder), best) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn extract(file: &Path, folder: &Path, best: bool) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(file)?;
    let container = Container::from_bytes(&bytes)?;
    std::fs::create_dir_all(folder)?;
    let (mut files, mut size) = (0, 0);
    let mut write = |name: String, text: String| {
        files += 1;
        size += text.len();
        std::fs::write(folder.join(name), text)
    };
    for (index, module) in container.modules().iter().enumerate() {
        if best {
            match module.select_ptx(90) {
                Ok(text) => write(format!("{index:03}.ptx"), text)?,
                Err(error @ Error::NoPtx { .. }) => println!("module {index}: {error}"),
                Err(error) => return Err(error.into()),
            }
            continue;
        }
        for entry in module
            .entries()
            .iter()
            .filter(|entry| entry.kind() == Kind::Ptx)
        {
            write(format!("{index:03}.{}.ptx", entry.target()), entry.text()?)?;
        }
    }
    println!(
        "{} modules, {files} files, {size} bytes of PTX",
        container.modules().len()
    );
    Ok(())
}
