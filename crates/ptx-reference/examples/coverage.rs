//! Which instruction forms of PTX files the interpreter does not know: `coverage FILE.ptx...` prints each with its count
//! and the first place.

use std::collections::BTreeMap;

fn main() {
    let mut missing: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let (mut kernels, mut failed) = (0, 0);
    for file in std::env::args().skip(1) {
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{file}: {error}");
                failed += 1;
                continue;
            }
        };
        let module = match ptx::Module::parse(&text) {
            Ok(module) => module,
            Err(error) => {
                eprintln!("{file}: {error}");
                failed += 1;
                continue;
            }
        };
        for function in module
            .functions
            .iter()
            .filter(|f| f.is_entry && f.body.is_some())
        {
            kernels += 1;
            match ptx_reference::interpreter::unsupported(&module, &function.name) {
                Ok(forms) => {
                    for (form, line) in forms {
                        missing
                            .entry(form)
                            .or_insert_with(|| (0, format!("{file}:{line}")))
                            .0 += 1;
                    }
                }
                Err(error) => {
                    eprintln!("{file}: {}: {error}", function.name);
                    failed += 1;
                }
            }
        }
    }
    for (form, (count, place)) in &missing {
        println!("{count:8} {form}  {place}");
    }
    println!(
        "{kernels} kernels, {} unknown forms, {failed} failures",
        missing.len()
    );
    if failed > 0 || !missing.is_empty() {
        std::process::exit(1);
    }
}
