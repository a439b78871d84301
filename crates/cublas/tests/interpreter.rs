//! cuBLAS's C functions on the interpreter of the crate `ptx-reference`.

#![allow(clippy::undocumented_unsafe_blocks, clippy::missing_safety_doc)]

#[path = "common/banded.rs"]
mod banded;
#[path = "common/batches.rs"]
mod batches;
#[path = "common/device.rs"]
mod device;
#[path = "common/interpreter.rs"]
mod interpreter;
#[path = "common/legacy.rs"]
mod legacy;
#[allow(dead_code)] // Tests of the kernels for GPUs.
#[path = "common/products.rs"]
mod products;
#[path = "common/rotations.rs"]
mod rotations;
#[path = "common/structured.rs"]
mod structured;
#[path = "common/vectors.rs"]
mod vectors;

macro_rules! tests {
    ($($module:ident::$name:ident)*) => {$(
        #[test]
        fn $name() {
            interpreter::start("llvmpipe");
            $module::$name();
        }
    )*};
}

tests! {
    products::products_of_every_format
    products::products_of_every_shape
    products::products_of_misaligned_matrices
    products::products_in_batches
    products::products_by_named_functions
    products::wrong_arguments
    structured::triangular_systems
    structured::matrices_and_vectors
    structured::rank_updates
    banded::band_and_packed_products
    banded::band_and_packed_triangles
    banded::packed_updates
    batches::vectors_of_16_bits
    batches::grouped_products
    legacy::functions_of_the_old_header
    legacy::settings
    rotations::givens_rotations
    rotations::modified_rotations
    rotations::vectors_of_free_types
    vectors::reductions
    vectors::elementwise
}
