//! Tests in child processes, so that a crash or a hang of the driver is a failure with a name.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const VARIABLE: &str = "CONFORMANCE_CHILD";

/// The test that opens a device and does nothing else; each test program has one.
pub const OPENS: &str = "the_device_opens";

/// Seconds that a child may take, unless `CONFORMANCE_SECONDS` says otherwise: several times what the longest takes on a
/// busy machine with two cores.
const SECONDS: u64 = 900;

/// Runs `test` in a child: this test binary again, told to run the test with this name only. `CONFORMANCE_SECONDS` is
/// its time limit. How long it took goes to standard error.
///
/// # Panics
/// With the child's output where it failed, crashed or took too long, and with what was running then.
pub fn isolated(name: &str, test: impl FnOnce()) {
    if std::env::var(VARIABLE).is_ok_and(|child| child == name) {
        return test();
    }
    // Once and alone, so that what is measured when a device opens first is on disk for the others.
    static OPENED: OnceLock<()> = OnceLock::new();
    if name != OPENS {
        OPENED.get_or_init(|| {
            // Where the device does not open, each test says so itself.
            let _ = run(OPENS);
        });
    }
    if let Err(report) = run(name) {
        panic!("{report}");
    }
}

/// Where this process's children keep their caches, until it ends.
fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    extern "C" fn remove() {
        if let Some(folder) = CACHE.get() {
            // Nobody is left to be told.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
    CACHE.get_or_init(|| {
        // SAFETY: the function does not unwind: what it calls gives errors.
        unsafe { libc::atexit(remove) };
        std::env::temp_dir().join(format!("vkcuda-conformance-{}", std::process::id()))
    })
}

/// Runs a test in a child; the report of one that failed.
fn run(name: &str) -> Result<(), String> {
    let seconds = std::env::var("CONFORMANCE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let mut child = Command::new(std::env::current_exe().expect("the test's own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .env("VKCUDA_CACHE_DIR", cache())
        .env("VKCUDA_ALLOW_CPU", "1")
        .env("CUDA_CACHE_PATH", cache().join("cuda"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test starts itself");
    let text = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let start = Instant::now();
    let status = wait(&mut child, Duration::from_secs(seconds));
    let time = start.elapsed().as_secs_f64();
    let text = text.join().expect("standard output is read");
    let errors = errors.join().expect("standard error is read");
    let success = status.is_some_and(|status| status.success());
    assert!(
        text.contains("1 passed") || !success,
        "no test is called {name}: {text}"
    );
    // Past the harness, which keeps what a test prints: how long each one took, and what it left out.
    let said = |line: &&str| {
        line.starts_with("    ") || line.contains("kernels: ") || line.starts_with("left out: ")
    };
    let mut lines = format!("{name}: {time:.1} s\n");
    if success {
        errors.lines().filter(said).for_each(|line| {
            lines.push_str(line);
            lines.push('\n');
        });
    }
    // Standard error that is closed is no reason to fail.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    if success {
        return Ok(());
    }
    let unfinished = unfinished(&errors);
    let report: String = errors
        .lines()
        .filter(|line| {
            ![STARTS, ENDS, COMPILED]
                .iter()
                .any(|mark| line.starts_with(mark))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let end = match status {
        Some(status) => status.to_string(),
        None => format!("not done after {seconds} s"),
    };
    Err(format!(
        "{name}: {end} after {time:.1} s; {unfinished}\n{report}"
    ))
}

/// Says on standard error, for the parent of [`isolated`], that something runs, until it is dropped.
pub(crate) struct Running<'a>(&'a str);

const STARTS: &str = "running: ";
const ENDS: &str = "done: ";
const COMPILED: &str = "compiled: ";
const AFTER_COMPILING: &str = " (compiled)";

impl<'a> Running<'a> {
    pub(crate) fn new(what: &'a str) -> Self {
        eprintln!("{STARTS}{what}");
        Self(what)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        eprintln!("{ENDS}{}", self.0);
    }
}

/// Says that a kernel that runs is past the driver's compiler.
pub(crate) fn compiled(what: &str) {
    eprintln!("{COMPILED}{what}");
}

/// What had started and not ended.
fn unfinished(errors: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for line in errors.lines() {
        if let Some(name) = line.strip_prefix(STARTS) {
            names.push(name.to_owned());
        } else if let Some(name) = line.strip_prefix(COMPILED) {
            if let Some(at) = names.iter_mut().find(|n| *n == name) {
                at.push_str(AFTER_COMPILING);
            }
        } else if let Some(name) = line.strip_prefix(ENDS) {
            let is = |n: &String| n.strip_suffix(AFTER_COMPILING).unwrap_or(n) == name;
            if let Some(at) = names.iter().position(is) {
                names.remove(at);
            }
        }
    }
    match names[..] {
        [] => "nothing was running".to_owned(),
        _ => format!("{STARTS}{}", names.join("; ")),
    }
}

/// Says that a part of a test does not run, and why: nothing is left out in silence.
pub fn left_out(what: &str, why: &str) {
    eprintln!("left out: {what}: {why}");
}

/// Waits for the child's end; ends it itself, and gives `None`, when the time is over.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("the child can be ended");
    child.wait().expect("the child can be waited for");
    None
}

/// Reads all that comes, so that the child never waits for its reader.
fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A pipe that breaks has given what there was.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_hangs_ends() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
        assert_eq!(wait(&mut child, Duration::from_millis(100)), None);
        let mut child = Command::new("true").spawn().expect("true");
        let status = wait(&mut child, Duration::from_secs(60));
        assert!(status.is_some_and(|status| status.success()));
    }
}
