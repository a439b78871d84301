"""pynvml, NVIDIA's own Python bindings of NVML: what monitors of GPUs ask."""

import pynvml as nvml
from checks import check, equal, main

nvml.nvmlInit()


def supported(function, *arguments):
    """The value, or None where the system does not tell."""
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        assert error.value == nvml.NVML_ERROR_NOT_SUPPORTED, error
        return None


@check
def versions():
    assert nvml.nvmlSystemGetDriverVersion()
    assert nvml.nvmlSystemGetNVMLVersion()
    assert nvml.nvmlSystemGetCudaDriverVersion_v2() >= 12000


@check
def devices():
    count = nvml.nvmlDeviceGetCount()
    assert count >= 1
    for index in range(count):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        equal(nvml.nvmlDeviceGetIndex(handle), index)
        assert nvml.nvmlDeviceGetName(handle)
        uuid = nvml.nvmlDeviceGetUUID(handle)
        assert uuid.startswith("GPU-"), uuid
        equal(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(uuid)), uuid)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
        assert (major, minor) >= (7, 0)
        pci = supported(nvml.nvmlDeviceGetPciInfo, handle)
        if pci:
            equal(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByPciBusId(pci.busId)), uuid)


@check
def memory():
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    first = nvml.nvmlDeviceGetMemoryInfo(handle)
    assert 0 < first.total and first.used + first.free == first.total
    second = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    equal(second.total, first.total)


@check
def sensors():
    """Whatever is told is in a sensible range, and what is not known is not made up."""
    handle = nvml.nvmlDeviceGetHandleByIndex(0)
    temperature = supported(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
    assert temperature is None or 0 < temperature < 150
    utilization = supported(nvml.nvmlDeviceGetUtilizationRates, handle)
    assert utilization is None or 0 <= utilization.gpu <= 100
    power = supported(nvml.nvmlDeviceGetPowerUsage, handle)
    assert power is None or power > 0
    for function in (nvml.nvmlDeviceGetFanSpeed, nvml.nvmlDeviceGetEnforcedPowerLimit, nvml.nvmlDeviceGetPerformanceState):
        supported(function, handle)
    for clock in (nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM):
        supported(nvml.nvmlDeviceGetClockInfo, handle, clock)
        supported(nvml.nvmlDeviceGetMaxClockInfo, handle, clock)
    processes = supported(nvml.nvmlDeviceGetComputeRunningProcesses, handle)
    assert processes is None or isinstance(processes, list)


@check
def errors():
    for call in (
        lambda: nvml.nvmlDeviceGetHandleByIndex(10_000),
        lambda: nvml.nvmlDeviceGetHandleByUUID("GPU-00000000-1111-2222-3333-444444444444"),
    ):
        try:
            call()
            raise AssertionError("there is no such device")
        except nvml.NVMLError as error:
            assert error.value in (nvml.NVML_ERROR_INVALID_ARGUMENT, nvml.NVML_ERROR_NOT_FOUND), error


main()
