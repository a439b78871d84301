//! Matrices spread over the lanes of a warp (PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions").

pub mod fragment;
pub mod load;
pub mod multiply;
pub mod wmma;
