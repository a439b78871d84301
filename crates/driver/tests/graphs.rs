//! Graphs beyond capture: nodes of every type, changes of instantiated graphs, user objects; batches; launches of old.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr, CString};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
// *place += step
.visible .entry add(.param .u64 place, .param .u32 step) {
    .reg .b32 %r<4>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [place];
    ld.param.u32 %r1, [step];
    ld.global.u32 %r2, [%rd1];
    add.u32 %r3, %r2, %r1;
    st.global.u32 [%rd1], %r3;
    ret;
}
";

fn start() -> CUfunction {
    let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
    let mut function = CUfunction::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    ok!(cuModuleGetFunction(&mut function, module, c"add".as_ptr()));
    function
}

fn zeroed(words: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, words * 4));
    ok!(cuMemsetD32_v2(address, 0, words));
    address
}

fn read(address: CUdeviceptr, words: usize) -> Vec<u32> {
    let mut values = vec![0u32; words];
    ok!(cuMemcpyDtoH_v2(
        values.as_mut_ptr().cast(),
        address,
        words * 4
    ));
    values
}

fn graph() -> CUgraph {
    let mut graph = CUgraph::NULL;
    ok!(cuGraphCreate(&mut graph, 0));
    graph
}

fn instantiate(graph: CUgraph) -> CUgraphExec {
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

fn run(exec: CUgraphExec) {
    ok!(cuGraphLaunch(exec, CUstream::NULL));
    ok!(cuStreamSynchronize(CUstream::NULL));
}

/// Parameters of any node, from those of its type.
fn params(kind: CUgraphNodeType, params: CUgraphNodeParamsUnion) -> CUgraphNodeParams {
    CUgraphNodeParams {
        kind,
        reserved0: [0; 3],
        params,
        reserved2: 0,
    }
}

const NONE: CUgraphNodeParamsUnion = CUgraphNodeParamsUnion { reserved1: [0; 29] };

/// Parameters of a node that runs a kernel with one thread.
fn one_thread(function: CUfunction, arguments: &mut [*mut c_void]) -> CUgraphNodeParams {
    let mut union = NONE;
    union.kernel = CUDA_KERNEL_NODE_PARAMS {
        func: function,
        gridDimX: 1,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 1,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: 0,
        kernelParams: arguments.as_mut_ptr(),
        extra: null_mut(),
        kern: CUkernel::NULL,
        ctx: CUcontext::NULL,
    };
    params(CUgraphNodeType::KERNEL, union)
}

/// Adds `step` to the number at `place`. The arguments are copied when the node is made.
fn with_kernel<R>(
    function: CUfunction,
    mut place: CUdeviceptr,
    mut step: u32,
    body: impl FnOnce(&mut CUgraphNodeParams) -> R,
) -> R {
    let mut arguments: [*mut c_void; 2] = [(&raw mut place).cast(), (&raw mut step).cast()];
    body(&mut one_thread(function, &mut arguments))
}

fn add_node(
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    node_params: &mut CUgraphNodeParams,
) -> CUgraphNode {
    let mut node = CUgraphNode::NULL;
    ok!(cuGraphAddNode_v2(
        &mut node,
        graph,
        dependencies.as_ptr(),
        null(),
        dependencies.len(),
        node_params
    ));
    node
}

fn add_kernel(
    function: CUfunction,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    place: CUdeviceptr,
    step: u32,
) -> CUgraphNode {
    with_kernel(function, place, step, |params| {
        add_node(graph, dependencies, params)
    })
}

unsafe extern "C" fn count(pointer: *mut c_void) {
    // SAFETY: the tests pass counters that live long enough.
    unsafe { &*pointer.cast::<AtomicU32>() }.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn nodes_of_every_type_are_made_by_one_function() {
    in_child("nodes_of_every_type_are_made_by_one_function", &[], || {
        let function = start();
        let place = zeroed(4);
        let calls = AtomicU32::new(0);
        let (graph, child) = (graph(), graph());
        add_kernel(function, child, &[], place, 100);

        let mut union = NONE;
        union.memset = CUDA_MEMSET_NODE_PARAMS_v2 {
            params: CUDA_MEMSET_NODE_PARAMS {
                dst: place,
                pitch: 0,
                value: 7,
                elementSize: 4,
                width: 2,
                height: 1,
            },
            ctx: CUcontext::NULL,
        };
        let fill = add_node(graph, &[], &mut params(CUgraphNodeType::MEMSET, union));
        let kernel = add_kernel(function, graph, &[fill], place, 5);
        let mut union = NONE;
        union.graph = child;
        let child_node = add_node(graph, &[kernel], &mut params(CUgraphNodeType::GRAPH, union));
        let mut union = NONE;
        // SAFETY: a structure of numbers and addresses, for which zeros are valid.
        let mut copy: CUDA_MEMCPY3D = unsafe { std::mem::zeroed() };
        copy.srcMemoryType = CUmemorytype::DEVICE;
        copy.srcDevice = place;
        copy.dstMemoryType = CUmemorytype::DEVICE;
        copy.dstDevice = place + 8;
        (copy.WidthInBytes, copy.Height, copy.Depth) = (8, 1, 1);
        union.memcpy = CUDA_MEMCPY_NODE_PARAMS {
            flags: 0,
            reserved: 0,
            copyCtx: CUcontext::NULL,
            copyParams: copy,
        };
        let copied = add_node(
            graph,
            &[child_node],
            &mut params(CUgraphNodeType::MEMCPY, union),
        );
        let mut union = NONE;
        union.host = CUDA_HOST_NODE_PARAMS {
            r#fn: Some(count),
            userData: std::ptr::from_ref(&calls).cast_mut().cast(),
        };
        let called = add_node(graph, &[copied], &mut params(CUgraphNodeType::HOST, union));
        add_node(graph, &[called], &mut params(CUgraphNodeType::EMPTY, NONE));
        let mut node = CUgraphNode::NULL;
        for (kind, status) in [
            (CUgraphNodeType::CONDITIONAL, CUresult::INVALID_VALUE),
            (CUgraphNodeType(99), CUresult::INVALID_VALUE),
        ] {
            let mut wrong = params(kind, NONE);
            // SAFETY: the places are valid.
            let got = unsafe { cuGraphAddNode(&mut node, graph, null(), 0, &mut wrong) };
            assert_eq!(got, status);
        }

        let exec = instantiate(graph);
        run(exec);
        assert_eq!(read(place, 4), [112, 7, 112, 7]);
        assert_eq!(calls.load(Ordering::Relaxed), 1);

        // A node's parameters come back, and can be replaced in the graph and in what was made of it.
        let mut found = params(CUgraphNodeType::EMPTY, NONE);
        ok!(cuGraphNodeGetParams(fill, &mut found));
        assert_eq!(found.kind, CUgraphNodeType::MEMSET);
        // SAFETY: the type says that this member is set.
        unsafe {
            assert_eq!(found.params.memset.params.value, 7);
            found.params.memset.params.value = 1;
        }
        ok!(cuGraphExecNodeSetParams(exec, fill, &mut found));
        with_kernel(function, place, 50, |params| {
            ok!(cuGraphNodeSetParams(kernel, params));
            ok!(cuGraphExecNodeSetParams(exec, kernel, params));
            fails!(cuGraphExecNodeSetParams(exec, fill, params), INVALID_VALUE);
        });
        run(exec);
        assert_eq!(read(place, 4), [151, 1, 151, 1]);

        // Another child of the same shape, and one of another.
        let (other, wrong) = (self::graph(), self::graph());
        add_kernel(function, other, &[], place, 1000);
        ok!(cuGraphExecChildGraphNodeSetParams(exec, child_node, other));
        fails!(
            cuGraphExecChildGraphNodeSetParams(exec, child_node, wrong),
            GRAPH_EXEC_UPDATE_FAILURE
        );
        fails!(
            cuGraphExecChildGraphNodeSetParams(exec, kernel, other),
            GRAPH_EXEC_UPDATE_FAILURE
        );
        run(exec);
        assert_eq!(read(place, 1), [1051]);
    });
}

#[test]
fn nodes_of_instantiated_graphs_are_switched_off() {
    in_child("nodes_of_instantiated_graphs_are_switched_off", &[], || {
        let function = start();
        let (place, graph) = (zeroed(1), graph());
        let one = add_kernel(function, graph, &[], place, 1);
        let ten = add_kernel(function, graph, &[one], place, 10);
        let empty = add_node(graph, &[ten], &mut params(CUgraphNodeType::EMPTY, NONE));
        let exec = instantiate(graph);
        run(exec);
        ok!(cuGraphNodeSetEnabled(exec, ten, 0));
        let mut enabled = 9;
        ok!(cuGraphNodeGetEnabled(exec, ten, &mut enabled));
        assert_eq!(enabled, 0);
        run(exec);
        assert_eq!(read(place, 1), [12]);
        // Changed while off, and then on again.
        with_kernel(function, place, 100, |params| {
            ok!(cuGraphExecNodeSetParams(exec, ten, params))
        });
        run(exec);
        ok!(cuGraphNodeSetEnabled(exec, ten, 1));
        run(exec);
        assert_eq!(read(place, 1), [114]);
        fails!(cuGraphNodeSetEnabled(exec, empty, 0), INVALID_VALUE);
    });
}

#[test]
fn event_nodes_mark_points_of_each_launch() {
    in_child("event_nodes_mark_points_of_each_launch", &[], || {
        let function = start();
        let (place, graph) = (zeroed(1), graph());
        let mut events = [CUevent::NULL; 3];
        for event in &mut events {
            ok!(cuEventCreate(event, 0));
        }
        let [first, second, other] = events;
        let (mut recorded, mut again, mut waited) = Default::default();
        ok!(cuGraphAddEventRecordNode(
            &mut recorded,
            graph,
            null(),
            0,
            first
        ));
        let kernel = add_kernel(function, graph, &[recorded], place, 3);
        ok!(cuGraphAddEventRecordNode(
            &mut again, graph, &kernel, 1, second
        ));
        ok!(cuGraphAddEventWaitNode(
            &mut waited,
            graph,
            &again,
            1,
            second
        ));
        let mut found = CUevent::NULL;
        ok!(cuGraphEventRecordNodeGetEvent(again, &mut found));
        assert_eq!(found, second);
        ok!(cuGraphEventWaitNodeGetEvent(waited, &mut found));
        assert_eq!(found, second);
        fails!(
            cuGraphEventWaitNodeGetEvent(again, &mut found),
            INVALID_VALUE
        );
        let exec = instantiate(graph);
        ok!(cuGraphLaunch(exec, CUstream::NULL));
        ok!(cuEventSynchronize(second));
        let mut milliseconds = -1.0;
        ok!(cuEventElapsedTime(&mut milliseconds, first, second));
        assert!(milliseconds >= 0.0);
        fails!(
            cuEventElapsedTime(&mut milliseconds, first, other),
            INVALID_HANDLE
        );
        ok!(cuGraphExecEventRecordNodeSetEvent(exec, again, other));
        ok!(cuGraphExecEventWaitNodeSetEvent(exec, waited, other));
        run(exec);
        ok!(cuEventElapsedTime(&mut milliseconds, first, other));
        ok!(cuGraphEventRecordNodeSetEvent(again, other));
        ok!(cuGraphEventRecordNodeGetEvent(again, &mut found));
        assert_eq!(found, other);
        assert_eq!(read(place, 1), [6]);
    });
}

#[test]
fn clones_and_names() {
    in_child("clones_and_names", &[], || {
        let function = start();
        let (place, graph) = (zeroed(1), graph());
        let one = add_kernel(function, graph, &[], place, 1);
        let two = add_kernel(function, graph, &[one], place, 2);
        let (mut clone, mut node) = (CUgraph::NULL, CUgraphNode::NULL);
        ok!(cuGraphClone(&mut clone, graph));
        ok!(cuGraphNodeFindInClone(&mut node, two, clone));
        assert!(node != two && !node.is_null());
        let mut owner = CUgraph::NULL;
        ok!(cuGraphNodeGetContainingGraph(node, &mut owner));
        assert_eq!(owner, clone);
        fails!(cuGraphNodeFindInClone(&mut node, two, graph), INVALID_VALUE);
        let (mut a, mut b, mut id) = (0, 0, 9);
        ok!(cuGraphGetId(graph, &mut a));
        ok!(cuGraphGetId(clone, &mut b));
        assert_ne!(a, b);
        ok!(cuGraphNodeGetLocalId(two, &mut id));
        assert_eq!(id, 1);
        ok!(cuGraphKernelNodeCopyAttributes(one, two));

        let path = std::env::temp_dir().join(format!("vkcuda-graph-{}.dot", std::process::id()));
        let name = CString::new(path.to_str().unwrap()).unwrap();
        ok!(cuGraphDebugDotPrint(graph, name.as_ptr(), 1));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(text.starts_with("digraph"), "{text}");
        assert_eq!(text.matches("add").count(), 2, "{text}");
        assert_eq!(text.matches("->").count(), 1, "{text}");

        // As programs for CUDA 11 have it.
        let (mut place_argument, step) = (place, AtomicU32::new(5));
        let mut arguments: [*mut c_void; 2] =
            [(&raw mut place_argument).cast(), step.as_ptr().cast()];
        let mut old = CUDA_KERNEL_NODE_PARAMS_v1 {
            func: function,
            gridDimX: 1,
            gridDimY: 1,
            gridDimZ: 1,
            blockDimX: 1,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: 0,
            kernelParams: arguments.as_mut_ptr(),
            extra: null_mut(),
        };
        ok!(cuGraphAddKernelNode(&mut node, graph, &two, 1, &old));
        let exec = instantiate(graph);
        run(exec);
        step.store(50, Ordering::Relaxed);
        ok!(cuGraphExecKernelNodeSetParams(exec, node, &old));
        run(exec);
        assert_eq!(read(place, 1), [8 + 53]);
        old.gridDimX = 0;
        ok!(cuGraphKernelNodeGetParams(node, &mut old));
        assert_eq!((old.func, old.gridDimX), (function, 1));
    });
}

#[test]
fn graphs_keep_user_objects() {
    in_child("graphs_keep_user_objects", &[], || {
        start();
        let calls = AtomicU32::new(0);
        let mut object = CUuserObject::NULL;
        let pointer = std::ptr::from_ref(&calls).cast_mut().cast();
        fails!(
            cuUserObjectCreate(&mut object, pointer, Some(count), 1, 0),
            INVALID_VALUE
        );
        ok!(cuUserObjectCreate(&mut object, pointer, Some(count), 2, 1));
        let graph = graph();
        // One reference goes to the graph, one stays, one is new.
        ok!(cuGraphRetainUserObject(graph, object, 1, 1));
        ok!(cuGraphRetainUserObject(graph, object, 1, 0));
        ok!(cuGraphReleaseUserObject(graph, object, 1));
        fails!(cuGraphReleaseUserObject(graph, object, 2), INVALID_VALUE);
        ok!(cuUserObjectRelease(object, 1));
        let exec = instantiate(graph);
        ok!(cuGraphDestroy(graph));
        run(exec);
        assert_eq!(calls.load(Ordering::Relaxed), 0, "the instance has it");
        ok!(cuGraphExecDestroy(exec));
        ok!(cuCtxSynchronize());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        fails!(cuUserObjectRetain(object, 1), INVALID_VALUE);
    });
}

fn used(attribute: CUgraphMem_attribute) -> u64 {
    let mut value = u64::MAX;
    ok!(cuDeviceGetGraphMemAttribute(
        0,
        attribute,
        (&raw mut value).cast()
    ));
    value
}

/// Memory of the device, as an allocation node takes it.
fn on_device(bytes: usize) -> CUDA_MEM_ALLOC_NODE_PARAMS {
    CUDA_MEM_ALLOC_NODE_PARAMS {
        poolProps: CUmemPoolProps {
            allocType: CUmemAllocationType::PINNED.0,
            handleTypes: 0,
            location: CUmemLocation {
                kind: CUmemLocationType::DEVICE,
                id: 0,
            },
            win32SecurityAttributes: null_mut(),
            maxSize: 0,
            usage: 0,
            gpuDirectRDMACapable: 0,
            reserved: [0; 53],
        },
        accessDescs: null(),
        accessDescCount: 0,
        bytesize: bytes,
        dptr: 0,
    }
}

#[test]
fn graphs_allocate_without_the_primary_context() {
    in_child("graphs_allocate_without_the_primary_context", &[], || {
        let (mut context, mut node) = (CUcontext::NULL, CUgraphNode::NULL);
        ok!(cuInit(0));
        ok!(cuCtxCreate_v2(&mut context, 0, 0));
        let (graph, mut params) = (graph(), on_device(64));
        ok!(cuGraphAddMemAllocNode(
            &mut node,
            graph,
            null(),
            0,
            &mut params
        ));
        let exec = instantiate(graph);
        run(exec);
        ok!(cuMemsetD32_v2(params.dptr, 7, 16));
        assert_eq!(read(params.dptr, 16), [7; 16]);
        ok!(cuMemFree_v2(params.dptr));
        ok!(cuGraphExecDestroy(exec));
        ok!(cuGraphDestroy(graph));
    });
}

#[test]
fn graphs_allocate_and_free() {
    in_child("graphs_allocate_and_free", &[], || {
        use CUgraphMem_attribute as A;
        let function = start();
        let place = zeroed(1);
        // By hand: allocated in the graph, freed in the graph.
        let graph = graph();
        let mut union = NONE;
        union.alloc = on_device(1024);
        let mut allocation = params(CUgraphNodeType::MEM_ALLOC, union);
        let allocated = add_node(graph, &[], &mut allocation);
        // SAFETY: the type says that this member is set.
        let address = unsafe { allocation.params.alloc.dptr };
        assert_ne!(address, 0);
        let kernel = add_kernel(function, graph, &[allocated], address, 9);
        let mut freed = CUgraphNode::NULL;
        ok!(cuGraphAddMemFreeNode(
            &mut freed, graph, &kernel, 1, address
        ));
        let mut found = 0;
        fails!(
            cuGraphAddMemFreeNode(&mut freed, graph, &kernel, 1, place),
            INVALID_VALUE
        );
        ok!(cuGraphMemFreeNodeGetParams(freed, &mut found));
        assert_eq!(found, address);
        let exec = instantiate(graph);
        assert_eq!(used(A::USED_MEM_CURRENT), 0);
        run(exec);
        run(exec);
        // The graph has it from its first launch on.
        assert!(used(A::USED_MEM_CURRENT) >= 1024);
        assert!(used(A::USED_MEM_HIGH) >= 1024 && used(A::RESERVED_MEM_CURRENT) >= 1024);

        // Captured: freed by the application.
        let mut stream = CUstream::NULL;
        let (mut captured, mut address) = (CUgraph::NULL, 0);
        ok!(cuStreamCreate(&mut stream, 1));
        let mode = CUstreamCaptureMode::GLOBAL;
        ok!(cuStreamBeginCapture_v2(stream, mode));
        ok!(cuMemAllocAsync(&mut address, 64, stream));
        ok!(cuMemsetD32Async(address, 5, 4, stream));
        ok!(cuMemcpyDtoDAsync_v2(place, address + 4, 4, stream));
        ok!(cuStreamEndCapture(stream, &mut captured));
        let second = instantiate(captured);
        run(second);
        assert_eq!((read(place, 1), read(address, 4)), (vec![5], vec![5; 4]));
        fails!(cuGraphLaunch(second, stream), INVALID_VALUE);
        ok!(cuMemFreeAsync(address, stream));
        run(second);
        ok!(cuMemFree_v2(address));
        fails!(cuMemFree_v2(address), INVALID_VALUE);

        // Freed by the next launch, and by the end of everything.
        let mut itself = CUgraphExec::NULL;
        fails!(
            cuGraphInstantiateWithFlags(&mut itself, captured, 1),
            NOT_SUPPORTED
        );
        ok!(cuGraphExecDestroy(second));
        ok!(cuGraphInstantiateWithFlags(&mut itself, captured, 1));
        run(itself);
        run(itself);
        ok!(cuMemFree_v2(address));
        for exec in [exec, itself] {
            ok!(cuGraphExecDestroy(exec));
        }
        for graph in [graph, captured] {
            ok!(cuGraphDestroy(graph));
        }
        ok!(cuCtxSynchronize());
        // Kept for nodes of the same size, until somebody asks for it.
        assert_eq!(used(A::USED_MEM_CURRENT), 1024 + 64);
        ok!(cuDeviceGraphMemTrim(0));
        assert_eq!(used(A::USED_MEM_CURRENT), 0);
        assert_eq!(used(A::RESERVED_MEM_CURRENT), 0);
        assert_eq!(used(A::USED_MEM_HIGH), 1024 + 64);
    });
}

#[test]
fn copies_go_in_batches() {
    in_child("copies_go_in_batches", &[], || {
        start();
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, 1));
        let (from, to) = (zeroed(6), zeroed(6));
        for index in 0..6 {
            ok!(cuMemsetD32_v2(from + index * 4, index as u32, 1));
        }
        // The stream below does not wait for the default stream.
        ok!(cuCtxSynchronize());
        let mut dsts = [to, to + 20];
        let mut srcs = [from + 8, from + 4];
        let mut sizes = [12, 4];
        let location = CUmemLocation {
            kind: CUmemLocationType::INVALID,
            id: 0,
        };
        let mut attributes = CUmemcpyAttributes {
            srcAccessOrder: 1,
            srcLocHint: location,
            dstLocHint: location,
            flags: 0,
        };
        let (mut start_of, mut failed) = (0, 77);
        ok!(cuMemcpyBatchAsync(
            dsts.as_mut_ptr(),
            srcs.as_mut_ptr(),
            sizes.as_mut_ptr(),
            2,
            &mut attributes,
            &mut start_of,
            1,
            &mut failed,
            stream
        ));
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read(to, 6), [2, 3, 4, 0, 0, 1]);
        srcs[1] = 16;
        fails!(
            cuMemcpyBatchAsync(
                dsts.as_mut_ptr(),
                srcs.as_mut_ptr(),
                sizes.as_mut_ptr(),
                2,
                &mut attributes,
                &mut start_of,
                1,
                &mut failed,
                CUstream::NULL
            ),
            INVALID_VALUE
        );
        ok!(cuMemcpyWithAttributesAsync(
            to + 12,
            from + 20,
            4,
            &mut attributes,
            stream
        ));
        ok!(cuStreamSynchronize(stream));
        assert_eq!(read(to, 6)[3], 5);

        let mut pool = CUmemoryPool::NULL;
        let mut default = CUmemoryPool::NULL;
        let mut here = CUmemLocation {
            kind: CUmemLocationType::DEVICE,
            id: 0,
        };
        let pinned = CUmemAllocationType::PINNED;
        ok!(cuMemGetDefaultMemPool(&mut pool, &mut here, pinned));
        ok!(cuDeviceGetDefaultMemPool(&mut default, 0));
        assert_eq!(pool, default);
        ok!(cuMemSetMemPool(&mut here, pinned, pool));
        // The host's memory comes from a pool, too, and is the host's at the same address.
        let mut host = CUmemLocation {
            kind: CUmemLocationType::HOST,
            id: 0,
        };
        ok!(cuMemGetDefaultMemPool(&mut pool, &mut host, pinned));
        assert_ne!(pool, default);
        let mut address = 0;
        ok!(cuMemAllocFromPoolAsync(&mut address, 64, pool, stream));
        ok!(cuMemsetD32Async(address, 77, 16, stream));
        ok!(cuStreamSynchronize(stream));
        // SAFETY: the allocation has 16 numbers, which are written.
        assert_eq!(unsafe { *(address as *const [u32; 16]) }, [77; 16]);
        ok!(cuMemFreeAsync(address, stream));
        here.id = 100;
        fails!(cuMemGetMemPool(&mut pool, &mut here, pinned), INVALID_VALUE);
    });
}

