// Sums: within a warp by shuffles, within a block through shared memory, over the grid by an atomic addition.

template <typename T> __device__ T warp_sum(T value) {
    for (int offset = 16; offset > 0; offset /= 2)
        value += __shfl_down_sync(0xffffffff, value, offset);
    return value;
}

template <typename T> __device__ void block_sum(const T* in, T* out, int n) {
    __shared__ T partial[32];
    T value = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        value += in[i];
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0)
        partial[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x < 32) {
        value = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : T(0);
        value = warp_sum(value);
        if (threadIdx.x == 0)
            atomicAdd(out, value);
    }
}

extern "C" __global__ void sum_float(const float* in, float* out, int n) { block_sum(in, out, n); }
extern "C" __global__ void sum_double(const double* in, double* out, int n) { block_sum(in, out, n); }
extern "C" __global__ void sum_int(const int* in, int* out, int n) { block_sum(in, out, n); }
