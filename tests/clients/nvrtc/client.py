"""CUDA C++ of the project's own, compiled by NVRTC and run through the driver API's Python bindings."""

import ctypes
import os
import re

import numpy as np
from checks import check, close, equal, main
from cuda.bindings import driver, nvrtc

here = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(3)


def ok(result):
    """The values of a call, which succeeded."""
    status, *values = result
    assert int(status) == 0, status
    return values[0] if len(values) == 1 else values


def includes():
    """Where the headers of the CUDA packages are."""
    import nvidia

    for root in nvidia.__path__:
        for name in sorted(os.listdir(root)):
            folder = os.path.join(root, name, "include")
            if os.path.isdir(folder):
                yield f"-I{folder}".encode()
                if os.path.isdir(os.path.join(folder, "cccl")):
                    yield f"-I{folder}/cccl".encode()


ok(driver.cuInit(0))
device = ok(driver.cuDeviceGet(0))
context = ok(driver.cuDevicePrimaryCtxRetain(device))
ok(driver.cuCtxSetCurrent(context))


def compile_file(name, expressions=()):
    """A module from a file, and the lowered names of expressions."""
    with open(os.path.join(here, name), "rb") as file:
        source = file.read()
    program = ok(nvrtc.nvrtcCreateProgram(source, name.encode(), 0, [], []))
    for expression in expressions:
        ok(nvrtc.nvrtcAddNameExpression(program, expression.encode()))
    options = [b"-arch=compute_90", b"-std=c++17", *includes()]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = b" " * ok(nvrtc.nvrtcGetProgramLogSize(program))
    ok(nvrtc.nvrtcGetProgramLog(program, log))
    assert int(status) == 0, log.decode()
    ptx = b" " * ok(nvrtc.nvrtcGetPTXSize(program))
    ok(nvrtc.nvrtcGetPTX(program, ptx))
    names = [ok(nvrtc.nvrtcGetLoweredName(program, e.encode())) for e in expressions]
    return ok(driver.cuModuleLoadData(ptx)), names


def function(module, name):
    """A kernel."""
    return ok(driver.cuModuleGetFunction(module, name.encode() if isinstance(name, str) else name))


def upload(array):
    """A copy of an array on the device."""
    array = np.ascontiguousarray(array)
    address = ok(driver.cuMemAlloc(max(array.nbytes, 1)))
    ok(driver.cuMemcpyHtoD(address, array.ctypes.data, array.nbytes))
    return address


def download(address, like):
    """What is on the device, in an array like another."""
    array = np.empty_like(like)
    ok(driver.cuMemcpyDtoH(array.ctypes.data, address, array.nbytes))
    return array


def arguments(*values):
    """Kernel arguments: addresses and C numbers."""
    kinds = tuple(None if isinstance(v, driver.CUdeviceptr) else type(v) for v in values)
    return tuple(v if k is None else v.value for v, k in zip(values, kinds)), kinds


def launch(kernel, grid, block, *values, shared=0, stream=0):
    """Launches a kernel."""
    grid, block = (tuple(d) + (1,) * (3 - len(d)) for d in (grid, block))
    ok(driver.cuLaunchKernel(kernel, *grid, *block, shared, stream, arguments(*values), 0))


integer = ctypes.c_int


@check
def reduction():
    module, _ = compile_file("reduction.cu")
    for name, kind, tolerance in (("float", "f", 1e-5), ("double", "d", 1e-13), ("int", "i", 0)):
        data = (random.random(50_001) * 100).astype(kind)
        out = upload(np.zeros(1, kind))
        launch(function(module, f"sum_{name}"), (7,), (256,), upload(data), out, integer(data.size))
        close(download(out, np.zeros(1, kind)), [data.sum(dtype="d" if kind != "i" else "i")], tolerance)


