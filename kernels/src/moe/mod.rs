//! A mixture-of-experts layer: each token goes through its `K` best experts, SwiGLU networks, weighted by a router.
//!
//! ```text
//! x ──────────────┬────────────────► grouped_swiglu ─► grouped_down ─► combine ─► y
//! └► router ─► gate ─► permute ──────────┘ (rows of one expert side by side)  ▲
//!                 └── weights ───────────────────────────────────────────────┘
//! ```
//! (Shazeer et al., arXiv:1701.06538; SwiGLU experts as in Mixtral, arXiv:2401.04088: softmax over the chosen `K`.)

pub mod combine;
pub mod gate;
pub mod grouped;
mod layer;
pub mod permute;

pub use layer::{Experts, Sizes, Workspace, magnitude, moe, reference};
