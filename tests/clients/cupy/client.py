"""CuPy: arrays, reductions, kernels of one's own, sorting and linear algebra, each against NumPy."""

import cupy as cp
import numpy as np
from checks import check, close, equal, main, slow

random = np.random.default_rng(1)
x = random.standard_normal((37, 41)).astype(np.float32)
y = random.standard_normal((41, 23)).astype(np.float32)
gx, gy = cp.asarray(x), cp.asarray(y)


@check
def device():
    properties = cp.cuda.runtime.getDeviceProperties(0)
    assert properties["name"] and (properties["major"], properties["minor"]) >= (7, 0)
    free, total = cp.cuda.runtime.memGetInfo()
    assert 0 < free <= total


@check
def kinds_of_memory():
    runtime = cp.cuda.runtime
    managed = runtime.mallocManaged(64)
    pinned = runtime.hostAlloc(64, runtime.hostAllocDefault)
    for address, kind in (
        (gx.data.ptr, runtime.memoryTypeDevice),
        (managed, runtime.memoryTypeManaged),
        (pinned, runtime.memoryTypeHost),
    ):
        assert runtime.pointerGetAttributes(address).type == kind
    runtime.free(managed)
    runtime.freeHost(pinned)


@check
def copies():
    for kind in "?bBhHiIqQefdFD":
        a = (random.standard_normal((5, 7)) * 50).astype(kind)
        equal(cp.asarray(a).get(), a)
        equal(cp.asarray(a).T.copy().get(), a.T)
    big = random.integers(0, 255, 5 << 20, dtype=np.uint8)
    equal(cp.asarray(big).get(), big)
    pinned = cp.cuda.alloc_pinned_memory(4096)
    host = np.frombuffer(pinned, np.uint8, 4096)
    host[:] = big[:4096]
    a = cp.empty(4096, np.uint8)
    a.set(host)
    equal(a.get(), big[:4096])
    equal(gx[::2, 1:30:3].get(), x[::2, 1:30:3])


@check
def arithmetic():
    equal((gx * 2 + 1).get(), x * 2 + 1)
    equal((gx[:, None, :] * gx[None]).get(), x[:, None, :] * x[None])
    a = random.integers(-1000, 1000, 3000)
    b = random.integers(1, 50, 3000)
    ga, gb = cp.asarray(a), cp.asarray(b)
    for operation in (np.add, np.multiply, np.floor_divide, np.remainder, np.bitwise_xor, np.minimum):
        equal(getattr(cp, operation.__name__)(ga, gb).get(), operation(a, b))
    h = x.astype(np.float16)
    equal((cp.asarray(h) + cp.float16(1)).get(), h + np.float16(1))
    c = x[:, :-1] + 1j * x[:, 1:]
    close((cp.asarray(c) * cp.asarray(c).conj()).get(), c * c.conj())


@check
def functions():
    p = np.abs(x) + np.float32(0.1)
    for function in (np.exp, np.log, np.sin, np.cos, np.tanh, np.sqrt, np.cbrt, np.log1p, np.arctan, np.floor):
        same = getattr(cp, function.__name__)
        close(same(cp.asarray(p)).get(), function(p), 1e-6)
        d = p.astype(np.float64)
        close(same(cp.asarray(d)).get(), function(d), 1e-14)
    close((cp.asarray(p) ** 1.7).get(), p**1.7)


@check
def reductions():
    close(gx.sum().get(), x.sum())
    close(gx.sum(axis=0).get(), x.sum(axis=0))
    close(gx.mean(axis=1).get(), x.mean(axis=1))
    close(gx.std().get(), x.std())
    for function in ("max", "argmin"):
        equal(getattr(gx, function)().get(), getattr(x, function)())
        equal(getattr(gx, function)(axis=1).get(), getattr(x, function)(axis=1))
    assert bool((gx < 100).all()) and not bool((gx > 100).any())
    a = random.integers(-9, 9, 100_000)
    equal(cp.asarray(a).sum().get(), a.sum())
    equal(cp.cumsum(cp.asarray(a)).get(), np.cumsum(a))


