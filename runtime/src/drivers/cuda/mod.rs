//! The CUDA driver: NVIDIA GPUs through the driver API, whose library is opened at run time.
//!
//! ```text
//! library.rs  libcuda, found and checked        context.rs  one GPU, its memory
//! version.rs  PTX against driver, chip to target stream.rs   streams, events, graphs
//! map.rs      tensor maps                        module.rs   code, and its launches
//! ```

mod context;
mod library;
mod map;
mod module;
mod stream;
mod version;

use super::gpu::{DeviceMemory, Driver, Module, Recording};
use crate::error::Result;
use crate::launch::{Place, Stream};
use context::Context;
use kcc_dsl::exchange::Artifact;
use std::sync::Arc;

/// An open GPU as a driver.
struct Cuda {
    context: Arc<Context>,
}

/// Opens GPU number `index`.
///
/// # Errors
/// No driver, an old one, no such GPU, a chip that kcc has no target for.
pub(crate) fn open(index: u16) -> Result<Arc<dyn Driver>> {
    Ok(Arc::new(Cuda { context: Arc::new(Context::open(index)?) }))
}

impl Cuda {
    fn raw(&self, stream: Option<Stream>) -> cudarc::driver::sys::CUstream {
        stream.map_or(self.context.stream.raw(), |s| s.raw().cast())
    }
}

impl Driver for Cuda {
    fn describe(&self) -> String {
        let c = &self.context;
        let driver = version::cuda_name(c.driver);
        format!("cuda:{} ({}, {}, driver for CUDA {driver})", c.index, c.name, c.target)
    }

    fn target(&self) -> &str {
        self.context.target
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(self.context.shared)
    }

    fn place(&self) -> Place {
        Place::Gpu(u32::from(self.context.index))
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        Ok(Box::new(module::Code::load(self.context.clone(), kernel, artifact)?))
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        Some(self.context.clone())
    }

    fn synchronize(&self, stream: Option<Stream>) -> Result<()> {
        self.context.enter()?;
        stream::synchronize(self.raw(stream)).map_err(|e| self.context.error(e))
    }

    fn time(&self, stream: Option<Stream>, f: &mut dyn FnMut() -> Result<()>) -> Result<f32> {
        self.context.enter()?;
        let at = |e| self.context.error(e);
        let start = stream::Event::record(self.raw(stream)).map_err(at)?;
        f()?;
        self.context.enter()?;
        let end = stream::Event::record(self.raw(stream)).map_err(at)?;
        end.since(&start).map_err(at)
    }

    fn record(
        &self,
        stream: Option<Stream>,
        f: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Box<dyn Recording>> {
        self.context.enter()?;
        let mut failed = None;
        let graph = stream::Graph::record(self.raw(stream), || {
            f().map_err(|e| {
                let text = e.to_string();
                failed = Some(e);
                text
            })
        });
        match (graph, failed) {
            (_, Some(e)) => Err(e),
            (Ok(graph), None) => Ok(Box::new(Recorded { graph, context: self.context.clone() })),
            (Err(e), None) => Err(self.context.error(e)),
        }
    }
}

/// A graph with the GPU that it runs on.
struct Recorded {
    graph: stream::Graph,
    context: Arc<Context>,
}

impl Recording for Recorded {
    fn launch(&self, stream: Option<Stream>) -> Result<()> {
        self.context.enter()?;
        let raw = stream.map_or(self.context.stream.raw(), |s| s.raw().cast());
        self.graph.launch(raw).map_err(|e| self.context.error(e))
    }
}
