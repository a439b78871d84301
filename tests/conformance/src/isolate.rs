//! Tests in child processes, so that a crash of the driver is a failure with a name.

use std::process::Command;

const VARIABLE: &str = "CONFORMANCE_CHILD";

/// Runs `test` in a child: this test binary again, told to run the test with this name only.
///
/// # Panics
/// With the child's output where it failed or crashed. The last line that starts with `running:` says what ran.
pub fn isolated(name: &str, test: impl FnOnce()) {
    if std::env::var(VARIABLE).is_ok_and(|child| child == name) {
        return test();
    }
    let cache =
        std::env::temp_dir().join(format!("vkcuda-conformance-{}-{name}", std::process::id()));
    let output = Command::new(std::env::current_exe().expect("the test's own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, name)
        .env("VKCUDA_CACHE_DIR", &cache)
        .env("VKCUDA_ALLOW_CPU", "1")
        .output()
        .expect("the test starts itself");
    let _ = std::fs::remove_dir_all(cache);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("1 passed") || !output.status.success(),
        "no test is called {name}: {text}"
    );
    if output.status.success() {
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
    panic!("{name}: {}; {last}\n{report}", output.status);
}
