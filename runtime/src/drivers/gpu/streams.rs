//! Streams, events and graphs: order, time and repetition of what runs on a GPU, the same for each vendor's driver.
//!
//! ```text
//! Vendor (cuda/context.rs, hip/device.rs): one call of the driver each ─▶ Event, Graph ─▶ NativeDriver: what devices ask for
//! ```

use super::native::{Native, RawStream};
use super::{DeviceMemory, Driver, Handle, Module, Moment, OpenStream, Recording};
use crate::error::Result;
use crate::launch::{Place, Stream};
use kcc_dsl::exchange::Artifact;
use std::sync::Arc;

/// A GPU that is open. The device is current on the thread, and handles are open, whenever a method beside
/// [`Native::enter`] is called.
pub(crate) trait Vendor: Native + Sized + 'static {
    /// Name for people, with the target.
    fn describe(&self) -> String;

    /// What to compile for.
    fn target(&self) -> &str;

    /// Further targets whose code it runs, the best first.
    fn other_targets(&self) -> &[&'static str] {
        &[]
    }

    /// Whose memory launches work in.
    fn place(&self) -> Place;

    /// Most bytes of shared memory that a block can have.
    fn shared_bytes(&self) -> u64;

    /// Loads compiled code.
    fn load(self: &Arc<Self>, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>>;

    /// A new stream, which does not wait for the default one.
    fn open_stream(&self) -> Result<RawStream>;

    /// Closes a stream once what it holds is done. A failure leaks.
    fn close_stream(&self, stream: RawStream);

    /// A new event.
    fn event(&self) -> Result<Handle>;

    /// Puts an event into a stream.
    fn mark(&self, event: Handle, stream: RawStream) -> Result<()>;

    /// Waits for an event.
    fn reach(&self, event: Handle) -> Result<()>;

    /// What is put into the stream from here on waits for the event.
    fn hold_back(&self, stream: RawStream, event: Handle) -> Result<()>;

    /// Milliseconds between two events that were reached.
    fn elapsed(&self, start: Handle, end: Handle) -> Result<f32>;

    /// Gives an event back. A failure leaks.
    fn drop_event(&self, event: Handle);

    /// From here on the thread's work in the stream is recorded.
    fn begin_capture(&self, stream: RawStream) -> Result<()>;

    /// Ends a recording; gives its graph, null where it failed.
    fn end_capture(&self, stream: RawStream, graph: &mut Handle) -> Result<()>;

    /// An instance of a graph, which does not refer to it.
    fn instantiate(&self, graph: Handle) -> Result<Handle>;

    /// Gives a graph back.
    fn drop_graph(&self, graph: Handle);

    /// Puts an instance into a stream.
    fn replay(&self, instance: Handle, stream: RawStream) -> Result<()>;

    /// Gives an instance back.
    fn drop_instance(&self, instance: Handle);
}

/// A stream of ours.
struct Opened<V: Vendor> {
    vendor: Arc<V>,
    raw: RawStream,
}

// SAFETY: the handle is only passed to the driver, under its device.
unsafe impl<V: Vendor> Send for Opened<V> {}
// SAFETY: as above; drivers are thread-safe.
unsafe impl<V: Vendor> Sync for Opened<V> {}

impl<V: Vendor> OpenStream for Opened<V> {
    fn raw(&self) -> RawStream {
        self.raw
    }
}

impl<V: Vendor> Drop for Opened<V> {
    fn drop(&mut self) {
        if self.vendor.enter().is_ok() {
            self.vendor.close_stream(self.raw);
        }
    }
}

/// A moment in a stream.
struct Event<V: Vendor> {
    vendor: Arc<V>,
    raw: Handle,
}

// SAFETY: the handle is only passed to the driver, under its device.
unsafe impl<V: Vendor> Send for Event<V> {}
// SAFETY: as above; drivers are thread-safe.
unsafe impl<V: Vendor> Sync for Event<V> {}

