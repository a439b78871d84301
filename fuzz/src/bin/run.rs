//! The fuzz targets without a fuzzer, for any toolchain: inputs are mutations of a corpus, made by a seeded generator.
//!
//! `run corpus TARGET FOLDER` writes the corpus for a fuzzer, a file for each input. `run TARGET EXECUTIONS [SEED]` ends with
//! status 1, and an input in a file for each kind of failure, where the target panics, takes more than
//! [`SECONDS`] or more memory than [`memory_limit`]. The corpus is the kernels of the translator's tests and containers of
//! them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::Instant;

/// Most seconds for one input, on a machine that does other things, too.
const SECONDS: f64 = 10.0;

/// Different failures after which a run ends.
const MOST_FAILURES: usize = 30;

/// The place and the words of the last panic.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// Counts memory.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all of it is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: it came from `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that an input of `len` bytes may take at most.
fn memory_limit(target: &str, len: usize) -> usize {
    match target {
        // An unpacked entry of the declared size, twice.
        "fatbin" => (1 << 26) + 64 * len,
        _ => (1 << 26) + 4096 * len,
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 11) as usize % end.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Kernels in PTX.
fn texts() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ptx-spirv/tests/ptx");
    let mut all: Vec<Vec<u8>> = std::fs::read_dir(folder)
        .expect("the folder of kernels")
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a readable file"))
        .collect();
    all.sort();
    all
}

/// Each kernel with the next one.
fn pairs() -> Vec<Vec<u8>> {
    let between = String::from(vkcuda_fuzz::BETWEEN).into_bytes();
    let texts = texts();
    let pair = |pair: &[Vec<u8>]| pair.join(&between[..]);
    texts.windows(2).map(pair).collect()
}

