//! The exit status of `ggml-compare compare`, on files made here: what the scripts in `tools/` rely on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ggml-compare-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file of logits: 12 tokens, 8 of them the prompt, a vocabulary of 100, 16-bit weights.
fn write(path: &Path, first_token: i32, damage: Option<(usize, f32)>) {
    let (vocabulary, prompt, count) = (100u32, 8u32, 12u32);
    let mut bytes = b"GGMLCMP1".to_vec();
    for number in [vocabulary, prompt, count, 0] {
        bytes.extend(number.to_le_bytes());
    }
    for token in 0..count as i32 {
        bytes.extend((first_token + token).to_le_bytes());
    }
    for i in 0..(count * vocabulary) as usize {
        let mut value = ((i * 61) % 211) as f32 / 10.0 - 10.0;
        if let Some((at, new)) = damage {
            if i == at {
                value = new;
            }
        }
        bytes.extend(value.to_le_bytes());
    }
    fs::write(path, bytes).expect("a file for the test");
}

fn compare(reference: &Path, candidate: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ggml-compare"))
        .arg("compare")
        .args([reference, candidate])
        .args(more)
        .output()
        .expect("ggml-compare starts")
}

#[test]
fn equal_files_agree() {
    let folder = Folder::new("equal");
    let file = folder.0.join("a");
    write(&file, 5, None);
    let output = compare(&file, &file, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nagree\n"));
}

#[test]
fn damage_is_found() {
    let folder = Folder::new("damage");
    let (reference, candidate) = (folder.0.join("a"), folder.0.join("b"));
    write(&reference, 5, None);
    for value in [1000.0, f32::NAN, f32::INFINITY] {
        write(&candidate, 5, Some((1150, value)));
        let output = compare(&reference, &candidate, &[]);
        assert_eq!(output.status.code(), Some(1), "{value}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nDISAGREE\n"));
    }
    // The same through the option that exists for this.
    assert_eq!(
        compare(&reference, &reference, &["--perturb", "0.1"])
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        compare(&reference, &reference, &["--perturb", "0.001"])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let folder = Folder::new("other");
    let (reference, candidate) = (folder.0.join("a"), folder.0.join("b"));
    write(&reference, 5, None);
    write(&candidate, 6, None);
    assert_eq!(compare(&reference, &candidate, &[]).status.code(), Some(2));
    assert_eq!(
        compare(&reference, &folder.0.join("none"), &[])
            .status
            .code(),
        Some(2)
    );
    let bytes = fs::read(&reference).expect("the file is there");
    fs::write(&candidate, &bytes[..bytes.len() - 1]).expect("a file for the test");
    assert_eq!(compare(&reference, &candidate, &[]).status.code(), Some(2));
}
