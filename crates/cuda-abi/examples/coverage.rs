//! Prints the coverage document: `cargo run -p cuda-abi --example coverage > crates/cuda-abi/COVERAGE.md`.

fn main() {
    print!("{}", cuda_abi::functions::coverage());
}
