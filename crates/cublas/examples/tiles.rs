//! Measures the shapes of the tensor-core kernel `gemm_depth` on the device of a `libcuda.so.1`:
//! `cargo run --release -p cublas --example tiles -- M N K [M N K ...]`.
//!
//! Prints TFLOP/s of each shape for each product of half precision, `op(A) = T`, `op(B) = N`: twenty launches in a row, the
//! best of nine such rows. What `gemm_depth` says of its shapes' times comes from here.

use std::error::Error;
use std::ffi::{c_void, CString};
use std::ptr;
use std::time::Instant;

use cublas::driver::driver;
use cublas::kernels::gemm_depth::{Shape, Spec};
use cublas::ptx::Element;
use cuda_abi::{CUcontext, CUfunction, CUmodule, CUstream};

/// Other shapes than those of `Shape::ALL`, to see whether they would be better.
const MORE: [Shape; 5] = [
    Shape {
        tile: (128, 128),
        warps: (4, 2),
        groups: 1,
    },
    Shape {
        tile: (128, 128),
        warps: (2, 4),
        groups: 2,
    },
    Shape {
        tile: (128, 64),
        warps: (4, 2),
        groups: 2,
    },
    Shape {
        tile: (64, 128),
        warps: (2, 4),
        groups: 2,
    },
    Shape {
        tile: (128, 64),
        warps: (2, 2),
        groups: 1,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    if numbers.is_empty() || numbers.len() % 3 != 0 {
        return Err("arguments: M N K [M N K ...]".into());
    }
    let d = driver().map_err(|status| format!("{status:?}"))?;
    let check = |what: &str, result: cuda_abi::CUresult| -> Result<(), Box<dyn Error>> {
        match result.0 {
            0 => Ok(()),
            error => Err(format!("{what}: error {error}").into()),
        }
    };
    // SAFETY: every pointer is to a live variable or to device memory of the size that the call needs.
    unsafe {
        let mut context = CUcontext::NULL;
        check("cuInit", (d.init)(0))?;
        check(
            "cuDevicePrimaryCtxRetain",
            (d.device_primary_ctx_retain)(&mut context, 0),
        )?;
        check("cuCtxSetCurrent", (d.ctx_set_current)(context))?;
        for size in numbers.chunks_exact(3) {
            let [m, n, k] = [size[0], size[1], size[2]];
            println!("{m} x {n} x {k}");
            let allocate = |numbers: u32| {
                let (mut address, bytes) = (0, numbers as usize * 2);
                check("cuMemAlloc", (d.mem_alloc)(&mut address, bytes))?;
                let ones = vec![half::f16::ONE.to_bits(); numbers as usize];
                check(
                    "cuMemcpyHtoD",
                    (d.memcpy_htod)(address, ones.as_ptr().cast(), bytes),
                )?;
                Ok::<u64, Box<dyn Error>>(address)
            };
            let (a, b, c) = (allocate(m * k)?, allocate(n * k)?, allocate(m * n)?);
            for shape in Shape::ALL.into_iter().chain(MORE) {
                if k % shape.depth() != 0 {
                    continue;
                }
                let spec = Spec {
                    element_ab: Element::F16,
                    element_c: Element::F16,
                    scale: Element::F16,
                    shape,
                };
                let (text, name) = (CString::new(spec.ptx())?, CString::new(spec.name())?);
                let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
                check(
                    "cuModuleLoadData",
                    (d.module_load_data)(&mut module, text.as_ptr().cast()),
                )?;
                check(
                    "cuModuleGetFunction",
                    (d.module_get_function)(&mut function, module, name.as_ptr()),
                )?;
                let (tiles_m, tiles_n) = (m.div_ceil(shape.tile.0), n.div_ceil(shape.tile.1));
                let one = u64::from(1f32.to_bits());
                let (line, wide) = (u64::from(2 * k), u64::from);
                let mut words = [
                    a,
                    b,
                    c,
                    line,
                    line,
                    wide(2 * m),
                    0,
                    0,
                    0,
                    wide(m),
                    wide(n),
                    wide(k),
                    wide(tiles_m),
                    0,
                    0,
                    one,
                    0,
                    0,
                ];
                let mut parameters: Vec<*mut c_void> =
                    words.iter_mut().map(|w| ptr::from_mut(w).cast()).collect();
                let mut best = f64::INFINITY;
                for _ in 0..9 {
                    let begin = Instant::now();
                    for _ in 0..20 {
                        let result = (d.launch_kernel)(
                            function,
                            tiles_m * tiles_n,
                            1,
                            1,
                            shape.threads(),
                            1,
                            1,
                            0,
                            CUstream::NULL,
                            parameters.as_mut_ptr(),
                            ptr::null_mut(),
                        );
                        check("cuLaunchKernel", result)?;
                    }
                    check("cuCtxSynchronize", (d.ctx_synchronize)())?;
                    best = best.min(begin.elapsed().as_secs_f64() / 20.0);
                }
                // Every sum is k ones; rounded to half precision.
                let mut corner = 0u16;
                let last = c + 2 * (wide(m) * wide(n) - 1);
                check(
                    "cuMemcpyDtoH",
                    (d.memcpy_dtoh)(ptr::from_mut(&mut corner).cast(), last, 2),
                )?;
                if corner != half::f16::from_f32(k as f32).to_bits() {
                    return Err(format!("{}: a wrong sum", spec.name()).into());
                }
                let operations = 2.0 * f64::from(m) * f64::from(n) * f64::from(k);
                println!(
                    "{:8.1} us {:7.1} TFLOP/s  {shape:?}",
                    best * 1e6,
                    operations / best / 1e12
                );
            }
            for address in [a, b, c] {
                check("cuMemFree", (d.mem_free)(address))?;
            }
        }
    }
    Ok(())
}
