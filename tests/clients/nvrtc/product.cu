// Matrix products: through tiles in shared memory, and by the warp matrix functions.
#include <cuda_fp16.h>
#include <mma.h>

extern "C" __global__ void product_tiled(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float left[16][16], right[16][16];
    int x = threadIdx.x, y = threadIdx.y, column = blockIdx.x * 16 + x, row = blockIdx.y * 16 + y;
    float total = 0;
    for (int tile = 0; tile < k; tile += 16) {
        left[y][x] = row < m && tile + x < k ? a[row * k + tile + x] : 0;
        right[y][x] = column < n && tile + y < k ? b[(tile + y) * n + column] : 0;
        __syncthreads();
        for (int i = 0; i < 16; i++)
            total += left[y][i] * right[i][x];
        __syncthreads();
    }
    if (row < m && column < n)
        c[row * n + column] = total;
}

// One warp for each 16 by 16 part of C. All sizes are multiples of 16.
extern "C" __global__ void product_wmma(const half* a, const half* b, float* c, int m, int n, int k) {
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, 16, half, row_major> left;
    fragment<matrix_b, 16, 16, 16, half, row_major> right;
    fragment<accumulator, 16, 16, 16, float> total;
    fill_fragment(total, 0.0f);
    int row = blockIdx.y * 16, column = blockIdx.x * 16;
    for (int i = 0; i < k; i += 16) {
        load_matrix_sync(left, a + row * k + i, k);
        load_matrix_sync(right, b + i * n + column, n);
        mma_sync(total, left, right, total);
    }
    store_matrix_sync(c + row * n + column, total, n, mem_row_major);
}

extern "C" __global__ void product_half2(const half2* a, const half2* b, half2* c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        c[i] = __hfma2(a[i], b[i], __float2half2_rn(1.0f));
}
