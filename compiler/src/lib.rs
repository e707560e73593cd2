//! The kcc compiler core: kt dialect, passes, pipeline, LLVM emission. Names no vendor.

pub mod dialect;
pub mod emit;
pub mod error;
pub mod gpu;
pub mod import;
pub mod ktg;
pub mod layout;
pub mod link;
pub mod llvm;
pub mod lower;
pub mod mlir;
pub mod passes;
pub mod pipeline;
pub mod read;
pub mod serve;
pub mod session;
pub mod target;
pub mod timings;
pub mod verify;

pub use error::{Error, at, bug, nowhere};
pub use serve::{compiler_version, serve};
pub use session::{Options, Session};
pub use target::{Direct, Lowered, See, Target};
pub use timings::Timings;
