// Prefix sums in three passes: each block's, those of the blocks' totals, and their addition.

extern "C" __global__ void scan_blocks(const int* in, int* out, int* totals, int n) {
    extern __shared__ int place[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    place[t] = i < n ? in[i] : 0;
    __syncthreads();
    for (int offset = 1; offset < blockDim.x; offset *= 2) {
        int left = t >= offset ? place[t - offset] : 0;
        __syncthreads();
        place[t] += left;
        __syncthreads();
    }
    if (i < n)
        out[i] = place[t];
    if (t == blockDim.x - 1)
        totals[blockIdx.x] = place[t];
}

extern "C" __global__ void add_totals(int* out, const int* totals, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (blockIdx.x > 0 && i < n)
        out[i] += totals[blockIdx.x - 1];
}
