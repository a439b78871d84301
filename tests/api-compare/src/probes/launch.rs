//! Launches: bounds, parameters, attributes.

use super::*;
use crate::{go, must, show};
use cuda_abi::{CUlaunchAttribute, CUlaunchAttributeID, CUlaunchConfig, CUstream};

/// One attribute with the first words of its value.
fn attribute(id: u32, words: [u32; 4]) -> CUlaunchAttribute {
    let mut attribute: CUlaunchAttribute = zeroed();
    attribute.id = CUlaunchAttributeID(id);
    // SAFETY: the value is 64 bytes of plain data.
    unsafe {
        std::ptr::from_mut(&mut attribute.value)
            .cast::<[u32; 4]>()
            .write_unaligned(words)
    };
    attribute
}

/// A configuration of `grid` blocks of 32 threads.
fn config(grid: u32, attributes: &mut [CUlaunchAttribute]) -> CUlaunchConfig {
    CUlaunchConfig {
        gridDimX: grid,
        gridDimY: 1,
        gridDimZ: 1,
        blockDimX: 32,
        blockDimY: 1,
        blockDimZ: 1,
        sharedMemBytes: 0,
        hStream: CUstream::NULL,
        attrs: attributes.as_mut_ptr(),
        numAttrs: attributes.len() as u32,
    }
}

/// Launches `empty` with one attribute.
fn with(f: u64, what: &str, grid: u32, id: u32, words: [u32; 4]) {
    let mut attributes = [attribute(id, words)];
    let config = config(grid, &mut attributes);
    let code = crate::api::call(
        "cuLaunchKernelEx",
        &[std::ptr::from_ref(&config) as u64, f, NULL, NULL],
    );
    let wait = crate::api::call("cuCtxSynchronize", &[]);
    crate::api::line(
        what,
        &format!("{}, {}", crate::api::status(code), crate::api::status(wait)),
    );
}

