//! `libcublas.so.13`. See the crate `cublas`, section "The shared libraries".

cublas::export_library!(13);
