//! `docs/ptx-coverage.md` is what the translator does with every form of `tests/coverage/table.txt`.
//!
//! `VKCUDA_UPDATE=1 cargo test -p ptx-spirv --test coverage` writes the page anew.

mod common;

use common::forms::{expand, module, TABLE};
use common::{translate, validate};
use ptx_spirv::{Target, TranslateError};
use std::fmt::Write;
use std::path::Path;

/// Whether a form is translated, or by which words it is refused.
fn outcome(form: &str, target: &Target) -> Result<(), String> {
    match translate(&module(&[form.to_owned()]), "k", target) {
        Ok(_) => Ok(()),
        Err(TranslateError::Unsupported { what, .. }) => Err(what),
        Err(TranslateError::Parse { source, .. }) if source.unsupported => Err(source.message),
        Err(other) => Err(format!("no PTX: {form}: {other}")),
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Coverage of the PTX ISA\n\n\
         Made by `VKCUDA_UPDATE=1 cargo test --release -p ptx-spirv --test coverage`, which tries the translator on the forms of\n\
         `crates/ptx-spirv/tests/coverage/table.txt`: every instruction of PTX ISA 8.8 up to compute capability 9.0. A form is\n\
         supported when it translates to valid SPIR-V for a GPU with every optional feature, with subgroups of 32 and of 64, and\n\
         for llvmpipe; what differs between those is said. Everything else is refused by name.\n\n",
    );
    let mut targets = [
        ("subgroups of 32", Target::subgroup32()),
        ("subgroups of 64", Target::subgroup64()),
        ("llvmpipe", Target::lavapipe()),
    ];
    for (_, target) in &mut targets {
        target.maximal_reconvergence = false;
    }
    let mut wrong: Vec<String> = Vec::new();
    let (mut yes, mut no) = (0, 0);
    let mut body = String::new();
    for line in TABLE
        .lines()
        .filter(|l| !l.starts_with('#') || l.starts_with("## "))
    {
        if let Some(section) = line.strip_prefix("## ") {
            let _ = write!(
                body,
                "## {section}\n\n| instruction | supported forms | refused |\n|---|---|---|\n"
            );
            continue;
        }
        let Some((name, forms)) = line.split_once(": ") else {
            body.push_str(if body.is_empty() { "" } else { "\n" });
            continue;
        };
        let (mut supported, mut all) = (0, 0);
        let mut refused: Vec<String> = Vec::new();
        let mut later: Vec<String> = Vec::new();
        let mut beyond: Vec<String> = Vec::new();
        // By target, what it supports: validated together.
        let mut good: [Vec<String>; 3] = Default::default();
        for form in forms.split("; ") {
            let (form, is_later) = match form.strip_prefix('-') {
                Some(form) => (form, true),
                None => (form, false),
            };
            // What such a form works on, no call of the driver API can make.
            let (form, is_unreachable) = match form.strip_prefix('~') {
                Some(form) => (form, true),
                None => (form, false),
            };
            for text in expand(form) {
                let mnemonic = text.split(' ').next().unwrap_or(&text).to_owned();
                let special = text.split('%').nth(1).map(|s| format!("%{s}"));
                let shown = special.unwrap_or(mnemonic);
                let results: Vec<Result<(), String>> =
                    targets.iter().map(|(_, t)| outcome(&text, t)).collect();
                if is_later || is_unreachable {
                    let no_ptx = |e: &String| e.starts_with("no PTX:");
                    if results
                        .iter()
                        .any(|r| r.is_ok() || (is_unreachable && r.as_ref().is_err_and(no_ptx)))
                    {
                        wrong.push(text.clone());
                    }
                    match is_later {
                        true => later.push(format!("`{shown}`")),
                        false => beyond.push(format!("`{text}`")),
                    }
                    continue;
                }
                if let Some(Err(e)) = results
                    .iter()
                    .find(|r| r.as_ref().is_err_and(|e| e.starts_with("no PTX:")))
                {
                    wrong.push(e.clone());
                }
                all += 1;
                for (good, result) in good.iter_mut().zip(&results) {
                    if result.is_ok() {
                        good.push(text.clone());
                    }
                }
                if results.iter().all(Result::is_ok) {
                    supported += 1;
                    continue;
                }
                let without: Vec<&str> = targets
                    .iter()
                    .zip(&results)
                    .filter(|(_, r)| r.is_err())
                    .map(|(t, _)| t.0)
                    .collect();
                refused.push(if without.len() == targets.len() {
                    format!("`{shown}`")
                } else {
                    format!("`{shown}` on {}", without.join(", "))
                });
            }
        }
        for (forms, (profile, target)) in good.iter().zip(&targets) {
            if let Ok(t) = translate(&module(forms), "k", target) {
                validate(&format!("{name} for {profile}"), &t.spirv);
            }
        }
        yes += supported;
        no += all - supported;
        refused.dedup();
        later.dedup();
        beyond.dedup();
        let mut what = refused.join(", ");
        if !later.is_empty() {
            let _ = write!(
                what,
                "{}not of compute capability 9.0: {}",
                if what.is_empty() { "" } else { "; " },
                later.join(", ")
            );
        }
        if !beyond.is_empty() {
            let _ = write!(
                what,
                "{}not reachable, because CUDA's driver API makes nothing to use it on: {}",
                if what.is_empty() { "" } else { "; " },
                beyond.join(", ")
            );
        }
        let count = if all == 0 {
            "not applicable".to_owned()
        } else if supported == all {
            format!("all {all}")
        } else {
            format!("{supported} of {all}")
        };
        let _ = writeln!(body, "| {name} | {count} | {what} |");
    }
    assert!(
        wrong.is_empty(),
        "forms that are no PTX, or supported and not of this architecture: {wrong:#?}"
    );
    let _ = write!(
        page,
        "{yes} forms are supported, {no} are refused.\n\n{body}"
    );
    page
}

#[test]
fn the_page_is_what_the_translator_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ptx-coverage.md");
    let page = page();
    if std::env::var_os("VKCUDA_UPDATE").is_some() {
        std::fs::write(&path, &page).expect("a writable folder");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/ptx-coverage.md is out of date: VKCUDA_UPDATE=1 writes it anew"
    );
}

#[test]
fn choices_expand() {
    assert_eq!(
        expand("a{,.b}.{c,d} {r0, r1}"),
        [
            "a.c {r0, r1}",
            "a.d {r0, r1}",
            "a.b.c {r0, r1}",
            "a.b.d {r0, r1}"
        ]
    );
}
