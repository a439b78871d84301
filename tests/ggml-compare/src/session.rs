//! One run: a model on a device, a prompt in one batch, then tokens one by one.

use std::ffi::c_void;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::ptr;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};

use crate::abi::Batch;
use crate::library::{c_path, Llama};
use crate::nodes::{self, Collector};
use crate::record::{argmax, Record};

/// A model and where its layers go.
#[derive(clap::Args)]
pub struct Placement {
    /// GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// ggml's name of the device for all layers, such as CUDA0.
    #[arg(long, default_value = "CPU")]
    device: String,
    /// Turn flash attention off.
    #[arg(long)]
    no_flash_attention: bool,
    /// Let the backend repack weights into a layout of its own.
    #[arg(long)]
    repack: bool,
    /// Threads of the CPU backend.
    #[arg(long, default_value_t = std::thread::available_parallelism().map_or(2, |n| n.get() as i32))]
    threads: i32,
}

/// What to run, and where.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    placement: Placement,
    /// Text file to read in one batch.
    #[arg(long, required_unless_present = "force", conflicts_with = "force")]
    prompt: Option<PathBuf>,
    /// Read the tokens of this earlier run instead of choosing them.
    #[arg(long)]
    force: Option<PathBuf>,
    /// Tokens to generate after a prompt.
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Write tokens and logits to this file.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Write the generated text to this file.
    #[arg(long)]
    text: Option<PathBuf>,
    /// Write the result of every operation, for the prompt and one token, to this file.
    #[arg(long)]
    nodes: Option<PathBuf>,
    /// Only of operations with this in their name.
    #[arg(long, default_value = "", requires = "nodes")]
    nodes_only: String,
    /// Do everything this many times; the last pass, in which nothing has to be compiled any more, gives the speed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,
}

/// Frees a C object at the end of the scope.
pub struct Guard(pub *mut c_void, unsafe extern "C" fn(*mut c_void));

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: made by the matching constructor and not freed elsewhere.
        unsafe { (self.1)(self.0) }
    }
}

/// A loaded model.
pub struct Model<'a> {
    llama: &'a Llama,
    handle: Guard,
    /// Its `llama_vocab`.
    tokenizer: *const c_void,
    /// Tokens of its vocabulary.
    pub vocabulary: usize,
    quantised: bool,
}

/// Loads a model, every layer onto the device, and prints both.
///
/// # Errors
/// When the device is not there, the model does not load, or not every layer lies on the device.
pub fn load<'a>(llama: &'a Llama, options: &Placement) -> Result<Model<'a>> {
    let devices = llama.devices();
    let Some(device) = devices.iter().find(|d| d.name == options.device) else {
        let names: Vec<_> = devices.iter().map(|d| d.name.as_str()).collect();
        bail!(
            "ggml finds no device {}: only {}",
            options.device,
            names.join(", ")
        );
    };
    let on_cpu = device.name == "CPU";
    println!("device: {} ({})", device.name, device.description);

    // An empty list keeps libllama from using any device but the CPU.
    let list = [
        if on_cpu {
            ptr::null_mut()
        } else {
            device.handle
        },
        ptr::null_mut(),
    ];
    let path = c_path(&options.model)?;
    // SAFETY: the layout was checked when the library was opened, and the list outlives the model.
    let model = unsafe {
        let mut parameters = (llama.c.llama_model_default_params)();
        parameters.devices = list.as_ptr();
        parameters.n_gpu_layers = if on_cpu { 0 } else { -1 };
        parameters.use_extra_bufts = options.repack;
        (llama.c.llama_model_load_from_file)(path.as_ptr(), parameters)
    };
    ensure!(
        !model.is_null(),
        "could not load {}",
        options.model.display()
    );
    let handle = Guard(model, llama.c.llama_model_free);
    // SAFETY: a loaded model; the vocabulary belongs to it.
    let (tokenizer, vocabulary, file_type) = unsafe {
        let tokenizer = (llama.c.llama_model_get_vocab)(model);
        let vocabulary = (llama.c.llama_vocab_n_tokens)(tokenizer) as usize;
        (tokenizer, vocabulary, (llama.c.llama_model_ftype)(model))
    };
    // enum llama_ftype: 0 is F32, 1 F16, 32 BF16; a file that does not say has bit 1024 set.
    let quantised = !matches!(file_type & !1024, 0 | 1 | 32);
    println!("model: {}", describe(llama, model)?);
    if !on_cpu {
        let log = llama.take_log();
        check_offloaded(&log)?;
    }
    Ok(Model {
        llama,
        handle,
        tokenizer,
        vocabulary,
        quantised,
    })
}

