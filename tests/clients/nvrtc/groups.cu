// Cooperative groups: blocks, tiles of warps, threads that took the same way.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

namespace cg = cooperative_groups;

extern "C" __global__ void tile_sums(const int* in, int* out) {
    auto block = cg::this_thread_block();
    auto tile = cg::tiled_partition<8>(block);
    int value = in[block.thread_rank()];
    int total = cg::reduce(tile, value, cg::plus<int>());
    int largest = cg::reduce(tile, value, cg::greater<int>());
    if (tile.thread_rank() == 0) {
        out[tile.meta_group_rank() * 2] = total;
        out[tile.meta_group_rank() * 2 + 1] = largest;
    }
    block.sync();
}

// Each warp adds once for all of its threads with an even number.
extern "C" __global__ void count_even(const int* in, int* count, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n && in[i] % 2 == 0) {
        auto active = cg::coalesced_threads();
        int first = 0;
        if (active.thread_rank() == 0)
            first = atomicAdd(count, active.size());
        first = active.shfl(first, 0);
    }
}

// Neighbours' values through a block of a cooperative launch.
extern "C" __global__ void rotate(int* data) {
    auto grid = cg::this_grid();
    unsigned i = grid.thread_rank(), n = grid.size();
    int value = data[(i + 1) % n];
    grid.sync();
    data[i] = value;
}
