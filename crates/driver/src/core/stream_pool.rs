//! An open Vulkan device with its streams, which are used again.
//!
//! Making a stream costs a command pool, a semaphore and memory, so the streams of ended threads, destroyed CUDA streams and
//! closed contexts wait here for the next. There is another reason: Mesa's software timeline semaphores (lavapipe) are
//! touched by the queue's thread for a moment after a batch that waited for one has completed, and must not be destroyed
//! by then.

use crate::boundary::Result;
use crate::core::heap::Heap;
use crate::core::status::IntoCuda;
use parking_lot::Mutex;
use std::sync::Arc;
use vulkan::{Device, DeviceKind, Error, EventPoint, MemoryKind, Stream};

/// An open device.
pub struct OpenDevice {
    /// The Vulkan device.
    pub vulkan: Arc<Device>,
    unused: Mutex<Vec<Arc<Stream>>>,
    /// The end of the last cooperative launch, which the next one waits for.
    pub last_cooperative: Mutex<Option<EventPoint>>,
    /// What kernels allocate memory from.
    pub heap: Heap,
}

impl OpenDevice {
    /// Without streams yet.
    pub fn new(vulkan: Arc<Device>) -> Arc<Self> {
        Arc::new(Self {
            vulkan,
            unused: Mutex::default(),
            last_cooperative: Mutex::default(),
            heap: Heap::default(),
        })
    }

    /// A stream without work.
    ///
    /// # Errors
    /// Those of making one.
    pub fn take_stream(&self) -> Result<Arc<Stream>> {
        let mut unused = self.unused.lock();
        if let Some(index) = unused
            .iter()
            .position(|stream| stream.is_idle() == Ok(true))
        {
            return Ok(unused.swap_remove(index));
        }
        drop(unused);
        self.vulkan.create_stream().cuda()
    }

    /// Gives a stream back. Its work goes on.
    pub fn give_back(&self, stream: Arc<Stream>) {
        if let Err(error) = stream.flush() {
            tracing::debug!("a stream is given back: {error}");
        }
        self.unused.lock().push(stream);
    }

    /// Waits until the device and, on a CPU device, the thread that plays its queue are done with everything, and ends the
    /// device's threads, also where what a program never destroyed still holds the device: a thread that calls the Vulkan
    /// driver once its own exit handlers have run crashes there.
    ///
    /// # Errors
    /// Sticky errors.
    pub fn end(&self) -> std::result::Result<(), Error> {
        *self.last_cooperative.lock() = None;
        let streams = std::mem::take(&mut *self.unused.lock());
        self.vulkan.synchronize()?;
        if let (DeviceKind::Cpu, Some(stream)) = (self.vulkan.physical().kind(), streams.first()) {
            // The queue's thread takes this batch up once it is done with those before it.
            let memory = self.vulkan.allocate(4, MemoryKind::Device)?;
            stream.fill(memory.address(), 0, 4, 1)?;
            stream.synchronize()?;
        }
        drop(streams);
        self.vulkan.end();
        Ok(())
    }
}
