//! The HIP driver: AMD's GPUs through HIP's module API, whose library is opened at run time.
//!
//! ```text
//! library.rs  libamdhip64, found and checked     device.rs  one GPU, its memory
//! layout.rs   where each argument lies            stream.rs  events, graphs
//! module.rs   code, and its launches
//! ```

mod device;
mod layout;
mod library;
mod module;
mod stream;
#[cfg(test)]
mod tests;

use super::gpu::native::Native;
use super::gpu::{DeviceMemory, Driver, Module, Recording};
use crate::error::Result;
use crate::launch::{Place, Stream};
use device::Device;
use kcc_dsl::exchange::Artifact;
use std::sync::Arc;

/// An open GPU as a driver.
struct Hip {
    device: Arc<Device>,
}

/// Numbers of places; those below are CUDA's.
const FIRST_PLACE: u32 = 1 << 16;

/// Opens GPU number `index`.
///
/// # Errors
/// No HIP, an old one, no such GPU, a chip that kcc has no target for.
pub(crate) fn open(index: u16) -> Result<Arc<dyn Driver>> {
    let api = library::Api::shared()?;
    Ok(Arc::new(Hip { device: Arc::new(Device::open(api, index)?) }))
}

impl Driver for Hip {
    fn describe(&self) -> String {
        let d = &self.device;
        format!("hip:{} ({}, {}, HIP {})", d.index, d.name, d.target, version(d.driver))
    }

    fn target(&self) -> &str {
        self.device.target
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(self.device.shared)
    }

    fn place(&self) -> Place {
        Place::Gpu(FIRST_PLACE + u32::from(self.device.index))
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        Ok(Box::new(module::Code::load(self.device.clone(), kernel, artifact)?))
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        Some(self.device.clone())
    }

    fn synchronize(&self, stream: Option<Stream>) -> Result<()> {
        self.device.enter()?;
        self.device.wait(self.device.stream(stream))
    }

    fn time(&self, stream: Option<Stream>, f: &mut dyn FnMut() -> Result<()>) -> Result<f32> {
        self.device.enter()?;
        let stream = self.device.stream(stream);
        let start = stream::Event::record(&self.device, stream)?;
        f()?;
        self.device.enter()?;
        stream::Event::record(&self.device, stream)?.since(&start)
    }

    fn record(
        &self,
        stream: Option<Stream>,
        f: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Box<dyn Recording>> {
        self.device.enter()?;
        let stream = self.device.stream(stream);
        Ok(Box::new(stream::Graph::record(&self.device, stream, f)?))
    }
}

/// `6.2` of HIP's number: ten millions for a major version, hundred thousands for a minor one.
fn version(number: i32) -> String {
    format!("{}.{}", number / 10_000_000, number / 100_000 % 100)
}
