//! User objects: what graphs keep alive for the application.

use crate::boundary::{Out, Result};
use crate::core::graph::Graph;
use crate::core::operation::HostCall;
use crate::core::user_object::{Reference, UserObject};
use cuda_abi::*;
use std::ffi::c_void;

/// `CU_USER_OBJECT_NO_DESTRUCTOR_SYNC`, which every object has to have.
const NO_DESTRUCTOR_SYNC: u32 = 1;
/// `CU_GRAPH_USER_OBJECT_MOVE`: the graph takes over references of the caller's.
const MOVE: u32 = 1;

fn positive(count: u32) -> Result<u32> {
    match i32::try_from(count) {
        Ok(1..) => Ok(count),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

pub fn cuUserObjectCreate(
    object_out: Out<CUuserObject>,
    pointer: *mut c_void,
    destroy: CUhostFn,
    initial_refcount: u32,
    flags: u32,
) -> Result {
    object_out.required()?;
    if flags != NO_DESTRUCTOR_SYNC {
        return Err(CUresult::INVALID_VALUE);
    }
    let destructor = HostCall {
        function: destroy.ok_or(CUresult::INVALID_VALUE)?,
        user_data: pointer as usize,
    };
    object_out.set(UserObject::create(destructor, positive(initial_refcount)?))
}

pub fn cuUserObjectRetain(object: CUuserObject, count: u32) -> Result {
    UserObject::from_handle(object)?.retain(positive(count)?);
    Ok(())
}

pub fn cuUserObjectRelease(object: CUuserObject, count: u32) -> Result {
    UserObject::from_handle(object)?.release(positive(count)?)
}

pub fn cuGraphRetainUserObject(
    graph: CUgraph,
    object: CUuserObject,
    count: u32,
    flags: u32,
) -> Result {
    let (graph, object) = (Graph::from_handle(graph)?, UserObject::from_handle(object)?);
    let count = positive(count)?;
    match flags {
        0 => object.retain(count),
        MOVE => {}
        _ => return Err(CUresult::INVALID_VALUE),
    }
    let mut objects = graph.user_objects.lock();
    objects.extend((0..count).map(|_| Reference::counted(object.clone())));
    Ok(())
}

pub fn cuGraphReleaseUserObject(graph: CUgraph, object: CUuserObject, count: u32) -> Result {
    let (graph, object) = (Graph::from_handle(graph)?, UserObject::from_handle(object)?);
    let count = positive(count)? as usize;
    let mut objects = graph.user_objects.lock();
    if objects.iter().filter(|held| held.is_to(&object)).count() < count {
        return Err(CUresult::INVALID_VALUE);
    }
    let mut released = Vec::new();
    while released.len() < count {
        if let Some(index) = objects.iter().position(|held| held.is_to(&object)) {
            released.push(objects.swap_remove(index));
        }
    }
    // A destructor may call back, so without the lock.
    drop(objects);
    drop(released);
    Ok(())
}
