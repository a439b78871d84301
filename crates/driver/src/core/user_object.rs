//! Objects of the application's that graphs keep alive.

use crate::boundary::Result;
use crate::core::operation::HostCall;
use crate::core::registry::Registry;
use cuda_abi::{CUresult, CUuserObject};
use parking_lot::Mutex;
use std::sync::Arc;

/// Every user object by handle.
pub static USER_OBJECTS: Registry<UserObject> = Registry::new();

/// An object with a destructor and a count of references, which the application and graphs hold.
pub struct UserObject {
    destructor: HostCall,
    references: Mutex<u64>,
}

impl UserObject {
    /// `cuUserObjectCreate`.
    pub fn create(destructor: HostCall, references: u32) -> CUuserObject {
        let object = Arc::new(Self {
            destructor,
            references: Mutex::new(references.into()),
        });
        CUuserObject(USER_OBJECTS.insert(object))
    }

    /// The object of a handle.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE`.
    pub fn from_handle(handle: CUuserObject) -> Result<Arc<Self>> {
        USER_OBJECTS
            .get(handle.0)
            .map_err(|_| CUresult::INVALID_VALUE)
    }

    /// Adds references.
    pub fn retain(&self, count: u32) {
        *self.references.lock() += u64::from(count);
    }

    /// Takes references; the last one's end calls the destructor.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for more than there are.
    pub fn release(self: &Arc<Self>, count: u32) -> Result {
        let mut references = self.references.lock();
        *references = references
            .checked_sub(count.into())
            .ok_or(CUresult::INVALID_VALUE)?;
        if *references == 0 {
            drop(references);
            let _ = USER_OBJECTS.remove(Registry::handle(self));
            self.destructor.call();
        }
        Ok(())
    }
}

/// A graph's reference to an object; a clone of it is one more.
pub struct Reference(Arc<UserObject>);

impl Reference {
    /// Takes over a reference that is counted already.
    pub fn counted(object: Arc<UserObject>) -> Self {
        Self(object)
    }

    /// Whether it is to this object.
    pub fn is_to(&self, object: &Arc<UserObject>) -> bool {
        Arc::ptr_eq(&self.0, object)
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        self.0.retain(1);
        Self(self.0.clone())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.0.release(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_last_reference_calls_the_destructor() {
        unsafe extern "C" fn count(pointer: *mut c_void) {
            // SAFETY: the counter below.
            unsafe { &*pointer.cast::<AtomicU32>() }.fetch_add(1, Ordering::Relaxed);
        }
        let calls = AtomicU32::new(0);
        let destructor = HostCall {
            function: count,
            user_data: std::ptr::from_ref(&calls) as usize,
        };
        let handle = UserObject::create(destructor, 2);
        let object = UserObject::from_handle(handle).unwrap();
        let reference = Reference::counted(object.clone());
        let other = reference.clone();
        drop(reference);
        assert_eq!(object.release(9), Err(CUresult::INVALID_VALUE));
        object.release(1).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        drop(other);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert!(UserObject::from_handle(handle).is_err());
    }
}