@check
def selection():
    equal(cp.where(gx > 0, gx, 0).get(), np.where(x > 0, x, 0))
    equal(gx[gx > 0].get(), x[x > 0])
    equal(gx[cp.array([3, 1, 2])].get(), x[[3, 1, 2]])
    equal(cp.concatenate([gx, gx]).get(), np.concatenate([x, x]))
    a = cp.zeros(10, np.int64)
    cp.add.at(a, cp.arange(1000) % 7, 1)
    equal(a.get(), np.bincount(np.arange(1000) % 7, minlength=10))
    equal(cp.nonzero(gx > 1)[0].get(), np.nonzero(x > 1)[0])


@slow
def sorting():
    # Of 32 bits: the wider the keys, the longer CUB's kernels take to compile.
    a = random.integers(0, 1000, 20_000).astype(np.int32)
    ga = cp.asarray(a)
    equal(cp.sort(ga).get(), np.sort(a))
    equal(cp.unique(ga).get(), np.unique(a))
    equal(cp.bincount(ga).get(), np.bincount(a))
    equal(cp.histogram(gx, bins=16)[0].get(), np.histogram(x, bins=16)[0])
    equal(cp.searchsorted(cp.sort(ga), ga[:50]).get(), np.searchsorted(np.sort(a), a[:50]))


@check
def raw_kernels():
    kernel = cp.RawKernel(
        r"""
        extern "C" __global__ void reverse(const float* in, float* out, int n) {
            __shared__ float tile[64];
            int i = blockIdx.x * 64 + threadIdx.x;
            tile[threadIdx.x] = i < n ? in[i] : 0;
            __syncthreads();
            if (i < n) out[i] = tile[63 - threadIdx.x] + 1;
        }""",
        "reverse",
    )
    a = cp.arange(640, dtype=np.float32)
    b = cp.zeros_like(a)
    kernel((10,), (64,), (a, b, np.int32(640)))
    equal(b.get(), np.arange(640).reshape(10, 64)[:, ::-1].ravel() + 1)
    module = cp.RawModule(
        code=r"""
        __constant__ int table[4];
        template <typename T> __global__ void scale(T* a, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x;
            if (i < n) a[i] *= table[i % 4];
        }""",
        options=("-std=c++14",),
        name_expressions=["scale<double>", "scale<int>"],
    )
    table = cp.ndarray(4, np.int32, module.get_global("table"))
    table[:] = cp.array([1, 10, 100, 1000], np.int32)
    for kind in (np.float64, np.int32):
        name = "scale<double>" if kind is np.float64 else "scale<int>"
        a = cp.arange(100, dtype=kind)
        module.get_function(name)((1,), (128,), (a, np.int32(100)))
        equal(a.get(), np.arange(100) * np.tile([1, 10, 100, 1000], 25))


@check
def generated_kernels():
    square = cp.ElementwiseKernel("T x, T y", "T z", "z = x * x + y", "square")
    close(square(gx, cp.float32(2)).get(), x * x + 2)
    norm = cp.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "length")
    close(norm(gx, axis=1).get(), np.sqrt((x * x).sum(axis=1)))

    @cp.fuse()
    def fused(a, b):
        return a * b + cp.exp(a)

    close(fused(gx, gx).get(), x * x + np.exp(x))


@check
def linear_algebra():
    for kind, tolerance in (("f", 1e-5), ("d", 1e-13), ("e", 5e-3), ("F", 1e-5), ("D", 1e-13)):
        a, b = x.astype(kind), y.astype(kind)
        wanted = x.astype("D" if kind in "FD" else "d") @ y
        close(cp.matmul(cp.asarray(a), cp.asarray(b)).get(), wanted, tolerance)
        close(cp.matmul(cp.asarray(a.T).T, cp.asarray(b)).get(), wanted, tolerance)
    close(cp.matmul(cp.stack([gx] * 3), cp.stack([gy] * 3)).get(), np.stack([x @ y] * 3))
    close(cp.einsum("ij,jk->ki", gx, gy).get(), (x @ y).T)
    close(cp.tensordot(gx, gy, 1).get(), x @ y)
    close(cp.dot(gx[0], gx[1]).get(), x[0] @ x[1])
    close((gx @ gy[:, 0]).get(), x @ y[:, 0])
    close(cp.linalg.norm(gx).get(), np.linalg.norm(x))
    close(cp.outer(gx[0], gx[1]).get(), np.outer(x[0], x[1]))