/// A stream that joined a capture may go; its work has to be waited for when the capture ends.
#[test]
fn streams_leave_captures() {
    in_child("streams_leave_captures", &[], || {
        start();
        let place = zeroed(2);
        for joined in [true, false] {
            let (mut first, mut second) = (CUstream::NULL, CUstream::NULL);
            let (mut fork, mut join) = (CUevent::NULL, CUevent::NULL);
            let mut captured = CUgraph::NULL;
            ok!(cuStreamCreate(&mut first, 1));
            ok!(cuStreamCreate(&mut second, 1));
            ok!(cuEventCreate(&mut fork, 2));
            ok!(cuEventCreate(&mut join, 2));
            let mode = CUstreamCaptureMode::RELAXED;
            ok!(cuStreamBeginCapture_v2(first, mode));
            ok!(cuMemsetD32Async(place, 3, 1, first));
            ok!(cuEventRecord(fork, first));
            ok!(cuStreamWaitEvent(second, fork, 0));
            ok!(cuMemsetD32Async(place + 4, 4, 1, second));
            if joined {
                ok!(cuEventRecord(join, second));
                ok!(cuStreamWaitEvent(first, join, 0));
                ok!(cuStreamDestroy_v2(second));
                ok!(cuStreamEndCapture(first, &mut captured));
                run(instantiate(captured));
                assert_eq!(read(place, 2), [3, 4]);
            } else {
                ok!(cuStreamDestroy_v2(second));
                // The capture goes on until then.
                let mut status = CUstreamCaptureStatus::NONE;
                ok!(cuStreamIsCapturing(first, &mut status));
                assert_eq!(status, CUstreamCaptureStatus::ACTIVE);
                ok!(cuMemsetD32Async(place, 5, 1, first));
                fails!(
                    cuStreamEndCapture(first, &mut captured),
                    STREAM_CAPTURE_UNJOINED
                );
            }
        }
    });
}

