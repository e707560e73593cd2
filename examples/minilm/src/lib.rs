//! all-MiniLM-L6-v2, the sentence-embedding model, with all arithmetic in kcc kernels.
//!
//! ```text
//! sentences ── text.rs ──► token ids ── model.rs ──► unit vectors;  the cosine of two of them says how alike they are
//!                                         ▲
//! model.safetensors ──── weights.rs ──────┘
//! ```

pub mod model;
pub mod text;
pub mod weights;

use anyhow::{Result, bail};
use kcc_dsl::prelude::{DotElem, Float};
use std::path::{Path, PathBuf};

/// An element type that the model runs in: `f32`, `f16` or `bf16`.
pub trait Element: Float + DotElem {}

impl Element for f32 {}
impl Element for half::f16 {}
impl Element for half::bf16 {}

/// The folder with `model.safetensors` and `tokenizer.json`: `KCC_MINILM_DIR`, or `.cache/minilm` of the workspace.
///
/// # Errors
/// A file is missing; the message says how to get it.
pub fn model_folder() -> Result<PathBuf> {
    let folder = std::env::var_os("KCC_MINILM_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/minilm"), PathBuf::from);
    for file in ["model.safetensors", "tokenizer.json"] {
        if !folder.join(file).is_file() {
            bail!(
                "{} is missing: run `make setup`, or set KCC_MINILM_DIR to a folder that has it",
                folder.join(file).display()
            );
        }
    }
    Ok(folder)
}

/// Cosine of the angle between two vectors; 0 if one has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}