probes! {
    "launch/bounds" => || {
        context();
        let f = kernel(c"empty");
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 0, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 0, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 0, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 0, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 0, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 0, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1024, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 32, 33, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1024, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 64, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 65, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 65535, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 65536, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 65536, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 0x8000_0000u32, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 48 << 10, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, (48 << 10) + 1, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 1 << 20, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0xffff_ffffu32, NULL, NULL, NULL));
        must!(cuFuncSetAttribute(f, 8, 100 << 10));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 100 << 10, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, (100 << 10) + 1, NULL, NULL, NULL));
        must!(cuFuncSetAttribute(f, 8, 0));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 16, NULL, NULL, NULL));
        go!(cuCtxSynchronize());
    };
    "launch/block-directives" => || {
        context();
        let m = module(PTX);
        let (fixed, small, shared) = (function(m, c"fixed_block"), function(m, c"small_block"), function(m, c"with_shared"));
        go!(cuLaunchKernel(fixed, 1, 1, 1, 32, 2, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(fixed, 1, 1, 1, 64, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(fixed, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(fixed, 1, 1, 1, 128, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(small, 1, 1, 1, 64, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(small, 1, 1, 1, 32, 2, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(small, 1, 1, 1, 65, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(shared, 1, 1, 1, 32, 1, 1, 48 << 10, NULL, NULL, NULL));
        go!(cuLaunchKernel(shared, 1, 1, 1, 32, 1, 1, (48 << 10) - 1000, NULL, NULL, NULL));
        go!(cuLaunchKernel(shared, 1, 1, 1, 32, 1, 1, (48 << 10) - 1008, NULL, NULL, NULL));
        go!(cuLaunchKernel(shared, 1, 1, 1, 32, 1, 1, (48 << 10) - 1024, NULL, NULL, NULL));
        go!(cuCtxSynchronize());
    };
    "launch/arguments" => || {
        context();
        let (f, empty, at) = (kernel(c"store"), kernel(c"empty"), alloc(64));
        let p = Parameters::new(at, 5);
        go!(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, NULL, p.list(), NULL));
        let mut bytes = [0u8; 65536];
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        bytes[8..12].copy_from_slice(&6u32.to_le_bytes());
        for size in [12usize, 16, 11, 8, 0, 13, 4096, 40000] {
            let extra = [1u64, std::ptr::from_ref(&bytes) as u64, 2, std::ptr::from_ref(&size) as u64, 0];
            let code = crate::api::call("cuLaunchKernel", &[f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra.as_ptr() as u64]);
            crate::api::line(&format!("buffer of {size}"), &crate::api::status(code));
        }
        go!(cuCtxSynchronize());
        show!(peek(at));
        let size = 12usize;
        let extra = [1u64, std::ptr::from_ref(&bytes) as u64, 2, std::ptr::from_ref(&size) as u64, 0];
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, p.list(), &extra));
        let swapped = [2u64, std::ptr::from_ref(&size) as u64, 1, std::ptr::from_ref(&bytes) as u64, 0];
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &swapped));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &[0u64]));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &[7u64, 8, 0]));
        let no_size = [1u64, std::ptr::from_ref(&bytes) as u64, 0];
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &no_size));
        let no_buffer = [2u64, std::ptr::from_ref(&size) as u64, 0];
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &no_buffer));
        go!(cuLaunchKernel(empty, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, &[0u64]));
        go!(cuCtxSynchronize());
    };
    "launch/cooperative" => || {
        context();
        let f = kernel(c"empty");
        go!(cuLaunchCooperativeKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL));
        go!(cuLaunchCooperativeKernel(f, 0, 1, 1, 32, 1, 1, 0, NULL, NULL));
        go!(cuLaunchCooperativeKernel(f, 1000000, 1, 1, 32, 1, 1, 0, NULL, NULL));
        go!(cuLaunchCooperativeKernel(f, 1, 1, 1, 1025, 1, 1, 0, NULL, NULL));
        go!(cuLaunchCooperativeKernel(NULL, 1, 1, 1, 32, 1, 1, 0, NULL, NULL));
        go!(cuCtxSynchronize());
        go!(cuLaunchCooperativeKernelMultiDevice(NULL, 0, 0));
        go!(cuLaunchCooperativeKernelMultiDevice(NULL, 1, 0));
    };
    "launch/ex" => || {
        context();
        let f = kernel(c"empty");
        go!(cuLaunchKernelEx(NULL, f, NULL, NULL));
        let mut plain = config(2, &mut []);
        plain.attrs = std::ptr::null_mut();
        go!(cuLaunchKernelEx(&plain, f, NULL, NULL));
        go!(cuLaunchKernelEx(&plain, NULL, NULL, NULL));
        plain.numAttrs = 1;
        go!(cuLaunchKernelEx(&plain, f, NULL, NULL));
        with(f, "ignore", 1, 0, [0; 4]);
        with(f, "cooperative 1", 1, 2, [1, 0, 0, 0]);
        with(f, "cooperative 0", 1, 2, [0, 0, 0, 0]);
        with(f, "cooperative 1, too large", 1000000, 2, [1, 0, 0, 0]);
        with(f, "cooperative 2", 1, 2, [2, 0, 0, 0]);
        with(f, "synchronization policy 1", 1, 3, [1, 0, 0, 0]);
        with(f, "priority 0", 1, 8, [0, 0, 0, 0]);
        with(f, "priority -100", 1, 8, [-100i32 as u32, 0, 0, 0]);
        with(f, "cluster 1", 4, 4, [1, 1, 1, 0]);
        with(f, "cluster 2", 4, 4, [2, 1, 1, 0]);
        with(f, "cluster 8", 8, 4, [8, 1, 1, 0]);
        with(f, "cluster 9", 9, 4, [9, 1, 1, 0]);
        with(f, "cluster 16", 16, 4, [16, 1, 1, 0]);
        with(f, "cluster 3 of 4 blocks", 4, 4, [3, 1, 1, 0]);
        with(f, "cluster 0", 4, 4, [0, 0, 0, 0]);
        with(f, "cluster 0 1 1", 4, 4, [0, 1, 1, 0]);
        with(f, "cluster policy 0", 4, 5, [0, 0, 0, 0]);
        with(f, "cluster policy 1", 4, 5, [1, 0, 0, 0]);
        with(f, "cluster policy 7", 4, 5, [7, 0, 0, 0]);
        with(f, "programmatic serialization 1", 1, 6, [1, 0, 0, 0]);
        with(f, "programmatic serialization 0", 1, 6, [0, 0, 0, 0]);
        with(f, "programmatic event null", 1, 7, [0, 0, 0, 0]);
        with(f, "domain map", 1, 9, [0x0100, 0, 0, 0]);
        with(f, "domain 0", 1, 10, [0, 0, 0, 0]);
        with(f, "domain 1", 1, 10, [1, 0, 0, 0]);
        with(f, "domain 7", 1, 10, [7, 0, 0, 0]);
        with(f, "preferred cluster alone", 4, 11, [2, 1, 1, 0]);
        with(f, "completion event null", 1, 12, [0, 0, 0, 0]);
        with(f, "updatable node", 1, 13, [1, 0, 0, 0]);
        with(f, "carveout 50", 1, 14, [50, 0, 0, 0]);
        with(f, "carveout 500", 1, 14, [500, 0, 0, 0]);
        with(f, "access policy", 1, 1, [0; 4]);
        with(f, "attribute 15", 1, 15, [0; 4]);
        with(f, "attribute 16", 1, 16, [0; 4]);
        with(f, "attribute 99", 1, 99, [0; 4]);
    };
    "launch/events-of-attributes" => || {
        context();
        let (f, e) = (kernel(c"empty"), event(2));
        let timed = event(0);
        for (what, id, event) in [("programmatic", 7u32, e), ("completion", 12, e), ("programmatic, timed", 7, timed), ("completion, timed", 12, timed)] {
            with(f, what, 1, id, [event as u32, (event >> 32) as u32, 0, 0]);
            let code = crate::api::call("cuEventQuery", &[event]);
            crate::api::line(&format!("{what}, event"), &crate::api::status(code));
        }
    };
    "launch/clusters" => || {
        context();
        let f = kernel(c"empty");
        let mut n = -9i32;
        let plain = config(64, &mut []);
        go!(cuOccupancyMaxPotentialClusterSize(&mut n, f, &plain));
        show!(n);
        go!(cuOccupancyMaxActiveClusters(&mut n, f, &plain));
        let mut two = [attribute(4, [2, 1, 1, 0])];
        let two = config(64, &mut two);
        go!(cuOccupancyMaxActiveClusters(&mut n, f, &two));
        show!(n > 0);
        let mut large = [attribute(4, [32, 1, 1, 0])];
        let large = config(64, &mut large);
        go!(cuOccupancyMaxActiveClusters(&mut n, f, &large));
        go!(cuOccupancyMaxPotentialClusterSize(NULL, f, &plain));
        go!(cuOccupancyMaxPotentialClusterSize(&mut n, f, NULL));
        must!(cuFuncSetAttribute(f, 14, 1));
        go!(cuOccupancyMaxPotentialClusterSize(&mut n, f, &plain));
        show!(n);
    };
    "launch/host-function" => || {
        context();
        let (s, n) = (stream(0), counter());
        go!(cuLaunchHostFunc(s, COUNT, n));
        go!(cuStreamSynchronize(s));
        show!(counted(n));
        go!(cuLaunchHostFunc(s, NULL, n));
        go!(cuLaunchHostFunc(NULL, COUNT, n));
        go!(cuCtxSynchronize());
        show!(counted(n));
    };
}
