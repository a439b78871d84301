//! A device and the interpreter, side by side.

use crate::form::{kernel, Compare, Form};
use crate::isolate::{left_out, Running};
use crate::kind::Kind;
use crate::side::Side;
use ptx_reference::semantics::approximate;
use ptx_reference::Memory;
use ptx_spirv::Target;
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use texture::tensor::{self, TensorMap};
use texture::AddressMode;

/// Operand sets of a form.
pub const COUNT: usize = 512;
/// Threads of a block of the kernels made of forms.
const BLOCK: usize = 128;
/// Forms in a kernel: enough to pay for a pipeline, few enough for the superlinear compile time of long shaders.
const TOGETHER: usize = 12;
/// Steps of the interpreter before a kernel is given up.
const STEPS: u64 = 50_000_000;

/// A place where the kernel counts on the lanes of a warp running in step.
pub const IN_STEP: &str = "/* in step */";

/// A whole kernel of the form `.entry k(.param .u64 in, .param .u64 out)`.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in reports.
    pub name: String,
    /// The module. Where it has [`IN_STEP`], the interpreter, whose threads run one after another, gets a barrier of the
    /// warp, and the device nothing.
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
    /// What the module's texture and surface references are bound to.
    pub references: Vec<Reference>,
}

/// A texture or surface reference of a module.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Where the input has the handle of its descriptor.
    pub handle: usize,
    /// The descriptor, with addresses from the first texel.
    pub descriptor: texture::Descriptor,
    /// Where the texels begin in the input.
    pub texels: usize,
    /// What it is read through.
    pub geometry: crate::textures::Geometry,
}

impl Reference {
    /// The handle, which the input has.
    pub(crate) fn handle_in(&self, input: &[u8]) -> u64 {
        let bytes = &input[self.handle..self.handle + 8];
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    }
}

/// What a place of the output of each thread is.
#[derive(Clone, Debug)]
pub struct Label {
    /// The instruction, and which of its results.
    pub name: String,
    /// Where its operands are in the thread's 64 bytes of input.
    pub operands: Vec<usize>,
}

/// The textures of a kernel.
pub struct Textures<'a> {
    /// With addresses from the first texel.
    pub descriptors: &'a [texture::Descriptor],
    /// Where their handles are in the input.
    pub handles: usize,
    /// Where the texels begin in the input.
    pub texels: usize,
    /// Where the coordinates of each thread are in the input, 32 bytes each: four numbers, four integers.
    pub coordinates: usize,
    /// Whether the integers are the coordinates.
    pub integers: bool,
    /// What they are read through.
    pub geometry: crate::textures::Geometry,
    /// How far interpolated numbers may be from the interpreter's, as a part of the largest finite number of a texture's texels
    /// that any thread reads.
    pub tolerance: f32,
}

/// The device under test.
pub struct Bench {
    /// The first worker's; the others have streams of their own on the same device.
    side: Side,
    target: Option<Target>,
    times: Mutex<Times>,
}

/// Where time went.
#[derive(Default)]
struct Times {
    interpreter: Duration,
    device: Duration,
    /// Each kernel's time on the device, with what compiling takes.
    kernels: Vec<(Duration, String)>,
}

/// A form's name, and what differed.
type NamedResult = (String, Result<(), String>);

/// The shapes that `VKCUDA_MATRIX_MEMORY` says.
fn matrix_memory(text: &str) -> Option<ptx_spirv::MatrixMemory> {
    let mut parts = text.split(',');
    let (m, n) = parts.next()?.split_once('x')?;
    let (m, n) = (m.parse().ok()?, n.parse().ok()?);
    let mut shape = || {
        Some(ptx_spirv::MatrixShape::new(
            m,
            n,
            parts.next()?.parse().ok()?,
        ))
    };
    let (half, bytes) = (shape()?, shape()?);
    Some(ptx_spirv::MatrixMemory {
        half_single: Some(half),
        half: Some(half).filter(|_| m == 16),
        signed: Some(bytes),
        unsigned: Some(bytes),
    })
}

