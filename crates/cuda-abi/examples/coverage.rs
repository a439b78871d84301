//! Prints the coverage document: `cargo run -p cuda-abi --example coverage > docs/api-coverage.md`.

fn main() {
    print!("{}", cuda_abi::coverage::document());
}
