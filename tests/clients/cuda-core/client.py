"""cuda.core, NVIDIA's Pythonic interface of the driver API: programs, launches, memory resources, events, graphs."""

import ctypes
import warnings

import numpy as np
from checks import check, close, equal, main
from cuda.bindings import driver
from cuda.core import Device, EventOptions, LaunchConfig, Linker, LinkerOptions, Program, ProgramOptions, launch

warnings.simplefilter("ignore")
random = np.random.default_rng(5)
device = Device()
device.set_current()
stream = device.create_stream()
SOURCE = """
template <typename T> __global__ void saxpy(T a, const T* x, T* y, size_t n) {
    for (size_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = a * x[i] + y[i];
}"""


def ok(result):
    """The value of a call of the bindings, which succeeded."""
    status, *values = result
    assert int(status) == 0, status
    return values[0] if values else None


def program(source, names=(), **options):
    """Compiled PTX."""
    options = ProgramOptions(std="c++17", arch="compute_90", **options)
    return Program(source, code_type="c++", options=options).compile("ptx", name_expressions=names)


def upload(array, resource=device):
    """A copy of an array in memory of a resource."""
    buffer = resource.allocate(array.nbytes, stream=stream)
    ok(driver.cuMemcpyHtoDAsync(int(buffer.handle), array.ctypes.data, array.nbytes, stream.handle))
    return buffer


def download(buffer, like):
    """What is in a buffer."""
    array = np.empty_like(like)
    ok(driver.cuMemcpyDtoHAsync(array.ctypes.data, int(buffer.handle), array.nbytes, stream.handle))
    stream.sync()
    return array


@check
def devices():
    assert device.name and device.uuid and device.compute_capability.major >= 7
    properties = device.properties
    assert properties.max_threads_per_block >= 128 and properties.warp_size == 32
    assert len(Device.get_all_devices()) >= 1


@check
def kernels():
    names = ("saxpy<float>", "saxpy<double>")
    module = program(SOURCE, names)
    for name, number, dtype in zip(names, (ctypes.c_float, ctypes.c_double), (np.float32, np.float64)):
        kernel = module.get_kernel(name)
        assert kernel.num_arguments == 4
        x, y = random.random(1000).astype(dtype), random.random(1000).astype(dtype)
        gx, gy = upload(x), upload(y)
        config = LaunchConfig(grid=4, block=128)
        launch(stream, config, kernel, number(2), int(gx.handle), int(gy.handle), ctypes.c_size_t(1000))
        close(download(gy, y), 2 * x + y, 1e-6)
        assert kernel.attributes.max_threads_per_block >= 128
        assert kernel.occupancy.max_active_blocks_per_multiprocessor(128, 0) >= 1
        gx.close(stream)
        gy.close(stream)


@check
def linking():
    caller = 'extern "C" __device__ int helper(int); extern "C" __global__ void k(int* a) { a[threadIdx.x] = helper(a[threadIdx.x]); }'
    callee = 'static __device__ int one = 1; extern "C" __device__ int helper(int x) { return x * x + one; }'
    parts = [program(source, relocatable_device_code=True) for source in (caller, callee)]
    linked = Linker(*parts, options=LinkerOptions(arch="sm_90")).link("cubin")
    data = np.arange(32, dtype=np.int32)
    place = upload(data)
    launch(stream, LaunchConfig(grid=1, block=32), linked.get_kernel("k"), int(place.handle))
    equal(download(place, data), data**2 + 1)


@check
def memory_resources():
    from cuda.core import DeviceMemoryResource, LegacyPinnedMemoryResource, ManagedMemoryResource, PinnedMemoryResource

    data = np.arange(1000, dtype=np.int32)
    for resource in (DeviceMemoryResource(device), PinnedMemoryResource(), ManagedMemoryResource()):
        buffer = upload(data, resource)
        equal(download(buffer, data), data)
        if buffer.is_host_accessible:
            equal(np.ctypeslib.as_array((ctypes.c_int * 1000).from_address(int(buffer.handle))), data)
        buffer.close(stream)
    buffer = LegacyPinnedMemoryResource().allocate(4000)
    np.ctypeslib.as_array((ctypes.c_int * 1000).from_address(int(buffer.handle)))[:] = data
    copy = device.allocate(4000, stream=stream)
    copy.copy_from(buffer, stream=stream)
    equal(download(copy, data), data)


@check
def events():
    options = EventOptions(timing_enabled=True)
    start = stream.record(options=options)
    data = upload(np.zeros(1 << 20, np.uint8))
    end = stream.record(options=options)
    end.sync()
    assert end.is_done and end - start >= 0
    other = device.create_stream()
    other.wait(end)
    other.sync()
    data.close(stream)


@check
def graphs():
    kernel = program(SOURCE, ("saxpy<float>",)).get_kernel("saxpy<float>")
    x, y = np.ones(1000, np.float32), np.zeros(1000, np.float32)
    gx, gy = upload(x), upload(y)
    stream.sync()
    builder = device.create_graph_builder().begin_building()
    config = LaunchConfig(grid=8, block=128)
    launch(builder, config, kernel, ctypes.c_float(2), int(gx.handle), int(gy.handle), ctypes.c_size_t(1000))
    left, right = builder.split(2)
    half = ctypes.c_size_t(500)
    launch(left, config, kernel, ctypes.c_float(10), int(gx.handle), int(gy.handle), half)
    launch(right, config, kernel, ctypes.c_float(100), int(gx.handle), int(gy.handle) + 2000, half)
    from cuda.core.graph import GraphBuilder

    builder = GraphBuilder.join(left, right)
    graph = builder.end_building().complete()
    graph.upload(stream)
    for _ in range(2):
        graph.launch(stream)
    equal(download(gy, y), 2 * np.repeat(np.float32([12, 102]), 500))


@check
def graph_memory():
    from cuda.core import GraphMemoryResource

    resource = GraphMemoryResource(device)
    kernel = program(SOURCE, ("saxpy<float>",)).get_kernel("saxpy<float>")
    y = np.zeros(100, np.float32)
    gy = upload(y)
    stream.sync()
    builder = device.create_graph_builder().begin_building()
    scratch = resource.allocate(400, stream=builder)
    scratch.fill(0, stream=builder)
    config = LaunchConfig(grid=1, block=128)
    launch(builder, config, kernel, ctypes.c_float(1), int(scratch.handle), int(gy.handle), ctypes.c_size_t(100))
    scratch.close(builder)
    graph = builder.end_building().complete()
    graph.launch(stream)
    graph.launch(stream)
    equal(download(gy, y), y)


main()
