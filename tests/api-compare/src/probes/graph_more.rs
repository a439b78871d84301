//! Graphs by what came later: nodes by one structure, cooperative nodes, graphs that nodes own, the order of what is listed.

use super::graph::{empty, graph, kernel_node, kernel_params, memset_params};
use super::*;
use crate::{go, must, show};
use cuda_abi::{CUgraphNodeParams, CUgraphNodeType, CUDA_KERNEL_NODE_PARAMS};

/// A kernel whose blocks use the grid's handle, as cooperative groups do.
const GRID: &CStr =
    c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry meet(.param .u64 at) {
.reg .b32 %l, %h; .reg .b64 %a, %g; .reg .pred %p; ld.param.u64 %a, [at];
mov.u32 %l, %envreg2; mov.u32 %h, %envreg1; mov.b64 %g, {%l, %h}; setp.ne.u64 %p, %g, 0;
selp.u32 %l, 1, 2, %p; st.global.u32 [%a], %l; ret; }";

/// The launch attribute of cooperative launches.
const COOPERATIVE: u32 = 2;

/// A launch attribute's value: 64 bytes that begin with a word.
fn word(word: u32) -> [u32; 16] {
    let mut value = [0; 16];
    value[0] = word;
    value
}

/// Whether a node is cooperative.
fn cooperative(what: &str, node: u64) {
    let mut value = word(9);
    let code = crate::api::call(
        "cuGraphKernelNodeGetAttribute",
        &[
            node,
            u64::from(COOPERATIVE),
            std::ptr::from_mut(&mut value) as u64,
        ],
    );
    crate::api::line(what, &format!("{} {}", crate::api::status(code), value[0]));
}

/// The only node of a graph.
fn only(graph: u64) -> u64 {
    let (mut node, mut n) = (0u64, 1usize);
    must!(cuGraphGetNodes(graph, &mut node, &mut n));
    node
}

/// Names of nodes instead of their handles.
fn named(list: &[u64], nodes: &[u64]) -> Vec<usize> {
    let place = |node| nodes.iter().position(|n| n == node).unwrap_or(99);
    list.iter().map(place).collect()
}

/// The parameters of a node of any type, all zero but the type.
fn any(kind: CUgraphNodeType) -> CUgraphNodeParams {
    let mut p: CUgraphNodeParams = zeroed();
    p.kind = kind;
    p
}

