//! How much memory the host can still give: `/proc/meminfo`, and the control group's limit where that is lower.

use std::fs;

/// Bytes available to this process without swapping, about. `None` where `/proc` does not say.
pub(crate) fn available() -> Option<u64> {
    let system = meminfo_field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")?;
    Some(control_group_available().map_or(system, |group| group.min(system)))
}

/// A field of `/proc/meminfo`, in bytes.
fn meminfo_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(':'))
    })?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// What the control group (version 2, as containers see it) leaves; page cache counts as available.
fn control_group_available() -> Option<u64> {
    let read = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let current: u64 = read("memory.current")?.trim().parse().ok()?;
    let statistics = read("memory.stat")?;
    let cache: u64 = statistics
        .lines()
        .find_map(|line| line.strip_prefix("file ")?.trim().parse().ok())?;
    Some(limit.saturating_sub(current.saturating_sub(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field_of_meminfo() {
        let text = "MemTotal:       16 kB\nMemAvailableX: 9 kB\nMemAvailable:    7 kB\n";
        assert_eq!(meminfo_field(text, "MemAvailable"), Some(7 * 1024));
        assert_eq!(meminfo_field(text, "SwapFree"), None);
    }

    #[test]
    fn this_host_has_memory() {
        assert!(available().is_some_and(|bytes| bytes > 1 << 20));
    }
}
