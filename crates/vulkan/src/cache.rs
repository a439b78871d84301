//! Content-addressed files in the user's cache directory: SPIR-V of translated kernels, pipeline caches, probe results.
//!
//! ```no_run
//! let cache = vulkan::cache::Cache::open("spirv");
//! let key = b"everything the value depends on";
//! let value = cache.get(key).unwrap_or_else(|| {
//!     let value = b"expensive".to_vec();
//!     cache.put(key, &value);
//!     value
//! });
//! ```

use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// First bytes of an entry: a name and a version of the layout below.
///
/// `magic[8] key_length:u64 value_length:u64 sha256(key, value)[32] key value`, numbers little-endian.
const MAGIC: &[u8; 8] = b"vkcuda\0\x01";

/// Bytes before the key.
const HEADER: usize = 8 + 8 + 8 + 32;

/// A directory of entries under `$VKCUDA_CACHE_DIR`, `$XDG_CACHE_HOME/vkcuda` or `~/.cache/vkcuda`.
///
/// Every entry is written to a temporary file and renamed, and carries its key and a SHA-256 of its contents: a torn,
/// damaged or foreign file reads as absent. The directory is made with mode 0700 and is not used if another user could
/// write to it. `VKCUDA_CACHE=0` turns it off. Failures are logged, never returned: a cache may always be empty.
#[derive(Debug)]
pub struct Cache {
    directory: Option<PathBuf>,
}

impl Cache {
    /// The cache for one sort of entry (`"spirv"`, `"pipelines"`), a subdirectory.
    pub fn open(name: &str) -> Self {
        if std::env::var_os("VKCUDA_CACHE").is_some_and(|value| value == "0") {
            return Self { directory: None };
        }
        match base_directory() {
            Some(base) => Self::at(&base.join(name)),
            None => {
                tracing::debug!(
                    "no cache directory: neither VKCUDA_CACHE_DIR, XDG_CACHE_HOME nor HOME is set"
                );
                Self { directory: None }
            }
        }
    }

    /// A cache in a directory of the caller's. Made at the first [`Cache::put`].
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: Some(directory.to_owned()),
        }
    }

    /// Where the entries are; `None` if the cache is off.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// The entry for a key of any bytes, if it is there and whole.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let directory = self.directory.as_ref()?;
        let path = directory.join(file_name(key));
        if !is_private(directory) {
            return None;
        }
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cache entry");
                return None;
            }
        };
        let mut contents = Vec::new();
        if let Err(error) = file.read_to_end(&mut contents) {
            tracing::warn!(path = %path.display(), %error, "cache entry");
            return None;
        }
        let Some(value) = decode(&contents, key) else {
            tracing::warn!(path = %path.display(), "damaged cache entry removed");
            let _ = fs::remove_file(&path);
            return None;
        };
        // The time of last use, for `prune`.
        let _ = file.set_modified(SystemTime::now());
        contents.drain(..value);
        Some(contents)
    }

    /// Stores an entry.
    pub fn put(&self, key: &[u8], value: &[u8]) {
        let Some(directory) = &self.directory else {
            return;
        };
        if let Err(error) = store(directory, key, value) {
            tracing::warn!(directory = %directory.display(), %error, "cannot write to the cache");
        }
    }

    /// Entries and their bytes.
    pub fn usage(&self) -> (u64, u64) {
        let entries = self.entries();
        (
            entries.len() as u64,
            entries.iter().map(|entry| entry.bytes).sum(),
        )
    }

    /// Removes the entries used longest ago until at most `bytes` are left.
    pub fn prune(&self, bytes: u64) {
        let mut entries = self.entries();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut total = 0;
        for entry in entries {
            total += entry.bytes;
            if total > bytes {
                let _ = fs::remove_file(&entry.path);
            }
        }
    }

    fn entries(&self) -> Vec<Listed> {
        let Some(directory) = &self.directory else {
            return Vec::new();
        };
        let Ok(listing) = fs::read_dir(directory) else {
            return Vec::new();
        };
        listing
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let used = metadata.modified().ok()?;
                Some(Listed {
                    path: entry.path(),
                    bytes: metadata.len(),
                    used,
                })
            })
            .collect()
    }
}

struct Listed {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// The directory of all caches.
pub fn base_directory() -> Option<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // The XDG specification: relative paths are invalid and ignored.
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    variable("VKCUDA_CACHE_DIR")
        .or_else(|| {
            variable("XDG_CACHE_HOME")
                .and_then(absolute)
                .map(|path| path.join("vkcuda"))
        })
        .or_else(|| {
            variable("HOME")
                .and_then(absolute)
                .map(|path| path.join(".cache/vkcuda"))
        })
}

