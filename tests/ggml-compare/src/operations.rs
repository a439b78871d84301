//! Single operations of ggml on a device and on the CPU, with the same random numbers.
//!
//! A model uses a few shapes of a few kernels; this runs many: every type of weights, one column and many, odd sizes. The
//! measure is the normalised mean square error, the bound 5e-4 as in ggml's own tests of its backends.
//!
//! ```text
//! ggml-compare operations --libraries DIR --backend DIR/libggml-cuda.so --device CUDA0 --only MUL_MAT
//! ```

use std::ffi::{c_int, c_void};
use std::ptr;
use std::time::Instant;

use anyhow::{bail, ensure, Context, Result};

use crate::library::{string, Functions, Llama};

/// The bound for the error of an operation.
const BOUND: f64 = 5e-4;

const F32: c_int = 0;
const F16: c_int = 1;
const I32: c_int = 26;
const I64: c_int = 27;

/// What to run.
#[derive(clap::Args)]
pub struct Options {
    /// ggml's name of the device.
    #[arg(long, default_value = "CUDA0")]
    device: String,
    /// Only operations whose line contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Print the lines without running anything.
    #[arg(long)]
    list: bool,
    /// Measure instead, in shapes of an 8 B model: each operation this many times in a graph, which runs several times.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    time: Option<u32>,
}

/// What a tensor is filled with.
#[derive(Clone, Copy)]
enum Fill {
    /// Numbers between -1 and 1.
    Uniform,
    /// 0, 1, 2, …
    Count,
    /// Distinct numbers below this, in a scattered order.
    Scattered(i64),
    /// 0 where a column may look and minus infinity where not: row `i` of `n` sees all but the last `n - 1 - i` columns.
    Causal,
}

/// An argument of an operation.
struct Input {
    kind: c_int,
    size: Vec<i64>,
    fill: Fill,
}

impl Input {
    fn new(kind: c_int, size: &[i64]) -> Self {
        Self::filled(kind, size, Fill::Uniform)
    }

    fn filled(kind: c_int, size: &[i64], fill: Fill) -> Self {
        Self {
            kind,
            size: size.to_vec(),
            fill,
        }
    }

    /// The numbers, as floats; the same for the same seed.
    fn values(&self, seed: u64) -> Vec<f32> {
        let count = self.size.iter().product::<i64>();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..count)
            .map(|i| match self.fill {
                Fill::Uniform => {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
                }
                Fill::Count => i as f32,
                // 7 is coprime to the sizes used.
                Fill::Scattered(below) => ((i * 7 + 3) % below) as f32,
                Fill::Causal => {
                    let (columns, rows) = (self.size[0], self.size[1]);
                    let hidden = rows - 1 - i / columns % rows;
                    if i % columns < columns - hidden {
                        0.0
                    } else {
                        f32::NEG_INFINITY
                    }
                }
            })
            .collect()
    }

    /// Bytes of the tensor's type that hold numbers, quick to make for large tensors: the first rows, repeated.
    fn repeated_bytes(&self, c: &Functions, seed: u64) -> Vec<u8> {
        const ROWS: i64 = 8;
        let mut size = self.size.clone();
        let others: i64 = size[1..].iter().product();
        if matches!(self.fill, Fill::Causal) || others % ROWS != 0 {
            return self.bytes(c, seed);
        }
        size.truncate(1);
        size.push(ROWS);
        let part = Self::filled(self.kind, &size, self.fill).bytes(c, seed);
        part.repeat((others / ROWS) as usize)
    }

    /// The numbers in the type of the tensor.
    fn bytes(&self, c: &Functions, seed: u64) -> Vec<u8> {
        let values = self.values(seed);
        match self.kind {
            I32 => values
                .iter()
                .flat_map(|v| (*v as i32).to_le_bytes())
                .collect(),
            I64 => values
                .iter()
                .flat_map(|v| (*v as i64).to_le_bytes())
                .collect(),
            kind => {
                let columns = self.size[0];
                let rows = values.len() as i64 / columns;
                // SAFETY: a type number of ggml; the buffer has the bytes that ggml says such rows take.
                unsafe {
                    let mut bytes = vec![0u8; (c.ggml_row_size)(kind, columns) * rows as usize];
                    let to = bytes.as_mut_ptr().cast();
                    (c.ggml_quantize_chunk)(
                        kind,
                        values.as_ptr(),
                        to,
                        0,
                        rows,
                        columns,
                        ptr::null(),
                    );
                    bytes
                }
            }
        }
    }
}

/// A tensor of ggml.
type Tensor = *mut c_void;

