//! The driver's VkPipelineCache, kept on disk between processes.
//!
//! One entry per driver build and device (pipelineCacheUUID and driverUUID). It is written in the background half a second
//! after the last new pipeline, and when the device is dropped, together with what other processes have written meanwhile.
//! Two that write at the same moment lose at most what one of them compiled.

use crate::cache::Cache;
use crate::error::Error;
use crate::raw::Raw;
use ash::vk;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Quiet time before a changed cache is written.
const QUIET: Duration = Duration::from_millis(500);

/// A larger blob than this is not kept, bytes.
const LARGEST: usize = 512 << 20;

pub(crate) struct PipelineCache {
    raw: Arc<Raw>,
    handle: vk::PipelineCache,
    disk: Cache,
    key: Vec<u8>,
    dirty: AtomicBool,
    /// When the last pipeline was made; also serialises saving.
    last_change: Mutex<Instant>,
}

impl PipelineCache {
    pub(crate) fn open(raw: &Arc<Raw>) -> Result<Arc<Self>, Error> {
        let physical = &raw.physical;
        let mut key = b"pipelines ".to_vec();
        key.extend(physical.pipeline_cache_uuid);
        key.extend(physical.driver().uuid);
        key.extend(physical.driver().version.to_le_bytes());
        key.extend(physical.vendor_id().to_le_bytes());
        key.extend(physical.device_id().to_le_bytes());
        let disk = Cache::open("pipelines");
        let data = disk.get(&key).unwrap_or_default();
        let handle = create(raw, &data)
            .or_else(|_| create(raw, &[]))
            .map_err(|result| raw.error("vkCreatePipelineCache", result))?;
        Ok(Arc::new(Self {
            raw: Arc::clone(raw),
            handle,
            disk,
            key,
            dirty: AtomicBool::new(false),
            last_change: Mutex::new(Instant::now()),
        }))
    }

    pub(crate) fn handle(&self) -> vk::PipelineCache {
        self.handle
    }

    /// A pipeline was made.
    pub(crate) fn changed(&self) {
        *self.last_change.lock() = Instant::now();
        self.dirty.store(true, Ordering::Release);
    }

    /// Whether there is something to write.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Writes the cache if it has changed and been quiet for a while.
    pub(crate) fn save_if_quiet(&self) {
        if self.is_dirty() && self.last_change.lock().elapsed() >= QUIET {
            self.save();
        }
    }

    /// Writes the cache if it has changed.
    pub(crate) fn save(&self) {
        let _lock = self.last_change.lock();
        if !self.dirty.swap(false, Ordering::AcqRel) || self.disk.directory().is_none() {
            return;
        }
        match self.merged() {
            Ok(data) if data.len() <= LARGEST => self.disk.put(&self.key, &data),
            Ok(data) => tracing::warn!(
                bytes = data.len(),
                "the pipeline cache is too large to keep"
            ),
            Err(result) => tracing::warn!(%result, "reading the pipeline cache"),
        }
    }

    /// What is on disk by now and what is in the cache, together.
    fn merged(&self) -> Result<Vec<u8>, vk::Result> {
        let vk = &self.raw.vk;
        let disk = self.disk.get(&self.key).unwrap_or_default();
        let both = create(&self.raw, &disk).or_else(|_| create(&self.raw, &[]))?;
        // SAFETY: both caches are alive, and nobody else knows the one that is written to.
        unsafe {
            let data = vk
                .merge_pipeline_caches(both, &[self.handle])
                .and_then(|()| vk.get_pipeline_cache_data(both));
            vk.destroy_pipeline_cache(both, None);
            data
        }
    }
}

fn create(raw: &Raw, data: &[u8]) -> Result<vk::PipelineCache, vk::Result> {
    let info = vk::PipelineCacheCreateInfo::default().initial_data(data);
    // SAFETY: the device is alive; a driver must take any data, and this was written by the same build.
    unsafe { raw.vk.create_pipeline_cache(&info, None) }
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        // SAFETY: shaders hold an Arc of self, so no call uses the handle.
        unsafe { self.raw.vk.destroy_pipeline_cache(self.handle, None) };
    }
}