fn file_name(key: &[u8]) -> String {
    Sha256::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn checksum(key: &[u8], value: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(key)
        .chain_update(value)
        .finalize()
        .into()
}

/// Offset of the value in a whole entry for this key.
fn decode(contents: &[u8], key: &[u8]) -> Option<usize> {
    let number =
        |at: usize| Some(u64::from_le_bytes(contents.get(at..at + 8)?.try_into().ok()?) as usize);
    let start = HEADER.checked_add(number(8)?)?;
    let whole = contents.starts_with(MAGIC)
        && contents.get(HEADER..start)? == key
        && contents.len().checked_sub(start)? == number(16)?
        && contents[24..HEADER] == checksum(key, &contents[start..]);
    whole.then_some(start)
}

/// Whether nobody else can put entries there: code from the cache is run.
fn is_private(directory: &Path) -> bool {
    let Ok(metadata) = fs::metadata(directory) else {
        return false;
    };
    // SAFETY: geteuid always succeeds.
    let user = unsafe { libc::geteuid() };
    let private = metadata.uid() == user && metadata.mode() & 0o022 == 0;
    if !private {
        tracing::warn!(directory = %directory.display(), "cache not used: another user could write to it");
    }
    private
}

fn store(directory: &Path, key: &[u8], value: &[u8]) -> io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    if !is_private(directory) {
        return Ok(());
    }
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".{}-{unique}.tmp", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = (|| {
        file.write_all(MAGIC)?;
        file.write_all(&(key.len() as u64).to_le_bytes())?;
        file.write_all(&(value.len() as u64).to_le_bytes())?;
        file.write_all(&checksum(key, value))?;
        file.write_all(key)?;
        file.write_all(value)?;
        fs::rename(&temporary, directory.join(file_name(key)))
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir()
                .join(format!("vkcuda-cache-test-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn stores_and_finds() {
        let scratch = Scratch::new("finds");
        let cache = Cache::at(&scratch.0.join("a/b"));
        assert_eq!(cache.get(b"key"), None);
        cache.put(b"key", b"value");
        cache.put(b"empty", b"");
        assert_eq!(cache.get(b"key").as_deref(), Some(&b"value"[..]));
        assert_eq!(cache.get(b"empty").as_deref(), Some(&b""[..]));
        assert_eq!(cache.get(b"kez"), None);
        cache.put(b"key", b"other");
        assert_eq!(cache.get(b"key").as_deref(), Some(&b"other"[..]));
        assert_eq!(cache.usage().0, 2);
        let mode = fs::metadata(cache.directory().unwrap())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn damage_reads_as_absent() {
        let scratch = Scratch::new("damage");
        let cache = Cache::at(&scratch.0);
        let path = scratch.0.join(file_name(b"key"));
        for position in [0, 9, 17, 30, HEADER, HEADER + 4] {
            cache.put(b"key", b"value");
            let mut contents = fs::read(&path).unwrap();
            contents[position] ^= 1;
            fs::write(&path, contents).unwrap();
            assert_eq!(cache.get(b"key"), None, "byte {position}");
            assert!(!path.exists());
        }
        cache.put(b"key", b"value");
        let contents = fs::read(&path).unwrap();
        for length in 0..contents.len() {
            fs::write(&path, &contents[..length]).unwrap();
            assert_eq!(cache.get(b"key"), None, "{length} bytes");
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_not_used() {
        let scratch = Scratch::new("shared");
        let cache = Cache::at(&scratch.0);
        cache.put(b"key", b"value");
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(cache.get(b"key"), None);
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(cache.get(b"key").as_deref(), Some(&b"value"[..]));
    }

    #[test]
    fn prune_keeps_the_latest() {
        let scratch = Scratch::new("prune");
        let cache = Cache::at(&scratch.0);
        for index in 0..4u8 {
            cache.put(&[index], &[0; 1000]);
            let file = File::options()
                .write(true)
                .open(scratch.0.join(file_name(&[index])))
                .unwrap();
            file.set_modified(
                SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(index)),
            )
            .unwrap();
        }
        cache.prune(2500);
        assert_eq!(
            (0..4u8)
                .map(|index| cache.get(&[index]).is_some())
                .collect::<Vec<_>>(),
            [false, false, true, true]
        );
    }
}
