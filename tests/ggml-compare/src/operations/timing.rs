//! How long single operations take, in shapes of a model with 8 billion parameters.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::backend::{encode, Attempt, Backend};
use super::case::{input, Case, Cases, Fill, Input, Measure, Type};
use crate::library::Functions;

/// How long a device works before it is measured: GPUs slow down while kernels are compiled.
const WARM: Duration = Duration::from_millis(500);

/// What generation and prompts of an 8 B model take most of their time for.
pub fn cases() -> Cases {
    let mut cases = Cases::new("timing");
    for kind in [
        Type::F16,
        Type::BF16,
        Type::Q4_0,
        Type::Q8_0,
        Type::Q3_K,
        Type::Q4_K,
        Type::Q5_K,
        Type::Q6_K,
        Type::IQ4_NL,
        Type::MXFP4,
    ] {
        // Eight columns are a kernel of its own where weights are no blocks.
        let columns: &[i64] = match kind {
            Type::F16 | Type::BF16 => &[1, 8, 512],
            _ => &[1, 512],
        };
        for &columns in columns {
            cases.add(
                "MUL_MAT",
                Measure::PRODUCT,
                vec![
                    input(kind, &[14336, 4096]),
                    input(Type::F32, &[14336, columns]),
                ],
                |m, t| m.mul_mat(t[0], t[1]),
            );
        }
    }
    for columns in [1, 512] {
        cases.add(
            "FLASH_ATTN_EXT",
            Measure::PRODUCT,
            vec![
                input(Type::F32, &[128, columns, 32]),
                input(Type::F16, &[128, 512, 8]),
                input(Type::F16, &[128, 512, 8]),
                input(Type::F16, &[512, columns]).fill(Fill::Causal),
            ],
            |m, t| m.flash_attn_ext(t[0], t[1], t[2], Some(t[3]), 0.088, 0.0, 0.0),
        );
        let plain = input(Type::F32, &[4096, columns]);
        cases.add("RMS_NORM", Measure::CLOSE, vec![plain], |m, t| {
            m.rms_norm(t[0], 1e-5)
        });
        cases.add("ADD", Measure::CLOSE, vec![plain; 2], |m, t| {
            m.add(t[0], t[1])
        });
        cases.add("SWIGLU", Measure::CLOSE, vec![plain; 2], |m, t| {
            m.glu_split(t[0], t[1], 2)
        });
    }
    cases
}

/// Seconds that an operation takes, as one of `repeat` in a graph; the best of ten runs after others that do not count: three
/// at least, as a backend may record a graph at its third, and until [`WARM`] is over.
///
/// # Errors
/// When memory or the computation fails.
pub fn measure(c: &Functions, backend: &Backend, case: &Case, repeat: u32) -> Result<Attempt<f64>> {
    let bytes = |input: &Input, seed: u64| repeated_bytes(c, input, seed);
    let graph = match backend.graph(case, repeat as usize, &bytes)? {
        Attempt::Done(graph) => graph,
        Attempt::Unsupported(why) => return Ok(Attempt::Unsupported(why)),
    };
    let begin = Instant::now();
    let mut runs = 0;
    while runs < 3 || begin.elapsed() < WARM {
        backend.run(&graph, case)?;
        runs += 1;
    }
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let begin = Instant::now();
        backend.run(&graph, case)?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(Attempt::Done(best / f64::from(repeat)))
}

/// Bytes of the tensor's type that hold numbers, quick to make for large tensors: the first rows, repeated.
fn repeated_bytes(c: &Functions, input: &Input, seed: u64) -> Vec<u8> {
    const ROWS: i64 = 8;
    let [columns, others @ ..] = input.size;
    let rows: i64 = others.iter().product();
    if input.fill == Fill::Causal || rows % ROWS != 0 {
        return encode(c, input.kind, input.size, input.fill, seed);
    }
    encode(c, input.kind, [columns, ROWS, 1, 1], input.fill, seed).repeat((rows / ROWS) as usize)
}