impl Bench {
    /// The machine's first Vulkan device with the translator or, where [`crate::side::LIBRARY`] is set, the first device
    /// of that library.
    /// `VKCUDA_MATRIX_MEMORY=16x8,16,32` has products of matrices go through workgroup memory in shapes of 16x8, with 16
    /// elements of k in half precision and 32 of bytes, which the device must have. `VKCUDA_REGISTERS=8` has kernels keep in
    /// memory what lanes of 8 words do not hold ([`Target::registers`]), and has their basic blocks split.
    ///
    /// # Panics
    /// Without one.
    pub fn open() -> Bench {
        let mut bench = Bench {
            side: Side::open(),
            target: None,
            times: Mutex::default(),
        };
        if let Ok(shape) = std::env::var("VKCUDA_MATRIX_MEMORY") {
            let memory = matrix_memory(&shape)
                .unwrap_or_else(|| panic!("VKCUDA_MATRIX_MEMORY={shape} is not like 16x8,16,32"));
            if bench.translates() {
                bench = bench.with(|target| {
                    target.matrix_units = ptx_spirv::MatrixUnits {
                        memory,
                        ..ptx_spirv::MatrixUnits::default()
                    };
                });
            }
        }
        if let Ok(words) = std::env::var("VKCUDA_REGISTERS") {
            let words = words
                .parse()
                .unwrap_or_else(|_| panic!("VKCUDA_REGISTERS={words} is no number"));
            if bench.translates() {
                bench = bench.with(|target| {
                    target.registers = words;
                    target.block_words = 200;
                });
            }
        }
        bench
    }

    /// Whether kernels go through this process's own translator, whose view of the device a test can change.
    pub fn translates(&self) -> bool {
        matches!(self.side, Side::Vulkan(_))
    }

    /// Whether kernels go through NVIDIA's own driver.
    pub fn is_native(&self) -> bool {
        matches!(&self.side, Side::Library(library) if library.is_native())
    }

    /// What kernels are translated for.
    ///
    /// # Panics
    /// Where they go through a library ([`Bench::translates`]).
    pub fn target(&self) -> Target {
        match (&self.target, &self.side) {
            (Some(target), _) => target.clone(),
            (None, Side::Vulkan(side)) => side.target().clone(),
            (None, Side::Library(_)) => panic!("a library has no target"),
        }
    }

    /// The same device with another view of it.
    ///
    /// # Panics
    /// As [`Bench::target`].
    pub fn with(mut self, change: impl FnOnce(&mut Target)) -> Bench {
        let mut target = self.target();
        change(&mut target);
        self.target = Some(target);
        self
    }

    /// Runs a kernel on both sides and gives the two outputs, the device's first. `place` gets the input's address and changes
    /// the input.
    ///
    /// # Errors
    /// Which side did not run it, and why.
    fn run(
        &self,
        side: &Side,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        self.run_with(side, case, place, &|_| ())
    }

    /// The same, with input that `change` makes another for the device.
    fn run_with(
        &self,
        side: &Side,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
        change: &dyn Fn(&mut [u8]),
    ) -> Result<(Vec<u8>, Vec<u8>), String> {
        let module = ptx::Module::parse(&case.text).map_err(|e| format!("parser: {e}"))?;
        keep(case);
        let buffers = side.buffers(case.input.len(), case.output.len())?;
        let mut data = case.input.clone();
        place(buffers.input, &mut data);
        let parameters: Vec<u8> = [buffers.input, buffers.output]
            .iter()
            .flat_map(|a| a.to_le_bytes())
            .collect();

        // The interpreter first: what it finds out of bounds must not reach the device.
        let start = Instant::now();
        let mut memory = Memory::new();
        memory.insert(buffers.input, data.clone());
        memory.insert(buffers.output, case.output.clone());
        for reference in &case.references {
            memory.place_symbol(&reference.name, reference.handle_in(&data));
        }
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
        let ordered = case.text.replace(IN_STEP, "bar.warp.sync -1;");
        let ordered = ptx::Module::parse(&ordered).map_err(|e| format!("parser: {e}"))?;
        let outcome = ptx_reference::run_with(&ordered, "k", &launch, &mut memory, options)
            .map_err(|e| format!("interpreter: {e}"))?;
        if let Some(fault) = outcome.fault {
            return Err(format!("interpreter: {fault:?}"));
        }
        let expected = memory.buffer(buffers.output).expect("inserted").to_vec();
        change(&mut data);
        let interpreted = Instant::now();
        let target = self.target.as_ref();
        let mut got = side.run(&module, case, &buffers, &data, target);
        if got
            .as_ref()
            .is_err_and(|error| error.contains("device is lost"))
        {
            // By this kernel, or by one beside it.
            got = self.run_alone(&module, case, place);
        }
        let done = interpreted.elapsed();
        let mut times = self.times.lock().expect("no worker panics with it");
        times.interpreter += interpreted - start;
        times.device += done;
        times.kernels.push((done, case.name.clone()));
        Ok((got?, expected))
    }