#[test]
fn launches_as_of_old() {
    in_child("launches_as_of_old", &[], || {
        let function = start();
        let mut place = zeroed(1);
        ok!(cuFuncSetBlockShape(function, 1, 1, 1));
        ok!(cuFuncSetSharedSize(function, 16));
        ok!(cuParamSetv(function, 0, (&raw mut place).cast(), 8));
        ok!(cuParamSeti(function, 8, 41));
        ok!(cuParamSetSize(function, 12));
        ok!(cuLaunch(function));
        ok!(cuParamSeti(function, 8, 1));
        ok!(cuLaunchGrid(function, 1, 1));
        assert_eq!(read(place, 1), [42]);
        // More than the kernel takes is not looked at.
        ok!(cuParamSeti(function, 12, 1));
        fails!(cuParamSeti(function, 1 << 20, 1), INVALID_VALUE);
        fails!(cuFuncSetBlockShape(function, 0, 1, 1), INVALID_VALUE);
        fails!(cuLaunchGrid(function, 0, 1), INVALID_VALUE);
    });
}

const CONDITIONAL: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.extern .func cudaGraphSetConditional(.param .b64 handle, .param .b32 value);
// *place += step; the condition is whether *place is below the limit
.visible .entry count(.param .u64 place, .param .u32 step, .param .u64 handle, .param .u32 limit) {
    .reg .pred %p<2>;
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [place];
    ld.param.u32 %r1, [step];
    ld.param.u64 %rd2, [handle];
    ld.param.u32 %r2, [limit];
    ld.global.u32 %r3, [%rd1];
    add.u32 %r3, %r3, %r1;
    st.global.u32 [%rd1], %r3;
    setp.lt.u32 %p1, %r3, %r2;
    selp.u32 %r4, 1, 0, %p1;
    {
        .param .b64 p0;
        .param .b32 p1;
        st.param.b64 [p0], %rd2;
        st.param.b32 [p1], %r4;
        call.uni cudaGraphSetConditional, (p0, p1);
    }
    ret;
}
";

