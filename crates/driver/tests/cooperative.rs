//! Kernels whose blocks wait for each other: by launches, captured, as nodes made by hand, several at the same time.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::null;

const PTX: &CStr = c"
.version 8.0
.target sm_80
.address_size 64
// Counts the blocks in out[0]; all wait for each other by the grid's workspace, as cooperative groups do: the top bit of its
// second word changes when all have come. Then each writes the count to out[1 + its number].
.visible .entry meet(.param .u64 out)
{
    .reg .pred %p;
    .reg .b32 %low, %high, %blocks, %block, %old, %now;
    .reg .b64 %handle, %out, %own;
    ld.param.u64 %out, [out];
    mov.u32 %low, %envreg2;
    mov.u32 %high, %envreg1;
    mov.b64 %handle, {%low, %high};
    setp.eq.u64 %p, %handle, 0;
    @%p trap;
    red.global.add.u32 [%out], 1;
    membar.gl;
    mov.u32 %blocks, %nctaid.x;
    mov.u32 %block, %ctaid.x;
    setp.eq.u32 %p, %block, 0;
    sub.u32 %now, 0x80000001, %blocks;
    selp.b32 %now, %now, 1, %p;
    atom.global.add.u32 %old, [%handle + 4], %now;
wait:
    ld.volatile.global.u32 %now, [%handle + 4];
    xor.b32 %now, %now, %old;
    setp.ge.s32 %p, %now, 0;
    @%p bra wait;
    membar.gl;
    mad.wide.u32 %own, %block, 4, %out;
    ld.volatile.global.u32 %now, [%out];
    st.global.u32 [%own + 4], %now;
    ret;
}
.visible .entry plain() { ret; }
";

/// Makes the primary context current and loads the kernels.
fn start() -> (CUfunction, CUfunction) {
    let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
    let function = |name: &CStr| {
        let mut function = CUfunction::NULL;
        ok!(cuModuleGetFunction(&mut function, module, name.as_ptr()));
        function
    };
    (function(c"meet"), function(c"plain"))
}

fn attribute(attribute: CUdevice_attribute) -> i32 {
    let mut value = -1;
    ok!(cuDeviceGetAttribute(&mut value, attribute, 0));
    value
}

fn occupancy(function: CUfunction) -> i32 {
    let mut blocks = -1;
    ok!(cuOccupancyMaxActiveBlocksPerMultiprocessor(
        &mut blocks,
        function,
        32,
        0
    ));
    blocks
}

/// As many blocks as programs launch: what fits each multiprocessor on all of them.
fn blocks(meet: CUfunction) -> u32 {
    match attribute(CUdevice_attribute::COOPERATIVE_LAUNCH) {
        0 => 1,
        _ => (occupancy(meet) * attribute(CUdevice_attribute::MULTIPROCESSOR_COUNT)) as u32,
    }
}

fn stream() -> CUstream {
    let mut stream = CUstream::NULL;
    ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
    stream
}

fn zeroed(words: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, words * 4));
    ok!(cuMemsetD32_v2(address, 0, words));
    ok!(cuCtxSynchronize());
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

/// Launches `meet` so that its blocks can meet.
fn launch(meet: CUfunction, grid: u32, out: CUdeviceptr, stream: CUstream) -> CUresult {
    let mut out = out;
    let mut arguments: [*mut c_void; 1] = [std::ptr::from_mut(&mut out).cast()];
    // SAFETY: the kernel takes one address.
    unsafe {
        cuLaunchCooperativeKernel(meet, grid, 1, 1, 1, 1, 1, 0, stream, arguments.as_mut_ptr())
    }
}

fn instantiate(graph: CUgraph) -> CUgraphExec {
    let mut exec = CUgraphExec::NULL;
    ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
    exec
}

/// A graph of one launch, captured.
fn captured(meet: CUfunction, grid: u32, out: CUdeviceptr) -> CUgraph {
    let (stream, mut graph) = (stream(), CUgraph::NULL);
    ok!(cuStreamBeginCapture_v2(stream, CUstreamCaptureMode::GLOBAL));
    assert_eq!(launch(meet, grid, out, stream), CUresult::SUCCESS);
    ok!(cuStreamEndCapture(stream, &mut graph));
    graph
}

/// A value that begins with this number.
fn word(word: i32) -> CUlaunchAttributeValue {
    let mut value = CUlaunchAttributeValue { bytes: [0; 64] };
    value.int = word;
    value
}

/// Whether a kernel node is cooperative.
fn is_cooperative(node: CUgraphNode) -> bool {
    let mut value = word(9);
    ok!(cuGraphKernelNodeGetAttribute(
        node,
        CUlaunchAttributeID::COOPERATIVE,
        &mut value
    ));
    // SAFETY: every bit pattern is an integer.
    (unsafe { value.int }) == 1
}

#[test]
fn as_many_blocks_meet_as_are_said_to_fit() {
    in_child("as_many_blocks_meet_as_are_said_to_fit", &[], || {
        let (meet, plain) = start();
        let grid = blocks(meet);
        // A kernel that does not wait for its grid may have more blocks than run at once.
        assert!(occupancy(plain) > occupancy(meet));
        let (words, stream) = (grid as usize + 1, stream());
        let out = zeroed(words);
        for count in 1..4 {
            assert_eq!(launch(meet, grid, out, stream), CUresult::SUCCESS);
            ok!(cuStreamSynchronize(stream));
            assert_eq!(read(out, words), vec![grid * count; words]);
        }
        assert_eq!(
            launch(meet, 1 << 20, out, stream),
            CUresult::COOPERATIVE_LAUNCH_TOO_LARGE
        );
        ok!(cuStreamSynchronize(stream));
    });
}

