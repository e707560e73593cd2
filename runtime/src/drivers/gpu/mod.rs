//! What all GPU drivers share: the order of a kernel's arguments, the hardware's grid, tensor maps, what comes back.
//!
//! ```text
//! checked args ─ pack.rs ─▶ slots ─┐
//!              ─ recipe.rs ─▶ maps ─┼─▶ the driver: sim.rs, emu.rs, cuda/, hip/ ─▶ status.rs: failed assertion, prints
//! grid         ─ grid.rs ─▶ blocks ─┘
//! host memory  ─ staging.rs ─▶ images of what the views span, copied in and out; hosted.rs lends them to imitated chips
//! ```

#![cfg_attr(
    not(any(feature = "cuda", feature = "hip", feature = "ascend", feature = "sim")),
    allow(dead_code, unused_imports)
)]

mod grid;
#[cfg(feature = "sim")]
pub(crate) mod hosted;
#[cfg(any(feature = "cuda", feature = "hip", feature = "ascend"))]
#[cfg_attr(not(any(feature = "hip", feature = "ascend")), allow(dead_code, unused_macros, unused_imports))]
pub(crate) mod library;
#[cfg(any(feature = "cuda", feature = "hip", feature = "ascend"))]
#[cfg_attr(not(any(feature = "cuda", feature = "hip")), allow(dead_code))]
pub(crate) mod native;
mod pack;
mod ptx;
mod recipe;
mod staging;
#[cfg(all(test, any(feature = "cuda", feature = "hip", feature = "ascend")))]
#[cfg_attr(not(any(feature = "cuda", feature = "hip")), allow(dead_code))]
pub(crate) mod stand_in;
mod status;
#[cfg(any(feature = "cuda", feature = "hip"))]
pub(crate) mod streams;

pub(crate) use grid::blocks;
pub(crate) use pack::slots;
pub use ptx::minimum_driver;
#[cfg(feature = "cuda")]
pub(crate) use ptx::{check_ptx, cuda_name};
pub(crate) use recipe::{Encoded, encode};
pub(crate) use staging::Staged;
pub(crate) use status::Status;

use crate::device::Launching;
use crate::error::{Error, Result};
use crate::launch::{Facts, Label, Place, Stream};
use crate::timeline::Timeline;
use kcc_dsl::exchange::{Artifact, GpuArg, GpuMeta};
use std::sync::Arc;

/// Why most devices record nothing.
pub(crate) const NO_RECORDINGS: &str = "it records no launches; only `cuda` and `hip` devices do";

/// Why most devices have neither streams nor events.
pub(crate) const NO_STREAMS: &str =
    "it has no streams, launches are done when they return; only `cuda` and `hip` devices have some";

/// That a device lacks something.
pub(crate) fn without(device: String, reason: &str) -> Error {
    Error::Device { device, reason: reason.into() }
}

/// A device that runs the code of a GPU or NPU backend.
pub(crate) trait Driver: Send + Sync {
    /// Name for people, with the target: `cuda:0 (NVIDIA H100, nvidia:sm_90a)`.
    fn describe(&self) -> String;

    /// What to compile for.
    fn target(&self) -> &str;

    /// Further targets whose code it runs, the best first.
    fn other_targets(&self) -> &[&'static str] {
        &[]
    }

    /// Whose memory launches work in.
    fn place(&self) -> Place;

    /// Most bytes of shared memory that a block of threads can have; `None` if that is not known.
    fn shared_bytes(&self) -> Option<u64>;

    /// Which facts about arguments its compiler uses.
    fn facts(&self) -> Facts {
        Facts::Gpu
    }

    /// What the last launch did, of a simulator that was asked to trace.
    fn timeline(&self) -> Option<Timeline> {
        None
    }

    /// Loads compiled code.
    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>>;

    /// Memory of the device's own; `None` if launches work in the host's.
    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        None
    }

    /// Waits for what was launched into a stream (`None`: the device's own).
    fn synchronize(&self, _: Option<Stream>) -> Result<()> {
        Ok(())
    }

    /// Milliseconds of the device's time that what `f` launches takes.
    fn time(&self, _: Option<Stream>, f: &mut dyn FnMut() -> Result<()>) -> Result<f32> {
        let start = std::time::Instant::now();
        f()?;
        Ok(start.elapsed().as_secs_f32() * 1e3)
    }

    /// Records what `f` launches, instead of running it.
    fn record(&self, _: Option<Stream>, _: &mut dyn FnMut() -> Result<()>) -> Result<Box<dyn Recording>> {
        Err(without(self.describe(), NO_RECORDINGS))
    }

    /// A stream of its own.
    fn open_stream(&self) -> Result<Box<dyn OpenStream>> {
        Err(without(self.describe(), NO_STREAMS))
    }

    /// The moment at which what was put into the stream is done.
    fn mark(&self, _: Option<Stream>) -> Result<Box<dyn Moment>> {
        Err(without(self.describe(), NO_STREAMS))
    }
}

/// A vendor's handle of a stream, an event, a graph, or an instance of one.
pub(crate) type Handle = *mut std::ffi::c_void;

/// A stream that is closed when it is dropped.
pub(crate) trait OpenStream: Send + Sync {
    /// Its handle.
    fn raw(&self) -> Handle;
}