impl Model<'_> {
    /// A context for `total` tokens of one sequence, read in batches of `batch` at most.
    ///
    /// # Errors
    /// When libllama makes none.
    pub fn context(
        &self,
        options: &Placement,
        total: usize,
        batch: usize,
        collector: Option<&mut Collector>,
    ) -> Result<Guard> {
        let c = &self.llama.c;
        // SAFETY: the layout was checked when the library was opened; the caller frees the context before the model and the
        // collector.
        let context = unsafe {
            let mut parameters = (c.llama_context_default_params)();
            parameters.n_ctx = total.next_multiple_of(256) as u32;
            parameters.n_batch = batch.next_multiple_of(256).max(512) as u32;
            parameters.n_ubatch = parameters.n_batch;
            parameters.n_outputs_max_per_seq = 0;
            parameters.n_threads = options.threads;
            parameters.n_threads_batch = options.threads;
            parameters.flash_attn_type = i32::from(!options.no_flash_attention);
            if let Some(collector) = collector {
                parameters.cb_eval = Some(Collector::callback);
                parameters.cb_eval_user_data = ptr::from_mut(collector).cast();
            }
            (c.llama_init_from_model)(self.handle.0, parameters)
        };
        ensure!(!context.is_null(), "could not make a context for the model");
        Ok(Guard(context, c.llama_free))
    }
}

/// Runs the model and prints its text and speed.
///
/// # Errors
/// When the device is not there, the model does not load, not every layer lies on the device, or a batch fails.
pub fn run(llama: &Llama, options: &Options) -> Result<()> {
    let model = load(llama, &options.placement)?;
    let size = model.vocabulary;

    let (mut tokens, prompt, forced) = match (&options.force, &options.prompt) {
        (Some(file), _) => {
            let earlier = Record::load(file)?;
            ensure!(
                earlier.vocabulary == size,
                "{} is of another vocabulary",
                file.display()
            );
            (earlier.tokens, earlier.prompt, true)
        }
        (None, Some(file)) => {
            let text = fs::read_to_string(file)
                .with_context(|| format!("could not read {}", file.display()))?;
            let tokens = tokenize(llama, model.tokenizer, text.trim_end())?;
            let prompt = tokens.len();
            (tokens, prompt, false)
        }
        (None, None) => bail!("there is neither a prompt nor an earlier run"),
    };
    let total = if forced {
        tokens.len()
    } else {
        prompt + options.tokens
    };
    ensure!(prompt > 0 && total > prompt, "there is nothing to generate");

    let mut collector = Collector::new(&llama.c, &options.nodes_only);
    let nodes = options.nodes.is_some().then_some(&mut collector);
    let context = model.context(&options.placement, total, prompt, nodes)?;

    if let Some(path) = &options.nodes {
        let mut runner = Runner::new(llama, context.0, size, prompt);
        let logits = runner.decode(&tokens[..prompt], 0)?;
        if !forced {
            tokens.push(argmax(&logits[(prompt - 1) * size..]) as i32);
        }
        runner.decode(&tokens[prompt..=prompt], prompt)?;
        println!("{} operations", collector.nodes.len());
        return nodes::save(path, &collector.nodes);
    }

    let mut progress = Progress::new();
    let mut first: Option<Vec<f32>> = None;
    for pass in 1..=options.passes {
        tokens.truncate(if forced { total } else { prompt });
        let mut runner = Runner::new(llama, context.0, size, prompt);
        let begin = Instant::now();
        progress.show(format_args!("reading the prompt of {prompt} tokens"));
        let mut logits = runner.decode(&tokens[..prompt], 0)?;
        let read = begin.elapsed();
        let mut chosen = Vec::new();
        while logits.len() < total * size {
            let position = logits.len() / size;
            let next = argmax(&logits[(position - 1) * size..]) as i32;
            chosen.push(next);
            if !forced {
                tokens.push(next);
            }
            progress.show(format_args!(
                "token {} of {}",
                position - prompt + 1,
                total - prompt
            ));
            logits.extend(runner.decode(&tokens[position..=position], position)?);
        }
        let written = begin.elapsed() - read;
        progress.end();
        if pass == 1 {
            println!(
                "text: {}",
                detokenize(llama, model.tokenizer, &tokens[..prompt])?
            );
            let text = detokenize(llama, model.tokenizer, &chosen)?;
            println!("   -> {}", text.trim_start());
            if let Some(path) = &options.text {
                fs::write(path, &text)
                    .with_context(|| format!("could not write {}", path.display()))?;
            }
        }
        println!(
            "pass {pass}: prompt {}, generation {}",
            speed(prompt, read),
            speed(total - prompt, written)
        );
        match &first {
            None => first = Some(logits),
            Some(earlier) if *earlier == logits => {
                println!("pass {pass}: the same logits, bit for bit")
            }
            Some(_) => println!("pass {pass}: other logits than in pass 1"),
        }
    }

    if let (Some(path), Some(logits)) = (&options.output, first) {
        tokens.truncate(total);
        Record {
            vocabulary: size,
            prompt,
            quantised: model.quantised,
            tokens,
            logits,
        }
        .save(path)?;
    }
    Ok(())
}

