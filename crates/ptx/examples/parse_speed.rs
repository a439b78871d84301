//! How fast modules and bodies are parsed: `parse_speed FILE.ptx...` prints MB/s for heads and for bodies.
//!
//! With `--round-trip` each body is printed, parsed again and compared instead.

use std::time::{Duration, Instant};

fn main() {
    let mut files: Vec<_> = std::env::args().skip(1).collect();
    let round_trip = files.first().is_some_and(|first| first == "--round-trip");
    if round_trip {
        files.remove(0);
    }
    let (mut heads, mut bodies) = (Duration::ZERO, Duration::ZERO);
    let (mut bytes, mut functions, mut statements, mut failed) = (0usize, 0usize, 0usize, 0usize);
    for file in &files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                failed += 1;
                continue;
            }
        };
        let start = Instant::now();
        let module = ptx::Module::parse(&text);
        heads += start.elapsed();
        bytes += text.len();
        let module = match module {
            Ok(module) => module,
            Err(error) => {
                eprintln!("{file}: {error}");
                failed += 1;
                continue;
            }
        };
        if round_trip {
            if let Err(error) = compare(&module) {
                eprintln!("{file}: {error}");
                failed += 1;
            }
        }
        for function in module.functions.iter().filter(|f| f.body.is_some()) {
            let start = Instant::now();
            let body = module.parse_body(function);
            bodies += start.elapsed();
            functions += 1;
            match body {
                Ok(body) => statements += body.statements.len(),
                Err(error) => {
                    eprintln!("{file}: {}: {error}", function.name);
                    failed += 1;
                }
            }
        }
    }
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9);
    println!(
        "{} files, {:.1} MB, {functions} bodies, {statements} statements",
        files.len(),
        bytes as f64 / 1e6
    );
    println!(
        "heads {:.0} MB/s, bodies {:.0} MB/s, both {:.0} MB/s",
        rate(heads),
        rate(bodies),
        rate(heads + bodies)
    );
    if failed > 0 {
        println!("{failed} failed");
        std::process::exit(1);
    }
}

/// Prints the module, parses the text and compares the bodies.
fn compare(module: &ptx::Module<'_>) -> Result<(), String> {
    let text = ptx::printer::module(module).map_err(|e| e.to_string())?;
    let again = ptx::Module::parse(&text).map_err(|e| format!("printed module: {e}"))?;
    if again.variables.len() != module.variables.len()
        || again.functions.len() != module.functions.len()
    {
        return Err("other declarations".into());
    }
    for function in module.functions.iter().filter(|f| f.body.is_some()) {
        let other = again
            .function(&function.name)
            .ok_or_else(|| format!("{} lost", function.name))?;
        let mut body = module.parse_body(function).map_err(|e| e.to_string())?;
        let mut printed = again
            .parse_body(other)
            .map_err(|e| format!("printed {}: {e}", function.name))?;
        for body in [&mut body, &mut printed] {
            for statement in &mut body.statements {
                if let ptx::Statement::Instruction(instruction) = statement {
                    instruction.span = ptx::Span(0);
                }
            }
        }
        if body.statements != printed.statements || body.registers != printed.registers {
            return Err(format!("{} changed", function.name));
        }
    }
    Ok(())
}
