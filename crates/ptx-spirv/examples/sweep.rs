//! Translates every kernel of the PTX files given and counts what fails, by reason.
//!
//! ```text
//! cargo run --release -p ptx-spirv --example sweep -- [--native] [--validate N] [--out FOLDER] [--kernel PART] FILE...
//! ```
//!
//! `--native` translates for a device with 32-wide subgroups instead of lavapipe; `--out` keeps the SPIR-V;
//! `--validate N` gives every N-th kernel to spirv-val, whose time is not counted. The exit status is 1 where the
//! validator rejects something; a kernel that is refused by name is no error. `tools/sweep` runs this over the PTX of a
//! shared object.

use ptx_spirv::{ModuleLayout, Target};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let mut target = Target::lavapipe();
    let (mut out, mut part) = (None, None);
    let mut validate = None;
    let mut files = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(a) = arguments.next() {
        match a.as_str() {
            "--native" => target = Target::subgroup32(),
            "--out" => out = arguments.next(),
            "--validate" => {
                let n: usize = arguments
                    .next()
                    .and_then(|n| n.parse().ok())
                    .filter(|&n| n > 0)
                    .expect("--validate needs a number");
                validate = Some(n);
            }
            "--kernel" => part = arguments.next(),
            _ => files.push(a),
        }
    }
    // The validator of Debian 12 does not know the extension.
    target.maximal_reconvergence = false;
    let start = Instant::now();
    let (mut kernels, mut failed, mut text_bytes, mut words) = (0usize, 0usize, 0usize, 0usize);
    let (mut checked, mut rejected) = (0usize, 0usize);
    let mut validating = Duration::ZERO;
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a readable file");
        text_bytes += text.len();
        let module = match ptx::Module::parse(&text) {
            Ok(m) => m,
            Err(e) => {
                reasons
                    .entry(format!("parse: {}", e.message))
                    .or_insert((0, file.clone()))
                    .0 += 1;
                failed += 1;
                continue;
            }
        };
        let layout = ModuleLayout::new(&module).expect("a layout");
        for f in module
            .functions
            .iter()
            .filter(|f| f.is_entry && f.body.is_some())
        {
            if part.as_ref().is_some_and(|p| !f.name.contains(p.as_str())) {
                continue;
            }
            kernels += 1;
            match ptx_spirv::translate(&module, &layout, &f.name, &target) {
                Ok(t) => {
                    words += t.spirv.len();
                    if validate.is_some_and(|n| kernels % n == 0) {
                        let begin = Instant::now();
                        checked += 1;
                        if let Err(message) = valid(&t.spirv) {
                            rejected += 1;
                            println!("{file}: {}: {message}", f.name);
                        }
                        validating += begin.elapsed();
                    }
                    if let Some(out) = &out {
                        let bytes: Vec<u8> = t.spirv.iter().flat_map(|w| w.to_le_bytes()).collect();
                        let stem = std::path::Path::new(file)
                            .file_stem()
                            .unwrap()
                            .to_string_lossy()
                            .into_owned();
                        std::fs::write(format!("{out}/{stem}.{kernels}.spv"), bytes)
                            .expect("a writable folder");
                    }
                }
                Err(e) => {
                    failed += 1;
                    let text = e.to_string();
                    let reason = match &e {
                        ptx_spirv::TranslateError::Unsupported { what, .. } => {
                            format!("unsupported: {what}")
                        }
                        ptx_spirv::TranslateError::Invalid { what, .. } => {
                            format!("invalid: {what}")
                        }
                        _ => text.clone(),
                    };
                    reasons.entry(reason).or_insert((0, text)).0 += 1;
                }
            }
        }
    }
    let seconds = (start.elapsed() - validating).as_secs_f64();
    for (reason, (count, example)) in &reasons {
        println!(
            "{count:6}  {reason}\n        e.g. {}",
            &example[..example.len().min(200)]
        );
    }
    println!(
        "{kernels} kernels, {failed} failed; {:.1} MB of PTX, {:.1} MB of SPIR-V, {:.1} s, {:.1} MB/s",
        text_bytes as f64 / 1e6,
        words as f64 * 4.0 / 1e6,
        seconds,
        text_bytes as f64 / 1e6 / seconds
    );
    if validate.is_some() {
        println!("spirv-val: {checked} kernels checked, {rejected} rejected");
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory {:.1} MB", peak as f64 / 1e6);
    }
    if rejected > 0 {
        std::process::exit(1);
    }
}

/// What spirv-val says of a module.
fn valid(words: &[u32]) -> Result<(), String> {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut child = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.3", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spirv-val (package spirv-tools) in the path");
    // The validator reads everything before it writes.
    let sent = child.stdin.take().expect("a pipe").write_all(&bytes);
    let output = child.wait_with_output().expect("the validator's output");
    if output.status.success() && sent.is_ok() {
        return Ok(());
    }
    Err([output.stdout, output.stderr]
        .map(|b| String::from_utf8_lossy(&b).trim().to_owned())
        .join(" "))
}

/// The most memory this process had, bytes (`VmHWM` of Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
