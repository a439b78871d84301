//! Single operations of ggml on a device and on the CPU, with the same random numbers.
//!
//! A model uses a few shapes of a few kernels; this runs many: each operation of ggml's CUDA backend over shapes, types,
//! strides and broadcasts. The bounds for the normalised mean square error are those of ggml's own tests.
//!
//! ```text
//! ggml-compare operations --libraries DIR --backend DIR/libggml-cuda.so --device CUDA0 --only MUL_MAT
//! ```
//!
//! The cases run in child processes, so that one which ends its process is reported and the rest runs all the same.

mod attention;
mod backend;
mod case;
mod compare;
mod elementwise;
mod layout;
mod make;
mod parts;
mod products;
mod recurrent;
mod rope;
mod rows;
mod spatial;
mod timing;

use anyhow::Result;

use backend::{Attempt, Backend};
pub use backend::{InitParams, TypeTraits};
use case::Cases;
use make::Constructors;

use crate::library::Llama;

/// What to run.
#[derive(clap::Args)]
pub struct Options {
    /// ggml's name of the device.
    #[arg(long, default_value = "CUDA0")]
    device: String,
    /// Only operations whose line contains this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Only this family: elementwise, rows, layout, rope, spatial, recurrent, products, attention; may be given several
    /// times.
    #[arg(long)]
    family: Vec<String>,
    /// Only the representative part.
    #[arg(long)]
    subset: bool,
    /// Child processes at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Seconds that a case may take before its process is ended.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// Print a line only for what disagrees.
    #[arg(long)]
    quiet: bool,
    /// Print the lines without running anything.
    #[arg(long)]
    list: bool,
    /// Measure instead, in shapes of an 8 B model: each operation this many times in a graph, which runs several times.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    time: Option<u32>,
    /// Run the cases from this number to that one (without it) in this process: what a child is called with.
    #[arg(long, hide = true, num_args = 2)]
    part: Option<Vec<usize>>,
}

impl Options {
    /// The chosen cases, always in the same order.
    fn cases(&self) -> Vec<(&'static str, case::Case)> {
        let families = match self.time {
            Some(_) => vec![timing::cases()],
            None => families(),
        };
        let mut chosen = Vec::new();
        for family in families {
            let name = family.family;
            if !self.family.is_empty() && !self.family.iter().any(|wanted| wanted == name) {
                continue;
            }
            for case in family.all {
                let wanted =
                    self.only.is_empty() || self.only.iter().any(|only| case.title.contains(only));
                if wanted && (case.subset || !self.subset) {
                    chosen.push((name, case));
                }
            }
        }
        chosen
    }
}

/// Every family.
fn families() -> Vec<Cases> {
    vec![
        elementwise::cases(),
        rows::cases(),
        layout::cases(),
        rope::cases(),
        spatial::cases(),
        recurrent::cases(),
        products::cases(),
        attention::cases(),
    ]
}

/// Runs the cases and prints a line for each; `open` loads the libraries.
///
/// # Errors
/// When the device is missing or computes nothing at all. The result is whether every case is within its bound.
pub fn run(open: &dyn Fn() -> Result<Llama>, options: &Options) -> Result<bool> {
    let cases = options.cases();
    if options.list {
        for (family, case) in &cases {
            println!("{family:<12} {}", case.title);
        }
        return Ok(true);
    }
    if let Some(part) = &options.part {
        parts::child(&open()?, options, &cases[part[0]..part[1]], part[0])?;
        return Ok(true);
    }
    let Some(repeat) = options.time else {
        return parts::run(options, &cases);
    };
    let llama = open()?;
    let backend = Backend::open(&llama, Constructors::leaked(), &options.device)?;
    for (_, case) in &cases {
        match timing::measure(&llama.c, &backend, case, repeat)? {
            Attempt::Done(seconds) => println!("{:10.2} us  {}", seconds * 1e6, case.title),
            Attempt::Unsupported(why) => println!("unsupported    {} ({why})", case.title),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_cases_are_many_and_each_has_a_title_of_its_own() {
        let mut titles = HashSet::new();
        for family in families() {
            assert!(
                family.all.iter().any(|case| case.subset),
                "{} has nothing in the representative part",
                family.family
            );
            for case in family.all {
                assert!(
                    titles.insert(case.title.clone()),
                    "there are two of {}",
                    case.title
                );
            }
        }
        assert!(titles.len() >= 3000, "{} cases", titles.len());
    }

    #[test]
    fn rows_of_arguments_are_whole_blocks() {
        for family in families() {
            for case in family.all {
                for input in &case.inputs {
                    assert_eq!(
                        input.stored_size()[0] % input.kind.block(),
                        0,
                        "{}",
                        case.title
                    );
                }
            }
        }
    }
}
