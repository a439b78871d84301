//! Prints the coverage document: `cargo run -p cuda-abi --example api_coverage > docs/api-coverage.md`.

fn main() {
    print!("{}", cuda_abi::coverage::document());
}