probes! {
    "graph/order" => || {
        context();
        let g = graph();
        let n: Vec<u64> = (0..5).map(|_| empty(g, &[])).collect();
        let roots = |what: &str| {
            let (mut list, mut count) = ([0u64; 5], 5usize);
            must!(cuGraphGetRootNodes(g, &mut list, &mut count));
            crate::api::line(what, &format!("{:?}", named(&list[..count], &n)));
        };
        roots("roots");
        must!(cuGraphAddDependencies(g, &[n[0], n[1]], &[n[3], n[3]], 2));
        roots("roots without 3");
        must!(cuGraphAddDependencies(g, &n[4], &n[0], 1));
        roots("roots without 0 and 3");
        must!(cuGraphRemoveDependencies(g, &n[4], &n[0], 1));
        roots("roots with 0 again");
        let (mut from, mut to, mut count) = ([0u64; 8], [0u64; 8], 8usize);
        must!(cuGraphAddDependencies(g, &[n[2], n[1]], &[n[4], n[4]], 2));
        must!(cuGraphGetEdges(g, &mut from, &mut to, &mut count));
        crate::api::line("edges", &format!("{:?} {:?}", named(&from[..count], &n), named(&to[..count], &n)));
        count = 8;
        must!(cuGraphNodeGetDependencies(n[4], &mut from, &mut count));
        crate::api::line("dependencies of 4", &format!("{:?}", named(&from[..count], &n)));
        count = 8;
        must!(cuGraphNodeGetDependentNodes(n[1], &mut to, &mut count));
        crate::api::line("dependents of 1", &format!("{:?}", named(&to[..count], &n)));
    };
    "graph/owned" => || {
        let c = context();
        let (g, child, mut node, mut read) = (graph(), graph(), 0u64, 0u64);
        empty(child, &[]);
        must!(cuGraphAddChildGraphNode(&mut node, g, NULL, 0, child));
        must!(cuGraphChildGraphNodeGetGraph(node, &mut read));
        // A node's graph can be changed, but is the node's.
        let mut added = 0u64;
        go!(cuGraphAddEmptyNode(&mut added, read, NULL, 0));
        let mut count = 0usize;
        go!(cuGraphGetNodes(read, NULL, &mut count));
        show!(count);
        let mut exec = 0u64;
        go!(cuGraphInstantiateWithFlags(&mut exec, read, 0));
        go!(cuGraphDestroy(read));
        go!(cuGraphAddChildGraphNode(&mut node, graph(), NULL, 0, read));
        go!(cuGraphClone(&mut added, g));
        go!(cuGraphDestroy(added));
        let mut handle = 0u64;
        go!(cuGraphConditionalHandleCreate(&mut handle, g, c, 0, 0));
        let mut p = any(CUgraphNodeType::CONDITIONAL);
        p.params.conditional.handle = handle;
        p.params.conditional.size = 1;
        p.params.conditional.ctx = cuda_abi::CUcontext(c as usize);
        if go!(cuGraphAddNode(&mut node, g, NULL, 0, &mut p)) != 0 {
            return;
        }
        // SAFETY: the list of one graph that the call has given.
        let body = unsafe { p.params.conditional.phGraph_out.read().0 as u64 };
        go!(cuGraphDestroy(body));
        go!(cuGraphInstantiateWithFlags(&mut exec, body, 0));
        go!(cuGraphAddChildGraphNode(&mut added, graph(), NULL, 0, body));
        go!(cuGraphDestroyNode(node));
        go!(cuGraphDestroy(g));
    };
    "graph/cooperative" => || {
        context();
        let (f, at, s, mut x) = (function(module(GRID), c"meet"), alloc(64), stream(1), 0u64);
        let (list, mut g) = ([std::ptr::from_ref(&at) as u64], 0u64);
        let mut blocks = 0i32;
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut blocks, f, 32, 0));
        show!(blocks > 0);
        for (what, call) in [("cuLaunchKernel", 0), ("cuLaunchCooperativeKernel", 1)] {
            must!(cuStreamBeginCapture_v2(s, 0));
            match call {
                0 => must!(cuLaunchKernel(f, 2, 1, 1, 32, 1, 1, 0, s, &list, NULL)),
                _ => must!(cuLaunchCooperativeKernel(f, 2, 1, 1, 32, 1, 1, 0, s, &list)),
            };
            must!(cuStreamEndCapture(s, &mut g));
            cooperative(&format!("{what}, captured"), only(g));
            must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
            must!(cuGraphLaunch(x, s));
            must!(cuStreamSynchronize(s));
            crate::api::line(&format!("{what}, has a handle"), &(peek(at) == 1).to_string());
        }
        let node = only(g);
        let mut p: CUDA_KERNEL_NODE_PARAMS = zeroed();
        must!(cuGraphKernelNodeGetParams_v2(node, &mut p));
        go!(cuGraphKernelNodeSetParams_v2(node, &p));
        cooperative("after its parameters are set", node);
        go!(cuGraphKernelNodeSetAttribute(node, COOPERATIVE, &word(0)));
        cooperative("after it is taken away", node);
        let other = kernel_node(g, &[], f, list.as_ptr() as u64);
        cooperative("made by hand", other);
        go!(cuGraphKernelNodeSetAttribute(other, COOPERATIVE, &word(1)));
        go!(cuGraphKernelNodeCopyAttributes(node, other));
        cooperative("copied", node);
        // Far more blocks than run at once.
        p.gridDimX = 1 << 20;
        go!(cuGraphKernelNodeSetParams_v2(node, &p));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        p.gridDimX = 2;
        go!(cuGraphKernelNodeSetParams_v2(node, &p));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        p.gridDimX = 1 << 20;
        go!(cuGraphExecKernelNodeSetParams_v2(x, node, &p));
        go!(cuLaunchCooperativeKernel(f, 1 << 20, 1, 1, 32, 1, 1, 0, s, &list));
        must!(cuStreamBeginCapture_v2(s, 0));
        go!(cuLaunchCooperativeKernel(f, 1 << 20, 1, 1, 32, 1, 1, 0, s, &list));
        go!(cuStreamEndCapture(s, &mut g));
        show!(g == 0);
    };
    "graph/old-kernel-params" => || {
        context();
        let (g, f, at, mut node) = (graph(), kernel(c"store"), alloc(64), 0u64);
        let p = Parameters::new(at, 5);
        // The structure of before CUDA 12 is the first part of today's.
        let params = kernel_params(f, p.list());
        go!(cuGraphAddKernelNode(&mut node, g, NULL, 0, &params));
        let mut read: CUDA_KERNEL_NODE_PARAMS = zeroed();
        go!(cuGraphKernelNodeGetParams(node, &mut read));
        show!(read.func.0 as u64 == f, read.gridDimX, read.kernelParams.is_null(), read.extra.is_null());
        read.blockDimX = 2;
        go!(cuGraphKernelNodeSetParams(node, &read));
        let mut x = 0u64;
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphExecKernelNodeSetParams(x, node, &read));
        go!(cuGraphKernelNodeGetParams(node, NULL));
        go!(cuGraphKernelNodeGetParams(empty(g, &[]), &mut read));
        go!(cuGraphKernelNodeGetParams(NULL, &mut read));
        read.gridDimX = 0;
        go!(cuGraphKernelNodeSetParams(node, &read));
        go!(cuGraphKernelNodeSetParams(node, NULL));
    };
    "graph/captured-packed" => || {
        context();
        let (f, at, s, mut g) = (kernel(c"store"), alloc(64), stream(1), 0u64);
        let mut packed = [0u8; 16];
        packed[..8].copy_from_slice(&at.to_le_bytes());
        packed[8] = 9;
        let size = 12usize;
        let extra = [1u64, std::ptr::from_ref(&packed) as u64, 2, std::ptr::from_ref(&size) as u64, 0];
        must!(cuStreamBeginCapture_v2(s, 0));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, s, NULL, &extra));
        must!(cuStreamEndCapture(s, &mut g));
        let mut read: CUDA_KERNEL_NODE_PARAMS = zeroed();
        go!(cuGraphKernelNodeGetParams_v2(only(g), &mut read));
        show!(read.kernelParams.is_null(), read.extra.is_null());
    };
    "graph/packed-list" => || {
        context();
        let (g, f, at, mut node) = (graph(), kernel(c"store"), alloc(64), 0u64);
        let mut packed = [0u8; 16];
        packed[..8].copy_from_slice(&at.to_le_bytes());
        packed[8] = 9;
        // More bytes than the parameters take is too many; the order of the keys does not matter.
        for size in [12usize, 16, 8] {
            let mut extra = [2u64, std::ptr::from_ref(&size) as u64, 1, std::ptr::from_ref(&packed) as u64, 0];
            let mut params = kernel_params(f, 0);
            params.extra = extra.as_mut_ptr().cast();
            let code = crate::api::call("cuGraphAddKernelNode_v2", &[std::ptr::from_mut(&mut node) as u64, g, NULL, 0, std::ptr::from_ref(&params) as u64]);
            crate::api::line(&format!("{size} bytes"), &crate::api::status(code));
            if code != 0 {
                continue;
            }
            let mut read: CUDA_KERNEL_NODE_PARAMS = zeroed();
            must!(cuGraphKernelNodeGetParams_v2(node, &mut read));
            if read.extra.is_null() {
                crate::api::line(&format!("{size} bytes, read"), "no list");
                continue;
            }
            // SAFETY: a list of keys and values, which ends in the key 0.
            unsafe {
                let list = read.extra.cast::<u64>();
                let first = list.read();
                let place = if first == 2 { 1 } else { 3 };
                let bytes = (list.add(place).read() as *const usize).read();
                crate::api::line(&format!("{size} bytes, read"), &format!("first key {first}, {bytes} bytes"));
            }
        }
    };
    "graph/any-params" => || {
        context();
        let (g, f, at, mut node) = (graph(), kernel(c"store"), alloc(64), 0u64);
        let p = Parameters::new(at, 5);
        let mut kernel = any(CUgraphNodeType::KERNEL);
        kernel.params.kernel = kernel_params(f, p.list());
        go!(cuGraphAddNode_v2(&mut node, g, NULL, NULL, 0, &mut kernel));
        go!(cuGraphNodeSetParams(node, &mut kernel));
        let mut fill = any(CUgraphNodeType::MEMSET);
        fill.params.memset.params = memset_params(at, 1, 4, 4);
        go!(cuGraphNodeSetParams(node, &mut fill));
        let mut second = 0u64;
        go!(cuGraphAddNode_v2(&mut second, g, &node, NULL, 1, &mut fill));
        go!(cuGraphNodeSetParams(second, &mut fill));
        go!(cuGraphNodeSetParams(second, &mut any(CUgraphNodeType::EMPTY)));
        go!(cuGraphNodeSetParams(empty(g, &[]), &mut any(CUgraphNodeType::EMPTY)));
        go!(cuGraphNodeSetParams(second, NULL));
        go!(cuGraphNodeSetParams(NULL, &mut fill));
        go!(cuGraphAddNode_v2(&mut second, g, NULL, NULL, 0, NULL));
        go!(cuGraphAddNode_v2(NULL, g, NULL, NULL, 0, &mut fill));
        go!(cuGraphAddNode_v2(&mut second, NULL, NULL, NULL, 0, &mut fill));
        go!(cuGraphAddNode_v2(&mut second, g, &[node, node], NULL, 2, &mut fill));
        let mut x = 0u64;
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphExecNodeSetParams(x, node, &mut kernel));
        go!(cuGraphExecNodeSetParams(x, node, &mut fill));
        go!(cuGraphExecNodeSetParams(x, second, &mut any(CUgraphNodeType::EMPTY)));
        go!(cuGraphExecNodeSetParams(x, node, NULL));
        go!(cuGraphExecNodeSetParams(NULL, node, &mut kernel));
        kernel.reserved2 = 1;
        go!(cuGraphExecNodeSetParams(x, node, &mut kernel));
    };
    "graph/exec-batch-node" => || {
        let c = context();
        let (g, d, s, mut node, mut x) = (graph(), alloc(64), stream(1), 0u64, 0u64);
        let ops = [[2u64, d, 3, 0, 0, 0], [2, d + 4, 4, 0, 0, 0]];
        // CUDA_BATCH_MEM_OP_NODE_PARAMS: context, count, array, flags.
        let params = |ops: &[[u64; 6]; 2], count: u64, flags: u64| [c, count, ops.as_ptr() as u64, flags];
        go!(cuGraphAddBatchMemOpNode(&mut node, g, NULL, 0, &params(&ops, 2, 0)));
        go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        let other = [ops[0], [2, d + 4, 5, 0, 0, 0]];
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, &params(&other, 2, 0)));
        go!(cuGraphLaunch(x, s));
        go!(cuStreamSynchronize(s));
        show!(peek(d), peek(d + 4));
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, &params(&ops, 1, 0)));
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, &params(&ops, 0, 0)));
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, &params(&ops, 2, 1)));
        // A wait in the place of a write.
        let waits = [[0, d, 3, 0, 0, 0], ops[1]];
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, &params(&waits, 2, 0)));
        go!(cuGraphExecBatchMemOpNodeSetParams(x, node, NULL));
        go!(cuGraphExecBatchMemOpNodeSetParams(x, empty(g, &[]), &params(&ops, 2, 0)));
        go!(cuGraphExecBatchMemOpNodeSetParams(NULL, node, &params(&ops, 2, 0)));
    };
    "graph/ids" => || {
        context();
        let (g, mut x, mut a, mut b) = (graph(), 0u64, 0u32, 0u32);
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphGetId(g, &mut a));
        go!(cuGraphExecGetId(x, &mut b));
        show!(a != b);
        go!(cuGraphExecGetId(x, NULL));
        go!(cuGraphExecGetId(NULL, &mut b));
        let (mut one, mut two) = (0u64, 0u64);
        go!(cuGraphNodeGetToolsId(empty(g, &[]), &mut one));
        go!(cuGraphNodeGetToolsId(empty(g, &[]), &mut two));
        show!(one != two);
        go!(cuGraphNodeGetToolsId(NULL, &mut one));
    };
    "exec/update-user-objects" => || {
        context();
        let (g, h, n, k, mut o, mut x) = (graph(), graph(), counter(), counter(), 0u64, 0u64);
        empty(g, &[]);
        empty(h, &[]);
        must!(cuUserObjectCreate(&mut o, n, COUNT, 1, 1));
        must!(cuGraphRetainUserObject(g, o, 1, 1));
        must!(cuUserObjectCreate(&mut o, k, COUNT, 1, 1));
        must!(cuGraphRetainUserObject(h, o, 1, 1));
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        must!(cuGraphDestroy(g));
        let mut info = [0u64; 3];
        go!(cuGraphExecUpdate_v2(x, h, &mut info));
        moment();
        show!(counted(n), counted(k));
        must!(cuGraphDestroy(h));
        moment();
        show!(counted(n), counted(k));
        go!(cuGraphLaunch(x, NULL));
        go!(cuStreamSynchronize(NULL));
        moment();
        show!(counted(n), counted(k));
        go!(cuGraphExecDestroy(x));
        moment();
        show!(counted(n), counted(k));
    };
    "exec/child-user-objects" => || {
        context();
        let (g, a, b, n, k, mut o, mut x, mut child) = (graph(), graph(), graph(), counter(), counter(), 0u64, 0u64, 0u64);
        empty(a, &[]);
        empty(b, &[]);
        must!(cuUserObjectCreate(&mut o, n, COUNT, 1, 1));
        must!(cuGraphRetainUserObject(a, o, 1, 1));
        must!(cuUserObjectCreate(&mut o, k, COUNT, 1, 1));
        must!(cuGraphRetainUserObject(b, o, 1, 1));
        must!(cuGraphAddChildGraphNode(&mut child, g, NULL, 0, a));
        must!(cuGraphDestroy(a));
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        go!(cuGraphExecChildGraphNodeSetParams(x, child, b));
        must!(cuGraphDestroy(b));
        must!(cuGraphDestroy(g));
        moment();
        show!(counted(n), counted(k));
        go!(cuGraphExecDestroy(x));
        moment();
        show!(counted(n), counted(k));
    };
    "graph/memory-places" => || {
        context();
        // Types: 1 pinned, 2 managed. Places: 1 device, 2 host, 3 a node of the host, 4 the current one.
        for kind in [0u32, 1, 2] {
            for (place, id) in [(0u32, 0u32), (1, 0), (1, 9), (2, 0), (3, 0), (3, 99), (4, 0)] {
                let (g, mut node, mut p) = (graph(), 0u64, super::graph::alloc_params(4096));
                (p.poolProps.allocType, p.poolProps.location.kind, p.poolProps.location.id) =
                    (kind as _, cuda_abi::CUmemLocationType(place as _), id as _);
                let code = crate::api::call("cuGraphAddMemAllocNode", &[std::ptr::from_mut(&mut node) as u64, g, 0, 0, std::ptr::from_mut(&mut p) as u64]);
                crate::api::line(&format!("type {kind}, place {place} {id}"), &crate::api::status(code));
                if code != 0 {
                    continue;
                }
                let mut x = 0u64;
                go!(cuGraphInstantiateWithFlags(&mut x, g, 0));
                go!(cuGraphLaunch(x, NULL));
                go!(cuStreamSynchronize(NULL));
                for id in [2u32, 8, 9] {
                    let mut value = 0u64;
                    let code = crate::api::call("cuPointerGetAttribute", &[std::ptr::from_mut(&mut value) as u64, u64::from(id), p.dptr]);
                    crate::api::line(&format!("attribute {id} of type {kind}, place {place} {id}"), &format!("{} {}", crate::api::status(code), value as u8));
                }
            }
        }
    };
    "exec/memory-freed-outside" => || {
        context();
        let (g, mut node, mut x, mut p) = (graph(), 0u64, 0u64, super::graph::alloc_params(4096));
        must!(cuGraphAddMemAllocNode(&mut node, g, NULL, 0, &mut p));
        must!(cuGraphInstantiateWithFlags(&mut x, g, 0));
        let show = |what: &str| {
            for id in 0..4u32 {
                let mut value = 9u64;
                let code = crate::api::call("cuDeviceGetGraphMemAttribute", &[0, u64::from(id), std::ptr::from_mut(&mut value) as u64]);
                crate::api::line(&format!("{what}, attribute {id}"), &format!("{} {}", crate::api::status(code), value != 0));
            }
        };
        show("instantiated");
        go!(cuGraphLaunch(x, NULL));
        go!(cuStreamSynchronize(NULL));
        show("launched");
        go!(cuMemFreeAsync(p.dptr, NULL));
        go!(cuStreamSynchronize(NULL));
        show("freed");
        go!(cuGraphLaunch(x, NULL));
        go!(cuStreamSynchronize(NULL));
        show("launched again");
        go!(cuMemFree_v2(p.dptr));
        show("freed at once");
        go!(cuDeviceGraphMemTrim(0));
        show("trimmed");
        go!(cuGraphExecDestroy(x));
        go!(cuGraphDestroy(g));
        go!(cuDeviceGraphMemTrim(0));
        show("destroyed");
    };
}
