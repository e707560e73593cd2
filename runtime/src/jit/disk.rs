//! The cache on disk: one sealed file per compilation.
//!
//! ```text
//! DIR/objects/ab/ab12….kcc     magic · SHA-256 of the rest · postcard
//! DIR/compilers/….kcc          version of a compiler executable, by path, time and size
//! ```
//! Files appear by rename, whole or not at all, so two processes may write one entry at once. A file that is cut short,
//! corrupt or foreign counts as absent, and the next compilation replaces it.

use super::Key;
use kcc_dsl::exchange::Artifact;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// First bytes of every file.
const MAGIC: &[u8; 8] = b"kccache\x01";

/// Longest file that is read.
const MAX_FILE: u64 = 1 << 28;

/// A folder of compiled kernels, shared by all processes of a user.
#[derive(Clone, Debug)]
pub struct DiskCache {
    dir: PathBuf,
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
    /// A cache in this folder, which is made when the first entry is written.
    pub fn new(dir: impl Into<PathBuf>) -> DiskCache {
        DiskCache { dir: dir.into() }
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
        unseal(&self.object(key))
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn put(&self, key: &Key, artifact: &Artifact) -> io::Result<()> {
        seal(&self.object(key), artifact)
    }

    /// What [`DiskCache::remember`] wrote under this name.
    pub(super) fn recall(&self, name: &str) -> Option<String> {
        unseal(&self.dir.join("compilers").join(name).with_extension("kcc"))
    }

    /// Keeps a text under a name.
    pub(super) fn remember(&self, name: &str, text: &str) -> io::Result<()> {
        seal(&self.dir.join("compilers").join(name).with_extension("kcc"), &text)
    }
}

fn seal<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let payload = postcard::to_stdvec(value).map_err(io::Error::other)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Removed when dropped before `persist`.
    let mut file = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
    file.write_all(MAGIC)?;
    file.write_all(&Sha256::digest(&payload))?;
    file.write_all(&payload)?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

fn unseal<T: DeserializeOwned>(path: &Path) -> Option<T> {
    if std::fs::metadata(path).ok()?.len() > MAX_FILE {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (hash, payload) = bytes.strip_prefix(MAGIC)?.split_at_checked(32)?;
    if Sha256::digest(payload).as_slice() != hash {
        return None;
    }
    postcard::from_bytes(payload).ok()
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
