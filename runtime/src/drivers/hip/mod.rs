//! The HIP driver: AMD's GPUs through HIP's module API, whose library is opened at run time.
//!
//! ```text
//! library.rs  libamdhip64, found and checked     device.rs  one GPU, its memory, streams, events, graphs
//! layout.rs   where each argument lies            module.rs  code, and its launches
//! ```

mod device;
mod layout;
mod library;
mod module;
#[cfg(test)]
mod tests;

use super::gpu::Driver;
use super::gpu::streams::NativeDriver;
use crate::error::Result;
use device::Device;
use std::sync::Arc;

/// Opens GPU number `index`.
///
/// # Errors
/// No HIP, an old one, no such GPU, a chip that kcc has no target for.
pub(crate) fn open(index: u16) -> Result<Arc<dyn Driver>> {
    let api = library::Api::shared()?;
    Ok(Arc::new(NativeDriver(Arc::new(Device::open(api, index)?))))
}
