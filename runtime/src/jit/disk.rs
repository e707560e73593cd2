//! The cache on disk: one sealed file per compilation.
//!
//! ```text
//! DIR/objects/ab/ab12….kcc     magic · SHA-256 of the rest · postcard
//! DIR/compilers/….kcc          version of a compiler executable, by path, time and size
//! ```
//! Files appear by rename, whole or not at all, so two processes may write one entry at once. A file that is cut short,
//! corrupt or foreign counts as absent, and the next compilation replaces it. The folder stays below a bound: when it has
//! grown past it, entries that were used longest ago go first. What a killed process left half written goes as well.

use super::Key;
use kcc_dsl::exchange::Artifact;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// First bytes of every file.
const MAGIC: &[u8; 8] = b"kccache\x01";

/// Longest file that is read.
const MAX_FILE: u64 = 1 << 28;

/// Bytes that the entries may take, unless `KCC_CACHE_SIZE` says otherwise.
const MAX_BYTES: u64 = 1 << 30;

/// The folder is looked through after this many entries written by a process, and at its first.
const LOOK_EVERY: u64 = 64;

/// A half-written file that is older was left by a process that died.
const STALE: Duration = Duration::from_secs(3600);

/// A hit renews an entry's time if it is older than this: the time says which day an entry was last used.
const RENEW: Duration = Duration::from_secs(24 * 3600);

/// A folder of compiled kernels, shared by all processes of a user.
#[derive(Clone, Debug)]
pub struct DiskCache {
    dir: PathBuf,
    max_bytes: u64,
    written: Arc<AtomicU64>,
}

/// The bound that the environment asks for, in MiB; what is no number counts as not set.
fn max_bytes() -> u64 {
    let asked = std::env::var("KCC_CACHE_SIZE").ok().and_then(|s| s.trim().parse::<u64>().ok());
    asked.map_or(MAX_BYTES, |mib| mib.saturating_mul(1 << 20))
}

/// The user's cache folder: `KCC_CACHE_DIR`, else `XDG_CACHE_HOME/kcc`, else `~/.cache/kcc`. `None` if none of these is
/// set, or `KCC_CACHE_DIR` is empty: then nothing is kept on disk.
pub fn default_cache_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("KCC_CACHE_DIR") {
        return (!dir.is_empty()).then(|| dir.into());
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|h| h.join(".cache"))).map(|d| d.join("kcc"))
}

impl DiskCache {
    /// A cache in this folder, which is made when the first entry is written. Its entries take at most as many MiB as
    /// `KCC_CACHE_SIZE` says, else 1 GiB.
    pub fn new(dir: impl Into<PathBuf>) -> DiskCache {
        DiskCache { dir: dir.into(), max_bytes: max_bytes(), written: Arc::default() }
    }

    /// The same with another bound, in bytes.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> DiskCache {
        DiskCache { max_bytes, ..self }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn object(&self, key: &Key) -> PathBuf {
        let name = key.to_string();
        self.dir.join("objects").join(&name[..2]).join(name + ".kcc")
    }

    /// The entry of a key, if there is a whole one.
    pub fn get(&self, key: &Key) -> Option<Artifact> {
        let path = self.object(key);
        let (found, written) = unseal(&path)?;
        if written.is_some_and(|t| t.elapsed().is_ok_and(|age| age > RENEW)) {
            // In vain where the folder is read-only; nothing depends on it.
            let _ = std::fs::File::options()
                .append(true)
                .open(&path)
                .and_then(|f| f.set_modified(SystemTime::now()));
        }
        Some(found)
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn put(&self, key: &Key, artifact: &Artifact) -> io::Result<()> {
        let path = self.object(key);
        seal(&path, artifact)?;
        if self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY) {
            self.trim(&path);
        }
        Ok(())
    }

    /// Removes what was left half written, and entries, oldest first, until the rest takes four fifths of the bound. Errors are
    /// passed over: another process may be doing the same. `keep` stays.
    fn trim(&self, keep: &Path) {
        let mut entries = Vec::new();
        let folders = std::fs::read_dir(self.dir.join("objects")).into_iter().flatten().flatten();
        for file in folders.flat_map(|f| std::fs::read_dir(f.path())).flatten().flatten() {
            let Ok(meta) = file.metadata() else { continue };
            let time = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if file.file_name().as_encoded_bytes().starts_with(PART.as_bytes()) {
                if time.elapsed().is_ok_and(|age| age > STALE) {
                    let _ = std::fs::remove_file(file.path());
                }
            } else if file.path() != keep {
                entries.push((time, meta.len(), file.path()));
            }
        }
        let mut total: u64 = entries.iter().map(|e| e.1).sum();
        if total <= self.max_bytes {
            return;
        }
        entries.sort();
        for (_, bytes, path) in entries {
            if total <= self.max_bytes / 5 * 4 {
                return;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= bytes;
            }
        }
    }

    /// What [`DiskCache::remember`] wrote under this name.
    pub(super) fn recall(&self, name: &str) -> Option<String> {
        unseal(&self.dir.join("compilers").join(name).with_extension("kcc")).map(|(text, _)| text)
    }

    /// Keeps a text under a name.
    pub(super) fn remember(&self, name: &str, text: &str) -> io::Result<()> {
        seal(&self.dir.join("compilers").join(name).with_extension("kcc"), &text)
    }
}

/// How names of half-written files start.
const PART: &str = ".part-";

