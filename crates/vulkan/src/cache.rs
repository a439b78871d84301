//! Content-addressed files in the user's cache directory: SPIR-V of translated kernels, pipeline caches, probe results.

use std::path::Path;

/// A directory of entries under `$VKCUDA_CACHE_DIR`, `$XDG_CACHE_HOME/vkcuda` or `~/.cache/vkcuda`.
///
/// Every entry is written to a temporary file and renamed, and carries its key and a SHA-256 of its contents: a torn,
/// damaged or foreign file reads as absent. The directory is made with mode 0700 and is not used if another user could
/// write to it. `VKCUDA_CACHE=0` turns it off. Failures are logged, never returned: a cache may always be empty.
pub struct Cache {}

impl Cache {
    /// The cache for one sort of entry (`"spirv"`, `"pipelines"`), a subdirectory.
    pub fn open(name: &str) -> Self {
        let _ = name;
        todo!()
    }

    /// A cache in a directory of the caller's.
    pub fn at(directory: &Path) -> Self {
        let _ = directory;
        todo!()
    }

    /// The entry for a key of any bytes, if it is there and whole.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let _ = key;
        todo!()
    }

    /// Stores an entry.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let _ = (key, value);
        todo!()
    }

    /// Entries and their bytes.
    pub fn usage(&self) -> (u64, u64) {
        todo!()
    }

    /// Removes the entries used longest ago until at most `bytes` are left.
    pub fn prune(&self, bytes: u64) {
        let _ = bytes;
        todo!()
    }
}
