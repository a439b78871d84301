//! The PTX of the kernels: the snapshots in `shaders/`, and a check of all of them by NVIDIA's assembler.
//!
//! `UPDATE_SHADERS=1 cargo test -p cublas --test shaders` rewrites the snapshots. The assembler is the program named by
//! `PTXAS`, or `ptxas` of the search path; without one that check says that it was not run.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cublas::kernels::Kernel;

fn shaders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shaders")
}

#[test]
fn snapshots_are_what_the_generators_write() {
    let update = std::env::var_os("UPDATE_SHADERS").is_some();
    for kernel in common::snapshot_kernels() {
        let path = shaders().join(format!("{}.ptx", kernel.name()));
        let text = kernel.ptx();
        if update {
            fs::write(&path, &text).expect("the folder is writable");
            continue;
        }
        let stored = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; see the test's first lines", path.display())
        });
        assert!(
            stored == text,
            "{} is not what its generator writes; see the test's first lines",
            path.display()
        );
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<String> = common::all_kernels().iter().map(Kernel::name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_kernel_assembles() {
    let ptxas = std::env::var("PTXAS").unwrap_or_else(|_| "ptxas".to_owned());
    if Command::new(&ptxas).arg("--version").output().is_err() {
        eprintln!("NOT RUN: no {ptxas}; set PTXAS to NVIDIA's PTX assembler");
        return;
    }
    let folder = std::env::temp_dir().join(format!("cublas-ptx-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    // One module with all kernels: their registers and labels are local to each.
    let mut module = String::new();
    let kernels = common::all_kernels();
    for kernel in &kernels {
        let text = kernel.ptx();
        let (header, body) = text
            .split_once("\n\n")
            .expect("a header, an empty line, the kernel");
        if module.is_empty() {
            module.push_str(header);
        }
        module.push_str("\n\n");
        module.push_str(body);
    }
    let path = folder.join("kernels.ptx");
    fs::write(&path, module).expect("a temporary file");
    let output = Command::new(&ptxas)
        .args(["-arch=sm_80", "-O0", "-o", "/dev/null"])
        .arg(&path)
        .output();
    let output = output.expect("the assembler starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
    eprintln!("{} kernels assembled", kernels.len());
}
