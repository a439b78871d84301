//! One set of questions to the CUDA driver API, and the answers of whichever `libcuda.so.1` is asked.
//!
//! ```text
//! api-compare record --library /usr/lib/x86_64-linux-gnu/libcuda.so.1 > answers.txt
//! api-compare check answers.txt --library target/release/libcuda.so
//! ```
//!
//! A probe (`src/probes/`) is a function that makes some calls. Each runs in a process of its own with a time limit and prints
//! lines `probe: step: answer`. Answers are status codes, values that the documentation or the hardware fixes, and how the
//! process ended. `answers/` holds NVIDIA's; `check` fails where this library's differ and `explained.rs` has no reason.

mod api;
mod compare;
mod explained;
mod probes;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use clap::{Args, Parser, Subcommand};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

#[derive(Parser)]
#[command(
    about = "Asks a libcuda.so.1 what the driver API answers, and compares with recorded answers"
)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Asked {
    /// The library to ask.
    #[arg(long)]
    library: PathBuf,
    /// Only probes whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Probes at a time.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Seconds that one may take.
    #[arg(long, default_value_t = 60)]
    limit: u64,
}

#[derive(Subcommand)]
enum Command {
    /// Prints a library's answers.
    Record(Asked),
    /// Compares a library's answers with a file of recorded ones.
    Check {
        /// The recorded answers.
        file: PathBuf,
        #[command(flatten)]
        asked: Asked,
        /// Print the explained differences as well.
        #[arg(long)]
        all: bool,
    },
    /// Prints the names of the probes.
    List,
    /// Runs one probe in this process.
    Probe {
        /// Its name.
        name: String,
        /// The library to ask.
        #[arg(long)]
        library: PathBuf,
    },
}

impl Asked {
    fn answers(&self) -> Result<std::collections::BTreeMap<String, Vec<String>>> {
        let names: Vec<&str> = probes::all()
            .map(|(name, _)| name)
            .filter(|name| name.contains(&self.only))
            .collect();
        let how = run::How {
            library: &self.library,
            jobs: self.jobs,
            limit: Duration::from_secs(self.limit),
        };
        run::all(&names, &how)
    }
}

fn main() -> Result<()> {
    match Options::parse().command {
        Command::Record(asked) => {
            for lines in asked.answers()?.values() {
                lines.iter().for_each(|line| println!("{line}"));
            }
        }
        Command::List => probes::all().for_each(|(name, _)| println!("{name}")),
        Command::Check { file, asked, all } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("{file:?}"))?;
            check(&text, &asked, all)?;
        }
        Command::Probe { name, library } => {
            let (_, body) = probes::all()
                .find(|(known, _)| *known == name)
                .with_context(|| format!("no probe is called {name}"))?;
            // SAFETY: loading the driver runs its initialisers, which any program that uses CUDA has to accept.
            let library = unsafe { Library::open(Some(&library), RTLD_NOW | RTLD_LOCAL) }?;
            api::begin(library, &name);
            body();
        }
    }
    Ok(())
}

fn check(text: &str, asked: &Asked, all: bool) -> Result<()> {
    let (recorded, here) = (compare::parse(text), asked.answers()?);
    ensure!(!here.is_empty(), "no probe is called like that");
    let (mut explained, mut unexplained, mut steps) = (0, 0, 0);
    let (mut used, mut unknown) = (vec![], vec![]);
    for (probe, lines) in &here {
        let Some(known) = recorded.get(probe) else {
            unknown.push(probe.as_str());
            continue;
        };
        steps += lines.len();
        let broke_off = compare::broke_off(known);
        for difference in compare::probe(probe, known, lines) {
            let reason = match explained::find(probe, &difference.step) {
                Some((index, reason)) => {
                    used.push(index);
                    Some(reason.why)
                }
                None if broke_off
                    && (difference.recorded.is_none() || difference.step == "end") =>
                {
                    Some("the recorded library crashed or hung here")
                }
                None => None,
            };
            match reason {
                Some(why) => {
                    explained += 1;
                    if all {
                        println!("explained: {difference} ({why})");
                    }
                }
                None => {
                    unexplained += 1;
                    println!("{difference}");
                }
            }
        }
    }
    println!(
        "{} probes, {steps} steps: {explained} explained and {unexplained} unexplained differences",
        here.len() - unknown.len()
    );
    if !unknown.is_empty() {
        println!("not in the recorded answers: {}", unknown.join(", "));
    }
    if asked.only.is_empty() {
        let idle = explained::unused(&used);
        if !idle.is_empty() {
            println!("explained, but no difference here: {}", idle.join("; "));
        }
    }
    ensure!(unexplained == 0, "{unexplained} unexplained differences");
    Ok(())
}
