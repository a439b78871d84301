//! What NVIDIA's assembler takes and refuses, and what the parser and the translator do: the forms of
//! `tests/coverage/table.txt` and changes of them, thousands, through `ptxas`, where the environment names it (`VKCUDA_PTXAS`;
//! `tools/setup --clients` installs one).
//!
//! What it takes must not be called wrong here; what it refuses should be, of which a share is missed.

mod common;

use common::forms;
use ptx_spirv::{Target, TranslateError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn choose<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const TYPES: &[&str] = &[
    "b8", "b16", "b32", "b64", "b128", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f16",
    "bf16", "f16x2", "bf16x2", "f32", "f64", "pred", "u16x2", "s16x2", "tf32", "e4m3x2",
];
const MODIFIERS: &[&str] = &[
    "ftz",
    "sat",
    "rn",
    "rz",
    "relu",
    "cc",
    "hi",
    "lo",
    "wide",
    "approx",
    "volatile",
    "global",
    "shared",
    "local",
    "const",
    "v2",
    "v4",
    "ca",
    "nc",
    "uni",
    "aligned",
    "sync",
    "NaN",
    "and",
    "xorsign",
    "abs",
    "relaxed",
    "gpu",
    "satfinite",
    "noftz",
    "eq",
    "lt",
    "to",
    "x2",
    "trans",
];
const OPERANDS: &[&str] = &[
    "p1",
    "h1",
    "r1",
    "d1",
    "x1",
    "f1",
    "g1",
    "0",
    "1",
    "-1",
    "0x10",
    "0f3F800000",
    "0d3FF0000000000000",
    "1.5",
    "0xFFFFFFFF",
    "-2147483648",
    "4294967296",
    "_",
    "!p1",
    "%tid.x",
    "%clock64",
    "WARP_SZ",
    "gv",
    "sv",
    "gv+4",
    "cv",
    "in",
    "%laneid",
    "{r1, r2}",
    "{h1, h2}",
    "{d1, d2}",
    "r1|p1",
    "{r1}",
    "lv",
];
const ADDRESSES: &[&str] = &[
    "[d0]", "[d0+4]", "[d0+-4]", "[gv]", "[gv+8]", "[sv]", "[sv+4]", "[cv]", "[lv]", "[in]",
    "[x0]", "[f0]", "d0", "gv[1]",
];

/// Opcode with modifiers, and operands.
fn split(form: &str) -> (Vec<&str>, Vec<String>) {
    let (mnemonic, rest) = form.split_once(' ').unwrap_or((form, ""));
    let mut operands = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in rest.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => {
                operands.push(rest[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !rest[start..].trim().is_empty() {
        operands.push(rest[start..].trim().to_owned());
    }
    (mnemonic.split('.').collect(), operands)
}

/// A form with something changed.
fn changed(form: &str, numbers: &mut Numbers) -> String {
    let (mut words, mut operands) = split(form);
    match numbers.below(10) {
        0 if words.len() > 1 => drop(words.remove(1 + numbers.below(words.len() - 1))),
        1 if words.len() > 2 => {
            let at = 1 + numbers.below(words.len() - 2);
            words.swap(at, at + 1);
        }
        2 | 3 => {
            if let Some(at) = words.iter().rposition(|w| TYPES.contains(w)) {
                words[at] = numbers.choose(TYPES);
            }
        }
        4 => words.insert(1 + numbers.below(words.len()), numbers.choose(MODIFIERS)),
        5 if !operands.is_empty() => drop(operands.remove(numbers.below(operands.len()))),
        6 => operands.push(numbers.choose(OPERANDS).to_owned()),
        _ if !operands.is_empty() => {
            let at = numbers.below(operands.len());
            let from = match operands[at].starts_with('[') {
                true => ADDRESSES,
                false => OPERANDS,
            };
            operands[at] = numbers.choose(from).to_owned();
        }
        _ => {}
    }
    let mnemonic = words.join(".");
    match operands.is_empty() {
        true => mnemonic,
        false => format!("{mnemonic} {}", operands.join(", ")),
    }
}

/// What the assembler says of each form: `None` if it takes it.
fn assemble(assembler: &Path, folder: &Path, forms: &[String]) -> Vec<Option<String>> {
    let first = forms::module(&[]).lines().position(|l| l == "other:");
    let first = first.expect("the module's end") + 1;
    let mut said: Vec<Option<String>> = vec![None; forms.len()];
    let mut left: Vec<usize> = (0..forms.len()).collect();
    // A syntax error ends the reading; without what was wrong, it goes on.
    while !left.is_empty() {
        let text: Vec<String> = left.iter().map(|&n| forms[n].clone()).collect();
        let (input, output) = (folder.join("forms.ptx"), folder.join("forms.cubin"));
        std::fs::write(&input, forms::module(&text)).expect("a writable folder");
        let run = Command::new(assembler)
            .args(["-arch=sm_90", "-o"])
            .args([&output, &input])
            .output()
            .expect("VKCUDA_PTXAS runs");
        if run.status.success() {
            return said;
        }
        let errors = String::from_utf8_lossy(&run.stderr).into_owned();
        let mut wrong = BTreeSet::new();
        for line in errors.lines() {
            let Some((_, rest)) = line.split_once(", line ") else {
                continue;
            };
            let Some((number, message)) = rest.split_once(';') else {
                continue;
            };
            if !message.contains("error") && !message.contains("fatal") {
                continue;
            }
            let number: usize = number.parse().expect("a line's number");
            let Some(&form) = number.checked_sub(first).and_then(|n| left.get(n)) else {
                continue;
            };
            wrong.insert(form);
            said[form].get_or_insert_with(|| message.trim().to_owned());
        }
        if wrong.is_empty() {
            // An error of the whole module: each by itself.
            if let [only] = left[..] {
                said[only] = Some(errors.trim().to_owned());
                return said;
            }
            for &n in &left {
                said[n] = assemble(assembler, folder, &forms[n..=n]).remove(0);
            }
            return said;
        }
        left.retain(|n| !wrong.contains(n));
    }
    said
}

/// What the assembler takes, and is wrong here all the same: a part of the text, and why.
const LENIENT: &[(&str, &str)] = &[
    (
        "bf16",
        "vectors, and numbers of their registers, stand for values of bf16",
    ),
    (
        "async",
        "st.async and red.async without an mbarrier; spaces of copies",
    ),
    ("tex.", "offsets of one number, derivatives of two"),
    ("tld4.", "offsets of one number"),
    ("txq.", "a vector as a level"),
    ("sust.", "more or fewer values than the width says"),
    ("mma.sp", "registers and widths that are not looked at"),
    ("mma.sync", "modifiers of others"),
    ("movmatrix", "predicates as words"),
    ("mbarrier", "vectors as counts"),
    ("cvt.pack", "larger registers"),
    ("fns", "a float as an offset"),
    (
        "atom.",
        "a float as the policy of a cache that no hint names",
    ),
    ("istypep", "vectors"),
    ("testp.f", "no property"),
    ("wmma.load", "no type"),
];

#[test]
fn what_the_assembler_takes_is_taken() {
    let Some(assembler) = std::env::var_os("VKCUDA_PTXAS").map(PathBuf::from) else {
        eprintln!("VKCUDA_PTXAS is not set: NOTHING TESTED against NVIDIA's assembler");
        return;
    };
    let folder = std::env::temp_dir().join(format!("vkcuda-assembler-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let base: Vec<String> = forms::all()
        .into_iter()
        // Samplers of their own are another mode of a module; branches would end blocks.
        .filter(|form| !form.contains("filter"))
        .filter(|form| {
            !["bra", "brx", "call", "ret", "exit", "@"]
                .iter()
                .any(|o| form.starts_with(o))
        })
        .collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut all: Vec<String> = base.clone();
    for _ in 0..4 {
        all.extend(base.iter().map(|form| changed(form, &mut numbers)));
    }
    let all: Vec<String> = BTreeSet::from_iter(all).into_iter().collect();
    let mut wrong = Vec::new();
    let (mut taken, mut refused, mut missed) = (0, 0, 0);
    for forms in all.chunks(100) {
        let said = assemble(&assembler, &folder, forms);
        for (form, said) in forms.iter().zip(said) {
            let text = forms::module(std::slice::from_ref(form));
            let ours = match common::translate(&text, "k", &Target::subgroup32()) {
                Ok(_) => Ok(()),
                Err(TranslateError::Unsupported { .. }) => Ok(()),
                Err(other) => Err(other.to_string()),
            };
            match (said, ours) {
                (None, Ok(())) => taken += 1,
                (None, Err(_)) if LENIENT.iter().any(|(part, _)| form.contains(part)) => {
                    taken += 1;
                }
                (None, Err(why)) => wrong.push(format!("{form}: {why}")),
                (Some(_), Err(_)) => refused += 1,
                (Some(_), Ok(())) => missed += 1,
            }
        }
    }
    drop(std::fs::remove_dir_all(&folder));
    println!("{taken} taken, {refused} refused by both, {missed} refused by the assembler alone");
    assert!(wrong.is_empty(), "taken by the assembler: {wrong:#?}");
    assert!(taken > 3000 && refused > 3000, "too little was compared");
    assert!(
        missed * 4 < refused,
        "{missed} forms that the assembler refuses are taken, {refused} are not"
    );
}