/// Adds a node that runs a kernel with one thread.
fn add_thread(function: CUfunction, graph: CUgraph, arguments: &mut [*mut c_void]) -> CUgraphNode {
    add_node(graph, &[], &mut one_thread(function, arguments))
}

fn conditional(
    graph: CUgraph,
    after: &[CUgraphNode],
    handle: u64,
    kind: u32,
    size: u32,
) -> (CUgraphNode, Vec<CUgraph>) {
    let mut union = NONE;
    union.conditional = CUDA_CONDITIONAL_NODE_PARAMS {
        handle,
        kind,
        size,
        phGraph_out: null_mut(),
        ctx: CUcontext::NULL,
    };
    let mut made = params(CUgraphNodeType::CONDITIONAL, union);
    let node = add_node(graph, after, &mut made);
    // SAFETY: the node has written where its graphs are.
    let graphs = unsafe {
        std::slice::from_raw_parts(made.params.conditional.phGraph_out, size as usize).to_vec()
    };
    (node, graphs)
}

fn fill_node(graph: CUgraph, after: &[CUgraphNode], place: CUdeviceptr, value: u32) -> CUgraphNode {
    let mut union = NONE;
    union.memset.params = CUDA_MEMSET_NODE_PARAMS {
        dst: place,
        pitch: 0,
        value,
        elementSize: 4,
        width: 1,
        height: 1,
    };
    union.memset.ctx = CUcontext::NULL;
    add_node(graph, after, &mut params(CUgraphNodeType::MEMSET, union))
}

