// What C++ programs use besides: constants, variables, recursion by templates, doubles, 64-bit atomics, printing.

__constant__ float weights[4] = {1, 2, 3, 4};
__device__ unsigned long long counter = 5;

template <int N> struct Power { static __device__ double of(double x) { return x * Power<N - 1>::of(x); } };
template <> struct Power<0> { static __device__ double of(double) { return 1; } };

extern "C" __global__ void weigh(const float* in, float* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = in[i] * weights[i % 4];
}

extern "C" __global__ void powers(const double* in, double* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = Power<5>::of(in[i]) + fmod(in[i], 0.3) + rsqrt(in[i]) + erf(in[i]) + lgamma(in[i]);
}

extern "C" __global__ void count(unsigned long long step) { atomicAdd(&counter, step); }

// A call through a table, chosen by data.
__device__ int twice(int x) { return 2 * x; }
__device__ int square(int x) { return x * x; }
extern "C" __global__ void choose(const int* which, int* data) {
    int i = threadIdx.x;
    switch (which[i]) {
    case 0: data[i] = twice(data[i]); break;
    case 1: data[i] = square(data[i]); break;
    default: data[i] = -1;
    }
}

extern "C" __global__ void say(int n) {
    if (threadIdx.x == 0)
        printf("block %d of %d says %s %.2f\n", blockIdx.x, n, "hello", 1.5 * blockIdx.x);
}
