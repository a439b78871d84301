//! The table of driver functions as a document: `docs/api-coverage.md`.

use crate::functions::{Function, Status, FUNCTIONS};
use std::fmt::Write;

/// Which functions a section is about.
type Filter = fn(&Function) -> bool;

/// The whole document.
///
/// ```
/// assert!(cuda_abi::coverage::document().contains("| `cuMemAlloc_v2` | 3.2 |"));
/// ```
pub fn document() -> String {
    let mut text = String::from(
        "# The CUDA driver API, function by function\n\n\
         Every function of `cuda.h` of CUDA 13.5 and before, and of its companions for OpenGL, EGL, VDPAU and the profiler, is\n\
         exported by `libcuda.so.1` and found by `cuGetProcAddress`. Made from the table in\n\
         `crates/cuda-abi/src/functions.rs` by `cargo run -p cuda-abi --example api_coverage > docs/api-coverage.md`; a test compares.\n\n",
    );
    let sections: [(&str, &str, Filter); 4] = [
        ("Implemented", "", |f| f.status == Status::Ready),
        (
            "Refused",
            "They answer the error, and say in the log (`VKCUDA_LOG=warn`) why.",
            |f| matches!(f.status, Status::Refused(..)),
        ),
        (
            "Meaningless here",
            "What these are about cannot exist on a device that is not NVIDIA's, or on Linux. They answer the error.",
            |f| matches!(f.status, Status::Meaningless(..)),
        ),
        (
            "Missing",
            "They answer `CUDA_ERROR_NOT_SUPPORTED`, and say in the log that they are missing.",
            |f| f.status == Status::Absent,
        ),
    ];
    let rows = |of: Filter| FUNCTIONS.iter().filter(move |f| !f.per_thread && of(f));
    text += "| | functions |\n|---|---|\n";
    for (title, _, of) in sections {
        let _ = writeln!(text, "| {} | {} |", title.to_lowercase(), rows(of).count());
    }
    for (title, note, of) in sections {
        let mut functions: Vec<_> = rows(of).collect();
        if functions.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {title}\n\n");
        if !note.is_empty() {
            let _ = write!(text, "{note}\n\n");
        }
        functions.sort_by_key(|f| f.symbol);
        let reasoned = reason(functions[0]).is_some();
        text += if reasoned {
            "| function | since CUDA | per-thread twin | error | why |\n|---|---|---|---|---|\n"
        } else {
            "| function | since CUDA | per-thread twin |\n|---|---|---|\n"
        };
        for function in functions {
            let _ = write!(
                text,
                "| `{}` | {}.{} | {} |",
                function.symbol,
                function.since / 1000,
                function.since % 1000 / 10,
                twin(function).map_or(String::new(), |twin| format!("`{twin}`")),
            );
            if let Some((error, why)) = reason(function) {
                let _ = write!(text, " `{error}` | {why} |");
            }
            text.push('\n');
        }
    }
    text
}

/// The symbol of a function's per-thread-default-stream twin.
fn twin(function: &Function) -> Option<&'static str> {
    ["_ptsz", "_ptds"].iter().find_map(|suffix| {
        let symbol = format!("{}{suffix}", function.symbol);
        let twin = FUNCTIONS.iter().find(|f| f.symbol == symbol)?;
        Some(twin.symbol)
    })
}

/// The error's name and the reason for it.
fn reason(function: &Function) -> Option<(&'static str, &'static str)> {
    match function.status {
        Status::Refused(error, why) | Status::Meaningless(error, why) => {
            Some((error.name().unwrap_or("?"), why))
        }
        Status::Ready | Status::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_up_to_date() {
        let written = include_str!("../../../docs/api-coverage.md");
        assert!(
            written == super::document(),
            "run: cargo run -p cuda-abi --example api_coverage > docs/api-coverage.md"
        );
    }
}