/// Adds an operation to a ggml context; the arguments are tensors of it.
type Build = Box<dyn Fn(&Functions, *mut c_void, &[Tensor]) -> Tensor>;

/// One operation with its arguments.
struct Case {
    title: String,
    inputs: Vec<Input>,
    build: Build,
}

/// Calls a constructor of ggml.
macro_rules! build {
    ($name:ident $(, $argument:expr)*; $($tensor:literal),*) => {
        // SAFETY: the context and the tensors are live, and the tensors have the shapes that the operation wants.
        Box::new(move |c, context, t| unsafe { (c.$name)(context, $(t[$tensor],)* $($argument),*) })
    };
}

/// Every case, in the order of the kernels' complexity.
fn cases(c: &Functions) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |title: String, inputs: Vec<Input>, build: Build| {
        cases.push(Case {
            title,
            inputs,
            build,
        })
    };
    let type_name = |kind| {
        // SAFETY: a type number of ggml.
        string(unsafe { (c.ggml_type_name)(kind) })
    };

    let plain = || vec![Input::new(F32, &[257, 13])];
    let two = || vec![Input::new(F32, &[257, 13]), Input::new(F32, &[257, 13])];
    let row = || vec![Input::new(F32, &[256, 13]), Input::new(F32, &[256])];
    add("ADD 257x13".into(), two(), build!(ggml_add; 0, 1));
    add(
        "ADD 256x13 with one row".into(),
        row(),
        build!(ggml_add; 0, 1),
    );
    add("MUL 257x13".into(), two(), build!(ggml_mul; 0, 1));
    add(
        "MUL 256x13 with one row".into(),
        row(),
        build!(ggml_mul; 0, 1),
    );
    add("SCALE 257x13".into(), plain(), build!(ggml_scale, 0.37; 0));
    add("SQR 257x13".into(), plain(), build!(ggml_sqr; 0));
    add("SILU 257x13".into(), plain(), build!(ggml_silu; 0));
    add("GELU 257x13".into(), plain(), build!(ggml_gelu; 0));
    add(
        "SWIGLU 257x13".into(),
        two(),
        build!(ggml_swiglu_split; 0, 1),
    );
    add("CONCAT 257x26".into(), two(), build!(ggml_concat, 1; 0, 1));
    for columns in [64, 256, 1000, 2048, 5000] {
        let input = || vec![Input::new(F32, &[columns, 13])];
        add(
            format!("RMS_NORM {columns}x13"),
            input(),
            build!(ggml_rms_norm, 1e-5; 0),
        );
        add(
            format!("NORM {columns}x13"),
            input(),
            build!(ggml_norm, 1e-5; 0),
        );
        add(
            format!("SUM_ROWS {columns}x13"),
            input(),
            build!(ggml_sum_rows; 0),
        );
        add(
            format!("ARGMAX {columns}x13"),
            input(),
            build!(ggml_argmax; 0),
        );
        add(
            format!("SOFT_MAX {columns}x13"),
            vec![
                Input::new(F32, &[columns, 13]),
                Input::filled(F32, &[columns, 13], Fill::Causal),
            ],
            build!(ggml_soft_max_ext, 0.5, 0.0; 0, 1),
        );
    }
    add(
        "ARGSORT 200x13".into(),
        vec![Input::filled(F32, &[200, 13], Fill::Scattered(2600))],
        build!(ggml_argsort, 0; 0),
    );
    for (mode, name) in [(0, "of neighbours"), (2, "of halves")] {
        for head in [64, 128] {
            add(
                format!("ROPE {name} {head}x4x13"),
                vec![
                    Input::new(F32, &[head, 4, 13]),
                    Input::filled(I32, &[13], Fill::Count),
                ],
                Box::new(move |c, context, t| {
                    let (base, scale) = (10000.0, 1.0);
                    // SAFETY: as in `build!`; no frequency factors.
                    unsafe {
                        (c.ggml_rope_ext)(
                            context,
                            t[0],
                            t[1],
                            ptr::null_mut(),
                            head as c_int,
                            mode,
                            0,
                            base,
                            scale,
                            0.0,
                            1.0,
                            32.0,
                            1.0,
                        )
                    }
                }),
            );
        }
    }
    for (from, to) in [(F32, F16), (F16, F32), (F32, F32)] {
        add(
            format!("CPY {} to {} 256x13", type_name(from), type_name(to)),
            vec![Input::new(from, &[256, 13]), Input::new(to, &[256, 13])],
            build!(ggml_cpy; 0, 1),
        );
    }
    add(
        "CONT of a transposed 70x33".into(),
        vec![Input::new(F32, &[70, 33])],
        // SAFETY: as in `build!`.
        Box::new(|c, context, t| unsafe {
            (c.ggml_cont)(context, (c.ggml_permute)(context, t[0], 1, 0, 2, 3))
        }),
    );
    for kind in [F32, F16, 2, 8] {
        add(
            format!("GET_ROWS {} 256x40, 13 rows", type_name(kind)),
            vec![
                Input::new(kind, &[256, 40]),
                Input::filled(I32, &[13], Fill::Scattered(40)),
            ],
            build!(ggml_get_rows; 0, 1),
        );
    }
    add(
        "SET_ROWS f16 256x40, 13 rows".into(),
        vec![
            Input::new(F16, &[256, 40]),
            Input::new(F32, &[256, 13]),
            Input::filled(I64, &[13], Fill::Scattered(40)),
        ],
        build!(ggml_set_rows; 0, 1, 2),
    );

    // Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS, MXFP4, BF16.
    for kind in [F32, F16, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 39, 30] {
        for columns in [1, 2, 5, 8, 9, 16, 33, 107] {
            add(
                format!("MUL_MAT {} 128x512 by {columns}", type_name(kind)),
                vec![
                    Input::new(kind, &[512, 128]),
                    Input::new(F32, &[512, columns]),
                ],
                build!(ggml_mul_mat; 0, 1),
            );
        }
    }
    for (kind, tokens) in [(12, 1), (12, 7), (12, 64), (8, 1), (F16, 7)] {
        add(
            format!(
                "MUL_MAT_ID {} 128x256, 2 of 8 experts, {tokens}",
                type_name(kind)
            ),
            vec![
                Input::new(kind, &[256, 128, 8]),
                Input::new(F32, &[256, 2, tokens]),
                Input::filled(I32, &[2, tokens], Fill::Scattered(8)),
            ],
            build!(ggml_mul_mat_id; 0, 1, 2),
        );
    }
    for head in [64, 128] {
        for columns in [1, 3, 8, 33, 107] {
            add(
                format!("FLASH_ATTN_EXT head {head}, 4 over 2 heads, 256 keys, {columns}"),
                vec![
                    Input::new(F32, &[head, columns, 4]),
                    Input::new(F16, &[head, 256, 2]),
                    Input::new(F16, &[head, 256, 2]),
                    Input::filled(F16, &[256, columns], Fill::Causal),
                ],
                build!(ggml_flash_attn_ext, 1.0 / (head as f32).sqrt(), 0.0, 0.0; 0, 1, 2, 3),
            );
        }
    }
    cases
}