const PRINTING: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
.extern .func cudaGraphSetConditional(.param .b64 handle, .param .b32 value);
.extern .func (.param .b32 result) vprintf(.param .b64 format, .param .b64 arguments);
.global .align 1 .b8 text[9] = {116, 104, 101, 110, 32, 37, 100, 10, 0};
// Prints *place, counts it down, and goes on until it is 0.
.visible .entry countdown(.param .u64 place, .param .u64 handle) {
    .local .align 8 .b8 arguments[8];
    .reg .b32 %r<4>;
    .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [place];
    ld.param.u64 %rd2, [handle];
    ld.global.u32 %r1, [%rd1];
    st.local.u32 [arguments], %r1;
    mov.u64 %rd3, arguments;
    cvta.local.u64 %rd3, %rd3;
    mov.u64 %rd4, text;
    cvta.global.u64 %rd4, %rd4;
    {
        .param .b64 p0;
        .param .b64 p1;
        .param .b32 back;
        st.param.b64 [p0], %rd4;
        st.param.b64 [p1], %rd3;
        call.uni (back), vprintf, (p0, p1);
    }
    sub.u32 %r1, %r1, 1;
    st.global.u32 [%rd1], %r1;
    {
        .param .b64 p0;
        .param .b32 p1;
        st.param.b64 [p0], %rd2;
        st.param.b32 [p1], %r1;
        call.uni cudaGraphSetConditional, (p0, p1);
    }
    ret;
}
";

