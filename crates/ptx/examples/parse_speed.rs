//! How fast modules and bodies are parsed: `parse_speed FILE.ptx...` prints MB/s for heads and for bodies.

use std::time::{Duration, Instant};

fn main() {
    let files: Vec<_> = std::env::args().skip(1).collect();
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
