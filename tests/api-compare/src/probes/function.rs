//! Kernels' attributes, and the occupancy calculator.

use super::*;
use crate::{go, must, show};

/// What `cuFuncGetAttribute` says.
fn attribute(function: u64, id: u32) -> (String, i32) {
    let mut value = -99i32;
    let code = crate::api::call(
        "cuFuncGetAttribute",
        &[
            std::ptr::from_mut(&mut value) as u64,
            u64::from(id),
            function,
        ],
    );
    (crate::api::status(code), value)
}

/// Tries to set an attribute and reads it back.
fn set(function: u64, id: u32, value: i32) -> (String, i32) {
    let code = crate::api::call(
        "cuFuncSetAttribute",
        &[function, u64::from(id), value as u64],
    );
    (crate::api::status(code), attribute(function, id).1)
}

extern "C" fn none_shared(_: i32) -> usize {
    0
}

extern "C" fn shared_by_threads(threads: i32) -> usize {
    threads as usize * 64
}

probes! {
    "function/attributes" => || {
        context();
        let m = module(PTX);
        for name in [c"empty", c"store", c"mixed", c"fixed_block", c"small_block", c"with_shared"] {
            let f = function(m, name);
            // Registers (4) are the compiler's matter.
            for id in (0..18u32).filter(|id| *id != 4).chain([99]) {
                crate::api::line(&format!("{name:?} attribute {id}"), &format!("{:?}", attribute(f, id)));
            }
        }
        go!(cuFuncGetAttribute(NULL, 0, function(m, c"empty")));
        let mut v = 0i32;
        go!(cuFuncGetAttribute(&mut v, 0, NULL));
        go!(cuFuncGetAttribute(&mut v, -1, function(m, c"empty")));
    };
    "function/versions" => || {
        context();
        for (what, text) in [("6.0 sm_50", c".version 6.0\n.target sm_50\n.address_size 64\n.visible .entry e() { ret; }"),
            ("7.8 sm_75", c".version 7.8\n.target sm_75\n.address_size 64\n.visible .entry e() { ret; }"),
            ("8.0 sm_90", c".version 8.0\n.target sm_90\n.address_size 64\n.visible .entry e() { ret; }")] {
            let f = function(module(text), c"e");
            crate::api::line(what, &format!("{:?} {:?}", attribute(f, 5), attribute(f, 6)));
        }
    };
    "function/set-attributes" => || {
        context();
        let f = kernel(c"empty");
        for id in (0..18u32).chain([99]) {
            for value in [0, 1, -1, 2, 100, 101] {
                crate::api::line(&format!("attribute {id} set to {value}"), &format!("{:?}", set(f, id, value)));
            }
        }
        go!(cuFuncSetAttribute(NULL, 8, 0));
    };
    "function/dynamic-shared" => || {
        context();
        let m = module(PTX);
        let (f, g) = (function(m, c"empty"), function(m, c"with_shared"));
        for value in [0, 48 << 10, (48 << 10) + 1, 99 << 10, 163 << 10, 227 << 10, (227 << 10) + 1, 228 << 10, i32::MAX, i32::MIN] {
            crate::api::line(&format!("empty {value}"), &format!("{:?}", set(f, 8, value)));
            crate::api::line(&format!("with_shared {value}"), &format!("{:?}", set(g, 8, value)));
        }
        for value in [226 << 10, (227 << 10) - 1000, (227 << 10) - 1008, (227 << 10) - 999, (227 << 10) - 1024] {
            crate::api::line(&format!("with_shared {value}"), &format!("{:?}", set(g, 8, value)));
        }
    };
    "function/config" => || {
        context();
        let f = kernel(c"empty");
        go!(cuFuncSetCacheConfig(f, 0));
        go!(cuFuncSetCacheConfig(f, 3));
        go!(cuFuncSetCacheConfig(f, 4));
        go!(cuFuncSetCacheConfig(NULL, 1));
        go!(cuFuncSetSharedMemConfig(f, 0));
        go!(cuFuncSetSharedMemConfig(f, 1));
        go!(cuFuncSetSharedMemConfig(f, 2));
        go!(cuFuncSetSharedMemConfig(f, 3));
        go!(cuFuncSetSharedMemConfig(NULL, 1));
        go!(cuFuncSetBlockShape(f, 32, 1, 1));
        go!(cuFuncSetBlockShape(f, 0, 1, 1));
        go!(cuFuncSetBlockShape(f, 2048, 1, 1));
        go!(cuFuncSetBlockShape(f, -1, 1, 1));
        go!(cuFuncSetSharedSize(f, 100));
        go!(cuFuncSetSharedSize(f, 100000));
        go!(cuParamSetSize(f, 16));
        go!(cuParamSetSize(f, 5000));
        go!(cuParamSeti(f, 0, 5));
        go!(cuParamSetv(f, 8, &5u64, 8));
        go!(cuParamSetv(f, 8, NULL, 8));
    };
    "function/legacy-launch" => || {
        context();
        let (f, at) = (kernel(c"store"), alloc(64));
        must!(cuFuncSetBlockShape(f, 1, 1, 1));
        go!(cuParamSetSize(f, 12));
        go!(cuParamSetv(f, 0, &at, 8));
        go!(cuParamSeti(f, 8, 77));
        go!(cuLaunch(f));
        go!(cuCtxSynchronize());
        show!(peek(at));
        go!(cuLaunchGrid(f, 2, 2));
        go!(cuLaunchGrid(f, 0, 2));
        go!(cuLaunchGridAsync(f, 2, 2, NULL));
        go!(cuCtxSynchronize());
    };
    "occupancy/blocks" => || {
        context();
        let m = module(PTX);
        let f = function(m, c"empty");
        let mut n = -9i32;
        for (threads, shared) in [(1, 0u64), (32, 0), (33, 0), (64, 0), (256, 0), (1024, 0), (1025, 0), (0, 0), (-1, 0), (128, 1024), (128, 48 << 10),
            (128, 100 << 10), (128, 227 << 10), (128, 1 << 40), (128, u64::MAX)] {
            let code = crate::api::call("cuOccupancyMaxActiveBlocksPerMultiprocessor", &[std::ptr::from_mut(&mut n) as u64, f, threads as u64, shared]);
            crate::api::line(&format!("{threads} threads, {shared} bytes"), &format!("{} {n}", crate::api::status(code)));
        }
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(NULL, f, 32, 0));
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut n, NULL, 32, 0));
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&mut n, f, 32, 0, 0));
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&mut n, f, 32, 0, 1));
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&mut n, f, 32, 0, 2));
        let g = function(m, c"small_block");
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut n, g, 64, 0));
        show!(n);
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut n, g, 128, 0));
        show!(n);
        let h = function(m, c"fixed_block");
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut n, h, 64, 0));
        show!(n);
        go!(cuOccupancyMaxActiveBlocksPerMultiprocessor(&mut n, h, 32, 0));
        show!(n);
    };
    "occupancy/block-size" => || {
        context();
        let m = module(PTX);
        let f = function(m, c"empty");
        let (mut grid, mut block) = (-9i32, -9i32);
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, NULL, 0, 0));
        show!(grid > 0, block);
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, NULL, 0, 100));
        show!(block);
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, NULL, 0, -1));
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, NULL, 40000, 0));
        show!(block);
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, NULL, 1 << 30, 0));
        show!(grid, block);
        let none: extern "C" fn(i32) -> usize = none_shared;
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, none as usize, 0, 0));
        show!(block);
        let by_threads: extern "C" fn(i32) -> usize = shared_by_threads;
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, f, by_threads as usize, 0, 0));
        show!(block);
        go!(cuOccupancyMaxPotentialBlockSize(NULL, &mut block, f, NULL, 0, 0));
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, NULL, f, NULL, 0, 0));
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, NULL, NULL, 0, 0));
        go!(cuOccupancyMaxPotentialBlockSizeWithFlags(&mut grid, &mut block, f, NULL, 0, 0, 1));
        go!(cuOccupancyMaxPotentialBlockSizeWithFlags(&mut grid, &mut block, f, NULL, 0, 0, 2));
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, function(m, c"small_block"), NULL, 0, 0));
        show!(block);
        go!(cuOccupancyMaxPotentialBlockSize(&mut grid, &mut block, function(m, c"fixed_block"), NULL, 0, 0));
        show!(block);
    };
    "occupancy/dynamic-shared" => || {
        context();
        let f = kernel(c"empty");
        let mut s = 99usize;
        for (blocks, threads) in [(1, 32), (1, 1024), (2, 32), (2, 1024), (3, 128), (32, 32), (33, 32), (0, 32), (1, 0), (1, 1025), (-1, 32)] {
            let code = crate::api::call("cuOccupancyAvailableDynamicSMemPerBlock", &[std::ptr::from_mut(&mut s) as u64, f, blocks as u64, threads as u64]);
            crate::api::line(&format!("{blocks} blocks of {threads}"), &format!("{} {s}", crate::api::status(code)));
        }
    };
}
