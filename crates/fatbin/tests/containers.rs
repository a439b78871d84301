//! Containers of all kinds, from bytes and from pointers.

mod common;

use std::ffi::c_void;

use common::{archive, concatenated, elf, fatbin, ptx, Packing, Spec, PACKINGS};
use fatbin::{Compression, Container, Error, Kind, Variant};

/// The container behind a pointer. The bytes must be what `from_pointer` asks for.
fn behind<'a>(bytes: &'a [u8]) -> Result<Container<'a>, Error> {
    // SAFETY: the tests pass whole containers, and text with a NUL.
    unsafe { Container::<'a>::from_pointer(bytes.as_ptr().cast()) }
}

#[test]
fn every_compression() {
    for packing in PACKINGS {
        let text = ptx("75");
        let bytes = fatbin(&[Spec::elf(86), Spec::ptx(75, &text, packing)]);
        for container in [Container::from_bytes(&bytes), behind(&bytes)] {
            let container = container.unwrap();
            assert_eq!(container.modules().len(), 1);
            let entries: Vec<_> = container.entries().collect();
            assert_eq!(entries.len(), 2);
            assert_eq!(
                (entries[0].kind(), entries[0].target()),
                (Kind::Elf, "sm_86".to_owned())
            );
            assert_eq!((entries[1].kind(), entries[1].sm()), (Kind::Ptx, 75));
            assert_eq!(entries[1].version(), (8, 4));
            let compression = match packing {
                Packing::Plain => None,
                Packing::Lz4 => Some(Compression::Lz4),
                Packing::Zstd => Some(Compression::Zstd),
            };
            assert_eq!(entries[1].compression(), compression);
            assert_eq!(entries[1].text().unwrap(), text);
            assert_eq!(container.select_ptx(90).unwrap(), text);
        }
    }
}

#[test]
fn nuls_at_the_end() {
    for packing in PACKINGS {
        let text = ptx("75");
        let bytes = fatbin(&[Spec::ptx(75, &(text.clone() + "\0\0\0"), packing)]);
        assert_eq!(
            Container::from_bytes(&bytes)
                .unwrap()
                .select_ptx(90)
                .unwrap(),
            text
        );
    }
}

#[test]
fn highest_target_that_fits() {
    let entry = |sm: u32| Spec::ptx(sm, &ptx(&sm.to_string()), Packing::Zstd);
    let bytes = fatbin(&[entry(75), entry(100), entry(80), entry(61)]);
    let container = Container::from_bytes(&bytes).unwrap();
    for (device, target) in [(90, "80"), (80, "80"), (79, "75"), (120, "100"), (61, "61")] {
        assert_eq!(
            container.select_ptx(device).unwrap(),
            ptx(target),
            "{device}"
        );
    }
    let error = container.select_ptx(60).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PTX for compute capability 6.0: found PTX for sm_75, sm_100, sm_80, sm_61"
    );
}

#[test]
fn variants_last() {
    let specific = |flags: u64| Spec {
        flags,
        ..Spec::ptx(90, &ptx("90a"), Packing::Lz4)
    };
    // Marked in the flags or only in the text.
    for flags in [0x10_0011, 0x11] {
        let both = fatbin(&[specific(flags), Spec::ptx(80, &ptx("80"), Packing::Lz4)]);
        assert_eq!(
            Container::from_bytes(&both)
                .unwrap()
                .select_ptx(90)
                .unwrap(),
            ptx("80")
        );
        let alone = fatbin(&[specific(flags)]);
        assert_eq!(
            Container::from_bytes(&alone)
                .unwrap()
                .select_ptx(90)
                .unwrap(),
            ptx("90a")
        );
    }
    let bytes = fatbin(&[specific(0x10_0011)]);
    let container = Container::from_bytes(&bytes).unwrap();
    assert_eq!(
        container.entries().next().unwrap().variant(),
        Variant::Architecture
    );
    assert_eq!(container.entries().next().unwrap().target(), "sm_90a");
}

#[test]
fn only_machine_code() {
    let bytes = fatbin(&[
        Spec::elf(86),
        Spec::elf(89),
        Spec {
            kind: 8,
            ..Spec::elf(75)
        },
    ]);
    let error = Container::from_bytes(&bytes)
        .unwrap()
        .select_ptx(90)
        .unwrap_err();
    let found = "SASS for sm_86, sm_89; code of kind 8 for sm_75".to_owned();
    assert_eq!(
        error,
        Error::NoPtx {
            compute_capability: 90,
            found
        }
    );
}

