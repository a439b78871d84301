//! The cases in child processes: each runs a part of them, and when one dies, the next goes on behind the case in which it
//! died.
//!
//! A child writes a line before each case and one after it; the parent alone judges what a missing line means.

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};

use super::backend::{Attempt, Backend};
use super::case::Case;
use super::compare::compare;
use super::make::Constructors;
use super::Options;
use crate::library::Llama;

/// Most cases of one child, which loads the backend first.
const PART: usize = 200;

/// What a line of a child begins with.
const BEGIN: &str = "\u{1}begin ";
const END: &str = "\u{1}end ";
/// What it says when the device is done and the reference begins.
const REFERENCE: &str = "\u{1}reference";

/// Runs cases in this process; the first is number `first` of all.
///
/// # Errors
/// When a device is missing.
pub fn child(
    llama: &Llama,
    options: &Options,
    cases: &[(&'static str, Case)],
    first: usize,
) -> Result<()> {
    let constructors = Constructors::leaked();
    let cpu = Backend::open(llama, constructors, "CPU")?;
    // Threads beyond the cores wait for each other in loops.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cpu.set_threads(llama, (cores / options.jobs as usize).clamp(1, 16));
    let device = Backend::open(llama, constructors, &options.device)?;
    for (i, (_, case)) in cases.iter().enumerate() {
        say(&format!("{BEGIN}{}", first + i));
        let begin = Instant::now();
        let outcome = outcome(&cpu, &device, case);
        let time = begin.elapsed().as_secs_f64();
        let outcome = outcome.unwrap_or_else(|error| format!("failed 0 {error:#}"));
        say(&format!("{END}{time} {outcome}"));
    }
    Ok(())
}

/// A line that reaches the parent before anything else happens.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Without a parent there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A word, the error, and why.
fn outcome(cpu: &Backend, device: &Backend, case: &Case) -> Result<String> {
    // The device first, since it says without work what it does not support.
    let result = match device.compute(case)? {
        Attempt::Done(result) => result,
        Attempt::Unsupported(why) => return Ok(format!("unsupported 0 {why}")),
    };
    say(REFERENCE);
    let reference = match cpu.compute(case)? {
        Attempt::Done(reference) => reference,
        Attempt::Unsupported(why) => return Ok(format!("unsupported 0 {why}")),
    };
    let verdict = compare(case.measure, &reference, &result);
    let word = if verdict.agrees { "ok" } else { "WRONG" };
    let note = match (verdict.agrees, verdict.error.is_finite()) {
        (true, _) => String::new(),
        (false, true) => format!("{:?}", case.measure),
        (false, false) => first_difference(&reference, &result),
    };
    Ok(format!("{word} {} {note}", verdict.error))
}

/// Where NaN, infinity or the size differs.
fn first_difference(reference: &[f64], result: &[f64]) -> String {
    if reference.len() != result.len() {
        return format!("{} numbers, expected {}", result.len(), reference.len());
    }
    let mut pairs = reference.iter().zip(result).enumerate();
    let differs = |e: f64, a: f64| e != a && !(e.is_nan() && a.is_nan());
    let found = pairs.find(|(_, (e, a))| !(e.is_finite() && a.is_finite()) && differs(**e, **a));
    found.map_or(String::new(), |(i, (expected, actual))| {
        format!("number {i} is {actual}, expected {expected}")
    })
}

/// Totals of a family, or of all.
#[derive(Default)]
struct Totals {
    agree: usize,
    disagree: usize,
    /// How many are not supported, and why.
    unsupported: BTreeMap<String, usize>,
    seconds: f64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unsupported: usize = self.unsupported.values().sum();
        write!(
            f,
            "{} agree, {} disagree, {unsupported} unsupported",
            self.agree, self.disagree
        )?;
        let reasons: Vec<_> = self
            .unsupported
            .iter()
            .map(|(why, count)| format!("{count} {why}"))
            .collect();
        if !reasons.is_empty() {
            write!(f, " ({})", reasons.join(", "))?;
        }
        Ok(())
    }
}

/// What the parent keeps while the children run.
struct State<'a> {
    options: &'a Options,
    cases: &'a [(&'static str, Case)],
    totals: BTreeMap<&'static str, Totals>,
    disagreements: Vec<String>,
}

impl State<'_> {
    /// Counts a child that computed everything up to the case of this number and then failed.
    fn fail_at_exit(&mut self, index: usize, status: ExitStatus) {
        let (family, case) = &self.cases[index];
        let line = format!(
            "the child ended with {} after {}",
            describe(status),
            case.title
        );
        println!("{line}");
        self.disagreements.push(line);
        self.totals.entry(family).or_default().disagree += 1;
    }

    /// Counts a case and prints its line.
    fn record(&mut self, index: usize, word: &str, error: f64, seconds: f64, note: &str) {
        let (family, case) = &self.cases[index];
        let totals = self.totals.entry(family).or_default();
        totals.seconds += seconds;
        let note = note.trim();
        let shown = if note.is_empty() {
            String::new()
        } else {
            format!(" ({note})")
        };
        let line = format!(
            "{word:<12}{error:9.2e} {seconds:7.2} s  {}{shown}",
            case.title
        );
        match word {
            "ok" => totals.agree += 1,
            "unsupported" => *totals.unsupported.entry(note.into()).or_default() += 1,
            _ => {
                totals.disagree += 1;
                self.disagreements.push(line.clone());
            }
        }
        if !self.options.quiet || !matches!(word, "ok" | "unsupported") {
            println!("{line}");
        }
    }
}