@check
def scan():
    module, _ = compile_file("scan.cu")
    data = random.integers(-50, 50, 10_000).astype("i")
    n, blocks = integer(data.size), -(-data.size // 512)
    out, totals, scratch = upload(data), upload(np.zeros(blocks, "i")), upload(np.zeros(1, "i"))
    blocks_pass = function(module, "scan_blocks")
    launch(blocks_pass, (blocks,), (512,), upload(data), out, totals, n, shared=2048)
    launch(blocks_pass, (1,), (512,), totals, totals, scratch, integer(blocks), shared=2048)
    launch(function(module, "add_totals"), (blocks,), (512,), out, totals, n)
    equal(download(out, data), np.cumsum(data))


@check
def histogram():
    module, _ = compile_file("histogram.cu")
    data = random.integers(0, 256, 100_003).astype(np.uint8)
    counts = upload(np.zeros(256, "I"))
    launch(function(module, "histogram"), (13,), (192,), upload(data), counts, integer(data.size))
    equal(download(counts, np.zeros(256, "I")), np.bincount(data, minlength=256))


@check
def transpose():
    module, names = compile_file("transpose.cu", ["transpose<float>", "transpose<unsigned char>"])
    for name, kind in zip(names, ("f", "B")):
        data = (random.random((70, 101)) * 200).astype(kind)
        out = upload(data)
        launch(function(module, name), (4, 3), (32, 8), upload(data), out, integer(101), integer(70))
        equal(download(out, data.T.copy()), data.T)


@check
def product():
    module, _ = compile_file("product.cu")
    a, b = random.random((45, 70), np.float32), random.random((70, 33), np.float32)
    c = np.zeros((45, 33), np.float32)
    out = upload(c)
    sizes = [integer(i) for i in (45, 33, 70)]
    launch(function(module, "product_tiled"), (3, 3), (16, 16), upload(a), upload(b), out, *sizes)
    close(download(out, c), a @ b)
    h, g = random.random(1000).astype("e"), random.random(1000).astype("e")
    out = upload(h)
    launch(function(module, "product_half2"), (4,), (128,), upload(h), upload(g), out, integer(500))
    exact = h.astype("d") * g.astype("d") + 1
    equal(download(out, h), exact.astype("e"))


@check
def product_wmma():
    module, _ = compile_file("product.cu")
    a, b = random.random((32, 64)).astype("e"), random.random((64, 48)).astype("e")
    c = np.zeros((32, 48), np.float32)
    out = upload(c)
    sizes = [integer(i) for i in (32, 48, 64)]
    launch(function(module, "product_wmma"), (3, 2), (32,), upload(a), upload(b), out, *sizes)
    close(download(out, c), a.astype("d") @ b.astype("d"), 1e-6)


@check
def cooperative_groups():
    module, _ = compile_file("groups.cu")
    data = random.integers(-100, 100, 64).astype("i")
    out = upload(np.zeros(16, "i"))
    launch(function(module, "tile_sums"), (1,), (64,), upload(data), out)
    tiles = data.reshape(8, 8)
    equal(download(out, np.zeros((8, 2), "i")), np.stack([tiles.sum(1), tiles.max(1)], 1))
    data = random.integers(0, 100, 1000).astype("i")
    count = upload(np.zeros(1, "i"))
    launch(function(module, "count_even"), (4,), (256,), upload(data), count, integer(1000))
    equal(download(count, np.zeros(1, "i")), [(data % 2 == 0).sum()])


@check
def cooperative_launch():
    module, _ = compile_file("groups.cu")
    data = np.arange(96, dtype="i")
    place = upload(data)
    values = arguments(place)
    ok(driver.cuLaunchCooperativeKernel(function(module, "rotate"), 1, 1, 1, 96, 1, 1, 0, 0, values))
    equal(download(place, data), np.roll(data, -1))
    # Several blocks: as many as are said to fit, where the device says that it has such launches.
    attributes = driver.CUdevice_attribute
    if not ok(driver.cuDeviceGetAttribute(attributes.CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, device)):
        return
    rotate = function(module, "rotate")
    blocks = ok(driver.cuDeviceGetAttribute(attributes.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device))
    blocks *= ok(driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(rotate, 96, 0))
    data = np.arange(blocks * 96, dtype="i")
    place = upload(data)
    values = arguments(place)
    for turn in range(1, 6):
        ok(driver.cuLaunchCooperativeKernel(rotate, blocks, 1, 1, 96, 1, 1, 0, 0, values))
        equal(download(place, data), np.roll(data, -turn))


@check
def features():
    module, _ = compile_file("features.cu")
    data = random.random(1000, np.float32)
    out = upload(data)
    weigh = function(module, "weigh")
    launch(weigh, (4,), (256,), upload(data), out, integer(1000))
    equal(download(out, data), data * np.tile(np.float32([1, 2, 3, 4]), 250))
    address, size = ok(driver.cuModuleGetGlobal(module, b"weights"))
    assert size == 16
    ok(driver.cuMemcpyHtoD(address, np.float32([0, 1, 0, -1]).ctypes.data, 16))
    launch(weigh, (4,), (256,), upload(data), out, integer(1000))
    equal(download(out, data), data * np.tile(np.float32([0, 1, 0, -1]), 250))

    from math import erf, lgamma

    x = random.random(1000) + 0.1
    out = upload(x)
    launch(function(module, "powers"), (4,), (256,), upload(x), out, integer(1000))
    wanted = x**5 + np.fmod(x, 0.3) + 1 / np.sqrt(x) + [erf(v) + lgamma(v) for v in x]
    close(download(out, x), wanted, 1e-13)

    launch(function(module, "count"), (3,), (100,), ctypes.c_ulonglong(1 << 33))
    address, size = ok(driver.cuModuleGetGlobal(module, b"counter"))
    equal(download(address, np.zeros(1, np.uint64)), [5 + 300 * (1 << 33)])

    data, which = np.arange(96, dtype="i"), random.integers(0, 3, 96).astype("i")
    out = upload(data)
    launch(function(module, "choose"), (1,), (96,), upload(which), out)
    equal(download(out, data), np.choose(which, [2 * data, data**2, np.full(96, -1)]))


@check
def printing():
    module, _ = compile_file("features.cu")
    read, write = os.pipe()
    kept = os.dup(1)
    os.dup2(write, 1)
    try:
        launch(function(module, "say"), (3,), (32,), integer(3))
        ok(driver.cuCtxSynchronize())
    finally:
        os.dup2(kept, 1)
        os.close(write)
        os.close(kept)
    text = os.read(read, 10_000).decode()
    os.close(read)
    lines = sorted(text.splitlines())
    equal(lines, [f"block {i} of 3 says hello {1.5 * i:.2f}" for i in range(3)])


@check
def streams():
    module, _ = compile_file("reduction.cu")
    kernel = function(module, "sum_int")
    streams = [ok(driver.cuStreamCreate(1)) for _ in range(4)]
    data = [random.integers(0, 100, 5000).astype("i") for _ in streams]
    hosts, outs = [], []
    for stream, numbers in zip(streams, data):
        host = ok(driver.cuMemAllocHost(numbers.nbytes + 4))
        view = np.ctypeslib.as_array((ctypes.c_int * 5001).from_address(int(host)))
        view[:5000] = numbers
        place = ok(driver.cuMemAllocAsync(numbers.nbytes, stream))
        out = ok(driver.cuMemAllocAsync(4, stream))
        ok(driver.cuMemcpyHtoDAsync(place, host, numbers.nbytes, stream))
        ok(driver.cuMemsetD32Async(out, 0, 1, stream))
        launch(kernel, (3,), (128,), place, out, integer(5000), stream=stream)
        ok(driver.cuMemcpyDtoHAsync(int(host) + 20_000, out, 4, stream))
        ok(driver.cuMemFreeAsync(place, stream))
        hosts.append(view)
        outs.append(out)
    first = ok(driver.cuEventCreate(0))
    ok(driver.cuEventRecord(first, streams[0]))
    ok(driver.cuStreamWaitEvent(streams[1], first, 0))
    for stream in streams:
        ok(driver.cuStreamSynchronize(stream))
    equal([view[5000] for view in hosts], [numbers.sum() for numbers in data])


@check
def graphs():
    module, _ = compile_file("reduction.cu")
    kernel = function(module, "sum_int")
    data = random.integers(0, 100, 5000).astype("i")
    place, out = upload(data), upload(np.zeros(1, "i"))
    stream = ok(driver.cuStreamCreate(1))
    ok(driver.cuStreamBeginCapture(stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_GLOBAL))
    ok(driver.cuMemsetD32Async(out, 0, 1, stream))
    launch(kernel, (3,), (128,), place, out, integer(5000), stream=stream)
    graph = ok(driver.cuStreamEndCapture(stream))
    _, count = ok(driver.cuGraphGetNodes(graph))
    assert count == 2, count
    instance = ok(driver.cuGraphInstantiate(graph, 0))
    for _ in range(3):
        data += 1
        ok(driver.cuMemcpyHtoD(place, data.ctypes.data, data.nbytes))
        ok(driver.cuGraphLaunch(instance, stream))
        ok(driver.cuStreamSynchronize(stream))
        equal(download(out, np.zeros(1, "i")), [data.sum()])
    ok(driver.cuGraphExecDestroy(instance))
    ok(driver.cuGraphDestroy(graph))


@check
def linking():
    """Two translation units, one of which calls a function of the other."""
    sources = (
        b'extern "C" __device__ int helper(int); extern "C" __global__ void k(int* a) { a[threadIdx.x] = helper(a[threadIdx.x]); }',
        b'__device__ int offset = 7; extern "C" __device__ int helper(int x) { return x * x + offset; }',
    )
    state = ok(driver.cuLinkCreate(0, [], []))
    for index, source in enumerate(sources):
        program = ok(nvrtc.nvrtcCreateProgram(source, b"part", 0, [], []))
        ok(nvrtc.nvrtcCompileProgram(program, 2, [b"-arch=compute_90", b"-rdc=true"]))
        ptx = b" " * ok(nvrtc.nvrtcGetPTXSize(program))
        ok(nvrtc.nvrtcGetPTX(program, ptx))
        kind = driver.CUjitInputType.CU_JIT_INPUT_PTX
        ok(driver.cuLinkAddData(state, kind, ptx, len(ptx), f"part{index}".encode(), 0, [], []))
    image, _ = ok(driver.cuLinkComplete(state))
    module = ok(driver.cuModuleLoadData(image))
    ok(driver.cuLinkDestroy(state))
    data = np.arange(32, dtype="i")
    place = upload(data)
    launch(function(module, "k"), (1,), (32,), place)
    equal(download(place, data), data**2 + 7)


class Surface:
    """An array with its texture or surface object."""

    def __init__(self, data, channels=1, flags=0, layered=False):
        formats = driver.CUarray_format
        kinds = {"f": formats.CU_AD_FORMAT_FLOAT, "B": formats.CU_AD_FORMAT_UNSIGNED_INT8}
        descriptor = driver.CUDA_ARRAY3D_DESCRIPTOR()
        shape = data.shape[:-1] if channels > 1 else data.shape
        depth, height, width = (0,) * (3 - len(shape)) + shape
        descriptor.Width, descriptor.Height, descriptor.Depth = width, height, depth
        descriptor.Format, descriptor.NumChannels = kinds[data.dtype.char], channels
        descriptor.Flags = flags | (1 if layered else 0)
        self.array = ok(driver.cuArray3DCreate(descriptor))
        self.data = np.ascontiguousarray(data)
        self.size = width * channels * data.itemsize, max(height, 1), max(depth, 1)
        copy = self.copy()
        copy.srcMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_HOST
        copy.srcHost = self.data.ctypes.data
        copy.dstMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_ARRAY
        copy.dstArray = self.array
        ok(driver.cuMemcpy3D(copy))
        self.resource = driver.CUDA_RESOURCE_DESC()
        self.resource.resType = driver.CUresourcetype.CU_RESOURCE_TYPE_ARRAY
        self.resource.res.array.hArray = self.array

    def copy(self):
        copy = driver.CUDA_MEMCPY3D()
        copy.WidthInBytes, copy.Height, copy.Depth = self.size
        return copy

    def read(self):
        out = np.empty_like(self.data)
        copy = self.copy()
        copy.srcMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_ARRAY
        copy.srcArray = self.array
        copy.dstMemoryType = driver.CUmemorytype.CU_MEMORYTYPE_HOST
        copy.dstHost = out.ctypes.data
        ok(driver.cuMemcpy3D(copy))
        return out

    def texture(self, address="CLAMP", linear=False, normalized=False):
        mode = getattr(driver.CUaddress_mode, f"CU_TR_ADDRESS_MODE_{address}")
        filters = driver.CUfilter_mode
        how = driver.CUDA_TEXTURE_DESC()
        how.addressMode = [mode] * 3
        how.filterMode = filters.CU_TR_FILTER_MODE_LINEAR if linear else filters.CU_TR_FILTER_MODE_POINT
        how.flags = 2 if normalized else 0
        return ok(driver.cuTexObjectCreate(self.resource, how, None))

    def surface(self):
        return ok(driver.cuSurfObjectCreate(self.resource))


def handle(value):
    """An object as a kernel takes it."""
    return ctypes.c_uint64(int(value))


@check
def textures():
    module, _ = compile_file("textures.cu")
    height, width = 24, 32
    image = random.standard_normal((height, width)).astype("f")
    out = upload(np.zeros_like(image))
    rotate = function(module, "rotate")

    def rotated(angle, linear):
        texture = Surface(image).texture("WRAP", linear, True)
        launch(rotate, (2, 3), (16, 8), out, handle(texture), integer(width), integer(height), ctypes.c_float(angle))
        found = download(out, image)
        ok(driver.cuTexObjectDestroy(texture))
        return found

    # Centres of texels: each pixel is itself, after half a turn the one across.
    for linear in (False, True):
        equal(rotated(0, linear), image)
        close(rotated(np.pi, linear), image[::-1, ::-1], 1e-4)
    # A quarter turn goes over the edges, where the image repeats.
    turned = rotated(np.pi / 2, True)
    assert np.isfinite(turned).all() and np.abs(turned).max() <= np.abs(image).max() + 1e-5

    table = random.integers(0, 256, (100, 4)).astype("B")
    resource = driver.CUDA_RESOURCE_DESC()
    resource.resType = driver.CUresourcetype.CU_RESOURCE_TYPE_LINEAR
    linear = resource.res.linear
    linear.devPtr, linear.sizeInBytes, linear.numChannels = upload(table), 400, 4
    linear.format = driver.CUarray_format.CU_AD_FORMAT_UNSIGNED_INT8
    how = driver.CUDA_TEXTURE_DESC()
    how.flags = 1
    texture = ok(driver.cuTexObjectCreate(resource, how, None))
    place = upload(np.zeros((100, 4), "i"))
    launch(function(module, "fetch"), (1,), (128,), place, handle(texture), integer(100))
    equal(download(place, table.astype("i")), table)

    cube = random.standard_normal((4, 6, 8)).astype("f")
    texture = Surface(cube).texture()
    place, steps = upload(np.zeros(64, "f")), np.arange(64)
    launch(function(module, "volume"), (1,), (64,), place, handle(texture), integer(64))
    x, y, z = np.minimum(steps // 4, 7), np.minimum(steps // 8, 5), np.minimum(steps // 16, 3)
    equal(download(place, np.zeros(64, "f")), cube[z, y, x])

    stack = random.standard_normal((3, 4, 4, 2)).astype("f")
    texture = Surface(stack, 2, layered=True).texture()
    place = upload(np.zeros((48, 2), "f"))
    launch(function(module, "layers"), (1,), (64,), place, handle(texture), integer(48))
    equal(download(place, np.zeros((48, 2), "f")), stack.reshape(48, 2))


@check
def surfaces():
    module, _ = compile_file("textures.cu")
    image = random.integers(0, 256, (20, 33, 4)).astype("B")
    source, target = Surface(image, 4, 2), Surface(image * 0, 4, 2)
    arguments = handle(target.surface()), handle(source.surface()), integer(33), integer(20)
    launch(function(module, "invert"), (3, 3), (16, 8), *arguments)
    expected = 255 - image
    expected[..., 3] = image[..., 3]
    equal(target.read(), expected)


main()