@check
def random_numbers():
    """NVIDIA's own cuRAND runs, too."""
    cp.random.seed(1)
    uniform = cp.random.rand(100_000).get()
    assert 0 <= uniform.min() and uniform.max() <= 1 and abs(uniform.mean() - 0.5) < 0.01
    normal = cp.random.default_rng(1).standard_normal(100_000).get()
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02


@check
def streams_and_events():
    stream, other = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    with stream:
        a = cp.arange(100_000)
        b = a * 2
        done = stream.record()
    other.wait_event(done)
    with other:
        c = b + 1
    other.synchronize()
    equal(c.get(), np.arange(100_000) * 2 + 1)
    start, end = cp.cuda.Event(), cp.cuda.Event()
    start.record()
    for _ in range(10):
        a += 1
    end.record()
    end.synchronize()
    assert cp.cuda.get_elapsed_time(start, end) > 0
    calls = []
    stream.launch_host_func(calls.append, 5)
    stream.synchronize()
    assert calls == [5]


@check
def graphs():
    stream = cp.cuda.Stream(non_blocking=True)
    a = cp.zeros(1000)
    with stream:
        a += 1
        stream.begin_capture()
        a += 1
        a *= 2
        graph = stream.end_capture()
        graph.launch()
        graph.launch()
    stream.synchronize()
    equal(a.get(), np.full(1000, 10))


@check
def allocators():
    for allocator in (cp.cuda.MemoryAsyncPool(), cp.cuda.MemoryPool(cp.cuda.malloc_managed)):
        with cp.cuda.using_allocator(allocator.malloc):
            equal((cp.arange(1000) + 1).get(), np.arange(1000) + 1)
    try:
        cp.empty(1 << 50, np.uint8)
        raise AssertionError("there is no such memory")
    except cp.cuda.memory.OutOfMemoryError:
        equal((gx + 1).get(), x + 1)


@check
def textures():
    from cupy.cuda import runtime, texture

    image = random.standard_normal((6, 8)).astype(np.float32)
    channel = texture.ChannelFormatDescriptor(32, 0, 0, 0, runtime.cudaChannelFormatKindFloat)
    array = texture.CUDAarray(channel, 8, 6)
    array.copy_from(cp.asarray(image))
    back = cp.empty_like(cp.asarray(image))
    array.copy_to(back)
    equal(back.get(), image)
    kernel = cp.RawKernel(
        """extern "C" __global__ void sample(float* out, cudaTextureObject_t image) {
            int x = threadIdx.x, y = threadIdx.y;
            out[y * 8 + x] = tex2D<float>(image, x + 1.0f, y + 0.5f);
        }""",
        "sample",
    )
    out = cp.zeros((6, 8), np.float32)
    how = texture.TextureDescriptor(
        (runtime.cudaAddressModeClamp, runtime.cudaAddressModeClamp), runtime.cudaFilterModeLinear
    )
    resource = texture.ResourceDescriptor(runtime.cudaResourceTypeArray, cuArr=array)
    kernel((1,), (8, 6), (out, texture.TextureObject(resource, how)))
    between = (image + np.c_[image[:, 1:], image[:, -1]]) / 2
    close(out.get(), between, 1e-6)

    surface = cp.RawKernel(
        """extern "C" __global__ void write(cudaSurfaceObject_t image) {
            surf2Dwrite(threadIdx.x * 10.0f + threadIdx.y, image, int(threadIdx.x * sizeof(float)), threadIdx.y);
        }""",
        "write",
    )
    target = texture.CUDAarray(channel, 8, 6, flags=runtime.cudaArraySurfaceLoadStore)
    resource = texture.ResourceDescriptor(runtime.cudaResourceTypeArray, cuArr=target)
    surface((1,), (8, 6), (texture.SurfaceObject(resource),))
    target.copy_to(out)
    equal(out.get(), np.arange(8)[None, :] * 10.0 + np.arange(6)[:, None])


