//! The CUDA driver: NVIDIA GPUs through the driver API, whose library is opened at run time.
//!
//! ```text
//! library.rs  libcuda, found and checked      context.rs  one GPU, its memory, streams, events, graphs
//! version.rs  chip to target                  module.rs   code, and its launches
//! map.rs      tensor maps
//! ```

mod context;
mod library;
mod map;
mod module;
#[cfg(test)]
mod tests;
mod version;

use super::gpu::Driver;
use super::gpu::streams::NativeDriver;
use crate::error::Result;
use context::Context;
use std::sync::Arc;

/// Opens GPU number `index`.
///
/// # Errors
/// No driver, an old one, no such GPU, a chip that kcc has no target for.
pub(crate) fn open(index: u16) -> Result<Arc<dyn Driver>> {
    Ok(Arc::new(NativeDriver(Arc::new(Context::open(index)?))))
}
