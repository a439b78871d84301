//! The differences that are meant to be, each with its reason.

/// A difference that has a reason.
pub struct Explained {
    /// The probe's name; `*` at its end stands for anything.
    probe: &'static str,
    /// The step, likewise.
    step: &'static str,
    /// Why.
    pub why: &'static str,
}

/// Every explained difference.
const ALL: &[Explained] = &[];

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

/// The reason for a difference, if there is one.
pub fn find(probe: &str, step: &str) -> Option<(usize, &'static Explained)> {
    ALL.iter()
        .enumerate()
        .find(|(_, e)| matches(e.probe, probe) && matches(e.step, step))
}

/// The reasons that no difference needed.
pub fn unused(used: &[usize]) -> Vec<String> {
    ALL.iter()
        .enumerate()
        .filter(|(index, _)| !used.contains(index))
        .map(|(_, e)| format!("{}: {}", e.probe, e.step))
        .collect()
}