fn seal<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let payload = postcard::to_stdvec(value).map_err(io::Error::other)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Removed when dropped before `persist`.
    let mut file = tempfile::Builder::new().prefix(PART).tempfile_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(&Sha256::digest(&payload))?;
    file.write_all(&payload)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// A file's content, and when it was written. The file is looked at once, when it is open.
fn unseal<T: DeserializeOwned>(path: &Path) -> Option<(T, Option<SystemTime>)> {
    let mut file = std::fs::File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let length = usize::try_from(meta.len()).ok().filter(|_| meta.len() <= MAX_FILE)?;
    let mut bytes = vec![0; length];
    // One that grows meanwhile is not whole.
    file.read_exact(&mut bytes).ok()?;
    let (hash, payload) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
    if Sha256::digest(payload).as_slice() != hash {
        return None;
    }
    Some((postcard::from_bytes(payload).ok()?, meta.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kcc_dsl::exchange::{ArgSpec, CompileRequest};
    use kcc_dsl::ir::{Block, Kernel};

    fn key(options: &[(&str, &str)], args: Vec<ArgSpec>, target: &str, compiler: &str) -> Key {
        let kernel = Kernel {
            name: "k".into(),
            generics: String::new(),
            params: vec![],
            values: vec![],
            locs: vec![],
            body: Block::default(),
        };
        let options = options.iter().map(|&(a, b)| (a.into(), b.into())).collect();
        Key::new(&CompileRequest { kernel, target: target.into(), args, options }, compiler)
    }

    fn artifact(n: usize) -> Artifact {
        Artifact {
            target: "cpu:x".into(),
            symbol: "k".into(),
            bytes: vec![n as u8; n],
            cpu: Default::default(),
            gpu: None,
            npu: None,
            timings: vec![("a".into(), 1)],
        }
    }

    #[test]
    fn the_key_tells_apart_all_that_a_compilation_depends_on() {
        let unit = |a| vec![ArgSpec { unit_axis: a, ..ArgSpec::default() }];
        let keys = [
            key(&[], unit(None), "cpu:x", "1"),
            key(&[], unit(Some(0)), "cpu:x", "1"),
            key(&[], unit(None), "cpu:y", "1"),
            key(&[], unit(None), "cpu:x", "2"),
            key(&[("a", "1")], unit(None), "cpu:x", "1"),
            key(&[("a", "2")], unit(None), "cpu:x", "1"),
        ];
        let distinct: std::collections::HashSet<Key> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[0], key(&[], unit(None), "cpu:x", "1"));
    }

    #[test]
    fn an_entry_reads_back_and_a_new_one_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path().join("new"));
        let k = key(&[], vec![], "cpu:x", "1");
        assert_eq!(cache.get(&k), None);
        for n in [100, 0, 70_000] {
            cache.put(&k, &artifact(n)).unwrap();
            assert_eq!(cache.get(&k), Some(artifact(n)));
        }
    }

    #[test]
    fn a_file_cut_at_any_length_or_with_any_flipped_byte_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(dir.path());
        let k = key(&[], vec![], "cpu:x", "1");
        cache.put(&k, &artifact(50)).unwrap();
        let path = cache.object(&k);
        let whole = std::fs::read(&path).unwrap();
        for n in 0..whole.len() {
            std::fs::write(&path, &whole[..n]).unwrap();
            assert_eq!(cache.get(&k), None, "cut at {n}");
            let mut flipped = whole.clone();
            flipped[n] ^= 0x10;
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(cache.get(&k), None, "flipped byte {n}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        std::fs::write(&path, &longer).unwrap();
        assert_eq!(cache.get(&k), None, "a byte too many");
        cache.put(&k, &artifact(50)).unwrap();
        assert_eq!(cache.get(&k), Some(artifact(50)));
    }

    fn age(path: &Path, hours: u64) {
        let then = SystemTime::now() - Duration::from_secs(3600 * hours);
        std::fs::File::options().append(true).open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn the_oldest_entries_go_when_the_folder_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let full = DiskCache::new(dir.path());
        let keys: Vec<Key> = (0..10).map(|i| key(&[], vec![], &format!("cpu:{i}"), "1")).collect();
        for (i, k) in keys.iter().enumerate() {
            full.put(k, &artifact(10_000)).unwrap();
            age(&full.object(k), 100 - i as u64);
        }
        let folder = full.object(&keys[0]).parent().unwrap().to_path_buf();
        let (stale, fresh) = (folder.join(".part-stale"), folder.join(".part-fresh"));
        std::fs::write(&stale, b"x").unwrap();
        std::fs::write(&fresh, b"x").unwrap();
        age(&stale, 2);
        // A hit makes the oldest young.
        assert!(full.get(&keys[0]).is_some());
        // Another process with a bound of five entries; it looks at its first.
        let small = DiskCache::new(dir.path()).with_max_bytes(51_000);
        let new = key(&[], vec![], "cpu:new", "1");
        small.put(&new, &artifact(10_000)).unwrap();
        let left: Vec<bool> = keys.iter().map(|k| full.object(k).exists()).collect();
        let want = [true, false, false, false, false, false, false, true, true, true];
        assert_eq!(left, want, "four fifths of the bound, and the one that was used");
        assert!(small.get(&new).is_some());
        assert!(!stale.exists() && fresh.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let cache = DiskCache::new(file.join("below"));
        assert!(cache.put(&key(&[], vec![], "cpu:x", "1"), &artifact(1)).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