/// What generation and prompts of an 8 B model take most of their time for.
fn large_cases(c: &Functions) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |title: String, inputs: Vec<Input>, build: Build| {
        cases.push(Case {
            title,
            inputs,
            build,
        })
    };
    for kind in [F16, 2, 8, 12, 14] {
        // SAFETY: a type number of ggml.
        let name = string(unsafe { (c.ggml_type_name)(kind) });
        for columns in [1, 512] {
            add(
                format!("MUL_MAT {name} 4096x14336 by {columns}"),
                vec![
                    Input::new(kind, &[14336, 4096]),
                    Input::new(F32, &[14336, columns]),
                ],
                build!(ggml_mul_mat; 0, 1),
            );
        }
    }
    for columns in [1, 512] {
        add(
            format!("FLASH_ATTN_EXT head 128, 32 over 8 heads, 512 keys, {columns}"),
            vec![
                Input::new(F32, &[128, columns, 32]),
                Input::new(F16, &[128, 512, 8]),
                Input::new(F16, &[128, 512, 8]),
                Input::filled(F16, &[512, columns], Fill::Causal),
            ],
            build!(ggml_flash_attn_ext, 0.088, 0.0, 0.0; 0, 1, 2, 3),
        );
        let two = || {
            vec![
                Input::new(F32, &[4096, columns]),
                Input::new(F32, &[4096, columns]),
            ]
        };
        add(
            format!("RMS_NORM 4096x{columns}"),
            vec![Input::new(F32, &[4096, columns])],
            build!(ggml_rms_norm, 1e-5; 0),
        );
        add(format!("ADD 4096x{columns}"), two(), build!(ggml_add; 0, 1));
        add(
            format!("SWIGLU 4096x{columns}"),
            two(),
            build!(ggml_swiglu_split; 0, 1),
        );
    }
    cases
}

