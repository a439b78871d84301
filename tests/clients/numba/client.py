"""Numba: kernels written in Python, with shared memory, atomics, warp functions, reductions and streams."""

import math
import warnings

import numpy as np
from checks import check, close, equal, main
from numba import cuda, float32, int32, vectorize

warnings.simplefilter("ignore")
random = np.random.default_rng(2)


@check
def arithmetic():
    @cuda.jit
    def saxpy(a, x, y):
        i = cuda.grid(1)
        if i < x.size:
            y[i] = a * x[i] + y[i]

    x, y = random.random(1000, np.float32), random.random(1000, np.float32)
    result = cuda.to_device(y)
    saxpy[8, 128](np.float32(2), cuda.to_device(x), result)
    close(result.copy_to_host(), 2 * x + y, 1e-6)


@check
def shared_memory():
    size = 16

    @cuda.jit
    def multiply(a, b, c):
        left = cuda.shared.array((size, size), float32)
        right = cuda.shared.array((size, size), float32)
        column, row = cuda.grid(2)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        total = float32(0)
        for tile in range((a.shape[1] + size - 1) // size):
            left[y, x] = 0
            right[y, x] = 0
            if row < a.shape[0] and x + tile * size < a.shape[1]:
                left[y, x] = a[row, x + tile * size]
            if column < b.shape[1] and y + tile * size < b.shape[0]:
                right[y, x] = b[y + tile * size, column]
            cuda.syncthreads()
            for i in range(size):
                total += left[y, i] * right[i, x]
            cuda.syncthreads()
        if row < c.shape[0] and column < c.shape[1]:
            c[row, column] = total

    a, b = random.random((33, 50), np.float32), random.random((50, 20), np.float32)
    c = cuda.device_array((33, 20), np.float32)
    multiply[(2, 3), (size, size)](a, b, c)
    close(c.copy_to_host(), a @ b)

    @cuda.jit
    def dynamic(a):
        place = cuda.shared.array(0, int32)
        i = cuda.threadIdx.x
        place[i] = a[i]
        cuda.syncthreads()
        a[i] = place[cuda.blockDim.x - 1 - i]

    a = cuda.to_device(np.arange(96, dtype=np.int32))
    dynamic[1, 96, 0, 96 * 4](a)
    equal(a.copy_to_host(), np.arange(96)[::-1])


@check
def atomics():
    @cuda.jit
    def histogram(x, counts, largest, total):
        i = cuda.grid(1)
        if i < x.size:
            cuda.atomic.add(counts, x[i], 1)
            cuda.atomic.max(largest, 0, x[i])
            cuda.atomic.add(total, 0, float32(x[i]))

    x = random.integers(0, 16, 5000).astype(np.int32)
    counts = cuda.to_device(np.zeros(16, np.int32))
    largest, total = cuda.to_device(np.zeros(1, np.int32)), cuda.to_device(np.zeros(1, np.float32))
    histogram[40, 128](x, counts, largest, total)
    equal(counts.copy_to_host(), np.bincount(x, minlength=16))
    equal(largest.copy_to_host(), [x.max()])
    close(total.copy_to_host(), [x.sum()])

    @cuda.jit
    def exchange(x, lowest):
        i = cuda.grid(1)
        if i < x.size:
            cuda.atomic.min(lowest, 0, x[i])
            cuda.atomic.cas(lowest, 1, 0, 7)

    x = random.standard_normal(3000)
    lowest = cuda.to_device(np.array([1e9, 0.0]))

    @cuda.jit
    def least(x, lowest):
        i = cuda.grid(1)
        if i < x.size:
            cuda.atomic.min(lowest, 0, x[i])

    least[24, 128](x, lowest)
    equal(lowest.copy_to_host()[0], x.min())
    flags = cuda.to_device(np.array([100, 0], np.int32))
    exchange[24, 128](np.arange(3000, dtype=np.int32), flags)
    equal(flags.copy_to_host(), [0, 7])


@check
def reductions():
    total = cuda.reduce(lambda a, b: a + b)
    x = random.random(10_000)
    close(total(x), x.sum(), 1e-12)
    largest = cuda.reduce(lambda a, b: max(a, b))
    equal(largest(x), x.max())


@check
def warps():
    @cuda.jit
    def sums(x, votes):
        i = cuda.grid(1)
        value = x[i]
        offset = 16
        while offset > 0:
            value += cuda.shfl_down_sync(0xFFFFFFFF, value, offset)
            offset //= 2
        votes[i] = cuda.popc(cuda.ballot_sync(0xFFFFFFFF, x[i] % 3 == 0))
        if cuda.laneid == 0:
            x[i] = value

    x = np.arange(128, dtype=np.int32)
    result, votes = cuda.to_device(x), cuda.device_array(128, np.int32)
    sums[1, 128](result, votes)
    equal(result.copy_to_host()[::32], x.reshape(4, 32).sum(axis=1))
    equal(votes.copy_to_host(), np.repeat((x.reshape(4, 32) % 3 == 0).sum(axis=1), 32))


@check
def functions():
    @vectorize(["float64(float64, float64)", "float32(float32, float32)"], target="cuda")
    def mixed(a, b):
        return math.sin(a) + math.exp(b) * math.sqrt(a)

    for kind, tolerance in ((np.float64, 1e-14), (np.float32, 1e-6)):
        a, b = random.random(1000).astype(kind), random.random(1000).astype(kind)
        close(mixed(a, b), np.sin(a) + np.exp(b) * np.sqrt(a), tolerance)

    @cuda.jit(device=True)
    def polynomial(a):
        return a * a + 1

    @cuda.jit
    def apply(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] = polynomial(x[i])

    x = cuda.to_device(np.arange(100.0))
    apply[1, 128](x)
    equal(x.copy_to_host(), np.arange(100.0) ** 2 + 1)


@check
def memories():
    numbers = np.arange(10.0)

    @cuda.jit
    def mix(x):
        constant = cuda.const.array_like(numbers)
        local = cuda.local.array(8, int32)
        i = cuda.grid(1)
        for j in range(8):
            local[j] = i * j
        total = 0
        for j in range(8):
            total += local[(j + i) % 8]
        x[i] = constant[i % 10] + total

    x = cuda.device_array(64)
    mix[2, 32](x)
    equal(x.copy_to_host(), np.arange(64) % 10 + np.arange(64) * 28)

    @cuda.jit
    def increment(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += 1

    managed = cuda.managed_array(100, np.float32)
    managed[:] = 1
    increment[1, 128](managed)
    cuda.synchronize()
    equal(managed, np.full(100, 2))
    mapped = cuda.mapped_array(100, np.float32)
    mapped[:] = 5
    increment[1, 128](mapped)
    cuda.synchronize()
    equal(mapped, np.full(100, 6))


@check
def streams():
    stream = cuda.stream()

    @cuda.jit
    def increment(x):
        x[cuda.grid(1)] += 1

    host = cuda.pinned_array(256, np.float32)
    host[:] = 0
    start, end = cuda.event(), cuda.event()
    device = cuda.to_device(host, stream=stream)
    start.record(stream)
    for _ in range(5):
        increment[2, 128, stream](device)
    end.record(stream)
    device.copy_to_host(host, stream=stream)
    stream.synchronize()
    equal(host, np.full(256, 5))
    assert cuda.event_elapsed_time(start, end) > 0


@check
def exceptions():
    @cuda.jit(debug=True, opt=False)
    def checked(x):
        if cuda.grid(1) == 3:
            raise ValueError("on purpose")
        x[0] = 1

    try:
        checked[1, 32](np.ones(1))
        cuda.synchronize()
        raise AssertionError("no exception")
    except ValueError:
        pass


@check
def random_numbers():
    from numba.cuda.random import create_xoroshiro128p_states, xoroshiro128p_uniform_float64

    @cuda.jit
    def draw(states, x):
        i = cuda.grid(1)
        x[i] = xoroshiro128p_uniform_float64(states, i)

    x = cuda.device_array(1024)
    draw[8, 128](create_xoroshiro128p_states(1024, seed=1), x)
    drawn = x.copy_to_host()
    assert 0 <= drawn.min() and drawn.max() < 1 and abs(drawn.mean() - 0.5) < 0.05
    assert len(np.unique(drawn)) == 1024


main()
