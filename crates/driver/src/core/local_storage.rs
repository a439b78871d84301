//! Context-local storage: what NVIDIA's runtime hangs on a context.

use crate::boundary::Result;
use cuda_abi::{CUcontext, CUresult};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// Called when a value's context ends.
pub type Destructor = Option<unsafe extern "C" fn(context: CUcontext, key: usize, value: usize)>;

/// Values by key.
#[derive(Default)]
pub struct LocalStorage {
    values: RwLock<FxHashMap<usize, (usize, Destructor)>>,
}

impl LocalStorage {
    /// Stores or replaces a value.
    pub fn put(&self, key: usize, value: usize, destructor: Destructor) {
        self.values.write().insert(key, (value, destructor));
    }

    /// A value.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` for an unknown key, from which the runtime learns that it has to make one.
    pub fn get(&self, key: usize) -> Result<usize> {
        self.values
            .read()
            .get(&key)
            .map(|&(value, _)| value)
            .ok_or(CUresult::INVALID_HANDLE)
    }

    /// Forgets a value without calling its destructor.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_HANDLE` for an unknown key.
    pub fn delete(&self, key: usize) -> Result {
        self.values
            .write()
            .remove(&key)
            .map(|_| ())
            .ok_or(CUresult::INVALID_HANDLE)
    }

    /// Forgets every value and calls their destructors.
    pub fn clear(&self, context: CUcontext) {
        let values = std::mem::take(&mut *self.values.write());
        for (key, (value, destructor)) in values {
            if let Some(destructor) = destructor {
                // SAFETY: the runtime gave this function for this key and value, to be called when the context ends.
                unsafe { destructor(context, key, value) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static SEEN: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn destructor(context: CUcontext, key: usize, value: usize) {
        SEEN.store(context.0 * 100 + key * 10 + value, Ordering::Relaxed);
    }

    #[test]
    fn values_are_kept_and_destroyed() {
        let storage = LocalStorage::default();
        assert_eq!(storage.get(2), Err(CUresult::INVALID_HANDLE));
        storage.put(2, 3, Some(destructor));
        assert_eq!(storage.get(2), Ok(3));
        storage.clear(CUcontext(1));
        assert_eq!(SEEN.load(Ordering::Relaxed), 123);
        assert_eq!(storage.delete(2), Err(CUresult::INVALID_HANDLE));
    }
}