/// Runs the cases and prints a line for each.
///
/// # Errors
/// When the device is missing or computes nothing at all. The result is whether every case is within the bound.
pub fn run(llama: &Llama, options: &Options) -> Result<bool> {
    let c = &llama.c;
    let device = |name: &str| {
        let found = llama.devices().into_iter().find(|d| d.name == name);
        found
            .map(|d| d.handle)
            .with_context(|| format!("ggml finds no device {name}"))
    };
    let all = match options.time {
        Some(_) => large_cases(c),
        None => cases(c),
    };
    let cases = all
        .into_iter()
        .filter(|case| case.title.contains(&options.only));
    if options.list {
        cases.for_each(|case| println!("{}", case.title));
        return Ok(true);
    }
    if let Some(repeat) = options.time {
        let backend = Backend::open(c, device(&options.device)?)?;
        for case in cases {
            match backend.time(&case, repeat)? {
                Some(seconds) => println!("{:10.2} us  {}", seconds * 1e6, case.title),
                None => println!("unsupported    {}", case.title),
            }
        }
        return Ok(true);
    }
    let cpu = Backend::open(c, device("CPU")?)?;
    let candidate = Backend::open(c, device(&options.device)?)?;
    let (mut within, mut over, mut unsupported) = (0, 0, 0);
    for case in cases {
        let seed = case
            .title
            .bytes()
            .fold(7, |s: u64, b| s.wrapping_mul(31) + u64::from(b));
        let Some(reference) = cpu.compute(&case, seed)? else {
            bail!("{}: not even the CPU supports it", case.title);
        };
        let begin = Instant::now();
        let Some(result) = candidate.compute(&case, seed)? else {
            println!("unsupported          {}", case.title);
            unsupported += 1;
            continue;
        };
        let time = begin.elapsed().as_secs_f64();
        ensure!(
            result.len() == reference.len(),
            "{}: another size",
            case.title
        );
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let difference = square(
            &mut reference
                .iter()
                .zip(&result)
                .map(|(r, v)| f64::from(*v) - f64::from(*r)),
        );
        let size = square(&mut reference.iter().map(|r| f64::from(*r)));
        let error = if difference == 0.0 {
            0.0
        } else {
            difference / size
        };
        let good = error <= BOUND; // false for NaN
        within += usize::from(good);
        over += usize::from(!good);
        let verdict = if good { "ok" } else { "WRONG" };
        println!("{verdict:<8} {error:9.2e}  {time:6.2} s  {}", case.title);
    }
    println!(
        "{within} within the bound, {over} over it, {unsupported} not supported by the backend"
    );
    ensure!(within + over > 0, "nothing was computed");
    Ok(over == 0)
}

/// `ggml_backend_t`.
struct Backend<'a> {
    c: &'a Functions,
    handle: *mut c_void,
}

impl<'a> Backend<'a> {
    fn open(c: &'a Functions, device: *mut c_void) -> Result<Self> {
        // SAFETY: a device of ggml, no parameters.
        let handle = unsafe { (c.ggml_backend_dev_init)(device, ptr::null()) };
        ensure!(!handle.is_null(), "the device could not be opened");
        Ok(Self { c, handle })
    }

    /// The result of an operation as floats; none if the backend does not support it.
    fn compute(&self, case: &Case, seed: u64) -> Result<Option<Vec<f32>>> {
        let c = self.c;
        let Some(graph) = self.graph(case, 1, &|input, n| input.bytes(c, seed + n))? else {
            return Ok(None);
        };
        self.run(&graph, case)?;
        let result = graph.result;
        // SAFETY: the result is a tensor of the graph, which is alive, and the buffers have the sizes which ggml says.
        unsafe {
            let mut bytes = vec![0u8; (c.ggml_nbytes)(result)];
            (c.ggml_backend_tensor_get)(result, bytes.as_mut_ptr().cast(), 0, bytes.len());
            // The first field of a tensor is its type.
            Ok(Some(match *result.cast::<c_int>() {
                F32 => bytes
                    .chunks_exact(4)
                    .map(bytemuck::pod_read_unaligned)
                    .collect(),
                I32 => bytes
                    .chunks_exact(4)
                    .map(|b| bytemuck::pod_read_unaligned::<i32>(b) as f32)
                    .collect(),
                F16 => {
                    let halves: Vec<u16> = bytes
                        .chunks_exact(2)
                        .map(bytemuck::pod_read_unaligned)
                        .collect();
                    let mut values = vec![0f32; halves.len()];
                    (c.ggml_fp16_to_fp32_row)(
                        halves.as_ptr(),
                        values.as_mut_ptr(),
                        halves.len() as i64,
                    );
                    values
                }
                kind => bail!("{}: a result of type {kind}", case.title),
            }))
        }
    }

