//! The calling thread's stack of contexts. Its top is the current context.

use crate::boundary::Result;
use crate::core::context::{Context, State};
use crate::core::platform;
use crate::core::status::IntoCuda;
use cuda_abi::CUresult;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static STACK: RefCell<Vec<Arc<Context>>> = const { RefCell::new(Vec::new()) };
}

fn with<R>(f: impl FnOnce(&mut Vec<Arc<Context>>) -> R) -> Result<R> {
    // A thread that ends may call once its own stack is gone.
    STACK
        .try_with(|stack| f(&mut stack.borrow_mut()))
        .map_err(|_| CUresult::DEINITIALIZED)
}

/// The current context, if there is one.
pub fn top() -> Result<Option<Arc<Context>>> {
    platform::platform()?;
    with(|stack| stack.last().cloned())
}

/// The current context.
///
/// # Errors
/// `CUDA_ERROR_INVALID_CONTEXT` where there is none.
pub fn current() -> Result<Arc<Context>> {
    top()?.ok_or(CUresult::INVALID_CONTEXT)
}

/// The state of the current context.
///
/// # Errors
/// `CUDA_ERROR_INVALID_CONTEXT`, `CUDA_ERROR_CONTEXT_IS_DESTROYED`.
pub fn state() -> Result<Arc<State>> {
    current()?.state()
}

/// The state of the current context, whose device has no sticky error: what calls that make or change something start with.
///
/// # Errors
/// As [`state`]; the sticky error, as of every later call until the context is reset.
pub fn healthy() -> Result<Arc<State>> {
    let state = state()?;
    state.vulkan.check().cuda()?;
    Ok(state)
}

/// Makes a context current above the one that is.
pub fn push(context: Arc<Context>) -> Result {
    with(|stack| stack.push(context))
}

/// Takes the current context off.
///
/// # Errors
/// `CUDA_ERROR_INVALID_CONTEXT` where there is none.
pub fn pop() -> Result<Arc<Context>> {
    platform::platform()?;
    with(Vec::pop)?.ok_or(CUresult::INVALID_CONTEXT)
}

/// Replaces the current context; `None` takes it off.
pub fn set(context: Option<Arc<Context>>) -> Result {
    with(|stack| {
        stack.pop();
        stack.extend(context);
    })
}

/// Takes a destroyed context off this thread's stack if it is the current one.
pub fn forget(context: &Arc<Context>) {
    let _ = with(|stack| {
        if stack.last().is_some_and(|top| Arc::ptr_eq(top, context)) {
            stack.pop();
        }
    });
}
