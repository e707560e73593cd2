//! The author's lines, so that a reader of the source sees what a statement came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where the text of the author's lines comes from.
#[derive(Debug, Default)]
pub struct Lines {
    root: Option<PathBuf>,
    files: HashMap<String, Option<Vec<String>>>,
}

impl Lines {
    /// Places only, no text.
    pub fn places() -> Lines {
        Lines::default()
    }

    /// Text out of the files as the compiler of the kernel named them, from this folder on, as far as they can be read.
    pub fn from_files(root: impl AsRef<Path>) -> Lines {
        Lines { root: Some(root.as_ref().to_owned()), files: HashMap::new() }
    }

    /// The text of a line, from 1, without the space around it.
    pub(super) fn text(&mut self, file: &str, line: u32) -> Option<&str> {
        let root = self.root.as_ref()?;
        let lines = self.files.entry(file.to_owned()).or_insert_with(|| {
            let text = std::fs::read_to_string(root.join(file)).ok()?;
            Some(text.lines().map(|l| l.trim().to_owned()).collect())
        });
        // A backslash at a comment's end would go on in the next line.
        let text = lines.as_ref()?.get(line.checked_sub(1)? as usize)?.trim_end_matches('\\');
        (!text.is_empty()).then_some(text)
    }
}
