//! Decides, before any text is written, how a kernel's tiles become loop nests.
//!
//! ```text
//! facts    who defines and who uses each value
//! lanes    which axis of each tile lies in vector lanes (and is contiguous in scratch memory)
//! steps    which operations share a loop nest, in which order, and which tiles get scratch memory
//! ```

pub mod cheap;
pub mod contract;
pub mod facts;
pub mod lanes;
pub mod steps;

pub use facts::Facts;
pub use steps::{BlockPlan, Nest, Step};
