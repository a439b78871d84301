//! Graphs before they are instantiated: nodes of each type, edges, clones, user objects.

use super::*;
use crate::{go, must, show};
use cuda_abi::{
    CUfunction, CUgraphNodeParams, CUgraphNodeType, CUmemLocationType, CUmemorytype,
    CUDA_KERNEL_NODE_PARAMS, CUDA_MEMCPY3D, CUDA_MEMSET_NODE_PARAMS, CUDA_MEM_ALLOC_NODE_PARAMS,
};

/// A new graph.
pub fn graph() -> u64 {
    let mut graph = 0u64;
    must!(cuGraphCreate(&mut graph, 0));
    graph
}

/// Adds an empty node.
pub fn empty(graph: u64, after: &[u64]) -> u64 {
    let mut node = 0u64;
    must!(cuGraphAddEmptyNode(
        &mut node,
        graph,
        after.as_ptr(),
        after.len()
    ));
    node
}

/// A kernel node's parameters.
pub fn kernel_params(function: u64, list: u64) -> CUDA_KERNEL_NODE_PARAMS {
    let mut p: CUDA_KERNEL_NODE_PARAMS = zeroed();
    p.func = CUfunction(function as usize);
    (
        p.gridDimX,
        p.gridDimY,
        p.gridDimZ,
        p.blockDimX,
        p.blockDimY,
        p.blockDimZ,
    ) = (1, 1, 1, 1, 1, 1);
    p.kernelParams = list as *mut *mut c_void;
    p
}

/// Adds a kernel node.
pub fn kernel_node(graph: u64, after: &[u64], function: u64, list: u64) -> u64 {
    let mut node = 0u64;
    must!(cuGraphAddKernelNode_v2(
        &mut node,
        graph,
        after.as_ptr(),
        after.len(),
        &kernel_params(function, list)
    ));
    node
}

/// Setting one row.
pub fn memset_params(at: u64, value: u32, size: u32, width: usize) -> CUDA_MEMSET_NODE_PARAMS {
    CUDA_MEMSET_NODE_PARAMS {
        dst: at,
        pitch: 0,
        value,
        elementSize: size,
        width,
        height: 1,
    }
}

/// Copying one row between device memory.
pub fn memcpy_params(to: u64, from: u64, bytes: usize) -> CUDA_MEMCPY3D {
    let mut c: CUDA_MEMCPY3D = zeroed();
    c.srcMemoryType = CUmemorytype::DEVICE;
    c.dstMemoryType = CUmemorytype::DEVICE;
    (c.srcDevice, c.dstDevice, c.WidthInBytes, c.Height, c.Depth) = (from, to, bytes, 1, 1);
    c
}

/// An allocation on device 0.
pub fn alloc_params(bytes: usize) -> CUDA_MEM_ALLOC_NODE_PARAMS {
    let mut p: CUDA_MEM_ALLOC_NODE_PARAMS = zeroed();
    p.poolProps.allocType = 1;
    p.poolProps.location.kind = CUmemLocationType::DEVICE;
    p.bytesize = bytes;
    p
}

/// A node's type.
fn kind(node: u64) -> u32 {
    let mut kind = 99u32;
    must!(cuGraphNodeGetType(node, &mut kind));
    kind
}

/// The numbers of nodes, roots and edges.
fn shape(graph: u64) -> (usize, usize, usize) {
    let (mut n, mut r, mut e) = (0usize, 0usize, 0usize);
    must!(cuGraphGetNodes(graph, NULL, &mut n));
    must!(cuGraphGetRootNodes(graph, NULL, &mut r));
    must!(cuGraphGetEdges(graph, NULL, NULL, &mut e));
    (n, r, e)
}

