//! cudarc, Rust's safe bindings: memory, NVRTC kernels, streams, events, graphs and cuBLAS. Ends with an error where a
//! number is wrong.

use cudarc::cublas::sys::cublasOperation_t::CUBLAS_OP_N;
use cudarc::cublas::{CudaBlas, Gemm, GemmConfig};
use cudarc::driver::sys::{CUgraphInstantiate_flags_enum, CUstreamCaptureMode_enum};
use cudarc::driver::{CudaContext, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::compile_ptx;
use std::error::Error;

const SOURCE: &str = r#"
extern "C" __global__ void scale(float* out, const float* in, float factor, size_t n) {
    size_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = factor * in[i];
}
extern "C" __global__ void reverse(int* data) {
    __shared__ int place[256];
    place[threadIdx.x] = data[threadIdx.x];
    __syncthreads();
    data[threadIdx.x] = place[blockDim.x - 1 - threadIdx.x];
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let context = CudaContext::new(0)?;
    println!("{}, {:?}", context.name()?, context.compute_capability()?);
    // cudarc's own events between streams would be foreign to the graph that is captured below.
    // SAFETY: every stream is synchronised before another uses its memory.
    unsafe { context.disable_event_tracking() };
    let stream = context.default_stream();
    let module = context.load_module(compile_ptx(SOURCE)?)?;

    // Memory there and back, and a kernel.
    let values: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let input = stream.clone_htod(&values)?;
    let mut output = stream.alloc_zeros::<f32>(1000)?;
    let scale = module.load_function("scale")?;
    let (factor, n) = (3f32, 1000usize);
    let mut launch = stream.launch_builder(&scale);
    launch.arg(&mut output).arg(&input).arg(&factor).arg(&n);
    // SAFETY: the arguments are the kernel's.
    unsafe { launch.launch(LaunchConfig::for_num_elems(1000)) }?;
    let scaled = stream.clone_dtoh(&output)?;
    assert!(scaled.iter().zip(&values).all(|(s, v)| *s == 3.0 * v));
    println!("kernel");

    // Another stream, with shared memory.
    let other = context.new_stream()?;
    let numbers: Vec<i32> = (0..256).collect();
    let mut data = other.clone_htod(&numbers)?;
    let reverse = module.load_function("reverse")?;
    let mut launch = other.launch_builder(&reverse);
    launch.arg(&mut data);
    let config = LaunchConfig {
        grid_dim: (1, 1, 1),
        block_dim: (256, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: as above.
    unsafe { launch.launch(config) }?;
    let start = other.record_event(None)?;
    other.wait(&start)?;
    let reversed = other.clone_dtoh(&data)?;
    other.synchronize()?;
    assert!(reversed.iter().eq(numbers.iter().rev()));
    println!("streams and events");

    // A captured graph.
    other.begin_capture(CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_RELAXED)?;
    let mut launch = other.launch_builder(&reverse);
    launch.arg(&mut data);
    // SAFETY: as above.
    unsafe { launch.launch(config) }?;
    let flags = CUgraphInstantiate_flags_enum::CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;
    let graph = other.end_capture(flags)?.ok_or("no graph")?;
    for _ in 0..3 {
        graph.launch()?;
    }
    other.synchronize()?;
    assert_eq!(other.clone_dtoh(&data)?, numbers);
    println!("graph");

    // Products, column by column.
    let blas = CudaBlas::new(stream.clone())?;
    let (m, n, k) = (7, 5, 9);
    let a: Vec<f32> = (0..m * k).map(|i| (i % 11) as f32 - 5.0).collect();
    let b: Vec<f32> = (0..k * n).map(|i| (i % 7) as f32 - 3.0).collect();
    let (ga, gb) = (stream.clone_htod(&a)?, stream.clone_htod(&b)?);
    let mut gc = stream.alloc_zeros::<f32>(m * n)?;
    let config = GemmConfig {
        transa: CUBLAS_OP_N,
        transb: CUBLAS_OP_N,
        m: m as i32,
        n: n as i32,
        k: k as i32,
        alpha: 1.0f32,
        lda: m as i32,
        ldb: k as i32,
        beta: 0.0,
        ldc: m as i32,
    };
    // SAFETY: the matrices have these sizes.
    unsafe { blas.gemm(config, &ga, &gb, &mut gc) }?;
    let c = stream.clone_dtoh(&gc)?;
    for row in 0..m {
        for column in 0..n {
            let wanted: f32 = (0..k).map(|i| a[i * m + row] * b[column * k + i]).sum();
            assert_eq!(c[column * m + row], wanted, "row {row}, column {column}");
        }
    }
    println!("product");
    Ok(())
}