    /// Runs a kernel on a device of its own, as no other does at the same time.
    fn run_alone(
        &self,
        module: &ptx::Module,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
    ) -> Result<Vec<u8>, String> {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock();
        let side = Side::open();
        let buffers = side.buffers(case.input.len(), case.output.len())?;
        let mut data = case.input.clone();
        place(buffers.input, &mut data);
        side.run(module, case, &buffers, &data, self.target.as_ref())
    }

    /// What `run` gives for every item, by several workers.
    fn each<T: Sync, R: Send>(&self, items: &[T], run: impl Fn(&Side, &T) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let work = |side: &Side| {
            let mut results = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else {
                    return results;
                };
                results.push((at, run(side, item)));
            }
        };
        let mut results = std::thread::scope(|scope| {
            let others: Vec<_> = (1..workers().min(items.len()))
                .map(|_| scope.spawn(|| work(&self.side.another())))
                .collect();
            let mut results = work(&self.side);
            for other in others {
                results.extend(other.join().expect("a worker does not panic"));
            }
            results
        });
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// What takes long, on standard error.
    fn report_times(&self) {
        let mut times = self.times.lock().expect("no worker panics with it");
        times.kernels.sort();
        eprintln!(
            "{} kernels: {:.1} s in the interpreter, {:.1} s on the device",
            times.kernels.len(),
            times.interpreter.as_secs_f64(),
            times.device.as_secs_f64()
        );
        for (time, name) in times.kernels.iter().rev().take(3) {
            let name: String = name.chars().take(100).collect();
            eprintln!("    {:.2} s: {name}", time.as_secs_f64());
        }
        *times = Times::default();
    }

    /// Runs a kernel on both sides and compares what it wrote, 32 bits at a time.
    ///
    /// # Errors
    /// What did not run, or the first differences.
    pub fn kernel(&self, case: &Case) -> Result<(), String> {
        self.kernel_placed(case, &|_, _| ())
    }

    /// The same, with input that depends on where it lies: `place` gets its address and changes it.
    ///
    /// # Errors
    /// As [`Bench::kernel`].
    pub fn kernel_placed(&self, case: &Case, place: &dyn Fn(u64, &mut [u8])) -> Result<(), String> {
        self.kernel_on(&self.side, case, place)
    }

    /// Runs a kernel with tensor maps, each at an offset of the input, of tensors whose addresses are offsets of the input, too.
    /// A library makes its own maps of them.
    ///
    /// # Errors
    /// As [`Bench::kernel`]; what the library makes no map of.
    pub fn mapped(&self, case: &Case, maps: &[(usize, TensorMap)]) -> Result<(), String> {
        let _running = Running::new(&case.name);
        let base = Cell::new(0);
        let moved = |map: &TensorMap| TensorMap {
            address: map.address + base.get(),
            ..map.clone()
        };
        let place = |address: u64, input: &mut [u8]| {
            base.set(address);
            for (at, map) in maps {
                input[*at..*at + tensor::BYTES].copy_from_slice(&moved(map).encode());
            }
        };
        let refused = RefCell::new(None);
        let change = |input: &mut [u8]| {
            let Side::Library(library) = &self.side else {
                return;
            };
            for (at, map) in maps {
                match crate::textures::tensor_map(library.api(), &moved(map)) {
                    Ok(bytes) => input[*at..*at + tensor::BYTES].copy_from_slice(&bytes),
                    Err(error) => *refused.borrow_mut() = Some(error),
                }
            }
        };
        let outputs = self.run_with(&self.side, case, &place, &change);
        match refused.into_inner() {
            Some(error) => Err(format!("{}: {error}", case.name)),
            None => Self::compare_words(case, outputs),
        }
    }

