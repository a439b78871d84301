//! Parses a module and all its bodies and prints them again: `print FILE.ptx`.

fn main() {
    let file = std::env::args().nth(1).unwrap_or_default();
    let printed = std::fs::read_to_string(&file)
        .map_err(|e| e.to_string())
        .and_then(|text| {
            ptx::Module::parse(&text)
                .and_then(|m| ptx::printer::module(&m))
                .map_err(|e| e.to_string())
        });
    match printed {
        Ok(text) => print!("{text}"),
        Err(error) => {
            eprintln!("{file}: {error}");
            std::process::exit(1);
        }
    }
}