impl<V: Vendor> Event<V> {
    fn record(vendor: &Arc<V>, stream: RawStream) -> Result<Self> {
        vendor.enter()?;
        // Dropped below if it cannot be recorded.
        let event = Event { vendor: vendor.clone(), raw: vendor.event()? };
        vendor.mark(event.raw, stream)?;
        Ok(event)
    }
}

impl<V: Vendor> Moment for Event<V> {
    fn handle(&self) -> Handle {
        self.raw
    }

    fn reach(&self) -> Result<()> {
        self.vendor.enter()?;
        self.vendor.reach(self.raw)
    }

    fn hold_back(&self, stream: Option<Stream>) -> Result<()> {
        self.vendor.enter()?;
        self.vendor.hold_back(self.vendor.stream(stream), self.raw)
    }

    fn since(&self, start: &dyn Moment) -> Result<f32> {
        self.reach()?;
        self.vendor.elapsed(start.handle(), self.raw)
    }
}

impl<V: Vendor> Drop for Event<V> {
    fn drop(&mut self) {
        self.vendor.drop_event(self.raw);
    }
}

/// Recorded launches, ready to run again.
struct Graph<V: Vendor> {
    vendor: Arc<V>,
    raw: Handle,
}

// SAFETY: the handle is only passed to the driver, under its device.
unsafe impl<V: Vendor> Send for Graph<V> {}
// SAFETY: launching takes no exclusive state of ours; drivers serialise launches of one graph.
unsafe impl<V: Vendor> Sync for Graph<V> {}

impl<V: Vendor> Recording for Graph<V> {
    fn launch(&self, stream: Option<Stream>) -> Result<()> {
        self.vendor.enter()?;
        self.vendor.replay(self.raw, self.vendor.stream(stream))
    }
}

impl<V: Vendor> Drop for Graph<V> {
    fn drop(&mut self) {
        if self.vendor.enter().is_ok() {
            self.vendor.drop_instance(self.raw);
        }
    }
}

/// An open GPU as a driver.
pub(crate) struct NativeDriver<V>(pub(crate) Arc<V>);

impl<V: Vendor> Driver for NativeDriver<V> {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn target(&self) -> &str {
        self.0.target()
    }

    fn other_targets(&self) -> &[&'static str] {
        self.0.other_targets()
    }

    fn place(&self) -> Place {
        self.0.place()
    }

    fn shared_bytes(&self) -> Option<u64> {
        Some(self.0.shared_bytes())
    }

    fn load(&self, kernel: &str, artifact: &Artifact) -> Result<Box<dyn Module>> {
        self.0.load(kernel, artifact)
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        Some(self.0.clone())
    }

    fn synchronize(&self, stream: Option<Stream>) -> Result<()> {
        self.0.enter()?;
        self.0.wait(self.0.stream(stream))
    }

    fn time(&self, stream: Option<Stream>, f: &mut dyn FnMut() -> Result<()>) -> Result<f32> {
        let stream = self.0.stream(stream);
        let start = Event::record(&self.0, stream)?;
        f()?;
        Event::record(&self.0, stream)?.since(&start)
    }

    fn open_stream(&self) -> Result<Box<dyn OpenStream>> {
        self.0.enter()?;
        Ok(Box::new(Opened { vendor: self.0.clone(), raw: self.0.open_stream()? }))
    }

    fn mark(&self, stream: Option<Stream>) -> Result<Box<dyn Moment>> {
        Ok(Box::new(Event::record(&self.0, self.0.stream(stream))?))
    }

    fn record(
        &self,
        stream: Option<Stream>,
        f: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Box<dyn Recording>> {
        let vendor = &self.0;
        vendor.enter()?;
        let stream = vendor.stream(stream);
        vendor.begin_capture(stream)?;
        let outcome = f();
        // `f` may have made another device current, and whatever it did, the capture ends.
        vendor.enter()?;
        let mut graph = std::ptr::null_mut();
        let ended = vendor.end_capture(stream, &mut graph);
        let instance = outcome.and(ended).and_then(|()| vendor.instantiate(graph));
        if !graph.is_null() {
            vendor.drop_graph(graph);
        }
        Ok(Box::new(Graph { vendor: vendor.clone(), raw: instance? }))
    }
}
