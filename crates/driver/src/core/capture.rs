//! Stream capture: operations become nodes of a graph instead of running.
//!
//! A capture begins in one stream. A stream that waits for an event recorded in the capture joins it; when the capture
//! ends in its first stream, all that joined must have been waited for (CUDA C++ Programming Guide, "Stream Capture").

use crate::boundary::Result;
use crate::core::event::{Event, Mark};
use crate::core::graph::{Graph, GRAPHS};
use crate::core::operation::Operation;
use crate::core::registry::Registry;
use crate::core::stream::{Kind, Stream};
use cuda_abi::*;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

/// A capture under way.
pub struct Capture {
    /// `cuStreamGetCaptureInfo`'s id.
    pub id: u64,
    /// How strict it is.
    pub mode: CUstreamCaptureMode,
    /// What it fills.
    pub graph: Arc<Graph>,
    thread: ThreadId,
    origin: u64,
    /// Whether the graph existed before (`cuStreamBeginCaptureToGraph`).
    foreign_graph: bool,
    invalid: AtomicBool,
    members: Mutex<Vec<Weak<Stream>>>,
    /// The last nodes of streams that were destroyed.
    left: Mutex<Vec<CUgraphNode>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
/// The captures under way in the process; the count lets everyone else pass without the lock.
static CAPTURES: Mutex<Vec<Weak<Capture>>> = Mutex::new(Vec::new());
static CAPTURE_COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD_MODE: Cell<CUstreamCaptureMode> = const { Cell::new(CUstreamCaptureMode::GLOBAL) };
}

impl Capture {
    /// Makes the capture fail when it ends.
    pub fn invalidate(&self) {
        self.invalid.store(true, Ordering::Relaxed);
    }

    /// Whether a stream still captures for it. A capture that has ended lives on in events that marked it.
    pub fn is_under_way(self: &Arc<Self>) -> bool {
        let members: Vec<_> = self
            .members
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        members.iter().any(|stream| {
            let member = stream.capture.member.lock();
            member
                .as_ref()
                .is_some_and(|member| Arc::ptr_eq(&member.capture, self))
        })
    }

