//! What a GPU backend provides and what the GPU level may ask of it.
//!
//! ```text
//! ktg passes, lower/gpu ──ask──► dyn GpuTarget { facts, table of products, emission hooks } ◄── a backend
//! ```

pub mod fit;
pub mod fragments;
pub mod options;
pub mod target;
pub mod wide;

pub use options::{GpuOptions, Reuse};
pub use target::{Buffers, Facts, Fragments, GpuTarget, MmaKind, MmaRow, SCALED, Shuffle};