/// Machine code for this device beside PTX for newer ones, as in binaries that are built for years to come.
#[test]
fn newer_where_machine_code_says_it_fits() {
    let newer = [Packing::Zstd, Packing::Plain]
        .into_iter()
        .zip([120, 100])
        .map(|(packing, sm)| Spec::ptx(sm, &ptx(&sm.to_string()), packing));
    let select = |machine_code: &[u32]| {
        let code = machine_code.iter().map(|&sm| Spec::elf(sm));
        let bytes = fatbin(&newer.clone().chain(code).collect::<Vec<_>>());
        Container::from_bytes(&bytes).unwrap().select_ptx(90)
    };
    assert_eq!(select(&[86, 90]).unwrap(), ptx("100"));
    // Machine code runs on later minor versions of its major version, and on nothing else.
    for other in [&[86][..], &[91], &[100], &[]] {
        assert!(
            matches!(select(other), Err(Error::NoPtx { .. })),
            "{other:?}"
        );
    }
}

#[test]
fn several_in_one_entry() {
    for packing in PACKINGS {
        for (name, options) in [("", ""), ("foo.cu", ""), ("", "-v"), ("foo.cu", "--opt 12")] {
            let entry = |kind, sm, text: &str| Spec {
                kind,
                name,
                options,
                ..Spec::ptx(sm, text, Packing::Plain)
            };
            let entries = [
                entry(1, 75, &ptx("75")),
                entry(2, 86, "code"),
                entry(1, 80, &ptx("80")),
            ];
            let bytes = concatenated(&entries, packing);
            let container = Container::from_bytes(&bytes).unwrap();
            let found: Vec<_> = container
                .entries()
                .map(|entry| {
                    (
                        entry.kind(),
                        entry.sm(),
                        entry.name(),
                        entry.bytes().unwrap(),
                    )
                })
                .collect();
            let expected: Vec<_> = entries
                .iter()
                .map(|entry| {
                    let kind = if entry.kind == 1 {
                        Kind::Ptx
                    } else {
                        Kind::Elf
                    };
                    (kind, entry.sm, name.to_owned(), entry.data.clone())
                })
                .collect();
            assert_eq!(found, expected);
            assert_eq!(container.select_ptx(90).unwrap(), ptx("80"));
        }
    }
}

#[test]
fn text() {
    let text = ptx("80");
    let terminated = text.clone() + "\0";
    for container in [
        Container::from_bytes(text.as_bytes()),
        Container::from_bytes(terminated.as_bytes()),
        behind(terminated.as_bytes()),
    ] {
        let container = container.unwrap();
        assert_eq!(container.select_ptx(90).unwrap(), text);
        let found = "PTX for sm_80".to_owned();
        let error = container.select_ptx(75).unwrap_err();
        assert_eq!(
            error,
            Error::NoPtx {
                compute_capability: 75,
                found
            }
        );
    }
    let comment = format!("// Größe\n{text}\0");
    assert!(behind(comment.as_bytes())
        .unwrap()
        .select_ptx(90)
        .unwrap()
        .contains("Größe"));
}

#[test]
fn no_image() {
    for bytes in [
        &b"\0"[..],
        b"hello\0",
        b"P\xedU\0",
        b"\x01\x02\x03\0",
        b".version \xff\xff\0",
        b"\x7fEL\0",
    ] {
        assert!(matches!(behind(bytes), Err(Error::Corrupt(_))), "{bytes:?}");
        assert!(
            matches!(Container::from_bytes(bytes), Err(Error::Corrupt(_))),
            "{bytes:?}"
        );
    }
    assert!(matches!(Container::from_bytes(&[]), Err(Error::Corrupt(_))));
    // SAFETY: null is allowed.
    let null = unsafe { Container::from_pointer(std::ptr::null()) };
    assert!(matches!(null, Err(Error::Corrupt(_))));
}

#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    data: *const c_void,
    parts: *const c_void,
}

fn wrapped<'a>(
    version: u32,
    data: &'a [u8],
    parts: &'a [*const u8],
) -> Result<Container<'a>, Error> {
    let wrapper = Wrapper {
        magic: 0x4662_43B1,
        version,
        data: data.as_ptr().cast(),
        parts: parts.as_ptr().cast(),
    };
    // SAFETY: the wrapper is only read during the call, and the fatbins live for `'a`.
    unsafe { Container::<'a>::from_pointer((&raw const wrapper).cast()) }
}

#[test]
fn wrappers() {
    let bytes = fatbin(&[Spec::ptx(75, &ptx("75"), Packing::Lz4)]);
    assert_eq!(
        wrapped(1, &bytes, &[]).unwrap().select_ptx(90).unwrap(),
        ptx("75")
    );
    assert!(matches!(wrapped(3, &bytes, &[]), Err(Error::Corrupt(_))));
    assert!(matches!(
        wrapped(1, b"no fatbin here", &[]),
        Err(Error::Corrupt(_))
    ));
    let file: Vec<u8> = 0x4662_43B1u32
        .to_le_bytes()
        .into_iter()
        .chain([0; 20])
        .collect();
    assert!(matches!(
        Container::from_bytes(&file),
        Err(Error::Corrupt(_))
    ));
}

