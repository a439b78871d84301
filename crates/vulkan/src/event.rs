//! Points on a stream's timeline.

use crate::Error;

/// A point in a stream's work (`cuEventRecord` makes one). Cheap to clone.
#[derive(Clone)]
pub struct EventPoint {}

impl EventPoint {
    /// Whether all work before the point has completed.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn is_complete(&self) -> Result<bool, Error> {
        todo!()
    }

    /// Waits until all work before the point has completed.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn wait(&self) -> Result<(), Error> {
        todo!()
    }

    /// Whether it was recorded with a timestamp.
    pub fn is_timed(&self) -> bool {
        todo!()
    }

    /// Nanoseconds of device time from `start` to `self`; negative where `self` is the earlier one. Both complete.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where one has no timestamp or is not complete.
    pub fn nanoseconds_since(&self, start: &Self) -> Result<f64, Error> {
        let _ = start;
        todo!()
    }
}
