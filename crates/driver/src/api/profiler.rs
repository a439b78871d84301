//! Profiler control. No profiler is ever attached, so there is nothing to start or stop, as with NVIDIA's driver then.

use crate::boundary::Result;
use crate::core::stack;

pub fn cuProfilerStart() -> Result {
    stack::current().map(|_| ())
}

pub fn cuProfilerStop() -> Result {
    stack::current().map(|_| ())
}
