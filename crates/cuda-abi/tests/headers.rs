//! The table of driver functions against NVIDIA's headers, where the environment names some: `VKCUDA_CUDA_HEADERS` is a
//! list of folders, separated by colons, that hold `cuda.h` and its companions at any depth. `tools/setup --clients`
//! installs them.

use cuda_abi::functions::FUNCTIONS;
use std::collections::BTreeSet;
use std::path::Path;

/// The headers that declare functions of `libcuda.so.1`.
const HEADERS: &[&str] = &[
    "cuda.h",
    "cudaGL.h",
    "cudaEGL.h",
    "cudaVDPAU.h",
    "cudaProfiler.h",
];

/// Calls `found` with the text of every such header in a folder.
fn search(folder: &Path, found: &mut impl FnMut(&Path, String)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, found);
        } else if HEADERS
            .iter()
            .any(|&name| path.file_name().is_some_and(|f| f == name))
        {
            let text = std::fs::read(&path).expect("a header");
            found(&path, String::from_utf8_lossy(&text).into_owned());
        }
    }
}

/// The functions that a header declares, older versions among them: `CUresult CUDAAPI cuInit(unsigned int Flags);`.
fn declared(text: &str) -> BTreeSet<&str> {
    text.match_indices("CUDAAPI ")
        .filter_map(|(at, word)| {
            let rest = text[at + word.len()..].trim_start();
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            let is_function = rest[end..].trim_start().starts_with('(');
            let name = &rest[..end];
            (is_function && name.starts_with("cu")).then_some(name)
        })
        .collect()
}

/// What a header's macros make of a name: `#define cuMemAlloc cuMemAlloc_v2`, `__CUDA_API_PTSZ(cuMemsetD8Async)`.
fn defined(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            if words.next() != Some("#define") || !words.next()?.starts_with("cu") {
                return None;
            }
            let value = words.next()?;
            let value = value.rsplit('(').next()?.trim_end_matches(')');
            value.starts_with("cu").then_some(value)
        })
        .collect()
}

#[test]
fn the_table_has_every_function_of_the_headers() {
    let Some(folders) = std::env::var_os("VKCUDA_CUDA_HEADERS") else {
        eprintln!("VKCUDA_CUDA_HEADERS is not set: NOTHING TESTED against NVIDIA's headers");
        return;
    };
    let table: BTreeSet<&str> = FUNCTIONS.iter().map(|f| f.symbol).collect();
    let mut headers = 0;
    for folder in std::env::split_paths(&folders) {
        search(&folder, &mut |path, text| {
            headers += 1;
            let names = declared(&text);
            assert!(
                names.len() >= 2,
                "{}: no declarations found",
                path.display()
            );
            let missing: Vec<_> = names
                .union(&defined(&text))
                .filter(|name| !table.contains(*name))
                .copied()
                .collect();
            assert!(
                missing.is_empty(),
                "{}: not in the table: {missing:?}",
                path.display()
            );
        });
    }
    assert!(headers > 0, "no cuda.h in {folders:?}");
}

#[test]
fn declarations_are_found() {
    let text =
        "CUresult CUDAAPI cuInit(unsigned int Flags);\ntypedef void (CUDAAPI *CUhostFn)(void*);\n\
        #define cuMemAlloc cuMemAlloc_v2\n #define cuMemcpy __CUDA_API_PTDS(cuMemcpy)\n";
    assert_eq!(declared(text), BTreeSet::from(["cuInit"]));
    assert_eq!(defined(text), BTreeSet::from(["cuMemAlloc_v2", "cuMemcpy"]));
}
