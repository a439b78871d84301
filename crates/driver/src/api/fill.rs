//! Fills. They do not wait, except that host memory is filled when the synchronous forms return.

use crate::boundary::Result;
use crate::core::copy::Fill;
use crate::core::operation::Operation;
use crate::core::stream::Stream;
use cuda_abi::*;
use vulkan::MemoryKind;

fn fill(stream: CUstream, fill: Fill, wait: bool) -> Result {
    let stream = Stream::from_handle(stream)?;
    let fill = fill.resolved(&stream.group.vulkan)?;
    if fill.count == 0 || fill.rows == 0 {
        return Ok(());
    }
    if wait {
        stream.refuse_while_capturing()?;
    }
    Operation::Fill(fill).enqueue(&stream)?;
    let on_host = |address| {
        stream
            .group
            .vulkan
            .find(address)
            .is_some_and(|found| found.kind != MemoryKind::Device)
    };
    if wait && on_host(fill.address) {
        stream.synchronize()?;
    }
    Ok(())
}

fn row(address: CUdeviceptr, value: u32, element: u32, n: usize) -> Fill {
    Fill {
        address,
        pitch: 0,
        value,
        element,
        count: n as u64,
        rows: 1,
    }
}

fn rows(
    address: CUdeviceptr,
    pitch: usize,
    value: u32,
    element: u32,
    width: usize,
    height: usize,
) -> Fill {
    Fill {
        address,
        pitch: pitch as u64,
        value,
        element,
        count: width as u64,
        rows: height as u64,
    }
}

pub fn cuMemsetD8_v2(default_stream: CUstream, dst: CUdeviceptr, value: u8, n: usize) -> Result {
    fill(default_stream, row(dst, value.into(), 1, n), true)
}

pub fn cuMemsetD16_v2(default_stream: CUstream, dst: CUdeviceptr, value: u16, n: usize) -> Result {
    fill(default_stream, row(dst, value.into(), 2, n), true)
}

pub fn cuMemsetD32_v2(default_stream: CUstream, dst: CUdeviceptr, value: u32, n: usize) -> Result {
    fill(default_stream, row(dst, value, 4, n), true)
}

pub fn cuMemsetD8Async(dst: CUdeviceptr, value: u8, n: usize, stream: CUstream) -> Result {
    fill(stream, row(dst, value.into(), 1, n), false)
}

pub fn cuMemsetD16Async(dst: CUdeviceptr, value: u16, n: usize, stream: CUstream) -> Result {
    fill(stream, row(dst, value.into(), 2, n), false)
}

pub fn cuMemsetD32Async(dst: CUdeviceptr, value: u32, n: usize, stream: CUstream) -> Result {
    fill(stream, row(dst, value, 4, n), false)
}

pub fn cuMemsetD2D8_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    pitch: usize,
    value: u8,
    width: usize,
    height: usize,
) -> Result {
    fill(
        default_stream,
        rows(dst, pitch, value.into(), 1, width, height),
        true,
    )
}

pub fn cuMemsetD2D16_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    pitch: usize,
    value: u16,
    width: usize,
    height: usize,
) -> Result {
    fill(
        default_stream,
        rows(dst, pitch, value.into(), 2, width, height),
        true,
    )
}

pub fn cuMemsetD2D32_v2(
    default_stream: CUstream,
    dst: CUdeviceptr,
    pitch: usize,
    value: u32,
    width: usize,
    height: usize,
) -> Result {
    fill(
        default_stream,
        rows(dst, pitch, value, 4, width, height),
        true,
    )
}

pub fn cuMemsetD2D8Async(
    dst: CUdeviceptr,
    pitch: usize,
    value: u8,
    width: usize,
    height: usize,
    stream: CUstream,
) -> Result {
    fill(
        stream,
        rows(dst, pitch, value.into(), 1, width, height),
        false,
    )
}

pub fn cuMemsetD2D16Async(
    dst: CUdeviceptr,
    pitch: usize,
    value: u16,
    width: usize,
    height: usize,
    stream: CUstream,
) -> Result {
    fill(
        stream,
        rows(dst, pitch, value.into(), 2, width, height),
        false,
    )
}

pub fn cuMemsetD2D32Async(
    dst: CUdeviceptr,
    pitch: usize,
    value: u32,
    width: usize,
    height: usize,
    stream: CUstream,
) -> Result {
    fill(stream, rows(dst, pitch, value, 4, width, height), false)
}
