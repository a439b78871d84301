//! Instantiated graphs: instantiating, launching, updating.

use super::graph::{
    alloc_params, empty, graph, kernel_node, kernel_params, memcpy_params, memset_params,
};
use super::*;
use crate::{go, must, show};

/// Instantiates a good graph.
fn instantiate(graph: u64) -> u64 {
    let mut exec = 0u64;
    must!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

/// What cuGraphExecUpdate_v2 says about another graph.
fn update(what: &str, exec: u64, graph: u64, nodes: &[(u64, &str)]) {
    // The result, then the node and the node it depends on.
    let mut info = [0u64; 3];
    let code = crate::api::call(
        "cuGraphExecUpdate_v2",
        &[exec, graph, std::ptr::from_mut(&mut info) as u64],
    );
    let name = |node: u64| match nodes.iter().find(|(n, _)| *n == node) {
        _ if node == 0 => "null",
        Some((_, name)) => name,
        None => "other",
    };
    crate::api::line(
        what,
        &format!(
            "{}, {} {} {}",
            crate::api::status(code),
            info[0] as u32,
            name(info[1]),
            name(info[2])
        ),
    );
}

probes! {
    "exec/instantiate" => || {
        context();
        let (g, mut x, mut p) = (graph(), 5u64, [0u64; 4]);
        for flags in [0u64, 1, 2, 4, 8, 16, 3, 5, 9, 1 << 40] {
            let code = crate::api::call("cuGraphInstantiateWithFlags", &[std::ptr::from_mut(&mut x) as u64, g, flags]);
            let mut read = 99u64;
            if code == 0 { must!(cuGraphExecGetFlags(x, &mut read)); }
            crate::api::line(&format!("flags {flags}"), &format!("{} {read}", crate::api::status(code)));
        }
        go!(cuGraphInstantiateWithFlags(NULL, g, 0));
        go!(cuGraphInstantiateWithFlags(&mut x, NULL, 0));
        go!(cuGraphInstantiateWithParams(&mut x, g, &mut p));
        show!(p[2], p[3] as u32);
        go!(cuGraphInstantiateWithParams(&mut x, g, NULL));
        p[0] = 2;
        p[1] = stream(1);
        go!(cuGraphInstantiateWithParams(&mut x, g, &mut p));
        p[0] = 64;
        go!(cuGraphInstantiateWithParams(&mut x, g, &mut p));
        show!(p[3] as u32);
        let (mut node, mut log) = (5u64, [1u8; 64]);
        go!(cuGraphInstantiate_v2(&mut x, g, &mut node, &mut log, 64));
        show!(node, log[0]);
        go!(cuGraphInstantiate(&mut x, g, NULL, NULL, 0));
        go!(cuGraphExecDestroy(x));
        go!(cuGraphExecDestroy(NULL));
        go!(cuGraphExecGetFlags(NULL, &mut p));
    };
    "exec/device-launch" => || {
        context();
        let (g, mut x, mut p) = (graph(), 0u64, [4u64, 0, 0, 0]);
        let host = [COUNT as usize as u64, counter() as *const _ as u64];
        let mut node = 0u64;
        must!(cuGraphAddHostNode(&mut node, g, NULL, 0, &host));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 4));
        go!(cuGraphInstantiateWithParams(&mut x, g, &mut p));
        show!(p[2] == node, p[3] as u32);
        let h = graph();
        kernel_node(h, &[], kernel(c"empty"), NULL);
        go!(cuGraphInstantiateWithFlags(&mut x, h, 4));
        go!(cuGraphUpload(x, stream(1)));
        go!(cuGraphLaunch(x, stream(1)));
    };
    "exec/launch" => || {
        context();
        let (g, at, s, f) = (graph(), alloc(64), stream(1), kernel(c"add"));
        let p = Parameters::new(at, 5);
        let a = kernel_node(g, &[], f, p.list());
        kernel_node(g, &[a], f, p.list());
        let x = instantiate(g);
        go!(cuGraphUpload(x, s));
        go!(cuGraphUpload(NULL, s));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, NULL));
        go!(cuGraphLaunch(x, PER_THREAD));
        go!(cuGraphLaunch(NULL, s));
        go!(cuCtxSynchronize());
        show!(peek(at));
        go!(cuGraphDestroy(g));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphExecDestroy(x));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
    };
    "exec/launch-order" => || {
        context();
        // One instance does not overlap itself, even on two streams.
        let (g, at, s, t) = (graph(), alloc(64), stream(1), stream(1));
        let p = Parameters::new(at, 5);
        kernel_node(g, &[], kernel(c"add"), p.list());
        let x = instantiate(g);
        hold(s);
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, t));
        moment();
        go!(cuStreamQuery(t));
        release();
        go!(cuStreamSynchronize(t));
        show!(peek(at));
    };
    "exec/destroyed" => || {
        context();
        let x = instantiate(graph());
        must!(cuGraphExecDestroy(x));
        go!(cuGraphLaunch(x, stream(1)));
        go!(cuGraphExecDestroy(x));
    };
    "exec/host-nodes" => || {
        context();
        let (g, n, s, mut node) = (graph(), counter(), stream(1), 0u64);
        let host = [COUNT as usize as u64, std::ptr::from_ref(n) as u64];
        must!(cuGraphAddHostNode(&mut node, g, NULL, 0, &host));
        must!(cuGraphAddHostNode(&mut node, g, &[node], 1, &host));
        let x = instantiate(g);
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(counted(n));
        go!(cuGraphExecHostNodeSetParams(x, node, &host));
        go!(cuGraphExecHostNodeSetParams(x, node, &[0u64, 0]));
    };
    "exec/set-kernel" => || {
        context();
        let m = module(PTX);
        let (g, at, s, f) = (graph(), alloc(64), stream(1), function(m, c"store"));
        let p = Parameters::new(at, 5);
        let node = kernel_node(g, &[], f, p.list());
        let x = instantiate(g);
        let q = Parameters::new(at + 4, 6);
        let mut changed = kernel_params(f, q.list());
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &changed));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at), peek(at + 4));
        changed.func = cuda_abi::CUfunction(function(m, c"add") as usize);
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &changed));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at + 4));
        changed.blockDimX = 2000;
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &changed));
        changed.blockDimX = 0;
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &changed));
        changed.blockDimX = 1;
        changed.func = cuda_abi::CUfunction(0);
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &changed));
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, NULL));
        go!(cuGraphExecKernelNodeSetParams_v2(x, empty(g, &[]), &kernel_params(f, q.list())));
        go!(cuGraphExecKernelNodeSetParams_v2(x, NULL, &kernel_params(f, q.list())));
        let late = kernel_node(g, &[], f, p.list());
        go!(cuGraphExecKernelNodeSetParams_v2(x, late, &kernel_params(f, q.list())));
        let other = own_context();
        let foreign = kernel(c"store");
        must!(cuCtxPopCurrent_v2(&mut 0u64));
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &kernel_params(foreign, q.list())));
        let _ = other;
    };
    "exec/set-memory-nodes" => || {
        let c = context();
        let (g, at, s, mut set, mut copy) = (graph(), alloc(4096), stream(1), 0u64, 0u64);
        must!(cuGraphAddMemsetNode(&mut set, g, NULL, 0, &memset_params(at, 1, 4, 4), c));
        must!(cuGraphAddMemcpyNode(&mut copy, g, &set, 1, &memcpy_params(at + 1024, at, 16), c));
        let x = instantiate(g);
        go!(cuGraphExecMemsetNodeSetParams(x, set, &memset_params(at, 2, 4, 4), c));
        go!(cuGraphExecMemsetNodeSetParams(x, set, &memset_params(at, 2, 4, 8), c));
        go!(cuGraphExecMemsetNodeSetParams(x, set, &memset_params(at, 2, 1, 4), c));
        go!(cuGraphExecMemsetNodeSetParams(x, set, &memset_params(0, 2, 4, 4), c));
        go!(cuGraphExecMemsetNodeSetParams(x, set, NULL, c));
        go!(cuGraphExecMemcpyNodeSetParams(x, copy, &memcpy_params(at + 2048, at, 16), c));
        go!(cuGraphExecMemcpyNodeSetParams(x, copy, &memcpy_params(at + 2048, at, 32), c));
        let host = [0u8; 64];
        let mut from_host = memcpy_params(at + 2048, at, 16);
        from_host.srcMemoryType = cuda_abi::CUmemorytype::HOST;
        from_host.srcHost = host.as_ptr().cast();
        go!(cuGraphExecMemcpyNodeSetParams(x, copy, &from_host, c));
        go!(cuGraphExecMemcpyNodeSetParams(x, copy, NULL, c));
        go!(cuGraphExecMemcpyNodeSetParams(x, set, &memcpy_params(at + 2048, at, 16), c));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at), peek(at + 1024), peek(at + 2048));
    };
    "exec/enable" => || {
        context();
        let (g, at, s, f) = (graph(), alloc(64), stream(1), kernel(c"add"));
        let p = Parameters::new(at, 5);
        let (a, e) = (kernel_node(g, &[], f, p.list()), empty(g, &[]));
        let x = instantiate(g);
        let mut on = 9u32;
        go!(cuGraphNodeGetEnabled(x, a, &mut on));
        show!(on);
        go!(cuGraphNodeSetEnabled(x, a, 0));
        go!(cuGraphNodeGetEnabled(x, a, &mut on));
        show!(on);
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
        go!(cuGraphNodeSetEnabled(x, a, 5));
        go!(cuGraphNodeGetEnabled(x, a, &mut on));
        show!(on);
        go!(cuGraphNodeSetEnabled(x, e, 0));
        go!(cuGraphNodeGetEnabled(x, e, &mut on));
        go!(cuGraphNodeSetEnabled(NULL, a, 0));
        go!(cuGraphNodeSetEnabled(x, NULL, 0));
    };
    "exec/update" => || {
        let c = context();
        let m = module(PTX);
        let (f, other, at) = (function(m, c"store"), function(m, c"add"), alloc(4096));
        let p = Parameters::new(at, 5);
        let base = || {
            let g = graph();
            let a = kernel_node(g, &[], f, p.list());
            (g, a, kernel_node(g, &[a], f, p.list()))
        };
        let x = instantiate(base().0);
        let (g, a, b) = base();
        update("same", x, g, &[(a, "a"), (b, "b")]);
        let e = empty(g, &[b]);
        update("a node more", x, g, &[(a, "a"), (b, "b"), (e, "e")]);
        let h = graph();
        let a = kernel_node(h, &[], f, p.list());
        update("a node less", x, h, &[(a, "a")]);
        let h = graph();
        let (a, b) = (kernel_node(h, &[], f, p.list()), kernel_node(h, &[], f, p.list()));
        update("an edge less", x, h, &[(a, "a"), (b, "b")]);
        let h = graph();
        let a = kernel_node(h, &[], f, p.list());
        let e = empty(h, &[a]);
        update("another type", x, h, &[(a, "a"), (e, "e")]);
        let h = graph();
        let a = kernel_node(h, &[], f, p.list());
        let b = kernel_node(h, &[a], other, p.list());
        update("another function", x, h, &[(a, "a"), (b, "b")]);
        let h = graph();
        let a = kernel_node(h, &[], f, p.list());
        let mut wide = kernel_params(f, p.list());
        wide.gridDimX = 9;
        let mut b = 0u64;
        must!(cuGraphAddKernelNode_v2(&mut b, h, &a, 1, &wide));
        update("another grid", x, h, &[(a, "a"), (b, "b")]);
        update("empty graph", x, graph(), &[]);
        go!(cuGraphExecUpdate_v2(x, NULL, &mut [0u64; 3]));
        go!(cuGraphExecUpdate_v2(NULL, g, &mut [0u64; 3]));
        go!(cuGraphExecUpdate_v2(x, g, NULL));
        let mut result = 9u32;
        let mut node = 5u64;
        go!(cuGraphExecUpdate(x, base().0, &mut node, &mut result));
        show!(node, result);
        go!(cuGraphExecUpdate(x, h, NULL, &mut result));
        // Other types of nodes.
        let memory = |value: u32, width: usize, to: u64| {
            let (g, mut set, mut copy) = (graph(), 0u64, 0u64);
            must!(cuGraphAddMemsetNode(&mut set, g, NULL, 0, &memset_params(at, value, 4, width), c));
            must!(cuGraphAddMemcpyNode(&mut copy, g, &set, 1, &memcpy_params(to, at, 16), c));
            (g, set, copy)
        };
        let x = instantiate(memory(1, 4, at + 1024).0);
        for (what, value, width, to) in [("memory, same", 1u32, 4usize, at + 1024), ("memory, another value", 2, 4, at + 1024), ("memory, another width", 2, 8, at + 1024), ("memory, another target", 2, 4, at + 2048)] {
            let (g, set, copy) = memory(value, width, to);
            update(what, x, g, &[(set, "set"), (copy, "copy")]);
        }
        let hosts = |n: u64| {
            let (g, mut node) = (graph(), 0u64);
            must!(cuGraphAddHostNode(&mut node, g, NULL, 0, &[COUNT as usize as u64, n]));
            (g, node)
        };
        let x = instantiate(hosts(8).0);
        let (g, node) = hosts(16);
        update("another host function's data", x, g, &[(node, "host")]);
        let events = |e: u64| {
            let (g, mut node) = (graph(), 0u64);
            must!(cuGraphAddEventRecordNode(&mut node, g, NULL, 0, e));
            (g, node)
        };
        let x = instantiate(events(event(2)).0);
        let (g, node) = events(event(2));
        update("another event", x, g, &[(node, "event")]);
        let children = |n: usize| {
            let (g, child, mut node) = (graph(), graph(), 0u64);
            for _ in 0..n { empty(child, &[]); }
            must!(cuGraphAddChildGraphNode(&mut node, g, NULL, 0, child));
            (g, node)
        };
        let x = instantiate(children(1).0);
        let (g, node) = children(1);
        update("same child", x, g, &[(node, "child")]);
        let (g, node) = children(2);
        update("another child", x, g, &[(node, "child")]);
        let memory = |bytes: usize| {
            let (g, mut node, mut p) = (graph(), 0u64, alloc_params(bytes));
            must!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
            (g, node)
        };
        let (first, _) = memory(100);
        let x = instantiate(first);
        let (g, node) = memory(100);
        update("another allocation", x, g, &[(node, "alloc")]);
        update("the same allocation", x, first, &[]);
    };
    "exec/child" => || {
        context();
        let (g, child, at, s, mut node, f) = (graph(), graph(), alloc(64), stream(1), 0u64, kernel(c"add"));
        let p = Parameters::new(at, 5);
        kernel_node(child, &[], f, p.list());
        must!(cuGraphAddChildGraphNode(&mut node, g, NULL, 0, child));
        let x = instantiate(g);
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
        let other = graph();
        let q = Parameters::new(at, 50);
        kernel_node(other, &[], f, q.list());
        go!(cuGraphExecChildGraphNodeSetParams(x, node, other));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
        empty(other, &[]);
        go!(cuGraphExecChildGraphNodeSetParams(x, node, other));
        go!(cuGraphExecChildGraphNodeSetParams(x, node, NULL));
    };
    "exec/events" => || {
        context();
        let (g, e, s, mut node, mut wait) = (graph(), event(0), stream(1), 0u64, 0u64);
        must!(cuGraphAddEventRecordNode(&mut node, g, NULL, 0, e));
        must!(cuGraphAddEventWaitNode(&mut wait, g, &node, 1, e));
        let x = instantiate(g);
        hold(s);
        go!(cuGraphLaunch(x, s));
        go!(cuEventQuery(e));
        moment();
        release();
        go!(cuStreamSynchronize(s));
        go!(cuEventQuery(e));
        go!(cuGraphExecEventRecordNodeSetEvent(x, node, event(0)));
        go!(cuGraphExecEventWaitNodeSetEvent(x, wait, event(0)));
        go!(cuGraphExecEventRecordNodeSetEvent(x, wait, e));
        go!(cuGraphExecEventRecordNodeSetEvent(x, node, NULL));
    };
    "exec/memory" => || {
        context();
        let (g, s, mut node, mut p) = (graph(), stream(1), 0u64, alloc_params(4096));
        must!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
        let x = instantiate(g);
        let mut y = 0u64;
        go!(cuGraphInstantiateWithFlags(&mut y, g, 0));
        go!(cuMemsetD8Async(p.dptr, 1, 16, s));
        go!(cuGraphLaunch(x, s));
        go!(cuMemsetD8Async(p.dptr, 1, 16, s));
        go!(cuGraphLaunch(x, s));
        go!(cuMemFreeAsync(p.dptr, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(p.dptr, s));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFree_v2(p.dptr));
        go!(cuMemFree_v2(p.dptr));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphExecDestroy(x));
        go!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(p.dptr, s));
        go!(cuGraphDestroy(g));
        go!(cuStreamSynchronize(s));
    };
    "exec/memory-auto-free" => || {
        context();
        let (g, s, mut node, mut p, mut x) = (graph(), stream(1), 0u64, alloc_params(4096), 0u64);
        must!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 1));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(p.dptr, s));
        go!(cuStreamSynchronize(s));
    };
    "exec/memory-inside" => || {
        context();
        let (g, s, mut node, mut free, mut p) = (graph(), stream(1), 0u64, 0u64, alloc_params(4096));
        must!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
        let q = Parameters::new(p.dptr, 5);
        let k = kernel_node(g, &[node], kernel(c"store"), q.list());
        must!(cuGraphAddMemFreeNode(&mut free, g, &k, 1, p.dptr));
        let x = instantiate(g);
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        go!(cuMemFreeAsync(p.dptr, s));
        let mut y = 0u64;
        go!(cuGraphInstantiateWithFlags(&mut y, g, 0));
        let mut value = 9u64;
        for id in 0..5u32 {
            value = 9;
            let code = crate::api::call("cuDeviceGetGraphMemAttribute", &[0, u64::from(id), std::ptr::from_mut(&mut value) as u64]);
            crate::api::line(&format!("memory attribute {id}"), &format!("{} {}", crate::api::status(code), value == 0));
        }
        let _ = value;
        go!(cuDeviceSetGraphMemAttribute(0, 1, &0u64));
        go!(cuDeviceSetGraphMemAttribute(0, 1, &5u64));
        go!(cuDeviceSetGraphMemAttribute(0, 0, &0u64));
        go!(cuDeviceGraphMemTrim(0));
        go!(cuDeviceGraphMemTrim(5));
    };
    "exec/no-context" => || {
        let c = context();
        let (g, at, s, f) = (graph(), alloc(64), stream(1), kernel(c"add"));
        let p = Parameters::new(at, 5);
        let node = kernel_node(g, &[], f, p.list());
        let x = instantiate(g);
        must!(cuCtxSetCurrent(NULL));
        let (mut y, mut n) = (0u64, 0usize);
        go!(cuGraphGetNodes(g, NULL, &mut n));
        show!(n);
        go!(cuGraphInstantiateWithFlags(&mut y, g, 0));
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, NULL));
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &kernel_params(f, p.list())));
        go!(cuGraphExecDestroy(x));
        go!(cuGraphDestroy(g));
        must!(cuCtxSetCurrent(c));
        must!(cuCtxSynchronize());
        show!(peek(at));
    };
    "exec/other-context" => || {
        init();
        let a = own_context();
        let (g, at, f, s) = (graph(), alloc(64), kernel(c"add"), stream(1));
        let p = Parameters::new(at, 5);
        kernel_node(g, &[], f, p.list());
        let x = instantiate(g);
        let _ = own_context();
        let t = stream(1);
        go!(cuGraphLaunch(x, t));
        go!(cuGraphLaunch(x, NULL));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        go!(cuCtxSynchronize());
        show!(peek(at));
        must!(cuCtxDestroy_v2(a));
        go!(cuCtxSynchronize());
    };
    "exec/many-nodes" => || {
        context();
        let (g, at, s, f) = (graph(), alloc(64), stream(1), kernel(c"add"));
        let p = Parameters::new(at, 1);
        let mut last = Vec::new();
        for i in 0..300usize {
            let after: Vec<u64> = last.iter().rev().take(i % 4).copied().collect();
            last.push(kernel_node(g, &after, f, p.list()));
        }
        let x = instantiate(g);
        for _ in 0..3 {
            must!(cuGraphLaunch(x, s));
        }
        go!(cuStreamSynchronize(s));
        show!(peek(at));
    };
    "exec/captured-memory" => || {
        context();
        let (s, mut d, mut g) = (stream(1), 0u64, 0u64);
        must!(cuStreamBeginCapture_v2(s, 2));
        go!(cuMemAllocAsync(&mut d, 100, s));
        show!(d != 0);
        go!(cuMemsetD8Async(d, 1, 100, s));
        go!(cuMemFreeAsync(d, s));
        go!(cuMemFreeAsync(d, s));
        go!(cuStreamEndCapture(s, &mut g));
        show!(super::capture::nodes(g));
        let x = instantiate(g);
        go!(cuGraphLaunch(x, s));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
    };
}
