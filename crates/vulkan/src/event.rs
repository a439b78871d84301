//! Points on a stream's timeline, with timestamps.

use crate::error::Error;
use crate::raw::Raw;
use crate::timeline::Timeline;
use ash::vk;
use parking_lot::Mutex;
use std::sync::Arc;

/// Queries in one VkQueryPool.
const POOL_QUERIES: u32 = 256;

/// A point in a stream's work (`cuEventRecord` makes one). Cheap to clone.
#[derive(Clone)]
pub struct EventPoint {
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) value: u64,
    pub(crate) timestamp: Option<Arc<Timestamp>>,
}

impl EventPoint {
    /// Whether all work before the point has completed.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn is_complete(&self) -> Result<bool, Error> {
        let complete = self.timeline.is_complete(self.value);
        self.timeline.raw.check()?;
        Ok(complete)
    }

    /// Waits until all work before the point has completed.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::Fault`].
    pub fn wait(&self) -> Result<(), Error> {
        self.timeline.wait(self.value)?;
        self.timeline.raw.check()
    }

    /// Whether it was recorded with a timestamp.
    pub fn is_timed(&self) -> bool {
        self.timestamp.is_some()
    }

    /// Nanoseconds of device time from `start` to `self`; negative where `self` is the earlier one. Both complete.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where one has no timestamp or is not complete.
    pub fn nanoseconds_since(&self, start: &Self) -> Result<f64, Error> {
        let physical = &self.timeline.raw.physical;
        let bits = physical.plan.timestamp_bits;
        let difference = self.ticks()?.wrapping_sub(start.ticks()?);
        // Counters of fewer than 64 bits wrap: extend the sign of the difference.
        let unused = 64 - bits.clamp(1, 64);
        let ticks = ((difference << unused) as i64) >> unused;
        Ok(ticks as f64 * f64::from(physical.limits().timestamp_period))
    }

    fn ticks(&self) -> Result<u64, Error> {
        let timestamp = self.timestamp.as_ref().ok_or_else(|| {
            Error::InvalidArgument("an event recorded without a timestamp".to_owned())
        })?;
        if !self.timeline.is_complete(self.value) {
            return Err(Error::InvalidArgument(
                "an event that is not complete".to_owned(),
            ));
        }
        timestamp.read()
    }
}

/// The timestamp queries of a device.
pub(crate) struct Timestamps {
    raw: Arc<Raw>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pools: Vec<vk::QueryPool>,
    free: Vec<(vk::QueryPool, u32)>,
}

impl Timestamps {
    pub(crate) fn new(raw: &Arc<Raw>) -> Arc<Self> {
        Arc::new(Self {
            raw: Arc::clone(raw),
            state: Mutex::default(),
        })
    }

    /// A query of its own, until the value is dropped.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Arc<Timestamp>, Error> {
        if self.raw.physical.plan.timestamp_bits == 0 {
            return Err(Error::Unsupported(
                "timestamps on the compute queue".to_owned(),
            ));
        }
        let mut state = self.state.lock();
        if state.free.is_empty() {
            let info = vk::QueryPoolCreateInfo::default()
                .query_type(vk::QueryType::TIMESTAMP)
                .query_count(POOL_QUERIES);
            // SAFETY: the device is alive.
            let pool = unsafe { self.raw.vk.create_query_pool(&info, None) }
                .map_err(|result| self.raw.error("vkCreateQueryPool", result))?;
            state.pools.push(pool);
            state
                .free
                .extend((0..POOL_QUERIES).rev().map(|index| (pool, index)));
        }
        let (pool, index) = state.free.pop().expect("the list was just filled");
        Ok(Arc::new(Timestamp {
            owner: Arc::clone(self),
            pool,
            index,
        }))
    }
}

impl Drop for Timestamps {
    fn drop(&mut self) {
        for pool in self.state.get_mut().pools.drain(..) {
            // SAFETY: every query of the pool holds an Arc of self, so none is in use.
            unsafe { self.raw.vk.destroy_query_pool(pool, None) };
        }
    }
}

/// One timestamp query. The batch that writes it holds it until it has run, so a query is never reused too early.
pub(crate) struct Timestamp {
    owner: Arc<Timestamps>,
    pool: vk::QueryPool,
    index: u32,
}

impl Timestamp {
    /// Records the write, after all commands before it.
    pub(crate) fn record(&self, commands: vk::CommandBuffer) {
        let vk = &self.owner.raw.vk;
        // SAFETY: the command buffer is recording, and no other batch uses this query.
        unsafe {
            vk.cmd_reset_query_pool(commands, self.pool, self.index, 1);
            vk.cmd_write_timestamp2(
                commands,
                vk::PipelineStageFlags2::ALL_COMMANDS,
                self.pool,
                self.index,
            );
        }
    }

    fn read(&self) -> Result<u64, Error> {
        let raw = &self.owner.raw;
        let mut ticks = [0u64];
        let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WAIT;
        // SAFETY: the query was written by work that has completed.
        unsafe {
            raw.vk
                .get_query_pool_results(self.pool, self.index, &mut ticks, flags)
        }
        .map_err(|result| raw.error("vkGetQueryPoolResults", result))?;
        Ok(ticks[0])
    }
}

impl Drop for Timestamp {
    fn drop(&mut self) {
        self.owner.state.lock().free.push((self.pool, self.index));
    }
}
