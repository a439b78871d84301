//! A real program or library, named by the environment variable `VKCUDA_TEST_SO`.

use std::io::Write;

use fatbin::{Container, Kind};

#[test]
fn real_file() {
    let Some(path) = std::env::var_os("VKCUDA_TEST_SO") else {
        // Not by `eprintln!`, which the test runner keeps to itself.
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: VKCUDA_TEST_SO names no library with CUDA code"
        );
        return;
    };
    let bytes = std::fs::read(&path).expect("VKCUDA_TEST_SO can be read");
    let container = Container::from_bytes(&bytes).expect("a sound container");
    let mut texts = 0;
    for entry in container.entries() {
        let data = entry.bytes().expect("a sound entry");
        match entry.kind() {
            Kind::Ptx => {
                let text = entry.text().expect("a sound text");
                let directive = format!(".target {}", entry.target());
                assert!(text.contains(&directive), "{directive}");
                texts += 1;
            }
            Kind::Elf => assert!(data.starts_with(b"\x7fELF")),
            Kind::Other(_) => {}
        }
    }
    assert!(texts > 0, "no PTX at all");
    println!("{} modules, {texts} PTX texts", container.modules().len());
}
