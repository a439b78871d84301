//! A device and the interpreter, side by side.

use crate::form::{kernel, Compare, Form};
use crate::kind::Kind;
use ptx_reference::semantics::approximate;
use ptx_reference::Memory;
use ptx_spirv::{ModuleLayout, RelocationTarget, Target};
use std::fmt::Write;
use std::sync::Arc;
use vulkan::{Device, Instance, Launch, MemoryKind, Stream};

/// Operand sets of a form.
pub const COUNT: usize = 512;
/// Threads of a block of the kernels made of forms.
const BLOCK: usize = 128;
/// Forms in a kernel: enough to pay for a pipeline, few enough for the superlinear compile time of long shaders.
const TOGETHER: usize = 12;
/// Steps of the interpreter before a kernel is given up.
const STEPS: u64 = 50_000_000;

/// A whole kernel of the form `.entry k(.param .u64 in, .param .u64 out)`.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in reports.
    pub name: String,
    /// The module.
    pub text: String,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads.
    pub block: [u32; 3],
    /// Dynamic shared memory, bytes.
    pub dynamic_shared: u32,
    /// What `in` points to.
    pub input: Vec<u8>,
    /// What `out` points to at the start.
    pub output: Vec<u8>,
}

/// What a place of the output of each thread is.
#[derive(Clone, Debug)]
pub struct Label {
    /// The instruction, and which of its results.
    pub name: String,
    /// Where its operands are in the thread's 64 bytes of input.
    pub operands: Vec<usize>,
}

/// The device under test.
pub struct Bench {
    device: Arc<Device>,
    stream: Arc<Stream>,
    /// What kernels are translated for.
    pub target: Target,
}

/// A form's name, and what differed.
type NamedResult = (String, Result<(), String>);

impl Bench {
    /// The machine's first device.
    ///
    /// # Panics
    /// Without one.
    pub fn open() -> Bench {
        let instance = Instance::load().expect("a Vulkan loader");
        let physical = instance
            .physical_devices()
            .first()
            .expect("a device; lavapipe will do");
        let device = Device::open(physical).expect("the device opens");
        let stream = device.create_stream().expect("a stream");
        let target = device.target().clone();
        Bench {
            device,
            stream,
            target,
        }
    }

    /// The same device with another view of it.
    pub fn with(mut self, change: impl FnOnce(&mut Target)) -> Bench {
        change(&mut self.target);
        self
    }

    /// Runs a kernel on both sides and gives the two outputs, the device's first.
    ///
    /// # Errors
    /// Which side did not run it, and why.
    pub fn run(&self, case: &Case) -> Result<(Vec<u8>, Vec<u8>), String> {
        self.run_placed(case, &|_, _| ())
    }

    /// The same, with input that depends on where it lies: `place` gets its address and changes it.
    ///
    /// # Errors
    /// As [`Bench::run`].
    pub fn run_placed(
        &self,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        let module = ptx::Module::parse(&case.text).map_err(|e| format!("parser: {e}"))?;
        let layout = ModuleLayout::new(&module).map_err(|e| format!("layout: {e}"))?;
        let translated = ptx_spirv::translate(&module, &layout, "k", &self.target)
            .map_err(|e| format!("translator: {e}"))?;
        let allocate = |bytes: &[u8]| -> Result<vulkan::Allocation, String> {
            let memory = self
                .device
                .allocate(bytes.len().max(16) as u64, MemoryKind::Device)
                .map_err(|e| e.to_string())?;
            self.stream
                .write(memory.address(), bytes)
                .map_err(|e| e.to_string())?;
            Ok(memory)
        };
        let (input, output) = (allocate(&case.input)?, allocate(&case.output)?);
        let mut data = case.input.clone();
        place(input.address(), &mut data);
        self.stream
            .write(input.address(), &data)
            .map_err(|e| e.to_string())?;
        let parameters: Vec<u8> = [input.address(), output.address()]
            .iter()
            .flat_map(|a| a.to_le_bytes())
            .collect();

        // The interpreter first: what it finds out of bounds must not reach the device.
        let mut memory = Memory::new();
        memory.insert(input.address(), data);
        memory.insert(output.address(), case.output.clone());
        let launch = ptx_reference::Launch {
            grid: case.grid,
            block: case.block,
            dynamic_shared: case.dynamic_shared,
            parameters: &parameters,
        };
        let options = ptx_reference::Options {
            step_limit: STEPS,
            ..Default::default()
        };
        let outcome = ptx_reference::run_with(&module, "k", &launch, &mut memory, options)
            .map_err(|e| format!("interpreter: {e}"))?;
        if let Some(fault) = outcome.fault {
            return Err(format!("interpreter: {fault:?}"));
        }
        let expected = memory.buffer(output.address()).expect("inserted").to_vec();

        let mut image = layout.image.clone();
        let variables = allocate(&image)?;
        for relocation in &layout.relocations {
            let address = match relocation.target {
                RelocationTarget::Offset(offset) => variables.address() + offset,
                RelocationTarget::Function(index) => u64::from(index) + 1,
            };
            let bytes = address.wrapping_add_signed(relocation.addend).to_le_bytes();
            let (at, size) = (relocation.offset as usize, relocation.size as usize);
            image[at..at + size].copy_from_slice(&bytes[..size]);
        }
        let device = || -> Result<Vec<u8>, vulkan::Error> {
            self.stream.write(variables.address(), &image)?;
            let shader = self.device.create_shader(&translated)?;
            let pipeline = shader.pipeline(case.block, case.dynamic_shared)?;
            let block = translated
                .info
                .parameter_block(&parameters, case.grid, false);
            let launch = Launch {
                grid: case.grid,
                parameters: &block,
                module: variables.address(),
                ..Launch::default()
            };
            self.stream.launch(&pipeline, &launch)?;
            self.stream.synchronize()?;
            let mut got = vec![0; case.output.len()];
            self.stream.read(output.address(), &mut got)?;
            Ok(got)
        };
        let got = device().map_err(|e| format!("device: {e}"));
        self.device.clear_fault();
        Ok((got?, expected))
    }

