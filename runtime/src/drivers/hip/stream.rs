//! Events and graphs: time and repetition of what runs on a GPU.

use super::device::Device;
use super::library::Handle;
use crate::drivers::gpu::Recording;
use crate::drivers::gpu::native::{Native, RawStream};
use crate::error::Result;
use crate::launch::Stream;
use std::sync::Arc;

/// `hipStreamCaptureModeThreadLocal`.
const THREAD_LOCAL: i32 = 1;

/// A moment in a stream.
pub(super) struct Event<'d> {
    device: &'d Device,
    raw: Handle,
}

impl<'d> Event<'d> {
    /// Records a moment in a stream of the device, which is current.
    pub(super) fn record(device: &'d Device, stream: RawStream) -> Result<Event<'d>> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle; the event is dropped below if it cannot be recorded.
        device.check(unsafe { (device.api.event_create)(&mut raw) })?;
        let event = Event { device, raw };
        // SAFETY: both handles are open.
        device.check(unsafe { (device.api.event_record)(event.raw, stream) })?;
        Ok(event)
    }

    /// Milliseconds from `start` to here, waiting for here.
    pub(super) fn since(&self, start: &Event<'_>) -> Result<f32> {
        let (api, mut ms) = (&self.device.api, 0.0);
        // SAFETY: both events are recorded.
        unsafe {
            self.device.check((api.event_synchronize)(self.raw))?;
            self.device.check((api.event_elapsed)(&mut ms, start.raw, self.raw))?;
        }
        Ok(ms)
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        // SAFETY: made in `record`, not used after.
        let _ = unsafe { (self.device.api.event_destroy)(self.raw) };
    }
}

/// Recorded launches, ready to run again.
pub(super) struct Graph {
    device: Arc<Device>,
    raw: Handle,
}

// SAFETY: the handle is only passed to HIP.
unsafe impl Send for Graph {}
// SAFETY: launching takes no exclusive state of ours; HIP serialises launches of one graph.
unsafe impl Sync for Graph {}

impl Graph {
    /// Records what `f` puts into the stream of the device, which is current.
    pub(super) fn record(
        device: &Arc<Device>,
        stream: RawStream,
        f: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Graph> {
        let api = &device.api;
        // SAFETY: an open stream that is not capturing; HIP says so otherwise.
        device.check(unsafe { (api.begin_capture)(stream, THREAD_LOCAL) })?;
        let outcome = f();
        let mut graph = std::ptr::null_mut();
        // SAFETY: ends the capture begun above, whatever `f` did.
        let ended = device.check(unsafe { (api.end_capture)(stream, &mut graph) });
        let result = outcome.and(ended).and_then(|()| {
            let mut raw = std::ptr::null_mut();
            // SAFETY: the graph is complete.
            device.check(unsafe { (api.graph_instantiate)(&mut raw, graph, 0) })?;
            Ok(Graph { device: device.clone(), raw })
        });
        if !graph.is_null() {
            // SAFETY: an instance does not refer to the graph that it was made of.
            let _ = unsafe { (api.graph_destroy)(graph) };
        }
        result
    }
}

impl Recording for Graph {
    fn launch(&self, stream: Option<Stream>) -> Result<()> {
        self.device.enter()?;
        let stream = self.device.stream(stream);
        // SAFETY: the instance lives as long as `self`.
        self.device.check(unsafe { (self.device.api.graph_launch)(self.raw, stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made in `record`, not used after.
        let _ = unsafe { (self.device.api.graph_exec_destroy)(self.raw) };
    }
}