    /// Seconds that an operation takes, as one of `repeat` in a graph; the best of ten runs after three that do not
    /// count (a backend may record a graph at its third). None if the backend does not support it.
    fn time(&self, case: &Case, repeat: u32) -> Result<Option<f64>> {
        let c = self.c;
        let bytes = |input: &Input, n: u64| input.repeated_bytes(c, n);
        let Some(graph) = self.graph(case, repeat as usize, &bytes)? else {
            return Ok(None);
        };
        for _ in 0..3 {
            self.run(&graph, case)?;
        }
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let begin = Instant::now();
            self.run(&graph, case)?;
            best = best.min(begin.elapsed().as_secs_f64());
        }
        Ok(Some(best / f64::from(repeat)))
    }

    /// Computes a graph and waits for it.
    fn run(&self, graph: &Graph, case: &Case) -> Result<()> {
        // SAFETY: a graph of this backend, whose tensors are allocated.
        let status = unsafe { (self.c.ggml_backend_graph_compute)(self.handle, graph.graph) };
        ensure!(
            status == 0,
            "{}: ggml_backend_graph_compute returned {status}",
            case.title
        );
        Ok(())
    }

    /// A graph that has an operation `repeat` times over the same inputs, allocated and filled.
    fn graph(
        &self,
        case: &Case,
        repeat: usize,
        bytes: &dyn Fn(&Input, u64) -> Vec<u8>,
    ) -> Result<Option<Graph<'a>>> {
        let c = self.c;
        // SAFETY: the context has room for the tensors and the graph, and lives until its end in `Scope`; all pointers
        // come from ggml, and the buffers have the sizes which ggml says.
        unsafe {
            let mut scope = Scope {
                c,
                context: (c.ggml_init)(InitParams {
                    size: (64 + 8 * repeat) * (c.ggml_tensor_overhead)()
                        + (c.ggml_graph_overhead_custom)(8 * repeat + 64, false),
                    buffer: ptr::null_mut(),
                    no_alloc: true,
                }),
                buffer: ptr::null_mut(),
            };
            ensure!(!scope.context.is_null(), "ggml_init failed");
            let tensors: Vec<Tensor> = case
                .inputs
                .iter()
                .map(|i| {
                    (c.ggml_new_tensor)(
                        scope.context,
                        i.kind,
                        i.size.len() as c_int,
                        i.size.as_ptr(),
                    )
                })
                .collect();
            let graph = (c.ggml_new_graph_custom)(scope.context, 8 * repeat + 64, false);
            let mut result = ptr::null_mut();
            for _ in 0..repeat {
                result = (case.build)(c, scope.context, &tensors);
                if !(c.ggml_backend_supports_op)(self.handle, result) {
                    return Ok(None);
                }
                (c.ggml_build_forward_expand)(graph, result);
            }
            scope.buffer = (c.ggml_backend_alloc_ctx_tensors)(scope.context, self.handle);
            ensure!(!scope.buffer.is_null(), "no memory for {}", case.title);
            for (i, (input, tensor)) in case.inputs.iter().zip(&tensors).enumerate() {
                let bytes = bytes(input, i as u64);
                ensure!(
                    bytes.len() == (c.ggml_nbytes)(*tensor),
                    "{}: size of input {i}",
                    case.title
                );
                (c.ggml_backend_tensor_set)(*tensor, bytes.as_ptr().cast(), 0, bytes.len());
            }
            Ok(Some(Graph {
                graph,
                result,
                _scope: scope,
            }))
        }
    }
}

/// A graph whose tensors are allocated on a backend.
struct Graph<'a> {
    graph: *mut c_void,
    /// The result of its last operation.
    result: Tensor,
    _scope: Scope<'a>,
}

impl Drop for Backend<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and nothing of it is left.
        unsafe { (self.c.ggml_backend_free)(self.handle) }
    }
}

/// A context and the memory of its tensors.
struct Scope<'a> {
    c: &'a Functions,
    context: *mut c_void,
    buffer: *mut c_void,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // SAFETY: made in `compute`; the buffer may be null.
        unsafe {
            if !self.buffer.is_null() {
                (self.c.ggml_backend_buffer_free)(self.buffer);
            }
            (self.c.ggml_free)(self.context);
        }
    }
}

/// `struct ggml_init_params`.
#[repr(C)]
pub struct InitParams {
    size: usize,
    buffer: *mut c_void,
    no_alloc: bool,
}
