//! Stream capture.

use crate::boundary::{Accept, In, Out, Result};
use crate::core::capture;
use crate::core::graph::Graph;
use crate::core::platform::platform;
use crate::core::stream::Stream;
use cuda_abi::*;

pub fn cuStreamBeginCapture(stream: CUstream) -> Result {
    cuStreamBeginCapture_v2(stream, CUstreamCaptureMode::GLOBAL)
}

pub fn cuStreamBeginCapture_v2(stream: CUstream, mode: CUstreamCaptureMode) -> Result {
    capture::begin(&Stream::from_handle(stream)?, mode, None)
}

pub fn cuStreamBeginCaptureToGraph(
    stream: CUstream,
    graph: CUgraph,
    dependencies: In<CUgraphNode>,
    dependency_data: In<CUgraphEdgeData>,
    num_dependencies: usize,
    mode: CUstreamCaptureMode,
) -> Result {
    super::graph::plain_edges(dependency_data, num_dependencies)?;
    let start = (
        Graph::from_handle(graph)?,
        dependencies.all(num_dependencies)?,
    );
    capture::begin(&Stream::from_handle(stream)?, mode, Some(start))
}

pub fn cuStreamEndCapture(stream: CUstream, graph: Out<CUgraph>) -> Result {
    let result = capture::end(&Stream::from_handle(stream)?);
    match result {
        Ok(captured) => {
            graph.set_if(captured.handle());
            Ok(())
        }
        Err(status) => {
            graph.set_if(CUgraph::NULL);
            Err(status)
        }
    }
}

pub fn cuStreamIsCapturing(stream: CUstream, capture_status: Out<CUstreamCaptureStatus>) -> Result {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_implicit()?;
    let status = match stream.capture.is_active() {
        true => stream
            .capture
            .info()
            .map_or(CUstreamCaptureStatus::NONE, |info| info.status),
        false => CUstreamCaptureStatus::NONE,
    };
    capture_status.set(status)
}

pub fn cuStreamGetCaptureInfo(
    stream: CUstream,
    status_out: Out<CUstreamCaptureStatus>,
    id_out: Out<u64>,
) -> Result {
    if let Some(info) = info(stream, status_out)? {
        id_out.set_if(info.id);
    }
    Ok(())
}

/// Writes a stream's status; gives the rest where it captures validly.
fn info(stream: CUstream, status_out: Out<CUstreamCaptureStatus>) -> Result<Option<capture::Info>> {
    let stream = Stream::from_handle(stream)?;
    stream.refuse_implicit()?;
    let info = stream.capture.info();
    let status = info.as_ref().map(|info| info.status);
    status_out.set(status.unwrap_or(CUstreamCaptureStatus::NONE))?;
    Ok(info.filter(|info| info.status == CUstreamCaptureStatus::ACTIVE))
}

pub fn cuStreamGetCaptureInfo_v2(
    stream: CUstream,
    status_out: Out<CUstreamCaptureStatus>,
    id_out: Out<u64>,
    graph_out: Out<CUgraph>,
    dependencies_out: Out<*const CUgraphNode>,
    num_dependencies_out: Out<usize>,
) -> Result {
    // SAFETY: null asks for nothing.
    let edge_data = unsafe { Out::accept(std::ptr::null_mut()) };
    cuStreamGetCaptureInfo_v3(
        stream,
        status_out,
        id_out,
        graph_out,
        dependencies_out,
        edge_data,
        num_dependencies_out,
    )
}

pub fn cuStreamGetCaptureInfo_v3(
    stream: CUstream,
    status_out: Out<CUstreamCaptureStatus>,
    id_out: Out<u64>,
    graph_out: Out<CUgraph>,
    dependencies_out: Out<*const CUgraphNode>,
    edge_data_out: Out<*const CUgraphEdgeData>,
    num_dependencies_out: Out<usize>,
) -> Result {
    if let Some(info) = info(stream, status_out)? {
        // The list of dependencies alone would not say all.
        if info.has_data && edge_data_out.is_null() && !dependencies_out.is_null() {
            return Err(CUresult::LOSSY_QUERY);
        }
        id_out.set_if(info.id);
        graph_out.set_if(info.graph);
        dependencies_out.set_if(info.dependencies);
        edge_data_out.set_if(info.edges);
        num_dependencies_out.set_if(info.count);
    }
    Ok(())
}

pub fn cuStreamUpdateCaptureDependencies(
    stream: CUstream,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    flags: u32,
) -> Result {
    // SAFETY: null stands for plain edges.
    let plain = unsafe { In::accept(std::ptr::null()) };
    cuStreamUpdateCaptureDependencies_v2(stream, dependencies, plain, num_dependencies, flags)
}

pub fn cuStreamUpdateCaptureDependencies_v2(
    stream: CUstream,
    dependencies: In<CUgraphNode>,
    dependency_data: In<CUgraphEdgeData>,
    num_dependencies: usize,
    flags: u32,
) -> Result {
    super::graph::plain_edges(dependency_data, num_dependencies)?;
    if flags & !CU_STREAM_SET_CAPTURE_DEPENDENCIES != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let nodes = dependencies.all(num_dependencies)?;
    let data = match dependency_data.is_null() {
        true => Vec::new(),
        false => dependency_data.all(num_dependencies)?,
    };
    let replace = flags & CU_STREAM_SET_CAPTURE_DEPENDENCIES != 0;
    Stream::from_handle(stream)?
        .capture
        .update(&nodes, &data, replace)
}

pub fn cuThreadExchangeStreamCaptureMode(mode: Out<CUstreamCaptureMode>) -> Result {
    platform()?;
    let before = capture::exchange_thread_mode(mode.get()?)?;
    mode.set(before)
}
