//! Tests in child processes, so that a crash or a hang of the driver is a failure with a name.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const VARIABLE: &str = "CONFORMANCE_CHILD";

/// Seconds that a child may take, unless `CONFORMANCE_SECONDS` says otherwise: several times what the longest takes on a
/// busy machine with two cores.
const SECONDS: u64 = 900;

/// Runs `test` in a child: this test binary again, told to run the test with this name only. `CONFORMANCE_SECONDS` is
/// its time limit.
///
/// # Panics
/// With the child's output where it failed, crashed or took too long. The last line that starts with `running:` says
/// what ran.
pub fn isolated(name: &str, test: impl FnOnce()) {
    if std::env::var(VARIABLE).is_ok_and(|child| child == name) {
        return test();
    }
    let cache =
        std::env::temp_dir().join(format!("vkcuda-conformance-{}-{name}", std::process::id()));
    let seconds = std::env::var("CONFORMANCE_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let mut child = Command::new(std::env::current_exe().expect("the test's own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .env("VKCUDA_CACHE_DIR", &cache)
        .env("VKCUDA_ALLOW_CPU", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test starts itself");
    let text = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let status = wait(&mut child, Duration::from_secs(seconds));
    let _ = std::fs::remove_dir_all(cache);
    let text = text.join().expect("standard output is read");
    let errors = errors.join().expect("standard error is read");
    let success = status.is_some_and(|status| status.success());
    assert!(
        text.contains("1 passed") || !success,
        "no test is called {name}: {text}"
    );
    if success {
        print!("{errors}");
        return;
    }
    let last = errors
        .lines()
        .rfind(|line| line.starts_with("running:"))
        .unwrap_or("nothing had run");
    let report: String = errors
        .lines()
        .filter(|line| !line.starts_with("running:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let end = match status {
        Some(status) => status.to_string(),
        None => format!("not done after {seconds} s"),
    };
    panic!("{name}: {end}; {last}\n{report}");
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
