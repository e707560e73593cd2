//! Packs: precompiled kernels of many targets in one file, loaded without a compiler.
//!
//! ```text
//! Pack::open ── pack.json checked, nothing loaded
//!   └ pack.kernel("softmax", &device) ── its variants for this device: checksums, code placed in memory
//!        └ kernel.launch(&args) ── formulas pick a variant and a grid; the code runs
//! ```
//! The format is stated in `docs/pack-format.md`, and as data in [`mod@format`].

mod archive;
pub mod expr;
pub mod format;
mod kernel;
#[cfg(test)]
mod tests;
mod validate;
mod write;

pub use crate::drivers::gpu::minimum_driver;
pub use kernel::{Choice, PackKernel};
pub use validate::Checked;
pub use write::{Writer, checksum};

use crate::device::Device;
use crate::error::{Error, Result};
use archive::Archive;
use std::borrow::Cow;
use std::path::Path;

/// An open pack. Everything that `pack.json` says has been checked, no code has been loaded.
pub struct Pack {
    archive: Archive,
    checked: Checked,
}

impl Pack {
    /// Opens a pack: a folder, or a zip file.
    ///
    /// # Errors
    /// A path that cannot be read; a file that is no pack, is cut short, or contradicts itself; a version of the
    /// format that this program does not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Pack> {
        Pack::new(Archive::open(path.as_ref())?)
    }

    /// A pack that the program holds in memory: the bytes of a zip file.
    ///
    /// # Errors
    /// As [`Pack::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Pack> {
        Pack::new(Archive::from_bytes(bytes)?)
    }

    fn new(archive: Archive) -> Result<Pack> {
        let manifest = validate::manifest(&archive.manifest()?).map_err(|reason| archive.corrupt(reason))?;
        Ok(Pack { archive, checked: manifest })
    }

    /// What `pack.json` says.
    pub fn manifest(&self) -> &format::Manifest {
        self.checked.manifest()
    }

    /// The code of a variant, its length and checksum compared with what `pack.json` says.
    ///
    /// # Errors
    /// A file that is missing or is not what it was when the pack was made.
    pub fn code(&self, code: &format::Code) -> Result<Cow<'_, [u8]>> {
        let bytes = self.archive.read(&code.file, Some(code.bytes))?;
        if checksum(&bytes) != code.sha256 {
            return Err(self.archive.corrupt(format!("`{}` does not have its checksum", code.file)));
        }
        Ok(bytes)
    }

    /// Compares every file with its checksum.
    ///
    /// # Errors
    /// The first file that is missing or changed.
    pub fn verify(&self) -> Result<()> {
        self.manifest().files().try_for_each(|code| self.code(code).map(drop))
    }

    /// Loads a kernel's variants for a device.
    ///
    /// # Errors
    /// No kernel of that name, none of its variants runs on the device, a file that is not what it was.
    pub fn kernel(&self, name: &str, device: &Device) -> Result<PackKernel> {
        let Some((index, entry)) = self.manifest().kernels.iter().enumerate().find(|(_, k)| k.name == name)
        else {
            let known: Vec<&str> = self.manifest().kernels.iter().map(|k| k.name.as_str()).collect();
            return Err(Error::Load {
                kernel: name.to_owned(),
                reason: format!(
                    "{} has no such kernel; there are {}",
                    self.archive.path().display(),
                    known.join(", ")
                ),
            });
        };
        kernel::load(self, entry, self.checked.formulas(index), device)
    }
}
