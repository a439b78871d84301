//! Two records of answers, line by line.

use std::collections::BTreeMap;
use std::fmt;

/// One step whose answers differ.
pub struct Difference {
    /// The probe's name.
    pub probe: String,
    /// What it asked.
    pub step: String,
    /// The recorded answer; `None` where that library did not get there.
    pub recorded: Option<String>,
    /// The library's answer.
    pub here: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |answer: &Option<String>| answer.clone().unwrap_or_else(|| "not reached".into());
        write!(
            f,
            "{}: {}: recorded {}, here {}",
            self.probe,
            self.step,
            say(&self.recorded),
            say(&self.here)
        )
    }
}

/// A line as (step, answer).
fn split(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(": ")?;
    rest.rsplit_once(": ")
}

/// The differences in one probe's lines.
pub fn probe(name: &str, recorded: &[String], here: &[String]) -> Vec<Difference> {
    let index = |lines: &[String]| -> BTreeMap<String, String> {
        lines
            .iter()
            .filter_map(|line| split(line))
            .map(|(step, answer)| (step.to_owned(), answer.to_owned()))
            .collect()
    };
    let (left, right) = (index(recorded), index(here));
    let order = recorded.iter().chain(here.iter());
    let mut seen = std::collections::HashSet::new();
    order
        .filter_map(|line| split(line))
        .filter(|(step, _)| seen.insert((*step).to_owned()))
        .filter(|(step, _)| left.get(*step) != right.get(*step))
        .map(|(step, _)| Difference {
            probe: name.to_owned(),
            step: step.to_owned(),
            recorded: left.get(step).cloned(),
            here: right.get(step).cloned(),
        })
        .collect()
}

/// Whether a probe's process was ended by a signal or by its time limit, after the last step that is recorded: what the other
/// library answers from there on is compared with nothing.
pub fn broke_off(lines: &[String]) -> bool {
    let end = lines.iter().rev().find_map(|line| split(line));
    matches!(end, Some(("end", answer)) if !answer.starts_with("exit"))
}

/// A record's lines by probe.
pub fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut probes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((probe, _)) = line.split_once(": ") {
            probes
                .entry(probe.to_owned())
                .or_default()
                .push(line.to_owned());
        }
    }
    probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_and_missing_steps_are_told() {
        let recorded =
            parse("# a\nx: f(1): A (1)\nx: g(\"b\"): 2\nx: end: exit 0\ny: end: exit 0\n");
        let here = parse("x: f(1): A (1)\nx: g(\"b\"): 3\nx: h(): 1\nx: end: signal 11\n");
        assert_eq!(recorded.len(), 2);
        assert!(!broke_off(&recorded["x"]) && broke_off(&here["x"]));
        let found: Vec<String> = probe("x", &recorded["x"], &here["x"])
            .iter()
            .map(Difference::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "x: g(\"b\"): recorded 2, here 3",
                "x: end: recorded exit 0, here signal 11",
                "x: h(): recorded not reached, here 1",
            ]
        );
    }
}
