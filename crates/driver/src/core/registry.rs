//! Handles that the application holds.
//!
//! ```
//! use cuda::core::registry::Registry;
//! use std::sync::Arc;
//! let registry = Registry::new();
//! let handle = registry.insert(Arc::new("object"));
//! assert_eq!(*registry.get(handle).unwrap(), "object");
//! registry.remove(handle).unwrap();
//! assert!(registry.get(handle).is_err());
//! ```

use crate::boundary::Result;
use cuda_abi::CUresult;
use parking_lot::RwLock;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;
use std::sync::Arc;

/// The live objects of one kind, by handle. A handle is the object's address, which nobody but the owner of the `Arc`
/// reads through.
pub struct Registry<T: ?Sized> {
    objects: RwLock<HashMap<usize, Arc<T>, FxBuildHasher>>,
}

impl<T> Registry<T> {
    /// An empty registry.
    pub const fn new() -> Self {
        Self {
            objects: RwLock::new(HashMap::with_hasher(FxBuildHasher)),
        }
    }

    /// Keeps an object alive until its handle is removed. Inserting it again gives the same handle.
    pub fn insert(&self, object: Arc<T>) -> usize {
        let handle = Self::handle(&object);
        self.objects.write().insert(handle, object);
        handle
    }

    /// The handle an object has or would have.
    pub fn handle(object: &Arc<T>) -> usize {
        Arc::as_ptr(object) as usize
    }

    /// The object of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn get(&self, handle: usize) -> Result<Arc<T>> {
        self.objects
            .read()
            .get(&handle)
            .cloned()
            .ok_or(CUresult::INVALID_HANDLE)
    }

    /// Ends a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE`.
    pub fn remove(&self, handle: usize) -> Result<Arc<T>> {
        self.objects
            .write()
            .remove(&handle)
            .ok_or(CUresult::INVALID_HANDLE)
    }

    /// Ends the handles of the objects that `gone` says.
    pub fn remove_if(&self, gone: impl Fn(&T) -> bool) {
        let removed: Vec<_> = {
            let mut objects = self.objects.write();
            let handles: Vec<_> = objects
                .iter()
                .filter(|(_, o)| gone(o))
                .map(|(&h, _)| h)
                .collect();
            handles.iter().filter_map(|h| objects.remove(h)).collect()
        };
        // Dropped without the lock: an object's drop may end other handles.
        drop(removed);
    }

    /// Every live object.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.objects.read().values().cloned().collect()
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}
