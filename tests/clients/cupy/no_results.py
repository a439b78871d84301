"""CuPy on a device that executes nothing (tools/no-op): every call must come back without an error, no result is looked at."""

import cupy as cp
import numpy as np

properties = cp.cuda.runtime.getDeviceProperties(0)
print(properties["name"].decode(), properties["multiProcessorCount"], "multiprocessors")
free, total = cp.cuda.runtime.memGetInfo()
assert 0 < free <= total

a = cp.asarray(np.arange(1 << 16, dtype=np.float32))
b = cp.ones_like(a)
(a * 2 + b).sum().get()
cp.sqrt(a).max().get()
cp.where(a > b, a, b).astype(cp.float16).get()
if a.data.ptr > 0:
    (a.reshape(256, 256) @ b.reshape(256, 256)).get()
else:
    print("no product of matrices: CuPy's binding of cublasGemmEx takes no address of the upper half, as RADV gives out")
a.reshape(256, 256).T.copy().get()

kernel = cp.RawKernel(
    r"""
extern "C" __global__ void scale(float *x, float by, int n) {
    __shared__ float tile[256];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    float y = __shfl_xor_sync(0xffffffff, tile[threadIdx.x ^ 32], 1);
    if (i < n) atomicAdd(x + i, y * by);
}
""",
    "scale",
)
streams = [cp.cuda.Stream(non_blocking=True) for _ in range(3)]
events = [cp.cuda.Event() for _ in streams]
for stream, event in zip(streams, events):
    with stream:
        for _ in range(100):
            kernel((256,), (256,), (a, np.float32(0.5), np.int32(a.size)))
        event.record()
streams[0].wait_event(events[2])
for stream in streams:
    stream.synchronize()
# No time between events: the device would have to write it.

stream = cp.cuda.Stream(non_blocking=True)
with stream:
    stream.begin_capture()
    for _ in range(10):
        kernel((256,), (256,), (a, np.float32(0.5), np.int32(a.size)))
    graph = stream.end_capture()
for _ in range(20):
    graph.launch(stream)
stream.synchronize()

pinned = np.frombuffer(cp.cuda.alloc_pinned_memory(1 << 20), np.uint8)
pinned[:] = 7
cp.asarray(pinned).get()
blocks = [cp.empty(1 << 24, cp.uint8) for _ in range(8)]
blocks[0][:] = blocks[7]
del blocks
cp.get_default_memory_pool().free_all_blocks()
cp.cuda.Device().synchronize()
print("no call failed")
