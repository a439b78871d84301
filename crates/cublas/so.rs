//! Build script of `cublas-so12`, `cublas-so13`, `cublas-lt12` and `cublas-lt13`: SONAME, version node and linker.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../so.rs");
    let package = env::var("CARGO_PKG_NAME")?;
    let node = match package.trim_start_matches("cublas-").split_at(2) {
        ("so", major) => format!("libcublas.so.{major}"),
        ("lt", major) => format!("libcublasLt.so.{major}"),
        _ => return Err(format!("{package} is no library of cuBLAS").into()),
    };
    let script = PathBuf::from(env::var("OUT_DIR")?).join("version.map");
    fs::write(&script, format!("{node} {{ }};\n"))?;
    for argument in [
        format!("-Wl,-soname,{node}"),
        format!("-Wl,--version-script={}", script.display()),
        // ld.bfd refuses a second version script beside Rust's own.
        "-fuse-ld=lld".to_owned(),
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    // Rust's copy of ld.lld, where the toolchain has it; else the compiler driver looks for one in the usual places.
    let sysroot = Command::new(env::var("RUSTC")?)
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = String::from_utf8(sysroot.stdout)?;
    let folder = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(env::var("HOST")?)
        .join("bin/gcc-ld");
    if folder.join("ld.lld").exists() {
        println!("cargo::rustc-cdylib-link-arg=-B{}", folder.display());
    }
    Ok(())
}
