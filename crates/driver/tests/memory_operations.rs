//! Operations on memory in streams and graphs: writing words and waiting for them.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ptr::{null, null_mut};
use std::time::Duration;

fn start() -> [CUstream; 2] {
    let mut context = CUcontext::NULL;
    ok!(cuInit(0));
    ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
    ok!(cuCtxSetCurrent(context));
    for attribute in [
        CUdevice_attribute::CAN_USE_64_BIT_STREAM_MEM_OPS,
        CUdevice_attribute::CAN_USE_STREAM_WAIT_VALUE_NOR,
    ] {
        let mut value = 0;
        ok!(cuDeviceGetAttribute(&mut value, attribute, 0));
        assert_eq!(value, 1);
    }
    std::array::from_fn(|_| {
        let mut stream = CUstream::NULL;
        ok!(cuStreamCreate(&mut stream, CU_STREAM_NON_BLOCKING));
        stream
    })
}

fn zeroed(words: usize) -> CUdeviceptr {
    let mut address = 0;
    ok!(cuMemAlloc_v2(&mut address, words * 4));
    ok!(cuMemsetD32_v2(address, 0, words));
    ok!(cuCtxSynchronize());
    address
}

fn read(address: CUdeviceptr) -> u32 {
    let mut value = 0u32;
    ok!(cuMemcpyDtoH_v2((&raw mut value).cast(), address, 4));
    value
}

#[test]
fn streams_wait_for_words_that_others_write() {
    in_child("streams_wait_for_words_that_others_write", &[], || {
        let [first, second] = start();
        let (flag, place) = (zeroed(2), zeroed(4));
        // The second stream's work comes after the first one's, though it was asked for before.
        ok!(cuStreamWaitValue32_v2(second, flag, 1, 1));
        ok!(cuMemcpyDtoDAsync_v2(place + 4, place, 4, second));
        ok!(cuStreamWriteValue64_v2(second, place + 8, 7 << 32 | 9, 0));
        std::thread::sleep(Duration::from_millis(5));
        fails!(cuStreamQuery(second), NOT_READY);
        ok!(cuMemsetD32Async(place, 5, 1, first));
        ok!(cuStreamWriteValue32_v2(first, flag, 1, 0));
        ok!(cuStreamSynchronize(second));
        assert_eq!([0, 4, 8, 12].map(|at| read(place + at)), [5, 5, 9, 7]);

        // A word of pinned memory that the host writes; several conditions at once.
        let mut pinned = null_mut();
        ok!(cuMemHostAlloc(&mut pinned, 64, 0));
        let mut address = 0;
        ok!(cuMemHostGetDevicePointer_v2(&mut address, pinned, 0));
        let word = pinned.cast::<u64>();
        // SAFETY: pinned memory of 64 bytes.
        unsafe { word.write_volatile(0xff) };
        let wait = |value, flags| CUstreamBatchMemOpParams {
            operation: CUstreamBatchMemOpType::WAIT_VALUE_64,
            address,
            value,
            flags,
            alias: 0,
            pad: 0,
        };
        let mut ops = [
            wait(1 << 40, 0),
            wait(1 << 41, 2),
            CUstreamBatchMemOpParams {
                operation: CUstreamBatchMemOpType::BARRIER,
                ..wait(0, 0)
            },
            CUstreamBatchMemOpParams {
                operation: CUstreamBatchMemOpType::WRITE_VALUE_32,
                address: place,
                ..wait(77, 0)
            },
        ];
        ok!(cuStreamBatchMemOp_v2(first, 4, ops.as_mut_ptr(), 0));
        for value in [1u64 << 40, 3 << 40] {
            std::thread::sleep(Duration::from_millis(3));
            fails!(cuStreamQuery(first), NOT_READY);
            // SAFETY: as above.
            unsafe { word.write_volatile(value) };
        }
        ok!(cuStreamSynchronize(first));
        assert_eq!(read(place), 77);

        fails!(cuStreamWaitValue32_v2(first, flag + 2, 1, 0), INVALID_VALUE);
        fails!(cuStreamWaitValue64_v2(first, flag + 4, 1, 0), INVALID_VALUE);
        fails!(cuStreamWaitValue32_v2(first, 64, 1, 0), INVALID_VALUE);
        fails!(cuStreamWaitValue32_v2(first, flag, 1, 9), INVALID_VALUE);
        fails!(
            cuStreamWaitValue32_v2(first, flag, 1, 1 << 30),
            NOT_SUPPORTED
        );
        ok!(cuStreamBatchMemOp_v2(first, 0, ops.as_mut_ptr(), 0));

        // A graph with the same, changed between two launches.
        let mut graph = CUgraph::NULL;
        let mut node = CUgraphNode::NULL;
        let mut exec = CUgraphExec::NULL;
        let mut context = CUcontext::NULL;
        ok!(cuCtxGetCurrent(&mut context));
        let params = CUDA_BATCH_MEM_OP_NODE_PARAMS {
            ctx: context,
            count: 1,
            paramArray: &mut ops[3],
            flags: 0,
        };
        ok!(cuGraphCreate(&mut graph, 0));
        ok!(cuGraphAddBatchMemOpNode(
            &mut node,
            graph,
            null(),
            0,
            &params
        ));
        ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        let mut other = ops[3];
        other.value = 88;
        ok!(cuGraphExecBatchMemOpNodeSetParams(
            exec,
            node,
            &CUDA_BATCH_MEM_OP_NODE_PARAMS {
                paramArray: &mut other,
                ..params
            }
        ));
        ok!(cuGraphLaunch(exec, first));
        ok!(cuStreamSynchronize(first));
        assert_eq!(read(place), 88);
        let mut found = params;
        ok!(cuGraphBatchMemOpNodeGetParams(node, &mut found));
        // SAFETY: the array is the node's.
        assert_eq!(unsafe { (*found.paramArray).value }, 77);
        // Captured, it is such a node.
        ok!(cuStreamBeginCapture_v2(
            second,
            CUstreamCaptureMode::RELAXED
        ));
        ok!(cuStreamWaitValue32_v2(second, flag, 1, 0));
        ok!(cuStreamWriteValue32_v2(second, place, 99, 0));
        ok!(cuStreamEndCapture(second, &mut graph));
        ok!(cuGraphInstantiateWithFlags(&mut exec, graph, 0));
        ok!(cuGraphLaunch(exec, second));
        ok!(cuStreamSynchronize(second));
        assert_eq!(read(place), 99);
    });
}

/// A wait that nobody ends does not keep the process from ending.
#[test]
fn a_process_ends_while_a_stream_waits() {
    if std::env::var_os("VKCUDA_VALIDATION").is_some() {
        eprintln!("nothing is closed when a process under the validation layer ends: not tested");
        return;
    }
    in_child("a_process_ends_while_a_stream_waits", &[], || {
        let [first, _] = start();
        let flag = zeroed(1);
        ok!(cuStreamWaitValue32_v2(first, flag, 1, 0));
        ok!(cuMemsetD32Async(flag, 2, 1, first));
        std::thread::sleep(Duration::from_millis(2));
    });
}
