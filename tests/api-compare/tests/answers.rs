//! This project's library gives the answers that NVIDIA's gave on an H100, but for the explained differences.

use std::path::PathBuf;
use std::process::Command;

/// The libcuda.so that this build made.
fn library() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_api-compare"));
    let target = program.parent().expect("a directory");
    [target.join("libcuda.so"), target.join("deps/libcuda.so")]
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(|path| path.metadata().and_then(|m| m.modified()).ok())
        .expect("libcuda.so, which the driver's package makes")
}

#[test]
fn answers_are_those_of_nvidias_library() {
    let answers = concat!(env!("CARGO_MANIFEST_DIR"), "/answers/h100-580.txt");
    let output = Command::new(env!("CARGO_BIN_EXE_api-compare"))
        .args([
            "check",
            answers,
            "--jobs",
            "2",
            "--limit",
            "120",
            "--library",
        ])
        .arg(library())
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