@check
def threads_that_wait():
    """Each thread of a warp waits for others of it: by locks, semaphores, latches and flags (libcu++, which comes with CuPy)."""
    module = cp.RawModule(
        code=r"""
        #include <cuda/barrier>
        #include <cuda/latch>
        #include <cuda/semaphore>
        using Semaphore = cuda::counting_semaphore<cuda::thread_scope_device, 16>;
        using Latch = cuda::latch<cuda::thread_scope_block>;
        extern "C" {
        __device__ int mutex;
        __global__ void lock(volatile int* out) {
            while (atomicCAS(&mutex, 0, 1) != 0);
            __threadfence(); *out = *out + 1; __threadfence();
            atomicExch(&mutex, 0);
        }
        __global__ void semaphore(int* out, Semaphore* s) {
            if (threadIdx.x == 0) new (s) Semaphore(3);
            __syncthreads();
            for (int i = 0; i < 3; ++i) {
                s->acquire();
                atomicMax(out + 1, atomicAdd(out, 1) + 1); atomicAdd(out + 2, 1); atomicAdd(out, -1);
                s->release();
            }
        }
        __global__ void latch(int* out) {
            __shared__ alignas(16) char memory[sizeof(Latch)];
            __shared__ int sum;
            auto l = reinterpret_cast<Latch*>(memory);
            if (threadIdx.x == 0) { new (l) Latch(blockDim.x); sum = 0; }
            __syncthreads();
            atomicAdd(&sum, threadIdx.x);
            if (threadIdx.x & 1) { l->count_down(); l->wait(); } else l->arrive_and_wait();
            out[threadIdx.x] = *(volatile int*)&sum;
        }
        __global__ void barrier(int* out) {
            __shared__ cuda::barrier<cuda::thread_scope_block> b;
            __shared__ int sum;
            if (threadIdx.x == 0) { init(&b, blockDim.x); sum = 0; }
            __syncthreads();
            if (threadIdx.x % 3 == 1) { auto t = b.arrive(); b.wait(cuda::std::move(t)); }
            else { atomicAdd(&sum, 2); b.arrive_and_wait(); }
            out[threadIdx.x] = *(volatile int*)&sum;
        }
        // Each row of a triangle needs results of the rows before it.
        __global__ void solve(volatile int* ready, volatile int* out, int n) {
            int i = blockIdx.x * blockDim.x + threadIdx.x, sum = 1, j = max(0, i - 3);
            if (i >= n) return;
            while (j < i) if (ready[j]) { __threadfence(); sum += out[j] % 1009; ++j; }
            out[i] = sum; __threadfence(); ready[i] = 1;
        }
        }""",
        options=("-std=c++17",),
    )
    out = cp.zeros(96, np.int32)
    module.get_function("lock")((2,), (96,), (out,))
    equal(out[0].get(), 192)
    out.fill(0)
    module.get_function("semaphore")((1,), (64,), (out, cp.zeros(64, np.uint8)))
    now, most, all_of_them = out[:3].get()
    assert now == 0 and 1 <= most <= 3 and all_of_them == 192, (now, most, all_of_them)
    module.get_function("latch")((1,), (96,), (out,))
    equal(out.get(), np.full(96, 96 * 95 // 2))
    module.get_function("barrier")((1,), (96,), (out,))
    equal(out.get(), np.full(96, 128))
    module.get_function("solve")((2,), (48,), (cp.zeros(96, np.int32), out, np.int32(93)))
    rows = [1]
    for i in range(1, 93):
        rows.append(1 + sum(row % 1009 for row in rows[max(0, i - 3) :]))
    equal(out.get()[:93], rows)


main()