/// A kernel that asks for the grid's handle has one without a cooperative launch.
#[test]
fn blocks_meet_in_ordinary_launches() {
    in_child("blocks_meet_in_ordinary_launches", &[], || {
        let (meet, _) = start();
        let grid = blocks(meet).min(2);
        let words = grid as usize + 1;
        let mut out = zeroed(words);
        let mut arguments: [*mut c_void; 1] = [std::ptr::from_mut(&mut out).cast()];
        for count in 1..4 {
            let (arguments, none) = (arguments.as_mut_ptr(), std::ptr::null_mut());
            ok!(cuLaunchKernel(
                meet,
                grid,
                1,
                1,
                1,
                1,
                1,
                0,
                CUstream::NULL,
                arguments,
                none
            ));
            ok!(cuCtxSynchronize());
            assert_eq!(read(out, words), vec![grid * count; words]);
        }
    });
}

#[test]
fn blocks_meet_in_graphs() {
    in_child("blocks_meet_in_graphs", &[], || {
        let (meet, _) = start();
        let grid = blocks(meet);
        let words = grid as usize + 1;
        let (out, other) = (zeroed(words), zeroed(words));
        let graph = captured(meet, grid, out);
        let (mut node, mut count) = (CUgraphNode::NULL, 1);
        ok!(cuGraphGetNodes(graph, &mut node, &mut count));
        assert!(count == 1 && is_cooperative(node));
        let exec = instantiate(graph);
        for count in 1..4 {
            ok!(cuGraphLaunch(exec, CUstream::NULL));
            ok!(cuCtxSynchronize());
            assert_eq!(read(out, words), vec![grid * count; words]);
        }
        // A node made by hand is cooperative by its attribute, and stays so when its parameters change.
        // SAFETY: a structure of C, for which zeros are values.
        let mut params: CUDA_KERNEL_NODE_PARAMS = unsafe { std::mem::zeroed() };
        ok!(cuGraphKernelNodeGetParams_v2(node, &mut params));
        let (mut place, mut own, mut made) = (other, CUgraph::NULL, CUgraphNode::NULL);
        let mut arguments: [*mut c_void; 1] = [std::ptr::from_mut(&mut place).cast()];
        params.kernelParams = arguments.as_mut_ptr();
        ok!(cuGraphCreate(&mut own, 0));
        ok!(cuGraphAddKernelNode_v2(&mut made, own, null(), 0, &params));
        assert!(!is_cooperative(made));
        ok!(cuGraphKernelNodeSetAttribute(
            made,
            CUlaunchAttributeID::COOPERATIVE,
            &word(1)
        ));
        ok!(cuGraphKernelNodeSetParams_v2(made, &params));
        assert!(is_cooperative(made));
        let mut clone = CUgraph::NULL;
        ok!(cuGraphClone(&mut clone, own));
        for (index, graph) in [own, clone].into_iter().enumerate() {
            let exec = instantiate(graph);
            ok!(cuGraphLaunch(exec, CUstream::NULL));
            ok!(cuCtxSynchronize());
            assert_eq!(read(other, words), vec![grid * (index as u32 + 1); words]);
        }
        // So does a node of an instantiated graph.
        ok!(cuGraphExecKernelNodeSetParams_v2(exec, node, &params));
        ok!(cuGraphLaunch(exec, CUstream::NULL));
        ok!(cuCtxSynchronize());
        assert_eq!(read(other, words), vec![grid * 3; words]);
        // Attributes are copied as a whole.
        let mut third = CUgraphNode::NULL;
        ok!(cuGraphAddKernelNode_v2(&mut third, own, null(), 0, &params));
        ok!(cuGraphKernelNodeCopyAttributes(third, made));
        assert!(is_cooperative(third));
        // Too many blocks are refused by a node that is cooperative; where it becomes that later, when the graph is
        // instantiated.
        params.gridDimX = 1 << 20;
        fails!(
            cuGraphKernelNodeSetParams_v2(third, &params),
            COOPERATIVE_LAUNCH_TOO_LARGE
        );
        let _ = instantiate(own);
        let mut large = CUgraphNode::NULL;
        ok!(cuGraphAddKernelNode_v2(&mut large, own, null(), 0, &params));
        ok!(cuGraphKernelNodeCopyAttributes(large, made));
        let mut none = CUgraphExec::NULL;
        fails!(
            cuGraphInstantiateWithFlags(&mut none, own, 0),
            COOPERATIVE_LAUNCH_TOO_LARGE
        );
    });
}

#[test]
fn grids_that_meet_do_not_meet_each_other() {
    in_child("grids_that_meet_do_not_meet_each_other", &[], || {
        const LAUNCHES: u32 = 20;
        let (meet, _) = start();
        let grid = blocks(meet);
        let words = grid as usize + 1;
        // Two graphs and a stream at the same time: were two grids to run at once, both half, they would wait for ever.
        let outs: Vec<_> = (0..3).map(|_| zeroed(words)).collect();
        let streams: Vec<_> = (0..3).map(|_| stream()).collect();
        let graphs: Vec<_> = (0..2)
            .map(|index| instantiate(captured(meet, grid, outs[index])))
            .collect();
        for _ in 0..LAUNCHES {
            for (graph, stream) in graphs.iter().zip(&streams) {
                ok!(cuGraphLaunch(*graph, *stream));
            }
            assert_eq!(launch(meet, grid, outs[2], streams[2]), CUresult::SUCCESS);
        }
        ok!(cuCtxSynchronize());
        for out in outs {
            assert_eq!(read(out, words), vec![grid * LAUNCHES; words]);
        }
    });
}
