//! The name of a compilation in the caches.

use kcc_dsl::exchange::CompileRequest;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// Changes when the meaning of keys or entries changes.
const FORMAT: &[u8] = b"kcc cache 2\0";

/// SHA-256 of everything that a compilation depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of a request to a compiler of that version.
    pub fn new(request: &CompileRequest, compiler: &str) -> Key {
        let mut hash = Sha256::new();
        hash.update(FORMAT);
        hash.update((compiler.len() as u64).to_le_bytes());
        hash.update(compiler.as_bytes());
        // Plain data always serialises; a failure would only lose this part of the key, so it is hashed as text then.
        match postcard::to_stdvec(request) {
            Ok(bytes) => hash.update(bytes),
            Err(_) => hash.update(format!("{request:?}").as_bytes()),
        }
        Key(hash.finalize().into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
