//! The kcc compiler core: kt dialect, passes, pipeline, LLVM emission. Names no vendor.

pub mod dialect;
pub mod error;
pub mod llvm;
pub mod target;
pub mod timings;

pub use error::{Error, at, bug, nowhere};
pub use target::{Lowered, Target};
pub use timings::Timings;
