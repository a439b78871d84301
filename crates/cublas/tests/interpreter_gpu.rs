//! The kernels for GPUs on the interpreter of the crate `ptx-reference`.

#![allow(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

#[path = "common/device.rs"]
mod device;
#[path = "common/interpreter.rs"]
mod interpreter;
#[path = "common/products.rs"]
mod products;

macro_rules! tests {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            interpreter::start("GPU");
            products::$name();
        }
    )*};
}

tests! {
    products_of_every_format
    products_of_every_shape
    products_of_misaligned_matrices
    products_in_batches
    products_by_named_functions
    products_of_large_matrices
    products_along_k
    products_of_tiles
    wrong_arguments
}
