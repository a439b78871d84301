//! `libcublas.so.12`. See the crate `cublas`, section "The shared libraries".

cublas::export_library!(12);
