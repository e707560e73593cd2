//! Streams, events and graphs: order, time and repetition of what runs on a GPU.

use super::library::check;
use cudarc::driver::sys::{self, CUevent, CUgraphExec, CUstream, CUstreamCaptureMode as Mode};

/// A stream of one context.
pub(super) struct Stream(CUstream);

// SAFETY: a stream may be used from any thread whose current context is its own; the handle is only passed to the
// driver.
unsafe impl Send for Stream {}
// SAFETY: as above; the driver's functions are thread-safe.
unsafe impl Sync for Stream {}

impl Stream {
    /// A stream of the current context.
    ///
    /// # Safety
    /// A context is current.
    pub(super) unsafe fn new() -> Result<Stream, String> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a context is current. 1: does not wait for the default stream.
        check(unsafe { sys::cuStreamCreate(&mut raw, 1) })?;
        Ok(Stream(raw))
    }

    pub(super) fn raw(&self) -> CUstream {
        self.0
    }

    /// Waits for all that was put into the stream.
    pub(super) fn synchronize(&self) -> Result<(), String> {
        synchronize(self.0)
    }

    /// # Safety
    /// The stream is not used any more.
    pub(super) unsafe fn destroy(&self) {
        // SAFETY: by the caller's promise.
        let _ = unsafe { sys::cuStreamDestroy_v2(self.0) };
    }
}

/// Waits for all that was put into a stream of the current context.
pub(super) fn synchronize(stream: CUstream) -> Result<(), String> {
    // SAFETY: an open stream; one that the caller closed is their broken promise (`Stream::from_raw`).
    check(unsafe { sys::cuStreamSynchronize(stream) })
}

/// Whether work put into the stream is recorded into a graph instead of run.
pub(super) fn capturing(stream: CUstream) -> Result<bool, String> {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    // SAFETY: an open stream, and a place for the answer.
    check(unsafe { sys::cuStreamIsCapturing(stream, &mut status) })?;
    Ok(status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
}

/// A moment in a stream.
pub(super) struct Event(CUevent);

impl Event {
    /// Records a moment in a stream of the current context.
    pub(super) fn record(stream: CUstream) -> Result<Event, String> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: a place for the handle; the event is dropped below if it cannot be recorded.
        check(unsafe { sys::cuEventCreate(&mut raw, 0) })?;
        let event = Event(raw);
        // SAFETY: both handles are open.
        check(unsafe { sys::cuEventRecord(event.0, stream) })?;
        Ok(event)
    }

    /// Milliseconds from `start` to here, waiting for here.
    pub(super) fn since(&self, start: &Event) -> Result<f32, String> {
        let mut ms = 0.0;
        // SAFETY: both events are recorded.
        unsafe {
            check(sys::cuEventSynchronize(self.0))?;
            check(sys::cuEventElapsedTime(&mut ms, start.0, self.0))?;
        }
        Ok(ms)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made in `record`, not used after.
        let _ = unsafe { sys::cuEventDestroy_v2(self.0) };
    }
}

/// Recorded launches, ready to run again.
pub(super) struct Graph(CUgraphExec);

// SAFETY: the handle is only passed to the driver, under the device's context.
unsafe impl Send for Graph {}
// SAFETY: launching takes no exclusive state of ours; the driver serialises launches of one graph.
unsafe impl Sync for Graph {}

impl Graph {
    /// Records what `f` puts into the stream.
    pub(super) fn record<E: From<String>>(
        stream: CUstream,
        f: impl FnOnce() -> Result<(), E>,
    ) -> Result<Graph, E> {
        // SAFETY: an open stream that is not capturing; the driver says so otherwise.
        check(unsafe { sys::cuStreamBeginCapture_v2(stream, Mode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) })?;
        let outcome = f();
        let mut graph = std::ptr::null_mut();
        // SAFETY: ends the capture begun above, whatever `f` did.
        let ended = check(unsafe { sys::cuStreamEndCapture(stream, &mut graph) });
        let result = outcome.and_then(|()| {
            ended?;
            let mut exec = std::ptr::null_mut();
            // SAFETY: the graph is complete.
            check(unsafe { sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0) })?;
            Ok(Graph(exec))
        });
        if !graph.is_null() {
            // SAFETY: an instance does not refer to the graph that it was made of.
            let _ = unsafe { sys::cuGraphDestroy(graph) };
        }
        result
    }

    /// Runs the graph once.
    pub(super) fn launch(&self, stream: CUstream) -> Result<(), String> {
        // SAFETY: the instance lives as long as `self`.
        check(unsafe { sys::cuGraphLaunch(self.0, stream) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made in `record`, not used after.
        let _ = unsafe { sys::cuGraphExecDestroy(self.0) };
    }
}