/// Decodes batches of one sequence.
pub struct Runner<'a> {
    llama: &'a Llama,
    context: *mut c_void,
    vocabulary: usize,
    batch: Batch,
}

impl<'a> Runner<'a> {
    /// Starts an empty sequence; no batch may have more than `most` tokens.
    pub fn new(llama: &'a Llama, context: *mut c_void, vocabulary: usize, most: usize) -> Self {
        // SAFETY: a live context.
        let batch = unsafe {
            (llama.c.llama_memory_clear)((llama.c.llama_get_memory)(context), true);
            (llama.c.llama_batch_init)(most as i32, 0, 1)
        };
        Self {
            llama,
            context,
            vocabulary,
            batch,
        }
    }

    /// The logits after each of `tokens`, of which the first is at `position`.
    fn decode(&mut self, tokens: &[i32], position: usize) -> Result<Vec<f32>> {
        self.submit(tokens, position, |_| true)?;
        let mut logits = Vec::with_capacity(tokens.len() * self.vocabulary);
        for i in 0..tokens.len() {
            logits.extend_from_slice(self.row(i, position)?);
        }
        Ok(logits)
    }

    /// Reads `tokens`, of which the first is at `position`, and waits for the logits after the last.
    ///
    /// # Errors
    /// When libllama refuses the batch or gives no logits.
    pub fn decode_last(&mut self, tokens: &[i32], position: usize) -> Result<()> {
        let last = tokens.len() - 1;
        self.submit(tokens, position, |i| i == last)?;
        self.row(last, position).map(drop)
    }

    /// Decodes a batch and waits for it.
    fn submit(
        &mut self,
        tokens: &[i32],
        position: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let c = &self.llama.c;
        // SAFETY: the batch has room for the tokens.
        let status = unsafe {
            for (i, token) in tokens.iter().enumerate() {
                *self.batch.token.add(i) = *token;
                *self.batch.pos.add(i) = (position + i) as i32;
                *self.batch.n_seq_id.add(i) = 1;
                **self.batch.seq_id.add(i) = 0;
                *self.batch.logits.add(i) = i8::from(wanted(i));
            }
            self.batch.n_tokens = tokens.len() as i32;
            (c.llama_decode)(self.context, self.batch)
        };
        ensure!(
            status == 0,
            "llama_decode returned {status} at position {position}"
        );
        // SAFETY: a live context.
        unsafe { (c.llama_synchronize)(self.context) };
        Ok(())
    }