/// What kernels before a condition and under it print is printed, and the launch, which waits for the condition, ends.
#[test]
fn kernels_print_under_conditions() {
    if !common::is_child() {
        let output = common::run_child("kernels_print_under_conditions", &[]);
        for n in 1..=4 {
            assert_eq!(
                output.matches(&format!("then {n}\n")).count(),
                1,
                "{output}"
            );
        }
        return;
    }
    start();
    let (mut module, mut countdown) = (CUmodule::NULL, CUfunction::NULL);
    ok!(cuModuleLoadData(&mut module, PRINTING.as_ptr().cast()));
    ok!(cuModuleGetFunction(
        &mut countdown,
        module,
        c"countdown".as_ptr()
    ));
    let place = zeroed(1);
    ok!(cuMemsetD32_v2(place, 4, 1));
    let whole = graph();
    let (mut handle, mut context) = (0, CUcontext::NULL);
    ok!(cuCtxGetCurrent(&mut context));
    ok!(cuGraphConditionalHandleCreate(
        &mut handle,
        whole,
        context,
        0,
        0
    ));
    let kernel = |graph| {
        let mut arguments: [*mut c_void; 2] = [
            std::ptr::from_ref(&place).cast_mut().cast(),
            std::ptr::from_ref(&handle).cast_mut().cast(),
        ];
        add_thread(countdown, graph, &mut arguments)
    };
    let first = kernel(whole);
    let (_, bodies) = conditional(whole, &[first], handle, 1, 1);
    kernel(bodies[0]);
    run(instantiate(whole));
    assert_eq!(read(place, 1), [0]);
    ok!(cuCtxSynchronize());
}