    /// Runs a kernel with textures. `place` is as for [`Bench::kernel_placed`] and makes each handle, the 8 bytes at `handles`
    /// and behind, the address of its descriptor. NVIDIA's own driver gets textures of its own for them, with the texels that
    /// lie in the input at `texels`. There, interpolated numbers may differ by `tolerance`.
    ///
    /// # Errors
    /// As [`Bench::kernel`]; what could not be made of a descriptor.
    pub fn textured(
        &self,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
        textures: &Textures,
    ) -> Result<(), String> {
        let Side::Library(library) = &self.side else {
            return self.kernel_placed(case, place);
        };
        if !library.is_native() {
            return self.kernel_placed(case, place);
        }
        let _running = Running::new(&case.name);
        let texels = &case.input[textures.texels..];
        let objects = textures
            .descriptors
            .iter()
            .map(|d| crate::textures::object(library.api(), d, texels, textures.geometry))
            .collect::<Result<Vec<u64>, String>>()
            .map_err(|e| format!("{}: {e}", case.name))?;
        let with_objects = |input: &mut [u8]| {
            for (n, object) in objects.iter().enumerate() {
                input[textures.handles + 8 * n..][..8].copy_from_slice(&object.to_le_bytes());
            }
        };
        let (got, expected) = self
            .run_with(&self.side, case, place, &with_objects)
            .map_err(|e| format!("{}: {e}", case.name))?;
        let word = |bytes: &[u8], n: usize| {
            u32::from_le_bytes(bytes[4 * n..4 * n + 4].try_into().expect("4 bytes"))
        };
        let each = got.len() / textures.descriptors.len();
        let shown = std::env::var("CONFORMANCE_DIFFERENCES").map_or(6, |number| {
            number.parse().expect("CONFORMANCE_DIFFERENCES is a number")
        });
        let mut report = String::new();
        let (mut farthest, mut different, mut unlike) = (0f32, 0, 0);
        let tolerances: Vec<f32> = (0..textures.descriptors.len())
            .map(|texture| {
                let numbers = (texture * each / 4..(texture + 1) * each / 4)
                    .map(|n| f32::from_bits(word(&expected, n)).abs());
                textures.tolerance * numbers.filter(|x| x.is_finite()).fold(0.0, f32::max)
            })
            .collect();
        for n in 0..got.len() / 4 {
            let (g, e) = (word(&got, n), word(&expected, n));
            let descriptor = &textures.descriptors[4 * n / each];
            let [x, y] = [g, e].map(f32::from_bits);
            // The hardware has a table for what sRGB means.
            let interpolated = descriptor.linear || descriptor.linear_levels || descriptor.srgb;
            let near = interpolated && (x - y).abs() <= tolerances[4 * n / each];
            if g == e || x.is_nan() && y.is_nan() {
                continue;
            }
            let thread = 4 * n % each / 16;
            let place = textures.coordinates + 32 * thread;
            let numbers: [f32; 4] =
                std::array::from_fn(|i| f32::from_bits(word(&case.input, place / 4 + i)));
            // Which of a texture's texels such coordinates mean is nowhere said: integers in an array of one dimension (CUDA
            // has them for linear memory only, and the hardware finds zeros), and numbers that are not finite or too large
            // for a place in the texture.
            let repeated = descriptor.address_modes[..textures.geometry.axes as usize]
                .iter()
                .any(|mode| matches!(mode, AddressMode::Wrap | AddressMode::Mirror));
            let unspecified = match textures.integers {
                true => textures.geometry.axes == 1 && !textures.geometry.layered,
                false => numbers
                    .iter()
                    .any(|x| x.is_nan() || repeated && x.abs() > 1e8),
            };
            if unspecified {
                unlike += 1;
                continue;
            }
            if near {
                farthest = farthest.max((x - y).abs());
                continue;
            }
            different += 1;
            if different <= shown {
                let integers: [i32; 4] =
                    std::array::from_fn(|i| word(&case.input, place / 4 + 4 + i) as i32);
                let _ = write!(
                    report,
                    "\n    texture {} ({:?}, {:?}, normalized {}, linear {}), thread {thread} at {numbers:?} {integers:?}, word {}: \
                     {g:#x} ({x}) instead of {e:#x} ({y})",
                    4 * n / each,
                    descriptor.format,
                    descriptor.address_modes,
                    descriptor.normalized_coordinates,
                    descriptor.linear,
                    n % 4
                );
            }
        }
        eprintln!(
            "    {}: interpolated numbers differ by up to {farthest:e}",
            case.name
        );
        if unlike > 0 {
            left_out(
                &case.name,
                &format!("{unlike} words at coordinates that mean no texel"),
            );
        }
        if different == 0 {
            return Ok(());
        }
        Err(format!("{}: {different} words differ:{report}", case.name))
    }

    fn kernel_on(
        &self,
        side: &Side,
        case: &Case,
        place: &dyn Fn(u64, &mut [u8]),
    ) -> Result<(), String> {
        let _running = Running::new(&case.name);
        let outputs = self.run(side, case, place);
        Self::compare_words(case, outputs)
    }

