//! From the spelling of an opcode, modifier or special register to its variant.

use crate::ast::{Modifier, Opcode, SpecialRegister};
use rustc_hash::FxHashMap;
use std::sync::LazyLock;

type Table<T> = LazyLock<FxHashMap<&'static [u8], T>>;

static OPCODES: Table<Opcode> = LazyLock::new(|| {
    Opcode::ALL
        .iter()
        .map(|&v| (v.text().as_bytes(), v))
        .collect()
});
static MODIFIERS: Table<Modifier> = LazyLock::new(|| {
    Modifier::ALL
        .iter()
        .map(|&v| (v.text().as_bytes(), v))
        .collect()
});
static SPECIAL: Table<SpecialRegister> = LazyLock::new(|| {
    SpecialRegister::ALL
        .iter()
        .map(|&v| (v.text().as_bytes(), v))
        .collect()
});

impl Opcode {
    /// The opcode with this spelling.
    pub fn from_text(text: &str) -> Option<Opcode> {
        opcode(text.as_bytes())
    }
}

impl Modifier {
    /// The modifier with this spelling, the leading dot left out.
    pub fn from_text(text: &str) -> Option<Modifier> {
        modifier(text.as_bytes())
    }
}

impl SpecialRegister {
    /// The special register with this spelling, the leading `%` left out: `tid.x`.
    pub fn from_text(text: &str) -> Option<SpecialRegister> {
        special(text.as_bytes())
    }
}

pub(crate) fn opcode(text: &[u8]) -> Option<Opcode> {
    OPCODES.get(text).copied()
}

pub(crate) fn modifier(text: &[u8]) -> Option<Modifier> {
    MODIFIERS.get(text).copied()
}

pub(crate) fn special(text: &[u8]) -> Option<SpecialRegister> {
    SPECIAL.get(text).copied()
}

/// The components of a special register that is a vector: `tid`.
pub(crate) fn special_vector(text: &[u8]) -> Option<&'static [SpecialRegister]> {
    static VECTORS: Table<&'static [SpecialRegister]> = LazyLock::new(|| {
        // The three components are declared in a row.
        SpecialRegister::ALL
            .chunk_by(|a, b| {
                a.text().split_once('.').map(|p| p.0) == b.text().split_once('.').map(|p| p.0)
            })
            .filter_map(|parts| Some((parts[0].text().split_once('.')?.0.as_bytes(), parts)))
            .collect()
    });
    VECTORS.get(text).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_spelling_is_there_once() {
        fn once<T: Copy>(all: &[T], text: impl Fn(T) -> &'static str) {
            let mut seen = HashSet::new();
            for &v in all {
                assert!(seen.insert(text(v)), "`{}` twice", text(v));
                assert!(!text(v).is_empty() && !text(v).starts_with(['.', '%']));
            }
        }
        once(Opcode::ALL, Opcode::text);
        once(Modifier::ALL, Modifier::text);
        once(SpecialRegister::ALL, SpecialRegister::text);
    }

    #[test]
    fn spellings_lead_back() {
        assert!(Opcode::ALL
            .iter()
            .all(|&v| Opcode::from_text(v.text()) == Some(v)));
        assert!(Modifier::ALL
            .iter()
            .all(|&v| Modifier::from_text(v.text()) == Some(v)));
        assert!(SpecialRegister::ALL
            .iter()
            .all(|&v| SpecialRegister::from_text(v.text()) == Some(v)));
        assert_eq!(Modifier::from_text("NaN"), Some(Modifier::Nan));
        assert_eq!(Modifier::from_text("nan"), Some(Modifier::NanCmp));
    }
}