#[test]
fn conditions_decide_what_runs() {
    in_child("conditions_decide_what_runs", &[], || {
        start();
        let (mut module, mut count) = (CUmodule::NULL, CUfunction::NULL);
        ok!(cuModuleLoadData(&mut module, CONDITIONAL.as_ptr().cast()));
        ok!(cuModuleGetFunction(&mut count, module, c"count".as_ptr()));
        let place = zeroed(3);
        let whole = graph();
        let (mut again, mut choice, mut last) = (0, 0, 0);
        let mut context = CUcontext::NULL;
        ok!(cuCtxGetCurrent(&mut context));
        // The loop's value is 1 at each start; the choice keeps what it has.
        ok!(cuGraphConditionalHandleCreate(
            &mut again, whole, context, 1, 1
        ));
        ok!(cuGraphConditionalHandleCreate(
            &mut choice,
            whole,
            context,
            2,
            0
        ));
        ok!(cuGraphConditionalHandleCreate(
            &mut last, whole, context, 0, 1
        ));
        let mut wrong = 0;
        fails!(
            cuGraphConditionalHandleCreate(&mut wrong, whole, context, 0, 8),
            INVALID_VALUE
        );
        let kernel = |graph, place: CUdeviceptr, step: u32, handle: u64, limit: u32| {
            let mut arguments: [*mut c_void; 4] = [
                std::ptr::from_ref(&place).cast_mut().cast(),
                std::ptr::from_ref(&step).cast_mut().cast(),
                std::ptr::from_ref(&handle).cast_mut().cast(),
                std::ptr::from_ref(&limit).cast_mut().cast(),
            ];
            add_thread(count, graph, &mut arguments)
        };
        // while (place[0] += 3 < 20); then switch by the other value; then if by the last, which is 0.
        let (looped, bodies) = conditional(whole, &[], again, 1, 1);
        kernel(bodies[0], place, 3, again, 20);
        let (switched, cases) = conditional(whole, &[looped], choice, 2, 3);
        for (n, &case) in cases.iter().enumerate() {
            fill_node(case, &[], place + 4, 100 + n as u32);
        }
        let (_, arms) = conditional(whole, &[switched], last, 0, 2);
        fill_node(arms[0], &[], place + 8, 1);
        fill_node(arms[1], &[], place + 8, 2);

        let exec = instantiate(whole);
        run(exec);
        assert_eq!(read(place, 3), [21, 102, 2]);
        run(exec);
        assert_eq!(read(place, 3), [24, 102, 2], "the loop runs once more");
        let mut clone = CUgraph::NULL;
        fails!(cuGraphClone(&mut clone, whole), NOT_SUPPORTED);

        let mut found = params(CUgraphNodeType::EMPTY, NONE);
        ok!(cuGraphNodeGetParams(switched, &mut found));
        // SAFETY: the type says which member it is.
        unsafe {
            assert_eq!(found.kind, CUgraphNodeType::CONDITIONAL);
            assert_eq!(found.params.conditional.handle, choice);
            assert_eq!(found.params.conditional.size, 3);
        }
        // Another graph's value, and a loop with two bodies.
        let other = graph();
        for (graph, handle, kind, size) in [
            (other, again, 0, 1),
            (whole, again, 1, 2),
            (whole, 64, 0, 1),
        ] {
            let mut union = NONE;
            union.conditional = CUDA_CONDITIONAL_NODE_PARAMS {
                handle,
                kind,
                size,
                phGraph_out: null_mut(),
                ctx: CUcontext::NULL,
            };
            let mut node = CUgraphNode::NULL;
            let mut wrong = params(CUgraphNodeType::CONDITIONAL, union);
            fails!(
                cuGraphAddNode(&mut node, graph, null(), 0, &mut wrong),
                INVALID_VALUE
            );
        }
        ok!(cuGraphDestroy(whole));
        fails!(cuGraphDestroy(cases[0]), INVALID_VALUE);
    });
}