    /// The logits after token `i` of the last batch, which began at `position`.
    fn row(&self, i: usize, position: usize) -> Result<&[f32]> {
        // SAFETY: a row holds `vocabulary` floats and stays until the next batch.
        unsafe {
            let row = (self.llama.c.llama_get_logits_ith)(self.context, i as i32);
            ensure!(!row.is_null(), "no logits at position {}", position + i);
            Ok(std::slice::from_raw_parts(row, self.vocabulary))
        }
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        // SAFETY: made by llama_batch_init; the token count does not matter.
        unsafe { (self.llama.c.llama_batch_free)(self.batch) }
    }
}

/// Fails unless libllama's log says that every layer went to the device.
fn check_offloaded(log: &str) -> Result<()> {
    let line = log
        .lines()
        .find(|line| line.contains("offloaded ") && line.contains("layers to GPU"))
        .context("libllama does not say how many layers it put on the device")?;
    let counts = line
        .split_whitespace()
        .find_map(|word| word.split_once('/'))
        .context("libllama's line about offloaded layers has changed")?;
    ensure!(
        counts.0 == counts.1,
        "not every layer is on the device: {}",
        line.trim()
    );
    println!("layers on the device: {} of {}", counts.0, counts.1);
    Ok(())
}

fn describe(llama: &Llama, model: *mut c_void) -> Result<String> {
    let mut buffer = vec![0u8; 256];
    // SAFETY: the buffer has the size that is passed.
    let length =
        unsafe { (llama.c.llama_model_desc)(model, buffer.as_mut_ptr().cast(), buffer.len()) };
    buffer.truncate(length.clamp(0, 255) as usize);
    Ok(String::from_utf8(buffer)?)
}

/// The tokens of a text, with the beginning-of-sequence token if the model wants one.
fn tokenize(llama: &Llama, vocabulary: *const c_void, text: &str) -> Result<Vec<i32>> {
    let mut tokens = vec![0; text.len() + 8];
    // SAFETY: text and tokens have the sizes that are passed.
    let count = unsafe {
        (llama.c.llama_tokenize)(
            vocabulary,
            text.as_ptr().cast(),
            text.len() as i32,
            tokens.as_mut_ptr(),
            tokens.len() as i32,
            true,
            false,
        )
    };
    ensure!(count > 0, "llama_tokenize returned {count}");
    tokens.truncate(count as usize);
    Ok(tokens)
}

fn detokenize(llama: &Llama, vocabulary: *const c_void, tokens: &[i32]) -> Result<String> {
    let mut text = vec![0u8; 64 * tokens.len() + 64];
    // SAFETY: tokens and text have the sizes that are passed.
    let length = unsafe {
        (llama.c.llama_detokenize)(
            vocabulary,
            tokens.as_ptr(),
            tokens.len() as i32,
            text.as_mut_ptr().cast(),
            text.len() as i32,
            true,
            false,
        )
    };
    ensure!(length >= 0, "llama_detokenize returned {length}");
    text.truncate(length as usize);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn speed(tokens: usize, time: Duration) -> String {
    let seconds = time.as_secs_f64();
    format!(
        "{tokens} tokens in {seconds:.2} s ({:.1} tokens/s)",
        tokens as f64 / seconds
    )
}

/// Shows how far a run is: on a terminal in a line that the next one replaces, elsewhere a line every ten seconds.
struct Progress {
    terminal: bool,
    shown: Instant,
}

impl Progress {
    fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            shown: Instant::now(),
        }
    }

    fn show(&mut self, line: std::fmt::Arguments<'_>) {
        // Whether stderr can be written to makes no difference to the run.
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        } else if self.shown.elapsed() > Duration::from_secs(10) {
            self.shown = Instant::now();
            let _ = writeln!(io::stderr(), "  {line}");
        }
    }

    /// Clears the line.
    fn end(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
