//! Writes packs: the same input gives the same bytes.
//!
//! Entries of the zip are sorted by name, stored, dated 1980-01-01, and start at multiples of [`ALIGN`] bytes, so that
//! code can be used where it lies in a mapped file.

use super::Checked;
use super::archive::MANIFEST;
use super::format::Manifest;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;

/// Alignment of entries within the file, in bytes.
pub const ALIGN: u16 = 64;

/// SHA-256 in lower-case hexadecimal digits, as [`super::format::Code::sha256`] has it.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A pack in memory.
pub struct Writer {
    files: BTreeMap<String, Vec<u8>>,
}

impl Writer {
    /// A pack of these files (`bin/…`) and a manifest that fits them.
    ///
    /// # Errors
    /// What [`super::Pack::open`] would say of the manifest; a file that it names and that is not given, or is another.
    pub fn new(manifest: &Manifest, mut files: BTreeMap<String, Vec<u8>>) -> Result<Writer, String> {
        Checked::new(manifest.clone())?;
        for code in manifest.files() {
            let Some(bytes) = files.get(&code.file) else {
                return Err(format!("`{}` is not given", code.file));
            };
            if bytes.len() as u64 != code.bytes || checksum(bytes) != code.sha256 {
                return Err(format!("`{}` is not the file that its checksum is of", code.file));
            }
        }
        let mut text = serde_json::to_vec_pretty(manifest).map_err(|e| e.to_string())?;
        text.push(b'\n');
        files.insert(MANIFEST.to_owned(), text);
        Ok(Writer { files })
    }

    /// The pack as one zip file.
    ///
    /// # Errors
    /// More than a zip file can hold.
    pub fn zip(&self) -> Result<Vec<u8>, String> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644)
            .with_alignment(ALIGN);
        for (name, bytes) in &self.files {
            zip.start_file(name.as_str(), options).map_err(|e| format!("{name}: {e}"))?;
            zip.write_all(bytes).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(zip.finish().map_err(|e| e.to_string())?.into_inner())
    }

    /// Writes the pack as a folder that does not exist yet. On an error nothing is left.
    ///
    /// # Errors
    /// The system's.
    pub fn folder(&self, path: &Path) -> std::io::Result<()> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent)?;
        let building = tempfile::Builder::new().prefix(".kpack-").tempdir_in(parent)?;
        for (name, bytes) in &self.files {
            let file = building.path().join(name);
            if let Some(dir) = file.parent() {
                std::fs::create_dir_all(dir)?;
            }
            std::fs::write(file, bytes)?;
        }
        if path.exists() {
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it exists already"));
        }
        std::fs::rename(building.path(), path)?;
        let _moved = building.keep();
        Ok(())
    }
}
