//! How fast a device reads and writes: prompts of given lengths in one batch, and tokens one by one, repeated.
//!
//! The tokens are arbitrary, so that models without a vocabulary (random weights in a given shape) can be measured.
//! As in llama-bench, the first repetition of each is not counted; it is shown, because it holds the compilation.

use std::time::Instant;

use anyhow::{ensure, Result};

use crate::library::Llama;
use crate::session::{load, Placement, Runner};

/// What to measure, and where.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    placement: Placement,
    /// Lengths of prompts.
    #[arg(long, value_delimiter = ',', default_value = "512")]
    prompts: Vec<usize>,
    /// Tokens to write one by one; 0 for none.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// Counted repetitions of each.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
}

/// Prints tokens per second: the best and the mean of the counted repetitions, and the first one.
///
/// # Errors
/// When the model does not load onto the device, or a batch fails.
pub fn run(llama: &Llama, options: &Options) -> Result<()> {
    let model = load(llama, &options.placement)?;
    let most = options.prompts.iter().copied().max().unwrap_or(1).max(1);
    let total = most.max(options.tokens);
    ensure!(total > 0, "there is nothing to measure");
    let context = model.context(&options.placement, total, most, None)?;
    let token = |n: usize| (n * 7919 + 13) as i32 % model.vocabulary as i32;
    let measure = |name: String, count: usize, each: &dyn Fn() -> Result<()>| -> Result<()> {
        let mut seconds = Vec::new();
        for _ in 0..=options.repetitions {
            let begin = Instant::now();
            each()?;
            seconds.push(begin.elapsed().as_secs_f64());
        }
        let first = seconds.remove(0);
        let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let rate = |s: f64| count as f64 / s;
        println!(
            "{name}: best {:.1} tokens/s, mean {:.1}, first {:.1} ({first:.2} s)",
            rate(best),
            rate(mean),
            rate(first)
        );
        Ok(())
    };
    for &length in &options.prompts {
        let tokens: Vec<i32> = (0..length).map(token).collect();
        measure(format!("prompt of {length}"), length, &|| {
            let mut runner = Runner::new(llama, context.0, model.vocabulary, length);
            runner.decode_last(&tokens, 0)
        })?;
    }
    if options.tokens > 0 {
        measure(
            format!("{} tokens", options.tokens),
            options.tokens,
            &|| {
                let mut runner = Runner::new(llama, context.0, model.vocabulary, 1);
                (0..options.tokens).try_for_each(|n| runner.decode_last(&[token(n)], n))
            },
        )?;
    }
    Ok(())
}
