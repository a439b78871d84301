//! `libcublasLt.so.12`. See the crate `cublas`, section "The shared libraries".

cublas::export_lt_library!(12);
