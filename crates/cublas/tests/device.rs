//! cuBLAS's C functions on a device: `VKCUDA_LIBCUDA=path/to/libcuda.so cargo test -p cublas --test device`.
//!
//! Without the variable the system's `libcuda.so.1` is not tried, and the test says that it was not run. A kernel that
//! goes wrong may end the process, so this is a test program of its own with one test.

#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "common/banded.rs"]
mod banded;
#[path = "common/batches.rs"]
mod batches;
#[path = "common/device.rs"]
mod device;
#[path = "common/legacy.rs"]
mod legacy;
#[path = "common/products.rs"]
mod products;
#[path = "common/rotations.rs"]
mod rotations;
#[path = "common/structured.rs"]
mod structured;
#[path = "common/vectors.rs"]
mod vectors;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

#[test]
fn every_function_on_a_device() {
    let Some(path) = std::env::var_os("VKCUDA_LIBCUDA") else {
        eprintln!("NOT RUN: VKCUDA_LIBCUDA does not name a libcuda.so");
        return;
    };
    // A library of SONAME libcuda.so.1 that is loaded already is the one that cuBLAS finds.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) };
    let library = library.unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()));
    let tests: [(&str, fn()); 24] = [
        ("wrong arguments", products::wrong_arguments),
        (
            "products by named functions",
            products::products_by_named_functions,
        ),
        (
            "products of every format",
            products::products_of_every_format,
        ),
        ("products of every shape", products::products_of_every_shape),
        (
            "products of misaligned matrices",
            products::products_of_misaligned_matrices,
        ),
        ("products in batches", products::products_in_batches),
        (
            "products of large matrices",
            products::products_of_large_matrices,
        ),
        ("products of tiles", products::products_of_tiles),
        ("products along k", products::products_along_k),
        ("triangular systems", structured::triangular_systems),
        ("matrices and vectors", structured::matrices_and_vectors),
        ("rank updates", structured::rank_updates),
        ("band and packed products", banded::band_and_packed_products),
        (
            "band and packed triangles",
            banded::band_and_packed_triangles,
        ),
        ("packed updates", banded::packed_updates),
        ("vectors of 16 bits", batches::vectors_of_16_bits),
        ("grouped products", batches::grouped_products),
        (
            "functions of the old header",
            legacy::functions_of_the_old_header,
        ),
        ("settings", legacy::settings),
        ("givens rotations", rotations::givens_rotations),
        ("modified rotations", rotations::modified_rotations),
        ("vectors of free types", rotations::vectors_of_free_types),
        ("reductions", vectors::reductions),
        ("elementwise operations", vectors::elementwise),
    ];
    // A part of a name selects tests.
    let wanted = std::env::var("VKCUDA_CUBLAS_TESTS").unwrap_or_default();
    for (name, test) in tests.iter().filter(|(name, _)| name.contains(&wanted)) {
        let start = std::time::Instant::now();
        test();
        eprintln!("{name}: ok, {:.1} s", start.elapsed().as_secs_f32());
    }
    drop(library);
}
