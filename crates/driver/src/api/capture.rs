//! Stream capture.

use crate::boundary::{In, Out, Result};
use crate::core::capture;
use crate::core::graph::Graph;
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
        Ok(captured) => graph.set(captured.handle()),
        Err(status) => {
            graph.set_if(CUgraph::NULL);
            Err(status)
        }
    }
}

pub fn cuStreamIsCapturing(stream: CUstream, capture_status: Out<CUstreamCaptureStatus>) -> Result {
    let stream = Stream::from_handle(stream)?;
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
    let info = Stream::from_handle(stream)?.capture.info();
    status_out.set(
        info.as_ref()
            .map_or(CUstreamCaptureStatus::NONE, |info| info.status),
    )?;
    if let Some(info) = info {
        id_out.set_if(info.id);
    }
    Ok(())
}

pub fn cuStreamGetCaptureInfo_v2(
    stream: CUstream,
    status_out: Out<CUstreamCaptureStatus>,
    id_out: Out<u64>,
    graph_out: Out<CUgraph>,
    dependencies_out: Out<*const CUgraphNode>,
    num_dependencies_out: Out<usize>,
) -> Result {
    let info = Stream::from_handle(stream)?.capture.info();
    status_out.set(
        info.as_ref()
            .map_or(CUstreamCaptureStatus::NONE, |info| info.status),
    )?;
    if let Some(info) = info {
        id_out.set_if(info.id);
        graph_out.set_if(info.graph);
        dependencies_out.set_if(info.dependencies);
        num_dependencies_out.set_if(info.count);
    }
    Ok(())
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
    // Every edge is a full dependency, which no data says.
    edge_data_out.set_if(std::ptr::null());
    cuStreamGetCaptureInfo_v2(
        stream,
        status_out,
        id_out,
        graph_out,
        dependencies_out,
        num_dependencies_out,
    )
}

pub fn cuStreamUpdateCaptureDependencies(
    stream: CUstream,
    dependencies: In<CUgraphNode>,
    num_dependencies: usize,
    flags: u32,
) -> Result {
    if flags & !CU_STREAM_SET_CAPTURE_DEPENDENCIES != 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    let nodes = dependencies.all(num_dependencies)?;
    Stream::from_handle(stream)?
        .capture
        .update(&nodes, flags & CU_STREAM_SET_CAPTURE_DEPENDENCIES != 0)
}

pub fn cuStreamUpdateCaptureDependencies_v2(
    stream: CUstream,
    dependencies: In<CUgraphNode>,
    dependency_data: In<CUgraphEdgeData>,
    num_dependencies: usize,
    flags: u32,
) -> Result {
    super::graph::plain_edges(dependency_data, num_dependencies)?;
    cuStreamUpdateCaptureDependencies(stream, dependencies, num_dependencies, flags)
}

pub fn cuThreadExchangeStreamCaptureMode(mode: Out<CUstreamCaptureMode>) -> Result {
    let before = capture::exchange_thread_mode(mode.get()?)?;
    mode.set(before)
}