/// Relocatable code: the linked fatbin is empty, and each source file has its own.
#[test]
fn wrapper_with_parts() {
    let empty = fatbin(&[]);
    let a = fatbin(&[Spec::ptx(75, &ptx("75"), Packing::Zstd)]);
    let b = fatbin(&[Spec::ptx(80, &ptx("80"), Packing::Zstd)]);
    let library = fatbin(&[Spec::elf(90)]);
    let one = [a.as_ptr(), library.as_ptr(), std::ptr::null()];
    let container = wrapped(2, &empty, &one).unwrap();
    assert_eq!(container.modules().len(), 2);
    assert_eq!(container.select_ptx(90).unwrap(), ptx("75"));
    let two = [a.as_ptr(), b.as_ptr(), library.as_ptr(), std::ptr::null()];
    let container = wrapped(2, &empty, &two).unwrap();
    assert_eq!(container.select_ptx(90).unwrap_err(), Error::NotLinked(2));
    assert_eq!(
        container.select_all_ptx(90).unwrap(),
        [ptx("75"), ptx("80")]
    );
}

#[test]
fn host_programs() {
    let a = fatbin(&[Spec::ptx(75, &ptx("75"), Packing::Zstd), Spec::elf(86)]);
    let b = fatbin(&[Spec::ptx(80, &ptx("80"), Packing::Lz4)]);
    let mut both = a.clone();
    both.resize(both.len() + 16, 0);
    both.extend(&b);
    let program = elf(
        62,
        0,
        0,
        &[
            (".text", b"host code"),
            (".nv_fatbin", &both),
            ("__nv_relfatbin", &b),
        ],
    );
    for container in [Container::from_bytes(&program), behind(&program)] {
        let container = container.unwrap();
        let texts: Vec<_> = container
            .modules()
            .iter()
            .map(|m| m.select_ptx(90).unwrap())
            .collect();
        assert_eq!(texts, [ptx("75"), ptx("80"), ptx("80")]);
    }
    let none = elf(62, 0, 0, &[(".text", b"host code")]);
    let error = Container::from_bytes(&none)
        .unwrap()
        .select_ptx(90)
        .unwrap_err();
    assert!(
        error.to_string().ends_with("found no device code"),
        "{error}"
    );

    let library = archive(&[("readme", b"hello"), ("a.o", &program), ("b.fatbin", &b)]);
    assert_eq!(Container::from_bytes(&library).unwrap().modules().len(), 4);
    assert!(matches!(behind(&library), Err(Error::Corrupt(_))));
}

#[test]
fn cubins() {
    // As ptxas writes them: up to CUDA 12, and from 13 on.
    for (abi_version, flags, sm) in [(7, 0x0055_0556, "sm_86"), (8, 0x0600_5a04, "sm_90")] {
        let cubin = elf(190, abi_version, flags, &[(".text.k", b"code")]);
        for container in [Container::from_bytes(&cubin), behind(&cubin)] {
            let found = format!("SASS for {sm}");
            let error = container.unwrap().select_ptx(90).unwrap_err();
            assert_eq!(
                error,
                Error::NoPtx {
                    compute_capability: 90,
                    found
                }
            );
        }
    }
}

#[test]
fn wrong_sizes() {
    for packing in [Packing::Lz4, Packing::Zstd] {
        for size in [0u64, 10, 2000, 1 << 29, 1 << 40, u64::MAX] {
            let mut bytes = fatbin(&[Spec::ptx(75, &ptx("75"), packing)]);
            bytes[16 + 56..16 + 64].copy_from_slice(&size.to_le_bytes());
            let result = Container::from_bytes(&bytes).and_then(|c| c.select_ptx(90));
            assert!(
                matches!(result, Err(Error::Corrupt(_))),
                "{packing:?} {size}: {result:?}"
            );
        }
    }
    // Cut anywhere.
    let bytes = fatbin(&[Spec::ptx(75, &ptx("75"), Packing::Zstd), Spec::elf(86)]);
    for end in 0..bytes.len() {
        let result = Container::from_bytes(&bytes[..end]);
        assert!(matches!(result, Err(Error::Corrupt(_))), "{end}");
    }
}

/// A few bytes that stand for gigabytes give an error, not gigabytes.
#[test]
fn bombs() {
    let zeros = vec![0; 1 << 26];
    for packing in [Packing::Lz4, Packing::Zstd] {
        let mut bytes = fatbin(&[Spec {
            data: zeros.clone(),
            ..Spec::ptx(75, "", packing)
        }]);
        bytes[16 + 56..16 + 64].copy_from_slice(&1000u64.to_le_bytes());
        let result = Container::from_bytes(&bytes).and_then(|c| c.select_ptx(90));
        assert!(matches!(result, Err(Error::Corrupt(_))), "{packing:?}");
    }
}