/// An entry with its header: kind, sizes, flags, then the payload.
fn entry(text: &[u8], packing: usize) -> Vec<u8> {
    let (payload, flags) = match packing {
        0 => (text.to_vec(), 0u64),
        1 => (lz4_flex::block::compress(text), 0x2000),
        _ => (zstd::encode_all(text, 3).expect("memory is enough"), 0x8000),
    };
    let compressed = if packing == 0 {
        0
    } else {
        payload.len() as u32
    };
    let mut bytes = Vec::new();
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(0x0101u16.to_le_bytes());
    bytes.extend(64u32.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(compressed.to_le_bytes());
    bytes.extend(64u32.to_le_bytes());
    bytes.extend([4, 0, 8, 0]);
    bytes.extend(90u32.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend((0x11 | flags).to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend((if packing == 0 { 0 } else { text.len() as u64 }).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// Containers of one or two entries each.
fn containers() -> Vec<Vec<u8>> {
    let texts = texts();
    let mut all = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut body = entry(text, n % 3);
        if n % 2 == 0 {
            body.extend(entry(&texts[(n + 1) % texts.len()], (n + 1) % 3));
        }
        let mut bytes = 0xba55_ed50u32.to_le_bytes().to_vec();
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(16u16.to_le_bytes());
        bytes.extend((body.len() as u64).to_le_bytes());
        bytes.extend(body);
        let container = fatbin::Container::from_bytes(&bytes).expect("a sound container");
        assert!(container.entries().all(|e| e.text().is_ok()), "entry {n}");
        all.push(bytes);
    }
    all
}

/// Words, numbers and signs of the texts.
fn tokens(corpus: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = corpus
        .iter()
        .flat_map(|text| text.split(|b| b.is_ascii_whitespace() || b",;".contains(b)))
        .filter(|token| !token.is_empty() && token.len() < 40)
        .map(<[u8]>::to_vec)
        .collect();
    for number in [
        "0",
        "-1",
        "4294967295",
        "18446744073709551615",
        "-9223372036854775808",
        "0x7fffffff",
        "1024",
        "0f7f800000",
        "0d7ff0000000000001",
        "[0]",
        "{",
        "}",
        "(",
        ")",
        "%tid.x",
        ".align",
        ".param",
        ".v4",
        "1073741824",
    ] {
        all.push(number.into());
    }
    all.sort();
    all.dedup();
    all
}

/// Some changes to an input of the corpus.
fn mutate(random: &mut Random, corpus: &[Vec<u8>], tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.of(corpus).clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(input.len());
        let end = (at + 1 + random.below(64)).min(input.len());
        match random.below(if tokens.is_empty() { 7 } else { 10 }) {
            0 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            1 if !input.is_empty() => input[at] = random.bits() as u8,
            2 => input.insert(at, random.bits() as u8),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                let to = random.below(input.len());
                input.splice(to..to, copy);
            }
            5 => {
                let other = random.of(corpus);
                let from = random.below(other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            // A field of 1, 2, 4 or 8 bytes.
            6 => {
                let width = 1 << random.below(4);
                let value =
                    *random.of(&[0u64, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, u64::MAX, 1 << 40]);
                let field = input.iter_mut().skip(at).take(width);
                for (byte, with) in field.zip(value.to_le_bytes()) {
                    *byte = with;
                }
            }
            // A token in the place of another one, or before it, or away.
            kind if !tokens.is_empty() => {
                let is_end = |b: &u8| b.is_ascii_whitespace() || b",;".contains(b);
                let start = input[..at].iter().rposition(is_end).map_or(0, |p| p + 1);
                let end = input[at..]
                    .iter()
                    .position(is_end)
                    .map_or(input.len(), |p| at + p);
                let token: &Vec<u8> = random.of(tokens);
                match kind {
                    7 => drop(input.splice(start..end, token.iter().copied())),
                    8 => drop(input.splice(start..start, token.iter().copied().chain([b' ']))),
                    _ => drop(input.drain(start..end)),
                }
            }
            _ => {}
        }
    }
    input
}

/// Takes an input.
type Function = fn(&[u8]);

/// The function of a target, and what its inputs are made of.
fn corpus(target: &str) -> (Function, Vec<Vec<u8>>) {
    match target {
        "fatbin" => (vkcuda_fuzz::fatbin, containers()),
        "parser" => (vkcuda_fuzz::parser, texts()),
        "linker" => (vkcuda_fuzz::linker, pairs()),
        "translator" => (vkcuda_fuzz::translator, texts()),
        other => panic!("no target is called {other}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, target, folder] = &arguments[..] {
        if command == "corpus" {
            std::fs::create_dir_all(folder).expect("the folder can be made");
            for (number, input) in corpus(target).1.iter().enumerate() {
                let file = Path::new(folder).join(format!("{number:03}"));
                std::fs::write(file, input).expect("the input can be written");
            }
            return;
        }
    }
    let [target, executions, seed @ ..] = &arguments[..] else {
        eprintln!("run fatbin|parser|linker|translator EXECUTIONS [SEED]\nrun corpus fatbin|parser|linker|translator FOLDER");
        std::process::exit(2);
    };
    let executions: u64 = executions.parse().expect("a number of executions");
    let seed: u64 = seed.first().map_or(1, |s| s.parse().expect("a number"));
    let (function, corpus) = corpus(target);
    let tokens = if target == "fatbin" {
        Vec::new()
    } else {
        tokens(&corpus)
    };
    // A panic is one line here, by its place.
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut place) = PANIC.lock() {
            *place = format!("{info}").replace('\n', " ");
        }
    }));
    let mut failures = BTreeSet::new();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut slowest, mut most, mut bytes) = (0.0f64, 0, 0u64);
    let start = Instant::now();
    for number in 0..executions {
        let input = mutate(&mut random, &corpus, &tokens);
        bytes += input.len() as u64;
        let before = USED.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let begin = Instant::now();
        let panicked = catch_unwind(|| function(&input)).is_err();
        let took = begin.elapsed().as_secs_f64();
        let peak = PEAK.load(Ordering::Relaxed) - before;
        slowest = slowest.max(took);
        most = most.max(peak);
        let what = if panicked {
            PANIC.lock().map_or_else(|_| String::new(), |p| p.clone())
        } else if took > SECONDS {
            format!("{took:.1} s")
        } else if peak > memory_limit(target, input.len()) {
            format!("{peak} bytes of memory")
        } else {
            continue;
        };
        if !failures.insert(what.clone()) {
            continue;
        }
        let file = std::env::temp_dir().join(format!("vkcuda-fuzz-{target}-{seed}-{number}"));
        std::fs::write(&file, &input).expect("the input can be written");
        eprintln!(
            "execution {number}: {what}; the input is {}",
            file.display()
        );
        if failures.len() >= MOST_FAILURES {
            break;
        }
    }
    if !failures.is_empty() {
        std::process::exit(1);
    }
    println!(
        "{target}: {executions} executions (seed {seed}) of {} bytes on average in {:.0} s; the slowest {:.3} s, the most \
         memory {:.1} MB; no panic",
        bytes / executions.max(1),
        start.elapsed().as_secs_f64(),
        slowest,
        most as f64 / 1e6
    );
}