    /// Runs a kernel on both sides and compares what it wrote, 32 bits at a time.
    ///
    /// # Errors
    /// What did not run, or the first differences.
    pub fn kernel(&self, case: &Case) -> Result<(), String> {
        self.kernel_placed(case, &|_, _| ())
    }

    /// The same, with input that depends on where it lies, as in [`Bench::run_placed`].
    ///
    /// # Errors
    /// As [`Bench::kernel`].
    pub fn kernel_placed(&self, case: &Case, place: &dyn Fn(u64, &mut [u8])) -> Result<(), String> {
        eprintln!("running: {}", case.name);
        let (got, expected) = self
            .run_placed(case, place)
            .map_err(|e| format!("{}: {e}", case.name))?;
        let words = |bytes: &[u8]| -> Vec<u32> {
            bytes
                .chunks(4)
                .map(|c| c.iter().rev().fold(0, |word, &b| word << 8 | u32::from(b)))
                .collect()
        };
        let (got, expected) = (words(&got), words(&expected));
        let different: Vec<usize> = (0..got.len()).filter(|&i| got[i] != expected[i]).collect();
        if different.is_empty() {
            return Ok(());
        }
        let mut text = format!(
            "{}: {} of {} words differ:",
            case.name,
            different.len(),
            got.len()
        );
        for &i in different.iter().take(4) {
            let _ = write!(text, " [{i}] {:#x} instead of {:#x};", got[i], expected[i]);
        }
        Err(text)
    }

    /// Runs kernels of threads with 64 bytes of input each and a label for every 8 bytes of output; those named in `known`
    /// must differ, all others must not.
    ///
    /// # Panics
    /// With a line for every label of which a thread's value differs: how many do, and the first one's operands, value and
    /// expected value.
    pub fn labelled(&self, cases: &[(Case, Vec<Label>)], known: &[(&str, &str)]) {
        let results: Vec<NamedResult> = cases
            .iter()
            .map(|(case, labels)| {
                eprintln!("running: {}", case.name);
                let result = self.run(case).and_then(|(got, expected)| {
                    let report = by_label(case, labels, &got, &expected);
                    if report.is_empty() {
                        Ok(())
                    } else {
                        Err(format!("{}:{report}", case.name))
                    }
                });
                (case.name.clone(), result)
            })
            .collect();
        verdict(&results, known);
    }

    /// Runs kernels; those named in `known` must differ, all others must not.
    ///
    /// # Panics
    /// With every kernel for which that is not so.
    pub fn kernels(&self, cases: &[Case], known: &[(&str, &str)]) {
        let results: Vec<(String, Result<(), String>)> = cases
            .iter()
            .map(|c| (c.name.clone(), self.kernel(c)))
            .collect();
        verdict(&results, known);
    }

    /// Runs forms with [`COUNT`] operand sets each; those named in `known` must differ, all others must not.
    ///
    /// # Panics
    /// With every form for which that is not so.
    pub fn check(&self, forms: Vec<Form>, known: &[(&str, &str)]) {
        let mut results = Vec::new();
        // What is known to differ may not even translate, and keeps to itself.
        let (alone, together): (Vec<Form>, Vec<Form>) = forms
            .into_iter()
            .partition(|f| known.iter().any(|(name, _)| *name == f.name));
        for batch in together.chunks(TOGETHER).chain(alone.chunks(1)) {
            match self.batch(batch) {
                Ok(each) => results.extend(each),
                Err(error) if batch.len() == 1 => results.push((batch[0].name.clone(), Err(error))),
                Err(_) => {
                    for one in batch.chunks(1) {
                        match self.batch(one) {
                            Ok(each) => results.extend(each),
                            Err(error) => results.push((one[0].name.clone(), Err(error))),
                        }
                    }
                }
            }
        }
        verdict(&results, known);
    }