    fn check(&self) -> Result {
        if self.invalid.load(Ordering::Relaxed) {
            Err(CUresult::STREAM_CAPTURE_INVALIDATED)
        } else {
            Ok(())
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURE_COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether and what a stream captures.
#[derive(Default)]
pub struct StreamCapture {
    active: AtomicBool,
    member: Mutex<Option<Member>>,
}

struct Member {
    capture: Arc<Capture>,
    /// What the next node depends on.
    dependencies: Vec<CUgraphNode>,
    /// The data of edges to these that are more than plain.
    edge_data: Vec<(CUgraphNode, CUgraphEdgeData)>,
    /// The same, at a place that stays until the next call: what `cuStreamGetCaptureInfo` points to.
    reported: Box<[CUgraphNode]>,
    /// The data of these edges.
    reported_edges: Box<[CUgraphEdgeData]>,
}

/// What `cuStreamGetCaptureInfo` tells.
pub struct Info {
    /// Active or invalidated.
    pub status: CUstreamCaptureStatus,
    /// The capture's id.
    pub id: u64,
    /// The graph it fills.
    pub graph: CUgraph,
    /// What the next node depends on; the place is valid until the next call on the stream.
    pub dependencies: *const CUgraphNode,
    /// The data of the edges to them, null where there are none.
    pub edges: *const CUgraphEdgeData,
    /// How many.
    pub count: usize,
    /// Whether an edge is more than plain, so that its data cannot be left out.
    pub has_data: bool,
}

impl StreamCapture {
    /// Whether the stream captures, validly or not.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// Makes the capture fail when it ends.
    pub fn invalidate(&self) {
        if let Some(member) = &*self.member.lock() {
            member.capture.invalidate();
        }
    }

    /// What it captures; `None` where it does not.
    pub fn info(&self) -> Option<Info> {
        let mut member = self.member.lock();
        let member = member.as_mut()?;
        member.reported = member.dependencies.clone().into();
        let data = |node: &CUgraphNode| {
            let given = member.edge_data.iter().find(|(of, _)| of == node);
            given.map_or(CUgraphEdgeData::default(), |&(_, data)| data)
        };
        member.reported_edges = member.reported.iter().map(data).collect();
        let valid = member.capture.check().is_ok();
        Some(Info {
            status: if valid {
                CUstreamCaptureStatus::ACTIVE
            } else {
                CUstreamCaptureStatus::INVALIDATED
            },
            id: member.capture.id,
            graph: member.capture.graph.handle(),
            dependencies: member.reported.as_ptr(),
            edges: match member.reported_edges.is_empty() {
                true => std::ptr::null(),
                false => member.reported_edges.as_ptr(),
            },
            count: member.reported.len(),
            has_data: !member.edge_data.is_empty(),
        })
    }

    /// `cuStreamUpdateCaptureDependencies`: adds to or replaces what the next node depends on. `data` has an element for each
    /// edge, or none where all are plain.
    ///
    /// # Errors
    /// `CUDA_ERROR_ILLEGAL_STATE` where the stream does not capture; `CUDA_ERROR_INVALID_VALUE` for nodes of another graph.
    pub fn update(&self, nodes: &[CUgraphNode], data: &[CUgraphEdgeData], replace: bool) -> Result {
        let mut member = self.member.lock();
        let member = member.as_mut().ok_or(CUresult::ILLEGAL_STATE)?;
        member.capture.check()?;
        member.capture.graph.check_nodes(nodes)?;
        if replace {
            member.dependencies.clear();
            member.edge_data.clear();
        }
        join(&mut member.dependencies, nodes);
        let data = nodes.iter().copied().zip(data.iter().copied());
        let more = data.filter(|(_, data)| *data != CUgraphEdgeData::default());
        member.edge_data.extend(more);
        Ok(())
    }

    /// Takes a stream that is destroyed out of its capture. What it did must have been waited for when that ends
    /// (CUDA_ERROR_STREAM_CAPTURE_UNJOINED); a capture that began in it is invalid at once.
    pub fn leave(&self, stream: &Stream) {
        if let Some(member) = &*self.member.lock() {
            let capture = &member.capture;
            if capture.origin == stream.id {
                capture.invalidate();
            }
            capture.left.lock().extend(&member.dependencies);
        }
        self.set(None);
    }

    fn set(&self, member: Option<Member>) {
        let active = member.is_some();
        *self.member.lock() = member;
        self.active.store(active, Ordering::Release);
    }
}

fn join(dependencies: &mut Vec<CUgraphNode>, more: &[CUgraphNode]) {
    for node in more {
        if !dependencies.contains(node) {
            dependencies.push(*node);
        }
    }
}

/// `cuStreamBeginCapture`, into a new graph or after nodes of an existing one.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED` for the legacy default stream, `CUDA_ERROR_ILLEGAL_STATE` where the stream captures
/// already, `CUDA_ERROR_INVALID_VALUE` for an unknown mode or nodes of another graph.
pub fn begin(
    stream: &Arc<Stream>,
    mode: CUstreamCaptureMode,
    graph: Option<(Arc<Graph>, Vec<CUgraphNode>)>,
) -> Result {
    if mode.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    if stream.kind == Kind::Legacy {
        return Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
    }
    if stream.capture.is_active() {
        return Err(CUresult::ILLEGAL_STATE);
    }
    let foreign_graph = graph.is_some();
    let (graph, dependencies) = match graph {
        Some((graph, dependencies)) => {
            graph.check_nodes(&dependencies)?;
            (graph, dependencies)
        }
        None => (Graph::create(), Vec::new()),
    };
    let capture = Arc::new(Capture {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        mode,
        graph,
        thread: std::thread::current().id(),
        origin: stream.id,
        foreign_graph,
        invalid: AtomicBool::new(false),
        members: Mutex::new(vec![Arc::downgrade(stream)]),
        left: Mutex::default(),
    });
    CAPTURE_COUNT.fetch_add(1, Ordering::Relaxed);
    let mut captures = CAPTURES.lock();
    captures.retain(|capture| capture.strong_count() > 0);
    captures.push(Arc::downgrade(&capture));
    drop(captures);
    stream.capture.set(Some(Member {
        capture,
        dependencies,
        edge_data: Vec::new(),
        reported: Box::default(),
        reported_edges: Box::default(),
    }));
    Ok(())
}

/// `cuStreamEndCapture`: the graph that was captured.
///
/// # Errors
/// `CUDA_ERROR_ILLEGAL_STATE` where the stream does not capture; `CUDA_ERROR_STREAM_CAPTURE_UNMATCHED`, `_WRONG_THREAD`,
/// `_UNJOINED`, `_INVALIDATED`.
pub fn end(stream: &Arc<Stream>) -> Result<Arc<Graph>> {
    let (capture, dependencies) = match &*stream.capture.member.lock() {
        Some(member) => (member.capture.clone(), member.dependencies.clone()),
        None => return Err(CUresult::ILLEGAL_STATE),
    };
    if capture.origin != stream.id {
        capture.invalidate();
        return Err(CUresult::STREAM_CAPTURE_UNMATCHED);
    }
    // The capture ends all the same.
    let wrong_thread = capture.mode != CUstreamCaptureMode::RELAXED
        && capture.thread != std::thread::current().id();
    let joined = capture.graph.with_ancestors(&dependencies);
    let mut unjoined = capture
        .left
        .lock()
        .iter()
        .any(|node| !joined.contains(node));
    for member in capture.members.lock().iter().filter_map(Weak::upgrade) {
        if let Some(tips) = member
            .capture
            .member
            .lock()
            .as_ref()
            .map(|m| &m.dependencies)
        {
            unjoined |= member.id != stream.id && tips.iter().any(|node| !joined.contains(node));
        }
        member.capture.set(None);
    }
    let result = match capture.check() {
        _ if wrong_thread => Err(CUresult::STREAM_CAPTURE_WRONG_THREAD),
        Err(status) => Err(status),
        Ok(()) if unjoined => Err(CUresult::STREAM_CAPTURE_UNJOINED),
        Ok(()) => Ok(capture.graph.clone()),
    };
    if result.is_err() && !capture.foreign_graph {
        if let Ok(graph) = GRAPHS.remove(Registry::handle(&capture.graph)) {
            graph.end_nodes();
        }
    }
    result
}

/// Adds an operation to what a stream captures.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_INVALIDATED`, `CUDA_ERROR_ILLEGAL_STATE` where the stream does not capture.
pub fn add(stream: &Stream, operation: Operation) -> Result<CUgraphNode> {
    let mut member = stream.capture.member.lock();
    let member = member.as_mut().ok_or(CUresult::ILLEGAL_STATE)?;
    member.capture.check()?;
    let node = member.capture.graph.add(operation, &member.dependencies)?;
    member.dependencies = vec![node];
    member.edge_data.clear();
    Ok(node)
}

/// `cuEventRecord`: in a capturing stream the event marks nodes, else a point in time. `external` makes recording a node.
///
/// # Errors
/// Those of recording.
pub fn record_event(stream: &Arc<Stream>, event: &Arc<Event>, external: bool) -> Result {
    if !stream.capture.is_active() {
        return match external {
            true => Err(CUresult::ILLEGAL_STATE),
            false => event.record(stream),
        };
    }
    if external {
        return add(stream, Operation::EventRecord(event.clone())).map(|_| ());
    }
    let member = stream.capture.member.lock();
    let member = member.as_ref().ok_or(CUresult::ILLEGAL_STATE)?;
    member.capture.check()?;
    event.set_mark(Mark::Captured(
        member.capture.clone(),
        member.dependencies.clone(),
    ));
    Ok(())
}

/// `cuStreamWaitEvent`: an event of a capture takes the stream into it.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_MERGE`, `_ISOLATION`, `_IMPLICIT`, `_INVALIDATED`; `CUDA_ERROR_ILLEGAL_STATE` for a wait from
/// outside (`external`) where the stream does not capture; sticky errors.
pub fn wait_event(stream: &Arc<Stream>, event: &Arc<Event>, external: bool) -> Result {
    if external {
        return add(stream, Operation::EventWait(event.clone())).map(|_| ());
    }
    let (capture, nodes) = match event.mark() {
        Mark::None => return Ok(()),
        Mark::Point(_) if stream.capture.is_active() => {
            stream.capture.invalidate();
            return Err(CUresult::STREAM_CAPTURE_ISOLATION);
        }
        Mark::Point(point) => return stream.run(|vulkan| vulkan.wait(&point)),
        Mark::Captured(capture, nodes) => (capture, nodes),
    };
    if !capture.is_under_way() {
        return Err(CUresult::INVALID_VALUE);
    }
    capture.check()?;
    if stream.kind == Kind::Legacy {
        capture.invalidate();
        return Err(CUresult::STREAM_CAPTURE_IMPLICIT);
    }
    let mut member = stream.capture.member.lock();
    match &mut *member {
        Some(member) if Arc::ptr_eq(&member.capture, &capture) => {
            join(&mut member.dependencies, &nodes)
        }
        Some(member) => {
            member.capture.invalidate();
            capture.invalidate();
            return Err(CUresult::STREAM_CAPTURE_MERGE);
        }
        None => {
            capture.members.lock().push(Arc::downgrade(stream));
            *member = Some(Member {
                capture,
                dependencies: nodes,
                edge_data: Vec::new(),
                reported: Box::default(),
                reported_edges: Box::default(),
            });
            stream.capture.active.store(true, Ordering::Release);
        }
    }
    Ok(())
}

/// `cuThreadExchangeStreamCaptureMode`: the mode the thread had before.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE` for an unknown mode.
pub fn exchange_thread_mode(mode: CUstreamCaptureMode) -> Result<CUstreamCaptureMode> {
    if mode.name().is_none() {
        return Err(CUresult::INVALID_VALUE);
    }
    Ok(THREAD_MODE.replace(mode))
}

/// Refuses a call that is not safe during a capture, such as an allocation, where one is under way that forbids it.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`; the capture is invalid then.
pub fn refuse_unsafe_call() -> Result {
    if CAPTURE_COUNT.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let (thread, mode) = (std::thread::current().id(), THREAD_MODE.get());
    let mut result = Ok(());
    if mode == CUstreamCaptureMode::RELAXED {
        return result;
    }
    let captures: Vec<_> = CAPTURES.lock().iter().filter_map(Weak::upgrade).collect();
    for capture in captures {
        let own = capture.thread == thread && capture.mode != CUstreamCaptureMode::RELAXED;
        let global =
            mode == CUstreamCaptureMode::GLOBAL && capture.mode == CUstreamCaptureMode::GLOBAL;
        if (own || global) && capture.is_under_way() {
            capture.invalidate();
            result = Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
        }
    }
    result
}

/// Refuses a call that waits for all of a context, where one of its streams captures in any mode.
///
/// # Errors
/// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`; the captures are invalid then.
pub fn refuse_while_context_captures(context_id: u64) -> Result {
    if CAPTURE_COUNT.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let captures: Vec<_> = CAPTURES.lock().iter().filter_map(Weak::upgrade).collect();
    let mut result = Ok(());
    for capture in captures {
        let members: Vec<_> = capture
            .members
            .lock()
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let here = members
            .iter()
            .any(|stream| stream.group.context_id == context_id);
        if here && capture.is_under_way() {
            capture.invalidate();
            result = Err(CUresult::STREAM_CAPTURE_UNSUPPORTED);
        }
    }
    result
}

/// The set that [`Graph::with_ancestors`] gives.
pub type NodeSet = HashSet<CUgraphNode>;
