//! The files of a pack: a folder, or one uncompressed zip that is mapped into memory.
//!
//! ```text
//! softmax.kpack/pack.json          softmax.kpack (zip, stored)
//! softmax.kpack/bin/…       or       pack.json, bin/…
//! ```
//! Nothing of a file is believed before it is checked: names must stay within the pack, entries must be stored, lie
//! within the file and apart from each other.

use crate::error::{Error, Result};
use memmap2::Mmap;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

/// Longest `pack.json`.
const MAX_MANIFEST: u64 = 64 << 20;
/// Most files of a pack.
const MAX_FILES: usize = 1 << 16;
/// Name of the manifest within the pack.
pub(super) const MANIFEST: &str = "pack.json";

/// An open pack's files.
pub(super) struct Archive {
    path: PathBuf,
    source: Source,
}

enum Source {
    Folder,
    Zip { bytes: Bytes, entries: HashMap<String, Range<usize>> },
}

/// A whole zip file.
enum Bytes {
    /// Mapped from disk.
    Map(Mmap),
    /// Given by the program.
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Map(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// Whether a name is a plain relative path that stays within the pack.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 1024
        && !name.contains(['\\', ':', '\0'])
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Archive> {
        let meta = std::fs::metadata(path).map_err(|e| Error::file(path, e))?;
        let source = if meta.is_dir() { Source::Folder } else { map_zip(path)? };
        Ok(Archive { path: path.to_path_buf(), source })
    }

    /// A zip file that the program holds; errors call it `memory`.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Archive> {
        let path = PathBuf::from("memory");
        let source = read_zip(&path, Bytes::Owned(bytes))?;
        Ok(Archive { path, source })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> Error {
        Error::Corrupt { path: self.path.clone(), reason: reason.into() }
    }

    /// The text of `pack.json`.
    pub(super) fn manifest(&self) -> Result<Cow<'_, [u8]>> {
        self.read(MANIFEST, None)
    }

    /// The bytes of a file; where its length is known, it must be that.
    pub(super) fn read(&self, name: &str, expected: Option<u64>) -> Result<Cow<'_, [u8]>> {
        let bytes = match &self.source {
            Source::Zip { bytes, entries } => {
                let missing = || self.corrupt(format!("it holds no `{name}`"));
                let range = entries.get(name).cloned().ok_or_else(missing)?;
                Cow::Borrowed(bytes.get(range).ok_or_else(missing)?)
            }
            Source::Folder => {
                let path = self.path.join(name);
                // A link could lead out of the pack.
                let real = path.canonicalize().map_err(|e| Error::file(&path, e))?;
                let root = self.path.canonicalize().map_err(|e| Error::file(&self.path, e))?;
                if !real.starts_with(&root) {
                    return Err(self.corrupt(format!("`{name}` leads out of the pack")));
                }
                let limit = expected.unwrap_or(MAX_MANIFEST);
                let file = File::open(&path).map_err(|e| Error::file(&path, e))?;
                let mut bytes = Vec::new();
                file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::file(&path, e))?;
                Cow::Owned(bytes)
            }
        };
        let length = bytes.len() as u64;
        match expected {
            Some(e) if e != length => {
                Err(self.corrupt(format!("`{name}` has {length} bytes or more, {MANIFEST} says {e}")))
            }
            None if length > MAX_MANIFEST => Err(self.corrupt(format!("`{name}` is longer than 64 MiB"))),
            _ => Ok(bytes),
        }
    }
}

fn map_zip(path: &Path) -> Result<Source> {
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    // SAFETY: the mapping is read-only and private. As with a shared library, whoever replaces a pack that is in
    // use must write a new file and rename it; `kcc pack build` does.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::file(path, e))?;
    read_zip(path, Bytes::Map(map))
}

/// How many entries the end of a zip file says it has; `None` if it does not end with that record. (APPNOTE 4.3.14 to 4.3.16.)
fn stated(bytes: &[u8], comment: usize) -> Option<u64> {
    let number = |at: usize, length: usize| {
        let field = bytes.get(at..at.checked_add(length)?)?;
        Some(field.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b)))
    };
    let end = bytes.len().checked_sub(22)?.checked_sub(comment)?;
    if !bytes.get(end..)?.starts_with(b"PK\x05\x06") {
        return None;
    }
    let count = number(end + 10, 2)?;
    let locator = end.checked_sub(20).filter(|at| bytes[*at..].starts_with(b"PK\x06\x07"));
    match locator {
        Some(at) if count == 0xffff => {
            let long = usize::try_from(number(at + 8, 8)?).ok()?;
            let whole = bytes.get(long..)?.starts_with(b"PK\x06\x06");
            if whole { number(long.checked_add(32)?, 8) } else { None }
        }
        _ => Some(count),
    }
}

fn read_zip(path: &Path, bytes: Bytes) -> Result<Source> {
    let corrupt = |reason: String| Error::Corrupt { path: path.to_path_buf(), reason };
    let mut zip = zip::ZipArchive::new(Cursor::new(&bytes[..]))
        .map_err(|e| corrupt(format!("it is no pack: neither a folder nor a whole zip file ({e})")))?;
    let count = stated(&bytes, zip.comment().len()).ok_or_else(|| {
        corrupt("it is no whole zip file: it does not end with the end of a directory".into())
    })?;
    if count > MAX_FILES as u64 {
        return Err(corrupt(format!("it has {count} files, more than {MAX_FILES}")));
    }
    // The library keeps one of two entries with the same name.
    if count != zip.len() as u64 {
        return Err(corrupt(format!("two entries have one name: {count} entries, {} names", zip.len())));
    }
    let mut entries = HashMap::with_capacity(zip.len());
    let mut ranges = Vec::with_capacity(zip.len());
    for i in 0..zip.len() {
        let entry = zip.by_index_raw(i).map_err(|e| corrupt(format!("entry {i}: {e}")))?;
        let name = entry.name().map_err(|e| corrupt(format!("entry {i}: {e}")))?.into_owned();
        if !is_inside(&name) {
            return Err(corrupt(format!("an entry is called {name:?}: names must stay within the pack")));
        }
        if entry.encrypted() || entry.compression() != zip::CompressionMethod::Stored {
            return Err(corrupt(format!("`{name}` is compressed; entries of a pack are stored")));
        }
        let lies = || corrupt(format!("the size of `{name}` does not fit the file"));
        if entry.size() != entry.compressed_size() {
            return Err(lies());
        }
        let start = entry.data_start().and_then(|s| usize::try_from(s).ok()).ok_or_else(lies)?;
        let end = usize::try_from(entry.size()).ok().and_then(|n| start.checked_add(n)).ok_or_else(lies)?;
        if end > bytes.len() {
            return Err(lies());
        }
        ranges.push(start..end);
        entries.insert(name, start..end);
    }
    // Files of code have their SHA-256 in the manifest; the manifest itself has the container's CRC-32.
    if let Ok(mut manifest) = zip.by_name(MANIFEST) {
        std::io::copy(&mut manifest, &mut std::io::sink())
            .map_err(|_| corrupt(format!("`{MANIFEST}` does not have its checksum")))?;
    }
    ranges.retain(|r| !r.is_empty());
    ranges.sort_by_key(|r| r.start);
    if ranges.windows(2).any(|w| w[0].end > w[1].start) {
        return Err(corrupt("entries overlap".into()));
    }
    Ok(Source::Zip { bytes, entries })
}
