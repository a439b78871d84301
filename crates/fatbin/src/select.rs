//! Which of a module's entries a device runs.

use std::collections::BTreeMap;

use crate::entry::{Entry, Kind, Variant};
use crate::{text, Error};

/// The rule of [`crate::Module::select_ptx`].
pub(crate) fn select(entries: &[Entry], compute_capability: u32) -> Result<String, Error> {
    let mut fitting: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Ptx && entry.sm <= compute_capability)
        .collect();
    // Stable: of two alike, the first.
    fitting.sort_by_key(|entry| (entry.variant != Variant::Portable, u32::MAX - entry.sm));
    let mut bound = None;
    for entry in fitting {
        let text = entry.text()?;
        // Fatbins by older tools mark variants in the text alone.
        let variant = text::target(&text).map_or(entry.variant, |(_, variant)| variant);
        if variant == Variant::Portable {
            return Ok(text);
        }
        bound.get_or_insert(text);
    }
    if let Some(text) = bound {
        return Ok(text);
    }
    match newer(entries, compute_capability) {
        Some(entry) => entry.text(),
        None => Err(none(entries, compute_capability)),
    }
}

/// PTX for a newer device, where machine code says that the module is meant for this one, too.
///
/// Builders often put machine code for today's devices beside PTX for those to come. NVIDIA's driver runs the former here;
/// without it, the nearest PTX is the same source once more.
fn newer<'e, 'a>(entries: &'e [Entry<'a>], compute_capability: u32) -> Option<&'e Entry<'a>> {
    let (device, sm) = (compute_capability, |entry: &Entry| entry.sm);
    entries
        .iter()
        .find(|&entry| {
            entry.kind == Kind::Elf && sm(entry) <= device && sm(entry) / 10 == device / 10
        })
        .and(
            entries
                .iter()
                .filter(|entry| entry.kind == Kind::Ptx && entry.variant == Variant::Portable)
                .min_by_key(|entry| entry.sm),
        )
}

/// The error that says what is there instead.
pub(crate) fn none<'e, 'a: 'e>(
    entries: impl IntoIterator<Item = &'e Entry<'a>>,
    compute_capability: u32,
) -> Error {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let kind = match entry.kind {
            Kind::Ptx => "PTX".to_owned(),
            Kind::Elf => "SASS".to_owned(),
            Kind::Other(kind) => format!("code of kind {kind}"),
        };
        let targets = found.entry(kind).or_default();
        if !targets.contains(&entry.target()) {
            targets.push(entry.target());
        }
    }
    let found: Vec<String> = found
        .into_iter()
        .map(|(kind, targets)| format!("{kind} for {}", targets.join(", ")))
        .collect();
    Error::NoPtx {
        compute_capability,
        found: if found.is_empty() {
            "no device code".to_owned()
        } else {
            found.join("; ")
        },
    }
}
