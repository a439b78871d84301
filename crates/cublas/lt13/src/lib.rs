//! `libcublasLt.so.13`. See the crate `cublas`, section "The shared libraries".

cublas::export_lt_library!(13);