/// Runs all cases in children, and prints a line for each and the totals. The result is whether all agree.
///
/// # Errors
/// When a child cannot start, or nothing at all was computed.
pub fn run(options: &Options, cases: &[(&'static str, Case)]) -> Result<bool> {
    ensure!(!cases.is_empty(), "no operation is called so");
    let state = Mutex::new(State {
        options,
        cases,
        totals: BTreeMap::new(),
        disagreements: Vec::new(),
    });
    // What takes longest begins first: the last families, of products and attention.
    let mut queue: VecDeque<_> = parts(cases).into();
    queue.make_contiguous().reverse();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs)
            .map(|_| {
                scope.spawn(|| loop {
                    let part = queue.lock().expect("no panic").pop_front();
                    let Some((first, end)) = part else {
                        return anyhow::Ok(());
                    };
                    run_part(first, end, &state, &start)?;
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no panic"))
    })?;
    let state = state.into_inner().expect("no panic");
    let mut all = Totals::default();
    for (family, totals) in state.totals {
        println!("{family:<12}{totals}; {:.0} s", totals.seconds);
        all.agree += totals.agree;
        all.disagree += totals.disagree;
        for (why, count) in totals.unsupported {
            *all.unsupported.entry(why).or_default() += count;
        }
    }
    if !state.disagreements.is_empty() {
        println!("disagree:");
        state
            .disagreements
            .iter()
            .for_each(|line| println!("{line}"));
    }
    println!("{all}");
    ensure!(all.agree + all.disagree > 0, "nothing was computed");
    Ok(all.disagree == 0)
}

/// Where each child begins and ends: no part has two families or more than [`PART`] cases.
fn parts(cases: &[(&'static str, Case)]) -> Vec<(usize, usize)> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for (i, (family, _)) in cases.iter().enumerate() {
        match parts.last_mut() {
            Some((first, end)) if cases[*first].0 == *family && *end - *first < PART => {
                *end = i + 1
            }
            _ => parts.push((i, i + 1)),
        }
    }
    parts
}

/// Starts a child for the cases from `first` to `end`.
fn start(first: usize, end: usize) -> Result<Child> {
    Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .args(["--part", &first.to_string(), &end.to_string()])
        // A debugger that prints where ggml gave up takes longer than the case.
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start a child")
}

/// Runs a part, in as many children as it takes.
fn run_part(
    mut first: usize,
    end: usize,
    state: &Mutex<State>,
    start: &dyn Fn(usize, usize) -> Result<Child>,
) -> Result<()> {
    while first < end {
        let limit = state.lock().expect("no panic").options.limit;
        let mut child = start(first, end)?;
        let (next, begun, late) = follow(&mut child, first, Duration::from_secs(limit), state)?;
        let status = child.wait()?;
        let mut state = state.lock().expect("no panic");
        if let Some(begun) = begun {
            let mut note = if late {
                format!("took more than {limit} s")
            } else {
                describe(status)
            };
            // The CPU's backend gives up where a kernel of it lacks a case that it said to have.
            let word = match begun.reference {
                true if status.signal() == Some(libc::SIGABRT) => {
                    note = "the reference aborts".into();
                    "unsupported"
                }
                true => {
                    note.push_str(" in the reference");
                    "DIED"
                }
                false => "DIED",
            };
            let seconds = begun.since.elapsed().as_secs_f64();
            state.record(begun.index, word, f64::INFINITY, seconds, &note);
            first = begun.index + 1;
            continue;
        }
        if next == end && !status.success() {
            state.fail_at_exit(end - 1, status);
        }
        ensure!(
            next > first,
            "a child ended before its first case: {}",
            describe(status)
        );
        first = next;
    }
    Ok(())
}

/// A case that has begun.
struct Begun {
    index: usize,
    since: Instant,
    /// Whether the device is done and the reference runs.
    reference: bool,
}

/// Reads what a child says until its end. The results are the next case, the one in which the child ended, and whether it
/// was ended for taking too long.
fn follow(
    child: &mut Child,
    mut next: usize,
    limit: Duration,
    state: &Mutex<State>,
) -> Result<(usize, Option<Begun>, bool)> {
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let (sender, receiver) = channel();
    // Ends with the child, which holds the other end of the pipe.
    thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .all(|line| sender.send(line).is_ok())
    });
    let mut begun: Option<Begun> = None;
    loop {
        let line = match receiver.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok((next, begun, false)),
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                return Ok((next, begun, true));
            }
        };
        // A backend may have printed something without a line's end before.
        if let Some((_, index)) = line.split_once(BEGIN) {
            begun = Some(Begun {
                index: index.parse()?,
                since: Instant::now(),
                reference: false,
            });
            continue;
        }
        let Some(Begun {
            index, reference, ..
        }) = &mut begun
        else {
            continue;
        };
        let index = *index;
        *reference |= line.contains(REFERENCE);
        if let Some((_, rest)) = line.split_once(END) {
            let mut fields = rest.splitn(4, ' ');
            let mut field = || fields.next().unwrap_or_default();
            let (seconds, word, error, note) = (field(), field(), field(), field());
            let mut state = state.lock().expect("no panic");
            state.record(index, word, error.parse()?, seconds.parse()?, note);
            next = index + 1;
            begun = None;
        }
    }
}