fn add_kernel(what: &str, graph: u64, p: &CUDA_KERNEL_NODE_PARAMS) {
    let mut node = 0u64;
    let code = crate::api::call(
        "cuGraphAddKernelNode_v2",
        &[
            std::ptr::from_mut(&mut node) as u64,
            graph,
            NULL,
            0,
            std::ptr::from_ref(p) as u64,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
}

fn add_memset(
    what: &str,
    graph: u64,
    context: u64,
    change: impl FnOnce(&mut CUDA_MEMSET_NODE_PARAMS),
    at: u64,
) {
    let (mut node, mut p) = (0u64, memset_params(at, 1, 1, 4));
    change(&mut p);
    let code = crate::api::call(
        "cuGraphAddMemsetNode",
        &[
            std::ptr::from_mut(&mut node) as u64,
            graph,
            NULL,
            0,
            std::ptr::from_ref(&p) as u64,
            context,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
}

fn add_memcpy(what: &str, graph: u64, context: u64, p: &CUDA_MEMCPY3D) {
    let mut node = 0u64;
    let code = crate::api::call(
        "cuGraphAddMemcpyNode",
        &[
            std::ptr::from_mut(&mut node) as u64,
            graph,
            NULL,
            0,
            std::ptr::from_ref(p) as u64,
            context,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
}

probes! {
    "graph/create" => || {
        init();
        let mut g = 5u64;
        go!(cuGraphCreate(&mut g, 1));
        go!(cuGraphCreate(NULL, 0));
        go!(cuGraphCreate(&mut g, 0));
        go!(cuGraphDestroy(g));
        go!(cuGraphDestroy(NULL));
        go!(cuGraphGetNodes(NULL, NULL, &mut 0usize));
        let g = graph();
        go!(cuGraphGetNodes(g, NULL, NULL));
        go!(cuGraphAddEmptyNode(NULL, g, NULL, 0));
        go!(cuGraphAddEmptyNode(&mut 0u64, NULL, NULL, 0));
        go!(cuGraphAddEmptyNode(&mut 0u64, g, NULL, 1));
        go!(cuGraphAddEmptyNode(&mut 0u64, g, &NULL, 1));
        let other = graph();
        let node = empty(other, &[]);
        go!(cuGraphAddEmptyNode(&mut 0u64, g, &node, 1));
        let a = empty(g, &[]);
        go!(cuGraphAddEmptyNode(&mut 0u64, g, &[a, a], 2));
        show!(shape(g));
    };
    "graph/edges" => || {
        context();
        let g = graph();
        let (a, b, c) = (empty(g, &[]), empty(g, &[]), empty(g, &[]));
        go!(cuGraphAddDependencies(g, &a, &b, 1));
        go!(cuGraphAddDependencies(g, &a, &b, 1));
        go!(cuGraphAddDependencies(g, &[b, b], &[c, c], 2));
        show!(shape(g));
        go!(cuGraphAddDependencies(g, &b, &c, 1));
        go!(cuGraphAddDependencies(g, &a, &a, 1));
        go!(cuGraphAddDependencies(g, &a, &NULL, 1));
        go!(cuGraphAddDependencies(g, NULL, NULL, 0));
        go!(cuGraphAddDependencies(g, NULL, NULL, 1));
        go!(cuGraphAddDependencies(NULL, &a, &b, 1));
        let other = graph();
        let x = empty(other, &[]);
        go!(cuGraphAddDependencies(g, &a, &x, 1));
        go!(cuGraphRemoveDependencies(g, &a, &b, 1));
        go!(cuGraphRemoveDependencies(g, &a, &b, 1));
        go!(cuGraphRemoveDependencies(g, &a, &x, 1));
        go!(cuGraphRemoveDependencies(g, NULL, NULL, 0));
        show!(shape(g));
        let (mut from, mut to, mut n) = ([0u64; 4], [0u64; 4], 4usize);
        go!(cuGraphGetEdges(g, &mut from, &mut to, &mut n));
        show!(n, from[0] == b, to[0] == c);
        n = 4;
        go!(cuGraphNodeGetDependencies(c, &mut from, &mut n));
        show!(n, from[0] == b, from[1]);
        n = 4;
        go!(cuGraphNodeGetDependentNodes(b, &mut to, &mut n));
        show!(n, to[0] == c);
        go!(cuGraphNodeGetDependencies(NULL, NULL, &mut n));
        go!(cuGraphNodeGetDependencies(c, NULL, NULL));
        let mut all = [7u64; 5];
        n = 2;
        go!(cuGraphGetNodes(g, &mut all, &mut n));
        show!(n, all[0] == a, all[1] == b, all[2]);
        n = 5;
        go!(cuGraphGetNodes(g, &mut all, &mut n));
        show!(n, all[2] == c, all[3]);
        n = 5;
        all = [7; 5];
        go!(cuGraphGetRootNodes(g, &mut all, &mut n));
        show!(n, all[0] == a, all[1] == b, all[2]);
    };
    "graph/cycle" => || {
        context();
        let (g, mut x, mut p) = (graph(), 0u64, [0u64; 4]);
        let (a, b) = (empty(g, &[]), empty(g, &[]));
        must!(cuGraphAddDependencies(g, &a, &b, 1));
        go!(cuGraphAddDependencies(g, &b, &a, 1));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphInstantiateWithParams(&mut x, g, &mut p));
        show!(p[3] as u32);
    };
    "graph/edge-data" => || {
        context();
        let g = graph();
        let (a, b) = (empty(g, &[]), empty(g, &[]));
        go!(cuGraphAddDependencies_v2(g, &a, &b, &0u64, 1));
        go!(cuGraphRemoveDependencies_v2(g, &a, &b, NULL, 1));
        go!(cuGraphAddDependencies_v2(g, &a, &b, NULL, 1));
        let (mut from, mut to, mut data, mut n) = (0u64, 0u64, 9u64, 1usize);
        go!(cuGraphGetEdges_v2(g, &mut from, &mut to, &mut data, &mut n));
        show!(data, n);
        n = 1;
        go!(cuGraphNodeGetDependencies_v2(b, &mut from, &mut data, &mut n));
        n = 1;
        go!(cuGraphNodeGetDependentNodes_v2(a, &mut to, &mut data, &mut n));
        show!(from == a, to == b);
        go!(cuGraphRemoveDependencies_v2(g, &a, &b, &0u64, 1));
        // Bytes: the port left, the port entered, the type.
        go!(cuGraphAddDependencies_v2(g, &a, &b, &1u64, 1));
        go!(cuGraphAddDependencies_v2(g, &a, &b, &0x100u64, 1));
        go!(cuGraphAddDependencies_v2(g, &a, &b, &0x10000u64, 1));
        go!(cuGraphAddDependencies_v2(g, &a, &b, &0x20000u64, 1));
        go!(cuGraphAddDependencies_v2(g, &a, &b, &0x1000000u64, 1));
        let f = kernel(c"empty");
        let (k, l) = (kernel_node(g, &[], f, NULL), kernel_node(g, &[], f, NULL));
        go!(cuGraphAddDependencies_v2(g, &k, &l, &0x10001u64, 1));
        go!(cuGraphRemoveDependencies_v2(g, &k, &l, NULL, 1));
        n = 1;
        go!(cuGraphGetEdges(g, &mut from, &mut to, &mut n));
        n = 1;
        go!(cuGraphNodeGetDependencies(l, &mut from, &mut n));
        show!(n);
        go!(cuGraphRemoveDependencies(g, &k, &l, 1));
        go!(cuGraphAddDependencies_v2(g, &k, &l, &0x00001u64, 1));
        go!(cuGraphAddDependencies_v2(g, &k, &l, &0x00002u64, 1));
    };
    "graph/destroy-node" => || {
        context();
        let g = graph();
        let (a, b) = (empty(g, &[]), empty(g, &[]));
        must!(cuGraphAddDependencies(g, &a, &b, 1));
        go!(cuGraphDestroyNode(a));
        show!(shape(g));
        go!(cuGraphDestroyNode(b));
        show!(shape(g));
        go!(cuGraphDestroyNode(NULL));
        go!(cuGraphDestroy(g));
    };
    "graph/destroyed-node" => || {
        context();
        let g = graph();
        let a = empty(g, &[]);
        must!(cuGraphDestroyNode(a));
        go!(cuGraphDestroyNode(a));
        let mut kind = 0u32;
        go!(cuGraphNodeGetType(a, &mut kind));
    };
    "graph/destroyed" => || {
        context();
        let g = graph();
        must!(cuGraphDestroy(g));
        let mut n = 0usize;
        go!(cuGraphGetNodes(g, NULL, &mut n));
        go!(cuGraphDestroy(g));
    };
    "graph/kernel" => || {
        context();
        let (g, f, at) = (graph(), kernel(c"store"), alloc(64));
        let p = Parameters::new(at, 5);
        let good = kernel_params(f, p.list());
        add_kernel("plain", g, &good);
        add_kernel("null function", g, &CUDA_KERNEL_NODE_PARAMS { func: CUfunction(0), ..good });
        add_kernel("no parameters", g, &CUDA_KERNEL_NODE_PARAMS { kernelParams: std::ptr::null_mut(), ..good });
        add_kernel("grid 0", g, &CUDA_KERNEL_NODE_PARAMS { gridDimX: 0, ..good });
        add_kernel("block 0", g, &CUDA_KERNEL_NODE_PARAMS { blockDimX: 0, ..good });
        add_kernel("block 1025", g, &CUDA_KERNEL_NODE_PARAMS { blockDimX: 1025, ..good });
        add_kernel("shared 100000", g, &CUDA_KERNEL_NODE_PARAMS { sharedMemBytes: 100000, ..good });
        let mut node = 0u64;
        go!(cuGraphAddKernelNode_v2(&mut node, g, NULL, 0, NULL));
        go!(cuGraphAddKernelNode_v2(&mut node, g, NULL, 0, &good));
        show!(kind(node));
        let mut read: CUDA_KERNEL_NODE_PARAMS = zeroed();
        go!(cuGraphKernelNodeGetParams_v2(node, &mut read));
        show!(read.func.0 as u64 == f, read.gridDimX, read.blockDimX, read.sharedMemBytes, read.kernelParams.is_null(), read.extra.is_null(), read.kern.0, read.ctx.0 != 0);
        let mut changed = good;
        changed.gridDimX = 3;
        go!(cuGraphKernelNodeSetParams_v2(node, &changed));
        must!(cuGraphKernelNodeGetParams_v2(node, &mut read));
        show!(read.gridDimX);
        changed.blockDimX = 5000;
        go!(cuGraphKernelNodeSetParams_v2(node, &changed));
        go!(cuGraphKernelNodeSetParams_v2(node, NULL));
        go!(cuGraphKernelNodeGetParams_v2(node, NULL));
        go!(cuGraphKernelNodeGetParams_v2(empty(g, &[]), &mut read));
        let mut value = [0u32; 16];
        for id in 0..17u32 {
            value.fill(0);
            let code = crate::api::call("cuGraphKernelNodeGetAttribute", &[node, u64::from(id), std::ptr::from_mut(&mut value) as u64]);
            crate::api::line(&format!("attribute {id}"), &format!("{} {:?}", crate::api::status(code), &value[..4]));
        }
        for (id, word) in [(2u32, 1u32), (2, 2), (4, 1), (8, -1i32 as u32), (8, 100), (9, 0x100), (10, 1), (14, 50), (3, 1), (99, 1)] {
            value.fill(0);
            value[0] = word;
            if id == 4 { value[1] = 1; value[2] = 1; }
            let code = crate::api::call("cuGraphKernelNodeSetAttribute", &[node, u64::from(id), std::ptr::from_ref(&value) as u64]);
            let mut read = [0u32; 16];
            let got = crate::api::call("cuGraphKernelNodeGetAttribute", &[node, u64::from(id), std::ptr::from_mut(&mut read) as u64]);
            crate::api::line(&format!("attribute {id} set to {word}"), &format!("{}, {} {}", crate::api::status(code), crate::api::status(got), read[0]));
        }
        let mut second = 0u64;
        must!(cuGraphAddKernelNode_v2(&mut second, g, NULL, 0, &good));
        go!(cuGraphKernelNodeCopyAttributes(second, node));
        go!(cuGraphKernelNodeCopyAttributes(second, empty(g, &[])));
    };
    "graph/kernel-arguments" => || {
        context();
        let (g, f, at, mut x, s) = (graph(), kernel(c"store"), alloc(64), 0u64, stream(1));
        let p = Parameters::new(at, 5);
        let node = kernel_node(g, &[], f, p.list());
        let mut read: CUDA_KERNEL_NODE_PARAMS = zeroed();
        go!(cuGraphKernelNodeGetParams_v2(node, &mut read));
        let list = read.kernelParams.cast::<*mut u32>();
        show!(list.is_null());
        // SAFETY: the node's list of pointers to its two arguments.
        unsafe {
            show!((*list).cast::<u64>().read() == at, (*list.add(1)).read());
            // As a program does that changes one argument of a captured kernel.
            let mut seven = 7u32;
            *list.add(1) = &mut seven;
            go!(cuGraphKernelNodeSetParams_v2(node, &read));
        }
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
        let none = kernel_node(g, &[], kernel(c"empty"), NULL);
        go!(cuGraphKernelNodeGetParams_v2(none, &mut read));
        show!(read.kernelParams.is_null());
        // Packed arguments come back as a list.
        let mut packed = [0u8; 16];
        packed[..8].copy_from_slice(&at.to_le_bytes());
        packed[8..12].copy_from_slice(&9u32.to_le_bytes());
        let size = 12usize;
        let mut extra = [1u64, std::ptr::from_ref(&packed) as u64, 2, std::ptr::from_ref(&size) as u64, 0];
        let mut params = kernel_params(f, 0);
        params.extra = extra.as_mut_ptr().cast();
        let mut other = 0u64;
        go!(cuGraphAddKernelNode_v2(&mut other, g, NULL, 0, &params));
        go!(cuGraphKernelNodeGetParams_v2(other, &mut read));
        show!(read.kernelParams.is_null(), read.extra.is_null());
    };
    "graph/memset" => || {
        let c = context();
        let (g, at) = (graph(), alloc(4096));
        add_memset("plain", g, c, |_| (), at);
        add_memset("null context", g, 0, |_| (), at);
        add_memset("null address", g, c, |p| p.dst = 0, at);
        add_memset("element 3", g, c, |p| p.elementSize = 3, at);
        add_memset("element 0", g, c, |p| p.elementSize = 0, at);
        add_memset("element 8", g, c, |p| p.elementSize = 8, at);
        add_memset("width 0", g, c, |p| p.width = 0, at);
        add_memset("height 0", g, c, |p| p.height = 0, at);
        add_memset("unaligned", g, c, |p| { p.dst += 1; p.elementSize = 4; }, at);
        add_memset("two rows", g, c, |p| { p.height = 2; p.pitch = 64; }, at);
        add_memset("two rows, small pitch", g, c, |p| { p.height = 2; p.pitch = 2; }, at);
        add_memset("two rows, odd pitch", g, c, |p| { p.height = 2; p.pitch = 17; p.elementSize = 4; }, at);
        add_memset("value over the element", g, c, |p| p.value = 0x1ff, at);
        add_memset("out of bounds", g, c, |p| p.width = 1 << 30, at);
        let (mut node, mut read) = (0u64, memset_params(0, 0, 0, 0));
        go!(cuGraphAddMemsetNode(&mut node, g, NULL, 0, &memset_params(at, 7, 4, 16), c));
        show!(kind(node));
        go!(cuGraphMemsetNodeGetParams(node, &mut read));
        show!(read.dst == at, read.value, read.elementSize, read.width, read.height, read.pitch);
        go!(cuGraphMemsetNodeSetParams(node, &memset_params(at, 8, 2, 16)));
        go!(cuGraphMemsetNodeSetParams(node, &memset_params(at, 8, 3, 16)));
        go!(cuGraphMemsetNodeGetParams(node, &mut read));
        show!(read.value, read.elementSize);
        go!(cuGraphMemsetNodeGetParams(node, NULL));
        go!(cuGraphAddMemsetNode(&mut node, g, NULL, 0, NULL, c));
    };
    "graph/memcpy" => || {
        let c = context();
        let (g, at) = (graph(), alloc(4096));
        let good = memcpy_params(at, at + 1024, 64);
        add_memcpy("plain", g, c, &good);
        add_memcpy("null context", g, 0, &good);
        add_memcpy("null source", g, c, &CUDA_MEMCPY3D { srcDevice: 0, ..good });
        add_memcpy("width 0", g, c, &CUDA_MEMCPY3D { WidthInBytes: 0, ..good });
        add_memcpy("height 0", g, c, &CUDA_MEMCPY3D { Height: 0, ..good });
        add_memcpy("depth 0", g, c, &CUDA_MEMCPY3D { Depth: 0, ..good });
        add_memcpy("two rows without pitch", g, c, &CUDA_MEMCPY3D { Height: 2, ..good });
        add_memcpy("type 9", g, c, &CUDA_MEMCPY3D { srcMemoryType: CUmemorytype(9), ..good });
        add_memcpy("out of bounds", g, c, &CUDA_MEMCPY3D { WidthInBytes: 1 << 30, ..good });
        let (mut node, mut read): (u64, CUDA_MEMCPY3D) = (0, zeroed());
        go!(cuGraphAddMemcpyNode(&mut node, g, NULL, 0, &good, c));
        show!(kind(node));
        go!(cuGraphMemcpyNodeGetParams(node, &mut read));
        show!(read.srcDevice == at + 1024, read.dstDevice == at, read.WidthInBytes, read.Height, read.Depth, read.srcMemoryType, read.srcPitch, read.srcHeight);
        go!(cuGraphMemcpyNodeSetParams(node, &memcpy_params(at + 64, at + 1024, 32)));
        go!(cuGraphMemcpyNodeSetParams(node, NULL));
        go!(cuGraphMemcpyNodeGetParams(node, NULL));
        let host = [0u8; 64];
        let mut from_host = good;
        from_host.srcMemoryType = CUmemorytype::HOST;
        from_host.srcHost = host.as_ptr().cast();
        add_memcpy("host to device", g, c, &from_host);
        from_host.srcMemoryType = CUmemorytype::UNIFIED;
        from_host.srcDevice = host.as_ptr() as u64;
        add_memcpy("unified host to device", g, c, &from_host);
    };
    "graph/host" => || {
        context();
        let (g, n, mut node, mut read) = (graph(), counter(), 0u64, [0u64; 2]);
        let good = [COUNT as usize as u64, std::ptr::from_ref(n) as u64];
        go!(cuGraphAddHostNode(&mut node, g, NULL, 0, &good));
        show!(kind(node));
        go!(cuGraphHostNodeGetParams(node, &mut read));
        show!(read == good);
        go!(cuGraphAddHostNode(&mut node, g, NULL, 0, &[0u64, 0]));
        go!(cuGraphAddHostNode(&mut node, g, NULL, 0, NULL));
        go!(cuGraphHostNodeSetParams(node, &good));
        go!(cuGraphHostNodeSetParams(node, &[0u64, 0]));
        go!(cuGraphHostNodeGetParams(empty(g, &[]), &mut read));
    };
    "graph/events" => || {
        context();
        let (g, e, mut node, mut read) = (graph(), event(2), 0u64, 0u64);
        go!(cuGraphAddEventRecordNode(&mut node, g, NULL, 0, e));
        show!(kind(node));
        go!(cuGraphEventRecordNodeGetEvent(node, &mut read));
        show!(read == e);
        go!(cuGraphEventRecordNodeSetEvent(node, event(0)));
        go!(cuGraphEventRecordNodeSetEvent(node, NULL));
        go!(cuGraphEventWaitNodeGetEvent(node, &mut read));
        go!(cuGraphAddEventWaitNode(&mut node, g, NULL, 0, e));
        show!(kind(node));
        go!(cuGraphEventWaitNodeGetEvent(node, &mut read));
        go!(cuGraphEventWaitNodeSetEvent(node, e));
        go!(cuGraphAddEventRecordNode(&mut node, g, NULL, 0, NULL));
        go!(cuGraphAddEventWaitNode(&mut node, g, NULL, 0, NULL));
    };
    "graph/child" => || {
        context();
        let (g, child, mut node, mut read) = (graph(), graph(), 0u64, 0u64);
        empty(child, &[]);
        go!(cuGraphAddChildGraphNode(&mut node, g, NULL, 0, child));
        show!(kind(node));
        go!(cuGraphChildGraphNodeGetGraph(node, &mut read));
        show!(read == child, shape(read));
        empty(child, &[]);
        show!(shape(read));
        go!(cuGraphChildGraphNodeGetGraph(empty(g, &[]), &mut read));
        go!(cuGraphDestroy(child));
        show!(shape(g));
        go!(cuGraphDestroy(read));
        show!(shape(g));
    };
    "graph/memory" => || {
        context();
        let (g, mut node, mut free) = (graph(), 0u64, 0u64);
        let mut p = alloc_params(1000);
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
        show!(kind(node), p.dptr != 0, p.dptr % 512);
        let mut read = alloc_params(0);
        go!(cuGraphMemAllocNodeGetParams(node, &mut read));
        show!(read.dptr == p.dptr, read.bytesize);
        go!(cuGraphAddMemFreeNode(&mut free, g, NULL, 0, p.dptr));
        go!(cuGraphAddMemFreeNode(&mut free, g, &node, 1, p.dptr));
        show!(kind(free));
        let mut at = 0u64;
        go!(cuGraphMemFreeNodeGetParams(free, &mut at));
        show!(at == p.dptr);
        go!(cuGraphAddMemFreeNode(&mut free, g, &node, 1, p.dptr));
        go!(cuGraphAddMemFreeNode(&mut free, g, NULL, 0, 0));
        go!(cuGraphAddMemFreeNode(&mut free, g, NULL, 0, alloc(64)));
        go!(cuGraphAddMemFreeNode(&mut free, graph(), NULL, 0, p.dptr));
        let mut clone = 0u64;
        go!(cuGraphClone(&mut clone, g));
        go!(cuGraphAddChildGraphNode(&mut clone, graph(), NULL, 0, g));
        go!(cuGraphDestroyNode(node));
        go!(cuGraphRemoveDependencies(g, &node, &free, 1));
        let mut z = alloc_params(0);
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut z));
        let mut z = alloc_params(1000);
        z.poolProps.location.id = 5;
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut z));
        let mut z = alloc_params(1000);
        z.poolProps.handleTypes = 1;
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut z));
        let mut z = alloc_params(1000);
        z.poolProps.allocType = 0;
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut z));
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, NULL));
        go!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut alloc_params(1 << 50)));
    };
    "graph/batch-node" => || {
        let c = context();
        let (g, at, mut node) = (graph(), alloc(64), 0u64);
        let ops = [2u64, at, 3, 0, 0, 0];
        let good = [c, 1, std::ptr::from_ref(&ops) as u64, 0];
        go!(cuGraphAddBatchMemOpNode(&mut node, g, NULL, 0, &good));
        show!(kind(node));
        let mut read = [0u64; 4];
        go!(cuGraphBatchMemOpNodeGetParams(node, &mut read));
        show!(read[0] == c, read[1] as u32, read[3] as u32);
        go!(cuGraphBatchMemOpNodeSetParams(node, &good));
        go!(cuGraphAddBatchMemOpNode(&mut node, g, NULL, 0, &[c, 0, 0, 0]));
        go!(cuGraphAddBatchMemOpNode(&mut node, g, NULL, 0, &[0, 1, std::ptr::from_ref(&ops) as u64, 0]));
        go!(cuGraphAddBatchMemOpNode(&mut node, g, NULL, 0, NULL));
    };
    "graph/add-node" => || {
        let c = context();
        let (g, mut node, at, f) = (graph(), 0u64, alloc(64), kernel(c"store"));
        let p = Parameters::new(at, 5);
        let mut n: CUgraphNodeParams = zeroed();
        n.kind = CUgraphNodeType::EMPTY;
        go!(cuGraphAddNode(&mut node, g, NULL, 0, &n));
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        show!(kind(node));
        n.kind = CUgraphNodeType::KERNEL;
        n.params.kernel = kernel_params(f, p.list());
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        show!(kind(node));
        go!(cuGraphNodeSetParams(node, &n));
        n.kind = CUgraphNodeType::MEMSET;
        n.params.memset.params = memset_params(at, 1, 1, 4);
        n.params.memset.ctx = cuda_abi::CUcontext(c as usize);
        go!(cuGraphNodeSetParams(node, &n));
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        show!(kind(node));
        n.reserved0[0] = 1;
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        n.reserved0[0] = 0;
        n.reserved2 = 1;
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        n.reserved2 = 0;
        n.kind = CUgraphNodeType(99);
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &n));
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, NULL));
        go!(cuGraphNodeSetParams(node, NULL));
        let mut id = 77u32;
        go!(cuGraphNodeGetLocalId(node, &mut id));
        go!(cuGraphGetId(g, &mut id));
        let mut container = 0u64;
        go!(cuGraphNodeGetContainingGraph(node, &mut container));
    };
    "graph/conditional" => || {
        let c = context();
        let (g, mut handle, mut node) = (graph(), 0u64, 0u64);
        go!(cuGraphConditionalHandleCreate(&mut handle, g, c, 1, 1));
        show!(handle != 0);
        let mut n: CUgraphNodeParams = zeroed();
        n.kind = CUgraphNodeType::CONDITIONAL;
        n.params.conditional.handle = handle;
        n.params.conditional.kind = 0;
        n.params.conditional.size = 1;
        n.params.conditional.ctx = cuda_abi::CUcontext(c as usize);
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        show!(kind(node));
        // SAFETY: the member that the kind says.
        let body = unsafe { n.params.conditional.phGraph_out };
        show!(!body.is_null());
        // SAFETY: the library's list of one graph.
        let body = unsafe { *body }.0 as u64;
        show!(shape(body));
        empty(body, &[]);
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        go!(cuGraphConditionalHandleCreate(&mut handle, g, c, 1, 0));
        go!(cuGraphConditionalHandleCreate(&mut handle, g, c, 1, 2));
        go!(cuGraphConditionalHandleCreate(&mut handle, NULL, c, 1, 1));
        go!(cuGraphConditionalHandleCreate(&mut handle, g, NULL, 1, 1));
        go!(cuGraphConditionalHandleCreate(NULL, g, c, 1, 1));
        n.params.conditional.handle = handle;
        n.params.conditional.size = 0;
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        n.params.conditional.size = 3;
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        n.params.conditional.size = 1;
        n.params.conditional.kind = 7;
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        let mut clone = 0u64;
        go!(cuGraphClone(&mut clone, g));
    };
    "graph/conditional-run" => || {
        let c = context();
        let (g, mut handle, mut node, mut exec, s, at) = (graph(), 0u64, 0u64, 0u64, stream(1), alloc(64));
        must!(cuGraphConditionalHandleCreate(&mut handle, g, c, 1, 1));
        let mut n: CUgraphNodeParams = zeroed();
        n.kind = CUgraphNodeType::CONDITIONAL;
        n.params.conditional.handle = handle;
        n.params.conditional.size = 1;
        n.params.conditional.ctx = cuda_abi::CUcontext(c as usize);
        must!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut n));
        // SAFETY: the member that the kind says, and its one graph.
        let body = unsafe { *n.params.conditional.phGraph_out }.0 as u64;
        let p = Parameters::new(at, 5);
        kernel_node(body, &[], kernel(c"add"), p.list());
        go!(cuGraphInstantiateWithFlags(&mut exec, g, 0));
        go!(cuGraphLaunch(exec, s));
        go!(cuGraphLaunch(exec, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
    };
    "graph/conditional-unused" => || {
        let c = context();
        let (g, mut handle, mut exec) = (graph(), 0u64, 0u64);
        must!(cuGraphConditionalHandleCreate(&mut handle, g, c, 1, 1));
        empty(g, &[]);
        go!(cuGraphInstantiateWithFlags(&mut exec, g, 0));
        let mut p = [0u64; 4];
        go!(cuGraphInstantiateWithParams(&mut exec, g, &mut p));
        show!(p[3] as u32);
    };
    "graph/clone" => || {
        context();
        let g = graph();
        let (a, mut clone, mut found) = (empty(g, &[]), 0u64, 0u64);
        go!(cuGraphClone(&mut clone, g));
        show!(shape(clone));
        go!(cuGraphNodeFindInClone(&mut found, a, clone));
        show!(found != a && found != 0);
        go!(cuGraphNodeFindInClone(&mut found, a, g));
        go!(cuGraphNodeFindInClone(&mut found, empty(g, &[]), clone));
        go!(cuGraphNodeFindInClone(&mut found, NULL, clone));
        go!(cuGraphClone(NULL, g));
        go!(cuGraphClone(&mut clone, NULL));
        let mut second = 0u64;
        go!(cuGraphClone(&mut second, clone));
        go!(cuGraphNodeFindInClone(&mut found, a, second));
        go!(cuGraphDestroy(g));
        show!(shape(clone));
    };
    "graph/dot" => || {
        context();
        let g = graph();
        empty(g, &[]);
        let path = std::ffi::CString::new(format!("/tmp/api-compare-{}.dot", std::process::id())).unwrap_or_default();
        for flags in [0u32, 1, 2, 0xffff, 0x10000, 0x8000_0000] {
            let code = crate::api::call("cuGraphDebugDotPrint", &[g, path.as_ptr() as u64, u64::from(flags)]);
            crate::api::line(&format!("flags {flags:#x}"), &crate::api::status(code));
        }
        let text = std::fs::read_to_string(path.to_string_lossy().as_ref()).unwrap_or_default();
        show!(text.starts_with("digraph"));
        let _ = std::fs::remove_file(path.to_string_lossy().as_ref());
        go!(cuGraphDebugDotPrint(g, NULL, 0));
        go!(cuGraphDebugDotPrint(NULL, path.as_c_str(), 0));
        go!(cuGraphDebugDotPrint(g, c"/nonexistent/file.dot", 0));
    };
    "graph/user-objects" => || {
        context();
        let (g, n, mut o) = (graph(), counter(), 0u64);
        go!(cuUserObjectCreate(&mut o, n, COUNT, 1, 0));
        go!(cuUserObjectCreate(&mut o, n, COUNT, 1, 2));
        go!(cuUserObjectCreate(&mut o, n, COUNT, 0, 1));
        go!(cuUserObjectCreate(&mut o, n, NULL, 1, 1));
        go!(cuUserObjectCreate(NULL, n, COUNT, 1, 1));
        go!(cuUserObjectCreate(&mut o, n, COUNT, 2, 1));
        go!(cuUserObjectRetain(o, 1));
        go!(cuUserObjectRetain(o, 0));
        go!(cuUserObjectRetain(NULL, 1));
        go!(cuUserObjectRelease(o, 0));
        go!(cuUserObjectRelease(o, 1));
        go!(cuGraphRetainUserObject(g, o, 1, 0));
        go!(cuGraphRetainUserObject(g, o, 1, 1));
        go!(cuGraphRetainUserObject(g, o, 1, 2));
        go!(cuGraphRetainUserObject(g, o, 0, 0));
        go!(cuGraphRetainUserObject(NULL, o, 1, 0));
        go!(cuGraphReleaseUserObject(g, o, 1));
        go!(cuGraphReleaseUserObject(g, o, 0));
        show!(counted(n));
        go!(cuUserObjectRelease(o, 1));
        moment();
        show!(counted(n));
        go!(cuGraphDestroy(g));
        moment();
        show!(counted(n));
    };
    "graph/user-object-of-exec" => || {
        context();
        let (g, n, mut o, mut exec, mut clone) = (graph(), counter(), 0u64, 0u64, 0u64);
        must!(cuUserObjectCreate(&mut o, n, COUNT, 1, 1));
        must!(cuGraphRetainUserObject(g, o, 1, 1));
        go!(cuGraphClone(&mut clone, g));
        go!(cuGraphInstantiateWithFlags(&mut exec, g, 0));
        go!(cuGraphDestroy(g));
        moment();
        show!(counted(n));
        go!(cuGraphDestroy(clone));
        moment();
        show!(counted(n));
        go!(cuGraphExecDestroy(exec));
        moment();
        show!(counted(n));
    };
}
