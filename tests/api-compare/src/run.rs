//! Each probe in a process of its own, several at once: sticky errors, crashes and hangs are answers like others.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How the probes are run.
pub struct How<'a> {
    /// The library under test.
    pub library: &'a Path,
    /// Processes at a time.
    pub jobs: usize,
    /// How long one may take.
    pub limit: Duration,
}

/// Runs the probes and gives each one's lines, in its order; the last tells how its process ended.
pub fn all(probes: &[&str], how: &How<'_>) -> Result<BTreeMap<String, Vec<String>>> {
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..how.jobs.max(1) {
            scope.spawn(|| {
                while let Some(probe) = probes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match one(probe, how) {
                        Ok(lines) => {
                            answers
                                .lock()
                                .unwrap_or_else(|e| e.into_inner())
                                .insert((*probe).to_owned(), lines);
                        }
                        Err(error) => failures
                            .lock()
                            .unwrap_or_else(|e| e.into_inner())
                            .push(error),
                    }
                }
            });
        }
    });
    match failures
        .into_inner()
        .unwrap_or_else(|e| e.into_inner())
        .pop()
    {
        Some(error) => Err(error),
        None => Ok(answers.into_inner().unwrap_or_else(|e| e.into_inner())),
    }
}

/// Waits for the child, and ends it when its time is over; then the status is `None`.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs one probe.
fn one(probe: &str, how: &How<'_>) -> Result<Vec<String>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["probe", probe, "--library"])
        .arg(how.library)
        .env("CUDA_VISIBLE_DEVICES", "0")
        .env("CUDA_MODULE_LOADING", "LAZY")
        .env("VKCUDA_ALLOW_CPU", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("a probe's process")?;
    let mut output = child.stdout.take().context("the probe's output")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = output.read_to_end(&mut text);
        text
    });
    let status = wait(&mut child, how.limit)?;
    let text = reader
        .join()
        .map_err(|_| anyhow::anyhow!("a reader panicked"))?;
    // Kernels that print, and what a library prints itself, are not answers.
    let prefix = format!("{probe}: ");
    let mut lines: Vec<String> = String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| line.starts_with(&prefix))
        .map(str::to_owned)
        .collect();
    let end = match status {
        None => format!("still running after {} s", how.limit.as_secs()),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (_, signal) => format!("signal {}", signal.unwrap_or_default()),
        },
    };
    lines.push(format!("{probe}: end: {end}"));
    Ok(lines)
}
