//! What the tests share: the kernels of `tests/ptx`, translation by name, and the validator.

#![allow(dead_code)]

pub mod forms;

use ptx_spirv::{MatrixMemory, MatrixShape, ModuleLayout, Target, TranslateError, Translated};
use rspirv::binary::{Consumer, ParseAction};
use rspirv::dr::{Instruction, ModuleHeader};
use rspirv::spirv::{Capability, Op};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The kernels of `tests/ptx`: file name without its end (which is the kernel's name too) and text, by name.
pub fn kernels() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ptx");
    let mut all: Vec<(String, String)> = std::fs::read_dir(&folder)
        .expect("the folder of kernels")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "ptx"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a readable file");
            (name.into_owned(), text)
        })
        .collect();
    all.sort();
    all
}

/// The text of one kernel of `tests/ptx`.
pub fn text(name: &str) -> String {
    kernels()
        .into_iter()
        .find(|(n, _)| n == name)
        .unwrap_or_else(|| panic!("tests/ptx has no {name}.ptx"))
        .1
}

/// Translates one kernel of a module.
pub fn translate(text: &str, kernel: &str, target: &Target) -> Result<Translated, TranslateError> {
    let module = ptx::Module::parse(text).map_err(|source| TranslateError::Parse {
        kernel: kernel.to_owned(),
        source,
    })?;
    let layout = ModuleLayout::new(&module)?;
    ptx_spirv::translate(&module, &layout, kernel, target)
}

/// A module with one kernel `k(.param .u64 out)` of this body, whose first line is line 8.
pub fn kernel(body: &str) -> String {
    format!(
        ".version 8.3\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 out)\n{{\n\
         .reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<8>;\n\
         .reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .f64 %fd<8>;\n{body}\nret;\n}}\n"
    )
}

/// The profiles without what rspirv does not know, maximal reconvergence.
pub fn profiles() -> Vec<(&'static str, Target)> {
    [
        ("lavapipe", Target::lavapipe()),
        ("subgroup32", Target::subgroup32()),
        ("subgroup64", Target::subgroup64()),
    ]
    .map(|(name, mut target)| {
        target.maximal_reconvergence = false;
        (name, target)
    })
    .to_vec()
}

/// The profiles as devices have them, as far as the validator can judge: Debian 12's, of 2023, knows neither cooperative
/// matrices nor maximal reconvergence. `tools/setup` installs a newer one.
pub fn validated_profiles() -> Vec<(&'static str, Target)> {
    let output = Command::new("spirv-val").arg("--version").output();
    let text = output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    // "SPIRV-Tools v2025.5 ..."
    let year: Option<u32> = text
        .split_once(" v")
        .and_then(|(_, rest)| rest.get(..4)?.parse().ok());
    if year.is_none_or(|year| year < 2024) {
        eprintln!("not validated, for want of a newer spirv-val: cooperative matrices, maximal reconvergence");
        return profiles();
    }
    vec![
        ("lavapipe", Target::lavapipe()),
        ("subgroup32", Target::subgroup32()),
        ("subgroup64", Target::subgroup64()),
        ("nvidia", Target::nvidia()),
        ("xe2", Target::xe2()),
        ("16x16", through_memory(16, 16, 16)),
        ("8x8", through_memory(8, 8, 32)),
        ("16x8", through_memory(16, 8, 16)),
    ]
}

/// A device whose matrices have this many rows and columns, and bytes of this k.
pub fn through_memory(rows: u8, columns: u8, bytes: u8) -> Target {
    let mut target = Target::subgroup32();
    let shape = |k| Some(MatrixShape::new(rows, columns, k));
    target.matrix_units.memory = MatrixMemory {
        half_single: shape(16),
        half: shape(16).filter(|_| rows == 16),
        signed: shape(bytes),
        unsigned: shape(bytes),
    };
    target
}

/// Panics with the validator's words unless it accepts the module.
pub fn validate(what: &str, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut child = Command::new("spirv-val")
        .args([
            "--target-env",
            "vulkan1.3",
            "--uniform-buffer-standard-layout",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| {
            panic!("spirv-val cannot be run ({e}): these tests need it (package spirv-tools)")
        });
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(&bytes)
        .expect("the validator reads all of its input");
    let output = child.wait_with_output().expect("the validator's output");
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The instructions of a module. (rspirv's own loader stops at OpExecutionModeId.)
pub fn instructions(words: &[u32]) -> Vec<Instruction> {
    struct Collect(Vec<Instruction>);
    impl Consumer for Collect {
        fn initialize(&mut self) -> ParseAction {
            ParseAction::Continue
        }
        fn finalize(&mut self) -> ParseAction {
            ParseAction::Continue
        }
        fn consume_header(&mut self, _: ModuleHeader) -> ParseAction {
            ParseAction::Continue
        }
        fn consume_instruction(&mut self, instruction: Instruction) -> ParseAction {
            self.0.push(instruction);
            ParseAction::Continue
        }
    }
    let mut all = Collect(Vec::new());
    rspirv::binary::parse_words(words, &mut all).expect("words that rspirv can parse");
    all.0
}

/// The capabilities a module declares.
pub fn capabilities(words: &[u32]) -> Vec<Capability> {
    instructions(words)
        .iter()
        .filter(|i| i.class.opcode == Op::Capability)
        .map(|i| i.operands[0].unwrap_capability())
        .collect()
}
