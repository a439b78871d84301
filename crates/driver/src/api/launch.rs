//! Execution control.

use crate::boundary::{Accept, In, Pointers, Result};
use crate::core::capture;
use crate::core::event::EVENTS;
use crate::core::function::Function;
use crate::core::launch::{self, Shape};
use crate::core::operation::{HostCall, Operation};
use crate::core::stream::Stream;
use cuda_abi::*;
use std::ffi::c_void;

pub fn cuLaunchKernel(
    function: CUfunction,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    stream: CUstream,
    kernel_params: Pointers,
    extra: Pointers,
) -> Result {
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        dynamic_shared: shared_mem_bytes,
    };
    let stream = Stream::from_handle(stream)?;
    let function = Function::in_stream(function, &stream)?;
    launch::launch(&stream, &function, shape, kernel_params, extra)
}

pub fn cuLaunchKernelEx(
    default_stream: CUstream,
    config: In<CUlaunchConfig>,
    function: CUfunction,
    kernel_params: Pointers,
    extra: Pointers,
) -> Result {
    let config = config.get()?;
    let stream = if config.hStream.is_null() {
        default_stream
    } else {
        config.hStream
    };
    let stream = Stream::from_handle(stream)?;
    let function = Function::in_stream(function, &stream)?;
    // SAFETY: by the API's contract the list has that many attributes.
    let list: In<CUlaunchAttribute> = unsafe { Accept::accept(config.attrs) };
    let attributes = launch::attributes(list, config.numAttrs as usize)?;
    let shape = Shape {
        grid: [config.gridDimX, config.gridDimY, config.gridDimZ],
        block: [config.blockDimX, config.blockDimY, config.blockDimZ],
        dynamic_shared: config.sharedMemBytes,
    };
    match attributes.cooperative {
        true => launch::cooperative(&stream, &function, shape, kernel_params, extra)?,
        false => launch::launch(&stream, &function, shape, kernel_params, extra)?,
    }
    let record = |event: &CUevent| capture::record_event(&stream, &EVENTS.get(event.0)?, false);
    attributes.events.iter().try_for_each(record)
}

pub fn cuLaunchCooperativeKernel(
    function: CUfunction,
    grid_dim_x: u32,
    grid_dim_y: u32,
    grid_dim_z: u32,
    block_dim_x: u32,
    block_dim_y: u32,
    block_dim_z: u32,
    shared_mem_bytes: u32,
    stream: CUstream,
    kernel_params: Pointers,
) -> Result {
    let shape = Shape {
        grid: [grid_dim_x, grid_dim_y, grid_dim_z],
        block: [block_dim_x, block_dim_y, block_dim_z],
        dynamic_shared: shared_mem_bytes,
    };
    let stream = Stream::from_handle(stream)?;
    let function = Function::in_stream(function, &stream)?;
    launch::cooperative(&stream, &function, shape, kernel_params, Pointers::null())
}

pub fn cuLaunchHostFunc(stream: CUstream, function: CUhostFn, user_data: *mut c_void) -> Result {
    let function = function.ok_or(CUresult::INVALID_VALUE)?;
    let call = HostCall {
        function,
        user_data: user_data as usize,
    };
    Operation::Host(call)
        .enqueue(&Stream::from_handle(stream)?)
        .map(|_| ())
}

/// `sync_mode` says how a waiting thread may wait; a runtime thread calls the function either way.
pub fn cuLaunchHostFunc_v2(
    stream: CUstream,
    function: CUhostFn,
    user_data: *mut c_void,
    _sync_mode: u32,
) -> Result {
    cuLaunchHostFunc(stream, function, user_data)
}
