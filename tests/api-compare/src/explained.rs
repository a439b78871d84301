//! The differences that are meant to be, each with its reason.

/// A difference that has a reason.
pub struct Explained {
    /// The probe's name; `*` at its end stands for anything.
    probe: &'static str,
    /// The step, likewise.
    step: &'static str,
    /// Why.
    pub why: &'static str,
}

/// Every explained difference.
const ALL: &[Explained] = &[
    because("device/facts", "*", "a fact of that chip or machine, not of compute capability 9.0, or something Vulkan does not have"),
    because("context/limits-read", "*", "buffers have the size that is asked for, and there is no device runtime, L2 set-aside or CUDA in graphics"),
    because("context/limits-set", "limit 2 set to 1125899906842624", "the heap is bounded by that chip's memory"),
    because("context/limits-set", "limit 4 *", "no device runtime, L2 set-aside or CUDA in graphics"),
    because("context/limits-set", "limit 6 *", "no device runtime, L2 set-aside or CUDA in graphics"),
    because("context/limits-set", "limit 7 *", "no device runtime, L2 set-aside or CUDA in graphics"),
    because("context/limits-set", "limit 8 *", "no device runtime, L2 set-aside or CUDA in graphics"),
    because("context/cache-config", "(least, greatest)", "streams have no priorities, and the device attribute says so"),
    because("stream/priority", "*", "streams have no priorities, and the device attribute says so"),
    because("context/create-forms", "cuCtxCreate_v3(*", "execution affinity is refused by its own error"),
    because("context/flags", "create with flags 0x40", "there are no core dumps, whose flags are kept as given"),
    because("context/not-a-context", "*", "what is no context is refused at once, not when it is used"),
    because("context/use-destroyed", "*", "a destroyed context is refused at once, not when it is used"),
    because("event/after-context", "*", "an event that ended with its context is no event"),
    because("event/other-context", "cuEventQuery(e)", "whether the work is done already is a matter of time"),
    because("event/junk", "*", "what is no event is refused as such"),
    because("event/elapsed", "cuEventElapsedTime(NULL, a, b)", "two things are told in another order"),
    because("event/create", "flags 0x6", "events are not shared with other processes"),
    because("event/create", "flags 0x7", "events are not shared with other processes"),
    because("ipc", "*", "nothing is shared with other processes"),
    because("ipc/handles", "*", "nothing is shared with other processes"),
    because("pool/export", "*", "nothing is shared with other processes"),
    because("pool/create", "handles of files", "nothing is shared with other processes"),
    because("pool/counters", "*", "pools keep no memory in reserve, so that the reserved is what is used"),
    because("pool/alloc", "d%512", "allocations are aligned to 256 bytes, which is what is documented"),
    because("memory/sizes", "d%512", "allocations are aligned to 256 bytes, which is what is documented"),
    because("memory/set", "cuMemsetD32_v2(d, 1, 1u64<<62)", "NVIDIA's library takes the size modulo 2^64, which is 0"),
    because("error/strings", "*", "texts in this project's words, and errors newer than driver 580"),
    because("error/names", "cuGetErrorName(47)", "newer than driver 580 knows"),
    because("error/names", "cuGetErrorName(227)", "newer than driver 580 knows"),
    because("error/names", "cuGetErrorName(917)", "newer than driver 580 knows"),
    because("error/names", "cuGetErrorName(918)", "newer than driver 580 knows"),
    because("error/names", "cuGetErrorName(919)", "newer than driver 580 knows"),
    because("graph/add-node", "cuGraphNodeGetLocalId*", "newer than driver 580 knows"),
    because("graph/add-node", "cuGraphGetId*", "newer than driver 580 knows"),
    because("graph/add-node", "cuGraphNodeGetContainingGraph*", "newer than driver 580 knows"),
    because("graph/ids", "*", "newer than driver 580 knows"),
    because("launch/host-function-v2", "*", "newer than driver 580 knows"),
    because("memory/with-attributes", "*", "newer than driver 580 knows"),
    because("exec/device-launch", "*", "graphs are not launched from the device"),
    because("exec/instantiate", "flags 4", "graphs are not launched from the device"),
    because("exec/instantiate", "flags 5", "graphs are not launched from the device"),
    because("exec/memory", "cuMemsetD8Async(p.dptr, 1, 16, s)", "memory of graphs is there from the start"),
    because("exec/memory-inside", "memory attribute 0", "memory of a graph counts as used while it is the application's"),
    because("exec/update", "an edge less", "another of the two nodes that do not fit is told"),
    because("fault/assert", "cuDevicePrimaryCtxRetain*", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/assert", "cuMemAlloc_v2(&mut p, 16) #2", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/assert", "cuCtxSynchronize() #3", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/breakpoint", "cuDevicePrimaryCtxRetain*", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/breakpoint", "cuMemAlloc_v2(&mut p, 16) #2", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/breakpoint", "cuCtxSynchronize() #3", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/trap", "cuDevicePrimaryCtxRetain*", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/trap", "cuMemAlloc_v2(&mut p, 16) #2", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/trap", "cuCtxSynchronize() #3", "a reset context works again; with NVIDIA's library the process has to end"),
    because("fault/destroy-own", "*", "a new context works; with NVIDIA's library the process has to end"),
    because("fault/own-context", "*", "a new context works; with NVIDIA's library the process has to end"),
    because("fault/work-queued-behind", "*", "what was queued behind a fault runs before it is noticed"),
    because("fault/null-write", "*", "an address that nothing has ends the process on a CPU device"),
    because("fault/small-address", "*", "an address that nothing has ends the process on a CPU device"),
    because("fault/wild-address", "*", "an address that nothing has ends the process on a CPU device"),
    because("fault/not-canonical", "*", "an address that nothing has ends the process on a CPU device"),
    because("fault/misaligned", "*", "an address that nothing has ends the process on a CPU device"),
    because("function/set-attributes", "attribute 4 *", "registers are the compiler's"),
    because("function/set-attributes", "attribute 11 *", "there are no clusters"),
    because("function/set-attributes", "attribute 12 *", "there are no clusters"),
    because("function/set-attributes", "attribute 13 *", "there are no clusters"),
    because("launch/clusters", "*", "there are no clusters"),
    because("launch/ex", "cluster 2", "there are no clusters"),
    because("launch/ex", "cluster 8", "there are no clusters"),
    because("launch/cooperative", "cuLaunchCooperativeKernelMultiDevice*", "refused whatever is asked"),
    because("graph/memcpy", "read.srcPitch", "a copy node gives back a structure that means the same"),
    because("graph/memcpy", "read.srcHeight", "a copy node gives back a structure that means the same"),
    because("graph/cycle", "*", "an edge that closes a cycle is refused at once, not when the graph is instantiated"),
    because("library/globals", "cuLibraryGetUnifiedFunction*", "there are no unified functions"),
    because("library/lazy-errors", "*", "kernels of libraries are translated at their first use"),
    because("library/load", "cuLibraryLoadData(&mut l, c\"*", "what is no image is refused at once"),
    because("library/no-context", "cuKernelGetParamInfo*", "needs no context"),
    because("link/bad-input", "*", "inputs are looked at one by one when they are added, and instructions when a kernel is used"),
    because("link/twice-defined", "cuLinkAddData_v2*", "names are compared when the link is complete"),
    because("mipmap", "cuArrayDestroy(l)", "a level ends with its mipmapped array"),
    because("module/bad-images", "version 9.9*", "newer PTX is taken, and what it adds refused by the instruction"),
    because("module/bad-images", "target newer than the version*", "which version came with which target does not matter to the translator"),
    because("module/bad-images", "unknown instruction*", "kernels are translated at their first use: others of the module may do without"),
    because("module/bad-images", "wrong operand type*", "kernels are translated at their first use: others of the module may do without"),
    because("module/bad-images", "too much shared memory*", "kernels are translated at their first use: others of the module may do without"),
    because("module/logs", "bad*", "kernels are translated at their first use: others of the module may do without"),
    because("module/null", "cuModuleLoad(&mut m, c\"/\")", "a directory is no file"),
    because("module/options", "option 15=*", "an option of NVIDIA's compiler alone, which does not know it any more"),
    because("occupancy/block-size", "block #6", "a fact of that chip: its shared memory"),
    because("occupancy/blocks", "128 threads, *", "a fact of that chip: its shared memory; NVIDIA's library takes the largest sizes modulo 2^32"),
    because("occupancy/dynamic-shared", "*", "a fact of that chip: its shared memory"),
    because("pointer/device", "start, attribute 5", "tokens of GPUDirect"),
    because("pointer/device", "inside, attribute 5", "tokens of GPUDirect"),
    because("pointer/host", "start, attribute 5", "tokens of GPUDirect"),
    because("pointer/host", "inside, attribute 5", "tokens of GPUDirect"),
    because("pointer/managed", "start, attribute 5", "tokens of GPUDirect"),
    because("pointer/managed", "inside, attribute 5", "tokens of GPUDirect"),
    because("pointer/pool", "start, attribute 5", "tokens of GPUDirect"),
    because("pointer/pool", "inside, attribute 5", "tokens of GPUDirect"),
    because("memory/register", "d==p", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/register", "d==p+100", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/register-unaligned", "d==p+100", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("pointer/registered", "start, attribute 3", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("pointer/registered", "start, attribute 11", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("pointer/registered", "inside, attribute 3", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("pointer/registered", "inside, attribute 11", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/host-access", "cuCtxSynchronize() #2", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/host-access", "unsafe{((p+4)*", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/host-access", "end", "a Vulkan driver gives registered memory addresses of its own, which the device attribute tells"),
    because("memory/register-read-only", "cuMemHostRegister_v2(p, 16384, 8)", "a Vulkan driver need not import memory that nobody may write to, which the device attribute tells"),
    because("pointer/registered", "start, attribute 5", "tokens of GPUDirect"),
    because("pointer/registered", "inside, attribute 5", "tokens of GPUDirect"),
    because("pointer/device", "start, attribute 10", "no sharing, no RDMA, no decompression engine"),
    because("pointer/device", "start, attribute 15", "no sharing, no RDMA, no decompression engine"),
    because("pointer/device", "start, attribute 21", "no sharing, no RDMA, no decompression engine"),
    because("pointer/device", "inside, attribute 10", "no sharing, no RDMA, no decompression engine"),
    because("pointer/device", "inside, attribute 15", "no sharing, no RDMA, no decompression engine"),
    because("pointer/device", "inside, attribute 21", "no sharing, no RDMA, no decompression engine"),
    because("pointer/unknown-several", "attribute 4", "NVIDIA's library leaves the host pointer of an unknown address undefined"),
    because("proc/versions", "find(c\"cuMemAlloc\", 99000, 0)", "there is no version of CUDA that is too new to ask for"),
    because("texture/create", "sRGB", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("texture/create", "seamless", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("texture/create", "linear of nothing", "a texture of no texels, or of rows that overlap, is refused"),
    because("texture/create", "pitched, small pitch", "a texture of no texels, or of rows that overlap, is refused"),
    because("texture/create", "pitched, no height", "a texture of no texels, or of rows that overlap, is refused"),
    because("texture/create", "pitched, no width", "a texture of no texels, or of rows that overlap, is refused"),
    because("array/create", "BC1", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("array/create-3d", "sparse", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("array/create-3d", "deferred", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("array/create-3d", "flag 256", "sparse arrays, arrays whose memory comes later, compressed formats, sRGB and seamless cubes are not supported"),
    because("array/create-3d", "depth 16385", "the limit is that which the device attribute tells"),
    because("capture/exchange-mode", "*", "there is no mode 3"),
    because("various/coredump", "*", "there are no core dumps"),
    because("vmm/create", "cuMemGetAllocationPropertiesFromHandle(&mut p, h) #2", "what is released is no memory"),
    because("vmm/access-places", "place 2", "the host does not reach memory without an address, and is told so"),
    because("vmm/granularity", "host, create", "memory of the host has its own address"),
    because("vmm/granularity", "host node 0, create", "memory of the host has its own address"),
    because("vmm/granularity", "files, create", "nothing is shared with other processes"),
    because("vmm/handles", "cuMemImportFromShareableHandle(*", "nothing is shared with other processes"),
    because("vmm/map", "cuMemMap(at+3*step, 2*g, 0, h, 0)", "addresses behind the end of a reservation are refused"),
    because("vmm/map", "cuMemAddressFree(at, 4*g)", "addresses behind the end of a reservation are refused"),
    because(
        "various/rdma-and-others",
        "*",
        "nothing of other interfaces, devices and processes is mapped: refused by name",
    ),
    because("various/old-names", "*", "addresses and sizes of 32 bits, as before CUDA 3.2; NVIDIA's library makes no other context beside such a one"),
];

const fn because(probe: &'static str, step: &'static str, why: &'static str) -> Explained {
    Explained { probe, step, why }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    }
}

/// The reason for a difference, if there is one.
pub fn find(probe: &str, step: &str) -> Option<(usize, &'static Explained)> {
    ALL.iter()
        .enumerate()
        .find(|(_, e)| matches(e.probe, probe) && matches(e.step, step))
}

/// The reasons that no difference needed.
pub fn unused(used: &[usize]) -> Vec<String> {
    ALL.iter()
        .enumerate()
        .filter(|(index, _)| !used.contains(index))
        .map(|(_, e)| format!("{}: {}", e.probe, e.step))
        .collect()
}
