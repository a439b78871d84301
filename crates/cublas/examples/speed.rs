//! Measures `cublasGemmEx` on the device of a `libcuda.so.1`:
//! `cargo run --release -p cublas --example speed -- F16 T N 512 512 512 [rounds]`.
//!
//! Types: `F16` (sums 16F), `H32` (half to single), `BF16`, `F32`, `F64`, `S8`. Prints the first call, with its
//! translation, and the best of the rounds.

use std::error::Error;
use std::ptr;
use std::time::Instant;

use cublas::api::{cublasCreate_v2, cublasDestroy_v2, cublasGemmEx};
use cublas::driver::driver;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [formats, op_a, op_b, m, n, k, rest @ ..] = arguments.as_slice() else {
        return Err("arguments: TYPE N|T N|T m n k [rounds]".into());
    };
    let (m, n, k): (usize, usize, usize) = (m.parse()?, n.parse()?, k.parse()?);
    let rounds: usize = rest.first().map_or(Ok(5), |text| text.parse())?;
    let half = half::f16::ONE.to_le_bytes().to_vec();
    let brain = half::bf16::ONE.to_le_bytes().to_vec();
    let single = 1f32.to_le_bytes().to_vec();
    let double = 1f64.to_le_bytes().to_vec();
    // Data types of A and B and of C, compute type, a one of the type of A and B, and one of the scalars' type.
    let (ab, c_type, compute, one_ab, one) = match formats.as_str() {
        "F16" => (2, 2, 64, half.clone(), half),
        "H32" => (2, 0, 68, half, single),
        "BF16" => (14, 0, 68, brain, single),
        "F32" => (0, 0, 68, single.clone(), single),
        "F64" => (1, 1, 70, double.clone(), double),
        "S8" => (3, 10, 72, vec![1], 1i32.to_le_bytes().to_vec()),
        other => return Err(format!("no such type: {other}").into()),
    };
    let bytes = one_ab.len();
    let zero = [0u8; 8];
    let transposed = |op: &str| i32::from(op == "T");
    let (lda, ldb) = (
        if transposed(op_a) == 1 { k } else { m },
        if transposed(op_b) == 1 { n } else { k },
    );
    let mut handle = ptr::null_mut();
    // SAFETY: every pointer is to a live variable or to device memory of the size that the call needs.
    unsafe {
        let status = cublasCreate_v2(&mut handle);
        if status != 0 {
            return Err(format!("cublasCreate: {status}").into());
        }
        let driver = driver().map_err(|status| format!("{status:?}"))?;
        let allocate = |bytes: usize| {
            let mut address = 0;
            let result = (driver.mem_alloc)(&mut address, bytes);
            // Products of ones: neither underflow nor overflow disturbs the time.
            let pattern: Vec<u8> = one_ab.iter().copied().cycle().take(bytes).collect();
            let result = if result.0 == 0 {
                (driver.memcpy_htod)(address, pattern.as_ptr().cast(), bytes)
            } else {
                result
            };
            (result.0 == 0).then_some(address).ok_or("no device memory")
        };
        let (a, b, c) = (
            allocate(m * k * bytes)?,
            allocate(k * n * bytes)?,
            allocate(m * n * 8)?,
        );
        let call = || {
            let start = Instant::now();
            let status = cublasGemmEx(
                handle,
                transposed(op_a),
                transposed(op_b),
                m as i32,
                n as i32,
                k as i32,
                one.as_ptr().cast(),
                a as *const _,
                ab,
                lda as i32,
                b as *const _,
                ab,
                ldb as i32,
                zero.as_ptr().cast(),
                c as *mut _,
                c_type,
                m as i32,
                compute,
                -1,
            );
            let synchronized = (driver.ctx_synchronize)();
            (status == 0 && synchronized.0 == 0)
                .then(|| start.elapsed())
                .ok_or_else(|| format!("cublasGemmEx: {status}, then {synchronized:?}"))
        };
        let first = call()?;
        let mut best = first;
        for _ in 0..rounds {
            best = best.min(call()?);
        }
        let operations = 2.0 * m as f64 * n as f64 * k as f64;
        println!(
            "{formats} {op_a}{op_b} {m} x {n} x {k}: first {:.1} ms, best {:.3} ms, {:.2} GFLOP/s",
            first.as_secs_f64() * 1e3,
            best.as_secs_f64() * 1e3,
            operations / best.as_secs_f64() / 1e9,
        );
        cublasDestroy_v2(handle);
    }
    Ok(())
}
