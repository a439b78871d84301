//! Translates every kernel of the PTX files given and counts what fails, by reason.
//!
//! ```text
//! cargo run --release -p ptx-spirv --example sweep -- [--native] [--out FOLDER] [--kernel PART] FILE...
//! ```
//!
//! `--native` translates for a device with 32-wide subgroups instead of lavapipe; `--out` keeps the SPIR-V.

use ptx_spirv::{ModuleLayout, Target};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() {
    let mut target = Target::lavapipe();
    let (mut out, mut part) = (None, None);
    let mut files = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(a) = arguments.next() {
        match a.as_str() {
            "--native" => target = Target::subgroup32(),
            "--out" => out = arguments.next(),
            "--kernel" => part = arguments.next(),
            _ => files.push(a),
        }
    }
    // The validator of Debian 12 does not know the extension.
    target.maximal_reconvergence = false;
    let start = Instant::now();
    let (mut kernels, mut failed, mut text_bytes, mut words) = (0usize, 0usize, 0usize, 0usize);
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
    let seconds = start.elapsed().as_secs_f64();
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
}