    fn batch(&self, forms: &[Form]) -> Result<Vec<NamedResult>, String> {
        let names: Vec<&str> = forms.iter().map(|f| &*f.name).collect();
        eprintln!("running: {}", names.join(", "));
        let inputs: Vec<Vec<Vec<u64>>> = forms.iter().map(|f| f.inputs(COUNT)).collect();
        let mut input = Vec::new();
        for (form, sets) in forms.iter().zip(&inputs) {
            for operand in 0..form.operands.len() {
                input.extend(sets.iter().flat_map(|set| set[operand].to_le_bytes()));
            }
        }
        let results: usize = forms.iter().map(|f| f.results.len()).sum();
        let (got, expected) = self.run(&Case {
            name: String::new(),
            text: kernel(forms, COUNT),
            grid: [(COUNT / BLOCK) as u32, 1, 1],
            block: [BLOCK as u32, 1, 1],
            dynamic_shared: 0,
            input,
            output: vec![0; results * COUNT * 8],
        })?;
        let words = |bytes: &[u8]| -> Vec<u64> {
            bytes
                .chunks_exact(8)
                .map(|c| u64::from_le_bytes(c.try_into().expect("8")))
                .collect()
        };
        let (got, expected) = (words(&got), words(&expected));
        let mut slot = 0;
        let mut each = Vec::new();
        for (form, sets) in forms.iter().zip(&inputs) {
            let mut bad = Vec::new();
            for &kind in &form.results {
                for (i, set) in sets.iter().enumerate() {
                    let (g, e) = (got[slot * COUNT + i], expected[slot * COUNT + i]);
                    if !agree(form, kind, set, g, e) {
                        bad.push((set, g, e));
                    }
                }
                slot += 1;
            }
            let result = if bad.is_empty() {
                Ok(())
            } else {
                let mut text = format!("{}: {} of {COUNT} differ:", form.name, bad.len());
                for (set, g, e) in bad.iter().take(4) {
                    let _ = write!(text, "\n    {set:x?}: {g:#x} instead of {e:#x}");
                }
                Err(text)
            };
            each.push((form.name.clone(), result));
        }
        Ok(each)
    }
}

/// The labels whose values differ, a line for each.
fn by_label(case: &Case, labels: &[Label], got: &[u8], expected: &[u8]) -> String {
    let word = |bytes: &[u8], at: usize| {
        bytes[at..at + 8]
            .iter()
            .rev()
            .fold(0u64, |word, &b| word << 8 | u64::from(b))
    };
    let mut report = String::new();
    let each = 8 * labels.len();
    for (slot, label) in labels.iter().enumerate() {
        let places = (0..got.len() / each).map(|thread| (thread, thread * each + 8 * slot));
        let bad: Vec<(usize, usize)> = places
            .filter(|&(_, at)| word(got, at) != word(expected, at))
            .collect();
        let Some(&(thread, at)) = bad.first() else {
            continue;
        };
        let operands: Vec<String> = label
            .operands
            .iter()
            .map(|o| format!("{:#x}", word(&case.input, 64 * thread + o)))
            .collect();
        let _ = write!(
            report,
            "\n    {}: {} threads, first {thread}: of {}: {:#x} instead of {:#x}",
            label.name,
            bad.len(),
            operands.join(", "),
            word(got, at),
            word(expected, at)
        );
    }
    report
}

fn agree(form: &Form, kind: Kind, operands: &[u64], got: u64, expected: u64) -> bool {
    if kind.same(got, expected) {
        return true;
    }
    let Some(format) = kind.format() else {
        return false;
    };
    let (g, e) = (format.to_f64(got), format.to_f64(expected));
    match form.compare {
        Compare::Exact => false,
        Compare::Ulp(limit) => {
            let ordered = |bits: u64| {
                let magnitude = (bits & (format.sign_bit() - 1)) as i64;
                if bits & format.sign_bit() == 0 {
                    magnitude
                } else {
                    -magnitude
                }
            };
            !g.is_nan() && !e.is_nan() && ordered(got).abs_diff(ordered(expected)) <= limit
        }
        Compare::Approximate(opcode, absolute, relative) => {
            let exact = match operands {
                [x] => approximate::exact(opcode, format.to_f64(*x)).unwrap_or(e),
                _ => e,
            };
            approximate::bound(opcode, format, operands[0]).allows(exact, g, format)
                || approximate::bound(opcode, format, operands[0]).allows(e, g, format)
                || (g - exact).abs() <= absolute
                || (g - exact).abs() <= relative * exact.abs()
        }
    }
}

fn verdict(results: &[(String, Result<(), String>)], known: &[(&str, &str)]) {
    let mut report = String::new();
    for (name, result) in results {
        let reason = known.iter().find(|(known, _)| known == name);
        match (result, reason) {
            (Err(error), None) => {
                let _ = writeln!(report, "{error}");
                if !error.starts_with(name.as_str()) {
                    let _ = writeln!(report, "    ({name})");
                }
            }
            (Ok(()), Some((_, reason))) => {
                let _ = writeln!(
                    report,
                    "{name}: agrees, but is listed as known to differ: {reason}"
                );
            }
            _ => {}
        }
    }
    for (name, _) in known {
        if !results.iter().any(|(n, _)| n == name) {
            let _ = writeln!(
                report,
                "{name}: listed as known to differ, but is no form here"
            );
        }
    }
    eprintln!("{} compared", results.len());
    assert!(report.is_empty(), "differences:\n{report}");
}