/// How a child ended.
fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGABRT) => "aborted".into(),
        Some(libc::SIGSEGV) => "segmentation fault".into(),
        Some(libc::SIGKILL) => "killed".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Cases, Measure};
    use super::*;

    /// As many cases of one family; what they compute does not matter here.
    fn family(name: &'static str, count: usize) -> Vec<(&'static str, Case)> {
        let mut cases = Cases::new(name);
        for i in 0..count {
            cases.add(format!("{i}"), Measure::Equal, Vec::new(), |m, _| {
                m.arange(0.0, 1.0, 1.0)
            });
        }
        cases.all.into_iter().map(|case| (name, case)).collect()
    }

    #[test]
    fn parts_hold_one_family_each_and_all_cases() {
        let mut cases = family("first", 3);
        cases.extend(family("second", PART + 5));
        cases.extend(family("third", 1));
        let (a, b, c) = (3, 3 + PART, 8 + PART);
        assert_eq!(parts(&cases), [(0, a), (a, b), (b, c), (c, c + 1)]);
    }

    /// Runs a part whose children are scripts, which know the first case as `$0`.
    fn run_scripts(count: usize, script: &str) -> Result<(Totals, Vec<String>)> {
        let options = Options {
            device: String::new(),
            only: Vec::new(),
            family: Vec::new(),
            subset: false,
            jobs: 1,
            limit: 1,
            quiet: true,
            list: false,
            time: None,
            part: None,
        };
        let cases = family("family", count);
        let state = Mutex::new(State {
            options: &options,
            cases: &cases,
            totals: BTreeMap::new(),
            disagreements: Vec::new(),
        });
        run_part(0, count, &state, &|first, _| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, &first.to_string()]);
            Ok(shell.stdout(Stdio::piped()).spawn()?)
        })?;
        let mut state = state.into_inner().expect("no panic");
        let totals = state.totals.remove("family").unwrap_or_default();
        Ok((totals, state.disagreements))
    }

    #[test]
    fn the_next_child_goes_on_behind_the_case_in_which_one_died() {
        let script = r#"
            begin() { printf 'noise\001begin %s\n' $1; }
            end() { printf '\001end 0.5 %s\n' "$1"; }
            case $0 in
                0) begin 0; end 'ok 0 '; begin 1; kill -SEGV $$ ;;
                2) begin 2; printf '\001reference\n'; kill -ABRT $$ ;;
                3) begin 3; printf '\001reference\n'; kill -SEGV $$ ;;
                4) begin 4; end 'WRONG 0.25 Equal'; begin 5; exec sleep 5 ;;
                6) begin 6; end 'unsupported 0 no ggml_other'; begin 7; end 'ok 0 ' ;;
            esac"#;
        let (totals, disagreements) = run_scripts(8, script).expect("the children start");
        assert_eq!((totals.agree, totals.disagree), (2, 4));
        let unsupported: Vec<_> = totals.unsupported.into_iter().collect();
        assert_eq!(
            unsupported,
            [
                ("no ggml_other".to_string(), 1),
                ("the reference aborts".to_string(), 1)
            ]
        );
        let expected = [
            ("DIED", "1 (segmentation fault)"),
            ("DIED", "3 (segmentation fault in the reference)"),
            ("WRONG", "4 (Equal)"),
            ("DIED", "5 (took more than 1 s)"),
        ];
        for ((word, rest), line) in expected.into_iter().zip(&disagreements) {
            assert!(line.starts_with(word) && line.ends_with(rest), "{line}");
        }
    }

    #[test]
    fn a_child_that_fails_after_its_last_case_is_a_disagreement() {
        let script = r"printf '\001begin 0\n\001end 0.5 ok 0 \n'; exit 3";
        let (totals, disagreements) = run_scripts(1, script).expect("the child starts");
        assert_eq!((totals.agree, totals.disagree), (1, 1));
        assert!(disagreements[0].contains("exit status: 3"));
    }

    #[test]
    fn a_child_that_does_not_begin_is_an_error() {
        let error = run_scripts(1, "exit 2")
            .err()
            .expect("nothing was computed");
        assert!(error.to_string().contains("before its first case"));
    }
}