/// A moment in a stream.
pub(crate) trait Moment: Send + Sync {
    /// The vendor's handle.
    fn handle(&self) -> Handle;

    /// Waits for it.
    fn reach(&self) -> Result<()>;

    /// What is put into the stream from here on waits for it.
    fn hold_back(&self, stream: Option<Stream>) -> Result<()>;

    /// Milliseconds from `start`, of the same device, to here, waiting for here.
    fn since(&self, start: &dyn Moment) -> Result<f32>;
}

/// Launches that were recorded.
pub(crate) trait Recording: Send + Sync {
    /// Runs them once more.
    fn launch(&self, stream: Option<Stream>) -> Result<()>;
}

/// Memory that only a device reaches.
pub(crate) trait DeviceMemory: Send + Sync {
    /// Some bytes, aligned to 256, holding anything.
    fn alloc(&self, bytes: usize) -> Result<u64>;

    /// # Safety
    /// `alloc` gave the address, and nothing uses it any more.
    unsafe fn free(&self, address: u64);

    /// Starts copying to the device, in the order of a stream (`None`: the device's own).
    ///
    /// # Safety
    /// That many bytes are allocated at the address; `bytes` stay as they are until [`DeviceMemory::settle`].
    unsafe fn start_write(&self, address: u64, bytes: &[u8], stream: Option<Stream>) -> Result<()>;

    /// Starts copying to the host, in the order of a stream (`None`: the device's own).
    ///
    /// # Safety
    /// That many bytes are allocated at the address; nobody uses `bytes` until [`DeviceMemory::settle`].
    unsafe fn start_read(&self, address: u64, bytes: &mut [u8], stream: Option<Stream>) -> Result<()>;

    /// Waits for the copies of a stream.
    fn settle(&self, stream: Option<Stream>) -> Result<()>;

    /// Copies to the device, after all that was launched into its own stream.
    ///
    /// # Safety
    /// That many bytes are allocated at the address.
    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: by the caller's promise; the copy has read `bytes` when `settle` returns.
        unsafe { self.start_write(address, bytes, None)? };
        self.settle(None)
    }

    /// Copies to the host, after all that was launched into the device's own stream.
    ///
    /// # Safety
    /// That many bytes are allocated at the address.
    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: by the caller's promise; the copy is complete when `settle` returns.
        unsafe { self.start_read(address, bytes, None)? };
        self.settle(None)
    }

    /// Fills with zeros, in the order of the device's own stream.
    ///
    /// # Safety
    /// That many bytes are allocated at the address.
    unsafe fn zero(&self, address: u64, bytes: usize) -> Result<()>;
}

/// Loaded code of one kernel.
pub(crate) trait Module: Send + Sync {
    /// Runs checked arguments and waits, unless every view lies on the device and nothing comes back.
    fn run(&self, label: &Label<'_>, launch: &Launching<'_>) -> Result<()>;
}

/// Launch facts come from files too: what no compiler of ours means is refused here.
pub(crate) fn meta(kernel: &str, artifact: &Artifact) -> Result<GpuMeta> {
    let fail = |reason: String| Err(Error::Load { kernel: kernel.into(), reason });
    let Some(meta) = &artifact.gpu else {
        return fail(format!("the code is for {}, no GPU", artifact.target));
    };
    let cluster: u64 = meta.cluster.iter().map(|&n| u64::from(n)).product();
    if !(1..=1024).contains(&meta.threads) || !(1..=16).contains(&cluster) {
        return fail(format!("blocks of {} threads in clusters of {cluster} blocks", meta.threads));
    }
    // No parameter of the code passes a workspace yet.
    if meta.shared_bytes > 1 << 20 || meta.workspace_bytes > 0 {
        let (shared, work) = (meta.shared_bytes, meta.workspace_bytes);
        return fail(format!("it asks for {shared} bytes of shared memory, {work} bytes of workspace"));
    }
    for map in &meta.tensor_maps {
        let Some(GpuArg::View { rank, elem }) = meta.args.get(map.param as usize) else {
            return fail(format!("a tensor map names parameter {}, which is no view", map.param));
        };
        let axes = map.axes.len();
        if !(1..=5).contains(&axes) || axes != map.box_dims.len() || map.axes.iter().any(|a| a >= rank) {
            return fail(
                "a tensor map has one to five axes of its view, each with an extent of the box".into(),
            );
        }
        if map.elem.bytes() != elem.bytes() || map.box_dims.iter().any(|n| !(1..=256).contains(n)) {
            return fail(
                "a tensor map has the view's element type, and a box of 1 to 256 elements per axis".into(),
            );
        }
    }
    Ok(meta.clone())
}

/// Refuses what is no linked code object of AMD's.
pub(crate) fn code_object(kernel: &str, artifact: &Artifact) -> Result<()> {
    if artifact.bytes.starts_with(b"\x7fELF") {
        return Ok(());
    }
    let what = if artifact.bytes.is_empty() { "no code" } else { "no code object" };
    let reason = format!(
        "there is {what} for {}; AMD's chips run code objects: compile for `amd:gfx942` or the like",
        artifact.target
    );
    Err(Error::Load { kernel: kernel.into(), reason })
}
