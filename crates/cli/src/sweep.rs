//! `vkcuda sweep`: every kernel of some files through the translator, for several kinds of device, with what failed and why.

use anyhow::Context;
use ptx_spirv::{ModuleLayout, Target, TranslateError};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What to translate, for which devices, and what to do with the results.
#[derive(clap::Args)]
pub struct Arguments {
    /// PTX text, fat binaries, executables or shared objects with fat binaries.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only for this kind of device (`lavapipe`, `subgroup32`, `subgroup32-minimal`, `subgroup64`); may be given several
    /// times. All of them without.
    #[arg(long)]
    profile: Vec<String>,
    /// Only kernels with this in their (mangled) name.
    #[arg(long)]
    kernel: Option<String>,
    /// Gives every N-th kernel to spirv-val (package spirv-tools). Its time is not counted.
    #[arg(long, value_name = "N")]
    validate: Option<usize>,
    /// Writes the SPIR-V of every kernel into this folder, as PROFILE/FILE.MODULE.KERNEL.spv.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Writes the PTX of every module into this folder, as FILE.MODULE.ptx.
    #[arg(long)]
    ptx: Option<PathBuf>,
    /// The compute capability by which PTX is chosen, times ten.
    #[arg(long, default_value_t = 90)]
    compute_capability: u32,
}

/// What came of one profile.
#[derive(Default)]
struct Tally {
    modules: usize,
    kernels: usize,
    failed: usize,
    checked: usize,
    rejected: usize,
    text_bytes: usize,
    largest: usize,
    words: usize,
    time: Duration,
    file_bytes: u64,
    peak: u64,
    /// By reason: how many, and an example.
    reasons: BTreeMap<String, (usize, String)>,
}

impl Tally {
    fn fail(&mut self, reason: String, example: String) {
        self.reasons.entry(reason).or_insert((0, example)).0 += 1;
    }
}

/// Translates for every profile and prints what failed and a table; fails when a kernel did, or was not valid.
pub fn sweep(arguments: &Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(
        arguments.validate != Some(0),
        "--validate needs a number above 0"
    );
    let names: Vec<&str> = if arguments.profile.is_empty() {
        Target::PROFILES.to_vec()
    } else {
        arguments.profile.iter().map(String::as_str).collect()
    };
    let mut rows = Vec::new();
    for name in names {
        let mut target = crate::profile(name)?;
        if arguments.validate.is_some() && !validator_is_new() {
            println!("{name}: validated without maximal reconvergence, which this spirv-val does not know");
            target.maximal_reconvergence = false;
        }
        reset_peak_memory();
        let before = memory("VmRSS:").unwrap_or(0);
        let mut tally = Tally::default();
        for file in &arguments.files {
            one_file(arguments, file, name, &target, &mut tally)?;
        }
        // Without what the program held before, and without the file itself.
        tally.peak = memory("VmHWM:")
            .unwrap_or(0)
            .saturating_sub(before + tally.file_bytes);
        for (reason, (count, example)) in &tally.reasons {
            println!("{name}: {count:6} {reason}\n        for example {example}");
        }
        rows.push((name, tally));
    }
    println!(
        "{:<20} {:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9} {:>6} {:>8} {:>7}",
        "profile",
        "modules",
        "kernels",
        "failed",
        "checked",
        "rejected",
        "PTX MB",
        "SPIR-V MB",
        "MB/s",
        "peak MB",
        "x text"
    );
    let mut bad = 0;
    for (name, t) in &rows {
        bad += t.failed + t.rejected;
        let peak = t.peak as f64;
        println!(
            "{name:<20} {:>7} {:>7} {:>6} {:>8} {:>8} {:>8.1} {:>9.1} {:>6.2} {:>8.1} {:>7.1}",
            t.modules,
            t.kernels,
            t.failed,
            t.checked,
            t.rejected,
            t.text_bytes as f64 / 1e6,
            t.words as f64 * 4e-6,
            t.text_bytes as f64 / 1e6 / t.time.as_secs_f64().max(1e-9),
            peak / 1e6,
            peak / t.largest.max(1) as f64,
        );
    }
    anyhow::ensure!(
        rows.iter().all(|r| r.1.kernels > 0),
        "no kernel to translate"
    );
    anyhow::ensure!(bad == 0, "{bad} translations failed or were not valid");
    Ok(())
}