    fn compare_words(
        case: &Case,
        outputs: Result<(Vec<u8>, Vec<u8>), String>,
    ) -> Result<(), String> {
        let (got, expected) = outputs.map_err(|e| format!("{}: {e}", case.name))?;
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
        let results: Vec<NamedResult> = self.each(cases, |side, (case, labels)| {
            let _running = Running::new(&case.name);
            let result = self.run(side, case, &|_, _| ());
            let result = result.and_then(|(got, expected)| {
                let report = by_label(case, labels, &got, &expected);
                if report.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{}:{report}", case.name))
                }
            });
            (case.name.clone(), result)
        });
        self.report_times();
        verdict(&results, known);
    }

    /// Runs kernels; those named in `known` must differ, all others must not.
    ///
    /// # Panics
    /// With every kernel for which that is not so.
    pub fn kernels(&self, cases: &[Case], known: &[(&str, &str)]) {
        let results: Vec<NamedResult> = self.each(cases, |side, case| {
            (case.name.clone(), self.kernel_on(side, case, &|_, _| ()))
        });
        self.report_times();
        verdict(&results, known);
    }

    /// Runs forms with [`COUNT`] operand sets each; those named in `known` must differ, all others must not.
    ///
    /// # Panics
    /// With every form for which that is not so.
    pub fn check(&self, forms: Vec<Form>, known: &[(&str, &str)]) {
        let flushing: Vec<Form> = match self.translates() {
            true => forms
                .iter()
                .filter(|f| f.name.contains(".ftz"))
                .cloned()
                .collect(),
            false => Vec::new(),
        };
        self.check_together(forms, known, TOGETHER);
        // In company, other forms may keep a shader from flushing as a whole.
        if !flushing.is_empty() && self.target().denorm_flush_f32 {
            self.check_together(flushing, known, 1);
        }
    }

    fn check_together(&self, forms: Vec<Form>, known: &[(&str, &str)], count: usize) {
        let mut results = Vec::new();
        // What is known to differ may not even translate, and keeps to itself.
        let (alone, together): (Vec<Form>, Vec<Form>) = forms
            .into_iter()
            .partition(|f| known.iter().any(|(name, _)| *name == f.name));
        let batches: Vec<&[Form]> = together.chunks(count).chain(alone.chunks(1)).collect();
        let each = self.each(&batches, |side, batch| match self.batch(side, batch) {
            Ok(each) => each,
            Err(error) if batch.len() == 1 => vec![(batch[0].name.clone(), Err(error))],
            // One of them is refused: which one?
            Err(_) => batch
                .chunks(1)
                .flat_map(|one| match self.batch(side, one) {
                    Ok(each) => each,
                    Err(error) => vec![(one[0].name.clone(), Err(error))],
                })
                .collect(),
        });
        results.extend(each.into_iter().flatten());
        self.report_times();
        verdict(&results, known);
    }

    fn batch(&self, side: &Side, forms: &[Form]) -> Result<Vec<NamedResult>, String> {
        let names: Vec<&str> = forms.iter().map(|f| &*f.name).collect();
        let name = names.join(", ");
        let _running = Running::new(&name);
        let inputs: Vec<Vec<Vec<u64>>> = forms.iter().map(|f| f.inputs(COUNT)).collect();
        let mut input = Vec::new();
        for (form, sets) in forms.iter().zip(&inputs) {
            for operand in 0..form.operands.len() {
                input.extend(sets.iter().flat_map(|set| set[operand].to_le_bytes()));
            }
        }
        let results: usize = forms.iter().map(|f| f.results.len()).sum();
        let case = Case {
            name: name.clone(),
            text: kernel(forms, COUNT),
            grid: [(COUNT / BLOCK) as u32, 1, 1],
            block: [BLOCK as u32, 1, 1],
            dynamic_shared: 0,
            input,
            output: vec![0; results * COUNT * 8],
            references: Vec::new(),
        };
        let (got, expected) = self.run(side, &case, &|_, _| ())?;
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

/// How many kernels are compiled and run at once in one process: `CONFORMANCE_WORKERS`, or half the processors, since tests
/// run side by side as well.
fn workers() -> usize {
    let set = std::env::var("CONFORMANCE_WORKERS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (processors / 2).clamp(1, 8)
    })
}

/// Writes the kernel into the folder `CONFORMANCE_KEEP`, where that is set: for other tools that read PTX.
fn keep(case: &Case) {
    if let Some(folder) = std::env::var_os("CONFORMANCE_KEEP") {
        let mut name = DefaultHasher::new();
        case.text.hash(&mut name);
        let path = PathBuf::from(folder).join(format!("{:016x}.ptx", name.finish()));
        std::fs::write(&path, format!("// {}\n{}", case.name, case.text))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
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
    if form.name.contains(".ftz") && kind.agree_after_flushing(got, expected) {
        return true;
    }
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
