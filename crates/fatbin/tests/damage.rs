//! Damaged containers give errors, never panics.

mod common;

use common::{archive, concatenated, elf, fatbin, ptx, Packing, Spec, PACKINGS};
use fatbin::Container;
use proptest::prelude::*;

fn containers() -> Vec<Vec<u8>> {
    let text = ptx("75");
    let mut all: Vec<Vec<u8>> = PACKINGS
        .iter()
        .map(|&packing| fatbin(&[Spec::ptx(75, &text, packing), Spec::elf(86)]))
        .collect();
    let named = Spec {
        name: "foo.cu",
        options: "-v",
        ..Spec::ptx(80, &text, Packing::Plain)
    };
    all.push(concatenated(&[named, Spec::elf(90)], Packing::Zstd));
    all.push(elf(62, 0, 0, &[(".nv_fatbin", &all[1])]));
    all.push(elf(190, 8, 0x5a04, &[(".text.k", b"code")]));
    all.push(archive(&[("a.o", &all[4]), ("b", &all[0])]));
    all.push(text.into_bytes());
    all
}

fn read_all(bytes: &[u8]) {
    let Ok(container) = Container::from_bytes(bytes) else {
        return;
    };
    for entry in container.entries() {
        let _ = (
            entry.text(),
            entry.bytes(),
            entry.name(),
            entry.target(),
            entry.size(),
        );
    }
    let _ = (container.select_ptx(90), container.select_all_ptx(0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn mutated(
        which in 0usize..8,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        cut in proptest::bool::weighted(0.2),
    ) {
        let mut bytes = containers().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        read_all(&bytes);
    }

    /// Changes in the first headers only, to extreme values.
    #[test]
    fn mutated_headers(
        which in 0usize..7,
        changes in proptest::collection::vec(
            (0usize..140, prop_oneof![Just(0u8), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()]),
            1..8,
        ),
    ) {
        let mut bytes = containers().swap_remove(which);
        for (at, value) in changes {
            if at >= 8 && at < bytes.len() {
                bytes[at] = value;
            }
        }
        read_all(&bytes);
    }

    #[test]
    fn noise(
        magic in prop_oneof![
            Just(&b""[..]),
            Just(&b"\x50\xed\x55\xba\x01\x00\x10\x00"[..]),
            Just(&b"\x7fELF\x02\x01\x01"[..]),
            Just(&b"!<arch>\n"[..]),
        ],
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        read_all(&[magic, &bytes].concat());
    }
}