fn one_file(
    arguments: &Arguments,
    file: &Path,
    profile: &str,
    target: &Target,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    tally.file_bytes = tally.file_bytes.max(std::fs::metadata(file)?.len());
    let stem = file
        .file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    crate::for_each_module(file, arguments.compute_capability, |number, text| {
        if let Some(folder) = &arguments.ptx {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{stem}.{number}.ptx")), &text)?;
        }
        let out = match &arguments.out {
            Some(folder) => {
                let folder = folder.join(profile);
                std::fs::create_dir_all(&folder)?;
                Some(folder.join(format!("{stem}.{number}")))
            }
            None => None,
        };
        one_module(arguments, &text, target, out.as_deref(), tally)
    })
}

fn one_module(
    arguments: &Arguments,
    text: &str,
    target: &Target,
    out: Option<&Path>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    tally.modules += 1;
    tally.text_bytes += text.len();
    tally.largest = tally.largest.max(text.len());
    let start = processor_time();
    let mut other = Duration::ZERO;
    let parsed = ptx::Module::parse(text)
        .map_err(|e| e.to_string())
        .and_then(|m| {
            let layout = ModuleLayout::new(&m).map_err(|e| e.to_string())?;
            Ok((m, layout))
        });
    let (module, layout) = match parsed {
        Ok(parsed) => parsed,
        Err(message) => {
            tally.failed += 1;
            tally.fail("a module that is not parsed".to_owned(), message);
            return Ok(());
        }
    };
    for (index, function) in module
        .functions
        .iter()
        .filter(|f| f.is_entry && f.body.is_some())
        .enumerate()
    {
        let name = &*function.name;
        if arguments
            .kernel
            .as_ref()
            .is_some_and(|part| !name.contains(part.as_str()))
        {
            continue;
        }
        tally.kernels += 1;
        let translated = match ptx_spirv::translate(&module, &layout, name, target) {
            Ok(translated) => translated,
            Err(error) => {
                tally.failed += 1;
                let reason = match &error {
                    TranslateError::Unsupported { what, .. } => format!("unsupported: {what}"),
                    TranslateError::Invalid { what, .. } => format!("invalid: {what}"),
                    other => other.to_string(),
                };
                tally.fail(reason, error.to_string());
                continue;
            }
        };
        tally.words += translated.spirv.len();
        let begin = processor_time();
        if arguments.validate.is_some_and(|n| tally.kernels % n == 0) {
            tally.checked += 1;
            if let Err(message) = validate(&translated.spirv)? {
                tally.rejected += 1;
                tally.fail(
                    "rejected by spirv-val".to_owned(),
                    format!("{name}: {message}"),
                );
            }
        }
        if let Some(out) = out {
            let bytes: Vec<u8> = translated
                .spirv
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect();
            std::fs::write(format!("{}.{index}.spv", out.display()), bytes)?;
        }
        other += processor_time() - begin;
    }
    tally.time += processor_time() - start - other;
    Ok(())
}

/// Whether spirv-val is of 2024 or newer ("SPIRV-Tools v2025.5 ..."): Debian 12's knows neither maximal reconvergence nor
/// cooperative matrices.
fn validator_is_new() -> bool {
    let output = Command::new("spirv-val").arg("--version").output();
    let text = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    text.split_once(" v")
        .and_then(|(_, rest)| rest.get(..4)?.parse().ok())
        .is_some_and(|year: u32| year >= 2024)
}

/// What spirv-val says of a module, as the inner result.
fn validate(words: &[u32]) -> anyhow::Result<Result<(), String>> {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut child = Command::new("spirv-val")
        .args([
            "--target-env",
            "vulkan1.3",
            "--uniform-buffer-standard-layout",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not start spirv-val (package spirv-tools)")?;
    // The validator reads everything before it writes.
    let sent = child
        .stdin
        .take()
        .context("spirv-val without a pipe")?
        .write_all(&bytes);
    let output = child.wait_with_output()?;
    if output.status.success() && sent.is_ok() {
        return Ok(Ok(()));
    }
    Ok(Err([output.stdout, output.stderr]
        .map(|b| String::from_utf8_lossy(&b).trim().to_owned())
        .join(" ")))
}

/// Time that this process has kept processors busy with its own code: other programs do not disturb it.
fn processor_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage fills the structure that the pointer leads to; RUSAGE_SELF never fails.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Starts the count of the most memory (`VmHWM`) anew, where Linux lets it.
fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// A line of Linux' account of this process's memory, bytes.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
